-- Tables, indexes and sequences of perfopt.database: increases are right from the first reading that shows
-- them, only the busiest and the worst are shown, and a locked table holds up nobody.
\set QUIET on
\set ON_ERROR_STOP on
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS perfopt;
SELECT plan(19);

-- What a metric of a table or an index added up to since a moment, or the last value of a gauge.
CREATE FUNCTION pg_temp.increase(metric text, relation text, since timestamptz) RETURNS float8 LANGUAGE sql AS $$
  SELECT sum(value) FROM perfopt.sample s
  WHERE s.metric = increase.metric AND ts > since AND labels ->> 'database' = current_database()
    AND coalesce(labels ->> 'index', labels ->> 'table') = relation
$$;
CREATE FUNCTION pg_temp.gauge(metric text, relation text) RETURNS float8 LANGUAGE sql AS $$
  SELECT value FROM perfopt.sample s
  WHERE s.metric = gauge.metric AND labels ->> 'database' = current_database()
    AND coalesce(labels ->> 'index', labels ->> 'sequence', labels ->> 'table') = relation
  ORDER BY ts DESC LIMIT 1
$$;

CREATE SCHEMA watched;
CREATE TABLE watched.account (id int PRIMARY KEY, note text);
CREATE INDEX account_note_idx ON watched.account (note);
INSERT INTO watched.account SELECT g, repeat('x', 500) || g FROM generate_series(1, 1000) g;
SELECT pg_stat_force_next_flush() \g /dev/null
ANALYZE watched.account;
SELECT pg_stat_force_next_flush() \g /dev/null
SELECT perfopt.collect_now() \g /dev/null
SELECT clock_timestamp() AS began \gset

INSERT INTO watched.account SELECT g, g FROM generate_series(1001, 1050) g;
UPDATE watched.account SET note = 'changed' WHERE id <= 20;
DELETE FROM watched.account WHERE id > 1040;
SELECT count(*) FROM watched.account \g /dev/null
SET enable_seqscan = off;
SELECT * FROM watched.account WHERE note = 'changed' \g /dev/null
RESET enable_seqscan;
CREATE TABLE watched.newcomer (id int);
INSERT INTO watched.newcomer SELECT generate_series(1, 77);
SELECT pg_stat_force_next_flush() \g /dev/null
SELECT perfopt.collect_now() \g /dev/null

SELECT is(pg_temp.increase('pg_table_ins_total', 'watched.account', :'began'), 50::float8, 'rows inserted are counted');
SELECT is(pg_temp.increase('pg_table_upd_total', 'watched.account', :'began'), 20::float8, 'and rows updated');
SELECT is(pg_temp.increase('pg_table_del_total', 'watched.account', :'began'), 10::float8, 'and rows deleted');
SELECT cmp_ok(pg_temp.increase('pg_table_seq_tup_read_total', 'watched.account', :'began'), '>=', 1040::float8,
  'and rows that sequential scans read');
SELECT cmp_ok(pg_temp.increase('pg_table_idx_scan_total', 'watched.account', :'began'), '>=', 1::float8,
  'the scans of its indexes count for the table');
SELECT cmp_ok(pg_temp.increase('pg_index_scan_total', 'account_note_idx', :'began'), '>=', 1::float8,
  'and for the index');
SELECT is(pg_temp.increase('pg_table_ins_total', 'watched.newcomer', :'began'), 77::float8,
  'a new table has its increase in the first reading that finds it');
SELECT is(pg_temp.gauge('pg_table_mod_since_analyze', 'watched.account'), 80::float8, 'changes since ANALYZE are there');
SELECT is(pg_temp.gauge('pg_table_size_bytes', 'watched.account'),
  (SELECT sum(relpages) * 8192 FROM pg_class
   WHERE oid IN ('watched.account'::regclass, 'watched.account_pkey'::regclass, 'watched.account_note_idx'::regclass,
                 (SELECT reltoastrelid FROM pg_class WHERE oid = 'watched.account'::regclass)))::float8,
  'the size is that of table, TOAST table and indexes');
SELECT is(pg_temp.gauge('pg_index_size_bytes', 'account_note_idx'),
  (SELECT relpages * 8192 FROM pg_class WHERE oid = 'watched.account_note_idx'::regclass)::float8,
  'an index has its size too');
SELECT is_empty($$SELECT labels FROM perfopt.sample WHERE metric ~ '^pg_(table|index)_'
  AND labels ->> 'table' ~ '^(perfopt|pg_catalog|information_schema|pg_toast|pg_temp)'$$,
  'neither the server''s nor perfopt''s own tables are shown, nor temporary ones');

