/*
 * advice.c
 *	  Building advice: actions that change settings, and how to undo them.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "advise/advise.h"

PerfoptAdvice *
perfopt_advice_add(PerfoptAdvising *advising, const char *title, PerfoptRisk risk,
				   double effort_hours, double confidence)
{
	PerfoptAdvice *advice = palloc0(sizeof(PerfoptAdvice));

	advice->finding = advising->finding;
	advice->title = title;
	advice->risk = risk;
	advice->effort_hours = effort_hours;
	advice->confidence = confidence;
	advising->advice = lappend(advising->advice, advice);
	return advice;
}

char *
perfopt_advice_ask(const char *sql, int nargs, Oid *types, Datum *values)
{
	MemoryContext context = CurrentMemoryContext;
	char *value = NULL;

	SPI_connect();
	SPI_execute_with_args(sql, nargs, types, values, NULL, true, 1);
	if (SPI_processed > 0)
		value = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
	if (value != NULL)
		value = MemoryContextStrdup(context, value);
	SPI_finish();
	return value;
}

void
perfopt_advice_alter_system(PerfoptAdvice *advice, const char *setting, const char *value)
{
	Oid types[1] = { TEXTOID };
	Datum values[1] = { CStringGetTextDatum(setting) };
	char *context = perfopt_advice_ask("SELECT context FROM pg_catalog.pg_settings WHERE name = $1",
									   1, types, values);
	char *former =
		perfopt_advice_ask("SELECT setting FROM pg_catalog.pg_file_settings WHERE name = $1"
						   " AND sourcefile LIKE '%postgresql.auto.conf' ORDER BY seqno DESC",
						   1, types, values);
	const char *effect = context != NULL && strcmp(context, "postmaster") == 0
							 ? "-- takes effect when the server is restarted"
							 : "SELECT pg_reload_conf();";

	advice->action_sql =
		psprintf("ALTER SYSTEM SET %s = %s;\n%s", setting, quote_literal_cstr(value), effect);
	advice->revert_sql = former ? psprintf("ALTER SYSTEM SET %s = %s;\n%s", setting,
										   quote_literal_cstr(former), effect)
								: psprintf("ALTER SYSTEM RESET %s;\n%s", setting, effect);
}

bool
perfopt_advice_alter_role(PerfoptAdvice *advice, const char *role, const char *setting,
						  const char *value)
{
	Oid types[2] = { OIDOID, TEXTOID };
	Datum values[2];
	Oid roleid = role ? get_role_oid(role, true) : InvalidOid;
	char *former;

	if (!OidIsValid(roleid))
		return false;
	values[0] = ObjectIdGetDatum(roleid);
	values[1] = CStringGetTextDatum(psprintf("%s=", setting));
	former =
		perfopt_advice_ask("SELECT substr(c, length($2) + 1) FROM pg_catalog.pg_db_role_setting s"
						   " CROSS JOIN LATERAL unnest(s.setconfig) c"
						   " WHERE s.setrole = $1 AND s.setdatabase = 0 AND starts_with(c, $2)",
						   2, types, values);
	advice->action_sql = psprintf("ALTER ROLE %s SET %s = %s; -- for new sessions",
								  quote_identifier(role), setting, quote_literal_cstr(value));
	advice->revert_sql = former
							 ? psprintf("ALTER ROLE %s SET %s = %s;", quote_identifier(role),
										setting, quote_literal_cstr(former))
							 : psprintf("ALTER ROLE %s RESET %s;", quote_identifier(role), setting);
	return true;
}

static char *
as_comment(const char *text)
{
	StringInfoData comment;

	initStringInfo(&comment);
	appendStringInfoString(&comment, "-- ");
	for (const char *c = text; *c; c++)
	{
		appendStringInfoChar(&comment, *c);
		if (*c == '\n')
			appendStringInfoString(&comment, "-- ");
	}
	return comment.data;
}

void
perfopt_advice_outside(PerfoptAdvice *advice, const char *step, const char *undo)
{
	advice->action_sql = as_comment(psprintf("outside the database: %s", step));
	advice->revert_sql = as_comment(psprintf("outside the database: %s", undo));
}

char *
perfopt_size(double bytes)
{
	const double mib = 1024.0 * 1024.0;
	const double gib = 1024.0 * mib;

	return bytes >= 4 * gib ? psprintf("%.0fGB", ceil(bytes / gib))
							: psprintf("%.0fMB", ceil(bytes / mib));
}
