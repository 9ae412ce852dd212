/*
 * openapi.c
 *	  The routes for people and for programs, made of the table.
 */
#include "gateway/openapi.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "gateway/problem.h"
#include "gateway/request.h"

static const int problem_statuses[] = { 400, 401, 403, 404, 409, 422, 429, 503 };

/* A name for code generators: get_tests_run_id_progress. */
static void
put_operation_id(PerfoptText *json, const PerfoptRoute *route)
{
	bool word = true;

	for (const char *p = route->method; *p != '\0'; p++)
		perfopt_text_format(json, "%c", tolower((unsigned char) *p));
	for (const char *p = route->path; *p != '\0'; p++)
	{
		if (isalnum((unsigned char) *p))
			perfopt_text_format(json, "%s%c", word ? "_" : "", *p);
		word = !isalnum((unsigned char) *p);
	}
}

static void
put_parameter(PerfoptText *json, bool *first, const char *name, const char *where, bool required,
			  const char *about, const char *schema)
{
	perfopt_text_format(json, "%s{\"name\": \"%s\", \"in\": \"%s\", \"required\": %s, ",
						*first ? "" : ", ", name, where, required ? "true" : "false");
	perfopt_text_put(json, "\"description\": ");
	perfopt_text_json(json, about);
	perfopt_text_format(json, ", \"schema\": %s}", schema);
	*first = false;
}

static void
put_parameters(PerfoptText *json, const PerfoptRoute *route)
{
	bool first = true;

	perfopt_text_put(json, ", \"parameters\": [");
	for (int i = 0; i < perfopt_route_nparams(route); i++)
	{
		const PerfoptParam *param = &route->params[i];

		if (param->place == PERFOPT_IN_PATH || param->place == PERFOPT_IN_QUERY)
			put_parameter(json, &first, param->name,
						  param->place == PERFOPT_IN_PATH ? "path" : "query",
						  param->need == PERFOPT_REQUIRED, param->about,
						  param->type == PERFOPT_TYPE_JSON ? "{\"type\": \"string\"}"
														   : perfopt_type_schema(param->type));
	}
	if (route->answer == PERFOPT_PAGE)
	{
		put_parameter(
			json, &first, "limit", "query", false, "Items on a page.",
			"{\"type\": \"integer\", \"minimum\": 1, \"maximum\": 1000, \"default\": 100}");
		put_parameter(json, &first, "cursor", "query", false, "next_cursor of the page before.",
					  "{\"type\": \"string\"}");
	}
	if (route->answer == PERFOPT_EVENTS)
		put_parameter(json, &first, "Last-Event-ID", "header", false,
					  "The last event that was seen.", "{\"type\": \"string\"}");
	perfopt_text_put(json, "]");
}

static void
put_body(PerfoptText *json, const PerfoptRoute *route)
{
	PerfoptText members = { 0 };
	PerfoptText required = { 0 };
	bool any = false;

	for (int i = 0; i < perfopt_route_nparams(route); i++)
	{
		const PerfoptParam *param = &route->params[i];

		if (param->place == PERFOPT_IS_BODY)
		{
			perfopt_text_put(json, ", \"requestBody\": {\"description\": ");
			perfopt_text_json(json, param->about);
			perfopt_text_put(json, ", \"content\": {\"application/json\": {\"schema\": "
								   "{\"type\": \"object\"}}}}");
			return;
		}
		if (param->place != PERFOPT_IN_BODY)
			continue;
		perfopt_text_format(&members,
							"%s\"%s\": {\"description\": ", members.length > 0 ? ", " : "",
							param->name);
		perfopt_text_json(&members, param->about);
		perfopt_text_format(&members, ", %s", perfopt_type_schema(param->type) + 1);
		if (param->need == PERFOPT_REQUIRED)
			perfopt_text_format(&required, "%s\"%s\"", required.length > 0 ? ", " : "",
								param->name);
		any = true;
	}
	if (any)
	{
		perfopt_text_format(json,
							", \"requestBody\": {\"required\": %s, \"content\": "
							"{\"application/json\": {\"schema\": {\"type\": \"object\", "
							"\"additionalProperties\": false, \"properties\": {%s}",
							required.length > 0 ? "true" : "false", members.data);
		if (required.length > 0)
			perfopt_text_format(json, ", \"required\": [%s]", required.data);
		perfopt_text_put(json, "}}}}");
	}
	perfopt_text_free(&members);
	perfopt_text_free(&required);
}

