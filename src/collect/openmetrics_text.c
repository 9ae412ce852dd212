/*
 * openmetrics_text.c
 *	  Reading what applications expose: the Prometheus text format 0.0.4 and OpenMetrics 1.0.
 *
 * A line is cut out first and known to be valid UTF-8 without a NUL, so that all that follows works on
 * a string that ends.  Functions that return bool have noted the error when they return false.
 */
#include "collect/openmetrics_text.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What is shown of a word that was not understood. */
#define SHOWN_BYTES 40

typedef struct Family
{
	const char *name;
	PerfoptOpenmetricsType type;
	const char *unit;
	const char *help;
} Family;

typedef struct Parser
{
	bool strict; /* OpenMetrics: one blank where a blank is allowed, no comments, EOF */
	int max_samples;
	PerfoptOpenmetricsSink sink;
	void *arg;
	char *error;
	long line;
	int nsamples;
	bool ended;    /* "# EOF" was met */
	Family family; /* of the latest metadata lines; without a name before the first */
} Parser;

typedef struct Labels
{
	int n;
	PerfoptOpenmetricsLabel items[PERFOPT_OPENMETRICS_MAX_LABELS];
} Labels;

/* What may follow a family's name in a sample's, and what such a sample is. */
typedef struct Suffix
{
	PerfoptOpenmetricsType type;
	const char *suffix;
	PerfoptOpenmetricsPart part;
} Suffix;

static const Suffix suffixes[] = {
	{ PERFOPT_OPENMETRICS_UNKNOWN, "", PERFOPT_OPENMETRICS_LEVEL },
	{ PERFOPT_OPENMETRICS_COUNTER, "", PERFOPT_OPENMETRICS_TOTAL },
	{ PERFOPT_OPENMETRICS_COUNTER, "_total", PERFOPT_OPENMETRICS_TOTAL },
	{ PERFOPT_OPENMETRICS_COUNTER, "_created", PERFOPT_OPENMETRICS_CREATED },
	{ PERFOPT_OPENMETRICS_GAUGE, "", PERFOPT_OPENMETRICS_LEVEL },
	{ PERFOPT_OPENMETRICS_HISTOGRAM, "_bucket", PERFOPT_OPENMETRICS_TOTAL },
	{ PERFOPT_OPENMETRICS_HISTOGRAM, "_count", PERFOPT_OPENMETRICS_TOTAL },
	{ PERFOPT_OPENMETRICS_HISTOGRAM, "_sum", PERFOPT_OPENMETRICS_TOTAL },
	{ PERFOPT_OPENMETRICS_HISTOGRAM, "_created", PERFOPT_OPENMETRICS_CREATED },
	{ PERFOPT_OPENMETRICS_GAUGEHISTOGRAM, "_bucket", PERFOPT_OPENMETRICS_LEVEL },
	{ PERFOPT_OPENMETRICS_GAUGEHISTOGRAM, "_gcount", PERFOPT_OPENMETRICS_LEVEL },
	{ PERFOPT_OPENMETRICS_GAUGEHISTOGRAM, "_gsum", PERFOPT_OPENMETRICS_LEVEL },
	{ PERFOPT_OPENMETRICS_GAUGEHISTOGRAM, "_created", PERFOPT_OPENMETRICS_CREATED },
	{ PERFOPT_OPENMETRICS_SUMMARY, "", PERFOPT_OPENMETRICS_LEVEL },
	{ PERFOPT_OPENMETRICS_SUMMARY, "_count", PERFOPT_OPENMETRICS_TOTAL },
	{ PERFOPT_OPENMETRICS_SUMMARY, "_sum", PERFOPT_OPENMETRICS_TOTAL },
	{ PERFOPT_OPENMETRICS_SUMMARY, "_created", PERFOPT_OPENMETRICS_CREATED },
	{ PERFOPT_OPENMETRICS_INFO, "", PERFOPT_OPENMETRICS_LEVEL },
	{ PERFOPT_OPENMETRICS_INFO, "_info", PERFOPT_OPENMETRICS_LEVEL },
	{ PERFOPT_OPENMETRICS_STATESET, "", PERFOPT_OPENMETRICS_LEVEL },
};

#define NSUFFIXES (sizeof(suffixes) / sizeof(suffixes[0]))

