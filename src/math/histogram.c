/*
 * histogram.c
 *	  See histogram.h.
 */
#include "math/histogram.h"

#include <float.h>
#include <math.h>
#include <string.h>

#define FORMAT_VERSION 1
#define MANTISSA_BITS 52
#define EXPONENT_BIAS 1023
#define EXPONENT_INFINITE 2047

static uint64_t
bits_of_double(double v)
{
	uint64_t u;

	memcpy(&u, &v, sizeof u);
	return u;
}

static double
double_of_bits(uint64_t u)
{
	double v;

	memcpy(&v, &u, sizeof v);
	return v;
}

uint32_t
perfopt_histogram_key(double v, int bits)
{
	return (uint32_t) (bits_of_double(v) >> (MANTISSA_BITS - bits));
}

double
perfopt_histogram_key_low(uint32_t key, int bits)
{
	return double_of_bits((uint64_t) key << (MANTISSA_BITS - bits));
}

double
perfopt_histogram_key_high(uint32_t key, int bits)
{
	return double_of_bits(((uint64_t) key + 1) << (MANTISSA_BITS - bits));
}

double
perfopt_histogram_key_middle(uint32_t key, int bits)
{
	return double_of_bits(((uint64_t) key << (MANTISSA_BITS - bits)) |
						  (UINT64_C(1) << (MANTISSA_BITS - bits - 1)));
}

static bool
layout_is_valid(int bits, int min_exp, int max_exp)
{
	return bits >= PERFOPT_HISTOGRAM_MIN_BITS && bits <= PERFOPT_HISTOGRAM_MAX_BITS &&
		   min_exp >= PERFOPT_HISTOGRAM_MIN_EXP && max_exp <= PERFOPT_HISTOGRAM_MAX_EXP &&
		   min_exp < max_exp;
}

static uint32_t
bucket_count(const PerfoptHistogram *h)
{
	return (uint32_t) (h->max_exp - h->min_exp) << h->bits;
}

static uint32_t
first_key(const PerfoptHistogram *h)
{
	return (uint32_t) (h->min_exp + EXPONENT_BIAS) << h->bits;
}

/* The slot of a key of h's own precision; what lies outside the range goes to the slot at its end. */
static uint32_t
slot_of_key(const PerfoptHistogram *h, uint32_t key)
{
	uint32_t first = first_key(h);
	uint32_t n = bucket_count(h);

	if (key < first)
		return 0;
	return key - first < n ? key - first : n - 1;
}

size_t
perfopt_histogram_size(int bits, int min_exp, int max_exp)
{
	if (!layout_is_valid(bits, min_exp, max_exp))
		return 0;
	return offsetof(PerfoptHistogram, counts) +
		   ((size_t) (max_exp - min_exp) << bits) * sizeof(uint64_t);
}

void
perfopt_histogram_init(PerfoptHistogram *h, int bits, int min_exp, int max_exp)
{
	h->bits = bits;
	h->min_exp = min_exp;
	h->max_exp = max_exp;
	perfopt_histogram_reset(h);
}

void
perfopt_histogram_reset(PerfoptHistogram *h)
{
	h->count = 0;
	h->zeros = 0;
	h->sum = 0;
	h->min = 0;
	h->max = 0;
	memset(h->counts, 0, bucket_count(h) * sizeof(uint64_t));
}

static double
add_saturating(double a, double b)
{
	double sum = a + b;

	return isfinite(sum) ? sum : DBL_MAX;
}

bool
perfopt_histogram_record(PerfoptHistogram *h, double v)
{
	if (!(v >= 0) || isinf(v))
		return false;

	if (h->count == 0 || v < h->min)
		h->min = v + 0.0; /* a negative zero becomes a plain one */
	if (v > h->max)
		h->max = v;
	h->count++;
	h->sum = add_saturating(h->sum, v);
	if (v == 0)
		h->zeros++;
	else
		h->counts[slot_of_key(h, perfopt_histogram_key(v, h->bits))]++;
	return true;
}

