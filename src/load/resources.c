/*
 * resources.c
 *	  What an operation's statements used on this server, by pg_stat_statements.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "load/record.h"
#include "load/resources.h"

static const char *const names[LOAD_NRESOURCES] = {
	"exec_ms", "rows", "blks_hit", "blks_read", "blks_dirtied", "temp_blks", "wal_bytes", "jit_ms",
};

/* The schema that pg_stat_statements is in, quoted; NULL where there is none in this database. */
static char *
statements_schema(void)
{
	SPI_execute("SELECT e.extnamespace::pg_catalog.regnamespace FROM pg_catalog.pg_extension e"
				" WHERE e.extname = 'pg_stat_statements'",
				true, 1);
	return SPI_processed == 1 ? SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1)
							  : NULL;
}

/* The ids of all statements, and of which operation each is. */
static int
list_statements(const LoadConfig *config, Datum **ids, Datum **operations)
{
	int room = 0;
	int n = 0;

	for (int i = 0; i < config->noperations; i++)
		room += config->operations[i].nstatements;
	*ids = palloc(sizeof(Datum) * Max(1, room));
	*operations = palloc(sizeof(Datum) * Max(1, room));
	for (int i = 0; i < config->noperations; i++)
		for (int j = 0; j < config->operations[i].nstatements; j++)
			if (config->operations[i].statements[j].query_id != 0)
			{
				(*ids)[n] = Int64GetDatum(config->operations[i].statements[j].query_id);
				(*operations)[n++] = Int32GetDatum(i);
			}
	return n;
}

static void
take_rows(LoadResources *resources)
{
	for (uint64 row = 0; row < SPI_processed; row++)
	{
		HeapTuple tuple = SPI_tuptable->vals[row];
		TupleDesc desc = SPI_tuptable->tupdesc;
		bool isnull;
		LoadResources *to = &resources[DatumGetInt32(SPI_getbinval(tuple, desc, 1, &isnull))];

		to->known = true;
		for (int i = 0; i < LOAD_NRESOURCES; i++)
			to->used[i] = DatumGetFloat8(SPI_getbinval(tuple, desc, 2 + i, &isnull));
	}
}

void
load_resources_read(const LoadConfig *config, LoadResources *resources)
{
	static const char *sql =
		"SELECT o.n, sum(s.total_exec_time), sum(s.rows)::float8, sum(s.shared_blks_hit)::float8,"
		" sum(s.shared_blks_read)::float8, sum(s.shared_blks_dirtied)::float8,"
		" sum(s.temp_blks_read + s.temp_blks_written)::float8, sum(s.wal_bytes)::float8,"
		" sum(s.jit_generation_time + s.jit_inlining_time + s.jit_optimization_time"
		" + s.jit_emission_time)"
		" FROM (SELECT DISTINCT u.id, u.n FROM ROWS FROM (pg_catalog.unnest($1),"
		" pg_catalog.unnest($2)) u (id, n)) o"
		" JOIN %s.pg_stat_statements(false) s ON s.queryid = o.id"
		" WHERE s.dbid = (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = $3)"
		" GROUP BY o.n";
	char *schema = statements_schema();
	Oid types[] = { INT8ARRAYOID, INT4ARRAYOID, TEXTOID };
	Datum values[3];
	Datum *ids;
	Datum *operations;
	int n;

	memset(resources, 0, sizeof(LoadResources) * config->noperations);
	if (schema == NULL || config->nvariants > 1 || !config->variants[0].local)
		return;
	n = list_statements(config, &ids, &operations);
	if (n == 0)
		return;
	values[0] = PointerGetDatum(construct_array_builtin(ids, n, INT8OID));
	values[1] = PointerGetDatum(construct_array_builtin(operations, n, INT4OID));
	values[2] = CStringGetTextDatum(config->variants[0].database);
	SPI_execute_with_args(psprintf(sql, schema), lengthof(types), types, values, NULL, false, 0);
	take_rows(resources);
	SPI_freetuptable(SPI_tuptable);
}

char *
load_resources_json(const LoadResources *before, const LoadResources *after)
{
	StringInfoData out;
	uint64 calls = after->calls;

	if (!after->known || calls == 0)
		return NULL;
	initStringInfo(&out);
	for (int i = 0; i < LOAD_NRESOURCES; i++)
		appendStringInfo(&out, "%s\"%s\": %.6g", i > 0 ? ", " : "{", names[i],
						 Max(0, after->used[i] - before->used[i]) / (double) calls);
	appendStringInfoChar(&out, '}');
	return out.data;
}
