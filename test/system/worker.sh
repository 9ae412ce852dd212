#!/bin/bash
#
# The workers' contract: what becomes of them when they are killed, when their extension or database is
# dropped, renamed, moved, copied and made again under them, at shutdown, and while there is nothing to
# do. A worker that blocks DROP DATABASE, stays dead or fills the log is what users complain of most.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/../lib/tap.sh"

cluster_start main "shared_preload_libraries = 'perfopt'" "perfopt.database = 'watched'" \
	"perfopt.collect_interval = 1s" "perfopt.probe_timeout = 2s"
redis_start cache
redis_pid=$(cat "${REDIS_DIR[cache]}/redis.pid")
export PGDATABASE=watched
sql() { cluster_psql main -At "$@"; }
admin() { PGDATABASE=postgres cluster_psql main -At "$@"; }
log_lines() { grep -cE -- "$1" "${CLUSTER_LOG[main]}" || true; }
clock() { admin -c 'SELECT clock_timestamp()'; }

# From the process table, since pg_stat_activity leaves out the sampler, which has no database.
pid_of()
{
	local postmaster process

	postmaster=$(head -n 1 "${CLUSTER_DATA[main]}/postmaster.pid")
	# One grep for all: a process for each of them takes longer than a worker may on a busy machine.
	for process in $(grep -lsE "^PPid:[[:space:]]+$postmaster$" /proc/[0-9]*/status); do
		process=${process%/status}
		if grep -qsa "^postgres: perfopt $1" "$process/cmdline"; then
			basename "$process"
		fi
	done
}
workers() { echo "$(pid_of sampler) $(pid_of collector) $(pid_of prober)"; }

# takes SECONDS DESCRIPTION CMD...: CMD succeeds within that time; a statement that hangs ends after a minute.
takes()
{
	local limit=$1 what=$2 begun output
	shift 2

	begun=$(date +%s%N)
	if output=$(PGOPTIONS='-c statement_timeout=60s' "$@" 2>&1); then
		at_most "$what" "$((($(date +%s%N) - begun) / 1000000))e-3" "$limit"
	else
		fail "$what"
		diag "$output"
	fi
}

install()
{
	sql -c 'CREATE EXTENSION perfopt' \
		-c "CREATE SERVER cache TYPE 'redis' FOREIGN DATA WRAPPER perfopt OPTIONS (host '127.0.0.1', port '${REDIS_PORT[cache]}')"
}

# Something that only this worker delivers.
sample_of()
{
	case $1 in
		sampler) echo "metric = 'perfopt_sampler_looks' AND value > 0" ;;
		collector) echo "metric = 'node_load1'" ;;
		prober) echo "metric = 'redis_up' AND value = 1" ;;
	esac
}

# all_collect SINCE SECONDS: all workers deliver within that time of SINCE.
all_collect()
{
	local worker

	for worker in sampler collector prober; do
		cluster_wait_for main 30 "SELECT count(*) > 0 FROM perfopt.sample WHERE $(sample_of $worker) AND ts > '$1'" || return 1
		[ "$(sql -c "SELECT min(ts) < timestamptz '$1' + interval '$2 s' FROM perfopt.sample
			WHERE $(sample_of $worker) AND ts > '$1'")" = t ] || return 1
	done
}

# Nothing there yet: first no database, then no extension.
sleep 12
at_most "a missing database is said once a worker, not at each attempt" "$(log_lines 'FATAL:.*"watched"')" 2
admin -c 'CREATE DATABASE watched'
ok "workers notice when it is made" cluster_wait_for main 15 "SELECT count(*) = 2 FROM pg_stat_activity WHERE datname = 'watched' AND backend_type LIKE 'perfopt %'"
ok "and wait for the extension" wait_until 15 grep -q 'perfopt prober waits for extension' "${CLUSTER_LOG[main]}"
before=$(log_lines perfopt)
sleep 5
at_most "which they say once each" "$(log_lines 'LOG:.*waits for extension')" 2
is "and then nothing" $(($(log_lines perfopt) - before)) 0
since=$(clock)
install
ok "CREATE EXTENSION starts the collecting at once" all_collect "$since" 5

# The extension goes and comes.
pids=$(workers)
for round in 1 2 3; do
	takes 3 "DROP EXTENSION takes moments, time $round" sql -c 'DROP EXTENSION perfopt CASCADE'
	since=$(clock)
	takes 3 "CREATE EXTENSION too, time $round" install
	ok "and all collect again" all_collect "$since" 8
done
is "by the same processes" "$(workers)" "$pids"
sql -c 'BEGIN' -c 'DROP EXTENSION perfopt CASCADE' -c 'ROLLBACK' 2>/dev/null
since=$(clock)
ok "a DROP that is rolled back does no harm" all_collect "$since" 8
is "nothing of this was an error" "$(log_lines 'perfopt (sampler|collector|prober): (ERROR|FATAL|PANIC)')" "$(log_lines 'FATAL:.*"watched"')"

