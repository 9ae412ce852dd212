# shellcheck shell=bash disable=SC2034,SC2154
# CREATE INDEX CONCURRENTLY failed and left its ruin behind.
expect=invalid_index category=database strength=strong
entity='shop\.orders_customer_id_unique'
beside='top_statement'
plant() { ask 'CREATE UNIQUE INDEX CONCURRENTLY orders_customer_id_unique ON shop.orders (customer_id)' 2>/dev/null || true; }
remove() { ask 'DROP INDEX shop.orders_customer_id_unique'; }
