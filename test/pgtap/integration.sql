-- What the tables of a dataset tell: counters by external system, lag, validations, mappings.
\set QUIET on
\set ON_ERROR_STOP on
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS perfopt;
SELECT plan(23);

CREATE FUNCTION pg_temp.total(metric text, system text DEFAULT 'all') RETURNS float8 LANGUAGE sql AS $$
  SELECT coalesce(sum(s.value), 0) FROM perfopt.sample s
  WHERE s.metric = $1 AND s.labels = jsonb_build_object('dataset', 'measured', 'system', $2)
$$;
CREATE FUNCTION pg_temp.latest(metric text, system text DEFAULT 'all') RETURNS float8 LANGUAGE sql AS $$
  SELECT s.value FROM perfopt.sample s
  WHERE s.metric = $1 AND s.labels = jsonb_build_object('dataset', 'measured', 'system', $2)
  ORDER BY s.ts DESC LIMIT 1
$$;
-- Twice: counters are one reading late.
CREATE FUNCTION pg_temp.collect() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  PERFORM perfopt.collect_now();
  PERFORM perfopt.collect_now();
END $$;

SELECT perfopt.collect_now() \g /dev/null
SELECT ok((SELECT state = 'absent' AND last_error LIKE '%create_dataset%' FROM perfopt.source_status
  WHERE source = 'integration' AND target IS NULL), 'without a dataset the source says how to get one');

SELECT perfopt.create_dataset('measured') \g /dev/null
SELECT perfopt.collect_now() \g /dev/null
SELECT pg_temp.collect() \g /dev/null
SELECT is((SELECT state FROM perfopt.source_status WHERE source = 'integration' AND target = 'measured'), 'ok', 'a dataset is read');
SELECT is((SELECT count(*) FROM perfopt.sample WHERE metric ~ '^integration_(sync|reconciliation)_operations'), 0::bigint,
  'what it was filled with is not taken for operations');
SELECT is(pg_temp.latest('integration_validation_pass_ratio'),
  (SELECT round(avg(passed::int), 6)::float8 FROM measured.validation_result), 'the share of validations that passed');
SELECT is(pg_temp.latest('integration_unmapped_ids'), 0::float8, 'all entities are mapped');
SELECT cmp_ok(pg_temp.latest('integration_sync_lag_seconds', name), '>', 0::float8, 'the lag of a system that was synced')
FROM measured.sync_job JOIN measured.external_system USING (system_id) ORDER BY job_id DESC LIMIT 1;

-- Three changes by one system's job, one of which by a job that failed; the other system has none.
SELECT name AS system, system_id FROM measured.external_system ORDER BY system_id OFFSET 1 LIMIT 1 \gset
INSERT INTO measured.sync_job (system_id, direction, status) VALUES (:system_id, 'import', 'succeeded'), (:system_id, 'import', 'failed');
INSERT INTO measured.sync_change (job_id, entity_id, operation)
  SELECT max(job_id) - 1, 1, 'update' FROM measured.sync_job UNION ALL
  SELECT max(job_id) - 1, 2, 'update' FROM measured.sync_job UNION ALL
  SELECT max(job_id), 3, 'update' FROM measured.sync_job;
INSERT INTO measured.reconciliation_run (system_id, status, matched, mismatched) VALUES
  (:system_id, 'finished', 10, 7), (:system_id, 'failed', 0, 0), (:system_id, 'finished', 10, 4);
INSERT INTO measured.entity (kind, name, status) VALUES ('customer', 'unmapped', 'active'), ('customer', 'unmapped', 'active');
SELECT pg_temp.total('integration_validation_operations_total') AS validations,
       pg_temp.total('integration_validation_failures_total') AS failures,
       pg_temp.total('integration_mapping_operations_total') AS mappings,
       pg_temp.total('integration_query_operations_total') AS queries \gset
