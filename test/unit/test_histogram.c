/*
 * test_histogram.c
 *	  What histogram.h promises, on random data with fixed seeds.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <float.h>
#include <math.h>

#include "math/histogram.h"
#include "prng.h"

#define LEN(a) ((int) (sizeof(a) / sizeof((a)[0])))

/* The load engine's range: milliseconds from 1 us to 70 min. */
#define MIN_EXP (-10)
#define MAX_EXP 22

static PerfoptHistogram *
make(int bits, int min_exp, int max_exp)
{
	size_t size = perfopt_histogram_size(bits, min_exp, max_exp);
	PerfoptHistogram *h;

	assert_true(size > 0);
	h = malloc(size > 0 ? size : 1);
	assert_non_null(h);
	perfopt_histogram_init(h, bits, min_exp, max_exp);
	return h;
}

static bool
same(const PerfoptHistogram *a, const PerfoptHistogram *b)
{
	if (a->bits != b->bits || a->min_exp != b->min_exp || a->max_exp != b->max_exp)
		return false;
	return a->count == b->count && a->sum == b->sum && a->min == b->min && a->max == b->max &&
		   a->zeros == b->zeros &&
		   memcmp(a->counts, b->counts, ((size_t) (a->max_exp - a->min_exp) << a->bits) * 8) == 0;
}

static int
compare_doubles(const void *a, const void *b)
{
	double x = *(const double *) a;
	double y = *(const double *) b;

	return (x > y) - (x < y);
}

/* Four shapes of latency: uniform, exponential, log-normal with a long tail, two modes and zeros. */
static double
draw(uint64_t *seed, int shape)
{
	double u = prng_uniform(seed);

	switch (shape)
	{
		case 0:
			return 1 + 99 * u;
		case 1:
			return -5 * log(u) + 0.001;
		case 2:
			return exp(1 + 2 * prng_normal(seed)) + 0.001;
		default:
			return u < 0.2 ? 0 : u < 0.9 ? 0.25 + u : 4000 + 100 * u;
	}
}

static const double quantiles[] = { 0, 0.001, 0.01, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999, 1 };

static void
quantile_error_is_bounded(void **state)
{
	static const int sizes[] = { 1, 2, 3, 10, 101, 5000 };
	static const int precisions[] = { 6, PERFOPT_HISTOGRAM_COARSE, PERFOPT_HISTOGRAM_FINE, 12 };
	uint64_t seed = 20;

	(void) state;
	for (int run = 0; run < 4 * LEN(sizes) * LEN(precisions); run++)
	{
		int shape = run % 4;
		int n = sizes[run / 4 % LEN(sizes)];
		int bits = precisions[run / 4 / LEN(sizes)];
		PerfoptHistogram *h = make(bits, MIN_EXP, MAX_EXP);
		double *v = malloc((size_t) n * sizeof *v);
		double sum = 0;

		for (int i = 0; i < n; i++)
		{
			v[i] = draw(&seed, shape);
			sum += v[i];
			assert_true(perfopt_histogram_record(h, v[i]));
		}
		qsort(v, (size_t) n, sizeof *v, compare_doubles);

		for (int i = 0; i < LEN(quantiles); i++)
		{
			int rank = (int) ceil(quantiles[i] * n);
			double exact = v[rank > 0 ? rank - 1 : 0];
			double got = perfopt_histogram_quantile(h, quantiles[i]);

			if (fabs(got - exact) > exact * ldexp(1, -(bits + 1)) * (1 + 1e-12))
				fail_msg("shape %d, n %d, bits %d, q %g: %.17g for %.17g", shape, n, bits,
						 quantiles[i], got, exact);
		}
		assert_true(perfopt_histogram_quantile(h, 0) == v[0]);
		assert_true(perfopt_histogram_quantile(h, 1) == v[n - 1]);
		assert_true(h->sum == sum);
		assert_true(fabs(perfopt_histogram_mean(h) - sum / n) <= 1e-9 * sum);
		free(v);
		free(h);
	}
}

