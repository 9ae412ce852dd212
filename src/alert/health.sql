-- How the server is, in numbers that can be worked out by hand from perfopt.alert and source_status.

CREATE FUNCTION perfopt.health_of(seen jsonb, OUT dimension text, OUT score int, OUT status text, OUT detail text)
RETURNS SETOF record
LANGUAGE sql STABLE ROWS 7 SET search_path = pg_catalog, pg_temp SET jit = off
AS $$
  WITH dimension AS (
    SELECT * FROM unnest('{system,application,database,cache,external,integration}'::text[]) WITH ORDINALITY AS d (dimension, place)
  ), seen AS (
    SELECT e.key AS dimension, e.value::timestamptz AS ts FROM jsonb_each_text(health_of.seen) e
  ), cost AS (
    SELECT coalesce(m.dimension, 'application') AS dimension, CASE a.severity WHEN 'critical' THEN 45 ELSE 15 END AS points,
           format('%s%s is %s (alert %s, %s)', a.name, CASE a.labels WHEN '{}' THEN '' ELSE ' ' || a.labels::text END,
                  coalesce(round(a.value::numeric, 4)::float8::text, 'unknown'), a.alert_id, a.severity) AS what
    FROM perfopt.alert a
    LEFT JOIN perfopt.metric m ON m.name = a.metric
    WHERE a.state IN ('firing', 'acknowledged') AND a.inhibited_by IS NULL
    UNION ALL
    SELECT coalesce(s.dimension, 'application'), 10, format('source %s is failing: %s', concat_ws(' of ', s.source, nullif(s.target, '')), s.last_error)
    FROM perfopt.source_status s
    WHERE s.state = 'failing'
  ), scored AS (
    SELECT d.dimension, d.place,
           CASE WHEN s.ts > now() - greatest(interval '3 min', 3 * current_setting('perfopt.collect_interval')::interval)
                THEN greatest(100 - coalesce(sum(c.points), 0), 0)::int END AS score,
           string_agg(format('-%s %s', c.points, c.what), E'\n' ORDER BY c.points DESC, c.what) FILTER (WHERE c.points > 0) AS what, s.ts
    FROM dimension d
    LEFT JOIN seen s ON s.dimension = d.dimension
    LEFT JOIN cost c ON c.dimension = d.dimension
    GROUP BY d.dimension, d.place, s.ts
  ), shown AS (
    SELECT s.place, s.dimension, s.score,
           concat_ws(E'\n', CASE WHEN s.score IS NULL
                                 THEN CASE WHEN s.ts IS NULL THEN 'no data' ELSE format('no data since %s', s.ts) END END, s.what) AS what
    FROM scored s
    UNION ALL
    SELECT 0, 'overall', min(s.score),
           string_agg(format('%s is at %s', s.dimension, s.score), E'\n' ORDER BY s.score, s.place) FILTER (WHERE s.score < 100)
    FROM scored s
  )
  SELECT s.dimension, s.score,
         CASE WHEN s.score IS NULL THEN 'unknown' WHEN s.score >= 90 THEN 'healthy' WHEN s.score >= 60 THEN 'warning' ELSE 'critical' END,
         nullif(s.what, '')
  FROM shown s
  ORDER BY s.place
$$;
COMMENT ON FUNCTION perfopt.health_of(jsonb) IS
  'What perfopt.health() shows, when each dimension had its latest sample then. Example: SELECT * FROM perfopt.health_of(''{"system": "2026-01-01"}'');';

CREATE FUNCTION perfopt.health(OUT dimension text, OUT score int, OUT status text, OUT detail text)
RETURNS SETOF record
LANGUAGE sql STABLE ROWS 7 SET search_path = pg_catalog, pg_temp SET jit = off
AS $$
  SELECT h.*
  FROM (SELECT coalesce(jsonb_object_agg(s.dimension, s.ts), '{}') AS seen
        FROM (SELECT c.dimension, max(c.ts) AS ts FROM perfopt.current_metrics() c GROUP BY c.dimension) s) s,
    perfopt.health_of(s.seen) h
$$;
COMMENT ON FUNCTION perfopt.health() IS
  'A score from 0 to 100 for each dimension: 100 - 45 for each critical and 15 for each warning alert that is firing or acknowledged and not inhibited - 10 for each failing source; NULL (unknown) without samples within 3 collect intervals, 3 minutes at least. overall is the lowest of those known. status: healthy from 90, warning from 60, else critical. detail: what pulls it down, and by how much. Example: SELECT * FROM perfopt.health();';

