/*
 * databases.c
 *	  The other databases of the cluster: who is watched, and the visits to them, one at a time.
 *
 * perfopt.database is visited too once it has so many relations that reading them would hold up the
 * cycle.  A visit that is not over soon is looked after in the next cycle.
 */
#include "postgres.h"

#include "access/xact.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/varlena.h"

#include "collect/collect.h"
#include "collect/helper.h"
#include "collect/tables.h"
#include "guc.h"
#include "worker/worker.h"

#define TABLES_INTERVAL_MS (60 * 1000)
#define SEQUENCES_INTERVAL_MS (10 * 60 * 1000)

/* A database is read so seldom that it costs no more than this share of a processor's time. */
#define MOST_CPU_SHARE 0.001

#define VISIT_DEADLINE_MS 30000

typedef struct Database
{
	Oid oid;
	NameData name;
	TimestampTz tables_due;
	TimestampTz sequences_due;
	TimestampTz last_visit;
	bool listed; /* while the list is made anew */
} Database;

typedef struct TablesTask
{
	PerfoptReadingLimits limits;
	bool sequences;
} TablesTask;

const PerfoptMetric perfopt_databases_metrics[] = {
	{ "perfopt_databases_watched", "application", PERFOPT_GAUGE, "databases",
	  "Databases whose tables are read by processes of their own" },
};
const int perfopt_databases_nmetrics = lengthof(perfopt_databases_metrics);

static Database databases[PERFOPT_MAX_DATABASES];
static int ndatabases = 0;

/* Names of perfopt.databases that were complained of. */
static List *complaints = NIL;

static PerfoptHelper *helper = NULL;
static Oid visited = InvalidOid;

/* In the helper. */
void
perfopt_helper_tables(PerfoptHelperArea *area)
{
	TablesTask task;
	PerfoptReading reading;

	memcpy(&task, area->data, sizeof(task));
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	perfopt_relations_read(&reading, &task.limits);
	if (task.sequences)
		perfopt_sequences_read(&reading);
	Assert(perfopt_reading_size(&task.limits) <= area->size);
	perfopt_reading_pack(area->data, &reading);
	PopActiveSnapshot();
	CommitTransactionCommand();
}

static Database *
find_database(Oid oid)
{
	for (int i = 0; i < ndatabases; i++)
		if (databases[i].oid == oid)
			return &databases[i];
	return NULL;
}

static bool
is_member(List *names, const char *name)
{
	ListCell *lc;

	foreach (lc, names)
		if (strcmp(lfirst(lc), name) == 0)
			return true;
	return false;
}

static void
complain(List **complained, const char *name, const char *what)
{
	MemoryContext oldcontext = MemoryContextSwitchTo(TopMemoryContext);

	*complained = lappend(*complained, pstrdup(name));
	MemoryContextSwitchTo(oldcontext);
	perfopt_collect_note("tables", name, what, -1, 0);
}

/* The names in the setting, without perfopt.database and without the star. */
static List *
listed_names(bool *all)
{
	List *raw = NIL;
	List *names = NIL;
	ListCell *lc;

	*all = false;
	if (!SplitIdentifierString(pstrdup(perfopt_databases), ',', &raw))
		elog(ERROR, "perfopt.databases is not a list of names");
	foreach (lc, raw)
	{
		if (strcmp(lfirst(lc), "*") == 0)
			*all = true;
		else if (strcmp(lfirst(lc), perfopt_database) != 0)
			names = lappend(names, lfirst(lc));
	}
	return names;
}

static void
watch(Oid oid, const char *name, List **complained)
{
	Database *database = find_database(oid);

	/* One place is perfopt.database's own. */
	if (database == NULL && ndatabases == PERFOPT_MAX_DATABASES - 1)
	{
		complain(complained, name, "too many databases are watched already");
		return;
	}
	if (database == NULL)
	{
		database = &databases[ndatabases++];
		memset(database, 0, sizeof(Database));
		database->oid = oid;
	}
	else if (strcmp(NameStr(database->name), name) != 0)
		perfopt_collect_forget("tables", NameStr(database->name));
	namestrcpy(&database->name, name);
	database->listed = true;
}

static void
watch_or_complain(HeapTuple tuple, TupleDesc desc, List **names, bool all, List **complained)
{
	bool isnull;
	Oid oid = DatumGetObjectId(SPI_getbinval(tuple, desc, 1, &isnull));
	const char *name = NameStr(*DatumGetName(SPI_getbinval(tuple, desc, 2, &isnull)));
	bool connectable = DatumGetBool(SPI_getbinval(tuple, desc, 3, &isnull));
	bool template = DatumGetBool(SPI_getbinval(tuple, desc, 4, &isnull));
	bool listed = is_member(*names, name);
	ListCell *lc;

	foreach (lc, *names)
		if (strcmp(lfirst(lc), name) == 0)
			*names = foreach_delete_current(*names, lc);
	if (perfopt_top_tables == 0)
		return;
	if (oid == MyDatabaseId ? !perfopt_tables_home_large()
							: !listed && !(all && connectable && !template))
		return;
	if (connectable)
		watch(oid, name, complained);
	else
		complain(complained, name, "the database does not allow connections");
}

static void
drop_unlisted(void)
{
	int kept = 0;

	for (int i = 0; i < ndatabases; i++)
	{
		if (databases[i].listed)
			databases[kept++] = databases[i];
		else
		{
			perfopt_collect_forget("tables", NameStr(databases[i].name));
			perfopt_tables_forget(databases[i].oid);
		}
	}
	ndatabases = kept;
}

