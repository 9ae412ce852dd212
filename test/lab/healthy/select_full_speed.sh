# shellcheck shell=bash disable=SC2034,SC2154
# Look-ups by primary key as fast as they go: busy processors and one statement are true of that.
expect='' beside='cpu_saturation|top_statement'
plant()
{
	client 4 -M prepared <<'SQL'
\set i random(1, 20000)
SELECT name FROM shop.customer WHERE customer_id = :i;
SQL
}
remove() { :; }
