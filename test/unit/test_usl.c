/*
 * test_usl.c
 *	  Fits of the Universal Scalability Law: exact data, published data, noise, and data that it does
 *	  not suit.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "math/usl.h"
#include "prng.h"

static void
assert_near(double got, double expected, double tolerance)
{
	if (!(fabs(got - expected) <= tolerance))
		fail_msg("%.12g is not within %g of %.12g", got, tolerance, expected);
}

static const double doubling[] = { 1, 2, 4, 8, 16, 32, 64, 128 };

/* What the law itself says is found again, over many orders of magnitude. */
static void
exact_data(void **state)
{
	const double sigmas[] = { 0, 1e-4, 0.02, 0.3, 0.9 };
	const double kappas[] = { 0, 1e-7, 1e-4, 0.01 };
	const double lambdas[] = { 1e-3, 40, 2e6 };

	(void) state;
	for (int i = 0; i < 5 * 4 * 3; i++)
	{
		PerfoptUsl truth = { .lambda = lambdas[i / 20],
							 .sigma = sigmas[i % 5],
							 .kappa = kappas[i / 5 % 4] };
		PerfoptUsl usl;
		double x[8];

		for (int j = 0; j < 8; j++)
			x[j] = perfopt_usl_throughput(&truth, doubling[j]);
		assert_true(perfopt_usl_fit(doubling, x, 8, &usl));
		assert_near(usl.lambda / truth.lambda, 1, 1e-8);
		assert_near(usl.sigma, truth.sigma, 1e-7);
		assert_near(usl.kappa, truth.kappa, 1e-9);
		assert_near(usl.r2, 1, 1e-10);
		if (truth.kappa >= 1e-4)
			assert_near(usl.peak_n / sqrt((1 - truth.sigma) / truth.kappa), 1, 1e-4);
	}
}

/*
 * SPEC SDM91 on a Sun SPARCcenter 2000, Gunther's own example and that of
 * R's package usl, whose vignette has 0.0277, 0.000104 and a peak at 96.5 users.  The
 * digits are from a pattern search over the same sum of squares.
 */
static void
published_data(void **state)
{
	const double n[] = { 1, 18, 36, 72, 108, 144, 216 };
	const double x[] = { 64.9, 995.9, 1652.4, 1853.2, 1828.9, 1775.0, 1702.2 };
	PerfoptUsl usl;

	(void) state;
	assert_true(perfopt_usl_fit(n, x, 7, &usl));
	assert_near(usl.lambda, 89.99523, 1e-3);
	assert_near(usl.sigma, 0.0277285, 1e-6);
	assert_near(usl.kappa, 0.000104365, 1e-8);
	assert_near(usl.r2, 0.98956148, 1e-7);
	assert_near(usl.peak_n, 96.5196, 1e-3);
	assert_near(usl.peak_x, perfopt_usl_throughput(&usl, usl.peak_n), 1e-9);
	assert_true(usl.peak_x > perfopt_usl_throughput(&usl, 95) &&
				usl.peak_x > perfopt_usl_throughput(&usl, 98));
}

/* A ray tracer (the vignette's other data) has no peak: the best kappa would be negative. */
static void
bounds_are_kept(void **state)
{
	const double n[] = { 1, 4, 8, 12, 16, 20, 24, 28, 32, 48, 64 };
	const double x[] = { 20, 78, 130, 170, 190, 200, 210, 230, 260, 280, 310 };
	const double few[] = { 1, 2, 4, 8 };
	const double superlinear[] = { 10, 21, 44, 92 };
	PerfoptUsl usl;

	(void) state;
	assert_true(perfopt_usl_fit(n, x, 11, &usl));
	assert_near(usl.lambda, 21.848843, 1e-4);
	assert_near(usl.sigma, 0.0577708, 1e-6);
	assert_true(usl.kappa == 0 && isinf(usl.peak_n));
	assert_near(usl.r2, 0.9906949, 1e-6);
	assert_near(usl.peak_x, 21.848843 / 0.0577708, 0.01);
	/* faster than proportional: proportional is the best that the law can do, sum(N X) / sum(N^2) */
	assert_true(perfopt_usl_fit(few, superlinear, 4, &usl));
	assert_true(usl.sigma == 0 && usl.kappa == 0 && isinf(usl.peak_n) && isinf(usl.peak_x));
	assert_near(usl.lambda, (10 + 42 + 176 + 736) / 85.0, 1e-9);
}

