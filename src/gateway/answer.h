/*
 * answer.h
 *	  An answer on its way out: headers that all have, compression, validators.
 */
#ifndef PERFOPT_ANSWER_H
#define PERFOPT_ANSWER_H

#include <microhttpd.h>

#include "gateway/problem.h"
#include "gateway/text.h"

typedef struct PerfoptReply
{
	int status;
	const char *type;
	PerfoptText body; /* handed over */
	bool etag;
	const char *policy; /* Content-Security-Policy; NULL: nothing may be loaded */
} PerfoptReply;

/*
 * Queues a reply: 304 where the client has it already, gzip where it takes that. *status and *bytes
 * are what goes out.
 */
extern enum MHD_Result perfopt_answer(struct MHD_Connection *connection, PerfoptReply *reply,
									  int *status, size_t *bytes);

/* Queues a problem. */
extern enum MHD_Result perfopt_answer_problem(struct MHD_Connection *connection,
											  const PerfoptProblem *problem, int *status,
											  size_t *bytes);

/* Headers of every answer, also of streams. */
extern void perfopt_answer_headers(struct MHD_Response *response, const char *policy);

#endif
