/*
 * facts_metrics.c
 *	  Facts from metrics: what each series did over the window.
 */
#include "postgres.h"

#include <math.h>

#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "collect/collect.h"
#include "diagnose/facts.h"
#include "store/store.h"

/* Longer names, which applications may have, are no detector's. */
#define METRIC_LENGTH 64

typedef struct MetricEntry
{
	char name[METRIC_LENGTH];
	PerfoptSeries *first;
} MetricEntry;

static const char *const compared[] = {
	"node_disk_reads_total",
	"node_disk_read_time_seconds_total",
	"external_call_duration_seconds_sum",
	"external_call_duration_seconds_count",
	"probe_duration_seconds",
	"integration_sync_lag_seconds",
	"integration_validation_operations_total",
	"integration_validation_failures_total",
	"integration_reconciliation_mismatches",
	"pg_cron_job_failures_total",
};

/* The series whose metric the catalogue has, in order of id. */
static void
read_catalogue(PerfoptFacts *facts, MemoryContext context)
{
	SPI_execute("SELECT s.series_id, m.name, s.labels"
				" FROM perfopt.series s JOIN perfopt.metric m ON m.metric_id = s.metric_id"
				" ORDER BY s.series_id",
				true, 0);
	facts->nseries = SPI_processed;
	facts->series =
		MemoryContextAllocExtended(context, sizeof(PerfoptSeries) * Max(SPI_processed, 1),
								   MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		PerfoptSeries *series = &facts->series[i];
		HeapTuple row = SPI_tuptable->vals[i];
		TupleDesc desc = SPI_tuptable->tupdesc;
		MemoryContext old;
		bool isnull;

		series->id = DatumGetInt32(SPI_getbinval(row, desc, 1, &isnull));
		series->metric = MemoryContextStrdup(context, SPI_getvalue(row, desc, 2));
		old = MemoryContextSwitchTo(context);
		series->labels = DatumGetJsonbPCopy(SPI_getbinval(row, desc, 3, &isnull));
		MemoryContextSwitchTo(old);
		series->previous = NAN;
	}
}

static int
compare_id(const void *key, const void *element)
{
	int id = *(const int *) key;
	int other = ((const PerfoptSeries *) element)->id;

	return (id > other) - (id < other);
}

/* Slices come in no promised order, samples within one ascend. */
static void
add_slice(PerfoptSeries *series, const PerfoptSlice *slice)
{
	for (int i = 0; i < slice->n; i++)
	{
		double value = slice->column[0][i];
		TimestampTz ts = slice->ts[i];

		if (series->n == 0)
		{
			series->min = series->max = value;
			series->first_ts = series->last_ts = ts;
			series->previous_ts = DT_NOBEGIN;
			series->first = series->last = value;
		}
		else if (ts > series->last_ts)
		{
			series->previous = series->last;
			series->previous_ts = series->last_ts;
			series->last = value;
			series->last_ts = ts;
		}
		else if (ts > series->previous_ts)
		{
			series->previous = value;
			series->previous_ts = ts;
		}

		if (ts < series->first_ts)
		{
			series->first = value;
			series->first_ts = ts;
		}
		if (value != 0)
		{
			if (series->nonzero == 0 || ts < series->nonzero_first_ts)
				series->nonzero_first_ts = ts;
			if (series->nonzero == 0 || ts > series->nonzero_last_ts)
				series->nonzero_last_ts = ts;
			series->nonzero++;
		}
		series->min = Min(series->min, value);
		series->max = Max(series->max, value);
		series->sum += value;
		series->n++;
	}
}

/*
 * How long the samples stand for: each for the time since the one before it, and the first, whose
 * predecessor is outside the window, for as long as the others on average.
 */
static double
seconds_covered(const PerfoptSeries *series)
{
	double between = (series->last_ts - series->first_ts) / (double) USECS_PER_SEC;

	if (series->n > 1)
		return between * series->n / (series->n - 1);
	return series->n * perfopt_collect_metric_interval_s(series->metric);
}

/* Series that have samples, by their metric: most of dozens of detectors ask for several. */
static void
index_metrics(PerfoptFacts *facts)
{
	HASHCTL ctl = { .keysize = METRIC_LENGTH, .entrysize = sizeof(MetricEntry) };

	ctl.hcxt = CurrentMemoryContext;
	facts->metrics =
		hash_create("perfopt metrics", 256, &ctl, HASH_ELEM | HASH_STRINGS | HASH_CONTEXT);
	for (int i = facts->nseries - 1; i >= 0; i--)
	{
		PerfoptSeries *series = &facts->series[i];
		char name[METRIC_LENGTH] = "";
		MetricEntry *entry;
		bool found;

		if (series->n == 0)
			continue;
		strlcpy(name, series->metric, sizeof(name));
		entry = hash_search(facts->metrics, name, HASH_ENTER, &found);
		series->next = found ? entry->first : NULL;
		entry->first = series;
	}
}

