/*
 * rollup.c
 *	  Rollups: raw samples by five minutes, and those by the hour.
 *
 * A bucket is rolled up once it has been over for a while.  What comes later than that (a sample that
 * was recorded with a time in the past, a clock that was set back) is noted in perfopt.rollup_due, and
 * the buckets concerned are done again for the series concerned.
 */
#include "postgres.h"

#include <math.h>

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "store/stream.h"

/* The prober's row is written when its slowest target has answered, under the time it began. */
#define GRACE_US (60 * INT64CONST(1000000))

#define ROW_BATCH 1000 /* due pairs of bucket and series done at a time */

typedef enum RollupColumn
{
	ROLLUP_N,
	ROLLUP_MIN,
	ROLLUP_MAX,
	ROLLUP_SUM,
	ROLLUP_COLUMNS
} RollupColumn;

typedef struct Level
{
	PerfoptStreamId source;
	int64 width_us;
} Level;

static const Level levels[PERFOPT_NUM_STREAMS] = {
	[PERFOPT_5MIN] = { PERFOPT_RAW, 5 * 60 * INT64CONST(1000000) },
	[PERFOPT_1HOUR] = { PERFOPT_5MIN, 60 * 60 * INT64CONST(1000000) },
};

/* What a bucket has of each series, in order of their ids. */
typedef struct Bucket
{
	int n;
	int *series;
	double *column[ROLLUP_COLUMNS];
} Bucket;

static TimestampTz
bucket_of(PerfoptStreamId id, TimestampTz ts)
{
	int64 width = levels[id].width_us;

	return (ts >= 0 ? ts / width : -((width - 1 - ts) / width)) * width;
}

/* One sample, or one rollup of a finer level, as n, min, max, sum. */
static void
accumulate(double *sums, const PerfoptSlice *slice, int i, PerfoptStreamId source)
{
	bool raw = source == PERFOPT_RAW;
	double min = slice->column[raw ? 0 : ROLLUP_MIN][i];
	double max = slice->column[raw ? 0 : ROLLUP_MAX][i];

	sums[ROLLUP_MIN] = sums[ROLLUP_N] == 0 ? min : Min(sums[ROLLUP_MIN], min);
	sums[ROLLUP_MAX] = sums[ROLLUP_N] == 0 ? max : Max(sums[ROLLUP_MAX], max);
	sums[ROLLUP_SUM] += slice->column[raw ? 0 : ROLLUP_SUM][i];
	sums[ROLLUP_N] += raw ? 1 : slice->column[ROLLUP_N][i];
}

/* Sums up a bucket of the given series, or of all where series is NULL. */
static Bucket
sum_up(PerfoptStreamId id, TimestampTz start, const int *series, int nseries)
{
	PerfoptStreamId source = levels[id].source;
	PerfoptCursor *cursor;
	int capacity = 1024;
	double(*sums)[ROLLUP_COLUMNS] = palloc0(capacity * sizeof(*sums));
	Bucket bucket = { 0 };
	PerfoptSlice slice;

	/* Finer buckets that were done a moment ago are to be seen. */
	CommandCounterIncrement();
	PushActiveSnapshot(GetLatestSnapshot());
	cursor = perfopt_cursor_open(source, start, start + levels[id].width_us - 1, series, nseries);
	while (perfopt_cursor_next(cursor, &slice))
	{
		if (slice.series_id >= capacity)
		{
			int wider = Max(slice.series_id + 1, capacity * 2);

			sums = repalloc(sums, wider * sizeof(*sums));
			memset(sums + capacity, 0, (wider - capacity) * sizeof(*sums));
			capacity = wider;
		}
		for (int i = 0; i < slice.n; i++)
			accumulate(sums[slice.series_id], &slice, i, source);
	}
	perfopt_cursor_close(cursor);
	PopActiveSnapshot();

	for (int s = 0; s < capacity; s++)
		if (sums[s][ROLLUP_N] > 0)
			bucket.n++;
	bucket.series = palloc(Max(bucket.n, 1) * sizeof(int));
	for (int c = 0; c < ROLLUP_COLUMNS; c++)
		bucket.column[c] = palloc(Max(bucket.n, 1) * sizeof(double));
	for (int s = 0, n = 0; s < capacity; s++)
	{
		if (sums[s][ROLLUP_N] == 0)
			continue;
		bucket.series[n] = s;
		for (int c = 0; c < ROLLUP_COLUMNS; c++)
			bucket.column[c][n] = sums[s][c];
		n++;
	}
	pfree(sums);
	return bucket;
}

