#!/bin/bash
#
# The gateway as programs meet it: every endpoint answers with what the SQL says, errors have the right
# status, nothing is allowed that psql would refuse, and clients that dawdle, flood or send rubbish
# harm nobody else.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/../lib/tap.sh"

cluster_start main "shared_preload_libraries = 'perfopt'" "perfopt.collect_interval = 1h"
sql() { cluster_psql main -At "$@"; }
sql -o /dev/null -c 'CREATE EXTENSION perfopt' \
	-c "CREATE ROLE vera LOGIN PASSWORD 'vera-pw'" -c "CREATE ROLE tess LOGIN PASSWORD 'tess-pw'" \
	-c "CREATE ROLE olaf LOGIN PASSWORD 'olaf-pw'" -c "CREATE ROLE nemo LOGIN PASSWORD 'nemo: \"ü'" \
	-c "SELECT perfopt.grant_access('vera', 'viewer')" -c "SELECT perfopt.grant_access('tess', 'tester')" \
	-c "SELECT perfopt.grant_access('olaf', 'operator')" \
	-c "SELECT perfopt.record_metric('shop_queue_length', 17, '{\"queue\": \"a\\\\b\\\"c\\nd\"}')" -c 'SELECT perfopt.collect_now()'

dir=${CLUSTER_DIR[main]}
config=$dir/gateway.conf
as_server_user sh -c 'umask 077; cat >"$1"' sh "$config" <<-END
	# for Prometheus
	max-streams = 2
	token = 0123456789abcdef-prometheus user=vera password=vera-pw
END
gateway_start main main --config "$config" --request-timeout 3 --max-body 16
url=${GATEWAY_URL[main]}
api=$url/integration/performance

# get PATH [curl's arguments...] as vera; status likewise, the number alone.
get() { curl -s --max-time 30 -u vera:vera-pw "$api/$1" "${@:2}"; }
status() { curl -s --max-time 30 -o /dev/null -w '%{http_code}' -u vera:vera-pw "$api/$1" "${@:2}"; }
# send METHOD USER PATH BODY: the answer, and its status on a line of its own.
send() { curl -s --max-time 30 -w '\n%{http_code}' -u "$2:$2-pw" -X "$1" -H 'Content-Type: application/json' -d "$4" "$api/$3"; }
# json EXPRESSION: of the document on standard input, as Python sees it.
json() { python3 -c "import json,sys; d=json.load(sys.stdin); print($1)"; }