static void
quantile_is_monotonic(void **state)
{
	PerfoptHistogram *h = make(PERFOPT_HISTOGRAM_COARSE, MIN_EXP, MAX_EXP);
	uint64_t seed = 21;
	double previous = -1;

	(void) state;
	for (int i = 0; i < 3000; i++)
		perfopt_histogram_record(h, draw(&seed, i % 4));
	for (int i = -10; i <= 1010; i++)
	{
		double v = perfopt_histogram_quantile(h, i / 1000.0);

		assert_true(v >= previous);
		assert_true(v >= h->min && v <= h->max);
		previous = v;
	}
	free(h);
}

static void
merging_equals_recording_all(void **state)
{
	uint64_t seed = 22;

	(void) state;
	for (int run = 0; run < 20; run++)
	{
		PerfoptHistogram *all = make(PERFOPT_HISTOGRAM_COARSE, MIN_EXP, MAX_EXP);
		PerfoptHistogram *part[3];
		PerfoptHistogram *merged = make(PERFOPT_HISTOGRAM_COARSE, MIN_EXP, MAX_EXP);

		for (int p = 0; p < 3; p++)
		{
			int n = (int) (prng_next(&seed) % 200);

			part[p] = make(PERFOPT_HISTOGRAM_COARSE, MIN_EXP, MAX_EXP);
			for (int i = 0; i < n; i++)
			{
				/* eighths add up without rounding, so that the sums can be compared exactly */
				double v = (double) (prng_next(&seed) % 100000) / 8;

				perfopt_histogram_record(part[p], v);
				perfopt_histogram_record(all, v);
			}
		}
		for (int p = 0; p < 3; p++)
			assert_true(perfopt_histogram_merge(merged, part[p]));
		assert_true(same(merged, all));

		/* and in another order */
		perfopt_histogram_reset(merged);
		for (int p = 2; p >= 0; p--)
			assert_true(perfopt_histogram_merge(merged, part[p]));
		assert_true(same(merged, all));

		for (int p = 0; p < 3; p++)
			free(part[p]);
		free(merged);
		free(all);
	}
}

/* Fine into coarse, coarse into fine and another range give what the coarser one would have. */
static void
merging_layouts_takes_the_coarser(void **state)
{
	static const struct
	{
		int bits, min_exp, max_exp;
	} layout[][2] = {
		{ { 10, MIN_EXP, MAX_EXP }, { 7, MIN_EXP, MAX_EXP } },
		{ { 7, MIN_EXP, MAX_EXP }, { 10, MIN_EXP, MAX_EXP } },
		{ { 7, MIN_EXP, MAX_EXP }, { 7, -20, 30 } },
		{ { 12, -20, 30 }, { 6, MIN_EXP, MAX_EXP } },
	};
	uint64_t seed = 23;

	(void) state;
	for (int l = 0; l < LEN(layout); l++)
	{
		int bits = layout[l][0].bits < layout[l][1].bits ? layout[l][0].bits : layout[l][1].bits;
		PerfoptHistogram *into =
			make(layout[l][0].bits, layout[l][0].min_exp, layout[l][0].max_exp);
		PerfoptHistogram *from =
			make(layout[l][1].bits, layout[l][1].min_exp, layout[l][1].max_exp);
		PerfoptHistogram *all = make(bits, layout[l][0].min_exp, layout[l][0].max_exp);

		for (int i = 0; i < 5000; i++)
		{
			double v = (double) (prng_next(&seed) % (1 << 28)) / 128;

			perfopt_histogram_record(i % 2 ? into : from, v);
			perfopt_histogram_record(all, v);
		}
		assert_true(perfopt_histogram_merge(into, from));
		assert_true(same(into, all));
		free(into);
		free(from);
		free(all);
	}
}

static void
merging_refuses_to_overflow_the_count(void **state)
{
	PerfoptHistogram *a = make(7, 0, 1);
	PerfoptHistogram *b = make(7, 0, 1);

	(void) state;
	perfopt_histogram_record(a, 1);
	perfopt_histogram_record(b, 1);
	b->count = b->counts[0] = INT64_MAX;
	assert_false(perfopt_histogram_merge(a, b));
	assert_int_equal(a->count, 1);
	assert_int_equal(a->counts[0], 1);
	free(a);
	free(b);
}

