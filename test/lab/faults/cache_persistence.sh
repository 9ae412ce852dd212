# shellcheck shell=bash disable=SC2034,SC2154
# The cache cannot write where it saves its data.
expect=cache_persistence category=cache strength=strong
entity='^cache$'
beside=''
plant()
{
	as_server_user chmod 500 "${REDIS_DIR[cache]}"
	cache set key value
	cache bgsave
}
remove()
{
	as_server_user chmod 700 "${REDIS_DIR[cache]}"
	cache bgsave
}
