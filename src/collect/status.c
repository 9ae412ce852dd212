/*
 * status.c
 *	  The table behind perfopt.source_status, and the log lines when a source changes its state.
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "collect/collect.h"
#include "collect/status.h"
#include "shmem.h"

#define NAME_BYTES 64
#define ERROR_BYTES 256

typedef enum SourceState
{
	SOURCE_OK,
	SOURCE_FAILING,
	SOURCE_ABSENT
} SourceState;

static const char *const state_names[] = { "ok", "failing", "absent" };

typedef struct SourceStatus
{
	char source[NAME_BYTES]; /* empty when the place is free */
	char target[NAME_BYTES];
	SourceState state;
	TimestampTz last_seen;
	TimestampTz last_success; /* 0 is never, here and below */
	TimestampTz last_error_at;
	char last_error[ERROR_BYTES]; /* of an absent source, what it lacks */
	int64 cycles;
	int64 errors;
	double cpu_ms; /* of the last run, here and below; negative is unknown */
	double wall_ms;
} SourceStatus;

/* Guarded by PERFOPT_STATUS_LOCK. */
static SourceStatus *statuses = NULL;

Size
perfopt_collect_shmem_size(void)
{
	return MAXALIGN(PERFOPT_MAX_STATUS * sizeof(SourceStatus));
}

void
perfopt_collect_shmem_setup(void)
{
	bool found;

	statuses = ShmemInitStruct("perfopt source status", perfopt_collect_shmem_size(), &found);
	if (!found)
		memset(statuses, 0, perfopt_collect_shmem_size());
}

static void
copy_text(char *to, const char *from, int size)
{
	int len = pg_mbcliplen(from, strlen(from), size - 1);

	memcpy(to, from, len);
	to[len] = '\0';
}

/* The place of a pair: its own, else a free one, else that of the pair that was silent longest. */
static SourceStatus *
place_of(const char *source, const char *target)
{
	SourceStatus *oldest = &statuses[0];

	for (int i = 0; i < PERFOPT_MAX_STATUS; i++)
	{
		SourceStatus *status = &statuses[i];

		if (strcmp(status->source, source) == 0 && strcmp(status->target, target) == 0)
			return status;
		if (status->last_seen < oldest->last_seen)
			oldest = status;
	}
	memset(oldest, 0, sizeof(SourceStatus));
	copy_text(oldest->source, source, NAME_BYTES);
	copy_text(oldest->target, target, NAME_BYTES);
	return oldest;
}

/* Returns the state before.  A source that is absent has not failed: there is nothing to read. */
static SourceState
note(const char *source, const char *target, SourceState state, const char *message, double cpu_ms,
	 double wall_ms)
{
	SourceStatus *status;
	SourceState before;

	LWLockAcquire(perfopt_lwlock(PERFOPT_STATUS_LOCK), LW_EXCLUSIVE);
	status = place_of(source, target);
	before = status->state;
	status->state = state;
	status->last_seen = GetCurrentTimestamp();
	status->cpu_ms = cpu_ms;
	status->wall_ms = wall_ms;
	status->cycles++;
	if (state == SOURCE_OK)
		status->last_success = status->last_seen;
	else
		copy_text(status->last_error, message, ERROR_BYTES);
	if (state == SOURCE_FAILING)
	{
		status->errors++;
		status->last_error_at = status->last_seen;
	}
	LWLockRelease(perfopt_lwlock(PERFOPT_STATUS_LOCK));
	return before;
}

void
perfopt_collect_note(const char *source, const char *target, const char *error, double cpu_ms,
					 double wall_ms)
{
	char clipped[NAME_BYTES];
	SourceState before;

	copy_text(clipped, target, NAME_BYTES);
	before =
		note(source, clipped, error != NULL ? SOURCE_FAILING : SOURCE_OK, error, cpu_ms, wall_ms);
	if (error != NULL && before != SOURCE_FAILING)
		ereport(LOG, (errmsg("perfopt source \"%s\"%s%s fails: %s", source,
							 clipped[0] ? " for target " : "", clipped, error)));
	else if (error == NULL && before == SOURCE_FAILING)
		ereport(LOG, (errmsg("perfopt source \"%s\"%s%s works again", source,
							 clipped[0] ? " for target " : "", clipped)));
}

void
perfopt_collect_note_absent(const char *source, const char *target, const char *lacks,
							double cpu_ms, double wall_ms)
{
	char clipped[NAME_BYTES];

	copy_text(clipped, target, NAME_BYTES);
	note(source, clipped, SOURCE_ABSENT, lacks, cpu_ms, wall_ms);
}

void
perfopt_collect_forget(const char *source, const char *target)
{
	char clipped[NAME_BYTES];

	copy_text(clipped, target, NAME_BYTES);
	LWLockAcquire(perfopt_lwlock(PERFOPT_STATUS_LOCK), LW_EXCLUSIVE);
	for (int i = 0; i < PERFOPT_MAX_STATUS; i++)
	{
		if (strcmp(statuses[i].source, source) == 0 && strcmp(statuses[i].target, clipped) == 0)
			memset(&statuses[i], 0, sizeof(SourceStatus));
	}
	LWLockRelease(perfopt_lwlock(PERFOPT_STATUS_LOCK));
}

static Datum
time_or_null(TimestampTz ts, bool *isnull)
{
	*isnull = ts == 0;
	return TimestampTzGetDatum(ts);
}

PG_FUNCTION_INFO_V1(perfopt_source_status);

Datum
perfopt_source_status(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	SourceStatus *copy;

	perfopt_require_preload();
	InitMaterializedSRF(fcinfo, 0);

	copy = palloc(PERFOPT_MAX_STATUS * sizeof(SourceStatus));
	LWLockAcquire(perfopt_lwlock(PERFOPT_STATUS_LOCK), LW_SHARED);
	memcpy(copy, statuses, PERFOPT_MAX_STATUS * sizeof(SourceStatus));
	LWLockRelease(perfopt_lwlock(PERFOPT_STATUS_LOCK));

	for (int i = 0; i < PERFOPT_MAX_STATUS; i++)
	{
		SourceStatus *status = &copy[i];
		const char *dimension;
		Datum values[11];
		bool nulls[11] = { false };

		if (status->source[0] == '\0')
			continue;
		values[0] = CStringGetTextDatum(status->source);
		values[1] = CStringGetTextDatum(status->target);
		nulls[1] = status->target[0] == '\0';
		values[2] = CStringGetTextDatum(state_names[status->state]);
		values[3] = time_or_null(status->last_success, &nulls[3]);
		values[4] = CStringGetTextDatum(status->last_error);
		nulls[4] = status->errors == 0 && status->state != SOURCE_ABSENT;
		values[5] = Int64GetDatum(status->cycles);
		values[6] = Int64GetDatum(status->errors);
		values[7] = Float8GetDatum(status->cpu_ms);
		nulls[7] = status->cpu_ms < 0;
		values[8] = Float8GetDatum(status->wall_ms);
		values[9] = time_or_null(status->last_error_at, &nulls[9]);
		dimension = perfopt_collect_dimension(status->source);
		values[10] = CStringGetTextDatum(dimension ? dimension : "");
		nulls[10] = dimension == NULL;
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	return (Datum) 0;
}
