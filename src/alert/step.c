/*
 * step.c
 *	  What a watch's step means in tables.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "alert/step.h"

static Datum
float_or_null(double value, char *isnull)
{
	*isnull = isfinite(value) ? ' ' : 'n';
	return Float8GetDatum(value);
}

static Datum
time_or_null(int64 value, char *isnull)
{
	*isnull = value != 0 ? ' ' : 'n';
	return TimestampTzGetDatum(value);
}

static const char *
severity_name(PerfoptSeverity severity)
{
	return severity == PERFOPT_CRITICAL ? "critical" : "warning";
}

static const char *
state_of(const PerfoptAlertLife *life)
{
	switch (life->phase)
	{
		case PERFOPT_ALERT_QUIET:
			break;
		case PERFOPT_ALERT_PENDING:
			return "pending";
		case PERFOPT_ALERT_FIRING:
			return life->acknowledged ? "acknowledged" : "firing";
	}
	return "resolved";
}

/*
 * Whether the row still is as it was read, and nobody holds it.  Waiting would hold up all other alerts for
 * the sake of one that somebody looks after anyway.
 */
static bool
lock_row(const PerfoptWatch *watch, const PerfoptAlertLife *before)
{
	static SPIPlanPtr plan = NULL;
	Oid types[] = { INT8OID, TEXTOID };
	Datum values[] = { Int64GetDatum(watch->alert_id), CStringGetTextDatum(state_of(before)) };

	perfopt_alert_execute(&plan,
						  "SELECT FROM perfopt.alert_log WHERE alert_id = $1 AND state = $2"
						  " FOR UPDATE SKIP LOCKED",
						  lengthof(types), types, values, NULL);
	return SPI_processed == 1;
}

static void
insert_row(PerfoptWatch *watch, TimestampTz now)
{
	static SPIPlanPtr plan = NULL;
	const PerfoptAlertLife *life = &watch->life;
	bool firing = life->phase == PERFOPT_ALERT_FIRING;
	Oid types[] = { TEXTOID,   TEXTOID,   TEXTOID,        TEXTOID,        TEXTOID,
					FLOAT8OID, FLOAT8OID, TIMESTAMPTZOID, TIMESTAMPTZOID, TIMESTAMPTZOID };
	char nulls[] = "          ";
	Datum values[] = {
		CStringGetTextDatum(watch->rule->name),
		CStringGetTextDatum(watch->rule->metric),
		CStringGetTextDatum(watch->labels),
		CStringGetTextDatum(severity_name(life->severity)),
		CStringGetTextDatum(state_of(life)),
		float_or_null(watch->measured, &nulls[5]),
		Float8GetDatum(perfopt_alert_line(&watch->rule->line, life->severity)),
		TimestampTzGetDatum(life->pending_since_us),
		time_or_null(life->critical_since_us, &nulls[8]),
		time_or_null(firing ? now : 0, &nulls[9]),
	};
	bool isnull;

	perfopt_alert_execute(
		&plan,
		"INSERT INTO perfopt.alert_log (threshold, metric, labels, severity, state, value, line,"
		" pending_since, critical_since, fired_at, escalated_at)"
		" VALUES ($1, $2, $3::pg_catalog.jsonb, $4, $5, $6, $7, $8, $9, $10, $10)"
		" RETURNING alert_id",
		lengthof(types), types, values, nulls);
	watch->alert_id =
		DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	SPI_freetuptable(SPI_tuptable);
}

static void
update_row(const PerfoptWatch *watch, PerfoptSeverity severity, TimestampTz now)
{
	static SPIPlanPtr plan = NULL;
	const PerfoptAlertLife *life = &watch->life;
	bool firing = life->phase == PERFOPT_ALERT_FIRING;
	Oid types[] = { INT8OID,        TEXTOID,        TEXTOID, FLOAT8OID,      FLOAT8OID,
					TIMESTAMPTZOID, TIMESTAMPTZOID, INT4OID, TIMESTAMPTZOID, TIMESTAMPTZOID };
	char nulls[] = "          ";
	Datum values[] = {
		Int64GetDatum(watch->alert_id),
		CStringGetTextDatum(severity_name(severity)),
		CStringGetTextDatum(state_of(life)),
		float_or_null(watch->measured, &nulls[3]),
		Float8GetDatum(perfopt_alert_line(&watch->rule->line, severity)),
		time_or_null(life->critical_since_us, &nulls[5]),
		time_or_null(firing ? life->escalated_us : 0, &nulls[6]),
		Int32GetDatum(life->escalation),
		time_or_null(firing ? life->fired_us[0] : 0, &nulls[8]),
		time_or_null(firing ? 0 : now, &nulls[9]),
	};

	perfopt_alert_execute(
		&plan,
		"UPDATE perfopt.alert_log SET severity = $2, state = $3, value = coalesce($4, value),"
		" line = $5, critical_since = $6, escalated_at = coalesce($7, escalated_at),"
		" escalation = greatest(escalation, $8), fired_at = coalesce($9, fired_at),"
		" resolved_at = $10 WHERE alert_id = $1",
		lengthof(types), types, values, nulls);
}

