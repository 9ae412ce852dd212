# shellcheck shell=bash disable=SC2034,SC2154
# A transaction keeps its snapshot while thousands pass. (The rule waits for 50 million.)
expect=xmin_horizon_held category=database strength=light
entity='.'
beside='top_statement|cpu_saturation|wal_sync'
plant()
{
	limit xmin_horizon_held age 500
	session <<'SQL'
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT count(*) FROM shop.item;
SELECT pg_sleep(60);
SQL
	client 1 -R 300 <<'SQL'
\set i random(1, 1000)
UPDATE shop.item SET price = price + 1 WHERE item_id = :i;
SQL
}
remove() { :; }
