/*
 * resolve.c
 *	  Looking up names: c-ares on the prober's loop.
 *
 * Nothing in a callback of c-ares may raise an error, which would jump over its frames; the callers'
 * callbacks are called later, by a timer of the loop.
 */
#include "postgres.h"

#include <ares.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/un.h>

#include "utils/memutils.h"

#include "collect/resolve.h"
#include "guc.h"

/* A name server that is silent is asked again, and the next one asked, within the time for a target. */
#define TRIES 2
#define MIN_TRY_MS 100

typedef struct Resolver
{
	PerfoptLoop *loop;
	ares_channel channel;
	PerfoptTimer timer;
	bool ending; /* what c-ares calls back now is only that it ends */
} Resolver;

typedef struct Query
{
	PerfoptLookup lookup; /* first, so that it is what the caller keeps */
	PerfoptLoop *loop;
	Resolver *resolver;
	const char *host;
	int64 began_us;
	PerfoptTimer timer;
	PerfoptLookupCallback callback;
	void *arg;
} Query;

/* This cycle's, made when the first name is met. */
static Resolver *resolver_now = NULL;

static void
end_resolver(void *arg)
{
	Resolver *resolver = arg;

	resolver->ending = true;
	resolver_now = NULL;
	if (resolver->channel != NULL)
		ares_destroy(resolver->channel);
	resolver->channel = NULL;
}

static void set_resolver_timer(Resolver *resolver);

