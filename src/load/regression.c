/*
 * regression.c
 *	  A run beside the runs of a baseline, and the same test run again where it looks suspicious.
 */
#include "postgres.h"

#include <math.h>

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/snapmgr.h"

#include "compat.h"
#include "load/compare.h"
#include "load/horizon.h"
#include "load/run.h"

#define LEAST_RUNS 3
#define ENOUGH_RUNS 5
#define MOST_RERUNS 20

/* A notification has at most 8,000 bytes. */
#define MOST_TOLD 20

#define SLEEP_MS 1000
#define CANCEL_WAIT_US (2 * USECS_PER_SEC)

typedef struct Check
{
	FunctionCallInfo fcinfo;
	char *baseline;
	bool force;
	MemoryContext context; /* outlives a look through SPI */
	int nformer;
	int64 *former;
	int nnew;
	int64 *new_runs; /* the one that is checked, and those that ran it again */
} Check;

PG_FUNCTION_INFO_V1(perfopt_check_regression);

/* The snapshot of a statement that has waited for tests is older than their rows. */
static void
begin_look(void)
{
	SPI_connect();
	PushActiveSnapshot(GetLatestSnapshot());
}

static void
end_look(void)
{
	PopActiveSnapshot();
	SPI_finish();
}

/* The run itself may have become part of its baseline since. */
static void
read_baseline(Check *check)
{
	Oid types[] = { TEXTOID, INT8OID };
	Datum values[] = { CStringGetTextDatum(check->baseline), Int64GetDatum(check->new_runs[0]) };
	int64 all;
	bool isnull;

	SPI_execute_with_args("SELECT count(*) FROM perfopt.baseline WHERE name = $1", 1, types, values,
						  NULL, true, 1);
	all = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	if (all == 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("baseline \"%s\" does not exist", check->baseline),
				 errhint("Make it of finished tests: SELECT perfopt.set_baseline(run_id, %s);",
						 quote_literal_cstr(check->baseline))));
	SPI_execute_with_args(
		"SELECT run_id FROM perfopt.baseline WHERE name = $1 AND run_id <> $2 ORDER BY run_id", 2,
		types, values, NULL, true, 0);
	check->nformer = (int) SPI_processed;
	if (check->nformer < LEAST_RUNS)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("baseline \"%s\" has %d runs to compare load test " INT64_FORMAT
						" with, but it takes %d",
						check->baseline, check->nformer, check->new_runs[0], LEAST_RUNS),
				 errhint("How much runs of the same differ from each other shows in several only; "
						 "%d are better. Add some with perfopt.set_baseline().",
						 ENOUGH_RUNS)));
	check->former = MemoryContextAlloc(check->context, sizeof(int64) * check->nformer);
	for (int i = 0; i < check->nformer; i++)
		check->former[i] =
			DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1, &isnull));
}

/* A new run must be worth comparing, and like all the others. */
static void
require_comparable(const Check *check, int64 run_id)
{
	load_compare_require(run_id, false, check->force);
	for (int i = 0; !check->force && i < check->nformer; i++)
		load_compare_require_alike(check->former[i], run_id);
}

/* What runs say of an operation by one metric; runs that say nothing are left out. */
typedef struct Values
{
	int n;
	double *values;
	PerfoptShare *errors;
	double mean; /* as people read it; NaN of none */
} Values;

static Values
gather(const LoadOutcomes *outcomes, const int64 *runs, int n, const char *operation,
	   LoadCompared metric)
{
	Values of = { 0, palloc(sizeof(double) * n), palloc(sizeof(PerfoptShare) * n), NAN };
	double logs = 0;
	double errors = 0;
	double calls = 0;

	for (int i = 0; i < n; i++)
	{
		const LoadOutcome *outcome = load_compare_find(outcomes, runs[i], operation);

		if (outcome == NULL || isnan(outcome->values[metric]))
			continue;
		of.values[of.n] = load_compare_value(outcome, metric);
		of.errors[of.n] = (PerfoptShare){ outcome->errors, outcome->calls };
		logs += log(of.values[of.n++]);
		errors += outcome->errors;
		calls += outcome->calls;
	}
	if (of.n > 0)
		of.mean = metric == LOAD_COMPARED_ERRORS ? 100 * errors / calls : exp(logs / of.n);
	return of;
}

