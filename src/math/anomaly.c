/*
 * anomaly.c
 *	  See anomaly.h.
 */
#include "math/anomaly.h"

#include <float.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#define MAGIC UINT32_C(0x414e6f01) /* changes with the layout; its bytes tell byte order */
#define RECENT PERFOPT_ANOMALY_RECENT
#define WARM_UP PERFOPT_ANOMALY_WARM_UP
#define NO_SEASON 288 /* whose shares times are when there is none */

/*
 * One setting for all series, found on the development halves of two labelled sets that rank detectors
 * nearly in reverse and on simulated noise, which must stay quiet (see docs/math.md).  Each may be 40 %
 * off at a loss of a few per cent.
 */
#define CUT 4.0        /* scales: what is further off moves centre and scale no more than this */
#define HORIZON 800.0  /* values over which centre and scale forget */
#define MEMORY 3.0     /* seasons over which the range forgets what does not happen again */
#define SURPRISE 0.025 /* share of the expected width: this far beyond it is an anomaly */
#define MOST_SURPRISE 1e12 /* where nothing has ever moved */
#define SILENCE 0.33       /* seasons, after an anomaly */
#define LEAST_SILENCE 5    /* steps */
#define LOUDER 100.0       /* times as surprising as the anomaly before: breaks the silence */
#define GAIN 0.3           /* of what is unexplained, that a place of the season's profile learns */
#define GAIN_LONGER 0.6    /* and of the longer season's */
#define UNSURE 0.3         /* of the distance that it explains, that a season is wrong by */
#define REST_STEPS 16.0    /* over which what is unexplained is averaged */
#define FLAT 36.0          /* steps: shorter runs of equal values are no flat line */
#define FLAT_TIMES 5.0     /* nor are those less than so many times the longest before */
#define DUST 0.01          /* share of the level */
#define DUST_SPREAD 0.7    /* of the logarithm: to twice the spread or half of it */
#define QUIET 0.25 /* scales of the value, added to a spread before its logarithm is taken */

#define SEASONS 2
#define MOST_PLACES 720 /* of the shorter season's profile */
#define MOST_PLACES_LONGER (PERFOPT_ANOMALY_MOST_PLACES - MOST_PLACES)

typedef enum Watched
{
	VALUE,
	CHANGE,
	MEAN,
	SPREAD,
	REST, /* what the seasons leave unexplained */
	REST_MEAN,
	WATCHED
} Watched;

static const struct
{
	double limit; /* scales from the centre that are always expected */
	PerfoptAnomalyKind kind;
} watched[WATCHED] = {
	[VALUE] = { 5, PERFOPT_ANOMALY_SPIKE }, [CHANGE] = { 7, PERFOPT_ANOMALY_SPIKE },
	[MEAN] = { 5, PERFOPT_ANOMALY_LEVEL },  [SPREAD] = { 5, PERFOPT_ANOMALY_SPREAD },
	[REST] = { 10, PERFOPT_ANOMALY_SPIKE }, [REST_MEAN] = { 6, PERFOPT_ANOMALY_LEVEL },
};

typedef struct Figure
{
	double centre;
	double scale;
	double low; /* of earlier seasons */
	double high;
	double low_now; /* of this one */
	double high_now;
	int64_t seen; /* how often */
} Figure;

typedef struct State
{
	uint32_t magic;
	uint32_t check;
	int32_t season[SEASONS]; /* the shorter and the longer; 0 for none */
	int64_t step;            /* gaps included */
	int64_t seen;            /* values */
	int64_t fresh;           /* values since the last gap of RECENT steps */
	int64_t gap;             /* steps since the last value */
	int64_t silent;          /* steps left without an anomaly */
	int64_t equal;           /* values like the last one, in a row */
	int64_t longest;         /* such run, before this one */
	double dust;
	double before;      /* the last value */
	double loudest;     /* the surprise that the silence is for */
	double rest;        /* what the seasons leave unexplained of it; HUGE_VAL when that is all */
	double rest_mean;   /* of the last few */
	double unsure_mean; /* and how unsure the season is of it */
	double recent[RECENT];
	Figure figure[WATCHED];
	float profile[]; /* NaN where nothing has been seen yet */
} State;

