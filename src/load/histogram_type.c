/*
 * histogram_type.c
 *	  The SQL type perfopt.histogram, its functions and its aggregates.
 *
 * A value is the encoded form of math/histogram.h and is validated whenever it is read.  Its text
 * is JSON, in which a bucket is named by its midpoint:
 *
 *		{"count": 3, "sum": 4, "min": 0, "max": 3, "zeros": 1, "bits": 7,
 *		 "buckets": {"1.00391": 1, "3.00781": 1}}
 *
 * Six significant digits of the midpoint are enough to find the bucket again, so the text form
 * round-trips to the same bytes.
 *
 * An aggregate's state is a hash table of the buckets in use: a group of five values costs about
 * half a kilobyte and one that spans a million-fold range of latencies some 60 kB, where flat
 * memory would take that much for the first value.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type_d.h"
#include "common/hashfn.h"
#include "common/shortest_dec.h"
#include "fmgr.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "libpq/pqformat.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"
#include "utils/numeric.h"
#include "utils/tuplestore.h"

#include "load/histogram_type.h"

#define INITIAL_BUCKETS 8

typedef struct BucketEntry
{
	uint32 key;
	uint32 status;
	uint64 count;
} BucketEntry;

#define SH_PREFIX bucket
#define SH_ELEMENT_TYPE BucketEntry
#define SH_KEY_TYPE uint32
#define SH_KEY key
#define SH_HASH_KEY(tb, key) murmurhash32(key)
#define SH_EQUAL(tb, a, b) ((a) == (b))
#define SH_SCOPE static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

/* head.nbuckets is not kept up: the table knows. */
typedef struct HistogramState
{
	PerfoptHistogramHead head;
	bucket_hash *buckets;
} HistogramState;

PG_FUNCTION_INFO_V1(perfopt_histogram_in);
PG_FUNCTION_INFO_V1(perfopt_histogram_out);
PG_FUNCTION_INFO_V1(perfopt_histogram_recv);
PG_FUNCTION_INFO_V1(perfopt_histogram_send);
PG_FUNCTION_INFO_V1(perfopt_histogram_add);
PG_FUNCTION_INFO_V1(perfopt_histogram_add_histogram);
PG_FUNCTION_INFO_V1(perfopt_histogram_combine);
PG_FUNCTION_INFO_V1(perfopt_histogram_serialize);
PG_FUNCTION_INFO_V1(perfopt_histogram_deserialize);
PG_FUNCTION_INFO_V1(perfopt_histogram_final);
PG_FUNCTION_INFO_V1(perfopt_histogram_get_quantile);
PG_FUNCTION_INFO_V1(perfopt_histogram_get_quantiles);
PG_FUNCTION_INFO_V1(perfopt_histogram_get_count);
PG_FUNCTION_INFO_V1(perfopt_histogram_get_sum);
PG_FUNCTION_INFO_V1(perfopt_histogram_get_mean);
PG_FUNCTION_INFO_V1(perfopt_histogram_get_min);
PG_FUNCTION_INFO_V1(perfopt_histogram_get_max);
PG_FUNCTION_INFO_V1(perfopt_histogram_get_buckets);

static PerfoptHistogramReader
open_value(const bytea *value)
{
	PerfoptHistogramReader reader;

	if (!perfopt_histogram_open(&reader, (const uint8_t *) VARDATA_ANY(value),
								VARSIZE_ANY_EXHDR(value)))
		ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED), errmsg("stored histogram is damaged")));
	return reader;
}

static bytea *
make_value(const PerfoptHistogramHead *head, const PerfoptHistogramBucket *buckets)
{
	size_t len = perfopt_histogram_write(head, buckets, NULL, 0);
	bytea *value = palloc(VARHDRSZ + len);

	perfopt_histogram_write(head, buckets, (uint8_t *) VARDATA(value), len);
	SET_VARSIZE(value, VARHDRSZ + len);
	return value;
}

