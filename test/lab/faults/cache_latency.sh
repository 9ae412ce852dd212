# shellcheck shell=bash disable=SC2034,SC2154
# Scripts that keep the cache busy for tens of milliseconds each.
expect=cache_latency category=cache strength=strong
entity='^cache$'
beside=''
plant() { repeat 0.5 cache eval 'local n = 0 for i = 1, 3000000 do n = n + i end return n' 0; }
remove() { :; }
