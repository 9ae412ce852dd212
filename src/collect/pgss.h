/*
 * pgss.h
 *	  What pg_stat_statements has counted, and the texts of its statements.
 *
 * There are two ways to it.  Its function (pgss_function.h) is what it promises; but of each entry it
 * makes a row of more than forty columns, and for one text it loads them all: ten times the CPU, and
 * megabytes of memory.  Its table in shared memory (pgss_table.h) is quick, but how that is laid out is
 * no promise.  So a process first reads by the function and looks up each row in the table; from then
 * on it reads the table, if all that could be compared were the same.  Otherwise it goes on with the
 * function and compares again each time.  DEBUG1 says which.
 *
 * All functions are called between perfopt_collect_begin_sql and perfopt_collect_end_sql.
 */
#ifndef PERFOPT_COLLECT_PGSS_H
#define PERFOPT_COLLECT_PGSS_H

typedef enum PerfoptPgssCounter
{
	PERFOPT_PGSS_CALLS,
	PERFOPT_PGSS_EXEC_SECONDS,
	PERFOPT_PGSS_PLAN_SECONDS,
	PERFOPT_PGSS_ROWS,
	PERFOPT_PGSS_SHARED_READ_BLOCKS,
	PERFOPT_PGSS_TEMP_WRITTEN_BLOCKS,
	PERFOPT_PGSS_WAL_BYTES,
	PERFOPT_PGSS_JIT_SECONDS,
	PERFOPT_PGSS_COUNTERS
} PerfoptPgssCounter;

/* No padding without a name, so that it can be hashed. */
typedef struct PerfoptPgssKey
{
	int64 query_id;
	Oid database;
	Oid role;
	int32 toplevel;
	int32 padding;
} PerfoptPgssKey;

typedef struct PerfoptPgssEntry
{
	PerfoptPgssKey key;
	double counters[PERFOPT_PGSS_COUNTERS];
} PerfoptPgssEntry;

/* Counters only grow, and are numbers. */
static inline bool
perfopt_pgss_same_counters(const double *a, const double *b)
{
	for (int i = 0; i < PERFOPT_PGSS_COUNTERS; i++)
	{
		if (a[i] != b[i])
			return false;
	}
	return true;
}

typedef struct PerfoptPgss
{
	Oid function; /* pg_stat_statements(boolean) */
	Oid info;     /* pg_stat_statements_info(), invalid before 1.9 */
} PerfoptPgss;

/*
 * Callbacks: what they are given is gone when they return.  The first two may run under the lock of
 * pg_stat_statements, so they do little: no SQL, no waiting.
 */
typedef void (*PerfoptPgssTake)(const PerfoptPgssEntry *entry, void *arg);
typedef bool (*PerfoptPgssWants)(const PerfoptPgssKey *key, void *arg);
typedef void (*PerfoptPgssTakeText)(const PerfoptPgssKey *key, const char *text, void *arg);

/* Longer texts are cut, at a whole character. */
#define PERFOPT_PGSS_TEXT_BYTES 4096

/* Finds the functions; returns NULL, or what is lacking and how to get it. */
extern const char *perfopt_pgss_find(PerfoptPgss *pgss);

/* All entries, in no order. */
extern void perfopt_pgss_entries(const PerfoptPgss *pgss, PerfoptPgssTake take, void *arg);

/* The texts, in the server's encoding, of those that are wanted.  Some may have none that can be read. */
extern void perfopt_pgss_texts(const PerfoptPgss *pgss, PerfoptPgssWants wants,
							   PerfoptPgssTakeText take, void *arg);

/* Whether to read texts costs so much that it should be done seldom. */
extern bool perfopt_pgss_texts_are_costly(void);

/* How often statements were pushed out because there were too many; false where it does not say. */
extern bool perfopt_pgss_dealloc(const PerfoptPgss *pgss, double *dealloc);

#endif /* PERFOPT_COLLECT_PGSS_H */
