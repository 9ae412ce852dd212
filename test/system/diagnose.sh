#!/bin/bash
# A dump carries the thresholds of findings that somebody changed, and no others; and a window that reaches back
# further than samples are kept says from when on it is covered.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/../lib/tap.sh"

cluster_start main "shared_preload_libraries = 'perfopt'" "perfopt.retention_raw = '1h'" "perfopt.collect_interval = '1s'"
sql() { cluster_psql main -At "$@"; }
sql -c "CREATE EXTENSION perfopt" -c "UPDATE perfopt.finding_setting SET value = 0.5 WHERE finding = 'lock_contention' AND name = 'warning_aas'" \
	-c "UPDATE perfopt.finding_setting SET value = default_value WHERE finding = 'deadlocks'"
dir=${CLUSTER_DIR[main]}
facts() { sql -d "$1" -c "SELECT finding, name, value, default_value, set_by, set_at FROM perfopt.finding_setting ORDER BY 1, 2"; }
cluster_env main pg_dump -f "$dir/dump.sql" postgres
is "one threshold is in the dump" "$(sed -n '/^COPY perfopt.finding_setting/,/^\\\./p' "$dir/dump.sql" | grep -c '^lock_contention')" 1
is "and no other" "$(sed -n '/^COPY perfopt.finding_setting/,/^\\\./p' "$dir/dump.sql" | wc -l)" 3
sql -c "CREATE DATABASE restored"
cluster_env main psql -X -q -v ON_ERROR_STOP=1 -d restored -f "$dir/dump.sql" >"$dir/restored" 2>&1 || diag "$(tail -n 5 "$dir/restored")"
is "restored, each is as it was" "$(facts restored)" "$(facts postgres)"

# A version that no longer has a threshold takes the dump nevertheless.
sed 's/^lock_contention\twarning_aas/lock_contention\tgone/' "$dir/dump.sql" >"$dir/older.sql"
sql -c "CREATE DATABASE newer"
cluster_env main psql -X -q -v ON_ERROR_STOP=1 -d newer -f "$dir/older.sql" >"$dir/restored" 2>&1 || diag "$(tail -n 5 "$dir/restored")"
is "a threshold that is gone is left out" "$(sql -d newer -c "SELECT count(*), count(set_by) FROM perfopt.finding_setting")" \
	"$(sql -c "SELECT count(*), 0 FROM perfopt.finding_setting")"

sql -c "SELECT perfopt.collect_now()" >/dev/null
like "a window longer than what is kept says what it covers" "$(sql -c "SELECT count(*) FROM perfopt.bottlenecks('1 day')" 2>&1)" "covered from 20"
unlike "one that is kept says nothing" "$(sql -c "SELECT count(*) FROM perfopt.bottlenecks('30 min')" 2>&1)" "NOTICE"
done_testing
