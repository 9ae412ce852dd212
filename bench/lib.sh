# shellcheck shell=bash
#
# bench/lib.sh: what the benchmarks share. Source it, don't run it:
#
#   set -euo pipefail
#   . "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
#   bench_begin
#   cluster_start bench ...
#   figure "CPU of one full cycle" "at most 1/12" "$own ms" "PoWA $peer ms" "$own * 12 <= $peer"
#   bench_end
#
# bench_begin makes an installation of this tree unless PERFOPT_STAGE names one, and sees to it that
# everything goes away at the end, whatever the end is. Each `figure` prints one line that script/bench
# gathers into its table; bench_end fails when a figure missed its target.
#
# CPU time is what the scheduler counted (/proc/PID/task/*/schedstat, nanoseconds): unlike wall time it
# hardly depends on who else is busy on the machine.
# shellcheck source=script/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../script/lib.sh"

bench_scratch=
bench_missed=0
declare -ga bench_pids=()

bench_begin()
{
	trap bench_finish EXIT
	trap 'exit 130' INT TERM
	bench_scratch=$(mktemp -d "${PERFOPT_TMP:-/tmp}/perfopt-bench.XXXXXX")
	chmod 755 "$bench_scratch"
	[ -z "${PERFOPT_STAGE:-}" ] || return 0
	PERFOPT_STAGE=$bench_scratch/stage
	export PERFOPT_STAGE
	copy_tree "$bench_scratch/tree"
	if ! make -s -C "$bench_scratch/tree" -j"$(nproc)" install with_llvm=no DESTDIR="$PERFOPT_STAGE" PG_CONFIG="$(pg_config_path)" \
		>"$bench_scratch/build" 2>&1; then
		tail -n 30 "$bench_scratch/build" >&2
		die "the build failed"
	fi
}

bench_finish()
{
	local status=$?

	set +e
	# A session that ended by itself must not end this as well, when it is told to go.
	trap '' PIPE
	stop_background
	session_close_all
	cleanup
	[ -z "$bench_scratch" ] || rm -rf "$bench_scratch"
	exit "$status"
}

# bench_end: the benchmark's own verdict.
bench_end()
{
	[ $bench_missed = 0 ]
}

# is_true EXPRESSION: awk's arithmetic.
is_true()
{
	awk "BEGIN { exit !($1) }"
}

# calc EXPRESSION [FORMAT]
calc()
{
	awk "BEGIN { printf \"${2:-%.3f}\", $1 }"
}

# figure NAME TARGET MEASURED BESIDE CONDITION: one row of the table. CONDITION is arithmetic that is
# true when the target was held; an empty one says that this row has no target.
figure()
{
	local verdict=held

	if [ -z "$5" ]; then
		verdict=-
	elif ! is_true "$5"; then
		verdict=missed
		bench_missed=$((bench_missed + 1))
	fi
	printf 'figure| %s | %s | %s | %s | %s\n' "$1" "$2" "$3" "$4" "$verdict"
}

# quantile Q: of the numbers on standard input, one a line, between the two nearest.
quantile()
{
	sort -g | awk -v q="$1" '{ v[NR] = $1 } END {
		if (NR == 0) exit 1
		at = 1 + q * (NR - 1); low = int(at); high = low < NR ? low + 1 : low
		printf "%.6g\n", v[low] + (at - low) * (v[high] - v[low]) }'
}

median() { quantile 0.5; }

# cpu_ns PID...: CPU time that these processes have used so far, all threads, in nanoseconds.
cpu_ns()
{
	local pid files=()

	for pid in "$@"; do files+=("/proc/$pid/task/"*/schedstat); done
	cat "${files[@]}" 2>/dev/null | awk '{ s += $1 } END { printf "%.0f\n", s }'
}

# cpu_ms_of PIDS CMD...: CPU time in milliseconds that the processes (one word) use while CMD runs.
cpu_ms_of()
{
	local pids=$1 before after
	shift

	# shellcheck disable=SC2086 # words on purpose
	before=$(cpu_ns $pids)
	"$@" >/dev/null
	# shellcheck disable=SC2086
	after=$(cpu_ns $pids)
	calc "($after - $before) / 1e6"
}

# private_kb PID: memory that is this process' alone: the pages of private mappings that nobody shares. (The
# kernel also calls private what only this process has touched of the server's shared memory.)
private_kb()
{
	awk '$1 ~ /^[0-9a-f]+-[0-9a-f]+$/ { private = $2 ~ /p$/ } private && /^Private_/ { s += $2 } END { print s + 0 }' "/proc/$1/smaps"
}

