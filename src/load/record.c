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
#include "load/resources.h"
#include "load/summary.h"
#include "worker/worker.h"

/* Rows of test_interval that may wait for a table to be free again. */
#define MAX_PENDING 4096

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

const char *
load_record_transaction(void (*write)(const void *arg), const void *arg, bool *gone)
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

void
load_record_execute(const char *sql, int nargs, Oid *types, Datum *values, const char *nulls)
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
			load_record_execute(
				"UPDATE perfopt.test_run SET state = 'failed', finished_at = pg_catalog.now(), "
				"problem = 'the server was restarted, or its load workers were killed, during "
				"the test' "
				"WHERE run_id = $1 AND state = 'running'",
				1, types, &run_id, NULL);
	}
}

typedef struct StartOfRun
{
	LoadRun *run;
	const LoadConfig *config;
} StartOfRun;

static void
write_start(const void *arg)
{
	const StartOfRun *start = arg;
	const LoadConfig *config = start->config;
	Oid types[] = {
		TEXTOID, TEXTOID, TEXTOID, INT4OID, OIDOID, TEXTOID, FLOAT8OID, INT4OID, TEXTOID
	};
	Datum values[] = { CStringGetTextDatum(config->scenario),
					   CStringGetTextDatum(config->json),
					   CStringGetTextDatum(config->target),
					   Int32GetDatum(config->users),
					   ObjectIdGetDatum(config->userid),
					   CStringGetTextDatum(load_kind_name(config->kind)),
					   Float8GetDatum(config->rate),
					   Int32GetDatum(config->connections),
					   CStringGetTextDatum(config->fingerprint) };
	bool isnull;

	mark_lost_runs();
	load_record_execute(
		"INSERT INTO perfopt.test_run (kind, scenario, config, state, target, users, requested_by, "
		"rate, connections, fingerprint) "
		"VALUES ($6, $1, $2::pg_catalog.jsonb, 'running', $3, $4, "
		"pg_catalog.pg_get_userbyid($5), nullif($7, 0), $8, $9::pg_catalog.jsonb) "
		"RETURNING run_id",
		lengthof(types), types, values, NULL);

	/* Before the row can be seen, or it would be taken for one that a crash left. */
	load_run_set_id(start->run, DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0],
															SPI_tuptable->tupdesc, 1, &isnull)));
}

void
load_record_start(LoadRun *run, const LoadConfig *config)
{
	StartOfRun start = { run, config };
	bool gone;
	const char *problem = load_record_transaction(write_start, &start, &gone);

	if (problem != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE), errmsg_internal("%s", problem),
				 gone ? errhint("If it was created just now, commit that first.") : 0));
}

Oid
load_record_histogram_type(void)
{
	return GetSysCacheOid2(TYPENAMENSP, Anum_pg_type_oid, CStringGetDatum("histogram"),
						   ObjectIdGetDatum(get_namespace_oid("perfopt", false)));
}

static void
write_pending(const void *arg)
{
	const LoadRun *run = arg;
	Oid types[] = { INT8OID, TIMESTAMPTZOID, TEXTOID, INT4OID,
					INT8OID, INT8OID,        INT4OID, load_record_histogram_type(),
					INT8OID };
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

static void
read_resources(const void *arg)
{
	const StartOfRun *start = arg;

	load_resources_read(start->config, load_run_resources(start->run->shared));
	start->run->shared->resources_known = true;
}

void
load_record_resources(LoadRun *run, const LoadConfig *config)
{
	StartOfRun start = { run, config };
	bool gone;

	(void) load_record_transaction(read_resources, &start, &gone);
}

typedef struct SlotRows
{
	const Engine *engine;
	int pair;
	int variant;
	double seconds;
	const LoadSecond *counters;
} SlotRows;

static void
write_slot_rows(const void *arg)
{
	const SlotRows *rows = arg;
	const LoadConfig *config = rows->engine->config;
	Oid types[] = { INT8OID,   INT4OID, TEXTOID, TEXTOID,
					FLOAT8OID, INT8OID, INT8OID, load_record_histogram_type() };

	for (int i = 0; i < config->noperations; i++)
	{
		const LoadSecond *counted = &rows->counters[i];
		Datum values[] = { Int64GetDatum(rows->engine->shared->run_id),
						   Int32GetDatum(rows->pair),
						   CStringGetTextDatum(rows->variant == 0 ? "a" : "b"),
						   CStringGetTextDatum(config->operations[i].name),
						   Float8GetDatum(rows->seconds),
						   Int64GetDatum((int64) counted->calls),
						   Int64GetDatum((int64) counted->errors),
						   perfopt_histogram_datum(counted->latency) };

		load_record_execute(
			"INSERT INTO perfopt.test_slot (run_id, pair, variant, operation, seconds,"
			" calls, errors, latency) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
			lengthof(types), types, values, NULL);
	}
}

void
load_record_slot(Engine *engine, int pair, int variant, double seconds, const LoadSecond *counters)
{
	SlotRows rows = { engine, pair, variant, seconds, counters };
	bool gone;
	const char *problem = load_record_transaction(write_slot_rows, &rows, &gone);

	if (problem != NULL)
		ereport(LOG, (errmsg("perfopt load test " INT64_FORMAT " could not record a slot: %s",
							 engine->shared->run_id, problem)));
}

uint64
load_record_dropped(void)
{
	return ndropped;
}

void
load_record_rest(const LoadRun *run)
{
	static bool complained = false;
	bool gone;
	const char *problem;

	if (npending == 0)
		return;
	problem = load_record_transaction(write_pending, run, &gone);
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
