/*
 * worker.c
 *	  Registration and loop of the static workers, and the shared table of all workers.
 */
#include "postgres.h"

#ifdef __GLIBC__
#include <malloc.h>
#endif
#include <sys/resource.h>
#include <time.h>

#include "access/xact.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/pmsignal.h"
#include "storage/proc.h"
#include "storage/procarray.h"
#include "storage/shmem.h"
#include "tcop/tcopprot.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/timeout.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "guc.h"
#include "worker/shared.h"

/* Seconds until the postmaster starts a worker again that ended. */
#define RESTART_S 5

/* How often the books of a worker without a database are written, in microseconds. */
#define BOOKS_US 500000

/* The longest plain sleep, in microseconds: the interval of the slowest usual sampling. */
#define MAX_SLEEP_US 100000

/* A cycle may take as long as its interval, but never less than this before it is cancelled. */
#define MIN_DEADLINE_MS 5000

/* So much memory that was freed a worker keeps while a cycle runs, and until the next one. */
#define KEPT_IN_CYCLE_BYTES (1024 * 1024)
#define KEPT_AT_REST_BYTES (128 * 1024)

WorkerShared *perfopt_worker_shared = NULL;

static const PerfoptWorkerDef *worker_defs = NULL;
static int worker_ndefs = 0;

/* How long a worker rests whose database does not exist before it looks, and logs, again. */
#define MISSING_DATABASE_REST_MS (10 * 60 * 1000L)

static WorkerSlot *my_slot = NULL;

void
perfopt_worker_register(const PerfoptWorkerDef *defs, int ndefs)
{
	Assert(ndefs <= PERFOPT_STATIC_SLOTS);
	worker_defs = defs;
	worker_ndefs = ndefs;

	/* pg_upgrade must find the cluster exactly as it left it. */
	if (IsBinaryUpgrade)
		return;

	for (int i = 0; i < ndefs; i++)
	{
		BackgroundWorker worker;

		memset(&worker, 0, sizeof(worker));
		worker.bgw_flags = BGWORKER_SHMEM_ACCESS;
		if (defs[i].needs_database)
			worker.bgw_flags |= BGWORKER_BACKEND_DATABASE_CONNECTION;
		worker.bgw_start_time = defs[i].start;
		worker.bgw_restart_time = RESTART_S;
		worker.bgw_main_arg = Int32GetDatum(i);
		strlcpy(worker.bgw_library_name, "perfopt", sizeof(worker.bgw_library_name));
		strlcpy(worker.bgw_function_name, "perfopt_worker_main", sizeof(worker.bgw_function_name));
		strlcpy(worker.bgw_name, defs[i].name, sizeof(worker.bgw_name));
		strlcpy(worker.bgw_type, defs[i].name, sizeof(worker.bgw_type));
		RegisterBackgroundWorker(&worker);
	}
}

Size
perfopt_worker_shmem_size(void)
{
	return MAXALIGN(sizeof(WorkerShared));
}

void
perfopt_worker_shmem_setup(void)
{
	bool found;

	perfopt_worker_shared = ShmemInitStruct("perfopt workers", perfopt_worker_shmem_size(), &found);
	if (found)
		return;

	memset(perfopt_worker_shared, 0, sizeof(WorkerShared));
	SpinLockInit(&perfopt_worker_shared->mutex);
	for (int i = 0; i < PERFOPT_WORKER_SLOTS; i++)
		ConditionVariableInit(&perfopt_worker_shared->slots[i].done);
}

static void
leave_slot(int code, Datum arg)
{
	SpinLockAcquire(&perfopt_worker_shared->mutex);
	my_slot->pid = 0;
	my_slot->connected = false;
	SpinLockRelease(&perfopt_worker_shared->mutex);
	ConditionVariableBroadcast(&my_slot->done);
}

