-- A DBA's own SQL as a source: it delivers values with labels, runs read-only with its owner's rights, and one
-- that fails, hangs or returns too much harms neither the others nor the collector.
\set QUIET on
\set ON_ERROR_STOP on
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS perfopt;
SELECT plan(40);

CREATE FUNCTION pg_temp.refused(what text, code text, message text, sql text, name text DEFAULT 'app_bad',
  kind text DEFAULT 'gauge', unit text DEFAULT 'things', more text DEFAULT '') RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  RETURN throws_ok(format('INSERT INTO perfopt.custom_metric (name, sql, kind, unit) VALUES (%L, %L, %L, %L)',
    name, sql, kind, unit), code, message, what);
END $$;

-- What is checked when one is defined.
SELECT pg_temp.refused('a name that Prometheus would not take', '42602', 'metric name "app bad" is not valid', 'SELECT 1 AS value', 'app bad');
SELECT pg_temp.refused('a name like perfopt''s own', '42939', 'metric name "pg_bad" begins like perfopt''s own', 'SELECT 1 AS value', 'pg_bad');
SELECT pg_temp.refused('an unknown kind', '22023', NULL, 'SELECT 1 AS value', kind => 'summary');
SELECT pg_temp.refused('a counter whose name does not say so', '42602', NULL, 'SELECT 1 AS value', kind => 'counter');
SELECT pg_temp.refused('no unit', '22023', 'metric "app_bad" has no unit', 'SELECT 1 AS value', unit => ' ');
SELECT pg_temp.refused('no SQL at all', '42601', NULL, 'SELEKT 1 AS value');
SELECT pg_temp.refused('a table that is not there', '42P01', NULL, 'SELECT 1 AS value FROM nowhere.land');
SELECT pg_temp.refused('two statements', '22023', 'the query of a custom metric must be one SELECT', 'SELECT 1 AS value; SELECT 2 AS value');
SELECT pg_temp.refused('a change', '22023', 'the query of a custom metric must be one SELECT', 'DELETE FROM perfopt.metric RETURNING 1 AS value');
SELECT pg_temp.refused('a hidden change', '25006', NULL, 'WITH d AS (DELETE FROM perfopt.metric RETURNING 1) SELECT count(*) AS value FROM d');
SELECT pg_temp.refused('no value', '42703', 'the query of a custom metric has no column "value"', 'SELECT 1 AS number');
SELECT pg_temp.refused('a value that is no number', '42804', NULL, 'SELECT ''1''::text AS value');
SELECT pg_temp.refused('a label without a name', '42602', 'column "?column?" of a custom metric cannot be a label', 'SELECT ''a'' || ''b'', 1 AS value');
SELECT throws_ok($$INSERT INTO perfopt.custom_metric (name, sql, unit, collect_interval) VALUES ('app_bad', 'SELECT 1 AS value', 'x', '0')$$,
  '22023', 'collect_interval of metric "app_bad" must be from 1 s to 1 day, not 00:00:00', 'no interval');
SELECT throws_ok($$INSERT INTO perfopt.custom_metric (name, sql, unit, dimension) VALUES ('app_bad', 'SELECT 1 AS value', 'x', 'weather')$$,
  '22023', NULL, 'an unknown dimension');

-- What is seen of good and bad ones, side by side.
CREATE SCHEMA custom;
CREATE TABLE custom.orders (region text, state int);
INSERT INTO custom.orders VALUES ('north', 1), ('north', 1), ('south', 1), (NULL, 1);
CREATE TABLE custom.secret (word text);
CREATE SEQUENCE custom.clicks;
CREATE FUNCTION custom.write() RETURNS int LANGUAGE plpgsql AS $$ BEGIN INSERT INTO custom.orders VALUES ('west', 1); RETURN 1; END $$;
CREATE FUNCTION custom.poison() RETURNS int LANGUAGE plpgsql AS $$ BEGIN PERFORM set_config('search_path', 'custom', false); RETURN 1; END $$;
CREATE FUNCTION custom.stubborn() RETURNS int LANGUAGE plpgsql AS $$
BEGIN
  BEGIN PERFORM pg_sleep(60); EXCEPTION WHEN query_canceled THEN NULL; END;
  RETURN 1;
END $$;
INSERT INTO perfopt.custom_metric (name, sql, unit, dimension, help) VALUES
  ('app_orders_open', 'SELECT region, count(*) AS value FROM custom.orders GROUP BY region', 'orders', 'application', 'Orders that are open');
INSERT INTO perfopt.custom_metric (name, sql, unit, kind) VALUES
  ('app_clicks_total', 'SELECT last_value AS value FROM custom.clicks', 'clicks', 'counter');
