/*
 * test_segments.c
 *	  Optimal partitions against all partitions that there are.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "math/segments.h"
#include "prng.h"

#define LENGTH 13
#define LEAST 2

static double sum[LENGTH + 1];
static double place[LENGTH + 2];
static double from[LENGTH + 2];

/* Bit i - 1 of `cuts` says that a segment begins at i; HUGE_VAL for one that is too short. */
static double
cost_of(unsigned cuts, double penalty)
{
	double cost = 0;
	int begin = 0;

	for (int i = 1; i <= LENGTH; i++)
		if (i == LENGTH || cuts >> (i - 1) & 1)
		{
			if (i - begin < LEAST)
				return HUGE_VAL;
			cost += penalty - perfopt_segments_gain(sum, begin, i);
			begin = i;
		}
	return cost;
}

static void
best_of_all(void **state)
{
	uint64_t seed = 1;

	(void) state;
	for (int run = 0; run < 50; run++)
	{
		double penalty = 3 * prng_uniform(&seed);
		double least = HUGE_VAL;
		unsigned cuts = 0;
		int count;

		for (int i = 0; i < LENGTH; i++)
			sum[i + 1] = sum[i] + prng_normal(&seed);
		for (unsigned all = 0; all < 1u << (LENGTH - 1); all++)
			least = fmin(least, cost_of(all, penalty));
		count = perfopt_segments_find(sum, LENGTH, 1, LEAST, penalty, NULL, place, from);
		for (int i = 0; i < count; i++)
			cuts |= 1u << ((int) place[i] - 1);
		assert_true(fabs(cost_of(cuts, penalty) - least) < 1e-12);
	}
}

static void
on_a_grid(void **state)
{
	(void) state;
	for (int i = 0; i < LENGTH; i++)
		sum[i + 1] = sum[i] + (i < 7 ? -1 : 1);
	assert_int_equal(perfopt_segments_find(sum, LENGTH, 1, LEAST, 1, NULL, place, from), 1);
	assert_int_equal((int) place[0], 7);
	/* 6 or 8 are as near; the last segment, of 13 values, may be shorter than the grid has it */
	assert_int_equal(perfopt_segments_find(sum, LENGTH, 2, LEAST, 3, NULL, place, from), 1);
	assert_true((int) place[0] == 6 || (int) place[0] == 8);
	assert_int_equal(perfopt_segments_settle(sum, 0, (int) place[0], LENGTH, LEAST, 2), 7);
	assert_int_equal(perfopt_segments_settle(sum, 0, 10, LENGTH, LEAST, 1), 9);
	assert_int_equal(perfopt_segments_settle(sum, 0, 2, 3, LEAST, 1), 2);
	/* too dear, or too short for two */
	assert_int_equal(perfopt_segments_find(sum, LENGTH, 1, LEAST, 100, NULL, place, from), 0);
	assert_int_equal(perfopt_segments_find(sum, LENGTH, 1, 7, 0, NULL, place, from), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(best_of_all),
		cmocka_unit_test(on_a_grid),
	};

	return cmocka_run_group_tests_name("segments", tests, NULL, NULL);
}
