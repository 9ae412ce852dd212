/*
 * gorilla.c
 *	  See gorilla.h.
 */
#include "math/gorilla.h"

#include <math.h>
#include <string.h>

#include "math/rangecoder.h"

#define VERSION 1
#define CHECKSUM_BYTES 2
#define MAX_EXPONENT 14
#define NO_EXPONENT 15 /* values are coded by their bits */
#define EXACT_INTEGERS 9007199254740992.0
#define MODELLED_BITS 3
#define LOOKED_AT 63 /* samples, for a median */

/* What the next integer of a sequence is expected to be. */
typedef enum Expectation
{
	EXPECT_BASE, /* always the same */
	EXPECT_LAST, /* the one before */
	EXPECT_LINE, /* as far from the one before as that was from the one before it */
	EXPECTATIONS
} Expectation;

typedef struct Sequence
{
	uint64_t base;
	uint64_t last;
	uint64_t change;
} Sequence;

/* Models of integers that are mostly near 0. */
typedef struct Integers
{
	PerfoptBit nonzero[2];
	PerfoptBit negative[3];
	PerfoptBit length[64];
	PerfoptBit leading[65][1 << MODELLED_BITS];
	int depth; /* how many bits a length takes */
	bool nonzero_before;
	unsigned sign; /* of the last: none, positive, negative */
} Integers;

/* What is the same for a whole chunk. */
typedef struct Plan
{
	uint64_t first; /* timestamp, in units */
	uint64_t unit;
	uint64_t step; /* of the grid, in units */
	uint64_t late; /* EXPECT_BASE: distance from the grid */
	bool gaps;     /* some steps of the grid have no sample */
	int time_depth;
	Expectation time_expectation;
	int exponent;    /* NO_EXPONENT: bits */
	uint64_t factor; /* integer = factor * what is coded */
	uint64_t base;   /* EXPECT_BASE: that; else the first of what is coded */
	int value_depth;
	Expectation value_expectation;
	bool constant;
	bool exceptions; /* some values are no decimals */
} Plan;

/* Which Expectation leaves the least to be coded: counts differences by their length in bits. */
typedef struct Survey
{
	Sequence sequence;
	uint32_t lengths[EXPECTATIONS][65];
	int n;
} Survey;

static const double powers_of_ten[MAX_EXPONENT + 1] = { 1e0, 1e1, 1e2,  1e3,  1e4,  1e5,  1e6, 1e7,
														1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14 };

/* Number of bits up to the highest 1. */
static int
bit_length(uint64_t x)
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

static uint64_t
magnitude(uint64_t x)
{
	return x >> 63 ? 0 - x : x;
}

/* A multiple of the factor by the factor, in two's complement. */
static uint64_t
divide(uint64_t x, uint64_t factor)
{
	return x >> 63 ? 0 - (0 - x) / factor : x / factor;
}

static uint64_t
common_factor(uint64_t a, uint64_t b)
{
	while (b != 0)
	{
		uint64_t rest = a % b;

		a = b;
		b = rest;
	}
	return a;
}

/* CRC-16/CCITT (polynomial 0x1021), four bits at a time. */
static uint16_t
checksum(const uint8_t *data, size_t length)
{
	static const uint16_t table[16] = { 0x0000, 0x1021, 0x2042, 0x3063, 0x4084, 0x50a5,
										0x60c6, 0x70e7, 0x8108, 0x9129, 0xa14a, 0xb16b,
										0xc18c, 0xd1ad, 0xe1ce, 0xf1ef };
	uint32_t crc = 0xFFFF;

	for (size_t i = 0; i < length; i++)
	{
		crc = (crc << 4 & 0xFFFF) ^ table[(crc >> 12) ^ (data[i] >> 4)];
		crc = (crc << 4 & 0xFFFF) ^ table[(crc >> 12) ^ (data[i] & 15)];
	}
	return (uint16_t) crc;
}

/* Integers of a value.  All arithmetic on them is modulo 2^64, so nothing overflows. */

static uint64_t
bits_of(double value)
{
	uint64_t bits;

	memcpy(&bits, &value, sizeof bits);
	return bits;
}

static double
value_of(uint64_t bits)
{
	double value;

	memcpy(&value, &bits, sizeof value);
	return value;
}

