/*
 * check.c
 *	  perfopt.check_target(): reaches a target of TYPE postgres the way a load test would, so that a
 *	  wrong address, mapping or password is found without one.
 */
#include "postgres.h"

#include "fmgr.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/latch.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "guc.h"
#include "target/target.h"

PG_FUNCTION_INFO_V1(perfopt_check_target);

/*
 * Connects without blocking this backend's interrupts; ERROR when it takes longer than
 * perfopt.probe_timeout or fails.  libpq's messages do not hold passwords.
 */
static void
connect_in_time(PGconn *conn, const char *name)
{
	TimestampTz give_up =
		TimestampTzPlusMilliseconds(GetCurrentTimestamp(), perfopt_probe_timeout_ms);
	PostgresPollingStatusType status = PGRES_POLLING_WRITING;

	while (PQstatus(conn) != CONNECTION_BAD && status != PGRES_POLLING_OK &&
		   status != PGRES_POLLING_FAILED)
	{
		long left = TimestampDifferenceMilliseconds(GetCurrentTimestamp(), give_up);
		int events = status == PGRES_POLLING_READING ? WL_SOCKET_READABLE : WL_SOCKET_WRITEABLE;
		int ready;

		if (left <= 0)
			ereport(ERROR, (errcode(ERRCODE_SQLCLIENT_UNABLE_TO_ESTABLISH_SQLCONNECTION),
							errmsg("target \"%s\" did not answer within %d ms", name,
								   perfopt_probe_timeout_ms),
							errhint("The time is set by perfopt.probe_timeout.")));
		ready = WaitLatchOrSocket(MyLatch, WL_LATCH_SET | WL_EXIT_ON_PM_DEATH | WL_TIMEOUT | events,
								  PQsocket(conn), left, PERFOPT_WAIT_EVENT_MAIN);
		if (ready & WL_LATCH_SET)
		{
			ResetLatch(MyLatch);
			CHECK_FOR_INTERRUPTS();
		}
		if (ready & WL_SOCKET_MASK)
			status = PQconnectPoll(conn);
	}
	if (PQstatus(conn) != CONNECTION_OK)
		ereport(ERROR, (errcode(ERRCODE_SQLCLIENT_UNABLE_TO_ESTABLISH_SQLCONNECTION),
						errmsg("could not connect to target \"%s\"", name),
						errdetail_internal("%s", pchomp(PQerrorMessage(conn)))));
}

Datum
perfopt_check_target(PG_FUNCTION_ARGS)
{
	char *name = text_to_cstring(PG_GETARG_TEXT_PP(0));
	char *conninfo = perfopt_target_conninfo(name, GetUserId());
	PGconn *conn = PQconnectStart(conninfo);
	text *result = NULL;

	if (conn == NULL)
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));

	PG_TRY();
	{
		PQsetNoticeReceiver(conn, perfopt_target_ignore_notice, NULL);
		connect_in_time(conn, name);
		perfopt_target_check_connection(conn, name, GetUserId());
		result = cstring_to_text(psprintf("PostgreSQL %s, database \"%s\", role \"%s\"",
										  PQparameterStatus(conn, "server_version"), PQdb(conn),
										  PQuser(conn)));
	}
	PG_FINALLY();
	{
		PQfinish(conn);
	}
	PG_END_TRY();

	PG_RETURN_TEXT_P(result);
}
