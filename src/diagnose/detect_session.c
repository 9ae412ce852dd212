/*
 * detect_session.c
 *	  Findings about connections and transactions as a whole.
 */
#include "postgres.h"

#include <math.h>

#include "diagnose/diagnose.h"

static const PerfoptThreshold connections_warning = { "warning_ratio",
													  "warning from share of usable connections",
													  0.75,
													  "convention: Crunchy Data's alert rules" };
static const PerfoptThreshold connections_critical = { "critical_ratio",
													   "critical from share of usable connections",
													   0.9,
													   "convention: Crunchy Data's alert rules" };
static const PerfoptThreshold churn_rate = { "sessions_per_second", "sessions opened a second", 10,
											 "judgement: each costs a process of its own" };
static const PerfoptThreshold churn_life = { "life_seconds",
											 "seconds that a session lives, less than", 60,
											 "judgement: a pool keeps its connections for longer" };
static const PerfoptThreshold rollbacks_ratio = { "ratio", "share of transactions rolled back",
												  0.02, "convention: netdata" };
static const PerfoptThreshold rollbacks_seconds = { "seconds", "for seconds", 300,
													"convention: netdata" };
static const PerfoptThreshold rollbacks_floor = { "rollbacks", "and transactions rolled back", 100,
												  "judgement: fewer say nothing about the ratio" };

static void
detect_connection_saturation(PerfoptDiagnosis *diagnosis)
{
	PerfoptFacts *facts = diagnosis->facts;
	double used = perfopt_facts_max(facts, "pg_connections_used_ratio");
	double max = perfopt_facts_max(facts, "pg_sessions_max");
	PerfoptFinding *finding;

	if (!(used >= perfopt_limit(diagnosis, &connections_warning)))
		return;
	finding = perfopt_finding_add(diagnosis,
								  used >= perfopt_limit(diagnosis, &connections_critical)
									  ? PERFOPT_CRITICAL
									  : PERFOPT_WARNING,
								  psprintf("max_connections = %.0f", max));
	finding->root_cause =
		psprintf("Up to %.0f %% of the connections that ordinary users may open were in use "
				 "(max_connections = %.0f); at 100 %% new clients are refused.",
				 100 * used, max);
	perfopt_evidence_number(finding, "used_pct_max", 100 * used);
	perfopt_evidence_number(finding, "max_connections", max);
	for (PerfoptSeries *s = NULL; (s = perfopt_facts_series(facts, "pg_sessions", s)) != NULL;)
	{
		char *state = perfopt_series_label(s, "state");

		if (state != NULL && strcmp(state, "idle") == 0)
			perfopt_evidence_number(finding, "idle_sessions_avg", s->sum / s->n);
		if (state != NULL && strcmp(state, "active") == 0)
			perfopt_evidence_number(finding, "active_sessions_max", s->max);
	}
	perfopt_evidence_text(finding, "sql",
						  "SELECT usename, state, count(*) FROM pg_stat_activity "
						  "WHERE backend_type = 'client backend' GROUP BY 1, 2 ORDER BY 3 DESC");
}

/* By Little's law sessions live for as long as there are of them, divided by how many are opened a second. */
static void
detect_connection_churn(PerfoptDiagnosis *diagnosis)
{
	PerfoptFacts *facts = diagnosis->facts;
	double rate = perfopt_facts_rate(facts, "pg_sessions_total");
	double sessions = 0;
	double life_s;
	PerfoptFinding *finding;

	for (PerfoptSeries *s = NULL; (s = perfopt_facts_series(facts, "pg_sessions", s)) != NULL;)
		sessions += perfopt_series_mean(s);
	life_s = sessions / rate;
	if (!(rate >= perfopt_limit(diagnosis, &churn_rate)) ||
		!(life_s < perfopt_limit(diagnosis, &churn_life)))
		return;
	finding = perfopt_finding_add(diagnosis, PERFOPT_WARNING, pstrdup("connections"));
	finding->root_cause = psprintf(
		"%.0f sessions a second were opened and each lived for %.1f s on average (%.0f at a time): "
		"for each the server starts a process, authenticates and fills its caches anew.",
		rate, life_s, sessions);
	perfopt_evidence_number(finding, "sessions_per_s", rate);
	perfopt_evidence_number(finding, "sessions_avg", sessions);
	perfopt_evidence_number(finding, "mean_life_s", life_s);
	perfopt_evidence_text(finding, "sql",
						  "SELECT datname, sessions, session_time / nullif(sessions, 0) AS mean_ms "
						  "FROM pg_stat_database ORDER BY 2 DESC");
}

static void
detect_rollback_ratio(PerfoptDiagnosis *diagnosis)
{
	PerfoptFacts *facts = diagnosis->facts;

	for (PerfoptSeries *s = NULL;
		 (s = perfopt_facts_series(facts, "pg_xact_rollback_total", s)) != NULL;)
	{
		PerfoptSeries *commits = perfopt_facts_twin(facts, "pg_xact_commit_total", s);
		double all = s->sum + (commits ? commits->sum : 0);
		double shown_s = (s->nonzero_last_ts - s->nonzero_first_ts) / (double) USECS_PER_SEC;
		double interval_s = s->seconds / s->n;
		char *database;
		PerfoptFinding *finding;

		if (s->nonzero == 0 || s->sum < perfopt_limit(diagnosis, &rollbacks_floor) ||
			s->sum / all <= perfopt_limit(diagnosis, &rollbacks_ratio) ||
			shown_s + interval_s < perfopt_limit(diagnosis, &rollbacks_seconds))
			continue;
		database = perfopt_series_label(s, "database");
		finding =
			perfopt_finding_add(diagnosis, PERFOPT_WARNING, psprintf("database %s", database));
		finding->root_cause =
			psprintf("%.1f %% of the transactions of database %s were rolled back (%.0f of %.0f, "
					 "for %s): what "
					 "they did was lost work, and their rows are left to be cleaned up.",
					 100 * s->sum / all, database, s->sum, all,
					 perfopt_duration(shown_s + interval_s));
		perfopt_evidence_number(finding, "rollbacks", s->sum);
		perfopt_evidence_number(finding, "transactions", all);
		perfopt_evidence_number(finding, "rollback_pct", 100 * s->sum / all);
		perfopt_evidence_text(finding, "database", database);
		perfopt_evidence_series(finding, facts, s);
		perfopt_finding_factor(finding, perfopt_finding_of(diagnosis, "deadlocks"));
	}
}

const PerfoptDetector perfopt_session_detectors[] = {
	{ "connection_saturation", "database", PERFOPT_STAGE_REST, detect_connection_saturation,
	  PERFOPT_THRESHOLDS(&connections_warning, &connections_critical) },
	{ "connection_churn", "database", PERFOPT_STAGE_REST, detect_connection_churn,
	  PERFOPT_THRESHOLDS(&churn_rate, &churn_life) },
	{ "rollback_ratio", "database", PERFOPT_STAGE_REST, detect_rollback_ratio,
	  PERFOPT_THRESHOLDS(&rollbacks_ratio, &rollbacks_seconds, &rollbacks_floor) },
	{ NULL }
};
