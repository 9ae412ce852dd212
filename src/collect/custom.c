/*
 * custom.c
 *	  Custom metrics in the collector: which are due, and what became of those that were run.
 *
 * The queries themselves run in a helper; this process never executes what somebody else wrote.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "executor/spi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "collect/collect.h"
#include "collect/custom.h"
#include "collect/helper.h"
#include "guc.h"
#include "worker/worker.h"

#define MAX_METRICS 100
#define RESULT_BYTES (1024 * 1024)
#define HELPER_DEADLINE_MS 60000

const PerfoptMetric perfopt_custom_metrics[] = {
	{ "perfopt_custom_metrics", "application", PERFOPT_GAUGE, "metrics",
	  "Custom metrics that are enabled" },
};
const int perfopt_custom_nmetrics = lengthof(perfopt_custom_metrics);

/* The last raw value of a counter's series. */
typedef struct Raw
{
	uint64 labels; /* hash */
	double value;
} Raw;

typedef struct CustomMetric
{
	char name[NAMEDATALEN];
	bool listed; /* while the list is made anew */
	int interval_ms;
	TimestampTz last_run;
	int nraws;
	Raw *raws;            /* of the last run, in TopMemoryContext; by labels */
	PerfoptMetric metric; /* of this cycle */
} CustomMetric;

static CustomMetric metrics[MAX_METRICS];
static int nmetrics = 0;

static PerfoptHelper *helper = NULL;
static char *running = NULL; /* names, one after the other */
static Size running_size = 0;

static CustomMetric *
find_metric(const char *name)
{
	for (int i = 0; i < nmetrics; i++)
		if (strcmp(metrics[i].name, name) == 0)
			return &metrics[i];
	return NULL;
}

static void
list_metric(HeapTuple tuple, TupleDesc desc, MemoryContext context)
{
	char *name = SPI_getvalue(tuple, desc, 1);
	CustomMetric *metric = find_metric(name);
	bool isnull;

	if (metric == NULL && nmetrics == MAX_METRICS)
	{
		perfopt_collect_note("custom", name, "there are too many custom metrics", -1, 0);
		return;
	}
	if (metric == NULL)
	{
		metric = &metrics[nmetrics++];
		memset(metric, 0, sizeof(CustomMetric));
		strlcpy(metric->name, name, sizeof(metric->name));
	}
	metric->listed = true;
	metric->interval_ms = DatumGetInt32(SPI_getbinval(tuple, desc, 6, &isnull));
	metric->metric.name = metric->name;
	metric->metric.dimension = MemoryContextStrdup(context, SPI_getvalue(tuple, desc, 2));
	metric->metric.kind =
		strcmp(SPI_getvalue(tuple, desc, 3), "counter") == 0 ? PERFOPT_COUNTER : PERFOPT_GAUGE;
	metric->metric.unit = MemoryContextStrdup(context, SPI_getvalue(tuple, desc, 4));
	metric->metric.help = MemoryContextStrdup(context, SPI_getvalue(tuple, desc, 5));
}

static void
drop_unlisted(void)
{
	int kept = 0;

	for (int i = 0; i < nmetrics; i++)
	{
		if (!metrics[i].listed)
		{
			perfopt_collect_forget("custom", metrics[i].name);
			if (metrics[i].raws != NULL)
				pfree(metrics[i].raws);
			continue;
		}
		if (kept != i)
		{
			metrics[kept] = metrics[i];
			metrics[kept].metric.name = metrics[kept].name;
		}
		kept++;
	}
	nmetrics = kept;
}

static void
list_metrics(void)
{
	MemoryContext context = CurrentMemoryContext;

	for (int i = 0; i < nmetrics; i++)
		metrics[i].listed = false;
	perfopt_collect_begin_sql();
	perfopt_collect_select(
		"SELECT name, dimension, kind, unit, help,"
		" (pg_catalog.date_part('epoch', collect_interval) * 1000)::pg_catalog.int4"
		" FROM perfopt.custom_metric WHERE enabled ORDER BY name");
	for (uint64 i = 0; i < SPI_processed; i++)
		list_metric(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, context);
	perfopt_collect_end_sql();
	drop_unlisted();
}

static int
by_last_run(const void *a, const void *b)
{
	const CustomMetric *x = *(CustomMetric *const *) a;
	const CustomMetric *y = *(CustomMetric *const *) b;

	return x->last_run < y->last_run ? -1 : x->last_run > y->last_run;
}

/* Those that waited longest come first, so that one that takes all the time is soon the last. */
static void
start_due(TimestampTz now, bool asked)
{
	CustomMetric *due[MAX_METRICS];
	int ndue = 0;
	long slack = Min(perfopt_collect_interval_ms() / 2, 5000);
	StringInfoData data;
	PerfoptCustomResult head = { 0 };

	for (int i = 0; i < nmetrics; i++)
		if (asked || TimestampDifferenceExceeds(metrics[i].last_run, now,
												Max(metrics[i].interval_ms - slack, 0)))
			due[ndue++] = &metrics[i];
	if (ndue == 0)
		return;
	qsort(due, ndue, sizeof(CustomMetric *), by_last_run);

	initStringInfo(&data);
	appendBinaryStringInfo(&data, (char *) &head, offsetof(PerfoptCustomResult, records));
	for (int i = 0; i < ndue; i++)
	{
		due[i]->last_run = now;
		appendBinaryStringInfo(&data, due[i]->name, strlen(due[i]->name) + 1);
	}
	head.names = data.len - offsetof(PerfoptCustomResult, records);
	memcpy(data.data, &head, offsetof(PerfoptCustomResult, records));
	helper = perfopt_helper_start(PERFOPT_HELPER_CUSTOM, perfopt_database, HELPER_DEADLINE_MS,
								  RESULT_BYTES, data.data, data.len);
	running_size = head.names;
	running = MemoryContextAlloc(TopMemoryContext, running_size);
	memcpy(running, data.data + offsetof(PerfoptCustomResult, records), running_size);
}

