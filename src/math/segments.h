/*
 * segments.h
 *	  A series in segments of constant mean: those with the least sum of squares, plus a penalty each.
 *
 * Exact, by dynamic programming over the last segment (optimal partitioning: Jackson et al., IEEE Signal
 * Processing Letters 12, 2005).  Segments begin at multiples of `grid` and have `least` values or
 * more, so time grows as (n / grid)^2: some 10 ms for 4,096 places.
 *
 * Series are given as running sums: sum[i] is that of the first i values, sum[0] = 0.  What digits a sum
 * of n values loses is lost here, so the values should be near 0.
 *
 * Pure C: no PostgreSQL, no allocation: memory is the caller's.
 */
#ifndef PERFOPT_SEGMENTS_H
#define PERFOPT_SEGMENTS_H

/* By how much the mean of the values from begin to before end makes the sum of their squares less. */
extern double perfopt_segments_gain(const double *sum, int begin, int end);

/*
 * Returns how many segments begin behind the first, and writes their first indexes to `place` (as
 * doubles, which hold them exactly).  place and from have room for n + 1 doubles each.
 * interrupt is called now and then and may not return; or it is NULL.
 */
extern int perfopt_segments_find(const double *sum, int n, int grid, int least, double penalty,
								 void (*interrupt)(void), double *place, double *from);

/*
 * The best place for a change between begin and end with `least` values or more on either side, at
 * most `reach` away from `at`; `at` itself where there is none.
 */
extern int perfopt_segments_settle(const double *sum, int begin, int at, int end, int least,
								   int reach);

#endif /* PERFOPT_SEGMENTS_H */
