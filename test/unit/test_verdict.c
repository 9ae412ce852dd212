/*
 * test_verdict.c
 *	  Changes and their intervals against published examples, every verdict on both sides of the
 *	  margins, and by simulation how often noise is called a regression and a regression is found.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "math/fdr.h"
#include "math/ranktest.h"
#include "math/student.h"
#include "math/verdict.h"
#include "prng.h"

#define MAX_PAIRS 400

static double scratch[PERFOPT_PAIRS_SCRATCH(MAX_PAIRS)];

static void
assert_near(double got, double expected, double tolerance)
{
	if (!(fabs(got - expected) <= tolerance))
		fail_msg("%.12g is not within %g of %.12g", got, tolerance, expected);
}

static void
pairs_are_ranked(void **state)
{
	/* in order of magnitude, so V is 21 + 7 - 2 for seven pairs */
	const double d[] = { 0.01, -0.02, 0.03, 0.04, 0.05, 0.06, 0.07 };
	double a[10];
	double b[10];
	PerfoptChange c;
	PerfoptSignedRank ranks = perfopt_signed_rank(d, 7, 0.95, scratch);

	(void) state;
	for (int i = 0; i < 10; i++)
	{
		a[i] = 1 + i;
		b[i] = i < 7 ? a[i] * exp(d[i]) : a[i];
	}
	c = perfopt_change_of_pairs(a, b, 7, scratch);
	assert_int_equal(c.n, 7);
	assert_near(c.estimate, ranks.estimate, 1e-12);
	assert_near(c.low, ranks.low, 1e-12);
	assert_near(c.high, ranks.high, 1e-12);
	assert_near(c.p_value, ranks.p_value, 1e-12);

	/* What is not positive is no pair. */
	b[7] = 0;
	a[8] = -1;
	b[9] = INFINITY;
	c = perfopt_change_of_pairs(a, b, 10, scratch);
	assert_int_equal(c.n, 7);
	c = perfopt_change_of_pairs(a, b, 0, scratch);
	assert_true(c.n == 0 && isnan(c.estimate) && isnan(c.p_value));

	/* Five are too few for an interval. */
	c = perfopt_change_of_pairs(a, b, 5, scratch);
	assert_true(isinf(c.low) && isinf(c.high));
}

/* Without them, three slow pairs among thirty alike would be a change by 20 %. */
static void
equal_pairs_count(void **state)
{
	double a[31];
	double b[31];
	PerfoptChange c;

	(void) state;
	for (int i = 0; i < 31; i++)
	{
		a[i] = 5;
		b[i] = i < 3 ? 6 : 5;
	}
	c = perfopt_change_of_pairs(a, b, 31, scratch);
	assert_int_equal(c.n, 31);
	assert_near(c.estimate, 0, 1e-8);
	assert_true(c.low > -1e-8 && c.high < 0.1 && c.p_value > 0.2);

	/* Nothing but equal ones is no change, however few or many. */
	c = perfopt_change_of_pairs(&a[3], &b[3], 28, scratch);
	assert_near(c.low, 0, 1e-8);
	assert_near(c.high, 0, 1e-8);
	assert_true(c.p_value > 0.5);
}

/*
 * {3, 4, 1, 2.1} and {490.2, 340, 433.9}, a hundredth of each being the logarithm: t = 9.5595,
 * df = 2.00085, p = 0.010751561149785 (R's t.test).
 */
static void
batches_by_welch(void **state)
{
	const double a[] = { exp(0.03), NAN, exp(0.04), exp(0.01), exp(0.021) };
	const double b[] = { exp(4.902), exp(3.4), exp(4.339) };
	PerfoptChange c = perfopt_change_of_batches(4.1884166666666664, a, 5, b, 3);

	(void) state;
	assert_int_equal(c.n, 3);
	assert_near(c.p_value, 0.010751561149785, 1e-10);
	assert_near(c.high - c.estimate, 4.300896755067 * 0.4381419179647, 1e-9);
	assert_near(c.low + c.high, 2 * c.estimate, 1e-9);

	c = perfopt_change_of_batches(0.1, a, 1, b, 3);
	assert_true(isnan(c.low) && isnan(c.p_value) && c.estimate == 0.1);
	c = perfopt_change_of_batches(NAN, a, 5, b, 3);
	assert_true(isnan(c.low) && isnan(c.p_value));
}

