/*
 * watch.c
 *	  A watch: what it remembers of its series, and what it makes of a sample.
 */
#include "postgres.h"

#include <math.h>

#include "utils/builtins.h"
#include "utils/jsonb.h"

#include "alert/watch.h"
#include "guc.h"

/* A window has room for so many samples; of a longer period it has the latest. */
#define MAX_WINDOW 1024

/* Some 1,500 series with cycles of 30 s: the collector is not to grow without bound. */
#define MAX_DETECTOR_BYTES (16 * 1024 * 1024)

static int
steps_a_day(void)
{
	return 24 * 60 * 60 / perfopt_collect_interval_s;
}

/* The metric, and the labels of the series: what its scores are stored under. */

/* The metric, and the labels of the series: what its scores are stored under. */
static void
set_scored_labels(PerfoptWatch *watch)
{
	Jsonb *labels = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(watch->labels)));
	JsonbIterator *iterator = JsonbIteratorInit(&labels->root);
	JsonbIteratorToken token;
	JsonbValue value;
	int n = 0;

	watch->labels_scored = palloc((JB_ROOT_COUNT(labels) + 1) * sizeof(PerfoptLabel));
	watch->labels_scored[n++] = (PerfoptLabel){ "metric", watch->rule->metric };
	while ((token = JsonbIteratorNext(&iterator, &value, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
			watch->labels_scored[n].name = pnstrdup(value.val.string.val, value.val.string.len);
		else if (token == WJB_VALUE && value.type == jbvString)
			watch->labels_scored[n++].value = pnstrdup(value.val.string.val, value.val.string.len);
	}
	watch->nlabels_scored = n;
}

/* Beyond MAX_DETECTOR_BYTES a watch has none, and measures nothing. */
static void
begin_detector(PerfoptWatcher *watcher, PerfoptWatch *watch)
{
	int day = steps_a_day();
	size_t size = perfopt_anomaly_size(day, 7 * day);

	if (watcher->detector_bytes + size > MAX_DETECTOR_BYTES)
		return;
	watcher->detector_bytes += size;
	watch->anomaly = palloc(size);
	if (!perfopt_anomaly_init(watch->anomaly, size, day, 7 * day, 0))
		elog(ERROR, "could not begin a detector with %d steps a day", day);
	set_scored_labels(watch);
}

PerfoptWatch *
perfopt_watch_make(PerfoptWatcher *watcher, PerfoptRule *rule, int series_id, const char *labels)
{
	PerfoptWatch *watch = palloc0(sizeof(PerfoptWatch));

	watch->known_since = watcher->loaded_at;
	watch->rule = rule;
	watch->series_id = series_id;
	watch->labels = labels;
	watch->measured = NAN;
	if (rule->period_us > 0)
	{
		int64 samples = rule->period_us / (perfopt_collect_interval_s * USECS_PER_SEC) + 2;
		int capacity = (int) Min(samples, MAX_WINDOW);

		watch->window =
			perfopt_window_init(palloc(perfopt_window_size(capacity)), capacity, rule->period_us);
	}
	if (rule->measure == PERFOPT_MEASURE_ANOMALY)
		begin_detector(watcher, watch);
	watcher->watches = lappend(watcher->watches, watch);
	return watch;
}

/* What a rule compares of one sample, before any period. */
static double
sample_measure(const PerfoptWatch *watch, TimestampTz ts, double value, double elapsed_s)
{
	double since_last_s =
		watch->last_ts != 0 && ts > watch->last_ts ? (ts - watch->last_ts) / 1e6 : NAN;

	if (watch->rule->is_counter)
		return value / (elapsed_s > 0 ? elapsed_s : since_last_s);
	if (watch->rule->measure == PERFOPT_MEASURE_RATE)
		return (value - watch->last_value) / since_last_s;
	return value;
}

/* NAN until the window knows half of its period; one sample is no average. */
static double
window_measure(const PerfoptWatch *watch)
{
	if (perfopt_window_span(watch->window) + watch->gap_us < watch->rule->period_us / 2)
		return NAN;
	return watch->rule->measure == PERFOPT_MEASURE_AVERAGE
			   ? perfopt_window_average(watch->window)
			   : perfopt_window_quantile(watch->window, watch->rule->quantile);
}

/* Steps that had no sample pass in the detector's day all the same. */
static double
anomaly_measure(PerfoptWatch *watch, double value)
{
	int64 steps = watch->gap_us / (perfopt_collect_interval_s * USECS_PER_SEC);

	for (int64 i = 1; i < Min(steps, steps_a_day()); i++)
		(void) perfopt_anomaly_update(watch->anomaly, NAN);
	return perfopt_anomaly_update(watch->anomaly, value).score;
}

void
perfopt_watch_take(PerfoptWatch *watch, TimestampTz ts, double value, double elapsed_s)
{
	double measured = sample_measure(watch, ts, value, elapsed_s);

	watch->gap_us = watch->last_ts != 0 ? ts - watch->last_ts : 0;
	watch->last_ts = ts;
	watch->last_value = value;
	if (watch->window != NULL)
	{
		perfopt_window_add(watch->window, ts, measured);
		measured = window_measure(watch);
	}
	if (watch->rule->measure == PERFOPT_MEASURE_ANOMALY)
		measured = watch->anomaly != NULL ? anomaly_measure(watch, measured) : NAN;
	watch->measured = measured;
	watch->fresh = true;
}
