/*
 * test_arrivals.c
 *	  Arrivals come when the rate says, from all workers together.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "math/arrivals.h"

#define MS INT64_C(1000000)
#define S INT64_C(1000000000)
#define DAY (86400 * S)

#define MAX_TIMES 200000

static PerfoptXoroshiro generator;
static const PerfoptRandom prng = { perfopt_xoroshiro_next, &generator };

static int64_t times[MAX_TIMES];
static int64_t others[MAX_TIMES];

static PerfoptArrivals
even(double rate, int64_t up, int64_t hold, int64_t down)
{
	PerfoptArrivals state;
	PerfoptArrivalsPlan plan = { PERFOPT_ARRIVALS_EVEN, rate, up, hold, down, 0, 1 };

	perfopt_arrivals_init(&state, &plan);
	return state;
}

/* All that are left, which must not go back. */
static int
take_all(PerfoptArrivals *state, int64_t *into)
{
	int n = 0;
	int64_t t;

	while (perfopt_arrivals_next(state, &prng, &t))
	{
		assert_true(n < MAX_TIMES);
		assert_true(n == 0 || t >= into[n - 1]);
		into[n++] = t;
	}
	assert_false(perfopt_arrivals_next(state, &prng, &t));
	assert_false(perfopt_arrivals_next(state, &prng, &t));
	return n;
}

/* All before this time; the first one that is not is lost. */
static int
take_before(PerfoptArrivals *state, int64_t end, int64_t *into)
{
	int n = 0;
	int64_t t;

	while (perfopt_arrivals_next(state, &prng, &t) && t < end)
		into[n++] = t;
	return n;
}

static int
compare_times(const void *a, const void *b)
{
	int64_t x = *(const int64_t *) a;
	int64_t y = *(const int64_t *) b;

	return (x > y) - (x < y);
}

static void
even_ones_have_equal_distances(void **state)
{
	PerfoptArrivals a = even(1000, 0, 10 * S, 0);
	int n = take_all(&a, times);

	(void) state;
	assert_int_equal(n, 10000);
	for (int i = 0; i < n; i++)
		assert_int_equal(times[i], i * MS + MS / 2);

	a = even(0.5, 0, 10 * S, 0);
	n = take_all(&a, times);
	assert_int_equal(n, 5);
	for (int i = 0; i < n; i++)
		assert_int_equal(times[i], S + i * 2 * S);
}

/* 30 days at 100,000 a second, seen through one of very many workers. */
static void
there_is_no_drift(void **state)
{
	PerfoptArrivals a;
	PerfoptArrivalsPlan plan = { PERFOPT_ARRIVALS_EVEN, 100000, 0, 30 * DAY, 0, 12345, 1000003 };
	int64_t k = plan.worker + 1;
	int64_t t;
	int n = 0;

	(void) state;
	perfopt_arrivals_init(&a, &plan);
	while (perfopt_arrivals_next(&a, NULL, &t))
	{
		assert_int_equal(t, k * 10000 - 5000);
		k += plan.nworkers;
		n++;
	}
	assert_int_equal(n, 259200);
	assert_true(perfopt_arrivals_expected(&a, 30 * DAY) == 30.0 * 86400 * 100000);

	/* With a ramp before it, in which 350,000 arrive. */
	plan.ramp_up_ns = 7 * S;
	k = plan.worker + 1;
	perfopt_arrivals_init(&a, &plan);
	assert_true(perfopt_arrivals_next(&a, NULL, &t));
	while (perfopt_arrivals_next(&a, NULL, &t))
	{
		k += plan.nworkers;
		assert_int_equal(t, 7 * S + (k - 350000) * 10000 - 5000);
	}
}

