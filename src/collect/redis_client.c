/*
 * redis_client.c
 *	  Asking Redis servers on the prober's loop.
 *
 * Only what hiredis 0.14 has is used, and of that only what reads and writes the protocol: later
 * versions can do TLS, but none does without a library of its own for it, and none looks up names
 * without waiting.
 */
#include "postgres.h"

#include <hiredis/hiredis.h>

#include "utils/memutils.h"

#include "collect/prober.h"
#include "collect/redis_client.h"
#include "collect/stream.h"

#define DEFAULT_PORT 6379

/* INFO has some 10 kB; who sends more than this is no Redis that we want in our memory. */
#define MAX_BYTES (1024 * 1024)

/* A list that is announced costs memory and time before it comes; ours have some dozens of elements. */
#define MAX_ELEMENTS 1000

#if HIREDIS_MAJOR >= 1
typedef size_t ElementCount;
#else
typedef int ElementCount;
#endif

#define MAX_ERROR 256
#define MAX_ARGUMENTS 4

/* What the next reply is an answer to; replies come in the order of the questions. */
typedef enum Question
{
	ASKED_AUTH,
	ASKED_PING,
	ASKED_INFO,
	ASKED_SLOWLOG,
	ASKED_LATENCY
} Question;

static const char *const stages[] = {
	[ASKED_AUTH] = "waiting for AUTH",       [ASKED_PING] = "waiting for PING",
	[ASKED_INFO] = "waiting for INFO",       [ASKED_SLOWLOG] = "waiting for SLOWLOG",
	[ASKED_LATENCY] = "waiting for LATENCY",
};

typedef struct Probe
{
	PerfoptRedisAnswer answer; /* first, so that it is what the caller keeps */
	PerfoptLoop *loop;
	PerfoptStream *stream;
	redisReader *reader; /* foreign memory */
	size_t received;
	bool too_large;
	PerfoptTimer deadline;
	int timeout_ms;
	bool connected;
	bool done;
	Question question;
	int64 began_us;
	int64 pinged_us;
} Probe;

static double
seconds_since(int64 us)
{
	return (perfopt_loop_now_us() - us) / 1e6;
}

static void
free_reader(void *arg)
{
	Probe *probe = arg;

	if (probe->reader != NULL)
		redisReaderFree(probe->reader);
	probe->reader = NULL;
}

/* The error is NULL where all went well. */
static void
finish(Probe *probe, const char *error, size_t length)
{
	char printable[MAX_ERROR];

	if (probe->done)
		return;
	probe->done = true;
	if (error != NULL)
	{
		perfopt_prober_printable(printable, sizeof(printable), error, length);
		probe->answer.error = MemoryContextStrdup(perfopt_loop_context(probe->loop), printable);
	}
	probe->answer.wall_ms = seconds_since(probe->began_us) * 1000.0;
	perfopt_stream_close(probe->stream);
	free_reader(probe);
	perfopt_loop_clear_timer(probe->loop, &probe->deadline);
	perfopt_loop_end_task(probe->loop);
}

static void
finish_with(Probe *probe, const char *error)
{
	finish(probe, error, strlen(error));
}

static void
ask(Probe *probe, int argc, const char **argv)
{
	char *command = NULL;
	int length = redisFormatCommandArgv(&command, argc, argv, NULL);

	if (length < 0)
	{
		finish_with(probe, "out of memory");
		return;
	}
	perfopt_stream_write(probe->stream, command, length);
	redisFreeCommand(command);
}

static void
ask_ping(Probe *probe)
{
	const char *argv[] = { "PING" };

	probe->question = ASKED_PING;
	probe->pinged_us = perfopt_loop_now_us();
	ask(probe, lengthof(argv), argv);
}

