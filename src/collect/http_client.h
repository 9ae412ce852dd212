/*
 * http_client.h
 *	  Asking HTTP servers on the prober's loop: curl's multi interface, names by resolve.h.
 *
 * A source starts its requests in its start() and reads the answers in its collect():
 *
 *     static PerfoptHttpAnswer *answer;
 *     static void start(PerfoptLoop *loop)
 *     {
 *         PerfoptHttpRequest request;
 *
 *         perfopt_http_request_of(target, &request);
 *         request.headers = accept_headers;
 *         request.max_body = 1024 * 1024;
 *         request.keep_body = true;
 *         answer = perfopt_http_start(loop, &request);
 *     }
 *
 * Each request connects anew, is judged by address.h at each connection, goes through no proxy, and ends
 * within its timeout.  Up to max_redirects redirects are followed, to http and https only; a user,
 * password, token or custom header does not go along to another host, port or scheme.
 */
#ifndef PERFOPT_HTTP_CLIENT_H
#define PERFOPT_HTTP_CLIENT_H

#include <time.h>

#include "collect/loop.h"
#include "target/target.h"

/* Zero or NULL is the default of each; strings are copied. */
typedef struct PerfoptHttpRequest
{
	const char *url;
	const char *method;  /* GET unless given; HEAD has no body */
	const char *content; /* sent as the body of a POST */
	const char *user;    /* basic authentication */
	const char *password;
	const char *token;          /* bearer authentication */
	const char *const *headers; /* "Name: value", a NULL after the last */
	const char *tls_ca;         /* file with the authorities to trust instead of the system's */
	const char *tls_cert;
	const char *tls_key;
	bool tls_no_verify; /* trust any certificate */
	int timeout_ms;     /* must be given */
	int max_redirects;
	size_t max_body; /* bytes; an answer with more is an error */
	bool keep_body;
} PerfoptHttpRequest;

/*
 * In the loop's memory context.  Whole once perfopt_loop_run() has returned, and not before.  Durations
 * are in seconds, sums over the redirects that were followed, and negative where it did not come to it.
 */
typedef struct PerfoptHttpAnswer
{
	char *error; /* for people, never with a password; NULL when a whole answer came */
	int status;  /* of the last answer; 0 when there was none */
	char *body;  /* with a zero byte after its end; NULL unless keep_body and an answer came */
	size_t body_length;
	char *content_type; /* NULL when not told */
	double dns;
	double connect;
	double tls;
	double first_byte;  /* from the sent request to the first byte of the answer */
	double total;       /* from start to end */
	time_t cert_expiry; /* of the server's certificate, seconds since 1970; 0 when there is none */
} PerfoptHttpAnswer;

/* What a target's options and user mapping say about a request; the rest is zeroed. */
extern void perfopt_http_request_of(const PerfoptTarget *target, PerfoptHttpRequest *request);

/*
 * The lines of a target's option headers behind `first`, which may be NULL, as a request takes them;
 * palloc'd.
 */
extern const char **perfopt_http_headers(const PerfoptTarget *target, const char *first);

/* Begins a request without waiting.  What is wrong with it is told by the answer, too. */
extern PerfoptHttpAnswer *perfopt_http_start(PerfoptLoop *loop, const PerfoptHttpRequest *request);

#endif /* PERFOPT_HTTP_CLIENT_H */
