-- The store without its workers: history of two days ago, written by hand.
SET timezone = 'UTC';
SELECT date_trunc('day', now()) - interval '2 days' AS day \gset

INSERT INTO perfopt.metric (name, dimension, kind, unit, help) VALUES
  ('test_requests_total', 'application', 'counter', 'requests', 'Requests served'),
  ('test_queue_length', 'application', 'gauge', 'jobs', 'Jobs that wait');
INSERT INTO perfopt.series (metric_id, labels)
  SELECT metric_id, '{"app": "shop"}' FROM perfopt.metric WHERE name LIKE 'test_%' ORDER BY name;
CREATE FUNCTION pg_temp.put(ts timestamptz, queue float8, requests float8) RETURNS void LANGUAGE sql AS $$
  INSERT INTO perfopt.sample_hot
    SELECT ts, 'test', 60, array_agg(s.series_id ORDER BY m.name), ARRAY[queue, requests]
    FROM perfopt.series s JOIN perfopt.metric m USING (metric_id) WHERE m.name LIKE 'test_%'
$$;
CREATE FUNCTION pg_temp.explained(query text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
  line text;
BEGIN
  FOR line IN EXECUTE 'EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) ' || query LOOP
    IF line ~ 'Filter|(Series|Chunks) Read' THEN
      RETURN NEXT trim(line);
    END IF;
  END LOOP;
END $$;

-- Sealed and hot samples read alike. In one transaction, so that the collector does not seal them first.
BEGIN;
SELECT pg_temp.put(:'day'::timestamptz + at, queue, requests)
FROM (VALUES (interval '10 s', 1, 100), ('20 s', 2, 200), ('23:59:50', 3, 300), ('1 day', 4, 400)) v (at, queue, requests) \g /dev/null
SELECT pg_temp.put(now(), 7, 120) \g /dev/null
SELECT ts - :'day' AS at, dimension, metric, labels, value, unit FROM perfopt.sample
WHERE ts < :'day'::timestamptz + interval '2 days' AND metric LIKE 'test_%' ORDER BY ts, metric;
CREATE TEMP TABLE hot ON COMMIT DROP AS SELECT * FROM perfopt.sample WHERE metric LIKE 'test_%';
SELECT pg_temp.explained('SELECT * FROM perfopt.sample WHERE metric = ''test_queue_length''');
SELECT perfopt.maintain_now() AS dropped;
-- The latest row stays hot; what is sealed is a chunk a series and day.
SELECT count(*) AS hot_rows FROM perfopt.sample_hot WHERE writer = 'test';
SELECT m.name, first_ts - :'day' AS first, last_ts - :'day' AS last, n
FROM perfopt.sample_chunk c JOIN perfopt.series s USING (series_id) JOIN perfopt.metric m USING (metric_id)
WHERE m.name LIKE 'test_%' ORDER BY 1, 2;
SELECT count(*) AS missing FROM (TABLE hot EXCEPT ALL SELECT * FROM perfopt.sample) x;
SELECT count(*) AS more FROM (SELECT * FROM perfopt.sample WHERE metric LIKE 'test_%' EXCEPT ALL TABLE hot) x;

-- Conditions reach the chunks: constants, parameters of prepared statements, expressions, lists, labels, joins.
PREPARE one(text, timestamptz, timestamptz) AS
  SELECT ts - :'day' AS at, value FROM perfopt.sample WHERE metric = $1 AND ts >= $2 AND ts < $3 ORDER BY ts;
EXECUTE one('test_queue_length', :'day', :'day'::timestamptz + interval '1 day');
SET LOCAL plan_cache_mode = force_generic_plan;
EXECUTE one('test_requests_total', :'day'::timestamptz + interval '1 day', :'day'::timestamptz + interval '2 days');
SELECT pg_temp.explained(format('EXECUTE one(''test_queue_length'', %L, %L)', :'day', :'day'::timestamptz + interval '1 day'));
EXECUTE one('test_queue_length', NULL, 'infinity');
SELECT pg_temp.explained('SELECT * FROM perfopt.sample WHERE metric IN (''test_queue_length'', ''test_requests_total'') AND labels->>''app'' = ''shop'' AND dimension = ''application'' AND unit = ''jobs''');
SELECT pg_temp.explained('SELECT * FROM perfopt.sample WHERE metric = ''test_queue_length'' AND value > 2 AND ts > ''-infinity''');
SELECT count(*) FROM perfopt.sample WHERE metric = 'test_queue_length' AND ts::date = (:'day'::timestamptz)::date;
SELECT count(*) FROM perfopt.sample WHERE metric = 'test_queue_length' AND ts >= (:'day'::timestamptz)::date AND ts < (:'day'::timestamptz)::timestamp + interval '1 day';
SELECT count(*) FROM perfopt.sample WHERE metric = 'test_queue_length' AND ts = :'day'::timestamptz + interval '20 s';
SELECT m.name, count(s.ts) FROM (VALUES ('test_queue_length'), ('no_such')) m (name)
LEFT JOIN LATERAL (SELECT s.ts FROM perfopt.sample s WHERE s.metric = m.name LIMIT 3) s ON true GROUP BY 1 ORDER BY 1;
-- What a view hides is not shown to a function that tells what it is asked.
CREATE FUNCTION pg_temp.tell(text) RETURNS boolean LANGUAGE plpgsql COST 0.001 AS $$
BEGIN
  RAISE NOTICE 'asked about %', $1;
  RETURN true;
END $$;
CREATE TEMP VIEW shown WITH (security_barrier) AS
  SELECT metric FROM perfopt.sample WHERE metric LIKE 'test_q%' AND value > 60;
SELECT count(*) FROM shown WHERE pg_temp.tell(metric);
-- A scan can be begun again, and go on in a cursor.
SELECT d.n, (SELECT count(*) FROM perfopt.sample s WHERE s.metric = 'test_queue_length' AND s.ts < :'day'::timestamptz + d.n * interval '1 day')
FROM generate_series(1, 2) d (n);
DECLARE c CURSOR FOR SELECT value FROM perfopt.sample WHERE metric = 'test_queue_length' AND ts < :'day'::timestamptz + interval '2 days';
FETCH 2 FROM c;
MOVE 1 FROM c;
FETCH 2 FROM c;
-- What is begun in a subtransaction lives as long as the cursor does; one that is half read can be closed.
SAVEPOINT s;
DECLARE d CURSOR WITHOUT HOLD FOR SELECT value FROM perfopt.sample WHERE metric = 'test_queue_length';
DECLARE h CURSOR WITH HOLD FOR SELECT value FROM perfopt.sample WHERE metric = 'test_queue_length' AND ts < :'day'::timestamptz + interval '2 days';
RELEASE s;
SAVEPOINT s;
FETCH 1 FROM d;
FETCH 1 FROM h;
ROLLBACK TO s;
CLOSE d;
DECLARE d CURSOR FOR SELECT value FROM perfopt.sample WHERE metric = 'test_queue_length';
FETCH 1 FROM d;

-- What a subquery takes from beside it is not a sample's.
SELECT e.ts, x.beside, x.value FROM (VALUES (1, 'a'), (2, 'b')) e (ts, name)
LEFT JOIN LATERAL (SELECT s.value, CASE WHEN e.ts > 0 THEN e.ts END AS beside FROM perfopt.sample s
  WHERE s.metric = 'test_queue_length' AND s.ts = :'day'::timestamptz + interval '20 s') x ON true ORDER BY 1;

-- Rollups: what a bucket has does not depend on anybody's time zone.
SELECT bucket - :'day' AS at, n, avg, min, max, sum, unit FROM perfopt.sample_5min
WHERE metric = 'test_requests_total' ORDER BY bucket;
SET LOCAL timezone = 'Asia/Kathmandu';
SELECT bucket - :'day' AS at, n, avg, min, max, sum, unit FROM perfopt.sample_1hour
WHERE metric = 'test_requests_total' ORDER BY bucket;
COMMIT;
FETCH 2 FROM h;
CLOSE h;

-- What applications record; a sample of the same time replaces the former, be it hot or sealed.
BEGIN;
SELECT perfopt.record_metric('test_shop_seconds', v, '{"shop": "north"}', :'day'::timestamptz + at)
FROM (VALUES (1, interval '10 min'), (2, '11 min'), (2.5, '11 min'), (9, '2 days')) x (v, at) \g /dev/null
SELECT ts - :'day' AS at, value, unit FROM perfopt.sample WHERE metric = 'test_shop_seconds' ORDER BY ts;
SELECT perfopt.maintain_now() \g /dev/null
SELECT perfopt.record_metric('test_shop_seconds', v, '{"shop": "north"}', :'day'::timestamptz + at)
FROM (VALUES (3, interval '11 min'), (4, '10 min 30 s')) x (v, at) \g /dev/null
SELECT ts - :'day' AS at, value, unit FROM perfopt.sample WHERE metric = 'test_shop_seconds' ORDER BY ts;
SELECT bucket - :'day' AS at, n, sum FROM perfopt.sample_5min WHERE metric = 'test_shop_seconds' ORDER BY bucket;
SELECT perfopt.maintain_now() \g /dev/null
SELECT ts - :'day' AS at, value, unit FROM perfopt.sample WHERE metric = 'test_shop_seconds' ORDER BY ts;
SELECT bucket - :'day' AS at, n, sum FROM perfopt.sample_5min WHERE metric = 'test_shop_seconds' ORDER BY bucket;
SELECT bucket - :'day' AS at, n, sum FROM perfopt.sample_1hour WHERE metric = 'test_shop_seconds' ORDER BY bucket;
COMMIT;

-- The course of a metric, with a counter as its increases, and the present.
SELECT labels, sum(n) AS n, max(max) FROM perfopt.metric_history('test_queue_length', '5 days', '1 day') GROUP BY labels;
SELECT labels, sum(n) AS n, max(max), max(p95) AS p95 FROM perfopt.metric_history('test_queue_length', '30 days', '1 day') GROUP BY labels;
SELECT count(*) FROM perfopt.metric_history('test_queue_length', '5 days', '1 day', '{"app": "other"}');
-- A counter reads as a rate: 120 requests in 60 seconds.
SELECT metric, labels, value, unit FROM perfopt.current_metrics('application') WHERE metric LIKE 'test_%';

-- Chunks that cannot be read are named, whatever is wrong with them.
BEGIN;
CREATE FUNCTION pg_temp.read_damaged() RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  PERFORM count(*) FROM perfopt.sample WHERE metric = 'test_queue_length';
  RETURN 'nothing noticed';
EXCEPTION WHEN data_corrupted THEN
  RETURN regexp_replace(SQLERRM, 'series \d+ that begins at .* in', 'series N that begins at T in');
END $$;
CREATE FUNCTION pg_temp.damaged(damage text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  result text;
BEGIN
  EXECUTE 'UPDATE perfopt.sample_chunk SET ' || damage || ' WHERE series_id =
    (SELECT min(series_id) FROM perfopt.series JOIN perfopt.metric USING (metric_id) WHERE name = ''test_queue_length'')';
  result := pg_temp.read_damaged();
  RAISE EXCEPTION USING MESSAGE = result, ERRCODE = 'P0099';
EXCEPTION WHEN SQLSTATE 'P0099' THEN
  RETURN SQLERRM;
END $$;
SELECT damage, pg_temp.damaged(damage) FROM (VALUES ('data = ''\x'''), ('data = ''\x00'''),
  ('data = set_byte(data, length(data) - 1, get_byte(data, length(data) - 1) # 1)'),
  ('data = substr(data, 1, length(data) - 2)'), ('n = n + 1'), ('n = 2147483647'), ('n = -1')) v (damage);
ROLLBACK;

-- Partitions are the extension's own, so pg_dump leaves the history out.
SELECT count(*) AS strays FROM pg_inherits i
WHERE i.inhparent IN (SELECT oid FROM pg_class WHERE relnamespace = 'perfopt'::regnamespace AND relkind = 'p')
  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = i.inhrelid
                  AND d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e');
-- Those past retention go, as a whole.
BEGIN;
SELECT pg_temp.put('2020-01-01 00:00:10', 1, 100) \g /dev/null
SELECT perfopt.maintain_now() AS dropped;
SELECT count(*) FROM perfopt.sample WHERE ts < '2020-01-02';
SELECT perfopt.maintain_now() AS dropped_again;
COMMIT;

-- Errors name the thing and say what to do.
SELECT * FROM perfopt.metric_history('no_such_metric');
SELECT * FROM perfopt.metric_history('test_queue_length', '-1 hour');
SELECT * FROM perfopt.metric_history('test_queue_length', '1 hour', '0');
SELECT * FROM perfopt.current_metrics('weather');
SELECT perfopt.record_metric('test queue', 1);
SELECT perfopt.record_metric('', 1);
SELECT perfopt.record_metric('test_queue_length', 1);
SELECT perfopt.record_metric('test_shop_seconds', 'NaN');
SELECT perfopt.record_metric('test_shop_total', -1);
SELECT perfopt.record_metric('test_shop_seconds', 1, '{"shop": 7}');
SELECT perfopt.record_metric('test_shop_seconds', 1, '["shop"]');
SELECT perfopt.record_metric('test_shop_seconds', 1, jsonb_build_object('shop', repeat('x', 1000)));
SELECT perfopt.record_metric('test_shop_seconds', 1, '{}', '2001-01-01');
SELECT perfopt.record_metric('test_shop_seconds', 1, '{}', 'infinity');
CREATE FOREIGN TABLE stray (ts timestamptz) SERVER perfopt_store;
SELECT * FROM stray;
DROP FOREIGN TABLE stray;
\set VERBOSITY terse
INSERT INTO perfopt.metric (name, dimension, kind, unit, help) VALUES ('x', 'weather', 'gauge', 'degrees', '');

DELETE FROM perfopt.sample_hot WHERE writer IN ('test', 'recorded');
DELETE FROM perfopt.series USING perfopt.metric m WHERE m.metric_id = series.metric_id AND m.name LIKE 'test_%';
DELETE FROM perfopt.metric WHERE name LIKE 'test_%';
