/*
 * arrays.c
 *	  The mathematics of trends on plain arrays: forecasts, anomalies, change points, slopes.
 *
 * NULL elements are gaps.  Scratch memory is palloc'd and given back.
 */
#include "postgres.h"

#include <limits.h>
#include <math.h>

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "compat.h"
#include "math/anomaly.h"
#include "math/capacity.h"
#include "math/changepoint.h"
#include "math/forecast.h"
#include "math/trend.h"
#include "trend/trend.h"

PG_FUNCTION_INFO_V1(perfopt_forecast_values);
PG_FUNCTION_INFO_V1(perfopt_anomaly_values);
PG_FUNCTION_INFO_V1(perfopt_anomaly_scan);
PG_FUNCTION_INFO_V1(perfopt_change_points);
PG_FUNCTION_INFO_V1(perfopt_trend_values);
PG_FUNCTION_INFO_V1(perfopt_capacity_values);
PG_FUNCTION_INFO_V1(perfopt_spread_values);

/* The C code asks now and then; an interrupt does not return. */
static bool
check_interrupts(void *arg)
{
	CHECK_FOR_INTERRUPTS();
	return false;
}

static void
interrupt_if_asked(void)
{
	CHECK_FOR_INTERRUPTS();
}

static void
check_dimensions(ArrayType *array)
{
	if (ARR_NDIM(array) > 1)
		ereport(ERROR, (errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
						errmsg("values must be an array of one dimension, not %d", ARR_NDIM(array)),
						errhint("For example '{1, 2, 3}'.")));
}

double *
perfopt_trend_array(ArrayType *array, int *n)
{
	Datum *elements;
	bool *nulls;
	double *values;

	check_dimensions(array);
	deconstruct_array(array, FLOAT8OID, sizeof(float8), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE, &elements,
					  &nulls, n);
	values = MemoryContextAllocHuge(CurrentMemoryContext, Max(*n, 1) * sizeof(double));
	for (int i = 0; i < *n; i++)
		values[i] = nulls[i] ? NAN : DatumGetFloat8(elements[i]);
	pfree(elements);
	pfree(nulls);
	return values;
}

/* Periods in ascending order; NULL where the argument is, and are to be found then. */
static int *
get_seasons(FunctionCallInfo fcinfo, int arg, int *n)
{
	ArrayType *array;
	Datum *elements;
	bool *nulls;
	int *seasons;

	*n = 0;
	if (PG_ARGISNULL(arg))
		return NULL;
	array = PG_GETARG_ARRAYTYPE_P(arg);
	check_dimensions(array);
	deconstruct_array(array, INT4OID, sizeof(int32), true, TYPALIGN_INT, &elements, &nulls, n);
	seasons = palloc(Max(*n, 1) * sizeof(int));
	for (int i = 0; i < *n; i++)
	{
		seasons[i] = nulls[i] ? 0 : DatumGetInt32(elements[i]);
		if (seasons[i] < PERFOPT_SEASON_LEAST || (i > 0 && seasons[i] <= seasons[i - 1]))
			ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
							errmsg("%d is no period of a season here", seasons[i]),
							errhint("Periods are numbers of values from %d on, in ascending order, "
									"as in '{24, 168}'; '{}' is none, NULL finds them.",
									PERFOPT_SEASON_LEAST)));
	}
	if (*n > PERFOPT_SEASON_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("%d seasons are too many", *n),
				 errhint("There may be up to %d.", PERFOPT_SEASON_MAX)));
	return seasons;
}

static double
float_or(FunctionCallInfo fcinfo, int arg, double otherwise)
{
	return PG_ARGISNULL(arg) ? otherwise : PG_GETARG_FLOAT8(arg);
}

static Datum
number(double value, bool *isnull)
{
	*isnull = !isfinite(value);
	return Float8GetDatum(value);
}

static void
check_forecast_arguments(int n, int horizon, double level, double minimum, double maximum)
{
	if (horizon < 1 || horizon > PERFOPT_FORECAST_MOST || n > PERFOPT_FORECAST_MOST)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("%d values from %d are out of range", horizon, n),
						errhint("Both may be up to %d; coarser steps say the same.",
								PERFOPT_FORECAST_MOST)));
	if (!(level > 0 && level < 1))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("level must be between 0 and 1, not %g", level),
						errhint("0.95, the default, is an interval for 95 %% of the values.")));
	if (!(minimum < maximum))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("minimum (%g) must be below maximum (%g)", minimum, maximum),
						errhint("NULL is no bound.")));
	if (n < PERFOPT_FORECAST_LEAST)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("%d values are too few for a forecast", n),
						errhint("It takes %d, better several cycles of what repeats itself.",
								PERFOPT_FORECAST_LEAST)));
}

