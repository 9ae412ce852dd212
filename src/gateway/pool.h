/*
 * pool.h
 *	  Connections to the database: each as the caller's own role, a few of each role kept for the
 *	  next request.
 *
 * A password is checked by the server alone. A connection serves for at most
 * PERFOPT_SESSION_LIFE seconds, so that a changed password or a role that may no longer log in takes
 * effect within that time.
 */
#ifndef PERFOPT_POOL_H
#define PERFOPT_POOL_H

#include <libpq-fe.h>

#include "gateway/identity.h"
#include "gateway/problem.h"
#include "gateway/settings.h"

#define PERFOPT_SESSION_LIFE 60

typedef struct PerfoptSession PerfoptSession;

/* Once, before all else. Ends the program when the dsn is malformed. */
extern void perfopt_pool_begin(const PerfoptSettings *given);

/*
 * A session of an identity; NULL, with the problem, when it can't be had. Waits some seconds while
 * all that the role may have are busy.
 */
extern PerfoptSession *perfopt_pool_take(const PerfoptIdentity *identity, PerfoptProblem *problem);
extern void perfopt_pool_give(PerfoptSession *session);

/* Closes it rather than keep it. */
extern void perfopt_pool_drop(PerfoptSession *session);

/*
 * Takes a session that is held out of the pool, so that it counts no more against its role's
 * connections. It is to be dropped in the end.
 */
extern void perfopt_pool_detach(PerfoptSession *session);

extern PGconn *perfopt_session_conn(PerfoptSession *session);

/* The name of the role that a session acts as; valid as long as the session is held. */
extern const char *perfopt_session_role(PerfoptSession *session);

/*
 * Runs a statement and returns its rows; NULL, with the problem, when it failed. To be cleared with
 * PQclear().
 */
extern PGresult *perfopt_session_query(PerfoptSession *session, const char *sql, int nvalues,
									   const char *const *values, PerfoptProblem *problem);

/* Closes what is idle for too long; called about once a second. */
extern void perfopt_pool_tidy(void);

/* Connections that are open, and of these in use. */
extern void perfopt_pool_count(int *open, int *busy);

/* Does the server take connections? */
extern bool perfopt_pool_ready(void);

#endif
