/*
 * pgss_function.c
 *	  Reading pg_stat_statements by its function.
 */
#include "postgres.h"

#ifdef __GLIBC__
#include <malloc.h>
#endif

#include "executor/executor.h"
#include "executor/tuptable.h"
#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "nodes/execnodes.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/tuplestore.h"

#include "collect/collect.h"
#include "collect/pgss_function.h"

#define BLOCK_BYTES (64 * 1024)

/* Columns that add up to each counter. */
static const char *const counter_columns[PERFOPT_PGSS_COUNTERS][4] = {
	[PERFOPT_PGSS_CALLS] = { "calls" },
	[PERFOPT_PGSS_EXEC_SECONDS] = { "total_exec_time" },
	[PERFOPT_PGSS_PLAN_SECONDS] = { "total_plan_time" },
	[PERFOPT_PGSS_ROWS] = { "rows" },
	[PERFOPT_PGSS_SHARED_READ_BLOCKS] = { "shared_blks_read" },
	[PERFOPT_PGSS_TEMP_WRITTEN_BLOCKS] = { "temp_blks_written" },
	[PERFOPT_PGSS_WAL_BYTES] = { "wal_bytes" },
	[PERFOPT_PGSS_JIT_SECONDS] = { "jit_generation_time", "jit_inlining_time",
								   "jit_optimization_time", "jit_emission_time" },
};

/* Numbers of columns, 0 where there is none. */
typedef struct Columns
{
	TupleDesc desc;
	int query_id;
	int database;
	int role;
	int toplevel;
	int text;
	int counters[PERFOPT_PGSS_COUNTERS][4];
} Columns;

/* Takes one row, which is gone when it returns. */
typedef void (*TakeRow)(const Columns *columns, TupleTableSlot *row, void *arg);

typedef struct EntryTaker
{
	PerfoptPgssTake take;
	void *arg;
} EntryTaker;

typedef struct TextTaker
{
	PerfoptPgssWants wants;
	PerfoptPgssTakeText take;
	void *arg;
} TextTaker;

static int
column_number(TupleDesc desc, const char *name)
{
	for (int i = 0; i < desc->natts; i++)
		if (strcmp(NameStr(TupleDescAttr(desc, i)->attname), name) == 0)
			return i + 1;
	return 0;
}

static void
find_columns(Columns *columns, TupleDesc desc)
{
	memset(columns, 0, sizeof(*columns));
	columns->desc = desc;
	columns->query_id = column_number(desc, "queryid");
	columns->database = column_number(desc, "dbid");
	columns->role = column_number(desc, "userid");
	columns->toplevel = column_number(desc, "toplevel");
	columns->text = column_number(desc, "query");
	for (int i = 0; i < PERFOPT_PGSS_COUNTERS; i++)
		for (int j = 0; j < lengthof(counter_columns[i]) && counter_columns[i][j] != NULL; j++)
			columns->counters[i][j] = column_number(desc, counter_columns[i][j]);

	if (columns->query_id == 0 || columns->counters[PERFOPT_PGSS_CALLS][0] == 0 ||
		columns->counters[PERFOPT_PGSS_EXEC_SECONDS][0] == 0)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("the installed version of pg_stat_statements is too old:"
							   " ALTER EXTENSION pg_stat_statements UPDATE")));
}

/* Calls the function and returns its tuplestore, made in the context of the econtext. */
static void
call(Oid function, bool texts, ExprContext *econtext, ReturnSetInfo *result)
{
	LOCAL_FCINFO(fcinfo, 1);
	FmgrInfo flinfo;

	memset(result, 0, sizeof(*result));
	result->type = T_ReturnSetInfo;
	result->econtext = econtext;
	result->allowedModes = SFRM_Materialize;
	fmgr_info(function, &flinfo);
	InitFunctionCallInfoData(*fcinfo, &flinfo, 1, InvalidOid, NULL, (Node *) result);
	fcinfo->args[0].value = BoolGetDatum(texts);
	fcinfo->args[0].isnull = false;
	(void) FunctionCallInvoke(fcinfo);
	if (result->setResult == NULL || result->setDesc == NULL)
		elog(ERROR, "pg_stat_statements returned no rows that can be read");
}

