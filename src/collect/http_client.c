/*
 * http_client.c
 *	  Asking HTTP servers on the prober's loop.
 *
 * curl is given the addresses that resolve.h found, so that it never looks up a name itself: its own
 * resolver would start a thread.  Nothing in a callback of curl may raise an error, which would jump
 * over its frames.
 */
#include "postgres.h"

#include <curl/curl.h>

#include "utils/memutils.h"

#include "collect/address.h"
#include "collect/http_client.h"
#include "collect/prober.h"
#include "collect/resolve.h"
#include "guc.h"

/* Who sends more than this in headers does not mean well. */
#define MAX_HEADER_BYTES (256 * 1024)

/* Lines of option headers that are used. */
#define MAX_HEADERS 16

#define MAX_ERROR 512

/* A name in a URL has 255 bytes at most, by RFC 1035. */
#define MAX_HOST 256

/* curl's handles of this cycle, made for its first request. */
typedef struct Client
{
	PerfoptLoop *loop;
	CURLM *multi;
	PerfoptTimer timer;
} Client;

typedef struct Transfer
{
	PerfoptHttpAnswer answer; /* first, so that it is what the caller keeps */
	PerfoptHttpRequest request;
	Client *client;
	char *url;    /* of this hop */
	char *origin; /* scheme, host and port of the first, which the secrets are for */
	bool at_origin;
	char host[MAX_HOST];
	int port;
	int redirects;
	bool done;
	int64 began_us;
	PerfoptTimer deadline;
	CURL *easy; /* foreign memory, here and below */
	struct curl_slist *headers;
	struct curl_slist *addresses;
	const char *stage; /* what it is doing, for messages */
	size_t header_bytes;
	size_t body_capacity;
	char refusal[MAX_ERROR];          /* why we ended it; empty is not */
	char curl_error[CURL_ERROR_SIZE]; /* why curl did */
} Transfer;

static Client *client_now = NULL;

static void begin_hop(Transfer *transfer);
static void reap(Client *client);

static void
release(Transfer *transfer)
{
	if (transfer->easy != NULL)
	{
		curl_multi_remove_handle(transfer->client->multi, transfer->easy);
		curl_easy_cleanup(transfer->easy);
		transfer->easy = NULL;
	}
	curl_slist_free_all(transfer->headers);
	curl_slist_free_all(transfer->addresses);
	transfer->headers = NULL;
	transfer->addresses = NULL;
}

static void
release_at_end(void *arg)
{
	release(arg);
}

static void
finish(Transfer *transfer, const char *error)
{
	char printable[MAX_ERROR];

	if (transfer->done)
		return;
	transfer->done = true;
	release(transfer);
	if (error != NULL)
	{
		perfopt_prober_printable(printable, sizeof(printable), error, strlen(error));
		transfer->answer.error =
			MemoryContextStrdup(perfopt_loop_context(transfer->client->loop), printable);
	}
	transfer->answer.total = (perfopt_loop_now_us() - transfer->began_us) / 1e6;
	perfopt_loop_clear_timer(transfer->client->loop, &transfer->deadline);
	perfopt_loop_end_task(transfer->client->loop);
}

static double
info_seconds(Transfer *transfer, CURLINFO info)
{
	curl_off_t us = 0;

	curl_easy_getinfo(transfer->easy, info, &us);
	return us / 1e6;
}

static void
add_phase(double *phase, double from, double to)
{
	if (to > 0)
		*phase = Max(*phase, 0) + Max(to - from, 0);
}

/* Takes the durations of this hop from curl's stopwatch, which began with the hop. */
static void
keep_phases(Transfer *transfer)
{
	PerfoptHttpAnswer *answer = &transfer->answer;
	double looked_up = info_seconds(transfer, CURLINFO_NAMELOOKUP_TIME_T);
	double connected = info_seconds(transfer, CURLINFO_CONNECT_TIME_T);
	double secured = info_seconds(transfer, CURLINFO_APPCONNECT_TIME_T);
	double sent = info_seconds(transfer, CURLINFO_PRETRANSFER_TIME_T);

	add_phase(&answer->connect, looked_up, connected);
	add_phase(&answer->tls, connected, secured);
	add_phase(&answer->first_byte, sent, info_seconds(transfer, CURLINFO_STARTTRANSFER_TIME_T));
}