/* Bits of doubles such that greater numbers have greater integers; its own inverse. */
static uint64_t
ordered(uint64_t bits)
{
	return bits >> 63 ? bits ^ INT64_MAX : bits;
}

static double
from_decimal(uint64_t integer, int exponent)
{
	return (double) (int64_t) integer / powers_of_ten[exponent];
}

static bool
to_decimal(double value, int exponent, uint64_t *integer)
{
	double scaled = value * powers_of_ten[exponent];

	if (!(fabs(scaled) < EXACT_INTEGERS))
		return false;
	*integer = (uint64_t) (int64_t) (scaled < 0 ? scaled - 0.5 : scaled + 0.5);
	return bits_of(from_decimal(*integer, exponent)) == bits_of(value);
}

/* False for an exception: its bits are coded. */
static bool
to_integer(const Plan *plan, double value, uint64_t *integer)
{
	if (plan->exponent == NO_EXPONENT)
		*integer = ordered(bits_of(value));
	else if (!to_decimal(value, plan->exponent, integer))
		return false;
	if (plan->factor > 1)
		*integer = divide(*integer, plan->factor);
	return true;
}

static double
from_integer(const Plan *plan, uint64_t integer)
{
	integer *= plan->factor;
	return plan->exponent == NO_EXPONENT ? value_of(ordered(integer))
										 : from_decimal(integer, plan->exponent);
}

/* Sequences of integers. */

static void
sequence_init(Sequence *s, uint64_t base, uint64_t last)
{
	*s = (Sequence){ .base = base, .last = last };
}

static uint64_t
expected(const Sequence *s, Expectation expectation)
{
	switch (expectation)
	{
		case EXPECT_BASE:
			return s->base;
		case EXPECT_LINE:
			return s->last + s->change;
		default:
			return s->last;
	}
}

static void
sequence_add(Sequence *s, uint64_t x)
{
	s->change = x - s->last;
	s->last = x;
}

static void
survey_add(Survey *survey, uint64_t x)
{
	for (int e = 0; e < EXPECTATIONS; e++)
		survey->lengths[e][bit_length(magnitude(x - expected(&survey->sequence, e)))]++;
	sequence_add(&survey->sequence, x);
	survey->n++;
}

/* The entropy of the lengths, and the sign and the bits that follow the first 1. */
static double
survey_bits(const Survey *survey, Expectation expectation)
{
	double bits = 0;

	for (int length = 0; length <= 64; length++)
	{
		double n = survey->lengths[expectation][length];

		if (n > 0)
			bits += n * (log2(survey->n / n) + length);
	}
	return bits;
}

/* The best, the bits that it takes, and in how many bits its greatest length can be written. */
static Expectation
survey_best(const Survey *survey, double *bits, int *depth)
{
	Expectation best = 0;
	int longest = 64;

	*bits = survey_bits(survey, best);
	for (int e = 1; e < EXPECTATIONS; e++)
	{
		double other = survey_bits(survey, e);

		if (other < *bits)
		{
			best = e;
			*bits = other;
		}
	}
	while (longest > 1 && survey->lengths[best][longest] == 0)
		longest--;
	*depth = bit_length((uint64_t) longest - 1);
	return best;
}

/* Coding. */

static void
integers_init(Integers *m, int depth)
{
	m->depth = depth;
	perfopt_bits_init(m->nonzero, 2);
	perfopt_bits_init(m->negative, 3);
	perfopt_bits_init(m->length, 64);
	perfopt_bits_init(m->leading[0], sizeof m->leading / sizeof(PerfoptBit));
	m->nonzero_before = false;
	m->sign = 0;
}

static uint64_t
code_integer(PerfoptCoder *c, Integers *m, uint64_t x)
{
	uint64_t size = magnitude(x);
	int length = bit_length(size);
	bool nonzero = perfopt_code_bit(c, &m->nonzero[m->nonzero_before], length > 0);
	bool negative;
	unsigned node = 1;
	int left;

	m->nonzero_before = nonzero;
	if (!nonzero)
		return 0;
	negative = perfopt_code_bit(c, &m->negative[m->sign], x >> 63);
	m->sign = 1 + negative;

	for (int bit = m->depth - 1; bit >= 0; bit--)
		node = node << 1 | perfopt_code_bit(c, &m->length[node], (length - 1) >> bit & 1);
	length = (int) (node ^ 1U << m->depth) + 1;

	left = length - 1;
	node = 1;
	for (int i = 0; i < MODELLED_BITS && left > 0; i++)
	{
		left--;
		node = node << 1 | perfopt_code_bit(c, &m->leading[length][node], size >> left & 1);
	}
	size = (uint64_t) node << left | perfopt_code_plain(c, left, size);
	return negative ? 0 - size : size;
}

