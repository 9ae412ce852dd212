/*
 * detect_memory.c
 *	  Findings about memory that is too small for the work.
 */
#include "postgres.h"

#include <math.h>

#include "commands/dbcommands.h"

#include "diagnose/diagnose.h"

#define MIB (1024.0 * 1024.0)

static const PerfoptThreshold spill_warning = { "warning_mib_per_second",
												"warning from MiB a second of temporary files", 1,
												"measured: catalogue of findings" };
static const PerfoptThreshold spill_critical = { "critical_mib_per_second",
												 "critical from MiB a second", 10,
												 "measured: catalogue of findings" };
static const PerfoptThreshold read_aas = { "aas", "AAS waiting for reads of data files", 0.15,
										   "measured: catalogue of findings" };
static const PerfoptThreshold turnover = {
	"turnover", "times that reads replaced the whole of shared_buffers in the window", 1,
	"judgement: less is warming up, not a working set that does not fit"
};

static const char *const buffile_waits[] = { "IO:BufFileRead", "IO:BufFileWrite",
											 "IO:BufFileTruncate", NULL };
static const char *const read_waits[] = { "IO:DataFileRead", "IO:DataFilePrefetch", NULL };

/* The series of a counter of databases with the greatest increase. */
static PerfoptSeries *
greatest(const PerfoptFacts *facts, const char *metric)
{
	PerfoptSeries *best = NULL;

	for (PerfoptSeries *s = NULL; (s = perfopt_facts_series(facts, metric, s)) != NULL;)
	{
		if (best == NULL || s->sum > best->sum)
			best = s;
	}
	return best;
}

static void
detect_work_mem_spill(PerfoptDiagnosis *diagnosis)
{
	PerfoptFacts *facts = diagnosis->facts;
	double rate = perfopt_facts_rate(facts, "pg_temp_bytes_total") / MIB;
	double bytes = perfopt_facts_increase(facts, "pg_temp_bytes_total");
	double files = perfopt_facts_increase(facts, "pg_temp_files_total");
	PerfoptShare share = perfopt_facts_share(facts, perfopt_weigh_waits, buffile_waits);
	const PerfoptStatement *statement =
		perfopt_busiest_statement(facts, perfopt_weigh_waits, buffile_waits);
	PerfoptSeries *most = greatest(facts, "pg_temp_bytes_total");
	char *database = most ? perfopt_series_label(most, "database") : NULL;
	double work_mem_kb = perfopt_setting("work_mem");
	PerfoptFinding *finding;

	if (!facts->measurable || !(rate >= perfopt_limit(diagnosis, &spill_warning)))
		return;
	finding =
		perfopt_finding_add(diagnosis,
							rate >= perfopt_limit(diagnosis, &spill_critical) ? PERFOPT_CRITICAL
																			  : PERFOPT_WARNING,
							statement ? perfopt_query_name(statement->query_id)
									  : psprintf("database %s", database ? database : "?"));
	if (statement != NULL)
		finding->statement_text = statement->text;
	perfopt_finding_impact(finding, share);
	finding->root_cause = psprintf(
		"Sorts and hashes that did not fit into work_mem (%.0f kB) wrote %.1f MiB a second "
		"to temporary files (%.0f files, %.1f MiB each on average, most in database %s); "
		"waits for these files alone are %.1f %% of DB time.",
		work_mem_kb, rate, files, files > 0 ? bytes / files / MIB : 0, database ? database : "?",
		100 * share.share.share);
	perfopt_evidence_number(finding, "temp_mib_per_s", rate);
	perfopt_evidence_number(finding, "temp_bytes", bytes);
	perfopt_evidence_number(finding, "temp_files", files);
	perfopt_evidence_number(finding, "work_mem_kb", work_mem_kb);
	perfopt_evidence_number(finding, "buffile_wait_aas", share.aas);
	perfopt_evidence_text(finding, "database", database);
	if (statement != NULL)
	{
		perfopt_evidence_text(finding, "role", perfopt_role_name(statement->role));
		perfopt_evidence_text(finding, "query_id", psprintf(INT64_FORMAT, statement->query_id));
	}
	perfopt_evidence_text(finding, "sql",
						  "SELECT datname, temp_files, temp_bytes FROM pg_stat_database "
						  "ORDER BY temp_bytes DESC");
	perfopt_facts_charge(facts, perfopt_weigh_waits, buffile_waits);
}

static void
detect_shared_buffers_pressure(PerfoptDiagnosis *diagnosis)
{
	PerfoptFacts *facts = diagnosis->facts;
	PerfoptShare share = perfopt_facts_share(facts, perfopt_weigh_waits, read_waits);
	double reads = perfopt_facts_increase(facts, "pg_blocks_read_total");
	double hits = perfopt_facts_increase(facts, "pg_blocks_hit_total");
	double buffers = perfopt_setting("shared_buffers");
	double times = reads / buffers;
	const PerfoptStatement *statement;
	PerfoptFinding *finding;

	if (!facts->measurable || share.aas < perfopt_limit(diagnosis, &read_aas) ||
		!(times >= perfopt_limit(diagnosis, &turnover)))
		return;
	statement = perfopt_busiest_statement(facts, perfopt_weigh_waits, read_waits);
	finding = perfopt_finding_add(diagnosis, share.aas >= 1 ? PERFOPT_CRITICAL : PERFOPT_WARNING,
								  psprintf("shared_buffers = %.0f MB", buffers * BLCKSZ / MIB));
	perfopt_finding_impact(finding, share);
	finding->root_cause = psprintf(
		"%.2f sessions on average waited for blocks from data files; %.0f blocks were read, %.1f "
		"times the whole of shared_buffers (%.0f MB), so what is needed again has been pushed out "
		"by then.",
		share.aas, reads, times, buffers * BLCKSZ / MIB);
	perfopt_evidence_number(finding, "read_wait_aas", share.aas);
	perfopt_evidence_number(finding, "blocks_read", reads);
	perfopt_evidence_number(finding, "blocks_hit", hits);
	perfopt_evidence_number(finding, "read_ms",
							1000 * perfopt_facts_increase(facts, "pg_block_read_seconds_total") /
								reads);
	perfopt_evidence_number(finding, "turnover", times);
	perfopt_evidence_number(finding, "shared_buffers_mb", buffers * BLCKSZ / MIB);
	perfopt_evidence_number(finding, "memory_mb", facts->memory_bytes / MIB);
	if (statement != NULL)
		perfopt_evidence_text(finding, "top_query_id", psprintf(INT64_FORMAT, statement->query_id));
	perfopt_evidence_sql(finding, facts, "query_id", "wait_event = 'DataFileRead'");
	perfopt_finding_factor(finding, perfopt_finding_of(diagnosis, "missing_index"));
	perfopt_finding_factor(finding, perfopt_finding_of(diagnosis, "disk_read_latency"));
	perfopt_facts_charge(facts, perfopt_weigh_waits, read_waits);
}

const PerfoptDetector perfopt_memory_detectors[] = {
	{ "work_mem_spill", "memory", PERFOPT_STAGE_WORK, detect_work_mem_spill,
	  PERFOPT_THRESHOLDS(&spill_warning, &spill_critical) },
	{ "shared_buffers_pressure", "memory", PERFOPT_STAGE_RESOURCE, detect_shared_buffers_pressure,
	  PERFOPT_THRESHOLDS(&read_aas, &turnover) },
	{ NULL }
};
