/*
 * detect_schema.c
 *	  Findings about indexes that cost each write something and serve nobody.
 *
 * Which indexes there are is known of this database and of now, so a window in the past has none of
 * these findings.  Sizes are of the last VACUUM or ANALYZE, and no query here waits for a lock.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "commands/dbcommands.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "diagnose/diagnose.h"

#define MIB (1024.0 * 1024.0)

static const PerfoptThreshold unused_days = { "days", "days without a scan", 90,
											  "convention: Azure's automatic tuning" };
static const PerfoptThreshold unused_mib = { "mib", "and MiB", 10,
											 "judgement: a small one is no burden" };
static const PerfoptThreshold duplicate_mib = { "warning_mib", "warning from MiB", 10,
												"judgement: a small one is no burden" };
static const PerfoptThreshold invalid_any = { "indexes", "invalid indexes that nobody builds now",
											  1, "convention: an invalid index serves nothing" };

/*
 * Own indexes of ordinary tables, and whether one may go: not if a constraint, the replica identity or
 * the index of a partitioned table needs it.
 */
#define INDEXES                                                                               \
	"WITH own AS MATERIALIZED ("                                                              \
	"  SELECT i.*, c.relam, c.relpages,"                                                      \
	"   quote_ident(n.nspname) || '.' || quote_ident(t.relname) AS table_name,"               \
	"   quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS index_name,"               \
	"   n.nspname || '.' || t.relname AS table_label,"                                        \
	"   c.relname AS index_label,"                                                            \
	"   NOT i.indisprimary AND NOT i.indisreplident"                                          \
	"   AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = i.indexrelid)"         \
	"   AND NOT EXISTS (SELECT FROM pg_inherits h WHERE h.inhrelid = i.indexrelid) AS may_go" \
	"  FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_class t ON t.oid = "   \
	"i.indrelid"                                                                              \
	"  JOIN pg_namespace n ON n.oid = c.relnamespace"                                         \
	"  WHERE i.indexrelid >= 16384 AND c.relkind = 'i' AND c.relpersistence <> 't'"           \
	"  AND n.nspname <> 'pg_toast') "

/* The rows of a query about indexes, as texts in the current context. */
static int
ask(const char *sql, int columns, char ****rows)
{
	MemoryContext context = CurrentMemoryContext;
	int n;

	SPI_connect();
	SPI_execute(sql, true, 0);
	n = SPI_processed;
	*rows = MemoryContextAlloc(context, sizeof(char **) * Max(n, 1));
	for (int i = 0; i < n; i++)
	{
		(*rows)[i] = MemoryContextAlloc(context, sizeof(char *) * columns);
		for (int column = 0; column < columns; column++)
		{
			char *value = SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, column + 1);

			(*rows)[i][column] = value ? MemoryContextStrdup(context, value) : NULL;
		}
	}
	SPI_finish();
	return n;
}

static void
index_evidence(PerfoptFinding *finding, char *const *row)
{
	perfopt_evidence_text(finding, "index", row[0]);
	perfopt_evidence_text(finding, "table", row[1]);
	perfopt_evidence_number(finding, "size_bytes", strtod(row[2], NULL));
	perfopt_evidence_text(
		finding, "sql",
		psprintf("SELECT indexrelid::regclass, indisvalid, pg_get_indexdef(indexrelid) "
				 "FROM pg_index WHERE indrelid = %s::regclass",
				 quote_literal_cstr(row[1])));
}

/* Expressions and predicates are compared as the trees they are stored as, but for where they stood. */
#define SAME_TREE(column)                                                           \
	"regexp_replace(coalesce(a." column "::text, ''), ':location -?\\d+', '', 'g')" \
	" = regexp_replace(coalesce(b." column "::text, ''), ':location -?\\d+', '', 'g')"

static const char *const duplicate_query = INDEXES
	"SELECT DISTINCT ON (b.indexrelid) b.index_name, b.table_name,"
	" b.relpages::float8 * current_setting('block_size')::int, a.index_name"
	" FROM own a JOIN own b ON a.indrelid = b.indrelid AND a.indexrelid <> b.indexrelid"
	" AND a.relam = b.relam AND a.indnkeyatts = b.indnkeyatts"
	" AND a.indkey::text = b.indkey::text AND a.indclass::text = b.indclass::text"
	" AND a.indcollation::text = b.indcollation::text"
	" AND a.indoption::text = b.indoption::text"
	" AND " SAME_TREE("indexprs") " AND " SAME_TREE(
		"indpred") " WHERE b.may_go AND a.indisvalid AND b.indisvalid AND a.indimmediate"
				   " AND (NOT b.indisunique OR (a.indisunique"
				   "  AND a.indnullsnotdistinct >= b.indnullsnotdistinct))"
				   " AND (SELECT array_agg(attoptions::text ORDER BY attnum) FROM pg_attribute"
				   "  WHERE attrelid = a.indexrelid) IS NOT DISTINCT FROM"
				   " (SELECT array_agg(attoptions::text ORDER BY attnum) FROM pg_attribute"
				   "  WHERE attrelid = b.indexrelid)"
				   " AND (NOT a.may_go OR (a.indisunique AND NOT b.indisunique)"
				   "  OR (a.indisunique = b.indisunique AND a.indexrelid < b.indexrelid))"
				   " ORDER BY b.indexrelid, a.indexrelid";

