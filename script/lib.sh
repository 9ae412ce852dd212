# shellcheck shell=bash
#
# script/lib.sh: what the scripts and the system tests share. Source it, don't run it:
#
#   set -euo pipefail
#   . "$(dirname "${BASH_SOURCE[0]}")/../../script/lib.sh"
#   trap cleanup EXIT
#   cluster_start main "shared_preload_libraries = 'perfopt'"
#   cluster_psql main -Atc 'SELECT 1'
#
# Promises:
# - Nothing here touches a PostgreSQL or Redis that it did not start itself: each one lives in its
#   own folder under /tmp, on a free port, and is ended through its own pid file.
# - Works for root (servers run as an unprivileged user, since PostgreSQL refuses root) and for a
#   plain user (servers run as that user).
# - Environment: PG_CONFIG says which PostgreSQL; PERFOPT_STAGE names a folder that `make install
#   DESTDIR=...` filled, and clusters then take the extension from there instead of the system;
#   PERFOPT_TMP replaces /tmp (keep it short: a socket's path has at most 107 bytes);
#   PERFOPT_SERVER_ENV has assignments (A=1 B=2) for the environment of the servers alone.
#
# Facts about a cluster called NAME are in CLUSTER_DIR[NAME] (its folder), CLUSTER_DATA[NAME],
# CLUSTER_SOCKET[NAME] (socket folder, for PGHOST), CLUSTER_PORT[NAME], CLUSTER_LOG[NAME] and
# CLUSTER_PASSWORD[NAME] (of the superuser `postgres`, asked for over TCP only); about a Redis in
# REDIS_DIR[NAME] and REDIS_PORT[NAME]; about a gateway in GATEWAY_URL[NAME] and GATEWAY_LOG[NAME].

PERFOPT_ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
export PERFOPT_ROOT

# shellcheck disable=SC2034 # some are for the callers alone
declare -gA CLUSTER_DIR=() CLUSTER_DATA=() CLUSTER_SOCKET=() CLUSTER_PORT=() CLUSTER_LOG=() CLUSTER_PASSWORD=()
declare -gA REDIS_DIR=() REDIS_PORT=()
# shellcheck disable=SC2034
declare -gA GATEWAY_DIR=() GATEWAY_URL=() GATEWAY_LOG=()

# A caller's own session settings must not leak into clusters and tests.
unset PGDATA PGHOST PGHOSTADDR PGPORT PGUSER PGDATABASE PGPASSWORD PGSERVICE PGOPTIONS PGPASSFILE PGSSLMODE
export PGCONNECT_TIMEOUT=${PGCONNECT_TIMEOUT:-10} PSQLRC=/dev/null

say() { printf '%s\n' "$*"; }

die()
{
	printf '%s: %s\n' "${0##*/}" "$*" >&2
	exit 1
}

# as_root CMD...: directly as root, else through sudo.
as_root()
{
	if [ "$(id -u)" = 0 ]; then
		"$@"
	elif command -v sudo >/dev/null 2>&1; then
		sudo -- "$@"
	else
		die "needs root or sudo to run: $*"
	fi
}

# copy_tree TO: the tracked and the new files of this repository, without what builds left behind.
# Works in an unpacked tarball too, where there is no git to ask; and where git refuses to answer,
# as it does for root in somebody else's clone.
copy_tree()
{
	local to=$1

	mkdir -p "$to"
	if [ "$(git -C "$PERFOPT_ROOT" rev-parse --show-prefix 2>/dev/null || echo none)" = "" ]; then
		(cd "$PERFOPT_ROOT" && git ls-files -z --cached --others --exclude-standard |
			while IFS= read -r -d '' file; do [ ! -e "$file" ] || printf '%s\0' "$file"; done |
			tar --null --no-recursion -T - -cf -) | tar -C "$to" --no-same-owner -xf -
	else
		tar -C "$PERFOPT_ROOT" --exclude=./.git --exclude=./build --exclude='*.o' --exclude='*.so' --exclude='*.bc' -cf - . |
			tar -C "$to" --no-same-owner -xf -
	fi
}

