/*
 * clients.h
 *	  Client connections and their deadlines. Nobody holds a thread for longer than it takes to send
 *	  a request at a reasonable pace and to take the answer: who sends or takes a byte at a time is
 *	  cut off when its time is over.
 */
#ifndef PERFOPT_CLIENTS_H
#define PERFOPT_CLIENTS_H

#include <stdbool.h>

typedef struct PerfoptClient PerfoptClient;

/* `seconds` is what a request, and an answer, may take. */
extern void perfopt_clients_begin(int seconds);

extern PerfoptClient *perfopt_client_add(int socket);
extern void perfopt_client_remove(PerfoptClient *client);

/* A new deadline: the client is sending a request or taking an answer. */
extern void perfopt_client_expect(PerfoptClient *client);

/* No deadline: the gateway is working, or the answer is a stream. */
extern void perfopt_client_wait(PerfoptClient *client);

/* Cuts off those that are late; called about once a second. */
extern void perfopt_clients_tidy(void);

extern int perfopt_clients_count(void);

#endif
