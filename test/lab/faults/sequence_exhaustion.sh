# shellcheck shell=bash disable=SC2034,SC2154
# Most numbers of a serial column of type integer are used up.
expect=sequence_exhaustion category=database strength=strong
entity='shop\.ticket_ticket_id_seq'
beside=''
plant() { ask "SELECT setval('shop.ticket_ticket_id_seq', 2040000000)" >/dev/null; }
remove() { ask "SELECT setval('shop.ticket_ticket_id_seq', 1)" >/dev/null; }
