# shellcheck shell=bash disable=SC2034,SC2154
# A cache that has what it is asked for.
expect='' beside=''
plant()
{
	cache_commands 5000 200 SET 'known:__rand_int__' value
	repeat 0.3 cache_commands 1000 200 GET 'known:__rand_int__'
}
remove() { :; }
