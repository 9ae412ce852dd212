-- Comparing load tests: rows made by hand for every verdict and refusal, then real tests that run again.
\set QUIET on
\set ON_ERROR_STOP on
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS dblink;
CREATE EXTENSION IF NOT EXISTS perfopt;
SELECT plan(89);

CREATE FUNCTION pg_temp.normal() RETURNS float8 LANGUAGE sql VOLATILE AS $$
  SELECT sqrt(-2 * ln(1 - random())) * cos(2 * pi() * random()) $$;
-- A run without any result.
CREATE FUNCTION pg_temp.run(kind text DEFAULT 'load', state text DEFAULT 'finished', verdict text DEFAULT NULL,
  fingerprint jsonb DEFAULT '{"version": "15.20", "settings": {"work_mem": "4096 kB"}, "workload": {"users": 5}, "data": {"buy.id": 1000}}')
RETURNS bigint LANGUAGE sql AS $$
  INSERT INTO perfopt.test_run (kind, scenario, config, state, target, users, requested_by, verdict, invalid_reason, problem,
    measured_from, measured_until, fingerprint)
  VALUES ($1, 'compare_made', '{}', $2, 'perfopt_local', 5, 'compare', $3, CASE $3 WHEN 'invalid' THEN 'the generator was busy' END,
    CASE $2 WHEN 'failed' THEN 'it broke' END, '2026-01-01 00:00Z', '2026-01-01 00:01Z', $4)
  RETURNING run_id $$;
-- Response times of a slot or second: always the same distribution, times the level.
CREATE FUNCTION pg_temp.times(level float8, n int DEFAULT 250) RETURNS perfopt.histogram LANGUAGE sql AS $$
  SELECT perfopt.histogram(level * 10 / (1 - (g - 0.5::float8) / n) ^ 0.3::float8) FROM generate_series(1, n) g $$;
-- An A/B test of so many pairs with noise in each slot; b is slower by a factor, and a share of its calls fails.
CREATE FUNCTION pg_temp.ab(seed float8, pairs int, noise float8, slower float8, errors float8 DEFAULT 0) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
  run bigint := pg_temp.run('ab');
BEGIN
  PERFORM setseed(seed);
  INSERT INTO perfopt.test_slot
    SELECT run, pair, variant, operation, 1, 1000 / level, CASE variant WHEN 'b' THEN errors * 1000 / level ELSE 0 END, pg_temp.times(level)
    FROM (SELECT pair, variant, operation, exp(noise * pg_temp.normal()) * CASE variant WHEN 'b' THEN slower ELSE 1 END AS level
          FROM generate_series(1, pairs) pair, (VALUES ('a'), ('b')) v (variant), (VALUES ('buy'), ('look')) o (operation)) s;
  RETURN run;
END $$;
-- A finished run of so many seconds, all of one operation.
CREATE FUNCTION pg_temp.finished(seed float8, seconds int, noise float8, level float8, errors float8 DEFAULT 0) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
  run bigint := pg_temp.run();
BEGIN
  PERFORM setseed(seed);
  UPDATE perfopt.test_run SET measured_until = measured_from + make_interval(secs => seconds) WHERE run_id = run;
  -- seconds of ramp before and after are not to be looked at
  INSERT INTO perfopt.test_interval (run_id, ts, operation, worker, calls, errors, users, latency)
    SELECT run, '2026-01-01 00:00Z'::timestamptz + make_interval(secs => second), 'buy', worker, 500 / slow, errors * 500 / slow, 5, pg_temp.times(slow)
    FROM (SELECT second, worker, CASE WHEN second BETWEEN 0 AND seconds - 1 THEN level * exp(noise * pg_temp.normal()) ELSE 100 END AS slow
          FROM generate_series(-3, seconds + 2) second, generate_series(0, 1) worker) s;
  INSERT INTO perfopt.test_operation (run_id, operation, calls, errors, throughput, p50_ms, p95_ms, p99_ms, latency)
    SELECT run, 'buy', sum(calls), sum(i.errors), sum(calls - i.errors)::float8 / seconds, perfopt.quantile(perfopt.merge(latency), 0.5),
           perfopt.quantile(perfopt.merge(latency), 0.95), perfopt.quantile(perfopt.merge(latency), 0.99), perfopt.merge(latency)
    FROM perfopt.test_interval i
    WHERE run_id = run AND ts >= '2026-01-01 00:00Z' AND ts < '2026-01-01 00:00Z'::timestamptz + make_interval(secs => seconds);
  RETURN run;
