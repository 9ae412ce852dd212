# shellcheck shell=bash disable=SC2034,SC2154
# A connection for each statement.
expect=connection_churn category=database strength=light
entity='connections'
beside='cpu_saturation|top_statement'
plant()
{
	client 2 -C -R 40 <<'SQL'
\set i random(1, 1000)
SELECT price FROM shop.item WHERE item_id = :i;
SQL
}
remove() { :; }
