/*
 * session.c
 *	  A connection to the target: connecting, preparing, coming back.
 *
 * Every function returns without having waited; the loop calls again when the socket or the timer of
 * the session is ready.
 */
#include "postgres.h"

#include <sys/epoll.h>

#include "storage/fd.h"
#include "utils/builtins.h"

#include "load/engine.h"
#include "load/remote.h"
#include "sampler/sampler.h"
#include "target/target.h"

#define FIRST_BACKOFF_NS (100 * LOAD_NS_PER_MS)
#define MAX_BACKOFF_DOUBLINGS 5
#define MAX_ATTEMPTS_BEFORE_START 5

static void connection_failed(Engine *engine, Session *session);

void
load_session_close(Engine *engine, Session *session)
{
	load_timer_clear(engine, &session->timer);
	load_engine_unwatch(engine, session);
	if (session->conn != NULL)
	{
		PQfinish(session->conn);
		ReleaseExternalFD();
		session->conn = NULL;
	}
	if (session->state == SESSION_CONNECTING || session->state == SESSION_PREPARING)
		engine->nconnecting--;
	session->state = SESSION_CLOSED;
}

void
load_session_connect(Engine *engine, Session *session)
{
	const char *keywords[4];
	const char *values[4];

	/* Not AcquireExternalFD(), which gives a third of the limit: raise_descriptor_limit() has added to it. */
	ReserveExternalFD();
	session->state = SESSION_CONNECTING;
	engine->nconnecting++;
	load_remote_params(engine->conninfo[session->variant], engine->application_name, keywords,
					   values);
	session->conn = PQconnectStartParams(keywords, values, 1);
	if (session->conn == NULL)
	{
		ReleaseExternalFD();
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
	}
	PQsetNoticeReceiver(session->conn, perfopt_target_ignore_notice, NULL);
	if (PQstatus(session->conn) == CONNECTION_BAD)
		connection_failed(engine, session);
	else
		load_engine_watch(engine, session, PQsocket(session->conn), EPOLLOUT);
}

