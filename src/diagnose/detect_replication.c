/*
 * detect_replication.c
 *	  Findings about WAL that has to go elsewhere: to standbys, subscribers and the archive.
 */
#include "postgres.h"

#include <math.h>

#include "diagnose/diagnose.h"

#define MIB (1024.0 * 1024.0)
#define GIB (1024.0 * MIB)

static const PerfoptThreshold lag_warning = { "warning_mib", "warning from MiB behind, on average",
											  100, "convention: pganalyze" };
static const PerfoptThreshold lag_critical = { "critical_mib", "critical from MiB", 1024,
											   "convention: pganalyze" };
static const PerfoptThreshold retained_gib = { "gib", "GiB of WAL kept for a slot", 10,
											   "judgement: catalogue of findings" };
static const PerfoptThreshold archive_failures = {
	"failures", "failed attempts in the window", 3,
	"convention: after three the archiver pauses for a minute (pgarch.c)"
};
static const PerfoptThreshold archive_seconds = { "critical_seconds",
												  "critical when they go on for seconds", 300,
												  "convention: Crunchy Data's alert rules" };

static void
detect_replication_lag(PerfoptDiagnosis *diagnosis)
{
	PerfoptFacts *facts = diagnosis->facts;

	for (PerfoptSeries *s = NULL;
		 (s = perfopt_facts_series(facts, "pg_replication_lag_bytes", s)) != NULL;)
	{
		PerfoptSeries *seconds = perfopt_facts_twin(facts, "pg_replication_lag_seconds", s);
		double behind = Min(perfopt_series_mean(s), s->last);
		char *name = perfopt_series_label(s, "application_name");
		char *client = perfopt_series_label(s, "client");
		PerfoptFinding *finding;

		/* Behind at the end too: one that has caught up is no problem any more. */
		if (behind < perfopt_limit(diagnosis, &lag_warning) * MIB)
			continue;
		finding = perfopt_finding_add(diagnosis,
									  behind >= perfopt_limit(diagnosis, &lag_critical) * MIB
										  ? PERFOPT_CRITICAL
										  : PERFOPT_WARNING,
									  psprintf("standby %s (%s)", name, client));
		finding->root_cause = psprintf(
			"Standby %s (%s) is %.0f MiB of WAL behind%s, %s: who reads there sees old data, and "
			"as much "
			"is lost should it have to take over now.",
			name, client, s->last / MIB,
			seconds && seconds->last > 0 ? psprintf(" (%s)", perfopt_duration(seconds->last)) : "",
			s->last > s->first ? "and falls further behind" : "and does not fall further behind");
		perfopt_evidence_text(finding, "application_name", name);
		perfopt_evidence_text(finding, "client", client);
		perfopt_evidence_number(finding, "lag_bytes", s->last);
		perfopt_evidence_number(finding, "lag_bytes_avg", perfopt_series_mean(s));
		perfopt_evidence_number(finding, "lag_s", seconds ? seconds->last : NAN);
		perfopt_evidence_number(finding, "wal_bytes_per_s",
								perfopt_facts_rate(facts, "pg_wal_bytes_total"));
		perfopt_evidence_series(finding, facts, s);
	}
}

/* Free room where pg_wal is; NaN when unknown. */
static double
room_for_wal(const PerfoptFacts *facts)
{
	PerfoptSeries *series =
		perfopt_facts_labelled(facts, "node_filesystem_avail_bytes", "role", "wal");

	return series ? series->last : NAN;
}

static void
report_slot(PerfoptDiagnosis *diagnosis, const PerfoptSeries *active, const PerfoptSeries *retained,
			bool lost)
{
	PerfoptFacts *facts = diagnosis->facts;
	double seconds = (retained->last_ts - retained->first_ts) / (double) USECS_PER_SEC;
	double rate = seconds > 0 ? (retained->last - retained->first) / seconds : 0;
	double room = room_for_wal(facts);
	double left_s = rate > 0 && !lost ? room / rate : INFINITY;
	char *slot = perfopt_series_label(active, "slot");
	PerfoptFinding *finding;

	finding =
		perfopt_finding_add(diagnosis,
							lost || left_s < SECS_PER_DAY ? PERFOPT_CRITICAL : PERFOPT_WARNING,
							psprintf("slot %s", slot));
	if (lost)
		finding->root_cause =
			psprintf("Slot %s was invalidated: its WAL is gone (%.1f GiB at last; "
					 "max_slot_wal_keep_size bounds "
					 "it), so whoever reads from it cannot go on and has to be set up anew.",
					 slot, retained->last / GIB);
	else
		finding->root_cause =
			psprintf("%.1f GiB of WAL are kept for slot %s, which %s%s.", retained->last / GIB,
					 slot, active->last > 0 ? "is read from too slowly" : "nobody reads from",
					 isfinite(left_s)
						 ? psprintf("; at the present rate the file system of pg_wal is full in %s",
									perfopt_duration(left_s))
						 : "");
	perfopt_evidence_time_left(finding, lost ? 0 : left_s);
	perfopt_evidence_text(finding, "slot", slot);
	perfopt_evidence_number(finding, "retained_bytes", retained->last);
	perfopt_evidence_number(finding, "active", active->last);
	perfopt_evidence_number(finding, "bytes_per_s", rate);
	perfopt_evidence_number(finding, "avail_bytes", room);
	perfopt_evidence_series(finding, facts, retained);
}