static void
runs_by_prediction(void **state)
{
	const double logs[] = { 2.1, 2.0, 1.9, 2.2, 1.8 };
	double former[5];
	double low;
	double high;
	const double new_runs[] = { exp(2.3), exp(2.5) };
	PerfoptChange c;

	(void) state;
	for (int i = 0; i < 5; i++)
		former[i] = exp(logs[i]);
	assert_true(perfopt_prediction_interval(logs, 5, 2, PERFOPT_VERDICT_LEVEL, &low, &high));
	c = perfopt_change_of_runs(former, 5, new_runs, 2);
	assert_int_equal(c.n, 2);
	assert_near(c.estimate, 0.4, 1e-12);
	/* The change excludes zero just where the runs' mean is outside what was predicted. */
	assert_near(2.4 - c.low, high, 1e-9);
	assert_near(2.4 - c.high, low, 1e-9);
	assert_near(c.fixed, 0.2, 0);

	c = perfopt_change_of_runs(former, 1, new_runs, 2);
	assert_true(isnan(c.low) && isnan(c.p_value));
	c = perfopt_change_of_runs(former, 5, new_runs, 0);
	assert_true(isnan(c.estimate) && c.n == 0);
}

static void
shares_of_few_events(void **state)
{
	PerfoptShare a[20];
	PerfoptShare b[20];
	PerfoptChange c;

	(void) state;
	/* None among 20,000: not more than 3.69 in 20,000, on either side. */
	for (int i = 0; i < 20; i++)
		a[i] = b[i] = (PerfoptShare){ 0, 1000 };
	c = perfopt_share_change_of_pairs(a, b, 20);
	assert_near(c.estimate, 0, 0);
	assert_near(c.high, 3.6888794541 / 20000, 1e-10);
	assert_near(c.low, -3.6888794541 / 20000, 1e-10);
	assert_near(c.p_value, 1, 0);
	c = perfopt_share_change_of_batches(a, 20, b, 10);
	assert_near(c.high, 3.6888794541 / 10000, 1e-10);
	c = perfopt_share_change_of_runs(a, 5, b, 1);
	assert_near(c.high, 3.6888794541 / 1000, 1e-9);

	/* One slot with nothing but errors among twenty is one event, not a thousand. */
	b[7].events = 1000;
	c = perfopt_share_change_of_pairs(a, b, 20);
	assert_near(c.estimate, 0.05, 1e-12);
	assert_true(c.p_value > 0.3 && c.low < 0);

	/* Shares of all trials, not means of shares; with a spread of 0.01 from pair to pair. */
	for (int i = 0; i < 20; i++)
		b[i] = (PerfoptShare){ i % 2 ? 60 : 40, 1000 };
	c = perfopt_share_change_of_pairs(a, b, 20);
	assert_near(c.estimate, 0.05, 1e-12);
	assert_near(c.high - c.estimate, 2.093024054408 * 0.01 * sqrt(20.0 / 19 / 20), 1e-9);

	b[0].trials = 0;
	b[0].events = 0;
	c = perfopt_share_change_of_pairs(a, b, 1);
	assert_true(isnan(c.estimate) && isnan(c.low));
}

static PerfoptVerdict
verdict_of(double low, double estimate, double high, bool fall_is_worse, double p,
		   PerfoptEvidence evidence)
{
	PerfoptMargin margin = perfopt_margin_of_ratio(0.1, fall_is_worse);
	PerfoptChange c = { .n = 10,
						.estimate = log(1 + estimate),
						.low = log(1 + low),
						.high = log(1 + high),
						.p_value = p };

	return perfopt_verdict(&c, p, &margin, evidence);
}

