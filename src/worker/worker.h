/*
 * worker.h
 *	  Registration, life and death of perfopt's background workers; nothing about what they do.
 *
 * A static worker is a row of PerfoptWorkerDef: the loop calls its cycle() on a fixed grid of
 * interval_ms(), in a memory context that is reset afterwards.  A late cycle is skipped and counted,
 * never piled up.  An ERROR that leaves cycle() aborts its transaction, is logged when it differs
 * from the one before, and the loop goes on; a cycle that runs past its deadline is cancelled.
 *
 * The cycles of a worker without a database are booked twice a second rather than each.
 *
 * Dynamic workers (load tests, and what the collector sends to other databases) call
 * perfopt_worker_begin() and then perfopt_worker_connect() or perfopt_worker_visit().
 *
 * Workers that are connected to a database leave it when somebody drops, renames, moves or copies
 * that database, and come back afterwards.
 */
#ifndef PERFOPT_WORKER_H
#define PERFOPT_WORKER_H

#include "postmaster/bgworker.h"

typedef struct PerfoptWorkerDef
{
	const char *name;    /* as shown in pg_stat_activity.backend_type, e.g. "perfopt collector" */
	bool needs_database; /* connects to perfopt.database */
	BgWorkerStartTime start;   /* when the postmaster may start it */
	long (*interval_ms)(void); /* milliseconds between cycles; 0 rests until woken */

	/*
	 * One cycle, outside any transaction.  Returns NULL, or a constant string saying why the cycle
	 * was skipped (shown to those who wait in collect_now).  One without a database must be short,
	 * not wait, and leave nothing in memory behind; an ERROR ends and restarts the worker.
	 */
	const char *(*cycle)(void);
} PerfoptWorkerDef;

/* What a static worker tells about itself; times in microseconds. */
typedef struct PerfoptWorkerStats
{
	uint64 cycles;
	uint64 skipped;     /* cycles left out because the one before was late */
	int64 last_wall_us; /* of the last cycle that was booked */
	int64 last_cpu_us;  /* mean of those since the books were last written, waking up included */
	int64 last_lag_us;  /* how late the last cycle began */
} PerfoptWorkerStats;

/* At _PG_init: the table must be static; the order is the index that the functions below take. */
extern void perfopt_worker_register(const PerfoptWorkerDef *defs, int ndefs);
extern void perfopt_worker_install_hooks(void);

extern Size perfopt_worker_shmem_size(void);
extern void perfopt_worker_shmem_setup(void);

extern PGDLLEXPORT void perfopt_worker_main(Datum arg);

/*
 * Wakes a static worker and waits until a cycle that began after the call has ended.  ERROR when the
 * worker is not running within 10 s, or when the cycle was skipped or failed.
 */
extern void perfopt_worker_run_once(int index);

/* Asks for a cycle and wakes it, without waiting; returns the number of the request. */
extern uint64 perfopt_worker_request(int index);

/* Inside a static worker's cycle: whether somebody asked for it, rather than the clock. */
extern bool perfopt_worker_asked(void);

extern int perfopt_worker_count(void);
extern const char *perfopt_worker_name(int index);
extern int perfopt_worker_index(const char *name);
/* A cycle of a worker with this interval is cancelled when it takes longer, in milliseconds. */
extern int perfopt_worker_deadline_ms(long interval_ms);

extern void perfopt_worker_get_stats(int index, PerfoptWorkerStats *stats);

/*
 * For dynamic workers, in this order at the start of their main function: handlers are set, signals
 * unblocked and the worker entered in the shared table; then connected to perfopt.database, which may
 * wait for a DROP or ALTER DATABASE to end.
 */
extern void perfopt_worker_begin(const char *name);
extern void perfopt_worker_connect(void);

/*
 * For short-lived ones, instead of the latter: connects to any database, or returns false when somebody
 * just now needs that one free.  Ends the process when the database cannot be connected to.
 */
extern bool perfopt_worker_visit(const char *database);

/* True when SIGHUP came; re-reads the configuration files then. */
extern bool perfopt_worker_reload(void);

typedef enum PerfoptExtensionState
{
	PERFOPT_EXTENSION_READY,
	PERFOPT_EXTENSION_MISSING,
	PERFOPT_EXTENSION_BUSY /* somebody is dropping or altering it just now */
} PerfoptExtensionState;

/*
 * Inside a transaction: holds the extension in place until the transaction's end, without ever
 * waiting for a DROP or ALTER EXTENSION.  DROP EXTENSION locks the extension before it locks any
 * table, so who holds this cannot be in a deadlock with it.
 */
extern PerfoptExtensionState perfopt_extension_hold(void);

#endif /* PERFOPT_WORKER_H */
