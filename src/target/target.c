/*
 * target.c
 *	  Finding targets, and turning one into a connection string by the rules of passwords.
 *
 * The rules are those of postgres_fdw and dblink: unless a superuser says otherwise, who is no
 * superuser must bring a password, both before connecting (so that none is taken from the server's
 * own .pgpass, service file or environment) and afterwards (so that the role does not get in as the
 * server's operating system user where the target trusts that one).
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/reloptions.h"
#include "access/table.h"
#include "catalog/pg_foreign_server.h"
#include "catalog/pg_user_mapping.h"
#include "commands/dbcommands.h"
#include "commands/defrem.h"
#include "foreign/foreign.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "postmaster/postmaster.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/rel.h"
#include "utils/syscache.h"
#include "utils/varlena.h"

#include "compat.h"
#include "target/option.h"
#include "target/target.h"

#define WRAPPER_NAME "perfopt"

#define TYPE_NAMES "redis, http, openmetrics, pgbouncer, postgres or webhook"

/* The public TYPEs and what each takes; `probed` are those that the prober talks to. */
typedef struct TargetType
{
	const char *name;
	bool by_url; /* its address is a url, not host and port */
	bool probed;
} TargetType;

static const TargetType target_types[] = {
	{ "redis", false, true },     { "http", true, true },       { "openmetrics", true, true },
	{ "pgbouncer", false, true }, { "postgres", false, false }, { "webhook", true, true },
};

static const TargetType *
find_type(const char *name)
{
	for (int i = 0; name != NULL && i < lengthof(target_types); i++)
	{
		if (strcmp(target_types[i].name, name) == 0)
			return &target_types[i];
	}
	return NULL;
}

static char *
option_named(List *options, const char *name)
{
	ListCell *cell;

	foreach (cell, options)
	{
		DefElem *def = lfirst_node(DefElem, cell);

		if (strcmp(def->defname, name) == 0)
			return defGetString(def);
	}
	return NULL;
}

/*
 * The options of a role's mapping, else of the one of PUBLIC, else none.  GetUserMapping would raise
 * an error for the last.
 */
static List *
mapping_options(Oid userid, Oid serverid)
{
	HeapTuple tuple;
	Datum datum;
	bool isnull;
	List *options = NIL;

	tuple = SearchSysCache2(USERMAPPINGUSERSERVER, ObjectIdGetDatum(userid),
							ObjectIdGetDatum(serverid));
	if (!HeapTupleIsValid(tuple))
		tuple = SearchSysCache2(USERMAPPINGUSERSERVER, ObjectIdGetDatum(InvalidOid),
								ObjectIdGetDatum(serverid));
	if (!HeapTupleIsValid(tuple))
		return NIL;

	datum = SysCacheGetAttr(USERMAPPINGUSERSERVER, tuple, Anum_pg_user_mapping_umoptions, &isnull);
	if (!isnull)
		options = untransformRelOptions(datum);
	ReleaseSysCache(tuple);
	return options;
}

/*
 * Whether a role has to be let in by a password: it is no superuser, and no superuser has said that it
 * need not.
 */
static bool
needs_password(Oid userid, List *mapping)
{
	const char *required = option_named(mapping, "password_required");
	bool value;

	if (superuser_arg(userid))
		return false;
	return required == NULL || !parse_bool(required, &value) || value;
}

/* NULL when it was dropped just now. */
static PerfoptTarget *
make_target(Oid serverid)
{
	ForeignServer *server = GetForeignServerExtended(serverid, FSV_MISSING_OK);
	PerfoptTarget *target;
	List *mapping;

	if (server == NULL)
		return NULL;
	target = palloc0(sizeof(PerfoptTarget));
	mapping = mapping_options(server->owner, serverid);
	target->serverid = serverid;
	target->owner = server->owner;
	target->owner_name = GetUserNameFromId(server->owner, true);
	target->name = server->servername;
	target->type = server->servertype;
	target->host = option_named(server->options, "host");
	target->port = option_named(server->options, "port");
	target->url = option_named(server->options, "url");
	target->dbname = option_named(server->options, "dbname");
	target->user = option_named(mapping, "user");
	target->password = option_named(mapping, "password");
	target->token = option_named(mapping, "token");
	target->options = server->options;
	target->mapping = mapping;
	target->needs_password = needs_password(server->owner, mapping);
	return target;
}

