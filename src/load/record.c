/*
 * record.c
 *	  The rows of a load test, written by its workers in short transactions of their own.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/json.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "load/histogram_type.h"
#include "load/record.h"
#include "load/summary.h"
#include "worker/worker.h"

/* Rows of test_interval that may wait for a table to be free again. */
#define MAX_PENDING 4096

#define END_TRIES 20
#define END_TRY_US 100000L

typedef struct PendingRow
{
	TimestampTz ts;
	const char *operation;
	int64 calls;
	int64 errors;
	int64 retries;
	int users;
	Datum latency;
} PendingRow;

static MemoryContext pending_context = NULL;
static PendingRow *pending = NULL;
static int npending = 0;
static uint64 ndropped = 0;
static int my_worker = 0;

typedef struct EndOfRun
{
	LoadRun *run;
	const LoadConfig *config;
	LoadState state;
} EndOfRun;

/*
 * Runs write(arg) in a transaction.  Returns NULL when it is committed, otherwise why not.
 */
static const char *
in_transaction(void (*write)(const void *arg), const void *arg, bool *gone)
{
	MemoryContext oldcontext = CurrentMemoryContext;
	const char *volatile problem = NULL;

	*gone = false;
	PG_TRY();
	{
		PerfoptExtensionState state;

		StartTransactionCommand();
		state = perfopt_extension_hold();
		if (state == PERFOPT_EXTENSION_READY)
		{
			SPI_connect();
			PushActiveSnapshot(GetTransactionSnapshot());
			write(arg);
			PopActiveSnapshot();
			SPI_finish();
			CommitTransactionCommand();
		}
		else
		{
			AbortCurrentTransaction();
			*gone = state == PERFOPT_EXTENSION_MISSING;
			problem = state == PERFOPT_EXTENSION_MISSING
						  ? "extension perfopt is not installed in the database where load tests "
							"are recorded"
						  : "extension perfopt is being changed";
		}
	}
	PG_CATCH();
	{
		ErrorData *edata;

		HOLD_INTERRUPTS();
		MemoryContextSwitchTo(oldcontext);
		edata = CopyErrorData();
		AbortCurrentTransaction();
		FlushErrorState();
		RESUME_INTERRUPTS();
		problem = edata->message;
	}
	PG_END_TRY();
	MemoryContextSwitchTo(oldcontext);
	pgstat_report_stat(false);
	return problem;
}

static void
execute(const char *sql, int nargs, Oid *types, Datum *values, const char *nulls)
{
	(void) SPI_execute_with_args(sql, nargs, types, values, nulls, false, 0);
}

/*
 * A run whose row says that it goes on, but which is in no slot, was ended by a crash.  The slots are
 * looked at after the rows: a run that begins has its slot first, one that ends leaves it last.
 */
static void
mark_lost_runs(void)
{
	SPITupleTable *table;
	uint64 n;

	SPI_execute("SELECT run_id FROM perfopt.test_run WHERE state = 'running'", false, 0);
	table = SPI_tuptable;
	n = SPI_processed;
	for (uint64 i = 0; i < n; i++)
	{
		bool isnull;
		Datum run_id = SPI_getbinval(table->vals[i], table->tupdesc, 1, &isnull);
		Oid types[] = { INT8OID };

		if (!load_run_exists(DatumGetInt64(run_id)))
			execute("UPDATE perfopt.test_run SET state = 'failed', finished_at = pg_catalog.now(), "
					"problem = 'the server was restarted, or its load workers were killed, during "
					"the test' "
					"WHERE run_id = $1 AND state = 'running'",
					1, types, &run_id, NULL);
	}
}

static void
write_start(const void *arg)
{
	const EndOfRun *start = arg;
	const LoadConfig *config = start->config;
	Oid types[] = { TEXTOID, TEXTOID, TEXTOID, INT4OID, OIDOID, TEXTOID, FLOAT8OID, INT4OID };
	Datum values[] = {
		CStringGetTextDatum(config->scenario), CStringGetTextDatum(config->json),
		CStringGetTextDatum(config->target),   Int32GetDatum(config->users),
		ObjectIdGetDatum(config->userid),      CStringGetTextDatum(load_kind_name(config->kind)),
		Float8GetDatum(config->rate),          Int32GetDatum(config->connections)
	};
	bool isnull;

	mark_lost_runs();
	execute(
		"INSERT INTO perfopt.test_run (kind, scenario, config, state, target, users, requested_by, "
		"rate, connections) "
		"VALUES ($6, $1, $2::pg_catalog.jsonb, 'running', $3, $4, "
		"pg_catalog.pg_get_userbyid($5), nullif($7, 0), $8) "
		"RETURNING run_id",
		lengthof(types), types, values, NULL);

	/* Before the row can be seen, or it would be taken for one that a crash left. */
	load_run_set_id(start->run, DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0],
															SPI_tuptable->tupdesc, 1, &isnull)));
}