# The table of routes and what is made of it
program=$(gateway_program)
is "docs/api.md is what perfopt-gateway --print-api-docs makes" "$(diff <("$program" --print-api-docs) "$PERFOPT_ROOT/docs/api.md" 2>&1 | head -n 20)" ""
openapi=$(curl -s "$url/openapi.json")
is "/openapi.json is OpenAPI 3.1" "$(json 'd["openapi"]' <<<"$openapi")" 3.1.0
at_most "it has 40 endpoints at least" 40 "$(json 'sum(len(p) for p in d["paths"].values())' <<<"$openapi")"
is "operations have names of their own" "$(json 'len({o["operationId"] for p in d["paths"].values() for o in p.values()}) - sum(len(p) for p in d["paths"].values())' <<<"$openapi")" 0
is "each parameter of a path is described" "$(json '[k for k, p in d["paths"].items() for o in p.values() if sorted(s[1:-1] for s in k.split("/") if s[:1] == "{") != sorted(q["name"] for q in o["parameters"] if q["in"] == "path")]' <<<"$openapi")" '[]'
levels=$(json '"\n".join(sorted({o["x-perfopt-sql"] + " " + o["x-perfopt-level"] for p in d["paths"].values() for o in p.values()}))' <<<"$openapi")
is "each route's SQL is granted to its level by grant_access()" "$(comm -23 <(sort <<<"$levels") \
	<(sql -c "SELECT DISTINCT split_part(object, '(', 1) || ' ' || level FROM perfopt.access_rule ORDER BY 1" | sort))" ""

# What is read
is "health is that of SQL" "$(get metrics/health | json '[(i["dimension"], i["score"]) for i in d["items"]][0]')" "$(sql -c "SELECT format('(''%s'', %s)', dimension, score) FROM perfopt.health() LIMIT 1")"
is "times are ISO 8601 with their zone" "$(get metrics/current?dimension=system | json 'd["items"][0]["ts"][10] + d["items"][0]["ts"][-6:]')" 'T+00:00'
is "labels come as they were given" "$(get metrics/current?dimension=application | json '[i["labels"]["queue"] for i in d["items"] if i["metric"] == "shop_queue_length"][0] == "a\\b\"c\nd"')" True
is "a parameter is bound, not pasted" "$(status 'metrics/current?dimension=x%27%3B%20DROP%20SCHEMA%20perfopt')" 422
is "an interval with a blank" "$(get metrics/history -G -d metric=shop_queue_length --data-urlencode 'since=10 min' --data-urlencode 'labels={}' | json 'd["items"][0]["max"]')" 17
is "the dashboard's document" "$(get metrics/dashboard | json 'sorted(d)[0]')" alerts
is "a name with blanks and brackets in a path" "$(get "thresholds/$(python3 -c 'import urllib.parse; print(urllib.parse.quote("absent(pg_sessions) >", safe=""))')" | json 'd["metric"]')" pg_sessions
for route in $(json '"\n".join(k for k, p in d["paths"].items() if "get" in p and "{" not in k and not [q for q in p["get"]["parameters"] if q["required"]] and not k.endswith("/events"))' <<<"$openapi"); do
	is "GET ${route##*performance/}" "$(curl -s -o /dev/null -w '%{http_code}' -u vera:vera-pw "$url$route")" 200
done
is "HEAD has no body" "$(curl -sI -u vera:vera-pw "$api/metrics/health" | head -n 1 | tr -d '\r')" 'HTTP/1.1 200 OK'

# Pages
sql -o /dev/null -c "SELECT perfopt.set_threshold('shop_queue_length', '>', 1, 2)" -c 'SELECT perfopt.evaluate_alerts()' \
	-c "SELECT perfopt.raise_event('drill', NULL, NULL, NULL, 'warning', NULL, NULL, NULL, 'tap', i::text, NULL, true) FROM generate_series(1, 25) i"
page=$(get 'alerts/history?kind=drill&limit=10')
is "a page has as many as asked for" "$(json 'len(d["items"])' <<<"$page")" 10
next=$(json 'd["next_cursor"]' <<<"$page")
page2=$(get "alerts/history?kind=drill&limit=10&cursor=$next")
page3=$(get "alerts/history?kind=drill&limit=10&cursor=$(json 'd["next_cursor"]' <<<"$page2")")
is "pages follow one another without gap or repetition" "$(json '",".join(i["note"] for i in d["items"])' <<<"$page" && json '",".join(i["note"] for i in d["items"])' <<<"$page2" && json '",".join(i["note"] for i in d["items"])' <<<"$page3")" "$(printf '%s\n' 25,24,23,22,21,20,19,18,17,16 15,14,13,12,11,10,9,8,7,6 5,4,3,2,1)"
is "the last has no next" "$(json 'd["next_cursor"]' <<<"$page3")" None
is "a limit of 0 is refused" "$(status 'alerts?limit=0')" 400

# Errors
is "without a login: 401" "$(curl -s -o /dev/null -w '%{http_code}' "$api/alerts")" 401
like "with the ways to log in" "$(curl -si "$api/alerts")" '^WWW-Authenticate: Basic realm="perfopt"'
is "a wrong password: 401" "$(curl -s -u vera:wrong "$api/alerts" | json 'd["status"], d["sqlstate"]')" "401 28P01"
is "a role that is no viewer: 403" "$(curl -s -u 'nemo:nemo: "ü' "$api/alerts" | json 'd["status"], d["sqlstate"]')" "403 42501"
is "a viewer may not acknowledge" "$(send POST vera alerts/1/acknowledge '{}' | tail -n 1)" 403
is "nor start a test" "$(send POST vera tests '{}' | tail -n 1)" 403
is "what is not there: 404, as problem+json" "$(curl -s -o /dev/null -w '%{http_code} %{content_type}' -u vera:vera-pw "$api/tests/99")" '404 application/problem+json'
like "with the server's hint" "$(get tests/99)" '"hint": "Tests are listed in perfopt.test_run."'
is "no such path: 404" "$(status nonsense)" 404
like "another method: 405 and what is allowed" "$(curl -si -u vera:vera-pw -X PUT "$api/alerts/1")" '^Allow: GET'
is "an unknown parameter: 400" "$(get 'alerts?colour=red' | json 'd["status"], d["detail"]')" '400 there is no parameter "colour"'
is "a missing one: 400" "$(get metrics/history | json 'd["status"], d["detail"]')" '400 "metric" is missing from the query'
is "one that is not of its type: 400" "$(status tests/seven)" 400
is "one given twice: 400" "$(status 'alerts?state=firing&state=pending')" 400
is "a value that makes no sense: 422" "$(status 'metrics/db-time?group_by=colour')" 422
is "a malformed time: 400" "$(status 'optimization/bottlenecks?until=yesteryear')" 400
is "malformed percent-encoding: 400" "$(status 'alerts?state=%zz')" 400
is "a zero byte: 400" "$(status 'alerts?state=%00')" 400
is "malformed JSON: 400" "$(send POST olaf thresholds '{"metric": ' | tail -n 1)" 400
is "an unknown member: 400" "$(send POST olaf alerts/1/resolve '{"nite": "x"}' | tail -n 1)" 400
is "a body that is not JSON: 415" "$(curl -s -o /dev/null -w '%{http_code}' -u olaf:olaf-pw -d 'a=b' "$api/thresholds")" 415
is "a body that is too large: 413" "$(head -c 20000 /dev/zero | tr '\0' ' ' | curl -s -o /dev/null -w '%{http_code}' -u olaf:olaf-pw -H 'Content-Type: application/json' --data-binary @- "$api/thresholds")" 413
is "one that does not say so beforehand, too" "$(head -c 20000 /dev/zero | tr '\0' ' ' | curl -s -o /dev/null -w '%{http_code}' -u olaf:olaf-pw -H 'Content-Type: application/json' -H 'Transfer-Encoding: chunked' --data-binary @- "$api/thresholds")" 413
is "from another site: 403" "$(curl -s -o /dev/null -w '%{http_code}' -u olaf:olaf-pw -H 'Origin: https://evil.example' -X POST "$api/metrics/collect")" 403

# What is changed
is "a threshold is set" "$(send POST olaf thresholds '{"metric": "shop_queue_length", "operator": "<", "warning": -1.5, "labels": {"queue": "mail"}, "hold": "1 min", "summary": "say \"\u00fc\""}' | tail -n 1)" 200
is "as it was asked for" "$(sql -c "SELECT warning, critical, hold, labels, summary FROM perfopt.threshold WHERE warning = -1.5")" '-1.5||00:01:00|{"queue": "mail"}|say "ü"'
is "and dropped by its name" "$(curl -s -o /dev/null -w '%{http_code}' -u olaf:olaf-pw -X DELETE "$api/thresholds/shop_queue_length%7B%22queue%22%3A%20%22mail%22%7D%20%3C")$(sql -c 'SELECT count(*) FROM perfopt.threshold WHERE warning = -1.5')" 2040
alert=$(sql -c "SELECT alert_id FROM perfopt.alert WHERE state = 'firing' AND metric = 'shop_queue_length'")
is "an alert is acknowledged" "$(send POST olaf "alerts/$alert/acknowledge" '{"note": "at it"}' | tail -n 1)$(sql -c "SELECT state, acknowledged_by, note FROM perfopt.alert WHERE alert_id = $alert")" '204acknowledged|olaf|at it'
is "twice is a conflict" "$(send POST olaf "alerts/$alert/acknowledge" '{}' | tail -n 1)" 409
is "it is resolved, without a body" "$(curl -s -o /dev/null -w '%{http_code}' -u olaf:olaf-pw -X POST "$api/alerts/$alert/resolve")$(get "alerts/$alert" | json 'd["state"]')" 204resolved
silence=$(send POST olaf alerts/silences '{"metric": null, "labels": {}, "until": "2099-01-01T00:00:00Z"}' | head -n 1 | json 'd["silence_id"]')
is "a silence on all metrics begins and ends" "$(curl -s -o /dev/null -w '%{http_code}' -u olaf:olaf-pw -X DELETE "$api/alerts/silences/$silence")" 204
is "an application reports a sample" "$(send POST tess metrics/samples '{"metric": "shop_carts", "value": 1e3, "labels": {"shop": "a"}}' | tail -n 1)$(sql -c "SELECT value FROM perfopt.sample WHERE metric = 'shop_carts'")" 2041000
analysis=$(send POST olaf optimization/analyze '{"since": "5 min"}' | head -n 1 | json 'd["analysis_id"]')
is "an analysis is made and found" "$(get "optimization/analyses/$analysis" | json 'd["analysis_id"]')" "$analysis"

