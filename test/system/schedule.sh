#!/bin/bash
#
# A weekly analysis by a real pg_cron: it is scheduled, replaced, runs, and is taken off.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/../lib/tap.sh"

cluster_start main "shared_preload_libraries = 'perfopt,pg_cron'" "cron.database_name = 'postgres'" \
	"cron.use_background_workers = on" "max_worker_processes = 20"
sql() { cluster_psql main -At "$@"; }

sql -c 'CREATE EXTENSION perfopt' -c 'CREATE EXTENSION pg_cron'
is "nothing is scheduled at first" "$(sql -c 'SELECT perfopt.unschedule_analysis()')" f
sql -c 'SELECT perfopt.schedule_analysis()' >/dev/null
is "weekly, of a week" "$(sql -c 'SELECT schedule, command FROM cron.job')" "0 3 * * 0|SELECT perfopt.analyze('7 days')"
sql -c "SELECT perfopt.schedule_analysis('* * * * *', '1 hour')" >/dev/null
is "another schedule replaces it" "$(sql -c 'SELECT schedule, command FROM cron.job')" "* * * * *|SELECT perfopt.analyze('01:00:00')"
like "words that cron does not know are an error" "$(sql -c "SELECT perfopt.schedule_analysis('soon')" 2>&1 || true)" 'invalid schedule'
ok "pg_cron runs it" cluster_wait_for main 90 'SELECT count(*) > 0 FROM perfopt.analysis'
is "it is taken off" "$(sql -c 'SELECT perfopt.unschedule_analysis()' -c 'SELECT count(*) FROM cron.job')" "t
0"
done_testing
