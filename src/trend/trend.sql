-- Trends: forecasts, anomalies, change points and capacity, of plain arrays and of what the store has.

CREATE FUNCTION perfopt.forecast_values(
  v float8[], horizon int, season int[] DEFAULT NULL, level float8 DEFAULT 0.95, minimum float8 DEFAULT NULL, maximum float8 DEFAULT NULL,
  OUT step int, OUT value float8, OUT lower float8, OUT upper float8)
RETURNS SETOF record
LANGUAGE c IMMUTABLE PARALLEL SAFE ROWS 48 AS 'MODULE_PATHNAME', 'perfopt_forecast_values';
COMMENT ON FUNCTION perfopt.forecast_values(float8[], int, int[], float8, float8, float8) IS
  'Forecasts the next `horizon` values of an evenly spaced series (NULL elements are gaps) with an interval that holds `level` of them (default 0.95). Methods (autoregression, smoothing, decomposition, Theta, medians) are tried on earlier moments and combined by their error there; the interval is made of those errors. season: periods in values, ascending; NULL (default) finds them, ''{}'' is none. minimum and maximum bound the values (0 for counts, 0 and 1 for ratios). Example: SELECT * FROM perfopt.forecast_values(ARRAY(SELECT 10 + 5 * sin(g * pi() / 12) FROM generate_series(1, 240) g), 24);';

CREATE FUNCTION perfopt.anomaly_scores(v float8[], season int[] DEFAULT NULL) RETURNS float8[]
LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'perfopt_anomaly_values';
COMMENT ON FUNCTION perfopt.anomaly_scores(float8[], int[]) IS
  'How unusual each value is beside those before it, from 0 to 1: 0.5 and more is an anomaly (spike, shift of level, flat line, change of variance). Causal: later values change nothing. season: the periods in values that it learns, a day and a week, say (up to two; NULL or ''{}'': none). Example: SELECT perfopt.anomaly_scores(array_cat(array_fill(5::float8, ARRAY[200]), ''{50}''));';

CREATE FUNCTION perfopt.anomaly_scan(
  v float8[], season int[] DEFAULT NULL, OUT index int, OUT value float8, OUT expected float8, OUT score float8, OUT kind text)
RETURNS SETOF record
LANGUAGE c IMMUTABLE PARALLEL SAFE ROWS 10 AS 'MODULE_PATHNAME', 'perfopt_anomaly_scan';
COMMENT ON FUNCTION perfopt.anomaly_scan(float8[], int[]) IS
  'The anomalies of an array: 1-based index, value, what was expected there, score and kind (spike, level, spread, flat). Example: SELECT * FROM perfopt.anomaly_scan(array_cat(array_fill(5::float8, ARRAY[200]), ''{50}''));';

CREATE FUNCTION perfopt.change_points(
  v float8[], significance float8 DEFAULT 0.01,
  OUT index int, OUT before_mean float8, OUT after_mean float8, OUT p_value float8, OUT effect float8)
RETURNS SETOF record
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE ROWS 5 AS 'MODULE_PATHNAME', 'perfopt_change_points';
COMMENT ON FUNCTION perfopt.change_points(float8[], float8) IS
  'Where the level of a series changed for good: index is the 1-based position of the first value after the change, before_mean and after_mean are those of the stretches on both sides, effect is the distance of their medians in spreads. significance (default 0.01) is the share of unchanged series in which a change is found. NULL elements are skipped. Example: SELECT * FROM perfopt.change_points(ARRAY(SELECT random() + CASE WHEN g > 50 THEN 3 ELSE 0 END FROM generate_series(1, 100) g));';

CREATE FUNCTION perfopt.trend_values(
  v float8[], level float8 DEFAULT 0.95,
  OUT n int, OUT first float8, OUT last float8, OUT slope float8, OUT slope_low float8, OUT slope_high float8, OUT p_value float8,
  OUT season int, OUT seasonality float8)
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'perfopt_trend_values';
COMMENT ON FUNCTION perfopt.trend_values(float8[], float8) IS
  'The line through an evenly spaced series by Theil and Sen: its first and last value, slope a step with its interval (level, default 0.95), the p-value of there being no trend (Mann and Kendall, corrected for autocorrelation), the strongest season in steps and its strength (0 to 1). Example: SELECT * FROM perfopt.trend_values(ARRAY(SELECT g + random() FROM generate_series(1, 100) g));';

