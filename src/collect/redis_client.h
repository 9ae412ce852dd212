/*
 * redis_client.h
 *	  Asking several Redis servers at the same time, without ever waiting for one of them alone.
 *
 * A connection is made for each question and closed afterwards: what is measured is then what a new
 * client would meet (a full maxclients refuses us too), an address that changed is noticed, and nothing
 * has to be remembered, repaired or leaked between cycles.  At one connection a target and cycle the
 * cost is a few system calls.
 */
#ifndef PERFOPT_REDIS_CLIENT_H
#define PERFOPT_REDIS_CLIENT_H

#include "target/target.h"

#define PERFOPT_REDIS_MAX_SPIKES 32

typedef struct PerfoptRedisSpike
{
	char event[64];
	double at;      /* seconds of the server's clock since 1970 */
	double seconds; /* how long it lasted */
} PerfoptRedisSpike;

/* Filled by perfopt_redis_ask; what was not answered is NULL or negative. */
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
 * Asks every target for PING, INFO, SLOWLOG and LATENCY, at the same time; returns when all have
 * answered, failed or used up timeout_ms.  An array as long as the list, in its order, palloc'd in the
 * current context.
 *
 * Targets given by name come after those given by address have been dealt with, because a name is
 * looked up by a call that blocks; each of these two rounds takes timeout_ms at most, look-ups apart.
 * To be called outside a transaction; wakes up for interrupts.
 */
extern PerfoptRedisAnswer *perfopt_redis_ask(List *targets, int timeout_ms);

#endif /* PERFOPT_REDIS_CLIENT_H */