static void
delete_row(const PerfoptWatch *watch)
{
	static SPIPlanPtr plan = NULL;
	Oid types[] = { INT8OID };
	Datum values[] = { Int64GetDatum(watch->alert_id) };

	perfopt_alert_execute(&plan, "DELETE FROM perfopt.alert_log WHERE alert_id = $1", 1, types,
						  values, NULL);
}

bool
perfopt_step_write(PerfoptWatch *watch, const PerfoptAlertLife *before, PerfoptAlertStep step,
				   TimestampTz now)
{
	if (watch->alert_id != 0 && !lock_row(watch, before))
	{
		watch->life = *before;
		return false;
	}
	if (watch->alert_id == 0)
		insert_row(watch, now);
	else if (step == PERFOPT_STEP_CLEARED)
		delete_row(watch);
	else
		update_row(watch, step == PERFOPT_STEP_RESOLVED ? before->severity : watch->life.severity,
				   now);
	return true;
}

static void
note_suppression(int64 alert_id, bool silenced, Datum inhibited_by, bool is_inhibited)
{
	static SPIPlanPtr plan = NULL;
	Oid types[] = { INT8OID, BOOLOID, INT8OID };
	Datum values[] = { Int64GetDatum(alert_id), BoolGetDatum(silenced), inhibited_by };

	/* Whoever holds the row will find it noted in the next cycle. */
	perfopt_alert_execute(&plan,
						  "UPDATE perfopt.alert_log SET silenced = $2, inhibited_by = $3"
						  " WHERE alert_id = (SELECT alert_id FROM perfopt.alert_log"
						  "  WHERE alert_id = $1 FOR UPDATE SKIP LOCKED)",
						  lengthof(types), types, values, is_inhibited ? NULL : "  n");
}

/*
 * Whether neither a silence nor an inhibition covers an alert; what does is noted in its row where that has
 * changed.
 */
static bool
may_tell(int64 alert_id, TimestampTz now)
{
	static SPIPlanPtr plan = NULL;
	Oid types[] = { INT8OID, TIMESTAMPTZOID };
	Datum values[] = { Int64GetDatum(alert_id), TimestampTzGetDatum(now) };
	bool silenced, is_free, changed, isnull;
	Datum inhibited_by;

	perfopt_alert_execute(
		&plan,
		"SELECT s.silenced, s.inhibited_by,"
		" (s.silenced, s.inhibited_by) IS DISTINCT FROM (s.was_silenced, s.was_inhibited_by)"
		" FROM (SELECT perfopt.is_silenced(b.metric, b.labels, $2) AS silenced,"
		"  b.silenced AS was_silenced, b.inhibited_by AS was_inhibited_by,"
		"  (SELECT pg_catalog.min(o.alert_id) FROM perfopt.inhibition i"
		"   JOIN perfopt.alert_log o ON o.metric = i.source_metric AND o.labels @> i.source_labels"
		"    AND o.state <> 'resolved' AND o.alert_id <> b.alert_id"
		"   WHERE i.target_metric = b.metric AND b.labels @> i.target_labels"
		"    AND NOT EXISTS (SELECT FROM pg_catalog.unnest(i.equal_labels) l"
		"     WHERE o.labels ->> l IS DISTINCT FROM b.labels ->> l)) AS inhibited_by"
		"  FROM perfopt.alert_log b WHERE b.alert_id = $1) s",
		lengthof(types), types, values, NULL);
	if (SPI_processed == 0)
		return true;
	silenced =
		DatumGetBool(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	inhibited_by = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 2, &is_free);
	changed = DatumGetBool(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 3, &isnull));
	SPI_freetuptable(SPI_tuptable);
	if (changed)
		note_suppression(alert_id, silenced, inhibited_by, !is_free);
	return is_free && !silenced;
}

