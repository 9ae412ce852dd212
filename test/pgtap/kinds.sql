-- What each kind of test finds out, against targets whose answer is known: a capacity, a queue that fills and empties,
-- work that grows with the data; thresholds and verdicts; templates; and that a procedure waits without a snapshot.
\set QUIET on
\set ON_ERROR_STOP on
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS dblink;
CREATE EXTENSION IF NOT EXISTS perfopt;
SELECT plan(64);

INSERT INTO perfopt.scenario (name) VALUES ('kinds'), ('kinds_quick'), ('kinds_mixed');
-- One at a time for ten milliseconds: a hundred a second and no more.
INSERT INTO perfopt.operation (scenario, name, script) VALUES
  ('kinds', 'queue', 'SELECT pg_advisory_xact_lock(4711), pg_sleep(0.01)'),
  ('kinds_quick', 'quick', 'SELECT 1'),
  ('kinds_mixed', 'quick', 'SELECT 1'),
  ('kinds_mixed', 'slow', 'SELECT pg_sleep(0.05)');
CREATE FUNCTION pg_temp.run(config jsonb) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  run bigint := perfopt.start_test(config);
BEGIN
  PERFORM perfopt.wait_test(run);
  PERFORM set_config('kinds.run', run::text, false);
END $$;
CREATE TEMP VIEW t AS SELECT * FROM perfopt.test_run WHERE run_id = current_setting('kinds.run')::bigint;

-- A warm-up, which runs beside the next ones: 200 ms a call for twenty seconds, and 50 ms from then on.
CREATE TABLE kinds_warm AS SELECT clock_timestamp() + interval '20 s' AS until;
INSERT INTO perfopt.scenario (name) VALUES ('kinds_warm');
INSERT INTO perfopt.operation (scenario, name, script) VALUES
  ('kinds_warm', 'op', 'SELECT pg_sleep(CASE WHEN clock_timestamp() < until THEN 0.2 ELSE 0.05 END) FROM kinds_warm');
SELECT perfopt.start_test('{"scenario": "kinds_warm", "users": 2, "duration": "75 s"}'::jsonb) AS warm \gset

-- Thresholds.
SELECT pg_temp.run('{"scenario": "kinds_mixed", "users": 2, "duration": "2 s",
  "thresholds": {"errors": 0, "throughput": 5, "slow": {"p50_ms": 30}, "quick": {"p50_ms": 30}}}') \g /dev/null
SELECT is((SELECT verdict FROM t), 'failed', 'a broken threshold fails the test');
SELECT is(jsonb_path_query_array((SELECT violations FROM t), '$[*].operation')::text || jsonb_path_query_array((SELECT violations FROM t), '$[*].metric')::text,
  '["slow"]["p50_ms"]', 'and is named, with its operation, and no other');
SELECT ok(((SELECT violations FROM t) -> 0 ->> 'value')::float8 BETWEEN 49 AND 100, 'with the value that broke it');
SELECT pg_temp.run('{"scenario": "kinds_mixed", "users": 2, "duration": "1 s", "thresholds": {"error_pct": 1, "p95_ms": 1000}}') \g /dev/null
SELECT is((SELECT verdict FROM t), 'passed', 'a test that keeps to all of them passes');
SELECT pg_temp.run('{"scenario": "kinds_mixed", "users": 2, "duration": "1 s"}') \g /dev/null
SELECT is((SELECT verdict FROM t), NULL, 'one without thresholds is not judged');
SELECT pg_temp.run('{"scenario": "kinds_mixed", "users": 2, "duration": "60 s",
  "thresholds": {"slow": {"p90_ms": {"limit": 20, "window": "2 s", "abort_on_fail": true}}}}') \g /dev/null
SELECT is((SELECT verdict FROM t) || ' ' || (SELECT state FROM t), 'failed finished', 'a threshold with a window is watched');
SELECT ok((SELECT finished_at FROM t) - (SELECT started_at FROM t) < '10 s', 'and can end the test');
SELECT ok(((SELECT violations FROM t) -> 0 ->> 'aborted')::boolean, 'which says so');
SELECT throws_ok($$SELECT perfopt.start_test('{"thresholds": {"p95": 3}}'::jsonb)$$, '22023', 'there is no threshold "p95"', 'an unknown threshold is refused');
SELECT throws_ok($$SELECT perfopt.start_test('{"scenario": "kinds", "thresholds": {"slow": {"p95_ms": 3}}}'::jsonb)$$, '42704',
  'there is a threshold for "slow", which scenario "kinds" does not have', 'so is one of an operation that is not there');