void
load_record_start(LoadRun *run, const LoadConfig *config)
{
	EndOfRun start = { run, config, LOAD_STARTING };
	bool gone;
	const char *problem = in_transaction(write_start, &start, &gone);

	if (problem != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE), errmsg_internal("%s", problem),
				 gone ? errhint("If it was created just now, commit that first.") : 0));
}

static Oid
histogram_type(void)
{
	return GetSysCacheOid2(TYPENAMENSP, Anum_pg_type_oid, CStringGetDatum("histogram"),
						   ObjectIdGetDatum(get_namespace_oid("perfopt", false)));
}

static void
write_pending(const void *arg)
{
	const LoadRun *run = arg;
	Oid types[] = { INT8OID, TIMESTAMPTZOID, TEXTOID,          INT4OID, INT8OID,
					INT8OID, INT4OID,        histogram_type(), INT8OID };
	SPIPlanPtr plan;

	plan = SPI_prepare("INSERT INTO perfopt.test_interval "
					   "(run_id, ts, operation, worker, calls, errors, users, latency, retries) "
					   "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
					   lengthof(types), types);
	for (int i = 0; i < npending; i++)
	{
		const PendingRow *row = &pending[i];
		Datum values[] = { Int64GetDatum(run->shared->run_id),  TimestampTzGetDatum(row->ts),
						   CStringGetTextDatum(row->operation), Int32GetDatum(my_worker),
						   Int64GetDatum(row->calls),           Int64GetDatum(row->errors),
						   Int32GetDatum(row->users),           row->latency,
						   Int64GetDatum(row->retries) };

		SPI_execute_plan(plan, values, NULL, false, 0);
	}
}

void
load_record_rest(const LoadRun *run)
{
	static bool complained = false;
	bool gone;
	const char *problem;

	if (npending == 0)
		return;
	problem = in_transaction(write_pending, run, &gone);
	if (problem == NULL)
	{
		npending = 0;
		MemoryContextReset(pending_context);
		pending = NULL;
	}
	else if (gone)
		load_run_fail(unconstify(LoadRun *, run), ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
					  problem);
	else if (!complained)
	{
		complained = true;
		ereport(LOG, (errmsg("perfopt load test " INT64_FORMAT " could not record a second: %s",
							 run->shared->run_id, problem),
					  errdetail("It will be recorded with a later one if that can be.")));
	}
}

void
load_record_second(Engine *engine, int second)
{
	const LoadConfig *config = engine->config;
	TimestampTz ts = (TimestampTz) pg_atomic_read_u64(&engine->shared->clock_ts) +
					 second * (int64) USECS_PER_SEC;
	MemoryContext oldcontext;

	my_worker = engine->worker;
	if (pending_context == NULL)
		pending_context =
			AllocSetContextCreate(TopMemoryContext, "perfopt load seconds", ALLOCSET_DEFAULT_SIZES);
	oldcontext = MemoryContextSwitchTo(pending_context);
	if (pending == NULL)
		pending = palloc(sizeof(PendingRow) * MAX_PENDING);
	for (int i = 0; i < config->noperations; i++)
	{
		const LoadSecond *counted = &engine->seconds[i];
		PendingRow *row = &pending[npending];

		if (npending == MAX_PENDING)
		{
			ndropped++;
			continue;
		}
		npending++;
		row->ts = ts;
		row->operation = config->operations[i].name;
		row->calls = counted->calls;
		row->errors = counted->errors;
		row->retries = counted->retries;
		row->users = engine->mine->users;
		row->latency = perfopt_histogram_datum(counted->latency);
	}
	MemoryContextSwitchTo(oldcontext);
	load_record_rest(engine->run);
}

