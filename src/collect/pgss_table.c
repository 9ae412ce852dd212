/*
 * pgss_table.c
 *	  Reading pg_stat_statements where it keeps its entries.
 */
#include "postgres.h"

#include <fcntl.h>
#include <unistd.h>

#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/fd.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"
#include "utils/guc.h"
#include "utils/hsearch.h"

#include "catalog/namespace.h"
#include "collect/pgss_table.h"
#include "compat.h"

#define TEXT_FILE PG_STAT_TMP_DIR "/pgss_query_texts.stat"

/* An entry whose text is wanted, and the text as it is in the file. */
typedef struct Wanted
{
	PerfoptPgssKey key;
	Size offset;
	int length;
	int encoding;
	char *text; /* NULL: not readable */
	struct Wanted *next;
} Wanted;

static HTAB *table = NULL;
static LWLock *lock = NULL;

static void
attach(void)
{
	HASHCTL ctl = { .keysize = sizeof(PerfoptPgssTableKey),
					.entrysize = sizeof(PerfoptPgssTableEntry) };
	long max;

	if (table != NULL)
		return;
	lock = &GetNamedLWLockTranche("pg_stat_statements")->lock;
	max = strtol(GetConfigOption("pg_stat_statements.max", false, false), NULL, 10);
	table = ShmemInitHash("pg_stat_statements hash", max, max, &ctl, HASH_ELEM | HASH_BLOBS);
}

/* An entry without an execution only holds a text for one to come. */
static bool
is_pending(const PerfoptPgssTableEntry *entry)
{
	return entry->calls[0] + entry->calls[1] == 0;
}

static void
read_key(const PerfoptPgssTableEntry *from, PerfoptPgssKey *key)
{
	memset(key, 0, sizeof(*key));
	key->query_id = (int64) from->key.query_id;
	key->database = from->key.database;
	key->role = from->key.role;
	key->toplevel = from->key.toplevel;
}

static void
read_counters(const PerfoptPgssTableEntry *from, double *counters)
{
	counters[PERFOPT_PGSS_CALLS] = from->calls[1];
	counters[PERFOPT_PGSS_EXEC_SECONDS] = from->total_ms[1] / 1000;
	counters[PERFOPT_PGSS_PLAN_SECONDS] = from->total_ms[0] / 1000;
	counters[PERFOPT_PGSS_ROWS] = from->rows;
	counters[PERFOPT_PGSS_SHARED_READ_BLOCKS] = from->shared_blocks_read;
	counters[PERFOPT_PGSS_TEMP_WRITTEN_BLOCKS] = from->temp_blocks_written;
	counters[PERFOPT_PGSS_WAL_BYTES] = from->wal_bytes;
	counters[PERFOPT_PGSS_JIT_SECONDS] = (from->jit_generation_ms + from->jit_inlining_ms +
										  from->jit_optimization_ms + from->jit_emission_ms) /
										 1000;
}

void
perfopt_pgss_table_entries(PerfoptPgssTake take, void *arg)
{
	const PerfoptPgssTableEntry *from;
	PerfoptPgssEntry entry;
	HASH_SEQ_STATUS scan;

	attach();
	LWLockAcquire(lock, LW_SHARED);
	hash_seq_init(&scan, table);
	while ((from = hash_seq_search(&scan)) != NULL)
	{
		if (is_pending(from))
			continue;
		read_key(from, &entry.key);
		read_counters(from, entry.counters);
		take(&entry, arg);
	}
	LWLockRelease(lock);
}

bool
perfopt_pgss_table_find(const PerfoptPgssKey *key, PerfoptPgssEntry *entry)
{
	const PerfoptPgssTableEntry *from;
	PerfoptPgssTableKey wanted;
	bool found;

	attach();
	memset(&wanted, 0, sizeof(wanted));
	wanted.role = key->role;
	wanted.database = key->database;
	wanted.query_id = (uint64) key->query_id;
	wanted.toplevel = key->toplevel != 0;
	LWLockAcquire(lock, LW_SHARED);
	from = hash_search(table, &wanted, HASH_FIND, NULL);
	found = from != NULL && !is_pending(from);
	if (found)
		read_counters(from, entry->counters);
	LWLockRelease(lock);
	return found;
}

