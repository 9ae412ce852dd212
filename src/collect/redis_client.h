/*
 * redis_client.h
 *	  What a Redis target says about itself, asked on the prober's loop in a session of its own.
 */
#ifndef PERFOPT_REDIS_CLIENT_H
#define PERFOPT_REDIS_CLIENT_H

#include "collect/loop.h"
#include "target/target.h"

#define PERFOPT_REDIS_MAX_SPIKES 32

typedef struct PerfoptRedisSpike
{
	char event[64];
	double at;      /* seconds of the server's clock since 1970 */
	double seconds; /* how long it lasted */
} PerfoptRedisSpike;

/* What was not answered is NULL or negative. */
typedef struct PerfoptRedisAnswer
{
	const PerfoptTarget *target;
	char *error; /* NULL for success; never holds a password */
	char *info;
	double ping_seconds;
	double slowlog_last_id;
	int nspikes;
	PerfoptRedisSpike spikes[PERFOPT_REDIS_MAX_SPIKES];
	double wall_ms;
} PerfoptRedisAnswer;

/*
 * Begins to ask a target for PING, INFO, SLOWLOG and LATENCY, which ends within timeout_ms.  The answer
 * is in the loop's memory context, and whole once perfopt_loop_run() has returned.
 */
extern PerfoptRedisAnswer *perfopt_redis_start(PerfoptLoop *loop, const PerfoptTarget *target,
											   int timeout_ms);

#endif /* PERFOPT_REDIS_CLIENT_H */
