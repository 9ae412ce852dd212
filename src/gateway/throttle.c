/*
 * throttle.c
 *	  How much one client address may ask for.
 */
#include "gateway/throttle.h"

#include <stdint.h>
#include <string.h>

/* The address's slot, filled up for the time that has passed. */
static PerfoptThrottleSlot *
slot_of(PerfoptThrottle *throttle, const unsigned char address[16], double now)
{
	uint32_t hash = 2166136261u; /* FNV-1a */
	PerfoptThrottleSlot *slot;

	for (int i = 0; i < 16; i++)
		hash = (hash ^ address[i]) * 16777619u;
	slot = &throttle->slots[hash % PERFOPT_THROTTLE_SLOTS];
	if (slot->seen == 0 || memcmp(slot->address, address, 16) != 0)
	{
		memcpy(slot->address, address, 16);
		slot->requests = throttle->rate;
		slot->failures = PERFOPT_THROTTLE_LOGINS;
	}
	else if (now > slot->seen)
	{
		slot->requests += (now - slot->seen) * throttle->rate;
		slot->failures += (now - slot->seen) * PERFOPT_THROTTLE_LOGINS / 60;
		if (slot->requests > throttle->rate)
			slot->requests = throttle->rate;
		if (slot->failures > PERFOPT_THROTTLE_LOGINS)
			slot->failures = PERFOPT_THROTTLE_LOGINS;
	}
	slot->seen = now;
	return slot;
}

bool
perfopt_throttle_request(PerfoptThrottle *throttle, const unsigned char address[16], double now)
{
	PerfoptThrottleSlot *slot = slot_of(throttle, address, now);

	if (throttle->rate <= 0)
		return true;
	if (slot->requests < 1)
		return false;
	slot->requests -= 1;
	return true;
}

bool
perfopt_throttle_may_log_in(PerfoptThrottle *throttle, const unsigned char address[16], double now)
{
	return slot_of(throttle, address, now)->failures >= 1;
}

void
perfopt_throttle_login_failed(PerfoptThrottle *throttle, const unsigned char address[16],
							  double now)
{
	PerfoptThrottleSlot *slot = slot_of(throttle, address, now);

	slot->failures = slot->failures >= 1 ? slot->failures - 1 : 0;
}
