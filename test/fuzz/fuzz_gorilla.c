/*
 * fuzz_gorilla.c
 *	  Any bytes as a chunk, with and without the right checksum, and any samples there and back.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "math/gorilla.h"

#define MANY 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int64_t ts[MANY];
static double value[MANY];
static int64_t decoded_ts[MANY];
static double decoded_value[MANY];

static void
check(int promise)
{
	if (!promise)
		abort();
}

static void
decode(const uint8_t *data, size_t size)
{
	int count = perfopt_chunk_count(data, size);
	int n = perfopt_chunk_decode(data, size, decoded_ts, decoded_value, MANY);

	check(count <= PERFOPT_CHUNK_MAX_SAMPLES);
	check(n < 0 || (n == count && n > 0));
	if (n < 0)
		check(perfopt_chunk_error(n)[0] != '\0');
}

/* CRC-16/CCITT, bit by bit. */
static void
sign(uint8_t *data, size_t size)
{
	unsigned sum = 0xFFFF;

	for (size_t i = 0; i < size - 2; i++)
	{
		sum ^= (unsigned) data[i] << 8;
		for (int bit = 0; bit < 8; bit++)
			sum = (sum << 1 ^ (sum & 0x8000 ? 0x1021 : 0)) & 0xFFFF;
	}
	data[size - 2] = (uint8_t) (sum >> 8);
	data[size - 1] = (uint8_t) sum;
}

static void
decode_signed(const uint8_t *data, size_t size)
{
	uint8_t *copy = malloc(size + 3);

	check(copy != NULL);
	copy[0] = 1;
	memcpy(copy + 1, data, size);
	sign(copy, size + 3);
	decode(copy, size + 3);
	free(copy);
}

/* Takes up to 8 bytes off the input as a number. */
static uint64_t
take(const uint8_t **data, const uint8_t *end, int bytes)
{
	uint64_t x = 0;

	for (; bytes > 0 && *data < end; bytes--)
		x = x << 8 | *(*data)++;
	return x;
}

/*
 * Samples out of any bytes: one of them says how many the next step and value take and what they
 * are, so that small numbers, decimals and repetitions are as near as any bit pattern.
 */
static int
read_samples(const uint8_t *data, size_t size)
{
	const uint8_t *end = data + size;
	uint64_t time = take(&data, end, 8);
	uint64_t step = 1000000;
	int n = 0;

	while (n < MANY && data < end)
	{
		uint8_t how = (uint8_t) take(&data, end, 1);
		uint64_t x;

		if (how & 1)
			step = take(&data, end, 1 + (how >> 1 & 3) * 2) * (how & 64 ? 1000 : 1);
		x = how & 8 ? take(&data, end, 8) : take(&data, end, 1 + (how >> 5 & 1));
		ts[n] = (int64_t) (n > 0 ? time + step : time);
		if (n > 0 && ts[n] <= ts[n - 1])
			break;
		time = (uint64_t) ts[n];
		if (how & 8)
			memcpy(&value[n], &x, sizeof x);
		else if (how & 16 && n > 0)
			value[n] = value[n - 1];
		else
			value[n] = (double) x / (how & 128 ? 100 : 1);
		n++;
	}
	return n;
}

static void
round_trip(size_t capacity, int n)
{
	uint8_t *out = malloc(capacity);

	check(out != NULL);
	for (int done = 0; done < n;)
	{
		size_t used = 0;
		int some = perfopt_chunk_encode(ts + done, value + done, n - done, out, capacity, &used);

		check(some > 0 && some <= n - done && used <= capacity);
		check(perfopt_chunk_count(out, used) == some);
		check(perfopt_chunk_decode(out, used, decoded_ts, decoded_value, some) == some);
		check(memcmp(decoded_ts, ts + done, (size_t) some * sizeof *ts) == 0);
		check(memcmp(decoded_value, value + done, (size_t) some * sizeof *value) == 0);
		done += some;
	}
	free(out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 1)
		return 0;
	if (data[0] == 0)
		decode(data + 1, size - 1);
	else if (data[0] == 1)
		decode_signed(data + 1, size - 1);
	else
		round_trip(PERFOPT_CHUNK_MIN_CAPACITY + (size_t) (data[0] - 2) * 8,
				   read_samples(data + 1, size - 1));
	return 0;
}
