/*
 * test_ranktest.c
 *	  The signed-rank test against published cases and tables, the walk over Walsh averages against
 *	  sorting them, and the error rates by simulation.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "math/ranktest.h"
#include "math/robust.h"
#include "prng.h"

#define MAX_N 2000

static double scratch[MAX_N];

static void
assert_near(double got, double expected, double tolerance)
{
	if (!(fabs(got - expected) <= tolerance))
		fail_msg("%.12g is not within %g of %.12g", got, tolerance, expected);
}

/*
 * Hollander and Wolfe's depression scale factors (their example 3.1), which is R's example too:
 * wilcox.test(x, y, paired = TRUE, conf.int = TRUE) says V = 40, p-value = 0.03906, estimate 0.46,
 * interval 0.010 to 0.786.
 */
static void
hollander_wolfe(void **state)
{
	const double x[] = { 1.83, 0.50, 1.62, 2.48, 1.68, 1.88, 1.55, 3.06, 1.30 };
	const double y[] = { 0.878, 0.647, 0.598, 2.05, 1.06, 1.29, 1.06, 3.14, 1.29 };
	double d[9];
	PerfoptSignedRank r;

	(void) state;
	for (int i = 0; i < 9; i++)
		d[i] = x[i] - y[i];
	r = perfopt_signed_rank(d, 9, 0.95, scratch);
	assert_int_equal(r.n_used, 9);
	assert_true(r.exact);
	assert_near(r.statistic, 40, 0);
	assert_near(r.p_value, 0.0390625, 1e-15);
	assert_near(r.estimate, 0.46, 1e-12);
	assert_near(r.low, 0.010, 1e-12);
	assert_near(r.high, 0.786, 1e-12);

	/* the other way round, everything is */
	for (int i = 0; i < 9; i++)
		d[i] = -d[i];
	r = perfopt_signed_rank(d, 9, 0.95, scratch);
	assert_near(r.statistic, 5, 0);
	assert_near(r.p_value, 0.0390625, 1e-15);
	assert_near(r.estimate, -0.46, 1e-12);
	assert_near(r.low, -0.786, 1e-12);
	assert_near(r.high, -0.010, 1e-12);
}

/*
 * Student's sleep data, with a zero and a tie: R's wilcox.test says V = 45, p-value = 0.009091.
 * Walsh averages of the nine that are left: median 1.4, 6th from either end 1.05 and 2.95.
 */
static void
zero_and_ties(void **state)
{
	const double d[] = { 1.2, 2.4, 1.3, 1.3, 0.0, 1.0, 1.8, 0.8, 4.6, 1.4 };
	PerfoptSignedRank r = perfopt_signed_rank(d, 10, 0.95, scratch);

	(void) state;
	assert_int_equal(r.n_used, 9);
	assert_false(r.exact);
	assert_near(r.statistic, 45, 0);
	assert_near(r.p_value, 0.009090698, 1e-9);
	assert_near(r.estimate, 1.4, 1e-12);
	assert_near(r.low, 1.05, 1e-12);
	assert_near(r.high, 2.95, 1e-12);
}

/* Differences 1 to n, of which the negative ones have ranks that add up to v. */
static PerfoptSignedRank
with_sum(int n, int v)
{
	double d[60];

	for (int i = n; i >= 1; i--)
	{
		d[i - 1] = v >= i ? -i : i;
		v -= v >= i ? i : 0;
	}
	assert_int_equal(v, 0);
	return perfopt_signed_rank(d, n, 0.95, scratch);
}

/* The usual table of critical values, two-sided 5 %: this sum is significant, the next is not. */
static void
critical_values(void **state)
{
	const int critical[][2] = { { 6, 0 },   { 7, 2 },   { 8, 3 },   { 9, 5 },   { 10, 8 },
								{ 12, 13 }, { 15, 25 }, { 20, 52 }, { 25, 89 }, { 50, 434 } };

	(void) state;
	for (size_t i = 0; i < sizeof critical / sizeof *critical; i++)
	{
		assert_true(with_sum(critical[i][0], critical[i][1]).p_value <= 0.05);
		assert_true(with_sum(critical[i][0], critical[i][1] + 1).p_value > 0.05);
		/* the interval leaves out zero in the same cases */
		assert_true(with_sum(critical[i][0], critical[i][1]).low > 0);
		assert_true(with_sum(critical[i][0], critical[i][1] + 1).low <= 0);
	}
	/* from counting all 2^50 ways to give signs, and all 2^51, beside which it is an approximation */
	assert_near(with_sum(50, 434).p_value, 0.04944640680060175, 1e-15);
	assert_near(with_sum(50, 637).p_value, 1, 0);
	assert_true(with_sum(50, 434).exact);
	assert_false(with_sum(51, 434).exact);
	assert_near(with_sum(50, 425).p_value, 0.0399683465, 1e-9);
	assert_near(with_sum(51, 450).p_value, 0.0457460, 0.001);
}

