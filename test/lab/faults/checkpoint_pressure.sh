# shellcheck shell=bash disable=SC2034,SC2154
# So much WAL for so small a max_wal_size that one checkpoint follows the other.
expect=checkpoint_pressure category=disk strength=light
entity='max_wal_size = 32 MB'
beside='top_statement|cpu_saturation|wal_sync|backend_writes|stale_statistics|autovacuum_lag'
plant()
{
	configure max_wal_size 32MB
	client 2 <<'SQL'
\set o random(1, 190000)
UPDATE shop.orders SET amount = amount + 1 WHERE order_id BETWEEN :o AND :o + 200;
SQL
}
remove() { configure_back max_wal_size; }
