/*
 * text.c
 *	  A text that grows as it is written.
 */
#include "gateway/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void
out_of_memory(void)
{
	fputs("perfopt-gateway: out of memory\n", stderr);
	exit(1);
}

void *
perfopt_allocate(size_t size)
{
	void *memory = calloc(1, size > 0 ? size : 1);

	if (memory == NULL)
		out_of_memory();
	return memory;
}

char *
perfopt_copy(const char *text)
{
	size_t size = strlen(text) + 1;

	return memcpy(perfopt_allocate(size), text, size);
}

static void
make_room(PerfoptText *text, size_t more)
{
	size_t room = text->room > 0 ? text->room : 256;

	if (text->length + more < text->room)
		return;
	while (room <= text->length + more)
		room *= 2;
	text->data = realloc(text->data, room);
	if (text->data == NULL)
		out_of_memory();
	text->room = room;
}

void
perfopt_text_add(PerfoptText *text, const char *bytes, size_t length)
{
	make_room(text, length);
	if (length > 0)
		memcpy(text->data + text->length, bytes, length);
	text->length += length;
	text->data[text->length] = '\0';
}

void
perfopt_text_put(PerfoptText *text, const char *string)
{
	perfopt_text_add(text, string, strlen(string));
}

void
perfopt_text_format(PerfoptText *text, const char *format, ...)
{
	va_list args;
	int length;

	va_start(args, format);
	length = vsnprintf(NULL, 0, format, args);
	va_end(args);
	if (length < 0)
		return;
	make_room(text, (size_t) length);
	va_start(args, format);
	vsnprintf(text->data + text->length, (size_t) length + 1, format, args);
	va_end(args);
	text->length += (size_t) length;
}

void
perfopt_text_json(PerfoptText *text, const char *string)
{
	perfopt_text_add(text, "\"", 1);
	for (const char *p = string; *p != '\0'; p++)
	{
		if (*p == '"' || *p == '\\')
			perfopt_text_format(text, "\\%c", *p);
		else if ((unsigned char) *p < 0x20)
			perfopt_text_format(text, "\\u%04x", (unsigned) *p);
		else
			perfopt_text_add(text, p, 1);
	}
	perfopt_text_add(text, "\"", 1);
}

void
perfopt_text_free(PerfoptText *text)
{
	free(text->data);
	*text = (PerfoptText){ 0 };
}
