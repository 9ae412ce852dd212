/*
 * student.c
 *	  See student.h.
 */
#include "math/student.h"

#include <math.h>

/* Beyond this the beta function loses digits: its logarithm is the difference of huge numbers. */
#define MOST_DF 1e6

/* The continued fraction of the incomplete beta function (Lentz; DLMF 8.17.22). */
static double
beta_fraction(double a, double b, double x)
{
	const double tiny = 1e-300;
	double c = 1;
	double d = 1 - (a + b) * x / (a + 1);
	double f;

	d = 1 / (fabs(d) < tiny ? tiny : d);
	f = d;
	for (int m = 1; m <= 1000; m++)
	{
		double even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
		double odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
		double step;

		d = 1 + even * d;
		d = 1 / (fabs(d) < tiny ? tiny : d);
		c = 1 + even / c;
		c = fabs(c) < tiny ? tiny : c;
		f *= c * d;

		d = 1 + odd * d;
		d = 1 / (fabs(d) < tiny ? tiny : d);
		c = 1 + odd / c;
		c = fabs(c) < tiny ? tiny : c;
		step = c * d;
		f *= step;
		if (fabs(step - 1) < 1e-15)
			break;
	}
	return f;
}

/* Regularised incomplete beta function I_x(a, b); y is 1 - x, given for its precision near 0. */
static double
beta_regularised(double a, double b, double x, double y)
{
	double front;

	if (x <= 0)
		return 0;
	if (y <= 0)
		return 1;
	front = exp(lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(x) + b * log(y));
	if (x < (a + 1) / (a + b + 2))
		return front * beta_fraction(a, b, x) / a;
	return 1 - front * beta_fraction(b, a, y) / b;
}

/* P(T > t) for t >= 0. */
static double
upper_tail(double t, double df)
{
	double square = t * t;
	double normal;

	if (isinf(square))
		return 0;
	if (df <= MOST_DF)
		return 0.5 * beta_regularised(df / 2, 0.5, df / (df + square), square / (df + square));
	/* The difference from the normal tail falls as 1/df (Abramowitz, Stegun 26.7.7). */
	normal = perfopt_normal_tail(t);
	return normal + (upper_tail(t, MOST_DF) - normal) * (MOST_DF / df);
}

double
perfopt_student_tail(double t, double df)
{
	if (isnan(t) || !(df > 0))
		return NAN;
	return t >= 0 ? upper_tail(t, df) : 1 - upper_tail(-t, df);
}

double
perfopt_student_cdf(double t, double df)
{
	return perfopt_student_tail(-t, df);
}

double
perfopt_student_two_sided(double t, double df)
{
	return 2 * perfopt_student_tail(fabs(t), df);
}

/* Bisection: the tail falls monotonically, and this is called a few times a question. */
double
perfopt_student_quantile(double p, double df)
{
	double tail = p < 0.5 ? p : 1 - p;
	double low = 0;
	double high = 1;

	if (!(p > 0 && p < 1) || !(df > 0))
		return NAN;
	if (p == 0.5)
		return 0;
	while (upper_tail(high, df) > tail)
	{
		low = high;
		high *= 2;
		if (isinf(high))
			return p < 0.5 ? -HUGE_VAL : HUGE_VAL;
	}
	for (int i = 0; i < 200 && high - low > 1e-14 * high; i++)
	{
		double middle = low + (high - low) / 2;

		if (upper_tail(middle, df) > tail)
			low = middle;
		else
			high = middle;
	}
	return (p < 0.5 ? -1 : 1) * (low + (high - low) / 2);
}

double
perfopt_normal_tail(double x)
{
	return 0.5 * erfc(x / sqrt(2));
}

double
perfopt_normal_cdf(double x)
{
	return perfopt_normal_tail(-x);
}

/* AS 241: coefficients of the polynomials above and below the line, lowest power first. */
enum
{
	MIDDLE,
	TAIL,
	FAR_TAIL
};

static const double as241[3][2][8] = {
	[MIDDLE] = { { 3.3871328727963666080e0, 1.3314166789178437745e2, 1.9715909503065514427e3,
				   1.3731693765509461125e4, 4.5921953931549871457e4, 6.7265770927008700853e4,
				   3.3430575583588128105e4, 2.5090809287301226727e3 },
				 { 1.0, 4.2313330701600911252e1, 6.8718700749205790830e2, 5.3941960214247511077e3,
				   2.1213794301586595867e4, 3.9307895800092710610e4, 2.8729085735721942674e4,
				   5.2264952788528545610e3 } },
	[TAIL] = { { 1.42343711074968357734e0, 4.63033784615654529590e0, 5.76949722146069140550e0,
				 3.64784832476320460504e0, 1.27045825245236838258e0, 2.41780725177450611770e-1,
				 2.27238449892691845833e-2, 7.74545014278341407640e-4 },
			   { 1.0, 2.05319162663775882187e0, 1.67638483018380384940e0, 6.89767334985100004550e-1,
				 1.48103976427480074590e-1, 1.51986665636164571966e-2, 5.47593808499534494600e-4,
				 1.05075007164441684324e-9 } },
	[FAR_TAIL] = { { 6.65790464350110377720e0, 5.46378491116411436990e0, 1.78482653991729133580e0,
					 2.96560571828504891230e-1, 2.65321895265761230930e-2,
					 1.24266094738807843860e-3, 2.71155556874348757815e-5,
					 2.01033439929228813265e-7 },
				   { 1.0, 5.99832206555887937690e-1, 1.36929880922735805310e-1,
					 1.48753612908506148525e-2, 7.86869131145613259100e-4,
					 1.84631831751005468180e-5, 1.42151175831644588870e-7,
					 2.04426310338993978564e-15 } }
};

static double
rational(int range, double x)
{
	double over = 0;
	double under = 0;

	for (int i = 7; i >= 0; i--)
	{
		over = over * x + as241[range][0][i];
		under = under * x + as241[range][1][i];
	}
	return over / under;
}

double
perfopt_normal_quantile(double p)
{
	double q = p - 0.5;
	double r;
	double x;

	if (!(p >= 0 && p <= 1))
		return NAN;
	if (p == 0 || p == 1)
		return p == 0 ? -HUGE_VAL : HUGE_VAL;
	if (fabs(q) <= 0.425)
		return q * rational(MIDDLE, 0.180625 - q * q);
	r = sqrt(-log(q < 0 ? p : 1 - p));
	x = r <= 5 ? rational(TAIL, r - 1.6) : rational(FAR_TAIL, r - 5);
	return q < 0 ? -x : x;
}

bool
perfopt_prediction_interval(const double *v, int n, int m, double level, double *low, double *high)
{
	double mean = 0;
	double squares = 0;
	double half;
	int used = 0;

	*low = *high = NAN;
	/* Welford's recurrence: no digits are lost when the spread is small beside the mean. */
	for (int i = 0; i < n; i++)
	{
		double from_mean = v[i] - mean;

		if (!isfinite(v[i]))
			continue;
		used++;
		mean += from_mean / used;
		squares += from_mean * (v[i] - mean);
	}
	if (used < 2 || m < 1 || !(level > 0 && level < 1))
		return false;
	half = perfopt_student_quantile((1 + level) / 2, used - 1) * sqrt(squares / (used - 1)) *
		   sqrt(1.0 / m + 1.0 / used);
	*low = mean - half;
	*high = mean + half;
	return true;
}
