/*
 * stress.c
 *	  A stress test: the first worker tries loads until it knows where the target breaks.
 *
 * A trial sets a load, lets it settle, and measures.  It passes when all thresholds are kept, and, where
 * calls arrive at a rate, as many end as arrive and the line of those that wait does not grow.
 */
#include "postgres.h"

#include <math.h>

#include "utils/json.h"

#include "load/engine.h"
#include "load/stress.h"
#include "load/summary.h"
#include "math/usl.h"

/* A trial is extended up to so many times for the sake of a percentile's samples. */
#define MAX_EXTENSION 5

/* Calls beyond a percentile that make it worth its name. */
#define TAIL_CALLS 10

/* Of the calls that arrive, so many must end; less what chance takes of those that were drawn. */
#define ACHIEVED 0.98
#define CHANCE 2.0

/* Calls that wait at the end of a trial: as many as arrive within this, and a few, are no backlog. */
#define BACKLOG_S 0.2
#define BACKLOG_CALLS 5

/* The least load that is tried when the first is too much already. */
#define MIN_SHARE 64

static LoadLevel level;
static PerfoptTrial trial;
static bool trying = false;
static int64 cpu_before;

void
load_stress_init(LoadRun *run, const LoadConfig *config)
{
	bool whole = config->rate == 0;
	double least = whole ? 1 : config->start_level / MIN_SHARE;

	(void) perfopt_breaking_init(&load_run_stress(run->shared)->search, config->start_level, least,
								 config->max_level, PERFOPT_BREAKING_RATIO, whole);
}

static void
begin_trial(Engine *engine)
{
	const LoadConfig *config = engine->config;
	int64 length = config->duration_ns * trial.length;

	level = load_run_set_level(engine->run, trial.level, config->settle_ns, length * MAX_EXTENSION);
	cpu_before = load_summary_generator_ns(engine->shared);
	trying = true;
	load_run_ask_collector();
}

/* Calls that the thresholds' percentiles need. */
static uint64
calls_needed(const LoadConfig *config)
{
	uint64 needed = 1;

	for (int i = 0; i < config->nthresholds; i++)
	{
		double q = load_metric_quantile(config->thresholds[i].metric);

		if (q > 0 && q < 1)
			needed = Max(needed, (uint64) (TAIL_CALLS / (1 - q)));
	}
	return needed;
}

/* Calls that have arrived since the load was set, and not begun. */
static double
waiting_calls(const Engine *engine, double seconds)
{
	double arrived = trial.level * (seconds + engine->config->settle_ns / (double) LOAD_NS_PER_S);
	uint64 begun = 0;

	for (int i = 0; i < engine->shared->nworkers; i++)
		begun += load_run_worker(engine->shared, i)->begun;
	return arrived - (double) begun;
}

/* The first criterion that is not met, or none. */
static int
first_failure(const Engine *engine, const LoadRow *rows, double seconds, double generator)
{
	const LoadConfig *config = engine->config;
	const LoadRow *total = &rows[config->noperations];
	double arrived = trial.level * seconds;
	double slack = config->even ? 0 : CHANCE / sqrt(Max(arrived, 1));

	if (generator > LOAD_MAX_GENERATOR_CPU)
		return LOAD_CRITERION_GENERATOR;
	for (int i = 0; i < config->nthresholds; i++)
	{
		const LoadThreshold *threshold = &config->thresholds[i];
		int number = threshold->number < 0 ? config->noperations : threshold->number;

		if (load_threshold_broken(threshold, load_row_metric(threshold->metric, &rows[number])))
			return i;
	}
	if (config->rate == 0)
		return PERFOPT_BREAKING_NO_CRITERION;
	if (total->throughput * seconds + total->errors < (ACHIEVED - slack) * arrived)
		return LOAD_CRITERION_ACHIEVED;
	if (waiting_calls(engine, seconds) >
		trial.level * BACKLOG_S + BACKLOG_CALLS + CHANCE * sqrt(arrived))
		return LOAD_CRITERION_BACKLOG;
	return PERFOPT_BREAKING_NO_CRITERION;
}

