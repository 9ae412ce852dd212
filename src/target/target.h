/*
 * target.h
 *	  What perfopt talks to, as foreign servers of the foreign-data wrapper "perfopt".
 *
 * An address is a server's options, a secret is a user mapping's, permission is USAGE on the server.
 * The validator is not told a server's TYPE, so it knows option names and values only; an option that
 * does not fit the TYPE, or a TYPE that nothing here uses, is reported when the target is used.
 *
 * Everything returned is palloc'd in the caller's memory context.  All functions need a transaction
 * except where they say otherwise.  No password is ever part of a message.
 */
#ifndef PERFOPT_TARGET_H
#define PERFOPT_TARGET_H

#include "libpq-fe.h"
#include "nodes/pg_list.h"

#define PERFOPT_TARGET_LOCAL "perfopt_local"

/* Options that were not given are NULL. */
typedef struct PerfoptTarget
{
	Oid serverid;
	Oid owner;
	char *owner_name;
	char *name;
	char *type;
	char *host;
	char *port;
	char *url;
	char *dbname;
	char *user;
	char *password;
	char *token;
	List *options;       /* all of the server's, as DefElem */
	List *mapping;       /* all of the user mapping's */
	bool needs_password; /* by the rules for connections of libpq */
} PerfoptTarget;

/* An option of the server, or NULL.  Needs no transaction, nor does the next. */
extern const char *perfopt_target_option(const PerfoptTarget *target, const char *name);

/* The port, or `otherwise`; of a list of ports, which libpq takes and the validator lets through, the first. */
extern int perfopt_target_port(const PerfoptTarget *target, int otherwise);

/* An option that the validator knows to be a boolean. */
extern bool perfopt_target_flag(const PerfoptTarget *target, const char *name, bool otherwise);

/*
 * The targets of one TYPE, or of every TYPE where that is NULL, in no particular order.  User and
 * password are from the mapping of the server's owner, else from the one of PUBLIC: who may create
 * the server decides what the prober logs in as.
 */
extern List *perfopt_targets_of_type(const char *type);

/*
 * Why the prober has no use for this target (a TYPE unknown here, options missing or foreign to its
 * TYPE), as one sentence; NULL where there is nothing to complain about.  Needs no transaction.
 */
extern char *perfopt_target_problem(const PerfoptTarget *target);

/*
 * Options of libpq in a target of TYPE pgbouncer or postgres and in its user mapping, as arrays that
 * PQconnectStartParams takes, with room for `spare` more before the NULL.  Needs no transaction.
 */
extern void perfopt_target_libpq_params(const PerfoptTarget *target, int spare,
										const char ***keywords, const char ***values, int *n);

/*
 * The connection string with which `userid` reaches a target of TYPE postgres.  ERROR when there is no
 * such target, its TYPE is another, the role lacks USAGE, or the role is no superuser and its user
 * mapping has no password (unless a superuser set password_required to false there).
 *
 * A server that names no host is this very server: its first socket folder, its port, the current
 * database.  Without a user in the mapping, the name of the role is used.
 *
 * The string holds the password: keep it out of shared memory, tables and messages.
 */
extern char *perfopt_target_conninfo(const char *server_name, Oid userid);

/*
 * To be called with each new connection made from perfopt_target_conninfo, before it is used: ERROR
 * when the rules of passwords ask for one and the server did not (trust, peer, certificate), since the
 * role would then act as the server's own operating system user.  The caller closes the connection.
 */
extern void perfopt_target_check_connection(PGconn *conn, const char *server_name, Oid userid);

/* For PQsetNoticeReceiver: what a target has to say would go to this server's log otherwise. */
extern void perfopt_target_ignore_notice(void *arg, const PGresult *result);

#endif /* PERFOPT_TARGET_H */
