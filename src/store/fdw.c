/*
 * fdw.c
 *	  The foreign tables sample, sample_5min and sample_1hour: how the planner sees them.
 *
 * A plain view over a decoding function would decode everything and filter afterwards.  Here, each
 * condition on the columns that describe a series (dimension, metric, labels, unit), whatever it is,
 * is evaluated against the catalogue of series before a chunk is read, and comparisons of the time with
 * anything that is known when the scan begins bound what is read.  scan.c does both.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/stratnum.h"
#include "access/sysattr.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "foreign/fdwapi.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/planmain.h"
#include "optimizer/restrictinfo.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

#include "compat.h"
#include "store/scan.h"
#include "store/stream.h"

/* Measured: about so many samples of a chunk and of a hot row are in a byte of the table. */
#define SAMPLES_A_CHUNK_BYTE 0.8
#define SAMPLES_A_HOT_BYTE 0.1

PG_FUNCTION_INFO_V1(perfopt_store_handler);

PerfoptStreamId
perfopt_stream_of_table(Oid table)
{
	char *name = get_rel_name(table);

	bool ours = get_rel_namespace(table) == get_namespace_oid("perfopt", true);

	for (int i = 0; i < PERFOPT_NUM_STREAMS; i++)
		if (ours && name != NULL && strcmp(perfopt_streams[i].name, name) == 0)
			return i;
	ereport(ERROR,
			(errcode(ERRCODE_FDW_TABLE_NOT_FOUND),
			 errmsg("foreign table \"%s\" is not one of perfopt's", name ? name : "?"),
			 errhint("Server perfopt_store has sample, sample_5min and sample_1hour of schema "
					 "perfopt only.")));
	return PERFOPT_RAW;
}

static double
pages_of(Oid relation)
{
	HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relation));
	double pages = 0;

	if (HeapTupleIsValid(tuple))
	{
		pages = ((Form_pg_class) GETSTRUCT(tuple))->relpages;
		ReleaseSysCache(tuple);
	}
	return Max(pages, 0);
}

static double
chunk_pages(const PerfoptStream *stream, Oid schema)
{
	List *partitions = find_inheritance_children(get_relname_relid(stream->chunk, schema), NoLock);
	double pages = 0;
	ListCell *lc;

	foreach (lc, partitions)
		pages += pages_of(lfirst_oid(lc));
	return pages;
}

/* From sizes as of the last vacuum; a new store counts as small, not as empty. */
static double
estimate_samples(const PerfoptStream *stream, Oid schema)
{
	double hot_pages = pages_of(get_relname_relid(stream->hot, schema));

	double samples = chunk_pages(stream, schema) * BLCKSZ * SAMPLES_A_CHUNK_BYTE +
					 hot_pages * BLCKSZ * SAMPLES_A_HOT_BYTE;

	return Max(10000, samples / stream->ncolumns);
}

static void
get_rel_size(PlannerInfo *root, RelOptInfo *baserel, Oid table)
{
	const PerfoptStream *stream = &perfopt_streams[perfopt_stream_of_table(table)];

	baserel->tuples = estimate_samples(stream, get_rel_namespace(table));
	set_baserel_size_estimates(root, baserel);
}

static void
get_paths(PlannerInfo *root, RelOptInfo *baserel, Oid table)
{
	Cost startup_cost = 100 * cpu_tuple_cost;
	Cost total_cost = startup_cost + baserel->rows * 2 * cpu_tuple_cost;

	add_path(baserel, (Path *) perfopt_create_foreignscan_path(root, baserel, baserel->rows,
															   startup_cost, total_cost));
}

/* The attributes of the scanned table that an expression uses, whole rows and system columns too. */
static Bitmapset *
attributes_of(Node *expression, Index relid)
{
	Bitmapset *shifted = NULL;

	pull_varattnos(expression, relid, &shifted);
	return shifted;
}

static bool
only_describes_series(Expr *clause, Index relid, int value_attributes)
{
	Bitmapset *used = attributes_of((Node *) clause, relid);
	int attribute = -1;

	if (used == NULL || contain_volatile_functions((Node *) clause) ||
		contain_subplans((Node *) clause))
		return false;
	while ((attribute = bms_next_member(used, attribute)) >= 0)
	{
		int attno = attribute + FirstLowInvalidHeapAttributeNumber;

		if (attno <= PERFOPT_ATTR_TIME || (attno >= PERFOPT_ATTR_FIRST_VALUE &&
										   attno < PERFOPT_ATTR_FIRST_VALUE + value_attributes))
			return false;
	}
	return true;
}

