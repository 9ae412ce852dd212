/*
 * anomaly.h
 *	  Which values of a series are unlike those before: one value at a time, in bounded memory.
 *
 * Six running figures of the series are watched: the value, its change from the one before, mean and
 * spread (standard deviation) of the last PERFOPT_ANOMALY_RECENT values, and, once a season has been
 * seen, value and mean of what the season's profile leaves unexplained.  Spikes show in the value and
 * its change, shifts of level in the means, changes of variance in the spread.  Each figure has
 *
 *	- a centre and a scale: running mean and running mean distance from it (times 1.25, so that it is
 *	  the standard deviation of a normal distribution), with distances cut off at four times
 *	  the scale (Huber, Annals of Mathematical Statistics 35, 1964);
 *	- a range: what was seen before, fading towards the centre.
 *
 * What is expected is all within a number of scales from the centre and all within the range; how far
 * a figure is beyond, as a share of the width of what is expected, is its surprise.  So what happens
 * every few days alarms no more, what never happened does.  The novelty of running ranges is
 * Numenta's "spatial anomaly" (NAB, Lavin and Ahmad, ICMLA 2015, arXiv 1510.03336).
 *
 * A flat line is a run of equal values much longer than the runs before.
 *
 * After an anomaly there is silence for a share of the season, unless something more surprising by
 * far happens.
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

/* A season of more steps than this shares its profile's places among neighbours. */
#define PERFOPT_ANOMALY_MOST_PLACES 2880

/* No state is larger than this. */
#define PERFOPT_ANOMALY_MOST_BYTES (1024 + 4 * PERFOPT_ANOMALY_MOST_PLACES)

typedef enum PerfoptAnomalyKind
{
	PERFOPT_ANOMALY_NONE,
	PERFOPT_ANOMALY_SPIKE,  /* the value, or its change */
	PERFOPT_ANOMALY_LEVEL,  /* the mean of the last few */
	PERFOPT_ANOMALY_SPREAD, /* their spread */
	PERFOPT_ANOMALY_FLAT    /* it no longer moves */
} PerfoptAnomalyKind;

typedef struct PerfoptAnomalyScore
{
	double score;            /* 0 to 1: PERFOPT_ANOMALY_THRESHOLD and more is an anomaly */
	double expected;         /* the value, as it was expected; NaN before the first */
	PerfoptAnomalyKind kind; /* what is most surprising, anomaly or not */
} PerfoptAnomalyScore;

/*
 * Bytes of a state for a season of so many steps; 0 if that is negative.  0 is no season.
 */
extern size_t perfopt_anomaly_size(int season, int longer);

/*
 * Makes a new state in memory that is aligned for a double.  Differences below `dust`, in the unit of
 * the series, are none; 0 leaves only a share of the level.  False, and nothing done, if size is less
 * than perfopt_anomaly_size(season), season is negative or dust is negative or not finite.
 */
extern bool perfopt_anomaly_init(void *state, size_t size, int season, int longer, double dust);

/*
 * The next value's score.  One that is not finite is a gap: it takes its step in the season, scores 0
 * and changes nothing else.  Never looks ahead, and never alarms within the first
 * PERFOPT_ANOMALY_WARM_UP values nor within the first season.
 */
extern PerfoptAnomalyScore perfopt_anomaly_update(void *state, double value);

/* The same for n values in a row. */
extern void perfopt_anomaly_scores(void *state, const double *value, int n,
								   PerfoptAnomalyScore *score);

/* To be called before the state's bytes are stored: adds a check sum to them. */
extern void perfopt_anomaly_seal(void *state);

/*
 * Whether these bytes are a sealed state, whole and written by this version on a machine of this
 * kind; otherwise start a new one.
 */
extern bool perfopt_anomaly_valid(const void *state, size_t size);

#endif /* PERFOPT_ANOMALY_H */
