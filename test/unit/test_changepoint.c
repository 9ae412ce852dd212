/*
 * test_changepoint.c
 *	  Changes of level in series whose truth is known, and silence where there is none.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "math/changepoint.h"
#include "prng.h"

#define MOST 10000

static double value[MOST];
static double scratch[PERFOPT_CHANGEPOINT_SCRATCH(MOST)];
static PerfoptChangepoint changes[PERFOPT_CHANGEPOINT_MOST(MOST)];

static void
assert_near(double got, double expected, double tolerance)
{
	if (!(fabs(got - expected) <= tolerance))
		fail_msg("%.12g is not within %g of %.12g", got, tolerance, expected);
}

static int
find(int n)
{
	return perfopt_changepoint_find(value, n, NULL, changes, scratch);
}

/* Noise of variance 1 around 100 with autocorrelation rho from one value to the next. */
static void
make_noise(int n, double rho, uint64_t *seed)
{
	double noise = prng_normal(seed);

	for (int i = 0; i < n; i++)
	{
		noise = rho * noise + sqrt(1 - rho * rho) * prng_normal(seed);
		value[i] = 100 + noise;
	}
}

static void
add_step(int from, int n, double step)
{
	for (int i = from; i < n; i++)
		value[i] += step;
}

/* Share of series of noise in which a change is found. */
static double
false_alarms(int n, double rho, int runs, uint64_t seed)
{
	int alarms = 0;

	for (int run = 0; run < runs; run++)
	{
		make_noise(n, rho, &seed);
		alarms += find(n) > 0;
	}
	return (double) alarms / runs;
}

/*
 * The significance is a series', 1 %; three standard errors of 1,000 series are 0.9 %, of 200 2.1 %.
 * With rho = 0.9, or 0.8 in short series, noise is known too badly, and alarms are up to 3 %.
 */
static void
noise_is_no_change(void **state)
{
	(void) state;
	assert_true(false_alarms(30, 0, 1000, 1) < 0.019);
	assert_true(false_alarms(100, 0, 1000, 2) < 0.019);
	assert_true(false_alarms(100, 0.5, 1000, 3) < 0.019);
	assert_true(false_alarms(100, 0.8, 1000, 4) < 0.019);
	assert_true(false_alarms(30, 0.8, 1000, 8) < 0.04);
	assert_true(false_alarms(200, 0.9, 1000, 5) < 0.033);
	assert_true(false_alarms(1000, 0, 200, 6) < 0.031);
	assert_true(false_alarms(1000, 0.8, 200, 7) < 0.031);
}

/* Heavy tails: one value in ten is up to a hundred times as far off. */
static void
outliers_are_no_change(void **state)
{
	uint64_t seed = 11;
	int alarms = 0;

	(void) state;
	for (int run = 0; run < 300; run++)
	{
		make_noise(200, 0, &seed);
		for (int i = 0; i < 200; i++)
			if (prng_next(&seed) % 10 == 0)
				value[i] += 100 * prng_uniform(&seed);
		alarms += find(200) > 0;
	}
	assert_true(alarms <= 6);
	/* five in a row, as while a backup runs */
	make_noise(200, 0, &seed);
	for (int i = 90; i < 95; i++)
		value[i] += 50;
	assert_int_equal(find(200), 0);
}

static void
one_step_is_found(void **state)
{
	uint64_t seed = 21;
	int hits = 0;
	int strays = 0;

	(void) state;
	for (int run = 0; run < 200; run++)
	{
		int at = 40 + (int) (prng_next(&seed) % 120);
		int count;

		make_noise(200, 0.3, &seed);
		add_step(at, 200, run % 2 ? 3 : -3);
		count = find(200);
		for (int i = 0; i < count; i++)
			if (fabs((double) changes[i].index - at) <= 5)
			{
				hits++;
				assert_near(changes[i].after_mean - changes[i].before_mean, run % 2 ? 3 : -3, 1.2);
				assert_true(changes[i].p_value < 0.01);
				assert_true(changes[i].effect > 1.5 && changes[i].effect < 6);
			}
			else
				strays++;
	}
	assert_true(hits >= 194);
	assert_true(strays <= 4);
}

