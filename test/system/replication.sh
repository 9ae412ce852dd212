#!/bin/bash
#
# A primary with a standby and a slot: the lag that is collected on the one, and that perfopt on the
# other samples, keeps quiet, and collects as soon as it is promoted. Also what needs a server of its own
# settings: an archive that fails and a vacuum that takes its time.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/../lib/tap.sh"

cluster_start main "shared_preload_libraries = 'perfopt'" "perfopt.collect_interval = 1h" \
	"archive_mode = on" "archive_command = 'false'" "hot_standby_feedback = off"
sql() { cluster_psql main -At "$@"; }
collect() { sql -c 'SELECT perfopt.collect_now()' >/dev/null; }
log_lines() { grep -cE -- "$2" "${CLUSTER_LOG[$1]}" || true; }

# latest METRIC LABELS: its value in the last cycle that had it.
latest() { sql -c "SELECT value FROM perfopt.sample WHERE metric = '$1' AND labels @> '$2' ORDER BY ts DESC LIMIT 1"; }

# comes METRIC LABELS CONDITION: cycles bring a value that meets it.
comes()
{
	meets()
	{
		collect
		[ "$(sql -c "SELECT value $3 FROM perfopt.sample WHERE metric = '$1' AND labels @> '$2' ORDER BY ts DESC LIMIT 1")" = t ]
	}
	wait_until 30 meets "$@"
}

sql -c 'CREATE EXTENSION perfopt' -c 'CREATE TABLE filler AS SELECT i FROM generate_series(1, 1000) i' \
	-c "SELECT pg_create_physical_replication_slot('kept', true)" >/dev/null
collect
is "without a standby there is no lag" "$(latest pg_replication_lag_bytes '{}')" ""
is "a slot without a reader is not active" "$(latest pg_slot_active '{"slot": "kept"}')" 0

# A standby, as an administrator makes one.
dir=$(private_dir perfopt-standby)
# shellcheck disable=SC2034,SC2154 # script/lib.sh reads them, by name
CLUSTER_DIR[standby]=$dir
CLUSTER_DATA[standby]=$dir/data
CLUSTER_SOCKET[standby]=$dir/socket
CLUSTER_LOG[standby]=$dir/postgresql.log
as_server_user mkdir "$dir/socket"
as_server_user "$(pg_bindir)/pg_basebackup" -h "${CLUSTER_SOCKET[main]}" -p "${CLUSTER_PORT[main]}" -U postgres \
	-D "$dir/data" -R -S kept -c fast >/dev/null
printf "unix_socket_directories = '%s'\ncluster_name = 'standby1'\n" "$dir/socket" |
	as_server_user sh -c 'cat >> "$1"' sh "$dir/data/postgresql.conf"
cluster_up standby
standby() { cluster_psql standby -At "$@"; }
label='{"application_name": "standby1"}'

ok "a standby that has all lags behind by nothing" comes pg_replication_lag_bytes "$label" '= 0'
ok "nor in time" comes pg_replication_lag_seconds "$label" '= 0'
ok "its slot is active" comes pg_slot_active '{"slot": "kept"}' '= 1'

standby -c 'SELECT pg_wal_replay_pause()' >/dev/null
sql -c 'INSERT INTO filler SELECT i FROM generate_series(1, 20000) i'
ok "one that does not replay lags behind" comes pg_replication_lag_bytes "$label" '> 1000000'
ok "and in time" comes pg_replication_lag_seconds "$label" '> 0'
standby -c 'SELECT pg_wal_replay_resume()' >/dev/null
ok "until it does" comes pg_replication_lag_bytes "$label" '= 0'

# On the standby
sampling() { [ -n "$(pgrep -P "$(head -n 1 "${CLUSTER_DATA[standby]}/postmaster.pid")" -f 'perfopt sampler' || true)" ]; }
ok "the sampler runs on the standby" wait_until 15 sampling
is "nothing else of perfopt does" "$(standby -c "SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'perfopt %'")" 0
is "what the primary collected can be read there" "$(standby -c "SELECT count(*) > 100 FROM perfopt.sample")" t
is "so can the state of sources, of which none ran" "$(standby -c 'SELECT count(*) FROM perfopt.source_status')" 0
is "no error is in its log" "$(log_lines standby 'ERROR|PANIC|perfopt.*FATAL')" 0
is "nor a word of perfopt's" "$(log_lines standby 'perfopt (sampler|collector|prober)')" 0

# The standby goes; WAL is kept for it.
cluster_down standby
sql -c 'INSERT INTO filler SELECT i FROM generate_series(1, 20000) i' -c 'SELECT pg_switch_wal()' >/dev/null
ok "without its standby the slot is not active" comes pg_slot_active '{"slot": "kept"}' '= 0'
ok "and WAL is kept for it" comes pg_slot_retained_bytes '{"slot": "kept"}' '> 1000000'
is "a standby that is gone has no lag" "$(sql -c "SELECT count(*) FROM perfopt.current_metrics() WHERE metric LIKE 'pg_replication_lag%'")" 0

cluster_up standby
standby -c 'SELECT pg_promote()' >/dev/null
ok "promoted, it collects" cluster_wait_for standby 60 "SELECT count(*) > 0 FROM perfopt.sample WHERE metric = 'pg_sessions'
	AND ts > (SELECT pg_postmaster_start_time())"
is "without an error" "$(grep -vE 'due to administrator command' "${CLUSTER_LOG[standby]}" | grep -cE 'perfopt.*(ERROR|FATAL)|perfopt source' || true)" 0
cluster_stop standby

# The archive
ok "files that wait to be archived are counted" comes pg_archive_ready_files '{}' '> 0'
attempts_failed()
{
	sql -c 'INSERT INTO filler VALUES (0)' -c 'SELECT pg_switch_wal()' -c 'SELECT perfopt.collect_now()' >/dev/null
	[ "$(sql -c "SELECT sum(value) > 0 FROM perfopt.sample WHERE metric = 'pg_archive_failed_total'")" = t ]
}
ok "so are attempts that failed" wait_until 30 attempts_failed

# A vacuum that takes its time
sql -c 'CREATE INDEX ON filler (i)' -c 'DELETE FROM filler WHERE i % 2 = 0'
PGOPTIONS='-c vacuum_cost_delay=100 -c vacuum_cost_limit=1' cluster_psql main -c 'VACUUM filler' >/dev/null 2>&1 &
vacuum=$!
ok "a vacuum shows how far it is" comes pg_vacuum_progress_ratio '{"database": "postgres", "table": "public.filler"}' 'BETWEEN 0 AND 1'
is "and how often it went through the indexes" "$(latest pg_vacuum_index_passes '{"table": "public.filler"}')" 0
sql -c "SELECT pg_terminate_backend(pid) FROM pg_stat_progress_vacuum" >/dev/null
wait $vacuum || true
collect
is "when it has ended it shows no more" "$(sql -c "SELECT count(*) FROM perfopt.current_metrics() WHERE metric LIKE 'pg_vacuum_%'")" 0
is "no source failed in all this" "$(sql -c "SELECT count(*) FROM perfopt.source_status WHERE state = 'failing'")" 0

done_testing