END $$;
CREATE FUNCTION pg_temp.verdicts(run bigint, who text) RETURNS text LANGUAGE sql AS $$
  SELECT string_agg(metric || ' ' || verdict, ', ') FROM perfopt.compare_slots(run) WHERE operation = who $$;

-- A/B tests: every verdict.
SELECT pg_temp.ab(0.1, 60, 0.04, 1) AS same, pg_temp.ab(0.2, 60, 0.04, 1.25) AS slower, pg_temp.ab(0.3, 60, 0.04, 0.75) AS faster,
       pg_temp.ab(0.4, 60, 0.4, 1.1) AS noisy, pg_temp.ab(0.5, 60, 0.04, 1, 0.02) AS failing, pg_temp.ab(0.6, 3, 0.04, 1.25) AS short \gset
SELECT is((SELECT array_agg(operation || '.' || metric) FROM perfopt.compare_slots(:same)),
  ARRAY(SELECT o || '.' || m FROM unnest('{buy,look,total}'::text[]) WITH ORDINALITY o (o, i),
        unnest('{throughput,p50_ms,p95_ms,p99_ms,error_pct}'::text[]) WITH ORDINALITY m (m, j) ORDER BY i, j),
  'a row for each operation, and of all, and metric');
SELECT is(pg_temp.verdicts(:same, 'total'),
  'throughput NO_REGRESSION, p50_ms NO_REGRESSION, p95_ms NO_REGRESSION, p99_ms NO_REGRESSION, error_pct NO_REGRESSION', 'the same twice is no regression');
SELECT is(pg_temp.verdicts(:slower, 'total'),
  'throughput REGRESSION, p50_ms REGRESSION, p95_ms REGRESSION, p99_ms REGRESSION, error_pct NO_REGRESSION', 'slower by a quarter is one');
SELECT is(pg_temp.verdicts(:faster, 'buy'),
  'throughput IMPROVEMENT, p50_ms IMPROVEMENT, p95_ms IMPROVEMENT, p99_ms IMPROVEMENT, error_pct NO_REGRESSION', 'and faster an improvement');
SELECT ok((SELECT bool_and(verdict = 'INCONCLUSIVE') FROM perfopt.compare_slots(:noisy) WHERE metric <> 'error_pct'), 'where noise is too great, nothing is said');
SELECT ok((SELECT bool_and(n_needed > n) FROM perfopt.compare_slots(:noisy) WHERE verdict = 'INCONCLUSIVE'), 'but how many slots would tell');
SELECT ok((SELECT bool_and(n_needed IS NULL) FROM perfopt.compare_slots(:slower) WHERE verdict <> 'INCONCLUSIVE'), 'which is empty where it is decided');
SELECT is(pg_temp.verdicts(:failing, 'total'),
  'throughput NO_REGRESSION, p50_ms NO_REGRESSION, p95_ms NO_REGRESSION, p99_ms NO_REGRESSION, error_pct REGRESSION', 'errors are a regression of their own');
SELECT is((SELECT format('%s %s', a, round(b::numeric, 1)) FROM perfopt.compare_slots(:failing) WHERE operation = 'total' AND metric = 'error_pct'), '0 2.0', 'in percent of calls');
SELECT ok((SELECT change_pct BETWEEN 1.9 AND 2.1 AND low_pct > 1.5 AND high_pct < 2.5 FROM perfopt.compare_slots(:failing) WHERE operation = 'total' AND metric = 'error_pct'),
  'and their change in points');
SELECT ok((SELECT bool_and(change_pct BETWEEN 22 AND 28 AND low_pct < change_pct AND change_pct < high_pct AND high_pct - low_pct < 8 AND p_value < 1e-4)
           FROM perfopt.compare_slots(:slower) WHERE metric IN ('p50_ms', 'p95_ms')), 'the change is in percent, with its interval');
