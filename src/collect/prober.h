/*
 * prober.h
 *	  What sources that ask targets over a network share.
 */
#ifndef PERFOPT_PROBER_H
#define PERFOPT_PROBER_H

#include "nodes/pg_list.h"

/*
 * The targets of a TYPE (see perfopt_targets_of_type), read in a transaction of its own that is over
 * when this returns; palloc'd in the current context.
 */
extern List *perfopt_prober_targets(const char *type);

/*
 * How long a source may wait for its targets: perfopt.probe_timeout, or less where that would not end
 * before the cycle's own deadline.  A source may use it up twice.
 */
extern int perfopt_prober_timeout_ms(void);

#endif /* PERFOPT_PROBER_H */
