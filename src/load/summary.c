/*
 * summary.c
 *	  What a load test measured, put together from the blocks of its workers.
 */
#include "postgres.h"

#include "load/engine.h"
#include "load/summary.h"

/* When all workers were through; 0 while one is not. */
static int64
ended(const LoadShared *shared)
{
	int64 last = 0;

	for (int i = 0; i < shared->nworkers; i++)
	{
		int64 mine = load_run_worker(shared, i)->ended;

		if (mine == 0)
			return 0;
		last = Max(last, mine);
	}
	return last;
}

static int64
clock_start(const LoadShared *shared)
{
	return (int64) pg_atomic_read_u64(&unconstify(LoadShared *, shared)->clock);
}

static int64
elapsed(const LoadShared *shared)
{
	int64 start = clock_start(shared);
	int64 end = ended(shared);

	if (start == 0)
		return 0;
	return Max(0, (end > 0 ? end : load_clock()) - start);
}

/* Seconds of full load that have passed. */
static double
window_s(const LoadShared *shared)
{
	int64 passed = elapsed(shared) - shared->window_start_ns;

	return Max(0, Min(passed, shared->window_ns)) / (double) LOAD_NS_PER_S;
}

LoadResult *
load_summary_empty(void)
{
	LoadResult *result =
		palloc0(offsetof(LoadResult, latency) +
				perfopt_histogram_size(PERFOPT_HISTOGRAM_FINE, LOAD_MIN_EXP, LOAD_MAX_EXP));

	perfopt_histogram_init(&result->latency, PERFOPT_HISTOGRAM_FINE, LOAD_MIN_EXP, LOAD_MAX_EXP);
	return result;
}

void
load_summary_add(LoadResult *into, const LoadResult *from)
{
	int nkinds = from->nkinds;

	pg_read_barrier();
	into->calls += from->calls;
	into->errors += from->errors;
	into->completed += from->completed;
	into->retries += from->retries;
	into->other_errors += from->other_errors;
	for (int i = 0; i < nkinds; i++)
		load_error_count(into, &from->kinds[i]);
	perfopt_histogram_merge(&into->latency, &from->latency);
}

LoadResult *
load_summary_result(const LoadShared *shared, int operation)
{
	LoadResult *result = load_summary_empty();

	for (int i = 0; i < shared->nworkers; i++)
		load_summary_add(result, load_run_result(shared, i, operation));
	return result;
}

LoadRow
load_summary_row(const LoadShared *shared, const LoadResult *result)
{
	double seconds = window_s(shared);
	LoadRow row;

	row.calls = result->calls;
	row.errors = result->errors;
	row.throughput = seconds > 0 ? result->completed / seconds : 0;
	row.mean_ms = perfopt_histogram_mean(&result->latency);
	row.p50_ms = perfopt_histogram_quantile(&result->latency, 0.50);
	row.p90_ms = perfopt_histogram_quantile(&result->latency, 0.90);
	row.p95_ms = perfopt_histogram_quantile(&result->latency, 0.95);
	row.p99_ms = perfopt_histogram_quantile(&result->latency, 0.99);
	row.max_ms = perfopt_histogram_quantile(&result->latency, 1);
	return row;
}

uint64
load_summary_lost(const LoadShared *shared, const char **message)
{
	uint64 lost = 0;

	*message = NULL;
	for (int i = 0; i < shared->nworkers; i++)
	{
		LoadWorker *worker = load_run_worker(shared, i);

		if (worker->lost > 0 && *message == NULL)
			*message = worker->lost_first.message;
		lost += worker->lost;
	}
	return lost;
}

static const char *
phase(const LoadShared *shared, int64 passed)
{
	if (passed < shared->ramp_up_ns)
		return "ramp_up";
	if (passed < shared->window_start_ns)
		return "warm_up";
	if (passed < shared->window_start_ns + shared->window_ns)
		return "hold";
	if (passed < shared->window_start_ns + shared->window_ns + shared->ramp_down_ns)
		return "ramp_down";
	return "finishing";
}

LoadProgress
load_summary_progress(const LoadShared *shared)
{
	LoadProgress progress = { 0 };
	int64 passed = elapsed(shared);

	progress.state = load_run_state(shared);
	progress.phase = progress.state == LOAD_STARTING  ? "connecting"
					 : progress.state == LOAD_RUNNING ? phase(shared, passed)
													  : "over";
	progress.elapsed_s = passed / (double) LOAD_NS_PER_S;
	progress.total_s = (shared->window_start_ns + shared->window_ns + shared->ramp_down_ns) /
					   (double) LOAD_NS_PER_S;
	progress.latency =
		palloc(perfopt_histogram_size(PERFOPT_HISTOGRAM_COARSE, LOAD_MIN_EXP, LOAD_MAX_EXP));
	perfopt_histogram_init(progress.latency, PERFOPT_HISTOGRAM_COARSE, LOAD_MIN_EXP, LOAD_MAX_EXP);
	for (int i = 0; i < shared->nworkers; i++)
	{
		const LoadWorker *worker = load_run_worker(shared, i);

		progress.connected += worker->connected;
		progress.users += worker->users;
		progress.calls += worker->calls;
		progress.errors += worker->errors;
		progress.lost += worker->lost;
		perfopt_histogram_merge(progress.latency, &worker->latency);
	}
	return progress;
}
