/*
 * test_anomaly.c
 *	  What the detector finds and what it keeps quiet about, on series whose truth is known.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "math/anomaly.h"
#include "prng.h"

#define DAY 288
#define MOST (42 * DAY)
#define TWO_PI 6.283185307179586

static double series[MOST];
static PerfoptAnomalyScore score[MOST];
static union
{
	double align;
	unsigned char bytes[PERFOPT_ANOMALY_MOST_BYTES];
} memory, copy;

/* Days of 288 steps, from a quiet night to a busy noon. */
static void
day_and_night(int n, double noise, uint64_t seed)
{
	for (int i = 0; i < n; i++)
		series[i] = (1000 - 600 * cos(TWO_PI * i / DAY)) * (1 + noise * prng_normal(&seed));
}

static void
level(int n, double mean, double noise, uint64_t seed)
{
	for (int i = 0; i < n; i++)
		series[i] = mean + noise * prng_normal(&seed);
}

static void
run(int season, int n)
{
	assert_true(perfopt_anomaly_init(memory.bytes, sizeof memory, season, 7 * season, 0));
	perfopt_anomaly_scores(memory.bytes, series, n, score);
}

/* How many of these values are anomalies. */
static int
alarms(int from, int to)
{
	int count = 0;

	for (int i = from; i < to; i++)
	{
		assert_true(score[i].score >= 0 && score[i].score <= 1);
		count += score[i].score >= PERFOPT_ANOMALY_THRESHOLD;
	}
	return count;
}

static int
first_alarm(int from, int to)
{
	for (int i = from; i < to; i++)
		if (score[i].score >= PERFOPT_ANOMALY_THRESHOLD)
			return i;
	return -1;
}

/* Seven years of values; noise in proportion to the level is what may, once, go beyond. */
static void
weeks_of_noise_are_quiet(void **state)
{
	int bad = 0;

	(void) state;
	for (uint64_t seed = 1; seed <= 20; seed++)
	{
		day_and_night(MOST, 0.005 * (double) seed, seed);
		run(DAY, MOST);
		bad += alarms(0, MOST);
		level(MOST, 100, 5, 100 + seed);
		run(DAY, MOST);
		bad += alarms(0, MOST);
		run(0, MOST);
		bad += alarms(0, MOST);
	}
	assert_true(bad <= 1);
}

static void
spike_is_found(void **state)
{
	(void) state;
	for (uint64_t seed = 1; seed <= 20; seed++)
	{
		int at = 20 * DAY + (int) seed * 13;

		day_and_night(MOST, 0.05, seed);
		series[at] = 4000;
		run(DAY, MOST);
		assert_int_equal(first_alarm(0, MOST), at);
		assert_int_equal(alarms(0, at + 5 * DAY), 1);
		assert_int_equal(score[at].kind, PERFOPT_ANOMALY_SPIKE);
		assert_true(fabs(score[at].expected - (1000 - 600 * cos(TWO_PI * at / DAY))) < 150);
	}
}

/* At night what is usual at noon is not. */
static void
what_is_usual_at_another_time_is_found(void **state)
{
	int later = 0;

	(void) state;
	for (uint64_t seed = 1; seed <= 20; seed++)
	{
		int at = 20 * DAY + (int) seed - 10;

		day_and_night(MOST, 0.03, seed);
		for (int i = at; i < at + 12; i++)
			series[i] = 1400;
		run(DAY, MOST);
		assert_in_range(first_alarm(0, MOST), at, at + 11);
		later += alarms(at + 12, MOST);
	}
	assert_true(later <= 1);
}

/* A job that runs each night, and at the weekend another one. */
static void
what_comes_each_day_or_week_is_none(void **state)
{
	(void) state;
	for (uint64_t seed = 1; seed <= 20; seed++)
	{
		uint64_t size = seed + 30;

		level(MOST, 100, 5, seed);
		for (int i = 0; i < MOST; i++)
		{
			if (i % DAY >= 30 && i % DAY < 40)
				series[i] += 1000 * (1 + 0.03 * prng_normal(&size));
			if (i % (7 * DAY) >= 6 * DAY + 100 && i % (7 * DAY) < 6 * DAY + 120)
				series[i] += 500 * (1 + 0.03 * prng_normal(&size));
		}
		run(DAY, MOST);
		assert_true(alarms(2 * DAY, MOST) <= 2);
		assert_int_equal(alarms(21 * DAY, MOST), 0);
	}
}

