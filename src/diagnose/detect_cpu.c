/*
 * detect_cpu.c
 *	  Findings about the processors.
 */
#include "postgres.h"

#include <math.h>

#include "diagnose/diagnose.h"

static const PerfoptThreshold cpu_sessions = {
	"sessions on CPU per usable core", 1.0,
	"convention: more runnable processes than cores means that some wait"
};
static const PerfoptThreshold busy_warning = { "warning from share of CPU time that is busy", 0.85,
											   "convention: netdata" };
static const PerfoptThreshold busy_critical = { "critical from share of CPU time that is busy",
												0.95, "convention: netdata" };
static const PerfoptThreshold own_part = { "sessions on CPU per busy core when the machine is busy",
										   0.5,
										   "judgement: below, somebody else uses the processors" };

static const char *const on_cpu[] = { "CPU:", NULL };

/* The share of processor time that was not idle; NaN when unknown. */
static double
busy_share(const PerfoptFacts *facts)
{
	double total = 0;
	double idle = 0;

	for (PerfoptSeries *s = NULL;
		 (s = perfopt_facts_series(facts, "node_cpu_seconds_total", s)) != NULL;)
	{
		char *mode = perfopt_series_label(s, "mode");

		total += s->sum;
		if (mode != NULL && (strcmp(mode, "idle") == 0 || strcmp(mode, "iowait") == 0))
			idle += s->sum;
	}
	return total > 0 ? 1 - idle / total : NAN;
}

/* The share of time on CPU that is really waiting for a core: runnable beyond what can run. */
static double
queueing(double runnable, double cores)
{
	return runnable > cores ? 1 - cores / runnable : 0;
}

static double
weigh_queueing(const PerfoptFacts *facts, const PerfoptActivity *activity, const void *arg)
{
	return perfopt_wait_is(facts, activity, "CPU", NULL) ? *(const double *) arg : 0;
}

void
perfopt_detect_cpu_saturation(PerfoptDiagnosis *diagnosis)
{
	PerfoptFacts *facts = diagnosis->facts;
	PerfoptShare cpu = perfopt_facts_share(facts, perfopt_weigh_waits, on_cpu);
	PerfoptSeries *running = perfopt_facts_series(facts, "node_procs_running", NULL);
	double busy = busy_share(facts);
	double waiting = queueing(cpu.aas, facts->cores);
	bool overcommitted = cpu.aas > cpu_sessions.value * facts->cores;
	bool machine_busy =
		busy >= busy_warning.value && cpu.aas >= own_part.value * busy * facts->cores;
	const PerfoptStatement *top;
	PerfoptFinding *finding;

	if (!facts->measurable || !(overcommitted || machine_busy))
		return;
	/* Processes outside the server queue too; the one that reads the figure is not counted. */
	if (running != NULL)
		waiting = Max(waiting, queueing(running->sum / running->n - 1, facts->cores));

	top = perfopt_busiest_statement(facts, perfopt_weigh_waits, on_cpu);
	finding = perfopt_finding_add(diagnosis,
								  overcommitted && !(busy < busy_critical.value) ? PERFOPT_CRITICAL
																				 : PERFOPT_WARNING,
								  psprintf("%g cores", facts->cores));
	perfopt_finding_impact(finding, perfopt_facts_share(facts, weigh_queueing, &waiting));
	finding->root_cause = psprintf(
		"%.2f sessions on average were on CPU where %g cores are usable%s; about %.0f %% of "
		"that time they queued for a core.",
		cpu.aas, facts->cores, isnan(busy) ? "" : psprintf(" (%.0f %% busy)", 100 * busy),
		100 * waiting);
	perfopt_evidence_number(finding, "cpu_aas", cpu.aas);
	perfopt_evidence_number(finding, "cores", facts->cores);
	perfopt_evidence_number(finding, "busy_pct", 100 * busy);
	if (running != NULL)
		perfopt_evidence_number(finding, "procs_running_avg", running->sum / running->n);
	perfopt_evidence_number(finding, "queueing_pct", 100 * waiting);
	if (top != NULL)
		perfopt_evidence_text(finding, "top_query_id", psprintf(INT64_FORMAT, top->query_id));
	perfopt_evidence_sql(finding, facts, "query_id", "wait_class = 'CPU'");
	perfopt_finding_factor(finding, perfopt_finding_of(diagnosis, "missing_index"));
	perfopt_finding_lineage(finding, &cpu_sessions, &busy_warning, &busy_critical, &own_part, NULL);
}
