CREATE VIEW perfopt.active_sessions AS
  SELECT h.ts, d.datname AS database, r.rolname AS role, nullif(u.query_id, 0) AS query_id,
         o.name AS operation, u.wait_class, u.wait_event, u.n::float8 / h.ticks AS aas
  FROM perfopt.active_session_hot h
  CROSS JOIN LATERAL unnest(h.database, h.role, h.query_id, h.operation, h.wait_class, h.wait_event, h.n)
    AS u (database, role, query_id, operation, wait_class, wait_event, n)
  LEFT JOIN pg_catalog.pg_database d ON d.oid = u.database
  LEFT JOIN pg_catalog.pg_roles r ON r.oid = u.role
  LEFT JOIN perfopt.operation o ON o.operation_id = u.operation;
COMMENT ON VIEW perfopt.active_sessions IS
  'Average active sessions (aas) from sampling, one row a cycle and combination of database, role, statement, load-test operation and wait event. wait_class and wait_event are PostgreSQL''s, CPU is on CPU; Client:ClientRead is idle in transaction. A row without role is a background process. Example: SELECT wait_event, sum(aas) FROM perfopt.active_sessions WHERE ts > now() - interval ''1 min'' AND role IS NOT NULL GROUP BY 1 ORDER BY 2 DESC;';

CREATE FUNCTION perfopt.share_interval(
  part float8[], total float8[], level float8 DEFAULT 0.95,
  OUT share float8, OUT low float8, OUT high float8)
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'perfopt_share_interval';
COMMENT ON FUNCTION perfopt.share_interval(float8[], float8[], float8) IS
  'The share sum(part) / sum(total), 0 to 1, of values measured side by side in equal stretches of time, with its confidence interval (ratio estimator, variance between the stretches, Student''s t); low and high are NULL below two stretches. Example: SELECT * FROM perfopt.share_interval(ARRAY[1,2,1], ARRAY[4,4,5]);';

CREATE FUNCTION perfopt.db_time(since interval DEFAULT '15 min', group_by text DEFAULT 'wait_event')
RETURNS TABLE (key text, aas float8, share_pct float8, ci_pct float8)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET jit = off
AS $$
DECLARE
  key_expression text := CASE group_by
    WHEN 'wait_event' THEN 'CASE u.wait_class WHEN ''CPU'' THEN ''CPU'' ELSE u.wait_class || '':'' || u.wait_event END'
    WHEN 'wait_class' THEN 'u.wait_class'
    WHEN 'query_id' THEN 'coalesce(nullif(u.query_id, 0)::text, ''unknown'')'
    WHEN 'operation' THEN 'coalesce((SELECT o.scenario || ''.'' || o.name FROM perfopt.operation o WHERE o.operation_id = u.operation), ''none'')'
    WHEN 'database' THEN 'coalesce((SELECT d.datname::text FROM pg_database d WHERE d.oid = u.database), ''unknown'')'
    WHEN 'role' THEN 'coalesce((SELECT r.rolname::text FROM pg_roles r WHERE r.oid = u.role), ''unknown'')'
  END;
  oldest timestamptz := now() - perfopt.checked_positive('since', since);
BEGIN
  IF key_expression IS NULL THEN
    RAISE EXCEPTION 'DB time cannot be grouped by "%"', group_by
      USING ERRCODE = 'invalid_parameter_value',
            HINT = 'Group by wait_event, wait_class, query_id, operation, database or role.';
  END IF;

  -- Every cycle counts for every key, with zero where the key was not seen.
  RETURN QUERY EXECUTE format($query$
    WITH cycle AS MATERIALIZED (
      SELECT h.* FROM perfopt.active_session_hot h WHERE h.ts > $1
    ), seen AS MATERIALIZED (
      SELECT c.ts, %s AS key, sum(u.n)::float8 AS n
      FROM cycle c
      CROSS JOIN LATERAL unnest(c.database, c.role, c.query_id, c.operation, c.wait_class, c.wait_event, c.n)
        AS u (database, role, query_id, operation, wait_class, wait_event, n)
      WHERE u.role <> 0 AND NOT (u.wait_class = 'Client' AND u.wait_event = 'ClientRead')
      GROUP BY 1, 2
    ), total AS MATERIALIZED (
      SELECT c.ts, coalesce(sum(s.n), 0)::float8 AS n
      FROM cycle c LEFT JOIN seen s USING (ts) GROUP BY c.ts
    ), ticks AS (
      SELECT sum(c.ticks)::float8 AS n FROM cycle c
    ), per_key AS (
      SELECT k.key, sum(s.n) AS n,
             perfopt.share_interval(array_agg(coalesce(s.n, 0) ORDER BY t.ts), array_agg(t.n ORDER BY t.ts)) AS i
      FROM (SELECT DISTINCT s.key FROM seen s) k
      CROSS JOIN total t
      LEFT JOIN seen s ON s.ts = t.ts AND s.key = k.key
      GROUP BY k.key
    )
    SELECT p.key, round((p.n / ticks.n)::numeric, 3)::float8,
           round(100 * (p.i).share::numeric, 1)::float8,
           round(50 * ((p.i).high - (p.i).low)::numeric, 1)::float8
    FROM per_key p CROSS JOIN ticks
    ORDER BY p.n DESC, p.key
  $query$, key_expression) USING oldest;
END $$;
COMMENT ON FUNCTION perfopt.db_time(interval, text) IS
  'Where the DB time (CPU and waits of user sessions, from sampling) of the last `since` went: average active sessions, share of the whole in percent, and half the width of the share''s 95 % interval in percentage points. Grouped by wait_event, wait_class, query_id, operation, database or role. Example: SELECT * FROM perfopt.db_time(''5 min'', ''wait_class'');';
