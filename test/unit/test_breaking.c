/*
 * test_breaking.c
 *	  The search for the breaking point: step by step, against systems that always answer alike, and
 *	  against noisy ones.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "math/breaking.h"
#include "prng.h"

#define LATENCY 7
#define ERRORS 8

static void
assert_near(double got, double expected, double tolerance)
{
	if (!(fabs(got - expected) <= tolerance))
		fail_msg("%.12g is not within %g of %.12g", got, tolerance, expected);
}

static void
expect(PerfoptBreaking *b, double level, PerfoptTrialPurpose purpose, bool passed, int criterion)
{
	PerfoptTrial trial;

	assert_true(perfopt_breaking_next(b, &trial));
	assert_near(trial.level, level, 1e-3);
	assert_int_equal(trial.purpose, purpose);
	assert_int_equal(trial.length, purpose == PERFOPT_TRIAL_VERIFY ? PERFOPT_BREAKING_VERIFY : 1);
	perfopt_breaking_report(b, passed, criterion);
}

/* A system that breaks at 300, once fails for no reason at 100, and at 306 passes once. */
static void
step_by_step(void **state)
{
	PerfoptBreaking b;
	PerfoptTrial trial;

	(void) state;
	assert_true(perfopt_breaking_init(&b, 50, 1, 10000, 1.03, false));
	expect(&b, 50, PERFOPT_TRIAL_BOUND, true, 0);
	expect(&b, 100, PERFOPT_TRIAL_BOUND, false, ERRORS);
	expect(&b, 100, PERFOPT_TRIAL_CONFIRM, true, 0);
	expect(&b, 100, PERFOPT_TRIAL_CONFIRM, true, 0);
	expect(&b, 200, PERFOPT_TRIAL_BOUND, true, 0);
	assert_near(b.low, 200, 0);
	assert_true(isinf(b.high) && b.criterion == PERFOPT_BREAKING_NO_CRITERION);
	expect(&b, 400, PERFOPT_TRIAL_BOUND, false, LATENCY);
	expect(&b, 400, PERFOPT_TRIAL_CONFIRM, false, ERRORS);
	assert_near(b.high, 400, 0);
	assert_int_equal(b.criterion, LATENCY);
	expect(&b, 282.843, PERFOPT_TRIAL_BISECT, true, 0);
	expect(&b, 336.359, PERFOPT_TRIAL_BISECT, false, ERRORS);
	expect(&b, 336.359, PERFOPT_TRIAL_CONFIRM, true, 0);
	expect(&b, 336.359, PERFOPT_TRIAL_CONFIRM, false, LATENCY);
	assert_int_equal(b.criterion, ERRORS);
	expect(&b, 308.442, PERFOPT_TRIAL_BISECT, false, LATENCY);
	expect(&b, 308.442, PERFOPT_TRIAL_CONFIRM, false, LATENCY);
	expect(&b, 295.365, PERFOPT_TRIAL_BISECT, true, 0);
	expect(&b, 301.833, PERFOPT_TRIAL_BISECT, true, 0); /* and here it should not have passed */
	expect(&b, 301.833, PERFOPT_TRIAL_VERIFY, false, ERRORS);
	assert_near(b.high, 301.833, 1e-3);
	assert_int_equal(b.criterion, ERRORS);
	assert_true(b.verified == 0);
	expect(&b, 293.042, PERFOPT_TRIAL_VERIFY, true, 0);
	assert_int_equal(b.state, PERFOPT_BREAKING_FOUND);
	assert_near(b.verified, 293.042, 1e-3);
	assert_near(b.low, 293.042, 1e-3);
	assert_near(b.high / b.low, 1.03, 1e-9);
	assert_int_equal(b.trials, 17);
	assert_false(perfopt_breaking_next(&b, &trial));
	perfopt_breaking_report(&b, false, LATENCY);
	assert_true(b.trials == 17 && b.state == PERFOPT_BREAKING_FOUND);
}

/*
 * Runs a search against a system of this capacity.  noise is that of each trial, relative; spurious
 * the probability that a trial fails whatever the level.
 */
