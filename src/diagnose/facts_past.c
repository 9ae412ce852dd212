/*
 * facts_past.c
 *	  Facts from before the window: what is usual for a series, and which way it goes.
 */
#include "postgres.h"

#include <math.h>

#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "diagnose/facts.h"
#include "store/store.h"

static int
compare_ids(const void *a, const void *b)
{
	int x = *(const int *) a;
	int y = *(const int *) b;

	return (x > y) - (x < y);
}

static int
compare_series(const void *a, const void *b)
{
	return compare_ids(&(*(PerfoptSeries *const *) a)->id, &(*(PerfoptSeries *const *) b)->id);
}

static int
compare_to_series(const void *key, const void *element)
{
	return compare_ids(key, &(*(PerfoptSeries *const *) element)->id);
}

static void
add_past(PerfoptPast *past, TimestampTz ts, double n, double min, double max, double sum)
{
	if (past->n == 0 || ts < past->first_ts)
	{
		past->first = sum / n;
		past->first_ts = ts;
	}
	past->min = past->n == 0 ? min : Min(past->min, min);
	past->max = past->n == 0 ? max : Max(past->max, max);
	past->sum += sum;
	past->n += (int64) n;
}

void
perfopt_facts_read_past(PerfoptFacts *facts, PerfoptSeries *const *series, int n, double seconds)
{
	bool raw = seconds <= SECS_PER_DAY;
	TimestampTz from = facts->since - (TimestampTz) (seconds * USECS_PER_SEC);
	PerfoptSeries **sorted;
	PerfoptCursor *cursor;
	PerfoptSlice slice;
	int *ids;

	if (n == 0)
		return;
	sorted = palloc(sizeof(PerfoptSeries *) * n);
	ids = palloc(sizeof(int) * n);
	memcpy(sorted, series, sizeof(PerfoptSeries *) * n);
	qsort(sorted, n, sizeof(PerfoptSeries *), compare_series);
	for (int i = 0; i < n; i++)
	{
		ids[i] = sorted[i]->id;
		memset(&sorted[i]->past, 0, sizeof(PerfoptPast));
	}

	cursor = perfopt_cursor_open(raw ? PERFOPT_RAW : PERFOPT_1HOUR, from, facts->since, ids, n);
	while (perfopt_cursor_next(cursor, &slice))
	{
		PerfoptSeries **found =
			bsearch(&slice.series_id, sorted, n, sizeof(PerfoptSeries *), compare_to_series);

		for (int i = 0; found != NULL && i < slice.n; i++)
		{
			if (raw)
			{
				double value = slice.column[0][i];

				add_past(&(*found)->past, slice.ts[i], 1, value, value, value);
			}
			else
				add_past(&(*found)->past, slice.ts[i], slice.column[0][i], slice.column[1][i],
						 slice.column[2][i], slice.column[3][i]);
		}
	}
	perfopt_cursor_close(cursor);
	pfree(sorted);
	pfree(ids);
}

/* Neighbours fall into the same of max equal parts of the time. */
int
perfopt_facts_course(const PerfoptFacts *facts, const PerfoptSeries *series, double seconds,
					 int max, double *x, double *y)
{
	TimestampTz from = facts->until - (TimestampTz) (seconds * USECS_PER_SEC);
	int *counts = palloc0(sizeof(int) * max);
	PerfoptCursor *cursor;
	PerfoptSlice slice;
	TimestampTz first = DT_NOEND;
	int id = series->id;
	int n = 0;

	/* The samples may begin later; then the parts are those of what there is. */
	cursor = perfopt_cursor_open(PERFOPT_RAW, from, facts->until, &id, 1);
	while (perfopt_cursor_next(cursor, &slice))
		first = Min(first, slice.ts[0]);
	perfopt_cursor_close(cursor);
	if (TIMESTAMP_NOT_FINITE(first))
		return 0;

	memset(x, 0, sizeof(double) * max);
	memset(y, 0, sizeof(double) * max);
	cursor = perfopt_cursor_open(PERFOPT_RAW, from, facts->until, &id, 1);
	while (perfopt_cursor_next(cursor, &slice))
	{
		for (int i = 0; i < slice.n; i++)
		{
			double span = facts->until - first + 1;
			int part = (int) ((slice.ts[i] - first) / span * max);

			x[part] += (slice.ts[i] - facts->until) / (double) USECS_PER_SEC;
			y[part] += slice.column[0][i];
			counts[part]++;
		}
	}
	perfopt_cursor_close(cursor);
	for (int part = 0; part < max; part++)
	{
		if (counts[part] == 0)
			continue;
		x[n] = x[part] / counts[part];
		y[n++] = y[part] / counts[part];
	}
	pfree(counts);
	return n;
}
