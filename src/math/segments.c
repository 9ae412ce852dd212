/*
 * segments.c
 *	  See segments.h.
 */
#include "math/segments.h"

#include <math.h>
#include <stddef.h>

#define INTERRUPT_EVERY 64

double
perfopt_segments_gain(const double *sum, int begin, int end)
{
	double total = sum[end] - sum[begin];

	return total * total / (end - begin);
}

/*
 * The sum of all squares is the same for every partition and is left out, so a segment costs less
 * than nothing.  Costs stand in `place` until the places are known.
 */
int
perfopt_segments_find(const double *sum, int n, int grid, int least, double penalty,
					  void (*interrupt)(void), double *place, double *from)
{
	double *cost = place;
	int last = (n + grid - 1) / grid;
	int count = 0;

	cost[0] = 0;
	for (int t = 1; t <= last; t++)
	{
		int end = t < last ? t * grid : n;
		double best = HUGE_VAL;
		int begin = 0;

		if (interrupt != NULL && t % INTERRUPT_EVERY == 0)
			interrupt();
		for (int p = 0; end - p * grid >= least; p++)
		{
			double with = cost[p] - perfopt_segments_gain(sum, p * grid, end);

			if (with < best)
			{
				best = with;
				begin = p;
			}
		}
		cost[t] = best + penalty;
		from[t] = begin;
	}
	for (int t = (int) from[last]; t > 0; t = (int) from[t])
		count++;
	for (int t = (int) from[last], i = count; t > 0; t = (int) from[t])
		place[--i] = (double) t * grid;
	return count;
}

int
perfopt_segments_settle(const double *sum, int begin, int at, int end, int least, int reach)
{
	int first = at - reach > begin + least ? at - reach : begin + least;
	int last = at + reach < end - least ? at + reach : end - least;
	int best = at;
	double most = 0;

	for (int i = first; i <= last; i++)
	{
		double gain = perfopt_segments_gain(sum, begin, i) + perfopt_segments_gain(sum, i, end);

		if (gain > most)
		{
			most = gain;
			best = i;
		}
	}
	return best;
}
