# shellcheck shell=bash disable=SC2034,SC2154
# One such sort each two seconds.
expect=work_mem_spill category=memory strength=light
entity='.'
beside='top_statement|cpu_saturation'
plant()
{
	client 1 -R 0.5 <<'SQL'
SET work_mem = '64kB';
SELECT count(*) FROM (SELECT * FROM shop.orders ORDER BY reference, amount OFFSET 0) o;
SQL
}
remove() { :; }
