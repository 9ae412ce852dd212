# shellcheck shell=bash disable=SC2034,SC2154
# Two who meet at the same row now and then.
expect=lock_contention category=database strength=light
entity='shop\.stock'
beside='top_statement'
plant()
{
	client 2 <<'SQL'
BEGIN;
UPDATE shop.stock SET quantity = quantity - 1 WHERE stock_id = 1;
SELECT pg_sleep(0.1);
END;
\sleep 100 ms
SQL
}
remove() { :; }
