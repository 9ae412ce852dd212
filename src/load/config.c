/*
 * config.c
 *	  The settings of a load test: from arguments or from jsonb, validated one by one.
 */
#include "postgres.h"

#include <unistd.h>

#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/fmgrprotos.h"
#include "utils/json.h"
#include "utils/numeric.h"
#include "utils/timestamp.h"

#include "guc.h"
#include "load/load.h"
#include "target/target.h"

#define MAX_DURATION_S (30 * 24 * 3600)
#define MAX_PAUSE_S (24 * 3600)
#define MAX_GRACE_S 3600
#define MAX_PROGRESS_S 3600
#define MAX_WORKERS 40

/* Users from which on two load workers share them, where there is more than one processor. */
#define TWO_WORKERS_FROM 50

typedef struct IntervalSetting
{
	const char *name;
	size_t offset;
	int max_s;
	bool positive;
} IntervalSetting;

static const IntervalSetting interval_settings[] = {
	{ "duration", offsetof(LoadConfig, duration_ns), MAX_DURATION_S, true },
	{ "ramp_up", offsetof(LoadConfig, ramp_up_ns), MAX_PAUSE_S, false },
	{ "ramp_down", offsetof(LoadConfig, ramp_down_ns), MAX_PAUSE_S, false },
	{ "think_time", offsetof(LoadConfig, think_time_ns), MAX_PAUSE_S, false },
	{ "grace", offsetof(LoadConfig, grace_ns), MAX_GRACE_S, false },
};

#define KNOWN_SETTINGS                                                                            \
	"kind, users, duration, ramp_up, ramp_down, think_time, scenario, target, rate, thresholds, " \
	"options"
#define KNOWN_OPTIONS "dataset, grace, progress, seed, workers"

LoadConfig *
load_config_create(void)
{
	LoadConfig *config = palloc0(sizeof(LoadConfig));

	config->users = 10;
	config->duration_ns = 30 * LOAD_NS_PER_S;
	config->scenario = "integration";
	config->target = PERFOPT_TARGET_LOCAL;
	config->grace_ns = 5 * LOAD_NS_PER_S;
	config->progress_s = 5;
	config->userid = GetUserId();
	return config;
}

static void
refuse_type(const char *key, const char *wanted, const char *example)
{
	ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					errmsg("\"%s\" of a load test must be %s", key, wanted),
					errhint("For example: {\"%s\": %s}.", key, example)));
}

static int64
integer_value(const char *key, const JsonbValue *value, int64 min, int64 max, const char *example)
{
	Datum number;
	int64 result;

	if (value->type != jbvNumeric)
		refuse_type(key, "a whole number", example);
	number = NumericGetDatum(value->val.numeric);
	if (!DatumGetBool(
			DirectFunctionCall2(numeric_eq, number,
								DirectFunctionCall2(numeric_trunc, number, Int32GetDatum(0)))))
		refuse_type(key, "a whole number", example);
	if (DatumGetBool(DirectFunctionCall2(numeric_lt, number,
										 DirectFunctionCall1(int8_numeric, Int64GetDatum(min)))) ||
		DatumGetBool(DirectFunctionCall2(numeric_gt, number,
										 DirectFunctionCall1(int8_numeric, Int64GetDatum(max)))))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("\"%s\" of a load test is out of range: %s", key,
							   DatumGetCString(DirectFunctionCall1(numeric_out, number))),
						errhint("It may be %lld to %lld.", (long long) min, (long long) max)));
	result = DatumGetInt64(DirectFunctionCall1(numeric_int8, number));
	return result;
}

static char *
string_value(const char *key, const JsonbValue *value, const char *example)
{
	if (value->type != jbvString || value->val.string.len == 0)
		refuse_type(key, "a string that is not empty", example);
	return pnstrdup(value->val.string.val, value->val.string.len);
}

void
load_config_set_users(LoadConfig *config, int users)
{
	if (users < 1 || users > perfopt_max_load_users)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("number of users is out of range: %d", users),
						errdetail("A load test has 1 to %d users.", perfopt_max_load_users),
						users > perfopt_max_load_users
							? errhint("Raise perfopt.max_load_users to allow more.")
							: 0));
	config->users = users;
}

