/*
 * openmetrics.c
 *	  Applications that expose metrics: targets of TYPE openmetrics, scraped as Prometheus does.
 *
 * Names, labels and kinds are the application's, so the metrics of this source are not a table but made
 * for each scrape.  An exposition with a bad line, or one that did not come whole, has no values at all:
 * half a picture would be taken for a whole one.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "executor/spi.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

#include "collect/collect.h"
#include "collect/http_client.h"
#include "collect/openmetrics_text.h"
#include "collect/prober.h"
#include "target/target.h"

#define SOURCE "openmetrics"
#define APPLICATION "application"

#define MAX_BODY_BYTES (16 * 1024 * 1024)
#define MAX_SERIES 2000    /* of a target; those past them are counted only */
#define MAX_SAMPLES 500000 /* in an exposition; more is an error */
#define MAX_REDIRECTS 3
#define MAX_HELP 500 /* bytes of a help that are kept */

/* In front of the names of labels and metrics that perfopt uses itself, as Prometheus does it. */
#define EXPORTED "exported_"
#define LABEL_TARGET "target"

/* Scrapes after which a series or a name that did not come again is forgotten. */
#define FORGET_AFTER 20

#define ACCEPT "Accept: application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"

enum
{
	UP,
	SCRAPE_SECONDS,
	SERIES
};

const PerfoptMetric perfopt_openmetrics_metrics[] = {
	[UP] = { "openmetrics_up", APPLICATION, PERFOPT_GAUGE, "bool",
			 "Whether the application answered in time, with metrics that can be read" },
	[SCRAPE_SECONDS] = { "openmetrics_scrape_seconds", APPLICATION, PERFOPT_GAUGE, "seconds",
						 "Time from the request to the end of the answer" },
	[SERIES] = { "openmetrics_series", APPLICATION, PERFOPT_GAUGE, "series",
				 "Series that the application exposes, those past the limit too" },
};
const int perfopt_openmetrics_nmetrics = lengthof(perfopt_openmetrics_metrics);

/* A target of this cycle. */
typedef struct Asked
{
	const PerfoptTarget *target;
	PerfoptHttpAnswer *answer; /* NULL when the target cannot be asked */
} Asked;

static Asked *asked = NULL;
static int nasked = 0;

/* What is remembered of a series between scrapes, in this worker's own memory. */
typedef struct SeriesKey
{
	uint64 hash; /* of name and labels */
	uint64 serverid;
} SeriesKey;

typedef struct SeriesState
{
	SeriesKey key;
	uint64 scrape;      /* the last that had it */
	bool has_timestamp; /* then */
	double timestamp;
	double raw;
} SeriesState;

static HTAB *series_states = NULL;

/* Under which name an exposed name is kept; by kind, which two applications may disagree about. */
typedef struct NameKey
{
	char name[PERFOPT_OPENMETRICS_MAX_NAME + 1];
	char kind;
} NameKey;

typedef enum NameRule
{
	AS_IT_IS,
	WITH_PREFIX,
	REFUSED
} NameRule;

typedef struct NameState
{
	NameKey key;
	NameRule rule;
	uint64 scrape;
} NameState;

static HTAB *name_states = NULL;

/* What perfopt.metric says, read in the cycle that first needs it. */
typedef struct CatalogueEntry
{
	NameKey key; /* kind is 0 */
	PerfoptMetricKind kind;
	bool of_applications;
} CatalogueEntry;

/* Counts scrapes of all targets together. */
static uint64 scrape_no = 0;

/* What one scrape brought, and what is wrong with it. */
typedef struct Scrape
{
	const PerfoptTarget *target;
	PerfoptOpenmetricsSample *samples; /* the first MAX_SERIES */
	int nsamples;
	int nseries; /* all of them */
	int ntwice;
	int nrefused;
	int ntoo_long;
	char *first_over; /* names, for source_status */
	char *first_twice;
	char *first_refused;
	char *first_too_long;
	HTAB *catalogue;     /* NULL until it is needed */
	PerfoptMetric *last; /* samples of a metric follow each other */
} Scrape;