static void
detect_duplicate_index(PerfoptDiagnosis *diagnosis)
{
	char ***rows;
	int n;

	if (!diagnosis->facts->present)
		return;
	n = ask(duplicate_query, 4, &rows);
	for (int i = 0; i < n; i++)
	{
		double mib = strtod(rows[i][2], NULL) / MIB;
		PerfoptFinding *finding =
			perfopt_finding_add(diagnosis,
								mib >= perfopt_limit(diagnosis, &duplicate_mib) ? PERFOPT_WARNING
																				: PERFOPT_INFO,
								rows[i][0]);

		finding->root_cause = psprintf(
			"Index %s of table %s has the same columns, operators and condition as %s: each write "
			"maintains both, and one of them (%.0f MiB) serves nothing.",
			rows[i][0], rows[i][1], rows[i][3], mib);
		index_evidence(finding, rows[i]);
		perfopt_evidence_text(finding, "same_as", rows[i][3]);
	}
}

static const char *const invalid_query =
	INDEXES "SELECT index_name, table_name,"
			" relpages::float8 * current_setting('block_size')::int FROM own o"
			" WHERE NOT indisvalid AND NOT EXISTS (SELECT FROM pg_stat_progress_create_index p"
			"  WHERE p.relid = o.indrelid AND p.datname = current_database())"
			" ORDER BY index_name";

static void
detect_invalid_index(PerfoptDiagnosis *diagnosis)
{
	char ***rows;
	int n;

	if (!diagnosis->facts->present)
		return;
	n = ask(invalid_query, 3, &rows);
	for (int i = 0; i < n && n >= perfopt_limit(diagnosis, &invalid_any); i++)
	{
		PerfoptFinding *finding = perfopt_finding_add(diagnosis, PERFOPT_WARNING, rows[i][0]);

		finding->root_cause =
			psprintf("Index %s of table %s is not valid, as CREATE INDEX CONCURRENTLY leaves one "
					 "when it fails: "
					 "no statement uses it, and each write may still maintain it.",
					 rows[i][0], rows[i][1]);
		index_evidence(finding, rows[i]);
	}
}

static const char *const candidate_query =
	INDEXES "SELECT index_name, table_name,"
			" relpages::float8 * current_setting('block_size')::int, table_label, index_label"
			" FROM own WHERE may_go AND indisvalid AND NOT indisunique"
			" AND pg_stat_get_numscans(indexrelid) = 0 ORDER BY index_name";

/* The series of an index of this database. */
static PerfoptSeries *
index_series(const PerfoptFacts *facts, const char *table, const char *index)
{
	char *here = get_database_name(MyDatabaseId);

	for (PerfoptSeries *s = NULL;
		 (s = perfopt_facts_series(facts, "pg_index_scan_total", s)) != NULL;)
	{
		char *database = perfopt_series_label(s, "database");
		char *s_table = perfopt_series_label(s, "table");
		char *s_index = perfopt_series_label(s, "index");

		if (s->nonzero == 0 && database && s_table && s_index && strcmp(database, here) == 0 &&
			strcmp(s_table, table) == 0 && strcmp(s_index, index) == 0)
			return s;
	}
	return NULL;
}

/*
 * Without a scan since its statistics began, and seen without one for as long as it takes: statistics
 * that were reset yesterday say nothing.  An index that a standby's sessions use has no scans here.
 */
static void
detect_unused_index(PerfoptDiagnosis *diagnosis)
{
	PerfoptFacts *facts = diagnosis->facts;
	double days = perfopt_limit(diagnosis, &unused_days);
	double least = perfopt_limit(diagnosis, &unused_mib) * MIB;
	bool standbys = perfopt_facts_series(facts, "pg_replication_lag_bytes", NULL) != NULL;
	char ***rows;
	int n;

	if (!facts->present || perfopt_facts_series(facts, "pg_index_scan_total", NULL) == NULL)
		return;
	n = ask(candidate_query, 5, &rows);
	for (int i = 0; i < n; i++)
	{
		PerfoptSeries *s = index_series(facts, rows[i][3], rows[i][4]);
		PerfoptFinding *finding;
		double seen_days;

		if (s == NULL || strtod(rows[i][2], NULL) < least)
			continue;
		/* An hour of slack, as the oldest rollup begins on the hour. */
		perfopt_facts_read_past(facts, &s, 1, days * SECS_PER_DAY + SECS_PER_HOUR);
		seen_days = (s->last_ts - s->past.first_ts) / (double) USECS_PER_DAY;
		if (s->past.n == 0 || s->past.sum > 0 || seen_days < days)
			continue;
		finding = perfopt_finding_add(diagnosis, PERFOPT_INFO, rows[i][0]);
		finding->root_cause = psprintf(
			"Index %s of table %s (%.0f MiB) was not scanned once in the %.1f days that it was "
			"watched, and neither is it there for a constraint%s.",
			rows[i][0], rows[i][1], strtod(rows[i][2], NULL) / MIB, seen_days,
			standbys ? "; whether standbys use it is not known here" : "");
		index_evidence(finding, rows[i]);
		perfopt_evidence_number(finding, "days", seen_days);
	}
}

const PerfoptDetector perfopt_schema_detectors[] = {
	{ "duplicate_index", "database", PERFOPT_STAGE_REST, detect_duplicate_index,
	  PERFOPT_THRESHOLDS(&duplicate_mib) },
	{ "invalid_index", "database", PERFOPT_STAGE_REST, detect_invalid_index,
	  PERFOPT_THRESHOLDS(&invalid_any) },
	{ "unused_index", "database", PERFOPT_STAGE_REST, detect_unused_index,
	  PERFOPT_THRESHOLDS(&unused_days, &unused_mib) },
	{ NULL }
};
