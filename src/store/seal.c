/*
 * seal.c
 *	  Sealing: moving hot rows into chunks of one series each.
 *
 * One transaction inserts the chunks and deletes the hot rows, so that a crash at any moment leaves
 * every sample exactly once, and readers see it exactly once under whatever snapshot they have.  The
 * rows deleted are one a cycle, a few thousand a day: this is a queue, not a history.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "storage/itemptr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "store/stream.h"

/* So much memory holds the samples of the series that are sealed in one pass over the rows. */
#define PASS_BYTES (2 * 1024 * 1024)

/* Rows sealed at a time, which bounds the rows that are held, and about how many samples, which takes time. */
#define ROWS_AT_ONCE 1440
#define SAMPLES_AT_ONCE 1000000

/* What a cycle spends on a backlog; the rest is for the next. */
#define SEAL_US (250 * INT64CONST(1000))

/* What is younger may still be rolled up or corrected, and is cheapest to read hot. */
#define STAY_HOT_US (15 * 60 * INT64CONST(1000000))

/* Hot rows that are being sealed, as SPI fetched them: ctid, ts, series, columns. */
typedef struct Rows
{
	const PerfoptStream *stream;
	SPITupleTable *table;
	int n;
} Rows;

/* A series' part in the rows at hand. */
typedef struct Part
{
	int series_id;
	int n;
} Part;

/*
 * The oldest hot rows.  The latest of each writer stays for a day, since it is what current_metrics() shows
 * and what is read most.
 */
static Rows
take_rows(PerfoptStreamId id, TimestampTz before)
{
	static SPIPlanPtr plans[PERFOPT_NUM_STREAMS];
	const PerfoptStream *stream = &perfopt_streams[id];
	Oid types[] = { TIMESTAMPTZOID, INT8OID, TIMESTAMPTZOID };
	Datum values[] = { TimestampTzGetDatum(before), Int64GetDatum(ROWS_AT_ONCE),
					   TimestampTzGetDatum(GetCurrentTimestamp() - USECS_PER_DAY) };
	Rows rows = { stream };
	StringInfoData sql;

	initStringInfo(&sql);
	appendStringInfoString(&sql, "SELECT h.ctid, h.ts, h.series");
	for (int c = 0; c < stream->ncolumns; c++)
		appendStringInfo(&sql, ", h.%s", stream->column[c]);
	appendStringInfo(&sql,
					 " FROM perfopt.%s h WHERE h.ts OPERATOR(pg_catalog.<) $1"
					 " AND (h.ts OPERATOR(pg_catalog.<) $3 OR h.ts OPERATOR(pg_catalog.<)"
					 " (SELECT pg_catalog.max(l.ts) FROM perfopt.%s l%s)) ORDER BY h.ts LIMIT $2",
					 stream->hot, stream->hot,
					 id == PERFOPT_RAW ? " WHERE l.writer OPERATOR(pg_catalog.=) h.writer" : "");
	perfopt_store_execute(&plans[id], sql.data, lengthof(types), types, values, NULL);
	pfree(sql.data);
	rows.table = SPI_tuptable;
	rows.n = (int) SPI_processed;
	return rows;
}

static ArrayType *
array_of(const Rows *rows, int row, int column)
{
	bool isnull;

	return DatumGetArrayTypeP(
		SPI_getbinval(rows->table->vals[row], rows->table->tupdesc, column, &isnull));
}

static int
length_of(ArrayType *array)
{
	return ARR_NDIM(array) == 1 ? ARR_DIMS(array)[0] : 0;
}

static int
compare_ids(const void *a, const void *b)
{
	return *(const int *) a - *(const int *) b;
}

/*
 * How many samples each series has, in order of ids.  Where the rows have many samples, the later rows are
 * left for the next time.
 */