INSERT INTO perfopt.custom_metric (name, sql, unit, timeout) VALUES
  ('app_bad_slow', 'SELECT 1 AS value FROM pg_sleep(60)', 's', '50 ms'),
  ('app_bad_stubborn', 'SELECT custom.stubborn() AS value', 's', '50 ms');
INSERT INTO perfopt.custom_metric (name, sql, unit, row_limit) VALUES
  ('app_bad_many', 'SELECT i AS value, i AS i FROM generate_series(1, 11) i', 'rows', 10);
INSERT INTO perfopt.custom_metric (name, sql, unit) VALUES
  ('app_bad_twins', 'SELECT i AS value, ''same'' AS label FROM generate_series(1, 2) i', 's'),
  ('app_bad_write', 'SELECT custom.write() AS value', 's'),
  ('app_bad_division', 'SELECT 1 / (SELECT count(*) FROM custom.secret) AS value', 's'),
  ('app_good_poison', 'SELECT custom.poison() AS value', 's'),
  ('app_good_path', 'SELECT count(*) AS value, current_setting(''search_path'') AS path FROM pg_class', 's');
SELECT is((SELECT row(dimension, kind, unit, help)::text FROM perfopt.metric WHERE name = 'app_orders_open'),
  '(application,gauge,orders,"Orders that are open")', 'a custom metric is in the catalogue at once');

SELECT clock_timestamp() AS began \gset
SELECT perfopt.collect_now() \g /dev/null
-- On a busy machine the helper may be picked up by the next cycle.
SELECT perfopt.collect_now() \g /dev/null
SELECT results_eq(format($$SELECT DISTINCT labels, value FROM perfopt.sample WHERE metric = 'app_orders_open' AND ts > %L ORDER BY 1$$, :'began'),
  $$VALUES ('{}'::jsonb, 1::float8), ('{"region": "north"}', 2), ('{"region": "south"}', 1)$$,
  'its values are there, with columns as labels');
SELECT results_eq($$SELECT target, last_error FROM perfopt.source_status WHERE source = 'custom' AND state = 'failing' ORDER BY 1$$,
  $$VALUES ('app_bad_division', 'division by zero'),
    ('app_bad_many', 'the query returned more rows than its row_limit of 10'),
    ('app_bad_slow', 'canceling statement due to statement timeout'),
    ('app_bad_twins', 'the query returned two rows with the same labels'),
    ('app_bad_write', 'cannot execute INSERT in a read-only transaction')$$,
  'those that fail are named, each with its reason');
SELECT is((SELECT state FROM perfopt.source_status WHERE source = 'custom' AND target IS NULL), 'ok', 'the source as a whole goes on');
SELECT is((SELECT count(*) FROM custom.orders WHERE region = 'west'), 0::bigint, 'nothing was written');
SELECT is_empty(format($$SELECT labels FROM perfopt.sample WHERE metric = 'app_good_path' AND ts > %L AND labels ->> 'path' <> 'pg_catalog, pg_temp'$$, :'began'),
  'a setting that one changes is set back for the next');
SELECT isnt_empty(format($$SELECT 1 FROM perfopt.sample WHERE metric = 'node_load1' AND ts > %L$$, :'began'), 'other sources go on');
SELECT is_empty($$SELECT 1 FROM pg_stat_activity WHERE backend_type = 'perfopt collector' AND query ~ 'custom\.'$$,
  'the collector itself runs none of it');

-- Counters are increases.
SELECT clock_timestamp() AS clicked \gset
SELECT setval('custom.clicks', 43) \g /dev/null
SELECT perfopt.collect_now() \g /dev/null
SELECT perfopt.collect_now() \g /dev/null
SELECT is((SELECT sum(value) FROM perfopt.sample WHERE metric = 'app_clicks_total' AND ts > :'clicked'), 42::float8, 'a counter is stored as its increase');
SELECT setval('custom.clicks', 2) \g /dev/null
SELECT perfopt.collect_now() \g /dev/null
SELECT perfopt.collect_now() \g /dev/null
SELECT is((SELECT sum(value) FROM perfopt.sample WHERE metric = 'app_clicks_total' AND ts > :'clicked'), 42::float8, 'and gives nothing when it falls');

-- Mended, switched off, dropped.
UPDATE perfopt.custom_metric SET sql = 'SELECT 5 AS value' WHERE name = 'app_bad_division';
DELETE FROM perfopt.custom_metric WHERE name = 'app_bad_many';
UPDATE perfopt.custom_metric SET enabled = false WHERE name = 'app_bad_write';
SELECT perfopt.collect_now() \g /dev/null
SELECT perfopt.collect_now() \g /dev/null
SELECT is((SELECT state FROM perfopt.source_status WHERE source = 'custom' AND target = 'app_bad_division'), 'ok', 'a mended one works again');
SELECT is_empty($$SELECT target FROM perfopt.source_status WHERE source = 'custom' AND target IN ('app_bad_many', 'app_bad_write')$$,
  'one that was dropped or switched off is named no more');

