/*
 * powerfit.h
 *	  How something grows with something else: the exponent b of y = a x^b, with its interval.
 *
 * A straight line of log y over log x by least squares; the interval is b +- t(n - 2) times its
 * standard error (Draper, Smith, Applied Regression Analysis, 3rd ed. 1998, sections 1.3 and 1.4).
 * So errors are taken to be relative, of the same size everywhere.  An exponent of 1 is growth in
 * proportion, 2 that of each with each; n log n looks like 1.1 or so over the usual ranges.
 *
 * Pure C: no PostgreSQL, no allocation.
 */
#ifndef PERFOPT_POWERFIT_H
#define PERFOPT_POWERFIT_H

#include <stdbool.h>

typedef struct PerfoptPower
{
	int n;           /* pairs used */
	double factor;   /* a */
	double exponent; /* b */
	double low; /* bounds of b's interval; NaN with two pairs or when level is not within (0, 1) */
	double high;
	double
		r2; /* share of the variance of log y that log x explains; NaN when y is always the same */
} PerfoptPower;

/*
 * n pairs in any order; those that are not both positive and finite are left out.  False, with all
 * but n NaN, when fewer than two different x are left.
 */
extern bool perfopt_power_fit(const double *x, const double *y, int n, double level,
							  PerfoptPower *power);

#endif /* PERFOPT_POWERFIT_H */
