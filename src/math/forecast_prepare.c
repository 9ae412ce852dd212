/*
 * forecast_prepare.c
 *	  Series made fit for the methods: gaps, spikes, runs of values averaged and taken apart again.
 */
#include "math/forecast_private.h"

#include <math.h>
#include <string.h>

#include "math/robust.h"

#define SHORT_GAP 8       /* of a season, the part over which a line is as good as its cycles */
#define NEIGHBOURS 3      /* on each side: their median is what a spike stands out from */
#define SPIKE 8.0         /* robust standard deviations */
#define DETAIL_CYCLES 8   /* of which detail is taken */
#define MEDIAN_WORTH 0.64 /* of a mean: a median of so many normal values is as exact */

/* The mean of the same place in the cycles before and behind; NaN when neither is known. */
static double
neighbouring_cycles(const double *x, int n, int season, int i)
{
	double sum = 0;
	int count = 0;

	if (season > 0 && i >= season && isfinite(x[i - season]))
	{
		sum += x[i - season];
		count++;
	}
	if (season > 0 && i + season < n && isfinite(x[i + season]))
	{
		sum += x[i + season];
		count++;
	}
	return count > 0 ? sum / count : NAN;
}

void
perfopt_forecast_fill(double *x, int n, int season)
{
	for (int from = 0, to; from < n; from = to)
	{
		double before;
		double behind;

		to = from + 1;
		if (isfinite(x[from]))
			continue;
		while (to < n && !isfinite(x[to]))
			to++;
		before = x[from - 1];
		behind = to < n ? x[to] : before;
		for (int i = from; i < to; i++)
		{
			double cycles = neighbouring_cycles(x, n, season, i);

			x[i] = isfinite(cycles) && (to == n || to - from > season / SHORT_GAP)
					   ? cycles
					   : before + (behind - before) * (i - from + 1) / (to - from + 1);
		}
	}
}

static double
local_median(const double *x, int n, int i)
{
	double near[2 * NEIGHBOURS + 1];
	int from = i < NEIGHBOURS ? 0 : i - NEIGHBOURS;
	int to = i + NEIGHBOURS < n ? i + NEIGHBOURS + 1 : n;

	memcpy(near, x + from, (size_t) (to - from) * sizeof *near);
	return perfopt_median(near, to - from);
}

void
perfopt_forecast_clean(double *x, int n, int season, PerfoptArena arena)
{
	double *middle = perfopt_arena_take(&arena, (size_t) n);
	double *away = perfopt_arena_take(&arena, (size_t) n);
	double most;

	for (int i = 0; i < n; i++)
	{
		middle[i] = local_median(x, n, i);
		away[i] = fabs(x[i] - middle[i]);
	}
	most = SPIKE * 1.4826 * perfopt_median(away, n);
	if (most == 0)
		return;
	for (int i = 0; i < n; i++)
	{
		bool seasonal = false;

		if (fabs(x[i] - middle[i]) <= most)
			continue;
		for (int side = -1; side <= 1 && season > 0; side += 2)
			for (int j = i + side * season - 1; j <= i + side * season + 1; j++)
				if (j >= 0 && j < n && fabs(x[i] - x[j]) < fabs(x[i] - middle[i]) / 2)
					seasonal = true;
		/* The last values are not judged: what follows may bear them out. */
		if (!seasonal && i + NEIGHBOURS < n)
			x[i] = middle[i];
	}
}

void
perfopt_forecast_average(const double *v, int n, int factor, double *mean)
{
	int offset = n % factor;

	for (int r = 0; r < n / factor; r++)
	{
		double sum = 0;
		int count = 0;

		for (int i = offset + r * factor; i < offset + (r + 1) * factor; i++)
			if (isfinite(v[i]))
			{
				sum += v[i];
				count++;
			}
		mean[r] = count > 0 ? sum / count : NAN;
	}
}

/* Of runs, on straight lines between their middles: the height at value i, counted from the first run. */
static double
between_means(const double *mean, int runs, int factor, int i)
{
	double at = (i + 0.5) / factor - 0.5;
	int left = (int) floor(at);

	if (left < 0)
		return mean[0];
	if (left >= runs - 1)
		return mean[runs - 1];
	return mean[left] + (at - left) * (mean[left + 1] - mean[left]);
}

void
perfopt_forecast_learn_detail(PerfoptRuns *r, const int *season, int seasons, PerfoptArena arena)
{
	int n = r->runs * r->factor;
	const double *fine = r->fine + r->n - n;
	double *detail;
	double products = 0;
	double squares = 0;
	double strength;

	r->season = 0;
	r->repeat = 0;
	r->keep = 0;
	if (r->factor == 1)
		return;
	detail = perfopt_arena_take(&arena, (size_t) n);
	for (int i = 0; i < n; i++)
		detail[i] = fine[i] - between_means(r->mean, r->runs, r->factor, i);
	for (int i = 1; i < n; i++)
	{
		products += detail[i] * detail[i - 1];
		squares += detail[i] * detail[i];
	}
	r->keep = squares > 0 ? fmax(0, products / squares) : 0;
	for (int k = 0; k < seasons; k++)
		if (season[k] <= n / 3)
			r->season = season[k];
	if (r->season == 0)
		return;
	/* The share of signal, and what of a median over cycles is signal then (James, Stein). */
	strength = perfopt_season_strength(detail, n, r->season, (double *) (void *) arena.at);
	if (strength > 0)
		r->repeat = strength / (strength + (1 - strength) / (MEDIAN_WORTH * DETAIL_CYCLES));
}

/* What value `at` has beside the runs' means, by what the same place had in the cycles before. */
static double
detail_of(const PerfoptRuns *r, int known, int at)
{
	const double *fine = r->fine + r->n % r->factor;
	double same[DETAIL_CYCLES];
	int count = 0;
	int last = known * r->factor;

	if (r->repeat == 0)
		return 0;
	for (int i = at >= last ? at - (at - last) / r->season * r->season - r->season : at - r->season;
		 i >= 0 && count < DETAIL_CYCLES; i -= r->season)
		same[count++] = fine[i] - between_means(r->mean, known, r->factor, i);
	return count > 0 ? r->repeat * perfopt_median(same, count) : 0;
}

void
perfopt_forecast_expand(const PerfoptRuns *r, int known, const double *future, int means, int steps,
						double *out)
{
	const double *fine = r->fine + r->n % r->factor;
	int f = r->factor;
	int first = known * f;
	double last = r->mean[known - 1];
	double joint[2] = { last, future[0] };
	double residual;

	if (f == 1)
	{
		memcpy(out, future, (size_t) steps * sizeof *out);
		return;
	}
	residual = fine[first - 1] - between_means(joint, 2, f, f - 1) - detail_of(r, known, first - 1);
	for (int i = 0; i < steps; i++)
	{
		double height =
			i < f / 2 ? between_means(joint, 2, f, f + i) : between_means(future, means, f, i);

		residual *= r->keep;
		out[i] = height + detail_of(r, known, first + i) + residual;
	}
}
