/*
 * trend.c
 *	  See trend.h.
 */
#include "math/trend.h"

#include <math.h>
#include <stdbool.h>

#include "math/student.h"

#define MOST_BLOCKS PERFOPT_TREND_BLOCKS
#define LEAST_PERIODS 3
#define MOST_RHO 0.99

/*
 * The moving mean over one period around i; of an even period, half of the value at either end.  NaN
 * where the period does not lie within the series or has no value at all.
 */
static double
moving_mean(const double *sum, const double *count, int n, int period, int i)
{
	int half = period / 2;
	int begin = i - half;
	int end = begin + period;
	double total;
	double used;

	if (begin < 0 || end + (period % 2 == 0) > n)
		return NAN;
	total = sum[end] - sum[begin];
	used = count[end] - count[begin];
	if (period % 2 == 0)
	{
		total = (total + sum[end + 1] - sum[begin + 1]) / 2;
		used = (used + count[end + 1] - count[begin + 1]) / 2;
	}
	return used > 0 ? total / used : NAN;
}

/*
 * Writes what the moving mean leaves of y to `left`, NaN where there is no telling, and each phase's
 * mean of that to season, around 0.  Returns how many phases have one.
 */
static int
decompose(const double *y, int n, int period, double *left, double *season, double *sum,
		  double *count)
{
	double center = 0;
	int phases = 0;

	sum[0] = 0;
	count[0] = 0;
	for (int i = 0; i < n; i++)
	{
		bool usable = isfinite(y[i]);

		sum[i + 1] = sum[i] + (usable ? y[i] : 0);
		count[i + 1] = count[i] + usable;
	}
	for (int i = 0; i < n; i++)
		left[i] = isfinite(y[i]) ? y[i] - moving_mean(sum, count, n, period, i) : NAN;
	for (int phase = 0; phase < period; phase++)
	{
		double used = 0;

		season[phase] = 0;
		for (int i = phase; i < n; i += period)
			if (!isnan(left[i]))
				season[phase] += (left[i] - season[phase]) / ++used;
		if (used > 0)
			center += (season[phase] - center) / ++phases;
		else
			season[phase] = NAN;
	}
	for (int phase = 0; phase < period; phase++)
		season[phase] = isnan(season[phase]) ? 0 : season[phase] - center;
	return phases;
}

static bool
has_season(int n, int period)
{
	return period > 1 && n / period >= LEAST_PERIODS;
}

double
perfopt_trend_seasonality(const double *y, int n, int period, double *scratch)
{
	double *left = scratch;
	double *season = left + n + 1;
	double *sum = season + n + 1;
	double *count = sum + n + 1;
	double mean = 0;
	double all = 0;
	double rest = 0;
	double used = 0;
	int phases;

	if (!has_season(n, period))
		return NAN;
	phases = decompose(y, n, period, left, season, sum, count);
	for (int i = 0; i < n; i++)
		if (!isnan(left[i]))
			mean += (left[i] - mean) / ++used;
	for (int i = 0; i < n; i++)
		if (!isnan(left[i]))
		{
			double from_season = left[i] - mean - season[i % period];

			all += (left[i] - mean) * (left[i] - mean);
			rest += from_season * from_season;
		}
	if (!(used > phases && all > 0))
		return NAN;
	return fmax(0, 1 - (rest / (used - phases)) / (all / (used - 1)));
}

/* Ranks from 0, those of equals shared, less their mean. */
static void
rank_around_zero(const double *v, int n, double *rank)
{
	for (int i = 0; i < n; i++)
	{
		rank[i] = -(n - 1) / 2.0;
		for (int j = 0; j < n; j++)
			rank[i] += j == i ? 0 : v[j] < v[i] ? 1 : v[j] == v[i] ? 0.5 : 0;
	}
}

static double
autocorrelation(const double *v, int n, int lag, double squares)
{
	double products = 0;

	for (int i = lag; i < n; i++)
		products += v[i] * v[i - lag];
	return products / squares;
}

/* The header's factor of the variance of S, from what the line leaves. */
static double
variance_factor(const double *residual, int n, double *rank)
{
	double significant = perfopt_normal_quantile(0.975) / sqrt(n);
	double squares = 0;
	double sum = 0;
	double rho;
	double first;

	rank_around_zero(residual, n, rank);
	for (int i = 0; i < n; i++)
		squares += rank[i] * rank[i];
	if (!(squares > 0))
		return 1;
	first = autocorrelation(rank, n, 1, squares);
	for (int k = 1; k < n - 2; k++)
	{
		double r = k == 1 ? first : autocorrelation(rank, n, k, squares);

		if (r < significant)
			break;
		sum += (double) (n - k) * (n - k - 1) * (n - k - 2) * r;
	}
	rho = fmax(0, fmin(MOST_RHO, (n * first + 2) / (n - 4)));
	return fmax(1 + 2 * sum / ((double) n * (n - 1) * (n - 2)), (1 + rho) / (1 - rho));
}

