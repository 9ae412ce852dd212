-- Alerts from threshold to resolution, on a clock that the test sets; what setters refuse; health.
\set QUIET on
\set ON_ERROR_STOP on
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS perfopt;
SELECT perfopt.collect_now() \g /dev/null

BEGIN;
SELECT plan(90);

-- All in one transaction, so that the collector, whose clock is another, sees nothing of it.
UPDATE perfopt.threshold SET enabled = false;

CREATE FUNCTION pg_temp.at(minute float8) RETURNS timestamptz LANGUAGE sql AS $$
  SELECT date_trunc('minute', now()) - interval '5 hours' + minute * interval '1 minute'
$$;
-- A sample of a minute, and what looking at it raised, in order: kind and severity.
CREATE FUNCTION pg_temp.step(minute float8, value float8, series text DEFAULT 'a', metric text DEFAULT 'shop_queue_length') RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  before bigint := coalesce((SELECT max(event_id) FROM perfopt.event), 0);
BEGIN
  IF step.value IS NOT NULL THEN
    PERFORM perfopt.record_metric(step.metric, step.value, jsonb_build_object('series', step.series), pg_temp.at(step.minute));
  END IF;
  PERFORM perfopt.evaluate_alerts(pg_temp.at(step.minute));
  RETURN (SELECT string_agg(format('%s %s%s', replace(e.kind, 'alert_', ''), e.severity, CASE WHEN e.told THEN '' ELSE ' untold' END), ', ' ORDER BY e.event_id)
          FROM perfopt.event e WHERE e.event_id > before);
END $$;
CREATE FUNCTION pg_temp.active(OUT alert perfopt.alert) LANGUAGE sql AS $$
  SELECT a FROM perfopt.alert a WHERE a.state <> 'resolved' ORDER BY a.alert_id DESC LIMIT 1
$$;

-- Setters refuse what makes no sense, and say what to do.
SELECT throws_ok($$SELECT perfopt.set_threshold('node_laod1', '>', 1, 2)$$, '42704', 'metric "node_laod1" does not exist');
DO $$
DECLARE
  hint text;
BEGIN
  PERFORM perfopt.set_threshold('node_laod1', '>', 1, 2);
EXCEPTION WHEN undefined_object THEN
  GET STACKED DIAGNOSTICS hint = PG_EXCEPTION_HINT;
  PERFORM set_config('test.hint', hint, false);
END $$;
SELECT matches(current_setting('test.hint'), 'node_load1', 'with the nearest names in the hint');
SELECT throws_ok($$SELECT perfopt.set_threshold('node_load1', '=', 1, 2)$$, '22023', 'operator "=" does not exist');
SELECT throws_ok($$SELECT perfopt.set_threshold('node_load1', '>', 3, 2)$$, '22023', 'warning (3) lies beyond critical (2) for operator ">"');
SELECT throws_ok($$SELECT perfopt.set_threshold('node_load1', '<', 1, 2)$$, '22023', 'warning (1) lies beyond critical (2) for operator "<"');
SELECT throws_ok($$SELECT perfopt.set_threshold('node_load1', '>', NULL, NULL)$$, '22004', 'a threshold on "node_load1" needs a warning or a critical value');
SELECT throws_ok($$SELECT perfopt.set_threshold('node_load1', '>', 'NaN', NULL)$$, '22023', 'warning and critical must be finite, not NaN');
SELECT throws_ok($$SELECT perfopt.set_threshold('node_load1', '>', 1, 2, hold => '-1 min')$$, '22023', 'hold must be between 0 and 30 days, not -00:01:00');
SELECT throws_ok($$SELECT perfopt.set_threshold('node_load1', '>', 1, 2, cooldown => '-1 min')$$, '22023', 'cooldown must be between 0 and 30 days, not -00:01:00');
SELECT throws_ok($$SELECT perfopt.set_threshold('node_load1', '>', 1, 2, escalate_after => '0')$$, '22023', 'escalate_after must be above 0 and at most 30 days, not 00:00:00');
SELECT throws_ok($$SELECT perfopt.set_threshold('node_load1', '>', 1, 2, labels => '["a"]')$$, '22023', 'labels must be a JSON object of texts, not ["a"]');
SELECT throws_ok($$SELECT perfopt.set_threshold('node_load1', '>', 1, 2, labels => '{"a": 1}')$$, '22023', 'labels must be a JSON object of texts, not {"a": 1}');
SELECT throws_ok($$SELECT perfopt.set_threshold('node_load1', '>', 1, 2, measure => 'median')$$, '22023', 'measure "median" does not exist');
SELECT throws_ok($$SELECT perfopt.set_threshold('node_load1', '>', 1, 2, measure => 'p95')$$, '22023', 'measure "p95" needs a period from 1 s to 1 hour, not NULL');
SELECT throws_ok($$SELECT perfopt.set_threshold('node_load1', '>', 1, 2, period => '1 min')$$, '22023', 'measure "value" takes no period');
SELECT throws_ok($$SELECT perfopt.set_threshold('node_load1', '<', 2, 1, measure => 'absent')$$, '22023', NULL, 'absence is bad when it is long');
SELECT throws_ok($$SELECT perfopt.set_threshold(NULL, '>', 1, 2)$$, '22004', NULL, 'NULL is refused');
SELECT throws_ok($$SELECT perfopt.drop_threshold('node_load1')$$, '42704', 'there is no threshold "node_load1 >"');
SELECT throws_ok($$SELECT perfopt.acknowledge_alert(-1)$$, '42704', 'alert -1 does not exist');
SELECT throws_ok($$SELECT perfopt.silence_alerts('node_laod1', '{}', now() + interval '1 hour')$$, '42704', NULL, 'silences need a metric that is');
SELECT throws_ok($$SELECT perfopt.silence_alerts(NULL, '{}', now() - interval '1 hour')$$, '22023', NULL, 'and an end');
SELECT throws_ok($$SELECT perfopt.evaluate_alerts('infinity')$$, '22008', NULL, 'no time is no time');

