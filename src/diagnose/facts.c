/*
 * facts.c
 *	  Gathering of a window's facts, and shares of its DB time.
 */
#include "postgres.h"

#include <math.h>
#include <unistd.h>

#include "access/xact.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "diagnose/facts.h"

/*
 * Below these, shares of DB time are noise: an idle server has no bottleneck.
 * judgement: with fewer than 30 sightings the interval of a share of one half is wider than 18 points;
 * 0.05 sessions on average are an hour and a quarter of work a day.
 */
#define FLOOR_SAMPLES 30
#define FLOOR_AAS 0.05
#define FLOOR_TICKS 20

/* A window that ends this long ago or less, in seconds, ends now. */
#define PRESENT_S 300

static double
first_series_value(const PerfoptFacts *facts, const char *metric)
{
	PerfoptSeries *series = perfopt_facts_series(facts, metric, NULL);

	return series ? series->last : NAN;
}

static void
machine(PerfoptFacts *facts)
{
	/* As sampled, so that a window in the past is judged by the machine of its time. */
	facts->cores = first_series_value(facts, "node_cpu_usable_count");
	if (!(facts->cores > 0))
		facts->cores = first_series_value(facts, "node_cpu_count");
	if (!(facts->cores > 0))
		facts->cores = sysconf(_SC_NPROCESSORS_ONLN);
	facts->memory_bytes = first_series_value(facts, "node_memory_usable_bytes");
	if (!(facts->memory_bytes > 0))
		facts->memory_bytes = first_series_value(facts, "node_memory_total_bytes");
	if (!(facts->memory_bytes > 0))
		facts->memory_bytes = (double) sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE);
}

PerfoptFacts *
perfopt_facts_gather(TimestampTz since, TimestampTz until)
{
	PerfoptFacts *facts = palloc0(sizeof(PerfoptFacts));

	facts->since = since;
	facts->until = until;
	facts->present = until >= GetCurrentTransactionStartTimestamp() - PRESENT_S * USECS_PER_SEC;
	perfopt_facts_read_activity(facts);
	perfopt_facts_read_blocking(facts);
	perfopt_facts_read_metrics(facts);
	machine(facts);

	facts->aas = facts->covered_s > 0 ? facts->db_s / facts->covered_s : 0;
	facts->measurable =
		facts->samples >= FLOOR_SAMPLES && facts->ticks >= FLOOR_TICKS && facts->aas >= FLOOR_AAS;
	if (facts->measurable)
		perfopt_facts_read_statements(facts);
	return facts;
}

TimestampTz
perfopt_facts_first(const PerfoptFacts *facts)
{
	TimestampTz first = facts->ncycles > 0 ? facts->cycles[0].ts : DT_NOEND;

	for (int i = 0; i < facts->nseries; i++)
	{
		if (facts->series[i].n > 0)
			first = Min(first, facts->series[i].first_ts);
	}
	return first;
}

PerfoptShare
perfopt_facts_share(const PerfoptFacts *facts, PerfoptWeigh weigh, const void *arg)
{
	PerfoptShare result = { .share = { NAN, NAN, NAN } };
	double *part = palloc0(sizeof(double) * Max(facts->ncycles, 1));
	double *total = palloc(sizeof(double) * Max(facts->ncycles, 1));

	for (int i = 0; i < facts->nactivities; i++)
	{
		const PerfoptActivity *activity = &facts->activities[i];
		double weight = activity->free > 0 ? weigh(facts, activity, arg) * activity->free : 0;

		if (weight <= 0)
			continue;
		part[activity->cycle] += weight * activity->seconds;
		result.seconds += weight * activity->seconds;
		result.samples += weight * activity->n;
	}
	for (int i = 0; i < facts->ncycles; i++)
		total[i] = facts->cycles[i].db_s;
	result.share = perfopt_ratio(part, total, facts->ncycles, 0.95);
	result.aas = facts->covered_s > 0 ? result.seconds / facts->covered_s : 0;
	pfree(part);
	pfree(total);
	return result;
}

double
perfopt_facts_seconds(const PerfoptFacts *facts, PerfoptWeigh weigh, const void *arg)
{
	double seconds = 0;

	for (int i = 0; i < facts->nactivities; i++)
		seconds += weigh(facts, &facts->activities[i], arg) * facts->activities[i].seconds;
	return seconds;
}

void
perfopt_facts_charge(PerfoptFacts *facts, PerfoptWeigh weigh, const void *arg)
{
	for (int i = 0; i < facts->nactivities; i++)
	{
		PerfoptActivity *activity = &facts->activities[i];

		if (activity->free > 0)
			activity->free *= 1 - Min(weigh(facts, activity, arg), 1.0);
	}
}

bool
perfopt_wait_is(const PerfoptFacts *facts, const PerfoptActivity *activity, const char *class,
				const char *event)
{
	const PerfoptWait *wait = &facts->waits[activity->wait];

	return strcmp(wait->class, class) == 0 &&
		   (event == NULL || *event == '\0' || strcmp(wait->event, event) == 0);
}

double
perfopt_weigh_waits(const PerfoptFacts *facts, const PerfoptActivity *activity, const void *arg)
{
	const PerfoptWait *wait = &facts->waits[activity->wait];

	for (const char *const *name = arg; *name != NULL; name++)
	{
		const char *colon = strchr(*name, ':');
		size_t length = colon - *name;

		if (strlen(wait->class) == length && strncmp(wait->class, *name, length) == 0 &&
			(colon[1] == '\0' || strcmp(wait->event, colon + 1) == 0))
			return 1;
	}
	return 0;
}

double
perfopt_setting(const char *name)
{
	const char *value = GetConfigOption(name, true, false);

	return value ? strtod(value, NULL) : NAN;
}
