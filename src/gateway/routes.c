/*
 * routes.c
 *	  The table of routes: to add an endpoint is to add a row.
 */
#include "gateway/route.h"

#include <stddef.h>

#define GET "GET"
#define POST "POST"
#define DELETE "DELETE"

#define IN_PATH(name, type, about)                                          \
	{                                                                       \
		name, PERFOPT_TYPE_##type, PERFOPT_IN_PATH, PERFOPT_REQUIRED, about \
	}
#define QUERY(name, type, need, about)                                     \
	{                                                                      \
		name, PERFOPT_TYPE_##type, PERFOPT_IN_QUERY, PERFOPT_##need, about \
	}
#define BODY(name, type, need, about)                                     \
	{                                                                     \
		name, PERFOPT_TYPE_##type, PERFOPT_IN_BODY, PERFOPT_##need, about \
	}
#define WHOLE_BODY(name, about)                                           \
	{                                                                     \
		name, PERFOPT_TYPE_JSON, PERFOPT_IS_BODY, PERFOPT_OPTIONAL, about \
	}

#define RUN_ID IN_PATH("run_id", BIGINT, "The test's number.")
#define ALERT_ID IN_PATH("alert_id", BIGINT, "The alert's number.")
#define RECOMMENDATION_ID IN_PATH("recommendation_id", BIGINT, "The recommendation's number.")
#define NOTE BODY("note", TEXT, OPTIONAL, "A note to keep with it.")
#define SINCE QUERY("since", INTERVAL, OPTIONAL, "How far back, such as \"15 min\".")
#define TEST_CONFIG(about) WHOLE_BODY("config", about)

#define START "What perfopt.start_test() takes: users, duration, scenario ..."

