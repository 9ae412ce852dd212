-- Kinds of test beside the plain load: what each looks for, and templates of tests.

CREATE FUNCTION perfopt.power_fit(
  x float8[], y float8[], level float8 DEFAULT 0.95,
  OUT exponent float8, OUT low float8, OUT high float8, OUT factor float8, OUT r2 float8)
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'perfopt_fit_power';
COMMENT ON FUNCTION perfopt.power_fit(float8[], float8[], float8) IS
  'How y grows with x: least squares of y = factor * x ^ exponent on logarithms, with the confidence interval of the exponent (level, default 0.95). 0 is constant, 1 in proportion, 2 quadratic. Pairs that are not above 0 are left out. Example: SELECT * FROM perfopt.power_fit(''{1,2,4,8}'', ''{1.1,1.9,4.2,7.9}'');';

CREATE FUNCTION perfopt.theil_sen(
  x float8[], y float8[], level float8 DEFAULT 0.95, OUT slope float8, OUT low float8, OUT high float8)
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'perfopt_fit_slope';
COMMENT ON FUNCTION perfopt.theil_sen(float8[], float8[], float8) IS
  'The median of the slopes between all pairs of points, which outliers hardly move, with its confidence interval (level, default 0.95); up to 5,000 points. Example: SELECT * FROM perfopt.theil_sen(''{1,2,3,4}'', ''{1,2,3,100}'');';

CREATE FUNCTION perfopt.execute_test(
  config jsonb,
  OUT operation text, OUT calls bigint, OUT errors bigint, OUT throughput float8, OUT mean_ms float8,
  OUT p50_ms float8, OUT p90_ms float8, OUT p95_ms float8, OUT p99_ms float8, OUT max_ms float8)
RETURNS SETOF record
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'perfopt_execute_test';
COMMENT ON FUNCTION perfopt.execute_test(jsonb) IS
  'Runs a test of any kind as perfopt.start_test takes it, waits for it and returns its report as perfopt.load_test does. Example: SELECT * FROM perfopt.execute_test(''{"kind": "spike", "users": 5, "spike_users": 50, "scenario": "pgbench_select"}'');';

CREATE PROCEDURE perfopt.run_test(config jsonb, INOUT run_id bigint DEFAULT NULL)
LANGUAGE C AS 'MODULE_PATHNAME', 'perfopt_run_test';
COMMENT ON PROCEDURE perfopt.run_test(jsonb, bigint) IS
  'Runs a test as perfopt.start_test takes it and waits for its end without a snapshot or a transaction, so that it holds back no vacuum however long it takes; returns its run_id, whose result is in perfopt.test_report(run_id). Not inside a transaction block. Example: CALL perfopt.run_test(''{"users": 20, "duration": "2 h", "scenario": "pgbench"}'');';

CREATE FUNCTION perfopt.stress_test(
  users int DEFAULT 1,
  max_users int DEFAULT NULL,
  rate float8 DEFAULT NULL,
  max_rate float8 DEFAULT NULL,
  duration interval DEFAULT '5 s',
  think_time interval DEFAULT '0',
  scenario text DEFAULT 'integration',
  target text DEFAULT 'perfopt_local',
  thresholds jsonb DEFAULT '{"p95_ms": 100, "error_pct": 1}',
  options jsonb DEFAULT '{}',
  OUT operation text, OUT calls bigint, OUT errors bigint, OUT throughput float8, OUT mean_ms float8,
  OUT p50_ms float8, OUT p90_ms float8, OUT p95_ms float8, OUT p99_ms float8, OUT max_ms float8)
RETURNS SETOF record
LANGUAGE sql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
  SELECT * FROM perfopt.execute_test(jsonb_strip_nulls(jsonb_build_object(
    'kind', 'stress', 'users', users, 'max_users', max_users, 'rate', rate, 'max_rate', max_rate, 'duration', duration,
    'think_time', think_time, 'scenario', scenario, 'target', target, 'thresholds', thresholds, 'options', options)));
