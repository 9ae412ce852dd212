/*
 * student.h
 *	  Student's t and the normal distribution, and the prediction interval that rests on t.
 *
 * The distribution of t is the regularised incomplete beta function I_x(df/2, 1/2) with
 * x = df / (df + t^2) (DLMF 8.17; its continued fraction by Lentz's method) up to a million
 * degrees of freedom; beyond, it is interpolated in 1/df towards the normal distribution, which is
 * that of infinite df.  Ten digits are right up to 10,000 df and eight with more.
 *
 * The normal quantile is Wichura's algorithm AS 241, PPND16 (Applied Statistics 37(3), 1988), good
 * to about 16 digits.
 *
 * Pure C: no PostgreSQL, no allocation.  Whatever is not defined is NaN.
 */
#ifndef PERFOPT_STUDENT_H
#define PERFOPT_STUDENT_H

#include <stdbool.h>

/* P(T <= t), P(T > t) and P(|T| >= |t|) for df > 0 degrees of freedom; the tails keep their digits. */
extern double perfopt_student_cdf(double t, double df);
extern double perfopt_student_tail(double t, double df);
extern double perfopt_student_two_sided(double t, double df);

/* The t with P(T <= t) = p for df > 0 degrees of freedom; NaN when p is not within (0, 1). */
extern double perfopt_student_quantile(double p, double df);

/* P(X <= x) and P(X > x) for a standard normal X. */
extern double perfopt_normal_cdf(double x);
extern double perfopt_normal_tail(double x);

/* The x with P(X <= x) = p; -infinity at p = 0, infinity at p = 1, NaN outside 0..1. */
extern double perfopt_normal_quantile(double p);

/*
 * Where the mean of m future observations lies with probability `level`, given n past ones that are
 * independent and normal with the same mean and variance:
 *
 *		mean +- t(n - 1; (1 + level) / 2) * s * sqrt(1/m + 1/n)
 *
 * (Hahn, Journal of Quality Technology 2(3), 1970; Hahn and Meeker, Statistical Intervals, 1991,
 * chapter 4.)  Observations that are not finite are left out.  False, with both bounds NaN, when
 * fewer than two are left, when m is not positive or level is not within (0, 1).
 */
extern bool perfopt_prediction_interval(const double *v, int n, int m, double level, double *low,
										double *high);

#endif /* PERFOPT_STUDENT_H */
