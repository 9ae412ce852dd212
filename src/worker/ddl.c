/*
 * ddl.c
 *	  What workers owe to DDL: leave a database that somebody drops, renames, moves or copies; keep
 *	  off an extension that is being dropped; begin at once when extension or database appear.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/dependency.h"
#include "catalog/pg_database.h"
#include "catalog/pg_extension.h"
#include "commands/dbcommands.h"
#include "commands/defrem.h"
#include "commands/extension.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/lmgr.h"
#include "storage/proc.h"
#include "storage/procarray.h"
#include "tcop/utility.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "guc.h"
#include "worker/shared.h"

/* How long DDL waits for the workers to leave; after that it meets the server's own error. */
#define LEAVE_TIMEOUT_MS 10000

static ProcessUtility_hook_type prev_process_utility = NULL;
static bool wake_at_commit = false;

bool
perfopt_worker_paused(const char *database)
{
	for (int i = 0; i < PERFOPT_MAX_PAUSES; i++)
		if (perfopt_worker_shared->pauses[i].pid != 0 &&
			strcmp(NameStr(perfopt_worker_shared->pauses[i].database), database) == 0)
			return true;
	return false;
}

static void
clear_pause(void)
{
	SpinLockAcquire(&perfopt_worker_shared->mutex);
	for (int i = 0; i < PERFOPT_MAX_PAUSES; i++)
		if (perfopt_worker_shared->pauses[i].pid == MyProcPid)
			perfopt_worker_shared->pauses[i].pid = 0;
	SpinLockRelease(&perfopt_worker_shared->mutex);
}

static void
clear_pause_at_exit(int code, Datum arg)
{
	clear_pause();
}

static int
connected_workers(const char *database, pid_t *pids)
{
	int n = 0;

	SpinLockAcquire(&perfopt_worker_shared->mutex);
	for (int i = 0; i < PERFOPT_WORKER_SLOTS; i++)
	{
		const WorkerSlot *slot = &perfopt_worker_shared->slots[i];

		if (slot->pid != 0 && slot->connected && strcmp(NameStr(slot->database), database) == 0)
			pids[n++] = slot->pid;
	}
	SpinLockRelease(&perfopt_worker_shared->mutex);
	return n;
}

/*
 * Keeps workers from connecting to a database until clear_pause(), and sends away those that are
 * connected to it.
 */
static void
pause_workers(const char *database)
{
	static bool exit_callback = false;
	TimestampTz give_up = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), LEAVE_TIMEOUT_MS);
	pid_t pids[PERFOPT_WORKER_SLOTS];
	int n;

	/* FATAL does not pass through the statement's PG_FINALLY. */
	if (!exit_callback)
		before_shmem_exit(clear_pause_at_exit, (Datum) 0);
	exit_callback = true;

	SpinLockAcquire(&perfopt_worker_shared->mutex);
	for (int i = 0; i < PERFOPT_MAX_PAUSES; i++)
	{
		WorkerPause *pause = &perfopt_worker_shared->pauses[i];

		if (pause->pid == 0)
		{
			pause->pid = MyProcPid;
			namestrcpy(&pause->database, database);
			break;
		}
	}
	SpinLockRelease(&perfopt_worker_shared->mutex);

	n = connected_workers(database, pids);
	for (int i = 0; i < n; i++)
		kill(pids[i], SIGTERM);

	while (n > 0 && GetCurrentTimestamp() < give_up)
	{
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, 20,
						 PERFOPT_WAIT_EVENT_MAIN);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
		n = connected_workers(database, pids);
	}
}

static const char *
option_value(List *options, const char *name)
{
	ListCell *lc;

	foreach (lc, options)
	{
		DefElem *def = lfirst_node(DefElem, lc);

		if (def->arg != NULL && strcmp(def->defname, name) == 0)
			return defGetString(def);
	}
	return NULL;
}

