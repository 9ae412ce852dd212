-- Analyses on a schedule, and what changed from one to the next.

CREATE FUNCTION perfopt.compare_analyses(
  a bigint DEFAULT NULL, b bigint DEFAULT NULL,
  OUT change text, OUT finding text, OUT entity text, OUT severity text, OUT impact_before_pct float8, OUT impact_pct float8,
  OUT seen_since timestamptz, OUT follow_up text)
RETURNS SETOF record
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
  later bigint := coalesce($2, (SELECT max(x.analysis_id) FROM perfopt.analysis x));
  earlier bigint := coalesce($1, (SELECT max(x.analysis_id) FROM perfopt.analysis x WHERE x.analysis_id < later));
  missing bigint := (SELECT i FROM unnest(ARRAY[$1, $2]) i WHERE i IS NOT NULL AND NOT EXISTS (SELECT FROM perfopt.analysis x WHERE x.analysis_id = i) LIMIT 1);
BEGIN
  IF missing IS NOT NULL THEN
    RAISE EXCEPTION 'analysis % does not exist', missing
      USING ERRCODE = 'undefined_object', HINT = 'SELECT analysis_id, analyzed_at FROM perfopt.analysis lists them.';
  END IF;
  IF earlier IS NULL THEN
    RAISE NOTICE 'there are no two analyses to compare' USING HINT = 'SELECT perfopt.analyze(); makes one.';
    RETURN;
  END IF;
  RETURN QUERY
    WITH found AS (
      SELECT finding, entity, o.severity AS was, n.severity AS is_now, o.impact_pct AS before, n.impact_pct AS after,
             array_position('{info,warning,critical}', o.severity) AS rank_before, array_position('{info,warning,critical}', n.severity) AS rank_after,
             o.finding IS NOT NULL AS in_old, n.finding IS NOT NULL AS in_new
      FROM (SELECT DISTINCT ON (x.finding, x.entity) x.* FROM perfopt.bottleneck x WHERE x.analysis_id = earlier ORDER BY x.finding, x.entity, x.rank) o
      FULL JOIN (SELECT DISTINCT ON (x.finding, x.entity) x.* FROM perfopt.bottleneck x WHERE x.analysis_id = later ORDER BY x.finding, x.entity, x.rank) n
        USING (finding, entity)
    )
    SELECT c.* FROM (
    SELECT CASE WHEN NOT f.in_old THEN 'new' WHEN NOT f.in_new THEN 'gone'
                -- By severity first; a fifth of the share, and a point of it, is more than two windows differ by chance.
                WHEN f.rank_after > f.rank_before OR f.after - f.before > greatest(0.2 * f.before, 1) THEN 'worse'
                WHEN f.rank_after < f.rank_before OR f.before - f.after > greatest(0.2 * f.before, 1) THEN 'better'
                ELSE 'same' END AS change,
           f.finding, f.entity, coalesce(f.is_now, f.was), f.before, f.after,
           (SELECT min(y.until) FROM perfopt.bottleneck x JOIN perfopt.analysis y USING (analysis_id)
            WHERE x.finding = f.finding AND x.entity = f.entity),
           -- What was done about it in the meantime.
           (SELECT string_agg(format('%s: %s', r.title, r.state), '; ' ORDER BY r.recommendation_id)
            FROM perfopt.recommendation r
            WHERE r.analysis_id < later AND r.finding = f.finding AND r.entity = f.entity AND r.state NOT IN ('proposed', 'dismissed'))
    FROM found f) c
    ORDER BY array_position('{new,worse,same,better,gone}'::text[], c.change), c.after DESC NULLS LAST, c.finding, c.entity;
END $$;
COMMENT ON FUNCTION perfopt.compare_analyses(bigint, bigint) IS
  'What changed from analysis a to b (default: from the last but one to the latest), a row a finding and entity: new, worse, same, better (by severity, or by over a fifth and a point of impact_pct) or gone; since when it is seen, and which recommendations on it were followed up. Example: SELECT change, finding, entity, impact_before_pct, impact_pct, follow_up FROM perfopt.compare_analyses();';

CREATE FUNCTION perfopt.checked_cron() RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_extension e WHERE e.extname = 'pg_cron') THEN
    RAISE EXCEPTION 'pg_cron is not there, so nothing can be scheduled'
      USING ERRCODE = 'object_not_in_prerequisite_state',
            HINT = format('Add pg_cron to shared_preload_libraries, set cron.database_name = %L, restart, and CREATE EXTENSION pg_cron; '
                          'or call perfopt.analyze() from any other scheduler.', current_database());
  END IF;
END $$;
COMMENT ON FUNCTION perfopt.checked_cron() IS
  'An error with a hint where there is no pg_cron in this database. Example: SELECT perfopt.checked_cron();';

CREATE FUNCTION perfopt.schedule_analysis(cron text DEFAULT '0 3 * * 0', since interval DEFAULT '7 days') RETURNS bigint
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  job bigint;
BEGIN
  PERFORM perfopt.checked_cron();
  PERFORM perfopt.checked_positive('since', since);
  EXECUTE 'SELECT cron.schedule($1, $2, $3)' INTO job
    USING 'perfopt analysis', cron, format('SELECT perfopt.analyze(%L)', since);
  RETURN job;
END $$;
COMMENT ON FUNCTION perfopt.schedule_analysis(text, interval) IS
  'Has pg_cron run perfopt.analyze(since) as the calling role, at times in the words of cron (default ''0 3 * * 0'': Sundays at 3, in cron.timezone) and of the last `since` (default 7 days), in place of what that role scheduled before; returns the job''s number. It takes the right to use pg_cron. Example: SELECT perfopt.schedule_analysis(''0 3 * * 0'');';

CREATE FUNCTION perfopt.unschedule_analysis() RETURNS boolean
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  job bigint;
BEGIN
  PERFORM perfopt.checked_cron();
  EXECUTE 'SELECT jobid FROM cron.job WHERE jobname = $1 AND username = $2' INTO job USING 'perfopt analysis', current_user::text;
  IF job IS NULL THEN
    RETURN false;
  END IF;
  EXECUTE 'SELECT cron.unschedule($1)' USING job;
  RETURN true;
END $$;
COMMENT ON FUNCTION perfopt.unschedule_analysis() IS
  'Ends what the calling role had scheduled by perfopt.schedule_analysis; false when there was nothing. Example: SELECT perfopt.unschedule_analysis();';
