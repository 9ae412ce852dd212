/*
 * scan.c
 *	  Executing a scan of the foreign tables: choose the series, bound the time, read the samples.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "commands/explain.h"
#include "executor/executor.h"
#include "executor/spi.h"
#include "nodes/makefuncs.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/ruleutils.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "store/scan.h"
#include "store/stream.h"

typedef struct Description
{
	Datum dimension;
	Datum metric;
	Datum unit;
	Datum labels;
} Description;

typedef struct StoreScan
{
	PerfoptStreamId stream;
	List *strategies;
	ExprState *series_qual;
	List *bounds;          /* of ExprState */
	MemoryContext context; /* reset by a rescan */

	bool started;
	int nall;    /* series there are */
	int nchosen; /* series that meet the conditions */
	int *chosen; /* ids */
	Description *descriptions;
	int *place; /* of a series id in the two above, -1 for none; below nplaces */
	int nplaces;
	PerfoptCursor *cursor;
	PerfoptSlice slice;
	int next;

	/* Over all rescans, for EXPLAIN. */
	int64 chunks_read;
	int64 hot_rows_read;
} StoreScan;

/* "(a AND b)" as PostgreSQL would write it. */
static void
explain_conditions(const char *label, List *conditions, ForeignScanState *node, ExplainState *es)
{
	List *context;

	if (conditions == NIL)
		return;
	context = set_deparse_context_plan(es->deparse_cxt, node->ss.ps.plan, NIL);
	ExplainPropertyText(label,
						deparse_expression((Node *) make_ands_explicit(conditions), context,
										   list_length(es->rtable) > 1 || es->verbose, false),
						es);
}

static int64
count_chunks(PerfoptStreamId id)
{
	static SPIPlanPtr plans[PERFOPT_NUM_STREAMS];
	int64 n;
	bool isnull;

	SPI_connect();
	perfopt_store_select_as_owner(&plans[id], psprintf("SELECT pg_catalog.count(*) FROM perfopt.%s",
													   perfopt_streams[id].chunk));
	n = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	SPI_finish();
	return n;
}

static void
count_what_was_read(StoreScan *state)
{
	if (state->cursor == NULL)
		return;
	state->chunks_read += perfopt_cursor_chunks_read(state->cursor);
	state->hot_rows_read += perfopt_cursor_hot_rows_read(state->cursor);
	perfopt_cursor_close(state->cursor);
	state->cursor = NULL;
}

static void
explain_scan(ForeignScanState *node, ExplainState *es)
{
	ForeignScan *plan = (ForeignScan *) node->ss.ps.plan;
	List *pushed = list_copy(linitial(plan->fdw_exprs));
	StoreScan *state = node->fdw_state;

	explain_conditions("Series Filter", pushed, node, es);
	if (lsecond(plan->fdw_exprs) != NIL)
		explain_conditions("Time Filter",
						   list_copy_tail(plan->fdw_recheck_quals, list_length(pushed)), node, es);
	if (!es->analyze || state == NULL || !state->started)
		return;
	count_what_was_read(state);
	ExplainPropertyInteger("Series Read", NULL, state->nchosen, es);
	ExplainPropertyInteger("Series Skipped", NULL, state->nall - state->nchosen, es);
	ExplainPropertyInteger("Chunks Read", NULL, state->chunks_read, es);
	/* auto_explain asks when the query has ended, and there is no way to count them. */
	if (ActiveSnapshotSet())
		ExplainPropertyInteger("Chunks Skipped", NULL,
							   Max(count_chunks(state->stream) - state->chunks_read, 0), es);
	ExplainPropertyInteger("Hot Rows Read", NULL, state->hot_rows_read, es);
}

/* Rows are filled in by the columns' places. */
static void
check_columns(Relation table, PerfoptStreamId stream)
{
	TupleDesc desc = RelationGetDescr(table);
	int expected = PERFOPT_ATTR_FIRST_VALUE + (stream == PERFOPT_RAW ? 1 : 5);

	if (desc->natts != expected || TupleDescAttr(desc, expected - 1)->atttypid != TEXTOID)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_INCONSISTENT_DESCRIPTOR_INFORMATION),
				 errmsg("the columns of \"%s\" are not those that perfopt made",
						RelationGetRelationName(table)),
				 errhint("Undo what was altered; a view over the table can have other columns.")));
}

static void
begin_scan(ForeignScanState *node, int eflags)
{
	ForeignScan *plan = (ForeignScan *) node->ss.ps.plan;
	StoreScan *state;

	if (eflags & EXEC_FLAG_EXPLAIN_ONLY)
		return;
	state = palloc0(sizeof(StoreScan));
	state->stream = perfopt_stream_of_table(RelationGetRelid(node->ss.ss_currentRelation));
	check_columns(node->ss.ss_currentRelation, state->stream);
	state->strategies = linitial(plan->fdw_private);
	state->series_qual = ExecInitQual(linitial(plan->fdw_exprs), &node->ss.ps);
	state->bounds = ExecInitExprList(lsecond(plan->fdw_exprs), &node->ss.ps);
	state->context = AllocSetContextCreate(node->ss.ps.state->es_query_cxt, "perfopt scan",
										   ALLOCSET_DEFAULT_SIZES);
	node->fdw_state = state;
}

