/*
 * iteration.c
 *	  One run of an operation's script in a session: drawing variables, sending statements, reading
 *	  results, doing what stands between them, trying again.
 */
#include "postgres.h"

#include <ctype.h>
#include <math.h>

#include "utils/builtins.h"
#include "utils/memutils.h"

#include "load/engine.h"
#include "sampler/sampler.h"

/* The longest text that \gset takes. */
#define MAX_TEXT 65536

/* The longest \sleep. */
#define MAX_SLEEP_NS (24 * 3600 * LOAD_NS_PER_S)

#define SQLSTATE_SCRIPT "22000"
#define SQLSTATE_OPEN_TRANSACTION "25001"

static void run_steps(Engine *engine, Session *session);

static const LoadOperation *
operation_of(const Engine *engine, const Session *session)
{
	return &engine->config->variants[session->variant].operations[session->operation];
}

static PerfoptValue
draw_item(const LoadVariable *variable, const PerfoptRandom *random)
{
	int low = 0;
	int high = variable->nitems - 1;
	double draw;

	if (variable->weights == NULL)
		low = (int) perfopt_draw_int(random, 0, high);
	else
	{
		draw = perfopt_draw_double(random) * variable->weights[high];
		while (low < high)
		{
			int middle = (low + high) / 2;

			if (draw < variable->weights[middle])
				high = middle;
			else
				low = middle + 1;
		}
	}
	if (variable->items[low] == NULL)
		return (PerfoptValue){ .type = PERFOPT_VALUE_NULL };
	return (PerfoptValue){ .type = PERFOPT_VALUE_TEXT, .text = variable->items[low] };
}

static int64
next_of_sequence(Engine *engine, const LoadVariable *variable)
{
	uint64 n = pg_atomic_fetch_add_u64(load_run_sequence(engine->shared, variable->sequence), 1);
	uint64 range = (uint64) variable->high - (uint64) variable->low;

	return (int64) ((uint64) variable->low + (range == PG_UINT64_MAX ? n : n % (range + 1)));
}

static PerfoptValue
draw_value(Engine *engine, const User *user, const LoadVariable *variable,
		   const PerfoptRandom *random)
{
	PerfoptValue value = { .type = PERFOPT_VALUE_INT };

	switch (variable->draw)
	{
		case LOAD_DRAW_NOTHING:
			value.type = PERFOPT_VALUE_UNSET;
			break;
		case LOAD_DRAW_SEED:
			value.i = (int64) engine->config->seed;
			break;
		case LOAD_DRAW_USER:
			value.i = user->number;
			break;
		case LOAD_DRAW_UNIFORM:
			value.i = perfopt_draw_int(random, variable->low, variable->high);
			break;
		case LOAD_DRAW_GAUSSIAN:
			value.i = perfopt_draw_gaussian_int(random, variable->low, variable->high,
												variable->parameter);
			break;
		case LOAD_DRAW_EXPONENTIAL:
			value.i = perfopt_draw_exponential_int(random, variable->low, variable->high,
												   variable->parameter);
			break;
		case LOAD_DRAW_ZIPFIAN:
			value.i = perfopt_draw_zipfian_int(random, variable->low, variable->high,
											   variable->parameter);
			break;
		case LOAD_DRAW_SEQUENCE:
			value.i = next_of_sequence(engine, variable);
			break;
		case LOAD_DRAW_ITEM:
			return draw_item(variable, random);
	}
	return value;
}

/* Again, as before a retry, the same ones come. */
static void
draw_variables(Engine *engine, Session *session, bool again)
{
	const LoadOperation *operation = operation_of(engine, session);
	PerfoptRandom random = load_random(&session->user->random);

	if (again)
		session->user->random = session->random_then;
	else
		session->random_then = session->user->random;
	for (int i = 0; i < operation->nvariables; i++)
		if (!again || operation->variables[i].draw != LOAD_DRAW_SEQUENCE)
			session->values[i] =
				draw_value(engine, session->user, &operation->variables[i], &random);
}

static void
fail(Session *session, const char *sqlstate, const char *message)
{
	if (!session->failed)
		load_error_set(&session->first, sqlstate, message);
	session->failed = true;
}

static void
append_literal(StringInfo sql, PGconn *conn, const PerfoptValue *value)
{
	char number[PERFOPT_VALUE_SIZE];
	const char *text = perfopt_value_text(value, number);
	char *quoted;

	if (text == NULL)
		appendStringInfoString(sql, "NULL");
	else if (value->type == PERFOPT_VALUE_TEXT ||
			 (value->type == PERFOPT_VALUE_DOUBLE && !isfinite(value->d)))
	{
		quoted = PQescapeLiteral(conn, text, strlen(text));
		appendStringInfoString(sql, quoted ? quoted : "NULL");
		PQfreemem(quoted);
	}
	else if (text[0] == '-')
		/* Or, after a minus sign, it would begin a comment. */
		appendStringInfo(sql, "(%s)", text);
	else
		appendStringInfoString(sql, text);
}