Datum
perfopt_histogram_datum(const PerfoptHistogram *h)
{
	size_t len = perfopt_histogram_encode(h, NULL, 0);
	bytea *value = palloc(VARHDRSZ + len);

	perfopt_histogram_encode(h, (uint8_t *) VARDATA(value), len);
	SET_VARSIZE(value, VARHDRSZ + len);
	return PointerGetDatum(value);
}

bool
perfopt_histogram_add_datum(PerfoptHistogram *into, Datum datum)
{
	const struct varlena *value = PG_DETOAST_DATUM_PACKED(datum);

	return perfopt_histogram_decode(into, (const uint8_t *) VARDATA_ANY(value),
									VARSIZE_ANY_EXHDR(value));
}

static int
compare_buckets(const void *a, const void *b)
{
	uint32 x = ((const PerfoptHistogramBucket *) a)->key;
	uint32 y = ((const PerfoptHistogramBucket *) b)->key;

	return (x > y) - (x < y);
}

static void
bad_text(const char *detail)
{
	ereport(
		ERROR,
		(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION), errmsg("invalid input for type histogram"),
		 errdetail_internal("%s", detail),
		 errhint(
			 "A histogram reads {\"count\": 3, \"sum\": 4, \"min\": 0, \"max\": 3, \"zeros\": 1, "
			 "\"bits\": 7, \"buckets\": {\"1.00391\": 1, \"3.00781\": 1}}; "
			 "make one from values with the aggregate perfopt.histogram(float8).")));
}

static char *
number_text(const JsonbValue *v, const char *name)
{
	if (v->type != jbvNumeric)
		bad_text(psprintf("\"%s\" is not a number.", name));
	return DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(v->val.numeric)));
}

static double
parse_double(const char *text)
{
	return DatumGetFloat8(DirectFunctionCall1(float8in, CStringGetDatum(text)));
}

static uint64
parse_count(const JsonbValue *v, const char *name)
{
	int64 n = DatumGetInt64(DirectFunctionCall1(int8in, CStringGetDatum(number_text(v, name))));

	if (n < 0)
		bad_text(psprintf("\"%s\" is negative.", name));
	return (uint64) n;
}

/* One member of the outer object; "buckets" is kept for when the precision is known. */
static void
parse_member(PerfoptHistogramHead *head, JsonbContainer **buckets, const char *name,
			 const JsonbValue *v)
{
	if (strcmp(name, "count") == 0)
		head->count = parse_count(v, name);
	else if (strcmp(name, "zeros") == 0)
		head->zeros = parse_count(v, name);
	else if (strcmp(name, "bits") == 0)
	{
		uint64 bits = parse_count(v, name);

		if (bits < PERFOPT_HISTOGRAM_MIN_BITS || bits > PERFOPT_HISTOGRAM_MAX_BITS)
			bad_text(psprintf("\"bits\" must be from %d to %d.", PERFOPT_HISTOGRAM_MIN_BITS,
							  PERFOPT_HISTOGRAM_MAX_BITS));
		head->bits = (int32_t) bits;
	}
	else if (strcmp(name, "sum") == 0)
		head->sum = parse_double(number_text(v, name));
	else if (strcmp(name, "min") == 0)
		head->min = parse_double(number_text(v, name));
	else if (strcmp(name, "max") == 0)
		head->max = parse_double(number_text(v, name));
	else if (strcmp(name, "buckets") == 0)
	{
		if (v->type != jbvBinary || !JsonContainerIsObject(v->val.binary.data))
			bad_text("\"buckets\" is not an object.");
		*buckets = v->val.binary.data;
	}
	else
		bad_text(psprintf("It has no member \"%s\".", name));
}

