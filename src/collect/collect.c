/*
 * collect.c
 *	  The collecting cycle, and what sources share.
 */
#include "postgres.h"

#include <math.h>
#include <time.h>

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/numeric.h"
#include "utils/snapmgr.h"
#include "utils/timeout.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "collect/calls.h"
#include "collect/collect.h"
#include "collect/cycle.h"
#include "collect/loop.h"
#include "collect/prober.h"
#include "collect/status.h"
#include "guc.h"
#include "sampler/sampler.h"
#include "worker/worker.h"

#define MAINTAIN_INTERVAL_MS (60 * 1000)
#define MINUTE_MS (55 * 1000) /* every other cycle, be it a moment early */
#define MAX_SOURCES 32
#define MAX_LABELS 8

static const PerfoptSource collector_sources[] = {
	{ "self", "application", 0, perfopt_collect_self, perfopt_self_metrics,
	  &perfopt_self_nmetrics },
	{ "sessions", "application", 0, perfopt_collect_sessions, perfopt_sessions_metrics,
	  &perfopt_sessions_nmetrics },
	{ "activity", "database", 0, perfopt_collect_activity, perfopt_activity_metrics,
	  &perfopt_activity_nmetrics },
	{ "pgstat", "database", 0, perfopt_collect_pgstat, perfopt_pgstat_metrics,
	  &perfopt_pgstat_nmetrics },
#ifdef PERFOPT_SQL_IO
	{ "io", "database", 0, perfopt_collect_io, perfopt_io_metrics, &perfopt_io_nmetrics },
#endif
	{ "vacuum", "database", 0, perfopt_collect_vacuum, perfopt_vacuum_metrics,
	  &perfopt_vacuum_nmetrics },
	{ "replication", "database", 0, perfopt_collect_replication, perfopt_replication_metrics,
	  &perfopt_replication_nmetrics },
	{ "wal", "database", MINUTE_MS, perfopt_collect_wal, perfopt_wal_metrics,
	  &perfopt_wal_nmetrics },
	{ "database_size", "database", 0, perfopt_collect_database_size, perfopt_database_size_metrics,
	  &perfopt_database_size_nmetrics },
	{ "cron", "integration", MINUTE_MS, perfopt_collect_cron, perfopt_cron_metrics,
	  &perfopt_cron_nmetrics },
	{ "integration", "integration", MINUTE_MS, perfopt_collect_integration,
	  perfopt_integration_metrics, &perfopt_integration_nmetrics },
	{ "statements", "database", MINUTE_MS, perfopt_collect_statements, perfopt_statements_metrics,
	  &perfopt_statements_nmetrics },
	{ "process", "application", 0, perfopt_collect_process, perfopt_process_metrics,
	  &perfopt_process_nmetrics },
	{ "container", "system", 0, perfopt_collect_container, perfopt_container_metrics,
	  &perfopt_container_nmetrics },
	{ "os", "system", 0, perfopt_collect_os, perfopt_os_metrics, &perfopt_os_nmetrics },
	{ "calls", "external", 0, perfopt_collect_calls, perfopt_calls_metrics,
	  &perfopt_calls_nmetrics },
	{ "tables", "database", MINUTE_MS, perfopt_collect_tables, perfopt_tables_metrics,
	  &perfopt_tables_nmetrics },
	{ "sequences", "database", 10 * MINUTE_MS, perfopt_collect_sequences, perfopt_sequences_metrics,
	  &perfopt_sequences_nmetrics },
	{ "databases", "database", 0, perfopt_collect_databases, perfopt_databases_metrics,
	  &perfopt_databases_nmetrics },
	{ "custom", "application", 0, perfopt_collect_custom, perfopt_custom_metrics,
	  &perfopt_custom_nmetrics },
};

/* What the running source said that it lacks, in the cycle's context. */
static const char *lacking = NULL;

/* Of this cycle, in its context. */
static List *batches = NIL;

