/*
 * detect_overhead.c
 *	  Findings about processor time that statements spend on other things than their rows.
 */
#include "postgres.h"

#include <math.h>

#include "commands/dbcommands.h"

#include "diagnose/diagnose.h"

static const PerfoptThreshold jit_share = { "share", "share of a statement's execution time", 0.1,
											"judgement: catalogue of findings" };
static const PerfoptThreshold jit_aas = { "aas", "and sessions busy with it on average", 0.05,
										  "judgement: less is not felt" };
static const PerfoptThreshold plan_share = { "share",
											 "share of a statement's time, planning and execution",
											 0.2, "judgement: catalogue of findings" };
static const PerfoptThreshold plan_aas = { "aas", "and sessions busy with it on average", 0.05,
										   "judgement: less is not felt" };
static const PerfoptThreshold parallel_aas = {
	"aas", "AAS waiting for other processes of the same parallel query", 0.2,
	"judgement: catalogue of findings"
};
static const PerfoptThreshold parallel_share = { "share", "and share of DB time", 0.1,
												 "judgement: below a tenth another cause weighs "
												 "more" };

/* Hash joins and bitmaps that processes build together, tuples that pass between them, their start and end. */
static const char *const parallel_waits[] = {
	"IPC:ExecuteGather",           "IPC:BgWorkerStartup",     "IPC:BgworkerStartup",
	"IPC:MessageQueueInternal",    "IPC:MessageQueueReceive", "IPC:MessageQueueSend",
	"IPC:MessageQueuePutMessage",  "IPC:ParallelFinish",      "IPC:ParallelBitmapScan",
	"IPC:ParallelCreateIndexScan", "IPC:HashBatchAllocate",   "IPC:HashBatchElect",
	"IPC:HashBatchLoad",           "IPC:HashBuildAllocate",   "IPC:HashBuildElect",
	"IPC:HashBuildHashInner",      "IPC:HashBuildHashOuter",  NULL
};

/* One part of what pg_stat_statements counts of a statement. */
typedef struct Overhead
{
	int64 query_id;
	Oid database;
	double seconds; /* of this part */
	double aas;     /* sessions busy with it */
	double share;   /* of the statement's time */
} Overhead;

static double
weigh_overhead(const PerfoptFacts *facts, const PerfoptActivity *activity, const void *arg)
{
	const Overhead *overhead = arg;

	return activity->query_id == overhead->query_id && activity->database == overhead->database &&
				   perfopt_wait_is(facts, activity, "CPU", NULL)
			   ? overhead->share
			   : 0;
}

/*
 * The statement that spends most on a part of its time, among those in which it has at least that share.
 * Planning is no part of what is counted as execution.
 */
static bool
find_overhead(const PerfoptFacts *facts, const char *metric, bool in_execution, double least_share,
			  Overhead *most)
{
	memset(most, 0, sizeof(*most));
	for (PerfoptSeries *s = NULL; (s = perfopt_facts_series(facts, metric, s)) != NULL;)
	{
		PerfoptSeries *exec = perfopt_facts_twin(facts, "pg_statement_exec_seconds_total", s);
		double all = (exec ? exec->sum : 0) + (in_execution ? 0 : s->sum);
		char *database = perfopt_series_label(s, "database");

		if (!(all > 0) || s->sum < least_share * all || s->sum <= most->seconds)
			continue;
		most->query_id = strtoll(perfopt_series_label(s, "query_id"), NULL, 10);
		most->database = database ? get_database_oid(database, true) : InvalidOid;
		most->seconds = s->sum;
		most->aas = s->sum / s->seconds;
		most->share = Min(s->sum / all, 1.0);
	}
	return most->query_id != 0;
}

static PerfoptFinding *
report_overhead(PerfoptDiagnosis *diagnosis, const Overhead *overhead)
{
	PerfoptFacts *facts = diagnosis->facts;
	PerfoptShare share = perfopt_facts_share(facts, weigh_overhead, overhead);
	PerfoptFinding *finding;

	finding =
		perfopt_finding_add(diagnosis, PERFOPT_WARNING, perfopt_query_name(overhead->query_id));
	for (int i = 0; i < facts->nstatements; i++)
	{
		const PerfoptStatement *statement = &facts->statements[i];

		if (statement->query_id != overhead->query_id || statement->database != overhead->database)
			continue;
		finding->statement_text = statement->text;
		perfopt_evidence_text(finding, "role", perfopt_role_name(statement->role));
	}
	perfopt_finding_impact(finding, share);
	perfopt_evidence_text(finding, "query_id", psprintf(INT64_FORMAT, overhead->query_id));
	perfopt_evidence_text(finding, "database", get_database_name(overhead->database));
	perfopt_evidence_number(finding, "seconds", overhead->seconds);
	perfopt_evidence_number(finding, "share_pct", 100 * overhead->share);
	perfopt_facts_charge(facts, weigh_overhead, overhead);
	return finding;
}

