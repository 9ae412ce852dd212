/*
 * loop.c
 *	  The event loop of a prober's cycle.
 *
 * Descriptors are in an epoll of our own, since those of a WaitEventSet can't be taken out again; that
 * epoll is in turn one of three things in a WaitEventSet, so that the latch, interrupts and the
 * postmaster's end are heard as everywhere.
 */
#include "postgres.h"

#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "miscadmin.h"
#include "pgstat.h"
#include "storage/latch.h"
#include "utils/memutils.h"

#include "collect/loop.h"
#include "compat.h"

#define EVENTS_AT_ONCE 64

/* So that a round that runs late does not ask for ever shorter sleeps. */
#define MIN_SLEEP_MS 1

typedef struct Watch
{
	int events;        /* 0: nobody watches */
	uint32 generation; /* tells a descriptor from an earlier one of the same number */
	PerfoptWatchCallback callback;
	void *arg;
} Watch;

struct PerfoptLoop
{
	MemoryContext context;
	int epoll;
	WaitEventSet *set;
	Watch *watches; /* by descriptor */
	int nwatches;
	dlist_head timers; /* in no order: there are few */
	int tasks;
};

int64
perfopt_loop_now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64) now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void
close_loop(void *arg)
{
	PerfoptLoop *loop = arg;

	if (loop->set != NULL)
		FreeWaitEventSet(loop->set);
	loop->set = NULL;
	if (loop->epoll >= 0)
		close(loop->epoll);
	loop->epoll = -1;
}

PerfoptLoop *
perfopt_loop_create(void)
{
	PerfoptLoop *loop = palloc0(sizeof(PerfoptLoop));

	loop->context = CurrentMemoryContext;
	dlist_init(&loop->timers);
	loop->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (loop->epoll < 0)
		ereport(ERROR, (errcode_for_socket_access(), errmsg("epoll_create1() failed: %m")));
	perfopt_loop_at_end(loop, close_loop, loop);
	return loop;
}

MemoryContext
perfopt_loop_context(const PerfoptLoop *loop)
{
	return loop->context;
}

void
perfopt_loop_at_end(PerfoptLoop *loop, void (*callback)(void *arg), void *arg)
{
	MemoryContextCallback *entry = MemoryContextAlloc(loop->context, sizeof(MemoryContextCallback));

	entry->func = callback;
	entry->arg = arg;
	MemoryContextRegisterResetCallback(loop->context, entry);
}

/* The place of a descriptor, or NULL when there is no memory for one. */
static Watch *
watch_of(PerfoptLoop *loop, int fd)
{
	Watch *watches;
	int n;

	if (fd < loop->nwatches)
		return &loop->watches[fd];
	n = Max(fd + 1, Max(64, loop->nwatches * 2));
	watches = MemoryContextAllocExtended(loop->context, n * sizeof(Watch),
										 MCXT_ALLOC_NO_OOM | MCXT_ALLOC_ZERO);
	if (watches == NULL)
		return NULL;
	if (loop->watches != NULL)
	{
		memcpy(watches, loop->watches, loop->nwatches * sizeof(Watch));
		pfree(loop->watches);
	}
	loop->watches = watches;
	loop->nwatches = n;
	return &watches[fd];
}

bool
perfopt_loop_watch(PerfoptLoop *loop, int fd, int events, PerfoptWatchCallback callback, void *arg)
{
	Watch *watch = fd < 0 ? NULL : watch_of(loop, fd);
	struct epoll_event event = { 0 };
	int operation;

	if (watch == NULL)
		return false;
	watch->callback = callback;
	watch->arg = arg;
	if (watch->events == events)
		return true;
	if (watch->events == 0)
	{
		operation = EPOLL_CTL_ADD;
		watch->generation++;
	}
	else
		operation = events == 0 ? EPOLL_CTL_DEL : EPOLL_CTL_MOD;
	watch->events = events;
	if (events & PERFOPT_LOOP_READ)
		event.events |= EPOLLIN;
	if (events & PERFOPT_LOOP_WRITE)
		event.events |= EPOLLOUT;
	event.data.u64 = (uint64) watch->generation << 32 | (uint32) fd;
	if (epoll_ctl(loop->epoll, operation, fd, &event) == 0 || operation == EPOLL_CTL_DEL)
		return true;

	/* Should somebody have closed it behind our back, the kernel has forgotten it and we had not. */
	if (operation == EPOLL_CTL_MOD && errno == ENOENT &&
		epoll_ctl(loop->epoll, EPOLL_CTL_ADD, fd, &event) == 0)
		return true;
	watch->events = 0;
	return false;
}

