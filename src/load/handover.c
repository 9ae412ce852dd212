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

static void
write_operation(StringInfo out, const LoadOperation *operation)
{
	pq_sendint32(out, operation->id);
	write_string(out, operation->name);
	pq_sendfloat8(out, operation->weight);

	pq_sendint32(out, operation->nvariables);
	for (int i = 0; i < operation->nvariables; i++)
	{
		pq_sendint64(out, operation->variables[i].low);
		pq_sendint64(out, operation->variables[i].high);
	}

	pq_sendint32(out, operation->nstatements);
	for (int i = 0; i < operation->nstatements; i++)
	{
		const LoadStatement *statement = &operation->statements[i];

		write_string(out, statement->sql);
		pq_sendint32(out, statement->nparams);
		for (int j = 0; j < statement->nparams; j++)
			pq_sendint32(out, statement->params[j]);
	}
}

static void
read_operation(StringInfo in, LoadOperation *operation)
{
	operation->id = pq_getmsgint(in, 4);
	operation->name = read_string(in);
	operation->weight = pq_getmsgfloat8(in);

	operation->nvariables = pq_getmsgint(in, 4);
	operation->variables = palloc0(sizeof(LoadVariable) * Max(1, operation->nvariables));
	for (int i = 0; i < operation->nvariables; i++)
	{
		operation->variables[i].low = pq_getmsgint64(in);
		operation->variables[i].high = pq_getmsgint64(in);
	}

	operation->nstatements = pq_getmsgint(in, 4);
	operation->statements = palloc0(sizeof(LoadStatement) * operation->nstatements);
	for (int i = 0; i < operation->nstatements; i++)
	{
		LoadStatement *statement = &operation->statements[i];

		statement->sql = read_string(in);
		snprintf(statement->name, sizeof(statement->name), "perfopt_%d_%d", operation->id, i);
		statement->nparams = pq_getmsgint(in, 4);
		for (int j = 0; j < statement->nparams; j++)
			statement->params[j] = pq_getmsgint(in, 4);
	}
}

void
load_config_write(StringInfo out, const LoadConfig *config)
{
	pq_sendint32(out, config->users);
	pq_sendint64(out, config->duration_ns);
	pq_sendint64(out, config->ramp_up_ns);
	pq_sendint64(out, config->ramp_down_ns);
	pq_sendint64(out, config->think_time_ns);
	write_string(out, config->scenario);
	write_string(out, config->target);
	pq_sendint64(out, config->grace_ns);
	pq_sendint64(out, config->seed);
	write_string(out, config->dataset);
	pq_sendint8(out, config->local);
	pq_sendint8(out, config->used_password);
	pq_sendint32(out, config->userid);
	write_string(out, config->json);
	pq_sendint32(out, config->noperations);
	for (int i = 0; i < config->noperations; i++)
		write_operation(out, &config->operations[i]);
}

LoadConfig *
load_config_read(char *bytes, int size)
{
	LoadConfig *config = palloc0(sizeof(LoadConfig));
	StringInfoData in = { bytes, size, size, 0 };

	config->users = pq_getmsgint(&in, 4);
	config->duration_ns = pq_getmsgint64(&in);
	config->ramp_up_ns = pq_getmsgint64(&in);
	config->ramp_down_ns = pq_getmsgint64(&in);
	config->think_time_ns = pq_getmsgint64(&in);
	config->scenario = read_string(&in);
	config->target = read_string(&in);
	config->grace_ns = pq_getmsgint64(&in);
	config->seed = pq_getmsgint64(&in);
	config->dataset = read_string(&in);
	config->local = pq_getmsgbyte(&in);
	config->used_password = pq_getmsgbyte(&in);
	config->userid = pq_getmsgint(&in, 4);
	config->json = read_string(&in);
	config->noperations = pq_getmsgint(&in, 4);
	config->operations = palloc0(sizeof(LoadOperation) * config->noperations);
	for (int i = 0; i < config->noperations; i++)
		read_operation(&in, &config->operations[i]);
	return config;
}
