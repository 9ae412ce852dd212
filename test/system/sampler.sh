#!/bin/bash
#
# A session that ends in the middle of a statement, by pg_terminate_backend or because its client is gone, is
# not taken for one that computes ever after: its place in the process array may keep its pid.
set -euo pipefail
# shellcheck source=test/lib/tap.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib/tap.sh"

cluster_start main "shared_preload_libraries = 'perfopt'" "perfopt.collect_interval = '1s'" "perfopt.sampling_frequency = 20" \
	"client_connection_check_interval = '100ms'"
sql() { cluster_psql main -Atc "$1"; }
sql 'CREATE EXTENSION perfopt'
sleepers="FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
seen() { sql "SELECT count(*) FROM perfopt.active_sessions WHERE role = 'postgres' AND ts > now() - interval '$1'"; }

for how in terminated abandoned; do
	cluster_env main psql -Xqc 'SELECT pg_sleep(60)' >/dev/null 2>&1 &
	client=$!
	cluster_wait_for main 20 "SELECT count(*) = 1 $sleepers"
	sleep 2
	isnt "a session that works is seen" "$(seen '2 s')" 0
	if [ $how = terminated ]; then sql "SELECT pg_terminate_backend(pid) $sleepers" >/dev/null; else pkill -KILL -P "$client"; fi
	cluster_wait_for main 20 "SELECT count(*) = 0 $sleepers"
	wait $client 2>/dev/null || true
	# Connecting takes the place of the one that has just gone, so nobody does meanwhile.
	sleep 5
	is "one that was $how is not" "$(sql "SELECT round(coalesce(sum(aas), 0)) FROM perfopt.active_sessions
		WHERE role = 'postgres' AND ts BETWEEN now() - interval '3 s' AND now() - interval '1 s'")" 0
done
done_testing