static void
search(PerfoptBreaking *b, double capacity, double noise, double spurious, uint64_t *seed)
{
	PerfoptTrial trial;
	int length = 0;

	while (perfopt_breaking_next(b, &trial))
	{
		double seen = capacity * (1 + (noise > 0 ? noise * prng_normal(seed) : 0));

		assert_true(trial.level >= b->min && trial.level <= b->max);
		assert_true(!b->whole || trial.level == floor(trial.level));
		length += trial.length;
		assert_true(length <= b->bound);
		if (spurious > 0 && prng_uniform(seed) < spurious)
			seen = 0;
		perfopt_breaking_report(b, trial.level < seen, LATENCY);
	}
}

static void
without_noise(void **state)
{
	uint64_t seed = 131;

	(void) state;
	for (int i = 0; i < 34; i++)
		for (int j = 0; j < 6; j++)
			for (int whole = 0; whole < 2; whole++)
			{
				double capacity = 1.5 * pow(1.37, i);
				PerfoptBreaking b;

				assert_true(perfopt_breaking_init(&b, pow(9, j), 1, 1e5, 1.03, whole));
				search(&b, capacity, 0, 0, &seed);
				assert_int_equal(b.state, PERFOPT_BREAKING_FOUND);
				assert_true(b.low < capacity && b.high >= capacity && b.verified == b.low);
				assert_true(b.high <= b.low * 1.03 * 1.000001 || (whole && b.high == b.low + 1));
			}
}

static void
limits(void **state)
{
	uint64_t seed = 132;
	PerfoptBreaking b;

	(void) state;
	/* more than was asked for */
	assert_true(perfopt_breaking_init(&b, 10, 1, 1000, 1.03, true));
	search(&b, 5000, 0, 0, &seed);
	assert_int_equal(b.state, PERFOPT_BREAKING_NO_LIMIT);
	assert_true(b.low == 1000 && b.verified == 1000 && isinf(b.high));
	assert_int_equal(b.criterion, PERFOPT_BREAKING_NO_CRITERION);
	assert_int_equal(b.trials, 9); /* 10 20 40 80 160 320 640 1000, and 1000 again */

	/* not even the least: three levels, each failing twice */
	assert_true(perfopt_breaking_init(&b, 10, 3, 1000, 1.03, true));
	search(&b, 2, 0, 0, &seed);
	assert_int_equal(b.state, PERFOPT_BREAKING_START_FAILED);
	assert_true(b.low == 0 && b.high == 3 && b.verified == 0 && b.criterion == LATENCY);
	assert_int_equal(b.trials, 6);

	/* started too high */
	assert_true(perfopt_breaking_init(&b, 500, 1, 1000, 1.03, true));
	search(&b, 40.5, 0, 0, &seed);
	assert_int_equal(b.state, PERFOPT_BREAKING_FOUND);
	assert_true(b.low == 40 && b.high == 41);

	/* one level only */
	assert_true(perfopt_breaking_init(&b, 5, 5, 5, 1.03, true));
	search(&b, 6, 0, 0, &seed);
	assert_true(b.state == PERFOPT_BREAKING_NO_LIMIT && b.verified == 5);
	assert_true(perfopt_breaking_init(&b, 5, 5, 5, 1.03, true));
	search(&b, 5, 0, 0, &seed);
	assert_int_equal(b.state, PERFOPT_BREAKING_START_FAILED);

	/* the longer trial at the maximum fails: then that is the limit */
	assert_true(perfopt_breaking_init(&b, 100, 1, 100, 1.03, false));
	expect(&b, 100, PERFOPT_TRIAL_BOUND, true, 0);
	expect(&b, 100, PERFOPT_TRIAL_VERIFY, false, ERRORS);
	expect(&b, 100 / 1.03, PERFOPT_TRIAL_VERIFY, true, 0);
	assert_int_equal(b.state, PERFOPT_BREAKING_FOUND);
	assert_true(b.high == 100 && b.criterion == ERRORS);
	/* and where a whole step down would pass the minimum */
	assert_true(perfopt_breaking_init(&b, 40, 39, 40, 1.03, true));
	expect(&b, 40, PERFOPT_TRIAL_BOUND, true, 0);
	expect(&b, 40, PERFOPT_TRIAL_VERIFY, false, ERRORS);
	expect(&b, 39, PERFOPT_TRIAL_VERIFY, true, 0);
	assert_true(b.state == PERFOPT_BREAKING_FOUND && b.low == 39 && b.high == 40);
}

