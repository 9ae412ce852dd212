#!/bin/bash
#
# Jobs of pg_cron: runs and failures are counted once each, also when a run takes longer than a cycle,
# and the source says what is lacking where there is no pg_cron.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/../lib/tap.sh"

cluster_start main "shared_preload_libraries = 'perfopt,pg_cron'" "perfopt.collect_interval = 1h" \
	"cron.database_name = 'postgres'" "cron.use_background_workers = on" "max_worker_processes = 20"
sql() { cluster_psql main -At "$@"; }
collect() { sql -c 'SELECT perfopt.collect_now()' >/dev/null; }
total() { sql -c "SELECT coalesce(sum(value), 0) FROM perfopt.sample WHERE metric = '$1' AND labels = '{\"job\": \"$2\"}'"; }
ran() { collect && [ "$(total "$1" "$2")" -ge "$3" ]; }

sql -c 'CREATE EXTENSION perfopt'
collect
like "without pg_cron the source says how to get it" \
	"$(sql -c "SELECT state || ': ' || last_error FROM perfopt.source_status WHERE source = 'cron'")" '^absent: .*CREATE EXTENSION pg_cron'
is "that is no error" "$(sql -c "SELECT errors FROM perfopt.source_status WHERE source = 'cron'")" 0

# Each minute is the shortest that pg_cron 1.4 knows, so the runs of these jobs are written down as it
# would, and one is left to itself.
sql -c 'CREATE EXTENSION pg_cron' -c "SELECT cron.schedule('real', '* * * * *', 'SELECT 1')" \
	-c "SELECT cron.schedule('tried', '0 0 1 1 *', 'SELECT 1/0')" >/dev/null
run() { sql -c "INSERT INTO cron.job_run_details (jobid, runid, status, start_time, end_time)
	SELECT jobid, nextval('cron.runid_seq'), '$1', now() - interval '2 s', $2 FROM cron.job WHERE jobname = 'tried' RETURNING runid"; }
run succeeded 'now()' >/dev/null
collect
is "what ran before is not counted" "$(total pg_cron_job_runs_total tried)" 0

run succeeded 'now()' >/dev/null
run failed 'now()' >/dev/null
long=$(run running NULL)
collect
is "runs that ended are counted" "$(total pg_cron_job_runs_total tried)" 2
is "and those that failed" "$(total pg_cron_job_failures_total tried)" 1
is "with the duration of the latest" "$(sql -c "SELECT value FROM perfopt.sample WHERE metric = 'pg_cron_job_duration_seconds' AND labels = '{\"job\": \"tried\"}'")" 2
collect
is "each once" "$(total pg_cron_job_runs_total tried)" 2

run succeeded 'now()' >/dev/null
sql -c "UPDATE cron.job_run_details SET status = 'failed', end_time = now() WHERE runid = $long"
collect
is "one that took longer is counted when it has ended" "$(total pg_cron_job_runs_total tried)" 4
is "as what it became" "$(total pg_cron_job_failures_total tried)" 2
collect
is "once" "$(total pg_cron_job_runs_total tried)" 4
sql -c 'DELETE FROM cron.job_run_details' >/dev/null
run failed 'now()' >/dev/null
collect
is "history that is purged does no harm" "$(total pg_cron_job_failures_total tried)" 3

ok "a job that pg_cron runs is counted" wait_until 100 ran pg_cron_job_runs_total real 1
is "and did not fail" "$(total pg_cron_job_failures_total real)" 0
is "no source failed" "$(sql -c "SELECT count(*) FROM perfopt.source_status WHERE state = 'failing'")" 0
sql -c 'DROP EXTENSION pg_cron'
collect
is "dropped, it is absent again" "$(sql -c "SELECT state FROM perfopt.source_status WHERE source = 'cron'")" absent

done_testing
