/*
 * test_lifecycle.c
 *	  Tests of src/alert/lifecycle.c: what people are told when, on a clock that the test sets.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "alert/lifecycle.h"

#define MINUTE PERFOPT_MINUTE_US

static PerfoptAlertLife life;
static PerfoptAlertRule rule;

/* Over 80 warning, over 95 critical, 2 minutes of hold, 5 of cooldown, 5 % of hysteresis. */
static int
begin(void **state)
{
	(void) state;
	memset(&life, 0, sizeof(life));
	rule = (PerfoptAlertRule){ .warning = 80,
							   .critical = 95,
							   .hysteresis = 0.05,
							   .hold_us = 2 * MINUTE,
							   .cooldown_us = 5 * MINUTE };
	return 0;
}

/* All steps that a value leads to, as letters. */
static const char *
steps(double minute, double value)
{
	static char letters[16];
	int n = 0;

	for (;;)
	{
		PerfoptAlertStep step =
			perfopt_alert_step(&life, &rule, value, (int64_t) ((1000 + minute) * (double) MINUTE));

		if (step == PERFOPT_STEP_NONE || n == 15)
			break;
		letters[n++] = "-pcfwber"[step];
	}
	letters[n] = '\0';
	return letters;
}

#define assert_steps(minute, value, expected) assert_string_equal(steps(minute, value), expected)

static void
fires_after_hold_and_is_resolved(void **state)
{
	(void) state;
	assert_steps(0, 50, "");
	assert_steps(1, 85, "p");
	assert_steps(2, 85, "");
	assert_steps(3, 85, "f");
	assert_int_equal(life.severity, PERFOPT_WARNING);
	assert_steps(4, 85, "");
	assert_steps(5, 78, ""); /* below the line, but not by 5 % */
	assert_steps(6, 75, "r");
	assert_int_equal(life.phase, PERFOPT_ALERT_QUIET);
}

static void
short_breach_never_fires(void **state)
{
	(void) state;
	assert_steps(0, 99, "p");
	assert_steps(1, 50, "c");
	assert_steps(2, 99, "p");
	assert_steps(3.5, 99, "");
	assert_steps(4, 99, "f");
}

static void
without_hold_fires_at_once_with_its_severity(void **state)
{
	(void) state;
	rule.hold_us = 0;
	assert_steps(0, 99, "f");
	assert_int_equal(life.severity, PERFOPT_CRITICAL);
	begin(NULL);
	rule.hold_us = 0;
	rule.warning = NAN;
	assert_steps(0, 85, "");
	assert_steps(1, 96, "f");
	assert_int_equal(life.severity, PERFOPT_CRITICAL);
}

/* Critical has to hold as well: a spike during a long warning is no emergency. */
static void
severity_follows_what_holds(void **state)
{
	(void) state;
	assert_steps(0, 85, "p");
	assert_steps(2, 99, "f");
	assert_int_equal(life.severity, PERFOPT_WARNING);
	assert_steps(3, 99, "");
	assert_steps(4, 99, "w");
	assert_int_equal(life.severity, PERFOPT_CRITICAL);
	assert_steps(5, 93, ""); /* within hysteresis */
	assert_steps(6, 85, "b");
	assert_int_equal(life.severity, PERFOPT_WARNING);
	assert_steps(7, 99, "");
	assert_steps(8, 85, "");
	assert_steps(9, 99, "");
	assert_steps(10.5, 99, "");
	assert_steps(11, 99, "w");
	assert_steps(12, 10, "r");
}

static void
cooldown_holds_back_the_next(void **state)
{
	(void) state;
	rule.hold_us = 0;
	assert_steps(0, 85, "f");
	assert_steps(1, 10, "r");
	assert_steps(2, 85, "p");
	assert_steps(5, 85, "");
	assert_steps(6, 85, "f");
}

static void
flapping_is_damped(void **state)
{
	int minute = 0;
	int fired = 0;
	int resolved = 0;

	(void) state;
	rule.hold_us = 0;
	rule.cooldown_us = MINUTE;

	/* Up and down each minute for two hours. */
	for (; minute < 120; minute++)
	{
		const char *letters = steps(minute, minute % 2 == 0 ? 90 : 10);

		fired += strchr(letters, 'f') != NULL;
		resolved += strchr(letters, 'r') != NULL;
	}
	assert_in_range(fired, 3, 6);
	assert_in_range(resolved, 2, 5);

	/* When it is over, it is told once more. */
	for (; minute < 240; minute++)
		resolved += strchr(steps(minute, 10), 'r') != NULL;
	assert_int_equal(resolved, fired);
	assert_int_equal(life.phase, PERFOPT_ALERT_QUIET);
}

static void
damping_doubles(void **state)
{
	(void) state;
	for (int i = 0; i < 6; i++)
		life.fired_us[i] = 100 * MINUTE - i * MINUTE;
	life.nfirings = 2;
	assert_int_equal(perfopt_alert_damping_us(&life, &rule, 100 * MINUTE), 0);
	life.nfirings = 3;
	assert_int_equal(perfopt_alert_damping_us(&life, &rule, 100 * MINUTE), 5 * MINUTE);
	life.nfirings = 5;
	assert_int_equal(perfopt_alert_damping_us(&life, &rule, 100 * MINUTE), 20 * MINUTE);
	assert_int_equal(perfopt_alert_damping_us(&life, &rule, 158 * MINUTE), 0);
	rule.cooldown_us = 50 * MINUTE;
	assert_int_equal(perfopt_alert_damping_us(&life, &rule, 100 * MINUTE), 60 * MINUTE);
}

