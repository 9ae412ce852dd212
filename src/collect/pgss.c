/*
 * pgss.c
 *	  What pg_stat_statements has counted: which way to read it.
 */
#include "postgres.h"

#include "executor/executor.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "utils/guc.h"

#include "collect/collect.h"
#include "collect/pgss.h"
#include "collect/pgss_function.h"
#include "collect/pgss_table.h"

/* Members of the extension only: a function of that name could be anybody's. */
static const char *const functions_query =
	"SELECT p.oid, p.pronargs FROM pg_catalog.pg_extension e"
	" JOIN pg_catalog.pg_depend d ON d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass"
	"  AND d.refobjid = e.oid AND d.deptype = 'e'"
	"  AND d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass"
	" JOIN pg_catalog.pg_proc p ON p.oid = d.objid"
	" WHERE e.extname = 'pg_stat_statements'"
	" AND p.proname IN ('pg_stat_statements', 'pg_stat_statements_info')";

/* A reading by the function that is compared with the table. */
typedef struct Comparison
{
	PerfoptPgssTake take;
	void *arg;
	int same;
	int different;
} Comparison;

static bool table_is_as_expected = false;

const char *
perfopt_pgss_find(PerfoptPgss *pgss)
{
	memset(pgss, 0, sizeof(*pgss));

	/* Without preloading its functions exist and fail. */
	if (GetConfigOption("pg_stat_statements.max", true, false) == NULL)
		return "pg_stat_statements is not loaded: add it to shared_preload_libraries, restart, and"
			   " CREATE EXTENSION pg_stat_statements";

	perfopt_collect_select(functions_query);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		bool isnull;
		Oid function = DatumGetObjectId(
			SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1, &isnull));
		int16 nargs =
			DatumGetInt16(SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 2, &isnull));

		if (nargs == 0)
			pgss->info = function;
		else
			pgss->function = function;
	}
	SPI_freetuptable(SPI_tuptable);
	return OidIsValid(pgss->function)
			   ? NULL
			   : "pg_stat_statements is not installed in this database: CREATE EXTENSION"
				 " pg_stat_statements";
}

/* What has been executed since the row was made can't be compared. */
static void
compare(const PerfoptPgssEntry *row, void *arg)
{
	Comparison *comparison = arg;
	PerfoptPgssEntry entry;

	if (perfopt_pgss_table_find(&row->key, &entry) &&
		entry.counters[PERFOPT_PGSS_CALLS] == row->counters[PERFOPT_PGSS_CALLS])
	{
		if (perfopt_pgss_same_counters(entry.counters, row->counters))
			comparison->same++;
		else
			comparison->different++;
	}
	comparison->take(row, comparison->arg);
}

void
perfopt_pgss_entries(const PerfoptPgss *pgss, PerfoptPgssTake take, void *arg)
{
	Comparison comparison = { .take = take, .arg = arg };

	if (table_is_as_expected)
	{
		perfopt_pgss_table_entries(take, arg);
		return;
	}
	perfopt_pgss_function_entries(pgss->function, compare, &comparison);
	table_is_as_expected = comparison.same > 0 && comparison.different == 0;
	ereport(DEBUG1, (errmsg_internal("%d entries of pg_stat_statements' table are as its function"
									 " says and %d are not: %s is read from now on",
									 comparison.same, comparison.different,
									 table_is_as_expected ? "the table" : "the function")));
}

void
perfopt_pgss_texts(const PerfoptPgss *pgss, PerfoptPgssWants wants, PerfoptPgssTakeText take,
				   void *arg)
{
	if (table_is_as_expected)
		perfopt_pgss_table_texts(wants, take, arg);
	else
		perfopt_pgss_function_texts(pgss->function, wants, take, arg);
}

bool
perfopt_pgss_texts_are_costly(void)
{
	return !table_is_as_expected;
}

bool
perfopt_pgss_dealloc(const PerfoptPgss *pgss, double *dealloc)
{
	HeapTupleHeader info;
	bool isnull;
	Datum value;

	if (!OidIsValid(pgss->info))
		return false;
	info = DatumGetHeapTupleHeader(OidFunctionCall0(pgss->info));
	value = GetAttributeByName(info, "dealloc", &isnull);
	*dealloc = isnull ? 0 : (double) DatumGetInt64(value);
	return !isnull;
}
