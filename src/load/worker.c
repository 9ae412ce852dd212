/*
 * worker.c
 *	  The main function of `perfopt load N`, and how such a worker ends.
 */
#include "postgres.h"

#include <signal.h>

#include "access/xact.h"
#include "miscadmin.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "utils/guc.h"
#include "utils/memutils.h"

#include "load/guard.h"
#include "load/record.h"
#include "load/stress.h"
#include "target/target.h"
#include "worker/worker.h"

static LoadRun my_run;
static int my_worker;

/* Whatever way the process ends, the others must not wait for it. */
static void
leave_at_exit(int code, Datum arg)
{
	if (my_run.shared == NULL || load_run_worker(my_run.shared, my_worker)->left)
		return;
	load_run_fail(&my_run, ERRCODE_INTERNAL_ERROR, "a load worker ended; the server log says why");
	if (load_run_leave(&my_run, my_worker))
		load_run_finish(&my_run, LOAD_FAILED);
}

/* Password included, so it stays in this process. */
static char *
target_conninfo(const LoadConfig *config, const LoadVariant *variant)
{
	MemoryContext context = CurrentMemoryContext;
	char *conninfo;

	StartTransactionCommand();
	conninfo =
		MemoryContextStrdup(context, perfopt_target_conninfo(variant->target, config->userid));
	CommitTransactionCommand();
	MemoryContextSwitchTo(context);
	return conninfo;
}

static LoadState
final_state(const LoadRun *run)
{
	switch (pg_atomic_read_u32(&run->shared->stop))
	{
		case LOAD_STOP_CANCELLED:
			return LOAD_CANCELLED;
		case LOAD_STOP_DONE:
		case LOAD_STOP_THRESHOLD:
			return LOAD_FINISHED;
		case LOAD_STOP_FAILED:
			return LOAD_FAILED;
		default:
			return LOAD_FINISHED;
	}
}

static void
end_second(Engine *engine, int second)
{
	load_record_second(engine, second);
	if (my_worker == 0)
		load_guard_second(engine);
}

static void
run_engine(Engine *engine, const LoadConfig *config)
{
	LoadShared *shared = my_run.shared;

	if (my_worker == 0)
	{
		load_record_start(&my_run, config);
		pg_atomic_write_u32(&shared->recorded, 1);
		load_run_wake(&my_run);
	}
	while (pg_atomic_read_u32(&shared->recorded) == 0 &&
		   pg_atomic_read_u32(&shared->stop) == LOAD_GO_ON)
		load_run_sleep(&my_run, 100);

	if (my_worker == 0)
		load_record_resources(&my_run, config);
	for (int i = 0; i < config->nvariants; i++)
		engine->conninfo[i] = target_conninfo(config, &config->variants[i]);
	load_engine_init(engine, config, &my_run, my_worker);
	engine->on_second = end_second;
	if (my_worker == 0)
		load_guard_init(config);
	if (my_worker == 0 && config->kind == LOAD_KIND_STRESS)
	{
		load_stress_init(&my_run, config);
		engine->on_tick = load_stress_tick;
	}
	load_engine_run(engine);
}

/* An ERROR ends the run, but not without closing its sessions and recording what there is. */
static void
run_and_survive(const LoadConfig *config)
{
	MemoryContext context = CurrentMemoryContext;
	Engine *engine = palloc0(sizeof(Engine));

	PG_TRY();
	{
		run_engine(engine, config);
	}
	PG_CATCH();
	{
		ErrorData *edata;

		HOLD_INTERRUPTS();
		EmitErrorReport();
		MemoryContextSwitchTo(context);
		edata = CopyErrorData();
		AbortCurrentTransaction();
		FlushErrorState();
		load_run_fail(&my_run, edata->sqlerrcode, edata->message);
		load_engine_close(engine);
		RESUME_INTERRUPTS();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
}

void
perfopt_load_worker_main(Datum slot)
{
	LoadConfig *config;
	uint64 token;

	memcpy(&token, MyBgworkerEntry->bgw_extra, sizeof(uint64));
	memcpy(&my_worker, MyBgworkerEntry->bgw_extra + sizeof(uint64), sizeof(int));
	perfopt_worker_begin("perfopt load");
	before_shmem_exit(leave_at_exit, (Datum) 0);
	if (!load_run_join(&my_run, DatumGetInt32(slot), token, my_worker))
		proc_exit(0);

	perfopt_worker_connect();

	/* From here on being told to stop means to end the test in order. */
	pqsignal(SIGTERM, SignalHandlerForShutdownRequest);

	MemoryContextSwitchTo(
		AllocSetContextCreate(TopMemoryContext, "perfopt load", ALLOCSET_DEFAULT_SIZES));

	/* While a row is written no session of this worker goes on. */
	SetConfigOption("lock_timeout", "20ms", PGC_USERSET, PGC_S_SESSION);
	SetConfigOption("synchronous_commit", "off", PGC_USERSET, PGC_S_SESSION);

	config = load_config_read(load_run_config(my_run.shared), my_run.shared->config_size);
	run_and_survive(config);
	load_record_rest(&my_run);

	if (load_run_leave(&my_run, my_worker))
	{
		LoadState state = final_state(&my_run);

		load_run_ask_collector();
		SetConfigOption("synchronous_commit", "local", PGC_USERSET, PGC_S_SESSION);
		(void) load_conclude(&my_run, config, state);
		load_run_finish(&my_run, state);
	}
	proc_exit(0);
}
