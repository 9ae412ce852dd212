/*
 * statement_text.c
 *	  Texts of statements, kept apart in perfopt.statement_text: each is looked up once.
 *
 * They are looked up for all unknown ones at once, only when there are any, and seldom where that is
 * costly (pgss.h).  A statement without a text (pushed out, or never
 * tracked) is remembered as such and asked for again after a while.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "commands/dbcommands.h"
#include "commands/extension.h"
#include "executor/spi.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "collect/collect.h"
#include "collect/pgss.h"
#include "collect/statements.h"
#include "guc.h"
#include "worker/worker.h"

#define READ_INTERVAL_MS (5 * 60 * 1000)
#define MOST_CHECK_INTERVAL_MS (60 * 60 * 1000)
#define FORGET_INTERVAL_MS (60 * 60 * 1000)

/* Most texts looked up in one reading, and most rows forgotten at a time. */
#define MAX_WANTED 1000
#define MAX_FORGOTTEN "10000"

/* $1 query ids, $2 databases; noted by the eighth part of the retention, not to write each time. */
static const char *const touch_query =
	"UPDATE perfopt.statement_text t SET last_seen = pg_catalog.now()"
	" FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2)) AS s (query_id, database)"
	" WHERE t.query_id = s.query_id AND t.database = s.database"
	" AND t.last_seen < pg_catalog.now()"
	"  - pg_catalog.current_setting('perfopt.retention_raw')::pg_catalog.interval / 8";

/*
 * $3: what the sampler saw since then.  A statement that runs for hours is in pg_stat_statements when
 * it has ended, if it was not there before.
 */
static const char *const unknown_query =
	"SELECT w.query_id, w.database FROM ("
	" SELECT s.query_id, s.database"
	" FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2)) AS s (query_id, database)"
	" UNION "
	" (SELECT u.query_id, d.datname::pg_catalog.text FROM perfopt.active_session_hot h"
	"  CROSS JOIN LATERAL ROWS FROM (pg_catalog.unnest(h.query_id), pg_catalog.unnest(h.database),"
	"   pg_catalog.unnest(h.n)) AS u (query_id, database, n)"
	"  JOIN pg_catalog.pg_database d ON d.oid = u.database"
	"  WHERE h.ts > $3 AND u.query_id <> 0"
	"  GROUP BY 1, 2 ORDER BY pg_catalog.sum(u.n) DESC"
	"  LIMIT pg_catalog.current_setting('perfopt.top_statements')::pg_catalog.int8)"
	") w WHERE NOT EXISTS (SELECT FROM perfopt.statement_text t"
	"  WHERE t.query_id = w.query_id AND t.database = w.database"
	"  AND (t.text IS NOT NULL OR t.looked_up_at > pg_catalog.now() - '1 "
	"hour'::pg_catalog.interval))";

static const char *const keep_query =
	"INSERT INTO perfopt.statement_text AS t (query_id, database, text)"
	" SELECT s.query_id, s.database, s.text FROM ROWS FROM"
	"  (pg_catalog.unnest($1), pg_catalog.unnest($2), pg_catalog.unnest($3))"
	"  AS s (query_id, database, text)"
	" ON CONFLICT (query_id, database) DO UPDATE"
	" SET text = coalesce(excluded.text, t.text), looked_up_at = excluded.looked_up_at,"
	" last_seen = excluded.last_seen";

static const char *const forget_query =
	"DELETE FROM perfopt.statement_text WHERE ctid = ANY (ARRAY(SELECT t.ctid"
	" FROM perfopt.statement_text t WHERE t.last_seen < pg_catalog.now()"
	"  - pg_catalog.current_setting('perfopt.retention_raw')::pg_catalog.interval"
	" LIMIT " MAX_FORGOTTEN "))";

typedef struct Wanted
{
	int64 query_id;
	Oid database;
	char *database_name;
	char *text; /* NULL until found */
} Wanted;

typedef struct Lookup
{
	MemoryContext context;
	Wanted *wanted; /* by query id */
	int nwanted;
} Lookup;

static bool
due(TimestampTz *last, int interval_ms)
{
	TimestampTz now = GetCurrentTimestamp();

	if (!TimestampDifferenceExceeds(*last, now, interval_ms))
		return false;
	*last = now;
	return true;
}

