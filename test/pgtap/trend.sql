-- Forecasts, anomalies, change points, trends and capacity: of arrays, and of what the store has.
\set QUIET on
\set ON_ERROR_STOP on
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS perfopt;
SELECT perfopt.collect_now() \g /dev/null
SELECT perfopt.collect_now() \g /dev/null

BEGIN;
SELECT plan(68);

-- Plain arrays.
CREATE FUNCTION pg_temp.wave(n int, noise float8 DEFAULT 0) RETURNS float8[] LANGUAGE sql AS $$
  SELECT setseed(0.5); SELECT array_agg(20 + 10 * sin(g * pi() / 12) + noise * (random() - 0.5) ORDER BY g) FROM generate_series(1, n) g
$$;
SELECT is((SELECT count(*) FROM perfopt.forecast_values(pg_temp.wave(240), 24)), 24::bigint, 'a forecast has a row a step');
SELECT ok((SELECT bool_and(abs(value - (20 + 10 * sin((240 + step) * pi() / 12))) < 0.5) FROM perfopt.forecast_values(pg_temp.wave(240), 48)),
  'a daily wave goes on, its season found');
SELECT ok((SELECT bool_and(abs(value - (20 + 10 * sin((240 + step) * pi() / 12))) < 0.5) FROM perfopt.forecast_values(pg_temp.wave(240), 48, '{24}')),
  'or given');
SELECT ok((SELECT bool_and(lower <= value AND value <= upper) FROM perfopt.forecast_values(pg_temp.wave(240, 4), 24)), 'intervals hold their value');
SELECT ok((SELECT avg(upper - lower) FROM perfopt.forecast_values(pg_temp.wave(240, 4), 24, level => 0.99))
  > (SELECT avg(upper - lower) FROM perfopt.forecast_values(pg_temp.wave(240, 4), 24, level => 0.5)), 'and are wider at a higher level');
SELECT ok((SELECT bool_and(upper <= 1 AND lower >= 0) FROM perfopt.forecast_values(
  ARRAY(SELECT least(g / 100.0, 1) FROM generate_series(1, 100) g)::float8[], 50, minimum => 0, maximum => 1)), 'bounds are kept');
SELECT ok((SELECT bool_and(abs(value - (20 + 10 * sin((240 + step) * pi() / 12))) < 1) FROM perfopt.forecast_values(
  (SELECT array_agg(CASE WHEN g BETWEEN 100 AND 110 THEN NULL ELSE w END ORDER BY g) FROM unnest(pg_temp.wave(240)) WITH ORDINALITY AS t (w, g)), 24)),
  'NULL is a gap');
SELECT is_empty($$SELECT * FROM perfopt.forecast_values(NULL, 5)$$, 'of nothing comes nothing');
SELECT throws_ok($$SELECT * FROM perfopt.forecast_values('{1,2,3}', 5)$$, '22023', '3 values are too few for a forecast');
SELECT throws_ok($$SELECT * FROM perfopt.forecast_values('{1,2,3,4,5}', 0)$$, '22023', '0 values from 5 are out of range');
SELECT throws_ok($$SELECT * FROM perfopt.forecast_values('{1,2,3,4,5}', 5, level => 1)$$, '22023', 'level must be between 0 and 1, not 1');
SELECT throws_ok($$SELECT * FROM perfopt.forecast_values('{1,2,3,4,5}', 5, '{7,7}')$$, '22023', '7 is no period of a season here');
SELECT throws_ok($$SELECT * FROM perfopt.forecast_values('{1,2,3,4,5}', 5, minimum => 2, maximum => 1)$$, '22023', 'minimum (2) must be below maximum (1)');
SELECT throws_ok($$SELECT * FROM perfopt.forecast_values('{{1,2},{3,4}}', 5)$$, '2202E', NULL, 'a series has one dimension');

