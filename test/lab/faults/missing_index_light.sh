# shellcheck shell=bash disable=SC2034,SC2154
# A column without an index that is looked up once in a while.
expect=missing_index category=database strength=light
entity='shop\.orders.*reference'
beside='top_statement'
plant()
{
	client 1 -R 15 <<'SQL'
\set r random(1, 200000)
SELECT order_id FROM shop.orders WHERE reference = 'R' || :r;
SQL
}
remove() { :; }