# A load test from beginning to end
sql -o /dev/null -c "INSERT INTO perfopt.scenario (name) VALUES ('one')" -c "INSERT INTO perfopt.operation (scenario, name, weight, script) VALUES ('one', 'one', 1, 'SELECT 1')"
is "a target that the role has no password for: 403" "$(send POST tess tests/load '{"scenario": "one"}' | tail -n 1)" 403
sql -c "CREATE USER MAPPING FOR olaf SERVER perfopt_local OPTIONS (user 'olaf', password_required 'false')"
run=$(send POST olaf tests/load '{"users": 2, "duration": "4 s", "scenario": "one"}' | head -n 1 | json 'd["run_id"]')
stream=$(curl -sN --max-time 30 -u vera:vera-pw "$api/tests/$run/progress/events" || true)
like "its progress streams" "$stream" '^event: progress$'
like "to the end" "$stream" '^event: end$'
is "and the report has its operations" "$(get "tests/$run/report" | json '[i["operation"] for i in d["items"]]')" "['one', 'total']"
is "the list of tests has it" "$(get 'tests?state=finished' | json 'd["items"][0]["run_id"]')" "$run"
is "cancelling one that is over says so" "$(send POST olaf "tests/$run/cancel" '' | head -n 1)" '{"cancelled": false}'
is "progress of a test that does not exist: 404" "$(status tests/99/progress/events)" 404