SELECT is(array_length(perfopt.anomaly_scores(pg_temp.wave(500, 2)), 1), 500, 'a score for each value');
SELECT ok((SELECT bool_and(s BETWEEN 0 AND 1) FROM unnest(perfopt.anomaly_scores(pg_temp.wave(500, 2))) s), 'from 0 to 1');
SELECT ok((SELECT max(s) FROM unnest(perfopt.anomaly_scores(array_fill(7::float8, ARRAY[2000]))) s) < 0.5, 'what never changes never alarms');
SELECT ok((perfopt.anomaly_scores(array_cat(pg_temp.wave(500, 2), '{90}')))[501] >= 0.5, 'a spike does');
SELECT is((perfopt.anomaly_scores(pg_temp.wave(500, 2)))[1:300], (SELECT perfopt.anomaly_scores((pg_temp.wave(500, 2))[1:300])), 'what comes later changes nothing');
SELECT results_eq($$SELECT index, value, kind FROM perfopt.anomaly_scan(array_cat(pg_temp.wave(500, 2), '{90}')) WHERE index > 500$$,
  $$VALUES (501, 90::float8, 'spike')$$, 'and is named');
SELECT is(perfopt.anomaly_scores(NULL), NULL, 'NULL of NULL');

SELECT results_eq($$SELECT index, round(before_mean), round(after_mean), p_value < 0.01 FROM perfopt.change_points(
  ARRAY(SELECT 10 + g % 3 + CASE WHEN g > 60 THEN 20 ELSE 0 END FROM generate_series(1, 100) g)::float8[])$$,
  $$VALUES (61, 11::float8, 31::float8, true)$$, 'a change has the index of its first value');
SELECT is_empty($$SELECT * FROM perfopt.change_points(array_fill(5::float8, ARRAY[100]))$$, 'what never changes has none');
SELECT is_empty($$SELECT * FROM perfopt.change_points('{}')$$, 'nor has nothing');
SELECT throws_ok($$SELECT * FROM perfopt.change_points('{1,2}', 1.5)$$, '22023', 'significance must be between 0 and 1, not 1.5');
SELECT results_eq($$SELECT n, abs(first - 2.5) < 1, abs(last - 200.5) < 1, round(slope), p_value < 0.01 FROM perfopt.trend_values(ARRAY(SELECT 2 * g + g % 2 FROM generate_series(1, 100) g)::float8[])$$,
  $$VALUES (100, true, true, 2::float8, true)$$, 'a line through what rises');
SELECT is(perfopt.spread_values('{0,2,9,-1}', '{1,2,3,4}', 4), '{1,NULL,2,NULL}', 'values at their places');

-- Series in the store.
CREATE FUNCTION pg_temp.series(name text, labels jsonb, dimension text DEFAULT 'application', kind text DEFAULT 'gauge', unit text DEFAULT 'value') RETURNS int LANGUAGE plpgsql AS $$
DECLARE
  id int;
BEGIN
  INSERT INTO perfopt.metric (name, dimension, kind, unit, help) VALUES ($1, $3, $4, $5, 'Made by a test') ON CONFLICT DO NOTHING;
  INSERT INTO perfopt.series (metric_id, labels) SELECT m.metric_id, $2 FROM perfopt.metric m WHERE m.name = $1 RETURNING series_id INTO id;
  RETURN id;
END $$;
-- Five-minute rollups of `days`, with the values of a formula of t (days from the beginning).
CREATE FUNCTION pg_temp.rolled(id int, days float8, formula text, per_bucket float8 DEFAULT 10) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE format($q$INSERT INTO perfopt.sample_5min_hot (ts, series, n, min, max, sum)
    SELECT b.ts, ARRAY[%1$s], ARRAY[%3$s::float8], ARRAY[b.v], ARRAY[b.v], ARRAY[%3$s * b.v]
    FROM (SELECT date_bin('5 min', now() - interval '5 min', '2000-01-01') - (%2$s * 288 - g) * interval '5 min' AS ts, (%4$s)::float8 AS v
          FROM generate_series(0, %2$s * 288) g, LATERAL (SELECT g / 288.0) AS x (t)) b$q$, id, days, per_bucket, formula);
END $$;

SELECT pg_temp.series('shop_rising', '{}') AS rising, pg_temp.series('shop_flat', '{}') AS flat, pg_temp.series('shop_total', '{}', kind => 'counter') AS counter,
  pg_temp.series('shop_ratio', '{}', unit => 'ratio') AS ratio, pg_temp.series('shop_two', '{"n": "1"}') AS one, pg_temp.series('shop_two', '{"n": "2"}') AS two \gset
