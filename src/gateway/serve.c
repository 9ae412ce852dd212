/*
 * serve.c
 *	  The HTTP server: libmicrohttpd with a thread for each client, which may wait for the database.
 *	  How many there are, and for how long, is limited.
 */
#include "gateway/serve.h"

#include <microhttpd.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "gateway/clients.h"
#include "gateway/dispatch.h"
#include "gateway/events.h"
#include "gateway/exposition.h"
#include "gateway/listen.h"
#include "gateway/pool.h"

#define HEADER_BYTES 32768
#define STACK_BYTES ((size_t) 512 * 1024)
#define FAREWELL_SECONDS 10

static const PerfoptSettings *settings;
static struct MHD_Daemon *server;
static atomic_int under_way;

static double
now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double) ts.tv_sec + (double) ts.tv_nsec / 1e9;
}

/* Where a request begins: its URI as it was sent, before anything is decoded. */
static void *
begin_exchange(void *arg, const char *uri, struct MHD_Connection *connection)
{
	PerfoptExchange *exchange = perfopt_allocate(sizeof(*exchange));

	exchange->uri = perfopt_copy(uri);
	exchange->begun_at = now();
	return exchange;
}

static PerfoptClient *
client_of(struct MHD_Connection *connection)
{
	return MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
}

static bool
announces_too_much(struct MHD_Connection *connection)
{
	const char *length = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Content-Length");

	return length != NULL &&
		   strtoull(length, NULL, 10) > (unsigned long long) settings->max_body * 1024;
}

/*
 * Called once when the headers have come, with each part of the body, and in the end. A body that
 * says how large it will be and is too large is not waited for.
 */
static enum MHD_Result
handle(void *arg, struct MHD_Connection *connection, const char *url, const char *method,
	   const char *version, const char *upload, size_t *upload_size, void **context)
{
	PerfoptExchange *exchange = *context;
	enum MHD_Result result;

	if (!exchange->begun)
	{
		exchange->begun = true;
		snprintf(exchange->method, sizeof(exchange->method), "%s", method);
		perfopt_listen_bytes(
			MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS)->client_addr,
			exchange->address);
		perfopt_listen_text(
			MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS)->client_addr,
			exchange->address_text, sizeof(exchange->address_text));
		under_way++;
		exchange->too_large = announces_too_much(connection);
		if (!exchange->too_large)
			return MHD_YES;
	}
	else if (*upload_size > 0)
	{
		if (exchange->body.length + *upload_size > (size_t) settings->max_body * 1024)
			exchange->too_large = true;
		if (!exchange->too_large)
			perfopt_text_add(&exchange->body, upload, *upload_size);
		*upload_size = 0;
		return MHD_YES;
	}
	perfopt_client_wait(client_of(connection));
	result = perfopt_dispatch(exchange, connection, now());
	if (!exchange->streams)
		perfopt_client_expect(client_of(connection));
	return result;
}

static void
log_access(const PerfoptExchange *exchange)
{
	char when[32];
	time_t seconds = time(NULL);
	struct tm utc;

	gmtime_r(&seconds, &utc);
	strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", &utc);
	/* Without the query, which may hold what is nobody's business; the path as it was sent is
	 * free of blanks and control characters. */
	fprintf(stderr, "%s %s %s %s %.*s %d %zu %.1fms\n", when, exchange->address_text,
			exchange->role[0] != '\0' ? exchange->role : "-", exchange->method,
			(int) strcspn(exchange->uri, "?"), exchange->uri, exchange->status, exchange->bytes,
			(now() - exchange->begun_at) * 1000);
}

static void
end_exchange(void *arg, struct MHD_Connection *connection, void **context,
			 enum MHD_RequestTerminationCode code)
{
	PerfoptExchange *exchange = *context;

	if (exchange == NULL)
		return;
	if (exchange->begun)
	{
		perfopt_exposition_count(exchange->status,
								 exchange->streams ? 0 : now() - exchange->begun_at);
		log_access(exchange);
		under_way--;
		perfopt_client_expect(client_of(connection));
	}
	perfopt_text_free(&exchange->body);
	free(exchange->uri);
	free(exchange);
	*context = NULL;
}

static void
notice_client(void *arg, struct MHD_Connection *connection, void **context,
			  enum MHD_ConnectionNotificationCode code)
{
	if (code == MHD_CONNECTION_NOTIFY_STARTED)
		*context = perfopt_client_add(
			MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd);
	else
	{
		perfopt_client_remove(*context);
		*context = NULL;
	}
}

