/*
 * engine.h
 *	  The part of a load test that one worker process runs: its users and their sessions on one epoll
 *	  loop.
 *
 * A user decides when to do what; a session is a connection to the target that does it.  Each user has
 * a session of its own, unless there are fewer connections than users: then a user takes one that is
 * free, and waits in a line while there is none.
 *
 * An iteration has three instants: intended (when it should begin: the user was ready, or by the
 * schedule of arrivals), sent and done.  Response is done - intended, service done - sent.  How late the
 * loop itself is in waking somebody is the lag, which says whether the generator can be trusted.
 *
 * No transaction is open while the engine runs, and nothing in it waits for anything but the loop
 * itself.  Work per wake-up is proportional to what is ready.
 *
 * Private to engine.c, user.c, session.c, iteration.c, timer.c and worker.c.
 */
#ifndef PERFOPT_LOAD_ENGINE_H
#define PERFOPT_LOAD_ENGINE_H

#include "libpq-fe.h"

#include "load/run.h"
#include "math/arrivals.h"

typedef struct Engine Engine;
typedef struct Session Session;
typedef struct User User;

/* Whom it wakes is known by its place: user and session have one each. */
typedef struct Timer
{
	int64 due;
	int heap_at; /* place in the timer heap, -1 when it is not set */
	User *user;  /* one of the two */
	Session *session;
} Timer;

struct User
{
	Timer timer;
	Session *session; /* its own, or the one it has just now; NULL */
	Session *own[LOAD_MAX_VARIANTS];
	int number;     /* among all of the run, from 0 */
	bool started;   /* counted among the users under load */
	bool stopped;   /* for good */
	bool parked;    /* the load is lower than this user's turn */
	bool waiting;   /* for a session */
	bool offline;   /* of an open test: was to take a call, but its connection is not there */
	int64 start_at; /* after the clock's start */
	int64 stop_at;
	int64 intended; /* of the iteration at hand, or of the one waited for */
	int follows;    /* operation that comes next in this visit, -1: a new visit */
	PerfoptXoroshiro random;
	User *next; /* in a list of idle or waiting ones */
};

typedef enum SessionState
{
	SESSION_CLOSED, /* not connected yet, or closed for good */
	SESSION_CONNECTING,
	SESSION_PREPARING, /* statements are being prepared, in one pipeline */
	SESSION_BACKOFF,   /* waits before connecting again */
	SESSION_IDLE,      /* connected */
	SESSION_RUNNING,   /* an iteration is under way */
	SESSION_SLEEPING,  /* likewise, at a \sleep */
	SESSION_ROLLING_BACK
} SessionState;

/* Statements that are sent before the first of their results is read. */
#define LOAD_PIPELINE_DEPTH 64

/* Room for a variable's text. */
typedef struct SessionText
{
	char *data; /* NULL until needed */
	size_t size;
} SessionText;

struct Session
{
	Timer timer;
	PGconn *conn;
	int fd; /* as registered with epoll; -1 when not */
	uint32 events;
	SessionState state;
	User *user; /* whose iteration it runs; its own user for ever, if users have their own */
	int variant;
	Session *next; /* in the list of free ones */
	int attempts;  /* to connect, since it was last connected */
	int pid;       /* of its backend */
	int procno;    /* of its backend, when that can be tagged; -1 otherwise */
	uint32 tag;

	/* the iteration */
	int operation;
	int step;  /* next one */
	int nsent; /* statements whose results are waited for */
	int nread; /* of these, whose results have come */
	int sent_statements[LOAD_PIPELINE_DEPTH];
	bool failed;
	bool waited; /* for the target or a timer */
	bool ending; /* sleeps only so as not to end within its own beginning */
	int retries; /* that were made */
	int64 sent;
	int slot;                     /* of an A/B test, that it counts for; -1 is none */
	PerfoptXoroshiro random_then; /* when it began, for a retry */
	PerfoptValue *values;         /* of the operation's variables */
	SessionText *texts;
	LoadError first; /* what it, or preparing, failed with */
};

/* What one operation did in the current second. */
typedef struct LoadSecond
{
	uint64 calls;
	uint64 errors;
	uint64 retries;
	PerfoptHistogram *latency;
} LoadSecond;

struct Engine
{
	const LoadConfig *config;
	LoadRun *run;
	LoadShared *shared;
	LoadWorker *mine;
	int worker;
	char *conninfo[LOAD_MAX_VARIANTS];
	char application_name[64];
	MemoryContext context; /* what lives as long as the engine */
	StringInfoData text;   /* of the statement at hand */

	int nusers;
	User *users;
	int nsessions;
	Session *sessions;
	bool pool; /* fewer sessions than users */
	int nconnecting;
	int next_connect;       /* sessions from here on were not tried yet */
	int nready;             /* connected before the clock's start */
	int nlive;              /* users that are not stopped */
	Session *free_sessions; /* of a pool */
	User *waiting;          /* for one of them, in order */
	User **waiting_end;

