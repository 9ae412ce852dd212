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
#include "utils/hsearch.h"
#include "utils/wait_event.h"

#include "compat.h"
#include "guc.h"
#include "sampler/sampler.h"
#include "shmem.h"

#define WAIT_CLASS_MASK 0xFF000000

/* Guarded by PERFOPT_SAMPLER_LOCK. */
typedef struct SamplerShared
{
	int ticks;
	uint64 overflow;
} SamplerShared;

SamplerProc *perfopt_sampler_procs = NULL;

static SamplerShared *sampler_shared = NULL;
static HTAB *sampler_counts = NULL;

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

	size = add_size(size, MAXALIGN(mul_size(max_procs(), sizeof(SamplerProc))));
	return add_size(size,
					hash_estimate_size(PERFOPT_SAMPLER_MAX_KEYS, sizeof(PerfoptSessionCount)));
}

void
perfopt_sampler_shmem_setup(void)
{
	HASHCTL ctl;
	bool found;

	sampler_shared = ShmemInitStruct("perfopt sampler", sizeof(SamplerShared), &found);
	if (!found)
		memset(sampler_shared, 0, sizeof(SamplerShared));

	perfopt_sampler_procs =
		ShmemInitStruct("perfopt sampler processes", max_procs() * sizeof(SamplerProc), &found);
	if (!found)
		memset(perfopt_sampler_procs, 0, max_procs() * sizeof(SamplerProc));

	memset(&ctl, 0, sizeof(ctl));
	ctl.keysize = sizeof(PerfoptSessionKey);
	ctl.entrysize = sizeof(PerfoptSessionCount);
	sampler_counts =
		ShmemInitHash("perfopt sampler counts", PERFOPT_SAMPLER_MAX_KEYS, PERFOPT_SAMPLER_MAX_KEYS,
					  &ctl, HASH_ELEM | HASH_BLOBS | HASH_FIXED_SIZE);
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
	uint32 wait = *(volatile uint32 *) &proc->wait_event_info;
	bool in_xact = LocalTransactionIdIsValid(PERFOPT_PROC_LXID(proc));
	bool told_valid = told->pid == pid;

	if (pid == 0 || pid == MyProcPid)
		return false;

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

const char *
perfopt_sampler_cycle(void)
{
	int nprocs = Min((int) ProcGlobal->allProcCount, max_procs());

	LWLockAcquire(perfopt_lwlock(PERFOPT_SAMPLER_LOCK), LW_EXCLUSIVE);
	sampler_shared->ticks++;
	for (int i = 0; i < nprocs; i++)
	{
		PerfoptSessionKey key;
		PerfoptSessionCount *count;
		bool found;

		if (!look_at(&ProcGlobal->allProcs[i], i, &key))
			continue;
		count = hash_search(sampler_counts, &key, HASH_ENTER_NULL, &found);
		if (count == NULL)
			sampler_shared->overflow++;
		else
			count->n = found ? count->n + 1 : 1;
	}
	LWLockRelease(perfopt_lwlock(PERFOPT_SAMPLER_LOCK));
	return NULL;
}

void
perfopt_sampler_drain(PerfoptSessionCounts *counts)
{
	HASH_SEQ_STATUS scan;
	PerfoptSessionCount *count;

	/* Allocated before the lock is taken, so that nothing can fail under it. */
	memset(counts, 0, sizeof(*counts));
	counts->counts = palloc(PERFOPT_SAMPLER_MAX_KEYS * sizeof(PerfoptSessionCount));

	LWLockAcquire(perfopt_lwlock(PERFOPT_SAMPLER_LOCK), LW_EXCLUSIVE);
	counts->ticks = sampler_shared->ticks;
	counts->overflow = sampler_shared->overflow;
	hash_seq_init(&scan, sampler_counts);
	while ((count = hash_seq_search(&scan)) != NULL)
	{
		counts->counts[counts->ncounts++] = *count;
		hash_search(sampler_counts, &count->key, HASH_REMOVE, NULL);
	}
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
