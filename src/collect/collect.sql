CREATE TABLE perfopt.blocking (
  ts timestamptz NOT NULL,
  blocker_pid int NOT NULL,
  blocker_database oid,
  blocker_role oid,
  blocker_state text,
  blocker_query_id bigint,
  blocker_xact_s float8,
  blocker_state_s float8,
  relation oid,
  locktype text,
  mode text,
  waiters int NOT NULL,
  wait_max_s float8
) PARTITION BY RANGE (ts);
CREATE INDEX blocking_ts_idx ON perfopt.blocking (ts);
COMMENT ON TABLE perfopt.blocking IS
  'Who made others wait for locks, one row a cycle and root blocker: its state, how long its transaction and its state have lasted (s), for what the others wait, how many they are and the longest wait (s). pid 0 is a prepared transaction. Example: SELECT ts, blocker_pid, blocker_state, waiters, wait_max_s FROM perfopt.blocking ORDER BY ts DESC LIMIT 10;';

CREATE FUNCTION perfopt.read_source_status(
  OUT source text, OUT target text, OUT state text, OUT last_success timestamptz,
  OUT last_error text, OUT cycles bigint, OUT errors bigint, OUT cpu_ms float8, OUT wall_ms float8,
  OUT last_error_at timestamptz, OUT dimension text)
RETURNS SETOF record
LANGUAGE c STRICT VOLATILE AS 'MODULE_PATHNAME', 'perfopt_source_status';
COMMENT ON FUNCTION perfopt.read_source_status() IS
  'What the view perfopt.source_status shows. Example: SELECT * FROM perfopt.read_source_status();';

CREATE VIEW perfopt.source_status AS
  SELECT source, target, state, last_success, last_error, cycles, errors,
         round(cpu_ms::numeric, 3)::float8 AS cpu_ms, round(wall_ms::numeric, 3)::float8 AS wall_ms,
         last_error_at, dimension
  FROM perfopt.read_source_status()
  ORDER BY state, source, target;
COMMENT ON VIEW perfopt.source_status IS
  'How each source of metrics and each of its targets fares since the server started: state ok, failing or absent (there is nothing to read; last_error says what is lacking), last success and error, runs, failed runs, CPU and wall time of the last run (ms). Example: SELECT * FROM perfopt.source_status WHERE state = ''failing'';';

CREATE FUNCTION perfopt.collect_now() RETURNS void
LANGUAGE c STRICT VOLATILE AS 'MODULE_PATHNAME', 'perfopt_collect_now';
COMMENT ON FUNCTION perfopt.collect_now() IS
  'Runs one collecting cycle at once, of all sources and targets, and returns when its samples are visible. Example: SELECT perfopt.collect_now();';

CREATE TABLE perfopt.statement_text (
  query_id bigint NOT NULL,
  database text NOT NULL,
  text text,
  looked_up_at timestamptz NOT NULL DEFAULT now(),
  last_seen timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (query_id, database)
);
COMMENT ON TABLE perfopt.statement_text IS
  'Texts of statements as they are kept; the view perfopt.statement shows them to those who may read them. A row without text stands for a statement that pg_stat_statements did not have when it was looked up.';

-- Texts may hold what is secret, so they are shown to those who may read them in pg_stat_statements.
CREATE VIEW perfopt.statement WITH (security_barrier = true) AS
  SELECT t.query_id, t.database,
         CASE WHEN pg_catalog.pg_has_role('pg_read_all_stats', 'USAGE') THEN t.text END AS text,
         t.last_seen
  FROM perfopt.statement_text t;
COMMENT ON VIEW perfopt.statement IS
  'Texts of the statements that were among the busiest (perfopt.top_statements), normalised by pg_stat_statements and cut at 4096 bytes. A text is shown to members of pg_read_all_stats, and NULL to others. last_seen is kept up to date by an eighth of perfopt.retention_raw, after which a statement that was not seen is forgotten. Example: SELECT s.labels->>''database'', t.text, sum(s.value) AS seconds FROM perfopt.sample s JOIN perfopt.statement t ON t.query_id = (s.labels->>''query_id'')::bigint AND t.database = s.labels->>''database'' WHERE s.metric = ''pg_statement_exec_seconds_total'' AND s.ts > now() - interval ''1 hour'' GROUP BY 1, 2 ORDER BY 3 DESC LIMIT 10;';

