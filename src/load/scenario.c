/*
 * scenario.c
 *	  Reads a scenario from its tables and parses its scripts, with the caller's privileges.
 *
 * The load workers get the result, never the rows: the caller may not have committed them.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"

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

/* What may come after an operation, while not all operations are known. */
typedef struct Followers
{
	LoadConfig *config;
	LoadOperation *operation;
	bool *follow; /* operations that somebody may go on to */
	double chances[LOAD_MAX_OPERATIONS];
} Followers;

static void
read_follower(void *arg, const char *key, const JsonbValue *value)
{
	Followers *followers = arg;
	double chance = load_json_number(key, value, "0.5");

	if (!(chance >= 0 && chance <= 1))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("operation \"%s\" goes on to \"%s\" with the chance %g",
							   followers->operation->name, key, chance),
						errhint("A chance is 0 to 1.")));
	for (int i = 0; i < followers->config->noperations; i++)
	{
		if (strcmp(followers->config->operations[i].name, key) == 0)
		{
			followers->chances[i] = chance;
			followers->follow[i] |= chance > 0;
			return;
		}
	}
	ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT),
					errmsg("operation \"%s\" goes on to \"%s\", which does not exist",
						   followers->operation->name, key),
					errhint("The keys of \"next\" are operations of the same scenario.")));
}

/* Cumulative chances; what is left of 1 is that of the visit's end. */
static void
read_followers(LoadConfig *config, LoadOperation *operation, Jsonb *next, bool *follow)
{
	Followers followers = { config, operation, follow, { 0 } };
	double sum = 0;

	load_json_each(&followers, &next->root, "\"next\"", read_follower);
	operation->next = palloc(sizeof(double) * config->noperations);
	for (int i = 0; i < config->noperations; i++)
	{
		sum += followers.chances[i];
		operation->next[i] = sum;
	}
	if (sum > 1 + 1e-9)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("the chances of what follows operation \"%s\" add up to %g",
							   operation->name, sum),
						errhint("They may add up to 1; what is missing is the chance that the "
								"user's visit ends there.")));
}

void
load_operation_parse(LoadOperation *operation, Jsonb *variables, Jsonb *think_time, Jsonb *checks)
{
	JsonbValue value;

	load_variables_read(operation, variables);
	load_program_compile(operation);
	load_program_checks(operation, checks);
	operation->pauses = think_time != NULL;
	if (think_time != NULL && JB_ROOT_IS_SCALAR(think_time))
		operation->think =
			load_pause_read("think_time", getIthJsonbValueFromContainer(&think_time->root, 0));
	else if (think_time != NULL)
	{
		value.type = jbvBinary;
		value.val.binary.data = &think_time->root;
		value.val.binary.len = VARSIZE_ANY_EXHDR(think_time);
		operation->think = load_pause_read("think_time", &value);
	}
}

static Jsonb *
kept_jsonb(HeapTuple tuple, TupleDesc desc, int column)
{
	bool isnull;
	Datum datum = SPI_getbinval(tuple, desc, column, &isnull);

	return isnull ? NULL : DatumGetJsonbPCopy(datum);
}

static void
read_operation(const LoadVariant *variant, LoadOperation *operation, HeapTuple tuple,
			   TupleDesc desc)
{
	MemoryContext oldcontext;
	bool isnull;
	char *script;

	operation->id = DatumGetInt32(SPI_getbinval(tuple, desc, 1, &isnull));
	operation->name = kept_string(tuple, desc, 2);
	operation->weight = DatumGetFloat8(SPI_getbinval(tuple, desc, 3, &isnull));
	operation->script = kept_string(tuple, desc, 4);

	oldcontext = MemoryContextSwitchTo(scenario_context);
	script = load_variant_script(variant, operation->name);
	if (script != NULL)
		operation->script = script;
	load_operation_parse(operation, kept_jsonb(tuple, desc, 5), kept_jsonb(tuple, desc, 6),
						 kept_jsonb(tuple, desc, 7));
	MemoryContextSwitchTo(oldcontext);
}

/* Operations that nobody begins with and nobody goes on to are left out. */
static void
drop_unused(LoadConfig *config, const bool *follow)
{
	int kept = 0;

	for (int i = 0; i < config->noperations; i++)
	{
		if (config->operations[i].weight <= 0 && !follow[i])
			continue;
		for (int j = 0; j < config->noperations; j++)
			if (config->operations[j].next != NULL)
				config->operations[j].next[kept] = config->operations[j].next[i];
		config->operations[kept++] = config->operations[i];
	}
	config->noperations = kept;
}

