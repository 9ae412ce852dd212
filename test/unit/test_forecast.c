/*
 * test_forecast.c
 *	  What a forecast promises, on series whose future is known.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "math/forecast.h"
#include "prng.h"

#define TAU 6.283185307179586
#define MOST 30000

static double v[MOST];
static double *value; /* of the last forecast */
static double *lower;
static double *upper;
static PerfoptForecast f;
static PerfoptForecastOptions options;

/*
 * Everything that is written to has exactly the size it may have, so that the sanitizer sees what
 * is written past its end.
 */
static PerfoptForecastStatus
forecast(int n, int horizon)
{
	void *scratch = malloc(perfopt_forecast_scratch(n, horizon));
	double *copy = malloc(((size_t) n + 1) * sizeof *copy);
	PerfoptForecastStatus status;

	free(value);
	free(lower);
	free(upper);
	value = malloc((size_t) horizon * sizeof *value);
	lower = malloc((size_t) horizon * sizeof *lower);
	upper = malloc((size_t) horizon * sizeof *upper);
	f = (PerfoptForecast){ .value = value, .lower = lower, .upper = upper };
	memcpy(copy, v, (size_t) n * sizeof *copy);
	status = perfopt_forecast(copy, n, horizon, &options, &f, scratch);
	assert_memory_equal(copy, v, (size_t) n * sizeof *copy);
	for (int i = 0; i < horizon && status == PERFOPT_FORECAST_OK; i++)
		if (!(options.minimum <= lower[i] && lower[i] <= value[i] && value[i] <= upper[i] &&
			  upper[i] <= options.maximum && isfinite(value[i])))
			fail_msg("step %d of %d values: %g <= %g <= %g", i, n, lower[i], value[i], upper[i]);
	free(copy);
	free(scratch);
	return status;
}

static int
setup(void **state)
{
	(void) state;
	options = perfopt_forecast_defaults;
	return 0;
}

/* Mean absolute distance from what truth(i) says of the values behind the n-th. */
static double
distance(double (*truth)(int), int n, int horizon)
{
	double sum = 0;

	for (int i = 0; i < horizon; i++)
		sum += fabs(value[i] - truth(n + i)) / horizon;
	return sum;
}

/* Office hours, five days a week; hourly values. */
static double
office(int i)
{
	int hour = i % 24;
	int day = i / 24 % 7;

	return 40 + (hour >= 8 && hour < 18 && day < 5 ? 80 : 0) + 10 * sin(TAU * hour / 24);
}

static double
shifted_office(int i)
{
	return office(i) + (i >= 700 - 60 ? 100 : 0);
}

static double
rising_office(int i)
{
	return office(i) + 0.2 * i;
}

static void
fill(double (*truth)(int), int n, double noise, uint64_t seed)
{
	for (int i = 0; i < n; i++)
		v[i] = truth(i) + noise * prng_normal(&seed);
}

static void
days_and_weeks_go_on(void **state)
{
	const int given[] = { 24, 168 };

	(void) state;
	fill(office, 700, 5, 21);
	assert_int_equal(forecast(700, 168), PERFOPT_FORECAST_OK);
	assert_int_equal(f.limits, 0);
	assert_int_equal(f.seasons, 2);
	assert_int_equal(f.season[0], 24);
	assert_int_equal(f.season[1], 168);
	assert_int_equal(f.origins, PERFOPT_FORECAST_ORIGINS);
	assert_true(distance(office, 700, 168) < 3.5);
	/* against values, not the truth: noise of 5 is off by 4 on average */
	assert_true(f.error > 3 && f.error < 7);
	options.season = given;
	options.seasons = 2;
	forecast(700, 168);
	assert_int_equal(f.seasons, 2);
	assert_true(distance(office, 700, 168) < 3.5);
	/* told that there are none */
	options.seasons = 0;
	forecast(700, 168);
	assert_int_equal(f.limits & PERFOPT_FORECAST_NO_SEASON, PERFOPT_FORECAST_NO_SEASON);
	assert_true(distance(office, 700, 168) > 10);
}

static void
trend_goes_on(void **state)
{
	(void) state;
	fill(rising_office, 700, 3, 22);
	forecast(700, 48);
	assert_true(distance(rising_office, 700, 48) < 6);
	/* a line without noise or season */
	for (int i = 0; i < 100; i++)
		v[i] = 1000 + 10 * i;
	forecast(100, 10);
	assert_true(fabs(value[9] - 2090) < 25);
}

