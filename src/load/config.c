/*
 * config.c
 *	  The settings of a load test: from arguments or from jsonb, validated one by one.
 */
#include "postgres.h"

#include <math.h>
#include <unistd.h>

#include "fmgr.h"
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
#define MAX_SLOT_S 60

/* Slots of an A/B test that have something to say about chance. */
#define MIN_PAIRS 6
#define MAX_RETRIES 1000
#define MAX_RATE 1e6

/* An endurance test shorter than this has not seen what it looks for. */
#define MIN_ENDURANCE_NS (3600 * LOAD_NS_PER_S)

/* A stress test goes no further than so many times where it starts, unless it is told to. */
#define STRESS_FACTOR 10

/* Users from which on two load workers share them, where there is more than one processor. */
#define TWO_WORKERS_FROM 50
#define WORKER_FOR_EVERY 250 /* sessions, while there are processors */
#define WORKER_FOR_RATE 2000 /* calls a second: a tenth of a processor or so */

typedef struct IntervalSetting
{
	const char *name;
	size_t offset;
	int max_s;
	bool positive;
	bool option;
} IntervalSetting;

static const IntervalSetting interval_settings[] = {
	{ "duration", offsetof(LoadConfig, duration_ns), MAX_DURATION_S, true, false },
	{ "ramp_up", offsetof(LoadConfig, ramp_up_ns), MAX_PAUSE_S, false, false },
	{ "ramp_down", offsetof(LoadConfig, ramp_down_ns), MAX_PAUSE_S, false, false },
	{ "spike_duration", offsetof(LoadConfig, spike_ns), MAX_PAUSE_S, true, false },
	{ "recovery", offsetof(LoadConfig, recovery_ns), MAX_PAUSE_S, false, false },
	{ "grace", offsetof(LoadConfig, grace_ns), MAX_GRACE_S, false, true },
	{ "warm_up", offsetof(LoadConfig, warm_up_ns), MAX_PAUSE_S, false, true },
	{ "settle", offsetof(LoadConfig, settle_ns), MAX_PAUSE_S, false, true },
	{ "slot", offsetof(LoadConfig, slot_ns), MAX_SLOT_S, true, true },
};

static const char *const kind_names[] = { [LOAD_KIND_LOAD] = "load",
										  [LOAD_KIND_STRESS] = "stress",
										  [LOAD_KIND_ENDURANCE] = "endurance",
										  [LOAD_KIND_SPIKE] = "spike",
										  [LOAD_KIND_AB] = "ab" };

static const char *const protocol_names[] = { [LOAD_PROTOCOL_PREPARED] = "prepared",
											  [LOAD_PROTOCOL_EXTENDED] = "extended",
											  [LOAD_PROTOCOL_SIMPLE] = "simple",
											  [LOAD_PROTOCOL_PIPELINE] = "pipeline" };

#define KNOWN_SETTINGS                                                                            \
	"kind, users, rate, duration, ramp_up, ramp_down, think_time, scenario, target, thresholds, " \
	"options; of a stress test max_users or max_rate; of a spike spike_users, spike_duration "    \
	"and recovery"
#define KNOWN_OPTIONS                                                                         \
	"allow_short, arrivals, connections, dataset, dataset_scale, grace, progress, protocol, " \
	"retries, seed, "                                                                         \
	"settle, think_time, warm_up, workers"

const char *
load_kind_name(LoadKind kind)
{
	return kind_names[kind];
}

LoadConfig *
load_config_create(LoadKind kind)
{
	LoadConfig *config = palloc0(sizeof(LoadConfig));

	config->kind = kind;
	config->users = 10;
	config->duration_ns = 30 * LOAD_NS_PER_S;
	config->scenario = "integration";
	config->target = PERFOPT_TARGET_LOCAL;
	config->grace_ns = 5 * LOAD_NS_PER_S;
	config->progress_s = 5;
	config->nvariants = 1;
	config->spike_ns = config->recovery_ns = -1;
	config->settle_ns = 2 * LOAD_NS_PER_S;
	config->slot_ns = LOAD_NS_PER_S;
	config->userid = GetUserId();
	return config;
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
find_interval_setting(const char *key, bool option)
{
	for (int i = 0; i < lengthof(interval_settings); i++)
		if (strcmp(interval_settings[i].name, key) == 0 && interval_settings[i].option == option)
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
	double seconds = load_interval_seconds(key, value);

	if (strcmp(key, "think_time") != 0)
	{
		set_seconds(config, find_interval_setting(key, false), seconds);
		return;
	}
	if (!(seconds >= 0 && seconds <= MAX_PAUSE_S))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("\"%s\" of a load test is out of range: %g s", key, seconds),
						errhint("It may be 0 to %d s.", MAX_PAUSE_S)));
	config->think = (LoadPause){ LOAD_PAUSE_CONSTANT, (int64) (seconds * LOAD_NS_PER_S + 0.5), 0 };
}

