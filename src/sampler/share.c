/*
 * share.c
 *	  share_interval(): the ratio estimator of src/math on SQL arrays.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "utils/array.h"

#include "floats.h"
#include "math/ratio.h"

PG_FUNCTION_INFO_V1(perfopt_share_interval);

Datum
perfopt_share_interval(PG_FUNCTION_ARGS)
{
	double level = PG_GETARG_FLOAT8(2);
	TupleDesc desc;
	Datum values[3];
	bool nulls[3];
	int npart;
	int ntotal;
	double *part = perfopt_float_array(PG_GETARG_ARRAYTYPE_P(0), "part", &npart);
	double *total = perfopt_float_array(PG_GETARG_ARRAYTYPE_P(1), "total", &ntotal);
	PerfoptRatio ratio;

	if (npart != ntotal)
		ereport(ERROR, (errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
						errmsg("\"part\" has %d values and \"total\" has %d", npart, ntotal),
						errhint("Both must cover the same stretches of time.")));
	if (!(level > 0 && level < 1))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("level must lie between 0 and 1, not %g", level),
						errhint("0.95 asks for a 95 %% confidence interval.")));
	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");

	ratio = perfopt_ratio(part, total, npart, level);
	values[0] = Float8GetDatum(ratio.share);
	values[1] = Float8GetDatum(ratio.low);
	values[2] = Float8GetDatum(ratio.high);
	nulls[0] = isnan(ratio.share);
	nulls[1] = isnan(ratio.low);
	nulls[2] = isnan(ratio.high);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls)));
}
