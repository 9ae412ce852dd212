/*
 * replay_compare.c
 *	  Parameters that are compared with something: their values are those of what they are compared with.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/stratnum.h"
#include "access/transam.h"
#include "catalog/pg_am.h"
#include "catalog/pg_amop.h"
#include "nodes/nodeFuncs.h"
#include "utils/catcache.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "load/replay_walk.h"

/* What an operator is to an index; 0 if nothing. */
static int
btree_strategy(Oid opno)
{
	CatCList *list = SearchSysCacheList1(AMOPOPID, ObjectIdGetDatum(opno));
	int strategy = 0;

	for (int i = 0; i < list->n_members; i++)
	{
		const Form_pg_amop amop = (Form_pg_amop) GETSTRUCT(&list->members[i]->tuple);

		if (amop->amopmethod == BTREE_AM_OID && amop->amoppurpose == AMOP_SEARCH)
			strategy = amop->amopstrategy;
	}
	ReleaseCatCacheList(list);
	return strategy;
}

bool
replay_is_operator(Oid opno, const char *const *names, int n)
{
	char *name = opno < FirstNormalObjectId ? get_opname(opno) : NULL;

	for (int i = 0; name != NULL && i < n; i++)
		if (strcmp(name, names[i]) == 0)
			return true;
	return false;
}

static bool
is_like(Oid opno)
{
	static const char *const names[] = { "~~", "!~~", "~~*", "!~~*" };

	return replay_is_operator(opno, names, lengthof(names));
}

/* Do values of the one side make sense on the other? */
static bool
compares_alike(Oid opno)
{
	static const char *const names[] = { "<>", "&&", "@>", "<@" };

	return btree_strategy(opno) != 0 || replay_is_operator(opno, names, lengthof(names));
}

bool
replay_is_sum(Oid opno)
{
	static const char *const names[] = { "+", "-" };

	return replay_is_operator(opno, names, lengthof(names));
}

/*
 * A column compared with x + $1, x - $1 or $1 + x, as in created > now() - $1: the parameter for which
 * both are equal.
 */
static bool
solve(const ReplayWalk *walk, Node *node, const ReplaySource *column, int *number,
	  ReplaySource *source)
{
	const OpExpr *sum = (OpExpr *) replay_stripped(node);
	Node *constant;
	bool minus;

	if (sum == NULL || !IsA(sum, OpExpr) || list_length(sum->args) != 2 ||
		!replay_is_sum(sum->opno))
		return false;
	minus = strcmp(get_opname(sum->opno), "-") == 0;
	*number = replay_param_number(walk, lsecond(sum->args));
	constant = linitial(sum->args);
	if (*number == 0 && !minus)
	{
		*number = replay_param_number(walk, linitial(sum->args));
		constant = lsecond(sum->args);
	}
	if (*number == 0 || !replay_is_constant(constant))
		return false;
	*source = *column;
	source->column = 0;
	source->value = minus ? psprintf("(%s - %s)", replay_sql(constant, InvalidOid), column->value)
						  : psprintf("(%s - %s)", column->value, replay_sql(constant, InvalidOid));
	source->type = InvalidOid;
	return true;
}

static void
compare_sides(ReplayWalk *walk, Oid opno, Node *left, Node *right, bool alone)
{
	int number = replay_param_number(walk, right);
	Node *other = left;
	ReplaySource source;
	ReplaySource solved;

	if (number == 0)
	{
		number = replay_param_number(walk, left);
		other = right;
	}
	if (number > 0 && is_like(opno))
	{
		if (other == left && replay_source(walk->queries, other, &source))
			replay_note(walk, number, REPLAY_PATTERN, &source, 0);
		return;
	}
	if (!compares_alike(opno))
		return;
	if (number > 0 && replay_source(walk->queries, other, &source))
		replay_note(walk, number, REPLAY_COMPARED, &source,
					alone ? 0 : replay_group(walk, source.place, source.number, 0));
	else if (number > 0 && replay_param_number(walk, other) > 0 && walk->replay->rows > 0)
	{
		/* WHERE 1 = 1, which a program writes that builds conditions. */
		replay_note(walk, number, REPLAY_ANY, NULL, 0);
		replay_note(walk, replay_param_number(walk, other), REPLAY_ANY, NULL, 0);
	}
	else if (number == 0 && replay_source(walk->queries, left, &source) &&
			 solve(walk, right, &source, &number, &solved))
		replay_note(walk, number, REPLAY_COMPARED, &solved, 0);
	else if (number == 0 && replay_source(walk->queries, right, &source) &&
			 solve(walk, left, &source, &number, &solved))
		replay_note(walk, number, REPLAY_COMPARED, &solved, 0);
}

