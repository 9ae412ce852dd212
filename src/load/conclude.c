/*
 * conclude.c
 *	  The end of a load test: results by operation, where they were steady, and the verdict.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/timestamp.h"

#include "load/histogram_type.h"
#include "load/record.h"
#include "load/resources.h"
#include "load/stress.h"
#include "load/summary.h"
#include "math/steady.h"

#define END_TRIES 20
#define END_TRY_US 100000L

/* By then the cycle that was asked for at a trial's end is over. */
#define SATURATION_SLACK_NS LOAD_NS_PER_S

/* A generator that is later than this may have been slower than the target; of few times that is chance. */
#define MAX_LAG_OF_OBJECTIVE 0.1
#define LAG_MIN_TIMES 100

typedef struct Conclusion
{
	LoadRun *run;
	const LoadConfig *config;
	LoadState state;
	LoadRow *rows; /* one an operation and one of all */
	PerfoptHistogram **latencies;
	LoadResources *resources;
	const char *steady; /* NULL where it was not looked for */
	TimestampTz from;   /* what the rows cover; 0 when the clock never started */
	TimestampTz until;
	LoadVerdict verdict;
	char *reason;     /* of an invalid test */
	char *violations; /* JSON */
	char *outcome;    /* JSON, of kinds that find something out; NULL */
	double breaking_point;
} Conclusion;

static TimestampTz
time_at(const LoadShared *shared, int64 ns)
{
	TimestampTz clock =
		(TimestampTz) pg_atomic_read_u64(&unconstify(LoadShared *, shared)->clock_ts);

	return clock == 0 ? 0 : clock + ns / LOAD_NS_PER_US;
}

/* {"40001": {"count": 3, "message": "..."}} */
static char *
errors_json(const LoadResult *result)
{
	StringInfoData out;
	const char *separator = "";

	initStringInfo(&out);
	appendStringInfoChar(&out, '{');
	for (int i = 0; i < result->nkinds; i++)
	{
		appendStringInfoString(&out, separator);
		escape_json(&out, result->kinds[i].sqlstate);
		appendStringInfo(&out,
						 ": {\"count\": " UINT64_FORMAT ", \"message\": ", result->kinds[i].count);
		escape_json(&out, result->kinds[i].message);
		appendStringInfoChar(&out, '}');
		separator = ", ";
	}
	if (result->other_errors > 0)
		appendStringInfo(&out, "%s\"other\": {\"count\": " UINT64_FORMAT "}", separator,
						 result->other_errors);
	appendStringInfoChar(&out, '}');
	return out.data;
}

static double
float_at(int row, int column)
{
	bool isnull;
	Datum value = SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column, &isnull);

	return isnull ? NAN : DatumGetFloat8(value);
}

/* Where warm-up ended, from the run's seconds under full load; the seconds to leave out. */
static int
find_steady_state(Conclusion *conclusion)
{
	Oid types[] = { INT8OID, TIMESTAMPTZOID, TIMESTAMPTZOID };
	Datum values[] = { Int64GetDatum(conclusion->run->shared->run_id),
					   TimestampTzGetDatum(conclusion->from),
					   TimestampTzGetDatum(conclusion->until) };
	PerfoptSteady steady;
	double *throughput;
	double *p95;
	int n;

	/* A second in which nothing ended has a row as well. */
	SPI_execute_with_args("SELECT pg_catalog.sum(calls - errors)::pg_catalog.float8,"
						  " perfopt.quantile(perfopt.merge(latency), 0.95)"
						  " FROM perfopt.test_interval WHERE run_id = $1 AND ts >= $2 AND ts < $3"
						  " GROUP BY ts ORDER BY ts",
						  lengthof(types), types, values, NULL, false, 0);
	n = (int) SPI_processed;
	throughput = palloc(sizeof(double) * Max(1, n));
	p95 = palloc(sizeof(double) * Max(1, n));
	for (int i = 0; i < n; i++)
	{
		throughput[i] = float_at(i, 1);
		p95[i] = float_at(i, 2);
	}
	SPI_freetuptable(SPI_tuptable);

	steady = perfopt_steady(throughput, p95, n);
	conclusion->steady = steady.verdict == PERFOPT_STEADY             ? "steady"
						 : steady.verdict == PERFOPT_STEADY_TOO_SHORT ? "too short to tell"
																	  : "no steady state";
	return steady.verdict == PERFOPT_STEADY ? steady.from : 0;
}