UPDATE measured.validation_result SET passed = false, checked_at = clock_timestamp() WHERE result_id <= 5;
UPDATE measured.external_id_map SET verified_at = clock_timestamp() WHERE map_id <= 4;
SET enable_seqscan = off;
SET enable_bitmapscan = off;
SELECT count(*) FROM measured.sync_change WHERE entity_id = 17 \g /dev/null
RESET enable_seqscan;
RESET enable_bitmapscan;
SELECT pg_stat_force_next_flush() \g /dev/null
SELECT clock_timestamp() AS changed \gset
SELECT pg_temp.collect() \g /dev/null

SELECT is(pg_temp.total('integration_sync_operations_total', :'system'), 3::float8, 'changes are counted by system');
SELECT is(pg_temp.total('integration_sync_failures_total', :'system'), 1::float8, 'so are those of failed jobs');
SELECT is((SELECT sum(value) FROM perfopt.sample WHERE metric = 'integration_sync_operations_total'), 3::float8, 'of no other system');
SELECT is(pg_temp.total('integration_reconciliation_operations_total', :'system'), 3::float8, 'reconciliations too');
SELECT is(pg_temp.total('integration_reconciliation_failures_total', :'system'), 1::float8, 'and those that failed');
SELECT is(pg_temp.latest('integration_reconciliation_mismatches', :'system'), 4::float8, 'mismatches of the latest');
SELECT cmp_ok(pg_temp.latest('integration_sync_lag_seconds', :'system'), '<', 60::float8, 'the lag begins anew');
SELECT is(pg_temp.latest('integration_unmapped_ids'), 2::float8, 'entities that no system knows');
SELECT is(pg_temp.total('integration_validation_operations_total') - :validations, 5::float8, 'validations');
SELECT is(pg_temp.total('integration_validation_failures_total') - :failures, 5::float8, 'and those that did not pass');
SELECT is(pg_temp.total('integration_mapping_operations_total') - :mappings, 4::float8, 'mappings');
SELECT cmp_ok(pg_temp.total('integration_query_operations_total') - :queries, '>=', 1::float8, 'look-ups');
SELECT pg_temp.collect() \g /dev/null
SELECT is(pg_temp.total('integration_sync_operations_total', :'system'), 3::float8, 'each is counted once');

-- More changes than are read: all are counted, and shared out as the latest were.
INSERT INTO measured.sync_change (job_id, entity_id, operation)
  SELECT j.job_id, 1, 'update' FROM (SELECT max(job_id) AS job_id FROM measured.sync_job) j, generate_series(1, 12000);
SELECT pg_temp.collect() \g /dev/null
SELECT is(pg_temp.total('integration_sync_operations_total', :'system'), 12003::float8, 'of very many, the latest stand for the others');

-- A locked table is left alone; a broken one is reported, and its neighbour is read.
BEGIN;
LOCK TABLE measured.sync_job IN ACCESS EXCLUSIVE MODE;
SELECT perfopt.collect_now() \g /dev/null
COMMIT;
SELECT is((SELECT count(*) FROM perfopt.source_status WHERE source = 'integration' AND state = 'failing'), 0::bigint,
  'a locked table is passed over');
SELECT perfopt.create_dataset('neighbour') \g /dev/null
ALTER TABLE measured.sync_change RENAME COLUMN created_at TO made_at;
SELECT perfopt.collect_now() \g /dev/null
SELECT results_eq($$SELECT target, state FROM perfopt.source_status WHERE source = 'integration' AND target IS NOT NULL ORDER BY 1$$,
  $$VALUES ('measured', 'failing'), ('neighbour', 'ok')$$, 'a dataset that cannot be read is named, the other is read');
SELECT perfopt.drop_dataset('measured') \g /dev/null
SELECT perfopt.drop_dataset('neighbour') \g /dev/null
SELECT perfopt.collect_now() \g /dev/null
SELECT is_empty($$SELECT * FROM perfopt.source_status WHERE source = 'integration' AND target IS NOT NULL$$, 'one that is dropped is forgotten');
SELECT * FROM finish();
