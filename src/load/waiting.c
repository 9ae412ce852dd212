/*
 * waiting.c
 *	  Load tests that a session waits for: functions that return the result, and a procedure.
 */
#include "postgres.h"

#include <math.h>

#include "executor/spi.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "storage/ipc.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "guc.h"
#include "load/api.h"
#include "load/horizon.h"
#include "load/summary.h"
#include "sampler/sampler.h"
#include "shmem.h"

#define SLEEP_MS 1000
#define BAR_WIDTH 20

/* A snapshot that is held longer than this is worth a warning. */
#define LONG_WAIT_NS (600 * LOAD_NS_PER_S)

PG_FUNCTION_INFO_V1(perfopt_load_test);
PG_FUNCTION_INFO_V1(perfopt_execute_test);
PG_FUNCTION_INFO_V1(perfopt_run_test);

static void
require_value(FunctionCallInfo fcinfo, int arg, const char *name)
{
	if (PG_ARGISNULL(arg))
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
						errmsg("argument \"%s\" of a load test must not be null", name)));
}

static LoadConfig *
config_from_arguments(FunctionCallInfo fcinfo)
{
	static const char *const names[] = { "users",      "duration", "ramp_up", "ramp_down",
										 "think_time", "scenario", "target",  NULL,
										 "thresholds", "options" };
	LoadConfig *config = load_config_create(LOAD_KIND_LOAD);

	for (int i = 0; i < lengthof(names); i++)
		if (names[i] != NULL)
			require_value(fcinfo, i, names[i]);

	load_config_set_users(config, PG_GETARG_INT32(0));
	for (int i = 1; i <= 4; i++)
		load_config_set_interval(config, names[i], PG_GETARG_INTERVAL_P(i));
	config->scenario = text_to_cstring(PG_GETARG_TEXT_PP(5));
	config->target = text_to_cstring(PG_GETARG_TEXT_PP(6));
	if (!PG_ARGISNULL(7))
		load_config_set_rate(config, PG_GETARG_FLOAT8(7));
	load_thresholds_read(config, &PG_GETARG_JSONB_P(8)->root);
	load_config_set_options(config, &PG_GETARG_JSONB_P(9)->root);
	return config;
}

static void
tell_errors(const LoadShared *shared)
{
	LoadConfig *config = load_config_read(load_run_config(shared), shared->config_size);
	const char *lost_message;
	uint64 lost = load_summary_lost(shared, &lost_message);

	for (int i = 0; i < shared->noperations; i++)
	{
		LoadResult *result = load_summary_result(shared, i);

		for (int j = 0; j < result->nkinds; j++)
			ereport(NOTICE, (errmsg("%s: " UINT64_FORMAT " calls failed with %s: %s",
									config->operations[i].name, result->kinds[j].count,
									result->kinds[j].sqlstate, result->kinds[j].message)));
		pfree(result);
	}
	if (lost > 0)
		ereport(NOTICE, (errmsg(UINT64_FORMAT " times a connection was lost or refused: %s", lost,
								lost_message)));
}

/* "####......" */
static char *
bar(double share)
{
	char *text = palloc(BAR_WIDTH + 1);
	int done = (int) (Max(0, Min(share, 1)) * BAR_WIDTH);

	memset(text, '.', BAR_WIDTH);
	memset(text, '#', done);
	text[BAR_WIDTH] = '\0';
	return text;
}

static void
tell_progress(const LoadShared *shared, LoadProgress *before)
{
	LoadProgress now = load_summary_progress(shared);
	double seconds = now.elapsed_s - before->elapsed_s;
	double p95;
	char *where;

	if (now.state == LOAD_STARTING)
	{
		ereport(NOTICE,
				(errmsg("%d of %d users are connected", now.connected, shared->connections)));
		return;
	}
	p95 = perfopt_histogram_quantile(load_summary_since(now.latency, before->latency), 0.95);
	if (isnan(now.total_s))
		where =
			psprintf("trial %d at %g", load_run_stress(shared)->ntrials + 1, shared->level.load);
	else
		where = psprintf("[%s] %.0f s left", bar(now.elapsed_s / now.total_s),
						 Max(0, now.total_s - now.elapsed_s));
	ereport(NOTICE, (errmsg("%s: %d users, %.1f calls/s, p95 %s, " UINT64_FORMAT " errors", where,
							now.users, seconds > 0 ? (now.calls - before->calls) / seconds : 0.0,
							isnan(p95) ? "-" : psprintf("%.2f ms", p95), now.errors)));
	if (before->latency != NULL)
		pfree(before->latency);
	*before = now;
}

/* Ctrl-C, a timeout or the end of the session: the test ends with the statement that waits for it. */
static void
cancel_with_caller(int code, Datum arg)
{
	LoadRun *run = (LoadRun *) DatumGetPointer(arg);
	TimestampTz give_up = GetCurrentTimestamp() + LOAD_CANCEL_WAIT_US;

	load_run_stop(run, LOAD_STOP_CANCELLED);
	while (!load_run_over(run) && GetCurrentTimestamp() < give_up)
		pg_usleep(10000L);
}

static void
wait_until_over(const LoadRun *run, int progress_s)
{
	LoadProgress before = { 0 };
	int64 next = load_clock() + progress_s * LOAD_NS_PER_S;

	while (!load_run_over(run))
	{
		int64 left_ms = progress_s > 0 ? (next - load_clock()) / LOAD_NS_PER_MS + 1 : SLEEP_MS;

		load_run_sleep(run, Max(1, Min(left_ms, SLEEP_MS)));
		if (progress_s > 0 && load_clock() >= next && !load_run_over(run))
		{
			tell_progress(run->shared, &before);
			next += progress_s * LOAD_NS_PER_S;
		}
	}
}

