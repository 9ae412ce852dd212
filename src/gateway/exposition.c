/*
 * exposition.c
 *	  /metrics.
 */
#include "gateway/exposition.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/clients.h"
#include "gateway/events.h"
#include "gateway/members.h"

static atomic_ullong answers[6]; /* by class of status: 1xx to 5xx */
static atomic_ullong microseconds;

void
perfopt_exposition_count(int status, double seconds)
{
	int class = status / 100;

	answers[class >= 1 && class <= 5 ? class : 5]++;
	microseconds += (unsigned long long) (seconds * 1e6);
}

static bool
is_name(const char *name, bool colon)
{
	if (name[0] == '\0' || (name[0] >= '0' && name[0] <= '9'))
		return false;
	for (const char *p = name; *p != '\0'; p++)
		if (!((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9') ||
			  *p == '_' || (colon && *p == ':')))
			return false;
	return true;
}

static void
put_escaped(PerfoptText *text, const char *value, bool quotes)
{
	for (const char *p = value; *p != '\0'; p++)
		if (*p == '\n')
			perfopt_text_put(text, "\\n");
		else if (*p == '\\' || (quotes && *p == '"'))
			perfopt_text_format(text, "\\%c", *p);
		else
			perfopt_text_add(text, p, 1);
}

/* Labels of a series as they are read from jsonb. */
typedef struct Labels
{
	PerfoptText text;
	bool unfit; /* a bucket or quantile, or a name that Prometheus has no room for */
} Labels;

static bool
read_label(void *arg, const char *name, PerfoptJsonKind kind, const char *text)
{
	Labels *labels = arg;

	if (!is_name(name, false) || strcmp(name, "le") == 0 || strcmp(name, "quantile") == 0)
	{
		labels->unfit = true;
		return false;
	}
	perfopt_text_format(&labels->text, "%s%s=\"", labels->text.length > 0 ? "," : "", name);
	put_escaped(&labels->text, text, true);
	perfopt_text_put(&labels->text, "\"");
	return true;
}

static bool
ends_with(const char *text, const char *end)
{
	size_t length = strlen(text);

	return length > strlen(end) && strcmp(text + length - strlen(end), end) == 0;
}

static void
put_family(PerfoptText *text, const char *name, const char *type, const char *help)
{
	perfopt_text_format(text, "# HELP %s ", name);
	put_escaped(text, help[0] != '\0' ? help : name, false);
	perfopt_text_format(text, "\n# TYPE %s %s\n", name, type);
}

/* A row: metric, kind, help, labels, value. Rows of a metric follow one another. */
static void
put_sample(PerfoptText *text, char *family, size_t size, PGresult *result, int row)
{
	const char *metric = PQgetvalue(result, row, 0);
	bool counter = strcmp(PQgetvalue(result, row, 1), "counter") == 0;
	const char *value = PQgetvalue(result, row, 4);
	char *json = perfopt_copy(PQgetvalue(result, row, 3));
	Labels labels = { 0 };
	const char *error;
	char name[256];

	snprintf(name, sizeof(name), "%.*s%s",
			 (int) (strlen(metric) - (counter && ends_with(metric, "_total") ? 6 : 0)), metric,
			 counter                                                    ? "_per_second"
			 : ends_with(metric, "_count") || ends_with(metric, "_sum") ? "_value"
																		: "");
	if (perfopt_members_read(json, strlen(json), read_label, &labels, &error) && !labels.unfit &&
		is_name(name, true) && !ends_with(metric, "_bucket"))
	{
		if (strcmp(family, name) != 0)
		{
			snprintf(family, size, "%s", name);
			put_family(text, name, "gauge", PQgetvalue(result, row, 2));
		}
		perfopt_text_put(text, name);
		if (labels.text.length > 0)
			perfopt_text_format(text, "{%s}", labels.text.data);
		perfopt_text_format(text, " %s\n",
							strcmp(value, "Infinity") == 0    ? "+Inf"
							: strcmp(value, "-Infinity") == 0 ? "-Inf"
															  : value);
	}
	free(json);
	perfopt_text_free(&labels.text);
}

static void
put_gauge(PerfoptText *text, const char *name, const char *help, double value)
{
	put_family(text, name, "gauge", help);
	perfopt_text_format(text, "%s %.17g\n", name, value);
}

/* In OpenMetrics a counter's family is its name without _total. */
static void
put_counter(PerfoptText *text, bool openmetrics, const char *name, const char *help)
{
	char family[64];

	snprintf(family, sizeof(family), "%s%s", name, openmetrics ? "" : "_total");
	put_family(text, family, "counter", help);
}

static void
put_own(PerfoptText *text, bool openmetrics)
{
	int open;
	int busy;

	perfopt_pool_count(&open, &busy);
	put_gauge(text, "perfopt_gateway_clients", "Client connections.", perfopt_clients_count());
	put_gauge(text, "perfopt_gateway_streams", "Event streams.", perfopt_events_count());
	put_gauge(text, "perfopt_gateway_database_connections", "Connections to the database.", open);
	put_gauge(text, "perfopt_gateway_database_connections_busy", "Of these, in use.", busy);
	put_counter(text, openmetrics, "perfopt_gateway_answers", "Answers by class of status.");
	for (int class = 2; class <= 5; class ++)
		perfopt_text_format(text, "perfopt_gateway_answers_total{class=\"%dxx\"} %llu\n", class,
							(unsigned long long) answers[class]);
	put_counter(text, openmetrics, "perfopt_gateway_busy_seconds",
				"Time from a request's beginning to its answer's end.");
	perfopt_text_format(text, "perfopt_gateway_busy_seconds_total %.6f\n",
						(double) microseconds / 1e6);
}

bool
perfopt_exposition_write(PerfoptSession *session, bool openmetrics, PerfoptText *text,
						 PerfoptProblem *problem)
{
	char family[256] = "";
	PGresult *result = perfopt_session_query(
		session,
		"SELECT c.metric, m.kind, coalesce(m.help, ''), c.labels, c.value "
		"FROM perfopt.current_metrics() c JOIN perfopt.metric m ON m.name = c.metric "
		"WHERE c.value IS NOT NULL ORDER BY c.metric, c.labels",
		0, NULL, problem);

	if (result == NULL)
		return false;
	for (int row = 0; row < PQntuples(result); row++)
		put_sample(text, family, sizeof(family), result, row);
	PQclear(result);
	put_own(text, openmetrics);
	if (openmetrics)
		perfopt_text_put(text, "# EOF\n");
	return true;
}
