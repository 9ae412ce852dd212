/*
 * summary.h
 *	  What a load test measured, put together from the blocks of its workers.
 *
 * May be asked of a running test.  Everything is palloc'd in the current memory context.
 */
#ifndef PERFOPT_LOAD_SUMMARY_H
#define PERFOPT_LOAD_SUMMARY_H

#include "load/run.h"

/* The columns of load_test(); latencies in ms, NaN when no call ended well. */
typedef struct LoadRow
{
	uint64 calls;
	uint64 errors;
	double throughput; /* calls that ended well, per second of full load */
	double mean_ms;
	double p50_ms;
	double p90_ms;
	double p95_ms;
	double p99_ms;
	double max_ms;
} LoadRow;

typedef struct LoadProgress
{
	LoadState state;
	const char *phase; /* of the state running: ramp_up, hold, ramp_down, finishing */
	double elapsed_s;  /* since the clock started */
	double total_s;    /* planned, without the grace period */
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
extern LoadRow load_summary_row(const LoadShared *shared, const LoadResult *result);

/* Connections lost during the test, and the first message. */
extern uint64 load_summary_lost(const LoadShared *shared, const char **message);

extern LoadProgress load_summary_progress(const LoadShared *shared);

#endif /* PERFOPT_LOAD_SUMMARY_H */
