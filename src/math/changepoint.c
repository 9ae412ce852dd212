/*
 * changepoint.c
 *	  See changepoint.h.
 */
#include "math/changepoint.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "math/segments.h"
#include "math/robust.h"

#define SEGMENT PERFOPT_CHANGEPOINT_SEGMENT
#define HAMPEL_HALF 7
#define HAMPEL_SIGMAS 4
#define MAD_SIGMA 1.4826 /* of a normal distribution, in its median absolute deviations */
#define MOST_RHO 0.9
#define REFITS 2
#define MOST_PARTED 0.4 /* of the pairs of blocks, by changes */
#define MOST_PARTED_BY_ONE 0.2
#define ALMOST_ALL 0.98
#define INTERRUPT_EVERY 1024

typedef struct Series
{
	int n;         /* finite values */
	int grid;      /* distance of the places where a change may be; 1 unless the series is long */
	int block;     /* the L of the header */
	double wander; /* the block means' long-run standard deviation */
	double noise;  /* the long-run standard deviation */
	double plain;  /* the standard deviation of the residuals */
	PerfoptChangepointOptions options;
	double *raw;
	double *index; /* of the raw values within what the caller gave; doubles hold them exactly */
	double *clean; /* raw without outliers */
	double *sum;   /* sum[i] of the first i clean values' distances from their median */
	double *left;  /* scratch of n + 1 each */
	double *right;
} Series;

static void
check_interrupt(const Series *s, int i)
{
	if (s->options.interrupt != NULL && i % INTERRUPT_EVERY == 0)
		s->options.interrupt();
}

static double
median_of(const double *v, int n, double *scratch)
{
	memcpy(scratch, v, (size_t) n * sizeof *v);
	return perfopt_median(scratch, n);
}

static double
spread_of(const double *v, int n, double center, double *scratch)
{
	for (int i = 0; i < n; i++)
		scratch[i] = fabs(v[i] - center);
	return MAD_SIGMA * perfopt_median(scratch, n);
}

/* Standard deviation by differences of neighbours, on which steps have little influence. */
static double
neighbour_noise(const double *v, int n, double *scratch)
{
	double squares = 0;
	double spread;

	for (int i = 1; i < n; i++)
	{
		squares += (v[i] - v[i - 1]) * (v[i] - v[i - 1]);
		scratch[i - 1] = fabs(v[i] - v[i - 1]);
	}
	spread = MAD_SIGMA * perfopt_median(scratch, n - 1);
	/* where most neighbours are equal, the rest has to say it */
	return (spread > 0 ? spread : sqrt(squares / (n - 1))) / sqrt(2);
}

static void
remove_outliers(Series *s)
{
	double window[2 * HAMPEL_HALF + 1];
	double least = neighbour_noise(s->raw, s->n, s->left);

	for (int i = 0; i < s->n; i++)
	{
		int begin = i < HAMPEL_HALF ? 0 : i - HAMPEL_HALF;
		int end = i + HAMPEL_HALF < s->n ? i + HAMPEL_HALF + 1 : s->n;
		double center = median_of(s->raw + begin, end - begin, window);
		double spread = spread_of(s->raw + begin, end - begin, center, window);

		check_interrupt(s, i);
		s->clean[i] =
			fabs(s->raw[i] - center) > HAMPEL_SIGMAS * fmax(spread, least) ? center : s->raw[i];
	}
}

static void
add_up(Series *s)
{
	double center = median_of(s->clean, s->n, s->left);

	s->sum[0] = 0;
	for (int i = 0; i < s->n; i++)
		s->sum[i + 1] = s->sum[i] + (s->clean[i] - center);
}

static int
begin_of(const PerfoptChangepoint *changes, int i)
{
	return i == 0 ? 0 : changes[i - 1].index;
}

static int
end_of(const Series *s, const PerfoptChangepoint *changes, int count, int i)
{
	return i < count - 1 ? changes[i + 1].index : s->n;
}

