#!/bin/bash
#
# HTTP targets: what is measured of one that answers, and that one which hangs, dawdles, floods,
# redirects to where nobody should look or has a certificate of its own is reported as such, while all
# others are asked in the same cycle.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/../lib/tap.sh"

cluster_start main "shared_preload_libraries = 'perfopt'" "perfopt.collect_interval = 1h" "perfopt.probe_timeout = 1s"
redis_start cache
dir=${CLUSTER_DIR[main]}
sql() { cluster_psql main -At "$@"; }
collect() { sql -c 'SELECT perfopt.collect_now()' >/dev/null; }
prober_pid() { sql -c "SELECT pid FROM pg_stat_activity WHERE backend_type = 'perfopt prober'"; }
status_of() { sql -c "SELECT state || ': ' || coalesce(last_error, '') FROM perfopt.source_status WHERE source = 'http' AND target = '$1'"; }

# latest METRIC TARGET [PHASE]: its value in the prober's last cycle, or nothing.
latest()
{
	sql -c "SELECT value FROM perfopt.sample WHERE metric = '$1' AND labels->>'target' = '$2' AND coalesce(labels->>'phase', '') = '${3:-}'
		AND ts = (SELECT max(ts) FROM perfopt.sample WHERE metric = 'probe_up')"
}
up() { printf '%s %s' "$(latest probe_up "$1")" "$(status_of "$1")"; }

