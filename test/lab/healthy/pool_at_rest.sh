# shellcheck shell=bash disable=SC2034,SC2154
# A pool of a size that fits, mostly idle.
expect='' beside=''
plant()
{
	client 20 <<'SQL'
SELECT 1;
\sleep 3 s
SQL
}
remove() { :; }
