/*
 * pool.c
 *	  Connections to the database, by role.
 */
#include "gateway/pool.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "gateway/text.h"

#define MAX_KEYWORDS 64
#define CONNECT_SECONDS 5
#define WAIT_SECONDS 5
#define IDLE_SECONDS 20

struct PerfoptSession
{
	PGconn *conn; /* NULL while it is being opened */
	PerfoptIdentity identity;
	time_t born;
	time_t used;
	bool busy;
	PerfoptSession *next;
};

static const PerfoptSettings *settings;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t freed = PTHREAD_COND_INITIALIZER;
static PerfoptSession *sessions;

static time_t
now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec;
}

void
perfopt_pool_begin(const PerfoptSettings *given)
{
	char *error = NULL;
	PQconninfoOption *parsed = PQconninfoParse(given->dsn, &error);

	settings = given;
	if (parsed == NULL)
	{
		fprintf(stderr, "perfopt-gateway: dsn: %s", error != NULL ? error : "out of memory\n");
		exit(2);
	}
	PQconninfoFree(parsed);
	for (int i = 0; i < given->ntokens; i++)
	{
		parsed = PQconninfoParse(given->tokens[i].conninfo, &error);
		if (parsed == NULL)
		{
			fprintf(stderr, "perfopt-gateway: token %d: %s", i + 1,
					error != NULL ? error : "out of memory\n");
			exit(2);
		}
		PQconninfoFree(parsed);
	}
}

/* Keywords and values, later ones in the place of earlier ones. */
typedef struct Target
{
	const char *keywords[MAX_KEYWORDS + 1];
	const char *values[MAX_KEYWORDS + 1];
	int n;
} Target;

static void
aim(Target *target, const char *keyword, const char *value)
{
	int i = 0;

	while (i < target->n && strcmp(target->keywords[i], keyword) != 0)
		i++;
	if (i == MAX_KEYWORDS)
		return;
	target->keywords[i] = keyword;
	target->values[i] = value;
	if (i == target->n)
		target->n++;
}

static PQconninfoOption *
aim_conninfo(Target *target, const char *conninfo)
{
	PQconninfoOption *parsed = PQconninfoParse(conninfo, NULL);

	for (PQconninfoOption *option = parsed; option != NULL && option->keyword != NULL; option++)
		if (option->val != NULL)
			aim(target, option->keyword, option->val);
	return parsed;
}

/* Takes a connection attempt to its end, or to its deadline. */
static bool
await_connection(PGconn *conn)
{
	time_t deadline = now() + CONNECT_SECONDS;
	PostgresPollingStatusType status = PGRES_POLLING_WRITING;

	while (status != PGRES_POLLING_OK && status != PGRES_POLLING_FAILED)
	{
		struct pollfd wait = { .fd = PQsocket(conn),
							   .events = status == PGRES_POLLING_READING ? POLLIN : POLLOUT };
		time_t left = deadline - now();

		if (wait.fd < 0 || left <= 0 || (poll(&wait, 1, (int) left * 1000) < 0 && errno != EINTR))
			return false;
		status = PQconnectPoll(conn);
	}
	return status == PGRES_POLLING_OK;
}

