-- The thresholds that perfopt comes with. They stand before the triggers that check them: no metric is in
-- the catalogue while the extension is being created.

INSERT INTO perfopt.threshold (name, metric, measure, period, labels, operator, warning, critical, hold, escalate_after, builtin, set_by, lineage, summary)
SELECT perfopt.threshold_name(d.metric, d.measure, d.period::interval, d.labels::jsonb, d.operator), d.metric, d.measure,
       d.period::interval, d.labels::jsonb, d.operator, d.warning, d.critical, d.hold::interval, NULL, true, NULL, d.lineage, d.summary
FROM (VALUES
  -- system
  ('node_cpu_busy_ratio', 'avg', '10 min', '{}', '>', 0.85, 0.95, '0', 'convention: netdata, 10 minutes at 85 / 95 %',
   'The processors are busy'),
  ('node_memory_available_ratio', 'max', '5 min', '{}', '<', 0.10, 0.05, '0', 'convention: netdata, 10 % available',
   'Memory is running out'),
  ('node_filesystem_avail_ratio', 'value', NULL, '{}', '<', 0.10, 0.05, '2 min', 'convention: netdata, 10 % free',
   'A file system of the server is filling up'),
  ('node_vmstat_oom_kill_total', 'value', NULL, '{}', '>', NULL, 0, '0', 'convention: any',
   'The kernel killed a process for want of memory'),
  -- application
  ('pg_connections_used_ratio', 'value', NULL, '{}', '>', 0.75, 0.90, '1 min', 'convention: Crunchy Data, 75 / 90 %',
   'Connections are running out'),
  ('pg_session_oldest_idle_in_xact_seconds', 'value', NULL, '{}', '>', 300, 900, '0', 'convention: Crunchy Data, 5 / 15 minutes',
   'A session sits idle in a transaction'),
  ('pg_sessions', 'absent', NULL, '{}', '>', NULL, 300, '0', 'judgement: ten cycles of 30 s',
   'The collector has brought nothing for a while'),
  -- database
  ('pg_xact_rollback_ratio', 'avg', '5 min', '{}', '>', 0.02, 0.20, '0', 'convention: netdata, 2 % for 5 minutes; critical by judgement',
   'Transactions are rolled back'),
  ('pg_deadlocks_total', 'avg', '5 min', '{}', '>', 0.005, 0.1, '0', 'judgement: two in five minutes, 6 a minute',
   'Sessions run into deadlocks'),
  ('pg_lock_wait_max_seconds', 'value', NULL, '{}', '>', 60, 300, '0', 'judgement',
   'A session waits long for a lock'),
  ('pg_replication_lag_bytes', 'value', NULL, '{}', '>', 104857600, 1073741824, '2 min', 'convention: pganalyze, 100 MB / 1 GB',
   'A standby is behind'),
  ('pg_slot_retained_bytes', 'value', NULL, '{}', '>', 10737418240, 53687091200, '5 min', 'convention: 10 GB; critical by judgement',
   'A replication slot keeps WAL'),
  ('pg_archive_ready_files', 'min', '10 min', '{}', '>', 20, 200, '0', 'judgement',
   'WAL waits to be archived'),
  ('pg_database_frozenxid_age', 'value', NULL, '{}', '>', 1000000000, 1500000000, '0', 'judgement: half and three quarters of the way to wraparound',
   'Transaction ids are running out'),
  ('pg_sequence_used_ratio', 'value', NULL, '{}', '>', 0.80, 0.90, '0', 'convention: pghero, 90 %',
   'A sequence is running out'),
  ('pg_checksum_failures_total', 'value', NULL, '{}', '>', NULL, 0, '0', 'convention: any',
   'A page has a wrong checksum'),
  -- cache
  ('redis_up', 'value', NULL, '{}', '<', NULL, 1, '30 s', 'convention: any sustained',
   'A Redis does not answer'),
  ('redis_ping_seconds', 'avg', '5 min', '{}', '>', 0.05, 0.5, '0', 'judgement',
   'A Redis answers slowly'),
  ('redis_rejected_connections_total', 'value', NULL, '{}', '>', 0, NULL, '0', 'convention: any',
   'A Redis refuses connections'),
  ('redis_rdb_last_bgsave_ok', 'value', NULL, '{}', '<', 1, NULL, '5 min', 'convention: any sustained',
   'A Redis cannot save'),
  -- external
  ('probe_up', 'value', NULL, '{}', '<', NULL, 1, '30 s', 'convention: any sustained',
   'A service does not answer as it should'),
  ('probe_duration_seconds', 'avg', '5 min', '{"phase": "total"}', '>', 1, 5, '0', 'judgement',
   'A service answers slowly'),
  ('probe_cert_expiry_seconds', 'value', NULL, '{}', '<', 1209600, 259200, '0', 'convention: 14 days; critical by judgement',
   'A certificate expires'),
  ('external_error_ratio', 'avg', '5 min', '{}', '>', 0.05, 0.20, '0', 'judgement',
   'Calls to a service fail'),
  -- integration
  ('integration_sync_lag_seconds', 'value', NULL, '{}', '>', 900, 3600, '5 min', 'judgement',
   'Synchronisation is behind'),
  ('integration_validation_pass_ratio', 'avg', '15 min', '{}', '<', 0.95, 0.80, '0', 'judgement',
   'Records fail validation'),
  ('pg_cron_job_failures_total', 'value', NULL, '{}', '>', 0, NULL, '0', 'judgement: any',
   'A scheduled job failed'),
  ('pg_notify_queue_ratio', 'value', NULL, '{}', '>', 0.50, 0.80, '1 min', 'convention: PostgreSQL itself warns at 50 %',
   'The notification queue is filling up'),
  -- scored, so that what is unusual can be looked up; nobody is told
  ('node_cpu_busy_ratio', 'anomaly', NULL, '{}', '>', NULL, NULL, '0', 'measured: docs/math.md', 'Processors are busy in an unusual way'),
  ('pg_connections_used_ratio', 'anomaly', NULL, '{}', '>', NULL, NULL, '0', 'measured: docs/math.md', 'An unusual number of connections'),
  ('pg_xact_commit_total', 'anomaly', NULL, '{}', '>', NULL, NULL, '0', 'measured: docs/math.md', 'An unusual rate of transactions'),
  ('pg_wal_bytes_total', 'anomaly', NULL, '{}', '>', NULL, NULL, '0', 'measured: docs/math.md', 'An unusual rate of WAL'),
  ('redis_ping_seconds', 'anomaly', NULL, '{}', '>', NULL, NULL, '0', 'measured: docs/math.md', 'A Redis answers unusually'),
  ('probe_duration_seconds', 'anomaly', NULL, '{"phase": "total"}', '>', NULL, NULL, '0', 'measured: docs/math.md', 'A service answers unusually')
  ) AS d (metric, measure, period, labels, operator, warning, critical, hold, lineage, summary);

