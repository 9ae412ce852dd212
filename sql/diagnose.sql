-- bottlenecks() over windows in the past, whose samples are written by hand: it says the same each time.
-- The machine has 4 cores and 16 GB.
SET timezone = 'UTC';
BEGIN;
SET LOCAL work_mem = '4MB';
SET LOCAL deadlock_timeout = '1s';
\getenv source PG_ABS_SRCDIR
\set helpers :source '/test/lib/window.sql'
\set ECHO none
\i :helpers
\set ECHO all
SELECT pg_temp.machine('2020-01-01 00:00'::timestamptz + i * interval '1 h') FROM generate_series(0, 23) i \g /dev/null
\x on

-- Nothing sampled, nothing found.
SELECT * FROM pg_temp.found('2020-01-01 00:30');

-- Healthy: six statements share two thirds of a session, mostly on CPU.
SELECT pg_temp.sessions('2020-01-01 01:00', '[[1, "CPU", "CPU", 10], [2, "CPU", "CPU", 10], [3, "CPU", "CPU", 10], [4, "CPU", "CPU", 10],
  [9, "CPU", "CPU", 10], [10, "CPU", "CPU", 10], [5, "IO", "DataFileRead", 4], [6, "IO", "WALSync", 3], [7, "Client", "ClientRead", 300],
  [8, "Lock", "transactionid", 2]]') \g /dev/null
SELECT pg_temp.metric('2020-01-01 01:00', 'pg_session_oldest_idle_in_xact_seconds', '{}', 12) \g /dev/null
SELECT pg_temp.metric('2020-01-01 01:00', 'pg_connections_used_ratio', '{}', 0.4) \g /dev/null
SELECT pg_temp.metric('2020-01-01 01:00', 'pg_deadlocks_total', '{"database": "app"}', 0) \g /dev/null
SELECT pg_temp.metric('2020-01-01 01:00', 'redis_up', '{"target": "app_cache"}', 1) \g /dev/null
SELECT finding, severity, impact, entity FROM pg_temp.found('2020-01-01 01:00');

-- An idle server: one session commits now and then, always waiting for WAL. Too little to mean anything.
SELECT pg_temp.sessions('2020-01-01 02:00', '[[1, "IO", "WALSync", 3]]') \g /dev/null
SELECT * FROM pg_temp.found('2020-01-01 02:00');

-- Locks. Two sessions wait throughout; in the first four cycles the root blocker sits idle, then one that
-- works. The idle one's share is charged to it alone, the rest is contention.
SELECT pg_temp.sessions('2020-01-01 03:00', '[[1, "CPU", "CPU", 10], [2, "CPU", "CPU", 10], [3, "CPU", "CPU", 10],
  [4, "CPU", "CPU", 10], [5, "Lock", "transactionid", 200]]') \g /dev/null
SELECT pg_temp.blocker('2020-01-01 03:00', i, 4711, 'regress_idler', 'idle in transaction', 10 * i, 2)
FROM generate_series(1, 4) i \g /dev/null
SELECT pg_temp.blocker('2020-01-01 03:00', i, 4712, 'regress_app', 'active', 2, 2) FROM generate_series(5, 6) i \g /dev/null
SELECT * FROM pg_temp.found('2020-01-01 03:00');
SELECT evidence->>'blocker_pid' AS pid, evidence->>'blocker_role' AS role, evidence->>'waiters_max' AS waiters, lineage
FROM perfopt.bottlenecks('1 min', '2020-01-01 03:01') WHERE finding = 'idle_in_transaction';

-- All of it behind an idle session: no contention beside. A look reaches back as far as the longest wait.
SELECT pg_temp.sessions('2020-01-01 04:00', '[[5, "Lock", "transactionid", 200]]') \g /dev/null
SELECT pg_temp.blocker('2020-01-01 04:00', i, 4711, 'regress_idler', 'idle in transaction', 60, 2)
FROM generate_series(1, 6) i \g /dev/null
SELECT finding, severity, impact, low, high, aas, seconds, entity, factors FROM pg_temp.found('2020-01-01 04:00');

-- A blocker between two statements of a busy client is not idle.
SELECT pg_temp.sessions('2020-01-01 05:00', '[[5, "Lock", "tuple", 200]]') \g /dev/null
SELECT pg_temp.blocker('2020-01-01 05:00', i, 4713, 'regress_app', 'idle in transaction', 0.02, 2)
FROM generate_series(1, 6) i \g /dev/null
SELECT finding, severity, impact, entity, root_cause FROM pg_temp.found('2020-01-01 05:00');

