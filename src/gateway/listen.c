/*
 * listen.c
 *	  Addresses.
 */
#include "gateway/listen.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void
perfopt_listen_read(const char *text, struct sockaddr_storage *address)
{
	struct addrinfo hints = { .ai_family = AF_UNSPEC,
							  .ai_socktype = SOCK_STREAM,
							  .ai_flags = AI_PASSIVE | AI_NUMERICSERV };
	struct addrinfo *found = NULL;
	const char *colon = strrchr(text, ':');
	char host[256];
	int error = EAI_NONAME;

	if (colon != NULL && colon > text && (size_t) (colon - text) < sizeof(host))
	{
		bool bracketed = text[0] == '[' && colon[-1] == ']';

		snprintf(host, sizeof(host), "%.*s", (int) (colon - text) - 2 * bracketed,
				 text + bracketed);
		error = getaddrinfo(host, colon + 1, &hints, &found);
	}
	if (error != 0)
	{
		fprintf(stderr, "perfopt-gateway: cannot listen on \"%s\": it must be ADDRESS:PORT\n",
				text);
		exit(2);
	}
	memcpy(address, found->ai_addr, found->ai_addrlen);
	freeaddrinfo(found);
}

void
perfopt_listen_bytes(const struct sockaddr *address, unsigned char bytes[16])
{
	memset(bytes, 0, 16);
	if (address->sa_family == AF_INET6)
		memcpy(bytes, &((const struct sockaddr_in6 *) address)->sin6_addr, 16);
	else if (address->sa_family == AF_INET)
	{
		bytes[10] = bytes[11] = 0xFF;
		memcpy(bytes + 12, &((const struct sockaddr_in *) address)->sin_addr, 4);
	}
}

bool
perfopt_listen_is_loopback(const struct sockaddr_storage *address)
{
	unsigned char bytes[16];
	static const unsigned char mapped[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF };
	static const unsigned char loopback[16] = { [15] = 1 };

	perfopt_listen_bytes((const struct sockaddr *) address, bytes);
	return memcmp(bytes, loopback, 16) == 0 ||
		   (memcmp(bytes, mapped, sizeof(mapped)) == 0 && bytes[12] == 127);
}

void
perfopt_listen_text(const struct sockaddr *address, char *text, int size)
{
	const void *bytes = address->sa_family == AF_INET6
							? (const void *) &((const struct sockaddr_in6 *) address)->sin6_addr
							: (const void *) &((const struct sockaddr_in *) address)->sin_addr;

	if (inet_ntop(address->sa_family, bytes, text, (socklen_t) size) == NULL)
		snprintf(text, (size_t) size, "?");
}