# perfopt_pids CLUSTER [WORKER]: perfopt's processes, or those named so, in one word. The sampler has no
# database and is not in pg_stat_activity, so the server's children are asked.
perfopt_pids()
{
	local postmaster

	postmaster=$(head -n 1 "${CLUSTER_DATA[$1]}/postmaster.pid")
	pgrep -d ' ' -P "$postmaster" -f "^postgres: perfopt ${2:-}" || true
}

# backend_pids CLUSTER CONDITION: pids from pg_stat_activity, in one word.
backend_pids()
{
	cluster_psql "$1" -Atc "SELECT string_agg(pid::text, ' ' ORDER BY pid) FROM pg_stat_activity WHERE $2"
}

# session_open NAME CLUSTER: a psql that stays, whose backend is warm the way a worker is. session_ask
# runs a statement there and prints its answer; its backend is session_pid[NAME].
# shellcheck disable=SC2034 # session_pid is for the callers
declare -gA session_pid=() session_in=() session_out=() session_process=()

session_open()
{
	local name=$1 cluster=$2 pipe=$bench_scratch/session-$1 in out

	mkfifo "$pipe.in" "$pipe.out"
	cluster_psql "$cluster" -At <"$pipe.in" >"$pipe.out" 2>&1 &
	session_process[$name]=$!
	exec {in}>"$pipe.in" {out}<"$pipe.out"
	rm -f "$pipe.in" "$pipe.out"
	session_in[$name]=$in
	session_out[$name]=$out
	# shellcheck disable=SC2034
	session_pid[$name]=$(session_ask "$name" 'SELECT pg_backend_pid()')
}

session_ask()
{
	local name=$1 line

	printf '%s;\n\\echo =done=\n' "$2" >&"${session_in[$name]}"
	while IFS= read -r line <&"${session_out[$name]}"; do
		[ "$line" != "=done=" ] || return 0
		[[ "$line" != ERROR:* ]] || printf '%s\n' "$line" >&2
		printf '%s\n' "$line"
	done
	die "the session $name ended at: $2"
}

session_close_all()
{
	local name fd

	for name in "${!session_process[@]}"; do
		# Later sessions have inherited this end of the pipe, so closing it would not end the first one.
		fd=${session_in[$name]}
		printf '\\q\n' >&"$fd"
		exec {fd}>&-
		wait "${session_process[$name]}" 2>/dev/null || true
	done
	session_process=()
}

# exporter_start NAME CLUSTER [ARGUMENT...]: prometheus-postgres-exporter on that cluster's $PGDATABASE, as
# a role of its own, so that its backends can be told apart. Afterwards exporter_pids[NAME] are its
# process and its backends, which stay connected, and exporter_url[NAME] is where it answers.
declare -gA exporter_pids=() exporter_url=()

exporter_start()
{
	local name=$1 cluster=$2 port
	shift 2

	command -v prometheus-postgres-exporter >/dev/null 2>&1 || die "prometheus-postgres-exporter is missing; script/deps --bench installs it"
	port=$(free_port)
	cluster_psql "$cluster" -c "CREATE ROLE $name LOGIN SUPERUSER"
	DATA_SOURCE_NAME="user=$name host=${CLUSTER_SOCKET[$cluster]} port=${CLUSTER_PORT[$cluster]} dbname=$PGDATABASE sslmode=disable" \
		prometheus-postgres-exporter --web.listen-address="127.0.0.1:$port" "$@" >"$bench_scratch/$name.log" 2>&1 &
	exporter_pids[$name]=$!
	bench_pids+=("$!")
	exporter_url[$name]=http://127.0.0.1:$port/metrics
	wait_until 20 curl -sf -o /dev/null "${exporter_url[$name]}" || { cat "$bench_scratch/$name.log" >&2; die "the exporter does not answer"; }
	exporter_pids[$name]+=" $(backend_pids "$cluster" "usename = '$name'")"
}

exporter_scrape()
{
	curl -sf -o /dev/null "${exporter_url[$1]}"
}

# exporter_table_queries: the part of the exporter's own example file that reads tables.
exporter_table_queries()
{
	local examples=/usr/share/doc/prometheus-postgres-exporter/examples/queries.yaml

	[ -r $examples ] || die "$examples is missing; does dpkg leave out documentation here?"
	awk '/^[a-z_]+:$/ { wanted = $1 == "pg_stat_user_tables:" || $1 == "pg_statio_user_tables:" } wanted' $examples
}

# in_background CMD...: runs until stop_background or the end of the benchmark, in a process group of
# its own, since CMD may be a function that starts others.
in_background()
{
	set -m
	"$@" >/dev/null 2>&1 &
	last_pid=$!
	set +m
	bench_pids+=("$last_pid")
}

