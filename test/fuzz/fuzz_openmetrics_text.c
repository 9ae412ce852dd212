/*
 * fuzz_openmetrics_text.c
 *	  Any bytes as an exposition: the first one chooses the format, the others are the text.
 *
 * Beside what the sanitizers see, all that openmetrics_text.h promises of a sample is checked, since
 * what it promises is what keeps bad text from the database.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "collect/openmetrics_text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check(int promise)
{
	if (!promise)
		abort();
}

/* By decoding, unlike what is tested. */
static void
check_utf8(const char *text)
{
	const unsigned char *p = (const unsigned char *) text;

	while (*p != '\0')
	{
		int more = *p < 0x80 ? 0 : *p < 0xE0 ? 1 : *p < 0xF0 ? 2 : 3;
		uint32_t c = more == 0 ? *p : *p & (0x3F >> more);

		check(*p < 0x80 || (*p >= 0xC0 && *p < 0xF8));
		p++;
		for (int i = 0; i < more; i++, p++)
		{
			check((*p & 0xC0) == 0x80);
			c = c << 6 | (*p & 0x3F);
		}
		check(more == 0 || c >= (more == 1 ? 0x80u : more == 2 ? 0x800u : 0x10000u));
		check(c <= 0x10FFFF && (c < 0xD800 || c > 0xDFFF));
	}
}

static void
check_name(const char *name, const char *others)
{
	check(name[0] != '\0' && !(name[0] >= '0' && name[0] <= '9'));
	check(strlen(name) <= PERFOPT_OPENMETRICS_MAX_NAME);
	for (const char *p = name; *p != '\0'; p++)
		check((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9') ||
			  strchr(others, *p) != NULL);
}

static void
check_sample(void *arg, const PerfoptOpenmetricsSample *sample)
{
	++*(int *) arg;
	check_name(sample->name, "_:");
	check(sample->nlabels >= 0 && sample->nlabels <= PERFOPT_OPENMETRICS_MAX_LABELS);
	for (int i = 0; i < sample->nlabels; i++)
	{
		check_name(sample->labels[i].name, "_");
		check(sample->labels[i].value[0] != '\0');
		check(strlen(sample->labels[i].value) <= PERFOPT_OPENMETRICS_MAX_VALUE);
		check_utf8(sample->labels[i].value);
		for (int j = 0; j < i; j++)
			check(strcmp(sample->labels[i].name, sample->labels[j].name) != 0);
	}
	check(strlen(sample->suffix) < strlen(sample->name));
	check_utf8(sample->help);
	check_utf8(sample->unit);
	if (sample->has_timestamp)
		check(sample->timestamp - sample->timestamp == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char error[PERFOPT_OPENMETRICS_ERROR_BYTES] = "";
	int samples = 0;
	char *text;

	if (size == 0)
		return 0;
	text = malloc(size);
	check(text != NULL);
	memcpy(text, data + 1, size - 1);
	if (!perfopt_openmetrics_parse(text, size - 1,
								   data[0] % 2 ? PERFOPT_OPENMETRICS_1_0
											   : PERFOPT_OPENMETRICS_TEXT_0_0_4,
								   100, check_sample, &samples, error))
	{
		check(strncmp(error, "line ", 5) == 0);
		check_utf8(error);
	}
	check(samples <= 100);
	free(text);
	return 0;
}