INSERT INTO perfopt.inhibition (source_metric, target_metric, equal_labels, builtin) VALUES
  ('probe_up', 'probe_duration_seconds', '{target}', true),
  ('probe_up', 'probe_cert_expiry_seconds', '{target}', true),
  ('probe_up', 'external_error_ratio', '{target}', true),
  ('redis_up', 'redis_ping_seconds', '{target}', true),
  ('redis_up', 'redis_rejected_connections_total', '{target}', true),
  ('redis_up', 'redis_rdb_last_bgsave_ok', '{target}', true),
  ('pg_session_oldest_idle_in_xact_seconds', 'pg_lock_wait_max_seconds', '{}', true);

-- Findings: causes speak for their symptoms, along the chain that diagnosis charges samples along.
INSERT INTO perfopt.inhibition (source_metric, source_labels, target_metric, target_labels, builtin)
SELECT 'perfopt_finding_impact_ratio', jsonb_build_object('finding', c.cause), 'perfopt_finding_impact_ratio',
       jsonb_build_object('finding', c.symptom), true
FROM (VALUES ('external_latency', 'call_inside_transaction'), ('call_inside_transaction', 'idle_in_transaction'),
             ('idle_in_transaction', 'lock_contention'), ('lock_contention', 'ddl_lock_queue'),
             ('idle_in_transaction', 'xmin_horizon_held'), ('missing_index', 'cpu_saturation'),
             ('cache_down', 'cache_low_hit_ratio')) AS c (cause, symptom);

CREATE TRIGGER check_threshold BEFORE INSERT OR UPDATE ON perfopt.threshold
  FOR EACH ROW EXECUTE FUNCTION perfopt.check_threshold();

CREATE FUNCTION perfopt.check_inhibition() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  IF NEW.source_metric = NEW.target_metric AND NEW.source_labels = NEW.target_labels THEN
    RAISE EXCEPTION 'alerts on "%" cannot inhibit themselves', NEW.source_metric USING ERRCODE = 'invalid_parameter_value',
      HINT = 'Give labels that tell the cause from the symptom.';
  END IF;
  IF TG_OP = 'UPDATE' THEN
    NEW.builtin := false;
  ELSE
    DELETE FROM perfopt.inhibition i
    WHERE i.builtin AND (i.source_metric, i.source_labels, i.target_metric, i.target_labels)
                        = (NEW.source_metric, NEW.source_labels, NEW.target_metric, NEW.target_labels);
  END IF;
  RETURN NEW;
END $$;
COMMENT ON FUNCTION perfopt.check_inhibition() IS
  'Refuses rows of perfopt.inhibition that make no sense, with an error that says why; its trigger calls it.';
CREATE TRIGGER check_inhibition BEFORE INSERT OR UPDATE ON perfopt.inhibition
  FOR EACH ROW EXECUTE FUNCTION perfopt.check_inhibition();

SELECT pg_catalog.pg_extension_config_dump('perfopt.threshold', 'WHERE NOT builtin OR set_by IS NOT NULL');
SELECT pg_catalog.pg_extension_config_dump('perfopt.inhibition', 'WHERE NOT builtin');
SELECT pg_catalog.pg_extension_config_dump('perfopt.silence', '');
SELECT pg_catalog.pg_extension_config_dump('perfopt.silence_silence_id_seq', '');
