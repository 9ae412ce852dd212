-- The type histogram: text and binary forms, aggregates, quantiles, errors.
SET search_path = perfopt, public;

-- The text form is readable, is JSON, and comes back as the same bytes.
SELECT histogram(x) FROM unnest('{0, 0.5, 1, 1, 3, 250}'::float8[]) x;
SELECT h::text = h::text::histogram::text AS round_trip, h::text::jsonb ->> 'count' AS count
FROM (SELECT histogram(1000 * abs(sin(g))) AS h FROM generate_series(1, 5000) g) t;
SELECT '{"count": 3, "sum": 4, "min": 0, "max": 3, "zeros": 1, "buckets": {"3": 1, "1.00391": 1}}'::histogram;
SELECT '{"count": 0}'::histogram;
SELECT histogram_send(h), histogram_send(h::text::histogram) = histogram_send(h) AS same_bytes
FROM (SELECT histogram(x) AS h FROM unnest('{0, 1, 3}'::float8[]) x) t;

-- Binary copy goes through send and recv.
CREATE TABLE histogram_copy (h histogram);
INSERT INTO histogram_copy SELECT histogram(g * 0.37) FROM generate_series(1, 10000) g;
\copy histogram_copy to 'results/histogram_copy.bin' (format binary)
\copy histogram_copy from 'results/histogram_copy.bin' (format binary)
SELECT count(*), count(DISTINCT h::text) AS distinct, max(histogram_count(h)) FROM histogram_copy;

-- Quantiles are those of percentile_disc, 0.4 % off at most.
SELECT q, abs(quantile(h, q) / exact - 1) <= 1.0 / 256 AS close
FROM (SELECT histogram(v) AS h, percentile_disc('{0, 0.01, 0.5, 0.9, 0.95, 0.99, 0.999, 1}'::float8[]) WITHIN GROUP (ORDER BY v) AS exacts
      FROM (SELECT exp(hashint4(g) / 4e8) AS v FROM generate_series(1, 20000) g) v) t,
     unnest('{0, 0.01, 0.5, 0.9, 0.95, 0.99, 0.999, 1}'::float8[], exacts) u (q, exact);
SELECT quantile(h, 0) AS min, quantile(h, 1) AS max, quantile(h, '{{0, 1}, {NULL, 0.5}}'::float8[])
FROM (SELECT histogram(g) AS h FROM generate_series(1, 100) g) t;
SELECT quantile('{"count": 0}', 0.5) IS NULL AS "null", quantile('{"count": 0}', '{0.5, 0.9}'::float8[]) AS nulls;

-- The rest of what it knows.
SELECT histogram_count(h), histogram_sum(h), histogram_mean(h), histogram_min(h), histogram_max(h)
FROM (SELECT histogram(g) AS h FROM generate_series(0, 4) g UNION ALL SELECT '{"count": 0}') t;
SELECT b.* FROM histogram_buckets('{"count": 4, "sum": 6, "min": 0, "max": 3, "zeros": 1, "buckets": {"1": 1, "2": 1, "3": 1}}') b;

-- NULLs are left out; nothing at all is NULL.
SELECT histogram_count(histogram(x)) FROM unnest('{1, NULL, 2}'::float8[]) x;
SELECT histogram(x) IS NULL AS "null" FROM unnest('{NULL, NULL}'::float8[]) x;
SELECT merge(h) IS NULL AS "null" FROM histogram_copy WHERE false;

-- Merging equals recording all; of two precisions the coarser remains.
SELECT histogram_send(merge(part)) = (SELECT histogram_send(histogram(g)) FROM generate_series(1, 10000) g) AS same
FROM (SELECT histogram(g) AS part FROM generate_series(1, 10000) g GROUP BY g % 7) t;
SELECT merge(h) FROM (VALUES ('{"count": 1, "sum": 1, "min": 1, "max": 1, "bits": 10, "buckets": {"1": 1}}'::histogram),
                             ('{"count": 1, "sum": 1, "min": 1, "max": 1, "bits": 7, "buckets": {"1": 1}}')) v (h);
SELECT merge(h) FROM (VALUES ('{"count": 0}'::histogram), (NULL)) v (h);

-- In parallel, as a plan and as a result.
CREATE TABLE histogram_values AS SELECT g % 5 AS k, g::float8 AS v FROM generate_series(1, 20000) g;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET max_parallel_workers_per_gather = 2;
EXPLAIN (COSTS OFF) SELECT histogram(v) FROM histogram_values;
SELECT histogram_send(histogram(v)) = (SELECT histogram_send(histogram(g)) FROM generate_series(1, 20000) g) AS same
FROM histogram_values;
SELECT k, quantile(histogram(v), 1) FROM histogram_values GROUP BY k ORDER BY k;
RESET parallel_setup_cost;
RESET parallel_tuple_cost;
RESET min_parallel_table_scan_size;
RESET max_parallel_workers_per_gather;

-- What cannot be recorded, asked or read, says why.
\set SHOW_CONTEXT never
SELECT histogram('NaN'::float8);
SELECT histogram('-Infinity'::float8);
SELECT histogram((-0.001)::float8);
SELECT histogram(x) FROM unnest('{1e308, 1e308}'::float8[]) x;
SELECT quantile('{"count": 0}', 95);
SELECT quantile('{"count": 0}', '{0.5, NaN}'::float8[]);
SELECT 'nonsense'::histogram;
SELECT '[1]'::histogram;
SELECT '{"count": 1, "sum": 1, "min": 1, "max": 1, "buckets": {"1": 2}}'::histogram;
SELECT '{"count": 1, "sum": 1, "min": 1, "max": 1, "buckets": {"-1": 1}}'::histogram;
SELECT '{"count": 1, "sum": 1, "min": 1, "max": 1, "buckets": 1}'::histogram;
SELECT '{"count": -1}'::histogram;
SELECT '{"count": 0, "bits": 3}'::histogram;
SELECT '{"count": 0, "colour": "red"}'::histogram;
SELECT merge(h) FROM (SELECT '{"count": 9223372036854775807, "sum": 0, "min": 0, "max": 0, "zeros": 9223372036854775807}'::histogram AS h
                      FROM generate_series(1, 2)) t;
-- A binary copy whose only value is of a format version that does not exist.
\copy histogram_copy from program 'printf "PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0\0\0\1\0\0\0\4\2\7\0\0\377\377"' (format binary)

DROP TABLE histogram_copy, histogram_values;
RESET search_path;
