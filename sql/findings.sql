-- Each finding in a window that just has it, and next to it one that just has not. Windows are written by hand
-- and numbered; each has a place of its own on a day that nobody else writes. The machine has 4 cores.
SET timezone = 'UTC';
BEGIN;
SET LOCAL track_io_timing = on;
\getenv source PG_ABS_SRCDIR
\set helpers :source '/test/lib/window.sql'
\set ECHO none
\i :helpers
-- Window n begins here; samples of its past six hours before.
CREATE FUNCTION pg_temp.start(n int) RETURNS timestamptz LANGUAGE sql AS $$
  SELECT timestamptz '2020-01-01 00:00Z' + n * interval '12 min'
$$;
-- A series: one value for all six samples, or an array with one for each.
CREATE FUNCTION pg_temp.series(start timestamptz, name text, labels jsonb, value jsonb, step interval) RETURNS void
LANGUAGE sql AS $$
  INSERT INTO perfopt.metric (name, dimension, kind, unit, help)
    VALUES (name, 'system', CASE WHEN name LIKE '%\_total' THEN 'counter' ELSE 'gauge' END, 'u', 'test')
    ON CONFLICT DO NOTHING;
  INSERT INTO perfopt.series (metric_id, labels)
    SELECT m.metric_id, labels FROM perfopt.metric m WHERE m.name = series.name ON CONFLICT DO NOTHING;
  INSERT INTO perfopt.sample_hot (ts, writer, elapsed_s, series, value)
    SELECT start + i * step, 'test', extract(epoch FROM step), ARRAY[s.series_id],
           ARRAY[(CASE jsonb_typeof(value) WHEN 'array' THEN value->(i - 1) ELSE value END)::float8]
    FROM generate_series(1, 6) i, perfopt.series s JOIN perfopt.metric m USING (metric_id)
    WHERE m.name = series.name AND s.labels = series.labels
      AND (jsonb_typeof(value) <> 'array' OR value->>(i - 1) IS NOT NULL)
$$;
-- What is found in window n, which has six statements at work (two thirds of a session) and those that are
-- given, and these series: [name, labels, value]; past has series of the day before.
CREATE FUNCTION pg_temp.judge(n int, seen jsonb, series jsonb DEFAULT '[]', past jsonb DEFAULT '[]', step interval DEFAULT '10 s',
  OUT finding text, OUT category text, OUT severity text, OUT impact float8, OUT entity text, OUT root_cause text, OUT factors text,
  OUT time_to_failure_s float8)
RETURNS SETOF record LANGUAGE plpgsql AS $$
DECLARE
  start timestamptz := pg_temp.start(n);
BEGIN
  INSERT INTO perfopt.active_session_hot
  SELECT start + i * step, 100, array_agg((SELECT oid FROM pg_database WHERE datname = current_database())),
         array_agg((SELECT oid FROM pg_roles WHERE rolname = 'regress_app')),
         array_agg((s->>0)::bigint), array_agg(0), array_agg(s->>1), array_agg(s->>2), array_agg((s->>3)::int + i % 2)
  FROM generate_series(1, 6) i, jsonb_array_elements(seen || '[[1, "CPU", "CPU", 10], [2, "CPU", "CPU", 10], [3, "CPU", "CPU", 10],
    [4, "CPU", "CPU", 10], [5, "CPU", "CPU", 10], [6, "CPU", "CPU", 10]]') s
  GROUP BY i;
  PERFORM pg_temp.series(start, 'node_cpu_count', '{}', '4', step);
  PERFORM pg_temp.series(start, s->>0, replace((s->1)::text, 'HERE', current_database())::jsonb, s->2, step) FROM jsonb_array_elements(series) s;
  PERFORM pg_temp.series(start - interval '6 h', s->>0, replace((s->1)::text, 'HERE', current_database())::jsonb, s->2, '1 min')
  FROM jsonb_array_elements(past) s;
  RETURN QUERY
    SELECT b.finding, b.category, b.severity, b.impact_pct, b.entity, replace(b.root_cause, current_database(), 'HERE'),
           nullif((SELECT string_agg(f->>'finding', ', ') FROM jsonb_array_elements(b.factors) f), ''),
           (b.evidence->>'time_to_failure_s')::float8
    FROM perfopt.bottlenecks(6 * step, start + 6 * step) b WHERE b.finding <> 'missing_input';
END $$;
\set ECHO all
\pset format unaligned
\pset tuples_only on
\x on

-- Nothing but work.
SELECT * FROM pg_temp.judge(1, '[]');

-- Locks.
SELECT pg_temp.blocker(pg_temp.start(2), i, 4711, 'regress_idler', 'idle in transaction', 5 * i, 3, 'relation', 'AccessExclusiveLock') FROM generate_series(1, 6) i \g /dev/null
SELECT * FROM pg_temp.judge(2, '[[5, "Lock", "relation", 200]]', '[["pg_lock_waiters", {"mode": "AccessExclusiveLock", "locktype": "relation"}, 1],
  ["pg_lock_waiters", {"mode": "AccessShareLock", "locktype": "relation"}, 2], ["pg_lock_wait_max_seconds", {}, 6]]');