static void
encoding_round_trips(void **state)
{
	static uint8_t bytes[200000];
	static uint8_t again[200000];
	uint64_t seed = 24;

	(void) state;
	for (int run = 0; run < 100; run++)
	{
		int bits = 6 + run % 7;
		PerfoptHistogram *h = make(bits, MIN_EXP, MAX_EXP);
		PerfoptHistogram *copy = make(bits, MIN_EXP, MAX_EXP);
		PerfoptHistogramReader reader;
		int n = run < 4 ? run : (int) (prng_next(&seed) % 3000);
		size_t len;

		for (int i = 0; i < n; i++)
			perfopt_histogram_record(h, draw(&seed, run % 4));
		len = perfopt_histogram_encode(h, bytes, sizeof bytes);
		assert_true(len <= sizeof bytes);
		assert_int_equal(perfopt_histogram_encode(h, NULL, 0), len);
		assert_true(perfopt_histogram_decode(copy, bytes, len));
		assert_true(same(h, copy));
		assert_int_equal(perfopt_histogram_encode(copy, again, sizeof again), len);
		assert_memory_equal(bytes, again, len);

		/* the reader sees the same thing without the flat memory */
		assert_true(perfopt_histogram_open(&reader, bytes, len));
		assert_int_equal(reader.head.count, h->count);
		for (int i = 0; i < LEN(quantiles); i++)
		{
			double flat = perfopt_histogram_quantile(h, quantiles[i]);
			double sparse = perfopt_histogram_read_quantile(reader, quantiles[i]);

			assert_true(flat == sparse || (isnan(flat) && isnan(sparse)));
		}
		free(h);
		free(copy);
	}
}

static void
writing_buckets_equals_encoding(void **state)
{
	static uint8_t bytes[20000];
	static uint8_t again[20000];
	static PerfoptHistogramBucket buckets[5000];
	PerfoptHistogram *h = make(7, MIN_EXP, MAX_EXP);
	PerfoptHistogramReader reader;
	uint64_t seed = 25;
	size_t len;
	uint32_t n = 0;

	(void) state;
	for (int i = 0; i < 2000; i++)
		perfopt_histogram_record(h, draw(&seed, i % 4));
	len = perfopt_histogram_encode(h, bytes, sizeof bytes);
	assert_true(perfopt_histogram_open(&reader, bytes, len));
	while (perfopt_histogram_next(&reader, &buckets[n]))
	{
		assert_true(n == 0 || buckets[n].key > buckets[n - 1].key);
		n++;
	}
	assert_int_equal(n, reader.head.nbuckets);
	assert_int_equal(perfopt_histogram_write(&reader.head, buckets, again, sizeof again), len);
	assert_memory_equal(bytes, again, len);
	free(h);
}

/* A small histogram written out by hand: the format is a promise to data that is stored already. */
static void
encoding_is_the_documented_one(void **state)
{
	static const uint8_t expected[] = {
		1,    7,    2,    2, 0, 0, 0, 0,    0, 0, 0x10, 0x40, /* sum 4 */
		0,    0,    0,    0, 0, 0, 0, 0,                      /* min 0 */
		0,    0,    0,    0, 0, 0, 0, 0x40,                   /* max 2 */
		0x80, 0xFF, 0x07, 2, /* key 1023 << 7: the value 1, twice */
		0x80, 0x01, 1        /* 128 buckets further: the value 2 */
	};
	uint8_t bytes[64];
	PerfoptHistogram *h = make(7, MIN_EXP, MAX_EXP);

	(void) state;
	perfopt_histogram_record(h, 1);
	perfopt_histogram_record(h, 0);
	perfopt_histogram_record(h, 1);
	perfopt_histogram_record(h, 2);
	perfopt_histogram_record(h, 0);
	assert_int_equal(perfopt_histogram_encode(h, bytes, sizeof bytes), sizeof expected);
	assert_memory_equal(bytes, expected, sizeof expected);
	free(h);
}

/* Decodes into h from a heap copy of exactly len bytes, so that a sanitizer sees any overread. */
static bool
decode_copy(PerfoptHistogram *h, const uint8_t *bytes, size_t len)
{
	uint8_t *copy = malloc(len > 0 ? len : 1);
	bool ok;

	memcpy(copy, bytes, len);
	ok = perfopt_histogram_decode(h, copy, len);
	free(copy);
	return ok;
}

