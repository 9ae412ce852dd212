/*
 * load.h
 *	  What a load test is: the description that the caller puts together, under its own snapshot and
 *	  privileges, and that the load workers receive as flat bytes.
 *
 * Private to src/load.  Times are nanoseconds; points in time are CLOCK_MONOTONIC, which all
 * processes of a machine share.
 */
#ifndef PERFOPT_LOAD_H
#define PERFOPT_LOAD_H

#include "common/pg_prng.h"
#include "datatype/timestamp.h"
#include "lib/stringinfo.h"
#include "portability/instr_time.h"
#include "utils/jsonb.h"

#include "load/expression.h"
#include "load/script.h"
#include "math/draw.h"
#include "math/histogram.h"

/* A worker process holds so many sessions at most; it sees to it that it may open so many sockets. */
#define LOAD_USERS_PER_WORKER 1000

/* Each operation takes 264 kB a worker for its fine histogram. */
#define LOAD_MAX_OPERATIONS 64

/* Latencies in ms: 1 us to 70 min. */
#define LOAD_MIN_EXP (-10)
#define LOAD_MAX_EXP 22

#define LOAD_NS_PER_S INT64CONST(1000000000)
#define LOAD_NS_PER_MS INT64CONST(1000000)
#define LOAD_NS_PER_US INT64CONST(1000)

/* Of a test that ends by itself when it knows enough. */
#define LOAD_ENDLESS_NS (30 * 24 * 3600 * LOAD_NS_PER_S)

/* The most that the values of a "query" or "choice" take, and how many there may be. */
#define LOAD_MAX_ITEMS 100000
#define LOAD_MAX_ITEM_BYTES (16 * 1024 * 1024)

/* How a variable gets its value at the beginning of an iteration. */
typedef enum LoadDraw
{
	LOAD_DRAW_NOTHING, /* the script sets it */
	LOAD_DRAW_SEED,    /* the run's */
	LOAD_DRAW_USER,    /* the user's number, from 0 */
	LOAD_DRAW_UNIFORM,
	LOAD_DRAW_GAUSSIAN,
	LOAD_DRAW_EXPONENTIAL,
	LOAD_DRAW_ZIPFIAN,
	LOAD_DRAW_SEQUENCE, /* low, low + 1 ... high, low again; over all users of the run */
	LOAD_DRAW_ITEM      /* one of a list, from the scenario or a query's result */
} LoadDraw;

typedef struct LoadVariable
{
	char *name;
	LoadDraw draw;
	char *low_sql; /* what the scenario says; evaluated on the target before the test */
	char *high_sql;
	char *items_sql;
	int64 low; /* both included */
	int64 high;
	double parameter; /* of gaussian, exponential and zipfian, as pgbench has it */
	int sequence;     /* its counter among those of the run */
	int nitems;
	char **items;
	double *weights; /* cumulative, of the items; NULL: all alike */
} LoadVariable;

/* A row count or a value that a statement must return; other results are errors of SQLSTATE LOAD_CHECK. */
typedef struct LoadCheck
{
	int64 min_rows;
	int64 max_rows;
	char *value; /* of the first row's first column, as text; NULL: not checked */
} LoadCheck;

#define LOAD_CHECK_FAILED "CHECK"

typedef struct LoadStatement
{
	char *sql;
	int offset; /* in the script, bytes */
	int nparams;
	int params[PERFOPT_SCRIPT_MAX_PARAMS]; /* index in the operation's variables */
	int nplaces; /* where $n stand in sql, in order; for the simple protocol */
	struct LoadPlace
	{
		int offset;
		int param;
	} * places;
	bool gset;
	char *prefix; /* of the variables that \gset sets; not handed over */
	int ncolumns; /* of its result, if that goes into variables */
	int *columns; /* variable of each, -1 for none */
	LoadCheck check;
	int64 query_id; /* on this very server; 0 where it is not known */
	char name[24];  /* as a prepared statement */
} LoadStatement;

typedef enum LoadStepKind
{
	LOAD_STEP_SQL,
	LOAD_STEP_SET,
	LOAD_STEP_SLEEP,
	LOAD_STEP_JUMP,
	LOAD_STEP_JUMP_UNLESS
} LoadStepKind;

/* A script is a row of these. */
typedef struct LoadStep
{
	LoadStepKind kind;
	int at;   /* statement to run, variable to set, step to jump to */
	int code; /* its expression: place in the operation's code, and length */
	int ncode;
	int64 unit_ns; /* of a sleep's expression */
} LoadStep;

/* A length of time that is drawn anew each time; all zero is no pause. */
typedef enum LoadPauseShape
{
	LOAD_PAUSE_CONSTANT,    /* a */
	LOAD_PAUSE_UNIFORM,     /* a to b */
	LOAD_PAUSE_EXPONENTIAL, /* mean a */
	LOAD_PAUSE_NORMAL       /* mean a, standard deviation b, not below 0 */
} LoadPauseShape;

