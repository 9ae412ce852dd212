/*
 * facts.h
 *	  What is known about a window of time, gathered once, so that each detector only computes.
 *
 * DB time is the time that sessions of users (processes with a role) spent on CPU or waiting inside a
 * statement.  It is estimated from samples: a session seen n times in a cycle of `ticks` looks that
 * lasted cycle_s seconds contributes n / ticks * cycle_s seconds.  Waits for the client inside a
 * transaction (Client:ClientRead) are idle time, and background processes have no role: neither is
 * DB time.
 *
 * A sample is charged once along a chain of causes: the finding that explains it first (detectors run
 * causes before symptoms) takes it with perfopt_facts_charge(), and later findings count the rest.
 *
 * Everything is palloc'd in the context that is current at perfopt_facts_gather(), and lives as long.
 * Unknown figures are NaN, never zero.
 */
#ifndef PERFOPT_FACTS_H
#define PERFOPT_FACTS_H

#include "datatype/timestamp.h"
#include "nodes/pg_list.h"
#include "utils/jsonb.h"

#include "math/ratio.h"

/* Statements that are looked at one by one: the busiest of the window. */
#define PERFOPT_FACTS_STATEMENTS 20

/* One key that was seen in one cycle; DB time only. */
typedef struct PerfoptActivity
{
	int cycle;      /* index of its cycle */
	int wait;       /* index into waits */
	int64 query_id; /* 0 unknown */
	Oid database;
	Oid role;
	int operation; /* 0 outside load tests */
	int n;         /* times seen */
	double seconds;
	double free; /* 0..1, the part that no finding has taken yet */
} PerfoptActivity;

typedef struct PerfoptWait
{
	char *class; /* as in pg_stat_activity.wait_event_type; CPU for none */
	char *event;
} PerfoptWait;

typedef struct PerfoptCycle
{
	TimestampTz ts; /* its end */
	int ticks;      /* looks of the sampler */
	double seconds;
	double db_s;         /* DB time */
	double idle_xact_s;  /* sessions idle in transaction */
	double waiters;      /* behind root blockers, when the cycle looked at locks */
	double idle_waiters; /* of them, behind a root blocker that sat idle in its transaction */
} PerfoptCycle;

/* One root blocker in one cycle. */
typedef struct PerfoptBlocker
{
	TimestampTz ts;
	int pid;
	Oid database;
	Oid role;
	char *state; /* as in pg_stat_activity */
	bool idle;   /* idle in transaction; known after perfopt_facts_mark_idle() */
	int64 query_id;
	double xact_s;
	double state_s;
	char *relation; /* qualified name, or what is locked; NULL when unknown */
	char *locktype;
	char *mode;
	int waiters;
	double wait_max_s;
} PerfoptBlocker;

/* What a series did before the window, as far as it was asked for: n is 0 otherwise. */
typedef struct PerfoptPast
{
	int64 n; /* samples */
	double sum;
	double min;
	double max;
	double first; /* average of the oldest bucket, or the oldest sample */
	TimestampTz first_ts;
} PerfoptPast;

/* One series of a metric over the window. */
typedef struct PerfoptSeries
{
	int id;
	char *metric;
	Jsonb *labels;
	int n;
	double sum; /* of a counter: its increase */
	double min;
	double max;
	double first;
	double last;
	double previous; /* the value before the last */
	double seconds;  /* time that its samples cover */
	TimestampTz first_ts;
	TimestampTz previous_ts;
	TimestampTz last_ts;
	int nonzero; /* samples that are not zero, and when they were seen first and last */
	TimestampTz nonzero_first_ts;
	TimestampTz nonzero_last_ts;
	struct PerfoptSeries *next; /* of the same metric, in order of id; NULL for the last */
	PerfoptPast past;
} PerfoptSeries;

/* One of the busiest statements, over its executions in one database. */
typedef struct PerfoptStatement
{
	int64 query_id;
	Oid database;
	Oid role;       /* that spent most in it */
	int operation;  /* of a load test, that spent most in it; 0 */
	double seconds; /* DB time without waits for locks */
	double role_seconds;
	char *text; /* NULL when unknown */
} PerfoptStatement;

typedef struct PerfoptFacts
{
	TimestampTz since;
	TimestampTz until;

	int ncycles;
	PerfoptCycle *cycles;
	double covered_s;
	int64 ticks;
	int64 samples; /* sightings of sessions that spend DB time */
	double db_s;
	double aas;
	bool measurable; /* enough DB time and samples for a share of it to mean something */

	int nactivities;
	PerfoptActivity *activities;
	int nwaits;
	PerfoptWait *waits;
	int nblockers;
	PerfoptBlocker *blockers;
	int nseries;
	PerfoptSeries *series; /* in order of id */
	struct HTAB *metrics;  /* the first series with samples of each metric */
	int nstatements;
	PerfoptStatement *statements;
	bool texts_known; /* pg_stat_statements could be read */

	double cores;        /* usable by the server */
	double memory_bytes; /* usable by the server */
	bool present; /* the window ends now, so that what the catalogue says now belongs to it */
} PerfoptFacts;