/* Of the greater of two values one, of equals none. */
static int
sign_of(double difference)
{
	return (difference > 0) - (difference < 0);
}

/* The variance of S among n values, with ties among them. */
static double
kendall_variance(const double *y, int n)
{
	double variance = (double) n * (n - 1) * (2.0 * n + 5);

	for (int i = 0; i < n; i++)
	{
		double equal = 0;

		for (int j = 0; j < n; j++)
			equal += y[i] == y[j];
		/* each of t equals adds its part of t (t - 1) (2t + 5) */
		variance -= (equal - 1) * (2 * equal + 5);
	}
	return variance / 18;
}

/* Mann's and Kendall's test, with a continuity correction. */
static double
kendall_p_value(const double *y, int n, double factor)
{
	double variance = kendall_variance(y, n) * factor;
	double s = 0;

	for (int i = 0; i < n; i++)
		for (int j = 0; j < i; j++)
			s += sign_of(y[i] - y[j]);
	if (!(variance > 0))
		return 1;
	return fmin(1, 2 * perfopt_normal_tail(fmax(0, fabs(s) - 1) / sqrt(variance)));
}

/*
 * Medians of runs of neighbours that have a value, of as equal a length as can be.  x and y come with
 * finite values alone; y is reordered.
 */
static int
make_blocks(const double *x, double *y, int n, double *block_x, double *block_y)
{
	int blocks = n < MOST_BLOCKS ? n : MOST_BLOCKS;

	for (int b = 0; b < blocks; b++)
	{
		int from = (int) ((long long) n * b / blocks);
		int to = (int) ((long long) n * (b + 1) / blocks);

		block_x[b] = 0;
		for (int i = from; i < to; i++)
			block_x[b] += (x[i] - block_x[b]) / (i - from + 1);
		block_y[b] = perfopt_median(y + from, to - from);
	}
	return blocks;
}

/* Fills in the fit from the line through the blocks; x counts from the last value's. */
static void
fit_blocks(PerfoptTrendFit *fit, const double *x, const double *y, int n, double level,
		   double *residual, double *scratch)
{
	PerfoptTrend line = perfopt_theil_sen(x, y, n, 0, scratch);

	if (isnan(line.slope))
		return;
	for (int i = 0; i < n; i++)
		residual[i] = y[i] - line.slope * x[i];
	fit->variance = variance_factor(residual, n, scratch);
	fit->slope = line.slope;
	fit->last = perfopt_median(residual, n);
	fit->p_value = kendall_p_value(y, n, fit->variance);
	if (!(level > 0 && level < 1))
		return;
	/* Its interval rests on z sigma, so a greater sigma is had by the level of a greater z. */
	level =
		1 - 2 * perfopt_normal_tail(perfopt_normal_quantile((1 + level) / 2) * sqrt(fit->variance));
	fit->low = -HUGE_VAL;
	fit->high = HUGE_VAL;
	if (level < 1)
	{
		line = perfopt_theil_sen(x, y, n, level, scratch);
		fit->low = line.low;
		fit->high = line.high;
	}
}

PerfoptTrendFit
perfopt_trend_fit(const double *x, const double *y, int n, int period, double level,
				  double *scratch)
{
	PerfoptTrendFit fit = { 0, 0, NAN, NAN, NAN, NAN, NAN, NAN };
	bool seasonal = has_season(n, period);
	double *used_x = scratch;
	double *used_y = used_x + n + 1;
	double *season = used_y + n + 1;
	double *block_x = season + 2 * ((size_t) n + 1);
	double *block_y = block_x + MOST_BLOCKS;
	double *residual = block_y + MOST_BLOCKS;
	double last;
	int blocks;

	if (seasonal)
		(void) decompose(y, n, period, used_x, season, used_y, season + n + 1);
	for (int i = 0; i < n; i++)
	{
		double at = x != NULL ? x[i] : i;

		if (!isfinite(at) || !isfinite(y[i]))
			continue;
		used_x[fit.n] = at;
		used_y[fit.n++] = seasonal ? y[i] - season[i % period] : y[i];
	}
	if (fit.n < PERFOPT_TREND_MIN)
		return fit;
	last = used_x[fit.n - 1];
	for (int i = 0; i < fit.n; i++)
		used_x[i] -= last;
	blocks = make_blocks(used_x, used_y, fit.n, block_x, block_y);
	fit_blocks(&fit, block_x, block_y, blocks, level, residual, residual + MOST_BLOCKS);
	if (level > 0 && fit.p_value < 1 - level)
		fit.direction = sign_of(fit.slope);
	return fit;
}
