-- Events on their way to targets; the prober calls these.

CREATE FUNCTION perfopt.webhook_body(target text, events jsonb[]) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
  WITH item AS (
    SELECT e.event, e.n, t.summary, a.fired_at, a.resolved_at, e.event ->> 'state' = 'resolved' AS is_resolved,
           jsonb_strip_nulls(jsonb_build_object(
             'alertname', coalesce(e.event -> 'detail' ->> 'threshold', e.event ->> 'metric', e.event ->> 'kind'),
             'severity', e.event ->> 'severity', 'metric', e.event ->> 'metric',
             'cluster', nullif(current_setting('cluster_name'), ''))) || coalesce(e.event -> 'labels', '{}') AS labels
    FROM unnest(events) WITH ORDINALITY AS e (event, n)
    LEFT JOIN perfopt.alert_log a ON a.alert_id = (e.event ->> 'alert_id')::bigint
    LEFT JOIN perfopt.threshold t ON t.name = e.event -> 'detail' ->> 'threshold'
  )
  SELECT jsonb_build_object(
    'version', '4', 'groupKey', 'perfopt/' || target, 'truncatedAlerts', 0,
    'status', CASE WHEN bool_and(coalesce(i.is_resolved, false)) THEN 'resolved' ELSE 'firing' END,
    'receiver', target, 'groupLabels', jsonb_build_object(), 'commonLabels', jsonb_build_object(),
    'commonAnnotations', jsonb_build_object(), 'externalURL', '',
    'alerts', jsonb_agg(jsonb_build_object(
      'status', CASE WHEN i.is_resolved THEN 'resolved' ELSE 'firing' END,
      'labels', i.labels,
      'annotations', jsonb_strip_nulls(jsonb_build_object(
        'summary', coalesce(i.summary, i.labels ->> 'alertname'),
        'description', format('%s: %s', i.labels ->> 'alertname', i.event ->> 'value'),
        'kind', i.event ->> 'kind', 'event_id', i.event ->> 'event_id', 'alert_id', i.event ->> 'alert_id',
        'state', i.event ->> 'state', 'value', i.event ->> 'value', 'threshold', i.event ->> 'threshold',
        'actor', i.event ->> 'actor', 'note', i.event ->> 'note')),
      'startsAt', to_json(coalesce(i.fired_at, (i.event ->> 'ts')::timestamptz)),
      'endsAt', CASE WHEN i.is_resolved THEN to_json(coalesce(i.resolved_at, (i.event ->> 'ts')::timestamptz))
                     ELSE '"0001-01-01T00:00:00Z"' END,
      'generatorURL', '',
      'fingerprint', left(md5((i.labels - 'severity')::text), 16)) ORDER BY i.n))
  FROM item i
$$;
COMMENT ON FUNCTION perfopt.webhook_body(text, jsonb[]) IS
  'Events as Alertmanager''s webhook receiver takes them (version 4), one alert an event. For perfopt''s own use. Example: SELECT jsonb_pretty(perfopt.webhook_body(''pager'', ARRAY[perfopt.event_json(e)])) FROM perfopt.event e ORDER BY event_id DESC LIMIT 1;';

-- The first 100 events of a target, but no second one of an alert, are one batch until it is delivered.
CREATE FUNCTION perfopt.next_deliveries(
  OUT target text, OUT batch bigint, OUT more boolean, OUT key text, OUT body text, OUT event_ids text[], OUT events text[])
RETURNS SETOF record
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
  head record;
  payloads jsonb[];
