/*
 * test_expression.c
 *	  Expressions have the values that pgbench gives them, and their mistakes a place.
 *
 * The values are those of pgbench 15.20, from scripts with \set x debug(...), and where it fails this
 * does too; the messages are not its own.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "load/expression.h"
#include "prng.h"

#define LENGTH(array) (sizeof(array) / sizeof(*(array)))

enum
{
	V_I,
	V_J,
	V_D,
	V_B,
	V_N,
	V_TEXT,
	V_UNSET,
	V_SEED,
	N_VARIABLES
};

static const char *const names[N_VARIABLES] = { "i", "j",    "d",     "b",
												"n", "text", "unset", "default_seed" };

static PerfoptValue variables[N_VARIABLES] = {
	[V_I] = { .type = PERFOPT_VALUE_INT, .i = 7 },
	[V_J] = { .type = PERFOPT_VALUE_INT, .i = -3 },
	[V_D] = { .type = PERFOPT_VALUE_DOUBLE, .d = 2.5 },
	[V_B] = { .type = PERFOPT_VALUE_BOOL, .b = true },
	[V_N] = { .type = PERFOPT_VALUE_NULL },
	[V_SEED] = { .type = PERFOPT_VALUE_TEXT, .text = "5432" },
};

static PerfoptXoroshiro generator;
static const PerfoptRandom prng = { perfopt_xoroshiro_next, &generator };

/* What debug() was called with. */
static char debugged[256];

static int
look_up(void *arg, const char *name, size_t length)
{
	(void) arg;
	for (int i = 0; i < N_VARIABLES; i++)
		if (strlen(names[i]) == length && memcmp(names[i], name, length) == 0)
			return i;
	return -1;
}

static void
print_value(char *out, size_t size, const PerfoptValue *value)
{
	static const char *const types[] = {
		[PERFOPT_VALUE_NULL] = "null",
		[PERFOPT_VALUE_BOOL] = "boolean ",
		[PERFOPT_VALUE_INT] = "int ",
		[PERFOPT_VALUE_DOUBLE] = "double ",
	};
	char buffer[PERFOPT_VALUE_SIZE];
	const char *text = perfopt_value_text(value, buffer);

	assert_true(value->type >= PERFOPT_VALUE_NULL && value->type <= PERFOPT_VALUE_DOUBLE);
	snprintf(out, size, "%s%s", types[value->type], text != NULL ? text : "");
}

static void
debug(void *arg, const PerfoptValue *value)
{
	size_t n = strlen(debugged);

	(void) arg;
	snprintf(debugged + n, sizeof(debugged) - n, "%s", n > 0 ? ", " : "");
	n = strlen(debugged);
	print_value(debugged + n, sizeof(debugged) - n, value);
}

static bool
eval(const PerfoptInstruction *code, int n, PerfoptValue *value, PerfoptScriptError *error)
{
	PerfoptExpressionContext context = { variables, N_VARIABLES, &prng, debug, NULL };

	debugged[0] = '\0';
	return perfopt_expression_eval(code, n, &context, value, error);
}

/* Text in memory of just its length, so that the sanitizers see who reads on; with room for all code. */
static int
compile(const char *text, size_t length, PerfoptInstruction **code, PerfoptScriptError *error)
{
	char *exact = malloc(length > 0 ? length : 1);
	int capacity = (int) PERFOPT_EXPRESSION_CAPACITY(length);
	int n;

	memcpy(exact, text, length);
	*code = malloc((size_t) capacity * sizeof(PerfoptInstruction));
	memset(error, 0x7f, sizeof(*error));
	n = perfopt_expression_compile(exact, length, look_up, NULL, *code, capacity, error);
	free(exact);
	return n;
}

/* "int 7", or "syntax OFFSET: message", or "error OFFSET: message". */
static const char *
value_of(const char *text)
{
	static char out[256];
	PerfoptInstruction *code;
	PerfoptScriptError error;
	PerfoptValue value;
	int n = compile(text, strlen(text), &code, &error);

	if (n < 0)
		snprintf(out, sizeof(out), "syntax %d: %s", (int) error.offset, error.message);
	else if (!eval(code, n, &value, &error))
		snprintf(out, sizeof(out), "error %d: %s", (int) error.offset, error.message);
	else
		print_value(out, sizeof(out), &value);
	free(code);
	return out;
}

#define IS(text, expected) assert_string_equal(value_of(text), expected)

static const char *
hint_of(const char *text)
{
	PerfoptInstruction *code;
	PerfoptScriptError error;
	PerfoptValue value;
	int n = compile(text, strlen(text), &code, &error);

	if (n >= 0)
		assert_false(eval(code, n, &value, &error));
	free(code);
	return error.hint != NULL ? error.hint : "";
}

