-- Who may do what. Nothing is granted to PUBLIC; each object belongs to the lowest level that may use
-- it, and a level has what those below it have: viewer, tester, operator, admin.

CREATE TABLE perfopt.access_rule (
  level text NOT NULL CHECK (level IN ('viewer', 'tester', 'operator', 'admin')),
  kind text NOT NULL CHECK (kind IN ('table', 'function', 'procedure', 'type', 'server')),
  privileges text NOT NULL,
  object text NOT NULL,
  PRIMARY KEY (kind, object, level)
);
COMMENT ON TABLE perfopt.access_rule IS
  'What each level of grant_access() is given, beside what the levels below it have. Example: SELECT kind, object, privileges FROM perfopt.access_rule WHERE level = ''tester'';';

INSERT INTO perfopt.access_rule (level, kind, privileges, object) VALUES
  ('viewer', 'table', 'SELECT', 'perfopt.metric'),
  ('viewer', 'table', 'SELECT', 'perfopt.series'),
  ('viewer', 'table', 'SELECT', 'perfopt.sample_hot'),
  ('viewer', 'table', 'SELECT', 'perfopt.sample'),
  ('viewer', 'table', 'SELECT', 'perfopt.sample_5min'),
  ('viewer', 'table', 'SELECT', 'perfopt.sample_1hour'),
  ('viewer', 'table', 'SELECT', 'perfopt.stream'),
  ('viewer', 'table', 'SELECT', 'perfopt.active_session_hot'),
  ('viewer', 'table', 'SELECT', 'perfopt.active_sessions'),
  ('viewer', 'table', 'SELECT', 'perfopt.blocking'),
  ('viewer', 'table', 'SELECT', 'perfopt.source_status'),
  ('viewer', 'table', 'SELECT', 'perfopt.statement'),
  ('viewer', 'table', 'SELECT', 'perfopt.access_rule'),
  ('viewer', 'function', 'EXECUTE', 'perfopt.forecast_values(float8[], int, int[], float8, float8, float8)'),
  ('viewer', 'function', 'EXECUTE', 'perfopt.anomaly_scores(float8[], int[])'),
  ('viewer', 'function', 'EXECUTE', 'perfopt.anomaly_scan(float8[], int[])'),
  ('viewer', 'function', 'EXECUTE', 'perfopt.change_points(float8[], float8)'),
  ('viewer', 'function', 'EXECUTE', 'perfopt.trend_values(float8[], float8)'),
  ('viewer', 'function', 'EXECUTE', 'perfopt.capacity_values(float8[], float8, float8, float8)'),
  ('viewer', 'function', 'EXECUTE', 'perfopt.spread_values(int[], float8[], int)'),
  ('viewer', 'function', 'EXECUTE', 'perfopt.regular_series(text, interval, jsonb, boolean)'),
  ('viewer', 'function', 'EXECUTE', 'perfopt.single_series(text, interval, jsonb, boolean)'),
  ('viewer', 'function', 'EXECUTE', 'perfopt.trend(text, interval, jsonb)'),
  ('viewer', 'function', 'EXECUTE', 'perfopt.forecast(text, interval, interval, jsonb)'),
  ('viewer', 'function', 'EXECUTE', 'perfopt.anomalies(text, interval, jsonb)'),
  ('viewer', 'function', 'EXECUTE', 'perfopt.performance_history(text, text, text)'),
  ('viewer', 'function', 'EXECUTE', 'perfopt.capacity_plan(interval)'),
  ('viewer', 'table', 'SELECT', 'perfopt.threshold'),
  ('viewer', 'table', 'SELECT', 'perfopt.inhibition'),
  ('viewer', 'table', 'SELECT', 'perfopt.silence'),
  ('viewer', 'table', 'SELECT', 'perfopt.alert_log'),
  ('viewer', 'table', 'SELECT', 'perfopt.alert'),
  ('viewer', 'table', 'SELECT', 'perfopt.event'),
  ('viewer', 'table', 'SELECT', 'perfopt.outbox'),
  ('viewer', 'function', 'EXECUTE', 'perfopt.event_json(perfopt.event)'),
  ('viewer', 'function', 'EXECUTE', 'perfopt.edit_distance(text, text)'),
  ('viewer', 'function', 'EXECUTE', 'perfopt.nearest_metrics(text)'),
  ('viewer', 'function', 'EXECUTE', 'perfopt.threshold_name(text, text, interval, jsonb, text)'),
  ('viewer', 'function', 'EXECUTE', 'perfopt.is_silenced(text, jsonb, timestamptz)'),
  ('viewer', 'function', 'EXECUTE', 'perfopt.caller()'),
  ('viewer', 'function', 'EXECUTE', 'perfopt.health()'),
  ('viewer', 'function', 'EXECUTE', 'perfopt.health_of(jsonb)'),
  ('viewer', 'function', 'EXECUTE', 'perfopt.sparkline_series(interval, int)'),
  ('viewer', 'function', 'EXECUTE', 'perfopt.dashboard()'),
  ('viewer', 'table', 'SELECT', 'perfopt.scenario'),
  ('viewer', 'table', 'SELECT', 'perfopt.operation'),
  ('viewer', 'function', 'EXECUTE', 'perfopt.checked_metric(text)'),
  ('viewer', 'function', 'EXECUTE', 'perfopt.checked_dimension(text)'),
  ('viewer', 'function', 'EXECUTE', 'perfopt.checked_positive(text, interval)'),
  ('viewer', 'function', 'EXECUTE', 'perfopt.current_metrics(text)'),
  ('viewer', 'function', 'EXECUTE', 'perfopt.metric_history(text, interval, interval, jsonb)'),
  ('viewer', 'function', 'EXECUTE', 'perfopt.share_interval(float8[], float8[], float8)'),
  ('viewer', 'function', 'EXECUTE', 'perfopt.db_time(interval, text)'),
  ('viewer', 'function', 'EXECUTE', 'perfopt.read_source_status()'),
  ('viewer', 'function', 'EXECUTE', 'perfopt.external_call_latency(interval)'),
  ('viewer', 'function', 'EXECUTE', 'perfopt.bottlenecks(interval, timestamptz)'),
  ('viewer', 'function', 'EXECUTE', 'perfopt.finding_thresholds()'),
  ('viewer', 'table', 'SELECT', 'perfopt.finding_setting'),
  ('viewer', 'table', 'SELECT', 'perfopt.analysis'),
  ('viewer', 'table', 'SELECT', 'perfopt.bottleneck'),
  ('viewer', 'table', 'SELECT', 'perfopt.recommendation'),
  ('viewer', 'function', 'EXECUTE', 'perfopt.recommendations(bigint)'),
  ('viewer', 'table', 'SELECT', 'perfopt.recommendation_history'),
  ('viewer', 'table', 'SELECT', 'perfopt.application'),
  ('viewer', 'table', 'SELECT', 'perfopt.plan_step'),
  ('viewer', 'table', 'SELECT', 'perfopt.cost_rate'),
  ('viewer', 'table', 'SELECT', 'perfopt.measurement'),
  ('viewer', 'function', 'EXECUTE', 'perfopt.judge_change(float8[], float8[], float8)'),
  ('viewer', 'function', 'EXECUTE', 'perfopt.time_per_commit(timestamptz, timestamptz)'),
  ('viewer', 'function', 'EXECUTE', 'perfopt.prediction_accuracy()'),
  ('viewer', 'function', 'EXECUTE', 'perfopt.is_applied(bigint)'),
  ('viewer', 'function', 'EXECUTE', 'perfopt.compare_analyses(bigint, bigint)'),
  ('operator', 'function', 'EXECUTE', 'perfopt.checked_cron()'),
  ('operator', 'function', 'EXECUTE', 'perfopt.schedule_analysis(text, interval)'),
  ('operator', 'function', 'EXECUTE', 'perfopt.unschedule_analysis()'),
  ('viewer', 'function', 'EXECUTE', 'perfopt.proof_variant(perfopt.recommendation)'),
  ('operator', 'function', 'EXECUTE', 'perfopt.record_proof(bigint, bigint)'),
  ('operator', 'function', 'EXECUTE', 'perfopt.prove_recommendation(bigint, jsonb, boolean)'),
  ('operator', 'function', 'EXECUTE', 'perfopt.record_blocks(bigint, bigint[])'),
  ('operator', 'procedure', 'EXECUTE', 'perfopt.prove_in_blocks(bigint, jsonb, int, text)'),
  ('operator', 'function', 'EXECUTE', 'perfopt.measure_impact(bigint, timestamptz, interval, float8)'),
  ('viewer', 'function', 'EXECUTE', 'perfopt.can_become(text, text)'),
  ('viewer', 'function', 'EXECUTE', 'perfopt.checked_recommendation(bigint)'),
  ('viewer', 'function', 'EXECUTE', 'perfopt.action_statements(text)'),
  ('viewer', 'function', 'EXECUTE', 'perfopt.is_applicable(text)'),
  ('viewer', 'function', 'EXECUTE', 'perfopt.existing_index(text)'),
  ('viewer', 'function', 'EXECUTE', 'perfopt.locks_of(text, boolean)'),
  ('viewer', 'function', 'EXECUTE', 'perfopt.describe_action(text)'),
  ('viewer', 'function', 'EXECUTE', 'perfopt.planned_steps(perfopt.recommendation)'),
  ('viewer', 'function', 'EXECUTE', 'perfopt.implementation_plan(bigint)'),
  ('viewer', 'function', 'EXECUTE', 'perfopt.investment(numeric, numeric, numeric)'),
  ('viewer', 'function', 'EXECUTE', 'perfopt.cost_analysis(bigint, numeric)'),
  ('viewer', 'table', 'SELECT', 'perfopt.test_run'),
  ('viewer', 'table', 'SELECT', 'perfopt.test_operation'),
  ('viewer', 'table', 'SELECT', 'perfopt.test_interval'),
  ('viewer', 'function', 'EXECUTE', 'perfopt.live_progress(bigint)'),
  ('viewer', 'function', 'EXECUTE', 'perfopt.live_report(bigint)'),
  ('viewer', 'function', 'EXECUTE', 'perfopt.test_progress(bigint)'),
  ('viewer', 'function', 'EXECUTE', 'perfopt.test_report(bigint)'),
  ('viewer', 'function', 'EXECUTE', 'perfopt.wait_test(bigint, interval)'),
  ('viewer', 'function', 'EXECUTE', 'perfopt.checked_test(bigint)'),
  ('viewer', 'function', 'EXECUTE', 'perfopt.unlike(bigint, bigint)'),
  ('viewer', 'function', 'EXECUTE', 'perfopt.compare_tests(bigint, bigint, boolean)'),
  ('viewer', 'function', 'EXECUTE', 'perfopt.compare_slots(bigint, boolean)'),
  ('viewer', 'function', 'EXECUTE', 'perfopt.check_regression(bigint, text, int, boolean)'),
  ('viewer', 'function', 'EXECUTE', 'perfopt.spike_outcome(bigint)'),
  ('viewer', 'function', 'EXECUTE', 'perfopt.test_waits(bigint)'),
  ('viewer', 'function', 'EXECUTE', 'perfopt.saturated_resource(timestamptz, timestamptz)'),
  ('viewer', 'function', 'EXECUTE', 'perfopt.test_marks(bigint)'),
  ('viewer', 'function', 'EXECUTE', 'perfopt.test_blockers(bigint)'),
  ('viewer', 'function', 'EXECUTE', 'perfopt.endurance_drift(bigint)'),
  ('viewer', 'function', 'EXECUTE', 'perfopt.power_fit(float8[], float8[], float8)'),
  ('viewer', 'function', 'EXECUTE', 'perfopt.theil_sen(float8[], float8[], float8)'),
  ('viewer', 'table', 'SELECT', 'perfopt.test_template'),
  ('viewer', 'table', 'SELECT', 'perfopt.test_slot'),
  ('viewer', 'table', 'SELECT', 'perfopt.baseline'),
  ('tester', 'function', 'EXECUTE', 'perfopt.record_metric(text, float8, jsonb, timestamptz)'),
  ('tester', 'function', 'EXECUTE', 'perfopt.load_test(int, interval, interval, interval, interval, text, text, float8, jsonb, jsonb)'),
  ('tester', 'function', 'EXECUTE', 'perfopt.start_test(jsonb)'),
  ('tester', 'function', 'EXECUTE', 'perfopt.start_test(text, jsonb)'),
  ('tester', 'function', 'EXECUTE', 'perfopt.execute_test(jsonb)'),
  ('tester', 'function', 'EXECUTE', 'perfopt.ab_test(jsonb, jsonb, jsonb)'),
  ('tester', 'procedure', 'EXECUTE', 'perfopt.run_test(jsonb, bigint)'),
  ('tester', 'function', 'EXECUTE', 'perfopt.stress_test(int, int, float8, float8, interval, interval, text, text, jsonb, jsonb)'),
  ('tester', 'function', 'EXECUTE', 'perfopt.spike_test(int, int, interval, interval, interval, interval, text, text, jsonb, jsonb)'),
  ('tester', 'function', 'EXECUTE', 'perfopt.endurance_test(int, interval, interval, interval, text, text, float8, jsonb, jsonb)'),
  ('tester', 'function', 'EXECUTE', 'perfopt.volume_test(int[], int, interval, interval, text, text, float8, jsonb)'),
  ('tester', 'function', 'EXECUTE', 'perfopt.record_call(text, float8, boolean)'),
  ('tester', 'function', 'EXECUTE', 'perfopt.cancel_test(bigint)'),
  ('tester', 'table', 'INSERT, DELETE', 'perfopt.baseline'),
  ('tester', 'function', 'EXECUTE', 'perfopt.set_baseline(bigint, text, text)'),
  ('tester', 'function', 'EXECUTE', 'perfopt.drop_baseline(text)'),
  ('tester', 'function', 'EXECUTE', 'perfopt.tell_regression(bigint, text, int, jsonb)'),
  ('tester', 'function', 'EXECUTE', 'perfopt.test_fingerprint(jsonb, jsonb, jsonb)'),
  ('viewer', 'table', 'SELECT', 'perfopt.dataset'),
  ('viewer', 'type', 'USAGE', 'perfopt.histogram'),
  ('viewer', 'function', 'EXECUTE', 'perfopt.histogram(float8)'),
  ('viewer', 'function', 'EXECUTE', 'perfopt.merge(perfopt.histogram)'),
  ('viewer', 'function', 'EXECUTE', 'perfopt.quantile(perfopt.histogram, float8)'),
  ('viewer', 'function', 'EXECUTE', 'perfopt.quantile(perfopt.histogram, float8[])'),
  ('viewer', 'function', 'EXECUTE', 'perfopt.histogram_count(perfopt.histogram)'),
  ('viewer', 'function', 'EXECUTE', 'perfopt.histogram_sum(perfopt.histogram)'),
  ('viewer', 'function', 'EXECUTE', 'perfopt.histogram_mean(perfopt.histogram)'),
  ('viewer', 'function', 'EXECUTE', 'perfopt.histogram_min(perfopt.histogram)'),
  ('viewer', 'function', 'EXECUTE', 'perfopt.histogram_max(perfopt.histogram)'),
  ('viewer', 'function', 'EXECUTE', 'perfopt.histogram_buckets(perfopt.histogram)'),
  ('tester', 'table', 'INSERT, UPDATE, DELETE', 'perfopt.scenario'),
  ('tester', 'table', 'INSERT, UPDATE, DELETE', 'perfopt.operation'),
  ('tester', 'function', 'EXECUTE', 'perfopt.check_script(text, text, jsonb, jsonb, jsonb)'),
  ('tester', 'function', 'EXECUTE', 'perfopt.check_test(jsonb)'),
  ('tester', 'table', 'INSERT, UPDATE, DELETE', 'perfopt.test_template'),
  ('tester', 'function', 'EXECUTE', 'perfopt.import_pgbench_script(text, text, int, jsonb)'),
  ('tester', 'function', 'EXECUTE', 'perfopt.scenario_from_statements(text, int, interval, boolean)'),
  ('tester', 'table', 'INSERT, UPDATE, DELETE', 'perfopt.dataset'),
  ('tester', 'function', 'EXECUTE', 'perfopt.create_dataset(text, int, text)'),
  ('tester', 'function', 'EXECUTE', 'perfopt.drop_dataset(text)'),
  ('tester', 'function', 'EXECUTE', 'perfopt.reset_dataset(text)'),
  ('tester', 'function', 'EXECUTE', 'perfopt.dataset_integration(text, int)'),
  ('tester', 'function', 'EXECUTE', 'perfopt.dataset_schema_mark(text)'),
  ('tester', 'function', 'EXECUTE', 'perfopt.dataset_share(bigint, bigint)'),
  ('tester', 'server', 'USAGE', 'perfopt_local'),
  ('tester', 'function', 'EXECUTE', 'perfopt.check_target(text)'),
  ('operator', 'table', 'SELECT, INSERT, UPDATE, DELETE', 'perfopt.custom_metric'),
  ('operator', 'function', 'EXECUTE', 'perfopt.check_custom_sql(text)'),
  ('operator', 'table', 'INSERT, UPDATE, DELETE', 'perfopt.threshold'),
  ('operator', 'table', 'INSERT, UPDATE, DELETE', 'perfopt.inhibition'),
  ('operator', 'function', 'EXECUTE', 'perfopt.set_threshold(text, text, float8, float8, jsonb, interval, interval, interval, text, interval, float8, text)'),
  ('operator', 'function', 'EXECUTE', 'perfopt.drop_threshold(text, text, jsonb, text, interval)'),
  ('operator', 'function', 'EXECUTE', 'perfopt.acknowledge_alert(bigint, text)'),
  ('operator', 'function', 'EXECUTE', 'perfopt.resolve_alert(bigint, text)'),
  ('operator', 'function', 'EXECUTE', 'perfopt.escalate_alert(bigint, text)'),
  ('operator', 'function', 'EXECUTE', 'perfopt.silence_alerts(text, jsonb, timestamptz, text)'),
  ('operator', 'function', 'EXECUTE', 'perfopt.end_silence(bigint)'),
  ('operator', 'function', 'EXECUTE', 'perfopt.collect_now()'),
  ('operator', 'function', 'EXECUTE', 'perfopt.maintain_now()'),
  ('operator', 'table', 'UPDATE', 'perfopt.finding_setting'),
  ('operator', 'function', 'EXECUTE', 'perfopt.analyze(interval, timestamptz)'),
  ('operator', 'function', 'EXECUTE', 'perfopt.accept_recommendation(bigint, text)'),
  ('operator', 'function', 'EXECUTE', 'perfopt.dismiss_recommendation(bigint, text)'),
  ('operator', 'function', 'EXECUTE', 'perfopt.mark_implemented(bigint, text)'),
  ('operator', 'function', 'EXECUTE', 'perfopt.settle_applications()'),
  ('operator', 'function', 'EXECUTE', 'perfopt.start_application(bigint, boolean, int)'),
  ('operator', 'function', 'EXECUTE', 'perfopt.apply_recommendation(bigint, boolean, interval)'),
  ('operator', 'function', 'EXECUTE', 'perfopt.revert_recommendation(bigint, boolean, interval)'),
  ('operator', 'procedure', 'EXECUTE', 'perfopt.wait_application(bigint, interval, text)'),
  ('operator', 'table', 'INSERT, UPDATE, DELETE', 'perfopt.cost_rate'),
  ('admin', 'function', 'EXECUTE', 'perfopt.grant_access(regrole, text)'),
  ('admin', 'function', 'EXECUTE', 'perfopt.revoke_access(regrole, text)');