static int
compare_wanted(const void *a, const void *b)
{
	int64 x = ((const Wanted *) a)->query_id;
	int64 y = ((const Wanted *) b)->query_id;

	return (x > y) - (x < y);
}

/* The first of those with this query id. */
static Wanted *
find_wanted(const Lookup *lookup, int64 query_id)
{
	Wanted key = { .query_id = query_id };
	Wanted *found = bsearch(&key, lookup->wanted, lookup->nwanted, sizeof(Wanted), compare_wanted);

	while (found != NULL && found > lookup->wanted && found[-1].query_id == query_id)
		found--;
	return found;
}

static Wanted *
find_without_text(const PerfoptPgssKey *key, const Lookup *lookup)
{
	const Wanted *end = lookup->wanted + lookup->nwanted;

	for (Wanted *wanted = find_wanted(lookup, key->query_id);
		 wanted != NULL && wanted < end && wanted->query_id == key->query_id; wanted++)
		if (wanted->database == key->database && wanted->text == NULL)
			return wanted;
	return NULL;
}

static bool
wants(const PerfoptPgssKey *key, void *arg)
{
	return find_without_text(key, arg) != NULL;
}

/* The first of several entries (by role) that are one statement to us. */
static void
take_text(const PerfoptPgssKey *key, const char *text, void *arg)
{
	Lookup *lookup = arg;
	Wanted *wanted = find_without_text(key, lookup);

	if (wanted != NULL)
		wanted->text = MemoryContextStrdup(lookup->context, text);
}

/* The result of unknown_query, in the current context. */
static void
take_wanted(Lookup *lookup)
{
	lookup->context = CurrentMemoryContext;
	lookup->wanted = palloc0(Max(SPI_processed, 1) * sizeof(Wanted));
	for (uint64 i = 0; i < SPI_processed && lookup->nwanted < MAX_WANTED; i++)
	{
		Wanted *wanted = &lookup->wanted[lookup->nwanted];
		bool isnull;

		wanted->query_id =
			DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1, &isnull));
		wanted->database_name = SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 2);
		wanted->database = get_database_oid(wanted->database_name, true);
		if (OidIsValid(wanted->database))
			lookup->nwanted++;
	}
	SPI_freetuptable(SPI_tuptable);
	qsort(lookup->wanted, lookup->nwanted, sizeof(Wanted), compare_wanted);
}