static void
enter_slot(int first, int last)
{
	SpinLockAcquire(&perfopt_worker_shared->mutex);
	for (int i = first; i < last; i++)
	{
		if (perfopt_worker_shared->slots[i].pid == 0)
		{
			my_slot = &perfopt_worker_shared->slots[i];
			my_slot->pid = MyProcPid;
			my_slot->procno = PERFOPT_MY_PROCNO;
			my_slot->connected = false;
			break;
		}
	}
	SpinLockRelease(&perfopt_worker_shared->mutex);

	if (my_slot == NULL)
		ereport(ERROR, (errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
						errmsg("too many perfopt workers are running"),
						errdetail("At most %d workers run at a time beside the permanent ones.",
								  PERFOPT_DYNAMIC_SLOTS)));

	before_shmem_exit(leave_slot, (Datum) 0);
}

static void
take_signals(void)
{
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();
}

void
perfopt_worker_begin(const char *name)
{
	take_signals();
	enter_slot(PERFOPT_STATIC_SLOTS, PERFOPT_WORKER_SLOTS);
	pgstat_report_appname(name);
}

bool
perfopt_worker_reload(void)
{
	if (!ConfigReloadPending)
		return false;
	ConfigReloadPending = false;
	ProcessConfigFile(PGC_SIGHUP);
	return true;
}

static emit_log_hook_type prev_emit_log_hook = NULL;

/*
 * InitPostgres ends the process when the database does not exist; the next start should know, so as
 * to wait for CREATE DATABASE rather than fill the log every five seconds.
 */
static void
note_missing_database(ErrorData *edata)
{
	if (edata->elevel == FATAL && (edata->sqlerrcode == ERRCODE_UNDEFINED_DATABASE ||
								   edata->sqlerrcode == ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE))
	{
		SpinLockAcquire(&perfopt_worker_shared->mutex);
		perfopt_worker_shared->database_missing = true;
		SpinLockRelease(&perfopt_worker_shared->mutex);
	}
	if (prev_emit_log_hook)
		prev_emit_log_hook(edata);
}

static void
rest(long timeout_ms)
{
	(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, timeout_ms,
					 PERFOPT_WAIT_EVENT_MAIN);
	ResetLatch(MyLatch);
	CHECK_FOR_INTERRUPTS();
}

static bool
database_missing(void)
{
	bool missing;

	SpinLockAcquire(&perfopt_worker_shared->mutex);
	missing = perfopt_worker_shared->database_missing;
	SpinLockRelease(&perfopt_worker_shared->mutex);
	return missing;
}

/* Under one lock, so that DDL either sees us connected or we see its pause. */
static bool
announce_connection(const char *database)
{
	bool paused;

	SpinLockAcquire(&perfopt_worker_shared->mutex);
	paused = perfopt_worker_paused(database);
	if (!paused)
	{
		my_slot->connected = true;
		namestrcpy(&my_slot->database, database);
	}
	SpinLockRelease(&perfopt_worker_shared->mutex);
	return !paused;
}

/*
 * A worker must neither wait long for a lock, nor for a standby, nor resolve a name in a schema where a
 * user could have put something.  Shorter than deadlock_timeout, so that in a deadlock it is always the
 * worker that gives in.
 */
static void
settle_session(void)
{
	SetConfigOption("search_path", "pg_catalog, pg_temp", PGC_SUSET, PGC_S_SESSION);
	SetConfigOption("lock_timeout", "500ms", PGC_USERSET, PGC_S_SESSION);
	SetConfigOption("synchronous_commit", "local", PGC_USERSET, PGC_S_SESSION);
	SetConfigOption("jit", "off", PGC_USERSET, PGC_S_SESSION);
	SetConfigOption("max_parallel_workers_per_gather", "0", PGC_USERSET, PGC_S_SESSION);
	SetConfigOption("TimeZone", "UTC", PGC_USERSET, PGC_S_SESSION);
	SetConfigOption("default_transaction_isolation", "read committed", PGC_USERSET, PGC_S_SESSION);
	SetConfigOption("default_transaction_read_only", "off", PGC_USERSET, PGC_S_SESSION);
}

bool
perfopt_worker_visit(const char *database)
{
	if (!announce_connection(database))
		return false;
	BackgroundWorkerInitializeConnection(database, NULL, 0);
	settle_session();
	return true;
}

