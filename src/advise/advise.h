/*
 * advise.h
 *	  What to do about each finding.
 *
 * Advisors are one const table in advise.c.  To add one: write a function in one of the files
 * advise_*.c, declare it below, and give it its line in the table.  An advisor may give several pieces of
 * advice, or none where no step is certain.
 *
 * Actions are exact: names are quoted, values computed from this machine's figures with the arithmetic
 * in the rationale, and the revert restores what was set before.  What no SQL can do is an SQL comment
 * that says which step is to be taken outside the database.  No advice contains a statement's text.
 *
 * Ranking: score = benefit * confidence * safety / (1 + effort / 8), where benefit is the finding's
 * impact_pct (without one: critical 50, warning 10, info 2), safety is 1 for low, 0.75 for medium and 0.4
 * for high risk, and effort is in hours, so that a working day halves the score.
 */
#ifndef PERFOPT_ADVISE_H
#define PERFOPT_ADVISE_H

#include "diagnose/finding.h"

typedef enum PerfoptRisk
{
	PERFOPT_RISK_LOW,    /* no lock that stops anybody, no restart, revert at once */
	PERFOPT_RISK_MEDIUM, /* a restart, or it may break a client that relies on the former behaviour */
	PERFOPT_RISK_HIGH    /* weakens a guarantee */
} PerfoptRisk;

typedef struct PerfoptAdvice
{
	const PerfoptFinding *finding;
	const char *title;
	const char *action_sql;
	const char *revert_sql;
	const char *rationale;
	double effort_hours;
	PerfoptRisk risk;
	double confidence; /* 0..1, that this step gives the finding's impact */
	double score;
} PerfoptAdvice;

typedef struct PerfoptAdvising
{
	const PerfoptFacts *facts;
	const PerfoptFinding *finding;
	List *advice; /* of PerfoptAdvice */
} PerfoptAdvising;

typedef struct PerfoptAdvisor
{
	const char *finding;
	void (*advise)(PerfoptAdvising *advising);
} PerfoptAdvisor;

/* All advice for a diagnosis, best score first.  As the extension's owner, in a transaction. */
extern List *perfopt_advise(const PerfoptDiagnosis *diagnosis);

/* A piece of advice for the finding at hand; the caller fills in the rest. */
extern PerfoptAdvice *perfopt_advice_add(PerfoptAdvising *advising, const char *title,
										 PerfoptRisk risk, double effort_hours, double confidence);

/* Action and revert: ALTER SYSTEM with reload, or a remark that a restart is needed. */
extern void perfopt_advice_alter_system(PerfoptAdvice *advice, const char *setting,
										const char *value);

/* Action and revert: ALTER ROLE.  False when the role is gone. */
extern bool perfopt_advice_alter_role(PerfoptAdvice *advice, const char *role, const char *setting,
									  const char *value);

/* The first column of a query's first row, palloc'd; NULL when there is none. */
extern char *perfopt_advice_ask(const char *sql, int nargs, Oid *types, Datum *values);

/* A step outside the database; lines are turned into SQL comments. */
extern void perfopt_advice_outside(PerfoptAdvice *advice, const char *step, const char *undo);

/* A size for postgresql.conf: whole GB or MB, rounded up. */
extern char *perfopt_size(double bytes);

extern void perfopt_advise_index(PerfoptAdvising *advising);
extern void perfopt_advise_idle_in_transaction(PerfoptAdvising *advising);
extern void perfopt_advise_lock_contention(PerfoptAdvising *advising);
extern void perfopt_advise_top_statement(PerfoptAdvising *advising);
extern void perfopt_advise_connections(PerfoptAdvising *advising);
extern void perfopt_advise_deadlocks(PerfoptAdvising *advising);
extern void perfopt_advise_cpu(PerfoptAdvising *advising);
extern void perfopt_advise_work_mem(PerfoptAdvising *advising);
extern void perfopt_advise_shared_buffers(PerfoptAdvising *advising);
extern void perfopt_advise_wal_sync(PerfoptAdvising *advising);
extern void perfopt_advise_checkpoints(PerfoptAdvising *advising);
extern void perfopt_advise_client_wait(PerfoptAdvising *advising);
extern void perfopt_advise_cache_down(PerfoptAdvising *advising);
extern void perfopt_advise_cache_hit_ratio(PerfoptAdvising *advising);
extern void perfopt_advise_drop_index(PerfoptAdvising *advising);
extern void perfopt_advise_invalid_index(PerfoptAdvising *advising);
extern void perfopt_advise_stale_statistics(PerfoptAdvising *advising);
extern void perfopt_advise_autovacuum_lag(PerfoptAdvising *advising);
extern void perfopt_advise_vacuum_memory(PerfoptAdvising *advising);
extern void perfopt_advise_bloat(PerfoptAdvising *advising);
extern void perfopt_advise_wraparound(PerfoptAdvising *advising);
extern void perfopt_advise_xmin_horizon(PerfoptAdvising *advising);
extern void perfopt_advise_jit(PerfoptAdvising *advising);
extern void perfopt_advise_slot(PerfoptAdvising *advising);
extern void perfopt_advise_missing_input(PerfoptAdvising *advising);

#endif /* PERFOPT_ADVISE_H */
