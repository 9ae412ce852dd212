/*
 * test_trend.c
 *	  Slopes, their intervals and seasons of series whose truth is known.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "math/trend.h"
#include "prng.h"

#define MOST 20160 /* a week at 30 s */
#define DAY 2880
#define TAU 6.283185307179586

static double value[MOST];
static double when[MOST];
static double scratch[PERFOPT_TREND_SCRATCH(MOST)];

static void
assert_near(double got, double expected, double tolerance)
{
	if (!(fabs(got - expected) <= tolerance))
		fail_msg("%.12g is not within %g of %.12g", got, tolerance, expected);
}

/* Noise of variance 1 with autocorrelation rho, on a line. */
static void
make_line(int n, double slope, double rho, uint64_t *seed)
{
	double noise = prng_normal(seed);

	for (int i = 0; i < n; i++)
	{
		noise = rho * noise + sqrt(1 - rho * rho) * prng_normal(seed);
		value[i] = 50 + slope * i + noise;
	}
}

/* In what share of series the interval of 95 % holds the slope. */
static double
coverage(int n, double slope, double rho, int runs, uint64_t seed)
{
	int held = 0;

	for (int run = 0; run < runs; run++)
	{
		PerfoptTrendFit fit;

		make_line(n, slope, rho, &seed);
		fit = perfopt_trend_fit(NULL, value, n, 0, 0.95, scratch);
		held += fit.low <= slope && slope <= fit.high;
		/* the test and the interval say the same */
		assert_true((fit.direction != 0) == (fit.low > 0 || fit.high < 0) ||
					fabs(fit.p_value - 0.05) < 0.01);
	}
	return (double) held / runs;
}

/* Three standard errors of 400 series at 95 % are 3.3 %, and of 1,000 2.1 %. */
static void
interval_holds_the_slope(void **state)
{
	(void) state;
	assert_true(coverage(20, 0.01, 0, 1000, 1) > 0.929);
	assert_true(coverage(100, 0.01, 0, 400, 2) > 0.917);
	assert_true(coverage(100, -0.02, 0.5, 400, 3) > 0.917);
	assert_true(coverage(100, 0.01, 0.8, 400, 4) > 0.90);
	assert_true(coverage(1000, 0.001, 0.8, 400, 5) > 0.917);
	assert_true(coverage(1000, 0, 0.9, 400, 6) > 0.917);
	/* and it is of use: not wider than needed by much */
	assert_true(coverage(1000, 0.001, 0, 400, 7) < 0.983);
}

static void
slope_is_recovered(void **state)
{
	uint64_t seed = 11;
	PerfoptTrendFit fit;

	(void) state;
	make_line(2000, 0.005, 0.3, &seed);
	fit = perfopt_trend_fit(NULL, value, 2000, 0, 0.95, scratch);
	assert_int_equal(fit.n, 2000);
	assert_int_equal(fit.direction, 1);
	assert_near(fit.slope, 0.005, 0.0003);
	assert_near(fit.last, 60, 0.3);
	assert_true(fit.p_value < 1e-6);
	for (int i = 0; i < 2000; i++)
		value[i] = -value[i];
	assert_int_equal(perfopt_trend_fit(NULL, value, 2000, 0, 0.95, scratch).direction, -1);
	for (int i = 0; i < 2000; i++)
		value[i] = -value[i];

	/* a third missing, and one value in ten far off: much the same */
	for (int i = 0; i < 2000; i++)
		if (prng_next(&seed) % 3 == 0)
			value[i] = NAN;
		else if (prng_next(&seed) % 10 == 0)
			value[i] = 1e6;
	fit = perfopt_trend_fit(NULL, value, 2000, 0, 0.95, scratch);
	assert_near(fit.slope, 0.005, 0.0006);
	assert_true(fit.low <= 0.005 && 0.005 <= fit.high);
	assert_true(fit.n < 1500);
}

/* The slope is per unit of x, wherever x begins. */
static void
times_of_their_own(void **state)
{
	uint64_t seed = 12;
	PerfoptTrendFit fit;

	(void) state;
	make_line(500, 0, 0, &seed);
	for (int i = 0; i < 500; i++)
	{
		when[i] = 1.7e9 + 30 * i + (i >= 250 ? 86400 : 0);
		value[i] += 1e-3 * (when[i] - 1.7e9);
	}
	fit = perfopt_trend_fit(when, value, 500, 0, 0.95, scratch);
	assert_near(fit.slope, 1e-3, 1e-5);
	assert_near(fit.last, 50 + 1e-3 * (when[499] - 1.7e9), 0.4);
}

