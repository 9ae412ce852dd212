/*
 * stream.h
 *	  The three resolutions in which samples are kept, and what reading, sealing and rolling up share.
 *	  Private to src/store.
 *
 * A stream has a hot table, which takes rows of arrays (one value a series), and a partitioned table of
 * chunks, each the samples of one series within one partition.  Raw samples have one column, rollups
 * have n, min, max and sum.
 */
#ifndef PERFOPT_STORE_STREAM_H
#define PERFOPT_STORE_STREAM_H

#include "executor/spi.h"

#include "store/store.h"

typedef struct PerfoptStream
{
	const char *name;  /* of the foreign table and in perfopt.stream */
	const char *hot;   /* table */
	const char *chunk; /* partitioned table */
	int ncolumns;
	const char *column[PERFOPT_MAX_COLUMNS]; /* of the hot table */
	int seal_rows;                           /* so many hot rows are worth sealing */
} PerfoptStream;

extern const PerfoptStream perfopt_streams[PERFOPT_NUM_STREAMS];

/* Samples of one series; columns stand beside each other. */
typedef struct PerfoptColumns
{
	int n;
	int capacity;
	TimestampTz *ts;
	double *column[PERFOPT_MAX_COLUMNS];
} PerfoptColumns;

extern void perfopt_columns_init(PerfoptColumns *columns, int ncolumns, int capacity);
extern void perfopt_columns_reserve(PerfoptColumns *columns, int ncolumns, int capacity);

/* In ascending order of time, of several samples at one time the last one stays. */
extern void perfopt_columns_sort(PerfoptColumns *columns, int ncolumns);

/* Encoding a stretch of columns[from..] into a chunk: returns how many samples went in. */
extern int perfopt_chunk_pack(const PerfoptStream *stream, const PerfoptColumns *columns, int from,
							  bytea **data);

/*
 * Appends a chunk's samples to columns.  A chunk that cannot be read is an ERROR that names its
 * series and time.
 */
extern void perfopt_chunk_unpack(const PerfoptStream *stream, int series_id, TimestampTz first_ts,
								 int n, const bytea *data, PerfoptColumns *columns);

/*
 * Adds samples of one series, sorted, to the chunks of a stream: those that they overlap, and a last one
 * that has room, are written anew.  To be called under SPI with the stream's row locked.
 */
extern void perfopt_chunk_merge(PerfoptStreamId id, int series_id, const PerfoptColumns *columns);

/*
 * One sample of one series, which replaces what is there at the same time, hot or sealed; then, and
 * only then, it locks the stream's row.  Under SPI.
 */
extern void perfopt_store_put(PerfoptStreamId id, int series_id, TimestampTz ts,
							  const double *values, const char *writer);

/* Locks the stream's row until the transaction's end. */
extern void perfopt_stream_lock(PerfoptStreamId id);

/* Seals hot rows; all of them, or what is worth it.  Returns how many rows were sealed. */
extern int perfopt_store_seal(PerfoptStreamId id, TimestampTz now, bool all);

/* Rolls up what is complete; a bounded number of buckets, or all. */
extern void perfopt_store_roll(TimestampTz now, bool all);

/*
 * Under SPI: notes that samples of these series (int4[]) came after their bucket was rolled up, if so; or
 * may yet, unless the transaction ends soon.
 */
extern void perfopt_rollup_note_late(TimestampTz ts, Datum series, bool soon);

/* The start of the partition of a stream's chunks that holds ts, and the start of the next. */
extern TimestampTz perfopt_period_start(PerfoptStreamId id, TimestampTz ts);
extern TimestampTz perfopt_period_end(PerfoptStreamId id, TimestampTz ts);

/* Makes the partition that holds ts, if it is not there; to be called under SPI. */
extern void perfopt_partition_make(const char *table, TimestampTz ts);

/* A series by name, and what is found under it. */
typedef struct PerfoptSeriesName
{
	const char *metric;
	const char *labels; /* JSON object */
	int metric_id;      /* 0: not in the catalogue of metrics */
	int series_id;      /* 0: not known yet; afterwards, perfopt.max_series leaves no room for it */
} PerfoptSeriesName;

/*
 * Under SPI: fills in the ids of those that have none; series that are new are registered, unless their
 * metric is not in the catalogue.
 */
extern void perfopt_series_resolve(PerfoptSeriesName *names, int n);

/* Under SPI: for how many of `n` more series perfopt.max_series leaves room. */
extern int perfopt_series_room(int n);

/* How many days (UTC) a partition of a table has, counted from 2000-01-01. */
extern int perfopt_partition_days(const char *table);

/* Makes partitions ahead and drops expired ones, under SPI; returns how many were dropped. */
extern int perfopt_partition_maintain(TimestampTz now);

extern Datum perfopt_float8_array(const double *values, int n);

/* Who owns perfopt's tables; readers of the foreign tables need no rights to them. */
extern Oid perfopt_store_owner(void);

/* Under SPI: a plan that is kept for the life of the process; *plan begins as NULL. */
extern void perfopt_store_prepare(SPIPlanPtr *plan, const char *sql, int nargs, Oid *types);

/* Prepares likewise and runs a statement; its result is SPI_tuptable and SPI_processed. */
extern void perfopt_store_execute(SPIPlanPtr *plan, const char *sql, int nargs, Oid *types,
								  Datum *values, const char *nulls);

/* Runs a query likewise, under the active snapshot, with the rights of the owner. */
extern void perfopt_store_select_as_owner(SPIPlanPtr *plan, const char *sql);

#endif /* PERFOPT_STORE_STREAM_H */