-- Idle in transaction for twenty minutes and in nobody's way: about availability, so without an impact.
SELECT pg_temp.metric('2020-01-01 06:00', 'pg_session_oldest_idle_in_xact_seconds', '{}', 1200) \g /dev/null
SELECT * FROM pg_temp.found('2020-01-01 06:00');

-- Commits wait for the disk; the COMMIT that does so is not reported a second time as a top statement.
SELECT pg_temp.sessions('2020-01-01 07:00', '[[9, "IO", "WALSync", 60], [9, "LWLock", "WALWrite", 20], [1, "CPU", "CPU", 10],
  [2, "CPU", "CPU", 10]]') \g /dev/null
SELECT pg_temp.metric('2020-01-01 07:00', 'pg_xact_commit_total', '{"database": "app"}', 400) \g /dev/null
SELECT pg_temp.metric('2020-01-01 07:00', 'pg_wal_bytes_total', '{}', 10 * 1024 ^ 2) \g /dev/null
SELECT * FROM pg_temp.found('2020-01-01 07:00');

-- Sorts spill 20 MiB a second; a statement on CPU takes most of the rest.
SELECT pg_temp.sessions('2020-01-01 08:00', '[[21, "IO", "BufFileWrite", 30], [21, "IO", "BufFileRead", 20], [22, "CPU", "CPU", 50]]') \g /dev/null
SELECT pg_temp.metric('2020-01-01 08:00', 'pg_temp_bytes_total', '{"database": "app"}', 200 * 1024 ^ 2) \g /dev/null
SELECT pg_temp.metric('2020-01-01 08:00', 'pg_temp_files_total', '{"database": "app"}', 20) \g /dev/null
SELECT * FROM pg_temp.found('2020-01-01 08:00');

-- Reads that replace shared_buffers several times, and the same waits without that.
SELECT pg_temp.sessions('2020-01-01 09:00', '[[31, "IO", "DataFileRead", 90], [1, "CPU", "CPU", 10]]') \g /dev/null
SELECT pg_temp.metric('2020-01-01 09:00', 'pg_blocks_read_total', '{"database": "app"}',
  setting::float8 / 2) FROM pg_settings WHERE name = 'shared_buffers' \g /dev/null
SELECT finding, severity, impact, low, high, aas, entity LIKE 'shared_buffers = %' AS entity, factors FROM pg_temp.found('2020-01-01 09:00');
SELECT pg_temp.sessions('2020-01-01 10:00', '[[31, "IO", "DataFileRead", 90], [1, "CPU", "CPU", 10]]') \g /dev/null
SELECT pg_temp.metric('2020-01-01 10:00', 'pg_blocks_read_total', '{"database": "app"}', 10) \g /dev/null
SELECT finding, severity, impact, entity, root_cause FROM pg_temp.found('2020-01-01 10:00');

-- Six sessions on CPU where four can run, and a client that reads slowly.
SELECT pg_temp.sessions('2020-01-01 11:00', '[[1, "CPU", "CPU", 110], [2, "CPU", "CPU", 110], [3, "CPU", "CPU", 110], [4, "CPU", "CPU", 110],
  [5, "CPU", "CPU", 110], [6, "CPU", "CPU", 45], [7, "Client", "ClientWrite", 30]]') \g /dev/null
SELECT pg_temp.metric('2020-01-01 11:00', 'node_cpu_seconds_total', '{"mode": "user"}', 39) \g /dev/null
SELECT pg_temp.metric('2020-01-01 11:00', 'node_cpu_seconds_total', '{"mode": "idle"}', 1) \g /dev/null
SELECT * FROM pg_temp.found('2020-01-01 11:00');

-- Checkpoints forced by WAL; and as many asked for by command, which is nobody's fault.
SELECT pg_temp.sessions('2020-01-01 12:00', '[[1, "CPU", "CPU", 10], [2, "CPU", "CPU", 10], [3, "CPU", "CPU", 10], [4, "CPU", "CPU", 10],
  [5, "CPU", "CPU", 10], [6, "IO", "DataFileWrite", 8]]') \g /dev/null
SELECT pg_temp.metric('2020-01-01 12:00', 'pg_checkpoints_requested_total', '{}', 1),
       pg_temp.metric('2020-01-01 12:00', 'pg_checkpoints_timed_total', '{}', 0),
       pg_temp.metric('2020-01-01 12:00', 'pg_wal_bytes_total', '{}', setting::float8 * 1024 ^ 2 / 2)
