#!/bin/bash
#
# Applications that expose metrics: a Node.js service with prom-client is seen from inside, and whatever
# a server sends - nothing, too much, garbage, somebody else's names - ends as a sentence in
# source_status, never as wrong values or in another target's way.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/../lib/tap.sh"

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
work=$(mktemp -d "${PERFOPT_TMP:-/tmp}/perfopt-node.XXXXXX")
declare -A node_pid=()

stop_nodes()
{
	local status=$? name

	for name in "${!node_pid[@]}"; do node_stop "$name"; done
	rm -rf "$work"
	return $status
}
trap 'stop_nodes; tap_end' EXIT

# node_start NAME SCRIPT [ARGUMENT...]: its folder is $work/NAME, its port in there.
node_start()
{
	local name=$1 script=$2
	shift 2

	mkdir -p "$work/$name"
	rm -f "$work/$name/port"
	node --expose-gc "$work/app/$script" "$work/$name" "$@" >"$work/$name.log" 2>&1 &
	node_pid[$name]=$!
	wait_until 30 test -s "$work/$name/port" || { cat "$work/$name.log" >&2; return 1; }
}

node_stop()
{
	kill "${node_pid[$1]}" 2>/dev/null || true
	wait "${node_pid[$1]}" 2>/dev/null || true
	unset "node_pid[$1]"
}

url_of() { printf 'http://127.0.0.1:%s/%s' "$(cat "$work/$1/port")" "$2"; }
get() { node -e 'fetch(process.argv[1]).then(r => r.text()).then(t => process.stdout.write(t))' "$(url_of "$1" "$2")"; }
serve() { cat >"$work/strange/$1"; }
sql() { cluster_psql main -At "$@"; }
collect() { sql -c 'SELECT perfopt.collect_now()' >/dev/null; }

# collect_garbage NAME: until the service has noticed, which takes it a while.
collect_garbage()
{
	local before

	collections() { get "$1" metrics | sed -n 's/^nodejs_gc_duration_seconds_count{kind="major"} //p'; }
	more_collections() { [ "$(collections "$1")" -gt "$2" ]; }
	before=$(collections "$1")
	get "$1" gc
	wait_until 30 more_collections "$1" "${before:-0}"
}

target()
{
	sql -c "CREATE SERVER $1 TYPE 'openmetrics' FOREIGN DATA WRAPPER perfopt OPTIONS (url '$2', timeout '${3:-10s}')"
}

# values METRIC TARGET [LABELS]: one a cycle, in order
values()
{
	sql -c "SELECT coalesce(string_agg(value::text, ' ' ORDER BY ts), '') FROM perfopt.sample
		WHERE metric = '$1' AND labels @> jsonb_build_object('target', '$2') AND labels @> '${3:-{\}}'"
}

# latest METRIC TARGET: in the last cycle, or nothing
latest()
{
	sql -c "SELECT string_agg(value::text, ' ' ORDER BY labels::text) FROM perfopt.sample WHERE metric = '$1' AND labels->>'target' = '$2'
		AND ts = (SELECT max(ts) FROM perfopt.sample WHERE metric = 'openmetrics_up')"
}

status_of() { sql -c "SELECT state || ': ' || coalesce(last_error, '') FROM perfopt.source_status WHERE source = 'openmetrics' AND target = '$1'"; }

cp -r "$here/nodeapp" "$work/app"
(cd "$work/app" && npm_config_cache="$work/npm" npm ci --omit=dev --no-audit --no-fund >"$work/npm.log" 2>&1) ||
	{ cat "$work/npm.log" >&2; die "npm could not install prom-client"; }
node_start app app.js
node_start modern app.js openmetrics
node_start strange strange.js

cluster_start main "shared_preload_libraries = 'perfopt'" "perfopt.collect_interval = 1h"
sql -c 'CREATE EXTENSION perfopt'

# A Node.js service, in both formats
target app "$(url_of app metrics)"
target modern "$(url_of modern metrics)"
collect_garbage app
collect_garbage modern
collect
for name in app modern; do
	for _ in 1 2 3 4 5; do get $name order; done
	for _ in 1 2; do get $name 'order?fail=1'; done
	collect_garbage $name
