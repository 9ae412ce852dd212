/*
 * test_window.c
 *	  Tests of src/math/window.c.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "math/window.h"
#include "prng.h"

static PerfoptWindow *
make(int capacity, int64_t period)
{
	return perfopt_window_init(malloc(perfopt_window_size(capacity)), capacity, period);
}

static void
test_empty(void **state)
{
	PerfoptWindow *window = make(4, 10);

	assert_int_equal(perfopt_window_count(window), 0);
	assert_true(isnan(perfopt_window_average(window)));
	assert_true(isnan(perfopt_window_quantile(window, 0.5)));
	perfopt_window_add(window, 1, NAN);
	assert_int_equal(perfopt_window_count(window), 0);
	free(window);
	(void) state;
}

static void
test_statistics(void **state)
{
	PerfoptWindow *window = make(8, 100);

	for (int i = 0; i < 5; i++)
		perfopt_window_add(window, i, (double[]){ 30, 10, 50, 20, 40 }[i]);
	assert_true(perfopt_window_average(window) == 30);
	assert_true(perfopt_window_quantile(window, 0) == 10);
	assert_true(perfopt_window_quantile(window, 0.5) == 30);
	assert_true(perfopt_window_quantile(window, 1) == 50);
	assert_true(fabs(perfopt_window_quantile(window, 0.9) - 46) < 1e-9);
	assert_int_equal(perfopt_window_span(window), 4);
	free(window);
	(void) state;
}

static void
test_old_values_go(void **state)
{
	PerfoptWindow *window = make(8, 10);

	perfopt_window_add(window, 0, 100);
	perfopt_window_add(window, 5, 1);
	assert_true(perfopt_window_quantile(window, 1) == 100);
	perfopt_window_add(window, 10, 2);
	assert_true(perfopt_window_quantile(window, 1) == 2);
	assert_int_equal(perfopt_window_count(window), 2);
	perfopt_window_add(window, 1000, 3);
	assert_int_equal(perfopt_window_count(window), 1);
	free(window);
	(void) state;
}

static void
test_full_window_keeps_the_latest(void **state)
{
	PerfoptWindow *window = make(3, 1000);

	for (int i = 0; i < 10; i++)
		perfopt_window_add(window, i, i);
	assert_int_equal(perfopt_window_count(window), 3);
	assert_true(perfopt_window_quantile(window, 0) == 7);
	assert_true(perfopt_window_average(window) == 8);
	free(window);
	(void) state;
}

static void
test_clock_set_back_empties(void **state)
{
	PerfoptWindow *window = make(3, 1000);

	perfopt_window_add(window, 100, 1);
	perfopt_window_add(window, 50, 2);
	assert_int_equal(perfopt_window_count(window), 1);
	assert_true(perfopt_window_average(window) == 2);
	free(window);
	(void) state;
}

static int
compare(const void *a, const void *b)
{
	double left = *(const double *) a;
	double right = *(const double *) b;

	return left < right ? -1 : left > right;
}

/* Beside a plain sort of what should be in it. */
static void
test_random_values(void **state)
{
	enum
	{
		N = 5000,
		CAPACITY = 64
	};
	PerfoptWindow *window = make(CAPACITY, 50);
	static int64_t times[N];
	static double values[N];
	uint64_t random = 7;
	int64_t time = 0;

	for (int i = 0; i < N; i++)
	{
		double expected[CAPACITY];
		int n = 0;

		time += (int64_t) (prng_next(&random) % 4);
		times[i] = time;
		values[i] = (double) (prng_next(&random) % 100);
		perfopt_window_add(window, time, values[i]);
		for (int j = i; j >= 0 && n < CAPACITY && times[j] > time - 50; j--)
			expected[n++] = values[j];
		qsort(expected, (size_t) n, sizeof(double), compare);
		assert_int_equal(perfopt_window_count(window), n);
		assert_true(perfopt_window_quantile(window, 0) == expected[0]);
		assert_true(perfopt_window_quantile(window, 1) == expected[n - 1]);
		if (n % 2 == 1)
			assert_true(perfopt_window_quantile(window, 0.5) == expected[n / 2]);
	}
	free(window);
	(void) state;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_statistics),
		cmocka_unit_test(test_old_values_go),
		cmocka_unit_test(test_full_window_keeps_the_latest),
		cmocka_unit_test(test_clock_set_back_empties),
		cmocka_unit_test(test_random_values),
	};

	return cmocka_run_group_tests_name("window", tests, NULL, NULL);
}