CREATE FUNCTION perfopt.capacity_values(
  v float8[], step_s float8, capacity float8, horizon_s float8,
  OUT current float8, OUT forecast float8, OUT lower float8, OUT upper float8, OUT exhausted_s float8, OUT earliest_s float8, OUT span_s float8)
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'perfopt_capacity_values';
COMMENT ON FUNCTION perfopt.capacity_values(float8[], float8, float8, float8) IS
  'Where the line through a series with a value each step_s seconds stands now and in horizon_s seconds, with bounds from the interval of its slope, and after how many seconds it reaches `capacity` (NULL: not within the horizon, or not significantly). Nothing is claimed from less than a day. Example: SELECT * FROM perfopt.capacity_values(ARRAY(SELECT g + random() FROM generate_series(1, 100) g), 3600, 200, 864000);';

CREATE FUNCTION perfopt.spread_values(places int[], v float8[], n int) RETURNS float8[]
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'perfopt_spread_values';
COMMENT ON FUNCTION perfopt.spread_values(int[], float8[], int) IS
  'An array of n elements that has v[i] at place places[i], counted from 0, and NULL elsewhere. Example: SELECT perfopt.spread_values(''{0,2}'', ''{1.5,2.5}'', 4);';

CREATE FUNCTION perfopt.regular_series(metric text, since interval, labels jsonb DEFAULT '{}', coarse boolean DEFAULT false)
RETURNS TABLE (labels jsonb, first_ts timestamptz, step interval, v float8[])
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET jit = off
AS $$
  WITH asked AS MATERIALIZED (
    SELECT m.kind, now() - perfopt.checked_positive('since', $2) AS oldest,
           CASE WHEN $2 <= interval '2 days' AND $2 <= current_setting('perfopt.retention_raw')::interval AND NOT $4 THEN 'raw'
                WHEN $2 <= current_setting('perfopt.retention_5min')::interval AND NOT $4 THEN '5min'
                ELSE '1hour' END AS resolution
    FROM perfopt.metric m
    WHERE m.metric_id = perfopt.checked_metric($1)
  ), course AS MATERIALIZED (
    SELECT s.labels, s.ts, 1::bigint AS n, s.value AS sum
    FROM perfopt.sample s
    WHERE s.metric = $1 AND s.labels @> $3
      AND s.ts > (SELECT CASE a.resolution WHEN 'raw' THEN a.oldest ELSE 'infinity' END FROM asked a)
    UNION ALL
    SELECT s.labels, s.bucket, s.n, s.sum
    FROM perfopt.sample_5min s
    WHERE s.metric = $1 AND s.labels @> $3
      AND s.bucket > (SELECT CASE a.resolution WHEN '5min' THEN a.oldest ELSE 'infinity' END FROM asked a)
    UNION ALL
    SELECT s.labels, s.bucket, s.n, s.sum
    FROM perfopt.sample_1hour s
    WHERE s.metric = $1 AND s.labels @> $3
      AND s.bucket > (SELECT CASE a.resolution WHEN '1hour' THEN a.oldest ELSE 'infinity' END FROM asked a)
  ), extent AS (
    SELECT c.labels, min(c.ts) AS first_ts, extract(epoch FROM max(c.ts) - min(c.ts)) AS span_s, count(*) AS n,
           percentile_disc(0.5) WITHIN GROUP (ORDER BY c.n) AS usual_n
    FROM course c GROUP BY c.labels
  ), grid AS (
    -- Raw samples come at a source's own pace, a multiple of the collector's; steps are at least so long.
    SELECT e.labels, e.first_ts, e.span_s, a.kind,
           CASE a.resolution WHEN '5min' THEN 300 WHEN '1hour' THEN 3600
                ELSE i.s * greatest(round(e.span_s / greatest(e.n - 1, 1) / i.s), 1) END AS step_s,
           CASE a.resolution WHEN '5min' THEN 300.0 / e.usual_n WHEN '1hour' THEN 3600.0 / e.usual_n
                ELSE e.span_s / greatest(e.n - 1, 1) END AS gap_s
    FROM extent e CROSS JOIN asked a
    CROSS JOIN (SELECT extract(epoch FROM current_setting('perfopt.collect_interval')::interval) AS s) i
  ), bin AS (
    SELECT c.labels, round(extract(epoch FROM c.ts - g.first_ts) / g.step_s)::int AS place,
           sum(c.sum) / sum(c.n) / CASE g.kind WHEN 'counter' THEN nullif(g.gap_s, 0) ELSE 1 END AS value
    FROM course c JOIN grid g ON g.labels = c.labels
    GROUP BY 1, 2, g.kind, g.gap_s
  )
  SELECT g.labels, g.first_ts, make_interval(secs => g.step_s::float8),
         perfopt.spread_values(array_agg(b.place), array_agg(b.value::float8), (round(g.span_s / g.step_s) + 1)::int)
  FROM grid g JOIN bin b ON b.labels = g.labels
  GROUP BY g.labels, g.first_ts, g.step_s, g.span_s
  ORDER BY g.labels