-- All come at once: no queue, but contention behind the session that is idle.
SELECT pg_temp.blocker(pg_temp.start(3), i, 4711, 'regress_idler', 'idle in transaction', 5 * i, 3, 'relation', 'AccessExclusiveLock') FROM generate_series(1, 6) i \g /dev/null
SELECT finding FROM pg_temp.judge(3, '[[5, "Lock", "relation", 200]]', '[["pg_lock_waiters", {"mode": "AccessExclusiveLock", "locktype": "relation"}, 1],
  ["pg_lock_waiters", {"mode": "AccessShareLock", "locktype": "relation"}, 2], ["pg_lock_wait_max_seconds", {}, 5]]');
SELECT * FROM pg_temp.judge(4, '[[7, "LWLock", "SubtransSLRU", 20]]');
SELECT * FROM pg_temp.judge(5, '[[7, "LWLock", "SubtransSLRU", 14]]');

-- A statement that became slower by itself; one that did so by less than twice; one that only waits for locks;
-- one that returns more.
SELECT * FROM pg_temp.judge(6, '[[501, "CPU", "CPU", 60]]', '[["pg_statement_calls_total", {"query_id": "501", "database": "HERE"}, 100],
  ["pg_statement_exec_seconds_total", {"query_id": "501", "database": "HERE"}, 6], ["pg_statement_rows_total", {"query_id": "501", "database": "HERE"}, 100],
  ["pg_statement_shared_read_blocks_total", {"query_id": "501", "database": "HERE"}, 50000]]',
  '[["pg_statement_calls_total", {"query_id": "501", "database": "HERE"}, 1000], ["pg_statement_exec_seconds_total", {"query_id": "501", "database": "HERE"}, 1],
  ["pg_statement_rows_total", {"query_id": "501", "database": "HERE"}, 1000]]');
SELECT finding FROM pg_temp.judge(7, '[[502, "CPU", "CPU", 60]]', '[["pg_statement_calls_total", {"query_id": "502", "database": "HERE"}, 100],
  ["pg_statement_exec_seconds_total", {"query_id": "502", "database": "HERE"}, 6]]',
  '[["pg_statement_calls_total", {"query_id": "502", "database": "HERE"}, 1000], ["pg_statement_exec_seconds_total", {"query_id": "502", "database": "HERE"}, 31]]');
SELECT finding FROM pg_temp.judge(8, '[[503, "Lock", "tuple", 60], [503, "CPU", "CPU", 1]]', '[["pg_statement_calls_total", {"query_id": "503", "database": "HERE"}, 100],
  ["pg_statement_exec_seconds_total", {"query_id": "503", "database": "HERE"}, 6]]',
  '[["pg_statement_calls_total", {"query_id": "503", "database": "HERE"}, 1000], ["pg_statement_exec_seconds_total", {"query_id": "503", "database": "HERE"}, 1]]');
SELECT finding FROM pg_temp.judge(9, '[[504, "CPU", "CPU", 60]]', '[["pg_statement_calls_total", {"query_id": "504", "database": "HERE"}, 100],
  ["pg_statement_exec_seconds_total", {"query_id": "504", "database": "HERE"}, 6], ["pg_statement_rows_total", {"query_id": "504", "database": "HERE"}, 5000]]',
  '[["pg_statement_calls_total", {"query_id": "504", "database": "HERE"}, 1000], ["pg_statement_exec_seconds_total", {"query_id": "504", "database": "HERE"}, 1],
  ["pg_statement_rows_total", {"query_id": "504", "database": "HERE"}, 1000]]');
-- Many calls in each transaction, and a few less.
SELECT * FROM pg_temp.judge(10, '[[511, "CPU", "CPU", 12]]', '[["pg_statement_calls_total", {"query_id": "511", "database": "HERE"}, 2000],
  ["pg_xact_commit_total", {"database": "HERE"}, 30]]');
SELECT * FROM pg_temp.judge(11, '[[511, "CPU", "CPU", 12]]', '[["pg_statement_calls_total", {"query_id": "511", "database": "HERE"}, 2000],
  ["pg_xact_commit_total", {"database": "HERE"}, 40]]');

-- Processors.
SELECT * FROM pg_temp.judge(12, '[[521, "CPU", "CPU", 15]]', '[["pg_statement_exec_seconds_total", {"query_id": "521", "database": "HERE"}, 1.5],
  ["pg_statement_jit_seconds_total", {"query_id": "521", "database": "HERE"}, 0.6]]');
SELECT * FROM pg_temp.judge(13, '[[521, "CPU", "CPU", 15]]', '[["pg_statement_exec_seconds_total", {"query_id": "521", "database": "HERE"}, 10],
  ["pg_statement_jit_seconds_total", {"query_id": "521", "database": "HERE"}, 0.6]]');
