/*
 * test_student.c
 *	  Student's t and the normal distribution against tables and closed forms, and the prediction
 *	  interval against a case worked by hand and simulation.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "math/student.h"
#include "prng.h"

static void
assert_near(double got, double expected, double tolerance)
{
	if (!(fabs(got - expected) <= tolerance))
		fail_msg("%.12g is not within %g of %.12g", got, tolerance, expected);
}

/* From the usual tables of Student's t, to more digits. */
static void
quantile_matches_tables(void **state)
{
	(void) state;
	assert_near(perfopt_student_quantile(0.975, 1), 12.706204736174705, 1e-9);
	assert_near(perfopt_student_quantile(0.975, 2), 4.302652729749462, 1e-10);
	assert_near(perfopt_student_quantile(0.975, 4), 2.7764451051977934, 1e-10);
	assert_near(perfopt_student_quantile(0.95, 10), 1.812461122811676, 1e-10);
	assert_near(perfopt_student_quantile(0.995, 29), 2.756385903670605, 1e-10);
	assert_near(perfopt_student_quantile(0.975, 1e7), 1.959964197, 1e-6);
	assert_near(perfopt_student_quantile(0.975, INFINITY), 1.959963984540054, 1e-12);
	assert_near(perfopt_student_quantile(0.025, 4), -2.7764451051977934, 1e-10);
	assert_near(perfopt_student_quantile(0.5, 3), 0, 0);
	assert_true(isnan(perfopt_student_quantile(0, 3)));
	assert_true(isnan(perfopt_student_quantile(1, 3)));
	assert_true(isnan(perfopt_student_quantile(NAN, 3)));
	assert_true(isnan(perfopt_student_quantile(0.9, 0)));
	assert_true(isnan(perfopt_student_quantile(0.9, NAN)));
}

/*
 * Closed forms (Abramowitz, Stegun 26.7.3 and 26.7.4): 1/2 - atan(t)/pi for one degree of freedom,
 * (1 - t / sqrt(2 + t^2)) / 2 for two; the sums for 10,000 and 1,000,000 taken in 50 decimals.
 */
static void
tail_matches_closed_forms(void **state)
{
	(void) state;
	for (int i = -3; i < 20; i++)
	{
		double t = ldexp(1, i);
		double one = atan(1 / t) / 3.14159265358979323846;
		double root = sqrt(2 + t * t);
		double two = 1 / (root * (root + t));

		assert_near(perfopt_student_tail(t, 1) / one, 1, 1e-12);
		assert_near(perfopt_student_tail(t, 2) / two, 1, 1e-12);
	}
	assert_near(perfopt_student_tail(3, 3), 0.028834442811218663, 1e-14);
	assert_near(perfopt_student_tail(2, 1e4), 0.022763630330627718, 1e-12);
	assert_near(perfopt_student_tail(5, 1e4), 2.915163306831324e-7, 1e-16);
	assert_near(perfopt_student_tail(2, 1e6), 0.02275026692565960, 3e-10);
	assert_near(perfopt_student_tail(2, 1e9), 0.02275013194817921, 1e-9);
	assert_near(perfopt_student_tail(2, INFINITY), 0.02275013194817921, 1e-15);
}

static void
cdf_and_tails_agree(void **state)
{
	(void) state;
	assert_near(perfopt_student_cdf(0, 5), 0.5, 1e-15);
	assert_near(perfopt_student_cdf(-1.5, 7) + perfopt_student_cdf(1.5, 7), 1, 1e-15);
	assert_near(perfopt_student_tail(-1.5, 7), perfopt_student_cdf(1.5, 7), 0);
	assert_near(perfopt_student_two_sided(-2.5, 9), 2 * perfopt_student_tail(2.5, 9), 0);
	assert_near(perfopt_student_two_sided(0, 9), 1, 1e-15);
	/* t(29; 0.995) of the tables again, the other way round */
	assert_near(perfopt_student_two_sided(2.756385903670605, 29), 0.01, 1e-12);
	assert_true(perfopt_student_cdf(INFINITY, 3) == 1 && perfopt_student_cdf(-INFINITY, 3) == 0);
	assert_true(perfopt_student_tail(1e200, 3) == 0);
	assert_true(isnan(perfopt_student_cdf(NAN, 3)));
	assert_true(isnan(perfopt_student_tail(1, 0)));
	assert_true(isnan(perfopt_student_two_sided(1, -1)));
	for (int i = 0; i < 20; i++)
		for (int j = 0; j < 27; j++)
		{
			double df = 0.5 * pow(3, i);
			double p = 0.001 + 0.037 * j;

			assert_near(perfopt_student_cdf(perfopt_student_quantile(p, df), df), p, 1e-10);
		}
}