void
load_config_set_rate(LoadConfig *config, double rate)
{
	if (!(rate > 0 && rate <= MAX_RATE))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("\"rate\" of a load test is out of range: %g", rate),
						errhint("It is calls per second, above 0 and at most %g; leave it out for "
								"users that call when they are ready.",
								MAX_RATE)));
	config->rate = rate;
}

static void
unknown_key(const char *what, const char *key, const char *known)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("a load test has no %s \"%s\"", what, key), errhint("Known are: %s.", known)));
}

/* Which of the names the value is. */
static int
choice(const char *key, const JsonbValue *value, const char *const *names, int n)
{
	char *name = load_json_string(key, value, psprintf("\"%s\"", names[0]));
	StringInfoData known;

	for (int i = 0; i < n; i++)
		if (strcmp(names[i], name) == 0)
			return i;
	initStringInfo(&known);
	for (int i = 0; i < n; i++)
		appendStringInfo(&known, "%s%s", i > 0 ? ", " : "", names[i]);
	ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					errmsg("\"%s\" of a load test can't be \"%s\"", key, name),
					errhint("It is one of: %s.", known.data)));
	return -1;
}

static void
set_option(void *arg, const char *key, const JsonbValue *value)
{
	static const char *const arrivals[] = { "poisson", "even" };
	LoadConfig *config = arg;
	const IntervalSetting *interval = find_interval_setting(key, true);

	if (interval != NULL)
		set_seconds(config, interval, load_json_seconds(key, value));
	else if (strcmp(key, "think_time") == 0)
		config->think = load_pause_read(key, value);
	else if (strcmp(key, "progress") == 0)
		config->progress_s = (int) load_json_integer(key, value, 0, MAX_PROGRESS_S, "5");
	else if (strcmp(key, "workers") == 0)
		config->workers = (int) load_json_integer(key, value, 1, MAX_WORKERS, "2");
	else if (strcmp(key, "connections") == 0)
		config->connections = (int) load_json_integer(key, value, 1, perfopt_max_load_users, "20");
	else if (strcmp(key, "retries") == 0)
		config->retries = (int) load_json_integer(key, value, 0, MAX_RETRIES, "3");
	else if (strcmp(key, "protocol") == 0)
		config->protocol = choice(key, value, protocol_names, lengthof(protocol_names));
	else if (strcmp(key, "arrivals") == 0)
		config->even = choice(key, value, arrivals, lengthof(arrivals)) == 1;
	else if (strcmp(key, "dataset_scale") == 0)
		config->dataset_scale = (int) load_json_integer(key, value, 1, 1000, "2");
	else if (strcmp(key, "allow_short") == 0)
		config->allow_short = load_json_bool(key, value);
	else if (strcmp(key, "seed") == 0)
	{
		config->seed = (uint64) load_json_integer(key, value, 0, PG_INT64_MAX, "42");
		config->seeded = true;
	}
	else if (strcmp(key, "dataset") == 0)
		config->dataset = load_json_string(key, value, "\"integration\"");
	else
		unknown_key("option", key, KNOWN_OPTIONS);
}

void
load_config_set_options(LoadConfig *config, JsonbContainer *options)
{
	load_json_each(config, options, "\"options\"", set_option);
}

static JsonbContainer *
container_value(const char *key, const JsonbValue *value)
{
	if (value->type != jbvBinary)
		load_json_refuse(key, "a JSON object", "{}");
	return value->val.binary.data;
}

