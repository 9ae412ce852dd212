#!/bin/bash
#
# The server's own processes and the file systems under it, as a cluster's history shows them: a backend
# that burns CPU, one that sorts in memory, processes that end between two looks.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/../lib/tap.sh"

cluster_start main "shared_preload_libraries = 'perfopt'" "perfopt.collect_interval = 1h" "work_mem = '128MB'"
sql() { cluster_psql main -At "$@"; }
sql -c 'CREATE EXTENSION perfopt'
collect() { sql -c 'SELECT perfopt.collect_now()' >/dev/null; }
clock() { sql -c 'SELECT clock_timestamp()'; }

# value SINCE METRIC LABELS: the sum since then of a counter, or the greatest value of a gauge.
value()
{
	sql -c "SELECT coalesce(CASE WHEN '$2' LIKE '%\\_total' THEN sum(value) ELSE max(value) END, -1)
		FROM perfopt.sample WHERE ts > '$1' AND metric = '$2' AND labels @> '$3'"
}
client='{"backend_type": "client backend"}'

# above DESCRIPTION GOT LIMIT
above()
{
	ok "$1 ($2)" awk -v got="$2" -v limit="$3" 'BEGIN { exit !(got + 0 > limit + 0) }'
}

collect
start=$(clock)
collect
for type in postmaster checkpointer 'background writer' walwriter 'perfopt sampler' 'perfopt collector'; do
	is "there is one $type" "$(value "$start" pg_processes "{\"backend_type\": \"$type\"}")" 1
	above "whose memory is known" "$(value "$start" pg_process_resident_bytes "{\"backend_type\": \"$type\"}")" 100000
done

# One process burns CPU for as long as it takes to see it.
cluster_psql main -c 'SELECT count(*) FROM generate_series(1, 1000000000000) g' >/dev/null 2>&1 &
burner=$!
cluster_wait_for main 30 "SELECT count(*) = 1 FROM pg_stat_activity WHERE query LIKE '%1000000000000) g' AND state = 'active' AND pid <> pg_backend_pid()"
start=$(clock)
burnt()
{
	collect
	awk -v got="$(value "$start" pg_process_cpu_seconds_total "$client")" 'BEGIN { exit !(got > 2) }'
}
ok "a backend that burns CPU shows in its backend type's CPU time" wait_until 120 burnt
elapsed=$(sql -c "SELECT extract(epoch FROM clock_timestamp() - '$start')")
at_most "which is no more than one process can use, and the short ones that ask" \
	"$(value "$start" pg_process_cpu_seconds_total "$client")" "$(awk -v s="$elapsed" 'BEGIN { print 1.5 * s + 2 }')"
sql -c "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE query LIKE '%1000000000000) g' AND pid <> pg_backend_pid()" >/dev/null
wait $burner || true

# One holds a sort's memory.
start=$(clock)
collect
before=$(value "$start" pg_process_anon_bytes "$client")
cluster_psql main -c "BEGIN" -c "DECLARE sorted CURSOR FOR SELECT g, repeat('x', 100) FROM generate_series(1, 300000) g ORDER BY g DESC" \
	-c 'FETCH 1 FROM sorted' -c 'SELECT pg_sleep(600)' >/dev/null 2>&1 &
sorter=$!
ok "a sort is in memory" cluster_wait_for main 60 "SELECT count(*) = 1 FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(600)' AND wait_event = 'PgSleep'"
sees_sort()
{
	collect
	awk -v got="$(value "$start" pg_process_anon_bytes "$client")" 'BEGIN { exit !(got > 30000000) }'
}
ok "and counts as memory of that backend type that is not shared" wait_until 60 sees_sort
at_most "which was not there before" "$before" 30000000
sql -c "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(600)'" >/dev/null
wait $sorter || true

# A session that came and went between two looks is not lost.
collect
start=$(clock)
sql -c 'SELECT count(*) FROM generate_series(1, 5000000) g' >/dev/null
ended()
{
	collect
	awk -v got="$(value "$start" pg_process_cpu_seconds_total '{"backend_type": "ended"}')" 'BEGIN { exit !(got > 0.2) }'
}
ok "what processes used that nobody looked at in time shows as ended" wait_until 30 ended
is "no counter fell" "$(sql -c "SELECT count(*) FROM perfopt.sample WHERE metric LIKE 'pg_process_%_total' AND value < 0")" 0
is "and no source failed" "$(sql -c "SELECT source, last_error FROM perfopt.source_status WHERE state NOT IN ('ok', 'absent')" 2>&1)" ""

done_testing
