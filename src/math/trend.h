/*
 * trend.h
 *	  Whether a series rises or falls, how fast, and how much of it repeats each period.
 *
 * The line is Theil's and Sen's (robust.h) through the medians of up to PERFOPT_TREND_BLOCKS runs of
 * neighbours, which is what makes it cheap for a month of samples, and its points nearly independent;
 * shorter series are taken value by value.
 *
 * Whether there is a trend says Mann's and Kendall's S, with its variance for ties (Kendall, Rank
 * Correlation Methods, 4th ed. 1970) times the greater of two factors for autocorrelation in what the
 * line leaves, at least 1:
 *
 *	- 1 + 2 / (n (n - 1) (n - 2)) sum over k of (n - k) (n - k - 1) (n - k - 2) r(k), r being the ranks'
 *	  autocorrelation, of which only values beyond 1.96 / sqrt(n) count (Hamed, Rao, Journal of
 *	  Hydrology 204, 1998), up to the first lag whose does not;
 *	- (1 + rho) / (1 - rho), that of a first-order autoregression, where rho is r(1) without the bias
 *	  that fitting a line gives it, (n r(1) + 2) / (n - 4) (after Kendall, and Marriott and Pope, Biometrika
 *	  41, 1954).
 *
 * The same factor widens Sen's interval of the slope, so that the interval holds 0 just where the
 * trend is not significant.  How often the interval holds the truth is measured in docs/math.md.
 *
 * Strength of seasonality is Hyndman's (Wang, Smith, Hyndman, Data Mining and Knowledge Discovery 13,
 * 2006): 1 - var(residual) / var(season + residual), at least 0, of a classical decomposition: the
 * trend is the moving mean over one period, the season the mean of each phase.  The variance of the
 * residual is divided by its degrees of freedom, so that noise has a strength near 0 however few the
 * periods are.
 *
 * Pure C: no PostgreSQL, no allocation: scratch memory is the caller's.
 */
#ifndef PERFOPT_TREND_H
#define PERFOPT_TREND_H

#include <stddef.h>

#include "math/robust.h"

#define PERFOPT_TREND_BLOCKS 100
#define PERFOPT_TREND_MIN 10 /* values: no trend is told from fewer */

/* How many doubles the functions want as scratch for n values. */
#define PERFOPT_TREND_SCRATCH(n)                         \
	(4 * ((size_t) (n) + 1) + 4 * PERFOPT_TREND_BLOCKS + \
	 PERFOPT_THEIL_SEN_SCRATCH(PERFOPT_TREND_BLOCKS))

typedef struct PerfoptTrendFit
{
	int n;         /* values used; with fewer than PERFOPT_TREND_MIN, all below is NaN or 0 */
	int direction; /* 1 up, -1 down, 0 where p_value is not below 1 - level */
	double slope;  /* in the values' unit per unit of x */
	double low;    /* bounds of its interval, which may be infinite */
	double high;
	double last;     /* the line at the last x */
	double p_value;  /* two-sided, of there being no trend */
	double variance; /* the factor for autocorrelation, at least 1 */
} PerfoptTrendFit;

/*
 * The line through n values in order of x; x may be NULL for 0, 1, 2, ...  Where either is not finite
 * is a gap.  With a period of more than 1, the values are evenly spaced, and the season is taken out
 * first where there are three periods or more.
 */
extern PerfoptTrendFit perfopt_trend_fit(const double *x, const double *y, int n, int period,
										 double level, double *scratch);

/*
 * Strength of the season of `period` values, from 0 to 1; gaps are NaN.  NaN with a period below 2, with
 * fewer than three periods, or where nothing varies.
 */
extern double perfopt_trend_seasonality(const double *y, int n, int period, double *scratch);

#endif /* PERFOPT_TREND_H */
