/*
 * chunk.c
 *	  Samples of one series as arrays, and their way into chunks and out again.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "math/gorilla.h"
#include "store/stream.h"

/* Four rows of this size, with their headers, fill a page of 8 kB. */
#define CHUNK_BYTES 1940

/* A chunk that is smaller takes more samples at its end, rather than that a new one begins. */
#define ROOM_BYTES (CHUNK_BYTES * 3 / 4)

#define LENGTH_BYTES 2 /* before each column's data, where there are several */

StaticAssertDecl(CHUNK_BYTES / PERFOPT_MAX_COLUMNS - LENGTH_BYTES >= PERFOPT_CHUNK_MIN_CAPACITY,
				 "each column of a chunk has room for a sample");

void
perfopt_columns_init(PerfoptColumns *columns, int ncolumns, int capacity)
{
	memset(columns, 0, sizeof(*columns));
	columns->capacity = Max(capacity, 1);
	columns->ts = palloc(columns->capacity * sizeof(TimestampTz));
	for (int c = 0; c < ncolumns; c++)
		columns->column[c] = palloc(columns->capacity * sizeof(double));
}

void
perfopt_columns_reserve(PerfoptColumns *columns, int ncolumns, int capacity)
{
	if (capacity <= columns->capacity)
		return;
	columns->capacity = Max(capacity, columns->capacity * 2);
	columns->ts = repalloc(columns->ts, columns->capacity * sizeof(TimestampTz));
	for (int c = 0; c < ncolumns; c++)
		columns->column[c] = repalloc(columns->column[c], columns->capacity * sizeof(double));
}

typedef struct Place
{
	TimestampTz ts;
	int index;
} Place;

static int
compare_places(const void *a, const void *b)
{
	const Place *pa = a;
	const Place *pb = b;

	if (pa->ts != pb->ts)
		return pa->ts < pb->ts ? -1 : 1;
	return pa->index - pb->index;
}

static bool
is_ascending(const PerfoptColumns *columns)
{
	for (int i = 1; i < columns->n; i++)
		if (columns->ts[i] <= columns->ts[i - 1])
			return false;
	return true;
}

void
perfopt_columns_sort(PerfoptColumns *columns, int ncolumns)
{
	PerfoptColumns sorted;
	Place *places;
	int n = 0;

	if (is_ascending(columns))
		return;

	places = palloc(columns->n * sizeof(Place));
	for (int i = 0; i < columns->n; i++)
		places[i] = (Place){ columns->ts[i], i };
	qsort(places, columns->n, sizeof(Place), compare_places);

	perfopt_columns_init(&sorted, ncolumns, columns->n);
	for (int i = 0; i < columns->n; i++)
	{
		if (i + 1 < columns->n && places[i + 1].ts == places[i].ts)
			continue;
		sorted.ts[n] = places[i].ts;
		for (int c = 0; c < ncolumns; c++)
			sorted.column[c][n] = columns->column[c][places[i].index];
		n++;
	}
	memcpy(columns->ts, sorted.ts, n * sizeof(TimestampTz));
	for (int c = 0; c < ncolumns; c++)
		memcpy(columns->column[c], sorted.column[c], n * sizeof(double));
	columns->n = n;

	pfree(places);
	pfree(sorted.ts);
	for (int c = 0; c < ncolumns; c++)
		pfree(sorted.column[c]);
}

/*
 * Encodes n samples of each column into buffer; returns how many the first column that does not hold them
 * all does, or n.
 */
static int
pack_columns(const PerfoptStream *stream, const PerfoptColumns *columns, int from, int n,
			 uint8 *buffer, size_t *total)
{
	bool single = stream->ncolumns == 1;
	size_t capacity = single ? CHUNK_BYTES : CHUNK_BYTES / stream->ncolumns - LENGTH_BYTES;

	*total = 0;
	for (int c = 0; c < stream->ncolumns; c++)
	{
		uint8 *start = buffer + *total + (single ? 0 : LENGTH_BYTES);
		size_t used;
		int packed = perfopt_chunk_encode(columns->ts + from, columns->column[c] + from, n, start,
										  capacity, &used);

		if (packed < n && !single)
			return packed;
		n = packed;
		if (!single)
		{
			buffer[*total] = used & 0xFF;
			buffer[*total + 1] = used >> 8;
		}
		*total = start + used - buffer;
	}
	return n;
}

int
perfopt_chunk_pack(const PerfoptStream *stream, const PerfoptColumns *columns, int from,
				   bytea **data)
{
	uint8 buffer[CHUNK_BYTES];
	int n = columns->n - from;
	int packed;
	size_t total;

	/* Every column must hold the same samples, so all begin again with as many as the fullest takes. */
	while ((packed = pack_columns(stream, columns, from, n, buffer, &total)) < n &&
		   stream->ncolumns > 1)
		n = packed;
	Assert(packed > 0);
	*data = palloc(VARHDRSZ + total);
	SET_VARSIZE(*data, VARHDRSZ + total);
	memcpy(VARDATA(*data), buffer, total);
	return packed;
}

