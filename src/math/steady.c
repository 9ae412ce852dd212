/*
 * steady.c
 *	  See steady.h.
 */
#include "math/steady.h"

#include <math.h>
#include <stdbool.h>
#include <stddef.h>

#include "math/robust.h"
#include "math/student.h"

#define BATCH 5
#define LEAST_BATCHES 6

static int
count_finite(const double *v, int n)
{
	int count = 0;

	for (int i = 0; i < n; i++)
		count += isfinite(v[i]) != 0;
	return count;
}

/* Mean of the finite values; NaN when there are none. */
static double
mean_of(const double *v, int n)
{
	double sum = 0;

	for (int i = 0; i < n; i++)
		if (isfinite(v[i]))
			sum += v[i];
	return sum / count_finite(v, n);
}

int
perfopt_mser5(const double *v, int n)
{
	int batches = n / BATCH;
	int best = 0;
	double least = HUGE_VAL;
	double mean = 0;
	double squares = 0;
	double used = 0;

	/* From the end, so that each d adds one batch to what is known (Welford's recurrence). */
	for (int d = batches - 1; d >= 0; d--)
	{
		double value = mean_of(v + d * BATCH, BATCH);
		double from_mean = value - mean;

		if (isnan(value))
			continue;
		used++;
		mean += from_mean / used;
		squares += from_mean * (value - mean);
		/* of equals the earliest, which keeps most */
		if (d <= batches / 2 && used >= LEAST_BATCHES && squares / (used * used) <= least)
		{
			least = squares / (used * used);
			best = d;
		}
	}
	return used < LEAST_BATCHES ? -1 : best * BATCH;
}

/* Means of up to PERFOPT_STEADY_BATCHES runs of neighbours, an even number; NaN without a value. */
static int
make_batches(const double *v, int n, double *mean)
{
	int batches = n / BATCH;

	batches = batches < PERFOPT_STEADY_BATCHES ? batches / 2 * 2 : PERFOPT_STEADY_BATCHES;
	for (int b = 0; b < batches; b++)
	{
		int from = (int) ((long long) n * b / batches);
		int to = (int) ((long long) n * (b + 1) / batches);

		mean[b] = mean_of(v + from, to - from);
	}
	return batches;
}

/* Whether all between low and high lies beyond the margin, up or down. */
static bool
beyond(double low, double high, double margin)
{
	return low > margin || high < -margin;
}

static bool
drifts(const double *mean, int n, double margin, double *drift)
{
	double time[PERFOPT_STEADY_BATCHES];
	double sorted[PERFOPT_STEADY_BATCHES];
	double scratch[PERFOPT_THEIL_SEN_SCRATCH(PERFOPT_STEADY_BATCHES)];
	PerfoptTrend trend;
	double size;

	for (int i = 0; i < n; i++)
	{
		time[i] = (double) i / n;
		sorted[i] = mean[i];
	}
	size = fabs(perfopt_median(sorted, n));
	trend = perfopt_theil_sen(time, mean, n, PERFOPT_STEADY_LEVEL, scratch);
	*drift = size > 0 ? trend.slope / size : NAN;
	return beyond(trend.low, trend.high, margin * size);
}

static bool
halves_differ(const double *mean, int n, double margin, double *difference)
{
	int half = n / 2;
	double first = mean_of(mean, half);
	double second = mean_of(mean + half, half);
	int nfirst = count_finite(mean, half);
	int nsecond = count_finite(mean + half, half);
	double squares = 0;
	double width;

	for (int i = 0; i < n; i++)
	{
		double from_mean = mean[i] - (i < half ? first : second);

		if (isfinite(mean[i]))
			squares += from_mean * from_mean;
	}
	width = perfopt_student_quantile((1 + PERFOPT_STEADY_LEVEL) / 2, nfirst + nsecond - 2) *
			sqrt(squares / (nfirst + nsecond - 2) * (1.0 / nfirst + 1.0 / nsecond));
	*difference = first != 0 ? (second - first) / fabs(first) : NAN;
	return beyond(second - first - width, second - first + width, margin * fabs(first));
}

static PerfoptSteadyVerdict
judge(const double *v, int n, double margin, PerfoptDrift *drift)
{
	double mean[PERFOPT_STEADY_BATCHES];
	int batches = make_batches(v, n, mean);
	int half = batches / 2;
	bool slope;
	bool halves;

	if (count_finite(mean, batches) < LEAST_BATCHES || count_finite(mean, half) < 2 ||
		count_finite(mean + half, half) < 2)
		return PERFOPT_STEADY_TOO_SHORT;
	slope = drifts(mean, batches, margin, &drift->slope);
	halves = halves_differ(mean, batches, margin, &drift->halves);
	return slope || halves ? PERFOPT_NO_STEADY_STATE : PERFOPT_STEADY;
}

/* Both are looked at even where one is enough, for what is reported. */
PerfoptSteady
perfopt_steady(const double *throughput, const double *p95, int n)
{
	PerfoptSteady steady = { PERFOPT_STEADY_TOO_SHORT, 0, { NAN, NAN }, { NAN, NAN } };
	int cut = perfopt_mser5(throughput, n);
	int p95_cut = p95 != NULL ? perfopt_mser5(p95, n) : 0;
	PerfoptSteadyVerdict p95_verdict = PERFOPT_STEADY;

	if (n < PERFOPT_STEADY_MIN || cut < 0 || p95_cut < 0)
		return steady;
	steady.from = cut > p95_cut ? cut : p95_cut;
	steady.verdict = judge(throughput + steady.from, n - steady.from,
						   PERFOPT_STEADY_THROUGHPUT_MARGIN, &steady.throughput);
	if (p95 != NULL)
		p95_verdict =
			judge(p95 + steady.from, n - steady.from, PERFOPT_STEADY_P95_MARGIN, &steady.p95);
	if (p95_verdict > steady.verdict)
		steady.verdict = p95_verdict;
	return steady;
}