static void
note_trial(LoadStress *stress, const LoadRow *total, int64 length_ns, int criterion)
{
	LoadTrial *to;

	if (stress->ntrials == LOAD_MAX_TRIALS)
		return;
	to = &stress->trials[stress->ntrials];
	to->load = trial.level;
	to->throughput = total->throughput;
	to->mean_ms = total->mean_ms;
	to->p95_ms = total->p95_ms;
	to->error_pct = total->calls > 0 ? 100.0 * total->errors / total->calls : 0;
	to->from_ns = level.measured_from;
	to->length_ns = length_ns;
	to->purpose = trial.purpose;
	to->criterion = criterion;
	pg_write_barrier();
	stress->ntrials++;
}

static void
end_trial(Engine *engine, int64 length_ns)
{
	LoadShared *shared = engine->shared;
	LoadStress *stress = load_run_stress(shared);
	int64 passed = engine->now - engine->clock - level.from;
	LoadRow *rows;
	int criterion;

	shared->result_from_ns = level.measured_from;
	shared->result_ns = length_ns;
	rows = load_summary_rows(shared);
	criterion = first_failure(engine, rows, length_ns / (double) LOAD_NS_PER_S,
							  (load_summary_generator_ns(shared) - cpu_before) / (double) passed);
	note_trial(stress, &rows[engine->config->noperations], length_ns, criterion);
	perfopt_breaking_report(&stress->search, criterion == PERFOPT_BREAKING_NO_CRITERION, criterion);
	pfree(rows);
	trying = false;
	load_run_ask_collector();
}

void
load_stress_tick(Engine *engine)
{
	LoadStress *stress = load_run_stress(engine->shared);
	int64 length = engine->config->duration_ns * trial.length;
	int64 measured = engine->now - engine->clock - level.measured_from;
	uint64 calls = 0;

	if (trying && measured < length)
		return;
	if (trying)
	{
		for (int i = 0; i < engine->shared->nworkers; i++)
			for (int j = 0; j < engine->config->noperations; j++)
				calls += load_run_result(engine->shared, i, j)->calls;
		if (calls < calls_needed(engine->config) && measured < length * MAX_EXTENSION)
			return;
		end_trial(engine, Min(measured, length * MAX_EXTENSION));
	}
	if (perfopt_breaking_next(&stress->search, &trial))
		begin_trial(engine);
	else
		(void) load_run_stop(engine->run, LOAD_STOP_DONE);
}

static const char *
criterion_name(const LoadConfig *config, int criterion)
{
	const LoadThreshold *threshold;

	switch (criterion)
	{
		case PERFOPT_BREAKING_NO_CRITERION:
			return NULL;
		case LOAD_CRITERION_ACHIEVED:
			return "fewer calls ended than arrived";
		case LOAD_CRITERION_BACKLOG:
			return "calls were piling up";
		case LOAD_CRITERION_GENERATOR:
			return "the load generator was the bottleneck";
	}
	threshold = &config->thresholds[criterion];
	return psprintf("%s%s%s %s %g", load_metric_name(threshold->metric),
					threshold->operation ? " of " : "",
					threshold->operation ? threshold->operation : "",
					threshold->metric == LOAD_METRIC_THROUGHPUT ? "<" : ">", threshold->limit);
}

static void
append_number(StringInfo out, const char *name, double value)
{
	if (isfinite(value))
		appendStringInfo(out, ", \"%s\": %.6g", name, value);
	else
		appendStringInfo(out, ", \"%s\": null", name);
}

static void
append_text(StringInfo out, const char *name, const char *text)
{
	appendStringInfo(out, ", \"%s\": ", name);
	if (text == NULL)
		appendStringInfoString(out, "null");
	else
		escape_json(out, text);
}

