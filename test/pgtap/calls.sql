-- record_call(): what applications report becomes counters, a histogram and an error ratio.
\set QUIET on
\set ON_ERROR_STOP on
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS perfopt;
SELECT plan(36);

SELECT perfopt.collect_now() \g /dev/null

-- A cycle on the clock may come in between; increases add up to the same.
CREATE FUNCTION pg_temp.grown(asked text, wanted jsonb) RETURNS float8 LANGUAGE sql AS $$
  SELECT sum(s.value) FROM perfopt.sample s WHERE s.metric = asked AND s.labels @> wanted
$$;

SELECT count(perfopt.record_call('billing', ms))
FROM unnest('{0.4,0.5,1,1.1,9,40,40,200,900,70000}'::float8[]) AS t (ms) \g /dev/null
SELECT perfopt.record_call('billing', 2000, false) \g /dev/null
SELECT perfopt.record_call('mail "ä" \', 0) \g /dev/null
SELECT perfopt.collect_now() \g /dev/null

SELECT is(pg_temp.grown('external_calls_total', '{"target": "billing", "ok": "true"}'), 10::float8, 'calls that succeeded');
SELECT is(pg_temp.grown('external_calls_total', '{"target": "billing", "ok": "false"}'), 1::float8, 'calls that failed');
SELECT is(pg_temp.grown('external_call_duration_seconds_count', '{"target": "billing"}'), 11::float8, 'both have a duration');
SELECT is(round(pg_temp.grown('external_call_duration_seconds_sum', '{"target": "billing"}')::numeric, 6), 73.192, 'whose sum is kept in seconds');
SELECT is(pg_temp.grown('external_call_duration_seconds_bucket', jsonb_build_object('target', 'billing', 'le', le)), n, 'up to ' || le || ' s')
FROM (VALUES ('0.001', 3::float8), ('0.0025', 4), ('0.01', 5), ('0.05', 7), ('0.25', 8), ('1', 9), ('2.5', 10), ('60', 10), ('+Inf', 11)) AS t (le, n);
SELECT results_eq($$SELECT count(DISTINCT labels->>'le') FROM perfopt.sample WHERE metric = 'external_call_duration_seconds_bucket' AND labels @> '{"target": "billing"}'$$,
  'VALUES (16::bigint)', 'a target has 16 buckets');
SELECT ok((SELECT bool_and(value BETWEEN 0 AND 1) AND bool_or(value > 0) FROM perfopt.sample
  WHERE metric = 'external_error_ratio' AND labels = '{"target": "billing"}'), 'the share that failed is a ratio');
SELECT is(pg_temp.grown('external_calls_total', '{"target": "mail \"ä\" \\", "ok": "true"}'), 1::float8, 'any printable name is a target');
SELECT results_eq($$SELECT DISTINCT dimension FROM perfopt.sample WHERE metric LIKE 'external\_%'$$, $$VALUES ('external')$$,
  'all in the dimension external');

SELECT perfopt.collect_now() \g /dev/null
SELECT results_eq($$
  SELECT DISTINCT metric, value FROM perfopt.sample
  WHERE labels->>'target' = 'billing' AND ts = (SELECT max(ts) FROM perfopt.sample WHERE metric = 'external_calls_total')$$,
  $$VALUES ('external_calls_total', 0::float8)$$, 'without calls the count stays, ratio and histogram are absent');

-- Percentiles
SELECT results_eq($$SELECT calls, errors, round(error_pct), round(mean_ms) FROM perfopt.external_call_latency() WHERE target = 'billing'$$,
  'VALUES (11::bigint, 1::bigint, 9::float8, 6654::float8)', 'calls of the last hour');
SELECT ok((SELECT p50_ms BETWEEN 25 AND 50 AND p90_ms BETWEEN 1000 AND 2500 AND p99_ms = 60000
  FROM perfopt.external_call_latency('1 hour') WHERE target = 'billing'),
  'percentiles lie in the bucket of their rank, and none is beyond the last');
SELECT throws_ok($$SELECT * FROM perfopt.external_call_latency('-1 hour')$$, '22023', NULL, 'a window must be positive');

-- It is for applications: anywhere, and without a trace of its own.
BEGIN READ ONLY;
SELECT lives_ok($$SELECT perfopt.record_call('billing', 1)$$, 'works in a read-only transaction');
COMMIT;
BEGIN;
SELECT perfopt.record_call('billing', 1) \g /dev/null
SELECT pg_current_xact_id_if_assigned() IS NULL AS no_id \gset
COMMIT;
SELECT ok(:'no_id', 'takes no transaction id');
BEGIN;
SELECT perfopt.record_call('rolled back', 1) \g /dev/null
ROLLBACK;
SELECT perfopt.collect_now() \g /dev/null
SELECT is(pg_temp.grown('external_calls_total', '{"target": "rolled back", "ok": "true"}'), 1::float8,
  'a call that was made counts, whatever becomes of the transaction');

-- What cannot be
SELECT throws_ok(format('SELECT perfopt.record_call(%s)', arguments), code, message, 'refused: ' || arguments)
FROM (VALUES
  ($$NULL, 1$$, '22004', 'argument "target" of record_call() must not be NULL'),
  ($$'x', NULL$$, '22004', 'argument "duration_ms" of record_call() must not be NULL'),
  ($$'x', -1$$, '22003', 'duration_ms of record_call() must lie between 0 and 604800000, not -1'),
  ($$'x', 'NaN'$$, '22003', 'duration_ms of record_call() must lie between 0 and 604800000, not NaN'),
  ($$'x', 'Infinity'$$, '22003', 'duration_ms of record_call() must lie between 0 and 604800000, not Infinity'),
  ($$'', 1$$, '22023', 'target of record_call() must have 1 to 127 bytes, not 0'),
  ($$repeat('x', 128), 1$$, '22023', 'target of record_call() must have 1 to 127 bytes, not 128'),
  ($$E'a\nb', 1$$, '22023', 'target of record_call() has the control character 0x0a')
) AS t (arguments, code, message);

-- More targets than there is room for: none is lost, and the source says so.
SELECT count(perfopt.record_call('stray ' || i, 1)) FROM generate_series(1, 300) i \g /dev/null
SELECT perfopt.collect_now() \g /dev/null
SELECT is(sum(value), 300::float8, 'all calls are counted') FROM perfopt.sample
WHERE metric = 'external_calls_total' AND (labels->>'target' LIKE 'stray %' OR labels->>'target' = '(other)');
SELECT cmp_ok(count(DISTINCT labels->>'target'), '<=', 257::bigint, 'under no more names than there are places') FROM perfopt.sample
WHERE metric = 'external_calls_total';
SELECT matches((SELECT state || ': ' || last_error FROM perfopt.source_status WHERE source = 'calls'),
  '^failing: record_call\(\) knows 256 targets at a time; [0-9]+ calls of others are counted as target "\(other\)"$',
  'and source_status tells');
SELECT perfopt.collect_now() \g /dev/null
SELECT is((SELECT state FROM perfopt.source_status WHERE source = 'calls'), 'ok', 'until it is over');
SELECT * FROM finish();
