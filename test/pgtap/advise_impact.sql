-- Whether a change worked, from samples written by hand: it did, it did nothing, it did harm, and nobody can tell.
\set QUIET on
\set ON_ERROR_STOP on
SET client_min_messages = warning;
SET timezone = 'UTC';
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS perfopt;
BEGIN;
\i ../lib/window.sql
SELECT plan(23);

-- The decision itself.
SELECT is((SELECT state FROM perfopt.judge_change('{10,10.2,9.9,10.1,9.8}', '{6}')), 'verified', 'far below what was usual');
SELECT is((SELECT state FROM perfopt.judge_change('{10,10.2,9.9,10.1,9.8}', '{16}')), 'regressed', 'far above');
SELECT is((SELECT state FROM perfopt.judge_change('{10,10.01,9.99,10,10.01}', '{10.02}')), 'no_effect', 'within the margin');
SELECT is((SELECT state FROM perfopt.judge_change('{10,5,20,8,13}', '{7}')), 'inconclusive', 'within the noise');
SELECT is((SELECT concat_ws(' ', round(change_pct), low_pct, high_pct, p_value, state) FROM perfopt.judge_change('{10}', '{5}')), '-50 inconclusive', 'one window is no history');
SELECT is((SELECT j::text FROM perfopt.judge_change('{}', '{5}') j), '(,,,,inconclusive)', 'none is even less');
SELECT throws_ok($$SELECT perfopt.judge_change('{1}', '{2}', 0)$$, '22023', NULL, 'a margin must be one');
-- A change of nothing is called one no more often than chance has it: both tails of 5 % beyond, and the margin on top.
SELECT setseed(0.5) \g /dev/null
SELECT cmp_ok((SELECT count(*) FROM generate_series(1, 1000) i, LATERAL (
    SELECT array_agg(10 * exp(0.1 * sqrt(-2 * ln(1 - random())) * cos(2 * pi() * random()))) AS v FROM generate_series(1, 9) WHERE i > 0) x,
    perfopt.judge_change(x.v[1:8], x.v[9:9]) j WHERE j.state = 'verified')::int, '<=', 25, 'no effect is verified in at most 2.5 % of cases');

-- Twelve windows of a minute before 00:12 and one after; DB time per commit is that of the sessions.
SELECT pg_temp.sessions(timestamptz '2020-01-01 00:00Z' + m * interval '1 min', format('[[1, "CPU", "CPU", %s]]', 200 + m % 3)::jsonb),
       pg_temp.metric(timestamptz '2020-01-01 00:00Z' + m * interval '1 min', 'pg_xact_commit_total', '{"database": "app"}', 100)
FROM generate_series(0, 11) m \g /dev/null
CREATE FUNCTION pg_temp.after(start timestamptz, seen int) RETURNS void LANGUAGE sql AS $$
  SELECT pg_temp.sessions(start, format('[[1, "CPU", "CPU", %s]]', seen)::jsonb);
  SELECT pg_temp.metric(start, 'pg_xact_commit_total', '{"database": "app"}', 100);
$$;
SELECT pg_temp.after('2020-01-01 00:12Z', 120) \g /dev/null
-- 1.205 sessions for 60 s are 72.3 s, over 600 commits 120.5 ms.
SELECT is(round(perfopt.time_per_commit('2020-01-01 00:12Z', '2020-01-01 00:13Z')::numeric, 6), 120.5, 'DB time per commit in ms');
SELECT is(perfopt.time_per_commit('2020-01-01 05:00Z', '2020-01-01 06:00Z'), NULL, 'not known without samples');

INSERT INTO perfopt.analysis (analyzed_by, since, until, covered_seconds, aas, db_seconds, samples, cores, server_version, perfopt_version)
  VALUES ('test', '2020-01-01', '2020-01-01 00:15', 900, 2, 1800, 1000, 4, '15', '0') RETURNING analysis_id \gset
CREATE FUNCTION pg_temp.implemented(at timestamptz) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE id bigint;
BEGIN
  INSERT INTO perfopt.recommendation (analysis_id, rank, category, finding, title, action_sql, revert_sql, impact_pct, effort_hours, risk,
                                      confidence, entity, rationale, score)
    SELECT max(a.analysis_id), 1, 'database', 'missing_index', 'Do it', '-- x', '-- y', 40, 3, 'low', 0.9, 'e', 'r', 1 FROM perfopt.analysis a
    RETURNING recommendation_id INTO id;
  IF at IS NOT NULL THEN
    PERFORM perfopt.mark_implemented(id);
    UPDATE perfopt.recommendation_history SET changed_at = at WHERE recommendation_id = id;
  END IF;
  RETURN id;
END $$;
SELECT pg_temp.implemented('2020-01-01 00:12Z') AS i, pg_temp.implemented(NULL) AS p, pg_temp.implemented('2020-01-01 00:03Z') AS n \gset
SELECT is((SELECT concat_ws(' ', m.state, windows_before, round(before_ms), round(after_ms), round(change_pct), predicted_pct)
           FROM perfopt.measure_impact(:i, '2020-01-01 00:13Z') m), 'verified 12 201 120 -40 -40', 'it worked, by what was predicted');
SELECT is((SELECT state FROM perfopt.recommendation WHERE recommendation_id = :i), 'verified', 'the recommendation says so');
SELECT is((SELECT concat_ws(' ', finding, predicted_pct, round(measured_pct), within_20_pct, state) FROM perfopt.prediction_accuracy() WHERE recommendation_id = :i),
  'missing_index -40 -40 t verified', 'predicted beside measured');
SELECT throws_ok(format('SELECT perfopt.dismiss_recommendation(%s)', :i), '55000', NULL, 'what was applied is reverted first, not dismissed');
SELECT is((SELECT (perfopt.measure_impact(:n, '2020-01-01 00:04Z')).state), 'no_effect', 'nothing happened');
SELECT throws_ok(format('SELECT perfopt.measure_impact(%s)', :p), '55000', format('recommendation %s is proposed, so it has no impact to measure', :p), 'what was not implemented has none');
SELECT throws_ok(format($$SELECT perfopt.measure_impact(%s, '2020-01-01 00:12:30Z')$$, :i), '55000', NULL, 'half a minute is too short');
SELECT is((SELECT m.state || m.windows_before FROM perfopt.measure_impact(pg_temp.implemented('2020-01-01 20:00Z'), '2020-01-01 20:01Z') m), 'inconclusive0', 'without samples nobody can tell');

-- Harm.
SELECT pg_temp.after('2020-01-01 00:13Z', 400) \g /dev/null
SELECT max(event_id) AS last FROM perfopt.event \gset
SELECT pg_temp.implemented('2020-01-01 00:13Z') AS h \gset
SELECT is((SELECT (perfopt.measure_impact(:h, '2020-01-01 00:14Z')).state), 'regressed', 'it did harm');
SELECT is((SELECT count(*) FROM perfopt.event WHERE kind = 'regression' AND note LIKE format('recommendation %s made transactions %%revert_recommendation(%s)%%', :h, :h)), 1::bigint, 'an event offers the revert');
SELECT is((SELECT (perfopt.measure_impact(:h, '2020-01-01 00:14Z')).state), 'regressed', 'measured again, it still did');
SELECT is((SELECT count(*) FROM perfopt.event WHERE kind = 'regression' AND note LIKE format('recommendation %s made%%', :h)), 1::bigint, 'and is told once');
SELECT is((SELECT count(*) FROM perfopt.prediction_accuracy() WHERE recommendation_id = :h), 1::bigint, 'the latest measurement counts');
SELECT * FROM finish();
ROLLBACK;
