-- Proof by experiment: a load with and without the change, in slots one after the other.

CREATE FUNCTION perfopt.proof_variant(advice perfopt.recommendation) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
  SELECT jsonb_build_object('settings', jsonb_object_agg(s.setting, s.value) FILTER (WHERE s.setting IS NOT NULL))
  FROM perfopt.action_statements((advice).action_sql) s LEFT JOIN pg_settings g ON g.name = s.setting
  WHERE s.command <> 'SELECT'
  -- Each of them a setting that a session may change by itself
  HAVING bool_and(coalesce(g.context IN ('user', 'superuser'), false) AND s.value IS NOT NULL)
$$;
COMMENT ON FUNCTION perfopt.proof_variant(perfopt.recommendation) IS
  'The variant of an A/B test that has a recommendation carried out: settings for its sessions; NULL when the action is none that a session can do for itself alone. Example: SELECT title FROM perfopt.recommendations() r WHERE perfopt.proof_variant(r) IS NOT NULL;';

-- Reads what was measured where the load room wrote it, so that nobody proves anything by hand.
CREATE FUNCTION perfopt.record_proof(recommendation_id bigint, run_id bigint) RETURNS perfopt.measurement
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  advice perfopt.recommendation := perfopt.checked_recommendation($1);
  run perfopt.test_run := perfopt.checked_test($2);
  rated boolean := coalesce(run.config ->> 'rate', '') <> '';
  found_one record;
  judged text;
  made perfopt.measurement;
