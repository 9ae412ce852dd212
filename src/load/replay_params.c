/*
 * replay_params.c
 *	  Where the values of a statement's parameters may come from.
 *
 * A walk through the query tree that looks for parameters beside something that says it: the other side
 * of a comparison, the column that they are stored in, LIMIT.  Columns are followed through joins,
 * subqueries and WITH to the table that has them.
 *
 * Parameters that are compared with columns of one table, or stored in one row of it, make a group:
 * their values must come from one row, or the conditions together would find nothing.
 */
#include "postgres.h"

#include "access/transam.h"
#include "catalog/pg_type.h"
#include "nodes/nodeFuncs.h"
#include "parser/parsetree.h"
#include "utils/lsyscache.h"

#include "load/replay_walk.h"

static bool visit(Node *node, void *arg);

int
replay_param_number(const ReplayWalk *walk, Node *node)
{
	node = replay_stripped(node);
	if (node == NULL || !IsA(node, Param) || ((Param *) node)->paramkind != PARAM_EXTERN ||
		((Param *) node)->paramid > walk->replay->nparams)
		return 0;
	return ((Param *) node)->paramid;
}

int
replay_group(ReplayWalk *walk, const void *place, int number, int row)
{
	for (int i = 0; i < walk->ngroups; i++)
	{
		const RowGroup *group = &walk->groups[i];

		if (group->place == place && group->number == number && group->row == row &&
			group->branch == walk->branch)
			return i + 1;
	}
	if (walk->ngroups == MAX_GROUPS)
		return 0;
	walk->groups[walk->ngroups++] = (RowGroup){ place, number, row, walk->branch };
	return walk->ngroups;
}

void
replay_note(const ReplayWalk *walk, int number, ReplayKind kind, const ReplaySource *source,
			int group)
{
	ReplayParam *param;

	if (number == 0)
		return;
	param = &walk->replay->params[number - 1];
	if (kind <= param->kind)
		return;
	param->kind = kind;
	param->group = group;
	if (source == NULL)
		return;
	param->relation = source->relation;
	param->column = source->column;
	param->value = source->value;
	param->value_type = source->type;
}

static bool
is_numeric(Oid type)
{
	char category;
	bool preferred;

	get_type_category_preferred(type, &category, &preferred);
	return category == TYPCATEGORY_NUMERIC;
}

/* Any value will do for those of these arguments that are parameters, if they are numbers, or texts. */
static void
any_values(const ReplayWalk *walk, List *args, bool texts)
{
	ListCell *cell;

	foreach (cell, args)
	{
		int number = replay_param_number(walk, lfirst(cell));
		Oid type = number > 0 ? walk->replay->params[number - 1].type : InvalidOid;

		if (number > 0 && (is_numeric(type) || (texts && (type == TEXTOID || type == VARCHAROID))))
			replay_note(walk, number, REPLAY_ANY, NULL, 0);
	}
}

/* In what is returned, an operator that takes any value of its type. */
static void
look_at_output(const ReplayWalk *walk, const OpExpr *operation)
{
	static const char *const names[] = { "+", "-", "*", "/", "||", "->", "->>" };

	if (replay_is_operator(operation->opno, names, lengthof(names)))
		any_values(walk, operation->args, true);
}

/*
 * In what is returned, a function that does: round(x, $1).  Others, like date_trunc($1, x), don't.  Some
 * take any text too; substring() would take it for a regular expression.
 */
static void
look_at_call(const ReplayWalk *walk, Oid function, List *args)
{
	static const struct
	{
		const char *name;
		bool texts;
	} functions[] = { { "concat", true },     { "concat_ws", true },  { "lag", false },
					  { "lead", false },      { "left", false },      { "lpad", true },
					  { "replace", true },    { "right", false },     { "round", false },
					  { "rpad", true },       { "string_agg", true }, { "substr", false },
					  { "substring", false }, { "to_char", true },    { "trunc", false } };
	char *name = function < FirstNormalObjectId && walk->output ? get_func_name(function) : NULL;

	for (int i = 0; name != NULL && i < lengthof(functions); i++)
		if (strcmp(name, functions[i].name) == 0)
			any_values(walk, args, functions[i].texts);
}

