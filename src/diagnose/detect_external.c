/*
 * detect_external.c
 *	  Findings about systems that the database's applications call: as applications report their calls
 *	  (record_call) and as the prober meets them.
 */
#include "postgres.h"

#include <math.h>

#include "diagnose/diagnose.h"

static const PerfoptThreshold down_samples = { "failed_samples", "probes that failed", 2,
											   "judgement: sustained, not one lost probe" };
static const PerfoptThreshold latency_factor = { "factor", "times the mean of the day before", 2,
												 "judgement: load alone moves it by less" };
static const PerfoptThreshold latency_ms = { "ms", "and milliseconds more than that", 100,
											 "judgement: less is not felt" };
static const PerfoptThreshold latency_alone_ms = {
	"alone_ms", "or, where nothing is known of before, milliseconds", 1000,
	"convention: a user's flow of thought breaks after a second (Nielsen)"
};
static const PerfoptThreshold latency_calls = { "calls", "calls, or probes, in the window", 5,
												"judgement: fewer make no mean" };
static const PerfoptThreshold error_budget = {
	"error_budget", "share of calls that may fail", 0.001,
	"convention: an objective of 99.9 % (SRE workbook)"
};
static const PerfoptThreshold burn_warning = { "warning_burn", "warning from times that share", 6,
											   "convention: SRE workbook" };
static const PerfoptThreshold burn_critical = { "critical_burn", "critical from times that share",
												14.4, "convention: SRE workbook" };
static const PerfoptThreshold error_floor = { "failures", "and failed calls in the window", 10,
											  "judgement: fewer say nothing about the share" };

/*
 * The part of the window at its end in which something must still go on to count as present, but two
 * samples at least.
 */
#define STILL_PART 12.0

static void
detect_external_down(PerfoptDiagnosis *diagnosis)
{
	PerfoptFacts *facts = diagnosis->facts;

	for (PerfoptSeries *s = NULL; (s = perfopt_facts_series(facts, "probe_up", s)) != NULL;)
	{
		double down = s->n - s->sum;
		bool still = s->last == 0;
		PerfoptSeries *status;
		char *target;
		PerfoptFinding *finding;

		if (down < perfopt_limit(diagnosis, &down_samples))
			continue;
		target = perfopt_series_label(s, "target");
		status = perfopt_facts_twin(facts, "probe_http_status", s);
		finding =
			perfopt_finding_add(diagnosis, still ? PERFOPT_CRITICAL : PERFOPT_WARNING, target);
		finding->root_cause = psprintf("Target %s failed %.0f of %d probes (about %.0f s)%s%s; "
									   "whoever calls it waits or fails.",
									   target, down, s->n, down * s->seconds / s->n,
									   status && status->last >= 400
										   ? psprintf(", at last with status %.0f", status->last)
										   : "",
									   still ? " and is down at the end" : "; it is back");
		perfopt_evidence_text(finding, "target", target);
		perfopt_evidence_number(finding, "probes", s->n);
		perfopt_evidence_number(finding, "probes_failed", down);
		perfopt_evidence_number(finding, "down_s", down * s->seconds / s->n);
		perfopt_evidence_number(finding, "up_at_end", s->last);
		perfopt_evidence_number(finding, "status", status ? status->last : NAN);
		perfopt_evidence_series(finding, facts, s);
	}
}

/* How long something took on average, now and before; before is NaN when too little is known of it. */
static void
judge_latency(PerfoptDiagnosis *diagnosis, const PerfoptSeries *series, double n, double now_s,
			  double n_before, double before_s, const char *what)
{
	double least = perfopt_limit(diagnosis, &latency_calls);
	char *target = perfopt_series_label(series, "target");
	PerfoptFinding *finding;
	bool slow;

	if (!(n_before >= least))
		before_s = NAN;
	slow = isnan(before_s) ? 1000 * now_s >= perfopt_limit(diagnosis, &latency_alone_ms)
						   : now_s >= perfopt_limit(diagnosis, &latency_factor) * before_s &&
								 1000 * (now_s - before_s) >= perfopt_limit(diagnosis, &latency_ms);
	if (n < least || !slow)
		return;
	finding = perfopt_finding_add(diagnosis, PERFOPT_WARNING, target);
	finding->root_cause =
		psprintf("%.0f %s of %s took %.0f ms on average%s; whoever waits for them keeps what it "
				 "holds meanwhile.",
				 n, what, target, 1000 * now_s,
				 isnan(before_s)
					 ? ""
					 : psprintf(", where they took %.0f ms in the day before", 1000 * before_s));
	perfopt_evidence_text(finding, "target", target);
	perfopt_evidence_text(finding, "what", what);
	perfopt_evidence_number(finding, "n", n);
	perfopt_evidence_number(finding, "mean_ms", 1000 * now_s);
	perfopt_evidence_number(finding, "mean_ms_before", 1000 * before_s);
	perfopt_evidence_series(finding, diagnosis->facts, series);
}