$$;
COMMENT ON FUNCTION perfopt.stress_test(int, int, float8, float8, interval, interval, text, text, jsonb, jsonb) IS
  'Searches the greatest load that keeps to the thresholds: from users up to max_users (default ten times as many), or, with rate (calls/s), from that up to max_rate with at most `users` busy at a time. Doubles, confirms each failure by 2 of 3, bisects to 3 %, and tries what it found three times as long; each trial lasts duration (default 5 s; longer where a percentile lacks calls) after option settle (default 2 s). Returns the report of the last trial; perfopt.test_run has breaking_point and outcome: the interval, which criterion failed first, the greatest throughput, a fit of the Universal Scalability Law, all trials. Example: SELECT * FROM perfopt.stress_test(rate => 100, users => 50, max_rate => 5000, scenario => ''pgbench_select'', thresholds => ''{"p95_ms": 20}'');';

CREATE FUNCTION perfopt.spike_test(
  users int DEFAULT 10,
  spike_users int DEFAULT NULL,
  duration interval DEFAULT '20 s',
  spike_duration interval DEFAULT '10 s',
  recovery interval DEFAULT '30 s',
  think_time interval DEFAULT '0',
  scenario text DEFAULT 'integration',
  target text DEFAULT 'perfopt_local',
  thresholds jsonb DEFAULT '{}',
  options jsonb DEFAULT '{}',
  OUT operation text, OUT calls bigint, OUT errors bigint, OUT throughput float8, OUT mean_ms float8,
  OUT p50_ms float8, OUT p90_ms float8, OUT p95_ms float8, OUT p99_ms float8, OUT max_ms float8)
RETURNS SETOF record
LANGUAGE sql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
  SELECT * FROM perfopt.execute_test(jsonb_strip_nulls(jsonb_build_object(
    'kind', 'spike', 'users', users, 'spike_users', spike_users, 'duration', duration, 'spike_duration', spike_duration,
    'recovery', recovery, 'think_time', think_time, 'scenario', scenario, 'target', target, 'thresholds', thresholds,
    'options', options)));
$$;
COMMENT ON FUNCTION perfopt.spike_test(int, int, interval, interval, interval, interval, text, text, jsonb, jsonb) IS
  'users work for duration (default 20 s); then spike_users more (default ten times as many), connected before, begin all at once and stay for spike_duration (default 10 s); then the first ones go on for recovery (default 30 s). Returns the report of all of it; perfopt.test_run.outcome compares before, during and after, and says how long after the spike p95 was back (recovery_s; NULL: it was not). Example: SELECT * FROM perfopt.spike_test(users => 5, spike_users => 100, scenario => ''pgbench'');';

CREATE FUNCTION perfopt.endurance_test(
  users int DEFAULT 10,
  duration interval DEFAULT '1 hour',
  ramp_up interval DEFAULT '0',
  think_time interval DEFAULT '0',
  scenario text DEFAULT 'integration',
  target text DEFAULT 'perfopt_local',
  rate float8 DEFAULT NULL,
  thresholds jsonb DEFAULT '{}',
  options jsonb DEFAULT '{}',
  OUT operation text, OUT calls bigint, OUT errors bigint, OUT throughput float8, OUT mean_ms float8,
  OUT p50_ms float8, OUT p90_ms float8, OUT p95_ms float8, OUT p99_ms float8, OUT max_ms float8)
RETURNS SETOF record
LANGUAGE sql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
  SELECT * FROM perfopt.execute_test(jsonb_strip_nulls(jsonb_build_object(
    'kind', 'endurance', 'users', users, 'duration', duration, 'ramp_up', ramp_up, 'think_time', think_time,
    'scenario', scenario, 'target', target, 'rate', rate, 'thresholds', thresholds, 'options', options)));
$$;
COMMENT ON FUNCTION perfopt.endurance_test(int, interval, interval, interval, text, text, float8, jsonb, jsonb) IS
  'A load for an hour and more (default 1 hour; shorter ones need option {"allow_short": true}), to see what drifts: perfopt.endurance_drift(run_id) has the slopes of latency, throughput, memory, database size, dead rows and WAL. The statement holds a snapshot as long as it waits; CALL perfopt.run_test(''{"kind": "endurance", ...}'') does not. Example: SELECT * FROM perfopt.endurance_test(users => 20, duration => ''2 hours'', scenario => ''pgbench'');';