static char *
read_file(const char *path)
{
	PerfoptText text = { 0 };
	char buffer[4096];
	size_t length;
	FILE *file = fopen(path, "r");

	if (file == NULL)
	{
		fprintf(stderr, "perfopt-gateway: cannot read %s\n", path);
		exit(1);
	}
	while ((length = fread(buffer, 1, sizeof(buffer), file)) > 0)
		perfopt_text_add(&text, buffer, length);
	fclose(file);
	return text.data != NULL ? text.data : perfopt_copy("");
}

static void
refuse_cleartext(const struct sockaddr_storage *address)
{
	if (settings->tls_cert != NULL || settings->allow_cleartext ||
		perfopt_listen_is_loopback(address))
		return;
	fprintf(stderr,
			"perfopt-gateway: on %s, passwords would cross the network in clear.\n"
			"Give --tls-cert and --tls-key, or --allow-cleartext if that is seen to by others.\n",
			settings->listen);
	exit(1);
}

static void
start(const struct sockaddr_storage *address, char *cert, char *key)
{
	unsigned flags = MHD_USE_THREAD_PER_CONNECTION | MHD_USE_INTERNAL_POLLING_THREAD |
					 MHD_USE_POLL | MHD_USE_ITC | MHD_USE_ERROR_LOG;
	struct MHD_OptionItem tls[] = { { MHD_OPTION_HTTPS_MEM_CERT, 0, cert },
									{ MHD_OPTION_HTTPS_MEM_KEY, 0, key },
									{ MHD_OPTION_HTTPS_PRIORITIES, 0,
									  "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2" },
									{ MHD_OPTION_END, 0, NULL } };
	struct MHD_OptionItem none[] = { { MHD_OPTION_END, 0, NULL } };

	if (cert != NULL)
		flags |= MHD_USE_TLS;
	if (address->ss_family == AF_INET6)
		flags |= MHD_USE_IPv6;
	server =
		MHD_start_daemon(flags, 0, NULL, NULL, handle, NULL, MHD_OPTION_SOCK_ADDR, address,
						 MHD_OPTION_URI_LOG_CALLBACK, begin_exchange, NULL,
						 MHD_OPTION_NOTIFY_COMPLETED, end_exchange, NULL,
						 MHD_OPTION_NOTIFY_CONNECTION, notice_client, NULL,
						 MHD_OPTION_CONNECTION_LIMIT, (unsigned) settings->max_connections,
						 MHD_OPTION_PER_IP_CONNECTION_LIMIT,
						 (unsigned) settings->max_connections / 2, MHD_OPTION_CONNECTION_TIMEOUT,
						 (unsigned) settings->request_timeout, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
						 (size_t) HEADER_BYTES, MHD_OPTION_THREAD_STACK_SIZE, STACK_BYTES,
						 MHD_OPTION_LISTENING_ADDRESS_REUSE, 1u, MHD_OPTION_STRICT_FOR_CLIENT, 1,
						 MHD_OPTION_ARRAY, cert != NULL ? tls : none, MHD_OPTION_END);
	if (server == NULL)
	{
		fprintf(stderr, "perfopt-gateway: cannot listen on %s\n", settings->listen);
		exit(1);
	}
}

void
perfopt_serve_begin(const PerfoptSettings *given)
{
	struct sockaddr_storage address;
	char *cert = given->tls_cert != NULL ? read_file(given->tls_cert) : NULL;
	char *key = given->tls_key != NULL ? read_file(given->tls_key) : NULL;

	settings = given;
	perfopt_listen_read(settings->listen, &address);
	refuse_cleartext(&address);
	perfopt_pool_begin(settings);
	perfopt_events_begin(settings->max_streams);
	perfopt_clients_begin(settings->request_timeout);
	perfopt_dispatch_begin(settings);
	start(&address, cert, key);
	fprintf(stderr, "perfopt-gateway %s listens on %s://%.*s:%d/\n", PERFOPT_VERSION,
			cert != NULL ? "https" : "http",
			(int) (strrchr(settings->listen, ':') - settings->listen), settings->listen,
			(int) MHD_get_daemon_info(server, MHD_DAEMON_INFO_BIND_PORT)->port);
	/* libmicrohttpd keeps what it was given until it stops. */
}

void
perfopt_serve_tidy(void)
{
	perfopt_clients_tidy();
	perfopt_pool_tidy();
}

void
perfopt_serve_end(void)
{
	double deadline = now() + FAREWELL_SECONDS;
	struct timespec pause = { .tv_nsec = 20000000 };
	MHD_socket listener = MHD_quiesce_daemon(server);

	if (listener != MHD_INVALID_SOCKET)
		close(listener);
	perfopt_events_end();
	while (under_way > 0 && now() < deadline)
		nanosleep(&pause, NULL);
	MHD_stop_daemon(server);
	fputs("perfopt-gateway: stopped\n", stderr);
}
