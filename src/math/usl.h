/*
 * usl.h
 *	  Gunther's Universal Scalability Law, fitted to throughputs at several levels of concurrency.
 *
 *		X(N) = lambda N / (1 + sigma (N - 1) + kappa N (N - 1))
 *
 * (Gunther, Guerrilla Capacity Planning, 2007, chapter 4): lambda is the throughput of one, sigma the
 * share of work that waits for what is serial (contention), kappa what it costs to keep pairs
 * coherent (crosstalk).  With kappa > 0 throughput has a peak, at N = sqrt((1 - sigma) / kappa).
 *
 * Least squares of X with sigma, kappa >= 0.  N / X is linear in 1 / lambda, sigma / lambda and
 * kappa / lambda; that fit, weighted by how an error of X counts in it, is where Levenberg's and
 * Marquardt's method starts.  Where the best of all has a negative coefficient, the best with that
 * one at zero is taken.
 *
 * Pure C: no PostgreSQL, no allocation.
 */
#ifndef PERFOPT_USL_H
#define PERFOPT_USL_H

#include <stdbool.h>

typedef struct PerfoptUsl
{
	double lambda;
	double sigma;
	double kappa;
	double r2; /* share of the variance of X that the law explains; NaN when X is always the same */
	double peak_n; /* where X(N) is greatest, at least 1; infinity when it only rises */
	double peak_x; /* X there; infinity when it rises without bound */
} PerfoptUsl;

/*
 * n pairs in any order.  Pairs with a concurrency below 1, a negative throughput, or anything that
 * is not finite are left out.  False, with all NaN, when fewer than 4 different concurrencies are
 * left, since the law has three parameters, when all throughputs are zero, or when numbers are so
 * great or small that squares of them are not doubles.
 */
extern bool perfopt_usl_fit(const double *concurrency, const double *throughput, int n,
							PerfoptUsl *usl);

/* X(N) of a fitted law. */
extern double perfopt_usl_throughput(const PerfoptUsl *usl, double concurrency);

#endif /* PERFOPT_USL_H */
