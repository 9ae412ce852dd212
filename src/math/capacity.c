/*
 * capacity.c
 *	  See capacity.h.
 */
#include "math/capacity.h"

#include <math.h>

static double
within(double seconds, double horizon)
{
	return seconds <= horizon ? seconds : NAN;
}

PerfoptCapacity
perfopt_capacity(const PerfoptTrendFit *trend, double capacity, double span, double horizon)
{
	PerfoptCapacity none = { NAN, NAN };
	PerfoptCapacity result;
	double missing = capacity - trend->last;

	/* asked so that NaN is a no */
	if (!(span >= PERFOPT_CAPACITY_LEAST_SPAN) || isnan(missing))
		return none;
	if (missing <= 0)
		return (PerfoptCapacity){ 0, 0 };
	if (trend->direction <= 0 || !(trend->slope > 0))
		return none;
	result.exhausted_at = within(missing / trend->slope, horizon);
	result.exhausted_earliest = within(missing / trend->high, horizon);
	return result;
}
