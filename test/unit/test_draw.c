/*
 * test_draw.c
 *	  Draws have the distributions that they should; hashes and permutations are pgbench's.
 *
 * All seeds are fixed, so nothing here fails by chance.  The bounds are what one in ten thousand
 * good generators would exceed.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "math/draw.h"

#define N 200000

static PerfoptXoroshiro generator;
static const PerfoptRandom prng = { perfopt_xoroshiro_next, &generator };

/* Chi-square with df degrees of freedom, by Wilson and Hilferty's cube: exceeded by 0.01 %. */
static double
chi_square_bound(int df)
{
	double h = 2.0 / 9 / df;

	return df * pow(1 - h + 3.719 * sqrt(h), 3);
}

static void
assert_counts(const int *counts, const double *probabilities, int cells)
{
	double n = 0;
	double chi_square = 0;

	for (int i = 0; i < cells; i++)
		n += counts[i];
	for (int i = 0; i < cells; i++)
	{
		double expected = n * probabilities[i];

		chi_square += (counts[i] - expected) * (counts[i] - expected) / expected;
	}
	assert_true(chi_square < chi_square_bound(cells - 1));
}

static int
compare_doubles(const void *a, const void *b)
{
	double x = *(const double *) a;
	double y = *(const double *) b;

	return (x > y) - (x < y);
}

/* Kolmogorov and Smirnov. */
static void
assert_distribution(double *values, int n, double (*cdf)(double))
{
	double distance = 0;

	qsort(values, (size_t) n, sizeof(double), compare_doubles);
	for (int i = 0; i < n; i++)
	{
		double p = cdf(values[i]);

		distance = fmax(distance, fmax(p - (double) i / n, (i + 1.0) / n - p));
	}
	assert_true(distance * sqrt(n) < 2.23);
}

static double
normal_cdf(double x)
{
	return 0.5 * erfc(-x / sqrt(2));
}

static double
exponential_cdf(double x)
{
	return -expm1(-x / 3);
}

/* Mean 1, deviation 2, above 0. */
static double
positive_cdf(double x)
{
	double below = normal_cdf(-0.5);

	return (normal_cdf((x - 1) / 2) - below) / (1 - below);
}

static void
doubles_are_uniform(void **state)
{
	int counts[16] = { 0 };
	double probabilities[16];

	(void) state;
	perfopt_xoroshiro_seed(&generator, 1);
	for (int i = 0; i < N; i++)
	{
		double x = perfopt_draw_double(&prng);

		assert_true(x >= 0 && x < 1);
		counts[(int) (x * 16)]++;
	}
	for (int i = 0; i < 16; i++)
		probabilities[i] = 1.0 / 16;
	assert_counts(counts, probabilities, 16);
}

static void
integers_are_uniform(void **state)
{
	int counts[10] = { 0 };
	double probabilities[10];

	(void) state;
	perfopt_xoroshiro_seed(&generator, 2);
	for (int i = 0; i < N; i++)
	{
		int64_t x = perfopt_draw_int(&prng, -4, 5);

		assert_true(x >= -4 && x <= 5);
		counts[x + 4]++;
	}
	for (int i = 0; i < 10; i++)
		probabilities[i] = 0.1;
	assert_counts(counts, probabilities, 10);

	assert_int_equal(perfopt_draw_int(&prng, 7, 7), 7);
	assert_int_equal(perfopt_draw_int(&prng, INT64_MIN, INT64_MIN), INT64_MIN);
	assert_int_equal(perfopt_draw_int(&prng, INT64_MAX, INT64_MAX), INT64_MAX);
}

/* Where a remainder would favour the first third twice as much. */
static void
great_ranges_have_no_bias(void **state)
{
	const int64_t quarter = INT64_C(1) << 62;
	const double thirds[3] = { 1.0 / 3, 1.0 / 3, 1.0 / 3 };
	const double halves[2] = { 0.5, 0.5 };
	int counts[3] = { 0 };
	int signs[2] = { 0 };

	(void) state;
	perfopt_xoroshiro_seed(&generator, 3);
	for (int i = 0; i < N; i++)
	{
		int64_t x = perfopt_draw_int(&prng, INT64_MIN, quarter - 1);

		assert_true(x < quarter);
		counts[x < -quarter ? 0 : x < 0 ? 1 : 2]++;
		signs[perfopt_draw_int(&prng, INT64_MIN, INT64_MAX) < 0]++;
	}
	assert_counts(counts, thirds, 3);
	assert_counts(signs, halves, 2);
}

