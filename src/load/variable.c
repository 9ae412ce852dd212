/*
 * variable.c
 *	  How the variables of an operation are drawn, as its column `variables` says.
 *
 *	  {"id": {"uniform": [low, high]}}                  also "gaussian", "exponential", "zipfian" with a
 *	                                                    third number, pgbench's parameter
 *	  {"n": {"sequence": [low, high]}}                  one after the other, over all users
 *	  {"s": {"choice": ["a", "b"]}}                     or with weights, {"choice": {"a": 3, "b": 1}}
 *	  {"k": {"query": "SELECT ..."}}                    one of the first column's values
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/numeric.h"

#include "load/load.h"
#include "math/draw.h"

#define NAME_LIMIT 64
#define VARIABLES_LIMIT 256

/* The variable at hand, and of which operation. */
typedef struct Definition
{
	LoadOperation *operation;
	LoadVariable *variable;
} Definition;

static _Noreturn void
bad_variable(const Definition *definition, const char *hint)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("variable \"%s\" of operation \"%s\" is not defined in a way that is known",
					definition->variable->name, definition->operation->name),
			 hint ? errhint("%s", hint)
				  : errhint("Write {\"%s\": {\"uniform\": [low, high]}}, where low and high are "
							"whole numbers or strings with an SQL expression. Others are gaussian, "
							"exponential, zipfian, sequence, choice and query.",
							definition->variable->name)));
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

static bool
is_array(const JsonbValue *value)
{
	return value->type == jbvBinary && JsonContainerIsArray(value->val.binary.data);
}

static bool
is_object(const JsonbValue *value)
{
	return value->type == jbvBinary && JsonContainerIsObject(value->val.binary.data);
}

static void
read_parameter(const Definition *definition, const JsonbValue *value)
{
	LoadVariable *variable = definition->variable;

	if (value == NULL || value->type != jbvNumeric)
		bad_variable(definition, NULL);
	variable->parameter =
		DatumGetFloat8(DirectFunctionCall1(numeric_float8, NumericGetDatum(value->val.numeric)));
	if (variable->draw == LOAD_DRAW_GAUSSIAN && !perfopt_draw_gaussian_valid(variable->parameter))
		bad_variable(definition, "The parameter of gaussian is 2.0 or more.");
	if (variable->draw == LOAD_DRAW_EXPONENTIAL &&
		!perfopt_draw_exponential_valid(variable->parameter))
		bad_variable(definition, "The parameter of exponential is above 0.");
	if (variable->draw == LOAD_DRAW_ZIPFIAN && !perfopt_draw_zipfian_valid(variable->parameter))
		bad_variable(definition, "The parameter of zipfian is 1.001 to 1000.");
}

static void
read_range(const Definition *definition, const JsonbValue *value)
{
	LoadVariable *variable = definition->variable;
	int n = variable->draw == LOAD_DRAW_UNIFORM || variable->draw == LOAD_DRAW_SEQUENCE ? 2 : 3;

	if (!is_array(value) || JsonContainerSize(value->val.binary.data) != n)
		bad_variable(definition, NULL);
	variable->low_sql = bound_sql(getIthJsonbValueFromContainer(value->val.binary.data, 0));
	variable->high_sql = bound_sql(getIthJsonbValueFromContainer(value->val.binary.data, 1));
	if (variable->low_sql == NULL || variable->high_sql == NULL)
		bad_variable(definition, NULL);
	if (n == 3)
		read_parameter(definition, getIthJsonbValueFromContainer(value->val.binary.data, 2));
}

/* Text of what may be sent as a parameter; NULL for a JSON null. */
static char *
item_text(const Definition *definition, const JsonbValue *value)
{
	switch (value->type)
	{
		case jbvNull:
			return NULL;
		case jbvBool:
			return value->val.boolean ? "true" : "false";
		case jbvNumeric:
			return bound_sql(value);
		case jbvString:
			return pnstrdup(value->val.string.val, value->val.string.len);
		default:
			bad_variable(definition, "A choice is made among strings, numbers and null.");
	}
}

