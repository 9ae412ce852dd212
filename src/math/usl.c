/*
 * usl.c
 *	  See usl.h.
 */
#include "math/usl.h"

#include <math.h>

#define PARAMETERS 3
#define LEAST_LEVELS 4
#define LEAST_INVERSE 1e-9 /* lambda is at most a billion times the greatest throughput seen */

/* The pairs, and what throughputs are divided by, so that no power of them is out of range. */
typedef struct Pairs
{
	const double *concurrency;
	const double *throughput;
	int n;
	double unit;
} Pairs;

/* Normal equations of a step; an unused parameter has a zero row and column. */
typedef struct Equations
{
	double matrix[PARAMETERS][PARAMETERS];
	double right[PARAMETERS];
} Equations;

static bool
usable(const Pairs *p, int i)
{
	return isfinite(p->concurrency[i]) && isfinite(p->throughput[i]) && p->concurrency[i] >= 1 &&
		   p->throughput[i] >= 0;
}

/* N / X(N) is c[0] + c[1] (N - 1) + c[2] N (N - 1). */
static void
basis(double n, double *b)
{
	b[0] = 1;
	b[1] = n - 1;
	b[2] = n * (n - 1);
}

static double
denominator(const double *c, double n)
{
	return c[0] + c[1] * (n - 1) + c[2] * n * (n - 1);
}

/* One more equation, sum of row[i] x[i] = right, to be met in the sense of least squares. */
static void
add_equation(Equations *e, const double *row, double right, const bool *varies)
{
	for (int i = 0; i < PARAMETERS; i++)
		if (varies[i])
		{
			e->right[i] += row[i] * right;
			for (int j = 0; j < PARAMETERS; j++)
				if (varies[j])
					e->matrix[i][j] += row[i] * row[j];
		}
}

/*
 * Solves with the diagonal raised by the given share (Marquardt), by Cholesky's decomposition after
 * scaling the diagonal to ones.  False when it is not positive definite.
 */
static bool
solve(const Equations *e, double raise, const bool *varies, double *x)
{
	double l[PARAMETERS][PARAMETERS] = { { 0 } };
	double scale[PARAMETERS];

	for (int i = 0; i < PARAMETERS; i++)
	{
		scale[i] = varies[i] ? 1 / sqrt(e->matrix[i][i]) : 0;
		if (!isfinite(scale[i]))
			return false;
	}
	for (int i = 0; i < PARAMETERS; i++)
	{
		x[i] = e->right[i] * scale[i];
		for (int j = 0; j <= i; j++)
		{
			double sum = i != j ? e->matrix[i][j] * scale[i] * scale[j] : 1 + raise;

			for (int k = 0; k < j; k++)
				sum -= l[i][k] * l[j][k];
			if (i == j && !(sum > 1e-14))
				return false;
			l[i][j] = i == j ? sqrt(sum) : sum / l[j][j];
		}
		for (int k = 0; k < i; k++)
			x[i] -= l[i][k] * x[k];
		x[i] /= l[i][i];
	}
	for (int i = PARAMETERS - 1; i >= 0; i--)
	{
		for (int k = i + 1; k < PARAMETERS; k++)
			x[i] -= l[k][i] * x[k];
		x[i] /= l[i][i];
	}
	for (int i = 0; i < PARAMETERS; i++)
		x[i] *= scale[i];
	return true;
}

/* Sum of squared residuals; infinite where the law has no sense. */
static double
squares(const Pairs *p, const double *c)
{
	double sum = 0;

	for (int i = 0; i < p->n; i++)
		if (usable(p, i))
		{
			double d = denominator(c, p->concurrency[i]);
			double residual = p->throughput[i] / p->unit - p->concurrency[i] / d;

			if (!(d > 0))
				return HUGE_VAL;
			sum += residual * residual;
		}
	return sum;
}

/*
 * Where to start: N/X = c b with weight X^4/N^2, since an error of X is one of N/X^2 times that in
 * N/X.  If that makes no sense, the straight line through the origin.
 */
static void
start(const Pairs *p, const bool *varies, double *c)
{
	Equations e = { { { 0 } }, { 0 } };
	double over = 0;
	double under = 0;

	for (int i = 0; i < p->n; i++)
	{
		double n = p->concurrency[i];
		double x = p->throughput[i] / p->unit;
		double row[PARAMETERS];

		if (!usable(p, i))
			continue;
		basis(n, row);
		for (int j = 0; j < PARAMETERS; j++)
			row[j] *= x * x / n;
		add_equation(&e, row, x, varies);
		over += n * n;
		under += n * x;
	}
	if (!solve(&e, 0, varies, c) || isinf(squares(p, c)))
	{
		c[0] = over / under;
		c[1] = c[2] = 0;
	}
}

