/*
 * detect_cpu.c
 *	  Findings about the processors, and about who else uses them.
 */
#include "postgres.h"

#include <math.h>

#include "diagnose/diagnose.h"

static const PerfoptThreshold cpu_sessions = {
	"sessions_per_core", "sessions on CPU per usable core", 1.0,
	"convention: more runnable processes than cores means that some wait"
};
static const PerfoptThreshold busy_warning = { "warning_busy",
											   "warning from share of CPU time that is busy", 0.85,
											   "convention: netdata" };
static const PerfoptThreshold busy_critical = { "critical_busy",
												"critical from share of CPU time that is busy",
												0.95, "convention: netdata" };
static const PerfoptThreshold own_part = { "own_part",
										   "sessions on CPU per busy core when the machine is busy",
										   0.5,
										   "judgement: below, somebody else uses the processors" };

static const PerfoptThreshold steal_share = { "share", "share of CPU time that the host took", 0.1,
											  "judgement: catalogue of findings" };
static const PerfoptThreshold steal_aas = { "aas", "and AAS on CPU", 0.15,
											"judgement: a server that is idle misses nothing" };
static const PerfoptThreshold foreign_share = { "share",
												"share of CPU time used outside the server", 0.1,
												"judgement: catalogue of findings" };
static const PerfoptThreshold foreign_busy = { "busy", "while this share of CPU time is busy", 0.85,
											   "convention: netdata; processors that are free "
											   "hold up nobody" };
static const PerfoptThreshold foreign_aas = { "aas", "and AAS on CPU", 0.15,
											  "judgement: a server that is idle misses nothing" };

static const char *const on_cpu[] = { "CPU:", NULL };

/* Time of all processors in the window, in seconds; all is 0 when nothing is known. */
typedef struct CpuTime
{
	double all;
	double idle;
	double steal;
	double own; /* of the server's processes; NaN when unknown */
} CpuTime;

static CpuTime
cpu_time(const PerfoptFacts *facts)
{
	CpuTime time = { .own = perfopt_facts_increase(facts, "pg_process_cpu_seconds_total") };

	for (PerfoptSeries *s = NULL;
		 (s = perfopt_facts_series(facts, "node_cpu_seconds_total", s)) != NULL;)
	{
		char *mode = perfopt_series_label(s, "mode");

		time.all += s->sum;
		if (mode != NULL && (strcmp(mode, "idle") == 0 || strcmp(mode, "iowait") == 0))
			time.idle += s->sum;
		if (mode != NULL && strcmp(mode, "steal") == 0)
			time.steal += s->sum;
	}
	return time;
}