CREATE FUNCTION perfopt.spike_outcome(run_id bigint) RETURNS jsonb
LANGUAGE sql STABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
  WITH run AS (
    SELECT r.run_id, r.measured_from AS base_at, r.measured_from + (r.config ->> 'duration')::interval AS spike_at,
           r.measured_from + (r.config ->> 'duration')::interval + (r.config ->> 'spike_duration')::interval AS end_at
    FROM perfopt.test_run r WHERE r.run_id = spike_outcome.run_id
  ), second AS (
    SELECT i.ts, CASE WHEN i.ts < r.spike_at THEN 'before' WHEN i.ts < r.end_at THEN 'during' ELSE 'after' END AS phase,
           extract(epoch FROM i.ts - r.end_at)::float8 AS after_s, sum(i.calls) AS calls, sum(i.errors) AS errors,
           perfopt.merge(i.latency) AS latency
    FROM perfopt.test_interval i JOIN run r USING (run_id) WHERE i.ts >= r.base_at GROUP BY i.ts, r.spike_at, r.end_at
  ), phase AS (
    SELECT s.phase, count(*) AS seconds, sum(s.calls) AS calls, sum(s.errors) AS errors, perfopt.merge(s.latency) AS latency,
           max(perfopt.quantile(s.latency, 0.95)) AS worst
    FROM second s GROUP BY s.phase
  ), usual AS (
    -- As high as a usual second may be, and a tenth more.
    SELECT 1.1 * p.worst AS p95_ms FROM phase p WHERE p.phase = 'before'
  ), calm AS (
    SELECT s.after_s, bool_and(perfopt.quantile(s.latency, 0.95) <= u.p95_ms) OVER w AND count(*) OVER w = 3 AS is_calm
    FROM second s CROSS JOIN usual u WHERE s.phase = 'after'
    WINDOW w AS (ORDER BY s.ts ROWS BETWEEN CURRENT ROW AND 2 FOLLOWING)
  )
  SELECT jsonb_object_agg(p.phase, jsonb_build_object('throughput', round((p.calls - p.errors) / p.seconds, 1),
           'p95_ms', round(perfopt.quantile(p.latency, 0.95)::numeric, 3), 'errors', p.errors))
         || jsonb_build_object('recovery_s', (SELECT greatest(round(min(c.after_s)::numeric, 0), 0) FROM calm c WHERE c.is_calm),
                               'usual_p95_ms', (SELECT round(u.p95_ms::numeric, 3) FROM usual u))
  FROM phase p;
$$;
COMMENT ON FUNCTION perfopt.spike_outcome(bigint) IS
  'What a spike did: throughput (calls/s), p95_ms and errors before, during and after, and recovery_s: the beginning, in seconds after the spike''s end, of the first three seconds on end whose p95 is at most a tenth above the worst second before it; NULL if there are none. Stored in perfopt.test_run.outcome. Example: SELECT jsonb_pretty(perfopt.spike_outcome(7));';

CREATE FUNCTION perfopt.endurance_drift(
  run_id bigint,
  OUT what text, OUT unit text, OUT points int, OUT first float8, OUT last float8, OUT per_hour float8,
  OUT low float8, OUT high float8, OUT direction text)
