/*
 * season.c
 *	  See season.h.
 */
#include "math/season.h"

#include <math.h>
#include <string.h>

#include "math/fft.h"
#include "math/robust.h"

#define LEAST_VALUES 8
#define LEAST_CORRELATION 0.05
#define CLIP 3.0
#define NESTED 5      /* a season this many times as long leaves the shorter one in place */
#define NOTHING 1e-18 /* mean square that is rounding, of values up to one */
#define LEAST 0.08
#define FEW_CYCLES 4.0
#define MOST 0.75
#define WEAK 0.25   /* of the strength of a longer season, beside which a shorter one is left out */
#define CHANGES 0.5 /* of the strength wanted, what changes must have */
#define CANDIDATES 96          /* peaks that are tried */
#define SAMPLE 2048            /* values of which the spread is taken */
#define CLOCK 12               /* periods of clocks are multiples of it */
#define MULTIPLE 0.5           /* share of its strength with which a multiple of a shorter season */
#define MULTIPLE_OF_CLOCK 0.85 /* is preferred, and one of CLOCK */
#define SHORT 64               /* periods that a peak is easily beside */
#define REACH 25               /* of a period, the part by which noise moves it */
#define BETTER 0.02 /* by which a season is stronger than a shorter one whose place it takes */

/*
 * Straight lines over the gaps, and the nearest value before the first and behind the last; all as
 * shares of the greatest, so that no square is out of range.  Returns how many values there were.
 */
static int
bridge(const double *v, int n, double *y)
{
	double most = 0;
	int last = -1;
	int count = 0;

	for (int i = 0; i < n; i++)
		if (isfinite(v[i]))
			most = fmax(most, fabs(v[i]));
	for (int i = 0; i < n; i++)
	{
		if (!isfinite(v[i]))
			continue;
		y[i] = most > 0 ? v[i] / most : 0;
		count++;
		for (int j = last + 1; j < i; j++)
			y[j] = last < 0 ? y[i] : y[last] + (y[i] - y[last]) * (j - last) / (i - last);
		last = i;
	}
	for (int j = last + 1; j < n && last >= 0; j++)
		y[j] = y[last];
	return count;
}

void
perfopt_season_trend(const double *v, int n, int period, double *trend)
{
	double sum = 0;
	int half = period / 2;
	int last = n - period;

	for (int i = 0; i < period; i++)
		sum += v[i];
	for (int from = 0; from <= last; from++)
	{
		/* an even window has no middle: half a value at each end instead */
		bool uneven = period % 2 == 1 || from == last;

		trend[from + half] = (sum + (uneven ? 0 : (v[from + period] - v[from]) / 2)) / period;
		if (from < last)
			sum += v[from + period] - v[from];
	}
	for (int i = 0; i < half; i++)
		trend[i] = trend[half];
	for (int i = last + half + 1; i < n; i++)
		trend[i] = trend[last + half];
}

static void
detrend(const double *y, int n, int period, double *out)
{
	perfopt_season_trend(y, n, period, out);
	for (int i = 0; i < n; i++)
		out[i] = y[i] - out[i];
}

/* Cuts to CLIP robust standard deviations; y is around zero.  Not where most values are the same. */
static void
clip(double *y, int n, double *work)
{
	int step = n / SAMPLE + 1;
	int used = 0;
	double most;

	for (int i = 0; i < n; i += step)
		work[used++] = fabs(y[i]);
	most = CLIP * 1.4826 * perfopt_median(work, used);
	for (int i = 0; i < n && most > 0; i++)
		y[i] = fmax(-most, fmin(most, y[i]));
}

/* The mean of each place within the cycle, and how many values it has. */
static void
fold(const double *y, int n, int period, double *mean, int *cycles)
{
	*cycles = n / period;
	for (int j = 0; j < period; j++)
	{
		double sum = 0;
		int count = 0;

		for (int i = j; i < n; i += period)
		{
			sum += y[i];
			count++;
		}
		mean[j] = sum / count;
	}
}

