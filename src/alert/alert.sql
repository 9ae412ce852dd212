-- Alerts: what fires, what people do about it, and how it is told.

CREATE TABLE perfopt.alert_log (
  alert_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  threshold text NOT NULL,
  metric text NOT NULL,
  labels jsonb NOT NULL,
  severity text NOT NULL CHECK (severity IN ('warning', 'critical')),
  state text NOT NULL CHECK (state IN ('pending', 'firing', 'acknowledged', 'resolved')),
  value float8,
  line float8,
  pending_since timestamptz NOT NULL,
  critical_since timestamptz,
  fired_at timestamptz,
  escalated_at timestamptz,
  acknowledged_at timestamptz,
  acknowledged_by text,
  resolved_at timestamptz,
  resolved_by text,
  escalation int NOT NULL DEFAULT 0,
  note text,
  until_clear boolean NOT NULL DEFAULT false,
  told boolean NOT NULL DEFAULT false,
  silenced boolean NOT NULL DEFAULT false,
  inhibited_by bigint
);
CREATE UNIQUE INDEX alert_log_active_idx ON perfopt.alert_log (threshold, labels) WHERE state <> 'resolved';
CREATE INDEX alert_log_fired_at_idx ON perfopt.alert_log (fired_at);
CREATE INDEX alert_log_resolved_at_idx ON perfopt.alert_log (resolved_at);
COMMENT ON TABLE perfopt.alert_log IS
  'Each alert from pending to resolved, a row each; perfopt.alert shows it. until_clear: resolved by hand, and quiet until values are healthy again. told: it was notified of. Kept for perfopt.retention_events.';

CREATE VIEW perfopt.alert AS
  SELECT a.alert_id, a.metric, a.labels, a.severity, a.state, a.value, a.line AS threshold, a.fired_at,
         a.acknowledged_at, a.acknowledged_by, a.resolved_at, a.escalation, a.note,
         a.pending_since, a.resolved_by, a.silenced, a.inhibited_by, m.unit, a.threshold AS name
  FROM perfopt.alert_log a
  LEFT JOIN perfopt.metric m ON m.name = a.metric
  ORDER BY a.state = 'resolved', a.state = 'pending', a.severity <> 'critical', coalesce(a.fired_at, a.pending_since) DESC, a.alert_id DESC;
COMMENT ON VIEW perfopt.alert IS
  'Alerts, what needs attention first: state pending, firing, acknowledged or resolved. value is what it was when state or severity changed last, threshold the line that it crossed, name the threshold''s in perfopt.threshold. silenced and inhibited_by (an alert_id) say why one is not told. Example: SELECT alert_id, severity, state, name, labels, value, threshold, now() - fired_at AS since FROM perfopt.alert WHERE state IN (''firing'', ''acknowledged'');';

CREATE SEQUENCE perfopt.event_id_seq;
COMMENT ON SEQUENCE perfopt.event_id_seq IS 'Numbers of perfopt.event.';
CREATE TABLE perfopt.event (
  event_id bigint PRIMARY KEY DEFAULT nextval('perfopt.event_id_seq'),
  ts timestamptz NOT NULL DEFAULT clock_timestamp(),
  kind text NOT NULL,
  alert_id bigint,
  metric text,
  labels jsonb,
  severity text,
  state text,
  value float8,
  threshold float8,
  actor text,
  note text,
  detail jsonb,
  told boolean NOT NULL
);
ALTER SEQUENCE perfopt.event_id_seq OWNED BY perfopt.event.event_id;
CREATE INDEX event_ts_idx ON perfopt.event (ts);
CREATE INDEX event_alert_id_idx ON perfopt.event (alert_id);
COMMENT ON TABLE perfopt.event IS
  'Everything that happened, a row each; the same as JSON goes to NOTIFY perfopt_event, and to targets, unless told is false (silenced or inhibited). kind: alert_pending, alert_cleared, alert_fired, alert_worse, alert_better, alert_escalated, alert_acknowledged, alert_resolved, alert_silenced, regression. actor: who, NULL for perfopt itself. Kept for perfopt.retention_events. Example: SELECT ts, kind, metric, labels, value, actor, note FROM perfopt.event ORDER BY event_id DESC LIMIT 20;';

