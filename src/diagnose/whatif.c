/*
 * whatif.c
 *	  Planning a statement with and without an index.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "nodes/plannodes.h"
#include "parser/analyze.h"
#include "parser/parse_param.h"
#include "parser/parsetree.h"
#include "storage/latch.h"
#include "tcop/tcopprot.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/timeout.h"

#include "compat.h"
#include "diagnose/owner.h"
#include "diagnose/whatif.h"

#define MAX_SCANS 64

/* A sequential scan of the statement's plan. */
typedef struct SeqCost
{
	Oid relation;
	double cost;
	double rows; /* that it returns */
	List *qual;
	Index rti;
} SeqCost;

typedef struct Work
{
	PerfoptWhatIf *whatif;
	MemoryContext context; /* outlives the subtransaction */
	Oid owner;             /* the extension's; and its security context */
	int security;
	Oid hypothetical; /* hypopg's index that is there now */
	PlannedStmt *plan;
	int nscans;
	SeqCost scans[MAX_SCANS];
} Work;

static TimeoutId planning_timeout = MAX_TIMEOUTS;
static volatile sig_atomic_t timed_out = false;

/* In a signal handler: asks for a cancel, which examine()'s caller tells from the user's. */
static void
on_timeout(void)
{
	timed_out = true;
	InterruptPending = true;
	QueryCancelPending = true;
	SetLatch(MyLatch);
}

static void
act_as(const Work *work, Oid role)
{
	SetUserIdAndSecContext(role, work->security | SECURITY_LOCAL_USERID_CHANGE |
									 SECURITY_RESTRICTED_OPERATION);
}

static void
act_as_owner(const Work *work)
{
	SetUserIdAndSecContext(work->owner, work->security);
}

static void collect_scans(Work *work, Plan *plan);

static void
collect_scans_list(Work *work, List *plans)
{
	ListCell *cell;

	foreach (cell, plans)
		collect_scans(work, lfirst(cell));
}

static void
collect_scans(Work *work, Plan *plan)
{
	if (plan == NULL)
		return;
	if (IsA(plan, SeqScan) && work->nscans < MAX_SCANS)
	{
		SeqCost *scan = &work->scans[work->nscans++];
		Index rti = ((SeqScan *) plan)->scan.scanrelid;

		scan->relation = rt_fetch(rti, work->plan->rtable)->relid;
		scan->rti = rti;
		scan->cost = plan->total_cost;
		scan->rows = plan->plan_rows;
		scan->qual = plan->qual;
	}
	switch (nodeTag(plan))
	{
		case T_Append:
			collect_scans_list(work, ((Append *) plan)->appendplans);
			break;
		case T_MergeAppend:
			collect_scans_list(work, ((MergeAppend *) plan)->mergeplans);
			break;
		case T_SubqueryScan:
			collect_scans(work, ((SubqueryScan *) plan)->subplan);
			break;
		case T_CustomScan:
			collect_scans_list(work, ((CustomScan *) plan)->custom_plans);
			break;
		default:
			break;
	}
	collect_scans(work, plan->lefttree);
	collect_scans(work, plan->righttree);
}

static Query *
analyzed(const char *text)
{
	List *raw = pg_parse_query(text);
	RawStmt *statement;
	Oid *types = NULL;
	int ntypes = 0;

	if (list_length(raw) != 1)
		ereport(ERROR, (errcode(ERRCODE_SYNTAX_ERROR), errmsg("not one statement")));
	statement = linitial_node(RawStmt, raw);
	switch (nodeTag(statement->stmt))
	{
		case T_SelectStmt:
		case T_InsertStmt:
		case T_UpdateStmt:
		case T_DeleteStmt:
			break;
		default:
			ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
							errmsg("not a SELECT, INSERT, UPDATE or DELETE")));
	}
	return parse_analyze_varparams(statement, text, &types, &ntypes, NULL);
}

/* The generic plan of the statement's own query, and what it compares. */
static void
plan_statement(Work *work, const char *text, PerfoptCandidates *candidates, Query **query)
{
	List *rewritten;
	ListCell *cell;

	*query = analyzed(text);
	if ((*query)->commandType == CMD_UTILITY)
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED), errmsg("not a plain query")));
	rewritten = pg_rewrite_query(copyObject(*query));
	work->plan = NULL;
	work->nscans = 0;
	foreach (cell, rewritten)
	{
		Query *one = lfirst_node(Query, cell);

		if (perfopt_calls_untrusted(one, GetUserId()))
			ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
							errmsg("calls functions of other roles")));
		if (!one->canSetTag)
			continue;
		perfopt_collect_candidates(one, candidates);
		work->plan = pg_plan_query(one, text, CURSOR_OPT_PARALLEL_OK, NULL);
	}
	if (work->plan == NULL || work->plan->planTree == NULL)
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED), errmsg("rewritten by a rule")));
	collect_scans(work, work->plan->planTree);
	collect_scans_list(work, work->plan->subplans);
}

