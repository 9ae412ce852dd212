/*
 * detect_system_memory.c
 *	  Findings about the machine's memory, or that of the control group the server is in.
 */
#include "postgres.h"

#include <math.h>

#include "diagnose/diagnose.h"

#define MIB (1024.0 * 1024.0)
#define GIB (1024.0 * MIB)

static const PerfoptThreshold available_ratio = { "available_ratio",
												  "available share of memory, less than", 0.1,
												  "convention: netdata" };
static const PerfoptThreshold available_gib = { "available_gib", "and GiB available, less than", 4,
												"judgement: a tenth of a large machine is plenty" };
static const PerfoptThreshold pressure_share = {
	"pressure", "or share of time in which some process waited for memory (PSI)", 0.1,
	"judgement: catalogue of findings"
};
static const PerfoptThreshold swap_pages = { "pages_per_second", "pages swapped out a second", 10,
											 "judgement: fewer are tidying up" };
static const PerfoptThreshold swap_samples = { "samples", "in samples", 2,
											   "judgement: sustained, not one burst" };
static const PerfoptThreshold killed = { "processes", "processes killed in the window", 1,
										 "convention: any is one too many" };
static const PerfoptThreshold committed_ratio = {
	"committed_ratio", "memory promised to processes, as a multiple of what there is", 1.5,
	"judgement: shared and untouched memory alone rarely come to more"
};
static const PerfoptThreshold committed_available = {
	"available_ratio", "while the available share of memory is less than", 0.25,
	"judgement: with more to spare the promises are not called in"
};

/* Share of time in which some process waited for memory: of the group where it is known, else the machine. */
static double
pressure(const PerfoptFacts *facts)
{
	double group = perfopt_facts_rate(facts, "cgroup_memory_pressure_waiting_seconds_total");
	double machine = perfopt_facts_rate(facts, "node_pressure_memory_waiting_seconds_total");

	return isnan(group) || machine > group ? machine : group;
}

static void
detect_os_memory_pressure(PerfoptDiagnosis *diagnosis)
{
	PerfoptFacts *facts = diagnosis->facts;
	PerfoptSeries *available = perfopt_facts_series(facts, "node_memory_available_bytes", NULL);
	PerfoptSeries *total = perfopt_facts_series(facts, "node_memory_total_bytes", NULL);
	double waiting = pressure(facts);
	double bytes = available ? perfopt_series_mean(available) : NAN;
	double ratio = total ? bytes / total->last : NAN;
	bool scarce = ratio < perfopt_limit(diagnosis, &available_ratio) &&
				  bytes < perfopt_limit(diagnosis, &available_gib) * GIB;
	PerfoptFinding *finding;

	if (!scarce && !(waiting > perfopt_limit(diagnosis, &pressure_share)))
		return;
	finding = perfopt_finding_add(diagnosis,
								  scarce && waiting > perfopt_limit(diagnosis, &pressure_share)
									  ? PERFOPT_CRITICAL
									  : PERFOPT_WARNING,
								  pstrdup("memory"));
	finding->root_cause = psprintf(
		"Memory is scarce:%s%s%s. The page cache shrinks first, so reads become slower; then the "
		"system swaps or kills.",
		total == NULL || isnan(ratio)
			? ""
			: psprintf(" %.0f MiB of %.0f MiB (%.0f %%) were available on average", bytes / MIB,
					   total->last / MIB, 100 * ratio),
		isnan(ratio) || isnan(waiting) ? "" : ", and",
		isnan(waiting)
			? ""
			: psprintf(" some process waited for memory %.0f %% of the time", 100 * waiting));
	perfopt_evidence_number(finding, "available_bytes_avg", bytes);
	perfopt_evidence_number(finding, "total_bytes", total ? total->last : NAN);
	perfopt_evidence_number(finding, "pressure_pct", 100 * waiting);
	perfopt_evidence_number(finding, "server_anon_bytes",
							perfopt_facts_max(facts, "pg_process_anon_bytes"));
	if (available != NULL)
		perfopt_evidence_series(finding, facts, available);
}

