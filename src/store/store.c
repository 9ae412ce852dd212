/*
 * store.c
 *	  Batches of samples, and how they become hot rows.
 */
#include "postgres.h"

#include <float.h>
#include <math.h>

#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "executor/spi.h"
#include "lib/stringinfo.h"
#include "utils/array.h"
#include "common/hashfn.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/hsearch.h"
#include "utils/json.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "guc.h"
#include "store/stream.h"

/* A series that was not seen for so long is forgotten by its writer, and looked up again. */
#define FORGET_AFTER_US USECS_PER_DAY

/* Further apart than this, a time before the last one means that the clock was set back. */
#define CLOCK_STEP_US USECS_PER_SEC

/* So far from its grid a batch still counts as on it. */
#define GRID_TOLERANCE_US (10 * INT64CONST(1000))
#define MAX_OFF_GRID 3

/* Longer keys (metric name and labels) are a source's mistake; they are left out. */
#define MAX_KEY 1024

#define MAX_WRITERS 64

/*
 * A series by what it is: 128 bits of hash over metric and labels, since the texts of thousands of
 * series would take megabytes of each worker.
 */
typedef struct SeriesKey
{
	uint64 high;
	uint64 low;
} SeriesKey;

/* What is remembered of a series between batches. */
typedef struct SeriesState
{
	SeriesKey key;
	int series_id;
	double raw; /* in the last committed batch that had it */
	TimestampTz ts;
} SeriesState;

/* One who appends batches at a pace of its own. */
typedef struct Writer
{
	char name[256];
	TimestampTz last_ts; /* of the last committed batch, 0 before the first */
	TimestampTz grid;    /* a time on the grid of its batches */
	int off_grid;        /* batches in succession that were not on it */
} Writer;

/* What this process knows; forgotten when the extension is made anew. */
typedef struct Memory
{
	Oid extension;
	TimestampTz forgot_at;
	HTAB *series;
	Writer writers[MAX_WRITERS];
	int nwriters;
} Memory;

