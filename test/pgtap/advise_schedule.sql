-- What changed from one analysis to the next; and that scheduling says what is lacking without pg_cron (with one:
-- test/system/schedule.sh).
\set QUIET on
\set ON_ERROR_STOP on
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS perfopt;
BEGIN;
SELECT plan(8);
SELECT throws_ok('SELECT perfopt.schedule_analysis()', '55000', 'pg_cron is not there, so nothing can be scheduled', 'without pg_cron nothing is scheduled');
SELECT throws_ok('SELECT perfopt.unschedule_analysis()', '55000', NULL, 'nor taken off');

DELETE FROM perfopt.analysis;
SELECT is_empty('SELECT * FROM perfopt.compare_analyses()', 'without analyses there is nothing to compare');
CREATE FUNCTION pg_temp.analysis(until timestamptz, found jsonb) RETURNS bigint LANGUAGE sql AS $$
  WITH made AS (
    INSERT INTO perfopt.analysis (analyzed_by, since, until, covered_seconds, aas, db_seconds, samples, cores, server_version, perfopt_version)
      VALUES ('test', $1 - interval '7 days', $1, 900, 2, 1800, 1000, 4, '15', '0') RETURNING analysis_id
  ), b AS (
    INSERT INTO perfopt.bottleneck (analysis_id, rank, category, finding, severity, impact_pct, entity, root_cause, factors, evidence, lineage)
      SELECT m.analysis_id, n, 'database', f->>0, f->>2, (f->>3)::float8, f->>1, 'r', '[]', '{}', 'l'
      FROM made m, jsonb_array_elements($2) WITH ORDINALITY x (f, n)
  )
  SELECT analysis_id FROM made
$$;
SELECT pg_temp.analysis('2020-01-05', '[["old", "x", "warning", 20], ["stays", "x", "warning", 20], ["falls", "x", "warning", 40], ["rises", "x", "info", 4], ["severe", "x", "warning", null]]') AS a \gset
SELECT is_empty('SELECT * FROM perfopt.compare_analyses()', 'one is not enough');
INSERT INTO perfopt.recommendation (analysis_id, rank, category, finding, title, action_sql, revert_sql, effort_hours, risk, confidence, entity, rationale, score, state)
  VALUES (:a, 1, 'database', 'falls', 'Do it', 'SELECT 1', '-- x', 1, 'low', 1, 'x', 'r', 1, 'implemented');
SELECT pg_temp.analysis('2020-01-12', '[["first", "y", "critical", 50], ["stays", "x", "warning", 21], ["falls", "x", "warning", 20], ["rises", "x", "info", 6], ["severe", "x", "critical", null]]') AS b \gset
SELECT is((SELECT array_agg(concat_ws(' ', change, finding, severity, impact_before_pct, impact_pct, seen_since::date, follow_up)) FROM perfopt.compare_analyses()),
  '{new first critical 50 2020-01-12,worse rises info 4 6 2020-01-05,worse severe critical 2020-01-05,same stays warning 20 21 2020-01-05,"better falls warning 40 20 2020-01-05 Do it: implemented",gone old warning 20 2020-01-05}'::text[],
  'new, worse, same, better and gone, with what was done');
SELECT results_eq(format('SELECT change, finding FROM perfopt.compare_analyses(%s, %s)', :a, :b), 'SELECT change, finding FROM perfopt.compare_analyses()', 'the latest two are compared by default');
SELECT is((SELECT array_agg(DISTINCT change) FROM perfopt.compare_analyses(:a, :a)), '{same}', 'one beside itself is the same');
SELECT throws_ok('SELECT * FROM perfopt.compare_analyses(-1)', '42704', 'analysis -1 does not exist', 'an unknown one is an error');
SELECT * FROM finish();
ROLLBACK;
