# shellcheck shell=bash disable=SC2034,SC2154
# More sessions that compute than there are cores.
expect=cpu_saturation category=cpu strength=strong
entity='cores'
beside='top_statement'
plant()
{
	client $((3 * $(nproc))) <<'SQL'
SELECT sum(sqrt(g)) FROM generate_series(1, 100000) g;
SQL
}
remove() { :; }
