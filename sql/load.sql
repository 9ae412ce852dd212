-- What load tests refuse, and why. Nothing runs here: on a server without workers as well.
SELECT scenario, name, weight FROM perfopt.operation ORDER BY scenario, name;

-- Tests that are over, or never were.
SELECT * FROM perfopt.test_progress(-1);
SELECT * FROM perfopt.test_report(-1);
INSERT INTO perfopt.test_run (run_id, kind, scenario, config, state, target, users, requested_by, started_at, finished_at)
  VALUES (-7, 'load', 'pgbench', '{}', 'finished', 'perfopt_local', 2, 'somebody', '2020-01-01 00:00+00', '2020-01-01 00:00:10+00');
INSERT INTO perfopt.test_operation (run_id, operation, calls, errors, throughput, mean_ms, p50_ms, p90_ms, p95_ms, p99_ms, max_ms, latency)
  SELECT -7, 'op' || o, 100, o, 10, 50.5 * o, 50 * o, 90 * o, 95 * o, 99 * o, 100 * o, perfopt.histogram(v * o)
  FROM generate_series(1, 2) o, generate_series(1, 100) v GROUP BY o;
SELECT operation, calls, errors, throughput, round(mean_ms) AS mean_ms, round(p50_ms) AS p50_ms, round(max_ms) AS max_ms
FROM perfopt.test_report(-7);
SELECT state, phase, elapsed_s, users, calls, errors, throughput FROM perfopt.test_progress(-7);
-- A row that still says running without a slot was ended by a crash.
UPDATE perfopt.test_run SET state = 'running', finished_at = NULL WHERE run_id = -7;
SELECT state, problem FROM perfopt.test_progress(-7);
DELETE FROM perfopt.test_run WHERE run_id = -7;
SELECT count(*) FROM perfopt.test_operation WHERE run_id = -7;

-- A scenario is data, and data has rules.
\set VERBOSITY terse
INSERT INTO perfopt.operation (scenario, name, script) VALUES ('no such scenario', 'x', 'SELECT 1');
INSERT INTO perfopt.operation (scenario, name, weight, script) VALUES ('pgbench', 'x', -1, 'SELECT 1');
INSERT INTO perfopt.operation (scenario, name, script) VALUES ('pgbench', 'total', 'SELECT 1');