BEGIN
  IF run.kind <> 'ab' OR run.config -> 'variant_b' IS DISTINCT FROM perfopt.proof_variant(advice)
     OR ARRAY(SELECT jsonb_object_keys(run.config #> '{variant_a,settings}') k ORDER BY k)
        IS DISTINCT FROM ARRAY(SELECT jsonb_object_keys(run.config #> '{variant_b,settings}') k ORDER BY k) THEN
    RAISE EXCEPTION 'load test % is no experiment on recommendation %', $2, $1
      USING ERRCODE = 'invalid_parameter_value', HINT = format('SELECT * FROM perfopt.prove_recommendation(%s); runs one.', $1);
  END IF;
  -- A user without pause makes 1 / time calls, so time changes by the inverse; at a rate, the median tells.
  SELECT c.verdict, c.p_value, c.n, c.n_needed,
         CASE WHEN rated THEN c.a ELSE 1000 * (run.config ->> 'users')::float8 / nullif(c.a, 0) END AS a,
         CASE WHEN rated THEN c.b ELSE 1000 * (run.config ->> 'users')::float8 / nullif(c.b, 0) END AS b,
         CASE WHEN rated THEN c.change_pct ELSE 100 * (100 / (100 + nullif(c.change_pct, -100)) - 1) END AS change,
         CASE WHEN rated THEN c.low_pct WHEN c.high_pct > -100 THEN 100 * (100 / (100 + c.high_pct) - 1) END AS low,
         CASE WHEN rated THEN c.high_pct WHEN c.low_pct > -100 THEN 100 * (100 / (100 + c.low_pct) - 1) END AS high
    INTO found_one
    FROM perfopt.compare_tests($2, $2) c WHERE c.operation = 'total' AND c.metric = CASE WHEN rated THEN 'p50_ms' ELSE 'throughput' END;
  judged := CASE WHEN found_one.verdict = 'IMPROVEMENT' THEN 'verified' WHEN found_one.verdict = 'REGRESSION' THEN 'regressed'
                 WHEN found_one.low > -5 AND found_one.high < 5 THEN 'no_effect' ELSE 'inconclusive' END;
  INSERT INTO perfopt.measurement AS m (recommendation_id, kind, run_id, measured_by, changed_at, length, windows_before, before_ms, after_ms,
                                        change_pct, low_pct, high_pct, p_value, predicted_pct, state)
    SELECT $1, 'proof', $2, perfopt.caller(), run.started_at, run.finished_at - run.started_at, coalesce(found_one.n, 0), found_one.a, found_one.b,
           found_one.change, found_one.low, found_one.high, found_one.p_value, -advice.impact_pct, judged
    RETURNING m.* INTO made;
  IF judged <> advice.state THEN
    PERFORM perfopt.set_recommendation_state($1, judged, perfopt.caller(), format('proof by load test %s', $2));
  END IF;
  RETURN made;
END $$;
COMMENT ON FUNCTION perfopt.record_proof(bigint, bigint) IS
  'Judges a recommendation by an A/B test whose variant_b has it carried out (perfopt.proof_variant) and whose variant_a sets the same settings to what they are; perfopt.prove_recommendation calls it. Example: SELECT state FROM perfopt.record_proof(1, 7);';

CREATE FUNCTION perfopt.prove_recommendation(recommendation_id bigint, test jsonb DEFAULT '{}', keep boolean DEFAULT false)
RETURNS perfopt.measurement
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  advice perfopt.recommendation := perfopt.checked_recommendation($1);
  variant jsonb := perfopt.proof_variant(advice);
  present jsonb;
  run bigint;
  made perfopt.measurement;
BEGIN
  IF variant IS NULL THEN
    RAISE EXCEPTION 'recommendation % can''t be switched on and off by a session, so no A/B test can prove it', $1
      USING ERRCODE = 'feature_not_supported',
            HINT = format('CALL perfopt.prove_in_blocks(%s); applies and reverts it in turns.', $1);
  END IF;
  IF perfopt.is_applied($1) OR advice.state IN ('dismissed', 'reverted') THEN
    RAISE EXCEPTION 'recommendation % is %, so it is not proven now', $1, advice.state
      USING ERRCODE = 'object_not_in_prerequisite_state',
            HINT = CASE WHEN perfopt.is_applied($1) THEN 'Both sides would have it: measure_impact() compares with the time before.'
                        ELSE 'accept_recommendation() takes it up again.' END;
  END IF;
  -- Both sides set it. With one alone doing so, settings that change nothing were found a tenth faster: the sessions
  -- differed in the statement that they had begun with.
  present := (
    SELECT jsonb_object_agg(k, coalesce(
      -- what sessions that begin now have, which this one may be too old for
      (SELECT substr(c, length(k) + 2) FROM pg_db_role_setting d CROSS JOIN unnest(d.setconfig) c
       WHERE starts_with(lower(c), lower(k) || '=') AND d.setrole IN (0, (SELECT r.oid FROM pg_roles r WHERE r.rolname = current_user))
         AND d.setdatabase IN (0, (SELECT b.oid FROM pg_database b WHERE b.datname = current_database()))
       ORDER BY d.setrole <> 0 DESC, d.setdatabase <> 0 DESC LIMIT 1), s.reset_val))
    FROM jsonb_object_keys(variant -> 'settings') k JOIN pg_settings s ON lower(s.name) = lower(k));
  run := perfopt.start_test('{"duration": "2 min"}'::jsonb || test
    || jsonb_build_object('kind', 'ab', 'variant_a', jsonb_build_object('settings', present), 'variant_b', variant));
  IF perfopt.wait_test(run) <> 'finished' THEN
    RAISE EXCEPTION 'load test % did not finish, so it proves nothing', run
      USING ERRCODE = 'object_not_in_prerequisite_state', HINT = format('SELECT state, problem FROM perfopt.test_run WHERE run_id = %s;', run);
  END IF;
  made := perfopt.record_proof($1, run);
  IF keep AND made.state = 'verified' THEN
    PERFORM perfopt.apply_recommendation($1, false);
  END IF;
  RETURN made;
END $$;
COMMENT ON FUNCTION perfopt.prove_recommendation(bigint, jsonb, boolean) IS
  'Proves advice on settings that a session can change: runs a load (test as perfopt.start_test takes it, default 2 min of the scenario integration) with and without it in slots of a second in random order, decides with the verdict of perfopt.compare_tests, and puts the change of time per call with its 95 % interval (percent) beside the prediction. The recommendation becomes verified, no_effect (within 5 percent), regressed or inconclusive. Only the test''s own sessions have the change, so nothing is to be reverted; keep => true (default false) applies it when it is verified, by perfopt.apply_recommendation. Example: SELECT before_ms, after_ms, change_pct, low_pct, high_pct, predicted_pct, state FROM perfopt.prove_recommendation(1, ''{"scenario": "pgbench", "users": 8}'');';

-- What a session can't have for itself alone: before, after and reverted, several times over.
CREATE FUNCTION perfopt.record_blocks(recommendation_id bigint, runs bigint[]) RETURNS perfopt.measurement
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  advice perfopt.recommendation := perfopt.checked_recommendation($1);
  block record;
  judged record;
  made perfopt.measurement;
BEGIN
  -- A run had the change when the last that was done before it was to apply, and nothing was done while it ran.
  SELECT array_agg(b.ms ORDER BY b.run_id) FILTER (WHERE NOT b.has_it) AS before, array_agg(b.ms ORDER BY b.run_id) FILTER (WHERE b.has_it) AS after,
         count(*) AS n, count(DISTINCT b.config #- '{options,seed}') AS configs, min(b.started_at) AS began, max(b.finished_at) AS ended, bool_or(b.disturbed) AS disturbed
    INTO block
    FROM (SELECT r.run_id, r.started_at, r.finished_at, r.config, (SELECT t.mean_ms FROM perfopt.test_report(r.run_id) t WHERE t.operation = 'total') AS ms,
                 coalesce((SELECT NOT a.undo FROM perfopt.application a WHERE a.recommendation_id = $1 AND a.state = 'done' AND a.finished_at <= r.started_at
                           ORDER BY a.application_id DESC LIMIT 1), false) AS has_it,
                 EXISTS (SELECT FROM perfopt.application a WHERE a.recommendation_id = $1
                         AND a.started_at < r.finished_at AND coalesce(a.finished_at, 'infinity') > r.started_at) AS disturbed
          FROM perfopt.test_run r WHERE r.run_id = ANY ($2) AND r.kind = 'load' AND r.state = 'finished') b;
  IF block.n <> cardinality($2) OR block.configs <> 1 OR block.disturbed OR block.before IS NULL OR block.after IS NULL THEN
    RAISE EXCEPTION 'load tests % are no experiment on recommendation %', $2, $1
      USING ERRCODE = 'invalid_parameter_value', HINT = format('CALL perfopt.prove_in_blocks(%s); runs one.', $1);
  END IF;
  SELECT * INTO judged FROM perfopt.judge_change(block.before, block.after);
  INSERT INTO perfopt.measurement AS m (recommendation_id, kind, measured_by, changed_at, length, windows_before, before_ms, after_ms,
                                        change_pct, low_pct, high_pct, p_value, predicted_pct, state)
    SELECT $1, 'proof', perfopt.caller(), block.began, block.ended - block.began, cardinality(block.before),
           (SELECT exp(avg(ln(b))) FROM unnest(block.before) b), (SELECT exp(avg(ln(b))) FROM unnest(block.after) b),
           judged.change_pct, judged.low_pct, judged.high_pct, judged.p_value, -advice.impact_pct, judged.state
    RETURNING m.* INTO made;
  IF judged.state <> advice.state THEN
    PERFORM perfopt.set_recommendation_state($1, judged.state, perfopt.caller(), format('proof by load tests %s', $2));
  END IF;
  RETURN made;
END $$;
COMMENT ON FUNCTION perfopt.record_blocks(bigint, bigint[]) IS
  'Judges a recommendation by load tests of the same configuration, some of which ran while it was applied, as perfopt.application tells (perfopt.judge_change of their mean_ms); perfopt.prove_in_blocks calls it. Example: SELECT state FROM perfopt.record_blocks(1, ''{7,8,9}'');';

-- Between its transactions it holds no snapshot, which CREATE INDEX CONCURRENTLY would wait for.
CREATE PROCEDURE perfopt.prove_in_blocks(
  recommendation_id bigint, test jsonb DEFAULT '{}', cycles int DEFAULT 3, INOUT state text DEFAULT NULL)
LANGUAGE plpgsql
AS $$
DECLARE
  advice perfopt.recommendation := perfopt.checked_recommendation($1);
  config jsonb := '{"duration": "30 s"}'::jsonb OPERATOR(pg_catalog.||) test OPERATOR(pg_catalog.||) '{"kind": "load"}'::jsonb;
  run bigint;
  runs bigint[] := '{}';
  application bigint;
  outcome text;
BEGIN
  IF cycles NOT BETWEEN 2 AND 100 THEN
    RAISE EXCEPTION '% cycles are not between 2 and 100', cycles USING ERRCODE = 'invalid_parameter_value', HINT = '3 are the default.';
  END IF;
  IF EXISTS (SELECT FROM perfopt.describe_action(advice.action_sql) d WHERE d.takes_effect = 'when the server is restarted') THEN
    RAISE EXCEPTION 'recommendation % needs a restart, so it can''t be proven in blocks', $1
      USING ERRCODE = 'feature_not_supported', HINT = pg_catalog.format('Apply it, and then SELECT * FROM perfopt.measure_impact(%s);', $1);
  END IF;
  FOR i IN 0 .. 2 * cycles LOOP
    IF i > 0 THEN
      application := perfopt.start_application($1, i % 2 = 0, 60000);
      COMMIT;
      CALL perfopt.wait_application(application, '1 day', outcome);
      IF outcome <> 'done' THEN
        RAISE EXCEPTION 'application % of recommendation % is %', application, $1, outcome
          USING ERRCODE = 'object_not_in_prerequisite_state',
                DETAIL = (SELECT a.error FROM perfopt.application a WHERE a.application_id = application);
      END IF;
    END IF;
    run := NULL;
    CALL perfopt.run_test(config, run);
    runs := runs OPERATOR(pg_catalog.||) run;
  END LOOP;
  state := (perfopt.record_blocks($1, runs)).state;
END $$;
COMMENT ON PROCEDURE perfopt.prove_in_blocks(bigint, jsonb, int, text) IS
  'Proves advice that holds for the whole server, such as an index: runs a load (test as perfopt.start_test takes it, default 30 s of the scenario integration), applies, runs it, reverts, runs it, and so on for cycles (2 to 100, default 3) and leaves it reverted. It is perfopt.apply_recommendation and revert_recommendation that do it, on this very server. The mean time per call with it beside the others'' and how those differ from each other decides: verified, no_effect, regressed or inconclusive; perfopt.measurement has change and interval. If it is interrupted, perfopt.recommendation says whether it is implemented just then. Not inside a transaction block. Example: CALL perfopt.prove_in_blocks(1, ''{"scenario": "pgbench", "users": 4, "duration": "30 s"}'');';
