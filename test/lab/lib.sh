# shellcheck shell=bash
#
# test/lab/lib.sh: what the faults and the healthy workloads of the lab use. script/lab loads it, and
# then one case after the other, each in a subshell of its own. A case is a file that sets
#
#   expect     the finding that it plants; empty in a healthy workload
#   category   that finding's category
#   entity     extended regular expression that the finding's entity has to match
#   strength   strong: has to be reported as a problem, and first; light: has to be reported
#   beside     extended regular expression of findings that are true beside it (anchored on both ends)
#   seconds    how long it lasts
#
# and has functions plant, which returns at once, and remove. What plant starts with client, session or
# in_background ends by itself, before remove is called.
# shellcheck source=bench/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../../bench/lib.sh"

# ask SQL [psql's arguments...]: as the lab's superuser, the answer without decoration.
ask() { cluster_psql lab -At -c "$@"; }

# client N [pgbench's arguments...]: N connections that run the script on standard input until they are ended.
client()
{
	local n=$1 script
	shift
	script=$(mktemp "$bench_scratch/client.XXXXXX")
	cat >"$script"
	in_background cluster_env lab env PGAPPNAME=lab_fault pgbench -n -c "$n" -j "$((n < 2 ? 1 : 2))" -T 600 -f "$script" "$@"
}

# session: one connection that runs what is on standard input, by psql.
session()
{
	local script
	script=$(mktemp "$bench_scratch/session.XXXXXX")
	cat >"$script"
	in_background cluster_env lab env PGAPPNAME=lab_fault psql -Xq -f "$script"
}

# repeat PAUSE CMD...: again and again, whether it works or not, until the case is over.
repeat_forever()
{
	local pause=$1
	shift
	while :; do
		"$@" || true
		sleep "$pause"
	done
}
repeat() { in_background repeat_forever "$@"; }

# limit FINDING NAME VALUE: for this case alone, a rule that asks for minutes, days or gigabytes is told how
# much of that the case has time for. Nothing else is set: all other rules are judged as they are installed.
limit() { ask "UPDATE perfopt.finding_setting SET value = $3 WHERE finding = '$1' AND name = '$2'"; }

# configure NAME VALUE; configure_back NAME
configure()
{
	ask "ALTER SYSTEM SET $1 = '$2'" -c 'SELECT pg_reload_conf()' >/dev/null
}
configure_back()
{
	ask "ALTER SYSTEM RESET $1" -c 'SELECT pg_reload_conf()' >/dev/null
}

cache() { redis-cli -p "${REDIS_PORT[cache]}" "$@" >/dev/null 2>&1; }
cache_pid() { cat "${REDIS_DIR[cache]}/redis.pid"; }
# cache_commands N KEYS COMMAND...: N commands over one connection; __rand_int__ in one is below KEYS.
cache_commands()
{
	local n=$1 keys=$2
	shift 2
	redis-benchmark -q -p "${REDIS_PORT[cache]}" -c 1 -n "$n" -r "$keys" "$@" >/dev/null 2>&1
}

# api PATH: what the HTTP target answers from now on, see test/lib/http_server.py.
api() { ask "ALTER SERVER api OPTIONS (SET url 'http://127.0.0.1:$api_port/$1')"; }

# slow_reads MICROSECONDS, slow_syncs MICROSECONDS: what each read and each sync of a file takes longer.
slow_reads() { echo "$1" >"$bench_scratch/read_delay"; }
slow_syncs() { echo "$1" >"$bench_scratch/sync_delay"; }

# calls N MS OK: N calls of the target billing, as an application reports them.
calls() { ask "SELECT perfopt.record_call('billing', $2, $3) FROM generate_series(1, $1)" >/dev/null; }

# sync_all: each system of the data set has just been synced.
sync_all()
{
	ask "WITH jobs AS (INSERT INTO integration.sync_job (system_id, direction, status, finished_at)
			SELECT system_id, 'in', 'done', now() FROM integration.external_system RETURNING job_id)
		INSERT INTO integration.sync_change (job_id, entity_id, operation) SELECT job_id, 1, 'update' FROM jobs"
}

# validate PASSED: a hundred entities in a row are checked; PASSED is an expression of g.
validate()
{
	ask "INSERT INTO integration.validation_result (entity_id, rule, passed)
		SELECT n + g, 'format', $1 FROM generate_series(1, 100) g, (SELECT (random() * 19000)::int AS n) r
		ON CONFLICT (rule, entity_id) DO UPDATE SET passed = excluded.passed, checked_at = now()"
}

