/*
 * run.c
 *	  A running load test in shared memory: slots, the segment, starting and ending.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "postmaster/bgworker.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"

#include "compat.h"
#include "load/run.h"
#include "shmem.h"
#include "worker/worker.h"

/* By then all workers have seen a new load. */
#define LEVEL_NOTICE_NS (250 * LOAD_NS_PER_MS)

/* Guarded by PERFOPT_LOAD_LOCK. */
typedef struct LoadSlot
{
	uint64 token; /* 0: free */
	int64 run_id; /* 0 until it has one */
	dsm_handle handle;
	int nworkers;
	int nleft;
	bool closed; /* workers that start now come too late */
	ConditionVariable changed;
} LoadSlot;

typedef struct LoadSlots
{
	uint64 last_token;
	LoadSlot slots[LOAD_MAX_RUNS];
} LoadSlots;

static LoadSlots *area = NULL;

static void
lock_slots(void)
{
	LWLockAcquire(perfopt_lwlock(PERFOPT_LOAD_LOCK), LW_EXCLUSIVE);
}

static void
unlock_slots(void)
{
	LWLockRelease(perfopt_lwlock(PERFOPT_LOAD_LOCK));
}

Size
perfopt_load_shmem_size(void)
{
	return MAXALIGN(sizeof(LoadSlots));
}

void
perfopt_load_shmem_setup(void)
{
	bool found;

	area = ShmemInitStruct("perfopt load tests", perfopt_load_shmem_size(), &found);
	if (found)
		return;
	memset(area, 0, sizeof(LoadSlots));
	for (int i = 0; i < LOAD_MAX_RUNS; i++)
		ConditionVariableInit(&area->slots[i].changed);
}

const char *
load_state_name(LoadState state)
{
	static const char *const names[] = { "running", "running", "finished", "cancelled", "failed" };

	return names[state];
}

char *
load_run_config(const LoadShared *shared)
{
	return (char *) shared + shared->config_offset;
}

LoadWorker *
load_run_worker(const LoadShared *shared, int worker)
{
	return (LoadWorker *) ((char *) shared + shared->workers_offset + shared->worker_size * worker);
}

LoadResult *
load_run_result(const LoadShared *shared, int worker, int operation)
{
	return (LoadResult *) ((char *) load_run_worker(shared, worker) + shared->result_offset +
						   shared->result_size * operation);
}

PerfoptHistogram *
load_run_service(const LoadShared *shared, int worker, int operation)
{
	return (PerfoptHistogram *) ((char *) load_run_result(shared, worker, operation) +
								 shared->service_offset);
}

PerfoptHistogram *
load_run_lag(const LoadShared *shared, int worker)
{
	return (PerfoptHistogram *) ((char *) load_run_worker(shared, worker) + shared->lag_offset);
}

LoadRow *
load_run_rows(const LoadShared *shared)
{
	return (LoadRow *) ((char *) shared + shared->rows_offset);
}

LoadResources *
load_run_resources(const LoadShared *shared)
{
	return (LoadResources *) ((char *) shared + shared->resources_offset);
}

LoadStress *
load_run_stress(const LoadShared *shared)
{
	return (LoadStress *) ((char *) shared + shared->stress_offset);
}

pg_atomic_uint64 *
load_run_sequence(const LoadShared *shared, int sequence)
{
	return (pg_atomic_uint64 *) ((char *) shared + shared->sequences_offset) + sequence;
}

static void
init_coarse(PerfoptHistogram *histogram)
{
	perfopt_histogram_init(histogram, PERFOPT_HISTOGRAM_COARSE, LOAD_MIN_EXP, LOAD_MAX_EXP);
}

static void
init_blocks(LoadShared *shared, int nsequences)
{
	for (int i = 0; i < nsequences; i++)
		pg_atomic_init_u64(load_run_sequence(shared, i), 0);
	for (int i = 0; i < shared->nworkers; i++)
	{
		init_coarse(&load_run_worker(shared, i)->latency);
		init_coarse(load_run_lag(shared, i));
		for (int j = 0; j < shared->noperations; j++)
		{
			perfopt_histogram_init(&load_run_result(shared, i, j)->latency, PERFOPT_HISTOGRAM_FINE,
								   LOAD_MIN_EXP, LOAD_MAX_EXP);
			init_coarse(load_run_service(shared, i, j));
		}
	}
}

