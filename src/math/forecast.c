/*
 * forecast.c
 *	  See forecast.h.
 */
#include "math/forecast_private.h"

#include <math.h>
#include <string.h>

#include "math/robust.h"

#define METHODS PERFOPT_FORECAST_METHODS
#define ORIGINS PERFOPT_FORECAST_ORIGINS
#define WEEK 7
#define WEEKS 3        /* as many are wanted before a week is looked at that was not found */
#define LEAST_TESTED 8 /* runs, below which no method is tried */
#define LEAST_DAYS 3   /* moments that are a season apart, else they are packed more tightly */
#define SMALL 0.02     /* of the median: values below it are raised before logarithms are taken */
#define MANY_GAPS 0.25

const PerfoptForecastOptions perfopt_forecast_defaults = { 0.95, -HUGE_VAL, HUGE_VAL, NULL,
														   0,    NULL,      NULL };

static const struct
{
	const char *name;
	PerfoptMethod run;
	bool logs;
	bool repeats; /* says nothing but values that were there */
} methods[METHODS] = {
	{ "autoregression", perfopt_forecast_ar, false, false },
	{ "autoregression of logarithms", perfopt_forecast_ar, true, false },
	{ "autoregression on seasons", perfopt_forecast_ar_seasonal, false, false },
	{ "autoregression of logarithms on seasons", perfopt_forecast_ar_seasonal, true, false },
	{ "seasonal smoothing", perfopt_forecast_smooth, false, false },
	{ "seasonal smoothing of logarithms", perfopt_forecast_smooth, true, false },
	{ "decomposition of logarithms with simple smoothing", perfopt_forecast_ses, true, false },
	{ "decomposition with Theta", perfopt_forecast_theta, false, false },
	{ "decomposition with a damped trend", perfopt_forecast_damped, false, false },
	{ "median of the shortest season", perfopt_forecast_short_median, false, true },
	{ "median of the longest season", perfopt_forecast_long_median, false, true },
};

typedef struct Job
{
	const PerfoptForecastOptions *options;
	PerfoptForecast *forecast;
	double *v; /* from the first value on, divided by 2^exponent so that none is beyond 1 */
	int n;
	int horizon;
	int exponent;
	double minimum; /* the options', divided likewise */
	double maximum;
	PerfoptRuns runs;
	int season[PERFOPT_SEASON_MAX]; /* in runs */
	int seasons;
	double *logs; /* NULL when there are negative values */
	double raised;
	double *actual; /* means of runs, NaN where no value was */
	int steps;      /* runs to forecast */
	int tested;     /* runs forecast from each origin */
	int origins;
	int origin[ORIGINS]; /* runs known there, the latest moment first */
	double *tried;       /* [origin][method][tested] */
	double error[METHODS][ORIGINS];
	PerfoptArena arena;
} Job;

const char *
perfopt_forecast_method(int i)
{
	return i >= 0 && i < METHODS ? methods[i].name : NULL;
}

static bool
is_interrupted(const Job *job)
{
	return job->options->interrupted != NULL && job->options->interrupted(job->options->argument);
}

size_t
perfopt_forecast_scratch(int n, int horizon)
{
	size_t values = n > 0 ? (size_t) (n < PERFOPT_FORECAST_MOST ? n : PERFOPT_FORECAST_MOST) : 0;
	size_t steps = horizon > 0 ? (size_t) horizon : 0;
	size_t runs = values < PERFOPT_FORECAST_VALUES ? values : PERFOPT_FORECAST_VALUES;
	size_t tested = steps < values ? steps : values;

	return sizeof(double) * (2 * values + 3 * runs + METHODS * (ORIGINS * (runs + 1) + steps + 1) +
							 (2 * ORIGINS + 4) * (tested + steps + 2) + 8 * runs + 64 + values +
							 perfopt_season_scratch((int) values));
}

/* The number of runs of a length that the seasons are, as nearly as can be, multiples of. */
static int
choose_factor(int n, const int *season, int seasons)
{
	int least = (n + PERFOPT_FORECAST_VALUES - 1) / PERFOPT_FORECAST_VALUES;
	int longest = seasons > 0 ? season[seasons - 1] : 0;
	int best = least;
	int smallest = longest;

	for (int f = least; least > 1 && longest > 0 && f <= 2 * least; f++)
	{
		int rest = longest % f < f - longest % f ? longest % f : f - longest % f;

		if (rest < smallest)
		{
			smallest = rest;
			best = f;
		}
	}
	return best;
}