typedef struct Parameters
{
	Oid *types;
	int n;
} Parameters;

/* Parameters of EXPLAIN's statement may have any type, as in a generic plan. */
static void
any_parameters(ParseState *pstate, void *arg)
{
	Parameters *parameters = arg;

	setup_parse_variable_parameters(pstate, &parameters->types, &parameters->n);
}

/*
 * The cost by EXPLAIN, which is where hypopg's indexes take part.
 */
static double
explained_cost(const char *text)
{
	Parameters parameters = { NULL, 0 };
	StringInfoData json;
	SPIPlanPtr plan;
	const char *cost;

	SPI_connect();
	plan = SPI_prepare_params(psprintf(PERFOPT_EXPLAIN_GENERIC "%s", text), any_parameters,
							  &parameters, 0);
	if (plan == NULL || SPI_execute_plan(plan, NULL, NULL, false, 0) != SPI_OK_UTILITY)
		elog(ERROR, "could not explain a statement");
	initStringInfo(&json);
	for (uint64 i = 0; i < SPI_processed; i++)
		appendStringInfoString(&json,
							   SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1));
	cost = strstr(json.data, "\"Total Cost\":");
	if (cost == NULL)
		elog(ERROR, "EXPLAIN gave no cost");
	cost += strlen("\"Total Cost\":");
	{
		double value = strtod(cost, NULL);

		SPI_finish();
		return value;
	}
}

static Oid
create_hypothetical(Work *work, const PerfoptCandidate *candidate)
{
	char *table =
		quote_qualified_identifier(get_namespace_name(get_rel_namespace(candidate->relation)),
								   get_rel_name(candidate->relation));
	char *column = get_attname(candidate->relation, candidate->column, false);
	Oid types[1] = { TEXTOID };
	Datum values[1];
	bool isnull;
	Oid index;

	SPI_connect();
	values[0] =
		CStringGetTextDatum(psprintf("CREATE INDEX ON %s (%s)", table, quote_identifier(column)));
	SPI_execute_with_args(psprintf("SELECT indexrelid FROM %s.hypopg_create_index($1)",
								   work->whatif->hypopg),
						  1, types, values, NULL, false, 1);
	if (SPI_processed != 1)
		elog(ERROR, "hypopg created no index");
	index =
		DatumGetObjectId(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	SPI_finish();
	return index;
}

static void
drop_hypothetical(Work *work)
{
	Oid types[1] = { OIDOID };
	Datum values[1] = { ObjectIdGetDatum(work->hypothetical) };

	SPI_connect();
	SPI_execute_with_args(psprintf("SELECT %s.hypopg_drop_index($1)", work->whatif->hypopg), 1,
						  types, values, NULL, false, 1);
	SPI_finish();
	work->hypothetical = InvalidOid;
}

/* The cost of a statement, planned as `role`, if the index were there. */
static double
cost_with_index(Work *work, const char *text, Oid role, const PerfoptCandidate *candidate)
{
	double cost;

	act_as_owner(work);
	work->hypothetical = create_hypothetical(work, candidate);
	perfopt_set_locally("hypopg.enabled", "on");
	act_as(work, role);
	cost = explained_cost(text);
	act_as_owner(work);
	drop_hypothetical(work);
	act_as(work, work->whatif->role);
	return cost;
}

static bool
compares_column(const SeqCost *scan, AttrNumber column)
{
	ListCell *cell;

	foreach (cell, scan->qual)
	{
		Node *node = lfirst(cell);
		List *args = IsA(node, OpExpr)              ? ((OpExpr *) node)->args
					 : IsA(node, ScalarArrayOpExpr) ? ((ScalarArrayOpExpr *) node)->args
													: NIL;
		ListCell *arg;

		foreach (arg, args)
		{
			Var *var = lfirst(arg);

			while (IsA(var, RelabelType))
				var = (Var *) ((RelabelType *) var)->arg;
			if (IsA(var, Var) && var->varno == scan->rti && var->varattno == column)
				return true;
		}
	}
	return false;
}

/* Without hypopg: what the scan costs for rows that it throws away. */
static double
cost_without_scan(Work *work, const PerfoptCandidate *candidate, double rows, double cost)
{
	double saved = 0;

	for (int i = 0; i < work->nscans; i++)
	{
		const SeqCost *scan = &work->scans[i];

		if (scan->relation == candidate->relation && compares_column(scan, candidate->column))
			saved = Max(saved, scan->cost * (1 - Min(scan->rows / rows, 1.0)));
	}
	return cost - Min(saved, cost);
}

static double
estimated_rows(Oid relation)
{
	HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relation));
	double rows = 0;

	if (HeapTupleIsValid(tuple))
	{
		rows = ((Form_pg_class) GETSTRUCT(tuple))->reltuples;
		ReleaseSysCache(tuple);
	}
	return rows;
}

