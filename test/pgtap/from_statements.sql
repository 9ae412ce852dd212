-- A scenario of what the server really runs: a workload is run, a scenario made of it, and that is run without errors,
-- with values of the columns that parameters are compared with. What can't be run again is left out and told.
\set QUIET on
\set ON_ERROR_STOP on
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS pg_stat_statements;
CREATE EXTENSION IF NOT EXISTS perfopt;
DELETE FROM perfopt.scenario WHERE name LIKE 'from\_%';
SELECT plan(50);

CREATE SCHEMA "From Statements";
SET search_path = "From Statements", public;
CREATE TYPE state AS ENUM ('new', 'paid', 'sent');
CREATE DOMAIN positive AS int NOT NULL CHECK (VALUE > 0);
CREATE TABLE customer (id int PRIMARY KEY, name text NOT NULL, country char(2), slug varchar(40) UNIQUE, code varchar(8) UNIQUE, tags text[], created timestamptz, size positive DEFAULT 1);
CREATE TABLE orders (tenant int, id bigint, customer int REFERENCES customer, state state, total numeric(10, 2), created timestamptz, day date, PRIMARY KEY (tenant, id)) PARTITION BY RANGE (tenant);
CREATE TABLE orders_1 PARTITION OF orders FOR VALUES FROM (0) TO (25);
CREATE TABLE orders_2 PARTITION OF orders FOR VALUES FROM (25) TO (100);
CREATE TABLE empty (a int);
CREATE VIEW paid AS SELECT tenant, id, total FROM orders WHERE state = 'paid';
CREATE FUNCTION volatile_one(i int) RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN i; END';
CREATE FUNCTION stable_one(i int) RETURNS int LANGUAGE plpgsql STABLE AS 'BEGIN RETURN i; END';
INSERT INTO customer SELECT g, 'name ' || g, (ARRAY['DE', 'FR', 'US'])[1 + g % 3], 'slug-' || g, 'c' || g, ARRAY['a' || g % 5, 'it''s'],
  timestamptz '2020-01-01' + g * interval '1 hour' FROM generate_series(1, 1000) g;
INSERT INTO orders SELECT g % 50, g, 1 + g % 1000, (ARRAY['new', 'paid', 'sent'])[1 + g % 3]::state, g % 100, timestamptz '2020-01-01' + g * interval '1 minute',
  date '2020-01-01' + g % 100 FROM generate_series(1, 5000) g;
ANALYZE customer, orders;

