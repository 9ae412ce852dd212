/*
 * redis_client.c
 *	  What a Redis target says about itself.
 */
#include "postgres.h"

#include "utils/memutils.h"

#include "collect/prober.h"
#include "collect/redis_client.h"
#include "collect/redis_session.h"

/* What the next reply is an answer to; replies come in the order of the questions. */
typedef enum Question
{
	ASKED_PING,
	ASKED_INFO,
	ASKED_SLOWLOG,
	ASKED_LATENCY
} Question;

static const char *const stages[] = {
	[ASKED_PING] = "waiting for PING",
	[ASKED_INFO] = "waiting for INFO",
	[ASKED_SLOWLOG] = "waiting for SLOWLOG",
	[ASKED_LATENCY] = "waiting for LATENCY",
};

typedef struct Probe
{
	PerfoptRedisAnswer answer; /* first, so that it is what the caller keeps */
	PerfoptLoop *loop;
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
on_ended(char *error, void *arg)
{
	Probe *probe = arg;

	probe->answer.error = error;
	probe->answer.wall_ms = seconds_since(probe->began_us) * 1000.0;
}

static void
fail(PerfoptRedisSession *session, const char *error)
{
	perfopt_redis_session_end(session, error, strlen(error));
}

static void
expect(Probe *probe, PerfoptRedisSession *session, Question question)
{
	probe->question = question;
	perfopt_redis_session_stage(session, stages[question]);
}

static void
on_ready(PerfoptRedisSession *session, void *arg)
{
	static const char *ping[] = { "PING" };
	Probe *probe = arg;

	expect(probe, session, ASKED_PING);
	probe->pinged_us = perfopt_loop_now_us();
	perfopt_redis_session_ask(session, lengthof(ping), ping);
}

static void
on_pong(Probe *probe, PerfoptRedisSession *session, const redisReply *reply)
{
	static const char *info[] = { "INFO", "all" };
	static const char *slowlog[] = { "SLOWLOG", "GET", "1" };
	static const char *latency[] = { "LATENCY", "LATEST" };

	/* NOAUTH, LOADING, MASTERDOWN ... are errors; the other may be no Redis at all. */
	if (reply->type != REDIS_REPLY_STATUS || strcmp(reply->str, "PONG") != 0)
	{
		fail(session, "unexpected answer to PING");
		return;
	}
	probe->answer.ping_seconds = seconds_since(probe->pinged_us);
	expect(probe, session, ASKED_INFO);
	perfopt_redis_session_ask(session, lengthof(info), info);
	perfopt_redis_session_ask(session, lengthof(slowlog), slowlog);
	perfopt_redis_session_ask(session, lengthof(latency), latency);
}

static void
on_info(Probe *probe, PerfoptRedisSession *session, const redisReply *reply)
{
	if (reply->type != REDIS_REPLY_STRING)
	{
		fail(session, "unexpected answer to INFO");
		return;
	}
	probe->answer.info = MemoryContextAllocExtended(perfopt_loop_context(probe->loop),
													reply->len + 1, MCXT_ALLOC_NO_OOM);
	if (probe->answer.info == NULL)
	{
		fail(session, "out of memory");
		return;
	}
	memcpy(probe->answer.info, reply->str, reply->len);
	probe->answer.info[reply->len] = '\0';
	expect(probe, session, ASKED_SLOWLOG);
}

/* A user may lack the permission for this and the next; its metrics are absent then. */
static void
on_slowlog(Probe *probe, PerfoptRedisSession *session, const redisReply *reply)
{
	expect(probe, session, ASKED_LATENCY);
	if (reply->type == REDIS_REPLY_ARRAY && reply->elements > 0)
	{
		const redisReply *entry = reply->element[0];

		if (entry->type == REDIS_REPLY_ARRAY && entry->elements > 0 &&
			entry->element[0]->type == REDIS_REPLY_INTEGER)
			probe->answer.slowlog_last_id = (double) entry->element[0]->integer;
	}
}

static void
on_latency(Probe *probe, PerfoptRedisSession *session, const redisReply *reply)
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
	perfopt_redis_session_end(session, NULL, 0);
}

static void
on_reply(PerfoptRedisSession *session, const redisReply *reply, void *arg)
{
	Probe *probe = arg;

	if (reply->type == REDIS_REPLY_ERROR && probe->question <= ASKED_INFO)
	{
		perfopt_redis_session_end(session, reply->str, reply->len);
		return;
	}
	switch (probe->question)
	{
		case ASKED_PING:
			on_pong(probe, session, reply);
			break;
		case ASKED_INFO:
			on_info(probe, session, reply);
			break;
		case ASKED_SLOWLOG:
			on_slowlog(probe, session, reply);
			break;
		case ASKED_LATENCY:
			on_latency(probe, session, reply);
			break;
	}
}

PerfoptRedisAnswer *
perfopt_redis_start(PerfoptLoop *loop, const PerfoptTarget *target, int timeout_ms)
{
	static const PerfoptRedisCallbacks callbacks = { on_ready, on_reply, on_ended };
	Probe *probe = MemoryContextAllocZero(perfopt_loop_context(loop), sizeof(Probe));

	probe->answer.target = target;
	probe->answer.ping_seconds = -1;
	probe->answer.slowlog_last_id = -1;
	probe->loop = loop;
	probe->began_us = perfopt_loop_now_us();
	(void) perfopt_redis_session_open(loop, target, timeout_ms, &callbacks, probe);
	return &probe->answer;
}
