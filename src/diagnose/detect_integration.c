/*
 * detect_integration.c
 *	  Findings about data that comes from and goes to other systems, and about jobs that move it.
 */
#include "postgres.h"

#include <math.h>

#include "utils/builtins.h"

#include "diagnose/diagnose.h"

static const PerfoptThreshold lag_factor = {
	"factor", "times the longest pause of the day before", 2,
	"judgement: pauses of a system that works resemble each other"
};
static const PerfoptThreshold lag_seconds = { "seconds", "and seconds since the last change", 3600,
											  "judgement: an hour may pass without one" };
static const PerfoptThreshold failed_share = { "share", "share of validations that fail", 0.05,
											   "judgement: one in twenty" };
static const PerfoptThreshold failed_factor = { "factor", "and times the share of the day before",
												2, "judgement: chance moves it by less" };
static const PerfoptThreshold failed_floor = { "failures", "and failures in the window", 10,
											   "judgement: fewer say nothing about the share" };
static const PerfoptThreshold unmapped_ids = { "entities",
											   "of the latest 1000 entities without an "
											   "external id",
											   50, "judgement: one in twenty" };
static const PerfoptThreshold mismatch_factor = { "factor", "times the most of the day before", 2,
												  "judgement: chance moves it by less" };
static const PerfoptThreshold mismatch_floor = { "records", "and mismatches in the latest run", 10,
												 "judgement: fewer are handled one by one" };
static const PerfoptThreshold cron_failures = { "failures",
												"failed runs of a job, in the window and "
												"the day before",
												2, "judgement: repeated, not one" };
static const PerfoptThreshold notify_ratio = {
	"ratio", "share of the queue for NOTIFY in use", 0.5,
	"convention: the server warns from there on (async.c)"
};

/* 'system billing (dataset shop)' */
static char *
system_name(const PerfoptSeries *series)
{
	return psprintf("%s (dataset %s)", perfopt_series_label(series, "system"),
					perfopt_series_label(series, "dataset"));
}

static void
label_evidence(PerfoptFinding *finding, const PerfoptFacts *facts, const PerfoptSeries *series)
{
	perfopt_evidence_text(finding, "dataset", perfopt_series_label(series, "dataset"));
	perfopt_evidence_text(finding, "system", perfopt_series_label(series, "system"));
	perfopt_evidence_series(finding, facts, series);
}

static void
detect_sync_lag(PerfoptDiagnosis *diagnosis)
{
	PerfoptFacts *facts = diagnosis->facts;

	for (PerfoptSeries *s = NULL;
		 (s = perfopt_facts_series(facts, "integration_sync_lag_seconds", s)) != NULL;)
	{
		double usual = s->past.n > 1 ? s->past.max : 0;
		PerfoptFinding *finding;

		if (s->last < perfopt_limit(diagnosis, &lag_seconds) ||
			s->last < perfopt_limit(diagnosis, &lag_factor) * usual)
			continue;
		finding = perfopt_finding_add(diagnosis, PERFOPT_WARNING, system_name(s));
		finding->root_cause = psprintf(
			"No sync with %s has logged a change for %s%s: it has stopped or has nothing to do.",
			system_name(s), perfopt_duration(s->last),
			usual > 0
				? psprintf(" (the longest pause of the day before was %s)", perfopt_duration(usual))
				: "");
		perfopt_evidence_number(finding, "lag_s", s->last);
		perfopt_evidence_number(finding, "lag_max_before_s", usual > 0 ? usual : NAN);
		label_evidence(finding, facts, s);
	}
}