static int
places_of(int season, int most)
{
	return season < most ? season : most;
}

static int
places(int season, int longer)
{
	return places_of(season, MOST_PLACES) + places_of(longer, MOST_PLACES_LONGER);
}

size_t
perfopt_anomaly_size(int season, int longer)
{
	if (season < 0 || (longer != 0 && longer <= season) || (longer != 0 && season == 0))
		return 0;
	return sizeof(State) + (size_t) places(season, longer) * sizeof(float);
}

bool
perfopt_anomaly_init(void *state, size_t size, int season, int longer, double dust)
{
	State *s = state;
	size_t needed = perfopt_anomaly_size(season, longer);

	if (needed == 0 || size < needed || !(dust >= 0 && isfinite(dust)))
		return false;
	memset(s, 0, needed);
	s->magic = MAGIC;
	s->season[0] = season;
	s->season[1] = longer;
	s->dust = dust;
	for (int i = places(season, longer) - 1; i >= 0; i--)
		s->profile[i] = NAN;
	return true;
}

static double
clamp(double x, double limit)
{
	return fmax(-limit, fmin(limit, x));
}

/* Times are shares of the season, or of what stands for it. */
static int
span(const State *s)
{
	return s->season[0] > 0 ? s->season[0] : NO_SEASON;
}

/* Whether what has been seen so often is known well enough to be surprised. */
static bool
is_warm(const State *s, int64_t seen)
{
	return seen >= WARM_UP && seen >= s->season[0];
}

/* Differences up to this are none. */
static double
dust_of(const State *s)
{
	return fmax(s->dust, DUST * fabs(s->figure[VALUE].centre));
}

/*
 * How far x is beyond what is expected, as a multiple of what makes an anomaly.  What is within `band`
 * of the centre is always expected.
 */
static double
surprise(const Figure *f, double x, double band)
{
	double low = fmin(fmin(f->low, f->low_now), f->centre - band);
	double high = fmax(fmax(f->high, f->high_now), f->centre + band);
	double beyond = fmax(x - high, low - x);

	return beyond > 0 ? fmin(beyond / (SURPRISE * (high - low)), MOST_SURPRISE) : 0;
}

/*
 * The range fades only between seasons, and after the season's own extremes are in it, so that what
 * happens each day is known as well at the end of the day as at its beginning.
 */
static void
fade(Figure *f, double x)
{
	double share = 1 - exp(-1 / MEMORY);

	f->high = fmax(f->high_now, f->high - share * fmax(f->high - f->centre, 0));
	f->low = fmin(f->low_now, f->low + share * fmax(f->centre - f->low, 0));
	f->high_now = f->low_now = x;
}

static void
learn(Figure *f, double x, int season)
{
	double share = fmax(1 / HORIZON, 1 / ((double) f->seen + 1));
	double off;

	if (f->seen == 0)
		f->centre = f->low = f->high = f->low_now = f->high_now = x;
	off = x - f->centre;
	/* a scale of zero would never grow again if it cut */
	if (f->seen >= RECENT && f->scale > 0)
		off = clamp(off, CUT * f->scale);
	f->centre += share * off;
	f->scale += share * (1.25 * fabs(off) - f->scale);
	f->high_now = fmax(f->high_now, x);
	f->low_now = fmin(f->low_now, x);
	if (++f->seen % season == 0)
		fade(f, x);
}

static void
mean_and_spread(const double *v, int n, double *mean, double *spread)
{
	double sum = 0;
	double squares = 0;

	for (int i = 0; i < n; i++)
		sum += v[i];
	*mean = sum / n;
	for (int i = 0; i < n; i++)
		squares += (v[i] - *mean) * (v[i] - *mean);
	*spread = sqrt(squares / n);
}