static void
forget_due(TimestampTz bucket)
{
	static SPIPlanPtr plan = NULL;
	Oid types[] = { TIMESTAMPTZOID };
	Datum values[] = { TimestampTzGetDatum(bucket) };

	perfopt_store_execute(&plan,
						  "DELETE FROM perfopt.rollup_due WHERE bucket OPERATOR(pg_catalog.=) $1",
						  lengthof(types), types, values, NULL);
}

/* Rolls up one bucket of all series; what is hot of it from before is replaced.  False if it is empty. */
static bool
roll_bucket(PerfoptStreamId id, TimestampTz start)
{
	static SPIPlanPtr delete_plans[PERFOPT_NUM_STREAMS];
	static SPIPlanPtr insert_plans[PERFOPT_NUM_STREAMS];
	Oid types[2 + ROLLUP_COLUMNS] = { TIMESTAMPTZOID, INT4ARRAYOID };
	Datum values[2 + ROLLUP_COLUMNS] = { TimestampTzGetDatum(start) };
	Bucket bucket;
	Datum *ids;

	/* Before it is summed up: samples of what is seen here are then seen too. */
	if (id == PERFOPT_5MIN)
		forget_due(start);
	bucket = sum_up(id, start, NULL, 0);
	if (bucket.n == 0)
		return false;
	perfopt_store_execute(&delete_plans[id],
						  psprintf("DELETE FROM perfopt.%s WHERE ts OPERATOR(pg_catalog.=) $1",
								   perfopt_streams[id].hot),
						  1, types, values, NULL);

	ids = palloc(bucket.n * sizeof(Datum));
	for (int i = 0; i < bucket.n; i++)
		ids[i] = Int32GetDatum(bucket.series[i]);
	values[1] = PointerGetDatum(construct_array_builtin(ids, bucket.n, INT4OID));
	for (int c = 0; c < ROLLUP_COLUMNS; c++)
	{
		types[2 + c] = FLOAT8ARRAYOID;
		values[2 + c] = perfopt_float8_array(bucket.column[c], bucket.n);
	}
	perfopt_store_execute(&insert_plans[id],
						  psprintf("INSERT INTO perfopt.%s (ts, series, n, min, max, sum)"
								   " VALUES ($1, $2, $3, $4, $5, $6)",
								   perfopt_streams[id].hot),
						  lengthof(types), types, values, NULL);
	return true;
}

/* The only value of what was just selected, or DT_NOEND for NULL. */
static TimestampTz
selected_time(void)
{
	bool isnull = true;
	Datum time = (Datum) 0;

	if (SPI_processed == 1)
		time = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull);
	SPI_freetuptable(SPI_tuptable);
	return isnull ? DT_NOEND : DatumGetTimestampTz(time);
}

/* The first sample of a stream at or after a time; DT_NOEND where there is none. */
static TimestampTz
next_sample(PerfoptStreamId id, TimestampTz from)
{
	static SPIPlanPtr hot_plans[PERFOPT_NUM_STREAMS];
	static SPIPlanPtr chunk_plans[PERFOPT_NUM_STREAMS];
	const PerfoptStream *stream = &perfopt_streams[id];
	Oid types[] = { TIMESTAMPTZOID };
	Datum values[] = { TimestampTzGetDatum(from) };
	TimestampTz hot;
	TimestampTz sealed;

	perfopt_store_execute(&hot_plans[id],
						  psprintf("SELECT pg_catalog.min(ts) FROM perfopt.%s"
								   " WHERE ts OPERATOR(pg_catalog.>=) $1",
								   stream->hot),
						  lengthof(types), types, values, NULL);
	hot = selected_time();
	perfopt_store_execute(
		&chunk_plans[id],
		psprintf("SELECT pg_catalog.min(GREATEST(first_ts, $1)) FROM perfopt.%s"
				 " WHERE last_ts OPERATOR(pg_catalog.>=) $1"
				 " AND first_ts OPERATOR(pg_catalog.>=) ($1 OPERATOR(pg_catalog.-) '%d day'::"
				 "pg_catalog.interval)",
				 stream->chunk, perfopt_partition_days(stream->chunk)),
		lengthof(types), types, values, NULL);
	sealed = selected_time();
	return Min(hot, sealed);
}