/* Lets the loop wait for answers, and for room to send while there is something left to send. */
void
load_session_flush(Engine *engine, Session *session)
{
	int pending = PQflush(session->conn);

	/* A failure shows, with its reason, when reading. */
	load_engine_watch(engine, session, PQsocket(session->conn),
					  pending > 0 ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

static bool
send_preparation(const Engine *engine, PGconn *conn, const LoadVariant *variant)
{
	const LoadConfig *config = engine->config;
	bool ok = PQsetnonblocking(conn, 1) == 0 && PQenterPipelineMode(conn);

	if (config->dataset != NULL)
	{
		char *sql = psprintf("SET search_path = %s, public", quote_identifier(config->dataset));

		ok = ok && PQsendQueryParams(conn, sql, 0, NULL, NULL, NULL, NULL, 0);
		pfree(sql);
	}
	for (int i = 0; i < variant->nsettings; i++)
		ok = ok && PQsendQueryParams(conn, variant->settings[i], 0, NULL, NULL, NULL, NULL, 0);
	for (int i = 0; i < config->noperations && load_is_prepared(config); i++)
	{
		const LoadOperation *operation = &variant->operations[i];

		for (int j = 0; j < operation->nstatements; j++)
			ok = ok && PQsendPrepare(conn, operation->statements[j].name,
									 operation->statements[j].sql, 0, NULL);
	}
	return ok && PQpipelineSync(conn);
}

static void
connected(Engine *engine, Session *session)
{
	const LoadVariant *variant = &engine->config->variants[session->variant];

	if (variant->used_password && !PQconnectionUsedPassword(session->conn))
		ereport(ERROR,
				(errcode(ERRCODE_S_R_E_PROHIBITED_SQL_STATEMENT_ATTEMPTED),
				 errmsg("target \"%s\" asked for a password before the test, and does not now",
						variant->target)));

	session->state = SESSION_PREPARING;
	session->failed = false;
	if (send_preparation(engine, session->conn, variant))
		load_session_flush(engine, session);
	else
		connection_failed(engine, session);
}

static void
poll_connection(Engine *engine, Session *session)
{
	switch (PQconnectPoll(session->conn))
	{
		case PGRES_POLLING_OK:
			connected(engine, session);
			break;
		case PGRES_POLLING_READING:
			load_engine_watch(engine, session, PQsocket(session->conn), EPOLLIN);
			break;
		case PGRES_POLLING_WRITING:
			load_engine_watch(engine, session, PQsocket(session->conn), EPOLLOUT);
			break;
		default:
			connection_failed(engine, session);
			break;
	}
}

static void
prepared(Engine *engine, Session *session)
{
	bool piped = engine->config->protocol == LOAD_PROTOCOL_PIPELINE;

	if (session->failed || (!piped && !PQexitPipelineMode(session->conn)))
	{
		connection_failed(engine, session);
		return;
	}
	engine->nconnecting--;
	session->state = SESSION_IDLE;
	session->attempts = 0;
	session->pid = PQbackendPID(session->conn);
	session->procno = engine->config->variants[session->variant].local
						  ? perfopt_sampler_locate(session->pid)
						  : -1;
	session->tag = 0;
	if (engine->clock == 0)
	{
		engine->nready++;
		engine->mine->connected = engine->nready;
	}
	else
		load_session_free(engine, session);
}

static void
read_preparation(Engine *engine, Session *session)
{
	while (!PQisBusy(session->conn))
	{
		PGresult *result = PQgetResult(session->conn);
		ExecStatusType status = PQresultStatus(result);

		if (status == PGRES_FATAL_ERROR && result != NULL && !session->failed)
		{
			session->failed = true;
			load_error_from_result(&session->first, result);
		}
		PQclear(result);
		if (PQstatus(session->conn) == CONNECTION_BAD)
		{
			connection_failed(engine, session);
			return;
		}
		if (status == PGRES_PIPELINE_SYNC)
		{
			prepared(engine, session);
			return;
		}
	}
}

/*
 * While connecting, preparing, or idle.  Before the test begins, a user that can't get in after some
 * attempts ends it; afterwards the user keeps trying, at longer and longer intervals.
 */
static void
connection_failed(Engine *engine, Session *session)
{
	LoadWorker *mine = engine->mine;
	char message[sizeof(session->first.message)];

	strlcpy(message, session->failed ? session->first.message : PQerrorMessage(session->conn),
			sizeof(message));
	message[strcspn(message, "\n")] = '\0';

	if (session->state == SESSION_IDLE && engine->clock == 0)
		engine->nready--;
	if (engine->pool && session->state == SESSION_IDLE)
		load_session_taken(engine, session);
	load_session_close(engine, session);
	session->failed = false;

	if (engine->clock > 0 && !engine->discarding)
	{
		if (mine->lost++ == 0)
			load_error_set(&mine->lost_first, "08006", message);
	}
	else if (++session->attempts == MAX_ATTEMPTS_BEFORE_START)
	{
		char *problem = psprintf("user %d could not connect to target \"%s\": %s",
								 (int) (session - engine->sessions) * engine->shared->nworkers +
									 engine->worker + 1,
								 engine->config->target, message);

		load_run_fail(engine->run, ERRCODE_SQLCLIENT_UNABLE_TO_ESTABLISH_SQLCONNECTION, problem);
		pfree(problem);
		return;
	}

	if (engine->stopping || (!engine->pool && session->user->stopped))
		return;
	session->state = SESSION_BACKOFF;
	load_timer_set(engine, &session->timer,
				   engine->now +
					   (FIRST_BACKOFF_NS << Min(session->attempts, MAX_BACKOFF_DOUBLINGS)));
	if (engine->clock > 0)
		session->attempts++;
}

/* The server, or the way to it, is gone; whose iteration it was goes on without. */
void
load_session_lost(Engine *engine, Session *session)
{
	bool busy = load_session_busy(session);
	int64 now = load_clock();

	if (busy)
	{
		if (!session->failed)
			load_error_set(&session->first, "08006", PQerrorMessage(session->conn));
		session->failed = true;
		if (!engine->discarding)
			load_engine_record(engine, session, now);
	}
	connection_failed(engine, session);
	if (busy)
		load_user_done(engine, session, now);
}

void
load_session_ready(Engine *engine, Session *session)
{
	if (session->state == SESSION_CONNECTING)
	{
		poll_connection(engine, session);
		return;
	}
	if (session->conn == NULL)
		return;

	if (session->events & EPOLLOUT)
		load_session_flush(engine, session);
	if (!PQconsumeInput(session->conn))
		load_session_lost(engine, session);
	else if (session->state == SESSION_PREPARING)
		read_preparation(engine, session);
	else if (session->state == SESSION_RUNNING || session->state == SESSION_ROLLING_BACK)
		load_iteration_read(engine, session);
}

void
load_session_due(Engine *engine, Session *session)
{
	load_timer_clear(engine, &session->timer);
	if (session->state == SESSION_BACKOFF)
		load_session_connect(engine, session);
	else if (session->state == SESSION_SLEEPING)
		load_iteration_go_on(engine, session);
}

/* Asks the server to end the running statement. */
void
load_session_cancel(Session *session)
{
	PGcancel *cancel;
	char problem[256];

	if (session->state != SESSION_RUNNING && session->state != SESSION_ROLLING_BACK)
		return;
	cancel = PQgetCancel(session->conn);
	if (cancel != NULL)
		(void) PQcancel(cancel, problem, sizeof(problem));
	PQfreeCancel(cancel);
}
