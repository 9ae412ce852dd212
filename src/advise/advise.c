/*
 * advise.c
 *	  The table of advisors, ranking, and perfopt.analyze().
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/jsonb.h"
#include "utils/timestamp.h"

#include "advise/advise.h"
#include "diagnose/diagnose.h"
#include "diagnose/owner.h"

static const PerfoptAdvisor advisors[] = {
	{ "autovacuum_lag", perfopt_advise_autovacuum_lag },
	{ "cache_down", perfopt_advise_cache_down },
	{ "cache_low_hit_ratio", perfopt_advise_cache_hit_ratio },
	{ "checkpoint_pressure", perfopt_advise_checkpoints },
	{ "client_wait", perfopt_advise_client_wait },
	{ "connection_saturation", perfopt_advise_connections },
	{ "cpu_saturation", perfopt_advise_cpu },
	{ "deadlocks", perfopt_advise_deadlocks },
	{ "duplicate_index", perfopt_advise_drop_index },
	{ "idle_in_transaction", perfopt_advise_idle_in_transaction },
	{ "invalid_index", perfopt_advise_invalid_index },
	{ "jit_overhead", perfopt_advise_jit },
	{ "lock_contention", perfopt_advise_lock_contention },
	{ "missing_index", perfopt_advise_index },
	{ "missing_input", perfopt_advise_missing_input },
	{ "plan_regression", perfopt_advise_top_statement },
	{ "shared_buffers_pressure", perfopt_advise_shared_buffers },
	{ "slot_retention", perfopt_advise_slot },
	{ "stale_statistics", perfopt_advise_stale_statistics },
	{ "table_bloat", perfopt_advise_bloat },
	{ "top_statement", perfopt_advise_top_statement },
	{ "unused_index", perfopt_advise_drop_index },
	{ "vacuum_index_passes", perfopt_advise_vacuum_memory },
	{ "wal_sync", perfopt_advise_wal_sync },
	{ "work_mem_spill", perfopt_advise_work_mem },
	{ "wraparound", perfopt_advise_wraparound },
	{ "xmin_horizon_held", perfopt_advise_xmin_horizon },
};

/* Sums that rank advice; see advise.h. */
static double
score_of(const PerfoptAdvice *advice)
{
	static const double without_impact[] = { 2, 10, 50 };
	static const double safety[] = { 1, 0.75, 0.4 };
	const PerfoptFinding *finding = advice->finding;
	double share = finding->has_impact ? finding->impact.share.share : NAN;
	double benefit = isfinite(share) ? 100 * share : without_impact[finding->severity];

	return benefit * advice->confidence * safety[advice->risk] / (1 + advice->effort_hours / 8);
}

static int
compare_advice(const ListCell *a, const ListCell *b)
{
	const PerfoptAdvice *x = lfirst(a);
	const PerfoptAdvice *y = lfirst(b);

	if (x->score != y->score)
		return x->score < y->score ? 1 : -1;
	return strcmp(x->title, y->title);
}

List *
perfopt_advise(const PerfoptDiagnosis *diagnosis)
{
	PerfoptAdvising advising = { .facts = diagnosis->facts };
	ListCell *cell;

	foreach (cell, diagnosis->findings)
	{
		advising.finding = lfirst(cell);
		for (int i = 0; i < lengthof(advisors); i++)
		{
			if (strcmp(advisors[i].finding, advising.finding->name) == 0)
				advisors[i].advise(&advising);
		}
	}
	foreach (cell, advising.advice)
		((PerfoptAdvice *) lfirst(cell))->score = score_of(lfirst(cell));
	list_sort(advising.advice, compare_advice);
	return advising.advice;
}

static void
execute(const char *sql, int nargs, Oid *types, Datum *values, const bool *nulls)
{
	char *flags = palloc(nargs + 1);

	for (int i = 0; i < nargs; i++)
		flags[i] = nulls && nulls[i] ? 'n' : ' ';
	flags[nargs] = '\0';
	if (SPI_execute_with_args(sql, nargs, types, values, flags, false, 0) < 0)
		elog(ERROR, "could not store an analysis");
}