static void
every_verdict(void **state)
{
	const PerfoptEvidence slots = PERFOPT_EVIDENCE_SLOTS;
	const PerfoptEvidence two = PERFOPT_EVIDENCE_TWO_RUNS;
	const PerfoptEvidence one = PERFOPT_EVIDENCE_ONE_RUN;
	const PerfoptEvidence reruns = PERFOPT_EVIDENCE_RERUNS;

	(void) state;
	/* latency, margin 10 % */
	assert_int_equal(verdict_of(0.101, 0.2, 0.3, false, 0.01, slots), PERFOPT_REGRESSION);
	assert_int_equal(verdict_of(0.101, 0.2, 0.3, false, 0.05, slots), PERFOPT_INCONCLUSIVE);
	assert_int_equal(verdict_of(0.099, 0.2, 0.3, false, 0.01, slots), PERFOPT_INCONCLUSIVE);
	assert_int_equal(verdict_of(0.01, 0.05, 0.099, false, 0.01, slots), PERFOPT_NO_REGRESSION);
	assert_int_equal(verdict_of(0.01, 0.05, 0.101, false, 0.01, slots), PERFOPT_INCONCLUSIVE);
	assert_int_equal(verdict_of(-0.3, -0.2, -0.101, false, 0.01, slots), PERFOPT_IMPROVEMENT);
	assert_int_equal(verdict_of(-0.3, -0.2, -0.099, false, 0.01, slots), PERFOPT_NO_REGRESSION);
	assert_int_equal(verdict_of(-0.3, -0.2, -0.101, false, 0.2, slots), PERFOPT_NO_REGRESSION);
	/* throughput */
	assert_int_equal(verdict_of(-0.3, -0.2, -0.101, true, 0.01, slots), PERFOPT_REGRESSION);
	assert_int_equal(verdict_of(-0.3, -0.2, -0.099, true, 0.01, slots), PERFOPT_INCONCLUSIVE);
	assert_int_equal(verdict_of(-0.099, 0, 0.5, true, 0.9, slots), PERFOPT_NO_REGRESSION);
	assert_int_equal(verdict_of(0.101, 0.2, 0.3, true, 0.01, slots), PERFOPT_IMPROVEMENT);
	/* two single runs can neither prove the one nor the other */
	assert_int_equal(verdict_of(0.101, 0.2, 0.3, false, 0.01, two), PERFOPT_SUSPECT);
	assert_int_equal(verdict_of(0.05, 0.2, 0.3, false, 0.01, two), PERFOPT_INCONCLUSIVE);
	assert_int_equal(verdict_of(-0.3, -0.2, -0.101, false, 0.01, two), PERFOPT_NO_REGRESSION);
	/* nor can one run beside a baseline, which raises the suspicion earlier, with any p */
	assert_int_equal(verdict_of(0.101, 0.2, 0.3, false, 0.01, one), PERFOPT_SUSPECT);
	assert_int_equal(verdict_of(0.01, 0.2, 0.3, false, 0.2, one), PERFOPT_SUSPECT);
	assert_int_equal(verdict_of(0.01, 0.09, 0.3, false, 0.01, one), PERFOPT_INCONCLUSIVE);
	assert_int_equal(verdict_of(-0.01, 0.2, 0.3, false, 0.06, one), PERFOPT_INCONCLUSIVE);
	assert_int_equal(verdict_of(-0.3, -0.2, -0.101, false, 0.01, one), PERFOPT_NO_REGRESSION);
	/* several can */
	assert_int_equal(verdict_of(0.101, 0.2, 0.3, false, 0.01, reruns), PERFOPT_REGRESSION);
	assert_int_equal(verdict_of(0.05, 0.2, 0.3, false, 0.01, reruns), PERFOPT_SUSPECT);
	assert_int_equal(verdict_of(-0.3, -0.2, -0.101, false, 0.01, reruns), PERFOPT_IMPROVEMENT);
	/* nothing is known */
	assert_int_equal(verdict_of(NAN, NAN, NAN, false, NAN, slots), PERFOPT_INCONCLUSIVE);
	assert_int_equal(verdict_of(-0.9, 0.2, INFINITY, true, 0.2, slots), PERFOPT_INCONCLUSIVE);
	assert_string_equal(perfopt_verdict_name(PERFOPT_NO_REGRESSION), "NO_REGRESSION");
}