	bool open; /* calls arrive by a schedule */
	PerfoptArrivals arrivals;
	PerfoptXoroshiro arrival_random;
	int64 arrival; /* the next, after the clock's start; PG_INT64_MAX when there is none any more */
	Timer arrival_timer;
	User *idle;      /* who can take it */
	LoadLevel level; /* as the run's controller sets it */

	int epoll;
	int timer;
	int64 timer_at; /* what the timer is set to; PG_INT64_MAX when to nothing */
	Timer **heap;
	int nheap;

	double *weights;     /* cumulative */
	int64 now;           /* when the loop last woke */
	int64 clock;         /* when the test began; 0 before */
	int64 cpu_at_start;  /* that the process had used */
	int64 measured_from; /* iterations that are intended within are measured */
	int64 measured_until;
	int64 window_end; /* when the test has been under full load for as long as it should */
	int64 deadline;   /* by when the last iteration must have ended */
	int64 next_tick;
	int64 next_second;
	int second;      /* that is being counted, from 0 */
	bool stopping;   /* no iteration begins any more */
	bool discarding; /* what ends now was cancelled by us, and is not counted */

	LoadSecond *seconds; /* by operation */

	/* of an A/B test */
	int slot;             /* -1 before the first */
	int variant;          /* whose turn it is */
	LoadSecond *slots[2]; /* by operation, of the slot at hand and the one before; by parity */

	/* Writes away what was counted in the second that has passed. */
	void (*on_second)(Engine *engine, int second);

	/* Looks at the run as a whole, ten times a second; NULL in all but one worker. */
	void (*on_tick)(Engine *engine);
};

/* engine.c */
/* conninfo is known. */
extern void load_engine_init(Engine *engine, const LoadConfig *config, LoadRun *run, int worker);

/* Until the test is over or to be stopped; all sessions are closed then, also after an ERROR. */
extern void load_engine_run(Engine *engine);
extern void load_engine_close(Engine *engine);

extern void load_engine_watch(Engine *engine, Session *session, int fd, uint32 events);
extern void load_engine_unwatch(Engine *engine, Session *session);
extern void load_engine_record(Engine *engine, Session *session, int64 now);

/* user.c: when who does what. */
extern void load_users_init(Engine *engine);
extern void load_users_start(Engine *engine); /* the clock has started */
extern void load_users_level(Engine *engine); /* the load was set anew */
extern void load_user_due(Engine *engine, User *user);
extern void load_user_stop(Engine *engine, User *user);
extern void load_user_done(Engine *engine, Session *session, int64 now); /* with an iteration */
extern void load_session_free(Engine *engine, Session *session); /* it is connected, and idle */
extern void load_session_taken(Engine *engine,
							   Session *session); /* it is idle, and no longer free */
extern void load_arrivals_due(Engine *engine);

/* How many calls have arrived by then and not begun. */
extern uint64 load_arrivals_backlog(const Engine *engine, int64 until);

/* session.c: connecting, preparing, coming back. */
extern void load_session_connect(Engine *engine, Session *session);
extern void load_session_ready(Engine *engine, Session *session); /* its socket is */
extern void load_session_due(Engine *engine, Session *session);   /* its timer is */
extern void load_session_close(Engine *engine, Session *session);
extern void load_session_cancel(Session *session);
extern void load_session_flush(Engine *engine, Session *session);
extern void load_session_lost(Engine *engine, Session *session);

/* slot.c: the turns of an A/B test's variants. */
extern void load_slots_init(Engine *engine);
extern int load_slot_take(Engine *engine,
						  int64 now); /* the variant to call now, and engine->slot */
extern int load_slot_of_call(const Engine *engine, int64 now); /* that begins; -1 for none */
extern void load_slot_record(Engine *engine, const Session *session, double latency_ms);
extern void load_slots_end(Engine *engine);

/* iteration.c: running an operation in a session. */
extern void load_iteration_begin(Engine *engine, Session *session, int number, int64 now);
extern void load_iteration_go_on(Engine *engine, Session *session); /* after a sleep */
extern void load_iteration_read(Engine *engine, Session *session);

static inline PerfoptRandom
load_random(PerfoptXoroshiro *state)
{
	return (PerfoptRandom){ perfopt_xoroshiro_next, state };
}

static inline bool
load_session_busy(const Session *session)
{
	return session->state >= SESSION_RUNNING;
}

/* timer.c: setting one again moves it. */
extern void load_timer_set(Engine *engine, Timer *timer, int64 due);
extern void load_timer_clear(Engine *engine, Timer *timer);
extern Timer *load_timer_next(const Engine *engine); /* NULL when there is none */

/* errors.c */
extern void load_error_count(LoadResult *result, const LoadError *error);
extern void load_error_from_result(LoadError *error, const PGresult *result);
extern void load_error_set(LoadError *error, const char *sqlstate, const char *message);

#endif /* PERFOPT_LOAD_ENGINE_H */