# Events
curl -sN --max-time 25 -u vera:vera-pw "$api/alerts/events" >"$dir.events" 2>/dev/null &
wait_until 10 grep -q retry "$dir.events"
sql -o /dev/null -c "SELECT perfopt.raise_event('drill', NULL, NULL, NULL, 'warning', NULL, NULL, NULL, 'tap', 'live', NULL, true)"
ok "an event is told as it happens" wait_until 10 grep -q '"note": "live"' "$dir.events"
is "with its number and kind" "$(grep -B 2 '"note": "live"' "$dir.events" | head -n 2)" "$(printf 'id: %s\nevent: drill' "$(sql -c 'SELECT max(event_id) FROM perfopt.event')")"
last=$(sql -c "SELECT max(event_id) FROM perfopt.event WHERE note = '25'")
like "a stream goes on where it was cut" "$(curl -sN --max-time 2 -u vera:vera-pw -H "Last-Event-ID: $last" "$api/alerts/events" || true)" '"note": "live"'
is "who may not read events may not listen" "$(curl -s -o /dev/null -w '%{http_code}' -u 'nemo:nemo: "ü' "$api/alerts/events")" 403
curl -sN --max-time 20 -u vera:vera-pw "$api/alerts/events" >/dev/null 2>&1 &
streams() { [ "$(curl -s -u vera:vera-pw "$url/metrics" | awk '$1 == "perfopt_gateway_streams" { print $2 }')" = 2 ]; }
wait_until 10 streams
is "too many streams: 503" "$(status alerts/events)" 503

