/*
 * watcher.c
 *	  What is watched: reading thresholds and alerts, and meeting series.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "alert/watch.h"
#include "compat.h"
#include "store/store.h"

/* A detector learns what days are like from this much. */
#define ANOMALY_REFILL_US (2 * USECS_PER_DAY)

#define MICROSECONDS(interval) "(pg_catalog.date_part('epoch', " interval ") * 1e6)"

/* A row of perfopt.alert_log. */
typedef struct LoggedAlert
{
	const char *threshold;
	const char *labels;
	int64 alert_id;
	bool firing;
	bool acknowledged;
	bool resolved;
	bool critical;
	bool until_clear;
	bool told;
	int escalation;
	TimestampTz pending_since;
	TimestampTz critical_since;
	TimestampTz fired_at;
	TimestampTz escalated_at;
	TimestampTz resolved_at;
} LoggedAlert;

void
perfopt_alert_execute(SPIPlanPtr *plan, const char *sql, int nargs, Oid *types, Datum *values,
					  const char *nulls)
{
	int result;

	if (*plan == NULL)
	{
		SPIPlanPtr prepared = SPI_prepare(sql, nargs, types);

		if (prepared == NULL)
			elog(ERROR, "could not prepare \"%s\": %s", sql, SPI_result_code_string(SPI_result));
		SPI_keepplan(prepared);
		*plan = prepared;
	}
	result = SPI_execute_plan(*plan, values, nulls, false, 0);
	if (result < 0)
		elog(ERROR, "could not execute \"%s\": %s", sql, SPI_result_code_string(result));
}

/* Column `n` (from 1) of row `row`; false where it is NULL. */
static bool
get_datum(uint64 row, int n, Datum *value)
{
	bool isnull;

	*value = SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, n, &isnull);
	return !isnull;
}

static double
get_double(uint64 row, int n)
{
	Datum value;

	return get_datum(row, n, &value) ? DatumGetFloat8(value) : NAN;
}

static int64
get_duration_us(uint64 row, int n)
{
	double us = get_double(row, n);

	return isnan(us) ? 0 : (int64) us;
}

static TimestampTz
get_time(uint64 row, int n)
{
	Datum value;

	return get_datum(row, n, &value) ? DatumGetTimestampTz(value) : 0;
}

static bool
get_bool(uint64 row, int n)
{
	Datum value;

	return get_datum(row, n, &value) && DatumGetBool(value);
}

static char *
get_text(MemoryContext context, uint64 row, int n)
{
	char *value = SPI_getvalue(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, n);

	return MemoryContextStrdup(context, value ? value : "");
}

static void
set_measure(PerfoptRule *rule, const char *measure)
{
	if (strcmp(measure, "rate") == 0)
		rule->measure = PERFOPT_MEASURE_RATE;
	else if (strcmp(measure, "absent") == 0)
		rule->measure = PERFOPT_MEASURE_ABSENT;
	else if (strcmp(measure, "anomaly") == 0)
		rule->measure = PERFOPT_MEASURE_ANOMALY;
	else if (strcmp(measure, "avg") == 0)
		rule->measure = PERFOPT_MEASURE_AVERAGE;
	else if (strcmp(measure, "value") == 0)
		rule->measure = PERFOPT_MEASURE_VALUE;
	else
	{
		rule->measure = PERFOPT_MEASURE_QUANTILE;
		if (measure[0] == 'p')
			rule->quantile = strtod(measure + 1, NULL) / 100;
		else
			rule->quantile = strcmp(measure, "max") == 0 ? 1 : 0;
	}
}

