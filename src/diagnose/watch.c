/*
 * watch.c
 *	  Findings as a metric, so that thresholds can be set on them and their history be seen.
 *
 * To diagnose costs more than to collect, so it is done only while a threshold asks for it.
 */
#include "postgres.h"

#include <math.h>

#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "diagnose/watch.h"

#define MAX_FINDINGS 100

static const PerfoptMetric impact_metric = {
	"perfopt_finding_impact_ratio", "application", PERFOPT_GAUGE, "ratio",
	"Share of DB time of the last 15 minutes that a finding takes (labels finding and category); 0 "
	"when it is there no more, absent while no threshold asks for it. A finding about availability "
	"counts as 1 if critical, 0.5 if not"
};

/* Those that were there at some time, to be told that they are not. */
typedef struct Known
{
	char finding[64];
	char category[32];
	double impact;
} Known;

static Known known[MAX_FINDINGS];
static int nknown = 0;

static PerfoptBatch *batch = NULL;

static Known *
known_of(const char *finding, const char *category)
{
	for (int i = 0; i < nknown; i++)
		if (strcmp(known[i].finding, finding) == 0 && strcmp(known[i].category, category) == 0)
			return &known[i];
	if (nknown == MAX_FINDINGS)
		return NULL;
	strlcpy(known[nknown].finding, finding, sizeof(known[nknown].finding));
	strlcpy(known[nknown].category, category, sizeof(known[nknown].category));
	return &known[nknown++];
}

static bool
is_asked_for(void)
{
	bool asked;

	SPI_execute("SELECT FROM perfopt.threshold WHERE enabled"
				" AND metric = 'perfopt_finding_impact_ratio' LIMIT 1",
				true, 1);
	asked = SPI_processed > 0;
	SPI_freetuptable(SPI_tuptable);
	return asked;
}

static void
read_findings(void)
{
	for (int i = 0; i < nknown; i++)
		known[i].impact = 0;
	SPI_execute("SELECT finding, category, pg_catalog.max(coalesce(impact_pct / 100,"
				" CASE severity WHEN 'critical' THEN 1 WHEN 'warning' THEN 0.5 ELSE 0 END))"
				" FROM perfopt.bottlenecks('15 min') GROUP BY finding, category",
				false, 0);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		HeapTuple tuple = SPI_tuptable->vals[i];
		TupleDesc desc = SPI_tuptable->tupdesc;
		Known *finding = known_of(SPI_getvalue(tuple, desc, 1), SPI_getvalue(tuple, desc, 2));
		bool isnull;
		Datum impact = SPI_getbinval(tuple, desc, 3, &isnull);

		if (finding != NULL && !isnull)
			finding->impact = rint(DatumGetFloat8(impact) * 1e4) / 1e4;
	}
	SPI_freetuptable(SPI_tuptable);
}

void
perfopt_diagnose_watch_duty(TimestampTz now)
{
	static MemoryContext context = NULL;
	MemoryContext oldcontext;

	batch = NULL;
	perfopt_store_describe(&impact_metric, 1);
	if (!is_asked_for())
		return;
	read_findings();

	if (context == NULL)
		context = AllocSetContextCreate(TopMemoryContext, "perfopt findings", ALLOCSET_SMALL_SIZES);
	MemoryContextReset(context);
	oldcontext = MemoryContextSwitchTo(context);
	batch = perfopt_batch_create("findings");
	for (int i = 0; i < nknown; i++)
	{
		PerfoptLabel labels[] = { { "finding", known[i].finding },
								  { "category", known[i].category } };

		perfopt_batch_add(batch, &impact_metric, labels, lengthof(labels), known[i].impact);
	}
	(void) perfopt_store_append(batch, now);
	MemoryContextSwitchTo(oldcontext);
}

void
perfopt_diagnose_watch_committed(void)
{
	if (batch != NULL)
		perfopt_store_committed(batch);
	batch = NULL;
}

void
perfopt_diagnose_watch_failed(void)
{
	batch = NULL;
}
