/*
 * stream.c
 *	  A connection of the prober's own, on its loop.
 */
#include "postgres.h"

#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/stringinfo.h"
#include "utils/memutils.h"

#include "collect/address.h"
#include "collect/resolve.h"
#include "collect/stream.h"
#include "guc.h"

#define MAX_ERROR 256

/* More than a record of TLS, so that nothing stays behind in OpenSSL where no event would tell of it. */
#define READ_BYTES (32 * 1024)

typedef enum StreamState
{
	LOOKING_UP,
	CONNECTING,
	SHAKING_HANDS,
	OPEN,
	CLOSED
} StreamState;

struct PerfoptStream
{
	PerfoptLoop *loop;
	PerfoptStreamOptions options;
	PerfoptStreamCallbacks callbacks;
	void *arg;
	StreamState state;
	PerfoptLookup addresses;
	int next_address;
	int fd;
	SSL *tls;
	int tls_wants; /* events that TLS waits for, whatever we want ourselves; 0 is none */
	StringInfoData unsent;
	PerfoptTimer soon; /* to call back from the loop */
	char error[MAX_ERROR];
};

static void try_next_address(PerfoptStream *stream);

static void
close_connection(PerfoptStream *stream)
{
	if (stream->tls != NULL)
		SSL_free(stream->tls);
	stream->tls = NULL;
	if (stream->fd >= 0)
	{
		(void) perfopt_loop_watch(stream->loop, stream->fd, 0, NULL, NULL);
		close(stream->fd);
	}
	stream->fd = -1;
}

void
perfopt_stream_close(PerfoptStream *stream)
{
	close_connection(stream);
	perfopt_loop_clear_timer(stream->loop, &stream->soon);
	stream->state = CLOSED;
}

static void
close_at_end(void *arg)
{
	PerfoptStream *stream = arg;

	close_connection(stream);
}

/* Tells why, once. */
static void fail(PerfoptStream *stream, const char *format, ...) pg_attribute_printf(2, 3);

static void
fail(PerfoptStream *stream, const char *format, ...)
{
	va_list args;

	if (stream->state == CLOSED)
		return;
	va_start(args, format);
	vsnprintf(stream->error, sizeof(stream->error), format, args);
	va_end(args);
	perfopt_stream_close(stream);
	stream->callbacks.failed(stream->error, stream->arg);
}

/* What OpenSSL has to say, which is in a queue of this process. */
static const char *
tls_problem(PerfoptStream *stream)
{
	long verdict = SSL_get_verify_result(stream->tls);
	unsigned long code = ERR_peek_last_error();
	const char *reason = code != 0 ? ERR_reason_error_string(code) : NULL;

	if (!stream->options.tls_no_verify && verdict != X509_V_OK)
		return X509_verify_cert_error_string(verdict);
	return reason != NULL ? reason : "connection closed";
}

/* Which files to trust and to show; NULL, or what is wrong with them. */
static const char *
set_up_context(SSL_CTX *context, const PerfoptStreamOptions *options)
{
	SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
	SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	if (options->tls_ca != NULL)
	{
		if (SSL_CTX_load_verify_locations(context, options->tls_ca, NULL) != 1)
			return "could not read tls_ca";
	}
	else
		SSL_CTX_set_default_verify_paths(context);
	SSL_CTX_set_verify(context, options->tls_no_verify ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, NULL);
	if (options->tls_cert != NULL &&
		SSL_CTX_use_certificate_chain_file(context, options->tls_cert) != 1)
		return "could not read tls_cert";
	if (options->tls_key != NULL &&
		SSL_CTX_use_PrivateKey_file(context, options->tls_key, SSL_FILETYPE_PEM) != 1)
		return "could not read tls_key";
	return NULL;
}

/* Whom the certificate must name. */
static bool
set_expected_name(SSL *tls, const PerfoptStreamOptions *options)
{
	if (options->host[0] == '/')
		return true;
	if (perfopt_is_address(options->host))
		return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(tls), options->host) == 1;
	return SSL_set_tlsext_host_name(tls, options->host) == 1 &&
		   SSL_set1_host(tls, options->host) == 1;
}

/* A key with a passphrase would be asked for on the terminal; there is none to answer. */
static int
no_passphrase(char *buffer, int size, int rwflag, void *arg)
{
	return 0;
}

/*
 * A context of its own for each connection costs some 0.1 ms, and notices a file that was replaced.
 */
static const char *
begin_tls(PerfoptStream *stream)
{
	SSL_CTX *context;
	const char *problem;

	ERR_clear_error();
	context = SSL_CTX_new(TLS_client_method());
	if (context == NULL)
		return "out of memory";
	SSL_CTX_set_default_passwd_cb(context, no_passphrase);
	problem = set_up_context(context, &stream->options);
	if (problem == NULL)
	{
		stream->tls = SSL_new(context);
		if (stream->tls == NULL || SSL_set_fd(stream->tls, stream->fd) != 1 ||
			!set_expected_name(stream->tls, &stream->options))
			problem = "out of memory";
		else
			SSL_set_connect_state(stream->tls);
	}
	SSL_CTX_free(context);
	return problem;
}

