/*
 * openmetrics_text.h
 *	  Reading what applications expose: the Prometheus text format 0.0.4 and OpenMetrics 1.0.
 *
 * Sources: "Exposition formats" of the Prometheus documentation, the OpenMetrics 1.0 specification
 * (its ABNF), and where these leave room, what Prometheus accepts: 0.0.4 is lenient about blanks,
 * OpenMetrics asks for exactly one, both allow a comma after the last label, and one bad line spoils
 * the whole exposition.  Beyond both, a NUL byte is refused: PostgreSQL has no text with one.
 *
 * No PostgreSQL here and no allocation: the text is cut up and unescaped in place, and all strings
 * that are handed out lie in it and live as long as it does.
 */
#ifndef PERFOPT_OPENMETRICS_TEXT_H
#define PERFOPT_OPENMETRICS_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#define PERFOPT_OPENMETRICS_MAX_LABELS 32
#define PERFOPT_OPENMETRICS_MAX_NAME 200   /* bytes of a metric's or a label's name */
#define PERFOPT_OPENMETRICS_MAX_VALUE 1024 /* bytes of a label's value or of a number */
#define PERFOPT_OPENMETRICS_ERROR_BYTES 256

typedef enum PerfoptOpenmetricsFormat
{
	PERFOPT_OPENMETRICS_TEXT_0_0_4,
	PERFOPT_OPENMETRICS_1_0
} PerfoptOpenmetricsFormat;

typedef enum PerfoptOpenmetricsType
{
	PERFOPT_OPENMETRICS_UNKNOWN, /* "untyped" in 0.0.4 */
	PERFOPT_OPENMETRICS_COUNTER,
	PERFOPT_OPENMETRICS_GAUGE,
	PERFOPT_OPENMETRICS_HISTOGRAM,
	PERFOPT_OPENMETRICS_GAUGEHISTOGRAM,
	PERFOPT_OPENMETRICS_SUMMARY,
	PERFOPT_OPENMETRICS_INFO,
	PERFOPT_OPENMETRICS_STATESET
} PerfoptOpenmetricsType;

/* What a sample's value is. */
typedef enum PerfoptOpenmetricsPart
{
	PERFOPT_OPENMETRICS_LEVEL, /* rises and falls: gauges, quantiles, states, infos, unknown */
	PERFOPT_OPENMETRICS_TOTAL, /* only rises, but for restarts: counters, and the buckets, counts and
								* sums of histograms and summaries */
	PERFOPT_OPENMETRICS_CREATED /* when a total began, in seconds since 1970 */
} PerfoptOpenmetricsPart;

typedef struct PerfoptOpenmetricsLabel
{
	const char *name;
	const char *value; /* never empty: a label with an empty value is the same as none */
} PerfoptOpenmetricsLabel;

/*
 * Names match [a-zA-Z_:][a-zA-Z0-9_:]* (labels without colons), values and help are valid UTF-8.  A
 * sample belongs to the family whose metadata lines stand before it, if its name is that family's
 * with a suffix that goes with the type; else it is of an unknown type.
 */
typedef struct PerfoptOpenmetricsSample
{
	const char *name;
	PerfoptOpenmetricsType type;
	PerfoptOpenmetricsPart part;
	const char *suffix; /* what the name has beyond its family's, such as "_bucket"; may be empty */
	const char *unit;   /* as UNIT says, or empty */
	const char *help;   /* may be empty */
	const PerfoptOpenmetricsLabel *labels; /* names are unique; valid during the call only */
	int nlabels;
	double value; /* may be NaN or infinite */
	bool has_timestamp;
	double timestamp; /* seconds since 1970 */
} PerfoptOpenmetricsSample;

/* Is called with each sample, in their order. */
typedef void (*PerfoptOpenmetricsSink)(void *arg, const PerfoptOpenmetricsSample *sample);

/* What a Content-Type says; 0.0.4 where it says nothing known (NULL for none), as Prometheus has it. */
extern PerfoptOpenmetricsFormat perfopt_openmetrics_format(const char *content_type);

/*
 * Reads `length` bytes at `text`, which are changed; text[length] must be writable.  False with a
 * sentence in `error` that names the line and the cause, as valid UTF-8, when there is a bad line, more
 * than max_samples samples, or, for OpenMetrics, no "# EOF" at the end.  Samples before it have been
 * handed over by then.
 */
extern bool perfopt_openmetrics_parse(char *text, size_t length, PerfoptOpenmetricsFormat format,
									  int max_samples, PerfoptOpenmetricsSink sink, void *arg,
									  char error[PERFOPT_OPENMETRICS_ERROR_BYTES]);

#endif /* PERFOPT_OPENMETRICS_TEXT_H */