SELECT ok((SELECT bool_and(change_pct BETWEEN -22 AND -18) FROM perfopt.compare_slots(:slower) WHERE metric = 'throughput'), 'of throughput it is a fall');
SELECT ok((SELECT b / a BETWEEN 1.2 AND 1.3 FROM perfopt.compare_slots(:slower) WHERE operation = 'look' AND metric = 'p95_ms'), 'a and b are of all slots');
SELECT is((SELECT array_agg(n) FROM perfopt.compare_slots(:slower) WHERE operation = 'look'), '{60,60,60,15,60}',
  'a p99 takes 1,000 calls, so four slots of 250 go together');
SELECT ok((SELECT bool_and(verdict = 'INCONCLUSIVE' AND low_pct IS NULL AND high_pct IS NULL AND n_needed IS NULL AND change_pct IS NOT NULL)
           FROM perfopt.compare_slots(:short) WHERE metric IN ('throughput', 'p50_ms')), 'three pairs have no interval');
SELECT ok((SELECT bool_and(verdict = 'INCONCLUSIVE' AND n = 0 AND a IS NULL AND change_pct IS NULL AND p_value IS NULL) FROM perfopt.compare_slots(:short) WHERE metric = 'p99_ms' AND operation = 'buy'),
  'and too few calls not even a change');
SELECT results_eq(format('SELECT * FROM perfopt.compare_tests(%s, %s)', :slower, :slower), format('SELECT * FROM perfopt.compare_slots(%s)', :slower),
  'comparing an A/B test with itself compares its slots');
SELECT ok((SELECT bool_and(s.p_value <= t.p_value) FROM perfopt.compare_slots(:same) s,
           LATERAL (SELECT max(p_value) AS p_value FROM perfopt.compare_slots(:same)) t), 'p-values are there');

-- Slots that are not as they should be.
INSERT INTO perfopt.test_slot VALUES (:slower, 61, 'a', 'look', 1, 1000000, 0, pg_temp.times(0.01));
SELECT is((SELECT array_agg(n) FROM perfopt.compare_slots(:slower) WHERE operation = 'look'), '{60,60,60,15,60}', 'half a pair is left out');
SELECT pg_temp.ab(0.7, 30, 0.04, 1) AS hung \gset
DELETE FROM perfopt.test_slot WHERE run_id = :hung AND variant = 'b' AND operation = 'buy' AND pair > 2;
SELECT is((SELECT verdict FROM perfopt.compare_slots(:hung) WHERE operation = 'buy' AND metric = 'throughput'), 'REGRESSION',
  'a variant that does no more calls is a regression, even if the slots have no row for it');
SELECT is((SELECT n FROM perfopt.compare_slots(:hung) WHERE operation = 'buy' AND metric = 'throughput'), 30, 'by all pairs');
SELECT is((SELECT verdict FROM perfopt.compare_slots(:hung) WHERE operation = 'look' AND metric = 'p50_ms'), 'NO_REGRESSION', 'others are not touched by it');

-- Noise alone is hardly ever called a regression, and one by a tenth is found (test/unit has more of this).
CREATE FUNCTION pg_temp.found(n int, slower float8) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
  found int := 0;
  run bigint;
BEGIN
  FOR i IN 1 .. n LOOP
    run := pg_temp.ab(i / (n + 1.0), 60, 0.1, slower);
    found := found + EXISTS (SELECT FROM perfopt.compare_slots(run) WHERE verdict = 'REGRESSION')::int;
    DELETE FROM perfopt.test_run WHERE run_id = run;
  END LOOP;
  RETURN found;
END $$;
SELECT is(pg_temp.found(20, 1), 0, 'no regression in twenty tests of the same');
SELECT cmp_ok(pg_temp.found(20, 1.1), '>=', 18, 'and of twenty that are slower by a tenth nine tenths are found');

