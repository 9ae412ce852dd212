CREATE TABLE perfopt.blocking (
  ts timestamptz NOT NULL,
  blocker_pid int NOT NULL,
  blocker_database oid,
  blocker_role oid,
  blocker_state text,
  blocker_query_id bigint,
  blocker_xact_s float8,
  blocker_state_s float8,
  relation oid,
  locktype text,
  mode text,
  waiters int NOT NULL,
  wait_max_s float8
) PARTITION BY RANGE (ts);
CREATE INDEX blocking_ts_idx ON perfopt.blocking (ts);
COMMENT ON TABLE perfopt.blocking IS
  'Who made others wait for locks, one row a cycle and root blocker: its state, how long its transaction and its state have lasted (s), for what the others wait, how many they are and the longest wait (s). pid 0 is a prepared transaction. Example: SELECT ts, blocker_pid, blocker_state, waiters, wait_max_s FROM perfopt.blocking ORDER BY ts DESC LIMIT 10;';

CREATE FUNCTION perfopt.read_source_status(
  OUT source text, OUT target text, OUT state text, OUT last_success timestamptz,
  OUT last_error text, OUT cycles bigint, OUT errors bigint, OUT cpu_ms float8, OUT wall_ms float8,
  OUT last_error_at timestamptz)
RETURNS SETOF record
LANGUAGE c STRICT VOLATILE AS 'MODULE_PATHNAME', 'perfopt_source_status';
COMMENT ON FUNCTION perfopt.read_source_status() IS
  'What the view perfopt.source_status shows. Example: SELECT * FROM perfopt.read_source_status();';

CREATE VIEW perfopt.source_status AS
  SELECT source, target, state, last_success, last_error, cycles, errors,
         round(cpu_ms::numeric, 3)::float8 AS cpu_ms, round(wall_ms::numeric, 3)::float8 AS wall_ms,
         last_error_at
  FROM perfopt.read_source_status()
  ORDER BY state, source, target;
COMMENT ON VIEW perfopt.source_status IS
  'How each source of metrics and each of its targets fares since the server started: state ok or failing, last success and error, runs, failed runs, CPU and wall time of the last run (ms). Example: SELECT * FROM perfopt.source_status WHERE state <> ''ok'';';

CREATE FUNCTION perfopt.collect_now() RETURNS void
LANGUAGE c STRICT VOLATILE AS 'MODULE_PATHNAME', 'perfopt_collect_now';
COMMENT ON FUNCTION perfopt.collect_now() IS
  'Runs one collecting cycle at once, of all sources and targets, and returns when its samples are visible. Example: SELECT perfopt.collect_now();';
