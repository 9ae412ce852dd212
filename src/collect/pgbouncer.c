/*
 * pgbouncer.c
 *	  PgBouncer targets: how long clients wait for a connection, and how many of each side there are.
 *
 * PgBouncer answers SHOW commands in a database of its own, "pgbouncer", by the simple query protocol
 * only.  libpq does the talking, with its calls that do not wait, and is given the address so that it
 * has no name to look up.  GSSAPI is off: it would ask a ticket server and wait for that.
 */
#include "postgres.h"

#include "libpq-fe.h"
#include "lib/stringinfo.h"
#include "utils/memutils.h"

#include "collect/address.h"
#include "collect/collect.h"
#include "collect/prober.h"
#include "collect/resolve.h"
#include "guc.h"
#include "target/option.h"
#include "target/target.h"

#define SOURCE "pgbouncer"
#define ADMIN_DATABASE "pgbouncer"
#define DEFAULT_PORT 6432
#define MAX_POOLS 200
#define MAX_ERROR 256
#define MAX_NAME 128

/* What we add to a target's own options. */
#define OWN_PARAMS 8

enum
{
	UP,
	WAIT,
	CLIENTS,
	SERVERS
};

const PerfoptMetric perfopt_pgbouncer_metrics[] = {
	[UP] = { "pgbouncer_up", "integration", PERFOPT_GAUGE, "bool",
			 "Whether the pooler lets us in and answers SHOW POOLS in time" },
	[WAIT] = { "pgbouncer_wait_seconds", "integration", PERFOPT_GAUGE, "seconds",
			   "How long the first client in the queue of a pool has waited for a connection" },
	[CLIENTS] = { "pgbouncer_clients", "integration", PERFOPT_GAUGE, "connections",
				  "Clients of a pool that are active (linked to a server or idle) or waiting" },
	[SERVERS] = { "pgbouncer_servers", "integration", PERFOPT_GAUGE, "connections",
				  "Connections of a pool to the server that are active (linked to a client) or "
				  "idle" },
};
const int perfopt_pgbouncer_nmetrics = lengthof(perfopt_pgbouncer_metrics);

/* The columns of SHOW POOLS that are read; absent in an older version is -1. */
static const char *const columns[] = { "cl_active", "cl_waiting", "sv_active",
									   "sv_idle",   "maxwait",    "maxwait_us" };
enum
{
	CL_ACTIVE,
	CL_WAITING,
	SV_ACTIVE,
	SV_IDLE,
	MAXWAIT,
	MAXWAIT_US,
	NCOLUMNS
};

typedef struct Pool
{
	char database[MAX_NAME];
	char user[MAX_NAME];
	double values[NCOLUMNS];
} Pool;

typedef struct Probe
{
	const PerfoptTarget *target;
	PerfoptLoop *loop;
	PGconn *conn; /* foreign memory */
	int fd;       /* as the loop knows it; -1 is not */
	int port;
	int timeout_ms;
	bool done;
	const char *stage;
	PerfoptTimer deadline;
	PerfoptTimer soon;
	int64 began_us;
	double wall_ms;
	char *error; /* NULL for success */
	int npools;
	Pool pools[MAX_POOLS];
} Probe;

/* This cycle's, and the targets that cannot be asked. */
static List *probes = NIL;
static List *unusable = NIL;

static void on_connecting(int fd, int events, void *arg);
static void on_result(int fd, int events, void *arg);

/* libpq may close its socket and open another of the same number at any call. */
static void
unwatch(Probe *probe)
{
	if (probe->fd >= 0)
		(void) perfopt_loop_watch(probe->loop, probe->fd, 0, NULL, NULL);
	probe->fd = -1;
}

static void
hang_up(void *arg)
{
	Probe *probe = arg;

	unwatch(probe);
	if (probe->conn != NULL)
		PQfinish(probe->conn);
	probe->conn = NULL;
}

/* The error is NULL where all went well. */
static void
finish(Probe *probe, const char *error)
{
	char printable[MAX_ERROR];

	if (probe->done)
		return;
	probe->done = true;
	if (error != NULL)
	{
		/* libpq ends its messages with a line break. */
		perfopt_prober_printable(printable, sizeof(printable), error, strcspn(error, "\n"));
		probe->error = MemoryContextStrdup(perfopt_loop_context(probe->loop), printable);
	}
	probe->wall_ms = (perfopt_loop_now_us() - probe->began_us) / 1000.0;
	hang_up(probe);
	perfopt_loop_clear_timer(probe->loop, &probe->deadline);
	perfopt_loop_end_task(probe->loop);
}

static void
watch(Probe *probe, int events, PerfoptWatchCallback callback)
{
	probe->fd = PQsocket(probe->conn);
	if (!perfopt_loop_watch(probe->loop, probe->fd, events, callback, probe))
		finish(probe, "out of memory");
}

static void
on_deadline(void *arg)
{
	Probe *probe = arg;
	char reason[MAX_ERROR];

	snprintf(reason, sizeof(reason), "%s: no answer within %d ms", probe->stage, probe->timeout_ms);
	finish(probe, reason);
}

