/*
 * calls.h
 *	  Calls that applications report by record_call(), in shared memory until the next cycle.
 *
 * A fixed table of PERFOPT_MAX_CALL_TARGETS targets; what is called beyond that is counted together,
 * as target PERFOPT_CALLS_OTHER.  A target that nobody calls for an hour makes room.
 */
#ifndef PERFOPT_COLLECT_CALLS_H
#define PERFOPT_COLLECT_CALLS_H

#define PERFOPT_MAX_CALL_TARGETS 256
#define PERFOPT_CALLS_OTHER "(other)"

extern Size perfopt_calls_shmem_size(void);
extern void perfopt_calls_shmem_setup(void);

/* Forgets what was reported since the last cycle, for when there is nowhere to keep it. */
extern void perfopt_calls_discard(void);

#endif /* PERFOPT_COLLECT_CALLS_H */
