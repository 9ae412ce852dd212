/*
 * owner.c
 *	  Switching to the owner of the function that runs.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_proc.h"
#include "miscadmin.h"
#include "utils/guc.h"
#include "utils/syscache.h"

#include "diagnose/owner.h"

static Oid
function_owner(Oid function)
{
	HeapTuple tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	Oid owner;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for function %u", function);
	owner = ((Form_pg_proc) GETSTRUCT(tuple))->proowner;
	ReleaseSysCache(tuple);
	return owner;
}

void
perfopt_set_locally(const char *name, const char *value)
{
	(void) set_config_option(name, value, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0,
							 false);
}

void
perfopt_owner_enter(PerfoptOwnerScope *scope, FunctionCallInfo fcinfo)
{
	scope->owner = function_owner(fcinfo->flinfo->fn_oid);
	GetUserIdAndSecContext(&scope->caller, &scope->security);
	SetUserIdAndSecContext(scope->owner, scope->security | SECURITY_LOCAL_USERID_CHANGE);
	scope->guc_level = NewGUCNestLevel();
	perfopt_set_locally("search_path", "pg_catalog, pg_temp");
}

void
perfopt_owner_leave(PerfoptOwnerScope *scope)
{
	AtEOXact_GUC(true, scope->guc_level);
	SetUserIdAndSecContext(scope->caller, scope->security);
}
