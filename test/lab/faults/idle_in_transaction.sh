# shellcheck shell=bash disable=SC2034,SC2154
# An application updates a row and thinks for a quarter of a minute before it commits.
expect=idle_in_transaction category=database strength=strong
entity='^pid [0-9]+ \(role postgres\)$'
beside='top_statement|lock_contention'
plant()
{
	session <<'SQL'
BEGIN;
UPDATE shop.stock SET quantity = quantity - 1 WHERE stock_id = 2;
\! sleep 15
SQL
	client 4 <<'SQL'
UPDATE shop.stock SET quantity = quantity - 1 WHERE stock_id = 2;
\sleep 50 ms
SQL
}
remove() { :; }
