/*
 * test_throttle.c
 *	  What an address may ask for, on a clock that the test sets.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "gateway/throttle.h"

static PerfoptThrottle *
make(double rate)
{
	PerfoptThrottle *throttle = calloc(1, sizeof(*throttle));

	assert_non_null(throttle);
	throttle->rate = rate;
	return throttle;
}

static void
test_requests(void **state)
{
	PerfoptThrottle *throttle = make(10);
	const unsigned char one[16] = { 1 };
	const unsigned char two[16] = { 2 };

	(void) state;
	for (int i = 0; i < 10; i++)
		assert_true(perfopt_throttle_request(throttle, one, 100));
	assert_false(perfopt_throttle_request(throttle, one, 100));
	assert_true(perfopt_throttle_request(throttle, two, 100));
	assert_true(perfopt_throttle_request(throttle, one, 100.15));
	assert_false(perfopt_throttle_request(throttle, one, 100.15));
	/* A clock that stands or goes back gives nothing. */
	assert_false(perfopt_throttle_request(throttle, one, 90));
	free(throttle);
}

static void
test_no_limit(void **state)
{
	PerfoptThrottle *throttle = make(0);
	const unsigned char one[16] = { 1 };

	(void) state;
	for (int i = 0; i < 100000; i++)
		assert_true(perfopt_throttle_request(throttle, one, 100));
	free(throttle);
}

static void
test_logins(void **state)
{
	PerfoptThrottle *throttle = make(10);
	const unsigned char one[16] = { 1 };

	(void) state;
	for (int i = 0; i < PERFOPT_THROTTLE_LOGINS; i++)
	{
		assert_true(perfopt_throttle_may_log_in(throttle, one, 100));
		perfopt_throttle_login_failed(throttle, one, 100);
	}
	assert_false(perfopt_throttle_may_log_in(throttle, one, 105));
	assert_true(perfopt_throttle_may_log_in(throttle, one, 107));
	free(throttle);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_requests),
		cmocka_unit_test(test_no_limit),
		cmocka_unit_test(test_logins),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
