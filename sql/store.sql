-- The store without its workers: history of a fixed day in the past, written by hand.
SET timezone = 'UTC';

-- Days have partitions of their own, and those past retention go.
-- In one transaction, so that the collector does not do it first.
BEGIN;
CREATE TABLE perfopt.sample_hot_p20200101 (LIKE perfopt.sample_hot INCLUDING DEFAULTS INCLUDING STORAGE);
ALTER TABLE perfopt.sample_hot ATTACH PARTITION perfopt.sample_hot_p20200101
  FOR VALUES FROM ('2020-01-01 00:00:00+00') TO ('2020-01-02 00:00:00+00');
ALTER EXTENSION perfopt ADD TABLE perfopt.sample_hot_p20200101;
INSERT INTO perfopt.metric (name, dimension, kind, unit, help) VALUES
  ('test_requests_total', 'application', 'counter', 'requests', 'Requests served'),
  ('test_queue_length', 'application', 'gauge', 'jobs', 'Jobs that wait');
INSERT INTO perfopt.series (metric_id, labels)
  SELECT metric_id, '{"app": "shop"}' FROM perfopt.metric WHERE name LIKE 'test_%' ORDER BY name;
INSERT INTO perfopt.sample_hot
  SELECT ts, 'collector', 10,
         ARRAY(SELECT series_id FROM perfopt.series JOIN perfopt.metric USING (metric_id)
               WHERE name LIKE 'test_%' ORDER BY name),
         ARRAY[i, 100 * i]
  FROM (VALUES (1, timestamptz '2020-01-01 00:00:10+00'), (2, '2020-01-01 00:00:20+00')) v (i, ts);
SELECT ts, dimension, metric, labels, value, unit FROM perfopt.sample
WHERE ts < '2020-01-02' ORDER BY ts, metric;
SELECT perfopt.maintain_now() AS dropped;
SELECT count(*) FROM perfopt.sample WHERE ts < '2020-01-02';
SELECT perfopt.maintain_now() AS dropped_again;
COMMIT;
SELECT count(*) = 2 * (SELECT count(*) FROM pg_class WHERE relnamespace = 'perfopt'::regnamespace AND relkind = 'p')
  AS two_days_each
FROM pg_inherits WHERE inhparent IN
  (SELECT oid FROM pg_class WHERE relnamespace = 'perfopt'::regnamespace AND relkind = 'p');
-- Partitions are the extension's own, so pg_dump leaves the history out.
SELECT count(*) AS strays FROM pg_inherits i
WHERE i.inhparent IN (SELECT oid FROM pg_class WHERE relnamespace = 'perfopt'::regnamespace AND relkind = 'p')
  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = i.inhrelid
                  AND d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e');

-- The course of a metric, with a counter as its increases.
INSERT INTO perfopt.sample_hot
  SELECT date_trunc('minute', now()) - i * interval '1 minute' + interval '30 s', 'test', 60,
         ARRAY(SELECT series_id FROM perfopt.series JOIN perfopt.metric USING (metric_id)
               WHERE name LIKE 'test_%' ORDER BY name),
         ARRAY[i, 60 * i]
  FROM generate_series(1, 3) i
  WHERE date_trunc('minute', now()) - i * interval '1 minute' >= date_trunc('day', now());
INSERT INTO perfopt.sample_hot
  SELECT now(), 'test', 60,
         ARRAY(SELECT series_id FROM perfopt.series JOIN perfopt.metric USING (metric_id)
               WHERE name LIKE 'test_%' ORDER BY name),
         ARRAY[7, 120];
SELECT labels, sum(n) >= 1 AS sampled, max(max) FROM perfopt.metric_history('test_queue_length', '5 min', '1 min') GROUP BY labels;
SELECT count(*) FROM perfopt.metric_history('test_queue_length', '5 min', '1 min', '{"app": "other"}');
-- A counter reads as a rate: 120 requests in 60 seconds.
SELECT metric, labels, value, unit FROM perfopt.current_metrics('application') WHERE metric LIKE 'test_%';

-- Errors name the thing and say what to do.
SELECT * FROM perfopt.metric_history('no_such_metric');
SELECT * FROM perfopt.metric_history('test_queue_length', '-1 hour');
SELECT * FROM perfopt.metric_history('test_queue_length', '1 hour', '0');
SELECT * FROM perfopt.current_metrics('weather');
\set VERBOSITY terse
INSERT INTO perfopt.metric (name, dimension, kind, unit, help) VALUES ('x', 'weather', 'gauge', 'degrees', '');

DELETE FROM perfopt.sample_hot WHERE writer = 'test';
DELETE FROM perfopt.series WHERE labels = '{"app": "shop"}';
DELETE FROM perfopt.metric WHERE name LIKE 'test_%';