static void
raise_failure(const LoadShared *shared)
{
	int sqlerrcode = ERRCODE_INTERNAL_ERROR;
	char *problem = load_run_problem(shared, &sqlerrcode);

	ereport(ERROR,
			(errcode(sqlerrcode),
			 errmsg("load test " INT64_FORMAT " failed: %s", shared->run_id,
					problem ? problem : "a worker was stopped"),
			 errhint("What was measured until then: SELECT * FROM perfopt.test_report(" INT64_FORMAT
					 ");",
					 shared->run_id)));
}

static void
tell_verdict(const LoadShared *shared)
{
	const char *verdict = load_verdict_name(shared->verdict);

	if (load_run_state(shared) == LOAD_CANCELLED)
		ereport(NOTICE, (errmsg("load test " INT64_FORMAT
								" was cancelled; this is what it measured until then",
								shared->run_id)));
	else if (verdict != NULL && shared->verdict_reason[0] != '\0')
		ereport(NOTICE, (errmsg("load test " INT64_FORMAT ": %s, %s", shared->run_id, verdict,
								shared->verdict_reason)));
	else if (verdict != NULL)
		ereport(NOTICE, (errmsg("load test " INT64_FORMAT ": %s", shared->run_id, verdict)));
}

static void
tell_begin(const LoadRun *run, const LoadConfig *config)
{
	ereport(NOTICE,
			(errmsg("load test " INT64_FORMAT ": %d users run scenario \"%s\" on target \"%s\"",
					run->shared->run_id, config->users, config->scenario, config->target)));
}

/* Waits for a test that was started; what the caller sees of it. */
static void
wait_and_tell(LoadRun *run, int progress_s)
{
	PG_ENSURE_ERROR_CLEANUP(cancel_with_caller, PointerGetDatum(run));
	{
		wait_until_over(run, progress_s);
	}
	PG_END_ENSURE_ERROR_CLEANUP(cancel_with_caller, PointerGetDatum(run));

	if (load_run_state(run->shared) == LOAD_FAILED)
		raise_failure(run->shared);
	if (progress_s > 0)
	{
		tell_errors(run->shared);
		tell_verdict(run->shared);
	}
}

/* The whole way of a function that returns the result. */
static void
run_and_report(FunctionCallInfo fcinfo, LoadConfig *config)
{
	LoadRun run;

	InitMaterializedSRF(fcinfo, 0);
	perfopt_sampler_ignore_me();
	load_test_start(&run, config);
	if (load_window_ns(config) > LONG_WAIT_NS && config->kind != LOAD_KIND_STRESS)
		ereport(WARNING,
				(errmsg(
					 "this statement's snapshot may keep dead rows on this server for as long as "
					 "the test takes"),
				 errhint("CALL perfopt.run_test(config), or perfopt.start_test, holds none.")));
	if (config->progress_s > 0)
		tell_begin(&run, config);
	load_release_horizon(fcinfo);
	wait_and_tell(&run, config->progress_s);
	load_test_report((ReturnSetInfo *) fcinfo->resultinfo, run.shared);
	load_run_close(&run);
}

Datum
perfopt_load_test(PG_FUNCTION_ARGS)
{
	perfopt_require_home();
	run_and_report(fcinfo, config_from_arguments(fcinfo));
	return (Datum) 0;
}

Datum
perfopt_execute_test(PG_FUNCTION_ARGS)
{
	LoadConfig *config = load_config_create(LOAD_KIND_LOAD);

	perfopt_require_home();
	load_config_set_jsonb(config, PG_GETARG_JSONB_P(0));
	run_and_report(fcinfo, config);
	return (Datum) 0;
}

/* The snapshot and transaction of the call end before the waiting begins; there is no other until its end. */
static void
leave_transaction(LoadRun *run)
{
	dsm_pin_mapping(run->segment);
	SPI_connect_ext(SPI_OPT_NONATOMIC);
	SPI_commit();
	SPI_finish();
}

Datum
perfopt_run_test(PG_FUNCTION_ARGS)
{
	bool atomic = fcinfo->context == NULL || !IsA(fcinfo->context, CallContext) ||
				  castNode(CallContext, fcinfo->context)->atomic;
	LoadConfig *config;
	LoadRun run;
	TupleDesc desc;
	Datum values[1];
	bool nulls[1] = { false };
	int64 run_id;
	int progress_s;

	perfopt_require_home();
	if (atomic)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TRANSACTION_TERMINATION),
				 errmsg("perfopt.run_test can't be called inside a transaction block"),
				 errhint("It ends its transaction so as not to hold a snapshot. Use "
						 "perfopt.start_test and perfopt.wait_test, or perfopt.load_test.")));
	if (PG_ARGISNULL(0))
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
						errmsg("argument \"config\" of perfopt.run_test must not be null")));
	config = load_config_create(LOAD_KIND_LOAD);
	load_config_set_jsonb(config, PG_GETARG_JSONB_P(0));
	perfopt_sampler_ignore_me();
	load_test_start(&run, config);
	run_id = run.shared->run_id;
	progress_s = config->progress_s;
	if (progress_s > 0)
		tell_begin(&run, config);
	leave_transaction(&run);

	/* No transaction's end gives the segment back any more. */
	PG_TRY();
	{
		wait_and_tell(&run, progress_s);
	}
	PG_FINALLY();
	{
		load_run_close(&run);
	}
	PG_END_TRY();

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	values[0] = Int64GetDatum(run_id);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls)));
}
