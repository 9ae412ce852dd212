/*
 * compare.c
 *	  Comparing load tests: what runs measured, what may be compared, and rows with a verdict.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "load/compare.h"
#include "load/histogram_type.h"
#include "math/fdr.h"

/*
 * Margins by convention: what people notice, and what runs on a quiet machine repeat to.  A
 * tail is harder to repeat than a median, so it is given more.  Of errors: one call in a thousand.
 */
const LoadComparedMetric load_compared[LOAD_NCOMPARED] = {
	[LOAD_COMPARED_THROUGHPUT] = { "throughput", 0, 0.05, 1 },
	[LOAD_COMPARED_P50] = { "p50_ms", 0.5, 0.05, 3 },
	[LOAD_COMPARED_P95] = { "p95_ms", 0.95, 0.10, 3 },
	[LOAD_COMPARED_P99] = { "p99_ms", 0.99, 0.15, 3 },
	[LOAD_COMPARED_ERRORS] = { "error_pct", 0, 0.001, 3 },
};

PG_FUNCTION_INFO_V1(perfopt_compare_tests);
PG_FUNCTION_INFO_V1(perfopt_compare_slots);

static double
number_at(HeapTuple tuple, TupleDesc desc, int column)
{
	bool isnull;
	Datum value = SPI_getbinval(tuple, desc, column, &isnull);

	return isnull ? NAN : DatumGetFloat8(value);
}

static void
read_outcome(LoadOutcome *outcome, HeapTuple tuple, TupleDesc desc)
{
	bool isnull;

	outcome->run_id = DatumGetInt64(SPI_getbinval(tuple, desc, 1, &isnull));
	outcome->operation = SPI_getvalue(tuple, desc, 2);
	outcome->calls = number_at(tuple, desc, 3);
	outcome->errors = number_at(tuple, desc, 4);
	outcome->seconds = number_at(tuple, desc, 5);
	for (int i = 0; i < LOAD_COMPARED_ERRORS; i++)
		outcome->values[i] = number_at(tuple, desc, 6 + i);
	outcome->values[LOAD_COMPARED_ERRORS] =
		outcome->calls > 0 ? 100 * outcome->errors / outcome->calls : NAN;
}

