/*
 * season.h
 *	  The periods with which a series repeats itself: days, weeks, a job every five minutes.
 *
 * Candidates are the peaks of the autocorrelation (Vlachos, Yu, Castelli, SIAM Data Mining 2005) of
 * the series without its trend.  A candidate p proves itself by prediction: the mean of the values
 * at the same place of the other cycles must explain
 *
 *		strength(p) = 1 - sum (x[t] - mean of the others at t mod p)^2 / sum x[t]^2
 *
 * of what is left when a moving average over p values is taken out.  Of noise, and of a random walk,
 * whose autocorrelation has peaks as well, this is below zero on average: what a pattern of p means
 * gains by chance in its own cycles it loses in the others.  With few cycles chance has more room,
 * so strength must exceed 0.08 + 4 / cycles^2, or 0.75, and half of that for the changes over an eighth of the
 * period, which wander less.  Of 200 series of noise none then has a season, of
 * random walks 5, of noise that lasts (AR 0.9) 3.
 *
 * Periods are tried from short to long, each on what those before it left, so that a week is found
 * in what days do not explain.  A period less than five times as long as an earlier one takes its
 * place if it is the stronger one on the whole series: it holds that pattern (12 hours in a day).
 * Noise moves peaks: among periods within 4 %, those that people count in, multiples of 12 and of
 * shorter seasons, are preferred.
 *
 * A season needs two whole cycles.  Gaps (NaN) are bridged by straight lines; outliers are cut to
 * three robust standard deviations.  86,400 values take about 50 ms.
 *
 * Pure C: no PostgreSQL, no allocation: scratch memory is the caller's.
 */
#ifndef PERFOPT_SEASON_H
#define PERFOPT_SEASON_H

#include <stdbool.h>
#include <stddef.h>

#define PERFOPT_SEASON_MAX 3
#define PERFOPT_SEASON_LEAST 2 /* shortest period, in values */

typedef struct PerfoptSeason
{
	int period;      /* in values */
	double strength; /* share of the variance explained, as above: up to 1 */
} PerfoptSeason;

/* How many doubles perfopt_season_find() wants as scratch. */
extern size_t perfopt_season_scratch(int n);

/*
 * Writes up to PERFOPT_SEASON_MAX seasons, from short to long, and returns their number.  Values that
 * are not finite are gaps.
 */
extern int perfopt_season_find(const double *v, int n, PerfoptSeason *found, double *scratch);

/* The share that one period explains, as above; scratch as for perfopt_season_find(). */
extern double perfopt_season_strength(const double *v, int n, int period, double *scratch);

/*
 * Moving average over one period (at most n), which takes a season of that length out: of even
 * periods, the values at both ends of the window count half.  At the ends of the series the nearest
 * whole window counts.  There must be no gaps.
 */
extern void perfopt_season_trend(const double *v, int n, int period, double *trend);

#endif /* PERFOPT_SEASON_H */
