/*
 * tables.c
 *	  Tables, indexes and sequences: which of them are shown, and what they have grown by.
 *
 * Shown are the busiest since the reading before, with a preference for those that were before, and the
 * worst (see relations.h).  The counters of the last reading of each database are kept, so that a
 * newcomer among the busiest has its increase at once; how many relations they cover is bounded by
 * perfopt_tables_limits().
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/memutils.h"

#include "collect/collect.h"
#include "collect/tables.h"
#include "guc.h"

#define DB "database"

/* Whose counters are kept: so many of perfopt.database, and so many of all others together. */
#define RELATIONS_REMEMBERED 10000

enum
{
	TABLE_COUNTERS,
	INDEX_SCAN = TABLE_COUNTERS + PERFOPT_REL_COUNTERS,
	INDEX_TUP_READ,
	LIVE_TUPLES,
	DEAD_TUPLES,
	MOD_SINCE_ANALYZE,
	TABLE_SIZE,
	INDEX_SIZE
};

const PerfoptMetric perfopt_tables_metrics[] = {
	[TABLE_COUNTERS + PERFOPT_REL_SEQ_SCAN] = { "pg_table_seq_scan_total", DB, PERFOPT_COUNTER,
												"scans", "Sequential scans of the table" },
	[TABLE_COUNTERS + PERFOPT_REL_TUP_READ] = { "pg_table_seq_tup_read_total", DB, PERFOPT_COUNTER,
												"rows", "Rows read by sequential scans" },
	[TABLE_COUNTERS + PERFOPT_REL_IDX_SCAN] = { "pg_table_idx_scan_total", DB, PERFOPT_COUNTER,
												"scans", "Scans of the table's indexes" },
	[TABLE_COUNTERS + PERFOPT_REL_IDX_TUP_FETCH] = { "pg_table_idx_tup_fetch_total", DB,
													 PERFOPT_COUNTER, "rows",
													 "Live rows fetched by index scans" },
	[TABLE_COUNTERS + PERFOPT_REL_INS] = { "pg_table_ins_total", DB, PERFOPT_COUNTER, "rows",
										   "Rows inserted into the table" },
	[TABLE_COUNTERS + PERFOPT_REL_UPD] = { "pg_table_upd_total", DB, PERFOPT_COUNTER, "rows",
										   "Rows of the table updated" },
	[TABLE_COUNTERS + PERFOPT_REL_DEL] = { "pg_table_del_total", DB, PERFOPT_COUNTER, "rows",
										   "Rows of the table deleted" },
	[TABLE_COUNTERS + PERFOPT_REL_HOT_UPDATE] = { "pg_table_hot_update_total", DB, PERFOPT_COUNTER,
												  "rows",
												  "Rows updated without a new index entry" },
	[TABLE_COUNTERS +
		PERFOPT_REL_BLOCKS_READ] = { "pg_table_blocks_read_total", DB, PERFOPT_COUNTER, "blocks",
									 "Blocks read of the table, its TOAST table and its indexes" },
	[TABLE_COUNTERS + PERFOPT_REL_BLOCKS_HIT] = { "pg_table_blocks_hit_total", DB, PERFOPT_COUNTER,
												  "blocks",
												  "Blocks of the table, its TOAST table and its "
												  "indexes found in shared buffers" },
	[INDEX_SCAN] = { "pg_index_scan_total", DB, PERFOPT_COUNTER, "scans", "Scans of the index" },
	[INDEX_TUP_READ] = { "pg_index_tup_read_total", DB, PERFOPT_COUNTER, "entries",
						 "Index entries returned by scans" },
	[LIVE_TUPLES] = { "pg_table_live_tuples", DB, PERFOPT_GAUGE, "rows",
					  "Live rows, as the server estimates them" },
	[DEAD_TUPLES] = { "pg_table_dead_tuples", DB, PERFOPT_GAUGE, "rows",
					  "Dead rows, as the server estimates them" },
	[MOD_SINCE_ANALYZE] = { "pg_table_mod_since_analyze", DB, PERFOPT_GAUGE, "rows",
							"Rows changed since the last ANALYZE" },
	[TABLE_SIZE] = { "pg_table_size_bytes", DB, PERFOPT_GAUGE, "bytes",
					 "Size of the table, its TOAST table and its indexes as of their last VACUUM "
					 "or "
					 "ANALYZE" },
	[INDEX_SIZE] = { "pg_index_size_bytes", DB, PERFOPT_GAUGE, "bytes",
					 "Size of the index as of its last VACUUM or ANALYZE" },
};
const int perfopt_tables_nmetrics = lengthof(perfopt_tables_metrics);

