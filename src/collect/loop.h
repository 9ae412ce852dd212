/*
 * loop.h
 *	  The event loop of a prober's cycle: everything that any source waits for is waited for at once.
 *
 * A source starts what it wants to know, which must not wait for anything: it watches descriptors, sets
 * timers, and counts each question as a task.  perfopt_loop_run() then serves all sources until no task
 * is left.  Callbacks are called from there and nowhere else.
 *
 * Nothing that a source or a foreign library does may sleep; each task needs a timer of its own that
 * ends it in time.  Callbacks may raise errors only where no foreign library's frames lie in between,
 * and an error there ends the whole cycle, so none should.
 *
 * A loop, and all that is started on it, lives in the memory context in which the loop was created, the
 * cycle's: what has descriptors or foreign memory registers a callback for that context's reset
 * (perfopt_loop_at_end), so that nothing is left behind by an error, wherever it came from.
 */
#ifndef PERFOPT_LOOP_H
#define PERFOPT_LOOP_H

#include "lib/ilist.h"

#define PERFOPT_LOOP_READ 1
#define PERFOPT_LOOP_WRITE 2

typedef struct PerfoptLoop PerfoptLoop;

/* `events` are those of PERFOPT_LOOP_READ and _WRITE that happened; an error counts as both. */
typedef void (*PerfoptWatchCallback)(int fd, int events, void *arg);
typedef void (*PerfoptTimerCallback)(void *arg);

/* Zeroed by its owner before its first use, and part of something that lives as long as the loop. */
typedef struct PerfoptTimer
{
	dlist_node node;
	bool set;
	int64 due_us;
	PerfoptTimerCallback callback;
	void *arg;
} PerfoptTimer;

/* In the current memory context, whose reset closes it. */
extern PerfoptLoop *perfopt_loop_create(void);

/* The context in which all that belongs to this cycle may be kept until its end. */
extern MemoryContext perfopt_loop_context(const PerfoptLoop *loop);

/* Calls back when the cycle is over, however it ends; last come, first served.  Must raise no error. */
extern void perfopt_loop_at_end(PerfoptLoop *loop, void (*callback)(void *arg), void *arg);

/*
 * Calls back whenever one of `events` is possible on this descriptor; replaces what was asked for it
 * before, and 0 ends it, which must come before the descriptor is closed.  Raises no error; false means
 * that it could not be done.
 */
extern bool perfopt_loop_watch(PerfoptLoop *loop, int fd, int events, PerfoptWatchCallback callback,
							   void *arg);

/* Calls back once, after so many milliseconds (0: in the loop's next round).  Raises no error. */
extern void perfopt_loop_set_timer(PerfoptLoop *loop, PerfoptTimer *timer, double ms,
								   PerfoptTimerCallback callback, void *arg);
extern void perfopt_loop_clear_timer(PerfoptLoop *loop, PerfoptTimer *timer);

/* One question more, or one less, that the loop is to go on for. */
extern void perfopt_loop_begin_task(PerfoptLoop *loop);
extern void perfopt_loop_end_task(PerfoptLoop *loop);

/* Serves until no task is left.  Wakes up for interrupts and ends with the postmaster. */
extern void perfopt_loop_run(PerfoptLoop *loop);

/* Microseconds on a clock that nobody sets. */
extern int64 perfopt_loop_now_us(void);

#endif /* PERFOPT_LOOP_H */
