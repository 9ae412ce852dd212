/*
 * detect_cache.c
 *	  Findings about caches in front of the database.
 */
#include "postgres.h"

#include <math.h>

#include "lib/stringinfo.h"

#include "diagnose/diagnose.h"

static const PerfoptThreshold down_samples = { "failed_samples",
											   "samples in which the cache did not answer", 2,
											   "judgement: sustained, not one lost probe" };
static const PerfoptThreshold hit_ratio = { "hit_ratio", "hit ratio below", 0.8,
											"convention: Redis operators' rule of thumb" };
static const PerfoptThreshold lookups_floor = { "lookups", "over look-ups in the window", 1000,
												"judgement: fewer say nothing about the ratio" };
static const PerfoptThreshold misses_floor = {
	"misses_per_transaction", "and avoidable misses per transaction of the database", 0.05,
	"judgement: below one in twenty transactions, a better ratio would not be felt"
};

static const PerfoptThreshold evicted_keys = { "keys", "keys evicted in the window", 100,
											   "judgement: a few make no difference" };
static const PerfoptThreshold evicted_samples = { "samples", "in samples", 2,
												  "judgement: sustained, not one burst" };
static const PerfoptThreshold evicted_memory = { "memory_ratio",
												 "with this share of maxmemory in use", 0.9,
												 "judgement: catalogue of findings" };
static const PerfoptThreshold rejected = { "connections", "connections refused in the window", 2,
										   "judgement: repeated, not one" };
static const PerfoptThreshold ping_ms = { "ping_ms", "milliseconds that PING takes on average", 10,
										  "convention: slowlog-log-slower-than of Redis" };
static const PerfoptThreshold slow_commands = {
	"slow_commands", "or commands in the slow log", 3,
	"convention: Redis logs those over 10 ms; judgement: repeated, not one"
};
static const PerfoptThreshold fork_ms = { "fork_ms", "or milliseconds that a fork took", 1000,
										  "judgement: all clients wait that long" };
static const PerfoptThreshold delayed_fsyncs = {
	"delayed_fsyncs", "the last save failed, or writes held up by the append-only file", 2,
	"judgement: repeated, not one"
};

/* The foreign server that a series is about. */
static char *
target_of(const PerfoptSeries *series)
{
	char *target = perfopt_series_label(series, "target");

	return target ? target : pstrdup("redis");
}

static void
detect_cache_down(PerfoptDiagnosis *diagnosis)
{
	PerfoptFacts *facts = diagnosis->facts;

	for (PerfoptSeries *s = NULL; (s = perfopt_facts_series(facts, "redis_up", s)) != NULL;)
	{
		/* redis_up is 0 or 1 in each sample. */
		double down = s->n - s->sum;
		bool still = s->last == 0;
		double down_s = s->n > 0 ? down * s->seconds / s->n : 0;
		char *target = target_of(s);
		PerfoptFinding *finding;

		if (down < perfopt_limit(diagnosis, &down_samples))
			continue;
		finding =
			perfopt_finding_add(diagnosis, still ? PERFOPT_CRITICAL : PERFOPT_WARNING, target);
		finding->root_cause = psprintf(
			"Cache %s did not answer in %.0f of %d probes (about %.0f s)%s; what it would have "
			"served goes to the database.",
			target, down, s->n, down_s, still ? " and is down at the end" : "; it is back");
		perfopt_evidence_text(finding, "target", target);
		perfopt_evidence_number(finding, "probes", s->n);
		perfopt_evidence_number(finding, "probes_failed", down);
		perfopt_evidence_number(finding, "down_s", down_s);
		perfopt_evidence_number(finding, "up_at_end", s->last);
		perfopt_evidence_text(
			finding, "sql",
			"SELECT ts, labels, value FROM perfopt.sample WHERE metric = 'redis_up' ORDER BY ts");
	}
}

/*
 * A miss costs the database at most one transaction, so the misses that a ratio of 80 % would spare are
 * at most this share of DB time.  The lower bound is zero: sampling can't tell which statements follow
 * misses.  The figure in between is the middle.
 */
