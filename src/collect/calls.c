/*
 * calls.c
 *	  record_call(): what applications call outside of the database, how often and how long.
 *
 * A call is added to its target's figures in shared memory, under a shared lock and a spinlock: no
 * WAL, no transaction id, no allocation.  The collector takes the figures away each cycle and hands
 * them on as increases, so nothing has to be remembered for as long as a target may be silent.
 */
#include "postgres.h"

#include <math.h>

#include "access/xlog.h"
#include "common/hashfn.h"
#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"
#include "storage/spin.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "collect/calls.h"
#include "collect/collect.h"
#include "shmem.h"

#define NAME_BYTES 128
#define MAX_DURATION_MS (7 * 24 * 3600 * 1000.0)
#define FORGET_AFTER_MS (3600 * 1000)

/* The first is always that of PERFOPT_CALLS_OTHER. */
#define OTHER 0
#define NPLACES (PERFOPT_MAX_CALL_TARGETS + 1)

/*
 * Upper bounds in seconds, each as the label le shows it: about three to a decade, as clients of
 * Prometheus have them.
 */
static const struct
{
	double seconds;
	const char *label;
} bounds[] = {
	{ 0.001, "0.001" }, { 0.0025, "0.0025" }, { 0.005, "0.005" }, { 0.01, "0.01" },
	{ 0.025, "0.025" }, { 0.05, "0.05" },     { 0.1, "0.1" },     { 0.25, "0.25" },
	{ 0.5, "0.5" },     { 1, "1" },           { 2.5, "2.5" },     { 5, "5" },
	{ 10, "10" },       { 30, "30" },         { 60, "60" },       { INFINITY, "+Inf" },
};

#define NBOUNDS lengthof(bounds)

typedef struct CallFigures
{
	uint64 ok;
	uint64 failed;
	double seconds;
	uint64 bucket[NBOUNDS]; /* not cumulative */
} CallFigures;

typedef struct CallTarget
{
	char name[NAME_BYTES];
	TimestampTz last_called; /* the last cycle that saw a call */
	slock_t mutex;           /* guards what follows */
	CallFigures figures;
} CallTarget;

/*
 * PERFOPT_CALLS_LOCK guards which target has which place: shared to look for one and add to its
 * figures, exclusive to change places.  A place is free where its hash is 0.
 */
typedef struct Calls
{
	uint32 hash[NPLACES]; /* of the names, close together to be searched */
	int nplaces;          /* places that were ever used */
	uint64 strays;        /* calls that found no place; guarded by the mutex of OTHER */
	CallTarget target[NPLACES];
} Calls;

static Calls *calls = NULL;

#define EXTERNAL "external"
#define COUNTER(name, unit, help)                   \
	{                                               \
		name, EXTERNAL, PERFOPT_COUNTER, unit, help \
	}
#define GAUGE(name, unit, help)                   \
	{                                             \
		name, EXTERNAL, PERFOPT_GAUGE, unit, help \
	}

enum
{
	CALLS,
	DURATION_BUCKET,
	DURATION_SUM,
	DURATION_COUNT,
	ERROR_RATIO
};

const PerfoptMetric perfopt_calls_metrics[] = {
	[CALLS] = COUNTER("external_calls_total", "calls",
					  "Calls of a target that applications reported, by whether they succeeded"),
	[DURATION_BUCKET] = COUNTER("external_call_duration_seconds_bucket", "calls",
								"Calls that took at most so long (label le, seconds)"),
	[DURATION_SUM] =
		COUNTER("external_call_duration_seconds_sum", "seconds", "Time that calls took"),
	[DURATION_COUNT] = COUNTER("external_call_duration_seconds_count", "calls",
							   "Calls whose duration is known, failed ones too"),
	[ERROR_RATIO] = GAUGE("external_error_ratio", "ratio",
						  "Failed calls among those since the cycle before; absent without any"),
};
const int perfopt_calls_nmetrics = lengthof(perfopt_calls_metrics);

Size
perfopt_calls_shmem_size(void)
{
	return MAXALIGN(sizeof(Calls));
}

static uint32
hash_of(const char *name, int length)
{
	uint32 hash = hash_bytes((const unsigned char *) name, length);

	return hash == 0 ? 1 : hash;
}

