/*
 * text.h
 *	  A text that grows as it is written. Without memory the program ends: it holds nothing that a
 *	  restart would lose.
 */
#ifndef PERFOPT_TEXT_H
#define PERFOPT_TEXT_H

#include <stddef.h>

typedef struct PerfoptText
{
	char *data; /* ends with a zero byte once anything was appended; freed by the owner */
	size_t length;
	size_t room;
} PerfoptText;

extern void *perfopt_allocate(size_t size); /* zeroed */
extern char *perfopt_copy(const char *text);

extern void perfopt_text_add(PerfoptText *text, const char *bytes, size_t length);
extern void perfopt_text_put(PerfoptText *text, const char *string);
extern void perfopt_text_format(PerfoptText *text, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* A JSON string with its quotes, of valid UTF-8. */
extern void perfopt_text_json(PerfoptText *text, const char *string);

extern void perfopt_text_free(PerfoptText *text);

#endif
