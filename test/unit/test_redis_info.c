/*
 * test_redis_info.c
 *	  Texts of INFO as different versions and roles of Redis write them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "collect/redis_info.h"

#define MAX_VALUES 128

typedef struct Values
{
	int n;
	struct
	{
		PerfoptRedisMetric metric;
		char label[160];
		double value;
	} v[MAX_VALUES];
} Values;

static void
keep(void *arg, PerfoptRedisMetric metric, const char *label, double value)
{
	Values *values = arg;

	assert_true(values->n < MAX_VALUES);
	values->v[values->n].metric = metric;
	snprintf(values->v[values->n].label, sizeof(values->v[0].label), "%s", label ? label : "");
	values->v[values->n++].value = value;
}

static int
count(const Values *values, PerfoptRedisMetric metric)
{
	int n = 0;

	for (int i = 0; i < values->n; i++)
		n += values->v[i].metric == metric;
	return n;
}

static void
expect(const Values *values, PerfoptRedisMetric metric, const char *label, double value)
{
	for (int i = 0; i < values->n; i++)
	{
		if (values->v[i].metric != metric || strcmp(values->v[i].label, label) != 0)
			continue;
		if (values->v[i].value < value - 1e-9 || values->v[i].value > value + 1e-9)
			fail_msg("metric %d{%s} is %g, not %g", metric, label, values->v[i].value, value);
		return;
	}
	fail_msg("metric %d{%s} is missing", metric, label);
}

static const char *const redis_7 =
	"# Server\r\nredis_version:7.0.15\r\nrun_id:d6ea965ad1d2db75f0e3863ba887de7020d418db\r\n\r\n"
	"# "
	"Clients\r\nconnected_clients:3\r\ncluster_connections:0\r\nmaxclients:10000\r\nblocked_"
	"clients:1\r\n\r\n"
	"# Memory\r\nused_memory:941336\r\nused_memory_human:919.27K\r\nmaxmemory:1048576\r\n"
	"maxmemory_human:1.00M\r\nmem_fragmentation_ratio:7.77\r\n\r\n"
	"# "
	"Persistence\r\nloading:0\r\nrdb_last_bgsave_status:ok\r\naof_enabled:1\r\naof_delayed_fsync:"
	"4\r\n\r\n"
	"# "
	"Stats\r\ntotal_connections_received:2\r\ntotal_commands_processed:11\r\nrejected_connections:"
	"5\r\n"
	"expired_keys:6\r\nevicted_keys:7\r\nkeyspace_hits:8\r\nkeyspace_misses:9\r\nlatest_fork_usec:"
	"250\r\n"
	"instantaneous_eventloop_duration_usec:40\r\n\r\n"
	"# Replication\r\nrole:master\r\nconnected_slaves:2\r\n"
	"slave0:ip=10.0.0.7,port=6379,state=online,offset=900,lag=1\r\n"
	"slave1:ip=10.0.0.8,port=6380,state=online,offset=1200,lag=0\r\n"
	"master_failover_state:no-failover\r\nmaster_repl_offset:1000\r\n\r\n"
	"# Commandstats\r\n"
	"cmdstat_get:calls=21,usec=175,usec_per_call=8.33,rejected_calls=0,failed_calls=0\r\n"
	"cmdstat_config|get:calls=2,usec=10,usec_per_call=5.00,rejected_calls=0,failed_calls=0\r\n\r\n"
	"# Latencystats\r\nlatency_percentiles_usec_get:p50=8.031,p99=20.095,p99.9=20.095\r\n\r\n"
	"# Keyspace\r\ndb0:keys=42,expires=1,avg_ttl=0\r\ndb15:keys=1,expires=0,avg_ttl=0\r\n";

static void
everything_of_a_primary(void **state)
{
	Values values = { 0 };
	int found;

	(void) state;
	found = perfopt_redis_info(redis_7, keep, &values);
	assert_int_equal(found, values.n);
	expect(&values, PERFOPT_REDIS_CONNECTED_CLIENTS, "", 3);
	expect(&values, PERFOPT_REDIS_BLOCKED_CLIENTS, "", 1);
	expect(&values, PERFOPT_REDIS_REJECTED_CONNECTIONS, "", 5);
	expect(&values, PERFOPT_REDIS_COMMANDS_PROCESSED, "", 11);
	expect(&values, PERFOPT_REDIS_KEYSPACE_HITS, "", 8);
	expect(&values, PERFOPT_REDIS_KEYSPACE_MISSES, "", 9);
	expect(&values, PERFOPT_REDIS_EVICTED_KEYS, "", 7);
	expect(&values, PERFOPT_REDIS_EXPIRED_KEYS, "", 6);
	expect(&values, PERFOPT_REDIS_MEMORY_USED, "", 941336);
	expect(&values, PERFOPT_REDIS_MEMORY_MAX, "", 1048576);
	expect(&values, PERFOPT_REDIS_MEM_FRAGMENTATION, "", 7.77);
	expect(&values, PERFOPT_REDIS_LATEST_FORK, "", 0.00025);
	expect(&values, PERFOPT_REDIS_EVENTLOOP_DURATION, "", 0.00004);
	expect(&values, PERFOPT_REDIS_AOF_DELAYED_FSYNC, "", 4);
	expect(&values, PERFOPT_REDIS_RDB_LAST_BGSAVE_OK, "", 1);
	expect(&values, PERFOPT_REDIS_REPLICATION_LAG, "10.0.0.7:6379", 100);
	expect(&values, PERFOPT_REDIS_REPLICATION_LAG, "10.0.0.8:6380", 0);
	expect(&values, PERFOPT_REDIS_COMMAND_CALLS, "get", 21);
	expect(&values, PERFOPT_REDIS_COMMAND_SECONDS, "get", 0.000175);
	expect(&values, PERFOPT_REDIS_COMMAND_CALLS, "config|get", 2);
	expect(&values, PERFOPT_REDIS_DB_KEYS, "db0", 42);
	expect(&values, PERFOPT_REDIS_DB_KEYS, "db15", 1);
	assert_int_equal(values.n, 23);
}

static void
what_is_not_there_is_absent(void **state)
{
	Values values = { 0 };

	(void) state;
	/* A replica without append-only file, without a limit, whose last save failed. */
	perfopt_redis_info("# Memory\r\nused_memory:5\r\nmaxmemory:0\r\n# Persistence\r\n"
					   "rdb_last_bgsave_status:err\r\n# Replication\r\nrole:slave\r\n"
					   "slave_repl_offset:7\r\nmaster_repl_offset:7\r\n",
					   keep, &values);
	expect(&values, PERFOPT_REDIS_MEMORY_USED, "", 5);
	expect(&values, PERFOPT_REDIS_RDB_LAST_BGSAVE_OK, "", 0);
	assert_int_equal(count(&values, PERFOPT_REDIS_MEMORY_MAX), 0);
	assert_int_equal(count(&values, PERFOPT_REDIS_AOF_DELAYED_FSYNC), 0);
	assert_int_equal(count(&values, PERFOPT_REDIS_REPLICATION_LAG), 0);
	assert_int_equal(values.n, 2);
}

