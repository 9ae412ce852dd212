/*
 * api.h
 *	  What the SQL functions of load tests have in common.
 */
#ifndef PERFOPT_LOAD_API_H
#define PERFOPT_LOAD_API_H

#include "nodes/execnodes.h"

#include "load/run.h"

/* What of a waiting session's cancelling is waited for: that the test's sessions are gone. */
#define LOAD_CANCEL_WAIT_US (2 * USECS_PER_SEC)

/* Checks everything, starts the workers, and returns when the run has its id. */
extern void load_test_start(LoadRun *run, LoadConfig *config);

/* The rows of load_test() into a function's result. */
extern void load_test_report(ReturnSetInfo *rsinfo, const LoadShared *shared);

#endif /* PERFOPT_LOAD_API_H */