static void
report_corrupt(const PerfoptStream *stream, int series_id, TimestampTz first_ts, const char *what)
{
	char *when = pstrdup(timestamptz_to_str(first_ts));

	ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED),
					errmsg("chunk of series %d that begins at %s in perfopt.%s is corrupt: %s",
						   series_id, when, stream->chunk, what),
					errhint("To give it up: DELETE FROM perfopt.%s WHERE series_id = %d AND "
							"first_ts = '%s'.",
							stream->chunk, series_id, when)));
}

void
perfopt_chunk_unpack(const PerfoptStream *stream, int series_id, TimestampTz first_ts, int n,
					 const bytea *data, PerfoptColumns *columns)
{
	const uint8 *p = (const uint8 *) VARDATA_ANY(data);
	size_t left = VARSIZE_ANY_EXHDR(data);

	/* It sizes memory, so it has to make sense before it is believed. */
	if (n < 1 || n > PERFOPT_CHUNK_MAX_SAMPLES)
		report_corrupt(stream, series_id, first_ts, "its number of samples makes no sense");
	for (int c = 0; c < stream->ncolumns; c++)
	{
		size_t length = left;
		int result;

		if (stream->ncolumns > 1)
		{
			length = left >= LENGTH_BYTES ? p[0] + ((size_t) p[1] << 8) : 0;
			if (left < LENGTH_BYTES || length > left - LENGTH_BYTES)
				report_corrupt(stream, series_id, first_ts, "it is cut short");
			p += LENGTH_BYTES;
			left -= LENGTH_BYTES;
		}
		result = perfopt_chunk_count(p, length);
		if (result < 0)
			report_corrupt(stream, series_id, first_ts, perfopt_chunk_error(result));
		if (result != n)
			report_corrupt(stream, series_id, first_ts, "its number of samples is another");
		perfopt_columns_reserve(columns, stream->ncolumns, columns->n + n);
		result = perfopt_chunk_decode(p, length, columns->ts + columns->n,
									  columns->column[c] + columns->n, n);
		if (result != n)
			report_corrupt(stream, series_id, first_ts,
						   result < 0 ? perfopt_chunk_error(result) : "it is cut short");
		p += length;
		left -= length;
	}
	columns->n += n;
}

/* Writes columns as chunks of one series, all within one partition. */
static void
write_chunks(PerfoptStreamId id, int series_id, const PerfoptColumns *columns)
{
	static SPIPlanPtr plans[PERFOPT_NUM_STREAMS];
	const PerfoptStream *stream = &perfopt_streams[id];
	Oid types[] = { TIMESTAMPTZOID, TIMESTAMPTZOID, INT4OID, INT4OID, BYTEAOID };

	for (int from = 0; from < columns->n;)
	{
		bytea *data;
		int n = perfopt_chunk_pack(stream, columns, from, &data);
		Datum values[] = { TimestampTzGetDatum(columns->ts[from]),
						   TimestampTzGetDatum(columns->ts[from + n - 1]), Int32GetDatum(series_id),
						   Int32GetDatum(n), PointerGetDatum(data) };

		perfopt_store_execute(
			&plans[id],
			psprintf("INSERT INTO perfopt.%s (first_ts, last_ts, series_id, n, data)"
					 " VALUES ($1, $2, $3, $4, $5)",
					 stream->chunk),
			lengthof(types), types, values, NULL);
		pfree(data);
		from += n;
	}
}

/* Takes the chunk that begins at first_ts out of the table and appends its samples to columns. */
static void
take_chunk(PerfoptStreamId id, int series_id, TimestampTz first_ts, PerfoptColumns *columns)
{
	static SPIPlanPtr plans[PERFOPT_NUM_STREAMS];
	const PerfoptStream *stream = &perfopt_streams[id];
	Oid types[] = { INT4OID, TIMESTAMPTZOID };
	Datum values[] = { Int32GetDatum(series_id), TimestampTzGetDatum(first_ts) };

	perfopt_store_execute(&plans[id],
						  psprintf("DELETE FROM perfopt.%s"
								   " WHERE series_id OPERATOR(pg_catalog.=) $1"
								   " AND first_ts OPERATOR(pg_catalog.=) $2 RETURNING n, data",
								   stream->chunk),
						  lengthof(types), types, values, NULL);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		HeapTuple row = SPI_tuptable->vals[i];
		TupleDesc desc = SPI_tuptable->tupdesc;
		bool isnull;

		perfopt_chunk_unpack(stream, series_id, first_ts,
							 DatumGetInt32(SPI_getbinval(row, desc, 1, &isnull)),
							 DatumGetByteaPP(SPI_getbinval(row, desc, 2, &isnull)), columns);
	}
	SPI_freetuptable(SPI_tuptable);
}

