/*
 * store.c
 *	  Batches of samples, and how they become rows.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "executor/spi.h"
#include "lib/stringinfo.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/json.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "store/store.h"

/* Batches that a series may be missing before the writer forgets it. */
#define FORGET_AFTER 1000

/* Longer keys (metric name and labels) are a source's mistake; they are left out. */
#define MAX_KEY 512

/* What a writer remembers of a series between batches. */
typedef struct SeriesState
{
	char key[MAX_KEY];
	int series_id;
	double raw;      /* at batch_no */
	uint64 batch_no; /* the last committed batch that had it */
} SeriesState;

typedef struct Writer
{
	Oid extension;       /* everything is forgotten when the extension is made anew */
	uint64 batch_no;     /* committed batches */
	TimestampTz last_ts; /* of the last committed batch, 0 before the first */
	HTAB *series;
} Writer;

typedef struct Entry
{
	const PerfoptMetric *metric;
	char *key;
	char *labels; /* JSON object */
	double value;
	bool is_increase; /* of a counter, not its raw value */
	int series_id;    /* filled by append */
} Entry;

struct PerfoptBatch
{
	MemoryContext context;
	const char *name;
	Entry *entries;
	int nentries;
	int capacity;
	TimestampTz ts;
};

/* A process is one writer. */
static Writer writer;

PerfoptBatch *
perfopt_batch_create(const char *name)
{
	PerfoptBatch *batch = palloc0(sizeof(PerfoptBatch));

	batch->context = CurrentMemoryContext;
	batch->name = name;
	batch->capacity = 256;
	batch->entries = palloc(batch->capacity * sizeof(Entry));
	return batch;
}

int
perfopt_batch_size(const PerfoptBatch *batch)
{
	return batch->nentries;
}

static char *
labels_json(const PerfoptLabel *labels, int nlabels)
{
	StringInfoData json;

	initStringInfo(&json);
	appendStringInfoChar(&json, '{');
	for (int i = 0; i < nlabels; i++)
	{
		if (i > 0)
			appendStringInfoString(&json, ", ");
		escape_json(&json, labels[i].name);
		appendStringInfoString(&json, ": ");
		escape_json(&json, labels[i].value);
	}
	appendStringInfoChar(&json, '}');
	return json.data;
}

static void
add_entry(PerfoptBatch *batch, const PerfoptMetric *metric, const PerfoptLabel *labels, int nlabels,
		  double value, bool is_increase)
{
	MemoryContext oldcontext;
	Entry *entry;

	if (!isfinite(value))
		return;

	oldcontext = MemoryContextSwitchTo(batch->context);
	if (batch->nentries == batch->capacity)
	{
		batch->capacity *= 2;
		batch->entries = repalloc(batch->entries, batch->capacity * sizeof(Entry));
	}
	entry = &batch->entries[batch->nentries];
	entry->metric = metric;
	entry->labels = labels_json(labels, nlabels);
	entry->key = psprintf("%s%s", metric->name, entry->labels);
	entry->value = value;
	entry->is_increase = is_increase;
	entry->series_id = 0;
	if (strlen(entry->key) < MAX_KEY)
		batch->nentries++;
	MemoryContextSwitchTo(oldcontext);
}

void
perfopt_batch_add(PerfoptBatch *batch, const PerfoptMetric *metric, const PerfoptLabel *labels,
				  int nlabels, double value)
{
	add_entry(batch, metric, labels, nlabels, value, false);
}

void
perfopt_batch_add_increase(PerfoptBatch *batch, const PerfoptMetric *metric,
						   const PerfoptLabel *labels, int nlabels, double increase)
{
	add_entry(batch, metric, labels, nlabels, increase, true);
}

static void
open_writer(void)
{
	Oid extension = get_extension_oid("perfopt", false);
	HASHCTL ctl;

	if (writer.series != NULL && writer.extension == extension)
		return;
	if (writer.series != NULL)
		hash_destroy(writer.series);

	memset(&writer, 0, sizeof(writer));
	memset(&ctl, 0, sizeof(ctl));
	ctl.keysize = MAX_KEY;
	ctl.entrysize = sizeof(SeriesState);
	ctl.hcxt = TopMemoryContext;
	writer.series =
		hash_create("perfopt series", 512, &ctl, HASH_ELEM | HASH_STRINGS | HASH_CONTEXT);
	writer.extension = extension;
}

static const char *
kind_name(PerfoptMetricKind kind)
{
	return kind == PERFOPT_COUNTER ? "counter" : "gauge";
}

/* Runs a statement whose plan is kept for the life of the process. */
static void
execute(SPIPlanPtr *plan, const char *sql, int nargs, Oid *types, Datum *values)
{
	int result;

	if (*plan == NULL)
	{
		*plan = SPI_prepare(sql, nargs, types);
		if (*plan == NULL)
			elog(ERROR, "could not prepare \"%s\": %s", sql, SPI_result_code_string(SPI_result));
		SPI_keepplan(*plan);
	}
	result = SPI_execute_plan(*plan, values, NULL, false, 0);
	if (result < 0)
		elog(ERROR, "could not execute \"%s\": %s", sql, SPI_result_code_string(result));
}

