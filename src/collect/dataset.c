/*
 * dataset.c
 *	  Reading the tables of datasets (template integration) without reading them from end to end.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "collect/collect.h"
#include "collect/dataset.h"

#define MAX_DATASETS 16
#define MAX_ROWS CppAsString2(PERFOPT_DATASET_MAX_ROWS)

/* A table of validations of more pages than this is read by a sample of about so many. */
#define WHOLE_PAGES 250
#define SAMPLE_PAGES 100

static const char *const find_query =
	"SELECT n.oid, n.nspname, n.nspowner, pg_catalog.array_agg(c.oid ORDER BY c.relname),"
	" pg_catalog.max(c.relpages) FILTER (WHERE c.relname = 'validation_result')"
	" FROM perfopt.dataset d JOIN pg_catalog.pg_namespace n ON n.nspname = d.schema"
	" JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relowner = n.nspowner"
	"  AND c.relkind = 'r' AND NOT c.relrowsecurity"
	" WHERE d.template = 'integration'"
	" AND pg_catalog.obj_description(n.oid, 'pg_namespace') LIKE 'perfopt dataset%'"
	" AND c.relname IN ('entity', 'external_id_map', 'external_system', 'reconciliation_run',"
	"  'sync_change', 'sync_job', 'validation_result')"
	" GROUP BY 1, 2, 3 HAVING pg_catalog.count(*) = 7 ORDER BY 1"
	" LIMIT " CppAsString2(MAX_DATASETS);

static const char *const index_query =
	"SELECT i.indexrelid FROM pg_catalog.pg_index i JOIN pg_catalog.pg_attribute a"
	" ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]"
	" WHERE i.indrelid = $1 AND a.attname = 'entity_id' AND i.indisvalid AND i.indpred IS NULL"
	" ORDER BY 1 LIMIT 1";

static const char *const statistics_query =
	"SELECT pg_catalog.pg_stat_get_tuples_inserted($1) + pg_catalog.pg_stat_get_tuples_updated($1),"
	" pg_catalog.pg_stat_get_tuples_inserted($2) + pg_catalog.pg_stat_get_tuples_updated($2),"
	" pg_catalog.pg_stat_get_numscans($3)";

/*
 * @ stands for the schema.  The subquery ends in OFFSET 0 so that each row looks its parent up by
 * the primary key: a join might read the whole parent.
 */
static const char *const queries[] = {
	[PERFOPT_DATASET_KEYS] = "SELECT (SELECT max(change_id) FROM @.sync_change),"
							 " (SELECT max(run_id) FROM @.reconciliation_run)",
	[PERFOPT_DATASET_SYNCS] =
		"SELECT s.name, n.n, n.failed, n.settled, n.settled_failed, n.last"
		" FROM (SELECT j.system_id, count(*) AS n, count(*) FILTER (WHERE j.failed) AS failed,"
		"   count(*) FILTER (WHERE c.settled) AS settled,"
		"   count(*) FILTER (WHERE c.settled AND j.failed) AS settled_failed,"
		"   max(c.created_at) AS last"
		"  FROM (SELECT job_id, created_at, change_id <= $2 AS settled FROM @.sync_change"
		"   WHERE change_id > $1 ORDER BY change_id DESC LIMIT " MAX_ROWS ") c"
		"  CROSS JOIN LATERAL (SELECT system_id, status = 'failed' AS failed FROM @.sync_job"
		"   WHERE job_id = c.job_id OFFSET 0) j GROUP BY 1) n"
		" JOIN @.external_system s ON s.system_id = n.system_id ORDER BY 2 DESC, 1",
	[PERFOPT_DATASET_RECONCILIATIONS] =
		"SELECT s.name, n.n, n.failed, n.settled, n.settled_failed, n.mismatched"
		" FROM (SELECT r.system_id, count(*) AS n, count(*) FILTER (WHERE r.failed) AS failed,"
		"   count(*) FILTER (WHERE r.settled) AS settled,"
		"   count(*) FILTER (WHERE r.settled AND r.failed) AS settled_failed,"
		"   (array_agg(r.mismatched ORDER BY r.run_id DESC))[1] AS mismatched"
		"  FROM (SELECT run_id, system_id, mismatched, run_id <= $2 AS settled,"
		"    status NOT IN ('finished', 'running') AS failed FROM @.reconciliation_run"
		"   WHERE run_id > $1 ORDER BY run_id DESC LIMIT " MAX_ROWS ") r GROUP BY 1) n"
		" JOIN @.external_system s ON s.system_id = n.system_id ORDER BY 2 DESC, 1",
	[PERFOPT_DATASET_VALIDATIONS] =
		"SELECT count(*), count(*) FILTER (WHERE passed),"
		" count(*) FILTER (WHERE NOT passed AND checked_at > $1 AND checked_at <= $2)"
		" FROM @.validation_result TABLESAMPLE SYSTEM ($3)",
	[PERFOPT_DATASET_UNMAPPED] =
		"SELECT count(*) FROM (SELECT entity_id FROM @.entity ORDER BY entity_id DESC LIMIT 1000) e"
		" LEFT JOIN LATERAL (SELECT m.entity_id FROM @.external_id_map m"
		"  WHERE m.entity_id = e.entity_id LIMIT 1) m ON true WHERE m.entity_id IS NULL",
};