static PerfoptShare
avoidable_share(const PerfoptFacts *facts, double avoidable, double transactions)
{
	PerfoptShare share = { 0 };
	double part = Min(avoidable / transactions, 1.0);

	share.share.share = part / 2;
	share.share.low = 0;
	share.share.high = part;
	share.aas = part / 2 * facts->aas;
	share.seconds = part / 2 * facts->db_s;
	return share;
}

static void
detect_cache_low_hit_ratio(PerfoptDiagnosis *diagnosis)
{
	PerfoptFacts *facts = diagnosis->facts;
	double transactions = perfopt_facts_increase(facts, "pg_xact_commit_total");

	for (PerfoptSeries *s = NULL;
		 (s = perfopt_facts_series(facts, "redis_keyspace_misses_total", s)) != NULL;)
	{
		char *target = target_of(s);
		PerfoptSeries *hits =
			perfopt_facts_labelled(facts, "redis_keyspace_hits_total", "target", target);
		double lookups = hits ? hits->sum + s->sum : 0;
		double avoidable = s->sum - (1 - perfopt_limit(diagnosis, &hit_ratio)) * lookups;
		PerfoptSeries *memory;
		PerfoptFinding *eviction;
		PerfoptFinding *finding;

		if (!facts->measurable || hits == NULL ||
			lookups < perfopt_limit(diagnosis, &lookups_floor) ||
			hits->sum / lookups >= perfopt_limit(diagnosis, &hit_ratio) ||
			!(avoidable / transactions >= perfopt_limit(diagnosis, &misses_floor)))
			continue;
		finding = perfopt_finding_add(diagnosis, PERFOPT_WARNING, target);
		perfopt_finding_impact(finding, avoidable_share(facts, avoidable, transactions));
		finding->root_cause =
			psprintf("Only %.0f %% of %.0f look-ups in cache %s were hits; the %.0f misses beyond "
					 "what a ratio "
					 "of %.0f %% would leave are up to %.0f %% of the database's transactions.",
					 100 * hits->sum / lookups, lookups, target, avoidable,
					 100 * perfopt_limit(diagnosis, &hit_ratio),
					 100 * Min(avoidable / transactions, 1.0));
		perfopt_evidence_text(finding, "target", target);
		perfopt_evidence_number(finding, "lookups", lookups);
		perfopt_evidence_number(finding, "hits", hits->sum);
		perfopt_evidence_number(finding, "misses", s->sum);
		perfopt_evidence_number(finding, "transactions", transactions);
		memory = perfopt_facts_labelled(facts, "redis_memory_max_bytes", "target", target);
		perfopt_evidence_number(finding, "memory_max_bytes", memory ? memory->last : NAN);
		memory = perfopt_facts_labelled(facts, "redis_memory_used_bytes", "target", target);
		perfopt_evidence_number(finding, "memory_used_bytes", memory ? memory->last : NAN);
		memory = perfopt_facts_labelled(facts, "redis_evicted_keys_total", "target", target);
		perfopt_evidence_number(finding, "evicted_keys", memory ? memory->sum : NAN);
		perfopt_evidence_text(finding, "sql",
							  "SELECT ts, metric, labels, value FROM perfopt.sample "
							  "WHERE metric LIKE 'redis_keyspace_%' ORDER BY ts");
		eviction = perfopt_finding_of(diagnosis, "cache_eviction");
		if (eviction != NULL && strcmp(eviction->entity, target) == 0)
			perfopt_finding_factor(finding, eviction);
	}
}

/* The value of another metric of the same target at the end of the window, NaN when unknown. */
static double
last_of(const PerfoptFacts *facts, const char *metric, const PerfoptSeries *series)
{
	PerfoptSeries *twin = perfopt_facts_twin(facts, metric, series);

	return twin ? twin->last : NAN;
}

