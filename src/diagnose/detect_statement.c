/*
 * detect_statement.c
 *	  Findings about single statements: the busiest, those that became slower, those that come in swarms.
 */
#include "postgres.h"

#include <math.h>

#include "commands/dbcommands.h"

#include "utils/timestamp.h"

#include "diagnose/diagnose.h"

static const PerfoptThreshold top_share = { "share", "share of DB time of one statement", 0.2,
											"judgement: below a fifth no single one stands out" };
static const PerfoptThreshold top_warning_share = {
	"warning_share", "warning from share of DB time, with at least one session busy on average",
	0.5, "judgement: half of all work is one statement"
};
static const PerfoptThreshold regression_seconds = {
	"seconds", "calls times the seconds that each takes longer than before", 10,
	"convention: SQL Server's regressed queries"
};
static const PerfoptThreshold regression_factor = {
	"factor", "times the mean of the day before", 2,
	"judgement: data and load alone move a mean by less"
};
static const PerfoptThreshold regression_calls = { "calls",
												   "calls in the window and in the day before", 10,
												   "judgement: fewer make no mean" };
static const PerfoptThreshold regression_rows = {
	"rows_factor", "times the rows a call that it returned before, at most", 1.5,
	"judgement: more is more work, not another plan"
};
static const PerfoptThreshold swarm_calls = { "calls", "calls per transaction of the database", 50,
											  "judgement: catalogue of findings" };
static const PerfoptThreshold swarm_rate = { "calls_per_second", "and calls a second", 10,
											 "judgement: fewer cost nobody anything" };
static const PerfoptThreshold swarm_share = { "share", "and share of DB time", 0.05,
											  "judgement: below a twentieth it is no bottleneck" };

/* A statement's own work: what it waits for other's locks is their doing. */
static double
weigh_statement(const PerfoptFacts *facts, const PerfoptActivity *activity, const void *arg)
{
	const PerfoptStatement *statement = arg;

	return activity->query_id == statement->query_id && activity->database == statement->database &&
				   !perfopt_wait_is(facts, activity, "Lock", NULL)
			   ? 1
			   : 0;
}

static double
weigh_statement_cpu(const PerfoptFacts *facts, const PerfoptActivity *activity, const void *arg)
{
	return perfopt_wait_is(facts, activity, "CPU", NULL) ? weigh_statement(facts, activity, arg)
														 : 0;
}

static void
detect_top_statement(PerfoptDiagnosis *diagnosis)
{
	PerfoptFacts *facts = diagnosis->facts;

	if (!facts->measurable)
		return;
	for (int i = 0; i < facts->nstatements; i++)
	{
		PerfoptStatement *statement = &facts->statements[i];
		PerfoptShare share = perfopt_facts_share(facts, weigh_statement, statement);
		PerfoptShare cpu = perfopt_facts_share(facts, weigh_statement_cpu, statement);
		char *database = get_database_name(statement->database);
		PerfoptFinding *finding;
		bool warning;

		if (!(share.share.share >= perfopt_limit(diagnosis, &top_share)))
			continue;
		warning =
			share.share.share >= perfopt_limit(diagnosis, &top_warning_share) && share.aas >= 1;
		finding = perfopt_finding_add(diagnosis, warning ? PERFOPT_WARNING : PERFOPT_INFO,
									  perfopt_query_name(statement->query_id));
		finding->statement_text = statement->text;
		perfopt_finding_impact(finding, share);
		finding->root_cause = psprintf(
			"One statement of database %s, run mostly by role %s, took %.0f %% of DB time "
			"(%.2f sessions on average, %.0f %% of it on CPU), waits for locks not counted.",
			database ? database : "(dropped)", perfopt_role_name(statement->role),
			100 * share.share.share, share.aas, 100 * cpu.seconds / share.seconds);
		perfopt_evidence_text(finding, "query_id", psprintf(INT64_FORMAT, statement->query_id));
		perfopt_evidence_text(finding, "database", database);
		perfopt_evidence_text(finding, "role", perfopt_role_name(statement->role));
		perfopt_evidence_number(finding, "db_time_s", share.seconds);
		perfopt_evidence_number(finding, "cpu_s", cpu.seconds);
		perfopt_evidence_number(finding, "samples", share.samples);
		perfopt_evidence_sql(finding, facts, "wait_event",
							 psprintf("query_id = " INT64_FORMAT, statement->query_id));
	}
}

