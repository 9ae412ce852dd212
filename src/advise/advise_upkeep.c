/*
 * advise_upkeep.c
 *	  Advice for findings about tables, indexes and vacuum, and about what the server does not measure.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/guc.h"

#include "advise/advise.h"

#define MIB (1024.0 * 1024.0)

#define NOTHING_TO_REVERT "-- nothing to revert: it leaves the data as it is"

/* Before PostgreSQL 17 a vacuum makes use of no more. */
#define VACUUM_MEMORY_MAX (1024.0 * MIB)

/* The name of an evidence's table for SQL, with the database it is in where that is another. */
static char *
table_of(const PerfoptFinding *finding, const char **where)
{
	const char *label = perfopt_evidence_get_text(finding, "table");
	const char *database = perfopt_evidence_get_text(finding, "database");
	Oid types[2] = { TEXTOID, TEXTOID };
	Datum values[2] = { CStringGetTextDatum(label), CStringGetTextDatum(database ? database : "") };
	char *quoted =
		perfopt_advice_ask("SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname)"
						   " FROM pg_catalog.pg_class c"
						   " JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
						   " WHERE n.nspname || '.' || c.relname = $1"
						   " AND $2 = current_database()",
						   2, types, values);

	*where = quoted || database == NULL ? "" : psprintf("-- in database %s\n", database);
	return quoted ? quoted : pstrdup(label);
}

/* The statement that makes an index anew without stopping anybody; NULL when the index is gone. */
static char *
definition_of(const char *index)
{
	Oid types[1] = { TEXTOID };
	Datum values[1] = { CStringGetTextDatum(index) };

	return perfopt_advice_ask(
		"SELECT regexp_replace(pg_catalog.pg_get_indexdef(pg_catalog.to_regclass($1)),"
		" ' INDEX ', ' INDEX CONCURRENTLY ') || ';'",
		1, types, values);
}

void
perfopt_advise_drop_index(PerfoptAdvising *advising)
{
	const PerfoptFinding *finding = advising->finding;
	const char *index = perfopt_evidence_get_text(finding, "index");
	const char *same_as = perfopt_evidence_get_text(finding, "same_as");
	double mib = perfopt_evidence_get_number(finding, "size_bytes") / MIB;
	char *definition = definition_of(index);
	PerfoptAdvice *advice;

	if (definition == NULL)
		return;
	advice = perfopt_advice_add(advising, psprintf("Drop index %s", index), PERFOPT_RISK_LOW, 0.5,
								same_as ? 0.9 : 0.6);
	advice->action_sql = psprintf("DROP INDEX CONCURRENTLY %s;", index);
	advice->revert_sql = definition;
	advice->rationale = psprintf("%s Each write is spared its upkeep, and %.0f MiB become free%s.",
								 finding->root_cause, mib,
								 same_as ? "" : "; a report that runs once a year may miss it");
}

void
perfopt_advise_invalid_index(PerfoptAdvising *advising)
{
	const PerfoptFinding *finding = advising->finding;
	const char *index = perfopt_evidence_get_text(finding, "index");
	bool left_over = strstr(index, "_ccnew") != NULL || strstr(index, "_ccold") != NULL;
	PerfoptAdvice *advice =
		perfopt_advice_add(advising,
						   psprintf(left_over ? "Drop index %s" : "Build index %s again", index),
						   PERFOPT_RISK_LOW, 0.5, 0.9);

	advice->action_sql =
		psprintf(left_over ? "DROP INDEX CONCURRENTLY %s;" : "REINDEX INDEX CONCURRENTLY %s;",
				 index);
	advice->revert_sql = NOTHING_TO_REVERT;
	advice->rationale =
		left_over
			? "REINDEX CONCURRENTLY left it when it failed; the index that it was to replace is "
			  "there."
			: "CONCURRENTLY takes no lock that stops readers or writers. If it is not wanted any "
			  "more, drop it instead.";
}

void
perfopt_advise_stale_statistics(PerfoptAdvising *advising)
{
	const char *where;
	char *table = table_of(advising->finding, &where);
	PerfoptAdvice *advice =
		perfopt_advice_add(advising, psprintf("Gather the statistics of table %s", table),
						   PERFOPT_RISK_LOW, 0.1, 0.8);

	advice->action_sql = psprintf("%sANALYZE %s;", where, table);
	advice->revert_sql = NOTHING_TO_REVERT;
	advice->rationale =
		"It reads a sample of the table and stops nobody. Should it be due again soon, "
		"lower autovacuum_analyze_scale_factor of this table.";
}

