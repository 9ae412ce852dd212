# shellcheck shell=bash disable=SC2034,SC2154
# A hundred megabytes are loaded and indexed. One statement, and its volume of WAL, are true of that.
expect='' beside='cpu_saturation|top_statement|wal_sync|backend_writes'
plant()
{
	session <<'SQL'
CREATE TABLE shop.loaded AS SELECT wide_id AS n, filler FROM shop.wide;
CREATE INDEX ON shop.loaded (n);
SQL
}
remove() { ask 'DROP TABLE shop.loaded'; }