# Validators and compression
etag=$(curl -sI -u vera:vera-pw "$api/thresholds" | sed -n 's/^ETag: *//p' | tr -d '\r')
is "what has not changed is not sent again" "$(status thresholds -H "If-None-Match: $etag")" 304
is "gzip is used where it is taken" "$(get thresholds --compressed -o /dev/null -w '%{size_download}' -H 'Accept-Encoding: gzip' | awk '{ print ($1 < 4000) }')$(get thresholds --compressed | json 'len(d["items"]) > 20')" 1True
unlike "other sites are not let in" "$(curl -si -u vera:vera-pw -H 'Origin: https://evil.example' "$api/alerts")" '^Access-Control'

# Prometheus
metrics=$(curl -s -H 'Authorization: Bearer 0123456789abcdef-prometheus' "$url/metrics")
like "a token acts as its role" "$metrics" '^node_load1 '
like "labels are escaped" "$metrics" '^shop_queue_length\{queue="a\\\\b\\"c\\nd"\} 17$'
is "another token is refused" "$(curl -s -o /dev/null -w '%{http_code}' -H 'Authorization: Bearer 0123456789abcdef-PROMETHEUS' "$url/metrics")" 401
if command -v promtool >/dev/null 2>&1; then
	is "promtool finds nothing" "$(promtool check metrics <<<"$metrics" 2>&1)" ""
else
	skip "no promtool here" 1
fi
open=$(curl -si -H 'Accept: application/openmetrics-text' -u vera:vera-pw "$url/metrics")
like "OpenMetrics is spoken when asked for" "$open" '^Content-Type: application/openmetrics-text; version=1.0.0'
is "and ends as it must" "$(tail -n 1 <<<"$open")" '# EOF'