const char *
perfopt_target_option(const PerfoptTarget *target, const char *name)
{
	return option_named(target->options, name);
}

int
perfopt_target_port(const PerfoptTarget *target, int otherwise)
{
	long port = target->port ? strtol(target->port, NULL, 10) : 0;

	return port > 0 ? (int) port : otherwise;
}

bool
perfopt_target_flag(const PerfoptTarget *target, const char *name, bool otherwise)
{
	const char *value = perfopt_target_option(target, name);
	bool flag;

	return value != NULL && parse_bool(value, &flag) ? flag : otherwise;
}

List *
perfopt_targets_of_type(const char *type)
{
	Oid wrapper = get_foreign_data_wrapper_oid(WRAPPER_NAME, true);
	List *targets = NIL;
	Relation rel;
	SysScanDesc scan;
	HeapTuple tuple;

	if (!OidIsValid(wrapper))
		return NIL;

	rel = table_open(ForeignServerRelationId, AccessShareLock);
	scan = systable_beginscan(rel, InvalidOid, false, NULL, 0, NULL);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_foreign_server form = (Form_pg_foreign_server) GETSTRUCT(tuple);
		PerfoptTarget *target;

		if (form->srvfdw != wrapper)
			continue;
		target = make_target(form->oid);
		if (target == NULL)
			continue;
		if (type == NULL || (target->type != NULL && strcmp(target->type, type) == 0))
			targets = lappend(targets, target);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return targets;
}

static void
add_params(List *options, const char **keywords, const char **values, int *n)
{
	ListCell *cell;

	foreach (cell, options)
	{
		DefElem *def = lfirst_node(DefElem, cell);

		if (!perfopt_target_is_libpq_option(def->defname))
			continue;
		keywords[*n] = def->defname;
		values[(*n)++] = defGetString(def);
	}
}

void
perfopt_target_libpq_params(const PerfoptTarget *target, int spare, const char ***keywords,
							const char ***values, int *n)
{
	int room = list_length(target->options) + list_length(target->mapping) + spare + 1;

	*n = 0;
	*keywords = palloc0(room * sizeof(char *));
	*values = palloc0(room * sizeof(char *));
	add_params(target->options, *keywords, *values, n);
	add_params(target->mapping, *keywords, *values, n);
}

/* Why its address does not go with its TYPE, or NULL. */
static char *
address_problem(const PerfoptTarget *target, const TargetType *type)
{
	if (type->by_url && target->url == NULL)
		return psprintf("server \"%s\" of TYPE %s lacks the option url", target->name, type->name);
	if (type->by_url && (target->host != NULL || target->port != NULL || target->dbname != NULL))
		return psprintf("server \"%s\" of TYPE %s takes its address from the option url, not from "
						"host, port or dbname",
						target->name, type->name);
	if (!type->by_url && target->url != NULL)
		return psprintf("server \"%s\" of TYPE %s takes its address from host and port, not from "
						"the option url",
						target->name, type->name);
	if (!type->by_url && type->probed && target->host == NULL)
		return psprintf("server \"%s\" of TYPE %s lacks the option host", target->name, type->name);
	return NULL;
}

/* An option of TLS for a TYPE that uses it only when told to, without that; or NULL. */
static const char *
option_without_tls(const PerfoptTarget *target)
{
	static const char *const names[] = { "tls_ca", "tls_cert", "tls_key", "tls_verify" };

	if (strcmp(target->type, "redis") != 0 || perfopt_target_flag(target, "tls", false))
		return NULL;
	for (int i = 0; i < lengthof(names); i++)
	{
		if (perfopt_target_option(target, names[i]) != NULL)
			return names[i];
	}
	return NULL;
}

