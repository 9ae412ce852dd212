-- What the watched server did during a test, beside the latency of its calls.

CREATE FUNCTION perfopt.test_waits(
  run_id bigint,
  OUT operation text, OUT wait_class text, OUT wait_event text, OUT aas float8, OUT share_pct float8)
RETURNS SETOF record
LANGUAGE sql STABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
  WITH run AS (
    SELECT r.clock_at, coalesce(r.finished_at, now()) AS end_at, r.scenario
    FROM perfopt.test_run r WHERE r.run_id = test_waits.run_id
  ), hot AS (
    -- A cycle's row is of the time before it; one is asked for when the clock starts, and one at the end.
    SELECT h.* FROM perfopt.active_session_hot h CROSS JOIN run r
    WHERE h.ts > r.clock_at AND h.ts <= r.end_at + interval '5 s'
  ), seen AS (
    SELECT o.name AS operation, u.wait_class, u.wait_event, sum(u.n)::float8 AS n
    FROM hot h
    CROSS JOIN LATERAL unnest(h.operation, h.wait_class, h.wait_event, h.n) u (operation, wait_class, wait_event, n)
    JOIN perfopt.operation o ON o.operation_id = u.operation JOIN run r ON r.scenario = o.scenario
    GROUP BY 1, 2, 3
  )
  SELECT s.operation, s.wait_class, s.wait_event, round((s.n / (SELECT sum(h.ticks) FROM hot h))::numeric, 3)::float8,
         round((100 * s.n / sum(s.n) OVER (PARTITION BY s.operation))::numeric, 1)::float8
  FROM seen s ORDER BY sum(s.n) OVER (PARTITION BY s.operation) DESC, s.operation, s.n DESC;
$$;
COMMENT ON FUNCTION perfopt.test_waits(bigint) IS
  'What the calls of each operation did on this server while a test ran, from sampled sessions: on CPU or waiting, for what; aas is the average number of sessions in it, share_pct its part of the operation''s time there. Another test of the same scenario at the same time is in it. Example: SELECT * FROM perfopt.test_waits(7);';

CREATE FUNCTION perfopt.test_marks(run_id bigint, OUT ts timestamptz, OUT what text, OUT detail text)
RETURNS SETOF record
LANGUAGE sql STABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
  WITH run AS (
    SELECT r.clock_at, coalesce(r.finished_at, now()) AS end_at FROM perfopt.test_run r WHERE r.run_id = test_marks.run_id
  )
  SELECT s.ts, v.what, v.detail
  FROM run r JOIN perfopt.sample s
    ON s.metric IN ('pg_checkpoints_timed_total', 'pg_checkpoints_requested_total', 'pg_vacuum_progress_ratio', 'pg_autovacuum_workers_active')
       AND s.ts > r.clock_at AND s.ts <= r.end_at + interval '5 s' AND s.value > 0
  CROSS JOIN LATERAL (VALUES (
    CASE WHEN s.metric LIKE 'pg_checkpoints%' THEN 'checkpoint' ELSE 'vacuum' END,
    CASE s.metric WHEN 'pg_checkpoints_timed_total' THEN 'by checkpoint_timeout' WHEN 'pg_checkpoints_requested_total' THEN 'requested, or by max_wal_size'
                  WHEN 'pg_autovacuum_workers_active' THEN s.value || ' autovacuum workers'
                  ELSE concat_ws(' ', s.labels ->> 'database', s.labels ->> 'schema', s.labels ->> 'table', round(100 * s.value::numeric) || ' %') END)) v (what, detail)
  ORDER BY s.ts, v.what, v.detail;
$$;
COMMENT ON FUNCTION perfopt.test_marks(bigint) IS
  'Checkpoints and vacuums on this server during a test, to be held against its seconds in perfopt.test_interval. They are seen once a collecting cycle (perfopt.collect_interval): ts is when, and what happened did so in the cycle before. Example: SELECT * FROM perfopt.test_marks(7);';

CREATE FUNCTION perfopt.test_blockers(
  run_id bigint,
  OUT ts timestamptz, OUT blocker_pid int, OUT state text, OUT query_id bigint, OUT waits_for text, OUT waiters int,
  OUT wait_max_s float8)
RETURNS SETOF record
LANGUAGE sql STABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
  SELECT b.ts, b.blocker_pid, b.blocker_state, b.blocker_query_id,
         concat_ws(' ', b.locktype, b.mode, CASE WHEN b.relation IS NOT NULL THEN 'on ' || coalesce(b.relation::regclass::text, b.relation::text) END),
         b.waiters, round(b.wait_max_s::numeric, 3)::float8
  FROM perfopt.test_run r JOIN perfopt.blocking b
    ON b.ts > r.clock_at AND b.ts <= coalesce(r.finished_at, now()) + interval '5 s'
  WHERE r.run_id = test_blockers.run_id ORDER BY b.wait_max_s DESC NULLS LAST, b.ts;
$$;
COMMENT ON FUNCTION perfopt.test_blockers(bigint) IS
  'Who made others wait for locks on this server during a test, the longest waits first: the root blocker, its state and statement, for what how many waited, and the longest wait in seconds; as seen once a collecting cycle. Example: SELECT * FROM perfopt.test_blockers(7);';

CREATE FUNCTION perfopt.saturated_resource(since timestamptz, until timestamptz) RETURNS jsonb
LANGUAGE sql STABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
  WITH cpu AS (
    SELECT 100 * (1 - sum(s.value) FILTER (WHERE s.labels ->> 'mode' IN ('idle', 'iowait')) / nullif(sum(s.value), 0)) AS busy_pct
    FROM perfopt.sample s WHERE s.metric = 'node_cpu_seconds_total' AND s.ts > since AND s.ts <= until
  ), wait AS (
    SELECT CASE u.wait_class WHEN 'CPU' THEN 'CPU' ELSE u.wait_class || ':' || u.wait_event END AS event, u.wait_class,
           sum(u.n) AS n, 100 * sum(u.n) / sum(sum(u.n)) OVER () AS pct
    FROM perfopt.active_session_hot h
    CROSS JOIN LATERAL unnest(h.operation, h.wait_class, h.wait_event, h.n) u (operation, wait_class, wait_event, n)
    WHERE h.ts > since AND h.ts <= until AND u.operation <> 0 AND (u.wait_class, u.wait_event) <> ('Client', 'ClientRead')
    GROUP BY 1, 2 ORDER BY 3 DESC LIMIT 1
  )
  SELECT jsonb_build_object(
    'resource', CASE WHEN c.busy_pct >= 85 THEN 'cpu' WHEN w.event <> 'CPU' AND w.pct >= 30 THEN lower(w.wait_class) END,
    'cpu_busy_pct', round(c.busy_pct::numeric, 0), 'top_wait', w.event, 'top_wait_pct', round(w.pct::numeric, 0))
  FROM cpu c LEFT JOIN wait w ON true;
$$;
COMMENT ON FUNCTION perfopt.saturated_resource(timestamptz, timestamptz) IS
  'What this server was short of while load tests ran between two times: resource is cpu (85 % busy and more, all of the machine), else the class of the wait that took most of the calls'' time (30 % and more), NULL if neither; with cpu_busy_pct, top_wait and top_wait_pct. From samples, so between two collecting cycles. Example: SELECT perfopt.saturated_resource(now() - interval ''1 min'', now());';
