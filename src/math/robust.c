/*
 * robust.c
 *	  See robust.h.
 */
#include "math/robust.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

#include "math/student.h"

static int
compare(const void *a, const void *b)
{
	double x = *(const double *) a;
	double y = *(const double *) b;

	return (x > y) - (x < y);
}

static void
sort(double *v, size_t n)
{
	if (n > 1)
		qsort(v, n, sizeof *v, compare);
}

/* Of sorted values; halves are added, since a sum might overflow. */
static double
middle(const double *v, size_t n)
{
	return n % 2 ? v[n / 2] : v[n / 2 - 1] / 2 + v[n / 2] / 2;
}

void
perfopt_sort(double *v, int n)
{
	if (n > 0)
		sort(v, (size_t) n);
}

double
perfopt_median(double *v, int n)
{
	size_t used = 0;

	for (int i = 0; i < n; i++)
		if (!isnan(v[i]))
		{
			double value = v[i];

			v[i] = v[used];
			v[used++] = value;
		}
	if (used == 0)
		return NAN;
	sort(v, used);
	return middle(v, used);
}

static bool
usable(const double *x, const double *y, int i)
{
	return isfinite(x[i]) && isfinite(y[i]);
}

/* Sums over the groups of equal values, each of t points. */
typedef struct Ties
{
	double v0; /* t (t-1) (2t+5) */
	double v1; /* t (t-1) */
	double v2; /* t (t-1) (t-2) */
} Ties;

/* Adds one of the t points of a group, so the t of them add up to what the group counts for. */
static void
add_tied(Ties *ties, double t)
{
	ties->v0 += (t - 1) * (2 * t + 5);
	ties->v1 += t - 1;
	ties->v2 += (t - 1) * (t - 2);
}

static double
kendall_variance(const double *x, const double *y, int n, double used)
{
	Ties xs = { 0 };
	Ties ys = { 0 };
	double variance;

	for (int i = 0; i < n; i++)
	{
		double equal_x = 0;
		double equal_y = 0;

		if (!usable(x, y, i))
			continue;
		for (int j = 0; j < n; j++)
			if (usable(x, y, j))
			{
				equal_x += x[i] == x[j];
				equal_y += y[i] == y[j];
			}
		add_tied(&xs, equal_x);
		add_tied(&ys, equal_y);
	}
	variance = (used * (used - 1) * (2 * used + 5) - xs.v0 - ys.v0) / 18;
	if (used > 1)
		variance += xs.v1 * ys.v1 / (2 * used * (used - 1));
	if (used > 2)
		variance += xs.v2 * ys.v2 / (9 * used * (used - 1) * (used - 2));
	return variance > 0 ? variance : 0;
}

PerfoptTrend
perfopt_theil_sen(const double *x, const double *y, int n, double level, double *scratch)
{
	PerfoptTrend trend = { 0, NAN, NAN, NAN };
	size_t slopes = 0;
	double k;

	for (int i = 0; i < n; i++)
	{
		if (!usable(x, y, i))
			continue;
		trend.n++;
		for (int j = 0; j < i; j++)
		{
			/* of halves, so that a difference does not overflow */
			double run = x[i] / 2 - x[j] / 2;

			if (usable(x, y, j) && run != 0)
				scratch[slopes++] = (y[i] / 2 - y[j] / 2) / run;
		}
	}
	if (slopes == 0)
		return trend;
	sort(scratch, slopes);
	trend.slope = middle(scratch, slopes);
	if (!(level > 0 && level < 1))
		return trend;
	k = floor(
		((double) slopes + 1 -
		 perfopt_normal_quantile((1 + level) / 2) * sqrt(kendall_variance(x, y, n, trend.n))) /
		2);
	trend.low = k < 1 ? -HUGE_VAL : scratch[(size_t) k - 1];
	trend.high = k < 1 ? HUGE_VAL : scratch[slopes - (size_t) k];
	return trend;
}