-- The name of a threshold is what it compares; setting it again replaces it.
SELECT perfopt.record_metric('shop_queue_length', 0, '{"series": "a"}', pg_temp.at(-60)) \g /dev/null
SELECT is(perfopt.set_threshold('shop_queue_length', '>', 70, 90), 'shop_queue_length >', 'a threshold has a name');
SELECT is(perfopt.set_threshold('shop_queue_length', '>', 80, 95, hold => '2 min', escalate_after => '10 min'), 'shop_queue_length >', 'and is replaced under it');
SELECT results_eq($$SELECT warning, critical, hold, cooldown, hysteresis_pct, set_by = session_user FROM perfopt.threshold WHERE enabled$$,
  $$VALUES (80::float8, 95::float8, interval '2 min', interval '5 min', 5::float8, true)$$, 'by the one set last');

-- Pending, firing, acknowledged, resolved.
SELECT is(pg_temp.step(0, 50), NULL, 'a healthy value raises nothing');
SELECT is(pg_temp.step(1, 85), 'pending warning', 'beyond the line it is pending');
SELECT is((pg_temp.active()).state, 'pending', 'and shown so');
SELECT throws_ok($$SELECT perfopt.acknowledge_alert((pg_temp.active()).alert_id)$$, '55000', NULL, 'there is nothing to acknowledge yet');
SELECT is(pg_temp.step(2, 50), 'cleared warning', 'a short breach clears');
SELECT is((SELECT count(*) FROM perfopt.alert WHERE metric = 'shop_queue_length'), 0::bigint, 'and leaves no alert');
SELECT is(pg_temp.step(3, 85), 'pending warning', 'beyond it again');
SELECT is(pg_temp.step(4, 85), NULL, 'for a minute');
SELECT is(pg_temp.step(5, 85), 'fired warning', 'for as long as it must hold: it fires');
SELECT results_eq($$SELECT a.state, a.severity, a.value, a.threshold, a.fired_at, a.escalation, a.labels FROM pg_temp.active() a$$,
  $$VALUES ('firing', 'warning', 85::float8, 80::float8, pg_temp.at(5), 0, '{"series": "a"}'::jsonb)$$, 'what fires is shown');
SELECT is(pg_temp.step(6, 85), NULL, 'and told once');
SELECT is(pg_temp.step(7, 99), NULL, 'critical must hold as well');
SELECT is(pg_temp.step(9, 99), 'worse critical', 'then it is worse');
SELECT is((pg_temp.active()).threshold, 95::float8, 'by the other line');
SELECT is(pg_temp.step(15, 99), 'escalated critical', 'nobody cares: a level up');
SELECT perfopt.acknowledge_alert((pg_temp.active()).alert_id, 'on it') \g /dev/null
SELECT results_eq($$SELECT a.state, a.acknowledged_by = session_user, a.acknowledged_at IS NOT NULL, a.note, a.escalation FROM pg_temp.active() a$$,
  $$VALUES ('acknowledged', true, true, 'on it', 1)$$, 'somebody does: who, when and why');
SELECT throws_ok($$SELECT perfopt.acknowledge_alert((pg_temp.active()).alert_id)$$, '55000', NULL, 'a second one is told who was first');
SELECT is(pg_temp.step(30, 99), NULL, 'it is escalated no more');
SELECT perfopt.escalate_alert((pg_temp.active()).alert_id, 'storage team') \g /dev/null
SELECT is((pg_temp.active()).escalation, 2, 'but by hand');
SELECT is(pg_temp.step(31, 78), 'better warning', 'below critical it is a warning');
SELECT is(pg_temp.step(32, 78), NULL, 'just below that line it still is');
SELECT is(pg_temp.step(33, 76), 'resolved warning', 'well below it is over');
SELECT results_eq($$SELECT state, resolved_at, resolved_by, escalation FROM perfopt.alert WHERE metric = 'shop_queue_length'$$,
  $$VALUES ('resolved', pg_temp.at(33), NULL::text, 2)$$, 'by itself');
