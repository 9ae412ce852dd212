/*
 * lifecycle.c
 *	  The life of an alert: what a value at a time makes of it.
 */
#include "alert/lifecycle.h"

#include <math.h>
#include <string.h>

static bool
is_beyond(const PerfoptAlertRule *rule, double value, double line)
{
	if (rule->inclusive && value == line)
		return true;
	return rule->below ? value < line : value > line;
}

PerfoptSeverity
perfopt_alert_severity(const PerfoptAlertRule *rule, double value)
{
	if (!isnan(rule->critical) && is_beyond(rule, value, rule->critical))
		return PERFOPT_CRITICAL;
	if (!isnan(rule->warning) && is_beyond(rule, value, rule->warning))
		return PERFOPT_WARNING;
	return PERFOPT_HEALTHY;
}

double
perfopt_alert_line(const PerfoptAlertRule *rule, PerfoptSeverity severity)
{
	return severity == PERFOPT_CRITICAL || isnan(rule->warning) ? rule->critical : rule->warning;
}

/* The same with both lines moved to the healthy side. */
static PerfoptSeverity
severity_to_leave(const PerfoptAlertRule *rule, double value)
{
	PerfoptAlertRule easier = *rule;
	double sign = rule->below ? 1 : -1;

	easier.warning += sign * rule->hysteresis * fabs(rule->warning);
	easier.critical += sign * rule->hysteresis * fabs(rule->critical);
	return perfopt_alert_severity(&easier, value);
}

static bool
has_passed(int64_t since_us, int64_t duration_us, int64_t now_us)
{
	return now_us - since_us >= duration_us;
}

static void
note_severity(PerfoptAlertLife *life, PerfoptSeverity severity, int64_t now_us)
{
	if (severity != PERFOPT_CRITICAL)
		life->critical_since_us = 0;
	else if (life->critical_since_us == 0)
		life->critical_since_us = now_us;
}

static bool
critical_has_held(const PerfoptAlertLife *life, const PerfoptAlertRule *rule, int64_t now_us)
{
	return life->critical_since_us != 0 &&
		   has_passed(life->critical_since_us, rule->hold_us, now_us);
}

static bool
may_fire(const PerfoptAlertLife *life, const PerfoptAlertRule *rule, int64_t now_us)
{
	return has_passed(life->pending_since_us, rule->hold_us, now_us) &&
		   (life->resolved_us == 0 || has_passed(life->resolved_us, rule->cooldown_us, now_us));
}

static PerfoptAlertStep
fire(PerfoptAlertLife *life, const PerfoptAlertRule *rule, int64_t now_us)
{
	life->phase = PERFOPT_ALERT_FIRING;
	life->severity = isnan(rule->warning) || critical_has_held(life, rule, now_us)
						 ? PERFOPT_CRITICAL
						 : PERFOPT_WARNING;
	life->acknowledged = false;
	life->escalation = 0;
	life->escalated_us = now_us;
	life->clear_since_us = 0;
	memmove(life->fired_us + 1, life->fired_us, sizeof(life->fired_us) - sizeof(life->fired_us[0]));
	life->fired_us[0] = now_us;
	if (life->nfirings < PERFOPT_FIRINGS_KEPT)
		life->nfirings++;
	return PERFOPT_STEP_FIRED;
}

static PerfoptAlertStep
begin(PerfoptAlertLife *life, const PerfoptAlertRule *rule, double value, int64_t now_us)
{
	PerfoptSeverity severity = perfopt_alert_severity(rule, value);

	if (life->until_clear && severity_to_leave(rule, value) == PERFOPT_HEALTHY)
		life->until_clear = false;
	if (severity == PERFOPT_HEALTHY || life->until_clear)
		return PERFOPT_STEP_NONE;

	life->phase = PERFOPT_ALERT_PENDING;
	life->severity = severity;
	life->pending_since_us = now_us;
	life->critical_since_us = 0;
	note_severity(life, severity, now_us);
	return may_fire(life, rule, now_us) ? fire(life, rule, now_us) : PERFOPT_STEP_PENDING;
}

static PerfoptAlertStep
wait(PerfoptAlertLife *life, const PerfoptAlertRule *rule, double value, int64_t now_us)
{
	PerfoptSeverity severity = perfopt_alert_severity(rule, value);

	if (severity == PERFOPT_HEALTHY)
	{
		life->phase = PERFOPT_ALERT_QUIET;
		life->severity = PERFOPT_HEALTHY;
		return PERFOPT_STEP_CLEARED;
	}
	life->severity = severity;
	note_severity(life, severity, now_us);
	return may_fire(life, rule, now_us) ? fire(life, rule, now_us) : PERFOPT_STEP_NONE;
}

