/*
 * events.h
 *	  Server-sent events: how a test is getting on, and what NOTIFY perfopt_event tells.
 */
#ifndef PERFOPT_EVENTS_H
#define PERFOPT_EVENTS_H

#include <microhttpd.h>

#include "gateway/pool.h"

/* Once, before all else: at most so many streams at a time. */
extern void perfopt_events_begin(int given);

/*
 * A response that streams; NULL, with the problem. `last_id` is the number of the last event that
 * the client has seen, or NULL; `client` is its socket.
 */
extern struct MHD_Response *perfopt_events_open(const PerfoptIdentity *identity,
												const PerfoptRequest *request, const char *last_id,
												int client, PerfoptProblem *problem);

/* Ends all streams. */
extern void perfopt_events_end(void);

extern int perfopt_events_count(void);

#endif