static PerfoptDataset known[MAX_DATASETS];
static int nknown = 0;

/* Executes one of the queries, with the owner's rights. */
static void
execute(PerfoptDataset *dataset, PerfoptDatasetQuery query, int nargs, Oid *types, Datum *values)
{
	int result;

	if (dataset->plans[query] == NULL)
	{
		StringInfoData sql;

		initStringInfo(&sql);
		for (const char *c = queries[query]; *c != '\0'; c++)
		{
			if (*c == '@')
				appendStringInfoString(&sql, quote_identifier(dataset->name));
			else
				appendStringInfoChar(&sql, *c);
		}
		dataset->plans[query] = SPI_prepare(sql.data, nargs, types);
		if (dataset->plans[query] == NULL)
			elog(ERROR, "could not prepare \"%s\": %s", sql.data,
				 SPI_result_code_string(SPI_result));
		SPI_keepplan(dataset->plans[query]);
	}
	result = SPI_execute_plan(dataset->plans[query], values, NULL, true, 0);
	if (result != SPI_OK_SELECT)
		elog(ERROR, "could not read dataset \"%s\": %s", dataset->name,
			 SPI_result_code_string(result));
}

static void
forget(PerfoptDataset *dataset)
{
	for (int i = 0; i < PERFOPT_DATASET_NQUERIES; i++)
		if (dataset->plans[i] != NULL)
			SPI_freeplan(dataset->plans[i]);
	MemoryContextDelete(dataset->context);
}

/* What is remembered of the schema, or a place for it. */
static PerfoptDataset
remembered(Oid schema)
{
	PerfoptDataset fresh = { .schema = schema };

	for (int i = 0; i < nknown; i++)
	{
		if (known[i].schema == schema)
		{
			PerfoptDataset dataset = known[i];

			known[i].schema = InvalidOid; /* taken */
			return dataset;
		}
	}
	fresh.context =
		AllocSetContextCreate(TopMemoryContext, "perfopt dataset", ALLOCSET_SMALL_SIZES);
	return fresh;
}