SELECT * FROM pg_temp.judge(14, '[[531, "CPU", "CPU", 15]]', '[["pg_statement_exec_seconds_total", {"query_id": "531", "database": "HERE"}, 1.5],
  ["pg_statement_plan_seconds_total", {"query_id": "531", "database": "HERE"}, 0.6]]');
SELECT * FROM pg_temp.judge(15, '[[531, "CPU", "CPU", 15]]', '[["pg_statement_exec_seconds_total", {"query_id": "531", "database": "HERE"}, 3],
  ["pg_statement_plan_seconds_total", {"query_id": "531", "database": "HERE"}, 0.6]]');
SELECT finding, category, severity, impact, entity FROM pg_temp.judge(16, '[[541, "IPC", "ExecuteGather", 20]]');
SELECT * FROM pg_temp.judge(17, '[[541, "IPC", "ExecuteGather", 19]]') WHERE finding <> 'top_statement';
SELECT * FROM pg_temp.judge(18, '[]', '[["node_cpu_seconds_total", {"mode": "user"}, 20], ["node_cpu_seconds_total", {"mode": "idle"}, 10],
  ["node_cpu_seconds_total", {"mode": "steal"}, 10]]');
SELECT * FROM pg_temp.judge(19, '[]', '[["node_cpu_seconds_total", {"mode": "user"}, 26], ["node_cpu_seconds_total", {"mode": "idle"}, 10],
  ["node_cpu_seconds_total", {"mode": "steal"}, 4]]');
SELECT * FROM pg_temp.judge(20, '[]', '[["node_cpu_seconds_total", {"mode": "user"}, 39], ["node_cpu_seconds_total", {"mode": "idle"}, 1],
  ["pg_process_cpu_seconds_total", {"backend_type": "client backend"}, 9], ["node_procs_running", {}, 9]]');
-- Others use as much, but there is enough left for all.
SELECT * FROM pg_temp.judge(21, '[]', '[["node_cpu_seconds_total", {"mode": "user"}, 33], ["node_cpu_seconds_total", {"mode": "idle"}, 7],
  ["pg_process_cpu_seconds_total", {"backend_type": "client backend"}, 9], ["node_procs_running", {}, 3]]');
-- A symptom and its cause: half the queue is of others, whose part is charged to them.
SELECT finding, impact, factors FROM pg_temp.judge(22, '[[7, "CPU", "CPU", 100], [8, "CPU", "CPU", 100], [9, "CPU", "CPU", 100], [10, "CPU", "CPU", 100], [11, "CPU", "CPU", 100],
  [12, "CPU", "CPU", 100], [13, "CPU", "CPU", 100]]', '[["node_cpu_seconds_total", {"mode": "user"}, 40], ["node_cpu_seconds_total", {"mode": "idle"}, 0],
  ["pg_process_cpu_seconds_total", {"backend_type": "client backend"}, 30], ["node_procs_running", {}, 11]]');

-- Disks.
SELECT * FROM pg_temp.judge(23, '[[551, "IO", "DataFileWrite", 20]]', '[["pg_buffers_backend_total", {}, 1000], ["pg_checkpoint_buffers_total", {}, 900]]') WHERE finding <> 'top_statement';
SELECT * FROM pg_temp.judge(24, '[[551, "IO", "DataFileWrite", 20]]', '[["pg_buffers_backend_total", {}, 900], ["pg_checkpoint_buffers_total", {}, 1000]]') WHERE finding <> 'top_statement';
SELECT * FROM pg_temp.judge(25, '[[561, "IO", "BufFileRead", 20]]', '[["pg_temp_bytes_total", {"database": "app"}, 1048576]]');
SELECT * FROM pg_temp.judge(26, '[[561, "IO", "BufFileRead", 14]]', '[["pg_temp_bytes_total", {"database": "app"}, 1048576]]');
SELECT * FROM pg_temp.judge(27, '[[571, "IO", "DataFileRead", 16]]', '[["node_disk_reads_total", {"device": "sda"}, 100], ["node_disk_read_time_seconds_total", {"device": "sda"}, 3]]',
  '[["node_disk_reads_total", {"device": "sda"}, 1000], ["node_disk_read_time_seconds_total", {"device": "sda"}, 5]]');
-- As slow as ever; and nobody waits.
SELECT * FROM pg_temp.judge(28, '[[571, "IO", "DataFileRead", 16]]', '[["node_disk_reads_total", {"device": "sdb"}, 100], ["node_disk_read_time_seconds_total", {"device": "sdb"}, 3]]',
  '[["node_disk_reads_total", {"device": "sdb"}, 1000], ["node_disk_read_time_seconds_total", {"device": "sdb"}, 16]]');