void
perfopt_worker_connect(void)
{
	TimestampTz give_up =
		TimestampTzPlusMilliseconds(GetCurrentTimestamp(), MISSING_DATABASE_REST_MS);

	/* Until a database is created or renamed, or the configuration re-read. */
	while (database_missing() && !ConfigReloadPending && GetCurrentTimestamp() < give_up)
		rest(MISSING_DATABASE_REST_MS);

	while (!announce_connection(perfopt_database))
		rest(200);
	SpinLockAcquire(&perfopt_worker_shared->mutex);
	perfopt_worker_shared->database_missing = false;
	SpinLockRelease(&perfopt_worker_shared->mutex);

	prev_emit_log_hook = emit_log_hook;
	emit_log_hook = note_missing_database;
	BackgroundWorkerInitializeConnection(perfopt_database, NULL, 0);
	emit_log_hook = prev_emit_log_hook;
	settle_session();
}

static int64
cpu_time_us(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * INT64CONST(1000000) +
		   usage.ru_utime.tv_usec + usage.ru_stime.tv_usec;
}

int
perfopt_worker_deadline_ms(long interval_ms)
{
	return Max(MIN_DEADLINE_MS, (int) interval_ms);
}

/*
 * Runs one cycle and survives its errors.  Returns the reason why nothing was done, or NULL.
 */
static const char *
run_cycle(const PerfoptWorkerDef *def, MemoryContext context)
{
	static int last_sqlerrcode = 0;
	const char *volatile problem = NULL;
	MemoryContext oldcontext;

	/* No transactions here, so no way to clean up: an error ends and restarts the worker. */
	if (!def->needs_database)
		return def->cycle();

	oldcontext = MemoryContextSwitchTo(context);
	PG_TRY();
	{
		enable_timeout_after(STATEMENT_TIMEOUT, perfopt_worker_deadline_ms(def->interval_ms()));
		problem = def->cycle();
		disable_timeout(STATEMENT_TIMEOUT, false);
		last_sqlerrcode = 0;
	}
	PG_CATCH();
	{
		HOLD_INTERRUPTS();
		disable_timeout(STATEMENT_TIMEOUT, false);
		QueryCancelPending = false;
		if (geterrcode() != last_sqlerrcode)
			EmitErrorReport();
		last_sqlerrcode = geterrcode();
		LWLockReleaseAll();
		AbortCurrentTransaction();
		FlushErrorState();
		RESUME_INTERRUPTS();
		problem = "the cycle failed; the server log says why";
	}
	PG_END_TRY();

	MemoryContextSwitchTo(oldcontext);
	MemoryContextReset(context);
	pgstat_report_stat(false);
	return problem;
}

/* CPU time since the last call, as the mean of the cycles since then: waking up for them is in it. */
static void
account_cpu(void)
{
	static int64 cpu = 0;
	static uint64 cycles = 0;
	int64 now = cpu_time_us();

	SpinLockAcquire(&perfopt_worker_shared->mutex);
	if (my_slot->stats.cycles > cycles)
		my_slot->stats.last_cpu_us = (now - cpu) / (int64) (my_slot->stats.cycles - cycles);
	cycles = my_slot->stats.cycles;
	SpinLockRelease(&perfopt_worker_shared->mutex);
	cpu = now;
}

/* One cycle with its bookkeeping in the shared slot, where it stands for `cycles` of its kind. */
static void
account_cycle(const PerfoptWorkerDef *def, MemoryContext context, TimestampTz due, uint64 cycles)
{
	uint64 request;
	bool served;
	TimestampTz began = GetCurrentTimestamp();
	TimestampTz ended;
	const char *problem;

	SpinLockAcquire(&perfopt_worker_shared->mutex);
	request = my_slot->requested;
	served = request > my_slot->completed;
	SpinLockRelease(&perfopt_worker_shared->mutex);

	if (def->needs_database)
		pgstat_report_activity(STATE_RUNNING, def->name);
	problem = run_cycle(def, context);
	if (def->needs_database)
		pgstat_report_activity(STATE_IDLE, NULL);

	ended = GetCurrentTimestamp();
	SpinLockAcquire(&perfopt_worker_shared->mutex);
	my_slot->completed = request;
	strlcpy(my_slot->problem, problem ? problem : "", sizeof(my_slot->problem));
	my_slot->stats.cycles += cycles;
	my_slot->stats.last_wall_us = ended - began;
	my_slot->stats.last_lag_us = Max(began - due, 0);
	SpinLockRelease(&perfopt_worker_shared->mutex);
	if (served)
		ConditionVariableBroadcast(&my_slot->done);
	account_cpu();
}

