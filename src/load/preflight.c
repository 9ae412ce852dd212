/*
 * preflight.c
 *	  Tries the target once, before any worker is started: what is wrong is said to the caller at
 *	  once and by name, instead of failing a run.
 */
#include "postgres.h"

#include "access/xlog.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "load/compare.h"
#include "load/load.h"
#include "load/remote.h"
#include "sampler/sampler.h"
#include "target/target.h"

typedef struct Preflight
{
	LoadConfig *config;
	LoadVariant *variant;
	PGconn *conn;
	PGresult *result; /* the one in use, cleared when an ERROR passes */
} Preflight;

static void
refuse(Preflight *preflight, const char *what)
{
	ereport(ERROR, (errcode(ERRCODE_FDW_ERROR),
					errmsg("%s on target \"%s\"", what, preflight->variant->target),
					errdetail("%s", load_remote_error(preflight->conn))));
}

static bool
query(Preflight *preflight, const char *sql, int nparams, const char *const *values)
{
	PQclear(preflight->result);
	preflight->result = NULL;
	preflight->result = load_remote_query(preflight->conn, sql, nparams, values);
	return PQresultStatus(preflight->result) == PGRES_TUPLES_OK ||
		   PQresultStatus(preflight->result) == PGRES_COMMAND_OK;
}

static char *
answer(Preflight *preflight, int column)
{
	return PQgetvalue(preflight->result, 0, column);
}

static void
connect_target(Preflight *preflight)
{
	const LoadConfig *config = preflight->config;
	LoadVariant *variant = preflight->variant;
	char *conninfo = perfopt_target_conninfo(variant->target, config->userid);

	preflight->conn = load_remote_connect(conninfo, "perfopt load test");
	if (PQstatus(preflight->conn) != CONNECTION_OK)
		ereport(ERROR, (errcode(ERRCODE_SQLCLIENT_UNABLE_TO_ESTABLISH_SQLCONNECTION),
						errmsg("could not connect to target \"%s\"", variant->target),
						errdetail("%s", load_remote_error(preflight->conn))));
	perfopt_target_check_connection(preflight->conn, variant->target, config->userid);
	variant->used_password = PQconnectionUsedPassword(preflight->conn);
	variant->database = pstrdup(PQdb(preflight->conn));
}

/*
 * Only sessions of this very server can be tagged for its sampler.  A copy of this cluster has the
 * same identifier, but was not started in the same microsecond.
 */
