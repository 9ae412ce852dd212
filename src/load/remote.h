/*
 * remote.h
 *	  One libpq connection that is waited for with interrupts allowed.
 *
 * libpq-be-fe-helpers.h has the same, but not in every minor release of 15 and 16.
 * An ERROR leaves the connection to the caller, who closes it with load_remote_close().
 */
#ifndef PERFOPT_LOAD_REMOTE_H
#define PERFOPT_LOAD_REMOTE_H

#include "libpq-fe.h"

/* Never NULL; PQstatus() tells whether it worked. */
extern PGconn *load_remote_connect(const char *conninfo, const char *application_name);

/* The last result, never NULL; the caller clears it. */
extern PGresult *load_remote_query(PGconn *conn, const char *sql, int nparams,
								   const char *const *values);
extern PGresult *load_remote_prepare(PGconn *conn, const char *sql);
extern PGresult *load_remote_describe(PGconn *conn); /* what was prepared last */

extern void load_remote_close(PGconn *conn);

/* Keywords and values for PQconnectStartParams with expand_dbname; arrays of four. */
extern void load_remote_params(const char *conninfo, const char *application_name,
							   const char **keywords, const char **values);

/* libpq's message without its line break at the end, palloc'd. */
extern char *load_remote_error(PGconn *conn);

#endif /* PERFOPT_LOAD_REMOTE_H */
