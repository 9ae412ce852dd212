/*
 * test_capacity.c
 *	  When a capacity is reached, and when nothing may be said.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "math/capacity.h"
#include "prng.h"

#define DAY 86400.0

static const PerfoptTrendFit rising = { 2880, 1, 2, 1, 4, 100, 1e-9, 1 };

static void
assert_near(double got, double expected, double tolerance)
{
	if (!(fabs(got - expected) <= tolerance))
		fail_msg("%.12g is not within %g of %.12g", got, tolerance, expected);
}

static void
worked_by_hand(void **state)
{
	PerfoptCapacity found = perfopt_capacity(&rising, 1100, DAY, HUGE_VAL);

	(void) state;
	assert_near(found.exhausted_at, 500, 0);
	assert_near(found.exhausted_earliest, 250, 0);
	/* of the two, only one is within the horizon; then none is */
	found = perfopt_capacity(&rising, 1100, DAY, 499);
	assert_true(isnan(found.exhausted_at));
	assert_near(found.exhausted_earliest, 250, 0);
	found = perfopt_capacity(&rising, 1100, DAY, 249);
	assert_true(isnan(found.exhausted_at) && isnan(found.exhausted_earliest));
	/* reached already */
	found = perfopt_capacity(&rising, 100, DAY, 1);
	assert_near(found.exhausted_at, 0, 0);
	assert_near(found.exhausted_earliest, 0, 0);
}

static void
nothing_is_claimed(void **state)
{
	double scratch[PERFOPT_TREND_SCRATCH(1)];
	PerfoptTrendFit fit = rising;
	PerfoptCapacity found = perfopt_capacity(&fit, 1100, DAY - 1, HUGE_VAL);

	(void) state;
	assert_true(isnan(found.exhausted_at) && isnan(found.exhausted_earliest));
	found = perfopt_capacity(&fit, 1100, NAN, HUGE_VAL);
	assert_true(isnan(found.exhausted_at));
	found = perfopt_capacity(&fit, NAN, DAY, HUGE_VAL);
	assert_true(isnan(found.exhausted_at));
	fit.direction = 0; /* not significant */
	found = perfopt_capacity(&fit, 1100, DAY, HUGE_VAL);
	assert_true(isnan(found.exhausted_at) && isnan(found.exhausted_earliest));
	fit.direction = -1;
	fit.slope = -2;
	found = perfopt_capacity(&fit, 1100, DAY, HUGE_VAL);
	assert_true(isnan(found.exhausted_at) && isnan(found.exhausted_earliest));
	fit = perfopt_trend_fit(NULL, &fit.slope, 1, 0, 0.95, scratch);
	found = perfopt_capacity(&fit, 1100, DAY, HUGE_VAL);
	assert_true(isnan(found.exhausted_at) && isnan(found.exhausted_earliest));
}

/* A disk that fills by a byte a second: earliest is too late in about one of 40. */
static void
together_with_a_trend(void **state)
{
	static double when[2880];
	static double value[2880];
	static double scratch[PERFOPT_TREND_SCRATCH(2880)];
	uint64_t seed = 3;
	int late = 0;

	(void) state;
	for (int run = 0; run < 100; run++)
	{
		PerfoptTrendFit fit;
		PerfoptCapacity found;

		for (int i = 0; i < 2880; i++)
		{
			when[i] = 1.7e9 + 30 * i;
			value[i] = 1e6 + 30 * i + 10000 * prng_normal(&seed);
		}
		fit = perfopt_trend_fit(when, value, 2880, 0, 0.95, scratch);
		found = perfopt_capacity(&fit, 1e6 + 7 * DAY, DAY, 30 * DAY);
		assert_near(found.exhausted_at, 6 * DAY, 0.4 * DAY);
		assert_true(found.exhausted_earliest < found.exhausted_at);
		late += found.exhausted_earliest > 6 * DAY;
	}
	assert_true(late <= 8);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(worked_by_hand),
		cmocka_unit_test(nothing_is_claimed),
		cmocka_unit_test(together_with_a_trend),
	};

	return cmocka_run_group_tests_name("capacity", tests, NULL, NULL);
}
