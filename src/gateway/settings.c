/*
 * settings.c
 *	  Command line, environment and configuration file, all from one table.
 */
#include "gateway/settings.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "gateway/text.h"

typedef struct Option
{
	const char *name;
	enum
	{
		TEXT,
		NUMBER,
		SWITCH
	} kind;
	size_t offset;
	const char *value; /* by default */
	int low;
	int high;
	const char *about;
} Option;

#define AT(field) offsetof(PerfoptSettings, field)

static const Option options[] = {
	{ "listen", TEXT, AT(listen), "127.0.0.1:8432", 0, 0, "address and port, [::1]:8432 for IPv6" },
	{ "dsn", TEXT, AT(dsn), "", 0, 0, "where the database is, as libpq takes it" },
	{ "config", TEXT, AT(config), NULL, 0, 0, "file of lines NAME = VALUE and token lines" },
	{ "tls-cert", TEXT, AT(tls_cert), NULL, 0, 0, "certificate chain (PEM)" },
	{ "tls-key", TEXT, AT(tls_key), NULL, 0, 0, "its private key (PEM)" },
	{ "allow-cleartext", SWITCH, AT(allow_cleartext), "off", 0, 1,
	  "take passwords without TLS on other addresses than loopback" },
	{ "max-connections", NUMBER, AT(max_connections), "200", 4, 10000, "clients at a time" },
	{ "max-streams", NUMBER, AT(max_streams), "20", 0, 1000, "event streams at a time" },
	{ "role-connections", NUMBER, AT(role_connections), "8", 1, 1000,
	  "connections to the database of one role" },
	{ "total-connections", NUMBER, AT(total_connections), "32", 1, 1000, "and of all together" },
	{ "statement-timeout", NUMBER, AT(statement_timeout), "30", 1, 3600, "seconds" },
	{ "request-timeout", NUMBER, AT(request_timeout), "30", 1, 3600,
	  "seconds in which a request must have come, and an answer be taken" },
	{ "max-body", NUMBER, AT(max_body), "256", 1, 65536, "kB of a request's body" },
	{ "rate-limit", NUMBER, AT(rate_limit), "1000", 0, 1000000,
	  "requests a second of one address; 0 is no limit" },
};
#define NOPTIONS ((int) (sizeof(options) / sizeof(options[0])))