static void
exponential_is_cut_into_parts(void **state)
{
	static const double parameters[] = { 1e-20, 1e-3, 0.5, 3, 10 };

	(void) state;
	perfopt_xoroshiro_seed(&generator, 4);
	for (size_t k = 0; k < sizeof(parameters) / sizeof(*parameters); k++)
	{
		double p = parameters[k];
		int counts[10] = { 0 };
		double probabilities[10];

		for (int i = 0; i < N; i++)
		{
			int64_t x = perfopt_draw_exponential_int(&prng, 1, 10, p);

			assert_true(x >= 1 && x <= 10);
			counts[x - 1]++;
		}
		for (int i = 0; i < 10; i++)
			probabilities[i] = exp(-p * i / 10) * expm1(-p / 10) / expm1(-p);
		assert_counts(counts, probabilities, 10);
	}
}

static void
gaussian_is_cut_into_parts(void **state)
{
	static const double parameters[] = { 2, 2.5, 4 };

	(void) state;
	perfopt_xoroshiro_seed(&generator, 5);
	for (size_t k = 0; k < sizeof(parameters) / sizeof(*parameters); k++)
	{
		double p = parameters[k];
		int counts[10] = { 0 };
		double probabilities[10];

		for (int i = 0; i < N; i++)
		{
			int64_t x = perfopt_draw_gaussian_int(&prng, 1, 10, p);

			assert_true(x >= 1 && x <= 10);
			counts[x - 1]++;
		}
		for (int i = 0; i < 10; i++)
			probabilities[i] =
				(normal_cdf(p * (2 * i - 8) / 10) - normal_cdf(p * (2 * i - 10) / 10)) /
				(1 - 2 * normal_cdf(-p));
		assert_counts(counts, probabilities, 10);
	}
}

/* The first nine, and all others together. */
static void
zipfian_falls_with_the_power(void **state)
{
	static const double powers[] = { 1.001, 1.01, 1.2, 2, 4 };
	static const int sizes[] = { 10, 11, 1000, 1000000 };

	(void) state;
	perfopt_xoroshiro_seed(&generator, 6);
	for (size_t k = 0; k < sizeof(powers) / sizeof(*powers); k++)
		for (size_t j = 0; j < sizeof(sizes) / sizeof(*sizes); j++)
		{
			int counts[10] = { 0 };
			double probabilities[10] = { 0 };
			double sum = 0;

			for (int i = sizes[j]; i >= 1; i--)
			{
				probabilities[i < 10 ? i - 1 : 9] += pow(i, -powers[k]);
				sum += pow(i, -powers[k]);
			}
			for (int i = 0; i < 10; i++)
				probabilities[i] /= sum;
			for (int i = 0; i < N / 2; i++)
			{
				int64_t x = perfopt_draw_zipfian_int(&prng, -5, sizes[j] - 6, powers[k]);

				assert_true(x >= -5 && x <= sizes[j] - 6);
				counts[x < 4 ? x + 5 : 9]++;
			}
			assert_counts(counts, probabilities, 10);
		}
}

/* 200,000 draws of pgbench 15 (--random-seed=7) from 1..10. */
static void
distributions_are_those_of_pgbench(void **state)
{
	static const int zipfian[] = {
		80713, 35289, 21703, 15252, 11821, 9387, 7915, 6809, 5887, 5224
	};
	static const int gaussian[] = {
		3205, 9022, 18428, 30379, 38902, 38609, 30477, 18796, 8803, 3379
	};
	static const int exponential[] = { 54547, 40443, 29857, 22162, 16506,
									   12145, 9143,  6552,  4868,  3777 };
	static const int *const theirs[] = { zipfian, gaussian, exponential };

	(void) state;
	perfopt_xoroshiro_seed(&generator, 7);
	for (int k = 0; k < 3; k++)
	{
		int counts[10] = { 0 };
		double chi_square = 0;

		for (int i = 0; i < N; i++)
		{
			int64_t x = k == 0   ? perfopt_draw_zipfian_int(&prng, 1, 10, 1.2)
						: k == 1 ? perfopt_draw_gaussian_int(&prng, 1, 10, 2.5)
								 : perfopt_draw_exponential_int(&prng, 1, 10, 3);

			counts[x - 1]++;
		}
		for (int i = 0; i < 10; i++)
		{
			double difference = counts[i] - theirs[k][i];

			chi_square += difference * difference / (counts[i] + theirs[k][i]);
		}
		assert_true(chi_square < chi_square_bound(9));
	}
}

/* Answers with the same bits again and again. */
static uint64_t
constant_next(void *state)
{
	return *(const uint64_t *) state;
}

