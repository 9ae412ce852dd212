/*
 * timer.c
 *	  A binary heap of sessions by the time at which each wants to go on.
 */
#include "postgres.h"

#include "load/engine.h"

static void
place(Engine *engine, Session *session, int at)
{
	engine->heap[at] = session;
	session->heap_at = at;
}

static void
sift_up(Engine *engine, Session *session, int at)
{
	while (at > 0 && session->due < engine->heap[(at - 1) / 2]->due)
	{
		place(engine, engine->heap[(at - 1) / 2], at);
		at = (at - 1) / 2;
	}
	place(engine, session, at);
}

static void
sift_down(Engine *engine, Session *session, int at)
{
	for (;;)
	{
		int child = 2 * at + 1;

		if (child + 1 < engine->nheap && engine->heap[child + 1]->due < engine->heap[child]->due)
			child++;
		if (child >= engine->nheap || engine->heap[child]->due >= session->due)
			break;
		place(engine, engine->heap[child], at);
		at = child;
	}
	place(engine, session, at);
}

void
load_timer_clear(Engine *engine, Session *session)
{
	int at = session->heap_at;
	Session *last;

	if (at < 0)
		return;
	session->heap_at = -1;
	last = engine->heap[--engine->nheap];
	if (last == session)
		return;
	sift_down(engine, last, at);
	sift_up(engine, last, last->heap_at);
}

void
load_timer_set(Engine *engine, Session *session, int64 due)
{
	load_timer_clear(engine, session);
	session->due = due;
	sift_up(engine, session, engine->nheap++);
}

Session *
load_timer_next(const Engine *engine)
{
	return engine->nheap > 0 ? engine->heap[0] : NULL;
}
