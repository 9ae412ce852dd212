/*
 * vacuum.c
 *	  Vacuums that run, and how far each database is from needing one that can't wait.
 */
#include "postgres.h"

#include "collect/collect.h"

#define DB "database"

const PerfoptMetric perfopt_vacuum_metrics[] = {
	{ "pg_autovacuum_workers_active", DB, PERFOPT_GAUGE, "workers", "Autovacuum workers at work" },
	{ "pg_vacuum_progress_ratio", DB, PERFOPT_GAUGE, "ratio",
	  "Share of the table's blocks that a running vacuum has scanned" },
	{ "pg_vacuum_index_passes", DB, PERFOPT_GAUGE, "passes",
	  "Times that a running vacuum has gone through all indexes: more than one, and it lacks "
	  "memory" },
	{ "pg_database_frozenxid_age", DB, PERFOPT_GAUGE, "transactions",
	  "Age of the oldest transaction id that is not frozen" },
	{ "pg_database_minmxid_age", DB, PERFOPT_GAUGE, "multixacts",
	  "Age of the oldest multixact id that is not frozen" },
};
const int perfopt_vacuum_nmetrics = lengthof(perfopt_vacuum_metrics);

/* A table of another database is known by its number alone. */
static const char *const queries[] = {
	"SELECT pg_catalog.count(*) AS pg_autovacuum_workers_active"
	" FROM pg_catalog.pg_stat_get_activity(NULL) WHERE backend_type = 'autovacuum worker'",

	"SELECT p.datname AS \"label:database\","
	" coalesce(n.nspname OPERATOR(pg_catalog.||) '.' OPERATOR(pg_catalog.||) c.relname,"
	"  p.relid::pg_catalog.text) AS \"label:table\","
	" p.heap_blks_scanned / NULLIF(p.heap_blks_total, 0)::pg_catalog.float8"
	"  AS pg_vacuum_progress_ratio,"
	" p.index_vacuum_count AS pg_vacuum_index_passes"
	" FROM pg_catalog.pg_stat_progress_vacuum p"
	" LEFT JOIN pg_catalog.pg_class c ON c.oid = p.relid"
	"  AND p.datname = pg_catalog.current_database()"
	" LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace",

	"SELECT datname AS \"label:database\","
	" pg_catalog.age(datfrozenxid) AS pg_database_frozenxid_age,"
	" pg_catalog.mxid_age(datminmxid) AS pg_database_minmxid_age FROM pg_catalog.pg_database",
};

void
perfopt_collect_vacuum(PerfoptBatch *batch)
{
	perfopt_collect_begin_sql();
	for (int i = 0; i < lengthof(queries); i++)
		perfopt_collect_query(batch, queries[i], perfopt_vacuum_metrics, perfopt_vacuum_nmetrics);
	perfopt_collect_end_sql();
}
