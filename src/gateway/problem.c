/*
 * problem.c
 *	  Errors as HTTP tells them.
 */
#include "gateway/problem.h"

#include <stdio.h>
#include <string.h>

#include "gateway/members.h"

/* The first row that an SQLSTATE begins with. */
static const struct
{
	const char *begin;
	int status;
} statuses[] = {
	{ "08", 503 },                                        /* connection exception */
	{ "0A", 422 },                                        /* feature not supported */
	{ "22P02", 400 },                                     /* malformed text of a type */
	{ "22007", 400 },                                     /* malformed time */
	{ "22008", 400 }, { "22", 422 },    { "23505", 409 }, /* unique violation */
	{ "23", 422 },    { "25006", 409 },                   /* read-only: a standby */
	{ "28", 401 },                                        /* invalid authorization */
	{ "3D", 503 },                                        /* no such database */
	{ "3F", 503 },                                        /* no schema perfopt */
	{ "40", 503 },                                        /* serialization failure, deadlock */
	{ "42501", 403 }, { "42704", 404 },                   /* undefined object */
	{ "42710", 409 },                                     /* duplicate object */
	{ "42P06", 409 },                                     /* duplicate schema */
	{ "42883", 503 }, /* undefined function, table, column: another version of the extension */
	{ "42P01", 503 }, { "42703", 503 }, { "42", 422 }, /* such as reserved name */
	{ "2BP01", 409 },                                  /* dependent objects */
	{ "2F003", 403 }, /* a target that this role has no password for */
	{ "53", 503 },    /* insufficient resources */
	{ "54", 422 },    /* program limit exceeded */
	{ "55", 409 },    /* not in prerequisite state */
	{ "57014", 504 }, /* statement timeout */
	{ "57", 503 },    { "P0002", 404 },
};

int
perfopt_problem_status(const char *sqlstate)
{
	for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++)
		if (strncmp(sqlstate, statuses[i].begin, strlen(statuses[i].begin)) == 0)
			return statuses[i].status;
	return 500;
}

const char *
perfopt_problem_title(int status)
{
	switch (status)
	{
		case 400:
			return "Bad Request";
		case 401:
			return "Unauthorized";
		case 403:
			return "Forbidden";
		case 404:
			return "Not Found";
		case 405:
			return "Method Not Allowed";
		case 409:
			return "Conflict";
		case 413:
			return "Content Too Large";
		case 415:
			return "Unsupported Media Type";
		case 422:
			return "Unprocessable Content";
		case 429:
			return "Too Many Requests";
		case 503:
			return "Service Unavailable";
		case 504:
			return "Gateway Timeout";
		default:
			return "Internal Server Error";
	}
}

/* A buffer may have cut a character in two. */
static void
put_member(PerfoptText *json, const char *name, const char *text)
{
	char whole[sizeof(((PerfoptProblem *) NULL)->detail)];
	size_t length;

	if (text[0] == '\0')
		return;
	snprintf(whole, sizeof(whole), "%s", text);
	for (length = strlen(whole); length > 0 && !perfopt_utf8_valid(whole, length); length--)
		whole[length - 1] = '\0';
	perfopt_text_format(json, ", \"%s\": ", name);
	perfopt_text_json(json, whole);
}

void
perfopt_problem_json(const PerfoptProblem *problem, PerfoptText *json)
{
	perfopt_text_format(json, "{\"type\": \"about:blank\", \"title\": \"%s\", \"status\": %d",
						perfopt_problem_title(problem->status), problem->status);
	put_member(json, "detail", problem->detail);
	put_member(json, "hint", problem->hint);
	put_member(json, "sqlstate", problem->sqlstate);
	perfopt_text_put(json, "}");
}

void
perfopt_problem_set(PerfoptProblem *problem, int status, const char *detail, const char *hint)
{
	*problem = (PerfoptProblem){ .status = status };
	snprintf(problem->detail, sizeof(problem->detail), "%s", detail);
	snprintf(problem->hint, sizeof(problem->hint), "%s", hint != NULL ? hint : "");
}
