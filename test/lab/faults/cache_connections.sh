# shellcheck shell=bash disable=SC2034,SC2154
# More clients than the cache lets in.
expect=cache_connections category=cache strength=strong
entity='^cache$'
beside='cache_down'
hold()
{
	local i fd

	for ((i = 0; i < 30; i++)); do
		exec {fd}<>"/dev/tcp/127.0.0.1/${REDIS_PORT[cache]}" || true
		sleep 0.1
	done
	sleep 600
}
plant()
{
	cache config set maxclients 12
	in_background hold
}
remove()
{
	sleep 1
	cache config set maxclients 1000
}
