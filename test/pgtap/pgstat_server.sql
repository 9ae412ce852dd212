-- Server-wide statistics: settings, slots, WAL, SLRU caches, ages and sizes.
\set QUIET on
\set ON_ERROR_STOP on
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS perfopt;
SELECT plan(17);

-- The latest value of a metric.
CREATE FUNCTION pg_temp.latest(metric text, labels jsonb DEFAULT '{}') RETURNS float8 LANGUAGE sql AS $$
  SELECT s.value FROM perfopt.sample s WHERE s.metric = $1 AND s.labels = $2 ORDER BY s.ts DESC LIMIT 1
$$;
-- Collects until it has that value: a worker reads the configuration when it gets the signal.
CREATE FUNCTION pg_temp.becomes(metric text, value float8) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
  FOR i IN 1..100 LOOP
    PERFORM perfopt.collect_now();
    IF pg_temp.latest(metric) = value THEN
      RETURN true;
    END IF;
    PERFORM pg_sleep(0.1);
  END LOOP;
  RETURN false;
END $$;

SELECT jsonb_build_object('database', current_database()) AS here \gset
SELECT pg_create_physical_replication_slot('perfopt_kept', true) \g /dev/null
SELECT pg_create_physical_replication_slot('perfopt_temporary', true, true) \g /dev/null
CREATE TABLE perfopt_wal AS SELECT i FROM generate_series(1, 10000) i;
SELECT perfopt.collect_now() \g /dev/null
SELECT perfopt.collect_now() \g /dev/null

SELECT ok(pg_temp.latest('pg_slot_retained_bytes', '{"slot": "perfopt_kept"}') > 500000, 'WAL that is kept for a slot');
SELECT is(pg_temp.latest('pg_slot_active', '{"slot": "perfopt_kept"}'), 0::float8, 'of which nobody reads');
SELECT is(pg_temp.latest('pg_slot_active', '{"slot": "perfopt_temporary"}'), NULL, 'a temporary slot is none');
SELECT pg_drop_replication_slot('perfopt_kept'), pg_drop_replication_slot('perfopt_temporary') \g /dev/null
SELECT perfopt.collect_now() \g /dev/null
SELECT is_empty($$SELECT * FROM perfopt.current_metrics('database') WHERE metric LIKE 'pg\_slot\_%'$$, 'a slot that is dropped is gone');

SELECT is(pg_temp.latest('pg_wal_directory_bytes'),
  (SELECT sum(size) FROM pg_ls_waldir() WHERE name ~ '^[0-9A-F]{24}$')::float8, 'the size of the WAL directory');
SELECT is(pg_temp.latest('pg_archive_ready_files'), NULL, 'without an archive, nothing waits for it');
SELECT is(pg_temp.latest('pg_archive_failed_total'), NULL, 'or fails');
SELECT ok(pg_temp.latest('pg_slru_hit_total', (SELECT jsonb_build_object('name', name) FROM pg_stat_slru
  ORDER BY blks_hit DESC LIMIT 1)) >= 0, 'SLRU caches');
SELECT is(pg_temp.latest('pg_notify_queue_ratio'), 0::float8, 'the queue of NOTIFY is empty');

SELECT ok(abs(pg_temp.latest('pg_database_frozenxid_age', :'here') - age(datfrozenxid)) < 1000, 'age of the oldest transaction id')
FROM pg_database WHERE datname = current_database();
SELECT is(pg_temp.latest('pg_database_minmxid_age', :'here'), mxid_age(datminmxid)::float8, 'age of the oldest multixact')
FROM pg_database WHERE datname = current_database();
SELECT is((SELECT count(DISTINCT labels) FROM perfopt.sample WHERE metric = 'pg_database_frozenxid_age'
  AND labels->>'database' IN (SELECT datname FROM pg_database)), (SELECT count(*) FROM pg_database), 'of every database');
-- Read by and by: a little in each cycle.
DO $$
BEGIN
  FOR i IN 1..1000 LOOP
    EXIT WHEN EXISTS (SELECT FROM perfopt.sample WHERE metric = 'pg_database_size_bytes'
                      AND labels->>'database' = current_database());
    PERFORM perfopt.collect_now();
  END LOOP;
END $$;
SELECT ok(pg_temp.latest('pg_database_size_bytes', :'here') BETWEEN 0.9 * pg_database_size(current_database())
  AND pg_database_size(current_database()) + 1e6, 'size of the database');

-- Who holds a lock on a table holds nobody up who only counts.
BEGIN;
LOCK TABLE perfopt_wal IN ACCESS EXCLUSIVE MODE;
SELECT clock_timestamp() AS began \gset
SELECT perfopt.collect_now() \g /dev/null
SELECT ok(clock_timestamp() - :'began' < interval '5 s', 'a locked table holds up nothing');
COMMIT;
SELECT is_empty($$SELECT * FROM perfopt.source_status WHERE state = 'failing'$$, 'and makes no source fail');
DROP TABLE perfopt_wal;

SELECT setting AS running FROM pg_settings WHERE name = 'max_locks_per_transaction' \gset
ALTER SYSTEM SET max_locks_per_transaction = 65;
SELECT pg_reload_conf() \g /dev/null
SELECT ok(pg_temp.becomes('pg_settings_pending_restart', 1), 'a setting that waits for a restart');
ALTER SYSTEM SET max_locks_per_transaction = :running;
SELECT pg_reload_conf() \g /dev/null
SELECT ok(pg_temp.becomes('pg_settings_pending_restart', 0), 'until it is taken back');
ALTER SYSTEM RESET max_locks_per_transaction;
SELECT * FROM finish();
