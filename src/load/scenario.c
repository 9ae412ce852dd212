/*
 * scenario.c
 *	  Reads a scenario from its tables and parses its scripts, with the caller's privileges.
 *
 * The load workers get the result, never the rows: the caller may not have committed them.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/numeric.h"

#include "load/load.h"

/* Where the scenario is kept; SPI's own context goes with SPI_finish(). */
static MemoryContext scenario_context;

static char *
kept_string(HeapTuple tuple, TupleDesc desc, int column)
{
	char *value = SPI_getvalue(tuple, desc, column);

	return value == NULL ? NULL : MemoryContextStrdup(scenario_context, value);
}

static void
unknown_scenario(const char *name)
{
	char *known = "none";

	SPI_execute("SELECT pg_catalog.string_agg(name, ', ' ORDER BY name) FROM perfopt.scenario",
				true, 1);
	if (SPI_processed == 1)
		known = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT), errmsg("scenario \"%s\" does not exist", name),
			 errhint("Scenarios in perfopt.scenario: %s.", known ? known : "none")));
}

static void
read_scenario_row(LoadConfig *config)
{
	Oid types[] = { TEXTOID };
	Datum values[] = { CStringGetTextDatum(config->scenario) };

	SPI_execute_with_args("SELECT description, dataset FROM perfopt.scenario WHERE name = $1", 1,
						  types, values, NULL, true, 1);
	if (SPI_processed == 0)
		unknown_scenario(config->scenario);

	config->description = kept_string(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
	if (config->dataset == NULL)
		config->dataset = kept_string(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 2);
}

static _Noreturn void
bad_variable(const LoadOperation *operation, const char *variable)
{
	ereport(
		ERROR,
		(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
		 errmsg("variable \"%s\" of operation \"%s\" is not defined in a way that is known",
				variable, operation->name),
		 errhint("Write {\"%s\": {\"uniform\": [low, high]}}, where low and high are whole numbers "
				 "or strings with an SQL expression.",
				 variable)));
}

/* NULL when that is no bound. */
static char *
bound_sql(const JsonbValue *bound)
{
	if (bound != NULL && bound->type == jbvNumeric)
		return DatumGetCString(
			DirectFunctionCall1(numeric_out, NumericGetDatum(bound->val.numeric)));
	if (bound != NULL && bound->type == jbvString && bound->val.string.len > 0)
		return pnstrdup(bound->val.string.val, bound->val.string.len);
	return NULL;
}

static void
read_variable(const LoadOperation *operation, LoadVariable *variable, const JsonbValue *value)
{
	JsonbValue *bounds = NULL;

	if (value->type == jbvBinary && JsonContainerIsObject(value->val.binary.data) &&
		JsonContainerSize(value->val.binary.data) == 1)
		bounds = getKeyJsonValueFromContainer(value->val.binary.data, "uniform", 7, NULL);
	if (bounds != NULL && bounds->type == jbvBinary &&
		JsonContainerIsArray(bounds->val.binary.data) &&
		JsonContainerSize(bounds->val.binary.data) == 2)
	{
		variable->low_sql = bound_sql(getIthJsonbValueFromContainer(bounds->val.binary.data, 0));
		variable->high_sql = bound_sql(getIthJsonbValueFromContainer(bounds->val.binary.data, 1));
	}
	if (variable->low_sql == NULL || variable->high_sql == NULL)
		bad_variable(operation, variable->name);
}

static void
read_variables(LoadOperation *operation, Jsonb *definitions)
{
	JsonbIterator *it;
	JsonbValue value;
	JsonbIteratorToken token;

	if (!JB_ROOT_IS_OBJECT(definitions))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("the variables of operation \"%s\" must be a JSON object",
							   operation->name)));

	operation->variables = palloc0(sizeof(LoadVariable) * Max(1, JB_ROOT_COUNT(definitions)));
	it = JsonbIteratorInit(&definitions->root);
	while ((token = JsonbIteratorNext(&it, &value, true)) != WJB_DONE)
	{
		LoadVariable *variable = &operation->variables[operation->nvariables];

		if (token == WJB_KEY)
			variable->name = pnstrdup(value.val.string.val, value.val.string.len);
		else if (token == WJB_VALUE)
		{
			read_variable(operation, variable, &value);
			operation->nvariables++;
		}
	}
}

