/*
 * test_gorilla.c
 *	  Chunks: whatever goes in comes out, and whatever comes in does no harm.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "math/gorilla.h"
#include "prng.h"

#define MANY 5000
#define BYTES_A_SAMPLE 32

static int64_t ts[MANY];
static double value[MANY];
static int64_t decoded_ts[MANY];
static double decoded_value[MANY];

static double
from_bits(uint64_t bits)
{
	double v;

	memcpy(&v, &bits, sizeof v);
	return v;
}

static const uint64_t special_bits[] = {
	0x0000000000000000, 0x8000000000000000, /* zeros */
	0x7FF0000000000000, 0xFFF0000000000000, /* infinities */
	0x7FF8000000000000, 0xFFF8000000000000, /* quiet NaN */
	0x7FF0000000000001, 0x7FFDEADBEEF12345, /* NaN with payloads */
	0xFFFFFFFFFFFFFFFF, 0x7FFFFFFFFFFFFFFF, 0x0000000000000001, 0x800FFFFFFFFFFFFF, /* denormals */
	0x0010000000000000, 0x7FEFFFFFFFFFFFFF, /* the least and the greatest normal */
	0x4340000000000000, 0x4340000000000001, /* 2^53 and what follows */
	0x433FFFFFFFFFFFFF, 0xC340000000000000, 0x3FF0000000000000, 0x3FB999999999999A, /* 1 and 0.1 */
	0x3FD3333333333334, 0x3FD5555555555555, /* 0.1 + 0.2 and 1/3 */
	0x43E0000000000000, 0xC3E0000000000000, /* 2^63 */
	0x7E37E43C8800759C, 0x3E112E0BE826D695, /* 1e300 and 1e-9 */
};

#define SPECIALS ((int) (sizeof special_bits / sizeof special_bits[0]))

/* In a buffer of exactly that size, so that the sanitizer sees a step too far. */
static int
decode_copy(const uint8_t *data, size_t length, int capacity)
{
	uint8_t *copy = malloc(length > 0 ? length : 1);
	int n;

	assert_non_null(copy);
	memcpy(copy, data, length);
	n = perfopt_chunk_decode(copy, length, decoded_ts, decoded_value, capacity);
	free(copy);
	return n;
}

static void
assert_decodes_to(const uint8_t *data, size_t length, int from, int n)
{
	assert_int_equal(perfopt_chunk_count(data, length), n);
	assert_int_equal(decode_copy(data, length, n), n);
	assert_memory_equal(decoded_ts, ts + from, (size_t) n * sizeof(int64_t));
	assert_memory_equal(decoded_value, value + from, (size_t) n * sizeof(double));
}

/* Encodes the first n samples in pieces of at most capacity bytes; returns the bytes of all. */
static size_t
round_trip(int n, size_t capacity)
{
	size_t total = 0;
	uint8_t *out = malloc(capacity);

	assert_non_null(out);
	for (int done = 0; done < n;)
	{
		size_t used = 0;
		int some = perfopt_chunk_encode(ts + done, value + done, n - done, out, capacity, &used);

		assert_true(some >= 1 && some <= n - done);
		assert_true(used >= 1 && used <= capacity);
		assert_decodes_to(out, used, done, some);
		total += used;
		done += some;
	}
	free(out);
	return total;
}

static size_t
round_trip_whole(int n)
{
	return round_trip(n, PERFOPT_CHUNK_MIN_CAPACITY + (size_t) n * BYTES_A_SAMPLE);
}

static void
regular_times(int n)
{
	for (int i = 0; i < n; i++)
		ts[i] = INT64_C(848000000000000) + i * INT64_C(1000000);
}

static int64_t
random_step(uint64_t *seed, int kind)
{
	switch (kind)
	{
		case 0:
			return 1000000;
		case 1:
			return 30000000 + 1000 * (int64_t) (prng_next(seed) % 5);
		case 2:
			return prng_next(seed) % 20 == 0 ? 3000000 : 1000000;
		case 3:
			return 1 + (int64_t) (prng_next(seed) % 2000000);
		default:
			return 1 + (int64_t) (prng_next(seed) >> (18 + prng_next(seed) % 46));
	}
}

