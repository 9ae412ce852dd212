/*
 * dispatch.h
 *	  From a request that has come to an answer that is queued.
 */
#ifndef PERFOPT_DISPATCH_H
#define PERFOPT_DISPATCH_H

#include <microhttpd.h>

#include "gateway/settings.h"
#include "gateway/text.h"

/* A request and what became of it. */
typedef struct PerfoptExchange
{
	char *uri; /* as it was sent */
	char method[16];
	unsigned char address[16];
	char address_text[64];
	PerfoptText body;
	bool begun;
	bool too_large;
	bool streams;
	double begun_at; /* monotonic seconds */
	char role[64];
	int status;
	size_t bytes; /* of the answer's body */
} PerfoptExchange;

extern void perfopt_dispatch_begin(const PerfoptSettings *given);

extern enum MHD_Result perfopt_dispatch(PerfoptExchange *exchange,
										struct MHD_Connection *connection, double now);

#endif
