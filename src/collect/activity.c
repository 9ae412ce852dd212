/*
 * activity.c
 *	  Sessions by state, the oldest of each kind, and who waits for whose locks.
 */
#include "postgres.h"

#include "executor/spi.h"

#include "collect/collect.h"

#define APP "application"
#define DB "database"

const PerfoptMetric perfopt_activity_metrics[] = {
	{ "pg_sessions", APP, PERFOPT_GAUGE, "sessions", "Client sessions by state" },
	{ "pg_sessions_max", APP, PERFOPT_GAUGE, "sessions", "Sessions that max_connections allows" },
	{ "pg_session_oldest_xact_seconds", APP, PERFOPT_GAUGE, "seconds",
	  "Age of the oldest transaction of a client" },
	{ "pg_session_oldest_query_seconds", APP, PERFOPT_GAUGE, "seconds",
	  "Age of the oldest running statement of a client" },
	{ "pg_session_oldest_idle_in_xact_seconds", APP, PERFOPT_GAUGE, "seconds",
	  "Longest time that a client has been idle in a transaction" },
	{ "pg_session_oldest_xmin_age", APP, PERFOPT_GAUGE, "transactions",
	  "Age of the oldest snapshot of a client" },
	{ "pg_connections_used_ratio", DB, PERFOPT_GAUGE, "ratio",
	  "Client sessions as a share of those that ordinary users may open" },
	{ "pg_blocked_sessions", DB, PERFOPT_GAUGE, "sessions", "Sessions that wait for a lock" },
	{ "pg_lock_waiters", DB, PERFOPT_GAUGE, "sessions", "Lock waiters by mode and kind of lock" },
	{ "pg_lock_wait_max_seconds", DB, PERFOPT_GAUGE, "seconds", "Longest present wait for a lock" },
};
const int perfopt_activity_nmetrics = lengthof(perfopt_activity_metrics);

static const char *const session_queries[] = {
	"SELECT s.state AS \"label:state\", pg_catalog.count(a.pid) AS pg_sessions"
	" FROM (VALUES ('active'), ('idle'), ('idle in transaction'),"
	" ('idle in transaction (aborted)')) AS s (state)"
	" LEFT JOIN pg_catalog.pg_stat_activity a"
	" ON a.state = s.state AND a.backend_type = 'client backend' GROUP BY s.state",

	"SELECT pg_catalog.current_setting('max_connections')::pg_catalog.int4 AS pg_sessions_max,"
	" pg_catalog.count(*) / (pg_catalog.current_setting('max_connections')::pg_catalog.float8"
	" - pg_catalog.current_setting('superuser_reserved_connections')::pg_catalog.float8)"
	" AS pg_connections_used_ratio,"
	" pg_catalog.max(EXTRACT(epoch FROM pg_catalog.clock_timestamp() - xact_start))"
	" AS pg_session_oldest_xact_seconds,"
	" pg_catalog.max(EXTRACT(epoch FROM pg_catalog.clock_timestamp() - query_start))"
	" FILTER (WHERE state = 'active') AS pg_session_oldest_query_seconds,"
	" pg_catalog.max(EXTRACT(epoch FROM pg_catalog.clock_timestamp() - state_change))"
	" FILTER (WHERE state LIKE 'idle in transaction%') AS pg_session_oldest_idle_in_xact_seconds,"
	" pg_catalog.max(pg_catalog.age(backend_xmin)) AS pg_session_oldest_xmin_age,"
	" pg_catalog.count(*) FILTER (WHERE wait_event_type = 'Lock') AS pg_blocked_sessions"
	" FROM pg_catalog.pg_stat_activity WHERE backend_type = 'client backend'",
};

/*
 * pg_locks takes all partitions of the lock table in turn, and pg_blocking_pids all at once, so they
 * are asked only while somebody waits.
 */
static const char *const waiting_query =
	"SELECT FROM pg_catalog.pg_stat_activity WHERE wait_event_type = 'Lock' LIMIT 1";

static const char *const lock_queries[] = {
	"SELECT mode AS \"label:mode\", locktype AS \"label:locktype\","
	" pg_catalog.count(*) AS pg_lock_waiters FROM pg_catalog.pg_locks WHERE NOT granted"
	" GROUP BY mode, locktype",
	"SELECT pg_catalog.max(EXTRACT(epoch FROM pg_catalog.clock_timestamp() - waitstart))"
	" AS pg_lock_wait_max_seconds FROM pg_catalog.pg_locks WHERE NOT granted",
};

/*
 * The roots of the waiting graph: those who block others and wait for nobody.  A prepared transaction
 * shows up as pid 0.
 */
static const char *const blocking_query =
	"WITH RECURSIVE edge AS MATERIALIZED ("
	"  SELECT a.pid AS waiter, b.pid AS blocker FROM pg_catalog.pg_stat_activity a"
	"  CROSS JOIN LATERAL pg_catalog.unnest(pg_catalog.pg_blocking_pids(a.pid)) AS b (pid)"
	"  WHERE a.wait_event_type = 'Lock'"
	"), chain AS ("
	"  SELECT waiter, blocker FROM edge"
	"  UNION SELECT c.waiter, e.blocker FROM chain c JOIN edge e ON e.waiter = c.blocker"
	"), root AS ("
	"  SELECT DISTINCT waiter, blocker FROM chain"
	"  WHERE blocker NOT IN (SELECT waiter FROM edge)"
	") INSERT INTO perfopt.blocking"
	" SELECT pg_catalog.clock_timestamp(), r.blocker, b.datid, b.usesysid,"
	"  CASE WHEN r.blocker = 0 THEN 'prepared transaction' ELSE b.state END, b.query_id,"
	"  EXTRACT(epoch FROM pg_catalog.clock_timestamp() - b.xact_start),"
	"  EXTRACT(epoch FROM pg_catalog.clock_timestamp() - b.state_change),"
	"  pg_catalog.min(l.relation), pg_catalog.min(l.locktype), pg_catalog.min(l.mode),"
	"  pg_catalog.count(DISTINCT r.waiter),"
	"  EXTRACT(epoch FROM pg_catalog.clock_timestamp() - pg_catalog.min(l.waitstart))"
	" FROM root r"
	" LEFT JOIN pg_catalog.pg_stat_activity b ON b.pid = r.blocker"
	" LEFT JOIN pg_catalog.pg_locks l ON l.pid = r.waiter AND NOT l.granted"
	" GROUP BY r.blocker, b.datid, b.usesysid, b.state, b.query_id, b.xact_start, b.state_change";

void
perfopt_collect_activity(PerfoptBatch *batch)
{
	bool waiting;

	perfopt_collect_begin_sql();
	for (int i = 0; i < lengthof(session_queries); i++)
		perfopt_collect_query(batch, session_queries[i], perfopt_activity_metrics,
							  perfopt_activity_nmetrics);

	perfopt_collect_select(waiting_query);
	waiting = SPI_processed > 0;
	if (waiting)
	{
		for (int i = 0; i < lengthof(lock_queries); i++)
			perfopt_collect_query(batch, lock_queries[i], perfopt_activity_metrics,
								  perfopt_activity_nmetrics);
		if (SPI_execute(blocking_query, false, 0) != SPI_OK_INSERT)
			elog(ERROR, "could not record who blocks whom");
	}
	perfopt_collect_end_sql();
}
