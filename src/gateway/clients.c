/*
 * clients.c
 *	  Client connections and their deadlines.
 */
#include "gateway/clients.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>

#include "gateway/text.h"

struct PerfoptClient
{
	int socket;
	time_t deadline; /* 0: none */
	PerfoptClient *next;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static PerfoptClient *clients;
static int patience;

static time_t
now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec;
}

void
perfopt_clients_begin(int seconds)
{
	patience = seconds;
}

PerfoptClient *
perfopt_client_add(int socket)
{
	PerfoptClient *client = perfopt_allocate(sizeof(*client));

	client->socket = socket;
	client->deadline = now() + patience;
	pthread_mutex_lock(&lock);
	client->next = clients;
	clients = client;
	pthread_mutex_unlock(&lock);
	return client;
}

void
perfopt_client_remove(PerfoptClient *client)
{
	PerfoptClient **at = &clients;

	pthread_mutex_lock(&lock);
	while (*at != NULL && *at != client)
		at = &(*at)->next;
	if (*at != NULL)
		*at = client->next;
	pthread_mutex_unlock(&lock);
	free(client);
}

static void
set_deadline(PerfoptClient *client, time_t deadline)
{
	pthread_mutex_lock(&lock);
	client->deadline = deadline;
	pthread_mutex_unlock(&lock);
}

void
perfopt_client_expect(PerfoptClient *client)
{
	set_deadline(client, now() + patience);
}

void
perfopt_client_wait(PerfoptClient *client)
{
	set_deadline(client, 0);
}

/* The socket is only shut down: its thread closes it, after which it is in the list no more. */
void
perfopt_clients_tidy(void)
{
	pthread_mutex_lock(&lock);
	for (PerfoptClient *client = clients; client != NULL; client = client->next)
		if (client->deadline != 0 && client->deadline < now())
		{
			shutdown(client->socket, SHUT_RDWR);
			client->deadline = 0;
		}
	pthread_mutex_unlock(&lock);
}

int
perfopt_clients_count(void)
{
	int n = 0;

	pthread_mutex_lock(&lock);
	for (PerfoptClient *client = clients; client != NULL; client = client->next)
		n++;
	pthread_mutex_unlock(&lock);
	return n;
}
