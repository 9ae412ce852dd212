/*
 * hooks.c
 *	  What each backend tells the sampler about itself: a few plain stores to its own place in shared
 *	  memory at the start and end of a top-level statement.
 */
#include "postgres.h"

#include "executor/executor.h"
#include "miscadmin.h"
#include "parser/analyze.h"
#include "storage/ipc.h"
#include "storage/proc.h"
#include "tcop/utility.h"

#include "compat.h"
#include "sampler/sampler.h"

static post_parse_analyze_hook_type prev_post_parse_analyze = NULL;
static ExecutorStart_hook_type prev_executor_start = NULL;
static ExecutorRun_hook_type prev_executor_run = NULL;
static ExecutorFinish_hook_type prev_executor_finish = NULL;
static ProcessUtility_hook_type prev_process_utility = NULL;

/* Depth of executor and utility calls; only statements at depth 0 are the client's own. */
static int nesting = 0;

/* The statement that was analyzed last and not yet executed, 0 if none. */
static uint64 parsed_query_id = 0;

static inline SamplerProc *
my_proc(void)
{
	return perfopt_sampler_procs && MyProc ? &perfopt_sampler_procs[PERFOPT_MY_PROCNO] : NULL;
}

/*
 * One that is terminated in the middle of a statement, or loses its client, does not come back through
 * PG_FINALLY, and in older versions its place in the process array goes on having its pid.
 */
static void
stop_executing(int code, Datum arg)
{
	SamplerProc *me = my_proc();

	if (me != NULL)
		me->executing = false;
}

static inline void
set_query_id(uint64 query_id)
{
	static bool exit_is_seen_to = false;
	SamplerProc *me = my_proc();

	if (me == NULL)
		return;
	if (!exit_is_seen_to)
	{
		before_shmem_exit(stop_executing, (Datum) 0);
		exit_is_seen_to = true;
	}
	me->pid = MyProcPid;
	me->query_id = query_id;
	me->ignored = false;
}

/*
 * pg_stat_statements takes the id away from a utility statement before hooks that were installed
 * earlier see it; what was parsed just before is that statement then.
 */
static inline void
begin_statement(uint64 query_id)
{
	if (nesting > 0)
		return;
	set_query_id(query_id != 0 ? query_id : parsed_query_id);
	parsed_query_id = 0;
}

static inline void
set_executing(bool executing)
{
	SamplerProc *me = my_proc();

	if (nesting == 0 && me != NULL)
		me->executing = executing;
}

/* So that planning counts for the statement that is planned, not for the one before it. */
static void
post_parse_analyze(ParseState *pstate, Query *query, JumbleState *jstate)
{
	if (prev_post_parse_analyze)
		prev_post_parse_analyze(pstate, query, jstate);
	if (nesting > 0)
		return;
	parsed_query_id = (uint64) query->queryId;
	set_query_id(parsed_query_id);
}

static void
executor_start(QueryDesc *queryDesc, int eflags)
{
	begin_statement((uint64) queryDesc->plannedstmt->queryId);
	if (prev_executor_start)
		prev_executor_start(queryDesc, eflags);
	else
		standard_ExecutorStart(queryDesc, eflags);
}

static void
executor_run(PERFOPT_EXECUTOR_RUN_ARGS)
{
	set_executing(true);
	nesting++;
	PG_TRY();
	{
		if (prev_executor_run)
			prev_executor_run(PERFOPT_EXECUTOR_RUN_PASS);
		else
			standard_ExecutorRun(PERFOPT_EXECUTOR_RUN_PASS);
	}
	PG_FINALLY();
	{
		nesting--;
		set_executing(false);
	}
	PG_END_TRY();
}

static void
executor_finish(QueryDesc *queryDesc)
{
	nesting++;
	PG_TRY();
	{
		if (prev_executor_finish)
			prev_executor_finish(queryDesc);
		else
			standard_ExecutorFinish(queryDesc);
	}
	PG_FINALLY();
	{
		nesting--;
	}
	PG_END_TRY();
}

/*
 * EXECUTE and PREPARE only lead to a statement that has an identity of its own, as they do for
 * pg_stat_statements.
 */
static void
process_utility(PlannedStmt *pstmt, const char *queryString, bool readOnlyTree,
				ProcessUtilityContext context, ParamListInfo params, QueryEnvironment *queryEnv,
				DestReceiver *dest, QueryCompletion *qc)
{
	bool transparent = IsA(pstmt->utilityStmt, ExecuteStmt) || IsA(pstmt->utilityStmt, PrepareStmt);

	if (transparent)
	{
		prev_process_utility(pstmt, queryString, readOnlyTree, context, params, queryEnv, dest, qc);
		return;
	}

	begin_statement((uint64) pstmt->queryId);
	set_executing(true);
	nesting++;
	PG_TRY();
	{
		prev_process_utility(pstmt, queryString, readOnlyTree, context, params, queryEnv, dest, qc);
	}
	PG_FINALLY();
	{
		nesting--;
		set_executing(false);
	}
	PG_END_TRY();
}

void
perfopt_sampler_install_hooks(void)
{
	/* With compute_query_id = auto, somebody has to ask for the ids. */
	EnableQueryId();

	prev_post_parse_analyze = post_parse_analyze_hook;
	post_parse_analyze_hook = post_parse_analyze;
	prev_executor_start = ExecutorStart_hook;
	ExecutorStart_hook = executor_start;
	prev_executor_run = ExecutorRun_hook;
	ExecutorRun_hook = executor_run;
	prev_executor_finish = ExecutorFinish_hook;
	ExecutorFinish_hook = executor_finish;
	prev_process_utility = ProcessUtility_hook ? ProcessUtility_hook : standard_ProcessUtility;
	ProcessUtility_hook = process_utility;
}