const PerfoptMetric perfopt_sequences_metrics[] = {
	{ "pg_sequence_used_ratio", DB, PERFOPT_GAUGE, "ratio",
	  "Share of a sequence's values that are given away" },
};
const int perfopt_sequences_nmetrics = lengthof(perfopt_sequences_metrics);

typedef struct Remembered
{
	Oid relid;
	bool shown; /* was among the busiest since it is remembered */
	int64 counters[PERFOPT_REL_COUNTERS];
} Remembered;

/* The last reading of a database, in a context of its own. */
typedef struct Memory
{
	Oid database;
	bool complete;
	int nrelations;
	Remembered *relations; /* by relid */
	MemoryContext context;
} Memory;

/* A relation of the present reading. */
typedef struct Shown
{
	const PerfoptRelation *relation;
	const int64 *before; /* NULL where that is not known */
	int64 activity;      /* rows read and changed since */
	int64 rank;          /* activity, weighted */
	bool was_shown;
	bool busiest;
} Shown;

/*
 * Among the last of the busiest it is chance who is one of them.  So one that has been counts for more: a
 * series that goes on says more than another that begins, and costs less.
 */
#define SHOWN_WEIGHT 2

static const int64 never[PERFOPT_REL_COUNTERS];
static Memory memories[PERFOPT_MAX_DATABASES];
static bool home_large = false;

void
perfopt_tables_limits(PerfoptReadingLimits *limits, int ndatabases, bool at_home)
{
	limits->looked_at = at_home ? PERFOPT_RELATIONS_AT_HOME : PERFOPT_RELATIONS_LOOKED_AT;
	limits->all_or_nothing = at_home;
	limits->kept = RELATIONS_REMEMBERED / Max(ndatabases, 1);
	limits->worst_tables = (perfopt_top_tables + 2) / 3;
	limits->largest_indexes = perfopt_top_tables;
}

static Memory *
memory_of(Oid database)
{
	Memory *unused = NULL;

	for (int i = 0; i < PERFOPT_MAX_DATABASES; i++)
	{
		if (memories[i].database == database)
			return &memories[i];
		if (!OidIsValid(memories[i].database))
			unused = &memories[i];
	}
	Assert(unused != NULL);
	unused->database = database;
	return unused;
}

static void
forget(Memory *memory)
{
	if (memory->context != NULL)
		MemoryContextDelete(memory->context);
	memset(memory, 0, sizeof(Memory));
}

void
perfopt_tables_forget(Oid database)
{
	for (int i = 0; i < PERFOPT_MAX_DATABASES; i++)
		if (memories[i].database == database)
			forget(&memories[i]);
}

static void
remember(Memory *memory, const PerfoptReading *reading, const Shown *shown)
{
	MemoryContext context =
		AllocSetContextCreate(TopMemoryContext, "perfopt tables", ALLOCSET_DEFAULT_SIZES);
	Oid database = memory->database;

	forget(memory);
	memory->database = database;
	memory->context = context;
	memory->complete = reading->complete;
	memory->nrelations = reading->nrelations;
	memory->relations =
		MemoryContextAlloc(context, Max(reading->nrelations, 1) * sizeof(Remembered));
	for (int i = 0; i < reading->nrelations; i++)
	{
		memory->relations[i].relid = reading->relations[i].relid;
		memory->relations[i].shown = shown[i].was_shown || shown[i].busiest;
		memcpy(memory->relations[i].counters, reading->relations[i].counters,
			   sizeof(memory->relations[i].counters));
	}
}

