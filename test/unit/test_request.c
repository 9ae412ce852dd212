/*
 * test_request.c
 *	  Requests against the table of routes: what becomes of them in SQL, and what is refused.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/request.h"

#define API PERFOPT_API_PREFIX

static PerfoptProblem problem;
static char outcome[4096];

/* The statement and its values, or the status and what is wrong. */
static const char *
ask(const char *method, const char *uri, const char *body)
{
	PerfoptRequest request;
	PerfoptText sql = { 0 };
	const char *values[PERFOPT_MAX_BOUND];
	char limit[16];

	if (perfopt_request_read(&request, method, uri, body, body != NULL ? strlen(body) : 0,
							 &problem))
	{
		int n = perfopt_request_statement(&request, &sql, values, limit);
		size_t length = (size_t) snprintf(outcome, sizeof(outcome), "%s", sql.data);

		for (int i = 0; i < n; i++)
			length += (size_t) snprintf(outcome + length, sizeof(outcome) - length, " [%s]",
										values[i] != NULL ? values[i] : "NULL");
	}
	else
		snprintf(outcome, sizeof(outcome), "%d %s", problem.status, problem.detail);
	perfopt_text_free(&sql);
	perfopt_request_free(&request);
	return outcome;
}

static void
test_statements(void **state)
{
	(void) state;
	assert_string_equal(
		ask("GET", API "metrics/health", NULL),
		"SELECT jsonb_build_object('items', coalesce(jsonb_agg(to_jsonb(t)), '[]')) "
		"FROM perfopt.health() t");
	assert_string_equal(
		ask("GET", API "metrics/db-time?since=5+min&group_by=a%26b", NULL),
		"SELECT jsonb_build_object('items', coalesce(jsonb_agg(to_jsonb(t)), '[]')) "
		"FROM perfopt.db_time(since => $1::interval, group_by => $2::text) t [5 min] "
		"[a&b]");
	assert_string_equal(
		ask("POST", API "alerts/7/acknowledge", "{\"note\": \"it's \\u00fc\"}"),
		"SELECT perfopt.acknowledge_alert(alert_id => $1::bigint, note => $2::text) "
		"[7] [it's \xC3\xBC]");
	assert_string_equal(
		ask("POST", API "alerts/silences",
			"{\"labels\": {\"a\": \"b\"}, \"until\": \"2099-01-01\"}"),
		"SELECT jsonb_build_object('silence_id', perfopt.silence_alerts(metric => $1::text, labels "
		"=> "
		"$2::jsonb, until => $3::timestamptz)) [NULL] [{\"a\": \"b\"}] [2099-01-01]");
	assert_string_equal(
		ask("POST", API "tests/spike", "{\"users\": 3}"),
		"SELECT jsonb_build_object('run_id', perfopt.start_test(config => $1::jsonb || "
		"'{\"kind\": \"spike\"}')) [{\"users\": 3}]");
	assert_string_equal(
		ask("POST", API "tests", NULL),
		"SELECT jsonb_build_object('run_id', perfopt.start_test(config => $1::jsonb)) "
		"[{}]");
	assert_string_equal(
		ask("GET", API "thresholds/a%2Fb%20%3E", NULL),
		"SELECT to_jsonb(t) FROM perfopt.threshold t WHERE t.name = $1::text [a/b >]");
}

static void
test_pages(void **state)
{
	(void) state;
	ask("GET", API "alerts?state=firing&cursor=9&limit=5", NULL);
	assert_non_null(strstr(outcome,
						   "FROM perfopt.alert t WHERE t.state = $1::text AND t.alert_id < $2 "
						   "ORDER BY t.alert_id DESC LIMIT $3::int + 1) p [firing] [9] [5]"));
	ask("GET", API "alerts?cursor=9", NULL);
	assert_non_null(strstr(outcome, "WHERE t.alert_id < $1 ORDER"));
	assert_string_equal(ask("GET", API "alerts?limit=1001", NULL),
						"400 \"limit\" must be from 1 to 1000, not \"1001\"");
}

static void
test_refused(void **state)
{
	(void) state;
	assert_string_equal(ask("GET", "/", NULL), "404 there is nothing at this path");
	assert_string_equal(ask("GET", API "nothing", NULL), "404 there is nothing at this path");
	assert_string_equal(ask("GET", API "tests//report", NULL), "404 there is nothing at this path");
	assert_string_equal(ask("GET", API "alerts/1/resolve", NULL),
						"405 this path does not take GET");
	assert_string_equal(problem.allowed, "POST");
	assert_string_equal(ask("GET", API "tests/x", NULL),
						"400 \"run_id\" must be an integer, not \"x\"");
	assert_string_equal(ask("GET", API "tests/9223372036854775808", NULL),
						"400 \"run_id\" must be an integer, not \"9223372036854775808\"");
	assert_string_equal(ask("GET", API "alerts?state=a&state=b", NULL),
						"400 \"state\" is given twice");
	assert_string_equal(ask("GET", API "alerts?x=1", NULL), "400 there is no parameter \"x\"");
	assert_string_equal(problem.hint, "It takes state, severity, metric, limit, cursor");
	assert_string_equal(ask("GET", API "alerts?state=%", NULL),
						"400 the query is not percent-encoded UTF-8");
	assert_string_equal(ask("GET", API "alerts?state=%ff", NULL),
						"400 the query is not percent-encoded UTF-8");
	assert_string_equal(ask("GET", API "alerts/%00", NULL),
						"400 the path is not percent-encoded UTF-8");
	assert_string_equal(ask("GET", API "metrics/history", NULL),
						"400 \"metric\" is missing from the query");
	assert_string_equal(ask("POST", API "metrics/samples", "{\"metric\": \"a\", \"value\": \"1\"}"),
						"400 \"value\" must be a JSON value for float8");
	assert_string_equal(ask("POST", API "metrics/samples", "{\"metric\": \"a\", \"value\": 1e999}"),
						"400 \"value\" must be a number, not \"1e999\"");
	assert_string_equal(ask("POST", API "metrics/samples",
							"{\"metric\": \"a\", \"metric\": \"b\"}"),
						"400 \"metric\" is given twice");
	assert_string_equal(ask("POST", API "tests", "[1]"),
						"400 the body is not a JSON object: it must be an object");
	assert_string_equal(ask("POST", API "metrics/collect", "{\"a\": 1}"),
						"400 the body has an unknown member \"a\"");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_statements),
		cmocka_unit_test(test_pages),
		cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