static void
read_operations(LoadConfig *config, LoadVariant *variant)
{
	Oid types[] = { TEXTOID };
	Datum values[] = { CStringGetTextDatum(config->scenario) };
	bool follow[LOAD_MAX_OPERATIONS] = { false };
	SPITupleTable *table;
	bool any = false;

	SPI_execute_with_args(
		"SELECT operation_id, name, weight, script, variables, think_time, checks, "
		"next FROM perfopt.operation WHERE scenario = $1 ORDER BY name",
		1, types, values, NULL, true, LOAD_MAX_OPERATIONS + 1);
	if (SPI_processed > LOAD_MAX_OPERATIONS)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("scenario \"%s\" has more than %d operations", config->scenario,
							   LOAD_MAX_OPERATIONS)));
	table = SPI_tuptable;
	config->noperations = (int) SPI_processed;
	config->operations = variant->operations =
		MemoryContextAllocZero(scenario_context,
							   sizeof(LoadOperation) * Max(1, config->noperations));
	for (int i = 0; i < config->noperations; i++)
	{
		read_operation(variant, &config->operations[i], table->vals[i], table->tupdesc);
		any |= config->operations[i].weight > 0;
	}
	if (!any)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("scenario \"%s\" has no operation with a weight above zero",
							   config->scenario),
						errhint("Insert one into perfopt.operation.")));
	for (int i = 0; i < config->noperations; i++)
	{
		MemoryContext oldcontext = MemoryContextSwitchTo(scenario_context);
		Jsonb *next = kept_jsonb(table->vals[i], table->tupdesc, 8);

		if (next != NULL)
			read_followers(config, &config->operations[i], next, follow);
		MemoryContextSwitchTo(oldcontext);
	}
	drop_unused(config, follow);
}

static void
check_script(void *arg, const char *key, const JsonbValue *value)
{
	const LoadConfig *config = arg;

	for (int i = 0; i < config->noperations; i++)
		if (strcmp(config->operations[i].name, key) == 0)
			return;
	ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT),
					errmsg("a variant has a script for \"%s\", which scenario \"%s\" does not have",
						   key, config->scenario)));
}

/* Those of a variant are for operations that there are. */
static void
check_scripts(LoadConfig *config, const LoadVariant *variant)
{
	JsonbValue *scripts;

	if (variant->definition == NULL)
		return;
	scripts = getKeyJsonValueFromContainer(&variant->definition->root, "scripts", strlen("scripts"),
										   NULL);
	if (scripts != NULL)
		load_json_each(config, scripts->val.binary.data, "scripts", check_script);
}

void
load_scenario_read(LoadConfig *config)
{
	MemoryContext oldcontext;

	scenario_context = CurrentMemoryContext;
	SPI_connect();
	read_scenario_row(config);
	for (int i = config->nvariants - 1; i >= 0; i--)
	{
		read_operations(config, &config->variants[i]);
		check_scripts(config, &config->variants[i]);
	}
	oldcontext = MemoryContextSwitchTo(scenario_context);
	load_variants_settings(config);
	MemoryContextSwitchTo(oldcontext);
	SPI_finish();
}

PG_FUNCTION_INFO_V1(perfopt_check_operation);

/* What is wrong with an operation is said when it is defined. */
Datum
perfopt_check_operation(PG_FUNCTION_ARGS)
{
	static const char *const names[] = { "operation", "script", "variables", NULL, "checks" };
	LoadOperation operation = { 0 };

	for (int i = 0; i < lengthof(names); i++)
		if (names[i] != NULL && PG_ARGISNULL(i))
			ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
							errmsg("argument \"%s\" must not be null", names[i])));
	operation.name = text_to_cstring(PG_GETARG_TEXT_PP(0));
	operation.script = text_to_cstring(PG_GETARG_TEXT_PP(1));
	load_operation_parse(&operation, PG_GETARG_JSONB_P(2),
						 PG_ARGISNULL(3) ? NULL : PG_GETARG_JSONB_P(3), PG_GETARG_JSONB_P(4));
	PG_RETURN_VOID();
}
