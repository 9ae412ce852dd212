/*
 * replay_values.c
 *	  The variables of a statement's script: queries that take values from tables when a test starts.
 *
 * A query reads about a thousand pages, spread over the table, and keeps a thousand rows of them; which
 * ones is the same each time while the table is, so that two tests do the same.  Values are as frequent
 * among them as in the table.
 *
 * Parameters that belong to one row become fields of one variable, a row of the table with NULL in the
 * columns that don't matter; the two ends of a range elements of an array.
 */
#include "postgres.h"

#include <math.h>

#include "access/table.h"
#include "access/transam.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "storage/bufmgr.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "load/load.h"
#include "load/replay.h"

#define SAMPLE_PAGES 1000
#define SAMPLE_ROWS 1000

/* Of the greatest number of bytes that a variable may have; the values of another day may be longer. */
#define SAMPLE_BYTES (LOAD_MAX_ITEM_BYTES * 0.5)

/* A pattern is a value without so many characters at its end, but with so many at least. */
#define PATTERN_WITHOUT 2
#define PATTERN_LEAST 3

/* Elements of = ANY. */
#define LIST_LENGTH 10

/* A range covers this part of the sampled rows, where nothing says how many it should. */
#define RANGE_SHARE 0.01

#define DEFAULT_LIMIT 10
#define GREATEST_LIMIT 1000

typedef struct Values
{
	Replay *replay;
	char **stand_ins;
	StringInfoData json;
	int nrows;
	int nranges;
} Values;

static char *
type_sql(Oid type)
{
	bits16 flags = FORMAT_TYPE_TYPEMOD_GIVEN;

	/* The server's own are found with any search_path. */
	if (type >= FirstNormalObjectId)
		flags |= FORMAT_TYPE_FORCE_QUALIFY;
	return format_type_extended(type, -1, flags);
}

static char *
relation_sql(Oid relation)
{
	return quote_qualified_identifier(get_namespace_name(get_rel_namespace(relation)),
									  get_rel_name(relation));
}

static void
add_variable(Values *values, const char *name, const char *definition)
{
	if (values->json.len > 1)
		appendStringInfoString(&values->json, ", ");
	appendStringInfo(&values->json, "\"%s\": %s", name, definition);
}

/* Of the table and what inherits from it. */
static double
table_pages(Oid relid)
{
	double pages = 0;
	ListCell *cell;

	foreach (cell, find_all_inheritors(relid, AccessShareLock, NULL))
	{
		Relation relation = table_open(lfirst_oid(cell), NoLock);

		if (RELKIND_HAS_TABLE_AM(relation->rd_rel->relkind))
			pages += RelationGetNumberOfBlocks(relation);
		table_close(relation, NoLock);
	}
	return pages;
}

/* A query for what SQL calls a select list, over rows of the table t that fulfil a condition. */
static char *
sample(Oid relation, const char *list, const char *condition, int rows)
{
	char kind = get_rel_relkind(relation);
	char *from = psprintf("SELECT %s FROM %s t", list, relation_sql(relation));
	double pages;

	if (kind != RELKIND_RELATION && kind != RELKIND_PARTITIONED_TABLE && kind != RELKIND_MATVIEW)
		return psprintf("%s%s LIMIT %d", from, condition, rows);
	pages = table_pages(relation);
	if (pages <= SAMPLE_PAGES)
		return psprintf("%s%s ORDER BY pg_catalog.hashtid(t.ctid) LIMIT %d", from, condition, rows);

	/* The last row is for the case that the table shrinks, and none of the pages has any. */
	return psprintf("(%s TABLESAMPLE SYSTEM (%.3g) REPEATABLE (1)%s"
					" ORDER BY pg_catalog.hashtid(t.ctid) LIMIT %d) UNION ALL (%s%s LIMIT 1)",
					from, 100 * SAMPLE_PAGES / pages, condition, rows, from, condition);
}