/* What an operation did from then on, from its seconds; of all operations where the name is NULL. */
static LoadResult *
result_of_seconds(const Conclusion *conclusion, const char *operation)
{
	Oid types[] = { INT8OID, TIMESTAMPTZOID, TIMESTAMPTZOID, TEXTOID };
	Datum values[] = { Int64GetDatum(conclusion->run->shared->run_id),
					   TimestampTzGetDatum(conclusion->from),
					   TimestampTzGetDatum(conclusion->until),
					   operation ? CStringGetTextDatum(operation) : (Datum) 0 };
	LoadResult *result = load_summary_empty();
	bool isnull;
	HeapTuple tuple;
	Datum merged;

	SPI_execute_with_args("SELECT pg_catalog.sum(calls)::pg_catalog.int8,"
						  " pg_catalog.sum(errors)::pg_catalog.int8,"
						  " pg_catalog.sum(retries)::pg_catalog.int8, perfopt.merge(latency)"
						  " FROM perfopt.test_interval WHERE run_id = $1 AND ts >= $2 AND ts < $3"
						  " AND ($4 IS NULL OR operation = $4)",
						  lengthof(types), types, values, operation ? NULL : "   n", false, 1);
	tuple = SPI_tuptable->vals[0];
	merged = SPI_getbinval(tuple, SPI_tuptable->tupdesc, 4, &isnull);
	if (!isnull && perfopt_histogram_add_datum(&result->latency, merged))
	{
		result->calls =
			(uint64) DatumGetInt64(SPI_getbinval(tuple, SPI_tuptable->tupdesc, 1, &isnull));
		result->errors =
			(uint64) DatumGetInt64(SPI_getbinval(tuple, SPI_tuptable->tupdesc, 2, &isnull));
		result->retries =
			(uint64) DatumGetInt64(SPI_getbinval(tuple, SPI_tuptable->tupdesc, 3, &isnull));
		result->completed = result->calls - result->errors;
	}
	SPI_freetuptable(SPI_tuptable);
	return result;
}

/* Results without the warm-up that was found, which the counters in shared memory still have in them. */
static void
leave_out(Conclusion *conclusion, int seconds)
{
	int n = conclusion->config->noperations;
	double rest_s;

	conclusion->from += seconds * USECS_PER_SEC;
	rest_s = (conclusion->until - conclusion->from) / (double) USECS_PER_SEC;
	for (int i = 0; i <= n; i++)
	{
		LoadResult *result =
			result_of_seconds(conclusion, i < n ? conclusion->config->operations[i].name : NULL);
		double service_p95_ms = conclusion->rows[i].service_p95_ms;

		conclusion->rows[i] = load_summary_row(result, NULL, rest_s);
		conclusion->rows[i].service_p95_ms = service_p95_ms;
		if (i < n)
			conclusion->latencies[i] = &result->latency;
	}
}

static void
gather_results(Conclusion *conclusion)
{
	const LoadShared *shared = conclusion->run->shared;
	const LoadConfig *config = conclusion->config;
	int64 covered = (int64) (load_summary_seconds(shared) * LOAD_NS_PER_S);
	int64 from;
	int skip;

	conclusion->rows = load_summary_rows(shared);
	conclusion->latencies = palloc(sizeof(PerfoptHistogram *) * config->noperations);
	for (int i = 0; i < config->noperations; i++)
		conclusion->latencies[i] = &load_summary_result(shared, i)->latency;
	from = shared->result_ns > 0 ? shared->result_from_ns : shared->window_start_ns;
	conclusion->from = time_at(shared, from);
	conclusion->until = time_at(shared, from + covered);
	if (conclusion->from == 0 || covered == 0 ||
		(config->kind != LOAD_KIND_LOAD && config->kind != LOAD_KIND_ENDURANCE))
		return;
	skip = find_steady_state(conclusion);
	if (skip > 0)
		leave_out(conclusion, skip);
}