static const IntervalSetting *
find_interval_setting(const char *key)
{
	for (int i = 0; i < lengthof(interval_settings); i++)
		if (strcmp(interval_settings[i].name, key) == 0)
			return &interval_settings[i];
	return NULL;
}

static void
set_seconds(LoadConfig *config, const IntervalSetting *setting, double seconds)
{
	/* Negated, so that NaN is refused as well. */
	if (!(seconds >= 0 && seconds <= setting->max_s) || (setting->positive && seconds < 1e-3))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"%s\" of a load test is out of range: %g s", setting->name, seconds),
				 errhint("It may be %s to %d s.", setting->positive ? "0.001" : "0",
						 setting->max_s)));
	*(int64 *) ((char *) config + setting->offset) = (int64) (seconds * LOAD_NS_PER_S + 0.5);
}

void
load_config_set_interval(LoadConfig *config, const char *key, const Interval *value)
{
	const IntervalSetting *setting = find_interval_setting(key);

	if (value->month != 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("\"%s\" of a load test can't be given in months", key),
						errhint("Months differ in length; use days, hours, minutes or seconds.")));
	set_seconds(config, setting, value->day * (double) SECS_PER_DAY + value->time / 1e6);
}

/* "30 s" as for the type interval, or a number of seconds. */
static void
set_interval_value(LoadConfig *config, const IntervalSetting *setting, const JsonbValue *value)
{
	if (value->type == jbvNumeric)
		set_seconds(config, setting,
					DatumGetFloat8(
						DirectFunctionCall1(numeric_float8, NumericGetDatum(value->val.numeric))));
	else if (value->type == jbvString)
		load_config_set_interval(
			config, setting->name,
			DatumGetIntervalP(
				DirectFunctionCall3(interval_in,
									CStringGetDatum(string_value(setting->name, value, "\"30 s\"")),
									ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1))));
	else
		refuse_type(setting->name, "an interval", "\"30 s\"");
}

void
load_config_refuse_rate(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("load tests with a fixed arrival rate are not supported"),
			 errhint("Leave \"rate\" out, and set the load by \"users\" and \"think_time\".")));
}

static void
unknown_key(const char *what, const char *key, const char *known)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("a load test has no %s \"%s\"", what, key), errhint("Known are: %s.", known)));
}

static void
set_option(LoadConfig *config, const char *key, const JsonbValue *value)
{
	const IntervalSetting *interval = find_interval_setting(key);

	if (strcmp(key, "grace") == 0)
		set_interval_value(config, interval, value);
	else if (strcmp(key, "progress") == 0)
		config->progress_s = (int) integer_value(key, value, 0, MAX_PROGRESS_S, "5");
	else if (strcmp(key, "workers") == 0)
		config->workers = (int) integer_value(key, value, 1, MAX_WORKERS, "2");
	else if (strcmp(key, "seed") == 0)
	{
		config->seed = (uint64) integer_value(key, value, 0, PG_INT64_MAX, "42");
		config->seeded = true;
	}
	else if (strcmp(key, "dataset") == 0)
		config->dataset = string_value(key, value, "\"integration\"");
	else
		unknown_key("option", key, KNOWN_OPTIONS);
}

/* Calls set() for each member of an object; a JSON null leaves the default. */
static void
each_member(LoadConfig *config, JsonbContainer *container, const char *what,
			void (*set)(LoadConfig *config, const char *key, const JsonbValue *value))
{
	JsonbIterator *it;
	JsonbValue value;
	JsonbIteratorToken token;
	char *key = "";

	if (!JsonContainerIsObject(container) || JsonContainerIsScalar(container))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("%s of a load test must be a JSON object", what)));

	it = JsonbIteratorInit(container);
	while ((token = JsonbIteratorNext(&it, &value, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
			key = pnstrdup(value.val.string.val, value.val.string.len);
		else if (token == WJB_VALUE && value.type != jbvNull)
			set(config, key, &value);
	}
}

void
load_config_set_options(LoadConfig *config, JsonbContainer *options)
{
	each_member(config, options, "\"options\"", set_option);
}

static void
refuse_threshold(LoadConfig *config, const char *key, const JsonbValue *value)
{
	ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					errmsg("threshold \"%s\" is not supported", key),
					errhint("Leave \"thresholds\" out, and compare the result yourself.")));
}