static void
open_states(void)
{
	HASHCTL series = { .keysize = sizeof(SeriesKey),
					   .entrysize = sizeof(SeriesState),
					   .hcxt = TopMemoryContext };
	HASHCTL names = { .keysize = sizeof(NameKey),
					  .entrysize = sizeof(NameState),
					  .hcxt = TopMemoryContext };

	if (series_states != NULL)
		return;
	name_states =
		hash_create("perfopt exposed names", 64, &names, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	series_states =
		hash_create("perfopt exposed series", 256, &series, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

static void
forget_old(uint64 scrapes_a_cycle)
{
	HASH_SEQ_STATUS scan;
	SeriesState *series;
	NameState *name;
	uint64 age = FORGET_AFTER * scrapes_a_cycle;

	hash_seq_init(&scan, series_states);
	while ((series = hash_seq_search(&scan)) != NULL)
		if (series->scrape + age < scrape_no)
			hash_search(series_states, &series->key, HASH_REMOVE, NULL);
	hash_seq_init(&scan, name_states);
	while ((name = hash_seq_search(&scan)) != NULL)
		if (name->scrape + age < scrape_no)
			hash_search(name_states, &name->key, HASH_REMOVE, NULL);
}

void
perfopt_start_openmetrics(PerfoptLoop *loop)
{
	List *unusable = NIL;
	List *usable;
	ListCell *cell;

	nasked = 0;
	usable = perfopt_prober_usable(SOURCE, "openmetrics", &unusable);
	asked = palloc0((list_length(usable) + list_length(unusable) + 1) * sizeof(Asked));
	foreach (cell, usable)
	{
		PerfoptTarget *target = lfirst(cell);
		PerfoptHttpRequest request;

		perfopt_http_request_of(target, &request);
		request.headers = perfopt_http_headers(target, ACCEPT);
		request.max_redirects = MAX_REDIRECTS;
		request.max_body = MAX_BODY_BYTES;
		request.keep_body = true;
		asked[nasked].target = target;
		asked[nasked++].answer = perfopt_http_start(loop, &request);
	}
	foreach (cell, unusable)
		asked[nasked++].target = lfirst(cell);
}

/* The parser's sink.  Nothing is added before the whole text is known to be good. */
static void
keep_sample(void *arg, const PerfoptOpenmetricsSample *sample)
{
	Scrape *scrape = arg;
	PerfoptOpenmetricsSample *kept;

	/* When a total began is of use to those only who have not seen it begin. */
	if (sample->part == PERFOPT_OPENMETRICS_CREATED || !isfinite(sample->value))
		return;
	if (scrape->nseries++ >= MAX_SERIES)
	{
		if (scrape->first_over == NULL)
			scrape->first_over = pstrdup(sample->name);
		return;
	}
	kept = &scrape->samples[scrape->nsamples++];
	*kept = *sample;
	kept->labels = memcpy(palloc(Max(sample->nlabels, 1) * sizeof(PerfoptOpenmetricsLabel)),
						  sample->labels, sample->nlabels * sizeof(PerfoptOpenmetricsLabel));
}

/* Text from outside is UTF-8; the database need not be. */
static const char *
to_database(const char *text)
{
	char *copy;

	if (GetDatabaseEncoding() == PG_UTF8)
		return text;
	copy = pstrdup(text);
	for (char *p = copy; *p != '\0'; p++)
	{
		if (IS_HIGHBIT_SET(*p))
			*p = '?';
	}
	return copy;
}

static bool
has_label(const PerfoptOpenmetricsSample *sample, const char *name)
{
	for (int i = 0; i < sample->nlabels; i++)
	{
		if (strcmp(sample->labels[i].name, name) == 0)
			return true;
	}
	return false;
}

/*
 * The target's label and the exposed ones, sorted, since applications need not keep to an order.
 * Returns how many.
 */
static int
make_labels(const Scrape *scrape, const PerfoptOpenmetricsSample *sample, PerfoptLabel *labels)
{
	labels[0] = (PerfoptLabel){ LABEL_TARGET, scrape->target->name };
	for (int i = 0; i < sample->nlabels; i++)
	{
		PerfoptLabel label = { sample->labels[i].name, to_database(sample->labels[i].value) };
		int j = i + 1;

		if (strcmp(label.name, LABEL_TARGET) == 0)
		{
			do
				label.name = psprintf(EXPORTED "%s", label.name);
			while (has_label(sample, label.name));
		}
		for (; j > 1 && strcmp(labels[j - 1].name, label.name) > 0; j--)
			labels[j] = labels[j - 1];
		labels[j] = label;
	}
	return sample->nlabels + 1;
}

static SeriesKey
series_key(const Scrape *scrape, const char *name, const PerfoptLabel *labels, int nlabels)
{
	SeriesKey key = { .serverid = scrape->target->serverid };

	key.hash = hash_bytes_extended((const unsigned char *) name, strlen(name), 0);
	for (int i = 0; i < nlabels; i++)
	{
		key.hash = hash_bytes_extended((const unsigned char *) labels[i].name,
									   strlen(labels[i].name), key.hash);
		key.hash = hash_bytes_extended((const unsigned char *) labels[i].value,
									   strlen(labels[i].value), key.hash);
	}
	return key;
}

static HTAB *
read_catalogue(void)
{
	MemoryContext context = CurrentMemoryContext;
	HASHCTL ctl = { .keysize = sizeof(NameKey),
					.entrysize = sizeof(CatalogueEntry),
					.hcxt = context };
	HTAB *catalogue =
		hash_create("perfopt metrics", 256, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);

	perfopt_collect_begin_sql();
	perfopt_collect_select("SELECT name, kind = 'counter', dimension = '" APPLICATION
						   "' FROM perfopt.metric");
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		HeapTuple tuple = SPI_tuptable->vals[i];
		TupleDesc desc = SPI_tuptable->tupdesc;
		NameKey key = { 0 };
		CatalogueEntry *entry;
		bool isnull;

		strlcpy(key.name, SPI_getvalue(tuple, desc, 1), sizeof(key.name));
		entry = hash_search(catalogue, &key, HASH_ENTER, NULL);
		entry->kind =
			DatumGetBool(SPI_getbinval(tuple, desc, 2, &isnull)) ? PERFOPT_COUNTER : PERFOPT_GAUGE;
		entry->of_applications = DatumGetBool(SPI_getbinval(tuple, desc, 3, &isnull));
	}
	perfopt_collect_end_sql();
	return catalogue;
}

/* Whether perfopt.metric has this name for something else. */
static bool
is_in_catalogue(Scrape *scrape, const char *name, PerfoptMetricKind kind)
{
	NameKey key = { 0 };
	CatalogueEntry *entry;

	if (scrape->catalogue == NULL)
		scrape->catalogue = read_catalogue();
	strlcpy(key.name, name, sizeof(key.name));
	entry = hash_search(scrape->catalogue, &key, HASH_FIND, NULL);
	return entry != NULL && (!entry->of_applications || entry->kind != kind);
}

static NameState *
find_name(const char *name, PerfoptMetricKind kind)
{
	NameKey key = { .kind = (char) kind };

	strlcpy(key.name, name, sizeof(key.name));
	return hash_search(name_states, &key, HASH_FIND, NULL);
}

/* A name is taken by perfopt's own metrics, by the catalogue, or by this one as another kind. */
static NameRule
make_rule(Scrape *scrape, const char *name, PerfoptMetricKind kind)
{
	const NameState *other =
		find_name(name, kind == PERFOPT_COUNTER ? PERFOPT_GAUGE : PERFOPT_COUNTER);
	NameRule others = other != NULL ? other->rule : REFUSED;
	const char *prefixed = psprintf(EXPORTED "%s", name);

	if (others != AS_IT_IS && !perfopt_collect_is_own(name) && !is_in_catalogue(scrape, name, kind))
		return AS_IT_IS;
	if (others != WITH_PREFIX && !is_in_catalogue(scrape, prefixed, kind))
		return WITH_PREFIX;
	return REFUSED;
}

static NameRule
rule_of(Scrape *scrape, const char *name, PerfoptMetricKind kind)
{
	NameState *state = find_name(name, kind);

	if (state == NULL)
	{
		NameRule rule = make_rule(scrape, name, kind);
		NameKey key = { .kind = (char) kind };

		strlcpy(key.name, name, sizeof(key.name));
		state = hash_search(name_states, &key, HASH_ENTER, NULL);
		state->rule = rule;
	}
	state->scrape = scrape_no;
	return state->rule;
}

static bool
ends_with(const char *name, const char *end)
{
	size_t length = strlen(name);

	return length >= strlen(end) && strcmp(name + length - strlen(end), end) == 0;
}

/* What UNIT said, else what the name says, as Prometheus' conventions have it; empty where neither does. */
static const char *
unit_of(const PerfoptOpenmetricsSample *sample)
{
	static const char *const units[] = { "seconds", "bytes",  "ratio", "celsius", "volts",
										 "amperes", "joules", "grams", "meters" };
	char *family;

	if (strcmp(sample->suffix, "_bucket") == 0 || strcmp(sample->suffix, "_count") == 0 ||
		strcmp(sample->suffix, "_gcount") == 0)
		return "observations";
	if (sample->unit[0] != '\0')
		return to_database(sample->unit);
	family = pnstrdup(sample->name, strlen(sample->name) - strlen(sample->suffix));
	if (ends_with(family, "_total"))
		family[strlen(family) - strlen("_total")] = '\0';
	for (int i = 0; i < lengthof(units); i++)
	{
		if (ends_with(family, psprintf("_%s", units[i])))
			return units[i];
	}
	return "";
}

/* The metric of a sample, made for this cycle; NULL when its name is refused. */
static const PerfoptMetric *
metric_of(Scrape *scrape, const PerfoptOpenmetricsSample *sample)
{
	PerfoptMetricKind kind =
		sample->part == PERFOPT_OPENMETRICS_TOTAL ? PERFOPT_COUNTER : PERFOPT_GAUGE;
	NameRule rule = rule_of(scrape, sample->name, kind);
	const char *name = rule == WITH_PREFIX ? psprintf(EXPORTED "%s", sample->name) : sample->name;
	PerfoptMetric *metric = scrape->last;
	char *help;

	if (rule == REFUSED)
		return NULL;
	if (metric != NULL && metric->kind == kind && strcmp(metric->name, name) == 0)
		return metric;

	help = pstrdup(to_database(sample->help));
	help[pg_mbcliplen(help, strlen(help), MAX_HELP)] = '\0';
	metric = palloc(sizeof(PerfoptMetric));
	metric->name = name;
	metric->dimension = APPLICATION;
	metric->kind = kind;
	metric->unit = unit_of(sample);
	metric->help = help;
	scrape->last = metric;
	return metric;
}

/*
 * A sample that bears its own time is new only when that changed.  A counter of that sort is not in each
 * batch, so its increase is reckoned here; any other is the store's to compare.  False when there is
 * nothing to add.
 */
static bool
add_value(PerfoptBatch *batch, const PerfoptMetric *metric, const PerfoptLabel *labels, int nlabels,
		  const PerfoptOpenmetricsSample *sample, SeriesState *state, bool known)
{
	SeriesState before = *state;
	bool had_timestamp = known && before.has_timestamp;

	state->has_timestamp = sample->has_timestamp;
	state->timestamp = sample->timestamp;
	state->raw = sample->value;
	if (had_timestamp && sample->has_timestamp && before.timestamp == sample->timestamp)
		return false;
	if (metric->kind == PERFOPT_COUNTER && sample->has_timestamp)
	{
		if (!known || sample->value < before.raw)
			return false;
		perfopt_batch_add_increase(batch, metric, labels, nlabels, sample->value - before.raw);
		return true;
	}
	/* What the store saw last of this counter was an increase. */
	if (metric->kind == PERFOPT_COUNTER && had_timestamp)
		return false;
	perfopt_batch_add(batch, metric, labels, nlabels, sample->value);
	return true;
}

static void
count_problem(int *n, char **first, const char *name)
{
	if ((*n)++ == 0)
		*first = pstrdup(name);
}

static void
add_sample(PerfoptBatch *batch, Scrape *scrape, const PerfoptOpenmetricsSample *sample)
{
	PerfoptLabel labels[PERFOPT_OPENMETRICS_MAX_LABELS + 1];
	int nlabels = make_labels(scrape, sample, labels);
	const PerfoptMetric *metric = metric_of(scrape, sample);
	SeriesState *state;
	SeriesKey key;
	bool known;
	int size;

	if (metric == NULL)
	{
		count_problem(&scrape->nrefused, &scrape->first_refused, sample->name);
		return;
	}
	key = series_key(scrape, metric->name, labels, nlabels);
	state = hash_search(series_states, &key, HASH_ENTER, &known);
	if (known && state->scrape == scrape_no)
	{
		count_problem(&scrape->ntwice, &scrape->first_twice, sample->name);
		return;
	}
	state->scrape = scrape_no;
	size = perfopt_batch_size(batch);
	if (add_value(batch, metric, labels, nlabels, sample, state, known) &&
		perfopt_batch_size(batch) == size)
		count_problem(&scrape->ntoo_long, &scrape->first_too_long, sample->name);
}

/* What is not kept of an exposition that is good otherwise, as one text; NULL when all is. */
static char *
shortcomings(const Scrape *scrape)
{
	const struct
	{
		int n;
		const char *first;
		const char *problem;
	} problems[] = {
		{ scrape->nseries - scrape->nsamples, scrape->first_over, "are past the limit" },
		{ scrape->ntwice, scrape->first_twice, "are there twice" },
		{ scrape->nrefused, scrape->first_refused, "have a name that means something else" },
		{ scrape->ntoo_long, scrape->first_too_long, "have too long labels" },
	};
	StringInfoData text;

	initStringInfo(&text);
	for (int i = 0; i < lengthof(problems); i++)
	{
		if (problems[i].n > 0)
			appendStringInfo(&text, "%s%d %s (the first: %s)", text.len > 0 ? ", " : "",
							 problems[i].n, problems[i].problem, problems[i].first);
	}
	if (text.len == 0)
		return NULL;
	return psprintf("of %d series, of which %d are kept at most, %s", scrape->nseries, MAX_SERIES,
					text.data);
}

/* Reads an answer and adds what is in it; what is wrong, or NULL, and then *nseries is known. */
static char *
add_answer(PerfoptBatch *batch, const Asked *one, int *nseries)
{
	const PerfoptHttpAnswer *answer = one->answer;
	char *error = palloc(PERFOPT_OPENMETRICS_ERROR_BYTES);
	Scrape scrape = { .target = one->target };

	*nseries = -1;
	if (answer->error != NULL)
		return answer->error;
	if (answer->status != 200)
		return psprintf("the answer has status %d", answer->status);
	scrape.samples = palloc(MAX_SERIES * sizeof(PerfoptOpenmetricsSample));
	if (!perfopt_openmetrics_parse(answer->body, answer->body_length,
								   perfopt_openmetrics_format(answer->content_type), MAX_SAMPLES,
								   keep_sample, &scrape, error))
		return psprintf("the metrics cannot be read: %s", to_database(error));

	scrape_no++;
	for (int i = 0; i < scrape.nsamples; i++)
		add_sample(batch, &scrape, &scrape.samples[i]);
	*nseries = scrape.nseries;
	return shortcomings(&scrape);
}

void
perfopt_collect_openmetrics(PerfoptBatch *batch)
{
	open_states();
	for (int i = 0; i < nasked; i++)
	{
		PerfoptLabel label = { LABEL_TARGET, asked[i].target->name };
		const PerfoptHttpAnswer *answer = asked[i].answer;
		int nseries = -1;
		char *error;

		if (answer != NULL)
		{
			error = add_answer(batch, &asked[i], &nseries);
			perfopt_collect_note(SOURCE, asked[i].target->name, error, -1, answer->total * 1000.0);
		}
		perfopt_batch_add(batch, &perfopt_openmetrics_metrics[UP], &label, 1, nseries >= 0);
		if (nseries < 0)
			continue;
		perfopt_batch_add(batch, &perfopt_openmetrics_metrics[SERIES], &label, 1, nseries);
		perfopt_batch_add(batch, &perfopt_openmetrics_metrics[SCRAPE_SECONDS], &label, 1,
						  perfopt_prober_rounded(answer->total));
	}
	forget_old(Max(nasked, 1));
}