static Part *
count_parts(Rows *rows, MemoryContext row_context, int *nparts)
{
	int64 nsamples = 0;
	int capacity = 1024;
	int *counts = palloc0(capacity * sizeof(int));
	Part *parts;

	*nparts = 0;
	for (int r = 0; r < rows->n; r++)
	{
		MemoryContext oldcontext = MemoryContextSwitchTo(row_context);
		ArrayType *series = array_of(rows, r, 3);
		const int *ids = (const int *) ARR_DATA_PTR(series);

		MemoryContextSwitchTo(oldcontext);
		nsamples += length_of(series);
		if (r > 0 && nsamples > SAMPLES_AT_ONCE)
		{
			rows->n = r;
			break;
		}
		for (int i = 0; i < length_of(series); i++)
		{
			if (ids[i] < 0)
				elog(ERROR, "a row of perfopt.%s has the series %d", rows->stream->hot, ids[i]);
			if (ids[i] >= capacity)
			{
				int wider = Max(ids[i] + 1, capacity * 2);

				counts = repalloc(counts, wider * sizeof(int));
				memset(counts + capacity, 0, (wider - capacity) * sizeof(int));
				capacity = wider;
			}
			if (counts[ids[i]]++ == 0)
				(*nparts)++;
		}
		MemoryContextReset(row_context);
	}

	parts = palloc(Max(*nparts, 1) * sizeof(Part));
	*nparts = 0;
	for (int id = 0; id < capacity; id++)
		if (counts[id] > 0)
			parts[(*nparts)++] = (Part){ id, counts[id] };
	pfree(counts);
	return parts;
}

/* Copies the samples of parts[0..nparts) out of the rows. */
static void
gather(const Rows *rows, const Part *parts, int nparts, PerfoptColumns *columns,
	   MemoryContext row_context)
{
	int ncolumns = rows->stream->ncolumns;

	for (int r = 0; r < rows->n; r++)
	{
		MemoryContext oldcontext = MemoryContextSwitchTo(row_context);
		ArrayType *series = array_of(rows, r, 3);
		const int *ids = (const int *) ARR_DATA_PTR(series);
		const double *values[PERFOPT_MAX_COLUMNS];
		int n = length_of(series);
		bool isnull;
		TimestampTz ts = DatumGetTimestampTz(
			SPI_getbinval(rows->table->vals[r], rows->table->tupdesc, 2, &isnull));

		for (int c = 0; c < ncolumns; c++)
		{
			ArrayType *column = array_of(rows, r, 4 + c);

			values[c] = (const double *) ARR_DATA_PTR(column);
			n = Min(n, length_of(column));
		}
		MemoryContextSwitchTo(oldcontext);
		for (int i = 0; i < n; i++)
		{
			const Part *part = bsearch(&ids[i], parts, nparts, sizeof(Part), compare_ids);
			PerfoptColumns *to;

			if (part == NULL)
				continue;
			to = &columns[part - parts];
			to->ts[to->n] = ts;
			for (int c = 0; c < ncolumns; c++)
				to->column[c][to->n] = values[c][i];
			to->n++;
		}
		MemoryContextReset(row_context);
	}
}

/* Seals as many of the parts as fit into a pass; returns how many. */
static int
seal_pass(PerfoptStreamId id, const Rows *rows, const Part *parts, int nparts,
		  MemoryContext row_context)
{
	int ncolumns = rows->stream->ncolumns;
	MemoryContext pass =
		AllocSetContextCreate(CurrentMemoryContext, "perfopt seal pass", ALLOCSET_DEFAULT_SIZES);
	MemoryContext oldcontext = MemoryContextSwitchTo(pass);
	PerfoptColumns *columns = palloc(nparts * sizeof(PerfoptColumns));
	Size bytes = 0;
	int n = 0;

	while (n < nparts && (n == 0 || bytes < PASS_BYTES))
	{
		perfopt_columns_init(&columns[n], ncolumns, parts[n].n);
		bytes += (Size) parts[n].n * (ncolumns + 1) * sizeof(double);
		n++;
	}
	gather(rows, parts, n, columns, row_context);
	for (int i = 0; i < n; i++)
	{
		perfopt_columns_sort(&columns[i], ncolumns);
		perfopt_chunk_merge(id, parts[i].series_id, &columns[i]);
		CHECK_FOR_INTERRUPTS();
	}
	MemoryContextSwitchTo(oldcontext);
	MemoryContextDelete(pass);
	return n;
}

static void
delete_rows(PerfoptStreamId id, const Rows *rows)
{
	static SPIPlanPtr plans[PERFOPT_NUM_STREAMS];
	Oid types[] = { TIDARRAYOID };
	Datum *places = palloc(rows->n * sizeof(Datum));
	Datum values[1];
	bool isnull;

	for (int r = 0; r < rows->n; r++)
		places[r] = SPI_getbinval(rows->table->vals[r], rows->table->tupdesc, 1, &isnull);
	values[0] = PointerGetDatum(construct_array_builtin(places, rows->n, TIDOID));
	perfopt_store_execute(&plans[id],
						  psprintf("DELETE FROM perfopt.%s WHERE ctid OPERATOR(pg_catalog.=)"
								   " ANY ($1)",
								   rows->stream->hot),
						  lengthof(types), types, values, NULL);
	if (SPI_processed != rows->n)
		elog(ERROR, "sealed %d rows of perfopt.%s but could delete " UINT64_FORMAT, rows->n,
			 rows->stream->hot, SPI_processed);
}

