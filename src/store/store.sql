CREATE TABLE perfopt.metric (
  name text PRIMARY KEY,
  dimension text NOT NULL
    CHECK (dimension IN ('system', 'application', 'database', 'cache', 'external', 'integration')),
  kind text NOT NULL CHECK (kind IN ('gauge', 'counter')),
  unit text NOT NULL,
  help text NOT NULL,
  metric_id int GENERATED ALWAYS AS IDENTITY UNIQUE
);
COMMENT ON TABLE perfopt.metric IS
  'Every metric that perfopt knows: name (as Prometheus names things), dimension, kind, base unit and meaning. Example: SELECT name, unit, help FROM perfopt.metric WHERE dimension = ''cache'';';

CREATE TABLE perfopt.series (
  series_id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  metric_id int NOT NULL REFERENCES perfopt.metric (metric_id),
  labels jsonb NOT NULL DEFAULT '{}',
  UNIQUE (metric_id, labels)
);
COMMENT ON TABLE perfopt.series IS
  'One row a metric and set of labels that was ever sampled. perfopt.sample shows the same with values.';

-- One row a cycle and writer keeps a sample at a few bytes where a row of its own would take 84.
CREATE TABLE perfopt.sample_hot (
  ts timestamptz NOT NULL,
  writer text NOT NULL,
  elapsed_s float8,
  series int[] NOT NULL,
  value float8[] NOT NULL
) PARTITION BY RANGE (ts);
CREATE INDEX sample_hot_ts_idx ON perfopt.sample_hot (ts);
COMMENT ON TABLE perfopt.sample_hot IS
  'Raw samples as they are kept: one row a cycle and writer, values beside the ids of their series; elapsed_s is the time in seconds since the writer''s row before. Query perfopt.sample instead.';

CREATE VIEW perfopt.sample AS
  SELECT h.ts, m.dimension, m.name AS metric, s.labels, v.value, m.unit
  FROM perfopt.sample_hot h
  CROSS JOIN LATERAL unnest(h.series, h.value) AS v (series_id, value)
  JOIN perfopt.series s ON s.series_id = v.series_id
  JOIN perfopt.metric m ON m.metric_id = s.metric_id;
COMMENT ON VIEW perfopt.sample IS
  'Every raw sample. A counter''s value is its increase since the previous sample (none where it was reset). Example: SELECT ts, value FROM perfopt.sample WHERE metric = ''node_load1'' AND ts > now() - interval ''1 hour'' ORDER BY ts;';

-- Checks of arguments: SQL functions, whose columns must bear the names of their arguments, call these.
CREATE FUNCTION perfopt.checked_metric(metric text) RETURNS int
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  id int := (SELECT m.metric_id FROM perfopt.metric m WHERE m.name = checked_metric.metric);
BEGIN
  IF id IS NULL THEN
    RAISE EXCEPTION 'metric "%" does not exist', checked_metric.metric
      USING ERRCODE = 'undefined_object',
            HINT = 'SELECT name, help FROM perfopt.metric lists the metrics.';
  END IF;
  RETURN id;
END $$;
COMMENT ON FUNCTION perfopt.checked_metric(text) IS
  'The metric_id of a metric, or an error with a hint. Example: SELECT perfopt.checked_metric(''node_load1'');';

CREATE FUNCTION perfopt.checked_dimension(dimension text) RETURNS text
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  IF dimension NOT IN ('system', 'application', 'database', 'cache', 'external', 'integration') THEN
    RAISE EXCEPTION 'dimension "%" does not exist', dimension
      USING ERRCODE = 'invalid_parameter_value',
            HINT = 'Dimensions are system, application, database, cache, external and integration.';
  END IF;
  RETURN dimension;
END $$;
COMMENT ON FUNCTION perfopt.checked_dimension(text) IS
  'The dimension that was given (NULL stands for all), or an error with a hint. Example: SELECT perfopt.checked_dimension(''cache'');';

CREATE FUNCTION perfopt.checked_positive(what text, value interval) RETURNS interval
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  IF value <= interval '0' THEN
    RAISE EXCEPTION '% must be positive, not %', what, value
      USING ERRCODE = 'invalid_parameter_value',
            HINT = format('For example %s => ''15 min''.', what);
  END IF;
  RETURN value;