/* Keeps the best answer so far: what saves the greatest part. */
static void
answer(Work *work, const PerfoptCandidate *candidate, double base, double cost, bool foreign_key)
{
	PerfoptWhatIf *whatif = work->whatif;

	if (base <= 0 || cost >= base)
		return;
	if (whatif->state == PERFOPT_WHATIF_INDEX &&
		cost / base >= whatif->new_cost / whatif->base_cost)
		return;
	whatif->state = PERFOPT_WHATIF_INDEX;
	whatif->relation = candidate->relation;
	whatif->column = candidate->column;
	whatif->base_cost = base;
	whatif->new_cost = cost;
	whatif->rows = estimated_rows(candidate->relation);
	whatif->foreign_key = foreign_key;
}

static bool
is_scanned(const Work *work, Oid relation)
{
	for (int i = 0; i < work->nscans; i++)
	{
		if (work->scans[i].relation == relation)
			return true;
	}
	return false;
}

static void
consider_filters(Work *work, const PerfoptCandidates *candidates)
{
	PerfoptWhatIf *whatif = work->whatif;
	double base = work->plan->planTree->total_cost;

	for (int i = 0; i < candidates->n && base >= whatif->least_cost; i++)
	{
		const PerfoptCandidate *candidate = &candidates->items[i];
		double rows = estimated_rows(candidate->relation);
		double cost;

		if (!is_scanned(work, candidate->relation) || rows < whatif->least_rows ||
			perfopt_has_index(candidate->relation, candidate->column))
			continue;
		cost = whatif->hypopg ? cost_with_index(work, whatif->text, whatif->role, candidate)
							  : cost_without_scan(work, candidate, rows, base);
		answer(work, candidate, base, cost, false);
	}
}

typedef struct ForeignKey
{
	PerfoptCandidate column;
	Oid owner;   /* of the referring table: the check runs with its rights */
	char *check; /* what the server runs for each deleted row */
} ForeignKey;

/* Foreign keys of one column that refer to a table, from tables worth an index. */
static int
referring_keys(Oid referred, MemoryContext context, ForeignKey **keys)
{
	Oid types[1] = { OIDOID };
	Datum values[1] = { ObjectIdGetDatum(referred) };
	int n;

	SPI_connect();
	SPI_execute_with_args("SELECT c.conrelid, c.conkey[1], r.relowner, format("
						  "'SELECT 1 FROM ONLY %I.%I x WHERE x.%I = $1 FOR KEY SHARE OF x',"
						  " n.nspname, r.relname, a.attname)"
						  " FROM pg_catalog.pg_constraint c"
						  " JOIN pg_catalog.pg_class r ON r.oid = c.conrelid"
						  " JOIN pg_catalog.pg_namespace n ON n.oid = r.relnamespace"
						  " JOIN pg_catalog.pg_attribute a"
						  "  ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1]"
						  " WHERE c.contype = 'f' AND c.confrelid = $1 AND r.relkind = 'r'"
						  " AND array_length(c.conkey, 1) = 1 ORDER BY c.oid LIMIT 16",
						  1, types, values, NULL, true, 0);
	n = SPI_processed;
	*keys = MemoryContextAllocZero(context, sizeof(ForeignKey) * Max(n, 1));
	for (int i = 0; i < n; i++)
	{
		ForeignKey *key = &(*keys)[i];
		HeapTuple row = SPI_tuptable->vals[i];
		TupleDesc desc = SPI_tuptable->tupdesc;
		bool isnull;

		key->column.relation = DatumGetObjectId(SPI_getbinval(row, desc, 1, &isnull));
		key->column.column = DatumGetInt16(SPI_getbinval(row, desc, 2, &isnull));
		key->owner = DatumGetObjectId(SPI_getbinval(row, desc, 3, &isnull));
		key->check = MemoryContextStrdup(context, SPI_getvalue(row, desc, 4));
	}
	SPI_finish();
	return n;
}

