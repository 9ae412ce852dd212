/*
 * redis_info.h
 *	  Reading the text of Redis' INFO command.  No PostgreSQL and no hiredis here, so that sample texts
 *	  of several versions can be tested without either.
 *
 * Every value that is found goes to the sink, in base units; what a version lacks is not handed over,
 * and what it has in addition is passed over.  Names and meanings: https://redis.io/commands/info.
 */
#ifndef PERFOPT_REDIS_INFO_H
#define PERFOPT_REDIS_INFO_H

#include <stdbool.h>
#include <stddef.h>

typedef enum PerfoptRedisMetric
{
	PERFOPT_REDIS_UP, /* the first five are not from INFO */
	PERFOPT_REDIS_PING_SECONDS,
	PERFOPT_REDIS_HIT_RATIO,
	PERFOPT_REDIS_SLOWLOG_LAST_ID,
	PERFOPT_REDIS_LATENCY_SPIKE, /* label: event */
	PERFOPT_REDIS_CONNECTED_CLIENTS,
	PERFOPT_REDIS_BLOCKED_CLIENTS,
	PERFOPT_REDIS_REJECTED_CONNECTIONS,
	PERFOPT_REDIS_COMMANDS_PROCESSED,
	PERFOPT_REDIS_KEYSPACE_HITS,
	PERFOPT_REDIS_KEYSPACE_MISSES,
	PERFOPT_REDIS_EVICTED_KEYS,
	PERFOPT_REDIS_EXPIRED_KEYS,
	PERFOPT_REDIS_MEMORY_USED,
	PERFOPT_REDIS_MEMORY_MAX,
	PERFOPT_REDIS_MEM_FRAGMENTATION,
	PERFOPT_REDIS_LATEST_FORK,
	PERFOPT_REDIS_EVENTLOOP_DURATION,
	PERFOPT_REDIS_AOF_DELAYED_FSYNC,
	PERFOPT_REDIS_REPLICATION_LAG, /* label: replica */
	PERFOPT_REDIS_COMMAND_CALLS,   /* label: cmd */
	PERFOPT_REDIS_COMMAND_SECONDS, /* label: cmd */
	PERFOPT_REDIS_ERRORS,          /* label: err */
	PERFOPT_REDIS_RDB_LAST_BGSAVE_OK,
	PERFOPT_REDIS_DB_KEYS, /* label: db */
	PERFOPT_REDIS_NUM_METRICS
} PerfoptRedisMetric;

/* The label's name is perfopt_redis_label_name(metric); the value is NULL where there is none. */
typedef void (*PerfoptRedisSink)(void *arg, PerfoptRedisMetric metric, const char *label,
								 double value);

extern const char *perfopt_redis_label_name(PerfoptRedisMetric metric);

/* Returns how many values were found; none means that this was not the text of INFO. */
extern int perfopt_redis_info(const char *text, PerfoptRedisSink sink, void *arg);

/* Copies the value of one line of INFO ("run_id"); false when it is not there or does not fit. */
extern bool perfopt_redis_info_field(const char *text, const char *name, char *value,
									 size_t capacity);

#endif /* PERFOPT_REDIS_INFO_H */