done
collect
for name in app modern; do
	is "$name is up" "$(latest openmetrics_up $name) $(status_of $name)" "1 ok: "
	ok "$name shows its heap" test "$(sql -c "SELECT bool_and(value > 1e6 AND unit = 'bytes' AND dimension = 'application') FROM perfopt.sample WHERE metric = 'nodejs_heap_size_used_bytes' AND labels = '{\"target\": \"$name\"}'")" = t
	ok "$name shows its event loop's lag" test "$(sql -c "SELECT count(*) = 2 AND bool_and(value BETWEEN 0 AND 60 AND unit = 'seconds') FROM perfopt.sample WHERE metric = 'nodejs_eventloop_lag_seconds' AND labels = '{\"target\": \"$name\"}'")" = t
	ok "$name shows garbage collection" test "$(sql -c "SELECT sum(value) >= 1 AND bool_and(unit = 'observations') FROM perfopt.sample WHERE metric = 'nodejs_gc_duration_seconds_count' AND labels @> '{\"target\": \"$name\", \"kind\": \"major\"}'")" = t
	ok "and how long that took" test "$(sql -c "SELECT sum(value) > 0 AND bool_and(unit = 'seconds') FROM perfopt.sample WHERE metric = 'nodejs_gc_duration_seconds_sum' AND labels @> '{\"target\": \"$name\", \"kind\": \"major\"}'")" = t
	is "a series that is new has no increase yet" "$(values shop_orders_total $name '{"outcome": "taken"}')" ""
	is "the buckets of $name's own histogram grow by the requests made" "$(values shop_order_duration_seconds_bucket $name '{"le": "+Inf"}') $(values shop_order_duration_seconds_bucket $name '{"le": "10"}') $(values shop_order_duration_seconds_count $name)" "7 7 7"
done
for _ in 1 2 3; do get app order; done
get modern order
collect
is "a counter's value is what it grew by" "$(latest shop_orders_total app) $(latest shop_orders_total modern)" "0 3 0 1"
is "kind, unit and help are the application's" "$(sql -c "SELECT kind, unit, help FROM perfopt.metric WHERE name IN ('shop_orders_total', 'shop_order_duration_seconds_sum', 'nodejs_heap_size_used_bytes') ORDER BY name" | tr '\n' ';')" \
	"gauge|bytes|Process heap size used from Node.js in bytes.;counter|seconds|Time to take an order;counter||Orders by outcome;"

# What is wrong with a target is that target's, and only its
target hang "$(url_of strange hang)" 300ms
target stall "$(url_of strange stall)" 300ms
target flood "$(url_of strange flood)"
target missing "$(url_of strange missing)"
head -c 20000 /dev/urandom >"$work/strange/garbage"
target garbage "$(url_of strange garbage)"
: >"$work/strange/empty"
target empty "$(url_of strange empty)"
printf '<html><body>Welcome</body></html>\n' | serve page
target page "$(url_of strange page)"
collect
like "a server that hangs is down" "$(latest openmetrics_up hang) $(status_of hang)" '^0 failing: .*300 ms'
like "one that stops in the middle too" "$(latest openmetrics_up stall) $(status_of stall)" '^0 failing: .*300 ms'
like "one that sends 100 MB is cut off" "$(latest openmetrics_up flood) $(status_of flood)" '^0 failing: .*16777216'
is "and nothing of it is kept" "$(values flood_total flood)$(values stalled stall)" ""
is "a status other than 200 is no answer" "$(latest openmetrics_up missing) $(status_of missing)" "0 failing: the answer has status 404"
is "an empty answer is none of harm" "$(latest openmetrics_up empty) $(status_of empty)" "1 ok: "
like "garbage is told by its line" "$(latest openmetrics_up garbage) $(status_of garbage)" '^0 failing: the metrics cannot be read: line [0-9]+: '
is "a web page is no metrics" "$(latest openmetrics_up page) $(status_of page)" '0 failing: the metrics cannot be read: line 1: expected a metric name at "<html><body>Welcome</body></html>"'
is "the others have their values as ever" "$(latest openmetrics_up app) $(latest openmetrics_up modern) $(latest shop_orders_total app)" "1 1 0 0"
sql -c 'DROP SERVER hang' -c 'DROP SERVER stall' -c 'DROP SERVER flood' -c 'DROP SERVER missing' -c 'DROP SERVER garbage' -c 'DROP SERVER page' -c 'DROP SERVER empty'
collect
is "a target that is no more is not in source_status" "$(status_of hang)" ""

# One bad line spoils the whole, as with Prometheus
target file "$(url_of strange file)"
printf 'good 1\nbad{ 2\n' | serve file
collect
is "a bad line fails the scrape" "$(latest openmetrics_up file) $(values good file)" "0 "
is "and is named" "$(status_of file)" 'failing: the metrics cannot be read: line 2: expected a label name at "2"'
printf 'good{a="\xff"} 1\n' | serve file
collect
is "so is text that is not UTF-8" "$(status_of file)" 'failing: the metrics cannot be read: line 1: byte 9 (0xff) is not valid UTF-8'
printf 'good{a="\xc3\xa4 \\"\\\\\\n",b=""} 1\n' | serve file
collect
is "text that is goes into the database" "$(sql -c "SELECT value, labels->>'a' = E'ä \"\\\\\n', labels ? 'b' FROM perfopt.sample WHERE metric = 'good'")" "1|t|f"
target cut "$(url_of strange cut.om)"
printf '# TYPE jobs counter\njobs_total 1\n' | serve cut.om
collect
is "OpenMetrics without its end did not come whole" "$(status_of cut)" 'failing: the metrics cannot be read: line 2: the text ends without "# EOF"'