void
load_config_set_thresholds(LoadConfig *config, JsonbContainer *thresholds)
{
	each_member(config, thresholds, "\"thresholds\"", refuse_threshold);
}

static JsonbContainer *
container_value(const char *key, const JsonbValue *value)
{
	if (value->type != jbvBinary)
		refuse_type(key, "a JSON object", "{}");
	return value->val.binary.data;
}

void
load_config_set(LoadConfig *config, const char *key, const JsonbValue *value)
{
	const IntervalSetting *interval = find_interval_setting(key);

	if (strcmp(key, "kind") == 0)
	{
		char *kind = string_value(key, value, "\"load\"");

		if (strcmp(kind, "load") != 0)
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("there is no kind of test \"%s\"", kind), errhint("Known is: load.")));
	}
	else if (strcmp(key, "rate") == 0)
		load_config_refuse_rate();
	else if (strcmp(key, "users") == 0)
		load_config_set_users(config,
							  (int) integer_value(key, value, PG_INT32_MIN, PG_INT32_MAX, "10"));
	else if (strcmp(key, "scenario") == 0)
		config->scenario = string_value(key, value, "\"integration\"");
	else if (strcmp(key, "target") == 0)
		config->target = string_value(key, value, "\"" PERFOPT_TARGET_LOCAL "\"");
	else if (strcmp(key, "thresholds") == 0)
		load_config_set_thresholds(config, container_value(key, value));
	else if (strcmp(key, "options") == 0)
		load_config_set_options(config, container_value(key, value));
	else if (interval != NULL && strcmp(key, "grace") != 0)
		set_interval_value(config, interval, value);
	else
		unknown_key("setting", key, KNOWN_SETTINGS);
}

void
load_config_set_jsonb(LoadConfig *config, Jsonb *settings)
{
	each_member(config, &settings->root, "the configuration", load_config_set);
}

static void
append_member(StringInfo out, const char *key, const char *text)
{
	appendStringInfo(out, ", \"%s\": ", key);
	escape_json(out, text);
}

/*
 * What start_test would take to repeat this test.
 */
static char *
settings_json(const LoadConfig *config)
{
	StringInfoData out;

	initStringInfo(&out);
	appendStringInfo(&out, "{\"kind\": \"load\", \"users\": %d", config->users);
	for (int i = 0; i < lengthof(interval_settings); i++)
		if (strcmp(interval_settings[i].name, "grace") != 0)
			appendStringInfo(&out, ", \"%s\": \"%.9g s\"", interval_settings[i].name,
							 *(int64 *) ((char *) config + interval_settings[i].offset) /
								 (double) LOAD_NS_PER_S);
	append_member(&out, "scenario", config->scenario);
	append_member(&out, "target", config->target);
	appendStringInfo(&out,
					 ", \"options\": {\"grace\": \"%.9g s\", \"progress\": %d, \"workers\": %d, "
					 "\"seed\": " UINT64_FORMAT,
					 config->grace_ns / (double) LOAD_NS_PER_S, config->progress_s, config->workers,
					 config->seed);
	if (config->dataset != NULL)
		append_member(&out, "dataset", config->dataset);
	appendStringInfoString(&out, "}}");
	return out.data;
}

/* After all settings and the scenario are known: what was not given. */
void
load_config_complete(LoadConfig *config)
{
	int needed = (config->users + LOAD_USERS_PER_WORKER - 1) / LOAD_USERS_PER_WORKER;

	/*
	 * On a server that is short of CPU a single process, however little it needs, is kept waiting by
	 * as many backends as there are users.
	 */
	if (config->workers == 0 && config->users >= TWO_WORKERS_FROM &&
		sysconf(_SC_NPROCESSORS_ONLN) > 1)
		config->workers = 2;
	config->workers = Min(Max(config->workers, needed), config->users);
	if (!config->seeded)
		config->seed = pg_prng_uint64(&pg_global_prng_state) >> 1;
	config->json = settings_json(config);
}