static void
numbers_are_computed(void **state)
{
	(void) state;
	IS("1 + 2 * 3", "int 7");
	IS("(1 + 2) * 3", "int 9");
	IS("10 - 4 - 3", "int 3");
	IS("100 / 7 / 2", "int 7");
	IS("-7 / 2", "int -3");
	IS("-7 % 3", "int -1");
	IS("7 % -3", "int 1");
	IS("5.5 % 2", "int 0");
	IS("2 + 3 % 2", "int 3");
	IS("- 3 + 5", "int 2");
	IS("--5", "int 5");
	IS("+ -5", "int -5");
	IS("-0.0", "double 0");
	IS("~ 5", "int -6");
	IS("~ 1 + 2", "int -4");
	IS("~1 | 2", "int -2");
	IS("2 * ~ 1 + 3", "int -10");
	IS("1 | 2 & 3", "int 3");
	IS("6 # 3 | 8", "int 13");
	IS("1 << 3 + 1", "int 16");
	IS("1 << 2 << 3", "int 32");
	IS("256 >> 2 >> 1", "int 32");
	IS("-8 >> 1", "int -4");
	IS("1 << 63", "int -9223372036854775808");
	IS("1 << 64", "int 1");
	IS("1 << -1", "int -9223372036854775808");
	IS("-1 >> 70", "int -1");
	IS("1024 >> 33", "int 0");
	IS("1024 >> 65", "int 512");
	IS("-9223372036854775808", "int -9223372036854775808");
	IS("- 9223372036854775808 % -1", "int 0");
	IS("9223372036854775807 + 1.0", "double 9.22337203685478e+18");
	IS("0.1 + 0.2", "double 0.3");
	IS("1.", "double 1");
	IS(".5", "double 0.5");
	IS("1.5e3", "double 1500");
	IS("1e3", "double 1000");
	IS("1E-2", "double 0.01");
	IS("1.e2", "double 100");
	IS(".5e1", "double 5");
	IS("1 / 0.0", "double Infinity");
	IS("1.0 / 0", "double Infinity");
	IS("0.0 / 0", "double NaN");
	IS("-1 / 0.0", "double -Infinity");
	IS("1 / 3.0", "double 0.333333333333333");
	IS("7 / 2", "int 3");
	IS("~2.5", "int -3");
	IS("1 & 2.6", "int 1");
	IS("1.0 & 3", "int 1");
	IS("2 << 1.4", "int 4");
	IS("1 - -1", "int 2");
	IS("1--1", "int 2");
	IS("1-+-1", "int 2");
	IS("3 --2", "int 5");
	IS("1 +\n\t2 * \\\n3", "int 7");
	IS("1 + \\\r\n 3", "int 4");
	IS("(((((1)))))", "int 1");
}

static void
truth_has_three_values(void **state)
{
	(void) state;
	IS("1 + 2 < 4", "boolean true");
	IS("1 = 1.0", "boolean true");
	IS("1.5 < 2", "boolean true");
	IS("2 > 1", "boolean true");
	IS("2 >= 2", "boolean true");
	IS("1 <> 2", "boolean true");
	IS("1 != 1", "boolean false");
	IS("1 <= 0", "boolean false");
	IS("not true", "boolean false");
	IS("not 1 = 2", "boolean true");
	IS("not not true", "boolean true");
	IS("not true and false", "boolean false");
	IS("not null is null", "boolean false");
	IS("(not null) is null", "boolean true");
	IS("true or false and false", "boolean true");
	IS("false and null", "boolean false");
	IS("null and false", "null");
	IS("null or true", "null");
	IS("true and null", "null");
	IS("true or null", "boolean true");
	IS("false or null", "null");
	IS("false and 1", "boolean false");
	IS("true or 1", "boolean true");
	IS("null is null", "boolean true");
	IS("1 is null", "boolean false");
	IS("1 is not null", "boolean true");
	IS("null isnull", "boolean true");
	IS("null notnull", "boolean false");
	IS("1 notnull", "boolean true");
	IS("true is true", "boolean true");
	IS("1 is true", "boolean false");
	IS("false is not true", "boolean true");
	IS("null is true", "boolean false");
	IS("null is not false", "boolean true");
	IS("1 + null is null", "boolean true");
	IS("1 = null", "null");
	IS("null is null is null", "boolean false");
	IS("true and null is null", "boolean true");
	IS("1 < 2 is true", "boolean true");
	IS("1 = 2 is null is false", "boolean true");
	IS("NULL IS NOT NULL OR 3 NotNull", "boolean true");
	IS("TRUE and FaLsE", "boolean false");
	IS("true and 1>0", "boolean true");
	IS("null", "null");
	IS("true", "boolean true");
	IS("null + 1", "null");
	IS("+true", "boolean true");
	IS("null = null", "null");
	IS("1 > 2 or 3 > 2", "boolean true");
	IS("1 < -1", "boolean false");
	IS("1 <-1", "boolean false");
	IS("1<>-1", "boolean true");
}

static void
cases_are_told_apart(void **state)
{
	(void) state;
	IS("case when 1 > 2 then 10 when true then 20 else 30 end", "int 20");
	IS("case when false then 1 end", "null");
	IS("case when null then 1 else 2 end", "int 2");
	IS("case when 0 then 1 else 2 end", "int 2");
	IS("case when 0.5 then 1 else 2 end", "int 1");
	IS("case when 0.0 then 1 when -1 then 3 end", "int 3");
	IS("CASE WHEN 1=1 THEN CASE WHEN false THEN 1 ELSE 2 END END + 5", "int 7");
	IS("case when 1 then 2 end * 3", "int 6");
	IS("1 + case when true then 1 end", "int 2");
}

