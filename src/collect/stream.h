/*
 * stream.h
 *	  A connection of the prober's own: TCP or a Unix socket, with TLS where that is wanted, on the
 *	  prober's loop.  For protocols whose library would do its own networking.
 *
 * Names are looked up by resolve.h, addresses judged by address.h and tried one after the other.  TLS is
 * 1.2 or later; the server's certificate is checked, for its authority and for the host's name or
 * address, unless that is switched off.
 *
 * It is no task of the loop, and has no time limit of its own: who opens it has both.
 */
#ifndef PERFOPT_STREAM_H
#define PERFOPT_STREAM_H

#include "collect/loop.h"
#include "target/target.h"

typedef struct PerfoptStreamOptions
{
	const char *host; /* name, address, or the path of a Unix socket */
	int port;
	bool tls;
	bool tls_no_verify;
	const char *tls_ca; /* file with the authorities to trust instead of the system's */
	const char *tls_cert;
	const char *tls_key;
} PerfoptStreamOptions;

/* Called from the loop, never from perfopt_stream_open. */
typedef struct PerfoptStreamCallbacks
{
	void (*connected)(void *arg);
	void (*received)(const char *data, size_t length, void *arg);
	void (*failed)(const char *error, void *arg); /* once, and it is closed by then */
} PerfoptStreamCallbacks;

typedef struct PerfoptStream PerfoptStream;

/* What a target's options say; the port is the one given where the target names none. */
extern void perfopt_stream_options_of(const PerfoptTarget *target, int port,
									  PerfoptStreamOptions *options);

/*
 * Begins to connect.  The stream lives in the loop's memory context and is closed at the latest when
 * the cycle ends; the strings in `options` must live as long.
 */
extern PerfoptStream *perfopt_stream_open(PerfoptLoop *loop, const PerfoptStreamOptions *options,
										  const PerfoptStreamCallbacks *callbacks, void *arg);

/* Sends, now or later.  What goes wrong is told by `failed`. */
extern void perfopt_stream_write(PerfoptStream *stream, const char *data, size_t length);

/* No callback comes after this. */
extern void perfopt_stream_close(PerfoptStream *stream);

/* What it is doing until it is connected, for messages: "connecting". */
extern const char *perfopt_stream_stage(const PerfoptStream *stream);

#endif /* PERFOPT_STREAM_H */
