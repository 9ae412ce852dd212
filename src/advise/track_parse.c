/*
 * track_parse.c
 *	  What the statements of an action are and what they touch, from the server's own grammar.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "nodes/parsenodes.h"
#include "tcop/tcopprot.h"
#include "tcop/utility.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "compat.h"

PG_FUNCTION_INFO_V1(perfopt_action_statements);

enum
{
	COLUMN_STEP,
	COLUMN_COMMAND,
	COLUMN_SQL,
	COLUMN_CONCURRENT,
	COLUMN_INDEX,
	COLUMN_TABLE,
	COLUMN_KEY,
	COLUMN_SETTING,
	COLUMN_VALUE,
	COLUMNS
};

static char *
text_of(const char *sql, const RawStmt *raw)
{
	const char *begin = sql + raw->stmt_location;
	char *text = raw->stmt_len > 0 ? pnstrdup(begin, raw->stmt_len) : pstrdup(begin);
	char *start = text;

	while (*start == ' ' || *start == '\n' || *start == '\t')
		start++;
	return start;
}

/* Columns of the key; NULL when there is an expression or a predicate, which names can't tell. */
static ArrayType *
key_columns(const IndexStmt *stmt)
{
	Datum *names = palloc(sizeof(Datum) * (list_length(stmt->indexParams) + 1));
	int n = 0;
	ListCell *cell;

	if (stmt->whereClause != NULL || stmt->unique)
		return NULL;
	foreach (cell, stmt->indexParams)
	{
		const IndexElem *element = lfirst_node(IndexElem, cell);

		if (element->name == NULL || element->opclass != NIL || element->collation != NIL)
			return NULL;
		names[n++] = CStringGetTextDatum(element->name);
	}
	return construct_array(names, n, TEXTOID, -1, false, TYPALIGN_INT);
}

static void
describe_index(const IndexStmt *stmt, Datum *values, bool *nulls)
{
	ArrayType *key = key_columns(stmt);

	values[COLUMN_CONCURRENT] = BoolGetDatum(stmt->concurrent);
	if (stmt->idxname != NULL)
	{
		values[COLUMN_INDEX] = CStringGetTextDatum(quote_identifier(stmt->idxname));
		nulls[COLUMN_INDEX] = false;
	}
	values[COLUMN_TABLE] = CStringGetTextDatum(
		quote_qualified_identifier(stmt->relation->schemaname, stmt->relation->relname));
	nulls[COLUMN_TABLE] = false;
	if (key != NULL)
	{
		values[COLUMN_KEY] = PointerGetDatum(key);
		nulls[COLUMN_KEY] = false;
	}
}

/* SET name = value; several values are a list, as flatten_set_variable_args() writes it. */
static void
describe_setting(const VariableSetStmt *stmt, Datum *values, bool *nulls)
{
	StringInfoData value;
	ListCell *cell;

	if (stmt->name == NULL)
		return;
	values[COLUMN_SETTING] = CStringGetTextDatum(stmt->name);
	nulls[COLUMN_SETTING] = false;
	if (stmt->kind != VAR_SET_VALUE)
		return;
	initStringInfo(&value);
	foreach (cell, stmt->args)
	{
		const A_Const *constant = lfirst(cell);

		if (!IsA(constant, A_Const))
			return;
		if (value.len > 0)
			appendStringInfoString(&value, ", ");
		if (IsA(&constant->val, Integer))
			appendStringInfo(&value, "%d", intVal(&constant->val));
		else if (IsA(&constant->val, Float))
			appendStringInfoString(&value, castNode(Float, &constant->val)->fval);
		else if (IsA(&constant->val, String))
			appendStringInfoString(&value, strVal(&constant->val));
		else
			return;
	}
	values[COLUMN_VALUE] = CStringGetTextDatum(value.data);
	nulls[COLUMN_VALUE] = false;
}

Datum
perfopt_action_statements(PG_FUNCTION_ARGS)
{
	char *sql = text_to_cstring(PG_GETARG_TEXT_PP(0));
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	ListCell *cell;
	int step = 1;

	InitMaterializedSRF(fcinfo, 0);
	foreach (cell, pg_parse_query(sql))
	{
		const RawStmt *raw = lfirst_node(RawStmt, cell);
		Node *stmt = raw->stmt;
		Datum values[COLUMNS];
		bool nulls[COLUMNS] = { false };

		for (int i = COLUMN_INDEX; i < COLUMNS; i++)
			nulls[i] = true;
		values[COLUMN_STEP] = Int32GetDatum(step++);
		values[COLUMN_COMMAND] = CStringGetTextDatum(CreateCommandName(stmt));
		values[COLUMN_SQL] = CStringGetTextDatum(text_of(sql, raw));
		values[COLUMN_CONCURRENT] = BoolGetDatum(false);
		if (IsA(stmt, IndexStmt))
			describe_index((IndexStmt *) stmt, values, nulls);
		else if (IsA(stmt, DropStmt))
			values[COLUMN_CONCURRENT] = BoolGetDatum(((DropStmt *) stmt)->concurrent);
		else if (IsA(stmt, AlterSystemStmt))
			describe_setting(((AlterSystemStmt *) stmt)->setstmt, values, nulls);
		else if (IsA(stmt, AlterRoleSetStmt))
			describe_setting(((AlterRoleSetStmt *) stmt)->setstmt, values, nulls);
		else if (IsA(stmt, AlterDatabaseSetStmt))
			describe_setting(((AlterDatabaseSetStmt *) stmt)->setstmt, values, nulls);
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	return (Datum) 0;
}
