/*
 * custom.h
 *	  Custom metrics: what collector and helper hand to each other.
 */
#ifndef PERFOPT_COLLECT_CUSTOM_H
#define PERFOPT_COLLECT_CUSTOM_H

#define PERFOPT_CUSTOM_LABELS 8

/*
 * The data of a helper's area: from the collector the names of the metrics to run, each ended by a zero
 * byte; back comes a record for each that was run, in this order.  A record is name and error (strings,
 * the error empty for success), CPU and wall time (double, ms), bytes of the rows (int), and the
 * rows: value (double), number of labels (int32), name and value of each label (strings).
 */
typedef struct PerfoptCustomResult
{
	Size names; /* bytes of names, while there is no record yet */
	Size used;  /* bytes of records */
	char records[FLEXIBLE_ARRAY_MEMBER];
} PerfoptCustomResult;

#endif /* PERFOPT_COLLECT_CUSTOM_H */
