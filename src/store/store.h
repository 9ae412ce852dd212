/*
 * store.h
 *	  The metric store: catalogue of metrics, series, raw samples, partitions and retention.
 *
 * Collectors fill a batch with raw values and know nothing of how they are kept.  One batch becomes
 * one row of perfopt.sample_hot: the ids of its series and their values, side by side.
 *
 * A counter is handed over as its raw, ever growing value and stored as its increase since the
 * writer's batch before; a counter that fell (reset, restart) or was not in the batch before has no
 * value in this one, rather than a wrong one.
 *
 * All memory of a batch is palloc'd in the context that was current when it was created.  What is
 * remembered between batches (series ids, last raw values) lives in the worker's own memory, so after
 * a restart counters begin with their second batch.
 *
 * Later a batch's values are rolled up by five minutes and by the hour, and sealed: moved into compressed
 * chunks of one series each.  Readers use a cursor, or the foreign tables made of it, and need not know.
 */
#ifndef PERFOPT_STORE_H
#define PERFOPT_STORE_H

#include "datatype/timestamp.h"

typedef enum PerfoptMetricKind
{
	PERFOPT_GAUGE,
	PERFOPT_COUNTER
} PerfoptMetricKind;

typedef struct PerfoptMetric
{
	const char *name;      /* Prometheus naming; counters end in _total */
	const char *dimension; /* system, application, database, cache, external or integration */
	PerfoptMetricKind kind;
	const char *unit; /* base unit: seconds, bytes, ratio, or what is counted */
	const char *help;
} PerfoptMetric;

typedef struct PerfoptLabel
{
	const char *name;
	const char *value;
} PerfoptLabel;

typedef struct PerfoptBatch PerfoptBatch;

/*
 * A writer is who appends batches of its own at its own pace: "collector", "prober", or a source that
 * does not run each cycle.  The name must live as long as the batch.
 */
extern PerfoptBatch *perfopt_batch_create(const char *name);

/*
 * Adds a raw value.  Labels must come in the same order each time; strings are copied, the metric and
 * its strings must live as long as the batch.  Values that are not finite are left out: unknown is
 * better than infinite.
 */
extern void perfopt_batch_add(PerfoptBatch *batch, const PerfoptMetric *metric,
							  const PerfoptLabel *labels, int nlabels, double value);

/*
 * Adds what a counter has grown by, for a source that keeps track itself (the busiest of many things
 * change from cycle to cycle, and each must have its increase in the first cycle that shows it).
 */
extern void perfopt_batch_add_increase(PerfoptBatch *batch, const PerfoptMetric *metric,
									   const PerfoptLabel *labels, int nlabels, double increase);
extern int perfopt_batch_size(const PerfoptBatch *batch);
extern const char *perfopt_batch_name(const PerfoptBatch *batch);

/* What append had to leave out because of perfopt.max_series; first is NULL where nothing was. */
typedef struct PerfoptOverflow
{
	int n;
	char *first; /* metric and labels, palloc'd in the batch's context */
} PerfoptOverflow;

/*
 * Writes the batch inside the caller's transaction.  Times are kept to the millisecond, and those within
 * 10 ms of the writer's grid of perfopt.collect_interval as on it; a writer's batches within one
 * millisecond are moved apart.
 */
extern PerfoptOverflow perfopt_store_append(PerfoptBatch *batch, TimestampTz ts);

/* To be called once that transaction is committed; without it the batch counts as never written. */
extern void perfopt_store_committed(PerfoptBatch *batch);

/* Writes the catalogue rows of metrics that a source may deliver, inside the caller's transaction. */
extern void perfopt_store_describe(const PerfoptMetric *metrics, int nmetrics);

/*
 * Inside a transaction, as the extension's owner: rolls up and seals.  Bounded work, unless `all` asks for
 * everything that there is to do.
 */
extern void perfopt_store_maintain(bool all);

/*
 * Likewise, each hour or if `all` asks for it: makes the partitions of today and tomorrow (UTC), drops
 * those past their retention, which waits for who reads samples, and forgets series that nobody has
 * seen for long if they are many.  Returns how many partitions were dropped.
 */
extern int perfopt_store_prune(bool all);

/* The resolutions in which samples are kept; each is a foreign table of that name. */
typedef enum PerfoptStreamId
{
	PERFOPT_RAW,   /* perfopt.sample: one column, the value */
	PERFOPT_5MIN,  /* perfopt.sample_5min: n, min, max, sum */
	PERFOPT_1HOUR, /* perfopt.sample_1hour: likewise */
	PERFOPT_NUM_STREAMS
} PerfoptStreamId;

#define PERFOPT_MAX_COLUMNS 4

/* Samples of one series, ascending in time; valid until the next call. */
typedef struct PerfoptSlice
{
	int series_id;
	int n;
	const TimestampTz *ts;
	const double *column[PERFOPT_MAX_COLUMNS];
} PerfoptSlice;

typedef struct PerfoptCursor PerfoptCursor;

/*
 * Reads the samples of a stream with from <= ts <= to, sealed or not, under the active snapshot and as
 * the owner of perfopt's tables: those of the series given, or of all where series is NULL.  A series
 * comes in any number of slices, in no promised order; one that is not sealed comes in slices of one
 * sample.  Everything is palloc'd in a child of the current context; a transaction that is rolled back
 * needs no close.
 */
extern PerfoptCursor *perfopt_cursor_open(PerfoptStreamId id, TimestampTz from, TimestampTz to,
										  const int *series, int nseries);
extern bool perfopt_cursor_next(PerfoptCursor *cursor, PerfoptSlice *slice);
extern void perfopt_cursor_close(PerfoptCursor *cursor);

/* So far; chunks that the conditions ruled out are in neither. */
extern int64 perfopt_cursor_chunks_read(const PerfoptCursor *cursor);
extern int64 perfopt_cursor_hot_rows_read(const PerfoptCursor *cursor);

#endif /* PERFOPT_STORE_H */