/* For the simple protocol: values in the place of $n. */
static const char *
text_with_values(Engine *engine, const Session *session, const LoadStatement *statement)
{
	StringInfo sql = &engine->text;
	int from = 0;

	resetStringInfo(sql);
	for (int i = 0; i < statement->nplaces; i++)
	{
		int offset = statement->places[i].offset;
		int param = statement->places[i].param;

		appendBinaryStringInfo(sql, statement->sql + from, offset - from);
		append_literal(sql, session->conn, &session->values[statement->params[param]]);
		from = offset + 1;
		while (isdigit((unsigned char) statement->sql[from]))
			from++;
	}
	appendStringInfoString(sql, statement->sql + from);
	return sql->data;
}

/* When this fails the socket is readable, and reading says why. */
static void
send_statement(Engine *engine, Session *session, int number)
{
	const LoadStatement *statement = &operation_of(engine, session)->statements[number];
	LoadProtocol protocol = engine->config->protocol;
	char numbers[PERFOPT_SCRIPT_MAX_PARAMS][PERFOPT_VALUE_SIZE];
	const char *values[PERFOPT_SCRIPT_MAX_PARAMS];

	session->sent_statements[session->nsent++] = number;
	if (protocol == LOAD_PROTOCOL_SIMPLE)
	{
		(void) PQsendQuery(session->conn, text_with_values(engine, session, statement));
		return;
	}
	for (int i = 0; i < statement->nparams; i++)
		values[i] = perfopt_value_text(&session->values[statement->params[i]], numbers[i]);
	if (protocol == LOAD_PROTOCOL_EXTENDED)
		(void) PQsendQueryParams(session->conn, statement->sql, statement->nparams, NULL, values,
								 NULL, NULL, 0);
	else
		(void) PQsendQueryPrepared(session->conn, statement->name, statement->nparams, values, NULL,
								   NULL, 0);
}

/* What was sent goes on its way, and its results are waited for. */
static void
wait_for_results(Engine *engine, Session *session)
{
	if (engine->config->protocol == LOAD_PROTOCOL_PIPELINE)
		(void) PQpipelineSync(session->conn);
	session->state = SESSION_RUNNING;
	session->waited = true;
	load_session_flush(engine, session);
}

/* What the results, or the failure, of a statement decides must be known before the script goes on. */
static bool
must_wait(const Engine *engine, const Session *session, const LoadStatement *statement)
{
	return engine->config->protocol != LOAD_PROTOCOL_PIPELINE || statement->gset ||
		   session->nsent == lengthof(session->sent_statements);
}

static bool
evaluate(Session *session, const LoadOperation *operation, const LoadStep *step,
		 PerfoptValue *value)
{
	PerfoptRandom random = load_random(&session->user->random);
	PerfoptExpressionContext context = { .variables = session->values,
										 .nvariables = operation->nvariables,
										 .random = &random };
	PerfoptScriptError error;

	if (perfopt_expression_eval(operation->code + step->code, step->ncode, &context, value, &error))
		return true;
	fail(session, SQLSTATE_SCRIPT, error.message);
	return false;
}

static void
sleep_for(Engine *engine, Session *session, int64 ns)
{
	session->state = SESSION_SLEEPING;
	load_timer_set(engine, &session->timer, load_clock() + ns);
}

/* False when that is no length of time. */
static bool
length_of(const PerfoptValue *value, double *length)
{
	if (value->type == PERFOPT_VALUE_INT)
		*length = (double) value->i;
	else if (value->type == PERFOPT_VALUE_DOUBLE)
		*length = value->d;
	else
		return false;
	return *length >= 0;
}

static void
take_step(Engine *engine, Session *session, const LoadStep *step)
{
	PerfoptValue value;
	double length;

	session->step++;
	if (step->kind == LOAD_STEP_JUMP)
	{
		session->step = step->at;
		return;
	}
	if (!evaluate(session, operation_of(engine, session), step, &value))
		return;
	switch (step->kind)
	{
		case LOAD_STEP_SET:
			session->values[step->at] = value;
			break;
		case LOAD_STEP_JUMP_UNLESS:
			if (!perfopt_value_true(&value))
				session->step = step->at;
			break;
		default:
			if (!length_of(&value, &length))
				fail(session, SQLSTATE_SCRIPT, "the time of \\sleep is not a number from 0");
			else
				sleep_for(engine, session, (int64) Min(length * step->unit_ns, MAX_SLEEP_NS));
	}
}