/* A slot that is lost keeps nothing, so its series of what it keeps ends while that of the slot goes on. */
static void
detect_slot_retention(PerfoptDiagnosis *diagnosis)
{
	PerfoptFacts *facts = diagnosis->facts;

	for (PerfoptSeries *s = NULL; (s = perfopt_facts_series(facts, "pg_slot_active", s)) != NULL;)
	{
		PerfoptSeries *retained = perfopt_facts_twin(facts, "pg_slot_retained_bytes", s);
		bool lost = retained && retained->last_ts < s->last_ts;

		if (retained == NULL ||
			(!lost && retained->last < perfopt_limit(diagnosis, &retained_gib) * GIB))
			continue;
		report_slot(diagnosis, s, retained, lost);
	}
}

static void
detect_archive_failing(PerfoptDiagnosis *diagnosis)
{
	PerfoptFacts *facts = diagnosis->facts;
	PerfoptSeries *failed = perfopt_facts_series(facts, "pg_archive_failed_total", NULL);
	PerfoptSeries *ready = perfopt_facts_series(facts, "pg_archive_ready_files", NULL);
	double segment = perfopt_setting("wal_segment_size");
	double waiting = ready ? ready->last : NAN;
	double rate = perfopt_facts_rate(facts, "pg_wal_bytes_total");
	double left_s = rate > 0 ? room_for_wal(facts) / rate : INFINITY;
	double shown_s;
	PerfoptFinding *finding;

	if (failed == NULL || failed->sum < perfopt_limit(diagnosis, &archive_failures) || waiting == 0)
		return;
	shown_s = (failed->nonzero_last_ts - failed->nonzero_first_ts) / (double) USECS_PER_SEC;
	finding =
		perfopt_finding_add(diagnosis,
							shown_s >= perfopt_limit(diagnosis, &archive_seconds) ? PERFOPT_CRITICAL
																				  : PERFOPT_WARNING,
							pstrdup("archive"));
	finding->root_cause = psprintf(
		"%.0f attempts to archive a WAL file failed, for %s%s: a backup cannot be restored to a "
		"time "
		"after the last one that worked%s.",
		failed->sum, perfopt_duration(shown_s),
		isnan(waiting)
			? ""
			: psprintf(", and %.0f files wait (%.2f GiB)", waiting, waiting * segment / GIB),
		isfinite(left_s)
			? psprintf(", and what waits stays in pg_wal, which is full in %s at the present rate",
					   perfopt_duration(left_s))
			: ", and what waits stays in pg_wal");
	perfopt_evidence_time_left(finding, left_s);
	perfopt_evidence_number(finding, "failed", failed->sum);
	perfopt_evidence_number(finding, "ready_files", waiting);
	perfopt_evidence_number(finding, "failing_s", shown_s);
	perfopt_evidence_text(finding, "sql",
						  "SELECT failed_count, last_failed_wal, last_failed_time, "
						  "last_archived_time FROM pg_stat_archiver");
}

const PerfoptDetector perfopt_replication_detectors[] = {
	{ "replication_lag", "database", PERFOPT_STAGE_REST, detect_replication_lag,
	  PERFOPT_THRESHOLDS(&lag_warning, &lag_critical) },
	{ "slot_retention", "database", PERFOPT_STAGE_REST, detect_slot_retention,
	  PERFOPT_THRESHOLDS(&retained_gib) },
	{ "archive_failing", "disk", PERFOPT_STAGE_REST, detect_archive_failing,
	  PERFOPT_THRESHOLDS(&archive_failures, &archive_seconds) },
	{ NULL }
};