typedef struct LoadPause
{
	LoadPauseShape shape;
	int64 a_ns;
	int64 b_ns;
} LoadPause;

typedef struct LoadOperation
{
	int id;
	char *name;
	double weight;
	bool pauses; /* it has a think time of its own */
	LoadPause think;
	double *
		next; /* cumulative chances of the operations that may follow in a user's visit; NULL: none does */
	int nvariables;
	LoadVariable *variables;
	int nstatements;
	LoadStatement *statements;
	int nsteps;
	LoadStep *steps;
	int ncode;
	PerfoptInstruction *code;
	char *script; /* for messages; not handed over */
} LoadOperation;

typedef enum LoadProtocol
{
	LOAD_PROTOCOL_PREPARED,
	LOAD_PROTOCOL_EXTENDED, /* parsed and planned each time */
	LOAD_PROTOCOL_SIMPLE,   /* likewise, with values in the text */
	LOAD_PROTOCOL_PIPELINE  /* prepared; statements are sent without waiting for the one before */
} LoadProtocol;

typedef enum LoadKind
{
	LOAD_KIND_LOAD,
	LOAD_KIND_STRESS,    /* searches the breaking point */
	LOAD_KIND_ENDURANCE, /* looks for drift */
	LOAD_KIND_SPIKE,     /* adds users all at once, and looks how long it takes to recover */
	LOAD_KIND_AB         /* compares two variants in slots of random order */
} LoadKind;

#define LOAD_MAX_VARIANTS 2

/* What the sessions of a test are like; an A/B test has two of these, and each user a session of each. */
typedef struct LoadVariant
{
	char *target;
	int nsettings;
	char **settings;           /* SET commands that each session begins with */
	LoadOperation *operations; /* of the same names in both; as many as the test has */
	Jsonb *definition;         /* of an A/B test, as it was given; not handed over */
	bool local;                /* the target is this very server */
	char *database;            /* of the target */
	bool used_password;        /* so must every session */
} LoadVariant;

typedef enum LoadMetric
{
	LOAD_METRIC_MEAN,
	LOAD_METRIC_P50,
	LOAD_METRIC_P90,
	LOAD_METRIC_P95,
	LOAD_METRIC_P99,
	LOAD_METRIC_MAX,
	LOAD_METRIC_ERRORS,
	LOAD_METRIC_ERROR_PCT,
	LOAD_METRIC_THROUGHPUT
} LoadMetric;

/* What a test must keep to; a throughput at least, anything else at most. */
typedef struct LoadThreshold
{
	char *operation; /* NULL: all together */
	int number;      /* of the operation, -1 for all; known with the scenario */
	LoadMetric metric;
	double limit;
	int window_s; /* in any so many seconds; 0: in the whole of the test */
	bool abort;   /* the test ends as soon as it is broken; it has a window then */
} LoadThreshold;

#define LOAD_MAX_THRESHOLDS 64
#define LOAD_MAX_WINDOW_S 60

typedef struct LoadConfig
{
	LoadKind kind;
	int users;       /* simulated at once; of an open test: who can be busy at once */
	int connections; /* that they share; as many as users unless it is a pool */
	double rate;     /* calls a second that arrive; 0: users call when they are ready */
	bool even;       /* they arrive at equal distances rather than at random */
	int64 duration_ns;
	int64 ramp_up_ns;
	int64 ramp_down_ns;
	int64 warm_up_ns; /* after the ramp, not measured */
	LoadPause think;
	char *scenario;
	char *target;
	int nthresholds;
	LoadThreshold *thresholds;

	/* options */
	int64 grace_ns; /* what running operations are given at the end before they are cancelled */
	int progress_s; /* seconds between two progress messages; 0 is none */
	bool seeded;
	uint64 seed;
	char *dataset;     /* NULL: no search_path is set */
	int dataset_scale; /* it is made so large before the test; 0: as it is */
	int workers;       /* processes that the users are spread over */
	LoadProtocol protocol;
	int retries; /* of an iteration that failed with 40001 or 40P01 */

	/* of a stress test: from users or rate up to this, each trial so long */
	double start_level;
	double max_level;
	int64 settle_ns;

	/* of a spike */
	int spike_users;
	int64 spike_ns;
	int64 recovery_ns;

	bool allow_short; /* an endurance test under an hour */

	int64 slot_ns; /* of an A/B test */
	int nvariants;
	LoadVariant variants[LOAD_MAX_VARIANTS];

	/* from the scenario */
	char *description; /* may be NULL; not handed over */
	int noperations;
	LoadOperation *operations; /* of the first variant */
	int nsequences;

	Oid userid;        /* whose identity and user mapping the sessions use */
	char *json;        /* the settings above, as test_run.config keeps them */
	char *fingerprint; /* what must be equal to be compared, as test_run.fingerprint keeps it */
} LoadConfig;

/* Between the clock's start and the end of what is measured. */
static inline int64
load_window_start_ns(const LoadConfig *config)
{
	return config->ramp_up_ns + config->warm_up_ns;
}

