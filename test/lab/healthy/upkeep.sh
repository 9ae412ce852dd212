# shellcheck shell=bash disable=SC2034,SC2154
# What an administrator does at night: an index anew, VACUUM, ANALYZE.
expect='' beside='cpu_saturation|top_statement|wal_sync'
plant()
{
	session <<'SQL'
REINDEX INDEX CONCURRENTLY shop.orders_customer_id_idx;
VACUUM ANALYZE shop.orders;
SQL
}
remove() { :; }
