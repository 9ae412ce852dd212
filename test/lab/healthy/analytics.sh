# shellcheck shell=bash disable=SC2034,SC2154
# A report over all rows, in enough memory.
expect='' beside='cpu_saturation|top_statement'
plant()
{
	client 1 <<'SQL'
SET work_mem = '64MB';
SELECT c.customer_id % 100, count(*), sum(o.amount) FROM shop.orders o JOIN shop.customer c USING (customer_id) GROUP BY 1 ORDER BY 3 DESC;
SQL
}
remove() { :; }