static void
truncated_bytes_are_refused(void **state)
{
	static uint8_t bytes[20000];
	PerfoptHistogram *h = make(7, MIN_EXP, MAX_EXP);
	PerfoptHistogram *into = make(7, MIN_EXP, MAX_EXP);
	PerfoptHistogram *before = make(7, MIN_EXP, MAX_EXP);
	uint64_t seed = 26;
	size_t len;

	(void) state;
	for (int i = 0; i < 500; i++)
		perfopt_histogram_record(h, draw(&seed, i % 4));
	perfopt_histogram_record(into, 3);
	perfopt_histogram_record(before, 3);
	len = perfopt_histogram_encode(h, bytes, sizeof bytes - 1);
	for (size_t cut = 0; cut < len; cut++)
	{
		assert_false(decode_copy(into, bytes, cut));
		assert_true(same(into, before));
	}
	bytes[len] = 1;
	assert_false(decode_copy(into, bytes, len + 1));
	assert_true(same(into, before));
	assert_true(decode_copy(into, bytes, len));
	assert_int_equal(into->count, 501);
	free(h);
	free(into);
	free(before);
}

/* What is accepted must be consistent and canonical; what is not must leave no trace. */
static void
check_hostile(const uint8_t *bytes, size_t len, PerfoptHistogram *into,
			  const PerfoptHistogram *empty)
{
	static uint8_t again[20000];
	PerfoptHistogramReader reader;

	memcpy(into, empty, perfopt_histogram_size(empty->bits, empty->min_exp, empty->max_exp));
	if (!decode_copy(into, bytes, len))
	{
		assert_true(same(into, empty));
		return;
	}

	assert_true(into->count <= INT64_MAX);
	for (int i = 0; i < LEN(quantiles); i++)
	{
		double v = perfopt_histogram_quantile(into, quantiles[i]);

		assert_true(into->count == 0 ? isnan(v) : v >= into->min && v <= into->max);
	}
	assert_true(perfopt_histogram_open(&reader, bytes, len));
	assert_true(reader.head.count == into->count);
	if (len < sizeof again / 2)
	{
		PerfoptHistogramBucket buckets[1000];
		uint32_t n = 0;

		if (reader.head.nbuckets > LEN(buckets))
			return;
		while (perfopt_histogram_next(&reader, &buckets[n]))
			n++;
		assert_int_equal(n, reader.head.nbuckets);
		assert_int_equal(perfopt_histogram_write(&reader.head, buckets, again, sizeof again), len);
		assert_memory_equal(bytes, again, len);
	}
}

static void
hostile_bytes_do_no_harm(void **state)
{
	uint8_t bytes[4000];
	PerfoptHistogram *h = make(7, MIN_EXP, MAX_EXP);
	PerfoptHistogram *into = make(9, MIN_EXP, MAX_EXP);
	PerfoptHistogram *empty = make(9, MIN_EXP, MAX_EXP);
	uint64_t seed = 27;
	size_t len;

	(void) state;
	for (int i = 0; i < 60; i++)
		perfopt_histogram_record(h, draw(&seed, i % 4));
	len = perfopt_histogram_encode(h, bytes, sizeof bytes);
	assert_true(len <= sizeof bytes);

	/* each single bit, then many at once */
	for (size_t bit = 0; bit < 8 * len; bit++)
	{
		bytes[bit / 8] ^= (uint8_t) (1 << bit % 8);
		check_hostile(bytes, len, into, empty);
		bytes[bit / 8] ^= (uint8_t) (1 << bit % 8);
	}
	for (int run = 0; run < 5000; run++)
	{
		uint8_t damaged[4000];

		memcpy(damaged, bytes, len);
		for (int flips = 1 + (int) (prng_next(&seed) % 4); flips > 0; flips--)
			damaged[prng_next(&seed) % len] = (uint8_t) prng_next(&seed);
		check_hostile(damaged, len - prng_next(&seed) % 3, into, empty);
	}

	/* noise behind a plausible head */
	for (int run = 0; run < 5000; run++)
	{
		size_t n = prng_next(&seed) % 120;

		for (size_t i = 0; i < n; i++)
			bytes[i] = (uint8_t) prng_next(&seed);
		if (n > 4)
		{
			bytes[0] = 1;
			bytes[1] = (uint8_t) (6 + bytes[1] % 7);
			bytes[2] &= 3;
			bytes[3] &= 15;
		}
		check_hostile(bytes, n, into, empty);
	}
	free(h);
	free(into);
	free(empty);
}

