/*
 * request.c
 *	  From a request to the arguments of an SQL function.
 */
#include "gateway/request.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/members.h"

/* What reading a body needs to know. */
typedef struct Reading
{
	PerfoptRequest *request;
	PerfoptProblem *problem;
} Reading;

__attribute__((format(printf, 3, 4))) static bool
refuse(PerfoptProblem *problem, int status, const char *format, ...)
{
	va_list args;

	problem->status = status;
	va_start(args, format);
	vsnprintf(problem->detail, sizeof(problem->detail), format, args);
	va_end(args);
	return false;
}

static int
hex_digit(char c)
{
	return c >= '0' && c <= '9'   ? c - '0'
		   : c >= 'a' && c <= 'f' ? c - 'a' + 10
		   : c >= 'A' && c <= 'F' ? c - 'A' + 10
								  : -1;
}

/* Percent-decodes in place; in a query, + is a blank. False when it is malformed or not text. */
static bool
decode(char *text, bool query)
{
	char *out = text;

	for (const char *p = text; *p != '\0'; p++)
	{
		if (*p == '%')
		{
			int high = hex_digit(p[1]);
			int low = high >= 0 ? hex_digit(p[2]) : -1;

			if (low < 0 || (high == 0 && low == 0))
				return false;
			*out++ = (char) (high << 4 | low);
			p += 2;
		}
		else
			*out++ = query && *p == '+' ? ' ' : *p;
	}
	*out = '\0';
	return perfopt_utf8_valid(text, (size_t) (out - text));
}

static bool
integer_fits(const char *text, long long low, long long high)
{
	char *end;
	long long value;

	if (text[strspn(text, "+-0123456789")] != '\0' || text[0] == '\0')
		return false;
	errno = 0;
	value = strtoll(text, &end, 10);
	return errno == 0 && *end == '\0' && end != text && value >= low && value <= high;
}

static bool
is_number(const char *text)
{
	char *end;

	/* No hexadecimal, no infinity: what JSON has, too. */
	if (text[0] == '\0' || strlen(text) > 60 || text[strspn(text, "+-.0123456789eE")] != '\0')
		return false;
	return isfinite(strtod(text, &end)) && *end == '\0' && end != text;
}

/* Only what would be ambiguous or costly is judged here; what a time or an interval is, the server knows. */
static bool
check_type(const PerfoptParam *param, const char *text, PerfoptProblem *problem)
{
	switch (param->type)
	{
		case PERFOPT_TYPE_INT:
			if (!integer_fits(text, -2147483647 - 1, 2147483647))
				return refuse(problem, 400, "\"%s\" must be an integer, not \"%.60s\"", param->name,
							  text);
			return true;
		case PERFOPT_TYPE_BIGINT:
			if (!integer_fits(text, -9223372036854775807LL - 1, 9223372036854775807LL))
				return refuse(problem, 400, "\"%s\" must be an integer, not \"%.60s\"", param->name,
							  text);
			return true;
		case PERFOPT_TYPE_FLOAT:
			if (!is_number(text))
				return refuse(problem, 400, "\"%s\" must be a number, not \"%.60s\"", param->name,
							  text);
			return true;
		case PERFOPT_TYPE_BOOLEAN:
			if (strcmp(text, "true") != 0 && strcmp(text, "false") != 0)
				return refuse(problem, 400, "\"%s\" must be true or false, not \"%.60s\"",
							  param->name, text);
			return true;
		case PERFOPT_TYPE_INTERVAL:
		case PERFOPT_TYPE_TIME:
			if (text[0] == '\0' || strlen(text) > 100)
				return refuse(problem, 400, "\"%s\" must be %s", param->name,
							  param->type == PERFOPT_TYPE_TIME
								  ? "a time such as 2026-01-31T12:00:00Z"
								  : "an interval such as \"15 min\"");
			return true;
		default:
			return true;
	}
}

static bool
give(PerfoptRequest *request, int i, const char *text, PerfoptProblem *problem)
{
	const PerfoptParam *param = &request->route->params[i];

	if (request->values[i].given)
		return refuse(problem, 400, "\"%s\" is given twice", param->name);
	if (text != NULL && !check_type(param, text, problem))
		return false;
	request->values[i].given = true;
	request->values[i].text = text;
	return true;
}