bool
perfopt_worker_asked(void)
{
	bool requested;

	SpinLockAcquire(&perfopt_worker_shared->mutex);
	requested = my_slot->requested > my_slot->completed;
	SpinLockRelease(&perfopt_worker_shared->mutex);
	return requested;
}

/*
 * The next point of the grid after now.  A clock that was set back would leave `due` far ahead; the
 * grid begins afresh then.
 */
static TimestampTz
next_due(TimestampTz due, TimestampTz now, int64 interval_us)
{
	int64 missed;

	if (due > now + interval_us)
		return now + interval_us;
	if (due > now)
		return due;

	missed = (now - due) / interval_us;
	if (missed > 0)
	{
		SpinLockAcquire(&perfopt_worker_shared->mutex);
		my_slot->stats.skipped += missed;
		SpinLockRelease(&perfopt_worker_shared->mutex);
	}
	return due + (missed + 1) * interval_us;
}

/*
 * Waits until then, or for the latch.  A short wait is a plain sleep, which costs a fifth less than
 * waiting for the latch: a signal ends it, and what a process without a signal wants has time until it
 * is over.
 */
static int
rest_until(TimestampTz now, TimestampTz due)
{
	int64 rest_us = due - now;
	struct timespec time;

	if (rest_us > MAX_SLEEP_US)
		return WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 TimestampDifferenceMilliseconds(now, due), PERFOPT_WAIT_EVENT_MAIN);

	time.tv_sec = 0;
	time.tv_nsec = Max(rest_us, 0) * 1000;
	pgstat_report_wait_start(PERFOPT_WAIT_EVENT_MAIN);
	(void) nanosleep(&time, NULL);
	pgstat_report_wait_end();
	if (!PostmasterIsAlive())
		proc_exit(1);
	return MyLatch->is_set ? WL_LATCH_SET : WL_TIMEOUT;
}

/*
 * The loop of a worker without a database, whose cycles are many and take microseconds: looking after
 * them as after others would take longer than they do.  So what a signal or another process can change
 * is looked at when the latch was set, and the books are written at intervals.
 */
static void
run_without_database(const PerfoptWorkerDef *def)
{
	TimestampTz due = GetCurrentTimestamp();
	TimestampTz booked = 0;
	int64 interval_us = 0;
	uint64 unbooked = 0;
	int events = WL_LATCH_SET;

	for (;;)
	{
		TimestampTz now;

		if (events & WL_LATCH_SET)
		{
			ResetLatch(MyLatch);
			CHECK_FOR_INTERRUPTS();
			if (perfopt_worker_reload())
				due = GetCurrentTimestamp();
			interval_us = def->interval_ms() * INT64CONST(1000);
			if (perfopt_worker_asked())
				account_cycle(def, NULL, due, 1);
		}

		now = GetCurrentTimestamp();
		if (interval_us > 0 && due <= now)
		{
			unbooked++;
			if (now >= booked && now < booked + BOOKS_US)
				(void) def->cycle();
			else
			{
				account_cycle(def, NULL, due, unbooked);
				booked = now;
				unbooked = 0;
			}
		}
		if (interval_us > 0)
			due = next_due(due, now, interval_us);
		events = rest_until(now, interval_us > 0 ? due : now + 60 * USECS_PER_SEC);
	}
}

/*
 * A cycle takes a megabyte and gives it back, source by source.  By its own rules the C library would
 * return it to the system each time, and to touch it anew costs more than what is done with it.  Blocks of
 * memory contexts that stay are large when they are mostly for later: those are mapped by themselves,
 * which leaves to the system what nobody touches.
 */
static void
keep_freed_memory(void)
{
#ifdef __GLIBC__
	(void) mallopt(M_MMAP_THRESHOLD, 1024 * 1024);
	(void) mallopt(M_TRIM_THRESHOLD, KEPT_IN_CYCLE_BYTES);
	(void) mallopt(M_TOP_PAD, KEPT_AT_REST_BYTES);
#endif
}

