/*
 * dataset.h
 *	  Reading the tables of datasets (template integration) without reading them from end to end.
 *
 * What is remembered of a dataset lives as long as the process or the dataset's schema.  All
 * functions are called between perfopt_collect_begin_sql and perfopt_collect_end_sql; those that read
 * leave their result in SPI_tuptable, between perfopt_dataset_enter and perfopt_dataset_leave.
 */
#ifndef PERFOPT_COLLECT_DATASET_H
#define PERFOPT_COLLECT_DATASET_H

#include "datatype/timestamp.h"
#include "executor/spi.h"
#include "utils/hsearch.h"

/* Of more new rows than this, the latest are read. */
#define PERFOPT_DATASET_MAX_ROWS 5000

typedef enum PerfoptDatasetQuery
{
	PERFOPT_DATASET_KEYS,
	PERFOPT_DATASET_SYNCS,
	PERFOPT_DATASET_RECONCILIATIONS,
	PERFOPT_DATASET_VALIDATIONS,
	PERFOPT_DATASET_UNMAPPED,
	PERFOPT_DATASET_NQUERIES
} PerfoptDatasetQuery;

/* Keys of a table that grows at its end. */
typedef struct PerfoptKeyWindow
{
	int64 counted; /* up to here before this reading */
	int64 settled; /* up to here with it: the highest key of the reading before */
	int64 highest; /* that there is now */
} PerfoptKeyWindow;

/* Tables in the order of their names. */
enum
{
	PERFOPT_DATASET_ENTITY,
	PERFOPT_DATASET_EXTERNAL_ID_MAP,
	PERFOPT_DATASET_EXTERNAL_SYSTEM,
	PERFOPT_DATASET_RECONCILIATION_RUN,
	PERFOPT_DATASET_SYNC_CHANGE,
	PERFOPT_DATASET_SYNC_JOB,
	PERFOPT_DATASET_VALIDATION_RESULT,
	PERFOPT_DATASET_NTABLES
};

typedef struct PerfoptDataset
{
	Oid schema;
	Oid owner;
	char name[NAMEDATALEN];
	Oid tables[PERFOPT_DATASET_NTABLES];
	double validation_pages;
	Oid changes_index; /* on sync_change (entity_id), invalid when there is none */
	Oid map_index;     /* on external_id_map (entity_id) */

	MemoryContext context; /* of what is remembered */
	SPIPlanPtr plans[PERFOPT_DATASET_NQUERIES];
	PerfoptKeyWindow changes;
	PerfoptKeyWindow runs;
	TimestampTz validated; /* when validations were read last, 0 before the first time */
	int readings;
	HTAB *systems; /* the caller's, in context */

	/* the caller, while the owner's rights are in force */
	Oid caller;
	int security;
} PerfoptDataset;

/* The datasets that can be read, at most 16. */
extern int perfopt_datasets_find(PerfoptDataset **datasets);

/*
 * Locks the tables against being changed or dropped, and takes on the owner's rights; false when
 * somebody has locked one, and then there is nothing to leave.
 */
extern bool perfopt_dataset_enter(PerfoptDataset *dataset);
extern void perfopt_dataset_leave(PerfoptDataset *dataset);

/*
 * SYNCS or RECONCILIATIONS, after moving the window on: name of the system, rows, failed rows, settled
 * rows, failed settled rows, and the time of the last sync or the mismatches of the last run.
 */
extern void perfopt_dataset_read_window(PerfoptDataset *dataset, PerfoptDatasetQuery query,
										PerfoptKeyWindow *window);

/*
 * Results of validations: all, passed, and failed since the reading before, in the share (percent) of
 * the table that is returned.
 */
extern double perfopt_dataset_read_validations(PerfoptDataset *dataset);

/* False when it would take a scan of a whole table. */
extern bool perfopt_dataset_read_unmapped(PerfoptDataset *dataset);

/*
 * Counters of mappings, validations and look-ups.  False at the first reading: what filled the tables
 * may not be counted yet.
 */
extern bool perfopt_dataset_read_statistics(PerfoptDataset *dataset);

#endif /* PERFOPT_COLLECT_DATASET_H */
