/*
 * stream.c
 *	  The three streams, their locks and the borders of their partitions.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "store/stream.h"

const PerfoptStream perfopt_streams[PERFOPT_NUM_STREAMS] = {
	[PERFOPT_RAW] = { "sample", "sample_hot", "sample_chunk", 1, { "value" }, 1440 },
	[PERFOPT_5MIN] = { "sample_5min",
					   "sample_5min_hot",
					   "sample_5min_chunk",
					   4,
					   { "n", "min", "max", "sum" },
					   288 },
	[PERFOPT_1HOUR] = { "sample_1hour",
						"sample_1hour_hot",
						"sample_1hour_chunk",
						4,
						{ "n", "min", "max", "sum" },
						168 },
};

Oid
perfopt_store_owner(void)
{
	Oid table = get_relname_relid("sample_hot", get_namespace_oid("perfopt", false));
	HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(table));
	Oid owner;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "perfopt.sample_hot does not exist");
	owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
	ReleaseSysCache(tuple);
	return owner;
}

void
perfopt_store_prepare(SPIPlanPtr *plan, const char *sql, int nargs, Oid *types)
{
	SPIPlanPtr made;

	if (*plan != NULL)
		return;
	made = SPI_prepare(sql, nargs, types);
	if (made == NULL)
		elog(ERROR, "could not prepare \"%s\": %s", sql, SPI_result_code_string(SPI_result));
	SPI_keepplan(made);
	*plan = made;
}

void
perfopt_store_execute(SPIPlanPtr *plan, const char *sql, int nargs, Oid *types, Datum *values,
					  const char *nulls)
{
	int result;

	perfopt_store_prepare(plan, sql, nargs, types);
	result = SPI_execute_plan(*plan, values, nulls, false, 0);
	if (result < 0)
		elog(ERROR, "could not execute \"%s\": %s", sql, SPI_result_code_string(result));
}

void
perfopt_store_select_as_owner(SPIPlanPtr *plan, const char *sql)
{
	Oid user;
	int security;
	int result;

	GetUserIdAndSecContext(&user, &security);
	SetUserIdAndSecContext(perfopt_store_owner(), security | SECURITY_LOCAL_USERID_CHANGE);
	perfopt_store_prepare(plan, sql, 0, NULL);
	result = SPI_execute_plan(*plan, NULL, NULL, true, 0);
	SetUserIdAndSecContext(user, security);
	if (result != SPI_OK_SELECT)
		elog(ERROR, "could not execute \"%s\": %s", sql, SPI_result_code_string(result));
}

Datum
perfopt_float8_array(const double *values, int n)
{
	Datum *elements = palloc(Max(n, 1) * sizeof(Datum));
	ArrayType *array;

	for (int i = 0; i < n; i++)
		elements[i] = Float8GetDatum(values[i]);
	array =
		construct_array(elements, n, FLOAT8OID, sizeof(float8), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE);
	pfree(elements);
	return PointerGetDatum(array);
}

void
perfopt_stream_lock(PerfoptStreamId id)
{
	static SPIPlanPtr plan = NULL;
	Oid types[] = { TEXTOID };
	Datum values[] = { CStringGetTextDatum(perfopt_streams[id].name) };

	perfopt_store_execute(
		&plan, "SELECT FROM perfopt.stream WHERE name OPERATOR(pg_catalog.=) $1 FOR UPDATE",
		lengthof(types), types, values, NULL);
	SPI_freetuptable(SPI_tuptable);
}

TimestampTz
perfopt_period_start(PerfoptStreamId id, TimestampTz ts)
{
	int64 width = perfopt_partition_days(perfopt_streams[id].chunk) * USECS_PER_DAY;

	/* Infinity, and what only an infinity that was moved on can be. */
	if (!IS_VALID_TIMESTAMP(ts))
		return ts < 0 ? DT_NOBEGIN : DT_NOEND;
	return (ts >= 0 ? ts / width : -((width - 1 - ts) / width)) * width;
}

TimestampTz
perfopt_period_end(PerfoptStreamId id, TimestampTz ts)
{
	return perfopt_period_start(id, ts) +
		   perfopt_partition_days(perfopt_streams[id].chunk) * USECS_PER_DAY;
}
