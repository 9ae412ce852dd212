/*
 * trend_anomaly.c
 *	  What bench/trend_anomaly builds: runs the detector over files of labelled series.
 *
 * Usage: trend_anomaly FOLDER, which has CATEGORY/FILE.csv of lines `timestamp,value` under a
 * heading; their names, relative to it, are read from standard input, one a line.  Prints each
 * anomaly as `file,timestamp,score` under such a heading.  Afterwards it says on standard error
 * how many values it has scored and how many nanoseconds of CPU time that took, each, leaving out
 * the time to read and print.
 *
 * The seasons are a day and a week, by the median distance of the first timestamps: the one thing
 * that a collector knows about its series too.
 */
#define _GNU_SOURCE

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "math/anomaly.h"

#define MOST 100000
#define TEXT 32
#define FIRST 500 /* timestamps that tell the distance */
#define DAY 86400
#define DAYS 7 /* of a week */

static char when[MOST][TEXT];
static double value[MOST];
static PerfoptAnomalyScore score[MOST];

static int
read_series(const char *path)
{
	FILE *file = fopen(path, "r");
	char line[256];
	int n = 0;

	if (file == NULL)
	{
		perror(path);
		exit(1);
	}
	if (fgets(line, sizeof line, file) != NULL)
		while (n < MOST && fgets(line, sizeof line, file) != NULL)
		{
			char *comma = strchr(line, ',');
			char *end;

			if (comma == NULL || comma - line >= TEXT)
				continue;
			*comma = '\0';
			memcpy(when[n], line, (size_t) (comma - line) + 1);
			value[n] = strtod(comma + 1, &end);
			n += end > comma + 1;
		}
	fclose(file);
	return n;
}

static double
seconds(const char *text)
{
	struct tm t = { 0 };
	const char *end = strptime(text, "%Y-%m-%d %H:%M", &t);

	if (end == NULL)
	{
		fprintf(stderr, "not a timestamp: %s\n", text);
		exit(1);
	}
	return (double) timegm(&t) + (*end == ':' ? strtod(end + 1, NULL) : 0);
}

static int
compare(const void *a, const void *b)
{
	double x = *(const double *) a;
	double y = *(const double *) b;

	return (x > y) - (x < y);
}

static int
steps_a_day(int n)
{
	double step[FIRST];
	int steps = 0;

	for (int i = 1; i < n && i < FIRST; i++)
		step[steps++] = seconds(when[i]) - seconds(when[i - 1]);
	if (steps == 0)
		return 0;
	qsort(step, (size_t) steps, sizeof *step, compare);
	return step[steps / 2] > 0 ? (int) (DAY / step[steps / 2] + 0.5) : 0;
}

static double
now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return 1e9 * (double) t.tv_sec + (double) t.tv_nsec;
}

int
main(int argc, char **argv)
{
	static double state[PERFOPT_ANOMALY_MOST_BYTES / sizeof(double)];
	char name[512];
	double ns = 0;
	double values = 0;

	if (argc != 2)
		return 2;
	printf("file,timestamp,score\n");
	while (fgets(name, sizeof name, stdin) != NULL)
	{
		char path[1024];
		int n;
		int day;
		double begin;

		name[strcspn(name, "\n")] = '\0';
		snprintf(path, sizeof path, "%s/%s", argv[1], name);
		n = read_series(path);
		day = steps_a_day(n);
		begin = now_ns();
		perfopt_anomaly_init(state, sizeof state, day, DAYS * day, 0);
		perfopt_anomaly_scores(state, value, n, score);
		ns += now_ns() - begin;
		values += n;
		for (int i = 0; i < n; i++)
			if (score[i].score >= PERFOPT_ANOMALY_THRESHOLD)
				printf("%s,%s,%.4f\n", name, when[i], score[i].score);
	}
	fprintf(stderr, "%.0f %.1f\n", values, ns / values);
	return values > 0 ? 0 : 1;
}
