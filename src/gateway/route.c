/*
 * route.c
 *	  Finding a route.
 */
#include "gateway/route.h"

#include <stdio.h>
#include <string.h>

const char *
perfopt_type_sql(PerfoptType type)
{
	static const char *const names[] = { "",        "text",     "int",         "bigint", "float8",
										 "boolean", "interval", "timestamptz", "jsonb" };

	return names[type];
}

const char *
perfopt_type_schema(PerfoptType type)
{
	static const char *const schemas[] = { "{}",
										   "{\"type\": \"string\"}",
										   "{\"type\": \"integer\", \"format\": \"int32\"}",
										   "{\"type\": \"integer\", \"format\": \"int64\"}",
										   "{\"type\": \"number\"}",
										   "{\"type\": \"boolean\"}",
										   "{\"type\": \"string\", \"examples\": [\"15 min\"]}",
										   "{\"type\": \"string\", \"format\": \"date-time\"}",
										   "{\"type\": \"object\"}" };

	return schemas[type];
}

int
perfopt_route_nparams(const PerfoptRoute *route)
{
	int n = 0;

	while (n < PERFOPT_MAX_PARAMS && route->params[n].type != PERFOPT_TYPE_NONE)
		n++;
	return n;
}

void
perfopt_route_group(const PerfoptRoute *route, char *group, int size)
{
	snprintf(group, (size_t) size, "%.*s", (int) strcspn(route->path, "/"), route->path);
}

/* Does a path fit a template? The number of its parameters, or -1. */
static int
fits(const char *template, const char *path)
{
	int params = 0;

	for (;;)
	{
		size_t wanted = strcspn(template, "/");
		size_t got = strcspn(path, "/");

		if (template[0] == '{')
		{
			if (got == 0)
				return -1;
			params++;
		}
		else if (wanted != got || memcmp(template, path, got) != 0)
			return -1;
		if (template[wanted] != path[got])
			return -1;
		if (path[got] == '\0')
			return params;
		template += wanted + 1;
		path += got + 1;
	}
}

static void
allow(char allowed[64], const char *method)
{
	size_t length = strlen(allowed);

	if (strstr(allowed, method) == NULL)
		snprintf(allowed + length, 64 - length, "%s%s", length > 0 ? ", " : "", method);
}

const PerfoptRoute *
perfopt_route_match(const char *method, const char *path, bool *path_known, char allowed[64])
{
	const PerfoptRoute *best = NULL;
	int best_params = PERFOPT_MAX_PARAMS + 1;

	/* HEAD is GET whose body is not sent. */
	if (strcmp(method, "HEAD") == 0)
		method = "GET";
	*path_known = false;
	allowed[0] = '\0';
	for (int i = 0; i < perfopt_nroutes; i++)
	{
		const PerfoptRoute *route = &perfopt_routes[i];
		int params = fits(route->path, path);

		if (params < 0)
			continue;
		*path_known = true;
		allow(allowed, route->method);
		if (strcmp(route->method, method) == 0 && params < best_params)
		{
			best = route;
			best_params = params;
		}
	}
	return best;
}
