/*
 * forecast.h
 *	  Forecasts of a series with an interval for each value, without anything to set.
 *
 * 1. Leading gaps are cut off, others filled from the same place of neighbouring cycles or, when
 *	  short, by straight lines; lone spikes that no neighbouring cycle has are taken out.
 * 2. Seasons are found (season.h) unless given.  Seven cycles of the only one are looked at as well,
 *	  where there are three of them: days make weeks.
 * 3. More than PERFOPT_FORECAST_VALUES values are averaged in runs of equal length, for which the
 *	  rest is done.  What is finer comes back as the pattern within the season, as far as earlier
 *	  cycles show that it repeats, and the distance of the last values, fading.
 * 4. Eleven methods forecast from up to PERFOPT_FORECAST_ORIGINS earlier moments what is known by now:
 *	  sparse autoregression, the same on other seasons' values alone, and smoothing with several
 *	  seasons, each of the values and of their logarithms; decomposition with simple smoothing, Theta
 *	  and a damped trend; medians of the last days and weeks, or of last values.
 * 5. What they say of the future is combined (Bates, Granger, Operational Research Quarterly 20, 1969;
 *	  Jose, Winkler, International Journal of Forecasting 24, 2008, for trimming): weights fall with
 *	  the error at those moments, and the middle part of the weight is averaged.
 * 6. The interval is made of the combination's own errors at those moments (split conformal
 *	  prediction; Vovk, Gammerman, Shafer, Algorithmic Learning in a Random World, 2005, applied to
 *	  errors divided by their usual size so many steps ahead).  Weights at a moment are from the other
 *	  moments.  Each bound is widened by Student's t, with as many degrees of freedom as these errors
 *	  are worth independent ones, and by what few moments may have missed.
 *
 * The forecast is meant as the median: as often too high as too low.  For an intermittent series,
 * which has the same value more than half of the time, it is thus mostly that value, and `upper`
 * says what comes in between.
 *
 * What cannot be done is said in `limits`.  What no history shows, a forecast does not know: a level
 * shift is followed once it has been seen, not before.
 *
 * Pure C: no PostgreSQL, no allocation: scratch memory is the caller's.
 */
#ifndef PERFOPT_FORECAST_H
#define PERFOPT_FORECAST_H

#include <stdbool.h>
#include <stddef.h>

#include "math/season.h"

#define PERFOPT_FORECAST_LEAST 4   /* values with which a forecast is tried at all */
#define PERFOPT_FORECAST_ORIGINS 8 /* earlier moments at which methods are tried */
#define PERFOPT_FORECAST_METHODS 11
#define PERFOPT_FORECAST_VALUES 4096
#define PERFOPT_FORECAST_MOST 131072 /* of more values the last are used; greatest horizon */

typedef enum PerfoptForecastStatus
{
	PERFOPT_FORECAST_OK,
	PERFOPT_FORECAST_TOO_SHORT, /* fewer than PERFOPT_FORECAST_LEAST values */
	PERFOPT_FORECAST_ARGUMENT,  /* an option, n or the horizon is out of range */
	PERFOPT_FORECAST_INTERRUPTED
} PerfoptForecastStatus;

/* What a forecast could not rest on. */
#define PERFOPT_FORECAST_NO_SEASON 1 /* none given and none found */
#define PERFOPT_FORECAST_UNTESTED 2  /* too short to try methods: the last goes on, as a walk */
#define PERFOPT_FORECAST_FEW_TESTS 4 /* fewer than four earlier moments: the interval is a guess */
#define PERFOPT_FORECAST_FAR 8       /* the horizon is longer than what could be tested */
#define PERFOPT_FORECAST_CONSTANT 16 /* all values are the same */
#define PERFOPT_FORECAST_INTERMITTENT 32 /* more than half of them are */
#define PERFOPT_FORECAST_GAPS 64         /* more than a quarter of the values is missing */

typedef struct PerfoptForecastOptions
{
	double level;      /* of the interval, within (0, 1) */
	double minimum;    /* what is never gone below: 0 for counts; -infinity for no such bound */
	double maximum;    /* nor above: 1 for ratios; infinity */
	const int *season; /* periods in values, ascending; NULL: to be found */
	int seasons;       /* up to PERFOPT_SEASON_MAX; 0 with season not NULL: there are none */
	bool (*interrupted)(void *argument); /* asked every few milliseconds, but once in
										 * 0.1 s while seasons are found; NULL: never */
	void *argument;
} PerfoptForecastOptions;

/* 95 %, no bounds, seasons to be found. */
extern const PerfoptForecastOptions perfopt_forecast_defaults;

typedef struct PerfoptForecast
{
	double *value; /* the caller's, room for the horizon in each */
	double *lower;
	double *upper;

	unsigned limits; /* PERFOPT_FORECAST_NO_SEASON and so on */
	int seasons;
	int season[PERFOPT_SEASON_MAX];
	int origins;  /* moments at which methods were tried */
	double error; /* mean absolute error of the combination there; NaN with none */
	/* of each method; sums to 1, or all are 0 when none was tried */
	double weight[PERFOPT_FORECAST_METHODS];
} PerfoptForecast;

/* What weight[i] belongs to, in English; NULL for i out of range. */
extern const char *perfopt_forecast_method(int i);

/* Bytes that perfopt_forecast() wants as scratch, aligned like a double. */
extern size_t perfopt_forecast_scratch(int n, int horizon);

/*
 * Forecasts the values with the indexes n .. n + horizon - 1 from v[0 .. n - 1], equally far apart
 * in time; what is not finite is a gap.  lower <= value <= upper, all within minimum and maximum.
 * Unless the status is OK, value, lower and upper are all NaN.
 */
extern PerfoptForecastStatus perfopt_forecast(const double *v, int n, int horizon,
											  const PerfoptForecastOptions *options,
											  PerfoptForecast *forecast, void *scratch);

#endif /* PERFOPT_FORECAST_H */
