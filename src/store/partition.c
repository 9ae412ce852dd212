/*
 * partition.c
 *	  Partitions by day (UTC) of the tables that hold raw history, and their retention.
 *
 * Partitions are made aside and attached, which blocks neither readers nor writers, and are members
 * of the extension, so that pg_dump leaves the history out and DROP EXTENSION takes it along.
 */
#include "postgres.h"

#include "commands/extension.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/timestamp.h"

#include "guc.h"
#include "store/store.h"

#define DAYS_AHEAD 1

static void
run(const char *sql)
{
	int result = SPI_execute(sql, false, 0);

	if (result < 0)
		elog(ERROR, "could not execute \"%s\": %s", sql, SPI_result_code_string(result));
}

/* Days since 2000-01-01 UTC, PostgreSQL's own epoch. */
static int
day_of(TimestampTz ts)
{
	return (int) (ts / USECS_PER_DAY) - (ts % USECS_PER_DAY < 0 ? 1 : 0);
}

static char *
day_name(int day)
{
	int year, month, mday;

	j2date(day + POSTGRES_EPOCH_JDATE, &year, &month, &mday);
	return psprintf("%04d%02d%02d", year, month, mday);
}

/* The names of the partitioned history tables of this extension. */
static List *
partitioned_tables(void)
{
	List *tables = NIL;

	SPI_execute("SELECT c.relname::pg_catalog.text FROM pg_catalog.pg_class c"
				" WHERE c.relnamespace = 'perfopt'::pg_catalog.regnamespace AND c.relkind = 'p'"
				" ORDER BY 1",
				true, 0);
	for (uint64 i = 0; i < SPI_processed; i++)
		tables = lappend(tables, SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1));
	return tables;
}

static bool
relation_exists(const char *name)
{
	Oid types[] = { TEXTOID };
	Datum values[] = { CStringGetTextDatum(name) };

	SPI_execute_with_args("SELECT FROM pg_catalog.pg_class WHERE relname = $1 AND"
						  " relnamespace = 'perfopt'::pg_catalog.regnamespace",
						  1, types, values, NULL, false, 0);
	return SPI_processed > 0;
}

static void
make_partition(const char *table, int day)
{
	char *partition = psprintf("%s_p%s", table, day_name(day));

	if (relation_exists(partition))
		return;
	run(psprintf("CREATE TABLE perfopt.%s (LIKE perfopt.%s INCLUDING DEFAULTS INCLUDING STORAGE)",
				 partition, table));
	run(psprintf("ALTER TABLE perfopt.%s ATTACH PARTITION perfopt.%s"
				 " FOR VALUES FROM ('%s 00:00:00+00') TO ('%s 00:00:00+00')",
				 table, partition, day_name(day), day_name(day + 1)));

	/* What the install script makes belongs to the extension by itself. */
	if (!creating_extension)
		run(psprintf("ALTER EXTENSION perfopt ADD TABLE perfopt.%s", partition));
}

static int
drop_expired(const char *table, int first_day_kept)
{
	Oid types[] = { TEXTOID, TEXTOID };
	Datum values[] = { CStringGetTextDatum(psprintf("perfopt.%s", table)),
					   CStringGetTextDatum(psprintf("%s_p%s", table, day_name(first_day_kept))) };
	List *expired = NIL;
	ListCell *lc;

	SPI_execute_with_args("SELECT c.relname::pg_catalog.text FROM pg_catalog.pg_inherits i"
						  " JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid"
						  " WHERE i.inhparent = $1::pg_catalog.regclass"
						  " AND c.relname OPERATOR(pg_catalog.<) $2"
						  /* what somebody attached by hand is not ours to drop */
						  " AND EXISTS (SELECT FROM pg_catalog.pg_depend d"
						  "  WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass"
						  "  AND d.objid = c.oid AND d.deptype = 'e')",
						  2, types, values, NULL, true, 0);
	for (uint64 i = 0; i < SPI_processed; i++)
		expired = lappend(expired, SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1));

	foreach (lc, expired)
	{
		const char *partition = lfirst(lc);

		run(psprintf("ALTER EXTENSION perfopt DROP TABLE perfopt.%s", partition));
		run(psprintf("DROP TABLE perfopt.%s", partition));
	}
	return list_length(expired);
}

int
perfopt_store_maintain(void)
{
	TimestampTz now = GetCurrentTimestamp();
	TimestampTz oldest_kept = now - perfopt_retention_raw_min * INT64CONST(60000000);
	int dropped = 0;
	ListCell *lc;
	List *tables;

	SPI_connect();

	/* One at a time: the second finds what the first has made. */
	run("LOCK TABLE perfopt.sample_hot IN SHARE UPDATE EXCLUSIVE MODE");
	tables = partitioned_tables();
	foreach (lc, tables)
	{
		for (int ahead = 0; ahead <= DAYS_AHEAD; ahead++)
			make_partition(lfirst(lc), day_of(now) + ahead);
		dropped += drop_expired(lfirst(lc), day_of(oldest_kept));
	}
	SPI_finish();
	return dropped;
}

PG_FUNCTION_INFO_V1(perfopt_maintain_now);

Datum
perfopt_maintain_now(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32(perfopt_store_maintain());
}
