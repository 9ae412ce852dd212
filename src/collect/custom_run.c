/*
 * custom_run.c
 *	  A custom metric's query: what it must look like, and running it in a helper.
 *
 * It runs as its owner, in a read-only transaction that is rolled back, in an operation that may not
 * change the session.  The helper ends after a few queries, and with it whatever they leave behind.
 */
#include "postgres.h"

#include <time.h>

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "executor/spi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "storage/lock.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/plancache.h"
#include "utils/snapmgr.h"
#include "utils/timeout.h"

#include "collect/collect.h"
#include "collect/custom.h"
#include "collect/helper.h"

typedef struct CustomQuery
{
	char *sql;
	Oid owner;
	bool may_define; /* its owner, still */
	int timeout_ms;
	int row_limit;
} CustomQuery;

static bool
is_number(Oid type)
{
	return type == INT2OID || type == INT4OID || type == INT8OID || type == FLOAT4OID ||
		   type == FLOAT8OID || type == NUMERICOID;
}

static bool
is_label_name(const char *name)
{
	return strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789") ==
			   strlen(name) &&
		   name[0] != '\0' && !(name[0] >= '0' && name[0] <= '9');
}

static void
check_columns(TupleDesc desc)
{
	bool found = false;

	for (int i = 0; i < desc->natts; i++)
	{
		const char *name = NameStr(TupleDescAttr(desc, i)->attname);

		if (strcmp(name, "value") == 0)
		{
			if (found || !is_number(TupleDescAttr(desc, i)->atttypid))
				ereport(ERROR, (errcode(ERRCODE_DATATYPE_MISMATCH),
								errmsg("a custom metric needs one column \"value\", a number"),
								errhint("Cast it, as in value::float8.")));
			found = true;
		}
		else if (!is_label_name(name))
			ereport(ERROR, (errcode(ERRCODE_INVALID_NAME),
							errmsg("column \"%s\" of a custom metric cannot be a label", name),
							errhint("Name it with AS: letters, digits and _, no digit first.")));
	}
	if (!found)
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_COLUMN),
						errmsg("the query of a custom metric has no column \"value\""),
						errhint("Name the number with AS, as in count(*) AS value.")));
	if (desc->natts > PERFOPT_CUSTOM_LABELS + 1)
		ereport(ERROR, (errcode(ERRCODE_TOO_MANY_COLUMNS),
						errmsg("a custom metric has %d labels at most", PERFOPT_CUSTOM_LABELS)));
}

/* Inside SPI.  Analyses a query and raises an ERROR unless it can be a custom metric. */
static SPIPlanPtr
prepare_query(const char *sql)
{
	SPIPlanPtr plan = SPI_prepare(sql, 0, NULL);
	List *sources;
	CachedPlanSource *source;
	Query *query;

	if (plan == NULL)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("the query of a custom metric must be one SELECT")));
	sources = SPI_plan_get_plan_sources(plan);
	source = list_length(sources) == 1 ? linitial(sources) : NULL;
	query = source != NULL && list_length(source->query_list) == 1
				? linitial_node(Query, source->query_list)
				: NULL;
	if (query == NULL || query->commandType != CMD_SELECT || source->resultDesc == NULL)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("the query of a custom metric must be one SELECT"),
						errhint("It is run read-only and may change nothing.")));
	if (query->hasModifyingCTE || query->rowMarks != NIL)
		ereport(ERROR, (errcode(ERRCODE_READ_ONLY_SQL_TRANSACTION),
						errmsg("the query of a custom metric must not change or lock rows")));
	check_columns(source->resultDesc);
	return plan;
}

PG_FUNCTION_INFO_V1(perfopt_check_custom_sql);

Datum
perfopt_check_custom_sql(PG_FUNCTION_ARGS)
{
	SPI_connect();
	prepare_query(text_to_cstring(PG_GETARG_TEXT_PP(0)));
	SPI_finish();
	PG_RETURN_VOID();
}

