/*
 * candidate.c
 *	  Which columns a query compares for equality, and which functions it calls.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/relation.h"
#include "access/stratnum.h"
#include "access/transam.h"
#include "catalog/pg_am.h"
#include "catalog/pg_class.h"
#include "catalog/pg_index.h"
#include "catalog/pg_proc.h"
#include "commands/defrem.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parse_relation.h"
#include "parser/parsetree.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/relcache.h"
#include "utils/syscache.h"

#include "diagnose/whatif.h"

typedef struct Walk
{
	List *queries; /* innermost first */
	PerfoptCandidates *candidates;
} Walk;

static Node *
stripped(Node *node)
{
	while (node != NULL && IsA(node, RelabelType))
		node = (Node *) ((RelabelType *) node)->arg;
	return node;
}

/*
 * The column of a table that an expression is in the end, through joins, views and subqueries.  Deeper
 * nesting than a dozen levels is given up.
 */
static bool
resolve(Node *node, List *queries, int depth, PerfoptCandidate *found)
{
	Var *var = (Var *) stripped(node);
	RangeTblEntry *rte;
	Query *query;

	if (var == NULL || !IsA(var, Var) || depth > 12 || var->varlevelsup >= list_length(queries) ||
		var->varattno <= 0)
		return false;
	queries = list_copy_tail(queries, var->varlevelsup);
	query = linitial(queries);
	if (var->varno < 1 || var->varno > list_length(query->rtable))
		return false;
	rte = rt_fetch(var->varno, query->rtable);
	switch (rte->rtekind)
	{
		case RTE_RELATION:
			if (rte->relkind != RELKIND_RELATION && rte->relkind != RELKIND_MATVIEW)
				return false;
			found->relation = rte->relid;
			found->column = var->varattno;
			return true;
		case RTE_JOIN:
			return resolve(list_nth(rte->joinaliasvars, var->varattno - 1), queries, depth + 1,
						   found);
		case RTE_SUBQUERY:
		{
			TargetEntry *entry = get_tle_by_resno(rte->subquery->targetList, var->varattno);

			return entry != NULL &&
				   resolve((Node *) entry->expr, lcons(rte->subquery, list_copy(queries)),
						   depth + 1, found);
		}
		default:
			return false;
	}
}

/* Whether a btree index on the operand's type serves the operator as equality. */
static bool
is_equality(Oid operator, Oid type)
{
	Oid opclass = GetDefaultOpClass(type, BTREE_AM_OID);

	return OidIsValid(operator) && OidIsValid(opclass) &&
		   get_op_opfamily_strategy(operator, get_opclass_family(opclass)) == BTEqualStrategyNumber;
}

static void
consider(Walk *walk, Node *column, Node *other, Oid operator)
{
	PerfoptCandidates *all = walk->candidates;
	Var *var = (Var *) stripped(column);
	PerfoptCandidate candidate;

	if (var == NULL || !IsA(var, Var) || all->n == PERFOPT_WHATIF_MAX_CANDIDATES ||
		!is_equality(operator, exprType(column)) ||
		bms_is_member(var->varno, pull_varnos_of_level(NULL, other, var->varlevelsup)) ||
		!resolve(column, walk->queries, 0, &candidate))
		return;
	for (int i = 0; i < all->n; i++)
	{
		if (all->items[i].relation == candidate.relation &&
			all->items[i].column == candidate.column)
			return;
	}
	all->items[all->n++] = candidate;
}

static bool
candidate_walker(Node *node, void *context)
{
	Walk *walk = context;

	if (node == NULL)
		return false;
	if (IsA(node, Query))
	{
		Walk inner = { lcons(node, list_copy(walk->queries)), walk->candidates };

		return query_tree_walker((Query *) node, candidate_walker, &inner, 0);
	}
	if (IsA(node, OpExpr) && list_length(((OpExpr *) node)->args) == 2)
	{
		OpExpr *op = (OpExpr *) node;

		consider(walk, linitial(op->args), lsecond(op->args), op->opno);
		consider(walk, lsecond(op->args), linitial(op->args), get_commutator(op->opno));
	}
	else if (IsA(node, ScalarArrayOpExpr) && ((ScalarArrayOpExpr *) node)->useOr)
	{
		ScalarArrayOpExpr *op = (ScalarArrayOpExpr *) node;

		consider(walk, linitial(op->args), lsecond(op->args), op->opno);
	}
	return expression_tree_walker(node, candidate_walker, context);
}

void
perfopt_collect_candidates(Query *query, PerfoptCandidates *candidates)
{
	Walk walk = { NIL, candidates };

	(void) candidate_walker((Node *) query, &walk);
}

/*
 * Functions that initdb made are the server's own.  Others are trusted when whoever could change them
 * could act as the role anyway.
 */
static bool
untrusted_function(Oid function, void *context)
{
	Oid role = *(Oid *) context;
	HeapTuple tuple;
	Oid owner;

	if (function < FirstUnpinnedObjectId)
		return false;
	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	if (!HeapTupleIsValid(tuple))
		return true;
	owner = ((Form_pg_proc) GETSTRUCT(tuple))->proowner;
	ReleaseSysCache(tuple);
	return owner != role && !superuser_arg(owner);
}

static bool
untrusted_walker(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, Query))
		return query_tree_walker((Query *) node, untrusted_walker, context, 0);
	if (check_functions_in_node(node, untrusted_function, context))
		return true;
	return expression_tree_walker(node, untrusted_walker, context);
}

bool
perfopt_calls_untrusted(Query *query, Oid role)
{
	return untrusted_walker((Node *) query, &role);
}

static Oid
access_method(Oid index)
{
	HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(index));
	Oid am = InvalidOid;

	if (HeapTupleIsValid(tuple))
	{
		am = ((Form_pg_class) GETSTRUCT(tuple))->relam;
		ReleaseSysCache(tuple);
	}
	return am;
}

bool
perfopt_has_index(Oid relation, AttrNumber column)
{
	Relation rel = relation_open(relation, NoLock);
	List *indexes = RelationGetIndexList(rel);
	ListCell *cell;
	bool found = false;

	foreach (cell, indexes)
	{
		Oid index = lfirst_oid(cell);
		HeapTuple tuple = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(index));
		Oid am = access_method(index);

		if (!HeapTupleIsValid(tuple))
			continue;
		if ((am == BTREE_AM_OID || am == HASH_AM_OID) &&
			((Form_pg_index) GETSTRUCT(tuple))->indkey.values[0] == column &&
			heap_attisnull(tuple, Anum_pg_index_indpred, NULL))
			found = true;
		ReleaseSysCache(tuple);
	}
	relation_close(rel, NoLock);
	return found;
}