CREATE TABLE perfopt.outbox (
  outbox_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  target text NOT NULL,
  event_id bigint NOT NULL,
  alert_id bigint,
  payload jsonb NOT NULL,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  batch bigint,
  attempts int NOT NULL DEFAULT 0,
  next_attempt timestamptz NOT NULL DEFAULT '-infinity',
  last_error text
);
CREATE INDEX outbox_target_idx ON perfopt.outbox (target, outbox_id);
COMMENT ON TABLE perfopt.outbox IS
  'Events that a target (TYPE webhook, or redis with option event_channel or event_stream) has not confirmed yet, in their order; deleted once it has, or after 7 days. Example: SELECT target, count(*), min(created_at), max(attempts), max(last_error) FROM perfopt.outbox GROUP BY 1;';

CREATE FUNCTION perfopt.outbox_filled() RETURNS trigger
LANGUAGE c AS 'MODULE_PATHNAME', 'perfopt_outbox_filled';
COMMENT ON FUNCTION perfopt.outbox_filled() IS
  'Wakes the prober once the transaction is committed, so that events are delivered at once; a trigger calls it.';
CREATE TRIGGER outbox_filled AFTER INSERT ON perfopt.outbox
  FOR EACH STATEMENT EXECUTE FUNCTION perfopt.outbox_filled();

CREATE FUNCTION perfopt.event_json(event perfopt.event) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
  -- A notification has room for 8000 bytes.
  SELECT CASE WHEN octet_length(j.whole::text) < 7900 THEN j.whole
              ELSE j.whole - 'detail' || jsonb_build_object('note', left(event.note, 500), 'truncated', true,
                                                            'labels', CASE WHEN octet_length(event.labels::text) < 4000 THEN event.labels END) END
  FROM (SELECT jsonb_strip_nulls(to_jsonb(event) - 'told') AS whole) j
$$;
COMMENT ON FUNCTION perfopt.event_json(perfopt.event) IS
  'An event as it is told: its columns but told and those that are NULL; without detail and with a short note (truncated) where it would be over 7,900 bytes. Example: SELECT perfopt.event_json(e) FROM perfopt.event e ORDER BY event_id DESC LIMIT 1;';

-- The one way to tell. Those who may do so call it through functions of the extension's owner.
CREATE FUNCTION perfopt.raise_event(
  kind text, alert_id bigint, metric text, labels jsonb, severity text, state text, value float8, threshold float8,
  actor text, note text, detail jsonb, told boolean, at timestamptz DEFAULT clock_timestamp())
RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  event perfopt.event;
BEGIN
  INSERT INTO perfopt.event AS e (ts, kind, alert_id, metric, labels, severity, state, value, threshold, actor, note, detail, told)
    VALUES ($13, $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
    RETURNING e.* INTO event;
  IF $12 THEN
    PERFORM pg_notify('perfopt_event', perfopt.event_json(event)::text);
    IF $1 NOT IN ('alert_pending', 'alert_cleared') THEN
      INSERT INTO perfopt.outbox (target, event_id, alert_id, payload)
        SELECT s.srvname, event.event_id, $2, perfopt.event_json(event)
        FROM pg_foreign_server s
        JOIN pg_foreign_data_wrapper w ON w.oid = s.srvfdw AND w.fdwname = 'perfopt'
        WHERE s.srvtype = 'webhook'
           OR s.srvtype = 'redis'
              AND EXISTS (SELECT FROM pg_options_to_table(s.srvoptions) o WHERE o.option_name IN ('event_channel', 'event_stream'));
    END IF;
  END IF;
  RETURN event.event_id;
END $$;
COMMENT ON FUNCTION perfopt.raise_event(text, bigint, text, jsonb, text, text, float8, float8, text, text, jsonb, boolean, timestamptz) IS
  'Writes a row of perfopt.event and, if told, sends NOTIFY perfopt_event and fills perfopt.outbox; returns event_id. For perfopt''s own use. Example: SELECT perfopt.raise_event(''drill'', NULL, NULL, NULL, ''warning'', NULL, NULL, NULL, session_user, ''a test of the pager'', NULL, true);';

CREATE FUNCTION perfopt.tell_regression(run_id bigint, baseline text, count int, rows jsonb) RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
  SELECT perfopt.raise_event('regression', NULL, NULL, NULL, 'warning', NULL, NULL, NULL, NULL,
    format('test %s is slower than baseline "%s" in %s figures', r.run_id, $2, $3),
    jsonb_build_object('run_id', r.run_id, 'scenario', r.scenario, 'baseline', $2, 'count', $3,
                       'rows', CASE WHEN octet_length($4::text) < 8000 THEN $4 END), true)
  FROM perfopt.test_run r WHERE r.run_id = $1
$$;
COMMENT ON FUNCTION perfopt.tell_regression(bigint, text, int, jsonb) IS
  'Raises the event of a load test that is worse than its baseline; perfopt.check_regression() calls it. Example: SELECT perfopt.tell_regression(12, ''release 4'', 1, ''[{"operation": "total", "metric": "p95_ms", "change_pct": 23}]'');';

CREATE FUNCTION perfopt.is_silenced(metric text, labels jsonb, at timestamptz DEFAULT clock_timestamp()) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
  SELECT EXISTS (SELECT FROM perfopt.silence s
                 WHERE s.until > $3 AND (s.metric IS NULL OR s.metric = $1) AND $2 @> s.labels)
$$;
COMMENT ON FUNCTION perfopt.is_silenced(text, jsonb, timestamptz) IS
  'Whether a silence covers alerts on this metric with these labels. Example: SELECT perfopt.is_silenced(''redis_up'', ''{"target": "app_cache"}'');';

CREATE FUNCTION perfopt.caller() RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
  -- Inside a function of the owner, current_user is the owner.
  SELECT CASE current_setting('role') WHEN 'none' THEN session_user ELSE current_setting('role') END
$$;
COMMENT ON FUNCTION perfopt.caller() IS 'The role that somebody acts as, also inside SECURITY DEFINER functions. Example: SELECT perfopt.caller();';

CREATE FUNCTION perfopt.locked_alert(alert_id bigint) RETURNS perfopt.alert_log
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  alert perfopt.alert_log;
BEGIN
  SELECT a.* INTO alert FROM perfopt.alert_log a WHERE a.alert_id = $1 FOR UPDATE;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'alert % does not exist', coalesce($1::text, 'NULL') USING ERRCODE = 'undefined_object',
      HINT = 'SELECT alert_id, state, name, labels FROM perfopt.alert lists them.';
  END IF;
  IF alert.state = 'resolved' THEN
    RAISE EXCEPTION 'alert % is resolved since %', $1, alert.resolved_at USING ERRCODE = 'object_not_in_prerequisite_state',
      HINT = 'SELECT alert_id, state, name FROM perfopt.alert WHERE state <> ''resolved'' lists those that are not.';
  END IF;
  RETURN alert;
END $$;
COMMENT ON FUNCTION perfopt.locked_alert(bigint) IS
  'An alert that is not resolved, locked until the transaction''s end, or an error with a hint. For perfopt''s own use. Example: BEGIN; SELECT (perfopt.locked_alert(17)).state; ROLLBACK;';

CREATE FUNCTION perfopt.tell_alert(kind text, alert_id bigint, actor text, note text) RETURNS void
LANGUAGE sql SET search_path = pg_catalog, pg_temp
AS $$
  SELECT perfopt.raise_event($1, a.alert_id, a.metric, a.labels, a.severity, a.state, a.value, a.line, $3, $4,
                             jsonb_build_object('threshold', a.threshold, 'escalation', a.escalation),
                             CASE $1 WHEN 'alert_resolved' THEN a.told ELSE a.inhibited_by IS NULL AND NOT a.silenced END)
  FROM perfopt.alert_log a WHERE a.alert_id = $2
$$;
COMMENT ON FUNCTION perfopt.tell_alert(text, bigint, text, text) IS
  'Raises the event of what somebody did with an alert. For perfopt''s own use. Example: SELECT perfopt.tell_alert(''alert_acknowledged'', 17, session_user, ''on it'');';

CREATE FUNCTION perfopt.acknowledge_alert(alert_id bigint, note text DEFAULT NULL) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  alert perfopt.alert_log := perfopt.locked_alert($1);
BEGIN
  IF alert.state = 'acknowledged' THEN
    RAISE EXCEPTION 'alert % was acknowledged by % at %', $1, alert.acknowledged_by, alert.acknowledged_at
      USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'resolve_alert() or escalate_alert() take it further.';
  END IF;
  IF alert.state = 'pending' THEN
    RAISE EXCEPTION 'alert % is pending', $1 USING ERRCODE = 'object_not_in_prerequisite_state',
      HINT = 'It fires when it has held for long enough; silence_alerts() keeps it quiet.';
  END IF;
  UPDATE perfopt.alert_log a
  SET state = 'acknowledged', acknowledged_at = clock_timestamp(), acknowledged_by = perfopt.caller(), note = coalesce($2, a.note)
  WHERE a.alert_id = $1;
  PERFORM perfopt.tell_alert('alert_acknowledged', $1, perfopt.caller(), $2);
END $$;
COMMENT ON FUNCTION perfopt.acknowledge_alert(bigint, text) IS
  'Says that somebody is at it: a firing alert becomes acknowledged and is escalated no more. Example: SELECT perfopt.acknowledge_alert(17, ''looking at the replica'');';

CREATE FUNCTION perfopt.resolve_alert(alert_id bigint, note text DEFAULT NULL) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  alert perfopt.alert_log := perfopt.locked_alert($1);
BEGIN
  UPDATE perfopt.alert_log a
  SET state = 'resolved', resolved_at = clock_timestamp(), resolved_by = perfopt.caller(), note = coalesce($2, a.note),
      until_clear = true
  WHERE a.alert_id = $1;
  PERFORM perfopt.tell_alert('alert_resolved', $1, perfopt.caller(), $2);
END $$;
COMMENT ON FUNCTION perfopt.resolve_alert(bigint, text) IS
  'Resolves an alert by hand: the same series fires again only after its values were healthy in between. Example: SELECT perfopt.resolve_alert(17, ''batch job, known'');';

CREATE FUNCTION perfopt.escalate_alert(alert_id bigint, note text DEFAULT NULL) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  alert perfopt.alert_log := perfopt.locked_alert($1);
BEGIN
  IF alert.state = 'pending' THEN
    RAISE EXCEPTION 'alert % is pending', $1 USING ERRCODE = 'object_not_in_prerequisite_state',
      HINT = 'It fires when it has held for long enough.';
  END IF;
  IF alert.escalation >= 3 THEN
    RAISE EXCEPTION 'alert % is at level 3, the highest', $1 USING ERRCODE = 'object_not_in_prerequisite_state',
      HINT = 'Levels are 1 to 3.';
  END IF;
  UPDATE perfopt.alert_log a
  SET escalation = a.escalation + 1, escalated_at = clock_timestamp(), note = coalesce($2, a.note)
  WHERE a.alert_id = $1;
  PERFORM perfopt.tell_alert('alert_escalated', $1, perfopt.caller(), $2);
END $$;
COMMENT ON FUNCTION perfopt.escalate_alert(bigint, text) IS
  'Takes an alert up a level (1 to 3) and tells so. Example: SELECT perfopt.escalate_alert(17, ''needs the storage team'');';

CREATE FUNCTION perfopt.silence_alerts(metric text, labels jsonb, until timestamptz, note text DEFAULT NULL) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  id bigint;
BEGIN
  IF $1 IS NOT NULL AND NOT EXISTS (SELECT FROM perfopt.metric m WHERE m.name = $1) THEN
    RAISE EXCEPTION 'metric "%" does not exist', $1 USING ERRCODE = 'undefined_object',
      HINT = coalesce('Perhaps you mean one of: ' || perfopt.nearest_metrics($1) || '; NULL is every metric.', 'NULL is every metric.');
  END IF;
  IF jsonb_typeof($2) IS DISTINCT FROM 'object' THEN
    RAISE EXCEPTION 'labels must be a JSON object of texts, not %', coalesce($2::text, 'NULL') USING ERRCODE = 'invalid_parameter_value',
      HINT = '{} is every series.';
  END IF;
  IF $3 IS NULL OR $3 <= clock_timestamp() OR $3 = 'infinity' THEN
    RAISE EXCEPTION 'a silence must end in the future, not %', coalesce($3::text, 'NULL') USING ERRCODE = 'invalid_parameter_value',
      HINT = 'For example until => now() + interval ''2 hours''; drop_threshold() is for ever.';
  END IF;
  INSERT INTO perfopt.silence AS s (metric, labels, until, note, created_by) VALUES ($1, $2, $3, $4, perfopt.caller())
    RETURNING s.silence_id INTO id;
  PERFORM perfopt.raise_event('alert_silenced', NULL, $1, $2, NULL, NULL, NULL, NULL, perfopt.caller(), $4,
                              jsonb_build_object('silence_id', id, 'until', $3), true);
  RETURN id;
END $$;
COMMENT ON FUNCTION perfopt.silence_alerts(text, jsonb, timestamptz, text) IS
  'Keeps alerts on a metric (NULL: all) whose labels contain these from being told until then, and returns silence_id; what still fires at its end is told then. Example: SELECT perfopt.silence_alerts(NULL, ''{"target": "app_cache"}'', now() + interval ''2 hours'', ''Redis upgrade'');';

CREATE FUNCTION perfopt.end_silence(silence_id bigint) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  UPDATE perfopt.silence s SET until = clock_timestamp() WHERE s.silence_id = $1 AND s.until > clock_timestamp();
  IF NOT FOUND THEN
    RAISE EXCEPTION 'silence % does not exist or has ended', coalesce($1::text, 'NULL') USING ERRCODE = 'undefined_object',
      HINT = 'SELECT * FROM perfopt.silence WHERE until > now() lists those that last.';
  END IF;
END $$;
COMMENT ON FUNCTION perfopt.end_silence(bigint) IS
  'Ends a silence now. Example: SELECT perfopt.end_silence(3);';

CREATE FUNCTION perfopt.evaluate_alerts(at timestamptz DEFAULT clock_timestamp()) RETURNS int
LANGUAGE c STRICT SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'perfopt_evaluate_alerts';
COMMENT ON FUNCTION perfopt.evaluate_alerts(timestamptz) IS
  'Looks at all thresholds as of a time with what was collected until then, as the collector does in each cycle by itself, and returns how many alerts changed. For the owner alone: at another time than now it resolves and raises what is not so. Example: SELECT perfopt.evaluate_alerts();';

CREATE FUNCTION perfopt.forget_events(older_than interval) RETURNS bigint
LANGUAGE sql SET search_path = pg_catalog, pg_temp
AS $$
  WITH old_alert AS (
    DELETE FROM perfopt.alert_log a WHERE a.alert_id IN (
      SELECT o.alert_id FROM perfopt.alert_log o
      WHERE o.state = 'resolved' AND NOT o.until_clear AND o.resolved_at < now() - older_than LIMIT 10000)
    RETURNING 1
  ), old_event AS (
    DELETE FROM perfopt.event e WHERE e.event_id IN (
      SELECT o.event_id FROM perfopt.event o WHERE o.ts < now() - older_than LIMIT 10000)
    RETURNING 1
  ), old_silence AS (
    DELETE FROM perfopt.silence s WHERE s.until < now() - older_than RETURNING 1
  ), undelivered AS (
    DELETE FROM perfopt.outbox o WHERE o.created_at < now() - interval '7 days' RETURNING 1
  )
  SELECT (SELECT count(*) FROM old_alert) + (SELECT count(*) FROM old_event) + (SELECT count(*) FROM old_silence)
         + (SELECT count(*) FROM undelivered)
$$;
COMMENT ON FUNCTION perfopt.forget_events(interval) IS
  'Deletes resolved alerts, events and silences older than that, up to 10,000 of each, and what could not be delivered for 7 days; the collector does it hourly with perfopt.retention_events. Example: SELECT perfopt.forget_events(''1 year'');';

CREATE TRIGGER alerting_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON perfopt.threshold
  FOR EACH STATEMENT EXECUTE FUNCTION perfopt.alerting_changed();
CREATE TRIGGER alerting_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON perfopt.alert_log
  FOR EACH STATEMENT EXECUTE FUNCTION perfopt.alerting_changed();
