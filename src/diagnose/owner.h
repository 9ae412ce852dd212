/*
 * owner.h
 *	  Doing something with the rights of the extension's owner, while knowing who asked.
 *
 * A SECURITY DEFINER function can't tell who called it: the session's role misses callers that are
 * themselves SECURITY DEFINER, and would show them what only the session may see.  So perfopt's C
 * functions run as their caller and switch to their own owner here, for exactly as long as needed.
 * After an error the transaction's abort restores everything.
 */
#ifndef PERFOPT_OWNER_H
#define PERFOPT_OWNER_H

#include "fmgr.h"

typedef struct PerfoptOwnerScope
{
	Oid caller; /* the role that called the function */
	Oid owner;
	int security;
	int guc_level;
} PerfoptOwnerScope;

/* search_path becomes pg_catalog, pg_temp until the scope is left. */
extern void perfopt_owner_enter(PerfoptOwnerScope *scope, FunctionCallInfo fcinfo);
extern void perfopt_owner_leave(PerfoptOwnerScope *scope);

/* A setting for the rest of the innermost scope of settings (NewGUCNestLevel). */
extern void perfopt_set_locally(const char *name, const char *value);

#endif /* PERFOPT_OWNER_H */
