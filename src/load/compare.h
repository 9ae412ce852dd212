/*
 * compare.h
 *	  Comparing load tests: runs as rows of metrics, and rows as verdicts.
 *
 * Everything reads through SPI, which the caller has connected, with the active snapshot, and is
 * palloc'd in the current memory context, which is SPI's.
 */
#ifndef PERFOPT_LOAD_COMPARE_H
#define PERFOPT_LOAD_COMPARE_H

#include "fmgr.h"
#include "nodes/execnodes.h"

#include "load/load.h"
#include "math/verdict.h"

typedef enum LoadCompared
{
	LOAD_COMPARED_THROUGHPUT,
	LOAD_COMPARED_P50,
	LOAD_COMPARED_P95,
	LOAD_COMPARED_P99,
	LOAD_COMPARED_ERRORS
} LoadCompared;

#define LOAD_NCOMPARED (LOAD_COMPARED_ERRORS + 1)

typedef struct LoadComparedMetric
{
	const char *name;
	double quantile; /* of latencies; 0 for the others */
	double margin;   /* as a share; of errors, of all calls */
	int digits;      /* that people want to read */
} LoadComparedMetric;

extern const LoadComparedMetric load_compared[LOAD_NCOMPARED];

/*
 * A percentile is worth something with so many calls beyond it: 1,000 calls for a p99, as in
 * test_operation.
 */
static inline double
load_compared_least_calls(LoadCompared metric)
{
	return 10 / (1 - load_compared[metric].quantile);
}

/* What a run says of an operation, or of all ("total"). */
typedef struct LoadOutcome
{
	int64 run_id;
	char *operation;
	double calls;
	double errors;
	double seconds;                /* that it was measured; NaN when that is not known */
	double values[LOAD_NCOMPARED]; /* calls/s, ms and percent; NaN when they are not known */
} LoadOutcome;

typedef struct LoadOutcomes
{
	int n;
	LoadOutcome *outcomes; /* by operation, total last */
	int noperations;
	char **operations; /* their names in this order, each once */
} LoadOutcomes;

extern LoadOutcomes load_compare_read(const int64 *runs, int n);

/* NULL when the run has no such operation. */
extern const LoadOutcome *load_compare_find(const LoadOutcomes *outcomes, int64 run_id,
											const char *operation);

/* For logarithms: a throughput of zero counts as half a call in all the time. */
extern double load_compare_value(const LoadOutcome *outcome, LoadCompared metric);

/* A stretch of time: a second of a run, or a slot of one variant. */
typedef struct LoadStretch
{
	double seconds;
	double calls; /* errors included */
	double errors;
	bool has_latency;
	Datum latency; /* perfopt.histogram, in SPI's memory */
} LoadStretch;

extern LoadStretch load_compare_stretch(HeapTuple tuple, TupleDesc desc, int first_column);

/* Calls that ended well; half a call more, which has a logarithm where none did. */
static inline double
load_compare_rate(double calls, double errors, double seconds)
{
	return (calls - errors + 0.5) / seconds;
}

extern PerfoptHistogram *load_compare_histogram(void);
extern void load_compare_add(PerfoptHistogram *into, const LoadStretch *stretch);

typedef struct LoadComparison
{
	PerfoptEvidence evidence;
	int nrows;
	int room;
	struct LoadComparisonRow
	{
		const char *operation;
		LoadCompared metric;
		double a; /* NaN when it is not known */
		double b;
		PerfoptChange change;
		double p_value; /* adjusted for all rows */
		PerfoptVerdict verdict;
		int needed;
	} * rows;
} LoadComparison;

extern LoadComparison *load_comparison_create(PerfoptEvidence evidence);
extern void load_comparison_add(LoadComparison *comparison, const char *operation,
								LoadCompared metric, double a, double b, PerfoptChange change);

/* Adjusted p-values and verdicts, when all rows are there. */
extern void load_comparison_judge(LoadComparison *comparison);
extern void load_comparison_put(const LoadComparison *comparison, ReturnSetInfo *rsinfo);

/* A change as people read it: in percent, of errors in percentage points. */
extern double load_comparison_pct(LoadCompared metric, double change);
extern double load_comparison_rounded(double value, int digits);

/*
 * ERROR unless it is over and what it measured stands for something; `forced` lets pass what was
 * cancelled or invalid.
 */
extern void load_compare_require(int64 run_id, bool ab, bool forced);

/* ERROR naming what differs (perfopt.unlike). */
extern void load_compare_require_alike(int64 a, int64 b);

/* compare_slots.c: rows of an A/B test. */
extern LoadComparison *load_compare_slots(int64 run_id);

/* compare_runs.c: rows of two runs, each of a single level. */
extern LoadComparison *load_compare_runs(int64 a, int64 b);

/* fingerprint.c: run on the target; its one value is what load_fingerprint() wants. */
extern const char *const load_fingerprint_sql;

/*
 * What must be equal for two runs to be comparable, as JSON for test_run.fingerprint; reads the
 * scenario with the caller's privileges.  The configuration is complete and its variables are
 * evaluated.
 */
extern char *load_fingerprint(const LoadConfig *config, const char *target);

#endif /* PERFOPT_LOAD_COMPARE_H */