/* Why a connection failed. Its message ends with the SQLSTATE, if it was the server that refused. */
static void
explain_failure(PGconn *conn, PerfoptProblem *problem)
{
	const char *message = PQerrorMessage(conn);
	size_t length = strlen(message);
	char sqlstate[6] = "";

	while (length > 0 && message[length - 1] == '\n')
		length--;
	if (length > 7 && message[length - 6] == ' ' &&
		strspn(message + length - 5, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ") >= 5)
		snprintf(sqlstate, sizeof(sqlstate), "%.5s", message + length - 5);
	if (sqlstate[0] == '\0')
	{
		perfopt_problem_set(problem, 503, "the database cannot be reached", NULL);
		fprintf(stderr, "perfopt-gateway: %.*s\n", (int) length, message);
	}
	else if (strncmp(sqlstate, "28", 2) == 0)
		perfopt_problem_set(problem, 401, "the database does not let this role log in",
							"User and password are those of a PostgreSQL role.");
	else
		perfopt_problem_set(problem, perfopt_problem_status(sqlstate),
							"the database refused the connection", NULL);
	snprintf(problem->sqlstate, sizeof(problem->sqlstate), "%s", sqlstate);
}

/* What every session is told: texts that are the same everywhere, and a limit of time. */
static bool
prepare_session(PGconn *conn, PerfoptProblem *problem)
{
	PerfoptText sql = { 0 };
	PGresult *result;
	bool done;

	perfopt_text_format(
		&sql,
		"SET search_path = pg_catalog; SET timezone = 'UTC'; SET datestyle = 'ISO'; "
		"SET intervalstyle = 'iso_8601'; SET statement_timeout = '%ds'; "
		"SET lock_timeout = '10s'; SET idle_in_transaction_session_timeout = '60s'",
		settings->statement_timeout);
	result = PQexec(conn, sql.data);
	done = PQresultStatus(result) == PGRES_COMMAND_OK;
	if (!done)
		perfopt_problem_set(problem, 503, "the database does not take the session's settings",
							NULL);
	PQclear(result);
	perfopt_text_free(&sql);
	return done;
}

static PGconn *
connect_as(const PerfoptIdentity *identity, PerfoptProblem *problem)
{
	Target target = { 0 };
	PQconninfoOption *base = aim_conninfo(&target, settings->dsn);
	PQconninfoOption *added = NULL;
	PGconn *conn;

	if (identity->token != NULL)
		added = aim_conninfo(&target, identity->token->conninfo);
	else
	{
		aim(&target, "user", identity->user);
		aim(&target, "password", identity->password);
	}
	aim(&target, "application_name", "perfopt-gateway");
	aim(&target, "client_encoding", "UTF8");
	target.keywords[target.n] = NULL;
	conn = PQconnectStartParams(target.keywords, target.values, 0);
	PQconninfoFree(base);
	PQconninfoFree(added);
	/* The code alone: it is the same in every language. */
	PQsetErrorVerbosity(conn, PQERRORS_SQLSTATE);
	if (!await_connection(conn))
		explain_failure(conn, problem);
	else if (identity->token == NULL && !PQconnectionUsedPassword(conn))
		/* The server let the gateway in for its own sake, which says nothing about the caller. */
		perfopt_problem_set(problem, 401, "the database did not ask for this role's password",
							"pg_hba.conf must ask the gateway for passwords, such as with "
							"scram-sha-256.");
	else if (prepare_session(conn, problem))
	{
		PQsetErrorVerbosity(conn, PQERRORS_DEFAULT);
		return conn;
	}
	PQfinish(conn);
	return NULL;
}

static bool
same_identity(const PerfoptIdentity *a, const PerfoptIdentity *b)
{
	return a->token == b->token &&
		   (a->token != NULL ||
			(strcmp(a->user, b->user) == 0 && perfopt_identity_equal(a->password, b->password)));
}

static bool
same_role(const PerfoptIdentity *a, const PerfoptIdentity *b)
{
	return a->token == b->token && (a->token != NULL || strcmp(a->user, b->user) == 0);
}

/* Takes a session out of the list; the lock is held. */
static void
unlink_session(PerfoptSession *session)
{
	PerfoptSession **at = &sessions;

	while (*at != NULL && *at != session)
		at = &(*at)->next;
	if (*at != NULL)
		*at = session->next;
}

static void
destroy(PerfoptSession *session)
{
	PQfinish(session->conn);
	explicit_bzero(session, sizeof(*session));
	free(session);
}

/* An idle connection that says something says farewell. */
static bool
is_alive(PerfoptSession *session)
{
	struct pollfd wait = { .fd = PQsocket(session->conn), .events = POLLIN };

	return PQstatus(session->conn) == CONNECTION_OK && poll(&wait, 1, 0) == 0;
}

/* The lock is held. Counts this role's sessions, and finds one that is free. */
static PerfoptSession *
find_idle(const PerfoptIdentity *identity, int *of_role, int *total)
{
	PerfoptSession *found = NULL;

	*of_role = 0;
	*total = 0;
	for (PerfoptSession *s = sessions; s != NULL; s = s->next)
	{
		++*total;
		*of_role += same_role(&s->identity, identity);
		if (found == NULL && !s->busy && now() - s->born < PERFOPT_SESSION_LIFE &&
			same_identity(&s->identity, identity))
			found = s;
	}
	return found;
}

/* The lock is held. When all are taken, one that is idle goes, whoever's it is. */
static PerfoptSession *
take_idle_of_others(const PerfoptIdentity *identity, bool of_role)
{
	for (PerfoptSession *s = sessions; s != NULL; s = s->next)
		if (!s->busy && (!of_role || same_role(&s->identity, identity)))
		{
			unlink_session(s);
			return s;
		}
	return NULL;
}

/* The lock is held, and let go while connecting; the session is counted from the beginning. */
static PerfoptSession *
open_session(const PerfoptIdentity *identity, PerfoptProblem *problem)
{
	PerfoptSession *session = perfopt_allocate(sizeof(*session));

	session->identity = *identity;
	session->born = session->used = now();
	session->busy = true;
	session->next = sessions;
	sessions = session;
	pthread_mutex_unlock(&lock);
	session->conn = connect_as(identity, problem);
	pthread_mutex_lock(&lock);
	if (session->conn != NULL)
		return session;
	unlink_session(session);
	pthread_cond_broadcast(&freed);
	destroy(session);
	return NULL;
}

/* The lock is held. One turn: a session, a problem, or neither while all are busy. */
static PerfoptSession *
try_to_take(const PerfoptIdentity *identity, PerfoptProblem *problem)
{
	int of_role;
	int total;
	PerfoptSession *session = find_idle(identity, &of_role, &total);
	bool role_full = of_role >= settings->role_connections;

	if (session != NULL)
	{
		session->busy = true;
		session->used = now();
		if (is_alive(session))
			return session;
		unlink_session(session);
		destroy(session);
		return try_to_take(identity, problem);
	}
	if (role_full || total >= settings->total_connections)
	{
		session = take_idle_of_others(identity, role_full);
		if (session == NULL)
			return NULL;
		destroy(session);
	}
	return open_session(identity, problem);
}

PerfoptSession *
perfopt_pool_take(const PerfoptIdentity *identity, PerfoptProblem *problem)
{
	struct timespec deadline;
	PerfoptSession *session;

	*problem = (PerfoptProblem){ 0 };
	clock_gettime(CLOCK_REALTIME, &deadline);
	deadline.tv_sec += WAIT_SECONDS;
	pthread_mutex_lock(&lock);
	while ((session = try_to_take(identity, problem)) == NULL && problem->status == 0)
		if (pthread_cond_timedwait(&freed, &lock, &deadline) != 0)
			perfopt_problem_set(problem, 503, "all connections of this role are busy",
								"role-connections and total-connections limit them.");
	pthread_mutex_unlock(&lock);
	return session;
}

void
perfopt_pool_detach(PerfoptSession *session)
{
	pthread_mutex_lock(&lock);
	unlink_session(session);
	pthread_cond_broadcast(&freed);
	pthread_mutex_unlock(&lock);
}

void
perfopt_pool_drop(PerfoptSession *session)
{
	pthread_mutex_lock(&lock);
	unlink_session(session);
	pthread_cond_broadcast(&freed);
	pthread_mutex_unlock(&lock);
	destroy(session);
}

void
perfopt_pool_give(PerfoptSession *session)
{
	if (PQstatus(session->conn) != CONNECTION_OK ||
		PQtransactionStatus(session->conn) != PQTRANS_IDLE)
	{
		perfopt_pool_drop(session);
		return;
	}
	pthread_mutex_lock(&lock);
	session->busy = false;
	session->used = now();
	pthread_cond_broadcast(&freed);
	pthread_mutex_unlock(&lock);
}

PGconn *
perfopt_session_conn(PerfoptSession *session)
{
	return session->conn;
}

const char *
perfopt_session_role(PerfoptSession *session)
{
	return PQuser(session->conn);
}

static void
explain_error(PGresult *result, PGconn *conn, PerfoptProblem *problem)
{
	const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
	const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
	const char *hint = PQresultErrorField(result, PG_DIAG_MESSAGE_HINT);
	int status;

	if (sqlstate == NULL)
	{
		perfopt_problem_set(problem, 503, "the connection to the database was lost", NULL);
		return;
	}
	status = perfopt_problem_status(sqlstate);
	if (strcmp(sqlstate, "3F000") == 0)
		hint = "CREATE EXTENSION perfopt makes it, in the database that --dsn names.";
	if (strcmp(sqlstate, "57014") == 0)
		hint = "statement-timeout of the gateway limits how long a statement may take.";
	perfopt_problem_set(problem, status, message != NULL ? message : "", hint);
	snprintf(problem->sqlstate, sizeof(problem->sqlstate), "%s", sqlstate);
	if (status == 500)
		fprintf(stderr, "perfopt-gateway: %s", PQerrorMessage(conn));
}

PGresult *
perfopt_session_query(PerfoptSession *session, const char *sql, int nvalues,
					  const char *const *values, PerfoptProblem *problem)
{
	PGresult *result = PQexecParams(session->conn, sql, nvalues, NULL, values, NULL, NULL, 0);

	if (PQresultStatus(result) == PGRES_TUPLES_OK || PQresultStatus(result) == PGRES_COMMAND_OK)
		return result;
	explain_error(result, session->conn, problem);
	PQclear(result);
	return NULL;
}

void
perfopt_pool_tidy(void)
{
	PerfoptSession *old = NULL;

	pthread_mutex_lock(&lock);
	for (PerfoptSession *s = sessions, *next; s != NULL; s = next)
	{
		next = s->next;
		if (!s->busy && (now() - s->used > IDLE_SECONDS || now() - s->born >= PERFOPT_SESSION_LIFE))
		{
			unlink_session(s);
			s->next = old;
			old = s;
		}
	}
	pthread_mutex_unlock(&lock);
	while (old != NULL)
	{
		PerfoptSession *next = old->next;

		destroy(old);
		old = next;
	}
}

void
perfopt_pool_count(int *open, int *busy)
{
	*open = *busy = 0;
	pthread_mutex_lock(&lock);
	for (PerfoptSession *s = sessions; s != NULL; s = s->next)
	{
		++*open;
		*busy += s->busy;
	}
	pthread_mutex_unlock(&lock);
}

bool
perfopt_pool_ready(void)
{
	return PQping(settings->dsn) == PQPING_OK;
}