static void
note_seen(const Rows *rows, const Part *parts, int nparts)
{
	static SPIPlanPtr plan = NULL;
	Oid types[] = { INT4ARRAYOID, TIMESTAMPTZOID };
	Datum *ids = palloc(Max(nparts, 1) * sizeof(Datum));
	Datum values[2];
	bool isnull;

	for (int i = 0; i < nparts; i++)
		ids[i] = Int32GetDatum(parts[i].series_id);
	values[0] = PointerGetDatum(construct_array_builtin(ids, nparts, INT4OID));
	values[1] = SPI_getbinval(rows->table->vals[rows->n - 1], rows->table->tupdesc, 2, &isnull);
	perfopt_store_execute(&plan,
						  "UPDATE perfopt.series SET last_seen = $2"
						  " WHERE series_id OPERATOR(pg_catalog.=) ANY ($1)"
						  " AND last_seen OPERATOR(pg_catalog.<)"
						  " ($2 OPERATOR(pg_catalog.-) '1 day'::pg_catalog.interval)",
						  lengthof(types), types, values, NULL);
}

static int
seal_rows(PerfoptStreamId id, TimestampTz before)
{
	MemoryContext context =
		AllocSetContextCreate(CurrentMemoryContext, "perfopt seal", ALLOCSET_DEFAULT_SIZES);
	MemoryContext row_context =
		AllocSetContextCreate(context, "perfopt seal row", ALLOCSET_DEFAULT_SIZES);
	MemoryContext oldcontext = MemoryContextSwitchTo(context);
	Rows rows;
	Part *parts;
	int nparts;

	perfopt_stream_lock(id);
	rows = take_rows(id, before);
	if (rows.n > 0)
	{
		parts = count_parts(&rows, row_context, &nparts);
		for (int done = 0; done < nparts;)
			done += seal_pass(id, &rows, parts + done, nparts - done, row_context);
		delete_rows(id, &rows);
		if (id == PERFOPT_RAW)
			note_seen(&rows, parts, nparts);
	}
	SPI_freetuptable(rows.table);
	MemoryContextSwitchTo(oldcontext);
	MemoryContextDelete(context);
	return rows.n;
}

/* Worth it are many rows that may be sealed, or rows that a partition's length has passed over. */
static bool
is_worth_it(PerfoptStreamId id, TimestampTz before)
{
	static SPIPlanPtr plans[PERFOPT_NUM_STREAMS];
	const PerfoptStream *stream = &perfopt_streams[id];
	Oid types[] = { TIMESTAMPTZOID };
	Datum values[] = { TimestampTzGetDatum(before) };
	bool isnull;
	int64 n;
	Datum oldest;

	/* Counted no further than it matters: applications may have recorded a million. */
	perfopt_store_execute(&plans[id],
						  psprintf("SELECT pg_catalog.count(*), pg_catalog.min(ts) FROM (SELECT ts"
								   " FROM perfopt.%s WHERE ts OPERATOR(pg_catalog.<) $1"
								   " ORDER BY ts LIMIT %d) h",
								   stream->hot, stream->seal_rows),
						  lengthof(types), types, values, NULL);
	n = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	oldest = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 2, &isnull);
	return n >= stream->seal_rows ||
		   (!isnull && DatumGetTimestampTz(oldest) <
						   before - perfopt_partition_days(stream->chunk) * USECS_PER_DAY);
}

int
perfopt_store_seal(PerfoptStreamId id, TimestampTz now, bool all)
{
	TimestampTz before = all ? DT_NOEND : now - STAY_HOT_US;
	TimestampTz give_up = now + SEAL_US;
	int sealed = 0;
	int n = 0;

	do
	{
		if (!all && !is_worth_it(id, before))
			break;
		n = seal_rows(id, before);
		sealed += n;
	} while (n > 0 && (all || GetCurrentTimestamp() < give_up));
	return sealed;
}