static void
lines_end_with_either_newline(void **state)
{
	Values values = { 0 };

	(void) state;
	perfopt_redis_info("connected_clients:3\nkeyspace_hits:8", keep, &values);
	expect(&values, PERFOPT_REDIS_CONNECTED_CLIENTS, "", 3);
	expect(&values, PERFOPT_REDIS_KEYSPACE_HITS, "", 8);
}

static void
nonsense_gives_nothing(void **state)
{
	static const char *const texts[] = {
		"",
		"\r\n",
		":",
		":::",
		"HTTP/1.1 400 Bad Request\r\n\r\n",
		"connected_clients:\r\n",
		"connected_clients:many\r\n",
		"connected_clients:3x\r\n",
		"maxmemory:00000000000000000000000000000000000000000000000000000000000000001\r\n",
		"cmdstat_:calls=1\r\n",
		"cmdstat_get:\r\n",
		"cmdstat_get:calls\r\n",
		"cmdstat_get:calls=\r\n",
		"slave0:offset=1,ip=x,port=1\r\n",
		"slave:offset=1\r\n",
		"db:keys\r\n",
		"dbx:keys=1\r\n",
		"d",
		"db0",
	};

	(void) state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
	{
		Values values = { 0 };

		if (perfopt_redis_info(texts[i], keep, &values) != 0)
			fail_msg("found something in text %d", (int) i);
	}
}

static void
labels_too_long_are_left_out(void **state)
{
	char text[1024] = "cmdstat_";
	Values values = { 0 };

	(void) state;
	memset(text + strlen(text), 'x', 500);
	memcpy(text + 508, ":calls=1,usec=1\r\n", sizeof(":calls=1,usec=1\r\n"));
	assert_int_equal(perfopt_redis_info(text, keep, &values), 0);
}

/* Every beginning of a text is one that a broken connection may leave. */
static void
a_text_cut_anywhere_is_safe(void **state)
{
	static char text[4096];

	(void) state;
	for (size_t length = 0; length <= strlen(redis_7); length++)
	{
		Values values = { 0 };
		int found;

		memcpy(text, redis_7, length);
		text[length] = '\0';
		found = perfopt_redis_info(text, keep, &values);
		assert_int_equal(found, values.n);
		assert_true(values.n <= 23);
	}
}

static void
single_fields(void **state)
{
	char value[64] = "untouched";

	(void) state;
	assert_true(perfopt_redis_info_field(redis_7, "run_id", value, sizeof(value)));
	assert_string_equal(value, "d6ea965ad1d2db75f0e3863ba887de7020d418db");
	assert_true(perfopt_redis_info_field(redis_7, "role", value, sizeof(value)));
	assert_string_equal(value, "master");
	assert_false(perfopt_redis_info_field(redis_7, "run", value, sizeof(value)));
	assert_false(perfopt_redis_info_field(redis_7, "run_id", value, 40));
	assert_string_equal(value, "master");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(everything_of_a_primary),
		cmocka_unit_test(what_is_not_there_is_absent),
		cmocka_unit_test(lines_end_with_either_newline),
		cmocka_unit_test(nonsense_gives_nothing),
		cmocka_unit_test(labels_too_long_are_left_out),
		cmocka_unit_test(a_text_cut_anywhere_is_safe),
		cmocka_unit_test(single_fields),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
