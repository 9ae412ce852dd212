-- What simulated users can do: draw values, decide, check results, think, follow one operation with another; by each
-- protocol, with or without connections of their own, when they are ready or at a given rate.
\set QUIET on
\set ON_ERROR_STOP on
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS perfopt;
SELECT plan(57);

CREATE SCHEMA workload;
CREATE TABLE workload.seen (what text, a int8, b text, pid int DEFAULT pg_backend_pid(), at timestamptz DEFAULT clock_timestamp());
CREATE FUNCTION pg_temp.scenario(script text, variables jsonb DEFAULT '{}', checks jsonb DEFAULT '[]', think_time jsonb DEFAULT NULL)
RETURNS void LANGUAGE sql AS $$
  DELETE FROM perfopt.scenario WHERE name = 'workload';
  TRUNCATE workload.seen;
  INSERT INTO perfopt.scenario (name) VALUES ('workload');
  INSERT INTO perfopt.operation (scenario, name, script, variables, checks, think_time)
    VALUES ('workload', 'op', $1, $2, $3, $4);
$$;
-- Runs it and returns with what calls of its operation failed.
CREATE FUNCTION pg_temp.run(config jsonb) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  run bigint := perfopt.start_test('{"scenario": "workload", "users": 2, "duration": "1 s"}'::jsonb || config);
BEGIN
  PERFORM perfopt.wait_test(run);
  PERFORM set_config('workload.run', run::text, false);
  RETURN (SELECT coalesce((SELECT string_agg(k || ': ' || (v ->> 'message'), ', ' ORDER BY k) FROM jsonb_each(sqlstates) e (k, v)),
                          CASE WHEN calls > 0 THEN 'ok' ELSE 'no calls' END)
          FROM perfopt.test_operation WHERE run_id = run AND operation = 'op');
END $$;
CREATE FUNCTION pg_temp.last_run() RETURNS perfopt.test_operation LANGUAGE sql AS $$
  SELECT o FROM perfopt.test_operation o WHERE run_id = current_setting('workload.run')::bigint AND operation = 'op' $$;
CREATE FUNCTION pg_temp.by(protocol text) RETURNS jsonb LANGUAGE sql AS $$ SELECT jsonb_build_object('options', jsonb_build_object('protocol', $1)) $$;

-- Values.
SELECT pg_temp.scenario('INSERT INTO workload.seen (what, a) VALUES (''z'', :z), (''g'', :g), (''e'', :e), (''n'', :n)',
  '{"z": {"zipfian": [1, 1000, 1.5]}, "g": {"gaussian": [1, 1000, 5]}, "e": {"exponential": [1, 1000, 5]}, "n": {"sequence": [5, "6 * 1000000"]}}') \g /dev/null
SELECT is(pg_temp.run('{"options": {"seed": 1}}'), 'ok', 'values are drawn from distributions');
SELECT ok((SELECT avg((a = 1)::int) BETWEEN 0.3 AND 0.5 FROM workload.seen WHERE what = 'z'), 'the first of a zipfian one is frequent');
SELECT ok((SELECT avg(a) BETWEEN 450 AND 550 AND stddev(a) BETWEEN 80 AND 120 FROM workload.seen WHERE what = 'g'), 'a gaussian one is around its middle');
SELECT ok((SELECT avg(a) BETWEEN 150 AND 240 FROM workload.seen WHERE what = 'e'), 'an exponential one is at its begin');
SELECT ok((SELECT min(a) = 5 AND count(DISTINCT a) = count(*) AND max(a) - min(a) + 1 - count(*) <= 2 FROM workload.seen WHERE what = 'n'),
  'a sequence counts over all users, without duplicate, and without gap but for calls that were cut off');

SELECT pg_temp.scenario('INSERT INTO workload.seen (what, b) VALUES (''c'', :c), (''w'', :w), (''q'', :q)',
  '{"c": {"choice": ["x", "it''s", 7]}, "w": {"choice": {"often": 9, "seldom": 1}}, "q": {"query": "SELECT relname, oid FROM pg_catalog.pg_class WHERE relname IN (''pg_class'', ''pg_proc'')"}}') \g /dev/null
SELECT is(pg_temp.run('{}'), 'ok', 'values are chosen');
SELECT is((SELECT array_agg(DISTINCT b ORDER BY b) FROM workload.seen WHERE what = 'c'), '{7,it''s,x}', 'from a list');
SELECT ok((SELECT avg((b = 'often')::int) BETWEEN 0.8 AND 0.97 FROM workload.seen WHERE what = 'w'), 'with weights');
SELECT is((SELECT array_agg(DISTINCT b ORDER BY b) FROM workload.seen WHERE what = 'q'), '{pg_class,pg_proc}', 'from what a query returned before the test');