/* False when the metric is gone by now. */
static bool
read_query(const char *name, CustomQuery *query)
{
	MemoryContext context = CurrentMemoryContext;
	Oid types[] = { TEXTOID };
	Datum values[] = { CStringGetTextDatum(name) };
	bool found, isnull;

	perfopt_collect_begin_sql();
	SPI_execute_with_args("SELECT sql, owner::pg_catalog.oid, row_limit,"
						  " (pg_catalog.date_part('epoch', timeout) * 1000)::pg_catalog.int4,"
						  " COALESCE(pg_catalog.has_table_privilege(owner::pg_catalog.oid,"
						  "  'perfopt.custom_metric', 'INSERT'), false)"
						  " FROM perfopt.custom_metric WHERE name = $1",
						  1, types, values, NULL, true, 1);
	found = SPI_processed == 1;
	if (found)
	{
		HeapTuple tuple = SPI_tuptable->vals[0];
		TupleDesc desc = SPI_tuptable->tupdesc;

		query->sql = MemoryContextStrdup(context, SPI_getvalue(tuple, desc, 1));
		query->owner = DatumGetObjectId(SPI_getbinval(tuple, desc, 2, &isnull));
		query->row_limit = DatumGetInt32(SPI_getbinval(tuple, desc, 3, &isnull));
		query->timeout_ms = DatumGetInt32(SPI_getbinval(tuple, desc, 4, &isnull));
		query->may_define = DatumGetBool(SPI_getbinval(tuple, desc, 5, &isnull));
	}
	SPI_finish();
	PopActiveSnapshot();
	CommitTransactionCommand();
	MemoryContextSwitchTo(context);
	return found;
}

static void
append_string(StringInfo record, const char *string)
{
	appendBinaryStringInfo(record, string, strlen(string) + 1);
}

/* False for a row without a value; *labels tells those of one row from another's. */
static bool
append_row(StringInfo record, HeapTuple tuple, TupleDesc desc, uint64 *labels)
{
	int32 nlabels = 0;
	double value = 0;
	int count_at;

	for (int i = 0; i < desc->natts; i++)
	{
		bool isnull;
		Datum datum;

		if (strcmp(NameStr(TupleDescAttr(desc, i)->attname), "value") != 0)
			continue;
		datum = SPI_getbinval(tuple, desc, i + 1, &isnull);
		if (isnull)
			return false;
		value = perfopt_collect_number(datum, TupleDescAttr(desc, i)->atttypid);
	}
	appendBinaryStringInfo(record, (char *) &value, sizeof(value));
	count_at = record->len;
	appendBinaryStringInfo(record, (char *) &nlabels, sizeof(nlabels));
	for (int i = 0; i < desc->natts; i++)
	{
		const char *name = NameStr(TupleDescAttr(desc, i)->attname);
		char *text = strcmp(name, "value") != 0 ? SPI_getvalue(tuple, desc, i + 1) : NULL;

		if (text == NULL)
			continue;
		append_string(record, name);
		append_string(record, text);
		nlabels++;
	}
	memcpy(record->data + count_at, &nlabels, sizeof(nlabels));
	*labels =
		hash_bytes_extended((unsigned char *) record->data + count_at, record->len - count_at, 0);
	return true;
}

static int
compare_hashes(const void *a, const void *b)
{
	const uint64 x = *(const uint64 *) a;
	const uint64 y = *(const uint64 *) b;

	return x < y ? -1 : x > y;
}

/* A series has one value at a time, so two rows must differ in some label. */
static void
append_rows(StringInfo record, uint64 nrows)
{
	uint64 *labels = palloc(Max(nrows, 1) * sizeof(uint64));
	int n = 0;

	for (uint64 i = 0; i < nrows; i++)
		if (append_row(record, SPI_tuptable->vals[i], SPI_tuptable->tupdesc, &labels[n]))
			n++;
	qsort(labels, n, sizeof(uint64), compare_hashes);
	for (int i = 1; i < n; i++)
		if (labels[i] == labels[i - 1])
			ereport(ERROR, (errcode(ERRCODE_CARDINALITY_VIOLATION),
							errmsg("the query returned two rows with the same labels"),
							errhint("Every column but \"value\" is a label: add one that tells the "
									"rows apart, or aggregate.")));
}

/* In a transaction that is rolled back; the rows are appended to the record. */
static void
run_query(const CustomQuery *query, StringInfo record)
{
	Oid userid;
	int sec_context;
	SPIPlanPtr plan;

	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	XactReadOnly = true;
	PushActiveSnapshot(GetTransactionSnapshot());
	GetUserIdAndSecContext(&userid, &sec_context);
	SetUserIdAndSecContext(query->owner, sec_context | SECURITY_LOCAL_USERID_CHANGE |
											 SECURITY_RESTRICTED_OPERATION);
	enable_timeout_after(STATEMENT_TIMEOUT, query->timeout_ms);
	SPI_connect();
	plan = prepare_query(query->sql);
	if (SPI_execute_plan(plan, NULL, NULL, true, query->row_limit + 1) != SPI_OK_SELECT)
		elog(ERROR, "could not execute the query: %s", SPI_result_code_string(SPI_result));
	if (SPI_processed > query->row_limit)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("the query returned more rows than its row_limit of %d",
							   query->row_limit)));
	append_rows(record, SPI_processed);
	disable_timeout(STATEMENT_TIMEOUT, false);
	SPI_finish();
}