static void
edges(void **state)
{
	const double n[] = { 4, 1, NAN, 2, 0.5, 8, 8, -1 };
	const double x[] = { 30, 10, 5, 18, 4, 44, 44, 3 };
	const double three[] = { 1, 2, 2, 4 };
	const double flat[] = { 7, 7, 7, 7, 7, 7, 7, 7 };
	const double zero[8] = { 0 };
	const double absurd[] = { 1e200, 1e250, 1e280, 1e300 };
	const double falling[] = { 100, 40, 15, 5, 2, 1, 0.4, 0 };
	const double huge[] = { 1e300, 1.8e300, 3e300, 4.5e300, 5e300, 5e300, 4e300, 3e300 };
	PerfoptUsl usl;

	(void) state;
	assert_true(perfopt_usl_fit(n, x, 8, &usl));
	assert_true(usl.lambda > 9 && usl.lambda < 11 && usl.r2 > 0.99);
	assert_false(perfopt_usl_fit(three, x, 4, &usl));
	assert_true(isnan(usl.lambda) && isnan(usl.sigma) && isnan(usl.peak_n) && isnan(usl.r2));
	assert_false(perfopt_usl_fit(n, x, 0, &usl));
	assert_false(perfopt_usl_fit(doubling, zero, 8, &usl));
	assert_false(perfopt_usl_fit(absurd, flat, 4, &usl));
	assert_true(isnan(usl.lambda) && isnan(usl.kappa) && isnan(usl.peak_x));
	/* the same throughput whatever the level: all is serial */
	assert_true(perfopt_usl_fit(doubling, flat, 8, &usl));
	assert_near(usl.sigma, 1, 1e-9);
	assert_near(usl.lambda, 7, 1e-9);
	assert_near(usl.peak_x, 7, 1e-6);
	assert_true(isnan(usl.r2) && usl.kappa >= 0);
	assert_true(perfopt_usl_fit(doubling, falling, 8, &usl));
	assert_near(usl.lambda, 100, 5);
	assert_true(usl.peak_n == 1 && usl.r2 > 0.98);
	assert_true(perfopt_usl_fit(doubling, huge, 8, &usl));
	assert_true(isfinite(usl.lambda) && usl.r2 > 0.98);
}

/* With 3 % of noise the peak's height is found within 5 %, and nothing that is found is nonsense. */
static void
noisy_data(void **state)
{
	const PerfoptUsl truth = { .lambda = 500, .sigma = 0.04, .kappa = 0.0005 };
	const double peak = perfopt_usl_throughput(&truth, sqrt(0.96 / 0.0005));
	uint64_t seed = 101;
	int near = 0;

	(void) state;
	for (int run = 0; run < 1000; run++)
	{
		PerfoptUsl usl;
		double x[8];

		for (int j = 0; j < 8; j++)
			x[j] = perfopt_usl_throughput(&truth, doubling[j]) * (1 + 0.03 * prng_normal(&seed));
		assert_true(perfopt_usl_fit(doubling, x, 8, &usl));
		assert_true(usl.lambda > 0 && usl.sigma >= 0 && usl.kappa >= 0 && usl.peak_n >= 1);
		near += fabs(usl.peak_x / peak - 1) < 0.05;
	}
	assert_true(near > 950);
	/* whatever the data, an answer that is one */
	for (int run = 0; run < 2000; run++)
	{
		PerfoptUsl usl;
		double x[8];

		for (int j = 0; j < 8; j++)
			x[j] = exp(3 * prng_normal(&seed));
		assert_true(perfopt_usl_fit(doubling, x, 8, &usl));
		assert_true(usl.lambda > 0 && usl.sigma >= 0 && usl.kappa >= 0 && usl.peak_n >= 1);
		assert_true(usl.r2 <= 1);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(exact_data),      cmocka_unit_test(published_data),
		cmocka_unit_test(bounds_are_kept), cmocka_unit_test(edges),
		cmocka_unit_test(noisy_data),
	};

	return cmocka_run_group_tests_name("usl", tests, NULL, NULL);
}
