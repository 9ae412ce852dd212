/*
 * members.c
 *	  The members of a JSON object.
 */
#include "gateway/members.h"

#include <stdint.h>
#include <string.h>

typedef struct Reader
{
	char *p; /* the text ends with a zero byte, which no JSON contains outside of strings */
	const char *error;
} Reader;

bool
perfopt_utf8_valid(const char *text, size_t length)
{
	const unsigned char *p = (const unsigned char *) text;
	const unsigned char *end = p + length;

	while (p < end)
	{
		int more = *p < 0x80   ? 0
				   : *p < 0xC2 ? -1
				   : *p < 0xE0 ? 1
				   : *p < 0xF0 ? 2
				   : *p < 0xF5 ? 3
							   : -1;

		if (*p == '\0' || more < 0 || end - p <= more)
			return false;
		/* Overlong forms, surrogates and what lies beyond U+10FFFF. */
		if ((*p == 0xE0 && p[1] < 0xA0) || (*p == 0xED && p[1] > 0x9F) ||
			(*p == 0xF0 && p[1] < 0x90) || (*p == 0xF4 && p[1] > 0x8F))
			return false;
		for (int i = 1; i <= more; i++)
			if ((p[i] & 0xC0) != 0x80)
				return false;
		p += more + 1;
	}
	return true;
}

static bool
fail(Reader *reader, const char *error)
{
	if (reader->error == NULL)
		reader->error = error;
	return false;
}

static void
skip_blanks(Reader *reader)
{
	reader->p += strspn(reader->p, " \t\r\n");
}

static bool
hex4(Reader *reader, uint32_t *code)
{
	*code = 0;
	for (int i = 0; i < 4; i++)
	{
		char c = reader->p[i];
		int digit = c >= '0' && c <= '9'   ? c - '0'
					: c >= 'a' && c <= 'f' ? c - 'a' + 10
					: c >= 'A' && c <= 'F' ? c - 'A' + 10
										   : -1;

		if (digit < 0)
			return fail(reader, "\\u in a string needs four hexadecimal digits");
		*code = *code << 4 | (uint32_t) digit;
	}
	reader->p += 4;
	return true;
}

/* After \u: writes the character, which is never longer than its escape. */
static bool
unescape_unicode(Reader *reader, char **to)
{
	uint32_t code;
	uint32_t low;
	char *out = *to;

	if (!hex4(reader, &code))
		return false;
	if (code >= 0xD800 && code < 0xDC00 && reader->p[0] == '\\' && reader->p[1] == 'u')
	{
		reader->p += 2;
		if (!hex4(reader, &low))
			return false;
		if (low < 0xDC00 || low > 0xDFFF)
			return fail(reader, "a string has half a surrogate pair");
		code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
	}
	if (code >= 0xD800 && code <= 0xDFFF)
		return fail(reader, "a string has half a surrogate pair");
	if (code == 0)
		return fail(reader, "a string contains U+0000, which PostgreSQL's text cannot hold");
	if (code < 0x80)
		*out++ = (char) code;
	else if (code < 0x800)
		*out++ = (char) (0xC0 | code >> 6);
	else if (code < 0x10000)
	{
		*out++ = (char) (0xE0 | code >> 12);
		*out++ = (char) (0x80 | (code >> 6 & 0x3F));
	}
	else
	{
		*out++ = (char) (0xF0 | code >> 18);
		*out++ = (char) (0x80 | (code >> 12 & 0x3F));
		*out++ = (char) (0x80 | (code >> 6 & 0x3F));
	}
	if (code >= 0x80)
		*out++ = (char) (0x80 | (code & 0x3F));
	*to = out;
	return true;
}

/* A string, at its opening quote. With `to`, it is unescaped in place and ended with a zero byte. */
static bool
read_string(Reader *reader, char **to)
{
	static const char escapes[] = "\"\\/bfnrt";
	static const char escaped[] = "\"\\/\b\f\n\r\t";
	char *out = ++reader->p;
	char *begin = out;

	while (*reader->p != '"')
	{
		const char *escape;

		if ((unsigned char) *reader->p < 0x20)
			return fail(reader, *reader->p == '\0' ? "a string does not end"
												   : "a string contains a control character");
		if (*reader->p != '\\')
		{
			*out++ = *reader->p++;
			continue;
		}
		reader->p++;
		if (*reader->p == 'u')
		{
			char scratch[4];
			char *at = to != NULL ? out : scratch;

			reader->p++;
			if (!unescape_unicode(reader, &at))
				return false;
			if (to != NULL)
				out = at;
			continue;
		}
		escape = *reader->p != '\0' ? strchr(escapes, *reader->p) : NULL;
		if (escape == NULL)
			return fail(reader, "a string has an unknown escape");
		if (to != NULL)
			*out++ = escaped[escape - escapes];
		reader->p++;
	}
	reader->p++;
	if (to != NULL)
	{
		*out = '\0';
		*to = begin;
	}
	return true;
}

static bool
read_digits(Reader *reader)
{
	size_t n = strspn(reader->p, "0123456789");

	reader->p += n;
	return n > 0 || fail(reader, "a number is malformed");
}