static void
several_steps_are_found(void **state)
{
	const int at[] = { 100, 150, 300, 420 };
	uint64_t seed = 22;
	int count;

	(void) state;
	make_noise(500, 0.3, &seed);
	for (int i = 0; i < 4; i++)
		add_step(at[i], 500, i % 2 ? -4 : 6);
	count = find(500);
	assert_int_equal(count, 4);
	for (int i = 0; i < count; i++)
		assert_near(changes[i].index, at[i], 2);
	assert_near(changes[1].before_mean, 106, 0.6);
	assert_near(changes[1].after_mean, 102, 0.6);
}

/* So many that they lie between most neighbouring blocks, up and down as if it were a habit. */
static void
many_steps_are_found(void **state)
{
	uint64_t seed = 29;
	int count;

	(void) state;
	make_noise(600, 0, &seed);
	for (int i = 0; i < 600; i++)
		value[i] += i / 50 % 2 ? 4 : 0;
	count = find(600);
	assert_int_equal(count, 11);
	for (int i = 0; i < count; i++)
		assert_near(changes[i].index, 50 * (i + 1), 2);
}

/* On the grid of a long series, then put in its place. */
static void
long_series(void **state)
{
	uint64_t seed = 23;

	(void) state;
	make_noise(MOST, 0.5, &seed);
	add_step(3331, MOST, 4);
	add_step(7003, MOST, -4);
	assert_int_equal(find(MOST), 2);
	assert_near(changes[0].index, 3331, 3);
	assert_near(changes[1].index, 7003, 3);
}

static void
slope_and_wandering_are_no_step(void **state)
{
	uint64_t seed = 24;
	int alarms = 0;

	(void) state;
	make_noise(300, 0, &seed);
	for (int i = 0; i < 300; i++)
		value[i] += 0.05 * i;
	assert_int_equal(find(300), 0);
	for (int run = 0; run < 100; run++)
	{
		/* a level that wanders over some five values, as far as noise reaches */
		double level = 0;

		make_noise(800, 0, &seed);
		for (int i = 0; i < 800; i++)
		{
			level = 0.8 * level + sqrt(1 - 0.8 * 0.8) * prng_normal(&seed);
			value[i] += level;
		}
		alarms += find(800) > 0;
	}
	assert_true(alarms <= 5);
}

static void
floors(void **state)
{
	PerfoptChangepointOptions options = { 0, -1, 0, 0, NULL };
	uint64_t seed = 25;

	(void) state;
	make_noise(200, 0, &seed);
	/* a quiet series: 0.01 % around 100, and a step of 0.1 % */
	for (int i = 0; i < 200; i++)
		value[i] = 100 + (value[i] - 100) / 100 + (i >= 120 ? 0.1 : 0);
	assert_int_equal(perfopt_changepoint_find(value, 200, &options, changes, scratch), 1);
	assert_near(changes[0].index, 120, 1);
	options.min_share = 0.01;
	assert_int_equal(perfopt_changepoint_find(value, 200, &options, changes, scratch), 0);
	options.min_share = 0;
	options.min_step = 0.5;
	assert_int_equal(perfopt_changepoint_find(value, 200, &options, changes, scratch), 0);
	options.min_step = 0;
	options.min_effect = 20;
	assert_int_equal(perfopt_changepoint_find(value, 200, &options, changes, scratch), 0);
}

