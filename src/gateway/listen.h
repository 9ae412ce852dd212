/*
 * listen.h
 *	  Addresses: the one to listen on, and those of clients.
 */
#ifndef PERFOPT_LISTEN_H
#define PERFOPT_LISTEN_H

#include <stdbool.h>
#include <sys/socket.h>

/* Reads ADDRESS:PORT or [ADDRESS]:PORT, or ends the program with a message. */
extern void perfopt_listen_read(const char *text, struct sockaddr_storage *address);

/* Can it be reached from this machine alone? */
extern bool perfopt_listen_is_loopback(const struct sockaddr_storage *address);

/* The bytes of an address, an IPv4 one as it is mapped into IPv6, and its text. */
extern void perfopt_listen_bytes(const struct sockaddr *address, unsigned char bytes[16]);
extern void perfopt_listen_text(const struct sockaddr *address, char *text, int size);

#endif