/* Rates that don't divide a second: off by rounding only, to ns and to doubles 0.5 apart. */
static void
uneven_rates_are_rounded_only(void **state)
{
	static const int rates[] = { 3, 7, 99, 12347, 99991 };

	(void) state;
	for (size_t r = 0; r < sizeof(rates) / sizeof(*rates); r++)
	{
		PerfoptArrivals a;
		PerfoptArrivalsPlan plan = { PERFOPT_ARRIVALS_EVEN, rates[r], 0, 30 * DAY, 0, 0, 1000003 };
		int64_t t;

		perfopt_arrivals_init(&a, &plan);
		for (int64_t k = 1; perfopt_arrivals_next(&a, NULL, &t); k += plan.nworkers)
		{
			/* (2k - 1) / 2 rate seconds, in whole seconds and the rest. */
			int64_t seconds = (2 * k - 1) / (2 * rates[r]);
			double rest = (double) ((2 * k - 1) % (2 * rates[r])) / (2 * rates[r]) * 1e9;

			assert_true(fabs((double) (t - seconds * S) - rest) <= 0.76);
		}
	}
}

/* While the rate rises from 0, k - 1/2 = rate t^2 / (2 ramp). */
static void
ramps_are_inverted(void **state)
{
	PerfoptArrivals a = even(100, 10 * S, 0, 0);
	int n = take_all(&a, times);

	(void) state;
	assert_int_equal(n, 500);
	for (int k = 1; k <= n; k++)
		assert_true(fabs((double) times[k - 1] - sqrt((k - 0.5) * 2 * 10 / 100) * 1e9) <= 0.501);

	/* Falling, it is the same backwards. */
	a = even(100, 0, 0, 10 * S);
	assert_int_equal(take_all(&a, others), n);
	for (int i = 0; i < n; i++)
		assert_true(llabs(times[i] + others[n - 1 - i] - 10 * S) <= 1);
}

static void
what_is_expected_is_what_comes(void **state)
{
	PerfoptArrivals a = even(321.5, 7 * S, 11 * S, 3 * S);
	int n = take_all(&a, times);

	(void) state;
	assert_int_equal(n, (int) floor(321.5 * (3.5 + 11 + 1.5) + 0.5));
	for (int i = 0; i < n; i++)
	{
		double expected = perfopt_arrivals_expected(&a, times[i]);

		assert_true(times[i] >= 0 && times[i] <= 21 * S);
		assert_true(fabs(expected - (i + 0.5)) < 1e-6);
	}

	assert_true(perfopt_arrivals_expected(&a, INT64_MIN) == 0);
	assert_true(perfopt_arrivals_expected(&a, 0) == 0);
	assert_true(fabs(perfopt_arrivals_expected(&a, 7 * S) - 321.5 * 3.5) < 1e-9);
	assert_true(fabs(perfopt_arrivals_expected(&a, 3500 * MS) - 321.5 * 3.5 / 4) < 1e-9);
	assert_true(fabs(perfopt_arrivals_expected(&a, 9 * S) - 321.5 * 5.5) < 1e-9);
	assert_true(fabs(perfopt_arrivals_expected(&a, 21 * S) - 321.5 * 16) < 1e-9);
	assert_true(fabs(perfopt_arrivals_expected(&a, INT64_MAX) - 321.5 * 16) < 1e-9);
}

/* With changes of the rate in all parts of the plan, which every worker hears of. */
static int
run_changing(PerfoptArrivals *a, int64_t *into)
{
	int n = take_before(a, 2 * S, into);

	assert_true(perfopt_arrivals_restart(a, 2 * S, 150));
	n += take_before(a, 5 * S + 1, into + n);
	assert_true(perfopt_arrivals_restart(a, 5 * S + 1, 1234.5));
	n += take_before(a, 6 * S, into + n);
	assert_true(perfopt_arrivals_restart(a, 6 * S, 20));
	n += take_all(a, into + n);
	return n;
}

