/*
 * prober.h
 *	  What sources that ask targets over a network share.
 */
#ifndef PERFOPT_PROBER_H
#define PERFOPT_PROBER_H

#include "nodes/pg_list.h"
#include "target/target.h"

/*
 * The targets of a TYPE (see perfopt_targets_of_type), read once a cycle in a transaction of its own
 * that is over when this returns; palloc'd in the cycle's context.
 */
extern List *perfopt_prober_targets(const char *type);

/*
 * Those of them that can be asked.  What is wrong with the others is noted in source_status for this
 * source, and they are added to *unusable where that is not NULL; rows of targets that are no more
 * are taken out of it.
 */
extern List *perfopt_prober_usable(const char *source, const char *type, List **unusable);

/*
 * How long to wait for a target: its option timeout, else perfopt.probe_timeout, or less where that
 * would not end before the cycle's own deadline.
 */
extern int perfopt_prober_timeout_ms(const PerfoptTarget *target);

/*
 * Copies text from outside, which may be in any encoding or in none: what is not printable ASCII
 * becomes a question mark.  Raises no error.
 */
extern void perfopt_prober_printable(char *to, size_t capacity, const char *from, size_t length);

/*
 * Digits below a microsecond, or a millionth of a ratio, are noise that would only take up space.
 */
extern double perfopt_prober_rounded(double value);

/* Whether a source of the prober delivers a metric of this name. */
extern bool perfopt_prober_is_own(const char *name);

#endif /* PERFOPT_PROBER_H */