SELECT results_eq($$SELECT kind, actor = session_user FROM perfopt.event WHERE alert_id IS NOT NULL AND actor IS NOT NULL ORDER BY event_id$$,
  $$VALUES ('alert_acknowledged', true), ('alert_escalated', true)$$, 'what people did is among the events');

-- Cooldown, and resolution by hand.
SELECT is(pg_temp.step(34, 85), 'pending warning', 'back within the cooldown');
SELECT is(pg_temp.step(37, 85), NULL, 'it waits, though it has held');
SELECT is(pg_temp.step(38, 85), 'fired warning', 'until five minutes after it was resolved');
SELECT perfopt.resolve_alert((pg_temp.active()).alert_id, 'known') \g /dev/null
SELECT results_eq($$SELECT state, resolved_by = session_user, note FROM perfopt.alert WHERE metric = 'shop_queue_length' ORDER BY alert_id DESC LIMIT 1$$,
  $$VALUES ('resolved', true, 'known')$$, 'resolved by hand');
UPDATE perfopt.alert_log SET resolved_at = pg_temp.at(39) WHERE until_clear;
SELECT is(pg_temp.step(50, 99), NULL, 'it stays quiet');
SELECT is(pg_temp.step(60, 99), NULL, 'however long it lasts');
SELECT is(pg_temp.step(61, 10), NULL, 'until it was healthy');
SELECT is(pg_temp.step(62, 85), 'pending warning', 'and then begins anew');
SELECT is(pg_temp.step(63, 10), 'cleared warning', 'and ends');

-- Silences and inhibition: kept, but not told; told when the reason ends while it fires.
SELECT perfopt.set_threshold('shop_queue_length', '>', 80, 95, cooldown => '0') \g /dev/null
SELECT perfopt.silence_alerts('shop_queue_length', '{"series": "b"}', now() + interval '1 hour', 'moving') AS silence \gset
SELECT is(pg_temp.step(70, 85, 'b'), 'fired warning untold', 'a silenced alert is kept');
SELECT ok((pg_temp.active()).silenced, 'as silenced');
SELECT is(pg_temp.step(70, 85, 'c'), 'fired warning', 'another series is told');
SELECT is(pg_temp.step(71, 10, 'c'), 'resolved warning', 'and resolved');
UPDATE perfopt.silence SET until = pg_temp.at(72);
SELECT is(pg_temp.step(73, 85, 'b'), 'fired warning', 'what still fires when the silence ends is told');
SELECT is(pg_temp.step(74, 10, 'b'), 'resolved warning', 'and its end');
-- Whoever was told of an alert is told of its end, though a silence has begun meanwhile.
SELECT is(pg_temp.step(75, 85, 'e'), 'fired warning', 'one that was told');
SELECT perfopt.silence_alerts('shop_queue_length', '{"series": "e"}', now() + interval '1 hour') \g /dev/null
SELECT is(pg_temp.step(76, 10, 'e'), 'resolved warning', 'ends aloud');
SELECT throws_ok($$SELECT perfopt.end_silence(-1)$$, '42704', NULL, 'there is no such silence');
SELECT perfopt.record_metric('shop_up', 1, '{"series": "a"}', pg_temp.at(79)) \g /dev/null
SELECT perfopt.set_threshold('shop_up', '<', NULL, 1, hold => '5 min') \g /dev/null
INSERT INTO perfopt.inhibition VALUES ('shop_up', '{}', 'shop_queue_length', '{}', '{series}');
SELECT throws_ok($$INSERT INTO perfopt.inhibition VALUES ('shop_up', '{}', 'shop_up', '{}', '{}')$$, '22023', NULL, 'nothing speaks for itself');
SELECT is(pg_temp.step(80, 0, 'a', 'shop_up'), 'pending critical', 'a cause, though only pending');
SELECT is(pg_temp.step(81, 85), 'fired warning untold', 'speaks for its symptom');
SELECT is(pg_temp.step(81, 85, 'c'), 'fired warning', 'and for no other');
SELECT ok((SELECT inhibited_by IS NOT NULL FROM perfopt.alert WHERE state = 'firing' AND labels = '{"series": "a"}'), 'which says by what');
SELECT is(pg_temp.step(82, 10), 'resolved warning untold', 'its end is no news either');
SELECT is(pg_temp.step(82, 10, 'c'), 'resolved warning', 'the other''s is');
SELECT is(pg_temp.step(83, 1, 'a', 'shop_up'), 'cleared critical', 'the cause is gone');

