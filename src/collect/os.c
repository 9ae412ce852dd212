/*
 * os.c
 *	  The operating system as /proc and the file systems under the data directory and the WAL show it.
 *
 * One open and read a file and cycle, no fork.  A file that this kernel or container lacks makes its
 * metrics absent; that is not an error, since it will not get better.
 */
#include "postgres.h"

#include <dirent.h>
#include <limits.h>
#include <math.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "catalog/pg_tablespace_d.h"
#include "commands/tablespace.h"
#include "miscadmin.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/varlena.h"

#include "collect/collect.h"
#include "collect/procfs.h"
#include "collect/readfile.h"

#define SYS "system"
#define GAUGE(name, unit, help)              \
	{                                        \
		name, SYS, PERFOPT_GAUGE, unit, help \
	}
#define COUNTER(name, unit, help)              \
	{                                          \
		name, SYS, PERFOPT_COUNTER, unit, help \
	}

const PerfoptMetric perfopt_os_metrics[] = {
	[PERFOPT_OS_CPU_SECONDS] =
		COUNTER("node_cpu_seconds_total", "seconds", "Time of all processors in each mode"),
	[PERFOPT_OS_CPU_COUNT] = GAUGE("node_cpu_count", "processors", "Processors that are online"),
	[PERFOPT_OS_LOAD1] =
		GAUGE("node_load1", "processes",
			  "Processes running or in uninterruptible sleep, average of 1 minute"),
	[PERFOPT_OS_LOAD5] =
		GAUGE("node_load5", "processes",
			  "Processes running or in uninterruptible sleep, average of 5 minutes"),
	[PERFOPT_OS_LOAD15] =
		GAUGE("node_load15", "processes",
			  "Processes running or in uninterruptible sleep, average of 15 minutes"),
	[PERFOPT_OS_PROCS_RUNNING] =
		GAUGE("node_procs_running", "processes", "Processes running or ready to run"),
	[PERFOPT_OS_PROCS_BLOCKED] =
		GAUGE("node_procs_blocked", "processes", "Processes blocked by I/O"),
	[PERFOPT_OS_CONTEXT_SWITCHES] =
		COUNTER("node_context_switches_total", "switches", "Context switches"),
	[PERFOPT_OS_PRESSURE_CPU] = COUNTER("node_pressure_cpu_waiting_seconds_total", "seconds",
										"Time in which some task waited for a processor"),
	[PERFOPT_OS_PRESSURE_IO] = COUNTER("node_pressure_io_waiting_seconds_total", "seconds",
									   "Time in which some task waited for I/O"),
	[PERFOPT_OS_PRESSURE_MEMORY] = COUNTER("node_pressure_memory_waiting_seconds_total", "seconds",
										   "Time in which some task waited for memory"),
	[PERFOPT_OS_MEMORY_TOTAL] = GAUGE("node_memory_total_bytes", "bytes", "Usable memory"),
	[PERFOPT_OS_MEMORY_AVAILABLE] = GAUGE("node_memory_available_bytes", "bytes",
										  "Memory that new work could have without swapping"),
	[PERFOPT_OS_MEMORY_CACHED] =
		GAUGE("node_memory_cached_bytes", "bytes", "Page cache, shared memory included"),
	[PERFOPT_OS_MEMORY_DIRTY] =
		GAUGE("node_memory_dirty_bytes", "bytes", "Page cache not yet written"),
	[PERFOPT_OS_MEMORY_COMMITTED] =
		GAUGE("node_memory_committed_bytes", "bytes", "Memory promised to processes, used or not"),
	[PERFOPT_OS_PSWPIN] = COUNTER("node_vmstat_pswpin_total", "pages", "Pages swapped in"),
	[PERFOPT_OS_PSWPOUT] = COUNTER("node_vmstat_pswpout_total", "pages", "Pages swapped out"),
	[PERFOPT_OS_PGMAJFAULT] =
		COUNTER("node_vmstat_pgmajfault_total", "faults", "Page faults that had to read from disk"),
	[PERFOPT_OS_OOM_KILL] =
		COUNTER("node_vmstat_oom_kill_total", "processes", "Processes killed for want of memory"),
	[PERFOPT_OS_DISK_READS] =
		COUNTER("node_disk_reads_total", "reads", "Reads that a disk completed"),
	[PERFOPT_OS_DISK_WRITES] =
		COUNTER("node_disk_writes_total", "writes", "Writes that a disk completed"),
	[PERFOPT_OS_DISK_READ_BYTES] =
		COUNTER("node_disk_read_bytes_total", "bytes", "Bytes read from a disk"),
	[PERFOPT_OS_DISK_WRITTEN_BYTES] =
		COUNTER("node_disk_written_bytes_total", "bytes", "Bytes written to a disk"),
	[PERFOPT_OS_DISK_READ_TIME] = COUNTER("node_disk_read_time_seconds_total", "seconds",
										  "Time that reads took, summed over them"),
	[PERFOPT_OS_DISK_WRITE_TIME] = COUNTER("node_disk_write_time_seconds_total", "seconds",
										   "Time that writes took, summed over them"),
	[PERFOPT_OS_DISK_IO_TIME] = COUNTER("node_disk_io_time_seconds_total", "seconds",
										"Time in which a disk had any I/O under way"),
	[PERFOPT_OS_DISK_IO_WEIGHTED_TIME] =
		COUNTER("node_disk_io_weighted_time_seconds_total", "seconds",
				"Time in which a disk had I/O under way, times how much of it"),
	[PERFOPT_OS_FILESYSTEM_AVAIL] =
		GAUGE("node_filesystem_avail_bytes", "bytes", "Free space that the server may use"),
	[PERFOPT_OS_FILESYSTEM_SIZE] =
		GAUGE("node_filesystem_size_bytes", "bytes", "Size of the file system"),
	[PERFOPT_OS_FILESYSTEM_FILES_FREE] =
		GAUGE("node_filesystem_files_free", "files", "Files that can still be made"),
	[PERFOPT_OS_NETWORK_RECEIVE_BYTES] =
		COUNTER("node_network_receive_bytes_total", "bytes", "Bytes received"),
	[PERFOPT_OS_NETWORK_RECEIVE_DROP] =
		COUNTER("node_network_receive_drop_total", "packets", "Received packets dropped"),
	[PERFOPT_OS_NETWORK_RECEIVE_ERRS] =
		COUNTER("node_network_receive_errs_total", "packets", "Received packets with errors"),
	[PERFOPT_OS_NETWORK_TRANSMIT_BYTES] =
		COUNTER("node_network_transmit_bytes_total", "bytes", "Bytes sent"),
	[PERFOPT_OS_NETWORK_TRANSMIT_DROP] =
		COUNTER("node_network_transmit_drop_total", "packets", "Packets to send dropped"),
	[PERFOPT_OS_NETWORK_TRANSMIT_ERRS] =
		COUNTER("node_network_transmit_errs_total", "packets", "Packets to send with errors"),
	[PERFOPT_OS_TCP_RETRANS_SEGS] =
		COUNTER("node_tcp_retrans_segs_total", "segments", "TCP segments sent again"),
	[PERFOPT_OS_TCP_LISTEN_OVERFLOWS] = COUNTER("node_tcp_listen_overflows_total", "connections",
												"Connections lost because a listen queue was full"),
	[PERFOPT_OS_CPU_BUSY_RATIO] = GAUGE(
		"node_cpu_busy_ratio", "ratio",
		"Share of all processors' time since the cycle before that was neither idle nor iowait"),
	[PERFOPT_OS_MEMORY_AVAILABLE_RATIO] =
		GAUGE("node_memory_available_ratio", "ratio", "Available memory by usable memory"),
	[PERFOPT_OS_FILESYSTEM_AVAIL_RATIO] =
		GAUGE("node_filesystem_avail_ratio", "ratio",
			  "Free space that the server may use, by that and what is used"),
};
const int perfopt_os_nmetrics = lengthof(perfopt_os_metrics);
StaticAssertDecl(lengthof(perfopt_os_metrics) == PERFOPT_OS_NUM_METRICS,
				 "every metric that procfs.h hands over is described");