static bool
read_number(Reader *reader)
{
	if (*reader->p == '-')
		reader->p++;
	if (*reader->p == '0' && reader->p[1] >= '0' && reader->p[1] <= '9')
		return fail(reader, "a number begins with a zero");
	if (!read_digits(reader))
		return false;
	if (*reader->p == '.')
	{
		reader->p++;
		if (!read_digits(reader))
			return false;
	}
	if (*reader->p == 'e' || *reader->p == 'E')
	{
		reader->p++;
		if (*reader->p == '+' || *reader->p == '-')
			reader->p++;
		return read_digits(reader);
	}
	return true;
}

static bool
read_word(Reader *reader, const char *word)
{
	if (strncmp(reader->p, word, strlen(word)) != 0)
		return fail(reader, "a value is malformed");
	reader->p += strlen(word);
	return true;
}

/* A string that is only skipped must stay as it is, so it is read without a place to write to. */
static bool
skip_string(Reader *reader)
{
	char *p = reader->p + 1;

	for (; *p != '"' && *p != '\0'; p++)
		if (*p == '\\' && p[1] != '\0')
			p++;
	if (*p == '\0')
		return fail(reader, "a string does not end");
	reader->p = p + 1;
	return true;
}

/*
 * Passes over an object or array. Only that brackets match is looked at: whether its inside is
 * JSON is for the server to say, who reads it.
 */
static bool
skip_nested(Reader *reader)
{
	char closing[PERFOPT_MEMBERS_MAX_DEPTH];
	int depth = 0;

	do
	{
		char c = *reader->p;

		if (c == '\0')
			return fail(reader, "an object or array does not end");
		if (c == '"')
		{
			if (!skip_string(reader))
				return false;
			continue;
		}
		if (c == '{' || c == '[')
		{
			if (depth == PERFOPT_MEMBERS_MAX_DEPTH)
				return fail(reader, "it is nested too deeply");
			closing[depth++] = c == '{' ? '}' : ']';
		}
		else if ((c == '}' || c == ']') && (depth == 0 || c != closing[--depth]))
			return fail(reader, "brackets do not match");
		reader->p++;
	} while (depth > 0);
	return true;
}

/* One value; *text is where it begins, and what follows it is at reader->p. */
static bool
read_value(Reader *reader, PerfoptJsonKind *kind, char **text)
{
	*text = reader->p;
	switch (*reader->p)
	{
		case '"':
			*kind = PERFOPT_JSON_STRING;
			return read_string(reader, text);
		case '{':
			*kind = PERFOPT_JSON_OBJECT;
			return skip_nested(reader);
		case '[':
			*kind = PERFOPT_JSON_ARRAY;
			return skip_nested(reader);
		case 't':
			*kind = PERFOPT_JSON_BOOLEAN;
			return read_word(reader, "true");
		case 'f':
			*kind = PERFOPT_JSON_BOOLEAN;
			return read_word(reader, "false");
		case 'n':
			*kind = PERFOPT_JSON_NULL;
			return read_word(reader, "null");
		default:
			*kind = PERFOPT_JSON_NUMBER;
			return read_number(reader);
	}
}

/* A member, and *more: whether a comma follows. */
static bool
read_member(Reader *reader, PerfoptMember member, void *arg, bool *more)
{
	PerfoptJsonKind kind;
	char *name;
	char *text;
	char *end;

	if (*reader->p != '"')
		return fail(reader, "a member's name must be a string");
	if (!read_string(reader, &name))
		return false;
	skip_blanks(reader);
	if (*reader->p != ':')
		return fail(reader, "a member's name must be followed by a colon");
	reader->p++;
	skip_blanks(reader);
	if (!read_value(reader, &kind, &text))
		return false;
	end = reader->p;
	skip_blanks(reader);
	if (*reader->p != ',' && *reader->p != '}')
		return fail(reader, "a member must be followed by a comma or a closing brace");
	*more = *reader->p++ == ',';
	*end = '\0';
	return member == NULL || member(arg, name, kind, text);
}

/* What follows the opening brace, up to and with the closing one. */
static bool
read_members(Reader *reader, PerfoptMember member, void *arg)
{
	bool more = true;

	skip_blanks(reader);
	if (*reader->p == '}')
	{
		reader->p++;
		return true;
	}
	while (more)
	{
		if (!read_member(reader, member, arg, &more))
			return false;
		skip_blanks(reader);
	}
	return true;
}

bool
perfopt_members_read(char *text, size_t length, PerfoptMember member, void *arg, const char **error)
{
	Reader reader = { text, NULL };
	bool done = false;

	text[length] = '\0';
	if (!perfopt_utf8_valid(text, length))
		fail(&reader, "it is not UTF-8 without zero bytes");
	else
	{
		skip_blanks(&reader);
		if (*reader.p != '{')
			fail(&reader, "it must be an object");
		else
		{
			reader.p++;
			done = read_members(&reader, member, arg);
		}
	}
	if (done)
	{
		skip_blanks(&reader);
		done = *reader.p == '\0' || fail(&reader, "something follows the object");
	}
	*error = reader.error;
	return done;
}
