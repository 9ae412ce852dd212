/*
 * record.c
 *	  perfopt.record_metric(): samples that applications bring, also with a time in the past.
 */
#include "postgres.h"

#include <ctype.h>
#include <math.h>

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/timestamp.h"

#include "guc.h"
#include "store/stream.h"

#define WRITER "recorded"

#define MAX_METRIC 200
#define MAX_LABELS 32
#define MAX_LABEL_BYTES 512 /* of all labels as text */

/* Clocks of applications differ a little from the server's. */
#define MAX_AHEAD_US (5 * 60 * INT64CONST(1000000))

PG_FUNCTION_INFO_V1(perfopt_record_metric);

static void
check_name(const char *name)
{
	const char *p = name;

	if (isalpha((unsigned char) *p) || *p == '_' || *p == ':')
		while (isalnum((unsigned char) *p) || *p == '_' || *p == ':')
			p++;
	if (p == name || *p != '\0' || p - name > MAX_METRIC)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_NAME),
				 errmsg("\"%s\" cannot be the name of a metric", name),
				 errhint("A name has letters, digits and underscores, does not begin with a digit "
						 "and has %d bytes at most, for example shop_orders_total.",
						 MAX_METRIC)));
}

static void
check_labels(Jsonb *labels)
{
	JsonbIterator *it;
	JsonbIteratorToken token;
	JsonbValue value;
	bool plain = JB_ROOT_IS_OBJECT(labels);

	it = JsonbIteratorInit(&labels->root);
	for (int depth = 0; plain && (token = JsonbIteratorNext(&it, &value, false)) != WJB_DONE;)
	{
		if (token == WJB_BEGIN_OBJECT || token == WJB_BEGIN_ARRAY)
			plain = ++depth == 1;
		else if (token == WJB_VALUE)
			plain = value.type == jbvString;
	}
	if (!plain)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("labels must be a JSON object of texts"),
						errhint("For example {\"queue\": \"mail\", \"host\": \"app1\"}; write "
								"numbers as texts too.")));
	if (JB_ROOT_COUNT(labels) > MAX_LABELS || VARSIZE(labels) > MAX_LABEL_BYTES)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED), errmsg("labels are too many or too long"),
				 errdetail("There may be %d of them, with %d bytes in all.", MAX_LABELS,
						   MAX_LABEL_BYTES),
				 errhint("Labels tell a few series apart; what differs from sample to "
						 "sample is no label.")));
}

static void
check_time(TimestampTz ts)
{
	TimestampTz now = GetCurrentTimestamp();

	if (TIMESTAMP_NOT_FINITE(ts) || ts > now + MAX_AHEAD_US)
		ereport(ERROR, (errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
						errmsg("a sample cannot have the time %s, which is in the future",
							   timestamptz_to_str(ts)),
						errhint("Leave out ts, which then is now().")));
	if (ts < now - perfopt_retention_raw_min * INT64CONST(60000000))
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("a sample of %s is older than samples are kept", timestamptz_to_str(ts)),
				 errhint("perfopt.retention_raw says for how long they are kept.")));
}

/* The unit that Prometheus' naming gives to a metric. */
static const char *
unit_of(const char *name)
{
	static const char *const units[] = { "seconds", "bytes",   "ratio",  "celsius", "meters",
										 "volts",   "amperes", "joules", "grams" };

	for (int i = 0; i < lengthof(units); i++)
	{
		char *word = psprintf("_%s", units[i]);
		const char *found = strstr(name, word);

		if (found != NULL &&
			(found[strlen(word)] == '\0' || strcmp(found + strlen(word), "_total") == 0))
			return units[i];
	}
	return "value";
}

static bool
is_counter(const char *name)
{
	size_t length = strlen(name);

	return length > 6 && strcmp(name + length - 6, "_total") == 0;
}

/* The catalogue's row of a metric that applications record; ERROR where perfopt collects it itself. */
static void
describe_recorded(const char *name)
{
	static SPIPlanPtr select_plan = NULL;
	static SPIPlanPtr insert_plan = NULL;
	Oid types[] = { TEXTOID, TEXTOID, TEXTOID };
	Datum values[] = { CStringGetTextDatum(name),
					   CStringGetTextDatum(is_counter(name) ? "counter" : "gauge"),
					   CStringGetTextDatum(unit_of(name)) };
	bool isnull;

	perfopt_store_execute(&select_plan, "SELECT recorded FROM perfopt.metric WHERE name = $1", 1,
						  types, values, NULL);
	if (SPI_processed == 0)
		perfopt_store_execute(&insert_plan,
							  "INSERT INTO perfopt.metric (name, dimension, kind, unit, help,"
							  " recorded) VALUES ($1, 'application', $2, $3,"
							  " 'Recorded by an application', true) ON CONFLICT (name) DO NOTHING",
							  lengthof(types), types, values, NULL);
	else if (!DatumGetBool(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull)))
		ereport(ERROR, (errcode(ERRCODE_RESERVED_NAME),
						errmsg("metric \"%s\" is collected by perfopt itself", name),
						errhint("Record it under a name of the application's own.")));
}

Datum
perfopt_record_metric(PG_FUNCTION_ARGS)
{
	char *name = text_to_cstring(PG_GETARG_TEXT_PP(0));
	double value = PG_GETARG_FLOAT8(1);
	Jsonb *labels = PG_GETARG_JSONB_P(2);
	TimestampTz ts = PG_GETARG_TIMESTAMPTZ(3);
	Datum series;
	PerfoptSeriesName wanted = { .metric = name };

	check_name(name);
	check_labels(labels);
	check_time(ts);
	if (!isfinite(value) || (is_counter(name) && value < 0))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s cannot be a value of metric \"%s\"",
						DatumGetCString(DirectFunctionCall1(float8out, Float8GetDatum(value))),
						name),
				 is_counter(name)
					 ? errhint("The value of a counter (_total) is what it has grown by.")
					 : errhint("A value is a finite number; leave out what is unknown.")));

	SPI_connect();
	describe_recorded(name);
	wanted.labels = JsonbToCString(NULL, &labels->root, VARSIZE(labels));
	perfopt_series_resolve(&wanted, 1);
	if (wanted.series_id == 0)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("there is no room for another series of metric \"%s\"", name),
						errdetail("perfopt.max_series allows %d.", perfopt_max_series),
						errhint("Use fewer distinct labels, or raise perfopt.max_series.")));
	perfopt_store_put(PERFOPT_RAW, wanted.series_id, ts, &value, WRITER);
	series = Int32GetDatum(wanted.series_id);
	perfopt_rollup_note_late(ts, PointerGetDatum(construct_array_builtin(&series, 1, INT4OID)),
							 false);
	SPI_finish();
	PG_RETURN_VOID();
}
