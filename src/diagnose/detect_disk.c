/*
 * detect_disk.c
 *	  Findings about writing: the log of changes and checkpoints.
 */
#include "postgres.h"

#include <math.h>

#include "diagnose/diagnose.h"

#define MIB (1024.0 * 1024.0)

static const PerfoptThreshold wal_aas = { "aas", "AAS waiting for WAL to be written or synced",
										  0.15, "measured: catalogue of findings" };
static const PerfoptThreshold wal_share = { "share", "and share of DB time", 0.1,
											"judgement: below a tenth another cause weighs more" };
static const PerfoptThreshold wal_critical = { "critical_share", "critical from share of DB time",
											   0.5, "judgement: half of all work waits for it" };
static const PerfoptThreshold requested_share = {
	"requested_share", "share of checkpoints that were requested before their time", 0.5,
	"convention: most checkpoints should be timed"
};
static const PerfoptThreshold checkpoints = { "checkpoints", "checkpoints in the window", 3,
											  "judgement: a pattern, not one bulk load" };
static const PerfoptThreshold wal_volume = {
	"wal_share", "WAL per requested checkpoint as a share of max_wal_size", 0.25,
	"judgement: below, checkpoints were asked for by command, not by WAL"
};

static const PerfoptThreshold backend_aas = {
	"aas", "AAS waiting for files of tables to be written or synced", 0.15,
	"measured: catalogue of findings"
};
static const PerfoptThreshold backend_part = {
	"share", "share of blocks written that sessions had to write themselves", 0.5,
	"judgement: the background processes write the smaller part"
};
static const PerfoptThreshold temp_aas = { "aas", "AAS waiting for temporary files", 0.15,
										   "measured: catalogue of findings" };
static const PerfoptThreshold temp_share = { "share", "and share of DB time", 0.1,
											 "judgement: below a tenth another cause weighs more" };

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

static const char *const write_waits[] = { "IO:DataFileWrite", "IO:DataFileSync",
										   "IO:DataFileFlush", "IO:DataFileImmediateSync", NULL };
static const char *const temp_waits[] = { "IO:BufFileRead", "IO:BufFileWrite", "IO:BufFileTruncate",
										  NULL };

