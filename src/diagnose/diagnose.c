/*
 * diagnose.c
 *	  Running the detectors, and perfopt.bottlenecks().
 */
#include "postgres.h"

#include <math.h>

#include "access/xact.h"
#include "catalog/pg_authid.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/timestamp.h"

#include "diagnose/diagnose.h"
#include "diagnose/owner.h"
#include "guc.h"

/* Characters of a statement's text that an entity shows. */
#define TEXT_LENGTH 120

/* Within a stage, tables are asked in this order and their rows from the first to the last. */
const PerfoptDetector *const perfopt_detector_tables[] = {
	perfopt_lock_detectors,          perfopt_index_detectors,
	perfopt_statement_detectors,     perfopt_overhead_detectors,
	perfopt_storage_detectors,       perfopt_memory_detectors,
	perfopt_disk_detectors,          perfopt_session_detectors,
	perfopt_network_detectors,       perfopt_cpu_detectors,
	perfopt_vacuum_detectors,        perfopt_table_detectors,
	perfopt_schema_detectors,        perfopt_replication_detectors,
	perfopt_system_memory_detectors, perfopt_cache_detectors,
	perfopt_external_detectors,      perfopt_integration_detectors,
	perfopt_input_detectors,         NULL,
};

static int
compare_findings(const ListCell *a, const ListCell *b)
{
	const PerfoptFinding *x = lfirst(a);
	const PerfoptFinding *y = lfirst(b);

	if (x->has_impact != y->has_impact)
		return x->has_impact ? -1 : 1;
	if (x->has_impact && x->impact.share.share != y->impact.share.share)
		return x->impact.share.share < y->impact.share.share ? 1 : -1;
	if (x->severity != y->severity)
		return (int) y->severity - (int) x->severity;
	if (strcmp(x->name, y->name) != 0)
		return strcmp(x->name, y->name);
	return strcmp(x->entity, y->entity);
}

static void
run_stage(PerfoptDiagnosis *diagnosis, PerfoptStage stage)
{
	for (const PerfoptDetector *const *table = perfopt_detector_tables; *table != NULL; table++)
	{
		for (const PerfoptDetector *detector = *table; detector->name != NULL; detector++)
		{
			if (detector->stage != stage)
				continue;
			CHECK_FOR_INTERRUPTS();
			diagnosis->detector = detector;
			detector->detect(diagnosis);
		}
	}
}

PerfoptDiagnosis *
perfopt_diagnose(TimestampTz since, TimestampTz until)
{
	PerfoptDiagnosis *diagnosis = palloc0(sizeof(PerfoptDiagnosis));

	diagnosis->facts = perfopt_facts_gather(since, until);
	perfopt_settings_read(diagnosis);
	for (int stage = 0; stage < PERFOPT_NUM_STAGES; stage++)
		run_stage(diagnosis, stage);
	list_sort(diagnosis->findings, compare_findings);
	return diagnosis;
}

/* On one line, and not longer than a table's row bears. */
static char *
shortened(const char *text)
{
	char *line = palloc(strlen(text) + 4);
	int length = 0;

	for (const char *c = text; *c; c++)
	{
		bool space = *c == ' ' || *c == '\n' || *c == '\t' || *c == '\r';

		if (space && (length == 0 || line[length - 1] == ' '))
			continue;
		line[length++] = space ? ' ' : *c;
	}
	line[length] = '\0';
	if (length > TEXT_LENGTH)
		memcpy(line + pg_mbcliplen(line, length, TEXT_LENGTH), "...", sizeof("..."));
	return line;
}

static Datum
percent(double share, bool *isnull)
{
	*isnull = !isfinite(share);
	return Float8GetDatum(*isnull ? 0 : rint(share * 10000) / 100);
}

static Datum
rounded(double value, bool *isnull)
{
	*isnull = !isfinite(value);
	return Float8GetDatum(*isnull ? 0 : rint(value * 1000) / 1000);
}

