/*
 * replay_source.c
 *	  The table whose values an expression of a query tree has.
 */
#include "postgres.h"

#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parsetree.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/ruleutils.h"

#include "load/replay.h"

/* Subqueries in subqueries; a recursive one refers to itself. */
#define MAX_DEPTH 20

Node *
replay_stripped(Node *node)
{
	for (;;)
	{
		if (node == NULL)
			return NULL;
		if (IsA(node, RelabelType))
			node = (Node *) ((RelabelType *) node)->arg;
		else if (IsA(node, CoerceViaIO))
			node = (Node *) ((CoerceViaIO *) node)->arg;
		else if (IsA(node, ArrayCoerceExpr))
			node = (Node *) ((ArrayCoerceExpr *) node)->arg;
		else if (IsA(node, CoerceToDomain))
			node = (Node *) ((CoerceToDomain *) node)->arg;
		else if (IsA(node, CollateExpr))
			node = (Node *) ((CollateExpr *) node)->arg;
		else if (IsA(node, FuncExpr) && ((FuncExpr *) node)->args != NIL &&
				 (((FuncExpr *) node)->funcformat == COERCE_IMPLICIT_CAST ||
				  ((FuncExpr *) node)->funcformat == COERCE_EXPLICIT_CAST))
			node = linitial(((FuncExpr *) node)->args);
		else
			return node;
	}
}

bool
replay_column(ReplaySource *source, Oid relation, AttrNumber column, const void *place, int number)
{
	char *name = get_attname(relation, column, true);

	if (name == NULL || column <= 0)
		return false;
	source->relation = relation;
	source->column = column;
	source->value = psprintf("t.%s", quote_identifier(name));
	source->type = get_atttype(relation, column);
	source->place = place;
	source->number = number;
	return true;
}

static bool resolve(List *queries, Node *node, ReplaySource *source, int depth);

Node *
replay_column_of_query(Query *query, AttrNumber column)
{
	TargetEntry *entry = get_tle_by_resno(query->targetList, column);

	return entry == NULL ? NULL : (Node *) entry->expr;
}

static bool
resolve_cte(List *queries, const RangeTblEntry *rte, AttrNumber column, ReplaySource *source,
			int depth)
{
	Query *query;
	ListCell *cell;

	if (rte->ctelevelsup >= list_length(queries))
		return false;
	query = list_nth(queries, rte->ctelevelsup);
	foreach (cell, query->cteList)
	{
		CommonTableExpr *cte = lfirst_node(CommonTableExpr, cell);

		if (strcmp(cte->ctename, rte->ctename) == 0 && IsA(cte->ctequery, Query) &&
			((Query *) cte->ctequery)->commandType == CMD_SELECT)
			return resolve(lcons(cte->ctequery, list_copy_tail(queries, rte->ctelevelsup)),
						   replay_column_of_query((Query *) cte->ctequery, column), source,
						   depth + 1);
	}
	return false;
}

/* The table's column that this is, through joins and subqueries. */
static bool
resolve(List *queries, Node *node, ReplaySource *source, int depth)
{
	const Var *var = (Var *) replay_stripped(node);
	List *outer;
	Query *query;
	RangeTblEntry *rte;

	if (var == NULL || !IsA(var, Var) || depth > MAX_DEPTH || var->varattno <= 0 ||
		var->varlevelsup >= list_length(queries))
		return false;
	outer = list_copy_tail(queries, var->varlevelsup);
	query = linitial(outer);
	rte = rt_fetch(var->varno, query->rtable);
	switch (rte->rtekind)
	{
		case RTE_RELATION:
			return replay_column(source, rte->relid, var->varattno, query, var->varno);
		case RTE_JOIN:
			return resolve(outer, list_nth(rte->joinaliasvars, var->varattno - 1), source,
						   depth + 1);
		case RTE_SUBQUERY:
			return resolve(lcons(rte->subquery, outer),
						   replay_column_of_query(rte->subquery, var->varattno), source, depth + 1);
		case RTE_CTE:
			return resolve_cte(outer, rte, var->varattno, source, depth);
		default:
			return false;
	}
}

/* Columns that an expression is made of. */
typedef struct Columns
{
	int varno; /* 0: none was seen yet */
	bool mixed;
} Columns;

static bool
find_columns(Node *node, void *arg)
{
	Columns *columns = arg;

	if (node == NULL)
		return false;
	switch (nodeTag(node))
	{
		case T_Var:
		{
			const Var *var = (Var *) node;

			columns->mixed |= var->varlevelsup > 0 || var->varattno <= 0 ||
							  (columns->varno > 0 && columns->varno != var->varno);
			columns->varno = var->varno;
			return columns->mixed;
		}
		case T_Param:
		case T_Aggref:
		case T_GroupingFunc:
		case T_WindowFunc:
		case T_SubLink:
		case T_CaseTestExpr:
		case T_Query:
			columns->mixed = true;
			return true;
		default:
			return expression_tree_walker(node, find_columns, arg);
	}
}

static bool
renumber(Node *node, void *arg)
{
	if (node == NULL)
		return false;
	if (IsA(node, Var))
		((Var *) node)->varno = 1;
	return expression_tree_walker(node, renumber, arg);
}

char *
replay_sql(Node *expression, Oid relation)
{
	List *context = OidIsValid(relation) ? deparse_context_for("t", relation) : NIL;
	int level = NewGUCNestLevel();
	Node *copy = copyObject(expression);
	char *sql;

	(void) set_config_option("search_path", "pg_catalog, pg_temp", PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
	(void) renumber(copy, NULL);
	sql = psprintf("(%s)", deparse_expression(copy, context, true, false));
	AtEOXact_GUC(true, level);
	return sql;
}

bool
replay_source(List *queries, Node *node, ReplaySource *source)
{
	Query *query = linitial(queries);
	Columns columns = { 0 };
	RangeTblEntry *rte;

	if (resolve(queries, node, source, 0))
		return true;
	(void) find_columns(node, &columns);
	if (columns.mixed || columns.varno == 0 || columns.varno > list_length(query->rtable) ||
		contain_volatile_functions(node))
		return false;
	rte = rt_fetch(columns.varno, query->rtable);
	if (rte->rtekind != RTE_RELATION)
		return false;
	source->relation = rte->relid;
	source->column = 0;
	source->value = replay_sql(node, rte->relid);
	source->type = exprType(node);
	source->place = query;
	source->number = columns.varno;
	return true;
}

bool
replay_is_constant(Node *node)
{
	Columns columns = { 0 };

	(void) find_columns(node, &columns);
	return !columns.mixed && columns.varno == 0 && !contain_volatile_functions(node);
}