char *
perfopt_target_problem(const PerfoptTarget *target)
{
	const TargetType *type = find_type(target->type);
	const char *useless;
	char *problem;

	if (target->type == NULL)
		return psprintf("server \"%s\" has no TYPE: it must be " TYPE_NAMES, target->name);
	if (type == NULL)
		return psprintf("server \"%s\" has the unknown TYPE \"%s\": it must be " TYPE_NAMES,
						target->name, target->type);
	problem = address_problem(target, type);
	if (problem != NULL)
		return problem;
	useless = perfopt_target_useless_option(target->options, type->name);
	if (useless != NULL)
		return psprintf("server \"%s\" of TYPE %s has no use for the option %s", target->name,
						type->name, useless);
	useless = option_without_tls(target);
	if (useless != NULL)
		return psprintf(
			"server \"%s\" has the option %s, but not tls 'true', so that nothing would "
			"be encrypted",
			target->name, useless);
	return NULL;
}

/* A target of TYPE postgres with all that libpq needs to know; ERROR where it cannot be used. */
typedef struct PostgresTarget
{
	ForeignServer *server;
	List *mapping;
	bool has_password;
	bool needs_password;
} PostgresTarget;

static void
check_usable(ForeignServer *server, Oid userid)
{
	AclResult aclresult;

	if (server->fdwid != get_foreign_data_wrapper_oid(WRAPPER_NAME, false))
		ereport(ERROR, (errcode(ERRCODE_WRONG_OBJECT_TYPE),
						errmsg("server \"%s\" is not a server of perfopt", server->servername),
						errhint("Create one with: CREATE SERVER ... TYPE 'postgres' FOREIGN DATA "
								"WRAPPER perfopt OPTIONS (host '...', dbname '...').")));

	aclresult = perfopt_server_aclcheck(server->serverid, userid, ACL_USAGE);
	if (aclresult != ACLCHECK_OK)
		aclcheck_error(aclresult, OBJECT_FOREIGN_SERVER, server->servername);

	if (server->servertype == NULL || strcmp(server->servertype, "postgres") != 0)
		ereport(
			ERROR,
			(errcode(ERRCODE_WRONG_OBJECT_TYPE),
			 server->servertype == NULL
				 ? errmsg("server \"%s\" has no TYPE, so it cannot be used as a PostgreSQL server",
						  server->servername)
				 : errmsg(
					   "server \"%s\" has TYPE \"%s\", so it cannot be used as a PostgreSQL server",
					   server->servername, server->servertype),
			 errhint("A TYPE is given by CREATE SERVER and cannot be altered; create a server of "
					 "TYPE 'postgres'.")));

	if (option_named(server->options, "url") != NULL)
		ereport(ERROR, (errcode(ERRCODE_FDW_INVALID_OPTION_NAME),
						errmsg("server \"%s\" of TYPE postgres cannot have the option \"url\"",
							   server->servername),
						errhint("Give host, port and dbname instead: ALTER SERVER %s OPTIONS (DROP "
								"url, ADD host '...').",
								quote_identifier(server->servername))));
}

static PostgresTarget
open_postgres_target(const char *server_name, Oid userid)
{
	PostgresTarget target;
	const char *password;
	Oid serverid = get_foreign_server_oid(server_name, true);

	if (!OidIsValid(serverid))
		ereport(
			ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT), errmsg("target \"%s\" does not exist", server_name),
			 errhint("A target is a foreign server: CREATE SERVER %s TYPE 'postgres' FOREIGN DATA "
					 "WRAPPER perfopt OPTIONS (host '...', dbname '...'). \"" PERFOPT_TARGET_LOCAL
					 "\" is this server.",
					 quote_identifier(server_name))));

	target.server = GetForeignServer(serverid);
	check_usable(target.server, userid);
	target.mapping = mapping_options(userid, serverid);
	password = option_named(target.mapping, "password");
	target.has_password = password != NULL && password[0] != '\0';
	target.needs_password = needs_password(userid, target.mapping);
	return target;
}