PerfoptOpenmetricsFormat
perfopt_openmetrics_format(const char *content_type)
{
	static const char media_type[] = "application/openmetrics-text";

	if (content_type == NULL)
		return PERFOPT_OPENMETRICS_TEXT_0_0_4;
	while (*content_type == ' ')
		content_type++;
	for (size_t i = 0; i < sizeof(media_type) - 1; i++)
	{
		if (tolower((unsigned char) content_type[i]) != media_type[i])
			return PERFOPT_OPENMETRICS_TEXT_0_0_4;
	}
	content_type += sizeof(media_type) - 1;
	return *content_type == '\0' || *content_type == ';' || *content_type == ' '
			   ? PERFOPT_OPENMETRICS_1_0
			   : PERFOPT_OPENMETRICS_TEXT_0_0_4;
}

static bool __attribute__((format(printf, 2, 3))) fail(Parser *parser, const char *format, ...)
{
	va_list args;
	int n = snprintf(parser->error, PERFOPT_OPENMETRICS_ERROR_BYTES, "line %ld: ", parser->line);

	va_start(args, format);
	vsnprintf(parser->error + n, PERFOPT_OPENMETRICS_ERROR_BYTES - n, format, args);
	va_end(args);
	/* It goes into a log. */
	for (char *p = parser->error; *p != '\0'; p++)
	{
		if (iscntrl((unsigned char) *p))
			*p = '?';
	}
	return false;
}

/* How much of a text is shown in an error: whole characters. */
static int
shown(const char *text)
{
	size_t length = strlen(text);

	if (length > SHOWN_BYTES)
	{
		length = SHOWN_BYTES;
		while (((unsigned char) text[length] & 0xC0) == 0x80)
			length--;
	}
	return (int) length;
}

static bool
fail_at(Parser *parser, const char *problem, const char *text)
{
	if (*text == '\0')
		return fail(parser, "%s, but the line ends", problem);
	return fail(parser, "%s at \"%.*s\"", problem, shown(text), text);
}

/* Bytes of the well-formed UTF-8 character at p (Unicode 15, table 3-7); 0 where there is none. */
static int
utf8_length(const unsigned char *p, size_t left)
{
	unsigned char low = 0x80;
	unsigned char high = 0xBF;
	int length;

	if (p[0] < 0x80)
		return 1;
	if (p[0] < 0xC2 || p[0] > 0xF4)
		return 0;
	length = p[0] < 0xE0 ? 2 : p[0] < 0xF0 ? 3 : 4;
	if (left < (size_t) length)
		return 0;
	if (p[0] == 0xE0)
		low = 0xA0;
	else if (p[0] == 0xED)
		high = 0x9F;
	else if (p[0] == 0xF0)
		low = 0x90;
	else if (p[0] == 0xF4)
		high = 0x8F;
	if (p[1] < low || p[1] > high)
		return 0;
	for (int i = 2; i < length; i++)
	{
		if (p[i] < 0x80 || p[i] > 0xBF)
			return 0;
	}
	return length;
}

static bool
check_bytes(Parser *parser, const char *line, size_t length)
{
	size_t i = 0;

	while (i < length)
	{
		int n = utf8_length((const unsigned char *) line + i, length - i);

		if (n == 0)
			return fail(parser, "byte %zu (0x%02x) is not valid UTF-8", i + 1,
						(unsigned char) line[i]);
		if (line[i] == '\0')
			return fail(parser, "byte %zu is a NUL", i + 1);
		i += n;
	}
	return true;
}

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* Passes over blanks: any number in 0.0.4; in OpenMetrics, where they are not `required`, none. */
static bool
pass_blanks(Parser *parser, char **p, bool required)
{
	if (parser->strict)
	{
		if (required && **p != ' ')
			return fail_at(parser, "expected a blank", *p);
		*p += required;
		return true;
	}
	if (required && !is_blank(**p))
		return fail_at(parser, "expected a blank", *p);
	while (is_blank(**p))
		(*p)++;
	return true;
}

static bool
is_name_char(char c, bool first, bool colon)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (colon && c == ':') ||
		   (!first && c >= '0' && c <= '9');
}

/*
 * Steps over a name.  It is not ended by a NUL yet, because what follows is still to be read: the
 * caller does so with the end that it gets.
 */
static bool
read_name(Parser *parser, char **p, bool of_metric, char **end)
{
	char *start = *p;

	while (is_name_char(**p, *p == start, of_metric))
		(*p)++;
	*end = *p;
	if (*p == start)
		return fail_at(parser, of_metric ? "expected a metric name" : "expected a label name", *p);
	if (*p - start > PERFOPT_OPENMETRICS_MAX_NAME)
		return fail(parser, "a name has more than %d bytes", PERFOPT_OPENMETRICS_MAX_NAME);
	return true;
}

