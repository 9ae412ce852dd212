/*
 * prng.h
 *	  Random numbers for property tests: splitmix64 (Steele, Lea, Flood, OOPSLA 2014), the same
 *	  sequence on every machine for a given seed.
 */
#ifndef PERFOPT_TEST_PRNG_H
#define PERFOPT_TEST_PRNG_H

#include <math.h>
#include <stdint.h>

static inline uint64_t
prng_next(uint64_t *state)
{
	uint64_t z = (*state += UINT64_C(0x9E3779B97F4A7C15));

	z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
	return z ^ (z >> 31);
}

/* Uniform in (0, 1). */
static inline double
prng_uniform(uint64_t *state)
{
	return ((double) (prng_next(state) >> 11) + 0.5) * 0x1p-53;
}

static inline double
prng_normal(uint64_t *state)
{
	return sqrt(-2 * log(prng_uniform(state))) * cos(6.283185307179586 * prng_uniform(state));
}

#endif /* PERFOPT_TEST_PRNG_H */
