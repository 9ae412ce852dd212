# shellcheck shell=bash disable=SC2034,SC2154
# All update the same row, and each keeps it for a tenth of a second.
expect=lock_contention category=database strength=strong
entity='shop\.stock'
beside='top_statement'
plant()
{
	client 8 <<'SQL'
BEGIN;
UPDATE shop.stock SET quantity = quantity - 1 WHERE stock_id = 1;
SELECT pg_sleep(0.1);
END;
SQL
}
remove() { :; }
