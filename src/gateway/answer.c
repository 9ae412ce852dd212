/*
 * answer.c
 *	  An answer on its way out.
 */
#include "gateway/answer.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

/* Below this, compression saves less than a packet. */
#define COMPRESS_FROM 1024

void
perfopt_answer_headers(struct MHD_Response *response, const char *policy)
{
	MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
	MHD_add_response_header(response, "Referrer-Policy", "no-referrer");
	MHD_add_response_header(response, "Content-Security-Policy",
							policy != NULL ? policy : "default-src 'none'; frame-ancestors 'none'");
}

static const char *
request_header(struct MHD_Connection *connection, const char *name)
{
	return MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name);
}

/* gzip, or any with a weight above 0: q=0 forbids it. */
static bool
takes_gzip(const char *accept)
{
	const char *gzip = accept != NULL ? strstr(accept, "gzip") : NULL;
	const char *weight;

	if (gzip == NULL)
		return false;
	weight = gzip + 4 + strspn(gzip + 4, " ");
	if (*weight != ';')
		return true;
	weight = strstr(weight, "q=");
	return weight == NULL || strtod(weight + 2, NULL) > 0;
}

static bool
compress_body(PerfoptText *body)
{
	z_stream stream = { 0 };
	PerfoptText packed = { 0 };
	bool done;

	/* 15 + 16: a gzip header. Level 1 gives most of the gain at a third of the time. */
	if (deflateInit2(&stream, 1, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK)
		return false;
	packed.room = deflateBound(&stream, body->length) + 1;
	packed.data = perfopt_allocate(packed.room);
	stream.next_in = (unsigned char *) body->data;
	stream.avail_in = (unsigned) body->length;
	stream.next_out = (unsigned char *) packed.data;
	stream.avail_out = (unsigned) packed.room;
	done = deflate(&stream, Z_FINISH) == Z_STREAM_END;
	packed.length = stream.total_out;
	deflateEnd(&stream);
	if (done)
	{
		perfopt_text_free(body);
		*body = packed;
	}
	else
		perfopt_text_free(&packed);
	return done;
}

/* Weak, as a body is the same to its reader whether or not it is compressed. */
static void
make_etag(const PerfoptText *body, char etag[32])
{
	uint64_t hash = 14695981039346656037u; /* FNV-1a */

	for (size_t i = 0; i < body->length; i++)
		hash = (hash ^ (unsigned char) body->data[i]) * 1099511628211u;
	snprintf(etag, 32, "W/\"%016llx\"", (unsigned long long) hash);
}

enum MHD_Result
perfopt_answer(struct MHD_Connection *connection, PerfoptReply *reply, int *status, size_t *bytes)
{
	const char *match = request_header(connection, "If-None-Match");
	char etag[32] = "";
	bool packed = false;
	struct MHD_Response *response;
	enum MHD_Result result;

	if (reply->etag)
	{
		make_etag(&reply->body, etag);
		if (match != NULL && (strstr(match, etag + 2) != NULL || strcmp(match, "*") == 0))
		{
			reply->status = MHD_HTTP_NOT_MODIFIED;
			perfopt_text_free(&reply->body);
		}
	}
	if (reply->body.length >= COMPRESS_FROM &&
		takes_gzip(request_header(connection, "Accept-Encoding")))
		packed = compress_body(&reply->body);
	*status = reply->status;
	*bytes = reply->body.length;
	response = MHD_create_response_from_buffer(reply->body.length,
											   reply->body.data != NULL ? reply->body.data : "",
											   reply->body.data != NULL ? MHD_RESPMEM_MUST_FREE
																		: MHD_RESPMEM_PERSISTENT);
	reply->body = (PerfoptText){ 0 };
	if (response == NULL)
		return MHD_NO;
	if (reply->type != NULL && *bytes > 0)
		MHD_add_response_header(response, "Content-Type", reply->type);
	if (packed)
		MHD_add_response_header(response, "Content-Encoding", "gzip");
	MHD_add_response_header(response, "Vary", "Accept-Encoding, Accept, Authorization");
	MHD_add_response_header(response, "Cache-Control",
							reply->etag ? "private, no-cache" : "no-store");
	if (etag[0] != '\0')
		MHD_add_response_header(response, "ETag", etag);
	perfopt_answer_headers(response, reply->policy);
	result = MHD_queue_response(connection, (unsigned) reply->status, response);
	MHD_destroy_response(response);
	return result;
}

enum MHD_Result
perfopt_answer_problem(struct MHD_Connection *connection, const PerfoptProblem *problem,
					   int *status, size_t *bytes)
{
	PerfoptText json = { 0 };
	struct MHD_Response *response;
	enum MHD_Result result;

	perfopt_problem_json(problem, &json);
	*status = problem->status;
	*bytes = json.length;
	response = MHD_create_response_from_buffer(json.length, json.data, MHD_RESPMEM_MUST_FREE);
	if (response == NULL)
		return MHD_NO;
	MHD_add_response_header(response, "Content-Type", "application/problem+json");
	MHD_add_response_header(response, "Cache-Control", "no-store");
	if (problem->status == 401)
	{
		MHD_add_response_header(response, "WWW-Authenticate",
								"Basic realm=\"perfopt\", charset=\"UTF-8\"");
		MHD_add_response_header(response, "WWW-Authenticate", "Bearer realm=\"perfopt\"");
	}
	if (problem->status == 405)
		MHD_add_response_header(response, "Allow", problem->allowed);
	if (problem->status == 429 || problem->status == 503)
		MHD_add_response_header(response, "Retry-After", "5");
	perfopt_answer_headers(response, NULL);
	result = MHD_queue_response(connection, (unsigned) problem->status, response);
	MHD_destroy_response(response);
	return result;
}
