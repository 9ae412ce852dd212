/*
 * ranktest.h
 *	  Wilcoxon's signed-rank test of paired differences, with the shift that they estimate.
 *
 * The statistic V is the sum of the ranks of the positive differences among all differences ordered
 * by magnitude (Wilcoxon, Biometrics Bulletin 1, 1945; Hollander, Wolfe, Nonparametric Statistical
 * Methods, 2nd ed. 1999, sections 3.1 to 3.3).
 *
 *	- Differences of zero are dropped, as Wilcoxon did, from the test and from the estimate alike.
 *	- Equal magnitudes share the mean of their ranks.
 *	- The p-value is two-sided.  It is exact for up to PERFOPT_SIGNED_RANK_EXACT differences without
 *	  equal magnitudes; otherwise from the normal approximation, with its variance less
 *	  sum(t^3 - t) / 48 over groups of t equal magnitudes and a continuity correction of 1/2.
 *	- The estimate is that of Hodges and Lehmann: the median of the n (n + 1) / 2 Walsh averages
 *	  (d[i] + d[j]) / 2, i <= j.
 *	- The interval goes from the k-th smallest to the k-th greatest Walsh average, where k is the
 *	  greatest number with P(V <= k - 1) <= (1 - level) / 2: those shifts that the test would not
 *	  reject.  P is exact up to PERFOPT_SIGNED_RANK_EXACT differences and normal beyond.  Equal
 *	  differences only make this closed interval hold the truth more often (Noether, Journal of the
 *	  American Statistical Association 62, 1967).
 *
 * The differences must be independent, so the unit is a pair of runs or of slots, never a
 * transaction, and their distribution symmetric, as that of log ratios in random order is.
 *
 * Walsh averages are never stored: the k-th is found by bisection over the doubles, each step of
 * which counts pairs in one walk over the sorted differences, at most 64 n steps in all.
 *
 * Pure C: no PostgreSQL, no allocation: scratch memory is the caller's.
 */
#ifndef PERFOPT_RANKTEST_H
#define PERFOPT_RANKTEST_H

#include <stdbool.h>

#define PERFOPT_SIGNED_RANK_EXACT 50

typedef struct PerfoptSignedRank
{
	int n_used;       /* differences that are finite and not zero; with none, all below is NaN */
	bool exact;       /* whether the p-value is */
	double statistic; /* V */
	double p_value;
	double estimate;
	/*
	 * Bounds of the interval; -infinity and infinity when there are too few differences for the
	 * level (fewer than 6 at 95 %); NaN when level is not within (0, 1).
	 */
	double low;
	double high;
} PerfoptSignedRank;

/* n differences in any order, those not finite are left out; scratch has room for n doubles. */
extern PerfoptSignedRank perfopt_signed_rank(const double *difference, int n, double level,
											 double *scratch);

#endif /* PERFOPT_RANKTEST_H */
