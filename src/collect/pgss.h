/*
 * pgss.h
 *	  Reading pg_stat_statements row by row.
 *
 * Its function is called directly and its rows are taken from the tuplestore that it fills: no plan,
 * no executor, no second copy as an SPI result.  Columns are found by name, since they were renamed
 * and added to over the versions.
 *
 * All functions are called between perfopt_collect_begin_sql and perfopt_collect_end_sql.
 */
#ifndef PERFOPT_COLLECT_PGSS_H
#define PERFOPT_COLLECT_PGSS_H

#include "executor/tuptable.h"

typedef struct PerfoptPgss
{
	Oid function; /* pg_stat_statements(boolean) */
	Oid info;     /* pg_stat_statements_info(), invalid before 1.9 */
} PerfoptPgss;

/* Takes one row, which is gone when it returns. */
typedef void (*PerfoptPgssRow)(TupleTableSlot *row, void *arg);

/* Finds the functions; returns NULL, or what is lacking and how to get it. */
extern const char *perfopt_pgss_find(PerfoptPgss *pgss);

/*
 * All rows, with or without their texts.  Texts make the function load the whole file that holds
 * them.  What it takes in memory is given back, apart from what `row` keeps.
 */
extern void perfopt_pgss_read(const PerfoptPgss *pgss, bool texts, PerfoptPgssRow row, void *arg);

/* How often statements were pushed out because there were too many; false where it does not say. */
extern bool perfopt_pgss_dealloc(const PerfoptPgss *pgss, double *dealloc);

/* A column's number, 0 where this version has none of that name. */
extern int perfopt_pgss_column(TupleDesc desc, const char *name);

#endif /* PERFOPT_COLLECT_PGSS_H */