/* Folds neighbouring buckets, in place: a slot is read before anything is written to it. */
static void
coarsen(PerfoptHistogram *h, int bits)
{
	int shift = h->bits - bits;
	uint32_t n = bucket_count(h);

	if (shift <= 0)
		return;
	for (uint32_t i = 0; i < n; i++)
	{
		uint64_t c = h->counts[i];

		h->counts[i] = 0;
		h->counts[i >> shift] += c;
	}
	h->bits = bits;
}

/* What merge and decode share: everything except the buckets.  The count must have been checked. */
static void
add_head(PerfoptHistogram *into, const PerfoptHistogramHead *from)
{
	if (into->count == 0 || from->min < into->min)
		into->min = from->min;
	if (from->max > into->max)
		into->max = from->max;
	into->count += from->count;
	into->sum = add_saturating(into->sum, from->sum);
	into->zeros += from->zeros;
	coarsen(into, from->bits);
}

static void
add_bucket(PerfoptHistogram *into, uint32_t key, int bits, uint64_t count)
{
	into->counts[slot_of_key(into, key >> (bits - into->bits))] += count;
}

static bool
fits(const PerfoptHistogram *into, uint64_t count)
{
	return into->count <= (uint64_t) PERFOPT_HISTOGRAM_MAX_COUNT &&
		   count <= (uint64_t) PERFOPT_HISTOGRAM_MAX_COUNT - into->count;
}

static PerfoptHistogramHead
head_of(const PerfoptHistogram *h)
{
	PerfoptHistogramHead head = { .bits = h->bits,
								  .count = h->count,
								  .sum = h->sum,
								  .min = h->min,
								  .max = h->max,
								  .zeros = h->zeros };
	uint32_t n = bucket_count(h);

	for (uint32_t i = 0; i < n; i++)
		head.nbuckets += h->counts[i] > 0;
	return head;
}

bool
perfopt_histogram_merge(PerfoptHistogram *into, const PerfoptHistogram *from)
{
	PerfoptHistogramHead head;
	uint32_t n = bucket_count(from);

	if (from->count == 0)
		return true;
	if (!fits(into, from->count))
		return false;

	head = head_of(from);
	add_head(into, &head);
	if (into->bits == from->bits && into->min_exp == from->min_exp &&
		into->max_exp == from->max_exp)
	{
		for (uint32_t i = 0; i < n; i++)
			into->counts[i] += from->counts[i];
		return true;
	}
	for (uint32_t i = 0; i < n; i++)
	{
		if (from->counts[i] > 0)
			add_bucket(into, first_key(from) + i, from->bits, from->counts[i]);
	}
	return true;
}

/*
 * The rank that answers quantile q, or 0 when there is an exact answer already, in *answer: the
 * first and the last rank are the minimum and the maximum, and zeros come before all buckets.
 */
static uint64_t
rank_or_answer(const PerfoptHistogramHead *head, double q, double *answer)
{
	double rank;

	if (head->count == 0 || isnan(q))
	{
		*answer = NAN;
		return 0;
	}
	rank = ceil(q * (double) head->count);
	if (rank <= 1)
	{
		*answer = head->min;
		return 0;
	}
	if (rank >= (double) head->count)
	{
		*answer = head->max;
		return 0;
	}
	*answer = 0;
	return (uint64_t) rank <= head->zeros ? 0 : (uint64_t) rank;
}

static double
middle_within(const PerfoptHistogramHead *head, uint32_t key)
{
	double middle = perfopt_histogram_key_middle(key, head->bits);

	return fmin(fmax(middle, head->min), head->max);
}

