/*
 * forecast_simple.c
 *	  Forecasts without a model: the last value, the last season, medians of the last seasons.
 */
#include "math/forecast_private.h"

#include <string.h>

#include "math/robust.h"

#define CYCLES 4 /* of which medians are taken */
#define FEW 16   /* last values of which medians are taken where there is no season */
#define MANY 160

void
perfopt_forecast_last(const PerfoptHistory *h, int horizon, double *out, PerfoptArena arena)
{
	(void) arena;
	for (int i = 0; i < horizon; i++)
		out[i] = h->x[h->n - 1];
}

/* The medians of the values at the same place of the last cycles. */
static void
median_of_cycles(const PerfoptHistory *h, int period, int cycles, int horizon, double *out)
{
	if (cycles > h->n / period)
		cycles = h->n / period;
	for (int i = 0; i < horizon; i++)
	{
		double same[CYCLES];

		if (i >= period)
		{
			out[i] = out[i - period];
			continue;
		}
		for (int c = 0; c < cycles; c++)
			same[c] = h->x[h->n + i - (c + 1) * period];
		out[i] = perfopt_median(same, cycles);
	}
}

static void
median_of_last(const PerfoptHistory *h, int count, int horizon, double *out)
{
	double last[MANY];
	int n = count < h->n ? count : h->n;
	double median;

	memcpy(last, h->x + h->n - n, (size_t) n * sizeof *last);
	median = perfopt_median(last, n);
	for (int i = 0; i < horizon; i++)
		out[i] = median;
}

void
perfopt_forecast_repeat(const PerfoptHistory *h, int horizon, double *out, PerfoptArena arena)
{
	if (h->seasons == 0)
		perfopt_forecast_last(h, horizon, out, arena);
	else
		median_of_cycles(h, h->season[h->seasons - 1], 1, horizon, out);
}

void
perfopt_forecast_short_median(const PerfoptHistory *h, int horizon, double *out, PerfoptArena arena)
{
	(void) arena;
	if (h->seasons == 0)
		median_of_last(h, FEW, horizon, out);
	else
		median_of_cycles(h, h->season[0], CYCLES, horizon, out);
}

void
perfopt_forecast_long_median(const PerfoptHistory *h, int horizon, double *out, PerfoptArena arena)
{
	(void) arena;
	if (h->seasons == 0)
		median_of_last(h, MANY, horizon, out);
	else
		median_of_cycles(h, h->season[h->seasons - 1], CYCLES, horizon, out);
}