/* How many values a query has, and how long they are together. */
static uint64
count_values(const char *sql, double *bytes)
{
	bool isnull;
	uint64 n;

	SPI_connect();
	if (SPI_execute(psprintf("SELECT count(*), coalesce(sum(pg_catalog.octet_length("
							 "v::pg_catalog.text)), 0)::pg_catalog.float8 FROM (%s) q (v)",
							 sql),
					true, 1) != SPI_OK_SELECT ||
		SPI_processed != 1)
		elog(ERROR, "could not sample values");
	n = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	*bytes =
		DatumGetFloat8(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 2, &isnull));
	SPI_finish();
	return n;
}

/* Adds a variable whose values are from a sample, or from a query around it: head, sample, tail. */
static bool
add_sample(Values *values, const char *name, Oid relation, const char *list, const char *condition,
		   const char *head, const char *tail)
{
	int rows = SAMPLE_ROWS;
	double bytes;
	uint64 n;
	char *sql;
	StringInfoData definition;

	for (;;)
	{
		sql = psprintf(REPLAY_MARK " %s%s%s", head, sample(relation, list, condition, rows), tail);
		n = count_values(sql, &bytes);
		if (bytes <= SAMPLE_BYTES || rows == 1)
			break;
		rows = (int) Max(1, Min(n, rows) * (SAMPLE_BYTES / bytes));
	}
	if (n == 0)
	{
		values->replay->reason = psprintf("table %s has no such rows", relation_sql(relation));
		return false;
	}
	initStringInfo(&definition);
	appendStringInfoString(&definition, "{\"query\": ");
	escape_json(&definition, sql);
	appendStringInfoChar(&definition, '}');
	add_variable(values, name, definition.data);
	return true;
}

static bool
joins_row(const ReplayParam *param, int group)
{
	return param->group == group && param->column > 0 && param->same_as == 0 &&
		   (param->kind == REPLAY_COMPARED || param->kind == REPLAY_STORED);
}

/* Of columns that several parameters have, the first is the row's. */
static Bitmapset *
row_columns(const Replay *replay, int group, Oid *relation)
{
	Bitmapset *columns = NULL;

	for (int i = 0; i < replay->nparams; i++)
	{
		if (!joins_row(&replay->params[i], group))
			continue;
		*relation = replay->params[i].relation;
		columns = bms_add_member(columns, replay->params[i].column);
	}
	return columns;
}

/* A row of the table with these columns, and others where a domain may forbid NULL. */
static char *
row_sql(Oid relid, const Bitmapset *columns)
{
	Relation relation = table_open(relid, NoLock);
	TupleDesc desc = RelationGetDescr(relation);
	StringInfoData sql;
	int n = 0;

	initStringInfo(&sql);
	for (int i = 0; i < desc->natts; i++)
	{
		const Form_pg_attribute attribute = TupleDescAttr(desc, i);

		if (attribute->attisdropped)
			continue;
		if (n++ > 0)
			appendStringInfoString(&sql, ", ");
		if (bms_is_member(i + 1, columns) || get_typtype(attribute->atttypid) == TYPTYPE_DOMAIN)
			appendStringInfo(&sql, "t.%s", quote_identifier(NameStr(attribute->attname)));
		else
			appendStringInfoString(&sql, "NULL");
	}
	table_close(relation, NoLock);
	return psprintf("ROW(%s)::%s", sql.data, relation_sql(relid));
}

/* Each parameter of the group becomes a field of the row's variable. */
static void
stand_in_fields(const Values *values, const char *name, int group, Oid relation)
{
	const Replay *replay = values->replay;
	Bitmapset *taken = NULL;

	for (int i = 0; i < replay->nparams; i++)
	{
		const ReplayParam *param = &replay->params[i];
		char *field;

		if (!joins_row(param, group) || bms_is_member(param->column, taken))
			continue;
		taken = bms_add_member(taken, param->column);
		field = psprintf("(:%s::%s).%s", name, relation_sql(relation),
						 quote_identifier(get_attname(relation, param->column, false)));
		values->stand_ins[i] = param->value_type == param->type
								   ? field
								   : psprintf("(%s)::%s", field, type_sql(param->type));
	}
}

static char *
row_condition(const Replay *replay, int group)
{
	StringInfoData sql;

	initStringInfo(&sql);
	for (int i = 0; i < replay->nparams; i++)
		if (joins_row(&replay->params[i], group) && replay->params[i].kind == REPLAY_COMPARED)
			appendStringInfo(&sql, " %s %s IS NOT NULL", sql.len > 0 ? "AND" : "WHERE",
							 replay->params[i].value);
	return sql.data;
}