static void
on_resolver_timer(void *arg)
{
	Resolver *resolver = arg;

	ares_process_fd(resolver->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
	set_resolver_timer(resolver);
}

static void
set_resolver_timer(Resolver *resolver)
{
	struct timeval left;

	if (ares_timeout(resolver->channel, NULL, &left) == NULL)
		perfopt_loop_clear_timer(resolver->loop, &resolver->timer);
	else
		perfopt_loop_set_timer(resolver->loop, &resolver->timer,
							   left.tv_sec * 1000.0 + left.tv_usec / 1000.0, on_resolver_timer,
							   resolver);
}

static void
on_socket(int fd, int events, void *arg)
{
	Resolver *resolver = arg;

	ares_process_fd(resolver->channel, events & PERFOPT_LOOP_READ ? fd : ARES_SOCKET_BAD,
					events & PERFOPT_LOOP_WRITE ? fd : ARES_SOCKET_BAD);
	set_resolver_timer(resolver);
}

static void
on_socket_state(void *arg, ares_socket_t fd, int readable, int writable)
{
	Resolver *resolver = arg;

	/* Were it to fail, the query's own time would end it. */
	(void) perfopt_loop_watch(resolver->loop, fd,
							  (readable ? PERFOPT_LOOP_READ : 0) |
								  (writable ? PERFOPT_LOOP_WRITE : 0),
							  on_socket, resolver);
}

static Resolver *
get_resolver(PerfoptLoop *loop)
{
	static bool initialized = false;
	struct ares_options options = { 0 };
	Resolver *resolver;
	int status;

	if (resolver_now != NULL)
		return resolver_now;
	if (!initialized && (status = ares_library_init(ARES_LIB_INIT_ALL)) != ARES_SUCCESS)
		elog(ERROR, "could not initialize c-ares: %s", ares_strerror(status));
	initialized = true;

	resolver = MemoryContextAllocZero(perfopt_loop_context(loop), sizeof(Resolver));
	resolver->loop = loop;
	options.timeout = Max(perfopt_probe_timeout_ms / (TRIES + 1), MIN_TRY_MS);
	options.tries = TRIES;
	options.sock_state_cb = on_socket_state;
	options.sock_state_cb_data = resolver;
	status = ares_init_options(&resolver->channel, &options,
							   ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB);
	if (status != ARES_SUCCESS)
		elog(ERROR, "could not initialize c-ares: %s", ares_strerror(status));
	perfopt_loop_at_end(loop, end_resolver, resolver);
	resolver_now = resolver;
	return resolver;
}

static void
call_back(void *arg)
{
	Query *query = arg;

	query->callback(&query->lookup, query->arg);
}

static void
answer_soon(Query *query)
{
	perfopt_loop_set_timer(query->loop, &query->timer, 0, call_back, query);
}

static void
keep_addresses(Query *query, const struct ares_addrinfo *result)
{
	PerfoptLookup *lookup = &query->lookup;

	for (const struct ares_addrinfo_node *node = result->nodes;
		 node != NULL && lookup->naddresses < PERFOPT_MAX_ADDRESSES; node = node->ai_next)
	{
		PerfoptAddress *address = &lookup->addresses[lookup->naddresses];

		if ((node->ai_family != AF_INET && node->ai_family != AF_INET6) ||
			node->ai_addrlen > sizeof(address->socket))
			continue;
		memcpy(&address->socket, node->ai_addr, node->ai_addrlen);
		address->length = node->ai_addrlen;
		lookup->naddresses++;
	}
}

static void
on_result(void *arg, int status, int timeouts, struct ares_addrinfo *result)
{
	Query *query = arg;

	if (result != NULL && !query->resolver->ending)
		keep_addresses(query, result);
	if (result != NULL)
		ares_freeaddrinfo(result);
	if (query->resolver->ending)
		return;
	query->lookup.seconds = (perfopt_loop_now_us() - query->began_us) / 1e6;
	if (query->lookup.naddresses == 0)
		snprintf(query->lookup.error, sizeof(query->lookup.error),
				 "could not look up host \"%s\": %s", query->host,
				 status == ARES_SUCCESS ? "it has no address" : ares_strerror(status));
	answer_soon(query);
}

/* A host that is an address already. */
static bool
read_address(const char *host, int port, PerfoptAddress *address)
{
	struct sockaddr_in *ipv4 = (struct sockaddr_in *) &address->socket;
	struct sockaddr_in6 *ipv6 = (struct sockaddr_in6 *) &address->socket;

	if (inet_pton(AF_INET, host, &ipv4->sin_addr) == 1)
	{
		ipv4->sin_family = AF_INET;
		ipv4->sin_port = htons(port);
		address->length = sizeof(*ipv4);
		return true;
	}
	if (inet_pton(AF_INET6, host, &ipv6->sin6_addr) == 1)
	{
		ipv6->sin6_family = AF_INET6;
		ipv6->sin6_port = htons(port);
		address->length = sizeof(*ipv6);
		return true;
	}
	return false;
}

void
perfopt_resolve(PerfoptLoop *loop, const char *host, int port, PerfoptLookupCallback callback,
				void *arg)
{
	Query *query = MemoryContextAllocZero(perfopt_loop_context(loop), sizeof(Query));
	struct ares_addrinfo_hints hints = { .ai_family = AF_UNSPEC,
										 .ai_socktype = SOCK_STREAM,
										 .ai_flags = ARES_AI_NUMERICSERV };
	char service[16];

	query->loop = loop;
	query->host = MemoryContextStrdup(perfopt_loop_context(loop), host);
	query->callback = callback;
	query->arg = arg;
	if (read_address(host, port, &query->lookup.addresses[0]))
	{
		query->lookup.naddresses = 1;
		answer_soon(query);
		return;
	}
	query->resolver = get_resolver(loop);
	query->began_us = perfopt_loop_now_us();
	snprintf(service, sizeof(service), "%d", port);
	ares_getaddrinfo(query->resolver->channel, query->host, service, &hints, on_result, query);
	set_resolver_timer(query->resolver);
}

bool
perfopt_is_address(const char *host)
{
	PerfoptAddress address;

	return read_address(host, 0, &address);
}

void
perfopt_address_text(const struct sockaddr *address, char *text, size_t capacity)
{
	const void *bytes = NULL;

	if (address->sa_family == AF_INET)
		bytes = &((const struct sockaddr_in *) address)->sin_addr;
	else if (address->sa_family == AF_INET6)
		bytes = &((const struct sockaddr_in6 *) address)->sin6_addr;
	else if (address->sa_family == AF_UNIX)
		strlcpy(text, ((const struct sockaddr_un *) address)->sun_path, capacity);
	else
		strlcpy(text, "of an unknown family", capacity);
	if (bytes != NULL && inet_ntop(address->sa_family, bytes, text, capacity) == NULL)
		strlcpy(text, "unknown", capacity);
}
