# shellcheck shell=bash disable=SC2034,SC2154
# A disk that takes long to sync, and many small transactions.
expect=wal_sync category=disk strength=strong
entity='pg_wal'
beside='top_statement'
plant()
{
	slow_syncs 10000
	client 4 <<'SQL'
\set c random(1, 20000)
UPDATE shop.customer SET balance = balance + 1 WHERE customer_id = :c;
SQL
}
remove() { slow_syncs 0; }
