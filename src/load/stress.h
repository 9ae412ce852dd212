/*
 * stress.h
 *	  A stress test: the first worker tries loads until it knows where the target breaks.
 *
 * What was tried and found is in the run's LoadStress.  At the end the results are those of the last
 * trial, which is the verification where a breaking point was found.
 */
#ifndef PERFOPT_LOAD_STRESS_H
#define PERFOPT_LOAD_STRESS_H

#include "load/engine.h"

/* Before the test; and ten times a second, in the first worker. */
extern void load_stress_init(LoadRun *run, const LoadConfig *config);
extern void load_stress_tick(Engine *engine);

/* For test_run.outcome, as JSON. */
extern char *load_stress_outcome(const LoadShared *shared, const LoadConfig *config);

#endif /* PERFOPT_LOAD_STRESS_H */
