/*
 * detect_lock.c
 *	  Findings about locks of all weights: who makes others wait, and for what.
 */
#include "postgres.h"

#include <math.h>

#include "commands/dbcommands.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "diagnose/diagnose.h"

static const PerfoptThreshold lock_warning = { "warning_aas", "warning from AAS waiting for locks",
											   0.2, "measured: catalogue of findings" };
static const PerfoptThreshold lock_critical = { "critical_aas", "critical from AAS", 1.0,
												"measured: catalogue of findings" };
static const PerfoptThreshold idle_warning = {
	"warning_seconds", "warning from seconds idle in transaction, at once where others wait", 300,
	"convention: Crunchy Data's alert rules"
};
static const PerfoptThreshold idle_critical = { "critical_seconds",
												"critical from seconds idle in transaction", 900,
												"convention: Crunchy Data's alert rules" };
static const PerfoptThreshold blocker_idle = {
	"blocker_idle_seconds", "a blocker counts as idle from seconds between two statements", 1,
	"judgement: far above the pauses of a client that is at work"
};
static const PerfoptThreshold ddl_wait = { "seconds", "longest wait of a queue, in seconds", 5,
										   "judgement: a lock on a whole table that comes at once "
										   "holds up nobody" };
static const PerfoptThreshold ddl_aas = { "aas", "AAS waiting for locks on tables meanwhile", 0.2,
										  "measured: catalogue of findings" };
static const PerfoptThreshold lwlock_aas = { "aas", "AAS waiting for one such lock", 0.15,
											 "measured: catalogue of findings" };
static const PerfoptThreshold lwlock_share = { "share", "and share of DB time", 0.1,
											   "judgement: below a tenth another cause weighs "
											   "more" };
static const PerfoptThreshold lwlock_critical = { "critical_aas", "critical from AAS", 1.0,
												  "judgement: a whole session at all times" };
