/*
 * session.c
 *	  One simulated user's connection: connecting, preparing, running iterations, coming back.
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

static bool
is_time_to_stop(const Engine *engine, const Session *session)
{
	return engine->stopping ||
		   (engine->clock > 0 && engine->now >= engine->clock + session->stop_at);
}

void
load_session_close(Engine *engine, Session *session)
{
	load_timer_clear(engine, session);
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
load_session_stop(Engine *engine, Session *session)
{
	if (session->stopped)
		return;
	session->stopped = true;
	engine->nlive--;
	if (session->started)
		engine->mine->users--;
	load_session_close(engine, session);
}

/* Sleeps until `due`, but not past the session's end. */
static void
sleep_until(Engine *engine, Session *session, int64 due)
{
	if (engine->clock > 0)
		due = Min(due, engine->clock + session->stop_at);
	load_timer_set(engine, session, due);
}

void
load_session_connect(Engine *engine, Session *session)
{
	const char *keywords[4];
	const char *values[4];

	if (!AcquireExternalFD())
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_RESOURCES),
				 errmsg("a load worker may not open more sessions"),
				 errhint(
					 "Raise max_files_per_process or the operating system's limit (ulimit -n).")));

	session->state = SESSION_CONNECTING;
	engine->nconnecting++;
	load_remote_params(engine->conninfo, engine->application_name, keywords, values);
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
static void
flush(Engine *engine, Session *session)
{
	int pending = PQflush(session->conn);

	/* A failure shows, with its reason, when reading. */
	load_engine_watch(engine, session, PQsocket(session->conn),
					  pending > 0 ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

static bool
send_preparation(const Engine *engine, PGconn *conn)
{
	const LoadConfig *config = engine->config;
	bool ok = PQsetnonblocking(conn, 1) == 0 && PQenterPipelineMode(conn);

	if (config->dataset != NULL)
	{
		char *sql = psprintf("SET search_path = %s, public", quote_identifier(config->dataset));

		ok = ok && PQsendQueryParams(conn, sql, 0, NULL, NULL, NULL, NULL, 0);
		pfree(sql);
	}
	for (int i = 0; i < config->noperations; i++)
	{
		const LoadOperation *operation = &config->operations[i];

		for (int j = 0; j < operation->nstatements; j++)
			ok = ok && PQsendPrepare(conn, operation->statements[j].name,
									 operation->statements[j].sql, 0, NULL);
	}
	return ok && PQpipelineSync(conn);
}

static void
connected(Engine *engine, Session *session)
{
	if (engine->config->used_password && !PQconnectionUsedPassword(session->conn))
		ereport(ERROR,
				(errcode(ERRCODE_S_R_E_PROHIBITED_SQL_STATEMENT_ATTEMPTED),
				 errmsg("target \"%s\" asked for a password before the test, and does not now",
						engine->config->target)));

	session->state = SESSION_PREPARING;
	session->failed = false;
	if (send_preparation(engine, session->conn))
		flush(engine, session);
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
	if (session->failed || !PQexitPipelineMode(session->conn))
	{
		connection_failed(engine, session);
		return;
	}
	engine->nconnecting--;
	session->state = SESSION_IDLE;
	session->attempts = 0;
	session->pid = PQbackendPID(session->conn);
	session->procno = engine->config->local ? perfopt_sampler_locate(session->pid) : -1;
	session->tag = 0;
	if (engine->clock == 0)
	{
		engine->nready++;
		engine->mine->connected = engine->nready;
	}
	else
		load_session_schedule(engine, session);
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

	if (is_time_to_stop(engine, session))
		load_session_stop(engine, session);
	else
	{
		session->state = SESSION_BACKOFF;
		sleep_until(engine, session,
					engine->now +
						(FIRST_BACKOFF_NS << Min(session->attempts, MAX_BACKOFF_DOUBLINGS)));
		if (engine->clock > 0)
			session->attempts++;
	}
}

static void
send_statement(Engine *engine, Session *session)
{
	const LoadOperation *operation = &engine->config->operations[session->operation];
	const LoadStatement *statement = &operation->statements[session->statement];
	const char *values[PERFOPT_SCRIPT_MAX_PARAMS];

	for (int i = 0; i < statement->nparams; i++)
		values[i] = session->values[statement->params[i]];

	/* When this fails the socket is readable, and reading says why. */
	(void) PQsendQueryPrepared(session->conn, statement->name, statement->nparams, values, NULL,
							   NULL, 0);
	flush(engine, session);
}

static void
begin_iteration(Engine *engine, Session *session, int64 now)
{
	const LoadConfig *config = engine->config;
	const LoadOperation *operation;
	double draw = pg_prng_double(&session->random) * engine->weights[config->noperations - 1];

	session->operation = 0;
	while (session->operation < config->noperations - 1 &&
		   draw >= engine->weights[session->operation])
		session->operation++;
	operation = &config->operations[session->operation];

	for (int i = 0; i < operation->nvariables; i++)
	{
		const LoadVariable *variable = &operation->variables[i];
		uint64 range = (uint64) variable->high - (uint64) variable->low;
		uint64 value = (uint64) variable->low + pg_prng_uint64_range(&session->random, 0, range);

		pg_lltoa((int64) value, session->values[i]);
	}

	if (session->procno >= 0 && session->tag != (uint32) operation->id)
	{
		session->tag = operation->id;
		perfopt_sampler_tag(session->procno, session->pid, session->tag);
	}

	session->state = SESSION_RUNNING;
	session->statement = 0;
	session->failed = false;
	session->began = now;
	send_statement(engine, session);
}

/* After an iteration, or after coming back: what next? */
static void
go_on(Engine *engine, Session *session, int64 now)
{
	session->state = SESSION_IDLE;
	if (engine->stopping || now >= engine->clock + session->stop_at)
		load_session_stop(engine, session);
	else if (engine->config->think_time_ns > 0)
		sleep_until(engine, session, now + engine->config->think_time_ns);
	else
		begin_iteration(engine, session, now);
}

/*
 * The one clock reading of an iteration: its end is the beginning of the next.
 */
static void
end_iteration(Engine *engine, Session *session)
{
	int64 now = load_clock();

	if (!engine->discarding)
		load_engine_record(engine, session, now);
	go_on(engine, session, now);
}

static void
roll_back(Engine *engine, Session *session)
{
	session->state = SESSION_ROLLING_BACK;
	(void) PQsendQuery(session->conn, "ROLLBACK");
	flush(engine, session);
}

/* The server, or the way to it, is gone. */
static void
connection_lost(Engine *engine, Session *session)
{
	if (session->state == SESSION_RUNNING || session->state == SESSION_ROLLING_BACK)
	{
		if (!session->failed)
			load_error_set(&session->first, "08006", PQerrorMessage(session->conn));
		session->failed = true;
		if (!engine->discarding)
			load_engine_record(engine, session, load_clock());
	}
	connection_failed(engine, session);
}

static void
statement_done(Engine *engine, Session *session)
{
	const LoadOperation *operation = &engine->config->operations[session->operation];
	bool in_transaction = PQtransactionStatus(session->conn) != PQTRANS_IDLE;

	if (session->state == SESSION_ROLLING_BACK)
		end_iteration(engine, session);
	else if (!session->failed && ++session->statement < operation->nstatements)
		send_statement(engine, session);
	else if (!in_transaction)
		end_iteration(engine, session);
	else
	{
		if (!session->failed)
			load_error_set(&session->first, "25001",
						   "the script ends inside a transaction that it began");
		session->failed = true;
		roll_back(engine, session);
	}
}

/* False when nothing more can be made of this connection. */
static bool
take_result(Session *session, const PGresult *result)
{
	switch (PQresultStatus(result))
	{
		case PGRES_COMMAND_OK:
		case PGRES_TUPLES_OK:
		case PGRES_EMPTY_QUERY:
			return true;
		case PGRES_COPY_IN:
		case PGRES_COPY_OUT:
		case PGRES_COPY_BOTH:
			session->failed = true;
			load_error_set(&session->first, "0A000", "COPY can't be used in a script");
			return false;
		default:
			if (!session->failed)
				load_error_from_result(&session->first, result);
			session->failed = true;
			return PQstatus(session->conn) == CONNECTION_OK;
	}
}

static void
read_statement(Engine *engine, Session *session)
{
	while (!PQisBusy(session->conn))
	{
		PGresult *result = PQgetResult(session->conn);
		bool usable;

		if (result == NULL)
		{
			if (PQstatus(session->conn) == CONNECTION_OK)
				statement_done(engine, session);
			else
				connection_lost(engine, session);
			return;
		}
		usable = take_result(session, result);
		PQclear(result);
		if (!usable)
		{
			connection_lost(engine, session);
			return;
		}
	}
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
		flush(engine, session);
	if (!PQconsumeInput(session->conn))
		connection_lost(engine, session);
	else if (session->state == SESSION_PREPARING)
		read_preparation(engine, session);
	else if (session->state != SESSION_IDLE)
		read_statement(engine, session);
}

void
load_session_schedule(Engine *engine, Session *session)
{
	session->state = SESSION_IDLE;
	sleep_until(engine, session, Max(engine->now, engine->clock + session->start_at));
}

void
load_session_due(Engine *engine, Session *session)
{
	load_timer_clear(engine, session);
	if (is_time_to_stop(engine, session))
		load_session_stop(engine, session);
	else if (session->state == SESSION_BACKOFF)
		load_session_connect(engine, session);
	else if (session->state == SESSION_IDLE)
	{
		if (!session->started)
			engine->mine->users++;
		session->started = true;
		begin_iteration(engine, session, load_clock());
	}
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
