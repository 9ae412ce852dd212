/*
 * test_openmetrics_text.c
 *	  Expositions as the specifications show them, as clients write them, and as nobody should.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <math.h>

#include "collect/openmetrics_text.h"
#include "prng.h"

#define MAX_SAMPLES 64
#define TEXT PERFOPT_OPENMETRICS_TEXT_0_0_4
#define OPENMETRICS PERFOPT_OPENMETRICS_1_0

typedef struct Kept
{
	char series[400]; /* name{label=value,...} */
	PerfoptOpenmetricsType type;
	PerfoptOpenmetricsPart part;
	char suffix[32];
	char unit[32];
	char help[200];
	double value;
	double timestamp; /* NaN where there is none */
} Kept;

static Kept kept[MAX_SAMPLES];
static int nkept;
static char error[PERFOPT_OPENMETRICS_ERROR_BYTES];

static void
keep(void *arg, const PerfoptOpenmetricsSample *sample)
{
	Kept *to = &kept[nkept];
	int n = snprintf(to->series, sizeof(to->series), "%s{", sample->name);

	(void) arg;
	nkept++;
	for (int i = 0; i < sample->nlabels; i++)
		n += snprintf(to->series + n, sizeof(to->series) - n, "%s%s=%s", i > 0 ? "," : "",
					  sample->labels[i].name, sample->labels[i].value);
	snprintf(to->series + n, sizeof(to->series) - n, "}");
	to->type = sample->type;
	to->part = sample->part;
	snprintf(to->suffix, sizeof(to->suffix), "%s", sample->suffix);
	snprintf(to->unit, sizeof(to->unit), "%s", sample->unit);
	snprintf(to->help, sizeof(to->help), "%s", sample->help);
	to->value = sample->value;
	to->timestamp = sample->has_timestamp ? sample->timestamp : NAN;
}

static void
count_only(void *arg, const PerfoptOpenmetricsSample *sample)
{
	(void) sample;
	++*(int *) arg;
}

/* In memory of exactly the size that is promised, so that the sanitizer sees each byte too many. */
static bool
parse_bytes(const char *text, size_t length, PerfoptOpenmetricsFormat format, int max_samples,
			PerfoptOpenmetricsSink sink, void *arg)
{
	char *copy = malloc(length + 1);
	bool good;

	memcpy(copy, text, length);
	copy[length] = 'x';
	error[0] = '\0';
	nkept = 0;
	good = perfopt_openmetrics_parse(copy, length, format, max_samples, sink, arg, error);
	free(copy);
	return good;
}

static void
expect_good(const char *text, PerfoptOpenmetricsFormat format)
{
	if (!parse_bytes(text, strlen(text), format, MAX_SAMPLES, keep, NULL))
		fail_msg("refused: %s\n%s", error, text);
}

static void
expect_bad(const char *text, PerfoptOpenmetricsFormat format, const char *message)
{
	if (parse_bytes(text, strlen(text), format, MAX_SAMPLES, keep, NULL))
		fail_msg("accepted, instead of \"%s\":\n%s", message, text);
	assert_string_equal(error, message);
}

static const Kept *
find(const char *series)
{
	for (int i = 0; i < nkept; i++)
	{
		if (strcmp(kept[i].series, series) == 0)
			return &kept[i];
	}
	fail_msg("%s is missing", series);
	return NULL;
}

static void
expect(const char *series, PerfoptOpenmetricsType type, PerfoptOpenmetricsPart part, double value)
{
	const Kept *sample = find(series);

	assert_int_equal(sample->type, type);
	assert_int_equal(sample->part, part);
	if (!(isnan(value) && isnan(sample->value)) && sample->value != value)
		fail_msg("%s is %g, not %g", series, sample->value, value);
}