/* Runs it and survives its errors; returns what went wrong, or NULL. */
static char *
try_query(const CustomQuery *query, StringInfo record)
{
	MemoryContext context = CurrentMemoryContext;
	char *volatile error = NULL;

	PG_TRY();
	{
		run_query(query, record);
	}
	PG_CATCH();
	{
		ErrorData *edata;

		HOLD_INTERRUPTS();
		disable_timeout(STATEMENT_TIMEOUT, false);
		MemoryContextSwitchTo(context);
		edata = CopyErrorData();
		FlushErrorState();
		error = edata->message;
		RESUME_INTERRUPTS();
	}
	PG_END_TRY();

	/* Settings go with it too, and what it wanted to notify. */
	QueryCancelPending = false;
	AbortCurrentTransaction();
	LockReleaseSession(USER_LOCKMETHOD);
	MemoryContextSwitchTo(context);
	return error;
}

static double
clock_ms(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return now.tv_sec * 1e3 + now.tv_nsec / 1e6;
}

/* Adds a record to the result if there is room. */
static bool
leave_record(PerfoptHelperArea *area, const char *name, const char *error, double cpu_ms,
			 double wall_ms, const StringInfoData *rows)
{
	PerfoptCustomResult *result = (PerfoptCustomResult *) area->data;
	Size room = area->size - offsetof(PerfoptCustomResult, records);
	StringInfoData record;

	initStringInfo(&record);
	append_string(&record, name);
	append_string(&record, error ? error : "");
	appendBinaryStringInfo(&record, (char *) &cpu_ms, sizeof(cpu_ms));
	appendBinaryStringInfo(&record, (char *) &wall_ms, sizeof(wall_ms));
	appendBinaryStringInfo(&record, (char *) &rows->len, sizeof(int));
	appendBinaryStringInfo(&record, rows->data, rows->len);
	if (record.len > room - result->used)
		return false;
	memcpy(result->records + result->used, record.data, record.len);
	/* What is counted in is whole, even if the process is terminated now. */
	pg_write_barrier();
	result->used += record.len;
	return true;
}

static void
run_metric(PerfoptHelperArea *area, const char *name)
{
	double cpu_ms = clock_ms(CLOCK_PROCESS_CPUTIME_ID);
	double wall_ms = clock_ms(CLOCK_MONOTONIC);
	StringInfoData rows;
	CustomQuery query;
	const char *error;

	initStringInfo(&rows);
	if (!read_query(name, &query))
		error = "it is gone";
	else if (!query.may_define)
		error = "its owner may not define custom metrics any more";
	else
		error = try_query(&query, &rows);
	if (error != NULL)
		resetStringInfo(&rows);
	cpu_ms = clock_ms(CLOCK_PROCESS_CPUTIME_ID) - cpu_ms;
	wall_ms = clock_ms(CLOCK_MONOTONIC) - wall_ms;
	if (!leave_record(area, name, error, cpu_ms, wall_ms, &rows))
	{
		resetStringInfo(&rows);
		leave_record(area, name, "its rows, with those of the others, take too much room", cpu_ms,
					 wall_ms, &rows);
	}
}

void
perfopt_helper_custom(PerfoptHelperArea *area)
{
	PerfoptCustomResult *result = (PerfoptCustomResult *) area->data;
	MemoryContext context =
		AllocSetContextCreate(TopMemoryContext, "perfopt custom", ALLOCSET_DEFAULT_SIZES);
	Size size = result->names;
	char *names = MemoryContextAlloc(TopMemoryContext, size);

	/* Each has a time of its own; whoever defies it is terminated by the collector. */
	disable_timeout(STATEMENT_TIMEOUT, false);
	memcpy(names, result->records, size);
	for (const char *name = names; name < names + size; name += strlen(name) + 1)
	{
		MemoryContextSwitchTo(context);
		run_metric(area, name);
		MemoryContextReset(context);
	}
}
