/*
 * replay.h
 *	  Statements of pg_stat_statements as operations: may they be run again, and with which values?
 *
 * pg_stat_statements keeps a text with $1, $2 ... in the place of constants.  Parse analysis says what
 * type each must have and what it is compared with or stored in; values then come from that column,
 * when a test starts, by a query on the target.
 *
 * Private to src/load.  Everything is allocated in the current memory context.
 */
#ifndef PERFOPT_LOAD_REPLAY_H
#define PERFOPT_LOAD_REPLAY_H

#include "postgres.h"

#include "nodes/parsenodes.h"

/* Queries for values bear it, so that they are not taken for an application's. */
#define REPLAY_MARK "/* perfopt */"

/* Why a statement is left out. */
typedef enum ReplayVerdict
{
	REPLAY_TAKEN,
	REPLAY_UTILITY,   /* it is no SELECT, INSERT, UPDATE, DELETE or MERGE */
	REPLAY_OWN,       /* it is about the server, perfopt or pg_stat_statements */
	REPLAY_CUT,       /* its text is not whole */
	REPLAY_WRITES,    /* only what reads is wanted */
	REPLAY_ACTS,      /* it acts on sessions or the server */
	REPLAY_UNTRUSTED, /* it would run somebody else's functions with the caller's rights */
	REPLAY_UNKNOWN,   /* where a parameter's values come from */
	REPLAY_EMPTY,     /* there are no values there */
	REPLAY_FAILED,    /* an error */
	REPLAY_VERDICTS
} ReplayVerdict;

/* Where a parameter's values come from.  Of two uses that say so the one further down is believed. */
typedef enum ReplayKind
{
	REPLAY_NOWHERE,
	REPLAY_ANY,    /* it is only returned: any value does */
	REPLAY_CHANGE, /* added to a number that is stored */
	REPLAY_OFFSET,
	REPLAY_LIMIT,
	REPLAY_PATTERN,  /* LIKE: how values begin */
	REPLAY_LIST,     /* = ANY: several values */
	REPLAY_COMPARED, /* values, but NULL */
	REPLAY_LOW,      /* a value, and ... */
	REPLAY_HIGH,     /* ... one that is a little greater */
	REPLAY_STORED,   /* values, and NULL */
	REPLAY_NEW,      /* a value that is not there yet, of an integer type */
	REPLAY_RANDOM    /* likewise, a UUID, as such or as text */
} ReplayKind;

typedef struct ReplayParam
{
	ReplayKind kind;
	bool used;
	Oid type;
	Oid relation;      /* that the values come from */
	AttrNumber column; /* of it; 0 if they are those of an expression */
	char *value;       /* column or expression in SQL, over the relation by the name of t */
	Oid value_type;
	int group; /* those of one group, from 1, belong to one row if their columns differ; 0: to none */
	int partner; /* number of the other end of a range */
	int same_as; /* number of the parameter that has the same value */
} ReplayParam;

/* How many parameters of a scenario have new values for a column: each needs its own. */
typedef struct ReplayNew
{
	Oid relation;
	AttrNumber column;
	int n;
} ReplayNew;

typedef struct Replay
{
	/* what is given */
	const char *text;
	double calls;
	double rows; /* a call */
	bool read_only;
	List **news; /* ReplayNew of the scenario so far; grows */
	MemoryContext news_context;

	/* what comes out */
	ReplayVerdict verdict;
	const char *reason; /* more than the verdict says, or NULL */
	char *name;         /* verb and table: select_orders */
	char *script;
	char *variables; /* JSON */

	/* on the way */
	Query *query;
	RawStmt *raw;
	int nparams; /* numbers 1 to this */
	ReplayParam *params;
	bool plain; /* it returns the rows of one table that its conditions let pass */
} Replay;

/* replay_text.c: the text as it can be parsed. */
extern char *replay_repair(const char *text);

/* The script, once it is known what stands for each parameter (by number - 1). */
extern char *replay_script(const Replay *replay, char *const *stand_ins);

/* replay_check.c: REPLAY_TAKEN if nothing speaks against it. */
extern ReplayVerdict replay_check(const Replay *replay, const char **reason);

/* replay_params.c: fills in the parameters. */
extern void replay_params(Replay *replay);

/* Where values are. */
typedef struct ReplaySource
{
	Oid relation;
	AttrNumber column; /* 0: an expression */
	char *value;
	Oid type;
	const void *place; /* the query with that table, and its number there */
	int number;
} ReplaySource;

/*
 * replay_source.c: a column of a table, followed through joins, subqueries and WITH, or an expression
 * over columns of one table of the first of these queries, which are the one at hand and those around.
 */
extern bool replay_source(List *queries, Node *node, ReplaySource *source);
extern bool replay_column(ReplaySource *source, Oid relation, AttrNumber column, const void *place,
						  int number);

/* Likewise: without casts; what a query returns; has it the same value in each row of a call? */
extern Node *replay_stripped(Node *node);
extern Node *replay_column_of_query(Query *query, AttrNumber column);
extern bool replay_is_constant(Node *node);

/* SQL for an expression over one table, or none, that means the same with any search_path. */
extern char *replay_sql(Node *expression, Oid relation);

/*
 * replay_keys.c: parameters of a group that are stored in this table get new values where unique keys
 * want them, or come from nowhere.  An INSERT stores whole rows, and an UPDATE may store what is there.
 */
extern void replay_renew_keys(Replay *replay, int group, Oid relation, bool is_insert);

/* replay_values.c: the variables and what stands for each parameter; false if there are no values. */
extern bool replay_values(Replay *replay, char **stand_ins);

/* replay.c: the whole way, in a subtransaction that is rolled back; the verdict is always set. */
extern void replay_statement(Replay *replay);

#endif /* PERFOPT_LOAD_REPLAY_H */
