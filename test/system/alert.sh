#!/bin/bash
#
# Alerts are told in time, told once, and told where people look: NOTIFY within a cycle, a Redis channel and
# stream, a webhook that fails, hangs, loses its answer and recovers; through kill -9 of the workers, restarts of
# either end, and a dump.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/../lib/tap.sh"

cluster_start main "shared_preload_libraries = 'perfopt'" "perfopt.collect_interval = 1s" "perfopt.probe_timeout = 1s"
redis_start pager
dir=${CLUSTER_DIR[main]}
sql() { cluster_psql main -At "$@"; }
worker_pid() { sql -c "SELECT pid FROM pg_stat_activity WHERE backend_type = 'perfopt $1'"; }

# record VALUE [SERIES]: a sample of now.
record() { sql -c "SELECT perfopt.record_metric('shop_queue_length', $1, '{\"series\": \"${2:-a}\"}')" >/dev/null; }
state_of() { sql -c "SELECT state FROM perfopt.alert WHERE labels = '{\"series\": \"$1\"}' ORDER BY alert_id DESC LIMIT 1"; }
state_is() { [ "$(state_of "$1")" = "$2" ]; }
fired() { sql -c "SELECT count(*) FROM perfopt.event WHERE kind = 'alert_fired' AND labels = '{\"series\": \"$1\"}'"; }
outbox_is_empty() { [ "$(sql -c "SELECT count(*) FROM perfopt.outbox WHERE target = '$1'")" = 0 ]; }

touch "$dir/mood" "$dir/hooks"
chmod 666 "$dir/mood" "$dir/hooks"
mood() { echo "$1" >"$dir/mood"; }
start_receiver()
{
	rm -f "$dir/hook.port"
	as_server_user python3 "$PERFOPT_ROOT/test/lib/webhook_receiver.py" "$dir/hook.port" "$dir/mood" "$dir/hooks" >/dev/null 2>&1 &
	wait_until 20 test -s "$dir/hook.port"
}
end_helpers()
{
	local file

	for file in "$dir/hook.port.pid" "$dir/subscriber.pid" "$dir/listener.pid"; do
		[ -e "$file" ] && kill "$(cat "$file")" 2>/dev/null || true
	done
}
# shellcheck disable=SC2154 # status is assigned in the trap
trap 'status=$?; end_helpers; set +e; (exit $status); tap_end' EXIT

# hooks EXPRESSION: of Python, over the list `hooks` of what came.
hooks() { python3 -c "import json,sys; hooks = [json.loads(l) for l in open('$dir/hooks')]; alerts = [a for h in hooks for a in h['body']['alerts']]; print($1)"; }
hook_says() { [ "$(hooks "$1")" = "$2" ]; }

sql -c 'CREATE EXTENSION perfopt'
sql -c "UPDATE perfopt.threshold SET enabled = false"
record 1
sql -c "SELECT perfopt.set_threshold('shop_queue_length', '>', 80, 95, cooldown => '1 s')" >/dev/null

# NOTIFY: a session that listens is told of the alert's whole life.
cat >"$dir/listen.sql" <<'SQL'
LISTEN perfopt_event;
\echo listening
DO $$ BEGIN
  FOR i IN 1..600 LOOP
    EXIT WHEN EXISTS (SELECT FROM perfopt.event WHERE kind = 'alert_resolved');
    PERFORM pg_sleep(0.05);
    COMMIT;
  END LOOP;
END $$;
SELECT 'done';
SQL
chmod 644 "$dir/listen.sql"
cluster_psql main -At -f "$dir/listen.sql" >"$dir/listened" 2>&1 &
echo $! >"$dir/listener.pid"
listener=$!
wait_until 20 grep -q listening "$dir/listened"
record 99
ok "an alert fires" wait_until 20 state_is a firing
record 1
ok "and is resolved" wait_until 20 state_is a resolved
wait $listener
is "NOTIFY tells of both" "$(grep -o '"kind": "alert_[a-z]*"' "$dir/listened" | tr '\n' ' ')" '"kind": "alert_fired" "kind": "alert_resolved" '
is "with the event as JSON" "$(sed -n 's/.*payload "\(.*\)" received.*/\1/p' "$dir/listened" | head -n 1 | python3 -c 'import json,sys; e = json.loads(sys.stdin.readline()); print(e["metric"], e["labels"]["series"], e["value"], e["threshold"], e["severity"], e["state"])')" \
	"shop_queue_length a 99 95 critical firing"

