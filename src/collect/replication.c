/*
 * replication.c
 *	  What the server passes on to others: standbys, slots, subscriptions, notifications.
 */
#include "postgres.h"

#include "access/xlog.h"

#include "collect/collect.h"

#define DB "database"
#define INTEGRATION "integration"

const PerfoptMetric perfopt_replication_metrics[] = {
	{ "pg_replication_lag_bytes", DB, PERFOPT_GAUGE, "bytes",
	  "WAL that a standby or subscriber has yet to replay" },
	{ "pg_replication_lag_seconds", DB, PERFOPT_GAUGE, "seconds",
	  "Time until recent WAL was replayed there; 0 when all is" },
	{ "pg_slot_retained_bytes", DB, PERFOPT_GAUGE, "bytes", "WAL that is kept for a slot" },
	{ "pg_slot_active", DB, PERFOPT_GAUGE, "slots",
	  "1 while somebody reads from the slot, else 0" },
	{ "pg_subscription_errors_total", INTEGRATION, PERFOPT_COUNTER, "errors",
	  "Errors while copying tables for a subscription or applying changes" },
	{ "pg_notify_queue_ratio", INTEGRATION, PERFOPT_GAUGE, "ratio",
	  "Share of the queue for NOTIFY that is in use" },
};
const int perfopt_replication_nmetrics = lengthof(perfopt_replication_metrics);

static const char *const queries[] = {
	"SELECT subname AS \"label:subscription\","
	" apply_error_count + sync_error_count AS pg_subscription_errors_total"
	" FROM pg_catalog.pg_stat_subscription_stats",
	"SELECT pg_catalog.pg_notification_queue_usage() AS pg_notify_queue_ratio",
};

/*
 * Two standbys may go by one name; then the worse one counts.  The slot of a backup lives as long as
 * that and has a name of its own each time.
 */
static const char *const primary_queries[] = {
	"SELECT r.application_name AS \"label:application_name\","
	" coalesce(pg_catalog.host(r.client_addr), 'local') AS \"label:client\","
	" pg_catalog.max(GREATEST(pg_catalog.pg_wal_lsn_diff(here.lsn, r.replay_lsn), 0))"
	"  AS pg_replication_lag_bytes,"
	" pg_catalog.max(CASE WHEN r.replay_lsn >= here.lsn THEN 0"
	"  ELSE EXTRACT(epoch FROM r.replay_lag) END) AS pg_replication_lag_seconds"
	" FROM pg_catalog.pg_stat_replication r, pg_catalog.pg_current_wal_lsn() AS here (lsn)"
	" WHERE r.replay_lsn IS NOT NULL GROUP BY 1, 2",
	"SELECT slot_name AS \"label:slot\","
	" pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_lsn(), restart_lsn)"
	"  AS pg_slot_retained_bytes,"
	" active::pg_catalog.int4 AS pg_slot_active"
	" FROM pg_catalog.pg_replication_slots WHERE NOT temporary",
};

void
perfopt_collect_replication(PerfoptBatch *batch)
{
	perfopt_collect_begin_sql();
	for (int i = 0; i < lengthof(queries); i++)
		perfopt_collect_query(batch, queries[i], perfopt_replication_metrics,
							  perfopt_replication_nmetrics);
	for (int i = 0; i < lengthof(primary_queries) && !RecoveryInProgress(); i++)
		perfopt_collect_query(batch, primary_queries[i], perfopt_replication_metrics,
							  perfopt_replication_nmetrics);
	perfopt_collect_end_sql();
}