/* What most metrics here have, if any. */
static const char *
label_name(PerfoptOsMetric metric)
{
	return metric == PERFOPT_OS_CPU_SECONDS ? "mode" : "device";
}

/* What ratios are worked out of, summed up in each cycle. */
typedef struct Sums
{
	double cpu_idle;
	double cpu_all;
	double memory_total;
	double memory_available;
} Sums;

static Sums sums;

static void
sum_up(PerfoptOsMetric metric, const char *label, double value)
{
	if (metric == PERFOPT_OS_MEMORY_TOTAL)
		sums.memory_total = value;
	else if (metric == PERFOPT_OS_MEMORY_AVAILABLE)
		sums.memory_available = value;

	/* Time of guests is in that of users, too. */
	else if (metric == PERFOPT_OS_CPU_SECONDS && strncmp(label, "guest", 5) != 0)
	{
		sums.cpu_all += value;
		if (strcmp(label, "idle") == 0 || strcmp(label, "iowait") == 0)
			sums.cpu_idle += value;
	}
}

static void
add_ratios(PerfoptBatch *batch)
{
	static Sums before;
	double all = sums.cpu_all - before.cpu_all;
	double idle = sums.cpu_idle - before.cpu_idle;

	if (before.cpu_all > 0 && all > 0 && idle >= 0)
		perfopt_batch_add(batch, &perfopt_os_metrics[PERFOPT_OS_CPU_BUSY_RATIO], NULL, 0,
						  Max(rint((1 - idle / all) * 1e4) / 1e4, 0));
	if (sums.memory_total > 0 && sums.memory_available > 0)
		perfopt_batch_add(batch, &perfopt_os_metrics[PERFOPT_OS_MEMORY_AVAILABLE_RATIO], NULL, 0,
						  rint(sums.memory_available / sums.memory_total * 1e4) / 1e4);
	before = sums;
}