static void
no_trend(void **state)
{
	PerfoptTrendFit fit;

	(void) state;
	for (int i = 0; i < 300; i++)
		value[i] = 7;
	fit = perfopt_trend_fit(NULL, value, 300, 0, 0.95, scratch);
	assert_int_equal(fit.direction, 0);
	assert_near(fit.slope, 0, 0);
	assert_near(fit.p_value, 1, 0);
	assert_near(fit.last, 7, 0);
	fit = perfopt_trend_fit(NULL, value, 9, 0, 0.95, scratch);
	assert_int_equal(fit.direction, 0);
	assert_true(isnan(fit.slope) && isnan(fit.p_value) && isnan(fit.low));
	assert_int_equal(perfopt_trend_fit(NULL, value, 0, 0, 0.95, scratch).n, 0);
	/* a level that is none leaves the line */
	for (int i = 0; i < 300; i++)
		value[i] = i;
	fit = perfopt_trend_fit(NULL, value, 300, 0, 0, scratch);
	assert_near(fit.slope, 1, 1e-12);
	assert_near(fit.last, 299, 1e-9);
	assert_int_equal(fit.direction, 0);
	assert_true(isnan(fit.low));
	for (int i = 0; i < 300; i++)
		value[i] = NAN;
	assert_int_equal(perfopt_trend_fit(NULL, value, 300, 7, 0.95, scratch).n, 0);
}

/* A week of a daily cycle ten times the noise, seen from its ebb to its flood. */
static void
season_is_no_trend(void **state)
{
	uint64_t seed = 13;
	PerfoptTrendFit fit;

	(void) state;
	make_line(MOST - DAY / 2, 0, 0.5, &seed);
	for (int i = 0; i < MOST - DAY / 2; i++)
		value[i] -= 10 * cos(TAU * i / DAY);
	fit = perfopt_trend_fit(NULL, value, MOST - DAY / 2, DAY, 0.95, scratch);
	assert_int_equal(fit.direction, 0);
	assert_near(fit.slope, 0, 1e-5);
	for (int i = 0; i < MOST - DAY / 2; i++)
		value[i] += 1e-4 * i;
	fit = perfopt_trend_fit(NULL, value, MOST - DAY / 2, DAY, 0.95, scratch);
	assert_int_equal(fit.direction, 1);
	assert_near(fit.slope, 1e-4, 1e-5);
}

/* A sine of amplitude a has variance a^2 / 2, so its strength beside noise of 1 is a^2 / (a^2 + 2). */
static void
strengths_of_seasons(void **state)
{
	uint64_t seed = 14;

	(void) state;
	for (int a = 0; a <= 4; a++)
		for (int period = 24; period <= 25; period++)
		{
			make_line(960, 0.01, 0, &seed);
			for (int i = 0; i < 960; i++)
			{
				value[i] += a * sin(TAU * i / period);
				if (i % 50 == 7)
					value[i] = NAN;
			}
			assert_near(perfopt_trend_seasonality(value, 960, period, scratch),
						a * a / (a * a + 2.0), 0.06);
			/* of a period that is not there, there is little */
			assert_true(perfopt_trend_seasonality(value, 960, 17, scratch) < 0.15);
		}
	/* nothing else than a season */
	for (int i = 0; i < 70; i++)
		value[i] = i % 7 + 3.0 * i;
	assert_near(perfopt_trend_seasonality(value, 70, 7, scratch), 1, 1e-9);
	/* noise over three periods, which fitted means alone would call half a season */
	make_line(72, 0, 0, &seed);
	assert_true(perfopt_trend_seasonality(value, 72, 24, scratch) < 0.4);
	assert_true(isnan(perfopt_trend_seasonality(value, 71, 24, scratch)));
	assert_true(isnan(perfopt_trend_seasonality(value, 72, 1, scratch)));
	assert_true(isnan(perfopt_trend_seasonality(value, 72, 0, scratch)));
	for (int i = 0; i < 72; i++)
		value[i] = 3;
	assert_true(isnan(perfopt_trend_seasonality(value, 72, 24, scratch)));
	for (int i = 0; i < 72; i++)
		value[i] = NAN;
	assert_true(isnan(perfopt_trend_seasonality(value, 72, 24, scratch)));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(interval_holds_the_slope), cmocka_unit_test(slope_is_recovered),
		cmocka_unit_test(times_of_their_own),       cmocka_unit_test(no_trend),
		cmocka_unit_test(season_is_no_trend),       cmocka_unit_test(strengths_of_seasons),
	};

	return cmocka_run_group_tests_name("trend", tests, NULL, NULL);
}
