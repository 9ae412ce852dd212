-- Load tests that really run: on this server, with sessions of their own.
\set QUIET on
\set ON_ERROR_STOP on
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS dblink;
CREATE EXTENSION IF NOT EXISTS perfopt;
-- A session's process outlives its connection by a moment: true once none is left, false after 10 seconds.
CREATE FUNCTION pg_temp.sessions_end() RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
  FOR i IN 1 .. 500 LOOP
    IF NOT EXISTS (SELECT FROM pg_stat_activity WHERE application_name LIKE 'perfopt run%') THEN
      RETURN true;
    END IF;
    PERFORM pg_sleep(0.02);
    PERFORM pg_stat_clear_snapshot();
  END LOOP;
  RETURN false;
END $$;

SELECT plan(34);

CREATE TABLE load_counter (id int PRIMARY KEY, n int NOT NULL);
INSERT INTO load_counter SELECT g, 0 FROM generate_series(1, 10) g;
INSERT INTO perfopt.scenario (name, description) VALUES ('load_test', 'Made by test/pgtap/load.sql.');
INSERT INTO perfopt.operation (scenario, name, weight, script, variables) VALUES
  ('load_test', 'count', 3, 'BEGIN; UPDATE load_counter SET n = n + 1 WHERE id = :id; COMMIT;',
   '{"id": {"uniform": [1, "(SELECT max(id) FROM load_counter)"]}}'),
  ('load_test', 'look', 1, 'SELECT n FROM load_counter WHERE id = :id -- :nothing; here', '{"id": {"uniform": [1, 10]}}'),
  ('load_test', 'never', 0, 'SELECT 1 / 0', '{}');
INSERT INTO perfopt.scenario (name) VALUES ('load_broken'), ('load_slow'), ('load_empty');
INSERT INTO perfopt.operation (scenario, name, script) VALUES
  ('load_broken', 'divide', 'BEGIN; UPDATE load_counter SET n = n + 1000000 WHERE id = 1; SELECT 1 / 0; COMMIT'),
  ('load_broken', 'fine', 'SELECT 1'),
  ('load_slow', 'sleep', 'SELECT pg_sleep(600)');

-- The whole way, and its result.
CREATE TEMP TABLE result AS
  SELECT * FROM perfopt.load_test(users => 5, duration => '2 s', scenario => 'load_test', options => '{"progress": 0}');
SELECT is((SELECT array_agg(operation ORDER BY operation) FROM result), ARRAY['count', 'look', 'total'],
  'a row an operation and a row total; an operation of weight 0 has none');
SELECT is((SELECT sum(errors) FROM result), 0::numeric, 'without errors');
SELECT is((SELECT calls FROM result WHERE operation = 'total'),
  (SELECT sum(calls)::bigint FROM result WHERE operation <> 'total'), 'the total is the sum');
SELECT ok((SELECT calls > 20 FROM result WHERE operation = 'look'), 'work is done');
SELECT ok((SELECT c.calls::float8 / l.calls BETWEEN 2 AND 4.5 FROM result c, result l
           WHERE c.operation = 'count' AND l.operation = 'look'), 'in proportion to the weights');
SELECT ok((SELECT bool_and(p50_ms <= p90_ms AND p90_ms <= p95_ms AND p95_ms <= p99_ms AND p99_ms <= max_ms AND p50_ms > 0)
           FROM result WHERE calls > 0), 'percentiles rise');
SELECT cmp_ok((SELECT sum(n) FROM load_counter), '>=', (SELECT calls::bigint FROM result WHERE operation = 'count'),
  'every call that was counted has changed the table');
SELECT cmp_ok((SELECT sum(n) FROM load_counter), '<=', (SELECT calls + 10 FROM result WHERE operation = 'count')::bigint,
  'and hardly any other');
SELECT ok((SELECT count(DISTINCT id) = 10 FROM load_counter WHERE n > 0), 'variables cover their range');
SELECT ok(pg_temp.sessions_end(), 'all sessions are closed');

-- It is kept.
SELECT max(run_id) AS run FROM perfopt.test_run \gset
SELECT is((SELECT state || ' ' || users || ' ' || scenario FROM perfopt.test_run WHERE run_id = :run), 'finished 5 load_test',
  'the run is on record');
SELECT results_eq(format('SELECT operation, calls, errors FROM perfopt.test_report(%s) ORDER BY 1', :run),
  'SELECT operation, calls, errors FROM result ORDER BY 1', 'and its report says the same');
SELECT ok((SELECT count(DISTINCT ts) BETWEEN 2 AND 4 FROM perfopt.test_interval WHERE run_id = :run),
  'second by second');
SELECT ok((SELECT sum(calls) >= (SELECT calls FROM result WHERE operation = 'total') FROM perfopt.test_interval WHERE run_id = :run),
  'the seconds cover all calls');