static double
random_value(uint64_t *seed, int kind, double before)
{
	switch (kind)
	{
		case 0:
			return before;
		case 1:
			return (double) (prng_next(seed) % 5);
		case 2:
			return floor(1e9 * prng_uniform(seed));
		case 3:
			return 8192.0 * (double) (prng_next(seed) % 100000);
		case 4:
			return round(1e6 * prng_uniform(seed)) / 1e6;
		case 5:
			return round(100 * prng_normal(seed)) / 100;
		case 6:
			return before + floor(10 * prng_uniform(seed));
		case 7:
			return prng_normal(seed);
		case 8:
			return from_bits(prng_next(seed));
		case 9:
			return from_bits(special_bits[prng_next(seed) % SPECIALS]);
		case 10:
			return prng_next(seed) % 10 == 0 ? from_bits(prng_next(seed))
											 : floor(99 * prng_uniform(seed));
		case 11:
			return (double) (float) prng_normal(seed);
		default:
			return prng_next(seed) % 50 == 0 ? prng_normal(seed) : before;
	}
}

#define STEP_KINDS 5
#define VALUE_KINDS 13

static void
random_samples(uint64_t *seed, int n, int step_kind, int value_kind)
{
	int64_t time = step_kind == 4
					   ? INT64_MIN + (int64_t) (prng_next(seed) >> 20)
					   : INT64_C(848000000000000) + (int64_t) (prng_next(seed) % 1000) * 1000;
	double last = 42;

	for (int i = 0; i < n; i++)
	{
		ts[i] = time;
		time += random_step(seed, step_kind);
		value[i] = last = random_value(seed, value_kind, last);
	}
}

static void
every_kind_comes_back(void **state)
{
	uint64_t seed = 1;

	(void) state;
	for (int step = 0; step < STEP_KINDS; step++)
		for (int kind = 0; kind < VALUE_KINDS; kind++)
			for (int n = 1; n <= 300; n += n < 40 ? 1 : 37)
			{
				random_samples(&seed, n, step, kind);
				(void) round_trip_whole(n);
			}
}

static void
every_length_comes_back(void **state)
{
	uint64_t seed = 2;

	(void) state;
	for (int n = 1; n <= 600; n++)
	{
		random_samples(&seed, n, n % STEP_KINDS, (int) (prng_next(&seed) % VALUE_KINDS));
		(void) round_trip_whole(n);
	}
}

static void
every_special_value_comes_back(void **state)
{
	(void) state;
	regular_times(SPECIALS * SPECIALS);
	for (int i = 0; i < SPECIALS; i++)
	{
		value[0] = from_bits(special_bits[i]);
		(void) round_trip_whole(1);
		for (int j = 0; j < SPECIALS; j++)
		{
			value[1] = from_bits(special_bits[j]);
			value[2] = value[0];
			(void) round_trip_whole(3);
		}
	}
	for (int i = 0; i < SPECIALS * SPECIALS; i++)
		value[i] = from_bits(special_bits[(i / SPECIALS + i) % SPECIALS]);
	(void) round_trip_whole(SPECIALS * SPECIALS);
}

static void
extreme_times_come_back(void **state)
{
	const int64_t extremes[] = { INT64_MIN,
								 INT64_MIN + 1,
								 -INT64_C(9000000000000000000),
								 -1000,
								 -1,
								 0,
								 1,
								 1000,
								 INT64_C(1) << 62,
								 INT64_MAX - 1,
								 INT64_MAX };
	const int n = sizeof extremes / sizeof extremes[0];

	(void) state;
	for (unsigned chosen = 1; chosen < 1U << n; chosen++)
	{
		int count = 0;

		for (int i = 0; i < n; i++)
			if (chosen >> i & 1)
			{
				ts[count] = extremes[i];
				value[count++] = i;
			}
		(void) round_trip_whole(count);
	}
}

/* Dense at one end and a leap to the other: the sum of the steps wraps. */
static void
leaps_come_back(void **state)
{
	(void) state;
	for (int i = 0; i < 1000; i++)
	{
		ts[i] = i < 999 ? INT64_MIN + i : INT64_MAX;
		value[i] = 1;
	}
	(void) round_trip_whole(1000);
	for (int i = 0; i < 1000; i++)
		ts[i] = i < 2 ? (i == 0 ? INT64_MIN : 0) : INT64_MAX - 1000 + i;
	(void) round_trip_whole(1000);
}

