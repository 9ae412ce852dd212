-- A recommendation's way from advice to change and back: states, plans, and the worker that applies and reverts.
\set QUIET on
\set ON_ERROR_STOP on
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS dblink;
CREATE EXTENSION IF NOT EXISTS perfopt;
SELECT plan(69);

CREATE ROLE advise_operator LOGIN;
CREATE ROLE advise_group;
SELECT perfopt.grant_access('advise_operator', 'operator'), perfopt.grant_access('advise_group', 'operator') \g /dev/null
CREATE SCHEMA advise_shop;
CREATE TABLE advise_shop.item (id int PRIMARY KEY, shelf int, name text);
INSERT INTO advise_shop.item SELECT g, g % 100, 'n' || g FROM generate_series(1, 10000) g;

INSERT INTO perfopt.analysis (analyzed_by, since, until, covered_seconds, aas, db_seconds, samples, cores, server_version, perfopt_version)
  VALUES ('test', '2020-01-01', '2020-01-01 00:15', 900, 2, 1800, 1000, 4, '15', '0') RETURNING analysis_id \gset
CREATE FUNCTION pg_temp.advise(action text, revert text, finding text DEFAULT 'missing_index', risk text DEFAULT 'low') RETURNS bigint LANGUAGE sql AS $$
  INSERT INTO perfopt.recommendation (analysis_id, rank, category, finding, title, action_sql, revert_sql, impact_pct, effort_hours, risk,
                                      confidence, entity, rationale, score)
    SELECT max(a.analysis_id), 1, 'database', $3, 'Do it', $1, $2, 40, 3, $4, 0.9, 'e', 'r', 1 FROM perfopt.analysis a
    RETURNING recommendation_id
$$;
CREATE FUNCTION pg_temp.state(id bigint) RETURNS text LANGUAGE sql AS $$ SELECT state FROM perfopt.recommendation WHERE recommendation_id = $1 $$;

-- The grammar's view of an action.
SELECT is((SELECT array_agg(concat_ws(' | ', step, command, setting, value, sql) ORDER BY step) FROM perfopt.action_statements(
    E'ALTER SYSTEM SET work_mem = ''64MB'';\nSELECT pg_reload_conf();\nALTER ROLE x SET lock_timeout = 5; -- for new sessions')),
  '{"1 | ALTER SYSTEM | work_mem | 64MB | ALTER SYSTEM SET work_mem = ''64MB''","2 | SELECT | SELECT pg_reload_conf()","3 | ALTER ROLE | lock_timeout | 5 | ALTER ROLE x SET lock_timeout = 5"}'::text[],
  'statements are told apart');
SELECT is((SELECT (s.index_name, s.table_name, s.key_columns, s.concurrent)::text
           FROM perfopt.action_statements('CREATE INDEX CONCURRENTLY "i x" ON "S".t (a, "B c");') s),
  '("""i x""","""S"".t","{a,""B c""}",t)', 'an index has its table and columns');
SELECT is((SELECT array_agg(s.key_columns IS NULL) FROM perfopt.action_statements(
    'CREATE INDEX i ON t (lower(a)); CREATE INDEX j ON t (a) WHERE b; CREATE UNIQUE INDEX k ON t (a); CREATE INDEX l ON t (a text_pattern_ops)') s),
  '{t,t,t,t}', 'no columns where they do not say all');
SELECT is_empty($$SELECT * FROM perfopt.action_statements('-- outside the database: move')$$, 'a comment is no statement');
SELECT throws_ok($$SELECT * FROM perfopt.action_statements('GO AWAY')$$, '42601', NULL, 'what is no SQL is an error');
SELECT is((SELECT array_agg(perfopt.is_applicable(a)) FROM unnest('{SELECT 1,-- x,DROP INDEX x}'::text[]) a), '{f,f,t}', 'only what changes something is applicable');

-- States.
SELECT pg_temp.advise('CREATE INDEX CONCURRENTLY item_shelf_idx ON advise_shop.item (shelf);', 'DROP INDEX CONCURRENTLY advise_shop.item_shelf_idx;') AS i \gset
SELECT perfopt.accept_recommendation(:i, 'tonight') \g /dev/null
SELECT throws_ok(format('SELECT perfopt.accept_recommendation(%s)', :i), '55000', NULL, 'what is accepted is not accepted again');
SELECT throws_ok(format($$SELECT perfopt.set_recommendation_state(%s, 'reverted', 'x', NULL)$$, :i), '55000',
  format('recommendation %s is accepted and can''t become reverted', :i), 'what was not implemented is not reverted');
