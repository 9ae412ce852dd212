/*
 * changepoint.h
 *	  Where the level of a series changed for good: offline, over the whole of it.
 *
 * For histories of performance: a value a test run, or a value each few seconds.  It is looked for
 * steps from one level to another; a slope is no step, an outlier is none, and a level that always
 * wanders is only left by a step that is great beside the wandering.
 *
 *	1. Outliers become the median of the 15 values around them (Hampel's filter, 4 sigma).
 *	2. The noise's long-run standard deviation is the greater of two: that of a first-order
 *	   autoregression in what the segments leave, s sqrt((1 + rho) / (1 - rho)), and, which sees
 *	   slower wandering too, that of Wu and Zhao (Journal of the Royal Statistical Society B 69, 2007):
 *	   sqrt(L / 2) median |A[i + L] - A[i]| / 0.6745, where A[i] is the mean of the L = sqrt(n / 2)
 *	   values from i on.  A few changes hardly move that median.  Where those that 3 would find with
 *	   twice the first noise alone part more than two fifths of the pairs A[i], A[i + L], it is of the
 *	   others; and in fewer than about 65 values, of the pairs that the best place for a single change
 *	   does not part.
 *	3. The segments with the least sum of squares plus a penalty of b^2 noise^2 for each change, b being
 *	   what the significance asks for in 4 (segments.h).  2 and 3 alternate a few times.
 *	4. Each change must be significant: Mann's and Whitney's U of the segments on both sides, its
 *	   variance raised by the ratio of long-run to plain variance, is a standard normal z, and
 *
 *			p = |z| exp(-z^2 / 2) / sqrt(2 pi) (2 log((1 - h) / h) (1 - 1 / z^2) + 4 / z^2)
 *
 *	   the probability that the greatest of the z of all places exceeds it (Vostrikova 1981; Csorgo,
 *	   Horvath, Limit Theorems in Change-Point Analysis, 1997), where h is the share of
 *	   the series that a segment has at least.  So the significance is that of a series, not of a place.
 *	5. It must matter: the medians of the segments lie at least `min_effect` spreads apart (a spread is
 *	   1.4826 times the median absolute deviation within the two segments) and further than the
 *	   floors.  And it must be abrupt: two levels must explain more of the two segments than a
 *	   straight line does.
 *
 * The least of the changes is dropped until all meet 4 and 5; what was dropped counts as wandering in 2.
 *
 * Series longer than PERFOPT_CHANGEPOINT_GRID values are segmented on a grid of so many places,
 * after which each change is put where it fits best between the places beside its own.  So time grows
 * as n log n: 10,000 values take 80 ms.
 *
 * False alarms in pure noise, and what is found, are measured in docs/math.md.
 *
 * Pure C: no PostgreSQL, no allocation: scratch memory is the caller's.
 */
#ifndef PERFOPT_CHANGEPOINT_H
#define PERFOPT_CHANGEPOINT_H

#include <stddef.h>

#define PERFOPT_CHANGEPOINT_SIGNIFICANCE 0.01
#define PERFOPT_CHANGEPOINT_EFFECT 1.0
#define PERFOPT_CHANGEPOINT_SEGMENT 8 /* values that a segment has at least */
#define PERFOPT_CHANGEPOINT_GRID 4096

/* How many changes n values can have, and how many doubles are wanted as scratch. */
#define PERFOPT_CHANGEPOINT_MOST(n) ((size_t) (n) / PERFOPT_CHANGEPOINT_SEGMENT)
#define PERFOPT_CHANGEPOINT_SCRATCH(n) (6 * ((size_t) (n) + 1))

typedef struct PerfoptChangepointOptions
{
	double significance;     /* within (0, 1); anything else is the default */
	double min_effect;       /* in spreads; below 0 is the default */
	double min_share;        /* floors of a step: a share of the median before it, */
	double min_step;         /* and in the values' own unit; 0 is none */
	void (*interrupt)(void); /* called now and then, and may not return; or NULL */
} PerfoptChangepointOptions;

typedef struct PerfoptChangepoint
{
	int index;          /* 0-based, of the first value of the new segment */
	double before_mean; /* of all values of the segment before, outliers too */
	double after_mean;
	double before_median;
	double after_median;
	double effect; /* distance of the medians in spreads; infinity where nothing varies */
	double p_value;
} PerfoptChangepoint;

/*
 * Finds the changes in n values in order of time; what is not finite is a gap and is skipped.
 * Options may be NULL for the defaults.  changes has room for PERFOPT_CHANGEPOINT_MOST(n) of them,
 * scratch for PERFOPT_CHANGEPOINT_SCRATCH(n) doubles.  Returns how many there are, by rising index;
 * none in fewer than 2 PERFOPT_CHANGEPOINT_SEGMENT values.
 */
extern int perfopt_changepoint_find(const double *v, int n,
									const PerfoptChangepointOptions *options,
									PerfoptChangepoint *changes, double *scratch);

#endif /* PERFOPT_CHANGEPOINT_H */