-- Intervals.
SELECT pg_temp.run('{"scenario": "kinds_quick", "users": 2, "duration": "2 s"}') \g /dev/null
SELECT ok((SELECT p95_low_ms <= p95_ms AND p95_ms <= p95_high_ms AND p95_high_ms < 2 * p95_low_ms AND p99_low_ms <= p99_ms AND p99_ms <= p99_high_ms
           FROM perfopt.test_operation WHERE run_id = (SELECT run_id FROM t)), 'percentiles have intervals');
SELECT ok((SELECT service_p95_ms <= p95_ms * 1.01 FROM perfopt.test_operation WHERE run_id = (SELECT run_id FROM t)), 'service is not longer than response');
SELECT is((SELECT steady FROM t), 'too short to tell', 'two seconds say nothing of a steady state');
SELECT pg_temp.run('{"scenario": "kinds", "users": 1, "duration": "1 s"}') \g /dev/null
SELECT ok((SELECT p99_ms IS NULL AND p95_ms > 0 FROM perfopt.test_operation WHERE run_id = (SELECT run_id FROM t)), 'a hundred calls have no p99');
SELECT ok((SELECT bool_and(p99_ms IS NULL) FROM perfopt.test_report((SELECT run_id FROM t))), 'nor has their total');

-- Breaking point.
SELECT pg_temp.run('{"kind": "stress", "scenario": "kinds", "users": 30, "rate": 40, "max_rate": 300, "duration": "0.5 s",
  "thresholds": {"p50_ms": 150}, "options": {"settle": "0.3 s", "arrivals": "even"}}') \g /dev/null
SELECT cmp_ok((SELECT breaking_point FROM t), '>', 50::float8, 'a stress test by rate finds the capacity of a hundred a second, less what a busy machine takes');
SELECT cmp_ok((SELECT breaking_point FROM t), '<', 105::float8, 'and not over 105');
SELECT is((SELECT outcome FROM t) ->> 'state' || ' ' || ((SELECT outcome FROM t) ->> 'unit'), 'found calls/s', 'and says what it is');
SELECT ok(((SELECT outcome FROM t) ->> 'failed')::float8 > (SELECT breaking_point FROM t) AND jsonb_array_length((SELECT outcome FROM t) -> 'trials') >= 4
          AND (SELECT outcome FROM t) ->> 'criterion' IS NOT NULL AND ((SELECT outcome FROM t) ->> 'peak_throughput')::float8 BETWEEN 50 AND 105,
          'with the interval, the criterion, the trials and the greatest throughput');
