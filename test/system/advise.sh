#!/bin/bash
#
# Recommendations through pg_dump and restore: states, history and plans are there, and numbers go on.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/../lib/tap.sh"

cluster_start main "shared_preload_libraries = 'perfopt'"
sql() { cluster_psql main -At "$@"; }
dump=${CLUSTER_DIR[main]}/dump.sql

sql -c 'CREATE EXTENSION perfopt' -c "INSERT INTO perfopt.analysis
	(analyzed_by, since, until, covered_seconds, aas, db_seconds, samples, cores, server_version, perfopt_version)
	VALUES ('test', '2020-01-01', '2020-01-01 00:15', 900, 2, 1800, 1000, 4, '15', '0')" -c "INSERT INTO perfopt.recommendation
	(analysis_id, rank, category, finding, title, action_sql, revert_sql, effort_hours, risk, confidence, entity, rationale, score)
	VALUES (1, 1, 'memory', 'f', 'Do it', 'ALTER SYSTEM SET work_mem = ''5MB''', 'ALTER SYSTEM RESET work_mem', 1, 'low', 1, 'x', 'r', 1)" \
	-c 'SELECT perfopt.accept_recommendation(1)' -c "INSERT INTO perfopt.cost_rate VALUES ('vcpu', 25, 'EUR')" >/dev/null
plan=$(sql -c 'SELECT * FROM perfopt.implementation_plan(1)')
cluster_env main pg_dump -f "$dump" postgres
sql -c 'CREATE DATABASE restored'
export PGDATABASE=restored
sql -f "$dump" >/dev/null
is "the state is there" "$(sql -c 'SELECT state FROM perfopt.recommendation')" accepted
is "with its history" "$(sql -c 'SELECT from_state, to_state FROM perfopt.recommendation_history')" 'proposed|accepted'
is "and its plan" "$(sql -c 'SELECT * FROM perfopt.implementation_plan(1)')" "$plan"
is "and prices" "$(sql -c 'SELECT price FROM perfopt.cost_rate')" 25
ok "numbers go on" sql -c 'SELECT perfopt.dismiss_recommendation(1)' -c 'SELECT perfopt.analyze()'
done_testing
