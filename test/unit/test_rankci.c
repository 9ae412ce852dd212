/*
 * test_rankci.c
 *	  Order-statistic intervals against tables, exact sums, and simulation.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "math/rankci.h"
#include "math/robust.h"
#include "prng.h"

static void
assert_near(double got, double expected, double tolerance)
{
	if (!(fabs(got - expected) <= tolerance))
		fail_msg("%.12g is not within %g of %.12g", got, tolerance, expected);
}

static void
assert_ranks(int64_t n, double q, double level, int64_t expected_low, int64_t expected_high)
{
	int64_t low;
	int64_t high;
	bool both = perfopt_rank_interval(n, q, level, &low, &high);

	assert_int_equal(low, expected_low);
	assert_int_equal(high, expected_high);
	assert_int_equal(both, low >= 1 && high <= n);
}

/*
 * Medians: the usual table for the sign test's interval (10: 2 and 9, 25: 8 and 18, 100: 40 and 61).
 * The others are from sums of the binomial distribution in rational numbers.
 */
static void
tables(void **state)
{
	(void) state;
	assert_ranks(10, 0.5, 0.95, 2, 9);
	assert_ranks(25, 0.5, 0.95, 8, 18);
	assert_ranks(100, 0.5, 0.95, 40, 61);
	assert_ranks(100, 0.9, 0.99, 82, 98);
	assert_ranks(1000, 0.99, 0.95, 983, 997);
	assert_ranks(1000, 0.95, 0.9, 938, 962);
	/* exactly an eighth of all lies on each side of three */
	assert_ranks(3, 0.5, 0.75, 1, 3);
	/* a tenth, which binary numbers do not have */
	assert_ranks(1, 0.9, 0.8, 1, 2);
}

/* The sample sizes that the header gives: (1 - q)^n or q^n at most 2.5 %. */
static void
too_few(void **state)
{
	(void) state;
	assert_ranks(5, 0.5, 0.95, 0, 6);
	assert_ranks(6, 0.5, 0.95, 1, 6);
	assert_ranks(71, 0.95, 0.95, 63, 72);
	assert_ranks(72, 0.95, 0.95, 64, 72);
	assert_ranks(367, 0.99, 0.95, 359, 368);
	assert_ranks(368, 0.99, 0.95, 360, 368);
	assert_ranks(40, 0.1, 0.95, 1, 9);
	assert_ranks(30, 0.1, 0.95, 0, 8);
	assert_ranks(1, 0.5, 0.95, 0, 2);
}

static void
edges(void **state)
{
	int64_t low;
	int64_t high;

	(void) state;
	assert_ranks(0, 0.5, 0.95, 0, 1);
	assert_ranks(-3, 0.5, 0.95, 0, 1);
	assert_ranks(100, 0, 0.95, 0, 101);
	assert_ranks(100, 1, 0.95, 0, 101);
	assert_ranks(100, NAN, 0.95, 0, 101);
	assert_ranks(100, 0.5, 0, 0, 101);
	assert_ranks(100, 0.5, 1, 0, 101);
	assert_ranks(100, 0.5, NAN, 0, 101);
	assert_ranks(100, 1e-300, 0.95, 0, 1);
	assert_ranks(100, 1 - 1e-16, 0.95, 100, 101);
	assert_false(perfopt_rank_interval(INT64_MAX, 0.5, 0.95, &low, &high));
	assert_true(perfopt_rank_interval(INT64_C(1) << 53, 0.5, 0.95, &low, &high));
	assert_true(low < high);
	/* an extreme level of a rare value among very many ends, too */
	perfopt_rank_interval(INT64_C(1) << 50, 1e-14, 1 - 1e-16, &low, &high);
	assert_true(low <= high);
}

/* P(B <= k), added up from the logarithms of factorials. */
static double
binomial(int64_t n, double q, int64_t k)
{
	double sum = 0;

	for (int64_t i = 0; i <= k; i++)
		sum += exp(lgamma(n + 1.0) - lgamma(i + 1.0) - lgamma(n - i + 1.0) + i * log(q) +
				   (n - i) * log1p(-q));
	return sum;
}

static void
matches_the_binomial(void **state)
{
	uint64_t seed = 121;

	(void) state;
	for (int run = 0; run < 400; run++)
	{
		int64_t n = 1 + (int64_t) (prng_next(&seed) % 2000);
		double q = prng_uniform(&seed);
		double level = 0.5 + prng_uniform(&seed) / 2;
		double alpha = (1 - level) / 2;
		int64_t low;
		int64_t high;

		perfopt_rank_interval(n, q, level, &low, &high);
		if (low > 0)
			assert_true(binomial(n, q, low - 1) <= alpha * (1 + 1e-9));
		assert_true(binomial(n, q, low) > alpha * (1 - 1e-9));
		if (high <= n)
			assert_true(1 - binomial(n, q, high - 1) <= alpha * (1 + 1e-9));
		assert_true(1 - binomial(n, q, high - 2) > alpha * (1 - 1e-9));
	}
}

/* How far beyond n q the interval goes, on average over some n, which whole ranks average out. */
static void
reach(double n, double q, double *below, double *above)
{
	const int sizes = 50;

	*below = *above = 0;
	for (int i = 0; i < sizes; i++)
	{
		int64_t size = (int64_t) n + 71 * i;
		int64_t low;
		int64_t high;

		assert_true(perfopt_rank_interval(size, q, 0.95, &low, &high));
		*below += ((double) size * q - (double) low) / sizes;
		*above += ((double) high - (double) size * q) / sizes;
	}
}

/* On both sides of where the normal distribution takes over, the two are the same. */
static void
approximation_joins(void **state)
{
	const double quantiles[] = { 0.5, 0.1, 0.999 };

	(void) state;
	for (int i = 0; i < 3; i++)
	{
		double q = quantiles[i];
		double border = PERFOPT_RANK_EXACT / q / (1 - q);
		double exact[2];
		double normal[2];

		reach(border - 4000, q, &exact[0], &exact[1]);
		reach(border + 1, q, &normal[0], &normal[1]);
		/* as the root of n does, they grow by a rank in the 4,000 and more in between */
		assert_near(exact[0] * sqrt((border + 4001) / border), normal[0], 0.4);
		assert_near(exact[1] * sqrt((border + 4001) / border), normal[1], 0.4);
		assert_near(normal[1], 1.959964 * sqrt(PERFOPT_RANK_EXACT), 2);
	}
}

/* Share of the intervals that hold the true p90 of exponential times. */
static void
interval_covers_the_truth(void **state)
{
	const int runs = 4000;
	uint64_t seed = 122;
	int64_t low;
	int64_t high;
	int held = 0;

	(void) state;
	assert_true(perfopt_rank_interval(100, 0.9, 0.95, &low, &high));
	for (int run = 0; run < runs; run++)
	{
		double v[100];

		for (int i = 0; i < 100; i++)
			v[i] = -log(prng_uniform(&seed));
		perfopt_sort(v, 100);
		held += v[low - 1] <= log(10) && log(10) <= v[high - 1];
	}
	/* at least 95 %, of which it keeps a little more since ranks are whole */
	assert_true((double) held / runs > 0.945);
	assert_true((double) held / runs < 0.975);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tables),
		cmocka_unit_test(too_few),
		cmocka_unit_test(edges),
		cmocka_unit_test(matches_the_binomial),
		cmocka_unit_test(approximation_joins),
		cmocka_unit_test(interval_covers_the_truth),
	};

	return cmocka_run_group_tests_name("rankci", tests, NULL, NULL);
}