/* How much of a sample counts for what is asked, 0..1. */
typedef double (*PerfoptWeigh)(const PerfoptFacts *facts, const PerfoptActivity *activity,
							   const void *arg);

/* A part of DB time.  share is of DB time, with its 95 % interval; see math/ratio.h. */
typedef struct PerfoptShare
{
	PerfoptRatio share;
	double aas;
	double seconds;
	double samples;
} PerfoptShare;

/*
 * Reads as the current user, who must be allowed to; needs an active snapshot.
 */
extern PerfoptFacts *perfopt_facts_gather(TimestampTz since, TimestampTz until);

/* The part of DB time that weigh() picks, less what is charged already; and charging it. */
extern PerfoptShare perfopt_facts_share(const PerfoptFacts *facts, PerfoptWeigh weigh,
										const void *arg);
extern void perfopt_facts_charge(PerfoptFacts *facts, PerfoptWeigh weigh, const void *arg);

/* The DB time that weigh() picks, whoever was charged with it. */
extern double perfopt_facts_seconds(const PerfoptFacts *facts, PerfoptWeigh weigh, const void *arg);

/*
 * Tells blockers that sit idle in their transaction, those in a state between two statements for this
 * long, and what part of each cycle's waiters stands behind them.
 */
extern void perfopt_facts_mark_idle(PerfoptFacts *facts, double idle_s);

/* A PerfoptWeigh whose arg is a "class:event" list with NULL at its end; "class:" stands for all. */
extern double perfopt_weigh_waits(const PerfoptFacts *facts, const PerfoptActivity *activity,
								  const void *arg);
extern bool perfopt_wait_is(const PerfoptFacts *facts, const PerfoptActivity *activity,
							const char *class, const char *event);

/* Series of a metric, one after the other: start with previous = NULL. */
extern PerfoptSeries *perfopt_facts_series(const PerfoptFacts *facts, const char *metric,
										   const PerfoptSeries *previous);

/* Over all series of a metric: sum of increases, sum per second, and the highest value. */
extern double perfopt_facts_increase(const PerfoptFacts *facts, const char *metric);
extern double perfopt_facts_rate(const PerfoptFacts *facts, const char *metric);
extern double perfopt_facts_max(const PerfoptFacts *facts, const char *metric);

/* When the first sample of any kind was taken; DT_NOEND when there is none. */
extern TimestampTz perfopt_facts_first(const PerfoptFacts *facts);

/* The text of a label, NULL when the series has none such; palloc'd. */
extern char *perfopt_series_label(const PerfoptSeries *series, const char *label);

/* The series of a metric that has this label, NULL when there is none. */
extern PerfoptSeries *perfopt_facts_labelled(const PerfoptFacts *facts, const char *metric,
											 const char *label, const char *value);

/* The series of another metric with the same labels, NULL when there is none. */
extern PerfoptSeries *perfopt_facts_twin(const PerfoptFacts *facts, const char *metric,
										 const PerfoptSeries *series);

/* The average of a series' samples. */
extern double perfopt_series_mean(const PerfoptSeries *series);

/*
 * Reads what these series did in the time before the window, into their past: raw samples for up to a
 * day, hourly rollups beyond.  Gathering itself reads a day for the metrics that are judged against it.
 */
extern void perfopt_facts_read_past(PerfoptFacts *facts, PerfoptSeries *const *series, int n,
									double seconds);

/*
 * The course of a gauge in the last seconds before the window's end, as up to max means of runs of
 * neighbours; x is in seconds before the end (negative), both arrays have room for max.  Returns how many.
 */
extern int perfopt_facts_course(const PerfoptFacts *facts, const PerfoptSeries *series,
								double seconds, int max, double *x, double *y);

/* A numeric setting in its base unit: kB for work_mem, 8 kB blocks for shared_buffers ... */
extern double perfopt_setting(const char *name);

/* Room-internal: the parts of gathering. */
extern void perfopt_facts_read_activity(PerfoptFacts *facts);
extern void perfopt_facts_read_blocking(PerfoptFacts *facts);
extern void perfopt_facts_read_metrics(PerfoptFacts *facts);
extern void perfopt_facts_read_statements(PerfoptFacts *facts);

#endif /* PERFOPT_FACTS_H */