static const char *
take_string(const char **at)
{
	const char *string = *at;

	*at += strlen(string) + 1;
	return string;
}

static void
take_bytes(const char **at, void *to, Size size)
{
	memcpy(to, *at, size);
	*at += size;
}

static int
by_labels(const void *a, const void *b)
{
	const Raw *x = a;
	const Raw *y = b;

	return x->labels < y->labels ? -1 : x->labels > y->labels;
}

/* One that fell, or was not there before, has no increase. */
static void
add_counter(PerfoptBatch *batch, const CustomMetric *metric, const PerfoptLabel *labels,
			int nlabels, const Raw *raw)
{
	const Raw *before = NULL;

	if (metric->nraws > 0)
		before = bsearch(raw, metric->raws, metric->nraws, sizeof(Raw), by_labels);
	if (before != NULL && raw->value >= before->value)
		perfopt_batch_add_increase(batch, &metric->metric, labels, nlabels,
								   raw->value - before->value);
}

static void
take_rows(PerfoptBatch *batch, CustomMetric *metric, const char *at, int size)
{
	const char *end = at + size;
	Raw *raws = MemoryContextAlloc(TopMemoryContext, Max(size / 12, 1) * sizeof(Raw));
	int nraws = 0;

	while (at < end)
	{
		PerfoptLabel labels[PERFOPT_CUSTOM_LABELS];
		const char *labels_at;
		double value;
		int32 nlabels;

		take_bytes(&at, &value, sizeof(value));
		take_bytes(&at, &nlabels, sizeof(nlabels));
		labels_at = at;
		for (int i = 0; i < nlabels; i++)
		{
			labels[i].name = take_string(&at);
			labels[i].value = take_string(&at);
		}
		if (metric->metric.kind == PERFOPT_GAUGE)
		{
			perfopt_batch_add(batch, &metric->metric, labels, nlabels, value);
			continue;
		}
		raws[nraws].labels =
			hash_bytes_extended((const unsigned char *) labels_at, at - labels_at, 0);
		raws[nraws].value = value;
		add_counter(batch, metric, labels, nlabels, &raws[nraws]);
		nraws++;
	}
	qsort(raws, nraws, sizeof(Raw), by_labels);
	if (metric->raws != NULL)
		pfree(metric->raws);
	metric->raws = raws;
	metric->nraws = nraws;
}

/*
 * Returns how many of the metrics that were to be run have a record.  Each is a writer of its own, since it
 * comes at its own pace.
 */
static int
take_records(const PerfoptCustomResult *result)
{
	const char *at = result->records;
	int n = 0;

	while (at < result->records + result->used)
	{
		const char *name = take_string(&at);
		const char *error = take_string(&at);
		CustomMetric *metric = find_metric(name);
		double cpu_ms, wall_ms;
		int size;

		take_bytes(&at, &cpu_ms, sizeof(cpu_ms));
		take_bytes(&at, &wall_ms, sizeof(wall_ms));
		take_bytes(&at, &size, sizeof(size));
		if (metric != NULL)
		{
			if (error[0] == '\0')
				take_rows(perfopt_collect_batch(psprintf("custom %s", name)), metric, at, size);
			perfopt_collect_note("custom", name, error[0] ? error : NULL, cpu_ms, wall_ms);
		}
		at += size;
		n++;
	}
	return n;
}

/* When the helper ended early, the first without a record is to blame, and the rest come next time. */
static void
take_result(void)
{
	PerfoptHelperArea *area = perfopt_helper_area(helper);
	int done = take_records((PerfoptCustomResult *) area->data);
	const char *name = running;

	if (area->error[0] != '\0')
		for (int i = 0; name < running + running_size; name += strlen(name) + 1, i++)
		{
			CustomMetric *metric = find_metric(name);

			if (i == done && metric != NULL)
				perfopt_collect_note("custom", name, area->error, -1, 0);
			else if (i > done && metric != NULL)
				metric->last_run = 0;
		}
	perfopt_helper_free(helper);
	helper = NULL;
	pfree(running);
	running = NULL;
}

/* True when the helper is gone, be it that there was none. */
static bool
look_after_helper(TimestampTz give_up)
{
	if (helper == NULL)
		return true;
	if (!perfopt_helper_wait(helper,
							 TimestampDifferenceMilliseconds(GetCurrentTimestamp(), give_up)))
		return false;
	take_result();
	return true;
}

void
perfopt_collect_custom(PerfoptBatch *batch)
{
	TimestampTz now = GetCurrentTimestamp();
	bool asked = perfopt_worker_asked();
	TimestampTz give_up = TimestampTzPlusMilliseconds(now, perfopt_helper_patience_ms(asked));

	list_metrics();
	if (look_after_helper(give_up))
	{
		start_due(now, asked);
		look_after_helper(give_up);
	}
	if (nmetrics > 0)
		perfopt_batch_add(batch, &perfopt_custom_metrics[0], NULL, 0, nmetrics);
}