/*
 * Each deleted row is looked for in the tables that refer to it.  These look-ups do not show in the
 * statement's plan; here they are priced by plans of their own.
 */
static void
consider_foreign_keys(Work *work, Query *query)
{
	double own = work->plan->planTree->total_cost;
	Plan *source = work->plan->planTree->lefttree;
	double rows = source ? Max(source->plan_rows, 1) : 1;
	Oid referred = rt_fetch(query->resultRelation, query->rtable)->relid;
	MemoryContext context = CurrentMemoryContext;
	ForeignKey *keys;
	int n;

	act_as_owner(work);
	n = referring_keys(referred, context, &keys);
	act_as(work, work->whatif->role);
	for (int i = 0; i < n; i++)
	{
		ForeignKey *key = &keys[i];
		PerfoptCandidates ignored = { 0 };
		Query *check;
		double scan;
		double cost = 0;

		if (estimated_rows(key->column.relation) < work->whatif->least_rows)
			continue;
		act_as(work, key->owner);
		plan_statement(work, key->check, &ignored, &check);
		scan = work->plan->planTree->total_cost;
		if (is_scanned(work, key->column.relation) &&
			!perfopt_has_index(key->column.relation, key->column.column))
		{
			if (work->whatif->hypopg)
				cost = cost_with_index(work, key->check, key->owner, &key->column);
			answer(work, &key->column, own + rows * scan, own + rows * Min(cost, scan), true);
		}
		act_as(work, work->whatif->role);
	}
}

static void
examine(Work *work)
{
	PerfoptWhatIf *whatif = work->whatif;
	PerfoptCandidates candidates = { 0 };
	Query *query;

	act_as(work, whatif->role);
	plan_statement(work, whatif->text, &candidates, &query);
	consider_filters(work, &candidates);
	if (query->commandType == CMD_DELETE)
		consider_foreign_keys(work, query);
}

static void
prepare_settings(const PerfoptWhatIf *whatif)
{
	(void) NewGUCNestLevel();
	perfopt_set_locally("search_path", whatif->search_path);
	perfopt_set_locally("lock_timeout", "100ms");
	perfopt_set_locally("max_parallel_workers_per_gather", "0");
}

/* After an error: what was it, and does it concern the user? */
static void
give_up(Work *work, ErrorData *error)
{
	if (error->sqlerrcode == ERRCODE_QUERY_CANCELED && !timed_out)
		ReThrowError(error);
	work->whatif->state = PERFOPT_WHATIF_SKIPPED;
	work->whatif->reason = timed_out ? psprintf("planning took over %d ms", PERFOPT_WHATIF_MS)
									 : pstrdup(unpack_sql_state(error->sqlerrcode));
	FreeErrorData(error);
}

void
perfopt_whatif(PerfoptWhatIf *whatif)
{
	Work *work = palloc0(sizeof(Work));
	ResourceOwner owner = CurrentResourceOwner;

	work->whatif = whatif;
	work->context = CurrentMemoryContext;
	GetUserIdAndSecContext(&work->owner, &work->security);
	whatif->state = PERFOPT_WHATIF_NOTHING;
	if (planning_timeout == MAX_TIMEOUTS)
		planning_timeout = RegisterTimeout(USER_TIMEOUT, on_timeout);

	timed_out = false;
	BeginInternalSubTransaction(NULL);
	PG_TRY();
	{
		enable_timeout_after(planning_timeout, PERFOPT_WHATIF_MS);
		PushActiveSnapshot(GetTransactionSnapshot());
		prepare_settings(whatif);
		examine(work);
		PopActiveSnapshot();
		disable_timeout(planning_timeout, false);
		RollbackAndReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		ErrorData *error;

		disable_timeout(planning_timeout, false);
		MemoryContextSwitchTo(work->context);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		CurrentResourceOwner = owner;
		MemoryContextSwitchTo(work->context);
		if (OidIsValid(work->hypothetical))
			drop_hypothetical(work);
		give_up(work, error);
	}
	PG_END_TRY();
	CurrentResourceOwner = owner;
	MemoryContextSwitchTo(work->context);

	/* It came too late to stop anything; what it asked for is not to hit what comes next. */
	if (timed_out && QueryCancelPending)
		QueryCancelPending = false;
	pfree(work);
}