static void
extremes_stay_in_range(void **state)
{
	uint64_t bits = 0;
	const PerfoptRandom constant = { constant_next, &bits };

	(void) state;
	assert_int_equal(perfopt_draw_exponential_int(&constant, 1, 10, 0.01), 1);
	assert_true(perfopt_draw_exponential(&constant, 5) == 0);
	bits = UINT64_MAX;
	for (int i = 0; i < 20000; i++)
		assert_int_equal(perfopt_draw_exponential_int(&constant, 1, 10, exp(i * 1e-3 - 17)), 10);
	assert_int_equal(perfopt_draw_exponential_int(&constant, 1, 10, 1e-300), 10);
	assert_int_equal(perfopt_draw_exponential_int(&constant, 1, 10, 1e300), 1);
	assert_true(isfinite(perfopt_draw_exponential(&constant, 5)));
	bits = 0;
	assert_int_equal(perfopt_draw_zipfian_int(&constant, 3, INT64_MAX, 1.001), 3);

	perfopt_xoroshiro_seed(&generator, 8);
	for (int i = 0; i < 10000; i++)
	{
		int64_t lo = perfopt_draw_int(&prng, INT64_MIN, INT64_MAX);
		int64_t hi = perfopt_draw_int(&prng, lo, INT64_MAX);
		int64_t e = perfopt_draw_exponential_int(&prng, lo, hi, 1e-9);
		int64_t g = perfopt_draw_gaussian_int(&prng, lo, hi, 2);
		int64_t z = perfopt_draw_zipfian_int(&prng, lo, hi, 1.001);

		assert_true(e >= lo && e <= hi);
		assert_true(g >= lo && g <= hi);
		assert_true(z >= lo && z <= hi);
		perfopt_draw_zipfian_int(&prng, INT64_MIN, INT64_MAX, 1.5);
		perfopt_draw_gaussian_int(&prng, INT64_MIN, INT64_MAX, 1e308);
		assert_int_equal(perfopt_draw_zipfian_int(&prng, lo, hi, 1000), lo);
		assert_int_equal(perfopt_draw_zipfian_int(&prng, hi, hi, 1.5), hi);
		assert_int_equal(perfopt_draw_gaussian_int(&prng, hi, hi, 2), hi);
		assert_int_equal(perfopt_draw_exponential_int(&prng, hi, hi, 2), hi);
	}
}

static void
parameters_have_limits(void **state)
{
	(void) state;
	assert_true(perfopt_draw_exponential_valid(1e-300) && perfopt_draw_exponential_valid(1e300));
	assert_false(perfopt_draw_exponential_valid(0) || perfopt_draw_exponential_valid(-1));
	assert_true(perfopt_draw_gaussian_valid(2) && perfopt_draw_gaussian_valid(100));
	assert_false(perfopt_draw_gaussian_valid(1.9999999));
	assert_true(perfopt_draw_zipfian_valid(1.001) && perfopt_draw_zipfian_valid(1000));
	assert_false(perfopt_draw_zipfian_valid(1.0009999) || perfopt_draw_zipfian_valid(1000.01));
	assert_false(perfopt_draw_exponential_valid(NAN) || perfopt_draw_exponential_valid(INFINITY));
	assert_false(perfopt_draw_gaussian_valid(NAN) || perfopt_draw_gaussian_valid(INFINITY));
	assert_false(perfopt_draw_zipfian_valid(NAN));
}

static void
continuous_draws_are_distributed(void **state)
{
	double *values = malloc(N * sizeof(double));

	(void) state;
	perfopt_xoroshiro_seed(&generator, 9);
	for (int i = 0; i < N; i++)
		values[i] = perfopt_draw_normal(&prng);
	assert_distribution(values, N, normal_cdf);

	for (int i = 0; i < N; i++)
		values[i] = perfopt_draw_exponential(&prng, 3);
	assert_distribution(values, N, exponential_cdf);

	for (int i = 0; i < N; i++)
	{
		values[i] = perfopt_draw_positive_normal(&prng, 1, 2);
		assert_true(values[i] >= 0);
	}
	assert_distribution(values, N, positive_cdf);
	free(values);

	assert_true(perfopt_draw_positive_normal(&prng, 5, 0) == 5);
	assert_true(perfopt_draw_positive_normal(&prng, 0, 1) >= 0);
	assert_true(perfopt_draw_positive_normal(&prng, -1e9, 1) == 0);
	assert_true(perfopt_draw_positive_normal(&prng, NAN, 1) == 0);
	assert_true(perfopt_draw_positive_normal(&prng, 1, INFINITY) == 0);
}

