/*
 * test_address.c
 *	  The policy on addresses: what an attacker would write to get at a loopback or at the metadata of
 *	  a cloud, and what must not be refused.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/un.h>

#include "collect/address.h"

static PerfoptAddressClass
class_of(const char *text)
{
	struct sockaddr_in6 address6 = { .sin6_family = AF_INET6 };
	struct sockaddr_in address4 = { .sin_family = AF_INET };

	if (inet_pton(AF_INET, text, &address4.sin_addr) == 1)
		return perfopt_address_class((struct sockaddr *) &address4);
	assert_int_equal(inet_pton(AF_INET6, text, &address6.sin6_addr), 1);
	return perfopt_address_class((struct sockaddr *) &address6);
}

static void
expect(PerfoptAddressClass class, const char *const *texts)
{
	for (; *texts != NULL; texts++)
	{
		if (class_of(*texts) != class)
			fail_msg("%s is %d, not %d", *texts, class_of(*texts), class);
	}
}

static void
metadata_is_never_allowed(void **state)
{
	static const char *const texts[] = { "169.254.169.254", "169.254.0.0",   "169.254.255.255",
										 "fe80::1",         "febf:ffff::1",  "fd00:ec2::254",
										 "fd00:ec2::23",    "168.63.129.16", "fd20:ce::254",
										 "100.100.100.200", "192.0.0.192",   NULL };

	(void) state;
	expect(PERFOPT_ADDRESS_NEVER, texts);
}

static void
nor_in_disguise(void **state)
{
	static const char *const texts[] = { "::ffff:169.254.169.254",
										 "::169.254.169.254",
										 "64:ff9b::169.254.169.254",
										 "64:ff9b:1::169.254.169.254",
										 "2002:a9fe:a9fe::1",
										 "::ffff:0.0.0.0",
										 NULL };

	(void) state;
	expect(PERFOPT_ADDRESS_NEVER, texts);
}

static void
what_is_no_host_is_never_allowed(void **state)
{
	static const char *const texts[] = { "0.0.0.0",         "0.1.2.3",   "::",      "224.0.0.1",
										 "255.255.255.255", "240.1.1.1", "ff02::1", NULL };

	(void) state;
	expect(PERFOPT_ADDRESS_NEVER, texts);
}

static void
private_ones_are_known(void **state)
{
	static const char *const texts[] = {
		"127.0.0.1",        "127.255.255.254",    "10.0.0.1",
		"172.16.0.1",       "172.31.255.255",     "192.168.1.1",
		"100.64.0.1",       "100.127.255.255",    "::1",
		"fc00::1",          "fd00:ec1::254",      "fdff::1",
		"::ffff:127.0.0.1", "::127.0.0.1",        "64:ff9b::10.1.2.3",
		"2002:7f00:1::",    "::ffff:192.168.0.9", NULL
	};

	(void) state;
	expect(PERFOPT_ADDRESS_PRIVATE, texts);
}

static void
the_neighbours_of_all_blocks_are_public(void **state)
{
	static const char *const texts[] = {
		"1.0.0.0",        "9.255.255.255",    "11.0.0.0",       "100.63.255.255",
		"100.128.0.0",    "126.255.255.255",  "128.0.0.0",      "169.253.255.255",
		"169.255.0.0",    "172.15.255.255",   "172.32.0.0",     "192.167.255.255",
		"192.169.0.0",    "223.255.255.255",  "2001:db8::1",    "2606:4700::1111",
		"::ffff:8.8.8.8", "64:ff9b::8.8.8.8", "2002:808:808::", NULL
	};

	(void) state;
	expect(PERFOPT_ADDRESS_PUBLIC, texts);
}

static void
unix_sockets_are_private(void **state)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	(void) state;
	assert_int_equal(perfopt_address_class((struct sockaddr *) &address), PERFOPT_ADDRESS_PRIVATE);
}

static void
an_unknown_family_is_never_allowed(void **state)
{
	struct sockaddr address = { .sa_family = AF_UNSPEC };

	(void) state;
	assert_int_equal(perfopt_address_class(&address), PERFOPT_ADDRESS_NEVER);
}

static void
private_ones_are_refused_on_request_only(void **state)
{
	struct sockaddr_in address = { .sin_family = AF_INET };

	(void) state;
	assert_int_equal(inet_pton(AF_INET, "10.0.0.1", &address.sin_addr), 1);
	assert_null(perfopt_address_refusal((struct sockaddr *) &address, true));
	assert_non_null(strstr(perfopt_address_refusal((struct sockaddr *) &address, false),
						   "perfopt.allow_private_targets"));
	assert_int_equal(inet_pton(AF_INET, "169.254.169.254", &address.sin_addr), 1);
	assert_non_null(perfopt_address_refusal((struct sockaddr *) &address, true));
	assert_int_equal(inet_pton(AF_INET, "8.8.8.8", &address.sin_addr), 1);
	assert_null(perfopt_address_refusal((struct sockaddr *) &address, false));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(metadata_is_never_allowed),
		cmocka_unit_test(nor_in_disguise),
		cmocka_unit_test(what_is_no_host_is_never_allowed),
		cmocka_unit_test(private_ones_are_known),
		cmocka_unit_test(the_neighbours_of_all_blocks_are_public),
		cmocka_unit_test(unix_sockets_are_private),
		cmocka_unit_test(an_unknown_family_is_never_allowed),
		cmocka_unit_test(private_ones_are_refused_on_request_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
