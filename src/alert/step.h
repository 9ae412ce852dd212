/*
 * step.h
 *	  What a watch's step means in tables: rows of perfopt.alert_log, and the events that tell of it.
 *	  Private to src/alert.
 */
#ifndef PERFOPT_ALERT_STEP_H
#define PERFOPT_ALERT_STEP_H

#include "alert/watch.h"

/*
 * Under SPI: writes down a step that a watch has just taken.  False, and nothing written, where somebody
 * is working on that alert just now or has changed it; the watch is then as `before`, and to be read anew.
 */
extern bool perfopt_step_write(PerfoptWatch *watch, const PerfoptAlertLife *before,
							   PerfoptAlertStep step, TimestampTz now);

/* Under SPI, when all steps of a cycle are written: raises the event of one. */
extern void perfopt_step_tell(PerfoptWatch *watch, PerfoptAlertStep step, int64 alert_id,
							  PerfoptSeverity severity, const char *note, TimestampTz now);

/* Under SPI: raises the event of an alert that fires untold, if nothing speaks against telling any more. */
extern bool perfopt_step_tell_late(PerfoptWatch *watch, TimestampTz now);

/* Under SPI: ends alerts whose threshold or series is no more. */
extern int perfopt_step_end_orphans(TimestampTz now);

#endif /* PERFOPT_ALERT_STEP_H */