static int64
store_analysis(const PerfoptFacts *facts, Oid caller)
{
	Oid types[] = { TIMESTAMPTZOID, TIMESTAMPTZOID, TEXTOID, FLOAT8OID,
					FLOAT8OID,      FLOAT8OID,      INT8OID, FLOAT8OID };
	Datum values[] = { TimestampTzGetDatum(facts->since),
					   TimestampTzGetDatum(facts->until),
					   CStringGetTextDatum(perfopt_role_name(caller)),
					   Float8GetDatum(facts->covered_s),
					   Float8GetDatum(facts->aas),
					   Float8GetDatum(facts->db_s),
					   Int64GetDatum(facts->samples),
					   Float8GetDatum(facts->cores) };
	bool isnull;

	execute(
		"INSERT INTO perfopt.analysis (since, until, analyzed_by, covered_seconds, aas, db_seconds,"
		" samples, cores, server_version, perfopt_version)"
		" SELECT $1, $2, $3, $4, $5, $6, $7, $8, current_setting('server_version'), extversion"
		" FROM pg_catalog.pg_extension WHERE extname = 'perfopt' RETURNING analysis_id",
		lengthof(types), types, values, NULL);
	if (SPI_processed != 1)
		elog(ERROR, "could not store an analysis");
	return DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
}

static void
store_finding(int64 analysis_id, int rank, const PerfoptFinding *finding)
{
	Oid types[] = { INT8OID,   INT4OID,   TEXTOID,   TEXTOID,   TEXTOID,
					FLOAT8OID, FLOAT8OID, FLOAT8OID, FLOAT8OID, FLOAT8OID,
					TEXTOID,   TEXTOID,   JSONBOID,  JSONBOID,  TEXTOID };
	Datum values[2 + PERFOPT_BOTTLENECK_COLUMNS];
	bool nulls[2 + PERFOPT_BOTTLENECK_COLUMNS] = { false };

	values[0] = Int64GetDatum(analysis_id);
	values[1] = Int32GetDatum(rank);
	/* Whoever may read the table may read the row, so no texts. */
	perfopt_finding_values(finding, false, &values[2], &nulls[2]);
	execute(
		"INSERT INTO perfopt.bottleneck (analysis_id, rank, category, finding, severity,"
		" impact_pct, impact_low_pct, impact_high_pct, aas, seconds, entity, root_cause, factors,"
		" evidence, lineage)"
		" VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)",
		lengthof(types), types, values, nulls);
}

static void
store_advice(int64 analysis_id, int rank, const PerfoptAdvice *advice)
{
	static const char *const risks[] = { "low", "medium", "high" };
	Oid types[] = { INT8OID,   INT4OID,   TEXTOID, TEXTOID,   TEXTOID, TEXTOID, TEXTOID,
					FLOAT8OID, FLOAT8OID, TEXTOID, FLOAT8OID, TEXTOID, TEXTOID, FLOAT8OID };
	double share = advice->finding->has_impact ? advice->finding->impact.share.share : NAN;
	Datum values[] = { Int64GetDatum(analysis_id),
					   Int32GetDatum(rank),
					   CStringGetTextDatum(advice->finding->category),
					   CStringGetTextDatum(advice->finding->name),
					   CStringGetTextDatum(advice->title),
					   CStringGetTextDatum(advice->action_sql),
					   CStringGetTextDatum(advice->revert_sql),
					   Float8GetDatum(rint(share * 10000) / 100),
					   Float8GetDatum(advice->effort_hours),
					   CStringGetTextDatum(risks[advice->risk]),
					   Float8GetDatum(advice->confidence),
					   CStringGetTextDatum(advice->finding->entity),
					   CStringGetTextDatum(advice->rationale),
					   Float8GetDatum(rint(advice->score * 100) / 100) };
	bool nulls[lengthof(types)] = { false };

	nulls[7] = !isfinite(share);
	execute(
		"INSERT INTO perfopt.recommendation (analysis_id, rank, category, finding, title,"
		" action_sql, revert_sql, impact_pct, effort_hours, risk, confidence, entity, rationale,"
		" score)"
		" VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
		lengthof(types), types, values, nulls);
}

