/*
 * ratio.c
 *	  See ratio.h.
 */
#include "math/ratio.h"

#include <math.h>
#include <stdbool.h>

/* The continued fraction of the incomplete beta function (Lentz; DLMF 8.17.22). */
static double
beta_fraction(double a, double b, double x)
{
	const double tiny = 1e-300;
	double c = 1;
	double d = 1 - (a + b) * x / (a + 1);
	double f;

	d = 1 / (fabs(d) < tiny ? tiny : d);
	f = d;
	for (int m = 1; m <= 1000; m++)
	{
		double even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
		double odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
		double step;

		d = 1 + even * d;
		d = 1 / (fabs(d) < tiny ? tiny : d);
		c = 1 + even / c;
		c = fabs(c) < tiny ? tiny : c;
		f *= c * d;

		d = 1 + odd * d;
		d = 1 / (fabs(d) < tiny ? tiny : d);
		c = 1 + odd / c;
		c = fabs(c) < tiny ? tiny : c;
		step = c * d;
		f *= step;
		if (fabs(step - 1) < 1e-15)
			break;
	}
	return f;
}

/* Regularised incomplete beta function I_x(a, b); y is 1 - x, given for its precision near 0. */
static double
beta_regularised(double a, double b, double x, double y)
{
	double front;

	if (x <= 0)
		return 0;
	if (y <= 0)
		return 1;
	front = exp(lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(x) + b * log(y));
	if (x < (a + 1) / (a + b + 2))
		return front * beta_fraction(a, b, x) / a;
	return 1 - front * beta_fraction(b, a, y) / b;
}

/* P(T > t) for t >= 0. */
static double
student_tail(double t, double df)
{
	return 0.5 * beta_regularised(df / 2, 0.5, df / (df + t * t), t * t / (df + t * t));
}

/* Bisection: the tail falls monotonically, and this is called a few times a question. */
double
perfopt_student_quantile(double p, double df)
{
	double tail = p < 0.5 ? p : 1 - p;
	double low = 0;
	double high = 1;

	if (!(p > 0 && p < 1) || !(df > 0))
		return NAN;
	if (p == 0.5)
		return 0;
	while (student_tail(high, df) > tail)
	{
		low = high;
		high *= 2;
		if (isinf(high))
			return p < 0.5 ? -HUGE_VAL : HUGE_VAL;
	}
	for (int i = 0; i < 200 && high - low > 1e-14 * high; i++)
	{
		double middle = low + (high - low) / 2;

		if (student_tail(middle, df) > tail)
			low = middle;
		else
			high = middle;
	}
	return (p < 0.5 ? -1 : 1) * (low + (high - low) / 2);
}

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
