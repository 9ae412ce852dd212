/*
 * io.c
 *	  Who reads and writes what, from pg_stat_io (16 and later).
 */
#include "postgres.h"

#include "compat.h"
#include "collect/collect.h"

#ifdef PERFOPT_SQL_IO

#define DB "database"

const PerfoptMetric perfopt_io_metrics[] = {
	{ "pg_io_reads_total", DB, PERFOPT_COUNTER, "reads", "Read operations" },
	{ "pg_io_writes_total", DB, PERFOPT_COUNTER, "writes", "Write operations" },
	{ "pg_io_extends_total", DB, PERFOPT_COUNTER, "extends", "Times that a relation was extended" },
	{ "pg_io_evictions_total", DB, PERFOPT_COUNTER, "blocks",
	  "Blocks pushed out of a shared or local buffer to make room for another" },
	{ "pg_io_fsyncs_total", DB, PERFOPT_COUNTER, "calls", "Calls of fsync" },
	{ "pg_io_hits_total", DB, PERFOPT_COUNTER, "blocks", "Blocks found in buffers" },
	{ "pg_io_read_seconds_total", DB, PERFOPT_COUNTER, "seconds",
	  "Time spent reading (track_io_timing; track_wal_io_timing for WAL)" },
	{ "pg_io_write_seconds_total", DB, PERFOPT_COUNTER, "seconds",
	  "Time spent writing (track_io_timing; track_wal_io_timing for WAL)" },
	{ "pg_io_fsync_seconds_total", DB, PERFOPT_COUNTER, "seconds",
	  "Time spent on fsync (track_io_timing; track_wal_io_timing for WAL)" },
};
const int perfopt_io_nmetrics = lengthof(perfopt_io_metrics);

static const char *const query = PERFOPT_SQL_IO;

void
perfopt_collect_io(PerfoptBatch *batch)
{
	perfopt_collect_begin_sql();
	perfopt_collect_query(batch, query, perfopt_io_metrics, perfopt_io_nmetrics);
	perfopt_collect_end_sql();
}

#endif