static TimestampTz
rolled_until(PerfoptStreamId id)
{
	static SPIPlanPtr plan = NULL;
	Oid types[] = { TEXTOID };
	Datum values[] = { CStringGetTextDatum(perfopt_streams[id].name) };

	perfopt_store_execute(
		&plan, "SELECT rolled_until FROM perfopt.stream WHERE name OPERATOR(pg_catalog.=) $1",
		lengthof(types), types, values, NULL);
	return selected_time();
}

static void
set_rolled_until(PerfoptStreamId id, TimestampTz until)
{
	static SPIPlanPtr plan = NULL;
	Oid types[] = { TEXTOID, TIMESTAMPTZOID };
	Datum values[] = { CStringGetTextDatum(perfopt_streams[id].name), TimestampTzGetDatum(until) };

	perfopt_store_execute(
		&plan, "UPDATE perfopt.stream SET rolled_until = $2 WHERE name OPERATOR(pg_catalog.=) $1",
		lengthof(types), types, values, NULL);
}

/*
 * Rolls up the buckets of a level that are over at `limit` (DT_NOEND: none is known to be), from where it
 * stood; at most max_buckets.  Stretches without samples are stepped over.
 */
static void
roll_level(PerfoptStreamId id, TimestampTz limit, int max_buckets)
{
	int64 width = levels[id].width_us;
	TimestampTz until;
	TimestampTz bucket;

	/* A look first: the lock is a write. */
	until = rolled_until(id);
	if (limit == DT_NOEND || (until != DT_NOEND && bucket_of(id, limit) == until))
		return;
	perfopt_stream_lock(id);
	until = rolled_until(id);

	/* A clock that was set back fills buckets that were done. */
	bucket = until == DT_NOEND ? next_sample(levels[id].source, DT_NOBEGIN)
							   : Min(until, bucket_of(id, limit));
	for (int n = 0; n < max_buckets && bucket != DT_NOEND && bucket_of(id, bucket) + width <= limit;
		 n++)
	{
		MemoryContext context =
			AllocSetContextCreate(CurrentMemoryContext, "perfopt rollup", ALLOCSET_DEFAULT_SIZES);
		MemoryContext oldcontext = MemoryContextSwitchTo(context);

		bucket = bucket_of(id, bucket);
		if (roll_bucket(id, bucket))
			bucket += width;
		else
			bucket = next_sample(levels[id].source, bucket + width);
		MemoryContextSwitchTo(oldcontext);
		MemoryContextDelete(context);
		CHECK_FOR_INTERRUPTS();
	}

	/* Without a next sample all is done up to the limit. */
	if (bucket == DT_NOEND)
		bucket = until == DT_NOEND ? DT_NOEND : limit;
	if (bucket != DT_NOEND)
		bucket = Min(bucket_of(id, bucket), bucket_of(id, limit));
	if (bucket != DT_NOEND && bucket != until)
		set_rolled_until(id, bucket);
}

/* Does one bucket of some series again, where it has been done before. */
static void
redo(PerfoptStreamId id, TimestampTz start, const int *series, int nseries)
{
	TimestampTz until = rolled_until(id);
	Bucket bucket;

	if (until == DT_NOEND || start >= until)
		return;
	bucket = sum_up(id, start, series, nseries);
	for (int i = 0; i < bucket.n; i++)
	{
		double values[ROLLUP_COLUMNS];

		for (int c = 0; c < ROLLUP_COLUMNS; c++)
			values[c] = bucket.column[c][i];
		perfopt_store_put(id, bucket.series[i], start, values, NULL);
	}
}