/* first_ts, last_ts and bytes of the chunks that a series has in the partition of ts, latest first. */
static SPITupleTable *
list_chunks(PerfoptStreamId id, int series_id, TimestampTz ts)
{
	static SPIPlanPtr plans[PERFOPT_NUM_STREAMS];
	Oid types[] = { INT4OID, TIMESTAMPTZOID, TIMESTAMPTZOID };
	Datum values[] = { Int32GetDatum(series_id), TimestampTzGetDatum(perfopt_period_start(id, ts)),
					   TimestampTzGetDatum(perfopt_period_end(id, ts)) };

	perfopt_store_execute(&plans[id],
						  psprintf("SELECT first_ts, last_ts, pg_catalog.octet_length(data)"
								   " FROM perfopt.%s WHERE series_id OPERATOR(pg_catalog.=) $1"
								   " AND first_ts OPERATOR(pg_catalog.>=) $2"
								   " AND first_ts OPERATOR(pg_catalog.<) $3 ORDER BY first_ts DESC",
								   perfopt_streams[id].chunk),
						  lengthof(types), types, values, NULL);
	return SPI_tuptable;
}

/*
 * Takes out the chunks that samples between first and last are to be put into: those that they overlap,
 * and the latest one, if it has room and ends before them.
 */
static void
take_chunks(PerfoptStreamId id, int series_id, TimestampTz first, TimestampTz last,
			PerfoptColumns *columns)
{
	SPITupleTable *chunks = list_chunks(id, series_id, first);

	for (uint64 i = 0; i < chunks->numvals; i++)
	{
		bool isnull;
		Datum first_ts = SPI_getbinval(chunks->vals[i], chunks->tupdesc, 1, &isnull);
		Datum last_ts = SPI_getbinval(chunks->vals[i], chunks->tupdesc, 2, &isnull);
		Datum bytes = SPI_getbinval(chunks->vals[i], chunks->tupdesc, 3, &isnull);
		bool overlaps =
			DatumGetTimestampTz(first_ts) <= last && DatumGetTimestampTz(last_ts) >= first;
		bool has_room =
			i == 0 && DatumGetTimestampTz(last_ts) < first && DatumGetInt32(bytes) < ROOM_BYTES;

		if (overlaps || has_room)
			take_chunk(id, series_id, DatumGetTimestampTz(first_ts), columns);
	}
	SPI_freetuptable(chunks);
}

void
perfopt_chunk_merge(PerfoptStreamId id, int series_id, const PerfoptColumns *columns)
{
	const PerfoptStream *stream = &perfopt_streams[id];
	PerfoptColumns merged;

	perfopt_columns_init(&merged, stream->ncolumns, columns->n + 1024);
	for (int from = 0, to; from < columns->n; from = to)
	{
		TimestampTz end = perfopt_period_end(id, columns->ts[from]);

		for (to = from + 1; to < columns->n && columns->ts[to] < end;)
			to++;
		perfopt_partition_make(stream->chunk, columns->ts[from]);
		merged.n = 0;
		take_chunks(id, series_id, columns->ts[from], columns->ts[to - 1], &merged);
		perfopt_columns_reserve(&merged, stream->ncolumns, merged.n + to - from);
		memcpy(merged.ts + merged.n, columns->ts + from, (to - from) * sizeof(TimestampTz));
		for (int c = 0; c < stream->ncolumns; c++)
			memcpy(merged.column[c] + merged.n, columns->column[c] + from,
				   (to - from) * sizeof(double));
		merged.n += to - from;
		perfopt_columns_sort(&merged, stream->ncolumns);
		write_chunks(id, series_id, &merged);
	}
	pfree(merged.ts);
	for (int c = 0; c < stream->ncolumns; c++)
		pfree(merged.column[c]);
}

