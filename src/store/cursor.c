/*
 * cursor.c
 *	  Reading samples of a stream, first the sealed ones, then the hot ones.
 *
 * Both are read by queries, so that the server prunes partitions, picks indexes and takes locks as it does
 * for any.  Operators are qualified, since the queries run as the owner of the
 * tables under whatever search_path the caller has.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "nodes/params.h"
#include "tcop/dest.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/plancache.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "store/stream.h"

/* Above this, what is wanted is filtered here rather than looked up in the index one by one. */
#define MAX_LOOKUPS 64

typedef enum Phase
{
	READ_CHUNKS,
	READ_HOT,
	READ_DONE
} Phase;

struct PerfoptCursor
{
	PerfoptStreamId id;
	const PerfoptStream *stream;
	MemoryContext context;
	MemoryContext row; /* what belongs to the row at hand */
	TimestampTz from;
	TimestampTz to;
	int nseries; /* 0 is all */
	Datum series;
	bool *wanted; /* by id, below nwanted */
	int nwanted;

	Phase phase;
	CachedPlan *plan; /* of the query at hand, as is the next */
	QueryDesc *query; /* NULL while there is none */

	PerfoptColumns columns;  /* of the chunk at hand */
	const int32 *row_series; /* of the hot row at hand */
	const double *row_column[PERFOPT_MAX_COLUMNS];
	TimestampTz row_ts;
	int row_n;
	int row_next;

	int64 chunks_read;
	int64 hot_rows_read;
};

static void
mark_wanted(PerfoptCursor *cursor, const int *series)
{
	Datum *ids = palloc(cursor->nseries * sizeof(Datum));

	for (int i = 0; i < cursor->nseries; i++)
	{
		cursor->nwanted = Max(cursor->nwanted, series[i] + 1);
		ids[i] = Int32GetDatum(series[i]);
	}
	cursor->wanted = palloc0(cursor->nwanted * sizeof(bool));
	for (int i = 0; i < cursor->nseries; i++)
		cursor->wanted[series[i]] = true;
	cursor->series = PointerGetDatum(construct_array_builtin(ids, cursor->nseries, INT4OID));
}

PerfoptCursor *
perfopt_cursor_open(PerfoptStreamId id, TimestampTz from, TimestampTz to, const int *series,
					int nseries)
{
	MemoryContext context =
		AllocSetContextCreate(CurrentMemoryContext, "perfopt cursor", ALLOCSET_DEFAULT_SIZES);
	MemoryContext oldcontext = MemoryContextSwitchTo(context);
	PerfoptCursor *cursor = palloc0(sizeof(PerfoptCursor));

	cursor->id = id;
	cursor->stream = &perfopt_streams[id];
	cursor->context = context;
	cursor->row = AllocSetContextCreate(context, "perfopt cursor row", ALLOCSET_DEFAULT_SIZES);
	cursor->from = from;
	cursor->to = to;
	perfopt_columns_init(&cursor->columns, cursor->stream->ncolumns, 1024);
	if (series != NULL)
	{
		cursor->nseries = nseries;
		if (nseries > 0)
			mark_wanted(cursor, series);
	}
	if (from > to || (series != NULL && nseries == 0))
		cursor->phase = READ_DONE;
	MemoryContextSwitchTo(oldcontext);
	return cursor;
}

static bool
is_wanted(const PerfoptCursor *cursor, int series_id)
{
	if (cursor->wanted == NULL)
		return series_id >= 0;
	return series_id >= 0 && series_id < cursor->nwanted && cursor->wanted[series_id];
}

static ParamListInfo
make_params(int nargs, const Oid *types, const Datum *values)
{
	ParamListInfo params = makeParamList(nargs);

	for (int i = 0; i < nargs; i++)
		params->params[i] = (ParamExternData){
			.value = values[i], .isnull = false, .pflags = PARAM_FLAG_CONST, .ptype = types[i]
		};
	return params;
}

/*
 * Begins a query with the owner's rights.  It is run by the executor directly and not in a portal, which
 * would have a life of its own: the outer query may be a cursor, run in several subtransactions or kept
 * over the end of its transaction, and what it holds of ours must live and end as the rest of it does.
 */
