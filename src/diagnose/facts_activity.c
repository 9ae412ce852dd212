/*
 * facts_activity.c
 *	  Facts from sampling: who spent DB time on what, and who blocked whom.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "diagnose/facts.h"
#include "guc.h"

/* Rows of perfopt.active_session_hot that are held at a time. */
#define FETCH_ROWS 256

/* Rows of other blockers between two looks at the same one; and how exactly a state's beginning is known. */
#define LOOK_AHEAD 64
#define SAME_STATE_US 100000

typedef struct WaitName
{
	char name[2 * NAMEDATALEN]; /* class:event */
	int wait;
} WaitName;

typedef struct Reader
{
	PerfoptFacts *facts;
	MemoryContext context; /* the facts' */
	HTAB *waits;
	int max_activities;
	int max_waits;
	int max_cycles;
} Reader;

static void *
grown(void *array, int used, int *max, size_t size)
{
	if (used < *max)
		return array;
	*max = Max(64, *max * 2);
	return array ? repalloc_huge(array, *max * size) : palloc(*max * size);
}

static int
wait_index(Reader *r, const char *class, const char *event)
{
	char name[2 * NAMEDATALEN];
	WaitName *entry;
	bool found;

	memset(name, 0, sizeof(name));
	snprintf(name, sizeof(name), "%s:%s", class, event);
	entry = hash_search(r->waits, name, HASH_ENTER, &found);
	if (!found)
	{
		MemoryContext old = MemoryContextSwitchTo(r->context);
		PerfoptFacts *facts = r->facts;

		facts->waits = grown(facts->waits, facts->nwaits, &r->max_waits, sizeof(PerfoptWait));
		facts->waits[facts->nwaits].class = pstrdup(class);
		facts->waits[facts->nwaits].event = pstrdup(event);
		entry->wait = facts->nwaits++;
		MemoryContextSwitchTo(old);
	}
	return entry->wait;
}

static Datum *
elements(HeapTuple row, TupleDesc desc, int column, Oid type, int16 length, bool byval, char align,
		 int *n)
{
	bool isnull;
	Datum value = SPI_getbinval(row, desc, column, &isnull);
	Datum *datums = NULL;

	if (isnull)
		*n = 0;
	else
		deconstruct_array(DatumGetArrayTypeP(value), type, length, byval, align, &datums, NULL, n);
	return datums;
}

/* One row of perfopt.active_session_hot is one cycle. */
static void
read_cycle(Reader *r, HeapTuple row, TupleDesc desc)
{
	PerfoptFacts *facts = r->facts;
	PerfoptCycle *cycle;
	bool isnull;
	int counts[7];
	Datum *database = elements(row, desc, 3, OIDOID, 4, true, TYPALIGN_INT, &counts[0]);
	Datum *role = elements(row, desc, 4, OIDOID, 4, true, TYPALIGN_INT, &counts[1]);
	Datum *query = elements(row, desc, 5, INT8OID, 8, FLOAT8PASSBYVAL, TYPALIGN_DOUBLE, &counts[2]);
	Datum *operation = elements(row, desc, 6, INT4OID, 4, true, TYPALIGN_INT, &counts[3]);
	Datum *class = elements(row, desc, 7, TEXTOID, -1, false, TYPALIGN_INT, &counts[4]);
	Datum *event = elements(row, desc, 8, TEXTOID, -1, false, TYPALIGN_INT, &counts[5]);
	Datum *n = elements(row, desc, 9, INT4OID, 4, true, TYPALIGN_INT, &counts[6]);
	MemoryContext old = MemoryContextSwitchTo(r->context);

	facts->cycles = grown(facts->cycles, facts->ncycles, &r->max_cycles, sizeof(PerfoptCycle));
	MemoryContextSwitchTo(old);

	cycle = &facts->cycles[facts->ncycles];
	memset(cycle, 0, sizeof(*cycle));
	cycle->ts = DatumGetTimestampTz(SPI_getbinval(row, desc, 1, &isnull));
	cycle->ticks = DatumGetInt32(SPI_getbinval(row, desc, 2, &isnull));
	facts->ticks += cycle->ticks;

	for (int i = 0; i < counts[6]; i++)
	{
		PerfoptActivity *activity;
		char *class_name = TextDatumGetCString(class[i]);
		char *event_name = TextDatumGetCString(event[i]);

		if (DatumGetObjectId(role[i]) == InvalidOid)
			continue;
		if (strcmp(class_name, "Client") == 0 && strcmp(event_name, "ClientRead") == 0)
		{
			/* Seconds are put in its place once the cycle's length is known. */
			cycle->idle_xact_s += DatumGetInt32(n[i]);
			continue;
		}
		old = MemoryContextSwitchTo(r->context);
		facts->activities = grown(facts->activities, facts->nactivities, &r->max_activities,
								  sizeof(PerfoptActivity));
		MemoryContextSwitchTo(old);
		activity = &facts->activities[facts->nactivities++];
		activity->cycle = facts->ncycles;
		activity->wait = wait_index(r, class_name, event_name);
		activity->query_id = DatumGetInt64(query[i]);
		activity->database = DatumGetObjectId(database[i]);
		activity->role = DatumGetObjectId(role[i]);
		activity->operation = DatumGetInt32(operation[i]);
		activity->n = DatumGetInt32(n[i]);
		activity->seconds = 0;
		activity->free = 1;
	}
	facts->ncycles++;
}