/* curl's TLS libraries write it as "Nov 24 06:09:00 2026 GMT" or "2026-11-24 06:09:00 GMT". */
static time_t
read_expiry(const char *text)
{
	char plain[64];
	char *to = plain;
	time_t expiry;

	for (; *text != '\0' && to < plain + sizeof(plain) - 1; text++)
	{
		if (*text != '-')
			*to++ = *text;
	}
	*to = '\0';
	expiry = curl_getdate(plain, NULL);
	return expiry > 0 ? expiry : 0;
}

static void
keep_expiry(Transfer *transfer)
{
	struct curl_certinfo *chain = NULL;

	transfer->answer.cert_expiry = 0;
	if (curl_easy_getinfo(transfer->easy, CURLINFO_CERTINFO, &chain) != CURLE_OK || chain == NULL ||
		chain->num_of_certs < 1)
		return;
	for (struct curl_slist *line = chain->certinfo[0]; line != NULL; line = line->next)
	{
		if (strncmp(line->data, "Expire date:", strlen("Expire date:")) == 0)
			transfer->answer.cert_expiry = read_expiry(line->data + strlen("Expire date:"));
	}
}

/* Goes on to where a redirect points; false when it is to be taken as the answer. */
static bool
follow_redirect(Transfer *transfer)
{
	char *url = NULL;

	if (transfer->request.max_redirects == 0 || transfer->answer.status < 300 ||
		transfer->answer.status > 399)
		return false;
	curl_easy_getinfo(transfer->easy, CURLINFO_REDIRECT_URL, &url);
	if (url == NULL)
		return false;
	if (++transfer->redirects > transfer->request.max_redirects)
	{
		finish(transfer, "too many redirects");
		return true;
	}
	transfer->url = MemoryContextStrdup(perfopt_loop_context(transfer->client->loop), url);
	release(transfer);
	transfer->answer.body = NULL;
	transfer->answer.body_length = 0;
	transfer->body_capacity = 0;
	begin_hop(transfer);
	return true;
}

static bool
make_room(Transfer *transfer, size_t wanted)
{
	size_t capacity = Max(transfer->body_capacity * 2, 8192);
	char *body;

	if (wanted <= transfer->body_capacity)
		return true;
	while (capacity < wanted)
		capacity *= 2;
	body = MemoryContextAllocExtended(perfopt_loop_context(transfer->client->loop), capacity,
									  MCXT_ALLOC_HUGE | MCXT_ALLOC_NO_OOM);
	if (body == NULL)
		return false;
	if (transfer->answer.body != NULL)
	{
		memcpy(body, transfer->answer.body, transfer->answer.body_length);
		pfree(transfer->answer.body);
	}
	transfer->answer.body = body;
	transfer->body_capacity = capacity;
	return true;
}

static void
complete(Transfer *transfer, CURLcode result)
{
	PerfoptHttpAnswer *answer = &transfer->answer;
	char message[MAX_ERROR];
	char *content_type = NULL;
	long status = 0;

	curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &status);
	answer->status = (int) status;
	keep_phases(transfer);
	keep_expiry(transfer);
	if (result == CURLE_OK && follow_redirect(transfer))
		return;
	if (transfer->done)
		return;

	/* Of an empty body curl says nothing. */
	if (result == CURLE_OK && transfer->request.keep_body && answer->body == NULL)
	{
		if (make_room(transfer, 1))
			answer->body[0] = '\0';
		else
			result = CURLE_OUT_OF_MEMORY;
	}
	if (transfer->refusal[0] != '\0')
		strlcpy(message, transfer->refusal, sizeof(message));
	else if (result == CURLE_FILESIZE_EXCEEDED)
		snprintf(message, sizeof(message), "the answer has more than %zu bytes",
				 transfer->request.max_body);
	else
		strlcpy(message,
				transfer->curl_error[0] != '\0' ? transfer->curl_error : curl_easy_strerror(result),
				sizeof(message));
	curl_easy_getinfo(transfer->easy, CURLINFO_CONTENT_TYPE, &content_type);
	if (content_type != NULL)
		answer->content_type =
			MemoryContextStrdup(perfopt_loop_context(transfer->client->loop), content_type);
	finish(transfer, result == CURLE_OK ? NULL : message);
}

/* What has come to an end since the last look; this is not inside curl any more. */
static void
reap(Client *client)
{
	CURLMsg *message;
	int left;

	while ((message = curl_multi_info_read(client->multi, &left)) != NULL)
	{
		char *transfer = NULL;

		if (message->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &transfer);
		complete((Transfer *) transfer, message->data.result);
	}
}