$$;
COMMENT ON FUNCTION perfopt.regular_series(text, interval, jsonb, boolean) IS
  'Each series of a metric as an array with a value a step, NULL where there was no sample: raw samples up to 2 days back, five-minute averages up to perfopt.retention_5min, else (or if coarse) by the hour; a counter as its rate per second. Example: SELECT labels, step, cardinality(v) FROM perfopt.regular_series(''node_load1'', ''1 day'');';

CREATE FUNCTION perfopt.trend(metric text, since interval DEFAULT '30 days', labels jsonb DEFAULT '{}')
RETURNS TABLE (labels jsonb, n int, first float8, last float8, slope_per_day float8, slope_low float8, slope_high float8,
               change_pct float8, direction text, seasonality float8, season interval, p_value float8)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET jit = off
AS $$
  SELECT r.labels, t.n, t.first, t.last, t.slope * d.steps, t.slope_low * d.steps, t.slope_high * d.steps,
         round((100 * (t.last - t.first) / nullif(abs(t.first), 0))::numeric, 1)::float8,
         CASE WHEN t.p_value < 0.05 THEN CASE WHEN t.slope > 0 THEN 'up' WHEN t.slope < 0 THEN 'down' ELSE 'none' END
              WHEN t.p_value IS NOT NULL THEN 'none' END,
         t.seasonality, t.season * r.step, t.p_value
  FROM perfopt.regular_series($1, $2, $3) r
  CROSS JOIN LATERAL (SELECT extract(epoch FROM interval '1 day') / extract(epoch FROM r.step)) AS d (steps)
  CROSS JOIN LATERAL perfopt.trend_values(r.v) t
  ORDER BY t.p_value, r.labels
$$;
COMMENT ON FUNCTION perfopt.trend(text, interval, jsonb) IS
  'Whether each series of a metric rises or falls over the last `since` (default 30 days): the line''s first and last value and its slope a day with the 95 % interval, in the metric''s unit (a counter''s per second); change_pct between them; direction up, down or none (p_value from 0.05), NULL with fewer than 10 values; seasonality: strength of the strongest season (0 to 1), whose length is season. Example: SELECT labels, slope_per_day, direction, season FROM perfopt.trend(''pg_database_size_bytes'');';

-- The one series that is meant, or an error that lists them.
CREATE FUNCTION perfopt.single_series(
  metric text, since interval, labels jsonb, coarse boolean, OUT first_ts timestamptz, OUT step interval, OUT v float8[])
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  found int;
  examples text;
BEGIN
  SELECT count(*), string_agg(r.labels::text, ', ') FILTER (WHERE r.n <= 5), min(r.first_ts), min(r.step),
         (array_agg(r.v::text))[1]::float8[]
    INTO found, examples, first_ts, step, v
    FROM (SELECT s.*, row_number() OVER (ORDER BY s.labels) AS n FROM perfopt.regular_series($1, $2, $3, $4) s) r;
  IF found = 0 THEN
    RAISE EXCEPTION 'metric "%" has no samples within %', $1, $2 USING ERRCODE = 'no_data_found',
      HINT = 'Look at perfopt.current_metrics() for what is collected, or go back further with since.';
  END IF;
  IF found > 1 THEN
    RAISE EXCEPTION 'metric "%" has % series, and a forecast is of one', $1, found USING ERRCODE = 'ambiguous_parameter',
      DETAIL = 'Their labels are ' || examples || CASE WHEN found > 5 THEN ' ...' ELSE '' END || '.',
      HINT = 'Choose one with labels => ''{...}''.';
  END IF;
END $$;
COMMENT ON FUNCTION perfopt.single_series(text, interval, jsonb, boolean) IS
  'The only series of a metric with these labels as an array, or an error that lists what there is. Example: SELECT step, cardinality(v) FROM perfopt.single_series(''node_load1'', ''1 day'', ''{}'', false);';

CREATE FUNCTION perfopt.forecast(metric text, horizon interval, since interval DEFAULT '30 days', labels jsonb DEFAULT '{}')
RETURNS TABLE (ts timestamptz, value float8, lower float8, upper float8)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
  series record;
  steps int;
  known record;
  span interval;
