/*
 * trend_forecast.c
 *	  What bench/trend_forecast builds: forecasts of every series of a set, and the time of a long one.
 *
 * Usage: trend_forecast SET OUT.csv [given]	SET has series.csv (series_id,t,value,train|test) and
 *											info.csv (series_id,period,horizon,n_train)
 *		  trend_forecast time
 *
 * OUT.csv gets series_id,h,value,lower,upper; standard output the share of test values within the 95 %
 * interval and the interval's score (Gneiting, Raftery, Journal of the American Statistical
 * Association 102, 2007, divided as MASE is).  With `given`, the period is that of info.csv.  A
 * series without a negative value has 0 as its minimum.
 */
#define _POSIX_C_SOURCE 200809L

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "math/forecast.h"
#include "../test/unit/prng.h"

#define MOST 100000
#define LEVEL 0.95

static double train[MOST];
static double test[MOST];
static double value[MOST];
static double lower[MOST];
static double upper[MOST];

typedef struct Tally
{
	int series;
	double within; /* shares of steps, summed over series */
	double score;
	double slowest; /* ms */
	double all;
} Tally;

static double
now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return 1e3 * (double) t.tv_sec + (double) t.tv_nsec / 1e6;
}

static void *
allocate(size_t bytes)
{
	void *memory = malloc(bytes);

	if (memory == NULL)
	{
		fprintf(stderr, "out of memory\n");
		exit(1);
	}
	return memory;
}

/* Behind the line of titles. */
static FILE *
open_in(const char *set, const char *name)
{
	char path[4096];
	char titles[1024];
	FILE *file;

	snprintf(path, sizeof path, "%s/%s", set, name);
	file = fopen(path, "r");
	if (file == NULL || fgets(titles, sizeof titles, file) == NULL)
	{
		perror(path);
		exit(1);
	}
	return file;
}

/* The rows of one series, which is the next in the file; false when it is not. */
static bool
read_series(FILE *file, const char *id, int *n, int *tests)
{
	static char line[1024]; /* the first row of the next series is read with the last of this one */
	size_t length = strlen(id);

	*n = *tests = 0;
	if (line[0] == '\0' && fgets(line, sizeof line, file) == NULL)
		return false;
	while (strncmp(line, id, length) == 0 && line[length] == ',')
	{
		char *at = strchr(line + length + 1, ',');
		double v = strtod(at + 1, &at);

		if (strncmp(at, ",train", 6) == 0 && *n < MOST)
			train[(*n)++] = v;
		else if (*tests < MOST)
			test[(*tests)++] = v;
		if (fgets(line, sizeof line, file) == NULL)
			break;
	}
	return *n > 0;
}

static void
tally_series(Tally *t, int n, int tests, int period)
{
	double scale = 0;
	double score = 0;
	int within = 0;

	for (int i = period; i < n; i++)
		scale += fabs(train[i] - train[i - period]) / (n - period);
	for (int i = 0; i < tests; i++)
	{
		within += lower[i] <= test[i] && test[i] <= upper[i];
		score += upper[i] - lower[i] +
				 2 / (1 - LEVEL) * (fmax(0, lower[i] - test[i]) + fmax(0, test[i] - upper[i]));
	}
	t->series++;
	t->within += (double) within / tests;
	t->score += score / tests / scale;
}

static void
forecast_set(const char *set, const char *path, bool given)
{
	FILE *info = open_in(set, "info.csv");
	FILE *series = open_in(set, "series.csv");
	FILE *out = fopen(path, "w");
	char line[1024];
	Tally t = { 0 };

	if (out == NULL)
	{
		perror(path);
		exit(1);
	}
	fprintf(out, "series_id,h,value,lower,upper\n");
	while (fgets(line, sizeof line, info) != NULL)
	{
		PerfoptForecastOptions options = perfopt_forecast_defaults;
		PerfoptForecast f = { .value = value, .lower = lower, .upper = upper };
		void *scratch;
		double least = HUGE_VAL;
		double begin;
		char *id = line;
		char *at = strchr(line, ',');
		int period;
		int horizon;
		int n;
		int tests;

		if (at == NULL)
			continue;
		*at = '\0';
		period = (int) strtol(at + 1, &at, 10);
		horizon = (int) strtol(at + 1, &at, 10);
		if (!read_series(series, id, &n, &tests) || tests != horizon)
		{
			fprintf(stderr, "%s: the series is not there or has not %d values\n", id, horizon);
			exit(1);
		}
		for (int i = 0; i < n; i++)
			least = fmin(least, train[i]);
		options.level = LEVEL;
		options.minimum = least < 0 ? -HUGE_VAL : 0;
		options.season = given ? &period : NULL;
		options.seasons = given;
		scratch = allocate(perfopt_forecast_scratch(n, horizon));
		begin = now_ms();
		if (perfopt_forecast(train, n, horizon, &options, &f, scratch) != PERFOPT_FORECAST_OK)
		{
			fprintf(stderr, "%s: no forecast\n", id);
			exit(1);
		}
		t.all += now_ms() - begin;
		t.slowest = fmax(t.slowest, now_ms() - begin);
		free(scratch);
		tally_series(&t, n, tests, period);
		for (int i = 0; i < horizon; i++)
			fprintf(out, "%s,%d,%.9g,%.9g,%.9g\n", id, i + 1, value[i], lower[i], upper[i]);
	}
	fclose(info);
	fclose(series);
	fclose(out);
	printf("coverage=%.1f interval_score=%.2f ms=%.1f slowest_ms=%.1f\n", 100 * t.within / t.series,
		   t.score / t.series, t.all / t.series, t.slowest);
}

/* 30 days at 30 s, with days, a job every hour, a trend, noise that lasts and spikes; one day ahead. */
static void
forecast_long(void)
{
	const int n = 86400;
	const int horizon = 2880;
	PerfoptForecastOptions options = perfopt_forecast_defaults;
	PerfoptForecast f = { .value = value, .lower = lower, .upper = upper };
	void *scratch = allocate(perfopt_forecast_scratch(n, horizon));
	uint64_t seed = 20261124;
	double noise = 0;
	double least = HUGE_VAL;
	double off = 0;

	for (int i = 0; i < n + horizon; i++)
	{
		double day = 100 + 0.0002 * i + 40 * sin(6.283185307179586 * i / 2880);
		double job = i % 120 < 4 ? 30 : 0;

		noise = 0.9 * noise + 3 * prng_normal(&seed);
		train[i] = day + job + noise + (prng_next(&seed) % 1000 == 0 ? 300 : 0);
		if (i >= n)
			test[i - n] = train[i];
	}
	for (int run = 0; run < 5; run++)
	{
		double begin = now_ms();

		perfopt_forecast(train, n, horizon, &options, &f, scratch);
		least = fmin(least, now_ms() - begin);
	}
	for (int i = 0; i < horizon; i++)
		off += fabs(value[i] - test[i]) / horizon;
	printf("ms=%.0f mb=%.1f mae=%.2f seasons=", least,
		   (double) perfopt_forecast_scratch(n, horizon) / 1048576, off);
	for (int i = 0; i < f.seasons; i++)
		printf("%s%d", i > 0 ? "," : "", f.season[i]);
	printf("\n");
	free(scratch);
}

int
main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "time") == 0)
		forecast_long();
	else if (argc == 3 || (argc == 4 && strcmp(argv[3], "given") == 0))
		forecast_set(argv[1], argv[2], argc == 4);
	else
	{
		fprintf(stderr, "usage: trend_forecast SET OUT.csv [given] | trend_forecast time\n");
		return 2;
	}
	return 0;
}