/* Does again what late samples have changed; returns how many buckets of series that were. */
static int
redo_due(void)
{
	static SPIPlanPtr plan = NULL;
	Oid types[] = { INT4OID };
	Datum limit[] = { Int32GetDatum(ROW_BATCH) };
	MemoryContext context =
		AllocSetContextCreate(CurrentMemoryContext, "perfopt rollup", ALLOCSET_DEFAULT_SIZES);
	MemoryContext oldcontext;
	SPITupleTable *due;
	int *series;
	int n;

	perfopt_store_execute(
		&plan,
		"WITH gone AS (DELETE FROM perfopt.rollup_due d USING"
		" (SELECT u.bucket, u.series_id FROM perfopt.rollup_due u, perfopt.stream t"
		"  WHERE t.name OPERATOR(pg_catalog.=) 'sample_5min'"
		"  AND u.bucket OPERATOR(pg_catalog.<) t.rolled_until ORDER BY u.bucket LIMIT $1) w"
		" WHERE d.bucket OPERATOR(pg_catalog.=) w.bucket"
		" AND d.series_id OPERATOR(pg_catalog.=) w.series_id RETURNING d.bucket, d.series_id)"
		" SELECT DISTINCT bucket, series_id FROM gone ORDER BY bucket, series_id",
		lengthof(types), types, limit, NULL);
	due = SPI_tuptable;
	n = (int) SPI_processed;
	series = palloc(Max(n, 1) * sizeof(int));
	for (int i = 0, nseries = 0; i < n; i++)
	{
		bool isnull;
		TimestampTz start =
			DatumGetTimestampTz(SPI_getbinval(due->vals[i], due->tupdesc, 1, &isnull));
		bool last = i + 1 == n || DatumGetTimestampTz(SPI_getbinval(due->vals[i + 1], due->tupdesc,
																	1, &isnull)) != start;

		series[nseries++] = DatumGetInt32(SPI_getbinval(due->vals[i], due->tupdesc, 2, &isnull));
		if (!last)
			continue;
		oldcontext = MemoryContextSwitchTo(context);
		redo(PERFOPT_5MIN, start, series, nseries);
		redo(PERFOPT_1HOUR, bucket_of(PERFOPT_1HOUR, start), series, nseries);
		MemoryContextSwitchTo(oldcontext);
		MemoryContextReset(context);
		nseries = 0;
		CHECK_FOR_INTERRUPTS();
	}
	SPI_freetuptable(due);
	MemoryContextDelete(context);
	return n;
}

void
perfopt_store_roll(TimestampTz now, bool all)
{
	int max_buckets = all ? INT_MAX : 24;
	int done;

	roll_level(PERFOPT_5MIN, now - GRACE_US, max_buckets);
	roll_level(PERFOPT_1HOUR, rolled_until(PERFOPT_5MIN), max_buckets);
	do
		done = redo_due();
	while (all && done > 0);
}

void
perfopt_rollup_note_late(TimestampTz ts, Datum series, bool soon)
{
	static SPIPlanPtr plan = NULL;
	Oid types[] = { TIMESTAMPTZOID, INT4ARRAYOID, BOOLOID };
	Datum values[] = { TimestampTzGetDatum(bucket_of(PERFOPT_5MIN, ts)), series,
					   BoolGetDatum(soon) };

	perfopt_store_execute(&plan,
						  "INSERT INTO perfopt.rollup_due (bucket, series_id)"
						  " SELECT $1, s FROM perfopt.stream t, pg_catalog.unnest($2) s"
						  " WHERE t.name OPERATOR(pg_catalog.=) 'sample_5min'"
						  " AND (NOT $3 OR t.rolled_until OPERATOR(pg_catalog.>) $1)",
						  lengthof(types), types, values, NULL);
}
