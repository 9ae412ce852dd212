/*
 * histogram_type.h
 *	  The SQL type perfopt.histogram: a varlena that holds the encoded form of math/histogram.h.
 */
#ifndef PERFOPT_HISTOGRAM_TYPE_H
#define PERFOPT_HISTOGRAM_TYPE_H

#include "postgres.h"

#include "math/histogram.h"

/* A value of the SQL type from a flat histogram, palloc'd in the current memory context. */
extern Datum perfopt_histogram_datum(const PerfoptHistogram *h);

/* Adds a value of the SQL type to a flat histogram; false when it is not one. */
extern bool perfopt_histogram_add_datum(PerfoptHistogram *into, Datum datum);

#endif /* PERFOPT_HISTOGRAM_TYPE_H */
