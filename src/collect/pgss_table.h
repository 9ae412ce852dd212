/*
 * pgss_table.h
 *	  Reading pg_stat_statements where it keeps its entries: in a hash table in shared memory, and their
 *	  texts in a file.  Nothing is ever written there.
 *
 * The table's lock is held while it is read; the function of pg_stat_statements holds it for longer.
 * An entry's spinlock is not taken: each counter is read at once, together they may be one execution
 * apart, which the next reading makes up for.
 *
 * Only for a server that runs pg_stat_statements in shared memory: its function, called before, has
 * then not complained.
 */
#ifndef PERFOPT_COLLECT_PGSS_TABLE_H
#define PERFOPT_COLLECT_PGSS_TABLE_H

#include "collect/pgss.h"

extern void perfopt_pgss_table_entries(PerfoptPgssTake take, void *arg);

/* Returns false when there is none; only the counters of the entry are filled in. */
extern bool perfopt_pgss_table_find(const PerfoptPgssKey *key, PerfoptPgssEntry *entry);

extern void perfopt_pgss_table_texts(PerfoptPgssWants wants, PerfoptPgssTakeText take, void *arg);

#endif /* PERFOPT_COLLECT_PGSS_TABLE_H */