static void
recognise_target(Preflight *preflight)
{
	static const char *sql =
		"SELECT system_identifier::text, "
		"(extract(epoch FROM pg_catalog.pg_postmaster_start_time()) * 1000000)::int8::text "
		"FROM pg_catalog.pg_control_system()";
	int64 started = PgStartTime + (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY;

	/* Somewhere it may not be allowed; then there is nothing to tag. */
	preflight->variant->local =
		query(preflight, sql, 0, NULL) &&
		strcmp(answer(preflight, 0), psprintf(UINT64_FORMAT, GetSystemIdentifier())) == 0 &&
		strcmp(answer(preflight, 1), psprintf(INT64_FORMAT, started)) == 0;
}

/*
 * Roles see only their own sessions' backend_type; others are taken for clients, so that the check
 * errs on the side of refusing.  The connection that asks is closed before the test.
 */
static void
check_room(Preflight *preflight)
{
	static const char *sql =
		"SELECT pg_catalog.current_setting('max_connections')::int4 "
		"- pg_catalog.current_setting('superuser_reserved_connections')::int4 "
		"- coalesce(pg_catalog.current_setting('reserved_connections', true)::int4, 0) "
		"- (SELECT count(*) FROM pg_catalog.pg_stat_activity "
		"   WHERE coalesce(backend_type, 'client backend') = 'client backend' "
		"   AND datid IS NOT NULL AND pid <> pg_catalog.pg_backend_pid()), "
		"pg_catalog.current_setting('max_connections')";
	int users = preflight->config->connections * preflight->config->nvariants;
	int room;

	if (!query(preflight, sql, 0, NULL))
		refuse(preflight, "could not count free connections");
	room = Max((int) strtol(answer(preflight, 0), NULL, 10), 0);
	if (room < users)
		ereport(
			ERROR,
			(errcode(ERRCODE_TOO_MANY_CONNECTIONS),
			 errmsg("target \"%s\" has room for %d more sessions, but the test has %d",
					preflight->variant->target, room, users),
			 errhint("Raise max_connections on the target, which is %s (it takes a restart there), "
					 "or use fewer users.",
					 answer(preflight, 1))));
}

/* The dataset is made, or made anew, where it does not have the size that the test wants. */
static void
make_dataset(Preflight *preflight)
{
	LoadConfig *config = preflight->config;
	const char *values[] = { config->dataset, psprintf("%d", config->dataset_scale) };

	if (config->dataset_scale == 0)
		return;
	if (config->dataset == NULL)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("a test with \"dataset_scale\" needs a dataset"),
						errhint("Scenario \"%s\" has none; name one in option dataset.",
								config->scenario)));
	if (!query(preflight, "SELECT scale::text = $2 FROM perfopt.dataset WHERE name = $1", 2,
			   values))
		refuse(preflight, "could not look for the dataset");
	if (PQntuples(preflight->result) == 1 && strcmp(answer(preflight, 0), "t") == 0)
		return;
	if (PQntuples(preflight->result) == 1 &&
		!query(preflight, "SELECT perfopt.drop_dataset($1)", 1, values))
		refuse(preflight, "could not drop the dataset");
	if (!query(preflight, "SELECT perfopt.create_dataset($1, $2::int)", 2, values))
		refuse(preflight, "could not make the dataset");
}

static void
set_search_path(Preflight *preflight)
{
	LoadConfig *config = preflight->config;
	const char *values[] = { config->dataset };

	if (config->dataset == NULL)
		return;
	if (!query(preflight, "SELECT FROM pg_catalog.pg_namespace WHERE nspname = $1", 1, values))
		refuse(preflight, "could not look for the dataset");
	if (PQntuples(preflight->result) == 0)
		ereport(
			ERROR,
			(errcode(ERRCODE_INVALID_SCHEMA_NAME),
			 errmsg(
				 "dataset \"%s\", which scenario \"%s\" runs on, does not exist on target \"%s\"",
				 config->dataset, config->scenario, preflight->variant->target),
			 errhint("Create it with: SELECT perfopt.create_dataset(%s);",
					 quote_literal_cstr(config->dataset))));
	if (!query(preflight,
			   psprintf("SET search_path = %s, public", quote_identifier(config->dataset)), 0,
			   NULL))
		refuse(preflight, "could not set search_path");
}

static int64
bound(Preflight *preflight, const LoadOperation *operation, const LoadVariable *variable,
	  const char *sql)
{
	if (!query(preflight, psprintf("SELECT (%s\n)::int8", sql), 0, NULL))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("could not evaluate the bound %s of variable \"%s\" of operation \"%s\"",
						sql, variable->name, operation->name),
				 errdetail("%s", load_remote_error(preflight->conn)),
				 preflight->config->description
					 ? errhint("Scenario \"%s\": %s", preflight->config->scenario,
							   preflight->config->description)
					 : 0));
	if (PQntuples(preflight->result) != 1 || PQgetisnull(preflight->result, 0, 0))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("the bound %s of variable \"%s\" of operation \"%s\" has no value",
							   sql, variable->name, operation->name)));
	return pg_strtoint64(answer(preflight, 0));
}

/* A range that has something in it. */
static void
evaluate_range(Preflight *preflight, const LoadOperation *operation, LoadVariable *variable)
{
	variable->low = bound(preflight, operation, variable, variable->low_sql);
	variable->high = bound(preflight, operation, variable, variable->high_sql);
	if (variable->low > variable->high)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("variable \"%s\" of operation \"%s\" has no value between %lld and %lld",
						variable->name, operation->name, (long long) variable->low,
						(long long) variable->high),
				 errdetail("Its bounds are %s and %s.", variable->low_sql, variable->high_sql),
				 errhint("Are the tables of scenario \"%s\" filled?",
						 preflight->config->scenario)));
}