static void
on_fd(int fd, int events, void *arg)
{
	Client *client = arg;
	int running;

	curl_multi_socket_action(client->multi, fd,
							 (events & PERFOPT_LOOP_READ ? CURL_CSELECT_IN : 0) |
								 (events & PERFOPT_LOOP_WRITE ? CURL_CSELECT_OUT : 0),
							 &running);
	reap(client);
}

static void
on_timer(void *arg)
{
	Client *client = arg;
	int running;

	curl_multi_socket_action(client->multi, CURL_SOCKET_TIMEOUT, 0, &running);
	reap(client);
}

static int
on_curl_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *socket_arg)
{
	Client *client = arg;
	int events = what == CURL_POLL_IN      ? PERFOPT_LOOP_READ
				 : what == CURL_POLL_OUT   ? PERFOPT_LOOP_WRITE
				 : what == CURL_POLL_INOUT ? PERFOPT_LOOP_READ | PERFOPT_LOOP_WRITE
										   : 0;

	/* Were it to fail, the request's own time would end it. */
	(void) perfopt_loop_watch(client->loop, fd, events, on_fd, client);
	return 0;
}

static int
on_curl_timer(CURLM *multi, long ms, void *arg)
{
	Client *client = arg;

	if (ms < 0)
		perfopt_loop_clear_timer(client->loop, &client->timer);
	else
		perfopt_loop_set_timer(client->loop, &client->timer, ms, on_timer, client);
	return 0;
}

/* The policy, for the address that is really connected to. */
static curl_socket_t
on_open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
	Transfer *transfer = arg;
	const char *refusal = perfopt_address_refusal(&address->addr, perfopt_allow_private_targets);
	char text[128];

	if (refusal != NULL)
	{
		perfopt_address_text(&address->addr, text, sizeof(text));
		snprintf(transfer->refusal, sizeof(transfer->refusal), "address %s of host \"%s\" %s", text,
				 transfer->host, refusal);
		return CURL_SOCKET_BAD;
	}

	/* Of several addresses one may be refused and another not. */
	transfer->refusal[0] = '\0';
	return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

/* Only reached by a host that is not among those we gave addresses for; an address needs no look-up. */
static int
on_curl_lookup(void *resolver, void *reserved, void *arg)
{
	Transfer *transfer = arg;

	if (perfopt_is_address(transfer->host))
		return 0;
	snprintf(transfer->refusal, sizeof(transfer->refusal), "host \"%s\" was not looked up",
			 transfer->host);
	return 1;
}

static size_t
on_header(char *data, size_t size, size_t n, void *arg)
{
	Transfer *transfer = arg;

	transfer->stage = "reading the answer";
	transfer->header_bytes += size * n;
	if (transfer->header_bytes <= MAX_HEADER_BYTES)
		return size * n;
	snprintf(transfer->refusal, sizeof(transfer->refusal),
			 "the answer has more than %d bytes of headers", MAX_HEADER_BYTES);
	return 0;
}

static size_t
on_body(char *data, size_t size, size_t n, void *arg)
{
	Transfer *transfer = arg;
	PerfoptHttpAnswer *answer = &transfer->answer;
	size_t length = answer->body_length + size * n;

	if (transfer->request.max_body > 0 && length > transfer->request.max_body)
	{
		snprintf(transfer->refusal, sizeof(transfer->refusal), "the answer has more than %zu bytes",
				 transfer->request.max_body);
		return 0;
	}
	if (transfer->request.keep_body)
	{
		if (!make_room(transfer, length + 1))
		{
			strlcpy(transfer->refusal, "out of memory", sizeof(transfer->refusal));
			return 0;
		}
		memcpy(answer->body + answer->body_length, data, size * n);
		answer->body[length] = '\0';
	}
	answer->body_length = length;
	return size * n;
}

static void
on_deadline(void *arg)
{
	Transfer *transfer = arg;
	char message[MAX_ERROR];

	if (transfer->easy != NULL)
	{
		if (transfer->header_bytes == 0 && info_seconds(transfer, CURLINFO_PRETRANSFER_TIME_T) > 0)
			transfer->stage = "waiting for the answer";
		else if (transfer->header_bytes == 0 && info_seconds(transfer, CURLINFO_CONNECT_TIME_T) > 0)
			transfer->stage = "waiting for TLS";
		keep_phases(transfer);
	}
	snprintf(message, sizeof(message), "%s: no answer within %d ms", transfer->stage,
			 transfer->request.timeout_ms);
	finish(transfer, message);
}

