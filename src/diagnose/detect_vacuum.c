/*
 * detect_vacuum.c
 *	  Findings about cleaning up after transactions, and about what prevents it.
 */
#include "postgres.h"

#include <math.h>

#include "diagnose/diagnose.h"

/* Ids after which the server refuses to begin transactions (varsup.c, multixact.c): 2^31 less 3 million. */
#define LAST_ID 2144483648.0

static const PerfoptThreshold horizon_age = {
	"age", "transactions that the oldest snapshot is old, on average", 50e6,
	"measured: catalogue of findings"
};
static const PerfoptThreshold horizon_samples = { "samples", "over samples", 5,
												  "measured: catalogue of findings" };
static const PerfoptThreshold wraparound_warning = {
	"warning_ratio", "warning from age as a multiple of the freeze_max_age, and not falling", 1,
	"measured: catalogue of findings"
};
static const PerfoptThreshold wraparound_critical = { "critical_ratio",
													  "critical from a multiple of", 2,
													  "measured: catalogue of findings" };
static const PerfoptThreshold lag_trigger = {
	"trigger", "times the dead rows that should start an autovacuum, throughout the window", 1,
	"convention: pganalyze"
};
static const PerfoptThreshold lag_far = { "trigger_alone",
										  "or so many times even while workers are free", 5,
										  "judgement: far beyond what a worker on its way leaves" };
static const PerfoptThreshold lag_rows = { "dead_rows", "and dead rows", 10000,
										   "judgement: fewer are no burden" };
static const PerfoptThreshold lag_seconds = {
	"seconds", "seen so for seconds", 300,
	"judgement: a worker comes within minutes of what calls for it"
};
static const PerfoptThreshold lag_workers = { "workers", "share of autovacuum's workers at work",
											  0.9,
											  "convention: pganalyze; all, in nearly each sample" };
static const PerfoptThreshold passes_limit = { "passes", "passes over the indexes", 2,
											   "measured: catalogue of findings" };

static void
detect_xmin_horizon_held(PerfoptDiagnosis *diagnosis)
{
	PerfoptFacts *facts = diagnosis->facts;
	PerfoptSeries *age = perfopt_facts_series(facts, "pg_session_oldest_xmin_age", NULL);
	double xact_s = perfopt_facts_max(facts, "pg_session_oldest_xact_seconds");
	PerfoptFinding *finding;

	if (age == NULL || age->n < perfopt_limit(diagnosis, &horizon_samples) ||
		perfopt_series_mean(age) < perfopt_limit(diagnosis, &horizon_age))
		return;
	finding =
		perfopt_finding_add(diagnosis, PERFOPT_WARNING, pstrdup("oldest snapshot of a session"));
	finding->root_cause = psprintf(
		"A session keeps a snapshot that is %.0f transactions old%s: no row that was deleted or "
		"changed since can be removed, in any table, so all of them grow and get slower.",
		age->last,
		isnan(xact_s)
			? ""
			: psprintf(" (the oldest transaction is open for %s)", perfopt_duration(xact_s)));
	perfopt_evidence_number(finding, "xmin_age", age->last);
	perfopt_evidence_number(finding, "xmin_age_avg", perfopt_series_mean(age));
	perfopt_evidence_number(finding, "oldest_xact_s", xact_s);
	perfopt_evidence_text(finding, "sql",
						  "SELECT pid, usename, state, age(backend_xmin), xact_start FROM "
						  "pg_stat_activity WHERE backend_xmin IS NOT NULL ORDER BY 4 DESC");
}

static void
wraparound_of(PerfoptDiagnosis *diagnosis, const char *metric, const char *setting,
			  const char *what)
{
	PerfoptFacts *facts = diagnosis->facts;
	double max_age = perfopt_setting(setting);

	for (PerfoptSeries *s = NULL; (s = perfopt_facts_series(facts, metric, s)) != NULL;)
	{
		double seconds = (s->last_ts - s->first_ts) / (double) USECS_PER_SEC;
		double rate = seconds > 0 ? (s->last - s->first) / seconds : 0;
		double ratio = s->last / max_age;
		double left_s = rate > 0 ? (LAST_ID - s->last) / rate : INFINITY;
		bool critical = ratio >= perfopt_limit(diagnosis, &wraparound_critical);
		char *database;
		PerfoptFinding *finding;

		if (ratio < perfopt_limit(diagnosis, &wraparound_warning) || s->last < s->first)
			continue;
		database = perfopt_series_label(s, "database");
		finding = perfopt_finding_add(diagnosis, critical ? PERFOPT_CRITICAL : PERFOPT_WARNING,
									  psprintf("database %s (%s)", database, what));
		finding->root_cause = psprintf("The oldest %s of database %s is %.0f old, %.1f times %s "
									   "(%.0f), and vacuuming does not "
									   "bring it down; at %.0f the server takes no more writes%s.",
									   what, database, s->last, ratio, setting, max_age, LAST_ID,
									   isfinite(left_s) ? psprintf(", at the present rate in %s",
																   perfopt_duration(left_s))
														: "");
		perfopt_evidence_time_left(finding, left_s);
		perfopt_evidence_text(finding, "database", database);
		perfopt_evidence_number(finding, "age", s->last);
		perfopt_evidence_number(finding, "max_age", max_age);
		perfopt_evidence_number(finding, "ids_per_s", rate);
		perfopt_evidence_series(finding, facts, s);
		perfopt_finding_factor(finding, perfopt_finding_of(diagnosis, "xmin_horizon_held"));
		perfopt_finding_factor(finding, perfopt_finding_of(diagnosis, "idle_in_transaction"));
	}
}