static int
find_seasons(Job *job, int *season)
{
	PerfoptSeason found[PERFOPT_SEASON_MAX];
	const PerfoptForecastOptions *o = job->options;
	int count = 0;

	if (o->season == NULL)
	{
		int seasons = perfopt_season_find(job->v, job->n, found, (double *) (void *) job->arena.at);

		for (int i = 0; i < seasons; i++)
			season[count++] = found[i].period;
	}
	else
		for (int i = 0; i < o->seasons; i++)
			if (2 * o->season[i] <= job->n)
				season[count++] = o->season[i];
	job->forecast->seasons = count;
	memcpy(job->forecast->season, season, (size_t) count * sizeof *season);
	return count;
}

static void
take_logarithms(Job *job)
{
	const double *x = job->runs.mean;
	int runs = job->runs.runs;
	double *logs = perfopt_arena_take(&job->arena, (size_t) runs);
	double least = HUGE_VAL;
	double small;

	memcpy(logs, x, (size_t) runs * sizeof *logs);
	small = SMALL * perfopt_median(logs, runs);
	for (int i = 0; i < runs; i++)
		least = fmin(least, x[i]);
	if (least < 0 || least + small <= 0)
		return;
	job->raised = least < small ? small - least : 0;
	job->logs = logs;
	for (int i = 0; i < runs; i++)
		logs[i] = log(x[i] + job->raised);
}

/* Gaps filled, seasons found, runs averaged, logarithms taken. */
static void
prepare(Job *job)
{
	PerfoptRuns *r = &job->runs;
	double *fine = perfopt_arena_take(&job->arena, (size_t) job->n);
	int season[PERFOPT_SEASON_MAX];
	int seasons = find_seasons(job, season);

	memcpy(fine, job->v, (size_t) job->n * sizeof *fine);
	perfopt_forecast_fill(fine, job->n, seasons > 0 ? season[0] : 0);
	r->fine = fine;
	r->n = job->n;
	r->factor = choose_factor(job->n, season, seasons);
	r->runs = job->n / r->factor;
	r->mean = perfopt_arena_take(&job->arena, (size_t) r->runs);
	job->actual = perfopt_arena_take(&job->arena, (size_t) r->runs);
	perfopt_forecast_average(fine, job->n, r->factor, r->mean);
	perfopt_forecast_average(job->v, job->n, r->factor, job->actual);
	for (int k = 0; k < seasons; k++)
	{
		int period = (season[k] + r->factor / 2) / r->factor;

		if (period >= PERFOPT_SEASON_LEAST)
			job->season[job->seasons++] = period;
	}
	perfopt_forecast_clean(r->mean, r->runs, job->seasons > 0 ? job->season[0] : 0, job->arena);
	if (job->seasons == 1 && r->runs / WEEKS / WEEK >= job->season[0])
		job->season[job->seasons++] = WEEK * job->season[0];
	take_logarithms(job);
	perfopt_forecast_learn_detail(r, season, seasons, job->arena);
	job->steps = (job->horizon + r->factor - 1) / r->factor;
}

/* Earlier moments: a season apart if there is room, else as many as there is room for. */
static void
choose_origins(Job *job)
{
	int runs = job->runs.runs;
	int room;
	int stride;

	if (runs < LEAST_TESTED)
		return;
	job->tested = job->steps < runs / 3 ? job->steps : runs / 3;
	room = runs - job->tested - runs / 2;
	stride = job->seasons > 0 && room / job->season[0] >= LEAST_DAYS ? job->season[0]
																	 : room / (ORIGINS - 1);
	if (stride < 1)
		stride = 1;
	while (job->origins < ORIGINS && job->origins * stride <= room)
	{
		job->origin[job->origins] = runs - job->tested - job->origins * stride;
		job->origins++;
	}
}

/* One method's forecast of what follows the first `known` runs. */
static void
forecast_by(const Job *job, int m, int known, int steps, double *out)
{
	PerfoptHistory h = { methods[m].logs ? job->logs : job->runs.mean, known, { 0 }, 0 };

	for (int k = 0; k < job->seasons; k++)
		if (2 * job->season[k] <= known)
			h.season[h.seasons++] = job->season[k];
	methods[m].run(&h, steps, out, job->arena);
	for (int i = 0; i < steps; i++)
	{
		if (methods[m].logs)
			out[i] = exp(out[i]) - job->raised;
		if (!isfinite(out[i]))
			out[i] = job->runs.mean[known - 1];
		out[i] = fmax(job->minimum, fmin(job->maximum, out[i]));
	}
}

static bool
usable(const Job *job, int m)
{
	if (methods[m].logs && job->logs == NULL)
		return false;
	return methods[m].repeats || !(job->forecast->limits & PERFOPT_FORECAST_INTERMITTENT);
}

static double *
tried(const Job *job, int o, int m)
{
	return job->tried + ((size_t) o * METHODS + (size_t) m) * (size_t) job->tested;
}

