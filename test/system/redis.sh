#!/bin/bash
#
# Redis targets: what is collected from one that answers, and that one which hangs, dies, refuses or
# talks nonsense is reported as such without holding up another target or the collector.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/../lib/tap.sh"

password=kept-out-of-sight

cluster_start main "shared_preload_libraries = 'perfopt'" "perfopt.collect_interval = 1h" "perfopt.probe_timeout = 500ms"
redis_start cache
redis_start other
sql() { cluster_psql main -At "$@"; }
cache() { redis-cli -p "${REDIS_PORT[cache]}" "$@" >/dev/null; }
collect() { sql -c 'SELECT perfopt.collect_now()' >/dev/null; }

target()
{
	sql -c "CREATE SERVER $1 TYPE 'redis' FOREIGN DATA WRAPPER perfopt OPTIONS (host '${3:-127.0.0.1}', port '$2')"
}

# latest METRIC TARGET: its value in the prober's last cycle, or nothing.
latest()
{
	sql -c "SELECT value FROM perfopt.sample WHERE metric = '$1' AND labels->>'target' = '$2'
		AND ts = (SELECT max(ts) FROM perfopt.sample WHERE metric = 'redis_up')"
}

status_of() { sql -c "SELECT state || ': ' || coalesce(last_error, '') FROM perfopt.source_status WHERE source = 'redis' AND target = '$1'"; }
log_lines() { grep -c -- "$1" "${CLUSTER_LOG[main]}" || true; }
prober_pid() { sql -c "SELECT pid FROM pg_stat_activity WHERE backend_type = 'perfopt prober'"; }

sql -c 'CREATE EXTENSION perfopt'

# What is collected
target cache "${REDIS_PORT[cache]}"
target other "${REDIS_PORT[other]}" localhost
collect
is "a Redis that runs is up" "$(latest redis_up cache)" 1
is "one given by its name too" "$(latest redis_up other)" 1
ok "PING is timed" test "$(sql -c "SELECT value > 0 AND value < 0.5 FROM perfopt.sample WHERE metric = 'redis_ping_seconds' AND labels = '{\"target\": \"cache\"}'")" = t
is "without look-ups there is no hit ratio" "$(latest redis_hit_ratio cache)" ""

cache set key value
for _ in 1 2 3; do cache get key; done
cache get nothing
collect
is "the hit ratio is of the look-ups since the cycle before" "$(latest redis_hit_ratio cache)" 0.75
is "hits are an increase" "$(latest redis_keyspace_hits_total cache)" 3
is "a command that is new has no increase yet" "$(sql -c "SELECT value FROM perfopt.sample WHERE metric = 'redis_command_calls_total' AND labels @> '{\"target\": \"cache\", \"cmd\": \"get\"}' ORDER BY ts DESC LIMIT 1")" ""
cache get nothing
collect
is "and not of its lifetime" "$(latest redis_hit_ratio cache)" 0
is "and has one the next time" "$(sql -c "SELECT value FROM perfopt.sample WHERE metric = 'redis_command_calls_total' AND labels @> '{\"target\": \"cache\", \"cmd\": \"get\"}' ORDER BY ts DESC LIMIT 1")" 1
is "keys are counted by database" "$(sql -c "SELECT DISTINCT value FROM perfopt.sample WHERE metric = 'redis_db_keys' AND labels = '{\"target\": \"cache\", \"db\": \"db0\"}'")" 1
is "no limit of memory is no value" "$(latest redis_memory_max_bytes cache)" ""
cache config set maxmemory 100mb
cache config set slowlog-log-slower-than 0
cache config set latency-monitor-threshold 1
collect
is "a limit of memory is" "$(latest redis_memory_max_bytes cache)" 104857600
ok "the slow log is followed" test "$(latest redis_slowlog_last_id cache)" -ge 0
cache eval 'for i = 1, 20000000 do end' 0
collect
ok "a spike of latency is seen" test "$(sql -c "SELECT max(value) >= 0.005 FROM perfopt.sample WHERE metric = 'redis_latency_spike_seconds' AND labels->>'target' = 'cache'")" = t
collect
is "once" "$(latest redis_latency_spike_seconds cache)" ""
is "every metric that was sampled is in the catalogue" "$(sql -c "SELECT count(DISTINCT metric) > 15 FROM perfopt.sample JOIN perfopt.metric m ON m.name = metric WHERE m.dimension = 'cache' AND m.help <> ''")" t

