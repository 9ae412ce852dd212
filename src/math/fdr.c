/*
 * fdr.c
 *	  See fdr.h.
 */
#include "math/fdr.h"

#include <math.h>
#include <stdbool.h>

#include "math/robust.h"

static bool
is_probability(double p)
{
	return p >= 0 && p <= 1;
}

/* Where p stands in sorted, which has it. */
static int
find(const double *sorted, int n, double p)
{
	int low = 0;
	int high = n - 1;

	while (low < high)
	{
		int middle = low + (high - low) / 2;

		if (sorted[middle] < p)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

void
perfopt_fdr_adjust(const double *p, int n, double *adjusted, double *scratch)
{
	double *sorted = scratch;
	double *result = scratch + (n > 0 ? n : 0);
	double least = 1;
	int m = 0;

	for (int i = 0; i < n; i++)
		if (is_probability(p[i]))
			sorted[m++] = p[i];
	perfopt_sort(sorted, m);
	/* Equal ones get the same, since the last of them decides for all. */
	for (int i = m - 1; i >= 0; i--)
	{
		least = fmin(least, sorted[i] * m / (i + 1));
		result[i] = least;
	}
	for (int i = 0; i < n; i++)
		adjusted[i] = is_probability(p[i]) ? result[find(sorted, m, p[i])] : NAN;
}
