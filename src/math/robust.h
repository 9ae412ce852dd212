/*
 * robust.h
 *	  Median, and a straight line through points some of which may be far off.
 *
 * The slope is Theil's and Sen's: the median of the slopes of all pairs of points with different x.
 * Its interval is Sen's (Journal of the American Statistical Association 63, 1968): from the k-th
 * smallest to the k-th greatest of these N slopes, where
 *
 *		k = floor((N + 1 - z sigma) / 2),		z = normal quantile of (1 + level) / 2
 *
 * and sigma^2 is the variance of Kendall's S, with ties in x and in y (Kendall, Rank Correlation
 * Methods, 4th ed. 1970).  The 1 is the continuity correction: S moves in steps of 2.  With few
 * points the interval is a little too wide rather than too narrow (5 to 10 points at 95 % hold the
 * truth in 95.3 to 98.3 % of cases).  Points that resemble their neighbours make it too narrow: take
 * means of runs of neighbours first, as in ratio.h.
 *
 * Pure C: no PostgreSQL, no allocation: scratch memory is the caller's.
 */
#ifndef PERFOPT_ROBUST_H
#define PERFOPT_ROBUST_H

#include <stddef.h>

/* How many doubles perfopt_theil_sen() wants as scratch: enough for each pair of n points. */
#define PERFOPT_THEIL_SEN_SCRATCH(n) ((size_t) (n) * (size_t) (n) / 2)

typedef struct PerfoptTrend
{
	int n;        /* points used */
	double slope; /* NaN when no two points differ in x */
	double low;   /* bounds of its interval; -infinity and infinity when there are too few points */
	double high;  /* for the level; NaN when level is not within (0, 1) or slope is NaN */
} PerfoptTrend;

/* Sorts in ascending order; there must be no NaN. */
extern void perfopt_sort(double *v, int n);

/* Reorders v.  NaNs are left out; NaN when nothing else is there. */
extern double perfopt_median(double *v, int n);

/*
 * n points in any order; those with a coordinate that is not finite are left out.  scratch has room
 * for PERFOPT_THEIL_SEN_SCRATCH(n) doubles.  Time and memory grow as n^2, so n should be hundreds.
 */
extern PerfoptTrend perfopt_theil_sen(const double *x, const double *y, int n, double level,
									  double *scratch);

#endif /* PERFOPT_ROBUST_H */