/* What a forecast could not rest on is told, not hidden. */
static void
tell_limits(unsigned limits)
{
	if (limits & PERFOPT_FORECAST_UNTESTED)
		ereport(NOTICE,
				(errmsg("the series is too short to try methods on"),
				 errdetail("Its last value or season goes on, and the interval is that of a "
						   "random walk.")));
	else if (limits & PERFOPT_FORECAST_FEW_TESTS)
		ereport(NOTICE, (errmsg("the series is too short for a tested interval"),
						 errdetail("Fewer than four earlier moments could be forecast from.")));
	if (limits & PERFOPT_FORECAST_FAR)
		ereport(NOTICE, (errmsg("the forecast goes further than what could be tested"),
						 errdetail("Its interval is drawn on from nearer steps.")));
	if (limits & PERFOPT_FORECAST_GAPS)
		ereport(NOTICE, (errmsg("more than a quarter of the values is missing")));
}

Datum
perfopt_forecast_values(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	PerfoptForecastOptions options = perfopt_forecast_defaults;
	PerfoptForecast forecast = { 0 };
	PerfoptForecastStatus status;
	double *values;
	void *scratch;
	int horizon;
	int n;

	InitMaterializedSRF(fcinfo, 0);
	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		return (Datum) 0;
	values = perfopt_trend_array(PG_GETARG_ARRAYTYPE_P(0), &n);
	horizon = PG_GETARG_INT32(1);
	options.season = get_seasons(fcinfo, 2, &options.seasons);
	options.level = float_or(fcinfo, 3, options.level);
	options.minimum = float_or(fcinfo, 4, options.minimum);
	options.maximum = float_or(fcinfo, 5, options.maximum);
	options.interrupted = check_interrupts;
	check_forecast_arguments(n, horizon, options.level, options.minimum, options.maximum);

	forecast.value = palloc(horizon * sizeof(double));
	forecast.lower = palloc(horizon * sizeof(double));
	forecast.upper = palloc(horizon * sizeof(double));
	scratch = MemoryContextAllocHuge(CurrentMemoryContext, perfopt_forecast_scratch(n, horizon));
	status = perfopt_forecast(values, n, horizon, &options, &forecast, scratch);
	pfree(scratch);
	if (status == PERFOPT_FORECAST_TOO_SHORT)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("the series has too few values that are known for a forecast"),
						errhint("It takes %d.", PERFOPT_FORECAST_LEAST)));
	if (status != PERFOPT_FORECAST_OK)
		elog(ERROR, "forecast failed with status %d", status);
	tell_limits(forecast.limits);
	for (int i = 0; i < horizon; i++)
	{
		bool nulls[4] = { false };
		Datum row[4] = { Int32GetDatum(i + 1), number(forecast.value[i], &nulls[1]),
						 number(forecast.lower[i], &nulls[2]),
						 number(forecast.upper[i], &nulls[3]) };

		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, row, nulls);
	}
	return (Datum) 0;
}

/*
 * Scores of values with a season, and a longer one, of so many steps: the first two elements of the
 * argument, none where there is none.  palloc'd.
 */
static PerfoptAnomalyScore *
score_all(FunctionCallInfo fcinfo, const double *values, int n)
{
	int nseasons;
	int *seasons = get_seasons(fcinfo, 1, &nseasons);
	int season = nseasons > 0 ? seasons[0] : 0;
	int longer = nseasons > 1 ? seasons[1] : 0;
	size_t size = perfopt_anomaly_size(season, longer);
	void *state = palloc(size);
	PerfoptAnomalyScore *scores =
		MemoryContextAllocHuge(CurrentMemoryContext, Max(n, 1) * sizeof(PerfoptAnomalyScore));

	if (!perfopt_anomaly_init(state, size, season, longer, 0))
		elog(ERROR, "could not begin a detector with seasons of %d and %d", season, longer);

	/* In portions, for interrupts' sake. */
	for (int from = 0; from < n; from += 100000)
	{
		CHECK_FOR_INTERRUPTS();
		perfopt_anomaly_scores(state, values + from, Min(n - from, 100000), scores + from);
	}
	pfree(state);
	return scores;
}

