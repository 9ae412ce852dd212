/*
 * forecast_smooth.c
 *	  Exponential smoothing: with several seasons at once, and after their decomposition.
 *
 * With several seasons: Taylor's additive recursion with an autoregressive residual (Journal of the
 * Operational Research Society 54, 2003), for any number of seasons:
 *
 *		f[t] = level + sum over i of s_i[t mod p_i] + rho e0[t - 1],	e0 = x - level - sum of s_i
 *		level += alpha (x - f),		s_i[t mod p_i] += gamma_i (x - f)
 *
 * Decomposition is the classical one, season by season from short to long.  What it leaves is
 * forecast by simple smoothing, by Theta (Assimakopoulos, Nikolopoulos, International Journal of
 * Forecasting 16, 2000, in Hyndman's and Billah's form: simple smoothing with half the slope of the
 * straight line) or with a damped trend (Gardner, McKenzie, Management Science 31, 1985).
 */
#include "math/forecast_private.h"

#include <math.h>
#include <string.h>

#define MAX_PARAMETERS (2 + PERFOPT_SEASON_MAX)
#define GREATEST 0.995
#define FIRST_STEP 0.08
#define LAST_STEP 0.004
#define START_CYCLES 3

/* alpha, rho and a gamma for each season */
typedef struct Smoothing
{
	const PerfoptHistory *h;
	double level;                      /* at the start */
	double *start;                     /* the seasons' patterns at the start, one after another */
	double *pattern;                   /* and as they change */
	int first[PERFOPT_SEASON_MAX + 1]; /* where each one's is */
	double parameter[MAX_PARAMETERS];
	int parameters;
} Smoothing;

/* Means over the first few cycles of the longest season, season by season. */
static void
start_values(Smoothing *s, PerfoptArena arena)
{
	const PerfoptHistory *h = s->h;
	int longest = h->seasons > 0 ? h->season[h->seasons - 1] : 1;
	int cycles = h->n / longest < START_CYCLES ? h->n / longest : START_CYCLES;
	int n = h->seasons > 0 ? cycles * longest : (h->n < 10 ? h->n : 10);
	double *left = perfopt_arena_take(&arena, (size_t) n);

	s->level = 0;
	for (int i = 0; i < n; i++)
		s->level += h->x[i] / n;
	for (int i = 0; i < n; i++)
		left[i] = h->x[i] - s->level;
	for (int k = 0; k < h->seasons; k++)
	{
		int period = h->season[k];
		double *start = s->start + s->first[k];

		for (int j = 0; j < period; j++)
		{
			double sum = 0;
			int count = 0;

			for (int i = j; i < n; i += period)
			{
				sum += left[i];
				count++;
			}
			start[j] = sum / count;
			for (int i = j; i < n; i += period)
				left[i] -= start[j];
		}
	}
}

/* Mean absolute error one step ahead, and the forecasts when out is given. */
static double
run(Smoothing *s, int horizon, double *out)
{
	const PerfoptHistory *h = s->h;
	const double *gamma = s->parameter + 2;
	int place[PERFOPT_SEASON_MAX]; /* of each season's value in the patterns */
	int warm = h->seasons > 0 ? h->season[h->seasons - 1] : 1;
	double level = s->level;
	double residual = 0;
	double sum = 0;

	memcpy(place, s->first, sizeof place);
	memcpy(s->pattern, s->start, (size_t) s->first[h->seasons] * sizeof *s->pattern);
	for (int t = 0; t < h->n + (out != NULL ? horizon : 0); t++)
	{
		double expected = level;
		double error;

		for (int k = 0; k < h->seasons; k++)
			expected += s->pattern[place[k]];
		residual *= s->parameter[1];
		if (t < h->n)
		{
			error = h->x[t] - expected - residual;
			residual = h->x[t] - expected;
			level += s->parameter[0] * error;
			for (int k = 0; k < h->seasons; k++)
				s->pattern[place[k]] += gamma[k] * error;
			sum += t >= warm ? fabs(error) : 0;
		}
		else
			out[t - h->n] = expected + residual;
		for (int k = 0; k < h->seasons; k++)
			if (++place[k] == s->first[k + 1])
				place[k] = s->first[k];
	}
	return sum;
}

static void
search_grid(Smoothing *s)
{
	static const double alphas[] = { 0.005, 0.03, 0.2 };
	static const double rhos[] = { 0.0, 0.6, 0.9 };
	static const double gammas[] = { 0.02, 0.1, 0.3 };
	double best[MAX_PARAMETERS] = { 0 };
	double least = HUGE_VAL;

	for (int i = 0; i < 27; i++)
	{
		double error;

		s->parameter[0] = alphas[i % 3];
		s->parameter[1] = rhos[i / 3 % 3];
		for (int k = 2; k < s->parameters; k++)
			s->parameter[k] = gammas[i / 9];
		error = run(s, 0, NULL);
		if (error < least)
		{
			least = error;
			memcpy(best, s->parameter, sizeof best);
		}
	}
	memcpy(s->parameter, best, sizeof best);
}

/* Down along one parameter after the other, with steps that become smaller. */
static void
search_down(Smoothing *s)
{
	double least = run(s, 0, NULL);

	for (double step = FIRST_STEP; step > LAST_STEP;)
	{
		bool better = false;

		for (int i = 0; i < 2 * s->parameters; i++)
		{
			double *p = &s->parameter[i / 2];
			double before = *p;
			double error;

			*p = fmax(0, fmin(GREATEST, before + (i % 2 == 0 ? step : -step)));
			error = *p != before ? run(s, 0, NULL) : HUGE_VAL;
			if (error < least * (1 - 1e-5))
			{
				least = error;
				better = true;
			}
			else
				*p = before;
		}
		if (!better)
			step /= 2;
	}
}

void
perfopt_forecast_smooth(const PerfoptHistory *h, int horizon, double *out, PerfoptArena arena)
{
	Smoothing s = { .h = h, .parameters = 2 + h->seasons };

	for (int k = 0; k < h->seasons; k++)
		s.first[k + 1] = s.first[k] + h->season[k];
	s.start = perfopt_arena_take(&arena, (size_t) s.first[h->seasons] + 1);
	s.pattern = perfopt_arena_take(&arena, (size_t) s.first[h->seasons] + 1);
	start_values(&s, arena);
	search_grid(&s);
	search_down(&s);
	run(&s, horizon, out);
}