/* The example of "Exposition formats" in Prometheus' documentation. */
static void
test_prometheus_example(void **state)
{
	(void) state;
	expect_good("# HELP http_requests_total The total number of HTTP requests.\n"
				"# TYPE http_requests_total counter\n"
				"http_requests_total{method=\"post\",code=\"200\"} 1027 1395066363000\n"
				"http_requests_total{method=\"post\",code=\"400\"}    3 1395066363000\n"
				"\n"
				"# Escaping in label values:\n"
				"msdos_file_access_time_seconds{path=\"C:\\\\DIR\\\\FILE.TXT\",error=\"Cannot find "
				"file:\\n\\\"FILE.TXT\\\"\"} 1.458255915e9\n"
				"\n"
				"# Minimalistic line:\n"
				"metric_without_timestamp_and_labels 12.47\n"
				"\n"
				"# A weird metric from before the epoch:\n"
				"something_weird{problem=\"division by zero\"} +Inf -3982045\n"
				"\n"
				"# A histogram, which has a pretty complex representation in the text format:\n"
				"# HELP http_request_duration_seconds A histogram of the request duration.\n"
				"# TYPE http_request_duration_seconds histogram\n"
				"http_request_duration_seconds_bucket{le=\"0.05\"} 24054\n"
				"http_request_duration_seconds_bucket{le=\"+Inf\"} 144320\n"
				"http_request_duration_seconds_sum 53423\n"
				"http_request_duration_seconds_count 144320\n"
				"\n"
				"# Finally a summary, which has a complex representation, too:\n"
				"# HELP rpc_duration_seconds A summary of the RPC duration in seconds.\n"
				"# TYPE rpc_duration_seconds summary\n"
				"rpc_duration_seconds{quantile=\"0.99\"} 76656\n"
				"rpc_duration_seconds_sum 1.7560473e+07\n"
				"rpc_duration_seconds_count 2693\n",
				TEXT);
	assert_int_equal(nkept, 12);
	expect("http_requests_total{method=post,code=200}", PERFOPT_OPENMETRICS_COUNTER,
		   PERFOPT_OPENMETRICS_TOTAL, 1027);
	assert_string_equal(kept[0].help, "The total number of HTTP requests.");
	assert_true(kept[0].timestamp == 1395066363.0);
	expect("msdos_file_access_time_seconds{path=C:\\DIR\\FILE.TXT,error=Cannot find "
		   "file:\n\"FILE.TXT\"}",
		   PERFOPT_OPENMETRICS_UNKNOWN, PERFOPT_OPENMETRICS_LEVEL, 1.458255915e9);
	expect("metric_without_timestamp_and_labels{}", PERFOPT_OPENMETRICS_UNKNOWN,
		   PERFOPT_OPENMETRICS_LEVEL, 12.47);
	assert_true(isnan(find("metric_without_timestamp_and_labels{}")->timestamp));
	expect("something_weird{problem=division by zero}", PERFOPT_OPENMETRICS_UNKNOWN,
		   PERFOPT_OPENMETRICS_LEVEL, INFINITY);
	assert_true(find("something_weird{problem=division by zero}")->timestamp == -3982.045);
	expect("http_request_duration_seconds_bucket{le=+Inf}", PERFOPT_OPENMETRICS_HISTOGRAM,
		   PERFOPT_OPENMETRICS_TOTAL, 144320);
	assert_string_equal(find("http_request_duration_seconds_bucket{le=+Inf}")->suffix, "_bucket");
	expect("http_request_duration_seconds_sum{}", PERFOPT_OPENMETRICS_HISTOGRAM,
		   PERFOPT_OPENMETRICS_TOTAL, 53423);
	expect("rpc_duration_seconds{quantile=0.99}", PERFOPT_OPENMETRICS_SUMMARY,
		   PERFOPT_OPENMETRICS_LEVEL, 76656);
	expect("rpc_duration_seconds_count{}", PERFOPT_OPENMETRICS_SUMMARY, PERFOPT_OPENMETRICS_TOTAL,
		   2693);
}

