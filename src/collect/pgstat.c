/*
 * pgstat.c
 *	  The server's cumulative statistics (databases, checkpoints, background writer, WAL, archiver,
 *	  SLRU caches) and its settings.
 */
#include "postgres.h"

#include <math.h>

#include "executor/spi.h"

#include "compat.h"
#include "collect/collect.h"

#define DB "database"

enum
{
	PENDING_RESTART, /* no query delivers these two */
	ROLLBACK_RATIO
};

/* A ratio of fewer transactions than these tells nothing. */
#define LEAST_TRANSACTIONS 100

#define MAX_DATABASES 200

const PerfoptMetric perfopt_pgstat_metrics[] = {
	[PENDING_RESTART] = { "pg_settings_pending_restart", DB, PERFOPT_GAUGE, "settings",
						  "Settings changed in the configuration that wait for a restart" },
	[ROLLBACK_RATIO] = { "pg_xact_rollback_ratio", DB, PERFOPT_GAUGE, "ratio",
						 "Share of transactions since the cycle before that were rolled back; "
						 "absent "
						 "with fewer than 100" },
	{ "pg_xact_commit_total", DB, PERFOPT_COUNTER, "transactions", "Transactions committed" },
	{ "pg_xact_rollback_total", DB, PERFOPT_COUNTER, "transactions", "Transactions rolled back" },
	{ "pg_blocks_hit_total", DB, PERFOPT_COUNTER, "blocks", "Blocks found in shared buffers" },
	{ "pg_blocks_read_total", DB, PERFOPT_COUNTER, "blocks", "Blocks read into shared buffers" },
	{ "pg_block_read_seconds_total", DB, PERFOPT_COUNTER, "seconds",
	  "Time spent reading blocks (track_io_timing)" },
	{ "pg_block_write_seconds_total", DB, PERFOPT_COUNTER, "seconds",
	  "Time spent writing blocks by backends (track_io_timing)" },
	{ "pg_tuples_returned_total", DB, PERFOPT_COUNTER, "rows", "Rows read by scans" },
	{ "pg_tuples_fetched_total", DB, PERFOPT_COUNTER, "rows", "Rows fetched by index scans" },
	{ "pg_tuples_inserted_total", DB, PERFOPT_COUNTER, "rows", "Rows inserted" },
	{ "pg_tuples_updated_total", DB, PERFOPT_COUNTER, "rows", "Rows updated" },
	{ "pg_tuples_deleted_total", DB, PERFOPT_COUNTER, "rows", "Rows deleted" },
	{ "pg_conflicts_total", DB, PERFOPT_COUNTER, "queries", "Queries cancelled by recovery" },
	{ "pg_temp_files_total", DB, PERFOPT_COUNTER, "files", "Temporary files made by queries" },
	{ "pg_temp_bytes_total", DB, PERFOPT_COUNTER, "bytes", "Bytes written to temporary files" },
	{ "pg_deadlocks_total", DB, PERFOPT_COUNTER, "deadlocks", "Deadlocks found" },
	{ "pg_checksum_failures_total", DB, PERFOPT_COUNTER, "pages", "Pages with a wrong checksum" },
	{ "pg_sessions_total", "application", PERFOPT_COUNTER, "sessions", "Sessions opened" },
	{ "pg_sessions_abandoned_total", "application", PERFOPT_COUNTER, "sessions",
	  "Sessions ended because the client went away" },
	{ "pg_sessions_fatal_total", "application", PERFOPT_COUNTER, "sessions",
	  "Sessions ended by a fatal error" },
	{ "pg_checkpoints_timed_total", DB, PERFOPT_COUNTER, "checkpoints",
	  "Checkpoints begun by checkpoint_timeout" },
	{ "pg_checkpoints_requested_total", DB, PERFOPT_COUNTER, "checkpoints",
	  "Checkpoints begun on request, mostly because max_wal_size was reached" },
	{ "pg_checkpoint_write_seconds_total", DB, PERFOPT_COUNTER, "seconds",
	  "Time that checkpoints spent writing" },
	{ "pg_checkpoint_sync_seconds_total", DB, PERFOPT_COUNTER, "seconds",
	  "Time that checkpoints spent syncing" },
	{ "pg_checkpoint_buffers_total", DB, PERFOPT_COUNTER, "blocks",
	  "Blocks written by checkpoints" },
	{ "pg_bgwriter_maxwritten_total", DB, PERFOPT_COUNTER, "rounds",
	  "Rounds that the background writer cut short at bgwriter_lru_maxpages" },
	{ "pg_buffers_backend_total", DB, PERFOPT_COUNTER, "blocks",
	  "Blocks that sessions had to write themselves (before 17)" },
	{ "pg_buffers_backend_fsync_total", DB, PERFOPT_COUNTER, "calls",
	  "Times that sessions had to sync files themselves (before 17)" },
	{ "pg_wal_bytes_total", DB, PERFOPT_COUNTER, "bytes", "WAL written" },
	{ "pg_wal_fpi_total", DB, PERFOPT_COUNTER, "images", "Full-page images in WAL" },
	{ "pg_wal_buffers_full_total", DB, PERFOPT_COUNTER, "writes",
	  "WAL writes because wal_buffers was full" },
	{ "pg_wal_write_seconds_total", DB, PERFOPT_COUNTER, "seconds",
	  "Time spent writing WAL (track_wal_io_timing; before 18)" },
	{ "pg_wal_sync_seconds_total", DB, PERFOPT_COUNTER, "seconds",
	  "Time spent syncing WAL (track_wal_io_timing; before 18)" },
	{ "pg_archive_failed_total", DB, PERFOPT_COUNTER, "files",
	  "Failed attempts to archive a WAL file" },
	{ "pg_slru_hit_total", DB, PERFOPT_COUNTER, "blocks",
	  "Blocks found in a simple LRU cache (transaction states, subtransactions ...)" },
	{ "pg_slru_read_total", DB, PERFOPT_COUNTER, "blocks", "Blocks read into a simple LRU cache" },
};
const int perfopt_pgstat_nmetrics = lengthof(perfopt_pgstat_metrics);