static void
workers_share_the_even_ones(void **state)
{
	static const int nworkers[] = { 2, 3, 7, 64 };

	(void) state;
	for (size_t w = 0; w < sizeof(nworkers) / sizeof(*nworkers); w++)
		for (int changing = 0; changing < 2; changing++)
		{
			PerfoptArrivals a = even(333, 4 * S, 5 * S, 2 * S);
			int n = changing ? run_changing(&a, times) : take_all(&a, times);
			int m = 0;
			int least = n;
			int most = 0;

			for (int worker = 0; worker < nworkers[w]; worker++)
			{
				PerfoptArrivalsPlan plan = {
					PERFOPT_ARRIVALS_EVEN, 333, 4 * S, 5 * S, 2 * S, worker, nworkers[w]
				};
				int mine;

				perfopt_arrivals_init(&a, &plan);
				mine = changing ? run_changing(&a, others + m) : take_all(&a, others + m);
				least = mine < least ? mine : least;
				most = mine > most ? mine : most;
				m += mine;
			}
			assert_int_equal(m, n);
			assert_true(most - least <= (changing ? 4 : 1));
			qsort(others, (size_t) m, sizeof(*others), compare_times);
			assert_memory_equal(times, others, (size_t) n * sizeof(*times));
		}
}

static void
a_restart_changes_the_rate(void **state)
{
	PerfoptArrivals a = even(100, 0, 10 * S, 0);
	int n = take_before(&a, 5 * S, times);

	(void) state;
	assert_int_equal(n, 500);
	assert_true(perfopt_arrivals_restart(&a, 5 * S, 200));
	assert_true(perfopt_arrivals_expected(&a, 5 * S) == 500);
	assert_true(perfopt_arrivals_expected(&a, 6 * S) == 700);
	assert_true(perfopt_arrivals_expected(&a, 10 * S) == 1500);
	assert_int_equal(take_all(&a, times), 1000);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(times[i], 5 * S + i * 5 * MS + 5 * MS / 2);

	/* Even after the last one was taken; and what is half due stays so. */
	a = even(100, 0, 10 * S, 0);
	take_all(&a, times);
	assert_true(perfopt_arrivals_restart(&a, 5 * S + 8 * MS, 10));
	assert_int_equal(take_all(&a, times), 50);
	assert_int_equal(times[0], 5 * S + 8 * MS + 70 * MS);
	assert_int_equal(times[1], 5 * S + 8 * MS + 170 * MS);

	/* One that is due right then is neither lost nor there twice. */
	a = even(100, 0, 10 * S, 0);
	assert_int_equal(take_before(&a, 5 * MS, times), 0);
	assert_true(perfopt_arrivals_restart(&a, 5 * MS, 1000));
	assert_true(perfopt_arrivals_next(&a, NULL, &times[0]));
	assert_int_equal(times[0], 5 * MS);
	assert_true(perfopt_arrivals_next(&a, NULL, &times[0]));
	assert_int_equal(times[0], 6 * MS);

	/* The same where rounding has moved it, from 166,666,666.67. */
	a = even(3, 0, 10 * S, 0);
	assert_int_equal(take_before(&a, 166666667, times), 0);
	assert_true(perfopt_arrivals_restart(&a, 166666667, 1));
	assert_true(perfopt_arrivals_next(&a, NULL, &times[0]));
	assert_int_equal(times[0], 166666667);
	assert_true(perfopt_arrivals_next(&a, NULL, &times[0]));
	assert_int_equal(times[0], 166666666 + S);
}

static void
a_restart_ends_the_ramp_up(void **state)
{
	PerfoptArrivals a = even(100, 10 * S, 10 * S, 2 * S);

	(void) state;
	take_before(&a, 5 * S, times);
	assert_true(perfopt_arrivals_restart(&a, 5 * S, 40));
	assert_true(fabs(perfopt_arrivals_expected(&a, 5 * S) - 125) < 1e-9);
	assert_true(fabs(perfopt_arrivals_expected(&a, 20 * S) - (125 + 600)) < 1e-9);
	assert_true(fabs(perfopt_arrivals_expected(&a, 22 * S) - (125 + 600 + 40)) < 1e-9);
	assert_int_equal(take_all(&a, times), 640);
}

