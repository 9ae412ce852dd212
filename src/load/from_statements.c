/*
 * from_statements.c
 *	  A scenario of the statements that the server really runs.
 *
 * Which they are, and how often they were called, comes from what perfopt has collected of
 * pg_stat_statements, or from pg_stat_statements itself; their texts come from there.  The most frequent
 * that can be run again become operations.  Nothing that the caller can't see is used.
 */
#include "postgres.h"

#include <ctype.h>

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "load/load.h"
#include "load/replay.h"

/* perfopt.statement cuts texts at 4096 bytes, at a whole character. */
#define CUT_BYTES (4096 - MAX_MULTIBYTE_CHAR_LEN)

/* Of an example in a message. */
#define EXAMPLE_BYTES 100

typedef struct Candidate
{
	double calls;
	double rows; /* a call */
	char *text;  /* NULL where there is none */
	bool cut;
} Candidate;

typedef struct Operation
{
	char *name;
	double calls;
	char *script;
	char *variables;
} Operation;

typedef struct Build
{
	char *name;
	int top;
	bool read_only;
	const Interval *since; /* NULL: since the reset */
	MemoryContext context;

	char *statistics;  /* the schema of pg_stat_statements */
	bool has_toplevel; /* the extension is new enough */
	char *from;        /* when the first of the calls was, as far as it is known */
	char *period;      /* for the scenario's description */

	int ncandidates;
	Candidate *candidates;
	List *news;
	int noperations;
	Operation operations[LOAD_MAX_OPERATIONS];
	int left_out[REPLAY_VERDICTS];
	char *examples[REPLAY_VERDICTS];
} Build;

PG_FUNCTION_INFO_V1(perfopt_scenario_from_statements);

static char *
kept(const Build *build, int row, int column)
{
	char *value = SPI_getvalue(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column);

	return value == NULL ? NULL : MemoryContextStrdup(build->context, value);
}

static double
number(int row, int column)
{
	bool isnull;
	Datum value = SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column, &isnull);

	return isnull ? 0 : DatumGetFloat8(value);
}

static void
select_with(const Build *build, const char *sql)
{
	Oid types[] = { INTERVALOID, TEXTOID };
	Datum values[] = { IntervalPGetDatum(build->since), CStringGetTextDatum(build->name) };
	char nulls[] = { build->since == NULL ? 'n' : ' ', ' ' };

	/* Not read-only: what the same statement has written before is seen. */
	if (SPI_execute_with_args(sql, 2, types, values, nulls, false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read statements");
}

static void
refuse_existing(const Build *build)
{
	select_with(build, "SELECT FROM perfopt.scenario WHERE name = $2");
	if (SPI_processed > 0)
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_OBJECT),
				 errmsg("scenario \"%s\" exists already", build->name),
				 errhint("Choose another name, or remove it: DELETE FROM perfopt.scenario WHERE "
						 "name = %s;",
						 quote_literal_cstr(build->name))));
}

static void
find_statistics(Build *build)
{
	if (GetConfigOption("pg_stat_statements.max", true, false) == NULL)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("pg_stat_statements is not loaded"),
						errhint("Add it to shared_preload_libraries, restart the server, and "
								"CREATE EXTENSION pg_stat_statements.")));
	select_with(build,
				"SELECT n.nspname, EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid "
				" AND a.attname = 'toplevel') FROM pg_extension e "
				"JOIN pg_depend d ON d.refclassid = 'pg_extension'::regclass "
				" AND d.refobjid = e.oid AND d.classid = 'pg_class'::regclass AND d.deptype = 'e' "
				"JOIN pg_class c ON c.oid = d.objid AND c.relname = 'pg_stat_statements' "
				"JOIN pg_namespace n ON n.oid = c.relnamespace "
				"WHERE e.extname = 'pg_stat_statements'");
	if (SPI_processed == 0)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("pg_stat_statements is not installed in this database"),
						errhint("CREATE EXTENSION pg_stat_statements;")));
	build->statistics = MemoryContextStrdup(build->context, quote_identifier(kept(build, 0, 1)));
	build->has_toplevel = strcmp(kept(build, 0, 2), "t") == 0;
}

