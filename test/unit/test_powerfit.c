/*
 * test_powerfit.c
 *	  Exponents of exact and published data, and the interval by simulation.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "math/powerfit.h"
#include "prng.h"

static void
assert_near(double got, double expected, double tolerance)
{
	if (!(fabs(got - expected) <= tolerance))
		fail_msg("%.12g is not within %g of %.12g", got, tolerance, expected);
}

static void
exact_data(void **state)
{
	const double x[] = { 1e3, 1e4, 1e5, 1e6, 1e7 };
	PerfoptPower power;
	double y[5];

	(void) state;
	for (int twice = -4; twice <= 6; twice++)
	{
		double b = twice / 2.0;

		for (int i = 0; i < 5; i++)
			y[i] = 0.25 * pow(x[i], b);
		assert_true(perfopt_power_fit(x, y, 5, 0.95, &power));
		assert_int_equal(power.n, 5);
		assert_near(power.exponent, b, 1e-12);
		assert_near(power.factor, 0.25, 1e-10);
		assert_near(power.low, b, 1e-6);
		assert_near(power.high, b, 1e-6);
		if (b != 0)
			assert_near(power.r2, 1, 1e-12);
	}
	/* sorting n rows */
	for (int i = 0; i < 5; i++)
		y[i] = x[i] * log(x[i]);
	assert_true(perfopt_power_fit(x, y, 5, 0.95, &power));
	assert_near(power.exponent, 1.1, 0.02);
}

/*
 * R's data `cars`, speed and stopping distance: summary(lm(log(dist) ~ log(speed), cars)) says
 * slope 1.6024 with standard error 0.1395 and 48 degrees of freedom, intercept -0.7297, R^2 0.7331;
 * t(48; 0.975) = 2.0106348.
 */
static void
published_data(void **state)
{
	const double speed[] = { 4,  4,  7,  7,  8,  9,  10, 10, 10, 11, 11, 12, 12, 12, 12, 13, 13,
							 13, 13, 14, 14, 14, 14, 15, 15, 15, 16, 16, 17, 17, 17, 18, 18, 18,
							 18, 19, 19, 19, 20, 20, 20, 20, 20, 22, 23, 24, 24, 24, 24, 25 };
	const double dist[] = { 2,  10, 4,  22, 16, 10, 18, 26, 34, 17, 28, 14, 20, 24, 28,  26, 34,
							34, 46, 26, 36, 60, 80, 20, 26, 54, 32, 40, 32, 40, 50, 42,  56, 76,
							84, 36, 46, 68, 32, 48, 52, 56, 64, 66, 54, 70, 92, 93, 120, 85 };
	PerfoptPower power;

	(void) state;
	assert_true(perfopt_power_fit(speed, dist, 50, 0.95, &power));
	assert_near(power.exponent, 1.6024, 5e-5);
	assert_near(log(power.factor), -0.7297, 5e-5);
	assert_near((power.high - power.low) / 2 / 2.0106348, 0.1395, 5e-5);
	assert_near(power.r2, 0.7331, 5e-5);
}

static void
edges(void **state)
{
	const double x[] = { 1, 0, -1, NAN, 10, INFINITY, 3 };
	const double y[] = { 5, 1, 1, 1, 50, 1, -1 };
	const double same[] = { 7, 7, 7, 7, 7, 7, 7 };
	PerfoptPower power;

	(void) state;
	assert_true(perfopt_power_fit(x, y, 7, 0.95, &power));
	assert_int_equal(power.n, 2);
	assert_near(power.exponent, 1, 1e-12);
	assert_near(power.factor, 5, 1e-12);
	assert_true(isnan(power.low) && isnan(power.high));
	assert_false(perfopt_power_fit(x, y, 4, 0.95, &power));
	assert_int_equal(power.n, 1);
	assert_true(isnan(power.exponent) && isnan(power.factor) && isnan(power.r2));
	assert_false(perfopt_power_fit(same, same, 7, 0.95, &power));
	assert_false(perfopt_power_fit(x, y, 0, 0.95, &power));
	assert_true(perfopt_power_fit(x + 4, same, 3, 0.95, &power));
	assert_true(power.exponent == 0 && isnan(power.r2));
	assert_true(perfopt_power_fit(same + 6, same + 6, 1, 0.95, &power) == false);
	for (int i = 0; i < 2; i++)
	{
		const double level = i == 0 ? 1 : NAN;

		assert_true(perfopt_power_fit(x, x, 7, level, &power));
		assert_near(power.exponent, 1, 1e-12);
		assert_true(isnan(power.low) && isnan(power.high));
	}
}

static void
interval_covers_the_truth(void **state)
{
	const int runs = 4000;
	uint64_t seed = 111;
	int held = 0;

	(void) state;
	for (int run = 0; run < runs; run++)
	{
		double x[6];
		double y[6];
		PerfoptPower power;

		for (int i = 0; i < 6; i++)
		{
			x[i] = 1000 << i;
			y[i] = 3 * pow(x[i], 1.2) * exp(0.2 * prng_normal(&seed));
		}
		assert_true(perfopt_power_fit(x, y, 6, 0.95, &power));
		held += power.low <= 1.2 && 1.2 <= power.high;
	}
	/* three standard errors of a simulation of 4,000 runs are 1 % */
	assert_near((double) held / runs, 0.95, 0.011);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(exact_data),
		cmocka_unit_test(published_data),
		cmocka_unit_test(edges),
		cmocka_unit_test(interval_covers_the_truth),
	};

	return cmocka_run_group_tests_name("powerfit", tests, NULL, NULL);
}
