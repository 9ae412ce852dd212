/*
 * import.c
 *	  Scripts of pgbench as operations of a scenario.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/json.h"

#include "load/import.h"

/* What scale is, unless the caller says so: pgbench -s of the tables that are there. */
#define SCALE_QUERY "{\"query\": \"SELECT count(*) FROM pgbench_branches\"}"

PG_FUNCTION_INFO_V1(perfopt_import_pgbench_script);

/* A value as -D has it becomes a choice of one; an object says itself how it is drawn. */
static void
append_definition(StringInfo out, const Import *import, const char *name)
{
	JsonbValue *value =
		getKeyJsonValueFromContainer(&import->given->root, name, strlen(name), NULL);
	Jsonb *jsonb;
	char *text;

	if (value->type == jbvBinary && JsonContainerIsArray(value->val.binary.data))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("the value of variable \"%s\" is an array", name),
						errhint("Give one value, or choose among several: {\"%s\": {\"choice\": "
								"[1, 2]}}.",
								name)));
	jsonb = JsonbValueToJsonb(value);
	text = JsonbToCString(NULL, &jsonb->root, VARSIZE(jsonb));
	if (value->type == jbvBinary)
		appendStringInfoString(out, text);
	else
		appendStringInfo(out, "{\"choice\": [%s]}", text);
}

/* The operation's variables: those that are used and that nothing else defines. */
static char *
definitions(const Import *import)
{
	StringInfoData out;

	initStringInfo(&out);
	appendStringInfoChar(&out, '{');
	for (int i = 0; i < import->nnames; i++)
	{
		ImportOrigin origin = import->origins[i];

		if (!import->used[i] || (origin != IMPORT_GIVEN && origin != IMPORT_SCALE))
			continue;
		if (out.len > 1)
			appendStringInfoString(&out, ", ");
		escape_json(&out, import->names[i]);
		appendStringInfoString(&out, ": ");
		if (origin == IMPORT_SCALE)
			appendStringInfoString(&out, SCALE_QUERY);
		else
			append_definition(&out, import, import->names[i]);
	}
	appendStringInfoChar(&out, '}');
	return out.data;
}

static void
tell(const Import *import)
{
	for (int i = 0; i < import->nnames; i++)
		if (import->origins[i] == IMPORT_GIVEN && !import->used[i])
			ereport(NOTICE, (errmsg("the pgbench script does not use the variable \"%s\"",
									import->names[i])));
	if (import->pipelines.len > 0)
		ereport(NOTICE,
				(errmsg("pipeline commands of the pgbench script were left out (lines %s)",
						import->pipelines.data),
				 errhint("Run the test with options => '{\"protocol\": \"pipeline\"}': all "
						 "statements of a call are then one pipeline, and one transaction unless "
						 "the script has BEGIN and COMMIT.")));
}

/*
 * What an earlier call in the same statement has written must be seen here, so none of this is read-only
 * to SPI.  Makes the scenario if there is none; ERROR when it is not one that the caller may
 * add to.
 */
static void
open_scenario(const char *name)
{
	Oid types[] = { TEXTOID };
	Datum values[] = { CStringGetTextDatum(name) };
	bool isnull;

	SPI_execute_with_args("SELECT builtin, owner FROM perfopt.scenario WHERE name = $1", 1, types,
						  values, NULL, false, 1);
	if (SPI_processed == 0)
		SPI_execute_with_args("INSERT INTO perfopt.scenario (name, description) "
							  "VALUES ($1, 'Imported from pgbench scripts.')",
							  1, types, values, NULL, false, 0);
	else if (DatumGetBool(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull)))
		ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
						errmsg("scenario \"%s\" came with perfopt and can't be added to", name),
						errhint("Choose another name.")));
	else if (strcmp(SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 2),
					GetUserNameFromId(GetUserId(), false)) != 0)
		ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
						errmsg("scenario \"%s\" belongs to role \"%s\"", name,
							   SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 2)),
						errhint("Only its owner adds to it; choose another name.")));
}

/* pgbench --show-script begins a built-in script with "-- name: <builtin: ...>"; NULL if it is none. */
static char *
builtin_name(const char *script)
{
	static const char begin[] = "-- ";
	static const char end[] = ": <builtin: ";
	const char *name = script + strlen(begin);
	size_t length;

	if (strncmp(script, begin, strlen(begin)) != 0)
		return NULL;
	length = strcspn(name, ":\n");
	return length > 0 && strncmp(name + length, end, strlen(end)) == 0 ? pnstrdup(name, length)
																	   : NULL;
}

/* The script's own name, or else the first of script1, script2 ... that is free. */
static char *
free_name(const char *scenario, const char *own)
{
	Oid types[] = { TEXTOID, TEXTOID };
	Datum values[] = { CStringGetTextDatum(scenario), CStringGetTextDatum(own ? own : "") };

	SPI_execute_with_args(
		"SELECT n FROM (SELECT 0 AS g, $2 AS n WHERE $2 <> '' UNION ALL "
		"SELECT g, 'script' || g FROM pg_catalog.generate_series(1, 1000) g) name "
		"WHERE NOT EXISTS (SELECT FROM perfopt.operation o WHERE o.scenario = $1 AND o.name = n) "
		"ORDER BY g LIMIT 1",
		2, types, values, NULL, false, 1);
	if (SPI_processed == 0)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("scenario \"%s\" has too many operations", scenario)));
	return SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
}

static char *
add_operation(const char *scenario, const Import *import, int weight)
{
	Oid types[] = { TEXTOID, TEXTOID, INT4OID, TEXTOID, TEXTOID };
	Datum values[5];
	MemoryContext context = CurrentMemoryContext;
	char *name;

	SPI_connect();
	open_scenario(scenario);
	values[0] = CStringGetTextDatum(scenario);
	name = MemoryContextStrdup(context, free_name(scenario, builtin_name(import->script)));
	values[1] = CStringGetTextDatum(name);
	values[2] = Int32GetDatum(weight);
	values[3] = CStringGetTextDatum(import->script);
	values[4] = CStringGetTextDatum(definitions(import));
	SPI_execute_with_args(
		"INSERT INTO perfopt.operation (scenario, name, weight, script, variables) "
		"VALUES ($1, $2, $3, $4, $5::pg_catalog.jsonb)",
		5, types, values, NULL, false, 0);
	SPI_finish();
	return name;
}

Datum
perfopt_import_pgbench_script(PG_FUNCTION_ARGS)
{
	static const char *const names[] = { "name", "script", "weight", "variables" };
	Import import = { 0 };
	char *name;

	for (int i = 0; i < lengthof(names); i++)
		if (PG_ARGISNULL(i))
			ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
							errmsg("argument \"%s\" must not be null", names[i])));
	if (PG_GETARG_INT32(2) < 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("the weight of a script can't be %d", PG_GETARG_INT32(2)),
						errhint("It is 0 or more; 0 is never chosen.")));
	import.script = text_to_cstring(PG_GETARG_TEXT_PP(1));
	import.given = PG_GETARG_JSONB_P(3);
	if (!JB_ROOT_IS_OBJECT(import.given))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("argument \"variables\" must be a JSON object"),
						errhint("For example: {\"rows\": 100}.")));
	import_script(&import);
	name = add_operation(text_to_cstring(PG_GETARG_TEXT_PP(0)), &import, PG_GETARG_INT32(2));
	tell(&import);
	PG_RETURN_TEXT_P(cstring_to_text(name));
}