static Oid
index_of(Oid table)
{
	Oid types[] = { OIDOID };
	Datum values[] = { ObjectIdGetDatum(table) };
	bool isnull;

	perfopt_collect_execute(index_query, lengthof(types), types, values);
	if (SPI_processed == 0)
		return InvalidOid;
	return DatumGetObjectId(
		SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
}

static PerfoptDataset
take_found(HeapTuple tuple, TupleDesc desc)
{
	bool isnull;
	PerfoptDataset dataset = remembered(DatumGetObjectId(SPI_getbinval(tuple, desc, 1, &isnull)));
	Datum *tables;
	int n;

	strlcpy(dataset.name, SPI_getvalue(tuple, desc, 2), NAMEDATALEN);
	dataset.owner = DatumGetObjectId(SPI_getbinval(tuple, desc, 3, &isnull));
	deconstruct_array(DatumGetArrayTypeP(SPI_getbinval(tuple, desc, 4, &isnull)), OIDOID,
					  sizeof(Oid), true, TYPALIGN_INT, &tables, NULL, &n);
	for (int i = 0; i < PERFOPT_DATASET_NTABLES; i++)
		dataset.tables[i] = DatumGetObjectId(tables[i]);
	dataset.validation_pages = DatumGetInt32(SPI_getbinval(tuple, desc, 5, &isnull));
	return dataset;
}

int
perfopt_datasets_find(PerfoptDataset **datasets)
{
	PerfoptDataset *found = palloc(MAX_DATASETS * sizeof(PerfoptDataset));
	int n;

	perfopt_collect_select(find_query);
	n = (int) SPI_processed;
	for (int i = 0; i < n; i++)
		found[i] = take_found(SPI_tuptable->vals[i], SPI_tuptable->tupdesc);
	for (int i = 0; i < nknown; i++)
	{
		if (!OidIsValid(known[i].schema))
			continue;
		perfopt_collect_forget("integration", known[i].name);
		forget(&known[i]);
	}
	memcpy(known, found, n * sizeof(PerfoptDataset));
	nknown = n;
	for (int i = 0; i < n; i++)
	{
		known[i].changes_index = index_of(known[i].tables[PERFOPT_DATASET_SYNC_CHANGE]);
		known[i].map_index = index_of(known[i].tables[PERFOPT_DATASET_EXTERNAL_ID_MAP]);
	}
	*datasets = known;
	return n;
}

bool
perfopt_dataset_enter(PerfoptDataset *dataset)
{
	for (int i = 0; i < PERFOPT_DATASET_NTABLES; i++)
		if (!ConditionalLockRelationOid(dataset->tables[i], AccessShareLock))
			return false;

	GetUserIdAndSecContext(&dataset->caller, &dataset->security);
	SetUserIdAndSecContext(dataset->owner, dataset->security | SECURITY_LOCAL_USERID_CHANGE |
											   SECURITY_RESTRICTED_OPERATION);
	return true;
}

void
perfopt_dataset_leave(PerfoptDataset *dataset)
{
	SetUserIdAndSecContext(dataset->caller, dataset->security);
	dataset->readings++;
}

/* The first reading counts nothing, nor one after the table was emptied. */
static void
move_window(PerfoptDataset *dataset, PerfoptKeyWindow *window, int64 highest)
{
	bool is_first = dataset->readings == 0 || highest < window->highest;

	window->counted = is_first ? highest : window->settled;
	window->settled = is_first ? highest : window->highest;
	window->highest = highest;
}

void
perfopt_dataset_read_window(PerfoptDataset *dataset, PerfoptDatasetQuery query,
							PerfoptKeyWindow *window)
{
	Oid types[] = { INT8OID, INT8OID };
	Datum values[2];
	bool isnull;

	execute(dataset, PERFOPT_DATASET_KEYS, 0, NULL, NULL);
	move_window(dataset, window,
				DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc,
											window == &dataset->changes ? 1 : 2, &isnull)));

	/* At first, look back for when each system was last seen. */
	values[0] = Int64GetDatum(dataset->readings == 0 ? window->counted - PERFOPT_DATASET_MAX_ROWS
													 : window->counted);
	values[1] = Int64GetDatum(window->settled);
	execute(dataset, query, lengthof(types), types, values);
}

double
perfopt_dataset_read_validations(PerfoptDataset *dataset)
{
	double percent = dataset->validation_pages <= WHOLE_PAGES
						 ? 100
						 : 100 * SAMPLE_PAGES / dataset->validation_pages;
	Oid types[] = { TIMESTAMPTZOID, TIMESTAMPTZOID, FLOAT4OID };
	TimestampTz now = GetCurrentTimestamp();
	Datum values[] = { TimestampTzGetDatum(dataset->validated), TimestampTzGetDatum(now),
					   Float4GetDatum((float4) percent) };

	execute(dataset, PERFOPT_DATASET_VALIDATIONS, lengthof(types), types, values);
	dataset->validated = now;
	return percent;
}

bool
perfopt_dataset_read_unmapped(PerfoptDataset *dataset)
{
	if (!OidIsValid(dataset->map_index))
		return false;
	execute(dataset, PERFOPT_DATASET_UNMAPPED, 0, NULL, NULL);
	return true;
}

bool
perfopt_dataset_read_statistics(PerfoptDataset *dataset)
{
	Oid types[] = { OIDOID, OIDOID, OIDOID };
	Datum values[] = {
		ObjectIdGetDatum(dataset->tables[PERFOPT_DATASET_EXTERNAL_ID_MAP]),
		ObjectIdGetDatum(dataset->tables[PERFOPT_DATASET_VALIDATION_RESULT]),
		ObjectIdGetDatum(dataset->changes_index),
	};

	if (dataset->readings == 0)
		return false;
	perfopt_collect_execute(statistics_query, lengthof(types), types, values);
	return true;
}
