/*
 * forecast_ar.c
 *	  Sparse autoregression: each value from a few recent ones and from those one or more seasons ago.
 *
 * The coefficients have the least sum of absolute errors, by reweighted least squares (Schlossmacher,
 * Journal of the American Statistical Association 68, 1973): outliers pull less than with squares.
 * Several steps ahead the forecasts take the place of the values.
 */
#include "math/forecast_private.h"

#include <math.h>
#include <string.h>

#include "math/robust.h"

#define NEAR 4   /* values just before */
#define CYCLES 6 /* as many of the shortest season */
#define FAR 64   /* without seasons and near values: powers of two up to this */
#define WEEK 7   /* days are in a week: looked at even where no week was found */
#define MAX_LAGS 40
#define BLOCK 4 /* equations added at once: each sum is read and written but once for them */
#define PASSES 4
#define SAMPLE 512 /* errors of which the median is taken */
#define FORGET 2.0 /* the first values weigh less than the last by exp(-FORGET): systems change */
#define RIDGE 1e-6
#define BEYOND 0.5 /* how far forecasts may leave the range seen, as a share of it */

typedef struct Regression
{
	int lag[MAX_LAGS]; /* ascending */
	int lags;
	double coefficient[MAX_LAGS + 1]; /* the last one is the constant */
} Regression;

static void
add_lag(Regression *r, int lag, int most)
{
	int at = 0;

	while (at < r->lags && r->lag[at] < lag)
		at++;
	if (lag < 1 || lag > most || r->lags == MAX_LAGS || (at < r->lags && r->lag[at] == lag))
		return;
	memmove(r->lag + at + 1, r->lag + at, (size_t) (r->lags - at) * sizeof *r->lag);
	r->lag[at] = lag;
	r->lags++;
}

static void
add_around(Regression *r, int lag, int most)
{
	for (int i = lag - 1; i <= lag + 1; i++)
		add_lag(r, i, most);
}

static void
choose_lags(Regression *r, const PerfoptHistory *h, bool near)
{
	int most = (h->n - 1) / 2;

	r->lags = 0;
	for (int i = 1; i <= NEAR && near; i++)
		add_lag(r, i, most);
	if (h->seasons == 0)
	{
		for (int i = 1; i <= FAR && !near; i *= 2)
			add_lag(r, i, most);
		return;
	}
	add_around(r, h->season[0], most);
	add_around(r, 2 * h->season[0], most);
	for (int i = 3; i <= CYCLES; i++)
		add_lag(r, i * h->season[0], most);
	add_around(r, WEEK * h->season[0], most);
	add_lag(r, (WEEK + 1) * h->season[0], most);
	for (int i = 1; i < h->seasons; i++)
	{
		add_around(r, h->season[i], most);
		add_lag(r, h->season[i] + h->season[0], most);
	}
}

/* Solves matrix x = right, both of the size given, by Cholesky's decomposition in place. */
static bool
solve(double (*matrix)[MAX_LAGS + 1], double *x, int size)
{
	for (int i = 0; i < size; i++)
		for (int j = 0; j <= i; j++)
		{
			double sum = matrix[i][j];

			for (int k = 0; k < j; k++)
				sum -= matrix[i][k] * matrix[j][k];
			if (i > j)
				matrix[i][j] = sum / matrix[j][j];
			else if (sum > 0)
				matrix[i][i] = sqrt(sum);
			else
				return false;
		}
	for (int i = 0; i < size; i++)
	{
		for (int k = 0; k < i; k++)
			x[i] -= matrix[i][k] * x[k];
		x[i] /= matrix[i][i];
	}
	for (int i = size - 1; i >= 0; i--)
	{
		for (int k = i + 1; k < size; k++)
			x[i] -= matrix[k][i] * x[k];
		x[i] /= matrix[i][i];
	}
	return true;
}

static double
predict(const Regression *r, const double *z, int t)
{
	double sum = r->coefficient[r->lags];

	for (int i = 0; i < r->lags; i++)
		sum += r->coefficient[i] * z[t - r->lag[i]];
	return sum;
}

/* Of weighted least squares. */
typedef struct Sums
{
	double matrix[MAX_LAGS + 1][MAX_LAGS + 1];
	double right[MAX_LAGS + 1];
} Sums;

