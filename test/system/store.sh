#!/bin/bash
#
# The store under what breaks stores: kill -9 in the middle of sealing, readers while it seals, a clock
# that was put right, more series than there is room for, and a dump that must not carry history.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/../lib/tap.sh"

cluster_start main "shared_preload_libraries = 'perfopt'" "perfopt.collect_interval = 1h"
sql() { cluster_psql main -At "$@"; }
sql -c 'CREATE EXTENSION perfopt' -c 'SELECT perfopt.collect_now()' >/dev/null

# Samples of 40 series, each told apart by its values: too few and too young for the collector to seal them by itself.
sql <<'SQL' >/dev/null
INSERT INTO perfopt.metric (name, dimension, kind, unit, help) VALUES ('test_load', 'application', 'gauge', 'x', 'Test');
INSERT INTO perfopt.series (metric_id, labels)
  SELECT metric_id, jsonb_build_object('i', i::text) FROM perfopt.metric, generate_series(1, 40) i WHERE name = 'test_load';
CREATE TABLE origin AS SELECT date_trunc('hour', now()) - interval '20 hours' AS base;
CREATE FUNCTION fill(first int, last int) RETURNS void LANGUAGE sql AS $$
  INSERT INTO perfopt.sample_hot
    SELECT (SELECT base FROM origin) + t * interval '10 s', 'test', 10, s.ids,
           ARRAY(SELECT (hashint4(t * 1000 + i) % 10000)::float8 / 100 FROM unnest(s.ids) i)
    FROM generate_series(first, last) t,
         (SELECT array_agg(series_id ORDER BY series_id) AS ids FROM perfopt.series JOIN perfopt.metric USING (metric_id)
          WHERE name = 'test_load') s
$$;
CREATE VIEW fingerprint AS
  SELECT count(*) || ' ' || count(DISTINCT (labels, ts)) || ' ' || sum(hashfloat8(value)::bigint * (1 + extract(epoch FROM ts)::bigint % 1009))
    AS fingerprint FROM perfopt.sample WHERE metric = 'test_load';
SELECT fill(0, 1199);
SQL
fingerprint() { sql -c 'TABLE fingerprint'; }
hot() { sql -c "SELECT count(*) FROM perfopt.sample_hot WHERE writer = 'test'"; }
whole=$(fingerprint)
like "1,200 rows of 40 series are 48,000 samples" "$whole" '^48000 48000 '

sql -c 'BEGIN' -c 'SELECT perfopt.maintain_now()' -c 'ROLLBACK' >/dev/null
is "a rolled-back sealing has changed nothing" "$(fingerprint) $(hot)" "$whole 1200"

# kill_while_sealing TABLE: seals while writing to TABLE is locked, and kills the sealing backend when it waits for
# that. With sample_chunk this is before the first chunk is written; with series, after all were.
waits() { sql -c "SELECT pid FROM pg_stat_activity WHERE application_name = 'sealing' AND wait_event_type = 'Lock'"; }
kill_while_sealing()
{
	local locker sealer

	PGAPPNAME=locking sql -c "BEGIN; LOCK TABLE perfopt.$1 IN SHARE MODE; SELECT pg_sleep(60)" >/dev/null 2>&1 &
	locker=$!
	cluster_wait_for main 20 "SELECT count(*) = 1 FROM pg_stat_activity WHERE application_name = 'locking' AND wait_event = 'PgSleep'"
	PGAPPNAME=sealing sql -c 'SELECT perfopt.maintain_now()' >/dev/null 2>&1 &
	sealer=$!
	cluster_wait_for main 20 "SELECT count(*) = 1 FROM pg_stat_activity WHERE application_name = 'sealing' AND wait_event_type = 'Lock'"
	kill -9 "$(waits)"
	wait "$locker" || true
	wait "$sealer" || true
	cluster_wait_for main 60 'SELECT true'
}
wrong=0
for try in $(seq 1 20); do
	kill_while_sealing "$([ $((try % 2)) = 0 ] && echo series || echo sample_chunk)"
	got="$(fingerprint) $(hot)"
	if [ "$got" != "$whole 1200" ]; then
		wrong=$((wrong + 1))
		diag "try $try: $got, not $whole 1200"
	fi
