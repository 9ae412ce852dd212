/*
 * counts.c
 *	  The sampler's table of counts: open addressing with linear probing, at most half full.
 */
#include "sampler/counts.h"

#include <string.h>

#define PLACES (2 * PERFOPT_SAMPLER_MAX_KEYS)

_Static_assert((PLACES & (PLACES - 1)) == 0, "a place is found by masking");
_Static_assert(PERFOPT_SAMPLER_MAX_KEYS < UINT16_MAX, "a place holds 1 + position");

/* Two rounds of the finalizer of splitmix64 (Steele, Lea, Flood, OOPSLA 2014) over the whole key. */
static uint32_t
hash_key(const PerfoptSessionKey *key)
{
	uint64_t h = key->query_id + (((uint64_t) key->wait_event_info << 32) | key->operation);

	h = (h ^ (h >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
	h ^= ((uint64_t) key->role << 32) | key->database;
	h = (h ^ (h >> 27)) * UINT64_C(0x94D049BB133111EB);
	return (uint32_t) (h >> 32);
}

static bool
same_key(const PerfoptSessionKey *a, const PerfoptSessionKey *b)
{
	return a->query_id == b->query_id && a->wait_event_info == b->wait_event_info &&
		   a->operation == b->operation && a->role == b->role && a->database == b->database;
}

bool
perfopt_counts_add(PerfoptCountTable *table, const PerfoptSessionKey *key)
{
	uint32_t at = hash_key(key) & (PLACES - 1);
	PerfoptSessionCount *count;

	for (; table->place[at] != 0; at = (at + 1) & (PLACES - 1))
	{
		count = &table->counts[table->place[at] - 1];
		if (same_key(&count->key, key))
		{
			count->n++;
			return true;
		}
	}
	if (table->ncounts >= PERFOPT_SAMPLER_MAX_KEYS)
		return false;
	count = &table->counts[table->ncounts++];
	count->key = *key;
	count->n = 1;
	table->place[at] = (uint16_t) table->ncounts;
	return true;
}

void
perfopt_counts_clear(PerfoptCountTable *table)
{
	table->ncounts = 0;
	memset(table->place, 0, sizeof(table->place));
}