/* The share of processor time that was not idle; NaN when unknown. */
static double
busy_share(const PerfoptFacts *facts)
{
	CpuTime time = cpu_time(facts);

	return time.all > 0 ? 1 - time.idle / time.all : NAN;
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

/* How much of their time on CPU sessions queue: as sampled, or as the run queue of the machine says. */
static double
queueing_share(const PerfoptFacts *facts, double cpu_aas)
{
	PerfoptSeries *running = perfopt_facts_series(facts, "node_procs_running", NULL);
	double waiting = queueing(cpu_aas, facts->cores);

	/* Processes outside the server queue too; the one that reads the figure is not counted. */
	if (running != NULL)
		waiting = Max(waiting, queueing(perfopt_series_mean(running) - 1, facts->cores));
	return waiting;
}

static void
detect_cpu_steal(PerfoptDiagnosis *diagnosis)
{
	PerfoptFacts *facts = diagnosis->facts;
	CpuTime time = cpu_time(facts);
	PerfoptShare cpu = perfopt_facts_share(facts, perfopt_weigh_waits, on_cpu);
	double part;
	PerfoptFinding *finding;

	if (!facts->measurable || !(time.steal > perfopt_limit(diagnosis, &steal_share) * time.all) ||
		cpu.aas < perfopt_limit(diagnosis, &steal_aas))
		return;
	/* Of the time in which somebody wanted a processor, the host took this part. */
	part = time.steal / (time.all - time.idle);
	finding = perfopt_finding_add(diagnosis, PERFOPT_WARNING, pstrdup("host of this machine"));
	perfopt_finding_impact(finding, perfopt_facts_share(facts, weigh_queueing, &part));
	finding->root_cause = psprintf(
		"The host gave %.0f %% of this virtual machine's processor time to others (steal), %.0f %% "
		"of "
		"the time in which it was wanted; %.2f sessions on average were on CPU or believed to be.",
		100 * time.steal / time.all, 100 * part, cpu.aas);
	perfopt_evidence_number(finding, "steal_pct", 100 * time.steal / time.all);
	perfopt_evidence_number(finding, "steal_of_busy_pct", 100 * part);
	perfopt_evidence_number(finding, "cpu_aas", cpu.aas);
	perfopt_evidence_series(finding, facts,
							perfopt_facts_labelled(facts, "node_cpu_seconds_total", "mode",
												   "steal"));
	perfopt_facts_charge(facts, weigh_queueing, &part);
}

/*
 * What others use hurts as far as sessions queue for it: their part of the load is their part of the
 * queue.
 */
static void
detect_foreign_cpu_load(PerfoptDiagnosis *diagnosis)
{
	PerfoptFacts *facts = diagnosis->facts;
	CpuTime time = cpu_time(facts);
	PerfoptShare cpu = perfopt_facts_share(facts, perfopt_weigh_waits, on_cpu);
	double used = time.all - time.idle - time.steal;
	double foreign = used - time.own;
	double part;
	PerfoptFinding *finding;

	if (!facts->measurable || !(foreign > perfopt_limit(diagnosis, &foreign_share) * time.all) ||
		!(1 - time.idle / time.all >= perfopt_limit(diagnosis, &foreign_busy)) ||
		cpu.aas < perfopt_limit(diagnosis, &foreign_aas))
		return;
	part = queueing_share(facts, cpu.aas) * foreign / used;
	finding =
		perfopt_finding_add(diagnosis, PERFOPT_WARNING, pstrdup("processes outside the server"));
	perfopt_finding_impact(finding, perfopt_facts_share(facts, weigh_queueing, &part));
	finding->root_cause = psprintf("Processes that are not the server's used %.0f %% of all "
								   "processor time (the server's %.0f %%, "
								   "%.0f %% busy in all); because of them sessions on CPU queued "
								   "for about %.0f %% of their time.",
								   100 * foreign / time.all, 100 * time.own / time.all,
								   100 - 100 * time.idle / time.all, 100 * part);
	perfopt_evidence_number(finding, "foreign_pct", 100 * foreign / time.all);
	perfopt_evidence_number(finding, "server_pct", 100 * time.own / time.all);
	perfopt_evidence_number(finding, "busy_pct", 100 - 100 * time.idle / time.all);
	perfopt_evidence_number(finding, "queueing_pct", 100 * part);
	perfopt_evidence_text(finding, "sql",
						  "SELECT ts, metric, labels, value FROM perfopt.sample WHERE metric IN "
						  "('node_cpu_seconds_total', 'pg_process_cpu_seconds_total') ORDER BY ts");
	perfopt_facts_charge(facts, weigh_queueing, &part);
}

static void
detect_cpu_saturation(PerfoptDiagnosis *diagnosis)
{
	PerfoptFacts *facts = diagnosis->facts;
	PerfoptShare cpu = perfopt_facts_share(facts, perfopt_weigh_waits, on_cpu);
	PerfoptSeries *running = perfopt_facts_series(facts, "node_procs_running", NULL);
	double busy = busy_share(facts);
	double waiting = queueing_share(facts, cpu.aas);
	bool overcommitted = cpu.aas > perfopt_limit(diagnosis, &cpu_sessions) * facts->cores;
	bool machine_busy = busy >= perfopt_limit(diagnosis, &busy_warning) &&
						cpu.aas >= perfopt_limit(diagnosis, &own_part) * busy * facts->cores;
	PerfoptFinding *foreign = perfopt_finding_of(diagnosis, "foreign_cpu_load");
	const PerfoptStatement *top;
	PerfoptFinding *finding;

	if (!facts->measurable || !(overcommitted || machine_busy))
		return;
	/* The part of the queue that others are charged with is charged no second time. */
	if (foreign != NULL)
	{
		double part = perfopt_evidence_get_number(foreign, "queueing_pct") / 100;

		waiting = Max((waiting - part) / (1 - part), 0);
	}
	top = perfopt_busiest_statement(facts, perfopt_weigh_waits, on_cpu);
	finding =
		perfopt_finding_add(diagnosis,
							overcommitted && !(busy < perfopt_limit(diagnosis, &busy_critical))
								? PERFOPT_CRITICAL
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
		perfopt_evidence_number(finding, "procs_running_avg", perfopt_series_mean(running));
	perfopt_evidence_number(finding, "queueing_pct", 100 * waiting);
	if (top != NULL)
		perfopt_evidence_text(finding, "top_query_id", psprintf(INT64_FORMAT, top->query_id));
	perfopt_evidence_sql(finding, facts, "query_id", "wait_class = 'CPU'");
	perfopt_finding_factor(finding, perfopt_finding_of(diagnosis, "cpu_steal"));
	perfopt_finding_factor(finding, foreign);
	perfopt_finding_factor(finding, perfopt_finding_of(diagnosis, "missing_index"));
}

const PerfoptDetector perfopt_cpu_detectors[] = {
	{ "cpu_steal", "cpu", PERFOPT_STAGE_CAUSE, detect_cpu_steal,
	  PERFOPT_THRESHOLDS(&steal_share, &steal_aas) },
	{ "foreign_cpu_load", "cpu", PERFOPT_STAGE_CAUSE, detect_foreign_cpu_load,
	  PERFOPT_THRESHOLDS(&foreign_share, &foreign_busy, &foreign_aas) },
	{ "cpu_saturation", "cpu", PERFOPT_STAGE_RESOURCE, detect_cpu_saturation,
	  PERFOPT_THRESHOLDS(&cpu_sessions, &busy_warning, &busy_critical, &own_part) },
	{ NULL }
};
