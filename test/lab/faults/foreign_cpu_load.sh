# shellcheck shell=bash disable=SC2034,SC2154
# Other programs on the same machine take its processors.
expect=foreign_cpu_load category=cpu strength=strong
entity='processes outside the server'
beside='top_statement|cpu_saturation'
spin() { while :; do :; done; }
plant()
{
	local i

	for ((i = 0; i < 3 * $(nproc); i++)); do in_background spin; done
	client 1 <<'SQL'
SELECT sum(sqrt(g)) FROM generate_series(1, 20000) g;
SQL
}
remove() { :; }
