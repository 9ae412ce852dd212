/*
 * gorilla_plan.c
 *	  Looks through the samples of a chunk for what makes them short.
 */
#include "math/gorilla_plan.h"

#define LOOKED_AT 63 /* samples, for a median */

/* Which Expectation leaves the least to be coded: counts differences by their length in bits. */
typedef struct Survey
{
	PerfoptSequence sequence;
	uint32_t lengths[PERFOPT_EXPECTATIONS][65];
	int n;
} Survey;

static uint64_t
common_factor(uint64_t a, uint64_t b)
{
	while (b != 0)
	{
		uint64_t rest = a % b;

		a = b;
		b = rest;
	}
	return a;
}

static void
survey_add(Survey *survey, uint64_t x)
{
	for (int e = 0; e < PERFOPT_EXPECTATIONS; e++)
		survey->lengths[e][perfopt_bit_length(
			perfopt_magnitude(x - perfopt_expected(&survey->sequence, e)))]++;
	perfopt_sequence_add(&survey->sequence, x);
	survey->n++;
}

/* The entropy of the lengths, and the sign and the bits that follow the first 1. */
static double
survey_bits(const Survey *survey, PerfoptExpectation expectation)
{
	double bits = 0;

	for (int length = 0; length <= 64; length++)
	{
		double n = survey->lengths[expectation][length];

		if (n > 0)
			bits += n * (log2(survey->n / n) + length);
	}
	return bits;
}

/* The best, the bits that it takes, and in how many bits its greatest length can be written. */
static PerfoptExpectation
survey_best(const Survey *survey, double *bits, int *depth)
{
	PerfoptExpectation best = 0;
	int longest = 64;

	*bits = survey_bits(survey, best);
	for (int e = 1; e < PERFOPT_EXPECTATIONS; e++)
	{
		double other = survey_bits(survey, e);

		if (other < *bits)
		{
			best = e;
			*bits = other;
		}
	}
	while (longest > 1 && survey->lengths[best][longest] == 0)
		longest--;
	*depth = perfopt_bit_length((uint64_t) longest - 1);
	return best;
}

/* The middle one of up to LOOKED_AT integers in two's complement. */
static uint64_t
median(uint64_t *x, int n)
{
	for (int i = 1; i < n; i++)
	{
		uint64_t one = x[i];
		int j = i;

		for (; j > 0 && (int64_t) x[j - 1] > (int64_t) one; j--)
			x[j] = x[j - 1];
		x[j] = one;
	}
	return n > 0 ? x[n / 2] : 0;
}

/* Where to look for the i-th of LOOKED_AT samples out of n, from the first to the last. */
static int
looked_at(int i, int n)
{
	return n <= LOOKED_AT ? i : (int) ((int64_t) i * (n - 1) / (LOOKED_AT - 1));
}

static uint64_t
interval_before(const int64_t *ts, int i, uint64_t unit)
{
	return ((uint64_t) ts[i] - (uint64_t) ts[i - 1]) / unit;
}

/*
 * The step of the grid: the mean interval, in which one that misses samples counts as several.
 * The median of some says what is one; from there the mean finds the step without the jitter.
 */
static uint64_t
find_step(const int64_t *ts, int n, uint64_t unit)
{
	uint64_t some[LOOKED_AT] = { 0 };
	int count = n - 1 < LOOKED_AT ? n - 1 : LOOKED_AT;
	uint64_t usual;
	uint64_t steps = 0;
	uint64_t mean;

	for (int i = 0; i < count; i++)
		some[i] = interval_before(ts, 1 + looked_at(i, n - 1), unit);
	usual = median(some, count);
	usual = usual > 0 ? usual : 1;
	for (int i = 1; i < n; i++)
		steps += perfopt_steps_missing(interval_before(ts, i, unit), 0, usual) + 1;
	steps = steps > 0 ? steps : 1;
	mean = (((uint64_t) ts[n - 1] - (uint64_t) ts[0]) / unit + steps / 2) / steps;
	return mean > 0 ? mean : 1;
}

/* The usual distance from the grid through the first sample. */
static uint64_t
find_lateness(const int64_t *ts, int n, uint64_t unit, uint64_t step)
{
	uint64_t some[LOOKED_AT] = { 0 };
	int count = n < LOOKED_AT ? n : LOOKED_AT;

	for (int i = 0; i < count; i++)
	{
		uint64_t after = ((uint64_t) ts[looked_at(i, n)] - (uint64_t) ts[0]) / unit;

		some[i] = (after + step / 2) % step - step / 2;
	}
	return median(some, count);
}