static LoadComparison *
compare(const Check *check)
{
	LoadComparison *comparison = load_comparison_create(check->nnew > 1 ? PERFOPT_EVIDENCE_RERUNS
																		: PERFOPT_EVIDENCE_ONE_RUN);
	LoadOutcomes former = load_compare_read(check->former, check->nformer);
	LoadOutcomes latest = load_compare_read(check->new_runs, check->nnew);

	for (int i = 0; i < latest.noperations; i++)
		for (LoadCompared metric = 0; metric < LOAD_NCOMPARED; metric++)
		{
			const char *operation = latest.operations[i];
			Values a = gather(&former, check->former, check->nformer, operation, metric);
			Values b = gather(&latest, check->new_runs, check->nnew, operation, metric);
			PerfoptChange change;

			if (a.n < LEAST_RUNS || b.n == 0)
				change = perfopt_no_change_known();
			else if (metric == LOAD_COMPARED_ERRORS)
				change = perfopt_share_change_of_runs(a.errors, a.n, b.errors, b.n);
			else
				change = perfopt_change_of_runs(a.values, a.n, b.values, b.n);
			load_comparison_add(comparison, operation, metric, a.mean, b.mean, change);
		}
	load_comparison_judge(comparison);
	return comparison;
}

static int
count_verdicts(const LoadComparison *comparison, PerfoptVerdict verdict)
{
	int n = 0;

	for (int i = 0; i < comparison->nrows; i++)
		n += comparison->rows[i].verdict == verdict;
	return n;
}

/*
 * With a seed of its own, or all of them would choose the same rows and be more alike than runs are.
 * Through SQL, so that it takes the right to start tests.
 */
static int64
start_again(const Check *check)
{
	Oid types[] = { INT8OID };
	Datum values[] = { Int64GetDatum(check->new_runs[0]) };
	bool isnull;
	int64 run_id;

	begin_look();
	SPI_execute_with_args("SELECT perfopt.start_test(config #- '{options,seed}')"
						  " FROM perfopt.test_run WHERE run_id = $1",
						  1, types, values, NULL, true, 1);
	if (SPI_processed != 1)
		elog(ERROR, "could not run load test " INT64_FORMAT " again", check->new_runs[0]);
	run_id = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	end_look();
	return run_id;
}

/* Whoever stops waiting does not want the test any more. */
static void
cancel_with_caller(int code, Datum arg)
{
	LoadRun *run = (LoadRun *) DatumGetPointer(arg);
	TimestampTz give_up = GetCurrentTimestamp() + CANCEL_WAIT_US;

	load_run_stop(run, LOAD_STOP_CANCELLED);
	while (!load_run_over(run) && GetCurrentTimestamp() < give_up)
		pg_usleep(10000L);
}

/*
 * Former runs were perhaps not watched by a snapshot; this one must not be slowed down by ours.  The
 * rows are read with a new one afterwards.
 */
static void
wait_for(FunctionCallInfo fcinfo, int64 run_id)
{
	LoadRun run;

	if (!load_run_open(&run, run_id))
		return;
	load_release_horizon(fcinfo);
	PG_ENSURE_ERROR_CLEANUP(cancel_with_caller, PointerGetDatum(&run));
	{
		while (!load_run_over(&run))
			load_run_sleep(&run, SLEEP_MS);
	}
	PG_END_ENSURE_ERROR_CLEANUP(cancel_with_caller, PointerGetDatum(&run));
	load_run_close(&run);
}