/* WHERE true, ON true.  A statement that returned rows has not been told false. */
static void
look_at_condition(const ReplayWalk *walk, Node *condition)
{
	if (walk->replay->rows > 0)
		replay_note(walk, replay_param_number(walk, condition), REPLAY_ANY, NULL, 0);
}

static void
look_at_conditions(const ReplayWalk *walk, List *conditions)
{
	ListCell *cell;

	foreach (cell, conditions)
		look_at_condition(walk, lfirst(cell));
}

static List *
expressions_of(List *entries)
{
	List *expressions = NIL;
	ListCell *cell;

	foreach (cell, entries)
		expressions = lappend(expressions, lfirst_node(TargetEntry, cell)->expr);
	return expressions;
}

static void
look_at_change(ReplayWalk *walk, const OpExpr *operation)
{
	if (!replay_is_sum(operation->opno) || !is_numeric(operation->opresulttype))
		return;
	for (int i = 0; i < list_length(operation->args); i++)
	{
		int number = replay_param_number(walk, list_nth(operation->args, i));

		if (number > 0 && is_numeric(walk->replay->params[number - 1].type))
			replay_note(walk, number, REPLAY_CHANGE, NULL, 0);
	}
}

static void
look_at_operation(ReplayWalk *walk, const OpExpr *operation)
{
	if (list_length(operation->args) == 2)
		replay_compare(walk, operation->opno, linitial(operation->args), lsecond(operation->args));
	if (walk->output)
		look_at_output(walk, operation);
	if (walk->stored)
		look_at_change(walk, operation);
}

/* coalesce(x, $1), greatest(x, $1): a value of the same kind. */
static void
look_at_alternatives(ReplayWalk *walk, List *args)
{
	ListCell *cell;
	ReplaySource source;
	bool found = false;

	foreach (cell, args)
		found = found || replay_source(walk->queries, lfirst(cell), &source);
	foreach (cell, args)
	{
		int number = replay_param_number(walk, lfirst(cell));

		if (found)
			replay_note(walk, number, REPLAY_COMPARED, &source, 0);
		else if (walk->output)
			replay_note(walk, number, REPLAY_ANY, NULL, 0);
	}
}

static void
look_at_results(ReplayWalk *walk, const CaseExpr *expression)
{
	ListCell *cell;

	if (!walk->output)
		return;
	replay_note(walk, replay_param_number(walk, (Node *) expression->defresult), REPLAY_ANY, NULL,
				0);
	foreach (cell, expression->args)
		replay_note(walk, replay_param_number(walk, (Node *) lfirst_node(CaseWhen, cell)->result),
					REPLAY_ANY, NULL, 0);
}

static void
store(ReplayWalk *walk, Node *value, Oid relation, AttrNumber column, const void *place, int row)
{
	int number = replay_param_number(walk, value);
	int group = number > 0 ? replay_group(walk, place, STORED, row) : 0;
	ReplaySource source;

	/* Without a group nothing would see to unique keys. */
	if (group > 0 && replay_column(&source, relation, column, place, row))
		replay_note(walk, number, REPLAY_STORED, &source, group);
}

/* What an INSERT gets from VALUES or a SELECT. */
static void
store_column(ReplayWalk *walk, Query *query, const Var *var, Oid relation, AttrNumber column)
{
	RangeTblEntry *rte = rt_fetch(var->varno, query->rtable);
	ListCell *cell;
	int row = 1;

	if (rte->rtekind == RTE_SUBQUERY)
		store(walk, replay_column_of_query(rte->subquery, var->varattno), relation, column, query,
			  0);
	if (rte->rtekind != RTE_VALUES)
		return;
	foreach (cell, rte->values_lists)
		store(walk, list_nth(lfirst(cell), var->varattno - 1), relation, column, query, row++);
}