-- Other measures: rate, average, percentile, absence.
SELECT perfopt.drop_threshold('shop_queue_length') \g /dev/null
SELECT perfopt.set_threshold('shop_queue_length', '>', 10, NULL, measure => 'avg', period => '10 min', cooldown => '0') \g /dev/null
SELECT perfopt.record_metric('shop_queue_length', 5, '{"series": "d"}', pg_temp.at(m)) FROM generate_series(90, 99) m \g /dev/null
SELECT is(pg_temp.step(100, 40, 'd'), NULL, 'one high value is no high average');
SELECT perfopt.record_metric('shop_queue_length', 20, '{"series": "d"}', pg_temp.at(m)) FROM generate_series(101, 104) m \g /dev/null
SELECT is(pg_temp.step(105, 20, 'd'), 'fired warning', 'several are, in a window that came from the store');
SELECT ok((pg_temp.active()).value BETWEEN 15 AND 19, 'whose average is what is shown');
SELECT perfopt.drop_threshold('avg(shop_queue_length, 600 s) >') \g /dev/null
SELECT is(pg_temp.step(106, NULL, 'd'), 'resolved warning', 'an alert ends with its threshold');
SELECT perfopt.set_threshold('shop_queue_length', '>', NULL, 120, measure => 'absent', cooldown => '0') \g /dev/null
SELECT is(pg_temp.step(106, NULL), NULL, 'a minute without a sample is nothing');
SELECT is(pg_temp.step(108, NULL), 'fired critical', 'three are');
SELECT is(pg_temp.step(109, 1, 'zzz'), 'resolved critical', 'a sample of any series ends it');

-- Health can be worked out from what is shown.
SELECT perfopt.drop_threshold('shop_queue_length', '>', '{}', 'absent') \g /dev/null
SELECT perfopt.set_threshold('shop_queue_length', '>', 80, 95, cooldown => '0') \g /dev/null
SELECT pg_temp.step(298, 99, 'h1') \g /dev/null
SELECT pg_temp.step(298, 85, 'h2') \g /dev/null
SELECT is((SELECT score FROM perfopt.health() WHERE dimension = 'application'),
  100 - 45 - 15 - (SELECT 10 * count(*) FROM perfopt.source_status WHERE state = 'failing' AND coalesce(dimension, 'application') = 'application')::int,
  'a critical alert costs 45, a warning 15, a failing source 10');
SELECT ok((SELECT bool_and(score IS NULL AND status = 'unknown' AND detail LIKE 'no data%') FROM perfopt.health() h
  WHERE dimension NOT IN (SELECT dimension FROM perfopt.current_metrics()) AND dimension <> 'overall'), 'what is unknown has no score');
SELECT is((SELECT score FROM perfopt.health() WHERE dimension = 'overall'), (SELECT min(score) FROM perfopt.health() WHERE dimension <> 'overall'),
  'overall is the worst');
SELECT ok(perfopt.dashboard() ?& '{ts,health,alerts,metrics,db_time,statements,tests,recommendations,series}', 'a dashboard has it all');
SELECT is((SELECT count(*) FROM jsonb_array_elements(perfopt.dashboard() -> 'alerts')), 2::bigint, 'with the alerts');
-- What was sent and not confirmed is sent again as it was, whatever else has come in before it since.
CREATE SERVER alert_hook TYPE 'webhook' FOREIGN DATA WRAPPER perfopt OPTIONS (url 'http://127.0.0.1:1/');
DELETE FROM perfopt.outbox;
INSERT INTO perfopt.outbox (outbox_id, target, event_id, alert_id, payload) OVERRIDING SYSTEM VALUE
  SELECT 1000000 + n, 'alert_hook', n, 100 + n, jsonb_build_object('kind', 'alert_fired', 'event_id', n) FROM generate_series(2, 3) n;
SELECT results_eq($$SELECT batch, event_ids, more FROM perfopt.next_deliveries()$$, $$VALUES (1000002::bigint, '{2,3}'::text[], false)$$, 'a batch');
INSERT INTO perfopt.outbox (outbox_id, target, event_id, alert_id, payload) OVERRIDING SYSTEM VALUE
  VALUES (1000001, 'alert_hook', 1, 101, '{"kind": "alert_fired", "event_id": 1}');
SELECT results_eq($$SELECT batch, event_ids, more FROM perfopt.next_deliveries()$$, $$VALUES (1000002::bigint, '{2,3}'::text[], true)$$, 'stays the same batch');

-- What perfopt comes with is quiet on this server, and says where its numbers are from.
SELECT ok((SELECT bool_and(lineage ~ '^(measured|convention|judgement)') FROM perfopt.threshold WHERE builtin), 'every built-in threshold has a lineage');
SELECT * FROM finish();
ROLLBACK;
