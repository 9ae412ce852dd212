-- What people do with histograms: keep them by the hour, merge them, ask for percentiles.
\set QUIET on
\set ON_ERROR_STOP on
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS perfopt;

SELECT plan(12);

-- Latencies in ms with a long tail, by hour.
CREATE TEMP TABLE call AS
  SELECT g % 24 AS hour, exp(3 * (hashint8extended(g, 1) & 65535) / 65536.0 + 4 * ((hashint8extended(g, 2) & 65535) / 65536.0) ^ 8)::float8 AS ms
  FROM generate_series(1, 100000) g;
CREATE TEMP TABLE hourly AS SELECT hour, perfopt.histogram(ms) AS latency FROM call GROUP BY hour;
ANALYZE call;

SELECT cmp_ok(max(abs(perfopt.quantile(latency, 0.95) / exact - 1)), '<=', 0.004::float8, 'p95 of each hour is within 0.4 % of the exact one')
FROM hourly JOIN (SELECT hour, percentile_disc(0.95) WITHIN GROUP (ORDER BY ms) AS exact FROM call GROUP BY hour) e USING (hour);
SELECT cmp_ok(abs(perfopt.quantile(perfopt.merge(latency), 0.99) / (SELECT percentile_disc(0.99) WITHIN GROUP (ORDER BY ms) FROM call) - 1), '<=', 0.004::float8,
  'p99 of the day comes from the hours') FROM hourly;
SELECT is((SELECT array_agg((b.low, b.high, b.count)::text) FROM (SELECT perfopt.merge(latency) AS h FROM hourly) m, perfopt.histogram_buckets(h) b),
          (SELECT array_agg((b.low, b.high, b.count)::text) FROM (SELECT perfopt.histogram(ms) AS h FROM call) m, perfopt.histogram_buckets(h) b),
          'the hours merged are the day recorded');
SELECT is(perfopt.histogram_count(perfopt.merge(latency)), 100000::bigint, 'no value is lost') FROM hourly;
SELECT is(perfopt.histogram_max(perfopt.merge(latency)), (SELECT max(ms) FROM call), 'the maximum is exact') FROM hourly;
SELECT is(perfopt.histogram_min(perfopt.merge(latency)), (SELECT min(ms) FROM call), 'the minimum is exact') FROM hourly;
SELECT cmp_ok(abs(perfopt.histogram_mean(perfopt.merge(latency)) / (SELECT avg(ms) FROM call) - 1), '<', 1e-12::float8, 'the mean is exact') FROM hourly;
SELECT is((SELECT sum(count) FROM hourly, perfopt.histogram_buckets(latency) WHERE hour = 0), (SELECT count(*) FROM call WHERE hour = 0)::numeric,
  'the buckets add up');
SELECT cmp_ok(max(pg_column_size(latency)), '<', 3000, 'an hour''s histogram takes less than 3 kB') FROM hourly;
SELECT ok(latency::text::perfopt.histogram::text = latency::text, 'dump and restore keep it') FROM hourly WHERE hour = 5;
SELECT throws_ok('SELECT perfopt.histogram(-1::float8)', '22003', 'a histogram cannot hold the value -1', 'a negative latency is an error');

-- Twenty thousand groups of a few values each: what all their states take, as the executor counts it.
CREATE FUNCTION pg_temp.aggregate_kb(query text) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
  plan jsonb;
BEGIN
  SET LOCAL work_mem = '1GB';
  SET LOCAL max_parallel_workers_per_gather = 0;
  EXECUTE 'EXPLAIN (ANALYZE, FORMAT json) ' || query INTO plan;
  RETURN (jsonb_path_query_first(plan, 'strict $.**."Peak Memory Usage"'))::int;
END $$;
SELECT cmp_ok(pg_temp.aggregate_kb('SELECT hour + 24 * (ms * 1e6)::bigint % 20000, perfopt.histogram(ms) FROM call GROUP BY 1'), '<', 40000,
  'a group of a few values takes less than 2 kB of memory');

SELECT * FROM finish();
