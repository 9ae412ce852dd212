/*
 * option.c
 *	  Which options servers and user mappings of the foreign-data wrapper "perfopt" may have.
 *
 * Connection options of libpq are not listed here: libpq is asked, as postgres_fdw does, so that they
 * are those of the library in use.
 */
#include "postgres.h"

#include "access/reloptions.h"
#include "catalog/pg_foreign_server.h"
#include "catalog/pg_user_mapping.h"
#include "commands/defrem.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/varlena.h"

#include "target/option.h"

/* More letters apart than this is not a slip of the fingers. */
#define NEAREST_DISTANCE 3

/* Of option timeout, as of perfopt.probe_timeout. */
#define MIN_TIMEOUT_MS 10
#define MAX_TIMEOUT_MS 60000

#define ASKED "redis http openmetrics pgbouncer webhook"
#define WITH_URL "http openmetrics webhook"
#define WITH_TLS "redis http openmetrics webhook"
#define BY_LIBPQ "postgres pgbouncer"

typedef struct TargetOption
{
	const char *name;
	Oid catalog;       /* what kind of object may have it */
	const char *types; /* of a server's: the TYPEs that use it */
} TargetOption;

static const TargetOption own_options[] = {
	{ "url", ForeignServerRelationId, WITH_URL },
	{ "timeout", ForeignServerRelationId, ASKED },
	{ "method", ForeignServerRelationId, "http" },
	{ "expected_status", ForeignServerRelationId, "http" },
	{ "headers", ForeignServerRelationId, "http openmetrics webhook" },
	{ "event_channel", ForeignServerRelationId, "redis" },
	{ "event_stream", ForeignServerRelationId, "redis" },
	{ "tls", ForeignServerRelationId, "redis" },
	{ "tls_ca", ForeignServerRelationId, WITH_TLS },
	{ "tls_verify", ForeignServerRelationId, WITH_TLS },
	{ "tls_cert", ForeignServerRelationId, WITH_TLS },
	{ "tls_key", ForeignServerRelationId, WITH_TLS },
	/* These are libpq's, but not only for its own TYPEs, or not for both of them. */
	{ "host", ForeignServerRelationId, "redis " BY_LIBPQ },
	{ "port", ForeignServerRelationId, "redis " BY_LIBPQ },
	{ "hostaddr", ForeignServerRelationId, "postgres" },
	{ "service", ForeignServerRelationId, "postgres" },
	{ "dbname", ForeignServerRelationId, "postgres" },
	{ "token", UserMappingRelationId, NULL },
	{ "password_required", UserMappingRelationId, NULL },
	/* These two are libpq's, and allowed in a server as well. */
	{ "sslcert", UserMappingRelationId, NULL },
	{ "sslkey", UserMappingRelationId, NULL },
};

PG_FUNCTION_INFO_V1(perfopt_target_validator);

/*
 * Lives as long as the process, since libpq allocates it and it never changes.
 */
static const PQconninfoOption *
libpq_options(void)
{
	static PQconninfoOption *options = NULL;

	if (options == NULL)
		options = PQconndefaults();
	if (options == NULL)
		ereport(ERROR, (errcode(ERRCODE_FDW_OUT_OF_MEMORY), errmsg("out of memory")));
	return options;
}

/*
 * The catalog whose objects may have this option of libpq, or InvalidOid for one that is not offered:
 * debugging aids, what perfopt sets itself, and OAuth, whose flow talks on the server's stderr.
 */
static Oid
libpq_option_catalog(const PQconninfoOption *option)
{
	if (strchr(option->dispchar, 'D') != NULL ||
		strcmp(option->keyword, "fallback_application_name") == 0 ||
		strcmp(option->keyword, "client_encoding") == 0 ||
		strncmp(option->keyword, "oauth_", strlen("oauth_")) == 0)
		return InvalidOid;
	if (strcmp(option->keyword, "user") == 0 || strchr(option->dispchar, '*') != NULL)
		return UserMappingRelationId;
	return ForeignServerRelationId;
}

