/*
 * detect_input.c
 *	  What detectors would need to know and nobody tells them.
 */
#include "postgres.h"

#include "utils/guc.h"

#include "diagnose/diagnose.h"

static const PerfoptThreshold input_reads = { "read_aas",
											  "AAS waiting for reads whose times are not measured",
											  0.15, "measured: catalogue of findings" };

static const char *const read_waits[] = { "IO:DataFileRead", "IO:DataFilePrefetch", NULL };

static void
detect_missing_input(PerfoptDiagnosis *diagnosis)
{
	PerfoptFacts *facts = diagnosis->facts;
	const char *timing = GetConfigOption("track_io_timing", true, false);
	double read_s = perfopt_facts_seconds(facts, perfopt_weigh_waits, read_waits);
	double read_aas = facts->covered_s > 0 ? read_s / facts->covered_s : 0;
	PerfoptFinding *finding;

	if (facts->measurable && !facts->texts_known)
	{
		finding = perfopt_finding_add(diagnosis, PERFOPT_INFO, pstrdup("pg_stat_statements"));
		finding->root_cause = pstrdup(
			"Statements are known by their ids alone, so missing_index, plan_regression, "
			"n_plus_one, "
			"jit_overhead and planning_overhead cannot be judged: pg_stat_statements is not in "
			"shared_preload_libraries or not an extension of this database.");
		perfopt_evidence_text(finding, "sql",
							  "SELECT current_setting('shared_preload_libraries'), extversion FROM "
							  "pg_extension WHERE extname = 'pg_stat_statements'");
	}
	if (facts->measurable && timing != NULL && strcmp(timing, "off") == 0 &&
		read_aas >= perfopt_limit(diagnosis, &input_reads))
	{
		finding = perfopt_finding_add(diagnosis, PERFOPT_INFO, pstrdup("track_io_timing"));
		finding->root_cause =
			psprintf("%.2f sessions on average waited for reads, and how long a read takes is not "
					 "measured (track_io_timing = off): whether the disk is slow or the system's "
					 "cache serves them cannot be told.",
					 read_aas);
		perfopt_evidence_number(finding, "read_wait_aas", read_aas);
		perfopt_evidence_text(finding, "sql", "SHOW track_io_timing");
	}
}

const PerfoptDetector perfopt_input_detectors[] = { { "missing_input", "database",
													  PERFOPT_STAGE_REST, detect_missing_input,
													  PERFOPT_THRESHOLDS(&input_reads) },
													{ NULL } };
