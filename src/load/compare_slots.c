/*
 * compare_slots.c
 *	  An A/B test from its slots: each pair has one of either variant, one after the other.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#include "load/compare.h"

/* An operation's pairs, or those of all operations; a[i] and b[i] belong together. */
typedef struct Pairs
{
	int n;
	LoadStretch *a;
	LoadStretch *b;
} Pairs;

/* What is collected per side while an operation is looked at. */
typedef struct Workspace
{
	PerfoptHistogram *histogram[2];
	double *values[2];
	PerfoptShare *shares[2];
	double *scratch;
} Workspace;

static char **
read_operations(int64 run_id, int *n)
{
	Oid types[] = { INT8OID };
	Datum values[] = { Int64GetDatum(run_id) };
	char **names;

	SPI_execute_with_args("SELECT operation FROM perfopt.test_slot WHERE run_id = $1"
						  " GROUP BY operation ORDER BY operation COLLATE \"C\"",
						  1, types, values, NULL, true, 0);
	*n = (int) SPI_processed;
	names = palloc(sizeof(char *) * (*n + 1));
	for (int i = 0; i < *n; i++)
		names[i] = SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1);
	names[*n] = NULL;
	SPI_freetuptable(SPI_tuptable);
	return names;
}

/*
 * Of a slot in which an operation did not occur there may be no row: that is no call, and no reason
 * to leave out the pair.  A pair that the test's end cut in half is none.
 */
static Pairs
read_pairs(int64 run_id, const char *operation)
{
	static const char *sql =
		"SELECT pair, max(seconds),"
		" coalesce(sum(calls) FILTER (WHERE $2 IS NULL OR operation = $2), 0)::float8,"
		" coalesce(sum(errors) FILTER (WHERE $2 IS NULL OR operation = $2), 0)::float8,"
		" perfopt.merge(latency) FILTER (WHERE $2 IS NULL OR operation = $2)"
		" FROM perfopt.test_slot WHERE run_id = $1 GROUP BY pair, variant HAVING max(seconds) > 0"
		" ORDER BY pair, variant";
	Oid types[] = { INT8OID, TEXTOID };
	Datum values[] = { Int64GetDatum(run_id), operation ? CStringGetTextDatum(operation) : 0 };
	Pairs pairs = { 0 };
	int rows;

	SPI_execute_with_args(sql, 2, types, values, operation ? NULL : " n", true, 0);
	rows = (int) SPI_processed;
	pairs.a = palloc(sizeof(LoadStretch) * (rows / 2 + 1));
	pairs.b = palloc(sizeof(LoadStretch) * (rows / 2 + 1));
	for (int i = 0; i + 1 < rows; i++)
	{
		HeapTuple *tuples = &SPI_tuptable->vals[i];
		TupleDesc desc = SPI_tuptable->tupdesc;
		bool isnull;

		/* Half a pair, or one slot of which had no length. */
		if (DatumGetInt32(SPI_getbinval(tuples[0], desc, 1, &isnull)) !=
			DatumGetInt32(SPI_getbinval(tuples[1], desc, 1, &isnull)))
			continue;
		pairs.a[pairs.n] = load_compare_stretch(tuples[0], desc, 2);
		pairs.b[pairs.n++] = load_compare_stretch(tuples[1], desc, 2);
		i++;
	}
	return pairs;
}

static Workspace
make_workspace(int pairs)
{
	Workspace space;

	for (int side = 0; side < 2; side++)
	{
		space.histogram[side] = load_compare_histogram();
		space.values[side] = palloc(sizeof(double) * (pairs + 1));
		space.shares[side] = palloc(sizeof(PerfoptShare) * (pairs + 1));
	}
	space.scratch = palloc(sizeof(double) * (PERFOPT_PAIRS_SCRATCH(pairs) + 1));
	return space;
}

/* Pairs in which neither variant had a call say nothing. */
static void
add_throughput(LoadComparison *comparison, const char *operation, const Pairs *pairs,
			   Workspace *space)
{
	double good[2] = { 0, 0 };
	double seconds[2] = { 0, 0 };
	int n = 0;

	for (int i = 0; i < pairs->n; i++)
	{
		const LoadStretch *sides[] = { &pairs->a[i], &pairs->b[i] };

		for (int side = 0; side < 2; side++)
		{
			good[side] += sides[side]->calls - sides[side]->errors;
			seconds[side] += sides[side]->seconds;
			space->values[side][n] =
				load_compare_rate(sides[side]->calls, sides[side]->errors, sides[side]->seconds);
		}
		if (sides[0]->calls + sides[1]->calls > 0)
			n++;
	}
	load_comparison_add(comparison, operation, LOAD_COMPARED_THROUGHPUT, good[0] / seconds[0],
						good[1] / seconds[1],
						perfopt_change_of_pairs(space->values[0], space->values[1], n,
												space->scratch));
}

