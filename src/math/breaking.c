/*
 * breaking.c
 *	  See breaking.h.
 */
#include "math/breaking.h"

#include <math.h>

#define LEAST_RATIO 1.001
#define MOST_RATIO 2.0
#define NEEDED 2 /* failures, of at most three trials */

/* Levels this near to each other, relatively, are the same but for rounding. */
#define SAME 1e-12

static void
plan(PerfoptBreaking *b, double level, PerfoptTrialPurpose purpose)
{
	b->next.level = level;
	b->next.purpose = purpose;
	b->next.length = purpose == PERFOPT_TRIAL_VERIFY ? PERFOPT_BREAKING_VERIFY : 1;
	if (purpose != PERFOPT_TRIAL_CONFIRM)
	{
		b->passed = b->failed = 0;
		b->first_criterion = PERFOPT_BREAKING_NO_CRITERION;
	}
}

/* How many times x must be divided by 2 until it is at most y. */
static int
halvings(double x, double y)
{
	return x > y ? (int) ceil((log2(x) - log2(y)) * (1 - SAME)) : 0;
}

static int
bound(double start, double min, double max, double ratio)
{
	int up = halvings(max, start);
	int down = halvings(start, min);
	/* of the logarithm of a factor of 2, to that of ratio; whole numbers may need one more */
	int bisections = halvings(log(2), log(ratio)) + 1;

	return 3 * (1 + (up > down ? up : down) + bisections) +
		   PERFOPT_BREAKING_VERIFY * (1 + PERFOPT_BREAKING_STEPS);
}

bool
perfopt_breaking_init(PerfoptBreaking *b, double start, double min, double max, double ratio,
					  bool whole)
{
	*b = (PerfoptBreaking){ .state = PERFOPT_BREAKING_START_FAILED,
							.high = HUGE_VAL,
							.criterion = PERFOPT_BREAKING_NO_CRITERION,
							.ratio = ratio,
							.whole = whole };
	if (whole)
	{
		start = floor(start);
		min = ceil(min);
		max = floor(max);
	}
	if (!(min > 0 && min <= start && start <= max && isfinite(max)) ||
		!(ratio >= LEAST_RATIO && ratio <= MOST_RATIO))
		return false;
	b->state = PERFOPT_BREAKING_SEARCHING;
	b->min = min;
	b->max = max;
	b->bound = bound(start, min, max, ratio);
	plan(b, start, PERFOPT_TRIAL_BOUND);
	return true;
}

bool
perfopt_breaking_next(const PerfoptBreaking *b, PerfoptTrial *trial)
{
	if (b->state != PERFOPT_BREAKING_SEARCHING)
		return false;
	*trial = b->next;
	return true;
}

/* What comes after low or high has moved. */
static void
narrow(PerfoptBreaking *b)
{
	double middle;

	if (b->low == 0)
	{
		double half = b->whole ? floor(b->high / 2) : b->high / 2;

		if (b->high <= b->min)
			b->state = PERFOPT_BREAKING_START_FAILED;
		else
			plan(b, fmax(half, b->min), PERFOPT_TRIAL_BOUND);
		return;
	}
	if (isinf(b->high))
	{
		if (b->low >= b->max)
			plan(b, b->low, PERFOPT_TRIAL_VERIFY);
		else
			plan(b, fmin(2 * b->low, b->max), PERFOPT_TRIAL_BOUND);
		return;
	}
	middle = b->low * sqrt(b->high / b->low);
	if (b->whole)
		middle = fmax(b->low + 1, round(middle));
	if (b->high <= b->low * b->ratio * (1 + SAME) || (b->whole && middle >= b->high))
		plan(b, b->low, PERFOPT_TRIAL_VERIFY);
	else
		plan(b, middle, PERFOPT_TRIAL_BISECT);
}

static void
level_failed(PerfoptBreaking *b)
{
	b->high = b->next.level;
	b->criterion = b->first_criterion;
}

static void
step_down(PerfoptBreaking *b)
{
	double level = b->next.level / b->ratio;

	if (b->whole)
		level = floor(level);
	level_failed(b);
	if (b->next.level <= b->min || b->steps >= PERFOPT_BREAKING_STEPS)
	{
		b->low = 0;
		b->state = PERFOPT_BREAKING_UNSTABLE;
		return;
	}
	b->steps++;
	b->low = fmax(level, b->min);
	plan(b, b->low, PERFOPT_TRIAL_VERIFY);
}

void
perfopt_breaking_report(PerfoptBreaking *b, bool passed, int criterion)
{
	if (b->state != PERFOPT_BREAKING_SEARCHING)
		return;
	b->trials++;
	b->passed += passed;
	b->failed += !passed;
	if (!passed && b->failed == 1)
		b->first_criterion = criterion;
	if (b->next.purpose == PERFOPT_TRIAL_VERIFY)
	{
		if (!passed)
		{
			step_down(b);
			return;
		}
		b->verified = b->low;
		b->state = isinf(b->high) ? PERFOPT_BREAKING_NO_LIMIT : PERFOPT_BREAKING_FOUND;
	}
	else if (b->failed >= NEEDED)
	{
		level_failed(b);
		narrow(b);
	}
	else if (b->failed == 0 || b->passed >= NEEDED)
	{
		b->low = b->next.level;
		narrow(b);
	}
	else
		plan(b, b->next.level, PERFOPT_TRIAL_CONFIRM);
}