/* The tightest of the thresholds of latency; NaN when there is none. */
static double
latency_objective(const LoadConfig *config)
{
	double objective = NAN;

	for (int i = 0; i < config->nthresholds; i++)
		if (config->thresholds[i].metric <= LOAD_METRIC_MAX &&
			!(config->thresholds[i].limit >= objective))
			objective = config->thresholds[i].limit;
	return objective;
}

/* Why what was measured may be the generator's own doing; NULL when it is not. */
static char *
generator_problem(const Conclusion *conclusion)
{
	const LoadShared *shared = conclusion->run->shared;
	double objective = latency_objective(conclusion->config);
	const PerfoptHistogram *lags = load_summary_lag(shared);
	double lag = perfopt_histogram_quantile(lags, 0.99);
	double cpu = load_summary_generator_cpu(shared);

	if (cpu > LOAD_MAX_GENERATOR_CPU)
		return psprintf("a load worker used %.0f %% of a processor, so the load generator may have "
						"been the bottleneck: give it more \"workers\"",
						100 * cpu);
	if (lags->count >= LAG_MIN_TIMES && lag > MAX_LAG_OF_OBJECTIVE * objective)
		return psprintf("the load generator was late by %.3g ms (p99), more than a tenth of the "
						"objective of %g ms: lower the load, or raise \"workers\"",
						lag, objective);
	return NULL;
}

static void
append_violation(StringInfo out, const LoadThreshold *threshold, double value, int64 at_ns,
				 uint64 times)
{
	appendStringInfoString(out, out->len > 1 ? ", {" : "{");
	if (threshold->operation != NULL)
	{
		appendStringInfoString(out, "\"operation\": ");
		escape_json(out, threshold->operation);
		appendStringInfoString(out, ", ");
	}
	appendStringInfo(out, "\"metric\": \"%s\", \"limit\": %.15g, \"value\": %.6g",
					 load_metric_name(threshold->metric), threshold->limit, value);
	if (threshold->window_s > 0)
		appendStringInfo(out, ", \"window_s\": %d, \"first_s\": %.0f, \"windows\": " UINT64_FORMAT,
						 threshold->window_s, at_ns / (double) LOAD_NS_PER_S, times);
	appendStringInfoString(out, threshold->abort ? ", \"aborted\": true}" : "}");
}

/* Thresholds of a stress test are what it searches by, not what it is judged by. */
static void
judge(Conclusion *conclusion)
{
	const LoadConfig *config = conclusion->config;
	const LoadShared *shared = conclusion->run->shared;
	StringInfoData violations;
	bool judged = config->kind != LOAD_KIND_STRESS && config->nthresholds > 0;

	initStringInfo(&violations);
	appendStringInfoChar(&violations, '[');
	for (int i = 0; judged && i < config->nthresholds; i++)
	{
		const LoadThreshold *threshold = &config->thresholds[i];
		const LoadViolation *seen = &shared->violations[i];
		int number = threshold->number < 0 ? config->noperations : threshold->number;
		double value = load_row_metric(threshold->metric, &conclusion->rows[number]);

		if (threshold->window_s > 0 && seen->broken)
			append_violation(&violations, threshold, seen->worst, seen->first_ns, seen->times);
		else if (threshold->window_s == 0 && load_threshold_broken(threshold, value))
			append_violation(&violations, threshold, value, -1, 0);
	}
	appendStringInfoChar(&violations, ']');
	conclusion->violations = violations.data;

	conclusion->reason = conclusion->from == 0 ? NULL : generator_problem(conclusion);
	if (conclusion->state != LOAD_FINISHED)
		conclusion->verdict = LOAD_NO_VERDICT;
	else if (conclusion->reason != NULL)
		conclusion->verdict = LOAD_INVALID;
	else if (!judged)
		conclusion->verdict = LOAD_NO_VERDICT;
	else
		conclusion->verdict = violations.len > 2 ? LOAD_NOT_PASSED : LOAD_PASSED;
}

