/*
 * timer.c
 *	  A binary heap of timers by the time at which each goes off.
 */
#include "postgres.h"

#include "load/engine.h"

static void
place(Engine *engine, Timer *timer, int at)
{
	engine->heap[at] = timer;
	timer->heap_at = at;
}

static void
sift_up(Engine *engine, Timer *timer, int at)
{
	while (at > 0 && timer->due < engine->heap[(at - 1) / 2]->due)
	{
		place(engine, engine->heap[(at - 1) / 2], at);
		at = (at - 1) / 2;
	}
	place(engine, timer, at);
}

static void
sift_down(Engine *engine, Timer *timer, int at)
{
	for (;;)
	{
		int child = 2 * at + 1;

		if (child + 1 < engine->nheap && engine->heap[child + 1]->due < engine->heap[child]->due)
			child++;
		if (child >= engine->nheap || engine->heap[child]->due >= timer->due)
			break;
		place(engine, engine->heap[child], at);
		at = child;
	}
	place(engine, timer, at);
}

void
load_timer_clear(Engine *engine, Timer *timer)
{
	int at = timer->heap_at;
	Timer *last;

	if (at < 0)
		return;
	timer->heap_at = -1;
	last = engine->heap[--engine->nheap];
	if (last == timer)
		return;
	sift_down(engine, last, at);
	sift_up(engine, last, last->heap_at);
}

void
load_timer_set(Engine *engine, Timer *timer, int64 due)
{
	load_timer_clear(engine, timer);
	timer->due = due;
	sift_up(engine, timer, engine->nheap++);
}

Timer *
load_timer_next(const Engine *engine)
{
	return engine->nheap > 0 ? engine->heap[0] : NULL;
}
