-- Who may do what: every object of the schema against PUBLIC, each level, pg_monitor and the owner.
-- The list below is the test's own; an object that is not in it fails the test.
\set QUIET on
\set ON_ERROR_STOP on
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS perfopt;
BEGIN;

-- level: the lowest that has the privilege; nobody means the owner alone.
CREATE TEMP TABLE expected (kind text, object text, privilege text, level text);
INSERT INTO expected
  SELECT kind, object, privilege, level
  FROM (VALUES
    ('schema', 'perfopt',
     'USAGE', 'viewer'),
    ('wrapper', 'perfopt;
       perfopt_store',
     'USAGE', 'nobody'),
    ('server', 'perfopt_store',
     'USAGE', 'nobody'),
    ('table', 'sample_chunk;
       sample_5min_hot;
       sample_5min_chunk;
       sample_1hour_hot;
       sample_1hour_chunk;
       rollup_due',
     'SELECT', 'nobody'),
    ('server', 'perfopt_local',
     'USAGE', 'tester'),
    ('type', 'histogram',
     'USAGE', 'viewer'),
    ('table', 'metric;
       series;
       sample_hot;
       sample;
       sample_5min;
       sample_1hour;
       stream;
       active_session_hot;
       active_sessions;
       blocking;
       source_status;
       statement;
       access_rule;
       threshold;
       inhibition;
       silence;
       alert_log;
       alert;
       event;
       outbox;
       scenario;
       operation;
       dataset;
       test_run;
       test_operation;
       test_interval;
       test_template;
       test_slot;
       baseline;
       analysis;
       bottleneck;
       recommendation;
       finding_setting;
       recommendation_history;
       application;
       plan_step;
       cost_rate;
       measurement',
     'SELECT', 'viewer'),
    ('table', 'finding_setting',
     'UPDATE', 'operator'),
    ('table', 'cost_rate',
     'INSERT, UPDATE, DELETE', 'operator'),
    ('table', 'baseline',
     'INSERT, DELETE', 'tester'),
    ('table', 'statement_text',
     'SELECT', 'nobody'),
    ('table', 'scenario;
       operation;
       test_template;
       dataset',
     'INSERT, UPDATE, DELETE', 'tester'),
    ('table', 'threshold;
       inhibition',
     'INSERT, UPDATE, DELETE', 'operator'),
    ('sequence', 'silence_silence_id_seq;
       alert_log_alert_id_seq;
       event_id_seq;
       outbox_outbox_id_seq;
       metric_metric_id_seq;
       series_series_id_seq;
       operation_operation_id_seq;
       test_run_run_id_seq;
       analysis_analysis_id_seq;
       recommendation_recommendation_id_seq;
       recommendation_history_history_id_seq;
       application_application_id_seq;
       measurement_measurement_id_seq',
     'USAGE', 'nobody'),
    ('function', 'checked_metric(text);
       checked_dimension(text);
       checked_positive(text,interval);
       current_metrics(text);
       metric_history(text,interval,interval,jsonb);
       share_interval(double precision[],double precision[],double precision);
       db_time(interval,text);
       read_source_status();
       external_call_latency(interval);
       bottlenecks(interval,timestamp with time zone);
       finding_thresholds();
       recommendations(bigint);
       can_become(text,text);
       checked_recommendation(bigint);
       action_statements(text);
       is_applicable(text);
       existing_index(text);
       locks_of(text,boolean);
       describe_action(text);
       planned_steps(recommendation);
       implementation_plan(bigint);
       investment(numeric,numeric,numeric);
       cost_analysis(bigint,numeric);
       judge_change(double precision[],double precision[],double precision);
       time_per_commit(timestamp with time zone,timestamp with time zone);
       prediction_accuracy();
       is_applied(bigint);
       compare_analyses(bigint,bigint);
       proof_variant(recommendation);
       event_json(event);
       edit_distance(text,text);
       nearest_metrics(text);
       threshold_name(text,text,interval,jsonb,text);
       is_silenced(text,jsonb,timestamp with time zone);
       caller();
       health();
       health_of(jsonb);
       sparkline_series(interval,integer);
       dashboard();
       forecast_values(double precision[],integer,integer[],double precision,double precision,double precision);
       anomaly_scores(double precision[],integer[]);
       anomaly_scan(double precision[],integer[]);
       change_points(double precision[],double precision);
       trend_values(double precision[],double precision);
       capacity_values(double precision[],double precision,double precision,double precision);
       spread_values(integer[],double precision[],integer);
       regular_series(text,interval,jsonb,boolean);
       single_series(text,interval,jsonb,boolean);
       trend(text,interval,jsonb);
       forecast(text,interval,interval,jsonb);
       anomalies(text,interval,jsonb);
       performance_history(text,text,text);
       capacity_plan(interval);
       live_progress(bigint);
       live_report(bigint);
       test_progress(bigint);
       test_report(bigint);
       wait_test(bigint,interval);
       checked_test(bigint);
       unlike(bigint,bigint);
       compare_tests(bigint,bigint,boolean);
       compare_slots(bigint,boolean);
       check_regression(bigint,text,integer,boolean);
       spike_outcome(bigint);
       test_waits(bigint);
       saturated_resource(timestamp with time zone,timestamp with time zone);
       test_marks(bigint);
       test_blockers(bigint);
       endurance_drift(bigint);
       power_fit(double precision[],double precision[],double precision);
       theil_sen(double precision[],double precision[],double precision)',
     'EXECUTE', 'viewer'),
    ('function', 'histogram(double precision);
       merge(histogram);
       quantile(histogram,double precision);
       quantile(histogram,double precision[]);
       histogram_count(histogram);
       histogram_sum(histogram);
       histogram_mean(histogram);
       histogram_min(histogram);
       histogram_max(histogram);
       histogram_buckets(histogram)',
     'EXECUTE', 'viewer'),
    ('function', 'record_metric(text,double precision,jsonb,timestamp with time zone);
       load_test(integer,interval,interval,interval,interval,text,text,double precision,jsonb,jsonb);
       start_test(jsonb);
       record_call(text,double precision,boolean);
       cancel_test(bigint);
       set_baseline(bigint,text,text);
       drop_baseline(text);
       test_fingerprint(jsonb,jsonb,jsonb);
       check_target(text);
       create_dataset(text,integer,text);
       drop_dataset(text);
       reset_dataset(text);
       dataset_integration(text,integer);
       dataset_schema_mark(text);
       dataset_share(bigint,bigint);
       check_script(text,text,jsonb,jsonb,jsonb);
       check_test(jsonb);
       start_test(text,jsonb);
       execute_test(jsonb);
       ab_test(jsonb,jsonb,jsonb);
       run_test(jsonb,bigint);
       stress_test(integer,integer,double precision,double precision,interval,interval,text,text,jsonb,jsonb);
       spike_test(integer,integer,interval,interval,interval,interval,text,text,jsonb,jsonb);
       endurance_test(integer,interval,interval,interval,text,text,double precision,jsonb,jsonb);
       volume_test(integer[],integer,interval,interval,text,text,double precision,jsonb);
       import_pgbench_script(text,text,integer,jsonb);
       scenario_from_statements(text,integer,interval,boolean);
       tell_regression(bigint,text,integer,jsonb)',
     'EXECUTE', 'tester'),
    ('table', 'custom_metric',
     'SELECT, INSERT, UPDATE, DELETE', 'operator'),
    ('function', 'check_custom_sql(text);
       collect_now();
       maintain_now();
       "analyze"(interval,timestamp with time zone);
       set_threshold(text,text,double precision,double precision,jsonb,interval,interval,interval,text,interval,double precision,text);
       drop_threshold(text,text,jsonb,text,interval);
       acknowledge_alert(bigint,text);
       resolve_alert(bigint,text);
       escalate_alert(bigint,text);
       silence_alerts(text,jsonb,timestamp with time zone,text);
       end_silence(bigint);
       accept_recommendation(bigint,text);
       dismiss_recommendation(bigint,text);
       mark_implemented(bigint,text);
       settle_applications();
       record_blocks(bigint,bigint[]);
       prove_in_blocks(bigint,jsonb,integer,text);
       checked_cron();
       schedule_analysis(text,interval);
       unschedule_analysis();
       record_proof(bigint,bigint);
       prove_recommendation(bigint,jsonb,boolean);
       measure_impact(bigint,timestamp with time zone,interval,double precision);
       start_application(bigint,boolean,integer);
       apply_recommendation(bigint,boolean,interval);
       revert_recommendation(bigint,boolean,interval);
       wait_application(bigint,interval,text)',
     'EXECUTE', 'operator'),
    ('function', 'grant_access(regrole,text);
       revoke_access(regrole,text)',
     'EXECUTE', 'admin'),
    ('function', 'access_command(text,access_rule,regrole);
       store_handler();
       set_recommendation_state(bigint,text,text,text);
       order_application(bigint,boolean,integer,text);
       take_application(bigint);
       note_application(bigint,integer,text,boolean);
       note_state();
       write_plan();
       check_currency();
       check_threshold();
       check_inhibition();
       alerting_changed();
       evaluate_alerts(timestamp with time zone);
       outbox_filled();
       raise_event(text,bigint,text,jsonb,text,text,double precision,double precision,text,text,jsonb,boolean,timestamp with time zone);
       locked_alert(bigint);
       tell_alert(text,bigint,text,text);
       forget_events(interval);
       webhook_body(text,jsonb[]);
       next_deliveries();
       conclude_delivery(text,bigint,text);
       end_orphaned_alerts(timestamp with time zone);
       check_custom_metric();
       check_operation();
       check_test_template();
       describe_custom_metric();
       check_finding_setting();
       checked_level(text);
       target_validator(text[],oid);
       histogram_in(cstring);
       histogram_out(histogram);
       histogram_recv(internal);
       histogram_send(histogram);
       histogram_add(internal,double precision);
       histogram_add_histogram(internal,histogram);
       histogram_combine(internal,internal);
       histogram_serialize(internal);
       histogram_deserialize(bytea,internal);
       histogram_final(internal)',
     'EXECUTE', 'nobody')
  ) v (kind, objects, privileges, level),
  LATERAL regexp_split_to_table(objects, E'\\s*;\\s*') object,
  LATERAL regexp_split_to_table(privileges, ',\s*') privilege;