-- Each statement, and how often it is called. Nothing else of this database is counted.
CREATE TEMP TABLE workload (kind text, sql text, times int);
INSERT INTO workload VALUES
  ('read', 'SELECT * FROM customer WHERE id = 17', 60),
  ('read', 'SELECT total FROM orders WHERE tenant = 3 AND id = 53', 30),
  ('read', 'SELECT 1 FROM customer WHERE slug = ''slug-5'' LIMIT 1', 12),
  ('read', 'SELECT name FROM customer WHERE id IN (1, 2, 3) AND country = ''DE''', 3),
  ('read', 'SELECT name FROM customer WHERE lower(name) = ''name 7'' OR name LIKE ''name 8%''', 3),
  ('read', 'SELECT count(*), sum(CASE WHEN state = ''new'' THEN 1 ELSE 0 END) FROM orders WHERE created BETWEEN ''2020-01-01'' AND ''2020-01-02''', 3),
  ('read', 'SELECT * FROM orders WHERE created > now() - interval ''1 day'' AND day >= date ''2020-02-02''', 3),
  ('read', 'SELECT c.name, o.total FROM customer c JOIN orders o ON o.customer = c.id WHERE c.country = ''DE'' AND o.state = ''new'' ORDER BY o.id LIMIT 5 OFFSET 2', 3),
  ('read', 'WITH mine AS (SELECT * FROM orders WHERE tenant = 4) SELECT count(*) FROM mine WHERE state = ''paid''', 3),
  ('read', 'SELECT total FROM paid WHERE tenant = 4 AND id > 7 FETCH FIRST 3 ROWS ONLY', 3),
  ('read', 'SELECT EXISTS (SELECT 1 FROM orders WHERE customer = 8) AND 1 = 1', 3),
  ('read', 'SELECT name || '' '' || country, coalesce(country, ''zz'') FROM customer WHERE (country, id) > (''DE'', 100) AND ''a1'' = ANY (tags)', 3),
  ('read', 'SELECT stable_one(size), ''new''::state FROM customer WHERE size = 1 AND id = ANY (''{1,2}''::int[])', 3),
  ('write', 'INSERT INTO customer (id, name, country, slug) VALUES (%s, ''new'', ''DE'', ''new-%s'')', 3),
  ('write', 'INSERT INTO orders (tenant, id, customer, state) VALUES (1, 10%s, 5, ''new''), (2, 20%s, 6, ''new'')', 3),
  ('write', 'INSERT INTO customer (id, name) VALUES (1, ''x'') ON CONFLICT (id) DO UPDATE SET name = excluded.name, country = ''FR''', 3),
  ('write', 'UPDATE customer SET id = 17, name = ''name 17'' WHERE id = 17', 3),
  ('write', 'UPDATE customer SET slug = ''other-%s'' WHERE id = 18', 3),
  ('write', 'UPDATE orders SET total = total + 5 WHERE tenant = 2 AND id = 2', 3),
  ('write', 'DELETE FROM orders WHERE tenant = 2 AND id = 52', 3),
  ('write', 'WITH gone AS (DELETE FROM orders WHERE id = 6 RETURNING total) SELECT sum(total) FROM gone', 3),
  ('write', 'SELECT * FROM customer WHERE id = 1 FOR UPDATE', 3),
  ('write', 'MERGE INTO customer c USING customer d ON c.id = d.id AND d.id = 5 AND c.id = 5 WHEN MATCHED THEN UPDATE SET name = ''merged''', 3),
  ('call', 'SELECT volatile_one(size) FROM customer WHERE id = 5', 3),
  ('unknown', 'SELECT date_trunc(''day'', created) FROM orders WHERE id = 3', 3),
  ('unknown', 'SELECT country, count(*) FROM customer GROUP BY country HAVING count(*) > 3', 3),
  ('empty', 'SELECT a FROM empty WHERE a = 1', 3),
  ('own', 'SELECT name FROM perfopt.scenario WHERE name = ''x''', 3),
  ('own', 'SELECT count(*) FROM pg_stat_activity WHERE state = ''idle''', 3),
  ('utility', 'SET work_mem = ''4MB''', 3);
CREATE FUNCTION pg_temp.workload(kinds text[]) RETURNS SETOF text LANGUAGE sql AS $$
  SELECT replace(sql, '%s', (1000 + t)::text) FROM workload, generate_series(1, times) t WHERE kind = ANY (kinds) ORDER BY md5(sql || t) $$;
CREATE FUNCTION pg_temp.report(scenario text, options jsonb DEFAULT '{}') RETURNS SETOF perfopt.test_operation LANGUAGE plpgsql AS $$
DECLARE
  run bigint := perfopt.start_test(jsonb_build_object('scenario', scenario, 'users', 3, 'duration', '1 s', 'options', options));
BEGIN
  PERFORM perfopt.wait_test(run);
  RETURN QUERY SELECT * FROM perfopt.test_operation WHERE run_id = run;
END $$;
CREATE FUNCTION pg_temp.errors(scenario text, options jsonb DEFAULT '{}') RETURNS text LANGUAGE sql AS $$
  SELECT concat_ws('; ', sum(errors) || ' errors', sum((calls = 0)::int) || ' operations without calls', string_agg(operation || ': ' || sqlstates::text, ', ') FILTER (WHERE errors > 0))
  FROM pg_temp.report(scenario, options) $$;
CREATE FUNCTION pg_temp.script(scenario text, pattern text) RETURNS text LANGUAGE sql AS $$
  SELECT min(o.script) || CASE WHEN count(*) > 1 THEN ' and others' ELSE '' END FROM perfopt.operation o WHERE o.scenario = $1 AND o.script LIKE pattern $$;

SELECT pg_stat_statements_reset() \g /dev/null
\o /dev/null
SELECT pg_temp.workload('{read,write,call,unknown,empty,own,utility}') \gexec
\o
SET pg_stat_statements.track = 'none';