/* The mapping that would apply may be the one of PUBLIC, so say how to make the role's own. */
static int
hint_mapping(const PostgresTarget *target, Oid userid)
{
	return errhint("Use: CREATE USER MAPPING FOR %s SERVER %s OPTIONS (user '...', password "
				   "'...'). A superuser may set password_required 'false' in it instead.",
				   quote_identifier(GetUserNameFromId(userid, false)),
				   quote_identifier(target->server->servername));
}

static void
append_keyword(StringInfo conninfo, const char *keyword, const char *value)
{
	if (conninfo->len > 0)
		appendStringInfoChar(conninfo, ' ');
	appendStringInfo(conninfo, "%s='", keyword);
	for (const char *p = value; *p != '\0'; p++)
	{
		if (*p == '\'' || *p == '\\')
			appendStringInfoChar(conninfo, '\\');
		appendStringInfoChar(conninfo, *p);
	}
	appendStringInfoChar(conninfo, '\'');
}

static void
append_options(StringInfo conninfo, List *options)
{
	ListCell *cell;

	foreach (cell, options)
	{
		DefElem *def = lfirst_node(DefElem, cell);

		if (perfopt_target_is_libpq_option(def->defname))
			append_keyword(conninfo, def->defname, defGetString(def));
	}
}

/*
 * This very server: through its first socket folder, or over the loopback where it has none.
 */
static void
append_local_address(StringInfo conninfo, const ForeignServer *server)
{
	List *directories = NIL;
	const char *host = "localhost";
	char port[16];

	if (Unix_socket_directories != NULL && Unix_socket_directories[0] != '\0' &&
		SplitDirectoriesString(pstrdup(Unix_socket_directories), ',', &directories) &&
		directories != NIL)
		host = linitial(directories);

	append_keyword(conninfo, "host", host);
	if (option_named(server->options, "port") == NULL)
	{
		snprintf(port, sizeof(port), "%d", PostPortNumber);
		append_keyword(conninfo, "port", port);
	}
	if (option_named(server->options, "dbname") == NULL)
		append_keyword(conninfo, "dbname", get_database_name(MyDatabaseId));
}

char *
perfopt_target_conninfo(const char *server_name, Oid userid)
{
	PostgresTarget target = open_postgres_target(server_name, userid);
	List *options = target.server->options;
	StringInfoData conninfo;

	if (target.needs_password && !target.has_password)
		ereport(ERROR, (errcode(ERRCODE_S_R_E_PROHIBITED_SQL_STATEMENT_ATTEMPTED),
						errmsg("password is required to connect to target \"%s\"", server_name),
						errdetail("Non-superusers must provide a password in the user mapping."),
						hint_mapping(&target, userid)));

	initStringInfo(&conninfo);
	if (option_named(options, "host") == NULL && option_named(options, "hostaddr") == NULL &&
		option_named(options, "service") == NULL)
		append_local_address(&conninfo, target.server);
	append_options(&conninfo, options);
	append_options(&conninfo, target.mapping);
	if (option_named(target.mapping, "user") == NULL)
		append_keyword(&conninfo, "user", GetUserNameFromId(userid, false));
	append_keyword(&conninfo, "fallback_application_name", "perfopt");
	return conninfo.data;
}

void
perfopt_target_check_connection(PGconn *conn, const char *server_name, Oid userid)
{
	PostgresTarget target = open_postgres_target(server_name, userid);

	if (!target.needs_password || (target.has_password && PQconnectionUsedPassword(conn)))
		return;

	ereport(ERROR,
			(errcode(ERRCODE_S_R_E_PROHIBITED_SQL_STATEMENT_ATTEMPTED),
			 errmsg("password is required to connect to target \"%s\"", server_name),
			 errdetail("Non-superuser cannot connect if the server does not request a password."),
			 errhint("Change the target's authentication method, or let a superuser set "
					 "password_required 'false' in the user mapping.")));
}

void
perfopt_target_ignore_notice(void *arg, const PGresult *result)
{
}
