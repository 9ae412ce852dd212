/*
 * draw.h
 *	  Random draws from a caller's generator, and the functions that scatter numbers: hashes and
 *	  permutations.
 *
 * The integer distributions and the scattering functions are those of pgbench, as its manual
 * defines them (PostgreSQL documentation, pgbench, "Built-in Functions").  With n = hi - lo + 1:
 *
 *	exponential	cut into n equal parts, the part of [0, 1) into which X / parameter falls, where X
 *				is exponential with mean 1 and below parameter: P(lo + i) is
 *				(e^(-p i/n) - e^(-p (i+1)/n)) / (1 - e^-p)
 *	gaussian	the same with (X + parameter) / (2 parameter), X standard normal within [-p, p)
 *	zipfian		P(lo + i) is proportional to (i+1)^-s
 *
 * Hashes and permutations have the very values of pgbench (permutations: of version 15 and later,
 * which draw from another generator than 14).  Draws have the same distribution, but other values
 * for the same seed, and without pgbench's loss of digits: there, a value may fall outside lo..hi
 * when an exponential parameter is small or the range beyond 2^53, and with a parameter below 1e-16
 * all are lo.
 *
 * Pure C: no PostgreSQL, no allocation.
 */
#ifndef PERFOPT_DRAW_H
#define PERFOPT_DRAW_H

#include <stdbool.h>
#include <stdint.h>

/* pgbench's limits. */
#define PERFOPT_GAUSSIAN_MIN 2.0
#define PERFOPT_ZIPFIAN_MIN 1.001
#define PERFOPT_ZIPFIAN_MAX 1000.0

/* Where the random bits come from: `next` answers with 64 that are uniform and independent. */
typedef struct PerfoptRandom
{
	uint64_t (*next)(void *state);
	void *state;
} PerfoptRandom;

/* A generator for who has none: xoroshiro128** (Blackman, Vigna, ACM TOMS 47(4), 2021). */
typedef struct PerfoptXoroshiro
{
	uint64_t s0;
	uint64_t s1;
} PerfoptXoroshiro;

/* Any seed will do; it is spread by splitmix64 (Steele, Lea, Flood, OOPSLA 2014). */
extern void perfopt_xoroshiro_seed(PerfoptXoroshiro *state, uint64_t seed);

/* To be PerfoptRandom.next; state is a PerfoptXoroshiro. */
extern uint64_t perfopt_xoroshiro_next(void *state);

/* Uniform in [0, 1), a multiple of 2^-53. */
extern double perfopt_draw_double(const PerfoptRandom *random);

/* Uniform in lo..hi, both included and lo <= hi, without bias.  Any range will do. */
extern int64_t perfopt_draw_int(const PerfoptRandom *random, int64_t lo, int64_t hi);

/* Is this a parameter that the functions below take?  NaN and infinity are none. */
extern bool perfopt_draw_exponential_valid(double parameter);
extern bool perfopt_draw_gaussian_valid(double parameter);
extern bool perfopt_draw_zipfian_valid(double s);

/* In lo..hi, lo <= hi; the parameter must be valid. */
extern int64_t perfopt_draw_exponential_int(const PerfoptRandom *random, int64_t lo, int64_t hi,
											double parameter);
extern int64_t perfopt_draw_gaussian_int(const PerfoptRandom *random, int64_t lo, int64_t hi,
										 double parameter);
extern int64_t perfopt_draw_zipfian_int(const PerfoptRandom *random, int64_t lo, int64_t hi,
										double s);

/* Standard normal. */
extern double perfopt_draw_normal(const PerfoptRandom *random);

/* Exponential with this mean, never negative. */
extern double perfopt_draw_exponential(const PerfoptRandom *random, double mean);

/*
 * Normal, drawn again while negative, which raises the mean a little.  mean and deviation must not
 * be negative; then two tries are enough on average.
 */
extern double perfopt_draw_positive_normal(const PerfoptRandom *random, double mean,
										   double deviation);

/* Fowler-Noll-Vo 1a over the value's eight bytes, lowest first; the seed changes the offset basis. */
extern int64_t perfopt_hash_fnv1a(int64_t value, int64_t seed);

/* MurmurHash2 in its 64-bit form (Appleby, MurmurHash64A), of the value's eight bytes. */
extern int64_t perfopt_hash_murmur2(int64_t value, int64_t seed);

/*
 * Where value modulo size goes in a pseudo-random permutation of 0..size-1, size > 0.  Each seed
 * has its own; different values never go to the same place.
 */
extern int64_t perfopt_permute(int64_t value, int64_t size, int64_t seed);

#endif /* PERFOPT_DRAW_H */
