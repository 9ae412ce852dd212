/*
 * resources.h
 *	  What an operation's statements used on this server, by pg_stat_statements.
 *
 * Counters are read when the clock starts and when the test is over; their difference is the test's, and
 * of whoever else runs the same statements in the same database meanwhile.
 */
#ifndef PERFOPT_LOAD_RESOURCES_H
#define PERFOPT_LOAD_RESOURCES_H

#include "load/run.h"

/*
 * In a transaction under SPI; ERROR where pg_stat_statements is created but not loaded.  Fills in a LoadResources for each operation, known where its statements
 * were found; leaves all unknown where the target is another server, or pg_stat_statements is not here.
 */
extern void load_resources_read(const LoadConfig *config, LoadResources *resources);

/* Per call, as JSON; NULL where they are not known. */
extern char *load_resources_json(const LoadResources *before, const LoadResources *after);

#endif /* PERFOPT_LOAD_RESOURCES_H */