LoadOutcomes
load_compare_read(const int64 *runs, int n)
{
	static const char *sql =
		"SELECT o.run_id, o.operation, o.calls::float8, o.errors::float8,"
		" extract(epoch FROM r.measured_until - r.measured_from)::float8,"
		" o.throughput, o.p50_ms, o.p95_ms, o.p99_ms"
		" FROM (SELECT run_id, operation, calls, errors, throughput, p50_ms, p95_ms, p99_ms,"
		"   false AS is_total FROM perfopt.test_operation WHERE run_id = ANY ($1)"
		"  UNION ALL"
		"  SELECT run_id, 'total', calls, errors, throughput, q[1], q[2],"
		"   CASE WHEN perfopt.histogram_count(latency) >= 1000 THEN q[3] END, true"
		"  FROM (SELECT run_id, sum(calls) AS calls, sum(errors) AS errors,"
		"    sum(throughput) AS throughput, perfopt.merge(latency) AS latency,"
		"    perfopt.quantile(perfopt.merge(latency), '{0.5,0.95,0.99}'::float8[]) AS q"
		"   FROM perfopt.test_operation WHERE run_id = ANY ($1) GROUP BY run_id) t) o"
		" JOIN perfopt.test_run r USING (run_id)"
		" ORDER BY o.is_total, o.operation COLLATE \"C\", o.run_id";
	Oid types[] = { INT8ARRAYOID };
	Datum *ids = palloc(sizeof(Datum) * Max(1, n));
	Datum values[1];
	LoadOutcomes result = { 0 };

	for (int i = 0; i < n; i++)
		ids[i] = Int64GetDatum(runs[i]);
	values[0] = PointerGetDatum(
		construct_array(ids, n, INT8OID, sizeof(int64), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
	SPI_execute_with_args(sql, 1, types, values, NULL, true, 0);
	result.n = (int) SPI_processed;
	result.outcomes = palloc(sizeof(LoadOutcome) * Max(1, result.n));
	result.operations = palloc(sizeof(char *) * Max(1, result.n));
	for (int i = 0; i < result.n; i++)
	{
		LoadOutcome *outcome = &result.outcomes[i];

		read_outcome(outcome, SPI_tuptable->vals[i], SPI_tuptable->tupdesc);
		if (i == 0 || strcmp(outcome->operation, outcome[-1].operation) != 0)
			result.operations[result.noperations++] = outcome->operation;
	}
	SPI_freetuptable(SPI_tuptable);
	return result;
}

const LoadOutcome *
load_compare_find(const LoadOutcomes *outcomes, int64 run_id, const char *operation)
{
	for (int i = 0; i < outcomes->n; i++)
		if (outcomes->outcomes[i].run_id == run_id &&
			strcmp(outcomes->outcomes[i].operation, operation) == 0)
			return &outcomes->outcomes[i];
	return NULL;
}

double
load_compare_value(const LoadOutcome *outcome, LoadCompared metric)
{
	double value = outcome->values[metric];

	if (metric == LOAD_COMPARED_THROUGHPUT && value == 0)
		return load_compare_rate(0, 0, outcome->seconds);
	return value;
}

LoadStretch
load_compare_stretch(HeapTuple tuple, TupleDesc desc, int first_column)
{
	LoadStretch stretch = { .seconds = number_at(tuple, desc, first_column),
							.calls = number_at(tuple, desc, first_column + 1),
							.errors = number_at(tuple, desc, first_column + 2) };
	bool isnull;

	stretch.latency = SPI_getbinval(tuple, desc, first_column + 3, &isnull);
	stretch.has_latency = !isnull;
	return stretch;
}

PerfoptHistogram *
load_compare_histogram(void)
{
	PerfoptHistogram *histogram =
		palloc(perfopt_histogram_size(PERFOPT_HISTOGRAM_COARSE, LOAD_MIN_EXP, LOAD_MAX_EXP));

	perfopt_histogram_init(histogram, PERFOPT_HISTOGRAM_COARSE, LOAD_MIN_EXP, LOAD_MAX_EXP);
	return histogram;
}

void
load_compare_add(PerfoptHistogram *into, const LoadStretch *stretch)
{
	if (stretch->has_latency)
		(void) perfopt_histogram_add_datum(into, stretch->latency);
}

LoadComparison *
load_comparison_create(PerfoptEvidence evidence)
{
	LoadComparison *comparison = palloc0(sizeof(LoadComparison));

	comparison->evidence = evidence;
	comparison->room = 8 * LOAD_NCOMPARED;
	comparison->rows = palloc(sizeof(comparison->rows[0]) * comparison->room);
	return comparison;
}

void
load_comparison_add(LoadComparison *comparison, const char *operation, LoadCompared metric,
					double a, double b, PerfoptChange change)
{
	if (comparison->nrows == comparison->room)
	{
		comparison->room *= 2;
		comparison->rows =
			repalloc(comparison->rows, sizeof(comparison->rows[0]) * comparison->room);
	}
	comparison->rows[comparison->nrows++] = (struct LoadComparisonRow){
		.operation = operation, .metric = metric, .a = a, .b = b, .change = change
	};
}

static PerfoptMargin
margin_of(LoadCompared metric)
{
	double margin = load_compared[metric].margin;

	if (metric == LOAD_COMPARED_ERRORS)
		return (PerfoptMargin){ .fall_is_worse = false, .worse = margin, .better = margin };
	return perfopt_margin_of_ratio(margin, metric == LOAD_COMPARED_THROUGHPUT);
}

void
load_comparison_judge(LoadComparison *comparison)
{
	int n = comparison->nrows;
	double *p = palloc(sizeof(double) * Max(1, n));
	double *scratch = palloc(sizeof(double) * Max(1, PERFOPT_FDR_SCRATCH(n)));

	for (int i = 0; i < n; i++)
		p[i] = comparison->rows[i].change.p_value;
	perfopt_fdr_adjust(p, n, p, scratch);
	for (int i = 0; i < n; i++)
	{
		struct LoadComparisonRow *row = &comparison->rows[i];
		PerfoptMargin margin = margin_of(row->metric);

		row->p_value = p[i];
		row->verdict = perfopt_verdict(&row->change, p[i], &margin, comparison->evidence);
		/* Two runs stay two runs, however long they are. */
		row->needed = row->verdict == PERFOPT_INCONCLUSIVE ||
							  (row->verdict == PERFOPT_SUSPECT &&
							   comparison->evidence != PERFOPT_EVIDENCE_TWO_RUNS)
						  ? perfopt_units_needed(&row->change, &margin)
						  : 0;
	}
}

double
load_comparison_pct(LoadCompared metric, double change)
{
	return 100 * (metric == LOAD_COMPARED_ERRORS ? change : expm1(change));
}

double
load_comparison_rounded(double value, int digits)
{
	double scale = pow(10, digits);

	/* not -0 */
	return rint(value * scale) / scale + 0.0;
}

static Datum
finite_or_null(double value, bool *isnull)
{
	*isnull = !isfinite(value);
	return Float8GetDatum(value);
}

void
load_comparison_put(const LoadComparison *comparison, ReturnSetInfo *rsinfo)
{
	for (int i = 0; i < comparison->nrows; i++)
	{
		const struct LoadComparisonRow *row = &comparison->rows[i];
		const LoadComparedMetric *metric = &load_compared[row->metric];
		const double changes[] = { row->change.estimate, row->change.low, row->change.high };
		Datum values[11];
		bool nulls[11] = { false };

		values[0] = CStringGetTextDatum(row->operation);
		values[1] = CStringGetTextDatum(metric->name);
		values[2] = finite_or_null(load_comparison_rounded(row->a, metric->digits), &nulls[2]);
		values[3] = finite_or_null(load_comparison_rounded(row->b, metric->digits), &nulls[3]);
		for (int j = 0; j < lengthof(changes); j++)
			values[4 + j] =
				finite_or_null(load_comparison_rounded(load_comparison_pct(row->metric, changes[j]),
													   row->metric == LOAD_COMPARED_ERRORS ? 3 : 1),
							   &nulls[4 + j]);
		/* an unbounded interval is not -100 % on one side */
		nulls[5] |= !isfinite(row->change.low);
		/* two significant digits, however small */
		values[7] = finite_or_null(strtod(psprintf("%.1e", row->p_value), NULL), &nulls[7]);
		values[8] = CStringGetTextDatum(perfopt_verdict_name(row->verdict));
		values[9] = Int32GetDatum(row->change.n);
		values[10] = Int32GetDatum(row->needed);
		nulls[10] = row->needed == 0;
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
}

/* Facts of perfopt.test_run about whether a run may be compared. */
typedef struct Standing
{
	char *state;
	char *kind;
	char *verdict; /* NULL: none */
	char *reason;  /* of a failed or an invalid run; NULL: none is known */
} Standing;

static Standing
read_standing(int64 run_id)
{
	Oid types[] = { INT8OID };
	Datum values[] = { Int64GetDatum(run_id) };
	Standing standing;

	SPI_execute_with_args("SELECT state, kind, verdict, coalesce(problem, invalid_reason)"
						  " FROM perfopt.checked_test($1)",
						  1, types, values, NULL, true, 1);
	if (SPI_processed != 1)
		elog(ERROR, "could not read load test " INT64_FORMAT, run_id);
	standing.state = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
	standing.kind = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 2);
	standing.verdict = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 3);
	standing.reason = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 4);
	return standing;
}

