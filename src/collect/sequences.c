/*
 * sequences.c
 *	  How much of its values each sequence has given away.
 *
 * The view pg_sequences opens each sequence as nextval() does: it waits for locks and leaves an entry
 * for each in the session's caches.  Here the only page of a sequence is read without either.
 */
#include "postgres.h"

#include <math.h>

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_class.h"
#include "catalog/pg_sequence.h"
#include "commands/sequence.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "storage/bufpage.h"
#include "storage/lmgr.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "compat.h"
#include "collect/collect.h"
#include "collect/relations.h"

typedef struct Candidate
{
	double used;
	Oid schema;
	NameData name;
} Candidate;

/* By the heap, so that nothing of it stays in a cache. */
static bool
find_class(Relation pg_class, Oid relid, FormData_pg_class *class)
{
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple tuple;

	ScanKeyInit(&key, Anum_pg_class_oid, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(relid));
	scan = systable_beginscan(pg_class, ClassOidIndexId, true, NULL, 1, &key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
		memcpy(class, GETSTRUCT(tuple), CLASS_TUPLE_SIZE);
	systable_endscan(scan);
	return HeapTupleIsValid(tuple) && class->relkind == RELKIND_SEQUENCE &&
		   class->relpersistence != RELPERSISTENCE_TEMP;
}

/* The caller holds a lock on it, so its file is there. */
static FormData_pg_sequence_data
read_page(const FormData_pg_class *class)
{
	Oid tablespace = OidIsValid(class->reltablespace) ? class->reltablespace : MyDatabaseTableSpace;
	Buffer buffer = perfopt_read_first_page(tablespace, MyDatabaseId, class->relfilenode,
											class->relpersistence == RELPERSISTENCE_PERMANENT);
	HeapTupleHeader tuple;
	FormData_pg_sequence_data data;
	Page page;

	LockBuffer(buffer, BUFFER_LOCK_SHARE);
	page = BufferGetPage(buffer);
	tuple = (HeapTupleHeader) PageGetItem(page, PageGetItemId(page, FirstOffsetNumber));
	memcpy(&data, (char *) tuple + tuple->t_hoff, sizeof(data));
	UnlockReleaseBuffer(buffer);
	return data;
}

static double
used_ratio(const FormData_pg_sequence *limits, const FormData_pg_sequence_data *data)
{
	double range = (double) limits->seqmax - (double) limits->seqmin;
	double used = limits->seqincrement > 0 ? (double) data->last_value - (double) limits->seqmin
										   : (double) limits->seqmax - (double) data->last_value;

	if (range <= 0)
		return 1;
	return data->is_called ? used / range : 0;
}

static void
offer(Candidate *best, int *nbest, double used, const FormData_pg_class *class)
{
	int at = *nbest;

	while (at > 0 && best[at - 1].used < used)
		at--;
	if (at == PERFOPT_SEQUENCES_SHOWN)
		return;
	if (*nbest < PERFOPT_SEQUENCES_SHOWN)
		(*nbest)++;
	memmove(&best[at + 1], &best[at], (*nbest - 1 - at) * sizeof(Candidate));
	best[at].used = used;
	best[at].schema = class->relnamespace;
	best[at].name = class->relname;
}

static void
look_at(Relation pg_class, const FormData_pg_sequence *limits, Candidate *best, int *nbest)
{
	FormData_pg_class class;
	FormData_pg_sequence_data data;
	double used;

	/* As nextval() has it: a weaker one would let ALTER SEQUENCE take the file away. */
	if (!ConditionalLockRelationOid(limits->seqrelid, RowExclusiveLock))
		return;
	if (find_class(pg_class, limits->seqrelid, &class))
	{
		data = read_page(&class);
		used = used_ratio(limits, &data);
		if (used >= PERFOPT_SEQUENCE_FLOOR)
			offer(best, nbest, used, &class);
	}
	UnlockRelationOid(limits->seqrelid, RowExclusiveLock);
}

void
perfopt_sequences_read(PerfoptReading *reading)
{
	Relation pg_class = table_open(RelationRelationId, AccessShareLock);
	Relation pg_sequence = table_open(SequenceRelationId, AccessShareLock);
	SysScanDesc scan = systable_beginscan(pg_sequence, InvalidOid, false, NULL, 0, NULL);
	Candidate best[PERFOPT_SEQUENCES_SHOWN];
	HeapTuple tuple;
	int nbest = 0;

	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_sequence limits = (Form_pg_sequence) GETSTRUCT(tuple);

		/* One that begins anew has no end. */
		if (!limits->seqcycle)
			look_at(pg_class, limits, best, &nbest);
		CHECK_FOR_INTERRUPTS();
	}
	systable_endscan(scan);
	table_close(pg_sequence, AccessShareLock);
	table_close(pg_class, AccessShareLock);

	for (int i = 0; i < nbest; i++)
	{
		char *schema = get_namespace_name(best[i].schema);

		reading->sequences[i].used = rint(best[i].used * 1e6) / 1e6;
		reading->sequences[i].name =
			perfopt_reading_name(reading, schema ? schema : "", NameStr(best[i].name));
	}
	reading->nsequences = nbest;
}