typedef struct Entry
{
	const PerfoptMetric *metric;
	SeriesKey key;
	char *labels; /* JSON object */
	double value;
	bool is_increase; /* of a counter, not its raw value */
	int series_id;    /* filled by append; 0 where it was left out */
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

static Memory memory;

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

const char *
perfopt_batch_name(const PerfoptBatch *batch)
{
	return batch->name;
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

static SeriesKey
make_key(const char *metric, const char *labels)
{
	SeriesKey key;

	key.high = hash_bytes_extended((const unsigned char *) metric, strlen(metric), 0);
	key.low = hash_bytes_extended((const unsigned char *) labels, strlen(labels), key.high);
	key.high = hash_bytes_extended((const unsigned char *) labels, strlen(labels), ~key.high);
	return key;
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
	entry->key = make_key(metric->name, entry->labels);
	entry->value = value;
	entry->is_increase = is_increase;
	entry->series_id = 0;
	if (strlen(metric->name) + strlen(entry->labels) < MAX_KEY)
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
open_memory(void)
{
	Oid extension = get_extension_oid("perfopt", false);
	HASHCTL ctl;

	if (memory.series != NULL && memory.extension == extension)
		return;
	if (memory.series != NULL)
		hash_destroy(memory.series);

	memset(&memory, 0, sizeof(memory));
	memset(&ctl, 0, sizeof(ctl));
	ctl.keysize = sizeof(SeriesKey);
	ctl.entrysize = sizeof(SeriesState);
	ctl.hcxt = TopMemoryContext;
	memory.series = hash_create("perfopt series", 512, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	memory.extension = extension;
}

static Writer *
find_writer(const char *name)
{
	Writer *writer;

	for (int i = 0; i < memory.nwriters; i++)
		if (strcmp(memory.writers[i].name, name) == 0)
			return &memory.writers[i];

	/* The one that has been silent for longest makes room: its counters begin anew. */
	writer = &memory.writers[0];
	if (memory.nwriters < MAX_WRITERS)
		writer = &memory.writers[memory.nwriters++];
	else
		for (int i = 1; i < MAX_WRITERS; i++)
			if (memory.writers[i].last_ts < writer->last_ts)
				writer = &memory.writers[i];
	memset(writer, 0, sizeof(*writer));
	strlcpy(writer->name, name, sizeof(writer->name));
	return writer;
}

static const char *
kind_name(PerfoptMetricKind kind)
{
	return kind == PERFOPT_COUNTER ? "counter" : "gauge";
}

static void
describe_metric(const PerfoptMetric *metric)
{
	static SPIPlanPtr plan = NULL;
	Oid types[] = { TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID };
	Datum values[] = { CStringGetTextDatum(metric->name), CStringGetTextDatum(metric->dimension),
					   CStringGetTextDatum(kind_name(metric->kind)),
					   CStringGetTextDatum(metric->unit), CStringGetTextDatum(metric->help) };

	perfopt_store_execute(&plan,
						  "INSERT INTO perfopt.metric (name, dimension, kind, unit, help)"
						  " SELECT $1, $2, $3, $4, $5 WHERE NOT EXISTS"
						  " (SELECT FROM perfopt.metric WHERE name = $1)"
						  " ON CONFLICT (name) DO NOTHING",
						  lengthof(types), types, values, NULL);
}

void
perfopt_store_describe(const PerfoptMetric *metrics, int nmetrics)
{
	SPI_connect();
	for (int i = 0; i < nmetrics; i++)
		describe_metric(&metrics[i]);
	SPI_finish();
}

/*
 * A metric that is not in the catalogue is put there if there is room for a series of it; that is seldom, so
 * it is seen to afterwards.
 */
static void
resolve_names(PerfoptBatch *batch, const int *entries, PerfoptSeriesName *names, int n)
{
	int nnew = 0;
	int room;

	perfopt_series_resolve(names, n);
	for (int i = 0; i < n; i++)
		nnew += names[i].metric_id == 0;
	room = nnew == 0 ? 0 : perfopt_series_room(nnew);
	if (room == 0)
		return;
	for (int i = 0; i < n && room > 0; i++)
		if (names[i].metric_id == 0)
		{
			describe_metric(batch->entries[entries[i]].metric);
			room--;
		}
	perfopt_series_resolve(names, n);
}

/* Fills in series ids: of most entries they are remembered. */
static void
resolve_entries(PerfoptBatch *batch)
{
	int *unknown = palloc(Max(batch->nentries, 1) * sizeof(int));
	PerfoptSeriesName *names;
	int n = 0;

	for (int i = 0; i < batch->nentries; i++)
	{
		Entry *entry = &batch->entries[i];
		const SeriesState *known = hash_search(memory.series, &entry->key, HASH_FIND, NULL);

		entry->series_id = known != NULL ? known->series_id : 0;
		if (known == NULL)
			unknown[n++] = i;
	}
	if (n == 0)
		return;
	names = palloc0(n * sizeof(PerfoptSeriesName));
	for (int i = 0; i < n; i++)
	{
		names[i].metric = batch->entries[unknown[i]].metric->name;
		names[i].labels = batch->entries[unknown[i]].labels;
	}
	resolve_names(batch, unknown, names, n);
	for (int i = 0; i < n; i++)
		batch->entries[unknown[i]].series_id = names[i].series_id;
}

/*
 * The difference of two floats has digits that neither of them had (0.3 becomes 0.30000000000018): it is
 * rounded to the last decimal that the larger one can hold.
 */
static double
increase_of(double before, double now)
{
	double increase = now - before;
	int decimals = now > 0 ? DBL_DIG - 1 - (int) floor(log10(now)) : 0;
	double unit;

	if (decimals <= 0 || decimals > DBL_DIG || increase == rint(increase))
		return increase;
	unit = pow(10, decimals);
	return rint(increase * unit) / unit;
}

/* True when the entry has something to say in this batch, which is then put into *value. */
static bool
value_to_store(const Entry *entry, const SeriesState *known, const Writer *writer, double *value)
{
	*value = entry->value;
	if (entry->metric->kind == PERFOPT_GAUGE || entry->is_increase)
		return true;
	if (known == NULL || known->ts != writer->last_ts || entry->value < known->raw)
		return false;

	*value = increase_of(known->raw, entry->value);
	return true;
}

/*
 * Batches come at regular times but for a few milliseconds of the scheduler's making.  These are taken
 * away, as Prometheus does, since they would be half of what a sealed sample costs; a batch that is
 * further off the grid, because it was asked for or is late, has its own time, to the millisecond; rounded
 * up, so that who asked finds it after the time of asking.
 */
static TimestampTz
time_on_grid(TimestampTz ts, const Writer *writer)
{
	int64 interval = perfopt_collect_interval_s * USECS_PER_SEC;
	int64 off = (ts - writer->grid) % interval;

	if (off > interval / 2)
		off -= interval;
	else if (off < -interval / 2)
		off += interval;
	if (off >= -GRID_TOLERANCE_US && off <= GRID_TOLERANCE_US && ts - off != writer->last_ts)
		return ts - off;
	return (ts + 999) / 1000 * 1000;
}

/* No two batches of a writer have the same time, unless the clock was set back. */
static TimestampTz
time_of_batch(TimestampTz ts, const Writer *writer)
{
	TimestampTz time = time_on_grid(ts, writer);

	if (time <= writer->last_ts && time > writer->last_ts - CLOCK_STEP_US)
		time = writer->last_ts + 1000;
	return time;
}

/* A grid that is missed again and again is no longer the writer's: the interval was changed, say. */
static void
note_time(Writer *writer, TimestampTz ts)
{
	bool on_grid = (ts - writer->grid) % (perfopt_collect_interval_s * USECS_PER_SEC) == 0;

	writer->off_grid = on_grid ? 0 : writer->off_grid + 1;
	if (writer->last_ts == 0 || writer->off_grid > MAX_OFF_GRID)
	{
		writer->grid = ts;
		writer->off_grid = 0;
	}
	writer->last_ts = ts;
}

static void
insert_row(const PerfoptBatch *batch, const Writer *writer, Datum series, Datum values)
{
	static SPIPlanPtr plan = NULL;
	Oid types[] = { TIMESTAMPTZOID, TEXTOID, FLOAT8OID, INT4ARRAYOID, FLOAT8ARRAYOID };
	Datum row[] = { TimestampTzGetDatum(batch->ts), CStringGetTextDatum(batch->name),
					Float8GetDatum((batch->ts - writer->last_ts) / 1e6), series, values };
	char nulls[] = "     ";

	if (writer->last_ts == 0 || writer->last_ts >= batch->ts)
		nulls[2] = 'n';
	perfopt_store_execute(&plan,
						  "INSERT INTO perfopt.sample_hot (ts, writer, elapsed_s, series, value)"
						  " VALUES ($1, $2, $3, $4, $5)",
						  lengthof(types), types, row, nulls);
}

PerfoptOverflow
perfopt_store_append(PerfoptBatch *batch, TimestampTz ts)
{
	MemoryContext oldcontext = MemoryContextSwitchTo(batch->context);
	Datum *ids = palloc(Max(batch->nentries, 1) * sizeof(Datum));
	double *values = palloc(Max(batch->nentries, 1) * sizeof(double));
	PerfoptOverflow overflow = { 0 };
	const Writer *writer;
	Datum series;
	int n = 0;

	open_memory();
	writer = find_writer(batch->name);
	batch->ts = time_of_batch(ts, writer);
	SPI_connect();
	resolve_entries(batch);
	for (int i = 0; i < batch->nentries; i++)
	{
		const Entry *entry = &batch->entries[i];
		const SeriesState *known = hash_search(memory.series, &entry->key, HASH_FIND, NULL);

		if (entry->series_id == 0 && overflow.n++ == 0)
			overflow.first =
				MemoryContextStrdup(batch->context,
									psprintf("%s%s", entry->metric->name, entry->labels));
		if (entry->series_id == 0 || !value_to_store(entry, known, writer, &values[n]))
			continue;
		ids[n++] = Int32GetDatum(entry->series_id);
	}

	series = PointerGetDatum(construct_array_builtin(ids, n, INT4OID));
	if (n > 0)
	{
		insert_row(batch, writer, series, perfopt_float8_array(values, n));
		perfopt_rollup_note_late(batch->ts, series, true);
	}
	SPI_finish();
	MemoryContextSwitchTo(oldcontext);
	return overflow;
}

/* Series that went away (a dropped device, an ended target) must not stay in memory for ever. */
static void
forget_old_series(TimestampTz now)
{
	HASH_SEQ_STATUS scan;
	SeriesState *state;

	if (now < memory.forgot_at + FORGET_AFTER_US / 24 && now >= memory.forgot_at)
		return;
	memory.forgot_at = now;
	hash_seq_init(&scan, memory.series);
	while ((state = hash_seq_search(&scan)) != NULL)
		if (state->ts < now - FORGET_AFTER_US)
			hash_search(memory.series, &state->key, HASH_REMOVE, NULL);
}

void
perfopt_store_committed(PerfoptBatch *batch)
{
	note_time(find_writer(batch->name), batch->ts);
	for (int i = 0; i < batch->nentries; i++)
	{
		Entry *entry = &batch->entries[i];
		SeriesState *state;

		if (entry->series_id == 0)
			continue;
		state = hash_search(memory.series, &entry->key, HASH_ENTER, NULL);
		state->series_id = entry->series_id;
		state->raw = entry->value;
		state->ts = batch->ts;
	}
	forget_old_series(batch->ts);
}