-- Commands.
CREATE FUNCTION pg_temp.what_commands_did() RETURNS text LANGUAGE sql AS $$
  SELECT concat_ws(' ', (SELECT bool_and(a BETWEEN 12 AND 20) FROM workload.seen WHERE what = 'high'),
    (SELECT bool_and(a = 2) FROM workload.seen WHERE what = 'two'),
    (SELECT bool_and(a BETWEEN 4 AND 10) FROM workload.seen WHERE what = 'low'),
    (SELECT bool_and(a = 40 AND b = 'a''b') FROM workload.seen WHERE what = 'row'),
    (SELECT bool_and(b IS NULL) FROM workload.seen WHERE what = 'null')) $$;
SELECT pg_temp.scenario($script$\set x random(1, 10) * 2
\if :x > 10
INSERT INTO workload.seen (what, a) VALUES ('high', :x);
\elif :x = 2
INSERT INTO workload.seen (what, a) VALUES ('two', :x);
\else
INSERT INTO workload.seen (what, a) VALUES ('low', :x);
\endif
SELECT 40 + :x AS y, 'a''b' AS z, NULL AS nothing \gset p_
INSERT INTO workload.seen (what, a, b) VALUES ('row', :p_y::int8 - :x::int8, :p_z), ('null', NULL, :p_nothing);
$script$) \g /dev/null
SELECT is(pg_temp.run(pg_temp.by('prepared')) || ' ' || pg_temp.what_commands_did(), 'ok t t t t t', 'scripts decide and take over results, prepared');
SELECT is(pg_temp.run(pg_temp.by('extended')) || ' ' || pg_temp.what_commands_did(), 'ok t t t t t', 'extended');
SELECT is(pg_temp.run(pg_temp.by('simple')) || ' ' || pg_temp.what_commands_did(), 'ok t t t t t', 'simple');
SELECT is(pg_temp.run(pg_temp.by('pipeline')) || ' ' || pg_temp.what_commands_did(), 'ok t t t t t', 'and in a pipeline');

SELECT pg_temp.scenario($script$SELECT 1;
\sleep 200 ms
SELECT 2;$script$) \g /dev/null
SELECT is(pg_temp.run(pg_temp.by('pipeline')), 'ok', 'scripts pause');
SELECT ok((pg_temp.last_run()).p50_ms BETWEEN 200 AND 400, 'for so long');

-- What goes wrong in a script is an error of the call, which is rolled back, and the next goes on.
SELECT pg_temp.scenario(E'BEGIN; INSERT INTO workload.seen (what) VALUES (''lost'');\n\\set x 1 / 0\nCOMMIT;') \g /dev/null
SELECT is(pg_temp.run('{}'), '22000: division by zero', 'an expression that fails is an error');
SELECT is(pg_temp.run(pg_temp.by('pipeline')), '22000: division by zero', 'in a pipeline too');
SELECT is_empty('SELECT * FROM workload.seen', 'and is rolled back');
SELECT pg_temp.scenario(E'\\set x 1 / 0\nSELECT 1') \g /dev/null
SELECT is(pg_temp.run('{}'), '22000: division by zero', 'also before anything is sent');
SELECT pg_temp.scenario('BEGIN; SELECT 1') \g /dev/null
SELECT is(pg_temp.run('{}'), '25001: the script ends inside a transaction that it began', 'a transaction that is left open is an error');
SELECT is(pg_temp.run(pg_temp.by('pipeline')), '25001: the script ends inside a transaction that it began', 'in a pipeline too');
SELECT pg_temp.scenario('BEGIN; INSERT INTO workload.seen (what) VALUES (''lost''); SELECT 1 / 0; COMMIT') \g /dev/null
SELECT is(pg_temp.run(pg_temp.by('simple')), '22012: division by zero', 'errors of the server are counted by SQLSTATE');
SELECT is(pg_temp.run(pg_temp.by('pipeline')), '22012: division by zero', 'in a pipeline too');
SELECT is_empty('SELECT * FROM workload.seen', 'and rolled back');