static void
keep_texts(const Lookup *lookup)
{
	int n = lookup->nwanted;
	Datum *ids = palloc(n * sizeof(Datum));
	Datum *databases = palloc(n * sizeof(Datum));
	Datum *texts = palloc0(n * sizeof(Datum));
	bool *nulls = palloc(n * sizeof(bool));
	Oid types[] = { INT8ARRAYOID, TEXTARRAYOID, TEXTARRAYOID };
	Datum values[3];
	int lower = 1;

	for (int i = 0; i < n; i++)
	{
		ids[i] = Int64GetDatum(lookup->wanted[i].query_id);
		databases[i] = CStringGetTextDatum(lookup->wanted[i].database_name);
		nulls[i] = lookup->wanted[i].text == NULL;
		if (!nulls[i])
			texts[i] = CStringGetTextDatum(lookup->wanted[i].text);
	}
	values[0] =
		PointerGetDatum(construct_array(ids, n, INT8OID, 8, FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
	values[1] = PointerGetDatum(construct_array(databases, n, TEXTOID, -1, false, TYPALIGN_INT));
	values[2] = PointerGetDatum(
		construct_md_array(texts, nulls, 1, &n, &lower, TEXTOID, -1, false, TYPALIGN_INT));
	perfopt_collect_execute(keep_query, lengthof(types), types, values);
}

/* The statements of a reading whose texts are to be seen to. */
typedef struct Unchecked
{
	int n;
	const PerfoptStatementId **statements;
	Datum ids; /* as arrays, for queries */
	Datum databases;
} Unchecked;

/* Often enough for last_seen to be right by the eighth part of the retention. */
static int
check_interval_ms(void)
{
	return (int) Min(perfopt_retention_raw_min * INT64CONST(60000) / 16, MOST_CHECK_INTERVAL_MS);
}

/* Those that were not looked at for a while, or not since the extension was made. */
static void
find_unchecked(Unchecked *unchecked, const PerfoptStatementId *seen, int nseen, TimestampTz now)
{
	static Oid extension = InvalidOid;
	static TimestampTz extension_seen = 0;
	Oid current = get_extension_oid("perfopt", false);
	Datum *ids = palloc(Max(nseen, 1) * sizeof(Datum));
	Datum *databases = palloc(Max(nseen, 1) * sizeof(Datum));

	if (current != extension)
	{
		extension = current;
		extension_seen = now;
	}
	unchecked->n = 0;
	unchecked->statements = palloc(Max(nseen, 1) * sizeof(PerfoptStatementId *));
	for (int i = 0; i < nseen; i++)
	{
		TimestampTz checked = *seen[i].checked;

		if (checked > extension_seen && checked <= now &&
			!TimestampDifferenceExceeds(checked, now, check_interval_ms()))
			continue;
		ids[unchecked->n] = Int64GetDatum(seen[i].query_id);
		databases[unchecked->n] = CStringGetTextDatum(seen[i].database);
		unchecked->statements[unchecked->n++] = &seen[i];
	}
	unchecked->ids = PointerGetDatum(
		construct_array(ids, unchecked->n, INT8OID, 8, FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
	unchecked->databases =
		PointerGetDatum(construct_array(databases, unchecked->n, TEXTOID, -1, false, TYPALIGN_INT));
}

/* What was asked for and is not among the unknown has its text, or cannot have one now. */
static void
note_checked(const Unchecked *unchecked, const Lookup *lookup, TimestampTz now)
{
	if (lookup->nwanted == MAX_WANTED)
		return;
	for (int i = 0; i < unchecked->n; i++)
		if (find_wanted(lookup, unchecked->statements[i]->query_id) == NULL)
			*unchecked->statements[i]->checked = now;
}

static void
look_up(const PerfoptPgss *pgss, const Unchecked *unchecked, TimestampTz sampled_since,
		TimestampTz now)
{
	Oid types[] = { INT8ARRAYOID, TEXTARRAYOID, TIMESTAMPTZOID };
	Datum values[] = { unchecked->ids, unchecked->databases, TimestampTzGetDatum(sampled_since) };
	Lookup lookup = { 0 };

	perfopt_collect_execute(unknown_query, lengthof(types), types, values);
	take_wanted(&lookup);
	note_checked(unchecked, &lookup, now);
	if (lookup.nwanted > 0)
	{
		perfopt_pgss_texts(pgss, wants, take_text, &lookup);
		keep_texts(&lookup);
	}
}

/*
 * Which statements the sampler saw is asked at intervals; new ones of the reading are looked up at once
 * where that is cheap, or was asked for.
 */
void
perfopt_statement_texts(const PerfoptPgss *pgss, const PerfoptStatementId *seen, int nseen)
{
	static TimestampTz last_read = 0;
	static TimestampTz last_forget = 0;
	bool costly = perfopt_pgss_texts_are_costly();
	TimestampTz now = GetCurrentTimestamp();
	TimestampTz sampled_since =
		last_read != 0 ? last_read : TimestampTzPlusMilliseconds(now, -READ_INTERVAL_MS);
	Oid types[] = { INT8ARRAYOID, TEXTARRAYOID };
	Unchecked unchecked;

	find_unchecked(&unchecked, seen, nseen, now);
	if (unchecked.n > 0)
		perfopt_collect_execute(touch_query, lengthof(types), types,
								(Datum[]){ unchecked.ids, unchecked.databases });
	if (due(&last_forget, FORGET_INTERVAL_MS))
		perfopt_collect_execute(forget_query, 0, NULL, NULL);

	if (due(&last_read, costly && perfopt_worker_asked() ? 0 : READ_INTERVAL_MS))
		look_up(pgss, &unchecked, sampled_since, now);
	else if (unchecked.n > 0 && !costly)
		look_up(pgss, &unchecked, DT_NOEND, now);
}