static void
read_rules(PerfoptWatcher *watcher)
{
	static SPIPlanPtr plan = NULL;

	perfopt_alert_execute(
		&plan,
		"SELECT t.name, t.metric, m.kind IS NOT DISTINCT FROM 'counter', t.measure,"
		" " MICROSECONDS(
			"t.period") ", t.warning, t.critical, t.operator,"
						" t.hysteresis_pct / 100, " MICROSECONDS("t.hold") ", " MICROSECONDS(
							"t.cooldown") ","
										  " " MICROSECONDS(
											  "t.escalate_after") ", t.labels::pg_catalog.text"
																  " FROM perfopt.threshold t LEFT "
																  "JOIN perfopt.metric m ON m.name "
																  "= t.metric"
																  " WHERE t.enabled ORDER BY "
																  "t.name COLLATE \"C\"",
		0, NULL, NULL, NULL);
	watcher->nrules = (int) SPI_processed;
	watcher->rules =
		MemoryContextAllocZero(watcher->context, Max(watcher->nrules, 1) * sizeof(PerfoptRule));
	for (int i = 0; i < watcher->nrules; i++)
	{
		PerfoptRule *rule = &watcher->rules[i];
		char *operator= get_text(CurrentMemoryContext, i, 8);

		rule->name = get_text(watcher->context, i, 1);
		rule->metric = get_text(watcher->context, i, 2);
		rule->is_counter = get_bool(i, 3);
		set_measure(rule, get_text(CurrentMemoryContext, i, 4));
		rule->period_us = get_duration_us(i, 5);
		rule->refill_us =
			rule->measure == PERFOPT_MEASURE_ANOMALY ? ANOMALY_REFILL_US : rule->period_us;
		rule->line.warning = get_double(i, 6);
		rule->line.critical = get_double(i, 7);
		rule->line.below = operator[0] == '<';
		rule->line.inclusive = operator[1] == '=';
		rule->line.hysteresis = get_double(i, 9);
		rule->line.hold_us = get_duration_us(i, 10);
		rule->line.cooldown_us = get_duration_us(i, 11);
		rule->line.escalate_us = get_duration_us(i, 12);
		if (rule->measure == PERFOPT_MEASURE_ABSENT)
		{
			MemoryContext oldcontext = MemoryContextSwitchTo(watcher->context);

			rule->absence = perfopt_watch_make(watcher, rule, 0, get_text(watcher->context, i, 13));
			MemoryContextSwitchTo(oldcontext);
		}
	}
	SPI_freetuptable(SPI_tuptable);
}

/* Alerts that are not over, and those that a cooldown, flapping or a resolution by hand go back to. */
static void
read_alerts(PerfoptWatcher *watcher, TimestampTz now)
{
	static SPIPlanPtr plan = NULL;
	Oid types[] = { TIMESTAMPTZOID };
	Datum values[] = { TimestampTzGetDatum(now) };
	MemoryContext oldcontext;

	/* Those that were read before go, with the list. */
	MemoryContextReset(watcher->alerts_context);
	watcher->alerts = NIL;
	perfopt_alert_execute(
		&plan,
		"SELECT threshold, labels::pg_catalog.text, alert_id, state IN ('firing', 'acknowledged'),"
		" state = 'acknowledged', state = 'resolved', severity = 'critical', until_clear, told,"
		" escalation, pending_since, critical_since, fired_at, escalated_at, resolved_at"
		" FROM perfopt.alert_log WHERE state <> 'resolved' OR until_clear"
		" OR resolved_at > $1 - greatest('1 hour'::pg_catalog.interval,"
		"  (SELECT pg_catalog.max(cooldown) FROM perfopt.threshold WHERE enabled))"
		" ORDER BY alert_id",
		lengthof(types), types, values, NULL);
	oldcontext = MemoryContextSwitchTo(watcher->alerts_context);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		LoggedAlert *alert = palloc0(sizeof(LoggedAlert));
		Datum value;

		alert->threshold = get_text(watcher->alerts_context, i, 1);
		alert->labels = get_text(watcher->alerts_context, i, 2);
		alert->alert_id = get_datum(i, 3, &value) ? DatumGetInt64(value) : 0;
		alert->firing = get_bool(i, 4);
		alert->acknowledged = get_bool(i, 5);
		alert->resolved = get_bool(i, 6);
		alert->critical = get_bool(i, 7);
		alert->until_clear = get_bool(i, 8);
		alert->told = get_bool(i, 9);
		alert->escalation = get_datum(i, 10, &value) ? DatumGetInt32(value) : 0;
		alert->pending_since = get_time(i, 11);
		alert->critical_since = get_time(i, 12);
		alert->fired_at = get_time(i, 13);
		alert->escalated_at = get_time(i, 14);
		alert->resolved_at = get_time(i, 15);
		watcher->alerts = lappend(watcher->alerts, alert);
	}
	MemoryContextSwitchTo(oldcontext);
	SPI_freetuptable(SPI_tuptable);
}

/* What the log says of this watch; its rows come in the order in which they began. */
static void
recall(PerfoptWatch *watch, List *alerts)
{
	PerfoptAlertLife *life = &watch->life;
	ListCell *lc;

	foreach (lc, alerts)
	{
		const LoggedAlert *alert = lfirst(lc);

		if (strcmp(alert->threshold, watch->rule->name) != 0 ||
			strcmp(alert->labels, watch->labels) != 0)
			continue;
		if (alert->fired_at != 0)
		{
			memmove(life->fired_us + 1, life->fired_us,
					sizeof(life->fired_us) - sizeof(life->fired_us[0]));
			life->fired_us[0] = alert->fired_at;
			life->nfirings = Min(life->nfirings + 1, PERFOPT_FIRINGS_KEPT);
		}
		life->until_clear = alert->until_clear;
		if (alert->resolved)
		{
			life->resolved_us = alert->resolved_at;
			watch->alert_id = 0;
			continue;
		}
		watch->alert_id = alert->alert_id;
		watch->told = alert->told;
		life->phase = alert->firing ? PERFOPT_ALERT_FIRING : PERFOPT_ALERT_PENDING;
		life->severity = alert->critical ? PERFOPT_CRITICAL : PERFOPT_WARNING;
		life->acknowledged = alert->acknowledged;
		life->escalation = alert->escalation;
		life->pending_since_us = alert->pending_since;
		life->critical_since_us = alert->critical_since;
		life->escalated_us = alert->escalated_at;
	}
}

