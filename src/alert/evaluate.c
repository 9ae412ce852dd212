/*
 * evaluate.c
 *	  The cycle of alerting: new samples to watches, watches to steps, steps to tables and events.
 */
#include "postgres.h"

#include <math.h>

#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "alert/alert.h"
#include "alert/step.h"
#include "alert/watch.h"
#include "compat.h"
#include "guc.h"

#define RECORDED "recorded" /* whose rows come at any time and in any order */

/* Rows are looked for so far back: what is older when it comes is history, not news. */
#define LOOK_BACK_CYCLES 3
#define LOOK_BACK_LEAST_US (60 * USECS_PER_SEC)

/* An alert on a series without samples for so long, and so many times as long as usual, is over. */
#define NO_DATA_US (10 * 60 * USECS_PER_SEC)
#define NO_DATA_GAPS 3

/* A step taken in this cycle, to be told when all are written. */
typedef struct Taken
{
	PerfoptWatch *watch;
	PerfoptAlertStep step;
	int64 alert_id;
	PerfoptSeverity severity;
	const char *note;
} Taken;

typedef struct Cycle
{
	PerfoptWatcher *watcher;
	TimestampTz now;
	bool from_scratch; /* only the latest sample of a series counts */
	List *taken;
	bool retry; /* somebody was in the way */
} Cycle;

static void
give_sample(Cycle *cycle, int series_id, TimestampTz ts, double value, double elapsed_s)
{
	PerfoptWatchedSeries *series = hash_search(cycle->watcher->series, &series_id, HASH_FIND, NULL);
	ListCell *lc;

	if (series == NULL)
		return;
	foreach (lc, series->watches)
	{
		PerfoptWatch *watch = lfirst(lc);

		if (watch->rule->measure == PERFOPT_MEASURE_ABSENT)
			watch->last_ts = Max(watch->last_ts, ts);
		else if (ts > watch->last_ts)
			perfopt_watch_take(watch, ts, value, elapsed_s);

		/* Read with the store's: what it measures is of now. */
		else if (ts == watch->last_ts && cycle->from_scratch)
			watch->fresh = true;
	}
}

/* A row of perfopt.sample_hot, whose arrays are looked at only if the row is news. */
typedef struct Row
{
	TimestampTz ts;
	double elapsed_s;
	int n;
	const int *series;
	const double *values;
} Row;

static bool
is_news(Cycle *cycle, const char *writer, TimestampTz ts)
{
	PerfoptReadUntil *until;
	char key[PERFOPT_WRITER_BYTES];
	bool found;

	if (strcmp(writer, RECORDED) == 0)
		return true;
	strlcpy(key, writer, sizeof(key));
	until = hash_search(cycle->watcher->writers, key, HASH_ENTER, &found);

	/* From scratch rows come latest first; else a time before the last is that of a clock set back. */
	if (found && (cycle->from_scratch || ts == until->ts ||
				  (ts < until->ts && ts > until->ts - LOOK_BACK_LEAST_US)))
		return false;
	until->ts = ts;
	return true;
}

static void
read_row(uint64 i, Row *row)
{
	HeapTuple tuple = SPI_tuptable->vals[i];
	TupleDesc desc = SPI_tuptable->tupdesc;
	bool isnull;
	ArrayType *series, *values;
	Datum elapsed = SPI_getbinval(tuple, desc, 3, &isnull);

	row->elapsed_s = isnull ? NAN : DatumGetFloat8(elapsed);
	series = DatumGetArrayTypeP(SPI_getbinval(tuple, desc, 4, &isnull));
	values = DatumGetArrayTypeP(SPI_getbinval(tuple, desc, 5, &isnull));
	row->n = Min(ArrayGetNItems(ARR_NDIM(series), ARR_DIMS(series)),
				 ArrayGetNItems(ARR_NDIM(values), ARR_DIMS(values)));
	row->series = (const int *) ARR_DATA_PTR(series);
	row->values = (const double *) ARR_DATA_PTR(values);
}

