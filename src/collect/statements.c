/*
 * statements.c
 *	  The busiest statements, from pg_stat_statements.
 *
 * Each reading goes through all statements and remembers their counters, so that one that becomes
 * busy has its increase at once.  The increases of a statement's entries (by role, and nested or not)
 * are added up by database and query id; those that took most time since the reading before are
 * delivered, with a preference for those that were before.
 *
 * An entry that is not known yet was made since the reading before, so what it has counted is its
 * increase; so is what an entry has counted whose counters fell, because it was reset or pushed out and
 * came back.  The first reading of a process has nothing to compare with and delivers nothing.
 *
 * Memory between readings: about 115 bytes an entry, at most pg_stat_statements.max of them.
 */
#include "postgres.h"

#include <math.h>

#include "commands/dbcommands.h"
#include "utils/guc.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

#include "collect/collect.h"
#include "collect/pgss.h"
#include "collect/statements.h"
#include "guc.h"

#define DB "database"

/* Metric of each counter, and one more. */
#define DEALLOC PERFOPT_PGSS_COUNTERS

const PerfoptMetric perfopt_statements_metrics[] = {
	[PERFOPT_PGSS_CALLS] = { "pg_statement_calls_total", DB, PERFOPT_COUNTER, "calls",
							 "Executions of the statement" },
	[PERFOPT_PGSS_EXEC_SECONDS] = { "pg_statement_exec_seconds_total", DB, PERFOPT_COUNTER,
									"seconds", "Time spent executing the statement" },
	[PERFOPT_PGSS_PLAN_SECONDS] = { "pg_statement_plan_seconds_total", DB, PERFOPT_COUNTER,
									"seconds",
									"Time spent planning the statement "
									"(pg_stat_statements.track_planning)" },
	[PERFOPT_PGSS_ROWS] = { "pg_statement_rows_total", DB, PERFOPT_COUNTER, "rows",
							"Rows that the statement returned or changed" },
	[PERFOPT_PGSS_SHARED_READ_BLOCKS] = { "pg_statement_shared_read_blocks_total", DB,
										  PERFOPT_COUNTER, "blocks",
										  "Blocks that the statement read into shared buffers" },
	[PERFOPT_PGSS_TEMP_WRITTEN_BLOCKS] = { "pg_statement_temp_written_blocks_total", DB,
										   PERFOPT_COUNTER, "blocks",
										   "Blocks that the statement wrote to temporary files" },
	[PERFOPT_PGSS_WAL_BYTES] = { "pg_statement_wal_bytes_total", DB, PERFOPT_COUNTER, "bytes",
								 "WAL that the statement wrote" },
	[PERFOPT_PGSS_JIT_SECONDS] = { "pg_statement_jit_seconds_total", DB, PERFOPT_COUNTER, "seconds",
								   "Time spent on just-in-time compilation for the statement" },
	[DEALLOC] = { "pg_statements_dealloc_total", DB, PERFOPT_COUNTER, "times",
				  "Times that statements were pushed out because there were more than"
				  " pg_stat_statements.max" },
};
const int perfopt_statements_nmetrics = lengthof(perfopt_statements_metrics);

#define SHOWN_WEIGHT 2
#define SHOWN_REMEMBERED 2000

#define ENTRIES_BLOCK (32 * 1024)

/* What is remembered of an entry. */
typedef struct Entry
{
	PerfoptPgssKey key;
	uint32 reading; /* the last that had it */
	double counters[PERFOPT_PGSS_COUNTERS];
} Entry;

typedef struct StatementKey
{
	int64 query_id;
	Oid database;
	int padding;
} StatementKey;

/* What a statement has done since the reading before. */
typedef struct Statement
{
	StatementKey key;
	double increase[PERFOPT_PGSS_COUNTERS];
	double rank;
} Statement;

/* One that was among the busiest. */
typedef struct Shown
{
	StatementKey key;
	uint32 reading; /* the last in which it was */
	TimestampTz text_checked;
} Shown;

typedef struct Reading
{
	HTAB *statements;
	bool is_first;
	long nentries;
} Reading;