static void
bad_script(const LoadOperation *operation, const PerfoptScriptError *error)
{
	/* The server counts characters, from 1. */
	int position = pg_mbstrlen_with_len(operation->script, (int) error->offset) + 1;

	ereport(ERROR, (errcode(ERRCODE_SYNTAX_ERROR),
					errmsg("script of operation \"%s\": %s at character %d", operation->name,
						   error->message, position),
					errdetail("It reads from there: %.*s",
							  pg_mbcliplen(operation->script + error->offset,
										   strlen(operation->script + error->offset), 60),
							  operation->script + error->offset),
					error->hint ? errhint("%s", error->hint) : 0));
}

static void
parse_script(LoadOperation *operation)
{
	const char **names = palloc(sizeof(char *) * Max(1, operation->nvariables));
	char *sql = palloc(perfopt_script_buffer_size(operation->script));
	PerfoptScript script;
	PerfoptStatement statement;
	PerfoptScriptError error;
	PerfoptScriptResult result;
	int room = 8;

	for (int i = 0; i < operation->nvariables; i++)
		names[i] = operation->variables[i].name;

	operation->statements = palloc(sizeof(LoadStatement) * room);
	perfopt_script_init(&script, operation->script, names, operation->nvariables);
	while ((result = perfopt_script_next(&script, sql, &statement, &error)) ==
		   PERFOPT_SCRIPT_STATEMENT)
	{
		LoadStatement *to;

		if (operation->nstatements == room)
		{
			room *= 2;
			operation->statements = repalloc(operation->statements, sizeof(LoadStatement) * room);
		}
		to = &operation->statements[operation->nstatements++];
		to->sql = pnstrdup(sql, statement.length);
		to->offset = (int) statement.offset;
		to->nparams = statement.nparams;
		memcpy(to->params, statement.params, sizeof(int) * statement.nparams);
	}

	if (result == PERFOPT_SCRIPT_ERROR)
		bad_script(operation, &error);
	if (operation->nstatements == 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("script of operation \"%s\" has no statement", operation->name)));
}

static void
read_operation(LoadOperation *operation, HeapTuple tuple, TupleDesc desc)
{
	MemoryContext oldcontext;
	bool isnull;
	Datum variables;

	operation->id = DatumGetInt32(SPI_getbinval(tuple, desc, 1, &isnull));
	operation->name = kept_string(tuple, desc, 2);
	operation->weight = DatumGetFloat8(SPI_getbinval(tuple, desc, 3, &isnull));
	operation->script = kept_string(tuple, desc, 4);
	variables = SPI_getbinval(tuple, desc, 5, &isnull);

	oldcontext = MemoryContextSwitchTo(scenario_context);
	read_variables(operation, DatumGetJsonbP(variables));
	parse_script(operation);
	MemoryContextSwitchTo(oldcontext);
}

static void
read_operations(LoadConfig *config)
{
	Oid types[] = { TEXTOID };
	Datum values[] = { CStringGetTextDatum(config->scenario) };

	SPI_execute_with_args("SELECT operation_id, name, weight, script, variables "
						  "FROM perfopt.operation WHERE scenario = $1 AND weight > 0 ORDER BY name",
						  1, types, values, NULL, true, LOAD_MAX_OPERATIONS + 1);
	if (SPI_processed == 0)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("scenario \"%s\" has no operation with a weight above zero",
							   config->scenario),
						errhint("Insert one into perfopt.operation.")));
	if (SPI_processed > LOAD_MAX_OPERATIONS)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("scenario \"%s\" has more than %d operations", config->scenario,
							   LOAD_MAX_OPERATIONS)));

	config->noperations = (int) SPI_processed;
	config->operations =
		MemoryContextAllocZero(scenario_context, sizeof(LoadOperation) * config->noperations);
	for (int i = 0; i < config->noperations; i++)
		read_operation(&config->operations[i], SPI_tuptable->vals[i], SPI_tuptable->tupdesc);
}

void
load_scenario_read(LoadConfig *config)
{
	scenario_context = CurrentMemoryContext;
	SPI_connect();
	read_scenario_row(config);
	read_operations(config);
	SPI_finish();
}