/* Replaces the value of one series in a hot row of this time; false when there is none. */
static bool
replace_hot(PerfoptStreamId id, int series_id, TimestampTz ts, const double *values)
{
	static SPIPlanPtr plans[PERFOPT_NUM_STREAMS];
	const PerfoptStream *stream = &perfopt_streams[id];
	Oid types[2 + PERFOPT_MAX_COLUMNS] = { INT4OID, TIMESTAMPTZOID };
	Datum parameters[2 + PERFOPT_MAX_COLUMNS] = { Int32GetDatum(series_id),
												  TimestampTzGetDatum(ts) };
	StringInfoData sql;

	initStringInfo(&sql);
	appendStringInfo(&sql, "UPDATE perfopt.%s SET ", stream->hot);
	for (int c = 0; c < stream->ncolumns; c++)
	{
		types[2 + c] = FLOAT8OID;
		parameters[2 + c] = Float8GetDatum(values[c]);
		appendStringInfo(&sql, "%s%s[pg_catalog.array_position(series, $1)] = $%d",
						 c > 0 ? ", " : "", stream->column[c], 3 + c);
	}
	appendStringInfoString(&sql, " WHERE ts OPERATOR(pg_catalog.=) $2"
								 " AND pg_catalog.array_position(series, $1) IS NOT NULL");
	perfopt_store_execute(&plans[id], sql.data, 2 + stream->ncolumns, types, parameters, NULL);
	pfree(sql.data);
	return SPI_processed > 0;
}

/* Replaces a sealed sample of this very time; false when there is none. */
static bool
replace_sealed(PerfoptStreamId id, int series_id, TimestampTz ts, const double *values)
{
	const int ncolumns = perfopt_streams[id].ncolumns;
	SPITupleTable *chunks = list_chunks(id, series_id, ts);
	PerfoptColumns columns;
	bool replaced = false;

	perfopt_columns_init(&columns, ncolumns, 1024);
	for (uint64 i = 0; i < chunks->numvals && !replaced; i++)
	{
		bool isnull;
		TimestampTz first_ts =
			DatumGetTimestampTz(SPI_getbinval(chunks->vals[i], chunks->tupdesc, 1, &isnull));
		TimestampTz last_ts =
			DatumGetTimestampTz(SPI_getbinval(chunks->vals[i], chunks->tupdesc, 2, &isnull));

		if (ts < first_ts || ts > last_ts)
			continue;
		columns.n = 0;
		take_chunk(id, series_id, first_ts, &columns);
		for (int s = 0; s < columns.n; s++)
		{
			if (columns.ts[s] != ts)
				continue;
			for (int c = 0; c < ncolumns; c++)
				columns.column[c][s] = values[c];
			replaced = true;
		}
		write_chunks(id, series_id, &columns);
	}
	SPI_freetuptable(chunks);
	return replaced;
}

static void
insert_hot(PerfoptStreamId id, int series_id, TimestampTz ts, const double *values,
		   const char *writer)
{
	static SPIPlanPtr plans[PERFOPT_NUM_STREAMS];
	const PerfoptStream *stream = &perfopt_streams[id];
	Oid types[3 + PERFOPT_MAX_COLUMNS] = { TIMESTAMPTZOID, INT4ARRAYOID };
	Datum parameters[3 + PERFOPT_MAX_COLUMNS];
	Datum series = Int32GetDatum(series_id);
	int n = 2;
	StringInfoData names;
	StringInfoData places;

	initStringInfo(&names);
	initStringInfo(&places);
	parameters[0] = TimestampTzGetDatum(ts);
	parameters[1] = PointerGetDatum(construct_array_builtin(&series, 1, INT4OID));
	for (int c = 0; c < stream->ncolumns; c++)
	{
		types[n] = FLOAT8ARRAYOID;
		parameters[n++] = perfopt_float8_array(&values[c], 1);
		appendStringInfo(&names, ", %s", stream->column[c]);
		appendStringInfo(&places, ", $%d", n);
	}
	if (writer != NULL)
	{
		types[n] = TEXTOID;
		parameters[n++] = CStringGetTextDatum(writer);
		appendStringInfoString(&names, ", writer");
		appendStringInfo(&places, ", $%d", n);
	}
	perfopt_store_execute(&plans[id],
						  psprintf("INSERT INTO perfopt.%s (ts, series%s) VALUES ($1, $2%s)",
								   stream->hot, names.data, places.data),
						  n, types, parameters, NULL);
}

/* Whether there is a sample of this series at this very time, as of now. */
static bool
exists(PerfoptStreamId id, int series_id, TimestampTz ts)
{
	PerfoptCursor *cursor;
	PerfoptSlice slice;
	bool found;

	CommandCounterIncrement();
	PushActiveSnapshot(GetLatestSnapshot());
	cursor = perfopt_cursor_open(id, ts, ts, &series_id, 1);
	found = perfopt_cursor_next(cursor, &slice);
	perfopt_cursor_close(cursor);
	PopActiveSnapshot();
	return found;
}

void
perfopt_store_put(PerfoptStreamId id, int series_id, TimestampTz ts, const double *values,
				  const char *writer)
{
	/* Who only adds must not wait for others who do: they may be in long transactions. */
	if (exists(id, series_id, ts))
	{
		perfopt_stream_lock(id);
		if (replace_hot(id, series_id, ts, values) || replace_sealed(id, series_id, ts, values))
			return;
	}
	insert_hot(id, series_id, ts, values, writer);
}
