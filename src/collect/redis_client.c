/*
 * redis_client.c
 *	  Asking several Redis servers at the same time: hiredis' asynchronous interface on a WaitEventSet.
 *
 * Only what hiredis 0.14 has is used.  Nothing in a callback may raise an error, which would jump over
 * hiredis' own frames.
 */
#include "postgres.h"

#include <arpa/inet.h>
#include <hiredis/async.h>
#include <hiredis/hiredis.h>
#include <netdb.h>

#include "miscadmin.h"
#include "pgstat.h"
#include "portability/instr_time.h"
#include "storage/latch.h"
#include "utils/memutils.h"

#include "collect/redis_client.h"
#include "compat.h"

#define DEFAULT_PORT 6379

/* INFO has some 10 kB; who sends more than this is no Redis that we want in our memory. */
#define MAX_REPLY_BYTES (4 * 1024 * 1024)

#define MAX_ERROR 256
#define EVENTS_AT_ONCE 32

typedef struct Probe
{
	PerfoptRedisAnswer *answer;
	redisAsyncContext *connection; /* NULL before and after */
	bool abandoned;                /* we close it: callbacks have nothing to say any more */
	bool greeted;                  /* PING was answered */
	int outstanding;               /* questions asked after it */
	bool want_write;
	uint32 waiting_for; /* as the set knows it */
	int position;       /* in the set */
	const char *stage;  /* what it was doing, for messages */
	instr_time began;
	instr_time pinged;
	char error[MAX_ERROR];
} Probe;

/* The set must be made anew when a socket was closed, for it knows no other way to forget one. */
typedef struct Round
{
	Probe *probes;
	int nprobes;
	int alive;
	bool stale;
	WaitEventSet *set;
} Round;

/* hiredis hands one pointer to the hooks of its event library. */
static Round *current_round = NULL;

static double
elapsed_seconds(instr_time since)
{
	instr_time now;

	INSTR_TIME_SET_CURRENT(now);
	INSTR_TIME_SUBTRACT(now, since);
	return INSTR_TIME_GET_DOUBLE(now);
}

/* What comes from outside may be in any encoding, or in none. */
static void
copy_printable(char *to, size_t capacity, const char *from, size_t length)
{
	size_t n = Min(length, capacity - 1);

	for (size_t i = 0; i < n; i++)
		to[i] = from[i] >= ' ' && from[i] <= '~' ? from[i] : '?';
	to[n] = '\0';
}

/* The first reason is the one that counts; what follows is its consequence. */
static void
fail(Probe *probe, const char *reason, size_t length)
{
	if (probe->error[0] != '\0' || probe->abandoned)
		return;
	copy_printable(probe->error, sizeof(probe->error), length > 0 ? reason : "unknown error",
				   length > 0 ? length : strlen("unknown error"));
}

static void
fail_connection(Probe *probe, const redisAsyncContext *connection)
{
	char reason[MAX_ERROR];

	/* Older libraries fill the errstr of the asynchronous context too late. */
	snprintf(reason, sizeof(reason), "%s: %s", probe->stage,
			 connection->c.errstr[0] != '\0' ? connection->c.errstr : "connection closed");
	fail(probe, reason, strlen(reason));
}

static void
on_want_write(void *arg)
{
	((Probe *) arg)->want_write = true;
}

static void
on_want_no_write(void *arg)
{
	((Probe *) arg)->want_write = false;
}

/* A closed connection is always readable, so there is nothing to switch on or off. */
static void
on_read_ignored(void *arg)
{
}

/* hiredis is about to free the connection, for whatever reason. */
static void
on_cleanup(void *arg)
{
	Probe *probe = arg;

	if (probe->connection == NULL)
		return;
	if (!probe->abandoned)
		fail_connection(probe, probe->connection);
	probe->connection = NULL;
	probe->answer->wall_ms = elapsed_seconds(probe->began) * 1000.0;
	current_round->alive--;
	current_round->stale = true;
}

/* Closes it, at once or when the callback that calls this has returned. */
static void
abandon(Probe *probe)
{
	redisAsyncContext *connection = probe->connection;

	if (connection == NULL || probe->abandoned)
		return;
	probe->abandoned = true;
	redisAsyncFree(connection);
}

/* Handles what is not an answer; true when there is one. */
static bool
is_answer(Probe *probe, redisAsyncContext *connection, const redisReply *reply)
{
	if (probe->abandoned)
		return false;
	if (reply == NULL)
	{
		fail_connection(probe, connection);
		return false;
	}
	return true;
}

/* An answered question more; the last one ends the conversation. */
static void
finish_question(Probe *probe)
{
	if (--probe->outstanding == 0)
		abandon(probe);
}

