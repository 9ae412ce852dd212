/*
 * watch.h
 *	  What is watched: thresholds as rules, and a watch for each series that one of them is about.
 *	  Private to src/alert.
 *
 * Rules, watches and the alerts that are not resolved are read from the tables at once, and again
 * whenever somebody has changed one of them (perfopt_watcher_is_stale); in between, a cycle costs a
 * look-up by number for each sample.  All of it lives in a memory context of its own.
 */
#ifndef PERFOPT_ALERT_WATCH_H
#define PERFOPT_ALERT_WATCH_H

#include "datatype/timestamp.h"
#include "executor/spi.h"
#include "nodes/pg_list.h"
#include "utils/hsearch.h"

#include "alert/lifecycle.h"
#include "math/anomaly.h"
#include "math/window.h"
#include "store/store.h"

typedef enum PerfoptMeasure
{
	PERFOPT_MEASURE_VALUE,
	PERFOPT_MEASURE_RATE,
	PERFOPT_MEASURE_AVERAGE,
	PERFOPT_MEASURE_QUANTILE, /* minimum and maximum among them */
	PERFOPT_MEASURE_ABSENT,
	PERFOPT_MEASURE_ANOMALY
} PerfoptMeasure;

typedef struct PerfoptWatch PerfoptWatch;

typedef struct PerfoptRule
{
	const char *name;
	const char *metric;
	bool is_counter;
	PerfoptMeasure measure;
	double quantile;
	int64 period_us;
	int64 refill_us; /* so far back a new watch reads the store */
	PerfoptAlertRule line;
	PerfoptWatch *absence; /* the only watch of a rule on absence */
} PerfoptRule;

/*
 * A series under a rule.  A rule on absence has one watch, which stands for all of its series: its
 * last_ts is that of the latest sample of any.
 */
struct PerfoptWatch
{
	PerfoptRule *rule;
	int series_id;      /* 0 for absence */
	const char *labels; /* JSON */
	PerfoptAlertLife life;
	int64 alert_id; /* of perfopt.alert_log; 0 while quiet */
	bool told;
	bool fresh;              /* `measured` is of this cycle */
	TimestampTz known_since; /* when it was read from the tables */
	TimestampTz last_ts;     /* of its latest sample; 0 before the first */
	int64 gap_us;            /* between the latest two */
	double last_value;
	double measured;       /* what the rule compares; NAN while unknown */
	PerfoptWindow *window; /* of rules with a period */
	void *anomaly;         /* the detector's state */
	PerfoptLabel
		*labels_scored; /* of its scores in the store: the metric, and the series' labels */
	int nlabels_scored;
};

/* A series number, and the watches on it: none of most. */
typedef struct PerfoptWatchedSeries
{
	int series_id; /* key */
	List *watches;
} PerfoptWatchedSeries;

#define PERFOPT_WRITER_BYTES 256

/* Up to where a writer's rows were read. */
typedef struct PerfoptReadUntil
{
	char writer[PERFOPT_WRITER_BYTES]; /* key */
	TimestampTz ts;
} PerfoptReadUntil;

typedef struct PerfoptWatcher
{
	MemoryContext context;
	bool loaded;
	size_t detector_bytes; /* of all detectors' states */
	TimestampTz loaded_at;
	PerfoptRule *rules; /* by name, as strcmp() orders */
	int nrules;
	List *watches;
	HTAB *series;
	HTAB *writers;
	MemoryContext alerts_context;
	List *alerts; /* of perfopt.alert_log, for watches that are yet to be made */
} PerfoptWatcher;

/* Empty, in a child of the current memory context; nothing is read yet. */
extern PerfoptWatcher *perfopt_watcher_create(void);

/* Under SPI: reads thresholds and alerts anew, as of this time. */
extern void perfopt_watcher_load(PerfoptWatcher *watcher, TimestampTz now);

/* Under SPI: alerts alone, when somebody has worked on them; watches keep what they know of samples. */
extern void perfopt_watcher_reread_alerts(PerfoptWatcher *watcher, TimestampTz now);

/* Under SPI: makes the watches on series that were not met before. */
extern void perfopt_watcher_meet(PerfoptWatcher *watcher, const int *series, int n,
								 TimestampTz now);

/* A new watch, in the current memory context. */
extern PerfoptWatch *perfopt_watch_make(PerfoptWatcher *watcher, PerfoptRule *rule, int series_id,
										const char *labels);

/*
 * A sample of a watch's series: works out what the rule compares.  elapsed_s is the time that a counter
 * has grown in, NAN where only the time of the sample before tells.
 */
extern void perfopt_watch_take(PerfoptWatch *watch, TimestampTz ts, double value, double elapsed_s);

/* What somebody has changed since it was read. */
typedef enum PerfoptStale
{
	PERFOPT_FRESH,
	PERFOPT_STALE_ALERTS, /* or silences */
	PERFOPT_STALE_RULES   /* everything is to be read anew */
} PerfoptStale;

/* Asks once, and then it counts as read. */
extern PerfoptStale perfopt_watcher_stale(void);
extern void perfopt_watcher_set_stale(PerfoptStale what);

/* For the collector, which changes only what it remembers. */
extern void perfopt_watcher_ignore_own_changes(void);

/* Under SPI: a plan kept for the life of the process; *plan begins as NULL. */
extern void perfopt_alert_execute(SPIPlanPtr *plan, const char *sql, int nargs, Oid *types,
								  Datum *values, const char *nulls);

#endif /* PERFOPT_ALERT_WATCH_H */