static void
add_to_batch(void *arg, PerfoptOsMetric metric, const char *label, double value)
{
	PerfoptLabel labels[] = { { label_name(metric), label } };

	sum_up(metric, label, value);
	perfopt_batch_add(arg, &perfopt_os_metrics[metric], labels, label ? 1 : 0, value);
}

static void
collect_with(const char *path, void (*parse)(const char *, PerfoptOsSink, void *),
			 PerfoptBatch *batch)
{
	const char *text = perfopt_read_file(path);

	if (text != NULL)
		parse(text, add_to_batch, batch);
}

static void
collect_pressure(const char *path, PerfoptOsMetric metric, PerfoptBatch *batch)
{
	const char *text = perfopt_read_file(path);

	if (text != NULL)
		perfopt_procfs_pressure(text, metric, add_to_batch, batch);
}

/* Tablespaces beyond this many are not looked at. */
#define MAX_PLACES 64

/* A place whose file system matters, with its mount point as of the device it was last seen on. */
typedef struct Place
{
	const char *role;
	char path[64]; /* relative to the data directory, where the server's processes live */
	dev_t device;
	char mount[MAXPGPATH];
} Place;

static Place places[MAX_PLACES];

/*
 * The mount table can be long and hardly ever changes for these paths; it is read again when the
 * device is another.
 */
static bool
find_mount(Place *place)
{
	struct stat st;
	char path[PATH_MAX];
	char mount[MAXPGPATH];
	const char *mounts;

	if (stat(place->path, &st) != 0)
		return false;
	if (place->mount[0] != '\0' && place->device == st.st_dev)
		return true;

	mounts = perfopt_read_file("/proc/self/mountinfo");
	if (mounts == NULL || realpath(place->path, path) == NULL ||
		!perfopt_procfs_mount_of(mounts, path, mount, sizeof(mount)))
		return false;
	strlcpy(place->mount, mount, sizeof(place->mount));
	place->device = st.st_dev;
	return true;
}

/* The place keeps what is known of it for as long as it stays what and where it was. */
static void
set_place(int *n, const char *role, const char *path)
{
	Place *place;

	if (*n >= MAX_PLACES)
		return;
	place = &places[(*n)++];
	if (place->role != NULL && strcmp(place->role, role) == 0 && strcmp(place->path, path) == 0)
		return;
	place->role = role;
	strlcpy(place->path, path, sizeof(place->path));
	place->mount[0] = '\0';
}

/* Where temporary files of sessions go that do not choose for themselves. */
static void
set_temp_places(int *n)
{
	static char *known = NULL;
	static Oid spaces[MAX_PLACES];
	static int nspaces = 0;
	const char *setting = GetConfigOption("temp_tablespaces", true, false);
	int used = 0;

	/* Names are looked up when the setting changed, and as long as one is not found. */
	if (setting != NULL && (known == NULL || strcmp(known, setting) != 0))
	{
		char *names = pstrdup(setting);
		List *list = NIL;
		ListCell *cell;
		bool complete = true;

		nspaces = 0;
		if (!SplitIdentifierString(names, ',', &list))
			list = NIL;
		perfopt_collect_begin_sql();
		foreach (cell, list)
		{
			const char *name = lfirst(cell);
			Oid oid = name[0] == '\0' ? InvalidOid : get_tablespace_oid(name, true);

			complete &= OidIsValid(oid) || name[0] == '\0';
			if (nspaces < MAX_PLACES)
				spaces[nspaces++] = oid;
		}
		perfopt_collect_end_sql();
		if (known != NULL)
			pfree(known);
		known = complete ? MemoryContextStrdup(TopMemoryContext, setting) : NULL;
	}
	for (int i = 0; i < nspaces; i++)
	{
		char path[64];

		if (!OidIsValid(spaces[i]) || spaces[i] == DEFAULTTABLESPACE_OID)
			continue;
		snprintf(path, sizeof(path), "pg_tblspc/%u", spaces[i]);
		set_place(n, "temp", path);
		used++;
	}
	if (used == 0)
		set_place(n, "temp", ".");
}

