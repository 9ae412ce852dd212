/*
 * procfs.h
 *	  Reading the texts of Linux' /proc.  No PostgreSQL here, so that sample texts of many kernels can
 *	  be tested without a server.
 *
 * Each function takes the whole text of one file, terminated by a NUL, and hands every value that it
 * finds to the sink.  What the text lacks is not handed over at all, and what it has in addition (new
 * fields, new lines) is passed over.  Values are in base units: seconds, bytes, counts.
 *
 * Formats: proc(5) and Documentation/admin-guide/iostats.rst, accounting/psi.rst of the kernel.
 */
#ifndef PERFOPT_PROCFS_H
#define PERFOPT_PROCFS_H

#include <stdbool.h>
#include <stddef.h>

typedef enum PerfoptOsMetric
{
	PERFOPT_OS_CPU_SECONDS, /* label: mode */
	PERFOPT_OS_CPU_COUNT,
	PERFOPT_OS_LOAD1,
	PERFOPT_OS_LOAD5,
	PERFOPT_OS_LOAD15,
	PERFOPT_OS_PROCS_RUNNING,
	PERFOPT_OS_PROCS_BLOCKED,
	PERFOPT_OS_CONTEXT_SWITCHES,
	PERFOPT_OS_PRESSURE_CPU,
	PERFOPT_OS_PRESSURE_IO,
	PERFOPT_OS_PRESSURE_MEMORY,
	PERFOPT_OS_MEMORY_TOTAL,
	PERFOPT_OS_MEMORY_AVAILABLE,
	PERFOPT_OS_MEMORY_CACHED,
	PERFOPT_OS_MEMORY_DIRTY,
	PERFOPT_OS_MEMORY_COMMITTED,
	PERFOPT_OS_PSWPIN,
	PERFOPT_OS_PSWPOUT,
	PERFOPT_OS_PGMAJFAULT,
	PERFOPT_OS_OOM_KILL,
	PERFOPT_OS_DISK_READS, /* label: device, as for the other disk values */
	PERFOPT_OS_DISK_WRITES,
	PERFOPT_OS_DISK_READ_BYTES,
	PERFOPT_OS_DISK_WRITTEN_BYTES,
	PERFOPT_OS_DISK_READ_TIME,
	PERFOPT_OS_DISK_WRITE_TIME,
	PERFOPT_OS_DISK_IO_TIME,
	PERFOPT_OS_DISK_IO_WEIGHTED_TIME,
	PERFOPT_OS_FILESYSTEM_AVAIL, /* labels: mount, role */
	PERFOPT_OS_FILESYSTEM_SIZE,
	PERFOPT_OS_FILESYSTEM_FILES_FREE,
	PERFOPT_OS_NETWORK_RECEIVE_BYTES, /* label: device, as for the other network values */
	PERFOPT_OS_NETWORK_RECEIVE_DROP,
	PERFOPT_OS_NETWORK_RECEIVE_ERRS,
	PERFOPT_OS_NETWORK_TRANSMIT_BYTES,
	PERFOPT_OS_NETWORK_TRANSMIT_DROP,
	PERFOPT_OS_NETWORK_TRANSMIT_ERRS,
	PERFOPT_OS_TCP_RETRANS_SEGS,
	PERFOPT_OS_TCP_LISTEN_OVERFLOWS,
	PERFOPT_OS_CPU_BUSY_RATIO, /* these three are worked out of the others */
	PERFOPT_OS_MEMORY_AVAILABLE_RATIO,
	PERFOPT_OS_FILESYSTEM_AVAIL_RATIO, /* labels: mount, role */
	PERFOPT_OS_NUM_METRICS
} PerfoptOsMetric;

/* `label` is the value of the metric's one label, or NULL; it is valid during the call only. */
typedef void (*PerfoptOsSink)(void *arg, PerfoptOsMetric metric, const char *label, double value);

/* /proc/stat; ticks_per_second is sysconf(_SC_CLK_TCK). */
extern void perfopt_procfs_stat(const char *text, double ticks_per_second, PerfoptOsSink sink,
								void *arg);
extern void perfopt_procfs_loadavg(const char *text, PerfoptOsSink sink, void *arg);
extern void perfopt_procfs_meminfo(const char *text, PerfoptOsSink sink, void *arg);
extern void perfopt_procfs_vmstat(const char *text, PerfoptOsSink sink, void *arg);

/*
 * One set of values a real disk: no loop, ram, optical or floppy devices, no partition of a disk that
 * is listed too, none that never did any I/O.  Devices stacked on others (device mapper, md, bcache,
 * drbd) repeat the I/O of what they lie on; they are taken only where nothing else is left.
 */
extern void perfopt_procfs_diskstats(const char *text, PerfoptOsSink sink, void *arg);

/* All but the loopback and the host's ends of containers' and virtual machines' links. */
extern void perfopt_procfs_net_dev(const char *text, PerfoptOsSink sink, void *arg);

/* /proc/net/snmp and /proc/net/netstat have the same form. */
extern void perfopt_procfs_net_snmp(const char *text, PerfoptOsSink sink, void *arg);

/* /proc/pressure/{cpu,io,memory}: the time in which some task waited for `metric`. */
extern void perfopt_procfs_pressure(const char *text, PerfoptOsMetric metric, PerfoptOsSink sink,
									void *arg);

/*
 * From /proc/self/mountinfo, the mount point on which an absolute path without symbolic links lies.
 * False, and mount untouched, where there is none or it does not fit.
 */
extern bool perfopt_procfs_mount_of(const char *mountinfo, const char *path, char *mount,
									size_t capacity);

#endif /* PERFOPT_PROCFS_H */
