/*
 * route.h
 *	  What the gateway can be asked for: one table, from which come dispatch, validation, the SQL
 *	  call, the OpenAPI document and docs/api.md.
 *
 * Nothing here knows of sockets or of a database, so that it is tested and fuzzed without them.
 */
#ifndef PERFOPT_ROUTE_H
#define PERFOPT_ROUTE_H

#include <stdbool.h>

#define PERFOPT_API_PREFIX "/integration/performance/"
#define PERFOPT_MAX_PARAMS 14

typedef enum PerfoptType
{
	PERFOPT_TYPE_NONE, /* ends a list of parameters */
	PERFOPT_TYPE_TEXT,
	PERFOPT_TYPE_INT,
	PERFOPT_TYPE_BIGINT,
	PERFOPT_TYPE_FLOAT,
	PERFOPT_TYPE_BOOLEAN,
	PERFOPT_TYPE_INTERVAL,
	PERFOPT_TYPE_TIME,
	PERFOPT_TYPE_JSON
} PerfoptType;

typedef enum PerfoptPlace
{
	PERFOPT_IN_PATH,
	PERFOPT_IN_QUERY,
	PERFOPT_IN_BODY,
	PERFOPT_IS_BODY /* the body as a whole, a JSON object */
} PerfoptPlace;

typedef enum PerfoptNeed
{
	PERFOPT_OPTIONAL, /* left out of the call, so that the function's default holds */
	PERFOPT_NULLABLE, /* passed as NULL when it isn't given */
	PERFOPT_REQUIRED
} PerfoptNeed;

typedef struct PerfoptParam
{
	const char *name; /* of the function's argument, or of the relation's column */
	PerfoptType type;
	PerfoptPlace place;
	PerfoptNeed need;
	const char *about;
} PerfoptParam;

typedef enum PerfoptAnswer
{
	PERFOPT_ROWS,     /* {"items": [...]} */
	PERFOPT_PAGE,     /* {"items": [...], "next_cursor": ...}, newest first, by a key */
	PERFOPT_ROW,      /* one object, 404 without a row */
	PERFOPT_VALUE,    /* {key: value} */
	PERFOPT_DOCUMENT, /* the jsonb that a function returns */
	PERFOPT_NOTHING,  /* 204 */
	PERFOPT_PROGRESS, /* server-sent events: how a test is getting on */
	PERFOPT_EVENTS    /* server-sent events: what NOTIFY perfopt_event tells */
} PerfoptAnswer;

typedef struct PerfoptRoute
{
	const char *method;
	const char *path;     /* below PERFOPT_API_PREFIX; {name} is a parameter */
	const char *function; /* of schema perfopt; NULL where a relation is read */
	const char *relation;
	PerfoptAnswer answer;
	const char *key;   /* PAGE, and ROWS of a relation: what they are ordered by; VALUE: its name */
	const char *fixed; /* SQL after the value of a parameter that is the whole body */
	int status;        /* of success */
	const char *level; /* of perfopt.grant_access() that it takes */
	bool cheap;        /* has an ETag */
	const char *summary;
	PerfoptParam params[PERFOPT_MAX_PARAMS + 1];
} PerfoptRoute;

extern const PerfoptRoute perfopt_routes[];
extern const int perfopt_nroutes;

/* A parameter's name in SQL, as pg_typeof() says it, and in a JSON schema. */
extern const char *perfopt_type_sql(PerfoptType type);
extern const char *perfopt_type_schema(PerfoptType type);

extern int perfopt_route_nparams(const PerfoptRoute *route);

/* The group of a route: the first segment of its path. */
extern void perfopt_route_group(const PerfoptRoute *route, char *group, int size);

/*
 * The route of a method and a path below the prefix, as it was sent. Where a literal segment and a
 * parameter both fit, the literal wins. NULL: *path_known says whether it has other methods, which
 * are then in `allowed`, separated by commas.
 */
extern const PerfoptRoute *perfopt_route_match(const char *method, const char *path,
											   bool *path_known, char allowed[64]);

#endif