-- Checks.
SELECT pg_temp.scenario('SELECT 1 WHERE false; SELECT ''yes'' FROM generate_series(1, 3)', '{}', '[{"statement": 1, "rows": 0}, {"rows": [2, 4], "value": "yes"}]') \g /dev/null
SELECT is(pg_temp.run('{}'), 'ok', 'results can be checked');
SELECT is(pg_temp.run(pg_temp.by('pipeline')), 'ok', 'in a pipeline too');
SELECT pg_temp.scenario('SELECT ''yes'' FROM generate_series(1, 3)', '{}', '[{"rows": 2}]') \g /dev/null
SELECT is(pg_temp.run('{}'), 'CHECK: 3 rows instead of 2', 'a wrong number of rows is an error');
SELECT pg_temp.scenario('SELECT ''yes''', '{}', '[{"value": "no"}]') \g /dev/null
SELECT is(pg_temp.run('{}'), 'CHECK: the result is yes instead of no', 'so is a wrong value');
SELECT pg_temp.scenario(E'SELECT 1 AS x WHERE false \\gset\nSELECT :x') \g /dev/null
SELECT is(pg_temp.run('{}'), 'CHECK: \gset needs one row, and the statement returned 0', 'and a result that a variable cannot take');

-- What can't be a script is refused when it is defined, with its place.
CREATE FUNCTION pg_temp.refused(script text, message text, variables jsonb DEFAULT '{}', checks jsonb DEFAULT '[]') RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  PERFORM perfopt.check_script('op', script, variables, NULL, checks);
  RETURN fail('refused: ' || message);
EXCEPTION WHEN OTHERS THEN
  RETURN is(sqlerrm, message, 'refused: ' || message);
END $$;
SELECT pg_temp.refused(E'SELECT 1;\n\\if :x', 'script of operation "op": there is no variable "x" at character 15');
SELECT pg_temp.refused(E'SELECT 1;\n\\if 1\nSELECT 2', 'script of operation "op": \if without \endif at character 11');
SELECT pg_temp.refused(E'SELECT 1;\n\\else', 'script of operation "op": there is no \if before at character 11');
SELECT pg_temp.refused(E'\\shell ls', 'script of operation "op": there is no command "\shell" at character 1');
SELECT pg_temp.refused('SELECT :a', 'variable "a" of operation "op" is not defined in a way that is known', '{"a": {"zipfian": [1, 10, 0.5]}}');
SELECT pg_temp.refused('SELECT 1', '"statement" of a load test is out of range: 2', '{}', '[{"statement": 2, "rows": 1}]');

-- Thinking, and what follows what.
SELECT pg_temp.scenario('INSERT INTO workload.seen (what) VALUES (''x'')') \g /dev/null
SELECT is(pg_temp.run('{"users": 10, "duration": "2 s", "options": {"think_time": {"exponential": "0.1 s"}, "seed": 5}}'), 'ok', 'users think at random');
SELECT ok((SELECT count(*) BETWEEN 120 AND 280 FROM workload.seen), 'for as long as it says on average');
SELECT pg_temp.scenario('INSERT INTO workload.seen (what) VALUES (''x'')', think_time => '{"uniform": ["0.1 s", "0.3 s"]}') \g /dev/null
SELECT is(pg_temp.run('{"users": 10, "duration": "2 s"}'), 'ok', 'an operation has a think time of its own');
SELECT ok((SELECT count(*) BETWEEN 70 AND 130 FROM workload.seen), 'which counts');
SELECT pg_temp.scenario('SELECT 1') \g /dev/null
INSERT INTO perfopt.operation (scenario, name, weight, script, next) VALUES
  ('workload', 'buy', 0, 'INSERT INTO workload.seen (what) VALUES (''buy'')', NULL),
  ('workload', 'browse', 1, 'INSERT INTO workload.seen (what) VALUES (''browse'')', '{"browse": 0.5, "buy": 0.25}');
DELETE FROM perfopt.operation WHERE scenario = 'workload' AND name = 'op';
SELECT perfopt.wait_test(perfopt.start_test('{"scenario": "workload", "users": 2, "duration": "1 s"}')) \g /dev/null
SELECT ok((SELECT avg((what = 'buy')::int) BETWEEN 0.15 AND 0.25 FROM workload.seen), 'one operation follows another with its chance');

-- The same update from all: one is refused and tried again.
SELECT pg_temp.scenario('SELECT 1') \g /dev/null
INSERT INTO workload.seen (what, a) VALUES ('counter', 0);
UPDATE perfopt.operation SET script = $$BEGIN ISOLATION LEVEL REPEATABLE READ; UPDATE workload.seen SET a = a + 1 WHERE what = 'counter'; COMMIT$$
WHERE scenario = 'workload';
SELECT is(left(pg_temp.run('{"users": 8}'), 7), '40001: ', 'without retries a serialization failure is an error');
UPDATE workload.seen SET a = 0;
SELECT is(pg_temp.run('{"users": 8, "options": {"retries": 1000}}'), 'ok', 'with them it is not');
SELECT ok((SELECT sum(retries) > 0 FROM perfopt.test_interval WHERE run_id = current_setting('workload.run')::bigint), 'but counted');
SELECT cmp_ok((SELECT a FROM workload.seen), '>=', (pg_temp.last_run()).calls, 'and every call has done its work');

