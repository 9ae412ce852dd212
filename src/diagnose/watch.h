/*
 * watch.h
 *	  The collector's duty to diagnose now and then, for thresholds on findings.
 */
#ifndef PERFOPT_DIAGNOSE_WATCH_H
#define PERFOPT_DIAGNOSE_WATCH_H

#include "datatype/timestamp.h"
#include "store/store.h"

#define PERFOPT_DIAGNOSE_WATCH_INTERVAL_MS (5 * 60 * 1000)

/* See PerfoptDuty in collect.h. */
extern void perfopt_diagnose_watch_duty(TimestampTz now);
extern void perfopt_diagnose_watch_committed(void);
extern void perfopt_diagnose_watch_failed(void);

#endif /* PERFOPT_DIAGNOSE_WATCH_H */
