/*
 * powerfit.c
 *	  See powerfit.h.
 */
#include "math/powerfit.h"

#include <math.h>

#include "math/student.h"

static bool
usable(const double *x, const double *y, int i)
{
	return isfinite(x[i]) && isfinite(y[i]) && x[i] > 0 && y[i] > 0;
}

bool
perfopt_power_fit(const double *x, const double *y, int n, double level, PerfoptPower *power)
{
	double mean_x = 0;
	double mean_y = 0;
	double xx = 0;
	double xy = 0;
	double yy = 0;
	double residual = 0;
	double half;

	*power = (PerfoptPower){ 0, NAN, NAN, NAN, NAN, NAN };
	for (int i = 0; i < n; i++)
		if (usable(x, y, i))
		{
			power->n++;
			mean_x += (log(x[i]) - mean_x) / power->n;
			mean_y += (log(y[i]) - mean_y) / power->n;
		}
	for (int i = 0; i < n; i++)
		if (usable(x, y, i))
		{
			double from_x = log(x[i]) - mean_x;
			double from_y = log(y[i]) - mean_y;

			xx += from_x * from_x;
			xy += from_x * from_y;
			yy += from_y * from_y;
		}
	/* What rounding leaves of equal logarithms is below this; a real step of x is far above. */
	if (!(xx > 1e-24 * power->n))
		return false;
	power->exponent = xy / xx;
	power->factor = exp(mean_y - power->exponent * mean_x);
	for (int i = 0; i < n; i++)
		if (usable(x, y, i))
		{
			double error = log(y[i]) - mean_y - power->exponent * (log(x[i]) - mean_x);

			residual += error * error;
		}
	if (yy > 0)
		power->r2 = 1 - residual / yy;
	if (power->n < 3 || !(level > 0 && level < 1))
		return true;
	half = perfopt_student_quantile((1 + level) / 2, power->n - 2) *
		   sqrt(residual / (power->n - 2) / xx);
	power->low = power->exponent - half;
	power->high = power->exponent + half;
	return true;
}
