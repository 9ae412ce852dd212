/*
 * threshold.c
 *	  What a test must keep to: how it is written.
 *
 *	  {"p95_ms": 50, "error_pct": 0.1, "throughput": 500}        in the whole of the test
 *	  {"p95_ms": {"limit": 50, "window": "10 s"}}                in any ten seconds
 *	  {"error_pct": {"limit": 5, "window": "5 s", "abort_on_fail": true}}
 *	  {"buy": {"p99_ms": 20}}                                    of one operation
 */
#include "postgres.h"

#include <math.h>

#include "utils/builtins.h"
#include "utils/json.h"

#include "load/load.h"

static const char *const metric_names[] = {
	[LOAD_METRIC_MEAN] = "mean_ms",
	[LOAD_METRIC_P50] = "p50_ms",
	[LOAD_METRIC_P90] = "p90_ms",
	[LOAD_METRIC_P95] = "p95_ms",
	[LOAD_METRIC_P99] = "p99_ms",
	[LOAD_METRIC_MAX] = "max_ms",
	[LOAD_METRIC_ERRORS] = "errors",
	[LOAD_METRIC_ERROR_PCT] = "error_pct",
	[LOAD_METRIC_THROUGHPUT] = "throughput",
};

#define KNOWN_METRICS \
	"mean_ms, p50_ms, p90_ms, p95_ms, p99_ms, max_ms, errors, error_pct and throughput"

typedef struct Reader
{
	LoadConfig *config;
	char *operation;
	LoadThreshold *threshold;
} Reader;

const char *
load_metric_name(LoadMetric metric)
{
	return metric_names[metric];
}

double
load_metric_quantile(LoadMetric metric)
{
	switch (metric)
	{
		case LOAD_METRIC_P50:
			return 0.50;
		case LOAD_METRIC_P90:
			return 0.90;
		case LOAD_METRIC_P95:
			return 0.95;
		case LOAD_METRIC_P99:
			return 0.99;
		default:
			return NAN;
	}
}

static bool
is_minimum(const LoadThreshold *threshold)
{
	return threshold->metric == LOAD_METRIC_THROUGHPUT;
}

bool
load_threshold_worse(const LoadThreshold *threshold, double value, double than)
{
	return is_minimum(threshold) ? value < than : value > than;
}

/* What is not known breaks nothing. */
bool
load_threshold_broken(const LoadThreshold *threshold, double value)
{
	return !isnan(value) && load_threshold_worse(threshold, value, threshold->limit);
}

static int
find_metric(const char *name)
{
	for (int i = 0; i < lengthof(metric_names); i++)
		if (strcmp(metric_names[i], name) == 0)
			return i;
	return -1;
}

static void
read_limit(LoadThreshold *threshold, const char *key, const JsonbValue *value)
{
	threshold->limit = load_json_number(key, value, "50");
	if (!(threshold->limit >= 0 && threshold->limit <= 1e12))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("the threshold for \"%s\" is out of range: %g",
							   metric_names[threshold->metric], threshold->limit),
						errhint("It may be 0 to 10^12.")));
}

static void
read_detail(void *arg, const char *key, const JsonbValue *value)
{
	LoadThreshold *threshold = arg;
	double seconds;

	if (strcmp(key, "limit") == 0)
		read_limit(threshold, key, value);
	else if (strcmp(key, "abort_on_fail") == 0)
		threshold->abort = load_json_bool(key, value);
	else if (strcmp(key, "window") == 0)
	{
		seconds = load_json_seconds(key, value);
		if (!(seconds >= 1 && seconds <= LOAD_MAX_WINDOW_S) || seconds != rint(seconds))
			ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
							errmsg("the window of a threshold is out of range: %g s", seconds),
							errhint("It may be 1 to %d whole seconds.", LOAD_MAX_WINDOW_S)));
		threshold->window_s = (int) seconds;
	}
	else
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("a threshold can't have \"%s\"", key),
						errhint("It can have limit, window and abort_on_fail.")));
}