/* Counters that fell were reset, and nobody knows when. */
static const int64 *
unless_reset(const PerfoptRelation *relation, const int64 *before)
{
	for (int i = 0; i < PERFOPT_REL_COUNTERS; i++)
		if (relation->counters[i] < before[i])
			return NULL;
	return before;
}

static int64
activity(const PerfoptRelation *relation, const int64 *before)
{
	static const PerfoptRelationCounter rows[] = { PERFOPT_REL_TUP_READ, PERFOPT_REL_IDX_TUP_FETCH,
												   PERFOPT_REL_INS, PERFOPT_REL_UPD,
												   PERFOPT_REL_DEL };
	int64 sum = 0;

	for (int i = 0; i < lengthof(rows); i++)
		sum += relation->counters[rows[i]] - before[rows[i]];
	if (relation->is_index)
		sum += relation->counters[PERFOPT_REL_IDX_SCAN] - before[PERFOPT_REL_IDX_SCAN];
	return sum;
}

/* Both are in the order of relid. */
static void
compare_with_memory(Shown *shown, const PerfoptReading *reading, const Memory *memory)
{
	int at = 0;

	for (int i = 0; i < reading->nrelations; i++)
	{
		const PerfoptRelation *relation = &reading->relations[i];
		const int64 *before = NULL;
		bool was_shown = false;

		while (at < memory->nrelations && memory->relations[at].relid < relation->relid)
			at++;
		if (at < memory->nrelations && memory->relations[at].relid == relation->relid)
		{
			before = unless_reset(relation, memory->relations[at].counters);
			was_shown = memory->relations[at].shown;
		}
		else if (memory->complete)
			before = never;
		shown[i].relation = relation;
		shown[i].before = before;
		shown[i].activity = before != NULL ? activity(relation, before) : 0;
		shown[i].was_shown = was_shown;
		shown[i].busiest = false;
		shown[i].rank = shown[i].activity * (was_shown ? SHOWN_WEIGHT : 1);
	}
}

static int
by_rank(const void *a, const void *b)
{
	const Shown *x = *(const Shown *const *) a;
	const Shown *y = *(const Shown *const *) b;

	if (x->rank != y->rank)
		return x->rank < y->rank ? 1 : -1;
	return x->relation->relid < y->relation->relid ? -1 : 1;
}

static void
add_gauge(PerfoptBatch *batch, int metric, const PerfoptLabel *labels, int nlabels, double value)
{
	perfopt_batch_add(batch, &perfopt_tables_metrics[metric], labels, nlabels, value);
}

static void
add_increase(PerfoptBatch *batch, int metric, const PerfoptLabel *labels, int nlabels,
			 const Shown *shown, PerfoptRelationCounter counter)
{
	perfopt_batch_add_increase(batch, &perfopt_tables_metrics[metric], labels, nlabels,
							   shown->relation->counters[counter] - shown->before[counter]);
}

static void
add_table(PerfoptBatch *batch, const char *database, const char *names, const Shown *shown,
		  bool busiest)
{
	const PerfoptRelation *relation = shown->relation;
	PerfoptLabel labels[] = { { "database", database }, { "table", names + relation->table } };

	if (busiest)
		for (int i = 0; i < PERFOPT_REL_COUNTERS; i++)
			add_increase(batch, TABLE_COUNTERS + i, labels, lengthof(labels), shown, i);
	add_gauge(batch, LIVE_TUPLES, labels, lengthof(labels), relation->live);
	add_gauge(batch, DEAD_TUPLES, labels, lengthof(labels), relation->dead);
	add_gauge(batch, MOD_SINCE_ANALYZE, labels, lengthof(labels), relation->modified);
	add_gauge(batch, TABLE_SIZE, labels, lengthof(labels), relation->bytes);
}