/* place is what tells this target list from others that store in the same table. */
static void
look_at_assignments(ReplayWalk *walk, Query *query, List *entries, const void *place)
{
	Oid relation = rt_fetch(query->resultRelation, query->rtable)->relid;
	ListCell *cell;

	foreach (cell, entries)
	{
		TargetEntry *entry = lfirst_node(TargetEntry, cell);
		Node *value = replay_stripped((Node *) entry->expr);

		if (entry->resjunk)
			continue;
		if (value != NULL && IsA(value, Var) && ((Var *) value)->varlevelsup == 0)
			store_column(walk, query, (Var *) value, relation, entry->resno);
		else
			store(walk, (Node *) entry->expr, relation, entry->resno, place, 0);
	}
}

/* Constants that are returned as they are: SELECT 1 FROM ... */
static void
look_at_returned(ReplayWalk *walk, List *entries)
{
	ListCell *cell;

	foreach (cell, expressions_of(entries))
		replay_note(walk, replay_param_number(walk, lfirst(cell)), REPLAY_ANY, NULL, 0);
}

static void
walk_part(ReplayWalk *walk, void *part, bool output, bool stored)
{
	bool was_output = walk->output;
	bool was_stored = walk->stored;

	walk->output = output;
	walk->stored = stored;
	(void) visit(part, walk);
	walk->output = was_output;
	walk->stored = was_stored;
}

static void
look_at_query(ReplayWalk *walk, Query *query)
{
	bool topmost = list_length(walk->queries) == 1;
	bool writes = query->commandType == CMD_INSERT || query->commandType == CMD_UPDATE;

	replay_note(walk, replay_param_number(walk, query->limitCount), REPLAY_LIMIT, NULL, 0);
	replay_note(walk, replay_param_number(walk, query->limitOffset), REPLAY_OFFSET, NULL, 0);
	if (topmost && query->commandType == CMD_SELECT)
		look_at_returned(walk, query->targetList);
	if (topmost)
		look_at_returned(walk, query->returningList);
	if (writes)
		look_at_assignments(walk, query, query->targetList, query);
	if (query->onConflict != NULL)
		look_at_assignments(walk, query, query->onConflict->onConflictSet, query->onConflict);
	if (writes)
		walk_part(walk, query->targetList, false, true);
	else if (topmost)
		walk_part(walk, query->targetList, true, false);
	walk_part(walk, query->returningList, topmost, false);
	walk_part(walk, query->onConflict, false, true);
}

static void
walk_query(ReplayWalk *walk, Query *query)
{
	bool was_output = walk->output;
	bool was_stored = walk->stored;
	const void *outer = walk->branch;

	walk->queries = lcons(query, walk->queries);
	walk->branch = NULL;
	look_at_query(walk, query);
	walk->output = walk->stored = false;
	(void) query_tree_walker(query, visit, walk, 0);
	walk->output = was_output;
	walk->stored = was_stored;
	walk->branch = outer;
	walk->queries = list_delete_first(walk->queries);
}

static void
walk_branches(ReplayWalk *walk, List *branches)
{
	const void *outer = walk->branch;
	ListCell *cell;

	foreach (cell, branches)
	{
		walk->branch = lfirst(cell);
		(void) visit(lfirst(cell), walk);
	}
	walk->branch = outer;
}

