#!/bin/bash
#
# PgBouncer targets: what is collected from a real one whose clients have to queue, and that one which
# hangs, refuses or must not be asked is reported as such without holding up anybody else.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/../lib/tap.sh"

password=kept-out-of-sight

cluster_start main "shared_preload_libraries = 'perfopt'" "perfopt.collect_interval = 1h" "perfopt.probe_timeout = 1s"
redis_start cache
sql() { cluster_psql main -At "$@"; }
collect() { sql -c 'SELECT perfopt.collect_now()' >/dev/null; }
status_of() { sql -c "SELECT state || ': ' || coalesce(last_error, '') FROM perfopt.source_status WHERE source = 'pgbouncer' AND target = '$1'"; }

# latest METRIC LABELS: its value in the prober's last cycle, or nothing.
latest()
{
	sql -c "SELECT value FROM perfopt.sample WHERE metric = '$1' AND labels = '$2'
		AND ts = (SELECT max(ts) FROM perfopt.sample WHERE metric = 'pgbouncer_up')"
}

# The pooler: one connection to the database, so that a second client has to wait.
dir=${CLUSTER_DIR[main]}/pooler
as_server_user mkdir "$dir"
pooler_start()
{
	POOLER_PORT=$(free_port)
	as_server_user tee "$dir/pgbouncer.ini" >/dev/null <<-END
		[databases]
		app = host=${CLUSTER_SOCKET[main]} port=${CLUSTER_PORT[main]} dbname=postgres user=postgres
		[pgbouncer]
		listen_addr = 127.0.0.1
		listen_port = $POOLER_PORT
		unix_socket_dir = $dir
		auth_type = scram-sha-256
		auth_file = $dir/users
		stats_users = watcher
		default_pool_size = 1
		logfile = $dir/log
		pidfile = $dir/pid
	END
	printf '"%s" "%s"\n' watcher "$password" app "$password" | as_server_user tee "$dir/users" >/dev/null
	as_server_user pgbouncer -d "$dir/pgbouncer.ini" >/dev/null 2>&1
	wait_until 10 test -s "$dir/pid"
}
pooler_stop()
{
	local pid

	for pid in $(jobs -p); do kill "$pid" 2>/dev/null || true; done
	pid=$(cat "$dir/pid" 2>/dev/null) || return 0
	if pid_is "$pid" pgbouncer; then
		kill -CONT "$pid" 2>/dev/null || true
		kill "$pid" 2>/dev/null || true
	fi
}
# shellcheck disable=SC2154 # status is assigned in the trap
trap 'status=$?; pooler_stop; set +e; (exit $status); tap_end' EXIT
wait_until 30 pooler_start
client() { PGPASSWORD=$password PGHOST=$dir PGPORT=$POOLER_PORT PGUSER=app PGDATABASE=app "$(pg_bindir)/psql" -X -q "$@" >/dev/null 2>&1; }

sql -c 'CREATE EXTENSION perfopt'
sql -c "CREATE SERVER cache TYPE 'redis' FOREIGN DATA WRAPPER perfopt OPTIONS (host '127.0.0.1', port '${REDIS_PORT[cache]}')"
sql -c "CREATE SERVER pooler TYPE 'pgbouncer' FOREIGN DATA WRAPPER perfopt OPTIONS (host 'localhost', port '$POOLER_PORT')"
sql -c "CREATE USER MAPPING FOR postgres SERVER pooler OPTIONS (user 'watcher', password '$password')"

# What is collected
collect
is "a pooler that runs is up" "$(latest pgbouncer_up '{"target": "pooler"}') $(status_of pooler)" '1 ok: '
is "the pool of its own administrators is left out" "$(sql -c "SELECT count(*) FROM perfopt.sample WHERE labels->>'database' = 'pgbouncer'")" 0

pool='{"target": "pooler", "database": "app", "user": "postgres"}'
count() { latest "$1" "{\"target\": \"pooler\", \"database\": \"app\", \"user\": \"postgres\", \"state\": \"$2\"}"; }
client -c 'SELECT 1'
collect
is "a pool is known by its database and user" "$(count pgbouncer_servers idle)" 1
is "nobody waits" "$(latest pgbouncer_wait_seconds "$pool") $(count pgbouncer_clients waiting)" '0 0'
client -c 'SELECT pg_sleep(600)' &
cluster_wait_for main 15 "SELECT count(*) = 1 FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%' AND state = 'active' AND pid <> pg_backend_pid()"
client -c 'SELECT 2' &
one_waits() { collect && [ "$(count pgbouncer_clients waiting)" = 1 ]; }
ok "a client that has to wait is counted" wait_until 15 one_waits
is "and so is the one that it waits for, with its connection" "$(count pgbouncer_clients active) $(count pgbouncer_servers active) $(count pgbouncer_servers idle)" '1 1 0'
ok "its waiting is measured" test "$(sql -c "SELECT max(value) > 0 FROM perfopt.sample WHERE metric = 'pgbouncer_wait_seconds' AND labels = '$pool'")" = t
before=$(latest pgbouncer_wait_seconds "$pool")
collect
ok "and grows" test "$(sql -c "SELECT $(latest pgbouncer_wait_seconds "$pool") > $before")" = t
is "every metric that was sampled is in the catalogue, of dimension integration" "$(sql -c "SELECT string_agg(DISTINCT m.dimension, ',') || count(DISTINCT metric) FROM perfopt.sample LEFT JOIN perfopt.metric m ON m.name = metric WHERE metric LIKE 'pgbouncer%'")" integration4
sql -c "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%' AND pid <> pg_backend_pid()" >/dev/null