SELECT setseed(0.1) \g /dev/null
SELECT pg_temp.rolled(:rising, 10, '100 + 5 * t + 10 * sin(2 * pi() * t) + random()'), pg_temp.rolled(:flat, 10, '50 + 5 * random()'),
  pg_temp.rolled(:counter, 10, '60'), pg_temp.rolled(:ratio, 10, 'least(0.5 + 0.06 * t, 1)'), pg_temp.rolled(:one, 3, '1 + random()'), pg_temp.rolled(:two, 3, '2 + random()') \g /dev/null

SELECT results_eq($$SELECT round(slope_per_day), direction, season, change_pct BETWEEN 40 AND 60 FROM perfopt.trend('shop_rising')$$,
  $$VALUES (5::float8, 'up', interval '1 day', true)$$, 'a trend a day, beside the daily season');
SELECT ok((SELECT slope_low < 5.2 AND slope_high > 4.8 AND seasonality > 0.5 FROM perfopt.trend('shop_rising')), 'with its interval and the season''s strength');
SELECT is((SELECT direction FROM perfopt.trend('shop_flat')), 'none', 'noise has none');
SELECT results_eq($$SELECT round(first::numeric, 3), round(last::numeric, 3) FROM perfopt.trend('shop_total')$$, 'VALUES (2.000, 2.000)', 'a counter reads as its rate');
SELECT is((SELECT count(*) FROM perfopt.trend('shop_two')), 2::bigint, 'every series has one');
SELECT is((SELECT count(*) FROM perfopt.trend('shop_two', labels => '{"n": "2"}')), 1::bigint, 'or those with these labels');
SELECT throws_ok($$SELECT * FROM perfopt.trend('no_such_metric')$$, '42704', NULL, 'a metric must exist');
SELECT throws_ok($$SELECT * FROM perfopt.trend('shop_flat', '-1 day')$$, '22023', 'since must be positive, not -1 days');

SELECT is((SELECT count(*) FROM perfopt.forecast('shop_rising', '1 day')), 288::bigint, 'a day ahead by five minutes');
SELECT ok((SELECT min(ts) - interval '5 min' <= now() AND max(ts) > now() + interval '23 hours 45 min' FROM perfopt.forecast('shop_rising', '1 day')), 'from the latest sample on');
SELECT ok((SELECT avg(abs(value - (100 + 5 * (10 + d) + 10 * sin(2 * pi() * d) + 0.5))) < 3
  FROM (SELECT value, row_number() OVER (ORDER BY ts) / 288.0 AS d FROM perfopt.forecast('shop_rising', '1 day')) f), 'that goes on as it went');
SELECT ok((SELECT bool_and(value <= 1 AND upper <= 1 AND lower >= 0) FROM perfopt.forecast('shop_ratio', '5 days')), 'a ratio never passes 1');
SELECT throws_ok($$SELECT * FROM perfopt.forecast('shop_two', '1 day')$$, '42P08', 'metric "shop_two" has 2 series, and a forecast is of one');
SELECT throws_ok($$SELECT * FROM perfopt.forecast('shop_two', '1 day', labels => '{"n": "3"}')$$, 'P0002', NULL, 'of none there is none');
SELECT lives_ok($$SELECT * FROM perfopt.forecast('shop_two', '1 day', labels => '{"n": "2"}')$$, 'of one chosen there is');
SELECT throws_ok($$SELECT * FROM perfopt.forecast('shop_two', '-1 day')$$, '22023', 'horizon must be positive, not -1 days');

SELECT pg_temp.series('shop_spiky', '{}') AS spiky \gset
SELECT pg_temp.rolled(:spiky, 10, 'CASE WHEN t BETWEEN 9.5 AND 9.502 THEN 500 ELSE 100 + 10 * sin(2 * pi() * t) + random() END') \g /dev/null
SELECT is((SELECT count(DISTINCT kind) FILTER (WHERE value > 400) FROM perfopt.anomalies('shop_spiky', '3 days')), 1::bigint, 'an anomaly is found');
SELECT ok((SELECT min(ts) BETWEEN now() - interval '13 hours' AND now() - interval '11 hours' FROM perfopt.anomalies('shop_spiky', '3 days')), 'when it was');
SELECT is_empty($$SELECT * FROM perfopt.anomalies('shop_flat', '5 days')$$, 'and none in noise');