static uint64_t
code_next(PerfoptCoder *c, Integers *m, Sequence *s, Expectation expectation, uint64_t x)
{
	uint64_t expect = expected(s, expectation);

	x = expect + code_integer(c, m, x - expect);
	sequence_add(s, x);
	return x;
}

/* A number of the plan. */
static uint64_t
code_number(PerfoptCoder *c, uint64_t x)
{
	int length = (int) perfopt_code_plain(c, 7, (uint64_t) bit_length(x));

	if (length == 0)
		return 0;
	if (length > 64)
		length = 64;
	return UINT64_C(1) << (length - 1) | perfopt_code_plain(c, length - 1, x);
}

static uint64_t
code_signed(PerfoptCoder *c, uint64_t x)
{
	x = code_number(c, x << 1 ^ (0 - (x >> 63)));
	return x >> 1 ^ (0 - (x & 1));
}

static void
code_plan(PerfoptCoder *c, Plan *plan)
{
	plan->time_expectation = perfopt_code_plain(c, 2, plan->time_expectation);
	plan->value_expectation = perfopt_code_plain(c, 2, plan->value_expectation);
	plan->time_depth = (int) perfopt_code_plain(c, 3, (uint64_t) plan->time_depth);
	plan->value_depth = (int) perfopt_code_plain(c, 3, (uint64_t) plan->value_depth);
	plan->gaps = perfopt_code_plain(c, 1, plan->gaps);
	plan->constant = perfopt_code_plain(c, 1, plan->constant);
	plan->exceptions = perfopt_code_plain(c, 1, plan->exceptions);
	plan->exponent = (int) perfopt_code_plain(c, 4, (uint64_t) plan->exponent);
	plan->factor = code_number(c, plan->factor);
	plan->base = code_signed(c, plan->base);
	plan->unit = code_number(c, plan->unit);
	plan->first = code_signed(c, plan->first);
	plan->step = code_number(c, plan->step);
	plan->late = code_signed(c, plan->late);
	if (plan->time_depth > 6)
		plan->time_depth = 6;
	if (plan->value_depth > 6)
		plan->value_depth = 6;
}

typedef struct Chunk
{
	Plan plan;
	PerfoptCoder coder;
	uint64_t time; /* of the last sample, in units */
	Sequence distance;
	Sequence values;
	Integers missing_models;
	Integers distance_models;
	Integers value_models;
	PerfoptBit exception[2];
	bool was_exception;
} Chunk;

static void
chunk_init(Chunk *chunk)
{
	code_plan(&chunk->coder, &chunk->plan);
	chunk->time = chunk->plan.first;
	sequence_init(&chunk->distance, chunk->plan.late, 0);
	sequence_init(&chunk->values, chunk->plan.base, chunk->plan.base);
	integers_init(&chunk->missing_models, 6);
	integers_init(&chunk->distance_models, chunk->plan.time_depth);
	integers_init(&chunk->value_models, chunk->plan.value_depth);
	perfopt_bits_init(chunk->exception, 2);
	chunk->was_exception = false;
}

/* How many steps of the grid lie between two samples, if it is not one. */
static uint64_t
steps_missing(uint64_t interval, uint64_t distance, uint64_t step)
{
	uint64_t from_grid = interval + distance;

	return from_grid >> 63 || from_grid <= step + step / 2 ? 0 : (from_grid + step / 2) / step - 1;
}

/* The time of a sample but the first, in units. */
static uint64_t
code_time(Chunk *chunk, uint64_t time)
{
	uint64_t step = chunk->plan.step;
	uint64_t last = chunk->distance.last;
	uint64_t missing = 0;
	uint64_t grid;

	if (!chunk->coder.reading)
		missing = steps_missing(time - chunk->time, last, step);
	if (chunk->plan.gaps)
		missing = code_integer(&chunk->coder, &chunk->missing_models, missing);
	grid = chunk->time - last + step * (missing + 1);
	chunk->time = grid + code_next(&chunk->coder, &chunk->distance_models, &chunk->distance,
								   chunk->plan.time_expectation, time - grid);
	return chunk->time;
}

