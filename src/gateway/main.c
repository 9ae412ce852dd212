/*
 * main.c
 *	  perfopt-gateway: perfopt over HTTP.
 *
 * A program of its own, outside of the server, so that a fault in it cannot restart the database.
 * It translates requests to calls of the SQL that perfopt offers, as the caller's own role, and
 * decides nothing itself.
 */
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "gateway/openapi.h"
#include "gateway/serve.h"

static int
print(void (*write)(PerfoptText *text))
{
	PerfoptText text = { 0 };

	write(&text);
	fputs(text.data, stdout);
	perfopt_text_free(&text);
	return ferror(stdout) ? 1 : 0;
}

static void
wait_for_end(const sigset_t *ends)
{
	struct timespec second = { .tv_sec = 1 };

	while (sigtimedwait(ends, NULL, &second) < 0)
		perfopt_serve_tidy();
}

int
main(int argc, char **argv)
{
	PerfoptSettings settings;
	sigset_t ends;

	if (argc == 2 && strcmp(argv[1], "--print-api-docs") == 0)
		return print(perfopt_api_docs_write);
	if (argc == 2 && strcmp(argv[1], "--print-openapi") == 0)
		return print(perfopt_openapi_write);
	if (argc == 2 && strcmp(argv[1], "--version") == 0)
	{
		puts("perfopt-gateway " PERFOPT_VERSION);
		return 0;
	}
	if (argc == 2 && strcmp(argv[1], "--help") == 0)
	{
		perfopt_settings_help();
		return 0;
	}
	perfopt_settings_read(&settings, argc, argv);
	/* Threads come and go with clients; an arena for each would keep what one of them once took. */
	mallopt(M_ARENA_MAX, 2);
	signal(SIGPIPE, SIG_IGN);
	/* Blocked before there are threads, so that it is this one that hears of them. */
	sigemptyset(&ends);
	sigaddset(&ends, SIGTERM);
	sigaddset(&ends, SIGINT);
	sigprocmask(SIG_BLOCK, &ends, NULL);
	perfopt_serve_begin(&settings);
	wait_for_end(&ends);
	perfopt_serve_end();
	return 0;
}
