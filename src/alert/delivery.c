/*
 * delivery.c
 *	  Events from perfopt.outbox to targets: webhooks, channels and streams of Redis.
 *
 * At least once and in order: of each target the oldest events are sent as one batch, which stays the same
 * batch, with the same idempotency key, until the target has confirmed it.  No two events of one alert
 * are in a batch.  A target that fails is tried again after 5 s, then twice as long each time, up to 5
 * minutes; the others and all alerting go on meanwhile.
 */
#include "postgres.h"

#include "access/xlog.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "alert/alert.h"
#include "collect/http_client.h"
#include "collect/prober.h"
#include "collect/redis_session.h"
#include "worker/worker.h"

#define SOURCE "delivery"

#define MAX_ANSWER_BYTES (1024 * 1024)

/* So many entries a stream keeps, roughly. */
#define STREAM_LENGTH "10000"

static void start(PerfoptLoop *loop);
static void conclude(PerfoptBatch *batch);

static const int no_metrics = 0;

const PerfoptSource perfopt_delivery_source = { SOURCE, "external",  0,    conclude,
												NULL,   &no_metrics, start };

typedef struct Delivery
{
	const PerfoptTarget *target;
	int64 batch;
	bool more;  /* events wait behind this batch */
	char *body; /* of a webhook */
	char *key;
	int nevents; /* of Redis: each as JSON, with its number */
	char **events;
	char **event_ids;
	int replies_due;
	PerfoptHttpAnswer *answer;
	char *error; /* of Redis */
	int64 began_us;
	double wall_ms;
} Delivery;

/* This cycle's, in its memory context. */
static List *deliveries = NIL;

static char *
column_text(uint64 row, int n)
{
	char *value = SPI_getvalue(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, n);

	return value ? value : pstrdup("");
}

static void
text_array(uint64 row, int n, MemoryContext context, char ***texts, int *ntexts)
{
	bool isnull;
	Datum value = SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, n, &isnull);
	Datum *elements;
	bool *nulls;

	deconstruct_array(DatumGetArrayTypeP(value), TEXTOID, -1, false, TYPALIGN_INT, &elements,
					  &nulls, ntexts);
	*texts = MemoryContextAlloc(context, Max(*ntexts, 1) * sizeof(char *));
	for (int i = 0; i < *ntexts; i++)
		(*texts)[i] = MemoryContextStrdup(context, TextDatumGetCString(elements[i]));
}

static const PerfoptTarget *
target_named(List *targets, const char *name)
{
	ListCell *cell;

	foreach (cell, targets)
	{
		const PerfoptTarget *target = lfirst(cell);

		if (strcmp(target->name, name) == 0)
			return target;
	}
	return NULL;
}

/* What is due, in a transaction that is over when this returns. */
static void
read_outbox(List *targets)
{
	MemoryContext context = CurrentMemoryContext;

	deliveries = NIL;
	perfopt_collect_begin_sql();
	perfopt_collect_execute("SELECT d.target, d.batch, d.more, d.key, d.body, d.event_ids, d.events"
							" FROM perfopt.next_deliveries() d",
							0, NULL, NULL);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		const PerfoptTarget *target = target_named(targets, column_text(i, 1));
		Delivery *delivery;
		bool isnull;
		MemoryContext sql_context;

		if (target == NULL)
			continue;
		delivery = MemoryContextAllocZero(context, sizeof(Delivery));
		delivery->target = target;
		delivery->batch =
			DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 2, &isnull));
		delivery->more =
			DatumGetBool(SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 3, &isnull));
		delivery->key = MemoryContextStrdup(context, column_text(i, 4));
		delivery->body = MemoryContextStrdup(context, column_text(i, 5));
		text_array(i, 6, context, &delivery->event_ids, &delivery->nevents);
		text_array(i, 7, context, &delivery->events, &delivery->nevents);
		sql_context = MemoryContextSwitchTo(context);
		deliveries = lappend(deliveries, delivery);
		MemoryContextSwitchTo(sql_context);
	}
	perfopt_collect_end_sql();
}

static void
start_webhook(PerfoptLoop *loop, Delivery *delivery)
{
	PerfoptHttpRequest request;
	const char **headers = perfopt_http_headers(delivery->target, "Content-Type: application/json");
	int n = 0;

	while (headers[n] != NULL)
		n++;
	headers = repalloc(headers, (n + 3) * sizeof(char *));
	headers[n++] = psprintf("Idempotency-Key: perfopt-" UINT64_FORMAT "-%s", GetSystemIdentifier(),
							delivery->key);

	/* Nobody should wait for leave to send what is small. */
	headers[n++] = "Expect:";
	headers[n] = NULL;
	perfopt_http_request_of(delivery->target, &request);
	request.headers = headers;
	request.content = delivery->body;
	request.max_body = MAX_ANSWER_BYTES;
	delivery->answer = perfopt_http_start(loop, &request);
}

