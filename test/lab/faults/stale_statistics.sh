# shellcheck shell=bash disable=SC2034,SC2154
# Half of a table is new and nobody gathers its statistics. (The rule waits for five minutes of that.)
expect=stale_statistics category=database strength=strong
entity='shop\.archive'
beside='top_statement'
plant()
{
	limit stale_statistics seconds 5
	ask 'CREATE TABLE shop.archive (n int) WITH (autovacuum_enabled = off)' -c 'INSERT INTO shop.archive SELECT g FROM generate_series(1, 40000) g' \
		-c 'ANALYZE shop.archive' -c 'INSERT INTO shop.archive SELECT g FROM generate_series(1, 40000) g'
}
remove() { ask 'DROP TABLE shop.archive'; }
