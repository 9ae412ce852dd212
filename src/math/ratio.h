/*
 * ratio.h
 *	  Share of a total, with its confidence interval, from batches of observations.
 *
 * Shares of DB time come as one (part, total) pair a collection cycle.  The share is the ratio
 * estimator sum(part) / sum(total); its variance is estimated from the batches' residuals
 * part - share * total (Cochran, Sampling Techniques, 3rd ed. 1977, section 2.11, eq. 2.45
 * without finite population correction), and the interval uses Student's t with batches - 1
 * degrees of freedom.
 *
 * Neighbouring cycles are correlated, which makes such an interval too narrow.  The remedy is that
 * of batch means (Schmeiser, Operations Research 30(3), 1982: 10 to 30 batches suffice): more
 * than PERFOPT_RATIO_MAX_BATCHES cycles are first added up into that many runs of neighbours.
 *
 * Pure C: no PostgreSQL, no allocation.
 */
#ifndef PERFOPT_RATIO_H
#define PERFOPT_RATIO_H

#define PERFOPT_RATIO_MAX_BATCHES 30

typedef struct PerfoptRatio
{
	double share; /* 0..1; NaN when the total is not positive */
	double low;   /* bounds of the interval, clamped to 0..1 */
	double high;
} PerfoptRatio;

/*
 * n pairs in order of time; `level` is the confidence, e.g. 0.95.  Pairs that are not finite are
 * left out.  low and high are NaN with fewer than two pairs, or when level is not within 0..1.
 */
extern PerfoptRatio perfopt_ratio(const double *part, const double *total, int n, double level);

#endif /* PERFOPT_RATIO_H */