# serve NAME [CERTIFICATE KEY]: leaves its port in PORT.
serve()
{
	local name=$1
	shift
	as_server_user python3 "$PERFOPT_ROOT/test/lib/http_server.py" "$dir/$name.port" "$@" >/dev/null 2>&1 &
	wait_until 20 test -s "$dir/$name.port"
	PORT=$(cat "$dir/$name.port")
}
# The one that listens on a port, which as_server_user's shell is not.
server_pid() { cat "$dir/$1.port.pid"; }
end_servers()
{
	local file

	for file in "$dir"/*.port.pid; do
		[ -e "$file" ] || continue
		kill -CONT "$(cat "$file")" 2>/dev/null || true
		kill "$(cat "$file")" 2>/dev/null || true
	done
}
# shellcheck disable=SC2154 # status is assigned in the trap
trap 'status=$?; end_servers; set +e; (exit $status); tap_end' EXIT

# target NAME URL [OPTIONS]
target() { sql -c "CREATE SERVER $1 TYPE 'http' FOREIGN DATA WRAPPER perfopt OPTIONS (url '$2'${3:+, $3})"; }

sql -c 'CREATE EXTENSION perfopt'
sql -c "CREATE SERVER cache TYPE 'redis' FOREIGN DATA WRAPPER perfopt OPTIONS (host '127.0.0.1', port '${REDIS_PORT[cache]}')"
serve plain
port=$PORT

# What is measured
target site "http://127.0.0.1:$port/ok"
target named "http://localhost:$port/ok"
target redirected "http://localhost:$port/redirect/http://127.0.0.1:$port/ok"
target broken "http://127.0.0.1:$port/status/503"
target expected "http://127.0.0.1:$port/status/503" "expected_status '503'"
target unexpected "http://127.0.0.1:$port/ok" "expected_status '204'"
target head "http://127.0.0.1:$port/ok" "method 'HEAD'"
target headers "http://127.0.0.1:$port/header/X-Purpose/watch" "headers E'Accept: text/plain\\nX-Purpose: watch'"
target closed "http://127.0.0.1:1/"
target nowhere "http://no-such-host.invalid/"
collect
is "a site that answers is up" "$(up site) $(latest probe_http_status site)" '1 ok:  200'
is "one given by its name too" "$(up named)" '1 ok: '
ok "its phases are measured and are part of the whole" test "$(sql -c "
	SELECT bool_and(value > 0) AND sum(value) FILTER (WHERE labels->>'phase' <> 'total') <= sum(value) FILTER (WHERE labels->>'phase' = 'total') AND count(*) = 4
	FROM perfopt.sample WHERE metric = 'probe_duration_seconds' AND labels->>'target' = 'named'")" = t
is "without a name to look up, and without TLS, their time is absent" "$(latest probe_duration_seconds site dns)$(latest probe_duration_seconds site tls)$(latest probe_cert_expiry_seconds site)" ""
is "a redirect is followed" "$(up redirected) $(latest probe_http_status redirected)" '1 ok:  200'
is "an error is down" "$(up broken) $(latest probe_http_status broken)" '0 failing: the answer has status 503 503'
is "unless it is what is expected" "$(up expected)" '1 ok: '
is "and anything else is down then" "$(up unexpected)" '0 failing: the answer has status 200, not 204'
is "HEAD will do" "$(up head)" '1 ok: '
is "headers are sent" "$(up headers)" '1 ok: '
like "where nobody listens it is down" "$(up closed)" '^0 failing: .*(refused|connect)'
like "a name that does not exist is named" "$(up nowhere)" '^0 failing: could not look up host "no-such-host.invalid"'
is "every metric that was sampled is in the catalogue" "$(sql -c "SELECT string_agg(DISTINCT m.dimension, ',') || count(DISTINCT metric) FROM perfopt.sample LEFT JOIN perfopt.metric m ON m.name = metric WHERE metric LIKE 'probe%'")" external3
sql -c 'DROP SERVER redirected, broken, expected, unexpected, head, headers, closed, nowhere'
collect
is "dropped targets leave source_status" "$(sql -c "SELECT string_agg(target, ',' ORDER BY target) FROM perfopt.source_status WHERE source = 'http' AND target IS NOT NULL")" named,site

# Secrets
target secret "http://127.0.0.1:$port/auth"
collect
is "without a login it is down" "$(up secret)" '0 failing: the answer has status 401'
sql -c "CREATE USER MAPPING FOR PUBLIC SERVER secret OPTIONS (user 'watcher', password 'let-me-in')"
collect
is "with user and password it is up" "$(up secret)" '1 ok: the answer has status 401'
sql -c "DROP USER MAPPING FOR PUBLIC SERVER secret" -c "CREATE USER MAPPING FOR PUBLIC SERVER secret OPTIONS (token 'bearer-of-this')"
collect
is "with a token too" "$(latest probe_up secret)" 1
serve elsewhere
sql -c "ALTER SERVER secret OPTIONS (SET url 'http://127.0.0.1:$port/redirect/http://127.0.0.1:$port/auth')"
target leak "http://127.0.0.1:$port/redirect/http://127.0.0.1:$PORT/auth"
sql -c "CREATE USER MAPPING FOR PUBLIC SERVER leak OPTIONS (token 'bearer-of-this')"
collect
is "a redirect takes it along to the same place" "$(latest probe_up secret)" 1
is "and not to another" "$(latest probe_up leak) $(latest probe_http_status leak)" '0 401'
sql -c 'DROP SERVER secret, leak CASCADE' 2>/dev/null

# Those that do not behave
target hang "http://127.0.0.1:$port/hang"
target slow "http://127.0.0.1:$port/slow-headers"
target large "http://127.0.0.1:$port/large"
target wordy "http://127.0.0.1:$port/many-headers"
target loop "http://127.0.0.1:$port/loop"
target metadata "http://127.0.0.1:$port/redirect/http://169.254.169.254/latest/meta-data"
target mapped "http://127.0.0.1:$port/redirect/http://[::ffff:169.254.169.254]/latest/meta-data"
target file "http://127.0.0.1:$port/redirect/file:///etc/passwd"
target direct "http://169.254.169.254/latest/meta-data"
before=$(awk '/^VmRSS/ { print $2 }' "/proc/$(prober_pid)/status")
begun=$(date +%s%N)
collect
took_ms=$((($(date +%s%N) - begun) / 1000000))
after=$(awk '/^VmHWM/ { print $2 }' "/proc/$(prober_pid)/status")
is "one that hangs is down" "$(up hang)" '0 failing: waiting for the answer: no answer within 1000 ms'
is "one that sends headers for ever too" "$(up slow)" '0 failing: reading the answer: no answer within 1000 ms'
like "a body without an end is not read to it" "$(up large)" '^0 failing: (the answer has more than 8388608 bytes|reading the answer: no answer)'
like "nor are headers without an end" "$(up wordy)" '^0 failing: (the answer has more than 262144 bytes of headers|.*no answer within)'
at_most "which does not fill the prober's memory (kB more)" $((after - before)) 20000
is "a redirect to itself ends" "$(up loop)" '0 failing: too many redirects'
like "a redirect to a cloud's metadata is refused" "$(up metadata)" '^0 failing: address 169.254.169.254 .* never allowed'
like "in disguise, too" "$(up mapped)" '^0 failing: address ::ffff:169.254.169.254 .* never allowed'
like "and a redirect to a file" "$(up file)" '^0 failing: (only urls of http and https|.*not supported|.*redirect)'
like "and the metadata's own address" "$(up direct)" '^0 failing: address 169.254.169.254 .* never allowed'
is "the others are up in the same cycle, of other kinds too" "$(latest probe_up site)$(latest probe_up named)$(sql -c "SELECT value FROM perfopt.sample WHERE metric = 'redis_up' ORDER BY ts DESC LIMIT 1")" 111
at_most "which took little more than the deadline of one (ms)" "$took_ms" 2500
sql -c 'DROP SERVER slow, large, wordy, loop, metadata, mapped, file, direct'

# A server that is stopped takes connections and says nothing.
serve stopped
target stopped "http://127.0.0.1:$PORT/ok"
target hasty "http://127.0.0.1:$PORT/ok" "timeout '100ms'"
collect
is "one that runs is up" "$(latest probe_up stopped)" 1
kill -STOP "$(server_pid stopped)"
collect
is "stopped, it is down" "$(latest probe_up stopped)" 0
like "by its own timeout where it has one" "$(status_of hasty)" 'no answer within 100 ms'
is "the others are up" "$(latest probe_up site)" 1
kill -CONT "$(server_pid stopped)"
collect
is "let go, it is up again" "$(latest probe_up stopped)$(latest probe_up hasty)" 11
sql -c 'DROP SERVER stopped, hasty'

# Certificates
certificates=$dir/tls
as_server_user mkdir "$certificates"
as_server_user sh -c 'cd "$1" && exec >/dev/null 2>&1
	openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -subj "/CN=our own authority" -days 30
	openssl req -newkey rsa:2048 -nodes -keyout server.key -out server.csr -subj /CN=localhost
	printf "subjectAltName=DNS:localhost" >names
	openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out server.pem -days 10 -extfile names' sh "$certificates"
serve secure "$certificates/server.pem" "$certificates/server.key"
target trusted "https://localhost:$PORT/ok" "tls_ca '$certificates/ca.pem'"
target untrusted "https://localhost:$PORT/ok"
target unverified "https://localhost:$PORT/ok" "tls_verify 'off'"
target misnamed "https://127.0.0.1:$PORT/ok" "tls_ca '$certificates/ca.pem'"
target noca "https://localhost:$PORT/ok" "tls_ca '/nonexistent'"
target nottls "https://localhost:$port/ok"
collect
is "a certificate of an authority that is trusted is good" "$(up trusted)" '1 ok: '
ok "TLS is measured" test "$(sql -c "SELECT value > 0 FROM perfopt.sample WHERE metric = 'probe_duration_seconds' AND labels = '{\"target\": \"trusted\", \"phase\": \"tls\"}'")" = t
ok "and until when the certificate is good, to the minute" test "$(sql -c "SELECT abs(value - 10 * 86400) < 3600 AND abs(value - ($(date -d "$(openssl x509 -in "$certificates/server.pem" -noout -enddate | cut -d= -f2)" +%s) - extract(epoch FROM now()))) < 60 FROM perfopt.sample WHERE metric = 'probe_cert_expiry_seconds' AND labels->>'target' = 'trusted'")" = t
like "one of an authority that is not is refused" "$(up untrusted)" '^0 failing: .*certificate'
is "unless nothing is verified" "$(up unverified)" '1 ok: '
like "one of another name is refused" "$(up misnamed)" '^0 failing: .*(certificate|SSL|subject)'
like "an authority that cannot be read is an error" "$(up noca)" '^0 failing: .*(certificate|CA|verify locations)'
like "a server without TLS is an error" "$(up nottls)" '^0 failing: .'
sql -c 'DROP SERVER untrusted, misnamed, noca, nottls'

# Private addresses
sql -c "ALTER SYSTEM SET perfopt.allow_private_targets = off" -c "SELECT pg_reload_conf()" >/dev/null
refused() { collect && [[ "$(status_of site)" == *"is private, and perfopt.allow_private_targets is off" ]]; }
ok "private targets can be refused" wait_until 10 refused
like "by the address behind a name" "$(up named)" '^0 failing: address .* of host "localhost" is private'
like "and for Redis alike" "$(sql -c "SELECT last_error FROM perfopt.source_status WHERE source = 'redis' AND target = 'cache'")" 'is private'
sql -c "ALTER SYSTEM RESET perfopt.allow_private_targets" -c "SELECT pg_reload_conf()" >/dev/null
allowed() { collect && [ "$(latest probe_up site)" = 1 ]; }
ok "and allowed again" wait_until 10 allowed

# Nothing is left behind by many cycles, whatever becomes of the probe.
sql -c "ALTER SERVER hang OPTIONS (ADD timeout '10ms')" -c 'DROP SERVER unverified, named'
target nowhere "http://no-such-host.invalid/" "timeout '10ms'"
target redirected "http://localhost:$port/redirect/http://127.0.0.1:$port/ok"
cycles() { sql -c "DO \$\$ BEGIN FOR i IN 1..$1 LOOP PERFORM perfopt.collect_now(); END LOOP; END \$\$"; }
private_kb() { awk '$1 == "Anonymous:" { print $2 }' "/proc/$1/smaps_rollup"; }
pid=$(prober_pid)
cycles 200
memory=$(private_kb "$pid")
files=$(open_files "$pid" main)
cycles 1000
is "the prober is still the same process" "$(prober_pid)" "$pid"
at_most "1,000 cycles later it has no more memory (kB more)" $(($(private_kb "$pid") - memory)) 64
at_most "nor open files" "$(open_files "$pid" main)" "$files"

done_testing