static void
detect_jit_overhead(PerfoptDiagnosis *diagnosis)
{
	PerfoptFacts *facts = diagnosis->facts;
	double least = perfopt_limit(diagnosis, &jit_share);
	double cost = perfopt_setting("jit_above_cost");
	Overhead jit;
	PerfoptFinding *finding;

	if (!facts->measurable ||
		!find_overhead(facts, "pg_statement_jit_seconds_total", true, least, &jit) ||
		jit.aas < perfopt_limit(diagnosis, &jit_aas))
		return;
	finding = report_overhead(diagnosis, &jit);
	finding->root_cause = psprintf("Query " INT64_FORMAT
								   " spent %.0f %% of its execution time (%.1f s) on just-in-time "
								   "compilation: its estimated cost is above jit_above_cost "
								   "(%.0f), its real work is not worth "
								   "the code.",
								   jit.query_id, 100 * jit.share, jit.seconds, cost);
	perfopt_evidence_number(finding, "jit_above_cost", cost);
	perfopt_evidence_text(
		finding, "sql",
		psprintf("SELECT calls, total_exec_time, jit_generation_time + "
				 "jit_inlining_time + jit_optimization_time + jit_emission_time AS "
				 "jit_ms FROM pg_stat_statements WHERE queryid = " INT64_FORMAT,
				 jit.query_id));
}

static void
detect_planning_overhead(PerfoptDiagnosis *diagnosis)
{
	PerfoptFacts *facts = diagnosis->facts;
	double least = perfopt_limit(diagnosis, &plan_share);
	Overhead planning;
	PerfoptFinding *finding;

	if (!facts->measurable ||
		!find_overhead(facts, "pg_statement_plan_seconds_total", false, least, &planning) ||
		planning.aas < perfopt_limit(diagnosis, &plan_aas))
		return;
	finding = report_overhead(diagnosis, &planning);
	finding->root_cause =
		psprintf("Query " INT64_FORMAT
				 " spent %.0f %% of its time (%.1f s) on being planned: it is planned anew "
				 "for each execution, or has many partitions or joins to choose from.",
				 planning.query_id, 100 * planning.share, planning.seconds);
	perfopt_evidence_text(finding, "sql",
						  psprintf("SELECT plans, calls, total_plan_time, total_exec_time FROM "
								   "pg_stat_statements WHERE queryid = " INT64_FORMAT,
								   planning.query_id));
}

static void
detect_parallel_starvation(PerfoptDiagnosis *diagnosis)
{
	PerfoptFacts *facts = diagnosis->facts;
	PerfoptShare share = perfopt_facts_share(facts, perfopt_weigh_waits, parallel_waits);
	double workers = perfopt_setting("max_parallel_workers");
	double per_gather = perfopt_setting("max_parallel_workers_per_gather");
	const PerfoptStatement *statement;
	PerfoptFinding *finding;

	if (!facts->measurable || share.aas < perfopt_limit(diagnosis, &parallel_aas) ||
		!(share.share.share >= perfopt_limit(diagnosis, &parallel_share)))
		return;
	statement = perfopt_busiest_statement(facts, perfopt_weigh_waits, parallel_waits);
	finding = perfopt_finding_add(diagnosis, PERFOPT_WARNING,
								  statement ? perfopt_query_name(statement->query_id)
											: pstrdup("parallel queries"));
	if (statement != NULL)
		finding->statement_text = statement->text;
	perfopt_finding_impact(finding, share);
	finding->root_cause =
		psprintf("%.2f processes of parallel queries on average waited for one another, %.0f %% of "
				 "DB time%s: "
				 "%.0f workers for all queries (max_parallel_workers) and up to %.0f each leave "
				 "them waiting "
				 "for workers or for the slowest of them on %g cores.",
				 share.aas, 100 * share.share.share,
				 statement ? psprintf(" (most of it role %s)", perfopt_role_name(statement->role))
						   : "",
				 workers, per_gather, facts->cores);
	perfopt_evidence_number(finding, "parallel_wait_aas", share.aas);
	perfopt_evidence_number(finding, "max_parallel_workers", workers);
	perfopt_evidence_number(finding, "max_parallel_workers_per_gather", per_gather);
	perfopt_evidence_number(finding, "cores", facts->cores);
	if (statement != NULL)
	{
		perfopt_evidence_text(finding, "query_id", psprintf(INT64_FORMAT, statement->query_id));
		perfopt_evidence_text(finding, "role", perfopt_role_name(statement->role));
	}
	perfopt_evidence_sql(finding, facts, "wait_event", "wait_class = 'IPC'");
	perfopt_facts_charge(facts, perfopt_weigh_waits, parallel_waits);
}

const PerfoptDetector perfopt_overhead_detectors[] = {
	{ "jit_overhead", "cpu", PERFOPT_STAGE_WORK, detect_jit_overhead,
	  PERFOPT_THRESHOLDS(&jit_share, &jit_aas) },
	{ "planning_overhead", "cpu", PERFOPT_STAGE_WORK, detect_planning_overhead,
	  PERFOPT_THRESHOLDS(&plan_share, &plan_aas) },
	{ "parallel_starvation", "cpu", PERFOPT_STAGE_RESOURCE, detect_parallel_starvation,
	  PERFOPT_THRESHOLDS(&parallel_aas, &parallel_share) },
	{ NULL }
};
