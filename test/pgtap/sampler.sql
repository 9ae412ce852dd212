-- Sessions of this server as the sampler sees them: real ones, opened through dblink.
\set QUIET on
\set ON_ERROR_STOP on
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS dblink;
CREATE EXTENSION IF NOT EXISTS perfopt;
CREATE TABLE sampler_test (id int PRIMARY KEY, v int);
INSERT INTO sampler_test VALUES (1, 0);

-- Collects until the query returns true; false after 20 seconds.
CREATE FUNCTION pg_temp.wait_until(query text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
  give_up timestamptz := clock_timestamp() + interval '20 s';
  reached boolean;
BEGIN
  WHILE clock_timestamp() < give_up LOOP
    PERFORM perfopt.collect_now();
    EXECUTE query INTO reached;
    IF reached THEN RETURN true; END IF;
  END LOOP;
  RETURN false;
END $$;

SELECT plan(16);

SELECT dblink_connect(name, format('user=%s dbname=%s host=%s port=%s', current_user, current_database(),
         split_part(current_setting('unix_socket_directories'), ',', 1), current_setting('port')))
FROM unnest(ARRAY['sleeper', 'idler', 'waiter', 'burner']) name \g /dev/null
CREATE TEMP TABLE session AS
  SELECT name, (SELECT pid FROM dblink(name, 'SELECT pg_backend_pid()') t (pid int)) AS pid
  FROM unnest(ARRAY['sleeper', 'idler', 'waiter', 'burner']) name;
SELECT clock_timestamp() AS began \gset

-- A sleeping statement, a session idle in a transaction, one that waits for its row, one on CPU.
SELECT dblink_send_query('sleeper', 'SELECT pg_sleep(600)') \g /dev/null
SELECT dblink_exec('idler', 'BEGIN') \g /dev/null
SELECT dblink_exec('idler', 'UPDATE sampler_test SET v = v + 1') \g /dev/null
SELECT dblink_send_query('waiter', 'UPDATE sampler_test SET v = v + 10') \g /dev/null
SELECT dblink_send_query('burner', 'SELECT count(*) FROM generate_series(1, 1000000000000) g') \g /dev/null

SELECT ok(pg_temp.wait_until(format($$
  SELECT count(DISTINCT wait_event) = 4 FROM perfopt.active_sessions
  WHERE ts > %L AND role = current_user AND database = current_database()
    AND wait_event IN ('PgSleep', 'ClientRead', 'transactionid', 'CPU')$$, :'began')),
  'a sleeping, an idle-in-transaction, a blocked and a busy session are all sampled');

SELECT is(
  (SELECT array_agg(DISTINCT query_id) FROM perfopt.active_sessions
   WHERE ts > :'began' AND wait_event = 'PgSleep' AND role IS NOT NULL),
  (SELECT array_agg(a.query_id) FROM pg_stat_activity a JOIN session s USING (pid) WHERE s.name = 'sleeper'),
  'a sample names the statement by the id that pg_stat_activity shows');
SELECT is(
  (SELECT array_agg(DISTINCT query_id) FROM perfopt.active_sessions
   WHERE ts > :'began' AND wait_class = 'Lock' AND wait_event = 'transactionid'),
  (SELECT array_agg(a.query_id) FROM pg_stat_activity a JOIN session s USING (pid) WHERE s.name = 'waiter'),
  'a waiting statement is named too');

SELECT ok(pg_temp.wait_until($$
  SELECT min(aas) > 0 AND count(*) = 3 FROM perfopt.db_time('30 s')
  WHERE key IN ('Timeout:PgSleep', 'Lock:transactionid', 'CPU')$$), 'DB time counts waits and CPU');
SELECT is((SELECT count(*) FROM perfopt.db_time('30 s') WHERE key = 'Client:ClientRead'), 0::bigint,
  'but not the session that is idle in its transaction');
SELECT dblink_connect('asker', format('user=%s dbname=%s host=%s port=%s', current_user, current_database(),
         split_part(current_setting('unix_socket_directories'), ',', 1), current_setting('port'))) \g /dev/null
SELECT dblink_send_query('asker', 'SELECT count(perfopt.collect_now()), pg_backend_pid() FROM generate_series(1, 40)') \g /dev/null
SELECT pid AS asker FROM dblink_get_result('asker') t (n bigint, pid int) \gset
SELECT query_id AS asking FROM pg_stat_activity WHERE pid = :asker \gset
SELECT perfopt.collect_now() \g /dev/null
SELECT is_empty(format($$
  SELECT ts, wait_event, aas FROM perfopt.active_sessions WHERE query_id = %s AND wait_class = 'Extension'$$, :'asking'),
  'nor a session that waits in collect_now()');
SELECT ok(abs(sum(share_pct) - 100) < 1, 'shares of DB time add up') FROM perfopt.db_time('30 s');

-- Two sessions sleep or wait all the time, so their average is 1 each but for the edges.
SELECT ok(pg_temp.wait_until(format($$
  SELECT sum(n) >= 10 AND sum(n)::float8 / sum(ticks) BETWEEN 0.8 AND 1
  FROM (SELECT h.ticks, (SELECT coalesce(sum(u.n), 0) FROM unnest(h.wait_event, h.n) u (e, n) WHERE e = 'PgSleep') AS n
        FROM perfopt.active_session_hot h WHERE h.ts > %L ORDER BY ts OFFSET 1) c$$, :'began')),
  'one sleeping session is one average active session');

-- Ten sessions that sleep all the while are seen ten times a look, neither more nor less.
SELECT dblink_connect('exact' || i, format('user=%s dbname=%s host=%s port=%s', current_user, current_database(),
         split_part(current_setting('unix_socket_directories'), ',', 1), current_setting('port')))
FROM generate_series(1, 10) i \g /dev/null
SELECT dblink_send_query('exact' || i, 'SELECT pg_sleep(600), ''exact''') FROM generate_series(1, 10) i \g /dev/null
CREATE FUNCTION pg_temp.exact_sleepers() RETURNS SETOF pg_stat_activity LANGUAGE sql AS $$
  SELECT * FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(600), ''exact''' AND wait_event = 'PgSleep'$$;
SELECT ok(pg_temp.wait_until('SELECT count(*) = 10 FROM pg_temp.exact_sleepers()'), 'ten sessions sleep');
SELECT perfopt.collect_now() \g /dev/null
SELECT clock_timestamp() AS asleep \gset
SELECT pg_temp.wait_until(format(
  'SELECT sum(ticks) >= 20 FROM perfopt.active_session_hot WHERE ts > %L', :'asleep')) \g /dev/null
SELECT is(sum(u.n), 10 * (SELECT sum(ticks) FROM perfopt.active_session_hot WHERE ts > :'asleep'),
  'and are counted in every look')
FROM perfopt.active_session_hot h CROSS JOIN LATERAL unnest(h.query_id, h.wait_event, h.n) u (query_id, wait_event, n)
WHERE h.ts > :'asleep' AND u.wait_event = 'PgSleep'
  AND u.query_id = (SELECT DISTINCT query_id FROM pg_temp.exact_sleepers());
SELECT pg_cancel_backend(pid) FROM pg_temp.exact_sleepers() \g /dev/null

-- Who blocks whom.
SELECT ok(pg_temp.wait_until(format('SELECT count(*) > 0 FROM perfopt.blocking WHERE ts > %L', :'began')),
  'a blocked session leaves a record of its blocker');
SELECT results_eq(
  format($$SELECT DISTINCT blocker_pid, blocker_state, waiters FROM perfopt.blocking WHERE ts > %L$$, :'began'),
  $$SELECT pid, 'idle in transaction', 1 FROM session WHERE name = 'idler'$$,
  'the root blocker, its state and the number of those it holds up');

-- A second waiter queues behind the first; both are held up by the same root.
SELECT dblink_connect('second', format('user=%s dbname=%s host=%s port=%s', current_user, current_database(),
         split_part(current_setting('unix_socket_directories'), ',', 1), current_setting('port'))) \g /dev/null
SELECT dblink_send_query('second', 'UPDATE sampler_test SET v = v + 100') \g /dev/null
SELECT ok(pg_temp.wait_until(format($$
  SELECT count(DISTINCT blocker_pid) = 1 AND max(waiters) = 2 FROM perfopt.blocking WHERE ts > %L$$, :'began')),
  'a queue of waiters is charged to its root, not to the one before');
SELECT ok(pg_temp.wait_until($$
  SELECT value = 2 FROM perfopt.current_metrics('database') WHERE metric = 'pg_blocked_sessions'$$),
  'and counted as blocked sessions');

SELECT pg_cancel_backend(pid) FROM session WHERE name IN ('sleeper', 'burner') \g /dev/null
SELECT dblink_exec('idler', 'ROLLBACK') \g /dev/null
SELECT clock_timestamp() AS ended \gset
SELECT ok(pg_temp.wait_until(format($$
  SELECT count(*) > 2 FROM perfopt.active_session_hot WHERE ts > %L$$, :'ended')), 'sampling goes on');
SELECT ok(pg_temp.wait_until($$
  SELECT value = 0 FROM perfopt.current_metrics('database') WHERE metric = 'pg_blocked_sessions'$$),
  'nobody is blocked once the blocker has gone');

SELECT * FROM finish();
SELECT dblink_disconnect(name) FROM unnest(dblink_get_connections()) name \g /dev/null
DROP TABLE sampler_test;