void
perfopt_advise_autovacuum_lag(PerfoptAdvising *advising)
{
	const PerfoptFinding *finding = advising->finding;
	double workers = perfopt_evidence_get_number(finding, "workers_avg");
	double most = perfopt_evidence_get_number(finding, "max_workers");
	double limit = perfopt_setting("autovacuum_vacuum_cost_limit");
	const char *where;
	char *table = table_of(finding, &where);
	PerfoptAdvice *advice = perfopt_advice_add(advising, psprintf("Vacuum table %s", table),
											   PERFOPT_RISK_LOW, 0.1, 0.7);

	advice->action_sql = psprintf("%sVACUUM (ANALYZE) %s;", where, table);
	advice->revert_sql = NOTHING_TO_REVERT;
	advice->rationale =
		"It stops neither readers nor writers. Dead rows that an old snapshot, a slot "
		"or a prepared transaction may still see stay; end that first.";
	if (!(workers >= 0.9 * most))
		return;

	if (limit <= 0)
		limit = perfopt_setting("vacuum_cost_limit");
	advice = perfopt_advice_add(advising, "Let autovacuum work faster", PERFOPT_RISK_LOW, 0.5, 0.6);
	perfopt_advice_alter_system(advice, "autovacuum_vacuum_cost_limit",
								psprintf("%.0f", Min(4 * limit, 10000)));
	advice->rationale =
		psprintf("All %.0f workers are at work, and share a budget of %.0f; more workers would "
				 "each get less of "
				 "it. Four times as much, at most 10000, reads and writes the disk as much more.",
				 most, limit);
}

void
perfopt_advise_vacuum_memory(PerfoptAdvising *advising)
{
	const PerfoptFinding *finding = advising->finding;
	double passes = perfopt_evidence_get_number(finding, "passes");
	double now = perfopt_evidence_get_number(finding, "memory_kb") * 1024;
	double value = Min(now * (passes + 1), VACUUM_MEMORY_MAX);
	PerfoptAdvice *advice;

	if (value <= now)
		return;
	advice =
		perfopt_advice_add(advising, "Give autovacuum more memory", PERFOPT_RISK_LOW, 0.5, 0.8);
	perfopt_advice_alter_system(advice, "autovacuum_work_mem", perfopt_size(value));
	advice->rationale = psprintf(
		"%.0f MB were enough for one of %.0f passes and more; %.0f times that, at most 1 GB. "
		"Each of autovacuum's %.0f workers may use as much.",
		now / MIB, passes, passes + 1, perfopt_setting("autovacuum_max_workers"));
}

void
perfopt_advise_bloat(PerfoptAdvising *advising)
{
	const PerfoptFinding *finding = advising->finding;
	double wasted = perfopt_evidence_get_number(finding, "wasted_bytes") / MIB;
	const char *where;
	char *table = table_of(finding, &where);
	PerfoptAdvice *advice = perfopt_advice_add(advising, psprintf("Write table %s anew", table),
											   PERFOPT_RISK_MEDIUM, 2, 0.7);

	perfopt_advice_outside(
		advice,
		psprintf("%spg_repack --table=%s, which lets others go on working;\nin a "
				 "maintenance window VACUUM (FULL) %s does without it",
				 *where
					 ? psprintf("in database %s, ", perfopt_evidence_get_text(finding, "database"))
					 : "",
				 table, table),
		"none is needed: the data stays as it is");
	advice->rationale =
		psprintf("About %.0f MiB become free for others. As long as it runs, as much as "
				 "the table is needed again on the disk.",
				 wasted);
}

void
perfopt_advise_wraparound(PerfoptAdvising *advising)
{
	const PerfoptFinding *finding = advising->finding;
	const char *database = perfopt_evidence_get_text(finding, "database");
	bool multixact = strstr(finding->entity, "multixact") != NULL;
	PerfoptAdvice *advice =
		perfopt_advice_add(advising, psprintf("Freeze the oldest tables of database %s", database),
						   PERFOPT_RISK_LOW, 2, 0.9);

	advice->action_sql =
		psprintf("-- in database %s; run the statements that this prints\n"
				 "SELECT format('VACUUM (FREEZE, VERBOSE) %%s;', oid::regclass) FROM pg_class\n"
				 "WHERE relkind IN ('r', 'm') ORDER BY greatest(%s(%s), 0) DESC LIMIT 10;",
				 database, multixact ? "mxid_age" : "age",
				 multixact ? "relminmxid" : "relfrozenxid");
	advice->revert_sql = NOTHING_TO_REVERT;
	advice->rationale =
		"Autovacuum does so too, but slowly. What keeps the age up must end first: old "
		"transactions, prepared ones, slots, and standbys with hot_standby_feedback.";
}