/* The latest sample of any series of a rule on absence: of none within the day, the rule counts from now. */
static void
find_latest(PerfoptWatch *watch, TimestampTz now)
{
	static SPIPlanPtr plan = NULL;
	Oid types[] = { TEXTOID, TEXTOID, TIMESTAMPTZOID };
	Datum values[] = { CStringGetTextDatum(watch->rule->metric), CStringGetTextDatum(watch->labels),
					   TimestampTzGetDatum(now) };

	perfopt_alert_execute(&plan,
						  "SELECT pg_catalog.max(ts) FROM perfopt.sample WHERE metric = $1"
						  " AND labels @> $2::pg_catalog.jsonb AND ts <= $3"
						  " AND ts > $3 - '1 day'::pg_catalog.interval",
						  lengthof(types), types, values, NULL);
	watch->last_ts = get_time(0, 1);
	if (watch->last_ts == 0)
		watch->last_ts = now;
	SPI_freetuptable(SPI_tuptable);
}

static int
compare_rule_name(const void *name, const void *rule)
{
	return strcmp(name, ((const PerfoptRule *) rule)->name);
}

typedef struct Refill
{
	TimestampTz ts;
	double value;
} Refill;

static int
compare_refill(const void *a, const void *b)
{
	const Refill *left = a;
	const Refill *right = b;

	return left->ts < right->ts ? -1 : left->ts > right->ts;
}

static void
take_refill(const PerfoptWatchedSeries *series, const Refill *refill)
{
	ListCell *lc;

	foreach (lc, series->watches)
	{
		PerfoptWatch *watch = lfirst(lc);

		if (watch->rule->refill_us > 0 && refill->ts > watch->last_ts)
			perfopt_watch_take(watch, refill->ts, refill->value, NAN);
	}
}

static int64
longest_refill_us(const PerfoptWatchedSeries *series)
{
	int64 longest_us = 0;
	ListCell *lc;

	foreach (lc, series->watches)
		longest_us = Max(longest_us, ((const PerfoptWatch *) lfirst(lc))->rule->refill_us);
	return longest_us;
}

/*
 * Windows and detectors begin with what the store has, so that a restart does not make them blind for
 * long.  One series after the other: with cycles of a second, two days of one are 4 MB.
 */
static void
refill(const PerfoptWatchedSeries *series, TimestampTz now)
{
	int64 back_us = longest_refill_us(series);
	PerfoptCursor *cursor;
	PerfoptSlice slice;
	Refill *refills;
	int capacity = 1024;
	int nrefills = 0;

	if (back_us == 0)
		return;
	refills = palloc(capacity * sizeof(Refill));
	cursor = perfopt_cursor_open(PERFOPT_RAW, now - back_us, now, &series->series_id, 1);
	while (perfopt_cursor_next(cursor, &slice))
	{
		while (nrefills + slice.n > capacity)
		{
			capacity *= 2;
			refills = repalloc_huge(refills, capacity * sizeof(Refill));
		}
		for (int i = 0; i < slice.n; i++)
			refills[nrefills++] = (Refill){ slice.ts[i], slice.column[0][i] };
	}
	perfopt_cursor_close(cursor);
	qsort(refills, nrefills, sizeof(Refill), compare_refill);
	for (int i = 0; i < nrefills; i++)
		take_refill(series, &refills[i]);
	pfree(refills);
}

