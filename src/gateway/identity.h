/*
 * identity.h
 *	  Who a request comes from, as its Authorization header says.
 */
#ifndef PERFOPT_IDENTITY_H
#define PERFOPT_IDENTITY_H

#include <stdbool.h>
#include <stddef.h>

#define PERFOPT_IDENTITY_BYTES 512

typedef struct PerfoptToken
{
	char *token;
	char *conninfo; /* what it adds to the gateway's own */
} PerfoptToken;

typedef struct PerfoptIdentity
{
	const PerfoptToken *token; /* NULL: user and password are a role's own */
	char user[PERFOPT_IDENTITY_BYTES];
	char password[PERFOPT_IDENTITY_BYTES];
} PerfoptIdentity;

/*
 * Reads "Basic ..." (RFC 7617, UTF-8) or "Bearer ..." (RFC 6750). False when it is neither, is
 * malformed, has an empty user or password, or a token that isn't known.
 */
extern bool perfopt_identity_read(PerfoptIdentity *identity, const char *header,
								  const PerfoptToken *tokens, int ntokens);

/* Whether two texts are equal, in a time that does not tell where they differ. */
extern bool perfopt_identity_equal(const char *a, const char *b);

#endif