static PerfoptHistogramBucket *
parse_buckets(PerfoptHistogramHead *head, JsonbContainer *container)
{
	uint32 n = JsonContainerSize(container);
	PerfoptHistogramBucket *buckets = palloc(Max(n, 1) * sizeof *buckets);
	JsonbIterator *it = JsonbIteratorInit(container);
	JsonbIteratorToken token;
	JsonbValue v;
	const char *name = "";

	while ((token = JsonbIteratorNext(&it, &v, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
			name = pnstrdup(v.val.string.val, v.val.string.len);
		else if (token == WJB_VALUE)
		{
			double middle = parse_double(name);

			if (!(middle > 0) || isinf(middle))
				bad_text(psprintf("\"%s\" is not the middle of a bucket.", name));
			buckets[head->nbuckets].key = perfopt_histogram_key(middle, head->bits);
			buckets[head->nbuckets++].count = parse_count(&v, name);
		}
	}
	qsort(buckets, head->nbuckets, sizeof *buckets, compare_buckets);
	return buckets;
}

Datum
perfopt_histogram_in(PG_FUNCTION_ARGS)
{
	Jsonb *json = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, PG_GETARG_DATUM(0)));
	PerfoptHistogramHead head = { .bits = PERFOPT_HISTOGRAM_COARSE };
	PerfoptHistogramBucket *buckets = NULL;
	PerfoptHistogramReader reader;
	JsonbContainer *container = NULL;
	JsonbIterator *it;
	JsonbIteratorToken token;
	JsonbValue v;
	const char *name = "";
	bytea *value;

	if (!JB_ROOT_IS_OBJECT(json))
		bad_text("It is not a JSON object.");
	it = JsonbIteratorInit(&json->root);
	while ((token = JsonbIteratorNext(&it, &v, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
			name = pnstrdup(v.val.string.val, v.val.string.len);
		else if (token == WJB_VALUE)
			parse_member(&head, &container, name, &v);
	}
	if (container != NULL)
		buckets = parse_buckets(&head, container);

	value = make_value(&head, buckets);
	if (!perfopt_histogram_open(&reader, (const uint8_t *) VARDATA(value),
								VARSIZE(value) - VARHDRSZ) ||
		reader.head.count != head.count)
		bad_text("Its members contradict each other.");
	PG_RETURN_BYTEA_P(value);
}

static void
append_double(StringInfo buf, const char *name, double v)
{
	char text[DOUBLE_SHORTEST_DECIMAL_LEN];

	double_to_shortest_decimal_buf(v, text);
	appendStringInfo(buf, ", \"%s\": %s", name, text);
}

Datum
perfopt_histogram_out(PG_FUNCTION_ARGS)
{
	PerfoptHistogramReader reader = open_value(PG_GETARG_BYTEA_PP(0));
	PerfoptHistogramBucket bucket;
	const char *separator = "";
	StringInfoData buf;

	initStringInfo(&buf);
	appendStringInfo(&buf, "{\"count\": " UINT64_FORMAT, reader.head.count);
	if (reader.head.count > 0)
	{
		append_double(&buf, "sum", reader.head.sum);
		append_double(&buf, "min", reader.head.min);
		append_double(&buf, "max", reader.head.max);
	}
	appendStringInfo(&buf, ", \"zeros\": " UINT64_FORMAT ", \"bits\": %d, \"buckets\": {",
					 reader.head.zeros, reader.head.bits);
	while (perfopt_histogram_next(&reader, &bucket))
	{
		appendStringInfo(&buf, "%s\"%.6g\": " UINT64_FORMAT, separator,
						 perfopt_histogram_key_middle(bucket.key, reader.head.bits), bucket.count);
		separator = ", ";
	}
	appendStringInfoString(&buf, "}}");
	PG_RETURN_CSTRING(buf.data);
}

/* Binary form: the encoded bytes themselves, whose first one is the version of the format. */

Datum
perfopt_histogram_recv(PG_FUNCTION_ARGS)
{
	StringInfo buf = (StringInfo) PG_GETARG_POINTER(0);
	int len = buf->len - buf->cursor;
	bytea *value = palloc(VARHDRSZ + len);
	PerfoptHistogramReader reader;

	SET_VARSIZE(value, VARHDRSZ + len);
	pq_copymsgbytes(buf, VARDATA(value), len);
	if (!perfopt_histogram_open(&reader, (const uint8_t *) VARDATA(value), len))
		ereport(ERROR, (errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
						errmsg("invalid binary form of a histogram")));
	PG_RETURN_BYTEA_P(value);
}

Datum
perfopt_histogram_send(PG_FUNCTION_ARGS)
{
	bytea *value = PG_GETARG_BYTEA_PP(0);
	StringInfoData buf;

	pq_begintypsend(&buf);
	pq_sendbytes(&buf, VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value));
	PG_RETURN_BYTEA_P(pq_endtypsend(&buf));
}

static HistogramState *
make_state(MemoryContext context, int bits)
{
	HistogramState *state = MemoryContextAllocZero(context, sizeof *state);

	state->head.bits = bits;
	state->buckets = bucket_create(context, INITIAL_BUCKETS, NULL);
	return state;
}

static MemoryContext
aggregate_context(FunctionCallInfo fcinfo)
{
	MemoryContext context;

	if (!AggCheckCallContext(fcinfo, &context))
		ereport(
			ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("this function can only be called as part of an aggregate"),
			 errhint(
				 "Use the aggregates perfopt.histogram(float8) and perfopt.merge(histogram).")));
	return context;
}

