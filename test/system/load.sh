#!/bin/bash
#
# How load tests end when they do not end by themselves: Ctrl-C of the waiting session, a worker that is
# told to stop, one that is killed, a target that goes away. No session may be left behind, what was
# measured is kept, and nothing says that a dead test is running.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/../lib/tap.sh"

cluster_start main "shared_preload_libraries = 'perfopt'" "perfopt.collect_interval = 1s"
sql() { cluster_psql main -At "$@"; }
sql -c 'CREATE EXTENSION perfopt'
sql -c "INSERT INTO perfopt.scenario (name) VALUES ('quick')" \
	-c "INSERT INTO perfopt.operation (scenario, name, script) VALUES ('quick', 'look', 'SELECT 1'), ('quick', 'sleep', 'SELECT pg_sleep(0.01)')"

sessions="SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'perfopt run%'"
started() { sql -c "SELECT perfopt.start_test('{\"users\": 8, \"duration\": \"10 min\", \"scenario\": \"quick\"}')"; }
holds() { cluster_wait_for main 20 "SELECT calls > 100 FROM perfopt.test_progress($1)"; }
load_pid() { sql -c "SELECT pid FROM pg_stat_activity WHERE backend_type LIKE 'perfopt load%' LIMIT 1"; }
state() { sql -c "SELECT state FROM perfopt.test_progress($1)"; }

# Ctrl-C in psql.
cluster_env main psql -X -At -c "SELECT * FROM perfopt.load_test(users => 8, duration => '10 min', scenario => 'quick')" >/dev/null 2>&1 &
waiting=$!
ok "a waiting session runs a test" cluster_wait_for main 20 "SELECT count(*) = 8 FROM pg_stat_activity WHERE application_name LIKE 'perfopt run%'"
run=$(sql -c 'SELECT max(run_id) FROM perfopt.test_run')
holds "$run"
is "the waiting session does not hold back vacuum" "$(sql -c "SELECT backend_xmin IS NULL AND backend_xid IS NULL FROM pg_stat_activity
	WHERE query LIKE 'SELECT * FROM perfopt.load_test(users%' AND backend_type = 'client backend'")" t
begun=$(date +%s%N)
sql -c "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE query LIKE 'SELECT * FROM perfopt.load_test(users%' AND backend_type = 'client backend'" >/dev/null
wait $waiting || true
ok "after a cancel no session is left" cluster_wait_for main 20 "SELECT count(*) = 0 FROM pg_stat_activity WHERE application_name LIKE 'perfopt run%'"
at_most "within two seconds and a bit" "$((($(date +%s%N) - begun) / 1000000))e-3" 4
ok "the run is cancelled" cluster_wait_for main 20 "SELECT state = 'cancelled' FROM perfopt.test_progress($run)"
is "and what it measured is kept" "$(sql -c "SELECT sum(calls) > 100 FROM perfopt.test_interval WHERE run_id = $run")" t

# A snapshot that something else may still read with is held.
for statement in "SELECT * FROM perfopt.wait_test(%s), perfopt.scenario" "BEGIN; SELECT perfopt.wait_test(%s)" \
	"DO 'BEGIN PERFORM perfopt.wait_test(%s); END'"; do
	run=$(started)
	# shellcheck disable=SC2059
	cluster_env main psql -X -At -c "$(printf "$statement" "$run")" >/dev/null 2>&1 &
	waiting=$!
	ok "kept while it may be needed: $statement" cluster_wait_for main 10 "SELECT count(*) = 1 FROM pg_stat_activity
		WHERE query LIKE '%wait_test($run)%' AND pid <> pg_backend_pid() AND backend_xmin IS NOT NULL AND wait_event_type = 'Extension'"
	sql -c "SELECT perfopt.cancel_test($run)" >/dev/null
	wait $waiting || true
done

# An administrator ends the worker.
run=$(started)
ok "another test runs" holds "$run"
sql -c "SELECT pg_terminate_backend($(load_pid))" >/dev/null
ok "a worker that is told to stop fails the run" cluster_wait_for main 20 "SELECT state = 'failed' FROM perfopt.test_progress($run)"
ok "and closes its sessions" cluster_wait_for main 20 "SELECT count(*) = 0 FROM pg_stat_activity WHERE application_name LIKE 'perfopt run%'"
isnt "the run says why" "$(sql -c "SELECT problem FROM perfopt.test_progress($run)")" ""

# Sessions of the test are ended by an administrator: counted, and made again.
run=$(started)
holds "$run"
sql -c "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name LIKE 'perfopt run%'" >/dev/null
ok "lost connections are counted" cluster_wait_for main 20 "SELECT connections_lost >= 8 FROM perfopt.test_progress($run)"
ok "and made again" cluster_wait_for main 20 "SELECT count(*) = 8 FROM pg_stat_activity WHERE application_name LIKE 'perfopt run%'"
calls=$(sql -c "SELECT calls FROM perfopt.test_progress($run)")
ok "the test goes on" cluster_wait_for main 20 "SELECT calls > $calls + 100 FROM perfopt.test_progress($run)"

# The worker is killed outright: the server restarts as after any crash.
kill -KILL "$(load_pid)"
ok "the server recovers from a killed load worker" cluster_wait_for main 20 "SELECT true"
ok "and collects again" wait_until 10 sql -c 'SELECT perfopt.collect_now()'
is "the killed test is not taken for running" "$(state "$run")" failed
is "no session is left" "$(sql -c "$sessions")" 0
run=$(sql -c "SELECT perfopt.start_test('{\"users\": 2, \"duration\": \"1 s\", \"scenario\": \"quick\"}')")
is "the next test runs as ever" "$(sql -c "SELECT perfopt.wait_test($run)")" finished
done_testing