static void
read_threshold(Reader *reader, LoadMetric metric, const char *key, const JsonbValue *value)
{
	LoadConfig *config = reader->config;
	LoadThreshold *threshold;

	if (config->nthresholds == LOAD_MAX_THRESHOLDS)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("a load test has %d thresholds at most", LOAD_MAX_THRESHOLDS)));
	if (config->thresholds == NULL)
		config->thresholds = palloc(sizeof(LoadThreshold) * LOAD_MAX_THRESHOLDS);
	threshold = &config->thresholds[config->nthresholds++];
	memset(threshold, 0, sizeof(*threshold));
	threshold->operation = reader->operation;
	threshold->metric = metric;
	threshold->limit = -1;
	if (value->type != jbvBinary)
		read_limit(threshold, key, value);
	else
		load_json_each(threshold, value->val.binary.data, "a threshold", read_detail);
	if (threshold->limit < 0)
		load_json_refuse(key, "a number, or an object with a \"limit\"",
						 "{\"limit\": 50, \"window\": \"10 s\"}");
	if (threshold->abort && threshold->window_s == 0)
		threshold->window_s = 5;
}

static void
read_of_operation(void *arg, const char *key, const JsonbValue *value)
{
	int metric = find_metric(key);

	if (metric < 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("there is no threshold \"%s\"", key),
						errhint("Known are " KNOWN_METRICS ".")));
	read_threshold(arg, metric, key, value);
}

/* A metric's name means it; any other name is an operation's. */
static void
read_member(void *arg, const char *key, const JsonbValue *value)
{
	Reader *reader = arg;
	int metric = find_metric(key);

	reader->operation = NULL;
	if (metric >= 0)
		read_threshold(reader, metric, key, value);
	else if (value->type == jbvBinary)
	{
		reader->operation = pstrdup(key);
		load_json_each(reader, value->val.binary.data, "thresholds", read_of_operation);
	}
	else
		read_of_operation(reader, key, value);
}

void
load_thresholds_read(LoadConfig *config, JsonbContainer *thresholds)
{
	Reader reader = { config, NULL, NULL };

	config->nthresholds = 0;
	load_json_each(&reader, thresholds, "\"thresholds\"", read_member);
}

void
load_thresholds_resolve(LoadConfig *config)
{
	for (int i = 0; i < config->nthresholds; i++)
	{
		LoadThreshold *threshold = &config->thresholds[i];

		threshold->number = -1;
		for (int j = 0; threshold->operation != NULL && j < config->noperations; j++)
			if (strcmp(config->operations[j].name, threshold->operation) == 0)
				threshold->number = j;
		if (threshold->operation != NULL && threshold->number < 0)
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_OBJECT),
					 errmsg("there is a threshold for \"%s\", which scenario \"%s\" does not have",
							threshold->operation, config->scenario),
					 errhint("A key is the name of an operation, or one of " KNOWN_METRICS ".")));
	}
}

static void
write_threshold(StringInfo out, const LoadThreshold *threshold)
{
	escape_json(out, metric_names[threshold->metric]);
	appendStringInfo(out, ": {\"limit\": %.17g", threshold->limit);
	if (threshold->window_s > 0)
		appendStringInfo(out, ", \"window\": \"%d s\"", threshold->window_s);
	appendStringInfo(out, "%s}", threshold->abort ? ", \"abort_on_fail\": true" : "");
}

static bool
same_operation(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

/* Those of one operation were read one after the other. */
void
load_thresholds_write(StringInfo out, const LoadConfig *config)
{
	const char *operation = NULL;

	appendStringInfoChar(out, '{');
	for (int i = 0; i < config->nthresholds; i++)
	{
		const LoadThreshold *threshold = &config->thresholds[i];
		bool same = i > 0 && same_operation(threshold->operation, operation);

		if (i > 0)
			appendStringInfoString(out, same || operation == NULL ? ", " : "}, ");
		if (!same && threshold->operation != NULL)
		{
			escape_json(out, threshold->operation);
			appendStringInfoString(out, ": {");
		}
		operation = threshold->operation;
		write_threshold(out, threshold);
	}
	appendStringInfoString(out, operation != NULL ? "}}" : "}");
}
