/*
 * forecast_decompose.c
 *	  The classical decomposition, and smoothing of what it leaves.
 */
#include "math/forecast_private.h"

#include <math.h>
#include <string.h>

#define FADE 0.8 /* weight of a cycle beside the one after it */

/* What is left without seasons, and what they will add to each forecast. */
typedef struct Decomposition
{
	double *rest;     /* n */
	double *seasonal; /* horizon */
} Decomposition;

/* The pattern of one period: means over the cycles, of which later ones count more; sums to zero. */
static void
pattern_of(const double *x, const double *trend, int n, int period, double *pattern)
{
	double mean = 0;

	for (int j = 0; j < period; j++)
	{
		double sum = 0;
		double weights = 0;

		for (int i = j; i < n; i += period)
		{
			sum = FADE * sum + (x[i] - trend[i]);
			weights = FADE * weights + 1;
		}
		pattern[j] = sum / weights;
		mean += pattern[j] / period;
	}
	for (int j = 0; j < period; j++)
		pattern[j] -= mean;
}

static void
decompose(const PerfoptHistory *h, int horizon, Decomposition *d, PerfoptArena *arena)
{
	PerfoptArena rest;
	double *trend;

	d->rest = perfopt_arena_take(arena, (size_t) h->n);
	d->seasonal = perfopt_arena_take(arena, (size_t) horizon);
	rest = *arena;
	trend = perfopt_arena_take(&rest, (size_t) h->n);
	memcpy(d->rest, h->x, (size_t) h->n * sizeof(double));
	memset(d->seasonal, 0, (size_t) horizon * sizeof(double));
	for (int k = 0; k < h->seasons; k++)
	{
		int period = h->season[k];
		double *pattern = trend + h->n;

		perfopt_season_trend(d->rest, h->n, period, trend);
		pattern_of(d->rest, trend, h->n, period, pattern);
		for (int i = 0; i < h->n; i++)
			d->rest[i] -= pattern[i % period];
		for (int i = 0; i < horizon; i++)
			d->seasonal[i] += pattern[(h->n + i) % period];
	}
}

/* Simple smoothing: the last level, with the alpha whose squared errors are least. */
static double
smoothed_level(const double *x, int n)
{
	static const double alphas[] = { 0.001, 0.01, 0.02, 0.05, 0.1, 0.2,  0.3,  0.4,
									 0.5,   0.6,  0.7,  0.8,  0.9, 0.95, 0.999 };
	double best = x[n - 1];
	double least = HUGE_VAL;

	for (size_t a = 0; a < sizeof alphas / sizeof alphas[0]; a++)
	{
		int first = n < 5 ? n : 5;
		double level = 0;
		double sum = 0;

		for (int i = 0; i < first; i++)
			level += x[i] / first;
		for (int i = 0; i < n; i++)
		{
			double error = x[i] - level;

			level += alphas[a] * error;
			sum += error * error;
		}
		if (sum < least)
		{
			least = sum;
			best = level;
		}
	}
	return best;
}

void
perfopt_forecast_ses(const PerfoptHistory *h, int horizon, double *out, PerfoptArena arena)
{
	Decomposition d;
	double level;

	decompose(h, horizon, &d, &arena);
	level = smoothed_level(d.rest, h->n);
	for (int i = 0; i < horizon; i++)
		out[i] = level + d.seasonal[i];
}

/* Half of the line that is steeper by as much as the straight line is, and half the straight line. */
void
perfopt_forecast_theta(const PerfoptHistory *h, int horizon, double *out, PerfoptArena arena)
{
	Decomposition d;
	double middle = (h->n - 1) / 2.0;
	double mean = 0;
	double slope = 0;
	double squares = 0;
	double level;

	decompose(h, horizon, &d, &arena);
	for (int i = 0; i < h->n; i++)
	{
		mean += d.rest[i] / h->n;
		slope += (i - middle) * d.rest[i];
		squares += (i - middle) * (i - middle);
	}
	slope = squares > 0 ? slope / squares : 0;
	for (int i = 0; i < h->n; i++)
		d.rest[i] = 2 * d.rest[i] - (mean + slope * (i - middle));
	level = smoothed_level(d.rest, h->n);
	for (int i = 0; i < horizon; i++)
		out[i] = (level + mean + slope * (h->n + i - middle)) / 2 + d.seasonal[i];
}

typedef struct Damped
{
	double alpha;
	double beta;
	double phi;
	double level;
	double trend;
} Damped;

static double
run_damped(const double *x, int n, Damped *d)
{
	double sum = 0;

	d->level = x[0];
	d->trend = 0;
	for (int i = 0; i < n; i++)
	{
		double expected = d->level + d->phi * d->trend;
		double error = x[i] - expected;

		sum += error * error;
		d->level = expected + d->alpha * error;
		d->trend = d->phi * d->trend + d->alpha * d->beta * error;
	}
	return sum;
}

void
perfopt_forecast_damped(const PerfoptHistory *h, int horizon, double *out, PerfoptArena arena)
{
	static const double alphas[] = { 0.02, 0.1, 0.25, 0.4, 0.6, 0.8, 0.95 };
	static const double betas[] = { 0.01, 0.05, 0.15, 0.4 };
	static const double phis[] = { 0.8, 0.9, 0.95, 0.98 };
	Decomposition d;
	Damped best = { 0 };
	double least = HUGE_VAL;
	double climb = 0;

	decompose(h, horizon, &d, &arena);
	for (int i = 0; i < 7 * 4 * 4; i++)
	{
		Damped one = { alphas[i % 7], betas[i / 7 % 4], phis[i / 28], 0, 0 };
		double sum = run_damped(d.rest, h->n, &one);

		if (sum < least)
		{
			least = sum;
			best = one;
		}
	}
	for (int i = 0; i < horizon; i++)
	{
		best.trend *= best.phi;
		climb += best.trend;
		out[i] = best.level + climb + d.seasonal[i];
	}
}