/* y is around zero, and `detrended` and `mean` are scratch of n and of `period` doubles. */
static double
strength_of(const double *y, int n, int period, double *detrended, double *mean)
{
	double all = 0;
	double left = 0;
	int cycles;

	detrend(y, n, period, detrended);
	fold(detrended, n, period, mean, &cycles);
	for (int i = 0, j = 0; i < n; i++)
	{
		double count = cycles + (j < n % period);
		double without = (detrended[i] - mean[j]) * count / (count - 1);

		all += detrended[i] * detrended[i];
		left += without * without;
		if (++j == period)
			j = 0;
	}
	return all > NOTHING * n ? 1 - left / all : 0;
}

static double
least_strength(int n, int period)
{
	double cycles = (double) n / period;

	return fmin(MOST, LEAST + FEW_CYCLES / (cycles * cycles));
}

/* Of its strength, what a period may lack and still be preferred to others: those people count in. */
static double
usualness(int period, const PerfoptSeason *found, int count)
{
	for (int i = 0; i < count; i++)
		if (period % found[i].period == 0)
			return MULTIPLE;
	return period % CLOCK == 0 ? MULTIPLE_OF_CLOCK : 1;
}

/* The best of the periods around one, and in `usual` the best of those that are preferred. */
static PerfoptSeason
best_near(const double *y, int n, int period, const PerfoptSeason *found, int count,
		  PerfoptSeason *usual, double *scratch)
{
	PerfoptSeason best = { period, -1 };
	int reach = period < LEAST_VALUES ? 0 : period / REACH + 1;
	int step = reach / 8 + 1;

	*usual = best;
	for (int p = period - reach; p <= period + reach && 2 * p <= n; p++)
	{
		PerfoptSeason one = { p, -1 };
		double lacks = usualness(p, found, count);

		if ((p - period) % step != 0 && lacks == 1)
			continue;
		one.strength = strength_of(y, n, p, scratch, scratch + n);
		if (one.strength > best.strength)
			best = one;
		if (one.strength / lacks > usual->strength / usualness(usual->period, found, count))
			*usual = one;
	}
	return best;
}

/* The period that a peak of the autocorrelation stands for: noise may have moved it. */
static PerfoptSeason
refine(const double *y, int n, int peak, const PerfoptSeason *found, int count, double *scratch)
{
	PerfoptSeason usual;
	PerfoptSeason best = best_near(y, n, peak, found, count, &usual, scratch);

	for (int moves = 0; best.period != peak && moves < 3; moves++)
	{
		peak = best.period;
		best = best_near(y, n, peak, found, count, &usual, scratch);
	}
	return usual;
}

/*
 * Whether changes over an eighth of the period repeat as well.  What wanders, as a random walk does, has
 * few independent values in a cycle, and may well look alike in some cycles; its changes do not.
 */
static bool
changes_repeat(const double *y, int n, int period, double *scratch)
{
	int lag = period / 8 > 0 ? period / 8 : 1;

	for (int i = lag; i < n; i++)
		scratch[i - lag] = y[i] - y[i - lag];
	return strength_of(scratch, n - lag, period, scratch + n, scratch + 2 * n) >=
		   CHANGES * least_strength(n, period);
}

/* Whether it is worth looking for a season near this peak; few are. */
static bool
promises(const double *y, int n, int peak, double *scratch)
{
	double least = least_strength(n, peak) / 2;
	int reach = peak < LEAST_VALUES || peak > SHORT ? 0 : 1;

	for (int p = peak - reach; p <= peak + reach && 2 * p <= n; p++)
		if (strength_of(y, n, p, scratch, scratch + n) >= least)
			return true;
	return false;
}

/* Takes the pattern of this period out of y. */
static void
remove_season(double *y, int n, int period, double *scratch)
{
	double *mean = scratch + n;
	int cycles;

	detrend(y, n, period, scratch);
	fold(scratch, n, period, mean, &cycles);
	for (int i = 0; i < n; i++)
		y[i] -= mean[i % period];
}