RETURNS SETOF record
LANGUAGE sql STABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
  WITH run AS (
    SELECT r.run_id, r.measured_from, r.measured_until,
           -- Sixty stretches of it, of a second at least.
           greatest(extract(epoch FROM r.measured_until - r.measured_from) / 60, 1)::float8 AS step
    FROM perfopt.test_run r WHERE r.run_id = endurance_drift.run_id
  ), point AS (
    SELECT v.what, v.unit, p.n, v.value FROM (
      SELECT floor(extract(epoch FROM i.ts - r.measured_from) / r.step)::int AS n,
             perfopt.quantile(perfopt.merge(i.latency), 0.95) AS p95, sum(i.calls - i.errors)::float8 / r.step AS throughput
      FROM perfopt.test_interval i JOIN run r USING (run_id)
      WHERE i.ts >= r.measured_from AND i.ts < r.measured_until GROUP BY 1, r.step) p
    CROSS JOIN LATERAL (VALUES ('p95', 'ms', p.p95), ('throughput', 'calls/s', p.throughput)) v (what, unit, value)
    UNION ALL
    SELECT m.what, m.unit, m.n, CASE WHEN m.counter THEN m.value * m.series / m.step ELSE m.value * m.series END FROM (
      SELECT w.what, w.unit, w.counter, floor(extract(epoch FROM s.ts - r.measured_from) / r.step)::int AS n, r.step,
             CASE WHEN w.counter THEN sum(s.value) / count(DISTINCT s.labels) ELSE avg(s.value) END AS value,
             count(DISTINCT s.labels) AS series
      FROM run r
      CROSS JOIN (VALUES ('memory of server processes', 'bytes', 'pg_process_anon_bytes', false),
                         ('databases', 'bytes', 'pg_database_size_bytes', false),
                         ('dead rows', 'rows', 'pg_table_dead_tuples', false),
                         ('WAL', 'bytes/s', 'pg_wal_bytes_total', true)) w (what, unit, metric, counter)
      JOIN perfopt.sample s ON s.metric = w.metric AND s.ts >= r.measured_from AND s.ts < r.measured_until
      GROUP BY w.what, w.unit, w.counter, 4, r.step) m
  ), line AS (
    SELECT p.what, p.unit, count(*)::int AS points, (array_agg(p.value ORDER BY p.n))[1] AS first,
           (array_agg(p.value ORDER BY p.n DESC))[1] AS last, avg(p.value) AS mean, r.step,
           perfopt.theil_sen(array_agg(p.n * r.step / 3600 ORDER BY p.n), array_agg(p.value ORDER BY p.n)) AS t
    FROM point p CROSS JOIN run r WHERE p.value IS NOT NULL GROUP BY p.what, p.unit, r.step
  )
  SELECT l.what, l.unit, l.points, round(l.first::numeric, 3)::float8, round(l.last::numeric, 3)::float8,
         round((l.t).slope::numeric, 3)::float8, round((l.t).low::numeric, 3)::float8, round((l.t).high::numeric, 3)::float8,
         CASE WHEN (l.t).low IS NULL OR (l.t).high IS NULL THEN NULL
              -- Over the whole test, a drift of under 2 % is none.
              WHEN abs((l.t).slope) * l.step * l.points / 3600 <= 0.02 * abs(l.mean) THEN 'steady'
              WHEN (l.t).low > 0 THEN 'rises' WHEN (l.t).high < 0 THEN 'falls' ELSE 'steady' END
  FROM line l
  ORDER BY array_position('{p95,throughput,memory of server processes,databases,dead rows,WAL}', l.what);
$$;
COMMENT ON FUNCTION perfopt.endurance_drift(bigint) IS
  'What drifted during a test: p95 and throughput of its calls, and of the server that perfopt watches: memory of its processes, size of its databases, dead rows, WAL. per_hour is the Theil-Sen slope in units an hour over sixty stretches of the test, low to high its 95 % interval; direction is rises, falls, steady (no slope beyond chance, or under 2 % over the whole test), or NULL with too few points. Example: SELECT * FROM perfopt.endurance_drift(7);';

CREATE FUNCTION perfopt.volume_test(
  scales int[] DEFAULT '{1,2,4,8}',
  users int DEFAULT 4,
  duration interval DEFAULT '10 s',
  think_time interval DEFAULT '0',
  scenario text DEFAULT 'integration',
  target text DEFAULT 'perfopt_local',
  rate float8 DEFAULT NULL,
  options jsonb DEFAULT '{}',
  OUT operation text, OUT exponent float8, OUT exponent_low float8, OUT exponent_high float8, OUT grows text,
  OUT scales_ms jsonb, OUT runs bigint[])
RETURNS SETOF record
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
  name CONSTANT text := 'volume_test_data';
  size int;
  run bigint;
