#!/bin/bash
#
# The server's own processes, the file systems under it and the control groups around it, as a cluster's
# history shows them: a backend that burns CPU, one that sorts in memory, processes that end between two
# looks; tablespaces elsewhere; limits on CPU and memory.
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

# Tablespaces, one of them for temporary files, on file systems of their own where this user may mount.
mount_point=
spaces=$(private_dir perfopt-spaces)
if [ "$(id -u)" = 0 ]; then
	for space in kept temporary; do
		as_server_user mkdir "$spaces/$space"
		if mount -t tmpfs -o size=32m,mode=0777 perfopt-test "$spaces/$space" 2>/dev/null; then mount_point+=" $spaces/$space"; fi
		as_server_user mkdir "$spaces/$space/files"
	done
fi
leave_mounts()
{
	local status=$? point

	cluster_stop main || true
	for point in $mount_point; do umount "$point" || true; done
	rm -rf "$spaces"
	(exit $status) || true
	tap_end
}
trap leave_mounts EXIT
if [ -n "$mount_point" ]; then
	for space in kept temporary; do sql -c "CREATE TABLESPACE $space LOCATION '$spaces/$space/files'"; done
	sql -c "ALTER SYSTEM SET temp_tablespaces = 'temporary'" -c 'SELECT pg_reload_conf()' >/dev/null
	reloaded() { collect && [ "$(value "$start" node_filesystem_size_bytes "{\"mount\": \"$spaces/temporary\", \"role\": \"temp\"}")" != -1 ]; }
	start=$(clock)
	ok "the file system of temporary files is found after a reload" wait_until 30 reloaded
	is "and has its size" "$(value "$start" node_filesystem_size_bytes "{\"mount\": \"$spaces/temporary\", \"role\": \"temp\"}")" $((32 * 1024 * 1024))
	is "tablespaces have theirs" "$(value "$start" node_filesystem_size_bytes "{\"mount\": \"$spaces/kept\", \"role\": \"tablespace\"}")" $((32 * 1024 * 1024))
	is "the data directory, the WAL, and both tablespaces have one row each" "$(sql -c "
		SELECT string_agg(role || ' ' || n, ', ' ORDER BY role) FROM (SELECT labels->>'role' AS role, count(DISTINCT labels->>'mount') AS n
		FROM perfopt.sample WHERE ts = (SELECT max(ts) FROM perfopt.sample WHERE metric = 'node_filesystem_avail_bytes')
			AND metric = 'node_filesystem_avail_bytes' GROUP BY 1) r")" "data 1, tablespace 2, temp 1, wal 1"
else
	skip "this user cannot mount a file system" 4
fi
cluster_down main
for point in $mount_point; do umount "$point"; done
mount_point=

# A server in control groups of version 1 with limits: half a processor, and a group within one of 2 GB.
group=perfopt-test-$$
leave_groups()
{
	local status=$?

	cluster_stop boxed || true
	echo $$ 2>/dev/null >"/sys/fs/cgroup/cpu/cgroup.procs" || true
	echo $$ 2>/dev/null >"/sys/fs/cgroup/memory/cgroup.procs" || true
	rmdir "/sys/fs/cgroup/cpu/$group" "/sys/fs/cgroup/memory/$group/inner" "/sys/fs/cgroup/memory/$group" 2>/dev/null || true
	(exit $status) || true
	leave_mounts
}
enter_groups()
{
	mkdir -p "/sys/fs/cgroup/cpu/$group" "/sys/fs/cgroup/memory/$group/inner" &&
		echo 100000 >"/sys/fs/cgroup/cpu/$group/cpu.cfs_period_us" && echo 50000 >"/sys/fs/cgroup/cpu/$group/cpu.cfs_quota_us" &&
		echo 2147483648 >"/sys/fs/cgroup/memory/$group/memory.limit_in_bytes" &&
		echo $$ >"/sys/fs/cgroup/cpu/$group/cgroup.procs" && echo $$ >"/sys/fs/cgroup/memory/$group/inner/cgroup.procs"
}
trap leave_groups EXIT
if enter_groups 2>/dev/null; then
	cluster_start boxed "shared_preload_libraries = 'perfopt'" "perfopt.collect_interval = 1h"
	boxed() { cluster_psql boxed -At "$@"; }
	boxed -c 'CREATE EXTENSION perfopt'
	now() { boxed -c "SELECT value FROM perfopt.sample WHERE metric = '$1' ORDER BY ts DESC LIMIT 1"; }
	throttled()
	{
		boxed -c 'SELECT perfopt.collect_now()' -c 'SELECT count(*) FROM generate_series(1, 1000000) g' -c 'SELECT perfopt.collect_now()' >/dev/null
		[ "$(boxed -c "SELECT sum(value) > 0 FROM perfopt.sample WHERE metric = 'cgroup_cpu_throttled_seconds_total'")" = t ]
	}
	ok "a server held up by its CPU limit shows it" wait_until 60 throttled
	is "the CPU limit is known" "$(now cgroup_cpu_limit_cores)" 0.5
	is "and is the capacity that counts" "$(now node_cpu_usable_count)" 0.5
	is "the memory limit of the group around the server's own counts" "$(now cgroup_memory_limit_bytes)" 2147483648
	ok "so does its usage" [ "$(boxed -c "SELECT $(now cgroup_memory_usage_bytes) BETWEEN 1e6 AND 2147483648")" = t ]
	is "both are under the same sample time" "$(boxed -c "SELECT count(DISTINCT ts) FROM (SELECT metric, max(ts) AS ts FROM perfopt.sample
		WHERE metric IN ('cgroup_memory_limit_bytes', 'cgroup_cpu_periods_total') GROUP BY 1) m")" 1
else
	skip "no control groups of version 1 that this user may make" 6
fi

done_testing