CREATE FUNCTION perfopt.checked_level(level text) RETURNS int
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  rank int := array_position(ARRAY['viewer', 'tester', 'operator', 'admin'], level);
BEGIN
  IF rank IS NULL THEN
    RAISE EXCEPTION 'access level "%" does not exist', level
      USING ERRCODE = 'invalid_parameter_value',
            HINT = 'Levels are viewer, tester, operator and admin, each including the one before.';
  END IF;
  RETURN rank;
END $$;
COMMENT ON FUNCTION perfopt.checked_level(text) IS
  'The rank of an access level, 1 viewer to 4 admin, or an error with a hint. Example: SELECT perfopt.checked_level(''tester'');';

-- One rule as GRANT or REVOKE. The words of a rule come from this script, the role is quoted.
CREATE FUNCTION perfopt.access_command(verb text, rule perfopt.access_rule, role regrole) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
  SELECT format('%s %s ON %s %s %s %s', verb, rule.privileges,
                CASE rule.kind WHEN 'server' THEN 'FOREIGN SERVER' ELSE upper(rule.kind) END,
                rule.object, CASE verb WHEN 'GRANT' THEN 'TO' ELSE 'FROM' END, role)
$$;
COMMENT ON FUNCTION perfopt.access_command(text, perfopt.access_rule, regrole) IS
  'The GRANT or REVOKE command of one access rule. Example: SELECT perfopt.access_command(''GRANT'', r, ''pg_monitor'') FROM perfopt.access_rule r;';