bool
perfopt_target_is_libpq_option(const char *name)
{
	for (const PQconninfoOption *option = libpq_options(); option->keyword != NULL; option++)
	{
		if (strcmp(option->keyword, name) == 0)
			return OidIsValid(libpq_option_catalog(option));
	}
	return false;
}

/* Whether a word is in a text of words divided by blanks. */
static bool
has_word(const char *words, const char *word)
{
	size_t length = strlen(word);

	for (const char *p = words; (p = strstr(p, word)) != NULL; p += length)
	{
		if ((p == words || p[-1] == ' ') && (p[length] == ' ' || p[length] == '\0'))
			return true;
	}
	return false;
}

static bool
is_used_by(const char *option, const char *type)
{
	for (int i = 0; i < lengthof(own_options); i++)
	{
		if (own_options[i].catalog == ForeignServerRelationId &&
			strcmp(own_options[i].name, option) == 0)
			return has_word(own_options[i].types, type);
	}
	return has_word(BY_LIBPQ, type);
}

const char *
perfopt_target_useless_option(List *options, const char *type)
{
	ListCell *cell;

	foreach (cell, options)
	{
		DefElem *def = lfirst_node(DefElem, cell);

		if (!is_used_by(def->defname, type))
			return def->defname;
	}
	return NULL;
}

static bool
is_valid_option(const char *name, Oid catalog)
{
	for (int i = 0; i < lengthof(own_options); i++)
	{
		if (own_options[i].catalog == catalog && strcmp(own_options[i].name, name) == 0)
			return true;
	}
	for (const PQconninfoOption *option = libpq_options(); option->keyword != NULL; option++)
	{
		if (libpq_option_catalog(option) == catalog && strcmp(option->keyword, name) == 0)
			return true;
	}
	return false;
}

static void
consider(const char *name, const char *candidate, const char **best, int *distance)
{
	int limit = *distance - 1;
	int d = varstr_levenshtein_less_equal(name, strlen(name), candidate, strlen(candidate), 1, 1, 1,
										  limit, true);

	if (d <= limit && d <= strlen(name) / 2)
	{
		*best = candidate;
		*distance = d;
	}
}

static const char *
nearest_option(const char *name, Oid catalog)
{
	const char *best = NULL;
	int distance = NEAREST_DISTANCE + 1;

	/* Names longer than any of ours would only be an error of the function that compares. */
	if (strlen(name) > NAMEDATALEN)
		return NULL;
	for (int i = 0; i < lengthof(own_options); i++)
	{
		if (own_options[i].catalog == catalog)
			consider(name, own_options[i].name, &best, &distance);
	}
	for (const PQconninfoOption *option = libpq_options(); option->keyword != NULL; option++)
	{
		if (libpq_option_catalog(option) == catalog)
			consider(name, option->keyword, &best, &distance);
	}
	return best;
}

static void
report_invalid_option(const char *name, Oid catalog)
{
	const char *nearest = nearest_option(name, catalog);
	const char *kind = catalog == ForeignServerRelationId ? "server"
					   : catalog == UserMappingRelationId ? "user mapping"
														  : NULL;
	const char *valid = catalog == ForeignServerRelationId
							? "host, port, url, timeout, tls, dbname and the other connection "
							  "options of libpq"
							: "user, password, token, password_required, sslcert, sslkey and "
							  "sslpassword";

	if (kind == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_INVALID_OPTION_NAME), errmsg("invalid option \"%s\"", name),
				 errhint("Only servers and user mappings of perfopt have options.")));
	if (is_valid_option(name, catalog == ForeignServerRelationId ? UserMappingRelationId
																 : ForeignServerRelationId))
		ereport(ERROR,
				(errcode(ERRCODE_FDW_INVALID_OPTION_NAME),
				 errmsg("option \"%s\" does not belong in a %s", name, kind),
				 errhint("Give it in the %s. Valid options here are %s.",
						 catalog == ForeignServerRelationId ? "user mapping" : "server", valid)));
	ereport(ERROR, (errcode(ERRCODE_FDW_INVALID_OPTION_NAME), errmsg("invalid option \"%s\"", name),
					nearest ? errhint("Perhaps you meant the option \"%s\". Valid options are %s.",
									  nearest, valid)
							: errhint("Valid options are %s.", valid)));
}