static void
end_client(void *arg)
{
	Client *client = arg;

	client_now = NULL;
	if (client->multi != NULL)
		curl_multi_cleanup(client->multi);
	client->multi = NULL;
}

static Client *
get_client(PerfoptLoop *loop)
{
	static bool initialized = false;
	Client *client;

	if (client_now != NULL)
		return client_now;
	if (!initialized && curl_global_init(CURL_GLOBAL_ALL) != CURLE_OK)
		elog(ERROR, "could not initialize libcurl");
	initialized = true;
	client = MemoryContextAllocZero(perfopt_loop_context(loop), sizeof(Client));
	client->loop = loop;
	perfopt_loop_at_end(loop, end_client, client);
	client->multi = curl_multi_init();
	if (client->multi == NULL)
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
	curl_multi_setopt(client->multi, CURLMOPT_SOCKETFUNCTION, on_curl_socket);
	curl_multi_setopt(client->multi, CURLMOPT_SOCKETDATA, client);
	curl_multi_setopt(client->multi, CURLMOPT_TIMERFUNCTION, on_curl_timer);
	curl_multi_setopt(client->multi, CURLMOPT_TIMERDATA, client);
	client_now = client;
	return client;
}

static void
add_header(Transfer *transfer, const char *line)
{
	struct curl_slist *longer = curl_slist_append(transfer->headers, line);

	if (longer != NULL)
		transfer->headers = longer;
}

static void
set_secrets(Transfer *transfer)
{
	const PerfoptHttpRequest *request = &transfer->request;
	CURL *easy = transfer->easy;

	if (!transfer->at_origin)
		return;
	for (const char *const *line = request->headers; line != NULL && *line != NULL; line++)
		add_header(transfer, *line);
	if (request->token != NULL)
	{
		curl_easy_setopt(easy, CURLOPT_HTTPAUTH, (long) CURLAUTH_BEARER);
		curl_easy_setopt(easy, CURLOPT_XOAUTH2_BEARER, request->token);
	}
	else if (request->user != NULL || request->password != NULL)
	{
		curl_easy_setopt(easy, CURLOPT_HTTPAUTH, (long) CURLAUTH_BASIC);
		curl_easy_setopt(easy, CURLOPT_USERNAME, request->user ? request->user : "");
		curl_easy_setopt(easy, CURLOPT_PASSWORD, request->password ? request->password : "");
	}
	if (request->tls_cert != NULL)
		curl_easy_setopt(easy, CURLOPT_SSLCERT, request->tls_cert);
	if (request->tls_key != NULL)
	{
		/* Rather than ask for one on the terminal, if there is one. */
		curl_easy_setopt(easy, CURLOPT_KEYPASSWD, "");
		curl_easy_setopt(easy, CURLOPT_SSLKEY, request->tls_key);
	}
}

/*
 * The bundle of all authorities takes some 10 ms to read for each connection, where OpenSSL can take
 * the one that is needed from a folder.
 */
static void
set_authorities(CURL *easy)
{
	const curl_version_info_data *version = curl_version_info(CURLVERSION_NOW);

	if (version->age >= CURLVERSION_SEVENTH && version->capath != NULL &&
		version->ssl_version != NULL && strncmp(version->ssl_version, "OpenSSL/", 8) == 0)
		curl_easy_setopt(easy, CURLOPT_CAINFO, NULL);
}

static void
set_tls(Transfer *transfer)
{
	const PerfoptHttpRequest *request = &transfer->request;
	CURL *easy = transfer->easy;

	curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long) CURL_SSLVERSION_TLSv1_2);
	curl_easy_setopt(easy, CURLOPT_CERTINFO, 1L);
	if (request->tls_no_verify)
	{
		curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 0L);
		curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 0L);
	}
	else if (request->tls_ca != NULL)
	{
		curl_easy_setopt(easy, CURLOPT_CAINFO, request->tls_ca);
		curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
	}
	else
		set_authorities(easy);
}

static void
set_callbacks(Transfer *transfer)
{
	CURL *easy = transfer->easy;

	curl_easy_setopt(easy, CURLOPT_PRIVATE, transfer);
	curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, transfer->curl_error);
	curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_open_socket);
	curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, transfer);
	curl_easy_setopt(easy, CURLOPT_RESOLVER_START_FUNCTION, on_curl_lookup);
	curl_easy_setopt(easy, CURLOPT_RESOLVER_START_DATA, transfer);
	curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(easy, CURLOPT_HEADERDATA, transfer);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, transfer);
}

