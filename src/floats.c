/*
 * floats.c
 *	  Arrays of numbers as functions take them from SQL.
 */
#include "postgres.h"

#include "floats.h"

double *
perfopt_float_array(ArrayType *array, const char *name, int *n)
{
	if (ARR_NDIM(array) > 1 || array_contains_nulls(array))
		ereport(ERROR, (errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
						errmsg("\"%s\" must be a one-dimensional array without NULLs", name)));
	*n = ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));
	return (double *) ARR_DATA_PTR(array);
}
