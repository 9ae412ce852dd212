/*
 * rankci.h
 *	  Between which two of the sorted values a percentile lies, whatever the distribution.
 *
 * Of n independent values, the number B that are at most the true q-quantile is binomial (n, q), so
 * that quantile lies between the values at ranks `low` and `high` with at least the probability
 * `level`, where low is the greatest rank with P(B < low) <= (1 - level) / 2 and high the least with
 * P(B >= high) <= (1 - level) / 2 (Conover, Practical Nonparametric Statistics, 3rd ed. 1999,
 * section 3.2).  Ties among the values only raise that probability.
 *
 * The probabilities are exact while n q (1 - q) is at most PERFOPT_RANK_EXACT, and beyond that
 * normal with Cornish's and Fisher's term for skewness, which is a rank or so off.
 *
 * Values that resemble their neighbours, as latencies do, hold less than n independent ones would:
 * the interval is then too narrow.
 *
 * Pure C: no PostgreSQL, no allocation.
 */
#ifndef PERFOPT_RANKCI_H
#define PERFOPT_RANKCI_H

#include <stdbool.h>
#include <stdint.h>

#define PERFOPT_RANK_EXACT 1e6

/*
 * Ranks are 1 to n; 0 stands for no lower bound and n + 1 for no upper bound.  False unless there
 * are both, which takes 6 values for a median at 95 %, 72 for a p95 and 368 for a p99; and, with
 * neither, when n is not within 1 to 2^53 or when q or level is not within (0, 1).  Levels nearer to
 * 1 than 1e-12 are beyond the arithmetic.
 */
extern bool perfopt_rank_interval(int64_t n, double q, double level, int64_t *low, int64_t *high);

#endif /* PERFOPT_RANKCI_H */
