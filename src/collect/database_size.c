/*
 * database_size.c
 *	  The size of each database on disk.
 *
 * pg_database_size() asks the file system about every file at once: 25 ms for a thousand tables.  Here the
 * same folders are walked a little in each cycle, and a database's size is a sample when its last file was
 * looked at.  No relation is locked, so nothing can hang behind one.
 */
#include "postgres.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "commands/dbcommands.h"
#include "common/relpath.h"
#include "executor/spi.h"
#include "portability/instr_time.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "collect/collect.h"
#include "worker/worker.h"

/* Time for the walk in a cycle; a clock is looked at each so many files. */
#define ENOUGH_MS 1
#define FILES_AT_ONCE 32

/* From the start of one round over all databases to that of the next. */
#define ROUND_MS (10 * 60 * 1000)

const PerfoptMetric perfopt_database_size_metrics[] = {
	{ "pg_database_size_bytes", "database", PERFOPT_GAUGE, "bytes",
	  "Size of the database on disk, read by and by within ten minutes" },
};
const int perfopt_database_size_nmetrics = lengthof(perfopt_database_size_metrics);

/* Where the walk is, between cycles. */
typedef struct Walk
{
	TimestampTz began; /* the round */
	Oid *databases;
	int ndatabases;
	Oid *tablespaces;
	int ntablespaces;
	int database;   /* index of the one at hand */
	int tablespace; /* index of the one at hand */
	DIR *folder;    /* NULL while none is open */
	double bytes;   /* of the database at hand, so far */
} Walk;

static Walk walk;

static int
select_oids(const char *sql, Oid **oids)
{
	int n;
	bool isnull;

	perfopt_collect_select(sql);
	n = (int) SPI_processed;
	*oids = MemoryContextAlloc(TopMemoryContext, Max(n, 1) * sizeof(Oid));
	for (int i = 0; i < n; i++)
		(*oids)[i] = DatumGetObjectId(
			SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1, &isnull));
	SPI_freetuptable(SPI_tuptable);
	return n;
}

static void
begin_round(void)
{
	if (walk.databases != NULL)
		pfree(walk.databases);
	if (walk.tablespaces != NULL)
		pfree(walk.tablespaces);
	memset(&walk, 0, sizeof(walk));
	walk.began = GetCurrentTimestamp();
	perfopt_collect_begin_sql();
	walk.ndatabases = select_oids("SELECT oid FROM pg_catalog.pg_database", &walk.databases);
	walk.ntablespaces = select_oids("SELECT oid FROM pg_catalog.pg_tablespace"
									" WHERE spcname <> 'pg_global'",
									&walk.tablespaces);
	perfopt_collect_end_sql();
}

/* Opens the next folder of the database at hand; false when it has no more.  Most are in one tablespace. */
static bool
open_folder(void)
{
	while (walk.folder == NULL && walk.tablespace < walk.ntablespaces)
	{
		char *path =
			GetDatabasePath(walk.databases[walk.database], walk.tablespaces[walk.tablespace++]);

		walk.folder = opendir(path);
		if (walk.folder == NULL && errno != ENOENT)
			ereport(ERROR,
					(errcode_for_file_access(), errmsg("could not open folder \"%s\": %m", path)));
		pfree(path);
	}
	return walk.folder != NULL;
}

/* A file that is gone by now takes no room. */
static void
add_file(const char *name)
{
	struct stat file;

	if (fstatat(dirfd(walk.folder), name, &file, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(file.st_mode))
		walk.bytes += (double) file.st_size;
}

/* Looks at some files of the database at hand; true when it had no more. */
static bool
walk_on(void)
{
	for (int i = 0; i < FILES_AT_ONCE; i++)
	{
		struct dirent *entry;

		if (!open_folder())
			return true;
		entry = readdir(walk.folder);
		if (entry != NULL)
			add_file(entry->d_name);
		else
		{
			closedir(walk.folder);
			walk.folder = NULL;
		}
	}
	return false;
}

/* Each database is a writer of its own, since each has its own time.  One that was dropped has no name. */
static void
finish_database(void)
{
	PerfoptLabel label = { "database" };
	MemoryContext context = CurrentMemoryContext;

	perfopt_collect_begin_sql();
	label.value = get_database_name(walk.databases[walk.database]);
	if (label.value != NULL)
		label.value = MemoryContextStrdup(context, label.value);
	perfopt_collect_end_sql();
	if (label.value != NULL)
		perfopt_batch_add(perfopt_collect_batch(psprintf("size of %s", label.value)),
						  &perfopt_database_size_metrics[0], &label, 1, walk.bytes);
	walk.database++;
	walk.tablespace = 0;
	walk.bytes = 0;
}

void
perfopt_collect_database_size(PerfoptBatch *batch)
{
	instr_time began, now;

	if (walk.database == walk.ndatabases)
	{
		TimestampTz moment = GetCurrentTimestamp();

		if (walk.ndatabases > 0 && moment >= walk.began &&
			!TimestampDifferenceExceeds(walk.began, moment, ROUND_MS) && !perfopt_worker_asked())
			return;
		begin_round();
	}
	INSTR_TIME_SET_CURRENT(began);
	do
	{
		if (walk_on())
			finish_database();
		INSTR_TIME_SET_CURRENT(now);
		INSTR_TIME_SUBTRACT(now, began);
	} while (walk.database < walk.ndatabases && INSTR_TIME_GET_MILLISEC(now) < ENOUGH_MS);
}
