#!/bin/bash
#
# Statements, read where pg_stat_statements keeps them: that its shared table is as the server's version
# says, and that texts are right whatever their encoding, length and fate.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/../lib/tap.sh"

cluster_start main "shared_preload_libraries = 'pg_stat_statements, perfopt'" "perfopt.collect_interval = '1h'" \
	"pg_stat_statements.track_planning = on" "pg_stat_statements.max = 1000" "log_min_messages = debug1" "perfopt.top_statements = 1000" \
	"max_parallel_workers_per_gather = 0"
sql() { cluster_psql main -At "$@"; }
collect() { sql -c 'SELECT perfopt.collect_now()' >/dev/null; }
# shown METRIC PATTERN: the sum of a metric's samples for statements whose text is like PATTERN.
shown()
{
	sql -c "SELECT round(sum(m.value)::numeric, 3) FROM perfopt.statement s JOIN perfopt.sample m
		ON m.labels = jsonb_build_object('query_id', s.query_id::text, 'database', s.database)
		WHERE m.metric = '$1' AND s.text LIKE '$2'"
}
texts_like() { sql -c "SELECT text FROM perfopt.statement WHERE text LIKE '$1' ORDER BY 1"; }
text_file() { printf '%s/pg_stat_tmp/pgss_query_texts.stat\n' "${CLUSTER_DATA[main]}"; }

sql -c 'CREATE EXTENSION pg_stat_statements' -c 'CREATE EXTENSION perfopt' -c 'CREATE TABLE t (x int, y text)'

# Something in each counter: rows, WAL, temporary files, just-in-time compilation, blocks read.
work="SET jit = on; SET jit_above_cost = 0; SET jit_inline_above_cost = 0; SET jit_optimize_above_cost = 0; SET work_mem = '64kB';
	INSERT INTO t SELECT g, 'row ' || g FROM generate_series(1, 20000) g;
	SELECT count(*) FROM (SELECT x FROM t ORDER BY y OFFSET 0) sorted"
sql -c "$work" >/dev/null
worker_ended()
{
	sql -c "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'perfopt collector'" >/dev/null
	cluster_wait_for main 30 "SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'perfopt collector' AND pid <> $1"
}
worker_ended "$(sql -c "SELECT pid FROM pg_stat_activity WHERE backend_type = 'perfopt collector'")" || die "the collector did not come back"
collect
like "the first reading is compared with the shared table, and they are the same" \
	"$(grep -o "[0-9]* entries of pg_stat_statements' table are.*" "${CLUSTER_LOG[main]}" | tail -n 1)" \
	"^[1-9][0-9]* entries of pg_stat_statements' table are as its function says and 0 are not: the table is read from now on"

sql -c 'SELECT pg_stat_statements_reset()' >/dev/null
collect
sql -c "$work" >/dev/null
collect
statement='SELECT count(*) FROM (SELECT x FROM t%'
is "each counter's increase is what the function says" \
	"$(for metric in calls_total rows_total exec_seconds_total plan_seconds_total temp_written_blocks_total; do printf '%s ' "$(shown "pg_statement_$metric" "$statement")"; done |
		sed 's/\.000\b//g')" \
	"$(sql -c "SELECT sum(calls) || ' ' || sum(rows) || ' ' || round(sum(total_exec_time / 1000)::numeric, 3) || ' ' || round(sum(total_plan_time / 1000)::numeric, 3)
		|| ' ' || sum(temp_blks_written) || ' ' FROM pg_stat_statements WHERE query LIKE '$statement'" | sed 's/\.000\b//g')"
is "also of WAL" "$(shown pg_statement_wal_bytes_total 'INSERT INTO t SELECT%' | sed 's/\.000$//')" \
	"$(sql -c "SELECT sum(wal_bytes) FROM pg_stat_statements WHERE query LIKE 'INSERT INTO t SELECT%'")"
jit=$(sql -c "SELECT round(sum((jit_generation_time + jit_inlining_time + jit_optimization_time + jit_emission_time) / 1000)::numeric, 3)
	FROM pg_stat_statements WHERE query LIKE '$statement'")
if [ "$(sql -c 'SELECT pg_jit_available()')" = t ]; then
	is "and of compilation" "$(shown pg_statement_jit_seconds_total "$statement")" "$jit"
else
	skip "and of compilation" "this server has no just-in-time compilation"
fi
is "a text is there with the first reading that shows its statement" "$(texts_like "$statement")" \
	"SELECT count(*) FROM (SELECT x FROM t ORDER BY y OFFSET \$1) sorted"

# An umlaut is two bytes here and one byte there; 4096 bytes end within one.
sql -c "CREATE DATABASE western ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0" >/dev/null
PGDATABASE=western cluster_psql main -At -c "SET client_encoding = 'UTF8'" -c 'SELECT 1 AS "grün"' >/dev/null
long="SELECT 1 AS \"a$(printf 'ü%.0s' {1..30})\""
for i in {1..80}; do long+=", $i AS \"$(printf 'ü%.0s' {1..20})$i\""; done
sql -c "$long" >/dev/null
collect
is "a text of a database of another encoding is converted" "$(texts_like '%gr_n%')" 'SELECT $1 AS "grün"'
is "a long one is cut at a whole character" \
	"$(sql -c "SELECT octet_length(text) BETWEEN 4094 AND 4096, right(text, 1) <> '�' FROM perfopt.statement WHERE text LIKE 'SELECT \$1 AS \"aü%'")" 't|t'

# More statements than there is room for: entries go and others come. Names of columns make no difference
# between statements, operators do.
for ((i = 0; i < 3000; i++)); do
	expression=1
	for ((bit = 0; bit < 12; bit++)); do ((i >> bit & 1)) && expression+=' + 1' || expression+=' - 1'; done
	printf 'SELECT %s;\n' "$expression"
done | cluster_psql main -o /dev/null
sql -c "SELECT 1 AS after_eviction, sum(x) FROM t" >/dev/null
collect
is "statements that were pushed out are gone, newer ones are shown with their texts" "$(texts_like '%after_eviction%')" 'SELECT $1 AS after_eviction, sum(x) FROM t'
like "and evictions are counted" "$(sql -c "SELECT sum(value) > 0 FROM perfopt.sample WHERE metric = 'pg_statements_dealloc_total'")" '^t$'

# Somebody has damaged the file of texts.
sql -c 'SELECT 1 AS before_damage' >/dev/null
head -c 100 /dev/urandom >"$(text_file)"
sql -c 'SELECT 1 AS after_damage' >/dev/null
collect
is "a damaged file of texts is no error" "$(sql -c "SELECT state FROM perfopt.source_status WHERE source = 'statements'")" ok
is "and what is not there is not made up" "$(texts_like '%before_damage')" ''
rm -f "$(text_file)"
collect
is "nor is one that is gone" "$(sql -c "SELECT state FROM perfopt.source_status WHERE source = 'statements'")" ok
done_testing
