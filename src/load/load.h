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

#include "load/script.h"
#include "math/histogram.h"

/*
 * A worker process holds so many sessions at most: with the default max_files_per_process the server
 * lets a process have some 330 descriptors for things like these.
 */
#define LOAD_USERS_PER_WORKER 250

/* Each operation takes 264 kB a worker for its fine histogram. */
#define LOAD_MAX_OPERATIONS 64

/* Latencies in ms: 1 us to 70 min. */
#define LOAD_MIN_EXP (-10)
#define LOAD_MAX_EXP 22

#define LOAD_NS_PER_S INT64CONST(1000000000)
#define LOAD_NS_PER_MS INT64CONST(1000000)
#define LOAD_NS_PER_US INT64CONST(1000)

/* A variable is drawn uniformly from low..high, both included. */
typedef struct LoadVariable
{
	char *name;
	char *low_sql; /* what the scenario says; evaluated on the target before the test */
	char *high_sql;
	int64 low;
	int64 high;
} LoadVariable;

typedef struct LoadStatement
{
	char *sql;
	int offset; /* in the script, bytes */
	int nparams;
	int params[PERFOPT_SCRIPT_MAX_PARAMS]; /* index in the operation's variables */
	char name[24];                         /* as a prepared statement */
} LoadStatement;

typedef struct LoadOperation
{
	int id;
	char *name;
	double weight;
	int nvariables;
	LoadVariable *variables;
	int nstatements;
	LoadStatement *statements;
	char *script; /* for messages; not handed over */
} LoadOperation;

typedef struct LoadConfig
{
	int users;
	int64 duration_ns;
	int64 ramp_up_ns;
	int64 ramp_down_ns;
	int64 think_time_ns;
	char *scenario;
	char *target;

	/* options */
	int64 grace_ns; /* what running operations are given at the end before they are cancelled */
	int progress_s; /* seconds between two progress messages; 0 is none */
	bool seeded;
	uint64 seed;
	char *dataset; /* NULL: no search_path is set */
	int workers;   /* processes that the users are spread over */

	/* from the scenario */
	char *description; /* may be NULL; not handed over */
	int noperations;
	LoadOperation *operations;

	/* from the target */
	bool local;         /* it is this very server */
	bool used_password; /* so must every session */

	Oid userid; /* whose identity and user mapping the sessions use */
	char *json; /* the settings above, as test_run.config keeps them */
} LoadConfig;

/* config.c: every setting is validated as it is set. */
extern LoadConfig *load_config_create(void);
extern void load_config_set(LoadConfig *config, const char *key, const JsonbValue *value);
extern void load_config_set_users(LoadConfig *config, int users);
extern void load_config_set_interval(LoadConfig *config, const char *key, const Interval *value);
extern void load_config_set_jsonb(LoadConfig *config, Jsonb *settings);
extern void load_config_set_options(LoadConfig *config, JsonbContainer *options);
extern void load_config_set_thresholds(LoadConfig *config, JsonbContainer *thresholds);
extern void load_config_refuse_rate(void);
extern void load_config_complete(LoadConfig *config);

/* scenario.c: reads scenario and operations through SPI with the caller's privileges. */
extern void load_scenario_read(LoadConfig *config);

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
