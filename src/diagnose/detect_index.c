/*
 * detect_index.c
 *	  Indexes that the busiest statements of this database miss.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "portability/instr_time.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "diagnose/diagnose.h"
#include "diagnose/whatif.h"

/* Planning stops after this many milliseconds in all; what was not looked at is in the evidence. */
#define BUDGET_MS 3000

static const PerfoptThreshold saving = { "saving", "share of the plan's cost that the index saves",
										 0.5, "convention: dexter" };
static const PerfoptThreshold base_cost = { "cost", "cost of the plan without it", 100,
											"convention: dexter" };
static const PerfoptThreshold table_rows = { "rows", "rows of the table", 1000,
											 "judgement: scanning fewer takes well under 1 ms" };
static const PerfoptThreshold least_impact = { "impact", "share of DB time saved", 0.01,
											   "judgement: an index costs every write something" };
static const PerfoptThreshold critical_impact = { "critical_impact",
												  "critical from share of DB time", 0.5,
												  "judgement: half of all work" };

/* An index and the statements that want it. */
typedef struct Wish
{
	Oid relation;
	AttrNumber column;
	int n;
	const PerfoptStatement *statements[PERFOPT_FACTS_STATEMENTS];
	double reduction[PERFOPT_FACTS_STATEMENTS];
	double base_cost; /* of the statement that spends most */
	double new_cost;
	double rows;
	bool foreign_key;
} Wish;

typedef struct Wishes
{
	int n;
	Wish items[PERFOPT_FACTS_STATEMENTS];
	int planned;
	int skipped;
	char *skip_reason; /* SQLSTATE or text of the last one */
	bool measured;     /* by hypopg */
} Wishes;

/* An index saves processor time and reads; what a statement waits for otherwise stays. */
static bool
saves(const PerfoptFacts *facts, const PerfoptActivity *activity)
{
	return perfopt_wait_is(facts, activity, "CPU", NULL) ||
		   perfopt_wait_is(facts, activity, "IO", "DataFileRead") ||
		   perfopt_wait_is(facts, activity, "IO", "DataFilePrefetch") ||
		   perfopt_wait_is(facts, activity, "LWLock", "BufferIO") ||
		   perfopt_wait_is(facts, activity, "IPC", "BufferIO");
}

static double
weigh_wish(const PerfoptFacts *facts, const PerfoptActivity *activity, const void *arg)
{
	const Wish *wish = arg;

	for (int i = 0; i < wish->n; i++)
	{
		if (activity->query_id == wish->statements[i]->query_id &&
			activity->database == wish->statements[i]->database)
			return saves(facts, activity) ? wish->reduction[i] : 0;
	}
	return 0;
}

static char *
first_value(const char *sql, int nargs, Oid *types, Datum *values, MemoryContext context)
{
	char *value = NULL;

	SPI_connect();
	SPI_execute_with_args(sql, nargs, types, values, NULL, true, 1);
	if (SPI_processed > 0)
		value = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
	if (value != NULL)
		value = MemoryContextStrdup(context, value);
	SPI_finish();
	return value;
}

/*
 * Where the statement's unqualified names are looked up: an operation of a load test runs over its
 * dataset; otherwise what is set for the role and database, or the default.  A session may have set
 * another path; then the statement fails to plan, and is counted as skipped.
 */
static char *
search_path_of(const PerfoptStatement *statement)
{
	Oid types[2] = { INT4OID, OIDOID };
	Datum values[2] = { Int32GetDatum(statement->operation), ObjectIdGetDatum(statement->role) };
	char *path = NULL;

	if (statement->operation != 0)
		path = first_value("SELECT quote_ident(s.dataset) || ', public' FROM perfopt.operation o"
						   " JOIN perfopt.scenario s ON s.name = o.scenario"
						   " WHERE o.operation_id = $1 AND s.dataset IS NOT NULL",
						   1, types, values, CurrentMemoryContext);
	if (path == NULL)
		path = first_value(
			"SELECT substr(c, length('search_path=') + 1)"
			" FROM pg_catalog.pg_db_role_setting s CROSS JOIN LATERAL unnest(s.setconfig) c"
			" WHERE c LIKE 'search\\_path=%' AND s.setrole IN (0, $1) AND s.setdatabase IN (0,"
			"  (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database()))"
			" ORDER BY s.setrole <> 0 DESC, s.setdatabase <> 0 DESC",
			1, &types[1], &values[1], CurrentMemoryContext);
	return path ? path : pstrdup("\"$user\", public");
}

static char *
hypopg_schema(void)
{
	return first_value("SELECT quote_ident(n.nspname) FROM pg_catalog.pg_extension e"
					   " JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace"
					   " WHERE e.extname = 'hypopg'",
					   0, NULL, NULL, CurrentMemoryContext);
}

static void
add_wish(Wishes *wishes, const PerfoptStatement *statement, const PerfoptWhatIf *whatif)
{
	Wish *wish = NULL;

	for (int i = 0; i < wishes->n && wish == NULL; i++)
	{
		if (wishes->items[i].relation == whatif->relation &&
			wishes->items[i].column == whatif->column)
			wish = &wishes->items[i];
	}
	if (wish == NULL)
	{
		wish = &wishes->items[wishes->n++];
		wish->relation = whatif->relation;
		wish->column = whatif->column;
		wish->base_cost = whatif->base_cost;
		wish->new_cost = whatif->new_cost;
		wish->rows = whatif->rows;
		wish->foreign_key = whatif->foreign_key;
	}
	wish->statements[wish->n] = statement;
	wish->reduction[wish->n++] = 1 - whatif->new_cost / whatif->base_cost;
}