-- Numbers of operations.
SELECT is(perfopt.scenario_from_statements('from_few', 2, NULL), 2, 'no more than asked for');
SELECT is((SELECT array_agg(weight ORDER BY weight) FROM perfopt.operation WHERE scenario = 'from_few'), '{30,60}', 'those that were called most');
SELECT throws_ok($$SELECT perfopt.scenario_from_statements('from_few')$$, '42710', 'scenario "from_few" exists already', 'a scenario that exists is not touched');
SELECT throws_ok($$SELECT perfopt.scenario_from_statements('from_none', 0)$$, '22023', 'a scenario can''t have 0 operations', 'none is too few');
SELECT throws_ok($$SELECT perfopt.scenario_from_statements('from_none', 10, '-1 h')$$, '22023', 'since must be positive, not -01:00:00', 'there is no negative time');
SELECT throws_ok($$SELECT perfopt.scenario_from_statements(NULL)$$, '22004', 'argument "name" must not be null', 'a name it takes');

-- Names are those of the caller, and must be found by the test's sessions.
SET search_path = public;
SELECT throws_ok($$SELECT perfopt.scenario_from_statements('from_none', 64, NULL)$$, '55000', 'scenario "from_none" would have no operation', 'statements over tables that are not found are left out');
SET search_path = "From Statements", public;

-- With less rights. What a role may not read is left out, and so is what would run others' functions as oneself.
CREATE ROLE from_tester;
CREATE ROLE from_other;
SELECT perfopt.grant_access('from_tester', 'tester') \g /dev/null
SET ROLE from_tester;
SELECT throws_ok($$SELECT perfopt.scenario_from_statements('from_none', 64, NULL)$$, '55000', NULL, 'others'' statements are not seen');
RESET ROLE;
GRANT pg_read_all_stats TO from_tester;
GRANT USAGE ON SCHEMA "From Statements" TO from_tester;
GRANT SELECT ON customer TO from_tester;
SET ROLE from_tester;
SELECT is(perfopt.scenario_from_statements('from_tester', 64, NULL), 6, 'who may see them uses them');
SELECT is((SELECT count(*) FROM perfopt.operation WHERE scenario = 'from_tester' AND script LIKE '%orders%'), 0::bigint, 'but not those over tables that it may not read');
RESET ROLE;
ALTER FUNCTION stable_one(int) OWNER TO from_other;
\set told `PGOPTIONS='-c search_path="From\ Statements",public -c pg_stat_statements.track=none' psql -XAtqc "SELECT perfopt.scenario_from_statements('from_trusted', 64, NULL)" 2>&1`
SELECT matches(:'told'::text, '1 statement left out: would run functions of other roles with your rights\s+DETAIL:  For example: function stable_one\(\) of role from_other', 'functions of other roles are not run');
SELECT is(pg_temp.script('from_trusted', '%stable_one%'), NULL, 'not even by a superuser');
ALTER FUNCTION stable_one(int) OWNER TO current_user;

-- What reads.
\set told `PGOPTIONS='-c search_path="From\ Statements",public -c pg_stat_statements.track=none' psql -XAtqc "SELECT perfopt.scenario_from_statements('from_reads', 64, NULL)" 2>&1`
SELECT is((SELECT count(*) FROM perfopt.operation WHERE scenario = 'from_reads'), (SELECT count(*) FROM workload WHERE kind = 'read' AND times > 0),
  'each statement that reads becomes an operation');
SELECT matches(:'told'::text, '(?n)^' || (SELECT count(*) FROM workload WHERE kind = 'read' AND times > 0) || '$', 'so many are returned');
SELECT matches(:'told'::text, 'scenario "from_reads" is of calls since pg_stat_statements was reset on 20', 'it says which calls those are');
SELECT matches(:'told'::text, (SELECT count(*) FROM workload WHERE kind IN ('write', 'call')) || ' statements left out: may write\s+DETAIL: .*\s+HINT: .*read_only => false', 'and how many were left out because they write');
SELECT matches(:'told'::text, '2 statements left out: values of a parameter are not known\s+DETAIL:  For example: \$\d: SELECT', 'or because of parameters');
SELECT matches(:'told'::text, '1 statement left out: there are no values for a parameter\s+DETAIL:  For example: table "From Statements".empty has no such rows: SELECT a', 'or of empty tables');
SELECT matches(:'told'::text, 'statements left out: about the server, perfopt or pg_stat_statements', 'or because they are perfopt''s own');
SELECT matches(:'told'::text, 'statements? left out: no SELECT, INSERT, UPDATE, DELETE or MERGE\s+DETAIL:  For example: SET', 'or no queries');
SELECT is((SELECT jsonb_object_agg(left(script, 12), weight) FROM perfopt.operation WHERE scenario = 'from_reads' AND weight > 3),
  '{"SELECT * FRO": 60, "SELECT total": 30, "SELECT :p1::": 12}', 'weights are the calls');