static void
functions_have_values(void **state)
{
	(void) state;
	IS("mod(17, 5)", "int 2");
	IS("mod(2.5, 2)", "int 0");
	IS("abs(-3)", "int 3");
	IS("abs(3.5)", "double 3.5");
	IS("abs(-3.5)", "double 3.5");
	IS("abs(-0.0)", "double 0");
	IS("abs(null)", "null");
	IS("double(5)", "double 5");
	IS("double(5432)", "double 5432");
	IS("int(2.5)", "int 2");
	IS("int(3.5)", "int 4");
	IS("int(-2.5)", "int -2");
	IS("int(5.4 + 3.8)", "int 9");
	IS("int(-9223372036854775808.0)", "int -9223372036854775808");
	IS("int(null)", "null");
	IS("exp(0)", "double 1");
	IS("exp(1)", "double 2.71828182845905");
	IS("exp(1000)", "double Infinity");
	IS("ln(2.718281828459045)", "double 1");
	IS("ln(0)", "double -Infinity");
	IS("ln(-1)", "double NaN");
	IS("sqrt(2)", "double 1.4142135623731");
	IS("sqrt(16)", "double 4");
	IS("sqrt(-1)", "double NaN");
	IS("pi()", "double 3.14159265358979");
	IS("PI()", "double 3.14159265358979");
	IS("pow(2, 10)", "double 1024");
	IS("power(2.0, 0.5)", "double 1.4142135623731");
	IS("pow(-2, 0.5)", "double NaN");
	IS("pow(0, -1)", "double Infinity");
	IS("pow(2, 3) + 1", "double 9");
	IS("greatest(5, 4, 3, 2)", "int 5");
	IS("greatest(1)", "int 1");
	IS("greatest(1, 2.5)", "double 2.5");
	IS("least(5, 4, 3, 2.1)", "double 2.1");
	IS("least(1, null)", "null");
	IS("least(3, -1)", "int -1");
	IS("greatest(1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16)", "int 16");
	IS("hash(10)", "int -5817877081768721676");
	IS("hash(10, 5432)", "int -5817877081768721676");
	IS("hash_murmur2(10, 5432)", "int -5817877081768721676");
	IS("hash_murmur2(0, 0)", "int 8217090173679840641");
	IS("hash_murmur2(-1, -1)", "int 1317380444104773032");
	IS("hash_murmur2(123456789012345, 42)", "int 4561875638953268273");
	IS("hash_fnv1a(10, 5432)", "int -7793829335365542153");
	IS("hash_fnv1a(0, 0)", "int -6284781860667377211");
	IS("hash_fnv1a(-1, -1)", "int 9116541788052886162");
	IS("hash_fnv1a(123456789012345, 42)", "int 3456100475342567728");
	IS("hash_fnv1a(10)", "int -7793829335365542153");
	IS("hash(2.5, 1)", "int -3163560438150112631");
	IS("hash(null)", "null");
	IS("permute(0, 1)", "int 0");
	IS("permute(0, 4)", "int 3");
	IS("permute(1, 2, 0)", "int 1");
	IS("permute(1, 3, 7)", "int 2");
	IS("permute(0, 10, 1)", "int 5");
	IS("permute(9, 10, 1)", "int 0");
	IS("permute(-1, 10, 1)", "int 3");
	IS("permute(12, 10, 1)", "int 9");
	IS("permute(5, 1000000, 99)", "int 349798");
	IS("permute(999999, 1000000, 99)", "int 62381");
	IS("permute(123456789, 9223372036854775807, 5)", "int 3894710761635478692");
	IS("permute(0, 4611686018427387904, -1)", "int 735334056672079798");
	IS("permute(3, 65536, 65535)", "int 2966");
	IS("permute(null, 5)", "null");
	IS("random(1, 1)", "int 1");
	IS("random(5.4, 5.3)", "int 5");
	IS("random(null, 1)", "null");
	IS("random_gaussian(1, 1, 2)", "int 1");
	IS("random_exponential(3, 3, 0.00001)", "int 3");
	IS("random_zipfian(4, 4, 1.5)", "int 4");
}