SELECT * FROM pg_temp.judge(29, '[[571, "IO", "DataFileRead", 5]]', '[["node_disk_reads_total", {"device": "sdc"}, 100], ["node_disk_read_time_seconds_total", {"device": "sdc"}, 3]]');
SELECT * FROM pg_temp.judge(30, '[[572, "IO", "DataFileRead", 16]]', '[["node_disk_io_time_seconds_total", {"device": "sda"}, 99], ["node_disk_io_weighted_time_seconds_total", {"device": "sda"}, 700]]', step => '100 s');
SELECT * FROM pg_temp.judge(31, '[[572, "IO", "DataFileRead", 16]]', '[["node_disk_io_time_seconds_total", {"device": "sda"}, 97]]', step => '100 s');
-- Charged once: what disk_read_latency explains is not in shared_buffers_pressure, which names it.
SELECT finding, impact, factors FROM pg_temp.judge(33, '[[573, "IO", "DataFileRead", 60]]', jsonb_build_array(
  '["node_disk_reads_total", {"device": "sdd"}, 100]'::jsonb, '["node_disk_read_time_seconds_total", {"device": "sdd"}, 2]'::jsonb,
  jsonb_build_array('pg_blocks_read_total', '{"database": "app"}'::jsonb, (SELECT setting::int FROM pg_settings WHERE name = 'shared_buffers'))));
-- Little is left and becomes less; half is left and a bulk load runs; almost nothing is left.
SELECT * FROM pg_temp.judge(34, '[]', '[["node_filesystem_avail_bytes", {"mount": "/data", "role": "data"}, [16.0e9, 15.9e9, 15.8e9, 15.7e9, 15.6e9, 15.5e9]],
  ["node_filesystem_size_bytes", {"mount": "/data", "role": "data"}, 100e9]]');
SELECT * FROM pg_temp.judge(35, '[]', '[["node_filesystem_avail_bytes", {"mount": "/bulk", "role": "data"}, [50.0e9, 49.9e9, 49.8e9, 49.7e9, 49.6e9, 49.5e9]],
  ["node_filesystem_size_bytes", {"mount": "/bulk", "role": "data"}, 100e9]]');
SELECT * FROM pg_temp.judge(36, '[]', '[["node_filesystem_avail_bytes", {"mount": "/full", "role": "wal"}, 1e9], ["node_filesystem_size_bytes", {"mount": "/full", "role": "wal"}, 100e9],
  ["node_filesystem_avail_bytes", {"mount": "/full", "role": "data"}, 1e9], ["node_filesystem_size_bytes", {"mount": "/full", "role": "data"}, 100e9]]');
-- One large file came and stays; it is the slope that counts, not the jump.
SELECT * FROM pg_temp.judge(37, '[]', '[["node_filesystem_avail_bytes", {"mount": "/jump", "role": "data"}, [15e9, 15e9, 15e9, 5e9, 5e9, 5e9]],
  ["node_filesystem_size_bytes", {"mount": "/jump", "role": "data"}, 100e9]]');
SELECT * FROM pg_temp.judge(38, '[]', '[["pg_archive_failed_total", {}, 1], ["pg_archive_ready_files", {}, 20]]');
SELECT * FROM pg_temp.judge(39, '[]', '[["pg_archive_failed_total", {}, [1, 1, 0, 0, 0, 0]], ["pg_archive_ready_files", {}, 20]]');

-- The machine's memory.
SELECT * FROM pg_temp.judge(40, '[]', '[["node_memory_total_bytes", {}, 17179869184], ["node_memory_available_bytes", {}, 1073741824]]');
SELECT * FROM pg_temp.judge(41, '[]', '[["node_memory_total_bytes", {}, 17179869184], ["node_memory_available_bytes", {}, 1771674010]]');
SELECT * FROM pg_temp.judge(42, '[]', '[["node_memory_total_bytes", {}, 68719476736], ["node_memory_available_bytes", {}, 5368709120]]');
SELECT * FROM pg_temp.judge(43, '[]', '[["node_pressure_memory_waiting_seconds_total", {}, 1.1]]');
SELECT * FROM pg_temp.judge(44, '[]', '[["node_vmstat_pswpout_total", {}, 100], ["node_vmstat_pswpin_total", {}, 300]]');
SELECT * FROM pg_temp.judge(45, '[]', '[["node_vmstat_pswpout_total", {}, 99], ["node_vmstat_pswpin_total", {}, 300]]');
SELECT * FROM pg_temp.judge(46, '[]', '[["node_vmstat_oom_kill_total", {}, [0, 0, 1, 0, 0, 0]], ["cgroup_memory_oom_kills_total", {}, 0]]');
SELECT * FROM pg_temp.judge(47, '[]', '[["node_vmstat_oom_kill_total", {}, 0]]');
SELECT * FROM pg_temp.judge(48, '[]', '[["node_memory_total_bytes", {}, 17179869184], ["node_memory_available_bytes", {}, 3221225472], ["node_memory_committed_bytes", {}, 27917287424]]');
SELECT * FROM pg_temp.judge(49, '[]', '[["node_memory_total_bytes", {}, 17179869184], ["node_memory_available_bytes", {}, 8589934592], ["node_memory_committed_bytes", {}, 27917287424]]');

