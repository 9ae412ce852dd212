/*
 * events.c
 *	  Server-sent events (WHATWG HTML, 9.2). A stream has a thread of its own, as every client has,
 *	  so it may wait; a pipe that becomes readable ends all of them.
 */
#include "gateway/events.h"

#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "gateway/members.h"

#define BEAT_SECONDS 15      /* so that a client that has gone is noticed */
#define STREAM_SECONDS 600   /* then the client comes again, and the database decides again */
#define MISSED_EVENTS "1000" /* at most, when a stream goes on */

typedef struct Stream
{
	PerfoptIdentity identity;
	PerfoptSession *listening; /* of EVENTS; it holds its own connection */
	char run_id[24];           /* of PROGRESS */
	int client;                /* its socket */
	time_t ends;
	bool over;
	PerfoptText pending;
	size_t sent;
} Stream;

static int most;
static atomic_int open_streams;
static int ending[2] = { -1, -1 };

static time_t
now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec;
}

void
perfopt_events_begin(int given)
{
	most = given;
	if (pipe(ending) != 0)
		perror("perfopt-gateway: pipe");
}

void
perfopt_events_end(void)
{
	if (write(ending[1], "", 1) != 1)
		perror("perfopt-gateway: pipe");
}

int
perfopt_events_count(void)
{
	return open_streams;
}

/*
 * Waits for a socket (-1: none). False when the stream is to end: the gateway stops, the client has
 * gone, or its time is over.
 */
static bool
await(const Stream *stream, int socket, int seconds)
{
	struct pollfd waits[3] = { { .fd = ending[0], .events = POLLIN },
							   { .fd = stream->client, .events = POLLRDHUP },
							   { .fd = socket, .events = POLLIN } };

	return now() < stream->ends &&
		   (poll(waits, 3, seconds * 1000) < 0 || (waits[0].revents == 0 && waits[1].revents == 0));
}

static void
put_event(Stream *stream, const char *kind, const char *id, const char *data)
{
	if (id != NULL)
		perfopt_text_format(&stream->pending, "id: %s\n", id);
	perfopt_text_format(&stream->pending, "event: %s\ndata: %s\n\n", kind, data);
}

/* An error after the stream has begun can only be told in it. */
static void
put_problem(Stream *stream, const PerfoptProblem *problem)
{
	PerfoptText json = { 0 };

	perfopt_problem_json(problem, &json);
	put_event(stream, "problem", NULL, json.data);
	perfopt_text_free(&json);
	stream->over = true;
}

/* What the stream needs to know of an event's JSON. */
typedef struct Headline
{
	char id[24];
	char kind[64];
	char state[32];
} Headline;

static bool
read_headline(void *arg, const char *name, PerfoptJsonKind kind, const char *text)
{
	Headline *headline = arg;

	if (strcmp(name, "event_id") == 0)
		snprintf(headline->id, sizeof(headline->id), "%s", text);
	else if (strcmp(name, "kind") == 0)
		snprintf(headline->kind, sizeof(headline->kind), "%s", text);
	else if (strcmp(name, "state") == 0)
		snprintf(headline->state, sizeof(headline->state), "%s", text);
	return true;
}

static Headline
headline_of(const char *json)
{
	Headline headline = { "", "event", "" };
	char *copy = perfopt_copy(json);
	const char *error;

	perfopt_members_read(copy, strlen(copy), read_headline, &headline, &error);
	free(copy);
	/* A field of a stream is one line. */
	if (headline.kind[strcspn(headline.kind, "\r\n")] != '\0')
		headline.kind[0] = '\0';
	return headline;
}

/* jsonb is written on one line. */
static void
tell(Stream *stream, const char *json)
{
	Headline headline = headline_of(json);

	put_event(stream, headline.kind, headline.id[0] != '\0' ? headline.id : NULL, json);
}

static void
follow_events(Stream *stream)
{
	PGconn *conn = perfopt_session_conn(stream->listening);
	PGnotify *notify;

	if (!await(stream, PQsocket(conn), BEAT_SECONDS))
	{
		stream->over = true;
		return;
	}
	if (!PQconsumeInput(conn))
	{
		PerfoptProblem problem;

		perfopt_problem_set(&problem, 503, "the connection to the database was lost", NULL);
		put_problem(stream, &problem);
		return;
	}
	while ((notify = PQnotifies(conn)) != NULL)
	{
		tell(stream, notify->extra);
		PQfreemem(notify);
	}
	if (stream->pending.length == 0)
		perfopt_text_put(&stream->pending, ": still here\n\n");
}

