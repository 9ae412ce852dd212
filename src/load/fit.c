/*
 * fit.c
 *	  Lines through measured points, from SQL.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "utils/array.h"

#include "floats.h"
#include "math/powerfit.h"
#include "math/robust.h"

#define MAX_POINTS 5000

PG_FUNCTION_INFO_V1(perfopt_fit_power);
PG_FUNCTION_INFO_V1(perfopt_fit_slope);

static double *
points_array(ArrayType *array, const char *name, int *n)
{
	double *values = perfopt_float_array(array, name, n);

	if (*n > MAX_POINTS)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("\"%s\" has %d values, more than %d", name, *n, MAX_POINTS),
						errhint("Average neighbours first.")));
	return values;
}

/* The two arrays of points, and the level of confidence. */
static int
points(FunctionCallInfo fcinfo, double **x, double **y, double *level)
{
	int nx;
	int ny;

	*x = points_array(PG_GETARG_ARRAYTYPE_P(0), "x", &nx);
	*y = points_array(PG_GETARG_ARRAYTYPE_P(1), "y", &ny);
	*level = PG_GETARG_FLOAT8(2);
	if (nx != ny)
		ereport(ERROR, (errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
						errmsg("\"x\" has %d values and \"y\" has %d", nx, ny)));
	if (!(*level > 0 && *level < 1))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("level must lie between 0 and 1, not %g", *level),
						errhint("0.95 asks for a 95 %% confidence interval.")));
	return nx;
}

/* What is not a finite number is not known. */
static Datum
numbers_row(FunctionCallInfo fcinfo, const double *numbers, int n)
{
	TupleDesc desc;
	Datum *values = palloc(n * sizeof(Datum));
	bool *nulls = palloc(n * sizeof(bool));

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	for (int i = 0; i < n; i++)
	{
		nulls[i] = !isfinite(numbers[i]);
		values[i] = Float8GetDatum(numbers[i]);
	}
	return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls));
}

Datum
perfopt_fit_power(PG_FUNCTION_ARGS)
{
	double *x, *y, level;
	int n = points(fcinfo, &x, &y, &level);
	PerfoptPower power = { .exponent = NAN, .low = NAN, .high = NAN, .factor = NAN, .r2 = NAN };
	double numbers[5];

	(void) perfopt_power_fit(x, y, n, level, &power);
	numbers[0] = power.exponent;
	numbers[1] = power.low;
	numbers[2] = power.high;
	numbers[3] = power.factor;
	numbers[4] = power.r2;
	PG_RETURN_DATUM(numbers_row(fcinfo, numbers, lengthof(numbers)));
}

Datum
perfopt_fit_slope(PG_FUNCTION_ARGS)
{
	double *x, *y, level;
	int n = points(fcinfo, &x, &y, &level);
	double *scratch =
		palloc_extended(Max(PERFOPT_THEIL_SEN_SCRATCH(n), 1) * sizeof(double), MCXT_ALLOC_HUGE);
	PerfoptTrend trend = perfopt_theil_sen(x, y, n, level, scratch);
	double numbers[] = { trend.slope, trend.low, trend.high };

	PG_RETURN_DATUM(numbers_row(fcinfo, numbers, lengthof(numbers)));
}