static double
code_value(Chunk *chunk, double value)
{
	const Plan *plan = &chunk->plan;
	uint64_t integer = 0;
	bool exception;

	if (plan->constant)
		return from_integer(plan, plan->base);
	exception = !chunk->coder.reading && !to_integer(plan, value, &integer);
	if (plan->exceptions)
	{
		exception =
			perfopt_code_bit(&chunk->coder, &chunk->exception[chunk->was_exception], exception);
		chunk->was_exception = exception;
		if (exception)
			return value_of(perfopt_code_plain(&chunk->coder, 64, bits_of(value)));
	}
	integer = code_next(&chunk->coder, &chunk->value_models, &chunk->values,
						plan->value_expectation, integer);
	return chunk->coder.reading ? from_integer(plan, integer) : value;
}

/* Planning. */

/* The middle one of up to LOOKED_AT integers in two's complement. */
static uint64_t
median(uint64_t *x, int n)
{
	for (int i = 1; i < n; i++)
	{
		uint64_t one = x[i];
		int j = i;

		for (; j > 0 && (int64_t) x[j - 1] > (int64_t) one; j--)
			x[j] = x[j - 1];
		x[j] = one;
	}
	return n > 0 ? x[n / 2] : 0;
}

/* Where to look for the i-th of LOOKED_AT samples out of n, from the first to the last. */
static int
looked_at(int i, int n)
{
	return n <= LOOKED_AT ? i : (int) ((int64_t) i * (n - 1) / (LOOKED_AT - 1));
}

static uint64_t
interval_before(const int64_t *ts, int i, uint64_t unit)
{
	return ((uint64_t) ts[i] - (uint64_t) ts[i - 1]) / unit;
}

/*
 * The step of the grid: the mean interval, in which one that misses samples counts as several.
 * The median of some says what is one; from there the mean finds the step without the jitter.
 */
static uint64_t
find_step(const int64_t *ts, int n, uint64_t unit)
{
	uint64_t some[LOOKED_AT];
	int count = n - 1 < LOOKED_AT ? n - 1 : LOOKED_AT;
	uint64_t usual;
	uint64_t steps = 0;
	uint64_t mean;

	for (int i = 0; i < count; i++)
		some[i] = interval_before(ts, 1 + looked_at(i, n - 1), unit);
	usual = median(some, count);
	usual = usual > 0 ? usual : 1;
	for (int i = 1; i < n; i++)
		steps += steps_missing(interval_before(ts, i, unit), 0, usual) + 1;
	steps = steps > 0 ? steps : 1;
	mean = (((uint64_t) ts[n - 1] - (uint64_t) ts[0]) / unit + steps / 2) / steps;
	return mean > 0 ? mean : 1;
}

/* The usual distance from the grid through the first sample. */
static uint64_t
find_lateness(const int64_t *ts, int n, uint64_t unit, uint64_t step)
{
	uint64_t some[LOOKED_AT];
	int count = n < LOOKED_AT ? n : LOOKED_AT;

	for (int i = 0; i < count; i++)
	{
		uint64_t after = ((uint64_t) ts[looked_at(i, n)] - (uint64_t) ts[0]) / unit;

		some[i] = (after + step / 2) % step - step / 2;
	}
	return median(some, count);
}

static void
plan_times(Plan *plan, const int64_t *ts, int n)
{
	Survey survey = { .n = 0 };
	uint64_t unit = magnitude((uint64_t) ts[0]);
	double bits;

	for (int i = 1; i < n && unit != 1; i++)
		unit = common_factor((uint64_t) ts[i] - (uint64_t) ts[i - 1], unit);
	plan->unit = unit > 0 ? unit : 1;
	plan->first = divide((uint64_t) ts[0], plan->unit);
	plan->step = find_step(ts, n, plan->unit);
	plan->late = find_lateness(ts, n, plan->unit, plan->step);
	sequence_init(&survey.sequence, plan->late, 0);
	for (int i = 1; i < n; i++)
	{
		uint64_t interval = interval_before(ts, i, plan->unit);
		uint64_t last = survey.sequence.last;
		uint64_t missing = steps_missing(interval, last, plan->step);

		survey_add(&survey, interval + last - plan->step * (missing + 1));
		plan->gaps |= missing > 0;
	}
	plan->time_expectation = survey_best(&survey, &bits, &plan->time_depth);
}

