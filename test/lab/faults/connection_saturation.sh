# shellcheck shell=bash disable=SC2034,SC2154
# A pool that is too large: nine tenths of the connections are taken, and do next to nothing.
expect=connection_saturation category=database strength=strong
entity='max_connections = 60'
beside='connection_churn'
plant()
{
	client 51 <<'SQL'
SELECT 1;
\sleep 5 s
SQL
}
remove() { :; }