static void
add_to_bucket(HistogramState *state, uint32 key, uint64 count)
{
	bool found;
	BucketEntry *entry = bucket_insert(state->buckets, key, &found);

	entry->count = (found ? entry->count : 0) + count;
}

/* Everything of a histogram except its buckets. */
static void
add_to_head(HistogramState *state, const PerfoptHistogramHead *from)
{
	PerfoptHistogramHead *head = &state->head;

	if (from->count > (uint64) PERFOPT_HISTOGRAM_MAX_COUNT - head->count)
		ereport(ERROR, (errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
						errmsg("count of the histogram is out of range for type bigint")));
	if (isinf(head->sum + from->sum))
		ereport(ERROR, (errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
						errmsg("sum of the histogram is out of range for type double precision")));
	if (head->count == 0 || from->min < head->min)
		head->min = from->min;
	if (from->max > head->max)
		head->max = from->max;
	head->count += from->count;
	head->sum += from->sum;
	head->zeros += from->zeros;
}

/*
 * The buckets in ascending order.  Filling one simplehash in the order of another would cluster in
 * it, so tables are also combined through this.
 */
static PerfoptHistogramBucket *
sorted_buckets(const HistogramState *state)
{
	PerfoptHistogramBucket *buckets = palloc(Max(state->buckets->members, 1) * sizeof *buckets);
	bucket_iterator it;
	BucketEntry *entry;
	int n = 0;

	bucket_start_iterate(state->buckets, &it);
	while ((entry = bucket_iterate(state->buckets, &it)) != NULL)
	{
		buckets[n].key = entry->key;
		buckets[n++].count = entry->count;
	}
	qsort(buckets, n, sizeof *buckets, compare_buckets);
	return buckets;
}

static void
coarsen_state(HistogramState *state, int bits)
{
	PerfoptHistogramBucket *buckets;
	uint32 n = state->buckets->members;
	int shift = state->head.bits - bits;

	if (shift <= 0)
		return;
	buckets = sorted_buckets(state);
	bucket_reset(state->buckets);
	for (uint32 i = 0; i < n; i++)
		add_to_bucket(state, buckets[i].key >> shift, buckets[i].count);
	state->head.bits = bits;
	pfree(buckets);
}

static void
add_value(HistogramState *state, const bytea *value)
{
	PerfoptHistogramReader reader = open_value(value);
	PerfoptHistogramBucket bucket;

	coarsen_state(state, reader.head.bits);
	if (reader.head.count == 0)
		return;
	add_to_head(state, &reader.head);
	while (perfopt_histogram_next(&reader, &bucket))
		add_to_bucket(state, bucket.key >> (reader.head.bits - state->head.bits), bucket.count);
}