/* The busiest statements' series of a metric are found by what the labels say. */
static PerfoptSeries *
statement_series(const PerfoptFacts *facts, const char *metric, const PerfoptStatement *statement)
{
	char *id = psprintf(INT64_FORMAT, statement->query_id);
	char *database = get_database_name(statement->database);

	for (PerfoptSeries *s = NULL; (s = perfopt_facts_series(facts, metric, s)) != NULL;)
	{
		char *s_id = perfopt_series_label(s, "query_id");
		char *s_database = perfopt_series_label(s, "database");

		if (s_id != NULL && strcmp(s_id, id) == 0 && database != NULL && s_database != NULL &&
			strcmp(s_database, database) == 0)
			return s;
	}
	return NULL;
}

static double
weigh_lock_of(const PerfoptFacts *facts, const PerfoptActivity *activity, const void *arg)
{
	const PerfoptStatement *statement = arg;

	return activity->query_id == statement->query_id && activity->database == statement->database &&
				   perfopt_wait_is(facts, activity, "Lock", NULL)
			   ? 1
			   : 0;
}

/* A statement's mean before and now. */
typedef struct Change
{
	const PerfoptStatement *statement;
	double calls;
	double before_ms;
	double now_ms;
	double blocks_before;
	double blocks_now;
} Change;

static double
per_call(const PerfoptFacts *facts, const char *metric, const PerfoptSeries *calls, double *before)
{
	PerfoptSeries *series = perfopt_facts_twin(facts, metric, calls);

	/* A statement has no series of what it never did. */
	*before = series ? series->past.sum / calls->past.sum : 0;
	return series ? series->sum / calls->sum : 0;
}

/*
 * Execution times of pg_stat_statements hold waits for locks too, which sampling knows and which are not
 * the plan's doing.
 */
static bool
measure_change(const PerfoptDiagnosis *diagnosis, const PerfoptStatement *statement, Change *change)
{
	const PerfoptFacts *facts = diagnosis->facts;
	PerfoptSeries *calls = statement_series(facts, "pg_statement_calls_total", statement);
	double least = perfopt_limit(diagnosis, &regression_calls);
	double locked_s;
	double rows_before;
	double rows_now;

	if (calls == NULL || calls->sum < least || calls->past.sum < least)
		return false;
	locked_s = perfopt_facts_seconds(facts, weigh_lock_of, statement);
	change->statement = statement;
	change->calls = calls->sum;
	change->now_ms = per_call(facts, "pg_statement_exec_seconds_total", calls, &change->before_ms);
	change->now_ms = 1000 * Max(change->now_ms - locked_s / calls->sum, 0);
	change->before_ms *= 1000;
	change->blocks_now =
		per_call(facts, "pg_statement_shared_read_blocks_total", calls, &change->blocks_before);
	rows_now = per_call(facts, "pg_statement_rows_total", calls, &rows_before);
	return change->before_ms > 0 &&
		   change->calls * (change->now_ms - change->before_ms) / 1000 >
			   perfopt_limit(diagnosis, &regression_seconds) &&
		   change->now_ms >= perfopt_limit(diagnosis, &regression_factor) * change->before_ms &&
		   rows_now <= Max(rows_before * perfopt_limit(diagnosis, &regression_rows), 1);
}

/*
 * What the statements did before that spent more than the limit altogether, and so can have spent it more
 * than before; the others are not worth the reading.
 */
