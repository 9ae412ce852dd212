/*
 * shmem.h
 *	  Fixed shared memory, one area a room.
 *
 * Each room says how much it needs and how to set it up; this file asks for the sum at server start
 * and hands out the areas.  Nothing in them is a pointer, so that a crash restart can begin afresh.
 */
#ifndef PERFOPT_SHMEM_H
#define PERFOPT_SHMEM_H

#include "storage/lwlock.h"

/* perfopt's lightweight locks; what each protects is said where it is used. */
typedef enum PerfoptLWLock
{
	PERFOPT_SAMPLER_LOCK,
	PERFOPT_LOAD_LOCK,
	PERFOPT_STATUS_LOCK,
	PERFOPT_CALLS_LOCK,
	PERFOPT_NUM_LWLOCKS
} PerfoptLWLock;

extern LWLock *perfopt_lwlock(PerfoptLWLock which);

/* Called once in _PG_init, while shared_preload_libraries is processed. */
extern void perfopt_shmem_init(void);

/*
 * Raises an ERROR that says which setting is missing when the library was not preloaded.  Every SQL
 * function that needs a worker or shared memory begins with it.
 */
extern void perfopt_require_preload(void);

/*
 * As above, and raises an ERROR when the session is not in perfopt.database: the workers read and
 * write the extension there, whatever other database has it installed too.
 */
extern void perfopt_require_home(void);

extern bool perfopt_is_preloaded(void);
extern bool perfopt_is_home(void); /* preloaded, and in perfopt.database */

#endif /* PERFOPT_SHMEM_H */