/* Where everything is in the segment; returns its size. */
static Size
lay_out(LoadShared *head, const LoadConfig *config)
{
	Size coarse = perfopt_histogram_size(PERFOPT_HISTOGRAM_COARSE, LOAD_MIN_EXP, LOAD_MAX_EXP);
	Size fine = perfopt_histogram_size(PERFOPT_HISTOGRAM_FINE, LOAD_MIN_EXP, LOAD_MAX_EXP);

	head->config_offset = MAXALIGN(sizeof(LoadShared));
	head->sequences_offset = MAXALIGN(head->config_offset + head->config_size);
	head->stress_offset =
		MAXALIGN(head->sequences_offset + sizeof(pg_atomic_uint64) * config->nsequences);
	head->resources_offset =
		head->stress_offset + (config->kind == LOAD_KIND_STRESS ? MAXALIGN(sizeof(LoadStress)) : 0);
	head->rows_offset =
		MAXALIGN(head->resources_offset + sizeof(LoadResources) * head->noperations);
	head->workers_offset = MAXALIGN(head->rows_offset + sizeof(LoadRow) * (head->noperations + 1));
	head->lag_offset = MAXALIGN(offsetof(LoadWorker, latency) + coarse);
	head->result_offset = MAXALIGN(head->lag_offset + coarse);
	head->service_offset = MAXALIGN(offsetof(LoadResult, latency) + fine);
	head->result_size = MAXALIGN(head->service_offset + coarse);
	head->worker_size = head->result_offset + head->result_size * head->noperations;
	return head->workers_offset + head->worker_size * head->nworkers;
}

static void
create_segment(LoadRun *run, const LoadConfig *config)
{
	LoadShared head;
	LoadShared *shared;
	StringInfoData bytes;
	Size size;

	initStringInfo(&bytes);
	load_config_write(&bytes, config);

	memset(&head, 0, sizeof(head));
	head.owner = config->userid;
	head.users = config->users;
	head.connections = config->connections;
	head.nworkers = config->workers;
	head.noperations = config->noperations;
	head.ramp_up_ns = config->ramp_up_ns;
	head.window_start_ns = load_window_start_ns(config);
	head.window_ns = load_window_ns(config);
	head.ramp_down_ns = config->ramp_down_ns;
	head.level.load = config->kind == LOAD_KIND_STRESS ? config->start_level
					  : config->rate > 0               ? config->rate
													   : config->users;
	head.config_size = bytes.len;
	size = lay_out(&head, config);

	run->segment = dsm_create(size, 0);
	run->shared = shared = dsm_segment_address(run->segment);
	memset(shared, 0, size);
	*shared = head;
	pg_atomic_init_u32(&shared->recorded, 0);
	pg_atomic_init_u32(&shared->ready, 0);
	pg_atomic_init_u32(&shared->stop, LOAD_GO_ON);
	pg_atomic_init_u64(&shared->clock, 0);
	pg_atomic_init_u64(&shared->clock_ts, 0);
	pg_atomic_init_u32(&shared->state, LOAD_STARTING);
	SpinLockInit(&shared->mutex);
	memcpy(load_run_config(shared), bytes.data, bytes.len);
	init_blocks(shared, config->nsequences);
}

static void
claim_slot(LoadRun *run)
{
	run->slot = -1;
	lock_slots();
	for (int i = 0; i < LOAD_MAX_RUNS; i++)
	{
		if (area->slots[i].token == 0)
		{
			area->slots[i].token = run->shared->token = ++area->last_token;
			area->slots[i].run_id = 0;
			area->slots[i].handle = dsm_segment_handle(run->segment);
			area->slots[i].nworkers = run->shared->nworkers;
			area->slots[i].nleft = 0;
			area->slots[i].closed = false;
			run->slot = i;
			break;
		}
	}
	unlock_slots();

	if (run->slot < 0)
		ereport(ERROR,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("%d load tests are running already", LOAD_MAX_RUNS),
				 errhint(
					 "Wait for one with perfopt.wait_test, or end it with perfopt.cancel_test.")));
}

/*
 * Called when starting failed: workers that have not joined are counted as gone, and those that run
 * are told to stop.  The last of them frees the slot; with none, it is done here.
 */
static void
abandon_start(int code, Datum arg)
{
	LoadRun *run = (LoadRun *) DatumGetPointer(arg);
	LoadSlot *slot = &area->slots[run->slot];
	int missing = 0;

	load_run_stop(run, LOAD_STOP_FAILED);
	lock_slots();
	if (slot->token == run->shared->token)
	{
		slot->closed = true;
		for (int i = 0; i < run->shared->nworkers; i++)
			missing += !load_run_worker(run->shared, i)->joined;
		slot->nleft += missing;
		if (missing > 0 && slot->nleft == slot->nworkers)
			slot->token = 0;
	}
	unlock_slots();
}

