/*
 * guard.h
 *	  Thresholds with a window: looked at each second by the first worker, for all of them.
 *
 * What is broken is noted in the run's violations; where the threshold says so, the run is stopped.
 */
#ifndef PERFOPT_LOAD_GUARD_H
#define PERFOPT_LOAD_GUARD_H

#include "load/engine.h"

extern void load_guard_init(const LoadConfig *config);
extern void load_guard_second(Engine *engine);

#endif /* PERFOPT_LOAD_GUARD_H */
