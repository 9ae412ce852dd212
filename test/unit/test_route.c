/*
 * test_route.c
 *	  The table of routes hangs together, and each route is found.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/route.h"

/* Puts 1 in the place of each parameter. */
static void
fill(const char *template, char *path)
{
	for (const char *p = template; *p != '\0'; p++)
	{
		if (*p == '{')
		{
			*path++ = '1';
			p = strchr(p, '}');
		}
		else
			*path++ = *p;
	}
	*path = '\0';
}

static void
test_table(void **state)
{
	(void) state;
	assert_true(perfopt_nroutes >= 40);
	for (int i = 0; i < perfopt_nroutes; i++)
	{
		const PerfoptRoute *route = &perfopt_routes[i];
		bool known;
		char allowed[64];
		char path[256];

		fill(route->path, path);
		assert_ptr_equal(perfopt_route_match(route->method, path, &known, allowed), route);
		assert_true((route->function == NULL) != (route->relation == NULL));
		assert_true(route->summary[strlen(route->summary) - 1] == '.');
		assert_true(route->answer != PERFOPT_PAGE ||
					(route->relation != NULL && route->key != NULL));
		assert_true(route->answer != PERFOPT_VALUE || route->key != NULL);
		assert_true(route->params[PERFOPT_MAX_PARAMS].type == PERFOPT_TYPE_NONE);
		for (int j = 0; j < perfopt_route_nparams(route); j++)
			assert_true(route->params[j].about[strlen(route->params[j].about) - 1] == '.');
	}
}

static void
test_match(void **state)
{
	bool known;
	char allowed[64];

	(void) state;
	assert_string_equal(perfopt_route_match("GET", "tests/compare", &known, allowed)->path,
						"tests/compare");
	assert_string_equal(perfopt_route_match("HEAD", "tests/1", &known, allowed)->path,
						"tests/{run_id}");
	assert_null(perfopt_route_match("PATCH", "thresholds", &known, allowed));
	assert_true(known);
	assert_string_equal(allowed, "GET, POST");
	assert_null(perfopt_route_match("GET", "tests/", &known, allowed));
	assert_false(known);
	assert_null(perfopt_route_match("GET", "", &known, allowed));
	assert_null(perfopt_route_match("GET", "test", &known, allowed));
	assert_null(perfopt_route_match("GET", "tests/1/report/", &known, allowed));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_match),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