# Redis: a channel and a stream.
sql -c "CREATE SERVER pager TYPE 'redis' FOREIGN DATA WRAPPER perfopt OPTIONS (host '127.0.0.1', port '${REDIS_PORT[pager]}', event_channel 'alerts', event_stream 'alert_log')"
redis-cli -p "${REDIS_PORT[pager]}" SUBSCRIBE alerts >"$dir/subscribed" 2>&1 &
echo $! >"$dir/subscriber.pid"
wait_until 20 grep -q '^1$' "$dir/subscribed"
record 99 r1
wait_until 20 state_is r1 firing
ok "a subscriber of Redis is told" wait_until 20 grep -q '"alert_fired"' "$dir/subscribed"
in_stream() { [ "$(redis-cli -p "${REDIS_PORT[pager]}" XLEN alert_log)" = "$1" ]; }
ok "and a stream keeps it" wait_until 20 in_stream 1
is "with the number of the event" "$(redis-cli -p "${REDIS_PORT[pager]}" XRANGE alert_log - + | sed -n 3p)" "$(sql -c "SELECT max(event_id) FROM perfopt.event WHERE kind = 'alert_fired'")"

# A webhook that works.
mood take
start_receiver
sql -c "CREATE SERVER hook TYPE 'webhook' FOREIGN DATA WRAPPER perfopt OPTIONS (url 'http://127.0.0.1:$(cat "$dir/hook.port")/alerts')"
record 99 w1
wait_until 20 state_is w1 firing
ok "a webhook is told" wait_until 20 hook_says "len(alerts)" 1
is "in the form of Alertmanager's" "$(hooks "hooks[0]['type'], hooks[0]['body']['version'], hooks[0]['body']['status'], alerts[0]['status'], alerts[0]['labels']['alertname'], alerts[0]['labels']['series'], alerts[0]['labels']['severity'], alerts[0]['endsAt'][:4]")" \
	"application/json 4 firing firing shop_queue_length > w1 critical 0001"
sql -c "SELECT perfopt.acknowledge_alert(alert_id, 'mine') FROM perfopt.alert WHERE labels = '{\"series\": \"w1\"}'" >/dev/null
ok "also of what people do" wait_until 20 hook_says "alerts[-1]['annotations'].get('note')" mine
record 1 w1
wait_until 20 state_is w1 resolved
ok "and of the end" wait_until 20 hook_says "(alerts[-1]['status'], alerts[-1]['fingerprint'] == alerts[0]['fingerprint'], len(alerts))" "('resolved', True, 3)"

# One that fails holds up nobody, and gets everything later, in order.
mood fail
record 99 f1
wait_until 20 state_is f1 firing
failing() { [ "$(sql -c "SELECT state FROM perfopt.source_status WHERE source = 'delivery' AND target = 'hook'")" = failing ]; }
ok "a webhook that fails is shown" wait_until 20 failing
like "with what it said" "$(sql -c "SELECT last_error FROM perfopt.source_status WHERE source = 'delivery' AND target = 'hook'")" "status 500"
record 1 f1
wait_until 20 state_is f1 resolved
ok "Redis is told meanwhile" wait_until 20 outbox_is_empty pager
mood hang
record 99 f2
ok "alerts fire while it hangs" wait_until 20 state_is f2 firing
sql -c "UPDATE perfopt.outbox SET next_attempt = '-infinity'" >/dev/null
mood lose
lost() { [ "$(hooks "len([a for a in alerts if a['labels'].get('series') == 'f1'])")" != 0 ]; }
ok "it takes what it does not confirm" wait_until 30 lost
mood take
sql -c "UPDATE perfopt.outbox SET next_attempt = '-infinity'" >/dev/null
ok "everything is delivered when it recovers" wait_until 30 outbox_is_empty hook
is "what was not confirmed comes again under the same key, and in order" \
	"$(hooks "[(a['labels']['series'], a['status']) for h in {h['key']: h for h in hooks}.values() for a in h['body']['alerts'] if a['labels'].get('series') in ('f1', 'f2')]")" \
	"[('f1', 'firing'), ('f1', 'resolved'), ('f2', 'firing')]"

