/*
 * test_members.c
 *	  JSON objects as RFC 8259 has them, and as nobody should send them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/members.h"

static char seen[512];

static bool
note(void *arg, const char *name, PerfoptJsonKind kind, const char *text)
{
	size_t length = strlen(seen);

	(void) arg;
	snprintf(seen + length, sizeof(seen) - length, "%s|%d|%s;", name, (int) kind, text);
	return strcmp(name, "stop") != 0;
}

/* In memory of exactly its size, so that a sanitizer sees what reads beyond it. */
static const char *
reading(const char *text, size_t length)
{
	char *copy = malloc(length + 1);
	const char *error = NULL;
	bool good;

	assert_non_null(copy);
	memcpy(copy, text, length);
	seen[0] = '\0';
	good = perfopt_members_read(copy, length, note, NULL, &error);
	free(copy);
	return good ? seen : error != NULL ? error : "stopped";
}

static const char *
read_text(const char *text)
{
	return reading(text, strlen(text));
}

static void
test_members(void **state)
{
	(void) state;
	assert_string_equal(read_text("{}"), "");
	assert_string_equal(read_text(" { \"a\" : 1 , \"b\":\"x\" } \n"), "a|2|1;b|1|x;");
	assert_string_equal(read_text("{\"a\": null, \"b\": true, \"c\": false}"),
						"a|0|null;b|3|true;c|3|false;");
	assert_string_equal(read_text("{\"a\": {\"b\": [1, \"}\\\"\"]}, \"c\": [[], {}]}"),
						"a|4|{\"b\": [1, \"}\\\"\"]};c|5|[[], {}];");
	assert_string_equal(read_text("{\"a\": -0.5e+10, \"b\": 0}"), "a|2|-0.5e+10;b|2|0;");
	assert_string_equal(read_text("{\"stop\": 1, \"b\": 2}"), "stopped");
	assert_string_equal(read_text("{\"stop\": 1}"), "stopped");
}

static void
test_strings(void **state)
{
	(void) state;
	assert_string_equal(read_text("{\"\\u0061\\n\": \"\\\"\\\\\\/\\b\\f\\n\\r\\t\"}"),
						"a\n|1|\"\\/\b\f\n\r\t;");
	assert_string_equal(read_text("{\"a\": \"\\u00fc \\u20AC \\ud83d\\ude00\"}"),
						"a|1|\xC3\xBC \xE2\x82\xAC \xF0\x9F\x98\x80;");
	assert_non_null(strstr(read_text("{\"a\": \"\\u0000\"}"), "U+0000"));
	assert_non_null(strstr(read_text("{\"a\": \"\\ud83d\"}"), "surrogate"));
	assert_non_null(strstr(read_text("{\"a\": \"\\ude00\"}"), "surrogate"));
	assert_non_null(strstr(read_text("{\"a\": \"\\ud83d\\u0061\"}"), "surrogate"));
	assert_non_null(strstr(read_text("{\"a\": \"\\x\"}"), "escape"));
	assert_non_null(strstr(read_text("{\"a\": \"\\u12g4\"}"), "hexadecimal"));
	assert_non_null(strstr(read_text("{\"a\": \"\n\"}"), "control"));
	assert_non_null(strstr(read_text("{\"a\": \"\xFF\"}"), "UTF-8"));
	assert_non_null(strstr(reading("{\"a\": \"\0\"}", 10), "UTF-8"));
}

static void
test_malformed(void **state)
{
	static const char *const texts[] = {
		"",
		" ",
		"[]",
		"1",
		"{",
		"{\"a\"",
		"{\"a\":",
		"{\"a\": 1",
		"{\"a\": 1,",
		"{a: 1}",
		"{\"a\": 1,}",
		"{\"a\" 1}",
		"{\"a\": }",
		"{\"a\": 01}",
		"{\"a\": 1.}",
		"{\"a\": +1}",
		"{\"a\": tru}",
		"{\"a\": [}",
		"{\"a\": [}]}",
		"{\"a\": {\"b\": 1]}",
		"{\"a\": \"",
		"{\"a\": \"\\",
		"{} {}",
		"{\"a\": 1e}",
	};
	char deep[200] = "{\"a\": ";

	(void) state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
	{
		const char *told = read_text(texts[i]);

		assert_true(told != seen);
		assert_string_not_equal(told, "stopped");
	}
	memset(deep + 6, '[', 100);
	assert_non_null(strstr(read_text(deep), "deeply"));
}

static void
test_utf8(void **state)
{
	(void) state;
	assert_true(perfopt_utf8_valid("a\xC3\xBC\xE2\x82\xAC\xF0\x9F\x98\x80", 10));
	assert_false(perfopt_utf8_valid("\xC0\x80", 2));
	assert_false(perfopt_utf8_valid("\xE0\x80\x80", 3));
	assert_false(perfopt_utf8_valid("\xED\xA0\x80", 3));
	assert_false(perfopt_utf8_valid("\xF4\x90\x80\x80", 4));
	assert_false(perfopt_utf8_valid("\xE2\x82", 2));
	assert_false(perfopt_utf8_valid("\x80", 1));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_members),
		cmocka_unit_test(test_strings),
		cmocka_unit_test(test_malformed),
		cmocka_unit_test(test_utf8),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
