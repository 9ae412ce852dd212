-- How to carry out a recommendation, step by step.

CREATE TABLE perfopt.plan_step (
  recommendation_id bigint NOT NULL REFERENCES perfopt.recommendation ON DELETE CASCADE,
  step int NOT NULL,
  phase text NOT NULL CHECK (phase IN ('prepare', 'try', 'apply', 'verify', 'roll back')),
  title text NOT NULL,
  sql text NOT NULL,
  prerequisites text NOT NULL,
  execution_window text NOT NULL,
  effort_low_hours float8 NOT NULL,
  effort_high_hours float8 NOT NULL CHECK (effort_high_hours >= effort_low_hours),
  risk text NOT NULL CHECK (risk IN ('low', 'medium', 'high')),
  success_sql text,
  PRIMARY KEY (recommendation_id, step)
);
COMMENT ON TABLE perfopt.plan_step IS
  'How to carry out each recommendation, written when it is made; perfopt.implementation_plan(recommendation_id) shows one. Example: SELECT phase, title, sql FROM perfopt.plan_step WHERE recommendation_id = 1 ORDER BY step;';
COMMENT ON COLUMN perfopt.plan_step.execution_window IS 'When it may be done: any time, quiet hours or a maintenance window.';
COMMENT ON COLUMN perfopt.plan_step.effort_low_hours IS
  'Hours of work, at least; effort_high_hours at most. Of the advice''s estimate, apply takes half, prepare, try and verify a sixth each, from half to twice as long; rolling back as long as applying.';
COMMENT ON COLUMN perfopt.plan_step.success_sql IS 'A query that answers true when the step was a success; NULL: that is for people to judge.';

CREATE FUNCTION perfopt.planned_steps(advice perfopt.recommendation) RETURNS SETOF perfopt.plan_step
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
  WITH action AS (
    SELECT count(*) > 0 AS is_sql, coalesce(bool_or(s.command <> 'SELECT'), false) AS changes,
           bool_or(s.command = 'CREATE INDEX') AS makes_index,
           coalesce(bool_or(s.command = 'ALTER SYSTEM' AND g.context = 'postmaster'), false) AS restarts,
           max(s.setting) AS setting, max(s.value) AS value,
           coalesce(bool_or(s.command = 'ALTER SYSTEM'), false) AS of_system,
           coalesce(bool_or(g.context IN ('user', 'superuser')), false) AS of_session,
           max(s.table_name) AS table_name, max(s.index_name) AS index_name
    FROM perfopt.action_statements((advice).action_sql) s LEFT JOIN pg_settings g ON g.name = s.setting
  ), planned (phase, title, sql, prerequisites, execution_window, part, risk, success_sql) AS (
    SELECT 'prepare', CASE WHEN a.makes_index THEN 'See that there is room and no long transaction'
                           WHEN a.setting IS NOT NULL THEN 'Note the present value'
                           ELSE 'Agree on the step and on how to undo it' END,
           CASE WHEN a.makes_index THEN format(E'SELECT pg_size_pretty(pg_relation_size(%L)) AS table_size;\n'
                  'SELECT pid, xact_start, state FROM pg_stat_activity WHERE xact_start < now() - interval ''5 min'';', a.table_name)
                WHEN a.setting IS NOT NULL THEN format('SELECT name, setting, unit, source, pending_restart FROM pg_settings WHERE name = %L;', a.setting)
                ELSE '-- read the rationale; nothing to run' END,
           CASE WHEN a.makes_index THEN 'about as much free space as the column takes, and ownership of the table'
                WHEN a.of_system THEN 'superuser, or ALTER SYSTEM on the setting'
                WHEN a.changes THEN 'the right to alter it' ELSE 'none' END,
           'any time', 1 / 6.0, 'low', NULL::text
    FROM action a
    UNION ALL
    SELECT 'try', CASE WHEN a.of_session OR a.makes_index THEN 'Compare with and without under load' ELSE 'Try it where it harms nobody' END,
           CASE WHEN a.of_session AND a.value IS NOT NULL
                THEN format('SELECT * FROM perfopt.prove_recommendation(%s, ''{"scenario": "pgbench", "users": 4, "duration": "2 min"}'');',
                            (advice).recommendation_id)
                WHEN a.makes_index
                THEN format('CALL perfopt.prove_in_blocks(%s, ''{"scenario": "pgbench", "users": 4, "duration": "30 s"}'');', (advice).recommendation_id)
                ELSE '-- on a test system: ' || split_part((advice).title, E'\n', 1) END,
           CASE WHEN a.of_session OR a.makes_index THEN 'a scenario that is like the usual load' ELSE 'a test system with data like the real ones' END,
           'quiet hours', 1 / 6.0, 'low', NULL
    FROM action a WHERE a.changes OR NOT a.is_sql
    UNION ALL
    SELECT 'apply', (advice).title,
           CASE WHEN a.changes THEN format('SELECT * FROM perfopt.apply_recommendation(%s, dry_run => false);', (advice).recommendation_id)
                  || E'\n-- which runs\n' || regexp_replace((advice).action_sql, '^', '-- ', 'gn')
                WHEN a.is_sql THEN (advice).action_sql
                ELSE (advice).action_sql || format(E'\n-- then\nSELECT perfopt.mark_implemented(%s);', (advice).recommendation_id) END,
           'the steps before',
           CASE WHEN a.restarts OR NOT a.is_sql OR (advice).risk = 'high' THEN 'maintenance window'
                WHEN a.makes_index OR (advice).risk = 'medium' THEN 'quiet hours' ELSE 'any time' END,
           1 / 2.0, (advice).risk,
           CASE WHEN a.makes_index THEN format('SELECT perfopt.existing_index(action_sql) IS NOT NULL FROM perfopt.recommendation WHERE recommendation_id = %s;', (advice).recommendation_id)
                WHEN a.of_system AND a.value IS NOT NULL
                  THEN format('SELECT bool_or(setting = %L) FROM pg_file_settings WHERE name = %L AND error IS NULL;', a.value, a.setting)
                WHEN a.changes THEN format('SELECT bool_or(state = ''done'') FROM perfopt.application WHERE recommendation_id = %s AND NOT undo;', (advice).recommendation_id) END
    FROM action a
    UNION ALL
    SELECT 'verify', 'Compare before and after', format('SELECT * FROM perfopt.measure_impact(%s);', (advice).recommendation_id),
           'an hour of usual load since', 'any time', 1 / 6.0, 'low',
           format('SELECT state = ''verified'' FROM perfopt.recommendation WHERE recommendation_id = %s;', (advice).recommendation_id)
    FROM action a WHERE a.changes OR NOT a.is_sql
    UNION ALL
    SELECT 'roll back', 'If it got worse, undo it',
           CASE WHEN perfopt.is_applicable((advice).revert_sql)
                THEN format('SELECT * FROM perfopt.revert_recommendation(%s);', (advice).recommendation_id)
                  || E'\n-- which runs\n' || regexp_replace((advice).revert_sql, '^', '-- ', 'gn')
                ELSE (advice).revert_sql END,
           'only when verifying says regressed', CASE WHEN a.restarts OR NOT a.is_sql THEN 'maintenance window' ELSE 'any time' END,
           1 / 2.0, (advice).risk,
           CASE WHEN perfopt.is_applicable((advice).revert_sql)
                THEN format('SELECT state = ''reverted'' FROM perfopt.recommendation WHERE recommendation_id = %s;', (advice).recommendation_id) END
    FROM action a WHERE a.changes OR NOT a.is_sql
  )
  SELECT (advice).recommendation_id,
         row_number() OVER (ORDER BY array_position('{prepare,try,apply,verify,roll back}'::text[], p.phase))::int,
         p.phase, p.title, p.sql, p.prerequisites, p.execution_window,
         round(((advice).effort_hours * p.part / 2)::numeric, 2)::float8,
         round(((advice).effort_hours * p.part * 2)::numeric, 2)::float8, p.risk, p.success_sql
  FROM planned p ORDER BY 2