/* Where the escape at p stands for one character, that one; else 0, and the backslash is meant. */
static char
escaped(const char *p, bool quote)
{
	if (p[1] == '\\')
		return '\\';
	if (p[1] == 'n')
		return '\n';
	return p[1] == '"' && quote ? '"' : '\0';
}

/* From behind the opening quote to behind the closing one. */
static bool
read_label_value(Parser *parser, char **p, const char **value)
{
	char *out = *p;

	*value = *p;
	for (; **p != '"'; (*p)++)
	{
		if (**p == '\0')
			return fail(parser, "a label value has no closing quote");
		if (**p == '\\' && escaped(*p, true) != '\0')
			*out++ = escaped((*p)++, true);
		else
			*out++ = **p;
	}
	(*p)++;
	*out = '\0';
	if (out - *value > PERFOPT_OPENMETRICS_MAX_VALUE)
		return fail(parser, "a label value has more than %d bytes", PERFOPT_OPENMETRICS_MAX_VALUE);
	return true;
}

static bool
keep_label(Parser *parser, const char *name, const char *value, Labels *labels)
{
	if (*value == '\0')
		return true;
	for (int i = 0; i < labels->n; i++)
	{
		if (strcmp(labels->items[i].name, name) == 0)
			return fail(parser, "label %s is there twice", name);
	}
	if (labels->n == PERFOPT_OPENMETRICS_MAX_LABELS)
		return fail(parser, "more than %d labels", PERFOPT_OPENMETRICS_MAX_LABELS);
	labels->items[labels->n++] = (PerfoptOpenmetricsLabel){ name, value };
	return true;
}

/* From behind the opening brace to behind the closing one. */
static bool
read_labels(Parser *parser, char **p, Labels *labels)
{
	labels->n = 0;
	if (!pass_blanks(parser, p, false))
		return false;
	while (**p != '}')
	{
		const char *name = *p;
		const char *value;
		char *end;

		if (!read_name(parser, p, false, &end) || !pass_blanks(parser, p, false))
			return false;
		if (**p != '=')
			return fail_at(parser, "expected \"=\" after a label name", *p);
		(*p)++;
		*end = '\0';
		if (!pass_blanks(parser, p, false))
			return false;
		if (**p != '"')
			return fail_at(parser, "expected a quoted label value", *p);
		(*p)++;
		if (!read_label_value(parser, p, &value) || !keep_label(parser, name, value, labels) ||
			!pass_blanks(parser, p, false))
			return false;
		if (**p == '}')
			break;
		if (**p != ',')
			return fail_at(parser, "expected \",\" or \"}\" after a label", *p);
		(*p)++;
		if (!pass_blanks(parser, p, false))
			return false;
	}
	(*p)++;
	return true;
}

static bool
same_word(const char *a, const char *lower)
{
	while (*a != '\0' && tolower((unsigned char) *a) == *lower)
	{
		a++;
		lower++;
	}
	return *a == '\0' && *lower == '\0';
}

/* Reads a number that ends where the string does. */
static bool
parse_number(const char *text, double *value)
{
	const char *magnitude = text + (*text == '+' || *text == '-');
	char *end;

	if (same_word(magnitude, "inf") || same_word(magnitude, "infinity"))
	{
		*value = *text == '-' ? -INFINITY : INFINITY;
		return true;
	}
	if (same_word(text, "nan"))
	{
		*value = NAN;
		return true;
	}
	/* No hexadecimal numbers, and whatever else strtod may know. */
	if (*text == '\0' || text[strspn(text, "0123456789.eE+-")] != '\0')
		return false;
	errno = 0;
	*value = strtod(text, &end);
	return *end == '\0' && isfinite(*value);
}

static bool
read_number(Parser *parser, char **p, const char *what, double *value)
{
	char *word = *p;
	size_t length = strcspn(word, " \t");
	char behind = word[length];

	if (length == 0)
		return fail(parser, "expected a %s, but there is none", what);
	if (length > PERFOPT_OPENMETRICS_MAX_VALUE)
		return fail(parser, "a number has more than %d bytes", PERFOPT_OPENMETRICS_MAX_VALUE);
	word[length] = '\0';
	if (!parse_number(word, value))
		return fail(parser, "the %s \"%.*s\" is not a number, or too large for one", what,
					shown(word), word);
	word[length] = behind;
	*p += length;
	return true;
}