static bool
visit(Node *node, void *arg)
{
	ReplayWalk *walk = arg;

	if (node == NULL)
		return false;
	switch (nodeTag(node))
	{
		case T_Query:
			walk_query(walk, (Query *) node);
			return false;
		case T_OpExpr:
		case T_DistinctExpr:
		case T_NullIfExpr:
			look_at_operation(walk, (OpExpr *) node);
			break;
		case T_FuncExpr:
			look_at_call(walk, ((FuncExpr *) node)->funcid, ((FuncExpr *) node)->args);
			break;
		case T_Aggref:
			look_at_call(walk, ((Aggref *) node)->aggfnoid,
						 expressions_of(((Aggref *) node)->args));
			break;
		case T_WindowFunc:
			look_at_call(walk, ((WindowFunc *) node)->winfnoid, ((WindowFunc *) node)->args);
			break;
		case T_ScalarArrayOpExpr:
			replay_compare_array(walk, (ScalarArrayOpExpr *) node);
			break;
		case T_RowCompareExpr:
			replay_compare_rows(walk, (RowCompareExpr *) node);
			break;
		case T_BoolExpr:
			look_at_conditions(walk, ((BoolExpr *) node)->args);
			if (((BoolExpr *) node)->boolop == OR_EXPR)
			{
				walk_branches(walk, ((BoolExpr *) node)->args);
				return false;
			}
			if (((BoolExpr *) node)->boolop == AND_EXPR)
				replay_compare_range(walk, ((BoolExpr *) node)->args);
			break;
		case T_FromExpr:
			look_at_condition(walk, ((FromExpr *) node)->quals);
			break;
		case T_JoinExpr:
			look_at_condition(walk, ((JoinExpr *) node)->quals);
			break;
		case T_CoalesceExpr:
			look_at_alternatives(walk, ((CoalesceExpr *) node)->args);
			break;
		case T_MinMaxExpr:
			look_at_alternatives(walk, ((MinMaxExpr *) node)->args);
			break;
		case T_CaseExpr:
			look_at_results(walk, (CaseExpr *) node);
			break;
		case T_SubLink:
			if (((SubLink *) node)->subLinkType == EXISTS_SUBLINK)
				look_at_returned(walk, ((Query *) ((SubLink *) node)->subselect)->targetList);
			break;
		case T_MergeAction:
			look_at_assignments(walk, linitial(walk->queries), ((MergeAction *) node)->targetList,
								node);
			break;
		default:
			break;
	}
	return expression_tree_walker(node, visit, arg);
}

static bool
find_params(Node *node, void *arg)
{
	Replay *replay = arg;

	if (node == NULL)
		return false;
	if (IsA(node, Param) && ((Param *) node)->paramkind == PARAM_EXTERN)
	{
		const Param *param = (Param *) node;

		if (param->paramid <= replay->nparams)
		{
			replay->params[param->paramid - 1].used = true;
			replay->params[param->paramid - 1].type = param->paramtype;
		}
		return false;
	}
	if (IsA(node, Query))
		return query_tree_walker((Query *) node, find_params, arg, 0);
	return expression_tree_walker(node, find_params, arg);
}

/* Its rows are those of one table that conditions let pass, no more and no less. */
static bool
is_plain(const Query *query)
{
	return query->commandType == CMD_SELECT && list_length(query->rtable) == 1 &&
		   linitial_node(RangeTblEntry, query->rtable)->rtekind == RTE_RELATION &&
		   !query->hasAggs && !query->hasSubLinks && query->groupClause == NIL &&
		   query->distinctClause == NIL && query->limitCount == NULL && query->limitOffset == NULL;
}

/* Values that are stored must not violate unique keys, unless the statement says what happens then. */
static void
keep_keys(const ReplayWalk *walk)
{
	Replay *replay = walk->replay;

	for (int i = 0; i < walk->ngroups; i++)
	{
		const RowGroup *group = &walk->groups[i];
		const Query *query = group->place;
		CmdType command = IsA(group->place, Query) ? query->commandType : CMD_UPDATE;

		if (IsA(group->place, MergeAction))
			command = ((const MergeAction *) group->place)->commandType;
		if (group->number != STORED ||
			(IsA(group->place, Query) && query->onConflict != NULL && command == CMD_INSERT))
			continue;
		for (int j = 0; j < replay->nparams; j++)
		{
			if (replay->params[j].group != i + 1 || replay->params[j].kind != REPLAY_STORED)
				continue;
			replay_renew_keys(replay, i + 1, replay->params[j].relation, command == CMD_INSERT);
			break;
		}
	}
}

void
replay_params(Replay *replay)
{
	ReplayWalk walk = { .replay = replay };

	(void) find_params((Node *) replay->query, replay);
	replay->plain = is_plain(replay->query);
	walk_query(&walk, replay->query);
	keep_keys(&walk);
}
