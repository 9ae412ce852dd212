# shellcheck shell=bash disable=SC2034,SC2154
# The index behind a foreign key is gone; many look up rows by it.
expect=missing_index category=database strength=strong
entity='shop\.orders.*customer_id'
beside='top_statement|cpu_saturation|plan_regression'
plant()
{
	ask 'DROP INDEX shop.orders_customer_id_idx'
	client 3 <<'SQL'
\set c random(1, 20000)
SELECT sum(amount) FROM shop.orders WHERE customer_id = :c;
SQL
}
remove() { ask 'CREATE INDEX orders_customer_id_idx ON shop.orders (customer_id)'; }