static void
open_query(PerfoptCursor *cursor, SPIPlanPtr *plan, const char *sql, int nargs, Oid *types,
		   Datum *values)
{
	ParamListInfo params = make_params(nargs, types, values);
	CachedPlanSource *source;
	Oid user;
	int security;

	GetUserIdAndSecContext(&user, &security);
	SetUserIdAndSecContext(perfopt_store_owner(), security | SECURITY_LOCAL_USERID_CHANGE);
	SPI_connect();
	perfopt_store_prepare(plan, sql, nargs, types);
	SPI_finish();
	source = linitial_node(CachedPlanSource, SPI_plan_get_plan_sources(*plan));
	cursor->plan = GetCachedPlan(source, params, CurrentResourceOwner, NULL);
	cursor->query =
		CreateQueryDesc(linitial_node(PlannedStmt, cursor->plan->stmt_list), source->query_string,
						GetActiveSnapshot(), InvalidSnapshot, None_Receiver, params, NULL, 0);
	standard_ExecutorStart(cursor->query, EXEC_FLAG_SKIP_TRIGGERS);
	SetUserIdAndSecContext(user, security);
}

static void
close_query(PerfoptCursor *cursor)
{
	if (cursor->query == NULL)
		return;
	standard_ExecutorFinish(cursor->query);
	standard_ExecutorEnd(cursor->query);
	FreeQueryDesc(cursor->query);
	ReleaseCachedPlan(cursor->plan, CurrentResourceOwner);
	cursor->query = NULL;
}

static void
open_chunks(PerfoptCursor *cursor)
{
	static SPIPlanPtr plans[PERFOPT_NUM_STREAMS][2];
	bool look_up = cursor->nseries > 0 && cursor->nseries <= MAX_LOOKUPS;
	Oid types[] = { TIMESTAMPTZOID, TIMESTAMPTZOID, TIMESTAMPTZOID, INT4ARRAYOID };
	Datum values[] = { TimestampTzGetDatum(perfopt_period_start(cursor->id, cursor->from)),
					   TimestampTzGetDatum(cursor->to), TimestampTzGetDatum(cursor->from),
					   cursor->series };

	open_query(
		cursor, &plans[cursor->id][look_up],
		psprintf(
			"SELECT series_id, first_ts, n, data FROM perfopt.%s"
			" WHERE first_ts OPERATOR(pg_catalog.>=) $1"
			" AND first_ts OPERATOR(pg_catalog.<=) $2 AND last_ts OPERATOR(pg_catalog.>=) $3%s",
			cursor->stream->chunk, look_up ? " AND series_id OPERATOR(pg_catalog.=) ANY ($4)" : ""),
		look_up ? 4 : 3, types, values);
}

static void
open_hot(PerfoptCursor *cursor)
{
	static SPIPlanPtr plans[PERFOPT_NUM_STREAMS];
	Oid types[] = { TIMESTAMPTZOID, TIMESTAMPTZOID };
	Datum values[] = { TimestampTzGetDatum(cursor->from), TimestampTzGetDatum(cursor->to) };
	StringInfoData sql;

	initStringInfo(&sql);
	appendStringInfoString(&sql, "SELECT ts, series");
	for (int c = 0; c < cursor->stream->ncolumns; c++)
		appendStringInfo(&sql, ", %s", cursor->stream->column[c]);
	appendStringInfo(&sql,
					 " FROM perfopt.%s WHERE ts OPERATOR(pg_catalog.>=) $1"
					 " AND ts OPERATOR(pg_catalog.<=) $2 ORDER BY ts",
					 cursor->stream->hot);
	open_query(cursor, &plans[cursor->id], sql.data, 2, types, values);
}

/* The next row of this phase, which the next call overwrites, or NULL at its end. */
static TupleTableSlot *
next_row(PerfoptCursor *cursor, void (*open)(PerfoptCursor *))
{
	MemoryContext oldcontext = MemoryContextSwitchTo(cursor->context);
	EState *estate;
	TupleTableSlot *row;

	MemoryContextReset(cursor->row);
	if (cursor->query == NULL)
		open(cursor);
	estate = cursor->query->estate;
	MemoryContextSwitchTo(estate->es_query_cxt);
	ResetPerTupleExprContext(estate);
	row = ExecProcNode(cursor->query->planstate);
	MemoryContextSwitchTo(cursor->context);
	if (TupIsNull(row))
	{
		close_query(cursor);
		row = NULL;
	}
	MemoryContextSwitchTo(oldcontext);
	return row;
}

/* A column, which is never NULL. */
static Datum
column(TupleTableSlot *row, int number)
{
	bool isnull;

	return slot_getattr(row, number, &isnull);
}

