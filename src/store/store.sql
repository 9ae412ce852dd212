CREATE TABLE perfopt.metric (
  name text PRIMARY KEY,
  dimension text NOT NULL
    CHECK (dimension IN ('system', 'application', 'database', 'cache', 'external', 'integration')),
  kind text NOT NULL CHECK (kind IN ('gauge', 'counter')),
  unit text NOT NULL,
  help text NOT NULL,
  metric_id int GENERATED ALWAYS AS IDENTITY UNIQUE,
  recorded boolean NOT NULL DEFAULT false
);
COMMENT ON TABLE perfopt.metric IS
  'Every metric that perfopt knows: name (as Prometheus names things), dimension, kind, base unit and meaning; recorded are those that came by record_metric(). Example: SELECT name, unit, help FROM perfopt.metric WHERE dimension = ''cache'';';

-- metric_id is one of perfopt.metric, whose rows are never deleted. A foreign key would make up a third of
-- what a new series costs, which whatever is among the busiest for the first time has by the dozen.
CREATE TABLE perfopt.series (
  series_id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  metric_id int NOT NULL,
  labels jsonb NOT NULL DEFAULT '{}',
  last_seen timestamptz NOT NULL DEFAULT now(),
  UNIQUE (metric_id, labels)
);
COMMENT ON TABLE perfopt.series IS
  'One row a metric and set of labels that was ever sampled; last_seen is right to a day. perfopt.sample shows the same with values.';

-- Fresh samples are one row a cycle and writer, which costs a few bytes a sample where a row of its own would
-- take 84, and one insert instead of hundreds. Sealing moves them into chunks of one series each.
CREATE TABLE perfopt.sample_hot (
  ts timestamptz NOT NULL,
  writer text NOT NULL,
  elapsed_s float8,
  series int[] NOT NULL,
  value float8[] NOT NULL
);
CREATE INDEX sample_hot_ts_idx ON perfopt.sample_hot (ts);
CREATE INDEX sample_hot_writer_ts_idx ON perfopt.sample_hot (writer, ts);
COMMENT ON TABLE perfopt.sample_hot IS
  'Raw samples that are not yet sealed: one row a cycle and writer, values beside the ids of their series; elapsed_s is the time in seconds since the writer''s row before. Query perfopt.sample instead.';

CREATE TABLE perfopt.sample_5min_hot (
  ts timestamptz NOT NULL,
  series int[] NOT NULL,
  n float8[] NOT NULL,
  min float8[] NOT NULL,
  max float8[] NOT NULL,
  sum float8[] NOT NULL
);
CREATE INDEX sample_5min_hot_ts_idx ON perfopt.sample_5min_hot (ts);
COMMENT ON TABLE perfopt.sample_5min_hot IS
  'Five-minute rollups that are not yet sealed, one row a bucket. Query perfopt.sample_5min instead.';

CREATE TABLE perfopt.sample_1hour_hot (LIKE perfopt.sample_5min_hot);
CREATE INDEX sample_1hour_hot_ts_idx ON perfopt.sample_1hour_hot (ts);
COMMENT ON TABLE perfopt.sample_1hour_hot IS
  'Hourly rollups that are not yet sealed, one row a bucket. Query perfopt.sample_1hour instead.';

-- A chunk is made to fit four to a page, so that nothing of it is kept out of line.
CREATE TABLE perfopt.sample_chunk (
  first_ts timestamptz NOT NULL,
  last_ts timestamptz NOT NULL,
  series_id int NOT NULL,
  n int NOT NULL,
  data bytea NOT NULL
) PARTITION BY RANGE (first_ts);
ALTER TABLE perfopt.sample_chunk ALTER COLUMN data SET STORAGE EXTERNAL;
CREATE INDEX sample_chunk_series_idx ON perfopt.sample_chunk (series_id);
COMMENT ON TABLE perfopt.sample_chunk IS
  'Sealed raw samples, compressed: n samples of one series from first_ts to last_ts in each row, within one day (UTC). Query perfopt.sample instead.';