/* Values higher than ever may follow for some hours; from the next day on the new level is known. */
static void
shift_is_found_and_learnt(void **state)
{
	int once = 0;

	(void) state;
	for (uint64_t seed = 1; seed <= 20; seed++)
	{
		int at = 15 * DAY + (int) seed * 17;

		/* by four standard deviations: no single value is far off */
		level(MOST, 100, 5, seed);
		for (int i = at; i < MOST; i++)
			series[i] += 20;
		run(DAY, MOST);
		assert_in_range(first_alarm(0, MOST), at, at + PERFOPT_ANOMALY_RECENT);
		assert_true(alarms(0, at + DAY) <= 2);
		assert_int_equal(alarms(at + DAY, MOST), 0);
		once += alarms(0, MOST) == 1;
	}
	assert_true(once >= 14);
}

static void
flat_line_is_found(void **state)
{
	(void) state;
	for (uint64_t seed = 1; seed <= 20; seed++)
	{
		int at = 15 * DAY + (int) seed * 17;

		level(MOST, 100, 5, seed);
		for (int i = at; i < at + DAY; i++)
			series[i] = 100;
		run(DAY, MOST);
		assert_in_range(first_alarm(0, MOST), at, at + 36);
		assert_true(score[first_alarm(0, MOST)].kind >= PERFOPT_ANOMALY_SPREAD);
		/* that it moves again may be news as well */
		assert_true(alarms(0, MOST) <= 2);
	}
	/* an outage of a day does not hide the next one */
	level(MOST, 100, 5, 78);
	for (int i = 0; i < DAY; i++)
		series[15 * DAY + i] = series[30 * DAY + i] = 100;
	run(DAY, MOST);
	assert_true(alarms(15 * DAY, 16 * DAY) > 0);
	assert_true(alarms(30 * DAY, 31 * DAY) > 0);
	/* where every night is silent, silence is none */
	day_and_night(MOST, 0.05, 77);
	for (int i = 0; i < MOST; i++)
		if (i % DAY < 72)
			series[i] = 0;
	run(DAY, MOST);
	assert_int_equal(alarms(4 * DAY, MOST), 0);
}

static void
change_of_variance_is_found(void **state)
{
	(void) state;
	for (uint64_t seed = 1; seed <= 20; seed++)
	{
		int at = 15 * DAY + (int) seed * 17;
		uint64_t more = seed + 50;

		level(MOST, 100, 5, seed);
		for (int i = at; i < MOST; i++)
			series[i] += 20 * prng_normal(&more);
		run(DAY, MOST);
		assert_in_range(first_alarm(0, MOST), at, at + 2 * PERFOPT_ANOMALY_RECENT);
		/* until the new spread is known */
		assert_true(alarms(0, MOST) <= 5);
		assert_int_equal(alarms(at + 5 * DAY, MOST), 0);
	}
}

static void
dust_never_alarms(void **state)
{
	uint64_t seed = 9;

	(void) state;
	/* on a level: rounding, and a thousandth */
	for (int i = 0; i < MOST; i++)
		series[i] = 1000 + 1e-9 * prng_normal(&seed) + (i % 1000 == 999 ? 0.5 : 0);
	run(DAY, MOST);
	assert_int_equal(alarms(0, MOST), 0);
	/* at zero only the caller knows what is dust */
	for (int i = 0; i < MOST; i++)
		series[i] = i % 1000 == 999 ? 0.5 : 0;
	assert_true(perfopt_anomaly_init(memory.bytes, sizeof memory, DAY, 7 * DAY, 1));
	perfopt_anomaly_scores(memory.bytes, series, MOST, score);
	assert_int_equal(alarms(0, MOST), 0);
	series[MOST - 1] = 20;
	assert_true(perfopt_anomaly_init(memory.bytes, sizeof memory, DAY, 7 * DAY, 1));
	perfopt_anomaly_scores(memory.bytes, series, MOST, score);
	assert_int_equal(first_alarm(0, MOST), MOST - 1);
	/* a constant, for ever */
	level(MOST, 7, 0, 1);
	run(DAY, MOST);
	assert_int_equal(alarms(0, MOST), 0);
	assert_true(score[MOST - 1].expected == 7);
}