/* What applications report comes first; a target that they call needs no second finding from its probes. */
static void
detect_external_latency(PerfoptDiagnosis *diagnosis)
{
	PerfoptFacts *facts = diagnosis->facts;

	for (PerfoptSeries *s = NULL;
		 (s = perfopt_facts_series(facts, "external_call_duration_seconds_sum", s)) != NULL;)
	{
		PerfoptSeries *n = perfopt_facts_twin(facts, "external_call_duration_seconds_count", s);

		if (n != NULL && n->sum > 0)
			judge_latency(diagnosis, s, n->sum, s->sum / n->sum, n->past.sum,
						  s->past.sum / n->past.sum, "calls");
	}
	for (PerfoptSeries *s = NULL;
		 (s = perfopt_facts_series(facts, "probe_duration_seconds", s)) != NULL;)
	{
		char *phase = perfopt_series_label(s, "phase");

		if (phase == NULL || strcmp(phase, "total") != 0 ||
			perfopt_facts_labelled(facts, "external_call_duration_seconds_sum", "target",
								   perfopt_series_label(s, "target")) != NULL)
			continue;
		judge_latency(diagnosis, s, s->n, perfopt_series_mean(s), s->past.n,
					  s->past.sum / s->past.n, "probes");
	}
}

/* The calls of a target that succeeded, or that failed. */
static PerfoptSeries *
calls_of(const PerfoptFacts *facts, const char *target, const char *ok)
{
	for (PerfoptSeries *s = NULL;
		 (s = perfopt_facts_series(facts, "external_calls_total", s)) != NULL;)
	{
		if (strcmp(perfopt_series_label(s, "target"), target) == 0 &&
			strcmp(perfopt_series_label(s, "ok"), ok) == 0)
			return s;
	}
	return NULL;
}

/*
 * A burn rate says how many times faster than allowed failures use up the budget.  As in the SRE workbook
 * it must be high over the window and still at its end, where that has a twelfth of the window.
 */
static void
detect_external_errors(PerfoptDiagnosis *diagnosis)
{
	PerfoptFacts *facts = diagnosis->facts;
	double budget = perfopt_limit(diagnosis, &error_budget);
	double part_s = (facts->until - facts->since) / (double) USECS_PER_SEC / STILL_PART;
	for (PerfoptSeries *s = NULL;
		 (s = perfopt_facts_series(facts, "external_calls_total", s)) != NULL;)
	{
		char *target = perfopt_series_label(s, "target");
		PerfoptSeries *good;
		double calls;
		double burn;
		double still_s;
		PerfoptFinding *finding;

		if (strcmp(perfopt_series_label(s, "ok"), "false") != 0 || s->nonzero == 0 ||
			s->sum < perfopt_limit(diagnosis, &error_floor))
			continue;
		good = calls_of(facts, target, "true");
		calls = s->sum + (good ? good->sum : 0);
		burn = s->sum / calls / budget;
		still_s = (facts->until - s->nonzero_last_ts) / (double) USECS_PER_SEC;
		if (burn < perfopt_limit(diagnosis, &burn_warning) ||
			still_s > Max(part_s, 2 * s->seconds / s->n))
			continue;
		finding =
			perfopt_finding_add(diagnosis,
								burn >= perfopt_limit(diagnosis, &burn_critical) ? PERFOPT_CRITICAL
																				 : PERFOPT_WARNING,
								target);
		finding->root_cause =
			psprintf("%.0f of %.0f calls of %s failed (%.1f %%), %.0f times as many as an "
					 "objective of %g %% "
					 "allows, and it goes on.",
					 s->sum, calls, target, 100 * s->sum / calls, burn, 100 * (1 - budget));
		perfopt_evidence_text(finding, "target", target);
		perfopt_evidence_number(finding, "failures", s->sum);
		perfopt_evidence_number(finding, "calls", calls);
		perfopt_evidence_number(finding, "error_pct", 100 * s->sum / calls);
		perfopt_evidence_number(finding, "burn_rate", burn);
		perfopt_evidence_series(finding, facts, s);
		perfopt_finding_factor(finding, perfopt_finding_of(diagnosis, "external_down"));
	}
}

const PerfoptDetector perfopt_external_detectors[] = {
	{ "external_down", "external", PERFOPT_STAGE_CAUSE, detect_external_down,
	  PERFOPT_THRESHOLDS(&down_samples) },
	{ "external_latency", "external", PERFOPT_STAGE_CAUSE, detect_external_latency,
	  PERFOPT_THRESHOLDS(&latency_factor, &latency_ms, &latency_alone_ms, &latency_calls) },
	{ "external_errors", "external", PERFOPT_STAGE_CAUSE, detect_external_errors,
	  PERFOPT_THRESHOLDS(&error_budget, &burn_warning, &burn_critical, &error_floor) },
	{ NULL }
};
