/*
 * redis_session.h
 *	  A connection to a Redis target on the prober's loop: hiredis for the protocol, stream.h for the
 *	  network; login, deadline and limits to what is read.
 *
 * A connection is made for each cycle and closed afterwards: what is measured is then what a new client
 * would meet (a full maxclients refuses us too), an address that changed is noticed, and nothing has to
 * be remembered, repaired or leaked between cycles.  At one connection a target and cycle the cost is a
 * few system calls.
 */
#ifndef PERFOPT_REDIS_SESSION_H
#define PERFOPT_REDIS_SESSION_H

#include <hiredis/hiredis.h>

#include "collect/loop.h"
#include "target/target.h"

typedef struct PerfoptRedisSession PerfoptRedisSession;

/* Called from the loop, or where something is asked; they raise no error. */
typedef struct PerfoptRedisCallbacks
{
	/* Connected and logged in: time to ask. */
	void (*ready)(PerfoptRedisSession *session, void *arg);

	/* An answer, in the order of what was asked; it is freed afterwards. */
	void (*replied)(PerfoptRedisSession *session, const redisReply *reply, void *arg);

	/*
	 * The session is over, once: by perfopt_redis_session_end() with its error (NULL for success), or
	 * because of what went wrong.  In the loop's memory context, printable, without a password.
	 */
	void (*ended)(char *error, void *arg);
} PerfoptRedisCallbacks;

/* Begins to connect; lives in the loop's memory context, and ends within timeout_ms. */
extern PerfoptRedisSession *perfopt_redis_session_open(PerfoptLoop *loop,
													   const PerfoptTarget *target, int timeout_ms,
													   const PerfoptRedisCallbacks *callbacks,
													   void *arg);

/* Asks without waiting for what was asked before. */
extern void perfopt_redis_session_ask(PerfoptRedisSession *session, int argc, const char **argv);

/* What it is waiting for, for messages; a constant. */
extern void perfopt_redis_session_stage(PerfoptRedisSession *session, const char *stage);

/* The error, of that length and from wherever, is NULL where all went well. */
extern void perfopt_redis_session_end(PerfoptRedisSession *session, const char *error,
									  size_t length);

#endif /* PERFOPT_REDIS_SESSION_H */