# Through its Unix socket
sql -c "CREATE SERVER by_socket TYPE 'pgbouncer' FOREIGN DATA WRAPPER perfopt OPTIONS (host '$dir', port '$POOLER_PORT')"
sql -c "CREATE USER MAPPING FOR PUBLIC SERVER by_socket OPTIONS (user 'watcher', password '$password')"
collect
is "a Unix socket will do" "$(latest pgbouncer_up '{"target": "by_socket"}')" 1

# Who is not let in
sql -c "ALTER USER MAPPING FOR postgres SERVER pooler OPTIONS (SET password 'wrong-$password')"
collect
like "with a wrong password it is down, and source_status says so" "$(latest pgbouncer_up '{"target": "pooler"}') $(status_of pooler)" '^0 failing: .*authentication failed'
sql -c "ALTER USER MAPPING FOR postgres SERVER pooler OPTIONS (SET user 'app', SET password '$password')"
collect
like "a user who may not see the pools is told" "$(latest pgbouncer_up '{"target": "pooler"}') $(status_of pooler)" '^0 failing: .*not allowed'
sql -c "ALTER USER MAPPING FOR postgres SERVER pooler OPTIONS (SET user 'watcher')"
collect
is "back with the right one" "$(latest pgbouncer_up '{"target": "pooler"}')" 1
is "no password is in source_status" "$(sql -c "SELECT count(*) FROM perfopt.source_status s WHERE s::text LIKE '%$password%'")" 0
is "or in the server's log" "$(grep -c -- "$password" "${CLUSTER_LOG[main]}" || true)" 0
sql -c 'CREATE ROLE owner' -c 'GRANT USAGE ON FOREIGN DATA WRAPPER perfopt TO owner'
sql -c 'SET ROLE owner' -c "CREATE SERVER owned TYPE 'pgbouncer' FOREIGN DATA WRAPPER perfopt OPTIONS (host '127.0.0.1', port '$POOLER_PORT')" \
	-c "CREATE USER MAPPING FOR owner SERVER owned OPTIONS (user 'watcher')"
collect
like "who is no superuser must bring a password" "$(latest pgbouncer_up '{"target": "owned"}') $(status_of owned)" '^0 failing: .*needs a password'
as_server_user sed -i 's/^auth_type.*/auth_type = any/' "$dir/pgbouncer.ini"
kill -HUP "$(cat "$dir/pid")"
sql -c "ALTER USER MAPPING FOR owner SERVER owned OPTIONS (ADD password 'anything')"
any_comes_in() { collect && [ "$(latest pgbouncer_up '{"target": "pooler"}')" = 1 ] && status_of owned | grep -q 'did not ask for a password'; }
ok "and must have been asked for it" wait_until 15 any_comes_in
sql -c 'DROP SERVER owned CASCADE'

# One that hangs
pid=$(cat "$dir/pid")
kill -STOP "$pid"
begun=$(date +%s%N)
collect
took_ms=$((($(date +%s%N) - begun) / 1000000))
like "a pooler that hangs is down" "$(latest pgbouncer_up '{"target": "pooler"}') $(status_of pooler)" '^0 failing: .*no answer within 1000 ms'
is "a Redis is up in the same cycle" "$(sql -c "SELECT value FROM perfopt.sample WHERE metric = 'redis_up' ORDER BY ts DESC LIMIT 1")" 1
at_most "which took little more than the deadline of the one, for both poolers (ms)" "$took_ms" 2500
sql -c "ALTER SERVER pooler OPTIONS (ADD timeout '100ms')"
collect
like "a target's own timeout counts for it" "$(status_of pooler)" 'no answer within 100 ms'
like "and not for others" "$(status_of by_socket)" 'no answer within 1000 ms'
kill -CONT "$pid"
sql -c "ALTER SERVER pooler OPTIONS (SET timeout '1s')"
collect
is "let go, it is up again" "$(latest pgbouncer_up '{"target": "pooler"}')" 1

# Private addresses
sql -c "ALTER SYSTEM SET perfopt.allow_private_targets = off" -c "SELECT pg_reload_conf()" >/dev/null
refused() { collect && [[ "$(status_of pooler) $(status_of by_socket)" == *"is private"*"is private"* ]]; }
ok "private targets can be refused, sockets too" wait_until 10 refused
sql -c "ALTER SYSTEM RESET perfopt.allow_private_targets" -c "SELECT pg_reload_conf()" >/dev/null

# Options that go with another TYPE
sql -c "CREATE SERVER odd TYPE 'pgbouncer' FOREIGN DATA WRAPPER perfopt OPTIONS (host '127.0.0.1', tls 'true')"
collect
like "an option that is of no use is reported" "$(status_of odd)" 'has no use for the option tls'
sql -c 'DROP SERVER odd'

# Nothing is left behind by many cycles, be the target up or down.
cycles() { sql -c "DO \$\$ BEGIN FOR i IN 1..$1 LOOP PERFORM perfopt.collect_now(); END LOOP; END \$\$"; }
private_kb() { awk '$1 == "Anonymous:" { print $2 }' "/proc/$1/smaps_rollup"; }
sql -c "CREATE SERVER down TYPE 'pgbouncer' FOREIGN DATA WRAPPER perfopt OPTIONS (host '127.0.0.1', port '1')"
pid=$(sql -c "SELECT pid FROM pg_stat_activity WHERE backend_type = 'perfopt prober'")
cycles 100
memory=$(private_kb "$pid")
files=$(open_files "$pid" main)
cycles 300
is "the prober is still the same process" "$(sql -c "SELECT pid FROM pg_stat_activity WHERE backend_type = 'perfopt prober'")" "$pid"
at_most "300 cycles later it has no more memory (kB more)" $(($(private_kb "$pid") - memory)) 12
at_most "nor open files" "$(open_files "$pid" main)" "$files"

done_testing
