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

/* A writer is a worker that appends batches of its own: "collector", "prober". */
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

/* Writes the batch inside the caller's transaction. */
extern void perfopt_store_append(PerfoptBatch *batch, TimestampTz ts);

/* To be called once that transaction is committed; without it the batch counts as never written. */
extern void perfopt_store_committed(PerfoptBatch *batch);

/* Writes the catalogue rows of metrics that a source may deliver, inside the caller's transaction. */
extern void perfopt_store_describe(const PerfoptMetric *metrics, int nmetrics);

/*
 * Inside a transaction, as the extension's owner: makes the partitions of today and tomorrow (UTC) and
 * drops those past perfopt.retention_raw.  Returns how many were dropped.
 */
extern int perfopt_store_maintain(void);

#endif /* PERFOPT_STORE_H */