CREATE FUNCTION perfopt.grant_access(role regrole, level text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  asked int := perfopt.checked_level(level);
  rule perfopt.access_rule;
BEGIN
  EXECUTE format('GRANT USAGE ON SCHEMA perfopt TO %s', role);
  FOR rule IN SELECT r.* FROM perfopt.access_rule r WHERE perfopt.checked_level(r.level) <= asked LOOP
    EXECUTE perfopt.access_command('GRANT', rule, role);
  END LOOP;
END $$;
COMMENT ON FUNCTION perfopt.grant_access(regrole, text) IS
  'Gives a role the rights of a level: viewer reads, tester also runs load tests, manages data sets and reports calls, operator also collects at once and works on recommendations, admin also grants access. Example: SELECT perfopt.grant_access(''dev_team'', ''tester'');';

CREATE FUNCTION perfopt.revoke_access(role regrole, level text DEFAULT 'viewer') RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  asked int := perfopt.checked_level(level);
  rule perfopt.access_rule;
BEGIN
  FOR rule IN SELECT r.* FROM perfopt.access_rule r WHERE perfopt.checked_level(r.level) >= asked LOOP
    EXECUTE perfopt.access_command('REVOKE', rule, role);
  END LOOP;
  IF asked = 1 THEN
    EXECUTE format('REVOKE USAGE ON SCHEMA perfopt FROM %s', role);
  END IF;
END $$;
COMMENT ON FUNCTION perfopt.revoke_access(regrole, text) IS
  'Takes the rights of a level and of those above it from a role; viewer, the default, takes all. Example: SELECT perfopt.revoke_access(''dev_team'', ''tester'') leaves it a viewer.';

REVOKE ALL ON ALL TABLES IN SCHEMA perfopt FROM PUBLIC;
REVOKE ALL ON ALL ROUTINES IN SCHEMA perfopt FROM PUBLIC;
REVOKE ALL ON TYPE perfopt.histogram FROM PUBLIC;

-- pg_monitor reads, as it does the server's own statistics.
SELECT perfopt.grant_access('pg_monitor', 'viewer');

-- The first days' partitions, now that every partitioned table is there.
SELECT perfopt.maintain_now();
