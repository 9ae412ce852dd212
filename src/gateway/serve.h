/*
 * serve.h
 *	  The HTTP server.
 */
#ifndef PERFOPT_SERVE_H
#define PERFOPT_SERVE_H

#include "gateway/settings.h"

/* Begins to serve, or ends the program with a message. */
extern void perfopt_serve_begin(const PerfoptSettings *given);

/* Something to do about once a second. */
extern void perfopt_serve_tidy(void);

/* Takes no more connections, lets requests that are under way come to their end, and stops. */
extern void perfopt_serve_end(void);

#endif
