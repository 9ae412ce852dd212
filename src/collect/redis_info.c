/*
 * redis_info.c
 *	  Reading the text of Redis' INFO command.
 */
#include "collect/redis_info.h"

#include <stdlib.h>
#include <string.h>

#define MAX_LABEL 128

typedef struct Field
{
	const char *name;
	PerfoptRedisMetric metric;
	double unit;
} Field;

static const Field fields[] = {
	{ "connected_clients", PERFOPT_REDIS_CONNECTED_CLIENTS, 1 },
	{ "blocked_clients", PERFOPT_REDIS_BLOCKED_CLIENTS, 1 },
	{ "rejected_connections", PERFOPT_REDIS_REJECTED_CONNECTIONS, 1 },
	{ "total_commands_processed", PERFOPT_REDIS_COMMANDS_PROCESSED, 1 },
	{ "keyspace_hits", PERFOPT_REDIS_KEYSPACE_HITS, 1 },
	{ "keyspace_misses", PERFOPT_REDIS_KEYSPACE_MISSES, 1 },
	{ "evicted_keys", PERFOPT_REDIS_EVICTED_KEYS, 1 },
	{ "expired_keys", PERFOPT_REDIS_EXPIRED_KEYS, 1 },
	{ "used_memory", PERFOPT_REDIS_MEMORY_USED, 1 },
	{ "maxmemory", PERFOPT_REDIS_MEMORY_MAX, 1 },
	{ "mem_fragmentation_ratio", PERFOPT_REDIS_MEM_FRAGMENTATION, 1 },
	{ "latest_fork_usec", PERFOPT_REDIS_LATEST_FORK, 1e-6 },
	{ "instantaneous_eventloop_duration_usec", PERFOPT_REDIS_EVENTLOOP_DURATION, 1e-6 },
	{ "aof_delayed_fsync", PERFOPT_REDIS_AOF_DELAYED_FSYNC, 1 },
};

typedef struct Reader
{
	PerfoptRedisSink sink;
	void *arg;
	int found;
	double master_offset; /* negative while not known */
} Reader;

/* A line's name and value, inside the text. */
typedef struct Line
{
	const char *name;
	size_t name_length;
	const char *value;
	size_t value_length;
} Line;

const char *
perfopt_redis_label_name(PerfoptRedisMetric metric)
{
	switch (metric)
	{
		case PERFOPT_REDIS_LATENCY_SPIKE:
			return "event";
		case PERFOPT_REDIS_REPLICATION_LAG:
			return "replica";
		case PERFOPT_REDIS_COMMAND_CALLS:
		case PERFOPT_REDIS_COMMAND_SECONDS:
			return "cmd";
		case PERFOPT_REDIS_ERRORS:
			return "err";
		case PERFOPT_REDIS_DB_KEYS:
			return "db";
		default:
			return NULL;
	}
}

/* Steps to the next "name:value"; headings and empty lines are passed over. */
static bool
next_line(const char **p, Line *line)
{
	while (**p != '\0')
	{
		const char *start = *p;
		size_t length = strcspn(start, "\r\n");
		const char *colon = memchr(start, ':', length);

		*p = start + length;
		*p += strspn(*p, "\r\n");
		if (colon == NULL || *start == '#')
			continue;
		line->name = start;
		line->name_length = colon - start;
		line->value = colon + 1;
		line->value_length = start + length - line->value;
		return true;
	}
	return false;
}

static bool
is_named(const Line *line, const char *name)
{
	return strlen(name) == line->name_length && memcmp(line->name, name, line->name_length) == 0;
}

static bool
has_prefix(const Line *line, const char *prefix)
{
	size_t length = strlen(prefix);

	return line->name_length > length && memcmp(line->name, prefix, length) == 0;
}

static bool
read_number(const char *start, size_t length, double *value)
{
	char number[64];
	char *end;

	if (length == 0 || length >= sizeof(number))
		return false;
	memcpy(number, start, length);
	number[length] = '\0';
	*value = strtod(number, &end);
	return *end == '\0';
}

/* One of "key=value,key=value" in a line's value. */
static bool
find_part(const Line *line, const char *key, const char **start, size_t *length)
{
	const char *p = line->value;
	const char *end = line->value + line->value_length;
	size_t wanted = strlen(key);

	while (p < end)
	{
		const char *comma = memchr(p, ',', end - p);
		const char *stop = comma ? comma : end;

		if ((size_t) (stop - p) > wanted && memcmp(p, key, wanted) == 0 && p[wanted] == '=')
		{
			*start = p + wanted + 1;
			*length = stop - *start;
			return true;
		}
		p = stop + 1;
	}
	return false;
}

static bool
find_number(const Line *line, const char *key, double *value)
{
	const char *start;
	size_t length;

	return find_part(line, key, &start, &length) && read_number(start, length, value);
}

static void
hand_over(Reader *reader, PerfoptRedisMetric metric, const char *label, double value)
{
	reader->sink(reader->arg, metric, label, value);
	reader->found++;
}