static void
meet_strangers(Cycle *cycle, const Row *rows, int nrows)
{
	int *strangers = NULL;
	int n = 0;
	int capacity = 0;

	for (int i = 0; i < nrows; i++)
	{
		for (int j = 0; j < rows[i].n; j++)
		{
			bool found;
			PerfoptWatchedSeries *series =
				hash_search(cycle->watcher->series, &rows[i].series[j], HASH_ENTER, &found);

			if (found)
				continue;
			series->watches = NIL;
			if (n == capacity)
			{
				capacity = Max(2 * capacity, 256);
				strangers = strangers ? repalloc(strangers, capacity * sizeof(int))
									  : palloc(capacity * sizeof(int));
			}
			strangers[n++] = rows[i].series[j];
		}
	}
	if (n > 0)
		perfopt_watcher_meet(cycle->watcher, strangers, n, cycle->now);
}

static void
read_samples(Cycle *cycle)
{
	static SPIPlanPtr forward = NULL;
	static SPIPlanPtr backward = NULL;
	int64 look_back =
		Max(LOOK_BACK_CYCLES * perfopt_collect_interval_s * USECS_PER_SEC, LOOK_BACK_LEAST_US);
	Oid types[] = { TIMESTAMPTZOID, TIMESTAMPTZOID };
	Datum values[] = { TimestampTzGetDatum(cycle->now - look_back),
					   TimestampTzGetDatum(cycle->now) };
	SPITupleTable *tuples;
	Row *rows;
	int nrows = 0;

#define HOT_ROWS                                                          \
	"SELECT ts, writer, elapsed_s, series, value FROM perfopt.sample_hot" \
	" WHERE ts > $1 AND ts <= $2 ORDER BY ts"
	if (cycle->from_scratch)
		perfopt_alert_execute(&backward, HOT_ROWS " DESC", lengthof(types), types, values, NULL);
	else
		perfopt_alert_execute(&forward, HOT_ROWS, lengthof(types), types, values, NULL);
	tuples = SPI_tuptable;
	rows = palloc(Max(SPI_processed, 1) * sizeof(Row));
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		bool isnull;
		TimestampTz ts =
			DatumGetTimestampTz(SPI_getbinval(tuples->vals[i], tuples->tupdesc, 1, &isnull));

		if (!is_news(cycle, SPI_getvalue(tuples->vals[i], tuples->tupdesc, 2), ts))
			continue;
		rows[nrows].ts = ts;
		read_row(i, &rows[nrows++]);
	}
	meet_strangers(cycle, rows, nrows);
	for (int i = 0; i < nrows; i++)
		for (int j = 0; j < rows[i].n; j++)
			give_sample(cycle, rows[i].series[j], rows[i].ts, rows[i].values[j], rows[i].elapsed_s);
	SPI_freetuptable(tuples);
}

static void
note_step(Cycle *cycle, PerfoptWatch *watch, PerfoptAlertStep step, PerfoptSeverity severity,
		  const char *note)
{
	Taken *taken = palloc(sizeof(Taken));

	*taken = (Taken){ watch, step, watch->alert_id, severity, note };
	cycle->taken = lappend(cycle->taken, taken);
	if (step == PERFOPT_STEP_RESOLVED || step == PERFOPT_STEP_CLEARED)
		watch->alert_id = 0;
}

/* False when somebody is working on the alert. */
static bool
take_step(Cycle *cycle, PerfoptWatch *watch, const PerfoptAlertLife *before, PerfoptAlertStep step,
		  const char *note)
{
	bool is_over = step == PERFOPT_STEP_RESOLVED || step == PERFOPT_STEP_CLEARED;

	if (!perfopt_step_write(watch, before, step, cycle->now))
	{
		cycle->retry = true;
		return false;
	}
	note_step(cycle, watch, step, is_over ? before->severity : watch->life.severity, note);
	return true;
}

static bool
has_no_data(const Cycle *cycle, const PerfoptWatch *watch)
{
	return watch->rule->measure != PERFOPT_MEASURE_ABSENT &&
		   cycle->now - Max(watch->last_ts, watch->known_since) >
			   Max(NO_DATA_US, NO_DATA_GAPS * watch->gap_us);
}

/* Two changes that are no step, and must not be forgotten in a restart either. */
static void
note_critical(const PerfoptWatch *watch)
{
	static SPIPlanPtr plan = NULL;
	Oid types[] = { INT8OID, TIMESTAMPTZOID };
	Datum values[] = { Int64GetDatum(watch->alert_id),
					   TimestampTzGetDatum(watch->life.critical_since_us) };

	/* Whoever holds the row changes it, and then all is read again. */
	perfopt_alert_execute(&plan,
						  "UPDATE perfopt.alert_log SET critical_since = $2 WHERE alert_id ="
						  " (SELECT alert_id FROM perfopt.alert_log WHERE alert_id = $1"
						  "  FOR UPDATE SKIP LOCKED)",
						  lengthof(types), types, values,
						  watch->life.critical_since_us == 0 ? " n" : NULL);
}

