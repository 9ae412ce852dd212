/*
 * api.c
 *	  Load tests from SQL: start, wait for, watch, cancel, report.  Those that do all of it are in waiting.c.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_authid.h"
#include "catalog/pg_type.h"
#include "commands/dbcommands.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "guc.h"
#include "load/api.h"
#include "load/horizon.h"
#include "load/run.h"
#include "load/summary.h"
#include "sampler/sampler.h"
#include "shmem.h"

#define SLEEP_MS 1000

PG_FUNCTION_INFO_V1(perfopt_start_test);
PG_FUNCTION_INFO_V1(perfopt_wait_test);
PG_FUNCTION_INFO_V1(perfopt_cancel_test);
PG_FUNCTION_INFO_V1(perfopt_live_progress);
PG_FUNCTION_INFO_V1(perfopt_live_report);

void
load_test_start(LoadRun *run, LoadConfig *config)
{
	load_scenario_read(config);
	load_config_complete(config);
	load_preflight(config);
	load_run_start(run, config);
}

/* People read these: a microsecond, or a tenth of a call per second, is enough. */
static double
rounded(double value, int digits)
{
	double scale = pow(10, digits);

	return rint(value * scale) / scale;
}

static Datum
float_or_null(double value, bool *isnull)
{
	*isnull = isnan(value);
	return Float8GetDatum(rounded(value, 3));
}

static void
put_row(ReturnSetInfo *rsinfo, const char *operation, const LoadRow *row)
{
	Datum values[10];
	bool nulls[10] = { false };

	values[0] = CStringGetTextDatum(operation);
	values[1] = Int64GetDatum((int64) row->calls);
	values[2] = Int64GetDatum((int64) row->errors);
	values[3] = Float8GetDatum(rounded(row->throughput, 1));
	values[4] = float_or_null(row->mean_ms, &nulls[4]);
	values[5] = float_or_null(row->p50_ms, &nulls[5]);
	values[6] = float_or_null(row->p90_ms, &nulls[6]);
	values[7] = float_or_null(row->p95_ms, &nulls[7]);
	values[8] = float_or_null(row->p99_ms, &nulls[8]);
	values[9] = float_or_null(row->max_ms, &nulls[9]);
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

void
load_test_report(ReturnSetInfo *rsinfo, const LoadShared *shared)
{
	LoadConfig *config = load_config_read(load_run_config(shared), shared->config_size);
	LoadRow *rows = load_summary_rows(shared);

	for (int i = 0; i < shared->noperations; i++)
		put_row(rsinfo, config->operations[i].name, &rows[i]);
	put_row(rsinfo, "total", &rows[shared->noperations]);
}

Datum
perfopt_start_test(PG_FUNCTION_ARGS)
{
	LoadConfig *config = load_config_create(LOAD_KIND_LOAD);
	LoadRun run;
	int64 run_id;

	perfopt_require_home();
	load_config_set_jsonb(config, PG_GETARG_JSONB_P(0));
	perfopt_sampler_ignore_me();
	load_test_start(&run, config);
	run_id = run.shared->run_id;
	load_run_close(&run);
	PG_RETURN_INT64(run_id);
}

/*
 * The state of a test that is in no slot; ERROR when there is none.  A snapshot of its own, since the
 * caller's may be older than the test's end.
 */
static char *
recorded_state(int64 run_id)
{
	Oid types[] = { INT8OID };
	Datum values[] = { Int64GetDatum(run_id) };
	MemoryContext context = CurrentMemoryContext;
	char *state = NULL;

	SPI_connect();
	PushActiveSnapshot(GetLatestSnapshot());
	SPI_execute_with_args("SELECT state FROM perfopt.test_run WHERE run_id = $1", 1, types, values,
						  NULL, true, 1);
	if (SPI_processed == 1)
		state = MemoryContextStrdup(context,
									SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1));
	PopActiveSnapshot();
	SPI_finish();

	if (state == NULL)
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT),
						errmsg("load test %lld does not exist", (long long) run_id),
						errhint("Tests are listed in perfopt.test_run.")));

	/* In no slot, so nothing runs: a crash has ended it. */
	return strcmp(state, "running") == 0 ? "failed" : state;
}

