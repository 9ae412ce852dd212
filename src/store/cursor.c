/*
 * cursor.c
 *	  Reading samples of a stream, first the sealed ones, then the hot ones.
 *
 * Both are read through portals of SPI, so that the server prunes partitions, picks indexes and takes
 * locks as it does for any query.  Operators are qualified, since the queries run as the owner of the
 * tables under whatever search_path the caller has.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/tupdesc.h"
#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/portal.h"
#include "utils/timestamp.h"

#include "store/stream.h"

#define FETCH_ROWS 64

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
	MemoryContext batch; /* the rows at hand */
	TimestampTz from;
	TimestampTz to;
	int nseries; /* 0 is all */
	Datum series;
	bool *wanted; /* by id, below nwanted */
	int nwanted;

	Phase phase;
	Portal portal; /* NULL while there is none */
	HeapTuple *rows;
	TupleDesc desc;
	int nrows;
	int next_row;

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
	cursor->batch = AllocSetContextCreate(context, "perfopt cursor rows", ALLOCSET_DEFAULT_SIZES);
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

static Portal
open_portal(SPIPlanPtr *plan, const char *sql, int nargs, Oid *types, Datum *values)
{
	Oid user;
	int security;
	Portal portal;

	GetUserIdAndSecContext(&user, &security);
	SetUserIdAndSecContext(perfopt_store_owner(), security | SECURITY_LOCAL_USERID_CHANGE);
	SPI_connect();
	perfopt_store_prepare(plan, sql, nargs, types);
	portal = SPI_cursor_open(NULL, *plan, values, NULL, true);
	SPI_finish();
	SetUserIdAndSecContext(user, security);
	return portal;
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

	cursor->portal = open_portal(
		&plans[cursor->id][look_up],
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
	cursor->portal = open_portal(&plans[cursor->id], sql.data, 2, types, values);
}

/* Copies the portal's next rows; false when there are none. */
static bool
fetch_rows(PerfoptCursor *cursor)
{
	MemoryContext oldcontext;

	MemoryContextReset(cursor->batch);
	SPI_connect();
	SPI_cursor_fetch(cursor->portal, true, FETCH_ROWS);
	oldcontext = MemoryContextSwitchTo(cursor->batch);
	cursor->nrows = (int) SPI_processed;
	cursor->next_row = 0;
	if (cursor->nrows > 0)
	{
		cursor->desc = CreateTupleDescCopy(SPI_tuptable->tupdesc);
		cursor->rows = palloc(cursor->nrows * sizeof(HeapTuple));
		for (int i = 0; i < cursor->nrows; i++)
			cursor->rows[i] = heap_copytuple(SPI_tuptable->vals[i]);
	}
	MemoryContextSwitchTo(oldcontext);
	if (cursor->nrows == 0)
	{
		SPI_cursor_close(cursor->portal);
		cursor->portal = NULL;
	}
	SPI_finish();
	return cursor->nrows > 0;
}

/* The next row of this phase, or NULL at its end. */
static HeapTuple
next_row(PerfoptCursor *cursor, void (*open)(PerfoptCursor *))
{
	if (cursor->next_row == cursor->nrows)
	{
		if (cursor->portal == NULL)
		{
			MemoryContext oldcontext = MemoryContextSwitchTo(cursor->context);

			open(cursor);
			MemoryContextSwitchTo(oldcontext);
		}
		if (!fetch_rows(cursor))
			return NULL;
	}
	return cursor->rows[cursor->next_row++];
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
slice_of_chunk(PerfoptCursor *cursor, HeapTuple row, PerfoptSlice *slice)
{
	bool isnull;
	int series_id = DatumGetInt32(heap_getattr(row, 1, cursor->desc, &isnull));
	Datum first_ts = heap_getattr(row, 2, cursor->desc, &isnull);
	Datum n = heap_getattr(row, 3, cursor->desc, &isnull);
	Datum data = heap_getattr(row, 4, cursor->desc, &isnull);
	int first;
	int last;

	if (!is_wanted(cursor, series_id))
		return false;
	cursor->columns.n = 0;
	perfopt_chunk_unpack(cursor->stream, series_id, DatumGetTimestampTz(first_ts), DatumGetInt32(n),
						 DatumGetByteaPP(data), &cursor->columns);
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
take_row(PerfoptCursor *cursor, HeapTuple row)
{
	MemoryContext oldcontext = MemoryContextSwitchTo(cursor->batch);
	bool isnull;

	cursor->hot_rows_read++;
	cursor->row_ts = DatumGetTimestampTz(heap_getattr(row, 1, cursor->desc, &isnull));
	cursor->row_next = 0;
	cursor->row_n = -1;
	cursor->row_series =
		plain_array(cursor, heap_getattr(row, 2, cursor->desc, &isnull), INT4OID, &cursor->row_n);
	for (int c = 0; c < cursor->stream->ncolumns; c++)
		cursor->row_column[c] = plain_array(cursor, heap_getattr(row, 3 + c, cursor->desc, &isnull),
											FLOAT8OID, &cursor->row_n);
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
	HeapTuple row;

	CHECK_FOR_INTERRUPTS();
	if (cursor->phase == READ_CHUNKS)
	{
		while ((row = next_row(cursor, open_chunks)) != NULL)
			if (slice_of_chunk(cursor, row, slice))
				return true;
		cursor->phase = READ_HOT;
		cursor->nrows = cursor->next_row = 0;
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
	if (cursor->portal != NULL)
	{
		SPI_connect();
		SPI_cursor_close(cursor->portal);
		SPI_finish();
	}
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