static void
on_connected(void *arg)
{
	Probe *probe = arg;
	const PerfoptTarget *target = probe->answer.target;
	const char *argv[MAX_ARGUMENTS];
	int argc = 0;

	probe->connected = true;
	if (target->password == NULL)
	{
		ask_ping(probe);
		return;
	}
	argv[argc++] = "AUTH";
	if (target->user != NULL)
		argv[argc++] = target->user;
	argv[argc++] = target->password;
	probe->question = ASKED_AUTH;
	ask(probe, argc, argv);
}

static void
on_pong(Probe *probe, const redisReply *reply)
{
	static const char *info[] = { "INFO", "all" };
	static const char *slowlog[] = { "SLOWLOG", "GET", "1" };
	static const char *latency[] = { "LATENCY", "LATEST" };

	/* NOAUTH, LOADING, MASTERDOWN ... are errors; the other may be no Redis at all. */
	if (reply->type != REDIS_REPLY_STATUS || strcmp(reply->str, "PONG") != 0)
	{
		finish_with(probe, "unexpected answer to PING");
		return;
	}
	probe->answer.ping_seconds = seconds_since(probe->pinged_us);
	probe->question = ASKED_INFO;
	ask(probe, lengthof(info), info);
	ask(probe, lengthof(slowlog), slowlog);
	ask(probe, lengthof(latency), latency);
}

static void
on_info(Probe *probe, const redisReply *reply)
{
	if (reply->type != REDIS_REPLY_STRING)
	{
		finish_with(probe, "unexpected answer to INFO");
		return;
	}
	probe->answer.info = MemoryContextAllocExtended(perfopt_loop_context(probe->loop),
													reply->len + 1, MCXT_ALLOC_NO_OOM);
	if (probe->answer.info == NULL)
	{
		finish_with(probe, "out of memory");
		return;
	}
	memcpy(probe->answer.info, reply->str, reply->len);
	probe->answer.info[reply->len] = '\0';
	probe->question = ASKED_SLOWLOG;
}

/* A user may lack the permission for this and the next; its metrics are absent then. */
static void
on_slowlog(Probe *probe, const redisReply *reply)
{
	probe->question = ASKED_LATENCY;
	if (reply->type == REDIS_REPLY_ARRAY && reply->elements > 0)
	{
		const redisReply *entry = reply->element[0];

		if (entry->type == REDIS_REPLY_ARRAY && entry->elements > 0 &&
			entry->element[0]->type == REDIS_REPLY_INTEGER)
			probe->answer.slowlog_last_id = (double) entry->element[0]->integer;
	}
}

static void
on_latency(Probe *probe, const redisReply *reply)
{
	PerfoptRedisAnswer *answer = &probe->answer;

	for (size_t i = 0; reply->type == REDIS_REPLY_ARRAY && i < reply->elements &&
					   answer->nspikes < PERFOPT_REDIS_MAX_SPIKES;
		 i++)
	{
		const redisReply *entry = reply->element[i];
		PerfoptRedisSpike *spike;

		/* Name, time, milliseconds of the latest, of the worst ever. */
		if (entry->type != REDIS_REPLY_ARRAY || entry->elements < 3 ||
			entry->element[0]->type != REDIS_REPLY_STRING ||
			entry->element[1]->type != REDIS_REPLY_INTEGER ||
			entry->element[2]->type != REDIS_REPLY_INTEGER)
			continue;
		spike = &answer->spikes[answer->nspikes++];
		perfopt_prober_printable(spike->event, sizeof(spike->event), entry->element[0]->str,
								 entry->element[0]->len);
		spike->at = (double) entry->element[1]->integer;
		spike->seconds = (double) entry->element[2]->integer / 1000.0;
	}
	finish(probe, NULL, 0);
}

/* What is wrong with AUTH may repeat the password; what sort of error it is may not. */
static size_t
shown_of_error(const Probe *probe, const redisReply *reply)
{
	return probe->question == ASKED_AUTH ? strcspn(reply->str, " ") : reply->len;
}

