# shellcheck shell=bash disable=SC2034,SC2154
# Half a million rows are loaded and indexed. One statement, and its volume of WAL, are true of that.
expect='' beside='cpu_saturation|top_statement|wal_sync|backend_writes'
plant()
{
	session <<'SQL'
CREATE TABLE shop.loaded AS SELECT g AS n, md5(g::text) AS t FROM generate_series(1, 500000) g;
CREATE INDEX ON shop.loaded (n);
SQL
}
remove() { ask 'DROP TABLE shop.loaded'; }