static void
on_ready(PerfoptRedisSession *session, void *arg)
{
	Delivery *delivery = arg;
	const char *channel = perfopt_target_option(delivery->target, "event_channel");
	const char *stream = perfopt_target_option(delivery->target, "event_stream");

	/* What is not ours anymore once the session has ended is not asked. */
	for (int i = 0; i < delivery->nevents && delivery->wall_ms == 0; i++)
	{
		const char *publish[] = { "PUBLISH", channel, delivery->events[i] };
		const char *add[] = { "XADD",        stream,
							  "MAXLEN",      "~",
							  STREAM_LENGTH, "*",
							  "event_id",    delivery->event_ids[i],
							  "event",       delivery->events[i] };

		/* The stream first: who reads both finds there what he was told of. */
		if (stream != NULL)
			perfopt_redis_session_ask(session, lengthof(add), add);
		if (channel != NULL)
			perfopt_redis_session_ask(session, lengthof(publish), publish);
		delivery->replies_due += (stream != NULL) + (channel != NULL);
	}
}

static void
on_reply(PerfoptRedisSession *session, const redisReply *reply, void *arg)
{
	Delivery *delivery = arg;

	if (reply->type == REDIS_REPLY_ERROR)
		perfopt_redis_session_end(session, reply->str, reply->len);
	else if (--delivery->replies_due == 0)
		perfopt_redis_session_end(session, NULL, 0);
}

static void
on_ended(char *error, void *arg)
{
	Delivery *delivery = arg;

	delivery->error = error;
	delivery->wall_ms = Max((perfopt_loop_now_us() - delivery->began_us) / 1000.0, 0.001);
}

static void
start_redis(PerfoptLoop *loop, Delivery *delivery)
{
	static const PerfoptRedisCallbacks callbacks = { on_ready, on_reply, on_ended };

	(void) perfopt_redis_session_open(loop, delivery->target,
									  perfopt_prober_timeout_ms(delivery->target), &callbacks,
									  delivery);
}

/* Those that events go to. */
static List *
receivers(void)
{
	List *targets = perfopt_prober_usable(SOURCE, "webhook", NULL);
	ListCell *cell;

	foreach (cell, perfopt_prober_targets("redis"))
	{
		PerfoptTarget *target = lfirst(cell);

		if ((perfopt_target_option(target, "event_channel") != NULL ||
			 perfopt_target_option(target, "event_stream") != NULL) &&
			perfopt_target_problem(target) == NULL)
			targets = lappend(targets, target);
	}
	return targets;
}

static void
start(PerfoptLoop *loop)
{
	List *targets = receivers();
	ListCell *cell;

	deliveries = NIL;
	if (targets == NIL)
		return;
	read_outbox(targets);
	foreach (cell, deliveries)
	{
		Delivery *delivery = lfirst(cell);

		delivery->began_us = perfopt_loop_now_us();
		if (strcmp(delivery->target->type, "webhook") == 0)
			start_webhook(loop, delivery);
		else
			start_redis(loop, delivery);
	}
}

static const char *
problem_of(const Delivery *delivery)
{
	const PerfoptHttpAnswer *answer = delivery->answer;

	if (answer == NULL)
		return delivery->error;
	if (answer->error != NULL)
		return answer->error;
	return answer->status / 100 == 2 ? NULL : psprintf("the answer has status %d", answer->status);
}

static void
write_outcome(const Delivery *delivery, const char *problem)
{
	Oid types[] = { TEXTOID, INT8OID, TEXTOID };
	Datum values[] = { CStringGetTextDatum(delivery->target->name), Int64GetDatum(delivery->batch),
					   CStringGetTextDatum(problem ? problem : "") };

	perfopt_collect_execute("SELECT perfopt.conclude_delivery($1, $2, nullif($3, ''))",
							lengthof(types), types, values);
}

static void
conclude(PerfoptBatch *batch)
{
	bool more = false;
	ListCell *cell;

	if (deliveries == NIL)
		return;
	perfopt_collect_begin_sql();
	foreach (cell, deliveries)
	{
		const Delivery *delivery = lfirst(cell);
		const char *problem = problem_of(delivery);

		write_outcome(delivery, problem);
		more = more || (problem == NULL && delivery->more);
	}
	perfopt_collect_end_sql();
	foreach (cell, deliveries)
	{
		const Delivery *delivery = lfirst(cell);

		perfopt_collect_note(SOURCE, delivery->target->name, problem_of(delivery), -1,
							 delivery->answer ? delivery->answer->total * 1000 : delivery->wall_ms);
	}
	if (more)
		(void) perfopt_worker_request(perfopt_worker_index("perfopt prober"));
}
