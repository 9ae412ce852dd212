/*
 * expression.c
 *	  The machine that evaluates compiled expressions, and what it makes of values.
 */
#include "load/expression_code.h"

#include <errno.h>
#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define PI 3.14159265358979323846
#define TWO_TO_63 9223372036854775808.0

/* One instruction at work: what it finds at args is overwritten with its result, in the first. */
typedef struct Call
{
	const PerfoptInstruction *instruction;
	const PerfoptExpressionContext *context;
	PerfoptScriptError *error;
	PerfoptValue *args;
} Call;

static bool
call_fail(const Call *call, const char *message)
{
	call->error->offset = call->instruction->offset;
	call->error->hint = NULL;
	snprintf(call->error->message, sizeof(call->error->message), "%s", message);
	return false;
}

static bool
return_null(const Call *call)
{
	call->args[0] = (PerfoptValue){ .type = PERFOPT_VALUE_NULL };
	return true;
}

static bool
return_bool(const Call *call, bool value)
{
	call->args[0] = (PerfoptValue){ .type = PERFOPT_VALUE_BOOL, .b = value };
	return true;
}

static bool
return_int(const Call *call, int64_t value)
{
	call->args[0] = (PerfoptValue){ .type = PERFOPT_VALUE_INT, .i = value };
	return true;
}

static bool
return_double(const Call *call, double value)
{
	call->args[0] = (PerfoptValue){ .type = PERFOPT_VALUE_DOUBLE, .d = value };
	return true;
}

static bool
fail_boolean(const Call *call)
{
	call_fail(call, "a boolean where a number is needed");
	call->error->hint =
		"IS compares booleans; CASE WHEN x THEN 1 ELSE 0 END makes a number of one.";
	return false;
}

static bool
to_bool(const Call *call, const PerfoptValue *value, bool *b)
{
	if (value->type != PERFOPT_VALUE_BOOL)
	{
		call_fail(call, value->type == PERFOPT_VALUE_INT ? "an integer where a boolean is needed"
														 : "a double where a boolean is needed");
		call->error->hint = "Compare it, as in x <> 0.";
		return false;
	}
	*b = value->b;
	return true;
}

static bool
to_int(const Call *call, const PerfoptValue *value, int64_t *i)
{
	double rounded;
	char text[PERFOPT_VALUE_SIZE];

	if (value->type == PERFOPT_VALUE_INT)
	{
		*i = value->i;
		return true;
	}
	if (value->type != PERFOPT_VALUE_DOUBLE)
		return fail_boolean(call);

	/* Both bounds are doubles themselves; NaN fails either comparison. */
	rounded = rint(value->d);
	if (!(rounded >= -TWO_TO_63 && rounded < TWO_TO_63))
	{
		call_fail(call, "");
		snprintf(call->error->message, sizeof(call->error->message),
				 "%s is out of the range of integers", perfopt_value_text(value, text));
		return false;
	}
	*i = (int64_t) rounded;
	return true;
}

static bool
to_double(const Call *call, const PerfoptValue *value, double *d)
{
	if (value->type == PERFOPT_VALUE_DOUBLE)
		*d = value->d;
	else if (value->type == PERFOPT_VALUE_INT)
		*d = (double) value->i;
	else
		return fail_boolean(call);
	return true;
}

static bool
begins(const char *word, const char *text, size_t length)
{
	return strncasecmp(word, text, length) == 0;
}

/* Digits with at most a sign and space before them; or nothing but those, which is then an error. */
static bool
looks_like_int(const char *text)
{
	while (is_space(*text))
		text++;
	if (*text == '+' || *text == '-')
		text++;
	while (is_digit(*text))
		text++;
	return *text == '\0';
}