static bool
is_watched(const char *name)
{
	for (int i = 0; i < ndatabases; i++)
		if (strcmp(NameStr(databases[i].name), name) == 0)
			return true;
	return false;
}

/* Takes back what was complained of before and is mended. */
static void
replace_complaints(List *complained)
{
	ListCell *lc;

	foreach (lc, complaints)
		if (!is_member(complained, lfirst(lc)) && !is_watched(lfirst(lc)))
			perfopt_collect_forget("tables", lfirst(lc));
	list_free_deep(complaints);
	complaints = complained;
}

static void
list_databases(void)
{
	List *complained = NIL;
	List *names;
	ListCell *lc;
	bool all;

	for (int i = 0; i < ndatabases; i++)
		databases[i].listed = false;
	perfopt_collect_begin_sql();
	names = listed_names(&all);
	perfopt_collect_select("SELECT oid, datname, datallowconn AND datconnlimit <> -2, datistemplate"
						   " FROM pg_catalog.pg_database ORDER BY datname");
	for (uint64 i = 0; i < SPI_processed; i++)
		watch_or_complain(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, &names, all, &complained);
	drop_unlisted();
	foreach (lc, names)
		complain(&complained, lfirst(lc), "the database does not exist");
	replace_complaints(complained);
	perfopt_collect_end_sql();
}

/* The one that waits longest, of those that wait; on request each that was not visited since. */
static Database *
next_database(TimestampTz now, TimestampTz asked)
{
	Database *next = NULL;

	for (int i = 0; i < ndatabases; i++)
	{
		Database *database = &databases[i];

		if (database->tables_due > now && !(asked != 0 && database->last_visit < asked))
			continue;
		if (next == NULL || database->tables_due < next->tables_due)
			next = database;
	}
	return next;
}

static TimestampTz
due_after(TimestampTz now, int interval_ms, double cpu_ms)
{
	double ms = Max((double) interval_ms, cpu_ms / MOST_CPU_SHARE);

	/* A cycle that begins a moment early is the right one all the same. */
	return TimestampTzPlusMilliseconds(now, ms - Min(perfopt_collect_interval_ms() / 2, 5000));
}

static void
visit(Database *database, TimestampTz now, bool asked)
{
	int others = perfopt_tables_home_large() ? ndatabases - 1 : ndatabases;
	TablesTask task;

	memset(&task, 0, sizeof(task));
	perfopt_tables_limits(&task.limits, database->oid == MyDatabaseId ? 1 : others, false);
	task.sequences = asked || database->sequences_due <= now;
	database->last_visit = now;
	database->tables_due = due_after(now, TABLES_INTERVAL_MS, 0);
	if (task.sequences)
		database->sequences_due = due_after(now, SEQUENCES_INTERVAL_MS, 0);
	helper = perfopt_helper_start(PERFOPT_HELPER_TABLES, NameStr(database->name), VISIT_DEADLINE_MS,
								  perfopt_reading_size(&task.limits), (char *) &task, sizeof(task));
	visited = database->oid;
}

static void
take_reading(PerfoptBatch *batch, const Database *database, PerfoptHelperArea *area)
{
	const char *name = NameStr(database->name);
	PerfoptReading reading;
	char *error = NULL;

	perfopt_reading_unpack(&reading, area->data);
	perfopt_tables_add(batch, database->oid, name, &reading);
	perfopt_sequences_add(batch, name, &reading);
	if (reading.seen > PERFOPT_RELATIONS_LOOKED_AT)
		error = psprintf("%d relations; only %d are looked at", reading.seen,
						 PERFOPT_RELATIONS_LOOKED_AT);
	perfopt_collect_note("tables", name, error, area->cpu_ms, area->wall_ms);
}

static void
take_result(PerfoptBatch *batch)
{
	PerfoptHelperArea *area = perfopt_helper_area(helper);
	Database *database = find_database(visited);

	/* It may be watched no more. */
	if (database != NULL && area->error[0] != '\0')
		perfopt_collect_note("tables", NameStr(database->name), area->error, area->cpu_ms,
							 area->wall_ms);
	else if (database != NULL)
	{
		take_reading(batch, database, area);
		database->tables_due = due_after(database->last_visit, TABLES_INTERVAL_MS, area->cpu_ms);
	}
	perfopt_helper_free(helper);
	helper = NULL;
}

void
perfopt_collect_databases(PerfoptBatch *batch)
{
	static TimestampTz list_due = 0;
	TimestampTz now = GetCurrentTimestamp();
	TimestampTz asked = perfopt_worker_asked() ? now : 0;
	TimestampTz give_up = TimestampTzPlusMilliseconds(now, perfopt_helper_patience_ms(asked != 0));

	if (asked || now >= list_due)
	{
		list_due = due_after(now, TABLES_INTERVAL_MS, 0);
		list_databases();
	}
	for (;;)
	{
		Database *next = helper == NULL ? next_database(now, asked) : NULL;

		if (next != NULL)
			visit(next, now, asked != 0);
		if (helper == NULL ||
			!perfopt_helper_wait(helper,
								 TimestampDifferenceMilliseconds(GetCurrentTimestamp(), give_up)))
			break;
		take_result(batch);
	}
	if (ndatabases > 0)
		perfopt_batch_add(batch, &perfopt_databases_metrics[0], NULL, 0, ndatabases);
}
