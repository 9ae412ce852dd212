#!/bin/bash
#
# pgbench's own scripts, as pgbench prints them, over the tables that pgbench makes: they must run without an error,
# and leave the tables in the state that pgbench leaves them in. In what TPC-B does to them, all sums are equal.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/../lib/tap.sh"

cluster_start main "shared_preload_libraries = 'perfopt'"
sql() { cluster_psql main -At "$@"; }
bench() { cluster_env main pgbench "$@"; }
sql -c 'CREATE EXTENSION perfopt'

# sums: whether all deltas are in all tables, and how many rows the history has.
sums()
{
	sql -c "SELECT (SELECT sum(abalance) FROM pgbench_accounts) = coalesce(sum(delta), 0),
		(SELECT sum(tbalance) FROM pgbench_tellers) = coalesce(sum(delta), 0),
		(SELECT sum(bbalance) FROM pgbench_branches) = coalesce(sum(delta), 0),
		count(*), bool_and(abs(delta) <= 5000), bool_and(aid BETWEEN 1 AND 200000), bool_and(tid BETWEEN 1 AND 20), bool_and(bid BETWEEN 1 AND 2)
		FROM pgbench_history"
}

# imported SCRIPT WEIGHT: one of pgbench's, into the scenario bench.
imported()
{
	bench --show-script="$1" 2>&1 >/dev/null |
		sql -v weight="$2" -v script="$(cat)" -f - <<<"SELECT perfopt.import_pgbench_script('bench', :'script', :weight)"
}

is "pgbench has the scripts that are tested" "$(bench -b list 2>&1 | sed -n 's/^ *\([a-z-]*\): .*/\1/p' | xargs)" "tpcb-like simple-update select-only"
bench -i -s 2 -q >/dev/null 2>&1

is "TPC-B is imported" "$(imported tpcb-like 1)" tpcb-like
report=$(sql -c "SELECT calls > 0, errors FROM perfopt.load_test(users => 4, duration => '2 s', scenario => 'bench', options => '{\"progress\": 0}') WHERE operation = 'tpcb-like'")
is "it runs without errors" "$report" "t|0"
run=$(sql -c "SELECT max(run_id) FROM perfopt.test_run")
after=$(sums)
is "all sums are equal, and values in their ranges" "$(cut -d'|' -f1-3,5- <<<"$after")" "t|t|t|t|t|t|t"
is "a row of history for each call" "$(sql -c "SELECT abs($(cut -d'|' -f4 <<<"$after") - sum(calls)) <= 4 FROM perfopt.test_interval WHERE run_id = $run")" t

# pgbench goes on over the same tables with the same result.
bench -n -t 50 -c 4 >/dev/null 2>&1
later=$(sums)
is "and after pgbench itself too" "$(cut -d'|' -f1-3,5- <<<"$later")" "t|t|t|t|t|t|t"
is "which has made its own rows" "$(($(cut -d'|' -f4 <<<"$later") - $(cut -d'|' -f4 <<<"$after")))" 200

# All three together, by each protocol.
is "so is the simple update" "$(imported simple-update 2)" simple-update
is "and selects" "$(imported select-only 5)" select-only
for protocol in prepared extended simple pipeline; do
	is "$protocol: all run without errors" "$(sql -c "SELECT string_agg(operation, ' ' ORDER BY operation) || bool_and(calls > 0) || sum(errors)
		FROM perfopt.load_test(users => 4, duration => '2 s', scenario => 'bench', options => '{\"progress\": 0, \"protocol\": \"$protocol\"}')
		WHERE operation <> 'total'")" "select-only simple-update tpcb-like""true""0"
done
is "accounts have all deltas" "$(sums | cut -d'|' -f1)" t
is "tellers and branches each have those of TPC-B" "$(sql -c "SELECT (SELECT sum(tbalance) FROM pgbench_tellers) = (SELECT sum(bbalance) FROM pgbench_branches)")" t
like "in proportion to the weights" "$(sql -c "SELECT round(max(calls) FILTER (WHERE operation = 'select-only') / max(calls) FILTER (WHERE operation = 'tpcb-like')::numeric)
	FROM perfopt.test_report((SELECT max(run_id) FROM perfopt.test_run))")" '^[456]$'

# A script of one's own, with what -D sets.
cat >"${CLUSTER_DIR[main]}/own.sql" <<'END'
-- accounts of one branch
\set low (:branch - 1) * :accounts + 1
\set aid random_zipfian(:low, :low + :accounts - 1, 1.2)
BEGIN;
SELECT abalance AS before FROM pgbench_accounts WHERE aid = :aid;
\gset
\if :before > :limit
UPDATE pgbench_accounts SET abalance = :limit WHERE aid = :aid;
\else
UPDATE pgbench_accounts SET abalance = abalance + :step WHERE aid = :aid;
\endif
COMMIT;
END
ok "pgbench runs it" bench -n -t 10 -c 2 -D branch=2 -D accounts=100000 -D limit=100 -D step=7 -M prepared -f "${CLUSTER_DIR[main]}/own.sql"
is "it is imported with values for -D" "$(sql -v script="$(cat "${CLUSTER_DIR[main]}/own.sql")" -f - <<<"SELECT perfopt.import_pgbench_script('own', :'script', 1, '{\"branch\": 2, \"accounts\": 100000, \"limit\": 100, \"step\": 7}')")" script1
sql -c "UPDATE pgbench_accounts SET abalance = 0"
is "and runs without errors" "$(sql -c "SELECT calls > 0, errors FROM perfopt.load_test(users => 2, duration => '2 s', scenario => 'own', options => '{\"progress\": 0, \"retries\": 100}') WHERE operation = 'script1'")" "t|0"
is "over the accounts of that branch" "$(sql -c "SELECT min(aid) > 100000, max(abalance) <= 100 + 2 * 7, bool_or(abalance % 7 = 0) FROM pgbench_accounts WHERE abalance <> 0")" "t|t|t"
done_testing