static void
read_rows(Oid function, bool texts, TakeRow take, void *arg)
{
	/* The tuplestore's rows come into it: an allocation set would round each up to 512 bytes. */
	MemoryContext context = GenerationContextCreate(CurrentMemoryContext, "perfopt statements", 0,
													BLOCK_BYTES, BLOCK_BYTES);
	MemoryContext oldcontext = MemoryContextSwitchTo(context);
	ExprContext *econtext = CreateStandaloneExprContext();
	ReturnSetInfo result;
	TupleTableSlot *slot;
	Columns columns;

	call(function, texts, econtext, &result);
	find_columns(&columns, result.setDesc);
	slot = MakeSingleTupleTableSlot(result.setDesc, &TTSOpsMinimalTuple);
	while (tuplestore_gettupleslot(result.setResult, true, false, slot))
	{
		CHECK_FOR_INTERRUPTS();
		MemoryContextSwitchTo(oldcontext);
		take(&columns, slot, arg);
		MemoryContextSwitchTo(context);
	}
	ExecDropSingleTupleTableSlot(slot);
	tuplestore_end(result.setResult);
	FreeExprContext(econtext, true);
	MemoryContextSwitchTo(oldcontext);
	MemoryContextDelete(context);

	/* Some megabytes below memory that stays would be kept by the process for good. */
#ifdef __GLIBC__
	(void) malloc_trim(0);
#endif
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
read_counter(const Columns *columns, TupleTableSlot *row, PerfoptPgssCounter counter)
{
	double sum = 0;

	for (int j = 0; j < lengthof(columns->counters[counter]); j++)
	{
		int number = columns->counters[counter][j];
		bool isnull;
		Datum value = column(row, number, &isnull);

		if (!isnull)
			sum +=
				perfopt_collect_number(value, TupleDescAttr(columns->desc, number - 1)->atttypid);
	}
	if (counter == PERFOPT_PGSS_EXEC_SECONDS || counter == PERFOPT_PGSS_PLAN_SECONDS ||
		counter == PERFOPT_PGSS_JIT_SECONDS)
		sum /= 1000;
	return sum;
}

/* Returns false for a row that has no query id. */
static bool
read_key(const Columns *columns, TupleTableSlot *row, PerfoptPgssKey *key)
{
	bool isnull;

	memset(key, 0, sizeof(*key));
	key->query_id = DatumGetInt64(column(row, columns->query_id, &isnull));
	if (isnull)
		return false;
	key->database = DatumGetObjectId(column(row, columns->database, &isnull));
	key->role = DatumGetObjectId(column(row, columns->role, &isnull));
	key->toplevel = DatumGetBool(column(row, columns->toplevel, &isnull));
	return true;
}

static void
take_entry(const Columns *columns, TupleTableSlot *row, void *arg)
{
	const EntryTaker *taker = arg;
	PerfoptPgssEntry entry;

	if (!read_key(columns, row, &entry.key))
		return;
	for (int i = 0; i < PERFOPT_PGSS_COUNTERS; i++)
		entry.counters[i] = read_counter(columns, row, i);
	taker->take(&entry, taker->arg);
}

void
perfopt_pgss_function_entries(Oid function, PerfoptPgssTake take, void *arg)
{
	EntryTaker taker = { .take = take, .arg = arg };

	read_rows(function, false, take_entry, &taker);
}

static void
take_text(const Columns *columns, TupleTableSlot *row, void *arg)
{
	const TextTaker *taker = arg;
	PerfoptPgssKey key;
	bool isnull;
	Datum value;
	char *whole;

	if (!read_key(columns, row, &key) || !taker->wants(&key, taker->arg))
		return;
	value = column(row, columns->text, &isnull);
	if (isnull)
		return;
	whole = TextDatumGetCString(value);
	whole[pg_mbcliplen(whole, strlen(whole), PERFOPT_PGSS_TEXT_BYTES)] = '\0';
	taker->take(&key, whole, taker->arg);
	pfree(whole);
}

void
perfopt_pgss_function_texts(Oid function, PerfoptPgssWants wants, PerfoptPgssTakeText take,
							void *arg)
{
	TextTaker taker = { .wants = wants, .take = take, .arg = arg };

	read_rows(function, true, take_text, &taker);
}
