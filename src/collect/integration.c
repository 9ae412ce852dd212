/*
 * integration.c
 *	  What the tables of a dataset (template integration) tell about an application that keeps its
 *	  records in step with external systems.
 *
 * Tables may have millions of rows, so none is read from end to end:
 * - Syncs and reconciliations are read by the order of their keys from where the reading before ended,
 *   up to the highest key that that reading saw: by now, what was under way then has been committed.
 *   Counters are therefore one reading late.  Of more than MAX_ROWS rows, the latest are read and
 *   stand for the others.
 * - Mappings, validations and queries are counted by the server's statistics.
 * - Results of validations are read whole while their table is small, else from a sample of its pages.
 *
 * The tables belong to whoever made the dataset.  They are read with the rights of that role, only if
 * they are plain tables, and not while somebody has locked one.
 */
#include "postgres.h"

#include <math.h>

#include "access/xact.h"
#include "executor/spi.h"
#include "mb/pg_wchar.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "collect/collect.h"
#include "collect/dataset.h"

#define INTEGRATION "integration"
#define ALL_SYSTEMS "all"

/* Series by system: the busiest of each reading, the others together; the longest lags. */
#define MAX_SYSTEMS 20

/* Systems whose last sync is remembered. */
#define MAX_REMEMBERED 2000
#define SYSTEM_BYTES 64

enum
{
	SYNC_OPERATIONS,
	SYNC_FAILURES,
	RECONCILIATION_OPERATIONS,
	RECONCILIATION_FAILURES,
	VALIDATION_OPERATIONS,
	VALIDATION_FAILURES,
	MAPPING_OPERATIONS,
	QUERY_OPERATIONS,
	SYNC_LAG,
	VALIDATION_PASS_RATIO,
	UNMAPPED_IDS,
	RECONCILIATION_MISMATCHES
};

const PerfoptMetric perfopt_integration_metrics[] = {
	[SYNC_OPERATIONS] = { "integration_sync_operations_total", INTEGRATION, PERFOPT_COUNTER,
						  "operations", "Changes that syncs with the system logged" },
	[SYNC_FAILURES] = { "integration_sync_failures_total", INTEGRATION, PERFOPT_COUNTER,
						"operations", "Those of them whose job failed" },
	[RECONCILIATION_OPERATIONS] = { "integration_reconciliation_operations_total", INTEGRATION,
									PERFOPT_COUNTER, "operations",
									"Reconciliations with the system" },
	[RECONCILIATION_FAILURES] = { "integration_reconciliation_failures_total", INTEGRATION,
								  PERFOPT_COUNTER, "operations",
								  "Reconciliations that did not finish" },
	[VALIDATION_OPERATIONS] = { "integration_validation_operations_total", INTEGRATION,
								PERFOPT_COUNTER, "operations", "Results of validations written" },
	[VALIDATION_FAILURES] = { "integration_validation_failures_total", INTEGRATION, PERFOPT_COUNTER,
							  "operations",
							  "Results since the reading before that did not pass; in a large "
							  "table,"
							  " an estimate" },
	[MAPPING_OPERATIONS] = { "integration_mapping_operations_total", INTEGRATION, PERFOPT_COUNTER,
							 "operations", "Mappings of external ids written or verified" },
	[QUERY_OPERATIONS] = { "integration_query_operations_total", INTEGRATION, PERFOPT_COUNTER,
						   "operations", "Look-ups of the changes of an entity" },
	[SYNC_LAG] = { "integration_sync_lag_seconds", INTEGRATION, PERFOPT_GAUGE, "seconds",
				   "Time since the last change that a sync with the system logged" },
	[VALIDATION_PASS_RATIO] = { "integration_validation_pass_ratio", INTEGRATION, PERFOPT_GAUGE,
								"ratio", "Share of the results of validations that passed" },
	[UNMAPPED_IDS] = { "integration_unmapped_ids", INTEGRATION, PERFOPT_GAUGE, "entities",
					   "Of the latest 1000 entities, those that are known to no external system" },
	[RECONCILIATION_MISMATCHES] = { "integration_reconciliation_mismatches", INTEGRATION,
									PERFOPT_GAUGE, "records",
									"Mismatches in the latest reconciliation with the system, when"
									" there was one" },
};
const int perfopt_integration_nmetrics = lengthof(perfopt_integration_metrics);