static void
on_info(redisAsyncContext *connection, void *arg, void *privdata)
{
	redisReply *reply = arg;
	Probe *probe = privdata;

	if (!is_answer(probe, connection, reply))
		return;
	if (reply->type == REDIS_REPLY_STRING)
	{
		probe->answer->info =
			MemoryContextAllocExtended(CurrentMemoryContext, reply->len + 1, MCXT_ALLOC_NO_OOM);
		if (probe->answer->info != NULL)
		{
			memcpy(probe->answer->info, reply->str, reply->len);
			probe->answer->info[reply->len] = '\0';
		}
		else
			fail(probe, "out of memory", strlen("out of memory"));
	}
	else if (reply->type == REDIS_REPLY_ERROR)
		fail(probe, reply->str, reply->len);
	else
		fail(probe, "unexpected answer to INFO", strlen("unexpected answer to INFO"));
	finish_question(probe);
}

/* A user may lack the permission for this and the next; its metrics are absent then. */
static void
on_slowlog(redisAsyncContext *connection, void *arg, void *privdata)
{
	redisReply *reply = arg;
	Probe *probe = privdata;

	if (!is_answer(probe, connection, reply))
		return;
	if (reply->type == REDIS_REPLY_ARRAY && reply->elements > 0)
	{
		redisReply *entry = reply->element[0];

		if (entry->type == REDIS_REPLY_ARRAY && entry->elements > 0 &&
			entry->element[0]->type == REDIS_REPLY_INTEGER)
			probe->answer->slowlog_last_id = (double) entry->element[0]->integer;
	}
	finish_question(probe);
}

static void
on_latency(redisAsyncContext *connection, void *arg, void *privdata)
{
	redisReply *reply = arg;
	Probe *probe = privdata;
	PerfoptRedisAnswer *answer = probe->answer;

	if (!is_answer(probe, connection, reply))
		return;
	for (size_t i = 0; reply->type == REDIS_REPLY_ARRAY && i < reply->elements &&
					   answer->nspikes < PERFOPT_REDIS_MAX_SPIKES;
		 i++)
	{
		redisReply *entry = reply->element[i];
		PerfoptRedisSpike *spike;

		/* Name, time, milliseconds of the latest, of the worst ever. */
		if (entry->type != REDIS_REPLY_ARRAY || entry->elements < 3 ||
			entry->element[0]->type != REDIS_REPLY_STRING ||
			entry->element[1]->type != REDIS_REPLY_INTEGER ||
			entry->element[2]->type != REDIS_REPLY_INTEGER)
			continue;
		spike = &answer->spikes[answer->nspikes++];
		copy_printable(spike->event, sizeof(spike->event), entry->element[0]->str,
					   entry->element[0]->len);
		spike->at = (double) entry->element[1]->integer;
		spike->seconds = (double) entry->element[2]->integer / 1000.0;
	}
	finish_question(probe);
}

static void
on_pong(redisAsyncContext *connection, void *arg, void *privdata)
{
	redisReply *reply = arg;
	Probe *probe = privdata;

	if (!is_answer(probe, connection, reply))
		return;
	if (reply->type != REDIS_REPLY_STATUS || strcmp(reply->str, "PONG") != 0)
	{
		/* NOAUTH, LOADING, MASTERDOWN ... or something that is no Redis. */
		if (reply->type == REDIS_REPLY_ERROR)
			fail(probe, reply->str, reply->len);
		else
			fail(probe, "unexpected answer to PING", strlen("unexpected answer to PING"));
		abandon(probe);
		return;
	}
	probe->answer->ping_seconds = elapsed_seconds(probe->pinged);
	probe->greeted = true;
	probe->stage = "waiting for INFO";
	probe->outstanding = 3;
	redisAsyncCommand(connection, on_info, probe, "INFO all");
	redisAsyncCommand(connection, on_slowlog, probe, "SLOWLOG GET 1");
	redisAsyncCommand(connection, on_latency, probe, "LATENCY LATEST");
}

static void
send_ping(Probe *probe)
{
	probe->stage = "waiting for PING";
	INSTR_TIME_SET_CURRENT(probe->pinged);
	redisAsyncCommand(probe->connection, on_pong, probe, "PING");
}

static void
on_authenticated(redisAsyncContext *connection, void *arg, void *privdata)
{
	redisReply *reply = arg;
	Probe *probe = privdata;

	if (!is_answer(probe, connection, reply))
		return;
	if (reply->type == REDIS_REPLY_ERROR)
	{
		fail(probe, reply->str, reply->len);
		abandon(probe);
		return;
	}
	send_ping(probe);
}