static void
a_restart_has_its_time(void **state)
{
	PerfoptArrivals a = even(100, 0, 10 * S, 2 * S);
	PerfoptArrivals before;

	(void) state;
	assert_true(perfopt_arrivals_restart(&a, 3 * S, 0));
	assert_int_equal(take_all(&a, times), 0);
	assert_true(perfopt_arrivals_restart(&a, 4 * S, 10));
	assert_true(fabs(perfopt_arrivals_expected(&a, 12 * S) - (300 + 60 + 10)) < 1e-9);

	before = a;
	assert_false(perfopt_arrivals_restart(&a, 4 * S - 1, 10));
	assert_false(perfopt_arrivals_restart(&a, -1, 10));
	assert_false(perfopt_arrivals_restart(&a, INT64_MIN, 10));
	assert_false(perfopt_arrivals_restart(&a, 10 * S, 10));
	assert_false(perfopt_arrivals_restart(&a, 11 * S, 10));
	assert_false(perfopt_arrivals_restart(&a, INT64_MAX, 10));
	assert_memory_equal(&a, &before, sizeof(a));
	assert_int_equal(take_all(&a, times), 70);
}

static double
exponential_cdf(double x)
{
	return -expm1(-x);
}

static int
compare_doubles(const void *a, const void *b)
{
	double x = *(const double *) a;
	double y = *(const double *) b;

	return (x > y) - (x < y);
}

/*
 * Seen on the scale of what is expected, all workers' arrivals together are a Poisson process of rate
 * 1: exponential distances (Kolmogorov and Smirnov), counts with as much variance as mean.
 */
static void
poisson_ones_are_random(void **state)
{
	enum
	{
		WORKERS = 5,
		BINS = 200
	};
	PerfoptArrivals a;
	int counts[BINS] = { 0 };
	double *distances;
	double last = 0;
	double distance = 0;
	double variance = 0;
	double total;
	int n = 0;

	(void) state;
	perfopt_xoroshiro_seed(&generator, 1);
	for (int worker = 0; worker < WORKERS; worker++)
	{
		PerfoptArrivalsPlan plan = {
			PERFOPT_ARRIVALS_POISSON, 2000, 10 * S, 15 * S, 10 * S, worker, WORKERS
		};
		int mine;

		perfopt_arrivals_init(&a, &plan);
		mine = take_all(&a, times + n);
		assert_true(abs(mine - 10000) < 4 * 100);
		n += mine;
	}
	qsort(times, (size_t) n, sizeof(*times), compare_times);
	total = perfopt_arrivals_expected(&a, 35 * S);
	assert_true(total == 50000);
	assert_true(fabs(n - total) < 4 * sqrt(total));

	distances = malloc((size_t) n * sizeof(double));
	for (int i = 0; i < n; i++)
	{
		double expected = perfopt_arrivals_expected(&a, times[i]);

		distances[i] = expected - last;
		last = expected;
		counts[(int) (expected / total * BINS)]++;
	}
	qsort(distances, (size_t) n, sizeof(double), compare_doubles);
	for (int i = 0; i < n; i++)
	{
		double p = exponential_cdf(distances[i]);

		distance = fmax(distance, fmax(p - (double) i / n, (i + 1.0) / n - p));
	}
	free(distances);
	assert_true(distance * sqrt(n) < 2.23);

	for (int i = 0; i < BINS; i++)
		variance += (counts[i] - total / BINS) * (counts[i] - total / BINS) / BINS;
	assert_true(variance / (total / BINS) > 0.65 && variance / (total / BINS) < 1.4);
}

static void
poisson_ones_restart(void **state)
{
	PerfoptArrivals a;
	PerfoptArrivalsPlan plan = { PERFOPT_ARRIVALS_POISSON, 100, 0, 100 * S, 0, 0, 1 };
	int n;

	(void) state;
	perfopt_xoroshiro_seed(&generator, 2);
	perfopt_arrivals_init(&a, &plan);
	n = take_before(&a, 50 * S, times);
	assert_true(abs(n - 5000) < 4 * 71);
	assert_true(perfopt_arrivals_restart(&a, 50 * S, 1000));
	n = take_all(&a, times);
	assert_true(abs(n - 50000) < 4 * 224);
	assert_true(times[0] >= 50 * S && times[n - 1] < 100 * S);
	assert_true(perfopt_arrivals_restart(&a, 90 * S, 10));
	n = take_all(&a, times);
	assert_true(abs(n - 100) < 40);
	assert_true(times[0] >= 90 * S);
}