static void
set_member(void *arg, const char *key, const JsonbValue *value)
{
	load_config_set(arg, key, value);
}

void
load_config_set(LoadConfig *config, const char *key, const JsonbValue *value)
{
	const IntervalSetting *interval = find_interval_setting(key, false);

	if (strcmp(key, "kind") == 0)
		config->kind = choice(key, value, kind_names, lengthof(kind_names));
	else if (strcmp(key, "rate") == 0)
		load_config_set_rate(config, load_json_number(key, value, "100"));
	else if (strcmp(key, "users") == 0)
		load_config_set_users(config, (int) load_json_integer(key, value, PG_INT32_MIN,
															  PG_INT32_MAX, "10"));
	else if (strcmp(key, "max_users") == 0)
		config->max_level =
			(double) load_json_integer(key, value, 1, perfopt_max_load_users, "100");
	else if (strcmp(key, "max_rate") == 0)
	{
		config->max_level = load_json_number(key, value, "1000");
		if (!(config->max_level > 0 && config->max_level <= MAX_RATE))
			load_json_refuse(key, "above 0 and at most 1000000", "1000");
	}
	else if (strcmp(key, "spike_users") == 0)
		config->spike_users = (int) load_json_integer(key, value, 1, perfopt_max_load_users, "100");
	else if (strcmp(key, "think_time") == 0)
		config->think = load_pause_read(key, value);
	else if (strcmp(key, "scenario") == 0)
		config->scenario = load_json_string(key, value, "\"integration\"");
	else if (strcmp(key, "target") == 0)
		config->target = load_json_string(key, value, "\"" PERFOPT_TARGET_LOCAL "\"");
	else if (strcmp(key, "variant_a") == 0 || strcmp(key, "variant_b") == 0)
		load_variant_read(config, key, JsonbValueToJsonb(unconstify(JsonbValue *, value)));
	else if (strcmp(key, "thresholds") == 0)
		load_thresholds_read(config, container_value(key, value));
	else if (strcmp(key, "options") == 0)
		load_config_set_options(config, container_value(key, value));
	else if (interval != NULL)
		set_seconds(config, interval, load_json_seconds(key, value));
	else
		unknown_key("setting", key, KNOWN_SETTINGS);
}

void
load_config_set_jsonb(LoadConfig *config, Jsonb *settings)
{
	load_json_each(config, &settings->root, "the configuration", set_member);
}

static void
append_member(StringInfo out, const char *key, const char *text)
{
	appendStringInfo(out, ", \"%s\": ", key);
	escape_json(out, text);
}

static void
append_intervals(StringInfo out, const LoadConfig *config, bool option)
{
	for (int i = 0; i < lengthof(interval_settings); i++)
	{
		const IntervalSetting *setting = &interval_settings[i];
		int64 ns = *(const int64 *) ((const char *) config + setting->offset);

		if (setting->option == option && ns >= 0)
			appendStringInfo(out, ", \"%s\": \"%.9g s\"", setting->name,
							 ns / (double) LOAD_NS_PER_S);
	}
}

static void
append_options(StringInfo out, const LoadConfig *config)
{
	appendStringInfo(out,
					 "{\"progress\": %d, \"workers\": %d, \"seed\": " UINT64_FORMAT
					 ", \"protocol\": \"%s\", \"retries\": %d",
					 config->progress_s, config->workers, config->seed,
					 protocol_names[config->protocol], config->retries);
	if (config->connections < config->users)
		appendStringInfo(out, ", \"connections\": %d", config->connections);
	append_intervals(out, config, true);
	if (config->rate > 0)
		append_member(out, "arrivals", config->even ? "even" : "poisson");
	if (config->dataset != NULL)
		append_member(out, "dataset", config->dataset);
	if (config->dataset_scale > 0)
		appendStringInfo(out, ", \"dataset_scale\": %d", config->dataset_scale);
	if (config->allow_short)
		appendStringInfoString(out, ", \"allow_short\": true");
	appendStringInfoChar(out, '}');
}

/*
 * What start_test would take to repeat this test.
 */