static int
compare_double(const void *a, const void *b)
{
	double x = *(const double *) a;
	double y = *(const double *) b;

	return (x > y) - (x < y);
}

/*
 * A cycle lasts from the one before to its own time.  After a pause (restart, sampler switched off) that
 * gap is not observed time, so a cycle is never taken for longer than twice what its ticks usually last.
 */
static void
measure_cycles(Reader *r, TimestampTz before)
{
	PerfoptFacts *facts = r->facts;
	double *tick_s = palloc(sizeof(double) * Max(facts->ncycles, 1));
	double usual = perfopt_sampling_frequency > 0 ? 1.0 / perfopt_sampling_frequency : 0.1;
	TimestampTz previous = before;
	int known = 0;

	for (int i = 0; i < facts->ncycles; i++)
	{
		PerfoptCycle *cycle = &facts->cycles[i];

		cycle->seconds = previous != 0 ? (cycle->ts - previous) / (double) USECS_PER_SEC : NAN;
		if (cycle->seconds > 0 && cycle->ticks > 0)
			tick_s[known++] = cycle->seconds / cycle->ticks;
		previous = cycle->ts;
	}
	if (known > 0)
	{
		qsort(tick_s, known, sizeof(double), compare_double);
		usual = tick_s[known / 2];
	}
	for (int i = 0; i < facts->ncycles; i++)
	{
		PerfoptCycle *cycle = &facts->cycles[i];
		double expected = usual * cycle->ticks;

		if (!(cycle->seconds > 0) || cycle->seconds > 2 * expected)
			cycle->seconds = expected;
		facts->covered_s += cycle->seconds;
		if (cycle->ticks > 0)
			cycle->idle_xact_s *= cycle->seconds / cycle->ticks;
	}
	for (int i = 0; i < facts->nactivities; i++)
	{
		PerfoptActivity *activity = &facts->activities[i];
		PerfoptCycle *cycle = &facts->cycles[activity->cycle];

		if (cycle->ticks <= 0)
			continue;
		activity->seconds = activity->n * cycle->seconds / cycle->ticks;
		cycle->db_s += activity->seconds;
		facts->db_s += activity->seconds;
		facts->samples += activity->n;
	}
	pfree(tick_s);
}

/* The time of the last cycle before the window, 0 when there is none within an hour. */
static TimestampTz
cycle_before(PerfoptFacts *facts)
{
	Oid types[1] = { TIMESTAMPTZOID };
	Datum values[1] = { TimestampTzGetDatum(facts->since) };
	Datum value;
	bool isnull;

	SPI_execute_with_args("SELECT max(ts) FROM perfopt.active_session_hot"
						  " WHERE ts <= $1 AND ts > $1 - interval '1 hour'",
						  1, types, values, NULL, true, 0);
	value = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull);
	return isnull ? 0 : DatumGetTimestampTz(value);
}