static void
gaps_are_bridged(void **state)
{
	uint64_t seed = 23;

	(void) state;
	fill(office, 700, 5, 24);
	for (int i = 0; i < 700; i++)
		if (prng_next(&seed) % 10 == 0 || (i >= 500 && i < 530) || i < 7)
			v[i] = i % 2 == 0 ? NAN : INFINITY;
	assert_int_equal(forecast(700, 72), PERFOPT_FORECAST_OK);
	assert_true(distance(office, 700, 72) < 5);
	assert_int_equal(f.limits, 0);
	/* nothing of the last day */
	for (int i = 676; i < 700; i++)
		v[i] = NAN;
	assert_int_equal(forecast(700, 72), PERFOPT_FORECAST_OK);
	assert_true(distance(office, 700, 72) < 8);
	for (int i = 0; i < 700; i++)
		if (i % 3 == 0)
			v[i] = NAN;
	assert_int_equal(forecast(700, 72), PERFOPT_FORECAST_OK);
	assert_int_equal(f.limits, PERFOPT_FORECAST_GAPS);
	assert_true(distance(office, 700, 72) < 9);
}

static void
outliers_do_not_matter(void **state)
{
	uint64_t seed = 25;

	(void) state;
	fill(office, 700, 5, 26);
	for (int i = 0; i < 700; i++)
		if (prng_next(&seed) % 70 == 0)
			v[i] += prng_next(&seed) % 2 == 0 ? 3000 : -3000;
	forecast(700, 72);
	assert_int_equal(f.season[0], 24);
	assert_true(distance(office, 700, 72) < 6);
}

static void
a_level_shift_is_followed(void **state)
{
	(void) state;
	fill(shifted_office, 700, 5, 27);
	forecast(700, 48);
	assert_true(distance(shifted_office, 700, 48) < 30);
	/* without seasons */
	for (int i = 0; i < 300; i++)
		v[i] = (i < 270 ? 10 : 50) + 0.1 * (i % 3);
	forecast(300, 10);
	for (int i = 0; i < 10; i++)
		assert_true(fabs(value[i] - 50) < 3);
}

static void
a_constant_stays(void **state)
{
	(void) state;
	for (int n = PERFOPT_FORECAST_LEAST; n < 100; n += 5)
	{
		for (int i = 0; i < n; i++)
			v[i] = 0.1;
		assert_int_equal(forecast(n, 30), PERFOPT_FORECAST_OK);
		assert_int_equal(f.limits & PERFOPT_FORECAST_CONSTANT, PERFOPT_FORECAST_CONSTANT);
		for (int i = 0; i < 30; i++)
			assert_true(value[i] == 0.1 && lower[i] == 0.1 && upper[i] == 0.1);
	}
}

static void
intermittent_series(void **state)
{
	uint64_t seed = 28;
	int within = 0;

	(void) state;
	/* what comes at random is not forecast, but allowed for */
	for (int i = 0; i < 600; i++)
		v[i] = prng_next(&seed) % 5 == 0 ? 10 + 5 * prng_uniform(&seed) : 0;
	options.minimum = 0;
	forecast(500, 100);
	assert_int_equal(f.limits & PERFOPT_FORECAST_INTERMITTENT, PERFOPT_FORECAST_INTERMITTENT);
	for (int i = 0; i < 100; i++)
	{
		assert_true(value[i] == 0);
		within += v[500 + i] <= upper[i];
	}
	assert_true(within >= 90);
	/* what comes every night is */
	for (int i = 0; i < 500; i++)
		v[i] = i % 24 == 3 ? 100 + prng_normal(&seed) : 0;
	forecast(500, 48);
	for (int i = 0; i < 48; i++)
		assert_true(fabs(value[i] - ((500 + i) % 24 == 3 ? 100 : 0)) < 3);
}

static void
few_values(void **state)
{
	uint64_t seed = 29;

	(void) state;
	for (int i = 0; i < 60; i++)
		v[i] = 100 + prng_normal(&seed);
	for (int n = 0; n < PERFOPT_FORECAST_LEAST; n++)
	{
		assert_int_equal(forecast(n, 5), PERFOPT_FORECAST_TOO_SHORT);
		for (int i = 0; i < 5; i++)
			assert_true(isnan(value[i]) && isnan(lower[i]) && isnan(upper[i]));
	}
	for (int n = PERFOPT_FORECAST_LEAST; n < 60; n++)
		for (int horizon = 1; horizon < 100; horizon += 33)
		{
			assert_int_equal(forecast(n, horizon), PERFOPT_FORECAST_OK);
			assert_true(fabs(value[0] - 100) < 5);
			assert_true(lower[0] < value[0] && value[0] < upper[0]);
			assert_int_equal(!(f.limits & PERFOPT_FORECAST_UNTESTED), f.origins > 0);
			if (f.origins > 0)
				assert_int_equal(!(f.limits & PERFOPT_FORECAST_FAR), horizon <= n / 3);
		}
	/* all but three are missing */
	for (int i = 0; i < 57; i++)
		v[i] = NAN;
	assert_int_equal(forecast(60, 5), PERFOPT_FORECAST_TOO_SHORT);
	v[59] = NAN;
	v[58] = NAN;
	v[57] = NAN;
	assert_int_equal(forecast(60, 5), PERFOPT_FORECAST_TOO_SHORT);
	assert_true(isnan(value[4]));
}