static char *
settings_json(const LoadConfig *config, int users)
{
	StringInfoData out;

	initStringInfo(&out);
	appendStringInfo(&out, "{\"kind\": \"%s\", \"users\": %d", kind_names[config->kind], users);
	if (config->rate > 0)
		appendStringInfo(&out, ", \"rate\": %.17g", config->rate);
	append_intervals(&out, config, false);
	if (config->kind == LOAD_KIND_STRESS)
		appendStringInfo(&out, ", \"%s\": %.17g", config->rate > 0 ? "max_rate" : "max_users",
						 config->max_level);
	if (config->kind == LOAD_KIND_SPIKE)
		appendStringInfo(&out, ", \"spike_users\": %d", config->spike_users);
	for (int i = 0; i < LOAD_MAX_VARIANTS; i++)
		if (config->variants[i].definition != NULL)
			appendStringInfo(&out, ", \"variant_%c\": %s", 'a' + i,
							 JsonbToCString(NULL, &config->variants[i].definition->root,
											VARSIZE(config->variants[i].definition)));
	appendStringInfoString(&out, ", \"think_time\": ");
	load_pause_write(&out, &config->think);
	append_member(&out, "scenario", config->scenario);
	append_member(&out, "target", config->target);
	appendStringInfoString(&out, ", \"thresholds\": ");
	load_thresholds_write(&out, config);
	appendStringInfoString(&out, ", \"options\": ");
	append_options(&out, config);
	appendStringInfoChar(&out, '}');
	return out.data;
}

static void
refuse_for_kind(const LoadConfig *config, bool given, const char *name, const char *kind)
{
	if (given)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("\"%s\" has no meaning for a test of kind \"%s\"", name,
							   kind_names[config->kind]),
						errhint("It belongs to kind \"%s\".", kind)));
}

static void
complete_stress(LoadConfig *config)
{
	double start = config->start_level = config->rate > 0 ? config->rate : config->users;

	if (config->max_level == 0)
		config->max_level = config->rate > 0
								? Min(start * STRESS_FACTOR, MAX_RATE)
								: Min(config->users * STRESS_FACTOR, perfopt_max_load_users);
	if (config->max_level < start)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("a stress test can't go from %g to %g", start, config->max_level),
						errhint("The load grows from \"%s\" to \"%s\".",
								config->rate > 0 ? "rate" : "users",
								config->rate > 0 ? "max_rate" : "max_users")));
	if (config->rate == 0 && config->max_level != (int) config->max_level)
		load_json_refuse("max_users", "a whole number", "100");
	if (config->rate == 0)
		config->users = (int) config->max_level;
	if (config->nthresholds == 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("a stress test needs a threshold to tell what is too slow"),
						errhint("For example: thresholds => '{\"p95_ms\": 50}'.")));
	if (config->ramp_up_ns > 0 || config->ramp_down_ns > 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("a stress test has no ramps, it goes up and down by itself")));
}

static void
complete_spike(LoadConfig *config)
{
	if (config->rate > 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("a spike is made of users, not of a rate"),
						errhint("Leave \"rate\" out and give \"spike_users\".")));
	if (config->spike_users == 0)
		config->spike_users =
			Min(config->users * STRESS_FACTOR, perfopt_max_load_users - config->users);
	if (config->spike_users < 1 || config->users + config->spike_users > perfopt_max_load_users)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("a spike of %d users on top of %d is too many", config->spike_users,
							   config->users),
						errhint("perfopt.max_load_users allows %d.", perfopt_max_load_users)));
	if (config->spike_ns < 0)
		config->spike_ns = config->duration_ns / 2;
	if (config->recovery_ns < 0)
		config->recovery_ns = config->duration_ns;
	config->users += config->spike_users;
}

