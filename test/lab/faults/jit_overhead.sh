# shellcheck shell=bash disable=SC2034,SC2154
# Just-in-time compilation of queries that are over sooner than it is.
expect=jit_overhead category=cpu strength=strong
entity='shop\.item'
beside='top_statement|cpu_saturation'
plant()
{
	client 2 <<'SQL'
SET jit = on;
SET jit_above_cost = 0;
SET jit_inline_above_cost = 0;
SET jit_optimize_above_cost = 0;
SELECT avg(price), sum(price * 2), max(name), min(length(name)) FROM shop.item WHERE price > 3 AND name LIKE 'i%';
SQL
}
remove() { :; }
