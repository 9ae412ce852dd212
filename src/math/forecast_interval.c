/*
 * forecast_interval.c
 *	  How far a forecast may be off, from how far it would have been off before.
 */
#include "math/forecast_private.h"

#include <math.h>

#include "math/robust.h"
#include "math/student.h"

#define SMOOTH \
	16 /* of the steps tested, the part over which the usual error is averaged on each side */
#define FLOOR 0.3 /* least usual error at a step, as a share of that of all steps */
#define ENOUGH \
	40.0 /* independent errors, with which each bound half rests on errors of its own side */
#define FEW 0.75 /* bounds are widened by this share over the number of distinct origins */

/* Mean absolute error at the steps around each, from all origins; their mean over all steps. */
static double
usual_errors(const double *error, int origins, int tested, double *usual, PerfoptArena arena)
{
	double *sum = perfopt_arena_take(&arena, (size_t) tested + 1);
	double *count = perfopt_arena_take(&arena, (size_t) tested + 1);
	int reach = tested / SMOOTH + 1;
	double mean;

	sum[0] = 0;
	count[0] = 0;
	for (int s = 0; s < tested; s++)
	{
		sum[s + 1] = sum[s];
		count[s + 1] = count[s];
		for (int o = 0; o < origins; o++)
		{
			double e = error[(size_t) o * (size_t) tested + (size_t) s];

			if (isfinite(e))
			{
				sum[s + 1] += fabs(e);
				count[s + 1]++;
			}
		}
	}
	mean = count[tested] > 0 ? sum[tested] / count[tested] : 0;
	for (int s = 0; s < tested; s++)
	{
		int from = s < reach ? 0 : s - reach;
		int to = s + reach + 1 < tested ? s + reach + 1 : tested;
		double values = count[to] - count[from];

		usual[s] = fmax(FLOOR * mean, values > 0 ? (sum[to] - sum[from]) / values : mean);
	}
	return mean;
}

/* Of sorted values; conformal: one more value than there are, beyond the last. */
static double
quantile(const double *sorted, int n, double p)
{
	double at = p * (n + 1) - 1;
	int left = (int) floor(at);

	if (left < 0)
		return sorted[0];
	if (left >= n - 1)
		return sorted[n - 1];
	return sorted[left] + (at - left) * (sorted[left + 1] - sorted[left]);
}

/*
 * How many independent values all errors are worth.  Errors from one origin resemble each other: by how much
 * the mean of an origin's differs from zero more than that of as many independent ones would.
 */
static double
worth(const double *ratio, int origins, int tested, double distinct)
{
	double squares = 0;
	double of_means = 0;
	int count = 0;
	int means = 0;

	for (int o = 0; o < origins; o++)
	{
		double sum = 0;
		int values = 0;

		for (int s = 0; s < tested; s++)
		{
			double r = ratio[(size_t) o * (size_t) tested + (size_t) s];

			if (!isfinite(r))
				continue;
			sum += r;
			squares += r * r;
			values++;
		}
		if (values > 0)
		{
			of_means += sum / values * (sum / values);
			means++;
		}
		count += values;
	}
	if (count == 0 || of_means <= 0)
		return 1;
	distinct *= (double) means / origins;
	return fmax(distinct, fmin(count, distinct * (squares / count) / (of_means / means)));
}

/* What the bounds are, as multiples of the usual error, from the errors as such multiples. */
static void
bounds_of(double *ratio, int origins, int tested, double distinct, double level, double *low,
		  double *high)
{
	double independent = worth(ratio, origins, tested, distinct);
	double share = independent / (independent + ENOUGH);
	double widen = (1 + FEW / distinct) * perfopt_student_quantile((1 + level) / 2, independent) /
				   perfopt_normal_quantile((1 + level) / 2);
	int count = 0;
	double either;

	for (int i = 0; i < origins * tested; i++)
		if (isfinite(ratio[i]))
			ratio[count++] = ratio[i];
	perfopt_sort(ratio, count);
	*low = fmin(0, quantile(ratio, count, (1 - level) / 2));
	*high = fmax(0, quantile(ratio, count, (1 + level) / 2));
	for (int i = 0; i < count; i++)
		ratio[i] = fabs(ratio[i]);
	perfopt_sort(ratio, count);
	either = quantile(ratio, count, level);
	*low = widen * (share * *low - (1 - share) * either);
	*high = widen * (share * *high + (1 - share) * either);
}

void
perfopt_forecast_spread(const double *error, int origins, int tested, double distinct, int horizon,
						double level, double *below, double *above, PerfoptArena arena)
{
	double *usual = perfopt_arena_take(&arena, (size_t) tested);
	double *ratio = perfopt_arena_take(&arena, (size_t) tested * (size_t) origins);
	double low = 0;
	double high = 0;

	if (usual_errors(error, origins, tested, usual, arena) > 0)
	{
		for (int i = 0; i < origins * tested; i++)
			ratio[i] = error[i] / usual[i % tested];
		bounds_of(ratio, origins, tested, distinct, level, &low, &high);
	}
	for (int s = 0; s < horizon; s++)
	{
		double size = s < tested ? usual[s] : usual[tested - 1] * sqrt((s + 1.0) / tested);

		below[s] = low * size;
		above[s] = high * size;
	}
}

void
perfopt_forecast_spread_walk(const double *x, int n, int season, int horizon, double level,
							 double *below, double *above)
{
	int lag = season > 0 && season < n - 1 ? season : 1;
	double squares = 0;
	double wide;

	for (int i = lag; i < n; i++)
		squares += (x[i] - x[i - lag]) * (x[i] - x[i - lag]);
	wide = sqrt(squares / (n - lag)) * perfopt_student_quantile((1 + level) / 2, n - lag);
	for (int s = 0; s < horizon; s++)
	{
		int cycle = s / lag;

		above[s] = wide * sqrt(1.0 + cycle);
		below[s] = -above[s];
	}
}