/*
 * Surprise at one figure, which is learnt then; `most` keeps the greatest.  Of its distance from the
 * centre no more counts than the seasons leave unexplained, and only what is beyond `unsure`.
 */
static void
watch(State *s, Watched which, double x, double unexplained, double unsure,
	  PerfoptAnomalyScore *most)
{
	Figure *f = &s->figure[which];
	double dust = which == SPREAD ? DUST_SPREAD : dust_of(s);
	double counts = f->centre + clamp(x - f->centre, fabs(unexplained));
	double got;

	if (is_warm(s, f->seen))
	{
		got = surprise(f, counts, fmax(watched[which].limit * f->scale, fmax(dust, unsure)));
		if (got > most->score)
		{
			most->score = got;
			most->kind = watched[which].kind;
		}
	}
	learn(f, x, span(s));
}

static void
watch_recent(State *s, double value, PerfoptAnomalyScore *most)
{
	bool explained = s->rest < HUGE_VAL && fabs(s->rest_mean) <= s->unsure_mean;
	double mean;
	double spread;
	double quiet;

	/* old values say nothing about the level after a long gap */
	if (s->gap >= RECENT)
		s->fresh = 0;
	s->recent[s->fresh++ % RECENT] = value;
	if (s->fresh < RECENT)
		return;
	mean_and_spread(s->recent, RECENT, &mean, &spread);
	watch(s, MEAN, mean, explained ? 0 : HUGE_VAL, 0, most);
	quiet = QUIET * s->figure[VALUE].scale + dust_of(s);
	if (quiet > 0)
		watch(s, SPREAD, log(spread + quiet), HUGE_VAL, 0, most);
}

/* Where this step's value is in a season's profile; NULL when there is no such season. */
static float *
place_of(State *s, int which)
{
	int most = which == 0 ? MOST_PLACES : MOST_PLACES_LONGER;
	int first = which == 0 ? 0 : places_of(s->season[0], MOST_PLACES);
	int season = s->season[which];

	if (season == 0)
		return NULL;
	return &s->profile[first + s->step % season * places_of(season, most) / season];
}

static bool
is_known(const State *s, int which, const float *place)
{
	return place != NULL && !isnan(*place) && s->step >= s->season[which];
}

/* What a season that explains this much may be wrong by. */
static double
unsure_of(const State *s, double place)
{
	return UNSURE * fabs(place - s->figure[VALUE].centre);
}

/* What the seasons leave unexplained of a value, by the one that explains more; else infinite. */
static double
rest_of(State *s, double value, double *unsure)
{
	double rest = HUGE_VAL;

	*unsure = 0;
	for (int i = 0; i < SEASONS; i++)
	{
		const float *place = place_of(s, i);

		if (is_known(s, i, place) && fabs(value - *place) < fabs(rest))
		{
			rest = value - *place;
			*unsure = unsure_of(s, *place);
		}
	}
	return rest;
}

static void
watch_rest(State *s, double unsure, PerfoptAnomalyScore *most)
{
	if (s->rest == HUGE_VAL)
		return;
	s->rest_mean += (s->rest - s->rest_mean) / REST_STEPS;
	s->unsure_mean += (unsure - s->unsure_mean) / REST_STEPS;
	watch(s, REST, s->rest, HUGE_VAL, unsure, most);
	watch(s, REST_MEAN, s->rest_mean, HUGE_VAL, s->unsure_mean, most);
}

static void
learn_seasons(State *s, double value)
{
	for (int i = 0; i < SEASONS; i++)
	{
		float *place = place_of(s, i);
		double gain = i == 0 ? GAIN : GAIN_LONGER;

		if (place == NULL)
			continue;
		if (isnan(*place))
			*place = (float) value;
		else
		{
			double limit = is_known(s, i, place)
							   ? CUT * s->figure[REST].scale + unsure_of(s, *place)
							   : HUGE_VAL;

			/* between two floats, so that the sum is one */
			*place = (float) (*place + gain * clamp(value - *place, limit));
		}
	}
}

