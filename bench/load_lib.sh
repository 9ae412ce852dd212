# shellcheck shell=bash
#
# bench/load_lib.sh: what the benchmarks of load tests share. Source it in place of lib.sh, which it reads:
#
#   set -euo pipefail
#   . "$(dirname "${BASH_SOURCE[0]}")/load_lib.sh"
#   bench_begin
#   load_cluster 50 10
#   run_start "$(run_config select-only 50 10)"
#   run_end
#   figure "..." "..." "$(run_value 'o.throughput')" ...
#
# perfopt's tests are started with start_test() by a session that stays, and waited for with wait_test(), as
# somebody would who wants no snapshot held. pgbench always has prepared statements; its CPU time and
# its transactions are read when it says how far it is, so connecting and the beginning are left out.
# shellcheck source=bench/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# load_cluster USERS SCALE [LINE...]: cluster "bench" with room for so many users and pgbench's tables, set so
# that what the client costs shows: no fsync, no checkpoint but those that settle() asks for.
load_cluster()
{
	local users=$1 scale=$2
	shift 2

	cluster_start bench "shared_preload_libraries = 'perfopt'" "max_connections = $((users + 50))" "max_worker_processes = 48" \
		"shared_buffers = '512MB'" "max_wal_size = '8GB'" "checkpoint_timeout = '1h'" "autovacuum = off" \
		"perfopt.max_load_users = $((users > 1000 ? users : 1000))" "$@"
	cluster_psql bench -c 'CREATE EXTENSION perfopt'
	cluster_env bench pgbench --quiet -i -s "$scale" >/dev/null 2>&1
	session_open control bench
}

# settle: the same start for everybody.
settle()
{
	cluster_psql bench -c 'TRUNCATE pgbench_history' -c 'VACUUM pgbench_branches, pgbench_tellers, pgbench_accounts' -c CHECKPOINT
}

# run_config BUILTIN USERS SECONDS [MEMBERS]: settings of a test of what pgbench calls tpcb-like or select-only.
run_config()
{
	local scenario

	case "$1" in
		tpcb-like) scenario=pgbench ;;
		select-only) scenario=pgbench_select ;;
		*) die "tpcb-like or select-only, not $1" ;;
	esac
	printf '{"scenario": "%s", "users": %d, "duration": "%s s"%s}' "$scenario" "$2" "$3" "${4:+, $4}"
}

# run_start CONFIG: starts the test, whose number is in $run then.
run_start()
{
	run=$(session_ask control "SELECT perfopt.start_test('$1')")
}

# run_value EXPRESSION: of the run's row r and its operation's row o, once the run is over.
run_value()
{
	session_ask control "SELECT $1 FROM perfopt.test_run r LEFT JOIN perfopt.test_operation o USING (run_id) WHERE r.run_id = $run"
}

run_calls()
{
	session_ask control "SELECT calls FROM perfopt.test_progress($run)"
}

# run_wait SECONDS: so long, or until the run is over.
run_wait()
{
	session_ask control "SELECT perfopt.wait_test($run, '$1 s')" >/dev/null
}

# run_hold: until the run is under full load.
run_hold()
{
	local state

	while :; do
		state=$(session_ask control "SELECT phase || ' ' || coalesce(problem, '') FROM perfopt.test_progress($run)")
		case "$state" in
			hold*) return ;;
			over*) die "load test $run was over before it began: $state" ;;
		esac
		run_wait 0.05
	done
}

# run_end: waits for it; a run with errors measured something else.
run_end()
{
	local state

	state=$(session_ask control "SELECT perfopt.wait_test($run)")
	state+=$(run_value "format(', %s errors, %s connections lost%s', coalesce(sum(o.errors), 0), min(r.connections_lost), ' ' || min(r.problem))")
	[ "$state" = "finished, 0 errors, 0 connections lost" ] || die "load test $run: $state"
}

# run_watch SECONDS: over so many seconds of full load, from a second after its beginning on, the calls
# ($watched_calls) and the CPU time of the load workers in nanoseconds ($watched_cpu_ns). The test must last
# two seconds longer, and is over afterwards.
run_watch()
{
	local pids

	run_hold
	run_wait 1
	pids=$(perfopt_pids bench load)
	[ -n "$pids" ] || die "load test $run has no workers"
	# shellcheck disable=SC2086 # words on purpose
	watched_cpu_ns=$(cpu_ns $pids)
	watched_calls=$(run_calls)
	run_wait "$1"
	# shellcheck disable=SC2086
	watched_cpu_ns=$(($(cpu_ns $pids) - watched_cpu_ns))
	watched_calls=$(($(run_calls) - watched_calls))
	run_end
}

# pgbench_start [ARGUMENT...]: in the background; its process is $pgbench_pid.
pgbench_start()
{
	# shellcheck disable=SC2016 # for that shell
	exec {pgbench_out}< <(cluster_env bench sh -c 'echo "$$"; exec pgbench -n -M prepared -P 1 "$@" 2>&1' sh "$@")
	read -r pgbench_pid <&"$pgbench_out"
}

# pgbench_line PATTERN: reads on to the line that matches; its parts are in BASH_REMATCH.
pgbench_line()
{
	local line said=

	while IFS= read -r line <&"$pgbench_out"; do
		if [[ $line =~ $1 ]]; then return; fi
		said=$line
	done
	die "pgbench ended without a word like \"$1\": $said"
}

# pgbench_end: until it is over; then $pgbench_tps and $pgbench_connect_ms are what it says.
# shellcheck disable=SC2034 # they are for the callers
pgbench_end()
{
	pgbench_line '^number of failed transactions: ([0-9]+)'
	[ "${BASH_REMATCH[1]}" = 0 ] || die "${BASH_REMATCH[1]} of pgbench's transactions failed"
	pgbench_line '^initial connection time = ([0-9.]+) ms'
	pgbench_connect_ms=${BASH_REMATCH[1]}
	pgbench_line '^tps = ([0-9.]+) '
	pgbench_tps=${BASH_REMATCH[1]}
	exec {pgbench_out}<&-
}

# pgbench_watch SECONDS: the same of a pgbench that was started with -T 100000, between two of its progress
# messages, and how many seconds were between them exactly ($watched_seconds). Connecting counts for -T, so
# its alarm is not waited for but sent.
pgbench_watch()
{
	local progress='^progress: ([0-9.]+) s, ([0-9.]+) tps' i began at

	pgbench_line "$progress"
	watched_cpu_ns=$(cpu_ns "$pgbench_pid")
	watched_calls=0
	began=${BASH_REMATCH[1]}
	at=$began
	for ((i = 0; i < $1; i++)); do
		pgbench_line "$progress"
		watched_calls="$watched_calls + ${BASH_REMATCH[2]} * (${BASH_REMATCH[1]} - $at)"
		at=${BASH_REMATCH[1]}
	done
	watched_cpu_ns=$(($(cpu_ns "$pgbench_pid") - watched_cpu_ns))
	watched_calls=$(calc "$watched_calls" %.0f)
	# shellcheck disable=SC2034 # for the callers
	watched_seconds=$(calc "$at - $began")
	kill -ALRM "$pgbench_pid"
	pgbench_end
}

# watched_us: CPU time of the client for each call that was watched, in microseconds.
watched_us()
{
	calc "$watched_cpu_ns / $watched_calls / 1000" %.2f
}

# alternate NUMBER A B: both commands, in the order A B when the number is odd and B A when it is even.
alternate()
{
	if (($1 % 2)); then
		"$2"
		"$3"
	else
		"$3"
		"$2"
	fi
}