void
perfopt_loop_set_timer(PerfoptLoop *loop, PerfoptTimer *timer, double ms,
					   PerfoptTimerCallback callback, void *arg)
{
	if (!timer->set)
		dlist_push_tail(&loop->timers, &timer->node);
	timer->set = true;
	timer->due_us = perfopt_loop_now_us() + (int64) (ms * 1000.0);
	timer->callback = callback;
	timer->arg = arg;
}

void
perfopt_loop_clear_timer(PerfoptLoop *loop, PerfoptTimer *timer)
{
	if (timer->set)
		dlist_delete(&timer->node);
	timer->set = false;
}

void
perfopt_loop_begin_task(PerfoptLoop *loop)
{
	loop->tasks++;
}

void
perfopt_loop_end_task(PerfoptLoop *loop)
{
	Assert(loop->tasks > 0);
	loop->tasks--;
}

/* One that is due, taken out of the list, or NULL. */
static PerfoptTimer *
take_due_timer(PerfoptLoop *loop, int64 now_us)
{
	dlist_iter iter;

	dlist_foreach(iter, &loop->timers)
	{
		PerfoptTimer *timer = dlist_container(PerfoptTimer, node, iter.cur);

		if (timer->due_us <= now_us)
		{
			perfopt_loop_clear_timer(loop, timer);
			return timer;
		}
	}
	return NULL;
}

/* Those that are due by now; what they set anew is for the next round. */
static void
run_timers(PerfoptLoop *loop)
{
	int64 now_us = perfopt_loop_now_us();
	PerfoptTimer *timer;

	while ((timer = take_due_timer(loop, now_us)) != NULL)
		timer->callback(timer->arg);
}

/* Until the next timer; -1 is as long as it takes. */
static long
sleep_ms(PerfoptLoop *loop)
{
	int64 due_us = PG_INT64_MAX;
	int64 left_us;
	dlist_iter iter;

	dlist_foreach(iter, &loop->timers)
	{
		PerfoptTimer *timer = dlist_container(PerfoptTimer, node, iter.cur);

		due_us = Min(due_us, timer->due_us);
	}
	if (due_us == PG_INT64_MAX)
		return -1;
	left_us = due_us - perfopt_loop_now_us();
	return left_us <= 0 ? 0 : Max(MIN_SLEEP_MS, (long) ((left_us + 999) / 1000));
}

static void
run_watches(PerfoptLoop *loop)
{
	struct epoll_event events[EVENTS_AT_ONCE];
	int n = epoll_wait(loop->epoll, events, EVENTS_AT_ONCE, 0);

	for (int i = 0; i < n; i++)
	{
		int fd = (int) (events[i].data.u64 & 0xffffffff);
		Watch *watch = &loop->watches[fd];
		int happened = 0;

		/* A callback before this one may have ended it, or opened another of this number. */
		if (watch->events == 0 || watch->generation != (uint32) (events[i].data.u64 >> 32))
			continue;
		if (events[i].events & (EPOLLIN | EPOLLERR | EPOLLHUP))
			happened |= PERFOPT_LOOP_READ;
		if (events[i].events & (EPOLLOUT | EPOLLERR | EPOLLHUP))
			happened |= PERFOPT_LOOP_WRITE;
		watch->callback(fd, happened & watch->events ? happened & watch->events : watch->events,
						watch->arg);
	}
}

static void
sleep_until_something(PerfoptLoop *loop, long timeout_ms)
{
	WaitEvent events[2];
	int n =
		WaitEventSetWait(loop->set, timeout_ms, events, lengthof(events), PERFOPT_WAIT_EVENT_MAIN);

	for (int i = 0; i < n; i++)
	{
		if (events[i].events & WL_LATCH_SET)
			ResetLatch(MyLatch);
	}
	CHECK_FOR_INTERRUPTS();
}

static void
create_set(PerfoptLoop *loop)
{
	MemoryContext oldcontext = MemoryContextSwitchTo(loop->context);

	loop->set = perfopt_create_wait_event_set(3);
	AddWaitEventToSet(loop->set, WL_LATCH_SET, PGINVALID_SOCKET, MyLatch, NULL);
	AddWaitEventToSet(loop->set, WL_EXIT_ON_PM_DEATH, PGINVALID_SOCKET, NULL, NULL);
	AddWaitEventToSet(loop->set, WL_SOCKET_READABLE, loop->epoll, NULL, NULL);
	MemoryContextSwitchTo(oldcontext);
}

void
perfopt_loop_run(PerfoptLoop *loop)
{
	if (loop->tasks > 0 && loop->set == NULL)
		create_set(loop);
	while (loop->tasks > 0)
	{
		run_timers(loop);
		if (loop->tasks == 0)
			break;
		sleep_until_something(loop, sleep_ms(loop));
		run_watches(loop);
	}
}
