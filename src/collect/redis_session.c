/*
 * redis_session.c
 *	  A connection to a Redis target on the prober's loop.
 *
 * Only what hiredis 0.14 has is used, and of that only what reads and writes the protocol: later
 * versions can do TLS, but none does without a library of its own for it, and none looks up names
 * without waiting.
 */
#include "postgres.h"

#include "utils/memutils.h"

#include "collect/prober.h"
#include "collect/redis_session.h"
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
#define MAX_AUTH_ARGUMENTS 3

struct PerfoptRedisSession
{
	const PerfoptTarget *target;
	const PerfoptRedisCallbacks *callbacks;
	void *arg;
	PerfoptLoop *loop;
	PerfoptStream *stream;
	redisReader *reader; /* foreign memory */
	size_t received;
	bool too_large;
	PerfoptTimer deadline;
	int timeout_ms;
	bool connected;
	bool logging_in;
	bool done;
	const char *stage; /* once connected */
};

static void
free_reader(void *arg)
{
	PerfoptRedisSession *session = arg;

	if (session->reader != NULL)
		redisReaderFree(session->reader);
	session->reader = NULL;
}

void
perfopt_redis_session_end(PerfoptRedisSession *session, const char *error, size_t length)
{
	char printable[MAX_ERROR];

	if (session->done)
		return;
	session->done = true;

	/* It may lie in what is freed here. */
	if (error != NULL)
		perfopt_prober_printable(printable, sizeof(printable), error, length);
	perfopt_stream_close(session->stream);
	free_reader(session);
	perfopt_loop_clear_timer(session->loop, &session->deadline);
	perfopt_loop_end_task(session->loop);
	session->callbacks->ended(error ? MemoryContextStrdup(perfopt_loop_context(session->loop),
														  printable)
									: NULL,
							  session->arg);
}

static void
end_with(PerfoptRedisSession *session, const char *error)
{
	perfopt_redis_session_end(session, error, strlen(error));
}

void
perfopt_redis_session_ask(PerfoptRedisSession *session, int argc, const char **argv)
{
	char *command = NULL;
	int length = redisFormatCommandArgv(&command, argc, argv, NULL);

	if (length < 0)
	{
		end_with(session, "out of memory");
		return;
	}
	perfopt_stream_write(session->stream, command, length);
	redisFreeCommand(command);
}

void
perfopt_redis_session_stage(PerfoptRedisSession *session, const char *stage)
{
	session->stage = stage;
}

static void
on_connected(void *arg)
{
	PerfoptRedisSession *session = arg;
	const PerfoptTarget *target = session->target;
	const char *argv[MAX_AUTH_ARGUMENTS];
	int argc = 0;

	session->connected = true;
	if (target->password == NULL)
	{
		session->callbacks->ready(session, session->arg);
		return;
	}
	argv[argc++] = "AUTH";
	if (target->user != NULL)
		argv[argc++] = target->user;
	argv[argc++] = target->password;
	session->logging_in = true;
	session->stage = "waiting for AUTH";
	perfopt_redis_session_ask(session, argc, argv);
}

static void
on_reply(PerfoptRedisSession *session, const redisReply *reply)
{
	if (!session->logging_in)
	{
		session->callbacks->replied(session, reply, session->arg);
		return;
	}
	session->logging_in = false;

	/* What is wrong with AUTH may repeat the password; what sort of error it is may not. */
	if (reply->type == REDIS_REPLY_ERROR)
		perfopt_redis_session_end(session, reply->str, strcspn(reply->str, " "));
	else
		session->callbacks->ready(session, session->arg);
}

static redisReplyObjectFunctions default_functions;

static void *
create_array(const redisReadTask *task, ElementCount n)
{
	PerfoptRedisSession *session = task->privdata;

	session->too_large = n > MAX_ELEMENTS;
	return session->too_large ? NULL : default_functions.createArray(task, n);
}

static bool
create_reader(PerfoptRedisSession *session)
{
	static redisReplyObjectFunctions functions;

	session->reader = redisReaderCreate();
	if (session->reader == NULL)
		return false;
	if (default_functions.createArray == NULL)
	{
		default_functions = *session->reader->fn;
		functions = default_functions;
		functions.createArray = create_array;
	}
	session->reader->fn = &functions;
	session->reader->privdata = session;
	return true;
}

static void
end_bad_reply(PerfoptRedisSession *session)
{
	end_with(session, session->too_large ? "the answer is too large" : session->reader->errstr);
}

static void
on_received(const char *data, size_t length, void *arg)
{
	PerfoptRedisSession *session = arg;
	void *reply = NULL;

	session->received += length;
	session->too_large = session->received > MAX_BYTES;
	if (session->too_large || redisReaderFeed(session->reader, data, length) != REDIS_OK)
	{
		end_bad_reply(session);
		return;
	}
	while (!session->done)
	{
		if (redisReaderGetReply(session->reader, &reply) != REDIS_OK)
		{
			end_bad_reply(session);
			return;
		}
		if (reply == NULL)
			break;
		on_reply(session, reply);
		freeReplyObject(reply);
	}
}

static const char *
stage_of(const PerfoptRedisSession *session)
{
	return session->connected ? session->stage : perfopt_stream_stage(session->stream);
}

static void
on_failed(const char *error, void *arg)
{
	PerfoptRedisSession *session = arg;
	char reason[MAX_ERROR];

	snprintf(reason, sizeof(reason), "%s: %s", stage_of(session), error);
	end_with(session, session->connected ? reason : error);
}

static void
on_deadline(void *arg)
{
	PerfoptRedisSession *session = arg;
	char reason[MAX_ERROR];

	snprintf(reason, sizeof(reason), "%s: no answer within %d ms", stage_of(session),
			 session->timeout_ms);
	end_with(session, reason);
}

PerfoptRedisSession *
perfopt_redis_session_open(PerfoptLoop *loop, const PerfoptTarget *target, int timeout_ms,
						   const PerfoptRedisCallbacks *callbacks, void *arg)
{
	static const PerfoptStreamCallbacks stream_callbacks = { on_connected, on_received, on_failed };
	PerfoptRedisSession *session =
		MemoryContextAllocZero(perfopt_loop_context(loop), sizeof(PerfoptRedisSession));
	PerfoptStreamOptions options;

	session->target = target;
	session->callbacks = callbacks;
	session->arg = arg;
	session->loop = loop;
	session->timeout_ms = timeout_ms;
	session->stage = "waiting for an answer";
	perfopt_loop_at_end(loop, free_reader, session);
	if (!create_reader(session))
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
	perfopt_stream_options_of(target, DEFAULT_PORT, &options);
	session->stream = perfopt_stream_open(loop, &options, &stream_callbacks, session);
	perfopt_loop_begin_task(loop);
	perfopt_loop_set_timer(loop, &session->deadline, timeout_ms, on_deadline, session);
	return session;
}
