/*
 * alert.h
 *	  Alerting: thresholds looked at in each collecting cycle, and events delivered to targets.
 *
 * All state is in tables (perfopt.alert_log, event, outbox): what a process remembers is read from
 * them again after a restart, so that an alert neither fires twice nor is lost.
 */
#ifndef PERFOPT_ALERT_H
#define PERFOPT_ALERT_H

#include "collect/collect.h"
#include "datatype/timestamp.h"

/*
 * The collector's duty after each cycle, in a transaction of its own: evaluates all thresholds with what
 * has come in since the last time.
 */
extern void perfopt_alert_evaluate_duty(TimestampTz now);

/* That transaction was committed, or was not. */
extern void perfopt_alert_evaluate_committed(void);
extern void perfopt_alert_evaluate_failed(void);

/* Likewise, each hour: forgets old events. */
extern void perfopt_alert_forget_duty(TimestampTz now);

/* The prober's source that delivers events to targets. */
extern const PerfoptSource perfopt_delivery_source;

#endif /* PERFOPT_ALERT_H */