CREATE TABLE perfopt.sample_5min_chunk (LIKE perfopt.sample_chunk INCLUDING STORAGE)
  PARTITION BY RANGE (first_ts);
CREATE INDEX sample_5min_chunk_series_idx ON perfopt.sample_5min_chunk (series_id);
COMMENT ON TABLE perfopt.sample_5min_chunk IS
  'Sealed five-minute rollups, compressed. Query perfopt.sample_5min instead.';

CREATE TABLE perfopt.sample_1hour_chunk (LIKE perfopt.sample_chunk INCLUDING STORAGE)
  PARTITION BY RANGE (first_ts);
CREATE INDEX sample_1hour_chunk_series_idx ON perfopt.sample_1hour_chunk (series_id);
COMMENT ON TABLE perfopt.sample_1hour_chunk IS
  'Sealed hourly rollups, compressed. Query perfopt.sample_1hour instead.';

-- Its rows are locks too: whoever moves or replaces samples of a stream holds the stream's row.
CREATE TABLE perfopt.stream (
  name text PRIMARY KEY,
  rolled_until timestamptz
);
INSERT INTO perfopt.stream (name) VALUES ('sample'), ('sample_5min'), ('sample_1hour');
COMMENT ON TABLE perfopt.stream IS
  'The three resolutions in which samples are kept, and the time up to which buckets of the two rollups are complete. Example: SELECT name, now() - rolled_until AS behind FROM perfopt.stream;';

-- Without a unique key: one who adds a row must not find that of another, whose sample is another's.
CREATE TABLE perfopt.rollup_due (
  bucket timestamptz NOT NULL,
  series_id int NOT NULL
);
CREATE INDEX rollup_due_bucket_idx ON perfopt.rollup_due (bucket);
COMMENT ON TABLE perfopt.rollup_due IS
  'Five-minute buckets that a late sample has changed, or may change when its transaction ends; those that were rolled up are done again by the next maintenance. Example: SELECT count(*) FROM perfopt.rollup_due;';

CREATE FUNCTION perfopt.store_handler() RETURNS fdw_handler
LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'perfopt_store_handler';
COMMENT ON FUNCTION perfopt.store_handler() IS
  'Reads samples, sealed and not, for the foreign tables sample, sample_5min and sample_1hour; not to be called. Example: EXPLAIN (ANALYZE) SELECT * FROM perfopt.sample WHERE metric = ''node_load1'';';

CREATE FOREIGN DATA WRAPPER perfopt_store HANDLER perfopt.store_handler;
COMMENT ON FOREIGN DATA WRAPPER perfopt_store IS 'Reads perfopt''s own samples.';
CREATE SERVER perfopt_store FOREIGN DATA WRAPPER perfopt_store;
COMMENT ON SERVER perfopt_store IS 'perfopt''s own samples, behind the foreign tables sample, sample_5min and sample_1hour.';

CREATE FOREIGN TABLE perfopt.sample (
  ts timestamptz NOT NULL,
  dimension text NOT NULL,
  metric text NOT NULL,
  labels jsonb NOT NULL,
  value float8 NOT NULL,
  unit text NOT NULL
) SERVER perfopt_store;
COMMENT ON FOREIGN TABLE perfopt.sample IS
  'Every raw sample, sealed or not, as far back as perfopt.retention_raw. A counter''s value is its increase since the previous sample (none where it was reset). Conditions on ts, metric, dimension, labels and unit reach the chunks, which EXPLAIN (ANALYZE) shows. Example: SELECT ts, value FROM perfopt.sample WHERE metric = ''node_load1'' AND ts > now() - interval ''1 hour'' ORDER BY ts;';

