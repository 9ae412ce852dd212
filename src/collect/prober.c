/*
 * prober.c
 *	  The cycle of the worker "perfopt prober": sources that cross a network and may hang.
 */
#include "postgres.h"

#include <math.h>

#include "utils/guc.h"
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
	{ "redis", "cache", 0, perfopt_collect_redis, perfopt_redis_metrics, &perfopt_redis_nmetrics,
	  perfopt_start_redis },
	{ "http", "external", 0, perfopt_collect_http, perfopt_http_metrics, &perfopt_http_nmetrics,
	  perfopt_start_http },
	{ "pgbouncer", "integration", 0, perfopt_collect_pgbouncer, perfopt_pgbouncer_metrics,
	  &perfopt_pgbouncer_nmetrics, perfopt_start_pgbouncer },
	{ "openmetrics", "application", 0, perfopt_collect_openmetrics, perfopt_openmetrics_metrics,
	  &perfopt_openmetrics_nmetrics, perfopt_start_openmetrics },
	{ SOURCE_TARGET, "external", 0, collect_target_problems, NULL, &no_metrics, NULL },
};

/* TYPEs whose own source tells what is wrong with a target. */
static const char *const probed_types[] = { "redis", "http", "openmetrics", "pgbouncer",
											"webhook" };

/* This cycle's targets of all TYPEs, in the cycle's memory context. */
static List *all_targets = NIL;
static bool targets_read = false;

/* What a source noted in source_status, in this worker's own memory. */
typedef struct Noted
{
	const char *source;
	List *names;
} Noted;

static void
read_targets(void)
{
	MemoryContext context = CurrentMemoryContext;
	MemoryContext sql_context;

	perfopt_collect_begin_sql();
	sql_context = MemoryContextSwitchTo(context);
	all_targets = perfopt_targets_of_type(NULL);
	MemoryContextSwitchTo(sql_context);
	perfopt_collect_end_sql();
	targets_read = true;
}

List *
perfopt_prober_targets(const char *type)
{
	List *targets = NIL;
	ListCell *cell;

	if (!targets_read)
		read_targets();
	foreach (cell, all_targets)
	{
		PerfoptTarget *target = lfirst(cell);

		if (type == NULL || (target->type != NULL && strcmp(target->type, type) == 0))
			targets = lappend(targets, target);
	}
	return targets;
}

int
perfopt_prober_timeout_ms(const PerfoptTarget *target)
{
	int most = perfopt_worker_deadline_ms(perfopt_collect_interval_ms()) - CYCLE_RESERVE_MS;
	const char *option = perfopt_target_option(target, "timeout");
	int timeout_ms = perfopt_probe_timeout_ms;

	/* The validator has looked at it. */
	if (option != NULL && !parse_int(option, &timeout_ms, GUC_UNIT_MS, NULL))
		timeout_ms = perfopt_probe_timeout_ms;
	return Min(timeout_ms, most);
}

void
perfopt_prober_printable(char *to, size_t capacity, const char *from, size_t length)
{
	size_t n = Min(length, capacity - 1);

	for (size_t i = 0; i < n; i++)
		to[i] = from[i] >= ' ' && from[i] <= '~' ? from[i] : '?';
	to[n] = '\0';
}

double
perfopt_prober_rounded(double value)
{
	return rint(value * 1e6) / 1e6;
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

static Noted *
noted_of(const char *source)
{
	static List *all = NIL;
	MemoryContext oldcontext;
	Noted *noted;
	ListCell *cell;

	foreach (cell, all)
	{
		noted = lfirst(cell);
		if (strcmp(noted->source, source) == 0)
			return noted;
	}
	oldcontext = MemoryContextSwitchTo(TopMemoryContext);
	noted = palloc0(sizeof(Noted));
	noted->source = source;
	all = lappend(all, noted);
	MemoryContextSwitchTo(oldcontext);
	return noted;
}

/* Takes out of source_status what this source noted before and does not note any more. */
static void
forget_others(const char *source, List *names)
{
	Noted *noted = noted_of(source);
	MemoryContext oldcontext;
	List *kept = NIL;
	ListCell *cell;

	foreach (cell, noted->names)
	{
		if (!is_among(names, lfirst(cell)))
			perfopt_collect_forget(source, lfirst(cell));
	}
	oldcontext = MemoryContextSwitchTo(TopMemoryContext);
	foreach (cell, names)
		kept = lappend(kept, pstrdup(lfirst(cell)));
	list_free_deep(noted->names);
	noted->names = kept;
	MemoryContextSwitchTo(oldcontext);
}

List *
perfopt_prober_usable(const char *source, const char *type, List **unusable)
{
	List *usable = NIL;
	List *names = NIL;
	ListCell *cell;

	foreach (cell, perfopt_prober_targets(type))
	{
		PerfoptTarget *target = lfirst(cell);
		char *problem = perfopt_target_problem(target);

		names = lappend(names, target->name);
		if (problem == NULL)
		{
			usable = lappend(usable, target);
			continue;
		}
		perfopt_collect_note(source, target->name, problem, -1, 0);
		if (unusable != NULL)
			*unusable = lappend(*unusable, target);
	}
	forget_others(source, names);
	return usable;
}

static bool
is_probed(const PerfoptTarget *target)
{
	for (int i = 0; i < lengthof(probed_types); i++)
	{
		if (target->type != NULL && strcmp(target->type, probed_types[i]) == 0)
			return true;
	}
	return false;
}

/*
 * The validator is not told a server's TYPE, so this is where someone learns that a TYPE was misspelt
 * or does not go with the options.
 */
static void
collect_target_problems(PerfoptBatch *batch)
{
	List *names = NIL;
	ListCell *cell;

	foreach (cell, perfopt_prober_targets(NULL))
	{
		PerfoptTarget *target = lfirst(cell);
		char *problem = is_probed(target) ? NULL : perfopt_target_problem(target);

		if (problem == NULL)
			continue;
		perfopt_collect_note(SOURCE_TARGET, target->name, problem, -1, 0);
		names = lappend(names, target->name);
	}
	forget_others(SOURCE_TARGET, names);
}

static const PerfoptSource *const *other_sources = NULL;
static int nother_sources = 0;

void
perfopt_prober_set_sources(const PerfoptSource *const *sources, int nsources)
{
	other_sources = sources;
	nother_sources = nsources;
}

const char *
perfopt_prober_dimension(const char *source)
{
	for (int i = 0; i < lengthof(prober_sources); i++)
		if (strcmp(prober_sources[i].name, source) == 0)
			return prober_sources[i].dimension;
	for (int i = 0; i < nother_sources; i++)
		if (strcmp(other_sources[i]->name, source) == 0)
			return other_sources[i]->dimension;
	return NULL;
}

bool
perfopt_prober_is_own(const char *name)
{
	return perfopt_collect_delivers(prober_sources, lengthof(prober_sources), name);
}

const char *
perfopt_prober_cycle(void)
{
	PerfoptSource *sources =
		palloc((lengthof(prober_sources) + nother_sources) * sizeof(PerfoptSource));

	memcpy(sources, prober_sources, sizeof(prober_sources));
	for (int i = 0; i < nother_sources; i++)
		sources[lengthof(prober_sources) + i] = *other_sources[i];
	targets_read = false;
	return perfopt_collect_run("prober", sources, lengthof(prober_sources) + nother_sources,
							   perfopt_loop_create());
}