long
perfopt_collect_interval_ms(void)
{
	return perfopt_collect_interval_s * 1000L;
}

static const char *
extension_problem(PerfoptExtensionState state)
{
	switch (state)
	{
		case PERFOPT_EXTENSION_READY:
			return NULL;
		case PERFOPT_EXTENSION_MISSING:
			return "the extension is not (yet) installed and committed in perfopt.database";
		case PERFOPT_EXTENSION_BUSY:
			return "the extension is being dropped or altered";
	}
	return NULL;
}

void
perfopt_collect_begin_sql(void)
{
	const char *problem;

	perfopt_cycle_begin();
	problem = extension_problem(perfopt_extension_hold());
	if (problem != NULL)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE), errmsg("%s", problem)));
	SPI_connect();
}

void
perfopt_collect_end_sql(void)
{
	SPI_finish();
	perfopt_cycle_commit();
}

/* Numbers come in several types; numeric is what sums and ages become. */
double
perfopt_collect_number(Datum value, Oid type)
{
	switch (type)
	{
		case FLOAT8OID:
			return DatumGetFloat8(value);
		case INT8OID:
			return (double) DatumGetInt64(value);
		case INT4OID:
			return (double) DatumGetInt32(value);
		case NUMERICOID:
			return DatumGetFloat8(DirectFunctionCall1(numeric_float8_no_overflow, value));
		default:
			elog(ERROR, "metric column has type %u, which is not a number", type);
	}
	pg_unreachable();
}

static const PerfoptMetric *
find_metric(const char *name, const PerfoptMetric *metrics, int nmetrics)
{
	for (int i = 0; i < nmetrics; i++)
		if (strcmp(metrics[i].name, name) == 0)
			return &metrics[i];
	elog(ERROR, "source query has a column \"%s\" that is not one of its metrics", name);
	return NULL;
}

/* What was measured is not finer than a microsecond; noise beyond it would be all that is stored. */
static double
rounded(const PerfoptMetric *metric, double value)
{
	bool is_fine = strcmp(metric->unit, "seconds") == 0 || strcmp(metric->unit, "ratio") == 0;

	return is_fine ? rint(value * 1e6) / 1e6 : value;
}

static void
add_row(PerfoptBatch *batch, HeapTuple tuple, TupleDesc desc, const PerfoptMetric *metrics,
		int nmetrics)
{
	PerfoptLabel labels[MAX_LABELS];
	int nlabels = 0;

	for (int i = 0; i < desc->natts && nlabels < MAX_LABELS; i++)
	{
		const char *name = NameStr(TupleDescAttr(desc, i)->attname);
		char *value;

		if (strncmp(name, "label:", 6) != 0)
			continue;
		value = SPI_getvalue(tuple, desc, i + 1);
		labels[nlabels].name = name + 6;
		labels[nlabels++].value = value ? value : "";
	}

	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);
		bool isnull;
		Datum value;

		if (strncmp(NameStr(att->attname), "label:", 6) == 0)
			continue;
		value = SPI_getbinval(tuple, desc, i + 1, &isnull);
		if (!isnull)
		{
			const PerfoptMetric *metric = find_metric(NameStr(att->attname), metrics, nmetrics);

			perfopt_batch_add(batch, metric, labels, nlabels,
							  rounded(metric, perfopt_collect_number(value, att->atttypid)));
		}
	}
}

