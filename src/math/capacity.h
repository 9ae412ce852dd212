/*
 * capacity.h
 *	  When what grows along a line reaches its capacity.
 *
 * From the line at its last value, the slope and the steep end of the slope's interval (trend.h).  What
 * is not significant says nothing, nor does less than a day: the daily cycle is then taken for growth.
 * The interval is of the slope alone, not of the line's place nor of a change of habit to come, so
 * `earliest` is a lower bound of the same level only while things go on as they went.
 *
 * For what runs out by falling, such as free space, negate the values and the capacity.
 *
 * Pure C: no PostgreSQL, no allocation.
 */
#ifndef PERFOPT_CAPACITY_H
#define PERFOPT_CAPACITY_H

#include "math/trend.h"

#define PERFOPT_CAPACITY_LEAST_SPAN 86400.0 /* seconds */

/* Seconds from the last value, 0 when the line is there already; NaN for not within the horizon. */
typedef struct PerfoptCapacity
{
	double exhausted_at;
	double exhausted_earliest;
} PerfoptCapacity;

/*
 * trend has x in seconds; span is how many seconds of data it rests on; the horizon, in seconds, may
 * be infinite.
 */
extern PerfoptCapacity perfopt_capacity(const PerfoptTrendFit *trend, double capacity, double span,
										double horizon);

#endif /* PERFOPT_CAPACITY_H */
