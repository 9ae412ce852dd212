/*
 * window.c
 *	  The latest values of a stretch of time, with their average, extremes and quantiles.
 */
#include "math/window.h"

#include <math.h>
#include <string.h>

typedef struct Sample
{
	int64_t time;
	double value;
} Sample;

/* Samples are a ring from `first` on; sorted values follow them in the same memory. */
struct PerfoptWindow
{
	int capacity;
	int n;
	int first;
	int64_t period;
	Sample samples[];
};

size_t
perfopt_window_size(int capacity)
{
	return sizeof(PerfoptWindow) + (size_t) capacity * (sizeof(Sample) + sizeof(double));
}

static double *
sorted_values(const PerfoptWindow *window)
{
	return (double *) &window->samples[window->capacity];
}

PerfoptWindow *
perfopt_window_init(void *memory, int capacity, int64_t period)
{
	PerfoptWindow *window = memory;

	window->capacity = capacity;
	window->n = 0;
	window->first = 0;
	window->period = period;
	return window;
}

/* The first place in sorted[0..n) whose value is not less. */
static int
place_of(const double *sorted, int n, double value)
{
	int low = 0;
	int high = n;

	while (low < high)
	{
		int middle = low + (high - low) / 2;

		if (sorted[middle] < value)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void
drop_oldest(PerfoptWindow *window)
{
	double *sorted = sorted_values(window);
	int place = place_of(sorted, window->n, window->samples[window->first].value);

	memmove(sorted + place, sorted + place + 1, (size_t) (window->n - place - 1) * sizeof(double));
	window->first = (window->first + 1) % window->capacity;
	window->n--;
}

void
perfopt_window_add(PerfoptWindow *window, int64_t time, double value)
{
	double *sorted = sorted_values(window);
	int last = (window->first + window->n + window->capacity - 1) % window->capacity;
	int place;

	if (isnan(value))
		return;
	if (window->n > 0 && time < window->samples[last].time)
		window->n = 0;
	while (window->n > 0 && (window->n == window->capacity ||
							 window->samples[window->first].time <= time - window->period))
		drop_oldest(window);

	window->samples[(window->first + window->n) % window->capacity] = (Sample){ time, value };
	place = place_of(sorted, window->n, value);
	memmove(sorted + place + 1, sorted + place, (size_t) (window->n - place) * sizeof(double));
	sorted[place] = value;
	window->n++;
}

int
perfopt_window_count(const PerfoptWindow *window)
{
	return window->n;
}

int64_t
perfopt_window_span(const PerfoptWindow *window)
{
	int last = (window->first + window->n + window->capacity - 1) % window->capacity;

	return window->n == 0 ? 0 : window->samples[last].time - window->samples[window->first].time;
}

double
perfopt_window_average(const PerfoptWindow *window)
{
	const double *sorted = sorted_values(window);
	double average = 0;

	if (window->n == 0)
		return NAN;
	for (int i = 0; i < window->n; i++)
		average += (sorted[i] - average) / (i + 1);
	return average;
}

double
perfopt_window_quantile(const PerfoptWindow *window, double q)
{
	const double *sorted = sorted_values(window);
	double rank = q * (window->n - 1);
	int below = (int) rank;

	if (window->n == 0)
		return NAN;
	if (below >= window->n - 1)
		return sorted[window->n - 1];
	return sorted[below] + (rank - below) * (sorted[below + 1] - sorted[below]);
}
