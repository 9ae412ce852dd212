-- Comparing load tests: is it slower than before, and is that more than noise?

CREATE TABLE perfopt.test_slot (
  run_id bigint NOT NULL REFERENCES perfopt.test_run ON DELETE CASCADE,
  pair int NOT NULL,
  variant text NOT NULL CHECK (variant IN ('a', 'b')),
  operation text NOT NULL,
  seconds float8 NOT NULL,
  calls bigint NOT NULL,
  errors bigint NOT NULL,
  latency perfopt.histogram,
  PRIMARY KEY (run_id, pair, variant, operation)
);
COMMENT ON TABLE perfopt.test_slot IS
  'What an A/B test measured: short slots in pairs, one of each variant in random order, by operation. Compared by perfopt.compare_tests(run_id, run_id). Example: SELECT pair, variant, sum(calls - errors) / max(seconds) AS throughput FROM perfopt.test_slot WHERE run_id = 7 GROUP BY 1, 2 ORDER BY 1, 2;';
COMMENT ON COLUMN perfopt.test_slot.pair IS 'Slots of the same number stood next to each other.';
COMMENT ON COLUMN perfopt.test_slot.seconds IS 'How long the slot was measured.';
COMMENT ON COLUMN perfopt.test_slot.calls IS 'Calls that the slot counts, errors included.';
COMMENT ON COLUMN perfopt.test_slot.latency IS 'Response times in ms of calls without error.';

CREATE TABLE perfopt.baseline (
  name text NOT NULL CHECK (name <> ''),
  run_id bigint NOT NULL REFERENCES perfopt.test_run ON DELETE CASCADE,
  added_at timestamptz NOT NULL DEFAULT now(),
  added_by name NOT NULL DEFAULT current_user,
  note text,
  PRIMARY KEY (name, run_id)
);
CREATE INDEX ON perfopt.baseline (run_id);
COMMENT ON TABLE perfopt.baseline IS
  'Named sets of finished tests that later ones are compared with by perfopt.check_regression; filled by perfopt.set_baseline, which checks them. A single run is taken out with DELETE, by who added it. Example: SELECT name, count(*), max(added_at) FROM perfopt.baseline GROUP BY 1;';
COMMENT ON COLUMN perfopt.baseline.added_by IS 'Role that added it, and alone may take it out.';
COMMENT ON COLUMN perfopt.baseline.note IS 'For people: a release, a commit.';

SELECT pg_catalog.pg_extension_config_dump('perfopt.test_slot', '');
SELECT pg_catalog.pg_extension_config_dump('perfopt.baseline', '');

-- Verdicts rest on it, so nobody takes out or adds in somebody else's name.
ALTER TABLE perfopt.baseline ENABLE ROW LEVEL SECURITY;
CREATE POLICY anybody_reads ON perfopt.baseline FOR SELECT USING (true);
CREATE POLICY owner_inserts ON perfopt.baseline FOR INSERT WITH CHECK (added_by = current_user);
CREATE POLICY owner_deletes ON perfopt.baseline FOR DELETE USING (added_by = current_user);

CREATE FUNCTION perfopt.checked_test(run_id bigint) RETURNS perfopt.test_run
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
  run perfopt.test_run;
BEGIN
  SELECT r.* INTO run FROM perfopt.test_run r WHERE r.run_id = $1;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'load test % does not exist', $1
      USING ERRCODE = 'undefined_object', HINT = 'Tests are listed in perfopt.test_run.';
  END IF;
  RETURN run;
END $$;
COMMENT ON FUNCTION perfopt.checked_test(bigint) IS
  'The row of a load test in perfopt.test_run, or an error with a hint. Example: SELECT state, verdict FROM perfopt.checked_test(7);';

-- Left out of a test's settings is what says how long it measures, where, and how the generator
-- works; a setting that is new counts until it is known not to matter.
CREATE FUNCTION perfopt.test_fingerprint(target jsonb, config jsonb, data jsonb) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
  SELECT $1 || jsonb_build_object(
    'target', $2 -> 'target',
    'workload', ($2 - '{duration,ramp_up,ramp_down,thresholds,target,scenario,options}'::text[])
      || ($2 -> 'options') - '{allow_short,grace,progress,seed,settle,warm_up,workers}'::text[]
      || coalesce((SELECT jsonb_build_object('scale', d.scale) FROM perfopt.dataset d
                   WHERE d.name = $2 -> 'options' ->> 'dataset'), '{}'),
    'operations', coalesce((SELECT jsonb_object_agg(o.name, md5(jsonb_build_array(
                     o.weight::numeric, o.script, o.variables, o.think_time, o.next, o.checks)::text))
                   FROM perfopt.operation o WHERE o.scenario = $2 ->> 'scenario'), '{}'),
    'data', $3)
