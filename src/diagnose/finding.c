/*
 * finding.c
 *	  Building findings and their evidence.
 */
#include "postgres.h"

#include <math.h>

#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/timestamp.h"

#include "diagnose/finding.h"

PerfoptFinding *
perfopt_finding_add(PerfoptDiagnosis *diagnosis, PerfoptSeverity severity, char *entity)
{
	PerfoptFinding *finding = palloc0(sizeof(PerfoptFinding));

	finding->category = diagnosis->detector->category;
	finding->name = diagnosis->detector->name;
	finding->severity = severity;
	finding->entity = entity;
	finding->lineage = perfopt_lineage(diagnosis);
	diagnosis->findings = lappend(diagnosis->findings, finding);
	return finding;
}

PerfoptFinding *
perfopt_finding_of(PerfoptDiagnosis *diagnosis, const char *name)
{
	ListCell *cell;

	foreach (cell, diagnosis->findings)
	{
		PerfoptFinding *finding = lfirst(cell);

		if (strcmp(finding->name, name) == 0)
			return finding;
	}
	return NULL;
}

void
perfopt_finding_impact(PerfoptFinding *finding, PerfoptShare impact)
{
	finding->has_impact = true;
	finding->impact = impact;
}

void
perfopt_finding_factor(PerfoptFinding *finding, PerfoptFinding *factor)
{
	if (factor != NULL)
		finding->factors = lappend(finding->factors, factor);
}

static PerfoptEvidence *
add_evidence(PerfoptFinding *finding, const char *key)
{
	PerfoptEvidence *evidence = palloc0(sizeof(PerfoptEvidence));

	evidence->key = key;
	evidence->number = NAN;
	finding->evidence = lappend(finding->evidence, evidence);
	return evidence;
}

void
perfopt_evidence_number(PerfoptFinding *finding, const char *key, double number)
{
	add_evidence(finding, key)->number = number;
}

void
perfopt_evidence_text(PerfoptFinding *finding, const char *key, const char *text)
{
	if (text != NULL)
		add_evidence(finding, key)->text = pstrdup(text);
}

void
perfopt_evidence_json(PerfoptFinding *finding, const char *key, const char *json)
{
	PerfoptEvidence *evidence = add_evidence(finding, key);

	evidence->text = pstrdup(json);
	evidence->is_json = true;
}

static const PerfoptEvidence *
get_evidence(const PerfoptFinding *finding, const char *key)
{
	ListCell *cell;

	foreach (cell, finding->evidence)
	{
		const PerfoptEvidence *evidence = lfirst(cell);

		if (strcmp(evidence->key, key) == 0)
			return evidence;
	}
	return NULL;
}

double
perfopt_evidence_get_number(const PerfoptFinding *finding, const char *key)
{
	const PerfoptEvidence *evidence = get_evidence(finding, key);

	return evidence ? evidence->number : NAN;
}

const char *
perfopt_evidence_get_text(const PerfoptFinding *finding, const char *key)
{
	const PerfoptEvidence *evidence = get_evidence(finding, key);

	return evidence ? evidence->text : NULL;
}

char *
perfopt_duration(double seconds)
{
	if (seconds < 120)
		return psprintf("%.0f s", seconds);
	if (seconds < 2 * 3600)
		return psprintf("%.0f min", seconds / 60);
	if (seconds < 2 * 86400)
		return psprintf("%.1f h", seconds / 3600);
	return psprintf("%.1f days", seconds / 86400);
}

void
perfopt_evidence_time_left(PerfoptFinding *finding, double seconds)
{
	perfopt_evidence_number(finding, "time_to_failure_s", isfinite(seconds) ? rint(seconds) : NAN);
}

/* Figures are meant for people: six significant digits, whole numbers whole. */
static void
append_number(StringInfo json, double number)
{
	if (fabs(number) < 1e15 && number == floor(number))
		appendStringInfo(json, "%.0f", number);
	else
		appendStringInfo(json, "%.6g", number);
}

