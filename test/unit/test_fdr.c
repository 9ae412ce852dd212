/*
 * test_fdr.c
 *	  Benjamini's and Hochberg's adjustment against their own example, and its promise by simulation.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "math/fdr.h"
#include "prng.h"

#define MAX_N 40

static double scratch[PERFOPT_FDR_SCRATCH(MAX_N)];

static void
assert_near(double got, double expected, double tolerance)
{
	if (!(fabs(got - expected) <= tolerance))
		fail_msg("%.12g is not within %g of %.12g", got, tolerance, expected);
}

/*
 * The 15 p-values of their section 3.2, of which four are rejected at 5 % (where Bonferroni rejects
 * three).  Adjusted as R's p.adjust(p, "BH") does: 15 p(i) / i, then the least of those behind.
 */
static void
example_of_1995(void **state)
{
	const double p[] = { 0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344,
						 0.0459, 0.3240, 0.4262, 0.5719, 0.6528, 0.7590, 1.0000 };
	const double expected[] = { 0.0015,     0.003,      0.0095,         0.035625,       0.0603,
								0.06385714, 0.06385714, 0.0645,         0.0765,         0.486,
								0.58118182, 0.714875,   0.753230769231, 0.813214285714, 1 };
	double adjusted[15];

	(void) state;
	perfopt_fdr_adjust(p, 15, adjusted, scratch);
	for (int i = 0; i < 15; i++)
		assert_near(adjusted[i], expected[i], 1e-8);
	assert_true(adjusted[3] <= 0.05 && adjusted[4] > 0.05);
}

/* Any order, with what is no test in between, with ties, and in place. */
static void
order_and_gaps(void **state)
{
	double p[] = { 0.04, NAN, 0.01, 0.03, -0.1, 0.03, 1.5, 0.5 };
	const double expected[] = { 0.05, NAN, 0.05, 0.05, NAN, 0.05, NAN, 0.5 };
	double one = 0.2;
	double none = NAN;

	(void) state;
	/* five tests: 0.01 * 5, 0.03 * 5 / 3, 0.04 * 5 / 4, 0.5 */
	perfopt_fdr_adjust(p, 8, p, scratch);
	for (int i = 0; i < 8; i++)
		if (isnan(expected[i]))
			assert_true(isnan(p[i]));
		else
			assert_near(p[i], expected[i], 1e-15);
	perfopt_fdr_adjust(&one, 1, &one, scratch);
	assert_near(one, 0.2, 0);
	perfopt_fdr_adjust(&none, 1, &none, scratch);
	assert_true(isnan(none));
	perfopt_fdr_adjust(&one, 0, &one, scratch);
	assert_near(one, 0.2, 0);
}

/*
 * 30 tests without an effect and 10 with one of three standard errors: of what is rejected at 10 %,
 * 30/40 of 10 % should not have been.  Unadjusted it would be a quarter.
 */
static void
share_of_false_discoveries(void **state)
{
	const int runs = 4000;
	uint64_t seed = 71;
	double shares = 0;
	double found = 0;

	(void) state;
	for (int run = 0; run < runs; run++)
	{
		double p[MAX_N];
		int rejected = 0;
		int wrong = 0;

		for (int i = 0; i < MAX_N; i++)
			p[i] = erfc(fabs(prng_normal(&seed) + (i < 30 ? 0 : 3)) / sqrt(2));
		perfopt_fdr_adjust(p, MAX_N, p, scratch);
		for (int i = 0; i < MAX_N; i++)
		{
			rejected += p[i] <= 0.1;
			wrong += i < 30 && p[i] <= 0.1;
		}
		shares += rejected > 0 ? (double) wrong / rejected : 0;
		found += (rejected - wrong) / 10.0;
	}
	assert_near(shares / runs, 0.075, 0.006);
	assert_true(found / runs > 0.6);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(example_of_1995),
		cmocka_unit_test(order_and_gaps),
		cmocka_unit_test(share_of_false_discoveries),
	};

	return cmocka_run_group_tests_name("fdr", tests, NULL, NULL);
}
