# shellcheck shell=bash disable=SC2034,SC2154
# pgbench's own workload as fast as one session goes, on tables that fit into memory; its commits wait for the disk.
expect='' beside='cpu_saturation|top_statement|wal_sync'
plant() { in_background cluster_env lab env PGAPPNAME=lab_fault pgbench -n -M prepared -c 1 -T 600; }
remove() { :; }