/* Is a transaction open, or was its failure not yet told? */
static bool
in_transaction(const Session *session)
{
	return PQtransactionStatus(session->conn) != PQTRANS_IDLE;
}

static void
roll_back(Engine *engine, Session *session)
{
	session->state = SESSION_ROLLING_BACK;
	if (engine->config->protocol == LOAD_PROTOCOL_PIPELINE)
	{
		(void) PQsendQueryParams(session->conn, "ROLLBACK", 0, NULL, NULL, NULL, NULL, 0);
		(void) PQpipelineSync(session->conn);
	}
	else
		(void) PQsendQuery(session->conn, "ROLLBACK");
	load_session_flush(engine, session);
}

static bool
can_retry(const Engine *engine, const Session *session)
{
	return session->failed && session->retries < engine->config->retries && !engine->stopping &&
		   (strcmp(session->first.sqlstate, "40001") == 0 ||
			strcmp(session->first.sqlstate, "40P01") == 0);
}

/*
 * The one clock reading of an iteration: its end is the beginning of the next.
 */
static void
end_iteration(Engine *engine, Session *session)
{
	int64 now;

	if (can_retry(engine, session))
	{
		session->retries++;
		engine->seconds[session->operation].retries++;
		session->failed = false;
		session->step = 0;
		draw_variables(engine, session, true);
		run_steps(engine, session);
		return;
	}

	/* An iteration that never waited would be followed by the next from within itself. */
	if (!session->waited)
	{
		session->waited = true;
		session->ending = true;
		sleep_for(engine, session, 0);
		return;
	}
	now = load_clock();
	session->state = SESSION_IDLE;
	if (!engine->discarding)
		load_engine_record(engine, session, now);
	load_user_done(engine, session, now);
}

static void
end_script(Engine *engine, Session *session)
{
	if (!in_transaction(session))
	{
		end_iteration(engine, session);
		return;
	}
	fail(session, SQLSTATE_OPEN_TRANSACTION, "the script ends inside a transaction that it began");
	roll_back(engine, session);
}

static void
run_steps(Engine *engine, Session *session)
{
	const LoadOperation *operation = operation_of(engine, session);

	session->state = SESSION_RUNNING;
	while (session->step < operation->nsteps && !session->failed)
	{
		const LoadStep *step = &operation->steps[session->step];

		if (step->kind == LOAD_STEP_SQL)
		{
			session->step++;
			send_statement(engine, session, step->at);
			if (!must_wait(engine, session, &operation->statements[step->at]))
				continue;
			wait_for_results(engine, session);
			return;
		}

		/* Before a pause what was sent must be under way. */
		if (step->kind == LOAD_STEP_SLEEP && session->nsent > 0)
			break;
		take_step(engine, session, step);
		if (session->state == SESSION_SLEEPING)
			return;
	}
	if (session->nsent > 0)
		wait_for_results(engine, session);
	else
		end_script(engine, session);
}

void
load_iteration_begin(Engine *engine, Session *session, int number, int64 now)
{
	const LoadOperation *operation = &engine->config->variants[session->variant].operations[number];

	session->operation = number;
	session->step = session->nsent = session->nread = session->retries = 0;
	session->failed = session->waited = session->ending = false;
	session->sent = now;
	session->slot = load_slot_of_call(engine, now);
	if (session->procno >= 0 && session->tag != (uint32) operation->id)
	{
		session->tag = operation->id;
		perfopt_sampler_tag(session->procno, session->pid, session->tag);
	}
	draw_variables(engine, session, false);
	run_steps(engine, session);
}

void
load_iteration_go_on(Engine *engine, Session *session)
{
	if (session->ending)
		end_iteration(engine, session);
	else
	{
		session->waited = true;
		run_steps(engine, session);
	}
}

static void
set_text(Engine *engine, Session *session, int variable, const char *text, size_t length)
{
	SessionText *room = &session->texts[variable];

	if (length > MAX_TEXT)
	{
		fail(session, SQLSTATE_SCRIPT, "a value is too long for a variable");
		return;
	}
	if (room->size < length + 1)
	{
		if (room->data != NULL)
			pfree(room->data);
		room->data = MemoryContextAlloc(engine->context, length + 1);
		room->size = length + 1;
	}
	memcpy(room->data, text, length);
	room->data[length] = '\0';
	session->values[variable] = (PerfoptValue){ .type = PERFOPT_VALUE_TEXT, .text = room->data };
}

