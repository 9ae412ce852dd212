-- Proof of advice by experiment: a setting that makes a load faster, one that makes it slower, and one that does nothing.
\set QUIET on
\set ON_ERROR_STOP on
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS perfopt;
SELECT plan(16);

-- A load whose time is up to a setting: 20 ms a call, or 10 with more work_mem.
CREATE FUNCTION advise_work() RETURNS void LANGUAGE sql AS $$
  SELECT pg_sleep(CASE WHEN pg_size_bytes(current_setting('work_mem')) > 8 * 1024 * 1024 THEN 0.01 ELSE 0.02 END)
$$;
INSERT INTO perfopt.scenario (name) VALUES ('advise_prove');
INSERT INTO perfopt.operation (scenario, name, script) VALUES ('advise_prove', 'work', 'SELECT advise_work()');
INSERT INTO perfopt.analysis (analyzed_by, since, until, covered_seconds, aas, db_seconds, samples, cores, server_version, perfopt_version)
  VALUES ('test', '2020-01-01', '2020-01-01 00:15', 900, 2, 1800, 1000, 4, '15', '0') RETURNING analysis_id \gset
CREATE FUNCTION pg_temp.advise(action text, impact float8) RETURNS bigint LANGUAGE sql AS $$
  INSERT INTO perfopt.recommendation (analysis_id, rank, category, finding, title, action_sql, revert_sql, impact_pct, effort_hours, risk,
                                      confidence, entity, rationale, score)
    SELECT max(a.analysis_id), 1, 'memory', 'work_mem_spill', 'Do it', $1, '-- x', $2, 1, 'low', 0.9, 'e', 'r', 1 FROM perfopt.analysis a
    RETURNING recommendation_id
$$;
SELECT set_config('work_mem', '4MB', false) \g /dev/null
SELECT pg_temp.advise(E'ALTER SYSTEM SET work_mem = ''64MB'';\nSELECT pg_reload_conf();', 48) AS better,
       pg_temp.advise('ALTER ROLE postgres SET statement_timeout = ''1h'';', 10) AS noop,
       pg_temp.advise('CREATE INDEX i ON t (a);', 10) AS index,
       pg_temp.advise('ALTER SYSTEM SET shared_buffers = ''1GB'';', 10) AS restart \gset
SELECT is((SELECT perfopt.proof_variant(r) FROM perfopt.recommendation r WHERE recommendation_id = :better), '{"settings": {"work_mem": "64MB"}}', 'a setting is a variant');
SELECT is((SELECT array_agg(perfopt.proof_variant(r)) FROM perfopt.recommendation r WHERE recommendation_id IN (:index, :restart)), '{NULL,NULL}', 'an index is none, nor what needs a restart');
SELECT throws_ok(format('SELECT perfopt.prove_recommendation(%s)', :restart), '0A000', NULL, 'what no session can do is not proven');
SELECT throws_ok('SELECT perfopt.prove_recommendation(-1)', '42704', NULL, 'nor is what is not there');

SELECT * FROM perfopt.prove_recommendation(:better, '{"scenario": "advise_prove", "users": 2, "duration": "16 s", "options": {"slot": 0.5, "progress": 0}}') \gset better_
SELECT is(:'better_state'::text, 'verified', 'what makes it faster is verified');
SELECT ok(:better_before_ms BETWEEN 20 AND 30 AND :better_after_ms BETWEEN 10 AND 17, 'by the time that a call takes');
SELECT ok(:better_low_pct <= :better_change_pct AND :better_change_pct <= :better_high_pct AND :better_high_pct < -30, 'with its interval');
SELECT is((SELECT state FROM perfopt.recommendation WHERE recommendation_id = :better), 'verified', 'the recommendation says so');
SELECT ok(NOT perfopt.is_applied(:better), 'it is not applied');
SELECT ok((SELECT within_20_pct FROM perfopt.prediction_accuracy() WHERE recommendation_id = :better), 'predicted beside measured');
SELECT throws_ok(format('SELECT * FROM perfopt.revert_recommendation(%s)', :better), '55000', NULL, 'so there is nothing to revert');
SELECT throws_ok(format('SELECT perfopt.measure_impact(%s)', :better), '55000', NULL, 'nor an impact in production');

SELECT * FROM perfopt.prove_recommendation(:noop, '{"scenario": "advise_prove", "users": 2, "duration": "12 s", "options": {"slot": 0.5, "progress": 0}}') \gset noop_
SELECT ok(:'noop_state' IN ('no_effect', 'inconclusive'), 'what does nothing is not verified');
SELECT throws_ok(format('SELECT perfopt.record_proof(%s, %s)', :noop, :better_run_id), '22023',
  format('load test %s is no experiment on recommendation %s', :better_run_id, :noop), 'another''s experiment proves nothing');

-- The other way round.
DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET work_mem = ''64MB''', current_database()); END $$;
SELECT pg_temp.advise('ALTER ROLE postgres SET work_mem = ''4MB'';', 10) AS worse \gset
SELECT is((SELECT state FROM perfopt.prove_recommendation(:worse, '{"scenario": "advise_prove", "users": 2, "duration": "12 s", "options": {"slot": 0.5, "progress": 0}}')), 'regressed', 'what makes it slower has regressed');
SELECT perfopt.dismiss_recommendation(:noop) \g /dev/null
SELECT throws_ok(format('SELECT perfopt.prove_recommendation(%s)', :noop), '55000', NULL, 'what is dismissed is not proven');

SELECT * FROM finish();
DO $$ BEGIN EXECUTE format('ALTER DATABASE %I RESET work_mem', current_database()); END $$;
DELETE FROM perfopt.analysis WHERE analysis_id = :analysis_id;
DELETE FROM perfopt.scenario WHERE name = 'advise_prove';
DROP FUNCTION advise_work();
