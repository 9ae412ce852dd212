/*
 * draw.c
 *	  Random draws from a caller's generator, and the functions that scatter numbers.
 */
#include "math/draw.h"

#include <math.h>

#define TWO_PI 6.28318530717958647693

#define FNV_OFFSET_BASIS UINT64_C(0xcbf29ce484222325)
#define FNV_PRIME UINT64_C(0x100000001b3)
#define MURMUR_MULTIPLIER UINT64_C(0xc6a4a7935bd1e995)
#define MURMUR_SHIFT 47

/* Of the permutation; pgbench has found six to be enough. */
#define PERMUTE_ROUNDS 6

static uint64_t
rotate_left(uint64_t x, int bits)
{
	return x << bits | x >> (64 - bits);
}

/* Position of the highest 1 of x > 0. */
static int
highest_bit(uint64_t x)
{
	int bit = 0;

	for (int step = 32; step > 0; step /= 2)
		if (x >> step > 0)
		{
			x >>= step;
			bit += step;
		}
	return bit;
}

static uint64_t
splitmix64(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

/* Two successive outputs of splitmix64 are never both 0, which is the one state to avoid. */
void
perfopt_xoroshiro_seed(PerfoptXoroshiro *state, uint64_t seed)
{
	state->s0 = splitmix64(&seed);
	state->s1 = splitmix64(&seed);
}

uint64_t
perfopt_xoroshiro_next(void *state)
{
	PerfoptXoroshiro *x = state;
	uint64_t change = x->s0 ^ x->s1;
	uint64_t result = rotate_left(x->s0 * 5, 7) * 9;

	x->s0 = rotate_left(x->s0, 24) ^ change ^ change << 16;
	x->s1 = rotate_left(change, 37);
	return result;
}

static uint64_t
draw_bits(const PerfoptRandom *random)
{
	return random->next(random->state);
}

double
perfopt_draw_double(const PerfoptRandom *random)
{
	return (double) (draw_bits(random) >> 11) * 0x1p-53;
}

/* Uniform in 0..max: as many bits as max has, again while that is too much, so at most twice on average. */
static uint64_t
draw_up_to(const PerfoptRandom *random, uint64_t max)
{
	int shift;
	uint64_t bits;

	if (max == 0)
		return 0;
	shift = 63 - highest_bit(max);
	do
		bits = draw_bits(random) >> shift;
	while (bits > max);
	return bits;
}

/* In two's complement, which is what an int64_t is. */
static int64_t
add_offset(int64_t lo, uint64_t offset)
{
	return (int64_t) ((uint64_t) lo + offset);
}

static uint64_t
distance(int64_t lo, int64_t hi)
{
	return (uint64_t) hi - (uint64_t) lo;
}

int64_t
perfopt_draw_int(const PerfoptRandom *random, int64_t lo, int64_t hi)
{
	return add_offset(lo, draw_up_to(random, distance(lo, hi)));
}

bool
perfopt_draw_exponential_valid(double parameter)
{
	return parameter > 0 && isfinite(parameter);
}

bool
perfopt_draw_gaussian_valid(double parameter)
{
	return parameter >= PERFOPT_GAUSSIAN_MIN && isfinite(parameter);
}

bool
perfopt_draw_zipfian_valid(double s)
{
	return s >= PERFOPT_ZIPFIAN_MIN && s <= PERFOPT_ZIPFIAN_MAX;
}

/* The part of lo..hi into which a position in [0, 1] falls. */
static int64_t
int_at(int64_t lo, int64_t hi, double position)
{
	double offset = floor(((double) distance(lo, hi) + 1) * position);

	/* Rounding may have lifted it beyond the last one; 2^64 doesn't even fit. */
	if (offset >= (double) distance(lo, hi))
		return hi;
	return offset > 0 ? add_offset(lo, (uint64_t) offset) : lo;
}

/*
 * By inversion: a uniform u in [0, 1) has -ln(1 - u (1 - e^-p)) exponential and below p.  Written
 * so that no digits are lost when p is small.
 */
int64_t
perfopt_draw_exponential_int(const PerfoptRandom *random, int64_t lo, int64_t hi, double parameter)
{
	double u = perfopt_draw_double(random);

	return int_at(lo, hi, -log1p(u * expm1(-parameter)) / parameter);
}

int64_t
perfopt_draw_gaussian_int(const PerfoptRandom *random, int64_t lo, int64_t hi, double parameter)
{
	double x;

	do
		x = perfopt_draw_normal(random);
	while (x < -parameter || x >= parameter);

	/* Not (x + p) / 2p, for 2p may be beyond the greatest double. */
	return int_at(lo, hi, x / parameter / 2 + 0.5);
}

/*
 * By rejection: Devroye, Non-Uniform Random Variate Generation, 1986, p. 550-551.  A candidate is
 * x = floor(u^(-1/(s-1))), taken if v x (t-1) / (b-1) <= t/b with t = (1 + 1/x)^(s-1), b = 2^(s-1)
 * and v uniform, which at least 69 % are.  Devroye's u is uniform in (0, 1) and x unbounded; here u
 * is above (n+1)^-(s-1), so that no x is above n: those would be rejected, and with s near 1 nearly
 * all are.  Written with t-1 and b-1 so that no digits are lost when they are small.
 */
int64_t
perfopt_draw_zipfian_int(const PerfoptRandom *random, int64_t lo, int64_t hi, double s)
{
	double power = s - 1;
	double n = (double) distance(lo, hi) + 1;
	double width = expm1(-power * log1p(n));
	double b = expm1(power * log1p(1));
	double x;
	double t;
	double v;

	if (lo == hi)
		return lo;
	do
	{
		x = floor(exp(-log1p(width * perfopt_draw_double(random)) / power));
		t = expm1(power * log1p(1 / x));
		v = perfopt_draw_double(random);
	} while (!(x <= n && v * x * t / b <= (t + 1) / (b + 1)));

	return x >= n ? hi : add_offset(lo, (uint64_t) x - 1);
}

/* Box, Muller, Annals of Mathematical Statistics 29(2), 1958; the second value is thrown away. */
double
perfopt_draw_normal(const PerfoptRandom *random)
{
	double radius = sqrt(perfopt_draw_exponential(random, 2));

	return radius * cos(TWO_PI * perfopt_draw_double(random));
}

double
perfopt_draw_exponential(const PerfoptRandom *random, double mean)
{
	return mean * -log1p(-perfopt_draw_double(random));
}

double
perfopt_draw_positive_normal(const PerfoptRandom *random, double mean, double deviation)
{
	double x;

	/* What may not be would never end. */
	if (!(mean >= 0 && deviation >= 0 && isfinite(mean) && isfinite(deviation)))
		return 0;
	do
		x = mean + deviation * perfopt_draw_normal(random);
	while (x < 0);
	return x;
}

int64_t
perfopt_hash_fnv1a(int64_t value, int64_t seed)
{
	uint64_t hash = FNV_OFFSET_BASIS ^ (uint64_t) seed;

	for (int shift = 0; shift < 64; shift += 8)
		hash = (hash ^ ((uint64_t) value >> shift & 0xff)) * FNV_PRIME;
	return (int64_t) hash;
}

int64_t
perfopt_hash_murmur2(int64_t value, int64_t seed)
{
	uint64_t hash = (uint64_t) seed ^ sizeof(value) * MURMUR_MULTIPLIER;
	uint64_t k = (uint64_t) value * MURMUR_MULTIPLIER;

	k = (k ^ k >> MURMUR_SHIFT) * MURMUR_MULTIPLIER;
	hash = (hash ^ k) * MURMUR_MULTIPLIER;
	hash = (hash ^ hash >> MURMUR_SHIFT) * MURMUR_MULTIPLIER;
	return (int64_t) (hash ^ hash >> MURMUR_SHIFT);
}

/*
 * A bijection of 0..2^bits-1 that leaves greater numbers alone: times an odd number, exclusive or,
 * and the highest bit to the lowest place, because a product's low bits are the less random ones.
 */
static uint64_t
scramble(uint64_t x, int bits, const PerfoptRandom *random)
{
	uint64_t mask = (UINT64_C(1) << bits) - 1;
	uint64_t factor = (draw_bits(random) & mask) | 1;
	uint64_t other = draw_bits(random) & mask;

	if (x > mask)
		return x;
	x = (x * factor ^ other) & mask;
	return (x << 1 & mask) | x >> (bits - 1);
}

/*
 * As the greatest power of 2 within size is all that can be scrambled at once, each round does it to
 * the low end and, mirrored, to the high end, which overlap, and then turns the whole by a random
 * number of places.
 */
int64_t
perfopt_permute(int64_t value, int64_t size, int64_t seed)
{
	PerfoptXoroshiro state;
	PerfoptRandom random = { perfopt_xoroshiro_next, &state };
	uint64_t last = (uint64_t) size - 1;
	uint64_t x;
	int bits;

	if (size < 2)
		return 0;
	perfopt_xoroshiro_seed(&state, (uint64_t) seed);
	bits = highest_bit((uint64_t) size);
	x = (uint64_t) value % (uint64_t) size;
	for (int round = 0; round < PERMUTE_ROUNDS; round++)
	{
		x = scramble(x, bits, &random);
		x = last - scramble(last - x, bits, &random);
		x = (x + draw_up_to(&random, last)) % (uint64_t) size;
	}
	return (int64_t) x;
}