static void
read_history(const PerfoptDiagnosis *diagnosis)
{
	static const char *const metrics[] = { "pg_statement_calls_total",
										   "pg_statement_exec_seconds_total",
										   "pg_statement_rows_total",
										   "pg_statement_shared_read_blocks_total" };
	PerfoptFacts *facts = diagnosis->facts;
	PerfoptSeries *series[PERFOPT_FACTS_STATEMENTS * lengthof(metrics)];
	int n = 0;

	for (int i = 0; i < facts->nstatements; i++)
	{
		PerfoptSeries *exec =
			statement_series(facts, "pg_statement_exec_seconds_total", &facts->statements[i]);

		if (exec == NULL || exec->sum <= perfopt_limit(diagnosis, &regression_seconds))
			continue;
		for (int m = 0; m < lengthof(metrics); m++)
		{
			series[n] = perfopt_facts_twin(facts, metrics[m], exec);
			if (series[n] != NULL)
				n++;
		}
	}
	perfopt_facts_read_past(facts, series, n, SECS_PER_DAY);
}

static double
weigh_change(const PerfoptFacts *facts, const PerfoptActivity *activity, const void *arg)
{
	const Change *change = arg;

	return weigh_statement(facts, activity, change->statement) *
		   (1 - change->before_ms / change->now_ms);
}

static void
detect_plan_regression(PerfoptDiagnosis *diagnosis)
{
	PerfoptFacts *facts = diagnosis->facts;

	if (!facts->measurable)
		return;
	read_history(diagnosis);
	for (int i = 0; i < facts->nstatements; i++)
	{
		Change change;
		PerfoptShare share;
		PerfoptFinding *finding;

		if (!measure_change(diagnosis, &facts->statements[i], &change))
			continue;
		share = perfopt_facts_share(facts, weigh_change, &change);
		finding = perfopt_finding_add(diagnosis, PERFOPT_WARNING,
									  perfopt_query_name(change.statement->query_id));
		if (share.share.share >= 0.5)
			finding->severity = PERFOPT_CRITICAL;
		finding->statement_text = change.statement->text;
		perfopt_finding_impact(finding, share);
		finding->root_cause =
			psprintf("A statement of role %s takes %.3g ms a call, locks not counted, where it "
					 "took %.3g ms in "
					 "the day before (%.1f times), and reads %.0f blocks instead of %.0f for as "
					 "many rows; over "
					 "%.0f calls that is %.0f s more. Its plan has most likely changed.",
					 perfopt_role_name(change.statement->role), change.now_ms, change.before_ms,
					 change.now_ms / change.before_ms, change.blocks_now, change.blocks_before,
					 change.calls, change.calls * (change.now_ms - change.before_ms) / 1000);
		perfopt_evidence_text(finding, "query_id",
							  psprintf(INT64_FORMAT, change.statement->query_id));
		perfopt_evidence_text(finding, "database", get_database_name(change.statement->database));
		perfopt_evidence_text(finding, "role", perfopt_role_name(change.statement->role));
		perfopt_evidence_number(finding, "calls", change.calls);
		perfopt_evidence_number(finding, "mean_ms", change.now_ms);
		perfopt_evidence_number(finding, "mean_ms_before", change.before_ms);
		perfopt_evidence_number(finding, "blocks_read_per_call", change.blocks_now);
		perfopt_evidence_number(finding, "blocks_read_per_call_before", change.blocks_before);
		perfopt_evidence_series(finding, facts,
								statement_series(facts, "pg_statement_exec_seconds_total",
												 change.statement));
		perfopt_facts_charge(facts, weigh_change, &change);
	}
}