/*
 * A percentile of few calls is hardly one, and depends on how few they are; so as many neighbouring
 * pairs are put together as it takes for enough on both sides.
 */
static int
pool_quantiles(const Pairs *pairs, LoadCompared metric, Workspace *space)
{
	double least = load_compared_least_calls(metric);
	int n = 0;

	perfopt_histogram_reset(space->histogram[0]);
	perfopt_histogram_reset(space->histogram[1]);
	for (int i = 0; i < pairs->n; i++)
	{
		load_compare_add(space->histogram[0], &pairs->a[i]);
		load_compare_add(space->histogram[1], &pairs->b[i]);
		if (space->histogram[0]->count < least || space->histogram[1]->count < least)
			continue;
		for (int side = 0; side < 2; side++)
		{
			space->values[side][n] =
				perfopt_histogram_quantile(space->histogram[side], load_compared[metric].quantile);
			perfopt_histogram_reset(space->histogram[side]);
		}
		n++;
	}
	return n;
}

static void
add_quantile(LoadComparison *comparison, const char *operation, LoadCompared metric,
			 const Pairs *pairs, Workspace *space)
{
	int n = pool_quantiles(pairs, metric, space);
	PerfoptChange change =
		perfopt_change_of_pairs(space->values[0], space->values[1], n, space->scratch);
	double whole[2];

	for (int side = 0; side < 2; side++)
	{
		PerfoptHistogram *histogram = space->histogram[side];

		perfopt_histogram_reset(histogram);
		for (int i = 0; i < pairs->n; i++)
			load_compare_add(histogram, side == 0 ? &pairs->a[i] : &pairs->b[i]);
		whole[side] = histogram->count < load_compared_least_calls(metric)
						  ? NAN
						  : perfopt_histogram_quantile(histogram, load_compared[metric].quantile);
	}
	load_comparison_add(comparison, operation, metric, whole[0], whole[1], change);
}

static void
add_errors(LoadComparison *comparison, const char *operation, const Pairs *pairs, Workspace *space)
{
	double calls[2] = { 0, 0 };
	double errors[2] = { 0, 0 };

	for (int i = 0; i < pairs->n; i++)
	{
		const LoadStretch *sides[] = { &pairs->a[i], &pairs->b[i] };

		for (int side = 0; side < 2; side++)
		{
			calls[side] += sides[side]->calls;
			errors[side] += sides[side]->errors;
			space->shares[side][i] = (PerfoptShare){ sides[side]->errors, sides[side]->calls };
		}
	}
	load_comparison_add(comparison, operation, LOAD_COMPARED_ERRORS, 100 * errors[0] / calls[0],
						100 * errors[1] / calls[1],
						perfopt_share_change_of_pairs(space->shares[0], space->shares[1],
													  pairs->n));
}

LoadComparison *
load_compare_slots(int64 run_id)
{
	LoadComparison *comparison = load_comparison_create(PERFOPT_EVIDENCE_SLOTS);
	int noperations;
	char **operations = read_operations(run_id, &noperations);
	Workspace space = { 0 };

	if (noperations == 0)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("A/B test " INT64_FORMAT " has no slots", run_id),
						errhint("It ended before its first pair of slots did, or rows of "
								"perfopt.test_slot were deleted. Run it again.")));
	for (int i = 0; i <= noperations; i++)
	{
		Pairs pairs = read_pairs(run_id, operations[i]);
		const char *name = i < noperations ? operations[i] : "total";
		SPITupleTable *table = SPI_tuptable;

		CHECK_FOR_INTERRUPTS();
		/* All operations have the same pairs. */
		if (i == 0)
			space = make_workspace(pairs.n);
		add_throughput(comparison, name, &pairs, &space);
		for (LoadCompared metric = LOAD_COMPARED_P50; metric <= LOAD_COMPARED_P99; metric++)
			add_quantile(comparison, name, metric, &pairs, &space);
		add_errors(comparison, name, &pairs, &space);
		SPI_freetuptable(table);
		pfree(pairs.a);
		pfree(pairs.b);
	}
	return comparison;
}