static void
raise_event(const PerfoptWatch *watch, const char *kind, int64 alert_id, PerfoptSeverity severity,
			const char *state, const char *note, bool told, TimestampTz now)
{
	static SPIPlanPtr plan = NULL;
	Oid types[] = { TEXTOID,   INT8OID,   TEXTOID, TEXTOID, TEXTOID,        TEXTOID, TEXTOID,
					FLOAT8OID, FLOAT8OID, TEXTOID, BOOLOID, TIMESTAMPTZOID, INT4OID };
	char nulls[] = "             ";
	Datum values[] = {
		CStringGetTextDatum(kind),
		Int64GetDatum(alert_id),
		CStringGetTextDatum(watch->rule->name),
		CStringGetTextDatum(watch->rule->metric),
		CStringGetTextDatum(watch->labels),
		CStringGetTextDatum(severity_name(severity)),
		CStringGetTextDatum(state),
		float_or_null(watch->measured, &nulls[7]),
		Float8GetDatum(perfopt_alert_line(&watch->rule->line, severity)),
		CStringGetTextDatum(note ? note : ""),
		BoolGetDatum(told),
		TimestampTzGetDatum(now),
		Int32GetDatum(watch->life.escalation),
	};

	if (note == NULL)
		nulls[9] = 'n';
	perfopt_alert_execute(
		&plan,
		"SELECT perfopt.raise_event($1, $2, $4, $5::pg_catalog.jsonb, $6, $7, $8, $9, NULL, $10,"
		" pg_catalog.jsonb_build_object('threshold', $3, 'escalation', $13), $11, $12)",
		lengthof(types), types, values, nulls);
	SPI_freetuptable(SPI_tuptable);
}

static void
set_told(const PerfoptWatch *watch, int64 alert_id)
{
	static SPIPlanPtr plan = NULL;
	Oid types[] = { INT8OID };
	Datum values[] = { Int64GetDatum(alert_id) };

	perfopt_alert_execute(&plan,
						  "UPDATE perfopt.alert_log SET told = true WHERE alert_id ="
						  " (SELECT alert_id FROM perfopt.alert_log WHERE alert_id = $1"
						  "  FOR UPDATE SKIP LOCKED)",
						  1, types, values, NULL);
}

void
perfopt_step_tell(PerfoptWatch *watch, PerfoptAlertStep step, int64 alert_id,
				  PerfoptSeverity severity, const char *note, TimestampTz now)
{
	static const struct
	{
		const char *kind;
		const char *state;
	} names[] = {
		[PERFOPT_STEP_PENDING] = { "alert_pending", "pending" },
		[PERFOPT_STEP_CLEARED] = { "alert_cleared", "resolved" },
		[PERFOPT_STEP_FIRED] = { "alert_fired", "firing" },
		[PERFOPT_STEP_WORSE] = { "alert_worse", NULL },
		[PERFOPT_STEP_BETTER] = { "alert_better", NULL },
		[PERFOPT_STEP_ESCALATED] = { "alert_escalated", NULL },
		[PERFOPT_STEP_RESOLVED] = { "alert_resolved", "resolved" },
	};
	const char *state = names[step].state;
	bool told = may_tell(alert_id, now);

	if (state == NULL)
		state = state_of(&watch->life);

	/* The end of what somebody was told of is news, come what may; of anything else it is none. */
	if (step == PERFOPT_STEP_RESOLVED)
		told = watch->told;
	raise_event(watch, names[step].kind, alert_id, severity, state, note, told, now);
	if (step == PERFOPT_STEP_RESOLVED || step == PERFOPT_STEP_CLEARED)
		watch->told = false;
	else if (told && step != PERFOPT_STEP_PENDING && !watch->told)
	{
		set_told(watch, alert_id);
		watch->told = true;
	}
}

bool
perfopt_step_tell_late(PerfoptWatch *watch, TimestampTz now)
{
	if (!may_tell(watch->alert_id, now) || !lock_row(watch, &watch->life))
		return false;
	raise_event(watch, "alert_fired", watch->alert_id, watch->life.severity, state_of(&watch->life),
				"was silenced or inhibited", true, now);
	set_told(watch, watch->alert_id);
	watch->told = true;
	return true;
}

int
perfopt_step_end_orphans(TimestampTz now)
{
	static SPIPlanPtr plan = NULL;
	Oid types[] = { TIMESTAMPTZOID };
	Datum values[] = { TimestampTzGetDatum(now) };
	bool isnull;
	int n;

	perfopt_alert_execute(&plan, "SELECT perfopt.end_orphaned_alerts($1)", 1, types, values, NULL);
	n = DatumGetInt32(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	SPI_freetuptable(SPI_tuptable);
	return n;
}