static void
report_swarm(PerfoptDiagnosis *diagnosis, const PerfoptStatement *statement, PerfoptShare share,
			 const PerfoptSeries *calls, double transactions_per_s)
{
	double calls_per_s = calls->sum / calls->seconds;
	PerfoptFinding *finding =
		perfopt_finding_add(diagnosis, PERFOPT_WARNING, perfopt_query_name(statement->query_id));

	/* What a batch would still cost is not known: between nothing and all of it, the middle. */
	share.share.low = 0;
	share.share.share /= 2;
	share.aas /= 2;
	share.seconds /= 2;
	finding->statement_text = statement->text;
	perfopt_finding_impact(finding, share);
	finding->root_cause = psprintf("A statement of role %s ran %.0f times a second where database "
								   "%s has %.1f transactions a second, "
								   "%.0f times in each on average, each time with a round trip and "
								   "a start of its own: one statement "
								   "for many keys would do.",
								   perfopt_role_name(statement->role), calls_per_s,
								   get_database_name(statement->database), transactions_per_s,
								   calls_per_s / transactions_per_s);
	perfopt_evidence_text(finding, "query_id", psprintf(INT64_FORMAT, statement->query_id));
	perfopt_evidence_text(finding, "database", get_database_name(statement->database));
	perfopt_evidence_text(finding, "role", perfopt_role_name(statement->role));
	perfopt_evidence_number(finding, "calls_per_s", calls_per_s);
	perfopt_evidence_number(finding, "transactions_per_s", transactions_per_s);
	perfopt_evidence_number(finding, "calls_per_transaction", calls_per_s / transactions_per_s);
	perfopt_evidence_series(finding, diagnosis->facts, calls);
}

/*
 * Calls are not seen transaction by transaction.  But where a statement has more calls than fifty times
 * all transactions of its database, it has on average more than fifty in each.
 */
static void
detect_n_plus_one(PerfoptDiagnosis *diagnosis)
{
	PerfoptFacts *facts = diagnosis->facts;

	for (int i = 0; facts->measurable && i < facts->nstatements; i++)
	{
		const PerfoptStatement *statement = &facts->statements[i];
		PerfoptSeries *calls = statement_series(facts, "pg_statement_calls_total", statement);
		PerfoptSeries *commits;
		PerfoptSeries *rollbacks;
		PerfoptShare share;
		double transactions_per_s;

		if (calls == NULL || !(calls->seconds > 0) ||
			calls->sum / calls->seconds < perfopt_limit(diagnosis, &swarm_rate))
			continue;
		commits = perfopt_facts_labelled(facts, "pg_xact_commit_total", "database",
										 perfopt_series_label(calls, "database"));
		rollbacks = perfopt_facts_labelled(facts, "pg_xact_rollback_total", "database",
										   perfopt_series_label(calls, "database"));
		/* Rates, as statements are counted at other times than transactions. */
		transactions_per_s = (commits ? commits->sum / commits->seconds : 0) +
							 (rollbacks ? rollbacks->sum / rollbacks->seconds : 0);
		share = perfopt_facts_share(facts, weigh_statement, statement);
		if (!(transactions_per_s > 0) ||
			calls->sum / calls->seconds <=
				perfopt_limit(diagnosis, &swarm_calls) * transactions_per_s ||
			!(share.share.share >= perfopt_limit(diagnosis, &swarm_share)))
			continue;
		report_swarm(diagnosis, statement, share, calls, transactions_per_s);
		perfopt_facts_charge(facts, weigh_statement, statement);
	}
}

const PerfoptDetector perfopt_statement_detectors[] = {
	{ "plan_regression", "database", PERFOPT_STAGE_WORK, detect_plan_regression,
	  PERFOPT_THRESHOLDS(&regression_seconds, &regression_factor, &regression_calls,
						 &regression_rows) },
	{ "n_plus_one", "database", PERFOPT_STAGE_WORK, detect_n_plus_one,
	  PERFOPT_THRESHOLDS(&swarm_calls, &swarm_rate, &swarm_share) },
	{ "top_statement", "database", PERFOPT_STAGE_REST, detect_top_statement,
	  PERFOPT_THRESHOLDS(&top_share, &top_warning_share) },
	{ NULL }
};