Datum
perfopt_anomaly_values(PG_FUNCTION_ARGS)
{
	double *values;
	PerfoptAnomalyScore *scores;
	Datum *result;
	int n;

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	values = perfopt_trend_array(PG_GETARG_ARRAYTYPE_P(0), &n);
	scores = score_all(fcinfo, values, n);
	result = MemoryContextAllocHuge(CurrentMemoryContext, Max(n, 1) * sizeof(Datum));
	for (int i = 0; i < n; i++)
		result[i] = Float8GetDatum(scores[i].score);
	PG_RETURN_ARRAYTYPE_P(
		construct_array(result, n, FLOAT8OID, sizeof(float8), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
}

static const char *
kind_name(PerfoptAnomalyKind kind)
{
	switch (kind)
	{
		case PERFOPT_ANOMALY_NONE:
			break;
		case PERFOPT_ANOMALY_SPIKE:
			return "spike";
		case PERFOPT_ANOMALY_LEVEL:
			return "level";
		case PERFOPT_ANOMALY_SPREAD:
			return "spread";
		case PERFOPT_ANOMALY_FLAT:
			return "flat";
	}
	return "none";
}

/* Those that are anomalies. */
Datum
perfopt_anomaly_scan(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	PerfoptAnomalyScore *scores;
	double *values;
	int n;

	InitMaterializedSRF(fcinfo, 0);
	if (PG_ARGISNULL(0))
		return (Datum) 0;
	values = perfopt_trend_array(PG_GETARG_ARRAYTYPE_P(0), &n);
	scores = score_all(fcinfo, values, n);
	for (int i = 0; i < n; i++)
	{
		bool nulls[5] = { false };
		Datum row[5] = { Int32GetDatum(i + 1), number(values[i], &nulls[1]),
						 number(scores[i].expected, &nulls[2]), Float8GetDatum(scores[i].score),
						 CStringGetTextDatum(kind_name(scores[i].kind)) };

		if (scores[i].score >= PERFOPT_ANOMALY_THRESHOLD)
			tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, row, nulls);
	}
	return (Datum) 0;
}

Datum
perfopt_change_points(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	PerfoptChangepointOptions options = { .significance = PG_GETARG_FLOAT8(1),
										  .min_effect = -1,
										  .interrupt = interrupt_if_asked };
	PerfoptChangepoint *changes;
	double *values;
	double *scratch;
	int nchanges;
	int n;

	if (!(options.significance > 0 && options.significance < 1))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("significance must be between 0 and 1, not %g", options.significance),
				 errhint("0.01, the default, is one false change in a hundred series.")));
	InitMaterializedSRF(fcinfo, 0);
	values = perfopt_trend_array(PG_GETARG_ARRAYTYPE_P(0), &n);
	changes = palloc((PERFOPT_CHANGEPOINT_MOST(n) + 1) * sizeof(PerfoptChangepoint));
	scratch = MemoryContextAllocHuge(CurrentMemoryContext,
									 PERFOPT_CHANGEPOINT_SCRATCH(n) * sizeof(double));
	nchanges = perfopt_changepoint_find(values, n, &options, changes, scratch);
	for (int i = 0; i < nchanges; i++)
	{
		bool nulls[5] = { false };
		Datum row[5] = { Int32GetDatum(changes[i].index + 1),
						 number(changes[i].before_mean, &nulls[1]),
						 number(changes[i].after_mean, &nulls[2]),
						 number(changes[i].p_value, &nulls[3]),
						 number(changes[i].effect, &nulls[4]) };

		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, row, nulls);
	}
	return (Datum) 0;
}

/* The strongest season of the series, found; 0 for none. */
static int
strongest_season(const double *values, int n, double *strength)
{
	PerfoptSeason seasons[PERFOPT_SEASON_MAX];
	double *scratch = MemoryContextAllocHuge(CurrentMemoryContext,
											 perfopt_season_scratch(n) * sizeof(double) + 8);
	int found = perfopt_season_find(values, n, seasons, scratch);
	int period = 0;

	*strength = NAN;
	for (int i = 0; i < found; i++)
	{
		if (period == 0 || seasons[i].strength > *strength)
		{
			period = seasons[i].period;
			*strength = seasons[i].strength;
		}
	}
	pfree(scratch);
	return period;
}

static PerfoptTrendFit
fit(const double *values, int n, int period, double level)
{
	double *scratch =
		MemoryContextAllocHuge(CurrentMemoryContext, PERFOPT_TREND_SCRATCH(n) * sizeof(double));
	PerfoptTrendFit trend = perfopt_trend_fit(NULL, values, n, period, level, scratch);

	pfree(scratch);
	return trend;
}

static Datum
make_row(FunctionCallInfo fcinfo, Datum *values, bool *nulls)
{
	TupleDesc desc;

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls));
}