static void
bounds_are_kept(void **state)
{
	uint64_t seed = 30;
	int below_one = 0;

	(void) state;
	for (int i = 0; i < 500; i++)
		v[i] = fmin(1, 0.99 + 0.02 * sin(TAU * i / 24) + 0.01 * prng_normal(&seed));
	options.minimum = 0;
	options.maximum = 1;
	assert_int_equal(forecast(500, 48), PERFOPT_FORECAST_OK);
	for (int i = 0; i < 48; i++)
		below_one += value[i] < 0.995;
	assert_true(below_one > 15 && below_one < 40);
	/* falling towards zero, and values that are out of bounds */
	for (int i = 0; i < 100; i++)
		v[i] = 100 - i;
	forecast(100, 50);
	assert_true(value[49] <= 1 && value[49] >= 0);
}

/* Seasonal with noise that lasts, a random walk, white noise, and a short random walk. */
static double
next_of(int kind, int i, double *state, uint64_t *seed)
{
	if (kind == 0)
		*state = 0.7 * *state + 5 * prng_normal(seed);
	else if (kind == 1 || kind == 3)
		*state += prng_normal(seed);
	else
		*state = 10 * prng_normal(seed);
	return 200 + *state + (kind == 0 ? office(i) : 0);
}

static void
intervals_hold_what_they_say(void **state)
{
	const double levels[] = { 0.8, 0.95 };
	uint64_t seed = 31;

	(void) state;
	for (int kind = 0; kind < 4; kind++)
		for (int l = 0; l < 2; l++)
		{
			const int runs = kind == 3 ? 100 : 40;
			const int n = kind == 3 ? 60 : 600;
			const int horizon = kind == 3 ? 12 : 48;
			double within = 0;

			options.level = levels[l];
			for (int run = 0; run < runs; run++)
			{
				double at = 0;

				for (int i = 0; i < n + horizon; i++)
					v[i] = next_of(kind, i, &at, &seed);
				forecast(n, horizon);
				for (int i = 0; i < horizon; i++)
					within +=
						(lower[i] <= v[n + i] && v[n + i] <= upper[i]) / (double) (horizon * runs);
			}
			if (within < levels[l] - 0.06 || within > levels[l] + 0.09)
				fail_msg("%.1f %% in intervals of %g %%, kind %d", 100 * within, 100 * levels[l],
						 kind);
		}
}

/* 10 days at a minute, with a job every hour, averaged over runs of minutes within. */
static double
minutes(int i)
{
	return 100 + 40 * sin(TAU * i / 1440) + (i % 60 < 3 ? 30 : 0);
}

static void
long_series_keep_their_detail(void **state)
{
	(void) state;
	fill(minutes, 14400, 3, 32);
	assert_int_equal(forecast(14400, 1440), PERFOPT_FORECAST_OK);
	assert_int_equal(f.season[f.seasons - 1], 1440);
	assert_true(distance(minutes, 14400, 1440) < 2.5);
	/* a few steps ahead the last values count: these are off by 20 */
	for (int i = 14390; i < 14400; i++)
		v[i] += 20;
	forecast(14400, 5);
	assert_true(value[0] > minutes(14400));
	/* a length that is no multiple of anything */
	forecast(14399, 1001);
	assert_true(distance(minutes, 14399, 1001) < 6);
}

typedef struct Calls
{
	int count;
	int stop;
} Calls;

static bool
interrupt(void *argument)
{
	Calls *calls = argument;

	return ++calls->count == calls->stop;
}