static void
detect_validation_failures(PerfoptDiagnosis *diagnosis)
{
	PerfoptFacts *facts = diagnosis->facts;

	for (PerfoptSeries *s = NULL;
		 (s = perfopt_facts_series(facts, "integration_validation_failures_total", s)) != NULL;)
	{
		PerfoptSeries *all =
			perfopt_facts_twin(facts, "integration_validation_operations_total", s);
		PerfoptFinding *finding;
		double share;
		double usual;

		if (all == NULL || !(all->sum > 0))
			continue;
		share = s->sum / all->sum;
		usual = all->past.sum > 0 ? s->past.sum / all->past.sum : NAN;
		if (s->sum < perfopt_limit(diagnosis, &failed_floor) ||
			!(share >= perfopt_limit(diagnosis, &failed_share)) ||
			share < perfopt_limit(diagnosis, &failed_factor) * usual)
			continue;
		finding = perfopt_finding_add(diagnosis, PERFOPT_WARNING, system_name(s));
		finding->root_cause =
			psprintf("%.0f of %.0f validations of %s did not pass (%.0f %%%s): what it sends no "
					 "longer has the "
					 "form that is agreed on.",
					 s->sum, all->sum, system_name(s), 100 * share,
					 isnan(usual) ? "" : psprintf(", %.0f %% in the day before", 100 * usual));
		perfopt_evidence_number(finding, "failures", s->sum);
		perfopt_evidence_number(finding, "validations", all->sum);
		perfopt_evidence_number(finding, "failed_pct", 100 * share);
		perfopt_evidence_number(finding, "failed_pct_before", 100 * usual);
		label_evidence(finding, facts, s);
	}
}

static void
detect_mapping_gaps(PerfoptDiagnosis *diagnosis)
{
	PerfoptFacts *facts = diagnosis->facts;

	for (PerfoptSeries *s = NULL;
		 (s = perfopt_facts_series(facts, "integration_unmapped_ids", s)) != NULL;)
	{
		PerfoptFinding *finding;

		/* Throughout: an entity is there a moment before its mapping is. */
		if (s->min < perfopt_limit(diagnosis, &unmapped_ids) || s->n < 2)
			continue;
		finding = perfopt_finding_add(diagnosis, PERFOPT_WARNING, system_name(s));
		finding->root_cause = psprintf(
			"%.0f of the latest 1000 entities of dataset %s are known to no external system: what "
			"changes in them reaches nobody.",
			s->last, perfopt_series_label(s, "dataset"));
		perfopt_evidence_number(finding, "unmapped", s->last);
		label_evidence(finding, facts, s);
	}
}

static void
detect_reconciliation_mismatches(PerfoptDiagnosis *diagnosis)
{
	PerfoptFacts *facts = diagnosis->facts;

	for (PerfoptSeries *s = NULL;
		 (s = perfopt_facts_series(facts, "integration_reconciliation_mismatches", s)) != NULL;)
	{
		double usual = s->past.n > 0 ? s->past.max : 0;
		PerfoptFinding *finding;

		if (s->last < perfopt_limit(diagnosis, &mismatch_floor) ||
			s->last < perfopt_limit(diagnosis, &mismatch_factor) * usual)
			continue;
		finding = perfopt_finding_add(diagnosis, PERFOPT_WARNING, system_name(s));
		finding->root_cause =
			psprintf("The latest reconciliation with %s found %.0f records that differ%s: changes "
					 "were lost on "
					 "the way, or made on both sides.",
					 system_name(s), s->last,
					 usual > 0 ? psprintf(", %.0f at most in the day before", usual) : "");
		perfopt_evidence_number(finding, "mismatches", s->last);
		perfopt_evidence_number(finding, "mismatches_max_before", s->past.n > 0 ? usual : NAN);
		label_evidence(finding, facts, s);
	}
}