# lab_start: the cluster that all cases share, what they need, and a load that is light and always there.
lab_start()
{
	local extension i

	slow_reads 0
	slow_syncs 0
	cc -O2 -shared -fPIC -o "$bench_scratch/slow_io.so" "$PERFOPT_ROOT/test/lab/slow_io.c" -ldl
	chmod 644 "$bench_scratch"/*_delay
	PERFOPT_SERVER_ENV="LD_PRELOAD=$bench_scratch/slow_io.so LAB_READ_DELAY=$bench_scratch/read_delay LAB_SYNC_DELAY=$bench_scratch/sync_delay" \
		cluster_start lab "shared_preload_libraries = 'pg_stat_statements, perfopt'" "perfopt.collect_interval = '1s'" \
		"perfopt.sampling_frequency = 20" "track_io_timing = on" "fsync = on" "max_connections = 60" "max_worker_processes = 32" \
		"pg_stat_statements.track_planning = on" "shared_buffers = '64MB'" "max_wal_size = '2GB'" "min_wal_size = '32MB'" \
		"archive_mode = on" "archive_command = 'true'"
	redis_start cache
	LIFETIME=7200 in_background python3 "$PERFOPT_ROOT/test/lib/http_server.py" "$bench_scratch/api.port"
	wait_until 20 test -s "$bench_scratch/api.port" || die "the HTTP target does not start"
	api_port=$(cat "$bench_scratch/api.port")
	# shellcheck disable=SC2034 # for the cases
	api_pid=$(cat "$bench_scratch/api.port.pid")

	for extension in pg_stat_statements hypopg perfopt; do
		ask "CREATE EXTENSION $extension" || [ $extension = hypopg ] || die "no $extension"
	done
	cluster_env lab pgbench -i -q -s 3 >/dev/null 2>&1
	ask "CREATE SERVER cache TYPE 'redis' FOREIGN DATA WRAPPER perfopt OPTIONS (host '127.0.0.1', port '${REDIS_PORT[cache]}')" \
		-c "CREATE SERVER api TYPE 'http' FOREIGN DATA WRAPPER perfopt OPTIONS (url 'http://127.0.0.1:$api_port/ok')"
	PGOPTIONS='-c client_min_messages=warning' ask "SELECT perfopt.create_dataset('integration')" -c 'CREATE SCHEMA shop' \
		-c "CREATE TABLE shop.customer AS SELECT g AS customer_id, 'customer ' || g AS name, 0 AS balance FROM generate_series(1, 20000) g" \
		-c 'ALTER TABLE shop.customer ADD PRIMARY KEY (customer_id)' \
		-c "CREATE TABLE shop.orders AS SELECT g AS order_id, 1 + g % 20000 AS customer_id, 'R' || g AS reference, g % 997 AS amount FROM generate_series(1, 200000) g" \
		-c 'ALTER TABLE shop.orders ADD PRIMARY KEY (order_id)' -c 'CREATE INDEX orders_customer_id_idx ON shop.orders (customer_id)' \
		-c "CREATE TABLE shop.item AS SELECT g AS item_id, 'item ' || g AS name, g AS price FROM generate_series(1, 1000) g" \
		-c 'ALTER TABLE shop.item ADD PRIMARY KEY (item_id)' \
		-c 'CREATE TABLE shop.stock AS SELECT g AS stock_id, 100000 AS quantity FROM generate_series(1, 200) g' -c 'ALTER TABLE shop.stock ADD PRIMARY KEY (stock_id)' \
		-c "CREATE TABLE shop.wide AS SELECT g AS wide_id, repeat(md5(g::text), 12) AS filler FROM generate_series(1, 300000) g" \
		-c 'ALTER TABLE shop.wide ADD PRIMARY KEY (wide_id)' -c 'CREATE TABLE shop.ticket (ticket_id serial)' >/dev/null
	ask 'VACUUM ANALYZE' -c CHECKPOINT
	sync_all

	cat >"$bench_scratch/background.sql" <<-'SQL'
		\set c random(1, 20000)
		BEGIN;
		SELECT name FROM shop.customer WHERE customer_id = :c;
		SELECT sum(amount) FROM shop.orders WHERE customer_id = :c;
		UPDATE shop.customer SET balance = balance + 1 WHERE customer_id = :c;
		SELECT perfopt.record_call('billing', 10 + random() * 5);
		END;
	SQL
	in_background cluster_env lab env PGAPPNAME=lab_background pgbench -n -c 2 -R 10 -T 100000 -f "$bench_scratch/background.sql"
	# What some rules compare with: how it was before.
	sleep 10
	collect
	for ((i = 0; i < 5; i++)); do
		validate true
		sleep 1
	done
	collect
}

# collect: all that is collected, also what has its turn each minute.
collect() { ask 'SELECT perfopt.collect_now()' >/dev/null; }