static void
what_has_no_value_is_an_error(void **state)
{
	(void) state;
	IS("(1 < 2) = (2 < 3)", "error 8: a boolean where a number is needed");
	IS("1 + not 1 = 2", "error 2: a boolean where a number is needed");
	IS("1 and true", "error 2: an integer where a boolean is needed");
	IS("true and 1", "error 5: an integer where a boolean is needed");
	IS("null is null = true", "error 13: a boolean where a number is needed");
	IS("abs(true)", "error 0: a boolean where a number is needed");
	IS("int(1e300)", "error 0: 1e+300 is out of the range of integers");
	IS("int(double(9223372036854775807))",
	   "error 0: 9.22337203685478e+18 is out of the range of integers");
	IS("int(true)", "error 0: a boolean where a number is needed");
	IS("double(true)", "error 0: a boolean where a number is needed");
	IS("least(true, 1)", "error 0: a boolean where a number is needed");
	IS("hash(true)", "error 0: a boolean where a number is needed");
	IS("permute(3, 0)", "error 0: the size of a permutation must be greater than 0");
	IS("permute(3, -1)", "error 0: the size of a permutation must be greater than 0");
	IS("9223372036854775807 + 1", "error 20: integer out of range");
	IS("-9223372036854775808 - 1", "error 21: integer out of range");
	IS("-9223372036854775807 - 2", "error 21: integer out of range");
	IS("- 9223372036854775808 / -1", "error 22: integer out of range");
	IS("4611686018427387904 * 2", "error 20: integer out of range");
	IS("3037000500 * 3037000500", "error 11: integer out of range");
	IS("-(-9223372036854775808)", "error 0: integer out of range");
	IS("1 / 0", "error 2: division by zero");
	IS("1 % 0", "error 2: division by zero");
	IS("random(1, 0)", "error 0: the range from 1 to 0 is empty");
	IS("random(true, 1)", "error 0: a boolean where a number is needed");
	IS("random(-9223372036854775808, 9223372036854775807)", "error 0: the range is too large");
	IS("random(0, 9223372036854775807)", "error 0: the range is too large");
	IS("random_gaussian(1, 10, 1.9)", "error 0: the parameter must be at least 2, not 1.9");
	IS("random_gaussian(0, 10, true)", "error 0: a boolean where a number is needed");
	IS("random_exponential(1, 10, 0)", "error 0: the parameter must be greater than 0, not 0");
	IS("random_zipfian(1, 10, 1)", "error 0: the parameter must be from 1.001 to 1000, not 1");
	IS("random_zipfian(1, 10, 1.0)", "error 0: the parameter must be from 1.001 to 1000, not 1");
	IS("random_zipfian(1, 10, 1000.1)",
	   "error 0: the parameter must be from 1.001 to 1000, not 1000.1");
	IS("1and true", "error 1: an integer where a boolean is needed");
	IS("not 1", "error 0: an integer where a boolean is needed");
	IS("not 0.0", "error 0: a double where a boolean is needed");
	IS("-true", "error 0: a boolean where a number is needed");
	IS("~true", "error 0: a boolean where a number is needed");
	IS("true & 1", "error 5: a boolean where a number is needed");
	IS("true = true", "error 5: a boolean where a number is needed");
	IS("true <> false", "error 5: a boolean where a number is needed");
	IS("true < false", "error 5: a boolean where a number is needed");
	IS("int(0.0/0)", "error 0: NaN is out of the range of integers");
}

static void
mistakes_have_a_place(void **state)
{
	(void) state;
	IS("1 < 2 = true", "syntax 6: unexpected \"=\"");
	IS("greatest(1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17)",
	   "syntax 0: too many arguments for function greatest");
	IS("permute(1)", "syntax 0: too few arguments for function permute");
	IS("9223372036854775808", "syntax 0: the number is out of the range of integers");
	IS("5 - 9223372036854775808", "syntax 4: the number is out of the range of integers");
	IS("99999999999999999999", "syntax 0: the number is out of the range of integers");
	IS("1e400", "syntax 0: the number is out of the range of doubles");
	IS("1e-400", "syntax 0: the number is out of the range of doubles");
	IS("random(1)", "syntax 0: too few arguments for function random");
	IS("random()", "syntax 0: too few arguments for function random");
	IS("sqrt()", "syntax 0: too few arguments for function sqrt");
	IS("sqrt(1,2)", "syntax 0: too many arguments for function sqrt");
	IS("least()", "syntax 0: too few arguments for function least");
	IS("foo(1)", "syntax 0: there is no function \"foo\"");
	IS("foo", "syntax 0: unexpected \"foo\"");
	IS("1 +", "syntax 3: unexpected end of the expression");
	IS("(1", "syntax 2: unexpected end of the expression");
	IS("1)", "syntax 1: unexpected \")\"");
	IS("1 2", "syntax 2: unexpected \"2\"");
	IS("f(,1)", "syntax 0: there is no function \"f\"");
	IS("least(,1)", "syntax 6: unexpected \",\"");
	IS("least(1,,2)", "syntax 8: unexpected \",\"");
	IS("least(1,)", "syntax 8: unexpected \")\"");
	IS("* 3", "syntax 0: unexpected \"*\"");
	IS("1 ** 2", "syntax 3: unexpected \"*\"");
	IS("1 == 1", "syntax 3: unexpected \"=\"");
	IS("a", "syntax 0: unexpected \"a\"");
	IS("'a'", "syntax 0: unexpected character \"'\"");
	IS("1 ^ 2", "syntax 2: unexpected character \"^\"");
	IS("!true", "syntax 0: unexpected character \"!\"");
	IS("1 and", "syntax 5: unexpected end of the expression");
	IS("is null", "syntax 0: unexpected \"is\"");
	IS("1 is 2", "syntax 5: unexpected \"2\"");
	IS("1 is not", "syntax 8: unexpected end of the expression");
	IS("case 1 when 2 then 3 end", "syntax 5: unexpected \"1\"");
	IS("case end", "syntax 5: unexpected \"end\"");
	IS("case when 1 then 2", "syntax 18: unexpected end of the expression");
	IS("1 < 2 < 3", "syntax 6: unexpected \"<\"");
	IS("1 = 2 = 3", "syntax 6: unexpected \"=\"");
	IS("1 <> 2 < 3", "syntax 7: unexpected \"<\"");
	IS("1e", "syntax 1: unexpected \"e\"");
	IS("1abc", "syntax 1: unexpected \"abc\"");
	IS("nan", "syntax 0: unexpected \"nan\"");
	IS("", "syntax 0: unexpected end of the expression");
	IS("  ", "syntax 2: unexpected end of the expression");
	IS("1 + \x01", "syntax 4: unexpected character 0x01");
	IS("1; 2", "syntax 1: unexpected character \";\"");
	IS("~", "syntax 1: unexpected end of the expression");
	IS("1 + 2 \\ 3", "syntax 6: unexpected character \"\\\"");
	IS("\xc3\xa4 + 1", "syntax 0: unexpected \"\xc3\xa4\"");
	IS("1 + (2 * (3)", "syntax 12: unexpected end of the expression");
	IS("case when 1 2 end", "syntax 12: unexpected \"2\"");
}

