/*
 * readfile.c
 *	  Reading files of /proc and /sys whole.
 */
#include "postgres.h"

#include <fcntl.h>
#include <unistd.h>

#include "utils/memutils.h"

#include "collect/readfile.h"

/* No file that is read here comes near this on any machine. */
#define MAX_FILE_BYTES (16 * 1024 * 1024)
#define FIRST_BUFFER_BYTES (32 * 1024)

char *
perfopt_read_file(const char *path)
{
	static char *buffer = NULL;
	static size_t capacity = FIRST_BUFFER_BYTES;
	size_t used = 0;
	int fd;

	if (buffer == NULL)
		buffer = MemoryContextAlloc(TopMemoryContext, capacity);

	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return NULL;
	for (;;)
	{
		ssize_t n = read(fd, buffer + used, capacity - 1 - used);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 || (n > 0 && capacity >= MAX_FILE_BYTES))
		{
			close(fd);
			return NULL;
		}
		used += n;

		/* Some of these files give less than asked for although more is to come. */
		if (n == 0)
			break;
		if (used + 1 == capacity)
		{
			char *larger =
				MemoryContextAllocExtended(TopMemoryContext, capacity * 2, MCXT_ALLOC_NO_OOM);

			if (larger == NULL)
			{
				close(fd);
				return NULL;
			}
			memcpy(larger, buffer, used);
			pfree(buffer);
			buffer = larger;
			capacity *= 2;
		}
	}
	close(fd);
	buffer[used] = '\0';
	return buffer;
}
