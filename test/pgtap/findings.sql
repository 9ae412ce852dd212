-- Findings about indexes as they are now: duplicates, those that are not valid, those that nobody uses; and
-- that the advice cures each and can be undone.
\set QUIET on
\set ON_ERROR_STOP on
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS perfopt;

CREATE SCHEMA findings_shop;
CREATE TABLE findings_shop.orders (id int PRIMARY KEY, customer int NOT NULL, "Day" date, note text, UNIQUE (customer, "Day"));
INSERT INTO findings_shop.orders SELECT g, g, '2026-01-01', 'note ' || g FROM generate_series(1, 1000) g;
-- Not alike: another order, condition, collation, method, more columns.
CREATE INDEX a_customer ON findings_shop.orders (customer);
CREATE INDEX a_desc ON findings_shop.orders (customer DESC);
CREATE INDEX a_partial ON findings_shop.orders (customer) WHERE note IS NOT NULL;
CREATE INDEX a_hash ON findings_shop.orders USING hash (customer);
CREATE INDEX a_include ON findings_shop.orders (customer) INCLUDE (note);
CREATE INDEX a_note ON findings_shop.orders (note);
CREATE INDEX a_collated ON findings_shop.orders (note COLLATE "C");
CREATE INDEX a_upper ON findings_shop.orders (upper(note));

CREATE FUNCTION pg_temp.found(finding text) RETURNS SETOF text LANGUAGE sql AS $$
  SELECT b.entity FROM perfopt.bottlenecks('1 min') b WHERE b.finding = $1 AND b.entity LIKE 'findings\_shop.%' ORDER BY 1
$$;

SELECT plan(19);

SELECT is_empty('SELECT pg_temp.found(''duplicate_index'')', 'indexes that differ in anything are no duplicates');
CREATE INDEX "B customer" ON findings_shop.orders (customer);
CREATE INDEX b_partial ON findings_shop.orders (customer) WHERE   note IS NOT NULL;
CREATE INDEX b_expression ON findings_shop.orders (lower(note));
CREATE INDEX c_expression ON findings_shop.orders ( lower(note) );
CREATE INDEX b_id ON findings_shop.orders (id);
CREATE UNIQUE INDEX b_unique ON findings_shop.orders (customer, "Day");
SELECT results_eq('SELECT pg_temp.found(''duplicate_index'')',
  $$VALUES ('findings_shop."B customer"'), ('findings_shop.b_id'), ('findings_shop.b_partial'), ('findings_shop.b_unique'), ('findings_shop.c_expression')$$,
  'the later one of two alike is a duplicate, and one beside a constraint''s index; that never');
SELECT is(severity, 'info', 'a small one is only worth knowing') FROM perfopt.bottlenecks('1 min') WHERE entity = 'findings_shop.b_id';
SELECT is(evidence->>'same_as', 'findings_shop.orders_pkey', 'and which it is like') FROM perfopt.bottlenecks('1 min') WHERE entity = 'findings_shop.b_id';
UPDATE perfopt.finding_setting SET value = 0 WHERE finding = 'duplicate_index';
SELECT is(severity, 'warning', 'by a limit that can be changed') FROM perfopt.bottlenecks('1 min') WHERE entity = 'findings_shop.b_id';
SELECT alike(lineage, format('%%(set by %s; default 10, %%', current_user), 'which the lineage says') FROM perfopt.bottlenecks('1 min') WHERE entity = 'findings_shop.b_id';
UPDATE perfopt.finding_setting SET value = default_value WHERE finding = 'duplicate_index';
SELECT is_empty('SELECT FROM perfopt.bottlenecks(''1 min'', now() - interval ''1 hour'') WHERE finding = ''duplicate_index''', 'what is there now is not said of an hour ago');

SELECT perfopt.analyze('1 min') AS analysis_id \gset
SELECT action_sql, revert_sql FROM perfopt.recommendations(:analysis_id) WHERE finding = 'duplicate_index' AND entity = 'findings_shop."B customer"' \gset
SELECT is(:'action_sql'::text, 'DROP INDEX CONCURRENTLY findings_shop."B customer";', 'the duplicate is dropped');
:action_sql
SELECT is_empty('SELECT 1 FROM pg_temp.found(''duplicate_index'') f WHERE f LIKE ''%customer%''', 'which cures it');
:revert_sql
SELECT isnt_empty('SELECT 1 FROM pg_temp.found(''duplicate_index'') f WHERE f LIKE ''%customer%''', 'and can be undone');