void
perfopt_facts_read_activity(PerfoptFacts *facts)
{
	Reader r = { .facts = facts, .context = CurrentMemoryContext };
	HASHCTL ctl = { .keysize = 2 * NAMEDATALEN, .entrysize = sizeof(WaitName) };
	Oid types[2] = { TIMESTAMPTZOID, TIMESTAMPTZOID };
	Datum values[2] = { TimestampTzGetDatum(facts->since), TimestampTzGetDatum(facts->until) };
	MemoryContext scratch;
	Portal portal;

	SPI_connect();
	scratch = AllocSetContextCreate(CurrentMemoryContext, "perfopt facts", ALLOCSET_DEFAULT_SIZES);
	ctl.hcxt = scratch;
	r.waits = hash_create("perfopt waits", 128, &ctl, HASH_ELEM | HASH_STRINGS | HASH_CONTEXT);

	portal = SPI_cursor_open_with_args(
		NULL,
		"SELECT ts, ticks, database, role, query_id, operation, wait_class, wait_event, n"
		" FROM perfopt.active_session_hot WHERE ts > $1 AND ts <= $2 ORDER BY ts",
		2, types, values, NULL, true, 0);
	for (;;)
	{
		MemoryContext row_context;

		SPI_cursor_fetch(portal, true, FETCH_ROWS);
		if (SPI_processed == 0)
			break;
		row_context = AllocSetContextCreate(scratch, "perfopt facts row", ALLOCSET_DEFAULT_SIZES);
		for (uint64 i = 0; i < SPI_processed; i++)
		{
			MemoryContext old = MemoryContextSwitchTo(row_context);

			read_cycle(&r, SPI_tuptable->vals[i], SPI_tuptable->tupdesc);
			MemoryContextSwitchTo(old);
			MemoryContextReset(row_context);
		}
		MemoryContextDelete(row_context);
		SPI_freetuptable(SPI_tuptable);
	}
	SPI_cursor_close(portal);
	measure_cycles(&r, cycle_before(facts));
	SPI_finish();
}

static char *
text_value(HeapTuple row, TupleDesc desc, int column, MemoryContext context)
{
	char *value = SPI_getvalue(row, desc, column);

	return value ? MemoryContextStrdup(context, value) : NULL;
}

static double
float_value(HeapTuple row, TupleDesc desc, int column)
{
	bool isnull;
	Datum value = SPI_getbinval(row, desc, column, &isnull);

	return isnull ? NAN : DatumGetFloat8(value);
}

static void
read_blocker(PerfoptBlocker *blocker, HeapTuple row, TupleDesc desc, MemoryContext context)
{
	bool isnull;

	blocker->ts = DatumGetTimestampTz(SPI_getbinval(row, desc, 1, &isnull));
	blocker->pid = DatumGetInt32(SPI_getbinval(row, desc, 2, &isnull));
	blocker->database = DatumGetObjectId(SPI_getbinval(row, desc, 3, &isnull));
	blocker->role = DatumGetObjectId(SPI_getbinval(row, desc, 4, &isnull));
	blocker->state = text_value(row, desc, 5, context);
	blocker->query_id = DatumGetInt64(SPI_getbinval(row, desc, 6, &isnull));
	blocker->xact_s = float_value(row, desc, 7);
	blocker->state_s = float_value(row, desc, 8);
	blocker->relation = text_value(row, desc, 9, context);
	blocker->locktype = text_value(row, desc, 10, context);
	blocker->mode = text_value(row, desc, 11, context);
	blocker->waiters = DatumGetInt32(SPI_getbinval(row, desc, 12, &isnull));
	blocker->wait_max_s = float_value(row, desc, 13);
}

static bool
between_statements(const PerfoptBlocker *blocker)
{
	return blocker->state != NULL && strncmp(blocker->state, "idle in transaction", 19) == 0;
}

/* When the blocker came into the state it was seen in. */
static TimestampTz
state_since(const PerfoptBlocker *blocker)
{
	return blocker->ts - (TimestampTz) (blocker->state_s * USECS_PER_SEC);
}

/*
 * A pause between two statements is short when it is first seen.  What it grew into is known afterwards:
 * a blocker that sat idle in a later look was idle in those before, as far back as its state goes.
 */
static void
recognize_idle_earlier(PerfoptFacts *facts)
{
	for (int b = facts->nblockers - 2; b >= 0; b--)
	{
		PerfoptBlocker *blocker = &facts->blockers[b];
		int last = Min(facts->nblockers - 1, b + LOOK_AHEAD);

		if (!between_statements(blocker))
			continue;
		for (int later = b + 1; later <= last && !blocker->idle; later++)
		{
			const PerfoptBlocker *next = &facts->blockers[later];

			blocker->idle = next->idle && next->pid == blocker->pid &&
							llabs(state_since(next) - state_since(blocker)) < SAME_STATE_US;
		}
	}
}