$$;
COMMENT ON FUNCTION perfopt.planned_steps(perfopt.recommendation) IS
  'The steps of a recommendation, as perfopt.plan_step keeps them. Example: SELECT s.* FROM perfopt.recommendation r, perfopt.planned_steps(r) s WHERE r.recommendation_id = 1;';

CREATE FUNCTION perfopt.write_plan() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  -- So too when a dump is restored, which has recommendations and no plans.
  INSERT INTO perfopt.plan_step SELECT * FROM perfopt.planned_steps(NEW);
  RETURN NULL;
END $$;
COMMENT ON FUNCTION perfopt.write_plan() IS 'Plans each new recommendation; a trigger of perfopt.recommendation calls it.';
CREATE TRIGGER write_plan AFTER INSERT ON perfopt.recommendation FOR EACH ROW EXECUTE FUNCTION perfopt.write_plan();

CREATE FUNCTION perfopt.implementation_plan(recommendation_id bigint) RETURNS SETOF perfopt.plan_step
LANGUAGE plpgsql STABLE ROWS 5 SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  PERFORM perfopt.checked_recommendation($1);
  RETURN QUERY SELECT s.* FROM perfopt.plan_step s WHERE s.recommendation_id = $1 ORDER BY s.step;
END $$;
COMMENT ON FUNCTION perfopt.implementation_plan(bigint) IS
  'How to carry out a recommendation: steps in the phases prepare, try, apply, verify and roll back, each with its SQL, prerequisites, when it may be done, hours of work (low and high), risk (low, medium, high), and a query that answers true when it was a success. Advice that only looks has no more than prepare and apply. Example: SELECT step, phase, title, execution_window, effort_low_hours, effort_high_hours, sql FROM perfopt.implementation_plan(1);';
