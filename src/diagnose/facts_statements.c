/*
 * facts_statements.c
 *	  The busiest statements of the window, with their texts where pg_stat_statements has them.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

#include "diagnose/facts.h"

/* Who ran what, where and as which operation of a load test. */
typedef struct UserKey
{
	int64 query_id;
	Oid database;
	Oid role;
	int operation;
	int padding;
} UserKey;

typedef struct UserEntry
{
	UserKey key;
	double seconds;
} UserEntry;

typedef struct StatementKey
{
	int64 query_id;
	Oid database;
	Oid padding;
} StatementKey;

typedef struct StatementEntry
{
	StatementKey key;
	PerfoptStatement statement;
} StatementEntry;

static int
compare_statements(const void *a, const void *b)
{
	const PerfoptStatement *x = *(PerfoptStatement *const *) a;
	const PerfoptStatement *y = *(PerfoptStatement *const *) b;

	if (x->seconds != y->seconds)
		return x->seconds < y->seconds ? 1 : -1;
	return (x->query_id > y->query_id) - (x->query_id < y->query_id);
}

static HTAB *
sum_by_user(const PerfoptFacts *facts)
{
	HASHCTL ctl = { .keysize = sizeof(UserKey), .entrysize = sizeof(UserEntry) };
	HTAB *users;

	ctl.hcxt = CurrentMemoryContext;
	users =
		hash_create("perfopt statements by role", 256, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	for (int i = 0; i < facts->nactivities; i++)
	{
		const PerfoptActivity *activity = &facts->activities[i];
		UserKey key;
		UserEntry *entry;
		bool found;

		if (activity->query_id == 0 || perfopt_wait_is(facts, activity, "Lock", NULL))
			continue;
		memset(&key, 0, sizeof(key));
		key.query_id = activity->query_id;
		key.database = activity->database;
		key.role = activity->role;
		key.operation = activity->operation;
		entry = hash_search(users, &key, HASH_ENTER, &found);
		entry->seconds = found ? entry->seconds + activity->seconds : activity->seconds;
	}
	return users;
}

static HTAB *
sum_by_statement(HTAB *users)
{
	HASHCTL ctl = { .keysize = sizeof(StatementKey), .entrysize = sizeof(StatementEntry) };
	HASH_SEQ_STATUS scan;
	UserEntry *user;
	HTAB *statements;

	ctl.hcxt = CurrentMemoryContext;
	statements =
		hash_create("perfopt statements", 256, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	hash_seq_init(&scan, users);
	while ((user = hash_seq_search(&scan)) != NULL)
	{
		StatementKey key;
		StatementEntry *entry;
		PerfoptStatement *statement;
		bool found;

		memset(&key, 0, sizeof(key));
		key.query_id = user->key.query_id;
		key.database = user->key.database;
		entry = hash_search(statements, &key, HASH_ENTER, &found);
		statement = &entry->statement;
		if (!found)
		{
			memset(statement, 0, sizeof(*statement));
			statement->query_id = key.query_id;
			statement->database = key.database;
		}
		statement->seconds += user->seconds;
		if (user->seconds > statement->role_seconds)
		{
			statement->role_seconds = user->seconds;
			statement->role = user->key.role;
			statement->operation = user->key.operation;
		}
	}
	return statements;
}

static void
rank(PerfoptFacts *facts)
{
	MemoryContext context = CurrentMemoryContext;
	MemoryContext scratch =
		AllocSetContextCreate(context, "perfopt statements", ALLOCSET_DEFAULT_SIZES);
	HASH_SEQ_STATUS scan;
	StatementEntry *entry;
	PerfoptStatement **all;
	HTAB *statements;
	long n;
	int i = 0;

	MemoryContextSwitchTo(scratch);
	statements = sum_by_statement(sum_by_user(facts));
	n = hash_get_num_entries(statements);
	all = palloc(sizeof(PerfoptStatement *) * Max(n, 1));
	hash_seq_init(&scan, statements);
	while ((entry = hash_seq_search(&scan)) != NULL)
		all[i++] = &entry->statement;
	qsort(all, n, sizeof(PerfoptStatement *), compare_statements);
	MemoryContextSwitchTo(context);

	facts->nstatements = Min(n, PERFOPT_FACTS_STATEMENTS);
	facts->statements = palloc0(sizeof(PerfoptStatement) * Max(facts->nstatements, 1));
	for (i = 0; i < facts->nstatements; i++)
		facts->statements[i] = *all[i];
	MemoryContextDelete(scratch);
}

/* The schema-qualified function, NULL where the extension is not installed here or not preloaded. */
static char *
texts_function(void)
{
	/* Without preloading its view exists and fails. */
	if (GetConfigOption("pg_stat_statements.max", true, false) == NULL)
		return NULL;
	SPI_execute("SELECT format('%I.pg_stat_statements', n.nspname) FROM pg_catalog.pg_extension e"
				" JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace"
				" WHERE e.extname = 'pg_stat_statements'",
				true, 1);
	if (SPI_processed == 0)
		return NULL;
	return SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
}

static void
read_texts(PerfoptFacts *facts, MemoryContext context, const char *function)
{
	Oid types[1] = { INT8ARRAYOID };
	Datum *ids = palloc(sizeof(Datum) * Max(facts->nstatements, 1));
	Datum values[1];

	for (int i = 0; i < facts->nstatements; i++)
		ids[i] = Int64GetDatum(facts->statements[i].query_id);
	values[0] = PointerGetDatum(
		construct_array(ids, facts->nstatements, INT8OID, 8, FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
	SPI_execute_with_args(psprintf("SELECT DISTINCT ON (queryid, dbid) queryid, dbid, query"
								   " FROM %s(true) WHERE queryid = ANY ($1) AND query IS NOT NULL"
								   " ORDER BY queryid, dbid, toplevel DESC",
								   function),
						  1, types, values, NULL, true, 0);
	for (uint64 row = 0; row < SPI_processed; row++)
	{
		HeapTuple tuple = SPI_tuptable->vals[row];
		TupleDesc desc = SPI_tuptable->tupdesc;
		bool isnull;
		int64 query_id = DatumGetInt64(SPI_getbinval(tuple, desc, 1, &isnull));
		Oid database = DatumGetObjectId(SPI_getbinval(tuple, desc, 2, &isnull));

		for (int i = 0; i < facts->nstatements; i++)
		{
			PerfoptStatement *statement = &facts->statements[i];

			if (statement->query_id == query_id && statement->database == database)
				statement->text = MemoryContextStrdup(context, SPI_getvalue(tuple, desc, 3));
		}
	}
}

void
perfopt_facts_read_statements(PerfoptFacts *facts)
{
	MemoryContext context = CurrentMemoryContext;
	char *function;

	rank(facts);
	SPI_connect();
	function = texts_function();
	facts->texts_known = function != NULL;
	if (function != NULL && facts->nstatements > 0)
		read_texts(facts, context, function);
	SPI_finish();
}
