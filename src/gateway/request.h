/*
 * request.h
 *	  A request as it was sent, checked against its route: what lies between the network and libpq.
 *
 * No PostgreSQL and no HTTP library here.
 */
#ifndef PERFOPT_REQUEST_H
#define PERFOPT_REQUEST_H

#include <stdbool.h>
#include <stddef.h>

#include "gateway/route.h"
#include "gateway/text.h"

#define PERFOPT_PAGE_DEFAULT 100
#define PERFOPT_PAGE_MOST 1000

typedef struct PerfoptValue
{
	bool given;
	const char *text; /* NULL is SQL's NULL */
} PerfoptValue;

/* What is wrong with a request, and how to tell. */
typedef struct PerfoptProblem
{
	int status; /* 0: nothing */
	char detail[400];
	char hint[400];
	char sqlstate[6];
	char allowed[64]; /* for 405 */
} PerfoptProblem;

typedef struct PerfoptRequest
{
	const PerfoptRoute *route;
	PerfoptValue values[PERFOPT_MAX_PARAMS];
	const char *cursor; /* of a page */
	int limit;
	char *uri;  /* owned: values point into it */
	char *body; /* likewise */
} PerfoptRequest;

/*
 * Fills a request from the method, the URI as it was sent (with its query) and the body. False, with
 * the problem, when no route fits or an argument is missing, unknown, given twice or not of its
 * type. The request is to be freed in either case.
 */
extern bool perfopt_request_read(PerfoptRequest *request, const char *method, const char *uri,
								 const char *body, size_t length, PerfoptProblem *problem);
extern void perfopt_request_free(PerfoptRequest *request);

/*
 * The statement of a request, and in values[0 .. return value - 1] what its parameters $1 ... are
 * bound to; there is room for PERFOPT_MAX_BOUND. The statement is made of the route's own words
 * alone.
 */
#define PERFOPT_MAX_BOUND (PERFOPT_MAX_PARAMS + 2)
extern int perfopt_request_statement(const PerfoptRequest *request, PerfoptText *sql,
									 const char **values, char limit[16]);

#endif