/* The examples of the OpenMetrics 1.0 specification, one of each type. */
static void
test_openmetrics_examples(void **state)
{
	(void) state;
	expect_good("# TYPE acme_http_router_request_seconds summary\n"
				"# UNIT acme_http_router_request_seconds seconds\n"
				"# HELP acme_http_router_request_seconds Latency though \\\"all\\\" of\\n"
				"ACME's \\\\ router.\n"
				"acme_http_router_request_seconds_sum{path=\"/api/v1\",method=\"GET\"} 9036.32\n"
				"acme_http_router_request_seconds_count{path=\"/api/v1\",method=\"GET\"} 807283.0\n"
				"acme_http_router_request_seconds_created{path=\"/api/v1\",method=\"GET\"} "
				"1605281325.0\n"
				"# TYPE go_goroutines gauge\n"
				"# HELP go_goroutines Number of goroutines that currently exist.\n"
				"go_goroutines 69\n"
				"# TYPE foo counter\n"
				"foo_total 17.0 1520879607.789 # {trace_id=\"KOO5S4vxi0o\"} 0.67 1520879607.0\n"
				"foo_created 1520872607.123\n"
				"# TYPE bar histogram\n"
				"bar_bucket{le=\"0.01\"} 0\n"
				"bar_bucket{le=\"+Inf\"} 17 # {} 9.8\n"
				"bar_count 17\n"
				"bar_sum 324789.3\n"
				"# TYPE baz gaugehistogram\n"
				"baz_bucket{le=\"+Inf\"} 42\n"
				"baz_gcount 42\n"
				"baz_gsum 3289.3\n"
				"# TYPE qux info\n"
				"qux_info{entity=\"controller\",version=\"8.2.7\"} 1\n"
				"# TYPE quux stateset\n"
				"quux{quux=\"a\"} 1\n"
				"quux{quux=\"bb\"} 0\n"
				"# TYPE corge unknown\n"
				"corge NaN 1.5e9\n"
				"# EOF\n",
				OPENMETRICS);
	assert_int_equal(nkept, 17);
	expect("acme_http_router_request_seconds_sum{path=/api/v1,method=GET}",
		   PERFOPT_OPENMETRICS_SUMMARY, PERFOPT_OPENMETRICS_TOTAL, 9036.32);
	assert_string_equal(kept[0].unit, "seconds");
	assert_string_equal(kept[0].help, "Latency though \"all\" of\nACME's \\ router.");
	expect("acme_http_router_request_seconds_created{path=/api/v1,method=GET}",
		   PERFOPT_OPENMETRICS_SUMMARY, PERFOPT_OPENMETRICS_CREATED, 1605281325);
	expect("go_goroutines{}", PERFOPT_OPENMETRICS_GAUGE, PERFOPT_OPENMETRICS_LEVEL, 69);
	assert_string_equal(find("go_goroutines{}")->unit, "");
	expect("foo_total{}", PERFOPT_OPENMETRICS_COUNTER, PERFOPT_OPENMETRICS_TOTAL, 17);
	assert_true(find("foo_total{}")->timestamp == 1520879607.789);
	expect("foo_created{}", PERFOPT_OPENMETRICS_COUNTER, PERFOPT_OPENMETRICS_CREATED,
		   1520872607.123);
	expect("bar_bucket{le=+Inf}", PERFOPT_OPENMETRICS_HISTOGRAM, PERFOPT_OPENMETRICS_TOTAL, 17);
	assert_true(isnan(find("bar_bucket{le=+Inf}")->timestamp));
	expect("baz_bucket{le=+Inf}", PERFOPT_OPENMETRICS_GAUGEHISTOGRAM, PERFOPT_OPENMETRICS_LEVEL,
		   42);
	expect("baz_gsum{}", PERFOPT_OPENMETRICS_GAUGEHISTOGRAM, PERFOPT_OPENMETRICS_LEVEL, 3289.3);
	expect("qux_info{entity=controller,version=8.2.7}", PERFOPT_OPENMETRICS_INFO,
		   PERFOPT_OPENMETRICS_LEVEL, 1);
	expect("quux{quux=bb}", PERFOPT_OPENMETRICS_STATESET, PERFOPT_OPENMETRICS_LEVEL, 0);
	expect("corge{}", PERFOPT_OPENMETRICS_UNKNOWN, PERFOPT_OPENMETRICS_LEVEL, NAN);
	assert_true(find("corge{}")->timestamp == 1.5e9);
}