/* The database that a statement needs free of sessions, or NULL. */
static const char *
database_needed_free(Node *stmt)
{
	switch (nodeTag(stmt))
	{
		case T_DropdbStmt:
			return ((DropdbStmt *) stmt)->dbname;
		case T_RenameStmt:
			return ((RenameStmt *) stmt)->renameType == OBJECT_DATABASE
					   ? ((RenameStmt *) stmt)->subname
					   : NULL;
		case T_AlterDatabaseStmt:
			return option_value(((AlterDatabaseStmt *) stmt)->options, "tablespace")
					   ? ((AlterDatabaseStmt *) stmt)->dbname
					   : NULL;
		case T_CreatedbStmt:
			return option_value(((CreatedbStmt *) stmt)->options, "template");
		default:
			return NULL;
	}
}

/*
 * The database that the workers have to leave for a statement, or NULL.  Somebody who may not do it
 * anyway must not be able to stop them by trying.
 */
static const char *
database_to_leave(Node *stmt)
{
	const char *dbname = database_needed_free(stmt);
	Oid dbid;

	if (dbname == NULL)
		return NULL;
	dbid = get_database_oid(dbname, true);
	if (!OidIsValid(dbid) || dbid == MyDatabaseId || !perfopt_owns_database(dbid, GetUserId()))
		return NULL;
	return dbname;
}

static bool
brings_work(Node *stmt)
{
	switch (nodeTag(stmt))
	{
		case T_CreateExtensionStmt:
			return strcmp(((CreateExtensionStmt *) stmt)->extname, "perfopt") == 0;
		case T_CreatedbStmt:
			return true;
		case T_RenameStmt:
			return ((RenameStmt *) stmt)->renameType == OBJECT_DATABASE;
		default:
			return false;
	}
}

static void
process_utility(PlannedStmt *pstmt, const char *queryString, bool readOnlyTree,
				ProcessUtilityContext context, ParamListInfo params, QueryEnvironment *queryEnv,
				DestReceiver *dest, QueryCompletion *qc)
{
	bool wake = brings_work(pstmt->utilityStmt);
	const char *leave = database_to_leave(pstmt->utilityStmt);

	if (leave == NULL)
		prev_process_utility(pstmt, queryString, readOnlyTree, context, params, queryEnv, dest, qc);
	else
	{
		PG_TRY();
		{
			pause_workers(leave);
			prev_process_utility(pstmt, queryString, readOnlyTree, context, params, queryEnv, dest,
								 qc);
		}
		PG_FINALLY();
		{
			clear_pause();
		}
		PG_END_TRY();
	}
	wake_at_commit |= wake;
}

static void
wake_workers(XactEvent event, void *arg)
{
	if (event != XACT_EVENT_COMMIT && event != XACT_EVENT_ABORT)
		return;
	if (wake_at_commit && event == XACT_EVENT_COMMIT)
	{
		SpinLockAcquire(&perfopt_worker_shared->mutex);
		perfopt_worker_shared->database_missing = false;
		SpinLockRelease(&perfopt_worker_shared->mutex);
		for (int i = 0; i < PERFOPT_STATIC_SLOTS; i++)
			perfopt_worker_request(i);
	}
	wake_at_commit = false;
}

void
perfopt_worker_install_hooks(void)
{
	prev_process_utility = ProcessUtility_hook ? ProcessUtility_hook : standard_ProcessUtility;
	ProcessUtility_hook = process_utility;
	RegisterXactCallback(wake_workers, NULL);
}

PerfoptExtensionState
perfopt_extension_hold(void)
{
	Oid extension = get_extension_oid("perfopt", true);
	LOCKTAG tag;

	if (!OidIsValid(extension))
		return PERFOPT_EXTENSION_MISSING;

	SET_LOCKTAG_OBJECT(tag, MyDatabaseId, ExtensionRelationId, extension, 0);
	if (LockAcquire(&tag, AccessShareLock, false, true) == LOCKACQUIRE_NOT_AVAIL)
		return PERFOPT_EXTENSION_BUSY;

	/* It may have gone between the look and the lock. */
	AcceptInvalidationMessages();
	if (get_extension_oid("perfopt", true) != extension)
		return PERFOPT_EXTENSION_MISSING;
	return PERFOPT_EXTENSION_READY;
}