static void
append_trials(StringInfo out, const LoadStress *stress, const LoadConfig *config)
{
	static const char *const purposes[] = { "bound", "bisect", "confirm", "verify" };

	appendStringInfoString(out, ", \"trials\": [");
	for (int i = 0; i < stress->ntrials; i++)
	{
		const LoadTrial *one = &stress->trials[i];

		appendStringInfo(out, "%s{\"load\": %.6g, \"passed\": %s", i > 0 ? ", " : "", one->load,
						 one->criterion == PERFOPT_BREAKING_NO_CRITERION ? "true" : "false");
		append_text(out, "purpose", purposes[one->purpose]);
		append_text(out, "failed", criterion_name(config, one->criterion));
		append_number(out, "throughput", one->throughput);
		append_number(out, "p95_ms", one->p95_ms);
		append_number(out, "error_pct", one->error_pct);
		append_number(out, "from_s", one->from_ns / (double) LOAD_NS_PER_S);
		append_number(out, "length_s", one->length_ns / (double) LOAD_NS_PER_S);
		appendStringInfoChar(out, '}');
	}
	appendStringInfoChar(out, ']');
}

/* How throughput grows with what is done at a time: of users, or by Little's law of what a rate keeps busy. */
static void
append_scaling(StringInfo out, const LoadStress *stress, const LoadConfig *config)
{
	double concurrency[LOAD_MAX_TRIALS];
	double throughput[LOAD_MAX_TRIALS];
	double peak = 0;
	PerfoptUsl usl;
	int n = 0;

	for (int i = 0; i < stress->ntrials; i++)
	{
		const LoadTrial *one = &stress->trials[i];
		double busy = config->rate > 0 ? one->throughput * one->mean_ms / 1000 : one->load;

		peak = Max(peak, one->throughput);
		if (!(busy > 0) || !(one->throughput > 0) || one->criterion == LOAD_CRITERION_GENERATOR)
			continue;
		concurrency[n] = busy;
		throughput[n++] = one->throughput;
	}
	append_number(out, "peak_throughput", peak);
	if (!perfopt_usl_fit(concurrency, throughput, n, &usl))
	{
		appendStringInfoString(out, ", \"usl\": null");
		return;
	}
	appendStringInfo(out, ", \"usl\": {\"lambda\": %.6g", usl.lambda);
	append_number(out, "sigma", usl.sigma);
	append_number(out, "kappa", usl.kappa);
	append_number(out, "r2", usl.r2);
	append_number(out, "peak_concurrency", usl.peak_n);
	append_number(out, "peak_throughput", usl.peak_x);
	appendStringInfoChar(out, '}');
}

char *
load_stress_outcome(const LoadShared *shared, const LoadConfig *config)
{
	static const char *const states[] = {
		[PERFOPT_BREAKING_SEARCHING] = "not finished",
		[PERFOPT_BREAKING_FOUND] = "found",
		[PERFOPT_BREAKING_NO_LIMIT] = "no limit up to the maximum",
		[PERFOPT_BREAKING_START_FAILED] = "too much from the start",
		[PERFOPT_BREAKING_UNSTABLE] = "unstable",
	};
	const LoadStress *stress = load_run_stress(shared);
	StringInfoData out;

	initStringInfo(&out);
	appendStringInfo(&out, "{\"unit\": \"%s\"", config->rate > 0 ? "calls/s" : "users");
	append_text(&out, "state", states[stress->search.state]);
	append_number(&out, "passed", stress->search.low > 0 ? stress->search.low : NAN);
	append_number(&out, "failed", stress->search.high);
	append_number(&out, "verified", stress->search.verified > 0 ? stress->search.verified : NAN);
	append_text(&out, "criterion", criterion_name(config, stress->search.criterion));
	append_scaling(&out, stress, config);
	append_trials(&out, stress, config);
	appendStringInfoChar(&out, '}');
	return out.data;
}