/* What Prometheus' own parser of 0.0.4 takes, by its tests. */
static void
test_text_is_lenient_about_blanks(void **state)
{
	(void) state;
	expect_good("#  \tTYPE  g   gauge \t\n"
				"  # HELP   g   two  words \n"
				"\t g { a = \"b\" , c=\"d\", }\t 1 \t 123123 \n"
				"g{}2\n"
				"#\n#HELP\n# HELPER x\n# UNIT g nothing\n# EOF\n"
				"# HELP nohelp\n"
				"some:aggregate:rate5m{a_b=\"c\"}\t1\n"
				"_x{_y=\"\\q\\\\\\\"\"} 1e3",
				TEXT);
	assert_int_equal(nkept, 4);
	expect("g{a=b,c=d}", PERFOPT_OPENMETRICS_GAUGE, PERFOPT_OPENMETRICS_LEVEL, 1);
	assert_string_equal(kept[0].help, "two  words ");
	assert_true(kept[0].timestamp == 123.123);
	expect("g{}", PERFOPT_OPENMETRICS_GAUGE, PERFOPT_OPENMETRICS_LEVEL, 2);
	expect("some:aggregate:rate5m{a_b=c}", PERFOPT_OPENMETRICS_UNKNOWN, PERFOPT_OPENMETRICS_LEVEL,
		   1);
	expect("_x{_y=\\q\\\"}", PERFOPT_OPENMETRICS_UNKNOWN, PERFOPT_OPENMETRICS_LEVEL, 1000);
	expect_good("", TEXT);
	expect_good("\n\n", TEXT);
	assert_int_equal(nkept, 0);
}

static void
test_openmetrics_is_strict(void **state)
{
	(void) state;
	expect_good("# EOF", OPENMETRICS);
	expect_bad("", OPENMETRICS, "line 0: the text ends without \"# EOF\"");
	expect_bad("a 1\n", OPENMETRICS, "line 1: the text ends without \"# EOF\"");
	expect_bad("a 1\n# EOF\nb 1\n", OPENMETRICS, "line 3: there is text after \"# EOF\"");
	expect_bad("a 1\n\n# EOF\n", OPENMETRICS, "line 2: the line is empty");
	expect_bad("a  1\n# EOF\n", OPENMETRICS, "line 1: expected a value, but there is none");
	expect_bad("a\t1\n# EOF\n", OPENMETRICS, "line 1: expected a blank at \"?1\"");
	expect_bad("a {} 1\n# EOF\n", OPENMETRICS,
			   "line 1: the value \"{}\" is not a number, or too large for one");
	expect_bad("# a comment\n# EOF\n", OPENMETRICS,
			   "line 1: expected HELP, TYPE or UNIT at \"a comment\"");
	expect_bad("#\n# EOF\n", OPENMETRICS,
			   "line 1: expected metadata after \"#\", but the line ends");
	expect_bad("# TYPE a untyped\n# EOF\n", OPENMETRICS,
			   "line 1: expected a metric type at \"untyped\"");
	expect_bad("# TYPE a_ms gauge\n# UNIT a_ms seconds\n# EOF\n", OPENMETRICS,
			   "line 2: unit \"seconds\" is not the end of the name a_ms");
	expect_bad("# UNIT seconds seconds\n# EOF\n", OPENMETRICS,
			   "line 1: unit \"seconds\" is not the end of the name seconds");
	expect_bad("a 1 +Inf\n# EOF\n", OPENMETRICS, "line 1: a timestamp is not finite");
	expect_bad("a 1 2 3\n# EOF\n", OPENMETRICS, "line 1: expected an exemplar at \"3\"");
	expect_bad("a 1 # {b=\"c\"}\n# EOF\n", OPENMETRICS,
			   "line 1: expected a blank, but the line ends");
	expect_bad("a 1 # {b=\"c\"} x\n# EOF\n", OPENMETRICS,
			   "line 1: the value of an exemplar \"x\" is not a number, or too large for one");
	expect_bad("a 1 # {b=\"c\"} 1 2 3\n# EOF\n", OPENMETRICS,
			   "line 1: there is more in the line than a sample at \" 3\"");
}