SELECT throws_ok('SELECT perfopt.mark_implemented(-1)', '42704', 'recommendation -1 does not exist', 'an unknown one is an error');
SELECT throws_ok('SELECT * FROM perfopt.apply_recommendation(NULL)', '42704', 'recommendation NULL does not exist', 'so is none');
SELECT is((SELECT array_agg(concat_ws(' ', changed_by, from_state, to_state, note)) FROM perfopt.recommendation_history WHERE recommendation_id = :i),
  ARRAY[session_user || ' proposed accepted tonight'], 'the history says who, what and why');
SELECT is((SELECT count(*) FROM unnest('{proposed,accepted,implemented,verified,no_effect,regressed,inconclusive,dismissed,reverted}'::text[]) s
           WHERE perfopt.can_become(s, s) OR perfopt.can_become(s, 'proposed')), 0::bigint, 'no state leads to itself or back to proposed');

-- A dry run changes nothing and shows everything.
SELECT is((SELECT d::text FROM perfopt.apply_recommendation(:i) d),
  '(1,"CREATE INDEX CONCURRENTLY item_shelf_idx ON advise_shop.item (shelf)","SHARE UPDATE EXCLUSIVE on the table: reads and writes go on; waits for transactions that run","at once","DROP INDEX CONCURRENTLY advise_shop.item_shelf_idx;",low,)',
  'a dry run shows statement, locks, effect, revert and risk');
SELECT is(pg_temp.state(:i), 'accepted', 'and is nothing more');
SELECT is((SELECT count(*) FROM perfopt.application WHERE recommendation_id = :i), 0::bigint, 'no worker is asked');

-- What the transaction took back is not done.
BEGIN;
SELECT max(application_id) AS app FROM perfopt.apply_recommendation(:i, false) \gset
ROLLBACK;
SELECT pg_sleep(0.5) \g /dev/null
SELECT hasnt_index('advise_shop', 'item', 'item_shelf_idx', 'what was rolled back is not applied');

-- An index, by a worker.
SELECT max(application_id) AS app FROM perfopt.apply_recommendation(:i, false) \gset
CALL perfopt.wait_application(:app, '30 s') \g /dev/null
SELECT is((SELECT concat_ws(' ', state, statements_done, error) FROM perfopt.application WHERE application_id = :app), 'done 1', 'an index is created');
SELECT ok((SELECT indisvalid FROM pg_index WHERE indexrelid = 'advise_shop.item_shelf_idx'::regclass), 'and valid');
SELECT is(pg_temp.state(:i), 'implemented', 'its recommendation is implemented');
SELECT is((SELECT changed_by FROM perfopt.recommendation_history WHERE recommendation_id = :i AND to_state = 'implemented'), session_user::text, 'by who asked');
SELECT is((SELECT revert_sql FROM perfopt.application WHERE application_id = :app), 'DROP INDEX CONCURRENTLY advise_shop.item_shelf_idx;', 'the revert is kept');
SELECT throws_ok(format('SELECT * FROM perfopt.apply_recommendation(%s, false)', :i), '55000',
  format('recommendation %s is implemented and can''t be applied now', :i), 'not twice');
SELECT throws_ok(format('SELECT perfopt.dismiss_recommendation(%s)', :i), '55000', NULL, 'nor is it dismissed now');

-- An index that is there is not advised, nor made again.
SELECT pg_temp.advise('CREATE INDEX CONCURRENTLY item_shelf_idx1 ON advise_shop.item (shelf);', 'DROP INDEX CONCURRENTLY advise_shop.item_shelf_idx1;') AS again \gset
SELECT is((SELECT count(*) FROM perfopt.recommendations() WHERE recommendation_id = :again), 0::bigint, 'an index that is there is not advised');
SELECT is((SELECT count(*) FROM perfopt.recommendations() WHERE recommendation_id = :i), 1::bigint, 'what was implemented is still shown');
SELECT throws_ok(format('SELECT * FROM perfopt.apply_recommendation(%s, false)', :again), '42710',
  format('index advise_shop.item_shelf_idx does already what recommendation %s would create', :again), 'nor created');
