-- analyze() and recommendations(), for findings from samples written by hand.
SET timezone = 'UTC';
SELECT * FROM perfopt.recommendations(-1);
SELECT perfopt.analyze('0');
SELECT perfopt.analyze(NULL);
SELECT perfopt.accept_recommendation(-1);
SELECT perfopt.dismiss_recommendation(NULL);
BEGIN;
-- As on a new installation, with ids that are the same in each run.
DELETE FROM perfopt.analysis;
SELECT count(*) FROM perfopt.recommendations();
SELECT setval(pg_get_serial_sequence('perfopt.analysis', 'analysis_id'), 1000) \g /dev/null
SET LOCAL work_mem = '4MB';
SET LOCAL track_io_timing = off;
SET LOCAL deadlock_timeout = '1s';
\getenv source PG_ABS_SRCDIR
\set helpers :source '/test/lib/window.sql'
\set ECHO none
\i :helpers
\set ECHO all
ALTER ROLE regress_app SET work_mem = '5MB';

-- One window with every finding that samples alone can show.
SELECT pg_temp.machine('2020-01-01 00:00') \g /dev/null
SELECT pg_temp.sessions('2020-01-01 00:00', '[[1, "CPU", "CPU", 600], [2, "IO", "WALSync", 250], [3, "IO", "BufFileWrite", 50],
  [4, "IO", "DataFileRead", 100], [5, "Client", "ClientWrite", 50], [6, "Lock", "transactionid", 300], [7, "IO", "DataFileWrite", 20]]') \g /dev/null
SELECT pg_temp.blocker('2020-01-01 00:00', i, 4711, 'regress_idler', 'idle in transaction', 5 * i, 3)
FROM generate_series(1, 3) i \g /dev/null
SELECT pg_temp.blocker('2020-01-01 00:00', i, 4712, 'regress_app', 'active', 2, 3) FROM generate_series(4, 6) i \g /dev/null
SELECT pg_temp.metric('2020-01-01 00:00', name, labels::jsonb, value) FROM (VALUES
  ('pg_xact_commit_total', '{"database": "app"}', 400),
  ('pg_temp_bytes_total', '{"database": "app"}', 20 * 1024.0 ^ 2),
  ('pg_temp_files_total', '{"database": "app"}', 4),
  ('pg_connections_used_ratio', '{}', 0.93),
  ('pg_sessions_max', '{}', 100),
  ('pg_sessions', '{"state": "idle"}', 80),
  ('pg_sessions', '{"state": "active"}', 10),
  ('pg_deadlocks_total', '{"database": "app"}', 2),
  ('redis_up', '{"target": "app_cache"}', 0),
  ('redis_keyspace_hits_total', '{"target": "app_cache"}', 200),
  ('redis_keyspace_misses_total', '{"target": "app_cache"}', 800),
  ('redis_evicted_keys_total', '{"target": "app_cache"}', 10),
  ('redis_memory_max_bytes', '{"target": "app_cache"}', 100 * 1024.0 ^ 2),
  ('pg_checkpoints_requested_total', '{}', 1),
  ('pg_checkpoints_timed_total', '{}', 0),
  ('pg_blocks_read_total', '{"database": "app"}', (SELECT setting::float8 FROM pg_settings WHERE name = 'shared_buffers')),
  ('pg_wal_bytes_total', '{}', (SELECT setting::float8 * 1024 ^ 2 / 2 FROM pg_settings WHERE name = 'max_wal_size'))
  ) AS m (name, labels, value) \g /dev/null

SELECT perfopt.analyze('1 min', '2020-01-01 00:01') AS analysis_id \gset
SELECT since, until, analyzed_by = current_user AS analyzed_by, covered_seconds, round(aas::numeric, 3) AS aas, round(db_seconds::numeric, 1) AS db_seconds,
       samples, cores, perfopt_version FROM perfopt.analysis WHERE analysis_id = :analysis_id;