/* OpenMetrics: " # {labels} value [timestamp]", of which nothing is kept. */
static bool
pass_exemplar(Parser *parser, char **p)
{
	Labels labels;
	double number;

	if (strncmp(*p, "# {", 3) != 0)
		return fail_at(parser, "expected an exemplar", *p);
	*p += 3;
	if (!read_labels(parser, p, &labels) || !pass_blanks(parser, p, true) ||
		!read_number(parser, p, "value of an exemplar", &number))
		return false;
	if (**p == '\0')
		return true;
	return pass_blanks(parser, p, true) &&
		   read_number(parser, p, "timestamp of an exemplar", &number);
}

/* OpenMetrics: what follows the value.  Timestamps are seconds. */
static bool
read_tail(Parser *parser, char **p, PerfoptOpenmetricsSample *sample)
{
	if (**p != '\0' && strncmp(*p, " # ", 3) != 0)
	{
		if (!pass_blanks(parser, p, true) ||
			!read_number(parser, p, "timestamp", &sample->timestamp))
			return false;
		if (!isfinite(sample->timestamp))
			return fail(parser, "a timestamp is not finite");
		sample->has_timestamp = true;
	}
	if (**p == '\0')
		return true;
	return pass_blanks(parser, p, true) && pass_exemplar(parser, p);
}

/* 0.0.4: what follows the value.  Timestamps are whole milliseconds. */
static bool
read_milliseconds(Parser *parser, char **p, PerfoptOpenmetricsSample *sample)
{
	char *start;
	long long milliseconds;

	if (!pass_blanks(parser, p, false))
		return false;
	if (**p == '\0')
		return true;
	start = *p;
	errno = 0;
	milliseconds = strtoll(start, p, 10);
	if (*p == start || errno != 0 || (**p != '\0' && !is_blank(**p)))
		return fail(parser, "the timestamp \"%.*s\" is not a number of milliseconds", shown(start),
					start);
	sample->timestamp = (double) milliseconds / 1000;
	sample->has_timestamp = true;
	return pass_blanks(parser, p, false);
}

static void
classify(const Family *family, PerfoptOpenmetricsSample *sample)
{
	size_t length = family->name ? strlen(family->name) : 0;

	sample->suffix = sample->unit = sample->help = "";
	if (length == 0 || strncmp(sample->name, family->name, length) != 0)
		return;
	for (size_t i = 0; i < NSUFFIXES; i++)
	{
		if (suffixes[i].type != family->type ||
			strcmp(suffixes[i].suffix, sample->name + length) != 0)
			continue;
		sample->type = family->type;
		sample->part = suffixes[i].part;
		sample->suffix = sample->name + length;
		sample->unit = family->unit;
		sample->help = family->help;
		return;
	}
}

static bool
read_sample(Parser *parser, char *p)
{
	PerfoptOpenmetricsSample sample = { .name = p };
	Labels labels = { .n = 0 };
	char *end;

	if (!read_name(parser, &p, true, &end))
		return false;
	if (!parser->strict && !pass_blanks(parser, &p, false))
		return false;
	if (*p == '{')
	{
		p++;
		*end = '\0';
		if (!read_labels(parser, &p, &labels))
			return false;
	}
	else if (!parser->strict && p == end)
		return fail_at(parser, "expected a blank after a metric name", p);
	if (!pass_blanks(parser, &p, parser->strict))
		return false;
	*end = '\0';

	if (!read_number(parser, &p, "value", &sample.value) ||
		!(parser->strict ? read_tail : read_milliseconds)(parser, &p, &sample))
		return false;
	if (*p != '\0')
		return fail_at(parser, "there is more in the line than a sample", p);
	if (parser->nsamples++ == parser->max_samples)
		return fail(parser, "more than %d samples", parser->max_samples);

	sample.labels = labels.items;
	sample.nlabels = labels.n;
	classify(&parser->family, &sample);
	parser->sink(parser->arg, &sample);
	return true;
}

static bool
set_type(Parser *parser, const char *word)
{
	static const struct
	{
		const char *word;
		PerfoptOpenmetricsType type;
		bool strict;
		bool lenient;
	} types[] = {
		{ "counter", PERFOPT_OPENMETRICS_COUNTER, true, true },
		{ "gauge", PERFOPT_OPENMETRICS_GAUGE, true, true },
		{ "histogram", PERFOPT_OPENMETRICS_HISTOGRAM, true, true },
		{ "summary", PERFOPT_OPENMETRICS_SUMMARY, true, true },
		{ "untyped", PERFOPT_OPENMETRICS_UNKNOWN, false, true },
		{ "unknown", PERFOPT_OPENMETRICS_UNKNOWN, true, false },
		{ "gaugehistogram", PERFOPT_OPENMETRICS_GAUGEHISTOGRAM, true, false },
		{ "info", PERFOPT_OPENMETRICS_INFO, true, false },
		{ "stateset", PERFOPT_OPENMETRICS_STATESET, true, false },
	};

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
	{
		if (strcmp(types[i].word, word) == 0 &&
			(parser->strict ? types[i].strict : types[i].lenient))
		{
			parser->family.type = types[i].type;
			return true;
		}
	}
	return fail_at(parser, "expected a metric type", word);
}

