/*
 * sessions.c
 *	  Drains what the sampler has counted since the cycle before, into a row of
 *	  perfopt.active_session_hot and into metrics.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#include "collect/collect.h"
#include "sampler/sampler.h"

#define APP "application"

enum
{
	ACTIVE_SESSIONS,
	SAMPLES,
	OVERFLOW
};

const PerfoptMetric perfopt_sessions_metrics[] = {
	[ACTIVE_SESSIONS] = { "pg_active_sessions", APP, PERFOPT_GAUGE, "sessions",
						  "Average active sessions of users, by what they wait for; CPU is on "
						  "CPU" },
	[SAMPLES] = { "perfopt_sampler_looks", APP, PERFOPT_GAUGE, "looks",
				  "Looks that the sampler took since the cycle before" },
	[OVERFLOW] = { "perfopt_sampler_overflow", APP, PERFOPT_GAUGE, "sightings",
				   "Sightings since the cycle before that found no room in the sampler's table" },
};
const int perfopt_sessions_nmetrics = lengthof(perfopt_sessions_metrics);

enum
{
	COL_TS,
	COL_TICKS,
	COL_DATABASE,
	COL_ROLE,
	COL_QUERY_ID,
	COL_OPERATION,
	COL_WAIT_CLASS,
	COL_WAIT_EVENT,
	COL_N,
	NUM_COLS
};

static const char *
wait_class(uint32 info)
{
	return info == 0 ? "CPU" : pgstat_get_wait_event_type(info);
}

static const char *
wait_event(uint32 info)
{
	return info == 0 ? "CPU" : pgstat_get_wait_event(info);
}

/* As metric: users' sessions only, summed over all but the wait event. */
static void
add_metrics(PerfoptBatch *batch, const PerfoptSessionCounts *counts)
{
	bool *done = palloc0(counts->ncounts * sizeof(bool) + 1);

	for (int i = 0; i < counts->ncounts; i++)
	{
		uint32 info = counts->counts[i].key.wait_event_info;
		PerfoptLabel labels[] = { { "wait_class", wait_class(info) },
								  { "wait_event", wait_event(info) } };
		uint64 n = 0;

		if (done[i] || counts->counts[i].key.role == InvalidOid)
			continue;
		for (int j = i; j < counts->ncounts; j++)
		{
			if (counts->counts[j].key.role == InvalidOid ||
				counts->counts[j].key.wait_event_info != info)
				continue;
			n += counts->counts[j].n;
			done[j] = true;
		}
		perfopt_batch_add(batch, &perfopt_sessions_metrics[ACTIVE_SESSIONS], labels,
						  lengthof(labels), (double) n / counts->ticks);
	}
}

static void
insert_row(const PerfoptSessionCounts *counts)
{
	static SPIPlanPtr plan = NULL;
	static const Oid element[NUM_COLS] = { 0,       0,       OIDOID,  OIDOID, INT8OID,
										   INT4OID, TEXTOID, TEXTOID, INT4OID };
	Oid types[NUM_COLS] = { TIMESTAMPTZOID, INT4OID,      OIDARRAYOID,  OIDARRAYOID, INT8ARRAYOID,
							INT4ARRAYOID,   TEXTARRAYOID, TEXTARRAYOID, INT4ARRAYOID };
	Datum row[NUM_COLS];
	Datum *elements[NUM_COLS];

	for (int col = COL_DATABASE; col < NUM_COLS; col++)
		elements[col] = palloc((counts->ncounts + 1) * sizeof(Datum));
	for (int i = 0; i < counts->ncounts; i++)
	{
		const PerfoptSessionKey *key = &counts->counts[i].key;

		elements[COL_DATABASE][i] = ObjectIdGetDatum(key->database);
		elements[COL_ROLE][i] = ObjectIdGetDatum(key->role);
		elements[COL_QUERY_ID][i] = Int64GetDatum((int64) key->query_id);
		elements[COL_OPERATION][i] = Int32GetDatum((int32) key->operation);
		elements[COL_WAIT_CLASS][i] = CStringGetTextDatum(wait_class(key->wait_event_info));
		elements[COL_WAIT_EVENT][i] = CStringGetTextDatum(wait_event(key->wait_event_info));
		elements[COL_N][i] = Int32GetDatum((int32) counts->counts[i].n);
	}
	row[COL_TS] = TimestampTzGetDatum(GetCurrentTimestamp());
	row[COL_TICKS] = Int32GetDatum(counts->ticks);
	for (int col = COL_DATABASE; col < NUM_COLS; col++)
		row[col] =
			PointerGetDatum(construct_array_builtin(elements[col], counts->ncounts, element[col]));

	if (plan == NULL)
	{
		plan = SPI_prepare("INSERT INTO perfopt.active_session_hot (ts, ticks, database, role,"
						   " query_id, operation, wait_class, wait_event, n)"
						   " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
						   NUM_COLS, types);
		if (plan == NULL)
			elog(ERROR, "could not prepare the session insert: %s",
				 SPI_result_code_string(SPI_result));
		SPI_keepplan(plan);
	}
	if (SPI_execute_plan(plan, row, NULL, false, 0) != SPI_OK_INSERT)
		elog(ERROR, "could not insert active sessions");
}

void
perfopt_collect_sessions(PerfoptBatch *batch)
{
	PerfoptSessionCounts counts;

	perfopt_sampler_drain(&counts);
	perfopt_batch_add(batch, &perfopt_sessions_metrics[SAMPLES], NULL, 0, counts.ticks);
	perfopt_batch_add(batch, &perfopt_sessions_metrics[OVERFLOW], NULL, 0, counts.overflow);
	if (counts.ticks == 0)
		return;
	add_metrics(batch, &counts);

	perfopt_collect_begin_sql();
	insert_row(&counts);
	perfopt_collect_end_sql();
}