BEGIN
  PERFORM perfopt.checked_positive('horizon', $2);
  SELECT m.kind, m.unit INTO known FROM perfopt.metric m WHERE m.metric_id = perfopt.checked_metric($1);
  -- As fine as is of use so far ahead.
  SELECT s.* INTO series FROM perfopt.single_series($1, $3, $4, $2 > interval '7 days') s;
  steps := ceil(extract(epoch FROM $2) / extract(epoch FROM series.step));
  span := series.step * cardinality(series.v);
  IF $2 > 2 * span THEN
    RAISE NOTICE 'the forecast goes % ahead, and % of samples is known', $2, span USING HINT = 'Its interval is a guess there.';
  END IF;
  RETURN QUERY
    SELECT series.first_ts + (cardinality(series.v) - 1 + f.step) * series.step, f.value, f.lower, f.upper
    FROM perfopt.forecast_values(
      series.v, steps, NULL, 0.95,
      CASE WHEN known.kind = 'counter' OR (SELECT min(x) FROM unnest(series.v) x) >= 0 THEN 0 END,
      CASE WHEN known.unit = 'ratio' AND (SELECT max(x) FROM unnest(series.v) x) <= 1 THEN 1 END) f;
END $$;
COMMENT ON FUNCTION perfopt.forecast(text, interval, interval, jsonb) IS
  'What a metric will be over the next `horizon`, from what it was over the last `since` (default 30 days), with 95 % intervals; a counter as its rate per second. Of one series: choose it by labels. Never below 0 where it never was, a ratio never above 1. Example: SELECT * FROM perfopt.forecast(''node_load1'', ''1 day'', ''14 days'');';

CREATE FUNCTION perfopt.anomalies(metric text, since interval DEFAULT '1 day', labels jsonb DEFAULT '{}')
RETURNS TABLE (ts timestamptz, labels jsonb, value float8, expected float8, score float8, kind text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET jit = off
AS $$
  -- It learns what is usual from as long again before, and a day at least.
  SELECT r.first_ts + (a.index - 1) * r.step, r.labels, a.value, a.expected, round(a.score::numeric, 3)::float8, a.kind
  FROM perfopt.regular_series($1, greatest(2 * $2, $2 + interval '1 day'), $3) r
  CROSS JOIN LATERAL (SELECT (extract(epoch FROM interval '1 day') / extract(epoch FROM r.step))::int) AS d (season)
  CROSS JOIN LATERAL perfopt.anomaly_scan(
    r.v, CASE WHEN d.season > 1 AND cardinality(r.v) >= 14 * d.season THEN ARRAY[d.season, 7 * d.season]
              WHEN d.season > 1 AND cardinality(r.v) >= 2 * d.season THEN ARRAY[d.season] ELSE '{}' END) a
  WHERE r.first_ts + (a.index - 1) * r.step > now() - $2
  ORDER BY 1, 2
$$;
COMMENT ON FUNCTION perfopt.anomalies(text, interval, jsonb) IS
  'What was unusual in each series of a metric over the last `since` (default 1 day), beside what came before: score 0.5 to 1; kind is spike, level, spread or flat. Daily patterns are known after two days. Example: SELECT ts, labels, value, expected, kind FROM perfopt.anomalies(''pg_active_sessions'');';

CREATE FUNCTION perfopt.performance_history(scenario text, metric text DEFAULT 'p95_ms', operation text DEFAULT 'total')
RETURNS TABLE (run_id bigint, started_at timestamptz, value float8, is_change boolean, before_mean float8, after_mean float8, p_value float8)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
  IF $2 NOT IN ('throughput', 'mean_ms', 'p50_ms', 'p90_ms', 'p95_ms', 'p99_ms', 'max_ms') THEN
    RAISE EXCEPTION 'figure "%" does not exist', $2 USING ERRCODE = 'invalid_parameter_value',
      HINT = 'Figures are throughput, mean_ms, p50_ms, p90_ms, p95_ms, p99_ms and max_ms.';
  END IF;
  RETURN QUERY
    WITH run AS (
      SELECT r.run_id, r.started_at, (to_jsonb(o) ->> $2)::float8 AS value, row_number() OVER (ORDER BY r.run_id) AS n
      FROM perfopt.test_run r
      JOIN perfopt.test_operation o ON o.run_id = r.run_id AND o.operation = $3
      WHERE r.scenario = $1 AND r.state = 'finished' AND r.verdict IS DISTINCT FROM 'invalid'
    ), change AS (
      SELECT c.* FROM perfopt.change_points((SELECT coalesce(array_agg(r.value ORDER BY r.n), '{}') FROM run r)) c
    )
    SELECT r.run_id, r.started_at, r.value, c.index IS NOT NULL, c.before_mean, c.after_mean, c.p_value
    FROM run r LEFT JOIN change c ON c.index = r.n
    ORDER BY r.run_id;
END $$;
COMMENT ON FUNCTION perfopt.performance_history(text, text, text) IS
  'A figure (throughput, mean_ms, p50_ms ... max_ms) of all finished tests of a scenario, and where its level changed for good: is_change marks the first test after a change, with the means on both sides. It takes 16 tests or more. Example: SELECT * FROM perfopt.performance_history(''pgbench'', ''p95_ms'') WHERE is_change;';