if command -v prometheus >/dev/null 2>&1; then
	prometheus_port=$(free_port)
	as_server_user sh -c 'cat >"$1"' sh "$dir/prometheus.yml" <<-END
		scrape_configs:
		  - job_name: perfopt
		    scrape_interval: 1s
		    authorization: {credentials: 0123456789abcdef-prometheus}
		    static_configs: [{targets: ['${url#http://}']}]
	END
	# It ends by itself should this test be ended early.
	as_server_user sh -c 'echo $$ >"$1"; shift; exec "$@"' sh "$dir/prometheus.pid" timeout 60 prometheus --config.file="$dir/prometheus.yml" --storage.tsdb.path="$dir/prometheus" \
		--web.listen-address="127.0.0.1:$prometheus_port" >/dev/null 2>&1 &
	scraped() { [ "$(curl -s "http://127.0.0.1:$prometheus_port/api/v1/query?query=$1" | json 'd["data"]["result"][0]["value"][1]')" = "$2" ]; }
	ok "a real Prometheus scrapes it" wait_until 30 scraped up 1
	ok "and has the values" wait_until 10 scraped shop_queue_length 17
	kill "$(cat "$dir/prometheus.pid")"
else
	skip "no prometheus here" 2
fi

# Nobody else suffers
port=${url##*:}
exec 8<>"/dev/tcp/127.0.0.1/$port"
printf 'GET /healthz HTTP/1.1\r\nHost: a\r\nX-Slow: ' >&8
slow() { while printf x >&8; do sleep 0.3; done 2>/dev/null; }
begun=$SECONDS
(trap '' PIPE; slow) &
cat <&8 >/dev/null || true
at_most "who sends a byte at a time is cut off (s)" $((SECONDS - begun)) 8
exec 8<&- 8>&-
is "headers that are too large are refused" "$(curl -s -o /dev/null -w '%{http_code}' -H "X-Large: $(head -c 60000 /dev/zero | tr '\0' x)" "$url/healthz")" 431
printf 'GET /healthz HTTP/1.1\r\nHost: a\r\n\r\nGET /healthz HTTP/1.1\r\nHost: a\r\n\r\nGET /openapi.json HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n' >"$dir.pipelined"
is "pipelined requests are answered in turn" "$(python3 - "$port" "$dir.pipelined" <<-'PY'
	import socket, sys
	s = socket.create_connection(("127.0.0.1", int(sys.argv[1])), 10)
	s.sendall(open(sys.argv[2], "rb").read())
	got = b""
	while part := s.recv(65536):
	    got += part
	print(got.count(b"HTTP/1.1 200 OK"))
PY
)" 3
head -c 5000 /dev/urandom >"/dev/tcp/127.0.0.1/$port" 2>/dev/null || true
is "rubbish harms nobody" "$(curl -s "$url/healthz")" ok
for _ in 1 2 3 4 5 6 7 8 9 10 11; do curl -s -o /dev/null -u vera:guess "$api/alerts"; done
is "guessing passwords is slowed down: 429" "$(curl -s -o /dev/null -w '%{http_code}' -u vera:guess "$api/alerts")" 429

# The gateway beside a server that goes and comes
cluster_restart main
ok "after a restart of the server it serves again" wait_until 20 curl -sf -H 'Authorization: Bearer 0123456789abcdef-prometheus' "$url/metrics"
log=$(cat "${GATEWAY_LOG[main]}")
like "the access log has who, what and how it went" "$log" '^[0-9T:-]+Z 127\.0\.0\.1 olaf POST /integration/performance/thresholds 200 [0-9]+ [0-9.]+ms$'
unlike "no password, token or query is in the log" "$log" 'vera-pw|0123456789abcdef|group_by='
pid=$(gateway_pid main)
kill "$pid"
stopped() { ! pid_alive "$pid"; }
ok "SIGTERM ends it, streams and all" wait_until 15 stopped
like "in order" "$(cat "${GATEWAY_LOG[main]}")" '^perfopt-gateway: stopped$'
gateway_stop main

# How it may be started
refused() { timeout 5 "$program" "$@" 2>&1 || true; }
like "passwords in clear on other addresses are refused" "$(refused --listen 0.0.0.0:0)" 'passwords would cross the network in clear'
like "a setting that does not exist is named" "$(refused --lisen x)" 'there is no option --lisen'
like "a value that makes no sense is named" "$(refused --rate-limit many)" 'rate-limit must be from 0 to 1000000, not "many"'
as_server_user chmod 644 "$config"
like "a file with tokens must be private" "$(refused --config "$config")" 'is open to others'
as_server_user openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost \
	-keyout "$dir/key.pem" -out "$dir/cert.pem" >/dev/null 2>&1
gateway_start tls main --listen 0.0.0.0:0 --tls-cert "$dir/cert.pem" --tls-key "$dir/key.pem" --rate-limit 5
tls=https://localhost:${GATEWAY_URL[tls]##*:}
is "with a certificate it speaks TLS" "$(curl -s --cacert "$dir/cert.pem" -u tess:tess-pw "$tls/integration/performance/templates" | json 'len(d["items"]) > 0')" True
nok "and nothing older than 1.2" curl -s --cacert "$dir/cert.pem" --tls-max 1.1 --ciphers DEFAULT@SECLEVEL=0 "$tls/healthz"
for _ in 1 2 3 4 5 6 7 8 9 10 11 12; do curl -s -o /dev/null -w '%{http_code}\n' --cacert "$dir/cert.pem" "$tls/healthz"; done >"$dir.codes"
like "more than rate-limit allows: 429" "$(cat "$dir.codes")" '^429$'

# A server that lets anybody in says nothing about who asks.
sql -o /dev/null -c "ALTER SYSTEM SET password_encryption = 'scram-sha-256'"
as_server_user sed -i 's/scram-sha-256/trust/' "${CLUSTER_DATA[main]}/pg_hba.conf"
sql -o /dev/null -c 'SELECT pg_reload_conf()'
gateway_start open main
trusts() { [ "$(curl -s -u vera:anything "${GATEWAY_URL[open]}/integration/performance/alerts" | json 'd["detail"]')" = "the database did not ask for this role's password" ]; }
ok "where the server asks for no password, nobody is let in by one" wait_until 10 trusts

done_testing