SELECT ok((SELECT abs(perfopt.quantile(perfopt.merge(i.latency), 0.95) / r.p95_ms - 1) < 0.1
           FROM perfopt.test_interval i, result r WHERE i.run_id = :run AND i.operation = 'count' AND r.operation = 'count'
           GROUP BY r.p95_ms), 'and their merged histograms give the same percentile');

-- Two workers count the same seconds.
SELECT perfopt.start_test('{"users": 4, "duration": "2 s", "scenario": "load_test", "options": {"workers": 2}}') AS run \gset
SELECT perfopt.wait_test(:run) \g /dev/null
SELECT ok((SELECT bool_and(workers = 2) FROM (SELECT count(DISTINCT worker) AS workers FROM perfopt.test_interval
           WHERE run_id = :run GROUP BY ts ORDER BY ts LIMIT 2) s), 'seconds of two workers go together');

-- Sampled sessions bear the name of the operation.
SELECT perfopt.start_test('{"users": 4, "duration": "3 s", "scenario": "load_test"}') AS run \gset
SELECT perfopt.wait_test(:run) AS state \gset
SELECT is(:'state'::text, 'finished', 'a test runs in the background and can be waited for');
SELECT perfopt.collect_now() \g /dev/null
SELECT ok(EXISTS (SELECT FROM perfopt.active_sessions WHERE operation = 'count'),
  'sampled sessions of a test are attributed to their operation');

-- Errors are counted, by SQLSTATE, and nothing of a failed operation stays.
SELECT perfopt.start_test('{"users": 2, "duration": "1 s", "scenario": "load_broken"}') AS run \gset
SELECT perfopt.wait_test(:run) \g /dev/null
SELECT ok((SELECT errors > 0 AND errors = calls FROM perfopt.test_report(:run) WHERE operation = 'divide'), 'failed calls are errors');
SELECT ok((SELECT mean_ms IS NULL AND p95_ms IS NULL FROM perfopt.test_report(:run) WHERE operation = 'divide'),
  'and have no latency rather than zero');
SELECT is((SELECT sqlstates -> '22012' ->> 'message' FROM perfopt.test_operation WHERE run_id = :run AND operation = 'divide'),
  'division by zero', 'known by their SQLSTATE and first message');
SELECT ok((SELECT calls > 0 AND errors = 0 FROM perfopt.test_report(:run) WHERE operation = 'fine'), 'other operations go on');
SELECT ok((SELECT n < 1000000 FROM load_counter WHERE id = 1), 'a failed transaction is rolled back');

-- Cancelling ends statements that would go on for minutes.
SELECT perfopt.start_test('{"users": 3, "duration": "10 min", "scenario": "load_slow"}') AS run \gset
DO $$
BEGIN
  FOR i IN 1 .. 1000 LOOP
    EXIT WHEN (SELECT count(*) = 3 FROM pg_stat_activity WHERE application_name LIKE 'perfopt run%' AND wait_event = 'PgSleep');
    PERFORM pg_sleep(0.02);
    PERFORM pg_stat_clear_snapshot();
  END LOOP;
END $$;
SELECT is((SELECT state FROM perfopt.test_progress(:run)), 'running', 'a long test runs');
SELECT throws_ok('SELECT perfopt.start_test(''{"userz": 3}'')', '22023', NULL, 'an unknown setting is refused');
SELECT ok(perfopt.cancel_test(:run), 'it can be cancelled');
SELECT is(perfopt.wait_test(:run, '10 s'), 'cancelled', 'and is over');
SELECT ok(pg_temp.sessions_end(), 'its statements have ended too');

-- What cannot be run is refused with a reason, before anything is started.
SELECT throws_like('SELECT * FROM perfopt.load_test(users => 0)', '%users%', 'no users');
SELECT throws_like('SELECT * FROM perfopt.load_test(users => 100000)', '%users%', 'more users than perfopt.max_load_users');
SELECT throws_like('SELECT * FROM perfopt.load_test(scenario => ''no_such'')', '%no_such%', 'a scenario that does not exist is named');
SELECT throws_like($$INSERT INTO perfopt.operation (scenario, name, script) VALUES ('load_empty', 'x', 'SELECT :missing')$$,
  '%"missing" at character 8', 'so is a variable that nothing defines');
SELECT throws_like('SELECT * FROM perfopt.load_test(target => ''no_such_server'')', '%no_such_server%', 'so is a target');
SELECT throws_ok('SELECT * FROM perfopt.load_test(rate => 0)', '22023', NULL, 'a rate of nothing');

SELECT * FROM finish();
DELETE FROM perfopt.scenario WHERE name LIKE 'load\_%';
DROP TABLE load_counter;
