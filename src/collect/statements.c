/*
 * statements.c
 *	  The busiest statements, from pg_stat_statements.
 *
 * Each reading goes through all statements and remembers their counters, so that one that becomes
 * busy has its increase at once.  The increases of a statement's entries (by role, and nested or not)
 * are added up by database and query id; those that took most time since the reading before are
 * delivered.
 *
 * An entry that is not known yet was made since the reading before, so what it has counted is its
 * increase; so is what an entry has counted whose counters fell, because it was reset or pushed out and
 * came back.  The first reading of a process has nothing to compare with and delivers nothing.
 *
 * Memory between readings: about 110 bytes an entry, at most pg_stat_statements.max of them.
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

enum
{
	CALLS,
	EXEC_SECONDS,
	PLAN_SECONDS,
	ROWS,
	SHARED_READ_BLOCKS,
	TEMP_WRITTEN_BLOCKS,
	WAL_BYTES,
	JIT_SECONDS,
	NCOUNTERS,
	DEALLOC = NCOUNTERS
};

const PerfoptMetric perfopt_statements_metrics[] = {
	[CALLS] = { "pg_statement_calls_total", DB, PERFOPT_COUNTER, "calls",
				"Executions of the statement" },
	[EXEC_SECONDS] = { "pg_statement_exec_seconds_total", DB, PERFOPT_COUNTER, "seconds",
					   "Time spent executing the statement" },
	[PLAN_SECONDS] = { "pg_statement_plan_seconds_total", DB, PERFOPT_COUNTER, "seconds",
					   "Time spent planning the statement (pg_stat_statements.track_planning)" },
	[ROWS] = { "pg_statement_rows_total", DB, PERFOPT_COUNTER, "rows",
			   "Rows that the statement returned or changed" },
	[SHARED_READ_BLOCKS] = { "pg_statement_shared_read_blocks_total", DB, PERFOPT_COUNTER, "blocks",
							 "Blocks that the statement read into shared buffers" },
	[TEMP_WRITTEN_BLOCKS] = { "pg_statement_temp_written_blocks_total", DB, PERFOPT_COUNTER,
							  "blocks", "Blocks that the statement wrote to temporary files" },
	[WAL_BYTES] = { "pg_statement_wal_bytes_total", DB, PERFOPT_COUNTER, "bytes",
					"WAL that the statement wrote" },
	[JIT_SECONDS] = { "pg_statement_jit_seconds_total", DB, PERFOPT_COUNTER, "seconds",
					  "Time spent on just-in-time compilation for the statement" },
	[DEALLOC] = { "pg_statements_dealloc_total", DB, PERFOPT_COUNTER, "times",
				  "Times that statements were pushed out because there were more than"
				  " pg_stat_statements.max" },
};
const int perfopt_statements_nmetrics = lengthof(perfopt_statements_metrics);

/* Columns that add up to each counter. */
static const char *const counter_columns[NCOUNTERS][4] = {
	[CALLS] = { "calls" },
	[EXEC_SECONDS] = { "total_exec_time" },
	[PLAN_SECONDS] = { "total_plan_time" },
	[ROWS] = { "rows" },
	[SHARED_READ_BLOCKS] = { "shared_blks_read" },
	[TEMP_WRITTEN_BLOCKS] = { "temp_blks_written" },
	[WAL_BYTES] = { "wal_bytes" },
	[JIT_SECONDS] = { "jit_generation_time", "jit_inlining_time", "jit_optimization_time",
					  "jit_emission_time" },
};

typedef struct EntryKey
{
	int64 query_id;
	Oid database;
	Oid role;
	int toplevel;
	int padding;
} EntryKey;

/* What is remembered of an entry. */
typedef struct Entry
{
	EntryKey key;
	uint32 reading; /* the last that had it */
	double counters[NCOUNTERS];
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
	double increase[NCOUNTERS];
} Statement;

typedef struct Reading
{
	HTAB *statements;
	bool is_first;

	/* numbers of columns, 0 where there is none */
	TupleDesc desc;
	int query_id;
	int database;
	int role;
	int toplevel;
	int plans;
	int counters[NCOUNTERS][4];
} Reading;

static HTAB *entries = NULL;
static uint32 reading_no = 0;
static bool have_read_all = false;

static void
find_columns(Reading *reading, TupleDesc desc)
{
	reading->desc = desc;
	reading->query_id = perfopt_pgss_column(desc, "queryid");
	reading->database = perfopt_pgss_column(desc, "dbid");
	reading->role = perfopt_pgss_column(desc, "userid");
	reading->toplevel = perfopt_pgss_column(desc, "toplevel");
	reading->plans = perfopt_pgss_column(desc, "plans");
	for (int i = 0; i < NCOUNTERS; i++)
		for (int j = 0; j < lengthof(counter_columns[i]) && counter_columns[i][j] != NULL; j++)
			reading->counters[i][j] = perfopt_pgss_column(desc, counter_columns[i][j]);

	if (reading->query_id == 0 || reading->counters[CALLS][0] == 0 ||
		reading->counters[EXEC_SECONDS][0] == 0)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("the installed version of pg_stat_statements is too old:"
							   " ALTER EXTENSION pg_stat_statements UPDATE")));
}

