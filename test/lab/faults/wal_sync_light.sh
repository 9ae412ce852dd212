# shellcheck shell=bash disable=SC2034,SC2154
# The same with one session.
expect=wal_sync category=disk strength=light
entity='pg_wal'
beside='top_statement'
plant()
{
	slow_syncs 5000
	client 1 -R 50 <<'SQL'
\set c random(1, 20000)
UPDATE shop.customer SET balance = balance + 1 WHERE customer_id = :c;
SQL
}
remove() { slow_syncs 0; }
