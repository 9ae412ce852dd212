/*
 * forecast_private.h
 *	  What the files of the forecast share: scratch memory and the methods that are combined.
 */
#ifndef PERFOPT_FORECAST_PRIVATE_H
#define PERFOPT_FORECAST_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>

#include "math/forecast.h"

/*
 * Scratch memory.  Handed over by value: what a function takes is free again when it returns.  Its
 * size is computed beforehand (perfopt_forecast_scratch), so running out is a mistake in there.
 */
typedef struct PerfoptArena
{
	char *at;
} PerfoptArena;

static inline double *
perfopt_arena_take(PerfoptArena *arena, size_t doubles)
{
	double *taken = (double *) (void *) arena->at;

	arena->at += doubles * sizeof(double);
	return taken;
}

/* What a method is given: values up to some moment, without gaps, and the seasons from short to long. */
typedef struct PerfoptHistory
{
	const double *x;
	int n;
	int season[PERFOPT_SEASON_MAX];
	int seasons;
} PerfoptHistory;

/* Forecasts `horizon` values into out. */
typedef void (*PerfoptMethod)(const PerfoptHistory *h, int horizon, double *out,
							  PerfoptArena arena);

/* forecast_ar.c */
extern void perfopt_forecast_ar(const PerfoptHistory *h, int horizon, double *out,
								PerfoptArena arena);
extern void perfopt_forecast_ar_seasonal(const PerfoptHistory *h, int horizon, double *out,
										 PerfoptArena arena);

/* forecast_smooth.c */
extern void perfopt_forecast_smooth(const PerfoptHistory *h, int horizon, double *out,
									PerfoptArena arena);

/* forecast_decompose.c */
extern void perfopt_forecast_ses(const PerfoptHistory *h, int horizon, double *out,
								 PerfoptArena arena);
extern void perfopt_forecast_theta(const PerfoptHistory *h, int horizon, double *out,
								   PerfoptArena arena);
extern void perfopt_forecast_damped(const PerfoptHistory *h, int horizon, double *out,
									PerfoptArena arena);

/* forecast_simple.c */
extern void perfopt_forecast_last(const PerfoptHistory *h, int horizon, double *out,
								  PerfoptArena arena);
extern void perfopt_forecast_repeat(const PerfoptHistory *h, int horizon, double *out,
									PerfoptArena arena);
extern void perfopt_forecast_short_median(const PerfoptHistory *h, int horizon, double *out,
										  PerfoptArena arena);
extern void perfopt_forecast_long_median(const PerfoptHistory *h, int horizon, double *out,
										 PerfoptArena arena);

/* The series in runs of `factor` values, and what is needed to come back from their means. */
typedef struct PerfoptRuns
{
	const double *fine; /* n values without gaps */
	int n;
	int factor;
	double *mean; /* of each run, the last of which ends with the last value; without gaps */
	int runs;
	int season;    /* in values: what is finer is looked for within it; 0: nowhere */
	double repeat; /* share of what is finer that repeats */
	double keep;   /* share of a value's distance from the rest that the next one has */
} PerfoptRuns;

/* forecast_prepare.c */

/* Fills what is not finite, from neighbouring cycles or by straight lines.  x[0] must be finite. */
extern void perfopt_forecast_fill(double *x, int n, int season);

/* Takes out spikes of up to three values that the neighbouring cycles do not have. */
extern void perfopt_forecast_clean(double *x, int n, int season, PerfoptArena arena);

/* Means of the finite values of each run, NaN where there are none. */
extern void perfopt_forecast_average(const double *v, int n, int factor, double *mean);

/* Computes season, repeat and keep. */
extern void perfopt_forecast_learn_detail(PerfoptRuns *r, const int *season, int seasons,
										  PerfoptArena arena);

/*
 * From forecast means of the runs from `known` on to the single values behind that moment: `means` of
 * them, `steps` values.
 */
extern void perfopt_forecast_expand(const PerfoptRuns *r, int known, const double *future,
									int means, int steps, double *out);

/* forecast_combine.c */

/*
 * Weights that fall with the error, from error[method][origin], but for one origin (-1: all).  A method
 * with an error that is not finite has none.
 */
extern void perfopt_forecast_weigh(double (*error)[PERFOPT_FORECAST_ORIGINS], int origins,
								   int without, double *weight);

/* The mean of the middle part of the weight. */
extern double perfopt_forecast_middle(const double *value, const double *weight);

/* forecast_interval.c */

/*
 * How far the truth may be from the forecast, from errors (truth less forecast, NaN where unknown) of
 * `tested` steps from each origin, which overlap so that they are worth `distinct` ones: below (not above zero) and above (not below it) for each step.
 */
extern void perfopt_forecast_spread(const double *error, int origins, int tested, double distinct,
									int horizon, double level, double *below, double *above,
									PerfoptArena arena);

/* The same of a random walk, of whose n values x the last one, or the last season, goes on. */
extern void perfopt_forecast_spread_walk(const double *x, int n, int season, int horizon,
										 double level, double *below, double *above);

#endif /* PERFOPT_FORECAST_PRIVATE_H */
