# shellcheck shell=bash disable=SC2034,SC2154
# More keys than the cache has memory for.
expect=cache_eviction category=cache strength=strong
entity='^cache$'
beside='cache_low_hit_ratio'
plant()
{
	cache config set maxmemory 8mb
	cache config set maxmemory-policy allkeys-lru
	repeat 0.2 cache_commands 2000 1000000000 -d 2000 SET 'key:__rand_int__' "$(head -c 2000 /dev/zero | tr '\0' x)"
}
remove()
{
	cache config set maxmemory 0
	cache flushall
}
