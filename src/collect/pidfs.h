/*
 * pidfs.h
 *	  Reading the texts of /proc/PID.  No PostgreSQL here.
 *
 * Each function takes the whole text of one file, terminated by a NUL, and returns whether it held what
 * was asked for; the results are untouched where it did not.  Formats: proc(5).
 */
#ifndef PERFOPT_PIDFS_H
#define PERFOPT_PIDFS_H

#include <stdbool.h>

/* schedstat: CPU time of a process with one thread, in seconds. */
extern bool perfopt_pidfs_schedstat(const char *text, double *cpu);

/*
 * stat: CPU time of the process itself, and of those of its children that ended and that it has
 * taken notice of, in seconds.  ticks_per_second is sysconf(_SC_CLK_TCK).
 */
extern bool perfopt_pidfs_stat(const char *text, double ticks_per_second, double *own,
							   double *ended);

/* statm: memory in use, and how much of it is neither shared nor backed by a file, in bytes. */
extern bool perfopt_pidfs_statm(const char *text, double page_bytes, double *resident,
								double *anon);

/* io: bytes that went to and came from storage. */
extern bool perfopt_pidfs_io(const char *text, double *read_bytes, double *written_bytes);

#endif /* PERFOPT_PIDFS_H */