static bool
is_time(Node *node, Index relid)
{
	return IsA(node, Var) && ((Var *) node)->varno == relid && ((Var *) node)->varlevelsup == 0 &&
		   ((Var *) node)->varattno == PERFOPT_ATTR_TIME;
}

/* As timestamptz, by the conversion that the server's own comparison of the two types makes. */
static Expr *
as_timestamptz(Expr *expression)
{
	Oid conversion;

	switch (exprType((Node *) expression))
	{
		case TIMESTAMPTZOID:
			return expression;
		case TIMESTAMPOID:
			conversion = F_TIMESTAMPTZ_TIMESTAMP;
			break;
		case DATEOID:
			conversion = F_TIMESTAMPTZ_DATE;
			break;
		default:
			return NULL;
	}
	return (Expr *) makeFuncExpr(conversion, TIMESTAMPTZOID, list_make1(expression), InvalidOid,
								 InvalidOid, COERCE_EXPLICIT_CAST);
}

/* Whether a clause bounds the time by something that the scan knows when it begins. */
static bool
bounds_time(Expr *clause, Index relid, int *strategy, Expr **bound)
{
	OpExpr *op = (OpExpr *) clause;
	Oid opno;
	Node *other;

	if (!IsA(clause, OpExpr) || list_length(op->args) != 2)
		return false;
	if (is_time(linitial(op->args), relid))
	{
		opno = op->opno;
		other = lsecond(op->args);
	}
	else if (is_time(lsecond(op->args), relid))
	{
		opno = get_commutator(op->opno);
		other = linitial(op->args);
	}
	else
		return false;

	*bound = as_timestamptz((Expr *) other);
	*strategy =
		OidIsValid(opno)
			? get_op_opfamily_strategy(
				  opno, lookup_type_cache(TIMESTAMPTZOID, TYPECACHE_BTREE_OPFAMILY)->btree_opf)
			: 0;
	return *bound != NULL && *strategy != 0 && attributes_of(other, relid) == NULL &&
		   !contain_volatile_functions(other) && !contain_subplans(other);
}

static ForeignScan *
get_plan(PlannerInfo *root, RelOptInfo *baserel, Oid table, ForeignPath *best_path, List *tlist,
		 List *scan_clauses, Plan *outer_plan)
{
	int value_attributes = perfopt_stream_of_table(table) == PERFOPT_RAW ? 1 : 5;
	List *series_quals = NIL;
	List *bounds = NIL;
	List *strategies = NIL;
	List *local_quals = NIL;
	List *time_quals = NIL;
	ListCell *lc;

	foreach (lc, scan_clauses)
	{
		RestrictInfo *info = lfirst_node(RestrictInfo, lc);
		Expr *clause = info->clause;
		Expr *bound;
		int strategy;

		if (info->pseudoconstant)
			continue;
		/* What is to see only what a view's own conditions let through comes after these. */
		if (info->security_level > baserel->baserestrict_min_security && !info->leakproof)
			local_quals = lappend(local_quals, clause);
		else if (only_describes_series(clause, baserel->relid, value_attributes))
			series_quals = lappend(series_quals, clause);
		else if (bounds_time(clause, baserel->relid, &strategy, &bound))
		{
			strategies = lappend_int(strategies, strategy);
			bounds = lappend(bounds, bound);
			time_quals = lappend(time_quals, clause);
		}
		else
			local_quals = lappend(local_quals, clause);
	}

	return make_foreignscan(tlist, local_quals, baserel->relid, list_make2(series_quals, bounds),
							list_make1(strategies), NIL, list_concat_copy(series_quals, time_quals),
							outer_plan);
}

Datum
perfopt_store_handler(PG_FUNCTION_ARGS)
{
	FdwRoutine *routine = makeNode(FdwRoutine);

	routine->GetForeignRelSize = get_rel_size;
	routine->GetForeignPaths = get_paths;
	routine->GetForeignPlan = get_plan;
	perfopt_scan_routine(routine);
	PG_RETURN_POINTER(routine);
}
