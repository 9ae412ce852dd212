/*
 * shared.h
 *	  The worker room's shared table: who is running, and which DDL asks them to stay away.
 *	  Private to src/worker.
 */
#ifndef PERFOPT_WORKER_SHARED_H
#define PERFOPT_WORKER_SHARED_H

#include "storage/condition_variable.h"
#include "storage/spin.h"

#include "worker/worker.h"

#define PERFOPT_STATIC_SLOTS 8   /* static workers, by index */
#define PERFOPT_DYNAMIC_SLOTS 64 /* load workers, and those that the collector sends */
#define PERFOPT_WORKER_SLOTS (PERFOPT_STATIC_SLOTS + PERFOPT_DYNAMIC_SLOTS)
#define PERFOPT_MAX_PAUSES 8

typedef struct WorkerSlot
{
	pid_t pid;      /* 0 when free */
	int procno;     /* its place in the server's process array */
	bool connected; /* to that database, or just about to */
	NameData database;

	/* Static workers only. */
	uint64 requested; /* cycles asked for by perfopt_worker_run_once */
	uint64 completed; /* the request number that the last cycle served */
	char problem[96]; /* why that cycle did nothing, or empty */
	ConditionVariable done;
	PerfoptWorkerStats stats;
} WorkerSlot;

/* A backend whose DDL needs a database free of workers. */
typedef struct WorkerPause
{
	pid_t pid; /* 0 when free */
	NameData database;
} WorkerPause;

typedef struct WorkerShared
{
	slock_t mutex;         /* guards all below */
	bool database_missing; /* the last attempt to connect found no such database */
	WorkerPause pauses[PERFOPT_MAX_PAUSES];
	WorkerSlot slots[PERFOPT_WORKER_SLOTS];
} WorkerShared;

extern WorkerShared *perfopt_worker_shared;

/* Somebody's DDL needs that database free; the caller holds the mutex. */
extern bool perfopt_worker_paused(const char *database);

#endif /* PERFOPT_WORKER_SHARED_H */
