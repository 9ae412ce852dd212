/*
 * gorilla.c
 *	  See gorilla.h.
 */
#include "math/gorilla.h"

#include <string.h>

#include "math/gorilla_plan.h"
#include "math/rangecoder.h"

#define VERSION 1
#define CHECKSUM_BYTES 2
#define MODELLED_BITS 3

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
	uint64_t size = perfopt_magnitude(x);
	int length = perfopt_bit_length(size);
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
code_next(PerfoptCoder *c, Integers *m, PerfoptSequence *s, PerfoptExpectation expectation,
		  uint64_t x)
{
	uint64_t expect = perfopt_expected(s, expectation);

	x = expect + code_integer(c, m, x - expect);
	perfopt_sequence_add(s, x);
	return x;
}

/* A number of the plan. */
static uint64_t
code_number(PerfoptCoder *c, uint64_t x)
{
	int length = (int) perfopt_code_plain(c, 7, (uint64_t) perfopt_bit_length(x));

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
code_plan(PerfoptCoder *c, PerfoptChunkPlan *plan)
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
	PerfoptChunkPlan plan;
	PerfoptCoder coder;
	uint64_t time; /* of the last sample, in units */
	PerfoptSequence distance;
	PerfoptSequence values;
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
	perfopt_sequence_init(&chunk->distance, chunk->plan.late, 0);
	perfopt_sequence_init(&chunk->values, chunk->plan.base, chunk->plan.base);
	integers_init(&chunk->missing_models, 6);
	integers_init(&chunk->distance_models, chunk->plan.time_depth);
	integers_init(&chunk->value_models, chunk->plan.value_depth);
	perfopt_bits_init(chunk->exception, 2);
	chunk->was_exception = false;
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
		missing = perfopt_steps_missing(time - chunk->time, last, step);
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
	const PerfoptChunkPlan *plan = &chunk->plan;
	uint64_t integer = 0;
	bool exception;

	if (plan->constant)
		return perfopt_from_integer(plan, plan->base);
	exception = !chunk->coder.reading && !perfopt_to_integer(plan, value, &integer);
	if (plan->exceptions)
	{
		exception =
			perfopt_code_bit(&chunk->coder, &chunk->exception[chunk->was_exception], exception);
		chunk->was_exception = exception;
		if (exception)
			return perfopt_value_of(perfopt_code_plain(&chunk->coder, 64, perfopt_bits_of(value)));
	}
	integer = code_next(&chunk->coder, &chunk->value_models, &chunk->values,
						plan->value_expectation, integer);
	return chunk->coder.reading ? perfopt_from_integer(plan, integer) : value;
}

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
		uint8_t byte;

		if (*head >= length - CHECKSUM_BYTES)
			return PERFOPT_CHUNK_TRUNCATED;
		byte = data[(*head)++];
		count |= (uint32_t) (byte & 127) << shift;
		if (byte < 128)
			return count < 1 || count > PERFOPT_CHUNK_MAX_SAMPLES ? PERFOPT_CHUNK_CORRUPT
																  : (int) count;
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
	perfopt_chunk_plan(&chunk.plan, ts, value, n);
	perfopt_coder_write(&chunk.coder, out + head, room);
	chunk_init(&chunk);
	for (done = 0; done < n; done++)
	{
		PerfoptCoder before = chunk.coder;

		if (done > 0)
			code_time(&chunk, perfopt_divide((uint64_t) ts[done], chunk.plan.unit));
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
	double guess = (double) capacity;
	int tried;
	int done;

	if (n <= 0 || capacity < PERFOPT_CHUNK_MIN_CAPACITY)
		return 0;
	if (n > PERFOPT_CHUNK_MAX_SAMPLES)
		n = PERFOPT_CHUNK_MAX_SAMPLES;

	/* A plan for many more than fit would suit them less, and take its time. */
	do
	{
		tried = guess < n ? (int) guess : n;
		done = encode(ts, value, tried, out, capacity, used);
		guess = 1.1 * tried * (double) capacity / (double) *used;
	} while (done == tried && tried < n);
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
