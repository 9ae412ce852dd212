#!/bin/bash
#
# Names of targets: /etc/hosts is honoured, and a name server that never answers holds up neither the
# targets that need none nor the cycle. Needs root, for an /etc of its own in a mount namespace.
set -euo pipefail

if [ "${PERFOPT_OWN_ETC:-}" != yes ]; then
	if [ "$(id -u)" = 0 ] && unshare --mount true 2>/dev/null; then
		PERFOPT_OWN_ETC=yes exec unshare --mount "$0"
	fi
	echo "1..0 # SKIP needs root and mount namespaces"
	exit 0
fi
. "$(dirname "${BASH_SOURCE[0]}")/../lib/tap.sh"

cluster_start main "shared_preload_libraries = 'perfopt'" "perfopt.collect_interval = 1h" "perfopt.probe_timeout = 500ms"
redis_start cache
dir=${CLUSTER_DIR[main]}
sql() { cluster_psql main -At "$@"; }
collect() { sql -c 'SELECT perfopt.collect_now()' >/dev/null; }
target() { sql -c "CREATE SERVER $1 TYPE '$2' FOREIGN DATA WRAPPER perfopt OPTIONS ($3)"; }
status_of() { sql -c "SELECT state || ': ' || coalesce(last_error, '') FROM perfopt.source_status WHERE target = '$1'"; }

# A name server that takes questions and keeps silent, at an address where nothing else listens.
perl -MIO::Socket::INET -e '
	my $socket = IO::Socket::INET->new(LocalAddr => "127.77.77.77", LocalPort => 53, Proto => "udp") or exit 1;
	open(my $ready, ">", $ARGV[0]) or exit 1;
	close $ready;
	alarm 600;
	1 while recv($socket, my $question, 4096, 0) || 1;' "$dir/ready" &
silent=$!
# shellcheck disable=SC2154 # status is assigned in the trap
trap 'status=$?; kill $silent 2>/dev/null || true; set +e; (exit $status); tap_end' EXIT
wait_until 10 test -e "$dir/ready"
printf 'nameserver 127.77.77.77\n' >"$dir/resolv.conf"
printf '127.0.0.1 localhost\n127.0.0.1 cache.perfopt.test\n' >"$dir/hosts"
chmod 644 "$dir/resolv.conf" "$dir/hosts"
mount --bind "$dir/resolv.conf" /etc/resolv.conf
mount --bind "$dir/hosts" /etc/hosts

# The servers that run are in this namespace, too, so they see what was mounted over.
sql -c 'CREATE EXTENSION perfopt'
target by_hosts redis "host 'cache.perfopt.test', port '${REDIS_PORT[cache]}'"
target by_address redis "host '127.0.0.1', port '${REDIS_PORT[cache]}'"
target unheard redis "host 'silent.perfopt.test', port '${REDIS_PORT[cache]}'"
target unheard_site http "url 'http://silent.perfopt.test/'"
target unheard_pooler pgbouncer "host 'silent.perfopt.test'"
begun=$(date +%s%N)
collect
took_ms=$((($(date +%s%N) - begun) / 1000000))
is "a name in /etc/hosts is found" "$(status_of by_hosts)" 'ok: '
is "an address needs no name server" "$(status_of by_address)" 'ok: '
silence='^failing: (looking up the host: no answer within 500 ms|could not look up host "silent.perfopt.test": .)'
like "a Redis whose name server is silent is down" "$(status_of unheard)" "$silence"
like "so is a site" "$(status_of unheard_site)" "$silence"
like "so is a pooler" "$(status_of unheard_pooler)" "$silence"
at_most "all of them together took little more than one's deadline (ms)" "$took_ms" 1500

# While it looks up a name, the prober leaves a database that somebody wants to rename. (A reload makes
# it begin a cycle.)
sql -c "ALTER SYSTEM SET perfopt.probe_timeout = '50s'" -c "ALTER SYSTEM SET perfopt.collect_interval = '60s'" -c "SELECT pg_reload_conf()" >/dev/null
template() { PGDATABASE=template1 cluster_psql main -At "$@"; }
looks_up() { [ "$(template -c "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'perfopt prober' AND state = 'active' AND wait_event_type = 'Extension'")" = 1 ]; }
wait_until 20 looks_up
begun=$(date +%s%N)
template -c 'ALTER DATABASE postgres RENAME TO renamed'
took_ms=$((($(date +%s%N) - begun) / 1000000))
at_most "a look-up that takes 50 s does not hold up who renames the database (ms)" "$took_ms" 10000
template -c 'ALTER DATABASE renamed RENAME TO postgres'

done_testing