static void
register_workers(const LoadRun *run, BackgroundWorkerHandle **handles)
{
	int n = run->shared->nworkers;

	for (int i = 0; i < n; i++)
	{
		BackgroundWorker worker;

		memset(&worker, 0, sizeof(worker));
		worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
		worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
		worker.bgw_restart_time = BGW_NEVER_RESTART;
		worker.bgw_main_arg = Int32GetDatum(run->slot);
		worker.bgw_notify_pid = MyProcPid;
		strlcpy(worker.bgw_library_name, "perfopt", sizeof(worker.bgw_library_name));
		strlcpy(worker.bgw_function_name, "perfopt_load_worker_main",
				sizeof(worker.bgw_function_name));
		snprintf(worker.bgw_name, sizeof(worker.bgw_name), "perfopt load %d", run->slot + 1);
		strlcpy(worker.bgw_type, "perfopt load", sizeof(worker.bgw_type));
		memcpy(worker.bgw_extra, &run->shared->token, sizeof(uint64));
		memcpy(worker.bgw_extra + sizeof(uint64), &i, sizeof(int));

		if (!RegisterDynamicBackgroundWorker(&worker, &handles[i]))
			ereport(ERROR, (errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
							errmsg("could not start the load test's %d background workers", n),
							errdetail("A worker holds %d users at most.", LOAD_USERS_PER_WORKER),
							errhint("Raise max_worker_processes, which is %d, and restart the "
									"server, or run fewer "
									"users or tests at a time.",
									max_worker_processes)));
	}
}

/* A worker that could not be forked, or died before it joined, will never say so itself. */
static bool
all_joined(const LoadRun *run, BackgroundWorkerHandle **handles)
{
	bool all = true;

	for (int i = 0; i < run->shared->nworkers; i++)
	{
		bool joined;
		pid_t pid;
		BgwHandleStatus status = GetBackgroundWorkerPid(handles[i], &pid);

		lock_slots();
		joined = load_run_worker(run->shared, i)->joined;
		unlock_slots();
		if (!joined && (status == BGWH_STOPPED || status == BGWH_POSTMASTER_DIED))
			ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_RESOURCES),
							errmsg("a background worker of the load test could not start"),
							errhint("The server log says why.")));
		all &= joined;
	}
	return all;
}

/* Raises the run's problem as this session's ERROR. */
static void
raise_problem(const LoadShared *shared)
{
	int sqlerrcode = ERRCODE_INTERNAL_ERROR;
	char *problem = load_run_problem(shared, &sqlerrcode);

	ereport(ERROR, (errcode(sqlerrcode), errmsg("could not start the load test: %s",
												problem ? problem : "it was stopped")));
}

void
load_run_start(LoadRun *run, const LoadConfig *config)
{
	BackgroundWorkerHandle **handles;

	create_segment(run, config);
	handles = palloc0(sizeof(BackgroundWorkerHandle *) * run->shared->nworkers);
	claim_slot(run);

	PG_ENSURE_ERROR_CLEANUP(abandon_start, PointerGetDatum(run));
	{
		register_workers(run, handles);
		while (!all_joined(run, handles) || pg_atomic_read_u32(&run->shared->recorded) == 0)
		{
			if (pg_atomic_read_u32(&run->shared->stop) != LOAD_GO_ON)
				raise_problem(run->shared);
			load_run_sleep(run, 50);
		}
	}
	PG_END_ENSURE_ERROR_CLEANUP(abandon_start, PointerGetDatum(run));
}

/* NULL segment when its last worker detached already. */
static bool
attach(LoadRun *run, int slot, dsm_handle handle)
{
	memset(run, 0, sizeof(*run));
	run->slot = slot;
	run->segment = dsm_attach(handle);
	if (run->segment == NULL)
		return false;
	run->shared = dsm_segment_address(run->segment);
	return true;
}

bool
load_run_open(LoadRun *run, int64 run_id)
{
	dsm_handle handle = 0;
	int slot = -1;

	lock_slots();
	for (int i = 0; i < LOAD_MAX_RUNS; i++)
	{
		if (area->slots[i].token != 0 && area->slots[i].run_id == run_id)
		{
			slot = i;
			handle = area->slots[i].handle;
		}
	}
	unlock_slots();
	return slot >= 0 && run_id > 0 && attach(run, slot, handle);
}

bool
load_run_exists(int64 run_id)
{
	bool exists = false;

	lock_slots();
	for (int i = 0; i < LOAD_MAX_RUNS; i++)
		exists |= area->slots[i].token != 0 && area->slots[i].run_id == run_id;
	unlock_slots();
	return exists;
}

