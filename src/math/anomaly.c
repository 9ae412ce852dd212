/*
 * anomaly.c
 *	  See anomaly.h.
 */
#include "math/anomaly.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

#define MAGIC UINT32_C(0x414e6f01) /* changes with the layout; its bytes tell byte order */
#define RECENT PERFOPT_ANOMALY_RECENT
#define WARM_UP PERFOPT_ANOMALY_WARM_UP
#define NO_SEASON 288 /* whose shares times are when there is none */

#define CUT 4.0           /* scales: what is further off moves centre and scale no more than this */
#define HORIZON 1000.0    /* steps over which centre and scale forget */
#define MEMORY 5.0        /* seasons over which the range forgets */
#define LEAST_MEMORY 0.0  /* steps */
#define SURPRISE 0.1      /* share of the expected width: this far beyond it is an anomaly */
#define SILENCE 0.3       /* seasons, after an anomaly */
#define LEAST_SILENCE 5.0 /* steps */
#define LOUDER 10.0       /* times as surprising as the anomaly before: breaks the silence */
#define GAIN 0.15         /* of what is unexplained, that a place of the profile learns */
#define FLAT 24.0         /* steps: shorter runs of equal values are no flat line */
#define FLAT_TIMES 3.0    /* nor are those less than so many times the longest before */
#define DUST 0.001        /* share of the level */
#define LIMIT_VALUE 6.0   /* scales from the centre that are always expected */
#define LIMIT_CHANGE 8.0
#define LIMIT_MEAN 6.0
#define LIMIT_SPREAD 8.0
#define LIMIT_REST 8.0
#define LIMIT_REST_MEAN 6.0

typedef enum Watched
{
	VALUE,
	CHANGE,
	MEAN,
	SPREAD,
	REST, /* what the season leaves unexplained */
	REST_MEAN,
	WATCHED
} Watched;

typedef struct Figure
{
	double centre;
	double scale;
	double low;
	double high;
	double seen; /* how often */
} Figure;

typedef struct State
{
	uint32_t magic;
	uint32_t check;
	int32_t season;
	int32_t places;  /* of the profile */
	int64_t step;    /* gaps included */
	double dust;
	double before;   /* the last value */
	double silence;  /* steps left */
	double loudest;  /* the anomaly that it is for */
	double equal;    /* values like the last one, in a row */
	double longest;  /* such run, before this one */
	double seen;     /* values */
	double recent[RECENT];
	double rest[RECENT];
	Figure figure[WATCHED];
	float profile[]; /* NaN where nothing has been seen yet */
} State;

static int
places_for(int season)
{
	int shared = (season + PERFOPT_ANOMALY_MOST_PLACES - 1) / PERFOPT_ANOMALY_MOST_PLACES;

	return season == 0 ? 0 : (season + shared - 1) / shared;
}

size_t
perfopt_anomaly_size(int season)
{
	return season < 0 ? 0 : sizeof(State) + (size_t) places_for(season) * sizeof(float);
}

bool
perfopt_anomaly_init(void *state, size_t size, int season, double dust)
{
	State *s = state;

	if (season < 0 || size < perfopt_anomaly_size(season) || !(dust >= 0 && isfinite(dust)))
		return false;
	memset(s, 0, perfopt_anomaly_size(season));
	s->magic = MAGIC;
	s->season = season;
	s->places = places_for(season);
	s->dust = dust;
	for (int i = 0; i < s->places; i++)
		s->profile[i] = NAN;
	return true;
}

static double
clamp(double x, double limit)
{
	return fmax(-limit, fmin(limit, x));
}

/* How far x is beyond what is expected, as a multiple of what makes an anomaly. */
static double
surprise(const Figure *f, double x, double limit, double dust)
{
	double band = fmax(limit * f->scale, dust);
	double low = fmin(f->low, f->centre - band);
	double high = fmax(f->high, f->centre + band);

	return fmax(fmax(x - high, low - x), 0) / (SURPRISE * (high - low) + dust);
}