static void
gaps_change_nothing(void **state)
{
	uint64_t seed = 4;

	(void) state;
	day_and_night(MOST, 0.05, 3);
	for (int i = 0; i < MOST; i++)
		if (prng_uniform(&seed) < 0.1 || (i > 10 * DAY && i < 12 * DAY + 77))
			series[i] = i % 2 ? NAN : INFINITY;
	series[20 * DAY] = 4000;
	run(DAY, MOST);
	for (int i = 0; i < MOST; i++)
		if (!isfinite(series[i]))
			assert_true(score[i].score == 0);
	assert_int_equal(first_alarm(0, MOST), 20 * DAY);
	assert_int_equal(alarms(0, MOST), 1);
	for (int i = 0; i < MOST; i++)
		series[i] = NAN;
	run(DAY, MOST);
	assert_int_equal(alarms(0, MOST), 0);
	assert_true(isnan(score[MOST - 1].expected));
}

static void
first_values_never_alarm(void **state)
{
	(void) state;
	for (uint64_t seed = 1; seed <= 20; seed++)
	{
		level(MOST, 0, 1, seed);
		for (int i = 0; i < MOST; i++)
			series[i] = series[i] > 1.5 ? 1e9 : series[i]; /* wild all the time */
		run(DAY, MOST);
		assert_int_equal(alarms(0, DAY), 0);
		run(0, MOST);
		assert_int_equal(alarms(0, PERFOPT_ANOMALY_WARM_UP), 0);
	}
	/* nor a flat line */
	level(MOST, 100, 5, 1);
	for (int i = 100; i < DAY; i++)
		series[i] = 100;
	run(DAY, MOST);
	assert_int_equal(alarms(0, DAY), 0);
}

static void
extreme_values_do_no_harm(void **state)
{
	const double wild[] = { 1.7e308, -1.7e308, 0, 5e-324, 1e200, -1e-200, 1e38, NAN, -INFINITY };
	uint64_t seed = 5;

	(void) state;
	for (int i = 0; i < MOST; i++)
		series[i] = wild[prng_next(&seed) % (sizeof wild / sizeof wild[0])];
	for (int season = 0; season <= 6000; season += 1500)
	{
		run(season, MOST);
		alarms(0, MOST);
	}
}

static void
continues_where_it_stopped(void **state)
{
	const int seasons[] = { 0, 1, 7, DAY, 2880, 2881, 10080 };

	(void) state;
	day_and_night(MOST, 0.2, 6);
	for (size_t i = 0; i < sizeof seasons / sizeof seasons[0]; i++)
	{
		size_t size = perfopt_anomaly_size(seasons[i], 7 * seasons[i]);

		assert_true(size > 0 && size <= PERFOPT_ANOMALY_MOST_BYTES);
		run(seasons[i], MOST);
		assert_true(perfopt_anomaly_init(copy.bytes, size, seasons[i], 7 * seasons[i], 0));
		for (int at = 0; at < MOST; at++)
		{
			PerfoptAnomalyScore again;

			/* as if it had been stored and read back after each thousand values */
			if (at % 1000 == 0)
			{
				perfopt_anomaly_seal(copy.bytes);
				assert_true(perfopt_anomaly_valid(copy.bytes, size));
				memcpy(memory.bytes, copy.bytes, size);
				memset(copy.bytes, 0, sizeof copy);
				memcpy(copy.bytes, memory.bytes, size);
			}
			again = perfopt_anomaly_update(copy.bytes, series[at]);
			assert_true(again.score == score[at].score && again.kind == score[at].kind);
			assert_true(again.expected == score[at].expected || (at == 0 && isnan(again.expected)));
		}
	}
}

/* Kilobytes or bytes, above zero or below: the same anomalies. */
static void
unit_and_sign_do_not_matter(void **state)
{
	static PerfoptAnomalyScore before[MOST];
	const double factor[] = { 0x1p-40, 0x1p40, -1 };

	(void) state;
	day_and_night(MOST, 0.2, 8);
	for (int i = 15 * DAY; i < 15 * DAY + 100; i++)
		series[i] += i % 2 ? 1000 : -1000;
	run(DAY, MOST);
	assert_true(alarms(0, MOST) > 0);
	memcpy(before, score, sizeof score);
	for (size_t f = 0; f < sizeof factor / sizeof factor[0]; f++)
	{
		for (int i = 0; i < MOST; i++)
			series[i] *= factor[f];
		run(DAY, MOST);
		for (int i = 0; i < MOST; i++)
			assert_true(fabs(score[i].score - before[i].score) < 1e-6);
		for (int i = 0; i < MOST; i++)
			series[i] /= factor[f];
	}
}

