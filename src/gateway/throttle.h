/*
 * throttle.h
 *	  How much one client address may ask for: token buckets in a table of fixed size.
 */
#ifndef PERFOPT_THROTTLE_H
#define PERFOPT_THROTTLE_H

#include <stdbool.h>

#define PERFOPT_THROTTLE_SLOTS 4096
#define PERFOPT_THROTTLE_LOGINS 10 /* failed ones, at once and in a minute */

typedef struct PerfoptThrottleSlot
{
	unsigned char address[16];
	double seen;     /* monotonic seconds; 0: free */
	double requests; /* what is left of each */
	double failures;
} PerfoptThrottleSlot;

typedef struct PerfoptThrottle
{
	double rate; /* requests a second, and as many at once; 0: no limit */
	PerfoptThrottleSlot slots[PERFOPT_THROTTLE_SLOTS];
} PerfoptThrottle;

/*
 * Takes a request of an address, an IPv6 one or an IPv4 one mapped into it. False when it has had
 * its share. Two addresses that fall into one slot take turns in it, each beginning afresh.
 */
extern bool perfopt_throttle_request(PerfoptThrottle *throttle, const unsigned char address[16],
									 double now);

/* May this address try a password? */
extern bool perfopt_throttle_may_log_in(PerfoptThrottle *throttle, const unsigned char address[16],
										double now);
extern void perfopt_throttle_login_failed(PerfoptThrottle *throttle,
										  const unsigned char address[16], double now);

#endif
