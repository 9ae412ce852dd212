-- The scenario integration: what an application does that keeps its records in step with other
-- systems'. Rules for the scripts:
-- - Locks are taken in one order: external_system, sync_job, entity, external_id_map, then inserts;
--   a transaction touches one entity, so they can't deadlock.
-- - No row is written by all: sync only shares its external_system row (FOR SHARE), which waits for
--   whoever updates or locks that row, but not for other syncs.
-- - What an operation costs doesn't depend on how long the test has been running.

INSERT INTO perfopt.scenario (name, description, dataset, builtin) VALUES
  ('integration',
   'An application that keeps entities in step with external systems. It needs the dataset: SELECT perfopt.create_dataset(''integration'');',
   'integration', true);

INSERT INTO perfopt.operation (scenario, name, weight, script, variables) VALUES
  ('integration', 'sync', 20,
   $script$BEGIN;
SELECT s.system_id, s.base_url, s.status
  FROM sync_job j JOIN external_system s ON s.system_id = j.system_id
  WHERE j.job_id = :job_id
  FOR SHARE OF s;
UPDATE sync_job SET status = 'running', started_at = clock_timestamp(), finished_at = NULL
  WHERE job_id = :job_id;
UPDATE entity e SET version = e.version + 1, updated_at = clock_timestamp()
  FROM external_id_map m
  WHERE m.map_id = :map_id AND e.entity_id = m.entity_id;
INSERT INTO sync_change (job_id, entity_id, operation, payload)
  SELECT j.job_id, m.entity_id, 'update', jsonb_build_object('external_id', m.external_id)
  FROM sync_job j, external_id_map m
  WHERE j.job_id = :job_id AND m.map_id = :map_id;
UPDATE sync_job SET status = 'succeeded', finished_at = clock_timestamp(), changes = changes + 1
  WHERE job_id = :job_id;
COMMIT;
$script$,
   '{"job_id": {"uniform": [1, "(SELECT max(job_id) FROM sync_job)"]},
     "map_id": {"uniform": [1, "(SELECT max(map_id) FROM external_id_map)"]}}'),
  ('integration', 'query', 40,
   $script$BEGIN;
SELECT kind, name, status, version, attributes, updated_at
  FROM entity WHERE entity_id = :entity_id;
SELECT c.change_id, c.operation, c.payload, j.status
  FROM sync_change c JOIN sync_job j ON j.job_id = c.job_id
  WHERE c.entity_id = :entity_id
  ORDER BY c.change_id DESC LIMIT 10;
COMMIT;
$script$,
   '{"entity_id": {"uniform": [1, "(SELECT max(entity_id) FROM entity)"]}}'),
  ('integration', 'mapping', 20,
   $script$BEGIN;
SELECT m.map_id, s.name, m.external_id, m.verified_at
  FROM external_id_map m JOIN external_system s ON s.system_id = m.system_id
  WHERE m.entity_id = :entity_id;
UPDATE external_id_map SET verified_at = clock_timestamp()
  WHERE map_id = (SELECT min(map_id) FROM external_id_map WHERE entity_id = :entity_id);
COMMIT;
$script$,
   '{"entity_id": {"uniform": [1, "(SELECT max(entity_id) FROM entity)"]}}'),
  ('integration', 'validation', 15,
   $script$BEGIN;
SELECT rule, passed, checked_at FROM validation_result WHERE entity_id = :entity_id;
INSERT INTO validation_result (entity_id, rule, passed, checked_at)
  SELECT e.entity_id, r.rule, r.passed, clock_timestamp()
  FROM entity e,
       LATERAL (VALUES ('name_present', e.name <> ''),
                       ('status_known', e.status IN ('active', 'suspended', 'deleted'))) r (rule, passed)
  WHERE e.entity_id = :entity_id
  ON CONFLICT (entity_id, rule) DO UPDATE SET passed = excluded.passed, checked_at = excluded.checked_at;
COMMIT;
$script$,
   '{"entity_id": {"uniform": [1, "(SELECT max(entity_id) FROM entity)"]}}'),
  ('integration', 'reconciliation', 5,
   $script$BEGIN;
SELECT m.map_id, m.external_id, e.status
  FROM (SELECT * FROM external_id_map WHERE map_id >= :map_id ORDER BY map_id LIMIT 20) m
  JOIN entity e ON e.entity_id = m.entity_id
  WHERE e.status = 'deleted';
INSERT INTO reconciliation_run (system_id, status, finished_at, matched, mismatched)
  SELECT min(m.system_id), 'finished', clock_timestamp(),
         count(*) FILTER (WHERE e.status <> 'deleted'), count(*) FILTER (WHERE e.status = 'deleted')
  FROM (SELECT * FROM external_id_map WHERE map_id >= :map_id ORDER BY map_id LIMIT 20) m
  JOIN entity e ON e.entity_id = m.entity_id;
COMMIT;
$script$,
   '{"map_id": {"uniform": [1, "(SELECT max(map_id) FROM external_id_map)"]}}');
