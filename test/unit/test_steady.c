/*
 * test_steady.c
 *	  The end of warm-up and the verdict on what follows, on series whose truth is known.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "math/steady.h"
#include "prng.h"

#define MAX_SECONDS 600

static double throughput[MAX_SECONDS];
static double p95[MAX_SECONDS];

static void
assert_near(double got, double expected, double tolerance)
{
	if (!(fabs(got - expected) <= tolerance))
		fail_msg("%.12g is not within %g of %.12g", got, tolerance, expected);
}

/*
 * Of 12 batches with the means 1 5 9 9 9 9 9 9 9 9 9 9 nothing is left of the sum from the third on.
 * With 1 2 2 3 2 3 2 3 2 3 2 3, worked by hand: d = 0: mean 28/12, squares 4.6667, / 144 = 0.0324;
 * d = 1: mean 27/11, squares 2.7273, / 121 = 0.0225; d = 2: 2.5 / 100 = 0.025; and so on upwards.
 */
static void
mser_worked_by_hand(void **state)
{
	const double sharp[] = { 1, 5, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9 };
	const double soft[] = { 1, 2, 2, 3, 2, 3, 2, 3, 2, 3, 2, 3 };
	double v[64];

	(void) state;
	for (int i = 0; i < 60; i++)
		v[i] = sharp[i / 5];
	assert_int_equal(perfopt_mser5(v, 60), 10);
	for (int i = 0; i < 60; i++)
		v[i] = soft[i / 5] + (i % 5 - 2); /* what is within a batch does not matter */
	assert_int_equal(perfopt_mser5(v, 60), 5);
	/* a batch that is not whole is not looked at, however far off */
	for (int i = 60; i < 64; i++)
		v[i] = 1e9;
	assert_int_equal(perfopt_mser5(v, 64), 5);
	/* what is missing within a batch changes nothing here, and a batch without a value is skipped */
	v[0] = NAN;
	v[4] = NAN;
	v[8] = INFINITY;
	v[6] = NAN;
	assert_int_equal(perfopt_mser5(v, 60), 5);
	for (int i = 5; i < 10; i++)
		v[i] = NAN;
	assert_int_equal(perfopt_mser5(v, 60), 10);
	assert_int_equal(perfopt_mser5(v, 29), -1);
	assert_int_equal(perfopt_mser5(v, 0), -1);
	assert_int_equal(perfopt_mser5(v, -5), -1);
	for (int i = 0; i < 60; i++)
		v[i] = i < 40 ? NAN : 1;
	assert_int_equal(perfopt_mser5(v, 60), -1);
	/* of a constant everything is kept */
	for (int i = 0; i < 60; i++)
		v[i] = 7;
	assert_int_equal(perfopt_mser5(v, 60), 0);
}

/*
 * Noise of the given relative size in both series; throughput rises to its level within `warm`
 * seconds, and changes by the share `drift` from beginning to end.
 */
static void
simulate(int n, int warm, double drift, double noise, double rho, uint64_t *seed)
{
	double a = prng_normal(seed);
	double b = prng_normal(seed);

	for (int i = 0; i < n; i++)
	{
		double level = 1000 * (i < warm ? (0.3 + 0.7 * i / warm) : 1) * (1 + drift * i / n);

		a = rho * a + sqrt(1 - rho * rho) * prng_normal(seed);
		b = rho * b + sqrt(1 - rho * rho) * prng_normal(seed);
		throughput[i] = level * (1 + noise * a);
		p95[i] = 20 * exp(2 * noise * b);
	}
}

static void
warm_up_is_cut(void **state)
{
	uint64_t seed = 81;
	const int runs = 200;

	(void) state;
	for (int warm = 20; warm <= 100; warm += 40)
	{
		int early = 0;
		int late = 0;
		int steady = 0;
		double mean = 0;

		for (int run = 0; run < runs; run++)
		{
			int cut;

			simulate(300, warm, 0, 0.03, 0.5, &seed);
			cut = perfopt_mser5(throughput, 300);
			/* the last few seconds of the ramp are within the noise */
			early += cut < warm - 10;
			late += cut > warm + 40;
			mean += (double) cut / runs;
			steady += perfopt_steady(throughput, p95, 300).verdict == PERFOPT_STEADY;
		}
		assert_int_equal(early, 0);
		assert_true(late <= runs / 10);
		assert_near(mean, warm, 12);
		assert_true(steady >= runs - 2);
	}
	/* p95 warms up more slowly: that cut counts */
	simulate(300, 20, 0, 0.03, 0, &seed);
	for (int i = 0; i < 100; i++)
		p95[i] *= 4 - 0.03 * i;
	assert_true(perfopt_steady(throughput, NULL, 300).from < 50);
	assert_true(perfopt_steady(throughput, p95, 300).from >= 85);
}

static void
flat_series_is_cut_little(void **state)
{
	uint64_t seed = 82;
	double cut = 0;

	(void) state;
	for (int run = 0; run < 200; run++)
	{
		simulate(300, 0, 0, 0.03, 0, &seed);
		cut += perfopt_steady(throughput, p95, 300).from / 200.0;
	}
	assert_true(cut < 20);
	for (int i = 0; i < 300; i++)
		throughput[i] = 500;
	assert_int_equal(perfopt_steady(throughput, NULL, 300).from, 0);
	assert_int_equal(perfopt_steady(throughput, NULL, 300).verdict, PERFOPT_STEADY);
	for (int i = 0; i < 300; i++)
		throughput[i] = 0;
	assert_int_equal(perfopt_steady(throughput, NULL, 300).verdict, PERFOPT_STEADY);
	assert_true(isnan(perfopt_steady(throughput, NULL, 300).throughput.slope));
}