static void
set_options(Transfer *transfer)
{
	const PerfoptHttpRequest *request = &transfer->request;
	CURL *easy = transfer->easy;

	curl_easy_setopt(easy, CURLOPT_URL, transfer->url);
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_PROXY, "");
	curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
	curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L);
	curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long) CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(easy, CURLOPT_USERAGENT, "perfopt");
#if LIBCURL_VERSION_NUM >= 0x075500
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
#else
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS, (long) (CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
	if (request->max_body > 0)
		curl_easy_setopt(easy, CURLOPT_MAXFILESIZE_LARGE, (curl_off_t) request->max_body);
	if (request->method != NULL && strcmp(request->method, "HEAD") == 0)
		curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
	else if (request->method != NULL)
		curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request->method);
	if (request->content != NULL)
	{
		curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t) strlen(request->content));
		curl_easy_setopt(easy, CURLOPT_POSTFIELDS, request->content);
	}
	set_callbacks(transfer);
	set_tls(transfer);
	set_secrets(transfer);
	curl_easy_setopt(easy, CURLOPT_HTTPHEADER, transfer->headers);
	curl_easy_setopt(easy, CURLOPT_RESOLVE, transfer->addresses);
}

/* "HOST:PORT:ADDRESS,ADDRESS" for curl, which then has nothing to look up. */
static void
give_addresses(Transfer *transfer, const PerfoptLookup *lookup)
{
	char entry[MAX_HOST + PERFOPT_MAX_ADDRESSES * 64];
	int length = snprintf(entry, sizeof(entry), "%s:%d:", transfer->host, transfer->port);

	if (perfopt_is_address(transfer->host))
		return;
	for (int i = 0; i < lookup->naddresses; i++)
	{
		const struct sockaddr *address = (const struct sockaddr *) &lookup->addresses[i].socket;
		char text[64];

		perfopt_address_text(address, text, sizeof(text));
		length +=
			snprintf(entry + length, sizeof(entry) - length,
					 address->sa_family == AF_INET6 ? "%s[%s]" : "%s%s", i > 0 ? "," : "", text);
	}
	transfer->addresses = curl_slist_append(NULL, entry);
}

static void
on_lookup(const PerfoptLookup *lookup, void *arg)
{
	Transfer *transfer = arg;

	if (transfer->done)
		return;
	if (lookup->seconds > 0)
		add_phase(&transfer->answer.dns, 0, lookup->seconds);
	if (lookup->naddresses == 0)
	{
		finish(transfer, lookup->error);
		return;
	}
	transfer->stage = "connecting";
	transfer->header_bytes = 0;
	transfer->easy = curl_easy_init();
	if (transfer->easy == NULL)
	{
		finish(transfer, "out of memory");
		return;
	}
	give_addresses(transfer, lookup);
	set_options(transfer);
	if (curl_multi_add_handle(transfer->client->multi, transfer->easy) != CURLM_OK)
		finish(transfer, "out of memory");
}

/* Notes where this hop goes, and whether that is where the first one went; why it cannot, or NULL. */
static const char *
keep_origin(Transfer *transfer, const char *scheme, const char *host, int port)
{
	size_t length = strlen(host);
	char *origin;

	if (length >= sizeof(transfer->host))
		return "the url's host is too long";
	for (const char *p = host; *p != '\0'; p++)
	{
		if ((unsigned char) *p > '~')
			return "the url's host must be given in ASCII (xn--...)";
	}

	/* An IPv6 address is in brackets. */
	if (host[0] == '[')
		strlcpy(transfer->host, host + 1, length - 1);
	else
		strlcpy(transfer->host, host, sizeof(transfer->host));
	transfer->port = port;
	origin = MemoryContextAllocExtended(perfopt_loop_context(transfer->client->loop),
										strlen(scheme) + length + 16, MCXT_ALLOC_NO_OOM);
	if (origin == NULL)
		return "out of memory";
	sprintf(origin, "%s://%s:%d", scheme, host, port);
	if (transfer->origin == NULL)
		transfer->origin = origin;
	transfer->at_origin = pg_strcasecmp(origin, transfer->origin) == 0;
	return NULL;
}

