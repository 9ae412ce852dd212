/*
 * dispatch.c
 *	  From a request to an answer.
 */
#include "gateway/dispatch.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "gateway/answer.h"
#include "gateway/assets.h"
#include "gateway/events.h"
#include "gateway/exposition.h"
#include "gateway/openapi.h"
#include "gateway/pool.h"
#include "gateway/throttle.h"

#define PAGE_POLICY                                                                                \
	"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' " \
	"data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

static const PerfoptSettings *settings;
static PerfoptText openapi;
static PerfoptThrottle *throttle;
static pthread_mutex_t throttle_lock = PTHREAD_MUTEX_INITIALIZER;

void
perfopt_dispatch_begin(const PerfoptSettings *given)
{
	settings = given;
	perfopt_openapi_write(&openapi);
	throttle = perfopt_allocate(sizeof(*throttle));
	throttle->rate = settings->rate_limit;
}

static enum MHD_Result
answer(PerfoptExchange *exchange, struct MHD_Connection *connection, PerfoptReply *reply)
{
	return perfopt_answer(connection, reply, &exchange->status, &exchange->bytes);
}

static enum MHD_Result
answer_problem(PerfoptExchange *exchange, struct MHD_Connection *connection,
			   const PerfoptProblem *problem)
{
	return perfopt_answer_problem(connection, problem, &exchange->status, &exchange->bytes);
}

static const char *
header(struct MHD_Connection *connection, const char *name)
{
	return MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name);
}

static bool
within(bool (*ask)(PerfoptThrottle *, const unsigned char *, double), PerfoptExchange *exchange,
	   double now)
{
	bool result;

	pthread_mutex_lock(&throttle_lock);
	result = ask(throttle, exchange->address, now);
	pthread_mutex_unlock(&throttle_lock);
	return result;
}

static void
note_failure(PerfoptExchange *exchange, double now)
{
	pthread_mutex_lock(&throttle_lock);
	perfopt_throttle_login_failed(throttle, exchange->address, now);
	pthread_mutex_unlock(&throttle_lock);
}

/* Who it is; the database has not been asked yet. */
static bool
identify(PerfoptExchange *exchange, struct MHD_Connection *connection, double now,
		 PerfoptIdentity *identity, PerfoptProblem *problem)
{
	const char *authorization = header(connection, "Authorization");

	if (authorization == NULL)
	{
		perfopt_problem_set(problem, 401, "this needs a login",
							"Send user and password of a PostgreSQL role (Basic), or a token.");
		return false;
	}
	if (!within(perfopt_throttle_may_log_in, exchange, now))
	{
		perfopt_problem_set(problem, 429, "too many failed logins from this address",
							"Wait some seconds.");
		return false;
	}
	if (!perfopt_identity_read(identity, authorization, settings->tokens, settings->ntokens))
	{
		note_failure(exchange, now);
		perfopt_problem_set(problem, 401, "the Authorization header is malformed or not known",
							"Send user and password of a PostgreSQL role (Basic), or a token.");
		return false;
	}
	return true;
}

static PerfoptSession *
log_in(PerfoptExchange *exchange, const PerfoptIdentity *identity, double now,
	   PerfoptProblem *problem)
{
	PerfoptSession *session = perfopt_pool_take(identity, problem);

	if (session != NULL)
		snprintf(exchange->role, sizeof(exchange->role), "%s", perfopt_session_role(session));
	else if (problem->status == 401)
		note_failure(exchange, now);
	return session;
}

/*
 * A browser sends logins that it remembers along with what other sites make it send, and says where
 * that comes from; only the dashboard's own page may change anything.
 */
static bool
is_foreign(struct MHD_Connection *connection)
{
	const char *origin = header(connection, "Origin");
	const char *host = header(connection, "Host");
	const char *authority = origin != NULL ? strstr(origin, "://") : NULL;

	if (origin == NULL)
		return false;
	return authority == NULL || host == NULL || strcasecmp(authority + 3, host) != 0;
}