Datum
perfopt_histogram_add(PG_FUNCTION_ARGS)
{
	MemoryContext context = aggregate_context(fcinfo);
	HistogramState *state = PG_ARGISNULL(0) ? NULL : (HistogramState *) PG_GETARG_POINTER(0);
	PerfoptHistogramHead one = { .count = 1 };
	double v;

	if (PG_ARGISNULL(1))
	{
		if (state == NULL)
			PG_RETURN_NULL();
		PG_RETURN_POINTER(state);
	}
	v = PG_GETARG_FLOAT8(1);
	if (!(v >= 0) || isinf(v))
		ereport(ERROR, (errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
						errmsg("a histogram cannot hold the value %s",
							   DatumGetCString(DirectFunctionCall1(float8out, Float8GetDatum(v)))),
						errhint("Histograms hold finite numbers that are not negative; "
								"leave others out with FILTER (WHERE ...).")));

	if (state == NULL)
		state = make_state(context, PERFOPT_HISTOGRAM_COARSE);
	one.zeros = v == 0;
	one.sum = one.min = one.max = v == 0 ? 0 : v;
	add_to_head(state, &one);
	if (v > 0)
		add_to_bucket(state, perfopt_histogram_key(v, state->head.bits), 1);
	PG_RETURN_POINTER(state);
}

Datum
perfopt_histogram_add_histogram(PG_FUNCTION_ARGS)
{
	MemoryContext context = aggregate_context(fcinfo);
	HistogramState *state = PG_ARGISNULL(0) ? NULL : (HistogramState *) PG_GETARG_POINTER(0);

	if (!PG_ARGISNULL(1))
	{
		if (state == NULL)
			state = make_state(context, PERFOPT_HISTOGRAM_MAX_BITS);
		add_value(state, PG_GETARG_BYTEA_PP(1));
	}
	if (state == NULL)
		PG_RETURN_NULL();
	PG_RETURN_POINTER(state);
}

Datum
perfopt_histogram_combine(PG_FUNCTION_ARGS)
{
	MemoryContext context = aggregate_context(fcinfo);
	HistogramState *state = PG_ARGISNULL(0) ? NULL : (HistogramState *) PG_GETARG_POINTER(0);
	HistogramState *other = PG_ARGISNULL(1) ? NULL : (HistogramState *) PG_GETARG_POINTER(1);

	if (other != NULL)
	{
		PerfoptHistogramBucket *buckets = sorted_buckets(other);

		if (state == NULL)
			state = make_state(context, other->head.bits);
		coarsen_state(state, other->head.bits);
		add_to_head(state, &other->head);
		for (uint32 i = 0; i < other->buckets->members; i++)
			add_to_bucket(state, buckets[i].key >> (other->head.bits - state->head.bits),
						  buckets[i].count);
		pfree(buckets);
	}
	if (state == NULL)
		PG_RETURN_NULL();
	PG_RETURN_POINTER(state);
}

static bytea *
value_of_state(const HistogramState *state)
{
	PerfoptHistogramHead head = state->head;
	PerfoptHistogramBucket *buckets = sorted_buckets(state);
	bytea *value;

	head.nbuckets = state->buckets->members;
	value = make_value(&head, buckets);
	pfree(buckets);
	return value;
}

/* The SQL declarations of these three are strict, so that they see no NULL state. */

Datum
perfopt_histogram_serialize(PG_FUNCTION_ARGS)
{
	aggregate_context(fcinfo);
	PG_RETURN_BYTEA_P(value_of_state((HistogramState *) PG_GETARG_POINTER(0)));
}

Datum
perfopt_histogram_deserialize(PG_FUNCTION_ARGS)
{
	HistogramState *state;

	aggregate_context(fcinfo);
	state = make_state(CurrentMemoryContext, PERFOPT_HISTOGRAM_MAX_BITS);
	add_value(state, PG_GETARG_BYTEA_PP(0));
	PG_RETURN_POINTER(state);
}

Datum
perfopt_histogram_final(PG_FUNCTION_ARGS)
{
	aggregate_context(fcinfo);
	PG_RETURN_BYTEA_P(value_of_state((HistogramState *) PG_GETARG_POINTER(0)));
}