static void
detect_cache_eviction(PerfoptDiagnosis *diagnosis)
{
	PerfoptFacts *facts = diagnosis->facts;

	for (PerfoptSeries *s = NULL;
		 (s = perfopt_facts_series(facts, "redis_evicted_keys_total", s)) != NULL;)
	{
		double used = last_of(facts, "redis_memory_used_bytes", s);
		double max = last_of(facts, "redis_memory_max_bytes", s);
		double misses = NAN;
		PerfoptSeries *twin;
		char *target;
		PerfoptFinding *finding;

		if (s->sum < perfopt_limit(diagnosis, &evicted_keys) ||
			s->nonzero < perfopt_limit(diagnosis, &evicted_samples) ||
			!(used >= perfopt_limit(diagnosis, &evicted_memory) * max))
			continue;
		twin = perfopt_facts_twin(facts, "redis_keyspace_misses_total", s);
		misses = twin ? twin->sum : NAN;
		target = target_of(s);
		finding = perfopt_finding_add(diagnosis, PERFOPT_WARNING, target);
		finding->root_cause =
			psprintf("Cache %s threw away %.0f keys for want of memory (%.0f MB of %.0f MB in "
					 "use)%s; those that "
					 "are asked for again come from the database.",
					 target, s->sum, used / 1048576, max / 1048576,
					 isnan(misses) ? "" : psprintf(" while %.0f look-ups missed", misses));
		perfopt_evidence_text(finding, "target", target);
		perfopt_evidence_number(finding, "evicted_keys", s->sum);
		perfopt_evidence_number(finding, "memory_used_bytes", used);
		perfopt_evidence_number(finding, "memory_max_bytes", max);
		perfopt_evidence_number(finding, "misses", misses);
		perfopt_evidence_series(finding, facts, s);
	}
}

static void
detect_cache_connections(PerfoptDiagnosis *diagnosis)
{
	PerfoptFacts *facts = diagnosis->facts;

	for (PerfoptSeries *s = NULL;
		 (s = perfopt_facts_series(facts, "redis_rejected_connections_total", s)) != NULL;)
	{
		double clients = last_of(facts, "redis_connected_clients", s);
		char *target;
		PerfoptFinding *finding;

		if (s->sum < perfopt_limit(diagnosis, &rejected))
			continue;
		target = target_of(s);
		finding = perfopt_finding_add(diagnosis, PERFOPT_CRITICAL, target);
		finding->root_cause =
			psprintf("Cache %s refused %.0f connections because maxclients was reached%s; their "
					 "clients go to the "
					 "database or fail.",
					 target, s->sum, isnan(clients) ? "" : psprintf(" (%.0f at the end)", clients));
		perfopt_evidence_text(finding, "target", target);
		perfopt_evidence_number(finding, "rejected", s->sum);
		perfopt_evidence_number(finding, "connected_clients", clients);
		perfopt_evidence_series(finding, facts, s);
	}
}

/* What made a cache slow, as words; NULL when nothing did. */
static char *
slowness(const PerfoptDiagnosis *diagnosis, const PerfoptSeries *ping)
{
	const PerfoptFacts *facts = diagnosis->facts;
	PerfoptSeries *slow = perfopt_facts_twin(facts, "redis_slowlog_last_id", ping);
	PerfoptSeries *fork = perfopt_facts_twin(facts, "redis_latest_fork_seconds", ping);
	double slow_n = slow ? slow->last - slow->first : 0;
	double mean_ms = 1000 * perfopt_series_mean(ping);
	bool forked = fork && fork->last != fork->first;
	StringInfoData words;

	initStringInfo(&words);
	if (mean_ms >= perfopt_limit(diagnosis, &ping_ms))
		appendStringInfo(&words, "PING took %.1f ms on average", mean_ms);
	if (slow_n >= perfopt_limit(diagnosis, &slow_commands))
		appendStringInfo(&words, "%s%.0f commands went into its slow log",
						 words.len > 0 ? ", " : "", slow_n);
	if (forked && 1000 * fork->last >= perfopt_limit(diagnosis, &fork_ms))
		appendStringInfo(&words, "%sa fork took %.0f ms", words.len > 0 ? ", " : "",
						 1000 * fork->last);
	return words.len > 0 ? words.data : NULL;
}