-- Two runs beside each other.
SELECT pg_temp.finished(0.1, 60, 0.03, 1) AS one, pg_temp.finished(0.2, 60, 0.03, 1) AS two, pg_temp.finished(0.3, 60, 0.03, 1.3) AS slow,
       pg_temp.finished(0.4, 60, 0.03, 0.7) AS fast, pg_temp.finished(0.5, 60, 0.2, 1.06) AS wild, pg_temp.finished(0.6, 15, 0.03, 1.3) AS brief,
       pg_temp.finished(0.7, 60, 0.03, 1, 0.01) AS erring \gset
CREATE FUNCTION pg_temp.two(a bigint, b bigint) RETURNS text LANGUAGE sql AS $$
  SELECT string_agg(metric || ' ' || verdict, ', ') FROM perfopt.compare_tests(a, b) WHERE operation = 'total' $$;
SELECT is(pg_temp.two(:one, :two),
  'throughput NO_REGRESSION, p50_ms NO_REGRESSION, p95_ms NO_REGRESSION, p99_ms NO_REGRESSION, error_pct NO_REGRESSION', 'two runs alike');
SELECT is(pg_temp.two(:one, :slow), 'throughput SUSPECT, p50_ms SUSPECT, p95_ms SUSPECT, p99_ms SUSPECT, error_pct NO_REGRESSION',
  'two single runs are never more than suspicious');
SELECT is(pg_temp.two(:one, :fast),
  'throughput NO_REGRESSION, p50_ms NO_REGRESSION, p95_ms NO_REGRESSION, p99_ms NO_REGRESSION, error_pct NO_REGRESSION', 'nor an improvement');
SELECT is(pg_temp.two(:one, :erring), 'throughput NO_REGRESSION, p50_ms NO_REGRESSION, p95_ms NO_REGRESSION, p99_ms NO_REGRESSION, error_pct SUSPECT', 'errors are suspicious too');
SELECT ok((SELECT bool_and(verdict = 'INCONCLUSIVE' AND n_needed > n) FROM perfopt.compare_tests(:one, :wild) WHERE metric IN ('throughput', 'p99_ms')),
  'noise within a run makes the interval wide');
SELECT ok((SELECT bool_and(n_needed IS NULL) FROM perfopt.compare_tests(:one, :slow)), 'longer runs would not prove a suspicion');
SELECT is((SELECT array_agg(n) FROM perfopt.compare_tests(:one, :two) WHERE operation = 'buy'), '{12,12,12,12,12}', 'batches of five seconds');
SELECT ok((SELECT bool_and(verdict = 'INCONCLUSIVE' AND low_pct IS NULL AND change_pct BETWEEN 25 AND 35)
           FROM perfopt.compare_tests(:one, :brief) WHERE metric IN ('p50_ms', 'p95_ms')), 'fifteen seconds are too few for an interval');
SELECT ok((SELECT a BETWEEN 960 AND 1040 AND b BETWEEN 730 AND 810 FROM perfopt.compare_tests(:one, :slow) WHERE operation = 'buy' AND metric = 'throughput'),
  'ramps do not count');

-- What must not be compared.
SELECT pg_temp.run(state => 'running') AS running, pg_temp.run(state => 'failed') AS failed, pg_temp.run(state => 'cancelled') AS cancelled,
       pg_temp.run(verdict => 'invalid') AS invalid, pg_temp.run('stress') AS stress, pg_temp.run('ab') AS empty \gset
SELECT throws_ok('SELECT * FROM perfopt.compare_tests(999999, 1)', '42704', 'load test 999999 does not exist', 'a test that is not there');
SELECT throws_ok(format('SELECT * FROM perfopt.compare_tests(%s, %s)', :one, :running), '55000', format('load test %s is still running', :running), 'one that runs');
SELECT throws_ok(format('SELECT * FROM perfopt.compare_tests(%s, %s, true)', :failed, :one), '55000', format('load test %s failed, so it can''t be compared', :failed), 'one that failed, whatever');
SELECT throws_ok(format('SELECT * FROM perfopt.compare_tests(%s, %s)', :cancelled, :one), '55000', format('load test %s was cancelled before its end', :cancelled), 'one that was cancelled');
SELECT throws_ok(format('SELECT * FROM perfopt.compare_tests(%s, %s)', :invalid, :one), '55000', format('load test %s is invalid, so it can''t be compared', :invalid), 'an invalid one');
SELECT lives_ok(format('SELECT * FROM perfopt.compare_tests(%s, %s, true)', :invalid, :one), 'unless it is forced');
SELECT throws_ok(format('SELECT * FROM perfopt.compare_tests(%s, %s)', :one, :stress), '22023',
  format('load test %s is of kind "stress", whose load changes while it runs', :stress), 'a stress test');