static void
check_quantile(double q)
{
	if (!(q >= 0 && q <= 1))
		ereport(ERROR, (errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
						errmsg("quantile %s is not between 0 and 1",
							   DatumGetCString(DirectFunctionCall1(float8out, Float8GetDatum(q)))),
						errhint("For the 95th percentile, ask for 0.95.")));
}

Datum
perfopt_histogram_get_quantile(PG_FUNCTION_ARGS)
{
	PerfoptHistogramReader reader = open_value(PG_GETARG_BYTEA_PP(0));
	double q = PG_GETARG_FLOAT8(1);

	check_quantile(q);
	if (reader.head.count == 0)
		PG_RETURN_NULL();
	PG_RETURN_FLOAT8(perfopt_histogram_read_quantile(reader, q));
}

/* An array of the same shape, NULL where the argument is. */
Datum
perfopt_histogram_get_quantiles(PG_FUNCTION_ARGS)
{
	PerfoptHistogramReader reader = open_value(PG_GETARG_BYTEA_PP(0));
	ArrayType *array = PG_GETARG_ARRAYTYPE_P(1);
	Datum *values;
	bool *nulls;
	int n;

	deconstruct_array(array, FLOAT8OID, sizeof(float8), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE, &values,
					  &nulls, &n);
	for (int i = 0; i < n; i++)
	{
		if (nulls[i])
			continue;
		check_quantile(DatumGetFloat8(values[i]));
		nulls[i] = reader.head.count == 0;
		values[i] =
			Float8GetDatum(perfopt_histogram_read_quantile(reader, DatumGetFloat8(values[i])));
	}
	PG_RETURN_ARRAYTYPE_P(construct_md_array(values, nulls, ARR_NDIM(array), ARR_DIMS(array),
											 ARR_LBOUND(array), FLOAT8OID, sizeof(float8),
											 FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
}

Datum
perfopt_histogram_get_count(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT64((int64) open_value(PG_GETARG_BYTEA_PP(0)).head.count);
}

Datum
perfopt_histogram_get_sum(PG_FUNCTION_ARGS)
{
	PG_RETURN_FLOAT8(open_value(PG_GETARG_BYTEA_PP(0)).head.sum);
}

Datum
perfopt_histogram_get_mean(PG_FUNCTION_ARGS)
{
	PerfoptHistogramReader reader = open_value(PG_GETARG_BYTEA_PP(0));

	if (reader.head.count == 0)
		PG_RETURN_NULL();
	PG_RETURN_FLOAT8(reader.head.sum / (double) reader.head.count);
}

Datum
perfopt_histogram_get_min(PG_FUNCTION_ARGS)
{
	PerfoptHistogramReader reader = open_value(PG_GETARG_BYTEA_PP(0));

	if (reader.head.count == 0)
		PG_RETURN_NULL();
	PG_RETURN_FLOAT8(reader.head.min);
}

Datum
perfopt_histogram_get_max(PG_FUNCTION_ARGS)
{
	PerfoptHistogramReader reader = open_value(PG_GETARG_BYTEA_PP(0));

	if (reader.head.count == 0)
		PG_RETURN_NULL();
	PG_RETURN_FLOAT8(reader.head.max);
}

static void
put_bucket(ReturnSetInfo *result, double low, double high, uint64 count)
{
	Datum values[3] = { Float8GetDatum(low), Float8GetDatum(high), Int64GetDatum((int64) count) };
	bool nulls[3] = { false, false, false };

	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

Datum
perfopt_histogram_get_buckets(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	PerfoptHistogramReader reader = open_value(PG_GETARG_BYTEA_PP(0));
	PerfoptHistogramBucket bucket;

	InitMaterializedSRF(fcinfo, 0);
	if (reader.head.zeros > 0)
		put_bucket(result, 0, 0, reader.head.zeros);
	while (perfopt_histogram_next(&reader, &bucket))
		put_bucket(result, perfopt_histogram_key_low(bucket.key, reader.head.bits),
				   perfopt_histogram_key_high(bucket.key, reader.head.bits), bucket.count);
	return (Datum) 0;
}