static void
note_clear(const PerfoptWatch *watch)
{
	static SPIPlanPtr plan = NULL;
	Oid types[] = { TEXTOID, TEXTOID };
	Datum values[] = { CStringGetTextDatum(watch->rule->name), CStringGetTextDatum(watch->labels) };

	perfopt_alert_execute(&plan,
						  "UPDATE perfopt.alert_log SET until_clear = false WHERE until_clear"
						  " AND threshold = $1 AND labels = $2::pg_catalog.jsonb",
						  lengthof(types), types, values, NULL);
}

static void
look_at(Cycle *cycle, PerfoptWatch *watch)
{
	PerfoptAlertLife *life = &watch->life;

	if (watch->rule->measure == PERFOPT_MEASURE_ABSENT)
		watch->measured = Max(cycle->now - watch->last_ts, 0) / 1e6;
	else if (life->phase == PERFOPT_ALERT_QUIET && !watch->fresh)
		return;

	/* One sample is not beyond a line for as long as no other comes. */
	else if (life->phase == PERFOPT_ALERT_PENDING && !watch->fresh && !has_no_data(cycle, watch))
		return;

	for (;;)
	{
		PerfoptAlertLife before = *life;
		PerfoptAlertStep step;
		const char *note = NULL;

		if (life->phase != PERFOPT_ALERT_QUIET && has_no_data(cycle, watch))
		{
			step = perfopt_alert_end(life, cycle->now);
			watch->measured = NAN;
			note = "no data any more";
		}
		else
			step = perfopt_alert_step(life, &watch->rule->line, watch->measured, cycle->now);
		if (before.until_clear && !life->until_clear)
			note_clear(watch);
		if (step == PERFOPT_STEP_NONE && watch->alert_id != 0 &&
			before.critical_since_us != life->critical_since_us)
			note_critical(watch);
		if (step == PERFOPT_STEP_NONE || !take_step(cycle, watch, &before, step, note))
			return;
	}
}

static int
tell(Cycle *cycle)
{
	int told = list_length(cycle->taken);
	ListCell *lc;

	foreach (lc, cycle->taken)
	{
		Taken *taken = lfirst(lc);

		perfopt_step_tell(taken->watch, taken->step, taken->alert_id, taken->severity, taken->note,
						  cycle->now);
	}
	foreach (lc, cycle->watcher->watches)
	{
		PerfoptWatch *watch = lfirst(lc);

		if (watch->life.phase == PERFOPT_ALERT_FIRING && !watch->told && watch->alert_id != 0)
			told += perfopt_step_tell_late(watch, cycle->now);
	}
	return told;
}

static const PerfoptMetric score_metric = { "perfopt_anomaly_score", "application", PERFOPT_GAUGE,
											"ratio",
											"How unusual the value of a metric is (label metric, "
											"and the series' own): 0.5 and more is an anomaly" };

/* Until the transaction is over, in a context of their own. */
static PerfoptBatch *scores = NULL;

/* What detectors said in this cycle goes to the store. */
static void
keep_scores(const Cycle *cycle)
{
	static MemoryContext context = NULL;
	MemoryContext oldcontext;
	ListCell *lc;

	if (context == NULL)
		context = AllocSetContextCreate(TopMemoryContext, "perfopt scores", ALLOCSET_SMALL_SIZES);
	MemoryContextReset(context);
	oldcontext = MemoryContextSwitchTo(context);
	scores = NULL;
	foreach (lc, cycle->watcher->watches)
	{
		const PerfoptWatch *watch = lfirst(lc);

		if (watch->anomaly == NULL || !watch->fresh || isnan(watch->measured))
			continue;
		if (scores == NULL)
			scores = perfopt_batch_create("anomaly");
		perfopt_batch_add(scores, &score_metric, watch->labels_scored, watch->nlabels_scored,
						  rint(watch->measured * 1e3) / 1e3);
	}
	if (scores != NULL)
		(void) perfopt_store_append(scores, cycle->now);
	MemoryContextSwitchTo(oldcontext);
}

void
perfopt_alert_evaluate_committed(void)
{
	if (scores != NULL)
		perfopt_store_committed(scores);
	scores = NULL;
}

