/*
 * readfile.h
 *	  Reading files of /proc and /sys whole.
 */
#ifndef PERFOPT_READFILE_H
#define PERFOPT_READFILE_H

/*
 * A whole file, terminated by a NUL; NULL when it can't be read.  The buffer is the process's own,
 * valid until the next call, and grows to the largest file seen, so that in the long run a file takes
 * no allocation.
 */
extern char *perfopt_read_file(const char *path);

#endif /* PERFOPT_READFILE_H */