void
load_run_close(LoadRun *run)
{
	dsm_detach(run->segment);
	run->segment = NULL;
	run->shared = NULL;
}

bool
load_run_over(const LoadRun *run)
{
	return load_run_state(run->shared) >= LOAD_FINISHED;
}

void
load_run_sleep(const LoadRun *run, long timeout_ms)
{
	ConditionVariable *changed = &area->slots[run->slot].changed;

	/* Without this the first sleep returns at once; with it, a change from here on ends the sleep. */
	ConditionVariablePrepareToSleep(changed);
	if (!load_run_over(run))
		(void) ConditionVariableTimedSleep(changed, timeout_ms, PERFOPT_WAIT_EVENT_MAIN);
	ConditionVariableCancelSleep();
	CHECK_FOR_INTERRUPTS();
}

void
load_run_wake(LoadRun *run)
{
	ConditionVariableBroadcast(&area->slots[run->slot].changed);
}

void
load_run_ask_collector(void)
{
	(void) perfopt_worker_request(perfopt_worker_index("perfopt collector"));
}

bool
load_run_stop(LoadRun *run, LoadStop why)
{
	uint32 expected = LOAD_GO_ON;

	return pg_atomic_compare_exchange_u32(&run->shared->stop, &expected, why);
}

void
load_run_fail(LoadRun *run, int sqlerrcode, const char *problem)
{
	LoadShared *shared = run->shared;

	SpinLockAcquire(&shared->mutex);
	if (shared->problem[0] == '\0')
	{
		shared->sqlerrcode = sqlerrcode;
		strlcpy(shared->problem, problem, sizeof(shared->problem));
	}
	SpinLockRelease(&shared->mutex);
	load_run_stop(run, LOAD_STOP_FAILED);
	load_run_wake(run);
}

LoadLevel
load_run_set_level(LoadRun *run, double load, int64 settle_ns, int64 length_ns)
{
	LoadShared *shared = run->shared;
	int64 clock = (int64) pg_atomic_read_u64(&shared->clock);
	LoadLevel level;

	level.load = load;
	level.from = load_clock() - clock + LEVEL_NOTICE_NS;
	level.measured_from = level.from + settle_ns;
	level.measured_until = level.measured_from + length_ns;
	SpinLockAcquire(&shared->mutex);
	level.number = shared->level.number + 1;
	shared->level = level;
	SpinLockRelease(&shared->mutex);
	return level;
}

char *
load_run_problem(const LoadShared *shared, int *sqlerrcode)
{
	LoadShared *mutable = unconstify(LoadShared *, shared);
	char problem[sizeof(shared->problem)];

	SpinLockAcquire(&mutable->mutex);
	memcpy(problem, shared->problem, sizeof(problem));
	if (problem[0] != '\0' && sqlerrcode != NULL)
		*sqlerrcode = shared->sqlerrcode;
	SpinLockRelease(&mutable->mutex);
	return problem[0] == '\0' ? NULL : pstrdup(problem);
}

bool
load_run_join(LoadRun *run, int slot, uint64 token, int worker)
{
	dsm_handle handle = 0;
	bool joined = false;

	lock_slots();
	if (area->slots[slot].token == token && !area->slots[slot].closed)
		handle = area->slots[slot].handle;
	unlock_slots();
	if (handle == 0 || !attach(run, slot, handle))
		return false;
	dsm_pin_mapping(run->segment);

	lock_slots();
	if (area->slots[slot].token == token && !area->slots[slot].closed)
		joined = load_run_worker(run->shared, worker)->joined = true;
	unlock_slots();
	if (joined)
		load_run_wake(run);
	return joined;
}

void
load_run_set_id(LoadRun *run, int64 run_id)
{
	lock_slots();
	area->slots[run->slot].run_id = run->shared->run_id = run_id;
	unlock_slots();
}

bool
load_run_leave(LoadRun *run, int worker)
{
	LoadWorker *mine = load_run_worker(run->shared, worker);
	bool last = false;

	lock_slots();
	if (!mine->left)
	{
		mine->left = true;
		last = ++area->slots[run->slot].nleft == area->slots[run->slot].nworkers;
	}
	unlock_slots();
	return last;
}

void
load_run_finish(LoadRun *run, LoadState state)
{
	pg_atomic_write_u32(&run->shared->state, state);
	lock_slots();
	if (area->slots[run->slot].token == run->shared->token)
		area->slots[run->slot].token = 0;
	unlock_slots();
	load_run_wake(run);
}