-- What there is: tables, views and sequences but partitions, functions, types that can be granted, servers.
CREATE TEMP TABLE present AS
  SELECT CASE WHEN c.relkind = 'S' THEN 'sequence' ELSE 'table' END AS kind, c.relname::text AS object, c.oid
  FROM pg_class c
  WHERE c.relnamespace = 'perfopt'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND NOT c.relispartition
  UNION ALL
  SELECT 'function', regexp_replace(p.oid::regprocedure::text, 'perfopt\.', '', 'g'), p.oid
  FROM pg_proc p WHERE p.pronamespace = 'perfopt'::regnamespace
  UNION ALL
  SELECT 'type', t.typname, t.oid FROM pg_type t LEFT JOIN pg_class c ON c.oid = t.typrelid
  WHERE t.typnamespace = 'perfopt'::regnamespace AND t.typelem = 0 AND (c.oid IS NULL OR c.relkind = 'c')
  UNION ALL
  SELECT 'server', s.srvname, s.oid FROM pg_foreign_server s
  JOIN pg_depend d ON d.classid = 'pg_foreign_server'::regclass AND d.objid = s.oid AND d.deptype = 'e'
  JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'perfopt'
  UNION ALL
  SELECT 'wrapper', f.fdwname, f.oid FROM pg_foreign_data_wrapper f WHERE f.fdwname LIKE 'perfopt%'
  UNION ALL
  SELECT 'schema', n.nspname, n.oid FROM pg_namespace n WHERE n.nspname = 'perfopt';