/* What pg_stat_statements has of this database by query id; of several texts the most frequent. */
static char *
entries_sql(const Build *build)
{
	return psprintf("SELECT queryid, sum(calls)::float8 AS calls, "
					"(sum(rows) / greatest(sum(calls), 1))::float8 AS rows, "
					"(array_agg(query ORDER BY calls DESC))[1] AS query "
					"FROM %s.pg_stat_statements WHERE queryid IS NOT NULL%s AND dbid = "
					"(SELECT oid FROM pg_database WHERE datname = current_database()) "
					"GROUP BY queryid",
					build->statistics, build->has_toplevel ? " AND toplevel" : "");
}

static void
tell_period(Build *build, const char *period)
{
	build->period = MemoryContextStrdup(build->context, period);
	ereport(NOTICE, (errmsg("scenario \"%s\" is of calls %s", build->name, period)));
}

/* The calls that were collected in that time. */
static bool
read_collected(Build *build)
{
	if (build->since == NULL)
		return false;
	select_with(build, "SELECT min(ts)::timestamptz(0)::text FROM perfopt.sample "
					   "WHERE metric = 'pg_statement_calls_total' "
					   "AND ts > now() - perfopt.checked_positive('since', $1) "
					   "AND labels ->> 'database' = current_database() HAVING count(*) > 0");
	if (SPI_processed == 0)
		return false;
	build->from = kept(build, 0, 1);
	tell_period(build, psprintf("that perfopt collected since %s, of the statements that took most "
								"time (perfopt.top_statements)",
								build->from));
	select_with(build,
				psprintf("SELECT s.calls, coalesce(e.rows, 0), coalesce(e.query, t.text), "
						 "e.query IS NULL AND octet_length(t.text) > %d FROM "
						 "(SELECT (labels ->> 'query_id')::int8 AS query_id, sum(value) AS calls "
						 " FROM perfopt.sample WHERE metric = 'pg_statement_calls_total' "
						 " AND ts > now() - $1 AND labels ->> 'database' = current_database() "
						 " GROUP BY 1) s LEFT JOIN (%s) e ON e.queryid = s.query_id "
						 "LEFT JOIN perfopt.statement t ON t.query_id = s.query_id "
						 " AND t.database = current_database() WHERE s.calls > 0 "
						 "ORDER BY s.calls DESC, s.query_id",
						 CUT_BYTES, entries_sql(build)));
	return true;
}

static void
read_counted(Build *build)
{
	select_with(build,
				psprintf("SELECT stats_reset::timestamptz(0)::text FROM %s.pg_stat_statements_info",
						 build->statistics));
	build->from = SPI_processed > 0 ? kept(build, 0, 1) : NULL;
	tell_period(build,
				psprintf("since pg_stat_statements was reset%s%s%s",
						 build->from != NULL ? " on " : "", build->from != NULL ? build->from : "",
						 build->since != NULL ? ": perfopt collected none in the time that "
												"was asked for"
											  : ""));
	select_with(build, psprintf("SELECT calls, rows, query, false FROM (%s) e "
								"ORDER BY calls DESC, queryid",
								entries_sql(build)));
}

static void
keep_candidates(Build *build)
{
	build->ncandidates = (int) SPI_processed;
	build->candidates =
		MemoryContextAllocHuge(build->context, sizeof(Candidate) * Max(1, build->ncandidates));
	for (int i = 0; i < build->ncandidates; i++)
		build->candidates[i] = (Candidate){ .calls = number(i, 1),
											.rows = number(i, 2),
											.text = kept(build, i, 3),
											.cut = strcmp(kept(build, i, 4), "t") == 0 };
}

/* Others' statements are rows without a query id. */
static void
tell_hidden(const Build *build)
{
	select_with(build, psprintf("SELECT count(*)::float8 FROM %s.pg_stat_statements "
								"WHERE queryid IS NULL AND dbid = (SELECT oid FROM pg_database "
								"WHERE datname = current_database())",
								build->statistics));
	if (number(0, 1) > 0)
		ereport(NOTICE,
				(errmsg("%.0f statements of other roles are not shown to you", number(0, 1)),
				 errhint("Members of pg_read_all_stats see them.")));
}