/*
 * A flat line counts once, when it has become long enough.  It then is remembered as no longer than
 * that, else one outage would hide all later ones.
 */
static void
watch_flat(State *s, double value, PerfoptAnomalyScore *most)
{
	int64_t enough = (int64_t) fmax(FLAT, FLAT_TIMES * (double) s->longest);

	if (s->seen == 0 || value != s->before)
	{
		int64_t run = s->equal < enough ? s->equal : enough;

		s->longest = s->longest > run ? s->longest : run;
		s->equal = 0;
	}
	s->equal++;
	if (s->equal == enough && is_warm(s, s->seen) && most->score < 1 &&
		s->figure[VALUE].scale > dust_of(s))
	{
		most->score = 1;
		most->kind = PERFOPT_ANOMALY_FLAT;
	}
}

/* From surprise to score; after an anomaly there is silence for a while. */
static double
judge(State *s, double got)
{
	double score = got / (1 + got);

	if (got < 1)
		return score;
	if (s->silent > 0 && got < LOUDER * s->loudest)
		return nextafter(PERFOPT_ANOMALY_THRESHOLD, 0);
	s->silent = (int64_t) fmax(SILENCE * span(s), LEAST_SILENCE);
	s->loudest = got;
	return score;
}

/* The value that this step should have, by the longest season that is known. */
static double
expected(State *s)
{
	double value = s->seen > 0 ? s->figure[VALUE].centre : NAN;

	for (int i = 0; i < SEASONS; i++)
	{
		const float *place = place_of(s, i);

		if (is_known(s, i, place))
			value = *place;
	}
	return value;
}

PerfoptAnomalyScore
perfopt_anomaly_update(void *state, double value)
{
	State *s = state;
	PerfoptAnomalyScore most = { 0, expected(s), PERFOPT_ANOMALY_NONE };

	s->silent -= s->silent > 0;
	if (fabs(value) <= FLT_MAX)
	{
		double unsure;
		double rest = rest_of(s, value, &unsure);
		double moved = rest < HUGE_VAL ? rest - s->rest : HUGE_VAL;

		watch(s, VALUE, value, rest, 0, &most);
		if (s->seen > 0 && s->gap == 0)
			watch(s, CHANGE, value - s->before, moved, 0, &most);
		s->rest = rest;
		watch_rest(s, unsure, &most);
		watch_recent(s, value, &most);
		watch_flat(s, value, &most);
		learn_seasons(s, value);
		most.score = judge(s, most.score);
		s->before = value;
		s->seen++;
		s->gap = 0;
	}
	else
		s->gap++;
	s->step++;
	return most;
}

void
perfopt_anomaly_scores(void *state, const double *value, int n, PerfoptAnomalyScore *score)
{
	for (int i = 0; i < n; i++)
		score[i] = perfopt_anomaly_update(state, value[i]);
}

/* FNV-1a over all but the field that holds it. */
static uint32_t
check_sum(const State *s)
{
	const unsigned char *byte = (const unsigned char *) s;
	size_t size = perfopt_anomaly_size(s->season[0], s->season[1]);
	uint32_t hash = UINT32_C(2166136261);

	for (size_t i = offsetof(State, season); i < size; i++)
		hash = (hash ^ byte[i]) * UINT32_C(16777619);
	return hash;
}

void
perfopt_anomaly_seal(void *state)
{
	State *s = state;

	s->check = check_sum(s);
}

bool
perfopt_anomaly_valid(const void *state, size_t size)
{
	const State *s = state;

	return size >= sizeof(State) && s->magic == MAGIC &&
		   size == perfopt_anomaly_size(s->season[0], s->season[1]) && s->check == check_sum(s);
}
