# shellcheck shell=bash disable=SC2034,SC2154
# Sorts that have no room in memory.
expect=work_mem_spill category=memory strength=strong
entity='shop\.orders'
beside='top_statement|cpu_saturation|temp_io'
plant()
{
	client 1 <<'SQL'
SET work_mem = '64kB';
SELECT count(*) FROM (SELECT * FROM shop.orders ORDER BY reference, amount OFFSET 0) o;
SQL
}
remove() { :; }
