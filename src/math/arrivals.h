/*
 * arrivals.h
 *	  When the calls of an open model arrive: at a given rate, whether or not earlier ones have ended.
 *
 * The rate r(t) rises linearly from 0 to `rate` over the ramp-up, stays there for the hold, and falls
 * linearly to 0 over the ramp-down.  L(t), its integral from 0 on, is the number of arrivals expected
 * by t.  Arrivals are either
 *
 *	even		the k-th of all comes when L(t) = k - 1/2, k = 1, 2, ...; or
 *	Poisson		L(t) of successive ones differs by exponential draws with mean 1, which makes a
 *				Poisson process of rate r(t) (Cinlar, Introduction to Stochastic Processes, 1975,
 *				section 4.7: time change by the inverse of the expectation)
 *
 * and are computed from L by its inverse, in closed form, never by adding up intervals.  So they don't
 * drift: rounded to nanoseconds, even ones at 100,000 a second are where they should be after 30
 * days, and beyond 104 days off by no more than what doubles of so many nanoseconds are apart.
 *
 * Workers share the arrivals: of the even ones worker w of W gets those with k = w + 1, w + 1 + W and
 * so on, and with Poisson each has a process of its own with the W-th part of the rate, which together
 * are one of the whole rate.  Nothing needs to be said between them, not even when the rate changes,
 * as long as they all hear of that change.
 *
 * Pure C: no PostgreSQL, no allocation; a state is flat memory.  Times are nanoseconds since the
 * clock's start, rates are per second.
 */
#ifndef PERFOPT_ARRIVALS_H
#define PERFOPT_ARRIVALS_H

#include <stdbool.h>
#include <stdint.h>

#include "math/draw.h"

/* Each of the three parts of a plan has at most ten years, and the rate is at most one a nanosecond. */
#define PERFOPT_ARRIVALS_MAX_NS INT64_C(315576000000000000)
#define PERFOPT_ARRIVALS_MAX_RATE 1e9

typedef enum PerfoptArrivalKind
{
	PERFOPT_ARRIVALS_EVEN,
	PERFOPT_ARRIVALS_POISSON
} PerfoptArrivalKind;

typedef struct PerfoptArrivalsPlan
{
	PerfoptArrivalKind kind;
	double rate; /* of all workers, per second; NaN and what is negative are 0 */
	int64_t
		ramp_up_ns; /* any of the three may be 0, which negative ones are; too much is cut off */
	int64_t hold_ns;
	int64_t ramp_down_ns;
	int worker; /* 0..nworkers-1 */
	int nworkers;
} PerfoptArrivalsPlan;

/* A stretch in which the rate is linear. */
typedef struct PerfoptArrivalsStretch
{
	double begin; /* ns */
	double length;
	double expected; /* L(begin) */
	double rate0;    /* at its begin, per second */
	double rate1;    /* at its end */
} PerfoptArrivalsStretch;

#define PERFOPT_ARRIVALS_STRETCHES 3

typedef struct PerfoptArrivals
{
	PerfoptArrivalsPlan plan;
	PerfoptArrivalsStretch stretches[PERFOPT_ARRIVALS_STRETCHES];
	double total;    /* L at the end */
	int64_t next;    /* k of this worker's next even arrival */
	double reached;  /* L at this worker's last Poisson arrival */
	int64_t last_ns; /* no arrival is before this */
} PerfoptArrivals;

extern void perfopt_arrivals_init(PerfoptArrivals *state, const PerfoptArrivalsPlan *plan);

/*
 * This worker's next arrival, not before the one before; false when there is none before the end of
 * the plan.  Even ones need no generator: random may be NULL.
 */
extern bool perfopt_arrivals_next(PerfoptArrivals *state, const PerfoptRandom *random,
								  int64_t *t_ns);

/* L(t): how many arrivals all workers should have had by then.  Not for times before a restart. */
extern double perfopt_arrivals_expected(const PerfoptArrivals *state, int64_t t_ns);

/*
 * From t_ns on the rate is this one, until the hold ends; what was left of the ramp-up is hold now, and
 * the ramp-down falls from the new rate.  Arrivals before t_ns remain what they were, so the caller
 * takes those first, and forgets one at or after t_ns that it has taken already.  Returns false and
 * changes nothing when the hold is over by then, or t_ns is before another restart.
 */
extern bool perfopt_arrivals_restart(PerfoptArrivals *state, int64_t t_ns, double rate);

#endif /* PERFOPT_ARRIVALS_H */