END $$;
COMMENT ON FUNCTION perfopt.checked_positive(text, interval) IS
  'The interval that was given, or an error that names the argument when it is not positive. Example: SELECT perfopt.checked_positive(''since'', ''15 min'');';

CREATE FUNCTION perfopt.current_metrics(dimension text DEFAULT NULL)
RETURNS TABLE (ts timestamptz, dimension text, metric text, labels jsonb, value float8, unit text)
LANGUAGE sql STABLE ROWS 500 SET search_path = pg_catalog, pg_temp
AS $$
  WITH latest AS (
    SELECT DISTINCT ON (h.writer) h.ts, h.elapsed_s, h.series, h.value
    FROM perfopt.sample_hot h
    WHERE h.ts > now() - interval '1 day'
    ORDER BY h.writer, h.ts DESC
  ), asked AS MATERIALIZED (
    SELECT perfopt.checked_dimension($1) AS dimension
  )
  SELECT l.ts, m.dimension, m.name, s.labels,
         CASE m.kind WHEN 'counter' THEN v.value / nullif(l.elapsed_s, 0) ELSE v.value END,
         CASE m.kind WHEN 'counter' THEN m.unit || '/s' ELSE m.unit END
  FROM asked a
  CROSS JOIN latest l
  CROSS JOIN LATERAL unnest(l.series, l.value) AS v (series_id, value)
  JOIN perfopt.series s ON s.series_id = v.series_id
  JOIN perfopt.metric m ON m.metric_id = s.metric_id
  WHERE a.dimension IS NULL OR m.dimension = a.dimension
  ORDER BY m.dimension, m.name, s.labels
$$;
COMMENT ON FUNCTION perfopt.current_metrics(text) IS
  'The latest value of each series, of all dimensions or of one; a counter reads as its rate per second since the sample before. Example: SELECT metric, labels, value, unit FROM perfopt.current_metrics(''database'');';

CREATE FUNCTION perfopt.metric_history(
  metric text, since interval DEFAULT '1 hour', step interval DEFAULT NULL, labels jsonb DEFAULT '{}')
RETURNS TABLE (bucket timestamptz, labels jsonb, n bigint, avg float8, min float8, max float8, p95 float8)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
  WITH asked AS MATERIALIZED (
    SELECT perfopt.checked_metric($1) AS metric_id,
           now() - perfopt.checked_positive('since', $2) AS oldest,
           perfopt.checked_positive('step', coalesce($3, greatest($2 / 60, interval '1 second'))) AS width
  )
  SELECT date_bin(a.width, h.ts, timestamptz '2000-01-01 00:00:00+00') AS bucket, s.labels, count(*),
         avg(v.value), min(v.value), max(v.value),
         percentile_cont(0.95) WITHIN GROUP (ORDER BY v.value)
  FROM asked a
  JOIN perfopt.series s ON s.metric_id = a.metric_id AND s.labels @> $4
  JOIN perfopt.sample_hot h ON h.ts > a.oldest
  CROSS JOIN LATERAL unnest(h.series, h.value) AS v (series_id, value)
  WHERE v.series_id = s.series_id
  GROUP BY 1, 2
  ORDER BY 1, 2
$$;
COMMENT ON FUNCTION perfopt.metric_history(text, interval, interval, jsonb) IS
  'A metric''s course over the last `since` in steps of `step` (default: a sixtieth of since): number of samples, average, minimum, maximum and 95th percentile a step and series whose labels contain `labels`; of a counter, its increases. Example: SELECT * FROM perfopt.metric_history(''node_load1'', ''10 min'', ''1 min'');';

CREATE FUNCTION perfopt.maintain_now() RETURNS int
LANGUAGE c STRICT SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'perfopt_maintain_now';
COMMENT ON FUNCTION perfopt.maintain_now() IS
  'Does at once what the collector does every hour: makes the next day''s partitions and drops those past perfopt.retention_raw. Returns how many were dropped. Example: SELECT perfopt.maintain_now();';