static const PerfoptThreshold deadlocks_repeated = { "deadlocks", "deadlocks in the window", 2,
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

/* When somebody was seen to wait for a lock that stops even readers of a table. */
typedef struct Queue
{
	TimestampTz from;
	TimestampTz to;
} Queue;

static double
weigh_queue(const PerfoptFacts *facts, const PerfoptActivity *activity, const void *arg)
{
	const Queue *queue = arg;
	const PerfoptCycle *cycle = &facts->cycles[activity->cycle];

	return cycle->ts >= queue->from && cycle->ts <= queue->to &&
				   perfopt_wait_is(facts, activity, "Lock", "relation")
			   ? 1
			   : 0;
}

/* The waiters for a table of a mode, NULL where there were none. */
static PerfoptSeries *
table_waiters(const PerfoptFacts *facts, const char *mode)
{
	for (PerfoptSeries *s = NULL; (s = perfopt_facts_series(facts, "pg_lock_waiters", s)) != NULL;)
	{
		if (s->nonzero > 0 && strcmp(perfopt_series_label(s, "mode"), mode) == 0 &&
			strcmp(perfopt_series_label(s, "locktype"), "relation") == 0)
			return s;
	}
	return NULL;
}

/* Most waiters at a time for a table in a mode that only a lock on the whole table stops. */
static double
queued_behind(const PerfoptFacts *facts)
{
	static const char *const modes[] = { "AccessShareLock", "RowShareLock", "RowExclusiveLock" };
	double queued = 0;

	for (int i = 0; i < lengthof(modes); i++)
	{
		PerfoptSeries *s = table_waiters(facts, modes[i]);

		queued += s ? s->max : 0;
	}
	return queued;
}

/* The session at the head of the queue: who holds a table while others want all of it. */
static const PerfoptBlocker *
head_of_queue(const PerfoptFacts *facts, const Queue *queue)
{
	const PerfoptBlocker *head = NULL;

	for (int i = 0; i < facts->nblockers; i++)
	{
		const PerfoptBlocker *blocker = &facts->blockers[i];

		if (blocker->ts >= queue->from && blocker->ts <= queue->to && blocker->locktype != NULL &&
			strcmp(blocker->locktype, "relation") == 0 &&
			(head == NULL || blocker->waiters > head->waiters))
			head = blocker;
	}
	return head;
}

/*
 * One that waits for a table with AccessExclusiveLock makes all who come later wait behind it, though
 * they would get along with whoever holds the table now.  So what they wait is charged to the queue and
 * not to its head.
 */
static void
detect_ddl_lock_queue(PerfoptDiagnosis *diagnosis)
{
	PerfoptFacts *facts = diagnosis->facts;
	PerfoptSeries *exclusive = table_waiters(facts, "AccessExclusiveLock");
	double longest = perfopt_facts_max(facts, "pg_lock_wait_max_seconds");
	double queued = queued_behind(facts);
	const PerfoptBlocker *head;
	Queue queue;
	PerfoptShare share;
	PerfoptFinding *finding;
	const char *relation;

	if (!facts->measurable || exclusive == NULL || queued < 1 ||
		!(longest > perfopt_limit(diagnosis, &ddl_wait)))
		return;
	queue.from = exclusive->nonzero_first_ts - (TimestampTz) (longest * USECS_PER_SEC);
	queue.to = exclusive->nonzero_last_ts +
			   (TimestampTz) (exclusive->seconds / exclusive->n * USECS_PER_SEC);
	share = perfopt_facts_share(facts, weigh_queue, &queue);
	if (share.aas < perfopt_limit(diagnosis, &ddl_aas))
		return;
	head = head_of_queue(facts, &queue);
	relation = head && head->relation ? head->relation : "a table";
	finding = perfopt_finding_add(diagnosis, PERFOPT_CRITICAL, pstrdup(relation));
	perfopt_finding_impact(finding, share);
	finding->root_cause = psprintf(
		"A statement that needs %s for itself (AccessExclusiveLock, as ALTER TABLE takes) "
		"waited%s, "
		"and up to %.0f sessions that only read or write rows queued behind it, the longest for "
		"%.0f s: %.2f on average, %.0f %% of DB time.",
		relation,
		head ? psprintf(" for session %d of role %s (%s, transaction open for %.0f s)", head->pid,
						perfopt_role_name(head->role), head->state ? head->state : "unknown state",
						head->xact_s)
			 : "",
		queued, longest, share.aas, 100 * share.share.share);
	if (head != NULL)
	{
		perfopt_evidence_number(finding, "head_pid", head->pid);
		perfopt_evidence_text(finding, "head_role", perfopt_role_name(head->role));
		perfopt_evidence_text(finding, "head_state", head->state);
		perfopt_evidence_text(finding, "relation", head->relation);
	}
	perfopt_evidence_number(finding, "queued_max", queued);
	perfopt_evidence_number(finding, "exclusive_waiters_max", exclusive->max);
	perfopt_evidence_number(finding, "wait_max_s", longest);
	perfopt_evidence_sql(finding, facts, "wait_event",
						 "wait_class = 'Lock' AND wait_event = 'relation'");
	perfopt_facts_charge(facts, weigh_queue, &queue);
}

/* Idle sessions that block nobody still keep rows from being cleaned up and locks taken. */
static void
idle_without_waiters(PerfoptDiagnosis *diagnosis)
{
	double oldest = perfopt_facts_max(diagnosis->facts, "pg_session_oldest_idle_in_xact_seconds");
	PerfoptFinding *finding;

	if (!(oldest >= perfopt_limit(diagnosis, &idle_warning)))
		return;
	finding =
		perfopt_finding_add(diagnosis,
							oldest >= perfopt_limit(diagnosis, &idle_critical) ? PERFOPT_CRITICAL
																			   : PERFOPT_WARNING,
							pstrdup("oldest idle transaction"));
	finding->root_cause =
		psprintf("A session sat idle in a transaction for %.0f s; it holds its locks and keeps "
				 "dead rows from being removed all that time.",
				 oldest);
	perfopt_evidence_number(finding, "oldest_idle_in_xact_s", oldest);
	perfopt_evidence_text(finding, "sql",
						  "SELECT pid, usename, state, state_change FROM pg_stat_activity "
						  "WHERE state LIKE 'idle in transaction%' ORDER BY state_change");
}

static void
detect_idle_in_transaction(PerfoptDiagnosis *diagnosis)
{
	PerfoptFacts *facts = diagnosis->facts;
	PerfoptShare share;
	BlockerSum sum;
	PerfoptFinding *finding;
	char *role;

	perfopt_facts_mark_idle(facts, perfopt_limit(diagnosis, &blocker_idle));
	share = perfopt_facts_share(facts, weigh_behind_idle, NULL);
	sum = main_blocker(facts, true);

	if (!facts->measurable || sum.worst == NULL ||
		share.aas < perfopt_limit(diagnosis, &lock_warning))
	{
		idle_without_waiters(diagnosis);
		return;
	}
	role = perfopt_role_name(sum.worst->role);
	finding =
		perfopt_finding_add(diagnosis,
							share.aas >= perfopt_limit(diagnosis, &lock_critical) ? PERFOPT_CRITICAL
																				  : PERFOPT_WARNING,
							psprintf("pid %d (role %s)", sum.worst->pid, role));
	perfopt_finding_impact(finding, share);
	finding->root_cause = psprintf(
		"Session %d of role %s sat idle in a transaction for %.0f s (open for %.0f s) while up to "
		"%d session%s waited behind it for %s, %.2f on average: %.0f %% of DB time.",
		sum.worst->pid, role, sum.worst->state_s, sum.worst->xact_s, sum.max_waiters,
		sum.max_waiters == 1 ? "" : "s", blocked_thing(&sum), share.aas, 100 * share.share.share);
	blocker_evidence(finding, facts, &sum);
	perfopt_facts_charge(facts, weigh_behind_idle, NULL);
}

static const char *const lock_waits[] = { "Lock:", NULL };

static void
detect_lock_contention(PerfoptDiagnosis *diagnosis)
{
	PerfoptFacts *facts = diagnosis->facts;
	PerfoptShare share = perfopt_facts_share(facts, perfopt_weigh_waits, lock_waits);
	BlockerSum sum = main_blocker(facts, false);
	PerfoptFinding *cause = perfopt_finding_of(diagnosis, "idle_in_transaction");
	PerfoptFinding *finding;
	char *text;

	if (!facts->measurable || share.aas < perfopt_limit(diagnosis, &lock_warning))
		return;
	finding = perfopt_finding_add(
		diagnosis,
		share.aas >= perfopt_limit(diagnosis, &lock_critical) ? PERFOPT_CRITICAL : PERFOPT_WARNING,
		sum.relation ? pstrdup(sum.relation)
					 : psprintf("%s locks", sum.locktype ? sum.locktype : "heavyweight"));
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
	perfopt_finding_factor(finding, perfopt_finding_of(diagnosis, "ddl_lock_queue"));
	perfopt_facts_charge(facts, perfopt_weigh_waits, lock_waits);
}

static void
detect_deadlocks(PerfoptDiagnosis *diagnosis)
{
	PerfoptFacts *facts = diagnosis->facts;

	for (PerfoptSeries *s = NULL;
		 (s = perfopt_facts_series(facts, "pg_deadlocks_total", s)) != NULL;)
	{
		char *database = perfopt_series_label(s, "database");
		double per_minute = s->seconds > 0 ? 60 * s->sum / s->seconds : NAN;
		PerfoptFinding *finding;

		if (!(s->sum >= perfopt_limit(diagnosis, &deadlocks_repeated)))
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
	}
}

/* What a lock inside the server protects, and what makes sessions meet there. */
static const struct
{
	const char *prefix;
	const char *meaning;
} lwlocks[] = {
	{ "Subtrans",
	  "look up parents of subtransactions: savepoints or PL/pgSQL exception blocks beside "
	  "a long transaction" },
	{ "MultiXact",
	  "look up who shares row locks: foreign keys or SELECT FOR SHARE on the same rows" },
	{ "BufferMapping",
	  "find blocks in shared buffers while others push blocks out: the working set "
	  "does not fit" },
	{ "BufferContent", "change the same blocks: hot rows or the right end of an index" },
	{ "LockManager",
	  "take more than 16 table locks each: many partitions or indexes per statement" },
	{ "ProcArray", "take snapshots while others end transactions: many connections, short "
				   "transactions" },
	{ "Xact", "look up whether transactions committed: rows of many old transactions without hint "
			  "bits" },
	{ "Notify", "pass through the one queue of NOTIFY" },
	{ "WALInsert", "write WAL at the same time: small transactions or full-page images" },
};

static const char *
lwlock_meaning(const char *event)
{
	for (int i = 0; i < lengthof(lwlocks); i++)
	{
		if (strncmp(event, lwlocks[i].prefix, strlen(lwlocks[i].prefix)) == 0)
			return lwlocks[i].meaning;
	}
	return NULL;
}

/* arg is the index of one kind of wait. */
static double
weigh_wait(const PerfoptFacts *facts, const PerfoptActivity *activity, const void *arg)
{
	return activity->wait == *(const int *) arg ? 1 : 0;
}

static void
detect_lwlock_contention(PerfoptDiagnosis *diagnosis)
{
	PerfoptFacts *facts = diagnosis->facts;

	for (int wait = 0; facts->measurable && wait < facts->nwaits; wait++)
	{
		const char *event = facts->waits[wait].event;
		bool slru = strncmp(event, "SLRU", 4) == 0;
		const PerfoptStatement *statement;
		const char *meaning;
		PerfoptShare share;
		PerfoptFinding *finding;

		/* A block that another reads is a read; a commit that another writes is WAL. */
		if ((strcmp(facts->waits[wait].class, "LWLock") != 0 && !slru) ||
			strcmp(event, "BufferIO") == 0 || strcmp(event, "WALWrite") == 0)
			continue;
		share = perfopt_facts_share(facts, weigh_wait, &wait);
		if (share.aas < perfopt_limit(diagnosis, &lwlock_aas) ||
			!(share.share.share >= perfopt_limit(diagnosis, &lwlock_share)))
			continue;
		statement = perfopt_busiest_statement(facts, weigh_wait, &wait);
		meaning = lwlock_meaning(event);
		finding = perfopt_finding_add(diagnosis,
									  share.aas >= perfopt_limit(diagnosis, &lwlock_critical)
										  ? PERFOPT_CRITICAL
										  : PERFOPT_WARNING,
									  pstrdup(event));
		perfopt_finding_impact(finding, share);
		finding->root_cause = psprintf(
			"%.2f sessions on average waited for %s inside the server, %.0f %% of DB time%s%s%s.",
			share.aas, event, 100 * share.share.share, meaning ? "; there they " : "",
			meaning ? meaning : "",
			statement ? psprintf(" (most in query " INT64_FORMAT ")", statement->query_id) : "");
		perfopt_evidence_text(finding, "wait_event", event);
		perfopt_evidence_number(finding, "wait_aas", share.aas);
		if (statement != NULL)
		{
			perfopt_evidence_text(finding, "top_query_id",
								  psprintf(INT64_FORMAT, statement->query_id));
			perfopt_evidence_text(finding, "role", perfopt_role_name(statement->role));
		}
		perfopt_evidence_sql(finding, facts, "query_id",
							 psprintf("wait_event = %s", quote_literal_cstr(event)));
		perfopt_facts_charge(facts, weigh_wait, &wait);
	}
}

const PerfoptDetector perfopt_lock_detectors[] = {
	{ "ddl_lock_queue", "database", PERFOPT_STAGE_CAUSE, detect_ddl_lock_queue,
	  PERFOPT_THRESHOLDS(&ddl_wait, &ddl_aas) },
	{ "idle_in_transaction", "database", PERFOPT_STAGE_CAUSE, detect_idle_in_transaction,
	  PERFOPT_THRESHOLDS(&idle_warning, &idle_critical, &blocker_idle, &lock_warning,
						 &lock_critical) },
	{ "lock_contention", "database", PERFOPT_STAGE_WORK, detect_lock_contention,
	  PERFOPT_THRESHOLDS(&lock_warning, &lock_critical) },
	{ "lwlock_contention", "database", PERFOPT_STAGE_RESOURCE, detect_lwlock_contention,
	  PERFOPT_THRESHOLDS(&lwlock_aas, &lwlock_share, &lwlock_critical) },
	{ "deadlocks", "database", PERFOPT_STAGE_REST, detect_deadlocks,
	  PERFOPT_THRESHOLDS(&deadlocks_repeated) },
	{ NULL }
};