double
perfopt_histogram_quantile(const PerfoptHistogram *h, double q)
{
	PerfoptHistogramHead head = {
		.bits = h->bits, .count = h->count, .min = h->min, .max = h->max, .zeros = h->zeros
	};
	double answer;
	uint64_t rank = rank_or_answer(&head, q, &answer);
	uint64_t seen = h->zeros;
	uint32_t n = bucket_count(h);

	if (rank == 0)
		return answer;
	for (uint32_t i = 0; i < n; i++)
	{
		seen += h->counts[i];
		if (seen >= rank)
			return middle_within(&head, first_key(h) + i);
	}
	return h->max;
}

double
perfopt_histogram_mean(const PerfoptHistogram *h)
{
	return h->count > 0 ? h->sum / (double) h->count : NAN;
}

/* Counts all bytes put, keeps those that fit. */
typedef struct Writer
{
	uint8_t *out;
	size_t cap;
	size_t len;
} Writer;

static void
put_byte(Writer *w, uint8_t byte)
{
	if (w->len < w->cap)
		w->out[w->len] = byte;
	w->len++;
}

static void
put_varint(Writer *w, uint64_t v)
{
	while (v >= 0x80)
	{
		put_byte(w, (uint8_t) (v | 0x80));
		v >>= 7;
	}
	put_byte(w, (uint8_t) v);
}

static void
put_double(Writer *w, double v)
{
	uint64_t u = bits_of_double(v);

	for (int i = 0; i < 8; i++)
		put_byte(w, (uint8_t) (u >> (8 * i)));
}

static void
put_head(Writer *w, const PerfoptHistogramHead *head)
{
	put_byte(w, FORMAT_VERSION);
	put_byte(w, (uint8_t) head->bits);
	put_varint(w, head->zeros);
	put_varint(w, head->nbuckets);
	if (head->count > 0)
	{
		put_double(w, head->sum);
		put_double(w, head->min);
		put_double(w, head->max);
	}
}

size_t
perfopt_histogram_encode(const PerfoptHistogram *h, uint8_t *out, size_t cap)
{
	Writer w = { out, cap, 0 };
	PerfoptHistogramHead head = head_of(h);
	uint32_t n = bucket_count(h);
	uint32_t previous = 0;

	put_head(&w, &head);
	for (uint32_t i = 0; i < n; i++)
	{
		uint32_t key = first_key(h) + i;

		if (h->counts[i] == 0)
			continue;
		put_varint(&w, key - previous);
		put_varint(&w, h->counts[i]);
		previous = key;
	}
	return w.len;
}

size_t
perfopt_histogram_write(const PerfoptHistogramHead *head, const PerfoptHistogramBucket *buckets,
						uint8_t *out, size_t cap)
{
	Writer w = { out, cap, 0 };
	uint32_t previous = 0;

	put_head(&w, head);
	for (uint32_t i = 0; i < head->nbuckets; i++)
	{
		put_varint(&w, buckets[i].key - previous);
		put_varint(&w, buckets[i].count);
		previous = buckets[i].key;
	}
	return w.len;
}

/* Only the shortest spelling of a number is taken: equal histograms have equal bytes. */
static bool
get_varint(PerfoptHistogramReader *r, uint64_t *v)
{
	*v = 0;
	for (int shift = 0; shift < 64; shift += 7)
	{
		uint8_t byte;

		if (r->next >= r->end)
			return false;
		byte = *r->next++;
		if (shift == 63 && byte > 1)
			return false;
		*v |= (uint64_t) (byte & 0x7F) << shift;
		if (byte < 0x80)
			return byte > 0 || shift == 0;
	}
	return false;
}

static bool
get_double(PerfoptHistogramReader *r, double *v)
{
	uint64_t u = 0;

	if (r->end - r->next < 8)
		return false;
	for (int i = 0; i < 8; i++)
		u |= (uint64_t) *r->next++ << (8 * i);
	*v = double_of_bits(u);
	return true;
}