/* Planning a query on a statistics view costs more than running it. */
static SPIPlanPtr
kept_plan(const char *sql, int nargs, Oid *types)
{
	typedef struct KeptPlan
	{
		const char *sql; /* key: the address */
		SPIPlanPtr plan;
	} KeptPlan;
	static HTAB *plans = NULL;
	KeptPlan *kept;
	bool found;

	if (plans == NULL)
	{
		HASHCTL ctl = { .keysize = sizeof(const char *), .entrysize = sizeof(KeptPlan) };

		ctl.hcxt = TopMemoryContext;
		plans =
			hash_create("perfopt source plans", 64, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	}
	kept = hash_search(plans, &sql, HASH_ENTER, &found);
	if (!found)
		kept->plan = NULL;
	if (kept->plan == NULL)
	{
		SPIPlanPtr plan = SPI_prepare(sql, nargs, types);

		if (plan == NULL)
			elog(ERROR, "could not prepare \"%s\": %s", sql, SPI_result_code_string(SPI_result));
		SPI_keepplan(plan);
		kept->plan = plan;
	}
	return kept->plan;
}

void
perfopt_collect_select(const char *sql)
{
	int result = SPI_execute_plan(kept_plan(sql, 0, NULL), NULL, NULL, true, 0);

	if (result != SPI_OK_SELECT)
		elog(ERROR, "could not execute \"%s\": %s", sql, SPI_result_code_string(result));
}

void
perfopt_collect_execute(const char *sql, int nargs, Oid *types, Datum *values)
{
	int result = SPI_execute_plan(kept_plan(sql, nargs, types), values, NULL, false, 0);

	if (result < 0)
		elog(ERROR, "could not execute \"%s\": %s", sql, SPI_result_code_string(result));
}

void
perfopt_collect_query(PerfoptBatch *batch, const char *sql, const PerfoptMetric *metrics,
					  int nmetrics)
{
	perfopt_collect_select(sql);
	for (uint64 i = 0; i < SPI_processed; i++)
		add_row(batch, SPI_tuptable->vals[i], SPI_tuptable->tupdesc, metrics, nmetrics);
	SPI_freetuptable(SPI_tuptable);
}

void
perfopt_collect_absent(const char *lacks)
{
	lacking = MemoryContextStrdup(perfopt_cycle_context, lacks);
}

/* How a source fares in this cycle. */
typedef struct SourceRun
{
	bool due;
	char *error;         /* NULL while there is none */
	const char *lacking; /* NULL unless it has nothing to look at */
	double cpu_ms;
	double wall_ms;
} SourceRun;

/* Its start where there is a loop, else its collect. */
static void
run_source(const PerfoptSource *source, SourceRun *run, PerfoptLoop *loop, PerfoptBatch *batch)
{
	const double wall_from = perfopt_cycle_clock_ms(CLOCK_MONOTONIC);
	const double cpu_from = perfopt_cycle_clock_ms(CLOCK_PROCESS_CPUTIME_ID);
	char *volatile error = NULL;

	lacking = NULL;

	PG_TRY();
	{
		if (loop != NULL)
			source->start(loop);
		else
			source->collect(batch);
	}
	PG_CATCH();
	{
		error = perfopt_cycle_caught_error();
	}
	PG_END_TRY();
	run->error = error;
	run->lacking = lacking;
	run->cpu_ms += perfopt_cycle_clock_ms(CLOCK_PROCESS_CPUTIME_ID) - cpu_from;
	run->wall_ms += perfopt_cycle_clock_ms(CLOCK_MONOTONIC) - wall_from;
}

static void
note_run(const PerfoptSource *source, const SourceRun *run)
{
	if (run->error == NULL && run->lacking != NULL)
		perfopt_collect_note_absent(source->name, "", run->lacking, run->cpu_ms, run->wall_ms);
	else
		perfopt_collect_note(source->name, "", run->error, run->cpu_ms, run->wall_ms);
}

/* A source that does not run each cycle has a batch of its own, so that its increases and rates are right. */
static PerfoptBatch *
batch_of(const char *writer)
{
	ListCell *lc;
	PerfoptBatch *batch;

	foreach (lc, batches)
		if (strcmp(perfopt_batch_name(lfirst(lc)), writer) == 0)
			return lfirst(lc);
	batch = perfopt_batch_create(writer);
	batches = lappend(batches, batch);
	return batch;
}

PerfoptBatch *
perfopt_collect_batch(const char *writer)
{
	MemoryContext oldcontext = MemoryContextSwitchTo(perfopt_cycle_context);
	PerfoptBatch *batch = batch_of(pstrdup(writer));

	MemoryContextSwitchTo(oldcontext);
	return batch;
}

/* Those that are due; with a loop, all of them start before one waits, and then they wait together. */
static void
run_sources(const char *writer, const PerfoptSource *sources, int nsources, PerfoptLoop *loop,
			TimestampTz now)
{
	static TimestampTz last_run[MAX_SOURCES];
	SourceRun runs[MAX_SOURCES] = { 0 };

	Assert(nsources <= MAX_SOURCES);

	for (int i = 0; i < nsources; i++)
	{
		if (sources[i].interval_ms > 0 && !perfopt_worker_asked() && now >= last_run[i] &&
			!TimestampDifferenceExceeds(last_run[i], now, sources[i].interval_ms))
			continue;
		last_run[i] = now;
		runs[i].due = true;
		if (sources[i].start != NULL)
			run_source(&sources[i], &runs[i], loop, NULL);
	}
	if (loop != NULL)
		perfopt_loop_run(loop);
	for (int i = 0; i < nsources; i++)
	{
		if (!runs[i].due)
			continue;
		if (runs[i].error == NULL)
			run_source(&sources[i], &runs[i], NULL,
					   perfopt_collect_batch(sources[i].interval_ms > 0 ? sources[i].name
																		: writer));
		note_run(&sources[i], &runs[i]);
		CHECK_FOR_INTERRUPTS();
	}
}

/* At the worker's first cycle with this extension: the catalogue of all that may be collected. */
static void
describe_sources(const PerfoptSource *sources, int nsources)
{
	static Oid described = InvalidOid;
	Oid extension = get_extension_oid("perfopt", false);

	if (described == extension)
		return;
	for (int i = 0; i < nsources; i++)
		perfopt_store_describe(sources[i].metrics, *sources[i].nmetrics);
	described = extension;
}

/* Holds the extension for the open transaction; returns why it could not. */
static const char *
hold_extension(const char *writer)
{
	static bool said = false;
	PerfoptExtensionState state = perfopt_extension_hold();

	if (state == PERFOPT_EXTENSION_MISSING && !said)
		ereport(LOG, (errmsg("perfopt %s waits for extension perfopt in database \"%s\"", writer,
							 perfopt_database),
					  errhint("Run CREATE EXTENSION perfopt there, or set perfopt.database.")));
	said = state == PERFOPT_EXTENSION_MISSING;
	return extension_problem(state);
}

/*
 * Rolling up and sealing, and what is dropped, apart: a reader of samples may hold up the latter.  False
 * when the extension is being altered just now.
 */
static bool
maintain_store(void)
{
	bool ready;

	perfopt_cycle_begin();
	ready = perfopt_extension_hold() == PERFOPT_EXTENSION_READY;
	if (ready)
		perfopt_store_maintain(false);
	perfopt_cycle_commit();

	perfopt_cycle_begin();
	if (ready && perfopt_extension_hold() == PERFOPT_EXTENSION_READY)
		(void) perfopt_store_prune(false);
	perfopt_cycle_commit();
	return ready;
}

static bool
maintenance_is_due(TimestampTz next)
{
	static Oid maintained = InvalidOid;
	TimestampTz now = GetCurrentTimestamp();
	Oid extension;

	perfopt_cycle_begin();
	extension = get_extension_oid("perfopt", true);
	perfopt_cycle_commit();
	if (!OidIsValid(extension) || (maintained == extension && now < next &&
								   now >= next - MAINTAIN_INTERVAL_MS * INT64CONST(1000)))
		return false;
	maintained = extension;
	return true;
}

/* What can't be kept in order now can be later; it is no reason to collect nothing. */
static void
maintain(void)
{
	static TimestampTz next = 0;
	char *volatile error = NULL;

	if (!maintenance_is_due(next))
		return;
	next = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), MAINTAIN_INTERVAL_MS);
	PG_TRY();
	{
		if (!maintain_store())
			next = 0;
	}
	PG_CATCH();
	{
		error = perfopt_cycle_caught_error();
	}
	PG_END_TRY();
	if (error != NULL)
		perfopt_collect_note("store", "maintenance", error, -1, 0);
	else
		perfopt_collect_forget("store", "maintenance");
}

