/*
 * settings.h
 *	  What the gateway was told: by its command line, else by its environment, else by the file that
 *	  --config names, else by default.
 */
#ifndef PERFOPT_SETTINGS_H
#define PERFOPT_SETTINGS_H

#include <stdbool.h>

#include "gateway/identity.h"

typedef struct PerfoptSettings
{
	char *listen; /* ADDRESS:PORT */
	char *dsn;    /* of libpq; roles' own logins replace its user and password */
	char *config;
	char *tls_cert;
	char *tls_key;
	int allow_cleartext;
	int max_connections; /* of clients */
	int max_streams;
	int role_connections; /* to the database, of each role */
	int total_connections;
	int statement_timeout; /* s */
	int request_timeout;   /* s */
	int max_body;          /* kB */
	int rate_limit;        /* requests/s of an address */
	PerfoptToken *tokens;
	int ntokens;
} PerfoptSettings;

/* Fills settings, or ends the program with a message when they make no sense. */
extern void perfopt_settings_read(PerfoptSettings *settings, int argc, char **argv);

/* The options, for --help. */
extern void perfopt_settings_help(void);

#endif
