/*
 * horizon.h
 *	  Waiting without holding back vacuum.
 */
#ifndef PERFOPT_LOAD_HORIZON_H
#define PERFOPT_LOAD_HORIZON_H

#include "fmgr.h"

/*
 * Called by a function that is about to wait for a test and touches no table afterwards.  Where the
 * statement is nothing but a call of that function, its snapshot is of no more use, and is no longer
 * counted by those who remove dead rows; otherwise nothing happens.  A held snapshot would not only
 * keep dead rows, it would slow down the very test that is waited for: pgbench's few branches are
 * updated thousands of times a second, and every call would walk through all their dead versions.
 */
extern void load_release_horizon(FunctionCallInfo fcinfo);

#endif /* PERFOPT_LOAD_HORIZON_H */