static void
learn(Figure *f, double x, double fading)
{
	double share = fmax(1 / HORIZON, 1 / (f->seen + 1));
	double off;

	if (f->seen == 0)
		f->centre = f->low = f->high = x;
	off = x - f->centre;
	/* a scale of zero would never grow again if it cut */
	if (f->seen >= RECENT && f->scale > 0)
		off = clamp(off, CUT * f->scale);
	f->centre += share * off;
	f->scale += share * (1.25 * fabs(off) - f->scale);
	f->high = fmax(f->high, x) - fading * fmax(f->high - f->centre, 0);
	f->low = fmin(f->low, x) + fading * fmax(f->centre - f->low, 0);
	f->seen++;
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

/* Surprise at one figure, which then has been seen; the greatest so far is kept in `score`. */
static void
watch(State *s, Watched which, double x, double limit, PerfoptAnomalyKind kind,
	  PerfoptAnomalyScore *most)
{
	Figure *f = &s->figure[which];
	double span = s->season > 0 ? s->season : NO_SEASON;
	double dust = fmax(s->dust, DUST * fabs(s->figure[VALUE].centre));
	double got = f->seen >= WARM_UP ? surprise(f, x, limit, dust) : 0;

	if (got > most->score)
	{
		most->score = got;
		most->kind = kind;
	}
	learn(f, x, 1 / fmax(fmax(MEMORY * span, LEAST_MEMORY), 1));
}

/* A flat line counts once, when it is long enough. */
static void
watch_flat(State *s, double value, PerfoptAnomalyScore *most)
{
	double enough = fmax(FLAT, ceil(FLAT_TIMES * s->longest));

	if (s->seen > 0 && value == s->before)
		s->equal++;
	else
	{
		s->longest = fmax(s->longest, s->equal);
		s->equal = 1;
	}
	if (s->equal == enough && s->seen >= WARM_UP && most->score < 1 && s->figure[VALUE].scale > s->dust)
	{
		most->score = 1;
		most->kind = PERFOPT_ANOMALY_FLAT;
	}
}

static void
watch_season(State *s, double value, PerfoptAnomalyScore *most)
{
	float *place = &s->profile[s->step % s->season * s->places / s->season];
	double rest = value - *place;
	double mean;
	double spread;
	int last = (int) (s->seen - RECENT * floor(s->seen / RECENT));

	if (isnan(*place))
	{
		s->rest[last] = 0;
		*place = (float) value;
		return;
	}
	most->expected = *place;
	s->rest[last] = rest;
	if (s->step >= 2 * s->season)
	{
		mean_and_spread(s->rest, RECENT, &mean, &spread);
		watch(s, REST, rest, LIMIT_REST, PERFOPT_ANOMALY_SPIKE, most);
		watch(s, REST_MEAN, mean, LIMIT_REST_MEAN, PERFOPT_ANOMALY_LEVEL, most);
		rest = clamp(rest, CUT * s->figure[REST].scale);
	}
	*place += (float) (GAIN * rest);
}

/* From surprise to score: nothing that happens in the silence after an anomaly is one. */
static double
judge(State *s, double got)
{
	double span = s->season > 0 ? s->season : NO_SEASON;

	if (got < 1 || s->step < s->season)
		return fmin(got, 1 - 1e-9) / (1 + got);
	if (s->silence > 0 && got < LOUDER * s->loudest)
		return 0.49;
	s->silence = fmax(SILENCE * span, LEAST_SILENCE);
	s->loudest = got;
	return got / (1 + got);
}

PerfoptAnomalyScore
perfopt_anomaly_update(void *state, double value)
{
	State *s = state;
	PerfoptAnomalyScore most = { 0, s->seen > 0 ? s->figure[VALUE].centre : NAN, PERFOPT_ANOMALY_NONE };
	double mean;
	double spread;

	s->silence = fmax(s->silence - 1, 0);
	if (!isfinite(value))
	{
		s->step++;
		return most;
	}
	s->recent[(int) (s->seen - RECENT * floor(s->seen / RECENT))] = value;
	watch(s, VALUE, value, LIMIT_VALUE, PERFOPT_ANOMALY_SPIKE, &most);
	if (s->seen > 0)
		watch(s, CHANGE, value - s->before, LIMIT_CHANGE, PERFOPT_ANOMALY_SPIKE, &most);
	if (s->seen >= RECENT)
	{
		mean_and_spread(s->recent, RECENT, &mean, &spread);
		watch(s, MEAN, mean, LIMIT_MEAN, PERFOPT_ANOMALY_LEVEL, &most);
		watch(s, SPREAD, spread, LIMIT_SPREAD, PERFOPT_ANOMALY_SPREAD, &most);
	}
	if (s->season > 0)
		watch_season(s, value, &most);
	watch_flat(s, value, &most);
	most.score = judge(s, most.score);
	s->before = value;
	s->seen++;
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
	size_t size = perfopt_anomaly_size(s->season);
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

	return size >= sizeof(State) && s->magic == MAGIC && s->season >= 0 &&
		   s->places == places_for(s->season) && size == perfopt_anomaly_size(s->season) &&
		   s->check == check_sum(s);
}
