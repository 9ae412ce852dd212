# shellcheck shell=bash disable=SC2034,SC2154
# New entities that no external system gets to know.
expect=mapping_gaps category=external strength=strong
entity='dataset integration'
beside=''
plant() { ask "INSERT INTO integration.entity (kind, name, status) SELECT 'customer', 'unmapped ' || g, 'active' FROM generate_series(1, 300) g"; }
remove() { ask "DELETE FROM integration.entity WHERE name LIKE 'unmapped %'"; }
