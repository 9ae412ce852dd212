/*
 * floats.h
 *	  Arrays of numbers as functions take them from SQL.
 */
#ifndef PERFOPT_FLOATS_H
#define PERFOPT_FLOATS_H

#include "utils/array.h"

/* The values of a float8[], which stay the array's; ERROR for NULLs in it and for several dimensions. */
extern double *perfopt_float_array(ArrayType *array, const char *name, int *n);

#endif /* PERFOPT_FLOATS_H */
