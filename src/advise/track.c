/*
 * track.c
 *	  Carrying out recommendations: the order, and the worker that carries it out.
 */
#include "postgres.h"

#include "access/transam.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "parser/analyze.h"
#include "pgstat.h"
#include "storage/ipc.h"
#include "storage/lmgr.h"
#include "tcop/pquery.h"
#include "tcop/tcopprot.h"
#include "tcop/utility.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/portal.h"
#include "utils/snapmgr.h"

#include "compat.h"
#include "advise/track.h"
#include "diagnose/owner.h"
#include "shmem.h"
#include "worker/worker.h"

#define WORKER_NAME "perfopt apply"

/* What the worker is told; fits into bgw_extra. */
typedef struct ApplyOrder
{
	Oid database;
	Oid role;  /* whose rights the statements run with */
	Oid owner; /* of the extension, who writes down what came of it */
	TransactionId xid;
	int64 application_id;
} ApplyOrder;

StaticAssertDecl(sizeof(ApplyOrder) <= BGW_EXTRALEN, "the order must fit into bgw_extra");

PG_FUNCTION_INFO_V1(perfopt_start_application);

static void
start_worker(const ApplyOrder *order)
{
	BackgroundWorkerHandle *handle;
	BackgroundWorker worker;

	memset(&worker, 0, sizeof(worker));
	worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = BGW_NEVER_RESTART;
	memcpy(worker.bgw_extra, order, sizeof(*order));
	strlcpy(worker.bgw_library_name, "perfopt", sizeof(worker.bgw_library_name));
	strlcpy(worker.bgw_function_name, "perfopt_advise_apply_main",
			sizeof(worker.bgw_function_name));
	strlcpy(worker.bgw_name, WORKER_NAME, sizeof(worker.bgw_name));
	strlcpy(worker.bgw_type, WORKER_NAME, sizeof(worker.bgw_type));
	if (!RegisterDynamicBackgroundWorker(&worker, &handle))
		ereport(ERROR, (errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
						errmsg("no background worker is free to apply the recommendation"),
						errhint("Try again later, or raise max_worker_processes.")));
}

/* As the owner: a value from perfopt's own tables, or NULL. */
static char *
ask_owner(Oid owner, const char *sql, int nargs, Oid *types, Datum *values, const char *nulls)
{
	MemoryContext context = CurrentMemoryContext;
	char *answer = NULL;
	Oid role;
	int security;

	GetUserIdAndSecContext(&role, &security);
	SetUserIdAndSecContext(owner, security | SECURITY_LOCAL_USERID_CHANGE);
	SPI_connect();
	SPI_execute_with_args(sql, nargs, types, values, nulls, false, 0);
	if (SPI_processed > 0)
		answer = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
	if (answer != NULL)
		answer = MemoryContextStrdup(context, answer);
	SPI_finish();
	SetUserIdAndSecContext(role, security);
	return answer;
}

/* Runs as its caller, whose rights the worker will have. */
Datum
perfopt_start_application(PG_FUNCTION_ARGS)
{
	Oid types[] = { INT8OID, BOOLOID, INT4OID, TEXTOID };
	Datum values[] = { PG_GETARG_DATUM(0), PG_GETARG_DATUM(1), PG_GETARG_DATUM(2),
					   CStringGetTextDatum(GetUserNameFromId(GetUserId(), false)) };
	PerfoptOwnerScope scope;
	ApplyOrder order = { .database = MyDatabaseId };
	char *id;

	perfopt_require_home();
	perfopt_owner_enter(&scope, fcinfo);
	order.role = scope.caller;
	order.owner = scope.owner;
	id = ask_owner(scope.owner, "SELECT perfopt.order_application($1, $2, $3, $4)", lengthof(types),
				   types, values, NULL);
	order.application_id = strtoi64(id, NULL, 10);
	order.xid = GetTopTransactionId();
	start_worker(&order);
	perfopt_owner_leave(&scope);
	PG_RETURN_INT64(order.application_id);
}

