/*
 * detect_cache.c
 *	  Findings about caches in front of the database.
 */
#include "postgres.h"

#include <math.h>

#include "diagnose/diagnose.h"

static const PerfoptThreshold down_samples = { "samples in which the cache did not answer", 2,
											   "judgement: sustained, not one lost probe" };
static const PerfoptThreshold hit_ratio = { "hit ratio below", 0.8,
											"convention: Redis operators' rule of thumb" };
static const PerfoptThreshold lookups_floor = { "over look-ups in the window", 1000,
												"judgement: fewer say nothing about the ratio" };
static const PerfoptThreshold misses_floor = {
	"and avoidable misses per transaction of the database", 0.05,
	"judgement: below one in twenty transactions, a better ratio would not be felt"
};

/* The foreign server that a series is about. */
static char *
target_of(const PerfoptSeries *series)
{
	char *target = perfopt_series_label(series, "target");

	return target ? target : pstrdup("redis");
}

void
perfopt_detect_cache_down(PerfoptDiagnosis *diagnosis)
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

		if (down < down_samples.value)
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
		perfopt_finding_lineage(finding, &down_samples, NULL);
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

void
perfopt_detect_cache_low_hit_ratio(PerfoptDiagnosis *diagnosis)
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
		double avoidable = s->sum - (1 - hit_ratio.value) * lookups;
		PerfoptSeries *memory;
		PerfoptFinding *finding;

		if (!facts->measurable || hits == NULL || lookups < lookups_floor.value ||
			hits->sum / lookups >= hit_ratio.value ||
			!(avoidable / transactions >= misses_floor.value))
			continue;
		finding = perfopt_finding_add(diagnosis, PERFOPT_WARNING, target);
		perfopt_finding_impact(finding, avoidable_share(facts, avoidable, transactions));
		finding->root_cause =
			psprintf("Only %.0f %% of %.0f look-ups in cache %s were hits; the %.0f misses beyond "
					 "what a ratio "
					 "of %.0f %% would leave are up to %.0f %% of the database's transactions.",
					 100 * hits->sum / lookups, lookups, target, avoidable, 100 * hit_ratio.value,
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
		perfopt_finding_lineage(finding, &hit_ratio, &lookups_floor, &misses_floor, NULL);
	}
}
