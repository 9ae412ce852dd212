#!/bin/bash
#
# The demo names both faults that it plants, by their name and place, and names neither when it
# plants none; what it starts, `script/demo stop` ends, and nothing else.
set -euo pipefail
# shellcheck source=test/lib/tap.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib/tap.sh"

# A state of its own: a demo that the person at this machine has running is left alone.
XDG_STATE_HOME=$(mktemp -d /tmp/perfopt-state.XXXXXX)
export XDG_STATE_HOME
demo=$PERFOPT_ROOT/script/demo

# Even when this test is ended early.
end_demo()
{
	"$demo" stop >/dev/null 2>&1 || true
	rm -rf "$XDG_STATE_HOME"
}
trap 'end_demo; tap_end' EXIT

run_demo()
{
	local status=0

	output=$("$demo" "$@" 2>&1) || status=$?
	is "script/demo $* succeeds" "$status" 0
	[ $status = 0 ] || { diag "$(tail -n 30 <<<"$output")"; exit 1; }
}

# section TITLE: the part of the output under the title that begins so.
section()
{
	awk -v title="$1" 'index($0, title) == 1 { show = 1; next } /^[A-Z]/ { show = 0 } show' <<<"$output"
}

begun=$SECONDS
run_demo
at_most "takes less than 3 minutes" $((SECONDS - begun)) 180
like "the table has a row an operation" "$(section 'Latency')" '^ sync .*[0-9]'
like "and a row total" "$(section 'Latency')" '^ total .*[0-9]'
is "no operation failed" "$(section 'Latency' | awk -F'|' '$1 ~ /^ total/ { gsub(/ /, "", $3); print $3 }')" 0
like "DB time is broken down" "$(section 'Where DB time')" '#'
like "finds the missing index, on its table and column" "$(section 'Bottlenecks')" 'missing_index .*external_id_map.*entity_id'
like "finds the idle session" "$(section 'Bottlenecks')" 'idle_in_transaction'
like "says how to get the index back" "$(section 'Recommendations')" 'CREATE INDEX .*external_id_map.*\(.*entity_id'
like "says what to do about idle sessions" "$(section 'Recommendations')" 'idle_in_transaction_session_timeout'
like "no line is wider than a terminal" "$(awk '{ if (length($0) > widest) widest = length($0) } END { print widest <= 130 ? "fits" : "too wide: " widest }' <<<"$output")" '^fits'

# As a person would who follows what it says at its end.
read -r -a connect < <(sed -n 's/^ *\([^ ]*psql\) -h \(.*\)$/\1 -h \2/p' <<<"$output")
server=$("${connect[@]}" -XAtc "SELECT setting FROM pg_settings WHERE name = 'data_directory'" 2>&1)
like "the connection that it prints works" "$server" '^/tmp/perfopt-demo\..*/data$'
pid=$(head -n 1 "$server/postmaster.pid")
read -r dashboard password < <(sed -n 's/^ *\(http[^ ]*\) *user demo, password \(.*\)$/\1 \2/p' <<<"$output")
like "so does the address of the dashboard" "$(curl -s "$dashboard")" '<title>perfopt</title>'
like "with the login that it prints" "$(curl -s -u "demo:$password" "${dashboard}integration/performance/optimization/recommendations")" 'missing_index'

run_demo --no-fault
nok "a second demo ends the first one" pid_alive "$pid"
nok "and its dashboard" curl -s "$dashboard"
unlike "names no missing index when there is none" "$(section 'Bottlenecks')" 'missing_index'
unlike "names no idle session when there is none" "$(section 'Bottlenecks')" 'idle_in_transaction'
unlike "and advises neither" "$(section 'Recommendations')" 'missing_index|idle_in_transaction'

read -r -a connect < <(sed -n 's/^ *\([^ ]*psql\) -h \(.*\)$/\1 -h \2/p' <<<"$output")
folder=$("${connect[@]}" -XAtc "SELECT setting FROM pg_settings WHERE name = 'data_directory'")
pid=$(head -n 1 "$folder/postmaster.pid")
redis=$(cat "${folder%/*/data}"/perfopt-cache.*/redis.pid)
ok "its Redis runs" pid_alive "$redis"
ok "stop succeeds" "$demo" stop
nok "PostgreSQL is gone" pid_alive "$pid"
nok "Redis is gone" pid_alive "$redis"
nok "the folder is gone" test -e "${folder%/*/data}"
like "a second stop says that there is nothing" "$("$demo" stop)" 'no demo is running'

done_testing