static void
take_place(int place, uint32 hash, const char *name, int length)
{
	CallTarget *target = &calls->target[place];

	memcpy(target->name, name, length);
	target->name[length] = '\0';
	target->last_called = GetCurrentTimestamp();
	memset(&target->figures, 0, sizeof(CallFigures));
	calls->hash[place] = hash;
	calls->nplaces = Max(calls->nplaces, place + 1);
}

void
perfopt_calls_shmem_setup(void)
{
	const char *other = PERFOPT_CALLS_OTHER;
	bool found;

	calls = ShmemInitStruct("perfopt calls", perfopt_calls_shmem_size(), &found);
	if (found)
		return;
	memset(calls, 0, perfopt_calls_shmem_size());
	for (int i = 0; i < NPLACES; i++)
		SpinLockInit(&calls->target[i].mutex);
	take_place(OTHER, hash_of(other, strlen(other)), other, strlen(other));
}

/* The place of a name, or -1. */
static int
find_place(uint32 hash, const char *name, int length)
{
	for (int i = 0; i < calls->nplaces; i++)
	{
		if (calls->hash[i] == hash && strncmp(calls->target[i].name, name, length) == 0 &&
			calls->target[i].name[length] == '\0')
			return i;
	}
	return -1;
}

/* A place that nobody has, or -1. */
static int
free_place(void)
{
	for (int i = 0; i < NPLACES; i++)
	{
		if (calls->hash[i] == 0)
			return i;
	}
	return -1;
}

static void
add_call(int place, double seconds, bool ok)
{
	CallTarget *target = &calls->target[place == -1 ? OTHER : place];
	int bucket = 0;

	while (seconds > bounds[bucket].seconds)
		bucket++;
	SpinLockAcquire(&target->mutex);
	target->figures.ok += ok;
	target->figures.failed += !ok;
	target->figures.seconds += seconds;
	target->figures.bucket[bucket]++;
	if (place == -1)
		calls->strays++;
	SpinLockRelease(&target->mutex);
}

static void
record(const char *name, int length, double seconds, bool ok)
{
	LWLock *lock = perfopt_lwlock(PERFOPT_CALLS_LOCK);
	uint32 hash = hash_of(name, length);
	int place;

	LWLockAcquire(lock, LW_SHARED);
	place = find_place(hash, name, length);
	if (place == -1 && free_place() != -1)
	{
		/* Somebody else may be first to bring it in between. */
		LWLockRelease(lock);
		LWLockAcquire(lock, LW_EXCLUSIVE);
		place = find_place(hash, name, length);
		if (place == -1 && (place = free_place()) != -1)
			take_place(place, hash, name, length);
	}
	add_call(place, seconds, ok);
	LWLockRelease(lock);
}

/* Takes away all figures, under the exclusive lock that keeps everybody else out. */
static int
drain(CallTarget *drained, uint64 *strays)
{
	TimestampTz now = GetCurrentTimestamp();
	int n = 0;

	LWLockAcquire(perfopt_lwlock(PERFOPT_CALLS_LOCK), LW_EXCLUSIVE);
	for (int i = 0; i < calls->nplaces; i++)
	{
		CallTarget *target = &calls->target[i];
		bool called = target->figures.ok + target->figures.failed > 0;

		if (calls->hash[i] == 0 || (i == OTHER && !called))
			continue;
		if (called)
			target->last_called = now;
		else if (TimestampDifferenceExceeds(target->last_called, now, FORGET_AFTER_MS))
		{
			calls->hash[i] = 0;
			continue;
		}
		drained[n++] = *target;
		memset(&target->figures, 0, sizeof(CallFigures));
	}
	*strays = calls->strays;
	calls->strays = 0;
	LWLockRelease(perfopt_lwlock(PERFOPT_CALLS_LOCK));
	return n;
}

void
perfopt_calls_discard(void)
{
	CallTarget *drained = palloc(NPLACES * sizeof(CallTarget));
	uint64 strays;

	(void) drain(drained, &strays);
	pfree(drained);
}

/* A name comes from a database of some encoding; this worker's may be another. */
static void
make_readable(char *name)
{
	int length = strlen(name);

	if (pg_verify_mbstr(GetDatabaseEncoding(), name, length, true))
		return;
	for (int i = 0; i < length; i++)
	{
		if (IS_HIGHBIT_SET(name[i]))
			name[i] = '?';
	}
}