done
is "kill -9 while it seals, 20 times, leaves neither gap nor duplicate" "$try $wrong" "20 0"
filled=1200
sql -c 'SELECT perfopt.maintain_now()' >/dev/null
is "sealed at last, all is there once" "$(fingerprint)" "$whole"
is "in chunks, but for the latest row" "$(hot) $(sql -c "SELECT sum(n) FROM perfopt.sample_chunk JOIN perfopt.series USING (series_id) JOIN perfopt.metric USING (metric_id) WHERE name = 'test_load'")" "1 $((filled * 40 - 40))"

# Readers see each sample once while rows move; in a snapshot from before, too.
sql -c "SELECT fill($filled, $((filled + 1199)))" >/dev/null
whole=$(fingerprint)
PGAPPNAME=sealing sql -c 'SELECT perfopt.maintain_now()' >/dev/null &
client=$!
wrong=0
reads=0
while kill -0 "$client" 2>/dev/null; do
	reads=$((reads + 1))
	[ "$(fingerprint)" = "$whole" ] || wrong=$((wrong + 1))
done
wait "$client"
is "readers meanwhile saw all samples once" "$wrong" 0
isnt "of which there were some" "$reads" 0
is "and afterwards they do" "$(fingerprint)" "$whole"
is "a snapshot from before the sealing sees what it saw" "$(sql -q <<SQL
SELECT fill($((filled + 1200)), $((filled + 1299))) \g /dev/null
BEGIN ISOLATION LEVEL REPEATABLE READ;
TABLE fingerprint \gset before_
\setenv PGOPTIONS ''
\! psql -XqAtc 'SELECT perfopt.maintain_now()' >/dev/null
SELECT fingerprint = :'before_fingerprint' FROM fingerprint;
COMMIT;
SQL
)" t
is "which had been sealed by then" "$(hot)" 1

# A clock that was an hour ahead and has been put right: what was written and rolled up until then lies ahead of now.
sql -c 'SELECT perfopt.collect_now()' -c 'SELECT perfopt.maintain_now()' \
	-c "UPDATE perfopt.sample_hot SET ts = ts + interval '1 hour' WHERE writer = 'collector'" \
	-c "UPDATE perfopt.stream SET rolled_until = date_trunc('hour', now()) + interval '1 hour' WHERE name LIKE 'sample\_%'" >/dev/null
before=$(sql -c "SELECT count(*) FROM perfopt.sample WHERE metric = 'node_load1'")
for _ in 1 2 3; do sql -c 'SELECT perfopt.collect_now()' >/dev/null; done
is "samples go on" "$(sql -c "SELECT count(*) FROM perfopt.sample WHERE metric = 'node_load1'")" $((before + 3))
is "no increase is negative" "$(sql -c "SELECT count(*) FROM perfopt.sample s JOIN perfopt.metric m ON m.name = s.metric WHERE m.kind = 'counter' AND value < 0")" 0
is "the present is what came last" "$(sql -c "SELECT count(*) = 1 AND max(ts) < now() FROM perfopt.current_metrics() WHERE metric = 'node_load1'")" t
sql -c 'SELECT perfopt.maintain_now()' -c 'SELECT perfopt.maintain_now()' >/dev/null
is "no sample is there twice" "$(sql -c "SELECT count(*) - count(DISTINCT (metric, labels, ts)) FROM perfopt.sample")" 0
is "rollups go by the clock again" "$(sql -c "SELECT count(*) FROM perfopt.stream WHERE rolled_until > now()")" 0
is "and have every sample of their time once" "$(sql -c "SELECT sum(n) FROM perfopt.sample_5min, origin WHERE metric = 'test_load' AND bucket < base + interval '3 hours'")" $((40 * 1080))

