/*
 * trend.h
 *	  What lies ahead and what is unusual: the mathematics of src/math on arrays and on what the store has.
 */
#ifndef PERFOPT_TREND_ROOM_H
#define PERFOPT_TREND_ROOM_H

#include "utils/array.h"

/* The elements of a float8[] of one dimension, NULL as NAN; palloc'd. */
extern double *perfopt_trend_array(ArrayType *array, int *n);

#endif /* PERFOPT_TREND_ROOM_H */