/* libpq takes several ports, one a host, divided by commas; each may be empty. */
static void
check_port(const char *value)
{
	const char *p = value;

	for (;;)
	{
		long port = 0;
		int digits = 0;

		while (*p >= '0' && *p <= '9' && digits < 6)
		{
			port = port * 10 + (*p++ - '0');
			digits++;
		}
		if ((*p != ',' && *p != '\0') || (digits > 0 && (port < 1 || port > 65535)))
			ereport(ERROR, (errcode(ERRCODE_FDW_INVALID_STRING_FORMAT),
							errmsg("invalid port \"%s\"", value),
							errhint("A port is a number from 1 to 65535.")));
		if (*p++ == '\0')
			return;
	}
}

/* A server's options can be read by everyone, so a secret must not hide in its address. */
static void
check_url(const char *value)
{
	const char *authority = pg_strncasecmp(value, "http://", 7) == 0    ? value + 7
							: pg_strncasecmp(value, "https://", 8) == 0 ? value + 8
																		: NULL;
	size_t length = authority == NULL ? 0 : strcspn(authority, "/?#");

	/* The value is not repeated: it may hold a password in a place where it was not looked for. */
	if (length == 0)
		ereport(ERROR, (errcode(ERRCODE_FDW_INVALID_STRING_FORMAT),
						errmsg("invalid value for option \"url\""),
						errhint("A url begins with http:// or https:// and a host.")));
	if (memchr(authority, '@', length) != NULL)
		ereport(ERROR, (errcode(ERRCODE_FDW_INVALID_STRING_FORMAT),
						errmsg("a url must not contain a user or a password"),
						errhint("Give them as options user and password of a user mapping, which "
								"others cannot read.")));
}

static void
check_timeout(const char *value)
{
	int ms;
	const char *hint = NULL;

	if (!parse_int(value, &ms, GUC_UNIT_MS, &hint) || ms < MIN_TIMEOUT_MS || ms > MAX_TIMEOUT_MS)
		ereport(ERROR, (errcode(ERRCODE_FDW_INVALID_STRING_FORMAT),
						errmsg("invalid timeout \"%s\"", value),
						errhint("A timeout is from %d ms to %d s, such as '500ms' or '2s'.",
								MIN_TIMEOUT_MS, MAX_TIMEOUT_MS / 1000)));
}

static void
check_method(const char *value)
{
	if (strcmp(value, "GET") != 0 && strcmp(value, "HEAD") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_INVALID_STRING_FORMAT), errmsg("invalid method \"%s\"", value),
				 errhint("A probe uses GET or HEAD, which change nothing.")));
}

static void
check_expected_status(const char *value)
{
	if (strlen(value) != 3 || strspn(value, "0123456789") != 3 || value[0] < '1' || value[0] > '5')
		ereport(ERROR, (errcode(ERRCODE_FDW_INVALID_STRING_FORMAT),
						errmsg("invalid expected_status \"%s\"", value),
						errhint("An HTTP status is a number from 100 to 599.")));
}

/* One header: a token of RFC 9110, a colon, and text without control characters. */
static bool
is_header(const char *line, size_t length)
{
	static const char *const token = "!#$%&'*+-.^_`|~0123456789"
									 "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
	size_t name = strspn(line, token);

	if (name == 0 || name >= length || line[name] != ':')
		return false;
	for (size_t i = name; i < length; i++)
	{
		if ((unsigned char) line[i] < ' ' || line[i] == '\x7f')
			return false;
	}
	return true;
}

/* As in a url, a secret must not be in what everyone can read. */
static bool
is_secret_header(const char *line)
{
	static const char *const names[] = { "authorization:", "proxy-authorization:", "cookie:",
										 "x-api-key:" };

	for (int i = 0; i < lengthof(names); i++)
	{
		if (pg_strncasecmp(line, names[i], strlen(names[i])) == 0)
			return true;
	}
	return false;
}