/* Values of pgbench 15, those with the seed 5432 also of its manual. */
static void
hashes_are_those_of_pgbench(void **state)
{
	(void) state;
	assert_true(perfopt_hash_murmur2(10, 5432) == INT64_C(-5817877081768721676));
	assert_true(perfopt_hash_murmur2(0, 0) == INT64_C(8217090173679840641));
	assert_true(perfopt_hash_murmur2(-1, -1) == INT64_C(1317380444104773032));
	assert_true(perfopt_hash_murmur2(123456789012345, 42) == INT64_C(4561875638953268273));
	assert_true(perfopt_hash_fnv1a(10, 5432) == INT64_C(-7793829335365542153));
	assert_true(perfopt_hash_fnv1a(0, 0) == INT64_C(-6284781860667377211));
	assert_true(perfopt_hash_fnv1a(-1, -1) == INT64_C(9116541788052886162));
	assert_true(perfopt_hash_fnv1a(123456789012345, 42) == INT64_C(3456100475342567728));
}

static void
permutations_are_those_of_pgbench(void **state)
{
	static const int ten[] = { 5, 6, 9, 2, 7, 3, 1, 8, 4, 0 };
	static const int seven[] = { 4, 3, 5, 6, 2, 1, 0 };

	(void) state;
	for (int i = 0; i < 10; i++)
	{
		assert_int_equal(perfopt_permute(i, 10, 1), ten[i]);
		assert_int_equal(perfopt_permute(i + 10, 10, 1), ten[i]);
	}
	for (int i = 0; i < 7; i++)
		assert_int_equal(perfopt_permute(i, 7, -12345), seven[i]);
	assert_int_equal(perfopt_permute(-1, 10, 1), 3);
	assert_int_equal(perfopt_permute(0, 4, 5432), 3);
	assert_int_equal(perfopt_permute(1, 2, 42), 0);
	assert_int_equal(perfopt_permute(1, 3, 42), 1);
	assert_int_equal(perfopt_permute(32, 64, 42), 21);
	assert_int_equal(perfopt_permute(500, 1000, 42), 653);
	assert_int_equal(perfopt_permute(500000003, 1000000007, 42), 815548319);
	assert_true(perfopt_permute(2147483648, 4294967296, 42) == INT64_C(3722121874));
	assert_true(perfopt_permute(123456789, INT64_MAX, 5) == INT64_C(3894710761635478692));
	assert_true(perfopt_permute(0, INT64_C(1) << 62, -1) == INT64_C(735334056672079798));
}

static void
permutations_lose_nothing(void **state)
{
	(void) state;
	for (int size = 1; size <= 1100; size += size < 70 ? 1 : 103)
		for (int64_t seed = -3; seed < 10; seed++)
		{
			bool *seen = calloc((size_t) size, sizeof(bool));

			for (int i = 0; i < size; i++)
			{
				int64_t to = perfopt_permute(i, size, seed);

				assert_true(to >= 0 && to < size);
				assert_false(seen[to]);
				seen[to] = true;
			}
			free(seen);
		}
}

/* Each of the 24 orders of four turns up as often as the others. */
static void
permutations_are_random(void **state)
{
	int counts[256] = { 0 };
	int orders = 0;
	double chi_square = 0;

	(void) state;
	for (int seed = 0; seed < 24000; seed++)
	{
		int order = 0;

		for (int i = 0; i < 4; i++)
			order = order * 4 + (int) perfopt_permute(i, 4, seed);
		counts[order]++;
	}
	for (int i = 0; i < 256; i++)
		if (counts[i] > 0)
		{
			orders++;
			chi_square += (counts[i] - 1000.0) * (counts[i] - 1000.0) / 1000;
		}
	assert_int_equal(orders, 24);
	assert_true(chi_square < chi_square_bound(23));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(doubles_are_uniform),
		cmocka_unit_test(integers_are_uniform),
		cmocka_unit_test(great_ranges_have_no_bias),
		cmocka_unit_test(exponential_is_cut_into_parts),
		cmocka_unit_test(gaussian_is_cut_into_parts),
		cmocka_unit_test(zipfian_falls_with_the_power),
		cmocka_unit_test(distributions_are_those_of_pgbench),
		cmocka_unit_test(extremes_stay_in_range),
		cmocka_unit_test(parameters_have_limits),
		cmocka_unit_test(continuous_draws_are_distributed),
		cmocka_unit_test(hashes_are_those_of_pgbench),
		cmocka_unit_test(permutations_are_those_of_pgbench),
		cmocka_unit_test(permutations_lose_nothing),
		cmocka_unit_test(permutations_are_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
