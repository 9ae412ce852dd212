/*
 * cron.c
 *	  Runs of pg_cron's jobs, from cron.job_run_details.
 *
 * That table only ever grows, so runs are read once each: those that are new since the last reading,
 * and those that had not ended then.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/array.h"
#include "utils/memutils.h"

#include "collect/collect.h"

/* Runs that are waited for; with more, the oldest are given up. */
#define MAX_OPEN 1000

/* Runs read at a time; the rest is read the next time. */
#define MAX_RUNS "10000"

enum
{
	RUNS,
	FAILURES,
	DURATION
};

const PerfoptMetric perfopt_cron_metrics[] = {
	[RUNS] = { "pg_cron_job_runs_total", "integration", PERFOPT_COUNTER, "runs",
			   "Runs of the job that ended" },
	[FAILURES] = { "pg_cron_job_failures_total", "integration", PERFOPT_COUNTER, "runs",
				   "Runs of the job that failed" },
	[DURATION] = { "pg_cron_job_duration_seconds", "integration", PERFOPT_GAUGE, "seconds",
				   "Duration of the job's latest run, when one has ended" },
};
const int perfopt_cron_nmetrics = lengthof(perfopt_cron_metrics);

/* Anybody could have made a schema of that name. */
static const char *const installed_query =
	"SELECT FROM pg_catalog.pg_extension e"
	" JOIN pg_catalog.pg_depend d ON d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass"
	"  AND d.refobjid = e.oid AND d.deptype = 'e'"
	"  AND d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass"
	" JOIN pg_catalog.pg_class c ON c.oid = d.objid"
	" JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
	" WHERE e.extname = 'pg_cron' AND n.nspname = 'cron' AND c.relname = 'job_run_details'";

/* Where to begin: at the end of what is there. */
static const char *const last_query =
	"SELECT coalesce(pg_catalog.max(runid), 0) FROM cron.job_run_details";

/* $1 the last run that was read, $2 runs that had not ended. */
static const char *const runs_query =
	"SELECT r.runid, coalesce(j.jobname::pg_catalog.text, r.jobid::pg_catalog.text),"
	" r.status IN ('succeeded', 'failed'), r.status = 'failed',"
	" EXTRACT(epoch FROM r.end_time - r.start_time)::pg_catalog.float8"
	" FROM cron.job_run_details r LEFT JOIN cron.job j ON j.jobid = r.jobid"
	" WHERE r.runid > $1 OR r.runid = ANY ($2) ORDER BY r.runid LIMIT " MAX_RUNS;

typedef struct Job
{
	const char *name;
	int runs;
	int failures;
	double duration; /* of the latest, negative when it is not known */
} Job;

static int64 last_run = -1; /* negative before the first reading */
static int64 open_runs[MAX_OPEN];
static int nopen = 0;

static void
read_last_run(void)
{
	bool isnull;

	perfopt_collect_select(last_query);
	last_run =
		DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	SPI_freetuptable(SPI_tuptable);
}

static void
select_runs(void)
{
	Oid types[] = { INT8OID, INT8ARRAYOID };
	Datum ids[MAX_OPEN];
	Datum values[2];

	for (int i = 0; i < nopen; i++)
		ids[i] = Int64GetDatum(open_runs[i]);
	values[0] = Int64GetDatum(last_run);
	values[1] =
		PointerGetDatum(construct_array(ids, nopen, INT8OID, 8, FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
	perfopt_collect_execute(runs_query, lengthof(types), types, values);
}

static Job *
job_of(Job *jobs, int *njobs, const char *name)
{
	for (int i = 0; i < *njobs; i++)
		if (strcmp(jobs[i].name, name) == 0)
			return &jobs[i];
	jobs[*njobs] = (Job){ .name = name, .duration = -1 };
	return &jobs[(*njobs)++];
}

static void
remember_open(int64 run)
{
	if (nopen == MAX_OPEN)
		memmove(open_runs, open_runs + 1, --nopen * sizeof(int64));
	open_runs[nopen++] = run;
}

/* Sums up the selected runs by job, and remembers which are still open. */
static int
sum_up(Job *jobs)
{
	int njobs = 0;

	nopen = 0;
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		HeapTuple tuple = SPI_tuptable->vals[i];
		TupleDesc desc = SPI_tuptable->tupdesc;
		bool isnull, ended_null;
		int64 run = DatumGetInt64(SPI_getbinval(tuple, desc, 1, &isnull));
		bool ended = DatumGetBool(SPI_getbinval(tuple, desc, 3, &ended_null));
		bool failed = DatumGetBool(SPI_getbinval(tuple, desc, 4, &isnull));
		Datum duration = SPI_getbinval(tuple, desc, 5, &isnull);
		Job *job;

		last_run = Max(last_run, run);
		if (ended_null || !ended)
		{
			remember_open(run);
			continue;
		}
		job = job_of(jobs, &njobs, SPI_getvalue(tuple, desc, 2));
		job->runs++;
		job->failures += failed ? 1 : 0;
		if (!isnull)
			job->duration = DatumGetFloat8(duration);
	}
	return njobs;
}

void
perfopt_collect_cron(PerfoptBatch *batch)
{
	Job *jobs;
	int njobs;

	perfopt_collect_begin_sql();
	perfopt_collect_select(installed_query);
	if (SPI_processed == 0)
	{
		perfopt_collect_absent("pg_cron is not installed in this database: CREATE EXTENSION"
							   " pg_cron, with cron.database_name naming this database");
		last_run = -1;
		nopen = 0;
		perfopt_collect_end_sql();
		return;
	}
	if (last_run < 0)
		read_last_run();
	select_runs();
	jobs = palloc(Max(SPI_processed, 1) * sizeof(Job));
	njobs = sum_up(jobs);
	for (int i = 0; i < njobs; i++)
	{
		PerfoptLabel label = { "job", jobs[i].name };

		perfopt_batch_add_increase(batch, &perfopt_cron_metrics[RUNS], &label, 1, jobs[i].runs);
		perfopt_batch_add_increase(batch, &perfopt_cron_metrics[FAILURES], &label, 1,
								   jobs[i].failures);
		if (jobs[i].duration >= 0)
			perfopt_batch_add(batch, &perfopt_cron_metrics[DURATION], &label, 1, jobs[i].duration);
	}
	perfopt_collect_end_sql();
}