static void
text_becomes_a_value(void **state)
{
	static const char *const texts[][2] = {
		{ "t", "boolean true" },
		{ "ye", "boolean true" },
		{ "of", "boolean false" },
		{ "on", "boolean true" },
		{ "o", "error 0: the variable's value \"o\" is neither a number nor a boolean" },
		{ "y", "boolean true" },
		{ "n", "boolean false" },
		{ "no", "boolean false" },
		{ "f", "boolean false" },
		{ "0x10", "double 16" },
		{ " 5", "int 5" },
		{ "5 ", "error 0: the variable's value \"5 \" is neither a number nor a boolean" },
		{ " 5 ", "error 0: the variable's value \" 5 \" is neither a number nor a boolean" },
		{ "5x", "error 0: the variable's value \"5x\" is neither a number nor a boolean" },
		{ "1e3", "double 1000" },
		{ "1e3 ", "error 0: the variable's value \"1e3 \" is neither a number nor a boolean" },
		{ " 1e3", "double 1000" },
		{ " ", "error 0: the variable's value \" \" is neither a number nor a boolean" },
		{ "+5", "int 5" },
		{ "-0", "int 0" },
		{ "1e400", "error 0: the variable's value \"1e400\" is out of range" },
		{ "inf", "double Infinity" },
		{ "NaN", "double NaN" },
		{ "null", "null" },
		{ "NULL", "null" },
		{ "nul", "error 0: the variable's value \"nul\" is neither a number nor a boolean" },
		{ "TRUE", "boolean true" },
		{ "Off", "boolean false" },
		{ "-", "error 0: the variable's value \"-\" is neither a number nor a boolean" },
		{ ".5", "double 0.5" },
		{ "1_000", "error 0: the variable's value \"1_000\" is neither a number nor a boolean" },
		{ "1e-400", "error 0: the variable's value \"1e-400\" is out of range" },
		{ "4e-320", "error 0: the variable's value \"4e-320\" is out of range" },
	};

	(void) state;
	for (size_t i = 0; i < LENGTH(texts); i++)
	{
		variables[V_TEXT] = (PerfoptValue){ .type = PERFOPT_VALUE_TEXT, .text = texts[i][0] };
		IS(":text", texts[i][1]);
	}
	variables[V_TEXT].text = "12";
	IS(":text + 1", "int 13");
	IS("1 + :text * 2.5", "double 31");
	variables[V_TEXT].text = "true";
	IS(":text and :b", "boolean true");
	IS(":text is true", "boolean true");
	IS(":text + 1", "error 6: a boolean where a number is needed");
	variables[V_TEXT].text = "abc";
	IS("1 + :text", "error 4: the variable's value \"abc\" is neither a number nor a boolean");
	IS("false and :text", "boolean false");
	variables[V_TEXT].text = "";
	IS(":text is null", "error 0: the variable's value \"\" is neither a number nor a boolean");
	variables[V_TEXT].text = "99999999999999999999";
	IS(":text", "error 0: the variable's value \"99999999999999999999\" is out of range");

	/* A long one is quoted in part, and not in the midst of a character. */
	variables[V_TEXT].text =
		"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\xc3\xa4\xc3\xb6";
	IS(":text", "error 0: the variable's value "
				"\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\" "
				"is neither a number nor a boolean");
}

static void
variables_have_values(void **state)
{
	(void) state;
	IS(":i + :j * :d", "double -0.5");
	IS(":b and true", "boolean true");
	IS(":n is null", "boolean true");
	IS(":n + 1", "null");
	IS("-:i*:j", "int 21");
	IS("1 + :unset", "error 4: the variable has not been assigned a value");
	IS("true or :unset", "boolean true");
	IS("1 + :nobody", "syntax 4: there is no variable \"nobody\"");
	IS(":I", "syntax 0: there is no variable \"I\"");
	IS(": i", "syntax 0: unexpected character \":\"");
	IS(":i i", "syntax 3: unexpected \"i\"");
}