/* \gset: the one row of a result. */
static void
take_row(Engine *engine, Session *session, const LoadStatement *statement, const PGresult *result)
{
	char message[100];

	if (PQntuples(result) != 1)
	{
		snprintf(message, sizeof(message), "\\gset needs one row, and the statement returned %d",
				 PQntuples(result));
		fail(session, LOAD_CHECK_FAILED, message);
		return;
	}
	for (int i = 0; i < statement->ncolumns && i < PQnfields(result); i++)
	{
		if (statement->columns[i] < 0)
			continue;
		if (PQgetisnull(result, 0, i))
			session->values[statement->columns[i]].type = PERFOPT_VALUE_NULL;
		else
			set_text(engine, session, statement->columns[i], PQgetvalue(result, 0, i),
					 PQgetlength(result, 0, i));
	}
}

/* Of rows that were returned, or else changed. */
static int64
count_rows(const PGresult *result)
{
	if (PQresultStatus(result) == PGRES_TUPLES_OK)
		return PQntuples(result);
	return strtoll(PQcmdTuples(unconstify(PGresult *, result)), NULL, 10);
}

static void
check_rows(Session *session, const LoadCheck *check, const PGresult *result)
{
	int64 rows = count_rows(result);
	char message[100];

	if (rows >= check->min_rows && rows <= check->max_rows)
		return;
	if (check->min_rows == check->max_rows)
		snprintf(message, sizeof(message), "%lld rows instead of %lld", (long long) rows,
				 (long long) check->min_rows);
	else
		snprintf(message, sizeof(message), "%lld rows instead of %lld to %lld", (long long) rows,
				 (long long) check->min_rows, (long long) check->max_rows);
	fail(session, LOAD_CHECK_FAILED, message);
}

static void
check_value(Session *session, const LoadCheck *check, const PGresult *result)
{
	const char *value = PQntuples(result) == 0      ? "no row"
						: PQgetisnull(result, 0, 0) ? "null"
													: PQgetvalue(result, 0, 0);
	char message[200];

	if (PQntuples(result) > 0 && !PQgetisnull(result, 0, 0) && strcmp(value, check->value) == 0)
		return;
	snprintf(message, sizeof(message), "the result is %.60s instead of %.60s", value, check->value);
	fail(session, LOAD_CHECK_FAILED, message);
}

static void
check_result(Session *session, const LoadStatement *statement, const PGresult *result)
{
	if (statement->check.min_rows >= 0)
		check_rows(session, &statement->check, result);
	if (statement->check.value != NULL)
		check_value(session, &statement->check, result);
}

/* False when nothing more can be made of this connection. */
static bool
take_result(Engine *engine, Session *session, const PGresult *result)
{
	const LoadStatement *statement = NULL;

	if (session->state == SESSION_RUNNING && session->nread < session->nsent)
		statement =
			&operation_of(engine, session)->statements[session->sent_statements[session->nread]];
	switch (PQresultStatus(result))
	{
		case PGRES_COMMAND_OK:
		case PGRES_TUPLES_OK:
		case PGRES_EMPTY_QUERY:
			if (statement != NULL && statement->gset)
				take_row(engine, session, statement, result);
			if (statement != NULL)
				check_result(session, statement, result);
			return true;
		case PGRES_PIPELINE_SYNC:
		case PGRES_PIPELINE_ABORTED:
			return true;
		case PGRES_COPY_IN:
		case PGRES_COPY_OUT:
		case PGRES_COPY_BOTH:
			fail(session, "0A000", "COPY can't be used in a script");
			return false;
		default:
			if (!session->failed)
				load_error_from_result(&session->first, result);
			session->failed = true;
			return PQstatus(session->conn) == CONNECTION_OK;
	}
}

static void
all_read(Engine *engine, Session *session)
{
	session->nsent = session->nread = 0;
	if (session->state == SESSION_ROLLING_BACK)
		end_iteration(engine, session);
	else if (session->failed && !in_transaction(session))
		end_iteration(engine, session);
	else if (session->failed)
		roll_back(engine, session);
	else
		run_steps(engine, session);
}

void
load_iteration_read(Engine *engine, Session *session)
{
	bool piped = engine->config->protocol == LOAD_PROTOCOL_PIPELINE;

	while (!PQisBusy(session->conn))
	{
		PGresult *result = PQgetResult(session->conn);
		bool end = result == NULL; /* of one statement's results */
		bool usable = true;

		if (end)
			session->nread++;
		else
		{
			if (piped)
				end = PQresultStatus(result) == PGRES_PIPELINE_SYNC;
			usable = take_result(engine, session, result);
			PQclear(result);
		}
		if (!usable || PQstatus(session->conn) == CONNECTION_BAD ||
			session->nread > session->nsent + 1)
		{
			load_session_lost(engine, session);
			return;
		}
		if (end && (!piped || result != NULL))
		{
			all_read(engine, session);
			return;
		}
	}
}