-- Capacity
SELECT pg_temp.series('pg_sequence_used_ratio', '{"sequence": "test.full_soon"}', 'database', 'gauge', 'ratio') AS soon,
  pg_temp.series('pg_sequence_used_ratio', '{"sequence": "test.never"}', 'database', 'gauge', 'ratio') AS never,
  pg_temp.series('pg_sequence_used_ratio', '{"sequence": "test.young"}', 'database', 'gauge', 'ratio') AS young \gset
SELECT pg_temp.rolled(:soon, 4, '0.4 + 0.1 * t'), pg_temp.rolled(:never, 4, '0.4'), pg_temp.rolled(:young, 0.5, '0.4 + 0.1 * t') \g /dev/null
CREATE TEMP TABLE plan AS SELECT * FROM perfopt.capacity_plan('30 days');
SELECT ok((SELECT exhausted_at BETWEEN now() + interval '45 hours' AND now() + interval '51 hours' FROM plan WHERE resource = 'sequence test.full_soon'), 'what grows runs out');
SELECT ok((SELECT exhausted_earliest <= exhausted_at AND current BETWEEN 0.78 AND 0.82 AND capacity = 1 AND forecast > 1 FROM plan WHERE resource = 'sequence test.full_soon'), 'with all that it rests on');
SELECT is((SELECT action FROM plan WHERE resource = 'sequence test.full_soon'), 'ALTER the column and its sequence to bigint', 'and what to do');
SELECT results_eq($$SELECT exhausted_at, action FROM plan WHERE resource = 'sequence test.never'$$, $$VALUES (NULL::timestamptz, 'none: it lasts beyond the horizon')$$, 'what does not grow lasts');
SELECT ok((SELECT exhausted_at IS NULL AND forecast IS NULL AND action LIKE 'nothing is claimed from 12:00:00 of data%' FROM plan WHERE resource = 'sequence test.young'), 'half a day proves nothing');
SELECT is((SELECT resource FROM plan LIMIT 1), 'sequence test.full_soon', 'the soonest first');

-- Every other kind of resource; of this machine's own series there is not yet a day.
SELECT pg_temp.series('node_filesystem_avail_bytes', '{"mount": "/test", "role": "data"}') AS avail,
  pg_temp.series('node_filesystem_avail_bytes', '{"mount": "/test", "role": "wal"}') AS avail_wal,
  pg_temp.series('node_filesystem_size_bytes', '{"mount": "/test", "role": "data"}') AS size,
  pg_temp.series('redis_memory_used_bytes', '{"target": "test"}') AS used, pg_temp.series('redis_memory_used_bytes', '{"target": "unbounded"}') AS unbounded,
  pg_temp.series('redis_memory_max_bytes', '{"target": "test"}') AS most, pg_temp.series('pg_database_frozenxid_age', '{"database": "test"}') AS age,
  pg_temp.series('node_memory_available_ratio', '{"of": "test"}') AS memory, pg_temp.series('node_cpu_busy_ratio', '{"of": "test"}') AS cpu,
  pg_temp.series('pg_connections_used_ratio', '{"of": "test"}') AS connections, pg_temp.series('pg_wal_bytes_total', '{"of": "test"}') AS wal,
  pg_temp.series('pg_xact_commit_total', '{"database": "test_1"}') AS commits_1, pg_temp.series('pg_xact_commit_total', '{"database": "test_2"}') AS commits_2 \gset
SELECT pg_temp.rolled(:avail, 4, '50e9 - 5e9 * t'), pg_temp.rolled(:avail_wal, 4, '50e9 - 5e9 * t'), pg_temp.rolled(:used, 4, '1e9 + 1e8 * t'),
  pg_temp.rolled(:unbounded, 4, '1e9 + 1e8 * t'), pg_temp.rolled(:age, 4, '1e9 + 2e8 * t'), pg_temp.rolled(:memory, 4, '0.9 - 0.1 * t'),
  pg_temp.rolled(:cpu, 4, '0.1 + 0.1 * t'), pg_temp.rolled(:connections, 4, '0.1 + 0.1 * t'), pg_temp.rolled(:wal, 4, '30e6 + 3e6 * t'),
  pg_temp.rolled(:commits_1, 4, '1500 + 300 * t - CASE WHEN t >= 2 THEN 600 ELSE 0 END'), pg_temp.rolled(:commits_2, 2, '600') \g /dev/null
