/*
 * slot.c
 *	  The turns of an A/B test: slots of time in pairs, one for each variant, in random order.
 *
 * What changes with time, such as caches and the machine's other work, is the same for both slots of a pair,
 * near enough, and chance decides which comes first.  A call counts for the slot that it began in, even
 * if it ends in the next; calls of the first part of a slot do not count, as the variant before may
 * still be at work.
 */
#include "postgres.h"

#include "common/hashfn.h"

#include "load/engine.h"
#include "load/record.h"

/* The part of a slot that does not count. */
#define LEAD_SHARE 0.1

void
load_slots_init(Engine *engine)
{
	int n = engine->config->noperations;

	engine->slot = -1;
	for (int parity = 0; parity < 2; parity++)
	{
		engine->slots[parity] = palloc0(sizeof(LoadSecond) * n);
		for (int i = 0; i < n; i++)
		{
			engine->slots[parity][i].latency = palloc(
				perfopt_histogram_size(PERFOPT_HISTOGRAM_COARSE, LOAD_MIN_EXP, LOAD_MAX_EXP));
			perfopt_histogram_init(engine->slots[parity][i].latency, PERFOPT_HISTOGRAM_COARSE,
								   LOAD_MIN_EXP, LOAD_MAX_EXP);
		}
	}
}

static int64
lead_ns(const Engine *engine)
{
	return (int64) (engine->config->slot_ns * LEAD_SHARE);
}

/* Which of the variants has this slot. */
static int
variant_of(const Engine *engine, int slot)
{
	uint64 draw = hash_bytes_uint32_extended((uint32) (slot / 2), engine->config->seed);

	return (int) ((draw ^ (uint64) slot) & 1);
}

static int
slots_in_all(const Engine *engine)
{
	return (int) (engine->config->duration_ns / engine->config->slot_ns) / 2 * 2;
}

static void
write_slot(Engine *engine, int slot)
{
	LoadSecond *counters = engine->slots[slot & 1];
	double seconds = (engine->config->slot_ns - lead_ns(engine)) / (double) LOAD_NS_PER_S;

	/* What is left of the duration after the last pair is nobody's. */
	if (slot >= slots_in_all(engine))
		return;
	load_record_slot(engine, slot / 2, variant_of(engine, slot), seconds, counters);
	for (int i = 0; i < engine->config->noperations; i++)
	{
		counters[i].calls = counters[i].errors = 0;
		perfopt_histogram_reset(counters[i].latency);
	}
}

int
load_slot_take(Engine *engine, int64 now)
{
	int64 passed = now - engine->measured_from;
	int slot = passed < 0 ? -1 : (int) (passed / engine->config->slot_ns);

	if (slot == engine->slot)
		return engine->variant;

	/* The counters of the one before the last are needed for the one that begins. */
	if (engine->slot > 0 && slot > engine->slot)
		write_slot(engine, engine->slot - 1);
	if (slot > engine->slot + 1 && engine->slot >= 0)
		write_slot(engine, engine->slot);
	engine->slot = slot;
	engine->variant = slot < 0 ? 0 : variant_of(engine, slot);
	return engine->variant;
}

void
load_slot_record(Engine *engine, const Session *session, double latency_ms)
{
	LoadSecond *counters;

	/* One that took longer than a whole slot has nowhere to go any more; its slot was written without it. */
	if (session->slot < engine->slot - 1)
		return;
	counters = &engine->slots[session->slot & 1][session->operation];
	counters->calls++;
	if (session->failed)
		counters->errors++;
	else
		perfopt_histogram_record(counters->latency, latency_ms);
}

int
load_slot_of_call(const Engine *engine, int64 now)
{
	int64 passed = now - engine->measured_from;

	if (engine->config->kind != LOAD_KIND_AB || engine->slot < 0 ||
		engine->slot >= slots_in_all(engine) ||
		passed - engine->slot * engine->config->slot_ns < lead_ns(engine))
		return -1;
	return engine->slot;
}

/* A slot that the end cut short is none. */
void
load_slots_end(Engine *engine)
{
	int64 passed = engine->now - engine->measured_from;
	int whole = Min(slots_in_all(engine), (int) (passed / engine->config->slot_ns));

	for (int slot = Max(engine->slot - 1, 0); slot <= engine->slot && slot < whole; slot++)
		write_slot(engine, slot);
}
