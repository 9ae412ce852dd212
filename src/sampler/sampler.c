/*
 * sampler.c
 *	  The sampler's look at the process array and the shared table of counts.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "storage/lwlock.h"
#include "storage/proc.h"
#include "storage/procarray.h"
#include "storage/shmem.h"
#include "utils/wait_event.h"

#include "compat.h"
#include "guc.h"
#include "sampler/sampler.h"
#include "shmem.h"

#define WAIT_CLASS_MASK 0xFF000000

/* How many processes ahead their memory is asked for: enough to hide a miss of all caches. */
#define PREFETCH_DISTANCE 8

/* Guarded by PERFOPT_SAMPLER_LOCK. */
typedef struct SamplerShared
{
	int ticks;
	uint64 overflow;
	PerfoptCountTable table;
} SamplerShared;

SamplerProc *perfopt_sampler_procs = NULL;

static SamplerShared *sampler_shared = NULL;

/* As many places as the server has in its process array, without the dummies of prepared xacts. */
static int
max_procs(void)
{
	return MaxBackends + NUM_AUXILIARY_PROCS;
}

Size
perfopt_sampler_shmem_size(void)
{
	Size size = MAXALIGN(sizeof(SamplerShared));

	return add_size(size, MAXALIGN(mul_size(max_procs(), sizeof(SamplerProc))));
}

void
perfopt_sampler_shmem_setup(void)
{
	bool found;

	sampler_shared = ShmemInitStruct("perfopt sampler", sizeof(SamplerShared), &found);
	if (!found)
		memset(sampler_shared, 0, sizeof(SamplerShared));

	perfopt_sampler_procs =
		ShmemInitStruct("perfopt sampler processes", max_procs() * sizeof(SamplerProc), &found);
	if (!found)
		memset(perfopt_sampler_procs, 0, max_procs() * sizeof(SamplerProc));
}

long
perfopt_sampler_interval_ms(void)
{
	return perfopt_sampling_frequency > 0 ? 1000L / perfopt_sampling_frequency : 0;
}

/*
 * Whether a process is active, and in which state.  Everything is read without locks: each field is
 * read in one go, and a sample that mixes two moments microseconds apart does no harm.
 */
static bool
look_at(PGPROC *proc, int procno, PerfoptSessionKey *key)
{
	const SamplerProc *told = &perfopt_sampler_procs[procno];
	int pid = *(volatile int *) &proc->pid;
	uint32 wait;
	bool in_xact;
	bool told_valid;

	if (pid == 0 || pid == MyProcPid)
		return false;
	wait = *(volatile uint32 *) &proc->wait_event_info;
	in_xact = LocalTransactionIdIsValid(PERFOPT_PROC_LXID(proc));
	told_valid = told->pid == pid;

	memset(key, 0, sizeof(*key));
	key->database = proc->databaseId;
	key->role = proc->roleId;
	key->wait_event_info = wait;

	switch (wait & WAIT_CLASS_MASK)
	{
		case 0:
			if (key->role != InvalidOid && !in_xact && !(told_valid && told->executing))
				return false;
			break;
		case PG_WAIT_ACTIVITY:
			return false;
		case PG_WAIT_EXTENSION:
			/* Other extensions' workers rest in this class. */
			if (key->role == InvalidOid)
				return false;
			break;
		case PG_WAIT_CLIENT:
			if (wait == WAIT_EVENT_CLIENT_READ && !in_xact)
				return false;
			break;
	}

	if (told_valid)
	{
		if (told->ignored)
			return false;
		key->query_id = told->query_id;
	}
	if (told->operation_pid == pid)
		key->operation = told->operation;
	return true;
}

/*
 * Nearly all the time of a look goes into waiting for memory: between two looks the sessions have had
 * the caches for themselves.  So it is asked for some processes ahead.
 */
static inline void
prefetch(int procno)
{
	const PGPROC *proc = &ProcGlobal->allProcs[procno];

	__builtin_prefetch(&PERFOPT_PROC_LXID(proc));
	__builtin_prefetch(&proc->roleId);
	__builtin_prefetch(&proc->wait_event_info);
}

/*
 * The places of client sessions come first in the process array.  They are taken from a stack, so on
 * most servers the greater part has never been used: nobody has told of a statement there, and looking
 * costs more than at a place in use, whose memory somebody keeps in a cache.
 */
static inline bool
never_used(int procno)
{
	return procno < MaxConnections && perfopt_sampler_procs[procno].pid == 0;
}

const char *
perfopt_sampler_cycle(void)
{
	static LWLock *lock = NULL;
	int nprocs = Min((int) ProcGlobal->allProcCount, max_procs());

	if (lock == NULL)
		lock = perfopt_lwlock(PERFOPT_SAMPLER_LOCK);
	LWLockAcquire(lock, LW_EXCLUSIVE);
	sampler_shared->ticks++;
	for (int i = 0; i < nprocs; i++)
	{
		PerfoptSessionKey key;

		if (i + PREFETCH_DISTANCE < nprocs && !never_used(i + PREFETCH_DISTANCE))
			prefetch(i + PREFETCH_DISTANCE);
		if (!never_used(i) && look_at(&ProcGlobal->allProcs[i], i, &key) &&
			!perfopt_counts_add(&sampler_shared->table, &key))
			sampler_shared->overflow++;
	}
	LWLockRelease(lock);
	return NULL;
}

void
perfopt_sampler_drain(PerfoptSessionCounts *counts)
{
	PerfoptCountTable *table = &sampler_shared->table;

	/* Allocated before the lock is taken, so that nothing can fail under it. */
	memset(counts, 0, sizeof(*counts));
	counts->counts = palloc(PERFOPT_SAMPLER_MAX_KEYS * sizeof(PerfoptSessionCount));

	LWLockAcquire(perfopt_lwlock(PERFOPT_SAMPLER_LOCK), LW_EXCLUSIVE);
	counts->ticks = sampler_shared->ticks;
	counts->overflow = sampler_shared->overflow;
	counts->ncounts = table->ncounts;
	memcpy(counts->counts, table->counts, table->ncounts * sizeof(PerfoptSessionCount));
	perfopt_counts_clear(table);
	sampler_shared->ticks = 0;
	sampler_shared->overflow = 0;
	LWLockRelease(perfopt_lwlock(PERFOPT_SAMPLER_LOCK));
}

int
perfopt_sampler_locate(int pid)
{
	PGPROC *proc = BackendPidGetProc(pid);

	return proc != NULL ? PERFOPT_PROCNO(proc) : -1;
}

int64
perfopt_sampler_query_id(int pid)
{
	int procno = perfopt_sampler_locate(pid);

	if (procno < 0 || procno >= max_procs() || perfopt_sampler_procs[procno].pid != pid)
		return 0;
	return (int64) perfopt_sampler_procs[procno].query_id;
}

void
perfopt_sampler_tag(int procno, int pid, uint32 operation)
{
	if (procno < 0 || procno >= max_procs())
		return;
	perfopt_sampler_procs[procno].operation = operation;
	perfopt_sampler_procs[procno].operation_pid = pid;
}

void
perfopt_sampler_ignore_me(void)
{
	if (perfopt_sampler_procs != NULL)
		perfopt_sampler_procs[PERFOPT_MY_PROCNO].ignored = true;
}
