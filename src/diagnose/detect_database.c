/*
 * detect_database.c
 *	  Findings about locks, transactions, sessions and single statements.
 */
#include "postgres.h"

#include <math.h>

#include "commands/dbcommands.h"

#include "diagnose/diagnose.h"

static const PerfoptThreshold lock_warning = { "warning from AAS waiting for locks", 0.2,
											   "measured: catalogue of findings" };
static const PerfoptThreshold lock_critical = { "critical from AAS", 1.0,
												"measured: catalogue of findings" };
static const PerfoptThreshold idle_warning = {
	"warning from seconds idle in transaction, at once where others wait", 300,
	"convention: Crunchy Data's alert rules"
};
static const PerfoptThreshold idle_critical = { "critical from seconds idle in transaction", 900,
												"convention: Crunchy Data's alert rules" };
static const PerfoptThreshold blocker_idle = {
	"a blocker counts as idle from seconds between two statements", 1,
	"judgement: far above the pauses of a client that is at work"
};
static const PerfoptThreshold top_share = { "share of DB time of one statement", 0.2,
											"judgement: below a fifth no single one stands out" };
static const PerfoptThreshold top_warning_share = {
	"warning from share of DB time, with at least one session busy on average", 0.5,
	"judgement: half of all work is one statement"
};
static const PerfoptThreshold connections_warning = { "warning from share of usable connections",
													  0.75,
													  "convention: Crunchy Data's alert rules" };
static const PerfoptThreshold connections_critical = { "critical from share of usable connections",
													   0.9,
													   "convention: Crunchy Data's alert rules" };
static const PerfoptThreshold deadlocks_repeated = { "deadlocks in the window", 2,
													 "judgement: repeated, not one" };

/* Lock waits of a cycle, as far as they stood behind a blocker that sat idle in its transaction. */
static double
weigh_behind_idle(const PerfoptFacts *facts, const PerfoptActivity *activity, const void *arg)
{
	const PerfoptCycle *cycle = &facts->cycles[activity->cycle];

	if (cycle->idle_waiters <= 0 || !perfopt_wait_is(facts, activity, "Lock", NULL))
		return 0;
	return cycle->idle_waiters / cycle->waiters;
}

/* What one blocker did over the window. */
typedef struct BlockerSum
{
	const PerfoptBlocker *worst; /* the row with the longest time in its state */
	double waiters;              /* added up over cycles */
	int max_waiters;
	double max_wait_s;
	const char *relation;
	const char *locktype;
	int blockers; /* different sessions */
} BlockerSum;

static int
compare_pid(const void *a, const void *b)
{
	const PerfoptBlocker *x = *(PerfoptBlocker *const *) a;
	const PerfoptBlocker *y = *(PerfoptBlocker *const *) b;

	if (x->pid != y->pid)
		return x->pid < y->pid ? -1 : 1;
	return (x->ts > y->ts) - (x->ts < y->ts);
}

static void
add_blocker(BlockerSum *sum, const PerfoptBlocker *blocker)
{
	if (sum->worst == NULL || blocker->state_s > sum->worst->state_s)
		sum->worst = blocker;
	sum->waiters += blocker->waiters;
	sum->max_waiters = Max(sum->max_waiters, blocker->waiters);
	if (blocker->wait_max_s > sum->max_wait_s)
		sum->max_wait_s = blocker->wait_max_s;
	if (sum->relation == NULL)
		sum->relation = blocker->relation;
	if (sum->locktype == NULL)
		sum->locktype = blocker->locktype;
}

/* The session that made most others wait, among those that sat idle or among those at work. */
static BlockerSum
main_blocker(const PerfoptFacts *facts, bool idle)
{
	PerfoptBlocker **rows = palloc(sizeof(PerfoptBlocker *) * Max(facts->nblockers, 1));
	BlockerSum best = { 0 };
	BlockerSum sum = { 0 };
	int sessions = 0;
	int n = 0;

	for (int i = 0; i < facts->nblockers; i++)
	{
		if (facts->blockers[i].idle == idle)
			rows[n++] = &facts->blockers[i];
	}
	qsort(rows, n, sizeof(PerfoptBlocker *), compare_pid);
	for (int i = 0; i < n; i++)
	{
		if (i == 0 || rows[i]->pid != rows[i - 1]->pid)
		{
			memset(&sum, 0, sizeof(sum));
			sessions++;
		}
		add_blocker(&sum, rows[i]);
		if (sum.waiters > best.waiters)
			best = sum;
	}
	best.blockers = sessions;
	pfree(rows);
	return best;
}

static const char *
blocked_thing(const BlockerSum *sum)
{
	if (sum->relation != NULL)
		return psprintf("rows or the table itself of %s", sum->relation);
	return sum->locktype ? psprintf("a lock of type %s", sum->locktype) : "a lock";
}

