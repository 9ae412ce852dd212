/*
 * anomaly.h
 *	  Which values of a series are unlike those before: one value at a time, in bounded memory.
 *
 * Up to two seasons (a day and a week, say) each have a profile: for each of its steps a running
 * mean.  What they leave unexplained of a value, by the one that explains more, is its rest.
 *
 * Six figures are watched: the value, its change from the one before, mean and spread (logarithm of
 * the standard deviation) of the last PERFOPT_ANOMALY_RECENT values, the rest and its running mean.
 * Each has
 *
 *	- a centre and a scale: running means of the figure and of its distance from the centre, times
 *	  1.25, which makes it the standard deviation of normal noise; distances are cut off at a
 *	  number of scales (Huber, Annals of Mathematical Statistics 35, 1964);
 *	- a range: all that was seen before, which fades towards the centre from one season to the next.
 *
 * Expected is what is within a number of scales from the centre or within the range.  How far a figure
 * is beyond, as a share of the width of what is expected, is its surprise q, in units of what makes
 * an anomaly; the greatest of the six counts, and the score is q / (1 + q).  So a spike as
 * others before is none while these are remembered, and noise that is always there makes none.  That
 * leaving the range of all values so far is a strong sign is from the Numenta Anomaly Benchmark's own
 * detector (Lavin and Ahmad, ICMLA 2015, arXiv 1510.03336); here the range forgets, knows the scale,
 * and is kept of more than the value.
 *
 * What a season explains is no surprise: of the value and its change no more counts than the rest, a
 * mean counts only if the rest's does, and the rest only where it is more than a share of what the
 * season explains.  So a batch job may run each night.
 *
 * A flat line is a run of equal values that is much longer than the longest before.  After an anomaly
 * there is silence for a share of the season, unless something incomparably more surprising happens.
 *
 * Pure C: no PostgreSQL, no allocation.  The state has no pointers: its bytes may be stored, and
 * continued after a restart on a machine of the same kind.
 */
#ifndef PERFOPT_ANOMALY_H
#define PERFOPT_ANOMALY_H

#include <stdbool.h>
#include <stddef.h>

#define PERFOPT_ANOMALY_THRESHOLD 0.5
#define PERFOPT_ANOMALY_RECENT 12
#define PERFOPT_ANOMALY_WARM_UP 60

/* Of both profiles; in seasons of more steps, neighbours share a place. */
#define PERFOPT_ANOMALY_MOST_PLACES 2880

/* No state is larger than this. */
#define PERFOPT_ANOMALY_MOST_BYTES (1024 + 4 * PERFOPT_ANOMALY_MOST_PLACES)

typedef enum PerfoptAnomalyKind
{
	PERFOPT_ANOMALY_NONE,
	PERFOPT_ANOMALY_SPIKE,  /* the value, its change or its rest */
	PERFOPT_ANOMALY_LEVEL,  /* the mean of the last few, or of their rests */
	PERFOPT_ANOMALY_SPREAD, /* their spread */
	PERFOPT_ANOMALY_FLAT    /* it no longer moves */
} PerfoptAnomalyKind;

typedef struct PerfoptAnomalyScore
{
	double score;            /* 0 to 1; PERFOPT_ANOMALY_THRESHOLD and more is an anomaly */
	double expected;         /* what the value should have been; NaN before the first */
	PerfoptAnomalyKind kind; /* what is most surprising, anomaly or not */
} PerfoptAnomalyScore;

/*
 * Bytes of a state for seasons of so many steps: 0 for none, longer > season.  0 when that is not so.
 * At 5 minutes, a day and a week take 10 kB; without a season it is half a kB.
 */
extern size_t perfopt_anomaly_size(int season, int longer);

/*
 * Makes a new state in memory that is aligned for a double.  Differences of up to `dust`, in the
 * series' unit, never matter; those of up to a small share of the level never do either, but of a
 * series around zero only the caller can know.  False, and nothing done, if size is less than
 * perfopt_anomaly_size(), or that is 0, or dust is negative or not finite.
 */
extern bool perfopt_anomaly_init(void *state, size_t size, int season, int longer, double dust);

/*
 * The score of the next value.  One that is not finite, or beyond what a float holds, is a gap: it
 * takes its step in the seasons, scores 0 and teaches nothing.  Never looks ahead, and never alarms within the first
 * PERFOPT_ANOMALY_WARM_UP values nor within as many as the season has steps.
 */
extern PerfoptAnomalyScore perfopt_anomaly_update(void *state, double value);

/* The same for n values in a row. */
extern void perfopt_anomaly_scores(void *state, const double *value, int n,
								   PerfoptAnomalyScore *score);

/* Adds a check sum; to be called before the state's bytes are stored. */
extern void perfopt_anomaly_seal(void *state);

/*
 * Whether these bytes, aligned for a double, are a state as it was sealed, by this version on a
 * machine of this kind.  If not, begin with a new one.
 */
extern bool perfopt_anomaly_valid(const void *state, size_t size);

#endif /* PERFOPT_ANOMALY_H */
