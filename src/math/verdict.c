/*
 * verdict.c
 *	  See verdict.h.
 */
#include "math/verdict.h"

#include <math.h>

#include "math/ranktest.h"
#include "math/student.h"

/* Far below what a histogram tells apart, and above what logarithms are rounded to. */
#define UNSEEN_DIFFERENCE 1e-9

static int
lesser(int a, int b)
{
	return a < b ? a : b;
}

PerfoptChange
perfopt_no_change_known(void)
{
	return (PerfoptChange){ .n = 0, .estimate = NAN, .low = NAN, .high = NAN, .p_value = NAN };
}

/* The width is at least that of +- least, whatever the spread. */
static PerfoptChange
from_student(int n, double estimate, double error, double df, double least)
{
	PerfoptChange change = {
		.n = n, .estimate = estimate, .low = NAN, .high = NAN, .p_value = NAN
	};
	double t = perfopt_student_quantile((1 + PERFOPT_VERDICT_LEVEL) / 2, df);

	if (!isfinite(estimate) || !isfinite(error) || !isfinite(t))
		return change;
	error = fmax(error, least / t);
	change.low = estimate - t * error;
	change.high = estimate + t * error;
	if (error > 0)
		change.p_value = perfopt_student_two_sided(estimate / error, df);
	else
		change.p_value = estimate == 0 ? 1 : 0;
	return change;
}

static bool
positive(double value)
{
	return value > 0 && isfinite(value);
}

/* Of the logarithms of what is positive. */
typedef struct Moments
{
	int n;
	double mean;
	double variance; /* NaN of fewer than two */
} Moments;

static Moments
moments_of_logs(const double *v, int n)
{
	Moments m = { 0, 0, NAN };
	double squares = 0;

	for (int i = 0; i < n; i++)
	{
		double from_mean;

		if (!positive(v[i]))
			continue;
		from_mean = log(v[i]) - m.mean;
		m.n++;
		m.mean += from_mean / m.n;
		squares += from_mean * (log(v[i]) - m.mean);
	}
	if (m.n > 1)
		m.variance = squares / (m.n - 1);
	return m;
}

/* Shares of all events among all trials, and how far units are from them. */
static double
share_of(const PerfoptShare *v, int n, double *trials)
{
	double events = 0;

	*trials = 0;
	for (int i = 0; i < n; i++)
	{
		events += v[i].events;
		*trials += v[i].trials;
	}
	return *trials > 0 ? events / *trials : NAN;
}

static double
residual(const PerfoptShare *v, double share, double mean_trials)
{
	return (v->events - share * v->trials) / mean_trials;
}

static double
least_half_width(double trials_a, double trials_b)
{
	return log(2 / (1 - PERFOPT_VERDICT_LEVEL)) / fmin(trials_a, trials_b);
}

/* Welch's approximate degrees of freedom, from the variances of two means. */
static double
welch_df(double va, int na, double vb, int nb)
{
	double sum = va + vb;

	/* without any spread it does not matter */
	if (!(sum > 0))
		return na + nb - 2;
	return sum * sum / (va * va / (na - 1) + vb * vb / (nb - 1));
}

PerfoptChange
perfopt_change_of_pairs(const double *a, const double *b, int n, double *scratch)
{
	double *difference = scratch + n;
	PerfoptChange change = perfopt_no_change_known();
	PerfoptSignedRank ranks;
	int zeros = 0;

	for (int i = 0; i < n; i++)
	{
		double d;

		if (!positive(a[i]) || !positive(b[i]))
			continue;
		d = log(b[i] / a[i]);
		/* By turns up and down, none like another, so that they favour neither side. */
		if (fabs(d) < UNSEEN_DIFFERENCE)
		{
			zeros++;
			d = (zeros % 2 ? 1 : -1) * UNSEEN_DIFFERENCE * zeros / n;
		}
		difference[change.n++] = d;
	}
	if (change.n == 0)
		return change;
	ranks = perfopt_signed_rank(difference, change.n, PERFOPT_VERDICT_LEVEL, scratch);
	change.estimate = ranks.estimate;
	change.low = ranks.low;
	change.high = ranks.high;
	change.p_value = ranks.p_value;
	return change;
}

PerfoptChange
perfopt_change_of_batches(double estimate, const double *a, int na, const double *b, int nb)
{
	Moments ma = moments_of_logs(a, na);
	Moments mb = moments_of_logs(b, nb);
	double va = ma.variance / ma.n;
	double vb = mb.variance / mb.n;

	return from_student(lesser(ma.n, mb.n), estimate, sqrt(va + vb), welch_df(va, ma.n, vb, mb.n),
						0);
}

PerfoptChange
perfopt_change_of_runs(const double *former, int n, const double *new_runs, int m)
{
	Moments old = moments_of_logs(former, n);
	Moments new = moments_of_logs(new_runs, m);
	PerfoptChange change;

	if (old.n == 0 || new.n == 0)
		return perfopt_no_change_known();
	change = from_student(new.n, new.mean - old.mean,
						  sqrt(old.variance * (1.0 / new.n + 1.0 / old.n)), old.n - 1, 0);
	change.fixed = 1.0 / old.n;
	return change;
}

