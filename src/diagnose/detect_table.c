/*
 * detect_table.c
 *	  Findings about single tables and sequences.
 */
#include "postgres.h"

#include <math.h>

#include "diagnose/diagnose.h"

#define MIB (1024.0 * 1024.0)

static const PerfoptThreshold bloat_growth = {
	"factor", "bytes a live row as a multiple of what they were", 1.5,
	"judgement: data of the same kind does not grow by half"
};
static const PerfoptThreshold bloat_mib = { "mib", "and MiB more than before for as many rows", 100,
											"judgement: less is not worth a rewrite" };
static const PerfoptThreshold bloat_days = { "days", "over days", 2,
											 "judgement: growth, not one night's load" };
static const PerfoptThreshold bloat_past = { "past_days", "compared with days ago, where known", 7,
											 "judgement: a week has all days of the week" };
static const PerfoptThreshold stale_share = {
	"share", "share of rows changed since ANALYZE, throughout the window", 0.2,
	"convention: pganalyze; twice what starts an automatic one"
};
static const PerfoptThreshold stale_rows = { "rows", "and rows changed", 10000,
											 "judgement: a small table is planned well anyway" };
static const PerfoptThreshold stale_seconds = {
	"seconds", "seen so for seconds", 300,
	"judgement: an automatic one comes within minutes of a bulk load"
};
static const PerfoptThreshold sequence_used = { "ratio", "share of a sequence's values", 0.9,
												"convention: pghero" };

/* Tables that are large enough for what is lost in them to matter, each with its live rows beside it. */
static int
large_tables(const PerfoptDiagnosis *diagnosis, PerfoptSeries **pairs)
{
	const PerfoptFacts *facts = diagnosis->facts;
	double least = perfopt_limit(diagnosis, &bloat_mib) * MIB;
	int n = 0;

	for (PerfoptSeries *s = NULL;
		 (s = perfopt_facts_series(facts, "pg_table_size_bytes", s)) != NULL;)
	{
		PerfoptSeries *live = perfopt_facts_twin(facts, "pg_table_live_tuples", s);

		if (live == NULL || !(live->last > 0) || s->last < least)
			continue;
		pairs[n++] = s;
		pairs[n++] = live;
	}
	return n;
}

static void
report_bloat(PerfoptDiagnosis *diagnosis, const PerfoptSeries *size, const PerfoptSeries *live)
{
	double days = (size->last_ts - size->past.first_ts) / (double) USECS_PER_DAY;
	double before = size->past.first / live->past.first;
	double now = size->last / live->last;
	double wasted = size->last - before * live->last;
	char *table = perfopt_series_label(size, "table");
	PerfoptFinding *finding;

	if (days < perfopt_limit(diagnosis, &bloat_days) ||
		now < perfopt_limit(diagnosis, &bloat_growth) * before ||
		wasted < perfopt_limit(diagnosis, &bloat_mib) * MIB)
		return;
	finding = perfopt_finding_add(diagnosis, PERFOPT_WARNING, table);
	finding->root_cause =
		psprintf("Table %s with its indexes takes %.0f bytes a live row where it took %.0f %.1f "
				 "days before: "
				 "%.0f MiB of its %.0f MiB are room that dead rows have left behind.",
				 table, now, before, days, wasted / MIB, size->last / MIB);
	perfopt_evidence_text(finding, "table", table);
	perfopt_evidence_text(finding, "database", perfopt_series_label(size, "database"));
	perfopt_evidence_number(finding, "size_bytes", size->last);
	perfopt_evidence_number(finding, "live_rows", live->last);
	perfopt_evidence_number(finding, "wasted_bytes", wasted);
	perfopt_evidence_number(finding, "bytes_per_row", now);
	perfopt_evidence_number(finding, "bytes_per_row_before", before);
	perfopt_evidence_number(finding, "days", days);
	perfopt_evidence_series(finding, diagnosis->facts, size);
	perfopt_finding_factor(finding, perfopt_finding_of(diagnosis, "autovacuum_lag"));
	perfopt_finding_factor(finding, perfopt_finding_of(diagnosis, "xmin_horizon_held"));
}