/* A step from c by the slopes there, which are -N/D^2 times the basis. */
static bool
find_step(const Pairs *p, const bool *varies, const double *c, double raise, double *step)
{
	Equations e = { { { 0 } }, { 0 } };

	for (int i = 0; i < p->n; i++)
	{
		double row[PARAMETERS];
		double d;
		double x;

		if (!usable(p, i))
			continue;
		basis(p->concurrency[i], row);
		d = denominator(c, p->concurrency[i]);
		x = p->concurrency[i] / d;
		for (int j = 0; j < PARAMETERS; j++)
			row[j] *= -x / d;
		add_equation(&e, row, p->throughput[i] / p->unit - x, varies);
	}
	return solve(&e, raise, varies, step);
}

/* Levenberg-Marquardt over the parameters that vary, until no step helps; returns the sum of squares. */
static double
improve(const Pairs *p, const bool *varies, double *c)
{
	double least = squares(p, c);
	double raise = 1e-3;

	for (int round = 0; round < 200 && raise < 1e12; round++)
	{
		double step[PARAMETERS];
		double next[PARAMETERS];
		double sum;

		raise *= 10;
		if (!find_step(p, varies, c, raise / 10, step))
			continue;
		for (int j = 0; j < PARAMETERS; j++)
			next[j] = c[j] + step[j];
		sum = squares(p, next);
		if (!(sum < least))
			continue;
		for (int j = 0; j < PARAMETERS; j++)
			c[j] = next[j];
		least = sum;
		raise /= 100;
	}
	return least;
}

/* False when the pairs do not say enough. */
static bool
look_at(Pairs *p, double *variation)
{
	double mean = 0;
	int used = 0;
	int levels = 0;

	p->unit = 0;
	for (int i = 0; i < p->n; i++)
	{
		bool seen = false;

		if (!usable(p, i))
			continue;
		for (int j = 0; j < i && !seen; j++)
			seen = usable(p, j) && p->concurrency[j] == p->concurrency[i];
		levels += !seen;
		used++;
		p->unit = fmax(p->unit, p->throughput[i]);
	}
	if (levels < LEAST_LEVELS || p->unit == 0)
		return false;
	for (int i = 0; i < p->n; i++)
		if (usable(p, i))
			mean += p->throughput[i] / p->unit / used;
	*variation = 0;
	for (int i = 0; i < p->n; i++)
		if (usable(p, i))
			*variation += (p->throughput[i] / p->unit - mean) * (p->throughput[i] / p->unit - mean);
	return true;
}

static void
find_peak(PerfoptUsl *usl)
{
	if (usl->kappa > 0)
	{
		usl->peak_n = usl->sigma < 1 ? fmax(1, sqrt((1 - usl->sigma) / usl->kappa)) : 1;
		usl->peak_x = perfopt_usl_throughput(usl, usl->peak_n);
		return;
	}
	/* It goes from lambda towards lambda / sigma, which is below that if sigma is above 1. */
	usl->peak_n = usl->sigma < 1 ? HUGE_VAL : 1;
	usl->peak_x = usl->sigma >= 1  ? usl->lambda
				  : usl->sigma > 0 ? usl->lambda / usl->sigma
								   : HUGE_VAL;
}

bool
perfopt_usl_fit(const double *concurrency, const double *throughput, int n, PerfoptUsl *usl)
{
	const PerfoptUsl none = { NAN, NAN, NAN, NAN, NAN, NAN };
	Pairs p = { concurrency, throughput, n, 0 };
	double least = HUGE_VAL;
	double variation;

	*usl = none;
	if (!look_at(&p, &variation))
		return false;
	/* without sigma and kappa, with one of them, with both */
	for (int choice = 0; choice < 4; choice++)
	{
		const bool varies[PARAMETERS] = { true, choice % 2 == 1, choice / 2 == 1 };
		double c[PARAMETERS];
		double sum;

		start(&p, varies, c);
		sum = improve(&p, varies, c);
		if (!(c[0] >= LEAST_INVERSE && c[1] >= 0 && c[2] >= 0) || !(sum < least))
			continue;
		least = sum;
		usl->lambda = p.unit / c[0];
		usl->sigma = c[1] / c[0];
		usl->kappa = c[2] / c[0];
	}
	/* left out of all choices, or out of the range of doubles */
	if (!(usl->lambda > 0 && isfinite(usl->lambda + usl->sigma + usl->kappa)))
	{
		*usl = none;
		return false;
	}
	if (variation > 0)
		usl->r2 = 1 - least / variation;
	find_peak(usl);
	return true;
}

double
perfopt_usl_throughput(const PerfoptUsl *usl, double concurrency)
{
	return usl->lambda * concurrency /
		   (1 + usl->sigma * (concurrency - 1) + usl->kappa * concurrency * (concurrency - 1));
}
