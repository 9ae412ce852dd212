#!/bin/bash
#
# Other databases of the cluster: which are read, that DROP DATABASE never has to wait for a reader, that a
# database that fails stops nobody; and what a dump carries to a new cluster.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/../lib/tap.sh"

cluster_start main "shared_preload_libraries = 'perfopt'" "perfopt.database = 'home'" "perfopt.collect_interval = 1s" \
	"max_locks_per_transaction = 1000"
export PGDATABASE=home
sql() { cluster_psql main -At "$@"; }
in_db() { local db=$1; shift; PGDATABASE=$db cluster_psql main -At "$@"; }
admin() { in_db postgres "$@"; }
watched() { sql -c "SELECT string_agg(DISTINCT labels->>'database', ',' ORDER BY labels->>'database') FROM perfopt.sample
	WHERE metric = 'pg_table_size_bytes' AND ts > '$1'"; }
watch_databases()
{
	admin -c "ALTER SYSTEM SET perfopt.databases = '$1'" -c 'SELECT pg_reload_conf()' >/dev/null
	cluster_wait_for main 10 "SELECT setting = '$1' FROM pg_settings WHERE name = 'perfopt.databases'"
}
# all_read DATABASE...: on request, each was read without an error.
all_read()
{
	local db

	sql -c 'SELECT perfopt.collect_now()' >/dev/null
	for db in "$@"; do
		[ "$(sql -c "SELECT state FROM perfopt.source_status WHERE source = 'tables' AND target = '$db'")" = ok ] || return 1
	done
}

admin -c 'CREATE DATABASE home'
sql -c 'CREATE EXTENSION perfopt' -c 'CREATE TABLE own AS SELECT 1 AS x' -c 'ANALYZE own'
for db in sales 'My-DB' closed many; do admin -c "CREATE DATABASE \"$db\""; done
for db in sales 'My-DB'; do in_db "$db" -c 'CREATE TABLE t (id serial PRIMARY KEY)' -c 'ANALYZE t'; done
admin -c 'ALTER DATABASE closed ALLOW_CONNECTIONS false'

since=$(admin -c 'SELECT clock_timestamp()')
sql -c 'SELECT perfopt.collect_now()' >/dev/null
is "by default only perfopt.database is read" "$(watched "$since")" home
is "and no worker is sent anywhere" "$(sql -c "SELECT count(*) FROM perfopt.source_status WHERE source = 'tables' AND target IS NOT NULL")" 0

nok "a list that is none is refused" admin -c "ALTER SYSTEM SET perfopt.databases = 'a,,b'"
watch_databases 'sales, "My-DB", nowhere, closed'
since=$(admin -c 'SELECT clock_timestamp()')
ok "databases that are named are read" wait_until 30 all_read sales My-DB
is "and no others" "$(watched "$since")" 'My-DB,home,sales'
is "one that does not exist is named" "$(sql -c "SELECT last_error FROM perfopt.source_status WHERE target = 'nowhere'")" 'the database does not exist'
is "and one that refuses connections" "$(sql -c "SELECT last_error FROM perfopt.source_status WHERE target = 'closed'")" 'the database does not allow connections'
is "each is logged once" "$(grep -c 'source "tables" for target' "${CLUSTER_LOG[main]}")" 2

in_db sales -c 'INSERT INTO t SELECT FROM generate_series(1, 42)' -c 'SELECT pg_stat_force_next_flush()' >/dev/null
since=$(admin -c 'SELECT clock_timestamp()')
sees_increase()
{
	sql -c 'SELECT perfopt.collect_now()' >/dev/null
	[ "$(sql -c "SELECT sum(value) FROM perfopt.sample WHERE metric = 'pg_table_ins_total' AND ts > '$since'
		AND labels @> '{\"database\": \"sales\", \"table\": \"public.t\"}'")" = 42 ]
}
ok "increases are known there too" wait_until 30 sees_increase

watch_databases '*'
ok "a star stands for all" wait_until 30 all_read sales My-DB many postgres
is "but for templates and those that refuse connections" "$(sql -c "SELECT count(*) FROM perfopt.source_status
	WHERE target IN ('template0', 'template1', 'closed', 'nowhere')")" 0

# A thousand tables: as any other, though more than a reading shows.
in_db many -c "DO \$\$ BEGIN FOR i IN 1..1000 LOOP
	EXECUTE format('CREATE TABLE t%s (id int PRIMARY KEY, k int UNIQUE)', i);
	IF i % 100 = 0 THEN COMMIT; END IF; END LOOP; END \$\$" -c 'INSERT INTO t777 SELECT i, i FROM generate_series(1, 500) i' \
	-c 'SELECT pg_stat_force_next_flush()' >/dev/null
finds_busiest()
{
	sql -c 'SELECT perfopt.collect_now()' >/dev/null
	[ "$(sql -c "SELECT sum(value) FROM perfopt.sample WHERE metric = 'pg_table_ins_total' AND labels @> '{\"database\": \"many\", \"table\": \"public.t777\"}'")" = 500 ]
}
ok "the busiest of a thousand tables is found" wait_until 30 finds_busiest
at_most "and few are shown" "$(sql -c "SELECT count(DISTINCT labels->>'table') FROM perfopt.sample WHERE metric = 'pg_table_size_bytes' AND labels->>'database' = 'many'")" 60
diag "$(sql -c "SELECT target, cpu_ms, wall_ms FROM perfopt.source_status WHERE source = 'tables'")"

# Somebody asks for visits without pause while databases come and go.
visits()
{
	while [ ! -e "${CLUSTER_DIR[main]}/enough" ]; do
		sql -c 'SELECT perfopt.collect_now()' >/dev/null 2>&1 || true
	done
}
visits &
visitor=$!
dropped=0
for round in 1 2 3 4 5 6 7 8 9 10; do
	if admin -c "CREATE DATABASE brief$round" -c "ALTER DATABASE brief$round RENAME TO short$round" &&
		PGOPTIONS='-c statement_timeout=15s' admin -c "DROP DATABASE short$round"; then
		dropped=$((dropped + 1))
	fi
done
is "DROP and RENAME DATABASE succeed while databases are visited" $dropped 10
PGOPTIONS='-c statement_timeout=15s' ok "also of a large one" admin -c 'DROP DATABASE many'
as_server_user touch "${CLUSTER_DIR[main]}/enough"
wait $visitor
ok "the others are still read" wait_until 30 all_read sales My-DB
is "what was dropped is named no more" "$(sql -c "SELECT count(*) FROM perfopt.source_status WHERE target = 'many' OR target LIKE 'short%'")" 0
unlike "no process crashed" "$(cat "${CLUSTER_LOG[main]}")" 'PANIC:|TRAP:|terminated by signal'

# A database whose files are damaged.
admin -c 'CREATE DATABASE broken'
folder=${CLUSTER_DATA[main]}/base/$(admin -c "SELECT oid FROM pg_database WHERE datname = 'broken'")
rm -f "$folder/PG_VERSION"
broken_named()
{
	sql -c 'SELECT perfopt.collect_now()' >/dev/null
	[ "$(sql -c "SELECT state FROM perfopt.source_status WHERE target = 'broken'")" = failing ]
}
ok "a damaged database is named as failing" wait_until 30 broken_named
ok "and the others are read" wait_until 30 all_read sales My-DB

# What a dump carries: what somebody defined, not what was sampled.
sql -c 'CREATE SCHEMA shop' -c 'CREATE TABLE shop.orders (state int)' -c 'CREATE ROLE seller' \
	-c "INSERT INTO perfopt.custom_metric (name, sql, unit) VALUES ('app_orders', 'SELECT count(*) AS value FROM shop.orders', 'orders')" \
	-c "CREATE SERVER cache TYPE 'redis' FOREIGN DATA WRAPPER perfopt OPTIONS (host '127.0.0.1', port '1')" \
	-c "CREATE USER MAPPING FOR seller SERVER cache OPTIONS (user 'u', password 'p')"
cluster_start other "shared_preload_libraries = 'perfopt'" "perfopt.database = 'home'" "perfopt.collect_interval = 1h"
PGDATABASE=postgres cluster_psql other -c 'CREATE DATABASE home' -c 'CREATE ROLE seller'
cluster_env main pg_dump -f "${CLUSTER_DIR[main]}/home.sql" home
ok "a dump is restored into a new cluster" cluster_psql other -f "${CLUSTER_DIR[main]}/home.sql"
there() { cluster_psql other -At "$@"; }
is "custom metrics are there, with their owner" "$(there -c 'SELECT name, owner FROM perfopt.custom_metric')" 'app_orders|postgres'
is "and targets, with their user mappings" "$(there -c "SELECT srvname, umoptions @> '{user=u,password=p}' FROM pg_user_mappings WHERE srvname = 'cache'")" 'cache|t'
is "samples are not" "$(there -c "SELECT count(*) FROM perfopt.sample WHERE ts < (SELECT pg_postmaster_start_time())")" 0
works_there()
{
	there -c 'SELECT perfopt.collect_now()' >/dev/null
	[ "$(there -c "SELECT state FROM perfopt.source_status WHERE target = 'app_orders'")" = ok ]
}
ok "and they work" wait_until 30 works_there

done_testing