static void
detect_table_bloat(PerfoptDiagnosis *diagnosis)
{
	PerfoptFacts *facts = diagnosis->facts;
	PerfoptSeries **pairs = palloc(sizeof(PerfoptSeries *) * Max(2 * facts->nseries, 1));
	double past_s = perfopt_limit(diagnosis, &bloat_past) * SECS_PER_DAY;
	int n = large_tables(diagnosis, pairs);

	perfopt_facts_read_past(facts, pairs, n, past_s);
	for (int i = 0; i < n; i += 2)
	{
		if (pairs[i]->past.n > 0 && pairs[i + 1]->past.first > 0)
			report_bloat(diagnosis, pairs[i], pairs[i + 1]);
	}
	pfree(pairs);
}

static void
detect_stale_statistics(PerfoptDiagnosis *diagnosis)
{
	PerfoptFacts *facts = diagnosis->facts;

	for (PerfoptSeries *s = NULL;
		 (s = perfopt_facts_series(facts, "pg_table_mod_since_analyze", s)) != NULL;)
	{
		PerfoptSeries *live = perfopt_facts_twin(facts, "pg_table_live_tuples", s);
		double share = live && live->max > 0 ? s->min / live->max : INFINITY;
		char *table;
		PerfoptFinding *finding;

		if (live == NULL || s->seconds < perfopt_limit(diagnosis, &stale_seconds) ||
			s->min < perfopt_limit(diagnosis, &stale_rows) ||
			share <= perfopt_limit(diagnosis, &stale_share))
			continue;
		table = perfopt_series_label(s, "table");
		finding = perfopt_finding_add(diagnosis, PERFOPT_WARNING, table);
		finding->root_cause =
			psprintf("%.0f rows of table %s, which has %.0f, were changed since its statistics "
					 "were gathered: the "
					 "planner estimates with figures of data that is no longer there.",
					 s->last, table, live->last);
		perfopt_evidence_text(finding, "table", table);
		perfopt_evidence_text(finding, "database", perfopt_series_label(s, "database"));
		perfopt_evidence_number(finding, "modified_rows", s->last);
		perfopt_evidence_number(finding, "live_rows", live->last);
		perfopt_evidence_series(finding, facts, s);
		perfopt_finding_factor(finding, perfopt_finding_of(diagnosis, "plan_regression"));
	}
}

static void
detect_sequence_exhaustion(PerfoptDiagnosis *diagnosis)
{
	PerfoptFacts *facts = diagnosis->facts;

	for (PerfoptSeries *s = NULL;
		 (s = perfopt_facts_series(facts, "pg_sequence_used_ratio", s)) != NULL;)
	{
		double seconds = (s->last_ts - s->first_ts) / (double) USECS_PER_SEC;
		double rate = seconds > 0 ? (s->last - s->first) / seconds : 0;
		double left_s = rate > 0 ? (1 - s->last) / rate : INFINITY;
		char *sequence;
		PerfoptFinding *finding;

		if (s->last < perfopt_limit(diagnosis, &sequence_used))
			continue;
		sequence = perfopt_series_label(s, "sequence");
		finding = perfopt_finding_add(diagnosis, s->last >= 1 ? PERFOPT_CRITICAL : PERFOPT_WARNING,
									  sequence);
		finding->root_cause =
			psprintf("%.1f %% of the values of sequence %s are given away%s; after the last one "
					 "each nextval() "
					 "fails, and with it each insert that needs one.",
					 100 * s->last, sequence,
					 isfinite(left_s) ? psprintf(", the rest at the present rate in %s",
												 perfopt_duration(left_s))
									  : "");
		perfopt_evidence_time_left(finding, left_s);
		perfopt_evidence_text(finding, "sequence", sequence);
		perfopt_evidence_text(finding, "database", perfopt_series_label(s, "database"));
		perfopt_evidence_number(finding, "used_pct", 100 * s->last);
		perfopt_evidence_series(finding, facts, s);
	}
}

const PerfoptDetector perfopt_table_detectors[] = {
	{ "table_bloat", "database", PERFOPT_STAGE_REST, detect_table_bloat,
	  PERFOPT_THRESHOLDS(&bloat_growth, &bloat_mib, &bloat_days, &bloat_past) },
	{ "stale_statistics", "database", PERFOPT_STAGE_REST, detect_stale_statistics,
	  PERFOPT_THRESHOLDS(&stale_share, &stale_rows, &stale_seconds) },
	{ "sequence_exhaustion", "database", PERFOPT_STAGE_REST, detect_sequence_exhaustion,
	  PERFOPT_THRESHOLDS(&sequence_used) },
	{ NULL }
};