static bool
check_body(PerfoptExchange *exchange, struct MHD_Connection *connection, PerfoptProblem *problem)
{
	const char *type = header(connection, "Content-Type");

	if (exchange->too_large)
		perfopt_problem_set(problem, 413, "the body is too large",
							"max-body of the gateway limits it.");
	else if (exchange->body.length > 0 &&
			 (type == NULL || strncasecmp(type, "application/json", 16) != 0))
		perfopt_problem_set(problem, 415, "the body must be application/json",
							"Send Content-Type: application/json.");
	return problem->status == 0;
}

static enum MHD_Result
answer_result(PerfoptExchange *exchange, struct MHD_Connection *connection,
			  const PerfoptRoute *route, PGresult *result)
{
	PerfoptReply reply = { .status = route->status,
						   .type = "application/json",
						   .etag = route->cheap };
	PerfoptProblem problem;

	if (route->answer == PERFOPT_NOTHING)
		return answer(exchange, connection, &reply);
	if (PQntuples(result) == 0 || PQgetisnull(result, 0, 0))
	{
		perfopt_problem_set(&problem, 404, "there is no such thing", NULL);
		return answer_problem(exchange, connection, &problem);
	}
	perfopt_text_add(&reply.body, PQgetvalue(result, 0, 0), (size_t) PQgetlength(result, 0, 0));
	return answer(exchange, connection, &reply);
}

static enum MHD_Result
answer_stream(PerfoptExchange *exchange, struct MHD_Connection *connection, double now,
			  const PerfoptIdentity *identity, const PerfoptRequest *request)
{
	PerfoptProblem problem = { 0 };
	int client = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
	struct MHD_Response *response =
		perfopt_events_open(identity, request, header(connection, "Last-Event-ID"), client,
							&problem);
	enum MHD_Result result;

	if (response == NULL)
	{
		if (problem.status == 401)
			note_failure(exchange, now);
		return answer_problem(exchange, connection, &problem);
	}
	snprintf(exchange->role, sizeof(exchange->role), "%s",
			 identity->token != NULL ? "token" : identity->user);
	exchange->streams = true;
	exchange->status = 200;
	/* What comes between two events is up to the stream. */
	MHD_set_connection_option(connection, MHD_CONNECTION_OPTION_TIMEOUT, 0u);
	perfopt_answer_headers(response, NULL);
	result = MHD_queue_response(connection, MHD_HTTP_OK, response);
	MHD_destroy_response(response);
	return result;
}

static enum MHD_Result
answer_call(PerfoptExchange *exchange, struct MHD_Connection *connection, double now,
			const PerfoptIdentity *identity, const PerfoptRequest *request)
{
	PerfoptProblem problem = { 0 };
	PerfoptSession *session = log_in(exchange, identity, now, &problem);
	const char *values[PERFOPT_MAX_BOUND];
	char limit[16];
	PerfoptText sql = { 0 };
	PGresult *result;
	enum MHD_Result queued;
	int nvalues;

	if (session == NULL)
		return answer_problem(exchange, connection, &problem);
	nvalues = perfopt_request_statement(request, &sql, values, limit);
	result = perfopt_session_query(session, sql.data, nvalues, values, &problem);
	perfopt_pool_give(session);
	perfopt_text_free(&sql);
	if (result == NULL)
		return answer_problem(exchange, connection, &problem);
	queued = answer_result(exchange, connection, request->route, result);
	PQclear(result);
	return queued;
}

/* Who asks comes first, so that strangers learn nothing of what there is. */
static enum MHD_Result
answer_api(PerfoptExchange *exchange, struct MHD_Connection *connection, double now)
{
	PerfoptIdentity identity;
	PerfoptProblem problem = { 0 };
	PerfoptRequest request = { 0 };
	enum MHD_Result result;

	if (!identify(exchange, connection, now, &identity, &problem) ||
		!check_body(exchange, connection, &problem) ||
		!perfopt_request_read(&request, exchange->method, exchange->uri, exchange->body.data,
							  exchange->body.length, &problem))
		result = answer_problem(exchange, connection, &problem);
	else if (request.route->answer == PERFOPT_EVENTS || request.route->answer == PERFOPT_PROGRESS)
		result = answer_stream(exchange, connection, now, &identity, &request);
	else
		result = answer_call(exchange, connection, now, &identity, &request);
	perfopt_request_free(&request);
	explicit_bzero(&identity, sizeof(identity));
	return result;
}