SELECT is(perfopt.existing_index('CREATE INDEX i ON advise_shop.item (shelf, name)'), NULL, 'a shorter index does not do it');
SELECT is(perfopt.existing_index('CREATE INDEX i ON advise_shop.gone (shelf)'), NULL, 'nor is there one on a table that is gone');

SELECT max(application_id) AS app FROM perfopt.revert_recommendation(:i) \gset
CALL perfopt.wait_application(:app, '30 s') \g /dev/null
SELECT is(pg_temp.state(:i), 'reverted', 'it is reverted');
SELECT hasnt_index('advise_shop', 'item', 'item_shelf_idx', 'the index is gone');
SELECT is((SELECT count(*) FROM perfopt.recommendations() WHERE recommendation_id = :again), 1::bigint, 'and is advised again');

-- Locks are not waited for longer than that, and half an index does not stay.
SELECT dblink_connect('other', format('dbname=%s host=%s port=%s', current_database(), split_part(current_setting('unix_socket_directories'), ',', 1), current_setting('port'))) \g /dev/null
SELECT dblink_exec('other', 'BEGIN'), dblink_exec('other', 'UPDATE advise_shop.item SET shelf = 1 WHERE id = 1') \g /dev/null
SELECT max(application_id) AS app FROM perfopt.apply_recommendation(:again, false, '200 ms') \gset
CALL perfopt.wait_application(:app, '30 s') \g /dev/null
SELECT is((SELECT concat_ws(' ', state, error) FROM perfopt.application WHERE application_id = :app), 'failed canceling statement due to lock timeout', 'a lock is not waited for too long');
SELECT is(pg_temp.state(:again), 'proposed', 'its recommendation stays as it was');
SELECT dblink_exec('other', 'ROLLBACK') \g /dev/null
CREATE FUNCTION pg_temp.leftover() RETURNS bigint LANGUAGE sql AS $$ SELECT count(*) FROM pg_index WHERE indrelid = 'advise_shop.item'::regclass AND NOT indisvalid $$;
-- The worker drops it after it has told of the error.
SELECT pg_sleep(1) \g /dev/null
SELECT is(pg_temp.leftover(), 0::bigint, 'no invalid index is left');

-- While a worker is at it nobody else is; one that is killed leaves a record.
SELECT dblink_exec('other', 'BEGIN'), dblink_exec('other', 'UPDATE advise_shop.item SET shelf = 1 WHERE id = 1') \g /dev/null
SELECT max(application_id) AS app FROM perfopt.apply_recommendation(:again, false) \gset
CALL perfopt.wait_application(:app, '1 s') \gset waited_
SELECT is(:'waited_state'::text, 'running', 'waiting has an end');
SELECT throws_ok(format('SELECT perfopt.dismiss_recommendation(%s)', :again), '55006', format('recommendation %s is being worked on and can''t become dismissed now', :again), 'it is not dismissed meanwhile');
SELECT throws_ok(format('SELECT * FROM perfopt.apply_recommendation(%s, false)', :again), '55006', format('recommendation %s is being worked on by application %s', :again, :app), 'nor applied twice');
SELECT pg_terminate_backend(pid, 5000) FROM perfopt.application WHERE application_id = :app \g /dev/null
CALL perfopt.wait_application(:app, '10 s') \gset waited_
SELECT is(:'waited_state'::text, 'failed', 'a worker that was killed has failed');
SELECT dblink_exec('other', 'ROLLBACK') \g /dev/null
SELECT is((SELECT count(*) FROM perfopt.recommendations() WHERE recommendation_id = :again), 1::bigint, 'half an index does not count');
DROP INDEX advise_shop.item_shelf_idx1;

-- Another's index of that name is not cleaned up.
CREATE INDEX item_shelf_idx1 ON advise_shop.item (name);
SELECT max(application_id) AS app FROM perfopt.apply_recommendation(:again, false) \gset
CALL perfopt.wait_application(:app, '30 s') \g /dev/null
SELECT is((SELECT concat_ws(' ', state, error) FROM perfopt.application WHERE application_id = :app), 'failed relation "item_shelf_idx1" already exists', 'an error is kept');
SELECT has_index('advise_shop', 'item', 'item_shelf_idx1', ARRAY['name'], 'and the other index stays');