FROM pg_settings WHERE name = 'max_wal_size' \g /dev/null
SELECT finding, severity, impact, low, high, entity LIKE 'max_wal_size = %' AS entity FROM pg_temp.found('2020-01-01 12:00');
SELECT pg_temp.sessions('2020-01-01 13:00', '[[1, "CPU", "CPU", 10], [2, "CPU", "CPU", 10], [3, "CPU", "CPU", 10], [4, "CPU", "CPU", 10],
  [5, "CPU", "CPU", 10], [6, "IO", "DataFileWrite", 8]]') \g /dev/null
SELECT pg_temp.metric('2020-01-01 13:00', 'pg_checkpoints_requested_total', '{}', 1),
       pg_temp.metric('2020-01-01 13:00', 'pg_checkpoints_timed_total', '{}', 0),
       pg_temp.metric('2020-01-01 13:00', 'pg_wal_bytes_total', '{}', 1024) \g /dev/null
SELECT * FROM pg_temp.found('2020-01-01 13:00');

-- What needs no DB time: connections, deadlocks, a cache that is down, one that came back.
SELECT pg_temp.metric('2020-01-01 14:00', 'pg_connections_used_ratio', '{}', 0.93),
       pg_temp.metric('2020-01-01 14:00', 'pg_sessions_max', '{}', 100),
       pg_temp.metric('2020-01-01 14:00', 'pg_sessions', '{"state": "idle"}', 80),
       pg_temp.metric('2020-01-01 14:00', 'pg_sessions', '{"state": "active"}', 10),
       pg_temp.metric('2020-01-01 14:00', 'pg_deadlocks_total', '{"database": "app"}', 2),
       pg_temp.metric('2020-01-01 14:00', 'redis_up', '{"target": "app_cache"}', 0),
       pg_temp.metric('2020-01-01 14:00', 'redis_up', '{"target": "other"}', 1) \g /dev/null
UPDATE perfopt.sample_hot h SET value = ARRAY[0]
FROM perfopt.series s WHERE h.series = ARRAY[s.series_id] AND s.labels = '{"target": "other"}'
  AND h.ts BETWEEN '2020-01-01 14:00' AND '2020-01-01 14:00:30';
SELECT * FROM pg_temp.found('2020-01-01 14:00');

-- A cache that misses: a finding where the database is busy, none where it is idle.
SELECT pg_temp.sessions('2020-01-01 15:00', '[[1, "CPU", "CPU", 15], [2, "CPU", "CPU", 15], [3, "CPU", "CPU", 15], [4, "CPU", "CPU", 15],
  [5, "CPU", "CPU", 15], [6, "CPU", "CPU", 15]]') \g /dev/null
SELECT pg_temp.metric(start, 'redis_keyspace_hits_total', '{"target": "app_cache"}', 200),
       pg_temp.metric(start, 'redis_keyspace_misses_total', '{"target": "app_cache"}', 800),
       pg_temp.metric(start, 'pg_xact_commit_total', '{"database": "app"}', 1000)
FROM unnest(ARRAY['2020-01-01 15:00', '2020-01-01 16:00']::timestamptz[]) start \g /dev/null
SELECT * FROM pg_temp.found('2020-01-01 15:00');
SELECT * FROM pg_temp.found('2020-01-01 16:00');

-- One statement stands out; its waits for others' locks are not its own time.
SELECT pg_temp.sessions('2020-01-01 17:00', '[[-42, "CPU", "CPU", 60], [-42, "Lock", "relation", 15], [1, "CPU", "CPU", 12], [2, "CPU", "CPU", 12],
  [3, "CPU", "CPU", 12], [4, "CPU", "CPU", 12], [5, "CPU", "CPU", 12], [6, "CPU", "CPU", 12]]') \g /dev/null
SELECT * FROM pg_temp.found('2020-01-01 17:00');

\x off
-- The SQL in the evidence shows what the finding says.
SELECT evidence->>'sql' AS sql FROM perfopt.bottlenecks('1 min', '2020-01-01 07:01') WHERE finding = 'wal_sync' \gset
SELECT wait_event, round(aas::numeric, 2) AS aas FROM (:sql) shown;

-- Each finding says where each of its limits comes from.
SELECT count(*) AS without_lineage
FROM generate_series(timestamptz '2020-01-01 00:01', '2020-01-01 23:01', '1 h') until,
     perfopt.bottlenecks('1 min', until) b
WHERE b.lineage !~ '\((measured|convention|judgement): .+\)' OR b.root_cause = '' OR b.entity = '';
ROLLBACK;

SELECT * FROM perfopt.bottlenecks('0');
SELECT * FROM perfopt.bottlenecks('1 min', 'infinity');
