/*
 * procfs.c
 *	  Reading the texts of Linux' /proc.
 */
#include "collect/procfs.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define SECTOR_BYTES 512.0 /* the unit of diskstats on every device, whatever its own is */
#define MAX_DEVICES 1024
#define MAX_NAME 64
#define DISK_FIELDS 11
#define NET_FIELDS 16

static const char *
next_line(const char *p)
{
	p = strchr(p, '\n');
	return p ? p + 1 : NULL;
}

static const char *
skip_blanks(const char *p)
{
	while (*p == ' ' || *p == '\t')
		p++;
	return p;
}

/* Reads a number on the same line; false at its end or at anything else. */
static bool
read_number(const char **p, double *value)
{
	const char *start = skip_blanks(*p);
	char *end;

	if (!isdigit((unsigned char) *start) && *start != '-')
		return false;
	*value = strtod(start, &end);
	if (end == start)
		return false;
	*p = end;
	return true;
}

static int
read_numbers(const char *p, double *values, int max)
{
	int n = 0;

	while (n < max && read_number(&p, &values[n]))
		n++;
	return n;
}

static bool
starts_with(const char *p, const char *prefix)
{
	return strncmp(p, prefix, strlen(prefix)) == 0;
}

/* Copies a name up to `end`; false where it is empty or longer than any name of a device. */
static bool
copy_name(const char *start, const char *end, char name[MAX_NAME])
{
	size_t length = end - start;

	if (length == 0 || length >= MAX_NAME)
		return false;
	memcpy(name, start, length);
	name[length] = '\0';
	return true;
}

void
perfopt_procfs_stat(const char *text, double ticks_per_second, PerfoptOsSink sink, void *arg)
{
	/* Guest time is left out: it is part of user and nice already. */
	static const char *const modes[] = { "user",   "nice", "system",  "idle",
										 "iowait", "irq",  "softirq", "steal" };
	const int nmodes = sizeof(modes) / sizeof(modes[0]);
	int ncpus = 0;

	for (const char *line = text; line && *line; line = next_line(line))
	{
		double values[8];

		if (starts_with(line, "cpu "))
		{
			int n = read_numbers(line + 4, values, nmodes);

			for (int i = 0; i < n; i++)
				sink(arg, PERFOPT_OS_CPU_SECONDS, modes[i], values[i] / ticks_per_second);
		}
		else if (starts_with(line, "cpu") && isdigit((unsigned char) line[3]))
			ncpus++;
		else if (starts_with(line, "ctxt ") && read_numbers(line + 5, values, 1) == 1)
			sink(arg, PERFOPT_OS_CONTEXT_SWITCHES, NULL, values[0]);
		else if (starts_with(line, "procs_running ") && read_numbers(line + 14, values, 1) == 1)
			sink(arg, PERFOPT_OS_PROCS_RUNNING, NULL, values[0]);
		else if (starts_with(line, "procs_blocked ") && read_numbers(line + 14, values, 1) == 1)
			sink(arg, PERFOPT_OS_PROCS_BLOCKED, NULL, values[0]);
	}
	if (ncpus > 0)
		sink(arg, PERFOPT_OS_CPU_COUNT, NULL, ncpus);
}

void
perfopt_procfs_loadavg(const char *text, PerfoptOsSink sink, void *arg)
{
	double values[3];
	int n = read_numbers(text, values, 3);

	for (int i = 0; i < n; i++)
		sink(arg, PERFOPT_OS_LOAD1 + i, NULL, values[i]);
}

typedef struct NamedValue
{
	const char *name;
	PerfoptOsMetric metric;
} NamedValue;

/* Lines of "name value" or "name: value unit". */
static void
read_named_values(const char *text, const NamedValue *wanted, int nwanted, double unit,
				  PerfoptOsSink sink, void *arg)
{
	int left = nwanted;

	for (const char *line = text; line && *line && left > 0; line = next_line(line))
	{
		size_t length = strcspn(line, ": \t\n");
		double value;

		for (int i = 0; i < nwanted; i++)
		{
			const char *p = line + length;

			if (strlen(wanted[i].name) != length || strncmp(line, wanted[i].name, length) != 0)
				continue;
			if (*p == ':')
				p++;
			if (read_number(&p, &value))
				sink(arg, wanted[i].metric, NULL, value * unit);
			left--;
			break;
		}
	}
}

void
perfopt_procfs_meminfo(const char *text, PerfoptOsSink sink, void *arg)
{
	static const NamedValue wanted[] = {
		{ "MemTotal", PERFOPT_OS_MEMORY_TOTAL },
		{ "MemAvailable", PERFOPT_OS_MEMORY_AVAILABLE },
		{ "Cached", PERFOPT_OS_MEMORY_CACHED },
		{ "Dirty", PERFOPT_OS_MEMORY_DIRTY },
		{ "Committed_AS", PERFOPT_OS_MEMORY_COMMITTED },
	};

	read_named_values(text, wanted, sizeof(wanted) / sizeof(wanted[0]), 1024.0, sink, arg);
}

