/*
 * replay_keys.c
 *	  Rows that a statement stores must not violate unique keys.
 *
 * Values come from rows that are there, so a key that got all of its columns from one would be
 * violated at each call.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_index.h"
#include "catalog/pg_type.h"
#include "utils/rel.h"
#include "utils/relcache.h"
#include "utils/syscache.h"

#include "load/replay.h"

static Bitmapset *
foreign_key_columns(Relation relation)
{
	Bitmapset *columns = NULL;
	ListCell *cell;

	foreach (cell, RelationGetFKeyList(relation))
	{
		const ForeignKeyCacheInfo *key = lfirst(cell);

		for (int i = 0; i < key->nkeys; i++)
			columns = bms_add_member(columns, key->conkey[i]);
	}
	return columns;
}

/* How a value of a column can be made that no row has; REPLAY_NOWHERE if it can't. */
static ReplayKind
kind_of_new(Relation relation, AttrNumber column)
{
	const Form_pg_attribute attribute = TupleDescAttr(RelationGetDescr(relation), column - 1);

	switch (attribute->atttypid)
	{
		case INT2OID:
		case INT4OID:
		case INT8OID:
			return REPLAY_NEW;
		case UUIDOID:
			return REPLAY_RANDOM;
		case TEXTOID:
		case VARCHAROID:
			return attribute->atttypmod < 0 || attribute->atttypmod >= VARHDRSZ + 36
					   ? REPLAY_RANDOM
					   : REPLAY_NOWHERE;
		default:
			return REPLAY_NOWHERE;
	}
}

/* The parameter of this group that is stored in this column. */
static ReplayParam *
stored_in(Replay *replay, int group, AttrNumber column)
{
	for (int i = 0; i < replay->nparams; i++)
	{
		ReplayParam *param = &replay->params[i];

		if (param->kind >= REPLAY_STORED && param->group == group && param->column == column)
			return param;
	}
	return NULL;
}

/* The one that is compared with this column, if there is one: it says which row is there already. */
static int
compared_with(const Replay *replay, Oid relation, AttrNumber column)
{
	for (int i = 0; i < replay->nparams; i++)
	{
		const ReplayParam *param = &replay->params[i];

		if (param->kind == REPLAY_COMPARED && param->group > 0 && param->relation == relation &&
			param->column == column)
			return i + 1;
	}
	return 0;
}

typedef struct Key
{
	Replay *replay;
	int group;
	Relation relation;
	const Bitmapset *references;
	bool is_insert;
} Key;

/* Makes the last column new that can be, unless something else keeps the key. */
static void
renew_key(const Key *key, const Form_pg_index index)
{
	ReplayParam *last = NULL;
	ReplayParam *any = NULL;

	for (int i = 0; i < index->indnkeyatts; i++)
	{
		AttrNumber column = index->indkey.values[i];
		ReplayParam *param = stored_in(key->replay, key->group, column);

		/* Something else than a parameter fills it. */
		if (param == NULL && key->is_insert)
			return;
		if (param == NULL)
			continue;
		if (param->kind != REPLAY_STORED || param->same_as > 0)
			return;
		any = param;
		param->same_as = key->is_insert
							 ? 0
							 : compared_with(key->replay, RelationGetRelid(key->relation), column);
		if (param->same_as > 0)
			return;
		if (!bms_is_member(column, key->references) &&
			kind_of_new(key->relation, column) != REPLAY_NOWHERE)
			last = param;
	}
	if (last != NULL)
		last->kind = kind_of_new(key->relation, last->column);
	else if (any != NULL)
		any->kind = REPLAY_NOWHERE;
}

void
replay_renew_keys(Replay *replay, int group, Oid relation, bool is_insert)
{
	Key key = { replay, group, table_open(relation, NoLock), NULL, is_insert };
	ListCell *cell;

	key.references = foreign_key_columns(key.relation);
	foreach (cell, RelationGetIndexList(key.relation))
	{
		HeapTuple tuple = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(lfirst_oid(cell)));

		if (!HeapTupleIsValid(tuple))
			continue;
		if (((Form_pg_index) GETSTRUCT(tuple))->indisunique)
			renew_key(&key, (Form_pg_index) GETSTRUCT(tuple));
		ReleaseSysCache(tuple);
	}
	table_close(key.relation, NoLock);
}
