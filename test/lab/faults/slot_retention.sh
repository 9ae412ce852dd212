# shellcheck shell=bash disable=SC2034,SC2154
# A replication slot that nobody reads from. (The rule waits for 10 GiB.)
expect=slot_retention category=database strength=strong
entity='slot forgotten'
beside='top_statement|wal_sync|cpu_saturation'
plant()
{
	limit slot_retention gib 0.02
	ask "SELECT pg_create_physical_replication_slot('forgotten', true)" >/dev/null
	ask 'CREATE TABLE shop.load AS SELECT g AS n, repeat(md5(g::text), 6) AS t FROM generate_series(1, 200000) g'
}
remove() { ask "SELECT pg_drop_replication_slot('forgotten')" -c 'DROP TABLE shop.load' >/dev/null; }
