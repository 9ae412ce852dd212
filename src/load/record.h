/*
 * record.h
 *	  The rows of a load test, written by its workers in short transactions of their own.
 *
 * A transaction never waits for long: it gives way to whoever drops or alters the extension, and a
 * lock that somebody holds on a table fails it.  What was counted by the second is kept and written
 * with the next second then; a limited number of seconds is kept.
 */
#ifndef PERFOPT_LOAD_RECORD_H
#define PERFOPT_LOAD_RECORD_H

#include "load/engine.h"

/* The run's row, and with it the run's id.  ERROR when it can't be written: there is no test without a row. */
extern void load_record_start(LoadRun *run, const LoadConfig *config);

/* Rows in test_interval for the second that has ended. */
extern void load_record_second(Engine *engine, int second);

/* What load_record_second() could not write yet, without ERROR. */
extern void load_record_rest(const LoadRun *run);

/* What the statements have used until now, into the run's shared memory. */
extern void load_record_resources(LoadRun *run, const LoadConfig *config);

/* Rows in test_slot for a slot of an A/B test; lost, and told to the log, when they can't be written now. */
extern void load_record_slot(Engine *engine, int pair, int variant, double seconds,
							 const LoadSecond *counters);

/* Rows of test_interval that there was no room to keep until they could be written. */
extern uint64 load_record_dropped(void);

/*
 * Runs write(arg) under SPI in a transaction.  Returns NULL when it is committed, otherwise why not;
 * *gone is set when the extension is not there any more.
 */
extern const char *load_record_transaction(void (*write)(const void *arg), const void *arg,
										   bool *gone);
extern void load_record_execute(const char *sql, int nargs, Oid *types, Datum *values,
								const char *nulls);
extern Oid load_record_histogram_type(void);

/*
 * conclude.c: results by operation, the verdict and the run's final state, in the tables and in the
 * run's shared memory.  Tries for a while; false when the tables had to be given up.
 */
extern bool load_conclude(LoadRun *run, const LoadConfig *config, LoadState state);

#endif /* PERFOPT_LOAD_RECORD_H */