CREATE FUNCTION perfopt.sparkline_series(since interval DEFAULT '1 hour', points int DEFAULT 60)
RETURNS TABLE (name text, unit text, points float8[])
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET jit = off
AS $$
  WITH shown (metric, place) AS (
    SELECT * FROM unnest('{node_cpu_busy_ratio,node_memory_available_ratio,pg_active_sessions,pg_connections_used_ratio,pg_xact_commit_total,pg_wal_bytes_total,redis_hit_ratio,probe_duration_seconds}'::text[])
      WITH ORDINALITY
  ), course AS (
    SELECT s.metric, width_bucket(extract(epoch FROM s.ts - (now() - $1)), 0, extract(epoch FROM $1), $2) AS point,
           sum(s.value) AS sum, avg(s.value) AS avg, count(DISTINCT s.ts) AS n
    FROM perfopt.sample s
    WHERE s.metric = ANY ('{node_cpu_busy_ratio,node_memory_available_ratio,pg_active_sessions,pg_connections_used_ratio,pg_xact_commit_total,pg_wal_bytes_total,redis_hit_ratio,probe_duration_seconds}'::text[])
      AND s.ts > now() - $1 AND (s.metric <> 'probe_duration_seconds' OR s.labels @> '{"phase": "total"}')
    GROUP BY 1, 2
  )
  SELECT w.metric || CASE m.kind WHEN 'counter' THEN ' per second' ELSE '' END, m.unit,
         array_agg(CASE WHEN m.kind = 'counter' THEN c.sum / (extract(epoch FROM $1) / $2)
                        WHEN w.metric = 'pg_active_sessions' THEN c.sum / c.n ELSE c.avg END ORDER BY p.point)
  FROM shown w
  JOIN perfopt.metric m ON m.name = w.metric
  CROSS JOIN generate_series(1, $2) AS p (point)
  LEFT JOIN course c ON c.metric = w.metric AND c.point = p.point
  WHERE EXISTS (SELECT FROM course k WHERE k.metric = w.metric)
  GROUP BY w.metric, w.place, m.kind, m.unit
  ORDER BY w.place
$$;
COMMENT ON FUNCTION perfopt.sparkline_series(interval, int) IS
  'The course of the metrics that tell most, as so many averages over the last `since`, oldest first; NULL where there was no sample. Example: SELECT name, points FROM perfopt.sparkline_series(''15 min'', 15);';

CREATE FUNCTION perfopt.dashboard() RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET jit = off
AS $$
  WITH latest AS MATERIALIZED (
    SELECT * FROM perfopt.current_metrics()
  )
  SELECT jsonb_build_object(
    'ts', now(),
    'health', (SELECT jsonb_agg(to_jsonb(h))
               FROM perfopt.health_of((SELECT coalesce(jsonb_object_agg(s.dimension, s.ts), '{}')
                                       FROM (SELECT l.dimension, max(l.ts) AS ts FROM latest l GROUP BY l.dimension) s)) h),
    'alerts', (SELECT coalesce(jsonb_agg(to_jsonb(a)), '[]')
               FROM (SELECT * FROM perfopt.alert WHERE state <> 'resolved' LIMIT 100) a),
    'metrics', (SELECT coalesce(jsonb_object_agg(d.dimension, d.metrics), '{}')
                FROM (SELECT c.dimension, jsonb_agg(jsonb_build_object('metric', c.metric, 'labels', c.labels, 'value', c.value, 'unit', c.unit)) AS metrics
                      FROM latest c
                      WHERE c.metric NOT LIKE 'pg\_statement\_%' AND c.metric NOT LIKE 'pg\_table\_%' AND c.metric NOT LIKE 'pg\_index\_%'
                        AND c.metric NOT LIKE '%\_bucket' AND c.metric NOT LIKE 'redis\_command\_%' AND c.metric NOT LIKE 'pg\_io\_%'
                      GROUP BY c.dimension) d),
    'db_time', (SELECT coalesce(jsonb_agg(to_jsonb(t)), '[]') FROM (SELECT * FROM perfopt.db_time('15 min', 'wait_event') LIMIT 10) t),
    'statements', (SELECT coalesce(jsonb_agg(to_jsonb(t)), '[]')
                   FROM (SELECT d.key AS query_id, d.aas, d.share_pct, left(s.text, 200) AS text
                         FROM perfopt.db_time('15 min', 'query_id') d
                         LEFT JOIN LATERAL (SELECT x.text FROM perfopt.statement x WHERE x.query_id::text = d.key LIMIT 1) s ON true
                         LIMIT 10) t),
    'tests', (SELECT coalesce(jsonb_agg(to_jsonb(p)), '[]')
              FROM (SELECT r.run_id, r.kind, r.scenario, r.state, r.started_at, to_jsonb(t) AS progress
                    FROM perfopt.test_run r
                    LEFT JOIN LATERAL perfopt.test_progress(r.run_id) t ON true
                    WHERE r.state IN ('starting', 'running') ORDER BY r.run_id DESC LIMIT 5) p),
    'recommendations', (SELECT coalesce(jsonb_agg(to_jsonb(r)), '[]')
                        FROM (SELECT r.recommendation_id, r.rank, r.category, r.finding, r.title, r.impact_pct, r.risk, r.state
                              FROM perfopt.recommendation r
                              WHERE r.analysis_id = (SELECT max(a.analysis_id) FROM perfopt.analysis a)
                              ORDER BY r.rank LIMIT 10) r),
    'series', (SELECT coalesce(jsonb_agg(to_jsonb(s)), '[]') FROM perfopt.sparkline_series() s))
$$;
COMMENT ON FUNCTION perfopt.dashboard() IS
  'Everything that a dashboard shows, in one call: health, alerts that are not over, current metrics by dimension, DB time of 15 minutes by wait and by statement, running tests, the latest recommendations, and the last hour of the metrics that tell most. Texts of statements are shown to members of pg_read_all_stats. Example: SELECT jsonb_pretty(perfopt.dashboard());';
