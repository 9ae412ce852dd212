/*
 * fuzz_request.c
 *	  Any bytes as a request: the first chooses the method, a line feed ends the URI, the rest is the
 *	  body.
 *
 * Beside what the sanitizers see: what comes out is made of the route's own words, has a parameter
 * for each value, and values are UTF-8 without zero bytes; what is refused says so.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/members.h"
#include "gateway/request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check(int promise)
{
	if (!promise)
		abort();
}

static void
check_statement(const PerfoptRequest *request)
{
	const char *values[PERFOPT_MAX_BOUND];
	char limit[16];
	char last[8];
	PerfoptText sql = { 0 };
	int n = perfopt_request_statement(request, &sql, values, limit);

	check(n <= PERFOPT_MAX_BOUND && strncmp(sql.data, "SELECT ", 7) == 0);
	for (int i = 0; i < n; i++)
		check(values[i] == NULL || perfopt_utf8_valid(values[i], strlen(values[i])));
	for (int i = 1; i <= n; i++)
	{
		snprintf(last, sizeof(last), "$%d", i);
		check(strstr(sql.data, last) != NULL);
	}
	perfopt_text_free(&sql);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const methods[] = { "GET", "POST", "DELETE", "HEAD", "PATCH" };
	PerfoptRequest request;
	PerfoptProblem problem;
	const uint8_t *end;
	char *uri;
	size_t length;

	if (size == 0)
		return 0;
	end = memchr(data + 1, '\n', size - 1);
	length = end != NULL ? (size_t) (end - data - 1) : size - 1;
	uri = malloc(sizeof(PERFOPT_API_PREFIX) + length);
	check(uri != NULL);
	memcpy(uri, PERFOPT_API_PREFIX, sizeof(PERFOPT_API_PREFIX) - 1);
	memcpy(uri + sizeof(PERFOPT_API_PREFIX) - 1, data + 1, length);
	uri[sizeof(PERFOPT_API_PREFIX) - 1 + length] = '\0';
	if (perfopt_request_read(&request, methods[data[0] % 5], uri,
							 end != NULL ? (const char *) end + 1 : NULL,
							 end != NULL ? (size_t) (data + size - end - 1) : 0, &problem))
		check_statement(&request);
	else
		check(problem.status >= 400 && problem.status < 500 && problem.detail[0] != '\0');
	perfopt_request_free(&request);
	free(uri);
	return 0;
}
