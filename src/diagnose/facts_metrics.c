/*
 * facts_metrics.c
 *	  Facts from metrics: what each series did over the window.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "diagnose/facts.h"

#define FETCH_ROWS 256

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

static void
add_value(PerfoptSeries *series, TimestampTz ts, double elapsed_s, double value)
{
	if (series->n == 0)
	{
		series->first = series->min = series->max = value;
	}
	else
	{
		series->previous = series->last;
		series->min = Min(series->min, value);
		series->max = Max(series->max, value);
	}
	series->n++;
	series->sum += value;
	series->last = value;
	series->last_ts = ts;
	if (elapsed_s > 0)
		series->seconds += elapsed_s;
}

/* One row of perfopt.sample_hot: ts, elapsed_s, series, value. */
static void
read_row(PerfoptFacts *facts, HeapTuple row, TupleDesc desc)
{
	bool isnull;
	TimestampTz ts = DatumGetTimestampTz(SPI_getbinval(row, desc, 1, &isnull));
	Datum elapsed = SPI_getbinval(row, desc, 2, &isnull);
	double elapsed_s = isnull ? 0 : DatumGetFloat8(elapsed);
	ArrayType *ids = DatumGetArrayTypeP(SPI_getbinval(row, desc, 3, &isnull));
	ArrayType *values = DatumGetArrayTypeP(SPI_getbinval(row, desc, 4, &isnull));
	Datum *id;
	Datum *value;
	bool *nulls;
	int nids;
	int nvalues;

	deconstruct_array(ids, INT4OID, 4, true, TYPALIGN_INT, &id, NULL, &nids);
	deconstruct_array(values, FLOAT8OID, 8, FLOAT8PASSBYVAL, TYPALIGN_DOUBLE, &value, &nulls,
					  &nvalues);
	for (int i = 0; i < Min(nids, nvalues); i++)
	{
		int key = DatumGetInt32(id[i]);
		PerfoptSeries *series =
			bsearch(&key, facts->series, facts->nseries, sizeof(PerfoptSeries), compare_id);

		if (series != NULL && !nulls[i])
			add_value(series, ts, elapsed_s, DatumGetFloat8(value[i]));
	}
}

void
perfopt_facts_read_metrics(PerfoptFacts *facts)
{
	MemoryContext context = CurrentMemoryContext;
	MemoryContext row_context;
	Oid types[2] = { TIMESTAMPTZOID, TIMESTAMPTZOID };
	Datum values[2] = { TimestampTzGetDatum(facts->since), TimestampTzGetDatum(facts->until) };
	Portal portal;

	SPI_connect();
	read_catalogue(facts, context);
	row_context =
		AllocSetContextCreate(CurrentMemoryContext, "perfopt facts row", ALLOCSET_DEFAULT_SIZES);
	portal = SPI_cursor_open_with_args(NULL,
									   "SELECT ts, elapsed_s, series, value"
									   " FROM perfopt.sample_hot WHERE ts > $1 AND ts <= $2"
									   " ORDER BY ts",
									   2, types, values, NULL, true, 0);
	for (;;)
	{
		SPI_cursor_fetch(portal, true, FETCH_ROWS);
		if (SPI_processed == 0)
			break;
		for (uint64 i = 0; i < SPI_processed; i++)
		{
			MemoryContext old = MemoryContextSwitchTo(row_context);

			read_row(facts, SPI_tuptable->vals[i], SPI_tuptable->tupdesc);
			MemoryContextSwitchTo(old);
			MemoryContextReset(row_context);
		}
		SPI_freetuptable(SPI_tuptable);
	}
	SPI_cursor_close(portal);
	SPI_finish();
}

PerfoptSeries *
perfopt_facts_series(const PerfoptFacts *facts, const char *metric, const PerfoptSeries *previous)
{
	int start = previous ? (previous - facts->series) + 1 : 0;

	for (int i = start; i < facts->nseries; i++)
	{
		if (facts->series[i].n > 0 && strcmp(facts->series[i].metric, metric) == 0)
			return &facts->series[i];
	}
	return NULL;
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