/* After the clock was set back, what is known of later times would hide all samples until then. */
static void
forget_future(PerfoptWatcher *watcher, TimestampTz now)
{
	HASH_SEQ_STATUS scan;
	PerfoptReadUntil *until;
	ListCell *lc;

	foreach (lc, watcher->watches)
	{
		PerfoptWatch *watch = lfirst(lc);

		if (watch->last_ts > now)
		{
			watch->last_ts = watch->rule->measure == PERFOPT_MEASURE_ABSENT ? now : 0;
			watch->gap_us = 0;
		}
		watch->known_since = Min(watch->known_since, now);
	}
	hash_seq_init(&scan, watcher->writers);
	while ((until = hash_seq_search(&scan)) != NULL)
		if (until->ts > now)
			hash_search(watcher->writers, until->writer, HASH_REMOVE, NULL);
}

/* One cycle, under SPI; returns how many alerts changed. */
static int
evaluate(PerfoptWatcher *watcher, TimestampTz now, bool keeps_scores)
{
	Cycle cycle = { .watcher = watcher, .now = now };
	PerfoptStale stale;
	int changed = 0;
	ListCell *lc;

	stale = perfopt_watcher_stale();
	if (stale != PERFOPT_FRESH || !watcher->loaded)
		changed += perfopt_step_end_orphans(now);
	if (stale == PERFOPT_STALE_RULES || !watcher->loaded)
	{
		cycle.from_scratch = true;
		perfopt_watcher_load(watcher, now);
	}
	else if (stale == PERFOPT_STALE_ALERTS)
		perfopt_watcher_reread_alerts(watcher, now);
	forget_future(watcher, now);
	read_samples(&cycle);
	foreach (lc, watcher->watches)
		look_at(&cycle, lfirst(lc));
	changed += tell(&cycle);
	if (keeps_scores)
		keep_scores(&cycle);
	foreach (lc, watcher->watches)
		((PerfoptWatch *) lfirst(lc))->fresh = false;
	if (cycle.retry)
		perfopt_watcher_set_stale(PERFOPT_STALE_ALERTS);
	return changed;
}

static Oid
lock_relation(void)
{
	return get_relname_relid("threshold", get_namespace_oid("perfopt", false));
}

/* What is remembered is not what is in the tables. */
void
perfopt_alert_evaluate_failed(void)
{
	scores = NULL;
	perfopt_watcher_set_stale(PERFOPT_STALE_ALERTS);
}

void
perfopt_alert_evaluate_duty(TimestampTz now)
{
	static PerfoptWatcher *watcher = NULL;

	if (watcher == NULL)
	{
		MemoryContext oldcontext = MemoryContextSwitchTo(TopMemoryContext);

		watcher = perfopt_watcher_create();
		MemoryContextSwitchTo(oldcontext);
		perfopt_watcher_ignore_own_changes();
	}

	/* Somebody else is at it, by hand: what he leaves is news for the next cycle. */
	if (!ConditionalLockRelationOid(lock_relation(), ShareUpdateExclusiveLock))
	{
		perfopt_watcher_set_stale(PERFOPT_STALE_ALERTS);
		return;
	}
	(void) evaluate(watcher, now, true);
}

void
perfopt_alert_forget_duty(TimestampTz now)
{
	static SPIPlanPtr plan = NULL;
	Oid types[] = { INT4OID };
	Datum values[] = { Int32GetDatum(perfopt_retention_events_min) };

	perfopt_alert_execute(&plan,
						  "SELECT perfopt.forget_events(pg_catalog.make_interval(mins => $1))",
						  lengthof(types), types, values, NULL);
}

PG_FUNCTION_INFO_V1(perfopt_evaluate_alerts);

Datum
perfopt_evaluate_alerts(PG_FUNCTION_ARGS)
{
	TimestampTz at = PG_GETARG_TIMESTAMPTZ(0);
	PerfoptWatcher *watcher;
	int changed;

	if (TIMESTAMP_NOT_FINITE(at))
		ereport(ERROR, (errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
						errmsg("thresholds cannot be looked at as of %s", timestamptz_to_str(at)),
						errhint("Leave out the time, which then is now.")));
	LockRelationOid(lock_relation(), ShareUpdateExclusiveLock);
	SPI_connect();
	watcher = perfopt_watcher_create();
	changed = evaluate(watcher, at, false);
	SPI_finish();
	PG_RETURN_INT32(changed);
}
