/*
 * prober.c
 *	  The cycle of the worker "perfopt prober": sources that cross a network and may hang.
 */
#include "postgres.h"

#include "utils/memutils.h"

#include "collect/collect.h"
#include "collect/prober.h"
#include "guc.h"
#include "target/target.h"
#include "worker/worker.h"

/* Left to the cycle for everything but waiting. */
#define CYCLE_RESERVE_MS 1000

#define SOURCE_TARGET "target"

static void collect_target_problems(PerfoptBatch *batch);

static const int no_metrics = 0;

static const PerfoptSource prober_sources[] = {
	{ "redis", "cache", 0, perfopt_collect_redis, perfopt_redis_metrics, &perfopt_redis_nmetrics },
	{ SOURCE_TARGET, "external", 0, collect_target_problems, NULL, &no_metrics },
};

List *
perfopt_prober_targets(const char *type)
{
	MemoryContext context = CurrentMemoryContext;
	MemoryContext sql_context;
	List *targets;

	perfopt_collect_begin_sql();
	sql_context = MemoryContextSwitchTo(context);
	targets = perfopt_targets_of_type(type);
	MemoryContextSwitchTo(sql_context);
	perfopt_collect_end_sql();
	return targets;
}

int
perfopt_prober_timeout_ms(void)
{
	int deadline_ms = perfopt_worker_deadline_ms(perfopt_collect_interval_ms());

	return Min(perfopt_probe_timeout_ms, (deadline_ms - CYCLE_RESERVE_MS) / 2);
}

static bool
is_among(List *names, const char *name)
{
	ListCell *cell;

	foreach (cell, names)
	{
		if (strcmp(lfirst(cell), name) == 0)
			return true;
	}
	return false;
}

/*
 * The validator is not told a server's TYPE, so this is where someone learns that a TYPE was misspelt
 * or does not go with the options.  Redis targets are reported by their own source.
 */
static void
collect_target_problems(PerfoptBatch *batch)
{
	/* Names noted before, in this worker's own memory. */
	static List *noted = NIL;
	List *targets = perfopt_prober_targets(NULL);
	List *problems = NIL;
	MemoryContext oldcontext = MemoryContextSwitchTo(TopMemoryContext);
	ListCell *cell;

	foreach (cell, targets)
	{
		PerfoptTarget *target = lfirst(cell);
		char *problem;

		if (target->type != NULL && strcmp(target->type, "redis") == 0)
			continue;
		problem = perfopt_target_problem(target);
		if (problem == NULL)
			continue;
		perfopt_collect_note(SOURCE_TARGET, target->name, problem, -1, 0);
		problems = lappend(problems, pstrdup(target->name));
		pfree(problem);
	}
	MemoryContextSwitchTo(oldcontext);

	foreach (cell, noted)
	{
		if (!is_among(problems, lfirst(cell)))
			perfopt_collect_forget(SOURCE_TARGET, lfirst(cell));
	}
	list_free_deep(noted);
	noted = problems;
}

const char *
perfopt_prober_cycle(void)
{
	return perfopt_collect_run("prober", prober_sources, lengthof(prober_sources));
}