/*
 * Databases without a single transaction so far are left out (template0 among them): a series that
 * is always zero tells nothing.
 */
static const char *const queries[] = {
	"SELECT datname AS \"label:database\","
	" xact_commit AS pg_xact_commit_total, xact_rollback AS pg_xact_rollback_total,"
	" blks_hit AS pg_blocks_hit_total, blks_read AS pg_blocks_read_total,"
	" CASE WHEN t.\"on\" THEN blk_read_time / 1000 END AS pg_block_read_seconds_total,"
	" CASE WHEN t.\"on\" THEN blk_write_time / 1000 END AS pg_block_write_seconds_total,"
	" tup_returned AS pg_tuples_returned_total, tup_fetched AS pg_tuples_fetched_total,"
	" tup_inserted AS pg_tuples_inserted_total, tup_updated AS pg_tuples_updated_total,"
	" tup_deleted AS pg_tuples_deleted_total, conflicts AS pg_conflicts_total,"
	" temp_files AS pg_temp_files_total, temp_bytes AS pg_temp_bytes_total,"
	" deadlocks AS pg_deadlocks_total, checksum_failures AS pg_checksum_failures_total,"
	" sessions AS pg_sessions_total, sessions_abandoned AS pg_sessions_abandoned_total,"
	" sessions_fatal AS pg_sessions_fatal_total"
	" FROM pg_catalog.pg_stat_database,"
	" (SELECT pg_catalog.current_setting('track_io_timing')::pg_catalog.bool) AS t (\"on\")"
	" WHERE datname IS NOT NULL AND xact_commit + xact_rollback > 0",
	PERFOPT_SQL_CHECKPOINTS,
	PERFOPT_SQL_WAL,
	"SELECT failed_count AS pg_archive_failed_total FROM pg_catalog.pg_stat_archiver"
	" WHERE pg_catalog.current_setting('archive_mode') <> 'off'",
	"SELECT name AS \"label:name\", blks_hit AS pg_slru_hit_total, blks_read AS pg_slru_read_total"
	" FROM pg_catalog.pg_stat_slru WHERE blks_hit + blks_read > 0",
};

/* The view pg_settings would make a row of each of several hundred settings. */
static int
settings_pending_restart(void)
{
	int nsettings;
	struct config_generic **settings = perfopt_guc_variables(&nsettings);
	int n = 0;

	for (int i = 0; i < nsettings; i++)
		if (settings[i]->status & GUC_PENDING_RESTART)
			n++;
	return n;
}

/* Transactions of a database until the cycle before. */
typedef struct Transactions
{
	Oid database;
	int64 commits;
	int64 rollbacks;
} Transactions;

static Transactions *
transactions_of(Oid database)
{
	static Transactions known[MAX_DATABASES];
	static int n = 0;
	static int next = 0;
	Transactions *transactions;

	for (int i = 0; i < n; i++)
		if (known[i].database == database)
			return &known[i];
	transactions = n < MAX_DATABASES ? &known[n++] : &known[next++ % MAX_DATABASES];
	*transactions = (Transactions){ database, -1, -1 };
	return transactions;
}

static void
add_rollback_ratios(PerfoptBatch *batch)
{
	perfopt_collect_select("SELECT datid, datname::pg_catalog.text, xact_commit, xact_rollback"
						   " FROM pg_catalog.pg_stat_database WHERE datname IS NOT NULL");
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		HeapTuple tuple = SPI_tuptable->vals[i];
		TupleDesc desc = SPI_tuptable->tupdesc;
		bool isnull;
		Transactions *before =
			transactions_of(DatumGetObjectId(SPI_getbinval(tuple, desc, 1, &isnull)));
		Transactions now = { before->database,
							 DatumGetInt64(SPI_getbinval(tuple, desc, 3, &isnull)),
							 DatumGetInt64(SPI_getbinval(tuple, desc, 4, &isnull)) };
		int64 rollbacks = now.rollbacks - before->rollbacks;
		int64 all = rollbacks + now.commits - before->commits;
		PerfoptLabel label = { "database", SPI_getvalue(tuple, desc, 2) };

		if (before->commits >= 0 && rollbacks >= 0 && now.commits >= before->commits &&
			all >= LEAST_TRANSACTIONS)
			perfopt_batch_add(batch, &perfopt_pgstat_metrics[ROLLBACK_RATIO], &label, 1,
							  rint((double) rollbacks / all * 1e4) / 1e4);
		*before = now;
	}
	SPI_freetuptable(SPI_tuptable);
}

void
perfopt_collect_pgstat(PerfoptBatch *batch)
{
	perfopt_collect_begin_sql();
	for (int i = 0; i < lengthof(queries); i++)
		perfopt_collect_query(batch, queries[i], perfopt_pgstat_metrics, perfopt_pgstat_nmetrics);
	add_rollback_ratios(batch);
	perfopt_collect_end_sql();
	perfopt_batch_add(batch, &perfopt_pgstat_metrics[PENDING_RESTART], NULL, 0,
					  settings_pending_restart());
}