CREATE FUNCTION pg_temp.has(who text, kind text, object oid, privilege text) RETURNS boolean LANGUAGE sql AS $$
  SELECT CASE kind
    WHEN 'table' THEN has_table_privilege(who, object, privilege)
    WHEN 'sequence' THEN has_sequence_privilege(who, object, privilege)
    WHEN 'function' THEN has_function_privilege(who, object, privilege)
    WHEN 'type' THEN has_type_privilege(who, object, privilege)
    WHEN 'server' THEN has_server_privilege(who, object, privilege)
    WHEN 'wrapper' THEN has_foreign_data_wrapper_privilege(who, object, privilege)
    WHEN 'schema' THEN has_schema_privilege(who, object, privilege)
  END
$$;
CREATE TEMP TABLE privilege AS
  SELECT kind, regexp_split_to_table(privileges, ',') AS privilege
  FROM (VALUES ('table', 'SELECT,INSERT,UPDATE,DELETE,TRUNCATE,REFERENCES,TRIGGER'),
               ('sequence', 'USAGE,SELECT,UPDATE'), ('function', 'EXECUTE'), ('type', 'USAGE'),
               ('server', 'USAGE'), ('wrapper', 'USAGE'), ('schema', 'USAGE,CREATE')) v (kind, privileges);

-- A role without any grant stands for PUBLIC, one that was granted and revoked must be as poor again.
CREATE ROLE access_nobody;
CREATE ROLE access_viewer;
CREATE ROLE access_tester;
CREATE ROLE access_operator;
CREATE ROLE access_admin;
CREATE ROLE access_former;
CREATE ROLE access_lowered;
SELECT perfopt.grant_access('access_viewer', 'viewer'), perfopt.grant_access('access_tester', 'tester'),
       perfopt.grant_access('access_operator', 'operator'), perfopt.grant_access('access_admin', 'admin'),
       perfopt.grant_access('access_former', 'admin'), perfopt.grant_access('access_lowered', 'admin') \g /dev/null