static void
can_be_interrupted(void **state)
{
	Calls calls = { 0, 0 };
	int all;

	(void) state;
	fill(office, 200, 5, 33);
	options.interrupted = interrupt;
	options.argument = &calls;
	assert_int_equal(forecast(200, 24), PERFOPT_FORECAST_OK);
	all = calls.count;
	assert_true(all > PERFOPT_FORECAST_METHODS);
	for (int stop = 1; stop <= all; stop += 7)
	{
		calls = (Calls){ 0, stop };
		assert_int_equal(forecast(200, 24), PERFOPT_FORECAST_INTERRUPTED);
		assert_int_equal(calls.count, stop);
		for (int i = 0; i < 24; i++)
			assert_true(isnan(value[i]) && isnan(lower[i]) && isnan(upper[i]));
	}
}

static void
what_is_not_possible_is_refused(void **state)
{
	const int descending[] = { 24, 12 };
	const int one[] = { 1 };

	(void) state;
	fill(office, 100, 5, 34);
	assert_int_equal(perfopt_forecast(v, 100, 0, &options, &f, NULL), PERFOPT_FORECAST_ARGUMENT);
	assert_int_equal(perfopt_forecast(v, -1, 1, &options, &f, NULL), PERFOPT_FORECAST_ARGUMENT);
	options.level = 1;
	assert_int_equal(forecast(100, 3), PERFOPT_FORECAST_ARGUMENT);
	assert_true(isnan(value[2]));
	options = perfopt_forecast_defaults;
	options.minimum = 2;
	options.maximum = 1;
	assert_int_equal(forecast(100, 3), PERFOPT_FORECAST_ARGUMENT);
	options = perfopt_forecast_defaults;
	options.season = descending;
	options.seasons = 2;
	assert_int_equal(forecast(100, 3), PERFOPT_FORECAST_ARGUMENT);
	options.season = one;
	options.seasons = 1;
	assert_int_equal(forecast(100, 3), PERFOPT_FORECAST_ARGUMENT);
	assert_null(perfopt_forecast_method(-1));
	assert_null(perfopt_forecast_method(PERFOPT_FORECAST_METHODS));
	for (int i = 0; i < PERFOPT_FORECAST_METHODS; i++)
		assert_non_null(perfopt_forecast_method(i));
}

/* Any mixture of lengths, horizons, seasons, gaps and sizes: forecast() checks what comes back. */
static void
nothing_breaks_it(void **state)
{
	const double sizes[] = { 1e-300, 1, 1e300 };
	uint64_t seed = 35;

	(void) state;
	for (int run = 0; run < 300; run++)
	{
		int n = 4 + (int) (prng_next(&seed) % 300);
		int horizon = 1 + (int) (prng_next(&seed) % 100);
		int period = 2 + (int) (prng_next(&seed) % 40);
		double size = sizes[run % 3];

		for (int i = 0; i < n; i++)
		{
			v[i] = size * (i % period + prng_normal(&seed));
			if (run % 4 == 0 && prng_next(&seed) % 3 == 0)
				v[i] = prng_next(&seed) % 2 == 0 ? NAN : 0;
		}
		options = perfopt_forecast_defaults;
		options.season = run % 2 == 0 ? NULL : &period;
		options.seasons = run % 2;
		if (run % 5 == 0)
			options.minimum = 0;
		forecast(n, horizon);
	}
	options = perfopt_forecast_defaults;
	for (int n = PERFOPT_FORECAST_VALUES - 1; n < 3 * PERFOPT_FORECAST_VALUES;
		 n += PERFOPT_FORECAST_VALUES)
	{
		for (int i = 0; i < n; i++)
			v[i] = i % 997 + prng_normal(&seed);
		forecast(n, 3);
		forecast(n, 5000);
	}
}

static int
teardown(void **state)
{
	(void) state;
	free(value);
	free(lower);
	free(upper);
	value = lower = upper = NULL;
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(days_and_weeks_go_on, setup),
		cmocka_unit_test_setup(trend_goes_on, setup),
		cmocka_unit_test_setup(gaps_are_bridged, setup),
		cmocka_unit_test_setup(outliers_do_not_matter, setup),
		cmocka_unit_test_setup(a_level_shift_is_followed, setup),
		cmocka_unit_test_setup(a_constant_stays, setup),
		cmocka_unit_test_setup(intermittent_series, setup),
		cmocka_unit_test_setup(few_values, setup),
		cmocka_unit_test_setup(bounds_are_kept, setup),
		cmocka_unit_test_setup(intervals_hold_what_they_say, setup),
		cmocka_unit_test_setup(long_series_keep_their_detail, setup),
		cmocka_unit_test_setup(can_be_interrupted, setup),
		cmocka_unit_test_setup(what_is_not_possible_is_refused, setup),
		cmocka_unit_test_setup(nothing_breaks_it, setup),
	};

	return cmocka_run_group_tests_name("forecast", tests, NULL, teardown);
}