/* What load tests called is among what was called. */
static void
tell_tests(const Build *build)
{
	if (build->from == NULL)
		return;
	select_with(build, psprintf("SELECT count(*)::float8 FROM perfopt.test_run "
								"WHERE target = 'perfopt_local' "
								"AND coalesce(finished_at, now()) > %s::timestamptz",
								quote_literal_cstr(build->from)));
	if (number(0, 1) > 0)
		ereport(NOTICE, (errmsg("%.0f load tests ran in that time, and their calls count too",
								number(0, 1))));
}

static void
read_candidates(Build *build)
{
	SPI_connect();
	refuse_existing(build);
	find_statistics(build);
	if (!read_collected(build))
		read_counted(build);
	keep_candidates(build);
	tell_hidden(build);
	tell_tests(build);
	SPI_finish();
}

/* The beginning of a text, in one line. */
static char *
example(const char *text)
{
	StringInfoData out;

	initStringInfo(&out);
	for (const char *p = text; *p != '\0'; p++)
		if (!isspace((unsigned char) *p))
			appendStringInfoChar(&out, *p);
		else if (out.len > 0 && out.data[out.len - 1] != ' ')
			appendStringInfoChar(&out, ' ');
	if (out.len > EXAMPLE_BYTES)
	{
		out.len = pg_mbcliplen(out.data, out.len, EXAMPLE_BYTES);
		out.data[out.len] = '\0';
		appendStringInfoString(&out, " ...");
	}
	return out.data;
}

static void
leave_out(Build *build, const Candidate *candidate, const Replay *replay)
{
	char *text = candidate->text == NULL ? "(it has none)" : example(candidate->text);

	if (replay->reason != NULL)
		text = psprintf("%s: %s", replay->reason, text);
	ereport(DEBUG1, (errmsg_internal("statement left out: %s", text)));
	if (build->left_out[replay->verdict]++ == 0)
		build->examples[replay->verdict] = MemoryContextStrdup(build->context, text);
}

static bool
is_taken(const Build *build, const char *name)
{
	for (int i = 0; i < build->noperations; i++)
		if (strcmp(build->operations[i].name, name) == 0)
			return true;
	return false;
}

static void
take(Build *build, const Replay *replay)
{
	Operation *operation;
	char *name = replay->name;

	for (int i = 0; i < build->noperations; i++)
	{
		operation = &build->operations[i];
		if (strcmp(operation->script, replay->script) == 0 &&
			strcmp(operation->variables, replay->variables) == 0)
		{
			operation->calls += replay->calls;
			return;
		}
	}
	for (int i = 2; is_taken(build, name); i++)
		name = psprintf("%s_%d", replay->name, i);
	operation = &build->operations[build->noperations++];
	operation->name = MemoryContextStrdup(build->context, name);
	operation->calls = replay->calls;
	operation->script = MemoryContextStrdup(build->context, replay->script);
	operation->variables = MemoryContextStrdup(build->context, replay->variables);
}

static void
examine(Build *build, const Candidate *candidate)
{
	Replay replay = { .text = candidate->text,
					  .calls = candidate->calls,
					  .rows = candidate->rows,
					  .read_only = build->read_only,
					  .news = &build->news,
					  .news_context = build->context };

	if (candidate->text == NULL || candidate->cut)
		replay.verdict = REPLAY_CUT;
	else if (strstr(candidate->text, REPLAY_MARK) != NULL)
		replay.verdict = REPLAY_OWN;
	else
		replay_statement(&replay);
	if (replay.verdict == REPLAY_TAKEN)
		take(build, &replay);
	else
		leave_out(build, candidate, &replay);
}

static void
examine_all(Build *build)
{
	MemoryContext each =
		AllocSetContextCreate(CurrentMemoryContext, "perfopt statement", ALLOCSET_DEFAULT_SIZES);

	for (int i = 0; i < build->ncandidates && build->noperations < build->top; i++)
	{
		MemoryContext oldcontext = MemoryContextSwitchTo(each);

		CHECK_FOR_INTERRUPTS();
		examine(build, &build->candidates[i]);
		MemoryContextSwitchTo(oldcontext);
		MemoryContextReset(each);
	}
	MemoryContextDelete(each);
}

