/*
 * address.h
 *	  Which addresses the prober may connect to.  No PostgreSQL here.
 *
 * A target is made by who may create foreign servers, and connects from where the database server
 * stands: behind the firewall, and in a cloud within reach of the service that hands out the
 * machine's credentials.  So the address that is really connected to is judged, after each look-up
 * and each redirect, and never the name.
 *
 * Never allowed: link-local addresses, where clouds keep their metadata, with the few metadata
 * addresses that lie elsewhere, and what is no single host's address (0.0.0.0/8, which leads to the
 * loopback by a detour, multicast and reserved ones).  Private: loopback, Unix sockets, RFC 1918,
 * RFC 4193 and RFC 6598.  An IPv6 address that carries an IPv4 one (mapped, compatible, NAT64 of
 * RFC 6052, 6to4 of RFC 3056) is judged by that.  Registry: RFC 6890.
 */
#ifndef PERFOPT_ADDRESS_H
#define PERFOPT_ADDRESS_H

#include <stdbool.h>
#include <sys/socket.h>

typedef enum PerfoptAddressClass
{
	PERFOPT_ADDRESS_PUBLIC,
	PERFOPT_ADDRESS_PRIVATE,
	PERFOPT_ADDRESS_NEVER
} PerfoptAddressClass;

/* An address of a family other than AF_INET, AF_INET6 and AF_UNIX is never allowed. */
extern PerfoptAddressClass perfopt_address_class(const struct sockaddr *address);

/* Why it must not be connected to, as the end of a sentence ("... is private, and ..."), or NULL. */
extern const char *perfopt_address_refusal(const struct sockaddr *address, bool allow_private);

#endif /* PERFOPT_ADDRESS_H */