CREATE FOREIGN TABLE perfopt.sample_5min (
  bucket timestamptz NOT NULL,
  dimension text NOT NULL,
  metric text NOT NULL,
  labels jsonb NOT NULL,
  n bigint NOT NULL,
  avg float8 NOT NULL,
  min float8 NOT NULL,
  max float8 NOT NULL,
  sum float8 NOT NULL,
  unit text NOT NULL
) SERVER perfopt_store;
COMMENT ON FOREIGN TABLE perfopt.sample_5min IS
  'Samples rolled up by five minutes, kept for perfopt.retention_5min: number, average, minimum, maximum and sum of the samples with bucket <= ts < bucket + 5 min. Example: SELECT bucket, avg, max FROM perfopt.sample_5min WHERE metric = ''node_load1'' AND bucket > now() - interval ''7 days'' ORDER BY bucket;';

CREATE FOREIGN TABLE perfopt.sample_1hour (
  bucket timestamptz NOT NULL,
  dimension text NOT NULL,
  metric text NOT NULL,
  labels jsonb NOT NULL,
  n bigint NOT NULL,
  avg float8 NOT NULL,
  min float8 NOT NULL,
  max float8 NOT NULL,
  sum float8 NOT NULL,
  unit text NOT NULL
) SERVER perfopt_store;
COMMENT ON FOREIGN TABLE perfopt.sample_1hour IS
  'Samples rolled up by the hour, kept for perfopt.retention_1hour. Example: SELECT bucket, avg FROM perfopt.sample_1hour WHERE metric = ''pg_database_size_bytes'' ORDER BY bucket;';

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
LANGUAGE sql STABLE ROWS 500 SET search_path = pg_catalog, pg_temp SET jit = off
AS $$
  -- Each writer's latest row, by stepping from writer to writer through the index; of what applications
  -- record, one row a sample, the last quarter of an hour.
  WITH RECURSIVE asked AS MATERIALIZED (
    SELECT perfopt.checked_dimension($1) AS dimension
  ), writer AS (
    SELECT min(h.writer) AS name FROM perfopt.sample_hot h
    UNION ALL
    SELECT (SELECT min(h.writer) FROM perfopt.sample_hot h WHERE h.writer > w.name)
    FROM writer w WHERE w.name IS NOT NULL
  ), latest AS (
    SELECT l.ts, l.elapsed_s, v.series_id, v.value
    FROM writer w
    CROSS JOIN LATERAL (
      SELECT h.ts, h.elapsed_s, h.series, h.value FROM perfopt.sample_hot h
      WHERE h.writer = w.name AND h.ts > now() - interval '1 day'
        AND h.ts < now() + interval '1 minute'  -- rather than what was written before the clock was set back
      ORDER BY h.ts DESC LIMIT 1) l
    CROSS JOIN LATERAL unnest(l.series, l.value) AS v (series_id, value)
    WHERE w.name <> 'recorded'
    UNION ALL
    (SELECT DISTINCT ON (h.series) h.ts, h.elapsed_s, h.series[1], h.value[1]
     FROM perfopt.sample_hot h
     WHERE h.writer = 'recorded' AND h.ts > now() - interval '15 minutes'
     ORDER BY h.series, h.ts DESC)
  )
  SELECT l.ts, m.dimension, m.name, s.labels,
         CASE m.kind WHEN 'counter' THEN l.value / nullif(l.elapsed_s, 0) ELSE l.value END,
         CASE m.kind WHEN 'counter' THEN m.unit || '/s' ELSE m.unit END
  FROM asked a
  CROSS JOIN latest l
  JOIN perfopt.series s ON s.series_id = l.series_id
  JOIN perfopt.metric m ON m.metric_id = s.metric_id
  WHERE a.dimension IS NULL OR m.dimension = a.dimension
  ORDER BY m.dimension, m.name, s.labels
$$;
COMMENT ON FUNCTION perfopt.current_metrics(text) IS
  'The latest value of each series, of all dimensions or of one; a counter reads as its rate per second since the sample before (NULL where that is unknown). Example: SELECT metric, labels, value, unit FROM perfopt.current_metrics(''database'');';

CREATE FUNCTION perfopt.metric_history(
  metric text, since interval DEFAULT '1 hour', step interval DEFAULT NULL, labels jsonb DEFAULT '{}')
