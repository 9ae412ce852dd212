-- The busiest statements: right increases over resets and newcomers, and texts for those who may read
-- them.
\set QUIET on
\set ON_ERROR_STOP on
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS pg_stat_statements;
CREATE EXTENSION IF NOT EXISTS perfopt;
SELECT plan(19);

CREATE FUNCTION pg_temp.total(metric text, query_id bigint) RETURNS float8 LANGUAGE sql AS $$
  SELECT coalesce(sum(s.value), 0) FROM perfopt.sample s
  WHERE s.metric = $1 AND s.labels = jsonb_build_object('query_id', $2::text, 'database', current_database())
$$;
CREATE FUNCTION pg_temp.id_of(pattern text) RETURNS bigint LANGUAGE sql AS $$
  SELECT queryid FROM pg_stat_statements
  WHERE query LIKE pattern AND dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
$$;

SELECT clock_timestamp() AS began \gset
SELECT perfopt.collect_now() \g /dev/null
SELECT count(*) AS calls_perfopt_counts FROM generate_series(1, 100000) \g /dev/null
SELECT count(*) AS calls_perfopt_counts FROM generate_series(1, 100001) \g /dev/null
SELECT count(*) AS calls_perfopt_counts FROM generate_series(1, 100002) \g /dev/null
SELECT pg_temp.id_of('%calls_perfopt_counts FROM%') AS id \gset
SELECT perfopt.collect_now() \g /dev/null
SELECT is(pg_temp.total('pg_statement_calls_total', :id), 3::float8, 'a statement that is new has its calls at once');
SELECT is(pg_temp.total('pg_statement_rows_total', :id), 3::float8, 'and its rows');
SELECT cmp_ok(abs(pg_temp.total('pg_statement_exec_seconds_total', :id)
  - (SELECT total_exec_time / 1000 FROM pg_stat_statements WHERE queryid = :id)), '<', 2e-6::float8, 'and its time, to the microsecond');
SELECT is((SELECT count(*) FROM perfopt.sample s WHERE s.metric = 'pg_statement_wal_bytes_total'
  AND s.labels->>'query_id' = :'id'), 0::bigint, 'of what it does not do there is no value');

SELECT count(*) AS calls_perfopt_counts FROM generate_series(1, 100003) \g /dev/null
SELECT perfopt.collect_now() \g /dev/null
SELECT is(pg_temp.total('pg_statement_calls_total', :id), 4::float8, 'its next call is one more');

-- Once nested in a function, once by itself: two entries of pg_stat_statements, one statement.
SET pg_stat_statements.track = 'all';
CREATE FUNCTION pg_temp.nested() RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
  RETURN (SELECT count(*) AS calls_perfopt_nested FROM generate_series(1, 100000));
END $$;
SELECT pg_temp.nested() \g /dev/null
RESET pg_stat_statements.track;
SELECT (SELECT count(*) AS calls_perfopt_nested FROM generate_series(1, 100000)) \g /dev/null
SELECT perfopt.collect_now() \g /dev/null
SELECT is(pg_temp.total('pg_statement_calls_total', queryid), sum(calls)::float8, 'nested calls and others are added up')
FROM pg_stat_statements WHERE query LIKE '%calls_perfopt_nested FROM%' GROUP BY queryid HAVING count(DISTINCT toplevel) = 2;

-- A reset, then fewer calls than before.
SELECT pg_stat_statements_reset(0, 0, :id) \g /dev/null
SELECT count(*) AS calls_perfopt_counts FROM generate_series(1, 100004) \g /dev/null
SELECT perfopt.collect_now() \g /dev/null
SELECT is(pg_temp.total('pg_statement_calls_total', :id), 5::float8, 'what is counted after a reset is an increase');
SELECT pg_stat_statements_reset() \g /dev/null
SELECT perfopt.collect_now() \g /dev/null
SELECT count(*) AS calls_perfopt_counts FROM generate_series(1, 100005) \g /dev/null
SELECT perfopt.collect_now() \g /dev/null
SELECT is(pg_temp.total('pg_statement_calls_total', :id), 6::float8, 'also after a reset of all');
SELECT is_empty($$SELECT * FROM perfopt.sample WHERE metric LIKE 'pg\_statement%' AND value < 0$$,
  'no increase is negative');
SELECT isnt_empty($$SELECT FROM perfopt.sample WHERE metric = 'pg_statements_dealloc_total'$$, 'evictions are counted');
SELECT cmp_ok((SELECT max(n) FROM (SELECT count(*) AS n FROM perfopt.sample WHERE metric = 'pg_statement_calls_total' GROUP BY ts) t),
  '<=', current_setting('perfopt.top_statements')::bigint, 'no more statements than perfopt.top_statements');

-- Texts
SELECT is((SELECT text FROM perfopt.statement WHERE query_id = :id AND database = current_database()),
  'SELECT count(*) AS calls_perfopt_counts FROM generate_series($1, $2)', 'its text is kept, without constants');
SELECT 'SELECT ' || string_agg(i || ' AS perfopt_column_' || i, ', ') || ' FROM generate_series(1, 5000)' AS long
FROM generate_series(1, 300) i \gset
:long \g /dev/null
SELECT perfopt.collect_now() \g /dev/null
SELECT is((SELECT max(length(text)) FROM perfopt.statement WHERE text LIKE '%perfopt_column_1,%'), 4096, 'a long text is cut');

CREATE ROLE statements_viewer;
CREATE ROLE statements_monitor IN ROLE pg_monitor;
SELECT perfopt.grant_access('statements_viewer', 'viewer') \g /dev/null
SET ROLE statements_viewer;
SELECT ok((SELECT bool_and(text IS NULL) FROM perfopt.statement), 'a viewer sees no texts');
SELECT ok((SELECT count(*) > 0 FROM perfopt.statement WHERE query_id = :id), 'but which statements there are');
SELECT throws_ok('SELECT * FROM perfopt.statement_text', '42501', NULL, 'and not the table with the texts');
SET ROLE statements_monitor;
SELECT ok((SELECT text IS NOT NULL FROM perfopt.statement WHERE query_id = :id AND database = current_database()),
  'a member of pg_read_all_stats sees them');
RESET ROLE;
SELECT perfopt.revoke_access('statements_viewer') \g /dev/null
DROP ROLE statements_viewer, statements_monitor;

-- Without the extension
SELECT errors AS errors FROM perfopt.source_status WHERE source = 'statements' \gset
DROP EXTENSION pg_stat_statements;
SELECT perfopt.collect_now() \g /dev/null
SELECT ok((SELECT state = 'absent' AND last_error LIKE '%CREATE EXTENSION pg_stat_statements%' AND errors = :errors
  FROM perfopt.source_status WHERE source = 'statements'), 'without pg_stat_statements the source says how to get it');
CREATE EXTENSION pg_stat_statements;
SELECT perfopt.collect_now() \g /dev/null
SELECT is((SELECT state FROM perfopt.source_status WHERE source = 'statements'), 'ok', 'and goes on when it is there');
SELECT * FROM finish();
