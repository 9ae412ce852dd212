/*
 * fft.h
 *	  The discrete Fourier transform of a power of two of complex numbers, and what rests on it: the
 *	  autocovariances of a series.
 *
 * Radix 2, decimation in time (Cooley, Tukey, Mathematics of Computation 19, 1965), with the
 * roots of unity computed each by itself, so that time grows as n log n and the error of a
 * million numbers stays below 1e-10 of the largest.
 *
 * Pure C: no PostgreSQL, no allocation: memory is the caller's.
 */
#ifndef PERFOPT_FFT_H
#define PERFOPT_FFT_H

#include <stddef.h>

/*
 * n must be a power of two.  data: real and imaginary part in turn, transformed in place.  table is
 * scratch memory for n doubles.
 */
extern void perfopt_fft(double *data, size_t n, double *table);

/* How many doubles perfopt_autocovariance() wants as scratch. */
extern size_t perfopt_autocovariance_scratch(size_t n, size_t lags);

/*
 * cov[k], for k = 0 .. lags - 1, becomes the sum over i of v[i] v[i + k], by way of the power
 * spectrum (Wiener, Khinchin).  The mean is not taken out.  lags is at most n.
 */
extern void perfopt_autocovariance(const double *v, size_t n, double *cov, size_t lags,
								   double *scratch);

#endif /* PERFOPT_FFT_H */
