/*
 * replay_check.c
 *	  May a statement be run again, many times and by somebody else?
 *
 * What is looked at is the statement as rewritten, so that views are what they stand for.  Functions
 * count by what they promise: one that is not volatile does not write.  Of the server's own volatile
 * functions those are known that only read, and those whose effect ends with the transaction.
 *
 * The statement ran with somebody else's rights, and will run with those of whoever starts the test.  So
 * functions whose owner is neither that role nor a superuser are not called, unless they run with their
 * owner's rights anyway.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "access/transam.h"
#include "catalog/dependency.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_proc.h"
#include "commands/extension.h"
#include "commands/trigger.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "parser/parsetree.h"
#include "tcop/tcopprot.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "load/replay.h"

typedef struct Check
{
	bool read_only;
	Oid own_schema;
	Oid statistics;  /* the extension pg_stat_statements */
	bool has_table;  /* that is not the server's */
	bool has_system; /* a catalog, or a function that tells of the server */
	ReplayVerdict verdict;
	const char *reason;
} Check;

static const char *const reading_functions[] = {
	"clock_timestamp",
	"gen_random_uuid",
	"pg_database_size",
	"pg_relation_size",
	"pg_sleep",
	"pg_table_size",
	"pg_total_relation_size",
	"random",
	"random_normal",
	"timeofday",
	"uuidv4",
	"uuidv7",
};

static const char *const writing_functions[] = {
	"currval",
	"lastval",
	"nextval",
	"pg_advisory_xact_lock",
	"pg_advisory_xact_lock_shared",
	"pg_notify",
	"pg_try_advisory_xact_lock",
	"pg_try_advisory_xact_lock_shared",
};

static bool
is_among(const char *name, const char *const *names, int n)
{
	for (int i = 0; i < n; i++)
		if (strcmp(name, names[i]) == 0)
			return true;
	return false;
}

/* True, which ends the walk. */
static bool
object(Check *check, ReplayVerdict verdict, const char *reason)
{
	check->verdict = verdict;
	check->reason = reason;
	return true;
}

static bool
check_volatile(Check *check, Oid function, const char *name)
{
	bool builtin = function < FirstNormalObjectId;

	if (builtin && is_among(name, reading_functions, lengthof(reading_functions)))
		return false;
	if (check->read_only)
		return object(check, REPLAY_WRITES, psprintf("function %s() may write", name));
	if (builtin && !is_among(name, writing_functions, lengthof(writing_functions)))
		return object(check, REPLAY_ACTS, psprintf("function %s()", name));
	return false;
}

static bool
is_trusted(const Form_pg_proc function)
{
	return function->prosecdef || function->proowner == GetUserId() ||
		   superuser_arg(function->proowner);
}

static bool
check_function(Oid oid, void *arg)
{
	Check *check = arg;
	HeapTuple tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(oid));
	Form_pg_proc function;
	bool found = false;

	if (!HeapTupleIsValid(tuple))
		return false;
	function = (Form_pg_proc) GETSTRUCT(tuple);
	if (oid >= FirstNormalObjectId)
	{
		if (function->pronamespace == check->own_schema ||
			(OidIsValid(check->statistics) &&
			 getExtensionOfObject(ProcedureRelationId, oid) == check->statistics))
			found = object(check, REPLAY_OWN, NULL);
		else if (!is_trusted(function))
			found = object(check, REPLAY_UNTRUSTED,
						   psprintf("function %s() of role %s", NameStr(function->proname),
									GetUserNameFromId(function->proowner, false)));
	}
	else
		check->has_system |= strncmp(NameStr(function->proname), "pg_", strlen("pg_")) == 0;
	if (!found && function->provolatile == PROVOLATILE_VOLATILE)
		found = check_volatile(check, oid, NameStr(function->proname));
	ReleaseSysCache(tuple);
	return found;
}

/* Triggers run with the rights of who writes. */
static bool
check_triggers(Check *check, Oid relid)
{
	Relation relation = table_open(relid, NoLock);
	const TriggerDesc *triggers = relation->trigdesc;
	bool found = false;

	for (int i = 0; triggers != NULL && i < triggers->numtriggers && !found; i++)
	{
		HeapTuple tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(triggers->triggers[i].tgfoid));

		if (!HeapTupleIsValid(tuple))
			continue;
		if (!is_trusted((Form_pg_proc) GETSTRUCT(tuple)))
			found = object(check, REPLAY_UNTRUSTED,
						   psprintf("trigger %s on %s", triggers->triggers[i].tgname,
									RelationGetRelationName(relation)));
		ReleaseSysCache(tuple);
	}
	table_close(relation, NoLock);
	return found;
}

static bool
check_relation(Check *check, Oid relid)
{
	if (get_rel_namespace(relid) == check->own_schema)
		return object(check, REPLAY_OWN, NULL);
	check->has_table |= relid >= FirstNormalObjectId;
	check->has_system |= relid < FirstNormalObjectId;
	if (get_rel_persistence(relid) == RELPERSISTENCE_TEMP)
		return object(check, REPLAY_FAILED, psprintf("table %s is temporary", get_rel_name(relid)));
	return false;
}

static bool
check_query(Check *check, Query *query)
{
	ListCell *cell;

	foreach (cell, query->rtable)
	{
		const RangeTblEntry *rte = lfirst_node(RangeTblEntry, cell);

		if (rte->rtekind == RTE_RELATION && check_relation(check, rte->relid))
			return true;
	}
	if (check->read_only && (query->commandType != CMD_SELECT || query->hasModifyingCTE))
		return object(check, REPLAY_WRITES, NULL);
	if (check->read_only && query->rowMarks != NIL)
		return object(check, REPLAY_WRITES, "it locks rows");
	if (query->utilityStmt != NULL)
		return object(check, REPLAY_UTILITY, NULL);
	return query->resultRelation > 0 && query->commandType != CMD_SELECT &&
		   check_triggers(check, rt_fetch(query->resultRelation, query->rtable)->relid);
}

static bool
walk(Node *node, void *arg)
{
	Check *check = arg;

	if (node == NULL)
		return false;
	if (IsA(node, Query))
		return check_query(check, (Query *) node) ||
			   query_tree_walker((Query *) node, walk, arg, 0);
	if (IsA(node, NextValueExpr) && check->read_only)
		return object(check, REPLAY_WRITES, NULL);
	return check_functions_in_node(node, check_function, check) ||
		   expression_tree_walker(node, walk, arg);
}

ReplayVerdict
replay_check(const Replay *replay, const char **reason)
{
	Check check = { .read_only = replay->read_only,
					.own_schema = get_namespace_oid("perfopt", true),
					.statistics = get_extension_oid("pg_stat_statements", true),
					.verdict = REPLAY_TAKEN };
	List *rewritten;
	ListCell *cell;
	bool done;

	if (replay->query->commandType == CMD_UTILITY)
		return REPLAY_UTILITY;
	done = walk((Node *) replay->query, &check);
	rewritten = done ? NIL : pg_rewrite_query(copyObject(replay->query));
	foreach (cell, rewritten)
		if (walk(lfirst(cell), &check))
			break;
	*reason = check.reason;

	/* Among those are all of perfopt's collector. */
	if (check.verdict != REPLAY_OWN && check.has_system && !check.has_table)
	{
		*reason = NULL;
		return REPLAY_OWN;
	}
	return check.verdict;
}
