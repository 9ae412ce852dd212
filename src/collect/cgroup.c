/*
 * cgroup.c
 *	  Which control groups a process is in and what they allow.
 */
#include "collect/cgroup.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* Version 1 has no word for "no limit", but a number near the greatest that it can write. */
#define UNLIMITED_BYTES 4611686018427387904.0

typedef struct Span
{
	const char *start;
	size_t length;
} Span;

static const char *
next_line(const char *p)
{
	p = strchr(p, '\n');
	return p != NULL ? p + 1 : NULL;
}

static bool
span_is(Span span, const char *word)
{
	return span.length == strlen(word) && memcmp(span.start, word, span.length) == 0;
}

/* The next part of a line up to a separator or its end, after which p stands. */
static Span
next_span(const char **p, char separator)
{
	Span span = { *p, 0 };

	while (**p != separator && **p != '\n' && **p != '\0')
		(*p)++;
	span.length = *p - span.start;
	if (**p == separator)
		(*p)++;
	return span;
}

static bool
list_has(Span list, const char *word)
{
	const char *p = list.start;
	const char *end = list.start + list.length;

	while (p < end)
	{
		Span item = { p, 0 };

		while (p < end && *p != ',')
			p++;
		item.length = p - item.start;
		if (span_is(item, word))
			return true;
		p++;
	}
	return false;
}

/* The path in /proc/self/cgroup, lines of "id:controllers:path"; version 2 names no controllers. */
static bool
find_path(const char *cgroups, const char *controller, int *version, Span *path)
{
	bool found = false;

	for (const char *line = cgroups; line != NULL && *line != '\0'; line = next_line(line))
	{
		const char *p = line;
		Span id = next_span(&p, ':');
		Span controllers = next_span(&p, ':');
		Span rest = { p, strcspn(p, "\n") };

		if (rest.length == 0 || rest.start[0] != '/')
			continue;
		if (list_has(controllers, controller))
		{
			*version = 1;
			*path = rest;
			return true;
		}
		if (span_is(id, "0") && controllers.length == 0)
		{
			*version = 2;
			*path = rest;
			found = true;
		}
	}
	return found;
}

typedef struct Mount
{
	Span root;
	Span point;
} Mount;

/* The mount of that hierarchy in a line of mountinfo: ... root point ... - type source options. */
static bool
is_mount_of(const char *line, int version, const char *controller, Mount *mount)
{
	const char *p = line;
	const char *end = line + strcspn(line, "\n");
	const char *dash = strstr(line, " - ");
	Span type;

	if (dash == NULL || dash >= end)
		return false;
	for (int field = 0; field < 3; field++)
		(void) next_span(&p, ' ');
	mount->root = next_span(&p, ' ');
	mount->point = next_span(&p, ' ');
	p = dash + 3;
	type = next_span(&p, ' ');
	if (version == 2)
		return span_is(type, "cgroup2");
	(void) next_span(&p, ' ');
	return span_is(type, "cgroup") && list_has(next_span(&p, '\n'), controller);
}

/*
 * A container sees its own group mounted as if it were the top, but may be told the path from the real
 * one; then the root of the mount is the part that is missing.  A path outside the mount (a namespace
 * of its own, "/../other") leaves the mount's top, which is what counts there.
 */
static Span
below_root(Span path, Span root)
{
	Span none = { path.start, 0 };

	if (root.length == 1)
		return path.length >= 3 && memcmp(path.start, "/..", 3) == 0 ? none : path;
	if (path.length < root.length || memcmp(path.start, root.start, root.length) != 0)
		return none;
	if (path.length > root.length && path.start[root.length] != '/')
		return none;
	path.start += root.length;
	path.length -= root.length;
	return path;
}

bool
perfopt_cgroup_find(const char *cgroups, const char *mountinfo, const char *controller,
					PerfoptCgroup *group)
{
	int version;
	Span path = { 0 };

	if (!find_path(cgroups, controller, &version, &path))
		return false;
	for (const char *line = mountinfo; line != NULL && *line != '\0'; line = next_line(line))
	{
		Mount mount;
		Span below;

		if (!is_mount_of(line, version, controller, &mount) || mount.point.length == 0)
			continue;
		below = below_root(path, mount.root);
		if (below.length == 1)
			below.length = 0;
		if (mount.point.length + below.length >= sizeof(group->path))
			return false;
		group->version = version;
		group->top = mount.point.length;
		memcpy(group->path, mount.point.start, mount.point.length);
		memcpy(group->path + mount.point.length, below.start, below.length);
		group->path[mount.point.length + below.length] = '\0';
		return true;
	}
	return false;
}

bool
perfopt_cgroup_parent(PerfoptCgroup *group)
{
	char *slash = strrchr(group->path, '/');

	if (slash == NULL || (size_t) (slash - group->path) < group->top)
		return false;
	*slash = '\0';
	return true;
}

bool
perfopt_cgroup_number(const char *text, double *value)
{
	char *end;
	double number;

	if (!isdigit((unsigned char) *text))
		return false;
	number = strtod(text, &end);
	if (*end != '\n' && *end != ' ' && *end != '\0')
		return false;
	*value = number;
	return true;
}

bool
perfopt_cgroup_bytes_limit(const char *text, double *bytes)
{
	double value;

	if (!perfopt_cgroup_number(text, &value) || value >= UNLIMITED_BYTES)
		return false;
	*bytes = value;
	return true;
}

bool
perfopt_cgroup_cpu_quota(const char *quota, const char *period, double *cores)
{
	double q;
	double p;

	if (!perfopt_cgroup_number(quota, &q) || !perfopt_cgroup_number(period, &p) || p <= 0)
		return false;
	*cores = q / p;
	return true;
}

bool
perfopt_cgroup_cpu_max(const char *text, double *cores)
{
	const char *blank = strchr(text, ' ');

	return blank != NULL && perfopt_cgroup_cpu_quota(text, blank + 1, cores);
}

bool
perfopt_cgroup_value(const char *text, const char *name, double *value)
{
	size_t length = strlen(name);

	for (const char *line = text; line != NULL && *line != '\0'; line = next_line(line))
	{
		if (strncmp(line, name, length) == 0 && line[length] == ' ')
			return perfopt_cgroup_number(line + length + 1, value);
	}
	return false;
}
