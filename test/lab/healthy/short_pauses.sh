# shellcheck shell=bash disable=SC2034,SC2154
# Transactions in which the client thinks for a moment, on rows of their own.
expect='' beside='top_statement'
plant()
{
	client 4 <<'SQL'
BEGIN;
UPDATE shop.stock SET quantity = quantity - 1 WHERE stock_id = 100 + :client_id;
\sleep 50 ms
SELECT quantity FROM shop.stock WHERE stock_id = 100 + :client_id;
END;
SQL
}
remove() { :; }