static void
examine_statements(const PerfoptDiagnosis *diagnosis, Wishes *wishes)
{
	const PerfoptFacts *facts = diagnosis->facts;
	char *hypopg = hypopg_schema();
	instr_time start;

	INSTR_TIME_SET_CURRENT(start);
	wishes->measured = hypopg != NULL;
	for (int i = 0; i < facts->nstatements; i++)
	{
		const PerfoptStatement *statement = &facts->statements[i];
		PerfoptWhatIf whatif = { .text = statement->text,
								 .role = statement->role,
								 .least_cost = perfopt_limit(diagnosis, &base_cost),
								 .least_rows = perfopt_limit(diagnosis, &table_rows) };
		instr_time spent;

		CHECK_FOR_INTERRUPTS();
		INSTR_TIME_SET_CURRENT(spent);
		INSTR_TIME_SUBTRACT(spent, start);
		if (statement->text == NULL || statement->database != MyDatabaseId ||
			statement->seconds < perfopt_limit(diagnosis, &least_impact) * facts->db_s)
			continue;
		if (INSTR_TIME_GET_MILLISEC(spent) > BUDGET_MS ||
			GetUserNameFromId(statement->role, true) == NULL)
		{
			wishes->skipped++;
			continue;
		}
		whatif.search_path = search_path_of(statement);
		whatif.hypopg = hypopg;
		perfopt_whatif(&whatif);
		if (whatif.state == PERFOPT_WHATIF_SKIPPED)
		{
			wishes->skipped++;
			wishes->skip_reason = whatif.reason;
			continue;
		}
		wishes->planned++;
		if (whatif.state == PERFOPT_WHATIF_INDEX &&
			whatif.base_cost >= perfopt_limit(diagnosis, &base_cost) &&
			whatif.new_cost <= (1 - perfopt_limit(diagnosis, &saving)) * whatif.base_cost)
			add_wish(wishes, statement, &whatif);
	}
}

static void
wish_evidence(PerfoptFinding *finding, const Wishes *wishes, const Wish *wish)
{
	StringInfoData queries;

	initStringInfo(&queries);
	for (int i = 0; i < wish->n; i++)
		appendStringInfo(&queries, "%s\"" INT64_FORMAT "\"", i > 0 ? ", " : "[",
						 wish->statements[i]->query_id);
	appendStringInfoChar(&queries, ']');

	perfopt_evidence_text(finding, "schema", get_namespace_name(get_rel_namespace(wish->relation)));
	perfopt_evidence_text(finding, "table", get_rel_name(wish->relation));
	perfopt_evidence_text(finding, "column", get_attname(wish->relation, wish->column, false));
	perfopt_evidence_number(finding, "table_rows", wish->rows);
	perfopt_evidence_number(finding, "cost_now", wish->base_cost);
	perfopt_evidence_number(finding, "cost_with_index", wish->new_cost);
	perfopt_evidence_text(finding, "method",
						  wishes->measured
							  ? "hypopg: planned with a hypothetical index"
							  : "plan only: cost of rows that sequential scans discard "
								"(hypopg is not installed)");
	perfopt_evidence_json(finding, "query_ids", queries.data);
	perfopt_evidence_number(finding, "statements_planned", wishes->planned);
	perfopt_evidence_number(finding, "statements_skipped", wishes->skipped);
	perfopt_evidence_text(finding, "skip_reason", wishes->skip_reason);
}

static void
report(PerfoptDiagnosis *diagnosis, const Wishes *wishes, const Wish *wish)
{
	PerfoptFacts *facts = diagnosis->facts;
	PerfoptShare share = perfopt_facts_share(facts, weigh_wish, wish);
	char *schema = get_namespace_name(get_rel_namespace(wish->relation));
	char *table = get_rel_name(wish->relation);
	char *column = get_attname(wish->relation, wish->column, false);
	PerfoptFinding *finding;

	if (!(share.share.share >= perfopt_limit(diagnosis, &least_impact)))
		return;
	finding = perfopt_finding_add(diagnosis,
								  share.share.share >= perfopt_limit(diagnosis, &critical_impact)
									  ? PERFOPT_CRITICAL
									  : PERFOPT_WARNING,
								  psprintf("%s(%s)", quote_qualified_identifier(schema, table),
										   quote_identifier(column)));
	perfopt_finding_impact(finding, share);
	finding->root_cause = psprintf(
		"%s %s of about %.0f rows from end to end, for want of an index on %s; with one the plan's "
		"cost falls from %.0f to %.0f, and %.0f %% of DB time (%.2f sessions on average) would go.",
		wish->foreign_key
			? "Deleting rows that its foreign key refers to makes the server read"
			: (wish->n == 1 ? "A statement reads" : psprintf("%d statements read", wish->n)),
		quote_qualified_identifier(schema, table), wish->rows, quote_identifier(column),
		wish->base_cost, wish->new_cost, 100 * share.share.share, share.aas);
	wish_evidence(finding, wishes, wish);
	perfopt_evidence_sql(finding, facts, "wait_event",
						 psprintf("query_id = " INT64_FORMAT, wish->statements[0]->query_id));
	perfopt_facts_charge(facts, weigh_wish, wish);
}

static void
detect_missing_index(PerfoptDiagnosis *diagnosis)
{
	Wishes *wishes = palloc0(sizeof(Wishes));

	if (!diagnosis->facts->measurable)
		return;
	examine_statements(diagnosis, wishes);
	for (int i = 0; i < wishes->n; i++)
		report(diagnosis, wishes, &wishes->items[i]);
	pfree(wishes);
}

const PerfoptDetector perfopt_index_detectors[] = {
	{ "missing_index", "database", PERFOPT_STAGE_WORK, detect_missing_index,
	  PERFOPT_THRESHOLDS(&saving, &base_cost, &table_rows, &least_impact, &critical_impact) },
	{ NULL }
};
