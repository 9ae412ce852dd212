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
#include "utils/varlena.h"

#include "target/option.h"

/* More letters apart than this is not a slip of the fingers. */
#define NEAREST_DISTANCE 3

typedef struct TargetOption
{
	const char *name;
	Oid catalog; /* what kind of object may have it */
} TargetOption;

static const TargetOption own_options[] = {
	{ "url", ForeignServerRelationId },
	{ "password_required", UserMappingRelationId },
	/* These two are libpq's, and allowed in a server as well. */
	{ "sslcert", UserMappingRelationId },
	{ "sslkey", UserMappingRelationId },
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
							? "host, port, url, dbname and the other connection options of libpq"
							: "user, password, password_required, sslcert, sslkey and sslpassword";

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
check_value(DefElem *def, Oid catalog)
{
	if (strcmp(def->defname, "port") == 0)
		check_port(defGetString(def));
	else if (strcmp(def->defname, "url") == 0)
		check_url(defGetString(def));
	else if (strcmp(def->defname, "password_required") == 0)
	{
		/* Turning it on is for all: the old mapping can't be seen here, nor is there harm in it. */
		if (!defGetBoolean(def) && !superuser())
			ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
							errmsg("password_required=false is superuser-only"),
							errhint("User mappings with the password_required option set to false "
									"may only be created or modified by the superuser.")));
	}
	else if (catalog == UserMappingRelationId &&
			 (strcmp(def->defname, "sslcert") == 0 || strcmp(def->defname, "sslkey") == 0))
	{
		/* They name files that the server's operating system user can read. */
		if (!superuser())
			ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
							errmsg("sslcert and sslkey are superuser-only"),
							errhint("User mappings with the sslcert or sslkey options set may only "
									"be created or modified by the superuser.")));
	}
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