static void
edges(void **state)
{
	const double d[] = { 2, NAN, 4, INFINITY, 0, -0.0, 7 };
	const double same[] = { 3, 3, 3, 3, 3, 3, 3, 3 };
	const double huge[] = { 1.7e308, 1.7e308, 1.6e308 };
	const double even[] = { -1, 1 };
	PerfoptSignedRank r;

	(void) state;
	r = perfopt_signed_rank(d, 0, 0.95, scratch);
	assert_true(r.n_used == 0 && isnan(r.p_value) && isnan(r.estimate) && isnan(r.low));
	r = perfopt_signed_rank(d + 3, 3, 0.95, scratch);
	assert_true(r.n_used == 0 && isnan(r.statistic));
	r = perfopt_signed_rank(d, 1, 0.95, scratch);
	assert_true(r.n_used == 1 && r.p_value == 1 && r.estimate == 2);
	assert_true(isinf(r.low) && r.low < 0 && isinf(r.high) && r.high > 0);
	r = perfopt_signed_rank(d, 7, 0.7, scratch);
	assert_true(r.n_used == 3 && r.statistic == 6 && r.p_value == 0.25);
	assert_true(r.estimate == 4.25 && r.low == 2 && r.high == 7);
	r = perfopt_signed_rank(d, 7, 1, scratch);
	assert_true(r.p_value == 0.25 && isnan(r.low) && isnan(r.high));
	r = perfopt_signed_rank(same, 8, 0.95, scratch);
	assert_true(r.estimate == 3 && r.low == 3 && r.high == 3 && r.p_value < 0.02);
	r = perfopt_signed_rank(huge, 3, 0.5, scratch);
	assert_true(r.estimate > 1.6e308 && r.estimate <= 1.7e308);
	r = perfopt_signed_rank(even, 2, 0.5, scratch);
	assert_true(r.p_value == 1 && r.estimate == 0 && !signbit(r.estimate));
}

/* Against all Walsh averages, sorted; with values that repeat, and on both sides of zero. */
static void
walsh_averages_are_found(void **state)
{
	static double average[150 * 151 / 2];
	uint64_t seed = 61;

	(void) state;
	for (int run = 0; run < 60; run++)
	{
		int n = 1 + (int) (prng_next(&seed) % 150);
		int averages = 0;
		double d[150];
		PerfoptSignedRank r;

		for (int i = 0; i < n; i++)
		{
			d[i] = prng_normal(&seed) + 0.1 * (run % 20 - 10);
			if (run % 2)
				d[i] = (floor(4 * d[i]) + 0.5) / 4;
		}
		for (int i = 0; i < n; i++)
			for (int j = i; j < n; j++)
				average[averages++] = (d[i] + d[j]) / 2;
		r = perfopt_signed_rank(d, n, 0.9, scratch);
		assert_near(r.estimate, perfopt_median(average, averages), 0);
		if (n > 50)
		{
			int k = (int) floor(n * (n + 1) / 4.0 + 0.5 -
								1.6448536269514722 * sqrt(n * (n + 1.0) * (2 * n + 1) / 24));

			assert_near(r.low, average[k - 1], 0);
			assert_near(r.high, average[averages - k], 0);
		}
	}
}

/* Both with the exact distribution (n = 20) and the normal one. */
static void
error_rates(int n, double shift, double *rejected, double *held, uint64_t seed)
{
	const int runs = n > 50 ? 2000 : 4000;
	int nrejected = 0;
	int nheld = 0;

	for (int run = 0; run < runs; run++)
	{
		double d[100];
		PerfoptSignedRank r;

		/* heavy tails, as differences of two exponential times have */
		for (int i = 0; i < n; i++)
			d[i] = shift + log(prng_uniform(&seed)) - log(prng_uniform(&seed));
		r = perfopt_signed_rank(d, n, 0.95, scratch);
		nrejected += r.p_value <= 0.05;
		nheld += r.low <= shift && shift <= r.high;
		assert_true((r.p_value <= 0.05) == (r.low > 0 || r.high < 0));
	}
	*rejected = (double) nrejected / runs;
	*held = (double) nheld / runs;
}

static void
error_rates_hold(void **state)
{
	double rejected;
	double held;

	(void) state;
	/* exact at n = 20: 4.84 %; three standard errors of 4,000 runs are 1 %, of 2,000 1.5 % */
	error_rates(20, 0, &rejected, &held, 62);
	assert_near(rejected, 0.0484, 0.0102);
	assert_near(held, 0.9516, 0.0102);
	error_rates(100, 0, &rejected, &held, 63);
	assert_near(rejected, 0.05, 0.015);
	assert_near(held, 0.95, 0.015);
	error_rates(20, 2, &rejected, &held, 64);
	assert_true(rejected > 0.97);
	assert_near(held, 0.9516, 0.0102);
}

static void
many_differences(void **state)
{
	static double d[MAX_N];
	uint64_t seed = 65;
	PerfoptSignedRank r;

	(void) state;
	for (int i = 0; i < MAX_N; i++)
		d[i] = 0.2 + prng_normal(&seed);
	r = perfopt_signed_rank(d, MAX_N, 0.95, scratch);
	assert_near(r.estimate, 0.2, 0.07);
	/* the width of such an interval is 2 z sigma sqrt(pi / 3 / n) */
	assert_near(r.high - r.low, 0.0897, 0.008);
	assert_true(r.low < 0.2 && 0.2 < r.high && r.p_value < 1e-10);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hollander_wolfe),          cmocka_unit_test(zero_and_ties),
		cmocka_unit_test(critical_values),          cmocka_unit_test(edges),
		cmocka_unit_test(walsh_averages_are_found), cmocka_unit_test(error_rates_hold),
		cmocka_unit_test(many_differences),
	};

	return cmocka_run_group_tests_name("ranktest", tests, NULL, NULL);
}