# pg_config_path: the pg_config in use; fails when there is none.
pg_config_path()
{
	local candidate

	if [ -n "${PG_CONFIG:-}" ]; then
		command -v "$PG_CONFIG" || die "PG_CONFIG=$PG_CONFIG is not a program"
		return
	fi
	# Debian's /usr/bin/pg_config belongs to libpq-dev and answers for the client only, unless a
	# server-dev package is there as well; the one in the newest server's own folder is exact.
	for candidate in $(printf '%s\n' /usr/lib/postgresql/*/bin/pg_config | sort -t/ -k5,5rn); do
		if [ -x "$candidate" ] && [ -e "$("$candidate" --pgxs)" ] && [ -x "$("$candidate" --bindir)/postgres" ]; then
			printf '%s\n' "$candidate"
			return
		fi
	done
	command -v pg_config || return 1
}

pg_bindir() { "$(pg_config_path)" --bindir; }

# pg_major: 15, 16 ...
pg_major() { "$(pg_config_path)" --version | sed 's/[^0-9]*\([0-9]*\).*/\1/'; }

# server_user: who owns the clusters.
server_user()
{
	local candidate

	if [ "$(id -u)" != 0 ]; then
		id -un
		return
	fi
	for candidate in postgres nobody; do
		if id -u "$candidate" >/dev/null 2>&1; then
			printf '%s\n' "$candidate"
			return
		fi
	done
	die "running as root, and there is neither a user postgres nor nobody to run servers as"
}

# as_server_user CMD...: runs from /, since the caller's folder may be closed to that user.
as_server_user()
{
	if [ "$(id -u)" = 0 ]; then
		(cd / && runuser -u "$(server_user)" -- "$@")
	else
		(cd / && "$@")
	fi
}

# private_dir PREFIX: a new folder under /tmp that belongs to the server user.
private_dir()
{
	as_server_user mktemp -d "${PERFOPT_TMP:-/tmp}/$1.XXXXXX"
}

# free_port: a TCP port that nobody listens on, below the range the kernel gives to clients. Two
# callers may still draw the same one, so whoever binds it has to try again with another.
free_port()
{
	local used port files=(/proc/net/tcp)

	[ -r /proc/net/tcp6 ] && files+=(/proc/net/tcp6)
	used=" $(awk '$4 == "0A" { split($2, a, ":"); print a[length(a)] }' "${files[@]}" | tr '\n' ' ')"
	while :; do
		port=$((20000 + RANDOM % 12000))
		case "$used" in
			*" $(printf '%04X' "$port") "*) ;;
			*)
				printf '%s\n' "$port"
				return
				;;
		esac
	done
}

# stage_settings: configuration that makes a cluster take the extension from PERFOPT_STAGE.
stage_settings()
{
	local config

	[ -n "${PERFOPT_STAGE:-}" ] || return 0
	config=$(pg_config_path)
	if [ "$(pg_major)" -ge 18 ]; then
		printf "extension_control_path = '%s:\$system'\n" "$PERFOPT_STAGE$("$config" --sharedir)"
	else
		# Debian's and Ubuntu's own setting; other builds of 15 to 17 have no such thing.
		printf "extension_destdir = '%s'\n" "$PERFOPT_STAGE"
	fi
	printf "dynamic_library_path = '%s:\$libdir'\n" "$PERFOPT_STAGE$("$config" --pkglibdir)"
}

# server_takes_stage: can the installed server run an extension from a stage at all?
server_takes_stage()
{
	[ "$(pg_major)" -ge 18 ] || grep -q extension_destdir "$(pg_bindir)/postgres"
}