static void
add_target(PerfoptBatch *batch, CallTarget *target)
{
	const CallFigures *figures = &target->figures;
	PerfoptLabel labels[2] = { { "target", target->name }, { "ok", "true" } };
	uint64 count = figures->ok + figures->failed;
	uint64 cumulative = 0;

	make_readable(target->name);
	perfopt_batch_add_increase(batch, &perfopt_calls_metrics[CALLS], labels, 2, figures->ok);
	labels[1].value = "false";
	perfopt_batch_add_increase(batch, &perfopt_calls_metrics[CALLS], labels, 2, figures->failed);
	if (count == 0)
		return;

	perfopt_batch_add(batch, &perfopt_calls_metrics[ERROR_RATIO], labels, 1,
					  rint(figures->failed * 1e6 / count) / 1e6);
	perfopt_batch_add_increase(batch, &perfopt_calls_metrics[DURATION_COUNT], labels, 1, count);
	perfopt_batch_add_increase(batch, &perfopt_calls_metrics[DURATION_SUM], labels, 1,
							   rint(figures->seconds * 1e6) / 1e6);
	labels[1].name = "le";
	for (int i = 0; i < NBOUNDS; i++)
	{
		labels[1].value = bounds[i].label;
		cumulative += figures->bucket[i];
		perfopt_batch_add_increase(batch, &perfopt_calls_metrics[DURATION_BUCKET], labels, 2,
								   cumulative);
	}
}

void
perfopt_collect_calls(PerfoptBatch *batch)
{
	CallTarget *drained = palloc(NPLACES * sizeof(CallTarget));
	uint64 strays;
	int n = drain(drained, &strays);

	for (int i = 0; i < n; i++)
		add_target(batch, &drained[i]);
	if (strays > 0)
		ereport(ERROR, (errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
						errmsg("record_call() knows %d targets at a time; " UINT64_FORMAT
							   " calls of others are counted as target \"%s\"",
							   PERFOPT_MAX_CALL_TARGETS, strays, PERFOPT_CALLS_OTHER)));
}

static void
check_arguments(FunctionCallInfo fcinfo)
{
	static const char *const names[] = { "target", "duration_ms", "ok" };

	for (int i = 0; i < lengthof(names); i++)
	{
		if (PG_ARGISNULL(i))
			ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
							errmsg("argument \"%s\" of record_call() must not be NULL", names[i]),
							errhint("Say what was called, how many milliseconds it took and "
									"whether it succeeded: record_call('billing', 12.5, true).")));
	}
}

static void
check_name(const char *name, int length)
{
	if (length == 0 || length >= NAME_BYTES)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("target of record_call() must have 1 to %d bytes, not %d", NAME_BYTES - 1,
						length),
				 errhint("Name the system that was called, such as 'billing', not the single "
						 "request.")));
	for (int i = 0; i < length; i++)
	{
		if ((unsigned char) name[i] < ' ' || name[i] == 0x7F)
			ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
							errmsg("target of record_call() has the control character 0x%02x",
								   (unsigned char) name[i]),
							errhint("Use printable characters only.")));
	}
}

PG_FUNCTION_INFO_V1(perfopt_record_call);

Datum
perfopt_record_call(PG_FUNCTION_ARGS)
{
	text *target;
	double duration_ms;

	perfopt_require_preload();
	check_arguments(fcinfo);
	target = PG_GETARG_TEXT_PP(0);
	duration_ms = PG_GETARG_FLOAT8(1);
	check_name(VARDATA_ANY(target), VARSIZE_ANY_EXHDR(target));
	if (!(duration_ms >= 0 && duration_ms <= MAX_DURATION_MS))
		ereport(ERROR, (errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
						errmsg("duration_ms of record_call() must lie between 0 and %.0f, not %g",
							   MAX_DURATION_MS, duration_ms),
						errhint("It is the time that the call took, in milliseconds.")));

	/* On a standby nobody collects. */
	if (!RecoveryInProgress())
		record(VARDATA_ANY(target), VARSIZE_ANY_EXHDR(target), duration_ms / 1000,
			   PG_GETARG_BOOL(2));
	PG_RETURN_VOID();
}