static void
test_bad_lines(void **state)
{
	(void) state;
	expect_bad("ok 1\na\n", TEXT,
			   "line 2: expected a blank after a metric name, but the line ends");
	expect_bad("a-b 1\n", TEXT, "line 1: expected a blank after a metric name at \"-b 1\"");
	expect_bad("9a 1\n", TEXT, "line 1: expected a metric name at \"9a 1\"");
	expect_bad("<html><body>Not found</body></html>", TEXT,
			   "line 1: expected a metric name at \"<html><body>Not found</body></html>\"");
	expect_bad("{a=\"ok\"} 1\n", TEXT, "line 1: expected a metric name at \"{a=\"ok\"} 1\"");
	expect_bad("a{b='c'} 1\n", TEXT, "line 1: expected a quoted label value at \"'c'} 1\"");
	expect_bad("a{b=\n", TEXT, "line 1: expected a quoted label value, but the line ends");
	expect_bad("a{=\"\"} 0\n", TEXT, "line 1: expected a label name at \"=\"\"} 0\"");
	expect_bad("a{b:c=\"\"} 0\n", TEXT,
			   "line 1: expected \"=\" after a label name at \":c=\"\"} 0\"");
	expect_bad("a{b=\"c\"", TEXT,
			   "line 1: expected \",\" or \"}\" after a label, but the line ends");
	expect_bad("a{b=\"c\" d=\"e\"} 1", TEXT,
			   "line 1: expected \",\" or \"}\" after a label at \"d=\"e\"} 1\"");
	expect_bad("a{b=\"c} 1\n\"", TEXT, "line 1: a label value has no closing quote");
	expect_bad("a{b=\"c\\\"} 1\n", TEXT, "line 1: a label value has no closing quote");
	expect_bad("a{b=\"1\",b=\"2\"} 1\n", TEXT, "line 1: label b is there twice");
	expect_bad("a true\n", TEXT,
			   "line 1: the value \"true\" is not a number, or too large for one");
	expect_bad("a 1\r\n", TEXT, "line 1: the value \"1?\" is not a number, or too large for one");
	expect_bad("a 1_2\n", TEXT, "line 1: the value \"1_2\" is not a number, or too large for one");
	expect_bad("a 0x1p-3\n", TEXT,
			   "line 1: the value \"0x1p-3\" is not a number, or too large for one");
	expect_bad("a 1 2.5\n", TEXT, "line 1: the timestamp \"2.5\" is not a number of milliseconds");
	expect_bad("a 1 2 3\n", TEXT, "line 1: there is more in the line than a sample at \"3\"");
	expect_bad("# TYPE a enum\n", TEXT, "line 1: expected a metric type at \"enum\"");
	expect_bad("# TYPE a\n", TEXT, "line 1: expected a metric type, but the line ends");
	expect_bad("# TYPE a info\n", TEXT, "line 1: expected a metric type at \"info\"");
	expect_bad("# HELP #\n", TEXT, "line 1: expected a metric name at \"#\"");
}