# cluster_start NAME [LINE...]: a new cluster with these lines added to its configuration, running
# when this returns. The lines come last, so they override the defaults below. It listens on a free
# port, or on CLUSTER_PORT[NAME] if the caller has set that.
cluster_start()
{
	local name=$1 dir password
	shift

	dir=$(private_dir "perfopt-$name")
	CLUSTER_DIR[$name]=$dir
	CLUSTER_DATA[$name]=$dir/data
	CLUSTER_SOCKET[$name]=$dir/socket
	CLUSTER_LOG[$name]=$dir/postgresql.log
	password=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
	# shellcheck disable=SC2034
	CLUSTER_PASSWORD[$name]=$password

	# Peers on this machine can reach the loopback port, so that asks for a password; the socket is
	# in a folder closed to others, so that does not.
	printf '%s\n' "$password" | as_server_user sh -c 'umask 077; cat > "$1/password"; mkdir "$1/socket"' sh "$dir"
	as_server_user "$(pg_bindir)/initdb" -D "$dir/data" --username=postgres --encoding=UTF8 --locale=C.UTF-8 \
		--no-sync --auth-local=trust --auth-host=scram-sha-256 --pwfile="$dir/password" >"$dir.initdb" 2>&1 ||
		{ cat "$dir.initdb" >&2; rm -f "$dir.initdb"; return 1; }
	rm -f "$dir.initdb"
	{
		printf "listen_addresses = '127.0.0.1'\nunix_socket_directories = '%s'\n" "$dir/socket"
		printf "fsync = off\ntimezone = 'UTC'\nlog_timezone = 'UTC'\nlog_line_prefix = '%%m [%%p] %%b: '\n"
		stage_settings
		[ $# = 0 ] || printf '%s\n' "$@"
	} | as_server_user sh -c 'cat >> "$1"' sh "$dir/data/postgresql.conf"
	cluster_up "$name"
}

# cluster_up NAME: starts a stopped cluster (again), on a port that is free now.
cluster_up()
{
	local name=$1 try

	for try in 1 2 3 4 5; do
		[ "$try" = 1 ] && [ -n "${CLUSTER_PORT[$name]:-}" ] || CLUSTER_PORT[$name]=$(free_port)
		# shellcheck disable=SC2086 # words on purpose
		if as_server_user env ${PERFOPT_SERVER_ENV:-} "$(pg_bindir)/pg_ctl" -D "${CLUSTER_DATA[$name]}" -l "${CLUSTER_LOG[$name]}" -w -t 120 -s \
			-o "-p ${CLUSTER_PORT[$name]}" start >/dev/null 2>&1; then
			return 0
		fi
		tail -n 20 "${CLUSTER_LOG[$name]}" | grep -q 'could not bind\|could not create any TCP' || break
	done
	say "cluster $name did not start; the end of ${CLUSTER_LOG[$name]}:" >&2
	tail -n 30 "${CLUSTER_LOG[$name]}" >&2
	return 1
}

# cluster_down NAME [MODE]: stops it, keeps its folder. MODE is fast, smart or immediate.
cluster_down()
{
	as_server_user "$(pg_bindir)/pg_ctl" -D "${CLUSTER_DATA[$1]}" -m "${2:-fast}" -w -t 120 -s stop
}

cluster_restart()
{
	cluster_down "$@" && cluster_up "$1"
}

cluster_running()
{
	as_server_user "$(pg_bindir)/pg_ctl" -D "${CLUSTER_DATA[$1]}" status >/dev/null 2>&1
}

# cluster_stop NAME: stops it if it runs, and removes its folder.
cluster_stop()
{
	local name=$1

	[ -n "${CLUSTER_DIR[$name]:-}" ] || return 0
	if cluster_running "$name"; then
		cluster_down "$name" fast || cluster_down "$name" immediate || return 1
	fi
	rm -rf "${CLUSTER_DIR[$name]}"
	unset "CLUSTER_DIR[$name]" "CLUSTER_DATA[$name]" "CLUSTER_SOCKET[$name]" "CLUSTER_PORT[$name]" "CLUSTER_LOG[$name]" "CLUSTER_PASSWORD[$name]"
}

# cluster_env NAME CMD...: CMD with the environment that libpq reads pointing at that cluster.
cluster_env()
{
	local name=$1
	shift
	PGHOST=${CLUSTER_SOCKET[$name]} PGPORT=${CLUSTER_PORT[$name]} PGUSER=postgres \
		PGDATABASE=${PGDATABASE:-postgres} PATH="$(pg_bindir):$PATH" "$@"
}

# cluster_psql NAME [psql's arguments...]: stops at the first error, and never in a pager.
cluster_psql()
{
	local name=$1
	shift
	cluster_env "$name" psql -X -q -v ON_ERROR_STOP=1 -P pager=off "$@"
}

# wait_until SECONDS CMD...: repeats CMD until it succeeds; fails when the time is over.
wait_until()
{
	local deadline=$((SECONDS + $1))
	shift
	until "$@" >/dev/null 2>&1; do
		[ "$SECONDS" -lt "$deadline" ] || return 1
		sleep 0.2
	done
}

# cluster_wait_for NAME SECONDS QUERY: until QUERY answers `t`.
cluster_wait_for()
{
	local name=$1 seconds=$2 query=$3

	answers_true() { [ "$(cluster_psql "$name" -Atc "$query" 2>/dev/null)" = t ]; }
	wait_until "$seconds" answers_true
}

# redis_start NAME [redis-server's arguments...]: a private Redis that keeps nothing on disk, on a
# free port or on REDIS_PORT[NAME] if the caller has set that.
redis_start()
{
	local name=$1 dir try
	shift

	dir=$(private_dir "perfopt-$name")
	REDIS_DIR[$name]=$dir
	for try in 1 2 3 4 5; do
		[ "$try" = 1 ] && [ -n "${REDIS_PORT[$name]:-}" ] || REDIS_PORT[$name]=$(free_port)
		as_server_user redis-server --port "${REDIS_PORT[$name]}" --bind 127.0.0.1 --dir "$dir" --daemonize yes \
			--pidfile "$dir/redis.pid" --logfile "$dir/redis.log" --save '' --appendonly no "$@" >/dev/null 2>&1 || true
		if wait_until 5 redis_answers "$name"; then
			return 0
		fi
	done
	say "Redis $name did not start; the end of $dir/redis.log:" >&2
	tail -n 20 "$dir/redis.log" >&2
	return 1
}

# The pid file says whether it is ours that answers on this port.
redis_answers()
{
	[ -s "${REDIS_DIR[$1]}/redis.pid" ] && [ "$(redis-cli -p "${REDIS_PORT[$1]}" ping)" = PONG ]
}

# pid_alive PID: it runs. One that ended and waits for its parent to take notice does not; in a
# container, nobody may ever.
pid_alive()
{
	[ -r "/proc/$1/status" ] && ! grep -q '^State:[[:space:]]*Z' "/proc/$1/status" 2>/dev/null
}

# pid_is PID PROGRAM: does that process run a program of that name? Pids are used again by others.
pid_is()
{
	[ "$(cat "/proc/$1/comm" 2>/dev/null)" = "$2" ]
}

redis_stop()
{
	local name=$1 pid

	[ -n "${REDIS_DIR[$name]:-}" ] || return 0
	pid=$(cat "${REDIS_DIR[$name]}/redis.pid" 2>/dev/null || true)
	if [ -n "$pid" ] && pid_is "$pid" redis-server; then
		# One that was stopped with SIGSTOP by a test could not hear a TERM.
		kill -CONT "$pid" 2>/dev/null || true
		kill "$pid" 2>/dev/null || true
		redis_gone() { ! pid_alive "$pid"; }
		wait_until 10 redis_gone || kill -KILL "$pid" 2>/dev/null || true
	fi
	rm -rf "${REDIS_DIR[$name]}"
	unset "REDIS_DIR[$name]" "REDIS_PORT[$name]"
}

# gateway_program: the perfopt-gateway that belongs to the extension in use.
gateway_program() { printf '%s\n' "${PERFOPT_STAGE:-}$(pg_bindir)/perfopt-gateway"; }

# gateway_start NAME CLUSTER [perfopt-gateway's arguments...]: on a free port of 127.0.0.1, or where
# --listen says, answering when this returns.
gateway_start()
{
	local name=$1 cluster=$2 dir
	shift 2

	dir=$(private_dir "perfopt-$name")
	GATEWAY_DIR[$name]=$dir
	GATEWAY_LOG[$name]=$dir.log
	as_server_user sh -c 'echo $$ >"$1/pid"; shift; exec "$@"' sh "$dir" "$(gateway_program)" --listen 127.0.0.1:0 \
		--dsn "host=127.0.0.1 port=${CLUSTER_PORT[$cluster]} dbname=${PGDATABASE:-postgres}" "$@" >"$dir.log" 2>&1 &
	gateway_listens() { grep -q ' listens on ' "$dir.log"; }
	if ! wait_until 20 gateway_listens; then
		cat "$dir.log" >&2
		return 1
	fi
	# shellcheck disable=SC2034 # for the callers
	GATEWAY_URL[$name]=$(sed -n 's|.* listens on \(http[^ ]*[0-9]\)/$|\1|p' "$dir.log" | head -n 1)
}

gateway_pid() { cat "${GATEWAY_DIR[$1]}/pid"; }

gateway_stop()
{
	local name=$1 pid

	[ -n "${GATEWAY_DIR[$name]:-}" ] || return 0
	pid=$(gateway_pid "$name" 2>/dev/null || true)
	if [ -n "$pid" ] && pid_is "$pid" perfopt-gateway; then
		kill "$pid" 2>/dev/null || true
		gateway_gone() { ! pid_alive "$pid"; }
		wait_until 15 gateway_gone || kill -KILL "$pid" 2>/dev/null || true
	fi
	rm -rf "${GATEWAY_DIR[$name]}" "${GATEWAY_LOG[$name]}"
	unset "GATEWAY_DIR[$name]" "GATEWAY_URL[$name]" "GATEWAY_LOG[$name]"
}

# cleanup: everything that this shell started; meant for `trap cleanup EXIT`.
cleanup()
{
	local status=$? name

	set +e
	for name in "${!GATEWAY_DIR[@]}"; do gateway_stop "$name"; done
	for name in "${!CLUSTER_DIR[@]}"; do cluster_stop "$name"; done
	for name in "${!REDIS_DIR[@]}"; do redis_stop "$name"; done
	return "$status"
}