static bool
add_row(Values *values, int group)
{
	Oid relation = InvalidOid;
	Bitmapset *columns = row_columns(values->replay, group, &relation);
	char *name;

	if (bms_num_members(columns) < 2)
		return true;
	name = psprintf("row%d", ++values->nrows);
	stand_in_fields(values, name, group, relation);
	return add_sample(values, name, relation, row_sql(relation, columns),
					  row_condition(values->replay, group), "", "");
}

/* How many places further up in 1000 sampled values the end of a range is. */
static int
range_length(const Replay *replay, Oid relation)
{
	double share = RANGE_SHARE;
	HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relation));

	if (HeapTupleIsValid(tuple))
	{
		double rows = ((Form_pg_class) GETSTRUCT(tuple))->reltuples;

		if (replay->plain && rows > 0)
			share = replay->rows / rows;
		ReleaseSysCache(tuple);
	}
	return (int) Max(1, Min(rint(share * SAMPLE_ROWS), SAMPLE_ROWS - 1));
}

static bool
add_range(Values *values, int low)
{
	ReplayParam *param = &values->replay->params[low - 1];
	int high = param->partner;
	const ReplayParam *other = &values->replay->params[high - 1];
	Oid array = get_array_type(param->type);
	char *name;

	if (!OidIsValid(array) || other->kind != REPLAY_HIGH || other->type != param->type)
	{
		param->kind = REPLAY_COMPARED;
		return true;
	}
	name = psprintf("range%d", ++values->nranges);
	values->stand_ins[low - 1] = psprintf("(:%s::%s)[1]", name, type_sql(array));
	values->stand_ins[high - 1] = psprintf("(:%s::%s)[2]", name, type_sql(array));
	return add_sample(
		values, name, param->relation, psprintf("(%s)::%s", param->value, type_sql(param->type)),
		psprintf(" WHERE %s IS NOT NULL", param->value),
		psprintf("SELECT ARRAY[v, coalesce(lead(v, %d) OVER (ORDER BY v), last_value(v) OVER "
				 "(ORDER BY v ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING))] FROM (",
				 range_length(values->replay, param->relation)),
		") s (v)");
}

/* A value of the parameter's type. */
static char *
value_sql(const ReplayParam *param, Oid type)
{
	return param->value_type == type ? param->value
									 : psprintf("(%s)::%s", param->value, type_sql(type));
}

static bool
add_column(Values *values, const char *name, const ReplayParam *param)
{
	const char *condition =
		param->kind == REPLAY_STORED ? "" : psprintf(" WHERE %s IS NOT NULL", param->value);

	if (param->kind == REPLAY_PATTERN)
		return add_sample(
			values, name, param->relation,
			psprintf("pg_catalog.regexp_replace(pg_catalog.\"left\"((%s)::text, greatest(%d, "
					 "pg_catalog.length((%s)::text) - %d)), '([%%_\\\\])', '\\\\\\1', 'g') || '%%'",
					 param->value, PATTERN_LEAST, param->value, PATTERN_WITHOUT),
			condition, "", "");
	if (param->kind == REPLAY_LIST)
		return add_sample(
			values, name, param->relation, value_sql(param, get_element_type(param->type)),
			condition,
			"SELECT pg_catalog.array_agg(v) FROM (SELECT v, row_number() OVER () AS n FROM (",
			psprintf(") s (v)) r GROUP BY n / %d", LIST_LENGTH));
	return add_sample(values, name, param->relation, value_sql(param, param->type), condition, "",
					  "");
}

/* How many parameters of the scenario before this one have new values for the same column. */
static int
count_new(const Replay *replay, const ReplayParam *param)
{
	ListCell *cell;
	MemoryContext oldcontext;
	ReplayNew *new;

	foreach (cell, *replay->news)
	{
		new = lfirst(cell);
		if (new->relation == param->relation &&new->column == param->column)
			return new->n++;
	}
	oldcontext = MemoryContextSwitchTo(replay->news_context);
	new = palloc(sizeof(ReplayNew));
	*new = (ReplayNew){ param->relation, param->column, 1 };
	*replay->news = lappend(*replay->news, new);
	MemoryContextSwitchTo(oldcontext);
	return 0;
}