/* What a variable is chosen from, where a query says that. */
static void
load_items(Preflight *preflight, const LoadOperation *operation, LoadVariable *variable)
{
	Size bytes = 0;
	int n;

	if (!query(preflight,
			   psprintf("SELECT * FROM (%s\n) q LIMIT %d", variable->items_sql, LOAD_MAX_ITEMS + 1),
			   0, NULL))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("could not run the query of variable \"%s\" of operation \"%s\"",
							   variable->name, operation->name),
						errdetail("%s", load_remote_error(preflight->conn)),
						errhint("It is one SELECT, whose first column has the values.")));
	n = PQntuples(preflight->result);
	if (n == 0 || n > LOAD_MAX_ITEMS || PQnfields(preflight->result) == 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("the query of variable \"%s\" of operation \"%s\" returned %s rows",
							   variable->name, operation->name, n == 0 ? "no" : "too many"),
						errhint("A variable is chosen from 1 to %d values.", LOAD_MAX_ITEMS)));
	variable->nitems = n;
	variable->items = palloc0(sizeof(char *) * n);
	for (int i = 0; i < n; i++)
	{
		if (PQgetisnull(preflight->result, i, 0))
			continue;
		bytes += PQgetlength(preflight->result, i, 0);
		if (bytes > LOAD_MAX_ITEM_BYTES)
			ereport(
				ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("the values of variable \"%s\" of operation \"%s\" take more than %d MB",
						variable->name, operation->name, LOAD_MAX_ITEM_BYTES / (1024 * 1024))));
		variable->items[i] = pstrdup(PQgetvalue(preflight->result, i, 0));
	}
}

static void
evaluate_variables(Preflight *preflight, LoadOperation *operation)
{
	for (int i = 0; i < operation->nvariables; i++)
	{
		LoadVariable *variable = &operation->variables[i];

		if (variable->low_sql != NULL)
			evaluate_range(preflight, operation, variable);
		else if (variable->items_sql != NULL)
			load_items(preflight, operation, variable);
		if (variable->draw == LOAD_DRAW_SEQUENCE)
			variable->sequence = preflight->config->nsequences++;
	}
}

/* Which variables the columns of its result go to. */
static void
describe_result(Preflight *preflight, LoadOperation *operation, LoadStatement *statement)
{
	PQclear(preflight->result);
	preflight->result = NULL;
	preflight->result = load_remote_describe(preflight->conn);
	if (PQresultStatus(preflight->result) != PGRES_COMMAND_OK)
		refuse(preflight, "could not describe the result of a statement with \\gset");
	statement->ncolumns = PQnfields(preflight->result);
	statement->columns = palloc(sizeof(int) * Max(1, statement->ncolumns));
	for (int i = 0; i < statement->ncolumns; i++)
	{
		char *name = psprintf("%s%s", statement->prefix, PQfname(preflight->result, i));

		statement->columns[i] = load_variable_find(operation, name, strlen(name));
	}
}

/* A variable that is used, but that no result sets. */
static void
check_assigned(const LoadOperation *operation)
{
	bool assigned[256] = { false };

	for (int i = 0; i < operation->nvariables; i++)
		assigned[i] = operation->variables[i].draw != LOAD_DRAW_NOTHING;
	for (int i = 0; i < operation->nsteps; i++)
		if (operation->steps[i].kind == LOAD_STEP_SET)
			assigned[operation->steps[i].at] = true;
	for (int i = 0; i < operation->nstatements; i++)
		for (int j = 0; j < operation->statements[i].ncolumns; j++)
			if (operation->statements[i].columns[j] >= 0)
				assigned[operation->statements[i].columns[j]] = true;
	for (int i = 0; i < operation->nvariables; i++)
		if (!assigned[i])
			ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT),
							errmsg("variable \"%s\" of operation \"%s\" gets no value",
								   operation->variables[i].name, operation->name),
							errhint("No result that \\gset takes has a column of that name.")));
}

