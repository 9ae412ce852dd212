/*
 * alert.c
 *	  How long after a sample is recorded does who listens hear of the alert?
 *
 * alert N: connects as libpq's environment says, and N times records a value beyond the threshold on
 * bench_breach for a series of its own, at a random time within a second, and waits for its NOTIFY.  Prints
 * milliseconds from the call that records to the notification, one a line.
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <libpq-fe.h>

static double
now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double) now.tv_sec * 1e3 + (double) now.tv_nsec / 1e6;
}

static void
die(const char *what, PGconn *conn)
{
	fprintf(stderr, "%s: %s", what, PQerrorMessage(conn));
	exit(1);
}

static void
run(PGconn *conn, const char *sql)
{
	PGresult *result = PQexec(conn, sql);

	if (PQresultStatus(result) != PGRES_COMMAND_OK && PQresultStatus(result) != PGRES_TUPLES_OK)
		die(sql, conn);
	PQclear(result);
}

/* False after 10 s. */
static int
wait_for(PGconn *conn, const char *word)
{
	double give_up = now_ms() + 10000;

	while (now_ms() < give_up)
	{
		struct pollfd fd = { PQsocket(conn), POLLIN, 0 };
		PGnotify *notify;

		while ((notify = PQnotifies(conn)) != NULL)
		{
			int found = strstr(notify->extra, word) != NULL &&
						strstr(notify->extra, "\"alert_fired\"") != NULL;

			PQfreemem(notify);
			if (found)
				return 1;
		}
		(void) poll(&fd, 1, 100);
		if (!PQconsumeInput(conn))
			die("connection", conn);
	}
	return 0;
}

int
main(int argc, char **argv)
{
	int n = argc > 1 ? (int) strtol(argv[1], NULL, 10) : 50;
	PGconn *conn = PQconnectdb("");

	if (PQstatus(conn) != CONNECTION_OK)
		die("connecting", conn);
	srandom(7);
	run(conn, "LISTEN perfopt_event");
	for (int i = 0; i < n; i++)
	{
		struct timespec pause = { 0, random() % 1000000000 };
		char sql[200];
		char word[40];
		double begun;

		nanosleep(&pause, NULL);
		snprintf(sql, sizeof(sql),
				 "SELECT perfopt.record_metric('bench_breach', 2, '{\"series\": \"n%dn\"}')", i);
		snprintf(word, sizeof(word), "n%dn", i);
		begun = now_ms();
		run(conn, sql);
		if (!wait_for(conn, word))
		{
			fprintf(stderr, "no notification of sample %d\n", i);
			return 1;
		}
		printf("%.1f\n", now_ms() - begun);
	}
	PQfinish(conn);
	return 0;
}
