/*
 * finding.h
 *	  What a detector found, and the diagnosis that it belongs to.
 *
 * A detector is one function and its row {name, category, stage, detect, thresholds} in its file's table.
 * It reads the facts, compares them with perfopt_limit() of its thresholds, and for what it finds calls
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

/*
 * A limit and where it comes from: 'measured: ...', 'convention: ...' or 'judgement: ...'.  Its value can
 * be changed in perfopt.finding_setting, so ask perfopt_limit() for the one in force.
 */
typedef struct PerfoptThreshold
{
	const char *name;    /* within its finding */
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
	List *settings;                  /* thresholds that somebody changed; see setting.c */
	List *findings;                  /* of PerfoptFinding */
	const PerfoptDetector *detector; /* the one that runs */
} PerfoptDiagnosis;

/*
 * Causes are asked before their symptoms: a sample is charged to the first finding that explains it, and
 * what comes later counts the rest.
 */
typedef enum PerfoptStage
{
	PERFOPT_STAGE_CAUSE, /* what acts on the server from outside, and who holds what others want */
	PERFOPT_STAGE_WORK,  /* what statements do that they need not */
	PERFOPT_STAGE_RESOURCE, /* what the work runs short of */
	PERFOPT_STAGE_REST,     /* what stands out otherwise, and what has no share of DB time */
	PERFOPT_NUM_STAGES
} PerfoptStage;

struct PerfoptDetector
{
	const char *name; /* NULL ends a table */
	const char *category;
	PerfoptStage stage;
	void (*detect)(PerfoptDiagnosis *diagnosis);
	const PerfoptThreshold *const *thresholds; /* all that it judges by, NULL at the end */
};

#define PERFOPT_THRESHOLDS(...) ((const PerfoptThreshold *const[]){ __VA_ARGS__, NULL })

/* Reads what was changed in perfopt.finding_setting into diagnosis->settings. */
extern void perfopt_settings_read(PerfoptDiagnosis *diagnosis);

/* The value in force of a threshold of the running detector. */
extern double perfopt_limit(const PerfoptDiagnosis *diagnosis, const PerfoptThreshold *threshold);

/* The running detector's thresholds with their values and where these come from, as text. */
extern char *perfopt_lineage(const PerfoptDiagnosis *diagnosis);

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

/* Until something is exhausted, in the evidence and as text: '40 s', '2.5 h', '3.1 days'. */
extern void perfopt_evidence_time_left(PerfoptFinding *finding, double seconds);
extern char *perfopt_duration(double seconds);

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

/* SQL that shows the window's samples of a series, as evidence. */
extern void perfopt_evidence_series(PerfoptFinding *finding, const PerfoptFacts *facts,
									const PerfoptSeries *series);

/* The statement with most DB time among what weigh() picks; NULL when none is known by its id. */
extern const PerfoptStatement *perfopt_busiest_statement(const PerfoptFacts *facts,
														 PerfoptWeigh weigh, const void *arg);

#endif /* PERFOPT_FINDING_H */
