# shellcheck shell=bash disable=SC2034,SC2154
# More clients than the cache lets in.
expect=cache_connections category=cache strength=strong
entity='^cache$'
beside='cache_down'
# They come in waves: who looks at the cache is refused as well while one lasts.
wave()
{
	local i fd fds=()

	for ((i = 0; i < 30; i++)); do
		exec {fd}<>"/dev/tcp/127.0.0.1/${REDIS_PORT[cache]}" || true
		fds+=("$fd")
	done
	sleep 1
	for fd in "${fds[@]}"; do exec {fd}>&-; done
}
plant()
{
	cache config set maxclients 12
	repeat 2 wave
}
remove()
{
	sleep 1
	cache config set maxclients 1000
}
