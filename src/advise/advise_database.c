/*
 * advise_database.c
 *	  Advice for findings about statements, locks and sessions.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/namespace.h"
#include "commands/defrem.h"
#include "utils/builtins.h"
#include "utils/guc.h"

#include "advise/advise.h"

/* Bounds of the time after which a transaction left idle is ended, in seconds. */
#define IDLE_TIMEOUT_MIN 5.0
#define IDLE_TIMEOUT_MAX 60.0

/* Longer than any short transaction holds a lock, shorter than a user waits. */
#define LOCK_TIMEOUT "5s"

#define NOTHING_TO_REVERT "-- nothing to revert: it only reads"

void
perfopt_advise_index(PerfoptAdvising *advising)
{
	const PerfoptFinding *finding = advising->finding;
	const char *schema = perfopt_evidence_get_text(finding, "schema");
	const char *table = perfopt_evidence_get_text(finding, "table");
	const char *column = perfopt_evidence_get_text(finding, "column");
	const char *method = perfopt_evidence_get_text(finding, "method");
	double before = perfopt_evidence_get_number(finding, "cost_now");
	double after = perfopt_evidence_get_number(finding, "cost_with_index");
	bool tried = strncmp(method, "hypopg", 6) == 0;
	Oid namespace = get_namespace_oid(schema, true);
	char *name;
	PerfoptAdvice *advice;

	if (!OidIsValid(namespace))
		return;
	name = ChooseRelationName(table, column, "idx", namespace, false);
	advice = perfopt_advice_add(advising, psprintf("Create an index on %s", finding->entity),
								PERFOPT_RISK_LOW, 0.5, tried ? 0.9 : 0.6);
	advice->action_sql =
		psprintf("CREATE INDEX CONCURRENTLY %s ON %s (%s);", quote_identifier(name),
				 quote_qualified_identifier(schema, table), quote_identifier(column));
	advice->revert_sql =
		psprintf("DROP INDEX CONCURRENTLY %s;", quote_qualified_identifier(schema, name));
	advice->rationale = psprintf("The planner's cost of the statement falls from %.0f to %.0f "
								 "(%.0f %% less; an estimate, not "
								 "a measured time; %s). CONCURRENTLY takes no lock that stops "
								 "readers or writers, cannot run "
								 "inside a transaction, and leaves an invalid index to drop when "
								 "it fails. Every write to the "
								 "table will maintain one more index.",
								 before, after, 100 * (1 - after / before), method);
}

void
perfopt_advise_idle_in_transaction(PerfoptAdvising *advising)
{
	const PerfoptFinding *finding = advising->finding;
	const char *role = perfopt_evidence_get_text(finding, "blocker_role");
	double pid = perfopt_evidence_get_number(finding, "blocker_pid");
	double state_s = perfopt_evidence_get_number(finding, "blocker_state_s");
	double idle_s =
		isnan(state_s) ? perfopt_evidence_get_number(finding, "oldest_idle_in_xact_s") : state_s;
	double timeout_s = isnan(idle_s)
						   ? IDLE_TIMEOUT_MAX
						   : Min(Max(floor(idle_s / 2), IDLE_TIMEOUT_MIN), IDLE_TIMEOUT_MAX);
	char *timeout = psprintf("%.0fs", timeout_s);
	PerfoptAdvice *advice = perfopt_advice_add(
		advising,
		role ? psprintf("Let the server end transactions that role %s leaves idle", role)
			 : pstrdup("Let the server end transactions that are left idle"),
		PERFOPT_RISK_MEDIUM, 0.5, 0.8);

	if (!perfopt_advice_alter_role(advice, role, "idle_in_transaction_session_timeout", timeout))
		perfopt_advice_alter_system(advice, "idle_in_transaction_session_timeout", timeout);
	advice->rationale = psprintf(
		"A session that sits idle in its transaction for over %s is disconnected, and its locks "
		"are "
		"released. That is half of the %.0f s found here, at least %.0f s and at most %.0f s. The "
		"application must be ready to reconnect and repeat; the cure proper is to commit or roll "
		"back "
		"before waiting for anything else.",
		timeout, isnan(idle_s) ? 0 : idle_s, IDLE_TIMEOUT_MIN, IDLE_TIMEOUT_MAX);
	if (isnan(pid))
		return;

	advice = perfopt_advice_add(advising, psprintf("End session %.0f if it still sits idle", pid),
								PERFOPT_RISK_MEDIUM, 0.1, 0.5);
	advice->action_sql = psprintf("SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
								  " WHERE pid = %.0f AND state LIKE 'idle in transaction%%';",
								  pid);
	advice->revert_sql =
		"-- cannot be reverted: the client has to reconnect and repeat its transaction";
	advice->rationale =
		"Frees those who wait at once, and until the application does it again. Does "
		"nothing when the session has gone on or ended by now.";
}