/* Sets noise and plain from what the segments leave, in which 3 spreads are the most. */
static void
measure_noise(Series *s, const PerfoptChangepoint *changes, int count)
{
	double *residual = s->right;
	double products = 0;
	double squares = 0;
	double most;
	double rho;

	for (int i = 0; i <= count; i++)
	{
		int begin = begin_of(changes, i);
		int end = i < count ? changes[i].index : s->n;
		double center = median_of(s->clean + begin, end - begin, s->left);

		for (int j = begin; j < end; j++)
			residual[j] = s->clean[j] - center;
	}
	most = 3 * spread_of(residual, s->n, median_of(residual, s->n, s->left), s->left);
	for (int i = 0; i < s->n; i++)
	{
		residual[i] = fmax(-most, fmin(most, residual[i]));
		squares += residual[i] * residual[i];
		products += i > 0 ? residual[i] * residual[i - 1] : 0;
	}
	rho = squares > 0 ? fmax(0, fmin(MOST_RHO, products / squares)) : 0;
	s->plain = sqrt(squares / s->n);
	s->noise = fmax(s->wander, s->plain * sqrt((1 + rho) / (1 - rho)));
}

/* p of the header, for the z of a series' most conspicuous place. */
static double
chance_of(double z, int n)
{
	double share = fmin(0.45, (double) SEGMENT / n);
	double squared = z * z;

	if (z < 1)
		return 1;
	return fmin(1, z * exp(-squared / 2) / sqrt(2 * acos(-1)) *
					   (2 * log((1 - share) / share) * (1 - 1 / squared) + 4 / squared));
}

/* The z whose p is the significance. */
static double
critical_value(double significance, int n)
{
	double low = 1;
	double high = 40;

	for (int i = 0; i < 60; i++)
	{
		double middle = (low + high) / 2;

		if (chance_of(middle, n) > significance)
			low = middle;
		else
			high = middle;
	}
	return high;
}

/*
 * Wu's and Zhao's long-run standard deviation, of the pairs of blocks that no change parts; sets which
 * share of them one does.
 */
static double
block_noise(Series *s, const PerfoptChangepoint *changes, int count, double *parted)
{
	int length = s->block;
	int pairs = s->n - 2 * length + 1;
	int used = 0;
	int next = 0;

	for (int i = 0; i < pairs; i++)
	{
		double first = s->sum[i + length] - s->sum[i];
		double second = s->sum[i + 2 * length] - s->sum[i + length];

		while (next < count && changes[next].index <= i)
			next++;
		if (next == count || changes[next].index >= i + 2 * length)
			s->left[used++] = fabs(second - first) / length;
	}
	*parted = 1 - (double) used / pairs;
	return sqrt(length / 2.0) * MAD_SIGMA * perfopt_median(s->left, used);
}

/*
 * Few changes hardly move the median over all pairs.  Where they part too many, the others have to do;
 * and in a short series, those beside the best place for a single change.
 */
static void
measure_wander(Series *s, const PerfoptChangepoint *changes, int count)
{
	PerfoptChangepoint single = { 0 };
	double parted;

	s->wander = block_noise(s, changes, count, &parted);
	if (parted > MOST_PARTED && parted < ALMOST_ALL)
		return;
	single.index = perfopt_segments_settle(s->sum, 0, s->n / 2, s->n, SEGMENT, s->n / 2);
	s->wander = block_noise(s, &single, 1, &parted);
	if (parted <= MOST_PARTED_BY_ONE)
		s->wander = block_noise(s, changes, 0, &parted);
}

static int
segment(Series *s, double penalty, PerfoptChangepoint *changes)
{
	int count = perfopt_segments_find(s->sum, s->n, s->grid, SEGMENT, penalty, s->options.interrupt,
									  s->left, s->right);

	for (int i = 0; i < count; i++)
		changes[i].index = (int) s->left[i];
	return count;
}