# Passwords
cache config set requirepass "$password"
collect
like "a Redis that wants a password is down without" "$(latest redis_up cache) $(status_of cache)" '^0 failing: NOAUTH'
sql -c "CREATE USER MAPPING FOR PUBLIC SERVER cache OPTIONS (password 'wrong-$password')"
collect
like "with a wrong one too, and source_status says so" "$(latest redis_up cache) $(status_of cache)" '^0 failing: (WRONGPASS|ERR invalid password)'
sql -c "ALTER USER MAPPING FOR PUBLIC SERVER cache OPTIONS (SET password '$password')"
collect
is "with the right one it is up" "$(latest redis_up cache)" 1
redis-cli -p "${REDIS_PORT[cache]}" -a "$password" --no-auth-warning acl setuser watcher on ">${password}2" +ping +info >/dev/null
sql -c "CREATE USER MAPPING FOR postgres SERVER cache OPTIONS (user 'watcher', password '${password}2')"
collect
is "the mapping of the server's owner goes first, with a user who may do little" "$(latest redis_up cache)" 1
is "what that user may not see is absent" "$(latest redis_slowlog_last_id cache)" ""
is "no password is in source_status" "$(sql -c "SELECT count(*) FROM perfopt.source_status s WHERE s::text LIKE '%$password%'")" 0
is "or in the server's log" "$(log_lines "$password")" 0
redis-cli -p "${REDIS_PORT[cache]}" -a "$password" --no-auth-warning config set requirepass '' >/dev/null
sql -c "DROP USER MAPPING FOR PUBLIC SERVER cache" -c "DROP USER MAPPING FOR postgres SERVER cache"
collect
is "back without" "$(latest redis_up cache)" 1

# TLS, with an authority of our own
certificates=${CLUSTER_DIR[main]}/tls
as_server_user mkdir "$certificates"
as_server_user sh -c 'cd "$1" && exec >/dev/null 2>&1
	for authority in ca other; do
		openssl req -x509 -newkey rsa:2048 -nodes -keyout $authority.key -out $authority.pem -subj "/CN=the $authority of a test" -days 30
	done
	printf "subjectAltName=DNS:localhost" >names
	for name in server client; do
		openssl req -newkey rsa:2048 -nodes -keyout $name.key -out $name.csr -subj /CN=$name
		openssl x509 -req -in $name.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out $name.pem -days 10 -extfile names
	done' sh "$certificates"
# It asks its clients for a certificate, too; REDIS_PORT without TLS is for redis_start alone.
tls_port=$(free_port)
redis_start secure --tls-port "$tls_port" --tls-cert-file "$certificates/server.pem" --tls-key-file "$certificates/server.key" \
	--tls-ca-cert-file "$certificates/ca.pem" --tls-auth-clients optional
secure() { sql -c "CREATE SERVER $1 TYPE 'redis' FOREIGN DATA WRAPPER perfopt OPTIONS (host '$2', port '$tls_port'${3:+, $3})"; }
secure trusted localhost "tls 'true', tls_ca '$certificates/ca.pem'"
secure untrusted localhost "tls 'true', tls_ca '$certificates/other.pem'"
secure by_system localhost "tls 'true'"
secure misnamed 127.0.0.1 "tls 'true', tls_ca '$certificates/ca.pem'"
secure unverified 127.0.0.1 "tls 'true', tls_verify 'off'"
secure noca localhost "tls 'true', tls_ca '/nonexistent'"
secure plain localhost
secure cert localhost "tls 'true', tls_ca '$certificates/ca.pem', tls_cert '$certificates/client.pem', tls_key '$certificates/client.key'"
sql -c "CREATE SERVER nottls TYPE 'redis' FOREIGN DATA WRAPPER perfopt OPTIONS (host 'localhost', port '${REDIS_PORT[cache]}', tls 'true')"
sql -c "CREATE SERVER wrongoption TYPE 'redis' FOREIGN DATA WRAPPER perfopt OPTIONS (host 'localhost', port '$tls_port', sslmode 'require')"
collect
is "a Redis with TLS is up" "$(latest redis_up trusted) $(status_of trusted)" '1 ok: '
like "another authority than its own is refused" "$(latest redis_up untrusted) $(status_of untrusted)" '^0 failing: TLS: .*(certificate|issuer)'
like "and those that the system trusts" "$(latest redis_up by_system) $(status_of by_system)" '^0 failing: TLS: .*(certificate|issuer)'
like "a certificate for another name too" "$(latest redis_up misnamed) $(status_of misnamed)" '^0 failing: TLS: .*mismatch'
is "unless nothing is verified" "$(latest redis_up unverified)" 1
like "an authority that cannot be read is an error" "$(latest redis_up noca) $(status_of noca)" '^0 failing: TLS: could not read tls_ca'
like "who does not speak TLS with it is down" "$(latest redis_up plain) $(status_of plain)" '^0 failing: .'
like "and TLS with one that has none" "$(latest redis_up nottls) $(status_of nottls)" '^0 failing: .'
like "an option that would not encrypt is reported" "$(latest redis_up wrongoption) $(status_of wrongoption)" '^0 failing: .*has no use for the option sslmode'
redis-cli -p "${REDIS_PORT[secure]}" config set tls-auth-clients yes >/dev/null
collect
like "a Redis that wants a certificate refuses who has none" "$(latest redis_up trusted) $(status_of trusted)" '^0 failing: .'
is "and lets in who has one" "$(latest redis_up cert)" 1
is "the others are up" "$(latest redis_up cache)$(latest redis_up other)" 11
sql -c 'DROP SERVER untrusted, by_system, misnamed, unverified, noca, plain, nottls, wrongoption, trusted'
cache lpush key value || true
collect
cache lpush key value || true
collect
is "errors are counted by their kind" "$(sql -c "SELECT value FROM perfopt.sample WHERE metric = 'redis_errors_total' AND labels = '{\"target\": \"cache\", \"err\": \"WRONGTYPE\"}' ORDER BY ts DESC LIMIT 1")" 1