RETURNS TABLE (bucket timestamptz, labels jsonb, n bigint, avg float8, min float8, max float8, p95 float8)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET jit = off
AS $$
  WITH asked AS MATERIALIZED (
    SELECT m.name, now() - perfopt.checked_positive('since', $2) AS oldest, w.width,
           -- The finest resolution that reaches back far enough, or is no coarser than what was asked for.
           CASE WHEN $2 <= current_setting('perfopt.retention_raw')::interval
                  OR w.width < interval '5 minutes' THEN 'raw'
                WHEN $2 <= current_setting('perfopt.retention_5min')::interval
                  OR w.width < interval '1 hour' THEN '5min'
                ELSE '1hour' END AS resolution
    FROM perfopt.metric m
    CROSS JOIN (SELECT perfopt.checked_positive('step', coalesce($3, greatest($2 / 60, interval '1 second')))) w (width)
    WHERE m.metric_id = perfopt.checked_metric($1)
  ), course AS (
    SELECT s.ts, s.labels, 1::bigint AS n, s.value AS sum, s.value AS min, s.value AS max, s.value AS raw
    FROM perfopt.sample s
    WHERE s.metric = $1 AND s.labels @> $4
      AND s.ts > (SELECT CASE a.resolution WHEN 'raw' THEN a.oldest ELSE 'infinity' END FROM asked a)
    UNION ALL
    SELECT s.bucket, s.labels, s.n, s.sum, s.min, s.max, NULL
    FROM perfopt.sample_5min s
    WHERE s.metric = $1 AND s.labels @> $4
      AND s.bucket > (SELECT CASE a.resolution WHEN '5min' THEN a.oldest ELSE 'infinity' END FROM asked a)
    UNION ALL
    SELECT s.bucket, s.labels, s.n, s.sum, s.min, s.max, NULL
    FROM perfopt.sample_1hour s
    WHERE s.metric = $1 AND s.labels @> $4
      AND s.bucket > (SELECT CASE a.resolution WHEN '1hour' THEN a.oldest ELSE 'infinity' END FROM asked a)
  )
  SELECT date_bin(a.width, c.ts, timestamptz '2000-01-01 00:00:00+00') AS bucket, c.labels, sum(c.n)::bigint,
         sum(c.sum) / sum(c.n), min(c.min), max(c.max),
         percentile_cont(0.95) WITHIN GROUP (ORDER BY c.raw)
  FROM asked a CROSS JOIN course c
  GROUP BY 1, 2
  ORDER BY 1, 2
$$;
COMMENT ON FUNCTION perfopt.metric_history(text, interval, interval, jsonb) IS
  'A metric''s course over the last `since` in steps of `step` (default: a sixtieth of since): number of samples, average, minimum, maximum and 95th percentile a step and series whose labels contain `labels`; of a counter, its increases. Further back than perfopt.retention_raw it comes from rollups, which have no percentile. Example: SELECT * FROM perfopt.metric_history(''node_load1'', ''10 min'', ''1 min'');';

CREATE FUNCTION perfopt.record_metric(
  metric text, value float8, labels jsonb DEFAULT '{}', ts timestamptz DEFAULT now()) RETURNS void
LANGUAGE c STRICT SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'perfopt_record_metric';
COMMENT ON FUNCTION perfopt.record_metric(text, float8, jsonb, timestamptz) IS
  'Records a sample of an application''s own metric; labels are a JSON object of texts. A name that ends in _total is a counter, whose value is what it has grown by. The unit is taken from the name (_seconds, _bytes, _ratio). A sample of a time that there is one of already replaces it; it may be late, but not older than perfopt.retention_raw. Example: SELECT perfopt.record_metric(''shop_queue_length'', 17, ''{"queue": "mail"}'');';

CREATE FUNCTION perfopt.maintain_now() RETURNS int
LANGUAGE c STRICT SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'perfopt_maintain_now';
COMMENT ON FUNCTION perfopt.maintain_now() IS
  'Does at once, and completely, what the collector does by and by: rolls up, seals all samples but the latest of each writer, makes partitions ahead and drops those past their retention. Returns how many were dropped. Example: SELECT perfopt.maintain_now();';
