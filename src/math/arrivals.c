/*
 * arrivals.c
 *	  When the calls of an open model arrive.
 */
#include "math/arrivals.h"

#include <math.h>

#define NS_PER_S 1e9

static double
end_of(const PerfoptArrivalsStretch *stretch)
{
	return stretch->begin + stretch->length;
}

/* Arrivals in the first ns of a stretch. */
static double
expected_in(const PerfoptArrivalsStretch *stretch, double ns)
{
	double change;

	if (ns >= stretch->length)
		return (stretch->rate0 + stretch->rate1) * stretch->length / 2 / NS_PER_S;
	change = (stretch->rate1 - stretch->rate0) * (ns / stretch->length);
	return (stretch->rate0 + change / 2) * ns / NS_PER_S;
}

/* n / rate in ns, as whole seconds and the rest, so that what is a whole number comes out as one. */
static double
time_at_rate(double n, double rate)
{
	double seconds = floor(n / rate);

	return seconds * NS_PER_S + fma(-seconds, rate, n) * NS_PER_S / rate;
}

/*
 * How long it takes from the slower end of a stretch until n arrivals are expected: the solution s of
 * slow s + slope s^2 / 2 = n, in the form that subtracts nothing.
 */
static double
time_to_expect(double n, double slow, double fast, double length)
{
	double slope;

	if (n <= 0)
		return 0;
	if (slow >= fast)
		return time_at_rate(n, slow);
	slope = (fast - slow) / (length / NS_PER_S);
	return 2 * n / (slow + sqrt(slow * slow + 2 * slope * n)) * NS_PER_S;
}

/* When L is `expected`, which it is within this stretch.  A falling rate is seen from its end. */
static double
time_within(const PerfoptArrivalsStretch *stretch, double expected)
{
	double n = expected - stretch->expected;

	if (stretch->rate0 <= stretch->rate1)
		return stretch->begin + time_to_expect(n, stretch->rate0, stretch->rate1, stretch->length);
	n = expected_in(stretch, stretch->length) - n;
	return end_of(stretch) - time_to_expect(n, stretch->rate1, stretch->rate0, stretch->length);
}

/* The inverse of L, for less than L's total; a stretch without arrivals is never the last to begin. */
static double
time_of(const PerfoptArrivals *state, double expected)
{
	int i = PERFOPT_ARRIVALS_STRETCHES - 1;

	while (i > 0 && expected < state->stretches[i].expected)
		i--;
	return time_within(&state->stretches[i], expected);
}

static const PerfoptArrivalsStretch *
last_stretch(const PerfoptArrivals *state)
{
	return &state->stretches[PERFOPT_ARRIVALS_STRETCHES - 1];
}

/* Lines up the stretches behind the first one, whose begin and L are known. */
static void
line_up(PerfoptArrivals *state)
{
	const PerfoptArrivalsStretch *last = last_stretch(state);

	for (int i = 1; i < PERFOPT_ARRIVALS_STRETCHES; i++)
	{
		const PerfoptArrivalsStretch *before = &state->stretches[i - 1];

		state->stretches[i].begin = end_of(before);
		state->stretches[i].expected = before->expected + expected_in(before, before->length);
	}
	state->total = last->expected + expected_in(last, last->length);
}

/* This worker's first even arrival that is not before L is `expected`. */
static void
skip_to(PerfoptArrivals *state, double expected)
{
	int nworkers = state->plan.nworkers;
	int64_t k = (int64_t) ceil(expected + 0.5);
	int of = (int) ((k - 1) % nworkers);

	state->next = k + (state->plan.worker - of + nworkers) % nworkers;
}

static double
usable_rate(double rate)
{
	if (!(rate > 0))
		return 0;
	return fmin(rate, PERFOPT_ARRIVALS_MAX_RATE);
}

static double
usable_length(int64_t ns)
{
	if (ns < 0)
		return 0;
	return (double) (ns < PERFOPT_ARRIVALS_MAX_NS ? ns : PERFOPT_ARRIVALS_MAX_NS);
}

void
perfopt_arrivals_init(PerfoptArrivals *state, const PerfoptArrivalsPlan *plan)
{
	double rate = usable_rate(plan->rate);

	*state = (PerfoptArrivals){ .plan = *plan };
	if (plan->nworkers < 1)
		state->plan.nworkers = 1;
	state->stretches[0] =
		(PerfoptArrivalsStretch){ .length = usable_length(plan->ramp_up_ns), .rate1 = rate };
	state->stretches[1] = (PerfoptArrivalsStretch){ .length = usable_length(plan->hold_ns),
													.rate0 = rate,
													.rate1 = rate };
	state->stretches[2] =
		(PerfoptArrivalsStretch){ .length = usable_length(plan->ramp_down_ns), .rate0 = rate };
	line_up(state);
	skip_to(state, 0);
}

bool
perfopt_arrivals_next(PerfoptArrivals *state, const PerfoptRandom *random, int64_t *t_ns)
{
	bool poisson = state->plan.kind == PERFOPT_ARRIVALS_POISSON;
	double expected;
	int64_t t;

	if (poisson)
	{
		expected = state->reached + perfopt_draw_exponential(random, state->plan.nworkers);
		state->reached = expected;
	}
	else
		expected = (double) state->next - 0.5;
	if (expected >= state->total)
		return false;

	if (!poisson)
		state->next += state->plan.nworkers;
	t = (int64_t) rint(time_of(state, expected));
	if (t > state->last_ns)
		state->last_ns = t;
	*t_ns = state->last_ns;
	return true;
}

static double
expected_by(const PerfoptArrivals *state, double ns)
{
	int i = PERFOPT_ARRIVALS_STRETCHES - 1;

	while (i > 0 && ns < state->stretches[i].begin)
		i--;
	return state->stretches[i].expected +
		   expected_in(&state->stretches[i], fmax(ns - state->stretches[i].begin, 0));
}

double
perfopt_arrivals_expected(const PerfoptArrivals *state, int64_t t_ns)
{
	return expected_by(state, (double) t_ns);
}

bool
perfopt_arrivals_restart(PerfoptArrivals *state, int64_t t_ns, double rate)
{
	double begin = (double) t_ns;
	double hold_end = end_of(&state->stretches[1]);
	double expected = expected_by(state, begin);

	if (begin < state->stretches[0].begin || begin >= hold_end)
		return false;

	/* Times are rounded, so what comes half a nanosecond earlier isn't before t_ns. */
	skip_to(state, expected_by(state, begin - 0.5));
	state->reached = expected;
	state->last_ns = t_ns;

	rate = usable_rate(rate);
	state->stretches[0] = (PerfoptArrivalsStretch){ .begin = begin, .expected = expected };
	state->stretches[1].length = hold_end - begin;
	state->stretches[1].rate0 = rate;
	state->stretches[1].rate1 = rate;
	state->stretches[2].rate0 = rate;
	line_up(state);
	return true;
}