-- Vacuuming. The symptom names its cause.
SELECT * FROM pg_temp.judge(50, '[]', '[["pg_session_oldest_xmin_age", {}, 50000000], ["pg_session_oldest_xact_seconds", {}, 7200],
  ["pg_table_dead_tuples", {"database": "app", "table": "public.orders"}, 150000], ["pg_table_live_tuples", {"database": "app", "table": "public.orders"}, 100000],
  ["pg_autovacuum_workers_active", {}, 1]]', step => '1 min');
SELECT * FROM pg_temp.judge(51, '[]', '[["pg_session_oldest_xmin_age", {}, 49000000]]');
SELECT * FROM pg_temp.judge(52, '[]', '[["pg_database_frozenxid_age", {"database": "app"}, [210000000, 210100000, 210200000, 210300000, 210400000, 210500000]],
  ["pg_database_minmxid_age", {"database": "app"}, 900000000]]');
SELECT * FROM pg_temp.judge(53, '[]', '[["pg_database_frozenxid_age", {"database": "app"}, 199999999], ["pg_database_frozenxid_age", {"database": "falling"}, [300000000, 290000000, 280000000, 270000000, 260000000, 250000000]]]');
SELECT * FROM pg_temp.judge(54, '[]', '[["pg_table_dead_tuples", {"database": "app", "table": "public.orders"}, 20050], ["pg_table_live_tuples", {"database": "app", "table": "public.orders"}, 100000],
  ["pg_autovacuum_workers_active", {}, 3]]', step => '1 min');
SELECT * FROM pg_temp.judge(55, '[]', '[["pg_table_dead_tuples", {"database": "app", "table": "public.orders"}, 20049], ["pg_table_live_tuples", {"database": "app", "table": "public.orders"}, 100000],
  ["pg_autovacuum_workers_active", {}, 3]]', step => '1 min');
SELECT * FROM pg_temp.judge(56, '[]', '[["pg_table_dead_tuples", {"database": "app", "table": "public.orders"}, 90000], ["pg_table_live_tuples", {"database": "app", "table": "public.orders"}, 100000],
  ["pg_autovacuum_workers_active", {}, 1]]', step => '1 min');
SELECT * FROM pg_temp.judge(57, '[]', '[["pg_vacuum_index_passes", {"database": "app", "table": "public.orders"}, [0, 1, 1, 2, 2, 2]]]');
SELECT * FROM pg_temp.judge(58, '[]', '[["pg_vacuum_index_passes", {"database": "app", "table": "public.orders"}, 1]]');

-- Tables and sequences.
SELECT * FROM pg_temp.judge(59, '[]', '[["pg_table_mod_since_analyze", {"database": "app", "table": "public.orders"}, 21000], ["pg_table_live_tuples", {"database": "app", "table": "public.orders"}, 100000]]', step => '1 min');
SELECT * FROM pg_temp.judge(60, '[]', '[["pg_table_mod_since_analyze", {"database": "app", "table": "public.orders"}, 20000], ["pg_table_live_tuples", {"database": "app", "table": "public.orders"}, 100000],
  ["pg_table_mod_since_analyze", {"database": "app", "table": "public.small"}, 9000], ["pg_table_live_tuples", {"database": "app", "table": "public.small"}, 9000]]', step => '1 min');
SELECT * FROM pg_temp.judge(61, '[]', '[["pg_sequence_used_ratio", {"database": "app", "sequence": "public.orders_id_seq"}, [0.9, 0.901, 0.902, 0.903, 0.904, 0.905]]]');
SELECT * FROM pg_temp.judge(62, '[]', '[["pg_sequence_used_ratio", {"database": "app", "sequence": "public.orders_id_seq"}, 0.899]]');
-- As many rows, but only now: a bulk load that will be analyzed.
SELECT * FROM pg_temp.judge(97, '[]', '[["pg_table_mod_since_analyze", {"database": "app", "table": "public.loaded"}, [null, null, null, 21000, 21000, 21000]],
  ["pg_table_live_tuples", {"database": "app", "table": "public.loaded"}, 100000]]', step => '1 min');
-- Growth is looked at over days; here over hours, so that a day's samples show it.
UPDATE perfopt.finding_setting SET value = CASE name WHEN 'days' THEN 0.2 ELSE 1 END WHERE finding = 'table_bloat' AND name IN ('days', 'past_days');
SELECT * FROM pg_temp.judge(63, '[]', '[["pg_table_size_bytes", {"database": "app", "table": "public.bloated"}, 400000000], ["pg_table_live_tuples", {"database": "app", "table": "public.bloated"}, 1000000]]',
  '[["pg_table_size_bytes", {"database": "app", "table": "public.bloated"}, 200000000], ["pg_table_live_tuples", {"database": "app", "table": "public.bloated"}, 1000000]]');