static void
on_reply(Probe *probe, const redisReply *reply)
{
	if (reply->type == REDIS_REPLY_ERROR && probe->question <= ASKED_INFO)
	{
		finish(probe, reply->str, shown_of_error(probe, reply));
		return;
	}
	switch (probe->question)
	{
		case ASKED_AUTH:
			ask_ping(probe);
			break;
		case ASKED_PING:
			on_pong(probe, reply);
			break;
		case ASKED_INFO:
			on_info(probe, reply);
			break;
		case ASKED_SLOWLOG:
			on_slowlog(probe, reply);
			break;
		case ASKED_LATENCY:
			on_latency(probe, reply);
			break;
	}
}

static redisReplyObjectFunctions default_functions;

static void *
create_array(const redisReadTask *task, ElementCount n)
{
	Probe *probe = task->privdata;

	probe->too_large = n > MAX_ELEMENTS;
	return probe->too_large ? NULL : default_functions.createArray(task, n);
}

static bool
create_reader(Probe *probe)
{
	static redisReplyObjectFunctions functions;

	probe->reader = redisReaderCreate();
	if (probe->reader == NULL)
		return false;
	if (default_functions.createArray == NULL)
	{
		default_functions = *probe->reader->fn;
		functions = default_functions;
		functions.createArray = create_array;
	}
	probe->reader->fn = &functions;
	probe->reader->privdata = probe;
	return true;
}

static void
finish_bad_reply(Probe *probe)
{
	if (probe->too_large)
		finish_with(probe, "the answer is too large");
	else
		finish_with(probe, probe->reader->errstr);
}

static void
on_received(const char *data, size_t length, void *arg)
{
	Probe *probe = arg;
	void *reply = NULL;

	probe->received += length;
	probe->too_large = probe->received > MAX_BYTES;
	if (probe->too_large || redisReaderFeed(probe->reader, data, length) != REDIS_OK)
	{
		finish_bad_reply(probe);
		return;
	}
	while (!probe->done)
	{
		if (redisReaderGetReply(probe->reader, &reply) != REDIS_OK)
		{
			finish_bad_reply(probe);
			return;
		}
		if (reply == NULL)
			break;
		on_reply(probe, reply);
		freeReplyObject(reply);
	}
}

static const char *
stage_of(const Probe *probe)
{
	return probe->connected ? stages[probe->question] : perfopt_stream_stage(probe->stream);
}

static void
on_failed(const char *error, void *arg)
{
	Probe *probe = arg;
	char reason[MAX_ERROR];

	snprintf(reason, sizeof(reason), "%s: %s", stage_of(probe), error);
	finish_with(probe, probe->connected ? reason : error);
}

static void
on_deadline(void *arg)
{
	Probe *probe = arg;
	char reason[MAX_ERROR];

	snprintf(reason, sizeof(reason), "%s: no answer within %d ms", stage_of(probe),
			 probe->timeout_ms);
	finish_with(probe, reason);
}

PerfoptRedisAnswer *
perfopt_redis_start(PerfoptLoop *loop, const PerfoptTarget *target, int timeout_ms)
{
	static const PerfoptStreamCallbacks callbacks = { on_connected, on_received, on_failed };
	Probe *probe = MemoryContextAllocZero(perfopt_loop_context(loop), sizeof(Probe));
	PerfoptStreamOptions options;

	probe->answer.target = target;
	probe->answer.ping_seconds = -1;
	probe->answer.slowlog_last_id = -1;
	probe->loop = loop;
	probe->timeout_ms = timeout_ms;
	probe->began_us = perfopt_loop_now_us();
	perfopt_loop_at_end(loop, free_reader, probe);
	if (!create_reader(probe))
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
	perfopt_stream_options_of(target, DEFAULT_PORT, &options);
	probe->stream = perfopt_stream_open(loop, &options, &callbacks, probe);
	perfopt_loop_begin_task(loop);
	perfopt_loop_set_timer(loop, &probe->deadline, timeout_ms, on_deadline, probe);
	return &probe->answer;
}