PerfoptChange
perfopt_share_change_of_pairs(const PerfoptShare *a, const PerfoptShare *b, int n)
{
	double trials_a;
	double trials_b;
	double share_a = share_of(a, n, &trials_a);
	double share_b = share_of(b, n, &trials_b);
	double squares = 0;

	for (int i = 0; i < n; i++)
	{
		double d = residual(&b[i], share_b, trials_b / n) - residual(&a[i], share_a, trials_a / n);

		squares += d * d;
	}
	return from_student(n, share_b - share_a, sqrt(squares / (n - 1.0) / n), n - 1,
						least_half_width(trials_a, trials_b));
}

/* Variance of the share of all units, which are independent. */
static double
share_variance(const PerfoptShare *v, int n, double share, double trials)
{
	double squares = 0;

	for (int i = 0; i < n; i++)
	{
		double d = residual(&v[i], share, trials / n);

		squares += d * d;
	}
	return squares / (n - 1.0) / n;
}

PerfoptChange
perfopt_share_change_of_batches(const PerfoptShare *a, int na, const PerfoptShare *b, int nb)
{
	double trials_a;
	double trials_b;
	double share_a = share_of(a, na, &trials_a);
	double share_b = share_of(b, nb, &trials_b);
	double va = share_variance(a, na, share_a, trials_a);
	double vb = share_variance(b, nb, share_b, trials_b);

	return from_student(lesser(na, nb), share_b - share_a, sqrt(va + vb), welch_df(va, na, vb, nb),
						least_half_width(trials_a, trials_b));
}

PerfoptChange
perfopt_share_change_of_runs(const PerfoptShare *former, int n, const PerfoptShare *new_runs, int m)
{
	double trials_old;
	double trials_new;
	double share_old = share_of(former, n, &trials_old);
	double share_new = share_of(new_runs, m, &trials_new);
	double variance = share_variance(former, n, share_old, trials_old) * n;
	PerfoptChange change =
		from_student(m, share_new - share_old, sqrt(variance * (1.0 / m + 1.0 / n)), n - 1,
					 least_half_width(trials_old, trials_new));

	change.fixed = 1.0 / n;
	return change;
}

PerfoptMargin
perfopt_margin_of_ratio(double share, bool fall_is_worse)
{
	double up = log(1 + share);
	double down = -log(1 - share);

	return (PerfoptMargin){ fall_is_worse, fall_is_worse ? down : up, fall_is_worse ? up : down };
}

/* The same change seen so that up is worse. */
static PerfoptChange
oriented(const PerfoptChange *change, const PerfoptMargin *margin)
{
	PerfoptChange turned = *change;

	if (margin->fall_is_worse)
	{
		turned.estimate = -change->estimate;
		turned.low = -change->high;
		turned.high = -change->low;
	}
	return turned;
}

PerfoptVerdict
perfopt_verdict(const PerfoptChange *change, double p_value, const PerfoptMargin *margin,
				PerfoptEvidence evidence)
{
	PerfoptChange c = oriented(change, margin);
	bool against_former =
		evidence == PERFOPT_EVIDENCE_ONE_RUN || evidence == PERFOPT_EVIDENCE_RERUNS;
	bool sure = p_value < PERFOPT_VERDICT_P;
	bool repeated = evidence == PERFOPT_EVIDENCE_SLOTS || evidence == PERFOPT_EVIDENCE_RERUNS;

	if (sure && c.low > margin->worse)
		return repeated ? PERFOPT_REGRESSION : PERFOPT_SUSPECT;
	if (sure && repeated && c.high < -margin->better)
		return PERFOPT_IMPROVEMENT;
	/* Outside of what former runs predict, and by more than the margin. */
	if (against_former && c.low > 0 && c.estimate > margin->worse)
		return PERFOPT_SUSPECT;
	if (c.high < margin->worse)
		return PERFOPT_NO_REGRESSION;
	return PERFOPT_INCONCLUSIVE;
}

const char *
perfopt_verdict_name(PerfoptVerdict verdict)
{
	static const char *const names[] = {
		[PERFOPT_INCONCLUSIVE] = "INCONCLUSIVE", [PERFOPT_NO_REGRESSION] = "NO_REGRESSION",
		[PERFOPT_SUSPECT] = "SUSPECT",           [PERFOPT_REGRESSION] = "REGRESSION",
		[PERFOPT_IMPROVEMENT] = "IMPROVEMENT",
	};

	return names[verdict];
}

int
perfopt_units_needed(const PerfoptChange *change, const PerfoptMargin *margin)
{
	PerfoptChange c = oriented(change, margin);
	double gap = fabs(c.estimate - margin->worse);
	double half = c.estimate > margin->worse ? c.estimate - c.low : c.high - c.estimate;
	double per_unit; /* 1/n so far that the width stands for the gap */
	double needed;

	if (change->n < 1 || !isfinite(half) || !isfinite(gap))
		return 0;
	if (half == 0)
		return change->n + 1;
	per_unit = gap * gap / (half * half) * (1.0 / change->n + change->fixed) - change->fixed;
	needed = ceil(1 / per_unit);
	if (!(per_unit > 0) || needed > PERFOPT_VERDICT_MOST_UNITS)
		return 0;
	return needed > change->n ? (int) needed : change->n + 1;
}