/* A unit is the end of its metric's name. */
static bool
set_unit(Parser *parser, const char *unit)
{
	size_t unit_length = strlen(unit);
	size_t length = strlen(parser->family.name);

	if (unit_length == 0)
		return true;
	if (length <= unit_length + 1 || parser->family.name[length - unit_length - 1] != '_' ||
		strcmp(parser->family.name + length - unit_length, unit) != 0)
		return fail(parser, "unit \"%.*s\" is not the end of the name %s", shown(unit), unit,
					parser->family.name);
	parser->family.unit = unit;
	return true;
}

static void
set_help(Parser *parser, char *text)
{
	char *out = text;

	parser->family.help = text;
	for (char *p = text; *p != '\0'; p++)
	{
		if (*p == '\\' && escaped(p, parser->strict) != '\0')
			*out++ = escaped(p++, parser->strict);
		else
			*out++ = *p;
	}
	*out = '\0';
}

/* The name of a metadata line, which may begin another family, and the text behind it. */
static bool
read_family(Parser *parser, char **p)
{
	char *name;
	char *end;

	if (!pass_blanks(parser, p, true))
		return false;
	name = *p;
	if (!read_name(parser, p, true, &end))
		return false;
	if (**p != '\0' && !pass_blanks(parser, p, true))
		return false;
	*end = '\0';
	if (parser->family.name == NULL || strcmp(parser->family.name, name) != 0)
		parser->family = (Family){ name, PERFOPT_OPENMETRICS_UNKNOWN, "", "" };
	return true;
}

static bool
is_keyword(const char *p, const char *keyword)
{
	size_t length = strlen(keyword);

	return strncmp(p, keyword, length) == 0 && is_blank(p[length]);
}

/* p is behind the "#". */
static bool
read_metadata(Parser *parser, char *p)
{
	char *word;

	if (parser->strict && strcmp(p, " EOF") == 0)
		return parser->ended = true;
	/* In 0.0.4 all that is not metadata is a comment. */
	if (!is_blank(*p))
		return parser->strict ? fail_at(parser, "expected metadata after \"#\"", p) : true;
	if (!pass_blanks(parser, &p, true))
		return false;
	word = p;
	if (!is_keyword(p, "HELP") && !is_keyword(p, "TYPE") &&
		!(parser->strict && is_keyword(p, "UNIT")))
		return parser->strict ? fail_at(parser, "expected HELP, TYPE or UNIT", p) : true;
	p += 4;
	if (!read_family(parser, &p))
		return false;
	if (*word == 'H')
	{
		set_help(parser, p);
		return true;
	}
	for (size_t n = strlen(p); !parser->strict && n > 0 && is_blank(p[n - 1]); n--)
		p[n - 1] = '\0';
	return *word == 'T' ? set_type(parser, p) : set_unit(parser, p);
}

static bool
read_line(Parser *parser, char *line)
{
	if (!pass_blanks(parser, &line, false))
		return false;
	if (*line == '\0')
		return parser->strict ? fail(parser, "the line is empty") : true;
	if (*line == '#')
		return read_metadata(parser, line + 1);
	return read_sample(parser, line);
}

bool
perfopt_openmetrics_parse(char *text, size_t length, PerfoptOpenmetricsFormat format,
						  int max_samples, PerfoptOpenmetricsSink sink, void *arg,
						  char error[PERFOPT_OPENMETRICS_ERROR_BYTES])
{
	Parser parser = { .strict = format == PERFOPT_OPENMETRICS_1_0,
					  .max_samples = max_samples,
					  .sink = sink,
					  .arg = arg,
					  .error = error };
	char *end = text + length;

	*end = '\0';
	while (text < end)
	{
		char *line_end = memchr(text, '\n', end - text);

		if (line_end == NULL)
			line_end = end;
		*line_end = '\0';
		parser.line++;
		if (parser.ended)
			return fail(&parser, "there is text after \"# EOF\"");
		if (!check_bytes(&parser, text, line_end - text) || !read_line(&parser, text))
			return false;
		text = line_end + 1;
	}
	if (parser.strict && !parser.ended)
		return fail(&parser, "the text ends without \"# EOF\"");
	return true;
}