/* What is not reached is not evaluated, or it would be an error. */
static void
evaluation_stops_early(void **state)
{
	(void) state;
	IS("false and 1/0 = 1", "boolean false");
	IS("true or 1/0 = 1", "boolean true");
	IS("null and 1/0 = 1", "null");
	IS("null or 1/0 = 1", "null");
	IS("null is not null and 1/0 = 1", "boolean false");
	IS("case when true then 1 else 1/0 end", "int 1");
	IS("case when false then 1/0 else 5 end", "int 5");
	IS("case when 1 then 2 when 1/0 = 1 then 3 end", "int 2");
	IS("true and 1/0 = 1", "error 10: division by zero");
	IS("debug(false) and debug(true) or debug(1) = 1", "boolean true");
	assert_string_equal(debugged, "boolean false, int 1");
	IS("case when debug(false) then debug(1) when debug(2) then debug(3) else debug(4) end + 1",
	   "int 4");
	assert_string_equal(debugged, "boolean false, int 2, int 3");
	IS("(false and true) or (true and (false or true and true))", "boolean true");
	IS("debug(null) is null", "boolean true");
	assert_string_equal(debugged, "null");
}

static void
random_values_are_in_range(void **state)
{
	static const char *const texts[] = {
		"random(:j, :i)",
		"random(-3, 7.4)",
		"random_gaussian(-3, 7, 2.0)",
		"random_exponential(-3, 7, 0.1)",
		"random_zipfian(-3, 7, 1.001)",
	};

	(void) state;
	perfopt_xoroshiro_seed(&generator, 1);
	for (size_t k = 0; k < LENGTH(texts); k++)
	{
		PerfoptInstruction *code;
		PerfoptScriptError error;
		PerfoptValue value;
		int n = compile(texts[k], strlen(texts[k]), &code, &error);
		int seen[11] = { 0 };

		for (int i = 0; i < 3000; i++)
		{
			assert_true(eval(code, n, &value, &error));
			assert_int_equal(value.type, PERFOPT_VALUE_INT);
			assert_true(value.i >= -3 && value.i <= 7);
			seen[value.i + 3]++;
		}
		for (int i = 0; i < 11; i++)
			assert_true(seen[i] > 0);
		free(code);
	}
}

static void
random_values_need_a_generator(void **state)
{
	PerfoptExpressionContext context = { variables, N_VARIABLES, NULL, NULL, NULL };
	PerfoptInstruction *code;
	PerfoptScriptError error;
	PerfoptValue value;
	int n = compile("1 + random(1, 2)", 16, &code, &error);

	(void) state;
	assert_false(perfopt_expression_eval(code, n, &context, &value, &error));
	assert_string_equal(error.message, "random functions can't be used here");
	assert_int_equal(error.offset, 4);
	free(code);

	n = compile("debug(1)", 8, &code, &error);
	assert_true(perfopt_expression_eval(code, n, &context, &value, &error));
	assert_int_equal(value.i, 1);
	free(code);
}

static void
mistakes_have_a_hint(void **state)
{
	(void) state;
	assert_string_equal(hint_of("randm(1, 2)"), "Did you mean random(low, high)?");
	assert_string_equal(hint_of("random_zipfan(1, 2, 3)"),
						"Did you mean random_zipfian(low, high, parameter)?");
	assert_string_equal(hint_of("SQTR(1)"), "Did you mean sqrt(number)?");
	assert_non_null(strstr(hint_of("frobnicate(1)"), "There are abs, debug, double, exp"));
	assert_non_null(strstr(hint_of("f(1)"), "There are abs, debug, double, exp"));
	assert_string_equal(hint_of("random(1)"), "It is called as random(low, high).");
	assert_string_equal(hint_of("hash()"), "It is called as hash(value [, seed]).");
	assert_string_equal(hint_of("pi"), "It is called as pi().");
	assert_string_equal(hint_of("1 + i"), "A variable is written :name.");
	assert_string_equal(hint_of("1 == 1"), "Values are compared with a single =.");
	assert_string_equal(hint_of("1 && 1"), "Booleans are combined with AND and OR.");
	assert_string_equal(hint_of("1 < 2 < 3"),
						"Comparisons don't chain; join two of them with AND.");
	assert_string_equal(hint_of("2 ^ 3"), "A power is written pow(base, exponent).");
	assert_string_equal(hint_of("(1"), "A parenthesis is not closed.");
	assert_string_equal(hint_of("1)"), "No parenthesis is open.");
	assert_string_equal(hint_of("case when 1 then 2"), "END is missing.");
	assert_string_equal(hint_of("1 and true"), "Compare it, as in x <> 0.");
	assert_string_equal(hint_of("1 +"), "");
	assert_string_equal(hint_of("1/0"), "");
	assert_non_null(strstr(hint_of(":nobody"), "\\set"));
	assert_non_null(strstr(hint_of("true = true"), "IS compares booleans"));

	/* The list of functions that the hint gives is that of those there are. */
	for (const char *p = hint_of("frobnicate(1)") + strlen("There are "); *p != '\0';)
	{
		char call[64];
		size_t length = strcspn(p, ",. ");

		snprintf(call, sizeof(call), "%.*s(1,2,3,4)", (int) length, p);
		assert_null(strstr(value_of(call), "there is no function"));
		p += length;
		p += strspn(p, ",. ");
		if (strncmp(p, "and ", 4) == 0)
			p += 4;
	}
}