SELECT throws_like(format('SELECT * FROM perfopt.compare_tests(%s, %s)', :one, :same), '%is an A/B test, which can''t be compared with another test', 'an A/B test with another');
SELECT throws_like(format('SELECT * FROM perfopt.compare_tests(%s, %s)', :one, :one), '%is not an A/B test%', 'any other with itself');
SELECT throws_ok(format('SELECT * FROM perfopt.compare_slots(%s)', :empty), '55000', format('A/B test %s has no slots', :empty), 'an A/B test without slots');

-- What differs is named.
SELECT pg_temp.run(fingerprint => '{"version": "16.1", "settings": {"work_mem": "8192 kB", "fsync": "off"}, "workload": {"users": 6}, "data": {"buy.id": 1251}}') AS other,
       pg_temp.run(fingerprint => NULL) AS unknown,
       pg_temp.run(fingerprint => '{"version": "15.20", "settings": {"work_mem": "4096 kB"}, "workload": {"users": 5}, "data": {"buy.id": 1250}}') AS grown \gset
SELECT results_eq(format('SELECT key, a, b FROM perfopt.unlike(%s, %s)', :one, :other),
  $$VALUES ('data.buy.id', '1000', '1251'), ('settings.fsync', NULL, 'off'), ('settings.work_mem', '4096 kB', '8192 kB'),
           ('version', '15.20', '16.1'), ('workload.users', '5', '6')$$, 'what differs between two tests');
SELECT is_empty(format('SELECT * FROM perfopt.unlike(%s, %s)', :one, :grown), 'tables may grow by a quarter');
SELECT results_eq(format('SELECT key, a, b FROM perfopt.unlike(%s, %s)', :one, :unknown), $$VALUES ('fingerprint', 'known', NULL::text)$$, 'what is not known of one is not alike');
SELECT results_eq(format('SELECT key FROM perfopt.unlike(%s, %s)', :unknown, :unknown), $$VALUES ('fingerprint')$$, 'nor what is not known of both');
SELECT throws_ok(format('SELECT * FROM perfopt.compare_tests(%s, %s)', :one, :other), '22023',
  format('load tests %s and %s are not alike: they differ in data.buy.id, settings.fsync, settings.work_mem, version, workload.users', :one, :other), 'and refused');
SELECT throws_ok(format('SELECT * FROM perfopt.unlike(%s, 999999)', :one), '42704', 'load test 999999 does not exist', 'also there a test must exist');

-- Baselines.
SELECT pg_temp.finished(g / 10.0, 60, 0.01, 1 + g * 0.005) AS run FROM generate_series(1, 5) g \g /dev/null
SELECT array_agg(run_id ORDER BY run_id) AS runs FROM (SELECT run_id FROM perfopt.test_run ORDER BY run_id DESC LIMIT 5) r \gset
SELECT results_eq(format('SELECT perfopt.set_baseline(run, ''compare'', ''note'') FROM unnest(%L::bigint[]) run', :'runs'), 'SELECT generate_series(1, 5)',
  'a baseline grows run by run');
SELECT is(perfopt.set_baseline((:'runs'::bigint[])[5], 'compare'), 5, 'the same run once');
SELECT throws_ok(format('SELECT perfopt.set_baseline(%s, ''compare'')', :running), '55000', format('load test %s is running, so it can''t be part of a baseline', :running), 'none that runs');
SELECT throws_ok(format('SELECT perfopt.set_baseline(%s, ''compare'')', :failed), '55000', format('load test %s is failed, so it can''t be part of a baseline', :failed), 'none that failed');
SELECT throws_ok(format('SELECT perfopt.set_baseline(%s, ''compare'')', :invalid), '55000', format('load test %s is invalid, so it can''t be part of a baseline', :invalid), 'no invalid one');
SELECT throws_like(format('SELECT perfopt.set_baseline(%s, ''compare'')', :stress), '%is of kind "stress"%', 'no stress test');
SELECT throws_like(format('SELECT perfopt.set_baseline(%s, ''compare'')', :other), '%unlike load test % of baseline "compare": they differ in data.buy.id, settings.fsync%', 'and none that is unlike the others');
SELECT throws_ok('SELECT perfopt.set_baseline(999999, ''compare'')', '42704', NULL, 'nor one that is not there');

