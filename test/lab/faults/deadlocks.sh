# shellcheck shell=bash disable=SC2034,SC2154
# Two applications that lock the same rows in opposite order.
expect=deadlocks category=database strength=light
entity='postgres'
beside='lock_contention|rollback_ratio|top_statement'
update() { printf "BEGIN; UPDATE shop.stock SET quantity = 1 WHERE stock_id = %s; SELECT pg_sleep(0.1); UPDATE shop.stock SET quantity = 1 WHERE stock_id = %s; END;" "$1" "$2"; }
plant()
{
	repeat 0.1 cluster_env lab psql -Xq -c "$(update 3 4)"
	repeat 0.1 cluster_env lab psql -Xq -c "$(update 4 3)"
}
remove() { :; }