/* What there was no room for is a fact about the store, and shown where sources show theirs. */
static void
note_overflow(const char *writer, PerfoptOverflow overflow)
{
	if (overflow.n == 0)
		perfopt_collect_forget("store", writer);
	else
		perfopt_collect_note("store", writer,
							 psprintf("%d series are left out, %s among them: perfopt.max_series "
									  "allows %d",
									  overflow.n, overflow.first, perfopt_max_series),
							 -1, 0);
}

static void
append_batches(const char *writer, TimestampTz now)
{
	PerfoptOverflow all = { 0 };
	ListCell *lc;

	foreach (lc, batches)
	{
		PerfoptOverflow overflow = perfopt_store_append(lfirst(lc), now);

		all.n += overflow.n;
		if (all.first == NULL)
			all.first = overflow.first;
	}
	note_overflow(writer, all);
}

const char *
perfopt_collect_run(const char *writer, const PerfoptSource *sources, int nsources,
					PerfoptLoop *loop)
{
	const char *problem;
	TimestampTz now;
	ListCell *lc;

	perfopt_cycle_context = CurrentMemoryContext;
	batches = NIL;

	perfopt_cycle_begin();
	problem = hold_extension(writer);
	if (problem == NULL)
		describe_sources(sources, nsources);
	perfopt_cycle_commit();
	if (problem != NULL)
		return problem;

	now = GetCurrentTimestamp();
	run_sources(writer, sources, nsources, loop, now);

	perfopt_cycle_begin();
	problem = hold_extension(writer);
	if (problem == NULL)
		append_batches(writer, now);
	perfopt_cycle_commit();
	if (problem == NULL)
		foreach (lc, batches)
			perfopt_store_committed(lfirst(lc));
	return problem;
}