void
perfopt_advise_lock_contention(PerfoptAdvising *advising)
{
	const PerfoptFinding *finding = advising->finding;
	const char *role = perfopt_evidence_get_text(finding, "blocker_role");
	const char *query = perfopt_evidence_get_text(finding, "blocker_query_id");
	double longest = perfopt_evidence_get_number(finding, "wait_max_s");
	PerfoptAdvice *advice;

	advice = perfopt_advice_add(advising,
								psprintf("Hold locks on %s for a shorter time", finding->entity),
								PERFOPT_RISK_LOW, 8, 0.6);
	advice->action_sql = psprintf(
		"-- in the application: change contended rows last in the transaction, commit soon after, "
		"take"
		"\n-- work from queues with FOR UPDATE SKIP LOCKED, and split mass changes into batches.\n"
		"-- Who blocks whom just now%s:\n"
		"SELECT pid, pg_blocking_pids(pid) AS blocked_by, wait_event, state, query_id\n"
		"FROM pg_stat_activity WHERE wait_event_type = 'Lock';",
		query ? psprintf(" (last seen as blocker: query %s)", query) : "");
	advice->revert_sql = NOTHING_TO_REVERT;
	advice->rationale = psprintf(
		"%.2f sessions on average waited for locks%s. Waiting ends when the holder commits, so the "
		"time from taking the lock to the commit is what counts.",
		finding->impact.aas, isnan(longest) ? "" : psprintf(", the longest for %.1f s", longest));
	if (role == NULL)
		return;

	advice = perfopt_advice_add(advising, psprintf("Bound how long role %s waits for locks", role),
								PERFOPT_RISK_MEDIUM, 1, 0.3);
	if (!perfopt_advice_alter_role(advice, role, "lock_timeout", LOCK_TIMEOUT))
		advising->advice = list_delete_last(advising->advice);
	advice->rationale =
		"A statement that waits longer fails with SQLSTATE 55P03 instead of making the "
		"queue longer. It bounds the damage and does not remove the cause; the "
		"application must repeat what failed.";
}

void
perfopt_advise_top_statement(PerfoptAdvising *advising)
{
	const PerfoptFinding *finding = advising->finding;
	const char *query = perfopt_evidence_get_text(finding, "query_id");
	PerfoptAdvice *advice = perfopt_advice_add(advising, psprintf("Look into %s", finding->entity),
											   PERFOPT_RISK_LOW, 4, 0.4);

	advice->action_sql = psprintf("SELECT calls, mean_exec_time, rows / calls AS rows_per_call,"
								  " shared_blks_hit + shared_blks_read AS blocks, query\n"
								  "FROM pg_stat_statements WHERE queryid = %s;\n"
								  "-- then EXPLAIN (ANALYZE, BUFFERS) it with typical parameters",
								  query);
	advice->revert_sql = NOTHING_TO_REVERT;
	advice->rationale = psprintf(
		"It takes %.0f %% of DB time by itself. Three questions decide what to do: is it called "
		"more "
		"often than needed (cache or batch it), does it read more rows than it returns (index or "
		"rewrite it), and are the planner's row estimates right (ANALYZE, extended statistics)?",
		100 * finding->impact.share.share);
}

void
perfopt_advise_connections(PerfoptAdvising *advising)
{
	const PerfoptFinding *finding = advising->finding;
	double now = perfopt_evidence_get_number(finding, "max_connections");
	double idle = perfopt_evidence_get_number(finding, "idle_sessions_avg");
	double active = perfopt_evidence_get_number(finding, "active_sessions_max");
	double cores = advising->facts->cores;
	double raised = ceil(now * 1.5 / 10) * 10;
	PerfoptAdvice *advice =
		perfopt_advice_add(advising, "Put a connection pooler in front of the server",
						   PERFOPT_RISK_MEDIUM, 8, 0.8);

	perfopt_advice_outside(
		advice,
		psprintf("install pgbouncer with pool_mode = transaction and default_pool_size = %.0f,\n"
				 "and let the applications connect to it",
				 Max(4 * cores, 10)),
		"let the applications connect to the server itself again");
	advice->rationale =
		psprintf("%s%.0f server connections per database and role are enough for %g cores (4 a "
				 "core, at least "
				 "10).",
				 isnan(idle)
					 ? ""
					 : psprintf("On average %.0f connections were idle and at most %.0f at work. ",
								idle, isnan(active) ? 0 : active),
				 Max(4 * cores, 10), cores);

	advice = perfopt_advice_add(advising, psprintf("Raise max_connections to %.0f", raised),
								PERFOPT_RISK_MEDIUM, 1, 0.5);
	perfopt_advice_alter_system(advice, "max_connections", psprintf("%.0f", raised));
	advice->rationale =
		psprintf("1.5 times %.0f, rounded up to tens. Needs a restart; each further connection may "
				 "take work_mem "
				 "(%.0f kB) or more and about 10 MB of its own. Standbys must be raised first.",
				 now, perfopt_setting("work_mem"));
}

void
perfopt_advise_deadlocks(PerfoptAdvising *advising)
{
	const PerfoptFinding *finding = advising->finding;
	const char *logging = GetConfigOption("log_lock_waits", true, false);
	PerfoptAdvice *advice;

	if (logging != NULL && strcmp(logging, "on") != 0)
	{
		advice = perfopt_advice_add(advising, "Log waits for locks, to see who deadlocks with whom",
									PERFOPT_RISK_LOW, 0.5, 0.5);
		perfopt_advice_alter_system(advice, "log_lock_waits", "on");
		advice->rationale = "Waits beyond deadlock_timeout are logged with holder and waiters, as "
							"deadlocks are already; the pattern shows which locks are taken in "
							"different orders.";
	}
	advice = perfopt_advice_add(advising,
								psprintf("Take locks in the same order everywhere in %s",
										 finding->entity),
								PERFOPT_RISK_LOW, 8, 0.8);
	perfopt_advice_outside(
		advice,
		"in the application, change rows in the order of their key, lock them all "
		"at the start\n(SELECT ... ORDER BY key FOR UPDATE), and repeat "
		"transactions that fail with SQLSTATE 40P01;\nthe server's log has both "
		"statements of each deadlock",
		"undo the change of the application");
	advice->rationale =
		psprintf("%.0f deadlocks in the window. Two transactions that take the same locks in the "
				 "same order can't deadlock.",
				 perfopt_evidence_get_number(finding, "deadlocks"));
}
