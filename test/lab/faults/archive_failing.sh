# shellcheck shell=bash disable=SC2034,SC2154
# The command that archives WAL fails.
expect=archive_failing category=disk strength=strong
entity='archive'
beside='wal_sync'
plant()
{
	configure archive_command false
	ask 'CREATE TABLE shop.a (n int)' -c 'DROP TABLE shop.a' -c 'SELECT pg_switch_wal()' >/dev/null
}
remove() { configure_back archive_command; }