static void
run_again(Check *check, int reruns)
{
	for (int i = 1; i <= reruns; i++)
	{
		int64 run_id = start_again(check);

		ereport(NOTICE,
				(errmsg("load test " INT64_FORMAT " runs test " INT64_FORMAT " again (%d of %d)",
						run_id, check->new_runs[0], i, reruns)));
		wait_for(check->fcinfo, run_id);
		begin_look();
		require_comparable(check, run_id);
		end_look();
		check->new_runs[check->nnew++] = run_id;
	}
}

/* [{"operation": "total", "metric": "p95_ms", "change_pct": 23}, ...], the worst first. */
static char *
regressions_json(const LoadComparison *comparison)
{
	StringInfoData out;
	int told = 0;

	initStringInfo(&out);
	appendStringInfoChar(&out, '[');
	for (int i = 0; i < comparison->nrows && told < MOST_TOLD; i++)
	{
		const struct LoadComparisonRow *row = &comparison->rows[i];

		if (row->verdict != PERFOPT_REGRESSION)
			continue;
		appendStringInfoString(&out, told++ > 0 ? ", {\"operation\": " : "{\"operation\": ");
		escape_json(&out, row->operation);
		appendStringInfo(
			&out, ", \"metric\": \"%s\", \"change_pct\": %g}", load_compared[row->metric].name,
			load_comparison_rounded(load_comparison_pct(row->metric, row->change.estimate), 3));
	}
	appendStringInfoChar(&out, ']');
	return out.data;
}

static void
tell(const Check *check, const LoadComparison *comparison)
{
	Oid types[] = { INT8OID, TEXTOID, INT4OID, TEXTOID };
	Datum values[] = { Int64GetDatum(check->new_runs[0]), CStringGetTextDatum(check->baseline),
					   Int32GetDatum(count_verdicts(comparison, PERFOPT_REGRESSION)),
					   CStringGetTextDatum(regressions_json(comparison)) };

	SPI_execute_with_args("SELECT perfopt.tell_regression($1, $2, $3, $4::pg_catalog.jsonb)",
						  lengthof(types), types, values, NULL, false, 0);
}

static Check
check_from_arguments(FunctionCallInfo fcinfo, int *reruns)
{
	Check check = { .fcinfo = fcinfo, .context = CurrentMemoryContext };

	check.baseline = text_to_cstring(PG_GETARG_TEXT_PP(1));
	*reruns = PG_GETARG_INT32(2);
	check.force = PG_GETARG_BOOL(3);
	if (*reruns < 0 || *reruns > MOST_RERUNS)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("number of further tests is out of range: %d", *reruns),
						errhint("\"rerun\" may be 0, which only looks at the test that there is, "
								"to %d.",
								MOST_RERUNS)));
	check.new_runs = palloc(sizeof(int64) * (1 + *reruns));
	check.new_runs[check.nnew++] = PG_GETARG_INT64(0);
	return check;
}

Datum
perfopt_check_regression(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	LoadComparison *comparison;
	int reruns;
	Check check = check_from_arguments(fcinfo, &reruns);

	InitMaterializedSRF(fcinfo, 0);
	begin_look();
	load_compare_require(check.new_runs[0], false, check.force);
	read_baseline(&check);
	require_comparable(&check, check.new_runs[0]);
	comparison = compare(&check);
	if (check.nformer < ENOUGH_RUNS)
		ereport(NOTICE,
				(errmsg("baseline \"%s\" has %d runs to compare with; with %d or more, smaller "
						"regressions can be told from noise",
						check.baseline, check.nformer, ENOUGH_RUNS)));
	if (reruns > 0 && count_verdicts(comparison, PERFOPT_SUSPECT) > 0)
	{
		end_look();
		run_again(&check, reruns);
		begin_look();
		comparison = compare(&check);
	}
	if (count_verdicts(comparison, PERFOPT_REGRESSION) > 0)
		tell(&check, comparison);
	load_comparison_put(comparison, rsinfo);
	end_look();
	return (Datum) 0;
}