/* False if it isn't a value; errno says whether it would be one if it weren't that great or small. */
static bool
value_of_text(const char *text, PerfoptValue *value)
{
	size_t length = strlen(text);
	char *end;

	errno = 0;
	if (length == 0)
		return false;
	if (strcasecmp(text, "null") == 0)
		*value = (PerfoptValue){ .type = PERFOPT_VALUE_NULL };
	else if (begins("true", text, length) || begins("yes", text, length) ||
			 strcasecmp(text, "on") == 0)
		*value = (PerfoptValue){ .type = PERFOPT_VALUE_BOOL, .b = true };
	else if (begins("false", text, length) || begins("no", text, length) ||
			 strcasecmp(text, "off") == 0 || strcasecmp(text, "of") == 0)
		*value = (PerfoptValue){ .type = PERFOPT_VALUE_BOOL, .b = false };
	else if (looks_like_int(text))
	{
		*value = (PerfoptValue){ .type = PERFOPT_VALUE_INT, .i = strtoll(text, &end, 10) };
		return errno == 0 && end > text;
	}
	else
	{
		*value = (PerfoptValue){ .type = PERFOPT_VALUE_DOUBLE, .d = strtod(text, &end) };
		return errno == 0 && end > text && *end == '\0';
	}
	return true;
}

static bool
call_variable(const Call *call)
{
	int64_t index = call->instruction->i;
	const PerfoptValue *variable;

	if (index < 0 || index >= call->context->nvariables)
		return call_fail(call, "the compiled expression is damaged");
	variable = &call->context->variables[index];
	if (variable->type == PERFOPT_VALUE_UNSET)
		return call_fail(call, "the variable has not been assigned a value");
	if (variable->type != PERFOPT_VALUE_TEXT)
	{
		call->args[0] = *variable;
		return true;
	}
	if (!value_of_text(variable->text, &call->args[0]))
	{
		bool range = errno == ERANGE;

		call_fail(call, "");
		snprintf(call->error->message, sizeof(call->error->message),
				 "the variable's value \"%.*s\" is %s",
				 quoted_length(variable->text, strlen(variable->text)), variable->text,
				 range ? "out of range" : "neither a number nor a boolean");
		return false;
	}
	return true;
}

static bool
call_doubles(const Call *call, double a, double b)
{
	switch (call->instruction->op)
	{
		case OP_ADD:
			return return_double(call, a + b);
		case OP_SUBTRACT:
			return return_double(call, a - b);
		case OP_MULTIPLY:
			return return_double(call, a * b);
		case OP_DIVIDE:
			return return_double(call, a / b);
		case OP_LT:
			return return_bool(call, a < b);
		case OP_LE:
			return return_bool(call, a <= b);
		case OP_EQ:
			return return_bool(call, a == b);
		case OP_NE:
			return return_bool(call, a != b);
		case OP_GE:
			return return_bool(call, a >= b);
		default:
			return return_bool(call, a > b);
	}
}

/* The one quotient that overflows, and whose remainder traps, is that of the least integer and -1. */
static bool
divide(const Call *call, int64_t a, int64_t b)
{
	bool modulo = call->instruction->op == OP_MODULO;

	if (b == 0)
		return call_fail(call, "division by zero");
	if (b == -1)
	{
		if (modulo)
			return return_int(call, 0);
		if (a == INT64_MIN)
			return call_fail(call, "integer out of range");
		return return_int(call, -a);
	}
	return return_int(call, modulo ? a % b : a / b);
}

static bool
call_ints(const Call *call, int64_t a, int64_t b)
{
	int64_t result;
	bool overflow;

	switch (call->instruction->op)
	{
		case OP_ADD:
			overflow = __builtin_add_overflow(a, b, &result);
			break;
		case OP_SUBTRACT:
			overflow = __builtin_sub_overflow(a, b, &result);
			break;
		case OP_MULTIPLY:
			overflow = __builtin_mul_overflow(a, b, &result);
			break;
		case OP_DIVIDE:
			return divide(call, a, b);
		case OP_LT:
			return return_bool(call, a < b);
		case OP_LE:
			return return_bool(call, a <= b);
		case OP_EQ:
			return return_bool(call, a == b);
		case OP_NE:
			return return_bool(call, a != b);
		case OP_GE:
			return return_bool(call, a >= b);
		default:
			return return_bool(call, a > b);
	}
	return overflow ? call_fail(call, "integer out of range") : return_int(call, result);
}