SELECT * FROM pg_temp.judge(64, '[]', '[["pg_table_size_bytes", {"database": "app", "table": "public.grown"}, 400000000], ["pg_table_live_tuples", {"database": "app", "table": "public.grown"}, 2000000]]',
  '[["pg_table_size_bytes", {"database": "app", "table": "public.grown"}, 200000000], ["pg_table_live_tuples", {"database": "app", "table": "public.grown"}, 1000000]]');

-- Replication.
SELECT * FROM pg_temp.judge(65, '[]', '[["pg_replication_lag_bytes", {"application_name": "s1", "client": "10.0.0.2"}, 104857600], ["pg_replication_lag_seconds", {"application_name": "s1", "client": "10.0.0.2"}, 90]]');
SELECT * FROM pg_temp.judge(66, '[]', '[["pg_replication_lag_bytes", {"application_name": "s1", "client": "10.0.0.2"}, 104857599],
  ["pg_replication_lag_bytes", {"application_name": "caught up", "client": "10.0.0.3"}, [9e9, 9e9, 9e9, 9e9, 1e9, 0]]]');
SELECT * FROM pg_temp.judge(67, '[]', '[["pg_slot_active", {"slot": "kept"}, 0], ["pg_slot_retained_bytes", {"slot": "kept"}, [11e9, 11.1e9, 11.2e9, 11.3e9, 11.4e9, 11.5e9]],
  ["pg_slot_active", {"slot": "small"}, 0], ["pg_slot_retained_bytes", {"slot": "small"}, 10e9], ["node_filesystem_avail_bytes", {"mount": "/wal", "role": "wal"}, 50e9]]');
-- A slot that was invalidated keeps nothing any more.
SELECT * FROM pg_temp.judge(32, '[]', '[["pg_slot_active", {"slot": "lost"}, 0], ["pg_slot_retained_bytes", {"slot": "lost"}, [5e9, 6e9, 7e9]]]');

-- Sessions and transactions.
SELECT * FROM pg_temp.judge(68, '[]', '[["pg_sessions_total", {"database": "app"}, 100], ["pg_sessions", {"state": "active"}, 5], ["pg_sessions", {"state": "idle"}, 20]]');
SELECT * FROM pg_temp.judge(69, '[]', '[["pg_sessions_total", {"database": "app"}, 99], ["pg_sessions", {"state": "active"}, 5], ["pg_sessions", {"state": "idle"}, 20]]');
SELECT * FROM pg_temp.judge(70, '[]', '[["pg_xact_rollback_total", {"database": "app"}, 21], ["pg_xact_commit_total", {"database": "app"}, 979]]', step => '50 s');
SELECT * FROM pg_temp.judge(71, '[]', '[["pg_xact_rollback_total", {"database": "app"}, 20], ["pg_xact_commit_total", {"database": "app"}, 980]]', step => '50 s');
SELECT * FROM pg_temp.judge(72, '[]', '[["pg_xact_rollback_total", {"database": "app"}, 21], ["pg_xact_commit_total", {"database": "app"}, 979]]', step => '49 s');
SELECT * FROM pg_temp.judge(73, '[]', '[["node_tcp_listen_overflows_total", {}, [0, 1, 0, 1, 0, 0]]]');
SELECT * FROM pg_temp.judge(74, '[]', '[["node_tcp_listen_overflows_total", {}, [0, 1, 0, 0, 0, 0]]]');

-- Caches.
SELECT * FROM pg_temp.judge(75, '[]', '[["redis_evicted_keys_total", {"target": "c"}, 20], ["redis_memory_used_bytes", {"target": "c"}, 95000000], ["redis_memory_max_bytes", {"target": "c"}, 100000000],
  ["redis_keyspace_hits_total", {"target": "c"}, 200], ["redis_keyspace_misses_total", {"target": "c"}, 800], ["pg_xact_commit_total", {"database": "app"}, 1000]]');
