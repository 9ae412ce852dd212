/*
 * wal.c
 *	  The WAL directory and the archiver's backlog, by counting names.
 *
 * pg_ls_waldir and pg_ls_archive_statusdir look at each file's size and time, which takes long where
 * there are many, and that is just when it matters.
 */
#include "postgres.h"

#include <limits.h>

#include "access/xlog.h"
#include "access/xlog_internal.h"
#include "storage/fd.h"

#include "collect/collect.h"

/* More files than this wait for the archiver: the answer is no different. */
#define MAX_READY 100000

enum
{
	DIRECTORY_BYTES,
	ARCHIVE_READY_FILES
};

const PerfoptMetric perfopt_wal_metrics[] = {
	[DIRECTORY_BYTES] = { "pg_wal_directory_bytes", "database", PERFOPT_GAUGE, "bytes",
						  "Size of the WAL files in pg_wal" },
	[ARCHIVE_READY_FILES] = { "pg_archive_ready_files", "database", PERFOPT_GAUGE, "files",
							  "WAL files that wait to be archived, at most 100000" },
};
const int perfopt_wal_nmetrics = lengthof(perfopt_wal_metrics);

static bool
is_segment(const char *name)
{
	return IsXLogFileName(name);
}

static bool
is_ready(const char *name)
{
	size_t len = strlen(name);

	return len > 6 && strcmp(name + len - 6, ".ready") == 0;
}

static int
count_names(const char *path, bool (*counts)(const char *), int limit)
{
	DIR *dir = AllocateDir(path);
	struct dirent *entry;
	int n = 0;

	while (n < limit && (entry = ReadDir(dir, path)) != NULL)
		if (counts(entry->d_name))
			n++;
	FreeDir(dir);
	return n;
}

void
perfopt_collect_wal(PerfoptBatch *batch)
{
	int segments;

	perfopt_collect_begin_sql();
	segments = count_names(XLOGDIR, is_segment, INT_MAX);
	perfopt_batch_add(batch, &perfopt_wal_metrics[DIRECTORY_BYTES], NULL, 0,
					  (double) segments * wal_segment_size);
	if (XLogArchivingActive())
		perfopt_batch_add(batch, &perfopt_wal_metrics[ARCHIVE_READY_FILES], NULL, 0,
						  count_names(XLOGDIR "/archive_status", is_ready, MAX_READY));
	perfopt_collect_end_sql();
}
