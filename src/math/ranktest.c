/*
 * ranktest.c
 *	  See ranktest.h.
 */
#include "math/ranktest.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "math/robust.h"
#include "math/student.h"

#define EXACT PERFOPT_SIGNED_RANK_EXACT
#define MOST_EXACT_RANKS (EXACT * (EXACT + 1) / 2)

/*
 * count[v]: how many of the 2^n ways to give signs to the ranks 1 to n have V = v.  Each rank in
 * turn either adds itself to V or does not.  2^50 is still an exact double.  count comes as zeros.
 */
static void
count_ways(int n, double *count)
{
	count[0] = 1;
	for (int rank = 1; rank <= n; rank++)
		for (int v = rank * (rank + 1) / 2; v >= rank; v--)
			count[v] += count[v - rank];
}

/* V is symmetric around half of the sum of all ranks, so both tails are this one, P(V <= v). */
static double
exact_two_sided(int n, double v)
{
	double count[MOST_EXACT_RANKS + 1] = { 0 };
	double least = fmin(v, n * (n + 1) / 2.0 - v);
	double sum = 0;

	count_ways(n, count);
	for (int i = 0; i <= least; i++)
		sum += count[i];
	return fmin(1, 2 * ldexp(sum, -n));
}

static double
normal_sigma(double n, double ties)
{
	return sqrt(n * (n + 1) * (2 * n + 1) / 24 - ties / 48);
}

static double
normal_two_sided(double n, double v, double ties)
{
	double distance = fabs(v - n * (n + 1) / 4);

	return distance <= 0.5
			   ? 1
			   : fmin(1, 2 * perfopt_normal_tail((distance - 0.5) / normal_sigma(n, ties)));
}

/* The k of the interval; below 1 there is no bound. */
static int64_t
interval_rank(int n, double level)
{
	double alpha = (1 - level) / 2;

	if (n <= EXACT)
	{
		double count[MOST_EXACT_RANKS + 1] = { 0 };
		double sum = 0;
		int k = 0;

		count_ways(n, count);
		for (; 2 * k <= n * (n + 1) / 2; k++)
		{
			sum += count[k];
			/* what is left of a level such as 0.95 in binary must not decide */
			if (ldexp(sum, -n) > alpha * (1 + 1e-12))
				break;
		}
		return k;
	}
	return (int64_t) floor(n * (n + 1.0) / 4 + 0.5 +
						   perfopt_normal_quantile(alpha) * normal_sigma(n, 0));
}

/*
 * V, and over groups of t equal magnitudes the sum of t^3 - t.  d is sorted, so that negative
 * differences stand by falling magnitude before the positive ones by rising: two walks outwards
 * from where the sign changes meet the magnitudes in order.
 */
static double
rank_sum(const double *d, int n, double *ties)
{
	double v = 0;
	int negative = 0;
	int positive;

	*ties = 0;
	while (negative < n && d[negative] < 0)
		negative++;
	positive = negative;
	for (int done = 0; done < n;)
	{
		double magnitude = HUGE_VAL;
		int before = negative;
		int after = positive;
		double equal;

		if (negative > 0)
			magnitude = -d[negative - 1];
		if (positive < n)
			magnitude = fmin(magnitude, d[positive]);
		while (negative > 0 && -d[negative - 1] == magnitude)
			negative--;
		while (positive < n && d[positive] == magnitude)
			positive++;
		equal = (before - negative) + (positive - after);
		v += (positive - after) * (done + (equal + 1) / 2);
		*ties += equal * (equal * equal - 1);
		done += (int) equal;
	}
	return v;
}

/* How many sums of two of these sorted numbers, each with itself too, are at most x. */
static int64_t
count_sums(const double *half, int n, double x)
{
	int64_t count = 0;
	int j = n - 1;

	/* The greatest j that fits falls as i rises; rounding keeps the order of sums. */
	for (int i = 0; i <= j; i++)
	{
		while (j >= i && half[i] + half[j] > x)
			j--;
		count += j - i + 1;
	}
	return count;
}

/* Doubles in ascending order as integers in ascending order, and back. */
static uint64_t
to_ordered(double x)
{
	uint64_t bits;

	memcpy(&bits, &x, sizeof bits);
	return bits >> 63 ? ~bits : bits | UINT64_C(1) << 63;
}

static double
from_ordered(uint64_t ordered)
{
	uint64_t bits = ordered >> 63 ? ordered ^ UINT64_C(1) << 63 : ~ordered;
	double x;

	memcpy(&x, &bits, sizeof x);
	return x;
}

/* The k-th smallest sum: the smallest double that at least k sums do not exceed. */
static double
select_sum(const double *half, int n, int64_t k)
{
	uint64_t low = to_ordered(2 * half[0]);
	uint64_t high = to_ordered(2 * half[n - 1]);

	while (low < high)
	{
		uint64_t middle = low + (high - low) / 2;

		if (count_sums(half, n, from_ordered(middle)) >= k)
			high = middle;
		else
			low = middle + 1;
	}
	return from_ordered(low) + 0.0; /* of -0 and 0, which are equal, 0 */
}

PerfoptSignedRank
perfopt_signed_rank(const double *difference, int n, double level, double *scratch)
{
	PerfoptSignedRank result = { 0, false, NAN, NAN, NAN, NAN, NAN };
	int used = 0;
	double ties;
	int64_t averages;
	int64_t k;

	for (int i = 0; i < n; i++)
		if (isfinite(difference[i]) && difference[i] != 0)
			scratch[used++] = difference[i];
	result.n_used = used;
	if (used == 0)
		return result;
	perfopt_sort(scratch, used);
	result.statistic = rank_sum(scratch, used, &ties);
	result.exact = used <= EXACT && ties == 0;
	result.p_value = result.exact ? exact_two_sided(used, result.statistic)
								  : normal_two_sided(used, result.statistic, ties);

	/* A Walsh average is the sum of two halves, which does not overflow. */
	for (int i = 0; i < used; i++)
		scratch[i] /= 2;
	averages = (int64_t) used * (used + 1) / 2;
	result.estimate = select_sum(scratch, used, (averages + 1) / 2);
	if (averages % 2 == 0)
		result.estimate = result.estimate / 2 + select_sum(scratch, used, averages / 2 + 1) / 2;
	if (!(level > 0 && level < 1))
		return result;
	k = interval_rank(used, level);
	result.low = k < 1 ? -HUGE_VAL : select_sum(scratch, used, k);
	result.high = k < 1 ? HUGE_VAL : select_sum(scratch, used, averages + 1 - k);
	return result;
}