const char *
load_verdict_name(LoadVerdict verdict)
{
	static const char *const names[] = { NULL, "passed", "failed", "invalid" };

	return names[verdict];
}

/* For whoever waits, and cannot look into the tables any more. */
static void
show_conclusion(const Conclusion *conclusion)
{
	LoadShared *shared = conclusion->run->shared;

	memcpy(load_run_rows(shared), conclusion->rows,
		   sizeof(LoadRow) * (conclusion->config->noperations + 1));
	shared->verdict = conclusion->verdict;
	strlcpy(shared->verdict_reason,
			conclusion->reason                       ? conclusion->reason
			: conclusion->verdict == LOAD_NOT_PASSED ? conclusion->violations
													 : "",
			sizeof(shared->verdict_reason));
}

static Datum
text_or_null(const char *text, char *null)
{
	*null = text == NULL ? 'n' : ' ';
	return text == NULL ? (Datum) 0 : CStringGetTextDatum(text);
}

static void
write_operation(const Conclusion *conclusion, int number)
{
	const LoadShared *shared = conclusion->run->shared;
	const LoadRow *row = &conclusion->rows[number];
	double numbers[] = { row->throughput,  row->mean_ms,    row->p50_ms,      row->p90_ms,
						 row->p95_ms,      row->p99_ms,     row->max_ms,      row->p95_low_ms,
						 row->p95_high_ms, row->p99_low_ms, row->p99_high_ms, row->service_p95_ms };
	Oid types[9 + lengthof(numbers)] = { INT8OID, TEXTOID, INT8OID, INT8OID, INT8OID, TEXTOID };
	Datum values[9 + lengthof(numbers)];
	char nulls[9 + lengthof(numbers) + 1];

	memset(nulls, ' ', sizeof(nulls));
	nulls[sizeof(nulls) - 1] = '\0';
	values[0] = Int64GetDatum(shared->run_id);
	values[1] = CStringGetTextDatum(conclusion->config->operations[number].name);
	values[2] = Int64GetDatum((int64) row->calls);
	values[3] = Int64GetDatum((int64) row->errors);
	values[4] = Int64GetDatum((int64) row->retries);
	values[5] = CStringGetTextDatum(errors_json(load_summary_result(shared, number)));
	types[6] = types[7] = load_record_histogram_type();
	values[6] = perfopt_histogram_datum(conclusion->latencies[number]);
	values[7] = perfopt_histogram_datum(load_summary_service(shared, number));
	for (int i = 0; i < lengthof(numbers); i++)
	{
		types[8 + i] = FLOAT8OID;
		values[8 + i] = Float8GetDatum(numbers[i]);
		nulls[8 + i] = isnan(numbers[i]) ? 'n' : ' ';
	}
	types[8 + lengthof(numbers)] = TEXTOID;
	values[8 + lengthof(numbers)] =
		text_or_null(load_resources_json(&load_run_resources(shared)[number],
										 &conclusion->resources[number]),
					 &nulls[8 + lengthof(numbers)]);
	load_record_execute(
		"INSERT INTO perfopt.test_operation (run_id, operation, calls, errors, retries, sqlstates,"
		" latency, service, throughput, mean_ms, p50_ms, p90_ms, p95_ms, p99_ms, max_ms,"
		" p95_low_ms, p95_high_ms, p99_low_ms, p99_high_ms, service_p95_ms, resources)"
		" VALUES ($1, $2, $3, $4, $5, $6::pg_catalog.jsonb, $7, $8, $9, $10, $11, $12, $13, $14,"
		" $15, $16, $17, $18, $19, $20, $21::pg_catalog.jsonb)",
		lengthof(types), types, values, nulls);
}

static Datum
time_or_null(TimestampTz time, char *null)
{
	*null = time == 0 ? 'n' : ' ';
	return TimestampTzGetDatum(time);
}

