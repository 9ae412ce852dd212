# shellcheck shell=bash disable=SC2034,SC2154
# Three who meet at the same row now and then.
expect=lock_contention category=database strength=light
entity='shop\.stock'
beside='top_statement'
plant()
{
	client 3 <<'SQL'
\set pause random(50, 250)
BEGIN;
UPDATE shop.stock SET quantity = quantity - 1 WHERE stock_id = 1;
SELECT pg_sleep(0.1);
END;
\sleep :pause ms
SQL
}
remove() { :; }