static const char *
answer_schema(const PerfoptRoute *route)
{
	switch (route->answer)
	{
		case PERFOPT_ROWS:
			return "{\"$ref\": \"#/components/schemas/Items\"}";
		case PERFOPT_PAGE:
			return "{\"$ref\": \"#/components/schemas/Page\"}";
		default:
			return "{\"type\": \"object\"}";
	}
}

static void
put_responses(PerfoptText *json, const PerfoptRoute *route)
{
	bool stream = route->answer == PERFOPT_EVENTS || route->answer == PERFOPT_PROGRESS;

	perfopt_text_format(json, ", \"responses\": {\"%d\": {\"description\": ", route->status);
	perfopt_text_json(json, route->summary);
	if (stream)
		perfopt_text_put(json, ", \"content\": {\"text/event-stream\": {\"schema\": {\"type\": "
							   "\"string\"}}}");
	else if (route->answer != PERFOPT_NOTHING)
		perfopt_text_format(json, ", \"content\": {\"application/json\": {\"schema\": %s}}",
							answer_schema(route));
	perfopt_text_put(json, "}");
	for (size_t i = 0; i < sizeof(problem_statuses) / sizeof(problem_statuses[0]); i++)
		perfopt_text_format(json, ", \"%d\": {\"$ref\": \"#/components/responses/Problem\"}",
							problem_statuses[i]);
	perfopt_text_put(json, "}");
}

static void
put_operation(PerfoptText *json, const PerfoptRoute *route)
{
	char group[32];
	char method[8] = "";

	perfopt_route_group(route, group, sizeof(group));
	for (int i = 0; i < 7 && route->method[i] != '\0'; i++)
		method[i] = (char) tolower((unsigned char) route->method[i]);
	perfopt_text_format(json, "\"%s\": {\"operationId\": \"", method);
	put_operation_id(json, route);
	perfopt_text_format(json, "\", \"tags\": [\"%s\"], \"summary\": ", group);
	perfopt_text_json(json, route->summary);
	perfopt_text_format(json, ", \"x-perfopt-level\": \"%s\", \"x-perfopt-sql\": \"perfopt.%s\"",
						route->level, route->function != NULL ? route->function : route->relation);
	put_parameters(json, route);
	put_body(json, route);
	put_responses(json, route);
	perfopt_text_put(json, "}");
}

static bool
is_first_of_path(int i)
{
	for (int j = 0; j < i; j++)
		if (strcmp(perfopt_routes[i].path, perfopt_routes[j].path) == 0)
			return false;
	return true;
}

static void
put_components(PerfoptText *json)
{
	perfopt_text_put(
		json,
		", \"security\": [{\"basic\": []}, {\"bearer\": []}], \"components\": {"
		"\"securitySchemes\": {\"basic\": {\"type\": \"http\", \"scheme\": \"basic\", "
		"\"description\": \"User and password of a PostgreSQL role.\"}, "
		"\"bearer\": {\"type\": \"http\", \"scheme\": \"bearer\", "
		"\"description\": \"A token that the gateway's configuration maps to a role.\"}}, "
		"\"schemas\": {"
		"\"Items\": {\"type\": \"object\", \"required\": [\"items\"], \"properties\": "
		"{\"items\": {\"type\": \"array\", \"items\": {\"type\": \"object\"}}}}, "
		"\"Page\": {\"type\": \"object\", \"required\": [\"items\", \"next_cursor\"], "
		"\"properties\": {\"items\": {\"type\": \"array\", \"items\": {\"type\": \"object\"}}, "
		"\"next_cursor\": {\"type\": [\"string\", \"null\"]}}}, "
		"\"Problem\": {\"type\": \"object\", \"required\": [\"type\", \"title\", \"status\"], "
		"\"properties\": {\"type\": {\"type\": \"string\"}, \"title\": {\"type\": \"string\"}, "
		"\"status\": {\"type\": \"integer\"}, \"detail\": {\"type\": \"string\"}, "
		"\"hint\": {\"type\": \"string\"}, \"sqlstate\": {\"type\": \"string\"}}}}, "
		"\"responses\": {\"Problem\": {\"description\": \"What is wrong (RFC 9457).\", "
		"\"content\": {\"application/problem+json\": {\"schema\": "
		"{\"$ref\": \"#/components/schemas/Problem\"}}}}}}");
}