/* Numbers above all that are there; those of other parameters begin where these won't come so soon. */
static const char *
new_numbers(const Replay *replay, const ReplayParam *param)
{
	static const struct
	{
		Oid type;
		int64 highest;
		int64 apart;
	} types[] = { { INT2OID, PG_INT16_MAX, 1000 },
				  { INT4OID, PG_INT32_MAX, 10000000 },
				  { INT8OID, PG_INT64_MAX, 1000000000 } };
	int type = 0;
	StringInfoData sql;

	while (type < lengthof(types) - 1 && types[type].type != param->type)
		type++;
	initStringInfo(&sql);
	appendStringInfoString(&sql, "{\"sequence\": [");
	escape_json(&sql, psprintf("(SELECT " REPLAY_MARK " coalesce(pg_catalog.max(%s), 0)::int8"
							   " + " INT64_FORMAT " FROM %s t)",
							   param->value, count_new(replay, param) * types[type].apart + 1,
							   relation_sql(param->relation)));
	appendStringInfo(&sql, ", " INT64_FORMAT "]}", types[type].highest);
	return sql.data;
}

/* Any value that does no harm; of a type that has none for certain, NULL. */
static const char *
any_value(Oid type)
{
	char category;
	bool preferred;

	get_type_category_preferred(type, &category, &preferred);
	if (type == BOOLOID)
		return "{\"choice\": [true]}";
	return category == TYPCATEGORY_NUMERIC || category == TYPCATEGORY_STRING
			   ? "{\"choice\": [1]}"
			   : "{\"choice\": [null]}";
}

static bool
add_single(Values *values, int number)
{
	const ReplayParam *param = &values->replay->params[number - 1];
	int limit = values->replay->rows < 1 ? DEFAULT_LIMIT
										 : (int) Min(ceil(values->replay->rows), GREATEST_LIMIT);
	char *name = psprintf("p%d", number);

	if (param->kind == REPLAY_RANDOM)
	{
		values->stand_ins[number - 1] = param->type == UUIDOID
											? "pg_catalog.gen_random_uuid()"
											: "pg_catalog.gen_random_uuid()::text";
		return true;
	}
	values->stand_ins[number - 1] = psprintf(":%s::%s", name, type_sql(param->type));
	switch (param->kind)
	{
		case REPLAY_ANY:
			add_variable(values, name, any_value(param->type));
			return true;
		case REPLAY_CHANGE:
			add_variable(values, name, "{\"choice\": [-1, 1]}");
			return true;
		case REPLAY_LIMIT:
			add_variable(values, name, psprintf("{\"choice\": [%d]}", limit));
			return true;
		case REPLAY_OFFSET:
			add_variable(values, name, psprintf("{\"choice\": [0, %d, %d]}", limit, 2 * limit));
			return true;
		case REPLAY_NEW:
			add_variable(values, name, new_numbers(values->replay, param));
			return true;
		default:
			return add_column(values, name, param);
	}
}

bool
replay_values(Replay *replay, char **stand_ins)
{
	Values values = { .replay = replay, .stand_ins = stand_ins };
	int ngroups = 0;

	initStringInfo(&values.json);
	appendStringInfoChar(&values.json, '{');
	for (int i = 0; i < replay->nparams; i++)
		ngroups = Max(ngroups, replay->params[i].group);
	for (int i = 1; i <= ngroups; i++)
		if (!add_row(&values, i))
			return false;
	for (int i = 1; i <= replay->nparams; i++)
		if (replay->params[i - 1].kind == REPLAY_LOW && !add_range(&values, i))
			return false;
	for (int i = 1; i <= replay->nparams; i++)
		if (replay->params[i - 1].used && stand_ins[i - 1] == NULL &&
			replay->params[i - 1].same_as == 0 && !add_single(&values, i))
			return false;
	for (int i = 1; i <= replay->nparams; i++)
		if (replay->params[i - 1].same_as > 0)
			stand_ins[i - 1] = stand_ins[replay->params[i - 1].same_as - 1];
	appendStringInfoChar(&values.json, '}');
	replay->variables = values.json.data;
	return true;
}