/* Mann's and Whitney's z, of values from begin on and from at on. */
static double
rank_z(Series *s, int begin, int at, int end)
{
	double nleft = at - begin;
	double nright = end - at;
	double u = 0;
	int below = 0;
	int not_above = 0;

	memcpy(s->left, s->clean + begin, (size_t) (at - begin) * sizeof *s->left);
	memcpy(s->right, s->clean + at, (size_t) (end - at) * sizeof *s->right);
	perfopt_sort(s->left, at - begin);
	perfopt_sort(s->right, end - at);
	for (int i = 0; i < at - begin; i++)
	{
		while (below < end - at && s->right[below] < s->left[i])
			below++;
		while (not_above < end - at && s->right[not_above] <= s->left[i])
			not_above++;
		u += (below + not_above) / 2.0;
	}
	return fabs(u - nleft * nright / 2) / sqrt(nleft * nright * (nleft + nright + 1) / 12);
}

/* Whether two levels explain more than a straight line does. */
static bool
is_abrupt(const Series *s, int begin, int at, int end)
{
	double n = end - begin;
	double mean = (s->sum[end] - s->sum[begin]) / n;
	double products = 0;
	double levels;

	for (int i = begin; i < end; i++)
		products += (i - begin - (n - 1) / 2) * (s->sum[i + 1] - s->sum[i]);
	levels = perfopt_segments_gain(s->sum, begin, at) + perfopt_segments_gain(s->sum, at, end) -
			 n * mean * mean;
	return levels > products * products / (n * (n * n - 1) / 12);
}

/* Sets p_value, medians and effect of the change i; the effect is 0 for what does not count. */
static void
judge(Series *s, PerfoptChangepoint *changes, int count, int i)
{
	PerfoptChangepoint *change = &changes[i];
	int begin = begin_of(changes, i);
	int at = change->index;
	int end = end_of(s, changes, count, i);
	double inflation = s->plain > 0 ? fmax(1, s->noise / s->plain) : 1;
	double left;
	double right;
	double spread;
	double step;

	check_interrupt(s, 0);
	change->p_value = chance_of(rank_z(s, begin, at, end) / inflation, s->n);
	change->before_median = median_of(s->clean + begin, at - begin, s->left);
	change->after_median = median_of(s->clean + at, end - at, s->left);
	left = spread_of(s->clean + begin, at - begin, change->before_median, s->left);
	right = spread_of(s->clean + at, end - at, change->after_median, s->left);
	spread = sqrt((left * left * (at - begin) + right * right * (end - at)) / (end - begin));
	step = change->after_median - change->before_median;
	if (step == 0 || fabs(step) < s->options.min_step ||
		fabs(step) < s->options.min_share * fabs(change->before_median) ||
		!is_abrupt(s, begin, at, end))
		change->effect = 0;
	else
		change->effect = spread > 0 ? fabs(step) / spread : HUGE_VAL;
}

/* Which change to drop: the least significant, else the least effect; -1 when all may stay. */
static int
find_weakest(const Series *s, const PerfoptChangepoint *changes, int count)
{
	int unlikely = -1;
	int slight = -1;

	for (int i = 0; i < count; i++)
	{
		if (changes[i].p_value >= s->options.significance &&
			(unlikely < 0 || changes[i].p_value > changes[unlikely].p_value))
			unlikely = i;
		if ((changes[i].effect == 0 || changes[i].effect < s->options.min_effect) &&
			(slight < 0 || changes[i].effect < changes[slight].effect))
			slight = i;
	}
	return unlikely >= 0 ? unlikely : slight;
}

static int
prune(Series *s, PerfoptChangepoint *changes, int count)
{
	int weakest;

	for (int i = 0; i < count; i++)
		judge(s, changes, count, i);
	while ((weakest = find_weakest(s, changes, count)) >= 0)
	{
		count--;
		memmove(changes + weakest, changes + weakest + 1,
				(size_t) (count - weakest) * sizeof *changes);
		/* those beside it have other neighbours now */
		if (weakest > 0)
			judge(s, changes, count, weakest - 1);
		if (weakest < count)
			judge(s, changes, count, weakest);
	}
	return count;
}

