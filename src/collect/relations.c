/*
 * relations.c
 *	  Reading the statistics of one database's tables and indexes.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_index.h"
#include "catalog/pg_namespace.h"
#include "lib/binaryheap.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "compat.h"
#include "collect/relations.h"

/* A relation while it is read. */
typedef struct Entry
{
	Oid relid;
	Oid schema;
	Oid toast; /* of a table */
	char relkind;
	bool kept;
	bool worst;
	const char *name;
	struct Entry *table; /* of an index or a TOAST table */
	int64 pages;
	int64 counters[PERFOPT_REL_COUNTERS];
	int64 live;
	int64 dead;
	int64 modified;
} Entry;

#define NEIGHBOURS 4

typedef struct Reader
{
	Entry *entries;
	int nentries;
	int capacity;
	Entry **by_oid;
	int found; /* where in it something was found last */
	Oid information_schema;
	Oid perfopt_schema;
} Reader;

typedef int64 (*Criterion)(const Entry *entry);

static bool
is_table(const Entry *entry)
{
	return entry->relkind == RELKIND_RELATION || entry->relkind == RELKIND_MATVIEW;
}

static bool
counts(const Reader *reader, Form_pg_class class)
{
	if (class->relpersistence == RELPERSISTENCE_TEMP)
		return false;
	switch (class->relkind)
	{
		case RELKIND_TOASTVALUE:
			return true;
		case RELKIND_RELATION:
		case RELKIND_MATVIEW:
		case RELKIND_INDEX:
			return class->relnamespace != PG_CATALOG_NAMESPACE &&
				   class->relnamespace != PG_TOAST_NAMESPACE &&
				   class->relnamespace != reader->information_schema &&
				   class->relnamespace != reader->perfopt_schema;
		default:
			return false;
	}
}

static void
add_entry(Reader *reader, Form_pg_class class)
{
	Entry *entry;

	if (reader->nentries == reader->capacity)
	{
		reader->capacity *= 2;
		reader->entries = repalloc(reader->entries, reader->capacity * sizeof(Entry));
	}
	entry = &reader->entries[reader->nentries++];
	memset(entry, 0, sizeof(Entry));
	entry->relid = class->oid;
	entry->schema = class->relnamespace;
	entry->toast = class->reltoastrelid;
	entry->relkind = class->relkind;
	entry->pages = class->relpages;
	if (class->relkind != RELKIND_TOASTVALUE)
		entry->name = pstrdup(NameStr(class->relname));
}

/* Neighbours are mostly of one schema, whose name is remembered during a reading. */
static Oid last_schema = InvalidOid;

static void
forget_schema_name(void)
{
	last_schema = InvalidOid;
}

static const char *
schema_name(Oid schema)
{
	static char name[NAMEDATALEN];

	if (schema != last_schema)
	{
		char *found = get_namespace_name(schema);

		strlcpy(name, found ? found : "", sizeof(name));
		last_schema = found ? schema : InvalidOid;
	}
	return name;
}

/* Returns how many relations count, of which no more than `limit` are read. */
static int
read_classes(Reader *reader, int limit)
{
	Relation pg_class = table_open(RelationRelationId, AccessShareLock);
	SysScanDesc scan = systable_beginscan(pg_class, InvalidOid, false, NULL, 0, NULL);
	HeapTuple tuple;
	static int expected = 0;
	int seen = 0;

	forget_schema_name();
	reader->information_schema = get_namespace_oid("information_schema", true);
	reader->perfopt_schema = get_namespace_oid("perfopt", true);
	/* As many as the last time and a few: what is outgrown is memory as well. */
	reader->capacity = Max(expected, 1000) / 8 * 9;
	reader->entries = palloc(reader->capacity * sizeof(Entry));
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_class class = (Form_pg_class) GETSTRUCT(tuple);

		if (!counts(reader, class))
			continue;
		if (seen++ < limit)
			add_entry(reader, class);
		CHECK_FOR_INTERRUPTS();
	}
	systable_endscan(scan);
	table_close(pg_class, AccessShareLock);
	expected = reader->nentries;
	return seen;
}

static int
compare_oids(const void *a, const void *b)
{
	Oid x = (*(Entry *const *) a)->relid;
	Oid y = (*(Entry *const *) b)->relid;

	return x < y ? -1 : x > y;
}