/* {"40001": {"count": 3, "message": "..."}} */
static char *
errors_json(const LoadResult *result)
{
	StringInfoData out;
	const char *separator = "";

	initStringInfo(&out);
	appendStringInfoChar(&out, '{');
	for (int i = 0; i < result->nkinds; i++)
	{
		appendStringInfoString(&out, separator);
		escape_json(&out, result->kinds[i].sqlstate);
		appendStringInfo(&out,
						 ": {\"count\": " UINT64_FORMAT ", \"message\": ", result->kinds[i].count);
		escape_json(&out, result->kinds[i].message);
		appendStringInfoChar(&out, '}');
		separator = ", ";
	}
	if (result->other_errors > 0)
		appendStringInfo(&out, "%s\"other\": {\"count\": " UINT64_FORMAT "}", separator,
						 result->other_errors);
	appendStringInfoChar(&out, '}');
	return out.data;
}

static void
write_operation(const LoadShared *shared, const LoadOperation *operation, int number)
{
	LoadResult *result = load_summary_result(shared, number);
	LoadRow row = load_summary_row(shared, result);
	Oid types[] = { INT8OID,   TEXTOID,   INT8OID,         INT8OID,   FLOAT8OID,
					FLOAT8OID, FLOAT8OID, FLOAT8OID,       FLOAT8OID, FLOAT8OID,
					FLOAT8OID, TEXTOID,   histogram_type() };
	Datum values[] = { Int64GetDatum(shared->run_id),
					   CStringGetTextDatum(operation->name),
					   Int64GetDatum((int64) row.calls),
					   Int64GetDatum((int64) row.errors),
					   Float8GetDatum(row.throughput),
					   Float8GetDatum(row.mean_ms),
					   Float8GetDatum(row.p50_ms),
					   Float8GetDatum(row.p90_ms),
					   Float8GetDatum(row.p95_ms),
					   Float8GetDatum(row.p99_ms),
					   Float8GetDatum(row.max_ms),
					   CStringGetTextDatum(errors_json(result)),
					   perfopt_histogram_datum(&result->latency) };
	char nulls[lengthof(types) + 1] = "             ";

	if (result->latency.count == 0)
		memset(nulls + 5, 'n', 6);
	execute("INSERT INTO perfopt.test_operation (run_id, operation, calls, errors, throughput, "
			"mean_ms, "
			"p50_ms, p90_ms, p95_ms, p99_ms, max_ms, sqlstates, latency) "
			"VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12::pg_catalog.jsonb, $13)",
			lengthof(types), types, values, nulls);
	pfree(result);
}

static void
write_end(const void *arg)
{
	const EndOfRun *end = arg;
	const LoadShared *shared = end->run->shared;
	const char *lost_message;
	char *problem = load_run_problem(shared, NULL);
	Oid types[] = { INT8OID, TEXTOID, TEXTOID, INT8OID, TEXTOID };
	Datum values[] = { Int64GetDatum(shared->run_id),
					   CStringGetTextDatum(load_state_name(end->state)),
					   CStringGetTextDatum(problem ? problem : ""),
					   Int64GetDatum((int64) load_summary_lost(shared, &lost_message)), 0 };

	values[4] = CStringGetTextDatum(lost_message ? lost_message : "");
	execute("UPDATE perfopt.test_run SET state = $2, finished_at = pg_catalog.clock_timestamp(), "
			"problem = nullif($3, ''), connections_lost = $4, lost_message = nullif($5, '') "
			"WHERE run_id = $1",
			lengthof(types), types, values, NULL);
	for (int i = 0; i < shared->noperations; i++)
		write_operation(shared, &end->config->operations[i], i);
}

bool
load_record_end(LoadRun *run, const LoadConfig *config, LoadState state)
{
	EndOfRun end = { run, config, state };
	const char *problem = NULL;
	bool gone = false;

	if (ndropped > 0)
		ereport(LOG, (errmsg("perfopt load test " INT64_FORMAT " left out " UINT64_FORMAT
							 " rows of test_interval",
							 run->shared->run_id, ndropped)));
	for (int i = 0; i < END_TRIES; i++)
	{
		problem = in_transaction(write_end, &end, &gone);
		if (problem == NULL)
			return true;
		if (gone)
			break;
		pg_usleep(END_TRY_US);
	}
	ereport(LOG, (errmsg("perfopt load test " INT64_FORMAT " could not record its end: %s",
						 run->shared->run_id, problem)));
	return false;
}
