/*
 * changed.c
 *	  How the workers learn that somebody has changed what they remember.
 *
 * A change of thresholds or alerts invalidates the table's relation cache entry.
 * That reaches the collector when, and only if, the transaction commits, and costs nobody anything
 * until then.  What the collector writes itself is no news to it.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/namespace.h"
#include "commands/trigger.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/varlena.h"

#include "alert/watch.h"
#include "worker/worker.h"

static const struct
{
	const char *name;
	PerfoptStale makes;
} tables[] = {
	{ "threshold", PERFOPT_STALE_RULES },
	{ "alert_log", PERFOPT_STALE_ALERTS },
};

static PerfoptStale stale = PERFOPT_STALE_RULES;
static Oid table_oids[lengthof(tables)];

/* This process writes nothing there but what it remembers anyway. */
static bool ignore_own_changes = false;

void
perfopt_watcher_set_stale(PerfoptStale what)
{
	stale = Max(stale, what);
}

static void
on_invalidation(Datum arg, Oid relid)
{
	for (int i = 0; i < lengthof(tables); i++)
		if (relid == InvalidOid || relid == table_oids[i])
			perfopt_watcher_set_stale(tables[i].makes);
}

PerfoptStale
perfopt_watcher_stale(void)
{
	static bool registered = false;
	Oid schema = get_namespace_oid("perfopt", false);
	PerfoptStale was_stale;

	if (!registered)
	{
		CacheRegisterRelcacheCallback(on_invalidation, (Datum) 0);
		registered = true;
	}

	/* Another extension of that name since the last time has other tables, and nothing of ours. */
	for (int i = 0; i < lengthof(tables); i++)
	{
		Oid oid = get_relname_relid(tables[i].name, schema);

		if (oid != table_oids[i])
			stale = PERFOPT_STALE_RULES;
		table_oids[i] = oid;
	}
	was_stale = stale;
	stale = PERFOPT_FRESH;
	return was_stale;
}

void
perfopt_watcher_ignore_own_changes(void)
{
	ignore_own_changes = true;
}

PG_FUNCTION_INFO_V1(perfopt_alerting_changed);

Datum
perfopt_alerting_changed(PG_FUNCTION_ARGS)
{
	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
						errmsg("function \"%s\" was not called by a trigger", "alerting_changed")));
	if (!ignore_own_changes)
		CacheInvalidateRelcache(((TriggerData *) fcinfo->context)->tg_relation);
	PG_RETURN_POINTER(NULL);
}

static bool wake_prober = false;

static void
at_end_of_transaction(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_COMMIT && wake_prober)
		(void) perfopt_worker_request(perfopt_worker_index("perfopt prober"));
	if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT || event == XACT_EVENT_PREPARE)
		wake_prober = false;
}

PG_FUNCTION_INFO_V1(perfopt_outbox_filled);

Datum
perfopt_outbox_filled(PG_FUNCTION_ARGS)
{
	static bool registered = false;

	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
						errmsg("function \"%s\" was not called by a trigger", "outbox_filled")));
	if (!registered)
	{
		RegisterXactCallback(at_end_of_transaction, NULL);
		registered = true;
	}

	/* Without the preloaded library there is no prober; what is in the outbox waits for one. */
	wake_prober = perfopt_worker_count() > 0;
	PG_RETURN_POINTER(NULL);
}

PG_FUNCTION_INFO_V1(perfopt_edit_distance);

/* That of the server's own hints. */
Datum
perfopt_edit_distance(PG_FUNCTION_ARGS)
{
	text *a = PG_GETARG_TEXT_PP(0);
	text *b = PG_GETARG_TEXT_PP(1);

	PG_RETURN_INT32(varstr_levenshtein(VARDATA_ANY(a), VARSIZE_ANY_EXHDR(a), VARDATA_ANY(b),
									   VARSIZE_ANY_EXHDR(b), 1, 1, 1, false));
}