static void
describe_metric(const PerfoptMetric *metric)
{
	static SPIPlanPtr plan = NULL;
	Oid types[] = { TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID };
	Datum values[] = { CStringGetTextDatum(metric->name), CStringGetTextDatum(metric->dimension),
					   CStringGetTextDatum(kind_name(metric->kind)),
					   CStringGetTextDatum(metric->unit), CStringGetTextDatum(metric->help) };

	execute(&plan,
			"INSERT INTO perfopt.metric (name, dimension, kind, unit, help)"
			" VALUES ($1, $2, $3, $4, $5) ON CONFLICT (name) DO NOTHING",
			lengthof(types), types, values);
}

void
perfopt_store_describe(const PerfoptMetric *metrics, int nmetrics)
{
	SPI_connect();
	for (int i = 0; i < nmetrics; i++)
		describe_metric(&metrics[i]);
	SPI_finish();
}

/* The id of a series that this writer sees for the first time; it may exist from former days. */
static int
resolve_series(const Entry *entry)
{
	static SPIPlanPtr select_plan = NULL;
	static SPIPlanPtr insert_plan = NULL;
	Oid types[] = { TEXTOID, TEXTOID };
	Datum values[] = { CStringGetTextDatum(entry->metric->name),
					   CStringGetTextDatum(entry->labels) };
	bool isnull;

	describe_metric(entry->metric);
	execute(&select_plan,
			"SELECT s.series_id FROM perfopt.series s JOIN perfopt.metric m USING (metric_id)"
			" WHERE m.name = $1 AND s.labels = $2::pg_catalog.jsonb",
			lengthof(types), types, values);
	if (SPI_processed == 0)
		execute(&insert_plan,
				"INSERT INTO perfopt.series (metric_id, labels)"
				" SELECT metric_id, $2::pg_catalog.jsonb FROM perfopt.metric WHERE name = $1"
				" ON CONFLICT (metric_id, labels) DO UPDATE SET labels = excluded.labels"
				" RETURNING series_id",
				lengthof(types), types, values);
	if (SPI_processed != 1)
		elog(ERROR, "could not register series \"%s\"", entry->key);
	return DatumGetInt32(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
}

/* True when the entry has something to say in this batch, which is then put into *value. */
static bool
value_to_store(const Entry *entry, const SeriesState *known, double *value)
{
	*value = entry->value;
	if (entry->metric->kind == PERFOPT_GAUGE || entry->is_increase)
		return true;
	if (known == NULL || known->batch_no != writer.batch_no || entry->value < known->raw)
		return false;
	*value = entry->value - known->raw;
	return true;
}

void
perfopt_store_append(PerfoptBatch *batch, TimestampTz ts)
{
	static SPIPlanPtr plan = NULL;
	Oid types[] = { TIMESTAMPTZOID, TEXTOID, FLOAT8OID, INT4ARRAYOID, FLOAT8ARRAYOID };
	Datum row[5];
	char nulls[] = "     ";
	Datum *ids = palloc(Max(batch->nentries, 1) * sizeof(Datum));
	Datum *values = palloc(Max(batch->nentries, 1) * sizeof(Datum));
	int n = 0;
	int result;

	open_writer();
	batch->ts = ts;
	SPI_connect();
	for (int i = 0; i < batch->nentries; i++)
	{
		Entry *entry = &batch->entries[i];
		SeriesState *known = hash_search(writer.series, entry->key, HASH_FIND, NULL);
		double value;

		entry->series_id = known ? known->series_id : resolve_series(entry);
		if (!value_to_store(entry, known, &value))
			continue;
		ids[n] = Int32GetDatum(entry->series_id);
		values[n] = Float8GetDatum(value);
		n++;
	}

	row[0] = TimestampTzGetDatum(ts);
	row[1] = CStringGetTextDatum(batch->name);
	row[2] = Float8GetDatum((ts - writer.last_ts) / 1e6);
	if (writer.last_ts == 0)
		nulls[2] = 'n';
	row[3] = PointerGetDatum(construct_array_builtin(ids, n, INT4OID));
	row[4] = PointerGetDatum(
		construct_array(values, n, FLOAT8OID, sizeof(float8), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));

	if (plan == NULL)
	{
		plan = SPI_prepare("INSERT INTO perfopt.sample_hot (ts, writer, elapsed_s, series, value)"
						   " VALUES ($1, $2, $3, $4, $5)",
						   lengthof(types), types);
		if (plan == NULL)
			elog(ERROR, "could not prepare the sample insert: %s",
				 SPI_result_code_string(SPI_result));
		SPI_keepplan(plan);
	}
	result = SPI_execute_plan(plan, row, nulls, false, 0);
	if (result != SPI_OK_INSERT)
		elog(ERROR, "could not insert samples: %s", SPI_result_code_string(result));
	SPI_finish();
}

/* Series that went away (a dropped device, an ended target) must not stay in memory for ever. */
static void
forget_old_series(void)
{
	HASH_SEQ_STATUS scan;
	SeriesState *state;

	hash_seq_init(&scan, writer.series);
	while ((state = hash_seq_search(&scan)) != NULL)
		if (state->batch_no + FORGET_AFTER < writer.batch_no)
			hash_search(writer.series, state->key, HASH_REMOVE, NULL);
}

void
perfopt_store_committed(PerfoptBatch *batch)
{
	writer.batch_no++;
	writer.last_ts = batch->ts;
	for (int i = 0; i < batch->nentries; i++)
	{
		Entry *entry = &batch->entries[i];
		SeriesState *state = hash_search(writer.series, entry->key, HASH_ENTER, NULL);

		state->series_id = entry->series_id;
		state->raw = entry->value;
		state->batch_no = writer.batch_no;
	}
	if (writer.batch_no % FORGET_AFTER == 0)
		forget_old_series();
}