static HTAB *entries = NULL;
static HTAB *shown = NULL;
static uint32 reading_no = 0;
static bool have_read_all = false;

static Statement *
statement_of(const Reading *reading, const PerfoptPgssKey *key)
{
	StatementKey wanted;
	Statement *statement;
	bool found;

	memset(&wanted, 0, sizeof(wanted));
	wanted.query_id = key->query_id;
	wanted.database = key->database;
	statement = hash_search(reading->statements, &wanted, HASH_ENTER, &found);
	if (!found)
		memset(statement->increase, 0, sizeof(statement->increase));
	return statement;
}

static void
take_entry(const PerfoptPgssEntry *read, void *arg)
{
	Reading *reading = arg;
	const double *counters = read->counters;
	bool fell = false;
	Entry *entry;
	bool found;

	entry = hash_search(entries, &read->key, HASH_ENTER, &found);
	if (!found)
		memset(entry->counters, 0, sizeof(entry->counters));
	entry->reading = reading_no;
	reading->nentries++;

	/* Most entries have done nothing since the reading before. */
	if (found && perfopt_pgss_same_counters(counters, entry->counters))
		return;

	for (int i = 0; i < PERFOPT_PGSS_COUNTERS; i++)
		fell |= counters[i] < entry->counters[i];
	if (!reading->is_first)
	{
		Statement *statement = statement_of(reading, &read->key);

		for (int i = 0; i < PERFOPT_PGSS_COUNTERS; i++)
			statement->increase[i] += fell ? counters[i] : counters[i] - entry->counters[i];
	}
	memcpy(entry->counters, counters, sizeof(entry->counters));
}

static void
forget_gone_entries(const Reading *reading)
{
	HASH_SEQ_STATUS scan;
	Entry *entry;

	if (hash_get_num_entries(entries) == reading->nentries)
		return;
	hash_seq_init(&scan, entries);
	while ((entry = hash_seq_search(&scan)) != NULL)
		if (entry->reading != reading_no)
			hash_search(entries, &entry->key, HASH_REMOVE, NULL);
}

/* Blocks of a table of thousands would be half empty if they doubled, as those of a memory context do. */
static void *
alloc_entries(Size size)
{
	static MemoryContext context = NULL;

	if (context == NULL)
		context = AllocSetContextCreate(TopMemoryContext, "perfopt statements",
										ALLOCSET_DEFAULT_MINSIZE, ENTRIES_BLOCK, ENTRIES_BLOCK);
	return MemoryContextAlloc(context, size);
}

