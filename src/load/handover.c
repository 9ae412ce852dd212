/*
 * handover.c
 *	  A LoadConfig as flat bytes and back, for the way through shared memory to the load workers.
 */
#include "postgres.h"

#include "libpq/pqformat.h"

#include "load/load.h"

static void
write_string(StringInfo out, const char *s)
{
	pq_sendint32(out, s == NULL ? -1 : (int32) strlen(s));
	if (s != NULL)
		appendBinaryStringInfo(out, s, strlen(s));
}

static char *
read_string(StringInfo in)
{
	int32 length = pq_getmsgint(in, 4);

	return length < 0 ? NULL : pnstrdup(pq_getmsgbytes(in, length), length);
}

/* What has no pointers goes as it is: writer and reader are the same program. */
static void
write_bytes(StringInfo out, const void *from, size_t size)
{
	appendBinaryStringInfo(out, from, (int) size);
}

static void *
read_bytes(StringInfo in, size_t size)
{
	void *to = palloc(Max(size, 1));

	memcpy(to, pq_getmsgbytes(in, (int) size), size);
	return to;
}

static void
write_doubles(StringInfo out, const double *values, int n)
{
	pq_sendint8(out, values != NULL);
	if (values != NULL)
		write_bytes(out, values, sizeof(double) * n);
}

static double *
read_doubles(StringInfo in, int n)
{
	return pq_getmsgbyte(in) ? read_bytes(in, sizeof(double) * n) : NULL;
}

static void
write_variable(StringInfo out, const LoadVariable *variable)
{
	pq_sendint32(out, variable->draw);
	pq_sendint64(out, variable->low);
	pq_sendint64(out, variable->high);
	pq_sendfloat8(out, variable->parameter);
	pq_sendint32(out, variable->sequence);
	pq_sendint32(out, variable->nitems);
	for (int i = 0; i < variable->nitems; i++)
		write_string(out, variable->items[i]);
	write_doubles(out, variable->weights, variable->nitems);
}

static void
read_variable(StringInfo in, LoadVariable *variable)
{
	variable->draw = pq_getmsgint(in, 4);
	variable->low = pq_getmsgint64(in);
	variable->high = pq_getmsgint64(in);
	variable->parameter = pq_getmsgfloat8(in);
	variable->sequence = pq_getmsgint(in, 4);
	variable->nitems = pq_getmsgint(in, 4);
	variable->items = palloc(sizeof(char *) * Max(1, variable->nitems));
	for (int i = 0; i < variable->nitems; i++)
		variable->items[i] = read_string(in);
	variable->weights = read_doubles(in, variable->nitems);
}

static void
write_statement(StringInfo out, const LoadStatement *statement)
{
	write_string(out, statement->sql);
	pq_sendint32(out, statement->nparams);
	write_bytes(out, statement->params, sizeof(int) * statement->nparams);
	pq_sendint32(out, statement->nplaces);
	write_bytes(out, statement->places, sizeof(struct LoadPlace) * statement->nplaces);
	pq_sendint8(out, statement->gset);
	pq_sendint32(out, statement->ncolumns);
	write_bytes(out, statement->columns, sizeof(int) * statement->ncolumns);
	pq_sendint64(out, statement->check.min_rows);
	pq_sendint64(out, statement->check.max_rows);
	write_string(out, statement->check.value);
	pq_sendint64(out, statement->query_id);
}

static void
read_statement(StringInfo in, LoadStatement *statement)
{
	statement->sql = read_string(in);
	statement->nparams = pq_getmsgint(in, 4);
	pq_copymsgbytes(in, (char *) statement->params, sizeof(int) * statement->nparams);
	statement->nplaces = pq_getmsgint(in, 4);
	statement->places = read_bytes(in, sizeof(struct LoadPlace) * statement->nplaces);
	statement->gset = pq_getmsgbyte(in);
	statement->ncolumns = pq_getmsgint(in, 4);
	statement->columns = read_bytes(in, sizeof(int) * statement->ncolumns);
	statement->check.min_rows = pq_getmsgint64(in);
	statement->check.max_rows = pq_getmsgint64(in);
	statement->check.value = read_string(in);
	statement->query_id = pq_getmsgint64(in);
}