/* A score depends on nothing that comes later. */
static void
never_looks_ahead(void **state)
{
	static PerfoptAnomalyScore before[MOST];
	const int n = 20 * DAY;

	(void) state;
	day_and_night(MOST, 0.2, 8);
	run(DAY, MOST);
	memcpy(before, score, sizeof score);
	for (int i = n; i < MOST; i++)
		series[i] = 1e6 * (i % 3);
	run(DAY, MOST);
	for (int i = 0; i < n; i++)
		assert_true(score[i].score == before[i].score && score[i].kind == before[i].kind);
}

static void
other_bytes_are_refused(void **state)
{
	size_t size = perfopt_anomaly_size(DAY, 7 * DAY);

	(void) state;
	day_and_night(MOST, 0.05, 8);
	run(DAY, 1000);
	assert_false(perfopt_anomaly_valid(memory.bytes, size)); /* not sealed */
	perfopt_anomaly_seal(memory.bytes);
	assert_true(perfopt_anomaly_valid(memory.bytes, size));
	assert_false(perfopt_anomaly_valid(memory.bytes, size - 1));
	assert_false(perfopt_anomaly_valid(memory.bytes, size + 1));
	assert_false(perfopt_anomaly_valid(memory.bytes, 3));
	assert_false(perfopt_anomaly_valid(memory.bytes, 0));
	for (size_t i = 0; i < size; i++)
	{
		memory.bytes[i] ^= (unsigned char) (1 << i % 8);
		assert_false(perfopt_anomaly_valid(memory.bytes, size));
		memory.bytes[i] ^= (unsigned char) (1 << i % 8);
	}
	memset(memory.bytes, 0, sizeof memory);
	assert_false(perfopt_anomaly_valid(memory.bytes, size));
	memset(memory.bytes, 0xff, sizeof memory);
	assert_false(perfopt_anomaly_valid(memory.bytes, size));

	assert_false(perfopt_anomaly_init(memory.bytes, size - 1, DAY, 7 * DAY, 0));
	assert_false(perfopt_anomaly_init(memory.bytes, sizeof memory, -1, 0, 0));
	assert_false(perfopt_anomaly_init(memory.bytes, sizeof memory, 0, DAY, 0));
	assert_false(perfopt_anomaly_init(memory.bytes, sizeof memory, DAY, DAY, 0));
	assert_false(perfopt_anomaly_init(memory.bytes, sizeof memory, DAY, -1, 0));
	assert_false(perfopt_anomaly_init(memory.bytes, sizeof memory, DAY, 0, -1));
	assert_false(perfopt_anomaly_init(memory.bytes, sizeof memory, DAY, 0, NAN));
	assert_true(perfopt_anomaly_init(memory.bytes, sizeof memory, 1, 2147483647, 0));
	assert_int_equal(perfopt_anomaly_size(-1, 0), 0);
	assert_true(perfopt_anomaly_size(2147483646, 2147483647) <= PERFOPT_ANOMALY_MOST_BYTES);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(weeks_of_noise_are_quiet),
		cmocka_unit_test(spike_is_found),
		cmocka_unit_test(what_is_usual_at_another_time_is_found),
		cmocka_unit_test(what_comes_each_day_or_week_is_none),
		cmocka_unit_test(shift_is_found_and_learnt),
		cmocka_unit_test(flat_line_is_found),
		cmocka_unit_test(change_of_variance_is_found),
		cmocka_unit_test(dust_never_alarms),
		cmocka_unit_test(gaps_change_nothing),
		cmocka_unit_test(first_values_never_alarm),
		cmocka_unit_test(extreme_values_do_no_harm),
		cmocka_unit_test(continues_where_it_stopped),
		cmocka_unit_test(unit_and_sign_do_not_matter),
		cmocka_unit_test(never_looks_ahead),
		cmocka_unit_test(other_bytes_are_refused),
	};

	return cmocka_run_group_tests_name("anomaly", tests, NULL, NULL);
}