/* The exponent with which the fewest bits are expected; an exception costs 64. */
static int
find_exponent(const double *value, int n)
{
	int needs[MAX_EXPONENT + 1] = { 0 };
	int exceptions = n;
	int best = NO_EXPONENT;
	double best_bits = 64.0 * n;

	for (int i = 0; i < n; i++)
	{
		uint64_t integer;

		for (int e = 0; e <= MAX_EXPONENT; e++)
			if (to_decimal(value[i], e, &integer))
			{
				needs[e]++;
				break;
			}
	}
	for (int e = 0; e <= MAX_EXPONENT; e++)
	{
		double bits;

		exceptions -= needs[e];
		bits = 64.0 * exceptions + e * log2(10) * n;
		if (bits < best_bits)
		{
			best = e;
			best_bits = bits;
		}
	}
	return best;
}

/* The common factor of the integers of the values. */
static uint64_t
find_factor(const Plan *plan, const double *value, int n)
{
	uint64_t factor = 0;
	uint64_t integer;

	for (int i = 0; i < n && factor != 1; i++)
		if (to_integer(plan, value[i], &integer))
			factor = common_factor(magnitude(integer), factor);
	return factor > 0 ? factor : 1;
}

/* The integer in the middle of those of some values. */
static uint64_t
find_middle(const Plan *plan, const double *value, int n)
{
	uint64_t some[LOOKED_AT];
	int count = 0;

	for (int i = 0; i < n && i < LOOKED_AT; i++)
		count += to_integer(plan, value[looked_at(i, n)], &some[count]);
	return median(some, count);
}

/* Completes a plan with this exponent; returns the bits that the values are expected to take. */
static double
plan_integers(Plan *plan, const double *value, int n, int exponent)
{
	Survey survey = { .n = 0 };
	uint64_t middle;
	uint64_t integer;
	double bits;

	plan->exponent = exponent;
	plan->factor = 1;
	plan->factor = find_factor(plan, value, n);
	middle = find_middle(plan, value, n);
	for (int i = 0; i < n; i++)
	{
		if (!to_integer(plan, value[i], &integer))
			continue;
		if (survey.n == 0)
		{
			plan->base = integer;
			sequence_init(&survey.sequence, middle, integer);
		}
		survey_add(&survey, integer);
	}
	plan->exceptions = survey.n < n;
	plan->value_expectation = survey_best(&survey, &bits, &plan->value_depth);
	if (plan->value_expectation == EXPECT_BASE)
		plan->base = middle;
	return bits + 64.0 * (n - survey.n);
}

static void
plan_values(Plan *plan, const double *value, int n)
{
	int exponent;

	plan->constant = true;
	for (int i = 1; i < n && plan->constant; i++)
		plan->constant = bits_of(value[i]) == bits_of(value[0]);
	if (plan->constant)
		n = 1;
	exponent = find_exponent(value, n);
	if (exponent != NO_EXPONENT)
	{
		double bits = plan_integers(plan, value, n, exponent);
		Plan other = *plan;

		if (!plan->exceptions || bits <= plan_integers(&other, value, n, NO_EXPONENT))
			return;
	}
	(void) plan_integers(plan, value, n, NO_EXPONENT);
}

/* The head and the ends of a chunk. */

static size_t
write_head(uint8_t *out, uint32_t count)
{
	size_t length = 0;

	out[length++] = VERSION;
	for (; count >= 128; count >>= 7)
		out[length++] = (uint8_t) (count | 128);
	out[length++] = (uint8_t) count;
	return length;
}

