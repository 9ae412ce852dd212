/*
 * helper.c
 *	  Short-lived workers that the collector sends out, both sides.
 */
#include "postgres.h"

#include <time.h>

#include "access/xact.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/proc.h"
#include "storage/procarray.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/timeout.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "collect/helper.h"
#include "worker/worker.h"

/* How long helpers may hold up a cycle. */
#define PATIENCE_MS 250
#define PATIENCE_ASKED_MS 2000

/* Past its deadline, the time to end by itself before it is terminated. */
#define GRACE_MS 1000

struct PerfoptHelper
{
	dsm_segment *segment;
	BackgroundWorkerHandle *handle;
};

static PerfoptHelperArea *my_area = NULL;
static emit_log_hook_type prev_emit_log_hook = NULL;

static const struct
{
	const char *name;
	void (*run)(PerfoptHelperArea *area);
} jobs[PERFOPT_HELPER_JOBS] = {
	[PERFOPT_HELPER_TABLES] = { "perfopt tables", perfopt_helper_tables },
	[PERFOPT_HELPER_CUSTOM] = { "perfopt custom", perfopt_helper_custom },
};

static BackgroundWorkerHandle *
start_worker(PerfoptHelperJob job, dsm_handle segment)
{
	BackgroundWorkerHandle *handle;
	BackgroundWorker worker;

	memset(&worker, 0, sizeof(worker));
	worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = BGW_NEVER_RESTART;
	worker.bgw_main_arg = UInt32GetDatum(segment);
	worker.bgw_notify_pid = MyProcPid;
	strlcpy(worker.bgw_library_name, "perfopt", sizeof(worker.bgw_library_name));
	strlcpy(worker.bgw_function_name, "perfopt_collect_helper_main",
			sizeof(worker.bgw_function_name));
	strlcpy(worker.bgw_name, jobs[job].name, sizeof(worker.bgw_name));
	strlcpy(worker.bgw_type, jobs[job].name, sizeof(worker.bgw_type));
	return RegisterDynamicBackgroundWorker(&worker, &handle) ? handle : NULL;
}

PerfoptHelper *
perfopt_helper_start(PerfoptHelperJob job, const char *database, int deadline_ms, Size size,
					 const char *data, Size data_size)
{
	MemoryContext oldcontext = MemoryContextSwitchTo(TopMemoryContext);
	dsm_segment *segment = dsm_create(offsetof(PerfoptHelperArea, data) + size, 0);
	PerfoptHelperArea *area = dsm_segment_address(segment);
	PerfoptHelper *helper;
	BackgroundWorkerHandle *handle;

	memset(area, 0, offsetof(PerfoptHelperArea, data));
	area->job = job;
	namestrcpy(&area->database, database);
	area->deadline = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), deadline_ms);
	pg_atomic_init_u32(&area->done, 0);
	area->size = size;
	memcpy(area->data, data, data_size);

	handle = start_worker(job, dsm_segment_handle(segment));
	if (handle == NULL)
	{
		dsm_detach(segment);
		MemoryContextSwitchTo(oldcontext);
		ereport(ERROR, (errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
						errmsg("no background worker is free; raise max_worker_processes")));
	}
	helper = palloc(sizeof(PerfoptHelper));
	helper->segment = segment;
	helper->handle = handle;
	dsm_pin_mapping(segment);
	MemoryContextSwitchTo(oldcontext);
	return helper;
}

long
perfopt_helper_patience_ms(bool asked)
{
	TimestampTz deadline = get_timeout_finish_time(STATEMENT_TIMEOUT);
	long left = TimestampDifferenceMilliseconds(GetCurrentTimestamp(), deadline);

	return Min(left / 2, asked ? PATIENCE_ASKED_MS : PATIENCE_MS);
}

PerfoptHelperArea *
perfopt_helper_area(PerfoptHelper *helper)
{
	return dsm_segment_address(helper->segment);
}

