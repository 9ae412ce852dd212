-- Thresholds, alerts and health as they read in psql.
SET timezone = 'UTC';
SELECT name, metric, measure, period, operator, warning, critical, hold, cooldown, lineage FROM perfopt.threshold WHERE builtin ORDER BY name COLLATE "C";
SELECT source_metric, source_labels, target_metric, target_labels, equal_labels FROM perfopt.inhibition ORDER BY source_metric COLLATE "C", target_metric COLLATE "C", source_labels::text COLLATE "C", target_labels::text COLLATE "C";
SELECT perfopt.threshold_name('redis_ping_seconds', 'p95', '5 min', '{"target": "cache"}', '>=') AS name;
SELECT perfopt.edit_distance('node_laod1', 'node_load1') AS letters;
SELECT perfopt.acknowledge_alert(-1);
SELECT perfopt.resolve_alert(NULL);
SELECT perfopt.escalate_alert(-1);
SELECT perfopt.end_silence(-1);
SELECT perfopt.silence_alerts(NULL, '{}', 'infinity');
SELECT perfopt.silence_alerts(NULL, '[]', now() + interval '1 hour');
SELECT perfopt.drop_threshold('no_such_metric');

-- An event that is too long for a notification is told in short.
BEGIN;
INSERT INTO perfopt.event (event_id, ts, kind, metric, labels, note, detail, told)
  VALUES (-1, '2026-01-01', 'drill', 'shop_queue_length', '{"series": "a"}', repeat('x', 9000), '{"a": 1}', false);
SELECT perfopt.event_json(e) - 'note' AS event, length(perfopt.event_json(e) ->> 'note') AS note FROM perfopt.event e WHERE event_id = -1;
UPDATE perfopt.event SET note = 'short' WHERE event_id = -1;
SELECT perfopt.event_json(e) AS event FROM perfopt.event e WHERE event_id = -1;
ROLLBACK;

-- As Alertmanager's receivers take it.
SELECT jsonb_pretty(perfopt.webhook_body('pager', ARRAY[
  '{"ts": "2026-01-01T00:00:00+00:00", "kind": "alert_fired", "event_id": 7, "metric": "redis_up", "labels": {"target": "app_cache"}, "severity": "critical", "state": "firing", "value": 0, "threshold": 1, "detail": {"threshold": "redis_up <"}}',
  '{"ts": "2026-01-01T00:01:00+00:00", "kind": "alert_resolved", "event_id": 8, "metric": "redis_up", "labels": {"target": "billing"}, "severity": "critical", "state": "resolved", "value": 1, "threshold": 1, "detail": {"threshold": "redis_up <"}}'
  ]::jsonb[])) AS body;
