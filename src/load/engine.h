/*
 * engine.h
 *	  The part of a load test that one worker process runs: its users' sessions on one epoll loop.
 *
 * No transaction is open while the engine runs, and nothing in it waits for anything but the loop
 * itself.  Work per wake-up is proportional to the sessions that are ready.
 *
 * Private to engine.c, session.c, timer.c and worker.c.
 */
#ifndef PERFOPT_LOAD_ENGINE_H
#define PERFOPT_LOAD_ENGINE_H

#include "libpq-fe.h"

#include "load/run.h"

typedef enum SessionState
{
	SESSION_CLOSED, /* not connected yet, or stopped for good */
	SESSION_CONNECTING,
	SESSION_PREPARING, /* statements are being prepared, in one pipeline */
	SESSION_BACKOFF,   /* waits before connecting again */
	SESSION_IDLE,      /* connected; before its start, or thinking */
	SESSION_RUNNING,   /* a statement of an operation is under way */
	SESSION_ROLLING_BACK
} SessionState;

/* A variable's value as text: a sign, 19 digits and the end. */
#define SESSION_VALUE_SIZE 24

typedef struct Session
{
	PGconn *conn;
	int fd; /* as registered with epoll; -1 when not */
	uint32 events;
	SessionState state;
	bool started;   /* counted among the users under load */
	bool stopped;   /* runs no further iteration */
	bool failed;    /* the current iteration */
	int64 start_at; /* after the clock's start */
	int64 stop_at;
	int64 due;   /* of its timer */
	int heap_at; /* place in the timer heap, -1 when it has no timer */
	int64 began; /* the current iteration */
	int operation;
	int statement;
	int pid;    /* of its backend */
	int procno; /* of its backend, when that can be tagged; -1 otherwise */
	uint32 tag;
	int attempts; /* to connect, since it was last connected */
	pg_prng_state random;
	char (*values)[SESSION_VALUE_SIZE];
	LoadError first; /* what an iteration, or preparing, failed with */
} Session;

/* What one operation did in the current second. */
typedef struct LoadSecond
{
	uint64 calls;
	uint64 errors;
	PerfoptHistogram *latency;
} LoadSecond;

typedef struct Engine Engine;

struct Engine
{
	const LoadConfig *config;
	LoadRun *run;
	LoadShared *shared;
	LoadWorker *mine;
	int worker;
	char *conninfo;
	char application_name[64];

	int nsessions;
	Session *sessions;
	int nconnecting;
	int next_connect; /* sessions from here on were not tried yet */
	int nready;       /* connected before the clock's start */
	int nlive;        /* not stopped */

	int epoll;
	int timer;
	int64 timer_at; /* what the timer is set to; PG_INT64_MAX when to nothing */
	Session **heap;
	int nheap;

	double *weights;    /* cumulative */
	int64 now;          /* when the loop last woke */
	int64 clock;        /* when the test began; 0 before */
	int64 window_start; /* calls that begin within are measured */
	int64 window_end;
	int64 deadline; /* by when the last iteration must have ended */
	int64 next_tick;
	int64 next_second;
	int second;      /* that is being counted, from 0 */
	bool stopping;   /* no iteration begins any more */
	bool discarding; /* what ends now was cancelled by us, and is not counted */

	LoadSecond *seconds; /* by operation */

	/* Writes away and resets what was counted in the second that has passed. */
	void (*on_second)(Engine *engine, int second);
};

/* engine.c */
extern void load_engine_init(Engine *engine, const LoadConfig *config, LoadRun *run, int worker,
							 char *conninfo);

/* Until the test is over or to be stopped; all sessions are closed then, also after an ERROR. */
extern void load_engine_run(Engine *engine);
extern void load_engine_close(Engine *engine);

extern void load_engine_watch(Engine *engine, Session *session, int fd, uint32 events);
extern void load_engine_unwatch(Engine *engine, Session *session);
extern void load_engine_record(Engine *engine, Session *session, int64 now);

/* session.c */
extern void load_session_connect(Engine *engine, Session *session);
extern void load_session_ready(Engine *engine, Session *session);    /* its socket is */
extern void load_session_due(Engine *engine, Session *session);      /* its timer is */
extern void load_session_schedule(Engine *engine, Session *session); /* the clock has started */
extern void load_session_stop(Engine *engine, Session *session);
extern void load_session_close(Engine *engine, Session *session);
extern void load_session_cancel(Session *session);

/* timer.c: one timer a session; setting it again moves it. */
extern void load_timer_set(Engine *engine, Session *session, int64 due);
extern void load_timer_clear(Engine *engine, Session *session);
extern Session *load_timer_next(const Engine *engine); /* NULL when there is none */

/* errors.c */
extern void load_error_count(LoadResult *result, const LoadError *error);
extern void load_error_from_result(LoadError *error, const PGresult *result);
extern void load_error_set(LoadError *error, const char *sqlstate, const char *message);

#endif /* PERFOPT_LOAD_ENGINE_H */
