/*
 * errors.c
 *	  Errors of a load test by SQLSTATE, with the first message of each.
 */
#include "postgres.h"

#include "mb/pg_wchar.h"

#include "load/engine.h"

/* One line of the message, as much of it as there is room for. */
void
load_error_set(LoadError *error, const char *sqlstate, const char *message)
{
	int length = pg_mbcliplen(message, strcspn(message, "\n"), sizeof(error->message) - 1);

	strlcpy(error->sqlstate, sqlstate, sizeof(error->sqlstate));
	memcpy(error->message, message, length);
	error->message[length] = '\0';
	error->count = 1;
}

/* libpq makes results of its own, without SQLSTATE, when the connection breaks. */
void
load_error_from_result(LoadError *error, const PGresult *result)
{
	const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
	const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);

	load_error_set(error, sqlstate ? sqlstate : "08006",
				   message ? message : PQresultErrorMessage(result));
}

void
load_error_count(LoadResult *result, const LoadError *error)
{
	for (int i = 0; i < result->nkinds; i++)
	{
		if (strcmp(result->kinds[i].sqlstate, error->sqlstate) == 0)
		{
			result->kinds[i].count += error->count;
			return;
		}
	}
	if (result->nkinds == LOAD_MAX_ERRORS)
		result->other_errors += error->count;
	else
	{
		/* Readers go by nkinds, so that grows last. */
		result->kinds[result->nkinds] = *error;
		pg_write_barrier();
		result->nkinds++;
	}
}
