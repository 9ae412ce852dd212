# shellcheck shell=bash disable=SC2034,SC2154
# An application that takes back most of what it does. (The rule waits for five minutes of that.)
expect=rollback_ratio category=database strength=light
entity='database postgres'
beside='top_statement|cpu_saturation'
plant()
{
	limit rollback_ratio seconds 10
	client 1 -R 50 <<'SQL'
BEGIN;
UPDATE shop.stock SET quantity = quantity - 1 WHERE stock_id = 5;
ROLLBACK;
SQL
}
remove() { :; }