static void
blocker_evidence(PerfoptFinding *finding, const PerfoptFacts *facts, const BlockerSum *sum)
{
	const PerfoptBlocker *worst = sum->worst;

	perfopt_evidence_number(finding, "blocker_pid", worst->pid);
	perfopt_evidence_text(finding, "blocker_role", perfopt_role_name(worst->role));
	perfopt_evidence_text(finding, "blocker_database", get_database_name(worst->database));
	perfopt_evidence_text(finding, "blocker_state", worst->state);
	if (worst->query_id != 0)
		perfopt_evidence_text(finding, "blocker_query_id", psprintf(INT64_FORMAT, worst->query_id));
	perfopt_evidence_number(finding, "blocker_xact_s", worst->xact_s);
	perfopt_evidence_number(finding, "blocker_state_s", worst->state_s);
	perfopt_evidence_text(finding, "relation", sum->relation);
	perfopt_evidence_text(finding, "locktype", sum->locktype);
	perfopt_evidence_number(finding, "waiters_max", sum->max_waiters);
	perfopt_evidence_number(finding, "wait_max_s", sum->max_wait_s);
	perfopt_evidence_number(finding, "blockers", sum->blockers);
	perfopt_evidence_sql(finding, facts, "wait_event", "wait_class = 'Lock'");
}

/* Idle sessions that block nobody still keep rows from being cleaned up and locks taken. */
static void
idle_without_waiters(PerfoptDiagnosis *diagnosis)
{
	double oldest = perfopt_facts_max(diagnosis->facts, "pg_session_oldest_idle_in_xact_seconds");
	PerfoptFinding *finding;

	if (!(oldest >= idle_warning.value))
		return;
	finding =
		perfopt_finding_add(diagnosis,
							oldest >= idle_critical.value ? PERFOPT_CRITICAL : PERFOPT_WARNING,
							pstrdup("oldest idle transaction"));
	finding->root_cause =
		psprintf("A session sat idle in a transaction for %.0f s; it holds its locks and keeps "
				 "dead rows from being removed all that time.",
				 oldest);
	perfopt_evidence_number(finding, "oldest_idle_in_xact_s", oldest);
	perfopt_evidence_text(finding, "sql",
						  "SELECT pid, usename, state, state_change FROM pg_stat_activity "
						  "WHERE state LIKE 'idle in transaction%' ORDER BY state_change");
	perfopt_finding_lineage(finding, &idle_warning, &idle_critical, NULL);
}

void
perfopt_detect_idle_in_transaction(PerfoptDiagnosis *diagnosis)
{
	PerfoptFacts *facts = diagnosis->facts;
	PerfoptShare share = perfopt_facts_share(facts, weigh_behind_idle, NULL);
	BlockerSum sum = main_blocker(facts, true);
	PerfoptFinding *finding;
	char *role;

	if (!facts->measurable || sum.worst == NULL || share.aas < lock_warning.value)
	{
		idle_without_waiters(diagnosis);
		return;
	}
	role = perfopt_role_name(sum.worst->role);
	finding =
		perfopt_finding_add(diagnosis,
							share.aas >= lock_critical.value ? PERFOPT_CRITICAL : PERFOPT_WARNING,
							psprintf("pid %d (role %s)", sum.worst->pid, role));
	perfopt_finding_impact(finding, share);
	finding->root_cause = psprintf(
		"Session %d of role %s sat idle in a transaction for %.0f s (open for %.0f s) while up to "
		"%d session%s waited behind it for %s, %.2f on average: %.0f %% of DB time.",
		sum.worst->pid, role, sum.worst->state_s, sum.worst->xact_s, sum.max_waiters,
		sum.max_waiters == 1 ? "" : "s", blocked_thing(&sum), share.aas, 100 * share.share.share);
	blocker_evidence(finding, facts, &sum);
	perfopt_finding_lineage(finding, &idle_warning, &blocker_idle, &lock_warning, &lock_critical,
							NULL);
	perfopt_facts_charge(facts, weigh_behind_idle, NULL);
}

static const char *const lock_waits[] = { "Lock:", NULL };

