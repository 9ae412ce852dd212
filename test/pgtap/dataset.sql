-- Datasets, and the scenario that works on them.
\set QUIET on
\set ON_ERROR_STOP on
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS dblink;
CREATE EXTENSION IF NOT EXISTS perfopt;

SELECT plan(48);

-- Each table's contents in one number, without the times, which count back from the creation.
CREATE FUNCTION pg_temp.fingerprint(schema text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  tab text;
  one text;
  result text := '';
BEGIN
  FOR tab IN SELECT tablename FROM pg_tables WHERE schemaname = schema ORDER BY 1 LOOP
    EXECUTE format('SELECT %L || count(*) || '':'' || sum(hashtextextended((to_jsonb(t) - ''{updated_at,verified_at,started_at,finished_at,created_at,checked_at}''::text[])::text, 0)) FROM %I.%I t',
                   ' ' || tab, schema, tab) INTO one;
    result := result || one;
  END LOOP;
  RETURN result;
END $$;

-- Every statement of an operation with its variables at the middle of their range: those that read
-- a table of more than 1,000 rows from end to end.
CREATE FUNCTION pg_temp.full_scans(operation_name text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
  op perfopt.operation;
  statement text;
  variable text;
  value bigint;
  plan jsonb;
BEGIN
  SELECT * INTO STRICT op FROM perfopt.operation WHERE scenario = 'integration' AND name = operation_name;
  FOR statement IN SELECT regexp_split_to_table(op.script, ';\s*') LOOP
    CONTINUE WHEN statement IN ('', 'BEGIN', 'COMMIT');
    FOR variable IN SELECT jsonb_object_keys(op.variables) LOOP
      EXECUTE format('SELECT (%s + %s) / 2', op.variables #>> ARRAY[variable, 'uniform', '0'],
                     op.variables #>> ARRAY[variable, 'uniform', '1']) INTO STRICT value;
      statement := replace(statement, ':' || variable, value::text);
    END LOOP;
    EXECUTE 'EXPLAIN (ANALYZE, FORMAT json) ' || statement INTO plan;
    RETURN QUERY
      SELECT DISTINCT operation_name || ': ' || (node ->> 'Relation Name')
      FROM jsonb_path_query(plan, 'strict $.**') node
      WHERE node ->> 'Node Type' = 'Seq Scan'
        AND (SELECT c.reltuples > 1000 FROM pg_class c WHERE c.oid = (node ->> 'Relation Name')::regclass);
  END LOOP;
END $$;

SELECT perfopt.create_dataset('dataset_test') \g /dev/null
SELECT is((SELECT (template, scale, schema, created_by)::text FROM perfopt.dataset WHERE name = 'dataset_test'),
  format('(integration,1,dataset_test,%s)', current_user), 'a dataset has its row in perfopt.dataset');
SELECT tables_are('dataset_test', '{external_system,entity,external_id_map,sync_job,sync_change,validation_result,reconciliation_run}'::name[],
  'it has the tables of the template');
SET search_path = dataset_test, public;
SELECT is((SELECT count(*)::int FROM external_system), 20, 'scale 1 has 20 systems');
SELECT is((SELECT count(*)::int FROM entity), 20000, 'scale 1 has 20,000 entities');
SELECT is((SELECT count(*)::int FROM external_id_map), 40000, 'scale 1 has 40,000 mappings');
SELECT is((SELECT count(*)::int FROM sync_change), 100000, 'scale 1 has 100,000 changes');
SELECT is_empty($$
  SELECT conrelid::regclass, conname FROM pg_constraint c
  WHERE contype = 'f' AND connamespace = 'dataset_test'::regnamespace
    AND NOT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.conrelid AND i.indkey[0] = c.conkey[1])
$$, 'each foreign key has an index');
SELECT is((SELECT count(*)::int FROM pg_constraint WHERE contype = 'f' AND connamespace = 'dataset_test'::regnamespace), 7,
  'there are seven foreign keys');
SELECT has_index('dataset_test', 'external_id_map', 'external_id_map_entity_id_idx', 'entity_id', 'the index on a foreign key has a predictable name');
SELECT is_empty($$
  SELECT a.indexrelid::regclass FROM pg_index a JOIN pg_index b ON b.indrelid = a.indrelid AND b.indexrelid <> a.indexrelid
  JOIN pg_class c ON c.oid = a.indrelid
  WHERE c.relnamespace = 'dataset_test'::regnamespace AND a.indkey[0] = b.indkey[0]
$$, 'no index is redundant');
SELECT is((SELECT count(*)::int FROM pg_class WHERE relnamespace = 'dataset_test'::regnamespace AND relkind = 'r' AND reltuples > 0), 7,
  'the tables are analysed');
SELECT ok((SELECT count(*) > 10 * 100000 / 20000 FROM sync_change WHERE entity_id = 1), 'few entities have much of the changes');
SELECT lives_ok('INSERT INTO entity (kind, name, status) VALUES (''order'', ''one more'', ''active'')', 'sequences continue after the rows');
SELECT lives_ok('DELETE FROM entity WHERE entity_id = 20001', 'what nobody refers to can be deleted');
SELECT throws_ok('DELETE FROM entity WHERE entity_id = 1', '23503', NULL, 'foreign keys hold');

-- The scenario.
SELECT set_eq('SELECT name FROM perfopt.operation WHERE scenario = ''integration''',
  '{sync,query,mapping,validation,reconciliation}'::text[], 'the scenario has its five operations');
SELECT is((SELECT dataset FROM perfopt.scenario WHERE name = 'integration'), 'integration', 'it works on the dataset integration');
SELECT ok(bool_and(script ~ '^BEGIN;\n' AND script ~ '\nCOMMIT;\n$'), 'each operation is a transaction')
FROM perfopt.operation WHERE scenario = 'integration';
SELECT is_empty(format('SELECT pg_temp.full_scans(%L)', name), format('%s reads no large table from end to end', name))
FROM perfopt.operation WHERE scenario = 'integration' ORDER BY operation_id;
BEGIN;
DROP INDEX external_id_map_entity_id_idx;
SELECT results_eq('SELECT DISTINCT pg_temp.full_scans(''mapping'')', '{"mapping: external_id_map"}'::text[],
  'without the index on its foreign key, mapping does');
SELECT is_empty('SELECT pg_temp.full_scans(''query'')', 'and query does not');
ROLLBACK;

-- Whoever holds locks on the systems holds up sync, and not query.
SELECT dblink_connect('holder', format('dbname=%s host=%s port=%s user=%s', current_database(),
         split_part(current_setting('unix_socket_directories'), ',', 1), current_setting('port'), current_user)) \g /dev/null
SELECT dblink_exec('holder', 'BEGIN') \g /dev/null
SELECT n FROM dblink('holder', 'SELECT count(*) FROM (SELECT FROM dataset_test.external_system FOR UPDATE) s') t (n int) \g /dev/null
SET lock_timeout = '100ms';
SELECT throws_ok('SELECT pg_temp.full_scans(''sync'')', '55P03', NULL, 'sync waits for locks on the systems');
SELECT lives_ok('SELECT pg_temp.full_scans(''query'')', 'query does not');
SELECT lives_ok('SELECT pg_temp.full_scans(''mapping'')', 'nor does mapping');
SELECT dblink_exec('holder', 'COMMIT') \g /dev/null
SELECT lives_ok('SELECT pg_temp.full_scans(''sync'')', 'sync goes on when they are released');
RESET lock_timeout;
SELECT dblink_disconnect('holder') \g /dev/null
RESET search_path;

-- Reset and reproducibility.
DROP INDEX dataset_test.external_id_map_entity_id_idx;
SELECT perfopt.reset_dataset('dataset_test') \g /dev/null
SELECT has_index('dataset_test', 'external_id_map', 'external_id_map_entity_id_idx', 'reset_dataset brings a dropped index back');
SELECT perfopt.create_dataset('Dataset "2"') \g /dev/null
SELECT is(pg_temp.fingerprint('Dataset "2"'), pg_temp.fingerprint('dataset_test'), 'a dataset has the same contents each time');
SELECT throws_ok('SELECT perfopt.create_dataset(''dataset_test'')', '42710', 'dataset "dataset_test" already exists', 'a name is taken only once');
SELECT perfopt.drop_dataset('Dataset "2"') \g /dev/null
SELECT hasnt_schema('Dataset "2"', 'drop_dataset drops the schema');
SELECT is_empty('SELECT FROM perfopt.dataset WHERE name = ''Dataset "2"''', 'and the row');

-- Nothing that perfopt did not make is touched.
CREATE SCHEMA dataset_foreign;
CREATE TABLE dataset_foreign.entity (id int);
SELECT throws_ok('SELECT perfopt.create_dataset(''dataset_foreign'')', '42P06', 'schema "dataset_foreign" already exists and is not a perfopt dataset',
  'an existing schema is not taken over');
SELECT throws_ok('SELECT perfopt.drop_dataset(''dataset_foreign'')', '42704', 'dataset "dataset_foreign" does not exist', 'nor dropped');
CREATE TABLE dataset_test.notes (id int);
SELECT throws_ok('SELECT perfopt.drop_dataset(''dataset_test'')', '2BP01', 'dataset "dataset_test" holds relations that perfopt did not make: notes',
  'a dataset with a stranger''s table in it is not dropped');
SELECT throws_ok('SELECT perfopt.reset_dataset(''dataset_test'')', '2BP01', NULL, 'nor reset');
DROP SCHEMA dataset_test CASCADE;
CREATE SCHEMA dataset_test;
CREATE TABLE dataset_test.entity (id int);
SELECT throws_ok('SELECT perfopt.drop_dataset(''dataset_test'')', '55000', 'schema "dataset_test" is not the one that perfopt made for dataset "dataset_test"',
  'a schema that took the place of a dataset is not dropped');
SELECT has_table('dataset_test', 'entity', 'its tables are still there');
DROP SCHEMA dataset_test CASCADE;
SELECT lives_ok('SELECT perfopt.drop_dataset(''dataset_test'')', 'a dataset whose schema is gone can be dropped');

SELECT throws_ok(format('SELECT perfopt.create_dataset(%s)', bad), '22023', NULL, format('create_dataset(%s) is refused', bad))
FROM unnest(ARRAY['''''', '''pg_mine''', '''x'', 0', '''x'', 1, ''nothing''']) bad;

-- With the caller's own rights.
CREATE ROLE dataset_tester;
SELECT perfopt.grant_access('dataset_tester', 'tester') \g /dev/null
SET ROLE dataset_tester;
SELECT throws_ok('SELECT perfopt.create_dataset(''dataset_test'')', '42501', NULL, 'a tester without CREATE on the database makes no dataset');
RESET ROLE;
SELECT format('GRANT CREATE ON DATABASE %I TO dataset_tester', current_database()) \gexec
SET ROLE dataset_tester;
SELECT lives_ok('SELECT perfopt.create_dataset(''dataset_test'')', 'a tester with it does');
SELECT lives_ok('SELECT perfopt.drop_dataset(''dataset_test'')', 'and drops it');
RESET ROLE;

SELECT * FROM finish();
DROP SCHEMA dataset_foreign CASCADE;
SELECT perfopt.revoke_access('dataset_tester') \g /dev/null
SELECT format('REVOKE CREATE ON DATABASE %I FROM dataset_tester', current_database()) \gexec
DROP ROLE dataset_tester;
