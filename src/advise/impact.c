/*
 * impact.c
 *	  perfopt.judge_change(): values after a change beside what the server did before it.
 */
#include "postgres.h"

#include <math.h>

#include "fmgr.h"
#include "funcapi.h"
#include "utils/builtins.h"

#include "math/verdict.h"
#include "trend/trend.h"

PG_FUNCTION_INFO_V1(perfopt_judge_change);

enum
{
	COLUMN_CHANGE,
	COLUMN_LOW,
	COLUMN_HIGH,
	COLUMN_P,
	COLUMN_STATE,
	COLUMNS
};

/* NULL where the bound is not known. */
static void
put_pct(double log_ratio, Datum *value, bool *isnull)
{
	*isnull = !isfinite(log_ratio);
	*value = Float8GetDatum(100 * expm1(log_ratio));
}

/*
 * A verdict asks whether it got worse; here the question is whether it got better, and "no effect" wants
 * the whole interval within both margins.
 */
static const char *
state_of(const PerfoptChange *change, const PerfoptMargin *margin)
{
	switch (perfopt_verdict(change, change->p_value, margin, PERFOPT_EVIDENCE_RERUNS))
	{
		case PERFOPT_REGRESSION:
			return "regressed";
		case PERFOPT_IMPROVEMENT:
			return "verified";
		default:
			break;
	}
	if (isfinite(change->low) && isfinite(change->high) && change->high < margin->worse &&
		change->low > -margin->better)
		return "no_effect";
	return "inconclusive";
}

/* Values of which less is better. */
Datum
perfopt_judge_change(PG_FUNCTION_ARGS)
{
	int nbefore;
	int nafter;
	double *before = perfopt_trend_array(PG_GETARG_ARRAYTYPE_P(0), &nbefore);
	double *after = perfopt_trend_array(PG_GETARG_ARRAYTYPE_P(1), &nafter);
	double margin_pct = PG_GETARG_FLOAT8(2);
	PerfoptMargin margin;
	PerfoptChange change;
	TupleDesc desc;
	Datum values[COLUMNS];
	bool nulls[COLUMNS] = { false };

	if (!(margin_pct > 0 && margin_pct < 100))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("a margin of %g percent is not between 0 and 100", margin_pct),
						errhint("5 calls changes of less than 5 percent none.")));
	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	margin = perfopt_margin_of_ratio(margin_pct / 100, false);
	change = perfopt_change_of_runs(before, nbefore, after, nafter);
	put_pct(change.estimate, &values[COLUMN_CHANGE], &nulls[COLUMN_CHANGE]);
	put_pct(change.low, &values[COLUMN_LOW], &nulls[COLUMN_LOW]);
	put_pct(change.high, &values[COLUMN_HIGH], &nulls[COLUMN_HIGH]);
	values[COLUMN_P] = Float8GetDatum(change.p_value);
	nulls[COLUMN_P] = !isfinite(change.p_value);
	values[COLUMN_STATE] = CStringGetTextDatum(state_of(&change, &margin));
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls)));
}
