/*
 * collect.h
 *	  Collecting: a table of sources, and the cycle that runs those that are due.
 *
 * A source is a row of a const table and one function.  It is called outside any transaction in the
 * cycle's memory context, which is reset after the cycle; one that needs SQL opens a short transaction
 * of its own (perfopt_collect_begin_sql and perfopt_collect_end_sql).  What it adds to the batch is
 * written with everybody else's in one transaction at the cycle's end.
 *
 * An ERROR in a source ends that source for this cycle only: it is recorded in perfopt.source_status,
 * and logged when the source's state changes.  What it had added to the batch by then is kept.
 */
#ifndef PERFOPT_COLLECT_H
#define PERFOPT_COLLECT_H

#include "collect/loop.h"
#include "store/store.h"

typedef struct PerfoptSource
{
	const char *name;
	const char *dimension;
	int interval_ms; /* at least this long between two runs, in a batch of its own; 0 is each cycle */
	void (*collect)(PerfoptBatch *batch);
	const PerfoptMetric *metrics; /* all that it may deliver */
	const int *nmetrics;

	/*
	 * For the prober's sources, which ask others: begins on the loop, without waiting, what `collect`
	 * will find answered or given up.  NULL where there is nothing to begin.
	 */
	void (*start)(PerfoptLoop *loop);
} PerfoptSource;

/*
 * What other rooms do in the collector each time that a cycle's samples are committed: in a transaction of
 * its own, under SPI, with the extension held in place.  An ERROR ends it for this time, and is noted and
 * logged like a source's.  Once the transaction is over, `committed` or `failed` is told, where given.
 */
typedef struct PerfoptDuty
{
	const char *name; /* as its row in perfopt.source_status */
	int interval_ms;  /* at least this long between two times; 0 is each cycle */
	void (*run)(TimestampTz now);
	void (*committed)(void);
	void (*failed)(void);
} PerfoptDuty;

/* At _PG_init: static tables of rooms that this one knows nothing of. */
extern void perfopt_collect_set_duties(const PerfoptDuty *table, int ntable);
extern void perfopt_prober_set_sources(const PerfoptSource *const *sources, int nsources);

/* The dimension of a source, of the collector or the prober, or NULL. */
extern const char *perfopt_collect_dimension(const char *source);
extern const char *perfopt_prober_dimension(const char *source);

/* Workers' cycles. */
extern long perfopt_collect_interval_ms(void);

/* Seconds between two samples of a metric: more than a cycle for those of sources that run seldom. */
extern double perfopt_collect_metric_interval_s(const char *metric);
extern const char *perfopt_collector_cycle(void);
extern const char *perfopt_prober_cycle(void);

/*
 * One cycle over a table of sources: nothing is done but a reason returned while the extension is
 * missing or being dropped.  The loop, made for this cycle, is NULL where no source has a start.
 */
extern const char *perfopt_collect_run(const char *writer, const PerfoptSource *sources,
									   int nsources, PerfoptLoop *loop);

/*
 * Notes how a source fared with one of its targets ("" where it has none).  For sources with several
 * targets, which must not fail as a whole because one of them does.  error is NULL for success; times
 * are of this run, cpu_ms is negative where it is not known.
 */
extern void perfopt_collect_note(const char *source, const char *target, const char *error,
								 double cpu_ms, double wall_ms);

/* Likewise, when there is nothing to read: what is lacking, and how to get it.  Not an error. */
extern void perfopt_collect_note_absent(const char *source, const char *target, const char *lacks,
										double cpu_ms, double wall_ms);

/*
 * For a source without targets, before it returns: it has nothing to read, for this reason.  The text
 * is copied.
 */
extern void perfopt_collect_absent(const char *lacks);

/* Drops what was noted of a target that is no more. */
extern void perfopt_collect_forget(const char *source, const char *target);

/* A transaction with snapshot and SPI for a source; an ERROR inside is cleaned up by the caller. */
extern void perfopt_collect_begin_sql(void);
extern void perfopt_collect_end_sql(void);

/*
 * The cycle's batch of another writer than the source's own, for what comes at another pace; the same
 * one for the same name.  It is written with the others.
 */
extern PerfoptBatch *perfopt_collect_batch(const char *writer);

/*
 * Runs a query between begin_sql and end_sql; its plan is kept for the life of the process, under the
 * address of its text, which must therefore be a constant.  The result is SPI_tuptable, SPI_processed.
 */
extern void perfopt_collect_select(const char *sql);

/* The same for a statement with parameters, which may also write. */
extern void perfopt_collect_execute(const char *sql, int nargs, Oid *types, Datum *values);

/* A value of any type of number that statistics have. */
extern double perfopt_collect_number(Datum value, Oid type);

/*
 * Runs a query, as above, and adds its columns to the batch: a column named like one
 * of the metrics is its value, a column named "label:x" gives label x of the row's metrics.  NULL
 * values are left out.
 */
extern void perfopt_collect_query(PerfoptBatch *batch, const char *sql,
								  const PerfoptMetric *metrics, int nmetrics);