/*
 * What a call of TLS returned: true where it has to be repeated when what it waits for has happened,
 * false when the connection is lost.
 */
static bool
tls_goes_on(PerfoptStream *stream, int result)
{
	switch (SSL_get_error(stream->tls, result))
	{
		case SSL_ERROR_WANT_READ:
			stream->tls_wants = PERFOPT_LOOP_READ;
			return true;
		case SSL_ERROR_WANT_WRITE:
			stream->tls_wants = PERFOPT_LOOP_WRITE;
			return true;
		default:
			return false;
	}
}

static void on_event(int fd, int events, void *arg);

static void
watch(PerfoptStream *stream)
{
	int events = PERFOPT_LOOP_READ;

	if (stream->state == CLOSED)
		return;
	if (stream->state == CONNECTING)
		events = PERFOPT_LOOP_WRITE;
	else if (stream->state == SHAKING_HANDS)
		events = stream->tls_wants;
	else
		events |= (stream->unsent.len > 0 ? PERFOPT_LOOP_WRITE : 0) | stream->tls_wants;
	if (!perfopt_loop_watch(stream->loop, stream->fd, events, on_event, stream))
		fail(stream, "out of memory");
}

static void
become_open(PerfoptStream *stream)
{
	stream->state = OPEN;
	stream->tls_wants = 0;
	stream->callbacks.connected(stream->arg);
	watch(stream);
}

static void
shake_hands(PerfoptStream *stream)
{
	int result;

	ERR_clear_error();
	result = SSL_do_handshake(stream->tls);
	if (result == 1)
		become_open(stream);
	else if (tls_goes_on(stream, result))
		watch(stream);
	else
		fail(stream, "TLS: %s", tls_problem(stream));
}

static void
on_connected(PerfoptStream *stream)
{
	const char *problem;

	if (!stream->options.tls)
	{
		become_open(stream);
		return;
	}
	problem = begin_tls(stream);
	if (problem != NULL)
	{
		fail(stream, "TLS: %s", problem);
		return;
	}
	stream->state = SHAKING_HANDS;
	shake_hands(stream);
}

static void
finish_connecting(PerfoptStream *stream)
{
	int error = 0;
	socklen_t length = sizeof(error);

	if (getsockopt(stream->fd, SOL_SOCKET, SO_ERROR, &error, &length) != 0)
		error = errno;
	if (error == 0)
	{
		on_connected(stream);
		return;
	}
	snprintf(stream->error, sizeof(stream->error), "connecting: %s", strerror(error));
	try_next_address(stream);
}

static ssize_t
send_some(PerfoptStream *stream)
{
	ssize_t n;

	if (stream->tls == NULL)
	{
		n = send(stream->fd, stream->unsent.data, stream->unsent.len, MSG_NOSIGNAL);
		return n < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : n;
	}
	ERR_clear_error();
	n = SSL_write(stream->tls, stream->unsent.data, stream->unsent.len);
	return n <= 0 && tls_goes_on(stream, (int) n) ? 0 : n > 0 ? n : -1;
}

static void
send_unsent(PerfoptStream *stream)
{
	ssize_t n;

	if (stream->unsent.len == 0)
		return;
	stream->tls_wants = 0;
	n = send_some(stream);
	if (n < 0)
	{
		fail(stream, "sending: %s", stream->tls != NULL ? tls_problem(stream) : strerror(errno));
		return;
	}
	memmove(stream->unsent.data, stream->unsent.data + n, stream->unsent.len - n);
	stream->unsent.len -= (int) n;
}

/* Bytes read; 0 is none just now, -1 that there will be none any more. */
static ssize_t
receive_some(PerfoptStream *stream, char *buffer, const char **problem)
{
	ssize_t n;

	if (stream->tls == NULL)
	{
		n = recv(stream->fd, buffer, READ_BYTES, 0);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return 0;
		*problem = n < 0 ? strerror(errno) : "connection closed";
		return n > 0 ? n : -1;
	}
	ERR_clear_error();
	stream->tls_wants = 0;
	n = SSL_read(stream->tls, buffer, READ_BYTES);
	if (n > 0)
		return n;
	if (tls_goes_on(stream, (int) n))
		return 0;
	*problem = tls_problem(stream);
	return -1;
}

static void
receive(PerfoptStream *stream)
{
	char buffer[READ_BYTES];
	const char *problem = NULL;
	ssize_t n = receive_some(stream, buffer, &problem);

	if (n > 0)
		stream->callbacks.received(buffer, n, stream->arg);
	else if (n < 0)
		fail(stream, "%s", problem);
}