/* How long it is measured. */
static inline int64
load_window_ns(const LoadConfig *config)
{
	if (config->kind == LOAD_KIND_STRESS)
		return LOAD_ENDLESS_NS;
	return config->duration_ns +
		   (config->kind == LOAD_KIND_SPIKE ? config->spike_ns + config->recovery_ns : 0);
}

static inline bool
load_is_prepared(const LoadConfig *config)
{
	return config->protocol == LOAD_PROTOCOL_PREPARED || config->protocol == LOAD_PROTOCOL_PIPELINE;
}

/* config.c: every setting is validated as it is set. */
extern LoadConfig *load_config_create(LoadKind kind);
extern void load_config_set(LoadConfig *config, const char *key, const JsonbValue *value);
extern void load_config_set_users(LoadConfig *config, int users);
extern void load_config_set_interval(LoadConfig *config, const char *key, const Interval *value);
extern void load_config_set_jsonb(LoadConfig *config, Jsonb *settings);
extern void load_config_set_options(LoadConfig *config, JsonbContainer *options);
extern void load_config_set_rate(LoadConfig *config, double rate);
extern const char *load_kind_name(LoadKind kind);

/* After all settings and the scenario are known: what was not given; ERROR where they contradict. */
extern void load_config_complete(LoadConfig *config);

/* json.c: values out of a jsonb, ERROR naming the key where they are of another type or out of range. */
extern void load_json_refuse(const char *key, const char *wanted, const char *example);
extern int64 load_json_integer(const char *key, const JsonbValue *value, int64 min, int64 max,
							   const char *example);
extern double load_json_number(const char *key, const JsonbValue *value, const char *example);
extern char *load_json_string(const char *key, const JsonbValue *value, const char *example);
extern bool load_json_bool(const char *key, const JsonbValue *value);

/* "30 s" as for the type interval, or a number of seconds. */
extern double load_json_seconds(const char *key, const JsonbValue *value);
extern double load_interval_seconds(const char *key, const Interval *interval);

/* Calls set() for each member of an object but those that are null. */
extern void load_json_each(void *arg, JsonbContainer *container, const char *what,
						   void (*set)(void *arg, const char *key, const JsonbValue *value));

/* pause.c: an interval, or {"uniform": [a, b]}, {"exponential": mean}, {"normal": [mean, deviation]}. */
extern LoadPause load_pause_read(const char *key, const JsonbValue *value);
extern void load_pause_write(StringInfo out, const LoadPause *pause); /* as JSON */
extern int64 load_pause_draw(const LoadPause *pause, const PerfoptRandom *random);

/* threshold.c: {"p95_ms": 50, "throughput": {"limit": 500, "window": "10 s"}, "buy": {"p99_ms": 20}}. */
extern void load_thresholds_read(LoadConfig *config, JsonbContainer *thresholds);
extern void load_thresholds_resolve(LoadConfig *config); /* operations are known */
extern void load_thresholds_write(StringInfo out, const LoadConfig *config);
extern const char *load_metric_name(LoadMetric metric);
extern double load_metric_quantile(LoadMetric metric); /* of a percentile; NaN for others */
extern bool load_threshold_broken(const LoadThreshold *threshold, double value);
extern bool load_threshold_worse(const LoadThreshold *threshold, double value, double than);

/* variant.c: {"settings": {"work_mem": "64MB"}, "role": "reports", "scripts": {"buy": "..."}, "target": "..."}. */
extern void load_variant_read(LoadConfig *config, const char *key, Jsonb *definition);
extern void load_variants_settings(LoadConfig *config);                              /* under SPI */
extern char *load_variant_script(const LoadVariant *variant, const char *operation); /* or NULL */

/* scenario.c: reads scenario and operations through SPI with the caller's privileges. */
extern void load_scenario_read(LoadConfig *config);

/* Name and script are known; think_time may be NULL. */
extern void load_operation_parse(LoadOperation *operation, Jsonb *variables, Jsonb *think_time,
								 Jsonb *checks);

/* variable.c: how a scenario says that they are drawn. */
extern void load_variables_read(LoadOperation *operation, Jsonb *definitions);
extern int load_variable_find(const LoadOperation *operation, const char *name, size_t length);
extern int load_variable_add(LoadOperation *operation, const char *name, size_t length);

/* program.c: a script as steps; ERROR with the position where it can't be one. */
extern void load_program_compile(LoadOperation *operation);
extern void load_program_checks(LoadOperation *operation, Jsonb *checks);

/* handover.c */
extern void load_config_write(StringInfo out, const LoadConfig *config);
extern LoadConfig *load_config_read(char *bytes, int size);

/*
 * preflight.c: connects to the target once, checks that it can take the users and run the statements,
 * and evaluates the bounds of variables.  Interruptible.
 */
extern void load_preflight(LoadConfig *config);

static inline int64
load_clock(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * LOAD_NS_PER_S + now.tv_nsec;
}

#endif /* PERFOPT_LOAD_H */