-- Fewer connections than users.
SELECT pg_temp.scenario('INSERT INTO workload.seen (what) SELECT ''x'' FROM pg_sleep(0.02)') \g /dev/null
SELECT is(pg_temp.run('{"users": 20, "duration": "2 s", "options": {"connections": 3}}'), 'ok', 'users share connections');
SELECT is((SELECT count(DISTINCT pid) FROM workload.seen), 3::bigint, 'so many');
SELECT ok((SELECT (o).p50_ms BETWEEN 100 AND 250 FROM pg_temp.last_run() o), 'and waiting for one counts as response time');

-- One that breaks while nobody uses it is not handed out, nor twice when it is back.
SELECT pg_temp.scenario('INSERT INTO workload.seen (what) SELECT ''x'' FROM pg_sleep(0.02)') \g /dev/null
SELECT perfopt.start_test('{"scenario": "workload", "users": 10, "duration": "6 s", "think_time": "0.1 s", "options": {"connections": 3}}'::jsonb) AS run \gset
CREATE FUNCTION pg_temp.break_idle(run bigint) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
  victim int;
BEGIN
  FOR i IN 1 .. 500 LOOP
    PERFORM pg_stat_clear_snapshot();
    IF (SELECT calls > 10 FROM perfopt.test_progress(run)) THEN
      -- The one that would be used next, while another waits behind it.
      SELECT max(pid) FILTER (WHERE n = 1) INTO victim
      FROM (SELECT pid, row_number() OVER (ORDER BY state_change DESC) AS n FROM pg_stat_activity
            WHERE application_name = 'perfopt run ' || run AND state = 'idle') s HAVING count(*) >= 2;
      IF pg_terminate_backend(victim) THEN
        RETURN victim;
      END IF;
    END IF;
    PERFORM pg_sleep(0.01);
  END LOOP;
  RETURN NULL;
END $$;
SELECT pg_temp.break_idle(:run) AS broken \gset
SELECT cmp_ok(:broken, '>', 0, 'a free connection of a pool breaks');
SELECT is(perfopt.wait_test(:run, '20 s'), 'finished', 'and the test goes on to its end');
SELECT is((SELECT connections_lost FROM perfopt.test_run WHERE run_id = :run), 1::bigint, 'with it made again');
SELECT is((SELECT count(DISTINCT pid) FROM workload.seen WHERE pid <> :broken AND at > (SELECT max(at) - interval '2 s' FROM workload.seen)), 3::bigint, 'and all of them in use');

-- A rate: calls arrive whether or not others have ended.
SELECT pg_temp.scenario('INSERT INTO workload.seen (what) VALUES (''x'')') \g /dev/null
SELECT is(pg_temp.run('{"users": 20, "duration": "4 s", "rate": 200, "options": {"arrivals": "even"}}'), 'ok', 'calls arrive at a rate');
SELECT ok((SELECT (o).throughput BETWEEN 196 AND 204 FROM pg_temp.last_run() o), 'which is kept');
SELECT pg_temp.scenario('SELECT pg_sleep(0.05)') \g /dev/null
SELECT is(pg_temp.run('{"users": 1, "duration": "2 s", "rate": 40, "options": {"arrivals": "even"}}'), 'ok', 'twice what one user can do');
SELECT ok((SELECT (o).max_ms > 700 FROM pg_temp.last_run() o), 'makes calls wait, and the wait is counted');
SELECT ok((SELECT unserved BETWEEN 25 AND 60 FROM perfopt.test_run WHERE run_id = current_setting('workload.run')::bigint), 'those that never began are counted too');
SELECT pg_temp.scenario('SELECT 1') \g /dev/null
SELECT pg_temp.run('{"users": 20, "duration": "2 s", "rate": 500}') \g /dev/null
SELECT cmp_ok((SELECT unserved FROM perfopt.test_run WHERE run_id = current_setting('workload.run')::bigint), '<=', 20::bigint, 'chance alone leaves none');

SELECT * FROM finish();
DELETE FROM perfopt.scenario WHERE name = 'workload';
DROP SCHEMA workload CASCADE;
