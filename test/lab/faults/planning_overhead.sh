# shellcheck shell=bash disable=SC2034,SC2154
# A view of many joins that is planned anew each time to read one row.
expect=planning_overhead category=cpu strength=strong
entity='shop\.item'
beside='top_statement|cpu_saturation'
plant()
{
	client 2 <<'SQL'
\set i random(1, 1000)
SELECT a.name FROM shop.item a JOIN shop.item b USING (item_id) JOIN shop.item c USING (item_id) JOIN shop.item d USING (item_id) JOIN shop.item e USING (item_id) JOIN shop.item f USING (item_id) JOIN shop.item g USING (item_id) WHERE a.item_id = :i;
SQL
}
remove() { :; }