/* What belongs together was mostly made together, and has neighbouring numbers: look there first. */
static Entry *
find_entry(Reader *reader, Oid relid)
{
	Entry key = { .relid = relid };
	Entry *pointer = &key;
	Entry **found = NULL;
	int end = Min(reader->found + NEIGHBOURS, reader->nentries);

	for (int i = Max(reader->found - NEIGHBOURS, 0); i < end; i++)
		if (reader->by_oid[i]->relid == relid)
		{
			reader->found = i;
			return reader->by_oid[i];
		}
	if (reader->nentries > 0)
		found = bsearch(&pointer, reader->by_oid, reader->nentries, sizeof(Entry *), compare_oids);
	if (found == NULL)
		return NULL;
	reader->found = (int) (found - reader->by_oid);
	return *found;
}

/* Which table each index and each TOAST table belongs to. */
static void
link_entries(Reader *reader)
{
	Relation pg_index;
	SysScanDesc scan;
	HeapTuple tuple;

	reader->by_oid = palloc(Max(reader->nentries, 1) * sizeof(Entry *));
	for (int i = 0; i < reader->nentries; i++)
		reader->by_oid[i] = &reader->entries[i];
	qsort(reader->by_oid, reader->nentries, sizeof(Entry *), compare_oids);

	for (int i = 0; i < reader->nentries; i++)
	{
		Entry *entry = &reader->entries[i];
		Entry *toast = OidIsValid(entry->toast) ? find_entry(reader, entry->toast) : NULL;

		if (toast != NULL)
			toast->table = entry;
	}

	pg_index = table_open(IndexRelationId, AccessShareLock);
	scan = systable_beginscan(pg_index, InvalidOid, false, NULL, 0, NULL);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_index form = (Form_pg_index) GETSTRUCT(tuple);
		Entry *index = find_entry(reader, form->indexrelid);

		if (index != NULL)
			index->table = find_entry(reader, form->indrelid);
		CHECK_FOR_INTERRUPTS();
	}
	systable_endscan(scan);
	table_close(pg_index, AccessShareLock);
}

static void
take_statistics(Entry *entry, const PgStat_StatTabEntry *stats)
{
	int64 *counters = entry->counters;

	counters[PERFOPT_REL_TUP_READ] = stats->tuples_returned;
	counters[PERFOPT_REL_BLOCKS_READ] = stats->blocks_fetched - stats->blocks_hit;
	counters[PERFOPT_REL_BLOCKS_HIT] = stats->blocks_hit;
	if (entry->relkind == RELKIND_INDEX)
	{
		counters[PERFOPT_REL_IDX_SCAN] = stats->numscans;
		return;
	}
	counters[PERFOPT_REL_SEQ_SCAN] = stats->numscans;
	counters[PERFOPT_REL_IDX_TUP_FETCH] = stats->tuples_fetched;
	counters[PERFOPT_REL_INS] = stats->tuples_inserted;
	counters[PERFOPT_REL_UPD] = stats->tuples_updated;
	counters[PERFOPT_REL_DEL] = stats->tuples_deleted;
	counters[PERFOPT_REL_HOT_UPDATE] = stats->tuples_hot_updated;
	entry->live = PERFOPT_STAT_LIVE(stats);
	entry->dead = PERFOPT_STAT_DEAD(stats);
	entry->modified = PERFOPT_STAT_MODIFIED(stats);
}

/* What an index or a TOAST table adds to its table. */
static void
add_to_table(const Entry *part)
{
	Entry *table = part->table;

	table->pages += part->pages;
	table->counters[PERFOPT_REL_BLOCKS_READ] += part->counters[PERFOPT_REL_BLOCKS_READ];
	table->counters[PERFOPT_REL_BLOCKS_HIT] += part->counters[PERFOPT_REL_BLOCKS_HIT];
	table->counters[PERFOPT_REL_IDX_SCAN] += part->counters[PERFOPT_REL_IDX_SCAN];
}