-- Counters of one table are set back.
SELECT clock_timestamp() AS reset \gset
SELECT pg_stat_reset_single_table_counters('watched.account'::regclass) \g /dev/null
INSERT INTO watched.account SELECT g, g FROM generate_series(2001, 2003) g;
SELECT pg_stat_force_next_flush() \g /dev/null
SELECT perfopt.collect_now() \g /dev/null
SELECT is_empty(format($$SELECT * FROM perfopt.sample WHERE ts > %L AND metric ~ '^pg_table_.*_total$'
  AND labels ->> 'table' = 'watched.account'$$, :'reset'), 'a reset gives no increase rather than a wrong one');
INSERT INTO watched.account SELECT g, g FROM generate_series(2004, 2007) g;
SELECT pg_stat_force_next_flush() \g /dev/null
SELECT perfopt.collect_now() \g /dev/null
SELECT is(pg_temp.increase('pg_table_ins_total', 'watched.account', :'reset'), 4::float8, 'and the next one is right again');

-- More tables than are shown.
DO $$
BEGIN
  FOR i IN 1..60 LOOP
    EXECUTE format('CREATE TABLE watched.crowd_%s AS SELECT generate_series(1, 100 + %s)', i, i);
  END LOOP;
END $$;
SELECT pg_stat_force_next_flush() \g /dev/null
SELECT perfopt.collect_now() \g /dev/null
SELECT clock_timestamp() AS crowded \gset
DO $$
BEGIN
  FOR i IN 1..60 LOOP
    EXECUTE format('INSERT INTO watched.crowd_%s SELECT generate_series(1, 100 * %s)', i, i);
  END LOOP;
END $$;
SELECT pg_stat_force_next_flush() \g /dev/null
SELECT perfopt.collect_now() \g /dev/null
SELECT results_eq(format($$SELECT labels ->> 'table', value FROM perfopt.sample
    WHERE metric = 'pg_table_ins_total' AND ts > %L AND labels ->> 'database' = current_database() AND value > 0
    ORDER BY value$$, :'crowded'),
  $$SELECT 'watched.crowd_' || i, 100 * i::float8 FROM generate_series(31, 60) i$$,
  'of many tables only perfopt.top_tables are shown, the busiest');

-- Sequences: one that is used up soon, one that begins anew, one that somebody just alters.
CREATE SEQUENCE watched.scarce MAXVALUE 100;
SELECT setval('watched.scarce', 90) \g /dev/null
CREATE SEQUENCE watched.endless MAXVALUE 100 CYCLE;
SELECT setval('watched.endless', 90) \g /dev/null
CREATE SEQUENCE watched.downward INCREMENT -1 MINVALUE -100 MAXVALUE -1;
SELECT setval('watched.downward', -51) \g /dev/null
SELECT perfopt.collect_now() \g /dev/null
SELECT is(pg_temp.gauge('pg_sequence_used_ratio', 'watched.scarce'), 0.89899::float8, 'a sequence near its end is shown');
SELECT is(pg_temp.gauge('pg_sequence_used_ratio', 'watched.downward'), 0.505051::float8, 'also one that counts down');
SELECT is(pg_temp.gauge('pg_sequence_used_ratio', 'watched.endless'), NULL::float8, 'but not one that begins anew');

-- Everything is locked as hard as can be, by this very session.
SELECT clock_timestamp() AS locked \gset
BEGIN;
LOCK TABLE watched.account, watched.newcomer IN ACCESS EXCLUSIVE MODE;
ALTER SEQUENCE watched.scarce MAXVALUE 1000;
SELECT perfopt.collect_now() \g /dev/null
SELECT is(pg_temp.gauge('pg_table_size_bytes', 'watched.account') > 0
    AND EXISTS (SELECT FROM perfopt.sample WHERE ts > :'locked' AND metric = 'pg_table_size_bytes'
                AND labels ->> 'table' = 'watched.account'), true, 'a locked table is shown all the same');
SELECT results_eq($$SELECT source, state FROM perfopt.source_status WHERE source IN ('tables', 'sequences') AND target IS NULL$$,
  $$VALUES ('sequences', 'ok'), ('tables', 'ok')$$, 'and nobody waited for the lock');
COMMIT;
DROP SCHEMA watched CASCADE;
SELECT * FROM finish();