typedef struct SystemState
{
	char name[SYSTEM_BYTES]; /* key */
	TimestampTz last_sync;
} SystemState;

static void
add(PerfoptBatch *batch, int metric, const PerfoptDataset *dataset, const char *system,
	double value, bool is_increase)
{
	PerfoptLabel labels[] = { { "dataset", dataset->name }, { "system", system } };

	if (is_increase)
		perfopt_batch_add_increase(batch, &perfopt_integration_metrics[metric], labels,
								   lengthof(labels), value);
	else
		perfopt_batch_add(batch, &perfopt_integration_metrics[metric], labels, lengthof(labels),
						  value);
}

/* A number in a row of the result; 0 for NULL. */
static double
number(uint64 row, int column)
{
	bool isnull;
	Datum value = SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column, &isnull);

	if (isnull)
		return 0;
	return perfopt_collect_number(value, SPI_gettypeid(SPI_tuptable->tupdesc, column));
}

/*
 * The result has a row a system, the busiest first: its name, then operations and failures, of all
 * rows that were read and of those up to the settled key.  In exact figures, unless there were too many
 * rows to read them all: then all that were read stand for the keys of the window.
 */
static void
deliver_operations(PerfoptBatch *batch, const PerfoptDataset *dataset,
				   const PerfoptKeyWindow *window, int operations, int failures)
{
	double read = 0, scale = 1, others = 0, others_failed = 0;
	bool is_sample;

	if (window->settled == window->counted)
		return;
	for (uint64 i = 0; i < SPI_processed; i++)
		read += number(i, 2);
	is_sample = read >= PERFOPT_DATASET_MAX_ROWS;
	if (is_sample)
		scale = (window->settled - window->counted) / read;

	for (uint64 i = 0; i < SPI_processed; i++)
	{
		double n = rint(number(i, is_sample ? 2 : 4) * scale);
		double failed = rint(number(i, is_sample ? 3 : 5) * scale);
		char *system = SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1);

		if (i >= MAX_SYSTEMS)
		{
			others += n;
			others_failed += failed;
		}
		else if (n > 0)
		{
			add(batch, operations, dataset, system, n, true);
			add(batch, failures, dataset, system, failed, true);
		}
	}
	if (others > 0)
	{
		add(batch, operations, dataset, "other", others, true);
		add(batch, failures, dataset, "other", others_failed, true);
	}
}

static void
remember_syncs(PerfoptDataset *dataset)
{
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		char *system = SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1);
		char key[SYSTEM_BYTES];
		SystemState *state;
		bool isnull, found;
		TimestampTz last = DatumGetTimestampTz(
			SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 6, &isnull));

		if (isnull || system == NULL)
			continue;
		strlcpy(key, system, pg_mbcliplen(system, strlen(system), SYSTEM_BYTES - 1) + 1);
		if (hash_get_num_entries(dataset->systems) >= MAX_REMEMBERED &&
			hash_search(dataset->systems, key, HASH_FIND, NULL) == NULL)
			continue;
		state = hash_search(dataset->systems, key, HASH_ENTER, &found);
		if (!found || last > state->last_sync)
			state->last_sync = last;
	}
}

static int
by_last_sync(const void *a, const void *b)
{
	TimestampTz x = (*(SystemState *const *) a)->last_sync;
	TimestampTz y = (*(SystemState *const *) b)->last_sync;

	return (x > y) - (x < y);
}

static void
deliver_lags(PerfoptBatch *batch, const PerfoptDataset *dataset)
{
	long n = hash_get_num_entries(dataset->systems);
	SystemState **states = palloc(Max(n, 1) * sizeof(SystemState *));
	TimestampTz now = GetCurrentTimestamp();
	HASH_SEQ_STATUS scan;
	SystemState *state;
	int i = 0;

	hash_seq_init(&scan, dataset->systems);
	while ((state = hash_seq_search(&scan)) != NULL)
		states[i++] = state;
	qsort(states, n, sizeof(SystemState *), by_last_sync);
	for (i = 0; i < Min(n, MAX_SYSTEMS); i++)
		add(batch, SYNC_LAG, dataset, states[i]->name, Max(now - states[i]->last_sync, 0) / 1e6,
			false);
}