INSERT INTO perfopt.sample_hot (ts, writer, elapsed_s, series, value)
  VALUES (now(), 'test', 30, ARRAY[:size, :most]::int[], ARRAY[100e9, 2e9]::float8[]);
INSERT INTO perfopt.test_run (kind, scenario, target, config, state, users, requested_by, started_at, finished_at, breaking_point)
  VALUES ('stress', 'pgbench', 'perfopt_local', '{"rate": 10}', 'finished', 1, 'test', now(), now(), 200);
CREATE TEMP TABLE whole AS SELECT *, extract(epoch FROM exhausted_at - now()) / 86400 AS days FROM perfopt.capacity_plan('30 days');
SELECT ok(EXISTS (SELECT FROM whole w WHERE w.resource = r.resource AND w.days BETWEEN r.days - 0.3 AND r.days + 0.3), r.resource || ' runs out when its line gets there')
FROM (VALUES ('disk /test', 6), ('redis memory test', 6), ('transaction ids test', 1.7), ('memory', 5), ('cpu', 5), ('connections', 5)) AS r (resource, days);
SELECT is((SELECT count(*) FROM whole WHERE resource LIKE 'disk /test%'), 1::bigint, 'a file system is one row, whatever it is for');
SELECT is_empty($$SELECT FROM whole WHERE resource LIKE 'redis memory unbounded%'$$, 'without a limit nothing runs out');
SELECT ok(EXISTS (SELECT FROM whole WHERE resource = 'wal' AND capacity IS NULL AND exhausted_at IS NULL AND forecast > current), 'WAL is forecast, and has no end');
SELECT ok((SELECT current BETWEEN 87 AND 93 FROM whole WHERE resource = 'load of the breaking point'),
  'the load is that of all databases at the same time, also of one that is younger');

-- Detectors in the collector remember days that the store has.
SELECT isnt_empty($$SELECT FROM perfopt.sample WHERE metric = 'perfopt_anomaly_score' AND labels ->> 'metric' = 'node_cpu_busy_ratio'$$,
  'the collector keeps the scores of what it collects');
SELECT is((SELECT count(*) FROM perfopt.threshold WHERE measure = 'anomaly' AND warning IS NULL AND critical IS NULL AND builtin), 6::bigint, 'important metrics are scored');
SELECT lives_ok($$SELECT perfopt.set_threshold('shop_flat', '>', 0.5, 0.9, measure => 'anomaly')$$, 'and any other can be');

-- The history of tests
SELECT throws_ok($$SELECT * FROM perfopt.performance_history('pgbench', 'p95')$$, '22023', 'figure "p95" does not exist');
INSERT INTO perfopt.test_run (kind, scenario, target, config, state, users, requested_by, started_at, finished_at)
  SELECT 'load', 'history', 'perfopt_local', '{}', 'finished', 1, 'test', now() - (41 - g) * interval '1 day', now() FROM generate_series(1, 40) g;
INSERT INTO perfopt.test_operation (run_id, operation, calls, errors, throughput, p95_ms, latency)
  SELECT run_id, 'total', 100, 0, 100, 20 + n % 3 + CASE WHEN n > 25 THEN 8 ELSE 0 END, (SELECT perfopt.histogram(1::float8))
  FROM (SELECT run_id, row_number() OVER (ORDER BY run_id) AS n FROM perfopt.test_run WHERE scenario = 'history') r;
SELECT is((SELECT count(*) FROM perfopt.performance_history('history')), 40::bigint, 'a row a test');
SELECT results_eq($$SELECT row_number, round(before_mean), round(after_mean) FROM (SELECT h.*, row_number() OVER (ORDER BY run_id) FROM perfopt.performance_history('history') h) h WHERE is_change$$,
  $$VALUES (26::bigint, 21::float8, 29::float8)$$, 'and where it became slower');
SELECT * FROM finish();
ROLLBACK;