/* One double among the two makes doubles of both. */
static bool
call_arithmetic(const Call *call)
{
	const PerfoptValue *args = call->args;
	int64_t i[2];
	double d[2];

	if (args[0].type == PERFOPT_VALUE_DOUBLE || args[1].type == PERFOPT_VALUE_DOUBLE)
		return to_double(call, &args[0], &d[0]) && to_double(call, &args[1], &d[1]) &&
			   call_doubles(call, d[0], d[1]);
	return to_int(call, &args[0], &i[0]) && to_int(call, &args[1], &i[1]) &&
		   call_ints(call, i[0], i[1]);
}

/* Distances are modulo 64, as processors have them. */
static bool
call_bits(const Call *call)
{
	int64_t a;
	int64_t b;

	if (!to_int(call, &call->args[0], &a) || !to_int(call, &call->args[1], &b))
		return false;
	switch (call->instruction->op)
	{
		case OP_MODULO:
			return divide(call, a, b);
		case OP_BIT_AND:
			return return_int(call, a & b);
		case OP_BIT_OR:
			return return_int(call, a | b);
		case OP_BIT_XOR:
			return return_int(call, a ^ b);
		case OP_SHIFT_LEFT:
			return return_int(call, (int64_t) ((uint64_t) a << (b & 63)));
		default:
			return return_int(call, a >> (b & 63));
	}
}

static bool
call_abs(const Call *call)
{
	double d;

	if (call->args[0].type != PERFOPT_VALUE_INT)
		return to_double(call, &call->args[0], &d) && return_double(call, fabs(d));
	if (call->args[0].i == INT64_MIN)
		return call_fail(call, "integer out of range");
	return return_int(call, call->args[0].i < 0 ? -call->args[0].i : call->args[0].i);
}

static bool
call_double_function(const Call *call)
{
	double d;
	double exponent;

	if (!to_double(call, &call->args[0], &d))
		return false;
	switch (call->instruction->op)
	{
		case OP_EXP:
			return return_double(call, exp(d));
		case OP_LN:
			return return_double(call, log(d));
		case OP_SQRT:
			return return_double(call, sqrt(d));
		case OP_POWER:
			return to_double(call, &call->args[1], &exponent) &&
				   return_double(call, pow(d, exponent));
		default:
			return return_double(call, d);
	}
}

/* The order of a comparison with NaN is pgbench's: whatever follows NaN takes its place. */
static bool
call_extreme(const Call *call)
{
	const PerfoptValue *args = call->args;
	int nargs = call->instruction->nargs;
	bool least = call->instruction->op == OP_LEAST;
	bool doubles = false;
	double d = 0;
	int64_t i = 0;

	for (int k = 0; k < nargs; k++)
		doubles |= args[k].type == PERFOPT_VALUE_DOUBLE;
	for (int k = 0; k < nargs; k++)
	{
		double next_d;
		int64_t next_i;

		if (doubles)
		{
			if (!to_double(call, &args[k], &next_d))
				return false;
			d = k > 0 && (least ? d < next_d : d > next_d) ? d : next_d;
		}
		else
		{
			if (!to_int(call, &args[k], &next_i))
				return false;
			i = k > 0 && (least ? i < next_i : i > next_i) ? i : next_i;
		}
	}
	return doubles ? return_double(call, d) : return_int(call, i);
}

static bool
call_scatter(const Call *call)
{
	int64_t value;
	int64_t size;
	int64_t seed;
	bool permutes = call->instruction->op == OP_PERMUTE;

	if (!to_int(call, &call->args[0], &value) || !to_int(call, &call->args[1], &size) ||
		!to_int(call, &call->args[permutes ? 2 : 1], &seed))
		return false;
	if (permutes && size <= 0)
		return call_fail(call, "the size of a permutation must be greater than 0");
	if (permutes)
		return return_int(call, perfopt_permute(value, size, seed));
	return return_int(call, call->instruction->op == OP_HASH_FNV1A
								? perfopt_hash_fnv1a(value, seed)
								: perfopt_hash_murmur2(value, seed));
}

static bool
fail_parameter(const Call *call, const char *limit, double parameter)
{
	call_fail(call, "");
	snprintf(call->error->message, sizeof(call->error->message), "the parameter must be %s, not %g",
			 limit, parameter);
	return false;
}