SELECT is((SELECT count(*) FROM perfopt.operation WHERE scenario = 'from_reads' AND name ~ '^select_(customer|orders|paid)(_\d+)?$'), (SELECT count(*) FROM perfopt.operation WHERE scenario = 'from_reads'), 'names say what they do');
SELECT is(pg_temp.errors('from_reads'), '0 errors; 0 operations without calls', 'they run without errors');
SELECT is(pg_temp.errors('from_reads', '{"protocol": "simple"}'), '0 errors; 0 operations without calls', 'by each protocol');
SELECT is(pg_temp.errors('from_reads', '{"protocol": "pipeline"}'), '0 errors; 0 operations without calls', 'it can be run by');
SELECT is_empty($$SELECT * FROM (SELECT name, calls / sum(calls) OVER () AS "is", weight / sum(weight) OVER () AS wanted FROM (
    SELECT o.name, r.calls, o.weight FROM pg_temp.report('from_reads') r JOIN perfopt.operation o ON o.scenario = 'from_reads' AND o.name = r.operation) x) y WHERE abs("is" - wanted) > 0.05$$, 'in proportion to their weights');

-- Where values come from.
SELECT is(pg_temp.script('from_reads', 'SELECT * FROM%.customer WHERE id = %'), 'SELECT * FROM "From Statements".customer WHERE id = :p1::integer', 'a parameter is a variable of its type, and a table has its schema');
UPDATE perfopt.operation SET checks = '[{"rows": 1}]' WHERE scenario = 'from_reads' AND script LIKE 'SELECT * FROM%.customer WHERE id = %';
SELECT is(pg_temp.script('from_reads', 'SELECT total FROM%.orders%'),
  'SELECT total FROM "From Statements".orders WHERE tenant = (:row1::"From Statements".orders).tenant AND id = (:row1::"From Statements".orders).id',
  'parameters that are compared with columns of one table are of one row');
UPDATE perfopt.operation SET checks = '[{"rows": 1}]' WHERE scenario = 'from_reads' AND script LIKE 'SELECT total FROM%.orders%';
SELECT is(pg_temp.script('from_reads', 'SELECT :p1::text%'), 'SELECT :p1::text FROM "From Statements".customer WHERE slug = :p2::text LIMIT :p3::bigint', 'what is only returned may be anything');
UPDATE perfopt.operation SET checks = '[{"rows": 1}]' WHERE scenario = 'from_reads' AND script LIKE 'SELECT :p1::text%';
SELECT is(pg_temp.errors('from_reads'), '0 errors; 0 operations without calls', 'so each such call finds its row');
SELECT is(pg_temp.script('from_reads', '%BETWEEN%'), 'SELECT count(*), sum(CASE WHEN state = :p1::"From Statements".state THEN :p2::integer ELSE :p3::integer END) FROM "From Statements".orders'
  ' WHERE created BETWEEN (:range1::timestamp with time zone[])[1] AND (:range1::timestamp with time zone[])[2]', 'the ends of a range belong together');
SELECT is(pg_temp.script('from_reads', '%now()%'), 'SELECT * FROM "From Statements".orders WHERE created > now() - :p1::interval AND day >= :p2::date', 'constants with a type before them are put right');
SELECT is(pg_temp.script('from_reads', '%stable_one%'), 'SELECT "From Statements".stable_one(size), :p1::"From Statements".state FROM "From Statements".customer WHERE size = :p2::integer AND id = ANY (:p3::int[])',
  'functions and types have their schemas');
SELECT matches(pg_temp.script('from_reads', '%FETCH FIRST%'), 'FETCH FIRST \(:p\d::bigint\) ROWS ONLY', 'an expression is in parentheses where it must be');
SELECT ok((SELECT bool_and(v.value ->> 'query' LIKE '/* perfopt */ SELECT %' OR v.value ? 'choice') FROM perfopt.operation o, jsonb_each(o.variables) v WHERE o.scenario = 'from_reads'),
  'values are read when a test starts');
SELECT is((SELECT jsonb_agg(v.value -> 'choice' ORDER BY v.key) FROM perfopt.operation o, jsonb_each(o.variables) v WHERE o.scenario = 'from_reads' AND o.script LIKE '%OFFSET%' AND v.value ? 'choice'),
  '[[5], [0, 5, 10]]', 'limits are small: as many rows as were returned');