bool
perfopt_histogram_next(PerfoptHistogramReader *r, PerfoptHistogramBucket *b)
{
	uint64_t gap;

	if (r->left == 0 || !get_varint(r, &gap) || !get_varint(r, &b->count))
		return false;
	r->key += (uint32_t) gap;
	b->key = r->key;
	r->left--;
	return true;
}

/* Adds up the buckets and proves them ascending, within the doubles' range, and not empty. */
static bool
check_buckets(PerfoptHistogramReader r, uint64_t *total)
{
	uint64_t end = (uint64_t) EXPONENT_INFINITE << r.head.bits;
	uint64_t key = 0;

	for (uint32_t i = 0; i < r.head.nbuckets; i++)
	{
		uint64_t gap;
		uint64_t count;

		if (!get_varint(&r, &gap) || !get_varint(&r, &count))
			return false;
		if (gap >= end - key || (gap == 0 && i > 0))
			return false;
		key += gap;
		if (count == 0 || count > (uint64_t) PERFOPT_HISTOGRAM_MAX_COUNT - *total)
			return false;
		*total += count;
	}
	return r.next == r.end;
}

static bool
head_is_consistent(const PerfoptHistogramHead *head)
{
	if (!isfinite(head->sum) || !isfinite(head->min) || !isfinite(head->max))
		return false;
	if (signbit(head->sum) || signbit(head->min) || signbit(head->max))
		return false;
	if (head->min > head->max || head->max > head->sum)
		return false;
	return (head->zeros > 0) == (head->min == 0) && (head->nbuckets > 0) == (head->max > 0);
}

bool
perfopt_histogram_open(PerfoptHistogramReader *r, const uint8_t *in, size_t len)
{
	uint64_t nbuckets;

	memset(r, 0, sizeof *r);
	if (len < 4 || in[0] != FORMAT_VERSION || in[1] < PERFOPT_HISTOGRAM_MIN_BITS ||
		in[1] > PERFOPT_HISTOGRAM_MAX_BITS)
		return false;
	r->head.bits = in[1];
	r->next = in + 2;
	r->end = in + len;

	if (!get_varint(r, &r->head.zeros) || !get_varint(r, &nbuckets))
		return false;
	/* a bucket takes at least two bytes, so this also bounds the loops that follow */
	if (nbuckets > len / 2 || nbuckets > UINT32_MAX ||
		r->head.zeros > (uint64_t) PERFOPT_HISTOGRAM_MAX_COUNT)
		return false;
	r->head.nbuckets = (uint32_t) nbuckets;
	r->left = r->head.nbuckets;
	r->head.count = r->head.zeros;
	if (r->head.zeros == 0 && nbuckets == 0)
		return r->next == r->end;

	if (!get_double(r, &r->head.sum) || !get_double(r, &r->head.min) ||
		!get_double(r, &r->head.max))
		return false;
	return head_is_consistent(&r->head) && check_buckets(*r, &r->head.count);
}

bool
perfopt_histogram_decode(PerfoptHistogram *into, const uint8_t *in, size_t len)
{
	PerfoptHistogramReader r;
	PerfoptHistogramBucket b;

	if (!perfopt_histogram_open(&r, in, len) || !fits(into, r.head.count))
		return false;
	if (r.head.count == 0)
		return true;
	add_head(into, &r.head);
	while (perfopt_histogram_next(&r, &b))
		add_bucket(into, b.key, r.head.bits, b.count);
	return true;
}

double
perfopt_histogram_read_quantile(PerfoptHistogramReader r, double q)
{
	double answer;
	uint64_t rank = rank_or_answer(&r.head, q, &answer);
	uint64_t seen = r.head.zeros;
	PerfoptHistogramBucket b;

	if (rank == 0)
		return answer;
	while (perfopt_histogram_next(&r, &b))
	{
		seen += b.count;
		if (seen >= rank)
			return middle_within(&r.head, b.key);
	}
	return r.head.max;
}
