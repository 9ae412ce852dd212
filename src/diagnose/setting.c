/*
 * setting.c
 *	  The thresholds of findings: their defaults, as perfopt.finding_thresholds() lists them, and the values
 *	  in force where somebody changed perfopt.finding_setting.
 */
#include "postgres.h"

#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "diagnose/diagnose.h"

typedef struct Setting
{
	char *finding;
	char *name;
	double value;
	char *set_by;
} Setting;

void
perfopt_settings_read(PerfoptDiagnosis *diagnosis)
{
	MemoryContext context = CurrentMemoryContext;

	SPI_connect();
	SPI_execute("SELECT finding, name, value, set_by FROM perfopt.finding_setting"
				" WHERE set_by IS NOT NULL",
				true, 0);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		HeapTuple row = SPI_tuptable->vals[i];
		TupleDesc desc = SPI_tuptable->tupdesc;
		MemoryContext old = MemoryContextSwitchTo(context);
		Setting *setting = palloc(sizeof(Setting));
		bool isnull;

		setting->finding = SPI_getvalue(row, desc, 1);
		setting->name = SPI_getvalue(row, desc, 2);
		setting->value = DatumGetFloat8(SPI_getbinval(row, desc, 3, &isnull));
		setting->set_by = SPI_getvalue(row, desc, 4);
		diagnosis->settings = lappend(diagnosis->settings, setting);
		MemoryContextSwitchTo(old);
	}
	SPI_finish();
}

static const Setting *
setting_of(const PerfoptDiagnosis *diagnosis, const PerfoptThreshold *threshold)
{
	ListCell *cell;

	foreach (cell, diagnosis->settings)
	{
		const Setting *setting = lfirst(cell);

		if (strcmp(setting->finding, diagnosis->detector->name) == 0 &&
			strcmp(setting->name, threshold->name) == 0)
			return setting;
	}
	return NULL;
}

double
perfopt_limit(const PerfoptDiagnosis *diagnosis, const PerfoptThreshold *threshold)
{
	const Setting *setting = setting_of(diagnosis, threshold);

	return setting ? setting->value : threshold->value;
}

char *
perfopt_lineage(const PerfoptDiagnosis *diagnosis)
{
	StringInfoData text;

	initStringInfo(&text);
	for (const PerfoptThreshold *const *t = diagnosis->detector->thresholds; *t != NULL; t++)
	{
		const Setting *setting = setting_of(diagnosis, *t);

		if (text.len > 0)
			appendStringInfoString(&text, "; ");
		if (setting != NULL)
			appendStringInfo(&text, "%s: %g (set by %s; default %g, %s)", (*t)->meaning,
							 setting->value, setting->set_by, (*t)->value, (*t)->lineage);
		else
			appendStringInfo(&text, "%s: %g (%s)", (*t)->meaning, (*t)->value, (*t)->lineage);
	}
	return text.data;
}

static void
put_thresholds(const PerfoptDetector *detector, ReturnSetInfo *rsinfo)
{
	for (const PerfoptThreshold *const *t = detector->thresholds; *t != NULL; t++)
	{
		Datum values[6];
		bool nulls[6] = { false };

		values[0] = CStringGetTextDatum(detector->category);
		values[1] = CStringGetTextDatum(detector->name);
		values[2] = CStringGetTextDatum((*t)->name);
		values[3] = Float8GetDatum((*t)->value);
		values[4] = CStringGetTextDatum((*t)->meaning);
		values[5] = CStringGetTextDatum((*t)->lineage);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
}

PG_FUNCTION_INFO_V1(perfopt_finding_thresholds);
Datum
perfopt_finding_thresholds(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;

	InitMaterializedSRF(fcinfo, 0);
	for (const PerfoptDetector *const *table = perfopt_detector_tables; *table != NULL; table++)
	{
		for (const PerfoptDetector *detector = *table; detector->name != NULL; detector++)
			put_thresholds(detector, rsinfo);
	}
	return (Datum) 0;
}
