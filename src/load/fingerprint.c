/*
 * fingerprint.c
 *	  What must be equal for two load tests to be comparable, as jsonb: the server and its settings,
 *	  the data, and what the users do.
 *
 * Values rather than a hash of them, so that it can be said what differs; scripts are hashed.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/json.h"

#include "load/compare.h"

/*
 * Settings that differ from what they are built with, but those that say where something is, what
 * it is called and how it is written, and those that every session has its own of.  Settings that
 * only some roles see (dynamic_library_path and others) are among those left out, so that the answer
 * does not depend on who asks.  Not by category, whose names are translated.
 */
const char *const load_fingerprint_sql =
	"SELECT pg_catalog.jsonb_build_object("
	" 'version', pg_catalog.split_part(pg_catalog.current_setting('server_version'), ' ', 1),"
	" 'database', pg_catalog.current_database(),"
	" 'settings', coalesce(pg_catalog.jsonb_object_agg(name,"
	"  pg_catalog.concat_ws(' ', setting, unit)), '{}'))::pg_catalog.text"
	" FROM pg_catalog.pg_settings"
	" WHERE setting IS DISTINCT FROM boot_val"
	" AND (context <> 'internal'"
	"  OR name IN ('block_size', 'data_checksums', 'debug_assertions', 'wal_segment_size'))"
	" AND (name !~ '[.]' OR name ~ '^(auto_explain|pg_stat_statements)[.]')"
	" AND name !~ '_(addresses|command|conninfo|destdir|destination|directories|directory|encoding"
	"|file|file_mode|filename|files|format|group|ident|keyfile|libraries|library|messages|name"
	"|output|path|permissions|prefix|style|tablespace|tablespaces)$'"
	" AND name !~ '^(bonjour|default_text_|event_source|extra_float_|gss_|icu_|krb_|lc_"
	"|log_rotation_|log_timezone|log_truncate_|logging_|password_|primary_|recovery_|restart_after_"
	"|ssl|synchronized_standby_|syslog_|tcp_|transaction_|unix_socket_|xml)'"
	" AND pg_catalog.lower(name) NOT IN ('authentication_timeout', 'backslash_quote', 'datestyle',"
	"  'hot_standby', 'intervalstyle', 'is_superuser', 'jit_provider', 'max_stack_depth', 'port',"
	"  'role', 'search_path', 'session_authorization', 'standard_conforming_strings', 'timezone',"
	"  'timezone_abbreviations', 'update_process_title', 'wal_consistency_checking')";

/*
 * How many values each variable has.  Bounds may be asked of the tables before the test, so this is
 * how large the data are, as far as a scenario tells.
 */
static char *
data_json(const LoadConfig *config)
{
	StringInfoData out;

	initStringInfo(&out);
	appendStringInfoChar(&out, '{');
	for (int i = 0; i < config->noperations; i++)
	{
		const LoadOperation *operation = &config->operations[i];

		for (int j = 0; j < operation->nvariables; j++)
		{
			const LoadVariable *variable = &operation->variables[j];

			if (variable->draw < LOAD_DRAW_UNIFORM)
				continue;
			appendStringInfoString(&out, out.len > 1 ? ", " : "");
			escape_json(&out, psprintf("%s.%s", operation->name, variable->name));
			appendStringInfo(&out, ": %.17g",
							 variable->draw == LOAD_DRAW_ITEM
								 ? (double) variable->nitems
								 : (double) variable->high - (double) variable->low + 1);
		}
	}
	appendStringInfoChar(&out, '}');
	return out.data;
}

char *
load_fingerprint(const LoadConfig *config, const char *target)
{
	Oid types[] = { TEXTOID, TEXTOID, TEXTOID };
	Datum values[] = { CStringGetTextDatum(target), CStringGetTextDatum(config->json),
					   CStringGetTextDatum(data_json(config)) };
	MemoryContext context = CurrentMemoryContext;
	char *fingerprint;

	SPI_connect();
	SPI_execute_with_args("SELECT perfopt.test_fingerprint($1::pg_catalog.jsonb,"
						  " $2::pg_catalog.jsonb, $3::pg_catalog.jsonb)::pg_catalog.text",
						  lengthof(types), types, values, NULL, true, 1);
	if (SPI_processed != 1)
		elog(ERROR, "could not take the fingerprint of a load test");
	fingerprint =
		MemoryContextStrdup(context, SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1));
	SPI_finish();
	return fingerprint;
}
