/*
 * detect_disk.c
 *	  Findings about writing: the log of changes and checkpoints.
 */
#include "postgres.h"

#include <math.h>

#include "diagnose/diagnose.h"

#define MIB (1024.0 * 1024.0)

static const PerfoptThreshold wal_aas = { "AAS waiting for WAL to be written or synced", 0.15,
										  "measured: catalogue of findings" };
static const PerfoptThreshold wal_share = { "and share of DB time", 0.1,
											"judgement: below a tenth another cause weighs more" };
static const PerfoptThreshold wal_critical = { "critical from share of DB time", 0.5,
											   "judgement: half of all work waits for it" };
static const PerfoptThreshold requested_share = {
	"share of checkpoints that were requested before their time", 0.5,
	"convention: most checkpoints should be timed"
};
static const PerfoptThreshold checkpoints = { "checkpoints in the window", 3,
											  "judgement: a pattern, not one bulk load" };
static const PerfoptThreshold wal_volume = {
	"WAL per requested checkpoint as a share of max_wal_size", 0.25,
	"judgement: below, checkpoints were asked for by command, not by WAL"
};

/* Sessions that commit while another one flushes queue for the lock WALWrite. */
static const char *const wal_waits[] = {
	"IO:WALSync",      "IO:WALWrite", "IO:WalSync", "IO:WalWrite", "IO:WALSyncMethodAssign",
	"LWLock:WALWrite", NULL
};

/* What sessions themselves wait for when checkpoints and the recycling of WAL lag behind. */
static const char *const checkpoint_waits[] = { "IO:DataFileWrite",   "IO:DataFileSync",
												"IO:DataFileFlush",   "IO:WALInitWrite",
												"IO:WALInitSync",     "IO:WalInitWrite",
												"IO:WalInitSync",     "IPC:CheckpointStart",
												"IPC:CheckpointDone", NULL };

void
perfopt_detect_wal_sync(PerfoptDiagnosis *diagnosis)
{
	PerfoptFacts *facts = diagnosis->facts;
	PerfoptShare share = perfopt_facts_share(facts, perfopt_weigh_waits, wal_waits);
	double commits = perfopt_facts_rate(facts, "pg_xact_commit_total");
	double bytes = perfopt_facts_rate(facts, "pg_wal_bytes_total");
	const PerfoptStatement *statement;
	PerfoptFinding *finding;

	if (!facts->measurable || share.aas < wal_aas.value || !(share.share.share >= wal_share.value))
		return;
	statement = perfopt_busiest_statement(facts, perfopt_weigh_waits, wal_waits);
	finding = perfopt_finding_add(diagnosis,
								  share.share.share >= wal_critical.value ? PERFOPT_CRITICAL
																		  : PERFOPT_WARNING,
								  pstrdup("pg_wal"));
	perfopt_finding_impact(finding, share);
	finding->root_cause =
		psprintf("%.2f sessions on average waited for WAL to be written and synced, %.0f %% of DB "
				 "time%s: each commit waits for the disk.",
				 share.aas, 100 * share.share.share,
				 isnan(commits) ? ""
								: psprintf(", at %.0f commits and %.2f MiB of WAL a second",
										   commits, isnan(bytes) ? 0 : bytes / MIB));
	perfopt_evidence_number(finding, "wal_wait_aas", share.aas);
	perfopt_evidence_number(finding, "commits_per_s", commits);
	perfopt_evidence_number(finding, "wal_bytes_per_s", bytes);
	perfopt_evidence_number(finding, "wait_ms_per_commit",
							commits > 0 ? 1000 * share.aas / commits : NAN);
	perfopt_evidence_number(finding, "wal_sync_s",
							perfopt_facts_increase(facts, "pg_wal_sync_seconds_total"));
	if (statement != NULL)
	{
		perfopt_evidence_text(finding, "role", perfopt_role_name(statement->role));
		perfopt_evidence_text(finding, "top_query_id", psprintf(INT64_FORMAT, statement->query_id));
	}
	perfopt_evidence_sql(finding, facts, "wait_event",
						 "wait_event IN ('WALSync', 'WALWrite', 'WalSync', 'WalWrite')");
	perfopt_finding_lineage(finding, &wal_aas, &wal_share, &wal_critical, NULL);
	perfopt_facts_charge(facts, perfopt_weigh_waits, wal_waits);
}

void
perfopt_detect_checkpoint_pressure(PerfoptDiagnosis *diagnosis)
{
	PerfoptFacts *facts = diagnosis->facts;
	double requested = perfopt_facts_increase(facts, "pg_checkpoints_requested_total");
	double timed = perfopt_facts_increase(facts, "pg_checkpoints_timed_total");
	double wal = perfopt_facts_increase(facts, "pg_wal_bytes_total");
	double max_wal_bytes = perfopt_setting("max_wal_size") * MIB;
	PerfoptShare share = perfopt_facts_share(facts, perfopt_weigh_waits, checkpoint_waits);
	PerfoptSeries *series;
	PerfoptFinding *finding;

	if (!facts->measurable || !(requested + timed >= checkpoints.value) ||
		requested / (requested + timed) < requested_share.value ||
		!(wal / requested >= wal_volume.value * max_wal_bytes))
		return;
	series = perfopt_facts_series(facts, "pg_wal_bytes_total", NULL);
	finding = perfopt_finding_add(diagnosis, PERFOPT_WARNING,
								  psprintf("max_wal_size = %.0f MB", max_wal_bytes / MIB));
	perfopt_finding_impact(finding, share);
	finding->root_cause = psprintf(
		"%.0f of %.0f checkpoints were forced by the volume of WAL (%.0f MiB in the window, "
		"max_wal_size = %.0f MB) instead of coming every checkpoint_timeout (%.0f s); each one "
		"makes "
		"the next change of every block log the whole block.",
		requested, requested + timed, wal / MIB, max_wal_bytes / MIB,
		perfopt_setting("checkpoint_timeout"));
	perfopt_evidence_number(finding, "checkpoints_requested", requested);
	perfopt_evidence_number(finding, "checkpoints_timed", timed);
	perfopt_evidence_number(finding, "wal_bytes", wal);
	perfopt_evidence_number(finding, "wal_bytes_per_s",
							series->seconds > 0 ? series->sum / series->seconds : NAN);
	perfopt_evidence_number(finding, "wal_fpi", perfopt_facts_increase(facts, "pg_wal_fpi_total"));
	perfopt_evidence_number(finding, "checkpoint_write_s",
							perfopt_facts_increase(facts, "pg_checkpoint_write_seconds_total"));
	perfopt_evidence_number(finding, "checkpoint_sync_s",
							perfopt_facts_increase(facts, "pg_checkpoint_sync_seconds_total"));
	perfopt_evidence_number(finding, "write_wait_aas", share.aas);
	perfopt_evidence_sql(finding, facts, "wait_event",
						 "wait_event IN ('DataFileWrite', 'DataFileSync', 'WALInitWrite')");
	perfopt_finding_lineage(finding, &requested_share, &checkpoints, &wal_volume, NULL);
	perfopt_facts_charge(facts, perfopt_weigh_waits, checkpoint_waits);
}