static void
read_statistics(Reader *reader)
{
	int nestlevel = NewGUCNestLevel();

	/* Each relation is looked up once: keeping copies until the transaction's end would be waste. */
	(void) set_config_option("stats_fetch_consistency", "none", PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
	for (int i = 0; i < reader->nentries; i++)
	{
		Entry *entry = &reader->entries[i];
		PgStat_StatTabEntry *stats;

		/* A TOAST table without a table is the system's or perfopt's. */
		if (!is_table(entry) && entry->table == NULL)
			continue;
		stats = pgstat_fetch_stat_tabentry_ext(false, entry->relid);
		if (stats != NULL)
		{
			take_statistics(entry, stats);
			pfree(stats);
		}
		CHECK_FOR_INTERRUPTS();
	}
	AtEOXact_GUC(false, nestlevel);

	for (int i = 0; i < reader->nentries; i++)
		if (reader->entries[i].table != NULL)
			add_to_table(&reader->entries[i]);
}

static int64
busy(const Entry *entry)
{
	const int64 *counters = entry->counters;

	return counters[PERFOPT_REL_TUP_READ] + counters[PERFOPT_REL_IDX_SCAN] +
		   counters[PERFOPT_REL_IDX_TUP_FETCH] + counters[PERFOPT_REL_INS] +
		   counters[PERFOPT_REL_UPD] + counters[PERFOPT_REL_DEL];
}

static int64
dead(const Entry *entry)
{
	return entry->dead;
}

static int64
modified(const Entry *entry)
{
	return entry->modified;
}

static int64
large(const Entry *entry)
{
	return entry->pages;
}

/* The heap has the least of the best on top. */
static int
compare_by(Datum a, Datum b, void *criterion)
{
	int64 x = ((Criterion) criterion)((const Entry *) DatumGetPointer(a));
	int64 y = ((Criterion) criterion)((const Entry *) DatumGetPointer(b));

	return x < y ? 1 : x > y ? -1 : 0;
}

static bool
is_candidate(const Entry *entry, bool indexes, Criterion criterion)
{
	bool is_kind =
		indexes ? entry->relkind == RELKIND_INDEX && entry->table != NULL : is_table(entry);

	return is_kind && criterion(entry) > 0;
}

static void
keep(Entry *entry, bool worst)
{
	entry->kept = true;
	entry->worst |= worst;
}

static void
keep_most_of_many(Reader *reader, bool indexes, Criterion criterion, int n, bool worst)
{
	binaryheap *heap = binaryheap_allocate(n, compare_by, (void *) criterion);

	for (int i = 0; i < reader->nentries; i++)
	{
		Entry *entry = &reader->entries[i];

		if (!is_candidate(entry, indexes, criterion))
			continue;
		if (heap->bh_size < n)
			binaryheap_add(heap, PointerGetDatum(entry));
		else if (criterion(entry) > criterion((Entry *) DatumGetPointer(binaryheap_first(heap))))
			binaryheap_replace_first(heap, PointerGetDatum(entry));
	}
	while (!binaryheap_empty(heap))
		keep((Entry *) DatumGetPointer(binaryheap_remove_first(heap)), worst);
	binaryheap_free(heap);
}

/* Keeps the n entries of a kind that have most of something; returns whether that was all. */
static bool
keep_most(Reader *reader, bool indexes, Criterion criterion, int n, bool worst)
{
	int candidates = 0;

	for (int i = 0; i < reader->nentries; i++)
		candidates += is_candidate(&reader->entries[i], indexes, criterion);
	if (candidates > n)
	{
		if (n > 0)
			keep_most_of_many(reader, indexes, criterion, n, worst);
		return false;
	}
	for (int i = 0; i < reader->nentries; i++)
		if (is_candidate(&reader->entries[i], indexes, criterion))
			keep(&reader->entries[i], worst);
	return true;
}

uint32
perfopt_reading_name(PerfoptReading *reading, const char *schema, const char *name)
{
	uint32 offset = (uint32) reading->names_used;
	char *to = reading->names + offset;

	if (schema != NULL)
		reading->names_used += snprintf(to, PERFOPT_RELATION_LABEL, "%s.%s", schema, name) + 1;
	else
		reading->names_used += snprintf(to, PERFOPT_RELATION_LABEL, "%s", name) + 1;
	return offset;
}

static void
take_entry(PerfoptReading *reading, const Entry *entry)
{
	PerfoptRelation *relation = &reading->relations[reading->nrelations++];
	const Entry *table = is_table(entry) ? entry : entry->table;

	relation->relid = entry->relid;
	relation->is_index = !is_table(entry);
	relation->worst = entry->worst;
	memcpy(relation->counters, entry->counters, sizeof(relation->counters));
	relation->live = entry->live;
	relation->dead = entry->dead;
	relation->modified = entry->modified;
	relation->bytes = entry->pages * BLCKSZ;
	relation->table = perfopt_reading_name(reading, schema_name(table->schema), table->name);
	relation->index = relation->is_index ? perfopt_reading_name(reading, NULL, entry->name) : 0;
}

static int
most_kept(const PerfoptReadingLimits *limits)
{
	return limits->kept + 3 * limits->worst_tables + limits->largest_indexes;
}

static void
choose(Reader *reader, const PerfoptReadingLimits *limits, PerfoptReading *reading)
{
	bool tables = keep_most(reader, false, busy, limits->kept / 2, false);
	bool indexes = keep_most(reader, true, busy, limits->kept / 2, false);

	reading->complete = tables && indexes && reader->nentries == reading->seen;
	keep_most(reader, false, dead, limits->worst_tables, true);
	keep_most(reader, false, modified, limits->worst_tables, true);
	keep_most(reader, false, large, limits->worst_tables, true);
	keep_most(reader, true, large, limits->largest_indexes, true);
	for (int i = 0; i < reader->nentries; i++)
		if (reader->by_oid[i]->kept)
			take_entry(reading, reader->by_oid[i]);
}

static Size
names_size(int relations)
{
	return (2 * relations + PERFOPT_SEQUENCES_SHOWN) * PERFOPT_RELATION_LABEL;
}

void
perfopt_reading_init(PerfoptReading *reading, int relations)
{
	memset(reading, 0, sizeof(PerfoptReading));
	reading->relations = palloc(Max(relations, 1) * sizeof(PerfoptRelation));
	reading->sequences = palloc(PERFOPT_SEQUENCES_SHOWN * sizeof(PerfoptSequence));
	reading->names = palloc(names_size(relations));
}

void
perfopt_relations_read(PerfoptReading *reading, const PerfoptReadingLimits *limits)
{
	MemoryContext outer = CurrentMemoryContext;
	MemoryContext context =
		AllocSetContextCreate(outer, "perfopt relations", ALLOCSET_DEFAULT_SIZES);
	Reader reader = { 0 };
	int seen;

	MemoryContextSwitchTo(context);
	seen = read_classes(&reader, limits->looked_at);

	MemoryContextSwitchTo(outer);
	perfopt_reading_init(reading, Min(reader.nentries, most_kept(limits)));
	reading->seen = seen;

	MemoryContextSwitchTo(context);
	if (seen <= limits->looked_at || !limits->all_or_nothing)
	{
		link_entries(&reader);
		read_statistics(&reader);
		choose(&reader, limits, reading);
	}
	MemoryContextSwitchTo(outer);
	MemoryContextDelete(context);
}

Size
perfopt_reading_size(const PerfoptReadingLimits *limits)
{
	int relations = most_kept(limits);

	return MAXALIGN(sizeof(PerfoptReading)) + relations * sizeof(PerfoptRelation) +
		   PERFOPT_SEQUENCES_SHOWN * sizeof(PerfoptSequence) + names_size(relations);
}

void
perfopt_reading_pack(char *to, const PerfoptReading *reading)
{
	memcpy(to, reading, sizeof(PerfoptReading));
	to += MAXALIGN(sizeof(PerfoptReading));
	memcpy(to, reading->relations, reading->nrelations * sizeof(PerfoptRelation));
	to += reading->nrelations * sizeof(PerfoptRelation);
	memcpy(to, reading->sequences, reading->nsequences * sizeof(PerfoptSequence));
	to += reading->nsequences * sizeof(PerfoptSequence);
	memcpy(to, reading->names, reading->names_used);
}

void
perfopt_reading_unpack(PerfoptReading *reading, char *from)
{
	memcpy(reading, from, sizeof(PerfoptReading));
	from += MAXALIGN(sizeof(PerfoptReading));
	reading->relations = (PerfoptRelation *) from;
	from += reading->nrelations * sizeof(PerfoptRelation);
	reading->sequences = (PerfoptSequence *) from;
	from += reading->nsequences * sizeof(PerfoptSequence);
	reading->names = from;
}