static void
check_headers(const char *value)
{
	while (*value != '\0')
	{
		size_t length = strcspn(value, "\n");

		if (!is_header(value, length))
			ereport(ERROR, (errcode(ERRCODE_FDW_INVALID_STRING_FORMAT),
							errmsg("invalid value for option \"headers\""),
							errhint("Give one header a line, such as 'Accept: text/plain'.")));
		if (is_secret_header(value))
			ereport(ERROR,
					(errcode(ERRCODE_FDW_INVALID_STRING_FORMAT),
					 errmsg("headers must not contain a secret"),
					 errhint("Give it as option user and password, or token, of a user mapping, "
							 "which others cannot read.")));
		value += length;
		if (*value == '\n')
			value++;
	}
}

static void
check_superuser(const char *message, const char *hint)
{
	if (!superuser())
		ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE), errmsg("%s", message),
						errhint("%s", hint)));
}

/*
 * Options that name a file, which is opened with the rights of the server's operating system user; one
 * that is no regular file may hold up who opens it.
 */
static bool
names_file(const char *name)
{
	static const char *const names[] = { "tls_ca",   "tls_cert",    "tls_key", "sslcert",
										 "sslkey",   "sslrootcert", "sslcrl",  "sslcrldir",
										 "passfile", "servicefile" };

	for (int i = 0; i < lengthof(names); i++)
	{
		if (strcmp(name, names[i]) == 0)
			return true;
	}
	return false;
}

static void
check_file(const char *name, const char *value, const char *kind)
{
	/* The authorities that the operating system trusts. */
	if (strcmp(name, "sslrootcert") == 0 && strcmp(value, "system") == 0)
		return;
	if (strncmp(name, "tls_", strlen("tls_")) == 0 && value[0] != '/')
		ereport(ERROR, (errcode(ERRCODE_FDW_INVALID_STRING_FORMAT),
						errmsg("invalid value for option \"%s\"", name),
						errhint("Give the whole path of a file on the database server.")));
	if (!superuser())
		ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
						errmsg("option \"%s\" is superuser-only", name),
						errhint("It names a file of the database server. %s with it may only be "
								"created or modified by the superuser.",
								kind)));
}

static bool
is_one_of(const char *name, const char *a, const char *b)
{
	return strcmp(name, a) == 0 || strcmp(name, b) == 0;
}

static void
check_server_value(DefElem *def)
{
	const char *name = def->defname;

	if (strcmp(name, "port") == 0)
		check_port(defGetString(def));
	else if (strcmp(name, "url") == 0)
		check_url(defGetString(def));
	else if (strcmp(name, "timeout") == 0)
		check_timeout(defGetString(def));
	else if (strcmp(name, "method") == 0)
		check_method(defGetString(def));
	else if (strcmp(name, "expected_status") == 0)
		check_expected_status(defGetString(def));
	else if (strcmp(name, "headers") == 0)
		check_headers(defGetString(def));
	else if (is_one_of(name, "tls", "tls_verify"))
		(void) defGetBoolean(def);
	else if (names_file(name))
		check_file(name, defGetString(def), "Servers");
}

static void
check_mapping_value(DefElem *def)
{
	/* Turning it on is for all: the old mapping can't be seen here, nor is there harm in it. */
	if (strcmp(def->defname, "password_required") == 0 && !defGetBoolean(def))
		check_superuser("password_required=false is superuser-only",
						"User mappings with the password_required option set to false may only be "
						"created or modified by the superuser.");
	else if (names_file(def->defname))
		check_file(def->defname, defGetString(def), "User mappings");
}

static void
check_value(DefElem *def, Oid catalog)
{
	if (catalog == ForeignServerRelationId)
		check_server_value(def);
	else if (catalog == UserMappingRelationId)
		check_mapping_value(def);
}

Datum
perfopt_target_validator(PG_FUNCTION_ARGS)
{
	List *options = untransformRelOptions(PG_GETARG_DATUM(0));
	Oid catalog = PG_GETARG_OID(1);
	ListCell *cell;

	foreach (cell, options)
	{
		DefElem *def = lfirst_node(DefElem, cell);

		if (!is_valid_option(def->defname, catalog))
			report_invalid_option(def->defname, catalog);
		check_value(def, catalog);
	}
	PG_RETURN_VOID();
}