static PerfoptAlertStep
resolve(PerfoptAlertLife *life, int64_t now_us)
{
	life->phase = PERFOPT_ALERT_QUIET;
	life->severity = PERFOPT_HEALTHY;
	life->acknowledged = false;
	life->escalation = 0;
	life->resolved_us = now_us;
	return PERFOPT_STEP_RESOLVED;
}

int64_t
perfopt_alert_damping_us(const PerfoptAlertLife *life, const PerfoptAlertRule *rule, int64_t now_us)
{
	int64_t damping_us = rule->cooldown_us;
	int recent = 0;

	while (recent < life->nfirings &&
		   !has_passed(life->fired_us[recent], PERFOPT_FLAP_WINDOW_US, now_us))
		recent++;
	if (recent <= PERFOPT_FLAP_FREE)
		return 0;
	for (int i = PERFOPT_FLAP_FREE + 1; i < recent && damping_us < PERFOPT_FLAP_MOST_US; i++)
		damping_us *= 2;
	return damping_us < PERFOPT_FLAP_MOST_US ? damping_us : PERFOPT_FLAP_MOST_US;
}

static PerfoptAlertStep
keep(PerfoptAlertLife *life, const PerfoptAlertRule *rule, double value, int64_t now_us)
{
	PerfoptSeverity left = severity_to_leave(rule, value);

	if (left == PERFOPT_HEALTHY)
	{
		if (life->clear_since_us == 0)
			life->clear_since_us = now_us;
		if (has_passed(life->clear_since_us, perfopt_alert_damping_us(life, rule, now_us), now_us))
			return resolve(life, now_us);
	}
	else
		life->clear_since_us = 0;

	note_severity(life, perfopt_alert_severity(rule, value), now_us);
	if (life->severity == PERFOPT_WARNING && critical_has_held(life, rule, now_us))
	{
		life->severity = PERFOPT_CRITICAL;
		return PERFOPT_STEP_WORSE;
	}
	if (life->severity == PERFOPT_CRITICAL && left == PERFOPT_WARNING)
	{
		life->severity = PERFOPT_WARNING;
		return PERFOPT_STEP_BETTER;
	}
	if (!life->acknowledged && rule->escalate_us > 0 &&
		life->escalation < PERFOPT_ESCALATION_MOST &&
		has_passed(life->escalated_us, rule->escalate_us, now_us))
	{
		life->escalation++;
		life->escalated_us = now_us;
		return PERFOPT_STEP_ESCALATED;
	}
	return PERFOPT_STEP_NONE;
}

/* After a clock was set back, what lies ahead would hold up everything until then. */
static void
forget_future(int64_t *time_us, int64_t now_us)
{
	if (*time_us > now_us)
		*time_us = now_us;
}

static void
forget_futures(PerfoptAlertLife *life, int64_t now_us)
{
	forget_future(&life->pending_since_us, now_us);
	forget_future(&life->critical_since_us, now_us);
	forget_future(&life->clear_since_us, now_us);
	forget_future(&life->escalated_us, now_us);
	forget_future(&life->resolved_us, now_us);
	for (int i = 0; i < life->nfirings; i++)
		forget_future(&life->fired_us[i], now_us);
}

PerfoptAlertStep
perfopt_alert_step(PerfoptAlertLife *life, const PerfoptAlertRule *rule, double value,
				   int64_t now_us)
{
	if (isnan(value))
		return PERFOPT_STEP_NONE;
	forget_futures(life, now_us);
	switch (life->phase)
	{
		case PERFOPT_ALERT_QUIET:
			return begin(life, rule, value, now_us);
		case PERFOPT_ALERT_PENDING:
			return wait(life, rule, value, now_us);
		case PERFOPT_ALERT_FIRING:
			return keep(life, rule, value, now_us);
	}
	return PERFOPT_STEP_NONE;
}

PerfoptAlertStep
perfopt_alert_end(PerfoptAlertLife *life, int64_t now_us)
{
	life->until_clear = false;
	switch (life->phase)
	{
		case PERFOPT_ALERT_QUIET:
			break;
		case PERFOPT_ALERT_PENDING:
			life->phase = PERFOPT_ALERT_QUIET;
			life->severity = PERFOPT_HEALTHY;
			return PERFOPT_STEP_CLEARED;
		case PERFOPT_ALERT_FIRING:
			return resolve(life, now_us);
	}
	return PERFOPT_STEP_NONE;
}
