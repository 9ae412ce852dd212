CREATE TABLE perfopt.active_session_hot (
  ts timestamptz NOT NULL,
  ticks int NOT NULL,
  database oid[] NOT NULL,
  role oid[] NOT NULL,
  query_id bigint[] NOT NULL,
  operation int[] NOT NULL,
  wait_class text[] NOT NULL,
  wait_event text[] NOT NULL,
  n int[] NOT NULL
) PARTITION BY RANGE (ts);
CREATE INDEX active_session_hot_ts_idx ON perfopt.active_session_hot (ts);
COMMENT ON TABLE perfopt.active_session_hot IS
  'Active-session samples as they are kept: one row a cycle; n is how often a combination was seen in `ticks` looks. Query perfopt.active_sessions or perfopt.db_time() instead.';
