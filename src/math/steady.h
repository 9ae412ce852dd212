/*
 * steady.h
 *	  Where warm-up ends and whether what follows is a steady state, from one value a second.
 *
 * The cut is MSER-5's (White, Simulation 69(6), 1997; White, Cobb, Spratt, Winter Simulation
 * Conference 2000): of the means of k batches of 5, those before d are left out where d is such that
 *
 *		sum over j >= d of (Y[j] - mean of them)^2 / (k - d)^2
 *
 * is least.  Only d <= k / 2 that leave at least 6 batches with a value are looked at, since with few
 * the sum is small by chance.
 *
 * MSER always finds a cut, so the rest must prove itself.  It is added up into PERFOPT_STEADY_BATCHES
 * runs of neighbours or fewer, which resemble each other less than seconds do (see ratio.h), and
 * there is no steady state if, for throughput or p95,
 *
 *	- the Theil-Sen slope, over the whole rest, amounts to a drift beyond the margin (a share of the
 *	  rest's median), or
 *	- the mean of the second half differs from that of the first by more than the margin (a share
 *	  of the first's; Student's t with the batches' pooled variance).
 *
 * "Beyond" means that the whole interval is, at PERFOPT_STEADY_LEVEL: STEADY says that there is no
 * evidence against it.  How often noise alone is taken for a drift, and how often a linear drift by
 * 40 % over the whole series is found (simulated; noise in throughput and p95 independent of each
 * other, with autocorrelation rho from one second to the next):
 *
 *		seconds		noise 10 %, p95 20 %		noise 3 %, p95 10 %
 *					rho 0.5		rho 0.8			no drift	drift by 40 % (rho 0.5)
 *		60			2.6 %		8 %				0.4 %		55 %
 *		120			1.0 %		9 %				0.0 %		99 %
 *		300			0.4 %		1.4 %			0.0 %		100 %
 *
 * Pure C: no PostgreSQL, no allocation.
 */
#ifndef PERFOPT_STEADY_H
#define PERFOPT_STEADY_H

#define PERFOPT_STEADY_MIN 60 /* seconds: shorter series are too short */
#define PERFOPT_STEADY_BATCHES 20
#define PERFOPT_STEADY_LEVEL 0.95

/* Those of a regression verdict, so that drift is no greater than what is called a difference. */
#define PERFOPT_STEADY_THROUGHPUT_MARGIN 0.05
#define PERFOPT_STEADY_P95_MARGIN 0.10

/* Of two series' verdicts the greater counts. */
typedef enum PerfoptSteadyVerdict
{
	PERFOPT_STEADY,
	PERFOPT_STEADY_TOO_SHORT,
	PERFOPT_NO_STEADY_STATE
} PerfoptSteadyVerdict;

/* What the rest does, as shares: 0.1 for a rise by a tenth.  NaN when too short or all is zero. */
typedef struct PerfoptDrift
{
	double slope;  /* from its beginning to its end */
	double halves; /* from its first half to its second */
} PerfoptDrift;

typedef struct PerfoptSteady
{
	PerfoptSteadyVerdict verdict;
	int from; /* index of the first second kept, a multiple of 5; 0 when too short to cut */
	PerfoptDrift throughput;
	PerfoptDrift p95;
} PerfoptSteady;

/*
 * Index of the first value to keep, or -1 with fewer than 6 batches that have a value.  Values that
 * are not finite are left out of their batch; a last batch of fewer than five is not looked at.
 */
extern int perfopt_mser5(const double *v, int n);

/*
 * One value a second from the first to the last; NaN where there was none, such as the p95 of a
 * second in which nothing ended.  p95 may be NULL: then throughput alone decides.  The later of
 * their cuts counts for both.  Too short is also what has values in fewer than 6 of the batches
 * behind the cut, or in fewer than 2 of a half of them.
 */
extern PerfoptSteady perfopt_steady(const double *throughput, const double *p95, int n);

#endif /* PERFOPT_STEADY_H */
