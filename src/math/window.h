/*
 * window.h
 *	  The latest values of a stretch of time, with their average, extremes and quantiles.
 *
 * Values are kept as they came and, beside that, sorted; a new one costs a binary search and a move of
 * at most 8 bytes a value.  Where more come within the period than there is room for, the oldest go.
 *
 * Times ascend, in whatever unit the caller has; one before the last empties the window, whose values
 * are of a clock that is no more.  A value that is not a number is left out.
 *
 * Pure C: no PostgreSQL.  The memory is the caller's, flat, of perfopt_window_size(capacity) bytes.
 */
#ifndef PERFOPT_WINDOW_H
#define PERFOPT_WINDOW_H

#include <stddef.h>
#include <stdint.h>

typedef struct PerfoptWindow PerfoptWindow;

extern size_t perfopt_window_size(int capacity);

/* Empty, in memory of that size (aligned for a double), for values not older than `period`. */
extern PerfoptWindow *perfopt_window_init(void *memory, int capacity, int64_t period);

extern void perfopt_window_add(PerfoptWindow *window, int64_t time, double value);

/* So many values are in it that are younger than `period` at the time of the last one. */
extern int perfopt_window_count(const PerfoptWindow *window);

/* From the time of the oldest of them to that of the last. */
extern int64_t perfopt_window_span(const PerfoptWindow *window);

/* NAN of an empty window.  Quantiles interpolate between neighbours: type 7 of Hyndman and Fan (1996). */
extern double perfopt_window_average(const PerfoptWindow *window);
extern double perfopt_window_quantile(const PerfoptWindow *window, double q);

#endif /* PERFOPT_WINDOW_H */