static void
detect_cache_latency(PerfoptDiagnosis *diagnosis)
{
	PerfoptFacts *facts = diagnosis->facts;

	for (PerfoptSeries *s = NULL;
		 (s = perfopt_facts_series(facts, "redis_ping_seconds", s)) != NULL;)
	{
		char *words = slowness(diagnosis, s);
		PerfoptSeries *slow = perfopt_facts_twin(facts, "redis_slowlog_last_id", s);
		char *target;
		PerfoptFinding *finding;

		if (words == NULL)
			continue;
		target = target_of(s);
		finding = perfopt_finding_add(diagnosis, PERFOPT_WARNING, target);
		finding->root_cause = psprintf(
			"Cache %s was slow: %s. It does one thing at a time, so all its clients waited.",
			target, words);
		perfopt_evidence_text(finding, "target", target);
		perfopt_evidence_number(finding, "ping_ms_avg", 1000 * perfopt_series_mean(s));
		perfopt_evidence_number(finding, "ping_ms_max", 1000 * s->max);
		perfopt_evidence_number(finding, "slow_commands", slow ? slow->last - slow->first : NAN);
		perfopt_evidence_number(finding, "fork_ms",
								1000 * last_of(facts, "redis_latest_fork_seconds", s));
		perfopt_evidence_series(finding, facts, s);
	}
}

static void
detect_cache_persistence(PerfoptDiagnosis *diagnosis)
{
	PerfoptFacts *facts = diagnosis->facts;

	for (PerfoptSeries *s = NULL; (s = perfopt_facts_series(facts, "redis_up", s)) != NULL;)
	{
		PerfoptSeries *saved = perfopt_facts_twin(facts, "redis_rdb_last_bgsave_ok", s);
		PerfoptSeries *delayed = perfopt_facts_twin(facts, "redis_aof_delayed_fsync_total", s);
		bool failed = saved && saved->last == 0;
		double delays = delayed ? delayed->sum : NAN;
		bool held_up = delays >= perfopt_limit(diagnosis, &delayed_fsyncs);
		char *target;
		PerfoptFinding *finding;

		if (!failed && !held_up)
			continue;
		target = target_of(s);
		finding =
			perfopt_finding_add(diagnosis, failed ? PERFOPT_CRITICAL : PERFOPT_WARNING, target);
		finding->root_cause =
			failed
				? psprintf("Cache %s could not save its data to disk the last time; by default it "
						   "refuses writes until it can.",
						   target)
				: psprintf("Cache %s held up writes %.0f times until its append-only file was "
						   "synced: its disk is too slow.",
						   target, delays);
		perfopt_evidence_text(finding, "target", target);
		perfopt_evidence_number(finding, "last_save_ok", saved ? saved->last : NAN);
		perfopt_evidence_number(finding, "delayed_fsyncs", delays);
		perfopt_evidence_series(finding, facts, failed ? saved : delayed);
	}
}

const PerfoptDetector perfopt_cache_detectors[] = {
	{ "cache_down", "cache", PERFOPT_STAGE_REST, detect_cache_down,
	  PERFOPT_THRESHOLDS(&down_samples) },
	{ "cache_low_hit_ratio", "cache", PERFOPT_STAGE_REST, detect_cache_low_hit_ratio,
	  PERFOPT_THRESHOLDS(&hit_ratio, &lookups_floor, &misses_floor) },
	{ "cache_eviction", "cache", PERFOPT_STAGE_CAUSE, detect_cache_eviction,
	  PERFOPT_THRESHOLDS(&evicted_keys, &evicted_samples, &evicted_memory) },
	{ "cache_connections", "cache", PERFOPT_STAGE_REST, detect_cache_connections,
	  PERFOPT_THRESHOLDS(&rejected) },
	{ "cache_latency", "cache", PERFOPT_STAGE_REST, detect_cache_latency,
	  PERFOPT_THRESHOLDS(&ping_ms, &slow_commands, &fork_ms) },
	{ "cache_persistence", "cache", PERFOPT_STAGE_REST, detect_cache_persistence,
	  PERFOPT_THRESHOLDS(&delayed_fsyncs) },
	{ NULL }
};