static void
detect_swapping(PerfoptDiagnosis *diagnosis)
{
	PerfoptFacts *facts = diagnosis->facts;
	PerfoptSeries *out = perfopt_facts_series(facts, "node_vmstat_pswpout_total", NULL);
	double in = perfopt_facts_rate(facts, "node_vmstat_pswpin_total");
	PerfoptFinding *finding;
	double rate;

	if (out == NULL)
		return;
	rate = out->sum / out->seconds;
	if (!(rate >= perfopt_limit(diagnosis, &swap_pages)) ||
		out->nonzero < perfopt_limit(diagnosis, &swap_samples))
		return;
	finding = perfopt_finding_add(diagnosis, PERFOPT_WARNING, pstrdup("swap"));
	finding->root_cause =
		psprintf("The system moved %.0f pages a second out to swap and %.0f back in: memory that "
				 "processes use "
				 "does not fit, and whoever needs a page again waits for the disk.",
				 rate, isnan(in) ? 0 : in);
	perfopt_evidence_number(finding, "pages_out_per_s", rate);
	perfopt_evidence_number(finding, "pages_in_per_s", in);
	perfopt_evidence_number(finding, "major_faults_per_s",
							perfopt_facts_rate(facts, "node_vmstat_pgmajfault_total"));
	perfopt_evidence_series(finding, facts, out);
	perfopt_finding_factor(finding, perfopt_finding_of(diagnosis, "os_memory_pressure"));
}

static void
detect_oom_kill(PerfoptDiagnosis *diagnosis)
{
	PerfoptFacts *facts = diagnosis->facts;
	PerfoptSeries *machine = perfopt_facts_series(facts, "node_vmstat_oom_kill_total", NULL);
	PerfoptSeries *group = perfopt_facts_series(facts, "cgroup_memory_oom_kills_total", NULL);
	double least = perfopt_limit(diagnosis, &killed);
	bool in_group = group && group->sum >= least;
	PerfoptSeries *kills = in_group ? group : machine;
	PerfoptFinding *finding;

	if (kills == NULL || kills->sum < least)
		return;
	finding = perfopt_finding_add(diagnosis, PERFOPT_CRITICAL,
								  pstrdup(in_group ? "control group of the server" : "machine"));
	finding->root_cause =
		psprintf("The kernel killed %.0f process%s %s because no memory could be freed; if one of "
				 "the server's "
				 "is hit, all sessions are disconnected and it recovers from its WAL.",
				 kills->sum, kills->sum == 1 ? "" : "es",
				 in_group ? "of the server's control group" : "of this machine");
	perfopt_evidence_number(finding, "killed", kills->sum);
	perfopt_evidence_series(finding, facts, kills);
	perfopt_finding_factor(finding, perfopt_finding_of(diagnosis, "os_memory_pressure"));
}

/* Promises become a problem only when they are kept, so this is no more than something to know. */
static void
detect_memory_overcommit(PerfoptDiagnosis *diagnosis)
{
	PerfoptFacts *facts = diagnosis->facts;
	PerfoptSeries *committed = perfopt_facts_series(facts, "node_memory_committed_bytes", NULL);
	PerfoptSeries *total = perfopt_facts_series(facts, "node_memory_total_bytes", NULL);
	PerfoptSeries *available = perfopt_facts_series(facts, "node_memory_available_bytes", NULL);
	PerfoptFinding *finding;
	double ratio;
	double left;

	if (committed == NULL || total == NULL || available == NULL)
		return;
	ratio = committed->max / total->last;
	left = perfopt_series_mean(available) / total->last;
	if (!(ratio >= perfopt_limit(diagnosis, &committed_ratio)) ||
		left >= perfopt_limit(diagnosis, &committed_available))
		return;
	finding = perfopt_finding_add(diagnosis, PERFOPT_INFO, pstrdup("memory"));
	finding->root_cause = psprintf(
		"Up to %.0f MiB of memory were promised to processes, %.1f times the %.0f MiB that there "
		"are, "
		"and %.0f %% of those are available: should more of it be used, the kernel has to kill.",
		committed->max / MIB, ratio, total->last / MIB, 100 * left);
	perfopt_evidence_number(finding, "committed_bytes_max", committed->max);
	perfopt_evidence_number(finding, "total_bytes", total->last);
	perfopt_evidence_number(finding, "available_pct", 100 * left);
	perfopt_evidence_series(finding, facts, committed);
}

const PerfoptDetector perfopt_system_memory_detectors[] = {
	{ "os_memory_pressure", "memory", PERFOPT_STAGE_CAUSE, detect_os_memory_pressure,
	  PERFOPT_THRESHOLDS(&available_ratio, &available_gib, &pressure_share) },
	{ "swapping", "memory", PERFOPT_STAGE_CAUSE, detect_swapping,
	  PERFOPT_THRESHOLDS(&swap_pages, &swap_samples) },
	{ "oom_kill", "memory", PERFOPT_STAGE_CAUSE, detect_oom_kill, PERFOPT_THRESHOLDS(&killed) },
	{ "memory_overcommit", "memory", PERFOPT_STAGE_REST, detect_memory_overcommit,
	  PERFOPT_THRESHOLDS(&committed_ratio, &committed_available) },
	{ NULL }
};