static void
complete_ab(LoadConfig *config)
{
	if (config->variants[0].definition == NULL || config->variants[1].definition == NULL)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("an A/B test needs \"variant_a\" and \"variant_b\""),
						errhint("For example: {\"variant_a\": {}, \"variant_b\": {\"settings\": "
								"{\"work_mem\": \"64MB\"}}}.")));
	if (config->duration_ns < 2 * MIN_PAIRS * config->slot_ns)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("%g s are too short for %d pairs of slots of %g s",
							   config->duration_ns / (double) LOAD_NS_PER_S, MIN_PAIRS,
							   config->slot_ns / (double) LOAD_NS_PER_S),
						errhint("Lengthen \"duration\"; 60 pairs find a difference of a tenth.")));
	if (config->users > LOAD_USERS_PER_WORKER / LOAD_MAX_VARIANTS || config->workers > 1)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("an A/B test has %d users and one worker at most",
							   LOAD_USERS_PER_WORKER / LOAD_MAX_VARIANTS),
						errhint("Each user has a session of each variant.")));
	if (config->rate > 0 || config->connections > 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("an A/B test has neither \"rate\" nor \"connections\"")));
	config->workers = 1;
}

static void
complete_kind(LoadConfig *config)
{
	bool stress = config->kind == LOAD_KIND_STRESS;
	bool spike = config->kind == LOAD_KIND_SPIKE;

	refuse_for_kind(config, !stress && config->max_level > 0,
					config->rate > 0 ? "max_rate" : "max_users", "stress");
	refuse_for_kind(config, !spike && config->spike_users > 0, "spike_users", "spike");
	refuse_for_kind(config, !spike && config->spike_ns >= 0, "spike_duration", "spike");
	refuse_for_kind(config, !spike && config->recovery_ns >= 0, "recovery", "spike");
	refuse_for_kind(config, config->kind != LOAD_KIND_AB && config->variants[0].definition != NULL,
					"variant_a", "ab");
	refuse_for_kind(config, config->kind != LOAD_KIND_AB && config->variants[1].definition != NULL,
					"variant_b", "ab");
	if (config->kind == LOAD_KIND_AB)
		complete_ab(config);
	if (stress)
		complete_stress(config);
	if (spike)
		complete_spike(config);
	if (config->kind == LOAD_KIND_ENDURANCE && config->duration_ns < MIN_ENDURANCE_NS &&
		!config->allow_short)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("an endurance test lasts an hour at least, not %g s",
						config->duration_ns / (double) LOAD_NS_PER_S),
				 errhint("What it looks for takes time to show. Options {\"allow_short\": true} "
						 "runs a shorter one.")));
}

static void
complete_workers(LoadConfig *config)
{
	int needed = (config->connections + LOAD_USERS_PER_WORKER - 1) / LOAD_USERS_PER_WORKER;
	int wanted;

	/*
	 * On a server that is short of CPU a single process that always has something to do is kept waiting
	 * by as many backends as there are users.  But each wakes for itself, which is most of what a call
	 * takes: so there are no more of them than processors, or than a given rate needs.
	 */
	if (config->workers == 0 && config->connections >= TWO_WORKERS_FROM)
	{
		wanted = Max((config->connections + WORKER_FOR_EVERY - 1) / WORKER_FOR_EVERY, 2);
		wanted = Min(wanted, (int) sysconf(_SC_NPROCESSORS_ONLN));
		if (config->rate > 0 && config->kind != LOAD_KIND_STRESS)
			wanted = Min(wanted, (int) Min(ceil(config->rate / WORKER_FOR_RATE), MAX_WORKERS));
		config->workers = wanted;
	}
	config->workers = Min(Max(config->workers, needed), config->connections);
}

void
load_config_complete(LoadConfig *config)
{
	int users = config->users;

	load_thresholds_resolve(config);
	complete_kind(config);
	if (config->connections == 0)
		config->connections = config->users;
	if (config->connections > config->users)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("%d connections are too many for %d users", config->connections,
							   config->users),
						errhint("A pool has fewer connections than users; leave \"connections\" "
								"out to give each user one.")));
	if (config->rate > 0 && config->connections < config->users)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("a test with a rate can't have \"connections\""),
						errhint("There \"users\" says how many connections serve the calls.")));
	complete_workers(config);
	if (!config->seeded)
		config->seed = pg_prng_uint64(&pg_global_prng_state) >> 1;
	config->json = settings_json(config, users);
}

PG_FUNCTION_INFO_V1(perfopt_check_test);

Datum
perfopt_check_test(PG_FUNCTION_ARGS)
{
	load_config_set_jsonb(load_config_create(LOAD_KIND_LOAD), PG_GETARG_JSONB_P(0));
	PG_RETURN_VOID();
}