SELECT * FROM pg_temp.judge(76, '[]', '[["redis_evicted_keys_total", {"target": "c"}, 20], ["redis_memory_used_bytes", {"target": "c"}, 89000000], ["redis_memory_max_bytes", {"target": "c"}, 100000000]]');
SELECT * FROM pg_temp.judge(77, '[]', '[["redis_rejected_connections_total", {"target": "c"}, [0, 0, 1, 1, 0, 0]], ["redis_connected_clients", {"target": "c"}, 50]]');
SELECT * FROM pg_temp.judge(78, '[]', '[["redis_rejected_connections_total", {"target": "c"}, [0, 0, 1, 0, 0, 0]], ["redis_connected_clients", {"target": "c"}, 50]]');
SELECT * FROM pg_temp.judge(79, '[]', '[["redis_ping_seconds", {"target": "c"}, 0.02], ["redis_slowlog_last_id", {"target": "c"}, [5, 5, 6, 7, 8, 8]], ["redis_latest_fork_seconds", {"target": "c"}, [0.1, 0.1, 1.5, 1.5, 1.5, 1.5]]]');
SELECT * FROM pg_temp.judge(80, '[]', '[["redis_ping_seconds", {"target": "c"}, 0.009], ["redis_slowlog_last_id", {"target": "c"}, [5, 5, 6, 7, 7, 7]], ["redis_latest_fork_seconds", {"target": "c"}, 1.5]]');
SELECT * FROM pg_temp.judge(81, '[]', '[["redis_up", {"target": "c"}, 1], ["redis_rdb_last_bgsave_ok", {"target": "c"}, [1, 1, 1, 0, 0, 0]], ["redis_up", {"target": "d"}, 1], ["redis_aof_delayed_fsync_total", {"target": "d"}, 1]]');
SELECT * FROM pg_temp.judge(82, '[]', '[["redis_up", {"target": "c"}, 1], ["redis_rdb_last_bgsave_ok", {"target": "c"}, [1, 1, 0, 0, 0, 1]], ["redis_aof_delayed_fsync_total", {"target": "c"}, [0, 0, 1, 0, 0, 0]]]');

-- Systems that applications call.
SELECT * FROM pg_temp.judge(83, '[]', '[["probe_up", {"target": "billing"}, [1, 1, 0, 0, 0, 0]], ["probe_http_status", {"target": "billing"}, 503], ["probe_up", {"target": "back"}, [1, 0, 0, 1, 1, 1]]]');
SELECT * FROM pg_temp.judge(84, '[]', '[["probe_up", {"target": "billing"}, [1, 1, 0, 1, 1, 1]]]');
SELECT * FROM pg_temp.judge(85, '[]', '[["external_call_duration_seconds_sum", {"target": "slower"}, 3], ["external_call_duration_seconds_count", {"target": "slower"}, 10], ["probe_duration_seconds", {"target": "new", "phase": "total"}, 1.2]]',
  '[["external_call_duration_seconds_sum", {"target": "slower"}, 1], ["external_call_duration_seconds_count", {"target": "slower"}, 10]]');
SELECT * FROM pg_temp.judge(86, '[]', '[["external_call_duration_seconds_sum", {"target": "as ever"}, 19], ["external_call_duration_seconds_count", {"target": "as ever"}, 10], ["probe_duration_seconds", {"target": "new2", "phase": "total"}, 0.9]]',
  '[["external_call_duration_seconds_sum", {"target": "as ever"}, 10], ["external_call_duration_seconds_count", {"target": "as ever"}, 10]]');
SELECT * FROM pg_temp.judge(87, '[]', '[["external_calls_total", {"target": "billing", "ok": "true"}, 98], ["external_calls_total", {"target": "billing", "ok": "false"}, 2]]');
-- Within the budget; few; over.
SELECT * FROM pg_temp.judge(88, '[]', '[["external_calls_total", {"target": "good", "ok": "true"}, 998], ["external_calls_total", {"target": "good", "ok": "false"}, 2], ["external_calls_total", {"target": "few", "ok": "false"}, 1],
  ["external_calls_total", {"target": "over", "ok": "false"}, [10, 10, 0, 0, 0, 0]]]');

-- Data that comes and goes.
SELECT * FROM pg_temp.judge(89, '[]', '[["integration_sync_lag_seconds", {"dataset": "shop", "system": "erp"}, 7200], ["integration_sync_lag_seconds", {"dataset": "shop", "system": "nightly"}, 50000], ["integration_sync_lag_seconds", {"dataset": "shop", "system": "crm"}, 3500]]',
  '[["integration_sync_lag_seconds", {"dataset": "shop", "system": "erp"}, 600], ["integration_sync_lag_seconds", {"dataset": "shop", "system": "nightly"}, 40000]]');
SELECT * FROM pg_temp.judge(90, '[]', '[["integration_validation_failures_total", {"dataset": "shop", "system": "erp"}, 5], ["integration_validation_operations_total", {"dataset": "shop", "system": "erp"}, 50],
  ["integration_validation_failures_total", {"dataset": "shop", "system": "crm"}, 5], ["integration_validation_operations_total", {"dataset": "shop", "system": "crm"}, 50]]',
  '[["integration_validation_failures_total", {"dataset": "shop", "system": "crm"}, 3], ["integration_validation_operations_total", {"dataset": "shop", "system": "crm"}, 50]]');
SELECT * FROM pg_temp.judge(91, '[]', '[["integration_unmapped_ids", {"dataset": "shop", "system": "all"}, 50], ["integration_unmapped_ids", {"dataset": "other", "system": "all"}, [49, 60, 60, 60, 60, 60]]]');
SELECT * FROM pg_temp.judge(92, '[]', '[["integration_reconciliation_mismatches", {"dataset": "shop", "system": "erp"}, 10], ["integration_reconciliation_mismatches", {"dataset": "shop", "system": "crm"}, 10]]',
  '[["integration_reconciliation_mismatches", {"dataset": "shop", "system": "crm"}, 6]]');