Datum
perfopt_wait_test(PG_FUNCTION_ARGS)
{
	int64 run_id = PG_GETARG_INT64(0);
	int64 give_up = PG_INT64_MAX;
	LoadRun run;
	LoadState state;

	perfopt_require_home();
	if (!PG_ARGISNULL(1))
	{
		const Interval *timeout = PG_GETARG_INTERVAL_P(1);

		give_up = load_clock() + (timeout->time + (timeout->day + timeout->month * INT64CONST(30)) *
													  USECS_PER_DAY) *
									 LOAD_NS_PER_US;
	}

	if (!load_run_open(&run, run_id))
		PG_RETURN_TEXT_P(cstring_to_text(recorded_state(run_id)));

	perfopt_sampler_ignore_me();
	load_release_horizon(fcinfo);
	while (!load_run_over(&run) && load_clock() < give_up)
		load_run_sleep(&run, Max(1, Min((give_up - load_clock()) / LOAD_NS_PER_MS, SLEEP_MS)));
	state = load_run_state(run.shared);
	load_run_close(&run);
	PG_RETURN_TEXT_P(cstring_to_text(load_state_name(state)));
}

/* As pg_cancel_backend has it: one's own tests, or as a member of pg_signal_backend all. */
static void
require_owner(const LoadShared *shared)
{
	if (!has_privs_of_role(GetUserId(), shared->owner) &&
		!has_privs_of_role(GetUserId(), ROLE_PG_SIGNAL_BACKEND))
		ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
						errmsg("permission denied to cancel load test %lld of role \"%s\"",
							   (long long) shared->run_id, GetUserNameFromId(shared->owner, false)),
						errhint("It takes membership in that role or in pg_signal_backend.")));
}

Datum
perfopt_cancel_test(PG_FUNCTION_ARGS)
{
	int64 run_id = PG_GETARG_INT64(0);
	TimestampTz give_up = GetCurrentTimestamp() + LOAD_CANCEL_WAIT_US;
	LoadRun run;
	bool cancelled;

	perfopt_require_home();
	if (!load_run_open(&run, run_id))
	{
		(void) recorded_state(run_id);
		PG_RETURN_BOOL(false);
	}
	require_owner(run.shared);
	perfopt_sampler_ignore_me();
	cancelled = load_run_stop(&run, LOAD_STOP_CANCELLED);
	while (!load_run_over(&run) && GetCurrentTimestamp() < give_up)
		load_run_sleep(&run, 100);
	load_run_close(&run);
	PG_RETURN_BOOL(cancelled);
}

Datum
perfopt_live_progress(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	LoadRun run;
	LoadProgress progress;
	char *problem;
	Datum values[11];
	bool nulls[11] = { false };

	InitMaterializedSRF(fcinfo, 0);

	/* Where no load test can run, reports of former ones can still be read. */
	if (!perfopt_is_home() || !load_run_open(&run, PG_GETARG_INT64(0)))
		return (Datum) 0;

	progress = load_summary_progress(run.shared);
	problem = load_run_problem(run.shared, NULL);
	values[0] = CStringGetTextDatum(load_state_name(progress.state));
	values[1] = CStringGetTextDatum(progress.phase);
	values[2] = Float8GetDatum(rounded(progress.elapsed_s, 1));
	values[3] = Float8GetDatum(progress.total_s);
	nulls[3] = isnan(progress.total_s);
	values[4] = Int32GetDatum(progress.users);
	values[5] = Int64GetDatum((int64) progress.calls);
	values[6] = Int64GetDatum((int64) progress.errors);
	values[7] = Float8GetDatum(
		progress.elapsed_s > 0 ? rounded((progress.calls - progress.errors) / progress.elapsed_s, 1)
							   : 0);
	values[8] = float_or_null(perfopt_histogram_quantile(progress.latency, 0.95), &nulls[8]);
	values[9] = Int64GetDatum((int64) progress.lost);
	nulls[10] = problem == NULL;
	values[10] = problem ? CStringGetTextDatum(problem) : (Datum) 0;
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	load_run_close(&run);
	return (Datum) 0;
}

Datum
perfopt_live_report(PG_FUNCTION_ARGS)
{
	LoadRun run;

	InitMaterializedSRF(fcinfo, 0);

	/* Where no load test can run, reports of former ones can still be read. */
	if (!perfopt_is_home() || !load_run_open(&run, PG_GETARG_INT64(0)))
		return (Datum) 0;
	load_test_report((ReturnSetInfo *) fcinfo->resultinfo, run.shared);
	load_run_close(&run);
	return (Datum) 0;
}