/* The first cycle that ends at or after a time. */
static int
first_cycle_from(const PerfoptFacts *facts, TimestampTz ts)
{
	int low = 0;
	int high = facts->ncycles;

	while (low < high)
	{
		int middle = low + (high - low) / 2;

		if (facts->cycles[middle].ts < ts)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void
assign(PerfoptCycle *cycle, const PerfoptBlocker *blocker)
{
	cycle->waiters += blocker->waiters;
	if (blocker->idle)
		cycle->idle_waiters += blocker->waiters;
}

/*
 * The look at locks is one moment of each cycle.  It speaks for the cycle whose end is nearest, and for
 * those before it that lie within the longest wait it saw, unless they have a look of their own.  Waits
 * that ended before the next look could see them are the tail of those that the last look saw.
 */
static void
assign_blockers(PerfoptFacts *facts)
{
	bool *own = palloc0(sizeof(bool) * Max(facts->ncycles, 1));
	int *home = palloc(sizeof(int) * Max(facts->nblockers, 1));

	for (int b = 0; b < facts->nblockers; b++)
	{
		TimestampTz ts = facts->blockers[b].ts;
		int c = first_cycle_from(facts, ts);

		if (c == facts->ncycles ||
			(c > 0 && ts - facts->cycles[c - 1].ts < facts->cycles[c].ts - ts))
			c--;
		home[b] = c;
		if (c < 0)
			continue;
		own[c] = true;
		assign(&facts->cycles[c], &facts->blockers[b]);
	}
	for (int b = 0; b < facts->nblockers; b++)
	{
		const PerfoptBlocker *blocker = &facts->blockers[b];
		double reach_s = blocker->wait_max_s > 0 ? blocker->wait_max_s : 0;
		TimestampTz reach = blocker->ts - (TimestampTz) (reach_s * USECS_PER_SEC);

		/* An earlier cycle with a look of its own ends the reach: it knows better. */
		for (int c = home[b] - 1; c >= 0 && !own[c] && facts->cycles[c].ts >= reach; c--)
			assign(&facts->cycles[c], blocker);
	}
	for (int c = 0; c < facts->ncycles; c++)
		own[c] = facts->cycles[c].waiters > 0;
	for (int b = 0; b < facts->nblockers; b++)
	{
		int next = home[b] + 1;

		if (home[b] >= 0 && next < facts->ncycles && !own[next])
			assign(&facts->cycles[next], &facts->blockers[b]);
	}
	pfree(own);
	pfree(home);
}

void
perfopt_facts_read_blocking(PerfoptFacts *facts)
{
	MemoryContext context = CurrentMemoryContext;
	Oid types[2] = { TIMESTAMPTZOID, TIMESTAMPTZOID };
	Datum values[2] = { TimestampTzGetDatum(facts->since), TimestampTzGetDatum(facts->until) };

	SPI_connect();
	SPI_execute_with_args(
		"SELECT b.ts, b.blocker_pid, b.blocker_database, b.blocker_role, b.blocker_state,"
		" b.blocker_query_id, b.blocker_xact_s::float8, b.blocker_state_s::float8,"
		" CASE WHEN d.oid IS NOT NULL"
		"  THEN coalesce(quote_ident(n.nspname) || '.' || quote_ident(c.relname),"
		"  'relation ' || b.relation)"
		"  ELSE 'relation ' || b.relation END,"
		" b.locktype, b.mode, b.waiters, b.wait_max_s::float8"
		" FROM perfopt.blocking b"
		" LEFT JOIN pg_catalog.pg_database d"
		"  ON d.oid = b.blocker_database AND d.datname = current_database()"
		" LEFT JOIN pg_catalog.pg_class c ON c.oid = nullif(b.relation, 0)"
		" LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
		" WHERE b.ts > $1 AND b.ts <= $2 ORDER BY b.ts, b.waiters DESC, b.blocker_pid",
		2, types, values, NULL, true, 0);
	facts->nblockers = SPI_processed;
	facts->blockers =
		MemoryContextAllocZero(context, sizeof(PerfoptBlocker) * Max(SPI_processed, 1));
	for (uint64 i = 0; i < SPI_processed; i++)
		read_blocker(&facts->blockers[i], SPI_tuptable->vals[i], SPI_tuptable->tupdesc, context);
	SPI_finish();
}

void
perfopt_facts_mark_idle(PerfoptFacts *facts, double idle_s)
{
	for (int b = 0; b < facts->nblockers; b++)
	{
		PerfoptBlocker *blocker = &facts->blockers[b];

		blocker->idle = between_statements(blocker) && blocker->state_s >= idle_s;
	}
	recognize_idle_earlier(facts);
	assign_blockers(facts);
}