/* Who wants to hear of more gets more: a step of one sigma in 100 values. */
static void
significance_decides(void **state)
{
	PerfoptChangepointOptions options = { 0.1, 0, 0, 0, NULL };
	uint64_t seed = 26;
	int strict = 0;
	int lenient = 0;

	(void) state;
	for (int run = 0; run < 100; run++)
	{
		make_noise(100, 0, &seed);
		add_step(50, 100, 0.9);
		options.significance = 1e-4;
		strict += perfopt_changepoint_find(value, 100, &options, changes, scratch) > 0;
		options.significance = 0.1;
		lenient += perfopt_changepoint_find(value, 100, &options, changes, scratch) > 0;
	}
	assert_true(lenient > 2 * strict);
	assert_true(lenient > 50);
}

static void
constant_and_short(void **state)
{
	(void) state;
	for (int i = 0; i < 200; i++)
		value[i] = 7;
	assert_int_equal(find(200), 0);
	assert_int_equal(find(15), 0);
	assert_int_equal(find(0), 0);
	assert_int_equal(find(-1), 0);
	value[100] = 1e6; /* one that is off is still none */
	assert_int_equal(find(200), 0);
	for (int i = 100; i < 200; i++)
		value[i] = 8;
	assert_int_equal(find(200), 1);
	assert_int_equal(changes[0].index, 100);
	assert_true(isinf(changes[0].effect));
	assert_near(changes[0].before_mean, 7, 0);
	assert_near(changes[0].after_mean, 8, 0);
	/* about as short as can have one */
	for (int i = 0; i < 24; i++)
		value[i] = i < 12 ? 1 + i % 2 : 51 + i % 2;
	assert_int_equal(find(24), 1);
	assert_int_equal(changes[0].index, 12);
	/* mostly zero, with rare events, as of deadlocks */
	for (int i = 0; i < 400; i++)
		value[i] = i % 37 == 0 ? 1 + i % 3 : 0;
	assert_int_equal(find(400), 0);
}

static void
gaps_are_skipped(void **state)
{
	static double whole[200];
	uint64_t seed = 27;
	int used = 0;

	(void) state;
	make_noise(200, 0, &seed);
	add_step(90, 200, 5);
	memcpy(whole, value, sizeof whole);
	assert_int_equal(find(200), 1);
	assert_int_equal(changes[0].index, 90);
	for (int i = 0; i < MOST && used < 200; i++)
		value[i] = i % 5 == 3 ? NAN : i % 5 == 4 ? INFINITY : whole[used++];
	/* three of five are values: the 90th of them is the 150th of all */
	assert_int_equal(find(333), 1);
	assert_int_equal(changes[0].index, 150);
	for (int i = 0; i < 200; i++)
		value[i] = NAN;
	assert_int_equal(find(200), 0);
	/* numbers at the end of what a double holds must at least do no harm */
	for (int i = 0; i < 200; i++)
		value[i] = i % 2 ? 1.7e308 : -1.7e308;
	(void) find(200);
}

static int interrupts;

static void
count_interrupt(void)
{
	interrupts++;
}

static void
interrupts_are_asked_for(void **state)
{
	PerfoptChangepointOptions options = { 0.01, 1, 0, 0, count_interrupt };
	uint64_t seed = 28;

	(void) state;
	make_noise(MOST, 0, &seed);
	(void) perfopt_changepoint_find(value, MOST, &options, changes, scratch);
	assert_true(interrupts > 100);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(noise_is_no_change),
		cmocka_unit_test(outliers_are_no_change),
		cmocka_unit_test(one_step_is_found),
		cmocka_unit_test(several_steps_are_found),
		cmocka_unit_test(many_steps_are_found),
		cmocka_unit_test(long_series),
		cmocka_unit_test(slope_and_wandering_are_no_step),
		cmocka_unit_test(floors),
		cmocka_unit_test(significance_decides),
		cmocka_unit_test(constant_and_short),
		cmocka_unit_test(gaps_are_skipped),
		cmocka_unit_test(interrupts_are_asked_for),
	};

	return cmocka_run_group_tests_name("changepoint", tests, NULL, NULL);
}
