/*
 * compare_runs.c
 *	  Two runs beside each other, by means over batches of their seconds.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#include "load/compare.h"

/*
 * Neighbouring seconds resemble each other, so several make a batch: enough to be rather independent
 * of the next one, and few enough batches that they are long (Schmeiser 1982: 10 to 30).
 */
#define LEAST_BATCH_S 5
#define MOST_BATCHES 30

/* With fewer the spread between them is a guess. */
#define LEAST_BATCHES 4

typedef struct Seconds
{
	int n;
	LoadStretch *stretches;
	SPITupleTable *table; /* which the latencies are in */
} Seconds;

/* Whole seconds of what was measured; of all operations where there is no name. */
static Seconds
read_seconds(int64 run_id, const char *operation)
{
	static const char *sql =
		"SELECT 1::float8, sum(i.calls)::float8, sum(i.errors)::float8, perfopt.merge(i.latency)"
		" FROM perfopt.test_interval i JOIN perfopt.test_run r USING (run_id)"
		" WHERE i.run_id = $1 AND ($2 IS NULL OR i.operation = $2)"
		" AND i.ts >= coalesce(r.measured_from, '-infinity')"
		" AND i.ts + interval '1 s' <= coalesce(r.measured_until, 'infinity')"
		" GROUP BY i.ts ORDER BY i.ts";
	Oid types[] = { INT8OID, TEXTOID };
	Datum values[] = { Int64GetDatum(run_id), operation ? CStringGetTextDatum(operation) : 0 };
	Seconds seconds;

	SPI_execute_with_args(sql, 2, types, values, operation ? NULL : " n", true, 0);
	seconds.n = (int) SPI_processed;
	seconds.table = SPI_tuptable;
	seconds.stretches = palloc(sizeof(LoadStretch) * Max(1, seconds.n));
	for (int i = 0; i < seconds.n; i++)
		seconds.stretches[i] =
			load_compare_stretch(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1);
	return seconds;
}

static void
free_seconds(Seconds *seconds)
{
	SPI_freetuptable(seconds->table);
	pfree(seconds->stretches);
}

/* A run's batches by one metric. */
typedef struct Batches
{
	int n;
	double values[MOST_BATCHES];
	PerfoptShare shares[MOST_BATCHES]; /* of errors */
} Batches;

/*
 * A batch ends when it is long enough and, for a percentile, has enough calls.  What is left over at
 * the end is left out.
 */
static Batches
make_batches(const Seconds *seconds, LoadCompared metric, PerfoptHistogram *histogram)
{
	double quantile = load_compared[metric].quantile;
	double length = Max(LEAST_BATCH_S, (seconds->n + MOST_BATCHES - 1) / MOST_BATCHES);
	double least_calls = quantile > 0 ? load_compared_least_calls(metric) : 0;
	LoadStretch batch = { 0 };
	Batches batches = { 0 };

	perfopt_histogram_reset(histogram);
	for (int i = 0; i < seconds->n; i++)
	{
		const LoadStretch *second = &seconds->stretches[i];

		batch.seconds += second->seconds;
		batch.calls += second->calls;
		batch.errors += second->errors;
		if (quantile > 0)
			load_compare_add(histogram, second);
		if (batch.seconds < length || histogram->count < least_calls || batches.n == MOST_BATCHES)
			continue;
		batches.values[batches.n] =
			quantile > 0 ? perfopt_histogram_quantile(histogram, quantile)
						 : load_compare_rate(batch.calls, batch.errors, batch.seconds);
		batches.shares[batches.n++] = (PerfoptShare){ batch.errors, batch.calls };
		batch = (LoadStretch){ 0 };
		perfopt_histogram_reset(histogram);
	}
	return batches;
}

static PerfoptChange
change_between(const Seconds *a, const Seconds *b, LoadCompared metric, const LoadOutcome *of_a,
			   const LoadOutcome *of_b, PerfoptHistogram *histogram)
{
	Batches of[] = { make_batches(a, metric, histogram), make_batches(b, metric, histogram) };
	double estimate = log(load_compare_value(of_b, metric) / load_compare_value(of_a, metric));

	if (of[0].n < LEAST_BATCHES || of[1].n < LEAST_BATCHES)
		of[0].n = of[1].n = 0;
	if (metric != LOAD_COMPARED_ERRORS)
		return perfopt_change_of_batches(estimate, of[0].values, of[0].n, of[1].values, of[1].n);
	if (of[0].n > 0)
		return perfopt_share_change_of_batches(of[0].shares, of[0].n, of[1].shares, of[1].n);
	return (PerfoptChange){ .estimate = (of_b->values[metric] - of_a->values[metric]) / 100,
							.low = NAN,
							.high = NAN,
							.p_value = NAN };
}

static void
add_operation(LoadComparison *comparison, const char *operation, bool total, int64 run_a,
			  int64 run_b, const LoadOutcomes *outcomes, PerfoptHistogram *histogram)
{
	const LoadOutcome *of_a = load_compare_find(outcomes, run_a, operation);
	const LoadOutcome *of_b = load_compare_find(outcomes, run_b, operation);
	Seconds a = read_seconds(run_a, total ? NULL : operation);
	Seconds b = read_seconds(run_b, total ? NULL : operation);

	for (LoadCompared metric = 0; metric < LOAD_NCOMPARED; metric++)
	{
		/* One of two runs that are forced beside each other may lack it. */
		PerfoptChange change = of_a == NULL || of_b == NULL
								   ? perfopt_no_change_known()
								   : change_between(&a, &b, metric, of_a, of_b, histogram);

		load_comparison_add(comparison, operation, metric, of_a ? of_a->values[metric] : NAN,
							of_b ? of_b->values[metric] : NAN, change);
	}
	free_seconds(&a);
	free_seconds(&b);
}

LoadComparison *
load_compare_runs(int64 a, int64 b)
{
	LoadComparison *comparison = load_comparison_create(PERFOPT_EVIDENCE_TWO_RUNS);
	int64 runs[] = { a, b };
	LoadOutcomes outcomes = load_compare_read(runs, lengthof(runs));
	PerfoptHistogram *histogram = load_compare_histogram();

	for (int i = 0; i < outcomes.noperations; i++)
	{
		CHECK_FOR_INTERRUPTS();
		add_operation(comparison, outcomes.operations[i], i == outcomes.noperations - 1, a, b,
					  &outcomes, histogram);
	}
	return comparison;
}