/* Returns the number of samples or an error; *head is where the coder's bytes begin. */
static int
read_head(const uint8_t *data, size_t length, size_t *head)
{
	uint32_t count = 0;

	if (length < 2 + CHECKSUM_BYTES)
		return PERFOPT_CHUNK_TRUNCATED;
	if (data[0] != VERSION)
		return PERFOPT_CHUNK_FORMAT;
	*head = 1;
	for (int shift = 0; shift < 21; shift += 7)
	{
		uint8_t byte = data[(*head)++];

		count |= (uint32_t) (byte & 127) << shift;
		if (byte < 128)
			return count < 1 || count > PERFOPT_CHUNK_MAX_SAMPLES ? PERFOPT_CHUNK_CORRUPT
																  : (int) count;
		if (*head > length - CHECKSUM_BYTES)
			return PERFOPT_CHUNK_TRUNCATED;
	}
	return PERFOPT_CHUNK_CORRUPT;
}

/* As perfopt_chunk_encode(), with a plan for exactly these samples. */
static int
encode(const int64_t *ts, const double *value, int n, uint8_t *out, size_t capacity, size_t *used)
{
	Chunk chunk;
	size_t head = write_head(out, (uint32_t) n);
	size_t room = capacity - head - CHECKSUM_BYTES;
	size_t length;
	uint16_t crc;
	int done;

	memset(&chunk, 0, sizeof chunk);
	plan_times(&chunk.plan, ts, n);
	plan_values(&chunk.plan, value, n);
	perfopt_coder_write(&chunk.coder, out + head, room);
	chunk_init(&chunk);
	for (done = 0; done < n; done++)
	{
		PerfoptCoder before = chunk.coder;

		if (done > 0)
			code_time(&chunk, divide((uint64_t) ts[done], chunk.plan.unit));
		code_value(&chunk, value[done]);
		if (perfopt_coder_bound(&chunk.coder) > room)
		{
			chunk.coder = before;
			break;
		}
	}
	length = perfopt_coder_finish(&chunk.coder);
	if (done < n)
	{
		size_t shorter = write_head(out, (uint32_t) done);

		memmove(out + shorter, out + head, length);
		head = shorter;
	}
	length += head;
	crc = checksum(out, length);
	out[length++] = (uint8_t) (crc >> 8);
	out[length++] = (uint8_t) crc;
	*used = length;
	return done;
}

int
perfopt_chunk_encode(const int64_t *ts, const double *value, int n, uint8_t *out, size_t capacity,
					 size_t *used)
{
	int done = 0;
	double guess = (double) capacity;

	if (n <= 0 || capacity < PERFOPT_CHUNK_MIN_CAPACITY)
		return 0;
	if (n > PERFOPT_CHUNK_MAX_SAMPLES)
		n = PERFOPT_CHUNK_MAX_SAMPLES;

	/* A plan for many more than fit would suit them less, and take its time. */
	for (int tried = 0; done == tried && tried < n;
		 guess = 1.1 * tried * (double) capacity / (double) *used)
	{
		tried = guess < n ? (int) guess : n;
		done = encode(ts, value, tried, out, capacity, used);
	}
	return done;
}

int
perfopt_chunk_count(const uint8_t *data, size_t length)
{
	size_t head;

	return read_head(data, length, &head);
}

int
perfopt_chunk_decode(const uint8_t *data, size_t length, int64_t *ts, double *value, int capacity)
{
	Chunk chunk;
	size_t head;
	int n = read_head(data, length, &head);

	if (n < 0)
		return n;
	length -= CHECKSUM_BYTES;
	if (checksum(data, length) != (data[length] << 8 | data[length + 1]))
		return PERFOPT_CHUNK_CORRUPT;
	if (n > capacity)
		return PERFOPT_CHUNK_CAPACITY;
	memset(&chunk, 0, sizeof chunk);
	perfopt_coder_read(&chunk.coder, data + head, length - head);
	chunk_init(&chunk);
	for (int i = 0; i < n; i++)
	{
		ts[i] = (int64_t) ((i > 0 ? code_time(&chunk, 0) : chunk.time) * chunk.plan.unit);
		value[i] = code_value(&chunk, 0);
	}
	return n;
}

const char *
perfopt_chunk_error(int code)
{
	switch (code)
	{
		case PERFOPT_CHUNK_TRUNCATED:
			return "it is cut short";
		case PERFOPT_CHUNK_FORMAT:
			return "it has a format that this version does not know";
		case PERFOPT_CHUNK_CORRUPT:
			return "its checksum does not match";
		case PERFOPT_CHUNK_CAPACITY:
			return "it has more samples than expected";
		default:
			return "unknown error";
	}
}
