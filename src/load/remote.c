/*
 * remote.c
 *	  One libpq connection that is waited for with interrupts allowed.
 */
#include "postgres.h"

#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "storage/fd.h"
#include "storage/latch.h"

#include "compat.h"
#include "load/remote.h"
#include "target/target.h"

void
load_remote_params(const char *conninfo, const char *application_name, const char **keywords,
				   const char **values)
{
	keywords[0] = "dbname";
	values[0] = conninfo;
	keywords[1] = "application_name";
	values[1] = application_name;
	/* Messages from there are shown here. */
	keywords[2] = "client_encoding";
	values[2] = GetDatabaseEncodingName();
	keywords[3] = values[3] = NULL;
}

char *
load_remote_error(PGconn *conn)
{
	return pchomp(PQerrorMessage(conn));
}

static void
wait_for_socket(PGconn *conn, int event)
{
	int rc = WaitLatchOrSocket(MyLatch, WL_LATCH_SET | WL_EXIT_ON_PM_DEATH | event, PQsocket(conn),
							   -1, PERFOPT_WAIT_EVENT_MAIN);

	if (rc & WL_LATCH_SET)
		ResetLatch(MyLatch);
	CHECK_FOR_INTERRUPTS();
}

static void
finish_connecting(PGconn *conn)
{
	PostgresPollingStatusType status = PGRES_POLLING_WRITING;

	while (status != PGRES_POLLING_OK && status != PGRES_POLLING_FAILED)
	{
		wait_for_socket(conn,
						status == PGRES_POLLING_READING ? WL_SOCKET_READABLE : WL_SOCKET_WRITEABLE);
		status = PQconnectPoll(conn);
	}
}

PGconn *
load_remote_connect(const char *conninfo, const char *application_name)
{
	const char *keywords[4];
	const char *values[4];
	PGconn *conn;

	if (!AcquireExternalFD())
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_RESOURCES),
				 errmsg("could not connect to the target: too many files are open"),
				 errhint(
					 "Raise max_files_per_process or the operating system's limit (ulimit -n).")));

	load_remote_params(conninfo, application_name, keywords, values);
	conn = PQconnectStartParams(keywords, values, 1);
	if (conn == NULL)
	{
		ReleaseExternalFD();
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
	}
	PQsetNoticeReceiver(conn, perfopt_target_ignore_notice, NULL);

	PG_TRY();
	{
		if (PQstatus(conn) != CONNECTION_BAD)
			finish_connecting(conn);
	}
	PG_CATCH();
	{
		load_remote_close(conn);
		PG_RE_THROW();
	}
	PG_END_TRY();
	return conn;
}

void
load_remote_close(PGconn *conn)
{
	PQfinish(conn);
	ReleaseExternalFD();
}

static PGresult *
last_result(PGconn *conn)
{
	PGresult *last = NULL;

	for (;;)
	{
		PGresult *result;

		/* A result that an interrupt leaves behind goes with the connection's caller's ERROR. */
		while (PQisBusy(conn))
		{
			wait_for_socket(conn, WL_SOCKET_READABLE);
			if (!PQconsumeInput(conn))
				break;
		}
		result = PQgetResult(conn);
		if (result == NULL)
			break;
		PQclear(last);
		last = result;
	}
	return last != NULL ? last : PQmakeEmptyPGresult(conn, PGRES_FATAL_ERROR);
}

PGresult *
load_remote_query(PGconn *conn, const char *sql, int nparams, const char *const *values)
{
	if (!PQsendQueryParams(conn, sql, nparams, NULL, values, NULL, NULL, 0))
		return PQmakeEmptyPGresult(conn, PGRES_FATAL_ERROR);
	return last_result(conn);
}

PGresult *
load_remote_prepare(PGconn *conn, const char *sql)
{
	if (!PQsendPrepare(conn, "", sql, 0, NULL))
		return PQmakeEmptyPGresult(conn, PGRES_FATAL_ERROR);
	return last_result(conn);
}

PGresult *
load_remote_describe(PGconn *conn)
{
	if (!PQsendDescribePrepared(conn, ""))
		return PQmakeEmptyPGresult(conn, PGRES_FATAL_ERROR);
	return last_result(conn);
}