static Datum
number_or_null(double number, char *null)
{
	*null = isnan(number) ? 'n' : ' ';
	return Float8GetDatum(number);
}

static void
write_run(const Conclusion *conclusion)
{
	const LoadShared *shared = conclusion->run->shared;
	const char *lost_message;
	uint64 lost = load_summary_lost(shared, &lost_message);
	Oid types[] = { INT8OID,        TEXTOID,        TEXTOID,   INT8OID, TEXTOID,  TIMESTAMPTZOID,
					TIMESTAMPTZOID, TIMESTAMPTZOID, TEXTOID,   TEXTOID, TEXTOID,  TEXTOID,
					INT8OID,        FLOAT8OID,      FLOAT8OID, TEXTOID, FLOAT8OID };
	char nulls[lengthof(types) + 1];
	Datum values[lengthof(types)];

	memset(nulls, ' ', sizeof(nulls));
	nulls[lengthof(types)] = '\0';

	values[0] = Int64GetDatum(shared->run_id);
	values[1] = CStringGetTextDatum(load_state_name(conclusion->state));
	values[2] = text_or_null(load_run_problem(shared, NULL), &nulls[2]);
	values[3] = Int64GetDatum((int64) lost);
	values[4] = text_or_null(lost_message, &nulls[4]);
	values[5] = time_or_null(time_at(shared, 0), &nulls[5]);
	values[6] = time_or_null(conclusion->from, &nulls[6]);
	values[7] = time_or_null(conclusion->until, &nulls[7]);
	values[8] = text_or_null(conclusion->steady, &nulls[8]);
	values[9] = text_or_null(load_verdict_name(conclusion->verdict), &nulls[9]);
	values[10] = text_or_null(conclusion->reason, &nulls[10]);
	values[11] = CStringGetTextDatum(conclusion->violations);
	values[12] = Int64GetDatum((int64) load_summary_unserved(shared));
	values[13] =
		number_or_null(perfopt_histogram_quantile(load_summary_lag(shared), 0.99), &nulls[13]);
	values[14] = number_or_null(100 * load_summary_generator_cpu(shared), &nulls[14]);
	values[15] = text_or_null(conclusion->outcome, &nulls[15]);
	values[16] = number_or_null(conclusion->breaking_point, &nulls[16]);
	load_record_execute(
		"UPDATE perfopt.test_run SET state = $2, finished_at = pg_catalog.clock_timestamp(),"
		" problem = $3, connections_lost = $4, lost_message = $5, clock_at = $6,"
		" measured_from = $7, measured_until = $8, steady = $9, verdict = $10,"
		" invalid_reason = $11, violations = $12::pg_catalog.jsonb, unserved = $13,"
		" lag_p99_ms = $14, generator_cpu_pct = $15, outcome = $16::pg_catalog.jsonb,"
		" breaking_point = $17 WHERE run_id = $1",
		lengthof(types), types, values, nulls);
}

/* What a stress test found; that the generator was the limit makes it no statement about the target. */
static void
conclude_stress(Conclusion *conclusion)
{
	const LoadShared *shared = conclusion->run->shared;
	const PerfoptBreaking *search = &load_run_stress(shared)->search;

	conclusion->outcome = load_stress_outcome(shared, conclusion->config);
	if (search->verified > 0)
		conclusion->breaking_point = search->verified;
	if (conclusion->state == LOAD_FINISHED && search->criterion == LOAD_CRITERION_GENERATOR)
	{
		conclusion->verdict = LOAD_INVALID;
		conclusion->reason = "the load generator was the bottleneck before the target was: give it "
							 "more \"workers\"";
	}
}

/* The trial that failed at the least load. */
static const LoadTrial *
first_failed(const LoadStress *stress)
{
	const LoadTrial *least = NULL;

	for (int i = 0; i < stress->ntrials; i++)
		if (stress->trials[i].criterion != PERFOPT_BREAKING_NO_CRITERION &&
			(least == NULL || stress->trials[i].load < least->load))
			least = &stress->trials[i];
	return least;
}

