/*
 * partition.c
 *	  Partitions (by days UTC) of the tables that hold history, and their retention.
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
#include "store/stream.h"

/* A partitioned table that is not listed here holds raw history, in partitions of one day. */
typedef struct Partitioning
{
	const char *table;
	int days;                 /* in a partition */
	const int *retention_min; /* setting */
	bool ahead;               /* made before they are needed; others are made when they are */
} Partitioning;

static const Partitioning partitionings[] = {
	{ "sample_chunk", 1, &perfopt_retention_raw_min, false },
	{ "sample_5min_chunk", 7, &perfopt_retention_5min_min, false },
	{ "sample_1hour_chunk", 91, &perfopt_retention_1hour_min, false },
};
static const Partitioning by_day = { NULL, 1, &perfopt_retention_raw_min, true };

#define DAYS_AHEAD 1

static const Partitioning *
partitioning_of(const char *table)
{
	for (int i = 0; i < lengthof(partitionings); i++)
		if (strcmp(partitionings[i].table, table) == 0)
			return &partitionings[i];
	return &by_day;
}

int
perfopt_partition_days(const char *table)
{
	return partitioning_of(table)->days;
}

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

	bool exists;

	SPI_execute_with_args("SELECT FROM pg_catalog.pg_class WHERE relname = $1 AND"
						  " relnamespace = 'perfopt'::pg_catalog.regnamespace",
						  1, types, values, NULL, false, 0);
	exists = SPI_processed > 0;
	SPI_freetuptable(SPI_tuptable);
	return exists;
}

/* The first day of the partition that holds a day. */
static int
first_day(const char *table, int day)
{
	int days = perfopt_partition_days(table);

	return (day >= 0 ? day / days : -((days - 1 - day) / days)) * days;
}

static void
make_partition(const char *table, int day)
{
	int first = first_day(table, day);
	char *partition = psprintf("%s_p%s", table, day_name(first));

	if (relation_exists(partition))
		return;
	run(psprintf("CREATE TABLE perfopt.%s (LIKE perfopt.%s INCLUDING DEFAULTS INCLUDING STORAGE)",
				 partition, table));
	run(psprintf("ALTER TABLE perfopt.%s ATTACH PARTITION perfopt.%s"
				 " FOR VALUES FROM ('%s 00:00:00+00') TO ('%s 00:00:00+00')",
				 table, partition, day_name(first),
				 day_name(first + perfopt_partition_days(table))));

	/* What the install script makes belongs to the extension by itself. */
	if (!creating_extension)
		run(psprintf("ALTER EXTENSION perfopt ADD TABLE perfopt.%s", partition));
}

void
perfopt_partition_make(const char *table, TimestampTz ts)
{
	make_partition(table, day_of(ts));
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
						  2, types, values, NULL, false, 0);
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
perfopt_partition_maintain(TimestampTz now)
{
	int dropped = 0;
	ListCell *lc;
	List *tables = partitioned_tables();

	foreach (lc, tables)
	{
		const Partitioning *rule = partitioning_of(lfirst(lc));
		TimestampTz oldest_kept = now - *rule->retention_min * INT64CONST(60000000);

		for (int ahead = 0; rule->ahead && ahead <= DAYS_AHEAD; ahead++)
			make_partition(lfirst(lc), day_of(now) + ahead);
		dropped += drop_expired(lfirst(lc), first_day(lfirst(lc), day_of(oldest_kept)));
	}
	return dropped;
}