/* The parameters in the path, which is cut up here. */
static bool
read_path(PerfoptRequest *request, char *path, PerfoptProblem *problem)
{
	const PerfoptRoute *route = request->route;
	const char *template = route->path;

	for (char *segment = path, *next; segment != NULL; segment = next)
	{
		next = strchr(segment, '/');
		if (next != NULL)
			*next++ = '\0';
		if (template[0] == '{')
		{
			int length = (int) strcspn(template, "}") - 1;

			if (!decode(segment, false))
				return refuse(problem, 400, "the path is not percent-encoded UTF-8");
			for (int i = 0; i < perfopt_route_nparams(route); i++)
				if (route->params[i].place == PERFOPT_IN_PATH &&
					strlen(route->params[i].name) == (size_t) length &&
					memcmp(route->params[i].name, template + 1, (size_t) length) == 0 &&
					!give(request, i, segment, problem))
					return false;
		}
		template += strcspn(template, "/");
		template += *template == '/';
	}
	return true;
}

static int
find_param(const PerfoptRoute *route, const char *name, PerfoptPlace place)
{
	for (int i = 0; i < perfopt_route_nparams(route); i++)
		if (route->params[i].place == place && strcmp(route->params[i].name, name) == 0)
			return i;
	return -1;
}

/* The names that a place takes, for a hint. */
static void
list_params(const PerfoptRoute *route, PerfoptPlace place, PerfoptProblem *problem)
{
	size_t length = 0;

	problem->hint[0] = '\0';
	for (int i = 0; i < perfopt_route_nparams(route) && length < sizeof(problem->hint); i++)
		if (route->params[i].place == place)
			length +=
				(size_t) snprintf(problem->hint + length, sizeof(problem->hint) - length, "%s%s",
								  length > 0 ? ", " : "It takes ", route->params[i].name);
	if (route->answer == PERFOPT_PAGE && place == PERFOPT_IN_QUERY &&
		length < sizeof(problem->hint))
		length += (size_t) snprintf(problem->hint + length, sizeof(problem->hint) - length, "%s",
									length > 0 ? ", limit, cursor" : "It takes limit, cursor");
	if (length == 0)
		snprintf(problem->hint, sizeof(problem->hint), "It takes none.");
}

static bool
read_page(PerfoptRequest *request, const char *name, const char *text, PerfoptProblem *problem)
{
	if (strcmp(name, "limit") == 0)
	{
		if (!integer_fits(text, 1, PERFOPT_PAGE_MOST))
			return refuse(problem, 400, "\"limit\" must be from 1 to %d, not \"%.60s\"",
						  PERFOPT_PAGE_MOST, text);
		request->limit = (int) strtol(text, NULL, 10);
	}
	else
		request->cursor = text;
	return true;
}

static bool
read_query(PerfoptRequest *request, char *query, PerfoptProblem *problem)
{
	for (char *pair = query, *next; pair != NULL; pair = next)
	{
		char *value;
		int i;

		next = strchr(pair, '&');
		if (next != NULL)
			*next++ = '\0';
		if (*pair == '\0')
			continue;
		value = strchr(pair, '=');
		if (value != NULL)
			*value++ = '\0';
		if (!decode(pair, true) || (value != NULL && !decode(value, true)))
			return refuse(problem, 400, "the query is not percent-encoded UTF-8");
		if (request->route->answer == PERFOPT_PAGE && value != NULL &&
			(strcmp(pair, "limit") == 0 || strcmp(pair, "cursor") == 0))
		{
			if (!read_page(request, pair, value, problem))
				return false;
			continue;
		}
		i = find_param(request->route, pair, PERFOPT_IN_QUERY);
		if (i < 0)
		{
			list_params(request->route, PERFOPT_IN_QUERY, problem);
			return refuse(problem, 400, "there is no parameter \"%.60s\"", pair);
		}
		if (!give(request, i, value != NULL ? value : "", problem))
			return false;
	}
	return true;
}

static bool
kind_fits(PerfoptType type, PerfoptJsonKind kind)
{
	switch (type)
	{
		case PERFOPT_TYPE_INT:
		case PERFOPT_TYPE_BIGINT:
		case PERFOPT_TYPE_FLOAT:
			return kind == PERFOPT_JSON_NUMBER;
		case PERFOPT_TYPE_BOOLEAN:
			return kind == PERFOPT_JSON_BOOLEAN;
		case PERFOPT_TYPE_JSON:
			return kind == PERFOPT_JSON_OBJECT || kind == PERFOPT_JSON_ARRAY;
		default:
			return kind == PERFOPT_JSON_STRING;
	}
}