static void
code_is_plain_bytes(void **state)
{
	const char *text =
		"case when :i > 5 and not :n is not null then pow(:i, 2) + :d else hash(1) end";
	PerfoptInstruction *code;
	PerfoptInstruction *elsewhere;
	PerfoptScriptError error;
	PerfoptValue value;
	int n = compile(text, strlen(text), &code, &error);

	(void) state;
	assert_true(n > 0);
	assert_int_equal(sizeof(PerfoptInstruction), 16);
	elsewhere = malloc((size_t) n * sizeof(*code));
	memcpy(elsewhere, code, (size_t) n * sizeof(*code));
	free(code);
	assert_true(eval(elsewhere, n, &value, &error));
	assert_true(value.type == PERFOPT_VALUE_DOUBLE && value.d == 51.5);
	free(elsewhere);
}

static void
truth_is_that_of_if(void **state)
{
	char buffer[PERFOPT_VALUE_SIZE];

	(void) state;
	assert_true(perfopt_value_true(&(PerfoptValue){ .type = PERFOPT_VALUE_INT, .i = -1 }));
	assert_false(perfopt_value_true(&(PerfoptValue){ .type = PERFOPT_VALUE_INT, .i = 0 }));
	assert_true(perfopt_value_true(&(PerfoptValue){ .type = PERFOPT_VALUE_DOUBLE, .d = 0.1 }));
	assert_true(perfopt_value_true(&(PerfoptValue){ .type = PERFOPT_VALUE_DOUBLE, .d = NAN }));
	assert_false(perfopt_value_true(&(PerfoptValue){ .type = PERFOPT_VALUE_DOUBLE, .d = -0.0 }));
	assert_true(perfopt_value_true(&variables[V_B]));
	assert_false(perfopt_value_true(&variables[V_N]));
	assert_false(perfopt_value_true(&variables[V_UNSET]));

	assert_null(perfopt_value_text(&variables[V_N], buffer));
	assert_null(perfopt_value_text(&variables[V_UNSET], buffer));
	assert_string_equal(perfopt_value_text(&variables[V_SEED], buffer), "5432");
	assert_string_equal(
		perfopt_value_text(&(PerfoptValue){ .type = PERFOPT_VALUE_INT, .i = INT64_MIN }, buffer),
		"-9223372036854775808");
	assert_string_equal(perfopt_value_text(&(PerfoptValue){ .type = PERFOPT_VALUE_DOUBLE,
															.d = -1.7976931348623157e308 },
										   buffer),
						"-1.79769313486232e+308");
}

/* `open` n times, a value, `close` n times; whether it compiles, and if so it must have a value. */
static bool
nests(const char *open, const char *close, int n)
{
	size_t length = (strlen(open) + strlen(close)) * (size_t) n + 1;
	char *text = malloc(length + 1);
	char *at = text;
	PerfoptInstruction *code;
	PerfoptScriptError error;
	PerfoptValue value;
	int compiled;

	for (int i = 0; i < n; i++, at += strlen(open))
		memcpy(at, open, strlen(open));
	*at++ = '1';
	for (int i = 0; i < n; i++, at += strlen(close))
		memcpy(at, close, strlen(close));
	compiled = compile(text, length, &code, &error);
	if (compiled >= 0)
		assert_true(eval(code, compiled, &value, &error));
	else
	{
		assert_true(error.offset <= length);
		assert_true(strcmp(error.message, "the expression is nested too deeply") == 0 ||
					strcmp(error.message, "the expression is too long") == 0);
	}
	free(code);
	free(text);
	return compiled >= 0;
}

static void
depth_is_bounded(void **state)
{
	static const char *const pairs[][2] = {
		{ "(", ")" },
		{ "- ", "" },
		{ "+ ", "" },
		{ "~ ", "" },
		{ "1+(", ")" },
		{ "abs(", ")" },
		{ "least(1,", ")" },
		{ "case when 1 then ", " end" },
		{ "case when ", " then 1 end" },
		{ "not null or (", ")" },
		{ "1 & 1 + 1 * (", ")" },
	};

	(void) state;
	for (size_t i = 0; i < LENGTH(pairs); i++)
	{
		assert_true(nests(pairs[i][0], pairs[i][1], 25));
		assert_false(nests(pairs[i][0], pairs[i][1], 50000));
	}
	assert_true(nests("(", ")", PERFOPT_EXPRESSION_MAX_NESTING));
	assert_false(nests("(", ")", PERFOPT_EXPRESSION_MAX_NESTING + 1));
	assert_true(nests("greatest(1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,", ")", 8));
	assert_false(nests("greatest(1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,", ")", 9));

	/* Long is not deep. */
	assert_true(nests("1+2*", "", 200000));
	assert_true(nests("null or not ", "", 80000));
	assert_true(nests("", "-1", 400000));
	assert_true(nests("", " isnull", 100000));
	assert_true(nests("case when 0 then 1 else 2 end+", "", 30000));
	assert_false(nests("1+", "", 1000000));
}