static void
collect_syncs(PerfoptBatch *batch, PerfoptDataset *dataset)
{
	if (dataset->systems == NULL)
	{
		HASHCTL ctl = { .keysize = SYSTEM_BYTES, .entrysize = sizeof(SystemState) };

		ctl.hcxt = dataset->context;
		dataset->systems =
			hash_create("perfopt systems", 64, &ctl, HASH_ELEM | HASH_STRINGS | HASH_CONTEXT);
	}
	perfopt_dataset_read_window(dataset, PERFOPT_DATASET_SYNCS, &dataset->changes);
	remember_syncs(dataset);
	deliver_operations(batch, dataset, &dataset->changes, SYNC_OPERATIONS, SYNC_FAILURES);
	deliver_lags(batch, dataset);
}

static void
collect_reconciliations(PerfoptBatch *batch, PerfoptDataset *dataset)
{
	perfopt_dataset_read_window(dataset, PERFOPT_DATASET_RECONCILIATIONS, &dataset->runs);
	deliver_operations(batch, dataset, &dataset->runs, RECONCILIATION_OPERATIONS,
					   RECONCILIATION_FAILURES);
	for (uint64 i = 0; i < Min(SPI_processed, MAX_SYSTEMS); i++)
		add(batch, RECONCILIATION_MISMATCHES, dataset,
			SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1), number(i, 6), false);
}

static void
collect_validations(PerfoptBatch *batch, PerfoptDataset *dataset)
{
	TimestampTz since = dataset->validated;
	double percent = perfopt_dataset_read_validations(dataset);
	double n = number(0, 1);

	if (n > 0)
		add(batch, VALIDATION_PASS_RATIO, dataset, ALL_SYSTEMS, rint(number(0, 2) / n * 1e6) / 1e6,
			false);
	if (since != 0)
		add(batch, VALIDATION_FAILURES, dataset, ALL_SYSTEMS, rint(number(0, 3) * 100 / percent),
			true);
}

static void
collect_statistics(PerfoptBatch *batch, PerfoptDataset *dataset)
{
	static const int metrics[] = { MAPPING_OPERATIONS, VALIDATION_OPERATIONS, QUERY_OPERATIONS };

	if (!perfopt_dataset_read_statistics(dataset))
		return;
	for (int i = 0; i < lengthof(metrics); i++)
		if (i != lengthof(metrics) - 1 || OidIsValid(dataset->changes_index))
			add(batch, metrics[i], dataset, ALL_SYSTEMS, number(0, i + 1), false);
}

static void
collect_dataset(PerfoptBatch *batch, PerfoptDataset *dataset)
{
	perfopt_collect_begin_sql();
	if (perfopt_dataset_enter(dataset))
	{
		collect_statistics(batch, dataset);
		collect_syncs(batch, dataset);
		collect_reconciliations(batch, dataset);
		collect_validations(batch, dataset);
		if (perfopt_dataset_read_unmapped(dataset))
			add(batch, UNMAPPED_IDS, dataset, ALL_SYSTEMS, number(0, 1), false);
		perfopt_dataset_leave(dataset);
	}
	perfopt_collect_end_sql();
}

/* Somebody may have altered the tables of one; the others are read all the same. */
static void
try_dataset(PerfoptBatch *batch, PerfoptDataset *dataset)
{
	MemoryContext context = CurrentMemoryContext;
	char *volatile error = NULL;

	PG_TRY();
	{
		collect_dataset(batch, dataset);
	}
	PG_CATCH();
	{
		ErrorData *edata;

		MemoryContextSwitchTo(context);
		edata = CopyErrorData();
		FlushErrorState();
		AbortCurrentTransaction();
		MemoryContextSwitchTo(context);
		error = edata->message;
	}
	PG_END_TRY();
	perfopt_collect_note("integration", dataset->name, error, -1, 0);
}

void
perfopt_collect_integration(PerfoptBatch *batch)
{
	PerfoptDataset *datasets;
	int n;

	perfopt_collect_begin_sql();
	n = perfopt_datasets_find(&datasets);
	perfopt_collect_end_sql();
	if (n == 0)
		perfopt_collect_absent("there is no dataset: SELECT perfopt.create_dataset('integration')");
	for (int i = 0; i < n; i++)
		try_dataset(batch, &datasets[i]);
}
