/*
 * address.c
 *	  Which addresses the prober may connect to.
 */
#include "collect/address.h"

#include <netinet/in.h>
#include <stddef.h>
#include <string.h>

#define MAX_BYTES 16

typedef struct Block
{
	unsigned char bytes[MAX_BYTES];
	int bits;
	PerfoptAddressClass class;
} Block;

/* The first one that fits decides; what fits none is public. */
static const Block blocks4[] = {
	{ { 0 }, 8, PERFOPT_ADDRESS_NEVER },
	{ { 169, 254 }, 16, PERFOPT_ADDRESS_NEVER },
	{ { 100, 100, 100, 200 }, 32, PERFOPT_ADDRESS_NEVER }, /* metadata of Alibaba Cloud */
	{ { 192, 0, 0, 192 }, 32, PERFOPT_ADDRESS_NEVER },     /* metadata of Oracle Cloud */
	{ { 168, 63, 129, 16 }, 32, PERFOPT_ADDRESS_NEVER },   /* the host's services in Azure */
	{ { 224 }, 3, PERFOPT_ADDRESS_NEVER },                 /* multicast, reserved, broadcast */
	{ { 127 }, 8, PERFOPT_ADDRESS_PRIVATE },
	{ { 10 }, 8, PERFOPT_ADDRESS_PRIVATE },
	{ { 172, 16 }, 12, PERFOPT_ADDRESS_PRIVATE },
	{ { 192, 168 }, 16, PERFOPT_ADDRESS_PRIVATE },
	{ { 100, 64 }, 10, PERFOPT_ADDRESS_PRIVATE },
};

static const Block blocks6[] = {
	{ { 0 }, 128, PERFOPT_ADDRESS_NEVER },
	{ { [15] = 1 }, 128, PERFOPT_ADDRESS_PRIVATE },
	{ { 0xfe, 0x80 }, 10, PERFOPT_ADDRESS_NEVER },
	{ { 0xff }, 8, PERFOPT_ADDRESS_NEVER },
	/* fd00:ec2::/32 and fd20:ce::254: metadata and other services of Amazon's cloud, Google's metadata */
	{ { 0xfd, 0x00, 0x0e, 0xc2 }, 32, PERFOPT_ADDRESS_NEVER },
	{ { 0xfd, 0x20, 0x00, 0xce, [14] = 0x02, 0x54 }, 128, PERFOPT_ADDRESS_NEVER },
	{ { 0xfc }, 7, PERFOPT_ADDRESS_PRIVATE },
	{ { 0xfe, 0xc0 }, 10, PERFOPT_ADDRESS_PRIVATE }, /* site-local, of old */
};

/* IPv6 addresses that carry an IPv4 address, and where in them it is. */
typedef struct Carrier
{
	unsigned char bytes[MAX_BYTES];
	int bits;
	int offset;
} Carrier;

static const Carrier carriers[] = {
	{ { [10] = 0xff, 0xff }, 96, 12 },         /* mapped: ::ffff:0:0/96 */
	{ { 0 }, 96, 12 },                         /* compatible: ::/96 */
	{ { 0, 0x64, 0xff, 0x9b }, 96, 12 },       /* NAT64: 64:ff9b::/96 */
	{ { 0, 0x64, 0xff, 0x9b, 0, 1 }, 48, 12 }, /* NAT64 of one's own: 64:ff9b:1::/48, as /96 */
	{ { 0x20, 0x02 }, 16, 2 },                 /* 6to4: 2002::/16 */
};

static bool
has_prefix(const unsigned char *address, const unsigned char *prefix, int bits)
{
	int whole = bits / 8;
	int rest = bits % 8;

	if (memcmp(address, prefix, whole) != 0)
		return false;
	return rest == 0 || ((address[whole] ^ prefix[whole]) >> (8 - rest)) == 0;
}

static PerfoptAddressClass
class_in(const Block *blocks, size_t nblocks, const unsigned char *address)
{
	for (size_t i = 0; i < nblocks; i++)
	{
		if (has_prefix(address, blocks[i].bytes, blocks[i].bits))
			return blocks[i].class;
	}
	return PERFOPT_ADDRESS_PUBLIC;
}

static PerfoptAddressClass
class4(const unsigned char *address)
{
	return class_in(blocks4, sizeof(blocks4) / sizeof(blocks4[0]), address);
}

static PerfoptAddressClass
class6(const unsigned char *address)
{
	PerfoptAddressClass class = class_in(blocks6, sizeof(blocks6) / sizeof(blocks6[0]), address);

	if (class != PERFOPT_ADDRESS_PUBLIC)
		return class;
	for (size_t i = 0; i < sizeof(carriers) / sizeof(carriers[0]); i++)
	{
		if (has_prefix(address, carriers[i].bytes, carriers[i].bits))
			return class4(address + carriers[i].offset);
	}
	return PERFOPT_ADDRESS_PUBLIC;
}

PerfoptAddressClass
perfopt_address_class(const struct sockaddr *address)
{
	/* Copied: who has the address in a buffer need not have aligned it. */
	switch (address->sa_family)
	{
		case AF_UNIX:
			return PERFOPT_ADDRESS_PRIVATE;
		case AF_INET:
		{
			unsigned char bytes[4];

			memcpy(bytes, (const char *) address + offsetof(struct sockaddr_in, sin_addr),
				   sizeof(bytes));
			return class4(bytes);
		}
		case AF_INET6:
		{
			unsigned char bytes[MAX_BYTES];

			memcpy(bytes, (const char *) address + offsetof(struct sockaddr_in6, sin6_addr),
				   sizeof(bytes));
			return class6(bytes);
		}
		default:
			return PERFOPT_ADDRESS_NEVER;
	}
}

const char *
perfopt_address_refusal(const struct sockaddr *address, bool allow_private)
{
	switch (perfopt_address_class(address))
	{
		case PERFOPT_ADDRESS_NEVER:
			return "is never allowed: link-local, a cloud's metadata, or no single host";
		case PERFOPT_ADDRESS_PRIVATE:
			return allow_private ? NULL : "is private, and perfopt.allow_private_targets is off";
		default:
			return NULL;
	}
}