-- Settings: of the system, as superuser, with a reload; the revert is what was set before.
SELECT pg_temp.advise(E'ALTER SYSTEM SET log_lock_waits = ''on'';\nSELECT pg_reload_conf();', E'ALTER SYSTEM RESET log_lock_waits;\nSELECT pg_reload_conf();', 'deadlocks') AS s \gset
SELECT is((SELECT array_agg(takes_effect) FROM perfopt.apply_recommendation(:s)), '{when the configuration is reloaded,at once}', 'a setting says when it takes effect');
SELECT is((SELECT takes_effect FROM perfopt.describe_action('ALTER SYSTEM SET shared_buffers = ''1GB''')), 'when the server is restarted', 'or that it needs a restart');
SELECT max(application_id) AS app FROM perfopt.apply_recommendation(:s, false) \gset
CALL perfopt.wait_application(:app, '30 s') \g /dev/null
SELECT is((SELECT concat_ws(' ', state, statements_done) FROM perfopt.application WHERE application_id = :app), 'done 2', 'ALTER SYSTEM and reload');
SELECT is((SELECT setting FROM pg_file_settings WHERE name = 'log_lock_waits' AND sourcefile LIKE '%auto.conf'), 'on', 'the setting is set');
SELECT max(application_id) AS app FROM perfopt.revert_recommendation(:s) \gset
CALL perfopt.wait_application(:app, '30 s') \g /dev/null
SELECT is((SELECT count(*) FROM pg_file_settings WHERE name = 'log_lock_waits' AND sourcefile LIKE '%auto.conf'), 0::bigint, 'and reset');

-- The worker has the rights of who asks, no more.
SELECT pg_temp.advise('ALTER ROLE advise_group SET work_mem = ''5MB'';', 'ALTER ROLE advise_group RESET work_mem;', 'work_mem_spill') AS r \gset
SET SESSION AUTHORIZATION advise_operator;
SELECT max(application_id) AS app FROM perfopt.apply_recommendation(:r, false) \gset
RESET SESSION AUTHORIZATION;
CALL perfopt.wait_application(:app, '30 s') \g /dev/null
SELECT is((SELECT concat_ws(' ', state, ordered_by, error) FROM perfopt.application WHERE application_id = :app), 'failed advise_operator permission denied', 'an operator alters no other role');
SET ROLE advise_group;
SELECT throws_ok(format('SELECT * FROM perfopt.apply_recommendation(%s, false)', :r), '42501', 'role "advise_group" can''t log in, so no worker can act as it', 'a role without login can''t ask');
SELECT throws_ok(format('SELECT perfopt.set_recommendation_state(%s, ''verified'', ''x'', NULL)', :r), '42501', NULL, 'nobody sets a state past the functions');
RESET ROLE;

-- What SQL can't do is done by people.
SELECT pg_temp.advise('-- outside the database: move the server', '-- move it back', 'cpu_saturation', 'medium') AS o \gset
SELECT is((SELECT concat_ws(' | ', statement, takes_effect) FROM perfopt.apply_recommendation(:o)), '-- outside the database: move the server | when it is done', 'a step outside is shown as it is');
SELECT throws_ok(format('SELECT * FROM perfopt.apply_recommendation(%s, false)', :o), '55000', format('recommendation %s has nothing that SQL could change', :o), 'and not applied');
SELECT perfopt.mark_implemented(:o, 'moved') \g /dev/null
SELECT is(pg_temp.state(:o), 'implemented', 'until somebody says so');
SELECT throws_ok(format('SELECT * FROM perfopt.revert_recommendation(%s)', :o), '55000', format('recommendation %s has nothing that SQL could revert', :o), 'nor reverted');

-- Plans.
SELECT pg_temp.advise('SELECT 1;', '-- nothing') AS look, pg_temp.advise('ALTER SYSTEM SET shared_buffers = ''1GB'';', 'ALTER SYSTEM RESET shared_buffers;') AS restart \gset
SELECT is((SELECT array_agg(concat_ws(' | ', step, phase, execution_window, effort_low_hours, effort_high_hours, risk) ORDER BY step) FROM perfopt.implementation_plan(:i)),
  '{1 | prepare | any time | 0.25 | 1 | low,2 | try | quiet hours | 0.25 | 1 | low,3 | apply | quiet hours | 0.75 | 3 | low,4 | verify | any time | 0.25 | 1 | low,5 | roll back | any time | 0.75 | 3 | low}'::text[],
  'an index is planned in five phases');