void
replay_compare(ReplayWalk *walk, Oid opno, Node *left, Node *right)
{
	compare_sides(walk, opno, left, right, false);
}

/* x IN ($1, $2), x = ANY ($1), $1 = ANY (x). */
void
replay_compare_array(ReplayWalk *walk, const ScalarArrayOpExpr *operation)
{
	Node *scalar = linitial(operation->args);
	Node *array = replay_stripped(lsecond(operation->args));
	int number = replay_param_number(walk, array);
	ReplaySource source;
	ListCell *cell;

	if (!compares_alike(operation->opno))
		return;
	if (IsA(array, ArrayExpr))
	{
		foreach (cell, ((ArrayExpr *) array)->elements)
			compare_sides(walk, operation->opno, scalar, lfirst(cell), true);
		return;
	}
	if (number > 0 && replay_source(walk->queries, scalar, &source))
		replay_note(walk, number, REPLAY_LIST, &source, 0);
	number = replay_param_number(walk, scalar);
	if (number > 0 && replay_source(walk->queries, array, &source))
	{
		source.column = 0;
		source.value = psprintf("(%s)[1]", source.value);
		source.type = get_element_type(source.type);
		replay_note(walk, number, REPLAY_COMPARED, &source, 0);
	}
}

/* A comparison of a column with a parameter: which end of a range is it, low (> 0) or high (< 0)? */
static int
range_end(const ReplayWalk *walk, Node *node, ReplaySource *source, int *number)
{
	const OpExpr *operation = (OpExpr *) node;
	bool swapped;
	int strategy;
	Node *other;

	if (!IsA(node, OpExpr) || list_length(operation->args) != 2)
		return 0;
	*number = replay_param_number(walk, lsecond(operation->args));
	other = linitial(operation->args);
	swapped = *number == 0;
	if (swapped)
	{
		*number = replay_param_number(walk, linitial(operation->args));
		other = lsecond(operation->args);
	}
	strategy = *number == 0 ? 0 : btree_strategy(operation->opno);
	if (strategy == 0 || strategy == BTEqualStrategyNumber ||
		!replay_source(walk->queries, other, source))
		return 0;
	return (strategy > BTEqualStrategyNumber) != swapped ? 1 : -1;
}

void
replay_compare_range(const ReplayWalk *walk, List *conditions)
{
	ListCell *cell;
	ListCell *mate;

	foreach (cell, conditions)
	{
		ReplaySource low;
		int low_number;

		if (range_end(walk, lfirst(cell), &low, &low_number) <= 0)
			continue;
		foreach (mate, conditions)
		{
			ReplaySource high;
			int high_number;

			if (range_end(walk, lfirst(mate), &high, &high_number) >= 0 ||
				high_number == low_number || high.place != low.place || high.number != low.number ||
				strcmp(high.value, low.value) != 0)
				continue;
			replay_note(walk, low_number, REPLAY_LOW, &low, 0);
			replay_note(walk, high_number, REPLAY_HIGH, &high, 0);
			walk->replay->params[low_number - 1].partner = high_number;
			walk->replay->params[high_number - 1].partner = low_number;
			break;
		}
	}
}

void
replay_compare_rows(ReplayWalk *walk, const RowCompareExpr *rows)
{
	for (int i = 0; i < list_length(rows->largs); i++)
		compare_sides(walk, list_nth_oid(rows->opnos, i), list_nth(rows->largs, i),
					  list_nth(rows->rargs, i), false);
}