/* With so many units and the same spread the margin is just outside the interval. */
static void
units_that_decide(void **state)
{
	PerfoptMargin margin = perfopt_margin_of_ratio(0.1, false);
	PerfoptChange c = {
		.n = 20, .estimate = margin.worse + 0.05001, .low = margin.worse - 0.05, .high = 0.5
	};
	double half;

	(void) state;
	/* half as wide takes four times as many */
	assert_int_equal(perfopt_units_needed(&c, &margin), 80);
	c.estimate = margin.worse - 0.02001;
	c.high = margin.worse + 0.02;
	assert_int_equal(perfopt_units_needed(&c, &margin), 80);
	margin.fall_is_worse = true;
	assert_true(perfopt_units_needed(&c, &margin) != 80);
	margin.fall_is_worse = false;

	/* What does not shrink: three new runs beside five former ones. */
	c = (PerfoptChange){ .n = 3, .estimate = margin.worse + 0.05, .fixed = 0.2 };
	half = 0.055;
	c.low = c.estimate - half;
	/* (1/m + 1/5) (0.055)^2 / (1/3 + 1/5) < 0.05^2 */
	assert_int_equal(perfopt_units_needed(&c, &margin), 5);
	half = 0.09;
	c.low = c.estimate - half;
	assert_int_equal(perfopt_units_needed(&c, &margin), 0);

	/* Decided but for p; too close; without an interval. */
	c = (PerfoptChange){ .n = 20, .estimate = margin.worse + 0.05, .low = margin.worse + 0.01 };
	assert_int_equal(perfopt_units_needed(&c, &margin), 21);
	c.estimate = margin.worse + 1e-6;
	c.low = 0;
	assert_int_equal(perfopt_units_needed(&c, &margin), 0);
	c = perfopt_no_change_known();
	assert_int_equal(perfopt_units_needed(&c, &margin), 0);
}

/* Student's t with three degrees of freedom and the standard deviation 1. */
static double
heavy_tailed(uint64_t *seed)
{
	double square = 0;
	double z = prng_normal(seed);

	for (int i = 0; i < 3; i++)
	{
		double x = prng_normal(seed);

		square += x * x;
	}
	return z / sqrt(square / 3) / sqrt(3);
}

#define OPERATIONS 3
#define METRICS 3

static const double metric_margins[METRICS] = { 0.05, 0.05, 0.10 }; /* throughput, p50, p95 */

/*
 * One-second slots in random order under a slow drift of the host; each operation has noise of its
 * own and shares some.  Noise is that of a slot, as a share; slower multiplies the times of b.
 */
static void
simulate_slots(int pairs, double noise, double slower, double *a, double *b, uint64_t *seed)
{
	double drift = 0.1 * prng_normal(seed);

	for (int pair = 0; pair < pairs; pair++)
	{
		int first = (int) (prng_next(seed) % 2);

		for (int slot = 0; slot < 2; slot++)
		{
			bool is_b = slot == first;
			double *to = is_b ? b : a;
			double shared = heavy_tailed(seed);

			drift = 0.9 * drift + 0.1 * sqrt(1 - 0.81) * prng_normal(seed);
			for (int i = 0; i < OPERATIONS; i++)
			{
				double own = heavy_tailed(seed);
				double level =
					drift + noise * (0.8 * shared + 0.6 * own) + (is_b ? log(slower) : 0);

				to[(i * METRICS + 0) * MAX_PAIRS + pair] = exp(-level);
				to[(i * METRICS + 1) * MAX_PAIRS + pair] = exp(level + 0.02 * prng_normal(seed));
				to[(i * METRICS + 2) * MAX_PAIRS + pair] = exp(level + 0.05 * prng_normal(seed));
			}
		}
	}
}

typedef struct Rates
{
	double different; /* runs in which any row's adjusted p-value is below 5 % */
	double regression;
} Rates;

static Rates
rates_of_slots(int runs, int pairs, double noise, double slower, uint64_t seed)
{
	static double a[OPERATIONS * METRICS * MAX_PAIRS];
	static double b[OPERATIONS * METRICS * MAX_PAIRS];
	const int rows = OPERATIONS * METRICS;
	double adjust[PERFOPT_FDR_SCRATCH(OPERATIONS * METRICS)];
	Rates rates = { 0, 0 };

	for (int run = 0; run < runs; run++)
	{
		PerfoptChange c[OPERATIONS * METRICS];
		double p[OPERATIONS * METRICS];
		bool different = false;
		bool regression = false;

		simulate_slots(pairs, noise, slower, a, b, &seed);
		for (int i = 0; i < rows; i++)
		{
			c[i] = perfopt_change_of_pairs(&a[i * MAX_PAIRS], &b[i * MAX_PAIRS], pairs, scratch);
			p[i] = c[i].p_value;
		}
		perfopt_fdr_adjust(p, rows, p, adjust);
		for (int i = 0; i < rows; i++)
		{
			PerfoptMargin margin =
				perfopt_margin_of_ratio(metric_margins[i % METRICS], i % METRICS == 0);

			different |= p[i] < PERFOPT_VERDICT_P;
			regression |=
				perfopt_verdict(&c[i], p[i], &margin, PERFOPT_EVIDENCE_SLOTS) == PERFOPT_REGRESSION;
		}
		rates.different += different / (double) runs;
		rates.regression += regression / (double) runs;
	}
	return rates;
}