SELECT pg_temp.finished(0.65, 60, 0.01, 1.015) AS usual, pg_temp.finished(0.75, 60, 0.01, 1.3) AS slow_new, pg_temp.finished(0.85, 60, 0.01, 1.055) AS doubtful,
       pg_temp.finished(0.95, 60, 0.01, 0.8) AS fast_new \gset
CREATE FUNCTION pg_temp.checked(run bigint) RETURNS text LANGUAGE sql AS $$
  SELECT string_agg(metric || ' ' || verdict, ', ') FROM perfopt.check_regression(run, 'compare') WHERE operation = 'total' $$;
SELECT is(pg_temp.checked(:usual), 'throughput NO_REGRESSION, p50_ms NO_REGRESSION, p95_ms NO_REGRESSION, p99_ms NO_REGRESSION, error_pct NO_REGRESSION', 'a run like those of the baseline');
SELECT is(pg_temp.checked(:slow_new), 'throughput SUSPECT, p50_ms SUSPECT, p95_ms SUSPECT, p99_ms SUSPECT, error_pct NO_REGRESSION', 'one run beyond them is suspicious, no more');
SELECT ok(pg_temp.checked(:doubtful) LIKE 'throughput INCONCLUSIVE, p50_ms INCONCLUSIVE, p95_ms NO_REGRESSION%', 'one near the margin is not decided');
SELECT is(pg_temp.checked(:fast_new), 'throughput NO_REGRESSION, p50_ms NO_REGRESSION, p95_ms NO_REGRESSION, p99_ms NO_REGRESSION, error_pct NO_REGRESSION', 'a faster one is no regression');
SELECT ok((SELECT change_pct BETWEEN 26 AND 30 AND low_pct BETWEEN 23 AND 27 AND n = 1 AND n_needed IS NOT NULL
           FROM perfopt.check_regression(:slow_new, 'compare') WHERE operation = 'buy' AND metric = 'p50_ms'), 'with the change from the baseline''s mean');
SELECT throws_ok(format('SELECT * FROM perfopt.check_regression(%s, ''nothing'')', :usual), '42704', 'baseline "nothing" does not exist', 'a baseline must exist');
SELECT perfopt.set_baseline((:'runs'::bigint[])[g], 'compare_few') FROM generate_series(1, 3) g \g /dev/null
SELECT throws_ok(format('SELECT * FROM perfopt.check_regression(%s, ''compare_few'')', (:'runs'::bigint[])[1]), '55000',
  format('baseline "compare_few" has 2 runs to compare load test %s with, but it takes 3', (:'runs'::bigint[])[1]), 'and have three runs beside the one that is checked');
SELECT throws_ok(format('SELECT * FROM perfopt.check_regression(%s, ''compare'', 21)', :usual), '22023', 'number of further tests is out of range: 21', 'there is a limit to running again');
SELECT throws_like(format('SELECT * FROM perfopt.check_regression(%s, ''compare'')', :other), '%are not alike%', 'unlike ones are refused here as well');
SELECT lives_ok('SELECT perfopt.drop_baseline(''compare_few'')', 'a baseline can be dropped');
SELECT throws_ok('SELECT perfopt.drop_baseline(''compare_few'')', '42704', 'baseline "compare_few" does not exist', 'once');

