# shellcheck shell=bash disable=SC2034,SC2154
# A report reads a table, ALTER TABLE waits for it, and everybody else waits behind ALTER TABLE.
expect=ddl_lock_queue category=database strength=strong
entity='shop\.item'
beside='lock_contention|top_statement'
plant()
{
	session <<'SQL'
BEGIN;
SELECT count(*) FROM shop.item;
SELECT pg_sleep(14);
SQL
	session <<'SQL'
SELECT pg_sleep(1);
ALTER TABLE shop.item ADD COLUMN IF NOT EXISTS note text;
SQL
	client 4 <<'SQL'
\set i random(1, 1000)
SELECT price FROM shop.item WHERE item_id = :i;
\sleep 20 ms
SQL
}
remove() { :; }