static void
detect_cron_failures(PerfoptDiagnosis *diagnosis)
{
	PerfoptFacts *facts = diagnosis->facts;

	for (PerfoptSeries *s = NULL;
		 (s = perfopt_facts_series(facts, "pg_cron_job_failures_total", s)) != NULL;)
	{
		PerfoptSeries *runs = perfopt_facts_twin(facts, "pg_cron_job_runs_total", s);
		double before = s->past.n > 0 ? s->past.sum : 0;
		char *job;
		PerfoptFinding *finding;

		if (s->sum < 1 || s->sum + before < perfopt_limit(diagnosis, &cron_failures))
			continue;
		job = perfopt_series_label(s, "job");
		finding = perfopt_finding_add(diagnosis, PERFOPT_WARNING, psprintf("job %s", job));
		finding->root_cause = psprintf("Job %s of pg_cron failed %.0f of %.0f times in the window "
									   "and %.0f times in the day before.",
									   job, s->sum, runs ? runs->sum : s->sum, before);
		perfopt_evidence_text(finding, "job", job);
		perfopt_evidence_number(finding, "failures", s->sum);
		perfopt_evidence_number(finding, "runs", runs ? runs->sum : NAN);
		perfopt_evidence_number(finding, "failures_before", before);
		perfopt_evidence_text(finding, "sql",
							  psprintf("SELECT d.start_time, d.status, d.return_message FROM "
									   "cron.job_run_details d JOIN cron.job j USING (jobid) WHERE "
									   "coalesce(j.jobname, j.jobid::text) = %s ORDER BY 1 DESC",
									   quote_literal_cstr(job)));
	}
}

static void
detect_notify_queue(PerfoptDiagnosis *diagnosis)
{
	PerfoptFacts *facts = diagnosis->facts;
	PerfoptSeries *used = perfopt_facts_series(facts, "pg_notify_queue_ratio", NULL);
	double seconds;
	double rate;
	double left_s;
	PerfoptFinding *finding;

	if (used == NULL || used->last < perfopt_limit(diagnosis, &notify_ratio))
		return;
	seconds = (used->last_ts - used->first_ts) / (double) USECS_PER_SEC;
	rate = seconds > 0 ? (used->last - used->first) / seconds : 0;
	left_s = rate > 0 ? (1 - used->last) / rate : INFINITY;
	finding = perfopt_finding_add(diagnosis, used->last >= 0.9 ? PERFOPT_CRITICAL : PERFOPT_WARNING,
								  pstrdup("queue for NOTIFY"));
	finding->root_cause =
		psprintf("%.0f %% of the queue for NOTIFY are in use%s: a session that listens has been in "
				 "a transaction "
				 "for too long; once it is full, each NOTIFY fails at commit.",
				 100 * used->last,
				 isfinite(left_s) ? psprintf(", and at the present rate all of it in %s",
											 perfopt_duration(left_s))
								  : "");
	perfopt_evidence_time_left(finding, left_s);
	perfopt_evidence_number(finding, "used_pct", 100 * used->last);
	perfopt_evidence_series(finding, facts, used);
	perfopt_finding_factor(finding, perfopt_finding_of(diagnosis, "idle_in_transaction"));
}

const PerfoptDetector perfopt_integration_detectors[] = {
	{ "sync_lag", "external", PERFOPT_STAGE_REST, detect_sync_lag,
	  PERFOPT_THRESHOLDS(&lag_factor, &lag_seconds) },
	{ "validation_failures", "external", PERFOPT_STAGE_REST, detect_validation_failures,
	  PERFOPT_THRESHOLDS(&failed_share, &failed_factor, &failed_floor) },
	{ "mapping_gaps", "external", PERFOPT_STAGE_REST, detect_mapping_gaps,
	  PERFOPT_THRESHOLDS(&unmapped_ids) },
	{ "reconciliation_mismatches", "external", PERFOPT_STAGE_REST, detect_reconciliation_mismatches,
	  PERFOPT_THRESHOLDS(&mismatch_factor, &mismatch_floor) },
	{ "cron_failures", "external", PERFOPT_STAGE_REST, detect_cron_failures,
	  PERFOPT_THRESHOLDS(&cron_failures) },
	{ "notify_queue", "external", PERFOPT_STAGE_REST, detect_notify_queue,
	  PERFOPT_THRESHOLDS(&notify_ratio) },
	{ NULL }
};
