/*
 * shmem.c
 *	  Fixed shared memory, one area a room.
 */
#include "postgres.h"

#include "commands/dbcommands.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"

#include "collect/calls.h"
#include "collect/status.h"
#include "guc.h"
#include "load/run.h"
#include "sampler/sampler.h"
#include "shmem.h"
#include "worker/worker.h"

typedef struct RoomArea
{
	Size (*size)(void);
	void (*setup)(void); /* called under AddinShmemInitLock; must cope with an area that exists */
} RoomArea;

static const RoomArea areas[] = {
	{ perfopt_worker_shmem_size, perfopt_worker_shmem_setup },
	{ perfopt_sampler_shmem_size, perfopt_sampler_shmem_setup },
	{ perfopt_collect_shmem_size, perfopt_collect_shmem_setup },
	{ perfopt_calls_shmem_size, perfopt_calls_shmem_setup },
	{ perfopt_load_shmem_size, perfopt_load_shmem_setup },
};

static shmem_request_hook_type prev_shmem_request_hook = NULL;
static shmem_startup_hook_type prev_shmem_startup_hook = NULL;
static bool preloaded = false;

static void
request_shmem(void)
{
	if (prev_shmem_request_hook)
		prev_shmem_request_hook();

	for (int i = 0; i < lengthof(areas); i++)
		RequestAddinShmemSpace(areas[i].size());
	RequestNamedLWLockTranche("perfopt", PERFOPT_NUM_LWLOCKS);
}

static void
startup_shmem(void)
{
	if (prev_shmem_startup_hook)
		prev_shmem_startup_hook();

	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	for (int i = 0; i < lengthof(areas); i++)
		areas[i].setup();
	LWLockRelease(AddinShmemInitLock);
}

void
perfopt_shmem_init(void)
{
	prev_shmem_request_hook = shmem_request_hook;
	shmem_request_hook = request_shmem;
	prev_shmem_startup_hook = shmem_startup_hook;
	shmem_startup_hook = startup_shmem;
	preloaded = true;
}

LWLock *
perfopt_lwlock(PerfoptLWLock which)
{
	return &GetNamedLWLockTranche("perfopt")[which].lock;
}

bool
perfopt_is_preloaded(void)
{
	return preloaded;
}

void
perfopt_require_preload(void)
{
	if (!preloaded)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("perfopt is not loaded at server start"),
				 errdetail("Sampling, collecting and load tests need perfopt's background workers "
						   "and shared memory."),
				 errhint(
					 "Add perfopt to shared_preload_libraries, for example with ALTER SYSTEM SET "
					 "shared_preload_libraries = 'perfopt', and restart the server.")));
}

bool
perfopt_is_home(void)
{
	return preloaded && get_database_oid(perfopt_database, true) == MyDatabaseId;
}

void
perfopt_require_home(void)
{
	perfopt_require_preload();
	if (!perfopt_is_home())
		ereport(
			ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("perfopt works in database \"%s\", not in \"%s\"", perfopt_database,
					get_database_name(MyDatabaseId)),
			 errhint("Connect to database \"%s\", or set perfopt.database = '%s' and restart the "
					 "server.",
					 perfopt_database, get_database_name(MyDatabaseId))));
}