/* The first index whose time is not before ts. */
static int
first_not_before(const PerfoptColumns *columns, TimestampTz ts)
{
	int low = 0;
	int high = columns->n;

	while (low < high)
	{
		int middle = (low + high) / 2;

		if (columns->ts[middle] < ts)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* The samples of a chunk that lie within the cursor's range; false when there are none. */
static bool
slice_of_chunk(PerfoptCursor *cursor, TupleTableSlot *row, PerfoptSlice *slice)
{
	int series_id = DatumGetInt32(column(row, 1));
	MemoryContext oldcontext;
	int first;
	int last;

	if (!is_wanted(cursor, series_id))
		return false;
	cursor->columns.n = 0;
	oldcontext = MemoryContextSwitchTo(cursor->row);
	perfopt_chunk_unpack(cursor->stream, series_id, DatumGetTimestampTz(column(row, 2)),
						 DatumGetInt32(column(row, 3)), DatumGetByteaPP(column(row, 4)),
						 &cursor->columns);
	MemoryContextSwitchTo(oldcontext);
	cursor->chunks_read++;
	first = first_not_before(&cursor->columns, cursor->from);
	last = cursor->to == DT_NOEND ? cursor->columns.n
								  : first_not_before(&cursor->columns, cursor->to + 1);
	slice->series_id = series_id;
	slice->n = last - first;
	slice->ts = cursor->columns.ts + first;
	for (int c = 0; c < cursor->stream->ncolumns; c++)
		slice->column[c] = cursor->columns.column[c] + first;
	return slice->n > 0;
}

/* The plain array behind a datum; its length has to be `n` unless that is negative. */
static const void *
plain_array(PerfoptCursor *cursor, Datum datum, Oid type, int *n)
{
	ArrayType *array = DatumGetArrayTypeP(datum);
	int length = ARR_NDIM(array) == 0 ? 0 : ARR_DIMS(array)[0];

	if (ARR_NDIM(array) > 1 || ARR_ELEMTYPE(array) != type || ARR_HASNULL(array) ||
		(*n >= 0 && length != *n))
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("a row of perfopt.%s has arrays that do not go together",
						cursor->stream->hot),
				 errhint("Samples are recorded with perfopt.record_metric(), not by INSERT.")));
	*n = length;
	return ARR_DATA_PTR(array);
}

static void
take_row(PerfoptCursor *cursor, TupleTableSlot *row)
{
	MemoryContext oldcontext = MemoryContextSwitchTo(cursor->row);

	cursor->hot_rows_read++;
	cursor->row_ts = DatumGetTimestampTz(column(row, 1));
	cursor->row_next = 0;
	cursor->row_n = -1;
	cursor->row_series = plain_array(cursor, column(row, 2), INT4OID, &cursor->row_n);
	for (int c = 0; c < cursor->stream->ncolumns; c++)
		cursor->row_column[c] = plain_array(cursor, column(row, 3 + c), FLOAT8OID, &cursor->row_n);
	MemoryContextSwitchTo(oldcontext);
}

/* The next wanted sample of the hot row at hand. */
static bool
slice_of_row(PerfoptCursor *cursor, PerfoptSlice *slice)
{
	while (cursor->row_next < cursor->row_n)
	{
		int i = cursor->row_next++;

		if (!is_wanted(cursor, cursor->row_series[i]))
			continue;
		slice->series_id = cursor->row_series[i];
		slice->n = 1;
		slice->ts = &cursor->row_ts;
		for (int c = 0; c < cursor->stream->ncolumns; c++)
			slice->column[c] = &cursor->row_column[c][i];
		return true;
	}
	return false;
}

bool
perfopt_cursor_next(PerfoptCursor *cursor, PerfoptSlice *slice)
{
	TupleTableSlot *row;

	CHECK_FOR_INTERRUPTS();
	if (cursor->phase == READ_CHUNKS)
	{
		while ((row = next_row(cursor, open_chunks)) != NULL)
			if (slice_of_chunk(cursor, row, slice))
				return true;
		cursor->phase = READ_HOT;
	}
	if (cursor->phase == READ_HOT)
	{
		do
		{
			if (slice_of_row(cursor, slice))
				return true;
			row = next_row(cursor, open_hot);
			if (row != NULL)
				take_row(cursor, row);
		} while (row != NULL);
		cursor->phase = READ_DONE;
	}
	return false;
}

void
perfopt_cursor_close(PerfoptCursor *cursor)
{
	close_query(cursor);
	MemoryContextDelete(cursor->context);
}

int64
perfopt_cursor_chunks_read(const PerfoptCursor *cursor)
{
	return cursor->chunks_read;
}

int64
perfopt_cursor_hot_rows_read(const PerfoptCursor *cursor)
{
	return cursor->hot_rows_read;
}