static void
on_connected(const redisAsyncContext *connection, int status)
{
	Probe *probe = connection->data;
	const PerfoptTarget *target = probe->answer->target;

	if (probe->abandoned)
		return;
	if (status != REDIS_OK)
	{
		fail_connection(probe, connection);
		return;
	}
	if (target->password == NULL)
		send_ping(probe);
	else
	{
		probe->stage = "waiting for AUTH";
		if (target->user != NULL)
			redisAsyncCommand(probe->connection, on_authenticated, probe, "AUTH %s %s",
							  target->user, target->password);
		else
			redisAsyncCommand(probe->connection, on_authenticated, probe, "AUTH %s",
							  target->password);
	}
}

static bool
is_address(const char *host)
{
	unsigned char buffer[sizeof(struct in6_addr)];

	return host[0] == '/' || inet_pton(AF_INET, host, buffer) == 1 ||
		   inet_pton(AF_INET6, host, buffer) == 1;
}

/*
 * The address of a name in `address`, or false and the reason in `error`.  IPv4 first, as hiredis does
 * it: a Redis on "localhost" hardly ever listens on ::1.
 */
static bool
look_up(const char *host, char *address, size_t capacity, char *error, size_t error_capacity)
{
	static const int families[] = { AF_INET, AF_INET6 };
	int result = EAI_NONAME;

	/*
	 * The call can't be interrupted, and DDL that waits for this worker to leave would wait for a
	 * silent name server too.  Only this process is meant, and an administrator's word counts more.
	 */
	setenv("RES_OPTIONS", "timeout:1 attempts:1", 0);

	for (int i = 0; i < lengthof(families); i++)
	{
		struct addrinfo hints = { .ai_family = families[i], .ai_socktype = SOCK_STREAM };
		struct addrinfo *found = NULL;

		result = getaddrinfo(host, NULL, &hints, &found);
		if (result != 0)
			continue;
		result = getnameinfo(found->ai_addr, found->ai_addrlen, address, capacity, NULL, 0,
							 NI_NUMERICHOST);
		freeaddrinfo(found);
		if (result == 0)
			return true;
	}
	snprintf(error, error_capacity, "could not look up host \"%s\": %s", host,
			 gai_strerror(result));
	return false;
}

/* The validator lets through a list of ports too, which libpq takes; only the first counts here. */
static int
port_of(const PerfoptTarget *target)
{
	long port = target->port ? strtol(target->port, NULL, 10) : 0;

	return port > 0 ? (int) port : DEFAULT_PORT;
}

static void
attach(Probe *probe, redisAsyncContext *connection)
{
	probe->connection = connection;
	connection->data = probe;
	connection->ev.data = probe;
	connection->ev.addRead = on_read_ignored;
	connection->ev.delRead = on_read_ignored;
	connection->ev.addWrite = on_want_write;
	connection->ev.delWrite = on_want_no_write;
	connection->ev.cleanup = on_cleanup;
	current_round->alive++;
	redisAsyncSetConnectCallback(connection, on_connected);
}

static void
start(Probe *probe)
{
	const PerfoptTarget *target = probe->answer->target;
	redisAsyncContext *connection;
	char address[NI_MAXHOST];
	char reason[MAX_ERROR];

	probe->stage = "connecting";
	INSTR_TIME_SET_CURRENT(probe->began);
	if (target->host[0] == '/')
		connection = redisAsyncConnectUnix(target->host);
	else
	{
		int port = port_of(target);

		if (is_address(target->host))
			strlcpy(address, target->host, sizeof(address));
		else if (!look_up(target->host, address, sizeof(address), reason, sizeof(reason)))
		{
			fail(probe, reason, strlen(reason));
			return;
		}
		connection = redisAsyncConnect(address, port);
	}
	if (connection == NULL)
	{
		fail(probe, "out of memory", strlen("out of memory"));
		return;
	}
	if (connection->err != 0)
	{
		fail_connection(probe, connection);
		redisAsyncFree(connection);
		return;
	}
	INSTR_TIME_SET_CURRENT(probe->began);
	attach(probe, connection);
}

static uint32
wanted_events(const Probe *probe)
{
	/* While it connects it is writing that tells of success and failure. */
	return probe->want_write ? WL_SOCKET_READABLE | WL_SOCKET_WRITEABLE : WL_SOCKET_READABLE;
}