stop_background()
{
	local pid

	for pid in ${bench_pids[@]+"${bench_pids[@]}"}; do
		kill -- "-$pid" 2>/dev/null || kill "$pid" 2>/dev/null || true
		wait "$pid" 2>/dev/null || true
	done
	bench_pids=()
}

# shape_start CLUSTER TABLES [LINE...]: the cluster that the figures speak of, with its load running:
# TABLES tables with two indexes each and five statements a table in database app, perfopt there, and
# PoWA with pg_qualstats and pg_stat_kcache in database powa. Neither PoWA's worker nor perfopt's clock
# runs unless the lines say so. PGDATABASE is app afterwards.
shape_start()
{
	local name=$1 tables=$2
	shift 2

	cluster_start "$name" "shared_preload_libraries = 'pg_stat_statements, pg_stat_kcache, pg_qualstats, powa, perfopt'" \
		"perfopt.database = 'app'" "perfopt.collect_interval = '1h'" "powa.database = 'powa'" "powa.frequency = -1" \
		"pg_stat_statements.max = 10000" "max_locks_per_transaction = 256" "shared_buffers = '256MB'" \
		"max_wal_size = '4GB'" "checkpoint_timeout = '1h'" "max_worker_processes = 32" "$@"
	cluster_psql "$name" -c 'CREATE DATABASE app' -c 'CREATE DATABASE powa'
	PGDATABASE=powa cluster_psql "$name" -c 'SET client_min_messages = warning' -c 'CREATE EXTENSION powa CASCADE' \
		-c 'CREATE EXTENSION pg_qualstats' -c 'CREATE EXTENSION pg_stat_kcache'
	export PGDATABASE=app
	cluster_psql "$name" -c 'CREATE EXTENSION pg_stat_statements' -c 'CREATE EXTENSION perfopt'
	make_tables "$name" "$tables"
	make_statements "$name" "$tables"
	live_load "$name" "$tables" "${RATE:-100}"
	cluster_wait_for "$name" 60 "SELECT count(*) = 2 FROM pg_stat_activity WHERE backend_type IN ('perfopt collector', 'perfopt prober')" ||
		die "perfopt's workers do not run"
}

# make_tables CLUSTER TABLES: tables t_1 ... in $PGDATABASE with two indexes and ten rows each.
make_tables()
{
	cluster_psql "$1" -c "DO \$\$ BEGIN
		FOR i IN 1 .. $2 LOOP
			EXECUTE format('CREATE TABLE t_%s (id int PRIMARY KEY, k int NOT NULL, v text)', i);
			EXECUTE format('INSERT INTO t_%s SELECT g, g %% 3, ''row '' || g FROM generate_series(1, 10) g', i);
			EXECUTE format('CREATE INDEX ON t_%s (k)', i);
		END LOOP; END \$\$" -c 'VACUUM ANALYZE'
}

# The five statements that make_statements runs on each table and live_load on one of them.
statement_forms=('SELECT v FROM t_:t WHERE id = 1' 'SELECT count(*) FROM t_:t WHERE k = 1' "UPDATE t_:t SET v = 'new' WHERE id = 2"
	'SELECT max(id) FROM t_:t' 'SELECT id, v FROM t_:t ORDER BY k LIMIT 3')

# make_statements CLUSTER TABLES: five entries a table in pg_stat_statements, and none besides.
make_statements()
{
	local form i

	cluster_psql "$1" -c 'SELECT pg_stat_statements_reset()' >/dev/null
	for form in "${statement_forms[@]}"; do
		for ((i = 1; i <= $2; i++)); do printf '%s;\n' "${form/:t/$i}"; done
	done | cluster_psql "$1" -o /dev/null
}

# live_load CLUSTER TABLES RATE: one session that runs the same statements, RATE a second, in the
# background: a few tables much and most of them rarely, as it is in life (Zipf, exponent $SKEW or 1.2;
# SKEW=0 takes each as often).
live_load()
{
	local i files=() draw="random_zipfian(1, $2, ${SKEW:-1.2})"

	[ "${SKEW:-1.2}" != 0 ] || draw="random(1, $2)"
	for i in "${!statement_forms[@]}"; do
		printf '\\set t %s\n%s;\n' "$draw" "${statement_forms[i]}" >"$bench_scratch/live$i.sql"
		files+=(-f "$bench_scratch/live$i.sql")
	done
	in_background cluster_env "$1" pgbench -n -c 1 -R "$3" -T 100000 "${files[@]}"
}