# One that hangs
pid=$(cat "${REDIS_DIR[cache]}/redis.pid")
kill -STOP "$pid"
begun=$(date +%s%N)
collect
took_ms=$((($(date +%s%N) - begun) / 1000000))
is "a Redis that hangs is down" "$(latest redis_up cache)" 0
like "because it did not answer in time" "$(status_of cache)" '^failing: .*no answer within 500 ms'
is "the other is up in the same cycle" "$(latest redis_up other)" 1
at_most "which took little more than the deadline of the one (ms)" "$took_ms" 1500
sql -c "ALTER SYSTEM SET perfopt.collect_interval = '1s'" -c "SELECT pg_reload_conf()" >/dev/null
lines=$(log_lines 'for target cache')
ok "the collector goes on" cluster_wait_for main 15 "SELECT count(*) >= 5 FROM perfopt.sample WHERE metric = 'node_load1' AND ts > now() - interval '10 s'"
ok "and so does the prober" cluster_wait_for main 15 "SELECT count(*) >= 3 FROM perfopt.sample WHERE metric = 'redis_up' AND labels->>'target' = 'cache' AND value = 0"
is "without a line in the log each time" "$(log_lines 'for target cache')" "$lines"
again=$(log_lines 'for target cache works again')
kill -CONT "$pid"
ok "let go, it is up again" cluster_wait_for main 15 "SELECT value = 1 FROM perfopt.sample WHERE metric = 'redis_up' AND labels->>'target' = 'cache' ORDER BY ts DESC LIMIT 1"
is "which the log says once" "$(log_lines 'for target cache works again')" $((again + 1))

# One that dies
kill -KILL "$pid"
ok "a Redis that was killed is down" cluster_wait_for main 15 "SELECT value = 0 FROM perfopt.sample WHERE metric = 'redis_up' AND labels->>'target' = 'cache' ORDER BY ts DESC LIMIT 1"
like "because nobody listens" "$(status_of cache)" '^failing: .*Connection refused'
as_server_user redis-server --port "${REDIS_PORT[cache]}" --bind 127.0.0.1 --dir "${REDIS_DIR[cache]}" --daemonize yes \
	--pidfile "${REDIS_DIR[cache]}/redis.pid" --save '' --appendonly no >/dev/null
ok "started again it is up" cluster_wait_for main 15 "SELECT value = 1 FROM perfopt.sample WHERE metric = 'redis_up' AND labels->>'target' = 'cache' ORDER BY ts DESC LIMIT 1"
is "no increase is negative after its counters began anew" "$(sql -c "SELECT count(*) FROM perfopt.sample JOIN perfopt.metric m ON m.name = metric WHERE m.kind = 'counter' AND m.dimension = 'cache' AND value < 0")" 0
sql -c "ALTER SYSTEM SET perfopt.collect_interval = '1h'" -c "SELECT pg_reload_conf()" >/dev/null