static void
crafted_bytes_are_refused(void **state)
{
	/* head of two values in one bucket: sum 3, min 1, max 2 */
#define SUM_MIN_MAX \
	0, 0, 0, 0, 0, 0, 0x08, 0x40, 0, 0, 0, 0, 0, 0, 0xF0, 0x3F, 0, 0, 0, 0, 0, 0, 0, 0x40
#define MAX_VARINT 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01
	static const uint8_t good[] = { 1, 7, 0, 1, SUM_MIN_MAX, 0x80, 0xFF, 0x07, 2 };
	static const uint8_t version[] = { 2, 7, 0, 0 };
	static const uint8_t precision_low[] = { 1, 5, 0, 0 };
	static const uint8_t precision_high[] = { 1, 13, 0, 0 };
	static const uint8_t long_varint[] = { 1, 7, 0x80, 0, 0 };
	static const uint8_t huge_zeros[] = { 1, 7, MAX_VARINT, 0, SUM_MIN_MAX };
	static const uint8_t huge_nbuckets[] = { 1, 7, 0, MAX_VARINT, SUM_MIN_MAX };
	static const uint8_t huge_count[] = { 1, 7, 0, 1, SUM_MIN_MAX, 0x80, 0xFF, 0x07, MAX_VARINT };
	static const uint8_t huge_gap[] = {
		1, 7, 0, 2, SUM_MIN_MAX, 0x80, 0xFF, 0x07, 1, MAX_VARINT, 1
	};
	static const uint8_t count_zero[] = { 1, 7, 0, 1, SUM_MIN_MAX, 0x80, 0xFF, 0x07, 0 };
	static const uint8_t same_key[] = { 1, 7, 0, 2, SUM_MIN_MAX, 0x80, 0xFF, 0x07, 1, 0, 1 };
	static const uint8_t infinite_key[] = { 1, 7, 0, 1, SUM_MIN_MAX, 0x80, 0xFF, 0x0F, 1 };
	static const uint8_t zeros_but_min[] = { 1, 7, 1, 1, SUM_MIN_MAX, 0x80, 0xFF, 0x07, 2 };
	static const uint8_t nan_sum[] = { 1,    7, 0, 1, 0, 0,    0,    0,    0,    0, 0xF8,
									   0x7F, 0, 0, 0, 0, 0,    0,    0xF0, 0x3F, 0, 0,
									   0,    0, 0, 0, 0, 0x40, 0x80, 0xFF, 0x07, 2 };
	static const struct
	{
		const uint8_t *bytes;
		size_t len;
	} bad[] = {
#define ITEM(a) { a, sizeof a }
		ITEM(version),    ITEM(precision_low), ITEM(precision_high), ITEM(long_varint),
		ITEM(huge_zeros), ITEM(huge_nbuckets), ITEM(huge_count),     ITEM(huge_gap),
		ITEM(count_zero), ITEM(same_key),      ITEM(infinite_key),   ITEM(zeros_but_min),
		ITEM(nan_sum)
	};
	PerfoptHistogram *h = make(7, MIN_EXP, MAX_EXP);

	(void) state;
	assert_true(decode_copy(h, good, sizeof good));
	assert_int_equal(h->count, 2);
	for (int i = 0; i < LEN(bad); i++)
	{
		if (decode_copy(h, bad[i].bytes, bad[i].len))
			fail_msg("crafted form %d was accepted", i);
	}
	assert_int_equal(h->count, 2);
	free(h);
}

static void
empty_has_no_quantile(void **state)
{
	PerfoptHistogram *h = make(7, MIN_EXP, MAX_EXP);
	PerfoptHistogram *other = make(10, 0, 1);
	uint8_t bytes[8];

	(void) state;
	assert_true(isnan(perfopt_histogram_quantile(h, 0.5)));
	assert_true(isnan(perfopt_histogram_mean(h)));
	assert_true(perfopt_histogram_merge(h, other));
	assert_int_equal(h->count, 0);
	assert_int_equal(perfopt_histogram_encode(h, bytes, sizeof bytes), 4);
	perfopt_histogram_record(h, 3);
	assert_true(decode_copy(h, bytes, 4));
	assert_int_equal(h->count, 1);
	assert_true(isnan(perfopt_histogram_quantile(h, NAN)));
	free(h);
	free(other);
}

