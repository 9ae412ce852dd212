-- Missing indexes of real tables, found from real statements: their texts and ids are those of
-- pg_stat_statements. Most samples are written by hand, so that shares are exact; one test at the end lets
-- the sampler see for itself.
\set QUIET on
\set ON_ERROR_STOP on
SET client_min_messages = warning;
SET track_io_timing = on;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS dblink;
CREATE EXTENSION IF NOT EXISTS pg_stat_statements;
CREATE EXTENSION IF NOT EXISTS hypopg;
CREATE EXTENSION IF NOT EXISTS perfopt;

CREATE ROLE diagnose_app LOGIN;
CREATE ROLE diagnose_viewer;
CREATE ROLE diagnose_monitor IN ROLE pg_monitor;
SELECT perfopt.grant_access('diagnose_viewer', 'viewer') \g /dev/null
CREATE SCHEMA diagnose_shop;
GRANT USAGE ON SCHEMA diagnose_shop TO diagnose_app;
ALTER ROLE diagnose_app SET search_path = diagnose_shop, public;

CREATE TABLE diagnose_shop.entity (entity_id bigint PRIMARY KEY, n int NOT NULL DEFAULT 0);
CREATE TABLE diagnose_shop."external map" (
  id bigint PRIMARY KEY, entity_id bigint NOT NULL REFERENCES diagnose_shop.entity, external_id text NOT NULL);
CREATE TABLE diagnose_shop.tiny (id int PRIMARY KEY, v int);
INSERT INTO diagnose_shop.entity SELECT g FROM generate_series(1, 20000) g;
INSERT INTO diagnose_shop."external map" SELECT g, 1 + g % 10000, 'x' || g FROM generate_series(1, 50000) g;
INSERT INTO diagnose_shop.tiny SELECT g, g FROM generate_series(1, 500) g;
-- A function of somebody else's that the planner would run. It counts how often, in a way that no rollback
-- undoes.
CREATE ROLE diagnose_stranger;
CREATE SEQUENCE diagnose_shop.trapped;
GRANT USAGE ON SEQUENCE diagnose_shop.trapped TO diagnose_app;
CREATE FUNCTION diagnose_shop.trap() RETURNS bigint LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN RETURN 7 + 0 * nextval('diagnose_shop.trapped'); END $$;
ALTER FUNCTION diagnose_shop.trap() OWNER TO diagnose_stranger;
GRANT SELECT, DELETE ON ALL TABLES IN SCHEMA diagnose_shop TO diagnose_app;
ANALYZE diagnose_shop.entity, diagnose_shop."external map", diagnose_shop.tiny;

-- The statements, run as the role whose search_path finds the tables.
SELECT dblink_connect('app', format('dbname=%s host=%s port=%s user=diagnose_app', current_database(),
         split_part(current_setting('unix_socket_directories'), ',', 1), current_setting('port'))) \g /dev/null
SELECT n FROM unnest(ARRAY[
  'SELECT external_id FROM "external map" WHERE entity_id = 7',
  'SELECT m.external_id FROM entity e JOIN "external map" m USING (entity_id) WHERE e.entity_id = 8',
  'SELECT external_id FROM "external map" WHERE id = 7',
  'SELECT count(*) FROM "external map"',
  'SELECT v FROM tiny WHERE v = 3',
  'SELECT external_id FROM "external map" WHERE entity_id = trap()']) statement,
  dblink('app', statement) AS t (n text) \g /dev/null
SELECT dblink_exec('app', 'DELETE FROM entity WHERE entity_id = 20000') \g /dev/null

CREATE FUNCTION pg_temp.query_id(pattern text) RETURNS bigint LANGUAGE sql AS $$
  SELECT s.queryid FROM pg_stat_statements s JOIN pg_roles r ON r.oid = s.userid
  WHERE r.rolname = 'diagnose_app' AND s.query LIKE pattern
$$;
-- A day that no collector writes and no retention drops.
DO $$ BEGIN
  CREATE TABLE perfopt.active_session_hot_diagnose (LIKE perfopt.active_session_hot INCLUDING DEFAULTS);
  ALTER TABLE perfopt.active_session_hot ATTACH PARTITION perfopt.active_session_hot_diagnose
    FOR VALUES FROM ('2099-01-01') TO ('2099-01-02');