/* What this server was short of in that trial, for which the collector was asked at both ends. */
static void
write_saturation(const Conclusion *conclusion)
{
	const LoadShared *shared = conclusion->run->shared;
	const LoadTrial *failed = first_failed(load_run_stress(shared));
	Oid types[] = { INT8OID, TIMESTAMPTZOID, TIMESTAMPTZOID };
	Datum values[3];

	if (failed == NULL)
		return;
	values[0] = Int64GetDatum(shared->run_id);
	values[1] = TimestampTzGetDatum(time_at(shared, failed->from_ns));
	values[2] = TimestampTzGetDatum(
		time_at(shared, failed->from_ns + failed->length_ns + SATURATION_SLACK_NS));
	load_record_execute("UPDATE perfopt.test_run SET outcome = outcome ||"
						" pg_catalog.jsonb_build_object('saturated',"
						" perfopt.saturated_resource($2, $3)) WHERE run_id = $1",
						lengthof(types), types, values, NULL);
}

/* What can be told from the seconds and samples that are stored. */
static void
write_outcome(const Conclusion *conclusion)
{
	Oid types[] = { INT8OID };
	Datum values[] = { Int64GetDatum(conclusion->run->shared->run_id) };

	if (conclusion->from == 0)
		return;
	if (conclusion->config->kind == LOAD_KIND_STRESS && conclusion->config->variants[0].local)
		write_saturation(conclusion);
	else if (conclusion->config->kind == LOAD_KIND_SPIKE)
		load_record_execute("UPDATE perfopt.test_run SET outcome = perfopt.spike_outcome(run_id)"
							" WHERE run_id = $1",
							lengthof(types), types, values, NULL);
	else if (conclusion->config->kind == LOAD_KIND_ENDURANCE)
		load_record_execute(
			"UPDATE perfopt.test_run SET outcome = (SELECT pg_catalog.jsonb_object_agg(d.what,"
			" pg_catalog.to_jsonb(d) - 'what') FROM perfopt.endurance_drift($1) d)"
			" WHERE run_id = $1",
			lengthof(types), types, values, NULL);
}

static void
write_end(const void *arg)
{
	Conclusion *conclusion = unconstify(Conclusion *, (const Conclusion *) arg);

	gather_results(conclusion);
	conclusion->resources = palloc0(sizeof(LoadResources) * conclusion->config->noperations);
	if (conclusion->run->shared->resources_known)
		load_resources_read(conclusion->config, conclusion->resources);
	for (int i = 0; i < conclusion->config->noperations; i++)
		conclusion->resources[i].calls = load_summary_result(conclusion->run->shared, i)->all;
	judge(conclusion);
	if (conclusion->config->kind == LOAD_KIND_STRESS)
		conclude_stress(conclusion);
	write_run(conclusion);
	for (int i = 0; i < conclusion->config->noperations; i++)
		write_operation(conclusion, i);
	write_outcome(conclusion);
	show_conclusion(conclusion);
}

bool
load_conclude(LoadRun *run, const LoadConfig *config, LoadState state)
{
	Conclusion conclusion = { .run = run, .config = config, .state = state, .breaking_point = NAN };
	const char *problem = NULL;
	bool gone = false;

	memcpy(load_run_rows(run->shared), load_summary_rows(run->shared),
		   sizeof(LoadRow) * (config->noperations + 1));
	if (load_record_dropped() > 0)
		ereport(LOG, (errmsg("perfopt load test " INT64_FORMAT " left out " UINT64_FORMAT
							 " rows of test_interval",
							 run->shared->run_id, load_record_dropped())));
	for (int i = 0; i < END_TRIES; i++)
	{
		problem = load_record_transaction(write_end, &conclusion, &gone);
		if (problem == NULL)
			return true;
		if (gone)
			break;
		pg_usleep(END_TRY_US);
	}
	ereport(LOG, (errmsg("perfopt load test " INT64_FORMAT " could not record its end: %s",
						 run->shared->run_id, problem)));
	return false;
}
