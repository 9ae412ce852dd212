/*
 * slow_io.c
 *	  A disk that is slow on command: loaded into the server with LD_PRELOAD, it makes each read of a
 *	  file and each sync take as many microseconds longer as the files named by LAB_READ_DELAY and
 *	  LAB_SYNC_DELAY say.  They are read at each call, so that a server that runs can be slowed down and let go.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/types.h>
#include <unistd.h>

static void
delay(const char *variable)
{
	const char *path = getenv(variable);
	char text[16] = "";
	int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	long us;
	ssize_t n;

	if (fd < 0)
		return;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	us = n > 0 ? strtol(text, NULL, 10) : 0;
	if (us > 0)
		usleep((useconds_t) us);
}

/* NOLINTBEGIN(readability-inconsistent-declaration-parameter-name): the C library's own names are reserved. */
ssize_t
pread(int fd, void *buffer, size_t length, off_t offset)
{
	static ssize_t (*real)(int, void *, size_t, off_t);

	if (real == NULL)
		*(void **) &real = dlsym(RTLD_NEXT, "pread");
	delay("LAB_READ_DELAY");
	return real(fd, buffer, length, offset);
}

/* What the server calls where it is compiled for large files. */
ssize_t
pread64(int fd, void *buffer, size_t length, off64_t offset)
{
	static ssize_t (*real)(int, void *, size_t, off64_t);

	if (real == NULL)
		*(void **) &real = dlsym(RTLD_NEXT, "pread64");
	delay("LAB_READ_DELAY");
	return real(fd, buffer, length, offset);
}

int
fdatasync(int fd)
{
	static int (*real)(int);

	if (real == NULL)
		*(void **) &real = dlsym(RTLD_NEXT, "fdatasync");
	delay("LAB_SYNC_DELAY");
	return real(fd);
}
/* NOLINTEND(readability-inconsistent-declaration-parameter-name) */
