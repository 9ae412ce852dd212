/*
 * counts.h
 *	  The sampler's table of counts: how often each combination was seen.  No PostgreSQL here.
 *
 * A table has a fixed size and no pointers, so it may lie in shared memory; its users see to it that
 * only one of them touches it at a time.  Counts stand side by side in the order in which they were
 * first seen, so that taking them out is one copy; a look at a server with many sessions in few states
 * touches few lines of memory.
 */
#ifndef PERFOPT_COUNTS_H
#define PERFOPT_COUNTS_H

#include <stdbool.h>
#include <stdint.h>

/* Distinct combinations that a table has room for. */
#define PERFOPT_SAMPLER_MAX_KEYS 4096

typedef struct PerfoptSessionKey
{
	uint64_t query_id; /* 0 unknown */
	uint32_t database; /* object id */
	uint32_t role;
	uint32_t operation;       /* perfopt.operation.operation_id, 0 outside load tests */
	uint32_t wait_event_info; /* as in pgstat; 0 is on CPU */
} PerfoptSessionKey;

typedef struct PerfoptSessionCount
{
	PerfoptSessionKey key;
	uint32_t n; /* times seen */
} PerfoptSessionCount;

/* All zeroes is an empty table. */
typedef struct PerfoptCountTable
{
	int ncounts;
	PerfoptSessionCount counts[PERFOPT_SAMPLER_MAX_KEYS];
	uint16_t place[2 * PERFOPT_SAMPLER_MAX_KEYS]; /* by hash: 1 + position in counts, 0 free */
} PerfoptCountTable;

/* Adds one sighting; false, and nothing changed, when a new combination finds no room. */
extern bool perfopt_counts_add(PerfoptCountTable *table, const PerfoptSessionKey *key);

extern void perfopt_counts_clear(PerfoptCountTable *table);

#endif /* PERFOPT_COUNTS_H */