/* Figures with more runs are in docs/load.md. */
static void
slots_tell_noise_from_change(void **state)
{
	Rates same = rates_of_slots(400, 60, 0.15, 1, 81);

	(void) state;
	/* three standard errors of 400 runs are 3.3 % */
	assert_true(same.different < 0.05 + 0.033);
	assert_true(same.regression < 0.01);
	/* slower by just the margin is not beyond it: 2.5 % in each of the six rows that have it */
	assert_true(rates_of_slots(200, 60, 0.1, 1.05, 82).regression < 0.1);
	assert_true(rates_of_slots(200, 60, 0.1, 1.1, 83).regression >= 0.9);
	assert_true(rates_of_slots(200, 150, 0.15, 1.1, 84).regression >= 0.9);
}

/*
 * Five former runs, whose levels vary by 4 % between runs, and a new one; where that is suspicious,
 * three more.  Both metrics of it move together.
 */
static void
rates_of_runs(int checks, double slower, uint64_t seed, double *suspect, double *regression)
{
	const PerfoptMargin margins[] = { perfopt_margin_of_ratio(0.05, true),
									  perfopt_margin_of_ratio(0.05, false) };

	*suspect = *regression = 0;
	for (int check = 0; check < checks; check++)
	{
		double v[2][9];
		PerfoptVerdict worst[] = { PERFOPT_INCONCLUSIVE, PERFOPT_INCONCLUSIVE };

		for (int run = 0; run < 9; run++)
		{
			double level = 0.04 * prng_normal(&seed) + (run < 5 ? 0 : log(slower));

			v[0][run] = exp(-level);
			v[1][run] = exp(level + 0.01 * prng_normal(&seed));
		}
		for (int again = 0; again < 2; again++)
		{
			double p[2];
			double adjust[PERFOPT_FDR_SCRATCH(2)];
			PerfoptChange c[2];

			for (int i = 0; i < 2; i++)
			{
				c[i] = perfopt_change_of_runs(v[i], 5, &v[i][5], again ? 4 : 1);
				p[i] = c[i].p_value;
			}
			perfopt_fdr_adjust(p, 2, p, adjust);
			for (int i = 0; i < 2; i++)
			{
				PerfoptVerdict verdict =
					perfopt_verdict(&c[i], p[i], &margins[i],
									again ? PERFOPT_EVIDENCE_RERUNS : PERFOPT_EVIDENCE_ONE_RUN);

				if (worst[again] != PERFOPT_REGRESSION &&
					(verdict == PERFOPT_SUSPECT || verdict == PERFOPT_REGRESSION))
					worst[again] = verdict;
			}
		}
		*suspect += (worst[0] == PERFOPT_SUSPECT) / (double) checks;
		*regression +=
			(worst[0] == PERFOPT_SUSPECT && worst[1] == PERFOPT_REGRESSION) / (double) checks;
	}
}

static void
runs_tell_noise_from_change(void **state)
{
	double suspect;
	double regression;

	(void) state;
	rates_of_runs(4000, 1, 85, &suspect, &regression);
	assert_true(suspect < 0.05 && suspect > 0.01);
	assert_true(regression < 0.005);
	rates_of_runs(1000, 1.3, 86, &suspect, &regression);
	assert_true(suspect > 0.9);
	assert_true(regression > 0.9);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pairs_are_ranked),
		cmocka_unit_test(equal_pairs_count),
		cmocka_unit_test(batches_by_welch),
		cmocka_unit_test(runs_by_prediction),
		cmocka_unit_test(shares_of_few_events),
		cmocka_unit_test(every_verdict),
		cmocka_unit_test(units_that_decide),
		cmocka_unit_test(slots_tell_noise_from_change),
		cmocka_unit_test(runs_tell_noise_from_change),
	};

	return cmocka_run_group_tests_name("verdict", tests, NULL, NULL);
}