static bool
try_methods(Job *job)
{
	job->tried =
		perfopt_arena_take(&job->arena, (size_t) (job->origins * METHODS) * (size_t) job->tested);
	for (int m = 0; m < METHODS; m++)
		for (int o = 0; o < job->origins; o++)
		{
			double *out = tried(job, o, m);
			double sum = 0;
			int count = 0;

			if (is_interrupted(job))
				return false;
			job->error[m][o] = HUGE_VAL;
			if (!usable(job, m))
			{
				memset(out, 0, (size_t) job->tested * sizeof *out);
				continue;
			}
			forecast_by(job, m, job->origin[o], job->tested, out);
			for (int i = 0; i < job->tested; i++)
				if (isfinite(job->actual[job->origin[o] + i]))
				{
					sum += fabs(out[i] - job->actual[job->origin[o] + i]);
					count++;
				}
			job->error[m][o] = count > 0 ? sum / count : 0;
		}
	return true;
}

/* out: the combination of the methods' forecasts, one after another in `each`. */
static void
combine(const double *each, const double *weight, int steps, double *out)
{
	for (int i = 0; i < steps; i++)
	{
		double value[METHODS];

		for (int m = 0; m < METHODS; m++)
			value[m] = each[(size_t) m * (size_t) steps + (size_t) i];
		out[i] = perfopt_forecast_middle(value, weight);
	}
}

/* The bounds, from what the combination would have been off by at the earlier moments. */
static void
test_combination(Job *job, PerfoptArena arena)
{
	PerfoptForecast *f = job->forecast;
	const PerfoptRuns *r = &job->runs;
	int offset = r->n % r->factor;
	int tested = job->tested * r->factor < job->horizon ? job->tested * r->factor : job->horizon;
	double *error = perfopt_arena_take(&arena, (size_t) tested * (size_t) job->origins);
	double *middle = perfopt_arena_take(&arena, (size_t) job->tested);
	double distinct = 1;
	double sum = 0;
	int count = 0;

	for (int o = 0; o < job->origins; o++)
	{
		double weight[METHODS];
		double *e = error + (size_t) o * (size_t) tested;

		perfopt_forecast_weigh(job->error, job->origins, o, weight);
		combine(tried(job, o, 0), weight, job->tested, middle);
		perfopt_forecast_expand(r, job->origin[o], middle, job->tested, tested, e);
		for (int i = 0; i < tested; i++)
		{
			e[i] = job->v[offset + job->origin[o] * r->factor + i] - e[i];
			if (isfinite(e[i]))
			{
				sum += fabs(e[i]);
				count++;
			}
		}
	}
	f->error = count > 0 ? sum / count : NAN;
	if (job->origins > 1)
		distinct +=
			fmin(1, (double) (job->origin[0] - job->origin[1]) / job->tested) * (job->origins - 1);
	perfopt_forecast_spread(error, job->origins, tested, distinct, job->horizon,
							job->options->level, f->lower, f->upper, arena);
}

static bool
forecast_tested(Job *job)
{
	PerfoptForecast *f = job->forecast;
	PerfoptArena arena;
	double *each;
	double *middle;

	if (!try_methods(job))
		return false;
	arena = job->arena;
	each = perfopt_arena_take(&job->arena, (size_t) METHODS * (size_t) job->steps);
	middle = perfopt_arena_take(&job->arena, (size_t) job->steps);
	perfopt_forecast_weigh(job->error, job->origins, -1, f->weight);
	memset(each, 0, (size_t) METHODS * (size_t) job->steps * sizeof *each);
	for (int m = 0; m < METHODS; m++)
	{
		if (is_interrupted(job))
			return false;
		if (f->weight[m] > 0)
			forecast_by(job, m, job->runs.runs, job->steps,
						each + (size_t) m * (size_t) job->steps);
	}
	combine(each, f->weight, job->steps, middle);
	perfopt_forecast_expand(&job->runs, job->runs.runs, middle, job->steps, job->horizon, f->value);
	test_combination(job, arena);
	return true;
}

/* The last season, or value, goes on: all that can be said of few values. */
static void
forecast_untested(Job *job)
{
	PerfoptForecast *f = job->forecast;
	int season = job->seasons > 0 ? job->season[0] : 0;
	PerfoptHistory h = { job->runs.mean, job->runs.runs, { season }, season > 0 };

	perfopt_forecast_repeat(&h, job->horizon, f->value, job->arena);
	perfopt_forecast_spread_walk(job->runs.mean, job->runs.runs, season, job->horizon,
								 job->options->level, f->lower, f->upper);
}