static void
try_statement(Preflight *preflight, const LoadOperation *operation, LoadStatement *statement)
{
	LoadConfig *config = preflight->config;
	const char *sqlstate;

	PQclear(preflight->result);
	preflight->result = NULL;
	preflight->result = load_remote_prepare(preflight->conn, statement->sql);
	if (PQresultStatus(preflight->result) == PGRES_COMMAND_OK)
	{
		if (preflight->variant->local)
			statement->query_id = perfopt_sampler_query_id(PQbackendPID(preflight->conn));
		return;
	}

	sqlstate = PQresultErrorField(preflight->result, PG_DIAG_SQLSTATE);
	ereport(ERROR,
			(errcode(sqlstate && strlen(sqlstate) == 5
						 ? MAKE_SQLSTATE(sqlstate[0], sqlstate[1], sqlstate[2], sqlstate[3],
										 sqlstate[4])
						 : ERRCODE_FDW_ERROR),
			 errmsg("target \"%s\" refuses statement %d of operation \"%s\", at character %d of "
					"its script",
					preflight->variant->target, (int) (statement - operation->statements) + 1,
					operation->name,
					pg_mbstrlen_with_len(operation->script, statement->offset) + 1),
			 errdetail("%s", load_remote_error(preflight->conn)),
			 config->description
				 ? errhint("Scenario \"%s\": %s", config->scenario, config->description)
				 : errhint("Each statement is prepared when a user connects, so its tables must "
						   "exist by then.")));
}

static void
apply_settings(Preflight *preflight)
{
	const LoadVariant *variant = preflight->variant;

	for (int i = 0; i < variant->nsettings; i++)
		if (!query(preflight, variant->settings[i], 0, NULL))
			refuse(preflight, "could not apply a setting of a variant");
}

/* Variants of an A/B test are compared with each other only, so one will do. */
static void
take_fingerprint(Preflight *preflight)
{
	if (!query(preflight, load_fingerprint_sql, 0, NULL))
		refuse(preflight, "could not ask for version and settings");
	preflight->config->fingerprint = load_fingerprint(preflight->config, answer(preflight, 0));
}

static void
try_target(Preflight *preflight)
{
	LoadConfig *config = preflight->config;

	connect_target(preflight);
	recognise_target(preflight);
	check_room(preflight);
	make_dataset(preflight);
	set_search_path(preflight);
	apply_settings(preflight);
	for (int i = 0; i < config->noperations; i++)
	{
		LoadOperation *operation = &preflight->variant->operations[i];

		evaluate_variables(preflight, operation);
		for (int j = 0; j < operation->nstatements; j++)
		{
			try_statement(preflight, operation, &operation->statements[j]);
			if (operation->statements[j].gset)
				describe_result(preflight, operation, &operation->statements[j]);
		}
		check_assigned(operation);
	}
	if (preflight->variant == &config->variants[0])
		take_fingerprint(preflight);
}

static void
close_target(Preflight *preflight)
{
	PQclear(preflight->result);
	if (preflight->conn != NULL)
		load_remote_close(preflight->conn);
}

static void
try_variant(LoadConfig *config, LoadVariant *variant)
{
	Preflight preflight = { config, variant, NULL, NULL };

	PG_TRY();
	{
		try_target(&preflight);
	}
	PG_CATCH();
	{
		close_target(&preflight);
		PG_RE_THROW();
	}
	PG_END_TRY();
	close_target(&preflight);
}

void
load_preflight(LoadConfig *config)
{
	for (int i = 0; i < config->nvariants; i++)
	{
		if (config->variants[i].target == NULL)
			config->variants[i].target = config->target;
		config->nsequences = 0;
		try_variant(config, &config->variants[i]);
	}
}