static void
pieces_make_the_whole(void **state)
{
	uint64_t seed = 3;

	(void) state;
	for (int kind = 0; kind < VALUE_KINDS; kind++)
		for (size_t capacity = PERFOPT_CHUNK_MIN_CAPACITY; capacity < 2000;
			 capacity += 1 + capacity / 3)
		{
			random_samples(&seed, 400, kind % STEP_KINDS, kind);
			(void) round_trip(400, capacity);
		}
}

/* Not only as many as fit, but nearly as many as could. */
static void
pieces_are_filled(void **state)
{
	uint64_t seed = 4;
	uint8_t out[1000];
	size_t used;

	(void) state;
	random_samples(&seed, MANY, 1, 2);
	assert_true(perfopt_chunk_encode(ts, value, MANY, out, sizeof out, &used) < MANY);
	assert_true(used >= sizeof out - 20 && used <= sizeof out);
}

static void
refuses_what_it_cannot_encode(void **state)
{
	uint8_t out[PERFOPT_CHUNK_MIN_CAPACITY] = { 77 };
	size_t used = 5;

	(void) state;
	regular_times(1);
	value[0] = 1;
	assert_int_equal(perfopt_chunk_encode(ts, value, 0, out, sizeof out, &used), 0);
	assert_int_equal(perfopt_chunk_encode(ts, value, -1, out, sizeof out, &used), 0);
	assert_int_equal(perfopt_chunk_encode(ts, value, 1, out, sizeof out - 1, &used), 0);
	assert_int_equal(out[0], 77);
	assert_int_equal(used, 5);
}

static void
a_chunk_has_its_most(void **state)
{
	const int n = PERFOPT_CHUNK_MAX_SAMPLES + 1;
	int64_t *times = malloc((size_t) n * sizeof *times);
	double *values = calloc((size_t) n, sizeof *values);
	uint8_t out[4096];
	size_t used;

	(void) state;
	assert_non_null(times);
	assert_non_null(values);
	for (int i = 0; i < n; i++)
		times[i] = i * INT64_C(30000000);
	assert_int_equal(perfopt_chunk_encode(times, values, n, out, sizeof out, &used), n - 1);
	assert_int_equal(perfopt_chunk_count(out, used), n - 1);
	assert_true(used < 100);
	assert_int_equal(perfopt_chunk_decode(out, used, times, values, n), n - 1);
	assert_int_equal(times[n - 2], (n - 2) * INT64_C(30000000));
	free(times);
	free(values);
}

static void
no_room_is_an_error(void **state)
{
	uint8_t out[500];
	size_t used;

	(void) state;
	regular_times(10);
	for (int i = 0; i < 10; i++)
		value[i] = i * i;
	assert_int_equal(perfopt_chunk_encode(ts, value, 10, out, sizeof out, &used), 10);
	for (int capacity = 0; capacity < 10; capacity++)
		assert_int_equal(decode_copy(out, used, capacity), PERFOPT_CHUNK_CAPACITY);
	out[0]++;
	assert_int_equal(decode_copy(out, used, 10), PERFOPT_CHUNK_FORMAT);
	assert_int_equal(perfopt_chunk_count(out, used), PERFOPT_CHUNK_FORMAT);
}

static void
every_error_has_a_text(void **state)
{
	(void) state;
	for (int code = PERFOPT_CHUNK_CAPACITY; code < 0; code++)
		assert_string_not_equal(perfopt_chunk_error(code), perfopt_chunk_error(-100));
	assert_non_null(perfopt_chunk_error(0));
}

/* A cut or a flipped bit is noticed, whatever the head says. */
static void
damage_is_noticed(void **state)
{
	uint64_t seed = 5;
	uint8_t out[4000];
	size_t used;

	(void) state;
	for (int kind = 0; kind < VALUE_KINDS; kind++)
	{
		random_samples(&seed, 100, kind % STEP_KINDS, kind);
		assert_int_equal(perfopt_chunk_encode(ts, value, 100, out, sizeof out, &used), 100);
		for (size_t length = 0; length < used; length++)
		{
			(void) perfopt_chunk_count(out, length);
			/* The checksum of a shorter piece fits by chance once in 65,536. */
			(void) decode_copy(out, length, MANY);
		}
		for (size_t bit = 0; bit < used * 8; bit++)
		{
			out[bit / 8] ^= (uint8_t) (1 << bit % 8);
			assert_true(decode_copy(out, used, MANY) < 0);
			out[bit / 8] ^= (uint8_t) (1 << bit % 8);
		}
		assert_decodes_to(out, used, 0, 100);
	}
}

