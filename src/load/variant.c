/*
 * variant.c
 *	  What the two sides of an A/B test differ in.
 *
 *	  {"settings": {"work_mem": "64MB"}}     SET by each of its sessions
 *	  {"role": "reports"}                    with the settings of that role (ALTER ROLE ... SET)
 *	  {"scripts": {"buy": "SELECT ..."}}     in place of an operation's own
 *	  {"target": "staging"}                  in place of the test's
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/numeric.h"

#include "load/load.h"

#define MAX_SETTINGS 50

static void
add_setting(LoadVariant *variant, const char *name, const char *value)
{
	if (variant->settings == NULL)
		variant->settings = palloc(sizeof(char *) * MAX_SETTINGS);
	if (variant->nsettings == MAX_SETTINGS)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("a variant has more than %d settings", MAX_SETTINGS)));

	/* A list, such as search_path has, is one string to set_config() as it is to ALTER ROLE. */
	variant->settings[variant->nsettings++] =
		psprintf("SELECT pg_catalog.set_config(%s, %s, false)", quote_literal_cstr(name),
				 quote_literal_cstr(value));
}

static void
read_setting(void *arg, const char *key, const JsonbValue *value)
{
	switch (value->type)
	{
		case jbvString:
			add_setting(arg, key, pnstrdup(value->val.string.val, value->val.string.len));
			break;
		case jbvNumeric:
			add_setting(arg, key,
						DatumGetCString(
							DirectFunctionCall1(numeric_out, NumericGetDatum(value->val.numeric))));
			break;
		case jbvBool:
			add_setting(arg, key, value->val.boolean ? "on" : "off");
			break;
		default:
			load_json_refuse(key, "a setting's value", "\"64MB\"");
	}
}

static void
read_script(void *arg, const char *key, const JsonbValue *value)
{
	(void) load_json_string(key, value, "\"SELECT 1\"");
}

static void
read_member(void *arg, const char *key, const JsonbValue *value)
{
	LoadVariant *variant = arg;

	if (strcmp(key, "target") == 0)
		variant->target = load_json_string(key, value, "\"staging\"");
	else if (strcmp(key, "role") == 0)
		(void) load_json_string(key, value, "\"reports\"");
	else if (strcmp(key, "settings") == 0 && value->type == jbvBinary)
		load_json_each(variant, value->val.binary.data, "\"settings\"", read_setting);
	else if (strcmp(key, "scripts") == 0 && value->type == jbvBinary)
		load_json_each(variant, value->val.binary.data, "\"scripts\"", read_script);
	else
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("a variant of an A/B test can't have \"%s\"", key),
						errhint("It can have settings (an object), role, scripts (an object) and "
								"target.")));
}

void
load_variant_read(LoadConfig *config, const char *key, Jsonb *definition)
{
	LoadVariant *variant = &config->variants[strcmp(key, "variant_b") == 0];

	if (!JB_ROOT_IS_OBJECT(definition))
		load_json_refuse(key, "a JSON object", "{\"settings\": {\"work_mem\": \"64MB\"}}");
	config->nvariants = LOAD_MAX_VARIANTS;
	variant->definition = definition;
	load_json_each(variant, &definition->root, "a variant", read_member);
}

static const JsonbValue *
member(const LoadVariant *variant, const char *key)
{
	if (variant->definition == NULL)
		return NULL;
	return getKeyJsonValueFromContainer(&variant->definition->root, key, strlen(key), NULL);
}

char *
load_variant_script(const LoadVariant *variant, const char *operation)
{
	const JsonbValue *scripts = member(variant, "scripts");
	JsonbValue *script;

	if (scripts == NULL)
		return NULL;
	script =
		getKeyJsonValueFromContainer(scripts->val.binary.data, operation, strlen(operation), NULL);
	return script == NULL ? NULL : pnstrdup(script->val.string.val, script->val.string.len);
}

/* What a session of the role would begin with in the database at hand. */
static void
add_role_settings(LoadVariant *variant, const char *role)
{
	MemoryContext context = CurrentMemoryContext;
	Oid types[] = { TEXTOID };
	Datum values[] = { CStringGetTextDatum(role) };

	SPI_execute_with_args(
		"SELECT pg_catalog.split_part(c, '=', 1),"
		" pg_catalog.substr(c, pg_catalog.strpos(c, '=') + 1)"
		" FROM pg_catalog.pg_roles r LEFT JOIN pg_catalog.pg_db_role_setting s"
		" ON s.setrole = r.oid AND s.setdatabase IN (0, (SELECT d.oid FROM pg_catalog.pg_database d"
		" WHERE d.datname = pg_catalog.current_database()))"
		" LEFT JOIN LATERAL pg_catalog.unnest(s.setconfig) c ON true"
		" WHERE r.rolname = $1 ORDER BY s.setdatabase",
		lengthof(types), types, values, NULL, true, 0);
	/* SPI leaves its own context behind, which goes with it. */
	MemoryContextSwitchTo(context);
	if (SPI_processed == 0)
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT),
						errmsg("role \"%s\" of a variant does not exist", role)));
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		char *name = SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1);

		if (name != NULL)
			add_setting(variant, name,
						SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 2));
	}
}

void
load_variants_settings(LoadConfig *config)
{
	for (int i = 0; i < config->nvariants; i++)
	{
		const JsonbValue *role = member(&config->variants[i], "role");

		if (role != NULL)
			add_role_settings(&config->variants[i],
							  pnstrdup(role->val.string.val, role->val.string.len));
	}
}