/* Whether one of these sources delivers a metric of this name; whether any source of perfopt does. */
extern bool perfopt_collect_delivers(const PerfoptSource *sources, int nsources, const char *name);
extern bool perfopt_collect_is_own(const char *name);

/* The sources, each in its own file. */
extern const PerfoptMetric perfopt_pgstat_metrics[];
extern const int perfopt_pgstat_nmetrics;
extern void perfopt_collect_pgstat(PerfoptBatch *batch);

extern const PerfoptMetric perfopt_activity_metrics[];
extern const int perfopt_activity_nmetrics;
extern void perfopt_collect_activity(PerfoptBatch *batch);

extern const PerfoptMetric perfopt_sessions_metrics[];
extern const int perfopt_sessions_nmetrics;
extern void perfopt_collect_sessions(PerfoptBatch *batch);

extern const PerfoptMetric perfopt_self_metrics[];
extern const int perfopt_self_nmetrics;
extern void perfopt_collect_self(PerfoptBatch *batch);

/* Only where the server has pg_stat_io. */
extern const PerfoptMetric perfopt_io_metrics[];
extern const int perfopt_io_nmetrics;
extern void perfopt_collect_io(PerfoptBatch *batch);

extern const PerfoptMetric perfopt_vacuum_metrics[];
extern const int perfopt_vacuum_nmetrics;
extern void perfopt_collect_vacuum(PerfoptBatch *batch);

extern const PerfoptMetric perfopt_replication_metrics[];
extern const int perfopt_replication_nmetrics;
extern void perfopt_collect_replication(PerfoptBatch *batch);

extern const PerfoptMetric perfopt_wal_metrics[];
extern const int perfopt_wal_nmetrics;
extern void perfopt_collect_wal(PerfoptBatch *batch);

extern const PerfoptMetric perfopt_database_size_metrics[];
extern const int perfopt_database_size_nmetrics;
extern void perfopt_collect_database_size(PerfoptBatch *batch);

extern const PerfoptMetric perfopt_cron_metrics[];
extern const int perfopt_cron_nmetrics;
extern void perfopt_collect_cron(PerfoptBatch *batch);

extern const PerfoptMetric perfopt_integration_metrics[];
extern const int perfopt_integration_nmetrics;
extern void perfopt_collect_integration(PerfoptBatch *batch);

extern const PerfoptMetric perfopt_statements_metrics[];
extern const int perfopt_statements_nmetrics;
extern void perfopt_collect_statements(PerfoptBatch *batch);

extern const PerfoptMetric perfopt_process_metrics[];
extern const int perfopt_process_nmetrics;
extern void perfopt_collect_process(PerfoptBatch *batch);

extern const PerfoptMetric perfopt_container_metrics[];
extern const int perfopt_container_nmetrics;
extern void perfopt_collect_container(PerfoptBatch *batch);

extern const PerfoptMetric perfopt_os_metrics[];
extern const int perfopt_os_nmetrics;
extern void perfopt_collect_os(PerfoptBatch *batch);

extern const PerfoptMetric perfopt_tables_metrics[];
extern const int perfopt_tables_nmetrics;
extern void perfopt_collect_tables(PerfoptBatch *batch);

extern const PerfoptMetric perfopt_sequences_metrics[];
extern const int perfopt_sequences_nmetrics;
extern void perfopt_collect_sequences(PerfoptBatch *batch);

extern const PerfoptMetric perfopt_databases_metrics[];
extern const int perfopt_databases_nmetrics;
extern void perfopt_collect_databases(PerfoptBatch *batch);

extern const PerfoptMetric perfopt_custom_metrics[];
extern const int perfopt_custom_nmetrics;
extern void perfopt_collect_custom(PerfoptBatch *batch);

extern const PerfoptMetric perfopt_redis_metrics[];
extern const int perfopt_redis_nmetrics;
extern void perfopt_start_redis(PerfoptLoop *loop);
extern void perfopt_collect_redis(PerfoptBatch *batch);

extern const PerfoptMetric perfopt_calls_metrics[];
extern const int perfopt_calls_nmetrics;
extern void perfopt_collect_calls(PerfoptBatch *batch);

extern const PerfoptMetric perfopt_http_metrics[];
extern const int perfopt_http_nmetrics;
extern void perfopt_start_http(PerfoptLoop *loop);
extern void perfopt_collect_http(PerfoptBatch *batch);

extern const PerfoptMetric perfopt_pgbouncer_metrics[];
extern const int perfopt_pgbouncer_nmetrics;
extern void perfopt_start_pgbouncer(PerfoptLoop *loop);
extern void perfopt_collect_pgbouncer(PerfoptBatch *batch);

extern const PerfoptMetric perfopt_openmetrics_metrics[];
extern const int perfopt_openmetrics_nmetrics;
extern void perfopt_start_openmetrics(PerfoptLoop *loop);
extern void perfopt_collect_openmetrics(PerfoptBatch *batch);

#endif /* PERFOPT_COLLECT_H */
