/*
 * gorilla_plan.h
 *	  What writer and reader of a chunk share: the plan, and which integers stand for the samples.
 *
 * Of use to gorilla.c and gorilla_plan.c alone.  All arithmetic on the integers is modulo 2^64, in
 * two's complement where a sign matters, so nothing overflows and everything can be undone.
 */
#ifndef PERFOPT_GORILLA_PLAN_H
#define PERFOPT_GORILLA_PLAN_H

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define PERFOPT_MAX_EXPONENT 14
#define PERFOPT_NO_EXPONENT 15 /* values are coded by their bits */
#define PERFOPT_EXACT_INTEGERS 9007199254740992.0

/* What the next integer of a sequence is expected to be. */
typedef enum PerfoptExpectation
{
	PERFOPT_EXPECT_BASE, /* always the same */
	PERFOPT_EXPECT_LAST, /* the one before */
	PERFOPT_EXPECT_LINE, /* as far from the one before as that was from the one before it */
	PERFOPT_EXPECTATIONS
} PerfoptExpectation;

typedef struct PerfoptSequence
{
	uint64_t base;
	uint64_t last;
	uint64_t change;
} PerfoptSequence;

/* What is the same for a whole chunk. */
typedef struct PerfoptChunkPlan
{
	uint64_t first; /* timestamp, in units */
	uint64_t unit;
	uint64_t step; /* of the grid, in units */
	uint64_t late; /* PERFOPT_EXPECT_BASE: distance from the grid */
	bool gaps;     /* some steps of the grid have no sample */
	int time_depth;
	PerfoptExpectation time_expectation;
	int exponent;    /* PERFOPT_NO_EXPONENT: bits */
	uint64_t factor; /* integer = factor * what is coded */
	uint64_t base;   /* PERFOPT_EXPECT_BASE: that; else the first of what is coded */
	int value_depth;
	PerfoptExpectation value_expectation;
	bool constant;
	bool exceptions; /* some values are no decimals */
} PerfoptChunkPlan;

/* Fills in the plan for these samples. */
extern void perfopt_chunk_plan(PerfoptChunkPlan *plan, const int64_t *ts, const double *value,
							   int n);

/* Number of bits up to the highest 1. */
static inline int
perfopt_bit_length(uint64_t x)
{
	int length = 0;

	for (int step = 32; step > 0; step /= 2)
		if (x >> step > 0)
		{
			x >>= step;
			length += step;
		}
	return length + (x > 0);
}

static inline uint64_t
perfopt_magnitude(uint64_t x)
{
	return x >> 63 ? 0 - x : x;
}

/* A multiple of the factor by the factor, in two's complement. */
static inline uint64_t
perfopt_divide(uint64_t x, uint64_t factor)
{
	return x >> 63 ? 0 - (0 - x) / factor : x / factor;
}

static inline uint64_t
perfopt_bits_of(double value)
{
	uint64_t bits;

	memcpy(&bits, &value, sizeof bits);
	return bits;
}

static inline double
perfopt_value_of(uint64_t bits)
{
	double value;

	memcpy(&value, &bits, sizeof value);
	return value;
}

/* Bits of doubles such that greater numbers have greater integers; its own inverse. */
static inline uint64_t
perfopt_ordered(uint64_t bits)
{
	return bits >> 63 ? bits ^ INT64_MAX : bits;
}

static const double perfopt_powers_of_ten[PERFOPT_MAX_EXPONENT + 1] = {
	1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14
};

static inline double
perfopt_from_decimal(uint64_t integer, int exponent)
{
	return (double) (int64_t) integer / perfopt_powers_of_ten[exponent];
}

static inline bool
perfopt_to_decimal(double value, int exponent, uint64_t *integer)
{
	double scaled = value * perfopt_powers_of_ten[exponent];

	if (!(fabs(scaled) < PERFOPT_EXACT_INTEGERS))
		return false;
	*integer = (uint64_t) (int64_t) (scaled < 0 ? scaled - 0.5 : scaled + 0.5);
	return perfopt_bits_of(perfopt_from_decimal(*integer, exponent)) == perfopt_bits_of(value);
}

/* False for an exception: its bits are coded. */
static inline bool
perfopt_to_integer(const PerfoptChunkPlan *plan, double value, uint64_t *integer)
{
	if (plan->exponent == PERFOPT_NO_EXPONENT)
		*integer = perfopt_ordered(perfopt_bits_of(value));
	else if (!perfopt_to_decimal(value, plan->exponent, integer))
		return false;
	if (plan->factor > 1)
		*integer = perfopt_divide(*integer, plan->factor);
	return true;
}

static inline double
perfopt_from_integer(const PerfoptChunkPlan *plan, uint64_t integer)
{
	integer *= plan->factor;
	return plan->exponent == PERFOPT_NO_EXPONENT ? perfopt_value_of(perfopt_ordered(integer))
												 : perfopt_from_decimal(integer, plan->exponent);
}

static inline void
perfopt_sequence_init(PerfoptSequence *s, uint64_t base, uint64_t last)
{
	*s = (PerfoptSequence){ .base = base, .last = last };
}

static inline uint64_t
perfopt_expected(const PerfoptSequence *s, PerfoptExpectation expectation)
{
	switch (expectation)
	{
		case PERFOPT_EXPECT_BASE:
			return s->base;
		case PERFOPT_EXPECT_LINE:
			return s->last + s->change;
		default:
			return s->last;
	}
}

static inline void
perfopt_sequence_add(PerfoptSequence *s, uint64_t x)
{
	s->change = x - s->last;
	s->last = x;
}

/* How many steps of the grid lie between two samples, if it is not one. */
static inline uint64_t
perfopt_steps_missing(uint64_t interval, uint64_t distance, uint64_t step)
{
	uint64_t from_grid = interval + distance;

	return from_grid >> 63 || from_grid <= step + step / 2 ? 0 : (from_grid + step / 2) / step - 1;
}

#endif /* PERFOPT_GORILLA_PLAN_H */