# No transaction is open while a worker waits, be it for a Redis that hangs.
kill -STOP "$redis_pid"
ok "the prober waits for a Redis that hangs" cluster_wait_for main 15 "SELECT state = 'active' AND wait_event_type = 'Extension' FROM pg_stat_activity WHERE backend_type = 'perfopt prober'"
held=0
for _ in 1 2 3 4 5 6 7 8 9 10; do
	held=$((held + $(sql -c "SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'perfopt %'
		AND wait_event_type = 'Extension' AND (xact_start IS NOT NULL OR backend_xmin IS NOT NULL)")))
	sleep 0.1
done
is "without a transaction or a snapshot" $held 0

# All of the following while the prober is in the middle of such a wait most of the time.
takes 3 "DROP EXTENSION does not wait for it" sql -c 'DROP EXTENSION perfopt CASCADE'
install
admin -c 'CREATE ROLE nobody_here'
pids=$(workers)
nok "who may not drop the database" admin -c 'SET ROLE nobody_here' -c 'DROP DATABASE watched'
is "does not disturb the workers" "$(workers)" "$pids"
takes 5 "a plain DROP DATABASE succeeds" admin -c 'DROP DATABASE watched'
kill -CONT "$redis_pid"
fatal=$(log_lines 'FATAL:.*"watched"')
admin -c 'CREATE DATABASE watched'
since=$(clock)
install
ok "made again, it is watched again" all_collect "$since" 10
at_most "and its absence was said once a worker" $(($(log_lines 'FATAL:.*"watched"') - fatal)) 2

takes 5 "CREATE DATABASE ... TEMPLATE succeeds" admin -c 'CREATE DATABASE copied TEMPLATE watched'
since=$(clock)
ok "and the watching goes on" all_collect "$since" 10
admin -c 'DROP DATABASE copied'
admin -c "SET allow_in_place_tablespaces = on" -c "CREATE TABLESPACE elsewhere LOCATION ''"
takes 5 "ALTER DATABASE SET TABLESPACE succeeds" admin -c 'ALTER DATABASE watched SET TABLESPACE elsewhere'
since=$(clock)
ok "and the watching goes on there" all_collect "$since" 10
takes 5 "ALTER DATABASE RENAME succeeds" admin -c 'ALTER DATABASE watched RENAME TO renamed'
takes 5 "and back" admin -c 'ALTER DATABASE renamed RENAME TO watched'
since=$(clock)
ok "and the watching goes on under the old name" all_collect "$since" 10

# A load test has sessions in that database too.
start_load()
{
	sql -c "SELECT perfopt.create_dataset('integration')" >/dev/null 2>&1
	sql -c "SELECT perfopt.start_test('{\"users\": 5, \"duration\": \"10 min\"}')" >/dev/null
	cluster_wait_for main 30 "SELECT calls > 0 AND state = 'running' FROM perfopt.test_progress((SELECT max(run_id) FROM perfopt.test_run))"
}
ok "a load test runs" start_load
takes 10 "a plain DROP DATABASE succeeds under it" admin -c 'DROP DATABASE watched'
admin -c 'CREATE DATABASE watched'
since=$(clock)
install
ok "made again, it is watched again" all_collect "$since" 10

# A session of somebody else is in the way, as ever; the workers left for nothing and return.
cluster_psql main -c 'SELECT pg_sleep(60)' >/dev/null 2>&1 &
sleeper=$!
ok "somebody is connected" cluster_wait_for main 10 "SELECT count(*) = 1 FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(60)' AND state = 'active'"
like "DROP DATABASE fails then, and not because of us" "$(admin -c 'DROP DATABASE watched' 2>&1 || true)" 'There is 1 other session'
admin -c "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(60)'" >/dev/null
wait $sleeper || true
since=$(clock)
ok "and the watching goes on" all_collect "$since" 10

# Ended by an administrator, a worker comes back alone.
for worker in sampler collector prober; do
	pid=$(pid_of $worker)
	as_server_user bash -c "kill -TERM $pid"
	since=$(clock)
	comes_back() { [ -n "$(pid_of $worker)" ] && [ "$(pid_of $worker)" != "$pid" ]; }
	ok "a terminated $worker comes back" wait_until 15 comes_back
	ok "and all collect" all_collect "$since" 15
done
is "all this without a restart of the server" "$(log_lines 'ready to accept connections')" 1

# Killed, it takes all sessions with it, as any process of the server does.
for worker in sampler collector prober; do
	restarts=$(log_lines 'ready to accept connections')
	as_server_user bash -c "kill -KILL $(pid_of $worker)"
	restarted() { [ "$(log_lines 'ready to accept connections')" -gt "$restarts" ]; }
	ok "the server recovers from a $worker that was killed" wait_until 60 restarted
	since=$(grep 'ready to accept connections' "${CLUSTER_LOG[main]}" | tail -n 1 | cut -d' ' -f1-3)
	ok "and all collect within 10 s of its accepting connections" all_collect "$since" 10
done

# Shutdown in the middle of a cycle and of a load test.
ok "a load test runs again" start_load
kill -STOP "$redis_pid"
ok "the prober waits again" cluster_wait_for main 15 "SELECT state = 'active' AND wait_event_type = 'Extension' FROM pg_stat_activity WHERE backend_type = 'perfopt prober'"
takes 5 "a fast shutdown waits for neither" cluster_down main fast
kill -CONT "$redis_pid"
cluster_up main
since=$(clock)
ok "and after the start all collect" all_collect "$since" 10
is "and the load test is not taken for running" "$(sql -c "SELECT count(*) FROM perfopt.test_run WHERE state = 'running'")" 0

done_testing