# More series than there is room for: what was there goes on, what is left out is counted and named.
have=$(sql -c 'SELECT count(*) FROM perfopt.series')
sql -c "ALTER SYSTEM SET perfopt.max_series = $((have > 100 ? have : 100))" -c 'SELECT pg_reload_conf()' >/dev/null
cluster_wait_for main 10 "SELECT setting::int = $((have > 100 ? have : 100)) FROM pg_settings WHERE name = 'perfopt.max_series'"
like "a new series finds no room" "$(sql -c "SELECT perfopt.record_metric('test_more', 1)" 2>&1)" 'no room for another series of metric "test_more"'
sql -c 'CREATE DATABASE more' >/dev/null
PGDATABASE='more' sql -c 'CREATE TABLE t (a int)' >/dev/null
more_is_left_out()
{
	sql -c 'SELECT perfopt.collect_now()' >/dev/null
	[ "$(sql -c "SELECT state FROM perfopt.source_status WHERE source = 'store' AND target = 'collector'")" = failing ]
}
ok "source_status says that series are left out" wait_until 20 more_is_left_out
like "how many, and names one" "$(sql -c "SELECT last_error FROM perfopt.source_status WHERE source = 'store'")" '^[0-9]+ series are left out, [a-z_]+\{.*perfopt.max_series allows [0-9]+'
is "the others go on" "$(sql -c "SELECT max(ts) > now() - interval '1 min' FROM perfopt.sample WHERE metric = 'node_load1'")" t
sql -c 'ALTER SYSTEM RESET perfopt.max_series' -c 'SELECT pg_reload_conf()' >/dev/null
cluster_wait_for main 10 "SELECT setting = boot_val FROM pg_settings WHERE name = 'perfopt.max_series'"
sql -c 'SELECT perfopt.collect_now()' >/dev/null
is "with room again they come" "$(sql -c "SELECT count(*) FROM perfopt.source_status WHERE source = 'store'") $(sql -c "SELECT count(*) > 0 FROM perfopt.sample WHERE labels->>'database' = 'more'")" "0 t"

# A dump carries what was configured, and no history.
sql -c "CREATE SERVER app_cache TYPE 'redis' FOREIGN DATA WRAPPER perfopt OPTIONS (host '127.0.0.1', port '1')" \
	-c "CREATE USER MAPPING FOR PUBLIC SERVER app_cache OPTIONS (password 'secret')" \
	-c "INSERT INTO perfopt.scenario (name) VALUES ('own')" \
	-c "INSERT INTO perfopt.operation (scenario, name, script) VALUES ('own', 'look', 'SELECT 1')" >/dev/null
cluster_env main pg_dump -Fc -f "${CLUSTER_DIR[main]}/dump" postgres
is "samples are not in the dump" "$(cluster_env main pg_restore -l "${CLUSTER_DIR[main]}/dump" | grep -cE 'TABLE DATA perfopt (sample|series|metric|active_session|blocking)' || true)" 0
cluster_start other "shared_preload_libraries = 'perfopt'" "perfopt.collect_interval = 1h"
other() { cluster_psql other -At "$@"; }
ok "it is restored into another cluster" cluster_env other pg_restore -d postgres --exit-on-error --no-owner "${CLUSTER_DIR[main]}/dump"
is "with targets and their mappings" "$(other -c "SELECT srvname, array_to_string(umoptions, ',') FROM pg_user_mappings WHERE srvname = 'app_cache'")" "app_cache|password=secret"
is "with scenarios of one's own" "$(other -c "SELECT script FROM perfopt.operation WHERE scenario = 'own'")" "SELECT 1"
is "and without samples" "$(other -c "SELECT count(*) FROM perfopt.sample WHERE metric = 'test_load'")" 0
other -c 'SELECT perfopt.collect_now()' >/dev/null
is "where collecting goes on" "$(other -c "SELECT count(*) > 50 FROM perfopt.sample")" t

done_testing