/* A random function with a parameter besides its range. */
static bool
call_shaped(const Call *call, int64_t lo, int64_t hi)
{
	const PerfoptRandom *random = call->context->random;
	double parameter;

	if (!to_double(call, &call->args[2], &parameter))
		return false;
	switch (call->instruction->op)
	{
		case OP_RANDOM_EXPONENTIAL:
			if (!perfopt_draw_exponential_valid(parameter))
				return fail_parameter(call, "greater than 0", parameter);
			return return_int(call, perfopt_draw_exponential_int(random, lo, hi, parameter));
		case OP_RANDOM_GAUSSIAN:
			if (!perfopt_draw_gaussian_valid(parameter))
				return fail_parameter(call, "at least 2", parameter);
			return return_int(call, perfopt_draw_gaussian_int(random, lo, hi, parameter));
		default:
			if (!perfopt_draw_zipfian_valid(parameter))
				return fail_parameter(call, "from 1.001 to 1000", parameter);
			return return_int(call, perfopt_draw_zipfian_int(random, lo, hi, parameter));
	}
}

static bool
call_random(const Call *call)
{
	int64_t lo;
	int64_t hi;

	if (!to_int(call, &call->args[0], &lo) || !to_int(call, &call->args[1], &hi))
		return false;
	if (lo > hi)
	{
		call_fail(call, "");
		snprintf(call->error->message, sizeof(call->error->message),
				 "the range from %" PRId64 " to %" PRId64 " is empty", lo, hi);
		return false;
	}

	/* As in pgbench, the number of values must be an integer. */
	if ((uint64_t) hi - (uint64_t) lo >= INT64_MAX)
		return call_fail(call, "the range is too large");
	if (call->context->random == NULL)
		return call_fail(call, "random functions can't be used here");
	if (call->instruction->op == OP_RANDOM)
		return return_int(call, perfopt_draw_int(call->context->random, lo, hi));
	return call_shaped(call, lo, hi);
}

/* Those that make use of NULL. */
static bool
call_with_null(const Call *call)
{
	const PerfoptValue *value = &call->args[0];
	bool b;

	switch (call->instruction->op)
	{
		case OP_LOGICAL:
			return value->type == PERFOPT_VALUE_NULL || to_bool(call, value, &b);
		case OP_IS_NULL:
			return return_bool(call, value->type == PERFOPT_VALUE_NULL);
		case OP_IS_TRUE:
			return return_bool(call, value->type == PERFOPT_VALUE_BOOL && value->b);
		case OP_IS_FALSE:
			return return_bool(call, value->type == PERFOPT_VALUE_BOOL && !value->b);
		default:
			if (call->context->debug != NULL)
				call->context->debug(call->context->debug_arg, value);
			return true;
	}
}

static bool
call_push(const Call *call)
{
	switch (call->instruction->op)
	{
		case OP_BOOL:
			return return_bool(call, call->instruction->i != 0);
		case OP_INT:
			return return_int(call, call->instruction->i);
		case OP_DOUBLE:
			return return_double(call, call->instruction->d);
		case OP_VARIABLE:
			return call_variable(call);
		case OP_PI:
			return return_double(call, PI);
		default:
			return return_null(call);
	}
}

static bool
call_any(const Call *call)
{
	Op op = (Op) call->instruction->op;
	bool b;

	if (op < OP_JUMP)
		return call_push(call);
	if (op < OP_NOT)
		return call_with_null(call);
	for (int i = 0; i < call->instruction->nargs; i++)
		if (call->args[i].type == PERFOPT_VALUE_NULL)
			return return_null(call);
	switch (op)
	{
		case OP_NOT:
			return to_bool(call, &call->args[0], &b) && return_bool(call, !b);
		case OP_MODULO:
		case OP_BIT_AND:
		case OP_BIT_OR:
		case OP_BIT_XOR:
		case OP_SHIFT_LEFT:
		case OP_SHIFT_RIGHT:
			return call_bits(call);
		case OP_ABS:
			return call_abs(call);
		case OP_TO_INT:
		{
			int64_t i;

			return to_int(call, &call->args[0], &i) && return_int(call, i);
		}
		case OP_TO_DOUBLE:
		case OP_EXP:
		case OP_LN:
		case OP_SQRT:
		case OP_POWER:
			return call_double_function(call);
		case OP_GREATEST:
		case OP_LEAST:
			return call_extreme(call);
		case OP_HASH_FNV1A:
		case OP_HASH_MURMUR2:
		case OP_PERMUTE:
			return call_scatter(call);
		case OP_RANDOM:
		case OP_RANDOM_EXPONENTIAL:
		case OP_RANDOM_GAUSSIAN:
		case OP_RANDOM_ZIPFIAN:
			return call_random(call);
		default:
			return call_arithmetic(call);
	}
}