static void
read_field(Reader *reader, const Line *line)
{
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
	{
		double value;

		if (!is_named(line, fields[i].name))
			continue;
		if (!read_number(line->value, line->value_length, &value))
			return;

		/* Zero stands for no limit. */
		if (fields[i].metric == PERFOPT_REDIS_MEMORY_MAX && value == 0)
			return;
		hand_over(reader, fields[i].metric, NULL, value * fields[i].unit);
		return;
	}
}

/* cmdstat_get:calls=21,usec=175,usec_per_call=8.33; a subcommand is cmdstat_config|get */
static void
read_command(Reader *reader, const Line *line)
{
	size_t skip = strlen("cmdstat_");
	size_t length = line->name_length - skip;
	char label[MAX_LABEL];
	double value;

	if (length >= sizeof(label))
		return;
	memcpy(label, line->name + skip, length);
	label[length] = '\0';
	if (find_number(line, "calls", &value))
		hand_over(reader, PERFOPT_REDIS_COMMAND_CALLS, label, value);
	if (find_number(line, "usec", &value))
		hand_over(reader, PERFOPT_REDIS_COMMAND_SECONDS, label, value * 1e-6);
}

/* errorstat_WRONGTYPE:count=3 */
static void
read_error(Reader *reader, const Line *line)
{
	size_t skip = strlen("errorstat_");
	size_t length = line->name_length - skip;
	char label[MAX_LABEL];
	double value;

	if (length >= sizeof(label) || !find_number(line, "count", &value))
		return;
	memcpy(label, line->name + skip, length);
	label[length] = '\0';
	hand_over(reader, PERFOPT_REDIS_ERRORS, label, value);
}

/* db0:keys=2,expires=0,avg_ttl=0 */
static bool
read_database(Reader *reader, const Line *line)
{
	char label[MAX_LABEL];
	double value;

	if (line->name_length >= sizeof(label) || line->name[0] != 'd' || line->name[1] != 'b' ||
		strspn(line->name + 2, "0123456789") != line->name_length - 2 ||
		!find_number(line, "keys", &value))
		return false;
	memcpy(label, line->name, line->name_length);
	label[line->name_length] = '\0';
	hand_over(reader, PERFOPT_REDIS_DB_KEYS, label, value);
	return true;
}

/* slave0:ip=10.0.0.7,port=6379,state=online,offset=3430,lag=1 */
static void
read_replica(Reader *reader, const Line *line)
{
	char label[MAX_LABEL];
	const char *ip;
	const char *port;
	size_t ip_length;
	size_t port_length;
	double offset;

	if (reader->master_offset < 0 || !find_number(line, "offset", &offset) ||
		!find_part(line, "ip", &ip, &ip_length) || !find_part(line, "port", &port, &port_length) ||
		ip_length + port_length + 2 > sizeof(label))
		return;
	memcpy(label, ip, ip_length);
	label[ip_length] = ':';
	memcpy(label + ip_length + 1, port, port_length);
	label[ip_length + 1 + port_length] = '\0';

	/* The two offsets are not of the same instant. */
	hand_over(reader, PERFOPT_REDIS_REPLICATION_LAG, label,
			  offset < reader->master_offset ? reader->master_offset - offset : 0);
}

static bool
is_replica(const Line *line)
{
	return has_prefix(line, "slave") && line->name[5] >= '0' && line->name[5] <= '9';
}

/* Replicas are listed before the offset that they are compared with. */
static double
find_master_offset(const char *text)
{
	Line line;
	double value;

	while (next_line(&text, &line))
	{
		if (is_named(&line, "master_repl_offset") &&
			read_number(line.value, line.value_length, &value))
			return value;
	}
	return -1;
}

int
perfopt_redis_info(const char *text, PerfoptRedisSink sink, void *arg)
{
	Reader reader = { sink, arg, 0, find_master_offset(text) };
	Line line;

	while (next_line(&text, &line))
	{
		if (has_prefix(&line, "cmdstat_"))
			read_command(&reader, &line);
		else if (has_prefix(&line, "errorstat_"))
			read_error(&reader, &line);
		else if (is_replica(&line))
			read_replica(&reader, &line);
		else if (is_named(&line, "rdb_last_bgsave_status"))
			hand_over(&reader, PERFOPT_REDIS_RDB_LAST_BGSAVE_OK, NULL,
					  line.value_length == 2 && memcmp(line.value, "ok", 2) == 0);
		else if (!read_database(&reader, &line))
			read_field(&reader, &line);
	}
	return reader.found;
}

bool
perfopt_redis_info_field(const char *text, const char *name, char *value, size_t capacity)
{
	Line line;

	while (next_line(&text, &line))
	{
		if (!is_named(&line, name) || line.value_length >= capacity)
			continue;
		memcpy(value, line.value, line.value_length);
		value[line.value_length] = '\0';
		return true;
	}
	return false;
}
