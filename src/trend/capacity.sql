-- What runs out, and when.

CREATE FUNCTION perfopt.capacity_plan(horizon interval DEFAULT '90 days')
RETURNS TABLE (resource text, current float8, capacity float8, unit text, forecast float8, lower float8, upper float8,
               exhausted_at timestamptz, exhausted_earliest timestamptz, action text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET jit = off
AS $$
  WITH watched (metric, kind, unit) AS (
    VALUES ('node_cpu_busy_ratio', 'cpu', 'ratio'), ('node_memory_available_ratio', 'memory', 'ratio'),
           ('node_filesystem_avail_bytes', 'disk', 'bytes'), ('pg_connections_used_ratio', 'connections', 'ratio'),
           ('pg_wal_bytes_total', 'wal', 'bytes/s'), ('pg_database_frozenxid_age', 'transaction ids', 'transactions'),
           ('pg_sequence_used_ratio', 'sequence', 'ratio'), ('redis_memory_used_bytes', 'redis memory', 'bytes')
  ), latest AS MATERIALIZED (
    SELECT c.metric, c.labels, c.value FROM perfopt.current_metrics() c
    WHERE c.metric IN ('node_filesystem_size_bytes', 'redis_memory_max_bytes')
  ), read AS (
    SELECT w.kind, w.unit, r.labels, r.first_ts, r.step, r.v,
           CASE w.kind WHEN 'disk' THEN (SELECT l.value FROM latest l WHERE l.metric = 'node_filesystem_size_bytes' AND l.labels = r.labels)
                       WHEN 'redis memory' THEN (SELECT l.value FROM latest l WHERE l.metric = 'redis_memory_max_bytes' AND l.labels = r.labels)
                       WHEN 'transaction ids' THEN 2147483647 WHEN 'wal' THEN NULL ELSE 1 END AS capacity,
           -- One row a file system, whatever it is used for.
           row_number() OVER (PARTITION BY w.kind, CASE w.kind WHEN 'disk' THEN r.labels ->> 'mount' ELSE r.labels::text END
                              ORDER BY r.labels ->> 'role') AS nth
    FROM watched w
    JOIN perfopt.metric m ON m.name = w.metric
    CROSS JOIN LATERAL perfopt.regular_series(w.metric, $1 / 3 + interval '1 day') r
  ), tested AS (
    SELECT t.breaking_point FROM perfopt.test_run t
    WHERE t.kind = 'stress' AND t.state = 'finished' AND t.breaking_point IS NOT NULL AND t.config ? 'rate'
    ORDER BY t.run_id DESC LIMIT 1
  ), commits AS (
    -- Databases have come at different times, so they are added up by time and not by place.
    SELECT min(b.ts) AS first_ts, min(b.step) AS step, array_agg(b.value ORDER BY b.ts) AS v
    FROM (SELECT x.step, date_bin(x.step, x.first_ts + (u.place - 1) * x.step, '2000-01-01') AS ts, sum(u.value) AS value
          FROM tested t, perfopt.regular_series('pg_xact_commit_total', $1 / 3 + interval '1 day') x,
            unnest(x.v) WITH ORDINALITY AS u (value, place)
          GROUP BY 1, 2) b
    HAVING count(*) > 0
  ), series AS (
    SELECT r.kind, r.unit, r.first_ts, r.step, r.capacity,
           concat_ws(' ', r.kind, coalesce(r.labels ->> 'mount', r.labels ->> 'sequence', r.labels ->> 'target', r.labels ->> 'database')) AS resource,
           -- All as what is used, so that it runs out by rising.
           CASE r.kind WHEN 'disk' THEN ARRAY(SELECT r.capacity - u.x FROM unnest(r.v) WITH ORDINALITY AS u (x, n) ORDER BY u.n)
                       WHEN 'memory' THEN ARRAY(SELECT 1 - u.x FROM unnest(r.v) WITH ORDINALITY AS u (x, n) ORDER BY u.n)
                       ELSE r.v END AS v
    FROM read r
    WHERE r.nth = 1 AND (r.capacity IS NOT NULL OR r.kind = 'wal')
    UNION ALL
    SELECT 'load', 'transactions/s', c.first_ts, c.step, t.breaking_point, 'load of the breaking point', c.v
    FROM commits c CROSS JOIN tested t
  ), planned AS (
    SELECT s.*, c.*, s.first_ts + (cardinality(s.v) - 1) * s.step AS last_ts
    FROM series s
    CROSS JOIN LATERAL perfopt.capacity_values(s.v, extract(epoch FROM s.step)::float8, coalesce(s.capacity, 'Infinity'),
                                               extract(epoch FROM $1)::float8) c
  )
  SELECT p.resource, p.current, p.capacity, p.unit, p.forecast, p.lower, p.upper,
         p.last_ts + make_interval(secs => p.exhausted_s), p.last_ts + make_interval(secs => p.earliest_s),
         CASE
           WHEN p.span_s < 86400 THEN format('nothing is claimed from %s of data: it takes a day', make_interval(secs => round(p.span_s)))
           WHEN p.kind = 'wal' THEN 'size the archive, the WAL disk and replication for this rate'
           WHEN p.earliest_s IS NULL THEN CASE WHEN p.current > 0.8 * p.capacity AND p.kind NOT IN ('transaction ids')
             THEN 'close to its capacity, though not growing: keep an eye on it' ELSE 'none: it lasts beyond the horizon' END
           ELSE CASE p.kind
             WHEN 'cpu' THEN 'tune the statements that take most CPU (perfopt.analyze()); then up: more cores, or out: read replicas'
             WHEN 'memory' THEN 'look at work_mem and connections; then up: more memory, or out: fewer sessions a server by a pooler'
             WHEN 'disk' THEN 'find what grows (pg_table_size_bytes), archive or drop it; then a larger volume or a tablespace elsewhere'
             WHEN 'connections' THEN 'put a pooler in front before raising max_connections'
             WHEN 'transaction ids' THEN 'VACUUM (FREEZE) the oldest tables, and see what holds back the horizon (pg_session_oldest_xmin_age)'
             WHEN 'sequence' THEN 'ALTER the column and its sequence to bigint'
             WHEN 'redis memory' THEN 'set TTLs or an eviction policy; then up: maxmemory, or out: more shards'
             WHEN 'load' THEN 'tune what broke first (perfopt.test_run.outcome); then up, or out: read replicas' END END
  FROM planned p
  ORDER BY p.earliest_s, p.current / p.capacity DESC NULLS LAST, p.resource
$$;
COMMENT ON FUNCTION perfopt.capacity_plan(interval) IS
  'When CPU, memory, file systems, connections, transaction ids, sequences, Redis'' memory and the load of the latest breaking-point test (stress_test with a rate) run out, soonest first: current is the line''s value now, forecast that at the horizon (default 90 days) with bounds from the 95 % interval of its slope; exhausted_at by the slope, exhausted_earliest by the steep end of its interval; NULL: not within the horizon. Rests on a third of the horizon and a day; nothing is claimed from less than a day. Example: SELECT resource, current, capacity, exhausted_at, action FROM perfopt.capacity_plan();';
