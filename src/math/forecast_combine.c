/*
 * forecast_combine.c
 *	  One forecast out of several, by how well each did before.
 */
#include "math/forecast_private.h"

#include <math.h>

#define POWER 2     /* weights are errors to the power of minus this */
#define WORST 2.0   /* times the least error: beyond, no weight */
#define TRIMMED 0.4 /* share of the weight that is left out at each end */

/*
 * At each origin errors are divided by the methods' mean, so that a moment at which nobody could
 * know what comes does not decide.
 */
void
perfopt_forecast_weigh(double (*error)[PERFOPT_FORECAST_ORIGINS], int origins, int without,
					   double *weight)
{
	double score[PERFOPT_FORECAST_METHODS] = { 0 };
	double least = HUGE_VAL;
	double sum = 0;

	for (int o = 0; o < origins; o++)
	{
		double usual = 0;
		int count = 0;

		if (o == without && origins > 1)
			continue;
		for (int m = 0; m < PERFOPT_FORECAST_METHODS; m++)
			if (isfinite(error[m][o]))
			{
				usual += error[m][o];
				count++;
			}
		for (int m = 0; m < PERFOPT_FORECAST_METHODS; m++)
			if (!isfinite(error[m][o]))
				score[m] = HUGE_VAL;
			else if (usual > 0)
				score[m] += error[m][o] / (usual / count);
	}
	for (int m = 0; m < PERFOPT_FORECAST_METHODS; m++)
		least = fmin(least, score[m]);
	for (int m = 0; m < PERFOPT_FORECAST_METHODS; m++)
	{
		weight[m] = !(score[m] <= WORST * least) ? 0 : least > 0 ? pow(least / score[m], POWER) : 1;
		sum += weight[m];
	}
	for (int m = 0; m < PERFOPT_FORECAST_METHODS; m++)
		weight[m] /= sum;
}

double
perfopt_forecast_middle(const double *value, const double *weight)
{
	int order[PERFOPT_FORECAST_METHODS] = { 0 };
	double before = 0;
	double sum = 0;

	for (int m = 0; m < PERFOPT_FORECAST_METHODS; m++)
	{
		int at = m;

		for (; at > 0 && value[order[at - 1]] > value[m]; at--)
			order[at] = order[at - 1];
		order[at] = m;
	}
	for (int i = 0; i < PERFOPT_FORECAST_METHODS; i++)
	{
		double behind = before + weight[order[i]];
		double part = fmin(behind, 1 - TRIMMED) - fmax(before, TRIMMED);

		if (part > 0)
			sum += part * value[order[i]];
		before = behind;
	}
	return sum / (1 - 2 * TRIMMED);
}