/* As a client's statement would be run: each in a transaction of its own, which it may end itself. */
static void
run_statement(RawStmt *raw, const char *sql)
{
	MemoryContext context = CurrentMemoryContext;
	DestReceiver *dest = CreateDestReceiver(DestNone);
	bool needs_snapshot = analyze_requires_snapshot(raw);
	List *queries;
	List *plans;
	Portal portal;

	debug_query_string = sql;
	pgstat_report_activity(STATE_RUNNING, sql);
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	MemoryContextSwitchTo(context);
	if (needs_snapshot)
		PushActiveSnapshot(GetTransactionSnapshot());
	queries = pg_analyze_and_rewrite_fixedparams(raw, sql, NULL, 0, NULL);
	plans = pg_plan_queries(queries, sql, 0, NULL);
	if (needs_snapshot)
		PopActiveSnapshot();

	portal = CreatePortal("", true, true);
	portal->visible = false;
	PortalDefineQuery(portal, NULL, sql, CreateCommandTag(raw->stmt), plans, NULL);
	PortalStart(portal, NULL, 0, InvalidSnapshot);
	(void) perfopt_portal_run(portal, dest);
	dest->rDestroy(dest);
	PortalDrop(portal, false);
	CommitTransactionCommand();
	MemoryContextSwitchTo(context);
	pgstat_report_activity(STATE_IDLE, NULL);
	debug_query_string = NULL;
}

/* Notes how far it is; at its end, what is to be cleaned up after an error, or NULL. */
static char *
tell(const ApplyOrder *order, int done, const char *error, bool over)
{
	Oid types[] = { INT8OID, INT4OID, TEXTOID, BOOLOID };
	Datum values[] = { Int64GetDatum(order->application_id), Int32GetDatum(done),
					   error ? CStringGetTextDatum(error) : (Datum) 0, BoolGetDatum(over) };
	MemoryContext context = CurrentMemoryContext;
	char *cleanup;

	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	cleanup = ask_owner(order->owner, "SELECT perfopt.note_application($1, $2, $3, $4)",
						lengthof(types), types, values, error ? NULL : "  n ");
	if (cleanup != NULL)
		cleanup = MemoryContextStrdup(context, cleanup);
	PopActiveSnapshot();
	CommitTransactionCommand();
	MemoryContextSwitchTo(context);
	return cleanup;
}

/* The action, or NULL when nobody asks for it any more. */
static char *
take_order(const ApplyOrder *order, MemoryContext context)
{
	Oid types[] = { INT8OID };
	Datum values[] = { Int64GetDatum(order->application_id) };
	char *sql;

	/* Nothing that a transaction asked for is done before it has committed. */
	StartTransactionCommand();
	XactLockTableWait(order->xid, NULL, NULL, XLTW_None);
	CommitTransactionCommand();
	if (!TransactionIdDidCommit(order->xid))
		return NULL;

	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	sql = ask_owner(order->owner, "SELECT perfopt.take_application($1)", 1, types, values, NULL);
	if (sql != NULL)
		sql = MemoryContextStrdup(context, sql);
	PopActiveSnapshot();
	CommitTransactionCommand();
	return sql;
}

/* Returns the message of the first error, which ends it, or NULL. */
static char *
run_statements(const ApplyOrder *order, const char *sql, int *done)
{
	MemoryContext context = CurrentMemoryContext;
	char *volatile error = NULL;

	PG_TRY();
	{
		ListCell *cell;

		foreach (cell, pg_parse_query(sql))
		{
			run_statement(lfirst_node(RawStmt, cell), sql);
			if (done != NULL)
				(void) tell(order, ++*done, NULL, false);
		}
	}
	PG_CATCH();
	{
		ErrorData *edata;

		HOLD_INTERRUPTS();
		MemoryContextSwitchTo(context);
		edata = CopyErrorData();
		FlushErrorState();
		AbortCurrentTransaction();
		MemoryContextSwitchTo(context);
		error = edata->message;
		RESUME_INTERRUPTS();
	}
	PG_END_TRY();
	return error;
}

static void
run_action(const ApplyOrder *order, const char *sql)
{
	int done = 0;
	char *error = run_statements(order, sql, &done);
	char *cleanup = tell(order, done, error, true);

	if (cleanup != NULL)
	{
		error = run_statements(order, cleanup, NULL);
		if (error != NULL)
			ereport(LOG,
					(errmsg("could not clean up after a recommendation that failed: %s", error),
					 errdetail_internal("%s", cleanup)));
	}
}

void
perfopt_advise_apply_main(Datum arg)
{
	ApplyOrder order;
	MemoryContext context;
	char *sql;

	memcpy(&order, MyBgworkerEntry->bgw_extra, sizeof(order));
	perfopt_worker_begin(WORKER_NAME);
	BackgroundWorkerInitializeConnectionByOid(order.database, order.role, 0);
	SetConfigOption("search_path", "pg_catalog, pg_temp", PGC_USERSET, PGC_S_SESSION);

	context = AllocSetContextCreate(TopMemoryContext, WORKER_NAME, ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(context);
	sql = take_order(&order, context);
	MemoryContextSwitchTo(context);
	if (sql != NULL)
		run_action(&order, sql);
}
