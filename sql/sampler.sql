-- DB time from samples written by hand, in the last minutes; the workers are not needed.
BEGIN ISOLATION LEVEL REPEATABLE READ; -- the collector goes on adding rows
DELETE FROM perfopt.active_session_hot;
-- Ten cycles of ten looks: two sessions on CPU, one waiting for a lock in every second cycle; a session
-- idle in a transaction and a background process, which are not DB time.
INSERT INTO perfopt.active_session_hot
  SELECT now() - i * interval '100 ms', 10,
         ARRAY[d.oid, d.oid, d.oid, 0], ARRAY[r.oid, r.oid, r.oid, 0],
         ARRAY[11, 12, 11, 0], ARRAY[0, 0, 0, 0],
         ARRAY['CPU', 'Lock', 'Client', 'IO'], ARRAY['CPU', 'transactionid', 'ClientRead', 'DataFileWrite'],
         ARRAY[20, CASE WHEN i % 2 = 0 THEN 10 ELSE 0 END, 10, 10]
  FROM generate_series(0, 9) i, pg_database d, pg_roles r
  WHERE d.datname = current_database() AND r.rolname = current_user;
SELECT * FROM perfopt.db_time();
SELECT * FROM perfopt.db_time(group_by => 'wait_class');
SELECT * FROM perfopt.db_time(group_by => 'query_id');
SELECT * FROM perfopt.db_time(group_by => 'operation');
SELECT key = current_database() AS own_database, aas, share_pct FROM perfopt.db_time(group_by => 'database');
SELECT key = current_user AS own_role, aas, share_pct FROM perfopt.db_time(group_by => 'role');
SELECT role IS NOT NULL AS session, query_id, wait_class, wait_event, sum(aas) / 10 AS aas
FROM perfopt.active_sessions GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3;
ROLLBACK;

-- A constant share has an interval without width, one stretch alone has none, nothing has no share.
SELECT * FROM perfopt.share_interval(ARRAY[1,1,1], ARRAY[2,2,2]);
SELECT * FROM perfopt.share_interval(ARRAY[1], ARRAY[2]);
SELECT * FROM perfopt.share_interval(ARRAY[0,0], ARRAY[0,0]);
SELECT share, round(low::numeric, 4) AS low, round(high::numeric, 4) AS high
FROM perfopt.share_interval(ARRAY[1,2,3,2], ARRAY[4,4,4,4]);
SELECT * FROM perfopt.share_interval('{}', '{}');

SELECT * FROM perfopt.db_time(group_by => 'colour');
SELECT * FROM perfopt.db_time('0');
SELECT * FROM perfopt.share_interval(ARRAY[1,2], ARRAY[4]);
SELECT * FROM perfopt.share_interval(ARRAY[1,NULL], ARRAY[4,4]);
SELECT * FROM perfopt.share_interval(ARRAY[1,2], ARRAY[4,4], 1.5);
