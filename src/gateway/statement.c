/*
 * statement.c
 *	  The SQL of a request: a call of a function, or the reading of a relation, and nothing else.
 */
#include "gateway/request.h"

#include <stdio.h>

/* A function's call by named arguments; what was not given is left to its defaults. */
static int
put_call(const PerfoptRequest *request, PerfoptText *sql, const char **values)
{
	const PerfoptRoute *route = request->route;
	int bound = 0;

	perfopt_text_format(sql, "perfopt.%s(", route->function);
	for (int i = 0; i < perfopt_route_nparams(route); i++)
	{
		const PerfoptParam *param = &route->params[i];

		if (!request->values[i].given && param->need != PERFOPT_NULLABLE)
			continue;
		values[bound++] = request->values[i].text;
		perfopt_text_format(sql, "%s%s => $%d::%s%s", bound > 1 ? ", " : "", param->name, bound,
							perfopt_type_sql(param->type),
							param->place == PERFOPT_IS_BODY && route->fixed != NULL ? route->fixed
																					: "");
	}
	perfopt_text_put(sql, ")");
	return bound;
}

/* A relation's rows, with a condition on each column that was given. */
static int
put_relation(const PerfoptRequest *request, PerfoptText *sql, const char **values)
{
	const PerfoptRoute *route = request->route;
	int bound = 0;

	perfopt_text_format(sql, "perfopt.%s t", route->relation);
	for (int i = 0; i < perfopt_route_nparams(route); i++)
	{
		const PerfoptParam *param = &route->params[i];

		if (!request->values[i].given)
			continue;
		values[bound++] = request->values[i].text;
		perfopt_text_format(sql, " %s t.%s = $%d::%s", bound > 1 ? "AND" : "WHERE", param->name,
							bound, perfopt_type_sql(param->type));
	}
	return bound;
}

static int
put_source(const PerfoptRequest *request, PerfoptText *sql, const char **values)
{
	int bound;

	if (request->route->relation != NULL)
		return put_relation(request, sql, values);
	bound = put_call(request, sql, values);
	perfopt_text_put(sql, " t");
	return bound;
}

/*
 * One row more than asked for tells whether there is a next page; its cursor is the key of the last
 * row shown, so that rows which come or go meanwhile neither repeat nor hide others.
 */
static int
put_page(const PerfoptRequest *request, PerfoptText *sql, const char **values, char limit[16])
{
	const char *key = request->route->key;
	int bound;
	int nlimit;

	snprintf(limit, 16, "%d", request->limit);
	perfopt_text_format(sql,
						"FROM (SELECT to_jsonb(t) AS item, t.%s::text AS key, "
						"row_number() OVER (ORDER BY t.%s DESC) AS n FROM ",
						key, key);
	bound = put_relation(request, sql, values);
	if (request->cursor != NULL)
	{
		values[bound++] = request->cursor;
		perfopt_text_format(sql, " %s t.%s < $%d", bound > 1 ? "AND" : "WHERE", key, bound);
	}
	values[bound++] = limit;
	nlimit = bound;
	perfopt_text_format(sql, " ORDER BY t.%s DESC LIMIT $%d::int + 1) p", key, nlimit);
	return bound;
}

int
perfopt_request_statement(const PerfoptRequest *request, PerfoptText *sql, const char **values,
						  char limit[16])
{
	const PerfoptRoute *route = request->route;
	PerfoptText from = { 0 };
	int bound;

	switch (route->answer)
	{
		case PERFOPT_PAGE:
			bound = put_page(request, &from, values, limit);
			perfopt_text_format(
				sql,
				"SELECT jsonb_build_object('items', coalesce(jsonb_agg(p.item ORDER "
				"BY p.n) FILTER (WHERE p.n <= $%d::int), '[]'), 'next_cursor', CASE "
				"WHEN count(*) > $%d::int THEN max(p.key) FILTER (WHERE p.n = "
				"$%d::int) END) %s",
				bound, bound, bound, from.data);
			perfopt_text_free(&from);
			return bound;
		case PERFOPT_ROWS:
			perfopt_text_put(sql, "SELECT jsonb_build_object('items', coalesce(jsonb_agg(");
			if (route->key != NULL)
				perfopt_text_format(sql, "to_jsonb(t) ORDER BY t.%s", route->key);
			else
				perfopt_text_put(sql, "to_jsonb(t)");
			perfopt_text_put(sql, "), '[]')) FROM ");
			return put_source(request, sql, values);
		case PERFOPT_ROW:
			perfopt_text_put(sql, "SELECT to_jsonb(t) FROM ");
			return put_source(request, sql, values);
		case PERFOPT_VALUE:
			perfopt_text_format(sql, "SELECT jsonb_build_object('%s', ", route->key);
			bound = put_call(request, sql, values);
			perfopt_text_put(sql, ")");
			return bound;
		default:
			perfopt_text_put(sql, "SELECT ");
			return put_call(request, sql, values);
	}
}