static void
tell_left_out(const Build *build)
{
	static const struct
	{
		const char *why;
		const char *hint;
	} verdicts[REPLAY_VERDICTS] = {
		[REPLAY_UTILITY] = { "no SELECT, INSERT, UPDATE, DELETE or MERGE", NULL },
		[REPLAY_OWN] = { "about the server, perfopt or pg_stat_statements", NULL },
		[REPLAY_CUT] = { "no whole text", NULL },
		[REPLAY_WRITES] = { "may write",
							"read_only => false takes them too; a test then changes data." },
		[REPLAY_ACTS] = { "would act on sessions or on the server", NULL },
		[REPLAY_UNTRUSTED] = { "would run functions of other roles with your rights",
							   "Do it as the role that runs these statements." },
		[REPLAY_UNKNOWN] = { "values of a parameter are not known",
							 "Write an operation for them: INSERT INTO perfopt.operation ..." },
		[REPLAY_EMPTY] = { "there are no values for a parameter", NULL },
		[REPLAY_FAILED] = { "can't be analysed",
							"Names are looked up by your search_path, with your rights." },
	};

	for (int i = 0; i < REPLAY_VERDICTS; i++)
		if (build->left_out[i] > 0)
			ereport(NOTICE, (errmsg("%d statement%s left out: %s", build->left_out[i],
									build->left_out[i] == 1 ? "" : "s", verdicts[i].why),
							 errdetail("For example: %s", build->examples[i]),
							 verdicts[i].hint != NULL ? errhint("%s", verdicts[i].hint) : 0));
}

static void
write_scenario(Build *build)
{
	Oid types[] = { TEXTOID, TEXTOID, FLOAT8OID, TEXTOID, TEXTOID };
	Datum values[5];

	SPI_connect();
	values[0] = CStringGetTextDatum(build->name);
	values[1] =
		CStringGetTextDatum(psprintf("Statements of this database, by calls %s.", build->period));
	SPI_execute_with_args("INSERT INTO perfopt.scenario (name, description) VALUES ($1, $2)", 2,
						  types, values, NULL, false, 0);
	for (int i = 0; i < build->noperations; i++)
	{
		const Operation *operation = &build->operations[i];

		values[1] = CStringGetTextDatum(operation->name);
		values[2] = Float8GetDatum(operation->calls);
		values[3] = CStringGetTextDatum(operation->script);
		values[4] = CStringGetTextDatum(operation->variables);
		SPI_execute_with_args("INSERT INTO perfopt.operation "
							  "(scenario, name, weight, script, variables) "
							  "VALUES ($1, $2, $3, $4, $5::jsonb)",
							  5, types, values, NULL, false, 0);
	}
	SPI_finish();
}

/* What perfopt itself asks of the server means the same with any search_path. */
static void
with_own_names(Build *build, void (*what)(Build *build))
{
	int level = NewGUCNestLevel();

	(void) set_config_option("search_path", "pg_catalog, pg_temp", PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
	what(build);
	AtEOXact_GUC(true, level);
}

static Build *
build_from_arguments(FunctionCallInfo fcinfo)
{
	static const char *const names[] = { "name", "top", NULL, "read_only" };
	Build *build = palloc0(sizeof(Build));

	for (int i = 0; i < lengthof(names); i++)
		if (names[i] != NULL && PG_ARGISNULL(i))
			ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
							errmsg("argument \"%s\" must not be null", names[i])));
	build->name = text_to_cstring(PG_GETARG_TEXT_PP(0));
	build->top = PG_GETARG_INT32(1);
	build->since = PG_ARGISNULL(2) ? NULL : PG_GETARG_INTERVAL_P(2);
	build->read_only = PG_GETARG_BOOL(3);
	build->context = CurrentMemoryContext;
	if (build->top < 1 || build->top > LOAD_MAX_OPERATIONS)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("a scenario can't have %d operations", build->top),
						errhint("top is 1 to %d.", LOAD_MAX_OPERATIONS)));
	return build;
}

Datum
perfopt_scenario_from_statements(PG_FUNCTION_ARGS)
{
	Build *build = build_from_arguments(fcinfo);

	with_own_names(build, read_candidates);
	examine_all(build);
	tell_left_out(build);
	if (build->noperations == 0)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("scenario \"%s\" would have no operation", build->name),
						errdetail("None of %d statements can be taken.", build->ncandidates),
						errhint("Notices say why; a statement counts once it was called in this "
								"database.")));
	with_own_names(build, write_scenario);
	PG_RETURN_INT32(build->noperations);
}
