/*
 * lifecycle.h
 *	  The life of an alert: what a value at a time makes of it.  No PostgreSQL here.
 *
 *	quiet -> pending -> firing -> quiet
 *
 * A value that is beyond the rule's warning or critical line makes a quiet alert pending, and one that
 * has been pending for `hold`, and `cooldown` after it was resolved last, fires.  Its severity becomes
 * critical when values have been beyond that line for `hold`, and falls back to warning, or the alert
 * is resolved, when they are on the healthy side of the line by more than `hysteresis` of it.
 *
 * Flapping: whoever fires for the third time within PERFOPT_FLAP_WINDOW_US is resolved only after
 * `cooldown` on the healthy side, and each further time takes twice as long, up to PERFOPT_FLAP_MOST_US.
 *
 * Escalation: one that nobody acknowledges goes up a level each `escalate`, to PERFOPT_ESCALATION_MOST.
 *
 * One resolved by hand stays quiet until values are on the healthy side (`until_clear`).
 *
 * The clock is the caller's: microseconds since whenever, 0 meaning never.  Where it was set
 * back, what lies ahead of it counts as now.  A value that is not a number changes nothing.
 */
#ifndef PERFOPT_LIFECYCLE_H
#define PERFOPT_LIFECYCLE_H

#include <stdbool.h>
#include <stdint.h>

#define PERFOPT_MINUTE_US (60 * INT64_C(1000000))
#define PERFOPT_FLAP_WINDOW_US (60 * PERFOPT_MINUTE_US)
#define PERFOPT_FLAP_FREE 2 /* so many firings within the window are not flapping */
#define PERFOPT_FLAP_MOST_US (60 * PERFOPT_MINUTE_US)
#define PERFOPT_ESCALATION_MOST 3
#define PERFOPT_FIRINGS_KEPT 8

typedef enum PerfoptAlertPhase
{
	PERFOPT_ALERT_QUIET,
	PERFOPT_ALERT_PENDING,
	PERFOPT_ALERT_FIRING
} PerfoptAlertPhase;

typedef enum PerfoptSeverity
{
	PERFOPT_HEALTHY,
	PERFOPT_WARNING,
	PERFOPT_CRITICAL
} PerfoptSeverity;

typedef struct PerfoptAlertRule
{
	double warning;    /* NAN where there is no such line */
	double critical;   /* likewise */
	bool below;        /* values under a line are bad, rather than those over it */
	bool inclusive;    /* and so is the line itself */
	double hysteresis; /* share of a line, 0.05 for 5 % */
	int64_t hold_us;
	int64_t cooldown_us;
	int64_t escalate_us; /* 0 never */
} PerfoptAlertRule;

/* All zeroes is one that was never anything but quiet. */
typedef struct PerfoptAlertLife
{
	PerfoptAlertPhase phase;
	PerfoptSeverity severity; /* while firing; while pending, of the last value */
	bool acknowledged;
	bool until_clear;
	int escalation;
	int64_t pending_since_us;
	int64_t critical_since_us; /* since when values are beyond that line */
	int64_t clear_since_us;    /* while firing: since when they are on the healthy side */
	int64_t escalated_us;      /* when it fired, or was escalated last */
	int64_t resolved_us;
	int nfirings;                           /* of those that follow */
	int64_t fired_us[PERFOPT_FIRINGS_KEPT]; /* the latest first */
} PerfoptAlertLife;

typedef enum PerfoptAlertStep
{
	PERFOPT_STEP_NONE,
	PERFOPT_STEP_PENDING,
	PERFOPT_STEP_CLEARED, /* pending no more, without having fired */
	PERFOPT_STEP_FIRED,
	PERFOPT_STEP_WORSE,  /* from warning to critical */
	PERFOPT_STEP_BETTER, /* and back */
	PERFOPT_STEP_ESCALATED,
	PERFOPT_STEP_RESOLVED
} PerfoptAlertStep;

/*
 * Takes one step, if there is one to take.  To be called again for the same value and time until it
 * returns PERFOPT_STEP_NONE: a severity may change and an escalation be due at once.
 */
extern PerfoptAlertStep perfopt_alert_step(PerfoptAlertLife *life, const PerfoptAlertRule *rule,
										   double value, int64_t now_us);

/* What a value is by this rule, whatever was before. */
extern PerfoptSeverity perfopt_alert_severity(const PerfoptAlertRule *rule, double value);

/* The line that a severity stands for. */
extern double perfopt_alert_line(const PerfoptAlertRule *rule, PerfoptSeverity severity);

/* How long values must be on the healthy side before it is resolved; 0 unless it is flapping. */
extern int64_t perfopt_alert_damping_us(const PerfoptAlertLife *life, const PerfoptAlertRule *rule,
										int64_t now_us);

/* There are no values any more: as if they had been healthy for long. */
extern PerfoptAlertStep perfopt_alert_end(PerfoptAlertLife *life, int64_t now_us);

#endif /* PERFOPT_LIFECYCLE_H */