-- Whose is it?
CREATE ROLE compare_viewer;
CREATE ROLE compare_tester;
SELECT perfopt.grant_access('compare_viewer', 'viewer'), perfopt.grant_access('compare_tester', 'tester') \g /dev/null
SET ROLE compare_viewer;
SELECT lives_ok(format('SELECT * FROM perfopt.compare_tests(%s, %s); SELECT * FROM perfopt.check_regression(%s, ''compare'')', :one, :two, :usual), 'a viewer compares');
SELECT throws_ok(format('SELECT * FROM perfopt.check_regression(%s, ''compare'', 1)', :slow_new), '42501', NULL, 'but has no test run again');
SET ROLE compare_tester;
SELECT throws_ok(format('SELECT perfopt.set_baseline(%s, ''compare'')', :usual), '42501', NULL, 'a tester adds to no baseline of others');
SELECT throws_ok('SELECT perfopt.drop_baseline(''compare'')', '42501', NULL, 'nor drops it');
SELECT is(perfopt.set_baseline(:usual, 'compare_own'), 1, 'but makes its own');
SELECT lives_ok('SELECT perfopt.drop_baseline(''compare_own'')', 'and drops it');
RESET ROLE;

-- Real tests, whose scenario is as slow as a table says: three for the baseline, then it becomes slower.
CREATE TABLE compare_pace (seconds float8);
INSERT INTO compare_pace VALUES (0.02);
INSERT INTO perfopt.scenario (name) VALUES ('compare_real');
INSERT INTO perfopt.operation (scenario, name, script) VALUES ('compare_real', 'nap', 'SELECT pg_sleep(seconds) FROM compare_pace');
CREATE FUNCTION pg_temp.test(config jsonb DEFAULT '{}') RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  run bigint := perfopt.start_test('{"scenario": "compare_real", "users": 1, "duration": "1 s"}'::jsonb || config);
BEGIN
  PERFORM perfopt.wait_test(run);
  RETURN run;
END $$;
SELECT perfopt.set_baseline(pg_temp.test(), 'compare_real') FROM generate_series(1, 3) \g /dev/null
SELECT min(run_id) AS first, max(run_id) AS last FROM perfopt.baseline WHERE name = 'compare_real' \gset
SELECT is((SELECT fingerprint ->> 'version' FROM perfopt.test_run WHERE run_id = :first), split_part(current_setting('server_version'), ' ', 1), 'a real test knows the version');
SELECT is((SELECT fingerprint -> 'workload' ->> 'users' FROM perfopt.test_run WHERE run_id = :first), '1', 'and what its users did');
SELECT is_empty(format('SELECT * FROM perfopt.unlike(%s, %s)', :first, :last), 'the same twice is alike');
ALTER DATABASE :DBNAME SET work_mem = '7MB';
SELECT pg_temp.test('{"users": 2, "duration": "0.5 s", "options": {"protocol": "simple"}}') AS other \gset
ALTER DATABASE :DBNAME RESET work_mem;
SELECT results_eq(format('SELECT key FROM perfopt.unlike(%s, %s)', :first, :other),
  $$VALUES ('settings.work_mem'), ('workload.protocol'), ('workload.users')$$, 'other settings are seen; how long it was does not matter');
UPDATE perfopt.operation SET variables = '{"x": {"uniform": [1, 10]}}' WHERE scenario = 'compare_real';
SELECT pg_temp.test() AS other \gset
UPDATE perfopt.operation SET variables = '{}' WHERE scenario = 'compare_real';
SELECT results_eq(format('SELECT key FROM perfopt.unlike(%s, %s)', :first, :other), $$VALUES ('data.nap.x'), ('operations.nap')$$, 'and so is another script');

UPDATE compare_pace SET seconds = 0.08;
SELECT pg_temp.test() AS slow \gset
SELECT dblink_connect('compare', format('host=%s port=%s dbname=%s user=%s', split_part(current_setting('unix_socket_directories'), ',', 1),
  current_setting('port'), current_database(), current_user)) \g /dev/null
SELECT dblink_exec('compare', 'LISTEN perfopt_event') \g /dev/null
SELECT pid FROM dblink('compare', 'SELECT pg_backend_pid()') d (pid int) \gset
-- True once that session waits for a test that runs; false after 20 seconds.
CREATE FUNCTION pg_temp.waits(pid int) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
  FOR i IN 1 .. 1000 LOOP
    IF EXISTS (SELECT FROM pg_stat_activity WHERE application_name LIKE 'perfopt run%' AND query LIKE '%pg_sleep%')
       AND (SELECT backend_xmin IS NULL FROM pg_stat_activity a WHERE a.pid = $1) THEN
      RETURN true;
    END IF;
    PERFORM pg_sleep(0.02);
    PERFORM pg_stat_clear_snapshot();
  END LOOP;
  RETURN false;
