/*
 * redis_client.h
 *	  Asking Redis servers on the prober's loop: hiredis for the protocol, stream.h for the network.
 *
 * A connection is made for each question and closed afterwards: what is measured is then what a new
 * client would meet (a full maxclients refuses us too), an address that changed is noticed, and nothing
 * has to be remembered, repaired or leaked between cycles.  At one connection a target and cycle the
 * cost is a few system calls.
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
