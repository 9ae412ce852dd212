/*
 * breaking.h
 *	  The search for the load at which a system breaks, as a state machine that runs no trial itself.
 *
 * The caller asks for the next trial, runs it at that level (users or a rate) and reports whether
 * all criteria were met:
 *
 *	1. Doubling from `start` until a level fails.  If already the start fails, halving down to `min`
 *	   until one passes.
 *	2. Bisection on the logarithm between the greatest level that passed and the least that failed,
 *	   until they are within `ratio` of each other or, of whole levels, neighbours.
 *	3. The greatest that passed is tried PERFOPT_BREAKING_VERIFY times as long; while that fails, a
 *	   step down by `ratio` and again.
 *
 * One trial is enough to pass in 1 and 2, but a failure counts only if two of three trials at that
 * level fail: noise makes good levels fail now and then, and one false failure early would put all
 * of the search below it.  What it lets through is for step 3 to catch, so a trial there counts as it
 * is.  When PERFOPT_BREAKING_STEPS steps down did not help, the system no longer is what was
 * measured before, and the search ends as UNSTABLE.
 *
 * A trial that says nothing about the system (the load generator was the bottleneck, say) is not
 * reported: the next one is then the same again.
 *
 * Pure C: no PostgreSQL, no allocation, no pointers: the state may live in shared memory.
 */
#ifndef PERFOPT_BREAKING_H
#define PERFOPT_BREAKING_H

#include <stdbool.h>

#define PERFOPT_BREAKING_RATIO 1.03
#define PERFOPT_BREAKING_VERIFY 3
#define PERFOPT_BREAKING_STEPS 10
#define PERFOPT_BREAKING_NO_CRITERION (-1)

typedef enum PerfoptBreakingState
{
	PERFOPT_BREAKING_SEARCHING,
	PERFOPT_BREAKING_FOUND,        /* verified passes, high fails */
	PERFOPT_BREAKING_NO_LIMIT,     /* max passes, and is verified */
	PERFOPT_BREAKING_START_FAILED, /* min fails too: nothing passed */
	PERFOPT_BREAKING_UNSTABLE      /* what passed in the search does not when tried for longer */
} PerfoptBreakingState;

typedef enum PerfoptTrialPurpose
{
	PERFOPT_TRIAL_BOUND,   /* doubling or halving */
	PERFOPT_TRIAL_BISECT,  /* between a level that passed and one that failed */
	PERFOPT_TRIAL_CONFIRM, /* again, since it failed */
	PERFOPT_TRIAL_VERIFY   /* for longer */
} PerfoptTrialPurpose;

typedef struct PerfoptTrial
{
	double level;
	int length; /* as a multiple of a usual trial */
	PerfoptTrialPurpose purpose;
} PerfoptTrial;

/* What is not private may be read at any time. */
typedef struct PerfoptBreaking
{
	PerfoptBreakingState state;
	double low;      /* greatest level that passed; 0 while none did */
	double high;     /* least level above it that failed; infinity while none did */
	double verified; /* the level that passed for longer; 0 while none did */
	int criterion;   /* what failed first at `high`, as reported */
	int trials;      /* reported so far */
	int bound;       /* the search takes no longer than this many trials of the usual length */

	/* private */
	double min;
	double max;
	double ratio;
	bool whole;
	PerfoptTrial next;
	int passed; /* trials at the level of `next` */
	int failed;
	int first_criterion; /* of the first that failed there */
	int steps;           /* down, while verifying */
} PerfoptBreaking;

/*
 * False, and a state that has no trial, unless 0 < min <= start <= max are finite and ratio is
 * within 1.001 to 2.  With `whole`, levels are whole numbers: start and max are rounded down, min up,
 * and all must still be in that order.
 */
extern bool perfopt_breaking_init(PerfoptBreaking *b, double start, double min, double max,
								  double ratio, bool whole);

/* The trial to run next; false when the search is over. */
extern bool perfopt_breaking_next(const PerfoptBreaking *b, PerfoptTrial *trial);

/* How that trial ended; criterion (not negative) is what failed first, and ignored if it passed. */
extern void perfopt_breaking_report(PerfoptBreaking *b, bool passed, int criterion);

#endif /* PERFOPT_BREAKING_H */