$$;
COMMENT ON FUNCTION perfopt.test_fingerprint(jsonb, jsonb, jsonb) IS
  'What must be equal for two load tests to be comparable, for perfopt.test_run.fingerprint: target is what the target said of itself (version, database, settings), config the test''s settings, data the number of values of each variable. Its scripts are hashed. A test that starts calls it. Example: SELECT perfopt.test_fingerprint(''{}'', config, ''{}'') FROM perfopt.test_run WHERE run_id = 7;';

CREATE FUNCTION perfopt.unlike(a bigint, b bigint, OUT key text, OUT a text, OUT b text)
RETURNS SETOF record
LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp
AS $$
  WITH run (side, fingerprint) AS (
    VALUES ('a', (perfopt.checked_test($1)).fingerprint), ('b', (perfopt.checked_test($2)).fingerprint)
  ), item (side, part, key, value) AS (
    SELECT r.side, t.key, concat_ws('.', t.key, n.key), coalesce(n.value, t.value)
    FROM run r, jsonb_each(r.fingerprint) t
    LEFT JOIN LATERAL jsonb_each(CASE jsonb_typeof(t.value) WHEN 'object' THEN t.value END) n ON true
    WHERE jsonb_typeof(t.value) <> 'object' OR n.key IS NOT NULL
    UNION ALL
    SELECT r.side, 'fingerprint', 'fingerprint', to_jsonb('known'::text) FROM run r
    WHERE r.fingerprint IS NOT NULL AND EXISTS (SELECT FROM run u WHERE u.fingerprint IS NULL)
  )
  SELECT key, x.value #>> '{}', y.value #>> '{}'
  FROM (SELECT * FROM item WHERE side = 'a') x FULL JOIN (SELECT * FROM item WHERE side = 'b') y USING (part, key)
  WHERE CASE
      -- of one that is not known nothing is, but that
      WHEN EXISTS (SELECT FROM run u WHERE u.fingerprint IS NULL) THEN part = 'fingerprint'
      -- tables grow while they are tested
      WHEN part = 'data' AND jsonb_typeof(x.value) = 'number' AND jsonb_typeof(y.value) = 'number'
        THEN greatest((x.value #>> '{}')::float8, (y.value #>> '{}')::float8)
             > 1.25 * least((x.value #>> '{}')::float8, (y.value #>> '{}')::float8)
      ELSE x.value IS DISTINCT FROM y.value
    END
  UNION ALL
  SELECT 'fingerprint', NULL, NULL WHERE NOT EXISTS (SELECT FROM run u WHERE u.fingerprint IS NOT NULL)
  ORDER BY 1
$$;
COMMENT ON FUNCTION perfopt.unlike(bigint, bigint) IS
  'In what two load tests are so unlike that comparing them would say nothing of one cause: the server''s version, database or settings (settings.work_mem), what users do (workload.users, operations.buy, where a and b are hashes of its definition) and the data (data.buy.id: the number of values of a variable, when one has over a quarter more). A row fingerprint means that it is not known of one of them. No row: they are alike. Example: SELECT * FROM perfopt.unlike(7, 8);';

CREATE FUNCTION perfopt.compare_tests(
  a bigint, b bigint, force boolean DEFAULT false,
  OUT operation text, OUT metric text, OUT a float8, OUT b float8, OUT change_pct float8, OUT low_pct float8,
  OUT high_pct float8, OUT p_value float8, OUT verdict text, OUT n int, OUT n_needed int)
RETURNS SETOF record
LANGUAGE C STABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'perfopt_compare_tests';
COMMENT ON FUNCTION perfopt.compare_tests(bigint, bigint, boolean) IS
  'What changed from load test a to b, a row for each operation, and total, and metric: throughput (calls/s), p50_ms, p95_ms, p99_ms (ms), error_pct (% of calls). change_pct is in percent of a (of error_pct in percentage points), with its 95 % interval low_pct to high_pct; p_value is adjusted for all rows (Benjamini-Hochberg). Two tests: the interval is from batches of their seconds and does not know how much runs of the same differ, so the verdict is at most SUSPECT, else NO_REGRESSION (of these two runs) or INCONCLUSIVE. An A/B test compared with itself: from its pairs of slots, REGRESSION, IMPROVEMENT, NO_REGRESSION or INCONCLUSIVE. Margins: 5 % throughput and p50, 10 % p95, 15 % p99, 0.1 points of errors. n counts pairs or batches; with n_needed of them, so a test n_needed / n times as long, it would likely be decided (NULL: it is, or that is not known). Tests that are unlike (perfopt.unlike), cancelled or invalid are refused unless force. Example: SELECT * FROM perfopt.compare_tests(7, 8) WHERE operation = ''total'';';

CREATE FUNCTION perfopt.compare_slots(
  run_id bigint, force boolean DEFAULT false,
  OUT operation text, OUT metric text, OUT a float8, OUT b float8, OUT change_pct float8, OUT low_pct float8,
  OUT high_pct float8, OUT p_value float8, OUT verdict text, OUT n int, OUT n_needed int)
RETURNS SETOF record
LANGUAGE C STABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'perfopt_compare_slots';
COMMENT ON FUNCTION perfopt.compare_slots(bigint, boolean) IS
  'The variants of an A/B test beside each other; as perfopt.compare_tests(run_id, run_id). a and b are of all slots, change_pct is the Hodges-Lehmann estimate from pairs. Example: SELECT * FROM perfopt.compare_slots(7);';

CREATE FUNCTION perfopt.check_regression(
  run_id bigint, baseline text, rerun int DEFAULT 0, force boolean DEFAULT false,
  OUT operation text, OUT metric text, OUT a float8, OUT b float8, OUT change_pct float8, OUT low_pct float8,
  OUT high_pct float8, OUT p_value float8, OUT verdict text, OUT n int, OUT n_needed int)
RETURNS SETOF record
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'perfopt_check_regression';
COMMENT ON FUNCTION perfopt.check_regression(bigint, text, int, boolean) IS
  'A load test (b) beside a baseline of at least 3 like ones, better 5 (a, their mean), rows as of perfopt.compare_tests. Outside the 95 % prediction interval of the baseline, on the bad side and by more than the margin, is SUSPECT. With rerun = n (0 to 20, default 0), a suspicious test is run n more times, which takes the right to start tests and as long as they take, and the mean of all is judged: REGRESSION when its whole interval is beyond the margin and p_value < 0.05, which also raises an event (perfopt.event, NOTIFY perfopt_event, targets). n counts new runs; n_needed of them would likely decide (NULL: it is decided, or no number would with this baseline). Ctrl-C cancels the test that runs. As a statement of its own, outside a transaction block, it holds no snapshot while it waits. Example: SELECT * FROM perfopt.check_regression(12, ''release 4'', rerun => 3) WHERE verdict <> ''NO_REGRESSION'';';

CREATE FUNCTION perfopt.set_baseline(run_id bigint, name text, note text DEFAULT NULL) RETURNS int
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
  run perfopt.test_run := perfopt.checked_test($1);
  other record;
BEGIN
  IF $2 IS NULL OR $2 = '' THEN
    RAISE EXCEPTION 'a baseline must have a name'
      USING ERRCODE = 'invalid_parameter_value', HINT = 'For example: SELECT perfopt.set_baseline(7, ''release 4'');';
  END IF;
  IF run.state <> 'finished' THEN
    RAISE EXCEPTION 'load test % is %, so it can''t be part of a baseline', $1, run.state
      USING ERRCODE = 'object_not_in_prerequisite_state',
            HINT = CASE run.state WHEN 'running' THEN format('Wait for it: SELECT perfopt.wait_test(%s);', $1)
                                  ELSE 'A baseline is made of tests that ran to their end.' END;
  END IF;
  IF run.verdict = 'invalid' THEN
    RAISE EXCEPTION 'load test % is invalid, so it can''t be part of a baseline', $1
      USING ERRCODE = 'object_not_in_prerequisite_state', DETAIL = coalesce(run.invalid_reason, 'It is not known why.'),
            HINT = 'Run it again with the cause removed.';
  END IF;
  IF run.kind NOT IN ('load', 'endurance') THEN
    RAISE EXCEPTION 'load test % is of kind "%", so it can''t be part of a baseline', $1, run.kind
      USING ERRCODE = 'invalid_parameter_value', HINT = 'A baseline is made of tests of the kinds load and endurance, whose load stays the same.';
  END IF;
  SELECT b.added_by INTO other FROM perfopt.baseline b WHERE b.name = $2 AND b.added_by <> current_user LIMIT 1;
  IF FOUND THEN
    RAISE EXCEPTION 'baseline "%" is that of role "%"', $2, other.added_by
      USING ERRCODE = 'insufficient_privilege', HINT = 'Choose another name, or SET ROLE to that role.';
  END IF;
  SELECT b.run_id, string_agg(u.key, ', ' ORDER BY u.key) AS keys,
         string_agg(format('%s: %s and %s', u.key, coalesce(u.a, 'nothing'), coalesce(u.b, 'nothing')), E'\n' ORDER BY u.key) AS detail
    INTO other
    FROM perfopt.baseline b, perfopt.unlike(b.run_id, $1) u WHERE b.name = $2 GROUP BY b.run_id ORDER BY b.run_id LIMIT 1;
  IF FOUND THEN
    RAISE EXCEPTION 'load test % is unlike load test % of baseline "%": they differ in %', $1, other.run_id, $2, other.keys
      USING ERRCODE = 'invalid_parameter_value', DETAIL = other.detail,
            HINT = 'Runs of a baseline are runs of the same. Begin another baseline with this one.';
  END IF;
  INSERT INTO perfopt.baseline (name, run_id, note) VALUES ($2, $1, $3) ON CONFLICT DO NOTHING;
  RETURN (SELECT count(*) FROM perfopt.baseline b WHERE b.name = $2);
END $$;
COMMENT ON FUNCTION perfopt.set_baseline(bigint, text, text) IS
  'Adds a finished load test to the baseline of that name, which is made by it, and returns how many it has; perfopt.check_regression wants 3 and is better with 5. Refused are tests that are not over, failed or invalid, and those unlike the ones that are in it. Only the role that began a baseline adds to it. Example: SELECT perfopt.set_baseline(7, ''release 4'', ''commit 1f3a'');';

CREATE FUNCTION perfopt.drop_baseline(name text) RETURNS void
LANGUAGE plpgsql VOLATILE STRICT SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
  owner text := (SELECT min(b.added_by::text) FROM perfopt.baseline b WHERE b.name = $1);
BEGIN
  IF owner IS NULL THEN
    RAISE EXCEPTION 'baseline "%" does not exist', $1
      USING ERRCODE = 'undefined_object', HINT = 'Baselines are listed in perfopt.baseline.';
  END IF;
  DELETE FROM perfopt.baseline b WHERE b.name = $1;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'baseline "%" is that of role "%"', $1, owner
      USING ERRCODE = 'insufficient_privilege', HINT = 'Only the role that made it drops it.';
  END IF;
END $$;
COMMENT ON FUNCTION perfopt.drop_baseline(text) IS
  'Forgets a baseline; its tests stay. Example: SELECT perfopt.drop_baseline(''release 4'');';

CREATE FUNCTION perfopt.ab_test(
  config jsonb, variant_a jsonb, variant_b jsonb,
  OUT operation text, OUT metric text, OUT a float8, OUT b float8, OUT change_pct float8, OUT low_pct float8, OUT high_pct float8,
  OUT p_value float8, OUT verdict text, OUT n int, OUT n_needed int)
RETURNS SETOF record
LANGUAGE plpgsql VOLATILE STRICT PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
  run bigint := perfopt.start_test(config || jsonb_build_object('kind', 'ab', 'variant_a', variant_a, 'variant_b', variant_b));
BEGIN
  IF perfopt.wait_test(run) <> 'finished' THEN
    RAISE EXCEPTION 'load test % did not finish', run USING ERRCODE = 'object_not_in_prerequisite_state',
      HINT = format('SELECT state, problem FROM perfopt.test_run WHERE run_id = %s;', run);
  END IF;
  RETURN QUERY SELECT c.operation, c.metric, c.a, c.b, c.change_pct, c.low_pct, c.high_pct, c.p_value, c.verdict, c.n, c.n_needed
    FROM perfopt.compare_tests(run, run) c;
END $$;
COMMENT ON FUNCTION perfopt.ab_test(jsonb, jsonb, jsonb) IS
  'Runs a load (config as perfopt.start_test takes it) on two variants at once, in slots of a second (option slot) in pairs of random order, and compares them: the columns of perfopt.compare_tests, change being that from a to b. A variant can have settings, the settings of a role, scripts of operations, and a target; {} is the scenario as it is. 60 pairs, two minutes, find a difference of a tenth on a noisy machine. Example: SELECT * FROM perfopt.ab_test(''{"scenario": "pgbench", "users": 8, "duration": "2 min"}'', ''{}'', ''{"settings": {"synchronous_commit": "off"}}'');';