PG_FUNCTION_INFO_V1(perfopt_analyze);
Datum
perfopt_analyze(PG_FUNCTION_ARGS)
{
	TimestampTz until = PG_ARGISNULL(1) ? GetCurrentTimestamp() : PG_GETARG_TIMESTAMPTZ(1);
	TimestampTz since = until;
	PerfoptOwnerScope scope;
	PerfoptDiagnosis *diagnosis;
	List *advice;
	ListCell *cell;
	int64 analysis_id;
	int rank = 1;

	if (!PG_ARGISNULL(0))
		since = DatumGetTimestampTz(DirectFunctionCall2(timestamptz_mi_interval,
														TimestampTzGetDatum(until),
														PG_GETARG_DATUM(0)));
	if (TIMESTAMP_NOT_FINITE(until) || since >= until)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("the window to analyze must have a length and an end"),
						errhint("For example: since => '15 min'.")));

	perfopt_owner_enter(&scope, fcinfo);
	diagnosis = perfopt_diagnose(since, until);
	advice = perfopt_advise(diagnosis);
	SPI_connect();
	analysis_id = store_analysis(diagnosis->facts, scope.caller);
	foreach (cell, diagnosis->findings)
		store_finding(analysis_id, rank++, lfirst(cell));
	rank = 1;
	foreach (cell, advice)
		store_advice(analysis_id, rank++, lfirst(cell));
	SPI_finish();
	perfopt_owner_leave(&scope);
	PG_RETURN_INT64(analysis_id);
}

/*
 * Moves a recommendation from one of the states in `from` to the state `to`, and notes who did it.
 */
static void
set_state(FunctionCallInfo fcinfo, const char *from, const char *to)
{
	int64 id = PG_ARGISNULL(0) ? 0 : PG_GETARG_INT64(0);
	Oid types[] = { INT8OID, TEXTOID, TEXTOID, TEXTOID, TEXTOID };
	bool nulls[] = { false, false, false, false, PG_ARGISNULL(1) };
	PerfoptOwnerScope scope;
	char *state;

	perfopt_owner_enter(&scope, fcinfo);
	{
		Datum values[] = { Int64GetDatum(id), CStringGetTextDatum(from), CStringGetTextDatum(to),
						   CStringGetTextDatum(perfopt_role_name(scope.caller)),
						   nulls[4] ? (Datum) 0 : PG_GETARG_DATUM(1) };

		SPI_connect();
		execute("SELECT state FROM perfopt.recommendation WHERE recommendation_id = $1 FOR UPDATE",
				1, types, values, NULL);
		if (SPI_processed == 0)
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_OBJECT),
					 errmsg("recommendation " INT64_FORMAT " does not exist", id),
					 errhint("SELECT recommendation_id, title FROM "
							 "perfopt.recommendations() lists those of the latest analysis.")));
		state = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
		execute(
			"UPDATE perfopt.recommendation SET state = $3, state_changed_at = clock_timestamp(),"
			" state_changed_by = $4, note = coalesce($5, note)"
			" WHERE recommendation_id = $1 AND state = ANY (string_to_array($2, ' '))",
			lengthof(types), types, values, nulls);
		if (SPI_processed == 0)
			ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
							errmsg("recommendation " INT64_FORMAT " is %s and can't become %s", id,
								   state, to)));
		SPI_finish();
	}
	perfopt_owner_leave(&scope);
}

PG_FUNCTION_INFO_V1(perfopt_accept_recommendation);
Datum
perfopt_accept_recommendation(PG_FUNCTION_ARGS)
{
	set_state(fcinfo, "proposed dismissed verified no_effect regressed inconclusive reverted",
			  "accepted");
	PG_RETURN_VOID();
}

PG_FUNCTION_INFO_V1(perfopt_dismiss_recommendation);
Datum
perfopt_dismiss_recommendation(PG_FUNCTION_ARGS)
{
	set_state(fcinfo, "proposed accepted verified no_effect regressed inconclusive reverted",
			  "dismissed");
	PG_RETURN_VOID();
}
