/*
 * container.c
 *	  What the control groups that the server is in allow and use, and the capacity that this leaves.
 *
 * Groups lie within groups, and each may have a limit; the tightest counts, and usage is that of the
 * group that has it.  Without a limit there is nothing to tell.
 */
#include "postgres.h"

#include <math.h>
#include <sched.h>
#include <unistd.h>

#include "collect/cgroup.h"
#include "collect/collect.h"
#include "collect/procfs.h"
#include "collect/readfile.h"

#define SYS "system"

enum
{
	MEMORY_LIMIT,
	MEMORY_USAGE,
	MEMORY_LIMIT_HITS,
	MEMORY_OOM_KILLS,
	MEMORY_PRESSURE,
	CPU_LIMIT,
	CPU_PERIODS,
	CPU_THROTTLED_PERIODS,
	CPU_THROTTLED_SECONDS,
	CPU_PRESSURE,
	USABLE_CPUS,
	USABLE_MEMORY
};

const PerfoptMetric perfopt_container_metrics[] = {
	[MEMORY_LIMIT] = { "cgroup_memory_limit_bytes", SYS, PERFOPT_GAUGE, "bytes",
					   "Tightest memory limit of the server's control groups" },
	[MEMORY_USAGE] = { "cgroup_memory_usage_bytes", SYS, PERFOPT_GAUGE, "bytes",
					   "Memory that counts against that limit, page cache included" },
	[MEMORY_LIMIT_HITS] = { "cgroup_memory_limit_hits_total", SYS, PERFOPT_COUNTER, "times",
							"Times that the limit was reached" },
	[MEMORY_OOM_KILLS] = { "cgroup_memory_oom_kills_total", SYS, PERFOPT_COUNTER, "processes",
						   "Processes of the group killed because nothing could be freed" },
	[MEMORY_PRESSURE] = { "cgroup_memory_pressure_waiting_seconds_total", SYS, PERFOPT_COUNTER,
						  "seconds", "Time in which some task of the group waited for memory" },
	[CPU_LIMIT] = { "cgroup_cpu_limit_cores", SYS, PERFOPT_GAUGE, "processors",
					"Tightest CPU limit of the server's control groups" },
	[CPU_PERIODS] = { "cgroup_cpu_periods_total", SYS, PERFOPT_COUNTER, "periods",
					  "Periods of that limit in which the group ran" },
	[CPU_THROTTLED_PERIODS] = { "cgroup_cpu_throttled_periods_total", SYS, PERFOPT_COUNTER,
								"periods", "Periods in which the group used up its share" },
	[CPU_THROTTLED_SECONDS] = { "cgroup_cpu_throttled_seconds_total", SYS, PERFOPT_COUNTER,
								"seconds",
								"Time for which the group was held up, summed over "
								"processors" },
	[CPU_PRESSURE] = { "cgroup_cpu_pressure_waiting_seconds_total", SYS, PERFOPT_COUNTER, "seconds",
					   "Time in which some task of the group waited for a processor" },
	[USABLE_CPUS] = { "node_cpu_usable_count", SYS, PERFOPT_GAUGE, "processors",
					  "Processors that the server may use: those it may run on, or the limit of "
					  "its control groups where that is less" },
	[USABLE_MEMORY] = { "node_memory_usable_bytes", SYS, PERFOPT_GAUGE, "bytes",
						"Memory that the server may use: the machine's, or the limit of its "
						"control groups where that is less" },
};
const int perfopt_container_nmetrics = lengthof(perfopt_container_metrics);

static const char *
read_of_group(const PerfoptCgroup *group, const char *file)
{
	char path[PERFOPT_CGROUP_PATH + 64];

	snprintf(path, sizeof(path), "%s/%s", group->path, file);
	return perfopt_read_file(path);
}

static bool
memory_limit(const PerfoptCgroup *group, double *bytes)
{
	const char *text =
		read_of_group(group, group->version == 2 ? "memory.max" : "memory.limit_in_bytes");

	return text != NULL && perfopt_cgroup_bytes_limit(text, bytes);
}

static bool
cpu_limit(const PerfoptCgroup *group, double *cores)
{
	const char *text = read_of_group(group, group->version == 2 ? "cpu.max" : "cpu.cfs_quota_us");
	char quota[32];

	if (text == NULL)
		return false;
	if (group->version == 2)
		return perfopt_cgroup_cpu_max(text, cores);

	/* The next file takes the place of this one in memory. */
	strlcpy(quota, text, sizeof(quota));
	text = read_of_group(group, "cpu.cfs_period_us");
	return text != NULL && perfopt_cgroup_cpu_quota(quota, text, cores);
}

/*
 * Goes from the process' own group up to the top; group becomes the one with the tightest limit.  False
 * where none has one.
 */
static bool
find_tightest(PerfoptCgroup *group, bool (*limit_of)(const PerfoptCgroup *, double *),
			  double *tightest)
{
	PerfoptCgroup at = *group;
	bool found = false;

	do
	{
		double limit;

		if (limit_of(&at, &limit) && (!found || limit < *tightest))
		{
			found = true;
			*tightest = limit;
			*group = at;
		}
	} while (perfopt_cgroup_parent(&at));
	return found;
}