/* A pool of the result's row; the one of the administrators, who are we, is left out. */
static void
keep_pool(Probe *probe, const PGresult *result, int row)
{
	int database = PQfnumber(result, "database");
	int user = PQfnumber(result, "user");
	Pool *pool = &probe->pools[probe->npools];

	if (database < 0 || user < 0 || strcmp(PQgetvalue(result, row, database), ADMIN_DATABASE) == 0)
		return;
	perfopt_prober_printable(pool->database, sizeof(pool->database),
							 PQgetvalue(result, row, database), PQgetlength(result, row, database));
	perfopt_prober_printable(pool->user, sizeof(pool->user), PQgetvalue(result, row, user),
							 PQgetlength(result, row, user));
	for (int i = 0; i < NCOLUMNS; i++)
	{
		int column = PQfnumber(result, columns[i]);

		pool->values[i] = column < 0 ? -1 : strtod(PQgetvalue(result, row, column), NULL);
	}
	probe->npools++;
}

/* One row of the answer, or its end. */
static void
take_result(Probe *probe, PGresult *result)
{
	switch (PQresultStatus(result))
	{
		case PGRES_SINGLE_TUPLE:
			if (probe->npools < MAX_POOLS)
				keep_pool(probe, result, 0);
			else
				finish(probe, psprintf("SHOW POOLS has more than %d pools; the others are left out",
									   MAX_POOLS));
			break;
		case PGRES_TUPLES_OK:
			break;
		default:
			finish(probe, PQerrorMessage(probe->conn));
	}
}

static void
on_result(int fd, int events, void *arg)
{
	Probe *probe = arg;
	int unsent;

	unwatch(probe);
	if (PQconsumeInput(probe->conn) == 0 || (unsent = PQflush(probe->conn)) < 0)
	{
		finish(probe, PQerrorMessage(probe->conn));
		return;
	}
	while (!probe->done && PQisBusy(probe->conn) == 0)
	{
		PGresult *result = PQgetResult(probe->conn);

		if (result == NULL)
		{
			finish(probe, NULL);
			return;
		}
		take_result(probe, result);
		PQclear(result);
	}
	if (!probe->done)
		watch(probe, PERFOPT_LOOP_READ | (unsent > 0 ? PERFOPT_LOOP_WRITE : 0), on_result);
}

static void
ask(Probe *probe)
{
	if (probe->target->needs_password && PQconnectionUsedPassword(probe->conn) == 0)
	{
		finish(probe, "the pooler did not ask for a password, as the target's owner needs");
		return;
	}
	probe->stage = "waiting for SHOW POOLS";
	if (PQsetnonblocking(probe->conn, 1) != 0 || PQsendQuery(probe->conn, "SHOW POOLS") == 0 ||
		PQsetSingleRowMode(probe->conn) == 0)
	{
		finish(probe, PQerrorMessage(probe->conn));
		return;
	}
	watch(probe, PERFOPT_LOOP_READ | PERFOPT_LOOP_WRITE, on_result);
}

static void
on_connecting(int fd, int events, void *arg)
{
	Probe *probe = arg;

	unwatch(probe);
	switch (PQconnectPoll(probe->conn))
	{
		case PGRES_POLLING_READING:
			watch(probe, PERFOPT_LOOP_READ, on_connecting);
			break;
		case PGRES_POLLING_WRITING:
			watch(probe, PERFOPT_LOOP_WRITE, on_connecting);
			break;
		case PGRES_POLLING_OK:
			ask(probe);
			break;
		default:
			finish(probe, PQerrorMessage(probe->conn));
	}
}

/* The same host for each address, for libpq wants as many of the one as of the other. */
static char *
repeated(const char *text, int n)
{
	StringInfoData list;

	initStringInfo(&list);
	for (int i = 0; i < n; i++)
		appendStringInfo(&list, "%s%s", i > 0 ? "," : "", text);
	return list.data;
}

static void
connect_to(Probe *probe, int naddresses, const char *addresses)
{
	const PerfoptTarget *target = probe->target;
	const char **keywords;
	const char **values;
	int n;

	/* Of two of a kind the later one counts. */
	perfopt_target_libpq_params(target, OWN_PARAMS, &keywords, &values, &n);
#define ADD(keyword, value) (keywords[n] = (keyword), values[n++] = (value))
	ADD("host", repeated(target->host, naddresses));
	if (addresses != NULL)
		ADD("hostaddr", addresses);
	ADD("port", psprintf("%d", probe->port));
	ADD("dbname", ADMIN_DATABASE);
	if (target->user == NULL)
		ADD("user", target->owner_name);
	ADD("gssencmode", "disable");
	ADD("fallback_application_name", "perfopt");
	if (perfopt_target_option(target, "require_auth") == NULL &&
		perfopt_target_is_libpq_option("require_auth"))
		ADD("require_auth", "none,password,md5,scram-sha-256");
#undef ADD
	probe->stage = "connecting";
	probe->conn = PQconnectStartParams(keywords, values, 0);
	if (probe->conn == NULL)
		finish(probe, "out of memory");
	else if (PQstatus(probe->conn) == CONNECTION_BAD)
		finish(probe, PQerrorMessage(probe->conn));
	else
	{
		PQsetNoticeReceiver(probe->conn, perfopt_target_ignore_notice, NULL);
		watch(probe, PERFOPT_LOOP_WRITE, on_connecting);
	}
}

