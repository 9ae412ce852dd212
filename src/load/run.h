/*
 * run.h
 *	  A running load test in shared memory.
 *
 * A slot in the server's fixed shared memory says which runs exist.  The first worker gives a run its
 * id, not the caller: drawing it from the sequence would give the caller a transaction id, which, as
 * long as it waits, would hold back vacuum for the whole test.  Everything else of a run is in a
 * dynamic segment that its workers and whoever asks about it attach: the configuration as bytes, the
 * clock, and for each worker a block that only that worker writes and everybody may read while it is
 * written (figures of a running test may be one call apart from each other).
 *
 * A run is over when its last worker has left it, having written the rows.  The slot is free from then
 * on; those who wait still have the segment.  A run that failed keeps its results so far.
 */
#ifndef PERFOPT_LOAD_RUN_H
#define PERFOPT_LOAD_RUN_H

#include "datatype/timestamp.h"
#include "port/atomics.h"
#include "storage/condition_variable.h"
#include "storage/dsm.h"
#include "storage/spin.h"

#include "load/load.h"
#include "math/breaking.h"

#define LOAD_MAX_RUNS 8
#define LOAD_MAX_ERRORS 16 /* SQLSTATEs kept apart for each operation and worker */

typedef enum LoadState
{
	LOAD_STARTING, /* connecting; the clock does not run yet */
	LOAD_RUNNING,
	/* final ones */
	LOAD_FINISHED,
	LOAD_CANCELLED,
	LOAD_FAILED
} LoadState;

typedef struct LoadError
{
	char sqlstate[6];
	uint64 count;
	char message[200]; /* of the first */
} LoadError;

/*
 * An operation's outcome in one worker.  Calls are those that began while the load was held at its
 * full height (after ramp-up, before ramp-down), however long they took; throughput counts those that
 * ended well within that time.
 */
typedef struct LoadResult
{
	uint64 calls;
	uint64 errors;
	uint64 completed;
	uint64 retries;
	uint64 all; /* calls since the clock started, ramps included */
	int nkinds;
	LoadError kinds[LOAD_MAX_ERRORS];
	uint64 other_errors;      /* of further SQLSTATEs */
	PerfoptHistogram latency; /* response in ms, of calls without error; flexible, so last */
} LoadResult;

/* A worker's block; its lag, and its results each with its service times, follow. */
typedef struct LoadWorker
{
	bool joined; /* under the run room's lock */
	bool left;
	int connected;
	int users;    /* started and not stopped */
	uint64 calls; /* since the clock started, ramps included */
	uint64 errors;
	uint64 begun;    /* of the calls that arrived, since the load was set last */
	uint64 unserved; /* calls that had arrived by the end of the measured time, and had not begun */
	int64 cpu_ns;    /* that the process used since the clock started */
	uint64 lost;     /* connections that broke or could not be made during the test */
	LoadError lost_first;
	int64 ended;              /* when its last user stopped */
	PerfoptHistogram latency; /* of all operations, brought up to date each second; flexible */
} LoadWorker;

/* What an operation's statements have used, in the units of load_resources_json(). */
#define LOAD_NRESOURCES 8

typedef struct LoadResources
{
	bool known;
	uint64 calls; /* of the operation, since the clock started */
	double used[LOAD_NRESOURCES];
} LoadResources;

typedef enum LoadVerdict
{
	LOAD_NO_VERDICT, /* it was not asked to keep to anything */
	LOAD_PASSED,
	LOAD_NOT_PASSED,
	LOAD_INVALID /* the generator was the bottleneck */
} LoadVerdict;

/* What a test says of an operation; latencies in ms, NaN when they are not known. */
typedef struct LoadRow
{
	uint64 calls;
	uint64 errors;
	uint64 retries;
	double throughput; /* calls that ended well, per second of full load */
	double mean_ms;
	double p50_ms;
	double p90_ms;
	double p95_ms;
	double p99_ms; /* NaN under 1,000 calls: it would be the word of ten */
	double max_ms;
	double p95_low_ms; /* 95 % intervals of the percentiles */
	double p95_high_ms;
	double p99_low_ms;
	double p99_high_ms;
	double service_p95_ms;
} LoadRow;

/*
 * The load, and what of it is measured, where that is not what the test began with; times are after the
 * clock's start.
 */
typedef struct LoadLevel
{
	uint32 number;
	double load; /* users, or calls a second, all workers together */
	int64 from;  /* calls arrive so */
	int64 measured_from;
	int64 measured_until; /* results begin anew, and are of calls intended in between */
} LoadLevel;

/* A stretch of a stress test at one load. */
typedef struct LoadTrial
{
	double load;
	double throughput;
	double mean_ms;
	double p95_ms;
	double error_pct;
	int64 from_ns; /* measured, after the clock's start */
	int64 length_ns;
	int purpose;   /* PerfoptTrialPurpose */
	int criterion; /* LoadCriterion that failed first, or PERFOPT_BREAKING_NO_CRITERION */
} LoadTrial;

/* Why a trial failed: a number from 0 on is a threshold's. */
typedef enum LoadCriterion
{
	LOAD_CRITERION_ACHIEVED = LOAD_MAX_THRESHOLDS, /* fewer calls ended than arrived */
	LOAD_CRITERION_BACKLOG,                        /* more and more calls wait */
	LOAD_CRITERION_GENERATOR                       /* the generator could not */
} LoadCriterion;

#define LOAD_MAX_TRIALS 128

typedef struct LoadStress
{
	PerfoptBreaking search;
	int ntrials;
	LoadTrial trials[LOAD_MAX_TRIALS];
} LoadStress;