END $$;
SELECT dblink_send_query('compare', format('SELECT * FROM perfopt.check_regression(%s, ''compare_real'', 2)', :slow)) \g /dev/null
SELECT ok(pg_temp.waits(:pid), 'a suspicious test is run again, and who waits for it holds no snapshot');
CREATE TEMP TABLE checked AS
  SELECT * FROM dblink_get_result('compare') r (operation text, metric text, a float8, b float8, change_pct float8, low_pct float8,
    high_pct float8, p_value float8, verdict text, n int, n_needed int);
SELECT count(*) FROM dblink_get_result('compare') r (nothing text) \g /dev/null
SELECT is((SELECT string_agg(operation || ' ' || verdict, ', ') FROM checked WHERE metric = 'throughput'), 'nap REGRESSION, total REGRESSION',
  'slow again and again is a regression');
SELECT is((SELECT DISTINCT n FROM checked WHERE metric = 'throughput'), 3, 'by the mean of all three');
SELECT is((SELECT string_agg(verdict, ', ') FROM checked WHERE metric = 'error_pct'), 'INCONCLUSIVE, INCONCLUSIVE', 'a few dozen calls without error prove nothing');
SELECT is((SELECT count(*) FROM perfopt.test_run WHERE scenario = 'compare_real' AND run_id > :slow AND state = 'finished'), 2::bigint, 'the further runs are on record');
SELECT is((SELECT count(DISTINCT config -> 'options' ->> 'seed') FROM perfopt.test_run WHERE scenario = 'compare_real' AND run_id >= :slow), 3::bigint,
  'with seeds of their own');
CREATE TEMP TABLE told AS SELECT extra::jsonb AS event FROM dblink_get_notify('compare') WHERE notify_name = 'perfopt_event' AND extra::jsonb ->> 'kind' = 'regression';
SELECT is((SELECT (event -> 'detail') - 'rows' - 'count' FROM told), jsonb_build_object('run_id', :slow, 'scenario', 'compare_real', 'baseline', 'compare_real'), 'whoever listens is told');
SELECT ok((SELECT event -> 'detail' -> 'rows' @> '[{"operation": "nap", "metric": "throughput"}]' AND (event -> 'detail' ->> 'count')::int = jsonb_array_length(event -> 'detail' -> 'rows') FROM told),
  'what became slower');

-- Ctrl-C ends the test that runs again.
SELECT dblink_send_query('compare', format('SELECT * FROM perfopt.check_regression(%s, ''compare_real'', 2)', :slow)) \g /dev/null
SELECT pg_temp.waits(:pid) \g /dev/null
SELECT pg_cancel_backend(:pid) \g /dev/null
SELECT count(*) FROM dblink_get_result('compare', false) r (nothing text) \g /dev/null
SELECT is((SELECT state FROM perfopt.test_run WHERE scenario = 'compare_real' ORDER BY run_id DESC LIMIT 1), 'cancelled', 'cancelling the check cancels it');
SELECT dblink_disconnect('compare') \g /dev/null

-- An operation that has changed since can't be compared, only run.
UPDATE perfopt.operation SET script = script || ' WHERE true' WHERE scenario = 'compare_real';
SELECT throws_like(format('SELECT * FROM perfopt.check_regression(%s, ''compare_real'', 1)', :slow), '%they differ in operations.nap', 'further runs must be like the first');

SELECT * FROM finish();
SELECT perfopt.drop_baseline('compare'), perfopt.drop_baseline('compare_real') \g /dev/null
DELETE FROM perfopt.test_run WHERE scenario IN ('compare_made', 'compare_real');
DELETE FROM perfopt.scenario WHERE name = 'compare_real';
DROP TABLE compare_pace;
SELECT perfopt.revoke_access('compare_viewer'), perfopt.revoke_access('compare_tester') \g /dev/null
DROP ROLE compare_viewer, compare_tester;
