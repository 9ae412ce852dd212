# shellcheck shell=bash disable=SC2034,SC2154
# Look-ups of what is not in the cache, and the database asked instead.
expect=cache_low_hit_ratio category=cache strength=strong
entity='^cache$'
beside='top_statement'
plant()
{
	repeat 0.4 cache_commands 500 1000000000 GET 'nothing:__rand_int__'
	client 2 -R 50 <<'SQL'
\set o random(1, 290000)
SELECT max(filler) FROM shop.wide WHERE wide_id BETWEEN :o AND :o + 5000;
SQL
}
remove() { :; }