static void
detect_wal_sync(PerfoptDiagnosis *diagnosis)
{
	PerfoptFacts *facts = diagnosis->facts;
	PerfoptShare share = perfopt_facts_share(facts, perfopt_weigh_waits, wal_waits);
	double commits = perfopt_facts_rate(facts, "pg_xact_commit_total");
	double bytes = perfopt_facts_rate(facts, "pg_wal_bytes_total");
	const PerfoptStatement *statement;
	PerfoptFinding *finding;

	if (!facts->measurable || share.aas < perfopt_limit(diagnosis, &wal_aas) ||
		!(share.share.share >= perfopt_limit(diagnosis, &wal_share)))
		return;
	statement = perfopt_busiest_statement(facts, perfopt_weigh_waits, wal_waits);
	finding = perfopt_finding_add(diagnosis,
								  share.share.share >= perfopt_limit(diagnosis, &wal_critical)
									  ? PERFOPT_CRITICAL
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
	perfopt_facts_charge(facts, perfopt_weigh_waits, wal_waits);
}

static void
detect_checkpoint_pressure(PerfoptDiagnosis *diagnosis)
{
	PerfoptFacts *facts = diagnosis->facts;
	double requested = perfopt_facts_increase(facts, "pg_checkpoints_requested_total");
	double timed = perfopt_facts_increase(facts, "pg_checkpoints_timed_total");
	double wal = perfopt_facts_increase(facts, "pg_wal_bytes_total");
	double max_wal_bytes = perfopt_setting("max_wal_size") * MIB;
	PerfoptShare share = perfopt_facts_share(facts, perfopt_weigh_waits, checkpoint_waits);
	PerfoptSeries *series;
	PerfoptFinding *finding;

	if (!facts->measurable || !(requested + timed >= perfopt_limit(diagnosis, &checkpoints)) ||
		requested / (requested + timed) < perfopt_limit(diagnosis, &requested_share) ||
		!(wal / requested >= perfopt_limit(diagnosis, &wal_volume) * max_wal_bytes))
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
	perfopt_facts_charge(facts, perfopt_weigh_waits, checkpoint_waits);
}

/* Blocks that sessions wrote themselves, and those that anybody wrote; NaN when unknown. */
static void
blocks_written(const PerfoptFacts *facts, double *sessions, double *all)
{
	*sessions = perfopt_facts_increase(facts, "pg_buffers_backend_total");
	*all = *sessions + perfopt_facts_increase(facts, "pg_checkpoint_buffers_total");
	if (!isnan(*sessions))
		return;

	/* From 17 on only pg_stat_io knows. */
	for (PerfoptSeries *s = NULL;
		 (s = perfopt_facts_series(facts, "pg_io_writes_total", s)) != NULL;)
	{
		char *object = perfopt_series_label(s, "object");
		char *type = perfopt_series_label(s, "backend_type");

		if (object == NULL || strcmp(object, "relation") != 0 || type == NULL)
			continue;
		*all = isnan(*all) ? s->sum : *all + s->sum;
		if (strcmp(type, "client backend") == 0)
			*sessions = isnan(*sessions) ? s->sum : *sessions + s->sum;
	}
}

static void
detect_backend_writes(PerfoptDiagnosis *diagnosis)
{
	PerfoptFacts *facts = diagnosis->facts;
	PerfoptShare share = perfopt_facts_share(facts, perfopt_weigh_waits, write_waits);
	double fsyncs = perfopt_facts_increase(facts, "pg_buffers_backend_fsync_total");
	double sessions;
	double all;
	const PerfoptStatement *statement;
	PerfoptFinding *finding;

	blocks_written(facts, &sessions, &all);
	if (!facts->measurable || share.aas < perfopt_limit(diagnosis, &backend_aas) ||
		!(sessions >= perfopt_limit(diagnosis, &backend_part) * all))
		return;
	statement = perfopt_busiest_statement(facts, perfopt_weigh_waits, write_waits);
	finding = perfopt_finding_add(diagnosis, PERFOPT_WARNING, pstrdup("background writer"));
	perfopt_finding_impact(finding, share);
	finding->root_cause =
		psprintf("Sessions wrote %.0f of %.0f blocks themselves%s, because no clean buffer was to "
				 "be had: %.2f "
				 "of them on average waited for that, %.0f %% of DB time.",
				 sessions, all,
				 fsyncs > 0 ? psprintf(" and had to sync files %.0f times", fsyncs) : "", share.aas,
				 100 * share.share.share);
	perfopt_evidence_number(finding, "blocks_by_sessions", sessions);
	perfopt_evidence_number(finding, "blocks_written", all);
	perfopt_evidence_number(finding, "fsyncs_by_sessions", fsyncs);
	perfopt_evidence_number(finding, "maxwritten_rounds",
							perfopt_facts_increase(facts, "pg_bgwriter_maxwritten_total"));
	perfopt_evidence_number(finding, "write_wait_aas", share.aas);
	if (statement != NULL)
		perfopt_evidence_text(finding, "top_query_id", psprintf(INT64_FORMAT, statement->query_id));
	perfopt_evidence_sql(finding, facts, "query_id", "wait_event = 'DataFileWrite'");
	perfopt_facts_charge(facts, perfopt_weigh_waits, write_waits);
}

/* What work_mem_spill leaves: few bytes, but slow, or read over and over. */
static void
detect_temp_io(PerfoptDiagnosis *diagnosis)
{
	PerfoptFacts *facts = diagnosis->facts;
	PerfoptShare share = perfopt_facts_share(facts, perfopt_weigh_waits, temp_waits);
	const PerfoptStatement *statement;
	PerfoptFinding *finding;

	if (!facts->measurable || share.aas < perfopt_limit(diagnosis, &temp_aas) ||
		!(share.share.share >= perfopt_limit(diagnosis, &temp_share)))
		return;
	statement = perfopt_busiest_statement(facts, perfopt_weigh_waits, temp_waits);
	finding = perfopt_finding_add(diagnosis, PERFOPT_WARNING,
								  statement ? perfopt_query_name(statement->query_id)
											: pstrdup("temporary files"));
	if (statement != NULL)
		finding->statement_text = statement->text;
	perfopt_finding_impact(finding, share);
	finding->root_cause = psprintf("%.2f sessions on average waited for temporary files, %.0f %% "
								   "of DB time, though only %.2f MiB a "
								   "second were written to them: their disk is slow, or the same "
								   "files are read again and again.",
								   share.aas, 100 * share.share.share,
								   perfopt_facts_rate(facts, "pg_temp_bytes_total") / MIB);
	perfopt_evidence_number(finding, "temp_wait_aas", share.aas);
	perfopt_evidence_number(finding, "temp_bytes",
							perfopt_facts_increase(facts, "pg_temp_bytes_total"));
	if (statement != NULL)
	{
		perfopt_evidence_text(finding, "query_id", psprintf(INT64_FORMAT, statement->query_id));
		perfopt_evidence_text(finding, "role", perfopt_role_name(statement->role));
	}
	perfopt_evidence_sql(finding, facts, "query_id", "wait_event LIKE 'BufFile%'");
	perfopt_facts_charge(facts, perfopt_weigh_waits, temp_waits);
}

const PerfoptDetector perfopt_disk_detectors[] = {
	{ "wal_sync", "disk", PERFOPT_STAGE_RESOURCE, detect_wal_sync,
	  PERFOPT_THRESHOLDS(&wal_aas, &wal_share, &wal_critical) },
	{ "checkpoint_pressure", "disk", PERFOPT_STAGE_RESOURCE, detect_checkpoint_pressure,
	  PERFOPT_THRESHOLDS(&requested_share, &checkpoints, &wal_volume) },
	{ "backend_writes", "disk", PERFOPT_STAGE_RESOURCE, detect_backend_writes,
	  PERFOPT_THRESHOLDS(&backend_aas, &backend_part) },
	{ "temp_io", "disk", PERFOPT_STAGE_RESOURCE, detect_temp_io,
	  PERFOPT_THRESHOLDS(&temp_aas, &temp_share) },
	{ NULL }
};