static void
on_event(int fd, int events, void *arg)
{
	PerfoptStream *stream = arg;

	if (stream->state == CONNECTING)
	{
		finish_connecting(stream);
		return;
	}
	if (stream->state == SHAKING_HANDS)
	{
		shake_hands(stream);
		return;
	}
	send_unsent(stream);
	if (stream->state == OPEN && ((events & PERFOPT_LOOP_READ) || stream->tls != NULL))
		receive(stream);
	watch(stream);
}

/* True when it is under way or has failed in a way that trying another address would not mend. */
static bool
connect_to(PerfoptStream *stream, const struct sockaddr *address, socklen_t length)
{
	const char *refusal = perfopt_address_refusal(address, perfopt_allow_private_targets);
	char text[128];

	if (refusal != NULL)
	{
		perfopt_address_text(address, text, sizeof(text));
		snprintf(stream->error, sizeof(stream->error), "address %s of host \"%s\" %s", text,
				 stream->options.host, refusal);
		return false;
	}
	stream->fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (stream->fd < 0 || (connect(stream->fd, address, length) != 0 && errno != EINPROGRESS))
	{
		snprintf(stream->error, sizeof(stream->error), "connecting: %s", strerror(errno));
		return false;
	}
	stream->state = CONNECTING;
	watch(stream);
	return true;
}

static void
try_next_address(PerfoptStream *stream)
{
	char error[MAX_ERROR];

	close_connection(stream);
	while (stream->next_address < stream->addresses.naddresses)
	{
		PerfoptAddress *address = &stream->addresses.addresses[stream->next_address++];

		if (connect_to(stream, (struct sockaddr *) &address->socket, address->length))
			return;
		close_connection(stream);
	}
	strlcpy(error, stream->error, sizeof(error));
	fail(stream, "%s", error);
}

static void
on_lookup(const PerfoptLookup *lookup, void *arg)
{
	PerfoptStream *stream = arg;

	if (stream->state == CLOSED)
		return;
	stream->addresses = *lookup;
	if (lookup->naddresses == 0)
		fail(stream, "%s", lookup->error);
	else
		try_next_address(stream);
}

/* The path of a Unix socket is an address that needs no look-up. */
static void
on_path(void *arg)
{
	PerfoptStream *stream = arg;
	PerfoptAddress *address = &stream->addresses.addresses[0];
	struct sockaddr_un *path = (struct sockaddr_un *) &address->socket;

	if (strlen(stream->options.host) >= sizeof(path->sun_path))
	{
		fail(stream, "the path of a Unix socket has at most %zu bytes", sizeof(path->sun_path) - 1);
		return;
	}
	path->sun_family = AF_UNIX;
	strlcpy(path->sun_path, stream->options.host, sizeof(path->sun_path));
	address->length = sizeof(*path);
	stream->addresses.naddresses = 1;
	try_next_address(stream);
}

PerfoptStream *
perfopt_stream_open(PerfoptLoop *loop, const PerfoptStreamOptions *options,
					const PerfoptStreamCallbacks *callbacks, void *arg)
{
	MemoryContext oldcontext = MemoryContextSwitchTo(perfopt_loop_context(loop));
	PerfoptStream *stream = palloc0(sizeof(PerfoptStream));

	stream->loop = loop;
	stream->options = *options;
	stream->callbacks = *callbacks;
	stream->arg = arg;
	stream->fd = -1;
	initStringInfo(&stream->unsent);
	MemoryContextSwitchTo(oldcontext);
	perfopt_loop_at_end(loop, close_at_end, stream);
	if (options->host[0] == '/')
		perfopt_loop_set_timer(loop, &stream->soon, 0, on_path, stream);
	else
		perfopt_resolve(loop, options->host, options->port, on_lookup, stream);
	return stream;
}

void
perfopt_stream_write(PerfoptStream *stream, const char *data, size_t length)
{
	if (stream->state != OPEN)
		return;
	appendBinaryStringInfo(&stream->unsent, data, (int) length);
	watch(stream);
}

const char *
perfopt_stream_stage(const PerfoptStream *stream)
{
	switch (stream->state)
	{
		case LOOKING_UP:
			return "looking up the host";
		case CONNECTING:
			return "connecting";
		case SHAKING_HANDS:
			return "waiting for TLS";
		default:
			return "waiting for an answer";
	}
}

void
perfopt_stream_options_of(const PerfoptTarget *target, int port, PerfoptStreamOptions *options)
{
	options->host = target->host;
	options->port = perfopt_target_port(target, port);
	options->tls = perfopt_target_flag(target, "tls", false);
	options->tls_no_verify = !perfopt_target_flag(target, "tls_verify", true);
	options->tls_ca = perfopt_target_option(target, "tls_ca");
	options->tls_cert = perfopt_target_option(target, "tls_cert");
	options->tls_key = perfopt_target_option(target, "tls_key");
}