/* A threshold of the test that was broken. */
typedef struct LoadViolation
{
	bool broken;
	double worst;
	int64
		first_ns; /* when its window ended the first time, after the clock's start; -1: the whole test */
	uint64 times; /* windows */
} LoadViolation;

typedef struct LoadShared
{
	uint64 token; /* tells runs apart before they have their id */
	int64 run_id; /* set by the first worker, with the run's row */
	Oid owner;
	int users;
	int connections;
	int nworkers;
	int noperations;
	int64 ramp_up_ns;
	int64 window_start_ns; /* what is measured */
	int64 window_ns;
	int64 ramp_down_ns;
	uint32 config_size;
	Size config_offset;
	Size sequences_offset;
	Size stress_offset;
	Size resources_offset; /* LoadResources when the clock started, one an operation */
	Size rows_offset;      /* final LoadRows, one an operation and one of all */
	Size workers_offset;
	Size worker_size;
	Size lag_offset;     /* within a worker's block */
	Size result_offset;  /* within a worker's block */
	Size result_size;    /* with its service times */
	Size service_offset; /* within that */

	pg_atomic_uint32 recorded; /* the run's row is committed */
	pg_atomic_uint32 ready;    /* workers whose users are connected */
	pg_atomic_uint32 stop;     /* LoadStop */
	pg_atomic_uint64 clock;    /* when the test began; 0 before */
	pg_atomic_uint64 clock_ts; /* the same as a TimestampTz; set before it */
	pg_atomic_uint32 state;    /* LoadState */
	LoadVerdict verdict;       /* known, like the rows, with a final state */
	char verdict_reason[256];
	slock_t mutex;  /* of what is below */
	int sqlerrcode; /* set once, with the problem */
	char problem[512];

	LoadLevel level;

	/* What the results cover, if a controller decides that; 0 is full load. */
	int64 result_from_ns;
	int64 result_ns;

	bool resources_known; /* they could be read when the clock started */

	/* By number of the threshold; of those with a window.  Written by the first worker alone. */
	LoadViolation violations[LOAD_MAX_THRESHOLDS];
} LoadShared;

/* Why the workers must stop early; the first one set stays. */
typedef enum LoadStop
{
	LOAD_GO_ON,
	LOAD_STOP_CANCELLED,
	LOAD_STOP_FAILED,
	LOAD_STOP_DONE, /* it knows what it wanted to know */
	LOAD_STOP_THRESHOLD
} LoadStop;

/* A run as seen by one process. */
typedef struct LoadRun
{
	int slot;
	dsm_segment *segment;
	LoadShared *shared;
} LoadRun;

extern Size perfopt_load_shmem_size(void);
extern void perfopt_load_shmem_setup(void);

/*
 * Starts the workers and returns once the run's row is committed.  An ERROR leaves nothing behind but
 * perhaps that row.  The caller closes the run, whose segment goes with its resource owner otherwise.
 */
extern void load_run_start(LoadRun *run, const LoadConfig *config);

/* False when no such run goes on. */
extern bool load_run_open(LoadRun *run, int64 run_id);
extern bool load_run_exists(int64 run_id);
extern void load_run_close(LoadRun *run);

extern bool load_run_over(const LoadRun *run);

/* Waits for a change of state, at most that long; interruptible. */
extern void load_run_sleep(const LoadRun *run, long timeout_ms);

/* Without waiting.  False when the workers had been told to stop before. */
extern bool load_run_stop(LoadRun *run, LoadStop why);

/* Stops the run as failed; the first problem is kept. */
extern void load_run_fail(LoadRun *run, int sqlerrcode, const char *problem);

/* The problem of a failed run, palloc'd; NULL when there is none. */
extern char *load_run_problem(const LoadShared *shared, int *sqlerrcode);

/* For workers.  join: false when the run is gone.  leave: true for the last one, who must finish. */
extern bool load_run_join(LoadRun *run, int slot, uint64 token, int worker);
extern void load_run_set_id(LoadRun *run, int64 run_id);
extern bool load_run_leave(LoadRun *run, int worker);
extern void load_run_finish(LoadRun *run, LoadState state);
extern void load_run_wake(LoadRun *run);

/* For a cycle of the collector about now, so that what it sees divides there. */
extern void load_run_ask_collector(void);

extern char *load_run_config(const LoadShared *shared);
extern LoadWorker *load_run_worker(const LoadShared *shared, int worker);
extern LoadResult *load_run_result(const LoadShared *shared, int worker, int operation);

/* Coarse histograms in ms: from sending to the end of a call, and how late the generator woke. */
extern PerfoptHistogram *load_run_service(const LoadShared *shared, int worker, int operation);
extern PerfoptHistogram *load_run_lag(const LoadShared *shared, int worker);

extern LoadRow *load_run_rows(const LoadShared *shared);
extern LoadResources *load_run_resources(const LoadShared *shared);
extern LoadStress *load_run_stress(const LoadShared *shared); /* of a stress test */

extern pg_atomic_uint64 *load_run_sequence(const LoadShared *shared, int sequence);

/*
 * The run's controller sets a new load from a moment on; workers take it up at their next tick, and
 * measure it `settle_ns` later for so long.  Returns what was set.
 */
extern LoadLevel load_run_set_level(LoadRun *run, double load, int64 settle_ns, int64 length_ns);

static inline LoadState
load_run_state(const LoadShared *shared)
{
	return (LoadState) pg_atomic_read_u32(unconstify(pg_atomic_uint32 *, &shared->state));
}

extern const char *load_state_name(LoadState state);
extern const char *load_verdict_name(LoadVerdict verdict); /* NULL for none */

extern PGDLLEXPORT void perfopt_load_worker_main(Datum slot);

#endif /* PERFOPT_LOAD_RUN_H */
