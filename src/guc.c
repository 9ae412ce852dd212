/*
 * guc.c
 *	  Every setting of perfopt, in alphabetical order.
 */
#include "postgres.h"

#include <limits.h>

#include "miscadmin.h"
#include "nodes/pg_list.h"
#include "utils/guc.h"
#include "utils/varlena.h"

#include "guc.h"

bool perfopt_allow_private_targets = true;
int perfopt_collect_interval_s = 30;
char *perfopt_database = NULL;
char *perfopt_databases = NULL;
int perfopt_max_load_users = 1000;
int perfopt_max_series = 20000;
int perfopt_probe_timeout_ms = 2000;
int perfopt_retention_1hour_min = 3 * 365 * 24 * 60;
int perfopt_retention_5min_min = 90 * 24 * 60;
int perfopt_retention_events_min = 365 * 24 * 60;
int perfopt_retention_raw_min = 7 * 24 * 60;
int perfopt_sampling_frequency = 10;
int perfopt_top_statements = 50;
int perfopt_top_tables = 30;

/* Only the form: databases come and go, so what is missing is said in perfopt.source_status. */
static bool
check_databases(char **newval, void **extra, GucSource source)
{
	char *copy = pstrdup(*newval);
	List *names = NIL;
	bool valid = SplitIdentifierString(copy, ',', &names);

	if (!valid)
		GUC_check_errdetail("List syntax is invalid.");
	list_free(names);
	pfree(copy);
	return valid;
}

void
perfopt_guc_init(void)
{
	DefineCustomBoolVariable(
		"perfopt.allow_private_targets",
		"Lets the prober connect to private addresses and Unix sockets.",
		"Link-local addresses, where clouds keep credentials, are never allowed.",
		&perfopt_allow_private_targets, true, PGC_SIGHUP, 0, NULL, NULL, NULL);

	DefineCustomIntVariable("perfopt.collect_interval", "Time between two collecting cycles.", NULL,
							&perfopt_collect_interval_s, 30, 1, 3600, PGC_SIGHUP, GUC_UNIT_S, NULL,
							NULL, NULL);

	/*
	 * The server refuses to define a start-only setting later, so a session that loads the library
	 * by itself goes without it; it has no workers to use it either.
	 */
	if (process_shared_preload_libraries_in_progress)
		DefineCustomStringVariable("perfopt.database",
								   "Database that holds the extension perfopt and its data.", NULL,
								   &perfopt_database, "postgres", PGC_POSTMASTER, 0, NULL, NULL,
								   NULL);

	DefineCustomStringVariable(
		"perfopt.databases",
		"Databases whose tables, indexes and sequences are watched, beside perfopt.database.",
		"A list of names separated by commas; * stands for all that allow connections and are no "
		"templates.",
		&perfopt_databases, "", PGC_SIGHUP, GUC_LIST_INPUT, check_databases, NULL, NULL);

	DefineCustomIntVariable("perfopt.max_load_users", "Most users that one load test may simulate.",
							NULL, &perfopt_max_load_users, 1000, 1, 10000, PGC_SIGHUP, 0, NULL,
							NULL, NULL);

	DefineCustomIntVariable(
		"perfopt.max_series", "Most series (metrics with their labels) that are kept.",
		"Further ones are left out and counted in perfopt.source_status, until series that were "
		"not seen for longer than perfopt.retention_raw make room.",
		&perfopt_max_series, 20000, 100, 1000000, PGC_SIGHUP, 0, NULL, NULL, NULL);

	DefineCustomIntVariable("perfopt.probe_timeout",
							"Longest time that the prober waits for one target in a cycle.", NULL,
							&perfopt_probe_timeout_ms, 2000, 10, 60000, PGC_SIGHUP, GUC_UNIT_MS,
							NULL, NULL, NULL);

	DefineCustomIntVariable(
		"perfopt.retention_1hour", "How long hourly rollups are kept.",
		"They go by quarters: 91 days are dropped together when the last is older than this.",
		&perfopt_retention_1hour_min, 3 * 365 * 24 * 60, 60, INT_MAX, PGC_SIGHUP, GUC_UNIT_MIN,
		NULL, NULL, NULL);

	DefineCustomIntVariable(
		"perfopt.retention_5min", "How long five-minute rollups are kept.",
		"They go by weeks: seven days are dropped together when the last is older than this.",
		&perfopt_retention_5min_min, 90 * 24 * 60, 60, INT_MAX, PGC_SIGHUP, GUC_UNIT_MIN, NULL,
		NULL, NULL);

	DefineCustomIntVariable("perfopt.retention_events",
							"How long events and resolved alerts are kept.", NULL,
							&perfopt_retention_events_min, 365 * 24 * 60, 60, INT_MAX, PGC_SIGHUP,
							GUC_UNIT_MIN, NULL, NULL, NULL);

	DefineCustomIntVariable(
		"perfopt.retention_raw", "How long raw samples are kept.",
		"Samples go by whole days: a day is dropped when its last sample is older than this.",
		&perfopt_retention_raw_min, 7 * 24 * 60, 60, INT_MAX, PGC_SIGHUP, GUC_UNIT_MIN, NULL, NULL,
		NULL);

	DefineCustomIntVariable("perfopt.sampling_frequency",
							"How often active sessions are sampled, in times per second (Hz).",
							"Zero switches the sampler off.", &perfopt_sampling_frequency, 10, 0,
							100, PGC_SIGHUP, 0, NULL, NULL, NULL);

	DefineCustomIntVariable("perfopt.top_statements",
							"How many statements are followed: the busiest of each reading.",
							"Zero reads no statements.", &perfopt_top_statements, 50, 0, 1000,
							PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomIntVariable(
		"perfopt.top_tables", "How many tables and indexes of each database are shown.",
		"So many of the busiest tables and indexes, so many of the largest indexes, and a third as "
		"many tables with most dead rows, with most rows modified since ANALYZE, and of the "
		"largest. Zero reads no tables.",
		&perfopt_top_tables, 30, 0, 1000, PGC_SIGHUP, 0, NULL, NULL, NULL);

	MarkGUCPrefixReserved("perfopt");
}