void
perfopt_procfs_vmstat(const char *text, PerfoptOsSink sink, void *arg)
{
	static const NamedValue wanted[] = {
		{ "pswpin", PERFOPT_OS_PSWPIN },
		{ "pswpout", PERFOPT_OS_PSWPOUT },
		{ "pgmajfault", PERFOPT_OS_PGMAJFAULT },
		{ "oom_kill", PERFOPT_OS_OOM_KILL },
	};

	read_named_values(text, wanted, sizeof(wanted) / sizeof(wanted[0]), 1.0, sink, arg);
}

typedef struct Disk
{
	const char *name; /* inside the text */
	size_t length;
	const char *values;
} Disk;

static bool
has_prefix_and_digit(const Disk *disk, const char *prefix)
{
	size_t length = strlen(prefix);

	return disk->length > length && strncmp(disk->name, prefix, length) == 0 &&
		   isdigit((unsigned char) disk->name[length]);
}

static bool
is_no_disk(const Disk *disk)
{
	return has_prefix_and_digit(disk, "loop") || has_prefix_and_digit(disk, "ram") ||
		   has_prefix_and_digit(disk, "zram") || has_prefix_and_digit(disk, "sr") ||
		   has_prefix_and_digit(disk, "fd");
}

static bool
is_stacked(const Disk *disk)
{
	return has_prefix_and_digit(disk, "dm-") || has_prefix_and_digit(disk, "md") ||
		   has_prefix_and_digit(disk, "bcache") || has_prefix_and_digit(disk, "drbd");
}

/* sda1 is a part of sda, nvme0n1p1 of nvme0n1: a name that ends in a digit takes a p in between. */
static bool
is_partition_of(const Disk *part, const Disk *whole)
{
	size_t at = whole->length;

	if (part->length <= at || memcmp(part->name, whole->name, at) != 0)
		return false;
	if (isdigit((unsigned char) whole->name[at - 1]) && part->name[at++] != 'p')
		return false;
	if (at == part->length)
		return false;
	for (; at < part->length; at++)
	{
		if (!isdigit((unsigned char) part->name[at]))
			return false;
	}
	return true;
}

static bool
is_partition(const Disk *disks, int ndisks, int which)
{
	if (!isdigit((unsigned char) disks[which].name[disks[which].length - 1]))
		return false;
	for (int i = 0; i < ndisks; i++)
	{
		if (is_partition_of(&disks[which], &disks[i]))
			return true;
	}
	return false;
}

static int
find_disks(const char *text, Disk *disks)
{
	int n = 0;

	for (const char *line = text; line && *line && n < MAX_DEVICES; line = next_line(line))
	{
		const char *p = line;
		double major;
		double minor;
		Disk disk;

		if (!read_number(&p, &major) || !read_number(&p, &minor))
			continue;
		disk.name = skip_blanks(p);
		disk.length = strcspn(disk.name, " \t\n");
		disk.values = disk.name + disk.length;
		if (disk.length > 0 && !is_no_disk(&disk))
			disks[n++] = disk;
	}
	return n;
}

/* Returns whether the disk did any I/O since it is there. */
static bool
sink_disk(const Disk *disk, PerfoptOsSink sink, void *arg)
{
	double v[DISK_FIELDS];
	char name[MAX_NAME];

	if (read_numbers(disk->values, v, DISK_FIELDS) < DISK_FIELDS || (v[0] == 0 && v[4] == 0) ||
		!copy_name(disk->name, disk->name + disk->length, name))
		return false;

	sink(arg, PERFOPT_OS_DISK_READS, name, v[0]);
	sink(arg, PERFOPT_OS_DISK_READ_BYTES, name, v[2] * SECTOR_BYTES);
	sink(arg, PERFOPT_OS_DISK_READ_TIME, name, v[3] / 1000.0);
	sink(arg, PERFOPT_OS_DISK_WRITES, name, v[4]);
	sink(arg, PERFOPT_OS_DISK_WRITTEN_BYTES, name, v[6] * SECTOR_BYTES);
	sink(arg, PERFOPT_OS_DISK_WRITE_TIME, name, v[7] / 1000.0);
	sink(arg, PERFOPT_OS_DISK_IO_TIME, name, v[9] / 1000.0);
	sink(arg, PERFOPT_OS_DISK_IO_WEIGHTED_TIME, name, v[10] / 1000.0);
	return true;
}

void
perfopt_procfs_diskstats(const char *text, PerfoptOsSink sink, void *arg)
{
	Disk disks[MAX_DEVICES];
	int ndisks = find_disks(text, disks);
	int found = 0;

	for (int pass = 0; pass < 2 && found == 0; pass++)
	{
		for (int i = 0; i < ndisks; i++)
		{
			if (is_stacked(&disks[i]) == (pass == 1) && !is_partition(disks, ndisks, i))
				found += sink_disk(&disks[i], sink, arg);
		}
	}
}

/* Traffic over these passes a real device too, or never leaves the machine. */
static bool
is_virtual_link(const char *name)
{
	static const char *const prefixes[] = { "veth", "docker", "br-",     "virbr", "vnet",
											"cali", "cni",    "flannel", "ifb",   "dummy",
											"kube", "lxc",    "podman" };

	if (strcmp(name, "lo") == 0)
		return true;
	for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++)
	{
		if (starts_with(name, prefixes[i]))
			return true;
	}
	return false;
}