/* The three values that Wichura gives with AS 241, one for each of its ranges, and the usual ones. */
static void
normal_matches_tables(void **state)
{
	(void) state;
	assert_near(perfopt_normal_quantile(0.25), -0.6744897501960817, 1e-15);
	assert_near(perfopt_normal_quantile(0.001), -3.090232306167814, 1e-14);
	assert_near(perfopt_normal_quantile(1e-20), -9.262340089798408, 1e-13);
	assert_near(perfopt_normal_quantile(0.975), 1.959963984540054, 1e-14);
	assert_near(perfopt_normal_quantile(0.995), 2.5758293035489004, 1e-13);
	assert_near(perfopt_normal_quantile(0.5), 0, 0);
	assert_near(perfopt_normal_cdf(1), 0.8413447460685429, 1e-15);
	assert_near(perfopt_normal_cdf(-3), 0.0013498980316300957, 1e-17);
	assert_near(perfopt_normal_tail(10) / 7.619853024160525e-24, 1, 1e-12);
	assert_true(isinf(perfopt_normal_quantile(0)) && perfopt_normal_quantile(0) < 0);
	assert_true(isinf(perfopt_normal_quantile(1)) && perfopt_normal_quantile(1) > 0);
	assert_true(isnan(perfopt_normal_quantile(-0.1)) && isnan(perfopt_normal_quantile(1.1)));
	assert_true(isnan(perfopt_normal_quantile(NAN)) && isnan(perfopt_normal_cdf(NAN)));
}

/* A wrong coefficient of any of the six polynomials would show. */
static void
normal_quantile_inverts(void **state)
{
	(void) state;
	for (int i = 1; i < 1000; i++)
		assert_near(perfopt_normal_cdf(perfopt_normal_quantile(ldexp(1, -i))) * ldexp(1, i), 1,
					1e-12);
	for (int i = 1; i < 100; i++)
		assert_near(perfopt_normal_cdf(perfopt_normal_quantile(i / 100.0)), i / 100.0, 1e-15);
}

/*
 * Of 8 9 10 11 12: mean 10, s = sqrt(10 / 4), t(4; 0.975) = 2.7764451; for two more observations
 * 10 +- 2.7764451 * 1.5811388 * sqrt(1/2 + 1/5) = 10 +- 3.6728916.
 */
static void
prediction_worked_by_hand(void **state)
{
	const double v[] = { 8, NAN, 9, 10, INFINITY, 11, 12 };
	const double same[] = { 1e9, 1e9, 1e9 };
	double low;
	double high;

	(void) state;
	assert_true(perfopt_prediction_interval(v, 7, 2, 0.95, &low, &high));
	assert_near(low, 10 - 3.6728916, 1e-6);
	assert_near(high, 10 + 3.6728916, 1e-6);
	assert_true(perfopt_prediction_interval(same, 3, 1, 0.95, &low, &high));
	assert_true(low == 1e9 && high == 1e9);
	assert_false(perfopt_prediction_interval(v, 2, 1, 0.95, &low, &high));
	assert_true(isnan(low) && isnan(high));
	assert_false(perfopt_prediction_interval(v, 0, 1, 0.95, &low, &high));
	assert_false(perfopt_prediction_interval(v, 7, 0, 0.95, &low, &high));
	assert_false(perfopt_prediction_interval(v, 7, 1, 1, &low, &high));
	assert_false(perfopt_prediction_interval(v, 7, 1, NAN, &low, &high));
}

static double
prediction_coverage(int n, int m, double level, uint64_t seed)
{
	const int runs = 4000;
	int held = 0;

	for (int run = 0; run < runs; run++)
	{
		double past[20];
		double future = 0;
		double low;
		double high;

		for (int i = 0; i < n; i++)
			past[i] = 100 + 5 * prng_normal(&seed);
		for (int i = 0; i < m; i++)
			future += (100 + 5 * prng_normal(&seed)) / m;
		assert_true(perfopt_prediction_interval(past, n, m, level, &low, &high));
		held += low <= future && future <= high;
	}
	return (double) held / runs;
}

static void
prediction_holds_the_future(void **state)
{
	(void) state;
	/* three standard errors of a simulation of 4,000 runs are 1 % at 95 %, 1.4 % at 90 % */
	assert_near(prediction_coverage(5, 1, 0.95, 41), 0.95, 0.011);
	assert_near(prediction_coverage(5, 3, 0.95, 42), 0.95, 0.011);
	assert_near(prediction_coverage(20, 5, 0.9, 43), 0.9, 0.015);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(quantile_matches_tables),     cmocka_unit_test(tail_matches_closed_forms),
		cmocka_unit_test(cdf_and_tails_agree),         cmocka_unit_test(normal_matches_tables),
		cmocka_unit_test(normal_quantile_inverts),     cmocka_unit_test(prediction_worked_by_hand),
		cmocka_unit_test(prediction_holds_the_future),
	};

	return cmocka_run_group_tests_name("student", tests, NULL, NULL);
}
