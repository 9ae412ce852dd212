/*
 * test_season.c
 *	  Periods of series that have them, and none in series that do not.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "math/season.h"
#include "prng.h"

#define TAU 6.283185307179586
#define MOST 20000

static double v[MOST];
static PerfoptSeason found[PERFOPT_SEASON_MAX];

/* With exactly as much scratch as was asked for, so that the sanitizer sees a write past its end. */
static int
find(int n)
{
	double *scratch = malloc(perfopt_season_scratch(n) * sizeof *scratch);
	int count = perfopt_season_find(v, n, found, scratch);

	free(scratch);
	return count;
}

static double
strength(int n, int period)
{
	double *scratch = malloc(perfopt_season_scratch(n) * sizeof *scratch);
	double s = perfopt_season_strength(v, n, period, scratch);

	free(scratch);
	return s;
}

/* Office hours, five days a week; hourly values. */
static double
office(int i)
{
	int hour = i % 24;
	int day = i / 24 % 7;

	return 20 + (hour >= 8 && hour < 18 && day < 5 ? 80 : 0) + 10 * sin(TAU * hour / 24);
}

static void
day_and_week(void **state)
{
	uint64_t seed = 11;

	(void) state;
	for (int i = 0; i < 700; i++)
		v[i] = office(i) + 8 * prng_normal(&seed);
	assert_int_equal(find(700), 2);
	assert_int_equal(found[0].period, 24);
	assert_int_equal(found[1].period, 168);
	assert_true(found[0].strength > 0.3);
	assert_true(found[1].strength > 0.3);
	/* with less than two weeks, a day alone */
	assert_int_equal(find(300), 1);
	assert_int_equal(found[0].period, 24);
}

static void
despite_trend_gaps_outliers_and_a_shift(void **state)
{
	uint64_t seed = 12;

	(void) state;
	for (int i = 0; i < 2016; i++)
	{
		v[i] = 50 * sin(TAU * i / 288) + 0.1 * i + (i >= 1200 ? 100 : 0) + 15 * prng_normal(&seed);
		if (prng_next(&seed) % 100 == 0)
			v[i] += 2000;
		if (prng_next(&seed) % 10 == 0 || (i > 600 && i < 700))
			v[i] = NAN;
	}
	assert_int_equal(find(2016), 1);
	assert_int_equal(found[0].period, 288);
}

static void
short_and_long_at_once(void **state)
{
	uint64_t seed = 13;

	(void) state;
	/* at 30 s: a job every 5 minutes within days */
	for (int i = 0; i < MOST; i++)
		v[i] = 30 * sin(TAU * i / 2880) + (i % 10 == 0 ? 40 : 0) + 5 * prng_normal(&seed);
	assert_int_equal(find(MOST), 2);
	assert_int_equal(found[0].period, 10);
	assert_int_equal(found[1].period, 2880);
	/* one hour of each day, and nothing else */
	for (int i = 0; i < 240; i++)
		v[i] = i % 24 == 3 ? 500 : 0;
	assert_int_equal(find(240), 1);
	assert_int_equal(found[0].period, 24);
	/* a period that no clock has */
	for (int i = 0; i < 1500; i++)
		v[i] = (i % 37 < 12 ? 10 : 0) + 2 * prng_normal(&seed);
	assert_int_equal(find(1500), 1);
	assert_int_equal(found[0].period, 37);
}

/* In how many of 200 series something is found that is not there. */
static void
noise_has_no_season(void **state)
{
	uint64_t seed = 14;
	int white = 0;
	int walk = 0;
	int lasting = 0;

	(void) state;
	for (int run = 0; run < 200; run++)
	{
		int n = run % 2 == 0 ? 150 : 800;
		double sum = 0;

		for (int i = 0; i < n; i++)
			v[i] = prng_normal(&seed);
		white += find(n) > 0;
		for (int i = 0; i < n; i++)
			v[i] = sum += prng_normal(&seed);
		walk += find(n) > 0;
		sum = 0;
		for (int i = 0; i < n; i++)
			v[i] = sum = 0.9 * sum + prng_normal(&seed);
		lasting += find(n) > 0;
	}
	assert_true(white <= 2);
	assert_true(walk <= 12);
	assert_true(lasting <= 10);
}

static void
strength_is_the_share_explained(void **state)
{
	uint64_t seed = 15;

	(void) state;
	for (int i = 0; i < 2400; i++)
		v[i] = sqrt(2) * sin(TAU * i / 24) + prng_normal(&seed);
	/* half of the variance; of a half, a hundredth is lost to what 100 cycles do not tell */
	assert_true(fabs(strength(2400, 24) - 0.5) < 0.03);
	assert_true(strength(2400, 23) < 0.02);
	assert_true(strength(24, 24) == 0);
	assert_true(strength(2400, 1) == 0);
}

static void
nothing_to_find(void **state)
{
	(void) state;
	for (int i = 0; i < 100; i++)
		v[i] = 5;
	assert_int_equal(find(100), 0);
	assert_int_equal(find(3), 0);
	assert_int_equal(find(0), 0);
	assert_int_equal(find(-1), 0);
	for (int i = 0; i < 100; i++)
		v[i] = i % 3 == 0 ? NAN : INFINITY;
	assert_int_equal(find(100), 0);
	for (int i = 0; i < 100; i++)
		v[i] = 3 * i;
	assert_int_equal(find(100), 0);
	/* whatever the unit */
	for (int i = 0; i < 240; i++)
		v[i] = 1e-200 * (i % 24);
	assert_int_equal(find(240), 1);
	for (int i = 0; i < 240; i++)
		v[i] = 1e300 * (i % 24 - 12);
	assert_int_equal(find(240), 1);
	/* the smallest that repeats */
	for (int i = 0; i < 20; i++)
		v[i] = i % 2;
	assert_int_equal(find(20), 1);
	assert_int_equal(found[0].period, 2);
	for (int n = 1; n < 60; n++)
	{
		for (int i = 0; i < n; i++)
			v[i] = i % 5 == 0 ? 1e300 : -1e300;
		find(n);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(day_and_week),
		cmocka_unit_test(despite_trend_gaps_outliers_and_a_shift),
		cmocka_unit_test(short_and_long_at_once),
		cmocka_unit_test(noise_has_no_season),
		cmocka_unit_test(strength_is_the_share_explained),
		cmocka_unit_test(nothing_to_find),
	};

	return cmocka_run_group_tests_name("season", tests, NULL, NULL);
}
