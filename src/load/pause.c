/*
 * pause.c
 *	  Think times: how they are written, and drawn.
 */
#include "postgres.h"

#include "load/load.h"

#define MAX_PAUSE_S (24 * 3600)

/* A draw from the exponential distribution has no end; one of this many means is once in 10^8. */
#define MAX_MEANS 20

static const char *const example =
	"\"1 s\", {\"uniform\": [\"0.5 s\", \"2 s\"]}, {\"exponential\": \"1 s\"} or "
	"{\"normal\": [\"1 s\", \"0.2 s\"]}";

static int64
length_of(const char *key, const JsonbValue *value)
{
	double seconds = load_json_seconds(key, value);

	/* Negated, so that NaN is refused as well. */
	if (!(seconds >= 0 && seconds <= MAX_PAUSE_S))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("\"%s\" of a load test is out of range: %g s", key, seconds),
						errhint("It may be 0 to %d s.", MAX_PAUSE_S)));
	return (int64) (seconds * LOAD_NS_PER_S + 0.5);
}

static bool
is_pair(const JsonbValue *value)
{
	return value->type == jbvBinary && JsonContainerIsArray(value->val.binary.data) &&
		   JsonContainerSize(value->val.binary.data) == 2;
}

static void
read_shape(void *arg, const char *name, const JsonbValue *value)
{
	static const char *const names[] = { "constant", "uniform", "exponential", "normal" };
	static const bool pairs[] = { false, true, false, true };
	LoadPause *pause = arg;
	int shape = 0;

	while (shape < lengthof(names) && strcmp(names[shape], name) != 0)
		shape++;
	if (shape == lengthof(names) || pairs[shape] != is_pair(value))
		load_json_refuse("think_time", "an interval or one with a distribution", example);
	pause->shape = shape;
	if (!pairs[shape])
		pause->a_ns = length_of("think_time", value);
	else
	{
		pause->a_ns =
			length_of("think_time", getIthJsonbValueFromContainer(value->val.binary.data, 0));
		pause->b_ns =
			length_of("think_time", getIthJsonbValueFromContainer(value->val.binary.data, 1));
	}
	if (pause->shape == LOAD_PAUSE_UNIFORM && pause->a_ns > pause->b_ns)
		load_json_refuse("think_time", "a range from the shorter to the longer",
						 "{\"uniform\": [\"0.5 s\", \"2 s\"]}");
}

LoadPause
load_pause_read(const char *key, const JsonbValue *value)
{
	LoadPause pause = { 0 };

	if (value->type != jbvBinary)
		pause.a_ns = length_of(key, value);
	else if (JsonContainerIsObject(value->val.binary.data) &&
			 JsonContainerSize(value->val.binary.data) == 1)
		load_json_each(&pause, value->val.binary.data, "\"think_time\"", read_shape);
	else
		load_json_refuse(key, "an interval or one with a distribution", example);
	return pause;
}

void
load_pause_write(StringInfo out, const LoadPause *pause)
{
	double a = pause->a_ns / (double) LOAD_NS_PER_S;
	double b = pause->b_ns / (double) LOAD_NS_PER_S;

	switch (pause->shape)
	{
		case LOAD_PAUSE_CONSTANT:
			appendStringInfo(out, "\"%.9g s\"", a);
			break;
		case LOAD_PAUSE_UNIFORM:
			appendStringInfo(out, "{\"uniform\": [\"%.9g s\", \"%.9g s\"]}", a, b);
			break;
		case LOAD_PAUSE_EXPONENTIAL:
			appendStringInfo(out, "{\"exponential\": \"%.9g s\"}", a);
			break;
		case LOAD_PAUSE_NORMAL:
			appendStringInfo(out, "{\"normal\": [\"%.9g s\", \"%.9g s\"]}", a, b);
			break;
	}
}

int64
load_pause_draw(const LoadPause *pause, const PerfoptRandom *random)
{
	double a = (double) pause->a_ns;
	double b = (double) pause->b_ns;

	switch (pause->shape)
	{
		case LOAD_PAUSE_UNIFORM:
			return (int64) (a + perfopt_draw_double(random) * (b - a));
		case LOAD_PAUSE_EXPONENTIAL:
			return (int64) Min(perfopt_draw_exponential(random, a), a * MAX_MEANS);
		case LOAD_PAUSE_NORMAL:
			return (int64) perfopt_draw_positive_normal(random, a, b);
		default:
			return pause->a_ns;
	}
}