SELECT ok((SELECT outcome #>> '{saturated,top_wait}' IN ('Lock:advisory', 'Timeout:PgSleep') FROM t), 'and what the calls were waiting for when it failed');
SELECT ok((SELECT throughput BETWEEN 45 AND 105 FROM perfopt.test_report((SELECT run_id FROM t)) WHERE operation = 'total'), 'its report is of the verification');
SELECT pg_temp.run('{"kind": "stress", "scenario": "kinds", "users": 2, "max_users": 20, "duration": "0.5 s",
  "thresholds": {"p50_ms": 115}, "options": {"settle": "0.3 s"}}') \g /dev/null
SELECT ok((SELECT breaking_point FROM t) BETWEEN 5 AND 11, 'one by users finds that some ten of them wait a hundred milliseconds');
SELECT pg_temp.run('{"kind": "stress", "scenario": "kinds", "users": 1, "max_users": 4, "duration": "0.3 s",
  "thresholds": {"p50_ms": 1000}, "options": {"settle": "0.1 s"}}') \g /dev/null
SELECT is((SELECT outcome FROM t) ->> 'state' || ' ' || (SELECT breaking_point FROM t), 'no limit up to the maximum 4', 'one that finds no limit says so');
SELECT pg_temp.run('{"kind": "stress", "scenario": "kinds", "users": 2, "max_users": 4, "duration": "0.3 s",
  "thresholds": {"p50_ms": 1}, "options": {"settle": "0.1 s"}}') \g /dev/null
SELECT is((SELECT outcome ->> 'state' || coalesce(' ' || breaking_point, '') FROM t), 'too much from the start', 'so does one whose least load is too much');
SELECT pg_temp.run('{"kind": "stress", "scenario": "kinds", "users": 2, "max_users": 20, "duration": "0.5 s",
  "thresholds": {"p50_ms": 115}, "options": {"settle": "0.3 s", "connections": 2}}') \g /dev/null
SELECT ok((SELECT breaking_point BETWEEN 5 AND 11 AND connections = 2 FROM t), 'nor does it matter whether they share two sessions');
SELECT throws_ok($$SELECT perfopt.start_test('{"kind": "stress", "scenario": "kinds"}'::jsonb)$$, '22023',
  'a stress test needs a threshold to tell what is too slow', 'a stress test without a threshold is refused');
SELECT throws_ok($$SELECT perfopt.start_test('{"scenario": "kinds", "max_users": 20}'::jsonb)$$, '22023',
  '"max_users" has no meaning for a test of kind "load"', 'and what belongs to another kind');

-- Spike: 30 users on a queue of 10 ms each wait 300 ms; one does not.
SELECT pg_temp.run('{"kind": "spike", "scenario": "kinds", "users": 1, "spike_users": 30, "duration": "3 s", "spike_duration": "3 s",
  "recovery": "5 s"}') \g /dev/null
SELECT is((SELECT max(users) FROM (SELECT ts, max(users) AS users FROM perfopt.test_interval WHERE run_id = (SELECT run_id FROM t) GROUP BY ts) s), 31, 'a spike adds its users');
SELECT ok(((SELECT outcome FROM t) -> 'during' ->> 'p95_ms')::float8 > 5 * ((SELECT outcome FROM t) -> 'before' ->> 'p95_ms')::float8, 'its outcome compares before and during');
SELECT ok(((SELECT outcome FROM t) ->> 'recovery_s')::float8 BETWEEN 0 AND 2, 'and tells when all was as before');

-- Endurance.
SELECT throws_ok($$SELECT perfopt.start_test('{"kind": "endurance", "scenario": "kinds_quick", "duration": "10 s"}'::jsonb)$$, '22023',
  'an endurance test lasts an hour at least, not 10 s', 'a short endurance test is refused');
CREATE TABLE kinds_growing (n int);
INSERT INTO kinds_growing VALUES (0);
INSERT INTO perfopt.scenario (name) VALUES ('kinds_slower');
-- Each call sleeps a little longer than the one before.
INSERT INTO perfopt.operation (scenario, name, script) VALUES ('kinds_slower', 'slower',
  'UPDATE kinds_growing SET n = n + 1; SELECT pg_sleep(0.02 + n * 0.0001) FROM kinds_growing');
SELECT pg_temp.run('{"kind": "endurance", "scenario": "kinds_slower", "users": 1, "duration": "12 s", "options": {"allow_short": true}}') \g /dev/null
SELECT is((SELECT direction FROM perfopt.endurance_drift((SELECT run_id FROM t)) WHERE what = 'p95'), 'rises', 'it sees that calls take longer and longer');
SELECT is((SELECT direction FROM perfopt.endurance_drift((SELECT run_id FROM t)) WHERE what = 'throughput'), 'falls', 'and that there are fewer');
SELECT ok((SELECT outcome FROM t) -> 'p95' ->> 'direction' = 'rises', 'which is kept');

-- Volume: reading all of it, and one row of it by its key.
INSERT INTO perfopt.scenario (name, dataset) VALUES ('kinds_volume', 'integration');
INSERT INTO perfopt.operation (scenario, name, script, variables) VALUES
  ('kinds_volume', 'scan', 'SELECT pg_sleep(count(*) / 2e6) FROM entity', '{}'),
  ('kinds_volume', 'key', 'SELECT pg_sleep(0.01) FROM entity WHERE entity_id = :id', '{"id": {"uniform": [1, "(SELECT max(entity_id) FROM entity)"]}}');
CREATE TEMP TABLE volume AS SELECT * FROM perfopt.volume_test('{1,2,4}', users => 1, duration => '1 s', scenario => 'kinds_volume');
SELECT ok((SELECT exponent BETWEEN 0.6 AND 1.4 FROM volume WHERE operation = 'scan'), 'a scan grows with the data');
SELECT ok((SELECT exponent BETWEEN -0.5 AND 0.5 FROM volume WHERE operation = 'key'), 'a look-up by key hardly does');
SELECT is((SELECT count(*) FROM pg_namespace WHERE nspname = 'volume_test_data'), 0::bigint, 'its data are dropped');
SELECT throws_ok($$SELECT * FROM perfopt.volume_test('{1,2}')$$, '22023', NULL, 'two sizes are too few');
SELECT ok((SELECT abs(exponent - 2) < 1e-9 AND low > 1.9 FROM perfopt.power_fit('{1,2,4,8}', '{3,12,48,192}')), 'an exponent is fitted');

-- What the server did meanwhile.
CREATE EXTENSION IF NOT EXISTS pg_stat_statements;
INSERT INTO perfopt.scenario (name) VALUES ('kinds_work');
CREATE TABLE kinds_work (n int, text text);
INSERT INTO perfopt.operation (scenario, name, script) VALUES ('kinds_work', 'write', 'INSERT INTO kinds_work SELECT i, repeat(''x'', 100) FROM generate_series(1, 50) i'),
  ('kinds_work', 'wait', 'SELECT pg_sleep(0.02)');
SELECT pg_temp.run('{"scenario": "kinds_work", "users": 3, "duration": "3 s"}') \g /dev/null
SELECT perfopt.collect_now() \g /dev/null
SELECT is((SELECT wait_event FROM perfopt.test_waits((SELECT run_id FROM t)) WHERE operation = 'wait' LIMIT 1), 'PgSleep', 'what an operation waited for is known');
SELECT ok((SELECT (resources ->> 'rows')::float8 BETWEEN 49 AND 51 AND (resources ->> 'wal_bytes')::float8 > 50 * 100 AND (resources ->> 'exec_ms')::float8 > 0
           FROM perfopt.test_operation WHERE run_id = (SELECT run_id FROM t) AND operation = 'write'), 'and what its calls used');
SELECT ok((SELECT (resources ->> 'wal_bytes')::float8 < 10 FROM perfopt.test_operation WHERE run_id = (SELECT run_id FROM t) AND operation = 'wait'),
  'each its own');
SELECT pg_temp.run('{"scenario": "kinds_quick", "users": 1, "duration": "1 s"}') \g /dev/null
SELECT is((SELECT count(*) FROM perfopt.test_blockers((SELECT run_id FROM t))), 0::bigint, 'nobody blocked a test that takes no locks');
-- Somebody holds the lock that its calls want, while a checkpoint is made.
INSERT INTO perfopt.scenario (name) VALUES ('kinds_blocked');
INSERT INTO perfopt.operation (scenario, name, script) VALUES ('kinds_blocked', 'op', 'SELECT pg_advisory_xact_lock(4712)');
SELECT format('host=%s port=%s dbname=%s user=%s', split_part(current_setting('unix_socket_directories'), ',', 1), current_setting('port'),
  current_database(), current_user) AS here \gset
SELECT dblink_connect('holder', :'here') \g /dev/null
SELECT pid FROM dblink('holder', 'SELECT pg_advisory_lock(4712)::text, pg_backend_pid()') AS h (locked text, pid int) \gset
SELECT perfopt.start_test('{"scenario": "kinds_blocked", "users": 2, "duration": "3 s"}'::jsonb) AS run \gset
DO $$
BEGIN
  FOR i IN 1 .. 500 LOOP
    EXIT WHEN (SELECT count(*) = 2 FROM pg_locks WHERE locktype = 'advisory' AND objid = 4712 AND NOT granted);
    PERFORM pg_sleep(0.01);
  END LOOP;
END $$;
CHECKPOINT;
SELECT perfopt.collect_now() \g /dev/null
SELECT dblink_disconnect('holder') \g /dev/null
SELECT perfopt.wait_test(:run) \g /dev/null
SELECT is((SELECT blocker_pid || ' ' || waiters FROM perfopt.test_blockers(:run) LIMIT 1), :pid || ' 2', 'who blocked its calls is known, and how many');
SELECT ok(EXISTS (SELECT FROM perfopt.test_marks(:run) WHERE what = 'checkpoint'), 'a checkpoint in the midst of it is marked');

-- A/B: the same work, but that one variant takes twice as long; and the same twice.
INSERT INTO perfopt.scenario (name) VALUES ('kinds_ab');
INSERT INTO perfopt.operation (scenario, name, script) VALUES ('kinds_ab', 'op', 'SELECT pg_sleep(0.006)');
CREATE TEMP TABLE ab AS SELECT * FROM perfopt.ab_test('{"scenario": "kinds_ab", "users": 3, "duration": "16 s", "options": {"slot": "0.4 s"}}',
  '{}', '{"scripts": {"op": "SELECT pg_sleep(0.014)"}, "settings": {"work_mem": "5MB"}}');
SELECT ok((SELECT bool_or(verdict = 'REGRESSION') AND bool_and(verdict <> 'IMPROVEMENT') FROM ab WHERE operation = 'op' AND metric IN ('throughput', 'p50_ms')),
  'the slower of two variants is found');
SELECT ok((SELECT change_pct BETWEEN -70 AND -35 FROM ab WHERE operation = 'op' AND metric = 'throughput'), 'with how much slower it is');
SELECT ok((SELECT count(*) BETWEEN 36 AND 40 AND count(DISTINCT pair) * 2 = count(*) FROM perfopt.test_slot
           WHERE run_id = (SELECT max(run_id) FROM perfopt.test_run)), 'slots go in pairs');
SELECT is_empty($$SELECT * FROM perfopt.ab_test('{"scenario": "kinds_ab", "users": 3, "duration": "10 s", "options": {"slot": "0.4 s"}}', '{}', '{}')
  WHERE verdict = 'REGRESSION'$$, 'two that are the same are not called different');
-- What a variant can be: the settings of a role, and settings by name; the script tells what it sees.
CREATE ROLE kinds_role;
ALTER ROLE kinds_role SET work_mem = '7MB';
INSERT INTO perfopt.scenario (name) VALUES ('kinds_seen');
INSERT INTO perfopt.operation (scenario, name, script, checks) VALUES
  ('kinds_seen', 'op', 'SELECT current_setting(''work_mem'') FROM pg_sleep(0.01)', '[{"value": "7MB"}]');
SELECT perfopt.wait_test(perfopt.start_test('{"kind": "ab", "scenario": "kinds_seen", "users": 1, "duration": "2.7 s", "options": {"slot": "0.2 s"},
  "variant_a": {"settings": {"work_mem": "6MB"}}, "variant_b": {"role": "kinds_role"}}'::jsonb)) \g /dev/null
SELECT is((SELECT string_agg(DISTINCT variant || ' ' || (errors > 0) || ' ' || (errors = calls), ', ') FROM perfopt.test_slot
           WHERE run_id = (SELECT max(run_id) FROM perfopt.test_run)), 'a true true, b false false', 'sessions of a variant have its settings');
SELECT is((SELECT count(*) FROM perfopt.test_slot WHERE run_id = (SELECT max(run_id) FROM perfopt.test_run) AND pair > 5), 0::bigint,
  'what is left after the last pair counts for nobody');
CREATE SERVER kinds_other TYPE 'postgres' FOREIGN DATA WRAPPER perfopt OPTIONS (options '-c work_mem=7MB');
CREATE USER MAPPING FOR CURRENT_USER SERVER kinds_other;
SELECT perfopt.wait_test(perfopt.start_test('{"kind": "ab", "scenario": "kinds_seen", "users": 1, "duration": "2.7 s", "options": {"slot": "0.2 s"},
  "variant_a": {}, "variant_b": {"target": "kinds_other"}}'::jsonb)) \g /dev/null
SELECT is((SELECT string_agg(DISTINCT variant || ' ' || (errors = calls), ', ') FROM perfopt.test_slot
           WHERE run_id = (SELECT max(run_id) FROM perfopt.test_run)), 'a true, b false', 'a variant can be another target');
DROP SERVER kinds_other CASCADE;
SELECT throws_ok($$SELECT perfopt.start_test('{"kind": "ab", "scenario": "kinds_seen", "variant_a": {}, "variant_b": {"role": "kinds_nobody"}}'::jsonb)$$, '42704',
  'role "kinds_nobody" of a variant does not exist', 'a role that is not there is refused');
DROP ROLE kinds_role;
SELECT throws_ok($$SELECT perfopt.ab_test('{"scenario": "kinds_ab"}', '{}', '{"scripts": {"nop": "SELECT 1"}}')$$, '42704',
  'a variant has a script for "nop", which scenario "kinds_ab" does not have', 'a script of no operation is refused');

-- Templates.
SELECT perfopt.wait_test(perfopt.start_test('smoke', '{"scenario": "kinds_quick", "duration": "1 s"}')) AS state \gset
SELECT is(:'state'::text, 'finished', 'a template runs, with what overrides it');
SELECT is((SELECT config ->> 'users' || ' ' || verdict FROM perfopt.test_run ORDER BY run_id DESC LIMIT 1), '1 passed', 'and is judged by its thresholds');
SELECT throws_ok($$SELECT perfopt.start_test('no_such')$$, '42704', 'there is no template "no_such"', 'an unknown template is refused');
SELECT throws_ok($$INSERT INTO perfopt.test_template (name, description, config) VALUES ('bad', '', '{"userz": 1}')$$, '22023',
  'a load test has no setting "userz"', 'so is one with settings that no test has');
SELECT lives_ok($$DO 'DECLARE c jsonb; BEGIN FOR c IN SELECT config FROM perfopt.test_template LOOP PERFORM perfopt.check_test(c); END LOOP; END'$$,
  'those that come with it are good');

-- The warm-up is over by now.
SELECT perfopt.wait_test(:warm) \g /dev/null
SELECT is((SELECT steady || ' ' || (measured_from >= clock_at + interval '15 s') FROM perfopt.test_run WHERE run_id = :warm), 'steady true',
  'warm-up is found and left out');
SELECT ok((SELECT max_ms < 150 AND p50_ms BETWEEN 50 AND 90 AND throughput BETWEEN 22 AND 40 FROM perfopt.test_report(:warm) WHERE operation = 'op'),
  'of what a test reports');

-- Waiting without a snapshot.
SELECT throws_ok($$CALL perfopt.run_test('{"scenario": "kinds_quick"}')$$, '2D000', NULL, 'run_test refuses to be called in a transaction');
SELECT dblink_connect('runner', :'here'), dblink_send_query('runner', $$CALL perfopt.run_test('{"scenario": "kinds_quick", "users": 1, "duration": "2 s", "options": {"progress": 0}}')$$) \g /dev/null
CREATE FUNCTION pg_temp.caller_waits() RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  FOR i IN 1 .. 500 LOOP
    PERFORM pg_stat_clear_snapshot();
    IF EXISTS (SELECT FROM pg_stat_activity WHERE application_name LIKE 'perfopt run%') THEN
      RETURN (SELECT coalesce(backend_xmin::text, 'none') || ' ' || coalesce(backend_xid::text, 'none') FROM pg_stat_activity WHERE query LIKE 'CALL perfopt.run_test%');
    END IF;
    PERFORM pg_sleep(0.01);
  END LOOP;
  RETURN 'it does not run';
END $$;
SELECT is(pg_temp.caller_waits(), 'none none', 'whoever calls run_test holds neither a snapshot nor a transaction id');
SELECT run_id FROM dblink_get_result('runner') AS d (run_id bigint) \gset
SELECT is((SELECT state FROM perfopt.test_run WHERE run_id = :run_id), 'finished', 'and gets the run''s id at its end');
SELECT dblink_disconnect('runner') \g /dev/null

SELECT * FROM finish();
DELETE FROM perfopt.scenario WHERE name LIKE 'kinds%';
DROP TABLE kinds_growing, kinds_work, kinds_warm;
