/*
 * sampler.h
 *	  Active-session sampling: who is working or waiting, on what, for which statement.
 *
 * The worker `perfopt sampler` looks at the server's process array perfopt.sampling_frequency times a
 * second and counts, in a shared table of fixed size, how often it saw each combination of database,
 * role, statement, load-test operation and wait event.  It runs no SQL and copies no texts.
 *
 * What counts as active: a process that waits for something, or is on CPU inside a transaction or a
 * utility command.  Left out: idle sessions, background processes in their main loops, and sessions
 * that wait inside one of perfopt's own waiting functions.  A session that waits for its client inside
 * a transaction is counted as Client:ClientRead; it is idle in transaction, not DB time.
 *
 * Which statement: the top-level one, as pg_stat_statements.track = top has it.  Background processes
 * have role 0.
 */
#ifndef PERFOPT_SAMPLER_H
#define PERFOPT_SAMPLER_H

#include "sampler/counts.h"

typedef struct PerfoptSessionCounts
{
	int ticks;       /* times that the sampler looked; n / ticks = average active sessions */
	uint64 overflow; /* sightings lost: more combinations than PERFOPT_SAMPLER_MAX_KEYS */
	int ncounts;
	PerfoptSessionCount *counts; /* palloc'd in the caller's context */
} PerfoptSessionCounts;

extern Size perfopt_sampler_shmem_size(void);
extern void perfopt_sampler_shmem_setup(void);
extern void perfopt_sampler_install_hooks(void);

/* The worker: milliseconds between looks (0 when off), and one look. */
extern long perfopt_sampler_interval_ms(void);
extern const char *perfopt_sampler_cycle(void);

/* Takes all that was counted since the last drain. */
extern void perfopt_sampler_drain(PerfoptSessionCounts *counts);

/*
 * Load tests attribute a session of this server to the operation it runs.  locate() finds the place
 * of a backend in the process array, -1 when there is none; it takes a lock, so once a connection.
 * tag() is a plain store, before each operation; a tag dies with the backend.
 */
extern int perfopt_sampler_locate(int pid);

/* The id of the statement that a backend parsed or began last, 0 when it is not known. */
extern int64 perfopt_sampler_query_id(int pid);
extern void perfopt_sampler_tag(int procno, int pid, uint32 operation);

/* The calling session is not counted until its current statement ends: it only waits for perfopt. */
extern void perfopt_sampler_ignore_me(void);

/* Room-internal: what a process tells about itself; written by itself, read by the sampler. */
typedef struct SamplerProc
{
	uint64 query_id;
	int pid;        /* whom the fields describe; differs from the process's when stale */
	bool executing; /* inside a top-level statement or utility command */
	bool ignored;
	int operation_pid; /* whom the operation was given to */
	uint32 operation;
} SamplerProc;

extern SamplerProc *perfopt_sampler_procs; /* by process number; NULL when not preloaded */

#endif /* PERFOPT_SAMPLER_H */
