/*
 * database_size.c
 *	  The size of each database on disk.
 *
 * pg_database_size takes no lock on any relation, so it can't hang behind one, but it asks the file
 * system about every file: some microseconds each.  A run ends when it has taken long enough; the next
 * goes on with the databases that are left.
 */
#include "postgres.h"

#include "executor/spi.h"
#include "portability/instr_time.h"
#include "utils/fmgrprotos.h"

#include "collect/collect.h"

#define ENOUGH_MS 50

const PerfoptMetric perfopt_database_size_metrics[] = {
	{ "pg_database_size_bytes", "database", PERFOPT_GAUGE, "bytes",
	  "Size of the database on disk" },
};
const int perfopt_database_size_nmetrics = lengthof(perfopt_database_size_metrics);

/* In an order that stays, so that each has its turn. */
static const char *const databases_query =
	"SELECT oid, datname FROM pg_catalog.pg_database ORDER BY oid";

/* NULL for a database that was dropped meanwhile. */
static bool
size_of(Oid database, double *size)
{
	LOCAL_FCINFO(fcinfo, 1);
	Datum result;

	InitFunctionCallInfoData(*fcinfo, NULL, 1, InvalidOid, NULL, NULL);
	fcinfo->args[0].value = ObjectIdGetDatum(database);
	fcinfo->args[0].isnull = false;
	result = pg_database_size_oid(fcinfo);
	*size = (double) DatumGetInt64(result);
	return !fcinfo->isnull;
}

void
perfopt_collect_database_size(PerfoptBatch *batch)
{
	static Oid last = InvalidOid; /* where the run before ended */
	instr_time began, now;
	uint64 first = 0;

	perfopt_collect_begin_sql();
	perfopt_collect_select(databases_query);
	INSTR_TIME_SET_CURRENT(began);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		bool isnull;
		Oid database = DatumGetObjectId(
			SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1, &isnull));

		if (database <= last)
			first = i + 1;
	}
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		HeapTuple tuple = SPI_tuptable->vals[(first + i) % SPI_processed];
		bool isnull;
		PerfoptLabel label = { "database", SPI_getvalue(tuple, SPI_tuptable->tupdesc, 2) };
		double size;

		last = DatumGetObjectId(SPI_getbinval(tuple, SPI_tuptable->tupdesc, 1, &isnull));
		if (size_of(last, &size))
			perfopt_batch_add(batch, &perfopt_database_size_metrics[0], &label, 1, size);
		INSTR_TIME_SET_CURRENT(now);
		INSTR_TIME_SUBTRACT(now, began);
		if (INSTR_TIME_GET_MILLISEC(now) > ENOUGH_MS)
			break;
	}
	SPI_freetuptable(SPI_tuptable);
	perfopt_collect_end_sql();
}