void
perfopt_advise_xmin_horizon(PerfoptAdvising *advising)
{
	double age = perfopt_evidence_get_number(advising->finding, "xmin_age");
	PerfoptAdvice *advice = perfopt_advice_add(advising, "End the session with the oldest snapshot",
											   PERFOPT_RISK_MEDIUM, 0.1, 0.8);

	advice->action_sql = psprintf("SELECT pg_terminate_backend(pid) FROM pg_stat_activity\n"
								  "WHERE backend_type = 'client backend' AND age(backend_xmin) >= "
								  "%.0f AND pid <> pg_backend_pid();",
								  age);
	advice->revert_sql =
		"-- cannot be reverted: the client has to reconnect and repeat its transaction";
	advice->rationale =
		"What it has done in its transaction is rolled back. Vacuum can then remove what "
		"has piled up since; does nothing when the session has ended by now.";
}

void
perfopt_advise_jit(PerfoptAdvising *advising)
{
	const PerfoptFinding *finding = advising->finding;
	const char *role = perfopt_evidence_get_text(finding, "role");
	double cost = perfopt_evidence_get_number(finding, "jit_above_cost");
	PerfoptAdvice *advice = perfopt_advice_add(advising,
											   role ? psprintf("Compile nothing for role %s", role)
													: pstrdup("Compile only what costs more"),
											   PERFOPT_RISK_LOW, 0.1, 0.8);

	if (!perfopt_advice_alter_role(advice, role, "jit", "off"))
		perfopt_advice_alter_system(advice, "jit_above_cost", psprintf("%.0f", 10 * cost));
	advice->rationale =
		psprintf("Compilation takes %.0f %% of the statement's execution time. Statements "
				 "that compute for seconds on each call lose what it gives them.",
				 perfopt_evidence_get_number(finding, "share_pct"));
}

void
perfopt_advise_slot(PerfoptAdvising *advising)
{
	const PerfoptFinding *finding = advising->finding;
	const char *slot = perfopt_evidence_get_text(finding, "slot");
	PerfoptAdvice *advice;

	if (perfopt_evidence_get_number(finding, "active") > 0)
		return;
	advice = perfopt_advice_add(advising,
								psprintf("Drop slot %s, if nobody will come back for it", slot),
								PERFOPT_RISK_HIGH, 0.5, 0.8);
	advice->action_sql =
		psprintf("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots\n"
				 "WHERE slot_name = %s AND NOT active;",
				 quote_literal_cstr(slot));
	advice->revert_sql = "-- cannot be reverted: who read from it has to be set up anew";
	advice->rationale =
		"The WAL kept for it is removed at the next checkpoint. If its reader is only "
		"down, start that instead.";
}

void
perfopt_advise_missing_input(PerfoptAdvising *advising)
{
	bool timing = strcmp(advising->finding->entity, "track_io_timing") == 0;
	const char *preload = GetConfigOption("shared_preload_libraries", true, false);
	bool loaded = GetConfigOption("pg_stat_statements.max", true, false) != NULL;
	PerfoptAdvice *advice =
		perfopt_advice_add(advising,
						   timing ? "Measure how long reads and writes take"
								  : "Keep statistics of statements",
						   timing ? PERFOPT_RISK_LOW : PERFOPT_RISK_MEDIUM, 0.5, 0.9);

	if (timing)
	{
		perfopt_advice_alter_system(advice, "track_io_timing", "on");
		advice->rationale =
			"Costs two readings of the clock for each read; pg_test_timing shows how long "
			"one takes here (well under 100 ns as a rule).";
		return;
	}
	if (loaded)
	{
		advice->action_sql = "CREATE EXTENSION IF NOT EXISTS pg_stat_statements;";
		advice->revert_sql = "DROP EXTENSION pg_stat_statements;";
		advice->risk = PERFOPT_RISK_LOW;
	}
	else
	{
		/* A list, so that each name stands by itself. */
		advice->action_sql =
			psprintf("ALTER SYSTEM SET shared_preload_libraries = %s%spg_stat_statements;\n"
					 "-- restart the server, then in this database:\n"
					 "-- CREATE EXTENSION pg_stat_statements;",
					 preload ? preload : "", preload && *preload ? ", " : "");
		advice->revert_sql = psprintf("ALTER SYSTEM SET shared_preload_libraries = %s;\n"
									  "-- takes effect when the server is restarted",
									  preload && *preload ? preload : "''");
	}
	advice->rationale =
		"Without it statements are known by their ids alone, and the findings about single "
		"statements have nothing to go by.";
}