static void
create_tables(void)
{
	HASHCTL kept = { .keysize = sizeof(PerfoptPgssKey),
					 .entrysize = sizeof(Entry),
					 .alloc = alloc_entries,
					 .hcxt = TopMemoryContext };
	HASHCTL once = { .keysize = sizeof(StatementKey),
					 .entrysize = sizeof(Shown),
					 .hcxt = TopMemoryContext };

	shown =
		hash_create("perfopt statements shown", 128, &once, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	entries = hash_create("perfopt statements", 1024, &kept,
						  HASH_ELEM | HASH_BLOBS | HASH_CONTEXT | HASH_ALLOC);
}

static void
read_all(Reading *reading, const PerfoptPgss *pgss)
{
	HASHCTL ctl = { .keysize = sizeof(StatementKey),
					.entrysize = sizeof(Statement),
					.hcxt = CurrentMemoryContext };

	memset(reading, 0, sizeof(*reading));
	reading->is_first = !have_read_all;
	reading->statements =
		hash_create("perfopt statements", 256, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	if (entries == NULL)
		create_tables();

	reading_no++;
	perfopt_pgss_entries(pgss, take_entry, reading);
	forget_gone_entries(reading);
	have_read_all = true;
}

static double
seconds_of(const Statement *statement)
{
	return statement->increase[PERFOPT_PGSS_EXEC_SECONDS] +
		   statement->increase[PERFOPT_PGSS_PLAN_SECONDS];
}

/*
 * Among the last of the busiest it is chance who is one of them.  So one that has been counts for more: a
 * series that goes on says more than another that begins, and costs less.
 */
static double
rank_of(const Statement *statement)
{
	return seconds_of(statement) *
		   (hash_search(shown, &statement->key, HASH_FIND, NULL) != NULL ? SHOWN_WEIGHT : 1);
}

static Shown *
note_shown(const Statement *statement)
{
	bool found;
	Shown *entry = hash_search(shown, &statement->key, HASH_ENTER, &found);

	if (!found)
		entry->text_checked = 0;
	entry->reading = reading_no;
	return entry;
}

static void
forget_shown(void)
{
	HASH_SEQ_STATUS scan;
	Shown *entry;

	if (hash_get_num_entries(shown) < SHOWN_REMEMBERED)
		return;
	hash_seq_init(&scan, shown);
	while ((entry = hash_seq_search(&scan)) != NULL)
		if (entry->reading != reading_no)
			hash_search(shown, &entry->key, HASH_REMOVE, NULL);
}

static int
compare_statements(const void *a, const void *b)
{
	const Statement *x = *(Statement *const *) a;
	const Statement *y = *(Statement *const *) b;

	if (x->rank != y->rank)
		return x->rank < y->rank ? 1 : -1;
	return (x->key.query_id > y->key.query_id) - (x->key.query_id < y->key.query_id);
}

/* The busiest first; returns how many. */
static int
rank(const Reading *reading, Statement ***ranked)
{
	long n = hash_get_num_entries(reading->statements);
	Statement **all = palloc(Max(n, 1) * sizeof(Statement *));
	HASH_SEQ_STATUS scan;
	Statement *statement;
	int i = 0;

	hash_seq_init(&scan, reading->statements);
	while ((statement = hash_seq_search(&scan)) != NULL)
	{
		statement->rank = rank_of(statement);
		all[i++] = statement;
	}
	qsort(all, n, sizeof(Statement *), compare_statements);
	*ranked = all;
	return Min(n, perfopt_top_statements);
}

/* Of what did not happen at all, such as writing temporary files, there is no value. */
static void
deliver(PerfoptBatch *batch, const Statement *statement, const char *database)
{
	char query_id[32];
	PerfoptLabel labels[] = { { "query_id", query_id }, { "database", database } };

	snprintf(query_id, sizeof(query_id), INT64_FORMAT, statement->key.query_id);
	for (int i = 0; i < PERFOPT_PGSS_COUNTERS; i++)
	{
		double increase = rint(statement->increase[i] * 1e6) / 1e6;

		if (increase > 0 || i == PERFOPT_PGSS_CALLS || i == PERFOPT_PGSS_EXEC_SECONDS)
			perfopt_batch_add_increase(batch, &perfopt_statements_metrics[i], labels,
									   lengthof(labels), increase);
	}
}

void
perfopt_collect_statements(PerfoptBatch *batch)
{
	PerfoptStatementId *seen;
	Statement **ranked;
	const char *lacks;
	PerfoptPgss pgss;
	Reading reading;
	double dealloc;
	int nseen = 0;
	int n;

	if (perfopt_top_statements == 0)
	{
		perfopt_collect_absent("perfopt.top_statements is 0");
		return;
	}
	perfopt_collect_begin_sql();
	lacks = perfopt_pgss_find(&pgss);
	if (lacks != NULL)
		perfopt_collect_absent(lacks);
	else
	{
		if (perfopt_pgss_dealloc(&pgss, &dealloc))
			perfopt_batch_add(batch, &perfopt_statements_metrics[DEALLOC], NULL, 0, dealloc);
		read_all(&reading, &pgss);
		n = rank(&reading, &ranked);
		seen = palloc(Max(n, 1) * sizeof(PerfoptStatementId));
		for (int i = 0; i < n; i++)
		{
			const char *database = get_database_name(ranked[i]->key.database);

			/* dropped since */
			if (database == NULL)
				continue;
			deliver(batch, ranked[i], database);
			seen[nseen++] = (PerfoptStatementId){ ranked[i]->key.query_id, database,
												  &note_shown(ranked[i])->text_checked };
		}
		forget_shown();
		perfopt_statement_texts(&pgss, seen, nseen);
	}
	perfopt_collect_end_sql();
}