static void
add_equations(Sums *s, double (*row)[MAX_LAGS + 1], int size, const double *weight,
			  const double *value)
{
	for (int i = 0; i < size; i++)
	{
		double a = weight[0] * row[0][i];
		double b = weight[1] * row[1][i];
		double c = weight[2] * row[2][i];
		double d = weight[3] * row[3][i];

		s->right[i] += a * value[0] + b * value[1] + c * value[2] + d * value[3];
		for (int j = 0; j <= i; j++)
			s->matrix[i][j] += a * row[0][j] + b * row[1][j] + c * row[2][j] + d * row[3][j];
	}
}

/* One pass of least squares over z[first .. n) with these weights. */
static bool
fit_weighted(Regression *r, const double *z, int first, int n, const double *weight)
{
	Sums s = { 0 };
	double row[BLOCK][MAX_LAGS + 1];

	for (int t = first; t < n; t += BLOCK)
	{
		double w[BLOCK] = { 0 };
		double value[BLOCK] = { 0 };

		for (int b = 0; b < BLOCK; b++)
		{
			int at = t + b < n ? t + b : n - 1;

			/* behind the last one, the last again with no weight */
			w[b] = t + b < n ? weight[at - first] : 0;
			value[b] = z[at];
			for (int i = 0; i < r->lags; i++)
				row[b][i] = z[at - r->lag[i]];
			row[b][r->lags] = 1;
		}
		add_equations(&s, row, r->lags + 1, w, value);
	}
	for (int i = 0; i < r->lags; i++)
		s.matrix[i][i] += RIDGE * (n - first);
	s.matrix[r->lags][r->lags] += 1e-12;
	if (!solve(s.matrix, s.right, r->lags + 1))
		return false;
	memcpy(r->coefficient, s.right, sizeof s.right);
	return true;
}

static bool
fit(Regression *r, const double *z, int n, PerfoptArena arena)
{
	int first = r->lag[r->lags - 1];
	int rows = n - first;
	double *weight = perfopt_arena_take(&arena, (size_t) rows);
	double *error = perfopt_arena_take(&arena, (size_t) rows);
	int every = rows / SAMPLE + 1;

	for (int i = 0; i < rows; i++)
		weight[i] = 1;
	for (int pass = 0; pass < PASSES; pass++)
	{
		double least;
		double sum = 0;
		int sample = 0;

		if (!fit_weighted(r, z, first, n, weight))
			return pass > 0;
		for (int i = 0; i < rows; i++)
		{
			weight[i] = fabs(z[first + i] - predict(r, z, first + i));
			if (i % every == 0)
				error[sample++] = weight[i];
		}
		least = perfopt_median(error, sample) / 2 + 1e-6;
		for (int i = 0; i < rows; i++)
			sum += weight[i] = 1 / fmax(weight[i], least);
		for (int i = 0; i < rows; i++)
			weight[i] *= rows / sum * exp(-FORGET * (rows - i) / rows);
	}
	return true;
}

static void
autoregress(const PerfoptHistory *h, bool near, int horizon, double *out, PerfoptArena arena)
{
	double *z = perfopt_arena_take(&arena, (size_t) h->n + (size_t) horizon);
	Regression r;
	double mean = 0;
	double squares = 0;
	double low = HUGE_VAL;
	double high = -HUGE_VAL;
	double unit;

	for (int i = 0; i < h->n; i++)
		mean += h->x[i] / h->n;
	for (int i = 0; i < h->n; i++)
		squares += (h->x[i] - mean) * (h->x[i] - mean) / h->n;
	unit = squares > 0 ? sqrt(squares) : 1;
	for (int i = 0; i < h->n; i++)
	{
		z[i] = (h->x[i] - mean) / unit;
		low = fmin(low, z[i]);
		high = fmax(high, z[i]);
	}
	choose_lags(&r, h, near);
	if (r.lags == 0 || !fit(&r, z, h->n, arena))
	{
		perfopt_forecast_last(h, horizon, out, arena);
		return;
	}
	for (int t = h->n; t < h->n + horizon; t++)
	{
		double most = BEYOND * (high - low);

		z[t] = fmax(low - most, fmin(high + most, predict(&r, z, t)));
		out[t - h->n] = z[t] * unit + mean;
	}
}

void
perfopt_forecast_ar(const PerfoptHistory *h, int horizon, double *out, PerfoptArena arena)
{
	autoregress(h, true, horizon, out, arena);
}

void
perfopt_forecast_ar_seasonal(const PerfoptHistory *h, int horizon, double *out, PerfoptArena arena)
{
	autoregress(h, false, horizon, out, arena);
}