END $$;
-- For one minute a session runs the statement all the time, a tenth of it waiting for a lock.
CREATE FUNCTION pg_temp.busy_with(pattern text, operation int DEFAULT 0, role text DEFAULT 'diagnose_app') RETURNS void
LANGUAGE sql AS $$
  DELETE FROM perfopt.active_session_hot WHERE ts > '2099-01-01';
  INSERT INTO perfopt.active_session_hot
  SELECT '2099-01-01 00:00Z'::timestamptz + i * interval '10 s', 100, ARRAY[d.oid, d.oid, d.oid], ARRAY[r.oid, r.oid, r.oid],
         ARRAY[q, q, q], ARRAY[operation, operation, operation], ARRAY['CPU', 'IO', 'Lock'], ARRAY['CPU', 'DataFileRead', 'relation'], ARRAY[60, 30, 10]
  FROM generate_series(1, 6) i, pg_temp.query_id(pattern) q, pg_database d, pg_roles r
  WHERE d.datname = current_database() AND r.rolname = role
$$;
CREATE FUNCTION pg_temp.found(OUT finding text, OUT entity text, OUT impact_pct float8, OUT evidence jsonb)
RETURNS SETOF record LANGUAGE sql AS $$
  SELECT finding, entity, impact_pct, evidence FROM perfopt.bottlenecks('1 min', '2099-01-01 00:01Z')
$$;

SELECT plan(27);

SELECT pg_temp.busy_with('SELECT external_id FROM "external map" WHERE entity_id = $1') \g /dev/null
SELECT results_eq(
  'SELECT finding, entity FROM pg_temp.found()',
  $$VALUES ('missing_index', 'diagnose_shop."external map"(entity_id)')$$,
  'a filter on a column without index is found, and is not reported again as a top statement');
SELECT ok(impact_pct > 85 AND impact_pct <= 90, 'the impact is the work on CPU and reads that the index saves, locks left out')
FROM pg_temp.found();
SELECT ok((evidence->>'cost_with_index')::float8 < (evidence->>'cost_now')::float8 / 2 AND evidence->>'method' LIKE 'hypopg%',
          'the saving was tried with a hypothetical index')
FROM pg_temp.found();
SELECT is((SELECT count(*) FROM hypopg_list_indexes), 0::bigint, 'no hypothetical index is left behind');
SELECT is((SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid() AND relation = 'diagnose_shop."external map"'::regclass),
          0::bigint, 'nor a lock');
SELECT is(current_user::text, session_user::text, 'nor another role');

SELECT hypopg_create_index('CREATE INDEX ON diagnose_shop.tiny (v)') \g /dev/null
SELECT count(*) FROM pg_temp.found() \g /dev/null
SELECT is((SELECT count(*) FROM hypopg_list_indexes), 1::bigint, 'the session''s own hypothetical indexes stay');
SELECT hypopg_reset() \g /dev/null

SELECT pg_temp.busy_with('SELECT m.external_id FROM entity%') \g /dev/null
SELECT results_eq(
  'SELECT finding, entity FROM pg_temp.found()',
  $$VALUES ('missing_index', 'diagnose_shop."external map"(entity_id)')$$,
  'a join on a column without index is found');

SELECT pg_temp.busy_with('SELECT external_id FROM "external map" WHERE id = $1') \g /dev/null
SELECT is_empty('SELECT entity FROM pg_temp.found() WHERE finding = ''missing_index''', 'a column with an index is not advised');
SELECT pg_temp.busy_with('SELECT count(*) FROM "external map"') \g /dev/null
SELECT is_empty('SELECT entity FROM pg_temp.found() WHERE finding = ''missing_index''', 'a statement that needs all rows gets no index');
SELECT pg_temp.busy_with('SELECT v FROM tiny%') \g /dev/null
SELECT is_empty('SELECT entity FROM pg_temp.found() WHERE finding = ''missing_index''', 'a small table gets no index');

SELECT pg_temp.busy_with('DELETE FROM entity%') \g /dev/null
SELECT results_eq(
  'SELECT finding, entity FROM pg_temp.found()',
  $$VALUES ('missing_index', 'diagnose_shop."external map"(entity_id)')$$,
  'deleting rows that an unindexed foreign key refers to is found');

SELECT pg_temp.busy_with('%trap%') \g /dev/null
SELECT last_value AS before FROM diagnose_shop.trapped \gset
SELECT is_empty('SELECT entity FROM pg_temp.found() WHERE finding = ''missing_index''', 'a statement that calls a stranger''s function is not planned');
SELECT is(last_value, :before::bigint, 'and the function does not run') FROM diagnose_shop.trapped;

-- Load tests: an operation's data set decides where names are looked up, whoever runs it.
INSERT INTO perfopt.scenario (name, dataset) VALUES ('diagnose_test', 'diagnose_shop');
INSERT INTO perfopt.operation (scenario, name, script) VALUES ('diagnose_test', 'look', 'SELECT 1');
SELECT operation_id FROM perfopt.operation WHERE scenario = 'diagnose_test' \gset
SELECT pg_temp.busy_with('SELECT external_id FROM "external map" WHERE entity_id = $1', 0, current_user) \g /dev/null
SELECT is_empty('SELECT entity FROM pg_temp.found() WHERE finding = ''missing_index''', 'a name that is not found is not planned');
SELECT pg_temp.busy_with('SELECT external_id FROM "external map" WHERE entity_id = $1', :operation_id, current_user) \g /dev/null
SELECT isnt_empty('SELECT entity FROM pg_temp.found() WHERE finding = ''missing_index''', 'the data set of a load test''s operation is');
DELETE FROM perfopt.scenario WHERE name = 'diagnose_test';