static void
plan_times(PerfoptChunkPlan *plan, const int64_t *ts, int n)
{
	Survey survey = { .n = 0 };
	uint64_t unit = perfopt_magnitude((uint64_t) ts[0]);
	double bits;

	for (int i = 1; i < n && unit != 1; i++)
		unit = common_factor((uint64_t) ts[i] - (uint64_t) ts[i - 1], unit);
	plan->unit = unit > 0 ? unit : 1;
	plan->first = perfopt_divide((uint64_t) ts[0], plan->unit);
	plan->step = find_step(ts, n, plan->unit);
	plan->late = find_lateness(ts, n, plan->unit, plan->step);
	perfopt_sequence_init(&survey.sequence, plan->late, 0);
	for (int i = 1; i < n; i++)
	{
		uint64_t interval = interval_before(ts, i, plan->unit);
		uint64_t last = survey.sequence.last;
		uint64_t missing = perfopt_steps_missing(interval, last, plan->step);

		survey_add(&survey, interval + last - plan->step * (missing + 1));
		plan->gaps |= missing > 0;
	}
	plan->time_expectation = survey_best(&survey, &bits, &plan->time_depth);
}

/* The exponent with which the fewest bits are expected; an exception costs 64. */
static int
find_exponent(const double *value, int n)
{
	int needs[PERFOPT_MAX_EXPONENT + 1] = { 0 };
	int exceptions = n;
	int best = PERFOPT_NO_EXPONENT;
	double best_bits = 64.0 * n;

	for (int i = 0; i < n; i++)
	{
		uint64_t integer;

		for (int e = 0; e <= PERFOPT_MAX_EXPONENT; e++)
			if (perfopt_to_decimal(value[i], e, &integer))
			{
				needs[e]++;
				break;
			}
	}
	for (int e = 0; e <= PERFOPT_MAX_EXPONENT; e++)
	{
		double bits;

		exceptions -= needs[e];
		bits = 64.0 * exceptions + e * log2(10) * n;
		if (bits < best_bits)
		{
			best = e;
			best_bits = bits;
		}
	}
	return best;
}

/* The common factor of the integers of the values. */
static uint64_t
find_factor(const PerfoptChunkPlan *plan, const double *value, int n)
{
	uint64_t factor = 0;
	uint64_t integer;

	for (int i = 0; i < n && factor != 1; i++)
		if (perfopt_to_integer(plan, value[i], &integer))
			factor = common_factor(perfopt_magnitude(integer), factor);
	return factor > 0 ? factor : 1;
}

/* The integer in the middle of those of some values. */
static uint64_t
find_middle(const PerfoptChunkPlan *plan, const double *value, int n)
{
	uint64_t some[LOOKED_AT] = { 0 };
	int count = 0;

	for (int i = 0; i < n && i < LOOKED_AT; i++)
		count += perfopt_to_integer(plan, value[looked_at(i, n)], &some[count]);
	return median(some, count);
}

/* Completes a plan with this exponent; returns the bits that the values are expected to take. */
static double
plan_integers(PerfoptChunkPlan *plan, const double *value, int n, int exponent)
{
	Survey survey = { .n = 0 };
	uint64_t middle;
	uint64_t integer;
	double bits;

	plan->exponent = exponent;
	plan->factor = 1;
	plan->factor = find_factor(plan, value, n);
	middle = find_middle(plan, value, n);
	for (int i = 0; i < n; i++)
	{
		if (!perfopt_to_integer(plan, value[i], &integer))
			continue;
		if (survey.n == 0)
		{
			plan->base = integer;
			perfopt_sequence_init(&survey.sequence, middle, integer);
		}
		survey_add(&survey, integer);
	}
	plan->exceptions = survey.n < n;
	plan->value_expectation = survey_best(&survey, &bits, &plan->value_depth);
	if (plan->value_expectation == PERFOPT_EXPECT_BASE)
		plan->base = middle;
	return bits + 64.0 * (n - survey.n);
}

static void
plan_values(PerfoptChunkPlan *plan, const double *value, int n)
{
	int exponent;

	plan->constant = true;
	for (int i = 1; i < n && plan->constant; i++)
		plan->constant = perfopt_bits_of(value[i]) == perfopt_bits_of(value[0]);
	if (plan->constant)
		n = 1;
	exponent = find_exponent(value, n);
	if (exponent != PERFOPT_NO_EXPONENT)
	{
		double bits = plan_integers(plan, value, n, exponent);
		PerfoptChunkPlan other = *plan;

		if (!plan->exceptions || bits <= plan_integers(&other, value, n, PERFOPT_NO_EXPONENT))
			return;
	}
	(void) plan_integers(plan, value, n, PERFOPT_NO_EXPONENT);
}

void
perfopt_chunk_plan(PerfoptChunkPlan *plan, const int64_t *ts, const double *value, int n)
{
	memset(plan, 0, sizeof *plan);
	plan_times(plan, ts, n);
	plan_values(plan, value, n);
}