static void
detect_wraparound(PerfoptDiagnosis *diagnosis)
{
	wraparound_of(diagnosis, "pg_database_frozenxid_age", "autovacuum_freeze_max_age",
				  "transaction id");
	wraparound_of(diagnosis, "pg_database_minmxid_age", "autovacuum_multixact_freeze_max_age",
				  "multixact id");
}

static void
detect_autovacuum_lag(PerfoptDiagnosis *diagnosis)
{
	PerfoptFacts *facts = diagnosis->facts;
	PerfoptSeries *workers = perfopt_facts_series(facts, "pg_autovacuum_workers_active", NULL);
	double most = perfopt_setting("autovacuum_max_workers");
	double at_work = workers ? perfopt_series_mean(workers) : NAN;
	bool saturated = at_work >= perfopt_limit(diagnosis, &lag_workers) * most;

	for (PerfoptSeries *s = NULL;
		 (s = perfopt_facts_series(facts, "pg_table_dead_tuples", s)) != NULL;)
	{
		PerfoptSeries *live = perfopt_facts_twin(facts, "pg_table_live_tuples", s);
		PerfoptFinding *finding;
		double trigger;
		double times;
		char *table;

		if (live == NULL)
			continue;
		trigger = perfopt_setting("autovacuum_vacuum_threshold") +
				  perfopt_setting("autovacuum_vacuum_scale_factor") * live->max;
		times = s->min / trigger;
		if (!(times >= perfopt_limit(diagnosis, saturated ? &lag_trigger : &lag_far)) ||
			s->seconds < perfopt_limit(diagnosis, &lag_seconds) ||
			s->min < perfopt_limit(diagnosis, &lag_rows))
			continue;
		table = perfopt_series_label(s, "table");
		finding = perfopt_finding_add(diagnosis, PERFOPT_WARNING, table);
		finding->root_cause = psprintf(
			"Table %s has %.0f dead rows beside %.0f live ones, %.1f times what should have "
			"started an "
			"autovacuum, for all of the window; %.1f of %.0f workers were at work on average%s.",
			table, s->last, live->last, s->last / trigger, isnan(at_work) ? 0 : at_work, most,
			saturated ? ", so it waits for its turn"
					  : ", so it is switched off for this table, or cannot remove what it finds");
		perfopt_evidence_text(finding, "table", table);
		perfopt_evidence_text(finding, "database", perfopt_series_label(s, "database"));
		perfopt_evidence_number(finding, "dead_rows", s->last);
		perfopt_evidence_number(finding, "live_rows", live->last);
		perfopt_evidence_number(finding, "trigger_rows", trigger);
		perfopt_evidence_number(finding, "workers_avg", at_work);
		perfopt_evidence_number(finding, "max_workers", most);
		perfopt_evidence_series(finding, facts, s);
		perfopt_finding_factor(finding, perfopt_finding_of(diagnosis, "xmin_horizon_held"));
		perfopt_finding_factor(finding, perfopt_finding_of(diagnosis, "idle_in_transaction"));
	}
}

static void
detect_vacuum_index_passes(PerfoptDiagnosis *diagnosis)
{
	PerfoptFacts *facts = diagnosis->facts;
	double memory_kb = perfopt_setting("autovacuum_work_mem");

	if (memory_kb < 0)
		memory_kb = perfopt_setting("maintenance_work_mem");
	for (PerfoptSeries *s = NULL;
		 (s = perfopt_facts_series(facts, "pg_vacuum_index_passes", s)) != NULL;)
	{
		char *table;
		PerfoptFinding *finding;

		if (s->max < perfopt_limit(diagnosis, &passes_limit))
			continue;
		table = perfopt_series_label(s, "table");
		finding = perfopt_finding_add(diagnosis, PERFOPT_WARNING, table);
		finding->root_cause = psprintf(
			"Vacuuming table %s has gone through all its indexes %.0f times: the dead rows that it "
			"remembers at a time do not fit into its memory (%.0f MB).",
			table, s->max, memory_kb / 1024);
		perfopt_evidence_text(finding, "table", table);
		perfopt_evidence_text(finding, "database", perfopt_series_label(s, "database"));
		perfopt_evidence_number(finding, "passes", s->max);
		perfopt_evidence_number(finding, "memory_kb", memory_kb);
		perfopt_evidence_series(finding, facts, s);
	}
}

const PerfoptDetector perfopt_vacuum_detectors[] = {
	{ "xmin_horizon_held", "database", PERFOPT_STAGE_CAUSE, detect_xmin_horizon_held,
	  PERFOPT_THRESHOLDS(&horizon_age, &horizon_samples) },
	{ "wraparound", "database", PERFOPT_STAGE_REST, detect_wraparound,
	  PERFOPT_THRESHOLDS(&wraparound_warning, &wraparound_critical) },
	{ "autovacuum_lag", "database", PERFOPT_STAGE_REST, detect_autovacuum_lag,
	  PERFOPT_THRESHOLDS(&lag_trigger, &lag_far, &lag_rows, &lag_seconds, &lag_workers) },
	{ "vacuum_index_passes", "database", PERFOPT_STAGE_REST, detect_vacuum_index_passes,
	  PERFOPT_THRESHOLDS(&passes_limit) },
	{ NULL }
};