BEGIN
  IF cardinality(scales) < 3 OR (SELECT count(DISTINCT s) < 3 OR min(s) < 1 FROM unnest(scales) s) THEN
    RAISE EXCEPTION 'a volume test needs three different scales, not %', scales
      USING ERRCODE = 'invalid_parameter_value', HINT = 'For example scales => ''{1,2,4,8}''.';
  END IF;
  runs := '{}';
  FOREACH size IN ARRAY scales LOOP
    run := perfopt.start_test(jsonb_strip_nulls(jsonb_build_object('kind', 'load', 'users', users, 'duration', duration,
      'think_time', think_time, 'scenario', scenario, 'target', target, 'rate', rate,
      'options', options || jsonb_build_object('dataset', name, 'dataset_scale', size, 'progress', 0))));
    PERFORM perfopt.wait_test(run);
    IF (SELECT r.state FROM perfopt.test_run r WHERE r.run_id = run) <> 'finished' THEN
      RAISE EXCEPTION 'load test % of scale % did not finish', run, size
        USING ERRCODE = 'object_not_in_prerequisite_state', HINT = format('SELECT problem FROM perfopt.test_run WHERE run_id = %s;', run);
    END IF;
    RAISE NOTICE 'scale %: load test %', size, run;
    runs := runs || run;
  END LOOP;
  IF target = 'perfopt_local' THEN
    PERFORM perfopt.drop_dataset(name);
  END IF;
  RETURN QUERY
    SELECT f.operation, round((f.fit).exponent::numeric, 2)::float8, round((f.fit).low::numeric, 2)::float8, round((f.fit).high::numeric, 2)::float8,
           CASE WHEN (f.fit).low IS NULL THEN NULL
                WHEN (f.fit).low <= 0.1 AND (f.fit).high <= 0.5 THEN 'hardly'
                WHEN (f.fit).low > 1.1 THEN 'faster than the data'
                WHEN (f.fit).low > 0.1 AND (f.fit).high < 0.9 THEN 'slower than the data'
                WHEN (f.fit).low > 0.1 THEN 'with the data'
                ELSE 'not certain' END,
           f.by_scale, runs
    FROM (SELECT o.operation, perfopt.power_fit(array_agg(s.scale::float8 ORDER BY s.scale), array_agg(o.mean_ms ORDER BY s.scale)) AS fit,
                 jsonb_object_agg(s.scale, round(o.mean_ms::numeric, 3)) AS by_scale
          FROM unnest(runs, scales) s (run_id, scale) JOIN perfopt.test_operation o USING (run_id)
          WHERE o.mean_ms IS NOT NULL GROUP BY o.operation) f
    ORDER BY 2 DESC NULLS LAST;
END $$;
COMMENT ON FUNCTION perfopt.volume_test(int[], int, interval, interval, text, text, float8, jsonb) IS
  'Runs the same load over data sets of growing size (perfopt.create_dataset at each of scales, three or more) and fits how each operation''s mean latency grows: ms = factor * scale ^ exponent, with the exponent''s 95 % interval. grows says it in words: hardly, slower than the data, with the data, faster than the data. Few users, or a low rate, so that it is the work that is measured and not the queue. The data set "volume_test_data" is dropped at the end. Example: SELECT * FROM perfopt.volume_test(''{1,2,4,8}'', users => 2);';

-- Templates: tests that one need not think up.
CREATE FUNCTION perfopt.check_test(config jsonb) RETURNS void
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'perfopt_check_test';
COMMENT ON FUNCTION perfopt.check_test(jsonb) IS
  'Raises an error that says what is wrong unless perfopt.start_test knows all settings; whether scenario and target exist is seen when a test starts. Example: SELECT perfopt.check_test(''{"users": 20, "rate": 100}'');';

CREATE TABLE perfopt.test_template (
  name text PRIMARY KEY CHECK (name ~ '^[^{ ]'),
  description text NOT NULL,
  config jsonb NOT NULL,
  builtin boolean NOT NULL DEFAULT false,
  owner regrole NOT NULL DEFAULT quote_ident(current_user)::regrole
);
COMMENT ON TABLE perfopt.test_template IS
  'Tests by name for perfopt.start_test(template, overrides). Add a row for your own; only its owner can change it. Example: SELECT name, description FROM perfopt.test_template;';
COMMENT ON COLUMN perfopt.test_template.config IS 'Settings as perfopt.start_test(config) takes them.';
COMMENT ON COLUMN perfopt.test_template.builtin IS 'Came with the extension.';
COMMENT ON COLUMN perfopt.test_template.owner IS 'Role that defined it.';

CREATE FUNCTION perfopt.check_test_template() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  PERFORM perfopt.check_test(NEW.config);
  RETURN NEW;