static int
find_places(void)
{
	DIR *dir;
	struct dirent *entry;
	int n = 0;

	set_place(&n, "data", ".");
	set_place(&n, "wal", "pg_wal");
	set_temp_places(&n);
	dir = opendir("pg_tblspc");
	if (dir == NULL)
		return n;
	while ((entry = readdir(dir)) != NULL)
	{
		char path[64];

		if (strspn(entry->d_name, "0123456789") != strlen(entry->d_name))
			continue;
		snprintf(path, sizeof(path), "pg_tblspc/%.40s", entry->d_name);
		set_place(&n, "tablespace", path);
	}
	closedir(dir);
	return n;
}

/* Several tablespaces on one file system are one row. */
static bool
is_repeated(int which)
{
	for (int i = 0; i < which; i++)
	{
		if (places[i].mount[0] != '\0' && strcmp(places[i].role, places[which].role) == 0 &&
			strcmp(places[i].mount, places[which].mount) == 0)
			return true;
	}
	return false;
}

static void
collect_filesystems(PerfoptBatch *batch)
{
	int n = find_places();

	for (int i = 0; i < n; i++)
	{
		Place *place = &places[i];
		PerfoptLabel labels[2];
		struct statvfs fs;

		if (!find_mount(place) || is_repeated(i) || statvfs(place->path, &fs) != 0)
			continue;
		labels[0] = (PerfoptLabel){ "mount", place->mount };
		labels[1] = (PerfoptLabel){ "role", place->role };
		perfopt_batch_add(batch, &perfopt_os_metrics[PERFOPT_OS_FILESYSTEM_AVAIL], labels, 2,
						  (double) fs.f_bavail * fs.f_frsize);
		perfopt_batch_add(batch, &perfopt_os_metrics[PERFOPT_OS_FILESYSTEM_SIZE], labels, 2,
						  (double) fs.f_blocks * fs.f_frsize);

		/* As df counts: what is kept for root is neither free nor used. */
		if (fs.f_blocks > 0 && fs.f_bavail + fs.f_blocks - fs.f_bfree > 0)
			perfopt_batch_add(
				batch, &perfopt_os_metrics[PERFOPT_OS_FILESYSTEM_AVAIL_RATIO], labels, 2,
				rint((double) fs.f_bavail / (fs.f_bavail + fs.f_blocks - fs.f_bfree) * 1e4) / 1e4);

		/* File systems that make inodes as they go (btrfs) say that they have none. */
		if (fs.f_files > 0)
			perfopt_batch_add(batch, &perfopt_os_metrics[PERFOPT_OS_FILESYSTEM_FILES_FREE], labels,
							  2, (double) fs.f_favail);
	}
}

void
perfopt_collect_os(PerfoptBatch *batch)
{
	const char *stat_text = perfopt_read_file("/proc/stat");

	memset(&sums, 0, sizeof(sums));
	if (stat_text != NULL)
		perfopt_procfs_stat(stat_text, (double) sysconf(_SC_CLK_TCK), add_to_batch, batch);
	collect_with("/proc/loadavg", perfopt_procfs_loadavg, batch);
	collect_with("/proc/meminfo", perfopt_procfs_meminfo, batch);
	collect_with("/proc/vmstat", perfopt_procfs_vmstat, batch);
	collect_with("/proc/diskstats", perfopt_procfs_diskstats, batch);
	collect_with("/proc/net/dev", perfopt_procfs_net_dev, batch);
	collect_with("/proc/net/snmp", perfopt_procfs_net_snmp, batch);
	collect_with("/proc/net/netstat", perfopt_procfs_net_snmp, batch);
	collect_pressure("/proc/pressure/cpu", PERFOPT_OS_PRESSURE_CPU, batch);
	collect_pressure("/proc/pressure/io", PERFOPT_OS_PRESSURE_IO, batch);
	collect_pressure("/proc/pressure/memory", PERFOPT_OS_PRESSURE_MEMORY, batch);
	collect_filesystems(batch);
	add_ratios(batch);
}
