/*
 * tables.h
 *	  What is made of a reading of a database's relations; in the collector alone.
 */
#ifndef PERFOPT_COLLECT_TABLES_H
#define PERFOPT_COLLECT_TABLES_H

#include "collect/relations.h"
#include "store/store.h"

/* perfopt.database among them. */
#define PERFOPT_MAX_DATABASES 200

/*
 * What to ask of a reading, by the collector itself in perfopt.database, or by a process of its own in
 * any database.  ndatabases is 1 for perfopt.database, else how many others are watched.
 */
extern void perfopt_tables_limits(PerfoptReadingLimits *limits, int ndatabases, bool at_home);

/* Adds what is shown of a reading, with increases since the reading of this database before. */
extern void perfopt_tables_add(PerfoptBatch *batch, Oid database, const char *name,
							   const PerfoptReading *reading);
extern void perfopt_sequences_add(PerfoptBatch *batch, const char *name,
								  const PerfoptReading *reading);

/* Of a database that is watched no more. */
extern void perfopt_tables_forget(Oid database);

/* perfopt.database has too many relations for the collector to read within a cycle. */
extern bool perfopt_tables_home_large(void);

#endif /* PERFOPT_COLLECT_TABLES_H */
