/*
 * summary.c
 *	  What a load test measured, put together from the blocks of its workers.
 */
#include "postgres.h"

#include <math.h>

#include "load/engine.h"
#include "load/summary.h"
#include "math/rankci.h"

/* Confidence of the intervals of percentiles. */
#define INTERVAL_LEVEL 0.95

#define P99_MIN_CALLS 1000

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

	if (shared->result_ns > 0)
		return shared->result_ns / (double) LOAD_NS_PER_S;
	return Max(0, Min(passed, shared->window_ns)) / (double) LOAD_NS_PER_S;
}

static PerfoptHistogram *
empty_coarse(void)
{
	PerfoptHistogram *histogram =
		palloc(perfopt_histogram_size(PERFOPT_HISTOGRAM_COARSE, LOAD_MIN_EXP, LOAD_MAX_EXP));

	perfopt_histogram_init(histogram, PERFOPT_HISTOGRAM_COARSE, LOAD_MIN_EXP, LOAD_MAX_EXP);
	return histogram;
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
	into->all += from->all;
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

/* The value at a rank in sorted order, which is that of the quantile which has this rank. */
static double
value_at_rank(const PerfoptHistogram *latency, int64 rank)
{
	return perfopt_histogram_quantile(latency, (rank - 0.5) / latency->count);
}

static void
put_interval(const PerfoptHistogram *latency, double q, double *low, double *high)
{
	int64 low_rank, high_rank;

	*low = *high = NAN;
	if (!perfopt_rank_interval((int64) latency->count, q, INTERVAL_LEVEL, &low_rank, &high_rank))
		return;
	*low = value_at_rank(latency, low_rank);
	*high = value_at_rank(latency, high_rank);
}

LoadRow
load_summary_row(const LoadResult *result, const PerfoptHistogram *service, double seconds)
{
	const PerfoptHistogram *latency = &result->latency;
	LoadRow row;

	row.calls = result->calls;
	row.errors = result->errors;
	row.retries = result->retries;
	row.throughput = seconds > 0 ? result->completed / seconds : 0;
	row.mean_ms = perfopt_histogram_mean(latency);
	row.p50_ms = perfopt_histogram_quantile(latency, 0.50);
	row.p90_ms = perfopt_histogram_quantile(latency, 0.90);
	row.p95_ms = perfopt_histogram_quantile(latency, 0.95);
	row.p99_ms = latency->count < P99_MIN_CALLS ? NAN : perfopt_histogram_quantile(latency, 0.99);
	row.max_ms = perfopt_histogram_quantile(latency, 1);
	put_interval(latency, 0.95, &row.p95_low_ms, &row.p95_high_ms);
	put_interval(latency, 0.99, &row.p99_low_ms, &row.p99_high_ms);
	row.service_p95_ms = service != NULL ? perfopt_histogram_quantile(service, 0.95) : NAN;
	return row;
}

double
load_summary_seconds(const LoadShared *shared)
{
	return window_s(shared);
}

LoadRow *
load_summary_rows(const LoadShared *shared)
{
	LoadRow *rows = palloc(sizeof(LoadRow) * (shared->noperations + 1));
	LoadResult *total = load_summary_empty();
	PerfoptHistogram *total_service = empty_coarse();
	double seconds = window_s(shared);

	if (load_run_state(shared) >= LOAD_FINISHED)
		return memcpy(rows, load_run_rows(shared), sizeof(LoadRow) * (shared->noperations + 1));
	for (int i = 0; i < shared->noperations; i++)
	{
		LoadResult *result = load_summary_result(shared, i);
		PerfoptHistogram *service = load_summary_service(shared, i);

		rows[i] = load_summary_row(result, service, seconds);
		load_summary_add(total, result);
		perfopt_histogram_merge(total_service, service);
		pfree(result);
		pfree(service);
	}
	rows[shared->noperations] = load_summary_row(total, total_service, seconds);
	return rows;
}

double
load_summary_metric(LoadMetric metric, uint64 calls, uint64 errors, double throughput,
					const PerfoptHistogram *latency)
{
	switch (metric)
	{
		case LOAD_METRIC_MEAN:
			return perfopt_histogram_mean(latency);
		case LOAD_METRIC_P50:
			return perfopt_histogram_quantile(latency, 0.50);
		case LOAD_METRIC_P90:
			return perfopt_histogram_quantile(latency, 0.90);
		case LOAD_METRIC_P95:
			return perfopt_histogram_quantile(latency, 0.95);
		case LOAD_METRIC_P99:
			return perfopt_histogram_quantile(latency, 0.99);
		case LOAD_METRIC_MAX:
			return perfopt_histogram_quantile(latency, 1);
		case LOAD_METRIC_ERRORS:
			return (double) errors;
		case LOAD_METRIC_ERROR_PCT:
			return calls > 0 ? 100.0 * errors / calls : NAN;
		case LOAD_METRIC_THROUGHPUT:
			return throughput;
	}
	return NAN;
}

double
load_row_metric(LoadMetric metric, const LoadRow *row)
{
	switch (metric)
	{
		case LOAD_METRIC_MEAN:
			return row->mean_ms;
		case LOAD_METRIC_P50:
			return row->p50_ms;
		case LOAD_METRIC_P90:
			return row->p90_ms;
		case LOAD_METRIC_P95:
			return row->p95_ms;
		case LOAD_METRIC_P99:
			return row->p99_ms;
		case LOAD_METRIC_MAX:
			return row->max_ms;
		case LOAD_METRIC_ERRORS:
			return (double) row->errors;
		case LOAD_METRIC_ERROR_PCT:
			return row->calls > 0 ? 100.0 * row->errors / row->calls : NAN;
		case LOAD_METRIC_THROUGHPUT:
			return row->throughput;
	}
	return NAN;
}

PerfoptHistogram *
load_summary_since(const PerfoptHistogram *now, const PerfoptHistogram *before)
{
	size_t size = perfopt_histogram_size(now->bits, now->min_exp, now->max_exp);
	PerfoptHistogram *recent = palloc(size);
	int nbuckets = (now->max_exp - now->min_exp) << now->bits;

	memcpy(recent, now, size);
	if (before == NULL)
		return recent;
	recent->count -= before->count;
	recent->zeros -= before->zeros;
	recent->sum -= before->sum;
	for (int i = 0; i < nbuckets; i++)
		recent->counts[i] -= before->counts[i];
	return recent;
}

PerfoptHistogram *
load_summary_service(const LoadShared *shared, int operation)
{
	PerfoptHistogram *service = empty_coarse();

	for (int i = 0; i < shared->nworkers; i++)
		perfopt_histogram_merge(service, load_run_service(shared, i, operation));
	return service;
}

PerfoptHistogram *
load_summary_lag(const LoadShared *shared)
{
	PerfoptHistogram *lag = empty_coarse();

	for (int i = 0; i < shared->nworkers; i++)
		perfopt_histogram_merge(lag, load_run_lag(shared, i));
	return lag;
}

uint64
load_summary_unserved(const LoadShared *shared)
{
	uint64 unserved = 0;

	for (int i = 0; i < shared->nworkers; i++)
		unserved += load_run_worker(shared, i)->unserved;
	return unserved;
}

int64
load_summary_generator_ns(const LoadShared *shared)
{
	int64 most = 0;

	for (int i = 0; i < shared->nworkers; i++)
		most = Max(most, load_run_worker(shared, i)->cpu_ns);
	return most;
}

double
load_summary_generator_cpu(const LoadShared *shared)
{
	int64 passed = elapsed(shared);

	return passed > 0 ? (double) load_summary_generator_ns(shared) / passed : NAN;
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
	if (shared->window_ns == LOAD_ENDLESS_NS)
		progress.total_s = NAN;
	progress.latency = empty_coarse();
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
