/*
 * verdict.h
 *	  Did it get worse?  The change from one side of a comparison to the other with its interval, and
 *	  what may be said of it beside a margin.
 *
 * A change is the natural logarithm of b / a, or b - a for shares such as that of errors, which may be
 * zero.  Its interval is at PERFOPT_VERDICT_LEVEL.  What it rests on is never a transaction, since
 * transactions resemble each other; it is one of
 *
 *	- pairs: slots of a and b one after the other in random order.  Wilcoxon's signed rank and the
 *	  Hodges-Lehmann estimate, see ranktest.h; for shares the paired difference of two ratio estimators
 *	  (Cochran, Sampling Techniques, 3rd ed. 1977, section 2.11) with Student's t.  Whatever
 *	  moves both slots of a pair alike falls out, so this alone can blame what differs between a and b.
 *	- batches: stretches of several seconds of one run each.  Welch's t (Biometrika 34, 1947) on batch
 *	  means (Schmeiser, Operations Research 30(3), 1982).  By how much two runs of the same differ from
 *	  each other is not in it.
 *	- runs: m new ones against the prediction interval of n former ones, see student.h.
 *
 * Few events leave a share's spread at zero by chance, so its interval is at least as wide as that for
 * none among as many trials: ln(2 / (1 - level)) / trials (the "rule of three", there at 95 %
 * one-sided: Hanley, Lippman-Hand, JAMA 249, 1983).
 *
 * Pure C: no PostgreSQL, no allocation: scratch memory is the caller's.
 */
#ifndef PERFOPT_VERDICT_H
#define PERFOPT_VERDICT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PERFOPT_VERDICT_LEVEL 0.95
#define PERFOPT_VERDICT_P 0.05 /* adjusted p-values must be below for a difference */

/* Beyond this many units a number that would decide is as good as none. */
#define PERFOPT_VERDICT_MOST_UNITS 1000000

typedef struct PerfoptChange
{
	int n; /* units that the interval rests on: pairs, batches of the shorter side, new runs */
	double estimate; /* NaN when it is not known */
	double low;      /* NaN or infinite when there are too few units */
	double high;
	double p_value; /* two-sided, of no change at all; NaN when nothing is known */
	double fixed;   /* the interval's width is proportional to sqrt(1/n + fixed) */
} PerfoptChange;

/* Events among trials: errors among calls. */
typedef struct PerfoptShare
{
	double events;
	double trials;
} PerfoptShare;

/* How many doubles perfopt_change_of_pairs() wants as scratch. */
#define PERFOPT_PAIRS_SCRATCH(n) (2 * (size_t) (n))

/*
 * Positive values, a[i] and b[i] of the same pair; pairs with another value are left out.  Differences
 * of zero count, unlike in ranktest.h: values come from a histogram's buckets, so that equal ones say
 * that the difference is small.
 */
extern PerfoptChange perfopt_change_of_pairs(const double *a, const double *b, int n,
											 double *scratch);

/* Positive values; the estimate is the caller's, who knows the whole runs. */
extern PerfoptChange perfopt_change_of_batches(double estimate, const double *a, int na,
											   const double *b, int nb);

/* Positive values of n former runs and of m new ones. */
extern PerfoptChange perfopt_change_of_runs(const double *former, int n, const double *new_runs,
											int m);

/* The same of shares; b - a in shares. */
extern PerfoptChange perfopt_share_change_of_pairs(const PerfoptShare *a, const PerfoptShare *b,
												   int n);
extern PerfoptChange perfopt_share_change_of_batches(const PerfoptShare *a, int na,
													 const PerfoptShare *b, int nb);
extern PerfoptChange perfopt_share_change_of_runs(const PerfoptShare *former, int n,
												  const PerfoptShare *new_runs, int m);

/* Nothing is known. */
extern PerfoptChange perfopt_no_change_known(void);

/* How much is too much, on the scale of the change; both are positive. */
typedef struct PerfoptMargin
{
	bool fall_is_worse;
	double worse;
	double better;
} PerfoptMargin;

/* Of a ratio: 0.05 is worse by 5 %, up or down, and better by 5 % likewise. */
extern PerfoptMargin perfopt_margin_of_ratio(double share, bool fall_is_worse);

/* What can be said at most depends on where the change comes from. */
typedef enum PerfoptEvidence
{
	PERFOPT_EVIDENCE_TWO_RUNS, /* a regression is a suspicion, an improvement no regression */
	PERFOPT_EVIDENCE_ONE_RUN,  /* beside former runs: suspicious as soon as it is beyond them */
	PERFOPT_EVIDENCE_RERUNS,   /* several new runs beside former ones */
	PERFOPT_EVIDENCE_SLOTS
} PerfoptEvidence;

typedef enum PerfoptVerdict
{
	PERFOPT_INCONCLUSIVE,
	PERFOPT_NO_REGRESSION, /* the whole interval is on the good side of the margin */
	PERFOPT_SUSPECT,
	PERFOPT_REGRESSION, /* the whole interval is beyond the margin, and p is small */
	PERFOPT_IMPROVEMENT /* likewise on the other side */
} PerfoptVerdict;

/* p_value is the change's, adjusted for all that is asked at once (fdr.h). */
extern PerfoptVerdict perfopt_verdict(const PerfoptChange *change, double p_value,
									  const PerfoptMargin *margin, PerfoptEvidence evidence);
extern const char *perfopt_verdict_name(PerfoptVerdict verdict);

/*
 * How many units would put the margin outside the interval, if estimate and spread stayed as they are;
 * at least n + 1.  0 when that is not known, or when PERFOPT_VERDICT_MOST_UNITS would not do.
 */
extern int perfopt_units_needed(const PerfoptChange *change, const PerfoptMargin *margin);

#endif /* PERFOPT_VERDICT_H */
