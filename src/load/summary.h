/*
 * summary.h
 *	  What a load test measured, put together from the blocks of its workers.
 *
 * May be asked of a running test.  Everything is palloc'd in the current memory context.
 */
#ifndef PERFOPT_LOAD_SUMMARY_H
#define PERFOPT_LOAD_SUMMARY_H

#include "load/run.h"

typedef struct LoadProgress
{
	LoadState state;
	const char *phase; /* of the state running: ramp_up, hold, ramp_down, finishing */
	double elapsed_s;  /* since the clock started */
	double total_s;    /* planned, without the grace period; NaN when it ends by itself */
	int connected;
	int users; /* under load just now */
	uint64 calls;
	uint64 errors;
	uint64 lost;
	PerfoptHistogram *latency; /* of all operations since the clock started */
} LoadProgress;

/* One operation over all workers. */
extern LoadResult *load_summary_result(const LoadShared *shared, int operation);
extern LoadResult *load_summary_empty(void);
extern void load_summary_add(LoadResult *into, const LoadResult *from);

/* Of what was measured in so many seconds; service may be NULL. */
extern LoadRow load_summary_row(const LoadResult *result, const PerfoptHistogram *service,
								double seconds);

/* Seconds of full load that have passed. */
extern double load_summary_seconds(const LoadShared *shared);

/* A row an operation and one of all; the final ones if the test is over, else so far. */
extern LoadRow *load_summary_rows(const LoadShared *shared);

/* The value of one of a row's metrics; NaN where there is none.  errors and error_pct are of calls. */
extern double load_summary_metric(LoadMetric metric, uint64 calls, uint64 errors, double throughput,
								  const PerfoptHistogram *latency);

extern double load_row_metric(LoadMetric metric, const LoadRow *row);

/* What was recorded between two looks at a histogram that grows; before may be NULL. */
extern PerfoptHistogram *load_summary_since(const PerfoptHistogram *now,
											const PerfoptHistogram *before);

/* Of all workers. */
extern PerfoptHistogram *load_summary_service(const LoadShared *shared, int operation);
extern PerfoptHistogram *load_summary_lag(const LoadShared *shared);
extern uint64 load_summary_unserved(const LoadShared *shared);

/* Beyond this share of a processor a load worker may have been slower than the target. */
#define LOAD_MAX_GENERATOR_CPU 0.8

/* CPU time of the busiest worker since the clock started; and its share, NaN when it is not known. */
extern int64 load_summary_generator_ns(const LoadShared *shared);
extern double load_summary_generator_cpu(const LoadShared *shared);

/* Connections lost during the test, and the first message. */
extern uint64 load_summary_lost(const LoadShared *shared, const char **message);

extern LoadProgress load_summary_progress(const LoadShared *shared);

#endif /* PERFOPT_LOAD_SUMMARY_H */