static void
capacity_is_kept(void **state)
{
	const char *text = "case when hash(1) = 2 then -~1 else 3 notnull end";
	PerfoptInstruction code[64];
	PerfoptScriptError error;
	int n = perfopt_expression_compile(text, strlen(text), look_up, NULL, code, 64, &error);

	(void) state;
	assert_true(n > 10);
	for (int capacity = 0; capacity < n; capacity++)
	{
		PerfoptInstruction *exact = malloc((size_t) capacity * sizeof(*exact) + 1);

		assert_int_equal(perfopt_expression_compile(text, strlen(text), look_up, NULL, exact,
													capacity, &error),
						 -1);
		assert_string_equal(error.message, "the expression is too long");
		free(exact);
	}
	assert_int_equal(perfopt_expression_compile(text, strlen(text), look_up, NULL, code, n, &error),
					 n);
}

/* Any bytes, and any order of what could belong together. */
static void
any_text_is_survived(void **state)
{
	static const char *const pieces[] = {
		"1",     "2.5",      "(",
		")",     ",",        "+",
		"-",     "*",        "/",
		"%",     "<",        "<<",
		"=",     "<>",       "|",
		"~",     "and ",     "or ",
		"not ",  "is ",      "null ",
		"true ", "isnull ",  "case ",
		"when ", "then ",    "else ",
		"end ",  ":i",       ":n",
		":text", "abs(",     "least(",
		"hash(", "permute(", "pi()",
		"e",     "1e",       "9223372036854775808",
		":",     "\\\n",     "\\",
		"!",     "\x01",     "\xc3",
		"'",     ".",        "random(",
		"int(",
	};
	uint64_t seed = 7;
	int compiled = 0;

	(void) state;
	variables[V_TEXT] = (PerfoptValue){ .type = PERFOPT_VALUE_TEXT, .text = "1.5" };
	for (int round = 0; round < 100000; round++)
	{
		char text[256] = "";
		size_t length = 0;
		PerfoptInstruction *code;
		PerfoptScriptError error;
		PerfoptValue value;
		int n;

		for (uint64_t k = prng_next(&seed) % 8; k > 0; k--)
		{
			const char *piece = pieces[prng_next(&seed) % LENGTH(pieces)];

			length += (size_t) sprintf(text + length, "%s", piece);
			if (prng_next(&seed) % 64 == 0)
				text[length++] = (char) prng_next(&seed);
		}
		n = compile(text, length, &code, &error);
		if (n < 0)
			assert_true(error.offset <= length && memchr(error.message, '\0', 192) != NULL);
		else
		{
			compiled++;
			if (!eval(code, n, &value, &error))
				assert_true(error.offset <= length && memchr(error.message, '\0', 192) != NULL);
		}
		free(code);
	}
	assert_true(compiled > 1000);
}

/* Instructions that no compiler made, and such that were changed under way. */
static void
any_code_is_survived(void **state)
{
	const char *text = "case when :i > 5 or :n then least(:i, 2, hash(3)) + :d else not true end";
	uint64_t seed = 8;

	(void) state;
	for (int round = 0; round < 100000; round++)
	{
		PerfoptInstruction *code;
		PerfoptScriptError error;
		PerfoptValue value;
		int n = compile(text, strlen(text), &code, &error);

		for (uint64_t k = prng_next(&seed) % 5; k > 0; k--)
		{
			PerfoptInstruction *changed = &code[prng_next(&seed) % (uint64_t) n];

			switch (prng_next(&seed) % 4)
			{
				case 0:
					changed->op = (uint16_t) (prng_next(&seed) % 64);
					break;
				case 1:
					changed->nargs = (uint16_t) (prng_next(&seed) % 8);
					break;
				case 2:
					changed->i = (int64_t) (prng_next(&seed) % 64) - 16;
					break;
				default:
					changed->i = (int64_t) prng_next(&seed);
					break;
			}
		}
		n = (int) (prng_next(&seed) % (uint64_t) (n + 1));
		if (eval(code, n, &value, &error))
			assert_true(value.type >= PERFOPT_VALUE_NULL && value.type <= PERFOPT_VALUE_DOUBLE);
		free(code);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_are_computed),
		cmocka_unit_test(truth_has_three_values),
		cmocka_unit_test(cases_are_told_apart),
		cmocka_unit_test(functions_have_values),
		cmocka_unit_test(what_has_no_value_is_an_error),
		cmocka_unit_test(mistakes_have_a_place),
		cmocka_unit_test(text_becomes_a_value),
		cmocka_unit_test(variables_have_values),
		cmocka_unit_test(evaluation_stops_early),
		cmocka_unit_test(random_values_are_in_range),
		cmocka_unit_test(random_values_need_a_generator),
		cmocka_unit_test(mistakes_have_a_hint),
		cmocka_unit_test(code_is_plain_bytes),
		cmocka_unit_test(truth_is_that_of_if),
		cmocka_unit_test(depth_is_bounded),
		cmocka_unit_test(capacity_is_kept),
		cmocka_unit_test(any_text_is_survived),
		cmocka_unit_test(any_code_is_survived),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