static void
read_weighted(const Definition *definition, JsonbContainer *container)
{
	LoadVariable *variable = definition->variable;
	JsonbIterator *it = JsonbIteratorInit(container);
	JsonbValue value;
	JsonbIteratorToken token;
	double sum = 0;

	variable->weights = palloc(sizeof(double) * variable->nitems);
	variable->nitems = 0;
	while ((token = JsonbIteratorNext(&it, &value, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
			variable->items[variable->nitems] = item_text(definition, &value);
		else if (token == WJB_VALUE)
		{
			double weight =
				value.type == jbvNumeric
					? DatumGetFloat8(
						  DirectFunctionCall1(numeric_float8, NumericGetDatum(value.val.numeric)))
					: -1;

			if (!(weight >= 0 && weight <= 1e9))
				bad_variable(definition, "The weight of a choice is a number from 0 to 10^9.");
			sum += weight;
			variable->weights[variable->nitems++] = sum;
		}
	}
	if (sum <= 0)
		bad_variable(definition, "One of a choice needs a weight above 0.");
}

static void
read_choice(const Definition *definition, const JsonbValue *value)
{
	LoadVariable *variable = definition->variable;

	if (!is_array(value) && !is_object(value))
		bad_variable(definition, NULL);
	variable->nitems = JsonContainerSize(value->val.binary.data);
	if (variable->nitems == 0 || variable->nitems > LOAD_MAX_ITEMS)
		bad_variable(definition, "A choice is made among 1 to 100000 values.");
	variable->items = palloc0(sizeof(char *) * variable->nitems);
	if (is_object(value))
		read_weighted(definition, value->val.binary.data);
	else
		for (int i = 0; i < variable->nitems; i++)
			variable->items[i] =
				item_text(definition, getIthJsonbValueFromContainer(value->val.binary.data, i));
}

static void
read_draw(void *arg, const char *key, const JsonbValue *value)
{
	static const struct
	{
		const char *name;
		LoadDraw draw;
	} ranges[] = { { "uniform", LOAD_DRAW_UNIFORM },
				   { "gaussian", LOAD_DRAW_GAUSSIAN },
				   { "exponential", LOAD_DRAW_EXPONENTIAL },
				   { "zipfian", LOAD_DRAW_ZIPFIAN },
				   { "sequence", LOAD_DRAW_SEQUENCE } };
	const Definition *definition = arg;

	for (int i = 0; i < lengthof(ranges); i++)
	{
		if (strcmp(key, ranges[i].name) == 0)
		{
			definition->variable->draw = ranges[i].draw;
			read_range(definition, value);
			return;
		}
	}
	definition->variable->draw = LOAD_DRAW_ITEM;
	if (strcmp(key, "choice") == 0)
		read_choice(definition, value);
	else if (strcmp(key, "query") == 0 && value->type == jbvString && value->val.string.len > 0)
		definition->variable->items_sql = pnstrdup(value->val.string.val, value->val.string.len);
	else
		bad_variable(definition, NULL);
}

int
load_variable_find(const LoadOperation *operation, const char *name, size_t length)
{
	for (int i = 0; i < operation->nvariables; i++)
		if (strlen(operation->variables[i].name) == length &&
			strncmp(operation->variables[i].name, name, length) == 0)
			return i;
	return -1;
}

int
load_variable_add(LoadOperation *operation, const char *name, size_t length)
{
	LoadVariable *variable;

	if (operation->nvariables == VARIABLES_LIMIT)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("operation \"%s\" has more than %d variables", operation->name,
							   VARIABLES_LIMIT)));
	if (operation->variables == NULL)
		operation->variables = palloc(sizeof(LoadVariable) * VARIABLES_LIMIT);
	variable = &operation->variables[operation->nvariables];
	memset(variable, 0, sizeof(LoadVariable));
	variable->name = pnstrdup(name, length);
	return operation->nvariables++;
}

static void
read_variable(void *arg, const char *key, const JsonbValue *value)
{
	Definition definition = { arg, NULL };
	int number;

	if (key[0] == '\0' || strlen(key) > NAME_LIMIT)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_NAME),
				 errmsg("\"%s\" is no name for a variable of operation \"%s\"", key,
						definition.operation->name),
				 errhint("A name has letters, digits and _, %d bytes at most.", NAME_LIMIT)));
	number = load_variable_add(definition.operation, key, strlen(key));
	definition.variable = &definition.operation->variables[number];
	if (!is_object(value) || JsonContainerSize(value->val.binary.data) != 1)
		bad_variable(&definition, NULL);
	load_json_each(&definition, value->val.binary.data, "a variable", read_draw);
	if (definition.variable->draw == LOAD_DRAW_NOTHING)
		bad_variable(&definition, NULL);
}

void
load_variables_read(LoadOperation *operation, Jsonb *definitions)
{
	if (!JB_ROOT_IS_OBJECT(definitions))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("the variables of operation \"%s\" must be a JSON object",
							   operation->name)));
	load_json_each(operation, &definitions->root, "the variables", read_variable);
}