-- One that could not be built.
SELECT is_empty('SELECT pg_temp.found(''invalid_index'')', 'all are valid');
INSERT INTO findings_shop.orders VALUES (1001, 1001, '2026-01-02', 'note 1');
\set ON_ERROR_STOP off
\set VERBOSITY sqlstate
CREATE UNIQUE INDEX CONCURRENTLY broken ON findings_shop.orders (note);
\set VERBOSITY default
\set ON_ERROR_STOP on
SELECT results_eq('SELECT pg_temp.found(''invalid_index'')', $$VALUES ('findings_shop.broken')$$, 'what CREATE INDEX CONCURRENTLY leaves is found');
DELETE FROM findings_shop.orders WHERE id = 1001;
SELECT action_sql FROM perfopt.recommendations(perfopt.analyze('1 min')) WHERE finding = 'invalid_index' \gset
SELECT is(:'action_sql'::text, 'REINDEX INDEX CONCURRENTLY findings_shop.broken;', 'it is built again');
:action_sql
SELECT is_empty('SELECT pg_temp.found(''invalid_index'')', 'which cures it');

-- Not scanned: as watched for the time that it takes, which is made short here.
UPDATE perfopt.finding_setting SET value = CASE name WHEN 'days' THEN 0.05 ELSE 0 END WHERE finding = 'unused_index';
CREATE FUNCTION pg_temp.watched(index text, ago interval, scans float8) RETURNS void LANGUAGE sql AS $$
  INSERT INTO perfopt.series (metric_id, labels)
    SELECT metric_id, jsonb_build_object('database', current_database(), 'table', 'findings_shop.orders', 'index', watched.index)
    FROM perfopt.metric WHERE name = 'pg_index_scan_total' ON CONFLICT DO NOTHING;
  INSERT INTO perfopt.sample_hot (ts, writer, elapsed_s, series, value)
    SELECT clock_timestamp() - ago, 'findings', 10, ARRAY[series_id], ARRAY[scans]
    FROM perfopt.series WHERE labels->>'index' = watched.index AND labels->>'table' = 'findings_shop.orders'
$$;
SELECT pg_temp.watched(i, '2 hours', 0), pg_temp.watched(i, '30 s', 0)
FROM unnest('{a_hash, a_upper, b_unique, orders_pkey}'::text[]) i \g /dev/null
SELECT pg_temp.watched('a_note', '2 hours', 7), pg_temp.watched('a_note', '30 s', 0),
       pg_temp.watched('a_include', '1 hour', 0), pg_temp.watched('a_include', '30 s', 0) \g /dev/null
SELECT results_eq('SELECT pg_temp.found(''unused_index'')', $$VALUES ('findings_shop.a_hash'), ('findings_shop.a_upper')$$,
  'without a scan for long enough; not one that had some, one that is watched for less, one that keeps rows unique');
SET enable_seqscan = off;
SELECT count(*) FROM findings_shop.orders WHERE upper(note) = 'NOTE 7' \g /dev/null
SELECT pg_stat_force_next_flush() \g /dev/null
RESET enable_seqscan;
SELECT results_eq('SELECT pg_temp.found(''unused_index'')', $$VALUES ('findings_shop.a_hash')$$, 'one scan and it is in use');
SELECT action_sql, revert_sql FROM perfopt.recommendations(perfopt.analyze('1 min')) WHERE finding = 'unused_index' \gset
SELECT is(:'action_sql'::text, 'DROP INDEX CONCURRENTLY findings_shop.a_hash;', 'it is dropped');
SELECT is(:'revert_sql'::text, 'CREATE INDEX CONCURRENTLY a_hash ON findings_shop.orders USING hash (customer);', 'and how it is made again is kept');
UPDATE perfopt.finding_setting SET value = default_value WHERE finding = 'unused_index';
SELECT is_empty('SELECT pg_temp.found(''unused_index'')', 'two hours are not ninety days');

SELECT * FROM finish();
DROP SCHEMA findings_shop CASCADE;
DELETE FROM perfopt.sample_hot WHERE writer = 'findings';