BEGIN
  FOR head IN
    SELECT DISTINCT ON (o.target) o.target, o.outbox_id, o.batch, o.next_attempt, s.srvtype
    FROM perfopt.outbox o
    LEFT JOIN pg_foreign_server s ON s.srvname = o.target
    -- What was sent and not confirmed comes first, also before what was written earlier and committed later.
    ORDER BY o.target, o.batch IS NULL, o.outbox_id
  LOOP
    IF head.srvtype IS NULL THEN
      DELETE FROM perfopt.outbox o WHERE o.target = head.target;
      CONTINUE;
    END IF;
    CONTINUE WHEN head.next_attempt > clock_timestamp();
    IF head.batch IS NULL THEN
      UPDATE perfopt.outbox o SET batch = head.outbox_id
      FROM (SELECT f.outbox_id, count(*) FILTER (WHERE f.again) OVER (ORDER BY f.outbox_id) AS repeats
            FROM (SELECT p.outbox_id,
                         p.alert_id IS NOT NULL AND row_number() OVER (PARTITION BY p.alert_id ORDER BY p.outbox_id) > 1 AS again
                  FROM (SELECT q.* FROM perfopt.outbox q WHERE q.target = head.target AND q.batch IS NULL
                        ORDER BY q.outbox_id LIMIT 100) p) f) b
      WHERE o.outbox_id = b.outbox_id AND b.repeats = 0;
      head.batch := head.outbox_id;
    END IF;
    SELECT array_agg(o.payload ORDER BY o.outbox_id), array_agg(o.event_id::text ORDER BY o.outbox_id),
           array_agg(o.payload::text ORDER BY o.outbox_id), format('%s-%s-%s', head.target, min(o.event_id), max(o.event_id))
      INTO payloads, event_ids, events, key
      FROM perfopt.outbox o WHERE o.target = head.target AND o.batch = head.batch;
    target := head.target;
    batch := head.batch;
    more := EXISTS (SELECT FROM perfopt.outbox o WHERE o.target = head.target AND o.batch IS NULL);
    body := CASE head.srvtype WHEN 'webhook' THEN perfopt.webhook_body(head.target, payloads)::text END;
    RETURN NEXT;
  END LOOP;
END $$;
COMMENT ON FUNCTION perfopt.next_deliveries() IS
  'What is to be sent now: for each target a batch of events, with the key that makes sending it twice harmless. For perfopt''s own use. Example: BEGIN; SELECT target, event_ids FROM perfopt.next_deliveries(); ROLLBACK;';

CREATE FUNCTION perfopt.conclude_delivery(target text, batch bigint, error text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  IF $3 IS NULL THEN
    DELETE FROM perfopt.outbox o WHERE o.target = $1 AND o.batch = $2;
  ELSE
    UPDATE perfopt.outbox o
    SET attempts = o.attempts + 1, last_error = $3,
        next_attempt = clock_timestamp() + least(interval '5 s' * 2 ^ least(o.attempts, 10), interval '5 min')
    WHERE o.target = $1 AND o.batch = $2;
  END IF;
END $$;
COMMENT ON FUNCTION perfopt.conclude_delivery(text, bigint, text) IS
  'Deletes a batch that was delivered (error NULL), or notes what went wrong and when to try again. For perfopt''s own use. Example: BEGIN; SELECT perfopt.conclude_delivery(''pager'', 7, ''status 500''); ROLLBACK;';

CREATE FUNCTION perfopt.end_orphaned_alerts(at timestamptz) RETURNS int
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  alert perfopt.alert_log;
  n int := 0;
BEGIN
  FOR alert IN
    SELECT a.* FROM perfopt.alert_log a
    LEFT JOIN perfopt.threshold t ON t.name = a.threshold AND t.enabled
    WHERE a.state <> 'resolved'
      AND (t.name IS NULL
           OR t.measure <> 'absent'
              AND NOT EXISTS (SELECT FROM perfopt.metric m JOIN perfopt.series s ON s.metric_id = m.metric_id
                              WHERE m.name = a.metric AND s.labels = a.labels))
    FOR UPDATE OF a SKIP LOCKED
  LOOP
    n := n + 1;
    IF alert.state = 'pending' THEN
      DELETE FROM perfopt.alert_log a WHERE a.alert_id = alert.alert_id;
      CONTINUE;
    END IF;
    UPDATE perfopt.alert_log a SET state = 'resolved', resolved_at = at WHERE a.alert_id = alert.alert_id;
    PERFORM perfopt.raise_event('alert_resolved', alert.alert_id, alert.metric, alert.labels, alert.severity, 'resolved', NULL,
                                alert.line, NULL, 'its threshold or series is no more',
                                jsonb_build_object('threshold', alert.threshold, 'escalation', alert.escalation), alert.told, at);
  END LOOP;
  RETURN n;
END $$;
COMMENT ON FUNCTION perfopt.end_orphaned_alerts(timestamptz) IS
  'Resolves alerts whose threshold was dropped or whose series was forgotten; returns how many. For perfopt''s own use. Example: SELECT perfopt.end_orphaned_alerts(now());';
