/*
 * fdr.h
 *	  Many p-values at once: adjusted so that a share of false discoveries is kept.
 *
 * The step-up procedure of Benjamini and Hochberg (Journal of the Royal Statistical Society B 57,
 * 1995).  Of m p-values, the adjusted one of the i-th smallest is
 *
 *		min over j >= i of (m / j) p(j),		at most 1
 *
 * Whoever rejects where the adjusted value is at most q has, among what is rejected, an expected
 * share of at most q that should not have been; for independent tests, and for those with positive
 * regression dependence (Benjamini, Yekutieli, Annals of Statistics 29, 2001), which is how several
 * metrics of the same operations hang together.
 *
 * Pure C: no PostgreSQL, no allocation: scratch memory is the caller's.
 */
#ifndef PERFOPT_FDR_H
#define PERFOPT_FDR_H

#include <stddef.h>

/* How many doubles perfopt_fdr_adjust() wants as scratch. */
#define PERFOPT_FDR_SCRATCH(n) (2 * (size_t) (n))

/*
 * Writes n adjusted p-values, in the order of p; adjusted may be p itself.  What is not within 0..1
 * is no test: it becomes NaN and is not counted.
 */
extern void perfopt_fdr_adjust(const double *p, int n, double *adjusted, double *scratch);

#endif /* PERFOPT_FDR_H */