char *
perfopt_finding_evidence_json(const PerfoptFinding *finding)
{
	StringInfoData json;
	ListCell *cell;

	initStringInfo(&json);
	appendStringInfoChar(&json, '{');
	foreach (cell, finding->evidence)
	{
		const PerfoptEvidence *evidence = lfirst(cell);

		if (evidence->text == NULL && !isfinite(evidence->number))
			continue;
		if (json.len > 1)
			appendStringInfoString(&json, ", ");
		escape_json(&json, evidence->key);
		appendStringInfoString(&json, ": ");
		if (evidence->text == NULL)
			append_number(&json, evidence->number);
		else if (evidence->is_json)
			appendStringInfoString(&json, evidence->text);
		else
			escape_json(&json, evidence->text);
	}
	appendStringInfoChar(&json, '}');
	return json.data;
}

char *
perfopt_finding_factors_json(const PerfoptFinding *finding)
{
	StringInfoData json;
	ListCell *cell;

	initStringInfo(&json);
	appendStringInfoChar(&json, '[');
	foreach (cell, finding->factors)
	{
		const PerfoptFinding *factor = lfirst(cell);

		appendStringInfoString(&json, json.len > 1 ? ", {\"finding\": " : "{\"finding\": ");
		escape_json(&json, factor->name);
		appendStringInfoString(&json, ", \"entity\": ");
		escape_json(&json, factor->entity);
		if (factor->has_impact && isfinite(factor->impact.share.share))
		{
			appendStringInfoString(&json, ", \"impact_pct\": ");
			append_number(&json, rint(factor->impact.share.share * 1000) / 10);
		}
		appendStringInfoChar(&json, '}');
	}
	appendStringInfoChar(&json, ']');
	return json.data;
}

const char *
perfopt_severity_name(PerfoptSeverity severity)
{
	static const char *const names[] = { "info", "warning", "critical" };

	return names[severity];
}

char *
perfopt_query_name(int64 query_id)
{
	return psprintf("query " INT64_FORMAT, query_id);
}

char *
perfopt_role_name(Oid role)
{
	char *name = GetUserNameFromId(role, true);

	return name ? name : psprintf("role %u", role);
}

void
perfopt_evidence_sql(PerfoptFinding *finding, const PerfoptFacts *facts, const char *columns,
					 const char *condition)
{
	char *since = pstrdup(timestamptz_to_str(facts->since));
	char *until = pstrdup(timestamptz_to_str(facts->until));

	perfopt_evidence_text(finding, "sql",
						  psprintf("SELECT %s, sum(aas) / %d AS aas FROM perfopt.active_sessions"
								   " WHERE ts > %s AND ts <= %s%s%s GROUP BY %s ORDER BY 2 DESC",
								   columns, Max(facts->ncycles, 1), quote_literal_cstr(since),
								   quote_literal_cstr(until), *condition ? " AND " : "", condition,
								   columns));
}

void
perfopt_evidence_series(PerfoptFinding *finding, const PerfoptFacts *facts,
						const PerfoptSeries *series)
{
	char *since = pstrdup(timestamptz_to_str(facts->since));
	char *until = pstrdup(timestamptz_to_str(facts->until));
	char *labels = JsonbToCString(NULL, &series->labels->root, VARSIZE(series->labels));

	perfopt_evidence_text(finding, "sql",
						  psprintf("SELECT ts, value FROM perfopt.sample WHERE metric = %s"
								   " AND labels = %s AND ts > %s AND ts <= %s ORDER BY ts",
								   quote_literal_cstr(series->metric), quote_literal_cstr(labels),
								   quote_literal_cstr(since), quote_literal_cstr(until)));
}

const PerfoptStatement *
perfopt_busiest_statement(const PerfoptFacts *facts, PerfoptWeigh weigh, const void *arg)
{
	const PerfoptStatement *best = NULL;
	double *seconds = palloc0(sizeof(double) * Max(facts->nstatements, 1));
	double most = 0;

	for (int i = 0; i < facts->nactivities; i++)
	{
		const PerfoptActivity *activity = &facts->activities[i];
		double weight = activity->query_id != 0 ? weigh(facts, activity, arg) : 0;

		for (int s = 0; weight > 0 && s < facts->nstatements; s++)
		{
			if (facts->statements[s].query_id == activity->query_id &&
				facts->statements[s].database == activity->database)
				seconds[s] += weight * activity->seconds;
		}
	}
	for (int s = 0; s < facts->nstatements; s++)
	{
		if (seconds[s] > most)
		{
			most = seconds[s];
			best = &facts->statements[s];
		}
	}
	pfree(seconds);
	return best;
}