static void
require_kind(int64 run_id, const char *kind, bool ab)
{
	if (ab && strcmp(kind, "ab") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("load test " INT64_FORMAT " is not an A/B test, so it has nothing to be "
						"compared with in itself",
						run_id),
				 errhint("Compare two tests: SELECT * FROM perfopt.compare_tests(a, b); or run "
						 "perfopt.ab_test().")));
	if (!ab && strcmp(kind, "ab") == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("load test " INT64_FORMAT " is an A/B test, which can't be compared with "
						"another test",
						run_id),
				 errhint("Its variants are compared by: SELECT * FROM "
						 "perfopt.compare_tests(" INT64_FORMAT ", " INT64_FORMAT ");",
						 run_id, run_id)));
	if (!ab && strcmp(kind, "load") != 0 && strcmp(kind, "endurance") != 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("load test " INT64_FORMAT " is of kind \"%s\", whose load changes "
							   "while it runs",
							   run_id, kind),
						errhint("Tests of the kinds load and endurance can be compared.")));
}

void
load_compare_require(int64 run_id, bool ab, bool forced)
{
	Standing standing = read_standing(run_id);
	bool invalid = standing.verdict != NULL && strcmp(standing.verdict, "invalid") == 0;

	require_kind(run_id, standing.kind, ab);
	if (strcmp(standing.state, "running") == 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("load test " INT64_FORMAT " is still running", run_id),
				 errhint("Wait for it: SELECT perfopt.wait_test(" INT64_FORMAT ");", run_id)));
	if (strcmp(standing.state, "failed") == 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("load test " INT64_FORMAT " failed, so it can't be compared", run_id),
				 standing.reason ? errdetail("%s", standing.reason) : 0, errhint("Run it again.")));
	if (forced)
		return;
	if (strcmp(standing.state, "cancelled") == 0)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("load test " INT64_FORMAT " was cancelled before its end", run_id),
						errhint("Run it again, or compare what it measured with force => true.")));
	if (invalid)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("load test " INT64_FORMAT " is invalid, so it can't be compared", run_id),
				 standing.reason ? errdetail("%s", standing.reason) : 0,
				 errhint("Run it again with the cause removed, or compare it all the same with "
						 "force => true.")));
}

