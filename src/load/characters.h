/*
 * characters.h
 *	  What a character is in scripts and expressions: the same in all, whatever the locale.
 *
 * Bytes of 0x80 and more belong to names, as in SQL, so that a name in UTF-8 is one word.
 */
#ifndef PERFOPT_CHARACTERS_H
#define PERFOPT_CHARACTERS_H

#include <stdbool.h>

static inline bool
is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v';
}

static inline bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static inline bool
is_name_start(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
		   (unsigned char) c >= 0x80;
}

static inline bool
is_name(char c)
{
	return is_name_start(c) || is_digit(c);
}

#endif