-- With the rights of its owner, and of nobody else.
CREATE ROLE custom_operator;
CREATE ROLE custom_other;
CREATE ROLE custom_viewer;
SELECT perfopt.grant_access('custom_operator', 'operator'), perfopt.grant_access('custom_other', 'operator'),
       perfopt.grant_access('custom_viewer', 'viewer') \g /dev/null
GRANT USAGE ON SCHEMA custom TO custom_operator;
SET ROLE custom_operator;
SELECT lives_ok($$INSERT INTO perfopt.custom_metric (name, sql, unit) VALUES
    ('app_theirs', 'SELECT 7 AS value, current_user AS who', 'x'),
    ('app_secret', 'SELECT count(*) AS value FROM custom.secret', 'x')$$, 'an operator defines custom metrics');
SELECT throws_ok($$INSERT INTO perfopt.custom_metric (name, sql, unit, owner) VALUES ('app_bad', 'SELECT 1 AS value', 'x', 'postgres')$$,
  '42501', NULL, 'but not in the name of somebody else');
SELECT is_empty($$UPDATE perfopt.custom_metric SET sql = 'SELECT 6 AS value' WHERE name = 'app_orders_open' RETURNING name$$,
  'nor changes another''s');
SELECT throws_ok($$UPDATE perfopt.custom_metric SET owner = 'postgres' WHERE name = 'app_secret'$$, '42501', NULL,
  'nor gives its own to another');
RESET ROLE;
SET ROLE custom_other;
SELECT is_empty($$DELETE FROM perfopt.custom_metric WHERE name = 'app_theirs' RETURNING name$$, 'one operator cannot drop another''s');
RESET ROLE;
SET ROLE custom_viewer;
SELECT throws_ok('SELECT * FROM perfopt.custom_metric', '42501', NULL, 'a viewer does not see the queries');
RESET ROLE;
SELECT perfopt.collect_now() \g /dev/null
SELECT perfopt.collect_now() \g /dev/null
SELECT is((SELECT DISTINCT labels ->> 'who' FROM perfopt.sample WHERE metric = 'app_theirs'), 'custom_operator', 'each runs as its owner');
SELECT is((SELECT last_error FROM perfopt.source_status WHERE source = 'custom' AND target = 'app_secret'),
  'permission denied for table secret', 'and reads only what the owner may');
SELECT is_empty($$SELECT 1 FROM perfopt.sample WHERE metric = 'app_secret'$$, 'so that nothing of it is seen');

-- The author's code is nobody else's to run, be it only to look at the query.
CREATE TABLE custom.ran_as (who text);
CREATE FUNCTION custom.leak(int) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN INSERT INTO custom.ran_as VALUES (current_user); RETURN true; END $$;
CREATE DOMAIN custom.trap AS int CHECK (custom.leak(VALUE));
GRANT INSERT ON custom.ran_as TO custom_operator;
SET ROLE custom_operator;
INSERT INTO perfopt.custom_metric (name, sql, unit) VALUES ('app_trap', 'SELECT (''{1}''::custom.trap[])[1]::int AS value', 'x');
RESET ROLE;
UPDATE perfopt.custom_metric SET collect_interval = '2 min' WHERE name = 'app_trap';
UPDATE perfopt.custom_metric SET sql = sql || ' ' WHERE name = 'app_trap';
SELECT results_eq('SELECT DISTINCT who FROM custom.ran_as', $$VALUES ('custom_operator')$$, 'a superuser who alters a metric runs nothing of its author''s');
SELECT throws_ok($$UPDATE perfopt.custom_metric SET collect_interval = '100 years -36000 days 1 min' WHERE name = 'app_trap'$$, '22023', NULL,
  'an interval is as long as its seconds');

-- An owner who lost the right to define them.
SELECT perfopt.revoke_access('custom_operator') \g /dev/null
SELECT perfopt.collect_now() \g /dev/null
SELECT perfopt.collect_now() \g /dev/null
SELECT is((SELECT last_error FROM perfopt.source_status WHERE source = 'custom' AND target = 'app_theirs'),
  'its owner may not define custom metrics any more', 'who may define none any more has none run');

DELETE FROM perfopt.custom_metric;
SELECT perfopt.collect_now() \g /dev/null
SELECT is_empty($$SELECT target FROM perfopt.source_status WHERE source = 'custom' AND target IS NOT NULL$$, 'nothing is left of them');
SELECT perfopt.revoke_access('custom_operator'), perfopt.revoke_access('custom_other'), perfopt.revoke_access('custom_viewer') \g /dev/null
DROP SCHEMA custom CASCADE;
DROP ROLE custom_operator, custom_other, custom_viewer;
SELECT * FROM finish();