/* A day before the window of the metrics that are judged against what is usual for them. */
static void
read_compared(PerfoptFacts *facts)
{
	PerfoptSeries **series = palloc(sizeof(PerfoptSeries *) * Max(facts->nseries, 1));
	int n = 0;

	for (int i = 0; i < lengthof(compared); i++)
	{
		for (PerfoptSeries *s = NULL; (s = perfopt_facts_series(facts, compared[i], s)) != NULL;)
			series[n++] = s;
	}
	perfopt_facts_read_past(facts, series, n, SECS_PER_DAY);
	pfree(series);
}

void
perfopt_facts_read_metrics(PerfoptFacts *facts)
{
	MemoryContext context = CurrentMemoryContext;
	PerfoptCursor *cursor;
	PerfoptSlice slice;

	SPI_connect();
	read_catalogue(facts, context);
	SPI_finish();

	cursor = perfopt_cursor_open(PERFOPT_RAW, facts->since + 1, facts->until, NULL, 0);
	while (perfopt_cursor_next(cursor, &slice))
	{
		PerfoptSeries *series = bsearch(&slice.series_id, facts->series, facts->nseries,
										sizeof(PerfoptSeries), compare_id);

		if (series != NULL)
			add_slice(series, &slice);
	}
	perfopt_cursor_close(cursor);
	for (int i = 0; i < facts->nseries; i++)
	{
		if (facts->series[i].n > 0)
			facts->series[i].seconds = seconds_covered(&facts->series[i]);
	}
	index_metrics(facts);
	read_compared(facts);
}

PerfoptSeries *
perfopt_facts_series(const PerfoptFacts *facts, const char *metric, const PerfoptSeries *previous)
{
	char name[METRIC_LENGTH] = "";
	MetricEntry *entry;

	if (previous != NULL)
		return previous->next;
	strlcpy(name, metric, sizeof(name));
	entry = hash_search(facts->metrics, name, HASH_FIND, NULL);
	return entry ? entry->first : NULL;
}

double
perfopt_series_mean(const PerfoptSeries *series)
{
	return series->sum / series->n;
}

double
perfopt_facts_increase(const PerfoptFacts *facts, const char *metric)
{
	double sum = NAN;

	for (PerfoptSeries *s = NULL; (s = perfopt_facts_series(facts, metric, s)) != NULL;)
		sum = isnan(sum) ? s->sum : sum + s->sum;
	return sum;
}

double
perfopt_facts_rate(const PerfoptFacts *facts, const char *metric)
{
	double rate = NAN;

	for (PerfoptSeries *s = NULL; (s = perfopt_facts_series(facts, metric, s)) != NULL;)
	{
		if (s->seconds > 0)
			rate = isnan(rate) ? s->sum / s->seconds : rate + s->sum / s->seconds;
	}
	return rate;
}

double
perfopt_facts_max(const PerfoptFacts *facts, const char *metric)
{
	double max = NAN;

	for (PerfoptSeries *s = NULL; (s = perfopt_facts_series(facts, metric, s)) != NULL;)
		max = isnan(max) ? s->max : Max(max, s->max);
	return max;
}

char *
perfopt_series_label(const PerfoptSeries *series, const char *label)
{
	JsonbValue buffer;
	JsonbValue *value =
		getKeyJsonValueFromContainer(&series->labels->root, label, strlen(label), &buffer);

	if (value == NULL || value->type != jbvString)
		return NULL;
	return pnstrdup(value->val.string.val, value->val.string.len);
}

PerfoptSeries *
perfopt_facts_labelled(const PerfoptFacts *facts, const char *metric, const char *label,
					   const char *value)
{
	for (PerfoptSeries *s = NULL; (s = perfopt_facts_series(facts, metric, s)) != NULL;)
	{
		char *found = perfopt_series_label(s, label);

		if (found != NULL && strcmp(found, value) == 0)
			return s;
	}
	return NULL;
}

PerfoptSeries *
perfopt_facts_twin(const PerfoptFacts *facts, const char *metric, const PerfoptSeries *series)
{
	for (PerfoptSeries *s = NULL; (s = perfopt_facts_series(facts, metric, s)) != NULL;)
	{
		if (compareJsonbContainers(&s->labels->root, &series->labels->root) == 0)
			return s;
	}
	return NULL;
}