void
perfopt_watcher_meet(PerfoptWatcher *watcher, const int *series, int n, TimestampTz now)
{
	static SPIPlanPtr plan = NULL;
	Oid types[] = { INT4ARRAYOID };
	Datum *ids = palloc(Max(n, 1) * sizeof(Datum));
	Datum values[1];
	MemoryContext oldcontext;

	for (int i = 0; i < n; i++)
	{
		PerfoptWatchedSeries *known = hash_search(watcher->series, &series[i], HASH_ENTER, NULL);

		known->watches = NIL;
		ids[i] = Int32GetDatum(series[i]);
	}
	values[0] = PointerGetDatum(construct_array_builtin(ids, n, INT4OID));
	perfopt_alert_execute(
		&plan,
		"SELECT s.series_id, s.labels::pg_catalog.text, t.name"
		" FROM pg_catalog.unnest($1) AS n (id) JOIN perfopt.series s ON s.series_id = n.id"
		" JOIN perfopt.metric m ON m.metric_id = s.metric_id"
		" JOIN perfopt.threshold t ON t.metric = m.name AND s.labels @> t.labels AND t.enabled",
		lengthof(types), types, values, NULL);

	oldcontext = MemoryContextSwitchTo(watcher->context);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		char *name = get_text(watcher->context, i, 3);
		PerfoptRule *rule =
			bsearch(name, watcher->rules, watcher->nrules, sizeof(PerfoptRule), compare_rule_name);
		PerfoptWatchedSeries *known;
		PerfoptWatch *watch;
		Datum id;

		/* One that was set since the rules were read comes with the next reading. */
		if (rule == NULL || !get_datum(i, 1, &id))
			continue;
		known = hash_search(watcher->series, &(int){ DatumGetInt32(id) }, HASH_FIND, NULL);
		watch = rule->absence;
		if (watch == NULL)
		{
			watch = perfopt_watch_make(watcher, rule, known->series_id,
									   get_text(watcher->context, i, 2));
			recall(watch, watcher->alerts);
		}
		known->watches = lappend(known->watches, watch);
	}
	MemoryContextSwitchTo(oldcontext);
	SPI_freetuptable(SPI_tuptable);
	for (int i = 0; i < n; i++)
		refill(hash_search(watcher->series, &series[i], HASH_FIND, NULL), now);
}

/* Series whose alerts are not over are watched from the start, whether or not they have samples. */
static void
meet_alerting(PerfoptWatcher *watcher, TimestampTz now)
{
	static SPIPlanPtr plan = NULL;
	int *series;
	int n = 0;

	perfopt_alert_execute(
		&plan,
		"SELECT DISTINCT s.series_id FROM perfopt.alert_log a"
		" JOIN perfopt.metric m ON m.name = a.metric"
		" JOIN perfopt.series s ON s.metric_id = m.metric_id AND s.labels = a.labels"
		" WHERE a.state <> 'resolved'",
		0, NULL, NULL, NULL);
	series = palloc(Max(SPI_processed, 1) * sizeof(int));
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		Datum id;

		(void) get_datum(i, 1, &id);
		series[n] = DatumGetInt32(id);
		if (hash_search(watcher->series, &series[n], HASH_FIND, NULL) == NULL)
			n++;
	}
	SPI_freetuptable(SPI_tuptable);
	perfopt_watcher_meet(watcher, series, n, now);
}

static void
forget_life(PerfoptWatch *watch)
{
	watch->life = (PerfoptAlertLife){ 0 };
	watch->alert_id = 0;
	watch->told = false;
}

void
perfopt_watcher_reread_alerts(PerfoptWatcher *watcher, TimestampTz now)
{
	ListCell *lc;

	read_alerts(watcher, now);
	foreach (lc, watcher->watches)
	{
		forget_life(lfirst(lc));
		recall(lfirst(lc), watcher->alerts);
	}
	meet_alerting(watcher, now);
}

PerfoptWatcher *
perfopt_watcher_create(void)
{
	PerfoptWatcher *watcher = palloc0(sizeof(PerfoptWatcher));

	watcher->context =
		AllocSetContextCreate(CurrentMemoryContext, "perfopt watcher", ALLOCSET_DEFAULT_SIZES);
	watcher->alerts_context =
		AllocSetContextCreate(CurrentMemoryContext, "perfopt alerts", ALLOCSET_SMALL_SIZES);
	return watcher;
}

void
perfopt_watcher_load(PerfoptWatcher *watcher, TimestampTz now)
{
	HASHCTL series_ctl = { .keysize = sizeof(int), .entrysize = sizeof(PerfoptWatchedSeries) };
	HASHCTL writer_ctl = { .keysize = PERFOPT_WRITER_BYTES, .entrysize = sizeof(PerfoptReadUntil) };
	ListCell *lc;

	watcher->loaded = false;
	MemoryContextReset(watcher->context);
	series_ctl.hcxt = writer_ctl.hcxt = watcher->context;
	watcher->series = hash_create("perfopt watched series", 1024, &series_ctl,
								  HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	watcher->writers = hash_create("perfopt writers read", 32, &writer_ctl,
								   HASH_ELEM | HASH_STRINGS | HASH_CONTEXT);
	watcher->loaded_at = now;
	watcher->detector_bytes = 0;
	watcher->watches = NIL;
	read_rules(watcher);
	read_alerts(watcher, now);
	foreach (lc, watcher->watches)
	{
		recall(lfirst(lc), watcher->alerts);
		find_latest(lfirst(lc), now);
	}
	meet_alerting(watcher, now);
	watcher->loaded = true;
}