# Counters
for value in 10 15 3 7 NaN 9 20; do
	printf '# TYPE c_total counter\nc_total{b="1",a="2"} %s\n# TYPE g gauge\ng %s\n' $value $value | serve file
	collect
done
is "a counter that starts again has no negative increase" "$(values c_total file)" "5 4 11"
is "values that are no numbers are left out" "$(values g file)" "10 15 3 7 9 20"
printf '# TYPE c_total counter\nc_total{a="2",b="1"} 21\n' | serve file
collect
is "the order of labels does not matter" "$(latest c_total file)" 1

# Samples with a time of their own
for value in '10 1000' '10 1000' '14 2000' '14 2000' '14 3000' '2 4000' '5 5000'; do
	printf '# TYPE t_total counter\nt_total %s\n# TYPE t gauge\nt %s\n' "$value" "$value" | serve file
	collect
done
is "a sample whose time stands still is stored once" "$(values t file)" "10 14 14 2 5"
is "and the increase of such a counter is right" "$(values t_total file)" "4 0 3"

# Names and labels that mean something here
printf 'node_load1 77\npg_sessions{target="db",exported_target="x",state="active"} 88\n# TYPE mixed gauge\nmixed 1\n' | serve file
printf '# TYPE mixed counter\nmixed 5\n' | serve other
target other "$(url_of strange other)"
collect
printf '# TYPE mixed counter\nmixed 6\n' | serve other
collect
is "perfopt's own metrics are not touched" "$(sql -c "SELECT count(*) FROM perfopt.sample WHERE (metric = 'node_load1' AND value = 77) OR (metric = 'pg_sessions' AND value = 88)")" 0
is "the exposed ones have a prefix" "$(latest exported_node_load1 file) $(latest exported_pg_sessions file)" "77 88"
is "an exposed label target has one, too" "$(sql -c "SELECT DISTINCT labels FROM perfopt.sample WHERE metric = 'exported_pg_sessions'")" '{"state": "active", "target": "file", "exported_target": "x", "exported_exported_target": "db"}'
is "applications may disagree about what a name is" "$(latest mixed file) $(latest exported_mixed other)" "1 1"
is "and the catalogue knows" "$(sql -c "SELECT name, kind FROM perfopt.metric WHERE name LIKE '%mixed' ORDER BY name" | tr '\n' ';')" "exported_mixed|counter;mixed|gauge;"

# Too much of it
for i in $(seq 2500); do echo "many{n=\"$i\"} $i"; done | serve file
printf 'x 1\nx 2\ny{a="%s"} 1\n' "$(head -c 1010 /dev/zero | tr '\0' v)" | serve other
collect
is "series past the limit are counted and named" "$(latest openmetrics_up file) $(status_of file)" "1 failing: of 2500 series, of which 2000 are kept at most, 500 are past the limit (the first: many)"
is "2,000 are kept" "$(sql -c "SELECT count(*) FROM perfopt.sample WHERE metric = 'many'") $(latest openmetrics_series file)" "2000 2500"
is "so are series that come twice and labels that are too long" "$(latest x other) $(status_of other)" \
	"1 failing: of 3 series, of which 2000 are kept at most, 1 are there twice (the first: x), 1 have too long labels (the first: y)"
printf 'x 1\n' | serve other
collect
is "until it is over" "$(status_of other | cut -d: -f1)" ok

# Gone and back
node_stop app
collect
like "an application that is gone is down" "$(latest openmetrics_up app) $(status_of app)" '^0 failing: .*([Cc]onnect|refused)'
is "and has no values" "$(latest nodejs_heap_size_used_bytes app)" ""
node_start app app.js
sql -c "ALTER SERVER app OPTIONS (SET url '$(url_of app metrics)')"
get app order
collect
get app order
collect
is "a restart is no negative increase" "$(latest openmetrics_up app) $(latest shop_orders_total app) $(sql -c 'SELECT count(*) FROM perfopt.sample WHERE value < 0')" "1 1 0"
is "no server process crashed" "$(grep -cE 'PANIC:|TRAP:|terminated by signal' "${CLUSTER_LOG[main]}" || true)" 0

done_testing