void
load_compare_require_alike(int64 a, int64 b)
{
	Oid types[] = { INT8OID, INT8OID };
	Datum values[] = { Int64GetDatum(a), Int64GetDatum(b) };
	char *keys;
	char *detail;

	SPI_execute_with_args(
		"SELECT string_agg(u.key, ', '), string_agg(format('%s: %s and %s', u.key,"
		" coalesce(u.a, 'nothing'), coalesce(u.b, 'nothing')), E'\\n') FROM perfopt.unlike($1, $2) "
		"u",
		2, types, values, NULL, true, 1);
	if (SPI_processed != 1)
		elog(ERROR, "could not look for differences of load tests");
	keys = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
	detail = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 2);
	if (keys == NULL)
		return;
	ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					errmsg("load tests " INT64_FORMAT " and " INT64_FORMAT
						   " are not alike: they differ in %s",
						   a, b, keys),
					errdetail("%s", detail),
					errhint("Whatever else differs might be the cause of a change. If that is what "
							"you want to see, compare with force => true.")));
}

Datum
perfopt_compare_tests(PG_FUNCTION_ARGS)
{
	int64 a = PG_GETARG_INT64(0);
	int64 b = PG_GETARG_INT64(1);
	bool force = PG_GETARG_BOOL(2);
	LoadComparison *comparison;

	InitMaterializedSRF(fcinfo, 0);
	SPI_connect();
	load_compare_require(a, a == b, force);
	if (a != b)
	{
		load_compare_require(b, false, force);
		if (!force)
			load_compare_require_alike(a, b);
	}
	comparison = a == b ? load_compare_slots(a) : load_compare_runs(a, b);
	load_comparison_judge(comparison);
	load_comparison_put(comparison, (ReturnSetInfo *) fcinfo->resultinfo);
	SPI_finish();
	return (Datum) 0;
}

Datum
perfopt_compare_slots(PG_FUNCTION_ARGS)
{
	int64 run_id = PG_GETARG_INT64(0);
	LoadComparison *comparison;

	InitMaterializedSRF(fcinfo, 0);
	SPI_connect();
	load_compare_require(run_id, true, PG_GETARG_BOOL(1));
	comparison = load_compare_slots(run_id);
	load_comparison_judge(comparison);
	load_comparison_put(comparison, (ReturnSetInfo *) fcinfo->resultinfo);
	SPI_finish();
	return (Datum) 0;
}
