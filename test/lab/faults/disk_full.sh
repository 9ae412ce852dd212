# shellcheck shell=bash disable=SC2034,SC2154
# A small file system, on which a tablespace is, fills up.
expect=disk_full category=disk strength=strong
entity='lab_tablespace'
needs=root
beside='top_statement|wal_sync'
plant()
{
	local mount=$bench_scratch/lab_tablespace

	mkdir -p "$mount"
	mount -t tmpfs -o size=48m,mode=700,uid="$(id -u "$(server_user)")" lab_tablespace "$mount"
	ask "CREATE TABLESPACE small LOCATION '$mount'"
	ask 'CREATE TABLE shop.log (t text) TABLESPACE small'
	repeat 0.7 ask "INSERT INTO shop.log SELECT repeat('x', 1000) FROM generate_series(1, 2200)"
}
remove()
{
	ask 'DROP TABLE shop.log' -c 'DROP TABLESPACE small'
	umount "$bench_scratch/lab_tablespace"
}
