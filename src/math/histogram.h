/*
 * histogram.h
 *	  Mergeable log-linear histogram of non-negative numbers.
 *
 * A bucket is named by the leading bits of the IEEE 754 double itself: its exponent and the first
 * `bits` bits of its mantissa, so each octave [2^e, 2^(e+1)) is cut into 2^bits equal buckets and
 * finding the bucket of a value is one shift.  The idea is HdrHistogram's (Tene) and its error
 * analysis that of DDSketch (Masson, Rim, Lee, VLDB 2019, section 2.1): a bucket answers with its
 * midpoint, so for a value inside the histogram's range
 *
 *		|answer - value| <= value * 2^-(bits+1)
 *
 * Quantiles are nearest-rank (that of percentile_disc): the answer estimates the value at rank
 * ceil(q * count) in sorted order.  count, sum, min, max and the number of zeros are kept beside
 * the buckets and are exact, so quantile 0 and 1 are exact as well.
 *
 * No PostgreSQL here, no allocation and no pointers: a histogram is flat memory that the caller
 * owns, so it may live in shared memory.  Nothing here locks.
 */
#ifndef PERFOPT_HISTOGRAM_H
#define PERFOPT_HISTOGRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PERFOPT_HISTOGRAM_COARSE 7   /* error at most 0.39 %: series and stored histograms */
#define PERFOPT_HISTOGRAM_FINE 10    /* error at most 0.05 %: run totals */
#define PERFOPT_HISTOGRAM_MIN_BITS 6 /* 0.78 %: whatever is accepted keeps the promise of 1 % */
#define PERFOPT_HISTOGRAM_MAX_BITS 12
#define PERFOPT_HISTOGRAM_MIN_EXP (-1022) /* the range of normal doubles */
#define PERFOPT_HISTOGRAM_MAX_EXP 1024
#define PERFOPT_HISTOGRAM_MAX_COUNT INT64_MAX

typedef struct PerfoptHistogram
{
	int32_t bits;    /* 2^bits buckets an octave */
	int32_t min_exp; /* the range is [2^min_exp, 2^max_exp) */
	int32_t max_exp;
	uint64_t count; /* values recorded, zeros included */
	double sum;     /* saturates at DBL_MAX */
	double min;     /* exact; meaningless while count is 0 */
	double max;
	uint64_t zeros; /* values equal to zero, which have no octave */
	uint64_t counts[];
} PerfoptHistogram;

/* Bytes of a histogram; 0 when bits or range are outside the limits above. */
extern size_t perfopt_histogram_size(int bits, int min_exp, int max_exp);

/* Makes an empty histogram of perfopt_histogram_size(bits, min_exp, max_exp) bytes at h. */
extern void perfopt_histogram_init(PerfoptHistogram *h, int bits, int min_exp, int max_exp);

/* Forgets all values, keeps precision and range. */
extern void perfopt_histogram_reset(PerfoptHistogram *h);

/*
 * O(1).  A value outside the range goes to the bucket at that end, so its quantiles are off while
 * min, max and sum stay exact.  NaN, infinities and negative numbers are refused: returns false
 * and changes nothing.
 */
extern bool perfopt_histogram_record(PerfoptHistogram *h, double v);

/*
 * Adds `from` to `into`.  With equal layouts the result is that of recording all values into one.
 * Otherwise the coarser precision wins (`into` is coarsened in place) and `into` keeps its range.
 * Returns false, with `into` unchanged, if that would exceed PERFOPT_HISTOGRAM_MAX_COUNT values.
 */
extern bool perfopt_histogram_merge(PerfoptHistogram *into, const PerfoptHistogram *from);

/* q is clamped to 0..1.  The answer lies within [min, max]; NaN when empty or when q is NaN. */
extern double perfopt_histogram_quantile(const PerfoptHistogram *h, double q);

/* NaN when empty. */
extern double perfopt_histogram_mean(const PerfoptHistogram *h);

/*
 * The encoded form: only buckets in use, as varints, the same bytes on every machine, and
 * independent of the range of the histogram it came from.  This is what the SQL type stores.
 *
 *	  version (1)  bits  varint zeros  varint nbuckets
 *	  when not empty: sum min max, each 8 bytes little-endian
 *	  nbuckets times: varint gap, varint count, where gap is the key's distance from the one before
 *	  (for the first, the key itself)
 *
 * A key is the double's bits shifted right by 52 - bits: exponent and leading mantissa bits.
 */

/* Writes at most cap bytes to out and returns how many the form needs; more than cap: it is cut. */
extern size_t perfopt_histogram_encode(const PerfoptHistogram *h, uint8_t *out, size_t cap);

/*
 * Adds encoded values to `into`, which the caller has initialised with any layout (merge's rules).
 * Bytes may come from anywhere: returns false, with `into` unchanged, unless they are whole,
 * consistent and in the one canonical form.
 */
extern bool perfopt_histogram_decode(PerfoptHistogram *into, const uint8_t *in, size_t len);

/*
 * For those who keep buckets sparsely (the SQL type): the head of a histogram, its buckets one by
 * one, and the same quantile and encoding over them.
 */
typedef struct PerfoptHistogramHead
{
	int32_t bits;
	uint64_t count;
	double sum;
	double min;
	double max;
	uint64_t zeros;
	uint32_t nbuckets; /* buckets that are not empty */
} PerfoptHistogramHead;

typedef struct PerfoptHistogramBucket
{
	uint32_t key;
	uint64_t count;
} PerfoptHistogramBucket;

/* Walks encoded bytes, which must outlive it. */
typedef struct PerfoptHistogramReader
{
	PerfoptHistogramHead head;
	const uint8_t *next;
	const uint8_t *end;
	uint32_t left;
	uint32_t key;
} PerfoptHistogramReader;

/* Validates all of the bytes; false when they are not a histogram. */
extern bool perfopt_histogram_open(PerfoptHistogramReader *r, const uint8_t *in, size_t len);

/* The next bucket in ascending order; false after the last. */
extern bool perfopt_histogram_next(PerfoptHistogramReader *r, PerfoptHistogramBucket *b);

/* As perfopt_histogram_quantile, from a freshly opened reader, which is passed by value. */
extern double perfopt_histogram_read_quantile(PerfoptHistogramReader r, double q);

/* Encodes head->nbuckets buckets that are sorted by key, none empty; as perfopt_histogram_encode. */
extern size_t perfopt_histogram_write(const PerfoptHistogramHead *head,
									  const PerfoptHistogramBucket *buckets, uint8_t *out,
									  size_t cap);

/* Key of a positive finite value, and the bounds and midpoint of a key's bucket. */
extern uint32_t perfopt_histogram_key(double v, int bits);
extern double perfopt_histogram_key_low(uint32_t key, int bits);
extern double perfopt_histogram_key_high(uint32_t key, int bits);
extern double perfopt_histogram_key_middle(uint32_t key, int bits);

#endif /* PERFOPT_HISTOGRAM_H */