/* Nothing that passed in the search passes for longer: a table grew, say. */
static void
unstable(void **state)
{
	PerfoptBreaking b;
	PerfoptTrial trial;
	int verified = 0;

	(void) state;
	for (int start = 1; start <= 100; start += 99)
	{
		assert_true(perfopt_breaking_init(&b, start, 1, 200, 1.03, start == 1));
		verified = 0;
		while (perfopt_breaking_next(&b, &trial))
		{
			verified += trial.purpose == PERFOPT_TRIAL_VERIFY;
			perfopt_breaking_report(&b,
									trial.purpose != PERFOPT_TRIAL_VERIFY &&
										trial.level < (start == 1 ? 3 : 150),
									ERRORS);
		}
		assert_int_equal(b.state, PERFOPT_BREAKING_UNSTABLE);
		assert_int_equal(verified, start == 1 ? 2 : 1 + PERFOPT_BREAKING_STEPS);
		assert_true(b.low == 0 && b.verified == 0 && b.high >= 1 && b.criterion == ERRORS);
	}
}

static void
bad_settings(void **state)
{
	PerfoptBreaking b;
	PerfoptTrial trial;

	(void) state;
	assert_false(perfopt_breaking_init(&b, 10, 0, 100, 1.03, false));
	assert_false(perfopt_breaking_next(&b, &trial));
	assert_false(perfopt_breaking_init(&b, 10, 20, 100, 1.03, false));
	assert_false(perfopt_breaking_init(&b, 10, 1, 9, 1.03, false));
	assert_false(perfopt_breaking_init(&b, 10, 1, INFINITY, 1.03, false));
	assert_false(perfopt_breaking_init(&b, NAN, 1, 100, 1.03, false));
	assert_false(perfopt_breaking_init(&b, 10, 1, 100, 1, false));
	assert_false(perfopt_breaking_init(&b, 10, 1, 100, NAN, false));
	assert_false(perfopt_breaking_init(&b, 0.9, 0.5, 100, 1.03, true));
	assert_true(perfopt_breaking_init(&b, 0.9, 0.5, 100, 1.03, false));
	assert_true(perfopt_breaking_init(&b, 1e300, 1e-300, 1e308, 1.001, false));
	search(&b, 1e-100, 0, 0, NULL);
	assert_int_equal(b.state, PERFOPT_BREAKING_FOUND);
	assert_true(perfopt_breaking_init(&b, 1.9, 0.5, 3.8, 1.03, true));
	assert_true(perfopt_breaking_next(&b, &trial) && trial.level == 1);
}

/* Share of searches that end within 10 % of the truth. */
static double
hits(double noise, double spurious, uint64_t seed)
{
	const int runs = 1000;
	int near = 0;

	for (int run = 0; run < runs; run++)
	{
		const double capacity = 100 * exp(4 * prng_uniform(&seed));
		PerfoptBreaking b;

		assert_true(perfopt_breaking_init(&b, 10, 1, 1e6, 1.03, run % 2 == 1));
		search(&b, capacity, noise, spurious, &seed);
		assert_int_equal(b.state, PERFOPT_BREAKING_FOUND);
		assert_true(b.trials < 45);
		near += fabs(b.verified / capacity - 1) <= 0.1;
	}
	return (double) near / runs;
}

/* Noise on what each trial measures, and trials that fail at any level, for a checkpoint's sake. */
static void
with_noise(void **state)
{
	(void) state;
	assert_true(hits(0.02, 0, 133) > 0.99);
	assert_true(hits(0.05, 0, 134) > 0.98);
	assert_true(hits(0.05, 0.05, 135) > 0.93);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(step_by_step), cmocka_unit_test(without_noise),
		cmocka_unit_test(limits),       cmocka_unit_test(unstable),
		cmocka_unit_test(bad_settings), cmocka_unit_test(with_noise),
	};

	return cmocka_run_group_tests_name("breaking", tests, NULL, NULL);
}
