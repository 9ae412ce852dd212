/*
 * replay.c
 *	  Makes an operation of a statement, or says why it can't be one.
 *
 * All that could fail is done in a subtransaction, which is rolled back in any case: it has locked
 * tables, and a statement that can't be analysed is no error of who asks for a scenario.
 */
#include "postgres.h"

#include <ctype.h>

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "mb/pg_wchar.h"
#include "nodes/nodeFuncs.h"
#include "parser/analyze.h"
#include "parser/parser.h"
#include "parser/parsetree.h"
#include "tcop/tcopprot.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/resowner.h"

#include "load/load.h"
#include "load/replay.h"

/* Of more parameters than this nothing is known before analysis. */
#define MAX_PARAMS 1000

/* Bytes of a table's name in that of an operation. */
#define NAME_LENGTH 40

/* A locked table is waited for as long as this. */
#define LOCK_TIMEOUT "100ms"

/* Statements of ours are none that the server was asked to run. */
static void
set_locally(const char *name, const char *value)
{
	if (GetConfigOption(name, true, false) != NULL)
		(void) set_config_option(name, value, PGC_SUSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0,
								 false);
}

static bool
is_query(const RawStmt *raw)
{
	switch (nodeTag(raw->stmt))
	{
		case T_SelectStmt:
		case T_InsertStmt:
		case T_UpdateStmt:
		case T_DeleteStmt:
		case T_MergeStmt:
			return true;
		default:
			return false;
	}
}

/* Types of parameters that are known before analysis. */
typedef struct Parameters
{
	Oid *types;
	int n;
} Parameters;

static void
is_integer(Parameters *parameters, Node *node)
{
	const ParamRef *param = (ParamRef *) node;

	if (node != NULL && IsA(node, ParamRef) && param->number > 0 && param->number <= parameters->n)
		parameters->types[param->number - 1] = INT4OID;
}

/* If they are nothing but constants. */
static void
are_integers(Parameters *parameters, List *nodes)
{
	ListCell *cell;

	foreach (cell, nodes)
		if (lfirst(cell) != NULL && !IsA(lfirst(cell), ParamRef))
			return;
	foreach (cell, nodes)
		is_integer(parameters, lfirst(cell));
}

static void
results_are_integers(Parameters *parameters, const CaseExpr *expression)
{
	List *results = list_make1(expression->defresult);
	ListCell *cell;

	foreach (cell, expression->args)
		results = lappend(results, lfirst_node(CaseWhen, cell)->result);
	are_integers(parameters, results);
}

/* CURRENT_DATE - 7, which as CURRENT_DATE - $1 would be the distance of two dates. */
static void
days_are_integers(Parameters *parameters, const A_Expr *expression)
{
	if (expression->kind == AEXPR_OP && expression->lexpr != NULL &&
		IsA(expression->lexpr, SQLValueFunction) &&
		((SQLValueFunction *) expression->lexpr)->op == SVFOP_CURRENT_DATE)
		is_integer(parameters, expression->rexpr);
}

static bool
find_integers(Node *node, void *arg)
{
	if (node == NULL)
		return false;
	if (IsA(node, CaseExpr))
		results_are_integers(arg, (CaseExpr *) node);
	if (IsA(node, A_ArrayExpr))
		are_integers(arg, ((A_ArrayExpr *) node)->elements);
	if (IsA(node, A_Expr))
		days_are_integers(arg, (A_Expr *) node);
	return raw_expression_tree_walker(node, find_integers, arg);
}

/* Of perfopt's own statements not all can be analysed; that is of no interest. */
static bool
names_perfopt(Node *node, void *arg)
{
	if (node == NULL)
		return false;
	if (IsA(node, RangeVar) && ((RangeVar *) node)->schemaname != NULL &&
		strcmp(((RangeVar *) node)->schemaname, "perfopt") == 0)
		return true;
	if (IsA(node, FuncCall) && list_length(((FuncCall *) node)->funcname) == 2 &&
		strcmp(strVal(linitial(((FuncCall *) node)->funcname)), "perfopt") == 0)
		return true;
	return raw_expression_tree_walker(node, names_perfopt, arg);
}

static ReplayVerdict
parse(Replay *replay)
{
	List *raw = pg_parse_query(replay->text);

	if (list_length(raw) != 1)
		return REPLAY_UTILITY;
	replay->raw = linitial_node(RawStmt, raw);
	if (!is_query(replay->raw))
		return REPLAY_UTILITY;
	return names_perfopt(replay->raw->stmt, NULL) ? REPLAY_OWN : REPLAY_TAKEN;
}

static void
analyze(Replay *replay, bool integers)
{
	Parameters parameters = { NULL, 0 };

	if (integers)
	{
		parameters.n = MAX_PARAMS;
		parameters.types = palloc0(sizeof(Oid) * MAX_PARAMS);
		(void) find_integers(replay->raw->stmt, &parameters);
	}

	/* Analysis makes of the tree what it likes. */
	replay->query = parse_analyze_varparams(copyObject(replay->raw), replay->text,
											&parameters.types, &parameters.n, NULL);
	replay->nparams = parameters.n;
	replay->params = palloc0(sizeof(ReplayParam) * Max(1, replay->nparams));
}