static void
escalates_until_acknowledged(void **state)
{
	(void) state;
	rule.hold_us = 0;
	rule.escalate_us = 10 * MINUTE;
	assert_steps(0, 85, "f");
	assert_steps(9, 85, "");
	assert_steps(10, 85, "e");
	assert_int_equal(life.escalation, 1);
	assert_steps(20, 85, "e");
	life.acknowledged = true;
	assert_steps(30, 85, "");
	life.acknowledged = false;
	assert_steps(31, 85, "e");
	assert_int_equal(life.escalation, PERFOPT_ESCALATION_MOST);
	assert_steps(99, 85, "");
	assert_steps(100, 10, "r");
	assert_int_equal(life.escalation, 0);
}

static void
resolved_by_hand_stays_quiet_until_clear(void **state)
{
	(void) state;
	rule.hold_us = 0;
	rule.cooldown_us = 0;
	life.until_clear = true;
	assert_steps(0, 99, "");
	assert_steps(1, 78, ""); /* not by 5 % */
	assert_steps(2, 99, "");
	assert_steps(3, 50, "");
	assert_false(life.until_clear);
	assert_steps(4, 99, "f");
}

static void
values_below_are_bad_where_the_rule_says_so(void **state)
{
	(void) state;
	rule.below = true;
	rule.warning = 0.2;
	rule.critical = 0.1;
	rule.hold_us = 0;
	assert_steps(0, 0.3, "");
	assert_steps(1, 0.2, "");
	assert_steps(2, 0.19, "f");
	assert_steps(3, 0.05, "w");
	assert_steps(4, 0.15, "b");
	assert_steps(5, 0.205, "");
	assert_steps(6, 0.22, "r");
	rule.inclusive = true;
	assert_int_equal(perfopt_alert_severity(&rule, 0.2), PERFOPT_WARNING);
	assert_int_equal(perfopt_alert_severity(&rule, 0.1), PERFOPT_CRITICAL);
}

static void
line_of_zero_has_no_hysteresis(void **state)
{
	(void) state;
	rule = (PerfoptAlertRule){ .warning = NAN, .critical = 0, .hysteresis = 0.05 };
	assert_steps(0, 0, "");
	assert_steps(1, 1, "f");
	assert_steps(2, 0, "r");
}

static void
unknown_values_change_nothing(void **state)
{
	(void) state;
	assert_steps(0, NAN, "");
	assert_steps(1, 85, "p");
	assert_steps(2, NAN, "");
	assert_steps(9, 85, "f");
	assert_steps(10, NAN, "");
	assert_int_equal(life.phase, PERFOPT_ALERT_FIRING);
}

static void
clock_set_back_holds_up_nothing(void **state)
{
	(void) state;
	rule.escalate_us = 10 * MINUTE;
	assert_steps(500, 85, "p");
	assert_steps(0, 85, ""); /* hours earlier */
	assert_steps(2, 85, "f");
	assert_steps(12, 85, "e");
	assert_steps(13, 10, "r");
	assert_steps(-400, 85, "p");
	assert_steps(-395, 85, "f");
}

static void
end_of_data_is_an_end(void **state)
{
	(void) state;
	assert_int_equal(perfopt_alert_end(&life, 1), PERFOPT_STEP_NONE);
	assert_steps(0, 85, "p");
	assert_int_equal(perfopt_alert_end(&life, 1), PERFOPT_STEP_CLEARED);
	assert_steps(1, 85, "p");
	assert_steps(3, 85, "f");
	assert_int_equal(perfopt_alert_end(&life, 1004 * MINUTE), PERFOPT_STEP_RESOLVED);
	assert_int_equal(life.phase, PERFOPT_ALERT_QUIET);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(fires_after_hold_and_is_resolved, begin),
		cmocka_unit_test_setup(short_breach_never_fires, begin),
		cmocka_unit_test_setup(without_hold_fires_at_once_with_its_severity, begin),
		cmocka_unit_test_setup(severity_follows_what_holds, begin),
		cmocka_unit_test_setup(cooldown_holds_back_the_next, begin),
		cmocka_unit_test_setup(flapping_is_damped, begin),
		cmocka_unit_test_setup(damping_doubles, begin),
		cmocka_unit_test_setup(escalates_until_acknowledged, begin),
		cmocka_unit_test_setup(resolved_by_hand_stays_quiet_until_clear, begin),
		cmocka_unit_test_setup(values_below_are_bad_where_the_rule_says_so, begin),
		cmocka_unit_test_setup(line_of_zero_has_no_hysteresis, begin),
		cmocka_unit_test_setup(unknown_values_change_nothing, begin),
		cmocka_unit_test_setup(clock_set_back_holds_up_nothing, begin),
		cmocka_unit_test_setup(end_of_data_is_an_end, begin),
	};

	return cmocka_run_group_tests_name("lifecycle", tests, NULL, NULL);
}