# Either end may be restarted.
redis_stop pager
record 99 s1
wait_until 20 state_is s1 firing
kill -KILL "$(worker_pid prober)"
ok "the server comes back after the prober was killed" wait_until 60 cluster_psql main -Atc 'SELECT 1'
nok "what Redis has not got is kept" outbox_is_empty pager
redis_start pager
sql -c "ALTER SERVER pager OPTIONS (SET port '${REDIS_PORT[pager]}')"
sql -c "UPDATE perfopt.outbox SET next_attempt = '-infinity'" >/dev/null
ok "and delivered when it is back" wait_until 30 outbox_is_empty pager
like "to the stream" "$(redis-cli -p "${REDIS_PORT[pager]}" XRANGE alert_log - +)" '"s1"'

# kill -9 of the collector: no alert is lost, none fires twice, a cooldown goes on.
sql -c "SELECT perfopt.set_threshold('shop_queue_length', '>', 80, 95, cooldown => '1 h')" >/dev/null
record 99 k1
wait_until 20 state_is k1 firing
id=$(sql -c "SELECT alert_id FROM perfopt.alert WHERE labels = '{\"series\": \"k1\"}'")
record 99 k2
wait_until 20 state_is k2 firing
record 1 k2
wait_until 20 state_is k2 resolved
kill -KILL "$(worker_pid collector)"
wait_until 60 cluster_psql main -Atc 'SELECT 1'
wait_until 60 test -n "$(worker_pid collector)"
record 99 k1
record 99 k2
ok "the one in its cooldown waits" wait_until 30 state_is k2 pending
is "the one that fired still does" "$(sql -c "SELECT alert_id, state FROM perfopt.alert WHERE labels = '{\"series\": \"k1\"}'")" "$id|firing"
is "and was told of once" "$(fired k1) $(fired k2)" "1 1"
record 1 k1
ok "it is resolved as before" wait_until 20 state_is k1 resolved

# A finding can be a threshold: a Redis that is down is one.
sql -c "CREATE SERVER dead TYPE 'redis' FOREIGN DATA WRAPPER perfopt OPTIONS (host '127.0.0.1', port '1')"
finding_fires() {
	sql -c 'SELECT perfopt.collect_now()' >/dev/null
	[ "$(sql -c "SELECT state FROM perfopt.alert WHERE metric = 'perfopt_finding_impact_ratio' AND labels ->> 'finding' = 'cache_down'")" = firing ]
}
sql -c 'SELECT perfopt.collect_now()' >/dev/null
sql -c "SELECT perfopt.set_threshold('perfopt_finding_impact_ratio', '>', 0.2, 0.9, '{\"finding\": \"cache_down\"}')" >/dev/null
ok "a finding raises an alert" wait_until 60 finding_fires
sql -c 'DROP SERVER dead'

# A dump carries thresholds, silences and inhibitions, those changed and those switched off among them.
sql -c "UPDATE perfopt.threshold SET enabled = true WHERE builtin" -c "SELECT perfopt.drop_threshold('redis_up')" -c "SELECT perfopt.set_threshold('pg_connections_used_ratio', '>', 0.5, 0.6)" \
	-c "SELECT perfopt.silence_alerts(NULL, '{\"team\": \"shop\"}', now() + interval '1 day')" >/dev/null
sql -c "INSERT INTO perfopt.inhibition VALUES ('redis_up', '{}', 'shop_queue_length', '{}', '{}')"
facts() { cluster_psql main -At -d "$1" -c "SELECT name, warning, critical, cooldown, enabled, set_by IS NULL FROM perfopt.threshold ORDER BY 1" -c "SELECT labels, until FROM perfopt.silence" -c "SELECT * FROM perfopt.inhibition ORDER BY 1, 3"; }
sql -c 'CREATE DATABASE copy'
PGHOST=${CLUSTER_SOCKET[main]} PGPORT=${CLUSTER_PORT[main]} PGUSER=postgres "$(pg_bindir)/pg_dump" postgres >"$dir/dump.sql"
is "the dump is restored without an error" "$(cluster_psql main -q -d copy -v ON_ERROR_STOP=1 -f "$dir/dump.sql" 2>&1 >/dev/null)" ""
is "with all that was set" "$(facts copy)" "$(facts postgres)"
is "and further silences have numbers of their own" "$(cluster_psql main -At -d copy -c "SELECT perfopt.silence_alerts(NULL, '{}', now() + interval '1 hour') > min(silence_id) FROM perfopt.silence")" t

done_testing
