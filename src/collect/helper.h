/*
 * helper.h
 *	  Short-lived workers that the collector sends out: to read what would hold it up or fill its
 *	  memory, or what is in another database.
 *
 * A helper gets what it has to do in a segment of shared memory and leaves there what it found.  The
 * collector looks after it when it likes: it may wait a little, and come back in a later cycle.  One
 * that is not done by its deadline is terminated.
 */
#ifndef PERFOPT_COLLECT_HELPER_H
#define PERFOPT_COLLECT_HELPER_H

#include "datatype/timestamp.h"
#include "port/atomics.h"
#include "postmaster/bgworker.h"
#include "storage/dsm.h"

typedef enum PerfoptHelperJob
{
	PERFOPT_HELPER_TABLES, /* limits of a reading, and a packed reading */
	PERFOPT_HELPER_CUSTOM, /* names of custom metrics, and their rows (custom.h) */
	PERFOPT_HELPER_JOBS
} PerfoptHelperJob;

typedef struct PerfoptHelper PerfoptHelper;

/* The head of the segment. */
typedef struct PerfoptHelperArea
{
	int job;
	NameData database;
	TimestampTz deadline; /* the server cancels what runs longer */
	pg_atomic_uint32 done;
	char error[256]; /* empty when all went well; when the helper ended early, perhaps why */
	double cpu_ms;   /* of the whole process */
	double wall_ms;
	Size size; /* of what follows */
	char data[FLEXIBLE_ARRAY_MEMBER];
} PerfoptHelperArea;

/*
 * Starts a helper in a database.  The first bytes of its data are a copy of what is given.  Raises an
 * ERROR when no process is to be had.
 */
extern PerfoptHelper *perfopt_helper_start(PerfoptHelperJob job, const char *database,
										   int deadline_ms, Size size, const char *data,
										   Size data_size);

/* How long a source may wait for helpers in this cycle, given how much of its time is left. */
extern long perfopt_helper_patience_ms(bool asked);

/* Waits until it is done or gone, so long at most; true then.  Terminates one past its deadline. */
extern bool perfopt_helper_wait(PerfoptHelper *helper, long timeout_ms);

/* What it left; valid until perfopt_helper_free(), which must follow. */
extern PerfoptHelperArea *perfopt_helper_area(PerfoptHelper *helper);
extern void perfopt_helper_free(PerfoptHelper *helper);

/* The jobs: in the helper, connected and outside any transaction. */
extern void perfopt_helper_tables(PerfoptHelperArea *area);
extern void perfopt_helper_custom(PerfoptHelperArea *area);

extern PGDLLEXPORT void perfopt_collect_helper_main(Datum handle);

#endif /* PERFOPT_COLLECT_HELPER_H */