/* That an index was not scanned is worth saying too. */
static void
add_index(PerfoptBatch *batch, const char *database, const char *names, const Shown *shown)
{
	const PerfoptRelation *relation = shown->relation;
	PerfoptLabel labels[] = { { "database", database },
							  { "table", names + relation->table },
							  { "index", names + relation->index } };

	if (shown->before != NULL)
	{
		add_increase(batch, INDEX_SCAN, labels, lengthof(labels), shown, PERFOPT_REL_IDX_SCAN);
		add_increase(batch, INDEX_TUP_READ, labels, lengthof(labels), shown, PERFOPT_REL_TUP_READ);
	}
	add_gauge(batch, INDEX_SIZE, labels, lengthof(labels), relation->bytes);
}

static void
show(PerfoptBatch *batch, const char *database, const PerfoptReading *reading, Shown *shown)
{
	Shown **order = palloc(Max(reading->nrelations, 1) * sizeof(Shown *));
	int tables = 0;
	int indexes = 0;
	int n = 0;

	for (int i = 0; i < reading->nrelations; i++)
		if (shown[i].activity > 0 || shown[i].relation->worst)
			order[n++] = &shown[i];
	qsort(order, n, sizeof(Shown *), by_rank);
	for (int i = 0; i < n; i++)
	{
		bool is_index = order[i]->relation->is_index;

		order[i]->busiest =
			order[i]->activity > 0 && (is_index ? indexes++ : tables++) < perfopt_top_tables;
		if (!order[i]->busiest && !order[i]->relation->worst)
			continue;
		if (is_index)
			add_index(batch, database, reading->names, order[i]);
		else
			add_table(batch, database, reading->names, order[i], order[i]->busiest);
	}
	pfree(order);
}

void
perfopt_tables_add(PerfoptBatch *batch, Oid database, const char *name,
				   const PerfoptReading *reading)
{
	Memory *memory = memory_of(database);
	Shown *shown = palloc(Max(reading->nrelations, 1) * sizeof(Shown));

	compare_with_memory(shown, reading, memory);
	show(batch, name, reading, shown);
	remember(memory, reading, shown);
	pfree(shown);
	if (database == MyDatabaseId)
		home_large = reading->seen > PERFOPT_RELATIONS_AT_HOME;
}

void
perfopt_sequences_add(PerfoptBatch *batch, const char *name, const PerfoptReading *reading)
{
	for (int i = 0; i < reading->nsequences; i++)
	{
		const PerfoptSequence *sequence = &reading->sequences[i];
		PerfoptLabel labels[] = { { "database", name },
								  { "sequence", reading->names + sequence->name } };

		perfopt_batch_add(batch, &perfopt_sequences_metrics[0], labels, lengthof(labels),
						  sequence->used);
	}
}

bool
perfopt_tables_home_large(void)
{
	return home_large;
}

/* Those of perfopt.database, unless they are too many to be read within a cycle. */
void
perfopt_collect_tables(PerfoptBatch *batch)
{
	MemoryContext context = CurrentMemoryContext;
	PerfoptReadingLimits limits;
	PerfoptReading reading;

	if (home_large || perfopt_top_tables == 0)
		return;
	perfopt_tables_limits(&limits, 1, true);
	perfopt_collect_begin_sql();
	MemoryContextSwitchTo(context);
	perfopt_relations_read(&reading, &limits);
	perfopt_collect_end_sql();
	home_large = reading.seen > limits.looked_at;
	if (!home_large)
		perfopt_tables_add(batch, MyDatabaseId, perfopt_database, &reading);
}

void
perfopt_collect_sequences(PerfoptBatch *batch)
{
	PerfoptReading reading;

	if (home_large)
		return;
	perfopt_reading_init(&reading, 0);
	perfopt_collect_begin_sql();
	perfopt_sequences_read(&reading);
	perfopt_collect_end_sql();
	perfopt_sequences_add(batch, perfopt_database, &reading);
}