static enum MHD_Result
answer_metrics(PerfoptExchange *exchange, struct MHD_Connection *connection, double now)
{
	const char *accept = header(connection, "Accept");
	bool openmetrics = accept != NULL && strstr(accept, "application/openmetrics-text") != NULL;
	PerfoptReply reply = { .status = 200,
						   .type = openmetrics ? PERFOPT_EXPOSITION_OPENMETRICS
											   : PERFOPT_EXPOSITION_TEXT };
	PerfoptIdentity identity;
	PerfoptProblem problem = { 0 };
	PerfoptSession *session = NULL;
	bool written = false;

	if (identify(exchange, connection, now, &identity, &problem))
		session = log_in(exchange, &identity, now, &problem);
	explicit_bzero(&identity, sizeof(identity));
	if (session != NULL)
	{
		written = perfopt_exposition_write(session, openmetrics, &reply.body, &problem);
		perfopt_pool_give(session);
	}
	if (written)
		return answer(exchange, connection, &reply);
	return answer_problem(exchange, connection, &problem);
}

/* What is the same for everybody and says nothing of the database. */
static enum MHD_Result
answer_fixed(PerfoptExchange *exchange, struct MHD_Connection *connection, const char *path)
{
	PerfoptReply reply = { .status = 200, .type = "application/json", .etag = true };
	PerfoptProblem problem;

	if (strcmp(path, "/openapi.json") == 0)
		perfopt_text_add(&reply.body, openapi.data, openapi.length);
	else if (strcmp(path, "/healthz") == 0 || strcmp(path, "/readyz") == 0)
	{
		bool good = path[1] == 'h' || perfopt_pool_ready();

		reply.etag = false;
		reply.type = "text/plain";
		reply.status = good ? 200 : 503;
		perfopt_text_put(&reply.body, good ? "ok\n" : "the database takes no connections\n");
	}
	for (int i = 0; i < perfopt_nassets && reply.body.length == 0; i++)
		if (strcmp(path, perfopt_assets[i].path) == 0)
		{
			reply.type = perfopt_assets[i].type;
			reply.policy = PAGE_POLICY;
			perfopt_text_add(&reply.body, (const char *) perfopt_assets[i].bytes,
							 perfopt_assets[i].length);
		}
	if (reply.body.length > 0)
		return answer(exchange, connection, &reply);
	perfopt_problem_set(&problem, 404, "there is nothing at this path",
						"/openapi.json lists what there is.");
	return answer_problem(exchange, connection, &problem);
}

enum MHD_Result
perfopt_dispatch(PerfoptExchange *exchange, struct MHD_Connection *connection, double now)
{
	bool reads = strcmp(exchange->method, "GET") == 0 || strcmp(exchange->method, "HEAD") == 0;
	PerfoptProblem problem = { 0 };
	char path[64];

	if (!within(perfopt_throttle_request, exchange, now))
		perfopt_problem_set(&problem, 429, "too many requests from this address",
							"rate-limit of the gateway limits them.");
	else if (!reads && is_foreign(connection))
		perfopt_problem_set(&problem, 403, "the request comes from another site", NULL);
	if (problem.status != 0)
		return answer_problem(exchange, connection, &problem);
	if (strncmp(exchange->uri, PERFOPT_API_PREFIX, strlen(PERFOPT_API_PREFIX)) == 0)
		return answer_api(exchange, connection, now);
	if (!reads)
	{
		perfopt_problem_set(&problem, 405, "this path does not take this method", NULL);
		snprintf(problem.allowed, sizeof(problem.allowed), "GET, HEAD");
		return answer_problem(exchange, connection, &problem);
	}
	snprintf(path, sizeof(path), "%.*s", (int) strcspn(exchange->uri, "?"), exchange->uri);
	if (strcmp(path, "/metrics") == 0)
		return answer_metrics(exchange, connection, now);
	return answer_fixed(exchange, connection, path);
}