static void
add(PerfoptBatch *batch, int metric, double value)
{
	perfopt_batch_add(batch, &perfopt_container_metrics[metric], NULL, 0, value);
}

static void
add_number(PerfoptBatch *batch, const PerfoptCgroup *group, const char *file, int metric)
{
	const char *text = read_of_group(group, file);
	double value;

	if (text != NULL && perfopt_cgroup_number(text, &value))
		add(batch, metric, value);
}

static void
add_value(PerfoptBatch *batch, const PerfoptCgroup *group, const char *file, const char *name,
		  double unit, int metric)
{
	const char *text = read_of_group(group, file);
	double value;

	if (text != NULL && perfopt_cgroup_value(text, name, &value))
		add(batch, metric, unit == 1 ? value : rint(value * unit * 1e6) / 1e6);
}

typedef struct PressureTarget
{
	PerfoptBatch *batch;
	int metric;
} PressureTarget;

static void
sink_pressure(void *arg, PerfoptOsMetric unused, const char *label, double value)
{
	const PressureTarget *target = arg;

	add(target->batch, target->metric, value);
}

static void
add_pressure(PerfoptBatch *batch, const PerfoptCgroup *group, const char *file, int metric)
{
	PressureTarget target = { batch, metric };
	const char *text = group->version == 2 ? read_of_group(group, file) : NULL;

	if (text != NULL)
		perfopt_procfs_pressure(text, PERFOPT_OS_PRESSURE_MEMORY, sink_pressure, &target);
}

static void
add_memory(PerfoptBatch *batch, const PerfoptCgroup *group)
{
	if (group->version == 2)
	{
		add_number(batch, group, "memory.current", MEMORY_USAGE);
		add_value(batch, group, "memory.events", "max", 1, MEMORY_LIMIT_HITS);
		add_value(batch, group, "memory.events", "oom_kill", 1, MEMORY_OOM_KILLS);
	}
	else
	{
		add_number(batch, group, "memory.usage_in_bytes", MEMORY_USAGE);
		add_number(batch, group, "memory.failcnt", MEMORY_LIMIT_HITS);
		add_value(batch, group, "memory.oom_control", "oom_kill", 1, MEMORY_OOM_KILLS);
	}
	add_pressure(batch, group, "memory.pressure", MEMORY_PRESSURE);
}

static void
add_cpu(PerfoptBatch *batch, const PerfoptCgroup *group)
{
	add_value(batch, group, "cpu.stat", "nr_periods", 1, CPU_PERIODS);
	add_value(batch, group, "cpu.stat", "nr_throttled", 1, CPU_THROTTLED_PERIODS);
	if (group->version == 2)
		add_value(batch, group, "cpu.stat", "throttled_usec", 1e-6, CPU_THROTTLED_SECONDS);
	else
		add_value(batch, group, "cpu.stat", "throttled_time", 1e-9, CPU_THROTTLED_SECONDS);
	add_pressure(batch, group, "cpu.pressure", CPU_PRESSURE);
}

/* The groups of the process; the mount table is read again only when it is in others. */
static void
find_groups(PerfoptCgroup *memory, PerfoptCgroup *cpu)
{
	static char known[4096] = "";
	static PerfoptCgroup known_memory;
	static PerfoptCgroup known_cpu;
	const char *text = perfopt_read_file("/proc/self/cgroup");

	if (text != NULL && strncmp(known, text, sizeof(known) - 1) != 0)
	{
		const char *mounts;

		strlcpy(known, text, sizeof(known));
		mounts = perfopt_read_file("/proc/self/mountinfo");
		known_memory.version = known_cpu.version = 0;
		if (mounts != NULL)
		{
			(void) perfopt_cgroup_find(known, mounts, "memory", &known_memory);
			(void) perfopt_cgroup_find(known, mounts, "cpu", &known_cpu);
		}
	}
	*memory = known_memory;
	*cpu = known_cpu;
}

void
perfopt_collect_container(PerfoptBatch *batch)
{
	double cpus = (double) sysconf(_SC_NPROCESSORS_ONLN);
	double bytes = (double) sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE);
	PerfoptCgroup memory;
	PerfoptCgroup cpu;
	cpu_set_t allowed;
	double limit = 0;

	if (sched_getaffinity(0, sizeof(allowed), &allowed) == 0)
		cpus = CPU_COUNT(&allowed);
	find_groups(&memory, &cpu);
	if (memory.version != 0 && find_tightest(&memory, memory_limit, &limit))
	{
		add(batch, MEMORY_LIMIT, limit);
		add_memory(batch, &memory);
		bytes = Min(bytes, limit);
	}
	if (cpu.version != 0 && find_tightest(&cpu, cpu_limit, &limit))
	{
		add(batch, CPU_LIMIT, limit);
		add_cpu(batch, &cpu);
		cpus = Min(cpus, limit);
	}
	add(batch, USABLE_CPUS, cpus);
	add(batch, USABLE_MEMORY, bytes);
}
