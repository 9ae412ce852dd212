/*
 * ratio.c
 *	  See ratio.h.
 */
#include "math/ratio.h"

#include <math.h>
#include <stdbool.h>

#include "math/student.h"

static bool
usable(const double *part, const double *total, int i)
{
	return isfinite(part[i]) && isfinite(total[i]);
}

/* Adds up usable pairs into at most PERFOPT_RATIO_MAX_BATCHES runs of neighbours. */
static int
make_batches(const double *part, const double *total, int n, double *parts, double *totals)
{
	long long nusable = 0;
	long long seen = 0;
	int nbatches;

	for (int i = 0; i < n; i++)
		nusable += usable(part, total, i);
	nbatches = nusable < PERFOPT_RATIO_MAX_BATCHES ? (int) nusable : PERFOPT_RATIO_MAX_BATCHES;
	for (int b = 0; b < PERFOPT_RATIO_MAX_BATCHES; b++)
		parts[b] = totals[b] = 0;
	for (int i = 0; i < n && seen < nusable; i++)
	{
		long long b = seen * nbatches / nusable;

		if (!usable(part, total, i))
			continue;
		parts[b] += part[i];
		totals[b] += total[i];
		seen++;
	}
	return nbatches;
}

static double
clamp_share(double v)
{
	return v < 0 ? 0 : v > 1 ? 1 : v;
}

PerfoptRatio
perfopt_ratio(const double *part, const double *total, int n, double level)
{
	PerfoptRatio result = { NAN, NAN, NAN };
	double parts[PERFOPT_RATIO_MAX_BATCHES];
	double totals[PERFOPT_RATIO_MAX_BATCHES];
	int batches = make_batches(part, total, n, parts, totals);
	double sum_part = 0;
	double sum_total = 0;
	double squares = 0;
	double share;
	double half;

	for (int b = 0; b < batches; b++)
	{
		sum_part += parts[b];
		sum_total += totals[b];
	}
	if (!(sum_total > 0))
		return result;
	share = sum_part / sum_total;
	result.share = clamp_share(share);
	if (batches < 2 || !(level > 0 && level < 1))
		return result;

	for (int b = 0; b < batches; b++)
	{
		double residual = parts[b] - share * totals[b];

		squares += residual * residual;
	}
	half = perfopt_student_quantile((1 + level) / 2, batches - 1) *
		   sqrt(batches * squares / (batches - 1)) / sum_total;
	result.low = clamp_share(share - half);
	result.high = clamp_share(share + half);
	return result;
}
