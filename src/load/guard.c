/*
 * guard.c
 *	  Thresholds with a window: looked at each second by the first worker, for all of them.
 */
#include "postgres.h"

#include <math.h>

#include "load/engine.h"
#include "load/guard.h"
#include "load/summary.h"

/* What had been counted of something at the end of a second. */
typedef struct Snapshot
{
	uint64 calls;
	uint64 errors;
	PerfoptHistogram *latency;
} Snapshot;

/* An operation, or all together, that some threshold with a window is about. */
typedef struct Watch
{
	int number; /* -1: all */
	int nseconds;
	Snapshot ring[LOAD_MAX_WINDOW_S + 1];
} Watch;

static Watch *watches = NULL;
static int nwatches = 0;

static Watch *
find_watch(int number)
{
	for (int i = 0; i < nwatches; i++)
		if (watches[i].number == number)
			return &watches[i];
	return NULL;
}

void
load_guard_init(const LoadConfig *config)
{
	size_t size = perfopt_histogram_size(PERFOPT_HISTOGRAM_COARSE, LOAD_MIN_EXP, LOAD_MAX_EXP);

	watches = palloc0(sizeof(Watch) * Max(1, config->nthresholds));
	nwatches = 0;
	for (int i = 0; i < config->nthresholds; i++)
	{
		const LoadThreshold *threshold = &config->thresholds[i];
		Watch *watch;

		if (threshold->window_s == 0 || find_watch(threshold->number) != NULL)
			continue;
		watch = &watches[nwatches++];
		watch->number = threshold->number;
		for (int j = 0; j < lengthof(watch->ring); j++)
			watch->ring[j].latency = palloc(size);
	}
}

static void
take_snapshot(const LoadShared *shared, const Watch *watch, Snapshot *to)
{
	perfopt_histogram_init(to->latency, PERFOPT_HISTOGRAM_COARSE, LOAD_MIN_EXP, LOAD_MAX_EXP);
	to->calls = to->errors = 0;
	for (int i = 0; i < shared->nworkers; i++)
	{
		const LoadWorker *worker = load_run_worker(shared, i);
		const LoadResult *result;

		if (watch->number < 0)
		{
			to->calls += worker->calls;
			to->errors += worker->errors;
			perfopt_histogram_merge(to->latency, &worker->latency);
			continue;
		}
		result = load_run_result(shared, i, watch->number);
		to->calls += result->calls;
		to->errors += result->errors;
		perfopt_histogram_merge(to->latency, &result->latency);
	}
}

/* A percentile of fewer calls than this would be their maximum. */
static uint64
calls_needed(LoadMetric metric)
{
	double q = load_metric_quantile(metric);

	return isnan(q) ? 1 : (uint64) rint(1 / (1 - q));
}

static void
look_at(Engine *engine, int number, const Watch *watch)
{
	const LoadThreshold *threshold = &engine->config->thresholds[number];
	LoadViolation *violation = &engine->shared->violations[number];
	int slots = lengthof(watch->ring);
	const Snapshot *now = &watch->ring[(watch->nseconds - 1) % slots];
	const Snapshot *before;
	PerfoptHistogram *recent;
	uint64 calls;
	double value;

	if (watch->nseconds <= threshold->window_s)
		return;
	before = &watch->ring[(watch->nseconds - 1 - threshold->window_s) % slots];
	recent = load_summary_since(now->latency, before->latency);
	calls = now->calls - before->calls;
	value = load_summary_metric(threshold->metric, calls, now->errors - before->errors,
								recent->count / (double) threshold->window_s, recent);
	if (threshold->metric <= LOAD_METRIC_MAX && recent->count < calls_needed(threshold->metric))
		value = NAN;
	pfree(recent);
	if (!load_threshold_broken(threshold, value))
		return;
	if (!violation->broken || load_threshold_worse(threshold, value, violation->worst))
		violation->worst = value;
	if (violation->times++ == 0)
		violation->first_ns = engine->now - engine->clock;
	violation->broken = true;
	if (threshold->abort)
		(void) load_run_stop(engine->run, LOAD_STOP_THRESHOLD);
}

/* Under full load only. */
void
load_guard_second(Engine *engine)
{
	if (engine->now < engine->measured_from || engine->now > engine->measured_until)
		return;
	for (int i = 0; i < nwatches; i++)
		take_snapshot(engine->shared, &watches[i],
					  &watches[i].ring[watches[i].nseconds++ % lengthof(watches[i].ring)]);
	for (int i = 0; i < engine->config->nthresholds; i++)
		if (engine->config->thresholds[i].window_s > 0)
			look_at(engine, i, find_watch(engine->config->thresholds[i].number));
}