/* A row is a few lines; clang-format would make a dozen of each. */
/* clang-format off */
const PerfoptRoute perfopt_routes[] = {
	/* Load tests */
	{ GET, "tests", NULL, "test_run", PERFOPT_PAGE, "run_id", NULL, 200, "viewer", false,
	  "Load tests, newest first.", { QUERY("state", TEXT, OPTIONAL,
	  "running, finished, cancelled, failed."), QUERY("kind", TEXT, OPTIONAL,
	  "load, stress, spike, endurance ..."), QUERY("scenario", TEXT, OPTIONAL,
	  "The scenario that ran.") } },
	{ POST, "tests", "start_test", NULL, PERFOPT_VALUE, "run_id", NULL, 202, "tester", false,
	  "Starts a test of any kind and returns at once.", { TEST_CONFIG(START " and kind.") } },
	{ POST, "tests/load", "start_test", NULL, PERFOPT_VALUE, "run_id",
	  " || '{\"kind\": \"load\"}'", 202, "tester", false, "Starts a load test.",
	  { TEST_CONFIG(START) } },
	{ POST, "tests/stress", "start_test", NULL, PERFOPT_VALUE, "run_id",
	  " || '{\"kind\": \"stress\"}'", 202, "tester", false,
	  "Starts the search for the greatest load that keeps to the thresholds.",
	  { TEST_CONFIG(START " and max_users or max_rate.") } },
	{ POST, "tests/spike", "start_test", NULL, PERFOPT_VALUE, "run_id",
	  " || '{\"kind\": \"spike\"}'", 202, "tester", false, "Starts a load with a sudden spike.",
	  { TEST_CONFIG(START ", spike_users, spike_duration, recovery.") } },
	{ POST, "tests/endurance", "start_test", NULL, PERFOPT_VALUE, "run_id",
	  " || '{\"kind\": \"endurance\"}'", 202, "tester", false,
	  "Starts a load for hours, to see what drifts.", { TEST_CONFIG(START) } },
	{ GET, "tests/{run_id}", "checked_test", NULL, PERFOPT_ROW, NULL, NULL, 200, "viewer", false,
	  "A test: its settings, state and verdict.", { RUN_ID } },
	{ GET, "tests/{run_id}/progress", "test_progress", NULL, PERFOPT_ROW, NULL, NULL, 200,
	  "viewer", false, "How a test is getting on.", { RUN_ID } },
	{ GET, "tests/{run_id}/progress/events", "test_progress", NULL, PERFOPT_PROGRESS, NULL, NULL,
	  200, "viewer", false, "The same each second as server-sent events, until it is over.",
	  { RUN_ID } },
	{ POST, "tests/{run_id}/cancel", "cancel_test", NULL, PERFOPT_VALUE, "cancelled", NULL, 200,
	  "tester", false, "Ends a test, keeping what it measured; false if it was over.", { RUN_ID } },
	{ GET, "tests/{run_id}/report", "test_report", NULL, PERFOPT_ROWS, NULL, NULL, 200, "viewer",
	  false, "Calls, errors, throughput and percentiles by operation.", { RUN_ID } },
	{ GET, "tests/{run_id}/waits", "test_waits", NULL, PERFOPT_ROWS, NULL, NULL, 200, "viewer",
	  false, "What the calls of each operation did on the server: CPU, and waits.", { RUN_ID } },
	{ GET, "tests/{run_id}/marks", "test_marks", NULL, PERFOPT_ROWS, NULL, NULL, 200, "viewer",
	  false, "Checkpoints and vacuums during a test.", { RUN_ID } },
	{ GET, "tests/{run_id}/blockers", "test_blockers", NULL, PERFOPT_ROWS, NULL, NULL, 200,
	  "viewer", false, "Who made others wait for locks during a test.", { RUN_ID } },
	{ GET, "tests/{run_id}/drift", "endurance_drift", NULL, PERFOPT_ROWS, NULL, NULL, 200,
	  "viewer", false, "What drifted during a test.", { RUN_ID } },
	{ GET, "tests/{run_id}/spike", "spike_outcome", NULL, PERFOPT_DOCUMENT, NULL, NULL, 200,
	  "viewer", false, "What a spike did, and how long it took to recover.", { RUN_ID } },
	{ GET, "tests/{run_id}/regression", "check_regression", NULL, PERFOPT_ROWS, NULL, NULL, 200,
	  "viewer", false, "A test beside a baseline.", { RUN_ID, QUERY("baseline", TEXT, REQUIRED,
	  "The baseline's name."), QUERY("force", BOOLEAN, OPTIONAL, "Also when they are unlike.") } },
	{ GET, "tests/compare", "compare_tests", NULL, PERFOPT_ROWS, NULL, NULL, 200, "viewer", false,
	  "What changed from test a to b.", { QUERY("a", BIGINT, REQUIRED, "A test's number."),
	  QUERY("b", BIGINT, REQUIRED, "Another's, or the same of an A/B test."), QUERY("force",
	  BOOLEAN, OPTIONAL, "Also when they are unlike.") } },
	{ GET, "tests/unlike", "unlike", NULL, PERFOPT_ROWS, NULL, NULL, 200, "viewer", false,
	  "In what two tests are too unlike to be compared.", { QUERY("a", BIGINT, REQUIRED,
	  "A test's number."), QUERY("b", BIGINT, REQUIRED, "Another's.") } },
	{ GET, "tests/baselines", NULL, "baseline", PERFOPT_ROWS, "name, t.run_id", NULL, 200,
	  "viewer", false, "Baselines and the tests in them.", { QUERY("name", TEXT, OPTIONAL,
	  "Of this baseline alone.") } },
	{ POST, "tests/baselines", "set_baseline", NULL, PERFOPT_VALUE, "tests", NULL, 201, "tester",
	  false, "Adds a finished test to a baseline; returns how many it has.", { BODY("run_id",
	  BIGINT, REQUIRED, "The test's number."), BODY("name", TEXT, REQUIRED,
	  "The baseline's name."), NOTE } },
	{ DELETE, "tests/baselines/{name}", "drop_baseline", NULL, PERFOPT_NOTHING, NULL, NULL, 204,
	  "tester", false, "Forgets a baseline; its tests stay.", { IN_PATH("name", TEXT,
	  "The baseline's name.") } },
	{ GET, "tests/scenarios", NULL, "scenario", PERFOPT_ROWS, "name", NULL, 200, "viewer", true,
	  "What load tests can simulate.", { { 0 } } },
	{ GET, "tests/scenarios/{scenario}/operations", NULL, "operation", PERFOPT_ROWS,
	  "operation_id", NULL, 200, "viewer", true, "The operations of a scenario.",
	  { IN_PATH("scenario", TEXT, "The scenario's name.") } },
	{ POST, "tests/scenarios/import", "import_pgbench_script", NULL, PERFOPT_VALUE, "operation",
	  NULL, 201, "tester", false, "Adds a pgbench script to a scenario; returns its operation.",
	  { BODY("name", TEXT, REQUIRED, "The scenario's name."), BODY("script", TEXT, REQUIRED,
	  "The script's text."), BODY("weight", INT, OPTIONAL, "How often, beside others; 1."),
	  BODY("variables", JSON, OPTIONAL, "Values of variables, or how they are drawn.") } },
	{ POST, "tests/scenarios/from-statements", "scenario_from_statements", NULL, PERFOPT_VALUE,
	  "operations", NULL, 201, "tester", false,
	  "Makes a scenario of what this server runs most; returns how many operations it has.",
	  { BODY("name", TEXT, REQUIRED, "The scenario's name."), BODY("top", INT, OPTIONAL,
	  "At most so many statements; 10."), BODY("since", INTERVAL, OPTIONAL,
	  "Calls of that time; 1 hour."), BODY("read_only", BOOLEAN, OPTIONAL,
	  "Only statements that write nothing; true.") } },
	{ GET, "tests/datasets", NULL, "dataset", PERFOPT_ROWS, "name", NULL, 200, "viewer", true,
	  "Data sets for load tests.", { { 0 } } },
	{ POST, "tests/datasets", "create_dataset", NULL, PERFOPT_NOTHING, NULL, NULL, 201, "tester",
	  false, "Makes a data set in a new schema.", { BODY("name", TEXT, REQUIRED,
	  "Its name, and the schema's."), BODY("scale", INT, OPTIONAL, "1 is about 30 MB."),
	  BODY("template", TEXT, OPTIONAL, "integration.") } },
	{ DELETE, "tests/datasets/{name}", "drop_dataset", NULL, PERFOPT_NOTHING, NULL, NULL, 204,
	  "tester", false, "Drops a data set and its schema.", { IN_PATH("name", TEXT,
	  "The data set's name.") } },
	{ POST, "tests/datasets/{name}/reset", "reset_dataset", NULL, PERFOPT_NOTHING, NULL, NULL, 204,
	  "tester", false, "Makes a data set anew.", { IN_PATH("name", TEXT,
	  "The data set's name.") } },
	{ POST, "tests/check", "check_test", NULL, PERFOPT_NOTHING, NULL, NULL, 204, "tester", false,
	  "Are these settings of a test right? Runs nothing.", { TEST_CONFIG(START) } },
	{ POST, "tests/targets/{target}/check", "check_target", NULL, PERFOPT_VALUE, "answer", NULL,
	  200, "tester", false, "Connects to a target as a load test would.", { IN_PATH("target", TEXT,
	  "The foreign server's name.") } },

	/* Templates of tests */
	{ GET, "templates", NULL, "test_template", PERFOPT_ROWS, "name", NULL, 200, "viewer", true,
	  "Tests by name.", { { 0 } } },
	{ GET, "templates/{name}", NULL, "test_template", PERFOPT_ROW, NULL, NULL, 200, "viewer", true,
	  "A template.", { IN_PATH("name", TEXT, "The template's name.") } },
	{ POST, "templates/{template}/start", "start_test", NULL, PERFOPT_VALUE, "run_id", NULL, 202,
	  "tester", false, "Starts the test that a template describes.", { IN_PATH("template", TEXT,
	  "The template's name."), WHOLE_BODY("overrides",
	  "Settings in place of the template's own.") } },

	/* Diagnosis and advice */
	{ POST, "optimization/analyze", "analyze", NULL, PERFOPT_VALUE, "analysis_id", NULL, 201,
	  "operator", false, "Diagnoses and stores bottlenecks and recommendations.", { BODY("since",
	  INTERVAL, OPTIONAL, "Length of the window; 15 min."), BODY("until", TIME, OPTIONAL,
	  "Its end; now.") } },
	{ GET, "optimization/analyses", NULL, "analysis", PERFOPT_PAGE, "analysis_id", NULL, 200,
	  "viewer", false, "Analyses, newest first.", { { 0 } } },
	{ GET, "optimization/analyses/{analysis_id}", NULL, "analysis", PERFOPT_ROW, NULL, NULL, 200,
	  "viewer", true, "An analysis.", { IN_PATH("analysis_id", BIGINT, "Its number.") } },
	{ GET, "optimization/analyses/{analysis_id}/bottlenecks", NULL, "bottleneck", PERFOPT_ROWS,
	  "rank", NULL, 200, "viewer", true, "What an analysis found.", { IN_PATH("analysis_id",
	  BIGINT, "Its number.") } },
	{ GET, "optimization/bottlenecks", "bottlenecks", NULL, PERFOPT_ROWS, NULL, NULL, 200,
	  "viewer", false, "What held the server back, worst first; stores nothing.", { SINCE,
	  QUERY("until", TIME, OPTIONAL, "End of the window; now.") } },
	{ GET, "optimization/recommendations", "recommendations", NULL, PERFOPT_ROWS, NULL, NULL, 200,
	  "viewer", false, "What to do about it, best first.", { QUERY("analysis_id", BIGINT, OPTIONAL,
	  "Of this analysis; the latest.") } },
	{ GET, "optimization/recommendations/{recommendation_id}", NULL, "recommendation", PERFOPT_ROW,
	  NULL, NULL, 200, "viewer", false, "A recommendation.", { RECOMMENDATION_ID } },
	{ POST, "optimization/recommendations/{recommendation_id}/accept", "accept_recommendation",
	  NULL, PERFOPT_NOTHING, NULL, NULL, 204, "operator", false, "Accepts it; runs nothing.",
	  { RECOMMENDATION_ID, NOTE } },
	{ POST, "optimization/recommendations/{recommendation_id}/dismiss", "dismiss_recommendation",
	  NULL, PERFOPT_NOTHING, NULL, NULL, 204, "operator", false, "Dismisses it.",
	  { RECOMMENDATION_ID, NOTE } },

	/* Metrics */
	{ GET, "metrics", NULL, "metric", PERFOPT_ROWS, "name", NULL, 200, "viewer", true,
	  "Every metric that is known: name, kind, unit, meaning.", { QUERY("dimension", TEXT,
	  OPTIONAL, "system, application, database, cache, external or integration."), QUERY("kind",
	  TEXT, OPTIONAL, "gauge or counter.") } },
	{ GET, "metrics/current", "current_metrics", NULL, PERFOPT_ROWS, NULL, NULL, 200, "viewer",
	  false, "The latest value of each series; a counter as its rate per second.",
	  { QUERY("dimension", TEXT, OPTIONAL,
	  "system, application, database, cache, external or integration.") } },
	{ GET, "metrics/history", "metric_history", NULL, PERFOPT_ROWS, NULL, NULL, 200, "viewer",
	  false, "A metric's course: average, minimum, maximum and p95 of each step.",
	  { QUERY("metric", TEXT, REQUIRED, "The metric's name."), SINCE, QUERY("step", INTERVAL,
	  OPTIONAL, "Width of a step; a sixtieth of since."), QUERY("labels", JSON, OPTIONAL,
	  "Of series that have these labels, a JSON object.") } },
	{ GET, "metrics/db-time", "db_time", NULL, PERFOPT_ROWS, NULL, NULL, 200, "viewer", false,
	  "Where the time of sessions went.", { SINCE, QUERY("group_by", TEXT, OPTIONAL,
	  "wait_event, wait_class, query_id, operation, database or role.") } },
	{ GET, "metrics/health", "health", NULL, PERFOPT_ROWS, NULL, NULL, 200, "viewer", false,
	  "A score from 0 to 100 for each dimension, and what pulls it down.", { { 0 } } },
	{ GET, "metrics/dashboard", "dashboard", NULL, PERFOPT_DOCUMENT, NULL, NULL, 200, "viewer",
	  false, "Everything that a dashboard shows.", { { 0 } } },
	{ GET, "metrics/sparklines", "sparkline_series", NULL, PERFOPT_ROWS, NULL, NULL, 200, "viewer",
	  false, "The course of the metrics that tell most.", { SINCE, QUERY("points", INT, OPTIONAL,
	  "So many averages; 60.") } },
	{ GET, "metrics/sources", NULL, "source_status", PERFOPT_ROWS, "source, t.target", NULL, 200,
	  "viewer", false, "How each source of metrics is doing.", { QUERY("state", TEXT, OPTIONAL,
	  "ok, failing ...") } },
	{ GET, "metrics/statements", NULL, "statement", PERFOPT_ROWS, "query_id, t.database", NULL, 200, "viewer",
	  false, "Texts of the busiest statements, for members of pg_read_all_stats.",
	  { QUERY("query_id", BIGINT, OPTIONAL, "Of this statement."), QUERY("database", TEXT,
	  OPTIONAL, "Of this database.") } },
	{ GET, "metrics/calls", "external_call_latency", NULL, PERFOPT_ROWS, NULL, NULL, 200, "viewer",
	  false, "Calls that applications reported, with percentiles.", { SINCE } },
	{ POST, "metrics/calls", "record_call", NULL, PERFOPT_NOTHING, NULL, NULL, 204, "tester",
	  false, "Reports a call that an application made.", { BODY("target", TEXT, REQUIRED,
	  "Whom it called."), BODY("duration_ms", FLOAT, REQUIRED, "How long it took."), BODY("ok",
	  BOOLEAN, OPTIONAL, "Whether it succeeded; true.") } },
	{ POST, "metrics/samples", "record_metric", NULL, PERFOPT_NOTHING, NULL, NULL, 204, "tester",
	  false, "Records a sample of an application's own metric.", { BODY("metric", TEXT, REQUIRED,
	  "Its name."), BODY("value", FLOAT, REQUIRED, "Its value."), BODY("labels", JSON, OPTIONAL,
	  "An object of texts."), BODY("ts", TIME, OPTIONAL, "When; now.") } },
	{ POST, "metrics/collect", "collect_now", NULL, PERFOPT_NOTHING, NULL, NULL, 204, "operator",
	  false, "Collects at once.", { { 0 } } },

	/* Alerts */
	{ GET, "alerts", NULL, "alert", PERFOPT_PAGE, "alert_id", NULL, 200, "viewer", false,
	  "Alerts, newest first.", { QUERY("state", TEXT, OPTIONAL,
	  "pending, firing, acknowledged or resolved."), QUERY("severity", TEXT, OPTIONAL,
	  "warning or critical."), QUERY("metric", TEXT, OPTIONAL, "The metric's name.") } },
	{ GET, "alerts/{alert_id}", NULL, "alert", PERFOPT_ROW, NULL, NULL, 200, "viewer", false,
	  "An alert.", { ALERT_ID } },
	{ POST, "alerts/{alert_id}/acknowledge", "acknowledge_alert", NULL, PERFOPT_NOTHING, NULL,
	  NULL, 204, "operator", false, "Says that somebody is at it.", { ALERT_ID, NOTE } },
	{ POST, "alerts/{alert_id}/resolve", "resolve_alert", NULL, PERFOPT_NOTHING, NULL, NULL, 204,
	  "operator", false, "Resolves an alert by hand.", { ALERT_ID, NOTE } },
	{ POST, "alerts/{alert_id}/escalate", "escalate_alert", NULL, PERFOPT_NOTHING, NULL, NULL, 204,
	  "operator", false, "Takes an alert up a level.", { ALERT_ID, NOTE } },
	{ GET, "alerts/silences", NULL, "silence", PERFOPT_PAGE, "silence_id", NULL, 200, "viewer",
	  false, "Silences, newest first.", { { 0 } } },
	{ POST, "alerts/silences", "silence_alerts", NULL, PERFOPT_VALUE, "silence_id", NULL, 201,
	  "operator", false, "Keeps alerts from being told until then.", { BODY("metric", TEXT,
	  NULLABLE, "On this metric; all."), BODY("labels", JSON, REQUIRED,
	  "With these labels; {} is all."), BODY("until", TIME, REQUIRED, "Until when."), NOTE } },
	{ DELETE, "alerts/silences/{silence_id}", "end_silence", NULL, PERFOPT_NOTHING, NULL, NULL,
	  204, "operator", false, "Ends a silence now.", { IN_PATH("silence_id", BIGINT,
	  "Its number.") } },
	{ GET, "alerts/history", NULL, "event", PERFOPT_PAGE, "event_id", NULL, 200, "viewer", false,
	  "Everything that happened, newest first.", { QUERY("kind", TEXT, OPTIONAL,
	  "alert_fired, alert_resolved, regression ..."), QUERY("alert_id", BIGINT, OPTIONAL,
	  "Of this alert."), QUERY("metric", TEXT, OPTIONAL, "Of this metric.") } },
	{ GET, "alerts/events", NULL, "event", PERFOPT_EVENTS, NULL, NULL, 200, "viewer", false,
	  "What happens, as server-sent events; Last-Event-ID goes on where a stream was cut.",
	  { { 0 } } },

	/* Thresholds */
	{ GET, "thresholds", NULL, "threshold", PERFOPT_ROWS, "name", NULL, 200, "viewer", true,
	  "Lines that metrics should not cross.", { QUERY("metric", TEXT, OPTIONAL, "On this metric."),
	  QUERY("enabled", BOOLEAN, OPTIONAL, "true: those that are switched on.") } },
	{ GET, "thresholds/{name}", NULL, "threshold", PERFOPT_ROW, NULL, NULL, 200, "viewer", true,
	  "A threshold.", { IN_PATH("name", TEXT, "Its name.") } },
	{ POST, "thresholds", "set_threshold", NULL, PERFOPT_VALUE, "name", NULL, 200, "operator",
	  false, "Sets a threshold, or replaces the one on the same side.", { BODY("metric", TEXT,
	  REQUIRED, "The metric's name."), BODY("operator", TEXT, REQUIRED, ">, >=, < or <=."),
	  BODY("warning", FLOAT, NULLABLE, "In the metric's unit."), BODY("critical", FLOAT, NULLABLE,
	  "Likewise; one of the two is needed."), BODY("labels", JSON, OPTIONAL,
	  "Of series that have these labels."), BODY("hold", INTERVAL, OPTIONAL,
	  "How long before it fires; 0."), BODY("cooldown", INTERVAL, OPTIONAL,
	  "Not again for so long; 5 min."), BODY("escalate_after", INTERVAL, OPTIONAL,
	  "Unacknowledged for so long; never."), BODY("measure", TEXT, OPTIONAL,
	  "value, rate, avg, min, max, p50, p90, p95, p99, absent."), BODY("period", INTERVAL,
	  OPTIONAL, "Over how long avg ... p99 are taken."), BODY("hysteresis_pct", FLOAT, OPTIONAL,
	  "How far back before it is resolved; 5."), BODY("summary", TEXT, OPTIONAL,
	  "What it means.") } },
	{ DELETE, "thresholds/{metric}", "drop_threshold", NULL, PERFOPT_NOTHING, NULL, NULL, 204,
	  "operator", false, "Drops a threshold; one that came with perfopt is switched off.",
	  { IN_PATH("metric", TEXT, "The threshold's name, or its metric's.") } }
};
/* clang-format on */

const int perfopt_nroutes = sizeof(perfopt_routes) / sizeof(perfopt_routes[0]);
