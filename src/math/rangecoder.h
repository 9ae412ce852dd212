/*
 * rangecoder.h
 *	  Adaptive binary range coder, whose one description of a format both writes and reads it.
 *
 * The coder is Martin's (1979) in the carry-propagating form of LZMA (Pavlov): a bit of
 * probability p costs -log2(p), so a bit that is nearly always the same costs nearly nothing.
 * Each place where a bit is coded has a PerfoptBit, which learns that bit's probability: the rate
 * at which it learns falls from 1/2 to 1/PERFOPT_BIT_MEMORY, as in the estimator of Krichevsky and
 * Trofimov (1981).
 *
 * A function that codes something calls perfopt_code_...() with what is to be written; while
 * reading, that argument is ignored.  Either way the result is what was coded, so writer and
 * reader are the same function and cannot disagree.
 *
 * Writing never goes past `capacity`, but goes on counting.  Reading past the end finds zeros.
 */
#ifndef PERFOPT_RANGECODER_H
#define PERFOPT_RANGECODER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PERFOPT_BIT_MEMORY 64

typedef struct PerfoptBit
{
	uint16_t zero; /* probability of a 0 in 1/65536 */
	uint16_t seen; /* how many it has learned from, up to PERFOPT_BIT_MEMORY - 1 */
} PerfoptBit;

typedef struct PerfoptCoder
{
	bool reading;
	uint32_t range;
	uint32_t code;   /* reading: the input's distance from the bottom of the range */
	uint64_t low;    /* writing: the bottom of the range, with the carry in bit 32 */
	size_t pending;  /* writing: bytes 0xFF that a carry would still turn over */
	uint8_t cache;   /* writing: the byte before those */
	size_t position; /* writing: bytes done, and one that is always 0 and never stored */
	uint8_t *out;
	size_t capacity;
	const uint8_t *in;
	const uint8_t *end;
} PerfoptCoder;

/* How far a probability goes towards what was seen, in 1/65536: 1 / (seen + 2). */
#define PERFOPT_RATE(n) (65536 / ((n) + 2))
#define PERFOPT_RATES_4(n) \
	PERFOPT_RATE(n), PERFOPT_RATE(n + 1), PERFOPT_RATE(n + 2), PERFOPT_RATE(n + 3)
#define PERFOPT_RATES_16(n) \
	PERFOPT_RATES_4(n), PERFOPT_RATES_4(n + 4), PERFOPT_RATES_4(n + 8), PERFOPT_RATES_4(n + 12)

static const uint16_t perfopt_bit_rate[PERFOPT_BIT_MEMORY] = {
	PERFOPT_RATES_16(0), PERFOPT_RATES_16(16), PERFOPT_RATES_16(32), PERFOPT_RATES_16(48)
};

static inline void
perfopt_coder_write(PerfoptCoder *c, uint8_t *out, size_t capacity)
{
	*c = (PerfoptCoder){ .range = UINT32_MAX, .out = out, .capacity = capacity };
}

static inline uint8_t
perfopt_coder_next(PerfoptCoder *c)
{
	return c->in < c->end ? *c->in++ : 0;
}

static inline void
perfopt_coder_read(PerfoptCoder *c, const uint8_t *in, size_t length)
{
	*c = (PerfoptCoder){ .reading = true, .range = UINT32_MAX, .in = in, .end = in + length };
	for (int i = 0; i < 4; i++)
		c->code = c->code << 8 | perfopt_coder_next(c);
}

static inline void
perfopt_coder_put(PerfoptCoder *c, uint8_t byte)
{
	if (c->position > 0 && c->position <= c->capacity)
		c->out[c->position - 1] = byte;
	c->position++;
}

/* Writes the top byte of low once no carry can reach it any more. */
static inline void
perfopt_coder_shift(PerfoptCoder *c)
{
	if (c->low < UINT32_C(0xFF000000) || c->low > UINT32_MAX)
	{
		uint8_t carry = (uint8_t) (c->low >> 32);

		perfopt_coder_put(c, (uint8_t) (c->cache + carry));
		for (; c->pending > 0; c->pending--)
			perfopt_coder_put(c, (uint8_t) (0xFF + carry));
		c->cache = (uint8_t) (c->low >> 24);
	}
	else
		c->pending++;
	c->low = (c->low & UINT32_C(0x00FFFFFF)) << 8;
}

static inline void
perfopt_coder_normalise(PerfoptCoder *c)
{
	while (c->range < UINT32_C(1) << 24)
	{
		c->range <<= 8;
		if (c->reading)
			c->code = c->code << 8 | perfopt_coder_next(c);
		else
			perfopt_coder_shift(c);
	}
}

/* At most this many bytes are written if perfopt_coder_finish() comes next. */
static inline size_t
perfopt_coder_bound(const PerfoptCoder *c)
{
	return c->position + c->pending + 4;
}

/*
 * Ends writing; returns the number of bytes.  Of all numbers in the range it takes the one with
 * most zeros at the end, which the reader finds without their being there.
 */
static inline size_t
perfopt_coder_finish(PerfoptCoder *c)
{
	size_t length;

	for (int bits = 24; bits >= 0; bits -= 8)
	{
		uint64_t mask = (UINT64_C(1) << bits) - 1;
		uint64_t rounded = (c->low + mask) & ~mask;

		if (rounded - c->low < c->range)
		{
			c->low = rounded;
			break;
		}
	}
	for (int i = 0; i < 5; i++)
		perfopt_coder_shift(c);
	length = c->position - 1;
	while (length > 0 && length <= c->capacity && c->out[length - 1] == 0)
		length--;
	return length;
}

static inline void
perfopt_bits_init(PerfoptBit *bits, size_t n)
{
	for (size_t i = 0; i < n; i++)
		bits[i] = (PerfoptBit){ .zero = 32768 };
}

static inline bool
perfopt_code_bit(PerfoptCoder *c, PerfoptBit *model, bool bit)
{
	uint32_t bound = (c->range >> 16) * model->zero;
	uint32_t rate = perfopt_bit_rate[model->seen];

	if (c->reading)
		bit = c->code >= bound;
	if (bit)
	{
		c->low += bound;
		c->code -= bound;
		c->range -= bound;
		model->zero -= (uint16_t) (model->zero * rate >> 16);
	}
	else
	{
		c->range = bound;
		model->zero += (uint16_t) ((UINT32_C(65536) - model->zero) * rate >> 16);
	}
	if (model->seen < PERFOPT_BIT_MEMORY - 1)
		model->seen++;
	perfopt_coder_normalise(c);
	return bit;
}

/* The lowest n bits of value, 0 to 64, without a model: n bits cost n bits. */
static inline uint64_t
perfopt_code_plain(PerfoptCoder *c, int n, uint64_t value)
{
	uint64_t result = 0;

	while (n > 0)
	{
		int part = n < 16 ? n : 16;
		uint32_t most = (UINT32_C(1) << part) - 1;
		uint32_t digits = 0;

		n -= part;
		c->range >>= part;
		if (c->reading)
		{
			/* Only in what no writer wrote is there anything beyond the last part of the range. */
			digits = c->code / c->range;
			digits = digits < most ? digits : most;
			c->code -= digits * c->range;
		}
		else
		{
			digits = (uint32_t) (value >> n) & most;
			c->low += (uint64_t) digits * c->range;
		}
		result = result << part | digits;
		perfopt_coder_normalise(c);
	}
	return result;
}

#endif /* PERFOPT_RANGECODER_H */
