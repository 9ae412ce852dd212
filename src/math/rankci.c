/*
 * rankci.c
 *	  See rankci.h.
 */
#include "math/rankci.h"

#include <math.h>

#include "math/student.h"

#define MOST_VALUES (INT64_C(1) << 53) /* counted by doubles */
#define NOTHING 1e-18                  /* beside the mode's share */

/*
 * P(B = k + 1) / P(B = k) or P(B = k - 1) / P(B = k).  Starting from the mode's share, which is
 * called 1, these give all others without a factorial; their sum takes the place of the unit.
 */
static double
ratio(int64_t n, double odds, int64_t k, bool up)
{
	return up ? (double) (n - k) / (double) (k + 1) * odds
			  : (double) k / (double) (n - k + 1) / odds;
}

/* How much of all lies beyond the mode on one side, in units of the mode's share. */
static double
sum_beyond(int64_t n, double odds, int64_t mode, bool up)
{
	double share = 1;
	double sum = 0;

	/* shares fall faster than a geometric series */
	for (int64_t k = mode; (up ? k < n : k > 0) && share > NOTHING; k += up ? 1 : -1)
	{
		share *= ratio(n, odds, k, up);
		sum += share;
	}
	return sum;
}

/*
 * The number nearest to the mode on one side such that it and all beyond it have together at most
 * the given share; -1 or n + 1 when there is none.  sum is what lies beyond the mode.
 */
static int64_t
tail_start(int64_t n, double odds, int64_t mode, bool up, double sum, double most)
{
	double share = 1;
	int64_t k = mode;

	sum += 1; /* now of k and all beyond */
	while (sum > most && share > NOTHING)
	{
		sum -= share;
		if (up ? k >= n : k <= 0)
			return up ? n + 1 : -1;
		share *= ratio(n, odds, k, up);
		k += up ? 1 : -1;
	}
	return k;
}

bool
perfopt_rank_interval(int64_t n, double q, double level, int64_t *low, int64_t *high)
{
	double alpha = (1 - level) / 2;
	double size = (double) n;
	double variance = size * q * (1 - q);

	*low = 0;
	*high = n < 1 ? 1 : n > MOST_VALUES ? INT64_MAX : n + 1;
	if (n < 1 || n > MOST_VALUES || !(q > 0 && q < 1) || !(level > 0 && level < 1))
		return false;
	if (variance <= PERFOPT_RANK_EXACT)
	{
		double odds = q / (1 - q);
		int64_t mode = (int64_t) fmin(size, floor((size + 1) * q));
		double left = sum_beyond(n, odds, mode, false);
		double right = sum_beyond(n, odds, mode, true);
		/* what is left of a level such as 0.95 in binary must not decide */
		double most = alpha * (left + 1 + right) * (1 + 1e-12);

		*low = tail_start(n, odds, mode, false, left, most) + 1;
		*high = tail_start(n, odds, mode, true, right, most);
	}
	else
	{
		double z = -perfopt_normal_quantile(alpha);
		double middle = size * q + (z * z - 1) * (1 - 2 * q) / 6;
		double half = z * sqrt(variance);

		/* P(B <= k) is the normal one of k + 1/2 */
		*low = (int64_t) fmax(0, floor(middle - half + 0.5));
		*high = (int64_t) fmin(size + 1, ceil(middle + half + 0.5));
	}
	return *low >= 1 && *high <= n;
}
