/*
 * horizon.c
 *	  Waiting without holding back vacuum.
 */
#include "postgres.h"

#include "access/xact.h"
#include "nodes/plannodes.h"
#include "storage/proc.h"
#include "tcop/pquery.h"
#include "utils/inval.h"
#include "utils/syscache.h"

#include "load/horizon.h"

/*
 * A plan names the relations that it reads, and the functions and types it uses that are not built
 * in.  Built-in functions look at catalogs only, for which they take snapshots of their own.
 */
static bool
uses_only(const PlannedStmt *plan, Oid function)
{
	uint32 hash = GetSysCacheHashValue1(PROCOID, ObjectIdGetDatum(function));
	ListCell *lc;

	if (plan->commandType != CMD_SELECT || plan->relationOids != NIL || plan->rowMarks != NIL)
		return false;
	foreach (lc, plan->invalItems)
	{
		const PlanInvalItem *item = lfirst_node(PlanInvalItem, lc);

		if (item->cacheId != PROCOID || item->hashValue != hash)
			return false;
	}
	return true;
}

/*
 * Not in a transaction block, which may have cursors whose snapshots count as well; and the client's
 * own statement, not one inside a function, whose caller has a snapshot too.
 */
static bool
is_whole_transaction(Oid function)
{
	const PlannedStmt *plan;

	if (IsTransactionBlock() || IsolationUsesXactSnapshot() ||
		TransactionIdIsValid(GetTopTransactionIdIfAny()))
		return false;
	if (ActivePortal == NULL || list_length(ActivePortal->stmts) != 1)
		return false;
	plan = linitial_node(PlannedStmt, ActivePortal->stmts);
	return plan->utilityStmt == NULL && uses_only(plan, function);
}

/*
 * What snapmgr.c does when the last snapshot goes.  The statement's own stays registered, but nothing
 * reads with it any more; the next one that is taken sets xmin again.
 */
void
load_release_horizon(FunctionCallInfo fcinfo)
{
	if (is_whole_transaction(fcinfo->flinfo->fn_oid))
		MyProc->xmin = InvalidTransactionId;
}