/* Share of series in which no steady state is found. */
static double
unsteady(int n, double drift, double noise, double rho, uint64_t seed)
{
	const int runs = 600;
	int found = 0;

	for (int run = 0; run < runs; run++)
	{
		simulate(n, 0, drift, noise, rho, &seed);
		found += perfopt_steady(throughput, p95, n).verdict == PERFOPT_NO_STEADY_STATE;
	}
	return (double) found / runs;
}

static void
drift_is_found(void **state)
{
	uint64_t seed = 83;
	PerfoptSteady steady;

	(void) state;
	assert_true(unsteady(120, 0.4, 0.03, 0.5, 84) > 0.95);
	assert_true(unsteady(300, 0.4, 0.03, 0.5, 85) > 0.99);
	assert_true(unsteady(300, -0.3, 0.03, 0.5, 86) > 0.99);
	/* what the margin allows is no drift, however surely it is there: half of 4 % */
	assert_true(unsteady(600, 0.04, 0.005, 0, 87) == 0);
	/* by how much: throughput falls by 40 % of the start, from 0.8 to 0.6 of it in the second half */
	simulate(600, 0, -0.4, 0.01, 0, &seed);
	steady = perfopt_steady(throughput, p95, 600);
	assert_int_equal(steady.verdict, PERFOPT_NO_STEADY_STATE);
	assert_int_equal(steady.from, 300);
	assert_near(steady.throughput.slope, -0.2 / 0.7, 0.02);
	assert_near(steady.throughput.halves, -0.1 / 0.75, 0.01);
	assert_near(steady.p95.slope, 0, 0.03);
	/* a step in p95 alone, late */
	simulate(300, 0, 0, 0.03, 0.5, &seed);
	for (int i = 200; i < 300; i++)
		p95[i] *= 1.5;
	assert_int_equal(perfopt_steady(throughput, NULL, 300).verdict, PERFOPT_STEADY);
	assert_int_equal(perfopt_steady(throughput, p95, 300).verdict, PERFOPT_NO_STEADY_STATE);
}

/* The rates of steady.h; three standard errors of 600 series are 2 % at 3 %, 1.2 % at 1 %. */
static void
noise_is_no_drift(void **state)
{
	(void) state;
	assert_true(unsteady(60, 0, 0.1, 0.5, 88) < 0.046);
	assert_true(unsteady(120, 0, 0.1, 0.5, 89) < 0.022);
	assert_true(unsteady(300, 0, 0.1, 0.5, 90) < 0.012);
	assert_true(unsteady(300, 0, 0.1, 0.8, 91) < 0.03);
	assert_true(unsteady(120, 0, 0.03, 0.5, 92) < 0.01);
}

static void
short_or_full_of_gaps(void **state)
{
	uint64_t seed = 93;

	(void) state;
	simulate(120, 0, 0, 0.03, 0, &seed);
	assert_int_equal(perfopt_steady(throughput, p95, 59).verdict, PERFOPT_STEADY_TOO_SHORT);
	assert_int_equal(perfopt_steady(throughput, p95, 0).verdict, PERFOPT_STEADY_TOO_SHORT);
	assert_true(isnan(perfopt_steady(throughput, p95, 59).throughput.slope));
	assert_int_equal(perfopt_steady(throughput, p95, 60).verdict, PERFOPT_STEADY);

	/* every third second without a p95, and ten in a row */
	for (int i = 0; i < 120; i++)
		if (i % 3 == 0 || (i >= 80 && i < 90))
			p95[i] = NAN;
	assert_int_equal(perfopt_steady(throughput, p95, 120).verdict, PERFOPT_STEADY);
	assert_true(isfinite(perfopt_steady(throughput, p95, 120).p95.slope));
	/* none in the second half: nothing can be said, unless throughput drifts */
	for (int i = 60; i < 120; i++)
		p95[i] = NAN;
	assert_int_equal(perfopt_steady(throughput, p95, 120).verdict, PERFOPT_STEADY_TOO_SHORT);
	for (int i = 0; i < 120; i++)
		throughput[i] *= 1 + i / 100.0;
	assert_int_equal(perfopt_steady(throughput, p95, 120).verdict, PERFOPT_NO_STEADY_STATE);
	for (int i = 0; i < 120; i++)
		p95[i] = NAN;
	assert_int_equal(perfopt_steady(throughput, p95, 120).verdict, PERFOPT_STEADY_TOO_SHORT);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mser_worked_by_hand),       cmocka_unit_test(warm_up_is_cut),
		cmocka_unit_test(flat_series_is_cut_little), cmocka_unit_test(drift_is_found),
		cmocka_unit_test(noise_is_no_drift),         cmocka_unit_test(short_or_full_of_gaps),
	};

	return cmocka_run_group_tests_name("steady", tests, NULL, NULL);
}
