/*
 * test_identity.c
 *	  Authorization headers.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/identity.h"

static char secret[] = "0123456789abcdef";
static char conninfo[] = "user=prom";
static PerfoptToken tokens[] = { { secret, conninfo } };

static bool
knows(PerfoptIdentity *identity, const char *header)
{
	return perfopt_identity_read(identity, header, tokens, 1);
}

static void
test_basic(void **state)
{
	PerfoptIdentity identity;

	(void) state;
	assert_true(knows(&identity, "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="));
	assert_string_equal(identity.user, "Aladdin");
	assert_string_equal(identity.password, "open sesame");
	assert_true(knows(&identity, "basic  dGVzdDoxMjPCow=="));
	assert_string_equal(identity.password, "123\xC2\xA3");
	assert_true(knows(&identity, "Basic YTpiOmM="));
	assert_string_equal(identity.password, "b:c");
	assert_false(knows(&identity, "Basic "));
	assert_false(knows(&identity, "Basic YTo=")); /* a: */
	assert_false(knows(&identity, "Basic OmI=")); /* :b */
	assert_false(knows(&identity, "Basic YWI=")); /* ab */
	assert_false(knows(&identity, "Basic YTpi!"));
	assert_false(knows(&identity, "Basic YT=pi"));
	assert_false(knows(&identity, "Basic YTpiYQBj")); /* a zero byte */
	assert_false(knows(&identity, "Digest YTpi"));
}

static void
test_long(void **state)
{
	PerfoptIdentity identity;
	char header[4096] = "Basic ";

	(void) state;
	memset(header + 6, 'Y', 4000);
	assert_false(knows(&identity, header));
}

static void
test_bearer(void **state)
{
	PerfoptIdentity identity;

	(void) state;
	assert_true(knows(&identity, "Bearer 0123456789abcdef"));
	assert_ptr_equal(identity.token, &tokens[0]);
	assert_false(knows(&identity, "Bearer 0123456789abcdeg"));
	assert_false(knows(&identity, "Bearer 0123456789abcde"));
	assert_false(knows(&identity, "Bearer 0123456789abcdef0123456789abcdef"));
	assert_false(knows(&identity, "Bearer "));
	assert_false(perfopt_identity_equal("", "a"));
	assert_true(perfopt_identity_equal("", ""));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_basic),
		cmocka_unit_test(test_long),
		cmocka_unit_test(test_bearer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
