/*
 * statements.h
 *	  What the two halves of the source statements share.
 */
#ifndef PERFOPT_COLLECT_STATEMENTS_H
#define PERFOPT_COLLECT_STATEMENTS_H

#include "datatype/timestamp.h"

#include "collect/pgss.h"

typedef struct PerfoptStatementId
{
	int64 query_id;
	const char *database;
	TimestampTz
		*checked; /* when its text was last seen to be kept, 0 before; the callee's to keep */
} PerfoptStatementId;

/*
 * Keeps perfopt.statement_text up to date: notes that these statements were seen, looks up texts that
 * are not known yet (of them, and of those that the sampler saw most), and forgets old ones.  Between
 * perfopt_collect_begin_sql and perfopt_collect_end_sql.
 */
extern void perfopt_statement_texts(const PerfoptPgss *pgss, const PerfoptStatementId *seen,
									int nseen);

#endif /* PERFOPT_COLLECT_STATEMENTS_H */