bool
perfopt_collect_delivers(const PerfoptSource *sources, int nsources, const char *name)
{
	for (int i = 0; i < nsources; i++)
	{
		for (int j = 0; j < *sources[i].nmetrics; j++)
		{
			if (strcmp(sources[i].metrics[j].name, name) == 0)
				return true;
		}
	}
	return false;
}

double
perfopt_collect_metric_interval_s(const char *metric)
{
	for (int i = 0; i < lengthof(collector_sources); i++)
	{
		if (perfopt_collect_delivers(&collector_sources[i], 1, metric))
			return Max(collector_sources[i].interval_ms, perfopt_collect_interval_ms()) / 1000.0;
	}
	return perfopt_collect_interval_s;
}

bool
perfopt_collect_is_own(const char *name)
{
	return perfopt_collect_delivers(collector_sources, lengthof(collector_sources), name) ||
		   perfopt_prober_is_own(name);
}

static const char *
dimension_among(const PerfoptSource *sources, int nsources, const char *name)
{
	for (int i = 0; i < nsources; i++)
		if (strcmp(sources[i].name, name) == 0)
			return sources[i].dimension;
	return NULL;
}

const char *
perfopt_collect_dimension(const char *source)
{
	const char *dimension = dimension_among(collector_sources, lengthof(collector_sources), source);

	return dimension != NULL ? dimension : perfopt_prober_dimension(source);
}

const char *
perfopt_collector_cycle(void)
{
	const char *problem;

	perfopt_cycle_context = CurrentMemoryContext;
	maintain();
	problem =
		perfopt_collect_run("collector", collector_sources, lengthof(collector_sources), NULL);
	if (problem == NULL)
		perfopt_cycle_run_duties();
	else
	{
		/* Nobody will ask for what was sampled while there is nowhere to keep it. */
		PerfoptSessionCounts discarded;

		perfopt_sampler_drain(&discarded);
		perfopt_calls_discard();
	}
	return problem;
}
