/*
 * test_robust.c
 *	  Medians and Theil-Sen slopes against published values, and the interval against simulation.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "math/robust.h"
#include "math/student.h"
#include "prng.h"

#define MAX_POINTS 60

static double scratch[PERFOPT_THEIL_SEN_SCRATCH(MAX_POINTS)];

static void
assert_near(double got, double expected, double tolerance)
{
	if (got != expected && !(fabs(got - expected) <= tolerance))
		fail_msg("%.12g is not within %g of %.12g", got, tolerance, expected);
}

static void
medians(void **state)
{
	double odd[] = { 5, 1, 3 };
	double even[] = { 4, NAN, 1, 3, 2, NAN };
	double huge[] = { 1.7e308, 1.6e308 };
	double nothing[] = { NAN, NAN };

	(void) state;
	assert_near(perfopt_median(odd, 3), 3, 0);
	assert_near(perfopt_median(even, 6), 2.5, 0);
	assert_near(perfopt_median(huge, 2), 1.65e308, 1e300);
	assert_true(isnan(perfopt_median(nothing, 2)));
	assert_true(isnan(perfopt_median(odd, 0)));
	perfopt_sort(odd, 3);
	assert_true(odd[0] == 1 && odd[1] == 3 && odd[2] == 5);
	perfopt_sort(odd, 0);
}

/*
 * Sen's own example (1968): slope 4, interval at 93 % from the 4th to the 18th of 21
 * slopes, which are 26/7 and 35/8.
 */
static void
sens_example(void **state)
{
	const double x[] = { 1, 2, 3, 4, 10, 12, 18 };
	const double y[] = { 9, 15, 19, 20, 45, 55, 78 };
	PerfoptTrend trend = perfopt_theil_sen(x, y, 7, 0.93, scratch);

	(void) state;
	assert_int_equal(trend.n, 7);
	assert_near(trend.slope, 4, 0);
	assert_near(trend.low, 26.0 / 7, 1e-12);
	assert_near(trend.high, 35.0 / 8, 1e-12);
}

/*
 * Ties in both: the variance of S over all 5,040 orders of y is 35.780952 (counted).  Which slopes
 * bound the interval at every level tells whether it was taken to be that.
 */
static void
ties(void **state)
{
	const double x[] = { 1, 1, 2.1, 3.3, 4.6, 4.6, 4.6 };
	const double y[] = { 1, 2, 2, 3, 3, 3, 5 };
	double slope[21];
	int n = 0;

	(void) state;
	for (int i = 0; i < 7; i++)
		for (int j = 0; j < i; j++)
			if (x[i] != x[j])
				slope[n++] = (y[i] - y[j]) / (x[i] - x[j]);
	perfopt_sort(slope, n);
	assert_int_equal(n, 17);
	for (int i = 1; i < 9950; i++)
	{
		double z = perfopt_normal_quantile((1 + i / 1e4) / 2);
		int k = (int) floor((18 - z * sqrt(35.780952380952)) / 2);
		PerfoptTrend trend = perfopt_theil_sen(x, y, 7, i / 1e4, scratch);

		assert_near(trend.low, k < 1 ? -HUGE_VAL : slope[k - 1], 1e-12);
		assert_near(trend.high, k < 1 ? HUGE_VAL : slope[n - k], 1e-12);
	}
}

static void
edges(void **state)
{
	const double x[] = { 1, 2, 3, 4, NAN, 6 };
	const double y[] = { 2, 4, 6, 8, 3, INFINITY };
	const double same[] = { 1, 1, 1, 1 };
	const double wide[] = { -1.7e308, 1.7e308 };
	PerfoptTrend trend;

	(void) state;
	/* four points cannot bound a slope at 95 %: 2 of the 4! orders are monotone, 8.3 % */
	trend = perfopt_theil_sen(x, y, 6, 0.95, scratch);
	assert_int_equal(trend.n, 4);
	assert_near(trend.slope, 2, 0);
	assert_true(isinf(trend.low) && trend.low < 0 && isinf(trend.high) && trend.high > 0);
	trend = perfopt_theil_sen(x, y, 4, 0.8, scratch);
	assert_true(trend.low == 2 && trend.high == 2);
	trend = perfopt_theil_sen(x, y, 4, 1, scratch);
	assert_true(trend.slope == 2 && isnan(trend.low) && isnan(trend.high));
	trend = perfopt_theil_sen(same, y, 4, 0.9, scratch);
	assert_true(trend.n == 4 && isnan(trend.slope) && isnan(trend.low));
	trend = perfopt_theil_sen(x, y, 1, 0.9, scratch);
	assert_true(trend.n == 1 && isnan(trend.slope));
	trend = perfopt_theil_sen(x, y, 0, 0.9, scratch);
	assert_true(trend.n == 0 && isnan(trend.slope));
	trend = perfopt_theil_sen(x, same, 4, 0.8, scratch);
	assert_true(trend.slope == 0 && trend.low == 0 && trend.high == 0);
	trend = perfopt_theil_sen(wide, wide, 2, 0.9, scratch);
	assert_near(trend.slope, 1, 1e-12);
}

/* The line stays where it is while a quarter of the points goes anywhere. */
static void
outliers_do_not_matter(void **state)
{
	double x[40];
	double y[40];
	uint64_t seed = 51;

	(void) state;
	for (int i = 0; i < 40; i++)
	{
		x[i] = i;
		y[i] = i % 4 == 1 ? 1e6 * prng_uniform(&seed) : 3 * i + prng_normal(&seed);
	}
	assert_near(perfopt_theil_sen(x, y, 40, 0.95, scratch).slope, 3, 0.3);
}

/* Share of the intervals that hold the true slope. */
static double
coverage(int n, double level, uint64_t seed)
{
	const int runs = 4000;
	int held = 0;

	for (int run = 0; run < runs; run++)
	{
		double x[MAX_POINTS];
		double y[MAX_POINTS];
		PerfoptTrend trend;

		for (int i = 0; i < n; i++)
		{
			x[i] = i;
			y[i] = 0.5 * i + prng_normal(&seed);
		}
		trend = perfopt_theil_sen(x, y, n, level, scratch);
		held += trend.low <= 0.5 && 0.5 <= trend.high;
	}
	return (double) held / runs;
}

static void
interval_covers_the_truth(void **state)
{
	(void) state;
	/* 5, 8 and 10 points: from the exact distribution of S, 98.33, 96.88 and 92.74 % */
	assert_near(coverage(5, 0.95, 52), 0.9833, 0.007);
	assert_near(coverage(8, 0.95, 53), 0.9688, 0.009);
	assert_near(coverage(10, 0.9, 54), 0.9274, 0.013);
	assert_near(coverage(20, 0.95, 55), 0.95, 0.011);
	assert_near(coverage(30, 0.9, 56), 0.9, 0.015);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(medians),
		cmocka_unit_test(sens_example),
		cmocka_unit_test(ties),
		cmocka_unit_test(edges),
		cmocka_unit_test(outliers_do_not_matter),
		cmocka_unit_test(interval_covers_the_truth),
	};

	return cmocka_run_group_tests_name("robust", tests, NULL, NULL);
}