SELECT * FROM pg_temp.judge(93, '[]', '[["pg_cron_job_failures_total", {"job": "it''s"}, [1, 0, 0, 0, 0, 0]], ["pg_cron_job_runs_total", {"job": "it''s"}, [1, 0, 0, 0, 0, 0]], ["pg_cron_job_failures_total", {"job": "once"}, [1, 0, 0, 0, 0, 0]]]',
  '[["pg_cron_job_failures_total", {"job": "it''s"}, [1, 0, 0, 0, 0, 0]]]');
SELECT * FROM pg_temp.judge(94, '[]', '[["pg_notify_queue_ratio", {}, [0.5, 0.52, 0.54, 0.56, 0.58, 0.6]]]');
SELECT * FROM pg_temp.judge(95, '[]', '[["pg_notify_queue_ratio", {}, 0.49]]');

-- What a detector lacks is said once.
SET LOCAL track_io_timing = off;
SELECT pg_temp.judge(96, '[[571, "IO", "DataFileRead", 16]]') \g /dev/null
SELECT severity, entity, root_cause FROM perfopt.bottlenecks('1 min', pg_temp.start(96) + interval '1 min') WHERE finding = 'missing_input' AND entity <> 'pg_stat_statements';
SET LOCAL track_io_timing = on;
SELECT count(*) FROM perfopt.bottlenecks('1 min', pg_temp.start(96) + interval '1 min') WHERE entity = 'track_io_timing';

-- The same question has the same answer.
SELECT count(*) AS different FROM (
  (SELECT * FROM perfopt.bottlenecks('1 day', '2020-01-02') EXCEPT SELECT * FROM perfopt.bottlenecks('1 day', '2020-01-02'))
  UNION ALL (SELECT * FROM perfopt.bottlenecks('1 min', pg_temp.start(2) + interval '1 min') EXCEPT SELECT * FROM perfopt.bottlenecks('1 min', pg_temp.start(2) + interval '1 min'))) d;

\x off
-- Thresholds: each has its lineage, and each can be changed.
SELECT count(*) > 100 AS many, bool_and(lineage ~ '^(measured|convention|judgement): .') AS lineage, bool_and(value >= 0 AND value = default_value) AS defaults, count(set_by) AS changed
FROM perfopt.finding_setting WHERE finding <> 'table_bloat';
SELECT count(*) AS unlike FROM perfopt.finding_setting s FULL JOIN perfopt.finding_thresholds() t USING (finding, name) WHERE s.name IS NULL OR t.name IS NULL;
CREATE ROLE regress_operator;
SELECT perfopt.grant_access('regress_operator', 'operator') \g /dev/null
SET ROLE regress_operator;
UPDATE perfopt.finding_setting SET value = 0.1 WHERE finding = 'lwlock_contention' AND name = 'aas';
RESET ROLE;
SELECT value, default_value, set_by, set_at IS NOT NULL AS set_at FROM perfopt.finding_setting WHERE finding = 'lwlock_contention' AND name = 'aas';
SELECT entity, lineage FROM perfopt.bottlenecks('1 min', pg_temp.start(5) + interval '1 min') WHERE finding = 'lwlock_contention';
UPDATE perfopt.finding_setting SET value = default_value WHERE finding = 'lwlock_contention';
SELECT set_by FROM perfopt.finding_setting WHERE set_by IS NOT NULL AND finding = 'lwlock_contention';
SELECT count(*) FROM perfopt.bottlenecks('1 min', pg_temp.start(5) + interval '1 min') WHERE finding = 'lwlock_contention';
-- As a dump restores one.
INSERT INTO perfopt.finding_setting (finding, name, value, set_by) VALUES ('lwlock_contention', 'aas', 0.2, 'regress_app');
SELECT value, default_value, set_by FROM perfopt.finding_setting WHERE finding = 'lwlock_contention' AND name = 'aas';
\set VERBOSITY terse
SAVEPOINT before;
UPDATE perfopt.finding_setting SET value = 'NaN' WHERE finding = 'lwlock_contention' AND name = 'aas';
ROLLBACK TO before;
UPDATE perfopt.finding_setting SET value = -1 WHERE finding = 'lwlock_contention' AND name = 'aas';
ROLLBACK TO before;
UPDATE perfopt.finding_setting SET name = 'other' WHERE finding = 'lwlock_contention' AND name = 'aas';
ROLLBACK TO before;
INSERT INTO perfopt.finding_setting (finding, name, value) VALUES ('lwlock_contention', 'unknown', 1);
ROLLBACK TO before;
INSERT INTO perfopt.finding_setting (finding, name, value) VALUES ('unknown', 'unknown', 1);
ROLLBACK TO before;
ROLLBACK;