void
perfopt_detect_lock_contention(PerfoptDiagnosis *diagnosis)
{
	PerfoptFacts *facts = diagnosis->facts;
	PerfoptShare share = perfopt_facts_share(facts, perfopt_weigh_waits, lock_waits);
	BlockerSum sum = main_blocker(facts, false);
	PerfoptFinding *cause = perfopt_finding_of(diagnosis, "idle_in_transaction");
	PerfoptFinding *finding;
	char *text;

	if (!facts->measurable || share.aas < lock_warning.value)
		return;
	finding =
		perfopt_finding_add(diagnosis,
							share.aas >= lock_critical.value ? PERFOPT_CRITICAL : PERFOPT_WARNING,
							sum.relation ? pstrdup(sum.relation)
										 : psprintf("%s locks",
													sum.locktype ? sum.locktype : "heavyweight"));
	perfopt_finding_impact(finding, share);
	if (sum.worst != NULL)
	{
		text = psprintf("%.2f sessions on average waited for locks, most behind session %d of role "
						"%s (%s, transaction open for %.0f s) for %s; the longest wait was %.1f s.",
						share.aas, sum.worst->pid, perfopt_role_name(sum.worst->role),
						sum.worst->state ? sum.worst->state : "unknown state", sum.worst->xact_s,
						blocked_thing(&sum), sum.max_wait_s);
		blocker_evidence(finding, facts, &sum);
	}
	else
	{
		text = psprintf("%.2f sessions on average waited for locks, too shortly for any of the "
						"looks at who blocks whom.",
						share.aas);
		perfopt_evidence_sql(finding, facts, "wait_event", "wait_class = 'Lock'");
	}
	if (cause != NULL)
		text =
			psprintf("%s A further %.2f waited behind %s and are charged to idle_in_transaction.",
					 text, cause->impact.aas, cause->entity);
	finding->root_cause = text;
	perfopt_evidence_number(finding, "lock_wait_aas", share.aas);
	perfopt_finding_factor(finding, cause);
	perfopt_finding_lineage(finding, &lock_warning, &lock_critical, NULL);
	perfopt_facts_charge(facts, perfopt_weigh_waits, lock_waits);
}

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

void
perfopt_detect_top_statement(PerfoptDiagnosis *diagnosis)
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

		if (!(share.share.share >= top_share.value))
			continue;
		warning = share.share.share >= top_warning_share.value && share.aas >= 1;
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
		perfopt_finding_lineage(finding, &top_share, &top_warning_share, NULL);
	}
}

void
perfopt_detect_connection_saturation(PerfoptDiagnosis *diagnosis)
{
	PerfoptFacts *facts = diagnosis->facts;
	double used = perfopt_facts_max(facts, "pg_connections_used_ratio");
	double max = perfopt_facts_max(facts, "pg_sessions_max");
	PerfoptFinding *finding;

	if (!(used >= connections_warning.value))
		return;
	finding =
		perfopt_finding_add(diagnosis,
							used >= connections_critical.value ? PERFOPT_CRITICAL : PERFOPT_WARNING,
							psprintf("max_connections = %.0f", max));
	finding->root_cause =
		psprintf("Up to %.0f %% of the connections that ordinary users may open were in use "
				 "(max_connections = %.0f); at 100 %% new clients are refused.",
				 100 * used, max);
	perfopt_evidence_number(finding, "used_pct_max", 100 * used);
	perfopt_evidence_number(finding, "max_connections", max);
	for (PerfoptSeries *s = NULL; (s = perfopt_facts_series(facts, "pg_sessions", s)) != NULL;)
	{
		char *state = perfopt_series_label(s, "state");

		if (state != NULL && strcmp(state, "idle") == 0)
			perfopt_evidence_number(finding, "idle_sessions_avg", s->sum / s->n);
		if (state != NULL && strcmp(state, "active") == 0)
			perfopt_evidence_number(finding, "active_sessions_max", s->max);
	}
	perfopt_evidence_text(finding, "sql",
						  "SELECT usename, state, count(*) FROM pg_stat_activity "
						  "WHERE backend_type = 'client backend' GROUP BY 1, 2 ORDER BY 3 DESC");
	perfopt_finding_lineage(finding, &connections_warning, &connections_critical, NULL);
}

void
perfopt_detect_deadlocks(PerfoptDiagnosis *diagnosis)
{
	PerfoptFacts *facts = diagnosis->facts;

	for (PerfoptSeries *s = NULL;
		 (s = perfopt_facts_series(facts, "pg_deadlocks_total", s)) != NULL;)
	{
		char *database = perfopt_series_label(s, "database");
		double per_minute = s->seconds > 0 ? 60 * s->sum / s->seconds : NAN;
		PerfoptFinding *finding;

		if (!(s->sum >= deadlocks_repeated.value))
			continue;
		database = database ? database : pstrdup("?");
		finding =
			perfopt_finding_add(diagnosis, PERFOPT_WARNING, psprintf("database %s", database));
		finding->root_cause =
			psprintf("%.0f deadlocks in database %s (%.1f a minute): transactions take the same "
					 "locks in different orders, and each time one of them is rolled back after "
					 "waiting for deadlock_timeout (%.0f ms).",
					 s->sum, database, per_minute, perfopt_setting("deadlock_timeout"));
		perfopt_evidence_number(finding, "deadlocks", s->sum);
		perfopt_evidence_number(finding, "per_minute", per_minute);
		perfopt_evidence_text(finding, "database", database);
		perfopt_evidence_text(finding, "sql",
							  "SELECT datname, deadlocks FROM pg_stat_database ORDER BY 2 DESC");
		perfopt_finding_lineage(finding, &deadlocks_repeated, NULL);
	}
}