static void
on_lookup(const PerfoptLookup *lookup, void *arg)
{
	Probe *probe = arg;
	StringInfoData addresses;
	const char *error = lookup->error;
	int n = 0;

	if (probe->done)
		return;
	initStringInfo(&addresses);
	for (int i = 0; i < lookup->naddresses; i++)
	{
		const struct sockaddr *address = (const struct sockaddr *) &lookup->addresses[i].socket;
		const char *refusal = perfopt_address_refusal(address, perfopt_allow_private_targets);
		char text[128];

		perfopt_address_text(address, text, sizeof(text));
		if (refusal != NULL)
			error = psprintf("address %s of host \"%s\" %s", text, probe->target->host, refusal);
		else
			appendStringInfo(&addresses, "%s%s", n++ > 0 ? "," : "", text);
	}
	if (n == 0)
		finish(probe, error);
	else
		connect_to(probe, n, addresses.data);
}

static void
on_path(void *arg)
{
	if (perfopt_allow_private_targets)
		connect_to(arg, 1, NULL);
	else
		finish(arg, "a Unix socket is private, and perfopt.allow_private_targets is off");
}

/* Asks one target; the memory of all this is the cycle's. */
static Probe *
start_probe(PerfoptLoop *loop, const PerfoptTarget *target)
{
	Probe *probe = palloc0(sizeof(Probe));

	probe->target = target;
	probe->loop = loop;
	probe->fd = -1;
	probe->port = perfopt_target_port(target, DEFAULT_PORT);
	probe->timeout_ms = perfopt_prober_timeout_ms(target);
	probe->stage = "looking up the host";
	probe->began_us = perfopt_loop_now_us();
	perfopt_loop_at_end(loop, hang_up, probe);
	perfopt_loop_begin_task(loop);
	perfopt_loop_set_timer(loop, &probe->deadline, probe->timeout_ms, on_deadline, probe);
	if (target->needs_password && (target->password == NULL || target->password[0] == '\0'))
		finish(probe,
			   "the user mapping of the target's owner, who is no superuser, needs a password");
	else if (target->host[0] == '/')
		perfopt_loop_set_timer(loop, &probe->soon, 0, on_path, probe);
	else
		perfopt_resolve(loop, target->host, probe->port, on_lookup, probe);
	return probe;
}

void
perfopt_start_pgbouncer(PerfoptLoop *loop)
{
	ListCell *cell;

	probes = NIL;
	unusable = NIL;
	foreach (cell, perfopt_prober_usable(SOURCE, "pgbouncer", &unusable))
		probes = lappend(probes, start_probe(loop, lfirst(cell)));
}

static void
add_count(PerfoptBatch *batch, const Probe *probe, const Pool *pool, int metric, const char *state,
		  double value)
{
	PerfoptLabel labels[] = { { "target", probe->target->name },
							  { "database", pool->database },
							  { "user", pool->user },
							  { "state", state } };

	if (value >= 0)
		perfopt_batch_add(batch, &perfopt_pgbouncer_metrics[metric], labels, state != NULL ? 4 : 3,
						  value);
}

static void
add_pool(PerfoptBatch *batch, const Probe *probe, const Pool *pool)
{
	double wait = pool->values[MAXWAIT];

	if (wait >= 0 && pool->values[MAXWAIT_US] > 0)
		wait += pool->values[MAXWAIT_US] / 1e6;
	add_count(batch, probe, pool, WAIT, NULL, perfopt_prober_rounded(wait));
	add_count(batch, probe, pool, CLIENTS, "active", pool->values[CL_ACTIVE]);
	add_count(batch, probe, pool, CLIENTS, "waiting", pool->values[CL_WAITING]);
	add_count(batch, probe, pool, SERVERS, "active", pool->values[SV_ACTIVE]);
	add_count(batch, probe, pool, SERVERS, "idle", pool->values[SV_IDLE]);
}

static void
add_up(PerfoptBatch *batch, const PerfoptTarget *target, bool up)
{
	PerfoptLabel label = { "target", target->name };

	perfopt_batch_add(batch, &perfopt_pgbouncer_metrics[UP], &label, 1, up);
}

void
perfopt_collect_pgbouncer(PerfoptBatch *batch)
{
	ListCell *cell;

	foreach (cell, unusable)
		add_up(batch, lfirst(cell), false);
	foreach (cell, probes)
	{
		const Probe *probe = lfirst(cell);

		add_up(batch, probe->target, probe->error == NULL || probe->npools == MAX_POOLS);
		for (int i = 0; i < probe->npools; i++)
			add_pool(batch, probe, &probe->pools[i]);
		perfopt_collect_note(SOURCE, probe->target->name, probe->error, -1, probe->wall_ms);
	}
}