void
perfopt_openapi_write(PerfoptText *json)
{
	perfopt_text_put(json, "{\"openapi\": \"3.1.0\", \"info\": {\"title\": \"perfopt\", "
						   "\"version\": \"" PERFOPT_VERSION "\", \"summary\": \"What perfopt "
						   "knows of a PostgreSQL server, over HTTP.\", \"license\": {\"name\": "
						   "\"PostgreSQL\", \"identifier\": \"PostgreSQL\"}}, "
						   "\"servers\": [{\"url\": \"/\"}], \"paths\": {");
	for (int i = 0; i < perfopt_nroutes; i++)
	{
		bool first = true;

		if (!is_first_of_path(i))
			continue;
		perfopt_text_format(json, "%s\"%s%s\": {", i > 0 ? ", " : "", PERFOPT_API_PREFIX,
							perfopt_routes[i].path);
		for (int j = i; j < perfopt_nroutes; j++)
			if (strcmp(perfopt_routes[i].path, perfopt_routes[j].path) == 0)
			{
				perfopt_text_put(json, first ? "" : ", ");
				put_operation(json, &perfopt_routes[j]);
				first = false;
			}
		perfopt_text_put(json, "}");
	}
	perfopt_text_put(json, "}");
	put_components(json);
	perfopt_text_put(json, "}\n");
}

static void
put_params_text(PerfoptText *markdown, const PerfoptRoute *route)
{
	bool first = true;

	for (int i = 0; i < perfopt_route_nparams(route); i++)
	{
		const PerfoptParam *param = &route->params[i];

		if (param->place == PERFOPT_IN_PATH)
			continue;
		perfopt_text_format(markdown, "%s`%s` %s%s", first ? "" : "<br>",
							param->place == PERFOPT_IS_BODY ? "{...}" : param->name,
							perfopt_type_sql(param->type),
							param->need == PERFOPT_REQUIRED ? ", required" : "");
		perfopt_text_format(markdown, ": %s", param->about);
		first = false;
	}
	if (route->answer == PERFOPT_PAGE)
		perfopt_text_format(markdown, "%s`limit` int, `cursor`", first ? "" : "<br>");
}

void
perfopt_api_docs_write(PerfoptText *markdown)
{
	char last[32] = "";

	perfopt_text_put(markdown,
					 "# REST API\n\n"
					 "Made by `perfopt-gateway --print-api-docs` from its table of routes; "
					 "`/openapi.json` says the same to\nprograms, and [gateway.md](gateway.md) "
					 "what holds for all of them. Paths are below\n`" PERFOPT_API_PREFIX "`. "
					 "A GET takes its parameters in the query, others in a JSON object as their\n"
					 "body. The level is that of `perfopt.grant_access()` which it takes.\n");
	for (int i = 0; i < perfopt_nroutes; i++)
	{
		const PerfoptRoute *route = &perfopt_routes[i];
		char group[32];

		perfopt_route_group(route, group, sizeof(group));
		if (strcmp(group, last) != 0)
			perfopt_text_format(markdown,
								"\n## %s\n\n| request | what it does | parameters | SQL | level |\n"
								"| --- | --- | --- | --- | --- |\n",
								group);
		snprintf(last, sizeof(last), "%s", group);
		perfopt_text_format(markdown, "| %s `%s` | %s | ", route->method, route->path,
							route->summary);
		put_params_text(markdown, route);
		perfopt_text_format(markdown, " | `%s%s` | %s |\n",
							route->function != NULL ? route->function : route->relation,
							route->function != NULL ? "()" : "", route->level);
	}
}