static void
write_operation(StringInfo out, const LoadOperation *operation, int noperations)
{
	pq_sendint32(out, operation->id);
	write_string(out, operation->name);
	pq_sendfloat8(out, operation->weight);
	pq_sendint8(out, operation->pauses);
	write_bytes(out, &operation->think, sizeof(LoadPause));
	write_doubles(out, operation->next, noperations);
	pq_sendint32(out, operation->nvariables);
	for (int i = 0; i < operation->nvariables; i++)
		write_variable(out, &operation->variables[i]);
	pq_sendint32(out, operation->nstatements);
	for (int i = 0; i < operation->nstatements; i++)
		write_statement(out, &operation->statements[i]);
	pq_sendint32(out, operation->nsteps);
	write_bytes(out, operation->steps, sizeof(LoadStep) * operation->nsteps);
	pq_sendint32(out, operation->ncode);
	write_bytes(out, operation->code, sizeof(PerfoptInstruction) * operation->ncode);
}

static void
read_operation(StringInfo in, LoadOperation *operation, int noperations)
{
	operation->id = pq_getmsgint(in, 4);
	operation->name = read_string(in);
	operation->weight = pq_getmsgfloat8(in);
	operation->pauses = pq_getmsgbyte(in);
	pq_copymsgbytes(in, (char *) &operation->think, sizeof(LoadPause));
	operation->next = read_doubles(in, noperations);
	operation->nvariables = pq_getmsgint(in, 4);
	operation->variables = palloc0(sizeof(LoadVariable) * Max(1, operation->nvariables));
	for (int i = 0; i < operation->nvariables; i++)
		read_variable(in, &operation->variables[i]);
	operation->nstatements = pq_getmsgint(in, 4);
	operation->statements = palloc0(sizeof(LoadStatement) * operation->nstatements);
	for (int i = 0; i < operation->nstatements; i++)
	{
		LoadStatement *statement = &operation->statements[i];

		read_statement(in, statement);
		snprintf(statement->name, sizeof(statement->name), "perfopt_%d_%d", operation->id, i);
	}
	operation->nsteps = pq_getmsgint(in, 4);
	operation->steps = read_bytes(in, sizeof(LoadStep) * operation->nsteps);
	operation->ncode = pq_getmsgint(in, 4);
	operation->code = read_bytes(in, sizeof(PerfoptInstruction) * operation->ncode);
}

/* Its numbers have gone with the configuration's. */
static void
write_variant(StringInfo out, const LoadVariant *variant, int noperations)
{
	write_string(out, variant->target);
	write_string(out, variant->database);
	for (int i = 0; i < variant->nsettings; i++)
		write_string(out, variant->settings[i]);
	for (int i = 0; i < noperations; i++)
		write_operation(out, &variant->operations[i], noperations);
}

static void
read_variant(StringInfo in, LoadVariant *variant, int noperations)
{
	variant->target = read_string(in);
	variant->database = read_string(in);
	variant->definition = NULL;
	variant->settings = palloc(sizeof(char *) * Max(1, variant->nsettings));
	for (int i = 0; i < variant->nsettings; i++)
		variant->settings[i] = read_string(in);
	variant->operations = palloc0(sizeof(LoadOperation) * noperations);
	for (int i = 0; i < noperations; i++)
		read_operation(in, &variant->operations[i], noperations);
}

/* The settings that are numbers go with the struct; what it points to follows. */
void
load_config_write(StringInfo out, const LoadConfig *config)
{
	write_bytes(out, config, sizeof(LoadConfig));
	write_string(out, config->scenario);
	write_string(out, config->target);
	write_string(out, config->dataset);
	write_string(out, config->json);
	write_string(out, config->fingerprint);
	for (int i = 0; i < config->nthresholds; i++)
	{
		write_bytes(out, &config->thresholds[i], sizeof(LoadThreshold));
		write_string(out, config->thresholds[i].operation);
	}
	for (int i = 0; i < config->nvariants; i++)
		write_variant(out, &config->variants[i], config->noperations);
}

LoadConfig *
load_config_read(char *bytes, int size)
{
	StringInfoData in = { bytes, size, size, 0 };
	LoadConfig *config = read_bytes(&in, sizeof(LoadConfig));

	config->scenario = read_string(&in);
	config->target = read_string(&in);
	config->dataset = read_string(&in);
	config->json = read_string(&in);
	config->fingerprint = read_string(&in);
	config->description = NULL;
	config->thresholds = palloc(sizeof(LoadThreshold) * Max(1, config->nthresholds));
	for (int i = 0; i < config->nthresholds; i++)
	{
		pq_copymsgbytes(&in, (char *) &config->thresholds[i], sizeof(LoadThreshold));
		config->thresholds[i].operation = read_string(&in);
	}
	for (int i = 0; i < config->nvariants; i++)
		read_variant(&in, &config->variants[i], config->noperations);
	config->operations = config->variants[0].operations;
	return config;
}
