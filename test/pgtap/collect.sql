-- What a cycle brings: metrics of the server itself, as rows that a BI tool can read.
\set QUIET on
\set ON_ERROR_STOP on
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS perfopt;
SELECT plan(12);

SELECT perfopt.collect_now() \g /dev/null
SELECT clock_timestamp() AS began \gset
SELECT sum(xact_commit) AS commits FROM pg_stat_database WHERE datname = current_database() \gset

SELECT lives_ok('SELECT perfopt.collect_now()', 'a cycle on request');
SELECT ok((SELECT count(*) FROM perfopt.sample WHERE ts > :'began') > 50, 'its samples are visible when it returns');
SELECT is_empty($$
  SELECT name FROM unnest(ARRAY['pg_xact_commit_total', 'pg_blocks_hit_total', 'pg_wal_bytes_total',
    'pg_checkpoints_timed_total', 'pg_sessions', 'pg_connections_used_ratio', 'pg_blocked_sessions',
    'node_cpu_seconds_total', 'node_memory_available_bytes', 'node_load1', 'perfopt_cycle_seconds']) name
  WHERE NOT EXISTS (SELECT FROM perfopt.sample s WHERE s.metric = name)$$,
  'statistics, activity, the operating system and perfopt itself are there');
SELECT is_empty($$SELECT * FROM perfopt.source_status WHERE state = 'failing'$$, 'no source fails');
SELECT is_empty($$
  SELECT s.metric, s.value FROM perfopt.sample s JOIN perfopt.metric m ON m.name = s.metric
  WHERE m.kind = 'counter' AND s.value < 0$$, 'no counter ever decreased');
SELECT is_empty($$
  SELECT DISTINCT metric, unit FROM perfopt.sample
  WHERE metric !~ '_(bucket|count)$'
    AND ((metric LIKE '%\_seconds%' AND unit <> 'seconds') OR (metric LIKE '%\_bytes%' AND unit <> 'bytes')
      OR (metric LIKE '%\_ratio' AND unit <> 'ratio'))$$, 'names and units agree');
SELECT is_empty($$
  SELECT name FROM perfopt.metric
  WHERE (name LIKE '%\_total' AND kind <> 'counter') OR (kind = 'counter' AND name !~ '_(total|bucket|sum|count)$')$$,
  'counters are named as such: _total, or a part of a histogram');
SELECT is_empty($$SELECT name FROM perfopt.metric WHERE help = '' OR unit = ''$$, 'every metric has help and a unit');

-- The increase of a counter is what the server counted in between.
SELECT coalesce(sum(value), 0) AS before FROM perfopt.sample
WHERE metric = 'pg_xact_rollback_total' AND labels @> jsonb_build_object('database', current_database()) \gset
BEGIN; ROLLBACK;
BEGIN; SELECT 1 \g /dev/null
ROLLBACK;
BEGIN; SELECT 1 \g /dev/null
ROLLBACK;
SELECT pg_stat_force_next_flush() \g /dev/null
SELECT perfopt.collect_now() \g /dev/null
SELECT perfopt.collect_now() \g /dev/null
SELECT cmp_ok((SELECT sum(value) FROM perfopt.sample
  WHERE metric = 'pg_xact_rollback_total' AND labels @> jsonb_build_object('database', current_database())),
  '>=', :before::float8 + 2, 'transactions rolled back show up as increases');

-- A reset of the statistics gives no value rather than a wrong one.
SELECT pg_stat_reset() \g /dev/null
SELECT clock_timestamp() AS reset \gset
SELECT perfopt.collect_now() \g /dev/null
SELECT perfopt.collect_now() \g /dev/null
SELECT is_empty(format($$SELECT * FROM perfopt.sample WHERE ts > %L AND value < 0$$, :'reset'),
  'a reset of the statistics leaves no negative increase');

SELECT throws_like('SELECT * FROM perfopt.current_metrics(''weather'')', '%"weather" does not exist%',
  'an unknown dimension is named');
SELECT ok((SELECT bool_and(ts > now() - interval '1 min') FROM perfopt.current_metrics() ), 'current metrics are current');
SELECT * FROM finish();
