/*
 * cgroup.h
 *	  Which control groups a process is in and what they allow.  No PostgreSQL here.
 *
 * Version 1 has a hierarchy of its own for each controller, version 2 one for all; a machine may have
 * both, with each controller in one of them.  What the texts do not say is left out, as in procfs.h.
 *
 * Formats: cgroups(7), Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/ of the kernel.
 */
#ifndef PERFOPT_CGROUP_H
#define PERFOPT_CGROUP_H

#include <stdbool.h>
#include <stddef.h>

#define PERFOPT_CGROUP_PATH 1024

/* Where a controller's files for the process lie. */
typedef struct PerfoptCgroup
{
	int version;                    /* 1 or 2 */
	size_t top;                     /* length of the mount point at the beginning of path */
	char path[PERFOPT_CGROUP_PATH]; /* the group's own folder; its parents up to top are above it */
} PerfoptCgroup;

/*
 * From /proc/self/cgroup and /proc/self/mountinfo, the group of `controller` ("cpu", "memory").  False
 * where there is none that can be seen.
 */
extern bool perfopt_cgroup_find(const char *cgroups, const char *mountinfo, const char *controller,
								PerfoptCgroup *group);

/* Shortens path to its parent's; false at the top. */
extern bool perfopt_cgroup_parent(PerfoptCgroup *group);

/* memory.max, memory.limit_in_bytes: false where there is no limit. */
extern bool perfopt_cgroup_bytes_limit(const char *text, double *bytes);

/* cpu.max (2), or cpu.cfs_quota_us and cpu.cfs_period_us (1): false where there is no limit. */
extern bool perfopt_cgroup_cpu_max(const char *text, double *cores);
extern bool perfopt_cgroup_cpu_quota(const char *quota, const char *period, double *cores);

/* One number alone in a file. */
extern bool perfopt_cgroup_number(const char *text, double *value);

/* The number after a name in lines of "name value": cpu.stat, memory.events, memory.oom_control. */
extern bool perfopt_cgroup_value(const char *text, const char *name, double *value);

#endif /* PERFOPT_CGROUP_H */