-- Who sees what.
SELECT pg_temp.busy_with('SELECT count(*) FROM "external map"') \g /dev/null
SELECT alike(entity, 'query %: SELECT count(*) FROM "external map"', 'a superuser sees the statement''s text') FROM pg_temp.found();
SET ROLE diagnose_monitor;
SELECT alike(entity, 'query %: SELECT count(*) FROM "external map"', 'so does pg_monitor, through pg_read_all_stats')
FROM perfopt.bottlenecks('1 min', '2099-01-01 00:01Z');
SET ROLE diagnose_viewer;
SELECT matches(entity, '^query -?\d+$', 'a viewer sees its id only') FROM perfopt.bottlenecks('1 min', '2099-01-01 00:01Z');
SELECT unalike(b::text, '%external map%', 'and finds the text nowhere else in the row') FROM perfopt.bottlenecks('1 min', '2099-01-01 00:01Z') b;
SELECT throws_ok('SELECT perfopt.analyze()', '42501', NULL, 'a viewer may not store an analysis');
RESET ROLE;
SELECT perfopt.analyze('1 min', '2099-01-01 00:01Z') AS analysis_id \gset
SELECT unalike((SELECT string_agg(b::text, '') FROM perfopt.bottleneck b WHERE b.analysis_id = :analysis_id), '%external map%',
               'texts of statements are not stored');

-- Without hypopg the plan's sequential scan is the measure.
SELECT pg_temp.busy_with('SELECT external_id FROM "external map" WHERE entity_id = $1') \g /dev/null
DROP EXTENSION hypopg;
SELECT ok(bool_and(entity = 'diagnose_shop."external map"(entity_id)' AND evidence->>'method' LIKE 'plan only%'),
          'found without hypopg, which the evidence says') FROM pg_temp.found();
CREATE EXTENSION hypopg;

-- The advice is exact: carried out it cures, undone it leaves no trace.
SELECT action_sql, revert_sql FROM perfopt.recommendations(perfopt.analyze('1 min', '2099-01-01 00:01Z')) WHERE finding = 'missing_index' \gset
SELECT is(:'action_sql'::text, 'CREATE INDEX CONCURRENTLY "external map_entity_id_idx" ON diagnose_shop."external map" (entity_id);', 'the index is named and quoted');
:action_sql
SELECT is_empty('SELECT entity FROM pg_temp.found() WHERE finding = ''missing_index''', 'an index that exists is not advised');
:revert_sql
SELECT isnt_empty('SELECT entity FROM pg_temp.found() WHERE finding = ''missing_index''', 'and is advised again once it was dropped');

-- For real: a session at work, seen by the sampler, until the finding is there.
SELECT clock_timestamp() AS began \gset
SELECT dblink_connect('direct', format('dbname=%s host=%s port=%s user=diagnose_app', current_database(),
         split_part(current_setting('unix_socket_directories'), ',', 1), current_setting('port'))) \g /dev/null
CREATE FUNCTION pg_temp.until_found(since timestamptz) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
  give_up timestamptz := clock_timestamp() + interval '60 s';
BEGIN
  WHILE clock_timestamp() < give_up LOOP
    FOR i IN 1..100 LOOP
      PERFORM * FROM dblink('direct', 'SELECT external_id FROM "external map" WHERE entity_id = ' || i) AS t (x text);
    END LOOP;
    PERFORM perfopt.collect_now();
    IF EXISTS (SELECT FROM perfopt.bottlenecks(clock_timestamp() - since, clock_timestamp())
               WHERE finding = 'missing_index' AND entity = 'diagnose_shop."external map"(entity_id)'
                 AND impact_pct > 5 AND aas > 0 AND seconds > 0) THEN
      RETURN true;
    END IF;
  END LOOP;
  RETURN false;
END $$;
SELECT ok(pg_temp.until_found(:'began'), 'the sampler''s own sight of a running statement leads to its missing index');
SELECT dblink_disconnect('app'), dblink_disconnect('direct') \g /dev/null

SELECT * FROM finish();
DROP TABLE perfopt.active_session_hot_diagnose;
DROP SCHEMA diagnose_shop CASCADE;
SELECT perfopt.revoke_access('diagnose_viewer') \g /dev/null
DROP ROLE diagnose_app, diagnose_viewer, diagnose_monitor, diagnose_stranger;