static void
odd_values(void **state)
{
	PerfoptHistogram *h = make(7, MIN_EXP, MAX_EXP);

	(void) state;
	assert_false(perfopt_histogram_record(h, NAN));
	assert_false(perfopt_histogram_record(h, INFINITY));
	assert_false(perfopt_histogram_record(h, -INFINITY));
	assert_false(perfopt_histogram_record(h, -1e-9));
	assert_int_equal(h->count, 0);

	assert_true(perfopt_histogram_record(h, -0.0));
	assert_int_equal(h->zeros, 1);
	assert_false(signbit(h->min));
	assert_true(perfopt_histogram_quantile(h, 0.5) == 0);

	/* outside of the range: counted, with exact extremes */
	assert_true(perfopt_histogram_record(h, DBL_MAX));
	assert_true(perfopt_histogram_record(h, DBL_MAX));
	assert_true(perfopt_histogram_record(h, DBL_TRUE_MIN));
	assert_int_equal(h->count, 4);
	assert_true(h->max == DBL_MAX);
	assert_true(h->sum == DBL_MAX);
	assert_true(perfopt_histogram_quantile(h, 1) == DBL_MAX);
	assert_int_equal(h->counts[0], 1);
	assert_int_equal(h->counts[(32 << 7) - 1], 2);
	free(h);
}

static void
layouts_are_checked(void **state)
{
	(void) state;
	assert_int_equal(perfopt_histogram_size(5, 0, 1), 0);
	assert_int_equal(perfopt_histogram_size(13, 0, 1), 0);
	assert_int_equal(perfopt_histogram_size(7, 0, 0), 0);
	assert_int_equal(perfopt_histogram_size(7, -1023, 0), 0);
	assert_int_equal(perfopt_histogram_size(7, 0, 1025), 0);
	assert_int_equal(perfopt_histogram_size(7, MIN_EXP, MAX_EXP),
					 sizeof(PerfoptHistogram) + 32 * 128 * 8);
}

/* Every power of two and its neighbours land in the bucket whose bounds enclose them. */
static void
keys_enclose_their_values(void **state)
{
	(void) state;
	for (int bits = PERFOPT_HISTOGRAM_MIN_BITS; bits <= PERFOPT_HISTOGRAM_MAX_BITS; bits++)
	{
		for (int e = PERFOPT_HISTOGRAM_MIN_EXP; e < PERFOPT_HISTOGRAM_MAX_EXP; e++)
		{
			double around[] = { ldexp(1, e), nextafter(ldexp(1, e), 0),
								nextafter(ldexp(1, e), DBL_MAX) };

			for (int i = 0; i < LEN(around); i++)
			{
				uint32_t key = perfopt_histogram_key(around[i], bits);
				double low = perfopt_histogram_key_low(key, bits);
				double high = perfopt_histogram_key_high(key, bits);
				double middle = perfopt_histogram_key_middle(key, bits);

				assert_true(low <= around[i] && around[i] < high);
				assert_true(low < middle && middle < high);
				assert_int_equal(perfopt_histogram_key(middle, bits), key);
			}
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(quantile_error_is_bounded),
		cmocka_unit_test(quantile_is_monotonic),
		cmocka_unit_test(merging_equals_recording_all),
		cmocka_unit_test(merging_layouts_takes_the_coarser),
		cmocka_unit_test(merging_refuses_to_overflow_the_count),
		cmocka_unit_test(encoding_round_trips),
		cmocka_unit_test(writing_buckets_equals_encoding),
		cmocka_unit_test(encoding_is_the_documented_one),
		cmocka_unit_test(truncated_bytes_are_refused),
		cmocka_unit_test(hostile_bytes_do_no_harm),
		cmocka_unit_test(crafted_bytes_are_refused),
		cmocka_unit_test(empty_has_no_quantile),
		cmocka_unit_test(odd_values),
		cmocka_unit_test(layouts_are_checked),
		cmocka_unit_test(keys_enclose_their_values),
	};

	return cmocka_run_group_tests_name("histogram", tests, NULL, NULL);
}