/* At the end of a cycle, also what lies between what stays: 0.2 ms for some 1.5 MB that nobody else has then. */
static void
return_unused_memory(void)
{
#ifdef __GLIBC__
	(void) malloc_trim(KEPT_AT_REST_BYTES);
#endif
}

static void
run_with_database(const PerfoptWorkerDef *def)
{
	MemoryContext context =
		AllocSetContextCreate(TopMemoryContext, "perfopt cycle", ALLOCSET_DEFAULT_SIZES);
	TimestampTz due = GetCurrentTimestamp();

	keep_freed_memory();
	for (;;)
	{
		long interval_ms = def->interval_ms();
		TimestampTz now = GetCurrentTimestamp();

		if (perfopt_worker_asked() || (interval_ms > 0 && due <= now))
		{
			account_cycle(def, context, Min(due, now), 1);
			return_unused_memory();
		}

		interval_ms = def->interval_ms();
		now = GetCurrentTimestamp();
		if (interval_ms > 0)
			due = next_due(due, now, interval_ms * INT64CONST(1000));
		if (!perfopt_worker_asked())
			rest(interval_ms > 0 ? TimestampDifferenceMilliseconds(now, due) : 60 * 1000L);
		if (perfopt_worker_reload())
			due = GetCurrentTimestamp();
	}
}

void
perfopt_worker_main(Datum arg)
{
	int index = DatumGetInt32(arg);
	const PerfoptWorkerDef *def = &worker_defs[index];

	take_signals();
	enter_slot(index, index + 1);
	if (def->needs_database)
		perfopt_worker_connect();
	account_cpu();
	if (def->needs_database)
		run_with_database(def);
	else
		run_without_database(def);
}

uint64
perfopt_worker_request(int index)
{
	WorkerSlot *slot = &perfopt_worker_shared->slots[index];
	uint64 request;
	pid_t pid;
	int procno;

	SpinLockAcquire(&perfopt_worker_shared->mutex);
	request = ++slot->requested;
	pid = slot->pid;
	procno = slot->procno;
	SpinLockRelease(&perfopt_worker_shared->mutex);

	/* At worst another process has the place by now, and wakes once for nothing. */
	if (pid != 0)
		SetLatch(&GetPGProcByNumber(procno)->procLatch);
	return request;
}

void
perfopt_worker_run_once(int index)
{
	WorkerSlot *slot = &perfopt_worker_shared->slots[index];
	TimestampTz give_up = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), 10000);
	uint64 request = perfopt_worker_request(index);
	char problem[sizeof(slot->problem)] = "";
	bool done = false;

	ConditionVariablePrepareToSleep(&slot->done);
	for (;;)
	{
		bool running;

		SpinLockAcquire(&perfopt_worker_shared->mutex);
		running = slot->pid != 0 && slot->connected;
		done = slot->completed >= request;
		strlcpy(problem, slot->problem, sizeof(problem));
		SpinLockRelease(&perfopt_worker_shared->mutex);
		if (done || (!running && GetCurrentTimestamp() > give_up))
			break;
		(void) ConditionVariableTimedSleep(&slot->done, 1000, PERFOPT_WAIT_EVENT_MAIN);
	}
	ConditionVariableCancelSleep();

	if (!done)
		ereport(
			ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("%s is not running", worker_defs[index].name),
			 errhint("It needs database \"%s\" (perfopt.database) to exist, and the server not to "
					 "be in recovery. The server log says more.",
					 perfopt_database)));
	if (problem[0] != '\0')
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("%s could not complete its cycle: %s", worker_defs[index].name, problem)));
}

int
perfopt_worker_count(void)
{
	return worker_ndefs;
}

const char *
perfopt_worker_name(int index)
{
	return worker_defs[index].name;
}

int
perfopt_worker_index(const char *name)
{
	for (int i = 0; i < worker_ndefs; i++)
		if (strcmp(worker_defs[i].name, name) == 0)
			return i;
	elog(ERROR, "there is no worker \"%s\"", name);
	return -1;
}

void
perfopt_worker_get_stats(int index, PerfoptWorkerStats *stats)
{
	SpinLockAcquire(&perfopt_worker_shared->mutex);
	*stats = perfopt_worker_shared->slots[index].stats;
	SpinLockRelease(&perfopt_worker_shared->mutex);
}
