# shellcheck shell=bash disable=SC2034,SC2154
# The same index twice. (A small one is worth knowing, no more.)
expect=duplicate_index category=database strength=light
entity='shop\.orders_customer_id_(idx|again)'
beside='top_statement'
plant() { ask 'CREATE INDEX orders_customer_id_again ON shop.orders (customer_id)'; }
remove() { ask 'DROP INDEX shop.orders_customer_id_again'; }
