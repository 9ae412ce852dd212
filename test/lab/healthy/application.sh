# shellcheck shell=bash disable=SC2034,SC2154
# An application in step with other systems, as perfopt's load tests have it.
expect='' beside='cpu_saturation|top_statement|wal_sync'
plant() { ask "SELECT perfopt.start_test('{\"users\": 4, \"duration\": \"${seconds} s\", \"scenario\": \"integration\"}'::jsonb)" >/dev/null; }
remove() { cluster_wait_for lab 20 "SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type LIKE 'perfopt load%'" || true; }