void
perfopt_procfs_net_dev(const char *text, PerfoptOsSink sink, void *arg)
{
	for (const char *line = text; line && *line; line = next_line(line))
	{
		const char *start = skip_blanks(line);
		const char *colon = start + strcspn(start, ":\n");
		char name[MAX_NAME];
		double v[NET_FIELDS];

		/* An alias of an interface (eth0:1) has a colon in its own name, but no counters. */
		if (*colon != ':' || !copy_name(start, colon, name) || is_virtual_link(name) ||
			read_numbers(colon + 1, v, NET_FIELDS) < NET_FIELDS)
			continue;
		sink(arg, PERFOPT_OS_NETWORK_RECEIVE_BYTES, name, v[0]);
		sink(arg, PERFOPT_OS_NETWORK_RECEIVE_ERRS, name, v[2]);
		sink(arg, PERFOPT_OS_NETWORK_RECEIVE_DROP, name, v[3]);
		sink(arg, PERFOPT_OS_NETWORK_TRANSMIT_BYTES, name, v[8]);
		sink(arg, PERFOPT_OS_NETWORK_TRANSMIT_ERRS, name, v[10]);
		sink(arg, PERFOPT_OS_NETWORK_TRANSMIT_DROP, name, v[11]);
	}
}

/* The value in the second line of a pair that stands where the first has `field`. */
static bool
find_in_pair(const char *names, const char *values, const char *field, double *value)
{
	size_t wanted = strlen(field);

	while (*names != '\n' && *names != '\0' && *values != '\n' && *values != '\0')
	{
		size_t nlength;

		names = skip_blanks(names);
		values = skip_blanks(values);
		nlength = strcspn(names, " \t\n");
		if (nlength == wanted && strncmp(names, field, wanted) == 0)
			return read_number(&values, value);
		names += nlength;
		values += strcspn(values, " \t\n");
	}
	return false;
}

void
perfopt_procfs_net_snmp(const char *text, PerfoptOsSink sink, void *arg)
{
	static const struct
	{
		const char *group;
		const char *field;
		PerfoptOsMetric metric;
	} wanted[] = {
		{ "Tcp:", "RetransSegs", PERFOPT_OS_TCP_RETRANS_SEGS },
		{ "TcpExt:", "ListenOverflows", PERFOPT_OS_TCP_LISTEN_OVERFLOWS },
	};

	for (const char *names = text; names && *names;)
	{
		const char *values = next_line(names);

		if (values == NULL)
			break;
		for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
		{
			double value;

			if (starts_with(names, wanted[i].group) && starts_with(values, wanted[i].group) &&
				find_in_pair(names, values, wanted[i].field, &value))
				sink(arg, wanted[i].metric, NULL, value);
		}
		names = next_line(values);
	}
}

void
perfopt_procfs_pressure(const char *text, PerfoptOsMetric metric, PerfoptOsSink sink, void *arg)
{
	for (const char *line = text; line && *line; line = next_line(line))
	{
		const char *total;
		const char *end = line + strcspn(line, "\n");
		double value;

		if (!starts_with(line, "some "))
			continue;
		total = strstr(line, " total=");
		if (total == NULL || total >= end)
			return;
		total += strlen(" total=");
		if (read_number(&total, &value))
			sink(arg, metric, NULL, value / 1e6);
		return;
	}
}

/* Blanks, tabs, newlines and backslashes in paths are written as \ and three octal digits. */
static size_t
unescape(const char *p, const char *end, char *out, size_t capacity)
{
	size_t n = 0;

	while (p < end && n + 1 < capacity)
	{
		if (*p == '\\' && end - p >= 4)
		{
			out[n++] = (char) ((p[1] - '0') * 64 + (p[2] - '0') * 8 + (p[3] - '0'));
			p += 4;
		}
		else
			out[n++] = *p++;
	}
	out[n] = '\0';
	return p < end ? 0 : n;
}

static bool
lies_below(const char *path, const char *mount, size_t length)
{
	if (length == 1 && mount[0] == '/')
		return path[0] == '/';
	return strncmp(path, mount, length) == 0 && (path[length] == '/' || path[length] == '\0');
}

bool
perfopt_procfs_mount_of(const char *mountinfo, const char *path, char *mount, size_t capacity)
{
	size_t best = 0;

	for (const char *line = mountinfo; line && *line; line = next_line(line))
	{
		const char *p = line;
		char candidate[4096];
		size_t length;

		/* id, parent, device, root, mount point */
		for (int field = 0; field < 4; field++)
			p = skip_blanks(p + strcspn(p, " \n"));
		length = unescape(p, p + strcspn(p, " \n"), candidate, sizeof(candidate));

		/* Of two mounts on the same point the later one hides the earlier. */
		if (length == 0 || length < best || length >= capacity ||
			!lies_below(path, candidate, length))
			continue;
		memcpy(mount, candidate, length + 1);
		best = length;
	}
	return best > 0;
}
