/*
 * finding.h
 *	  What a detector found, and the diagnosis that it belongs to.
 *
 * A detector is one function {name, category, detect}.  It reads the facts, and for what it finds calls
 * perfopt_finding_add() and fills in the rest.  Texts and evidence are palloc'd in the current context.
 * Texts of statements never go into entity, root_cause or evidence, which are stored and shown to every
 * viewer; they go into statement_text, which only members of pg_read_all_stats see.
 */
#ifndef PERFOPT_FINDING_H
#define PERFOPT_FINDING_H

#include "nodes/pg_list.h"

#include "diagnose/facts.h"

typedef enum PerfoptSeverity
{
	PERFOPT_INFO,
	PERFOPT_WARNING,
	PERFOPT_CRITICAL
} PerfoptSeverity;

/* A limit and where it comes from: 'measured: ...', 'convention: ...' or 'judgement: ...'. */
typedef struct PerfoptThreshold
{
	const char *meaning; /* what is limited, with its unit */
	double value;
	const char *lineage;
} PerfoptThreshold;

/* One raw figure behind a finding. */
typedef struct PerfoptEvidence
{
	const char *key;
	char *text;    /* NULL: number */
	bool is_json;  /* text is JSON */
	double number; /* NaN is not shown */
} PerfoptEvidence;

typedef struct PerfoptFinding
{
	const char *category;
	const char *name;
	PerfoptSeverity severity;
	bool has_impact;     /* false: about availability, or a loss that sampling can't see */
	PerfoptShare impact; /* part of DB time that would go */
	char *entity;
	char *statement_text; /* of the entity, NULL unless it is a statement */
	char *root_cause;
	List *factors;  /* of PerfoptFinding: others that fired and belong to this one's cause */
	List *evidence; /* of PerfoptEvidence */
	char *lineage;
} PerfoptFinding;

typedef struct PerfoptDetector PerfoptDetector;

typedef struct PerfoptDiagnosis
{
	PerfoptFacts *facts;
	List *findings;                  /* of PerfoptFinding */
	const PerfoptDetector *detector; /* the one that runs */
} PerfoptDiagnosis;

struct PerfoptDetector
{
	const char *name;
	const char *category;
	void (*detect)(PerfoptDiagnosis *diagnosis);
};

/* A finding of the running detector. */
extern PerfoptFinding *perfopt_finding_add(PerfoptDiagnosis *diagnosis, PerfoptSeverity severity,
										   char *entity);

/* What another detector has found already; NULL when it has not. */
extern PerfoptFinding *perfopt_finding_of(PerfoptDiagnosis *diagnosis, const char *name);

extern void perfopt_finding_impact(PerfoptFinding *finding, PerfoptShare impact);
extern void perfopt_finding_factor(PerfoptFinding *finding, PerfoptFinding *factor);

extern void perfopt_evidence_number(PerfoptFinding *finding, const char *key, double number);
extern void perfopt_evidence_text(PerfoptFinding *finding, const char *key, const char *text);
extern void perfopt_evidence_json(PerfoptFinding *finding, const char *key, const char *json);

/* A figure given as evidence: NaN or NULL when there is none of that key. */
extern double perfopt_evidence_get_number(const PerfoptFinding *finding, const char *key);
extern const char *perfopt_evidence_get_text(const PerfoptFinding *finding, const char *key);

/* The thresholds that the finding was judged by; the list ends with NULL. */
extern void perfopt_finding_lineage(PerfoptFinding *finding, const PerfoptThreshold *first, ...);

/* jsonb literals of evidence and factors. */
extern char *perfopt_finding_evidence_json(const PerfoptFinding *finding);
extern char *perfopt_finding_factors_json(const PerfoptFinding *finding);
extern const char *perfopt_severity_name(PerfoptSeverity severity);

/* 'query 42', and a role's name or 'role 42' when it is gone. */
extern char *perfopt_query_name(int64 query_id);
extern char *perfopt_role_name(Oid role);

/* SQL that shows the window's DB time by a column, as evidence: condition is SQL, '' for none. */
extern void perfopt_evidence_sql(PerfoptFinding *finding, const PerfoptFacts *facts,
								 const char *columns, const char *condition);

/* The statement with most DB time among what weigh() picks; NULL when none is known by its id. */
extern const PerfoptStatement *perfopt_busiest_statement(const PerfoptFacts *facts,
														 PerfoptWeigh weigh, const void *arg);

#endif /* PERFOPT_FINDING_H */
