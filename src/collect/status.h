/*
 * status.h
 *	  How each source and target fares, in shared memory: perfopt.source_status.
 *
 * Kept for PERFOPT_MAX_STATUS pairs of source and target; those that were silent longest make room.
 * Gone after a restart, as the workers' own memory is.
 */
#ifndef PERFOPT_COLLECT_STATUS_H
#define PERFOPT_COLLECT_STATUS_H

#define PERFOPT_MAX_STATUS 128

extern Size perfopt_collect_shmem_size(void);
extern void perfopt_collect_shmem_setup(void);

#endif /* PERFOPT_COLLECT_STATUS_H */