static bool
read_member(void *arg, const char *name, PerfoptJsonKind kind, const char *text)
{
	Reading *reading = arg;
	const PerfoptRoute *route = reading->request->route;
	int i = find_param(route, name, PERFOPT_IN_BODY);

	if (i < 0)
	{
		list_params(route, PERFOPT_IN_BODY, reading->problem);
		return refuse(reading->problem, 400, "the body has an unknown member \"%.60s\"", name);
	}
	if (kind == PERFOPT_JSON_NULL)
		return give(reading->request, i, NULL, reading->problem);
	if (!kind_fits(route->params[i].type, kind))
		return refuse(reading->problem, 400, "\"%s\" must be a JSON value for %s", name,
					  perfopt_type_sql(route->params[i].type));
	return give(reading->request, i, text, reading->problem);
}

static bool
read_body(PerfoptRequest *request, const char *body, size_t length, PerfoptProblem *problem)
{
	Reading reading = { request, problem };
	const char *error;
	bool whole = false;
	bool read;
	int n = perfopt_route_nparams(request->route);

	for (int i = 0; i < n; i++)
		if (request->route->params[i].place == PERFOPT_IS_BODY)
		{
			/* Reading takes a text apart, so what is passed on is a second copy. */
			char *object = perfopt_allocate(2 * (length + 1) + 2);

			memcpy(object, length > 0 ? body : "{}", length > 0 ? length : 2);
			request->body = object;
			whole = true;
			if (!give(request, i, object, problem))
				return false;
		}
	if (length == 0)
		return true;
	if (whole)
	{
		char *scratch = request->body + length + 1;

		memcpy(scratch, body, length);
		read = perfopt_members_read(scratch, length, NULL, NULL, &error);
	}
	else
	{
		request->body = perfopt_allocate(length + 1);
		memcpy(request->body, body, length);
		read = perfopt_members_read(request->body, length, read_member, &reading, &error);
	}
	if (!read && problem->status == 0)
		return refuse(problem, 400, "the body is not a JSON object: %s",
					  error != NULL ? error : "it is malformed");
	return read;
}

static bool
check_missing(PerfoptRequest *request, PerfoptProblem *problem)
{
	for (int i = 0; i < perfopt_route_nparams(request->route); i++)
	{
		const PerfoptParam *param = &request->route->params[i];

		if (param->need == PERFOPT_REQUIRED && !request->values[i].given)
		{
			snprintf(problem->hint, sizeof(problem->hint), "%s", param->about);
			return refuse(problem, 400, "\"%s\" is missing from the %s", param->name,
						  param->place == PERFOPT_IN_QUERY ? "query" : "body");
		}
	}
	return true;
}

bool
perfopt_request_read(PerfoptRequest *request, const char *method, const char *uri, const char *body,
					 size_t length, PerfoptProblem *problem)
{
	static const char prefix[] = PERFOPT_API_PREFIX;
	bool path_known = false;
	char *path;
	char *query;

	*request = (PerfoptRequest){ .limit = PERFOPT_PAGE_DEFAULT, .uri = perfopt_copy(uri) };
	*problem = (PerfoptProblem){ 0 };
	query = strchr(request->uri, '?');
	if (query != NULL)
		*query++ = '\0';
	path = request->uri;
	if (strncmp(path, prefix, sizeof(prefix) - 1) == 0)
	{
		path += sizeof(prefix) - 1;
		request->route = perfopt_route_match(method, path, &path_known, problem->allowed);
	}
	if (request->route == NULL)
	{
		snprintf(problem->hint, sizeof(problem->hint), "/openapi.json lists what there is.");
		return path_known ? refuse(problem, 405, "this path does not take %.20s", method)
						  : refuse(problem, 404, "there is nothing at this path");
	}
	return read_path(request, path, problem) && read_query(request, query, problem) &&
		   read_body(request, body, length, problem) && check_missing(request, problem);
}

void
perfopt_request_free(PerfoptRequest *request)
{
	free(request->uri);
	free(request->body);
	*request = (PerfoptRequest){ 0 };
}