END $$;
COMMENT ON FUNCTION perfopt.check_test_template() IS
  'Refuses rows of perfopt.test_template whose settings no test has; its trigger calls it.';
CREATE TRIGGER check_test_template BEFORE INSERT OR UPDATE ON perfopt.test_template
  FOR EACH ROW EXECUTE FUNCTION perfopt.check_test_template();

INSERT INTO perfopt.test_template (name, description, config, builtin) VALUES
  ('smoke', 'Does it work at all? One user for ten seconds, no error allowed.',
   '{"users": 1, "duration": "10 s", "thresholds": {"errors": 0}}', true),
  ('average', 'A usual day: 20 users who think for a second on average, for five minutes after a ramp.',
   '{"users": 20, "ramp_up": "30 s", "duration": "5 min", "ramp_down": "10 s", "thresholds": {"error_pct": 0.1, "p95_ms": 200},
     "options": {"think_time": {"exponential": "1 s"}}}', true),
  ('steady_rate', 'A hundred calls a second, whether or not earlier ones have ended, for five minutes.',
   '{"users": 50, "rate": 100, "ramp_up": "10 s", "duration": "5 min", "thresholds": {"error_pct": 0.1, "p95_ms": 200}}', true),
  ('breaking_point', 'How many calls a second before one in twenty takes longer than 100 ms?',
   '{"kind": "stress", "users": 50, "rate": 50, "max_rate": 5000, "duration": "5 s", "thresholds": {"p95_ms": 100, "error_pct": 1}}', true),
  ('spike', 'Ten users, and then a hundred more all at once for ten seconds.',
   '{"kind": "spike", "users": 10, "spike_users": 100, "duration": "20 s", "spike_duration": "10 s", "recovery": "30 s"}', true),
  ('soak', 'Twenty users for eight hours, to see what drifts.',
   '{"kind": "endurance", "users": 20, "ramp_up": "1 min", "duration": "8 h", "options": {"think_time": {"exponential": "0.5 s"}}}', true);

SELECT pg_catalog.pg_extension_config_dump('perfopt.test_template', 'WHERE NOT builtin');
ALTER TABLE perfopt.test_template ENABLE ROW LEVEL SECURITY;
CREATE POLICY anybody_reads ON perfopt.test_template FOR SELECT USING (true);
CREATE POLICY owner_inserts ON perfopt.test_template FOR INSERT
  WITH CHECK (owner = quote_ident(current_user)::regrole AND NOT builtin);
CREATE POLICY owner_updates ON perfopt.test_template FOR UPDATE
  USING (owner = quote_ident(current_user)::regrole AND NOT builtin) WITH CHECK (owner = quote_ident(current_user)::regrole AND NOT builtin);
CREATE POLICY owner_deletes ON perfopt.test_template FOR DELETE USING (owner = quote_ident(current_user)::regrole AND NOT builtin);

CREATE FUNCTION perfopt.start_test(template text, overrides jsonb DEFAULT '{}') RETURNS bigint
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  config jsonb;
BEGIN
  -- A literal without a type may be a template's name or a whole configuration.
  IF template ~ '^\s*\{' THEN
    config := template::jsonb;
  ELSE
    SELECT t.config INTO config FROM perfopt.test_template t WHERE t.name = template;
  END IF;
  IF config IS NULL THEN
    RAISE EXCEPTION 'there is no template %', coalesce('"' || template || '"', 'NULL') USING ERRCODE = 'undefined_object',
      HINT = format('Templates in perfopt.test_template: %s.', (SELECT string_agg(t.name, ', ' ORDER BY t.name) FROM perfopt.test_template t));
  END IF;
  RETURN perfopt.start_test(config || overrides
    || CASE WHEN config ? 'options' AND overrides ? 'options'
            THEN jsonb_build_object('options', (config -> 'options') || (overrides -> 'options')) ELSE '{}' END);
END $$;
COMMENT ON FUNCTION perfopt.start_test(text, jsonb) IS
  'Starts the test that a template in perfopt.test_template describes, with the settings of overrides in place of its own (options one by one), and returns its run_id at once. Example: SELECT perfopt.start_test(''average'', ''{"scenario": "pgbench", "users": 50}'');';