# Some that are no Redis: one answers in another protocol, one never stops, one announces a list without end, one
# repeats what it was told, one hangs up at once.
listener()
{
	perl -MIO::Socket::INET -e '
		my ($port, $what) = @ARGV;
		alarm 300; # should nobody end us
		my $server = IO::Socket::INET->new(LocalAddr => "127.0.0.1", LocalPort => $port, Listen => 5, ReuseAddr => 1) or die;
		$SIG{PIPE} = "IGNORE";
		while (my $client = $server->accept) {
			my $question = "";
			sysread($client, $question, 4096) unless $what eq "hangup";
			syswrite($client, "HTTP/1.1 400 Bad Request\r\n\r\n\xff\xfe\n") if $what eq "http";
			if ($what eq "flood") {
				syswrite($client, "+PONG\r\n\$500000000\r\n");
				1 while syswrite($client, "x" x 65536);
			}
			if ($what eq "list") {
				syswrite($client, "+PONG\r\n*1000000000\r\n");
				1 while sysread($client, $question, 4096);
			}
			syswrite($client, "-ERR unknown command, with args beginning with: " . join(" ", $question =~ /^[^*\$].*$/mg) . "\r\n") if $what eq "echo";
			close $client;
		}' "$1" "$2" >/dev/null 2>&1 &
}
for what in http flood list echo hangup; do
	port=$(free_port)
	listener "$port" $what
	listening() { grep -q "0100007F:$(printf '%04X' "$port") 00000000:0000 0A" /proc/net/tcp; }
	wait_until 10 listening
	target $what "$port"
done
sql -c "CREATE USER MAPPING FOR PUBLIC SERVER echo OPTIONS (password '$password')"
before=$(awk '/^VmRSS/ { print $2 }' "/proc/$(prober_pid)/status")
collect
after=$(awk '/^VmHWM/ { print $2 }' "/proc/$(prober_pid)/status")
like "an answer in another protocol is an error" "$(latest redis_up http) $(status_of http)" '^0 failing: .*Protocol error'
like "an answer without end too" "$(latest redis_up flood) $(status_of flood)" '^0 failing: (the answer is too large|waiting for INFO: no answer)'
at_most "and does not fill the prober's memory (kB more)" $((after - before)) 20000
is "a list that is announced too large is not waited for" "$(latest redis_up list) $(status_of list)" '0 failing: the answer is too large'
is "who repeats the password is not repeated" "$(latest redis_up echo) $(status_of echo)" '0 failing: ERR'
like "who hangs up is down" "$(latest redis_up hangup) $(status_of hangup)" '^0 failing: .'
is "the others are up" "$(latest redis_up cache)$(latest redis_up other)" 11

# Addresses that cannot be used
target nohost 6379
sql -c "ALTER SERVER nohost OPTIONS (DROP host)"
target nowhere 6379 no-such-host.invalid
sql -c "CREATE SERVER clear TYPE 'redis' FOREIGN DATA WRAPPER perfopt OPTIONS (host '127.0.0.1', tls_ca '/etc/ca.pem')"
sql -c "CREATE SERVER odd TYPE 'rediss' FOREIGN DATA WRAPPER perfopt OPTIONS (host '127.0.0.1')"
collect
like "a target without an address says so" "$(latest redis_up nohost) $(status_of nohost)" '^0 failing: server "nohost" of TYPE redis lacks the option host'
like "a name that does not exist too" "$(latest redis_up nowhere) $(status_of nowhere)" '^0 failing: could not look up host'
like "one that means to encrypt and does not say so as well" "$(latest redis_up clear) $(status_of clear)" "^0 failing: .*the option tls_ca, but not tls 'true'"
like "a TYPE that does not exist too" "$(sql -c "SELECT last_error FROM perfopt.source_status WHERE target = 'odd'")" 'unknown TYPE "rediss"'
sql -c 'DROP SERVER clear, nohost, nowhere, odd, http, flood, list, echo, hangup CASCADE'
collect
for listener_pid in $(jobs -p); do kill "$listener_pid"; done
is "dropped targets leave source_status" "$(sql -c "SELECT string_agg(target, ',' ORDER BY target) FROM perfopt.source_status WHERE target IS NOT NULL")" cache,cert,other

# Nothing is left behind by many cycles, be the target up, down or unusable.
target down 1
sql -c "CREATE SERVER clear TYPE 'redis' FOREIGN DATA WRAPPER perfopt OPTIONS (host '127.0.0.1', tls_ca '/etc/ca.pem')"
sql -c "CREATE SERVER odd TYPE 'rediss' FOREIGN DATA WRAPPER perfopt"
cycles() { sql -c "DO \$\$ BEGIN FOR i IN 1..$1 LOOP PERFORM perfopt.collect_now(); END LOOP; END \$\$"; }
private_kb() { awk '/^Private|^Anonymous/ { if ($1 == "Anonymous:") print $2 }' "/proc/$1/smaps_rollup"; }
pid=$(prober_pid)
cycles 300
memory=$(private_kb "$pid")
files=$(open_files "$pid" main)
cycles 1000
is "the prober is still the same process" "$(prober_pid)" "$pid"
at_most "1,000 cycles later it has no more memory (kB more)" $(($(private_kb "$pid") - memory)) 12
at_most "nor open files" "$(open_files "$pid" main)" "$files"

done_testing