static bool
valid(int n, int horizon, const PerfoptForecastOptions *o)
{
	if (n < 0 || horizon < 1 || horizon > PERFOPT_FORECAST_MOST ||
		!(o->level > 0 && o->level < 1) || !(o->minimum <= o->maximum) || o->seasons < 0 ||
		o->seasons > PERFOPT_SEASON_MAX)
		return false;
	for (int i = 0; i < o->seasons && o->season != NULL; i++)
		if (o->season[i] < PERFOPT_SEASON_LEAST || (i > 0 && o->season[i] <= o->season[i - 1]))
			return false;
	return true;
}

/* Takes the values over, from the first that there is; returns how many there are. */
static int
take_over(Job *job, const double *v, int n)
{
	double most = 0;
	int first = n > PERFOPT_FORECAST_MOST ? n - PERFOPT_FORECAST_MOST : 0;
	int count = 0;

	while (first < n && !isfinite(v[first]))
		first++;
	job->n = n - first;
	job->v = perfopt_arena_take(&job->arena, (size_t) job->n);
	for (int i = 0; i < job->n; i++)
		if (isfinite(v[first + i]))
		{
			most = fmax(most, fabs(v[first + i]));
			count++;
		}
	(void) frexp(most, &job->exponent);
	for (int i = 0; i < job->n; i++)
		job->v[i] = isfinite(v[first + i]) ? ldexp(v[first + i], -job->exponent) : NAN;
	job->minimum = ldexp(job->options->minimum, -job->exponent);
	job->maximum = ldexp(job->options->maximum, -job->exponent);
	return count;
}

static void
look_for_sameness(Job *job, int count)
{
	double *sorted = (double *) (void *) job->arena.at;
	double median;
	int same = 0;

	memcpy(sorted, job->v, (size_t) job->n * sizeof *sorted);
	median = perfopt_median(sorted, job->n);
	for (int i = 0; i < job->n; i++)
		same += job->v[i] == median;
	if (same == count)
		job->forecast->limits |= PERFOPT_FORECAST_CONSTANT;
	else if (2 * same > count)
		job->forecast->limits |= PERFOPT_FORECAST_INTERMITTENT;
	if (count < (1 - MANY_GAPS) * job->n)
		job->forecast->limits |= PERFOPT_FORECAST_GAPS;
}

static bool
compute(Job *job)
{
	PerfoptForecast *f = job->forecast;

	prepare(job);
	choose_origins(job);
	f->origins = job->origins;
	if (f->seasons == 0)
		f->limits |= PERFOPT_FORECAST_NO_SEASON;
	if (job->origins == 0)
		f->limits |= PERFOPT_FORECAST_UNTESTED;
	else if (job->origins < 4)
		f->limits |= PERFOPT_FORECAST_FEW_TESTS;
	if (job->origins > 0 && job->tested < job->steps)
		f->limits |= PERFOPT_FORECAST_FAR;
	if (job->origins == 0)
		forecast_untested(job);
	else if (!forecast_tested(job))
		return false;
	for (int i = 0; i < job->horizon; i++)
	{
		double value = fmax(job->minimum, fmin(job->maximum, f->value[i]));

		f->lower[i] = ldexp(fmax(job->minimum, value + f->lower[i]), job->exponent);
		f->upper[i] = ldexp(fmin(job->maximum, value + f->upper[i]), job->exponent);
		f->value[i] = ldexp(value, job->exponent);
	}
	f->error = ldexp(f->error, job->exponent);
	return true;
}

PerfoptForecastStatus
perfopt_forecast(const double *v, int n, int horizon, const PerfoptForecastOptions *options,
				 PerfoptForecast *forecast, void *scratch)
{
	Job job = { .options = options, .forecast = forecast, .horizon = horizon };
	PerfoptForecastStatus status = PERFOPT_FORECAST_OK;
	int count;

	forecast->limits = 0;
	forecast->seasons = 0;
	forecast->origins = 0;
	forecast->error = NAN;
	memset(forecast->weight, 0, sizeof forecast->weight);
	if (!valid(n, horizon, options))
		status = PERFOPT_FORECAST_ARGUMENT;
	else
	{
		job.arena.at = scratch;
		count = take_over(&job, v, n);
		if (count < PERFOPT_FORECAST_LEAST)
			status = PERFOPT_FORECAST_TOO_SHORT;
		else
		{
			look_for_sameness(&job, count);
			if (is_interrupted(&job) || !compute(&job))
				status = PERFOPT_FORECAST_INTERRUPTED;
		}
	}
	for (int i = 0; i < horizon && status != PERFOPT_FORECAST_OK; i++)
		forecast->value[i] = forecast->lower[i] = forecast->upper[i] = NAN;
	return status;
}
