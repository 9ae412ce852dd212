/*
 * resolve.h
 *	  Looking up names without waiting for them and without threads: c-ares on the prober's loop.
 *
 * /etc/hosts, /etc/resolv.conf and the order that nsswitch.conf gives to the two are honoured; other
 * services of nsswitch.conf (mDNS, LDAP) are not.  Nothing is remembered between cycles.
 */
#ifndef PERFOPT_RESOLVE_H
#define PERFOPT_RESOLVE_H

#include <sys/socket.h>

#include "collect/loop.h"

#define PERFOPT_MAX_ADDRESSES 8

typedef struct PerfoptAddress
{
	struct sockaddr_storage socket; /* port included */
	socklen_t length;
} PerfoptAddress;

typedef struct PerfoptLookup
{
	int naddresses; /* best first, by RFC 6724; 0 means error */
	PerfoptAddress addresses[PERFOPT_MAX_ADDRESSES];
	char error[256];
	double seconds; /* 0 where there was nothing to look up */
} PerfoptLookup;

typedef void (*PerfoptLookupCallback)(const PerfoptLookup *lookup, void *arg);

/*
 * Looks up a host name or address.  The callback is called once, from the loop and never from here,
 * unless the cycle ends before; the result is in the loop's memory context and stays there.  It is no
 * task of its own: who asks has one, and a timer, and may have given up when the answer comes.
 */
extern void perfopt_resolve(PerfoptLoop *loop, const char *host, int port,
							PerfoptLookupCallback callback, void *arg);

/* Whether a host is an address rather than a name. */
extern bool perfopt_is_address(const char *host);

/* The address as a person writes it, without its port. */
extern void perfopt_address_text(const struct sockaddr *address, char *text, size_t capacity);

#endif /* PERFOPT_RESOLVE_H */