/* As in the format: what follows after the checksum was put right. */
static uint16_t
crc(const uint8_t *data, size_t length)
{
	unsigned sum = 0xFFFF;

	for (size_t i = 0; i < length; i++)
	{
		sum ^= (unsigned) data[i] << 8;
		for (int bit = 0; bit < 8; bit++)
			sum = (sum << 1 ^ (sum & 0x8000 ? 0x1021 : 0)) & 0xFFFF;
	}
	return (uint16_t) sum;
}

static void
sign(uint8_t *data, size_t length)
{
	uint16_t sum = crc(data, length - 2);

	data[length - 2] = (uint8_t) (sum >> 8);
	data[length - 1] = (uint8_t) sum;
}

/* Even with the right checksum, nonsense is decoded to something or refused. */
static void
garbage_does_no_harm(void **state)
{
	uint64_t seed = 6;
	uint8_t data[300];

	(void) state;
	assert_int_equal(crc((const uint8_t *) "123456789", 9), 0x29B1);
	for (int round = 0; round < 20000; round++)
	{
		size_t length = prng_next(&seed) % sizeof data;

		for (size_t i = 0; i < length; i++)
			data[i] = (uint8_t) prng_next(&seed);
		if (length >= 4 && round % 4 > 0)
		{
			data[0] = 1;
			data[1] &= 127;
			sign(data, length);
		}
		assert_true(decode_copy(data, length, MANY) <= MANY);
	}
}

/* A count that would go on into the checksum, and one with no end. */
static void
a_count_without_end_is_an_error(void **state)
{
	uint8_t data[] = { 1, 0xFC, 0, 0, 0, 0, 0 };

	(void) state;
	assert_int_equal(perfopt_chunk_count(data, 4), PERFOPT_CHUNK_TRUNCATED);
	assert_int_equal(decode_copy(data, 4, MANY), PERFOPT_CHUNK_TRUNCATED);
	memset(data + 1, 0xFF, 4);
	sign(data, sizeof data);
	assert_int_equal(decode_copy(data, sizeof data, MANY), PERFOPT_CHUNK_CORRUPT);
	data[1] = 0;
	sign(data, sizeof data);
	assert_int_equal(decode_copy(data, sizeof data, MANY), PERFOPT_CHUNK_CORRUPT);
}

static void
damage_with_a_right_checksum_does_no_harm(void **state)
{
	uint64_t seed = 7;
	uint8_t out[4000];
	size_t used;

	(void) state;
	for (int kind = 0; kind < VALUE_KINDS; kind++)
	{
		random_samples(&seed, 50, kind % STEP_KINDS, kind);
		assert_int_equal(perfopt_chunk_encode(ts, value, 50, out, sizeof out, &used), 50);
		for (size_t bit = 8; bit < used * 8 - 16; bit++)
		{
			out[bit / 8] ^= (uint8_t) (1 << bit % 8);
			sign(out, used);
			assert_true(decode_copy(out, used, MANY) <= MANY);
			out[bit / 8] ^= (uint8_t) (1 << bit % 8);
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_kind_comes_back),
		cmocka_unit_test(every_length_comes_back),
		cmocka_unit_test(every_special_value_comes_back),
		cmocka_unit_test(extreme_times_come_back),
		cmocka_unit_test(leaps_come_back),
		cmocka_unit_test(pieces_make_the_whole),
		cmocka_unit_test(pieces_are_filled),
		cmocka_unit_test(refuses_what_it_cannot_encode),
		cmocka_unit_test(a_chunk_has_its_most),
		cmocka_unit_test(no_room_is_an_error),
		cmocka_unit_test(every_error_has_a_text),
		cmocka_unit_test(damage_is_noticed),
		cmocka_unit_test(garbage_does_no_harm),
		cmocka_unit_test(a_count_without_end_is_an_error),
		cmocka_unit_test(damage_with_a_right_checksum_does_no_harm),
	};

	return cmocka_run_group_tests_name("gorilla", tests, NULL, NULL);
}