/* Lags at which the autocorrelation is greater than at all others within an eighth of them. */
static int
find_peaks(const double *y, int n, int *peak, double *scratch)
{
	int lags = n / 2 + 1;
	double *r = scratch;
	int found = 0;

	perfopt_autocovariance(y, (size_t) n, r, (size_t) lags, scratch + lags);
	for (int k = lags - 1; k >= 0; k--)
		r[k] = r[0] > 0 ? r[k] / r[0] * n / (n - k) : 0;
	for (int k = PERFOPT_SEASON_LEAST; k <= n / 2 && found < CANDIDATES; k++)
	{
		int reach = k / 8 < 1 ? 1 : k / 8;
		bool is_peak = r[k] > LEAST_CORRELATION;

		for (int j = 1; j <= reach && is_peak; j++)
			is_peak = r[k] >= r[k - j] && (k + j >= lags || r[k] >= r[k + j]);
		if (is_peak)
			peak[found++] = k;
	}
	return found;
}

/* Whether a longer season says more of the whole series than each one whose place it would take. */
static bool
says_more(const double *whole, int n, PerfoptSeason season, const PerfoptSeason *found, int count,
		  double *scratch)
{
	double strength = strength_of(whole, n, season.period, scratch, scratch + n);

	for (int i = 0; i < count; i++)
		if (season.period < NESTED * found[i].period &&
			strength < BETTER + strength_of(whole, n, found[i].period, scratch, scratch + n))
			return false;
	return true;
}

/* Adds one, in place of those it holds or outdoes and, if there is no room, of the weakest. */
static int
add_season(PerfoptSeason *found, int count, PerfoptSeason season)
{
	int weakest = 0;
	int kept = 0;

	for (int i = 0; i < count; i++)
		if (season.period >= NESTED * found[i].period &&
			found[i].strength >= WEAK * season.strength)
			found[kept++] = found[i];
	if (kept == PERFOPT_SEASON_MAX)
	{
		for (int i = 1; i < kept; i++)
			if (found[i].strength < found[weakest].strength)
				weakest = i;
		if (season.strength < found[weakest].strength)
			return kept;
		kept--;
		memmove(found + weakest, found + weakest + 1, (size_t) (kept - weakest) * sizeof *found);
	}
	found[kept] = season;
	return kept + 1;
}

size_t
perfopt_season_scratch(int n)
{
	size_t values = n > 0 ? (size_t) n : 0;
	size_t lags = values / 2 + 1;

	return 4 * values + lags + perfopt_autocovariance_scratch(values, lags);
}

double
perfopt_season_strength(const double *v, int n, int period, double *scratch)
{
	if (period < PERFOPT_SEASON_LEAST || period > n / 2 || bridge(v, n, scratch) < LEAST_VALUES)
		return 0;
	return strength_of(scratch, n, period, scratch + n, scratch + 2 * (size_t) n);
}

int
perfopt_season_find(const double *v, int n, PerfoptSeason *found, double *scratch)
{
	double *whole = scratch;
	double *y = scratch + (n > 0 ? n : 0); /* without the seasons found so far */
	double *work = y + (n > 0 ? n : 0);
	int peak[CANDIDATES];
	int peaks;
	int count = 0;

	if (n < LEAST_VALUES || bridge(v, n, work) < LEAST_VALUES)
		return 0;
	detrend(work, n, n / 3, whole);
	clip(whole, n, work);
	memcpy(y, whole, (size_t) n * sizeof *y);
	peaks = find_peaks(y, n, peak, work);
	for (int i = 0; i < peaks; i++)
	{
		PerfoptSeason season;

		if (!promises(y, n, peak[i], work))
			continue;
		season = refine(y, n, peak[i], found, count, work);
		if (season.strength < least_strength(n, season.period) ||
			!changes_repeat(y, n, season.period, work) ||
			!says_more(whole, n, season, found, count, work))
			continue;
		remove_season(y, n, season.period, work);
		count = add_season(found, count, season);
	}
	return count;
}