CREATE FUNCTION pg_temp.values_of(pattern text, variable text) RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
  RETURN QUERY EXECUTE (SELECT 'SELECT v::text FROM (' || (o.variables -> variable ->> 'query') || ') q (v)' FROM perfopt.operation o WHERE o.scenario = 'from_reads' AND o.script LIKE pattern);
END $$;
SELECT is((SELECT count(DISTINCT v) FROM pg_temp.values_of('SELECT * FROM%.customer WHERE id = %', 'p1') v JOIN customer c ON c.id = v::int), 1000::bigint, 'of a table as many as there are, or a thousand');
SELECT results_eq($$SELECT * FROM pg_temp.values_of('SELECT total FROM%.orders%', 'row1')$$, $$SELECT * FROM pg_temp.values_of('SELECT total FROM%.orders%', 'row1')$$, 'and the same each time');
SELECT is_empty($$SELECT v FROM pg_temp.values_of('%LIKE%', 'p2') v WHERE NOT EXISTS (SELECT FROM customer WHERE name LIKE v)$$, 'a pattern is how a value begins');

-- What writes, too.
SELECT perfopt.scenario_from_statements('from_writes', 64, NULL, false) AS n \gset
SELECT is(:n, (SELECT count(*)::int FROM workload WHERE kind IN ('read', 'write', 'call') AND times > 0), 'statements that write are taken if it is asked for');
SELECT is(pg_temp.script('from_writes', 'INSERT INTO%slug%'), 'INSERT INTO "From Statements".customer (id, name, country, slug) VALUES (:p1::integer, (:row1::"From Statements".customer).name, '
  '(:row1::"From Statements".customer).country, pg_catalog.gen_random_uuid()::text)', 'a unique column gets new values, the others those of a row');
SELECT is(pg_temp.script('from_writes', 'UPDATE%SET id%'), 'UPDATE "From Statements".customer SET id = :p3::integer, name = :p2::text WHERE id = :p3::integer', 'and if it says which row, the same');
UPDATE perfopt.operation SET weight = 1 WHERE scenario = 'from_writes';
SELECT is(pg_temp.errors('from_writes', '{"retries": 100}'), '0 errors; 0 operations without calls', 'they run without errors');
SELECT ok((SELECT count(*) > 1010 FROM customer), 'and write');
SELECT is(pg_temp.errors('from_writes', '{"retries": 100}'), '0 errors; 0 operations without calls', 'another time as well');

-- Of a time that perfopt has collected.
SELECT perfopt.collect_now() \g /dev/null
SET pg_stat_statements.track = 'top';
\o /dev/null
SELECT format('SELECT name, code FROM customer WHERE id = %s', g) FROM generate_series(1, 400) g \gexec
SELECT format('SELECT total, day FROM orders WHERE tenant = 3 AND id = %s', g) FROM generate_series(1, 200) g \gexec
\o
SET pg_stat_statements.track = 'none';
SELECT perfopt.collect_now() \g /dev/null
\set told `PGOPTIONS='-c search_path="From\ Statements",public -c pg_stat_statements.track=none' psql -XAtqc "SELECT perfopt.scenario_from_statements('from_collected', 64)" 2>&1`
SELECT matches(:'told'::text, 'is of calls that perfopt collected since 20.*\(perfopt.top_statements\)', 'calls are those that were collected');
SELECT ok((SELECT min(weight) >= 200 AND max(weight) = 2 * min(weight) FROM perfopt.operation WHERE scenario = 'from_collected' AND script ~ '^SELECT (name, code|total, day) FROM'), 'with their numbers');
SELECT matches(:'told'::text, '\d+ load tests ran in that time, and their calls count too', 'and a warning that load tests were among them');
SELECT matches((SELECT description FROM perfopt.scenario WHERE name = 'from_collected'), '^Statements of this database, by calls that perfopt collected since 20', 'which the scenario keeps');
SELECT perfopt.scenario_from_statements('from_early', 1, '1 us') \g /dev/null
SELECT matches((SELECT description FROM perfopt.scenario WHERE name = 'from_early'), 'since pg_stat_statements was reset .*collected none', 'where none were collected it is all');

SELECT * FROM finish();
DELETE FROM perfopt.scenario WHERE name LIKE 'from\_%';
SELECT perfopt.revoke_access('from_tester') \g /dev/null
DROP SCHEMA "From Statements" CASCADE;
DROP ROLE from_tester, from_other;