/* Plans a statement with the caller's rights, with NULL for parameters, which is a value of any type. */
static void
explain(const char *sql)
{
	Parameters parameters = { NULL, 0 };
	Datum *values;
	char *nulls;
	SPIPlanPtr plan;

	(void) parse_analyze_varparams(linitial_node(RawStmt, pg_parse_query(sql)), sql,
								   &parameters.types, &parameters.n, NULL);
	values = palloc0(sizeof(Datum) * Max(1, parameters.n));
	nulls = palloc(Max(1, parameters.n));
	memset(nulls, 'n', Max(1, parameters.n));
	SPI_connect();
	plan = SPI_prepare(psprintf("EXPLAIN %s", sql), parameters.n, parameters.types);
	if (plan == NULL || SPI_execute_plan(plan, values, nulls, false, 0) != SPI_OK_UTILITY)
		elog(ERROR, "could not plan the statement");
	SPI_finish();
}

/* It must compile as an operation, and its statement must work in a session as this one was at first. */
static void
try_script(const Replay *replay)
{
	LoadOperation operation = { .name = replay->name, .script = replay->script };

	load_variables_read(&operation,
						DatumGetJsonbP(
							DirectFunctionCall1(jsonb_in, CStringGetDatum(replay->variables))));
	load_program_compile(&operation);
	set_locally("search_path", GetConfigOptionResetString("search_path"));
	explain(operation.statements[0].sql);
}

/* The first table that a query reads, wherever in it. */
static bool
find_table(Node *node, void *arg)
{
	Oid *table = arg;

	if (node == NULL)
		return false;
	if (IsA(node, Query))
		return query_tree_walker((Query *) node, find_table, arg, QTW_EXAMINE_RTES_BEFORE);
	if (IsA(node, RangeTblEntry))
	{
		if (((RangeTblEntry *) node)->rtekind == RTE_RELATION)
			*table = ((RangeTblEntry *) node)->relid;
		return OidIsValid(*table);
	}
	return expression_tree_walker(node, find_table, arg);
}

/* select_orders */
static char *
name_of(const Query *query)
{
	static const char *const verbs[] = { [CMD_SELECT] = "select",
										 [CMD_INSERT] = "insert",
										 [CMD_UPDATE] = "update",
										 [CMD_DELETE] = "delete",
										 [CMD_MERGE] = "merge" };
	const char *verb = verbs[query->commandType];
	Oid table = InvalidOid;

	if (query->resultRelation > 0)
		table = rt_fetch(query->resultRelation, query->rtable)->relid;
	else
		(void) find_table((Node *) query, &table);
	if (!OidIsValid(table))
		return pstrdup(verb);
	return psprintf("%s_%.*s", verb,
					pg_mbcliplen(get_rel_name(table), strlen(get_rel_name(table)), NAME_LENGTH),
					get_rel_name(table));
}

static ReplayVerdict
unknown_values(Replay *replay)
{
	for (int i = 0; i < replay->nparams; i++)
	{
		if (replay->params[i].used && replay->params[i].kind == REPLAY_NOWHERE)
		{
			replay->reason = psprintf("$%d", i + 1);
			return REPLAY_UNKNOWN;
		}
	}
	return REPLAY_TAKEN;
}

static ReplayVerdict
examine(Replay *replay, bool integers)
{
	ReplayVerdict verdict;
	char **stand_ins;

	verdict = parse(replay);
	if (verdict != REPLAY_TAKEN)
		return verdict;
	analyze(replay, integers);
	verdict = replay_check(replay, &replay->reason);
	if (verdict != REPLAY_TAKEN)
		return verdict;
	replay_params(replay);
	verdict = unknown_values(replay);
	if (verdict != REPLAY_TAKEN)
		return verdict;
	stand_ins = palloc0(sizeof(char *) * Max(1, replay->nparams));
	if (!replay_values(replay, stand_ins))
		return REPLAY_EMPTY;
	replay->name = name_of(replay->query);
	replay->script = replay_script(replay, stand_ins);
	try_script(replay);
	return REPLAY_TAKEN;
}

/* Returns the SQLSTATE of what went wrong, 0 if nothing. */
static int
attempt(Replay *replay, bool integers)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	volatile int failure = 0;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		(void) NewGUCNestLevel();
		set_locally("lock_timeout", LOCK_TIMEOUT);
		set_locally("pg_stat_statements.track", "none");
		replay->verdict = examine(replay, integers);
		RollbackAndReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		ErrorData *error;

		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(context);
		CurrentResourceOwner = owner;

		/* A cancel is meant for all of it. */
		if (ERRCODE_TO_CATEGORY(error->sqlerrcode) == ERRCODE_OPERATOR_INTERVENTION)
			ReThrowError(error);
		replay->verdict = REPLAY_FAILED;
		replay->reason = error->message;
		failure = error->sqlerrcode;
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
	return failure;
}

/* Since 18 the constants of SET are parameters too, and the text can't be parsed. */
static bool
is_set(const char *text)
{
	while (isspace((unsigned char) *text))
		text++;
	return pg_strncasecmp(text, "SET ", strlen("SET ")) == 0;
}

void
replay_statement(Replay *replay)
{
	int failure;
	const char *reason;

	if (is_set(replay->text))
	{
		replay->verdict = REPLAY_UTILITY;
		return;
	}
	replay->text = replay_repair(replay->text);
	failure = attempt(replay, false);
	if (failure != ERRCODE_UNDEFINED_FUNCTION && failure != ERRCODE_AMBIGUOUS_FUNCTION)
		return;

	/* A parameter without a type is text, but sum(CASE ... THEN $1 ELSE $2 END) wants numbers. */
	reason = replay->reason;
	if (attempt(replay, true) != 0)
		replay->reason = reason;
}
