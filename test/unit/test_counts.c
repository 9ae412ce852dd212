/*
 * test_counts.c
 *	  The sampler's table of counts: exact, bounded, and empty after clearing.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "sampler/counts.h"
#include "prng.h"

static int
make_table(void **state)
{
	*state = calloc(1, sizeof(PerfoptCountTable));
	return *state == NULL;
}

static int
free_table(void **state)
{
	free(*state);
	return 0;
}

static uint32_t
count_of(const PerfoptCountTable *table, const PerfoptSessionKey *key)
{
	for (int i = 0; i < table->ncounts; i++)
	{
		const PerfoptSessionKey *k = &table->counts[i].key;

		if (k->query_id == key->query_id && k->database == key->database && k->role == key->role &&
			k->operation == key->operation && k->wait_event_info == key->wait_event_info)
			return table->counts[i].n;
	}
	return 0;
}

static void
each_part_of_the_key_counts_apart(void **state)
{
	PerfoptCountTable *table = *state;
	PerfoptSessionKey keys[] = {
		{ 1, 2, 3, 4, 5 }, { 9, 2, 3, 4, 5 }, { 1, 9, 3, 4, 5 }, { 1, 2, 9, 4, 5 },
		{ 1, 2, 3, 9, 5 }, { 1, 2, 3, 4, 9 }, { 0, 0, 0, 0, 0 }, { 1, 3, 2, 4, 5 },
	};
	const int nkeys = sizeof(keys) / sizeof(keys[0]);

	for (int i = 0; i < nkeys; i++)
		for (int n = 0; n <= i; n++)
			assert_true(perfopt_counts_add(table, &keys[i]));
	assert_int_equal(table->ncounts, nkeys);
	for (int i = 0; i < nkeys; i++)
		assert_int_equal(count_of(table, &keys[i]), i + 1);
}

/* Keys that differ in few bits, as object ids and wait events do, must not all share a place. */
static void
counts_are_exact_in_a_full_table(void **state)
{
	PerfoptCountTable *table = *state;
	uint64_t seed = 42;
	uint32_t expected[PERFOPT_SAMPLER_MAX_KEYS] = { 0 };

	for (int i = 0; i < 20 * PERFOPT_SAMPLER_MAX_KEYS; i++)
	{
		uint32_t which = prng_next(&seed) % PERFOPT_SAMPLER_MAX_KEYS;
		PerfoptSessionKey key = { which / 16, 5, 10, 0, UINT32_C(0x05000000) + which % 16 };

		assert_true(perfopt_counts_add(table, &key));
		expected[which]++;
	}
	for (uint32_t which = 0; which < PERFOPT_SAMPLER_MAX_KEYS; which++)
	{
		PerfoptSessionKey key = { which / 16, 5, 10, 0, UINT32_C(0x05000000) + which % 16 };

		assert_int_equal(count_of(table, &key), expected[which]);
	}
}

static void
a_full_table_refuses_the_new_and_counts_the_known(void **state)
{
	PerfoptCountTable *table = *state;
	PerfoptSessionKey key = { 0 };
	PerfoptSessionKey first = { 1, 1, 1, 1, 1 };

	assert_true(perfopt_counts_add(table, &first));
	for (uint64_t i = 2; i <= PERFOPT_SAMPLER_MAX_KEYS; i++)
	{
		key.query_id = i;
		assert_true(perfopt_counts_add(table, &key));
	}
	key.query_id = 0;
	assert_false(perfopt_counts_add(table, &key));
	assert_false(perfopt_counts_add(table, &key));
	assert_int_equal(table->ncounts, PERFOPT_SAMPLER_MAX_KEYS);
	assert_int_equal(count_of(table, &key), 0);
	assert_true(perfopt_counts_add(table, &first));
	assert_int_equal(count_of(table, &first), 2);
}

static void
cleared_it_begins_afresh(void **state)
{
	PerfoptCountTable *table = *state;
	PerfoptSessionKey key = { 7, 7, 7, 7, 7 };

	for (int i = 0; i < 3; i++)
	{
		for (uint64_t q = 1; q <= PERFOPT_SAMPLER_MAX_KEYS; q++)
		{
			key.query_id = q;
			assert_true(perfopt_counts_add(table, &key));
		}
		key.query_id = 0;
		assert_false(perfopt_counts_add(table, &key));
		perfopt_counts_clear(table);
		assert_int_equal(table->ncounts, 0);
	}
	assert_true(perfopt_counts_add(table, &key));
	assert_int_equal(count_of(table, &key), 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(each_part_of_the_key_counts_apart, make_table, free_table),
		cmocka_unit_test_setup_teardown(counts_are_exact_in_a_full_table, make_table, free_table),
		cmocka_unit_test_setup_teardown(a_full_table_refuses_the_new_and_counts_the_known,
										make_table, free_table),
		cmocka_unit_test_setup_teardown(cleared_it_begins_afresh, make_table, free_table),
	};

	return cmocka_run_group_tests_name("counts", tests, NULL, NULL);
}