static void
test_numbers(void **state)
{
	static const struct
	{
		const char *text;
		double value;
	} numbers[] = {
		{ "0", 0 },
		{ "-0", 0 },
		{ "+1.5", 1.5 },
		{ "NaN", NAN },
		{ "nan", NAN },
		{ "Inf", INFINITY },
		{ "+Inf", INFINITY },
		{ "-Inf", -INFINITY },
		{ "-infinity", -INFINITY },
		{ "1.7976931348623157e308", 1.7976931348623157e308 },
		{ "5e-324", 5e-324 },
		{ "1e-999", 0 },
		{ "9007199254740993", 9007199254740992.0 },
	};
	static const char *const bad[] = { "1e309", "-1e999999999", "1e",    "e1",   ".",
									   "-",     "+-1",          "1.2.3", "--1",  "Infx",
									   "in",    "-nan",         "1,5",   "0x10", "١" };
	char text[1200];

	(void) state;
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
	{
		snprintf(text, sizeof(text), "a %s\n", numbers[i].text);
		expect_good(text, TEXT);
		expect("a{}", PERFOPT_OPENMETRICS_UNKNOWN, PERFOPT_OPENMETRICS_LEVEL, numbers[i].value);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
	{
		snprintf(text, sizeof(text), "a %s\n", bad[i]);
		if (parse_bytes(text, strlen(text), TEXT, MAX_SAMPLES, keep, NULL))
			fail_msg("%s is taken for %g", bad[i], kept[0].value);
	}
	expect_bad("a 1 99999999999999999999\n", TEXT,
			   "line 1: the timestamp \"99999999999999999999\" is not a number of milliseconds");

	/* As long as numbers without an exponent get, and longer. */
	memset(text, '0', sizeof(text));
	memcpy(text, "a 1", 3);
	memcpy(text + 310, "\n", 2);
	expect_good(text, TEXT);
	assert_true(kept[0].value == 1e307);
	text[310] = '0';
	text[311] = '0';
	text[1199] = '\0';
	expect_bad(text, TEXT, "line 1: a number has more than 1024 bytes");
}

static void
test_utf8(void **state)
{
	static const char *const bad[] = {
		"\xff",
		"\x80", /* not a first byte */
		"\xc3",
		"\xe2\x82", /* cut */
		"\xc0\x80",
		"\xe0\x80\xaf", /* longer than need be */
		"\xed\xa0\x80",
		"\xf4\x90\x80\x80", /* a surrogate, beyond U+10FFFF */
		"\xf0\x80\x80\x80",
		"\xe2\x28\xa1",
	};
	static const char with_nul[] = "a{b=\"x\0y\"} 1\n";
	char text[64];

	(void) state;
	expect_good("# HELP a \xe2\x82\xac\na{b=\"\xc3\xa4\xf0\x9f\x98\x80\xf4\x8f\xbf\xbf\"} 1\n",
				TEXT);
	expect("a{b=\xc3\xa4\xf0\x9f\x98\x80\xf4\x8f\xbf\xbf}", PERFOPT_OPENMETRICS_UNKNOWN,
		   PERFOPT_OPENMETRICS_LEVEL, 1);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
	{
		snprintf(text, sizeof(text), "ok 1\na{b=\"%s\"} 1\n", bad[i]);
		if (parse_bytes(text, strlen(text), TEXT, MAX_SAMPLES, keep, NULL))
			fail_msg("bad UTF-8 no. %zu is taken", i);
		assert_true(strncmp(error, "line 2: byte 6 (0x", 18) == 0);
	}
	expect_bad("# HELP a \xff\n", TEXT, "line 1: byte 10 (0xff) is not valid UTF-8");
	assert_false(parse_bytes(with_nul, sizeof(with_nul) - 1, TEXT, MAX_SAMPLES, keep, NULL));
	assert_string_equal(error, "line 1: byte 7 is a NUL");

	/* What an error shows of the text ends with a whole character. */
	expect_bad(
		"a x\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac\xe2\x82"
		"\xac\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac\xe2\x82"
		"\xac\n",
		TEXT,
		"line 1: the value \"x\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac\xe2"
		"\x82\xac\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac\xe2"
		"\x82\xac\" is not a number, or too large for one");
}

static void
test_labels_without_value_are_none(void **state)
{
	(void) state;
	expect_good("a{b=\"\",c=\"d\",b=\"\"} 1\n", TEXT);
	expect("a{c=d}", PERFOPT_OPENMETRICS_UNKNOWN, PERFOPT_OPENMETRICS_LEVEL, 1);
}

/* A sample belongs to the metadata before it only by name and type. */
static void
test_families(void **state)
{
	(void) state;
	expect_good("# TYPE a counter\n# HELP a of a\n"
				"a_total 1\na_bucket 2\nab 3\nb 4\na 5\n"
				"# TYPE c gauge\nc 6\nc_total 7\na_total 8\n"
				"# HELP d of d\nd 9\n",
				TEXT);
	expect("a_total{}", PERFOPT_OPENMETRICS_COUNTER, PERFOPT_OPENMETRICS_TOTAL, 1);
	expect("a_bucket{}", PERFOPT_OPENMETRICS_UNKNOWN, PERFOPT_OPENMETRICS_LEVEL, 2);
	expect("ab{}", PERFOPT_OPENMETRICS_UNKNOWN, PERFOPT_OPENMETRICS_LEVEL, 3);
	assert_string_equal(find("ab{}")->help, "");
	expect("b{}", PERFOPT_OPENMETRICS_UNKNOWN, PERFOPT_OPENMETRICS_LEVEL, 4);
	expect("a{}", PERFOPT_OPENMETRICS_COUNTER, PERFOPT_OPENMETRICS_TOTAL, 5);
	expect("c{}", PERFOPT_OPENMETRICS_GAUGE, PERFOPT_OPENMETRICS_LEVEL, 6);
	expect("c_total{}", PERFOPT_OPENMETRICS_UNKNOWN, PERFOPT_OPENMETRICS_LEVEL, 7);
	assert_int_equal(kept[7].type, PERFOPT_OPENMETRICS_UNKNOWN);
	expect("d{}", PERFOPT_OPENMETRICS_UNKNOWN, PERFOPT_OPENMETRICS_LEVEL, 9);
	assert_string_equal(find("d{}")->help, "of d");
}

static void
test_limits(void **state)
{
	char text[4096];
	int n = 0;

	(void) state;
	assert_true(parse_bytes("a 1\na 2\n", 8, TEXT, 2, keep, NULL));
	assert_false(parse_bytes("a 1\na 2\na 3\n", 12, TEXT, 2, keep, NULL));
	assert_string_equal(error, "line 3: more than 2 samples");
	assert_int_equal(nkept, 2);

	n = snprintf(text, sizeof(text), "a{");
	for (int i = 0; i < PERFOPT_OPENMETRICS_MAX_LABELS; i++)
		n += snprintf(text + n, sizeof(text) - n, "l%d=\"%d\",", i, i);
	snprintf(text + n, sizeof(text) - n, "} 1\n");
	expect_good(text, TEXT);
	snprintf(text + n, sizeof(text) - n, "m=\"1\"} 1\n");
	expect_bad(text, TEXT, "line 1: more than 32 labels");

	memset(text, 'n', sizeof(text));
	snprintf(text + PERFOPT_OPENMETRICS_MAX_NAME, 10, " 1\n");
	expect_good(text, TEXT);
	memset(text, 'n', sizeof(text));
	snprintf(text + PERFOPT_OPENMETRICS_MAX_NAME + 1, 10, " 1\n");
	expect_bad(text, TEXT, "line 1: a name has more than 200 bytes");

	memset(text, 'v', sizeof(text));
	text[0] = 'a';
	text[1] = '{';
	text[2] = 'b';
	text[3] = '=';
	text[4] = '"';
	snprintf(text + 5 + PERFOPT_OPENMETRICS_MAX_VALUE, 10, "\"} 1\n");
	assert_true(parse_bytes(text, strlen(text), TEXT, MAX_SAMPLES, keep, NULL));
	memset(text + 5, 'v', sizeof(text) - 5);
	snprintf(text + 6 + PERFOPT_OPENMETRICS_MAX_VALUE, 10, "\"} 1\n");
	expect_bad(text, TEXT, "line 1: a label value has more than 1024 bytes");
}

static void
test_content_types(void **state)
{
	(void) state;
	assert_int_equal(perfopt_openmetrics_format(NULL), TEXT);
	assert_int_equal(perfopt_openmetrics_format(""), TEXT);
	assert_int_equal(perfopt_openmetrics_format("text/plain; version=0.0.4; charset=utf-8"), TEXT);
	assert_int_equal(perfopt_openmetrics_format("application/openmetrics-textual"), TEXT);
	assert_int_equal(perfopt_openmetrics_format("application/openmetrics-text"), OPENMETRICS);
	assert_int_equal(perfopt_openmetrics_format(
						 "Application/OpenMetrics-Text; version=1.0.0; charset=utf-8"),
					 OPENMETRICS);
}

static const char whole[] = "# TYPE h_seconds histogram\n# UNIT h_seconds seconds\n"
							"# HELP h_seconds H\\\\\\n\n"
							"h_seconds_bucket{le=\"+Inf\",p=\"\\\"\\\\\\n\xc3\xa4\"} 17 1.5 # "
							"{i=\"j\"} 4 2\nh_seconds_count 17\n# EOF\n";

/* Every beginning of a good text is good or refused, and is read without a byte too far. */
static void
test_truncations(void **state)
{
	int samples = 0;

	(void) state;
	for (size_t length = 0; length < sizeof(whole) - 2; length++)
	{
		bool good = parse_bytes(whole, length, OPENMETRICS, MAX_SAMPLES, count_only, &samples);

		assert_int_equal(good, length == sizeof(whole) - 2);
		(void) parse_bytes(whole, length, TEXT, MAX_SAMPLES, count_only, &samples);
	}
	assert_true(
		parse_bytes(whole, sizeof(whole) - 1, OPENMETRICS, MAX_SAMPLES, count_only, &samples));
}

/* Random bytes, and good text with random changes. */
static void
test_noise(void **state)
{
	static const char alphabet[] = "ab_:{}=\",\\n # 0123.eE+-\n\t HELPTYPEOFUNITNaNInf\xc3\xa4\xff";
	uint64_t prng = 7;
	char text[256];
	int samples = 0;

	(void) state;
	for (int round = 0; round < 200000; round++)
	{
		size_t length = prng_next(&prng) % sizeof(text);
		PerfoptOpenmetricsFormat format = round % 2 ? TEXT : OPENMETRICS;

		if (round % 3 == 0)
		{
			for (size_t i = 0; i < length; i++)
				text[i] = (char) prng_next(&prng);
		}
		else if (round % 3 == 1)
		{
			for (size_t i = 0; i < length; i++)
				text[i] = alphabet[prng_next(&prng) % (sizeof(alphabet) - 1)];
		}
		else
		{
			length = sizeof(whole) - 1;
			memcpy(text, whole, length);
			for (int i = 0; i < 3; i++)
				text[prng_next(&prng) % length] =
					alphabet[prng_next(&prng) % (sizeof(alphabet) - 1)];
		}
		if (!parse_bytes(text, length, format, MAX_SAMPLES, count_only, &samples))
			assert_true(strncmp(error, "line ", 5) == 0);
	}
	assert_true(samples > 1000);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_prometheus_example),
		cmocka_unit_test(test_openmetrics_examples),
		cmocka_unit_test(test_text_is_lenient_about_blanks),
		cmocka_unit_test(test_openmetrics_is_strict),
		cmocka_unit_test(test_bad_lines),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_utf8),
		cmocka_unit_test(test_labels_without_value_are_none),
		cmocka_unit_test(test_families),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_content_types),
		cmocka_unit_test(test_truncations),
		cmocka_unit_test(test_noise),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
