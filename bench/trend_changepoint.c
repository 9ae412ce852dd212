/*
 * trend_changepoint.c
 *	  What bench/trend_changepoint builds: change points of series in a file, and the time that
 *	  change points and trends take.
 *
 * Usage: trend_changepoint FILE.csv	prints `series_id,index` of each change; the file has a header and
 *										lines `series_id,...,value`, a series' lines in order of time
 *		  trend_changepoint				prints `name,milliseconds`
 */
#define _POSIX_C_SOURCE 200809L

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "math/changepoint.h"
#include "math/trend.h"
#include "../test/unit/prng.h"

#define MOST 86400
#define DAY 2880 /* values at 30 s */

static double value[MOST];
/* enough for a trend as well */
static double scratch[PERFOPT_CHANGEPOINT_SCRATCH(MOST)];
static PerfoptChangepoint changes[PERFOPT_CHANGEPOINT_MOST(MOST)];

static double
now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return 1e3 * (double) t.tv_sec + (double) t.tv_nsec / 1e6;
}

static void
print_changes(const char *series, int n)
{
	int count = perfopt_changepoint_find(value, n, NULL, changes, scratch);

	for (int i = 0; i < count; i++)
		printf("%s,%d\n", series, changes[i].index);
}

static int
read_file(const char *path)
{
	FILE *file = fopen(path, "r");
	char line[1024];
	char series[sizeof line] = "";
	int n = 0;

	if (file == NULL || fgets(line, sizeof line, file) == NULL)
	{
		perror(path);
		return 1;
	}
	puts("series_id,index");
	while (fgets(line, sizeof line, file) != NULL)
	{
		char *last = strrchr(line, ',');

		if (last == NULL)
			continue;
		line[strcspn(line, ",")] = '\0';
		if (n > 0 && (strcmp(series, line) != 0 || n == MOST))
		{
			print_changes(series, n);
			n = 0;
		}
		memcpy(series, line, strlen(line) + 1);
		value[n++] = strtod(last + 1, NULL);
	}
	print_changes(series, n);
	fclose(file);
	return 0;
}

/* Noise that resembles its neighbours, with a step each n / steps values. */
static void
generate(int n, int steps)
{
	uint64_t seed = 20200806;
	double noise = 0;

	for (int i = 0; i < n; i++)
	{
		noise = 0.5 * noise + prng_normal(&seed);
		value[i] = 100 + noise + (steps > 0 ? 5.0 * ((long) i * steps / n % 3) : 0);
	}
}

static void
time_changes(int n, int steps)
{
	double begin;

	generate(n, steps);
	begin = now_ms();
	(void) perfopt_changepoint_find(value, n, NULL, changes, scratch);
	printf("change points in %d values with %d steps,%.1f\n", n, steps, now_ms() - begin);
}

static void
time_trend(void)
{
	double begin;

	generate(MOST, 0);
	begin = now_ms();
	(void) perfopt_trend_fit(NULL, value, MOST, DAY, 0.95, scratch);
	printf("trend of %d values with a season,%.1f\n", MOST, now_ms() - begin);
	begin = now_ms();
	(void) perfopt_trend_seasonality(value, MOST, DAY, scratch);
	printf("seasonality of %d values,%.1f\n", MOST, now_ms() - begin);
}

int
main(int argc, char **argv)
{
	if (argc > 1)
		return read_file(argv[1]);
	time_changes(10000, 1);
	time_changes(10000, 0);
	time_changes(10000, 500);
	time_changes(MOST, 20);
	time_trend();
	return 0;
}