/*
 * The range of time that all bounds leave, both ends included.  An empty one comes back when a bound is
 * NULL, since nothing compares with that.
 */
static void
range_of_time(ForeignScanState *node, TimestampTz *from, TimestampTz *to)
{
	StoreScan *state = node->fdw_state;
	ListCell *lc;
	ListCell *ls;

	*from = DT_NOBEGIN;
	*to = DT_NOEND;
	forboth(lc, state->bounds, ls, state->strategies)
	{
		bool isnull;
		TimestampTz bound = DatumGetTimestampTz(
			ExecEvalExprSwitchContext(lfirst(lc), node->ss.ps.ps_ExprContext, &isnull));
		int strategy = lfirst_int(ls);

		if (isnull)
		{
			*from = DT_NOEND;
			*to = DT_NOBEGIN;
			return;
		}
		if (strategy == BTGreaterStrategyNumber && !TIMESTAMP_IS_NOEND(bound))
			*from = Max(*from, bound + 1);
		else if (strategy == BTGreaterStrategyNumber)
			*to = DT_NOBEGIN;
		else if (strategy == BTLessStrategyNumber && !TIMESTAMP_IS_NOBEGIN(bound))
			*to = Min(*to, bound - 1);
		else if (strategy == BTLessStrategyNumber)
			*from = DT_NOEND;
		if (strategy == BTGreaterEqualStrategyNumber || strategy == BTEqualStrategyNumber)
			*from = Max(*from, bound);
		if (strategy == BTLessEqualStrategyNumber || strategy == BTEqualStrategyNumber)
			*to = Min(*to, bound);
	}
}

/* A row of the foreign table with only what describes a series, for conditions to look at. */
static bool
meets_conditions(ForeignScanState *node, const Description *description)
{
	StoreScan *state = node->fdw_state;
	TupleTableSlot *slot = node->ss.ss_ScanTupleSlot;
	ExprContext *context = node->ss.ps.ps_ExprContext;
	int unit = slot->tts_tupleDescriptor->natts;

	ResetExprContext(context);
	ExecClearTuple(slot);
	memset(slot->tts_isnull, true, unit * sizeof(bool));
	slot->tts_values[PERFOPT_ATTR_DIMENSION - 1] = description->dimension;
	slot->tts_values[PERFOPT_ATTR_METRIC - 1] = description->metric;
	slot->tts_values[PERFOPT_ATTR_LABELS - 1] = description->labels;
	slot->tts_values[unit - 1] = description->unit;
	slot->tts_isnull[PERFOPT_ATTR_DIMENSION - 1] = false;
	slot->tts_isnull[PERFOPT_ATTR_METRIC - 1] = false;
	slot->tts_isnull[PERFOPT_ATTR_LABELS - 1] = false;
	slot->tts_isnull[unit - 1] = false;
	ExecStoreVirtualTuple(slot);
	context->ecxt_scantuple = slot;
	return ExecQual(state->series_qual, context);
}

static Datum
copy_varlena(Datum value)
{
	return PointerGetDatum(PG_DETOAST_DATUM_COPY(value));
}

static void
choose_series(ForeignScanState *node)
{
	static SPIPlanPtr plan = NULL;
	StoreScan *state = node->fdw_state;
	int capacity = 64;

	SPI_connect();
	perfopt_store_select_as_owner(
		&plan, "SELECT s.series_id, m.dimension, m.name, s.labels, m.unit FROM perfopt.series s"
			   " JOIN perfopt.metric m ON m.metric_id OPERATOR(pg_catalog.=) s.metric_id");
	state->nall = (int) SPI_processed;
	state->nchosen = 0;
	state->nplaces = 0;
	state->chosen = MemoryContextAlloc(state->context, capacity * sizeof(int));
	state->descriptions = MemoryContextAlloc(state->context, capacity * sizeof(Description));
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		HeapTuple row = SPI_tuptable->vals[i];
		TupleDesc desc = SPI_tuptable->tupdesc;
		bool isnull;
		Description found = { .dimension = SPI_getbinval(row, desc, 2, &isnull),
							  .metric = SPI_getbinval(row, desc, 3, &isnull),
							  .labels = SPI_getbinval(row, desc, 4, &isnull),
							  .unit = SPI_getbinval(row, desc, 5, &isnull) };
		MemoryContext oldcontext;

		if (!meets_conditions(node, &found))
			continue;
		oldcontext = MemoryContextSwitchTo(state->context);
		if (state->nchosen == capacity)
		{
			capacity *= 2;
			state->chosen = repalloc(state->chosen, capacity * sizeof(int));
			state->descriptions = repalloc(state->descriptions, capacity * sizeof(Description));
		}
		state->chosen[state->nchosen] = DatumGetInt32(SPI_getbinval(row, desc, 1, &isnull));
		state->nplaces = Max(state->nplaces, state->chosen[state->nchosen] + 1);
		state->descriptions[state->nchosen++] =
			(Description){ .dimension = copy_varlena(found.dimension),
						   .metric = copy_varlena(found.metric),
						   .labels = copy_varlena(found.labels),
						   .unit = copy_varlena(found.unit) };
		MemoryContextSwitchTo(oldcontext);
	}
	ExecClearTuple(node->ss.ss_ScanTupleSlot);
	SPI_finish();
}

