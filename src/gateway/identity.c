/*
 * identity.c
 *	  Who a request comes from.
 */
#include "gateway/identity.h"

#include <string.h>
#include <strings.h>

#include "gateway/members.h"

static int
sextet(char c)
{
	return c >= 'A' && c <= 'Z'   ? c - 'A'
		   : c >= 'a' && c <= 'z' ? c - 'a' + 26
		   : c >= '0' && c <= '9' ? c - '0' + 52
		   : c == '+'             ? 62
		   : c == '/'             ? 63
								  : -1;
}

/* Base64 (RFC 4648) into room for `size` bytes; the number of bytes, or -1. */
static int
decode_base64(const char *text, char *out, int size)
{
	unsigned bits = 0;
	int nbits = 0;
	int length = 0;
	size_t n = strcspn(text, "=");

	if (strlen(text) % 4 != 0 || strspn(text + n, "=") != strlen(text + n) || strlen(text + n) > 2)
		return -1;
	for (size_t i = 0; i < n; i++)
	{
		int value = sextet(text[i]);

		if (value < 0)
			return -1;
		bits = (bits << 6 | (unsigned) value) & 0xFFFFFF;
		nbits += 6;
		if (nbits >= 8)
		{
			if (length == size)
				return -1;
			nbits -= 8;
			out[length++] = (char) (bits >> nbits & 0xFF);
		}
	}
	return length;
}

bool
perfopt_identity_equal(const char *a, const char *b)
{
	size_t length = strlen(a);
	size_t other = strlen(b);
	unsigned char differ = length != other;

	for (size_t i = 0; i < length; i++)
		differ |= (unsigned char) (a[i] ^ b[other > 0 ? i % other : 0]);
	return differ == 0;
}

static bool
read_basic(PerfoptIdentity *identity, const char *text)
{
	char plain[2 * PERFOPT_IDENTITY_BYTES];
	int length = decode_base64(text, plain, (int) sizeof(plain) - 1);
	char *colon;

	if (length <= 0 || !perfopt_utf8_valid(plain, (size_t) length))
		return false;
	plain[length] = '\0';
	colon = strchr(plain, ':');
	if (colon == NULL || colon == plain || colon[1] == '\0')
		return false;
	*colon++ = '\0';
	if (strlen(plain) >= sizeof(identity->user) || strlen(colon) >= sizeof(identity->password))
		return false;
	memcpy(identity->user, plain, strlen(plain) + 1);
	memcpy(identity->password, colon, strlen(colon) + 1);
	return true;
}

bool
perfopt_identity_read(PerfoptIdentity *identity, const char *header, const PerfoptToken *tokens,
					  int ntokens)
{
	*identity = (PerfoptIdentity){ 0 };
	if (strncasecmp(header, "Basic ", 6) == 0)
		return read_basic(identity, header + 6 + strspn(header + 6, " "));
	if (strncasecmp(header, "Bearer ", 7) != 0)
		return false;
	header += 7 + strspn(header + 7, " ");
	/* All are looked at, so that the time says nothing of which fits. */
	for (int i = 0; i < ntokens; i++)
		if (perfopt_identity_equal(header, tokens[i].token))
			identity->token = &tokens[i];
	return identity->token != NULL;
}