static Datum
column(TupleTableSlot *row, int number, bool *isnull)
{
	if (number > 0)
		return slot_getattr(row, number, isnull);
	*isnull = true;
	return (Datum) 0;
}

static double
read_counter(const Reading *reading, TupleTableSlot *row, int counter)
{
	double sum = 0;

	for (int j = 0; j < lengthof(reading->counters[counter]); j++)
	{
		int number = reading->counters[counter][j];
		bool isnull;
		Datum value = column(row, number, &isnull);

		if (!isnull)
			sum +=
				perfopt_collect_number(value, TupleDescAttr(reading->desc, number - 1)->atttypid);
	}
	if (counter == EXEC_SECONDS || counter == PLAN_SECONDS || counter == JIT_SECONDS)
		sum /= 1000;
	return sum;
}

static Statement *
statement_of(const Reading *reading, const EntryKey *key)
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

/* Most entries have done nothing since the reading before: their other columns are not looked at. */
static void
take_row(TupleTableSlot *row, void *arg)
{
	Reading *reading = arg;
	double counters[NCOUNTERS];
	Statement *statement;
	bool isnull, found;
	bool fell = false;
	EntryKey key;
	Entry *entry;

	if (reading->desc == NULL)
		find_columns(reading, row->tts_tupleDescriptor);

	memset(&key, 0, sizeof(key));
	key.query_id = DatumGetInt64(column(row, reading->query_id, &isnull));
	if (isnull)
		return;
	key.database = DatumGetObjectId(column(row, reading->database, &isnull));
	key.role = DatumGetObjectId(column(row, reading->role, &isnull));
	key.toplevel = DatumGetBool(column(row, reading->toplevel, &isnull));
	entry = hash_search(entries, &key, HASH_ENTER, &found);
	if (!found)
		memset(entry->counters, 0, sizeof(entry->counters));
	entry->reading = reading_no;

	counters[CALLS] = read_counter(reading, row, CALLS);
	counters[PLAN_SECONDS] = read_counter(reading, row, PLAN_SECONDS);
	if (found && counters[CALLS] == entry->counters[CALLS] &&
		counters[PLAN_SECONDS] == entry->counters[PLAN_SECONDS])
		return;

	for (int i = 0; i < NCOUNTERS; i++)
	{
		if (i != CALLS && i != PLAN_SECONDS)
			counters[i] = read_counter(reading, row, i);
		fell |= counters[i] < entry->counters[i];
	}
	if (!reading->is_first)
	{
		statement = statement_of(reading, &key);
		for (int i = 0; i < NCOUNTERS; i++)
			statement->increase[i] += fell ? counters[i] : counters[i] - entry->counters[i];
	}
	memcpy(entry->counters, counters, sizeof(counters));
}

static void
forget_gone_entries(void)
{
	HASH_SEQ_STATUS scan;
	Entry *entry;

	hash_seq_init(&scan, entries);
	while ((entry = hash_seq_search(&scan)) != NULL)
		if (entry->reading != reading_no)
			hash_search(entries, &entry->key, HASH_REMOVE, NULL);
}

static void
read_all(Reading *reading, const PerfoptPgss *pgss)
{
	HASHCTL ctl = { .keysize = sizeof(StatementKey), .entrysize = sizeof(Statement) };
	HASHCTL kept = { .keysize = sizeof(EntryKey), .entrysize = sizeof(Entry) };

	memset(reading, 0, sizeof(*reading));
	reading->is_first = !have_read_all;
	ctl.hcxt = CurrentMemoryContext;
	reading->statements =
		hash_create("perfopt statements", 256, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	if (entries == NULL)
	{
		kept.hcxt = TopMemoryContext;
		entries =
			hash_create("perfopt statements", 1024, &kept, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	}

	reading_no++;
	perfopt_pgss_read(pgss, false, take_row, reading);
	forget_gone_entries();
	have_read_all = true;
}

static double
seconds_of(const Statement *statement)
{
	return statement->increase[EXEC_SECONDS] + statement->increase[PLAN_SECONDS];
}

static int
compare_statements(const void *a, const void *b)
{
	const Statement *x = *(Statement *const *) a;
	const Statement *y = *(Statement *const *) b;

	if (seconds_of(x) != seconds_of(y))
		return seconds_of(x) < seconds_of(y) ? 1 : -1;
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
		all[i++] = statement;
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
	for (int i = 0; i < NCOUNTERS; i++)
	{
		double increase = rint(statement->increase[i] * 1e6) / 1e6;

		if (increase > 0 || i == CALLS || i == EXEC_SECONDS)
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
			seen[nseen++] = (PerfoptStatementId){ ranked[i]->key.query_id, database };
		}
		perfopt_statement_texts(&pgss, seen, nseen);
	}
	perfopt_collect_end_sql();
}
