/*
 * cycle.h
 *	  What the parts of a collecting cycle share: its memory, its transactions, its errors.
 *	  Private to src/collect.
 */
#ifndef PERFOPT_COLLECT_CYCLE_H
#define PERFOPT_COLLECT_CYCLE_H

#include <time.h>

#include "utils/palloc.h"

/* The running cycle's, to return to after a transaction. */
extern MemoryContext perfopt_cycle_context;

/* A transaction with a snapshot. */
extern void perfopt_cycle_begin(void);
extern void perfopt_cycle_commit(void);

/*
 * In a PG_CATCH: cleans up and returns what went wrong.  The cycle goes on; if it was cancelled because
 * its time was up, what is left of it has a short time of its own.
 */
extern char *perfopt_cycle_caught_error(void);

extern double perfopt_cycle_clock_ms(clockid_t clock);

/* See PerfoptDuty in collect.h. */
extern void perfopt_cycle_run_duties(void);

#endif /* PERFOPT_COLLECT_CYCLE_H */
