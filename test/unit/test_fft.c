/*
 * test_fft.c
 *	  The transform and the autocovariances against their definitions.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "math/fft.h"
#include "prng.h"

#define TAU 6.283185307179586

static void
assert_near(double got, double expected, double tolerance)
{
	if (!(fabs(got - expected) <= tolerance))
		fail_msg("%.12g is not within %g of %.12g", got, tolerance, expected);
}

static void
transform_is_as_defined(void **state)
{
	uint64_t seed = 1;
	double before[2 * 64];
	double after[2 * 64];
	double table[64];

	(void) state;
	for (size_t n = 1; n <= 64; n *= 2)
	{
		for (size_t i = 0; i < 2 * n; i++)
			before[i] = after[i] = prng_normal(&seed);
		perfopt_fft(after, n, table);
		for (size_t k = 0; k < n; k++)
		{
			double re = 0;
			double im = 0;

			for (size_t i = 0; i < n; i++)
			{
				double angle = -TAU * (double) (i * k % n) / (double) n;

				re += before[2 * i] * cos(angle) - before[2 * i + 1] * sin(angle);
				im += before[2 * i] * sin(angle) + before[2 * i + 1] * cos(angle);
			}
			assert_near(after[2 * k], re, 1e-12);
			assert_near(after[2 * k + 1], im, 1e-12);
		}
	}
}

static void
autocovariance_is_as_defined(void **state)
{
	const size_t lengths[] = { 1, 2, 3, 31, 32, 33, 100 };
	uint64_t seed = 2;

	(void) state;
	for (size_t l = 0; l < sizeof lengths / sizeof lengths[0]; l++)
		for (size_t lags = 1; lags <= lengths[l]; lags += lengths[l] / 3 + 1)
		{
			size_t n = lengths[l];
			double *v = malloc(n * sizeof *v);
			double *cov = malloc(lags * sizeof *cov);
			double *scratch = malloc(perfopt_autocovariance_scratch(n, lags) * sizeof *scratch);

			for (size_t i = 0; i < n; i++)
				v[i] = prng_normal(&seed);
			perfopt_autocovariance(v, n, cov, lags, scratch);
			for (size_t k = 0; k < lags; k++)
			{
				double sum = 0;

				for (size_t i = 0; i + k < n; i++)
					sum += v[i] * v[i + k];
				assert_near(cov[k], sum, 1e-11);
			}
			free(v);
			free(cov);
			free(scratch);
		}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(transform_is_as_defined),
		cmocka_unit_test(autocovariance_is_as_defined),
	};

	return cmocka_run_group_tests_name("fft", tests, NULL, NULL);
}