Datum
perfopt_trend_values(PG_FUNCTION_ARGS)
{
	int n;
	double *values = perfopt_trend_array(PG_GETARG_ARRAYTYPE_P(0), &n);
	double strength;
	int period = strongest_season(values, n, &strength);
	PerfoptTrendFit trend = fit(values, n, period, PG_GETARG_FLOAT8(1));
	bool nulls[9] = { false };
	Datum row[9] = {
		Int32GetDatum(trend.n),           number(trend.last - trend.slope * (n - 1), &nulls[1]),
		number(trend.last, &nulls[2]),    number(trend.slope, &nulls[3]),
		number(trend.low, &nulls[4]),     number(trend.high, &nulls[5]),
		number(trend.p_value, &nulls[6]), Int32GetDatum(period),
		number(strength, &nulls[8])
	};

	nulls[7] = period == 0;
	PG_RETURN_DATUM(make_row(fcinfo, row, nulls));
}

/* Steps of step_s seconds each; what runs out by falling is negated here. */
Datum
perfopt_capacity_values(PG_FUNCTION_ARGS)
{
	int n;
	double *values = perfopt_trend_array(PG_GETARG_ARRAYTYPE_P(0), &n);
	double step_s = PG_GETARG_FLOAT8(1);
	double capacity = PG_GETARG_FLOAT8(2);
	double horizon_s = PG_GETARG_FLOAT8(3);
	int day = step_s >= 1 ? (int) rint(86400 / step_s) : 0;
	double steps = horizon_s / step_s;
	PerfoptTrendFit trend = fit(values, n, n >= 3 * day && day > 1 ? day : 0, 0.95);
	PerfoptTrendFit in_seconds = trend;
	double span_s = (n - 1) * step_s;
	bool is_long = span_s >= PERFOPT_CAPACITY_LEAST_SPAN;
	PerfoptCapacity when;
	bool nulls[7] = { false };
	Datum row[7];

	if (!(step_s > 0) || !isfinite(step_s) || !(horizon_s > 0))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("step_s and horizon_s must be positive, not %g and %g", step_s, horizon_s),
				 errhint("Both are seconds.")));

	in_seconds.slope /= step_s;
	in_seconds.low /= step_s;
	in_seconds.high /= step_s;
	when = perfopt_capacity(&in_seconds, capacity, span_s, horizon_s);
	row[0] = number(trend.last, &nulls[0]);
	row[1] = number(is_long ? trend.last + trend.slope * steps : NAN, &nulls[1]);
	row[2] = number(is_long ? trend.last + trend.low * steps : NAN, &nulls[2]);
	row[3] = number(is_long ? trend.last + trend.high * steps : NAN, &nulls[3]);
	row[4] = number(when.exhausted_at, &nulls[4]);
	row[5] = number(when.exhausted_earliest, &nulls[5]);
	row[6] = Float8GetDatum(span_s);
	PG_RETURN_DATUM(make_row(fcinfo, row, nulls));
}

/* values[i] at place[i] of an array of n elements, whose others are NULL. */
Datum
perfopt_spread_values(PG_FUNCTION_ARGS)
{
	ArrayType *places = PG_GETARG_ARRAYTYPE_P(0);
	ArrayType *values = PG_GETARG_ARRAYTYPE_P(1);
	int n = PG_GETARG_INT32(2);
	int dims[1] = { n };
	int lower[1] = { 1 };
	Datum *place, *value, *result;
	bool *place_nulls, *value_nulls, *nulls;
	int nplaces, nvalues;

	check_dimensions(places);
	check_dimensions(values);
	if (n < 0 || n > PERFOPT_FORECAST_MOST)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%d elements are out of range", n),
				 errhint("There may be up to %d; take coarser steps.", PERFOPT_FORECAST_MOST)));
	deconstruct_array(places, INT4OID, sizeof(int32), true, TYPALIGN_INT, &place, &place_nulls,
					  &nplaces);
	deconstruct_array(values, FLOAT8OID, sizeof(float8), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE, &value,
					  &value_nulls, &nvalues);
	result = palloc0(Max(n, 1) * sizeof(Datum));
	nulls = palloc(Max(n, 1) * sizeof(bool));
	memset(nulls, true, Max(n, 1));
	for (int i = 0; i < Min(nplaces, nvalues); i++)
	{
		int at = place_nulls[i] ? -1 : DatumGetInt32(place[i]);

		if (at < 0 || at >= n || value_nulls[i])
			continue;
		result[at] = value[i];
		nulls[at] = false;
	}
	PG_RETURN_ARRAYTYPE_P(construct_md_array(result, nulls, 1, dims, lower, FLOAT8OID,
											 sizeof(float8), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
}