static void
say_why_it_ended(PerfoptHelperArea *area)
{
	if (area->error[0] != '\0')
		return;
	if (GetCurrentTimestamp() > area->deadline)
		strlcpy(area->error, "it was not done in time", sizeof(area->error));
	else
		strlcpy(area->error, "it was terminated, perhaps because somebody needs the database free",
				sizeof(area->error));
}

bool
perfopt_helper_wait(PerfoptHelper *helper, long timeout_ms)
{
	PerfoptHelperArea *area = perfopt_helper_area(helper);
	TimestampTz give_up = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), timeout_ms);

	for (;;)
	{
		pid_t pid;
		long rest;

		if (pg_atomic_read_u32(&area->done) != 0)
			break;
		if (GetBackgroundWorkerPid(helper->handle, &pid) == BGWH_STOPPED)
		{
			/* It may have finished since the look above. */
			if (pg_atomic_read_u32(&area->done) == 0)
				say_why_it_ended(area);
			break;
		}
		if (TimestampDifferenceExceeds(area->deadline, GetCurrentTimestamp(), GRACE_MS))
			TerminateBackgroundWorker(helper->handle);

		rest = TimestampDifferenceMilliseconds(GetCurrentTimestamp(), give_up);
		if (rest <= 0)
			return false;
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, rest,
						 PERFOPT_WAIT_EVENT_MAIN);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
	pg_read_barrier();
	return true;
}

void
perfopt_helper_free(PerfoptHelper *helper)
{
	dsm_detach(helper->segment);
	pfree(helper->handle);
	pfree(helper);
}

/* What ends the process is told by the one who sent it, once: a broken database would fill the log. */
static void
keep_error(ErrorData *edata)
{
	if (edata->elevel == FATAL && my_area != NULL && edata->sqlerrcode != ERRCODE_ADMIN_SHUTDOWN)
	{
		strlcpy(my_area->error, edata->message, sizeof(my_area->error));
		edata->output_to_server = false;
	}
	if (prev_emit_log_hook)
		prev_emit_log_hook(edata);
}

static double
clock_ms(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return now.tv_sec * 1e3 + now.tv_nsec / 1e6;
}

static void
run_job(PerfoptHelperArea *area)
{
	PG_TRY();
	{
		enable_timeout_at(STATEMENT_TIMEOUT, area->deadline);
		jobs[area->job].run(area);
		disable_timeout(STATEMENT_TIMEOUT, false);
	}
	PG_CATCH();
	{
		ErrorData *edata;

		HOLD_INTERRUPTS();
		disable_timeout(STATEMENT_TIMEOUT, false);
		MemoryContextSwitchTo(TopMemoryContext);
		edata = CopyErrorData();
		FlushErrorState();
		AbortCurrentTransaction();
		strlcpy(area->error, edata->message, sizeof(area->error));
		RESUME_INTERRUPTS();
	}
	PG_END_TRY();
}

static void
tell_collector(PerfoptHelperArea *area)
{
	PGPROC *collector = BackendPidGetProc(MyBgworkerEntry->bgw_notify_pid);

	pg_write_barrier();
	pg_atomic_write_u32(&area->done, 1);
	if (collector != NULL)
		SetLatch(&collector->procLatch);
}

void
perfopt_collect_helper_main(Datum handle)
{
	double began = clock_ms(CLOCK_MONOTONIC);
	dsm_segment *segment;

	CurrentResourceOwner = ResourceOwnerCreate(NULL, "perfopt helper");
	segment = dsm_attach(DatumGetUInt32(handle));
	if (segment == NULL)
		return;
	dsm_pin_mapping(segment);
	my_area = dsm_segment_address(segment);
	prev_emit_log_hook = emit_log_hook;
	emit_log_hook = keep_error;

	perfopt_worker_begin(jobs[my_area->job].name);
	if (perfopt_worker_visit(NameStr(my_area->database)))
		run_job(my_area);
	else
		strlcpy(my_area->error, "somebody drops, renames, moves or copies it",
				sizeof(my_area->error));
	my_area->cpu_ms = clock_ms(CLOCK_PROCESS_CPUTIME_ID);
	my_area->wall_ms = clock_ms(CLOCK_MONOTONIC) - began;
	tell_collector(my_area);
}