/* Takes host and port from the URL the way curl will read them; why not, or NULL. */
static const char *
read_url(Transfer *transfer)
{
	CURLU *url = curl_url();
	char *scheme = NULL;
	char *host = NULL;
	char *port = NULL;
	const char *problem = NULL;

	if (url == NULL || curl_url_set(url, CURLUPART_URL, transfer->url, 0) != CURLUE_OK ||
		curl_url_get(url, CURLUPART_SCHEME, &scheme, 0) != CURLUE_OK)
		problem = "the url is malformed";
	else if (strcmp(scheme, "http") != 0 && strcmp(scheme, "https") != 0)
		problem = "only urls of http and https are asked";
	else if (curl_url_get(url, CURLUPART_HOST, &host, 0) != CURLUE_OK ||
			 curl_url_get(url, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) != CURLUE_OK)
		problem = "the url is malformed";
	else
		problem = keep_origin(transfer, scheme, host, (int) strtol(port, NULL, 10));
	curl_free(scheme);
	curl_free(host);
	curl_free(port);
	curl_url_cleanup(url);
	return problem;
}

static void
begin_hop(Transfer *transfer)
{
	const char *problem = read_url(transfer);

	if (problem != NULL)
	{
		finish(transfer, problem);
		return;
	}
	transfer->stage = "looking up the host";
	transfer->refusal[0] = '\0';
	transfer->curl_error[0] = '\0';
	perfopt_resolve(transfer->client->loop, transfer->host, transfer->port, on_lookup, transfer);
}

static char *
copy(MemoryContext context, const char *text)
{
	return text ? MemoryContextStrdup(context, text) : NULL;
}

static void
copy_request(Transfer *transfer, const PerfoptHttpRequest *request)
{
	MemoryContext context = perfopt_loop_context(transfer->client->loop);
	PerfoptHttpRequest *own = &transfer->request;
	const char **lines;
	int nlines = 0;

	*own = *request;
	own->url = copy(context, request->url);
	own->method = copy(context, request->method);
	own->content = copy(context, request->content);
	own->user = copy(context, request->user);
	own->password = copy(context, request->password);
	own->token = copy(context, request->token);
	own->tls_ca = copy(context, request->tls_ca);
	own->tls_cert = copy(context, request->tls_cert);
	own->tls_key = copy(context, request->tls_key);
	if (request->headers == NULL)
		return;
	while (request->headers[nlines] != NULL)
		nlines++;
	lines = MemoryContextAllocZero(context, (nlines + 1) * sizeof(char *));
	for (int i = 0; i < nlines; i++)
		lines[i] = copy(context, request->headers[i]);
	own->headers = lines;
}

PerfoptHttpAnswer *
perfopt_http_start(PerfoptLoop *loop, const PerfoptHttpRequest *request)
{
	Transfer *transfer = MemoryContextAllocZero(perfopt_loop_context(loop), sizeof(Transfer));
	PerfoptHttpAnswer *answer = &transfer->answer;

	Assert(request->timeout_ms > 0);
	answer->dns = answer->connect = answer->tls = answer->first_byte = answer->total = -1;
	transfer->client = get_client(loop);
	copy_request(transfer, request);
	transfer->url = MemoryContextStrdup(perfopt_loop_context(loop), request->url);
	transfer->began_us = perfopt_loop_now_us();
	perfopt_loop_at_end(loop, release_at_end, transfer);
	perfopt_loop_begin_task(loop);
	perfopt_loop_set_timer(loop, &transfer->deadline, request->timeout_ms, on_deadline, transfer);
	begin_hop(transfer);
	return answer;
}

const char **
perfopt_http_headers(const PerfoptTarget *target, const char *first)
{
	const char *option = perfopt_target_option(target, "headers");
	const char **lines = palloc0((MAX_HEADERS + 2) * sizeof(char *));
	char *rest = option != NULL ? pstrdup(option) : NULL;
	char *line;
	int n = 0;

	if (first != NULL)
		lines[n++] = first;
	while (n <= MAX_HEADERS && (line = strsep(&rest, "\n")) != NULL)
	{
		if (line[0] != '\0')
			lines[n++] = line;
	}
	return lines;
}

void
perfopt_http_request_of(const PerfoptTarget *target, PerfoptHttpRequest *request)
{
	memset(request, 0, sizeof(*request));
	request->url = target->url;
	request->user = target->user;
	request->password = target->password;
	request->token = target->token;
	request->tls_ca = perfopt_target_option(target, "tls_ca");
	request->tls_cert = perfopt_target_option(target, "tls_cert");
	request->tls_key = perfopt_target_option(target, "tls_key");
	request->tls_no_verify = !perfopt_target_flag(target, "tls_verify", true);
	request->timeout_ms = perfopt_prober_timeout_ms(target);
}
