/*
 * test_pidfs.c
 *	  Texts of /proc/PID, whole, strange and cut short.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "collect/pidfs.h"

#define STAT_TAIL                                                                  \
	" S 1 2 3 0 -1 4194560 11 12 13 14 250 150 1000 500 20 0 1 0 12345 1 2 184467" \
	"44073709551615 1 1\n"

static void
assert_near(double got, double expected)
{
	if (got < expected - 1e-9 || got > expected + 1e-9)
		fail_msg("%g is not %g", got, expected);
}

static void
schedstat_in_seconds(void **state)
{
	double cpu = -1;

	(void) state;
	assert_true(perfopt_pidfs_schedstat("2500000000 7 42\n", &cpu));
	assert_near(cpu, 2.5);
	assert_false(perfopt_pidfs_schedstat("", &cpu));
	assert_false(perfopt_pidfs_schedstat("250000", &cpu));
	assert_false(perfopt_pidfs_schedstat("-1 -1 -1\n", &cpu));
	assert_near(cpu, 2.5);
}

static void
stat_of_a_process_with_any_name(void **state)
{
	static const char *const texts[] = { "42 (postgres)" STAT_TAIL, "42 (a b) c) S 9)" STAT_TAIL,
										 "42 ()" STAT_TAIL, "42 (\n)" STAT_TAIL };

	(void) state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
	{
		double own = -1;
		double ended = -1;

		assert_true(perfopt_pidfs_stat(texts[i], 100, &own, &ended));
		assert_near(own, 4);
		assert_near(ended, 15);
	}
}

/* Whatever the kernel hands over, nothing wrong comes out and nothing is read past the end. */
static void
stat_cut_short_anywhere(void **state)
{
	static const char text[] = "42 (postgres)" STAT_TAIL;
	size_t enough = strstr(text, " 500 ") - text + 4;

	(void) state;
	for (size_t length = 0; length < enough - 3; length++)
	{
		char cut[sizeof(text)];
		double own = -1;
		double ended = -1;

		memcpy(cut, text, length);
		cut[length] = '\0';
		assert_false(perfopt_pidfs_stat(cut, 100, &own, &ended));
		assert_near(own, -1);
	}
}

static void
memory_in_bytes(void **state)
{
	double resident = -1;
	double anon = -1;

	(void) state;
	assert_true(perfopt_pidfs_statm("5000 300 200 10 0 50 0\n", 4096, &resident, &anon));
	assert_near(resident, 300 * 4096);
	assert_near(anon, 100 * 4096);
	assert_true(perfopt_pidfs_statm("5000 100 200 10 0 50 0\n", 4096, &resident, &anon));
	assert_near(anon, 0);
	assert_false(perfopt_pidfs_statm("5000 300", 4096, &resident, &anon));
	assert_false(perfopt_pidfs_statm("garbage", 4096, &resident, &anon));
}

static void
io_is_of_storage_only(void **state)
{
	double in = -1;
	double out = -1;

	(void) state;
	assert_true(perfopt_pidfs_io("rchar: 1\nwchar: 2\nsyscr: 3\nsyscw: 4\nread_bytes: 4096\n"
								 "write_bytes: 8192\ncancelled_write_bytes: 5\n",
								 &in, &out));
	assert_near(in, 4096);
	assert_near(out, 8192);
	assert_false(perfopt_pidfs_io("rchar: 1\nread_bytes: 4096\n", &in, &out));
	assert_false(perfopt_pidfs_io("read_bytes:\nwrite_bytes:\n", &in, &out));
	assert_false(perfopt_pidfs_io("", &in, &out));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(schedstat_in_seconds),
		cmocka_unit_test(stat_of_a_process_with_any_name),
		cmocka_unit_test(stat_cut_short_anywhere),
		cmocka_unit_test(memory_in_bytes),
		cmocka_unit_test(io_is_of_storage_only),
	};

	return cmocka_run_group_tests_name("pidfs", tests, NULL, NULL);
}
