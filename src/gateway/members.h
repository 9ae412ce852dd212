/*
 * members.h
 *	  The members of a JSON object (RFC 8259), without building anything of what is inside them: the
 *	  server's own jsonb does that.
 *
 * No PostgreSQL here and no allocation: the text is cut up and unescaped in place.
 */
#ifndef PERFOPT_MEMBERS_H
#define PERFOPT_MEMBERS_H

#include <stdbool.h>
#include <stddef.h>

#define PERFOPT_MEMBERS_MAX_DEPTH 32

typedef enum PerfoptJsonKind
{
	PERFOPT_JSON_NULL,
	PERFOPT_JSON_STRING, /* text is unescaped */
	PERFOPT_JSON_NUMBER,
	PERFOPT_JSON_BOOLEAN,
	PERFOPT_JSON_OBJECT, /* of this and the following, text is as it was sent */
	PERFOPT_JSON_ARRAY
} PerfoptJsonKind;

/* Called with each member; name and text end with a zero byte. Returning false ends the reading. */
typedef bool (*PerfoptMember)(void *arg, const char *name, PerfoptJsonKind kind, const char *text);

/*
 * Reads an object of `length` bytes; text[length] must be writable; `member` may be NULL. False, and what is wrong in
 * *error (a constant), when it is not one JSON object in UTF-8, a string contains U+0000, or it is
 * nested deeper than PERFOPT_MEMBERS_MAX_DEPTH; or when `member` said so, with *error NULL.
 */
extern bool perfopt_members_read(char *text, size_t length, PerfoptMember member, void *arg,
								 const char **error);

/* Is this UTF-8 as RFC 3629 has it, without a zero byte? */
extern bool perfopt_utf8_valid(const char *text, size_t length);

#endif
