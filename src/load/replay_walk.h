/*
 * replay_walk.h
 *	  What a walk through a statement that looks for its parameters remembers.
 *
 * Private to replay_params.c and replay_compare.c.
 */
#ifndef PERFOPT_LOAD_REPLAY_WALK_H
#define PERFOPT_LOAD_REPLAY_WALK_H

#include "postgres.h"

#include "nodes/primnodes.h"

#include "load/replay.h"

#define MAX_GROUPS 100

/* In the place of a table's number: rows that are stored. */
#define STORED (-1)

/* What identifies a group: a table of a query, and which of its rows, or which branch of an OR. */
typedef struct RowGroup
{
	const void *place;
	int number;
	int row;
	const void *branch;
} RowGroup;

typedef struct ReplayWalk
{
	Replay *replay;
	List *queries; /* the innermost first */
	bool output;   /* inside of what the statement returns */
	bool stored;   /* inside of what an UPDATE stores */
	const void *branch;
	int ngroups;
	RowGroup groups[MAX_GROUPS];
} ReplayWalk;

/* replay_params.c: the number of the parameter that this is, apart from casts; 0 if it is none. */
extern int replay_param_number(const ReplayWalk *walk, Node *node);

/* The number of a group, 0 if there are too many. */
extern int replay_group(ReplayWalk *walk, const void *place, int number, int row);

/* Where a parameter, unless its number is 0, may get values.  The source is NULL where the kind says all. */
extern void replay_note(const ReplayWalk *walk, int number, ReplayKind kind,
						const ReplaySource *source, int group);

/* replay_compare.c: an operator with something on both sides. */
extern void replay_compare(ReplayWalk *walk, Oid opno, Node *left, Node *right);
extern void replay_compare_array(ReplayWalk *walk, const ScalarArrayOpExpr *operation);
extern void replay_compare_rows(ReplayWalk *walk, const RowCompareExpr *rows);

/* Conditions that must all be true: x >= $1 AND x < $2, which is also what BETWEEN becomes. */
extern void replay_compare_range(const ReplayWalk *walk, List *conditions);

/* Is it one of the server's own operators of these names? */
extern bool replay_is_operator(Oid opno, const char *const *names, int n);

/* Plus or minus. */
extern bool replay_is_sum(Oid opno);

#endif /* PERFOPT_LOAD_REPLAY_WALK_H */