__attribute__((noreturn, format(printf, 1, 2))) static void
give_up(const char *format, ...)
{
	va_list args;

	fputs("perfopt-gateway: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputs("\nTry perfopt-gateway --help.\n", stderr);
	exit(2);
}

static void
set(PerfoptSettings *settings, const Option *option, const char *value, const char *where)
{
	char *at = (char *) settings + option->offset;
	char *end;
	long number;

	switch (option->kind)
	{
		case TEXT:
			free(*(char **) at);
			*(char **) at = perfopt_copy(value);
			break;
		case SWITCH:
			if (strcmp(value, "on") != 0 && strcmp(value, "off") != 0)
				give_up("%s: %s must be on or off, not \"%s\"", where, option->name, value);
			*(int *) at = strcmp(value, "on") == 0;
			break;
		default:
			errno = 0;
			number = strtol(value, &end, 10);
			if (errno != 0 || *end != '\0' || end == value || number < option->low ||
				number > option->high)
				give_up("%s: %s must be from %d to %d, not \"%s\"", where, option->name,
						option->low, option->high, value);
			*(int *) at = (int) number;
	}
}

static const Option *
find(const char *name, size_t length)
{
	for (int i = 0; i < NOPTIONS; i++)
		if (strlen(options[i].name) == length && memcmp(options[i].name, name, length) == 0)
			return &options[i];
	return NULL;
}

/* token = SECRET CONNINFO */
static void
add_token(PerfoptSettings *settings, const char *value, const char *where)
{
	size_t length = strcspn(value, " \t");
	const char *conninfo = value + length + strspn(value + length, " \t");
	PerfoptToken *token;

	if (length < 16)
		give_up("%s: a token needs 16 characters at least", where);
	if (*conninfo == '\0')
		give_up("%s: a token is followed by what it adds to the dsn, such as user=prom", where);
	settings->tokens =
		realloc(settings->tokens, (size_t) (settings->ntokens + 1) * sizeof(PerfoptToken));
	if (settings->tokens == NULL)
		give_up("out of memory");
	token = &settings->tokens[settings->ntokens++];
	token->token = perfopt_copy(value);
	token->token[length] = '\0';
	token->conninfo = perfopt_copy(conninfo);
}

static void
read_line(PerfoptSettings *settings, char *line, const char *where)
{
	char *name = line + strspn(line, " \t");
	char *end = line + strlen(line);
	char *value;
	size_t length;
	const Option *option;

	while (end > name && isspace((unsigned char) end[-1]))
		*--end = '\0';
	if (*name == '\0' || *name == '#')
		return;
	value = strchr(name, '=');
	if (value == NULL)
		give_up("%s: a line is NAME = VALUE", where);
	length = strcspn(name, " \t=");
	value++;
	value += strspn(value, " \t");
	if (length == 5 && memcmp(name, "token", 5) == 0)
	{
		add_token(settings, value, where);
		return;
	}
	option = find(name, length);
	if (option == NULL || option->offset == AT(config))
		give_up("%s: there is no setting \"%.*s\"", where, (int) length, name);
	set(settings, option, value, where);
}

static void
read_file(PerfoptSettings *settings, const char *path)
{
	FILE *file = fopen(path, "r");
	struct stat status;
	char *line = NULL;
	size_t room = 0;
	char where[512];

	if (file == NULL)
		give_up("cannot read %s: %s", path, strerror(errno));
	for (int number = 1; getline(&line, &room, file) >= 0; number++)
	{
		snprintf(where, sizeof(where), "%s, line %d", path, number);
		read_line(settings, line, where);
	}
	free(line);
	if (settings->ntokens > 0 && fstat(fileno(file), &status) == 0 && (status.st_mode & 027) != 0)
		give_up("%s has tokens and is open to others; chmod 600 it", path);
	fclose(file);
}

static const char *
from_environment(const Option *option)
{
	char name[64];

	snprintf(name, sizeof(name), "PERFOPT_GATEWAY_%s", option->name);
	for (char *p = name; *p != '\0'; p++)
		*p = *p == '-' ? '_' : (char) toupper((unsigned char) *p);
	return getenv(name);
}

/* --name VALUE or --name=VALUE; a switch stands alone. Only `only`, or all if that is NULL. */
static void
read_arguments(PerfoptSettings *settings, int argc, char **argv, const char *only)
{
	for (int i = 1; i < argc; i++)
	{
		const char *name = argv[i];
		const char *value = strchr(name, '=');
		const Option *option = NULL;

		if (strncmp(name, "--", 2) == 0)
			option = find(name + 2, value != NULL ? (size_t) (value - name - 2) : strlen(name + 2));
		if (option == NULL)
			give_up("there is no option %s", name);
		if (value != NULL)
			value++;
		else if (option->kind == SWITCH)
			value = "on";
		else if (++i < argc)
			value = argv[i];
		else
			give_up("%s needs a value", name);
		if (only == NULL || strcmp(option->name, only) == 0)
			set(settings, option, value, "command line");
	}
}

void
perfopt_settings_read(PerfoptSettings *settings, int argc, char **argv)
{
	const char *value;

	*settings = (PerfoptSettings){ 0 };
	for (int i = 0; i < NOPTIONS; i++)
		if (options[i].value != NULL)
			set(settings, &options[i], options[i].value, "default");
	value = from_environment(find("config", 6));
	if (value != NULL)
		set(settings, find("config", 6), value, "environment");
	read_arguments(settings, argc, argv, "config");
	if (settings->config != NULL)
		read_file(settings, settings->config);
	for (int i = 0; i < NOPTIONS; i++)
		if (options[i].offset != AT(config) && (value = from_environment(&options[i])) != NULL)
			set(settings, &options[i], value, "environment");
	read_arguments(settings, argc, argv, NULL);
	if ((settings->tls_cert == NULL) != (settings->tls_key == NULL))
		give_up("tls-cert and tls-key belong together");
}

void
perfopt_settings_help(void)
{
	puts("perfopt-gateway: perfopt over HTTP: REST, dashboard and /metrics.\n\n"
		 "Usage: perfopt-gateway --listen 127.0.0.1:8432 --dsn 'host=... dbname=...'\n"
		 "       perfopt-gateway --print-api-docs | --print-openapi | --version | --help\n");
	for (int i = 0; i < NOPTIONS; i++)
		printf("  --%-18s %s%s%s%s\n", options[i].name, options[i].about,
			   options[i].value != NULL && options[i].value[0] != '\0' ? " (" : "",
			   options[i].value != NULL ? options[i].value : "",
			   options[i].value != NULL && options[i].value[0] != '\0' ? ")" : "");
	puts("\nEach can be given as PERFOPT_GATEWAY_NAME in the environment (- as _), or as a line in "
		 "the\n"
		 "configuration file. There, `token = SECRET user=ROLE password=...` lets a bearer token "
		 "act as\n"
		 "a role.");
}