static bool
fetch_progress(Stream *stream, PerfoptProblem *problem)
{
	const char *values[] = { stream->run_id };
	PerfoptSession *session = perfopt_pool_take(&stream->identity, problem);
	PGresult *result;
	Headline headline;

	if (session == NULL)
		return false;
	result = perfopt_session_query(session,
								   "SELECT to_jsonb(t) FROM perfopt.test_progress($1::bigint) t", 1,
								   values, problem);
	perfopt_pool_give(session);
	if (result == NULL)
		return false;
	if (PQntuples(result) == 0)
	{
		perfopt_problem_set(problem, 404, "there is no such test", NULL);
		PQclear(result);
		return false;
	}
	headline = headline_of(PQgetvalue(result, 0, 0));
	stream->over =
		strcmp(headline.state, "running") != 0 && strcmp(headline.state, "starting") != 0;
	put_event(stream, stream->over ? "end" : "progress", NULL, PQgetvalue(result, 0, 0));
	PQclear(result);
	return true;
}

static void
follow_progress(Stream *stream)
{
	PerfoptProblem problem;

	if (!await(stream, -1, 1))
		stream->over = true;
	else if (!fetch_progress(stream, &problem))
		put_problem(stream, &problem);
}

static ssize_t
read_stream(void *arg, uint64_t position, char *buffer, size_t size)
{
	Stream *stream = arg;
	size_t length;

	if (stream->sent == stream->pending.length)
	{
		stream->pending.length = stream->sent = 0;
		if (stream->over)
			return MHD_CONTENT_READER_END_OF_STREAM;
		if (stream->listening != NULL)
			follow_events(stream);
		else
			follow_progress(stream);
		if (stream->pending.length == 0)
			return MHD_CONTENT_READER_END_OF_STREAM;
	}
	length = stream->pending.length - stream->sent;
	if (length > size)
		length = size;
	memcpy(buffer, stream->pending.data + stream->sent, length);
	stream->sent += length;
	return (ssize_t) length;
}

static void
close_stream(void *arg)
{
	Stream *stream = arg;

	/* It listens, which the next to use it must not. */
	if (stream->listening != NULL)
		perfopt_pool_drop(stream->listening);
	perfopt_text_free(&stream->pending);
	explicit_bzero(stream, sizeof(*stream));
	free(stream);
	open_streams--;
}

/*
 * Listening comes before looking for what was missed, so that nothing falls in between. The look
 * is also what asks the database whether this role may know of events at all.
 */
static bool
begin_listening(Stream *stream, const char *last_id, PerfoptProblem *problem)
{
	const char *values[] = { last_id };
	PGresult *result;

	stream->listening = perfopt_pool_take(&stream->identity, problem);
	if (stream->listening == NULL)
		return false;
	perfopt_pool_detach(stream->listening);
	result = perfopt_session_query(stream->listening, "LISTEN perfopt_event", 0, NULL, problem);
	if (result == NULL)
		return false;
	PQclear(result);
	result = perfopt_session_query(stream->listening,
								   "SELECT perfopt.event_json(e) FROM (SELECT * FROM perfopt.event "
								   "WHERE event_id > $1::bigint AND told ORDER BY event_id "
								   "LIMIT " MISSED_EVENTS ") e ORDER BY e.event_id",
								   1, values, problem);
	if (result == NULL)
		return false;
	perfopt_text_put(&stream->pending, "retry: 5000\n\n");
	for (int i = 0; i < PQntuples(result); i++)
		tell(stream, PQgetvalue(result, i, 0));
	PQclear(result);
	return true;
}

struct MHD_Response *
perfopt_events_open(const PerfoptIdentity *identity, const PerfoptRequest *request,
					const char *last_id, int client, PerfoptProblem *problem)
{
	Stream *stream;
	struct MHD_Response *response;

	if (atomic_fetch_add(&open_streams, 1) >= most)
	{
		open_streams--;
		perfopt_problem_set(problem, 503, "there are too many event streams",
							"max-streams limits them.");
		return NULL;
	}
	stream = perfopt_allocate(sizeof(*stream));
	stream->identity = *identity;
	stream->client = client;
	stream->ends = now() + STREAM_SECONDS;
	if (last_id != NULL && (last_id[0] == '\0' || strlen(last_id) > 18 ||
							last_id[strspn(last_id, "0123456789")] != '\0'))
		last_id = NULL;
	if (request->route->answer == PERFOPT_PROGRESS)
		snprintf(stream->run_id, sizeof(stream->run_id), "%s", request->values[0].text);
	if (request->route->answer == PERFOPT_PROGRESS ? !fetch_progress(stream, problem)
												   : !begin_listening(stream, last_id, problem))
	{
		close_stream(stream);
		return NULL;
	}
	response = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 4096, read_stream, stream,
												 close_stream);
	if (response == NULL)
	{
		close_stream(stream);
		perfopt_problem_set(problem, 503, "out of memory", NULL);
		return NULL;
	}
	MHD_add_response_header(response, "Content-Type", "text/event-stream");
	MHD_add_response_header(response, "Cache-Control", "no-store");
	return response;
}