SELECT perfopt.revoke_access('access_former'), perfopt.revoke_access('access_lowered', 'operator') \g /dev/null
CREATE TEMP TABLE who AS
  SELECT * FROM (VALUES ('access_nobody', 0), ('access_former', 0), ('access_viewer', 1), ('pg_monitor', 1),
    ('access_tester', 2), ('access_lowered', 2), ('access_operator', 3), ('access_admin', 4),
    ((SELECT r.rolname FROM pg_extension e JOIN pg_roles r ON r.oid = e.extowner WHERE e.extname = 'perfopt'), 5)
  ) v (role, rank);

SELECT plan(14 + (SELECT count(*) FROM who)::int);

SELECT is_empty('SELECT kind, object FROM present EXCEPT SELECT kind, object FROM expected ORDER BY 1, 2',
  'every object is in the list of this test');
SELECT is_empty('SELECT kind, object FROM expected EXCEPT SELECT kind, object FROM present ORDER BY 1, 2',
  'and everything in the list exists');

SELECT is_empty(format($$
  SELECT p.kind, p.object, v.privilege, pg_temp.has(%L, p.kind, p.oid, v.privilege) AS has_it
  FROM present p JOIN privilege v USING (kind)
  WHERE pg_temp.has(%L, p.kind, p.oid, v.privilege) <>
        (%s = 5 OR EXISTS (SELECT FROM expected e WHERE e.kind = p.kind AND e.object = p.object
                          AND e.privilege = v.privilege
                          AND array_position(ARRAY['viewer', 'tester', 'operator', 'admin'], e.level) <= %s))
  ORDER BY 1, 2, 3$$, role, role, rank, rank),
  format('%s has just what it should have', CASE rank WHEN 5 THEN 'the owner' ELSE role END))
FROM who ORDER BY rank, role;

SELECT throws_ok($$SELECT perfopt.grant_access('access_nobody', 'king')$$, '22023', NULL, 'an unknown level is refused');
SET ROLE access_operator;
SELECT throws_ok($$SELECT perfopt.grant_access('access_operator', 'admin')$$, '42501', NULL,
  'an operator cannot make itself an admin');
RESET ROLE;
SET ROLE access_viewer;
SELECT lives_ok($$SELECT * FROM perfopt.db_time(); SELECT * FROM perfopt.sample LIMIT 1;
  SELECT * FROM perfopt.current_metrics(); SELECT * FROM perfopt.bottlenecks('1 min');
  SELECT * FROM perfopt.source_status$$, 'a viewer can really look');
RESET ROLE;
SET ROLE access_nobody;
SELECT throws_ok('SELECT * FROM perfopt.sample LIMIT 1', '42501', NULL, 'somebody without a level cannot');
RESET ROLE;

-- A tester's scripts may one day be run by a superuser, so it must not slip them into other people's scenarios.
CREATE ROLE access_other;
SELECT perfopt.grant_access('access_other', 'tester') \g /dev/null
SET ROLE access_other;
INSERT INTO perfopt.scenario (name) VALUES ('access_others');
INSERT INTO perfopt.operation (scenario, name, script) VALUES ('access_others', 'look', 'SELECT 1');
RESET ROLE;
SET ROLE access_tester;
INSERT INTO perfopt.scenario (name) VALUES ('access_own');
SELECT lives_ok($$INSERT INTO perfopt.operation (scenario, name, script) VALUES ('access_own', 'look', 'SELECT 1');
  UPDATE perfopt.operation SET script = 'SELECT 2' WHERE scenario = 'access_own'$$, 'a tester defines scenarios of its own');
SELECT is((SELECT script FROM perfopt.operation WHERE scenario = 'access_own'), 'SELECT 2', 'and changes them');
SELECT is_empty($$UPDATE perfopt.operation SET script = 'ALTER ROLE access_tester SUPERUSER'
  WHERE scenario <> 'access_own' RETURNING scenario$$, 'but no script of a built-in scenario or of another tester');
SELECT is_empty($$DELETE FROM perfopt.scenario WHERE name <> 'access_own' RETURNING name$$, 'nor deletes one');
SELECT throws_ok($$INSERT INTO perfopt.operation (scenario, name, script)
  VALUES ('integration', 'more', 'ALTER ROLE access_tester SUPERUSER')$$, '42501', NULL, 'nor adds an operation to one');
SELECT throws_ok($$UPDATE perfopt.operation SET scenario = 'access_others', name = 'more' WHERE scenario = 'access_own'$$,
  '42501', NULL, 'nor moves its own there');
SELECT throws_ok($$INSERT INTO perfopt.scenario (name, builtin) VALUES ('access_false', true)$$, '42501', NULL,
  'nor passes its own off as built in');
SELECT throws_ok($$UPDATE perfopt.scenario SET owner = 'access_other' WHERE name = 'access_own'$$, '42501', NULL,
  'nor as somebody else''s');
RESET ROLE;
SELECT * FROM finish();
ROLLBACK;
