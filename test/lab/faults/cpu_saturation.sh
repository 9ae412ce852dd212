# shellcheck shell=bash disable=SC2034,SC2154
# More sessions that compute than there are cores, each something else.
expect=cpu_saturation category=cpu strength=strong
entity='cores'
beside='top_statement'
plant()
{
	local what

	for what in 'sum(sqrt(g))' 'avg(ln(g))' 'max(g % 7)' 'count(g)' 'min(g * 3)' 'stddev(g)'; do
		client "$(nproc)" <<<"SELECT $what FROM generate_series(1, 20000) g;"
	done
}
remove() { :; }