static void
nonsense_does_no_harm(void **state)
{
	PerfoptArrivals a = even(NAN, S, S, S);
	PerfoptArrivalsPlan plan = { PERFOPT_ARRIVALS_EVEN, INFINITY, 0, INT64_MAX, INT64_MAX, 0, 0 };
	int64_t t;
	int64_t last = 0;

	(void) state;
	assert_int_equal(take_all(&a, times), 0);
	a = even(-5, S, S, S);
	assert_int_equal(take_all(&a, times), 0);
	a = even(100, -S, -S, -S);
	assert_int_equal(take_all(&a, times), 0);
	a = even(100, INT64_MIN, S, INT64_MIN);
	assert_int_equal(take_all(&a, times), 100);
	a = even(1e-300, S, S, S);
	assert_int_equal(take_all(&a, times), 0);
	a = even(0.9, 0, S, 0);
	assert_int_equal(take_all(&a, times), 1);
	a = even(100, 1, 1, 1);
	assert_int_equal(take_all(&a, times), 0);

	perfopt_arrivals_init(&a, &plan);
	for (int i = 0; i < 1000; i++)
	{
		assert_true(perfopt_arrivals_next(&a, NULL, &t));
		assert_true(t >= last);
		last = t;
	}
	assert_true(perfopt_arrivals_restart(&a, PERFOPT_ARRIVALS_MAX_NS / 2, NAN));
	assert_false(perfopt_arrivals_next(&a, NULL, &t));
	assert_false(perfopt_arrivals_restart(&a, PERFOPT_ARRIVALS_MAX_NS, 1));
}

/* Any plan: in order, within it, and as many as are expected. */
static void
any_plan_is_kept(void **state)
{
	(void) state;
	perfopt_xoroshiro_seed(&generator, 3);
	for (int round = 0; round < 2000; round++)
	{
		double rate = exp(perfopt_draw_double(&prng) * 16 - 6);
		int64_t length[3];
		PerfoptArrivals a;
		double total;
		int n;

		for (int i = 0; i < 3; i++)
			length[i] = perfopt_draw_int(&prng, 0, 3) == 0
							? 0
							: (int64_t) (perfopt_draw_double(&prng) * 1e12 / (rate + 1));
		a = even(rate, length[0], length[1], length[2]);
		total = perfopt_arrivals_expected(&a, INT64_MAX);
		n = take_all(&a, times);
		assert_true(fabs(n - total) <= 0.5 + 1e-9);
		for (int i = 0; i < n; i++)
		{
			assert_true(times[i] >= 0 && times[i] <= length[0] + length[1] + length[2]);

			/* Within the rounding to 1 ns, and that of L. */
			assert_true(fabs(perfopt_arrivals_expected(&a, times[i]) - (i + 0.5)) <
						rate * 0.6e-9 + 1e-9);
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(even_ones_have_equal_distances),
		cmocka_unit_test(there_is_no_drift),
		cmocka_unit_test(uneven_rates_are_rounded_only),
		cmocka_unit_test(ramps_are_inverted),
		cmocka_unit_test(what_is_expected_is_what_comes),
		cmocka_unit_test(workers_share_the_even_ones),
		cmocka_unit_test(a_restart_changes_the_rate),
		cmocka_unit_test(a_restart_ends_the_ramp_up),
		cmocka_unit_test(a_restart_has_its_time),
		cmocka_unit_test(poisson_ones_are_random),
		cmocka_unit_test(poisson_ones_restart),
		cmocka_unit_test(nonsense_does_no_harm),
		cmocka_unit_test(any_plan_is_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