SELECT rank, category, finding, severity, impact_pct, entity FROM perfopt.bottleneck
WHERE analysis_id = :analysis_id AND entity !~ ' = ' ORDER BY rank;
SELECT finding, count(r.*) > 0 AS advised FROM perfopt.bottleneck b
LEFT JOIN perfopt.recommendation r USING (analysis_id, finding) WHERE analysis_id = :analysis_id GROUP BY 1 ORDER BY 1;

-- Those that do not depend on this machine's settings, word by word.
\x on
SELECT title, action_sql, revert_sql, risk, effort_hours, confidence, state, rationale FROM perfopt.recommendations()
WHERE finding IN ('idle_in_transaction', 'lock_contention', 'work_mem_spill', 'cache_down', 'cache_low_hit_ratio', 'cpu_saturation',
                  'client_wait', 'top_statement') ORDER BY finding, title;
\x off
SELECT finding, title, action_sql FROM perfopt.recommendations()
WHERE finding IN ('connection_saturation', 'deadlocks', 'wal_sync') ORDER BY finding, title;

-- Ranks follow the score, and the score its formula.
SELECT bool_and(rank = expected) AS by_score FROM (
  SELECT rank, row_number() OVER (ORDER BY score DESC, rank) AS expected FROM perfopt.recommendations()) r;
SELECT bool_and(abs(score - coalesce(r.impact_pct, CASE b.severity WHEN 'critical' THEN 50 WHEN 'warning' THEN 10 ELSE 2 END)
  * confidence * CASE risk WHEN 'low' THEN 1 WHEN 'medium' THEN 0.75 ELSE 0.4 END / (1 + effort_hours / 8)) < 0.02) AS by_formula
FROM perfopt.recommendations() r JOIN perfopt.bottleneck b USING (analysis_id, finding, entity);

-- Every action and revert is SQL that the server accepts: settings are tried and undone.
CREATE FUNCTION pg_temp.roles() RETURNS text LANGUAGE sql AS $$
  SELECT string_agg(format('%s: %s', rolname, (SELECT string_agg(c, ', ' ORDER BY c COLLATE "C") FROM unnest(rolconfig) c)), '; ' ORDER BY rolname COLLATE "C")
  FROM pg_roles WHERE rolname LIKE 'regress\_%' AND rolconfig IS NOT NULL
$$;
SELECT pg_temp.roles() AS before \gset
SELECT action_sql FROM perfopt.recommendations() WHERE action_sql LIKE 'ALTER ROLE%' ORDER BY rank \gexec
SELECT pg_temp.roles() AS applied;
SELECT revert_sql FROM perfopt.recommendations() WHERE action_sql LIKE 'ALTER ROLE%' ORDER BY rank \gexec
SELECT pg_temp.roles() = :'before' AS reverted;
SELECT bool_and(revert_sql = CASE WHEN action_sql LIKE 'ALTER SYSTEM%'
         THEN regexp_replace(action_sql, '^ALTER SYSTEM SET (\S+) = [^\n]*', 'ALTER SYSTEM RESET \1;') END) AS resets
FROM perfopt.recommendations() WHERE action_sql LIKE 'ALTER SYSTEM%';

-- A recommendation is accepted or dismissed, by whom and why.
SELECT min(recommendation_id) AS first, max(recommendation_id) AS last FROM perfopt.recommendations() \gset
SELECT perfopt.accept_recommendation(:first, 'next window');
SELECT perfopt.dismiss_recommendation(:last);
SELECT state, state_changed_at IS NOT NULL AS changed_at, state_changed_by = current_user AS changed_by, note
FROM perfopt.recommendations() WHERE state <> 'proposed' ORDER BY state;
SAVEPOINT before;
\set VERBOSITY sqlstate
SELECT perfopt.accept_recommendation(:first);
ROLLBACK TO before;
\set VERBOSITY default

-- A window without findings is stored too, and says so.
SELECT perfopt.analyze('1 min', '2020-01-01 12:00') AS empty_id \gset
SELECT :empty_id > :analysis_id AS newer;
SELECT count(*) FROM perfopt.recommendations(:empty_id);
-- Analysis and its advice in one statement.
SELECT count(*) > 10 AS advised FROM perfopt.recommendations(perfopt.analyze('1 min', '2020-01-01 00:01'));
ROLLBACK;