SELECT is((SELECT array_agg(concat_ws(' | ', phase, execution_window) ORDER BY step) FROM perfopt.implementation_plan(:o)),
  '{prepare | any time,try | quiet hours,apply | maintenance window,verify | any time,roll back | maintenance window}'::text[], 'a step outside takes a maintenance window');
SELECT is((SELECT array_agg(phase ORDER BY step) FROM perfopt.implementation_plan(:look)), '{prepare,apply}', 'what only looks needs no more than that');
SELECT ok((SELECT execution_window = 'maintenance window' FROM perfopt.implementation_plan(:restart) WHERE phase = 'apply'), 'so does a restart');
SELECT throws_ok('SELECT * FROM perfopt.implementation_plan(-1)', '42704', 'recommendation -1 does not exist', 'no plan without advice');
CREATE INDEX item_shelf ON advise_shop.item (shelf);
CREATE FUNCTION pg_temp.succeeded(id bigint, phase text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE answer boolean;
BEGIN
  EXECUTE (SELECT s.success_sql FROM perfopt.plan_step s WHERE s.recommendation_id = id AND s.phase = $2) INTO answer;
  RETURN answer;
END $$;
SELECT ok(pg_temp.succeeded(:i, 'apply'), 'its criterion sees the index');
SELECT ok(pg_temp.succeeded(:i, 'roll back'), 'and that it was reverted');
SELECT ok(NOT pg_temp.succeeded(:i, 'verify'), 'but not that it was verified');

-- Cost, against cases worked out by hand.
SELECT is((SELECT c::text FROM (SELECT currency, cost_now, cost_after, saving_month, one_off, payback_months, return_12_pct, return_36_pct, npv_36, discount_rate_pct
                                FROM perfopt.cost_analysis(:i)) c), '(,,,,,,,,,)', 'without prices there is no money');
INSERT INTO perfopt.cost_rate (resource, price, currency) VALUES ('vcpu', 25, 'EUR'), ('work_hour', 90, 'EUR'), ('memory_gb', 3.5, 'EUR');
SELECT throws_ok($$INSERT INTO perfopt.cost_rate (resource, price, currency) VALUES ('iops', 1, 'USD')$$, '23514', 'cost rates must be in one currency, not EUR and USD', 'one currency');
-- 4 cores * 25 = 100; 4 * 0.4 * 0.9 = 1.44 cores freed = 36.00 a month; 3 h * 90 = 270 once; 270 / 36 = 7.5 months;
-- (12 * 36 - 270) / 270 = 60 %; (36 * 36 - 270) / 270 = 380 %. At 8 % a year a month's factor is v = 1.08 ^ (-1/12);
-- 36 * v (1 - v ^ 36) / (1 - v) = 36 * 32.0373... = 1153.35, less 270.
SELECT is((SELECT c::text FROM (SELECT currency, cost_now, cost_after, saving_month, one_off, payback_months, return_12_pct, return_36_pct
                                FROM perfopt.cost_analysis(:i)) c), '(EUR,100.00,64.00,36.00,270.00,7.5,60.0,380.0)', 'cost, saving and return to the cent');
SELECT is((SELECT npv_36 FROM perfopt.cost_analysis(:i)), round((36 * (1 - power(1.08::float8, -3)) / (power(1.08::float8, 1 / 12.0::float8) - 1) - 270)::numeric, 2),
  'net present value as the closed form of an annuity');
SELECT is((SELECT i::text FROM perfopt.investment(100, 900, 0) i), '(9.0,33.3,300.0,2700.00)', 'without discount the value is the sum');
SELECT is((SELECT i::text FROM perfopt.investment(-10, 50, 0) i), '(,-340.0,-820.0,-410.00)', 'what costs more never pays back');
SELECT throws_ok(format('SELECT * FROM perfopt.cost_analysis(%s, -100)', :i), '22023', NULL, 'a discount rate that makes no sense is refused');
SELECT is((SELECT basis -> 'left_out' FROM perfopt.cost_analysis(:i)), '["memory_gb", "storage_gb", "iops"]', 'what is not known is said to be left out');

SELECT * FROM finish();
DELETE FROM perfopt.cost_rate;
DELETE FROM perfopt.analysis WHERE analysis_id = :analysis_id;
SELECT dblink_disconnect('other') \g /dev/null
SELECT perfopt.revoke_access('advise_operator'), perfopt.revoke_access('advise_group') \g /dev/null
DROP SCHEMA advise_shop CASCADE;
DROP ROLE advise_operator, advise_group;
