/*
 * whatif.h
 *	  What an index that is not there would do to a statement.
 *
 * The statement is planned, never run, for parameters of any value (a generic plan).  Planning can run
 * code: functions that the planner folds.  So it happens with the rights of the role that ran the
 * statement, as a security-restricted operation, with that role's search_path, and only if every function in
 * the statement is built in or belongs to a superuser or to that role itself: an unqualified name may
 * mean something else here than it did there.
 *
 * It happens in a subtransaction that is always rolled back, which gives up the locks too; a lock that
 * is not free at once, or planning beyond PERFOPT_WHATIF_MS, ends it.
 *
 * Where hypopg is installed, the index is tried as a hypothetical one of this session, and dropped
 * again.  Elsewhere the part of the cost that a sequential scan's discarded rows stand for is the
 * estimate.
 */
#ifndef PERFOPT_WHATIF_H
#define PERFOPT_WHATIF_H

#include "access/attnum.h"
#include "nodes/parsenodes.h"

/* Longest time that planning one statement with all its candidates may take. */
#define PERFOPT_WHATIF_MS 1000

typedef enum PerfoptWhatIfState
{
	PERFOPT_WHATIF_SKIPPED, /* could not be planned; reason says why */
	PERFOPT_WHATIF_NOTHING, /* no index would help */
	PERFOPT_WHATIF_INDEX
} PerfoptWhatIfState;

typedef struct PerfoptWhatIf
{
	/* asked */
	const char *text;
	Oid role;
	const char *search_path;
	const char *hypopg; /* quoted schema of hypopg, NULL when it is not installed */
	double least_cost;  /* plans that cost less (planner's units) are left alone */
	double least_rows;  /* tables with fewer (estimated) as well */

	/* answered */
	PerfoptWhatIfState state;
	char *reason;
	Oid relation; /* of the index that saves most */
	AttrNumber column;
	double base_cost; /* planner's units */
	double new_cost;
	double rows;      /* of the relation, estimated */
	bool foreign_key; /* needed by the check of a foreign key that refers to what is deleted */
} PerfoptWhatIf;

/* Answers in place; texts are palloc'd in the current context. */
extern void perfopt_whatif(PerfoptWhatIf *whatif);

/* Room-internal: columns that the queries compare for equality, candidates for an index. */
typedef struct PerfoptCandidate
{
	Oid relation;
	AttrNumber column;
} PerfoptCandidate;

#define PERFOPT_WHATIF_MAX_CANDIDATES 16

typedef struct PerfoptCandidates
{
	int n;
	PerfoptCandidate items[PERFOPT_WHATIF_MAX_CANDIDATES];
} PerfoptCandidates;

extern void perfopt_collect_candidates(Query *query, PerfoptCandidates *candidates);
extern bool perfopt_calls_untrusted(Query *query, Oid role);

/* Whether an index, valid or not, leads with this column. */
extern bool perfopt_has_index(Oid relation, AttrNumber column);

#endif /* PERFOPT_WHATIF_H */