static void
start(ForeignScanState *node)
{
	StoreScan *state = node->fdw_state;
	MemoryContext oldcontext;
	TimestampTz from;
	TimestampTz to;

	range_of_time(node, &from, &to);
	choose_series(node);
	oldcontext = MemoryContextSwitchTo(state->context);
	state->place = palloc(Max(state->nplaces, 1) * sizeof(int));
	for (int i = 0; i < state->nplaces; i++)
		state->place[i] = -1;
	for (int i = 0; i < state->nchosen; i++)
		state->place[state->chosen[i]] = i;
	state->cursor =
		perfopt_cursor_open(state->stream, from, to,
							state->nchosen == state->nall ? NULL : state->chosen, state->nchosen);
	state->slice.n = 0;
	state->next = 0;
	state->started = true;
	MemoryContextSwitchTo(oldcontext);
}

/* Moves on to the next slice of a series that is known; samples of one that was forgotten are none. */
static bool
next_slice(StoreScan *state)
{
	while (perfopt_cursor_next(state->cursor, &state->slice))
	{
		state->next = 0;
		if (state->slice.series_id < state->nplaces && state->place[state->slice.series_id] >= 0)
			return true;
	}
	return false;
}

static void
fill_values(StoreScan *state, TupleTableSlot *slot)
{
	const PerfoptSlice *slice = &state->slice;
	Datum *values = &slot->tts_values[PERFOPT_ATTR_FIRST_VALUE - 1];
	int i = state->next;

	if (state->stream == PERFOPT_RAW)
	{
		values[0] = Float8GetDatum(slice->column[0][i]);
		return;
	}
	values[0] = Int64GetDatum((int64) slice->column[0][i]);
	values[1] = Float8GetDatum(slice->column[3][i] / slice->column[0][i]);
	values[2] = Float8GetDatum(slice->column[1][i]);
	values[3] = Float8GetDatum(slice->column[2][i]);
	values[4] = Float8GetDatum(slice->column[3][i]);
}

static TupleTableSlot *
iterate_scan(ForeignScanState *node)
{
	StoreScan *state = node->fdw_state;
	TupleTableSlot *slot = node->ss.ss_ScanTupleSlot;
	const Description *description;
	int natts = slot->tts_tupleDescriptor->natts;

	if (!state->started)
		start(node);
	ExecClearTuple(slot);
	if (state->next == state->slice.n && (state->cursor == NULL || !next_slice(state)))
	{
		state->slice.n = state->next = 0;
		return slot;
	}

	description = &state->descriptions[state->place[state->slice.series_id]];
	memset(slot->tts_isnull, false, natts * sizeof(bool));
	slot->tts_values[PERFOPT_ATTR_TIME - 1] = TimestampTzGetDatum(state->slice.ts[state->next]);
	slot->tts_values[PERFOPT_ATTR_DIMENSION - 1] = description->dimension;
	slot->tts_values[PERFOPT_ATTR_METRIC - 1] = description->metric;
	slot->tts_values[PERFOPT_ATTR_LABELS - 1] = description->labels;
	fill_values(state, slot);
	slot->tts_values[natts - 1] = description->unit;
	state->next++;
	return ExecStoreVirtualTuple(slot);
}

static void
rescan(ForeignScanState *node)
{
	StoreScan *state = node->fdw_state;

	count_what_was_read(state);
	MemoryContextReset(state->context);
	state->slice.n = state->next = 0;
	state->started = false;
}

static void
end_scan(ForeignScanState *node)
{
	if (node->fdw_state != NULL)
		count_what_was_read(node->fdw_state);
}

void
perfopt_scan_routine(FdwRoutine *routine)
{
	routine->BeginForeignScan = begin_scan;
	routine->IterateForeignScan = iterate_scan;
	routine->ReScanForeignScan = rescan;
	routine->EndForeignScan = end_scan;
	routine->ExplainForeignScan = explain_scan;
}