/* Is this an instruction that can be run, with `depth` values on the stack, before instruction `at`? */
static bool
is_sound(const PerfoptInstruction *instruction, int depth, int at, int n)
{
	Op op = (Op) instruction->op;

	if (instruction->op >= N_OPS || !takes(op, instruction->nargs) || instruction->nargs > depth)
		return false;
	if (!leaves_value(op))
		return instruction->i >= at && instruction->i <= n;
	return depth - instruction->nargs < PERFOPT_EXPRESSION_MAX_STACK;
}

bool
perfopt_expression_eval(const PerfoptInstruction *code, int n,
						const PerfoptExpressionContext *context, PerfoptValue *result,
						PerfoptScriptError *error)
{
	PerfoptValue stack[PERFOPT_EXPRESSION_MAX_STACK];
	int depth = 0;
	int at = 0;

	while (at < n)
	{
		const PerfoptInstruction *instruction = &code[at++];
		Call call = { instruction, context, error, NULL };
		bool b;

		if (!is_sound(instruction, depth, at, n))
			return call_fail(&call, "the compiled expression is damaged");
		depth -= instruction->nargs;
		call.args = &stack[depth];
		switch (instruction->op)
		{
			case OP_JUMP:
				at = (int) instruction->i;
				break;
			case OP_UNLESS:
				if (!perfopt_value_true(&stack[depth]))
					at = (int) instruction->i;
				break;
			case OP_AND:
			case OP_OR:
				if (stack[depth].type != PERFOPT_VALUE_NULL)
				{
					if (!to_bool(&call, &stack[depth], &b))
						return false;
					if (b == (instruction->op == OP_AND))
						break;
				}
				depth++;
				at = (int) instruction->i;
				break;
			default:
				if (!call_any(&call))
					return false;
				depth++;
				break;
		}
	}
	if (depth != 1)
	{
		*error = (PerfoptScriptError){ 0, "the compiled expression is damaged", NULL };
		return false;
	}
	*result = stack[0];
	return true;
}

bool
perfopt_value_true(const PerfoptValue *value)
{
	switch (value->type)
	{
		case PERFOPT_VALUE_BOOL:
			return value->b;
		case PERFOPT_VALUE_INT:
			return value->i != 0;
		case PERFOPT_VALUE_DOUBLE:
			return value->d != 0;
		default:
			return false;
	}
}

/* What snprintf() writes, in a fraction of the time: each call of a load test sends such numbers. */
static const char *
integer_text(int64_t i, char buffer[PERFOPT_VALUE_SIZE])
{
	uint64_t rest = i < 0 ? -(uint64_t) i : (uint64_t) i;
	char *at = buffer + PERFOPT_VALUE_SIZE;

	*--at = '\0';
	do
		*--at = (char) ('0' + rest % 10);
	while ((rest /= 10) > 0);
	if (i < 0)
		*--at = '-';
	return at;
}

const char *
perfopt_value_text(const PerfoptValue *value, char buffer[PERFOPT_VALUE_SIZE])
{
	switch (value->type)
	{
		case PERFOPT_VALUE_BOOL:
			return value->b ? "true" : "false";
		case PERFOPT_VALUE_INT:
			return integer_text(value->i, buffer);
		case PERFOPT_VALUE_DOUBLE:
			if (isnan(value->d))
				return "NaN";
			if (isinf(value->d))
				return value->d > 0 ? "Infinity" : "-Infinity";
			snprintf(buffer, PERFOPT_VALUE_SIZE, "%.*g", DBL_DIG, value->d);
			return buffer;
		case PERFOPT_VALUE_TEXT:
			return value->text;
		default:
			return NULL;
	}
}
