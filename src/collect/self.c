/*
 * self.c
 *	  What perfopt itself costs: its workers' cycles and the size of its history.
 */
#include "postgres.h"

#include "executor/spi.h"
#include "utils/timestamp.h"

#include "collect/collect.h"
#include "worker/worker.h"

#define APP "application"

enum
{
	CYCLE_SECONDS,
	CYCLE_CPU_SECONDS,
	CYCLE_LAG_SECONDS,
	CYCLES_SKIPPED,
	STORE_BYTES
};

const PerfoptMetric perfopt_self_metrics[] = {
	[CYCLE_SECONDS] = { "perfopt_cycle_seconds", APP, PERFOPT_GAUGE, "seconds",
						"Duration of the worker's last finished cycle" },
	[CYCLE_CPU_SECONDS] = { "perfopt_cycle_cpu_seconds", APP, PERFOPT_GAUGE, "seconds",
							"CPU time of the worker's last finished cycle, waking up for it "
							"included; the "
							"sampler's mean of half a second" },
	[CYCLE_LAG_SECONDS] = { "perfopt_cycle_lag_seconds", APP, PERFOPT_GAUGE, "seconds",
							"How late the worker's last cycle began" },
	[CYCLES_SKIPPED] = { "perfopt_cycles_skipped_total", APP, PERFOPT_COUNTER, "cycles",
						 "Cycles left out because the one before was late" },
	[STORE_BYTES] = { "perfopt_store_bytes", APP, PERFOPT_GAUGE, "bytes",
					  "Size of perfopt's tables and indexes as of their last vacuum" },
};
const int perfopt_self_nmetrics = lengthof(perfopt_self_metrics);

/* Sizes change with a vacuum only, and to add them up is a scan of pg_class. */
#define SIZE_INTERVAL_MS (5 * 60 * 1000)

/* relpages and not pg_relation_size, which waits behind an AccessExclusive lock. */
static const char *const size_query =
	"SELECT pg_catalog.sum(relpages)::pg_catalog.float8"
	" * pg_catalog.current_setting('block_size')::pg_catalog.float8"
	" FROM pg_catalog.pg_class WHERE relnamespace = 'perfopt'::pg_catalog.regnamespace";

static double
store_bytes(void)
{
	static double bytes = 0;
	static TimestampTz read_at = 0;
	TimestampTz now = GetCurrentTimestamp();
	bool isnull;

	if (read_at != 0 && now >= read_at &&
		!TimestampDifferenceExceeds(read_at, now, SIZE_INTERVAL_MS))
		return bytes;
	perfopt_collect_begin_sql();
	perfopt_collect_select(size_query);
	bytes = DatumGetFloat8(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	perfopt_collect_end_sql();
	read_at = now;
	return bytes;
}

void
perfopt_collect_self(PerfoptBatch *batch)
{
	for (int i = 0; i < perfopt_worker_count(); i++)
	{
		PerfoptLabel label = { "worker", perfopt_worker_name(i) };
		PerfoptWorkerStats stats;

		perfopt_worker_get_stats(i, &stats);
		if (stats.cycles == 0)
			continue;
		perfopt_batch_add(batch, &perfopt_self_metrics[CYCLE_SECONDS], &label, 1,
						  stats.last_wall_us / 1e6);
		perfopt_batch_add(batch, &perfopt_self_metrics[CYCLE_CPU_SECONDS], &label, 1,
						  stats.last_cpu_us / 1e6);
		perfopt_batch_add(batch, &perfopt_self_metrics[CYCLE_LAG_SECONDS], &label, 1,
						  stats.last_lag_us / 1e6);
		perfopt_batch_add(batch, &perfopt_self_metrics[CYCLES_SKIPPED], &label, 1, stats.skipped);
	}

	perfopt_batch_add(batch, &perfopt_self_metrics[STORE_BYTES], NULL, 0, store_bytes());
}