CREATE FUNCTION perfopt.record_call(target text, duration_ms float8, ok boolean DEFAULT true) RETURNS void
LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'perfopt_record_call';
COMMENT ON FUNCTION perfopt.record_call(text, float8, boolean) IS
  'Counts a call that the application made to something outside of the database: whom it called (at most 127 bytes, 256 targets at a time), how long that took (ms) and whether it succeeded (default true). Takes about a microsecond, writes nothing, and works in read-only transactions; the collector keeps the sums of each cycle as external_calls_total, external_call_duration_seconds and external_error_ratio. Example: SELECT perfopt.record_call(''billing'', 12.5, true);';

-- As Prometheus' histogram_quantile: linear within a bucket; a call that took more than 60 s counts as that.
CREATE FUNCTION perfopt.external_call_latency(since interval DEFAULT '1 hour')
RETURNS TABLE (target text, calls bigint, errors bigint, error_pct float8, mean_ms float8,
               p50_ms float8, p90_ms float8, p95_ms float8, p99_ms float8)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
  WITH grown AS (
    SELECT s.labels->>'target' AS target, s.metric, s.labels->>'ok' AS ok,
           CASE s.labels->>'le' WHEN '+Inf' THEN 'Infinity' ELSE s.labels->>'le' END::float8 AS le,
           sum(s.value) AS n
    FROM perfopt.sample s
    WHERE s.ts > now() - perfopt.checked_positive('since', since)
      AND s.metric IN ('external_calls_total', 'external_call_duration_seconds_sum',
                       'external_call_duration_seconds_bucket')
    GROUP BY 1, 2, 3, 4
  ), total AS (
    SELECT g.target, coalesce(sum(g.n) FILTER (WHERE g.ok IS NOT NULL), 0) AS calls,
           coalesce(sum(g.n) FILTER (WHERE g.ok = 'false'), 0) AS errors,
           sum(g.n) FILTER (WHERE g.metric = 'external_call_duration_seconds_sum') AS seconds
    FROM grown g
    GROUP BY 1
  ), bucket AS (
    SELECT g.target, g.le, g.n, lag(g.le, 1, 0::float8) OVER w AS low, lag(g.n, 1, 0::float8) OVER w AS below,
           max(g.n) OVER (PARTITION BY g.target) AS calls
    FROM grown g
    WHERE g.le IS NOT NULL
    WINDOW w AS (PARTITION BY g.target ORDER BY g.le)
  ), quantile AS (
    SELECT b.target, q.q,
           1000 * CASE WHEN b.le = 'Infinity' THEN b.low
                       ELSE b.low + (b.le - b.low) * (q.q * b.calls - b.below) / (b.n - b.below) END AS ms
    FROM bucket b, unnest('{0.5,0.9,0.95,0.99}'::float8[]) AS q (q)
    WHERE b.below < q.q * b.calls AND b.n >= q.q * b.calls
  )
  SELECT t.target, t.calls::bigint, t.errors::bigint, 100 * t.errors / nullif(t.calls, 0),
         1000 * t.seconds / nullif(t.calls, 0),
         max(q.ms) FILTER (WHERE q.q = 0.5), max(q.ms) FILTER (WHERE q.q = 0.9),
         max(q.ms) FILTER (WHERE q.q = 0.95), max(q.ms) FILTER (WHERE q.q = 0.99)
  FROM total t
  LEFT JOIN quantile q ON q.target = t.target
  GROUP BY t.target, t.calls, t.errors, t.seconds
  ORDER BY t.calls DESC, t.target
$$;
COMMENT ON FUNCTION perfopt.external_call_latency(interval) IS
  'Calls that applications reported by record_call() in the last hour, or as long as asked for: how many, how many failed (percent), and percentiles of their duration (ms), which are right to the width of a bucket of external_call_duration_seconds and at most 60 s. Example: SELECT target, calls, error_pct, p95_ms FROM perfopt.external_call_latency(''15 min'');';
