# shellcheck shell=bash disable=SC2034,SC2154
# Rows are drawn from a table that is many times larger than shared_buffers, from a disk that takes a while.
expect=shared_buffers_pressure category=memory strength=strong
entity='shared_buffers = 64 MB'
beside='top_statement|cpu_saturation'
plant()
{
	slow_reads 300
	client 6 -M prepared <<'SQL'
\set o random(1, 300000)
SELECT filler FROM shop.wide WHERE wide_id = :o;
SQL
}
remove() { slow_reads 0; }