static Datum
jsonb_datum(char *json)
{
	return DirectFunctionCall1(jsonb_in, CStringGetDatum(json));
}

void
perfopt_finding_values(const PerfoptFinding *finding, bool with_texts, Datum *values, bool *nulls)
{
	const PerfoptShare none = { .share = { NAN, NAN, NAN }, .aas = NAN, .seconds = NAN };
	const PerfoptShare *impact = finding->has_impact ? &finding->impact : &none;
	char *entity = finding->entity;

	if (with_texts && finding->statement_text)
		entity = psprintf("%s: %s", entity, shortened(finding->statement_text));

	memset(nulls, 0, sizeof(bool) * PERFOPT_BOTTLENECK_COLUMNS);
	values[0] = CStringGetTextDatum(finding->category);
	values[1] = CStringGetTextDatum(finding->name);
	values[2] = CStringGetTextDatum(perfopt_severity_name(finding->severity));
	values[3] = percent(impact->share.share, &nulls[3]);
	values[4] = percent(impact->share.low, &nulls[4]);
	values[5] = percent(impact->share.high, &nulls[5]);
	values[6] = rounded(impact->aas, &nulls[6]);
	values[7] = rounded(impact->seconds, &nulls[7]);
	values[8] = CStringGetTextDatum(entity);
	values[9] = CStringGetTextDatum(finding->root_cause);
	values[10] = jsonb_datum(perfopt_finding_factors_json(finding));
	values[11] = jsonb_datum(perfopt_finding_evidence_json(finding));
	values[12] = CStringGetTextDatum(finding->lineage);
}

/*
 * Samples older than perfopt.retention_raw are gone.  A window that reaches back further is diagnosed from
 * what is left of it, which who asked should know.
 */
static void
tell_what_is_covered(const PerfoptFacts *facts)
{
	TimestampTz kept_from = GetCurrentTransactionStartTimestamp() -
							(TimestampTz) perfopt_retention_raw_min * 60 * USECS_PER_SEC;
	TimestampTz first = perfopt_facts_first(facts);

	if (facts->since >= kept_from || first - facts->since < USECS_PER_HOUR)
		return;
	ereport(NOTICE, (TIMESTAMP_NOT_FINITE(first)
						 ? errmsg("nothing is known of this window any more")
						 : errmsg("this window is covered from %s on", timestamptz_to_str(first)),
					 errhint("perfopt.retention_raw says how long samples are kept.")));
}

PG_FUNCTION_INFO_V1(perfopt_bottlenecks);
Datum
perfopt_bottlenecks(PG_FUNCTION_ARGS)
{
	TimestampTz until = PG_GETARG_TIMESTAMPTZ(1);
	TimestampTz since =
		DatumGetTimestampTz(DirectFunctionCall2(timestamptz_mi_interval, TimestampTzGetDatum(until),
												PG_GETARG_DATUM(0)));
	ReturnSetInfo *rsinfo;
	PerfoptOwnerScope scope;
	PerfoptDiagnosis *diagnosis;
	ListCell *cell;
	bool with_texts;

	if (TIMESTAMP_NOT_FINITE(until) || since >= until)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("the window to diagnose must have a length and an end"),
						errhint("For example: since => '15 min', until => now().")));
	InitMaterializedSRF(fcinfo, 0);
	rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	with_texts = has_privs_of_role(GetUserId(), ROLE_PG_READ_ALL_STATS);

	perfopt_owner_enter(&scope, fcinfo);
	diagnosis = perfopt_diagnose(since, until);
	perfopt_owner_leave(&scope);
	tell_what_is_covered(diagnosis->facts);

	foreach (cell, diagnosis->findings)
	{
		Datum values[PERFOPT_BOTTLENECK_COLUMNS];
		bool nulls[PERFOPT_BOTTLENECK_COLUMNS];

		perfopt_finding_values(lfirst(cell), with_texts, values, nulls);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	return (Datum) 0;
}