static double
mean_of(const double *v, int n)
{
	double mean = 0;

	for (int i = 0; i < n; i++)
		mean += (v[i] - mean) / (i + 1);
	return mean;
}

static void
report(const Series *s, PerfoptChangepoint *changes, int count)
{
	for (int i = 0; i < count; i++)
	{
		int begin = begin_of(changes, i);
		int at = changes[i].index;
		int end = end_of(s, changes, count, i);

		changes[i].before_mean = mean_of(s->raw + begin, at - begin);
		changes[i].after_mean = mean_of(s->raw + at, end - at);
	}
	for (int i = 0; i < count; i++)
		changes[i].index = (int) s->index[changes[i].index];
}

/* Takes the finite values and lays out the scratch memory. */
static void
take(Series *s, const double *v, int n, const PerfoptChangepointOptions *options, double *scratch)
{
	const PerfoptChangepointOptions defaults = { PERFOPT_CHANGEPOINT_SIGNIFICANCE,
												 PERFOPT_CHANGEPOINT_EFFECT, 0, 0, NULL };
	double **parts[] = { &s->raw, &s->index, &s->clean, &s->sum, &s->left, &s->right };

	s->options = options != NULL ? *options : defaults;
	if (!(s->options.significance > 0 && s->options.significance < 1))
		s->options.significance = PERFOPT_CHANGEPOINT_SIGNIFICANCE;
	if (!(s->options.min_effect >= 0))
		s->options.min_effect = PERFOPT_CHANGEPOINT_EFFECT;
	for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
		*parts[i] = scratch + i * ((size_t) n + 1);
	s->n = 0;
	for (int i = 0; i < n; i++)
		if (isfinite(v[i]))
		{
			s->raw[s->n] = v[i];
			s->index[s->n++] = i;
		}
	s->wander = 0;
	s->plain = 0;
	s->grid = (s->n + PERFOPT_CHANGEPOINT_GRID - 1) / PERFOPT_CHANGEPOINT_GRID;
	s->block = (int) lround(sqrt(s->n / 2.0));
}

/* Noise and segments depend on each other, so they alternate. */
static int
find_segments(Series *s, PerfoptChangepoint *changes)
{
	double critical = critical_value(s->options.significance, s->n);
	double penalty = critical * critical;
	int count;

	/* First without wandering.  Only what noise twice as great would not hide is no part of it. */
	count = segment(s, penalty * s->noise * s->noise, changes);
	measure_noise(s, changes, count);
	count = segment(s, 4 * penalty * s->noise * s->noise, changes);
	measure_wander(s, changes, count);
	s->noise = fmax(s->noise, s->wander);
	for (int i = 0; i < REFITS && s->noise > 0; i++)
	{
		count = segment(s, penalty * s->noise * s->noise, changes);
		measure_noise(s, changes, count);
	}
	if (s->grid > 1)
		for (int i = 0; i < count; i++)
			changes[i].index =
				perfopt_segments_settle(s->sum, begin_of(changes, i), changes[i].index,
										end_of(s, changes, count, i), SEGMENT, s->grid);
	return count;
}

int
perfopt_changepoint_find(const double *v, int n, const PerfoptChangepointOptions *options,
						 PerfoptChangepoint *changes, double *scratch)
{
	Series s;
	int count;
	int before;

	if (n < 2 * SEGMENT)
		return 0;
	take(&s, v, n, options, scratch);
	if (s.n < 2 * SEGMENT)
		return 0;
	remove_outliers(&s);
	add_up(&s);
	s.noise = neighbour_noise(s.clean, s.n, s.left);
	if (!(s.noise > 0))
		return 0;
	count = find_segments(&s, changes);
	/* What is dropped was wandering, so it is seen in what is left. */
	do
	{
		before = count;
		count = prune(&s, changes, count);
		measure_wander(&s, changes, count);
		s.noise = fmax(s.noise, s.wander);
	} while (count < before);
	report(&s, changes, count);
	return count;
}
