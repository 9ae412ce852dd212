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
  'How each source of metrics and each of its targets fares since the server started: state ok, failing or absent (there is nothing to read; last_error says what is lacking), last success and error, runs, failed runs, CPU and wall time of the last run (ms). Example: SELECT * FROM perfopt.source_status WHERE state = ''failing'';';

CREATE FUNCTION perfopt.collect_now() RETURNS void
LANGUAGE c STRICT VOLATILE AS 'MODULE_PATHNAME', 'perfopt_collect_now';
COMMENT ON FUNCTION perfopt.collect_now() IS
  'Runs one collecting cycle at once, of all sources and targets, and returns when its samples are visible. Example: SELECT perfopt.collect_now();';

CREATE TABLE perfopt.statement_text (
  query_id bigint NOT NULL,
  database text NOT NULL,
  text text,
  looked_up_at timestamptz NOT NULL DEFAULT now(),
  last_seen timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (query_id, database)
);
COMMENT ON TABLE perfopt.statement_text IS
  'Texts of statements as they are kept; the view perfopt.statement shows them to those who may read them. A row without text stands for a statement that pg_stat_statements did not have when it was looked up.';

-- Texts may hold what is secret, so they are shown to those who may read them in pg_stat_statements.
CREATE VIEW perfopt.statement WITH (security_barrier = true) AS
  SELECT t.query_id, t.database,
         CASE WHEN pg_catalog.pg_has_role('pg_read_all_stats', 'USAGE') THEN t.text END AS text,
         t.last_seen
  FROM perfopt.statement_text t;
COMMENT ON VIEW perfopt.statement IS
  'Texts of the statements that were among the busiest (perfopt.top_statements), normalised by pg_stat_statements and cut at 4096 bytes. A text is shown to members of pg_read_all_stats, and NULL to others. last_seen is kept up to date by an eighth of perfopt.retention_raw, after which a statement that was not seen is forgotten. Example: SELECT s.labels->>''database'', t.text, sum(s.value) AS seconds FROM perfopt.sample s JOIN perfopt.statement t ON t.query_id = (s.labels->>''query_id'')::bigint AND t.database = s.labels->>''database'' WHERE s.metric = ''pg_statement_exec_seconds_total'' AND s.ts > now() - interval ''1 hour'' GROUP BY 1, 2 ORDER BY 3 DESC LIMIT 10;';