static void
build_set(Round *round)
{
	if (round->set != NULL)
	{
		WaitEventSet *old = round->set;

		round->set = NULL;
		FreeWaitEventSet(old);
	}
	round->set = perfopt_create_wait_event_set(round->alive + 2);
	AddWaitEventToSet(round->set, WL_LATCH_SET, PGINVALID_SOCKET, MyLatch, NULL);
	AddWaitEventToSet(round->set, WL_EXIT_ON_PM_DEATH, PGINVALID_SOCKET, NULL, NULL);
	for (int i = 0; i < round->nprobes; i++)
	{
		Probe *probe = &round->probes[i];

		if (probe->connection == NULL)
			continue;
		probe->waiting_for = wanted_events(probe);
		probe->position =
			AddWaitEventToSet(round->set, probe->waiting_for, probe->connection->c.fd, NULL, probe);
	}
	round->stale = false;
}

static void
update_set(Round *round)
{
	if (round->stale || round->set == NULL)
	{
		build_set(round);
		return;
	}
	for (int i = 0; i < round->nprobes; i++)
	{
		Probe *probe = &round->probes[i];

		if (probe->connection == NULL || probe->waiting_for == wanted_events(probe))
			continue;
		probe->waiting_for = wanted_events(probe);
		ModifyWaitEvent(round->set, probe->position, probe->waiting_for, NULL);
	}
}

static void
handle(Probe *probe, uint32 events)
{
	/* Each of the two may free the connection. */
	if (probe->connection != NULL && (events & WL_SOCKET_WRITEABLE))
		redisAsyncHandleWrite(probe->connection);
	if (probe->connection != NULL && (events & WL_SOCKET_READABLE))
		redisAsyncHandleRead(probe->connection);
	if (probe->connection != NULL && probe->connection->c.reader != NULL &&
		probe->connection->c.reader->len > MAX_REPLY_BYTES)
	{
		fail(probe, "the answer is too large", strlen("the answer is too large"));
		abandon(probe);
	}
}

static void
wait_for_answers(Round *round, int timeout_ms)
{
	instr_time began;

	INSTR_TIME_SET_CURRENT(began);
	while (round->alive > 0)
	{
		WaitEvent events[EVENTS_AT_ONCE];
		double left = timeout_ms - elapsed_seconds(began) * 1000.0;
		int n;

		if (left <= 0)
			break;
		update_set(round);
		n = WaitEventSetWait(round->set, (long) left + 1, events, EVENTS_AT_ONCE,
							 PERFOPT_WAIT_EVENT_MAIN);
		for (int i = 0; i < n; i++)
		{
			if (events[i].events & WL_LATCH_SET)
			{
				ResetLatch(MyLatch);
				CHECK_FOR_INTERRUPTS();
			}
			else if (events[i].user_data != NULL)
				handle(events[i].user_data, events[i].events);
		}
	}
}

static void
close_all(Round *round, int timeout_ms)
{
	for (int i = 0; i < round->nprobes; i++)
	{
		Probe *probe = &round->probes[i];
		char reason[MAX_ERROR];

		if (probe->connection == NULL)
			continue;
		snprintf(reason, sizeof(reason), "%s: no answer within %d ms", probe->stage, timeout_ms);
		fail(probe, reason, strlen(reason));
		abandon(probe);
	}
	if (round->set != NULL)
		FreeWaitEventSet(round->set);
	round->set = NULL;
}

/* Deals with the targets given by address, or with those given by name. */
static void
run_round(PerfoptRedisAnswer *answers, int nanswers, bool by_address, int timeout_ms)
{
	Round round = { 0 };

	round.probes = palloc0(nanswers * sizeof(Probe));
	for (int i = 0; i < nanswers; i++)
	{
		if (is_address(answers[i].target->host) == by_address)
			round.probes[round.nprobes++].answer = &answers[i];
	}
	current_round = &round;
	PG_TRY();
	{
		for (int i = 0; i < round.nprobes; i++)
		{
			start(&round.probes[i]);
			CHECK_FOR_INTERRUPTS();
		}
		wait_for_answers(&round, timeout_ms);
	}
	PG_FINALLY();
	{
		close_all(&round, timeout_ms);
		current_round = NULL;
	}
	PG_END_TRY();

	for (int i = 0; i < round.nprobes; i++)
	{
		if (round.probes[i].error[0] != '\0')
			round.probes[i].answer->error = pstrdup(round.probes[i].error);
	}
}

PerfoptRedisAnswer *
perfopt_redis_ask(List *targets, int timeout_ms)
{
	int nanswers = list_length(targets);
	PerfoptRedisAnswer *answers = palloc0(Max(nanswers, 1) * sizeof(PerfoptRedisAnswer));

	for (int i = 0; i < nanswers; i++)
	{
		answers[i].target = list_nth(targets, i);
		answers[i].ping_seconds = -1;
		answers[i].slowlog_last_id = -1;
	}
	run_round(answers, nanswers, true, timeout_ms);
	run_round(answers, nanswers, false, timeout_ms);
	return answers;
}