/* Those that are wanted, and have a text. */
static Wanted *
find_wanted(PerfoptPgssWants wants, void *arg)
{
	const PerfoptPgssTableEntry *from;
	Wanted *list = NULL;
	HASH_SEQ_STATUS scan;

	hash_seq_init(&scan, table);
	while ((from = hash_seq_search(&scan)) != NULL)
	{
		PerfoptPgssKey key;
		Wanted *wanted;

		read_key(from, &key);
		if (is_pending(from) || from->query_length < 0 || !wants(&key, arg))
			continue;
		wanted = palloc0(sizeof(Wanted));
		wanted->key = key;
		wanted->offset = from->query_offset;
		wanted->length = from->query_length;
		wanted->encoding = from->encoding;
		wanted->next = list;
		list = wanted;
	}
	return list;
}

/*
 * Texts follow each other with a null byte after each.  NULL where one does not begin and end so, as
 * when the file was truncated by somebody.
 */
static char *
read_text(int fd, const Wanted *wanted)
{
	int wanted_bytes = Min(wanted->length, PERFOPT_PGSS_TEXT_BYTES + MAX_MULTIBYTE_CHAR_LEN);
	char *text = palloc(wanted_bytes + 2);
	char before = '\0';
	char after;

	if ((wanted->offset > 0 && pg_pread(fd, &before, 1, wanted->offset - 1) != 1) ||
		before != '\0' || pg_pread(fd, text, wanted_bytes, wanted->offset) != wanted_bytes ||
		pg_pread(fd, &after, 1, wanted->offset + wanted->length) != 1 || after != '\0')
	{
		pfree(text);
		return NULL;
	}
	text[wanted_bytes] = '\0';
	if (strlen(text) != wanted_bytes)
	{
		pfree(text);
		return NULL;
	}
	return text;
}

/* The file is written anew only by who holds the lock exclusively. */
static Wanted *
read_wanted(PerfoptPgssWants wants, void *arg)
{
	Wanted *list;
	int fd;

	LWLockAcquire(lock, LW_SHARED);
	list = find_wanted(wants, arg);
	if (list != NULL)
	{
		fd = OpenTransientFile(TEXT_FILE, O_RDONLY | PG_BINARY);
		for (Wanted *wanted = list; wanted != NULL && fd >= 0; wanted = wanted->next)
			wanted->text = read_text(fd, wanted);
		if (fd >= 0)
			CloseTransientFile(fd);
	}
	LWLockRelease(lock);
	return list;
}

/* Cut, and in the server's encoding; NULL where it is not valid in its own or can't be converted. */
static char *
convert(char *text, int encoding)
{
	int server = GetDatabaseEncoding();
	int length = strlen(text);
	Oid proc;
	char *converted;
	int size;

	if (!PG_VALID_BE_ENCODING(encoding))
		return NULL;
	length = pg_encoding_mbcliplen(encoding, text, length, PERFOPT_PGSS_TEXT_BYTES);
	text[length] = '\0';
	if (encoding == server || encoding == PG_SQL_ASCII || server == PG_SQL_ASCII)
		return pg_verify_mbstr(server, text, length, true) ? text : NULL;
	proc = FindDefaultConversionProc(encoding, server);
	if (!OidIsValid(proc))
		return NULL;
	size = length * MAX_CONVERSION_GROWTH + 1;
	converted = palloc(size);
	if (pg_do_encoding_conversion_buf(proc, encoding, server, (unsigned char *) text, length,
									  (unsigned char *) converted, size, true) != length)
		return NULL;
	converted[pg_mbcliplen(converted, strlen(converted), PERFOPT_PGSS_TEXT_BYTES)] = '\0';
	return converted;
}

void
perfopt_pgss_table_texts(PerfoptPgssWants wants, PerfoptPgssTakeText take, void *arg)
{
	attach();
	for (Wanted *wanted = read_wanted(wants, arg); wanted != NULL; wanted = wanted->next)
	{
		char *text = wanted->text != NULL ? convert(wanted->text, wanted->encoding) : NULL;

		if (text != NULL)
			take(&wanted->key, text, arg);
	}
}
