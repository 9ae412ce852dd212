/*
 * pidfs.c
 *	  Reading the texts of /proc/PID.
 */
#include "collect/pidfs.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* Fields of stat after the name: state is the first of them, field 3 of proc(5). */
#define STAT_UTIME (14 - 3)
#define STAT_CSTIME (17 - 3)

/* Reads up to max numbers of one line; anything else ends them. */
static int
read_numbers(const char *p, double *values, int max)
{
	int n = 0;

	while (n < max)
	{
		char *end;

		while (*p == ' ')
			p++;
		if (!isdigit((unsigned char) *p))
			break;
		values[n++] = (double) strtoull(p, &end, 10);
		p = end;
	}
	return n;
}

bool
perfopt_pidfs_schedstat(const char *text, double *cpu)
{
	double values[3];

	/* The waiting time and the number of slices tell a whole line from one cut short. */
	if (read_numbers(text, values, 3) < 3)
		return false;
	*cpu = values[0] / 1e9;
	return true;
}

bool
perfopt_pidfs_stat(const char *text, double ticks_per_second, double *own, double *ended)
{
	/* The name in brackets may hold blanks and brackets itself. */
	const char *p = strrchr(text, ')');
	double values[STAT_CSTIME - STAT_UTIME + 1];

	for (int field = -1; p != NULL && field < STAT_UTIME; field++)
	{
		p = strchr(p, ' ');
		if (p != NULL)
			p++;
	}
	if (p == NULL || read_numbers(p, values, 4) < 4)
		return false;
	*own = (values[0] + values[1]) / ticks_per_second;
	*ended = (values[2] + values[3]) / ticks_per_second;
	return true;
}

bool
perfopt_pidfs_statm(const char *text, double page_bytes, double *resident, double *anon)
{
	double values[3];

	if (read_numbers(text, values, 3) < 3)
		return false;
	*resident = values[1] * page_bytes;
	*anon = values[1] > values[2] ? (values[1] - values[2]) * page_bytes : 0;
	return true;
}

/* The number after a name at the start of a line. */
static bool
named_number(const char *text, const char *name, double *value)
{
	size_t length = strlen(name);

	for (const char *line = text; line != NULL && *line != '\0';)
	{
		if (strncmp(line, name, length) == 0)
			return read_numbers(line + length, value, 1) == 1;
		line = strchr(line, '\n');
		if (line != NULL)
			line++;
	}
	return false;
}

bool
perfopt_pidfs_io(const char *text, double *read_bytes, double *written_bytes)
{
	double values[2];

	if (!named_number(text, "read_bytes:", &values[0]) ||
		!named_number(text, "write_bytes:", &values[1]))
		return false;
	*read_bytes = values[0];
	*written_bytes = values[1];
	return true;
}
