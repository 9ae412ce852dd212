# shellcheck shell=bash disable=SC2034,SC2154
# Somebody forbids the plans by which the background's statement has been fast.
expect=plan_regression category=database strength=strong
entity='shop\.orders'
beside='top_statement|cpu_saturation'
plant()
{
	ask 'ALTER DATABASE postgres SET enable_indexscan = off' -c 'ALTER DATABASE postgres SET enable_bitmapscan = off'
	client 4 <<'SQL'
\set c random(1, 20000)
SELECT sum(amount) FROM shop.orders WHERE customer_id = :c;
SQL
}
remove() { ask 'ALTER DATABASE postgres RESET enable_indexscan' -c 'ALTER DATABASE postgres RESET enable_bitmapscan'; }
